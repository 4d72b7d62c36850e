"""Slots that cannot take the program down: PyQt aborts the process on an exception that leaves one."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

MAX_FAILURES = 10
FAILURE_WINDOW_S = 10.0


class _Failures:
    """When one slot of one object failed lately, and whether it has failed too often."""

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=MAX_FAILURES)
        self.disabled = False

    def add(self) -> bool:
        """Note one more failure; whether it was the one too many."""
        now = time.monotonic()
        self.times.append(now)
        self.disabled = len(self.times) == MAX_FAILURES and now - self.times[0] <= FAILURE_WINDOW_S
        return self.disabled


def _accepted(function: Callable[..., Any]) -> int | None:
    """How many positional arguments `function` takes; None: any number."""
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
    """Decorate a function or method so that Qt may call it: its exceptions are logged, never raised.

    After `MAX_FAILURES` failures within `FAILURE_WINDOW_S` seconds the slot of that object is
    switched off, with one line in the log, so that a timer cannot fill the disk. ``SystemExit``
    and ``KeyboardInterrupt`` pass. Arguments a signal sends beyond those the function takes are
    dropped, as PyQt itself does for an undecorated slot.

    Parameters
    ----------
    default
        What the slot returns when it fails or is switched off: ``@safe_slot(default=False)`` for
        an event filter, which has to return a bool.
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
        except TypeError:  # an object that takes no weak reference shares one count with its class
            return of_function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        failures = failures_of(args)
        if failures.disabled:
            return default
        try:
            return function(*args[:limit], **kwargs)
        except Exception:  # the boundary to C++: anything that leaves here ends the host's process
            if failures.add():
                logger.exception(
                    "%s failed %d times within %g s and is switched off",
                    function.__qualname__,
                    MAX_FAILURES,
                    FAILURE_WINDOW_S,
                )
            else:
                logger.exception("%s failed", function.__qualname__)
            return default

    return call
