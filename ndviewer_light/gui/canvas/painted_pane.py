"""A pane with a flat picture that is made on the CPU: in a thread, for what is in view, then painted by Qt.

When the view moves, what there is is shifted and scaled at once, and the picture of the new part follows.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QWidget

from ...engine.label_planes import PictureArea
from ...rendering.seen_layers import SeenLayers
from ..look.tab_frame import TabFrame
from ..slots import safe_slot
from .flat_camera import FlatCamera
from .frame_reads import FrameReads

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    import numpy as np
    from qtpy.QtGui import QResizeEvent, QShowEvent

    from ...rendering.added_up import Layer
    from ...views.visible_area import VisibleArea
    from ..background import Background
    from .view_frames import Frame

logger = logging.getLogger(__name__)


class PlacedLayers(NamedTuple):
    """Layers of equal shape, and where they are in the world: their upper left corner and pixels, in µm."""

    layers: tuple[Layer, ...]
    left: float
    top: float
    um_x: float
    um_y: float

    @classmethod
    def of_frame(
        cls, layers: Iterable[Layer], frame: Frame, voxel_size: Mapping[Hashable, float]
    ) -> PlacedLayers:
        """Layers of a frame where its picture is; `voxel_size` of level 0 in µm."""
        (_, top, left), (_, span_y, span_x) = frame.corner, frame.downsampled
        um_y, um_x = voxel_size["y"], voxel_size["x"]
        return cls(tuple(layers), left * um_x, top * um_y, span_x * um_x, span_y * um_y)

    def pixels_in(self, area: VisibleArea) -> PictureArea:
        """A part of the world in pixels of the layers."""
        return PictureArea(
            (area.x[0] - self.left) / self.um_x,
            (area.y[0] - self.top) / self.um_y,
            (area.x[1] - self.left) / self.um_x,
            (area.y[1] - self.top) / self.um_y,
        )


class _PictureWanted(NamedTuple):
    """What a picture shows; `number`: of the layers."""

    number: int
    area: VisibleArea
    rows: int
    columns: int


class _Made(NamedTuple):
    of: _PictureWanted
    pixels: np.ndarray | None  # (rows, columns, 4) uint8; None if it cannot be made


class PaintedPane(QWidget):
    """Shows layers where they are in the world. GUI thread only.

    `drawn` is emitted, with the number of the layers, once they are in the picture, which is painted next;
    while the pane is not seen, no picture is made. `resized` once the camera knows its new size.
    """

    drawn = Signal(int)
    resized = Signal()

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._making: FrameReads[_Made] = FrameReads(self, background, self._take)
        self.camera = FlatCamera(self.refresh)
        """What of the world is seen."""
        self._layers: PlacedLayers | None = None
        self._number = 0  # of the layers
        self._made: _Made | None = None
        self._seen = SeenLayers()  # of the thread that makes pictures
        self._unseen = QTimer(self)
        self._unseen.setSingleShot(True)
        self._unseen.timeout.connect(self._on_unseen)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        TabFrame(self)
        self.setMouseTracking(True)

    # ---- what is shown ---------------------------------------------------------------------

    def show_layers(self, layers: PlacedLayers | None) -> int:
        """Show these from now on, and return their number; what was shown stays until their picture is there.

        None: nothing, at once.
        """
        self._number += 1
        self._layers = layers
        if layers is None:
            self._made, self._seen = None, SeenLayers()
            self.update()
        else:
            self._make()
        return self._number

    @property
    def is_up_to_date(self) -> bool:
        """Whether what is painted is what is to be shown, in full resolution."""
        return self._layers is None or (self._made is not None and self._made.of == self._wanted())

    @property
    def area(self) -> VisibleArea:
        """What of the world is seen."""
        return self.camera.area

    def refresh(self) -> None:
        """Paint what there is where it is seen now, and make what there is not."""
        self.update()
        self._make()

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.camera.set_size(self.width(), self.height())
        self.refresh()
        self.resized.emit()

    # ---- the picture -----------------------------------------------------------------------

    def _wanted(self) -> _PictureWanted:
        ratio = self.devicePixelRatioF()
        rows, columns = round(self.height() * ratio), round(self.width() * ratio)
        return _PictureWanted(self._number, self.camera.area, max(rows, 1), max(columns, 1))

    def _make(self) -> None:
        """Make the picture that is wanted now, unless it is there; while one is made, later."""
        layers = self._layers
        if layers is None or self._making.busy or self.is_up_to_date:
            return
        if not self.isVisible():
            self._unseen.start(0)
            return
        self._making.begin("ndviewer-picture", partial(_made_of, self._seen, layers, self._wanted()))

    @safe_slot
    def _on_unseen(self) -> None:
        if self._layers is not None:
            self.drawn.emit(self._number)

    @safe_slot
    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._make()

    def _take(self, made: _Made) -> None:
        if self._layers is not None and made.pixels is not None:
            self._made = made
            self.update()
        self.drawn.emit(made.of.number)
        is_drawn = made.pixels is not None
        if is_drawn or made.of.number != self._number:  # what cannot be drawn is not tried again
            self._make()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        if self._made is not None:
            of, pixels = self._made
            assert pixels is not None
            form = QImage.Format.Format_RGB32
            image = QImage(pixels.data, of.columns, of.rows, 4 * of.columns, form)  # type: ignore[call-overload]
            painter.drawImage(self._place_of(of.area), image)
        painter.end()

    def _place_of(self, area: VisibleArea) -> QRectF:
        """Where in the pane a part of the world is."""
        seen, scale = self.camera.area, self.camera.scale
        if area == seen:
            return QRectF(self.rect())
        left, top = (area.x[0] - seen.x[0]) / scale, (area.y[0] - seen.y[0]) / scale
        return QRectF(left, top, (area.x[1] - area.x[0]) / scale, (area.y[1] - area.y[0]) / scale)


def _made_of(seen: SeenLayers, layers: PlacedLayers, wanted: _PictureWanted) -> _Made:
    """The picture, without pixels if it cannot be made. Any thread; never raises."""
    try:
        area = layers.pixels_in(wanted.area)
        return _Made(wanted, seen.picture(layers.layers, area, wanted.rows, wanted.columns))
    except Exception:
        logger.exception("drawing a picture")
        return _Made(wanted, None)
