"""Channels side by side instead of the picture of one stage: when they are shown, and what in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ..keyboard.keys import keys_of
from ..slots import safe_slot
from .channel_panes import ChannelPanes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..background import Background
    from ..canvas.picture_layer import PictureLayer
    from ..poll import Poll
    from ..stage import Stage


class SplitView(QObject):
    """`toggle` shows the channels side by side, or the picture again. GUI thread only; reads nothing.

    The canvas goes on to request frames: what is shown is always what it would show.
    """

    def __init__(
        self, stage: Stage, background: Background, poll: Poll, say: Callable[[str, str], None]
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._say = say
        self._in_gray = False
        self._note_of: Callable[[int], str] = lambda c: ""
        self.panes = ChannelPanes(background, poll, stage.picture)
        self.panes.hide()
        self.panes.hovered.connect(self._on_hovered)
        self.panes.gray_clicked.connect(self.toggle_gray)
        self.panes.moved.connect(stage.plane_moved)
        stage.panes = self.panes
        stage.overlay.changed.connect(self._say_over)
        stage.canvas_set.connect(self._on_canvas_set)
        stage.strips.mode_changed.connect(self._on_mode_changed)

    def draw_over(self, layers: Sequence[PictureLayer], note_of: Callable[[int], str]) -> None:
        """Draw over each pane what these draw over the picture; `note_of` a channel is said in its pane."""
        self.panes.draw_over(layers)
        self._note_of = note_of

    @property
    def is_shown(self) -> bool:
        """Whether channels are seen side by side."""
        return not self.panes.isHidden()

    @property
    def is_on(self) -> bool:
        """Whether they are, or would be if the overview did not cover them."""
        return self.panes.frames is not None

    def toggle(self) -> None:
        """Show channels side by side, or the picture again."""
        if not self.leave():
            self.show()

    def show(self) -> None:
        """Show channels side by side, where the picture is."""
        canvas = self._stage.canvas
        if self._stage.dataset is None or canvas is None or canvas.frames is None:
            return
        if self._stage.strips.is_3d():
            self._say("A volume is not shown channel by channel: choose 2D first", "")
            return
        area = None if canvas.is_fitting else canvas.visible_area()
        self.panes.begin(canvas.frames, area)
        self._stage.picture.cover(self.panes, f"show the channels together ({keys_of('split')})")
        self._show_frame()
        if self.panes.surface is not None:
            self.panes.surface.setFocus()

    def leave(self) -> bool:
        """Show the picture again, at the place one looked at last; False if it is shown."""
        if not self.is_on:
            return False
        canvas, panes = self._stage.canvas, self.panes
        area, was_moved, is_fitting = panes.visible_area(), panes.was_moved, panes.is_fitting
        panes.end()
        self._stage.picture.uncover(panes)
        if canvas is not None and was_moved and area is not None:
            canvas.reset_view() if is_fitting else canvas.show_area(area)
        self._on_hovered(None)
        return True

    @safe_slot
    def toggle_gray(self) -> None:
        """Show single channels in gray, or in their colours."""
        self._in_gray = not self._in_gray
        self.panes.set_in_gray(self._in_gray)
        self._show_frame()

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        canvas.frame_arrived.connect(self._show_frame)
        canvas.looks_changed.connect(self._show_frame)

    @safe_slot
    def _show_frame(self) -> None:
        canvas, dataset = self._stage.canvas, self._stage.dataset
        if not self.is_on or canvas is None or dataset is None or canvas.frames is None:
            return
        if canvas.frames is not self.panes.frames:  # another dataset, or it is shown anew
            self.panes.begin(canvas.frames, None)
        if canvas.frame is not None:
            self.panes.show_frame(canvas.frame, canvas.looks, [each.name for each in dataset.info.channels])
            self._say_over()

    @safe_slot
    def _say_over(self) -> None:
        if self.is_on:
            self.panes.say_as(self._stage.overlay, self._note_of)

    @safe_slot
    def _on_mode_changed(self, is_3d: bool) -> None:
        if is_3d:
            self.leave()

    @safe_slot
    def _on_hovered(self, place: object) -> None:
        if self._stage.canvas is not None:
            self._stage.canvas.hovered.emit(place)
