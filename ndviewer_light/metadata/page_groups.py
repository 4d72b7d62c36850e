"""Images made of pages of a TIFF that nothing is said about: pages of one size, and smaller versions of them.

Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from .tiff_layout import PageRun, TiffImage, checked, page_kind, plain_image, with_sub_levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..storage.decoding.ifd_chain import PageFacts
    from .tiff_evidence import TiffDocuments


def by_pages(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    """The images of a file of which nothing but its pages tells."""
    n = tiff.images_unclosed() if len(tiff.facts) == 1 else 1
    if n > 1:
        yield checked(plain_image([PageRun(0, n, 0, contiguous=True)], tiff.facts[0]), tiff.name)
        return
    yield from as_pyramids(grouped(tiff, 0), tiff)


def grouped(tiff: TiffDocuments, begin: int) -> list[TiffImage]:
    """An image for each size of pages from `begin` on, in the order in which these appear."""
    facts = tiff.facts
    groups: dict[tuple[Any, ...], list[PageRun]] = {}
    # page after page of the same kind: their facts are one object, and comparing those takes no time
    for _, same in groupby(range(begin, len(facts)), lambda number: id(facts[number])):
        numbers = list(same)
        page = facts[numbers[0]]
        group = groups.setdefault((*page_kind(page), page.is_reduced), [])
        first = group[-1].first + group[-1].n if group else 0
        group.append(PageRun(first, len(numbers), numbers[0]))
    images = [checked(plain_image(group, facts[group[0].page]), tiff.name) for group in groups.values()]
    return [
        with_sub_levels(image, sub_levels_of(tiff, image.runs[0].page)) if image.runs[0].n else image
        for image in images
    ]


def as_pyramids(images: list[TiffImage], tiff: TiffDocuments) -> Iterator[TiffImage]:
    """Images that say they are smaller versions become levels of the one that they are a version of.

    TIFF 6.0 (NewSubfileType) recommends that the full one comes before them; it may come after them.
    """
    full: list[TiffImage] = []
    for image in images:
        if not _is_reduced(image, tiff):
            early = [each for each in full if _is_reduced(each, tiff) and _is_level(image, each)]
            full = [each for each in full if not any(each is level for level in early)]
            full.append(_with_levels(image, early, tiff))
        elif full and _is_level(full[-1], image):
            full[-1] = _with_levels(full[-1], [image], tiff)
        else:
            full.append(image)
    yield from full


def _is_reduced(image: TiffImage, tiff: TiffDocuments) -> bool:
    return tiff.facts[image.runs[0].page].is_reduced


def _with_levels(whole: TiffImage, parts: list[TiffImage], tiff: TiffDocuments) -> TiffImage:
    """An image with others, and their levels, as its levels: largest first."""

    def n_pixels(runs: tuple[PageRun, ...]) -> int:
        page = tiff.facts[runs[0].page]
        return page.height * page.width

    levels = [*whole.levels, *(runs for part in parts for runs in (part.runs, *part.levels) if runs)]
    return replace(whole, levels=tuple(sorted(levels, key=n_pixels, reverse=True))) if parts else whole


def _is_level(whole: TiffImage, part: TiffImage) -> bool:
    """Whether an image is the other one at a lower resolution, by its sizes."""
    if (whole.outer, whole.samples, whole.is_colour) != (part.outer, part.samples, part.is_colour):
        return False
    if not whole.is_upright or () in whole.levels:
        return False
    down, across = whole.size("y") / part.size("y"), whole.size("x") / part.size("x")
    near = abs(part.size("x") - whole.size("x") / down) <= 1.5
    return down > 1 and across > 1 and near


def n_alike_from(facts: Sequence[PageFacts], at: int, most: int) -> int:
    """How many pages from `at` on are of the same kind."""
    n = 1
    first = facts[at]
    for page in islice(facts, at + 1, min(at + most, len(facts))):
        if page is not first and page_kind(page) != page_kind(first):
            break
        n += 1
    return n


def sub_levels_of(tiff: TiffDocuments, page: int) -> tuple[int, ...]:
    """The sub-pages that are smaller versions of a page; () of one that is not there."""
    return tiff.sub_levels(page) if page < len(tiff.facts) else ()
