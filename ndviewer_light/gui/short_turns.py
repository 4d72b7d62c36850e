"""Has threads of Python hand the interpreter over sooner while one of them imports for long."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORT_TURN_S = 0.0005


class _SwitchInterval:
    """How long a turn is, and was before; it belongs to the whole process, and the host may set it too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following
        self._n_users = 0
        self._before = 0.0
        self._ours: float | None = None
        """What was set here, as Python says it; None where turns were as short already."""

    def shorten(self) -> None:
        """One more needs short turns."""
        with self._lock:
            self._n_users += 1
            before = sys.getswitchinterval()
            if self._n_users == 1 and before > _SHORT_TURN_S:
                sys.setswitchinterval(_SHORT_TURN_S)
                self._before, self._ours = before, sys.getswitchinterval()

    def restore(self) -> None:
        """Undo one `shorten`. What somebody else has set meanwhile stays."""
        with self._lock:
            self._n_users -= 1
            if not self._n_users and self._ours is not None:
                if sys.getswitchinterval() == self._ours:
                    sys.setswitchinterval(self._before)
                self._ours = None


_the_turns = _SwitchInterval()


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Have threads hand the interpreter over sooner while this one imports for long, as Python does for all.

    The GUI thread lets go of it with most calls of Qt, and waits for a whole turn (5 ms) each time.
    """
    _the_turns.shorten()
    try:
        yield
    finally:
        _the_turns.restore()
