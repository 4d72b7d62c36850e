"""The ndv viewer that draws: building one, and disposing of it without a trace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import ndv
import numpy as np
from ndv.models import ArrayDisplayModel, ArrayViewerModel, ChannelMode, ClimsManual, LUTModel
from vispy.scene.visuals import Image
from vispy.visuals.transforms import MatrixTransform, STTransform

from ...storage import collector
from ..ends import Owner
from .ndv_private import cancel_requests, canvas_of, gl_objects_of, vispy_canvas_of, visuals_of
from .volume_visuals import place_of

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # part of QtWidgets in Qt 5
    from qtpy.QtWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ndv.views.bases import ArrayCanvas

    from ...model import Channel
    from .drawn_channels import DrawnLook
    from .view_arrays import DatasetWrapper


def new_viewer_model() -> ArrayViewerModel:
    """What ndv shows around a picture: nothing that we show ourselves."""
    return ArrayViewerModel(show_3d_button=False, show_histogram_button=False, use_shared_histogram=False)


def new_display_model(
    channels: Sequence[Channel], looks: Sequence[DrawnLook], *, is_volume: bool
) -> ArrayDisplayModel:
    """How ndv draws a dataset with these channels."""
    return ArrayDisplayModel(
        visible_axes=("z", "y", "x") if is_volume else ("y", "x"),
        channel_axis="c",
        channel_mode=ChannelMode.COMPOSITE,
        luts={c: _lut(*each) for c, each in enumerate(zip(channels, looks, strict=True))},  # type: ignore[arg-type]
    )


def new_viewer(wrapper: DatasetWrapper, display: ArrayDisplayModel, options: Any) -> ndv.ArrayViewer:
    """Build a viewer; the event loop runs meanwhile."""
    hook = sys.excepthook
    try:
        return ndv.ArrayViewer(wrapper, display_model=display, viewer_options=options)
    finally:
        sys.excepthook = hook  # ndv installs its own; restore the host's, on which its crash log relies


def dispose_of(viewer: ndv.ArrayViewer) -> None:
    """Close an ndv viewer, whose widget is deleted by the event loop."""
    viewer.close()
    canvas_of(viewer).close()
    viewer.widget().setParent(None)
    viewer.widget().deleteLater()


def delete_gl_objects(canvas: ArrayCanvas) -> None:
    """Delete the textures, buffers and programs of a canvas.

    vispy leaves them to the end of the GL context. Where contexts are shared, as in our own application, they
    outlive it: megabytes of graphics memory for each dataset that was shown.
    """
    scene = vispy_canvas_of(canvas)
    widget = getattr(scene, "native", None)
    if scene is None or not isinstance(widget, QOpenGLWidget) or not widget.isValid():
        return
    with collector.paused():  # of a window that was closed it may free what makes another context current
        widget.makeCurrent()
        objects = gl_objects_of(scene)
        for each in list(objects.values()):
            if hasattr(each, "delete"):  # vispy notes those just deleted as a constant
                each.delete()
        objects.clear()
        widget.doneCurrent()


class ViewerInUse(Owner):
    """The ndv viewer that renders frames; separate from the canvas, which Qt may delete at any time."""

    viewer: ndv.ArrayViewer | None = None
    model: ArrayViewerModel | None = None
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
        # ndv keeps a reference, and would draw into a deleted view; nobody else listens
        wrapper.data_changed.disconnect()
        wrapper.dims_changed.disconnect()
        cancel_requests(viewer)
        return viewer

    def end(self) -> None:
        """Release ndv while Qt deletes the canvas, so that it cannot reach a deleted widget."""
        super().end()
        self.ended = True
        if self.viewer is not None and self.model is not None:
            self.model.events.disconnect()
            self.model.events.show_progress_spinner.disconnect()
            self.release()


def leave_buffers_to_qt(canvas: ArrayCanvas) -> None:
    """Keep vispy from swapping buffers after each draw; Qt composes the widget's frame buffer itself.

    The swap reaches no screen, but waits for drawing to finish (40 ms in software) and blocks every other
    Python thread, including the host's writer.
    """
    scene = vispy_canvas_of(canvas)
    if hasattr(scene, "swap_buffers"):
        scene.events.draw.disconnect((scene, "swap_buffers"))


class PicturePlace:
    """Where on the canvas ndv draws its pictures: ndv knows scales of axes, but no place. GUI thread only.

    Pictures that are uploaded column by column are turned there, which ndv does not know of either.
    """

    def __init__(self, canvas: ArrayCanvas) -> None:
        self._canvas = canvas
        self._corner = (0.0, 0.0, 0.0)
        self._turned_shape: tuple[int, ...] | None = None
        self._scales: tuple[float, ...] = (1.0, 1.0)
        set_scales = canvas.set_scales

        def set_scales_and_place(scales: tuple[float, ...]) -> None:
            set_scales(scales)  # with new transformations, from the origin on
            self._scales = scales or self._scales
            self._place()
            if self._turned_shape is not None:  # ndv shows all of the picture, as if it were not turned
                y, x = (n * scale for n, scale in zip(self._turned_shape, self._scales[-2:], strict=True))
                canvas.set_range(x=(0.0, x), y=(0.0, y))

        canvas.set_scales = set_scales_and_place  # type: ignore[method-assign]

    def move_to(self, corner: tuple[float, float, float], turned_shape: tuple[int, ...] | None) -> None:
        """Have pictures and volumes begin at this place, along z, y and x in µm.

        `turned_shape`: rows and columns of pictures that are uploaded column by column; None of others.
        """
        if (corner, turned_shape) != (self._corner, self._turned_shape):
            self._corner, self._turned_shape = corner, turned_shape
            self._place()

    def _place(self) -> None:
        for visual in visuals_of(self._canvas):
            is_picture = isinstance(visual, Image)
            if is_picture and self._turned_shape is not None:
                visual.transform = self._turned()
                continue
            if is_picture and isinstance(visual.transform, MatrixTransform):
                y, x = self._scales[-2:]
                visual.transform = STTransform(scale=(x, y, 1.0))
            if isinstance(getattr(visual, "transform", None), STTransform):
                visual.transform.translate = place_of(visual, self._corner)

    def _turned(self) -> MatrixTransform:
        """From the pixels of a picture that is uploaded column by column to its place."""
        _, top, left = self._corner
        y, x = self._scales[-2:]
        return MatrixTransform(
            np.array([[0.0, y, 0.0, 0.0], [x, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [left, top, 0.0, 1.0]])
        )


def _lut(channel: Channel, look: DrawnLook) -> LUTModel:
    lut = LUTModel(cmap=look.colormap, name=channel.name)
    low, high = look.limits
    lut.clims = ClimsManual(min=low, max=high)
    return lut
