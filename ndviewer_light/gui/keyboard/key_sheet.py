"""The sheet of all keys, made from the table that binds them: a card for each thing they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QDialog, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ..look.scroll_area import ColumnScroll
from ..look.theme import Panel, heading_font, set_role
from ..slots import safe_slot
from .keys import KEY_GROUPS, MOUSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QResizeEvent

_COLUMN_PX = 400
_LEAST_COLUMN_PX = 340
_MOST_COLUMNS = 3
_CARD_GAP_PX = 12
_SHEET_EDGE_PX = 16
_SCROLL_BAR_PX = 12
_IN_PICTURE = " •"
"""Behind what keys do that work in the picture only."""
_BETWEEN_KEYS = ("or", "…")


class KeySheet(QDialog):
    """Lists what keys and mouse do; Escape closes it. Does not block the window below."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.setObjectName("keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setPalette(parent.palette())
        styled, page = Panel(self), QWidget()
        self._cards = [
            *(
                _card(
                    heading, [_KeyRow(key.named, key.does, in_picture=key.place == "picture") for key in keys]
                )
                for heading, keys in KEY_GROUPS
            ),
            _card("Mouse", [_MouseRow(what, does) for what, does in MOUSE]),
        ]
        self._beside = QHBoxLayout()
        self._beside.setSpacing(0)
        self._columns = [QVBoxLayout() for _ in range(_MOST_COLUMNS)]
        for column in self._columns:
            column.setSpacing(_CARD_GAP_PX)
            column.addStretch(1)
            self._beside.addLayout(column)
        self._n_columns = 0
        rows = QVBoxLayout(page)
        rows.setContentsMargins(_SHEET_EDGE_PX, 12, _SHEET_EDGE_PX, _SHEET_EDGE_PX)
        rows.setSpacing(10)
        rows.addWidget(
            _note(f"Keys with{_IN_PICTURE} work in the picture: after a click in it, or with Tab.")
        )
        rows.addLayout(self._beside)
        rows.addStretch(1)
        self._scroll = ColumnScroll(page, "Keys and mouse")
        for inner, outer in ((self._scroll, styled), (styled, self)):
            column = QVBoxLayout(outer)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(inner)
        self.setMinimumSize(320, 240)
        self._fit(parent)
        self._scroll.setFocus()  # where there is too little room, arrow keys scroll at once

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    # ---- parts -----------------------------------------------------------------------------

    def _fit(self, parent: QWidget) -> None:
        """As large as it needs to be, within the screen."""
        room = self.screen().availableGeometry().size() - QSize(40, 80)
        beside = 2 * _SHEET_EDGE_PX + _SCROLL_BAR_PX
        n = max(1, min(_MOST_COLUMNS, (room.width() - beside + _CARD_GAP_PX) // (_COLUMN_PX + _CARD_GAP_PX)))
        width = min(n * (_COLUMN_PX + _CARD_GAP_PX) - _CARD_GAP_PX + beside, room.width())
        self.resize(width, min(room.height(), 600))
        self._arrange()
        page = self._scroll.widget()
        assert page is not None
        self.resize(width, min(page.heightForWidth(width - _SCROLL_BAR_PX) + 2, room.height()))

    @safe_slot
    def _arrange(self) -> None:
        """The cards in as many columns as there is room for, about as high as each other."""
        room = self.width() - 2 * _SHEET_EDGE_PX + _CARD_GAP_PX - _SCROLL_BAR_PX
        n = max(1, min(_MOST_COLUMNS, room // (_LEAST_COLUMN_PX + _CARD_GAP_PX)))
        if n == self._n_columns:
            return
        self._n_columns = n
        width = room // n - _CARD_GAP_PX
        heights = [card.heightForWidth(width) + _CARD_GAP_PX for card in self._cards]
        filled = in_columns(heights, n)
        for column in self._columns:
            for card in self._cards:
                column.removeWidget(card)
        for nth, column in enumerate(self._columns):
            cards = filled[nth] if nth < len(filled) else []
            for i in cards:
                column.insertWidget(column.count() - 1, self._cards[i])
            column.setContentsMargins(_CARD_GAP_PX if nth and cards else 0, 0, 0, 0)
            self._beside.setStretch(nth, 1 if cards else 0)


def in_columns(heights: Sequence[int], n: int) -> list[list[int]]:
    """Which of some things of these heights stand in each of `n` columns, in their order.

    The highest column is as low as it can be.

    >>> in_columns([5, 3, 1, 2, 4], 2)
    [[0, 1], [2, 3, 4]]
    """
    highest = max(heights, default=0)
    while True:
        columns: list[list[int]] = [[]]
        filled = 0
        for i, height in enumerate(heights):
            if columns[-1] and filled + height > highest:
                columns.append([])
                filled = 0
            columns[-1].append(i)
            filled += height
        if len(columns) <= n:
            return columns
        highest += 1


class _KeyRow(QWidget):
    """What keys do, and the keys, each on a cap of its own."""

    def __init__(self, named: str, does: str, *, in_picture: bool) -> None:
        super().__init__()
        self.named, self.does = named, does
        self.setAccessibleName(f"{named}: {does}")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 2)
        row.setSpacing(3)
        words = _wrapped(does + (_IN_PICTURE if in_picture else ""))
        row.addWidget(words, 1)
        row.addSpacing(10)
        for text in _caps(named):
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            if text not in _BETWEEN_KEYS:
                set_role(label, "key")
            row.addWidget(label, 0, Qt.AlignmentFlag.AlignTop)


class _MouseRow(QWidget):
    """What the mouse does, and below it what that is."""

    def __init__(self, what: str, does: str) -> None:
        super().__init__()
        self.named, self.does = what, does
        self.setAccessibleName(f"{what}: {does}")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 2)
        column.setSpacing(0)
        column.addWidget(_wrapped(what))
        column.addWidget(_note(does))


def _caps(named: str) -> list[str]:
    """What is written on each cap: arrows together are on one.

    >>> _caps("Ctrl ← → ↑ ↓"), _caps("Ctrl G or /")
    (['Ctrl', '← → ↑ ↓'], ['Ctrl', 'G', 'or', '/'])
    """
    caps: list[str] = []
    for part in named.split(" "):
        if caps and part in "←→↑↓" and caps[-1][-1] in "←→↑↓":
            caps[-1] += f" {part}"
        else:
            caps.append(part)
    return caps


def _card(heading: str, rows: Sequence[QWidget]) -> QFrame:
    card = QFrame()
    set_role(card, "card")
    column = QVBoxLayout(card)
    column.setContentsMargins(12, 9, 10, 8)
    column.setSpacing(1)
    label = QLabel(heading.upper())
    label.setFont(heading_font(label))
    set_role(label, "dim")
    column.addWidget(label)
    column.addSpacing(3)
    for row in rows:
        column.addWidget(row)
    return card


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _note(text: str) -> QLabel:
    label = _wrapped(text)
    set_role(label, "dim")
    return label
