"""Slots that cannot crash the program: PyQt aborts the process if an exception leaves a slot."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakKeyDictionary, WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

LOGGED_FAILURES = 10
"""How many failures of one slot are logged in full before the log gets a line a minute."""
FORGIVEN_AFTER_S = 10.0
QUIET_S = 60.0

_safe: WeakSet[Any] = WeakSet()
"""What `safe_slot` has made. GUI thread, and threads that import."""


class _Failures:
    """Recent failures of one slot of one object; decides what is logged."""

    def __init__(self) -> None:
        self._count = 0
        self._last = float("-inf")
        self._said = float("-inf")

    def words(self, name: str) -> str:
        """What to log for one more failure; "" to limit the log."""
        now = time.monotonic()
        if now - self._last > FORGIVEN_AFTER_S:
            self._count = 0
        self._last = now
        self._count += 1
        if self._count < LOGGED_FAILURES:
            return f"{name} failed"
        if self._count > LOGGED_FAILURES and now - self._said < QUIET_S:
            return ""
        self._said = now
        return f"{name} failed {self._count} times in a row; further failures are logged once a minute"


def _accepted(function: Callable[..., Any]) -> int | None:
    """The number of positional arguments `function` takes; None: any number."""
    if isinstance(function, functools.partial) and not function.keywords:
        taken = _accepted(function.func)
        return None if taken is None else taken - len(function.args)
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is not None and plain in _safe:  # which drops those that it does not take
        return None
    if code is not None and not hasattr(plain, "__wrapped__"):  # a tenth of the time that `signature` takes
        return None if code.co_flags & inspect.CO_VARARGS else code.co_argcount - (plain is not function)
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in positional for kind in kinds)


@overload
def safe_slot(function: F) -> F: ...
@overload
def safe_slot(*, default: object = None) -> Callable[[F], F]: ...
def safe_slot(function: Any = None, *, default: object = None) -> Any:
    """Make a function or method safe for Qt to call: its exceptions are logged, never raised.

    A slot is always called, however often it failed: what it needs may be available the next
    time. Only logging is limited, so that a timer cannot fill the disk. ``SystemExit`` and
    ``KeyboardInterrupt`` pass. Arguments a signal sends beyond those the function takes are
    dropped, as PyQt itself does for an undecorated slot.

    Parameters
    ----------
    default
        What the slot returns when it fails: ``@safe_slot(default=False)`` for
        an event filter, which must return a bool.
    """
    if function is None:
        return functools.partial(safe_slot, default=default)
    limit = _accepted(function)
    of_object: WeakKeyDictionary[Any, _Failures] = WeakKeyDictionary()
    of_function = _Failures()

    def failures_of(args: tuple[Any, ...]) -> _Failures:
        if not args or getattr(type(args[0]), function.__name__, None) is not call:
            return of_function
        try:
            return of_object.setdefault(args[0], _Failures())
        except TypeError:  # objects without weak references share one count per class
            return of_function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args[:limit], **kwargs)
        except Exception:  # the boundary to C++: an exception that leaves here ends the host's process
            if words := failures_of(args).words(function.__qualname__):
                logger.exception("%s", words)
            return default

    _safe.add(call)
    return call
