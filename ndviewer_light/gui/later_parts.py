"""What nobody has to wait for when the widget is created: made in slices, or as soon as it is needed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .poll import Poll


class LaterParts:
    """Slices of work, one for each turn of the event loop, so that the host's events come between.

    A host may start a run in the same moment in which it creates the widget: what is made then keeps its
    event loop. GUI thread only.
    """

    def __init__(self, poll: Poll, is_over: Callable[[], bool]) -> None:
        """`is_over()`: the widget has ended, none of it is made any more."""
        self._poll = poll
        self._is_over = is_over
        self._slices: deque[Callable[[], object]] = deque()
        self._is_posted = False

    def add(self, *slices: Callable[[], object]) -> None:
        """Do these too, in this order."""
        self._slices.extend(slices)
        self._post()

    def add_next(self, one: Callable[[], object]) -> None:
        """Do this first of all that is left."""
        self._slices.appendleft(one)
        self._post()

    def finish(self) -> None:
        """Do now what is left; what needs one of them calls this first."""
        while self._slices and not self._is_over():
            self._slices.popleft()()

    def end(self) -> None:
        """None of it is needed any more."""
        self._slices.clear()

    def _post(self) -> None:
        if self._slices and not self._is_posted:
            self._is_posted = True
            self._poll.post_for_next_turn(self._step)

    def _step(self) -> None:
        self._is_posted = False
        try:
            if self._slices and not self._is_over():
                self._slices.popleft()()
        finally:
            self._post()
