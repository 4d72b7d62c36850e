"""NWB image series and single images as described by references: their axes and steps.

NWB stores images as (frame, x, y) or (frame, x, y, z), x across and y down: planes are transposed.
Source: NWB format specification 2.x, ``ImageSeries``, ``TwoPhotonSeries``, ``ImagingPlane``.
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import DatasetError, MetadataError, UnsupportedError
from ...metadata import nwb_series
from ...metadata.nwb_types import IMAGE_SERIES, MAX_SHORT, NO_PICTURES, SINGLE_IMAGES
from ...metadata.transformations import finite
from ...metadata.written_units import UM_PER_UNIT
from ...model import Channel, how_many
from .array_chunks import referenced_array
from .reference_file import INLINE, inline_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...storage.decoding.chunk_decoder import ChunkDecoder
    from .array_chunks import ReferencedArray
    from .reference_file import References

MAX_TIMES = 1_000_000
"""Time points of which the times are looked at."""
_MAX_NWB_TEXT = 4096
_MAX_LINKS = 8


class SeriesImage(NamedTuple):
    """How a series is displayed: the role of each axis, whether the last is colour, steps in µm and s.

    `names` are those of its positions.
    """

    roles: tuple[str, ...]
    is_rgb: bool
    steps: Mapping[str, float | None]
    channel: Channel
    names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def all_series(references: References) -> list[str]:
    """The groups of image series, in file order."""
    found = []
    for path in references.nodes():
        kind = references.attributes(path).get("neurodata_type")
        if isinstance(kind, str) and kind.endswith(IMAGE_SERIES) and kind not in NO_PICTURES:
            found.append(path)
    return found


def is_external(references: References, group: str) -> bool:
    """Whether the images of a series are in other files."""
    has_names = bool(references.array(f"{group}/external_file"))
    return has_names and 0 in (references.array(f"{group}/data").get("shape") or [0])


def external_said(references: References, group: str) -> str:
    """What is said of such a series."""
    return nwb_series.external_said(f"{references.where}: /{group}", references.attributes(group))


def series_image(references: References, group: str, chunks: ChunkDecoder) -> SeriesImage:
    """Describe the series of a group, whose images are `chunks`.

    Raises `UnsupportedError` if they are in other files, or not (frame, x, y[, z]).
    """
    where = f"{references.where}: /{group}"
    kind = str(references.attributes(group).get("neurodata_type"))
    rank = len(chunks.shape)
    if rank not in (2, 3, 4):
        raise UnsupportedError(
            f"{where} has {how_many(rank, 'dimension')}; NWB images have (frame, x, y[, z])"
        )
    is_rgb = nwb_series.looks_like_colour(kind, chunks.shape, chunks.dtype)
    roles = ("x", "y") if rank == 2 else ("t", "x", "y", "c" if is_rgb else "z")[:rank]
    sizes = dict(zip(roles, chunks.shape, strict=True))
    plane = imaging_plane(references, group)
    seconds, is_even = _frame_seconds(references, group)
    steps = {"t": seconds, **grid_um(references, group, plane, sizes)}
    said = nwb_series.series_notes(where, chunks.shape, is_rgb=is_rgb, is_even=is_even)
    names = (group.rpartition("/")[2],)
    return SeriesImage(roles, is_rgb, steps, _channel(references, group, plane), names, said)


def single_images(references: References) -> list[str]:
    """The arrays that are single images, in file order."""
    found = []
    for path in references.arrays():
        attributes = references.attributes(path)
        if attributes.get("neurodata_type") in SINGLE_IMAGES:
            with contextlib.suppress(DatasetError):  # one broken node must not affect the others
                found += [path] * nwb_series.is_picture(attributes, references.array(path).get("shape"))
    return found


def single_image(references: References, path: str) -> SeriesImage:
    """Describe a single image, as if it were a series of one."""
    attributes = references.attributes(path)
    roles = SINGLE_IMAGES[attributes["neurodata_type"]]
    steps = dict.fromkeys("xy", nwb_series.um_per_pixel(attributes))
    name = path.rpartition("/")[2]
    return SeriesImage(tuple(roles), "c" in roles, steps, Channel(name, ""), (name,))


def imaging_plane(references: References, group: str) -> str | None:
    """The path of the imaging plane that a series is linked to."""
    plane = linked(references, f"{group}/imaging_plane")
    kind = references.attributes(plane).get("neurodata_type")
    return plane if kind == "ImagingPlane" else None


def linked(references: References, path: str) -> str:
    """`path`, or where a soft link there leads."""
    for _ in range(_MAX_LINKS):
        link = references.attributes(path).get("_SOFT_LINK")
        target = link.get("path") if isinstance(link, dict) else None
        if not isinstance(target, str):
            break
        path = target.strip("/")
    return path


def _channel(references: References, group: str, plane: str | None) -> Channel:
    """The channel, named after the imaging plane's indicator if given, else after the series."""
    name = group.rpartition("/")[2]
    if plane is None:
        return Channel(name, "")
    indicator = _text(references, f"{plane}/indicator")
    emission = [
        path
        for path in references.nodes()
        if path.startswith(f"{plane}/")
        and references.attributes(path).get("neurodata_type") == "OpticalChannel"
    ]
    return Channel(
        indicator if indicator.lower() not in ("", "unknown", "n/a", "none") else name,
        "",
        excitation_nm=_nanometres(references, f"{plane}/excitation_lambda"),
        emission_nm=_nanometres(references, f"{emission[0]}/emission_lambda") if emission else None,
    )


def _nanometres(references: References, path: str) -> float | None:
    numbers = _values(references, path)
    return numbers[0] if numbers and 1 <= numbers[0] <= 1e6 else None


def _frame_seconds(references: References, group: str) -> tuple[float | None, bool]:
    """Seconds between frames, and whether they are even, as far as that is known."""
    rate = references.attributes(linked(references, f"{group}/starting_time")).get("rate")
    rate = rate[0] if isinstance(rate, list) and len(rate) == 1 else rate
    is_rate = isinstance(rate, (int, float)) and not isinstance(rate, bool) and 1e-9 < rate < 1e9
    if is_rate:
        return 1.0 / float(rate), True  # type: ignore[arg-type]
    times = _values(references, linked(references, f"{group}/timestamps"), MAX_TIMES)
    if len(times) < 2:
        return None, True
    step, is_even = nwb_series.frame_step(times[0], times[1], times[-1], len(times))
    return step if 1e-9 < step < 1e9 else None, is_even


def frame_times(references: References, group: str, n: int) -> Sequence[float]:
    """When the `n` frames of a series were acquired, as far as that is stored in the references."""
    times = _values(references, linked(references, f"{group}/timestamps"), MAX_TIMES)
    start = linked(references, f"{group}/starting_time")
    first = _values(references, start)
    rate = finite(references.attributes(start).get("rate"))
    return nwb_series.times_of_frames(times, first[0] if len(first) == 1 else None, rate, n)


def grid_um(
    references: References, group: str, plane: str | None, sizes: Mapping[str, int]
) -> dict[str, float | None]:
    """µm per pixel: from the imaging plane, its own or the only one, else from the field of view."""
    planes = [
        path
        for path in references.nodes()
        if references.attributes(path).get("neurodata_type") == "ImagingPlane"
    ]
    if plane is None and len(planes) == 1:
        plane = planes[0]
    spacing = _numbers(references, f"{plane}/grid_spacing") if plane is not None else []
    view = [] if spacing else _numbers(references, f"{group}/field_of_view")
    steps = dict(zip("xyz", spacing, strict=False))
    steps.update(
        (role, size / sizes[role]) for role, size in zip("xyz", view, strict=False) if sizes.get(role)
    )
    return {role: step for role, step in steps.items() if 1e-7 < step < 1e9}


def _numbers(references: References, path: str) -> list[float]:
    """A few numbers stored inline in the reference file, converted to µm; else none."""
    factor = UM_PER_UNIT.get(str(references.attributes(path).get("unit", "meters")).lower(), 0.0)
    return [value * factor for value in _values(references, path)]


def _values(references: References, path: str, most: int = MAX_SHORT) -> list[float]:
    """At most so many numbers stored inline in the reference file; else none."""
    try:
        array = referenced_array(references, path, references.array(path))
        if not 0 < math.prod(array.chunks.shape) <= most:
            return []
        values = _decoded(references, array)
    except DatasetError:  # it only describes the images
        return []
    return [float(value) for value in values.reshape(-1)] if values.dtype.kind in "iuf" else []


def _text(references: References, path: str) -> str:
    """A text stored inline, as numpy's (``<U7``) or JSON (``["text", "|O", [1]]``); "" if there is none."""
    try:
        document = references.array(path)
        said = str(document.get("dtype"))
        if said == "|O":
            return _text_in_json(references, path)
        dtype = np.dtype(said)
        if dtype.kind not in "US" or document.get("shape") not in ([], [1]) or dtype.itemsize > _MAX_NWB_TEXT:
            return ""
        size = [dtype.itemsize]
        as_bytes = {**document, "dtype": "|u1", "shape": size, "chunks": size, "fill_value": None}
        raw = _decoded(references, referenced_array(references, path, as_bytes)).tobytes()
        text = np.frombuffer(raw, dtype)[0]
    except (DatasetError, TypeError, ValueError):  # it only describes the images
        return ""
    return " ".join((text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).split())


def _text_in_json(references: References, path: str) -> str:
    keys = references.rows_of(path)
    if len(keys) != 1 or references.location[keys[0]] != INLINE or references.length[keys[0]] > _MAX_NWB_TEXT:
        return ""
    found = json.loads(inline_bytes(references.inline[references.offset[keys[0]]], path))
    text = found[0] if isinstance(found, list) and found else ""
    return " ".join(text.split()) if isinstance(text, str) else ""


def _decoded(references: References, array: ReferencedArray) -> np.ndarray:
    """All of a short array of one chunk that is stored inline. Raises `DatasetError`."""
    if math.prod(array.chunks.grid) != 1 or len(array.flat) != 1 or array.location[0] != INLINE:
        raise MetadataError(f"{array.path} is not stored in the references")
    raw = inline_bytes(references.inline[int(array.offset[0])], array.path)
    return array.chunks.decode(raw, array.path)[tuple(slice(n) for n in array.chunks.shape)]
