"""What the images of a TIFF are: candidates from everything that is said in it, and which of them holds.

Each program describes its pages in its own way. A description is believed if the pages bear it out: their
number, their size, their samples. One that they refute is refused, and said to be. Pure functions, no I/O.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CorruptDataError, DatasetError
from . import imagej
from .micromanager import micromanager_image
from .named_axes import Axis, unit_factor
from .ome_document import FileId, OmeDocument, ome_document
from .ome_images import as_far_as_written, image_cut_off, ome_image_of, with_unlisted_pages
from .page_notes import by_notes
from .qptiff import dye_names
from .tiff_layout import (
    PAGES,
    PageRun,
    TiffImage,
    array_image,
    checked,
    in_order,
    page_kind,
    plain_image,
    with_samples,
    with_sub_levels,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ..storage.decoding.ifd_chain import PageFacts
    from ..storage.decoding.library_series import LibrarySeries

_MAX_JSON = 1024**2
_MAX_SERIES = 100_000


class TiffDocuments(Protocol):
    """What is in a TIFF beside pixels."""

    name: str

    @property
    def facts(self) -> Sequence[PageFacts]:
        """Of each page in the chain."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels of the first page."""

    def description(self, page: int) -> str:
        """The first ImageDescription of a page."""

    def shaped(self, page: int) -> str:
        """The description in which tifffile says the shape of an array, "" if there is none."""

    def n_alike(self, page: int, n: int) -> int:
        """How many arrays of `n` pages follow each other that say the same, the one at `page` included."""

    def images_after(self, page: int) -> int:
        """How many uncompressed images of the size of a page are stored from its own on, without a gap."""

    def images_unclosed(self) -> int:
        """How many images are stored in a file that is still written, if only the first has a page yet."""

    def is_cut_off(self) -> bool:
        """Whether the file ends before a page that the one before it names."""

    def imagej(self) -> dict[str, Any]:
        """ImageJ's metadata, {} if there is none."""

    def sub_levels(self, page: int) -> tuple[int, ...]:
        """Which sub-pages of a page are smaller versions of it, largest first."""

    def is_grey(self, page: int) -> bool:
        """Whether the palette of a page is a grey ramp."""

    @property
    def offsets(self) -> Sequence[int]:
        """Where each page begins."""

    def micromanager(self) -> dict[str, Any]:
        """What Micro-Manager wrote around the pages, {} if it did not."""

    def series(self) -> Sequence[LibrarySeries]:
        """The series that the library finds which knows the file's own dialect; none for plain pages."""


@dataclass(frozen=True)
class Reading:
    """The images of a file, what speaks for them, and what the user should know.

    `document` is the OME-XML of the file, if it has any: its images may be in other files, or be
    described there.
    """

    images: tuple[TiffImage, ...]
    evidence: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    document: OmeDocument | None = None


def read_documents(tiff: TiffDocuments) -> Reading:
    """The images of one TIFF by itself; those of OME-XML as far as they are in this file.

    Raises a `DatasetError` if it contains no image that can be shown.
    """
    refused: list[str] = []
    found: list[TiffImage] = []
    document: OmeDocument | None = None
    reason: DatasetError | None = None
    if not tiff.facts:  # and raises if the chain of pages is damaged
        raise CorruptDataError(f"{tiff.name} is damaged: it contains no image")
    try:
        document, found = _by_ome(tiff, refused)
    except DatasetError as error:
        reason = error
        refused.append(str(error))
    for make in (_by_micromanager, by_notes, _by_shape, _by_imagej, _by_series, _by_pages):
        if found or (document is not None and document.images and not refused):
            break
        try:
            found = list(make(tiff, refused))
        except DatasetError as error:
            reason = reason or error
            refused.append(str(error))
    if not found and document is None and reason is not None:
        raise reason
    kept = [_without_grey_palette(image, tiff) for image in in_order(found)]
    kinds = list(dict.fromkeys(image.kind for image in kept))
    plural = "s" if len(kept) != 1 else ""
    evidence = [f"{len(kept)} image{plural}, told by {' and '.join(kinds)}"] if kept else []
    evidence += [_sizes_said(image) for image in kept[:5]]
    if any(image.kind == PAGES and image.outer for image in kept):
        evidence.append("its pages are not described: shown as z; the option axes=T makes them time points")
    warnings = [each if each.startswith(tiff.name) else f"{tiff.name}: {each}" for each in refused]
    if tiff.is_cut_off():
        warnings.append(
            f"{tiff.name} ends before a page that it announces: it is still being written, or was cut off "
            "when it was copied"
        )
    return Reading(
        tuple(kept), (*evidence, *(f"refused: {each}" for each in refused)), tuple(warnings), document
    )


def _without_grey_palette(image: TiffImage, tiff: TiffDocuments) -> TiffImage:
    is_palette = image.is_colour and image.samples[1] == 1
    return replace(image, is_colour=False) if is_palette and tiff.is_grey(image.runs[0].page) else image


def _sizes_said(image: TiffImage) -> str:
    sizes = " × ".join(f"{role} {n}" for role, n in image.sizes.items() if n > 1 or role in "yx")
    return f"{image.kind}: {image.name or 'unnamed'}, {sizes}{', in colour' if image.is_colour else ''}"


# ---- OME-XML ------------------------------------------------------------------------------------


def _by_ome(tiff: TiffDocuments, refused: list[str]) -> tuple[OmeDocument | None, list[TiffImage]]:
    text = tiff.description(0)
    document = ome_document(text, tiff.name) if text.rstrip()[-4:] == "OME>" else None
    if document is None:
        image = image_cut_off(text, tiff.name, tiff.facts, refused)
        return None, [with_sub_levels(image, _sub_levels(tiff, image.runs[0].page))] if image else []
    facts, own_name = tiff.facts, tiff.name.replace("\\", "/").rpartition("/")[2]

    def file_of(file: FileId) -> str:
        if file.uuid and document.uuid:
            return "" if file.uuid == document.uuid else f"{file.name}|{file.uuid}"
        return "" if file.name in ("", own_name) else file.name

    found = []
    for pixels in document.images:
        image = ome_image_of(pixels, "", file_of, lambda file: facts if file == "" else None, refused)
        if image is not None and image.files == ("",):
            if len(document.images) == 1:
                image = with_unlisted_pages(image, pixels, facts, refused)
            image = with_sub_levels(image, _sub_levels(tiff, image.runs[0].page))
            is_only = len(document.images) == len(facts) == 1 and not image.levels
            found.append(as_far_as_written(image, pixels, tiff.images_unclosed()) if is_only else image)
    if found and len(found) == len(document.images) and not refused:
        n = _n_unlisted(found, facts)
        if n:
            refused.append(f"{n} of its {len(facts)} pages are in none of the images that OME-XML declares")
    return document, found


def _n_unlisted(images: Sequence[TiffImage], facts: Sequence[PageFacts]) -> int:
    """How many pages like those of the images are in none of them, levels apart."""
    if any(image.levels for image in images):
        return 0
    runs = [run for image in images for run in image.runs]
    listed = {page for run in runs for page in range(run.page, run.page + (1 if run.contiguous else run.n))}
    kinds = {page_kind(facts[run.page]) for run in runs if run.page < len(facts)}
    return sum(page not in listed and page_kind(each) in kinds for page, each in enumerate(facts))


def _sub_levels(tiff: TiffDocuments, page: int) -> tuple[int, ...]:
    return tiff.sub_levels(page) if page < len(tiff.facts) else ()


# ---- tifffile's own -------------------------------------------------------------------------------


def _by_shape(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
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
        found += _grouped(tiff, at)
    yield from _as_pyramids(found, tiff)


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
    follow = _alike(tiff.facts, at, n)
    runs, taken = (PageRun(0, n, at),), n
    if follow < n:
        there = tiff.images_after(at)
        if there >= n:
            runs, taken = (PageRun(0, n, at, contiguous=True),), 1
        else:
            runs, taken = (PageRun(0, follow, at),), follow
    image = array_image(letters, shape, page, runs, tiff.name, "tifffile's shape")
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


def _alike(facts: Sequence[PageFacts], at: int, most: int) -> int:
    """How many pages from `at` on are of the same kind."""
    n = 1
    first = facts[at]
    for page in islice(facts, at + 1, min(at + most, len(facts))):
        if page is not first and page_kind(page) != page_kind(first):
            break
        n += 1
    return n


def _by_micromanager(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    said = tiff.micromanager()
    image = micromanager_image(said, tiff.offsets, tiff.facts, tiff.name) if said else None
    if image is not None:
        yield image


# ---- ImageJ -----------------------------------------------------------------------------------


def _by_imagej(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    said = tiff.imagej()
    if not said:
        return
    facts = tiff.facts
    page = facts[0]
    n_pages = _alike(facts, 0, len(facts))
    if n_pages < len(facts):
        refused.append("ImageJ writes pages of one size, but these differ")
        return
    contiguous = n_pages == 1
    there = tiff.images_after(0) if contiguous else n_pages
    declared = imagej.outer_axes(said, page.samples)
    total = math.prod(n for _, n in declared)
    if contiguous and total <= 1:
        there = tiff.images_unclosed()
    elif total > there:
        what = "pages" if there > 1 else "page"
        refused.append(f"ImageJ's header declares {total} images, but the file has {there} {what}")
    outer = imagej.fitting(declared, there)
    if outer is None:
        outer = (("z", there),)
    n = min(there, math.prod(size for _, size in outer))
    axes = tuple(axis for axis in outer if axis[1] > 1)
    samples = ("s" if page.samples > 1 else "", page.samples)
    image = TiffImage(
        axes,
        ("y", page.height),
        ("x", page.width),
        samples,
        (PageRun(0, n, 0, contiguous=contiguous and n > 1),),
        "ImageJ's header",
    )
    image = with_samples(image, page)
    if page.photometric == 3:  # ImageJ shows 8-bit grey with a lookup table
        image = replace(image, is_colour=False)
    yield checked(image, tiff.name)


# ---- other programs ---------------------------------------------------------------------------


def _by_series(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    """Images as the library understands a program's own metadata (LSM, STK, SVS, SCN, …)."""
    for n, series in enumerate(tiff.series()):
        if n and series.kind == "lsm":
            continue  # thumbnails of the planes
        pages = series.levels[0]
        page = tiff.facts[pages[0][0]] if len(pages[0]) == 1 else None
        if page is None:  # a sub-page that is an image of its own
            continue
        runs = (
            (PageRun(0, tiff.images_after(pages[0][0]), pages[0][0], contiguous=True),)
            if series.contiguous
            else _runs(pages)
        )
        image = array_image(series.axes, series.shape, page, runs, tiff.name, series.kind)
        if image is None:
            refused.append(f"the metadata of {series.kind} declare {series.axes} {series.shape}")
            continue
        levels = tuple(_runs(level) for level in series.levels[1:])
        channels = dye_names(tiff, pages) if series.kind == "qpi" and image.size("c") == len(pages) else ()
        steps = image.steps or _in_um(series.steps)
        yield replace(
            image, name=series.name, levels=levels, steps=steps, channels=channels or image.channels
        )


def _in_um(steps: Sequence[tuple[str, float, str]]) -> dict[str, float | None]:
    """Steps in µm and s; those in unknown units are left out."""
    found: dict[str, float | None] = {}
    for axis, step, unit in steps:
        factor = unit_factor(Axis(axis, axis, unit))
        if factor is not None:
            found[axis] = step * factor
    return found


def _runs(pages: Sequence[tuple[int, ...]]) -> tuple[PageRun, ...]:
    runs: list[PageRun] = []
    for i, (page, *sub) in enumerate(pages):
        last = runs[-1] if runs else None
        if last is not None and page == last.page + last.n and tuple(sub) == last.sub:
            runs[-1] = last._replace(n=last.n + 1)
        else:
            runs.append(PageRun(i, 1, page, sub=tuple(sub)))
    return tuple(runs)


# ---- pages that nothing is said about -----------------------------------------------------------


def _by_pages(tiff: TiffDocuments, refused: list[str]) -> Iterator[TiffImage]:
    n = tiff.images_unclosed() if len(tiff.facts) == 1 else 1
    if n > 1:
        yield checked(plain_image([PageRun(0, n, 0, contiguous=True)], tiff.facts[0]), tiff.name)
        return
    yield from _as_pyramids(_grouped(tiff, 0), tiff)


def _grouped(tiff: TiffDocuments, begin: int) -> list[TiffImage]:
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
        with_sub_levels(image, _sub_levels(tiff, image.runs[0].page)) if image.runs[0].n else image
        for image in images
    ]


def _as_pyramids(images: list[TiffImage], tiff: TiffDocuments) -> Iterator[TiffImage]:
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
