"""The picture drawn with OpenGL: one ndv viewer per dataset, given one frame at a time.

ndv drops every request but the newest, so asking faster than it draws would show nothing at all: a new frame
is requested only once the last one has arrived.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from ndv.models import ClimsManual
from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtGui import QMovie
from qtpy.QtWidgets import QWidget

from ...storage import collector
from ..slots import safe_slot
from . import volume_visuals
from .canvas_view import MAX_CHANNELS_SHOWN, View
from .display import Canvas
from .drawn_channels import DrawnChannels
from .ndv_private import cancel_requests, canvas_of
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
from .view_arrays import DatasetWrapper

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    import ndv
    from qtpy.QtCore import QObject

    from ...engine.dataset import Dataset
    from ...rendering.contrast import ChannelContrasts
    from ...rendering.label_surfaces import LabelSurface
    from .drawn_channels import DrawnLook
    from .label_mesh import LabelMesh
    from .sight import Camera
    from .view_frames import Frame

logger = logging.getLogger(__name__)

_CHECK_MS = 100
"""By then Qt has made the context of a widget that it shows, or has failed to."""
_SPINNER_MARGIN = 4
_SPINNER_MS = 300
"""A frame that takes so long has ndv's sign of waiting over it; for every frame it would only flicker."""


class GlCanvas(Canvas):
    """An ndv viewer without its controls; recovers from lost GL contexts."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer: ndv.ArrayViewer | None = None
        self._in_use = ViewerInUse()
        self._in_use.end_with(self)
        self._movies: list[QMovie] = []  # of the viewer: looked for once, as that takes 1.5 ms
        self._spinner_size = QSize()  # of ndv's sign of waiting, whose movie it is
        self._spinner_due = QTimer(self)
        self._spinner_due.setSingleShot(True)
        self._spinner_due.timeout.connect(self._on_spinner_due)
        self._gl: QOpenGLWidget | None = None
        self._context: Any = None
        self._picture_place: PicturePlace | None = None
        self._shown_frame: Frame | None = None  # the last one that the scale was set for
        self._method = volume_visuals.METHODS[0]
        self._box: volume_visuals.VolumeBox | None = None
        self._mesh: LabelMesh | None = None
        self._surface: LabelSurface | None = None
        self._rebuild = QTimer(self)
        self._rebuild.setSingleShot(True)
        self._rebuild.timeout.connect(self._rebuild_viewer)
        self._check = QTimer(self)
        self._check.setSingleShot(True)
        self._check.timeout.connect(self._on_check)

    # ---- what draws ------------------------------------------------------------------------

    @property
    def viewer(self) -> ndv.ArrayViewer | None:
        """The ndv viewer; None while there is no dataset."""
        return self._viewer

    @property
    def camera(self) -> Camera | None:
        """Of the ndv viewer."""
        return canvas_of(self._viewer) if self._viewer is not None else None

    @property
    def surface(self) -> QWidget | None:
        """The widget in which ndv draws."""
        return self._gl

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._viewer is not None and bool(self._viewer_model.show_progress_spinner)

    @property
    def _wrapper(self) -> DatasetWrapper | None:
        """The planes of the dataset on the canvas, as ndv reads them."""
        frames = self._frames
        assert frames is None or isinstance(frames, DatasetWrapper)
        return frames

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset`; False if it was overtaken, as the event loop runs in here."""
        self._wanted = view
        self.release()
        build = self._build
        self._drop_viewer()
        if self._is_overtaken(build):
            return False
        self._frames = wrapper = DatasetWrapper(dataset)
        wrapper.view = view = self._wanted
        wrapper.screen = self._screen()
        self._viewer_model = new_viewer_model()
        shown = dataset.info.channels[:MAX_CHANNELS_SHOWN]
        self._channels = DrawnChannels(wrapper, contrasts, self._on_look)
        self._display = new_display_model(shown, self._channels.looks, is_volume=view.is_volume)
        return self._build_viewer()

    def _is_overtaken(self, build: int) -> bool:
        return self._in_use.ended or build != self._build

    def release(self) -> None:
        """Stop showing the dataset. Quick: `clear` or the next dataset does the slow part."""
        super().release()
        self._shown_frame = self._surface = None
        viewer = self._in_use.release()
        if viewer is not None:
            viewer.widget().hide()

    def drop_released(self) -> bool:
        """Do the slow part of a `release`; False if there is nothing left to do."""
        if self._viewer is None or self._frames is not None:
            return False
        self._drop_viewer()
        return True

    # ---- volumes ---------------------------------------------------------------------------

    def set_volume_method(self, method: str) -> None:
        """Draw volumes so, one of `volume_visuals.METHODS`."""
        self._method = method
        if self._viewer is not None and self.frame is not None and self.frame.view.is_volume:
            volume_visuals.set_method(canvas_of(self._viewer), method)

    def show_surface(self, surface: LabelSurface | None) -> None:
        """Draw the surfaces of labels over the volume, from now on; None: nothing."""
        if surface is not self._surface:
            self._surface = surface
            if self.frame is not None and self.frame.view.is_volume:
                self._show_mesh(surface)
                if self._viewer is not None:
                    canvas_of(self._viewer).refresh()

    def _show_mesh(self, surface: LabelSurface | None) -> None:
        if self._viewer is None or (self._mesh is None and surface is None):
            return
        if self._mesh is None:
            from .label_mesh import LabelMesh  # here, as few volumes have labels

            self._mesh = LabelMesh(canvas_of(self._viewer))
        size = self._sight.voxel_size()
        self._mesh.show(surface, (size["x"], size["y"], size["z"]))

    def _dress(self, frame: Frame) -> None:
        """Draw a volume as it was chosen, in its box."""
        if self._viewer is None or self._box is None:
            return
        if not frame.view.is_volume or frame.image is None:
            self._box.hide()
            self._show_mesh(None)
            return
        size, image = self._sight.voxel_size(), frame.image
        self._show_mesh(self._surface)
        volume_visuals.set_method(canvas_of(self._viewer), self._method)
        n_z = len(frame.view.planes_of(image.n_z))
        self._box.show((0.0, 0.0, 0.0), (image.width * size["x"], image.height * size["y"], n_z * size["z"]))

    # ---- channels --------------------------------------------------------------------------

    def _on_look(self, c: int, look: DrawnLook, before: DrawnLook) -> None:
        super()._on_look(c, look, before)
        lut = self._display.luts[c]
        if look.colormap is not before.colormap:
            lut.cmap = look.colormap
        if look.gamma != before.gamma:
            lut.gamma = look.gamma
        if look.is_on != before.is_on:
            lut.visible = look.is_on
        if look.limits != before.limits:
            lut.clims = ClimsManual(min=look.limits[0], max=look.limits[1])

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        super().apply_contrast(c)
        if self._method == "iso":
            self.set_volume_method(self._method)  # the surface lies in the middle of the limits

    # ---- frames ----------------------------------------------------------------------------

    def _request(self, before: View) -> None:
        wrapper = self._wrapper
        assert wrapper is not None
        if wrapper.view.is_volume != before.is_volume:
            wrapper.upload_all()
            self._display.visible_axes = ("z", "y", "x") if wrapper.view.is_volume else ("y", "x")
        else:
            wrapper.data_changed.emit()
        if not self.busy:  # read before ndv asked: it has been drawn, and no event says so
            self._on_spinner(False)

    @safe_slot
    def _on_spinner(self, spinning: bool) -> None:
        if self._viewer is not None:
            for movie in self._movies:
                movie.setPaused(True)  # hidden, it would redraw fifty times a second
            if spinning:
                self._spinner_due.start(_SPINNER_MS)
            else:
                self._spinner_due.stop()
                self._show_spinner(False)
        # ndv calls this just before it uploads a frame: contrast set here is drawn with it.
        if not spinning:
            self._is_taking = True  # of two requests, ndv would not upload the frame of the first
            try:
                self._take_frame()
            finally:
                self._is_taking = False

    @safe_slot
    def _on_spinner_due(self) -> None:
        if self.busy:
            self._show_spinner(True)

    def _show_spinner(self, shown: bool) -> None:
        """Give it a size, or none: ndv shows it whenever a frame is awaited."""
        for movie in self._movies:
            spinner = movie.parent()
            if isinstance(spinner, QWidget):
                movie.setPaused(not shown)
                spinner.setFixedSize(self._spinner_size if shown else QSize(0, 0))
                if shown and (around := spinner.parentWidget()) is not None:  # in its corner
                    spinner.move(around.width() - spinner.width() - _SPINNER_MARGIN, spinner.y())

    def _take_frame(self) -> None:
        wrapper = self._wrapper
        frame = wrapper.take() if wrapper is not None else None
        if frame is not None and wrapper is not None:
            self._take_contrasts(frame)
            self._apply_scales(frame, wrapper)
        self._note_arrived()  # Qt may paint in here, where the window is laid out anew
        if frame is not None and wrapper is self._wrapper:
            self._hide_what_is_missing(frame)  # last: what is drawn is the frame before until it is uploaded

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
            z, y, x = (at * size[dim] for dim, at in zip("zyx", frame.corner, strict=True))
            self._picture_place.move_to((z, y, x), wrapper.turned_shape)
        self._shown_frame = frame

    # ---- the ndv viewer --------------------------------------------------------------------

    def _build_viewer(self) -> bool:
        """Build the viewer of the current dataset; False if it was overtaken."""
        build, wrapper = self._build, self._wrapper
        assert wrapper is not None
        viewer = new_viewer(wrapper, self._display, self._viewer_model)
        if self._is_overtaken(build):  # the event loop runs while it is built
            cancel_requests(viewer)
            dispose_of(viewer)
            return False
        self._viewer = viewer
        leave_buffers_to_qt(canvas_of(self._viewer))
        self._picture_place = PicturePlace(canvas_of(self._viewer))
        self._box = volume_visuals.VolumeBox(canvas_of(self._viewer))
        self._in_use.viewer, self._in_use.wrapper = viewer, wrapper
        self._in_use.model = self._viewer_model
        self._viewer_model.show_controls = False  # ndv's Qt view ignores it if set at creation
        self._viewer_model.show_data_info = False
        self._viewer_model.events.show_progress_spinner.connect(self._on_spinner)
        widget = self._viewer.widget()
        self._movies = widget.findChildren(QMovie)
        self._spinner_size = next((_size_of(movie) for movie in self._movies), QSize())
        self._show_spinner(False)
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
        self._spinner_due.stop()
        self._rebuild.stop()
        self._check.stop()
        viewer, self._viewer = self._viewer, None
        self._box, self._mesh, self._movies = None, None, []
        # a lost context took all of them with it, and in the next one these names belong to other objects
        if viewer is not None and self._gl is not None and self._context is self._gl.context():
            delete_gl_objects(canvas_of(viewer))
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
        wrapper = self._wrapper
        if self._viewer is None or wrapper is None:
            return
        logger.info("the OpenGL context was lost; rebuilding the canvas")
        place, channels = self.visible_area(), self._channels
        self.release()
        build = self._build
        self._drop_viewer()
        if self._is_overtaken(build):
            return
        self._place, self._frames, self._channels = place, wrapper, channels
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

    def _filter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and watched is self._gl and event.type() == QEvent.Type.Show:
            self._check.start(_CHECK_MS)
        return super()._filter(watched, event)

    @safe_slot
    def _on_check(self) -> None:
        if self._gl is not None and self._gl.isVisible() and not self._gl.isValid():
            self.failed.emit("no OpenGL context could be created for the picture")

    def _paint(self, event: QEvent) -> bool:
        if self._rebuild.isActive():
            return True  # the context is lost: vispy's resources no longer exist
        self._watch_context()
        super()._paint(event)
        assert self._gl is not None
        with collector.paused():  # of a window that was closed it may free what makes another context current
            self._gl.event(event)
        return True


def _size_of(movie: QMovie) -> QSize:
    spinner = movie.parent()
    return spinner.size() if isinstance(spinner, QWidget) else QSize()
