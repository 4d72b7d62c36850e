"""All images of an OME-XML, and which page of which file each of their planes is. Pure functions, no I/O.

https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html : a file that is one of several
contains the metadata of all, or is `BinaryOnly` and names the file that does. `TiffData` name files, and
identify them by the UUID in their own OME-XML: a file that was renamed is still the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import LimitExceededError, UntrustedReferenceError
from .ome_xml import (
    MAX_PLANES,
    clean_name,
    described_channels,
    first_position_um,
    integer,
    local,
    ome_root,
    ome_root_cut_off,
    plane_order,
    samples_per_pixel,
    size_of,
    size_um,
    time_step_s_of,
)
from .recorded_times import NOT_SAID, RecordedTimes, plane_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from xml.etree.ElementTree import Element

    from ..model import Channel

COMPANIONS = (".companion.ome", ".ome", ".ome.xml")
"""How files beside TIFFs end that describe them."""

_MAX_IMAGES = 100_000


class FileId(NamedTuple):
    """How OME-XML refers to a file: by name, and by the UUID in the file; "" where it gives none."""

    name: str = ""
    uuid: str = ""


class TiffBlock(NamedTuple):
    """One `TiffData`: its `n` planes from (t, c, z) on are pages, from `page` on; None if not said."""

    t: int
    c: int
    z: int
    page: int | None
    n: int | None
    file: FileId


@dataclass(frozen=True)
class OmePixels:
    """One image: sizes (`size_c` counts colours), the axes of its planes, fastest first ("CZT").

    `samples` are those of each channel as declared. Lengths in µm, times in s. `well` and `field` are where
    it is in a plate, "" and 0 if it is in none.
    """

    name: str
    n_t: int
    size_c: int
    n_z: int
    height: int
    width: int
    samples: int
    order: str
    dtype: str
    channels: tuple[Channel, ...]
    blocks: tuple[TiffBlock, ...]
    pixel_y_um: float | None = None
    pixel_x_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    well: str = ""
    field: int = 0
    times: RecordedTimes = NOT_SAID


@dataclass(frozen=True)
class OmeDocument:
    """What the OME-XML of one file says: the file's own UUID, its images, or which file describes them."""

    uuid: str
    images: tuple[OmePixels, ...]
    metadata_file: FileId | None = None

    @property
    def files(self) -> tuple[FileId, ...]:
        """The files that its images refer to, each once."""
        return tuple(dict.fromkeys(block.file for image in self.images for block in image.blocks))


class PlaneRun(NamedTuple):
    """Consecutive planes of an image: `n` from plane `first` on are the pages of `file` from `page` on."""

    first: int
    n: int
    page: int
    file: str


def ome_document(ome_metadata: str, name: str) -> OmeDocument | None:
    """What OME-XML says; None for any other text.

    Raises `MetadataError` for sizes below 1, `LimitExceededError` for more planes or images than any
    dataset has.
    """
    root = ome_root(ome_metadata)
    return None if root is None or local(root, "OME") is None else _document_in(root, name)


def pixels_cut_off(ome_metadata: str, name: str) -> OmePixels | None:
    """The only image of OME-XML that ends early, as if all its planes were in its own file, in order.

    None if there are several, or it ends before it says how large the image is. Raises like `ome_document`.
    """
    root = ome_root_cut_off(ome_metadata)
    images = () if root is None else _document_in(root, name).images
    return replace(images[0], blocks=(), times=NOT_SAID) if len(images) == 1 else None


def _document_in(root: Element, name: str) -> OmeDocument:
    wells = dict(_wells(root))
    images = [child for child in root if local(child, "Image") is not None]
    if len(images) > _MAX_IMAGES:
        raise LimitExceededError(f"{name} declares {len(images)} images; at most {_MAX_IMAGES} can be shown")
    found = []
    for image in images:
        pixels = next((child for child in image if local(child, "Pixels") is not None), None)
        if pixels is not None:
            found.append(_pixels(image, pixels, name, *wells.get(image.get("ID", ""), ("", 0))))
    return OmeDocument(_uuid(root.get("UUID")), tuple(found), _metadata_file(root))


def _pixels(image: Element, pixels: Element, name: str, well: str, field: int) -> OmePixels:
    n_t, n_c, n_z = (size_of(pixels, axis, name) for axis in "TCZ")
    if n_t * n_c * n_z > MAX_PLANES:
        raise LimitExceededError(
            f"{name} declares {n_t * n_c * n_z} planes; at most {MAX_PLANES} can be shown"
        )
    named = tuple(child for child in pixels if local(child, "Channel") is not None)
    x, y, z = (size_um(pixels, axis) for axis in "XYZ")
    return OmePixels(
        clean_name(image),
        n_t,
        n_c,
        n_z,
        size_of(pixels, "Y", name),
        size_of(pixels, "X", name),
        samples_per_pixel(named, n_c),
        plane_order(pixels.get("DimensionOrder", "")),
        pixels.get("Type", ""),
        described_channels(named, pixels, by_id=False),
        tuple(_block(child, name) for child in pixels if local(child, "TiffData") is not None),
        y,
        x,
        z,
        time_step_s_of(pixels),
        first_position_um(pixels),
        well,
        field,
        plane_times(pixels),
    )


def _block(data: Element, name: str) -> TiffBlock:
    t, c, z = (integer(data.get(f"First{axis}"), 0) for axis in "TCZ")
    page, n = (integer(data.get(key), -1) for key in ("IFD", "PlaneCount"))
    file = next((child for child in data if local(child, "UUID") is not None), None)
    identity = FileId()
    if file is not None:
        identity = FileId(_beside(file.get("FileName", ""), name), _uuid(file.text))
    return TiffBlock(t, c, z, page if page >= 0 else None, n if n >= 0 else None, identity)


def _beside(file: str, name: str) -> str:
    """The name of a file in the same folder; raises `UntrustedReferenceError` for any other."""
    if file in (".", "..") or any(mark in file for mark in "/\\:\0"):
        raise UntrustedReferenceError(
            f"{name} refers to planes in {file!r}, outside its folder; not followed for safety"
        )
    return file


def _metadata_file(root: Element) -> FileId | None:
    """Which file describes a `BinaryOnly` one; writers give paths, but it is always in the same folder."""
    only = next((child for child in root if local(child, "BinaryOnly") is not None), None)
    if only is None:
        return None
    file = only.get("MetadataFile", "").replace("\\", "/").rpartition("/")[2]
    return FileId("" if file in (".", "..") or "\0" in file else file, _uuid(only.get("UUID")))


def _uuid(text: str | None) -> str:
    return (text or "").strip().lower().removeprefix("urn:uuid:")


def _wells(root: Element) -> Iterator[tuple[str, tuple[str, int]]]:
    """The well and field of each image that is in a plate, by the image's ID."""
    plates = [child for child in root if local(child, "Plate") is not None]
    for plate in plates:
        before = f"{plate.get('Name', '')} " if len(plates) > 1 else ""
        by_number = plate.get("RowNamingConvention", "letter").strip().lower() == "number"
        for well in (child for child in plate if local(child, "Well") is not None):
            row, column = (integer(well.get(key), 0) for key in ("Row", "Column"))
            place = f"R{row + 1}C" if by_number or not 0 <= row < 702 else _row(row)
            fields = [child for child in well if local(child, "WellSample") is not None]
            for i, sample in enumerate(fields):
                for ref in (child for child in sample if local(child, "ImageRef") is not None):
                    yield ref.get("ID", ""), (f"{before}{place}{column + 1}", i)


def _row(row: int) -> str:
    """A, B, …, Z, AA, AB, …"""
    more, last = divmod(row, 26)
    return (chr(ord("A") + more - 1) if more else "") + chr(ord("A") + last)


# ---- which plane is where ---------------------------------------------------------------------


def plane_runs(
    image: OmePixels,
    n_c: int,
    own: str,
    file_of: Callable[[FileId], str],
    n_pages: Callable[[str], int | None],
) -> tuple[PlaneRun, ...]:
    """Where the planes of an image are, of which `n_c` differ in channel alone.

    `file_of` finds the file that is meant. `n_pages` is how many pages a file has, None if nobody has looked
    yet. A block without a number of planes reaches to the next that is listed (as Bio-Formats reads it).
    Planes that no block lists are in no run.
    """
    sizes = {"T": image.n_t, "C": n_c, "Z": image.n_z}
    n_planes = image.n_t * n_c * image.n_z
    if not image.blocks:
        return (PlaneRun(0, n_planes, 0, own),)
    starts: list[tuple[int, int, TiffBlock, str]] = []
    for i, block in enumerate(image.blocks):
        c = block.c if block.c < n_c else block.c * n_c // image.size_c  # some count the colours
        first = _plane(image.order, sizes, {"T": block.t, "C": c, "Z": block.z})
        if first is not None:
            starts.append((first, i, block, file_of(block.file) if block.file != FileId() else own))
    starts.sort(key=lambda entry: entry[:2])
    listed = sorted({first for first, *_ in starts})
    following = dict(zip(listed, [*listed[1:], n_planes], strict=True))
    runs = []
    for first, _, block, file in starts:
        page = block.page or 0
        n = block.n if block.n is not None else following[first] - first
        there = n_pages(file) if block.n is None else None
        if there is not None:
            n = min(n, max(there - page, 1))
        if n > 0:
            runs.append(PlaneRun(first, min(n, n_planes - first), page, file))
    return tuple(_merged(_without_overlap(runs)))


def _plane(order: str, sizes: dict[str, int], index: dict[str, int]) -> int | None:
    plane, step = 0, 1
    for axis in order:
        if not 0 <= index[axis] < sizes[axis]:
            return None
        plane += index[axis] * step
        step *= sizes[axis]
    return plane


def _without_overlap(runs: Iterable[PlaneRun]) -> Iterator[PlaneRun]:
    """Of two runs that list the same plane the later one in the file holds, from its beginning on."""
    before: PlaneRun | None = None
    for run in runs:
        if before is not None and run.first < before.first + before.n:
            before = before._replace(n=run.first - before.first)
        if before is not None and before.n > 0:
            yield before
        before = run
    if before is not None:
        yield before


def _merged(runs: Iterable[PlaneRun]) -> Iterator[PlaneRun]:
    before: PlaneRun | None = None
    for run in runs:
        if before is None:
            before = run
        elif run == (before.first + before.n, run.n, before.page + before.n, before.file):
            before = before._replace(n=before.n + run.n)
        else:
            yield before
            before = run
    if before is not None:
        yield before
