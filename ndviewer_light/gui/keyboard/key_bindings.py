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

    Never for the whole window: a host's text fields and keys are its own. Of a shortcut of the window and one
    of ours with the same keys Qt would do neither, so that in the picture keys are presses (`takes`).
    """

    def __init__(
        self, owner: QWidget, places: Mapping[Place, QWidget], actions: Mapping[str, Callable[[], object]]
    ) -> None:
        super().__init__(owner)
        self._bound: list[tuple[QKeySequence, Callable[[], object], Place]] = []
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
                self._bound.append((sequence, slot, key.place))

    def takes(self, event: Any) -> bool:
        """Whether a key means something while the focus is in the picture."""
        return self._meant(event, "picture") is not None

    def press(self, event: Any, focus: Place = "window") -> bool:
        """Do what a key means that nobody has taken; False if it means nothing.

        `focus` is in the "picture", "beside" it in the viewer, as on a slider, or elsewhere in the "window".
        """
        action = self._meant(event, focus)
        if action is not None:
            action()
        return action is not None

    def _meant(self, event: Any, focus: Place) -> Callable[[], object] | None:
        pressed = QKeySequence(_combined(event))
        left_out = {"picture": (), "beside": ("picture",)}.get(focus, ("picture", "beside"))
        for sequence, action, place in self._bound:
            is_it = sequence.matches(pressed) == QKeySequence.SequenceMatch.ExactMatch
            if is_it and place not in left_out:
                return action
        return None


def _combined(event: Any) -> int:
    """The key and its modifiers as one number; Shift is part of what is typed with it, as "?" is."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    text = event.text()
    if len(text) == 1 and text.isprintable() and not text.isalnum():
        modifiers &= ~Qt.KeyboardModifier.ShiftModifier
    number = getattr(modifiers, "value", modifiers)
    return int(number) | int(event.key())
