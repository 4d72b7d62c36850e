"""How channels are shown side by side. Pure."""

from __future__ import annotations

from enum import Enum


class SplitLook(Enum):
    """Single channels in their colours, or in gray."""

    COLOURS = "colours"
    GRAY = "gray"
