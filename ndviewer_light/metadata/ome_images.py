"""Images of OME-XML, checked against the pages that they are said to be in. Pure functions, no I/O."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..model import how_many
from .ome_document import FileId, OmePixels, PlaneRun, pixels_cut_off, plane_runs
from .tiff_layout import PageRun, TiffImage, checked, page_kind, with_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..storage.decoding.ifd_chain import PageFacts

_NAME_PARTS = re.compile(r"[_.]")


def ome_image_of(
    pixels: OmePixels,
    own: str,
    file_of: Callable[[FileId], str],
    facts_of: Callable[[str], Sequence[PageFacts] | None],
    refused: list[str],
    assumed: Sequence[PageFacts] | None = None,
) -> TiffImage | None:
    """An image of OME-XML; None if its pages contradict it, with the reason in `refused`.

    `facts_of` has the pages of a file, None of one that nobody has opened: then the samples of its pages
    are `assumed` to be those of another.
    """

    def n_pages(file: str) -> int | None:
        facts = facts_of(file)
        return None if facts is None else len(facts)

    samples = pixels.samples
    for _ in range(2):  # once with the samples as declared, then with those of the pages
        n_c = max(1, pixels.size_c // samples)
        runs = plane_runs(pixels, n_c, own, file_of, n_pages)
        page = _first_page(runs, facts_of)
        if page is None and assumed:
            page = assumed[0]._replace(height=pixels.height, width=pixels.width)
        if page is None or page.samples == samples or pixels.size_c % page.samples:
            break
        samples = page.samples
    channels = pixels.channels
    if pixels.samples == 1 < samples and n_c > 1:  # of the samples of a page, the first says what it is
        channels = channels[::samples]
    name = pixels.name or "an image"
    if page is not None and (page.height, page.width) != (pixels.height, pixels.width):
        refused.append(
            f"OME-XML declares {pixels.width} × {pixels.height} pixels for {name}, but its pages have "
            f"{page.width} × {page.height}"
        )
        return None
    if page is not None and page.samples != samples:
        refused.append(
            f"OME-XML declares {how_many(pixels.size_c, 'channel')} for {name}, but its pages have "
            f"{how_many(page.samples, 'sample')}"
        )
        return None
    sizes = {"T": pixels.n_t, "C": n_c, "Z": pixels.n_z}
    outer = tuple((axis.lower(), sizes[axis]) for axis in reversed(pixels.order) if sizes[axis] > 1)
    role = "" if samples == 1 else "s" if pixels.samples > 1 else "c" if n_c == 1 else "s"
    image = TiffImage(
        outer,
        ("y", pixels.height),
        ("x", pixels.width),
        (role, samples),
        tuple(PageRun(run.first, run.n, run.page, run.file) for run in runs),
        "OME-XML",
        pixels.name,
        is_colour=role == "s" and samples > 1,
        channels=channels,
        steps={
            "x": pixels.pixel_x_um,
            "y": pixels.pixel_y_um,
            "z": pixels.z_step_um,
            "t": pixels.time_step_s,
        },
        pixel_type=pixels.dtype,
        position_um=pixels.position_um,
        well=pixels.well,
        field_of_view=pixels.field,
        times=pixels.times,
        is_incomplete=sum(run.n for run in runs) < pixels.n_t * n_c * pixels.n_z,
    )
    if page is not None:
        image = with_samples(replace(image, is_colour=False), page)
    return checked(image, name)


def image_cut_off(text: str, name: str, facts: Sequence[PageFacts], refused: list[str]) -> TiffImage | None:
    """The image of OME-XML that ends early, if the pages of its file bear out what it says so far."""
    pixels = pixels_cut_off(text, name)
    image = None if pixels is None else ome_image_of(pixels, "", lambda _: "", lambda _: facts, refused)
    if image is None or image.is_incomplete or image.n_pages != len(facts):
        return None
    refused.append(
        "its OME-XML ends early, as its writer was stopped or the file was cut off; so far it declares as "
        "many planes as there are pages"
    )
    return image


def with_unlisted_pages(
    image: TiffImage, pixels: OmePixels, facts: Sequence[PageFacts], refused: list[str]
) -> TiffImage:
    """The image with the times that its only file contains beyond what OME-XML says, which is then `refused`.

    Some writers do not bring it up to date: ome-writers only that of the first position.
    """
    n_t, n_pages = image.size("t"), image.n_pages
    slower = pixels.order[pixels.order.index("T") + 1 :]
    is_slowest = all(image.size(axis.lower()) == 1 for axis in slower)
    is_whole = image.runs == (PageRun(0, n_pages, 0, image.runs[0].file),)
    each = n_pages // n_t
    there, rest = divmod(len(facts), each)
    if (
        not is_whole
        or not is_slowest
        or rest
        or there <= n_t
        or any(page_kind(p) != page_kind(facts[0]) for p in facts)
    ):
        return image
    refused.append(
        f"OME-XML declares {how_many(n_t, 'time point')} for {image.name or 'an image'}, but there "
        f"{'is' if there == 1 else 'are'} {there}"
    )
    outer = (("t", there), *((role, n) for role, n in image.outer if role != "t"))
    return replace(image, outer=outer, runs=(image.runs[0]._replace(n=there * each),))


def of_pages_once(images: Sequence[TiffImage], file: str, refused: list[str]) -> list[TiffImage]:
    """Of images that are said to be the same pages the one that `file` is called by, else the first.

    Programs that write all of a set's OME-XML into each of its files may not say which file an image is in.
    """
    alike: dict[object, list[TiffImage]] = {}
    for i, image in enumerate(images):
        alike.setdefault(image.runs or i, []).append(image)
    n_doubles = len(images) - len(alike)
    if n_doubles:
        refused.append(
            f"OME-XML says of {how_many(n_doubles, 'more image')} that the same pages are theirs: each page "
            "is shown once"
        )
    parts = set(_NAME_PARTS.split(file))
    return [next((image for image in same if image.name in parts), same[0]) for same in alike.values()]


def as_far_as_written(image: TiffImage, pixels: OmePixels, n: int) -> TiffImage:
    """The image with the `n` planes that its only file contains so far: one page until it is closed.

    Of a run whose end nobody knows, OME-XML declares one time point until then. With less than two, as it is.
    """
    if n < 2 or len(image.files) != 1:
        return image
    within = [axis for axis in image.outer if axis[0] != "t"]
    if pixels.order[-1:] == "T":
        n_t = max(pixels.n_t, -(-n // math.prod(size for _, size in within)))
        image = replace(image, outer=(("t", n_t), *within) if n_t > 1 else tuple(within))
    n = min(n, image.n_pages)
    runs = (PageRun(0, n, 0, image.files[0], contiguous=True),)
    return checked(replace(image, runs=runs, is_incomplete=n < image.n_pages), image.name or "an image")


def _first_page(
    runs: Sequence[PlaneRun], facts_of: Callable[[str], Sequence[PageFacts] | None]
) -> PageFacts | None:
    for run in runs:
        facts = facts_of(run.file)
        if facts is not None and run.page < len(facts):
            return facts[run.page]
    return None
