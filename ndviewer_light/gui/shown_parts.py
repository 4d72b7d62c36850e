"""Which parts of the window are shown, for the buttons that show and hide them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ShownParts(QObject):
    """`step` looks, and emits `changed` when different ones are shown. GUI thread only."""

    changed = Signal()

    def __init__(
        self, are_shown: Mapping[str, Callable[[], bool]], has_picture: Callable[[], bool], parent: QObject
    ) -> None:
        """`are_shown`: whether a part is, by the name of the action in `keys` that shows and hides it.

        None is without a picture: a message in its place covers them all.
        """
        super().__init__(parent)
        self._are_shown = are_shown
        self._has_picture = has_picture
        self._names: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The actions whose parts are shown."""
        return self._names

    def step(self) -> None:
        """Look which are shown."""
        are_shown = self._are_shown if self._has_picture() else {}
        names = frozenset(name for name, is_shown in are_shown.items() if is_shown())
        if names != self._names:
            self._names = names
            self.changed.emit()
