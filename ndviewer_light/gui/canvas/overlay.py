"""Text drawn over the canvas: position, scale bar, state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QFont, QPainter, QPen, QPixmap, QTextOption
from qtpy.QtWidgets import QWidget

from ...rendering.scale_bar import scale_bar
from ..look.theme import INK, PLATE
from ..slots import safe_slot
from .written import Written, paint_scale_bar, scale_bar_plate

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

    StateKind = Literal["none", "loading", "waiting", "absent", "error", "partial", "filled"]

LOADING_DELAY_MS = 300
"""A plane that comes sooner gets no badge: it would only flicker."""
_BADGES = ("loading", "partial", "filled")
_TILES = {
    "waiting": "Not written yet",
    "absent": "Nothing stored for this plane",
    "error": "This plane could not be read",
}
"""States that stand for a whole plane, and their sentence where the caller has none."""
_BADGE_TEXTS = {
    "loading": "Loading…",
    "partial": "Some channels are missing",
    "filled": "Nothing stored, shown as the fill value",
}
_LONGEST_BAR_PX, _LONGEST_BAR_SHARE = 160.0, 0.3
"""How long a small scale bar may be; the share is that of the width of the picture."""
_TEXT_MARGIN = 12.0
_PLATE_SIDES = 16.0
"""Of a plate beside its text, both together."""
_LINES_PX, _HATCH_PX = 14, 56
"""From line to line of hatched ground, and a piece of it: whole pixels on screens of most scales."""
_LONGEST_REASON = 600
_MOST_BADGE_LINES = 6
_AMBER = QColor(255, 190, 92)
TILE_COLORS = {"waiting": QColor(47, 51, 60), "absent": QColor(58, 58, 60), "error": QColor(66, 46, 44)}
"""The ground of what stands for a plane without pixels, by its state."""


class CanvasOverlay(QWidget):
    """Covers its parent, follows its size, and is transparent to mouse events.

    GUI thread only. All text is shown literally. `written_changed`: something else is to be written on it;
    `changed`: something else is said.
    """

    written_changed = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = self._short_name = ""
        self._position = ""
        self._latency = ""
        self._note = ""
        self._um_per_px: float | None = None
        self._time = ""
        self._written = Written()
        self._kind: StateKind = "none"
        self._text = ""
        self._wait = ""
        self._painted_reach = 0
        self._hatch: tuple[QColor, float, QPixmap] | None = None
        self._covered: QWidget | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(LOADING_DELAY_MS)
        self._patience.timeout.connect(self.update)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("Canvas")
        if parent is not None:
            self.cover(parent)

    def cover(self, widget: QWidget) -> None:
        """Cover `widget` from now on."""
        if self._covered is not None:
            self._covered.removeEventFilter(self)
        self._covered = widget
        self.setParent(widget)
        widget.installEventFilter(self)
        self.setGeometry(widget.rect())
        self.show()
        self.raise_()

    def name(self) -> str:
        """What the picture is one of, above the position; "" if there is only one."""
        return self._name

    def set_name(self, name: str, short: str = "") -> None:
        """Say first what it is one of, whatever else is wanted: "GFP"; `short` where that is too long."""
        if (name, short) != (self._name, self._short_name):
            self._name, self._short_name = name, short
            self._changed()

    def position(self) -> str:
        """The text at the top left."""
        return self._position

    def set_position(self, text: str) -> None:
        """Set the position text: "B11:1 · t 1 · z 3"."""
        if text != self._position:
            self._position = text
            self._changed()

    def latency(self) -> str:
        """The text below the position, "" if off."""
        return self._latency

    def set_latency(self, text: str) -> None:
        """Say below the position how long frames take; empty: nothing."""
        if text != self._latency:
            self._latency = text
            self._changed()

    def note(self) -> str:
        """What is said of the picture as a whole, below the position; "" if nothing."""
        return self._note

    def set_note(self, text: str) -> None:
        """Say something of the picture as a whole below the position: "saturated: none"."""
        if text != self._note:
            self._note = text
            self._changed()

    def um_per_px(self) -> float | None:
        """µm per screen pixel; None while unknown."""
        return self._um_per_px

    def set_um_per_px(self, um_per_px: float | None) -> None:
        """Set the µm per (logical) screen pixel at the current zoom; None hides the scale bar."""
        if um_per_px != self._um_per_px:
            self._um_per_px = um_per_px
            self.update()

    def scale_bar(self) -> tuple[float, str] | None:
        """Length (px) and label of the current scale bar."""
        return self._bar_in(self.width())

    def _bar_in(self, width: int) -> tuple[float, str] | None:
        longest = min(_LONGEST_BAR_PX, width * _LONGEST_BAR_SHARE)
        return scale_bar(self._um_per_px, longest * self._written.bar.share)

    @property
    def written(self) -> Written:
        """What is to be written on the picture."""
        return self._written

    def set_written(self, written: Written) -> None:
        """Write this on the picture from now on."""
        if written != self._written:
            self._written = written
            self._changed(everywhere=True)
            self.written_changed.emit()

    def time(self) -> str:
        """The time of what is shown, whether it is written or not."""
        return self._time

    def set_time(self, text: str) -> None:
        """Set the time of what is shown, which is written where that is wanted: "00:10:00"."""
        if text != self._time:
            self._time = text
            self._changed()

    def state(self) -> tuple[StateKind, str]:
        """(kind, text) as set."""
        return self._kind, self._text

    def set_state(self, kind: StateKind, text: str = "") -> None:
        """Set the state of the plane in view.

        Parameters
        ----------
        kind
            ``"none"``; ``"loading"``, a badge that appears after 0.3 s; ``"partial"``, a
            badge of up to six lines ("GFP: nothing stored"); ``"filled"``, the same without a warning dot,
            for pixels that are not stored because they are the fill value; ``"waiting"``, ``"absent"``
            and ``"error"``, a hatched tile over the whole canvas, so that a missing picture never looks
            like a black one.
        text
            The sentence to show; if empty, the default of the kind.
        """
        if (kind, text) == (self._kind, self._text):
            return
        if kind != "loading":
            self._patience.stop()
        elif self._kind != "loading":
            self._patience.start()
        is_tile = kind in _TILES or self._kind in _TILES
        self._kind, self._text = kind, text
        self._changed(everywhere=is_tile)

    def wait(self) -> str:
        """What is being waited for, or ""."""
        return self._wait

    def set_wait(self, text: str) -> None:
        """Show what has been waited for too long, in the badge; empty: nothing."""
        if text != self._wait:
            self._wait = text
            self._changed()

    def shows_badge(self) -> bool:
        """Whether a badge is visible (a loading one only after its delay)."""
        return bool(self._wait) or (self._kind in _BADGES and not self._patience.isActive())

    def shown_text(self) -> str:
        """The sentence for the current state, shortened to a readable length."""
        text = self._text or _TILES.get(self._kind) or _BADGE_TEXTS.get(self._kind, "")
        return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"

    def _changed(self, *, everywhere: bool = False) -> None:
        """Something else is said: in the top corners, unless `everywhere`; the rest is not painted."""
        said = self.shown_text() if self._kind != "none" else ""
        time = self._time if self._written.time else ""
        parts = (self._name, self._position, time, said, self._wait, self._note, self._latency)
        self.setAccessibleDescription(" · ".join(part for part in parts if part))
        if everywhere:
            self.update()
        else:
            self.update(0, 0, self.width(), max(self._painted_reach, self._texts_reach()))
        self.changed.emit()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        covered = getattr(self, "_covered", None)  # taken by the collector while it deletes a window
        is_resized = event is not None and event.type() == QEvent.Type.Resize
        if covered is not None and watched is covered and is_resized:
            self.setGeometry(covered.rect())
        return False

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._painted_reach = self._texts_reach()
        if self._kind in _TILES:
            self._draw_tile(painter)
        if self.shows_badge():
            self._draw_badge(painter)
        if self._top_lines():
            self._draw_position(painter)
        bar = self.scale_bar()
        if bar is not None and self._kind not in _TILES:
            paint_scale_bar(painter, _bar_corner(self.width(), self.height()), *bar, self._written.bar)
        painter.end()

    def bar_plate(self) -> QRectF | None:
        """Where the scale bar is painted; None where there is none."""
        return self.bar_plate_in(self.width(), self.height())

    def bar_plate_in(self, width: int, height: int) -> QRectF | None:
        """The same in a picture of this size, at the same zoom."""
        bar = self._bar_in(width)
        if bar is None or self._kind in _TILES:
            return None
        return scale_bar_plate(self.fontMetrics(), _bar_corner(width, height), *bar)

    def _draw_position(self, painter: QPainter) -> None:
        room = self.width() - 2 * _TEXT_MARGIN
        if self.shows_badge():
            room -= self._badge_room() + _TEXT_MARGIN
        lines = self._top_lines()
        if self._short_name and painter.fontMetrics().horizontalAdvance(self._name) > room - _PLATE_SIDES:
            lines[0] = self._short_name
        self._plate(painter, lines, room, left_side=True)

    def _top_lines(self) -> list[str]:
        position = self._position if self._written.position else ""
        time = self._time if self._written.time else ""
        said = self._name, position, time, self._note, self._latency
        return [" ".join(text.split()) for text in said if text]

    def _texts_reach(self) -> int:
        """How far down the texts in the top corners reach, px."""
        in_badge = len(self._badge_lines()) if self.shows_badge() else 0
        lines = max(len(self._top_lines()), in_badge)
        return math.ceil(_TEXT_MARGIN + lines * self.fontMetrics().height() + 7)

    def _draw_badge(self, painter: QPainter) -> None:
        dot = _AMBER if self._kind == "partial" else None
        self._plate(painter, self._badge_lines(), self._badge_room(), left_side=False, dot=dot)

    def _badge_lines(self) -> list[str]:
        has_lines = self._kind in ("partial", "filled") or not self._wait
        lines = self.shown_text().splitlines() if has_lines else []
        if self._wait:
            lines += self._wait.replace(" for ", " for\n", 1).splitlines()
        return lines if len(lines) <= _MOST_BADGE_LINES else [*lines[: _MOST_BADGE_LINES - 1], "…"]

    def _badge_room(self) -> float:
        widest = max(self.fontMetrics().horizontalAdvance(line) for line in self._badge_lines())
        beside = max((self.fontMetrics().horizontalAdvance(line) for line in self._top_lines()), default=0)
        left_over = self.width() - 3 * _TEXT_MARGIN - (beside + _PLATE_SIDES + 1)
        return min(max(self.width() * 0.5, left_over), widest + 34.0)

    def _plate(
        self,
        painter: QPainter,
        lines: list[str],
        room: float,
        *,
        left_side: bool,
        dot: QColor | None = None,
    ) -> None:
        """`lines`, each shortened to `room` px, on a dark rounded plate in a top corner."""
        metrics = painter.fontMetrics()
        indent = 14.0 if dot is not None else 0.0
        most = int(max(24.0, room - _PLATE_SIDES - indent))
        elide = Qt.TextElideMode.ElideLeft if dot is not None else Qt.TextElideMode.ElideRight
        lines = [metrics.elidedText(line, elide, most) for line in lines]  # of channels, what is wrong counts
        width = max(metrics.horizontalAdvance(line) for line in lines) + 17.0 + indent
        left = _TEXT_MARGIN if left_side else self.width() - _TEXT_MARGIN - width
        rect = QRectF(left, _TEXT_MARGIN, width, len(lines) * metrics.height() + 6.0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(rect, 4, 4)
        if dot is not None:
            painter.setBrush(dot)
            painter.drawEllipse(QPointF(left + 12, rect.top() + 3 + metrics.height() / 2), 3.5, 3.5)
        painter.setPen(INK)
        option = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        option.setWrapMode(QTextOption.WrapMode.NoWrap)
        for row, line in enumerate(lines):
            at = QRectF(left + 8 + indent, _TEXT_MARGIN + 3 + row * metrics.height(), width, metrics.height())
            painter.drawText(at, line, option)

    def _draw_tile(self, painter: QPainter) -> None:
        ground = TILE_COLORS[self._kind]
        painter.drawTiledPixmap(self.rect(), self._hatched(ground))
        self._draw_sentence(painter, self.shown_text())

    def _hatched(self, ground: QColor) -> QPixmap:
        """A piece of the hatched ground, which is repeated: lines over all of it take ten times as long."""
        ratio = self.devicePixelRatioF()
        if self._hatch is None or self._hatch[:2] != (ground, ratio):
            piece = QPixmap(round(_HATCH_PX * ratio), round(_HATCH_PX * ratio))
            piece.setDevicePixelRatio(ratio)
            piece.fill(ground)
            painter = QPainter(piece)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(ground.lighter(140), 2))
            for x in range(-_HATCH_PX, _HATCH_PX + 1, _LINES_PX):
                painter.drawLine(x, _HATCH_PX, x + _HATCH_PX, 0)
            painter.end()
            self._hatch = ground, ratio, piece
        return self._hatch[2]

    def _draw_sentence(self, painter: QPainter, text: str) -> None:
        font = QFont(painter.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 1.1)
        painter.setFont(font)
        size = self._text_size(painter, text, self.width() * 0.8 - 32)
        plate = QRectF(0, 0, size.width() + 32, size.height() + 20)
        plate.moveCenter(QPointF(self.rect().center()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(plate, 6, 6)
        painter.setPen(INK)
        painter.drawText(plate.adjusted(15, 10, -15, -10), text, wrapped_text())
        painter.setFont(self.font())

    def _text_size(self, painter: QPainter, text: str, width: float) -> QRectF:
        room = QRectF(0, 0, max(60.0, width), max(40.0, self.height() * 0.8))
        return painter.boundingRect(room, text, wrapped_text())


def _bar_corner(width: int, height: int) -> QPointF:
    return QPointF(width - _TEXT_MARGIN, height - _TEXT_MARGIN)


def wrapped_text() -> QTextOption:
    """Centred, wrapped anywhere: paths have no spaces."""
    option = QTextOption(Qt.AlignmentFlag.AlignCenter)
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    return option
