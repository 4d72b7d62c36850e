"""The picture drawn with OpenGL: a canvas of ndv, given one frame at a time of one dataset after the other.

A frame is read in a thread, and passed to what draws in one step on the GUI thread: limits, what is hidden,
pixels and place. A new one is requested only once the last one has arrived.
"""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QMouseEvent

from ...rendering.volume_look import VOLUMES
from ...storage import collector
from ..ends import Owner
from ..look.tab_frame import TabFrame
from ..slots import safe_slot
from . import volume_visuals
from .display import Canvas
from .drawn_channels import DrawnChannels
from .frame_reads import FrameReads
from .hand import drag_begun
from .ndv_pictures import AlongZyx, new_pictures
from .view_arrays import ViewArrays
from .waiting_sign import WaitingSign

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

    from ...engine.dataset import Dataset
    from ...rendering.contrast import ChannelContrasts
    from ...rendering.label_surfaces import LabelSurface
    from ..background import Background
    from ..poll import Poll
    from .canvas_view import View
    from .drawn_channels import DrawnLook
    from .label_mesh import LabelMesh
    from .ndv_pictures import ChannelPictures
    from .sight import Camera
    from .view_arrays import ArraysRead, UploadedPicture
    from .view_frames import Frame

logger = logging.getLogger(__name__)

_EMPTY_MS = 50
"""So long a new canvas is not painted while its first frame may come: empty, it would cost as much."""
_CHECK_MS = 100
"""By then Qt has made the context of a widget that it shows, or has failed to."""
_MOUSE = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.MouseMove,
)


class GlCanvas(Canvas):
    """A canvas of ndv; recovers from lost GL contexts."""

    def __init__(
        self,
        background: Background,
        poll: Poll,
        built_ahead: ChannelPictures | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`built_ahead`: in which the first dataset is drawn, if there is such."""
        super().__init__(parent)
        self._poll = poll
        self._pictures: ChannelPictures | None = None
        self._built_ahead = built_ahead
        if built_ahead is not None:
            built_ahead.widget.hide()
            built_ahead.widget.setParent(self)
        self._drawn_from: Mapping[int, UploadedPicture] = {}
        self._reads: FrameReads[ArraysRead] = FrameReads(self, background, self._take)
        self._in_use = _FramesInUse()
        self._in_use.end_with(self)
        self._sign = WaitingSign(self)
        self._is_placed = False  # whether the camera has been told what to see
        self._gl: QOpenGLWidget | None = None
        self._context: Any = None
        self._method = VOLUMES[0][0]
        self._box: volume_visuals.VolumeBox | None = None
        self._mesh: LabelMesh | None = None
        self._surface: LabelSurface | None = None
        self._rebuild = QTimer(self)
        self._rebuild.setSingleShot(True)
        self._rebuild.timeout.connect(self._rebuild_pictures)
        self._empty = QTimer(self)
        self._empty.setSingleShot(True)
        self._empty.timeout.connect(self._paint_from_now_on)
        self._check = QTimer(self)
        self._check.setSingleShot(True)
        self._check.timeout.connect(self._on_check)

    # ---- what draws ------------------------------------------------------------------------

    @property
    def viewer(self) -> ChannelPictures | None:
        """What is on the canvas of ndv; None while there is no dataset."""
        return self._pictures if self._frames is not None else None

    @property
    def camera(self) -> Camera | None:
        """The canvas of ndv; None while there is no dataset."""
        return self.viewer.canvas if self.viewer is not None else None

    @property
    def surface(self) -> QWidget | None:
        """The widget in which ndv draws."""
        return self._gl

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See a volume from another side."""
        if self._pictures is not None:
            self._pictures.turn_camera(axes, center, edge)

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._reads.busy

    @property
    def _arrays(self) -> ViewArrays | None:
        """The frames of the dataset on the canvas, and what of them is uploaded."""
        frames = self._frames
        assert frames is None or isinstance(frames, ViewArrays)
        return frames

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset`; False if it was overtaken, as the event loop may run in here."""
        self._wanted = view
        self.release()
        build = self._build
        self.drop_released()
        if self._is_overtaken(build):
            return False
        self._frames = arrays = ViewArrays(dataset)
        arrays.view = self._wanted
        self._channels = DrawnChannels(arrays, contrasts, self._on_look)
        return self._build_pictures()

    def _is_overtaken(self, build: int) -> bool:
        return self._in_use.ended or build != self._build

    def release(self) -> None:
        """Stop showing the dataset. Quick: `clear` or the next dataset does the slow part."""
        super().release()
        self._later.stop()
        self._empty.stop()
        self._surface = None
        self._reads.forget()
        self._sign.end()
        self._in_use.release()
        if self._pictures is not None:
            self._pictures.widget.hide()

    def clear(self) -> None:
        """Show nothing and release the dataset, and what it was drawn with."""
        self.release()
        self._drop_pictures()

    def drop_released(self) -> bool:
        """Delete what the last dataset was drawn with; False if there is nothing of that.

        A widget of OpenGL is not used again: it would be seen empty, and its window composed anew, meanwhile.
        """
        if self._pictures is None or self._frames is not None:
            return False
        self._drop_pictures()
        return True

    # ---- volumes ---------------------------------------------------------------------------

    def set_volume_method(self, method: str) -> None:
        """Draw volumes so, by the first of one of `VOLUMES`."""
        self._method = method
        if self._pictures is not None and self.frame is not None and self.frame.view.is_volume:
            volume_visuals.set_method(self._pictures, method)

    def show_surface(self, surface: LabelSurface | None) -> None:
        """Draw the surfaces of labels over the volume, from now on; None: nothing."""
        if surface is not self._surface:
            self._surface = surface
            if self.frame is not None and self.frame.view.is_volume:
                self._show_mesh(surface)
                if self._pictures is not None:
                    self._pictures.canvas.refresh()

    def _show_volume_first(self) -> None:
        """See a volume that has just been placed as it was to be seen."""
        camera = self._sight.camera_of(self._volume_sight) if self._volume_sight is not None else None
        if camera is not None and self._pictures is not None:
            self._volume_sight = None
            self.turn_camera(*camera)
            self._sight.is_turned = True

    def _show_mesh(self, surface: LabelSurface | None) -> None:
        if self._pictures is None or (self._mesh is None and surface is None):
            return
        if self._mesh is None:
            from .label_mesh import LabelMesh  # here, as few volumes have labels

            self._mesh = LabelMesh(self._pictures)
        size = self._sight.voxel_size()
        self._mesh.show(surface, (size["x"], size["y"], size["z"]))

    def _dress(self, frame: Frame) -> None:
        """Draw a volume as it was chosen, in its box."""
        if self._pictures is None or self._box is None:
            return
        if not frame.view.is_volume or frame.image is None or self._pictures.world is None:
            self._box.hide()
            self._show_mesh(None)
            return
        size, image = self._sight.voxel_size(), frame.image
        self._show_mesh(self._surface)
        volume_visuals.set_method(self._pictures, self._method)
        n_z = len(frame.view.planes_of(image.n_z))
        self._box.show((0.0, 0.0, 0.0), (image.width * size["x"], image.height * size["y"], n_z * size["z"]))

    # ---- channels --------------------------------------------------------------------------

    def _on_look(self, c: int, look: DrawnLook, before: DrawnLook) -> None:
        super()._on_look(c, look, before)
        if self._pictures is not None:
            self._pictures.draw_as(c, look)

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        super().apply_contrast(c)
        if self._method == "surface":
            self.set_volume_method(self._method)  # the surface lies in the middle of the limits

    # ---- frames ----------------------------------------------------------------------------

    def _request(self, before: View) -> None:
        arrays = self._arrays
        assert arrays is not None and self._pictures is not None
        if arrays.view.is_volume != before.is_volume:
            if arrays.view.is_volume:
                self.emptied.emit()
            self._pictures.start_over(is_volume=arrays.view.is_volume)
            self._drawn_from, self._is_placed = {}, False
        self._read()

    def _read(self) -> None:
        arrays = self._arrays
        assert arrays is not None
        self._poll.wake()
        read = partial(arrays.read_arrays, arrays.view, sorted(arrays.visible), self._drawn_from)
        self._reads.begin("ndviewer-frame", read)
        self._sign.begin()

    def _take(self, read: ArraysRead) -> None:
        arrays = self._arrays
        if arrays is None:
            return
        self._sign.end()
        self._is_taking = True
        try:
            arrays.frame, arrays.is_held_back = read.frame, read.is_held_back
            self._take_contrasts(read.frame)
            self._note_arrived()  # Qt may paint in here, where the window is laid out anew
            if arrays is self._frames:
                self._draw(read)  # last: what is drawn is the frame before until here
        finally:
            self._is_taking = False

    def _draw(self, read: ArraysRead) -> None:
        pictures, frame, channels = self._pictures, read.frame, self._channels
        assert pictures is not None and channels is not None
        self._hide_what_is_missing(frame)
        if frame.view.is_volume:
            pictures.keep(read.arrays)
        pictures.draw(frame.planes, read.arrays, channels.looks, read.scales)
        self._drawn_from = read.pictures
        size = self._sight.voxel_size()
        scales = AlongZyx(*(size[dim] * each for dim, each in zip("zyx", frame.downsampled, strict=True)))
        corner = AlongZyx(*(size[dim] * each for dim, each in zip("zyx", frame.corner, strict=True)))
        is_rescaled = frame.view.is_volume and scales != pictures.scales
        pictures.place(scales, corner)
        if not self._is_placed or (is_rescaled and not self._sight.is_turned):
            self._is_placed = frame.image is not None
            self._sight.reset_view()
            self._show_volume_first()
        pictures.canvas.refresh()
        self._paint_from_now_on()

    @safe_slot
    def _paint_from_now_on(self) -> None:
        self._empty.stop()
        if self._gl is not None and not self._gl.updatesEnabled():
            self._gl.setUpdatesEnabled(True)
            self._check.start(_CHECK_MS)

    # ---- the canvas of ndv -----------------------------------------------------------------

    def _build_pictures(self) -> bool:
        """See to it that there is a canvas for the current dataset; False if it was overtaken."""
        arrays = self._arrays
        assert arrays is not None
        if self._pictures is None and not self._make_pictures(is_volume=arrays.view.is_volume):
            return False
        assert self._pictures is not None
        self._drawn_from, self._is_placed = {}, False
        self._in_use.arrays = arrays
        if self._gl is not None:
            self._gl.setUpdatesEnabled(False)
            self._empty.start(_EMPTY_MS)
        self._pictures.widget.show()  # it is looked at when it is shown (`_filter`)
        arrays.screen = self._screen()
        self._read()
        return True

    def _make_pictures(self, *, is_volume: bool) -> bool:
        build = self._build
        pictures, self._built_ahead = self._built_ahead, None
        if pictures is not None:
            pictures.start_over(is_volume=is_volume)
        else:
            pictures = new_pictures(is_volume=is_volume)
        if self._is_overtaken(build):  # the event loop may run while it is built
            pictures.dispose()
            return False
        self._pictures = pictures
        self._box = volume_visuals.VolumeBox(pictures)
        widget = pictures.widget
        layout = self.layout()
        assert layout is not None
        layout.addWidget(widget)
        widget.installEventFilter(self)
        widget.setAccessibleName("Picture")
        TabFrame(widget)
        self._gl = widget if isinstance(widget, QOpenGLWidget) else None
        widget.setMouseTracking(True)
        return True

    def _drop_pictures(self) -> None:
        self._later.stop()
        self._rebuild.stop()
        self._check.stop()
        self._empty.stop()
        pictures, self._pictures = self._pictures, None
        self._box, self._mesh, self._drawn_from = None, None, {}
        # a lost context took all of them with it, and in the next one these names belong to other objects
        if pictures is not None and self._gl is not None and self._context is self._gl.context():
            pictures.delete_gl_objects()
        context, self._gl, self._context = self._context, None, None
        if context is not None:
            with contextlib.suppress(RuntimeError, TypeError):  # it may already be deleted
                context.aboutToBeDestroyed.disconnect(
                    self._on_context_lost
                )  # otherwise its destruction would rebuild its successor
        if pictures is None:
            return
        pictures.widget.removeEventFilter(self)
        layout = self.layout()
        assert layout is not None
        layout.removeWidget(pictures.widget)
        pictures.dispose()

    @safe_slot
    def _rebuild_pictures(self) -> None:
        """Rebuild the canvas for the same frames after its GL context was lost to another window."""
        arrays = self._arrays
        if self._pictures is None or arrays is None:
            return  # `drop_released` sees that it is lost
        logger.info("the OpenGL context was lost; rebuilding the canvas")
        place, channels, sight = self.visible_area(), self._channels, self.volume_sight(of_part=True)
        self.release()
        build = self._build
        self._drop_pictures()
        if self._is_overtaken(build):
            return
        self._place, self._frames, self._channels, self._volume_sight = place, arrays, channels, sight
        arrays.wanted = True
        if self._build_pictures():
            self.frame_shown.emit()

    def _watch_context(self) -> None:
        context = self._gl.context() if self._gl is not None else None
        if context is None or context is self._context:
            return
        self._context = context
        context.aboutToBeDestroyed.connect(self._on_context_lost)

    @safe_slot
    def _on_context_lost(self) -> None:
        if self._pictures is not None:
            self._rebuild.start(0)

    def _filter(self, watched: QObject | None, event: QEvent | None) -> bool:
        is_shown = event is not None and watched is self._gl and event.type() == QEvent.Type.Show
        if is_shown and not self._empty.isActive():
            self._check.start(_CHECK_MS)
        if super()._filter(watched, event):
            return True
        if event is None or watched is not self._gl or event.type() not in _MOUSE:
            return False
        if self.scene() is None:  # a volume, which vispy turns
            self._turn_volume(event)
        return True

    def _turn_volume(self, event: QEvent) -> None:
        """Give vispy a mouse event of its own.

        It keeps the last ones. Qt's are gone once they were handled, and what Qt puts in their place later,
        of another kind, would reach Python as the mouse event that vispy still has.
        """
        assert self._gl is not None
        own: Any = event.clone() if hasattr(event, "clone") else QMouseEvent(event)  # type: ignore[call-overload]  # Qt 6, Qt 5
        self._gl.event(own)
        if own.type() == QEvent.Type.MouseButtonPress:
            self._gl.event(drag_begun(own, self._gl))

    @safe_slot
    def _on_check(self) -> None:
        if self._gl is not None and self._gl.isVisible() and not self._gl.isValid():
            self.failed.emit("no OpenGL context could be created for the picture")

    def _paint(self, event: QEvent) -> bool:
        if self._rebuild.isActive():
            return True  # the context is lost: vispy's resources no longer exist
        assert self._gl is not None
        self._watch_context()
        super()._paint(event)
        with collector.paused():  # of a window that was closed it may free what makes another context current
            self._gl.event(event)
        return True


class _FramesInUse(Owner):
    """The frames that are read for a canvas; separate from it, as Qt may delete that at any time."""

    arrays: ViewArrays | None = None
    ended = False
    """Whether Qt has deleted the canvas."""

    def release(self) -> None:
        """Give up a volume that is being read."""
        if self.arrays is not None:
            self.arrays.wanted = False
            self.arrays = None

    def end(self) -> None:
        """The canvas is deleted."""
        super().end()
        self.ended = True
        self.release()
