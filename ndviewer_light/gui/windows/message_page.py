"""The page shown in place of a dataset: nothing is open, opening, or why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QRectF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QBrush, QFont, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..canvas.overlay import wrapped_text
from ..interpretation.read_as_button import ALLOW_TIP
from ..look.icon_files import icon
from ..look.theme import Panel, colors_of, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    MessageKind = Literal["info", "busy", "error"]


class _Emblem(QWidget):
    """A spinning ring while busy, else an icon."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._angle = 0
        self.drawing = QPixmap()
        self._turning = QTimer(self)
        self._turning.setInterval(40)
        self._turning.timeout.connect(self._turn)
        self.busy = False
        self.setFixedSize(40, 40)

    def set_busy(self, busy: bool) -> None:
        self.busy = busy
        self._run_if_seen()
        self.update()

    def is_turning(self) -> bool:
        return bool(self._turning.isActive())

    def _run_if_seen(self) -> None:
        if self.busy and self.isVisible():
            self._turning.start()
        else:
            self._turning.stop()

    @safe_slot
    def showEvent(self, _event: Any) -> None:
        self._run_if_seen()

    @safe_slot
    def hideEvent(self, _event: Any) -> None:
        self._turning.stop()

    @safe_slot
    def _turn(self) -> None:
        self._angle = (self._angle + 12) % 360
        self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.busy:
            self._draw_ring(painter)
        elif not self.drawing.isNull():
            painter.drawPixmap(4, 4, self.drawing)
        painter.end()

    def _draw_ring(self, painter: QPainter) -> None:
        colors = colors_of(self)
        ring = QRectF(6, 6, 28, 28)
        painter.setPen(QPen(QBrush(colors.groove), 3))
        painter.drawEllipse(ring)
        pen = QPen(QBrush(colors.accent), 3)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawArc(ring, -self._angle * 16, 100 * 16)


class _Detail(QPlainTextEdit):
    """Literal text of any length: wraps anywhere, selectable, as high as necessary."""

    _MOST_LINES = 12

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setTabChangesFocus(True)
        self.document().setDefaultTextOption(wrapped_text())
        self.viewport().setAutoFillBackground(False)
        set_role(self, "detail")

    @safe_slot
    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Take the height of the text, up to a dozen lines; longer text scrolls."""
        lines = max(1, round(self.document().size().height()))
        margins = 2 * self.document().documentMargin() + 2
        policy = Qt.ScrollBarPolicy  # a rounded line height must not cause a scroll bar for one pixel
        fits = lines <= self._MOST_LINES
        self.setVerticalScrollBarPolicy(policy.ScrollBarAlwaysOff if fits else policy.ScrollBarAsNeeded)
        height = int(min(lines, self._MOST_LINES) * self.fontMetrics().lineSpacing() + margins)
        if height != self.height():
            self.setFixedHeight(height)


class MessagePage(Panel):
    """Shown instead of the canvas: no dataset, opening, or why opening failed.

    GUI thread only. Headline and detail are shown literally.
    """

    retry = Signal()
    """The user pressed "Try again"."""
    open_requested = Signal()
    """The user pressed "Open another…"."""
    allowed = Signal(str)
    """The user pressed "Allow for this dataset": the storage option that is meant."""
    cancelled = Signal()
    """The user pressed "Cancel" or "Back"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind: MessageKind = "info"
        self.emblem = _Emblem(self)
        self.headline = QLabel(self)
        self.headline.setTextFormat(Qt.TextFormat.PlainText)
        self.headline.setWordWrap(True)
        self.headline.setAlignment(Qt.AlignmentFlag.AlignCenter)
        font = QFont(self.headline.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 1.3)
        self.headline.setFont(font)
        self.detail = _Detail(self)
        self.detail.setAccessibleName("Details")
        self.technical = _Detail(self)
        self.technical.setAccessibleName("Technical details")
        self.retry_button = self._button("Try again", "Open it again")
        self.open_button = self._button("Open another…", "Open a folder, a file or an address")
        self.allow_button = self._button("Allow for this dataset", ALLOW_TIP)
        self._permission = ""
        self.cancel_button = self._button("Cancel", "Return to what was shown before (Esc)")
        self.details_button = self._button("Details", "Show technical details, for support or a bug report")
        self.details_button.setCheckable(True)
        self.copy_button = self._button("Copy", "Copy this text")
        self.retry_button.clicked.connect(self._on_retry_clicked)
        self.open_button.clicked.connect(self._on_open_clicked)
        self.allow_button.clicked.connect(self._on_allow_clicked)
        self.cancel_button.clicked.connect(self._on_cancel_clicked)
        self.details_button.toggled.connect(self._on_details_toggled)
        self.copy_button.clicked.connect(self._on_copy_clicked)
        self._lay_out()
        self.show_message("info", "No dataset open")

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return (
            self.retry_button,
            self.open_button,
            self.allow_button,
            self.cancel_button,
            self.details_button,
            self.copy_button,
        )

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        set_role(button, "chip")
        return button

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button in self._buttons:
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addStretch(2)
        column.addWidget(self.emblem, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.headline)
        column.addWidget(self.detail)
        column.addSpacing(4)
        column.addLayout(buttons)
        column.addWidget(self.technical)
        column.addStretch(3)
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 24, 24, 24)
        row.addStretch(1)
        row.addLayout(column, 6)
        row.addStretch(1)

    def show_message(
        self,
        kind: MessageKind,
        headline: str,
        detail: str = "",
        *,
        details: str = "",
        retry: bool = False,
        can_open: bool = False,
        permission: str = "",
        cancel: str = "",
    ) -> None:
        """Show `headline`, and `detail` below it in smaller type.

        Parameters
        ----------
        kind
            ``"info"``, ``"busy"`` (a spinning ring), or ``"error"`` (a warning sign).
        details
            Technical details: shown on request, copied with the rest.
        retry, can_open
            Whether to offer "Try again" (`retry` signal) and "Open another…" (`open_requested` signal).
        permission
            The storage option that "Allow for this dataset" is for (`allowed` signal); empty: none.
        cancel
            The text of the button for the `cancelled` signal; empty: none.
        """
        self._kind = kind
        self.detail.setPlainText(detail)
        self.detail.setVisible(bool(detail))
        self.detail.fit()
        self.technical.setPlainText(details)
        self.technical.hide()
        self.details_button.setChecked(False)
        self.details_button.setVisible(bool(details))
        self.copy_button.setVisible(kind == "error")
        self.retry_button.setVisible(retry)
        self.open_button.setText("Open another…" if kind == "error" else "Open…")
        self.open_button.setVisible(can_open)
        self._permission = permission
        self.allow_button.setVisible(bool(permission))
        self.cancel_button.setText(cancel)
        self.cancel_button.setVisible(bool(cancel))
        self.emblem.set_busy(kind == "busy")
        self._draw_emblem()
        self.set_headline(headline)
        self.setAccessibleDescription(detail)

    def set_headline(self, headline: str) -> None:
        """Change only the headline."""
        if headline != self.headline.text():
            self.headline.setText(headline)
            self.setAccessibleName(headline)

    def text(self) -> str:
        """The complete text, shown or not: headline, detail, details."""
        parts = (self.headline.text(), self.detail.toPlainText(), self.technical.toPlainText())
        return "\n\n".join(part for part in parts if part)

    def kind(self) -> MessageKind:
        """What kind of message is shown."""
        return self._kind

    def palette_changed(self) -> None:
        if hasattr(self, "emblem"):
            self._draw_emblem()

    def _draw_emblem(self) -> None:
        name, color = ("warning", self.colors.warning) if self._kind == "error" else ("open", self.colors.dim)
        self.emblem.drawing = icon(name, color).pixmap(QSize(32, 32))
        self.emblem.update()

    @safe_slot
    def _on_retry_clicked(self) -> None:
        self.retry.emit()

    @safe_slot
    def _on_open_clicked(self) -> None:
        self.open_requested.emit()

    @safe_slot
    def _on_allow_clicked(self) -> None:
        self.allowed.emit(self._permission)

    @safe_slot
    def _on_cancel_clicked(self) -> None:
        self.cancelled.emit()

    @safe_slot
    def _on_details_toggled(self, shown: bool) -> None:
        self.technical.setVisible(shown)
        self.technical.fit()

    @safe_slot
    def _on_copy_clicked(self) -> None:
        QApplication.clipboard().setText(self.text())
