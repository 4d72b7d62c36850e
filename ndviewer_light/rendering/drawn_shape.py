"""Planes of several channels that differ in size: which of them are drawn over each other. Pure functions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Shape = tuple[int, ...]


def drawn_shape(shapes: Iterable[Shape]) -> Shape | None:
    """The shape (Y, X) that most have, the first of several; None without any."""
    counts = Counter(shapes)
    return max(counts, key=counts.__getitem__) if counts else None


def unlike_text(shape: Shape, drawn: Shape) -> str:
    """What is said of a channel that is not drawn with the others."""
    sizes = [" × ".join(map(str, each[::-1])) for each in (shape, drawn)]
    return f"{sizes[0]} pixels, not {sizes[1]} like the others: drawn only by itself"
