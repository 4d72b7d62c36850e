"""The images of an NWB file, whatever carries it: their order, and what their positions are called; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model import Position
from .nwb_series import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class NwbImagePath(NamedTuple):
    """A series, or a single image: its path in the file, how many numbers it has, and which of both it is."""

    path: str
    n: int
    is_picture: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The groups that lead to it, and its own name."""
        return tuple(self.path.strip("/").split("/"))


def in_order(found: Iterable[NwbImagePath]) -> list[NwbImagePath]:
    """Series before single images, of each the largest first; of equal ones as the file lists its groups."""
    return sorted(found, key=_rank)


def _rank(image: NwbImagePath) -> tuple[bool, int, int, tuple[str, ...]]:
    place, *_ = names = image.names
    return image.is_picture, -image.n, PLACES.index(place) if place in PLACES else len(PLACES), names


def nwb_positions(paths: Sequence[str]) -> tuple[Position, ...]:
    """The positions of several images, called by their paths without the groups that all of them are in.

    A single one is called like its series, and is no place of its own.
    """
    split = [tuple(path.strip("/").split("/")) for path in paths]
    if len(split) == 1:
        return (Position("default", 0, name=split[0][-1]),)
    shared = shared_folders(split)
    return tuple(series_position(i, "/".join(names[shared:])) for i, names in enumerate(split))


def shared_folders(paths: Sequence[Sequence[str]]) -> int:
    """How many folders at the beginning all of several paths have in common; the last name is no folder."""
    n = 0
    while paths and all(len(names) > n + 1 for names in paths) and len({names[n] for names in paths}) == 1:
        n += 1
    return n


def series_position(index: int, name: str) -> Position:
    """The position of an image in a collection."""
    return Position("series", index, name=name) if name.isdecimal() else Position(name, 0, name=name)
