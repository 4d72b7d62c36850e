"""NWB image series as described by references: their axes and steps.

NWB stores images as (frame, x, y) or (frame, x, y, z), x across and y down: planes are transposed.
Source: NWB format specification 2.x, ``ImageSeries``, ``TwoPhotonSeries``, ``ImagingPlane``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import DatasetError, UnsupportedError
from ...metadata.nwb_types import IMAGE_SERIES, MAX_SHORT, NO_PICTURES
from .array_chunks import referenced_array
from .reference_file import INLINE, inline_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...storage.decoding.chunk_decoder import ChunkDecoder
    from .reference_file import References

_UM_PER_UNIT = {
    **{"meters": 1e6, "meter": 1e6, "millimeters": 1e3, "micrometers": 1.0, "nanometers": 1e-3},
    **{"m": 1e6, "mm": 1e3, "um": 1.0, "nm": 1e-3},
}


class SeriesImage(NamedTuple):
    """How a series is displayed: the role of each axis, whether the last is colour, steps in µm and s."""

    roles: tuple[str, ...]
    is_rgb: bool
    steps: Mapping[str, float | None]


def all_series(references: References) -> list[str]:
    """The groups of image series, in file order."""
    found = []
    for path in references.nodes():
        kind = references.attributes(path).get("neurodata_type")
        if isinstance(kind, str) and kind.endswith(IMAGE_SERIES) and kind not in NO_PICTURES:
            found.append(path)
    return found


def series_image(references: References, group: str, chunks: ChunkDecoder) -> SeriesImage:
    """Describe the series of a group, whose images are `chunks`.

    Raises `UnsupportedError` if they are in other files, or not (frame, x, y[, z]).
    """
    where = f"{references.where}: /{group}"
    kind = str(references.attributes(group).get("neurodata_type"))
    if f"{group}/external_file/.zarray" in references.metadata and 0 in chunks.shape:
        raise UnsupportedError(
            f"{where} ({kind}) stores its images in other files, which are not followed for safety. Open "
            "those instead"
        )
    rank = len(chunks.shape)
    if rank not in (2, 3, 4):
        raise UnsupportedError(f"{where} has {rank} dimensions; NWB images have (frame, x, y[, z])")
    is_camera = not kind.endswith("PhotonSeries")
    is_rgb = is_camera and rank == 4 and chunks.shape[-1] in (3, 4) and chunks.dtype == np.uint8
    roles = ("x", "y") if rank == 2 else ("t", "x", "y", "c" if is_rgb else "z")[:rank]
    sizes = dict(zip(roles, chunks.shape, strict=True))
    return SeriesImage(
        roles, is_rgb, {"t": _frame_seconds(references, group), **_grid_um(references, group, sizes)}
    )


def _frame_seconds(references: References, group: str) -> float | None:
    rate = references.attributes(f"{group}/starting_time").get("rate")
    rate = rate[0] if isinstance(rate, list) and len(rate) == 1 else rate
    is_rate = isinstance(rate, (int, float)) and not isinstance(rate, bool) and 1e-9 < rate < 1e9
    return 1.0 / float(rate) if is_rate else None  # type: ignore[arg-type]


def _grid_um(references: References, group: str, sizes: Mapping[str, int]) -> dict[str, float | None]:
    """µm per pixel: from the only imaging plane, else the field of view divided by its pixels."""
    planes = [
        path
        for path in references.nodes()
        if references.attributes(path).get("neurodata_type") == "ImagingPlane"
    ]
    spacing = _numbers(references, f"{planes[0]}/grid_spacing") if len(planes) == 1 else []
    view = [] if spacing else _numbers(references, f"{group}/field_of_view")
    steps = dict(zip("xyz", spacing, strict=False))
    steps.update(
        (role, size / sizes[role]) for role, size in zip("xyz", view, strict=False) if sizes.get(role)
    )
    return {role: step for role, step in steps.items() if 1e-7 < step < 1e9}


def _numbers(references: References, path: str) -> list[float]:
    """A few numbers stored inline in the reference file, converted to µm; else none."""
    try:
        array = referenced_array(references, path, references.array(path))
        if not 0 < math.prod(array.chunks.shape) <= MAX_SHORT or math.prod(array.chunks.grid) != 1:
            return []
        if len(array.flat) != 1 or array.location[0] != INLINE:
            return []
        raw = inline_bytes(references.inline[int(array.offset[0])], path)
        values = array.chunks.decode(raw, path)[tuple(slice(n) for n in array.chunks.shape)]
    except DatasetError:  # it only describes the images
        return []
    factor = _UM_PER_UNIT.get(str(references.attributes(path).get("unit", "meters")).lower(), 0.0)
    return [float(value) * factor for value in values.reshape(-1)] if values.dtype.kind in "iuf" else []
