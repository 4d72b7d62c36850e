"""Work in threads for one widget, whose results come back to it as long as it is there."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, TypeVar

from .ends import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject

    from .background import Background
    from .poll import Poll

T = TypeVar("T")


class WidgetJobs(Owner):
    """Runs functions for `widget`. GUI thread only; results for a widget that Qt has deleted are dropped."""

    def __init__(self, widget: QObject, background: Background, poll: Poll) -> None:
        self._background = background
        self._poll = poll
        self._has_ended = False
        self.end_with(widget)

    def end(self) -> None:
        """The widget is deleted."""
        super().end()
        self._has_ended = True

    def run(self, name: str, work: Callable[[], T], take: Callable[[T], None]) -> None:
        """Call `work`, which never raises, in a thread called `name`, then `take` on the GUI thread.

        `take` is a method of the widget; only a weak reference to it is kept.
        """
        self._poll.wake()
        method = weakref.WeakMethod(take)

        def do() -> None:
            """In the thread."""
            result = work()
            self._poll.post(lambda: self._hand_over(method(), result))

        self._background.run(name, do)

    def _hand_over(self, take: Callable[[T], None] | None, result: T) -> None:
        if take is not None and not self._has_ended:
            take(result)
