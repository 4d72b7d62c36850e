"""What a host gives a call: taken as what it has to be, or the call is ignored, with one line in the log."""

from __future__ import annotations

import functools
import logging
import reprlib
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

_said: WeakKeyDictionary[object, set[str]] = WeakKeyDictionary()
"""The calls of each widget of which it was said that they were ignored. GUI thread only."""


class WrongValueError(Exception):
    """A value that a call cannot mean anything by."""


def index_given(name: str, value: Any) -> int:
    """An index; raises `WrongValueError` for what is no number."""
    try:
        return int(value)
    except Exception:  # noqa: BLE001  whatever an odd object raises
        raise WrongValueError(f"{name} must be an index, counted from 0, not {reprlib.repr(value)}") from None


def switch_given(name: str, value: object) -> bool:
    """Yes or no; raises `WrongValueError` for what is neither, as an array."""
    try:
        return bool(value)
    except Exception:  # noqa: BLE001  as above
        raise WrongValueError(f"{name} must be True or False, not {reprlib.repr(value)}") from None


def text_given(name: str, value: object) -> str:
    """A name or number as text; raises `WrongValueError` for what has none."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  as above
        raise WrongValueError(f"{name} must be a name or a number, not {reprlib.repr(value)}") from None


def options_given(given: Any) -> dict[str, Any]:
    """Access options by name; raises `WrongValueError` for anything but names with texts or numbers."""
    try:
        options = {} if given is None else dict(given)
        wrong = next((each for each in options.items() if not _is_option(*each)), None)
    except Exception as error:  # noqa: BLE001  as above
        raise WrongValueError(f"{reprlib.repr(given)}: {type(error).__name__}") from None
    if wrong is not None:
        raise WrongValueError(f"{reprlib.repr(wrong[0])} is {reprlib.repr(wrong[1])}")
    return options


def _is_option(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, (str, int, float))


def ignores_wrong_values(answer: object) -> Callable[[F], F]:
    """Make a method answer so where one of its values is wrong, and log that once for each widget."""

    def wrap(method: F) -> F:
        @functools.wraps(method)
        def called(self: object, *values: Any, **named: Any) -> Any:
            try:
                return method(self, *values, **named)
            except WrongValueError as error:
                said = _said.setdefault(self, set())
                if method.__name__ not in said:
                    said.add(method.__name__)
                    logger.warning("%s was ignored: %s", method.__name__, error)
                return answer

        return called  # type: ignore[return-value]

    return wrap
