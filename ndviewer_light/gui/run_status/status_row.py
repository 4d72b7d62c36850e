"""The row below the picture: how far a run is, the status line, warnings and controls of what is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
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
    from collections.abc import Collection

    from ...engine.dataset import Dataset

_SHARE_OF_RUN = 60
"""Percent of what the controls leave, if that is enough."""
_LEAST_LINE_PX = 90
_WAYS = ((0, False), (1, False), (1, True), (2, True), (3, True))
"""Where room is short: how many controls are icons alone, and whether the run is said in fewer words."""


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
        self._controls_row = controls
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.run, _SHARE_OF_RUN)
        row.addWidget(self.line, 100 - _SHARE_OF_RUN)
        row.addWidget(self._controls)
        self._row = row
        self.missing.draw(self.colors)
        self.warnings.draw(self.colors)
        # what comes and goes here must not move the canvas
        self.setFixedHeight(self.line.height() + 3)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._share_room()
        return super().event(event)

    @safe_slot
    def _share_room(self) -> None:
        """Where room is short, keep what matters of a run: other things are said in fewer words, or not.

        That is the same as long as the width is: nothing moves when the line says something else.
        """
        if not hasattr(self, "_row"):
            return
        buttons = [each for each in (self.switch, self.missing, self.follow) if not each.isHidden()]
        for n_terse, shortest in _WAYS:
            terse = buttons[:n_terse]
            needed = self.run.needed(shortest=shortest)
            rest = self.width() - self._controls_width({id(each) for each in terse})
            if not needed or needed + _LEAST_LINE_PX <= rest:
                break
        for each in (self.switch, self.missing, self.follow):
            each.put_in_words(not needed or each not in terse)
        of_run = max(rest * _SHARE_OF_RUN // 100, min(needed, rest))
        self._row.setStretch(0, max(of_run, 1))
        self._row.setStretch(1, max(rest - of_run, 0))
        self._row.activate()

    def _controls_width(self, terse: Collection[int]) -> int:
        """How wide the controls are if those with these ids are icons alone."""
        if self._controls.isHidden():
            return 0
        shown = [each for each in self._controls.findChildren(PushButton) if not each.isHidden()]
        margins = self._controls_row.contentsMargins()
        gaps = self._controls_row.spacing() * max(len(shown) - 1, 0) + margins.left() + margins.right()
        return gaps + sum(each.width_wanted(in_words=id(each) not in terse) for each in shown)

    def show_controls(self, shown: bool) -> None:
        """Show the controls, or only the text: where no dataset is on screen."""
        self._controls.setVisible(shown)

    def show_drawing(self, why: str) -> bool:
        """Say why the picture is drawn without OpenGL, "" if there is no reason to; whether that is new."""
        is_new, self._why_drawn_so = why != self._why_drawn_so, why
        self.drawing.setToolTip(plain_tooltip(why))
        self.drawing.setVisible(bool(why))
        return is_new

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
