"""The picture of labels over the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF
from qtpy.QtGui import QImage, QPainter

from ..canvas.picture_layer import PictureLayer
from ..slots import safe_slot

if TYPE_CHECKING:
    import numpy as np
    from qtpy.QtWidgets import QWidget

    from ...engine.label_planes import PictureArea


class LabelLayer(PictureLayer):
    """The labels of the picture, or nothing. GUI thread only.

    The picture is drawn where it belongs in `area`, also while another one is being made for a new area.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._bytes = b""  # which the image refers to
        self._of: PictureArea | None = None
        self._area: PictureArea | None = None

    def show_picture(self, pixels: np.ndarray | None, area: PictureArea | None) -> None:
        """Show labels (Y, X, 4) that cover `area` of the picture, in its pixels; None: nothing."""
        self._image, self._of = None, area
        if pixels is not None:
            height, width = pixels.shape[:2]
            self._bytes = pixels.tobytes()
            self._image = QImage(self._bytes, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self.setVisible(pixels is not None)
        self.update()

    def show_area(self, area: PictureArea | None) -> None:
        """A part of the picture fills the window now; None in a volume."""
        if area != self._area:
            self._area = area
            self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        image, of, area = self._image, self._of, self._area
        if image is None or of is None or area is None:
            return
        x = self.width() / (area.right - area.left)
        y = self.height() / (area.bottom - area.top)
        left, top = (of.left - area.left) * x, (of.top - area.top) * y
        target = QRectF(left, top, (of.right - of.left) * x, (of.bottom - of.top) * y)
        painter = QPainter(self)
        painter.drawImage(target, image)
        painter.end()
