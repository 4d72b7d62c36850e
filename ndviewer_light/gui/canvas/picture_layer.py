"""What is drawn over the picture and leaves the mouse to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QEvent, QRectF, Qt, Signal
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QWidget

from ..slots import safe_slot

if TYPE_CHECKING:
    import numpy as np
    from qtpy.QtCore import QObject

    from ...engine.label_planes import PictureArea
    from ...views.visible_area import VisibleArea
    from .zoom import Projection, Scene


class ShowsPlane(Protocol):
    """What shows the plane in view: the canvas, or panes of its channels, each the same part of it."""

    def projection(self) -> Projection | None:
        """How the plane lies on screen; None in a volume, without a picture, and while it is hidden."""

    def scene(self) -> Scene | None:
        """What the picture is shown in; None in a volume, and while there is no picture."""

    def visible_area(self) -> VisibleArea | None:
        """What of it is seen (µm)."""

    def show_area(self, area: VisibleArea) -> None:
        """Show this part of it."""

    @property
    def surface(self) -> QWidget | None:
        """The widget in which it is, or the first of several that are as large."""

    def setCursor(self, cursor: Qt.CursorShape) -> None:
        """As of a widget."""

    def unsetCursor(self) -> None:
        """As of a widget."""


class PictureLayer(QWidget):
    """Covers the widget it is over, follows its size; hidden at first. GUI thread only.

    `changed` is emitted when it looks different, for what paints the same elsewhere.
    """

    changed = Signal()

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self._picture = picture
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setGeometry(picture.rect())
        picture.installEventFilter(self)
        self.hide()

    def refresh(self) -> None:
        """Paint it again, wherever it is painted."""
        self.update()
        self.changed.emit()

    def paint(self, painter: QPainter, width: int, height: int) -> None:
        """Paint it over a picture of this size that shows the same part of the plane as ours."""
        raise NotImplementedError

    def paint_channel(self, painter: QPainter, width: int, height: int, channel: int | None) -> None:
        """Paint what of it belongs to one channel; None: to all of them together."""
        self.paint(painter, width, height)

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        self.paint(painter, self.width(), self.height())
        painter.end()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        picture = getattr(self, "_picture", None)  # gone where Python's collector has begun to free the layer
        is_resized = event is not None and event.type() == QEvent.Type.Resize
        if is_resized and picture is not None and watched is picture:
            self.setGeometry(picture.rect())
        return False


class AreaImage:
    """A picture (Y, X, 4) that covers an area, painted where that is."""

    def __init__(self, pixels: np.ndarray, area: PictureArea) -> None:
        height, width = pixels.shape[:2]
        self._area = area
        self._bytes = pixels.tobytes()  # which the image refers to
        self._image = QImage(self._bytes, width, height, 4 * width, QImage.Format.Format_RGBA8888)

    def paint(self, painter: QPainter, seen: PictureArea, width: int, height: int) -> None:
        """Paint it where `seen` fills `width` × `height` pixels of the screen."""
        of = self._area
        x, y = width / (seen.right - seen.left), height / (seen.bottom - seen.top)
        left, top = (of.left - seen.left) * x, (of.top - seen.top) * y
        target = QRectF(left, top, (of.right - of.left) * x, (of.bottom - of.top) * y)
        painter.drawImage(target, self._image)
