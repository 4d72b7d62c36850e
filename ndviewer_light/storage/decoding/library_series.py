"""The series of a TIFF as tifffile finds them, of the programs whose files it understands."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from .dialect_steps import Steps, steps_of

if TYPE_CHECKING:
    from tifffile import TiffFile

_DIALECTS = (
    *("lsm", "fluoview", "stk", "sis", "svs", "scn", "qpi", "ndpi", "bif", "avs", "philips"),
    *("scanimage", "nih", "mdgel"),
)
"""Of tifffile's kinds, those that it understands from the file alone, and better than by its pages."""

_NOT_FOLLOWED = ("is_ome", "is_ndtiff", "is_mmstack", "is_eer", "is_uniform", "is_shaped", "is_imagej")
"""Kinds for which tifffile would open other files, and those that are understood without it."""


class LibrarySeries(NamedTuple):
    """A series as tifffile understands it: its axes, and the pages (and sub-pages) it consists of.

    `levels` are the pages of its pyramid levels, largest first, this one included. Of a `contiguous` one only
    the first page has tags.
    """

    kind: str
    axes: str
    shape: tuple[int, ...]
    name: str
    levels: tuple[tuple[tuple[int, ...], ...], ...]
    contiguous: bool = False
    steps: Steps = ()


def is_understood(tif: TiffFile) -> bool:
    """Whether a program wrote the file whose metadata tifffile knows."""
    return any(getattr(tif, f"is_{kind}", False) for kind in _DIALECTS)


def library_series(tif: TiffFile) -> list[LibrarySeries]:
    """The series of such a file; no other file is opened for them."""
    for flag in _NOT_FOLLOWED:
        with contextlib.suppress(AttributeError):
            setattr(tif, flag, False)
    found: Any = tif.series
    # from tifffile 2026.5 on, results may or may not include the axes of one plane
    series = found(squeeze=False) if callable(found) else found
    known = [each for each in series if str(each.kind).lower() in _DIALECTS]
    steps = steps_of(tif, str(known[0].kind).lower()) if known else ()
    return [_series_of(each)._replace(steps=steps) for each in known]


def _series_of(series: Any) -> LibrarySeries:
    if hasattr(series, "get_axes"):  # tifffile before 2026.5
        axes, shape = series.get_axes(False), series.get_shape(False)
    else:
        axes, shape = series.axes, series.shape
    levels = series.levels if series.is_pyramidal else [series]
    pages = tuple(tuple(_tree_of(page) for page in level.pages) for level in levels)
    contiguous = (
        len(pages[0]) == 1 and series.dataoffset is not None and np.prod(shape) > series.keyframe.size
    )
    name = str(series.name or "").strip()[:200]
    return LibrarySeries(
        str(series.kind).lower(), axes, tuple(map(int, shape)), name, pages, bool(contiguous)
    )


def _tree_of(page: Any) -> tuple[int, ...]:
    if page is None:
        raise UnsupportedError("a series without some of its pages is not supported")
    return tuple(map(int, page.treeindex))
