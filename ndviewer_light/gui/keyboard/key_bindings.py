"""Binds the keys of `keys` to what they do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from ..slots import safe_slot
from .keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .keys import Place

logger = logging.getLogger(__name__)


class KeyBindings(QObject):
    """The keys of one viewer: for its widgets as shortcuts, for others by `press`. GUI thread only.

    Never for the whole window: a host's text fields and keys are its own.
    """

    def __init__(
        self, owner: QWidget, places: Mapping[Place, QWidget], actions: Mapping[str, Callable[[], object]]
    ) -> None:
        super().__init__(owner)
        self._bound: list[tuple[QKeySequence, Callable[[], object], bool]] = []
        for key in KEYS:
            place = places.get("picture" if key.place == "beside" else key.place)
            # Escape is left to whoever in the window has a use for it, and comes back as a key press
            if place is None or key.action == "cancel":
                continue
            for name in key.keys:
                action = actions.get(key.action) or actions.get(f"{key.action} {name}")
                if action is None:
                    continue
                slot = safe_slot(action)
                sequence = QKeySequence(name)
                shortcut = QShortcut(sequence, place)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(slot)
                if key.place != "picture":
                    self._bound.append((sequence, slot, key.place == "beside"))

    def press(self, event: Any, *, is_inside: bool = False) -> bool:
        """Do what a key means that nobody has taken; False if it means nothing.

        `is_inside`: the focus is in the viewer, as on a slider.
        """
        pressed = _combined(event)
        for sequence, action, is_beside in self._bound:
            if is_beside and not is_inside:
                continue
            if sequence.matches(QKeySequence(pressed)) == QKeySequence.SequenceMatch.ExactMatch:
                action()
                return True
        return False


def _combined(event: Any) -> int:
    """The key and its modifiers as one number; Shift is part of what is typed with it, as "?" is."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    text = event.text()
    if len(text) == 1 and text.isprintable() and not text.isalnum():
        modifiers &= ~Qt.KeyboardModifier.ShiftModifier
    number = getattr(modifiers, "value", modifiers)
    return int(number) | int(event.key())
