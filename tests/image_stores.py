"""Images written by zarr-python whose positions differ: sizes, channels, levels, scales, dtypes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNITS = {"t": ("time", "second"), "c": ("channel", None)}
_SPACE = ("space", "micrometer")


@dataclass
class Made:
    """One image to be written: its levels (t c z y x each), channel names, and what its metadata says.

    `scales` is one (z, y, x) per level, in µm; `chunks` are those of every level.
    """

    levels: Sequence[np.ndarray]
    channels: Sequence[str]
    scales: Sequence[tuple[float, float, float]]
    colors: Sequence[str] = ()
    seconds: float | None = None
    chunks: tuple[int, ...] | None = None
    missing: Sequence[tuple[int, int, int]] = ()  # t, c, z of level 0 that are not stored
    more: Mapping[str, Any] = field(default_factory=dict)


def pixels(*shape: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray:
    """Random pixels, never 0, the fill value."""
    numbers = np.random.default_rng(seed).integers(1, 250, shape)
    return numbers.astype(dtype)


def halved(array: np.ndarray, z: int = 2, y: int = 2, x: int = 2) -> np.ndarray:
    """Every `z`-th, `y`-th and `x`-th pixel: a level that says of every pixel where it comes from."""
    return array[..., ::z, ::y, ::x]


def write(path: Path | str, image: Made) -> None:
    """Write an OME-Zarr 0.5 image by zarr-python, chunk by chunk; planes of `missing` have none."""
    names = [str(i) for i in range(len(image.levels))]
    group = zarr.open_group(str(path), mode="w")
    for name, level in zip(names, image.levels, strict=True):
        chunks = image.chunks or (1, 1, 1, *level.shape[3:])
        chunks = tuple(min(a, b) for a, b in zip(chunks, level.shape, strict=True))
        array = group.create_array(name, shape=level.shape, chunks=chunks, dtype=level.dtype)
        for t, c, z in np.ndindex(level.shape[:3]):
            if level is not image.levels[0] or (t, c, z) not in image.missing:
                array[t, c, z] = level[t, c, z]
    group.attrs["ome"] = {"version": "0.5", **attributes(image, names), **image.more}


def attributes(image: Made, names: Sequence[str]) -> dict[str, Any]:
    """The NGFF metadata of an image."""
    axes = []
    for axis in "tczyx":
        kind, unit = _UNITS.get(axis, _SPACE)
        axes.append({"name": axis, "type": kind, **({"unit": unit} if unit else {})})
    datasets = [
        {
            "path": name,
            "coordinateTransformations": [{"type": "scale", "scale": [image.seconds or 1.0, 1.0, *scale]}],
        }
        for name, scale in zip(names, image.scales, strict=True)
    ]
    colors = image.colors or [""] * len(image.channels)
    channels = [
        {"label": name, "active": True, **({"color": color} if color else {})}
        for name, color in zip(image.channels, colors, strict=True)
    ]
    return {
        "multiscales": [{"axes": axes, "datasets": datasets, "name": "image"}],
        "omero": {"channels": channels},
    }


def write_plate(root: Path | str, fields: Mapping[str, Sequence[Made]], **plate: Any) -> None:
    """Write an OME-Zarr 0.5 plate; `fields` has those of each well by its path, "B/3"."""
    wells = [
        {"path": path, "rowIndex": ord(path[0]) - ord("A"), "columnIndex": int(path[2:]) - 1}
        for path in fields
    ]
    rows = sorted({path.split("/")[0] for path in fields})
    columns = sorted({path.split("/")[1] for path in fields}, key=int)
    group = zarr.open_group(str(root), mode="w")
    about = {"rows": [{"name": row} for row in rows], "columns": [{"name": name} for name in columns]}
    group.attrs["ome"] = {"version": "0.5", "plate": {**about, "wells": wells, **plate}}
    for path, images in fields.items():
        well = group.create_group(path)
        listed = [{"path": str(i), "acquisition": i} for i in range(len(images))]
        well.attrs["ome"] = {"version": "0.5", "well": {"images": listed}}
        for i, image in enumerate(images):
            write(Path(root, path, str(i)), image)


def write_series(root: Path | str, images: Sequence[Made]) -> None:
    """Write a bioformats2raw collection of `images`."""
    group = zarr.open_group(str(root), mode="w")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    ome = group.create_group("OME")
    ome.attrs["ome"] = {"version": "0.5", "series": [str(i) for i in range(len(images))]}
    for i, image in enumerate(images):
        write(Path(root, str(i)), image)
