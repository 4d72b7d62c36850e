"""A dataset on screen: canvas, overlay, sliders and channel strips, connected to each other.

GUI thread only. Runs and files are the business of `viewer`; nothing is read here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from ..model import PlaneKey, PlaneState
from ..rendering.film_frames import time_text
from .canvas.canvas_view import View, VolumeLook
from .canvas.fit_button import FitButton
from .canvas.go_box import GoBox
from .canvas.overlay import CanvasOverlay
from .channel_settings.channel_controls import ChannelControls
from .panels.narrow_window import NarrowWindow
from .panels.sliders import AxisSliders
from .places.places_typed import HINT
from .plane_states import state_of_view, states_of_channels
from .slots import safe_slot
from .view_texts import counted, height_of, name_of, planes_text, projection_text, text_under_mouse, time_of
from .waiting import PlaneWaits, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.dataset import Changes, Dataset
    from ..engine.projections import StackProjection
    from ..model import DatasetInfo, ImageInfo
    from .canvas.display import Canvas
    from .canvas.view_frames import Frame
    from .canvas.zoom import VisibleArea

logger = logging.getLogger(__name__)

_VOLUME_REPAINT_SECONDS = 0.5  # a volume is read and uploaded as a whole, so not thirty times a second


class Stage(QWidget):
    """Shows one dataset at a time.

    `hover_text` describes the pixel under the mouse, `canvas_set` is emitted once there is a canvas.
    """

    hover_text = Signal(str)
    canvas_set = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dataset: Dataset | None = None
        self._info: DatasetInfo | None = None
        self._image: ImageInfo | None = None  # what the position in view contains, None while unknown
        self._asked: dict[str, int] = {}  # indices beyond the sizes known when they were asked for
        self._canvas: Canvas | None = None
        self._area_due: VisibleArea | None = None  # to be shown once there is a picture
        self._volume_due = 0.0
        self._covers: list[tuple[QWidget, str]] = []  # shown instead of the picture, the last of them
        self._waits = PlaneWaits()
        self._progress = ""
        self._drawing_since: float | None = None
        self.sliders = AxisSliders()
        self.sliders.moved.connect(self._on_moved)
        self.sliders.projection_changed.connect(self._on_projection_changed)
        self.sliders.projection_control.method_changed.connect(self._on_method_changed)
        self.sliders.set_busy_check(self._is_busy)
        self.channels = ChannelControls(self)
        self.strips = self.channels.strips
        self.strips.mode_changed.connect(self._on_mode_changed)
        self._frame_place = QWidget()
        self.also_under_mouse: Callable[[int, int], str] = lambda row, column: ""
        """What else there is to say of a pixel of the image, at a row and a column."""
        self._under_mouse: object = None  # row and column, as last told by the canvas
        place = QVBoxLayout(self._frame_place)
        place.setContentsMargins(0, 0, 0, 0)
        self._frame_place.setMinimumSize(160, 120)
        self.overlay = CanvasOverlay(self._frame_place)
        self.fit_button = FitButton(self._frame_place)
        self.fit_button.clicked.connect(self._on_fit_clicked)
        self.go_box = GoBox(self._frame_place, HINT)
        self._scale_timer = QTimer(self)
        self._scale_timer.setInterval(150)
        self._scale_timer.timeout.connect(self._update_scale_bar)
        self._build_timer = QTimer(self)
        self._build_timer.setSingleShot(True)
        self._build_timer.timeout.connect(self._on_build_due)
        self._lay_out()

    def _lay_out(self) -> None:
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._around = QWidget()
        around = QGridLayout(self._around)
        around.setContentsMargins(0, 0, 0, 0)
        around.setSpacing(2)
        around.addWidget(self._frame_place, 0, 0)
        around.setRowStretch(0, 1)
        around.setColumnStretch(0, 1)
        column.addWidget(self._around, 1)
        self._left_column = column
        column.addWidget(self.sliders)
        self.splitter = QSplitter()
        self.splitter.addWidget(left)
        self._right = QWidget()
        beside = QVBoxLayout(self._right)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addWidget(self.strips, 1)
        self.splitter.addWidget(self._right)
        NarrowWindow(self.splitter, self._right)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 0)
        self.splitter.setCollapsible(0, False)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.splitter)

    def add_below(self, panel: QWidget) -> None:
        """Put a panel between the picture and the sliders."""
        self._left_column.insertWidget(1, panel)

    def put_around_picture(self, beside: QWidget, below: QWidget, corner: QWidget) -> None:
        """Put widgets right of the picture, below it, and between these two; hidden at first."""
        layout = self._around.layout()
        assert isinstance(layout, QGridLayout)
        for widget, row, column in ((beside, 0, 1), (below, 1, 0), (corner, 1, 1)):
            widget.hide()
            layout.addWidget(widget, row, column)

    def cover_picture(self, widget: QWidget, way_back: str) -> None:
        """Show another widget instead of the picture or its cover; `way_back` says how to leave it."""
        layout = self._frame_place.layout()
        assert layout is not None
        if layout.indexOf(widget) < 0:
            layout.addWidget(widget)
        if self._covers:
            self._covers[-1][0].hide()
        self._covers = [each for each in self._covers if each[0] is not widget]
        self._covers.append((widget, way_back))
        if self._canvas is not None:
            self._canvas.hide()
        for each in (self.overlay, self.fit_button):
            each.hide()
        widget.show()
        widget.raise_()  # over what is drawn over the picture as well
        self.go_box.raise_()

    def uncover_picture(self, widget: QWidget) -> None:
        """Show again what a widget covers: another one, or the picture."""
        self._covers = [each for each in self._covers if each[0] is not widget]
        widget.hide()
        if self._covers:
            self._covers[-1][0].show()
            return
        if self._canvas is not None:
            self._canvas.show()
        self.overlay.show()
        self._update_scale_bar()

    def add_left(self, panels: QWidget) -> None:
        """Put panels left of the picture."""
        self.splitter.insertWidget(0, panels)
        self.splitter.setStretchFactor(0, 0)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setCollapsible(1, False)

    def add_below_channels(self, panel: QWidget) -> None:
        """Put a panel below the channel strips."""
        layout = self._right.layout()
        assert layout is not None
        layout.addWidget(panel)

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def canvas(self) -> Canvas | None:
        """The picture; None until what draws it has been imported."""
        return self._canvas

    @property
    def image(self) -> ImageInfo | None:
        """What the position in view contains; None while that is not known."""
        return self._image

    @property
    def picture(self) -> QWidget:
        """Where the picture is, also before there is a canvas."""
        return self._frame_place

    @property
    def picture_room(self) -> QWidget:
        """The picture with what is put around it."""
        return self._around

    @property
    def n_z(self) -> int:
        """How many planes the stack in view has, as far as is known."""
        return self._image.n_z if self._image is not None else self._info.n_z if self._info is not None else 1

    @property
    def is_covered(self) -> bool:
        """Whether another widget is shown instead of the picture: the overview, or channels side by side."""
        return bool(self._covers)

    @property
    def way_back(self) -> str:
        """How to leave what covers the picture, in words; "" if nothing does."""
        return self._covers[-1][1] if self._covers else ""

    @property
    def dataset(self) -> Dataset | None:
        """What is shown, None after `clear`."""
        return self._dataset

    def set_canvas(self, canvas: Canvas) -> None:
        """Insert the canvas, also in place of another one; everything else already works before that."""
        before, self._canvas = self._canvas, canvas
        self.channels.set_canvas(canvas)
        canvas.set_volume_method(self.sliders.projection_control.method)
        layout = self._frame_place.layout()
        assert layout is not None
        if before is not None:
            before.clear()
            layout.removeWidget(before)
            before.setParent(None)
            before.deleteLater()
        layout.addWidget(canvas)
        if canvas.why_flat and self.strips.is_3d():
            self.strips.set_3d(False)
            self.sliders.show_volume(False)
        self._say_whether_3d()
        self.overlay.raise_()
        self.fit_button.raise_()
        self.go_box.raise_()
        if self.is_covered:
            canvas.hide()
        canvas.frame_arrived.connect(self._on_frame_arrived)
        canvas.frame_shown.connect(self._update_scale_bar)
        canvas.hovered.connect(self._on_hovered)
        self.canvas_set.emit()
        if self._dataset is not None:
            self._build_soon()

    def show_dataset(self, dataset: Dataset) -> None:
        """Show `dataset` from its first plane on; the previous one is released."""
        self._dataset, self._info = dataset, dataset.info
        dataset.measure_what_is_read()
        self._image = None
        self._asked.clear()
        self._area_due = None
        self._on_hovered(None)
        self._waits.clear()
        self._progress = ""
        self.sliders.stop_playing()
        for axis in ("t", "z", "p"):
            self.sliders.set_index(axis, 0)
        self.sliders.begin_anew()
        if self._info.first_position:
            self.sliders.set_sizes({"p": len(self._info.positions)})
            self.sliders.set_index("p", self._info.first_position)
        self.strips.set_3d(False)
        self.sliders.show_volume(False)
        self.channels.show_dataset(self._info)
        self._image = self._known_image()
        self._take_sizes()
        self._show_own_strips()
        self.overlay.set_state("waiting" if dataset.live else "loading", "")
        self._say_position()
        self._build_soon()

    def clear(self) -> None:
        """Show nothing."""
        self.sliders.stop_playing()
        self._scale_timer.stop()
        self._build_timer.stop()
        self._dataset = self._info = self._image = None
        self._waits.clear()
        self._progress = ""
        if self._canvas is not None:
            self._canvas.clear()

    def take(self, changes: Changes) -> None:
        """Redraw what has changed; called by the one timer that polls the dataset."""
        if self._dataset is None:
            return
        if changes.info:
            self._take_info(self._dataset.info)
        if changes.in_view:
            self._draw_again()

    def refresh(self) -> None:
        """Redraw whatever has changed, after a time without polling."""
        if self._dataset is not None:
            self._take_info(self._dataset.info)
            self._draw_again()

    def _draw_again(self) -> None:
        if self._canvas is None:
            return
        if self.strips.is_3d():
            self._refresh_volume()
        else:
            self._canvas.refresh()

    def _refresh_volume(self) -> None:
        assert self._canvas is not None
        wait = self._volume_due - time.monotonic()
        if wait > 0:
            QTimer.singleShot(int(wait * 1000) + 1, self._canvas.refresh)
            return
        self._volume_due = time.monotonic() + _VOLUME_REPAINT_SECONDS
        self._canvas.refresh()

    def _take_info(self, info: DatasetInfo) -> None:
        """Apply new metadata: sizes go to the sliders; the canvas is rebuilt if it depends on the change."""
        before, self._info = self._info, info
        self._stay_at_position(before, info)
        self._image = self._known_image()
        self._take_sizes()
        self._say_position()
        self._say_whether_3d()
        is_3d = self.strips.is_3d()
        if before is None or _built_on(before, is_3d=is_3d) == _built_on(info, is_3d=is_3d):
            self._show_own_strips()
            return
        self.channels.take_info(info)
        self._show_own_strips()
        if not self._build_timer.isActive():
            self._build_soon()

    def _stay_at_position(self, before: DatasetInfo | None, info: DatasetInfo) -> None:
        """Keep the position in view where others were inserted before it, as wells of a plate are."""
        p = self.sliders.index("p")
        if before is None or before.positions is info.positions or p >= len(before.positions):
            return
        label = before.positions[p].label
        if p < len(info.positions) and info.positions[p].label == label:
            return
        labels = [position.label for position in info.positions]
        if label in labels:
            self.sliders.set_sizes({"p": len(labels)})
            self.sliders.set_index("p", labels.index(label))
            if self._canvas is not None:
                self._canvas.show_view(self.view)

    def _build_soon(self) -> None:
        """Build the canvas from the event loop: it takes a while, and the host is waiting for a start."""
        if self._canvas is not None:
            self._canvas.release()
            self._build_timer.start(0)

    @safe_slot
    def _on_build_due(self) -> None:
        if self._canvas is None or self._dataset is None:
            return
        if self._canvas.drop_released():
            self._build_timer.start(0)  # the host's events come between
        else:
            self._build()

    def _build(self) -> None:
        assert self._canvas is not None and self._dataset is not None and self._info is not None
        dataset = self._dataset
        if not self._canvas.show_dataset(dataset, self.view, self.channels.contrasts):
            return
        if self._dataset is not dataset:  # closed, or followed by another, while the event loop ran in there
            if self._dataset is None:
                self._canvas.clear()
            return
        self.channels.apply_to_canvas()
        if self._area_due is not None:
            self._canvas.show_area_first(self._area_due)
        self._say_whether_3d()
        self._scale_timer.start()

    def _say_whether_3d(self) -> None:
        why_not = "" if self.n_z > 1 or self.strips.is_3d() else "only one z plane: no volume"
        if not why_not and self._canvas is not None:
            why_not = self._canvas.why_flat
        self.strips.set_3d_enabled(not why_not, why_not)

    # ---- as it was left --------------------------------------------------------------------

    @property
    def has_picture(self) -> bool:
        """Whether anything has been drawn of the dataset."""
        return self._canvas is not None and self._canvas.frame is not None

    @property
    def area(self) -> VisibleArea | None:
        """What is seen of the picture; None if it fits the window, and in a volume."""
        if self._area_due is not None or self._canvas is None or self._canvas.is_fitting:
            return self._area_due
        return self._canvas.visible_area()

    def restore_area(self, area: VisibleArea | None) -> None:
        """Show this part of the picture once there is one."""
        self._area_due = area

    @property
    def volume_look(self) -> VolumeLook:
        """Whether the stack is shown as a volume, and how that is drawn."""
        control = self.sliders.projection_control
        return VolumeLook(self.strips.is_3d(), control.method, *control.part)

    def show_volume_as(self, look: VolumeLook) -> None:
        """Draw volumes so, and show the stack as one; where there is no volume to show, planes of it."""
        self.sliders.projection_control.show_volume_so(look.method, (look.first, look.last))
        if self._canvas is not None:
            self._canvas.set_volume_method(look.method)
        may_be = self._info is not None and self._info.n_z > 1
        if self._canvas is not None and self._canvas.why_flat:
            may_be = False
        is_volume = look.is_shown and may_be
        if is_volume != self.strips.is_3d():
            self.strips.set_3d(is_volume)
            self._on_mode_changed(is_volume)

    # ---- what the position in view contains ------------------------------------------------

    def _known_image(self) -> ImageInfo | None:
        """What the position in view contains; not looked up here, since that may block."""
        return self._dataset.known_image(self.sliders.index("p")) if self._dataset is not None else None

    def _take_known_image(self) -> None:
        """Apply what has become known of the position in view: sliders, channel strips, 3-D."""
        assert self._dataset is not None
        image, p = self._known_image(), self.sliders.index("p")
        asked = self._asked if self._dataset.has_looked_at(p) else {}
        if image is None or (image == self._image and not asked):
            return
        self._image = image
        self._take_sizes()
        self._show_own_strips()
        self._say_whether_3d()
        for axis, index in asked.items():
            self.sliders.set_index(axis, index)
        asked.clear()
        self._say_position()
        if self._canvas is not None:
            self._canvas.show_view(self.view)

    def _show_own_strips(self) -> None:
        self.channels.show_only_those_of(self._image)

    def _take_sizes(self) -> None:
        assert self._info is not None and self._dataset is not None
        info, image = self._info, self._image
        n_z = info.n_z if image is None else image.n_z
        n_t = info.n_t if image is None or self._dataset.live else image.n_t
        step = None if image is None else image.z_step_um
        self.sliders.set_sizes({"t": n_t, "z": n_z, "p": len(info.positions)})
        self.sliders.set_value_text(
            "t", lambda i: counted(i, n_t, "" if image is None else time_of(i, image))
        )
        self.sliders.set_value_text("z", lambda i: self._z_text(i, n_z, step))
        self.sliders.set_value_text("p", lambda i: self._position_text(info, i))

    def _z_text(self, z: int, n_z: int, step_um: float | None) -> str:
        control = self.sliders.projection_control
        if control.is_volume or self.sliders.projection is not None:
            return planes_text(control.planes, n_z, step_um)
        return counted(z, n_z, height_of(z, step_um))

    def _position_text(self, info: DatasetInfo, p: int) -> str:
        """A position and how many there are; not which of them: fields are named by numbers of their own."""
        n = self.sliders.group_size("p")
        many = f"{len(info.positions)} positions" if n is None else f"{n} field{'s' if n > 1 else ''}"
        return f"{name_of(info.positions[p])}   {many}"

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
        return tuple(c for c in self.strips.shown() if self.strips.is_channel_visible(c))

    def go_to(self, t: int | None = None, p: int | None = None, z: int | None = None) -> None:
        """Move to these indices as if the sliders had been moved; None means no change."""
        if self._dataset is not None and self._dataset.info is not self._info:
            self._take_info(self._dataset.info)  # the sliders must cover what the caller knows
        if p is not None:
            self.sliders.set_index("p", p)
            self._on_position()
        for axis, index in (("t", t), ("z", z)):
            if index is not None:
                self.sliders.set_index(axis, index)
                if index != self.sliders.index(axis):
                    self._asked[axis] = index  # there may be as many at a position not looked at yet
        self._show_view()

    def show_projection(self, projection: StackProjection | None) -> None:
        """Show the stack projected so, as if the user had chosen it; None: one plane of it."""
        if projection != self.sliders.projection:
            self.sliders.show_projection(projection)
            self._show_view()

    def _on_position(self) -> None:
        """Another position is in view: take what is known of it; the rest comes with its first frame."""
        self._asked.clear()
        if self._dataset is None:
            return
        image = self._known_image()
        if image is None or image != self._image:
            self._image = image
            self._take_sizes()
            if image is not None:
                self._show_own_strips()
                self._say_whether_3d()

    def show_channel(self, c: int) -> None:
        """Make a channel visible."""
        self.channels.show(c)

    def _show_view(self) -> None:
        self._say_position()
        if self._canvas is not None:
            self._canvas.show_view(self.view)

    def _say_position(self) -> None:
        info = self._info
        p = self.sliders.index("p")
        if info is None or p >= len(info.positions):
            self.overlay.set_position("")
            return
        parts = [name_of(info.positions[p])]
        facts = self._image or info
        if facts.n_t > 1:
            parts.append(f"t {self.sliders.index('t') + 1}")
        frame = self._canvas.frame if self._canvas is not None else None
        if self.strips.is_3d():
            parts.append(f"3-D   {frame.volume}" if frame is not None and frame.volume else "3-D")
        projection = self.sliders.projection
        if facts.n_z > 1 and not self.strips.is_3d():
            z = f"z {self.sliders.index('z') + 1}"
            parts.append(z if projection is None else projection_text(projection, facts.n_z))
        self.overlay.set_position("  ·  ".join(parts))
        self.overlay.set_time(time_text(self.sliders.index("t"), facts))

    @property
    def progress(self) -> str:
        """How far what is shown has been read: "building an overview: 12 of 400 tiles"; else empty."""
        return self._progress or (self._canvas.progress if self._canvas is not None else "")

    def say_wait(self, name: str) -> Wait | None:
        """Show over the canvas what is being waited for, once it takes long; returns it in any case.

        `name` is that of the dataset. Call repeatedly to update the seconds.
        """
        wait = self._wait(name)
        self.overlay.set_wait(str(wait) if wait is not None and wait.is_slow else "")
        return wait

    def _wait(self, name: str) -> Wait | None:
        if self._dataset is None or self._info is None:
            return None
        if not self._is_busy():
            self._drawing_since = None
            return self._waits.longest(self._info, name)
        self._drawing_since = self._drawing_since or time.monotonic()
        if self.strips.is_3d():  # read as a whole: until it has arrived, no plane counts as waiting
            return Wait(f"the volume of {name}", self._drawing_since)
        return self._waits.longest(self._info, name) or Wait(f"the view of {name}", self._drawing_since)

    @property
    def is_busy(self) -> bool:
        """Whether a frame is being read or drawn, or time points are played."""
        return self._is_busy() or self.sliders.is_playing()

    def _is_busy(self) -> bool:
        return self._canvas is not None and self._canvas.busy

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_moved(self, axis: str, index: int) -> None:
        if axis == "p":
            self._on_position()
        else:
            self._asked.pop(axis, None)
        self._show_view()

    @safe_slot
    def _on_projection_changed(self) -> None:
        self._asked.pop("z", None)
        self._show_view()

    @safe_slot
    def _on_method_changed(self, method: str) -> None:
        if self._canvas is not None:
            self._canvas.set_volume_method(method)

    @safe_slot
    def _on_mode_changed(self, is_3d: bool) -> None:
        self.sliders.show_volume(is_3d)
        self._say_whether_3d()
        self._show_view()

    @safe_slot
    def _on_frame_arrived(self) -> None:
        frame = self._canvas.frame if self._canvas is not None else None
        if frame is None or self._info is None:
            return
        if frame.view.p == self.sliders.index("p"):
            self._take_known_image()
        if frame.view.is_volume:
            self._say_position()
        self._say_states(frame)
        self._note_waits(frame)
        if self._under_mouse is not None:
            self.say_under_mouse()
        self.channels.take_frame(frame)

    def _note_waits(self, frame: Frame) -> None:
        if self._dataset is not None:
            t, p = frame.view.t, frame.view.p
            loading = [(c, plane) for c, plane in frame.planes.items() if plane.state is PlaneState.LOADING]
            waiting = (PlaneKey(t, p, c, frame.z) for c, plane in loading if not plane.reason)
            self._waits.update(waiting, self._dataset, frame.level)
            self._progress = next((plane.reason for _, plane in loading), "")

    def _say_states(self, frame: Frame) -> None:
        assert self._info is not None
        names = [channel.name for channel in self._info.channels]
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
        frame = self._canvas.frame if self._canvas is not None else None
        if not isinstance(place, tuple) or frame is None or self._info is None:
            self.hover_text.emit("")
            return
        names = [channel.name for channel in self._info.channels]
        text, more = text_under_mouse(frame, names, *place), self.also_under_mouse(*place)
        self.hover_text.emit(f"{text} | {more}" if text and more else text)

    @safe_slot
    def _on_fit_clicked(self) -> None:
        if self._canvas is not None:
            self._canvas.reset_view()
            self._update_scale_bar()

    @safe_slot
    def _update_scale_bar(self) -> None:
        if self._canvas is not None and self._canvas.is_complete:
            self._area_due = None
        may_be_back = self._canvas is not None and not self.is_covered
        self.fit_button.show_if(may_be_back and not self._canvas.is_fitting)
        self.overlay.set_um_per_px(self._canvas.um_per_screen_pixel() if self._canvas is not None else None)


def _built_on(info: DatasetInfo, *, is_3d: bool) -> tuple[object, ...]:
    """The properties that cannot change once the canvas is built: of the first image, and of all together.

    A stack may grow while one of its planes is in view, as a file does to which pages are appended.
    """
    first = info.groups[0]
    return (
        info.channels,
        *({image.dtype: None for image in info.groups}),
        first.height,
        first.width,
        first.pixel_size_um,
        first.pixel_size_y_um,
        first.z_step_um,
        first.n_z if is_3d else None,
    )
