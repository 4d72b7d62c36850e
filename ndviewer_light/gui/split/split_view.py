"""Channels side by side instead of the picture of one stage: when they are shown, and what in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ...views.split_look import SplitLook
from ..keyboard.keys import keys_of
from ..slots import safe_slot
from .channel_panes import ChannelPanes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.dataset import Dataset
    from ...views.visible_area import VisibleArea
    from ..background import Background
    from ..canvas.picture_layer import PictureLayer
    from ..stage import Stage


class SplitView(QObject):
    """`toggle` shows the channels side by side, or the picture again. GUI thread only; reads nothing.

    The canvas keeps requesting frames: what is shown is always what it would show.
    """

    def __init__(self, stage: Stage, background: Background, say: Callable[[str, str], None]) -> None:
        super().__init__(stage)
        self._stage = stage
        self._say = say
        self._in_gray = False
        self._due: tuple[Dataset, SplitLook, VisibleArea | None] | None = None
        self._note_of: Callable[[int], str] = lambda c: ""
        self.panes = ChannelPanes(background, stage.picture)
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
        self._begin(None if canvas.is_fitting else canvas.visible_area())
        if self.panes.surface is not None:
            self.panes.surface.setFocus()

    def _begin(self, area: VisibleArea | None, *, below: bool = False) -> None:
        canvas = self._stage.canvas
        assert canvas is not None and canvas.frames is not None
        self._due = None
        self.panes.begin(canvas.frames, area)
        way_back = f"show the channels together ({keys_of('split')})"
        self._stage.picture.cover(self.panes, way_back, below=below)
        self._show_frame()

    def show_as(self, look: SplitLook | None, area: VisibleArea | None) -> None:
        """Show channels so once there is a picture, at first this part of them; None: together, and all."""
        dataset = self._stage.dataset
        if look is None or dataset is None:
            self._due = None
            self.leave()
            return
        self._due = dataset, look, area
        self._show_what_is_due()

    @safe_slot
    def _show_what_is_due(self) -> None:
        """Show what a link or an earlier session had, now that there is a picture; below an overview."""
        due, stage = self._due, self._stage
        if due is None or stage.canvas is None or stage.canvas.frames is None or not stage.has_picture:
            return
        dataset, look, area = due
        if stage.canvas.frames.dataset is not dataset:
            return
        self._due = None
        if dataset is not stage.dataset or stage.strips.is_3d():
            return
        self._set_in_gray(look is SplitLook.GRAY)
        had_focus = stage.canvas.surface is not None and stage.canvas.surface.hasFocus()
        if self.is_on:
            self.panes.begin(stage.canvas.frames, area)
        else:
            self._begin(area, below=True)
        if had_focus and self.is_shown and self.panes.surface is not None:
            self.panes.surface.setFocus()

    @property
    def shown_as(self) -> SplitLook | None:
        """How channels are shown side by side, or are about to be; None: together."""
        if self._due is not None and self._due[0] is self._stage.dataset:
            return self._due[1]
        if not self.is_on:
            return None
        return SplitLook.GRAY if self._in_gray else SplitLook.COLOURS

    @property
    def area(self) -> VisibleArea | None:
        """What of the picture is seen in each pane (µm); None if all of it fits, and without panes."""
        return self.panes.visible_area() if self.is_on and not self.panes.is_fitting else None

    def leave(self) -> bool:
        """Show the picture again, at the place in view; False if it is already shown."""
        self._due = None
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
        self._set_in_gray(not self._in_gray)
        self._show_frame()

    def _set_in_gray(self, in_gray: bool) -> None:
        self._in_gray = in_gray
        self.panes.set_in_gray(in_gray)

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        canvas.frame_arrived.connect(self._show_frame)
        canvas.frame_shown.connect(self._show_what_is_due)
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
