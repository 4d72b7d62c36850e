"""Which labels are drawn over the picture, and how: below the channels, where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ...rendering.label_picture import LabelStyle
from ..keyboard.keys import keys_of
from ..look.push_button import PushButton
from ..look.theme import Panel, heading_font, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence


class LabelPanel(Panel):
    """`changed`: the user has chosen something else. GUI thread only; setters are silent."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title = QLabel("LABELS", self)
        title.setFont(heading_font(title))
        set_role(title, "dim")
        self.on = self._chip("On", f"Draw labels over the picture ({keys_of('labels')})")
        self.fill = self._chip("Fill", "Fill the labels")
        self.outline = self._chip("Outline", "Draw the edges of the labels only")
        group = QButtonGroup(self)
        group.addButton(self.fill)
        group.addButton(self.outline)
        self.fill.setChecked(True)
        self.names = QComboBox(self)
        self.names.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still go to the picture
        self.names.setAccessibleName("Which labels are drawn")
        self.names.setToolTip("Label images (masks) of this image")
        self.names.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.opacity.setRange(5, 100)
        self.opacity.setValue(50)
        self.opacity.setAccessibleName("Opacity of labels")
        self.opacity.setToolTip("Opacity of labels")
        self.problem = QLabel(self)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.setWordWrap(True)
        set_role(self.problem, "warning")
        self.problem.hide()
        self._lay_out(title)
        self.on.clicked.connect(self._on_changed)
        self.fill.clicked.connect(self._on_changed)
        self.outline.clicked.connect(self._on_changed)
        self.names.activated.connect(self._on_chosen)
        self.opacity.valueChanged.connect(self._on_changed)
        self.hide()

    def _chip(self, text: str, tip: str) -> QPushButton:
        button = PushButton(text, self)
        button.setCheckable(True)
        button.setAutoDefault(False)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        set_role(button, "chip")
        return button

    def _lay_out(self, title: QLabel) -> None:
        top, below = QHBoxLayout(), QHBoxLayout()
        for row in (top, below):
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(6)
        top.addWidget(title)
        top.addStretch(1)
        for button in (self.fill, self.outline, self.on):
            top.addWidget(button)
        below.addWidget(self.names, 1)
        below.addWidget(self.opacity, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(below)
        column.addWidget(self.problem)

    def offer(self, names: Sequence[str]) -> None:
        """Show which label images there are; hidden where there are none. What was chosen stays chosen."""
        if [self.names.itemText(i) for i in range(self.names.count())] == list(names):
            return
        chosen = self.names.currentText()
        self.names.clear()
        self.names.addItems(list(names))
        if chosen in names:
            self.names.setCurrentText(chosen)
        self.setVisible(bool(names))

    @property
    def chosen(self) -> str:
        """The name of the labels that are to be drawn, "" for none."""
        return self.names.currentText() if self.on.isChecked() else ""

    @property
    def style_chosen(self) -> LabelStyle:
        """How they are to be drawn."""
        return LabelStyle(self.outline.isChecked(), self.opacity.value() / 100)

    def choose(self, name: str, style: LabelStyle, *, on: bool) -> None:
        """Choose as the user would, without `changed`."""
        self.names.setCurrentText(name)
        self.on.setChecked(on)
        (self.outline if style.outline else self.fill).setChecked(True)
        self.opacity.blockSignals(True)
        self.opacity.setValue(round(style.opacity * 100))
        self.opacity.blockSignals(False)

    def toggle(self) -> None:
        """Draw labels, or no longer, as a click on "On" does."""
        if self.names.count():
            self.on.setChecked(not self.on.isChecked())
            self.changed.emit()

    def say(self, problem: str) -> None:
        """Say why no labels are drawn; empty if they are, or should not be."""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    @safe_slot
    def _on_changed(self, *_: object) -> None:
        self.changed.emit()

    @safe_slot
    def _on_chosen(self, *_: object) -> None:
        self.on.setChecked(True)  # who chooses labels wants to see them
        self.changed.emit()
