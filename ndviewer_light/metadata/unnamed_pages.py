"""What the pages of a TIFF are along where nothing says it, and what a person says that they are. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..model import Interpretation
from .guessed_axes import AXES_OPTION, other_axes
from .tiff_layout import PAGES, SHAPE_ALONE, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .tiff_layout import Axis, TiffImage

_AXIS_GIVEN = re.compile(r"\s*([a-z])\s*(\d{0,9})\s*[,×*]?")


def what_is_guessed(images: Sequence[TiffImage]) -> list[str]:
    """What is said of images whose axes have no names, for display."""
    kinds = {image.kind for image in images if image.outer}
    said = []
    if PAGES in kinds:
        said.append(
            "its pages are not described: shown as z; the option axes=T makes them time points, axes='T Z5' "
            "time points of 5 planes each"
        )
    if SHAPE_ALONE in kinds:
        said.append("its axes have no names: the option axes gives them, as axes=T or TZ")
    return said


def other_page_axes(images: Sequence[TiffImage]) -> tuple[Interpretation, ...]:
    """What else the pages may be along, of images of which nothing says it."""
    image = next((each for each in images if each.kind in (PAGES, SHAPE_ALONE) and each.outer), None)
    if image is None:
        return ()
    held = {role for role, size in (image.rows, image.columns, image.samples) if size > 1}
    outer = image.outer if image.kind == SHAPE_ALONE else (("z", sum(run.n for run in image.runs)),)
    ways = other_axes([*(n for _, n in outer), 2, 2], [*(role for role, _ in outer), "y", "x"])
    found = [(way.text, way.options[0][1]) for way in ways]
    return tuple(
        Interpretation(text, ((AXES_OPTION, letters[:-2].upper()),))
        for text, letters in found
        if letters.endswith("yx") and not held.intersection(letters[:-2])
    )


def with_axes(images: Sequence[TiffImage], letters: str, name: str) -> tuple[TiffImage, ...]:
    """The images with the axes over their pages called by these letters (T, Z, C, P), slowest first.

    Each may have its length: "T12 Z5", or "T Z5" of as many time points as there are. Images with as many
    such axes as letters are changed, with lengths those with as many pages (the last time point may be
    incomplete). Raises `UnsupportedError` if there are none, or for other letters.
    """
    given = _axes_with_sizes(letters)
    roles = "".join(role for role, _ in given)
    found, fitting = [], 0
    for image in images:
        held = {role for role, n in (image.rows, image.columns, image.samples) if n > 1}
        fits = not held.intersection(roles) and not any(role in "yx" for role, _ in image.outer)
        outer = _outer_of(given, image) if fits else None
        if outer is None:
            found.append(image)
            continue
        fitting += 1
        is_incomplete = image.is_incomplete or math.prod(n for _, n in outer) > image.n_pages
        channels = () if "c" in roles else image.channels
        outer = tuple(axis for axis in outer if axis[1] > 1)
        changed = replace(image, outer=outer, channels=channels, is_incomplete=is_incomplete)
        found.append(checked(changed, name))
    if not fitting:
        axes = ", ".join(
            " ".join(f"{role.upper()}{n}" for role, n in image.outer) or "none" for image in images[:3]
        )
        sizes = "" if any(n for _, n in given) else " (with lengths, as T12 Z5, they may be divided anew)"
        raise UnsupportedError(
            f"{name}: axes {letters!r} do not fit its pages, which have the axes {axes}{sizes}"
        )
    return tuple(found)


def _axes_with_sizes(letters: str) -> tuple[Axis, ...]:
    """Roles and lengths (0 where none is given) as a person writes them; raises like `with_axes`."""
    text, found, at = letters.lower().rstrip(), [], 0
    while (match := _AXIS_GIVEN.match(text, at)) is not None and at < len(text):
        found.append((match[1], int(match[2] or 0)))
        at = match.end()
    roles = [role for role, _ in found]
    if at < len(text) or not found or not set(roles) <= set("tzcp") or len(set(roles)) < len(roles):
        raise UnsupportedError(
            f"axes {letters!r} are not understood: give letters of T, Z, C and P, each once, slowest first; "
            "with lengths where pages are along several axes, as T12 Z5"
        )
    return tuple(found)


def _outer_of(given: Sequence[Axis], image: TiffImage) -> tuple[Axis, ...] | None:
    """The axes over the pages of an image, as given; None if they do not fit."""
    open_ended = [role for role, n in given if not n]
    if len(open_ended) == len(given):
        fits = len(image.outer) == len(given)
        return (
            tuple((role, n) for (role, _), (_, n) in zip(given, image.outer, strict=True)) if fits else None
        )
    whole = math.prod(n for _, n in given if n)
    outer = tuple((role, n or -(-image.n_pages // max(whole, 1))) for role, n in given)
    n_pages, slowest = math.prod(n for _, n in outer), outer[0][1]
    fits = len(open_ended) <= 1 and image.n_pages <= n_pages < image.n_pages + n_pages // max(slowest, 1)
    return outer if fits else None  # of the slowest axis, the last one may not be whole
