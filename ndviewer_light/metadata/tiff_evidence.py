"""What the images of a TIFF are: candidates from everything that is said in it, and which of them holds.

Each program describes its pages in its own way. A description is believed if the pages bear it out: their
number, their size, their samples. One that they refute is refused, and said to be. Pure functions, no I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CorruptDataError, DatasetError
from ..model import how_many
from . import imagej
from .micromanager import micromanager_image
from .named_axes import Axis, unit_factor
from .ome_document import FileId, OmeDocument, ome_document
from .ome_images import (
    as_far_as_written,
    image_cut_off,
    of_pages_once,
    ome_image_of,
    with_unlisted_pages,
)
from .ome_xml import why_unreadable
from .page_groups import by_pages, n_alike_from, sub_levels_of
from .page_notes import by_notes
from .qptiff import dye_names
from .tiff_layout import (
    PageRun,
    TiffImage,
    array_image,
    checked,
    in_order,
    page_kind,
    with_samples,
    with_sub_levels,
)
from .tifffile_shapes import by_shape
from .unnamed_pages import what_is_guessed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ..storage.decoding.ifd_chain import PageFacts
    from ..storage.decoding.library_series import LibrarySeries


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
    for make in (_by_micromanager, by_notes, by_shape, _by_imagej, _by_series, by_pages):
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
    evidence = [f"{how_many(len(kept), 'image')}, told by {' and '.join(kinds)}"] if kept else []
    evidence += [_sizes_said(image) for image in kept[:5]]
    evidence += what_is_guessed(kept)
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
    is_whole = text.rstrip()[-4:] == "OME>"
    document = ome_document(text, tiff.name) if is_whole else None
    if document is None and is_whole:
        refused.append(why_unreadable(text))
    if document is None:
        image = image_cut_off(text, tiff.name, tiff.facts, refused)
        return None, [with_sub_levels(image, sub_levels_of(tiff, image.runs[0].page))] if image else []
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
            image = with_sub_levels(image, sub_levels_of(tiff, image.runs[0].page))
            is_only = len(document.images) == len(facts) == 1 and not image.levels
            found.append(as_far_as_written(image, pixels, tiff.images_unclosed()) if is_only else image)
    found = of_pages_once(found, own_name, refused)
    if found and len(found) == len(document.images) and not refused:
        n = _n_unlisted(found, facts)
        if n:
            refused.append(f"OME-XML leaves out {n} of {how_many(len(facts), 'page')}")
    return document, found


def _n_unlisted(images: Sequence[TiffImage], facts: Sequence[PageFacts]) -> int:
    """How many pages like those of the images are in none of them, levels apart."""
    if any(image.levels for image in images):
        return 0
    runs = [run for image in images for run in image.runs]
    listed = {page for run in runs for page in range(run.page, run.page + (1 if run.contiguous else run.n))}
    kinds = {page_kind(facts[run.page]) for run in runs if run.page < len(facts)}
    return sum(page not in listed and page_kind(each) in kinds for page, each in enumerate(facts))


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
    n_pages = n_alike_from(facts, 0, len(facts))
    if n_pages < len(facts):
        refused.append("ImageJ writes pages of one size, but these differ")
        return
    contiguous = n_pages == 1
    there = tiff.images_after(0) if contiguous else n_pages
    declared = imagej.outer_axes(said, page.samples, there)
    total = math.prod(n for _, n in declared)
    if contiguous and total <= 1:
        there = tiff.images_unclosed()
    elif total > there:
        pages = how_many(there, "page")
        refused.append(f"ImageJ's header declares {how_many(total, 'image')}, but the file has {pages}")
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
