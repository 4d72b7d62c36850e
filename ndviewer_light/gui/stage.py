"""A dataset on screen: canvas, overlay, sliders and channel strips, connected to each other.

GUI thread only. Runs and files are the business of `viewer`; nothing is read here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from ..rendering.time_stamps import time_text
from ..rendering.volume_look import VolumeLook
from .canvas.canvas_view import View
from .channel_settings.channel_controls import ChannelControls
from .panels.sliders import AxisSliders
from .parts_ahead import part_made
from .picture_pane import PicturePane
from .plane_states import state_of_view, states_of_channels
from .position_in_view import PositionInView, built_on
from .slots import safe_slot
from .stage_splitter import StageSplitter
from .view_texts import readout_at, text_of_view
from .waiting import ViewWaits, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.dataset import Changes, Dataset
    from ..engine.projections import StackProjection
    from ..model import DatasetInfo, ImageInfo
    from .canvas.display import Canvas
    from .canvas.picture_layer import ShowsPlane
    from .canvas.view_frames import Frame

logger = logging.getLogger(__name__)

_VOLUME_REPAINT_SECONDS = 0.5  # a volume is read and uploaded as a whole, so not thirty times a second
_COVERED_SECONDS, _COVERED_MS = 2.0, 30
"""How long the picture waits for what covers it, at most, and how often it looks whether that is there."""


class Stage(QWidget):
    """Shows one dataset at a time.

    `hover_text` describes the pixel under the mouse, as a text, and as `Readout.choices`; `canvas_set` is
    emitted once there is a canvas, or another, `volume_wanted` when a volume is to be shown, or planes again,
    `plane_moved` when the plane in view is painted anew, or lies elsewhere on screen.
    """

    hover_text = Signal(str, object)
    canvas_set = Signal()
    volume_wanted = Signal(bool)
    plane_moved = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volume_due = 0.0
        self.panes: ShowsPlane | None = None
        """What shows the plane instead of the canvas while it is on screen."""
        self.cover_comes_first: Callable[[], bool] = lambda: False
        """Whether what covers the picture is about to appear: nobody sees a canvas that is built now."""
        self._waits = ViewWaits()
        self.sliders = part_made(AxisSliders)
        self.sliders.moved.connect(self._on_moved)
        self.sliders.projection_changed.connect(self._on_projection_changed)
        self.sliders.projection_control.method_changed.connect(self._on_method_changed)
        self.sliders.set_busy_check(self._is_busy)
        self.sliders.held_paint.released.connect(self.say_place)
        self.stamp_of: Callable[[View, ImageInfo | DatasetInfo], str] = lambda view, of: time_text(view.t, of)
        """When a view was acquired, in words."""
        self.recorded_of: Callable[[int], float | None] = lambda t: None
        """When a time point was acquired, as recorded: in s since the run began, where that is known."""
        self._position = PositionInView(self.sliders, lambda t: self.recorded_of(t))
        self.channels = ChannelControls(self)
        self.strips = self.channels.strips
        self.strips.mode_changed.connect(self._on_mode_changed)
        self.also_under_mouse: Callable[[int, int], str] = lambda row, column: ""
        """What else there is to say of a pixel of the image, at a row and a column."""
        self._under_mouse: object = None  # row and column, as last told by the canvas
        self.picture = part_made(PicturePane)
        """Where the picture is, also before there is a canvas."""
        self.picture.uncovered.connect(self._on_uncovered)
        self.overlay = self.picture.overlay
        self.fit_button = self.picture.fit_button
        self.go_box = self.picture.go_box
        self.splitter = StageSplitter(self.picture, self.sliders, self.strips)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.splitter)
        self._build_timer = QTimer(self)
        self._build_timer.setSingleShot(True)
        self._build_timer.timeout.connect(self._on_build_due)
        self._build_by = 0.0

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def canvas(self) -> Canvas | None:
        """The picture; None until what draws it has been imported."""
        return self.picture.canvas

    @property
    def plane_shown_by(self) -> ShowsPlane | None:
        """What shows the plane in view: the canvas, or the panes of single channels that cover it."""
        panes = self.panes
        return panes if panes is not None and panes.projection() is not None else self.canvas

    @property
    def image(self) -> ImageInfo | None:
        """What the position in view contains; None while that is not known."""
        return self._position.image

    @property
    def n_z(self) -> int:
        """How many planes the stack in view has, as far as is known."""
        return self._position.n_z

    @property
    def dataset(self) -> Dataset | None:
        """What is shown, None after `clear`."""
        return self._position.dataset

    def set_canvas(self, canvas: Canvas) -> None:
        """Insert the canvas, also in place of another one; everything else already works before that."""
        self.channels.set_canvas(canvas)
        canvas.set_volume_method(self.sliders.projection_control.method)
        self.picture.set_canvas(canvas)
        canvas.frame_arrived.connect(self._on_frame_arrived)
        canvas.hovered.connect(self._on_hovered)
        canvas.painted.connect(self.plane_moved)
        self.canvas_set.emit()
        if self.dataset is not None:
            self._build_soon()

    def show_dataset(self, dataset: Dataset) -> None:
        """Show `dataset` from its first plane on; the previous one is released."""
        dataset.measure_what_is_read()
        dataset.keep_stored_order()
        self._on_hovered(None)
        self._waits.clear()
        self.sliders.stop_playing()
        self.strips.set_3d(False)
        self.sliders.show_volume(False)
        self._position.show(dataset)
        self.volume_wanted.emit(False)
        self.picture.restore(None, None)
        self.channels.show_dataset(dataset.info)
        self._show_own_strips()
        self.overlay.set_state("waiting" if dataset.live else "loading", "")
        self._build_soon()
        self.say_place()

    def clear(self) -> None:
        """Show nothing."""
        self.sliders.stop_playing()
        self._build_timer.stop()
        self._position.clear()
        self._waits.clear()
        self.picture.clear()

    def take(self, changes: Changes) -> None:
        """Redraw what has changed; called by the one timer that polls the dataset."""
        if self.dataset is None:
            return
        if changes.info:
            self._take_info(self.dataset.info)
        if changes.in_view:
            self._draw_again()

    def refresh(self) -> None:
        """Redraw whatever has changed, after a time without polling."""
        if self.dataset is not None:
            self._take_info(self.dataset.info)
            self._draw_again()

    def _draw_again(self) -> None:
        if self.canvas is None:
            return
        if self.strips.is_3d():
            self._refresh_volume()
        else:
            self.canvas.refresh()

    def _refresh_volume(self) -> None:
        assert self.canvas is not None
        wait = self._volume_due - time.monotonic()
        if wait > 0:
            QTimer.singleShot(int(wait * 1000) + 1, self.canvas.refresh)
            return
        self._volume_due = time.monotonic() + _VOLUME_REPAINT_SECONDS
        self.canvas.refresh()

    def _take_info(self, info: DatasetInfo) -> None:
        """Apply new metadata: sizes go to the sliders; the canvas is rebuilt if it depends on the change."""
        before = self._position.info
        has_moved = self._position.take_info(info)
        if has_moved and self.canvas is not None:
            self.canvas.show_view(self.view)
        if not self.sliders.held_paint.is_held:
            self.say_place()
        self._say_whether_3d()
        is_3d = self.strips.is_3d()
        if before is None or built_on(before, is_3d=is_3d) == built_on(info, is_3d=is_3d):
            self._show_own_strips()
            return
        self.channels.take_info(info)
        self._show_own_strips()
        if not self._build_timer.isActive():
            self._build_soon()

    def _build_soon(self) -> None:
        """Build the canvas from the event loop: it takes a while, and the host is waiting for a start."""
        if self.canvas is not None:
            self.canvas.release()
            self._build_by = time.monotonic() + _COVERED_SECONDS
            self._build_timer.start(0)

    @safe_slot
    def _on_build_due(self) -> None:
        if self.canvas is None or self.dataset is None:
            return
        if self.canvas.drop_released():
            self._build_timer.start(0)  # the host's events come between
        elif self.cover_comes_first() and time.monotonic() < self._build_by:
            self._build_timer.start(_COVERED_MS)
        else:
            self._build()

    @safe_slot
    def _on_uncovered(self) -> None:
        if self._build_timer.isActive():
            self._build_timer.start(0)

    def _build(self) -> None:
        assert self.canvas is not None and self.dataset is not None and self._position.info is not None
        dataset = self.dataset
        if not self.canvas.show_dataset(dataset, self.view, self.channels.contrasts):
            return
        if self.dataset is not dataset:  # closed, or followed by another, while the event loop ran in there
            if self.dataset is None:
                self.canvas.clear()
            return
        self.channels.apply_to_canvas()
        self.picture.begin()
        self._say_whether_3d()

    def _say_whether_3d(self) -> None:
        why_not = "" if self.n_z > 1 or self.strips.is_3d() else "only one z plane: no volume"
        self.strips.set_3d_enabled(not why_not, why_not)

    # ---- as it was left --------------------------------------------------------------------

    @property
    def has_picture(self) -> bool:
        """Whether anything has been drawn of the dataset."""
        return self.canvas is not None and self.canvas.frame is not None

    @property
    def volume_look(self) -> VolumeLook:
        """Whether the stack is shown as a volume, and how that is drawn."""
        control = self.sliders.projection_control
        return VolumeLook(self.strips.is_3d(), control.method, *control.part)

    def show_volume_as(self, look: VolumeLook) -> None:
        """Draw volumes so, and show the stack as one; where there is no volume to show, planes of it."""
        self.sliders.projection_control.show_volume_so(look.method, (look.first, look.last))
        if self.canvas is not None:
            self.canvas.set_volume_method(look.method)
        may_be = self._position.info is not None and self._position.info.n_z > 1
        if (is_volume := look.is_shown and may_be) != self.strips.is_3d():
            self.strips.set_3d(is_volume)
            self._on_mode_changed(is_volume)

    # ---- what the position in view contains ------------------------------------------------

    def _take_known_image(self) -> None:
        """Apply what has become known of the position in view: sliders, channel strips, 3-D."""
        if self._position.take_image():
            self._show_own_strips()
            self._say_whether_3d()
            self._show_view()

    def _show_own_strips(self) -> None:
        self.channels.show_only_those_of(self.image)

    # ---- position --------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """The indices on screen, as set by the sliders and the 2D/3D switch."""
        index = self.sliders.index
        is_volume = self.strips.is_3d()
        projection = None if is_volume else self.sliders.projection
        part = self.sliders.projection_control.part if is_volume else (0, None)
        return View(index("t"), index("p"), index("z"), is_volume, projection, part)

    def visible_channels(self) -> tuple[int, ...]:
        """The channels that are drawn, of those that the position in view has."""
        info = self._position.info
        own = None if self.image is None or info is None else info.channels_of(self.image)
        return tuple(c for c in self.channels_on() if own is None or c in own)

    def channels_on(self) -> tuple[int, ...]:
        """The same of all fields, where these are shown."""
        return tuple(c for c in self.strips.shown() if self.strips.is_channel_visible(c))

    def go_to(self, t: int | None = None, p: int | None = None, z: int | None = None) -> None:
        """Move to these indices as if the sliders had been moved; None means no change."""
        if self.dataset is not None and self.dataset.info is not self._position.info:
            self._take_info(self.dataset.info)  # the sliders must cover what the caller knows
        if p is not None:
            self.sliders.set_index("p", p)
            self._on_position()
        for axis, index in (("t", t), ("z", z)):
            if index is not None:
                self._position.move_to(axis, index)
        self._show_view()

    def follow_to(self, **indices: int) -> None:
        """Like `go_to`; what is said of the place is painted with the frame if moves follow each other."""
        self.sliders.held_paint.hold()
        self.go_to(**indices)

    def show_projection(self, projection: StackProjection | None) -> None:
        """Show the stack projected so, as if the user had chosen it; None: one plane of it."""
        if projection != self.sliders.projection:
            self.sliders.show_projection(projection)
            self._show_view()

    def _on_position(self) -> None:
        """Another position is in view: take what is known of it; the rest comes with its first frame."""
        if self._position.take_position() and self.image is not None:
            self._show_own_strips()
            self._say_whether_3d()

    def show_channel(self, c: int) -> None:
        """Make a channel visible."""
        self.channels.show(c)

    def _show_view(self) -> None:
        if not self.sliders.held_paint.is_held:
            self.say_place()
        if self.canvas is not None:
            self.canvas.show_view(self.view)

    @safe_slot
    def say_place(self) -> None:
        """Write over the picture what it shows, which is not yet what the sliders say while that is read."""
        info, view, image, volume = self._position.info, self.view, self.image, ""
        frame = self.canvas.frame if self.canvas is not None else None
        if frame is not None:
            view, image, volume = frame.view, frame.image or image, frame.volume
        if info is None or view.p >= len(info.positions):
            self.overlay.set_position("")
            return
        self.overlay.set_position(text_of_view(info, image, view, volume))
        facts = image or info
        self.overlay.set_time(self.stamp_of(view, facts) if facts.n_t > 1 else "")

    @property
    def progress(self) -> str:
        """How far what is shown has been read: "building an overview: 12 of 400 tiles"; else empty."""
        return self._waits.progress or (self.canvas.progress if self.canvas is not None else "")

    def say_wait(self, name: str) -> Wait | None:
        """Show over the canvas what is being waited for, once it takes long; returns it in any case.

        `name` is that of the dataset. Call repeatedly to update the seconds.
        """
        info, wait, volume = self._position.info, None, None
        if info is not None:
            volume = self.canvas.progress if self.canvas is not None and self.strips.is_3d() else None
            wait = self._waits.longest(info, name, is_drawing=self._is_busy(), volume=volume)
        self.overlay.set_wait(str(wait) if wait is not None and wait.is_slow else volume or "")
        return wait

    @property
    def is_busy(self) -> bool:
        """Whether a frame is being read or drawn, or time points are played."""
        return self._is_busy() or self.sliders.is_playing()

    def _is_busy(self) -> bool:
        return self.canvas is not None and self.canvas.busy

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_moved(self, axis: str, index: int) -> None:
        self.sliders.held_paint.release()
        if axis == "p":
            self._on_position()
        else:
            self._position.forget_move(axis)
        self._show_view()

    @safe_slot
    def _on_projection_changed(self) -> None:
        self._position.forget_move("z")
        self._show_view()

    @safe_slot
    def _on_method_changed(self, method: str) -> None:
        if self.canvas is not None:
            self.canvas.set_volume_method(method)

    @safe_slot
    def _on_mode_changed(self, is_3d: bool) -> None:
        self.sliders.show_volume(is_3d)
        self.volume_wanted.emit(is_3d)
        self._say_whether_3d()
        self._show_view()

    @safe_slot
    def _on_frame_arrived(self) -> None:
        frame = self.canvas.frame if self.canvas is not None else None
        self.sliders.held_paint.release()
        if frame is None or self._position.info is None:
            return
        if frame.view.p == self.sliders.index("p"):
            self._take_known_image()
        self.say_place()
        self._say_states(frame)
        if self.dataset is not None:
            self._waits.take_frame(frame, self.dataset)
        if self._under_mouse is not None:
            self.say_under_mouse()
        self.channels.shown.take_frame(frame)

    def _say_states(self, frame: Frame) -> None:
        assert self._position.info is not None
        names = [channel.name for channel in self._position.info.channels]
        said = states_of_channels(frame)
        for c in range(len(self.strips)):
            self.strips.set_state(c, *said.get(c, ("", "")))
        self.overlay.set_state(*state_of_view(frame, names))

    @safe_slot
    def _on_hovered(self, place: object) -> None:
        self._under_mouse = place
        self.say_under_mouse()

    def say_under_mouse(self) -> None:
        """Tell the value under the mouse; again whenever the picture has changed."""
        place = self._under_mouse
        frame = self.canvas.frame if self.canvas is not None else None
        if not isinstance(place, tuple) or frame is None or self._position.info is None:
            self.hover_text.emit("", ())
            return
        info = self._position.info
        names = [channel.name for channel in info.channels]
        position = info.positions[frame.view.p] if frame.view.p < len(info.positions) else None
        row, column = place
        readout = readout_at(frame, names, row, column, position)
        if readout is None:
            self.hover_text.emit("", ())
            return
        more = self.also_under_mouse(row, column)
        if more:
            readout = readout._replace(more=(*readout.more, more))
        self.hover_text.emit(str(readout), readout.choices(self.strips.color_of))
