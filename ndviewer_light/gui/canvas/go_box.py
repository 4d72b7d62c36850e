"""The box over the picture in which one types where to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QFrame, QLabel, QLineEdit, QVBoxLayout, QWidget

from ..look.theme import PanelColors, color_placeholder, dark_palette
from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

_BOX_WIDTH = 260
_STYLE = """
QFrame#go {{ background: {card}; border: 1px solid {dim}; border-radius: 6px; }}
QLineEdit {{ background: {window}; color: {text}; border: 1px solid {border}; border-radius: 4px;
    padding: 4px 6px;
    selection-background-color: {accent}; }}
QLineEdit:focus {{ border-color: {accent}; }}
QLabel {{ color: {dim}; }}
QLabel[role="warning"] {{ color: {warning}; }}
"""


class GoBox(QFrame):
    """Opened with `ask`; `asked(text)` on Enter, Escape closes it. GUI thread only."""

    asked = Signal(str)

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self._picture = picture
        self._hint = ""
        self._focus: QWidget | None = None  # what had it before
        self.setObjectName("go")
        colors = PanelColors.of(dark_palette())  # the picture is dark under any palette
        self.setStyleSheet(_STYLE.format_map({name: color.name() for name, color in vars(colors).items()}))
        self.line = QLineEdit(self)
        self.line.setAccessibleName("Go to")
        self.line.setToolTip(
            "A well, field, time point, plane or channel: D7:4, t12, z5, c3; or a link to a view"
        )
        self.line.setPlaceholderText("Go to")
        self._faintest = colors.dim
        self.words = QLabel(self)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setWordWrap(True)
        self.line.returnPressed.connect(self._on_return)
        self.line.textEdited.connect(self._on_edited)
        self.line.installEventFilter(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.line)
        column.addWidget(self.words)
        picture.installEventFilter(self)
        self.hide()

    def ask(self, hint: str) -> None:
        """Open it, and take the focus; `hint` says what may be typed."""
        self._hint = hint
        color_placeholder(self.line, self._faintest)
        if self.isHidden():
            self._focus = self._picture.window().focusWidget()
        self._say(self._hint)
        self.show()
        self._settle()
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.line.selectAll()

    def leave(self) -> None:
        """Close it, and give the focus back."""
        self.hide()
        focus, self._focus = self._focus, None
        (focus or self._picture).setFocus(Qt.FocusReason.OtherFocusReason)

    def refuse(self, problem: str) -> None:
        """Say what is wrong with what was typed, and keep it."""
        self._say(problem, is_problem=True)
        self.line.selectAll()

    def _say(self, text: str, *, is_problem: bool = False) -> None:
        self.words.setProperty("role", "warning" if is_problem else "")
        self.words.setStyleSheet("")  # for the property to be looked at again
        self.words.style().unpolish(self.words)
        self.words.style().polish(self.words)
        self.words.setText(text)
        self._settle()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None:
            return False
        if watched is self._picture and event.type() == QEvent.Type.Resize:
            self._settle()
        is_key = watched is self.line and event.type() == QEvent.Type.KeyPress
        if is_key and event.key() == Qt.Key.Key_Escape:  # type: ignore[attr-defined]
            self.leave()
            return True
        return False

    def _settle(self) -> None:
        width = min(_BOX_WIDTH, max(self._picture.width() - 20, 80))
        self.setFixedWidth(width)
        layout = self.layout()
        height = layout.heightForWidth(width) if layout is not None else 0
        self.resize(width, height if height > 0 else self.sizeHint().height())
        self.move((self._picture.width() - width) // 2, 44)
        self.raise_()

    @safe_slot
    def _on_return(self) -> None:
        self.asked.emit(self.line.text())

    @safe_slot
    def _on_edited(self) -> None:
        self._say(self._hint)
