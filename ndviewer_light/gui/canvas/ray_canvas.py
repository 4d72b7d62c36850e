"""Volumes drawn on the CPU, where no graphics card does: no OpenGL is needed for them.

The same levels, limits and colours as with OpenGL; the GUI thread only paints what a thread has drawn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, Qt

from ...rendering.volume_look import VOLUMES
from ..slots import safe_slot
from .display import Canvas
from .drawn_channels import DrawnChannels
from .frame_reads import FrameReads
from .ray_pane import RayPane
from .ray_pictures import RayScene
from .texture_values import AS_THEY_ARE
from .view_arrays import ViewArrays
from .waiting_sign import WaitingSign
from .zoom import drag_factor, wheel_factor

if TYPE_CHECKING:
    import numpy as np
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

    from ...engine.dataset import Dataset
    from ...rendering.contrast import ChannelContrasts
    from ...rendering.label_surfaces import LabelSurface
    from ..background import Background
    from .canvas_view import View
    from .drawn_channels import DrawnLook
    from .ray_camera import RayCamera
    from .view_arrays import ArraysRead


class RayCanvas(Canvas):
    """A `RayPane` that is given one frame at a time; of volumes only: planes are drawn by another canvas."""

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._reads: FrameReads[ArraysRead] = FrameReads(self, background, self._take)
        self._awaited: int | None = None  # the scene of a frame that has arrived, and is not seen yet
        self._read: ArraysRead | None = None
        self._is_placed = False  # whether the camera has been told what to see
        self._method = VOLUMES[0][0]
        self._labels: LabelSurface | None = None
        self._dragged: QPointF | None = None
        self._pane = RayPane(background)
        self._pane.setAccessibleName("Picture")
        self._pane.drawn.connect(self._on_drawn)
        self._pane.resized.connect(self._on_resized)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._pane)
        self._pane.installEventFilter(self)
        self._sign = WaitingSign(self)

    # ---- what draws ------------------------------------------------------------------------

    @property
    def viewer(self) -> RayPane | None:
        """The pane; None while there is no dataset."""
        return self._pane if self._frames is not None else None

    @property
    def camera(self) -> RayCamera | None:
        """That of the pane; None while there is no dataset."""
        return self._pane.camera if self._frames is not None else None

    @property
    def surface(self) -> RayPane:
        """The pane."""
        return self._pane

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._frames is not None and (self._reads.busy or self._awaited is not None)

    @property
    def progress(self) -> str:
        """How far a volume has been read or drawn; "" while none is."""
        if self._awaited is not None:
            return "drawing the volume"
        said, scene, step = super().progress, self._pane.scene, self._pane.step
        if said or scene is None or step == 1:
            return said
        n_z, height, width = (-(-n // step) for n in scene.shape)
        return f"drawn as {width} × {height} × {n_z} while it moves"

    @property
    def _arrays(self) -> ViewArrays | None:
        frames = self._frames
        assert frames is None or isinstance(frames, ViewArrays)
        return frames

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See a volume from another side."""
        self._pane.camera.turn_camera(axes, center, edge)

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset`; never overtaken."""
        self.release()
        self._frames = arrays = ViewArrays(dataset)
        arrays.view = self._wanted = view
        self._channels = DrawnChannels(self._frames, contrasts, self._on_look)
        self._dirty = True
        self.show_view(view)
        return True

    def show_view(self, view: View) -> None:
        """Show other indices; planes are left to the canvas that comes for them."""
        if view.is_volume:
            super().show_view(view)
        elif self._frames is not None:
            self._frames.next_view = view

    def release(self) -> None:
        """Stop showing the dataset."""
        arrays = self._arrays
        if arrays is not None:
            arrays.wanted = False
        super().release()
        self._reads.forget()
        self._sign.end()
        self._awaited = self._read = self._labels = None
        self._is_placed = False
        self._later.stop()
        self._pane.show_scene(None)

    def drop_released(self) -> bool:
        """Nothing is left to do."""
        return False

    # ---- frames ----------------------------------------------------------------------------

    def _request(self, before: View) -> None:
        arrays = self._arrays
        assert arrays is not None
        self._sign.begin()
        read = partial(arrays.read_arrays, arrays.view, sorted(arrays.visible), {})
        self._reads.begin("ndviewer-frame", read)

    def _take(self, read: ArraysRead) -> None:
        arrays, frame = self._arrays, read.frame
        if arrays is None:
            return
        self._is_taking = True
        arrays.frame, arrays.is_held_back = frame, read.is_held_back
        self._read = read
        self._take_contrasts(frame)
        self._hide_what_is_missing(frame)
        if not self._is_placed:
            self._is_placed = frame.image is not None
            self.reset_view()
            self._show_volume_first()
        self._is_taking = False
        self._awaited = self._show()

    def _show_volume_first(self) -> None:
        """See a volume that has just been placed as it was to be seen."""
        camera = self._sight.camera_of(self._volume_sight) if self._volume_sight is not None else None
        if camera is not None:
            self._volume_sight = None
            self.turn_camera(*camera)
            self._sight.is_turned = True

    @safe_slot
    def _on_drawn(self, number: int) -> None:
        if self._awaited is not None and number >= self._awaited:
            self._awaited = None
            self._sign.end()
            self._is_taking = True
            self._note_arrived()
            self._is_taking = False

    @safe_slot
    def _on_resized(self) -> None:
        if self._is_placed and self.is_fitting:
            self.reset_view()

    # ---- how it is drawn -------------------------------------------------------------------

    def set_volume_method(self, method: str) -> None:
        """Draw volumes so, by the first of one of `VOLUMES`."""
        self._method = method
        self._show_again()

    def show_surface(self, surface: LabelSurface | None) -> None:
        """Draw the surfaces of labels over the volume, from now on; None: nothing."""
        if surface is not self._labels:
            self._labels = surface
            self._show_again()

    def _on_look(self, c: int, look: DrawnLook, before: DrawnLook) -> None:
        super()._on_look(c, look, before)
        self._show_again()

    def _show_again(self) -> None:
        if not self._is_taking and self._read is not None and self.frame is not None:
            number = self._show()
            if self._awaited is not None:
                self._awaited = number

    def _show(self) -> int:
        """Draw the last frame, as its channels are to be drawn now; returns the number of its scene."""
        read, size = self._read, self._sight.voxel_size()
        assert read is not None
        frame, um = read.frame, (size["z"], size["y"], size["x"])
        z, y, x = (each * span for each, span in zip(um, frame.downsampled, strict=True))
        front, top, left = (each * at for each, at in zip(um, frame.corner, strict=True))
        box = 0.0, 0.0, 0.0
        if frame.image is not None:
            n_z = len(frame.view.planes_of(frame.image.n_z))
            box = frame.image.width * um[2], frame.image.height * um[1], n_z * um[0]
        looks = {}
        for c in read.arrays:
            scale, look = read.scales.get(c, AS_THEY_ARE), self.looks[c]
            looks[c] = look._replace(limits=scale.limits(look.limits))
        scene = RayScene(
            read.arrays, (z, y, x), (left, top, front), box, looks, self._method, self._labels, um[::-1]
        )
        return self._pane.show_scene(scene)

    # ---- mouse -----------------------------------------------------------------------------

    def _filter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if super()._filter(watched, event):
            return True
        return event is not None and watched is self._pane and self._move(event)

    def _move(self, event: Any) -> bool:
        """Turn, pan or zoom by a mouse event; whether it was one for that."""
        kind, camera = event.type(), self._pane.camera
        if kind == QEvent.Type.Wheel:
            camera.zoom(wheel_factor(event.angleDelta().y() or event.angleDelta().x()))
            return True
        if kind == QEvent.Type.MouseButtonPress:
            self._dragged = _position(event)
        elif kind == QEvent.Type.MouseButtonRelease:
            self._dragged = None
        elif kind == QEvent.Type.MouseMove and self._dragged is not None:
            at = _position(event)
            moved, self._dragged = at - self._dragged, at
            is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if event.buttons() & Qt.MouseButton.RightButton:
                camera.zoom(drag_factor(moved.y()))
            elif is_shifted or event.buttons() & Qt.MouseButton.MiddleButton:
                camera.pan(moved.x(), moved.y())
            elif event.buttons() & Qt.MouseButton.LeftButton:
                camera.turn(moved.x(), moved.y())
            return True
        return False


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
