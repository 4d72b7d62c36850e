"""Pixels on screen: one ndv viewer per dataset, given one frame at a time.

`Canvas` decides on the GUI thread when ndv may ask the `frames.DatasetWrapper` for a frame. ndv drops
every request but the newest, so asking faster than it draws would show nothing at all: a new frame
is requested only once the last one has arrived.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from typing import TYPE_CHECKING, Any

import ndv
from ndv.models import ArrayDisplayModel, ChannelMode, ClimsManual, LUTModel
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from qtpy.QtGui import QMovie
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ...rendering.colormaps import chosen_colormap, colormap_of
from ..ends import Owner
from ..slots import safe_slot
from .canvas_view import MAX_CHANNELS_SHOWN, View
from .hand import Hand
from .view_arrays import DatasetWrapper, Frame, voxel_size
from .zoom import FIT_MARGIN, Scene, VisibleArea

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Hashable

    from qtpy.QtCore import QObject
    from qtpy.QtGui import QResizeEvent

    from ...engine.dataset import Dataset
    from ...model import Channel, ImageInfo
    from ...rendering.contrast import ChannelContrasts

logger = logging.getLogger(__name__)

_NO_MARGIN = 1e-9  # vispy takes 0 for "not given" and adds 0.1 world units


class Canvas(QWidget):
    """The picture: an ndv viewer without its controls; request gate, hover, and recovery of lost GL contexts.

    `frame_arrived` is emitted just before a frame is passed to the canvas, so that what belongs to it
    is painted with it; `frame_shown` once it has been passed on; `hovered` with the position under
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
        self._build = 0  # counts what was to be shown: a viewer that is built for an earlier one is not used
        self._in_use = _InUse()
        self._in_use.end_with(self)
        self._gl: QOpenGLWidget | None = None
        self._context: Any = None
        self._wanted = View()
        self._dirty = False
        self._contrasts: ChannelContrasts | None = None
        self._place: VisibleArea | None = None  # the user's zoom, to be restored
        self._hand = Hand(self)
        self._is_turned = False  # whether the user has moved the volume on screen
        self._shown_frame: Frame | None = None  # the last one that the scale was set for
        self._shown_extent: tuple[object, ...] | None = None  # see `_extent`
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._on_idle)
        self._rebuild = QTimer(self)
        self._rebuild.setSingleShot(True)
        self._rebuild.timeout.connect(self._rebuild_viewer)

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def viewer(self) -> ndv.ArrayViewer | None:
        """The ndv viewer; None while there is no dataset."""
        return self._viewer

    @property
    def frame(self) -> Frame | None:
        """What is on the canvas."""
        return self._wrapper.frame if self._wrapper is not None else None

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._viewer is not None and bool(self._viewer_model.show_progress_spinner)

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset` with these contrasts, which take part in what is seen.

        False if it was overtaken: the event loop runs in here, so another dataset (or none) may have
        been chosen meanwhile, or Qt may have deleted the canvas.
        """
        self._wanted = view
        self.release()
        build = self._build
        self._drop_viewer()
        if self._is_overtaken(build):
            return False
        self._wrapper = DatasetWrapper(dataset)
        self._wrapper.view = view = self._wanted
        self._wrapper.screen = self._screen()
        channels = dataset.info.channels[:MAX_CHANNELS_SHOWN]
        self._contrasts = contrasts
        self._viewer_model = _viewer_model()
        luts = {c: _lut(channel, contrasts.limits(c)) for c, channel in enumerate(channels)}
        self._display = ArrayDisplayModel(
            visible_axes=("z", "y", "x") if view.is_volume else ("y", "x"),
            channel_axis="c",
            channel_mode=ChannelMode.COMPOSITE,
            luts=luts,  # type: ignore[arg-type]
        )
        return self._build_viewer()

    def _is_overtaken(self, build: int) -> bool:
        return self._in_use.ended or build != self._build

    def release(self) -> None:
        """Stop showing the dataset. Quick: `clear` or the next dataset does the slow part."""
        self._build += 1
        self._wrapper = None
        self._dirty = False
        self._place = self._shown_extent = self._shown_frame = None
        viewer = self._in_use.release()
        if viewer is not None:
            viewer.widget().hide()

    def drop_released(self) -> bool:
        """Do the slow part of a `release`; False if there is nothing left to do."""
        if self._viewer is None or self._wrapper is not None:
            return False
        self._drop_viewer()
        return True

    def clear(self) -> None:
        """Show nothing and release the dataset."""
        self.release()
        self._drop_viewer()

    def show_view(self, view: View) -> None:
        """Show other indices: now if no frame is pending, else as soon as it has arrived."""
        self._wanted = view
        self._flush()

    def refresh(self) -> None:
        """Something in view has changed: request the frame again."""
        self._dirty = True
        self._flush()

    # ---- pan and zoom ----------------------------------------------------------------------

    def reset_view(self) -> None:
        """Fit the picture to the canvas."""
        if self._viewer is None:
            return
        x, y = self._edges()
        self._viewer._canvas.set_range(x=x, y=y, margin=FIT_MARGIN)
        self._viewer._canvas.refresh()
        self._is_turned = False

    def show_one_to_one(self) -> None:
        """Show one pixel of the data (of level 0) on one pixel of the screen."""
        self._hand.show_one_to_one(self.devicePixelRatioF())

    def zoom(self, factor: float) -> None:
        """Enlarge what is in the middle of the canvas."""
        self._hand.zoom(factor)

    def show_area(self, area: VisibleArea) -> None:
        """Show this part of the picture."""
        if self._viewer is not None:
            self._viewer._canvas.set_range(x=area.x, y=area.y, margin=_NO_MARGIN)
            self._viewer._canvas.refresh()

    def show_area_first(self, area: VisibleArea) -> None:
        """Show this part of the picture as soon as there is one."""
        self._place = area

    @property
    def is_complete(self) -> bool:
        """Whether there is a picture, and all channels in view are in it."""
        return self.frame is not None and self._wrapper is not None and not self._wrapper.is_held_back

    @property
    def is_fitting(self) -> bool:
        """Whether the whole picture fills the canvas, as after `reset_view`; also while there is none."""
        scene, area = self.scene(), self.visible_area()
        if scene is None or area is None:
            return not self._is_turned
        return scene.is_fitting(area)

    def scene(self) -> Scene | None:
        """What the picture is shown in; None in a volume, and while there is no picture."""
        frame = self.frame
        if frame is None or frame.image is None or self._gl is None or frame.view.is_volume:
            return None
        size, image = self._voxel_size(), frame.image
        height, width = image.height * size["y"], image.width * size["x"]
        return Scene(height, width, size["x"], self._gl.height(), self._gl.width())

    def volume_scale(self) -> tuple[float, float] | None:
        """µm per screen pixel of a volume, now and where it fits; None if there is no volume."""
        frame = self.frame
        if self._viewer is None or self._gl is None or frame is None or frame.image is None:
            return None
        size, to_world = self._voxel_size(), self._viewer._canvas.canvas_to_world
        steps = (b - a for a, b in zip(to_world((0, 0)), to_world((100, 0)), strict=True))
        longest = max(frame.image.height * size["y"], frame.image.width * size["x"])
        fit = longest * (1 + 2 * FIT_MARGIN) / max(min(self._gl.height(), self._gl.width()), 1)
        return math.hypot(*map(float, steps)) / 100, fit

    def _edges(self) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
        """Where the picture begins and ends along x and y in µm; None leaves it to ndv, as in a volume.

        ndv would include channels that are not drawn, which keep the picture of another position.
        """
        frame = self.frame
        if frame is None or frame.image is None or frame.view.is_volume:
            return None, None
        size = self._voxel_size()
        return (0.0, frame.image.width * size["x"]), (0.0, frame.image.height * size["y"])

    # ---- channels --------------------------------------------------------------------------

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        if self._wrapper is None:
            return
        shown = self._wrapper.visible
        self._wrapper.visible = shown | {c} if visible else shown - {c}
        self._display.luts[c].visible = visible
        self.refresh()

    def set_color(self, c: int, choice: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``, or with a lookup table; ``_r``: inverted."""
        if self._wrapper is not None:
            self._display.luts[c].cmap = chosen_colormap(choice)

    def set_color_of(self, c: int, channel: Channel) -> None:
        """Show a channel in the colour, or with the lookup table, that its dataset wants."""
        if self._wrapper is not None:
            self._display.luts[c].cmap = colormap_of(channel)

    def set_gamma(self, c: int, gamma: float) -> None:
        """Draw values between the limits of a channel by their power `gamma`; 1 is linear."""
        if self._wrapper is not None:
            self._display.luts[c].gamma = gamma

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        limits = self._contrasts.limits(c) if self._contrasts is not None else None
        if limits is not None:
            self._set_clims(c, *limits)

    def limits(self, c: int) -> tuple[float, float] | None:
        """The contrast a channel is shown with; None before there is one."""
        clims = self._display.luts[c].clims if self._wrapper is not None else None
        return (clims.min, clims.max) if clims is not None and clims.is_manual else None

    def _set_clims(self, c: int, low: float, high: float) -> None:
        if self._wrapper is not None and self.limits(c) != (low, high):
            self._display.luts[c].clims = ClimsManual(min=low, max=high)

    # ---- the gate --------------------------------------------------------------------------

    def _flush(self) -> None:
        """Request the wanted frame unless one is pending."""
        if self._viewer is None or self._wrapper is None or self.busy:
            return
        if self._wanted == self._wrapper.view and not self._dirty:
            return
        volume_changed = self._wanted.is_volume != self._wrapper.view.is_volume
        self._dirty = False
        if volume_changed and self._wanted.is_volume:
            self._place = self.visible_area()
        self._wrapper.view = self._wanted
        self._wrapper.screen = self._screen()
        if volume_changed:
            self._display.visible_axes = ("z", "y", "x") if self._wanted.is_volume else ("y", "x")
        else:
            self._wrapper.data_changed.emit()

    @safe_slot
    def _on_spinner(self, spinning: bool) -> None:
        if self._viewer is not None:
            for movie in self._viewer.widget().findChildren(QMovie):
                movie.setPaused(not spinning)  # hidden, it would redraw fifty times a second
        # ndv calls this just before it uploads a frame: contrast set here is drawn with it.
        if not spinning:
            self._apply_contrast()
            self._hide_what_is_missing()
            self._apply_scales()
            self.frame_arrived.emit()
            self._later.start(0)

    def _apply_contrast(self) -> None:
        frame = self.frame
        if frame is None or self._contrasts is None:
            return
        for c, contrast in frame.contrasts.items():
            self._contrasts.of(c).add(contrast)
            self.apply_contrast(c)

    def _hide_what_is_missing(self) -> None:
        """Draw nothing of channels without pixels: low values need not be black."""
        frame = self.frame
        if frame is None or self._wrapper is None:
            return
        for c, plane in frame.planes.items():
            drawn = c in self._wrapper.visible and (frame.view.is_volume or plane.pixels is not None)
            if self._display.luts[c].visible != drawn:
                self._display.luts[c].visible = drawn

    def _apply_scales(self) -> None:
        """Keep what is shown at lower resolution to scale: world coordinates are those of level 0, in µm."""
        frame = self.frame
        if frame is None or self._wrapper is None:
            return
        scales = {}
        size = self._voxel_size()
        is_downsampled = frame.downsampled != (1.0, 1.0, 1.0)
        if frame.view.is_volume or is_downsampled or size != self._wrapper.axis_scales():
            scales = {dim: size[dim] * factor for dim, factor in zip("zyx", frame.downsampled, strict=True)}
        if dict(self._display.scales) != scales:
            is_zoomed = self._shown_frame is not None and not self._shown_frame.view.is_volume
            if is_zoomed and not frame.view.is_volume and self._place is None:
                self._place = self.visible_area()  # ndv shows everything after a change of scale
            self._display.scales.clear()
            self._display.scales.update(scales)  # type: ignore[arg-type]
        self._shown_frame = frame

    def _screen(self) -> tuple[int, int]:
        """Rows and columns of the canvas, in device pixels."""
        ratio = self.devicePixelRatioF()
        return max(int(self.height() * ratio), 1), max(int(self.width() * ratio), 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """A larger canvas may need a larger level; a smaller one keeps what it has."""
        super().resizeEvent(event)
        frame, screen = self.frame, self._screen()
        if frame is not None and frame.level > 0 and self._wrapper is not None:
            shown = self._wrapper.screen
            if screen[0] > shown[0] or screen[1] > shown[1]:
                self.refresh()

    def _facts(self) -> ImageInfo:
        """What the picture on the canvas shows; of the first image until there is one."""
        assert self._wrapper is not None
        frame, info = self._wrapper.frame, self._wrapper.dataset.info
        return info.groups[0] if frame is None else frame.image or info.image(frame.view.p)

    def _voxel_size(self) -> dict[Hashable, float]:
        return voxel_size(self._facts())

    def visible_area(self) -> VisibleArea | None:
        """The part of the picture on screen in 2-D (µm), None in a volume."""
        if self._viewer is None or self._gl is None or self._wrapper is None or self._wrapper.view.is_volume:
            return None
        to_world = self._viewer._canvas.canvas_to_world
        left, top, _ = to_world((0, 0))
        right, bottom, _ = to_world((self._gl.width(), self._gl.height()))
        return VisibleArea((float(left), float(right)), (float(top), float(bottom)))

    def _go_back_to_place(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self.show_area(place)

    def _extent(self) -> tuple[object, ...] | None:
        """The size of the image on the canvas in pixels and in µm; None while it is not known."""
        frame = self.frame
        if frame is None or frame.image is None:
            return self._shown_extent
        size = self._voxel_size()
        return frame.image.height, frame.image.width, size["y"], size["x"]

    @safe_slot
    def _on_idle(self) -> None:
        if self._viewer is None or self.busy:
            return
        frame = self.frame
        extent = self._extent()
        if self._shown_extent not in (None, extent):
            self._place = None
            self.reset_view()  # a picture of another size: fit it as if it were the first
        self._shown_extent = extent
        if self._place is not None and self.is_complete and not frame.view.is_volume:
            self._go_back_to_place()
        self._dirty |= self._wrapper is not None and self._wrapper.is_held_back
        self.frame_shown.emit()
        self._flush()

    # ---- the ndv viewer --------------------------------------------------------------------

    def _build_viewer(self) -> bool:
        """Build the viewer of the current dataset; False if it was overtaken."""
        hook, build = sys.excepthook, self._build
        try:
            viewer = ndv.ArrayViewer(
                self._wrapper, display_model=self._display, viewer_options=self._viewer_model
            )
        finally:
            sys.excepthook = hook  # ndv installs its own; restore the host's, on which its crash log relies
        if self._is_overtaken(build):  # the event loop runs while it is built
            viewer._cancel_futures()
            _dispose_of(viewer)
            return False
        self._viewer = viewer
        _leave_buffers_to_qt(self._viewer._canvas)
        self._in_use.viewer, self._in_use.wrapper = self._viewer, self._wrapper
        self._viewer_model = self._viewer._viewer_model
        self._viewer_model.show_controls = False  # ndv's Qt view ignores it if set at creation
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
        return True

    def _drop_viewer(self) -> None:
        self._later.stop()
        self._rebuild.stop()
        viewer, self._viewer = self._viewer, None
        # a context that was lost took all of it along, and other objects have these names in the one after it
        if viewer is not None and self._gl is not None and self._context is self._gl.context():
            _delete_gl_objects(viewer._canvas)
        context, self._gl, self._context = self._context, None, None
        if context is not None:
            with contextlib.suppress(RuntimeError, TypeError):  # it may already be deleted
                context.aboutToBeDestroyed.disconnect(
                    self._on_context_lost
                )  # otherwise its destruction would rebuild its successor
        if viewer is None:
            return
        self._viewer_model.events.show_progress_spinner.disconnect(self._on_spinner)
        viewer.widget().removeEventFilter(self)
        layout = self.layout()
        assert layout is not None
        layout.removeWidget(viewer.widget())
        _dispose_of(viewer)

    @safe_slot
    def _rebuild_viewer(self) -> None:
        """Rebuild the viewer with the same display after its GL context was lost to another window."""
        if self._viewer is None or self._wrapper is None:
            return
        logger.info("the OpenGL context was lost; rebuilding the canvas")
        place, wrapper = self.visible_area(), self._wrapper
        self.release()
        build = self._build
        self._drop_viewer()
        if self._is_overtaken(build):
            return
        self._place, self._wrapper = place, wrapper
        wrapper.wanted = True
        wrapper.start_over()
        self._viewer_model = _viewer_model()
        if self._build_viewer():
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
        """Filter events that would stall ndv (hover picking) or confuse it (arrow keys)."""
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
                if self._rebuild.isActive():
                    return True  # the context is lost: vispy's resources no longer exist
                self._watch_context()
            elif kind == QEvent.Type.Leave:
                self.hovered.emit(None)
            elif self._gl is not None and self._hand.take(event, self._gl):
                return True
            elif kind in (QEvent.Type.Wheel, QEvent.Type.MouseButtonPress):
                self._is_turned = True  # of a volume; a flat picture says itself where it is
            elif kind == QEvent.Type.MouseMove and event.buttons() == Qt.MouseButton.NoButton:  # type: ignore[attr-defined]
                self._hover(_position(event))
                return True  # each hover event would cost a picking render of 130 ms or more
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event.ignore()  # neither vispy nor ndv may take it: it goes on to our parents
            return True
        return False

    def _hover(self, position: QPointF) -> None:
        if self._wanted.is_volume or self._wrapper is None or self._viewer is None:
            self.hovered.emit(None)
            return
        x, y, _ = self._viewer._canvas.canvas_to_world((position.x(), position.y()))
        size = self._voxel_size()
        self.hovered.emit((int(y // size["y"]), int(x // size["x"])))

    def um_per_screen_pixel(self) -> float | None:
        """How many µm one logical screen pixel spans; None if unknown or in a volume."""
        if self._viewer is None or self._wrapper is None or self._wanted.is_volume:
            return None
        frame = self.frame
        if frame is None or frame.image is None or frame.image.pixel_size_um is None:
            return None
        canvas = self._viewer._canvas
        left, right = canvas.canvas_to_world((0, 0))[0], canvas.canvas_to_world((100, 0))[0]
        return abs(right - left) / 100 or None


def _dispose_of(viewer: ndv.ArrayViewer) -> None:
    """Close an ndv viewer, whose widget is deleted by the event loop."""
    viewer.close()
    viewer._canvas.close()
    viewer.widget().setParent(None)
    viewer.widget().deleteLater()


def _delete_gl_objects(canvas: Any) -> None:
    """Delete the textures, buffers and programs of a canvas.

    vispy leaves them to the end of the GL context. Where contexts are shared, as in our own application, they
    outlive it: megabytes of graphics memory for each dataset that was shown.
    """
    scene = getattr(canvas, "_canvas", None)
    widget = getattr(scene, "native", None)
    if scene is None or not isinstance(widget, QOpenGLWidget) or not widget.isValid():
        return
    widget.makeCurrent()
    objects = scene.context.shared.parser._objects
    for each in list(objects.values()):
        if hasattr(each, "delete"):  # vispy notes those just deleted as a constant
            each.delete()
    objects.clear()
    widget.doneCurrent()


class _InUse(Owner):
    """The ndv viewer that renders frames; separate from the canvas, which Qt may delete at any time."""

    viewer: ndv.ArrayViewer | None = None
    wrapper: DatasetWrapper | None = None
    ended = False
    """Whether Qt has deleted the canvas."""

    def release(self) -> ndv.ArrayViewer | None:
        """Stop requesting and drawing frames; returns the viewer that did, or None."""
        viewer, wrapper = self.viewer, self.wrapper
        self.viewer = self.wrapper = None
        if viewer is None or wrapper is None:
            return None
        wrapper.wanted = False
        # ndv keeps a reference, and would draw into a deleted view
        wrapper.data_changed.disconnect(viewer._request_data, missing_ok=True)
        wrapper.dims_changed.disconnect(viewer._on_dims_changed, missing_ok=True)
        viewer._cancel_futures()
        return viewer

    def end(self) -> None:
        """Release ndv while Qt deletes the canvas, so that it cannot reach a deleted widget."""
        super().end()
        self.ended = True
        if self.viewer is not None:
            self.viewer._viewer_model.events.disconnect()
            self.viewer._viewer_model.events.show_progress_spinner.disconnect()
            self.release()


def _leave_buffers_to_qt(canvas: Any) -> None:
    """Keep vispy from swapping buffers after each draw; Qt composes the widget's frame buffer itself.

    The swap reaches no screen, but waits for drawing to finish (40 ms in software) and blocks every other
    Python thread, including the host's writer.
    """
    scene = getattr(canvas, "_canvas", None)
    if hasattr(scene, "swap_buffers"):
        scene.events.draw.disconnect((scene, "swap_buffers"))


def _viewer_model() -> Any:
    from ndv.models import ArrayViewerModel

    return ArrayViewerModel(show_3d_button=False, show_histogram_button=False, use_shared_histogram=False)


def _lut(channel: Channel, window: tuple[float, float] | None) -> LUTModel:
    lut = LUTModel(cmap=colormap_of(channel), name=channel.name)
    low, high = window if window is not None else (0.0, 1.0)
    lut.clims = ClimsManual(min=low, max=high)
    return lut


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
