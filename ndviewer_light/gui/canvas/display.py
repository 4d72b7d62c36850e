"""Pixels on screen: one ndv viewer per dataset, given one frame at a time.

`Canvas` decides on the GUI thread when ndv may ask the `view_arrays.DatasetWrapper` for a frame. ndv drops
every request but the newest, so asking faster than it draws would show nothing at all: a new frame
is requested only once the last one has arrived.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from qtpy.QtGui import QMovie
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..slots import safe_slot
from . import volume_visuals
from .canvas_view import MAX_CHANNELS_SHOWN, View
from .drawn_channels import DrawnChannels
from .hand import Hand
from .ndv_viewer import (
    PicturePlace,
    ViewerInUse,
    delete_gl_objects,
    dispose_of,
    leave_buffers_to_qt,
    new_display_model,
    new_viewer,
    new_viewer_model,
)
from .sight import Sight
from .view_arrays import DatasetWrapper

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    import ndv
    from qtpy.QtCore import QObject
    from qtpy.QtGui import QResizeEvent

    from ...engine.dataset import Dataset
    from ...model import Channel
    from ...rendering.contrast import ChannelContrasts
    from .hand import MouseTool
    from .view_arrays import Frame
    from .zoom import Projection, Scene, VisibleArea

logger = logging.getLogger(__name__)


class Canvas(QWidget):
    """The picture: an ndv viewer without its controls; request gate, hover, and recovery of lost GL contexts.

    `frame_arrived` is emitted just before a frame is passed to the canvas, so that what belongs to it
    is painted with it; `frame_shown` once it has been passed on; `painted` whenever Qt paints it, also where
    it was only moved; `hovered` with the position under the mouse (row, column; None outside).
    """

    frame_arrived = Signal()
    frame_shown = Signal()
    painted = Signal()
    hovered = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setMinimumSize(160, 120)
        self._viewer: ndv.ArrayViewer | None = None
        self._wrapper: DatasetWrapper | None = None
        self._build = 0  # counts what was to be shown: a viewer that is built for an earlier one is not used
        self._in_use = ViewerInUse()
        self._in_use.end_with(self)
        self._gl: QOpenGLWidget | None = None
        self._context: Any = None
        self._wanted = View()
        self._dirty = False
        self._channels: DrawnChannels | None = None
        self._picture_place: PicturePlace | None = None
        self._place: VisibleArea | None = None  # the user's zoom, to be restored
        self._sight = Sight(self)
        self._hand = Hand(self._sight)
        self.tool: MouseTool | None = None
        """What takes mouse events before they move the picture."""
        self._shown_frame: Frame | None = None  # the last one that the scale was set for
        self._shown_extent: tuple[object, ...] | None = None  # the last one known
        self._method = volume_visuals.METHODS[0]
        self._box: volume_visuals.VolumeBox | None = None
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
    def wrapper(self) -> DatasetWrapper | None:
        """The planes of the dataset on the canvas, as ndv reads them."""
        return self._wrapper

    @property
    def surface(self) -> QWidget | None:
        """The widget in which ndv draws."""
        return self._gl

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
        self._viewer_model = new_viewer_model()
        shown = dataset.info.channels[:MAX_CHANNELS_SHOWN]
        self._display = new_display_model(shown, contrasts, is_volume=view.is_volume)
        self._channels = DrawnChannels(self._wrapper, self._display, contrasts)
        return self._build_viewer()

    def _is_overtaken(self, build: int) -> bool:
        return self._in_use.ended or build != self._build

    def release(self) -> None:
        """Stop showing the dataset. Quick: `clear` or the next dataset does the slow part."""
        self._build += 1
        self._wrapper = self._channels = None
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
        if self._wrapper is not None:
            self._wrapper.next_view = view  # a volume that is being read for another one is left
        self._flush()

    def refresh(self) -> None:
        """Something in view has changed: request the frame again."""
        self._dirty = True
        self._flush()

    # ---- pan and zoom ----------------------------------------------------------------------

    def reset_view(self) -> None:
        """Fit the picture to the canvas."""
        self._sight.reset_view()

    def show_one_to_one(self) -> None:
        """Show one pixel of the data (of level 0) on one pixel of the screen."""
        self._hand.show_one_to_one(self.devicePixelRatioF())

    def zoom(self, factor: float) -> None:
        """Enlarge what is in the middle of the canvas."""
        self._hand.zoom(factor)

    def show_area(self, area: VisibleArea) -> None:
        """Show this part of the picture."""
        self._sight.show_area(area)

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
        return self._sight.is_fitting

    def scene(self) -> Scene | None:
        """What the picture is shown in; None in a volume, and while there is no picture."""
        return self._sight.scene()

    def visible_area(self) -> VisibleArea | None:
        """The part of the picture on screen in 2-D (µm), None in a volume."""
        return self._sight.visible_area()

    def projection(self) -> Projection | None:
        """How the plane lies on screen; None in a volume, without a picture, and while it is hidden."""
        return None if self.isHidden() else self._sight.projection()

    def um_per_screen_pixel(self) -> float | None:
        """How many µm one logical screen pixel spans, in a volume as well: it is drawn without perspective.

        None if unknown.
        """
        frame = self.frame
        if frame is None or frame.view.is_volume != self._wanted.is_volume:
            return None
        return self._sight.um_per_screen_pixel()

    def set_volume_method(self, method: str) -> None:
        """Draw volumes so, one of `volume_visuals.METHODS`."""
        self._method = method
        if self._viewer is not None and self.frame is not None and self.frame.view.is_volume:
            volume_visuals.set_method(self._viewer._canvas, method)

    @property
    def progress(self) -> str:
        """How far a volume has been read; "" while none is."""
        return self._wrapper.progress if self._wrapper is not None else ""

    def _dress_volume(self, frame: Frame) -> None:
        """Draw a volume as it was chosen, in its box."""
        if self._viewer is None or self._box is None:
            return
        if not frame.view.is_volume or frame.image is None:
            self._box.hide()
            return
        size, image = self._sight.voxel_size(), frame.image
        volume_visuals.set_method(self._viewer._canvas, self._method)
        n_z = next((sum(counts.values()) for counts in frame.counts.values()), 1) * frame.downsampled[0]
        self._box.show((0.0, 0.0, 0.0), (image.width * size["x"], image.height * size["y"], n_z * size["z"]))

    # ---- channels --------------------------------------------------------------------------

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        if self._channels is not None:
            self._channels.set_visible(c, visible)
            self.refresh()

    def set_color(self, c: int, choice: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``, or with a lookup table; ``_r``: inverted."""
        if self._channels is not None:
            self._channels.set_color(c, choice)

    def set_color_of(self, c: int, channel: Channel) -> None:
        """Show a channel in the colour, or with the lookup table, that its dataset wants."""
        if self._channels is not None:
            self._channels.set_color_of(c, channel)

    def set_gamma(self, c: int, gamma: float) -> None:
        """Draw values between the limits of a channel by their power `gamma`; 1 is linear."""
        if self._channels is not None:
            self._channels.set_gamma(c, gamma)

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        if self._channels is not None:
            self._channels.apply_contrast(c)
            if self._method == "iso":
                self.set_volume_method(self._method)  # the surface lies in the middle of the limits

    def limits(self, c: int) -> tuple[float, float] | None:
        """The contrast a channel is shown with; None before there is one."""
        return self._channels.limits(c) if self._channels is not None else None

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
        if not self.busy:  # read before ndv asked whether it was: it has been drawn, and no event says so
            self._on_spinner(False)

    @safe_slot
    def _on_spinner(self, spinning: bool) -> None:
        if self._viewer is not None:
            for movie in self._viewer.widget().findChildren(QMovie):
                movie.setPaused(not spinning)  # hidden, it would redraw fifty times a second
        # ndv calls this just before it uploads a frame: contrast set here is drawn with it.
        if not spinning:
            frame, wrapper, channels = self.frame, self._wrapper, self._channels
            if frame is not None and wrapper is not None and channels is not None:
                channels.add_contrasts(frame)
                channels.hide_what_is_missing(frame)
                self._apply_scales(frame, wrapper)
            self.frame_arrived.emit()
            self._later.start(0)

    def _apply_scales(self, frame: Frame, wrapper: DatasetWrapper) -> None:
        """Keep what is shown at lower resolution to scale: world coordinates are those of level 0, in µm."""
        scales = {}
        size = self._sight.voxel_size()
        is_downsampled = frame.downsampled != (1.0, 1.0, 1.0)
        if frame.view.is_volume or is_downsampled or size != wrapper.axis_scales():
            scales = {dim: size[dim] * factor for dim, factor in zip("zyx", frame.downsampled, strict=True)}
        if dict(self._display.scales) != scales:
            is_zoomed = self._shown_frame is not None and not self._shown_frame.view.is_volume
            if is_zoomed and not frame.view.is_volume and self._place is None:
                self._place = self.visible_area()  # ndv shows everything after a change of scale
            self._display.scales.clear()
            self._display.scales.update(scales)  # type: ignore[arg-type]
        if self._picture_place is not None:
            top, left = frame.corner
            self._picture_place.move_to((top * size["y"], left * size["x"]))
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

    def _go_back_to_place(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self.show_area(place)

    @safe_slot
    def _on_idle(self) -> None:
        if self._viewer is None or self.busy:
            return
        frame = self.frame
        extent = self._sight.extent() or self._shown_extent
        if self._shown_extent not in (None, extent):
            self._place = None
            self.reset_view()  # a picture of another size: fit it as if it were the first
        self._shown_extent = extent
        if frame is not None:
            self._dress_volume(frame)
        if self._place is not None and self.is_complete and not frame.view.is_volume:
            self._go_back_to_place()
        self._dirty |= self._wrapper is not None and self._wrapper.is_held_back
        self.frame_shown.emit()
        self._flush()

    # ---- the ndv viewer --------------------------------------------------------------------

    def _build_viewer(self) -> bool:
        """Build the viewer of the current dataset; False if it was overtaken."""
        build = self._build
        assert self._wrapper is not None
        viewer = new_viewer(self._wrapper, self._display, self._viewer_model)
        if self._is_overtaken(build):  # the event loop runs while it is built
            viewer._cancel_futures()
            dispose_of(viewer)
            return False
        self._viewer = viewer
        leave_buffers_to_qt(self._viewer._canvas)
        self._picture_place = PicturePlace(self._viewer._canvas)
        self._box = volume_visuals.VolumeBox(self._viewer._canvas)
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
        self._box = None
        # a context that was lost took all of it along, and other objects have these names in the one after it
        if viewer is not None and self._gl is not None and self._context is self._gl.context():
            delete_gl_objects(viewer._canvas)
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
        dispose_of(viewer)

    @safe_slot
    def _rebuild_viewer(self) -> None:
        """Rebuild the viewer with the same display after its GL context was lost to another window."""
        if self._viewer is None or self._wrapper is None:
            return
        logger.info("the OpenGL context was lost; rebuilding the canvas")
        place, wrapper, channels = self.visible_area(), self._wrapper, self._channels
        self.release()
        build = self._build
        self._drop_viewer()
        if self._is_overtaken(build):
            return
        self._place, self._wrapper, self._channels = place, wrapper, channels
        wrapper.wanted = True
        wrapper.start_over()
        self._viewer_model = new_viewer_model()
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
                self.painted.emit()
            elif kind == QEvent.Type.Leave:
                self.hovered.emit(None)
            elif self._gl is not None and self._is_taken(event, self._gl):
                return True
            elif kind in (QEvent.Type.Wheel, QEvent.Type.MouseButtonPress):
                self._sight.is_turned = True
            elif kind == QEvent.Type.MouseMove and event.buttons() == Qt.MouseButton.NoButton:  # type: ignore[attr-defined]
                self._hover(_position(event))
                return True  # each hover event would cost a picking render of 130 ms or more
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event.ignore()  # neither vispy nor ndv may take it: it goes on to our parents
            return True
        return False

    def _is_taken(self, event: Any, gl: QWidget) -> bool:
        return (self.tool is not None and self.tool.take(event, gl)) or self._hand.take(event, gl)

    def _hover(self, position: QPointF) -> None:
        self.hovered.emit(None if self._wanted.is_volume else self._sight.pixel_at(position))


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
