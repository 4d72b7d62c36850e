"""How wide the channels may be in a window that is hardly wider than they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject

from ..slots import safe_slot
from .channels import PREFERRED_WIDTH_PX

if TYPE_CHECKING:
    from qtpy.QtWidgets import QSplitter, QWidget

NARROW_PX = 700
"""Below this width of all, the channels have only what they need: the picture gets the rest."""
NEEDED_PX = 212
_NO_LIMIT = 16_777_215  # Qt's QWIDGETSIZE_MAX


class NarrowWindow(QObject):
    """Limits the last widget of a splitter while that is narrow, and gives back its width afterwards."""

    def __init__(self, splitter: QSplitter, last: QWidget) -> None:
        super().__init__(splitter)
        self._splitter, self._last = splitter, last
        self._before = PREFERRED_WIDTH_PX
        splitter.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize:  # before the splitter sees it
            self._limit()
        return False

    @safe_slot
    def _limit(self) -> None:
        is_narrow, was_narrow = self._splitter.width() < NARROW_PX, self._last.maximumWidth() < _NO_LIMIT
        if is_narrow == was_narrow:
            return
        if is_narrow:
            self._before = self._last.width() if self._splitter.isVisible() else PREFERRED_WIDTH_PX
            needed = max(NEEDED_PX, self._last.minimumWidth() or self._last.minimumSizeHint().width())
            self._last.setMaximumWidth(needed)
            self._share(min(needed, self._before))
        else:
            self._last.setMaximumWidth(_NO_LIMIT)
            self._share(self._before)

    def _share(self, width: int) -> None:
        """Give the last widget this width, unless the user has closed it, and the one beside it the rest."""
        *others, _, last = self._splitter.sizes()
        if last or not self._splitter.isVisible():
            room = self._splitter.width() - sum(others) - self._splitter.handleWidth()
            self._splitter.setSizes([*others, max(room - width, 0), width])
