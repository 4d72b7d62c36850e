"""Warnings that lead to files: where these are on this computer, and not on a server."""

from __future__ import annotations

from ..model import PlacedWarning, WarningPlace, place_of
from .bytes import is_url, split_inner


def about_file(
    text: str,
    file: str,
    *,
    t: int | None = None,
    p: int | None = None,
    c: int | None = None,
    z: int | None = None,
) -> PlacedWarning:
    """The warning `text`, about a file or folder, and the plane or position in it if indices are given.

    `file` is a path or URL, which may lead inside a file ("a.h5::/b").
    """
    return PlacedWarning(text, WarningPlace(t, p, c, z, "" if is_url(file) else split_inner(file)[0]))


def with_position(warning: str, p: int | None) -> str:
    """A warning as being about a position; as it is if that is None, or if it leads into the dataset."""
    place = place_of(warning) or WarningPlace()
    return warning if p is None or place.is_in_dataset else PlacedWarning(warning, place._replace(p=p))
