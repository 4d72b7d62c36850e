"""Pixels on screen: one ndv viewer per dataset, asked for one frame at a time.

`DatasetWrapper` is what ndv reads from (in its own threads); `Canvas` decides on the GUI thread when
it may ask. ndv drops every request but the newest, so asking faster than it draws would show
nothing at all: a new frame is asked for only once the last one has arrived.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

os.environ.setdefault("NDV_CANVAS_BACKEND", "vispy")

import cmap
import ndv
from ndv.models import ArrayDisplayModel, ChannelMode, ClimsManual, LUTModel
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..model import Plane, PlaneKey, PlaneState
from .canvas_view import MAX_CHANNELS_SHOWN, View
from .contrast import Contrast, contrast_of
from .slots import safe_slot

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # Qt 5 has it among the widgets
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from typing import TypeGuard

    from qtpy.QtCore import QObject

    from ..dataset import Dataset
    from ..model import Channel, DatasetInfo

logger = logging.getLogger(__name__)

MAX_TEXTURE_3D = 2048
MAX_VOLUME_BYTES = 256 * 1024**2
"""What one volume view (all its channels) may hold; larger ones are shown at lower resolution."""

_NO_MARGIN = 1e-9  # vispy takes 0 for "not given" and adds 0.1 world units
_VOLUME_BATCH = 8  # planes read between two looks at whether the volume is still wanted


class Frame(NamedTuple):
    """What ndv was last given: per channel its plane (pixels as read) and what contrast it suggests."""

    view: View
    planes: dict[int, Plane]
    contrasts: dict[int, Contrast]
    downsampled: tuple[float, float, float] = (1.0, 1.0, 1.0)  # z, y, x


class _Place(NamedTuple):
    """A part of the picture: from, to along x and y, µm."""

    x: tuple[float, float]
    y: tuple[float, float]


class DatasetWrapper(ndv.DataWrapper["Dataset"]):
    """A dataset as ndv wants it: dims (c, z, y, x); time and position are set from outside.

    `view` and `visible` are set on the GUI thread while no request is under way; `isel` runs in
    ndv's threads and never raises.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.dataset = dataset
        self.view = View()
        self.visible: frozenset[int] = frozenset(range(self._n_channels))
        self.frame: Frame | None = None
        self._suggested: dict[int, tuple[np.ndarray, Contrast]] = {}
        self.wanted = True  # False once closed: a volume being read is given up

    @classmethod
    def supports(cls, obj: Any) -> TypeGuard[Any]:
        """Never by itself: we always hand ndv a wrapper."""
        return False

    @property
    def _n_channels(self) -> int:
        return min(len(self.dataset.info.channels), MAX_CHANNELS_SHOWN)

    @property
    def dims(self) -> tuple[Hashable, ...]:
        """Channel, z, row, column."""
        return ("c", "z", "y", "x")

    @property
    def coords(self) -> Mapping[Hashable, Sequence[Any]]:
        """Indices only: anything else costs ndv milliseconds per frame."""
        info = self.dataset.info
        sizes = (max(self._n_channels, 1), info.n_z, info.height, info.width)
        return {dim: range(max(size, 1)) for dim, size in zip(self.dims, sizes, strict=True)}

    @property
    def dtype(self) -> np.dtype:
        """The dtype planes are shown in."""
        return shown_dtype(self.dataset.info.dtype)

    def axis_scales(self) -> dict[Hashable, float]:
        """Voxel size in µm, so that what is on the canvas is to scale; 1 where it is not known."""
        return voxel_size(self.dataset.info)

    def summary_info(self) -> str:
        """Nothing: our own widgets say it."""
        return ""

    def isel(self, index: Mapping[int, int | slice]) -> np.ndarray:
        """Return (C, Z, Y, X) of the current view; channels not shown, or not there, are zero."""
        view, visible = self.view, sorted(self.visible)
        try:
            return self._volume(view, visible) if view.is_volume else self._plane(view, visible)
        except Exception:
            logger.exception("showing %s", view)
            return np.zeros((max(self._n_channels, 1), 1, 1, 1), self.dtype)

    def _plane(self, view: View, visible: list[int]) -> np.ndarray:
        keys = [PlaneKey(view.t, view.p, c, view.z) for c in visible]
        planes = dict(zip(visible, self.dataset.planes(keys), strict=True))
        shown = {c: shown_pixels(plane.pixels) for c, plane in planes.items() if plane.pixels is not None}
        info = self.dataset.info
        shape = next((pixels.shape for pixels in shown.values()), (max(info.height, 1), max(info.width, 1)))
        blank = np.zeros(shape, _common_dtype(shown, self.dtype))
        stack = [shown.get(c, blank) for c in range(max(self._n_channels, 1))]
        self._suggested = {c: self._suggestion(c, pixels) for c, pixels in shown.items()}
        self.frame = Frame(view, planes, {c: contrast for c, (_, contrast) in self._suggested.items()})
        return _Stack([p.astype(blank.dtype, copy=False) if p.shape == shape else blank for p in stack])  # type: ignore[return-value]

    def _suggestion(self, c: int, pixels: np.ndarray) -> tuple[np.ndarray, Contrast]:
        """The pixels and the contrast they suggest; worked out once for as long as they stay on screen."""
        known = self._suggested.get(c)
        return known if known is not None and known[0] is pixels else (pixels, contrast_of(pixels))

    def _volume(self, view: View, visible: list[int]) -> np.ndarray:
        info = self.dataset.info
        level, steps = self._resolution(info, max(len(visible), 1))
        zs = range(0, info.n_z, steps[0])
        keys = [PlaneKey(view.t, view.p, c, z) for c in visible for z in zs]
        height, width = self.dataset.plane_shape(level)
        shape = (len(zs), -(-height // steps[1]), -(-width // steps[1]))
        out = np.zeros((max(self._n_channels, 1), *shape), self.dtype)
        worst: dict[int, Plane] = {}
        for start in range(0, len(keys), _VOLUME_BATCH):
            batch = keys[start : start + _VOLUME_BATCH]
            for key, plane in zip(batch, self.dataset.planes(batch, level, None, keys), strict=True):
                worst[key.c] = _worse(worst.get(key.c), plane)
                if plane.pixels is not None:
                    part = shown_pixels(plane.pixels[:: steps[1], :: steps[1]])
                    if part.shape == shape[1:]:
                        out[key.c, key.z // steps[0]] = part
            if not self.wanted or self.view != view:
                break
        contrasts = {c: contrast_of(out[c]) for c in visible}
        factors = (float(steps[0]), info.height / shape[1], info.width / shape[2])
        self.frame = Frame(view, worst, contrasts, factors)
        return out

    def _resolution(self, info: DatasetInfo, n_channels: int) -> tuple[int, tuple[int, int]]:
        """The level and the steps (z, yx) at which a volume of `n_channels` fits texture and budget."""
        z_step = -(-info.n_z // MAX_TEXTURE_3D)
        n_z = -(-info.n_z // z_step)
        for level in range(info.n_levels):
            height, width = self.dataset.plane_shape(level)
            step = 1
            while not _fits(n_z, height // step, width // step, n_channels * self.dtype.itemsize):
                step += 1
            if step == 1 or level == info.n_levels - 1:
                break
        return level, (z_step, step)


class _Stack:
    """Planes as ndv slices them, (C, 1, Y, X), not copied into one array: 30 ms for four of 2048²."""

    ndim = 4

    def __init__(self, planes: list[np.ndarray]) -> None:
        self._planes = planes
        self.dtype = planes[0].dtype
        self.shape = (len(planes), 1, *planes[0].shape)
        self.size = math.prod(self.shape)

    def __getitem__(self, index: tuple[int, None]) -> np.ndarray:
        """One channel, (1, 1, Y, X): the only thing ndv asks for."""
        return self._planes[index[0]][None, None]

    def __array__(self, *arguments: Any, **more: Any) -> np.ndarray:
        return np.asarray(np.stack(self._planes)[:, None], *arguments)


def _fits(n_z: int, height: int, width: int, bytes_per_voxel: int) -> bool:
    return max(height, width) <= MAX_TEXTURE_3D and n_z * height * width * bytes_per_voxel <= MAX_VOLUME_BYTES


def _worse(a: Plane | None, b: Plane) -> Plane:
    """Of the planes of a stack, the one whose state the user has to know; pixels left out."""
    order = (
        PlaneState.PRESENT,
        PlaneState.ABSENT,
        PlaneState.PENDING,
        PlaneState.LOADING,
        PlaneState.UNREADABLE,
    )
    worst = b if a is None or order.index(b.state) > order.index(a.state) else a
    return worst._replace(pixels=None)


def shown_dtype(dtype: np.dtype | None) -> np.dtype:
    """The dtype a texture takes: uint8, uint16 or float32."""
    if dtype is None:
        return np.dtype(np.uint16)
    if dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        return dtype
    return np.dtype(np.uint8 if dtype == np.dtype(bool) else np.float32)


def shown_pixels(pixels: np.ndarray) -> np.ndarray:
    """`pixels` in the dtype they are shown in; complex ones as their magnitude."""
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
    return pixels.astype(shown_dtype(pixels.dtype), copy=False)


def _common_dtype(shown: dict[int, np.ndarray], default: np.dtype) -> np.dtype:
    return np.result_type(*shown.values()) if shown else default


def voxel_size(info: DatasetInfo) -> dict[Hashable, float]:
    """µm along z, y, x; where one is unknown, the pixel size; where none is, 1."""
    pixel = info.pixel_size_um or 1.0
    return {
        "z": info.z_step_um or pixel,
        "y": info.pixel_size_y_um or pixel,
        "x": info.pixel_size_x_um or pixel,
    }


def colormap(color: str) -> cmap.Colormap:
    """Black to `color`."""
    return cmap.Colormap(["#000000", color])


class Canvas(QWidget):
    """The picture: an ndv viewer without its controls, the request gate, hover and lost GL contexts.

    `frame_arrived` is emitted just before a frame is handed to the canvas, so that what goes with it
    is painted with it; `frame_shown` when it has been handed over; `hovered` with the position under
    the mouse (row, column; None outside).
    """

    frame_arrived = Signal()
    frame_shown = Signal()
    hovered = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setMinimumSize(160, 120)
        self._viewer: ndv.ArrayViewer | None = None
        self._wrapper: DatasetWrapper | None = None
        self._gl: QOpenGLWidget | None = None
        self._context: Any = None
        self._wanted = View()
        self._dirty = False
        self._auto: dict[int, bool] = {}
        self._place: _Place | None = None  # where the user had zoomed to, to go back to
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._on_idle)
        self._rebuild = QTimer(self)
        self._rebuild.setSingleShot(True)
        self._rebuild.timeout.connect(self._rebuild_viewer)

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def viewer(self) -> ndv.ArrayViewer | None:
        """The ndv viewer, None while there is no dataset."""
        return self._viewer

    @property
    def frame(self) -> Frame | None:
        """What is on the canvas."""
        return self._wrapper.frame if self._wrapper is not None else None

    @property
    def busy(self) -> bool:
        """Whether a frame has been asked for and has not arrived."""
        return self._viewer is not None and bool(self._viewer_model.show_progress_spinner)

    def show_dataset(self, dataset: Dataset, view: View, windows: dict[int, tuple[float, float]]) -> None:
        """Show `dataset`; channels with an entry in `windows` keep that contrast, the others are auto."""
        self.clear()
        self._wrapper = DatasetWrapper(dataset)
        self._wrapper.view = self._wanted = view
        channels = dataset.info.channels[:MAX_CHANNELS_SHOWN]
        self._auto = {c: c not in windows for c in range(len(channels))}
        self._viewer_model = _viewer_model()
        luts = {c: _lut(channel, windows.get(c)) for c, channel in enumerate(channels)}
        self._display = ArrayDisplayModel(
            visible_axes=("z", "y", "x") if view.is_volume else ("y", "x"),
            channel_axis="c",
            channel_mode=ChannelMode.COMPOSITE,
            luts=luts,  # type: ignore[arg-type]
        )
        self._build_viewer()

    def clear(self) -> None:
        """Show nothing, let go of the dataset."""
        if self._wrapper is not None:
            self._wrapper.wanted = False
        self._drop_viewer()
        self._wrapper = None
        self._dirty = False
        self._place = None

    def show_view(self, view: View) -> None:
        """Show other indices: now if nothing is under way, else as soon as it has arrived."""
        self._wanted = view
        self._flush()

    def refresh(self) -> None:
        """What is in view has changed: ask for it again."""
        self._dirty = True
        self._flush()

    def reset_view(self) -> None:
        """Fit the picture into the canvas."""
        if self._viewer is not None:
            self._viewer._canvas.set_range()
            self._viewer._canvas.refresh()

    # ---- channels --------------------------------------------------------------------------

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        if self._wrapper is None:
            return
        shown = self._wrapper.visible
        self._wrapper.visible = shown | {c} if visible else shown - {c}
        self._display.luts[c].visible = visible
        self.refresh()

    def set_color(self, c: int, color: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``."""
        if self._wrapper is not None:
            self._display.luts[c].cmap = colormap(color)

    def set_window(self, c: int, low: float, high: float) -> None:
        """Fix the contrast of a channel."""
        self._auto[c] = False
        self._set_clims(c, low, high)

    def set_auto(self, c: int, auto: bool) -> None:
        """Let the contrast of a channel follow what is shown, or leave it where it is."""
        self._auto[c] = auto
        frame = self.frame
        if auto and frame is not None and c in frame.contrasts:
            self._set_clims(c, *frame.contrasts[c].window)

    def limits(self, c: int) -> tuple[float, float] | None:
        """The contrast a channel is shown with, None before there is one."""
        clims = self._display.luts[c].clims if self._wrapper is not None else None
        return (clims.min, clims.max) if clims is not None and clims.is_manual else None

    def _set_clims(self, c: int, low: float, high: float) -> None:
        if self._wrapper is not None and self.limits(c) != (low, high):
            self._display.luts[c].clims = ClimsManual(min=low, max=high)

    # ---- the gate --------------------------------------------------------------------------

    def _flush(self) -> None:
        """Ask for the wanted frame unless one is under way."""
        if self._viewer is None or self._wrapper is None or self.busy:
            return
        if self._wanted == self._wrapper.view and not self._dirty:
            return
        volume_changed = self._wanted.is_volume != self._wrapper.view.is_volume
        self._dirty = False
        if volume_changed and self._wanted.is_volume:
            self._place = self._visible_place()
        self._wrapper.view = self._wanted
        if volume_changed:
            self._display.visible_axes = ("z", "y", "x") if self._wanted.is_volume else ("y", "x")
        else:
            self._wrapper.data_changed.emit()

    @safe_slot
    def _on_spinner(self, spinning: bool) -> None:
        # Called by ndv just before it uploads what has arrived: contrast set here is drawn with it.
        if not spinning:
            self._apply_contrast()
            self._apply_scales()
            self.frame_arrived.emit()
            self._later.start(0)

    def _apply_contrast(self) -> None:
        frame = self.frame
        if frame is None:
            return
        for c, contrast in frame.contrasts.items():
            if self._auto.get(c, True):
                self._set_clims(c, *contrast.window)

    def _apply_scales(self) -> None:
        """Voxels stay to scale when a volume is shown at lower resolution."""
        frame = self.frame
        if frame is None or self._wrapper is None:
            return
        scales = {}
        if frame.view.is_volume:
            size = voxel_size(self._wrapper.dataset.info)
            scales = {dim: size[dim] * factor for dim, factor in zip("zyx", frame.downsampled, strict=True)}
        if dict(self._display.scales) != scales:
            self._display.scales.clear()
            self._display.scales.update(scales)  # type: ignore[arg-type]

    # ---- zoom ------------------------------------------------------------------------------

    def _visible_place(self) -> _Place | None:
        """The part of the picture on screen in 2-D (µm), None in a volume."""
        if self._viewer is None or self._gl is None or self._wrapper is None or self._wrapper.view.is_volume:
            return None
        to_world = self._viewer._canvas.canvas_to_world
        left, top, _ = to_world((0, 0))
        right, bottom, _ = to_world((self._gl.width(), self._gl.height()))
        return _Place((float(left), float(right)), (float(top), float(bottom)))

    def _go_back_to_place(self) -> None:
        place, self._place = self._place, None
        if place is not None and self._viewer is not None:
            self._viewer._canvas.set_range(x=place.x, y=place.y, margin=_NO_MARGIN)

    @safe_slot
    def _on_idle(self) -> None:
        if self._viewer is None or self.busy:
            return
        frame = self.frame
        if self._place is not None and frame is not None and not frame.view.is_volume:
            self._go_back_to_place()
        self.frame_shown.emit()
        self._flush()

    # ---- the ndv viewer --------------------------------------------------------------------

    def _build_viewer(self) -> None:
        hook = sys.excepthook
        try:
            self._viewer = ndv.ArrayViewer(
                self._wrapper, display_model=self._display, viewer_options=self._viewer_model
            )
        finally:
            sys.excepthook = hook  # ndv puts its own in place; the host's crash log needs the host's
        _leave_buffers_to_qt(self._viewer._canvas)
        self._viewer_model = self._viewer._viewer_model
        self._viewer_model.show_controls = False  # ndv's Qt view ignores it when it is given at the start
        self._viewer_model.show_data_info = False
        self._viewer_model.events.show_progress_spinner.connect(self._on_spinner)
        widget = self._viewer.widget()
        layout = self.layout()
        assert layout is not None
        layout.addWidget(widget)
        inner = widget.layout()
        if inner is not None:
            inner.setContentsMargins(0, 0, 0, 0)
        widget.installEventFilter(self)
        self._gl = widget.findChild(QOpenGLWidget)
        if self._gl is not None:
            self._gl.installEventFilter(self)
            self._gl.setMouseTracking(True)
        if not self.busy:
            self._on_spinner(False)

    def _drop_viewer(self) -> None:
        self._later.stop()
        self._rebuild.stop()
        viewer, self._viewer = self._viewer, None
        context, self._gl, self._context = self._context, None, None
        if context is not None:
            with contextlib.suppress(RuntimeError, TypeError):  # it may be gone already
                context.aboutToBeDestroyed.disconnect(
                    self._on_context_lost
                )  # else its end rebuilds what follows
        if viewer is None:
            return
        if self._wrapper is not None:  # ndv does not let go of it, and would draw into a view that is gone
            self._wrapper.data_changed.disconnect(viewer._request_data, missing_ok=True)
            self._wrapper.dims_changed.disconnect(viewer._on_dims_changed, missing_ok=True)
        self._viewer_model.events.show_progress_spinner.disconnect(self._on_spinner)
        viewer._cancel_futures()
        viewer.close()
        widget = viewer.widget()
        widget.removeEventFilter(self)
        layout = self.layout()
        assert layout is not None
        layout.removeWidget(widget)
        viewer._canvas.close()
        widget.setParent(None)
        widget.deleteLater()

    @safe_slot
    def _rebuild_viewer(self) -> None:
        """The GL context is gone (moved to another window): build the viewer again, same display."""
        if self._viewer is None or self._wrapper is None:
            return
        logger.info("the OpenGL context was lost; building the canvas again")
        self._place = self._visible_place()
        self._drop_viewer()
        self._viewer_model = _viewer_model()
        self._build_viewer()
        self.frame_shown.emit()

    def _watch_context(self) -> None:
        context = self._gl.context() if self._gl is not None else None
        if context is None or context is self._context:
            return
        self._context = context
        context.aboutToBeDestroyed.connect(self._on_context_lost)

    @safe_slot
    def _on_context_lost(self) -> None:
        if self._viewer is not None:
            self._rebuild.start(0)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep from ndv what would stall it (hover picking) or confuse it (arrow keys)."""
        try:
            return self._filter(watched, event)
        except Exception:
            logger.exception("in the canvas's event filter")
            return False

    def _filter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None or self._viewer is None:
            return False
        kind = event.type()
        if watched is self._gl:
            if kind == QEvent.Type.Paint:
                self._watch_context()
            elif kind == QEvent.Type.Leave:
                self.hovered.emit(None)
            elif kind == QEvent.Type.MouseMove and event.buttons() == Qt.MouseButton.NoButton:  # type: ignore[attr-defined]
                self._hover(_position(event))
                return True  # each hover would cost ndv a picking render of 130 ms and more
        return kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and watched is not self._gl

    def _hover(self, position: QPointF) -> None:
        if self._wanted.is_volume or self._wrapper is None or self._viewer is None:
            self.hovered.emit(None)
            return
        x, y, _ = self._viewer._canvas.canvas_to_world((position.x(), position.y()))
        size = voxel_size(self._wrapper.dataset.info)
        self.hovered.emit((int(y // size["y"]), int(x // size["x"])))

    def um_per_screen_pixel(self) -> float | None:
        """How many µm one logical screen pixel spans; None if unknown or in a volume."""
        if self._viewer is None or self._wrapper is None or self._wanted.is_volume:
            return None
        if self._wrapper.dataset.info.pixel_size_um is None:
            return None
        canvas = self._viewer._canvas
        left, right = canvas.canvas_to_world((0, 0))[0], canvas.canvas_to_world((100, 0))[0]
        return abs(right - left) / 100 or None


def _leave_buffers_to_qt(canvas: Any) -> None:
    """Keep vispy from swapping buffers after each draw; Qt shows the widget's frame buffer by itself.

    The swap reaches no screen, but waits until all is drawn (40 ms in software) and keeps every other
    Python thread waiting, the host's writer too.
    """
    scene = getattr(canvas, "_canvas", None)
    if hasattr(scene, "swap_buffers"):
        scene.events.draw.disconnect((scene, "swap_buffers"))


def _viewer_model() -> Any:
    from ndv.models import ArrayViewerModel

    return ArrayViewerModel(show_3d_button=False, show_histogram_button=False, use_shared_histogram=False)


def _lut(channel: Channel, window: tuple[float, float] | None) -> LUTModel:
    lut = LUTModel(cmap=colormap(channel.color), name=channel.name)
    low, high = window if window is not None else (0.0, 1.0)
    lut.clims = ClimsManual(min=low, max=high)
    return lut


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
