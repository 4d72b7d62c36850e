"""The button in the status row that leads to the next missing plane; its menu leads to the unreadable
ones, and so does the button where only such are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAction, QWidget

from ..keyboard.keys import keys_of
from ..look.icon_files import BESIDE_TEXT, icon
from ..look.push_button import PushButton
from ..look.theme import set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from ..look.theme import PanelColors

_NEXT_MISSING_KEY = keys_of("next_missing")
_NEXT_UNREADABLE_KEY = keys_of("next_unreadable")


class MissingButton(PushButton):
    """`next_missing` or `next_unreadable` on a click, both from its menu. GUI thread only."""

    next_missing = Signal()
    next_unreadable = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._leads_to_missing = True
        self._say()
        self.setFlat(True)
        self.setIconSize(BESIDE_TEXT)
        set_role(self, "bar")
        missing = QAction(f"Next missing plane ({_NEXT_MISSING_KEY})", self)
        missing.triggered.connect(self._on_missing)
        unreadable = QAction(f"Next unreadable plane ({_NEXT_UNREADABLE_KEY})", self)
        unreadable.triggered.connect(self._on_unreadable)
        self.addAction(missing)
        self.addAction(unreadable)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.clicked.connect(self._on_clicked)

    def offer(self, *, missing: bool) -> None:
        """Be there, for missing planes, or for those that cannot be read."""
        self._leads_to_missing = missing
        self._say()
        self.show()

    def _say(self) -> None:
        missing = f"the next plane of which nothing is stored ({_NEXT_MISSING_KEY})"
        unreadable = f"the next plane that cannot be read ({_NEXT_UNREADABLE_KEY})"
        first, second = (missing, unreadable) if self._leads_to_missing else (unreadable, missing)
        self.setText("Next missing" if self._leads_to_missing else "Next unreadable")
        self.setToolTip(f"Go to {first}.\nRight click: {second}")

    def draw(self, colors: PanelColors) -> None:
        """Draw its icon in these colours."""
        self.setIcon(icon("warning", colors.warning, beside_text=True))

    @safe_slot
    def _on_clicked(self) -> None:
        (self.next_missing if self._leads_to_missing else self.next_unreadable).emit()

    @safe_slot
    def _on_missing(self) -> None:
        self.next_missing.emit()

    @safe_slot
    def _on_unreadable(self) -> None:
        self.next_unreadable.emit()
