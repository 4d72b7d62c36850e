"""A pane with a volume that is drawn on the CPU: in a thread, then painted by Qt.

While the volume moves it is drawn coarsely if it has to be, and as it is once it rests.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QLineF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QWidget

from ...rendering.volume_layers import BOX_COLOR
from ..look.tab_frame import TabFrame
from ..slots import safe_slot
from .frame_reads import FrameReads
from .ray_camera import RayCamera
from .ray_pictures import RayPicture, RayPictures, RayScene, RayWanted

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent, QShowEvent

    from ..background import Background

BUDGET_SECONDS = 0.08
"""So long a picture may take while the volume is turned."""
_AT_ONCE_SECONDS = 0.4
"""What takes longer is first drawn coarsely, also while nothing moves."""
REST_MS = 200
"""Whoever does not turn the volume for so long has it drawn as it is."""

_BOX_OPACITY = 200


class RayPane(QWidget):
    """Shows a scene as it is seen by its camera. GUI thread only.

    `drawn` is emitted, with the number of the scene, once it is in the picture, which is painted next;
    while the pane is not seen, no picture is made. `resized` once the camera knows its new size.
    """

    drawn = Signal(int)
    resized = Signal()

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._making: FrameReads[RayPicture] = FrameReads(self, background, self._take)
        self.camera = RayCamera(self.refresh)
        """From where it is seen."""
        self._pictures = RayPictures()
        self._scene: RayScene | None = None
        self._number = 0  # of the scene
        self._made: RayPicture | None = None
        self._failed = 0  # the scene that cannot be drawn
        self._moved = 0.0
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._make)
        self._unseen = QTimer(self)
        self._unseen.setSingleShot(True)
        self._unseen.timeout.connect(self._on_unseen)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        TabFrame(self)
        self.setMouseTracking(True)

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def scales(self) -> tuple[float, float, float] | None:
        """How large a voxel is along z, y, x, in µm; None while there is none."""
        return self._scene.spans if self._scene is not None else None

    @property
    def scene(self) -> RayScene | None:
        """What is shown."""
        return self._scene

    def show_scene(self, scene: RayScene | None) -> int:
        """Show this from now on, and return its number; what was shown stays until its picture is there.

        None: nothing, at once.
        """
        self._number += 1
        self._scene = scene
        if scene is None:
            self._rest.stop()
            self._made, self._pictures = None, RayPictures()
            self.update()
        else:
            self._make()
        return self._number

    @property
    def is_up_to_date(self) -> bool:
        """Whether what is painted is what is to be shown, in full resolution."""
        if self._scene is None or self._failed == self._number:
            return True
        return self._made is not None and self._made.of == self._wanted(1)

    @property
    def step(self) -> int:
        """How many voxels along each axis are taken together in what is painted."""
        return self._made.of.step if self._made is not None else 1

    def refresh(self) -> None:
        """It is seen from elsewhere."""
        self._moved = time.monotonic()
        self._make()

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.camera.set_size(self.width(), self.height())
        self.resized.emit()
        self._make()

    # ---- the picture -----------------------------------------------------------------------

    def _wanted(self, step: int) -> RayWanted:
        assert self._scene is not None
        ratio = self.devicePixelRatioF() / step
        rows, columns = (max(round(edge * ratio), 1) for edge in (self.height(), self.width()))
        return RayWanted(self._number, self.camera.sight_of(self._scene.middle), rows, columns, step)

    @safe_slot
    def _make(self) -> None:
        """Make the picture that is wanted now, unless it is there; while one is made, later."""
        scene = self._scene
        if scene is None or self.is_up_to_date:
            return
        if not self.isVisible():
            self._unseen.start(0)
            return
        full = self._wanted(1)
        being_made = self._pictures.wanted
        if self._making.busy:
            if being_made is not None and being_made.step == 1 and being_made != full:
                self._pictures.wanted = None  # it takes long, and nobody wants it
            return
        wait_ms = REST_MS - round(1000 * (time.monotonic() - self._moved))
        seconds = BUDGET_SECONDS if wait_ms > 0 else _AT_ONCE_SECONDS
        step = 1 if self._pictures.is_known(scene, full) else self._pictures.step_for(scene, seconds)
        wanted = self._wanted(step)
        if self._made is not None and self._made.of == wanted and step > 1:  # now as it is
            if wait_ms > 0:
                self._rest.start(wait_ms)
                return
            wanted = full
        self._pictures.wanted = wanted
        self._making.begin("ndviewer-picture", partial(self._pictures.make, scene, wanted))

    @safe_slot
    def _on_unseen(self) -> None:
        if self._scene is not None:
            self.drawn.emit(self._number)

    @safe_slot
    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._make()

    def _take(self, made: RayPicture) -> None:
        if self._scene is None:
            return
        if made.has_failed:
            self._failed = made.of.number
        if made.pixels is not None:
            self._made = made
            self.update()
        if made.pixels is not None or made.has_failed:
            self.drawn.emit(made.of.number)
        self._make()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        if self._made is None or self._made.pixels is None:
            painter.fillRect(self.rect(), Qt.GlobalColor.black)
        else:
            of, pixels = self._made.of, self._made.pixels
            form = QImage.Format.Format_RGB32
            image = QImage(pixels.data, of.columns, of.rows, 4 * of.columns, form)  # type: ignore[call-overload]
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.rect(), image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.scale(self.width() / of.columns, self.height() / of.rows)
            pen = QPen(QColor(*BOX_COLOR, _BOX_OPACITY), 1.0)
            pen.setCosmetic(True)  # as thin however coarse the picture is
            painter.setPen(pen)
            for edge in self._made.edges:
                painter.drawLine(QLineF(*edge))
        painter.end()
