"""Nikon ND2 files of our own making, as NIS-Elements lays them out since 2010: for tests of what reads them.

A file is a sequence of chunks: 16 bytes (magic, length of the name, length of the data), the name padded
with zeros, the data. Each begins at a multiple of 4096. The last one is a map from names to places.
All channels of one (t, p, z) lie interleaved in one frame, row by row; frames count through the loops of
the experiment, the innermost fastest. Metadata is a tree, binary since version 3.0, XML before.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.sax.saxutils import quoteattr

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

MAGIC = 0x0ABECEDA
NAME_LENGTH = 4072  # of a frame: its pixels begin 4096 bytes after the chunk, 8 of them a time
_TIME, _POSITIONS, _Z, _SPECTRAL, _CUSTOM, _PERIODS = 1, 2, 4, 6, 7, 8


@dataclass(frozen=True)
class Plane:
    """A channel as the file describes it; colours are ``"#RRGGBB"``, wavelengths 0 where not known.

    `components` is 3 for a colour camera. `probe` False leaves the dye out, as bright field does.
    """

    name: str = "DAPI"
    color: str = "#0000FF"
    excitation_nm: float = 0.0
    emission_nm: float = 0.0
    components: int = 1
    probe: bool = True


@dataclass(frozen=True)
class Loop:
    """One loop of an experiment: its axis letter, how often it runs, and its parameters.

    `valid` says of each item whether it was acquired; `in_sub_loop` puts the loops inside it where
    NIS-Elements has those of single phases; `others` are loops beside the one inside it.
    """

    axis: str
    count: int
    type: int
    parameters: dict[str, Any] = field(default_factory=dict)
    valid: Sequence[bool] = ()
    in_sub_loop: bool = False
    others: Sequence[Loop] = ()


def time_loop(count: int, period_ms: float = 1000.0, average_ms: float = 0.0) -> Loop:
    """Time points; `period_ms` 0 is "as fast as possible"."""
    what = {"dStart": 0.0, "dPeriod": period_ms, "dDuration": period_ms * count}
    return Loop("t", count, _TIME, {"uiCount": count, **what, "dAvgPeriodDiff": average_ms})


def periods_loop(periods: Sequence[tuple[int, float]]) -> Loop:
    """Time points in phases of (count, period in ms)."""
    phases = [{"uiCount": n, "dStart": 0.0, "dPeriod": ms, "dDuration": ms * n} for n, ms in periods]
    count = sum(n for n, _ in periods)
    what = {"uiPeriodCount": len(phases), "pPeriod": phases, "pPeriodValid": bytes(1 for _ in phases)}
    return Loop("t", count, _PERIODS, what)


def z_loop(count: int, step_um: float = 1.5) -> Loop:
    """A stack of planes."""
    top = step_um * (count - 1)
    return Loop(
        "z", count, _Z, {"uiCount": count, "dZLow": 0.0, "dZHigh": top, "dZStep": step_um, "iType": 2}
    )


def positions_loop(points: Sequence[tuple[str, float, float, float]], use_z: bool = True) -> Loop:
    """Stage positions: (name, x, y, z), lengths in µm; the name may be empty."""
    listed = [
        {"dPosX": x, "dPosY": y, "dPosZ": z, "dPFSOffset": 0.0, **({"dPosName": name} if name else {})}
        for name, x, y, z in points
    ]
    return Loop("p", len(points), _POSITIONS, {"uiCount": len(points), "bUseZ": use_z, "Points": listed})


def lambda_loop() -> Loop:
    """The channels as a loop: they lie in one frame all the same."""
    return Loop("", 1, _SPECTRAL, {"uiCount": 2, "pPlanes": {"uiCount": 2}})


def custom_loop(count: int) -> Loop:
    """An axis that has no name of its own."""
    return Loop("u", count, _CUSTOM, {"uiCount": count})


def write_nd2(
    path: Path | str,
    frame: Callable[[int], np.ndarray],
    loops: Sequence[Loop] = (),
    planes: Sequence[Plane] = (Plane(),),
    *,
    compressed: bool = False,
    row_bytes: int | None = None,
    version: str = "3.0",
    pixel_um: float | None = 0.65,
    stage_um: tuple[float, float, float] = (10.0, 20.0, 30.0),
    times_ms: Iterable[float] = (),
    skip: Collection[int] = (),
    events: Sequence[str] = (),
    finished: bool = True,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write a file; ``frame(i)`` is (Y, X, components of all channels), loops are given outermost first.

    `events` are what a person noted meanwhile. `row_bytes` pads rows, `skip` names frames that are left out,
    `finished` False leaves out the map, as while the microscope is still writing. `attributes` replaces what
    the file says of its frames.
    """
    first = np.atleast_3d(frame(0))
    count = math.prod(loop.count for loop in loops)
    row_bytes = row_bytes or first[0].nbytes
    encode, suffix = (_lite, b"LV") if version >= "3" else (_xml, b"")
    with open(path, "wb") as file:
        chunks = _Chunks(file)
        chunks.add(b"ND2 FILE SIGNATURE CHUNK NAME01!", f"Ver{version}".encode().ljust(64, b"\0"), 32)
        if loops:
            chunks.add(b"ImageMetadata" + suffix + b"!", encode("SLxExperiment", _nested(loops)))
        picture = _picture(planes, pixel_um, stage_um, first.shape[2])
        chunks.add(b"ImageMetadataSeq" + suffix + b"|0!", encode("SLxPictureMetadata", picture))
        for i in range(count):
            if i not in skip:
                pixels = _rows(np.atleast_3d(frame(i)) if i else first, row_bytes)
                pixels = zlib.compress(pixels, 1) if compressed else pixels
                chunks.add(b"ImageDataSeq|%d!" % i, struct.pack("<d", 1000.0 * i) + pixels, NAME_LENGTH)
        said = {**_attributes(first, row_bytes, count, compressed), **(attributes or {})}
        chunks.add(b"ImageAttributes" + suffix + b"!", encode("SLxImageAttributes", said))
        times = np.fromiter(times_ms, "<f8")
        if len(times):
            chunks.add(b"CustomData|AcqTimesCache!", times.tobytes())
        if events:
            noted = {f"i{i:010}": {"T": 1e3 * i, "M": 7, "D": said} for i, said in enumerate(events)}
            record = {"uiCount": len(events), "pEvents": noted}
            chunks.add(b"CustomData|ExperimentEventsV1_0!", encode("RLxExperimentRecord", record))
        if finished:
            chunks.end()


class _Chunks:
    """Appends chunks to a file and keeps the map of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map: list[bytes] = []

    def add(self, name: bytes, data: bytes, name_length: int | None = None) -> int:
        """Append a chunk; return where it begins."""
        self._file.write(bytes(-self._file.tell() % 4096))
        offset = self._file.tell()
        length = name_length or len(name) + 20
        self._file.write(struct.pack("<IIQ", MAGIC, length, len(data)) + name.ljust(length, b"\0"))
        self._file.write(data)
        self._map.append(name + struct.pack("<QQ", offset, len(data)))
        return offset

    def end(self) -> None:
        """Append the map, and where it is."""
        places = b"".join(self._map[1:])  # without the signature
        offset = self._file.tell() + -self._file.tell() % 4096
        end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", offset)
        self.add(b"ND2 FILEMAP SIGNATURE NAME 0001!", places + end, 32)


def _rows(frame: np.ndarray, row_bytes: int) -> bytes:
    rows = frame.reshape(len(frame), -1)
    padding = np.full((len(rows), row_bytes - rows[0].nbytes), 0xEE, np.uint8)  # visible if taken for pixels
    return np.hstack([np.ascontiguousarray(rows).view(np.uint8), padding]).tobytes()


# ---- what the metadata says --------------------------------------------------------------------


def _attributes(frame: np.ndarray, row_bytes: int, count: int, compressed: bool) -> dict[str, Any]:
    height, width, components = frame.shape
    bits = frame.itemsize * 8
    return {
        "uiWidth": width,
        "uiWidthBytes": row_bytes,
        "uiHeight": height,
        "uiComp": components,
        "uiBpcInMemory": bits,
        "uiBpcSignificant": bits,
        "uiSequenceCount": count,
        "uiTileWidth": width,
        "uiTileHeight": height,
        "eCompression": 0 if compressed else 2,
        "dCompressionParam": 0.0,
    }


def _nested(loops: Sequence[Loop]) -> dict[str, Any]:
    loop, inner = loops[0], loops[1:]
    parameters: Any = loop.parameters
    if loop.in_sub_loop:
        first = "i0000000000"
        sub = {"ppNextLevelEx": {first: {"SLxExperiment": _nested(inner)}}}
        parameters, inner = {**parameters, "pSubLoops": {first: sub}}, ()
    level: dict[str, Any] = {"eType": loop.type, "uLoopPars": parameters}
    level |= {"pItemValid": list(loop.valid)} if loop.valid else {}
    inside = [_nested(inner), *(_nested([other]) for other in loop.others)] if inner else []
    return {**level, "ppNextLevelEx": inside} if inside else level


def _picture(
    planes: Sequence[Plane], pixel_um: float | None, stage_um: tuple[float, float, float], components: int
) -> dict[str, Any]:
    x, y, z = stage_um
    return {
        "dTimeMSec": 0.0,
        "dXPos": x,
        "dYPos": y,
        "dZPos": z,
        "dCalibration": pixel_um or 1.0,
        "bCalibrated": pixel_um is not None,
        "dObjectiveMag": 10.0,
        "dObjectiveNA": 0.45,
        "sPicturePlanes": {
            "uiCount": len(planes),
            "uiCompCount": components,
            "sPlaneNew": {f"a{i}": _plane(plane) for i, plane in enumerate(planes)},
            "sSampleSetting": {"a0": {"dObjectiveMag": 10.0}},
        },
    }


def _plane(plane: Plane) -> dict[str, Any]:
    red, green, blue = bytes.fromhex(plane.color[1:])
    said: dict[str, Any] = {
        "uiCompCount": plane.components,
        "sDescription": plane.name,
        "uiColor": red | green << 8 | blue << 16,
        "uiModalityMask": 1,
    }
    if plane.probe:
        spectra = {"m_ExcitationSpectrum": plane.excitation_nm, "m_EmissionSpectrum": plane.emission_nm}
        said["pFluorescentProbe"] = {name: _spectrum(nm) for name, nm in spectra.items()}
    return said


def _spectrum(nm: float) -> dict[str, Any]:
    around = [(nm - 20, 0.2), (nm, 1.0), (nm + 20, 0.3)] if nm else []
    points = {f"Point{i}": {"eType": 1, "dWavelength": at, "dTValue": t} for i, (at, t) in enumerate(around)}
    return {"uiCount": len(points), "pPoint": points}


# ---- the tree, binary -----------------------------------------------------------------------------


def _lite(name: str, value: Any) -> bytes:
    """One entry: type, length of its name, name in UTF-16, value; a list is a level of nameless entries."""
    if isinstance(value, bool):
        return _entry(1, name, struct.pack("<B", value))
    if isinstance(value, int):
        return (
            _entry(3, name, struct.pack("<I", value))
            if value >= 0
            else _entry(4, name, struct.pack("<q", value))
        )
    if isinstance(value, float):
        return _entry(6, name, struct.pack("<d", value))
    if isinstance(value, str):
        return _entry(8, name, (value + "\0").encode("utf-16-le"))
    if isinstance(value, bytes):
        return _entry(9, name, struct.pack("<Q", len(value)) + value)
    pairs = value.items() if isinstance(value, dict) else [("", item) for item in value]
    items = [_lite(key, item) for key, item in pairs]
    start = len(_entry(11, name, b"")) + 12
    offsets = np.cumsum([start, *map(len, items)])
    level = struct.pack("<IQ", len(items), offsets[-1]) + b"".join(items)
    return _entry(11, name, level + offsets[:-1].astype("<u8").tobytes())


def _entry(kind: int, name: str, value: bytes) -> bytes:
    return struct.pack("<BB", kind, len(name) + 1) + (name + "\0").encode("utf-16-le") + value


# ---- the tree, as XML -----------------------------------------------------------------------------


def _xml(_: str, value: Any) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?><variant version="1.0">{_element("", value)}</variant>'
    return text.encode()


def _element(name: str, value: Any) -> str:
    name = name or "no_name"
    if isinstance(value, (dict, list, bytes)):
        items = value.items() if isinstance(value, dict) else [("", item) for item in value]
        inner = "".join(_element(key, item) for key, item in items)
        return f'<{name} runtype="CLxListVariant">{inner}</{name}>'
    kinds = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name} runtype={quoteattr(kinds[type(value)])} value={quoteattr(text)}/>"


# ---- before 2010 ----------------------------------------------------------------------------------


def write_legacy_nd2(
    path: Path | str,
    frame: Callable[[int], np.ndarray],
    loops: Sequence[Loop] = (),
    planes: Sequence[Plane] = (Plane(),),
    *,
    bits: int = 12,
    pixel_um: float = 0.65,
) -> None:
    """Write a file as NIS-Elements did before 2010: boxes of JPEG 2000, one per channel, metadata in XML."""
    from imagecodecs import jpeg2k_encode

    height, width, components = np.atleast_3d(frame(0)).shape
    count = math.prod(loop.count for loop in loops)
    with open(path, "wb") as file:
        boxes = _Boxes(file)
        boxes.add(b"jP  ", b"\r\n\x87\n")
        boxes.add(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        boxes.add(
            b"jp2h", struct.pack(">I4siiHBBBB", 22, b"ihdr", height, width, components, bits - 1, 7, 0, 0)
        )
        for i in range(count):
            pixels, c = np.atleast_3d(frame(i)), 0
            for plane in planes:
                part = np.ascontiguousarray(pixels[..., c : c + plane.components].squeeze())
                coded = jpeg2k_encode(part, codecformat="j2k", bitspersample=bits, reversible=True)
                boxes.add(b"jp2c", bytes(coded), b"LUNK")
                c += plane.components
            boxes.add(b"uuid", _xml("", {"dTimeMSec": 1000.0 * i}), b"VCAL")
        boxes.add(b"uuid", _xml("", _legacy_picture(planes, pixel_um)), b"VIMD")
        if loops:
            boxes.add(b"uuid", _xml("", _legacy_nested(loops)), b"AIM1")
        boxes.end()


class _Boxes:
    """Appends boxes to a file and keeps the map of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map: list[bytes] = []

    def add(self, kind: bytes, data: bytes, name: bytes = b"    ") -> None:
        self._map.append(struct.pack("<4s4sQ", kind, name, self._file.tell()))
        self._file.write(struct.pack(">I4s", len(data) + 8, kind) + data)

    def end(self) -> None:
        places = struct.pack(">I", len(self._map)) + b"".join(self._map)
        end = b"LABORATORY IMAGING ND BOX MAP 00"
        self._file.write(places + end + struct.pack("<Q", len(places) + len(end) + 8))


def _legacy_picture(planes: Sequence[Plane], pixel_um: float) -> dict[str, Any]:
    said = {}
    for i, plane in enumerate(planes):
        red, green, blue = bytes.fromhex(plane.color[1:])
        said[f"_{i}"] = {
            "uiCompCount": plane.components,
            "wsOpticalConfigName": plane.name,
            "uiColor": red | green << 8 | blue << 16,
        }
    n_components = sum(plane.components for plane in planes)
    pictures = {"uiCount": len(planes), "uiCompCount": n_components, "sPlane": said}
    return {"dCalibration": pixel_um, "bCalibrated": True, "sPicturePlanes": pictures}


def _legacy_nested(loops: Sequence[Loop]) -> dict[str, Any]:
    loop, inner = loops[0], loops[1:]
    level: dict[str, Any] = {
        "eType": {"t": 8, "p": 2, "z": 4}[loop.axis],
        "sLoopPars": _legacy_parameters(loop),
    }
    return {**level, "sNextLevelEx": _legacy_nested(inner)} if inner else level


def _legacy_parameters(loop: Loop) -> dict[str, Any]:
    said = loop.parameters
    if loop.axis == "t":
        return {"uiPeriodCount": 1, "sPeriod": {"_0": said, "_1": said}}
    if loop.axis == "z":
        return {**said, "dZHome": 0.0}
    points = said["Points"]
    columns = {
        name: {f"_{loop.count - 1 - i:05}": point[name] for i, point in enumerate(points)}
        for name in ("dPosX", "dPosY", "dPosZ", "dPFSOffset")
    }
    return {"uiCount": loop.count, "bUseZ": said["bUseZ"], **columns}
