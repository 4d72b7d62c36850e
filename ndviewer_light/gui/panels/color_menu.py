"""Choosing how a channel is coloured: a colour, or a lookup table that viewers of all kinds can read.

A choice is ``"#RRGGBB"`` (black to that colour) or the name of a table, with ``_r`` for the other way round.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QLinearGradient, QPainter, QPixmap

from ...colours import CYCLE
from ..look.theme import menu_of
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMenu, QWidget

LOOKUP_TABLES = ("cividis", "viridis", "inferno", "magma", "plasma", "turbo", "imagej:fire", "imagej:ice")
"""As in cmap's catalogue, under permissive licences; the first five for colour-blind viewers too."""

_NAMES = {
    "#FFFFFF": "Grey",
    **dict(
        zip(CYCLE, ("Magenta", "Green", "Cyan", "Red", "Orange", "Yellow", "Violet"), strict=True),
    ),
}
_REVERSED = "_r"
_SWATCH = (36, 12)


def base_of(choice: str) -> str:
    """A choice without its direction."""
    return choice.removesuffix(_REVERSED)


def is_reversed(choice: str) -> bool:
    """Whether low values are bright."""
    return choice.endswith(_REVERSED)


def is_choice(text: str) -> bool:
    """Whether a text is a colour or a table that can be chosen."""
    base = base_of(text)
    return base in LOOKUP_TABLES or (base.startswith("#") and len(base) == 7 and QColor(base).isValid())


def dot_color(choice: str) -> QColor:
    """One colour that stands for a choice: the colour itself, or that of bright values of a table."""
    base = base_of(choice)
    if base in LOOKUP_TABLES:
        return _stops(base)[len(_stops(base)) * 2 // 3]
    return QColor(base if QColor(base).isValid() else "white")


def _stops(base: str) -> list[QColor]:
    if base not in LOOKUP_TABLES:
        return [QColor("black"), QColor(base)]
    import cmap

    return [QColor(color.hex[:7]) for color in cmap.Colormap(base).iter_colors(12)]


def _swatch(choice: str) -> QIcon:
    pixmap = QPixmap(*_SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    stops = _stops(base_of(choice))
    gradient = QLinearGradient(0, 0, _SWATCH[0], 0)
    for i, color in enumerate(stops[::-1] if is_reversed(choice) else stops):
        gradient.setColorAt(i / (len(stops) - 1), color)
    painter = QPainter(pixmap)
    painter.fillRect(pixmap.rect(), gradient)
    painter.end()
    return QIcon(pixmap)


def color_menu(
    parent: QWidget, current: str, choose: Callable[[str], None], choose_other: Callable[[], None]
) -> QMenu:
    """A menu of colours and tables, the `current` choice checked; `choose_other` asks for any colour."""
    menu = menu_of(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    backwards = _REVERSED if is_reversed(current) else ""
    for base in (*_NAMES, *LOOKUP_TABLES):
        if base == LOOKUP_TABLES[0]:
            menu.addSeparator()
        name = _NAMES.get(base) or base.removeprefix("imagej:").capitalize()
        action = menu.addAction(_swatch(base + backwards), name)
        action.setCheckable(True)
        action.setChecked(base == base_of(current))
        action.triggered.connect(partial(_call, choose, base + backwards))
    menu.addSeparator()
    menu.addAction("Other colour…", choose_other)
    inverted = menu.addAction("Inverted")
    inverted.setCheckable(True)
    inverted.setChecked(is_reversed(current))
    other = base_of(current) if is_reversed(current) else current + _REVERSED
    inverted.triggered.connect(partial(_call, choose, other))
    return menu


@safe_slot
def _call(choose: Callable[[str], None], choice: str, *_: object) -> None:
    choose(choice)
