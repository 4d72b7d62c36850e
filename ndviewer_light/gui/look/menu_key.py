"""Menus that the mouse opens at the edge of a button, or with the right button: by keyboard as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget


class MenuKey(QObject):
    """Opens a menu of `widget` with the arrow down, as of a box to choose from, or the key for menus."""

    def __init__(self, widget: QWidget, show_menu: Callable[[], object]) -> None:
        super().__init__(widget)
        self._show_menu = show_menu
        widget.installEventFilter(self)

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.KeyPress and _is_for_menus(event):
            self._show_menu()
            return True
        return False


def _is_for_menus(event: Any) -> bool:
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    if event.key() == Qt.Key.Key_F10:
        return bool(modifiers == Qt.KeyboardModifier.ShiftModifier)
    is_plain = modifiers in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier)
    return bool(is_plain and event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Menu))
