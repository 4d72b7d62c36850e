"""Interprets the metadata of an ND2 file: the nd2 library's results in, a `DatasetInfo` out.

Nothing here reads a file. The input may be damaged: any exception means it cannot be interpreted.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import LimitExceededError, MetadataError, UnsupportedError
from ...model import (
    RGB_COLORS,
    Channel,
    PlacedWarning,
    PlaneKey,
    Position,
    WarningPlace,
    colored,
    how_many,
)
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS
from .frames import FrameLayout, judged_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nd2.structures import Attributes, ExpLoop, XYPosLoop, ZStackLoop
    from nd2.structures import Channel as LibraryChannel

MAX_FRAMES = 10_000_000
_AXES = {"TimeLoop": "t", "NETimeLoop": "t", "XYPosLoop": "p", "ZStackLoop": "z"}
_TIME_AXIS = 2  # kind of an image axis other than a length
_LASER_LINE = 4  # kind of a spectrum point
_COLOUR = 3  # components of a channel of a colour camera
_UNNAMED = "P"
"""Region of positions that have no name."""


# ---- the order of frames -----------------------------------------------------------------------


@dataclass(frozen=True)
class Loops:
    """The loops of an experiment, outermost first; the innermost runs fastest."""

    axes: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def n_frames(self) -> int:
        """The number of frames of a complete file."""
        return math.prod(self.counts)

    def size(self, axis: str) -> int:
        """The size along "t", "p" or "z"; 1 if the file has no such loop."""
        return dict(zip(self.axes, self.counts, strict=True)).get(axis, 1)

    def frame(self, key: PlaneKey) -> int:
        """The number of the frame containing the plane `key`, which must be within the sizes."""
        number = 0
        for axis, count in zip(self.axes, self.counts, strict=True):
            number = number * count + getattr(key, axis)
        return number

    def place(self, frame: int) -> WarningPlace:
        """Where in the dataset the frame of that number is."""
        indices = np.unravel_index(frame, self.counts) if self.counts else ()
        at = {axis: int(i) for axis, i in zip(self.axes, indices, strict=True)}
        return WarningPlace(at.get("t"), at.get("p"), None, at.get("z"))


def loops(experiment: Sequence[ExpLoop], where: str) -> Loops:
    """The loops of an experiment; raises `UnsupportedError` for axes that are not t, p or z."""
    listed = [(_AXES.get(loop.type, loop.type), loop.count) for loop in experiment if loop.count != 1]
    axes = tuple(axis for axis, _ in listed)
    for axis, times in Counter(axes).items():
        if axis not in _AXES.values():
            raise UnsupportedError(
                f"{where} has an axis other than time, position and z ({axis}): not supported"
            )
        if times > 1:
            raise UnsupportedError(f"{where} has {times} loops along the axis {axis}: not supported")
    found = Loops(axes, tuple(count for _, count in listed))
    if found.n_frames > MAX_FRAMES or found.size("p") > MAX_POSITIONS:
        sizes = ", ".join(f"{axis} {count}" for axis, count in listed)
        raise LimitExceededError(f"{where} declares {sizes}: more than any acquisition has")
    return found


def positions(
    experiment: Sequence[ExpLoop], stage_um: Sequence[float | None], where: str
) -> tuple[Position, ...]:
    """One position per stage point: its name becomes the region, "P" if it has none.

    `stage_um` (x, y, z) is where the first frame was taken: the one position if there is no such loop.
    """
    loop: XYPosLoop | None = next((loop for loop in experiment if loop.type == "XYPosLoop"), None)
    if loop is None:
        x, y, z = (_number(value) for value in stage_um)
        return (Position(_UNNAMED, 0, x, y, z),)
    points = loop.parameters.points
    if len(points) != loop.count:
        raise MetadataError(f"{where} lists {how_many(len(points), 'position')} but has {loop.count}")
    fovs: Counter[str] = Counter()
    found = []
    for point in points:
        name = str(point.name or "").strip()
        region = name or _UNNAMED
        x, y, z = (_number(value) for value in point.stagePositionUm)
        found.append(Position(region, fovs[region], x, y, z if loop.parameters.isSettingZ else None, name))
        fovs[region] += 1
    return tuple(found)


def z_step_um(experiment: Sequence[ExpLoop]) -> float | None:
    """µm between the planes of a stack; None without stack."""
    loop: ZStackLoop | None = next((loop for loop in experiment if loop.type == "ZStackLoop"), None)
    step = _number(loop.parameters.stepUm) if loop is not None else None
    return abs(step) if step else None


def time_steps_s(experiment: Sequence[ExpLoop]) -> set[float]:
    """Seconds between time points as configured; several if phases differ.

    0 stands for "as fast as possible".
    """
    steps: set[float] = set()
    for loop in experiment:
        if _AXES.get(loop.type) == "t":
            periods: list[Any] = getattr(loop.parameters, "periods", None) or [loop.parameters]
            steps.update(_number(p.periodMs) or _number(p.periodDiff.avg) or 0.0 for p in periods)
    return {max(0.0, step / 1000) for step in steps}


def measured_time_step_s(times_ms: np.ndarray, found: Loops) -> float | None:
    """Mean seconds between time points, from the time of every frame; None if unknown."""
    if found.size("t") < 2 or len(times_ms) < found.n_frames:
        return None
    last = found.frame(PlaneKey(t=found.size("t") - 1))
    step = float(times_ms[last] - times_ms[0]) / 1000 / (found.size("t") - 1)
    return step if math.isfinite(step) and step > 0 else None


def notes(found: Loops, stored: np.ndarray) -> tuple[str, ...]:
    """Warnings about a file whose frames do not match its experiment."""
    here = int((stored < found.n_frames).sum())
    said = list[str]()
    if here < found.n_frames:
        is_end = not here or int(stored[here - 1]) == here - 1
        why = "the acquisition was probably stopped early" if is_end else "not all of them are the last ones"
        text = f"the file lacks {found.n_frames - here} of {how_many(found.n_frames, 'frame')}: {why}"
        first = next((i for i, frame in enumerate(stored[:here].tolist()) if i != frame), here)
        said.append(PlacedWarning(text, found.place(first)))
    if here < len(stored):
        said.append(
            f"{how_many(len(stored) - here, 'frame')} in the file, of no time, position or z, not shown"
        )
    return tuple(said)


# ---- frames ------------------------------------------------------------------------------------


def layout(attributes: Attributes, where: str) -> FrameLayout:
    """The pixel layout of the frames; raises `UnsupportedError` if it cannot be decoded."""
    if attributes.compressionType == "lossy":
        raise UnsupportedError(
            f"{where} uses lossy compression, which is not supported: save it uncompressed in NIS-Elements"
        )
    bits = attributes.bitsPerComponentInMemory
    if bits not in (8, 16, 32):
        raise UnsupportedError(f"{where} has {bits}-bit pixels: only 8, 16 and 32 bits are supported")
    width = attributes.widthPx or 0
    return judged_layout(
        FrameLayout(
            height=attributes.heightPx,
            width=width,
            components=attributes.componentCount,
            row_bytes=attributes.widthBytes or width * attributes.componentCount * bits // 8,
            dtype=np.dtype(f"<{'f' if attributes.pixelDataType == 'float' else 'u'}{bits // 8}"),
            deflated=attributes.compressionType == "lossless",
        ),
        where,
    )


# ---- channels ----------------------------------------------------------------------------------


def channels(
    named: Sequence[Channel], counts: Sequence[int], dtype: np.dtype[Any], where: str
) -> tuple[Channel, ...]:
    """One channel per component of a frame; those of a colour camera are red, green and blue.

    `named` is the file's metadata about its channels, which have so many components each.
    """
    if sum(counts) > MAX_CHANNELS:
        raise LimitExceededError(f"{where} declares {sum(counts)} channels: too many")
    found: list[Channel] = []
    for i, count in enumerate(counts):
        channel = named[i] if i < len(named) else Channel(f"Channel {i}", "")
        found += _components(channel, count, dtype)
    return colored(found)


def component_order(counts: Sequence[int]) -> tuple[int, ...]:
    """For each channel as listed, the component of a frame that it is: colour cameras store blue first.

    Sources: Bio-Formats issue 3761 and pull request 4321, which compare files with what NIS-Elements shows
    of them; nis2pyr, which swaps red and blue; the nd2 library, which gives the components of a colour camera
    the wavelengths 420, 515 and 590 nm, as Nikon's SDK does (it does not swap pixels).
    """
    order: list[int] = []
    for count in counts:
        own = range(len(order), len(order) + count)
        order += reversed(own) if count == _COLOUR else own
    return tuple(order)


def component_counts(
    n_channels: int, n_components: int, where: str, picture: Mapping[str, Any] | None = None
) -> tuple[int, ...]:
    """How many components of a frame each channel has: as said of the first frame, else all as many."""
    told = [plane.get("uiCompCount") for plane in _planes(picture or {})]
    counts = tuple(count for count in told if isinstance(count, int) and count > 0)
    if len(counts) == len(told) == n_channels and sum(counts) == n_components:
        return counts
    per_channel, rest = divmod(n_components, max(1, n_channels))
    if rest or not per_channel:
        raise MetadataError(
            f"{where} declares {how_many(n_channels, 'channel')} with "
            f"{how_many(n_components, 'component')}: metadata is inconsistent"
        )
    return (per_channel,) * max(1, n_channels)


def _planes(picture: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    planes = picture.get("sPicturePlanes", {})
    return list((planes.get("sPlaneNew") or planes.get("sPlane") or {}).values())


def _components(channel: Channel, count: int, dtype: np.dtype[Any]) -> Iterator[Channel]:
    if count == 1:
        yield channel
    window = (
        (0.0, 255.0) if dtype == np.uint8 else None
    )  # colours with contrasts of their own would be others
    for i in range(count if count > 1 else 0):
        if count == _COLOUR:
            yield Channel(f"{channel.name} ({'RGB'[i]})", RGB_COLORS[i], window=window)
        else:
            yield Channel(f"{channel.name} ({i + 1})", "")


def named_channels(picture: Mapping[str, Any]) -> list[Channel]:
    """The channels in the metadata of the first frame: name, colour, wavelengths (nm).

    Parsed here, not by the library, whose version 0.12 fails if a channel names no dye.
    """
    return [
        channel(
            str(plane.get("sDescription") or ""),
            i,
            int(plane.get("uiColor", 0)),
            *(_wavelength(plane, name, i) for name in ("m_ExcitationSpectrum", "m_EmissionSpectrum")),
        )
        for i, plane in enumerate(_planes(picture))
    ]


def library_channels(said: Sequence[LibraryChannel]) -> list[Channel]:
    """The channels of a legacy file."""
    metas = [each.channel for each in said]  # Python 3.12.1 would confuse "channel" with the function below
    return [
        channel(meta.name or "", i, meta.color.as_abgr_u4(), meta.excitationLambdaNm, meta.emissionLambdaNm)
        for i, meta in enumerate(metas)
    ]


def channel(
    name: str, index: int, color: int, excitation_nm: float | None, emission_nm: float | None
) -> Channel:
    """A channel; `color` is 0x00BBGGRR, black if the file has none: then it gets one with the others."""
    name = name.strip() or f"Channel {index}"
    red, green, blue = color & 255, color >> 8 & 255, color >> 16 & 255
    shown = f"#{red:02X}{green:02X}{blue:02X}" if red or green or blue else ""
    return Channel(name, shown, _number(excitation_nm) or None, _number(emission_nm) or None)


def _wavelength(plane: Mapping[str, Any], spectrum: str, index: int) -> float | None:
    """The peak of a spectrum of the dye, else of the first filter."""
    filters = list(plane.get("pFilterPath", {}).get("m_pFilter", {}).values())
    for element in (plane.get("pFluorescentProbe"), *filters[:1]):
        points = list(((element or {}).get(spectrum) or {}).get("pPoint", {}).values())
        if 1 < len(points) > index and all(point.get("eType") == _LASER_LINE for point in points):
            points = [points[index]]  # one line per channel
        peak: Mapping[str, Any] = max(points, key=lambda point: point.get("dTValue", 0.0), default={})
        if nm := _number(peak.get("dWavelength")):
            return nm
    return None


def pixel_size_um(picture: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(y, x) in µm per pixel; None where the file was not calibrated, or the axis is time."""
    size = _number(picture.get("dCalibration")) if picture.get("bCalibrated") else None
    if not size or size <= 0:
        return None, None
    is_time = [picture.get(axis) == _TIME_AXIS for axis in ("ePictureYAxis", "ePictureXAxis")]
    return None if is_time[0] else size, None if is_time[1] else size


def stage_um(picture: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """The stage position (x, y, z in µm) of the first frame."""
    x, y, z = (_number(picture.get(name)) for name in ("dXPos", "dYPos", "dZPos"))
    return x, y, z


def _number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None
