"""ndv's canvas, given pixels by our frames: a picture or a volume for each channel, at its place.

Of ndv only its view layer is used: a canvas, and an image handle for each channel. GUI thread only.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

os.environ.setdefault("NDV_CANVAS_BACKEND", "vispy")  # read when the first canvas is built

from ndv.models import ArrayViewerModel
from ndv.views import get_array_canvas_class
from vispy.visuals.transforms import MatrixTransform, STTransform

from ...engine.transpose import is_transposed
from ...storage import collector
from ..ends import delete_later
from .texture_values import AS_THEY_ARE, TextureScale
from .vispy_scene import VispyScene, next_id

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ndv.views.bases import ArrayCanvas, ImageHandle
    from qtpy.QtWidgets import QWidget

    from .drawn_channels import DrawnLook


class AlongZyx(NamedTuple):
    """A place, or a size, along each axis, in µm."""

    z: float
    y: float
    x: float


class ChannelPictures:
    """What is drawn of the channels of one dataset after the other: pictures, or volumes. GUI thread only.

    Making one for a channel takes longer than giving it other pixels: those of planes are used again.
    """

    def __init__(self, canvas: ArrayCanvas, first_id: int, *, is_volume: bool) -> None:
        """`first_id`: `next_id()` before the canvas was made."""
        self.canvas = canvas
        self._scene = VispyScene(self.widget, first_id)
        self._scene.keep_from_swapping()
        self._scene.keep_from_picking()
        self._visuals: dict[int, Any] = {}
        self.scales = AlongZyx(1.0, 1.0, 1.0)
        """How large a pixel or voxel is."""
        self._corner = AlongZyx(0.0, 0.0, 0.0)
        self._is_volume = is_volume
        self._drawn: frozenset[int] = frozenset()
        self._nothing: ImageHandle | None = None
        self._set_camera()
        self._handles: dict[int, ImageHandle] = {}
        self._looks: dict[int, DrawnLook] = {}  # as they are drawn
        self._left: set[int] = set()  # with pixels of the dataset before, which nobody sees
        self._shapes: dict[int, tuple[int, ...]] = {}  # of the pixels, before ndv leaves any out
        self._turned: dict[int, bool] = {}
        self._scaled: dict[int, TextureScale] = {}
        self._placed: dict[int, np.ndarray] = {}

    @property
    def widget(self) -> QWidget:
        """The widget in which they are drawn."""
        widget: QWidget = self.canvas.frontend_widget()
        return widget

    @property
    def visuals(self) -> list[Any]:
        """What vispy draws for each channel."""
        return [visual for c, visual in self._visuals.items() if c not in self._left]

    @property
    def world(self) -> Any:
        """The node of vispy in which they are, in µm; None while there is no picture."""
        return next((visual.parent for visual in self.visuals), None)

    @property
    def is_volume(self) -> bool:
        """Whether volumes are drawn."""
        return self._is_volume

    def start_over(self, *, is_volume: bool) -> None:
        """Draw volumes from now on, or pictures; none so far."""
        if is_volume or self._is_volume:
            self.keep(())
        self._left, self._drawn = set(self._handles), frozenset()
        for handle in self._handles.values():
            handle.set_visible(False)
        if is_volume != self._is_volume:
            self._is_volume = is_volume
            self._set_camera()
        self.canvas.refresh()

    def _set_camera(self) -> None:
        self.canvas.set_ndim(3 if self._is_volume else 2)
        if self._nothing is not None:
            self._nothing.remove()
            self._nothing = None
        if not self._is_volume:  # ndv sees what it is told to see only where there is a picture
            self._nothing = self.canvas.add_image(np.zeros((1, 1), np.uint8))
            self._nothing.set_visible(False)
        self.canvas.set_range((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))  # of a new camera, vispy ignores the first

    def keep(self, channels: Collection[int]) -> None:
        """Draw nothing of other channels."""
        for c in [c for c in self._handles if c not in channels]:
            self._remove(c)

    def _remove(self, c: int) -> None:
        self._handles.pop(c).remove()
        self._left.discard(c)
        self._placed.pop(c, None)
        del self._visuals[c], self._looks[c], self._shapes[c], self._turned[c]
        del self._scaled[c]

    def draw(
        self,
        channels: Collection[int],
        arrays: Mapping[int, np.ndarray],
        looks: Sequence[DrawnLook],
        scales: Mapping[int, TextureScale] = {},
    ) -> None:
        """Draw these channels and no others, of those that are other than before from new pixels.

        `arrays`: these, (Y, X), or voxels (Z, Y, X), with values of the data or moved by one of `scales`.
        `looks`: how the channels are drawn, by values of the data. Pixels that lie in memory column by column
        are uploaded so, and turned where they are drawn.
        """
        self.keep(range(len(looks)))
        for c, pixels in arrays.items():
            is_turned = is_transposed(pixels)
            self._upload(c, pixels.T if is_turned else pixels, looks[c], scales.get(c, AS_THEY_ARE))
            self._turned[c], self._shapes[c] = is_turned, pixels.shape
        self._drawn = frozenset(channels)
        for c, handle in self._handles.items():
            if handle.visible() is not self._is_on(c, looks[c]):
                handle.set_visible(self._is_on(c, looks[c]))

    def _upload(self, c: int, data: np.ndarray, look: DrawnLook, scale: TextureScale) -> None:
        if c in self._left and self._handles[c].data().dtype != data.dtype:
            self._remove(c)
        before, self._scaled[c] = self._scaled.get(c), scale
        if c not in self._handles:
            self._handles[c], self._visuals[c] = self._added(data)
            self._dress(c, look)
            self._looks[c] = look
            return
        self._handles[c].set_data(data)
        if scale != before:
            self._handles[c].set_clims(scale.limits(look.limits))
        if c in self._left:
            self._left.discard(c)
            self.draw_as(c, look)

    def _is_on(self, c: int, look: DrawnLook) -> bool:
        """Whether a channel is drawn; what is kept of others may be of another plane."""
        return look.is_on and c in self._drawn and c not in self._left

    def _added(self, data: np.ndarray) -> tuple[ImageHandle, Any]:
        """A new handle, and what vispy draws for it."""
        canvas, before = self.canvas, set(self._scene.nodes())
        canvas.set_range = _stay  # type: ignore[method-assign]  # ndv shows all of whatever is added
        try:
            handle = canvas.add_volume(data) if self._is_volume else canvas.add_image(data)
        finally:
            del canvas.set_range
        return handle, next((node for node in reversed(self._scene.nodes()) if node not in before), None)

    def draw_as(self, c: int, look: DrawnLook) -> None:
        """Draw a channel in another way than before."""
        handle = self._handles.get(c)
        if handle is None or c in self._left:
            return
        before, self._looks[c] = self._looks[c], look
        if look.colormap is not before.colormap:
            handle.set_colormap(look.colormap)
        if look.gamma != before.gamma:
            handle.set_gamma(look.gamma)
        if look.is_on != before.is_on:
            handle.set_visible(self._is_on(c, look))
        if look.limits != before.limits:
            handle.set_clims(self._scaled[c].limits(look.limits))

    def _dress(self, c: int, look: DrawnLook) -> None:
        handle = self._handles[c]
        handle.set_colormap(look.colormap)
        handle.set_gamma(look.gamma)
        handle.set_clims(self._scaled[c].limits(look.limits))

    def place(self, scales: AlongZyx, corner: AlongZyx) -> None:
        """Have pictures and volumes begin at this corner, their pixels or voxels as large as `scales`."""
        self.scales, self._corner = scales, corner
        for c, handle in self._handles.items():
            if c in self._left:
                continue
            place = self._place_of(c, handle.data().shape)
            if c not in self._placed or not np.array_equal(place, self._placed[c]):
                self._placed[c] = place
                self._visuals[c].transform = self._transform(place)

    def _place_of(self, c: int, uploaded: tuple[int, ...]) -> np.ndarray:
        """How large what was uploaded is drawn and where it begins (x, y, z), and whether it is turned."""
        left_out = np.ones(3)  # of pixels that graphics cards cannot hold, ndv uploads every n-th
        shape = self._shapes[c]
        there = uploaded[::-1] if self._turned[c] else uploaded
        left_out[-len(shape) :] = [n / max(m, 1) for n, m in zip(shape, there, strict=False)]
        scale = left_out * self.scales
        begin = np.array(self._corner) if not self._is_volume else self._corner + scale / 2
        if not self._is_volume:
            begin[0] = 0.0
        return np.array([scale[::-1], begin[::-1], [self._turned[c]] * 3])

    @staticmethod
    def _transform(place: np.ndarray) -> STTransform | MatrixTransform:
        (x, y, z), (left, top, front), (is_turned, *_) = place
        if not is_turned:
            return STTransform(scale=(x, y, z), translate=(left, top, front))
        return MatrixTransform(
            np.array([[0.0, y, 0.0, 0.0], [x, 0.0, 0.0, 0.0], [0.0, 0.0, z, 0.0], [left, top, front, 1.0]])
        )

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See volumes from another side, see `VispyScene.turn_camera`."""
        self._scene.turn_camera(axes, center, edge)
        self.canvas.refresh()

    def delete_gl_objects(self) -> None:
        """Delete the textures, buffers and programs of the canvas.

        vispy leaves them to the end of the GL context. Where contexts are shared, as in our own application,
        they outlive it: megabytes of graphics memory for each dataset that was shown.
        """
        widget = self.widget
        if not isinstance(widget, QOpenGLWidget) or not widget.isValid():
            return
        with collector.paused():  # of a window that was closed it may free what makes another context current
            widget.makeCurrent()
            self._scene.delete_gl_objects()
            widget.doneCurrent()

    def dispose(self) -> None:
        """Close the canvas, whose widget is deleted by the event loop."""
        widget = self.widget
        self.canvas.close()
        widget.setParent(None)
        delete_later(widget)


def new_pictures(*, is_volume: bool) -> ChannelPictures:
    """Build a canvas; the event loop may run meanwhile."""
    return ChannelPictures(*new_canvas(), is_volume=is_volume)


def new_canvas() -> tuple[ArrayCanvas, int]:
    """The canvas alone, and `next_id()` before it was made."""
    hook, first_id = sys.excepthook, next_id()
    try:
        return get_array_canvas_class()(ArrayViewerModel()), first_id
    finally:
        sys.excepthook = hook  # ndv installs its own; restore the host's, on which its crash log relies


def _stay(*where: object, **more: object) -> None:
    """See what was seen before."""
