"""Parses the XML of BigDataViewer and BigStitcher: view setups, time points, and where each view is.

`bdv_views` says which channels and positions the setups are.

Source: the supplement of Pietzsch et al. 2015 ("BigDataViewer XML format", ``SpimData`` 0.2), and the classes
of spimdata and bigdataviewer-core that read it. A *view setup* is one stack per time point, told from others
by the attributes channel, tile, angle and illumination.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ..errors import LimitExceededError, MetadataError, UnsupportedError
from ..model import how_many
from ..storage.limits import MAX_METADATA_BYTES, MAX_POSITIONS, MAX_T
from ..storage.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Affine = tuple[tuple[float, ...], ...]  # 3 rows of 4

ROOT = "SpimData"
SPIM_DATA = b"<SpimData"
HDF5_LOADER, ZARR_LOADER = "bdv.hdf5", "bdv.multimg.zarr"
_FILE_OF = {HDF5_LOADER: "hdf5", ZARR_LOADER: "zarr"}
_MAX_XML_DEPTH = 64
_RANGE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?")
_CLOSE = 0.01
"""How much a scale may differ from the voxel size to be taken for it."""


class Setup(NamedTuple):
    """One view setup: its number, name, sizes (x, y, z), voxel sizes in `unit`, and attributes by name."""

    number: int
    name: str
    sizes: tuple[int, ...]
    voxel: tuple[float, ...]
    unit: str
    attributes: Mapping[str, int]


@dataclass(frozen=True)
class BigDataViewerXml:
    """What the document says. `file` is the path of the HDF5 file, or Zarr store, as written.

    That is relative to `base`.

    `times` are the numbers of time points; `names` those of attributes' values by attribute and number;
    `registered` the affine of a setup at its first time point, 3 rows of 4, from voxels to the world.
    """

    base: str
    file: str
    setups: tuple[Setup, ...]
    times: tuple[int, ...]
    names: Mapping[tuple[str, int], str]
    registered: Mapping[int, Affine] = field(default_factory=dict)

    def place(self, setup: Setup) -> tuple[float, float, float] | None:
        """Where the first voxel of a setup is (x, y, z), in its `unit`.

        None if that is not known: if views are rotated or sheared, or scaled by other than their voxel sizes.
        """
        matrix = self.registered.get(setup.number)
        if matrix is None or len(setup.voxel) != 3:
            return None
        scales = [setup.voxel[i] / matrix[i][i] if matrix[i][i] > 0 else 0.0 for i in range(3)]
        turned = any(abs(matrix[i][j]) > _CLOSE * matrix[i][i] for i in range(3) for j in range(3) if i != j)
        if turned or min(scales) <= 0 or max(scales) > (1 + _CLOSE) * min(scales):
            return None
        x, y, z = (row[3] * scales[0] for row in matrix)
        return x, y, z


def parse_bdv_xml(raw: bytes, where: str, expected: str = HDF5_LOADER) -> BigDataViewerXml:
    """Parse a document. Raises `MetadataError`, `UnsupportedError` if its images are in another format."""
    root = parsed_xml(raw, where)
    if root.tag != ROOT:
        raise MetadataError(f"{where} is not an XML file of BigDataViewer: it begins with <{root.tag[:40]}>")
    loader = root.find("SequenceDescription/ImageLoader")
    kind = loader.get("format", "") if loader is not None else ""
    file = _text(loader, _FILE_OF[expected])
    if kind != expected or not file:
        raise UnsupportedError(
            f"{where} describes images in {brief(kind or 'no')} format; only those of "
            f"{' and '.join(_FILE_OF)} can be shown"
        )
    setups = tuple(_setups(root, where))
    times = tuple(dict.fromkeys(_times(root, where)))
    if not setups or not times:
        raise MetadataError(
            f"{where} lists {how_many(len(setups), 'view setup')} and {how_many(len(times), 'time point')}"
        )
    return BigDataViewerXml(
        _text(root, "BasePath") or ".", file, setups, times, _names(root), dict(_registered(root))
    )


def parsed_xml(raw: bytes, where: str) -> Element:
    """The root of a small XML document without a DTD: entities are refused, and so is deep nesting."""
    if len(raw) > MAX_METADATA_BYTES:
        raise LimitExceededError(f"{where} has {len(raw)} bytes; at most {MAX_METADATA_BYTES} are allowed")
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_XML_DEPTH:
            raise MetadataError(f"{where} is nested more than {_MAX_XML_DEPTH} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise MetadataError(f"{where} declares a document type, which is not needed and not read for safety")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw, True)
        root: Element = builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:  # also unknown encodings
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(f"{where} is not valid XML: {error}") from error
    return root


def _setups(root: Element, where: str) -> Iterator[Setup]:
    listed = root.findall("SequenceDescription/ViewSetups/ViewSetup")
    if len(listed) > MAX_POSITIONS:
        raise LimitExceededError(f"{where} lists {len(listed)} view setups: too many")
    for each in listed:
        number = _integer(_text(each, "id"))
        if number is None:
            raise MetadataError(f"{where} lists a view setup without an id")
        numbers = ((child.tag, _integer(child.text)) for child in each.iterfind("attributes/*"))
        yield Setup(
            number,
            " ".join(_text(each, "name").split()),
            tuple(int(n) for n in _numbers(_text(each, "size")) if n >= 1),
            tuple(_numbers(_text(each, "voxelSize/size"))),
            _text(each, "voxelSize/unit"),
            {name: value for name, value in numbers if value is not None},
        )


def _times(root: Element, where: str) -> Iterator[int]:
    """The numbers of time points: a range, a pattern ("0-10, 12, 14-20:2") or a list."""
    points = root.find("SequenceDescription/Timepoints")
    if points is None:
        yield 0
        return
    first, last = _integer(_text(points, "first")), _integer(_text(points, "last"))
    pattern = _text(points, "integerpattern")
    if points.get("type") == "range" and first is not None and last is not None:
        pattern = f"{first}-{last}"
    n = 0
    for part in pattern.split(",") if pattern else ():
        if (match := _RANGE.fullmatch(part.strip())) is None:
            raise MetadataError(f"{where}: {part[:40]!a} is not a range of time points")
        low, high, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        span = range(low, high + 1, step or 1)
        n += len(span)
        if n > MAX_T:
            raise LimitExceededError(f"{where} lists more than {MAX_T} time points")
        yield from span
    for point in points.findall("timepoint"):
        if (number := _integer(_text(point, "id"))) is not None:
            yield number


def _names(root: Element) -> dict[tuple[str, int], str]:
    found = {}
    for kind in root.findall("SequenceDescription/ViewSetups/Attributes"):
        for each in kind:
            number, name = _integer(_text(each, "id")), " ".join(_text(each, "name").split())
            if number is not None and name:
                found[kind.get("name", ""), number] = name
    return found


def _registered(root: Element) -> Iterator[tuple[int, Affine]]:
    seen = set()
    for each in root.findall("ViewRegistrations/ViewRegistration"):
        setup = _integer(each.get("setup"))
        if setup is None or setup in seen:
            continue
        seen.add(setup)
        matrix: Affine = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
        for transform in each.findall("ViewTransform"):
            numbers = _numbers(_text(transform, "affine"))
            if len(numbers) != 12:
                break
            matrix = _product(matrix, (tuple(numbers[:4]), tuple(numbers[4:8]), tuple(numbers[8:])))
        else:
            yield setup, matrix


def _product(one: Affine, other: Affine) -> Affine:
    """Of two affines: the second is applied first."""
    last = (0.0, 0.0, 0.0, 1.0)
    return tuple(tuple(sum(row[k] * (*other, last)[k][j] for k in range(4)) for j in range(4)) for row in one)


def _text(element: Element | None, path: str) -> str:
    found = element.find(path) if element is not None else None
    return (found.text or "").strip() if found is not None else ""


def _integer(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
