"""The row below the picture: how far a run is, the status line, warnings and controls of what is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QWidget

from ..following.follow_controls import FollowButton, FollowingSwitch
from ..following.missing_button import MissingButton
from ..interpretation.read_as_button import ReadAsButton
from ..look.push_button import PushButton
from ..look.theme import Panel, plain_tooltip, set_role
from ..slots import safe_slot
from .run_bar import RunBar
from .status_line import StatusLine
from .warnings_log import WarningsButton

if TYPE_CHECKING:
    from ...engine.dataset import Dataset


class StatusRow(Panel):
    """Text on the left, of a run first how far it is; on the right `drawing` (that it is without OpenGL),
    `read_as`, `warnings`, `missing`, `switch` and `follow`.

    Each is shown where there is a use for it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = RunBar()
        self.line = StatusLine()
        self.drawing = PushButton("No OpenGL")
        self.drawing.setFlat(True)
        set_role(self.drawing, "bar")
        self.drawing.clicked.connect(self._on_drawing_clicked)
        self.drawing.hide()
        self._why_drawn_so = ""
        self.read_as = ReadAsButton()
        self.warnings = WarningsButton()
        self.follow = FollowButton()
        self.follow.hide()
        self.switch = FollowingSwitch()
        self.missing = MissingButton()
        self.missing.hide()
        self._controls = QWidget()
        controls = QHBoxLayout(self._controls)
        controls.setContentsMargins(0, 0, 6, 3)
        controls.setSpacing(6)
        controls.addWidget(self.drawing)
        controls.addWidget(self.read_as)
        controls.addWidget(self.warnings)
        controls.addWidget(self.missing)
        controls.addWidget(self.switch)
        controls.addWidget(self.follow)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.run, 3)
        row.addWidget(self.line, 2)
        row.addWidget(self._controls)
        self.missing.draw(self.colors)
        self.warnings.draw(self.colors)
        # what comes and goes here must not move the canvas
        self.setFixedHeight(self.line.height() + 3)

    def show_controls(self, shown: bool) -> None:
        """Show the controls, or only the text: where no dataset is on screen."""
        self._controls.setVisible(shown)

    def show_drawing(self, why: str) -> None:
        """Say why the picture is drawn without OpenGL; "" if it is drawn with it."""
        self._why_drawn_so = why
        self.drawing.setToolTip(plain_tooltip(why))
        self.drawing.setVisible(bool(why))

    @safe_slot
    def _on_drawing_clicked(self) -> None:
        self.line.say("message", self._why_drawn_so)

    def show_following(self, on: bool, waits: bool) -> None:
        """Show whether the whole view follows, and whether it waits for all channels."""
        self.follow.set_waits(waits)
        if on != self.follow.isChecked():
            self.follow.set_following(on)
        self.follow.draw(self.colors)

    def show_disk(self, dataset: Dataset | None, *, can_pause: bool) -> None:
        """Show whether `dataset` is followed on disk."""
        self.switch.show_state(dataset, self.colors, can_pause=can_pause)

    def palette_changed(self) -> None:
        if hasattr(self, "missing"):
            self.follow.draw(self.colors)
            self.missing.draw(self.colors)
            self.warnings.draw(self.colors)
