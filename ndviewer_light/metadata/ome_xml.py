"""Parses OME-XML with the standard library.

https://docs.openmicroscopy.org/ome-model/ : `Pixels` carries sizes, `DimensionOrder`, ``PhysicalSizeX`` (Y,
Z) and their units, `TimeIncrement`; its `TiffData` say which page of which file holds which plane.
"""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from ..errors import LimitExceededError, MetadataError, UntrustedReferenceError
from ..model import Channel
from .recorded_times import NOT_SAID, RecordedTimes, exposures_ms, plane_times
from .written_units import SECONDS_PER_UNIT, UM_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

MAX_CHARACTERS = 64 * 1024**2
"""Longer OME-XML is refused: a million planes with their positions need about as much."""

MAX_PLANES = 10_000_000
"""More planes than any image has; refused before anything counts to it."""

_NAMESPACES = tuple(
    f"http://www.openmicroscopy.org/Schemas/OME/{schema}" for schema in ("2016-06", "2015-01", "2013-06")
)

_LENGTHS_UM = {
    **UM_PER_UNIT,
    "": 1.0,
    "å": 1e-4,
    "pm": 1e-6,
    "fm": 1e-9,
    "dm": 1e5,
    "km": 1e9,
    "thou": 25.4,
    "li": 25_400.0 / 12,
    "ft": 304_800.0,
    "yd": 914_400.0,
    "pt": 25_400.0 / 72,
}
"""By lower-case name; a length in any other unit, like "pixel" or "reference frame", is unknown."""

_LONGEST_NAME = 200

_PREALLOCATES = "tifffile"


class Pages(NamedTuple):
    """Consecutive planes: `n` from plane `first` on, in `file` ("" for itself) from `page` on."""

    first: int
    n: int
    page: int
    file: str = ""


@dataclass(frozen=True)
class OmeImage:
    """The first image of an OME-XML: its sizes in planes, where each plane is, and its name.

    `n_c` counts pages: a colour channel is one. `order` names the axes of planes, fastest first
    ("CZT"). `complete` is False if a program that first writes zeros has not declared the file
    complete. Lengths in µm, times in s.

    `described` is what is said of each of `channels`. `position_um` (x, y, z) is that of its first plane:
    where the stage was. `name` is the image's.
    """

    n_t: int
    n_z: int
    n_c: int
    order: str
    channels: tuple[str, ...]
    pages: tuple[Pages, ...]
    complete: bool
    pixel_y_um: float | None = None
    pixel_x_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    described: tuple[Channel, ...] = ()
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    name: str = ""

    def page(self, t: int, c: int, z: int) -> tuple[str, int] | None:
        """The file ("" for itself) and page of a plane; None if it is not in this image."""
        sizes, index = {"T": self.n_t, "C": self.n_c, "Z": self.n_z}, {"T": t, "C": c, "Z": z}
        if any(not 0 <= index[axis] < sizes[axis] for axis in "TCZ"):
            return None
        plane, step = 0, 1
        for axis in self.order:
            plane += index[axis] * step
            step *= sizes[axis]
        at = bisect_right(self.pages, plane, key=lambda run: run.first) - 1
        if at < 0 or plane >= self.pages[at].first + self.pages[at].n:
            return None
        run = self.pages[at]
        return run.file, run.page + plane - run.first


def ome_image(ome_metadata: str, name: str) -> OmeImage | None:
    """The first image of the OME-XML in the file `name`; None if it is not OME-XML.

    Raises `MetadataError` if it contradicts itself, `LimitExceededError` for more planes than any image
    has, `UntrustedReferenceError` for pages in a file outside its folder. Any thread; no I/O.
    """
    return _image_in(ome_root(ome_metadata), name)


def ome_image_cut_off(ome_metadata: str, name: str, n_pages: int) -> OmeImage | None:
    """The same of OME-XML that ends early, if the file has as many pages as it declares planes.

    What it says of single planes is left out: some of it is missing.
    """
    image = _image_in(ome_root_cut_off(ome_metadata), name)
    if image is None or image.n_t * image.n_z * image.n_c != n_pages:
        return None
    names = (*image.channels, *("" for _ in range(len(image.channels), image.n_c)))
    return replace(image, channels=names, described=(), pages=(Pages(0, n_pages, 0),), complete=False)


def _image_in(root: Element | None, name: str) -> OmeImage | None:
    pixels = None if root is None else _first_pixels(root)
    if root is None or pixels is None:
        return None
    n_t, n_c, n_z = (size_of(pixels, axis, name) for axis in "TCZ")
    if n_t * n_c * n_z > MAX_PLANES:
        raise LimitExceededError(
            f"{name} declares {n_t * n_c * n_z} planes; at most {MAX_PLANES} can be shown"
        )
    channels = [local(child, "Channel") for child in pixels]
    named = tuple(channel for channel in channels if channel is not None)
    samples = samples_per_pixel(named, n_c)
    x, y, z = (size_um(pixels, axis) for axis in "XYZ")
    described = described_channels(named[: n_c // samples], pixels)
    image = OmeImage(
        n_t,
        n_z,
        n_c // samples,
        plane_order(pixels.get("DimensionOrder", "")),
        tuple(channel.name for channel in described),
        (),
        _is_complete(root, pixels),
        y,
        x,
        z,
        time_step_s_of(pixels),
        described,
        first_position_um(pixels),
        _name_of(root, pixels),
    )
    return _with_pages(image, pixels, name)


class OmeSeries(NamedTuple):
    """What is said of one of several images: its name, its channels, where its first plane is (x, y, z)."""

    name: str = ""
    channels: tuple[Channel, ...] = ()
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    times: RecordedTimes = NOT_SAID


def ome_series(ome_metadata: str) -> tuple[OmeSeries, ...]:
    """What is said of every image, in their order; () for text that is not OME-XML. Never raises."""
    root = ome_root(ome_metadata)
    return () if root is None else tuple(_series(each) for each in root if local(each, "Image") is not None)


def _series(image: Element) -> OmeSeries:
    pixels = next((child for child in image if local(child, "Pixels") is not None), None)
    name = clean_name(image)
    if pixels is None:
        return OmeSeries(name)
    channels = tuple(child for child in pixels if local(child, "Channel") is not None)
    return OmeSeries(
        name, described_channels(channels, pixels), first_position_um(pixels), plane_times(pixels)
    )


def described_channels(
    channels: tuple[Element, ...], pixels: Element, *, by_id: bool = True
) -> tuple[Channel, ...]:
    """Names, colours, wavelengths and exposures of the `channels` of `pixels`.

    White is the default of the schema, and is no choice for several.

    With `by_id`, channels without a name are called by their ID, which is another one in each image.
    """
    exposures = exposures_ms(pixels)
    found = tuple(
        Channel(
            channel.get("Name") or (by_id and channel.get("ID")) or "",
            _color(channel.get("Color")),
            excitation_nm=_wavelength_nm(channel, "Excitation"),
            emission_nm=_wavelength_nm(channel, "Emission"),
            exposure_ms=exposures.get(c),
        )
        for c, channel in enumerate(channels)
    )
    if len(found) > 1 and {channel.color for channel in found} <= {"", "#FFFFFF"}:
        found = tuple(replace(channel, color="") for channel in found)
    return found


def _color(text: str | None) -> str:
    """``"#RRGGBB"`` for a signed integer RGBA, "" for anything else."""
    try:
        rgba = int(text) if text is not None and len(text) < 12 else None
    except ValueError:
        return ""
    return f"#{rgba % 2**32 >> 8:06X}" if rgba is not None and -(2**31) <= rgba < 2**32 else ""


def _wavelength_nm(channel: Element, kind: str) -> float | None:
    unit = channel.get(f"{kind}WavelengthUnit", "nm").strip().lower()
    factor = 1e3 if unit in ("µm", "μm") else _LENGTHS_UM.get(unit, 0.0) * 1e3
    nanometres = _float(channel.get(f"{kind}Wavelength"))
    return nanometres * factor if nanometres is not None and 1 <= nanometres * factor <= 1e6 else None


def first_position_um(pixels: Element) -> tuple[float | None, float | None, float | None]:
    """The stage position of the first plane described, None where its unit is no length."""
    plane = next((child for child in pixels if local(child, "Plane") is not None), None)
    if plane is None:
        return None, None, None
    x, y, z = (_length_um(plane, f"Position{axis}") for axis in "XYZ")
    return x, y, z


def _length_um(plane: Element, name: str) -> float | None:
    unit = plane.get(f"{name}Unit", "µm").strip().lower()
    value = _float(plane.get(name))
    return None if value is None or unit not in _LENGTHS_UM else value * _LENGTHS_UM[unit]


def _float(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _name_of(root: Element, pixels: Element) -> str:
    for image in root.iter():
        if local(image, "Image") is not None and pixels in list(image):
            return clean_name(image)
    return ""


def clean_name(image: Element) -> str:
    return " ".join(image.get("Name", "").split())[:_LONGEST_NAME]


def _with_pages(image: OmeImage, pixels: Element, name: str) -> OmeImage:
    n_planes = image.n_t * image.n_z * image.n_c
    whole = replace(image, pages=(Pages(0, n_planes, 0),))
    runs = [
        run for child in pixels if local(child, "TiffData") is not None for run in _run(child, whole, name)
    ]
    return replace(image, pages=tuple(sorted(runs))) if runs else whole


def _run(data: Element, whole: OmeImage, name: str) -> Iterator[Pages]:
    first = whole.page(*(integer(data.get(f"First{axis}"), 0) for axis in "TCZ"))
    if first is None:
        return
    n_planes = whole.pages[0].n
    said = integer(data.get("PlaneCount"), 1 if data.get("IFD") is not None else n_planes)
    yield Pages(
        first[1], min(said, n_planes - first[1]), integer(data.get("IFD"), 0), _file_of_pages(data, name)
    )


def _file_of_pages(data: Element, name: str) -> str:
    for child in data:
        if local(child, "UUID") is not None and (file := child.get("FileName")):
            if file == name:
                return ""
            if file in (".", "..") or any(mark in file for mark in "/\\:\0"):
                raise UntrustedReferenceError(
                    f"{name} refers to planes in {file!r}, outside its folder; not followed for safety"
                )
            return file
    return ""


def local(element: Element, name: str) -> Element | None:
    tag = element.tag
    return element if isinstance(tag, str) and tag.rpartition("}")[2] == name else None


def size_of(pixels: Element, axis: str, name: str) -> int:
    size = integer(pixels.get(f"Size{axis}"), 1)
    if size < 1:
        raise MetadataError(f"{name} declares an invalid Size{axis} of {size}")
    return size


def integer(text: str | None, otherwise: int) -> int:
    if text is None or len(text) > 18:  # more digits than any count has
        return otherwise if text is None else MAX_PLANES + 1
    try:
        return int(text)
    except ValueError:
        return otherwise


def samples_per_pixel(channels: tuple[Element, ...], n_c: int) -> int:
    samples = {integer(channel.get("SamplesPerPixel"), 1) for channel in channels}
    same = samples.pop() if len(samples) == 1 else 1
    return same if same > 1 and n_c % same == 0 else 1


def plane_order(said: str) -> str:
    """The axes of planes, fastest first; some writers list those of an array, slowest first."""
    if sorted(said) != sorted("XYCZT"):
        return "CZT"
    if said.endswith("YX"):
        said = said[::-1]
    return "".join(axis for axis in said if axis in "CZT")


def _is_complete(root: Element, pixels: Element) -> bool:
    if not root.get("Creator", "").startswith(_PREALLOCATES):
        return True
    images = [image for image in root.iter() if local(image, "Image") is not None and pixels in list(image)]
    return (
        any(image.get("AcquisitionDate") is not None for image in images)
        or any(local(child, "AcquisitionDate") is not None for image in images for child in image)
        or any(local(child, "Plane") is not None for child in pixels)
    )


def time_step_s_of(pixels: Element) -> float | None:
    unit = SECONDS_PER_UNIT.get(pixels.get("TimeIncrementUnit", "s"), math.nan)
    try:
        step = float(pixels.get("TimeIncrement", "")) * unit
    except ValueError:
        return None
    return step if math.isfinite(step) and step > 0 else None


def first_plane_times(ome_metadata: str) -> RecordedTimes:
    """When the planes of the first image were acquired. Never raises; any thread; no I/O."""
    root = ome_root(ome_metadata)
    pixels = None if root is None else _first_pixels(root)
    return NOT_SAID if pixels is None else plane_times(pixels)


def physical_sizes_um(ome_metadata: str) -> tuple[float | None, float | None, float | None]:
    """(x, y, z) size of a voxel in µm from the first `Pixels`; None for each that is missing.

    Never raises: all None for text that is not OME-XML. Any thread; no I/O.
    """
    root = ome_root(ome_metadata)
    pixels = None if root is None else _first_pixels(root)
    if pixels is None:
        return None, None, None
    return size_um(pixels, "X"), size_um(pixels, "Y"), size_um(pixels, "Z")


def ome_root(ome_metadata: str) -> Element | None:
    # an entity bomb needs a document type declaration, which OME-XML never has
    if not ome_metadata or len(ome_metadata) > MAX_CHARACTERS or "<!DOCTYPE" in ome_metadata:
        return None
    try:
        return ElementTree.fromstring(ome_metadata)
    except (ElementTree.ParseError, ValueError):
        return None


def why_unreadable(ome_metadata: str) -> str:
    """Why nothing is read of a text that ends like OME-XML."""
    if "<!DOCTYPE" in ome_metadata:
        return "its OME-XML declares a document type (DOCTYPE), which is not read for safety"
    if len(ome_metadata) > MAX_CHARACTERS:
        return f"its OME-XML has {len(ome_metadata):,} characters; at most {MAX_CHARACTERS:,} are read"
    return "its OME-XML is damaged, and not read: write it again with the program that wrote the file"


def ome_root_cut_off(ome_metadata: str) -> Element | None:
    """The same of OME-XML that ends early, or goes on as something else: what can be read of it before that.

    None if nothing of the kind has begun.
    """
    if not ome_metadata or len(ome_metadata) > MAX_CHARACTERS or "<!DOCTYPE" in ome_metadata:
        return None
    begun = _Begun()
    with contextlib.suppress(ElementTree.ParseError, ValueError):
        ElementTree.XMLParser(target=begun).feed(ome_metadata)
    root = begun.root
    return root if root is not None and local(root, "OME") is not None else None


class _Begun(ElementTree.TreeBuilder):
    """Builds a tree whose root is known before it is closed.

    Not ``XMLPullParser``: of text that is no XML it leaves an exception in a cycle, and so the variables of
    all callers.
    """

    root: Element | None = None

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Element:
        """An element begins."""
        element = super().start(tag, attrs)
        if self.root is None:
            self.root = element
        return element


def _first_pixels(root: Element) -> Element | None:
    for namespace in (*_NAMESPACES, "*"):
        if (pixels := root.find(f".//{{{namespace}}}Pixels")) is not None:
            return pixels
    return None


def size_um(pixels: Element, axis: str) -> float | None:
    unit = pixels.get(f"PhysicalSize{axis}Unit", "µm").strip().lower()
    try:
        size = float(pixels.get(f"PhysicalSize{axis}", "")) * _LENGTHS_UM.get(unit, math.nan)
    except ValueError:
        return None
    return size if math.isfinite(size) and size > 0 else None
