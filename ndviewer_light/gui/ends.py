"""What has to be ended when Qt deletes a widget: for a parent, for a host, or as garbage."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

logger = logging.getLogger(__name__)

_owners: set[Owner] = set()
"""Owners whose widget lives: the garbage collector, which may be what deletes it, must not take them first.

For the same reason `destroyed` is connected to a method, not to a lambda: a lambda that is part of the
garbage has been taken apart when Qt calls it, and calling it then ends the process.
"""


class Owner(ABC):
    """Owns what a widget uses. Has no reference to the widget, or that would never be collected."""

    def end_with(self, widget: QObject) -> None:
        """Have `end` called when `widget` is deleted."""
        _owners.add(self)
        widget.destroyed.connect(self._on_destroyed)

    @abstractmethod
    def end(self) -> None:
        """End everything. Idempotent; called while Qt deletes widgets, so it touches none and never waits."""
        _owners.discard(self)

    def _on_destroyed(self) -> None:
        try:
            self.end()
        except Exception:  # the boundary to C++, as for slots
            logger.exception("cleaning up after a deleted widget")
