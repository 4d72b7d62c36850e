"""The warnings of the dataset on screen: a button while there are any, and all of them in a panel."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..look.icon_files import icon
from ..look.theme import Panel, plain_tooltip, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..look.theme import PanelColors

_MOST_KEPT = 1000


class WarningsButton(QPushButton):
    """Says how many warnings there are, the last one on hover; a click lists all. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._warnings: tuple[str, ...] = ()
        self._noted: dict[str, str] = {}  # when each was first seen, in order
        self.panel: WarningsPanel | None = None
        self.setFlat(True)
        self.setIconSize(QSize(12, 12))
        set_role(self, "bar")
        self.clicked.connect(self._on_clicked)
        self.hide()

    @property
    def noted(self) -> tuple[str, ...]:
        """All warnings since the dataset was opened, also those that are no longer true."""
        return tuple(self._noted)

    def start_over(self) -> None:
        """Another dataset is on screen."""
        self._noted.clear()
        self.show_warnings(())

    def show_warnings(self, warnings: Sequence[str]) -> None:
        """These hold now."""
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        for warning in warnings:
            if len(self._noted) < _MOST_KEPT:
                self._noted.setdefault(warning, now)
        if tuple(warnings) == self._warnings:
            return
        self._warnings = tuple(warnings)
        n = len(self._warnings)
        self.setText(f"{n} warning{'s' if n > 1 else ''}")
        self.setToolTip(plain_tooltip(f"{self._warnings[-1]}\nClick to see all" if n else ""))
        self.setVisible(n > 0)
        if self.panel is not None:
            self.panel.show_lines(self._noted, self._warnings)

    def draw(self, colors: PanelColors) -> None:
        """Draw its icon in these colours."""
        self.setIcon(icon("warning", colors.warning))

    @safe_slot
    def _on_clicked(self) -> None:
        if self.panel is None:
            self.panel = WarningsPanel(self.window() or self)
            self.panel.finished.connect(self._on_closed)
        self.panel.show_lines(self._noted, self._warnings)
        self.panel.show()
        self.panel.raise_()

    @safe_slot
    def _on_closed(self) -> None:
        self.panel = None


class WarningsPanel(QDialog):
    """All warnings of a dataset, with the time at which each was noticed. Does not block the window below."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Warnings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setPalette(parent.palette())
        page = Panel(self)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Warnings")
        copy = QPushButton("Copy")
        copy.setAutoDefault(False)
        copy.setToolTip("Copy all lines")
        set_role(copy, "chip")
        copy.clicked.connect(self._on_copy)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(copy)
        column = QVBoxLayout(page)
        column.addWidget(self.text)
        column.addLayout(row)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(page)
        room = parent.size()
        self.resize(min(640, max(room.width() - 40, 240)), min(300, max(room.height() - 80, 160)))

    def show_lines(self, noted: dict[str, str], current: Sequence[str]) -> None:
        """Show these; those that are not `current` are marked as past."""
        lines = [
            f"{when}  {'' if warning in current else '(no longer)  '}{warning}"
            for warning, when in noted.items()
        ]
        self.text.setPlainText("\n".join(lines))

    @safe_slot
    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.text.toPlainText())
