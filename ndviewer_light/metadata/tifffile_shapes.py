"""Arrays as tifffile writes them: their shape and axes as JSON in the first page of each.

Pure functions, no I/O.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .page_groups import as_pyramids, grouped, n_alike_from
from .tiff_layout import SHAPE_ALONE, PageRun, TiffImage, array_image, checked, with_sub_levels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..storage.decoding.ifd_chain import PageFacts
    from .tiff_evidence import TiffDocuments

_MAX_JSON = 1024**2
_MAX_SERIES = 100_000


def by_shape(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    """Arrays as tifffile writes them: their shape and axes as JSON in the first page of each."""
    facts, at = tiff.facts, 0
    said = _shape_said(tiff, 0)
    if said is not None and len(facts) == 1:
        said = _as_far_as_stored(said, facts[0], tiff)
    found: list[TiffImage] = []
    while at < len(facts) and said is not None and len(found) < _MAX_SERIES:
        image, n = _shaped_image(tiff, at, said, refused)
        if image is None:
            return
        n_alike = tiff.n_alike(at, n) if image.runs == (PageRun(0, n, at),) else 1
        if not at and n * n_alike == len(facts) and _may_be_in_time(image):
            found = [_in_time(image, n_alike, tiff.name)] if n_alike > 1 else [image]
        else:
            found += [replace(image, runs=(run,)) for run in _runs_from(image.runs[0], n_alike)]
        at += n * n_alike
        said = _shape_said(tiff, at) if at < len(facts) else None
    if found and at < len(facts):  # what another program appended
        found += grouped(tiff, at)
    yield from as_pyramids(found, tiff)


def _as_far_as_stored(said: dict[str, Any], page: PageFacts, tiff: TiffDocuments) -> dict[str, Any]:
    """The shape with what a writer has added since that goes on (``write(…, contiguous=True)``).

    Until it closes the file, that has one page, which says the shape of the first array only.
    """
    each, rest = divmod(math.prod(said["shape"]), page.height * page.width * page.samples)
    n = tiff.images_unclosed() // each if each and not rest else 1
    return {**said, "shape": [n, *said["shape"]]} if n > 1 else said


def _may_be_in_time(image: TiffImage) -> bool:
    """Whether arrays like this one, appended one by one, are time points: they have no names."""
    return not (image.levels or image.name or image.size("t") > 1 or image.is_incomplete)


def _in_time(image: TiffImage, n: int, name: str) -> TiffImage:
    """The image of which `n` arrays that are alike are the time points, the first of them given."""
    run = image.runs[0]
    outer = (("t", n), *image.outer)
    return checked(replace(image, outer=outer, runs=(PageRun(0, n * run.n, run.page),)), name)


def _runs_from(run: PageRun, n: int) -> Iterator[PageRun]:
    """As many runs of the same length, one after the other."""
    return (run._replace(page=run.page + i * run.n) for i in range(min(n, _MAX_SERIES)))


def _shape_said(tiff: TiffDocuments, page: int) -> dict[str, Any] | None:
    text = tiff.shaped(page)
    if text.startswith("shape=("):  # before 2016
        return {"shape": [int(n) for n in text[7:].strip(" )").split(",") if n.strip().isdecimal()]}
    try:
        value = json.loads(text) if text.startswith("{") and len(text) <= _MAX_JSON else None
    except (ValueError, RecursionError):
        return None
    shape = value.get("shape") if isinstance(value, dict) else None
    if not isinstance(shape, list) or not 0 < len(shape) <= 16:
        return None
    return value if all(type(n) is int and 0 < n < 2**40 for n in shape) else None


def _shaped_image(
    tiff: TiffDocuments, at: int, said: dict[str, Any], refused: list[str]
) -> tuple[TiffImage | None, int]:
    """The array that begins at a page, and how many pages it takes."""
    page, shape = tiff.facts[at], tuple(said["shape"])
    letters = said.get("axes")
    if not isinstance(letters, str) or len(letters) != len(shape):
        letters = _axes_of_shape(shape, page)
    n, rest = divmod(math.prod(shape), page.height * page.width * page.samples)
    if rest or n < 1:
        refused.append(f"page {at} is said to be an array of shape {shape}, but the page does not fit")
        return None, 1
    follow = n_alike_from(tiff.facts, at, n)
    runs, taken = (PageRun(0, n, at),), n
    if follow < n:
        there = tiff.images_after(at)
        if there >= n:
            runs, taken = (PageRun(0, n, at, contiguous=True),), 1
        else:
            runs, taken = (PageRun(0, follow, at),), follow
    kind = "tifffile's shape" if letters == said.get("axes") or "Q" not in letters else SHAPE_ALONE
    image = array_image(letters, shape, page, runs, tiff.name, kind)
    if image is None:
        refused.append(f"page {at} is said to be an array {letters} of shape {shape}, but it does not fit")
        return None, 1
    name = said.get("name")
    image = replace(image, name=name[:200] if isinstance(name, str) else "", is_incomplete=runs[0].n < n)
    return with_sub_levels(image, tiff.sub_levels(at)), taken


def _axes_of_shape(shape: tuple[int, ...], page: PageFacts) -> str:
    letters = "YX"
    if page.samples > 1 and page.planar == 1 and shape[-1] == page.samples:
        letters = "YXS"
    elif page.samples > 1 and page.planar == 2 and shape[-3:-2] == (page.samples,):
        letters = "SYX"
    return "Q" * (len(shape) - len(letters)) + letters
