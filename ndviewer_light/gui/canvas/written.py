"""What is written on the picture: where the view is, the time, a scale bar; and how the bar is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QTextOption

from ...rendering.scale_bar import BarLook
from ..look.theme import INK, PLATE

if TYPE_CHECKING:
    from qtpy.QtCore import QPointF
    from qtpy.QtGui import QFontMetrics

_BAR_INKS = {"auto": INK, "white": QColor(255, 255, 255), "black": QColor(0, 0, 0)}


class Written(NamedTuple):
    """What the user wants to have written on the picture."""

    position: bool = True
    time: bool = False
    bar: BarLook = BarLook()

    def as_text(self) -> str:
        """One word for each part, for settings."""
        switches = ("yes" if on else "no" for on in (self.position, self.time))
        return " ".join((*switches, self.bar.color, self.bar.size))

    @classmethod
    def of_text(cls, text: object) -> Written:
        """What `as_text` said; the default for anything else."""
        parts = str(text).split()
        if len(parts) != 4 or not {*parts[:2]} <= {"yes", "no"} or not BarLook(*parts[2:]).is_known:
            return cls()
        return cls(parts[0] == "yes", parts[1] == "yes", BarLook(*parts[2:]))


def scale_bar_plate(metrics: QFontMetrics, corner: QPointF, length: float, label: str) -> QRectF:
    """Where the plate of a bar of `length` px is, whose lower right corner is at `corner`."""
    width = max(length, metrics.horizontalAdvance(label)) + 16
    height = metrics.height() + 14.0
    return QRectF(corner.x() - width, corner.y() - height, width, height)


def paint_scale_bar(painter: QPainter, corner: QPointF, length: float, label: str, look: BarLook) -> None:
    """Paint a bar of `length` px and what it stands for, with its plate's lower right corner at `corner`."""
    plate, ink = scale_bar_plate(painter.fontMetrics(), corner, length, label), _BAR_INKS[look.color]
    if look.has_plate:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(plate, 4, 4)
    painter.setPen(ink)
    painter.drawText(plate.adjusted(0, 2, 0, -10), label, QTextOption(Qt.AlignmentFlag.AlignCenter))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # the bar has square ends
    bar = QRectF(round(plate.center().x() - length / 2), round(plate.bottom() - 9), round(length), 3)
    painter.fillRect(bar, ink)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
