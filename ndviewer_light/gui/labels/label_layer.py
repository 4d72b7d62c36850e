"""The picture of labels over the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..canvas.picture_layer import AreaImage, PictureLayer

if TYPE_CHECKING:
    import numpy as np
    from qtpy.QtGui import QPainter
    from qtpy.QtWidgets import QWidget

    from ...engine.label_planes import PictureArea


class LabelLayer(PictureLayer):
    """The labels of the picture, or nothing. GUI thread only.

    The picture is drawn where it belongs in `area`, also while another one is being made for a new area.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._image: AreaImage | None = None
        self._area: PictureArea | None = None

    @property
    def area(self) -> PictureArea | None:
        """What of the picture fills the window."""
        return self._area

    def show_picture(self, pixels: np.ndarray | None, area: PictureArea | None) -> None:
        """Show labels (Y, X, 4) that cover `area` of the picture, in its pixels; None: nothing."""
        self._image = AreaImage(pixels, area) if pixels is not None and area is not None else None
        self.setVisible(self._image is not None)
        self.refresh()

    def show_area(self, area: PictureArea | None) -> None:
        """A part of the picture fills the window now; None in a volume."""
        if area != self._area:
            self._area = area
            self.refresh()

    def paint(self, painter: QPainter, width: int, height: int) -> None:
        if self._image is not None and self._area is not None:
            self._image.paint(painter, self._area, width, height)
