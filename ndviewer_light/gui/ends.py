"""Ends a widget's resources when Qt deletes it: with a parent, by a host, or as garbage."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

logger = logging.getLogger(__name__)

_owners: set[Owner] = set()
"""Owners of living widgets: the garbage collector, which may delete the widget, must not delete them first.

For the same reason `destroyed` is connected to a method, not a lambda: a lambda that is part of the
garbage is already cleared when Qt calls it, which would crash the process.
"""


class Owner(ABC):
    """Owns a widget's resources. Has no reference to the widget, which would never be collected otherwise."""

    def end_with(self, widget: QObject) -> None:
        """Have `end` called when `widget` is deleted."""
        _owners.add(self)
        widget.destroyed.connect(self._on_destroyed)

    @abstractmethod
    def end(self) -> None:
        """End everything. Idempotent; called while Qt deletes widgets, so it uses none and never waits."""
        _owners.discard(self)

    def _on_destroyed(self) -> None:
        try:
            self.end()
        except Exception:  # the boundary to C++, as for slots
            logger.exception("cleaning up after a deleted widget")
