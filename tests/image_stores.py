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

    `scales` is one (z, y, x) per level, in µm, or empty to say nothing; so are `translations`. `chunks` and
    `shards` are those of every level.
    """

    levels: Sequence[np.ndarray] = field(repr=False)
    channels: Sequence[str]
    scales: Sequence[tuple[float, float, float]]
    colors: Sequence[str] = ()
    seconds: float | None = None
    chunks: tuple[int, ...] | None = None
    missing: Sequence[tuple[int, int, int]] = ()  # t, c, z of level 0 that are not stored
    more: Mapping[str, Any] = field(default_factory=dict)
    translations: Sequence[tuple[float, float, float]] = ()
    fill: Any = 0
    shards: tuple[int, ...] | None = None
    version: int = 3
    downscaling: str = ""


def pixels(*shape: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray:
    """Random pixels, never 0, the fill value."""
    numbers = np.random.default_rng(seed).integers(1, 250, shape)
    return numbers.astype(dtype)


def halved(array: np.ndarray, z: int = 2, y: int = 2, x: int = 2) -> np.ndarray:
    """Every `z`-th, `y`-th and `x`-th pixel: a level that says of every pixel where it comes from."""
    return array[..., ::z, ::y, ::x]


FIRST = Made([pixels(1, 2, 1, 64, 80, seed=1)], ("DAPI", "GFP"), [(1.0, 0.65, 0.65)])
SECOND = Made(
    [pixels(1, 3, 1, 64, 80, seed=2)],
    ("Hoechst", "Cy5", "Cy7"),
    [(1.0, 0.1625, 0.1625)],
    ("00FFFF", "FF00FF", "FFFF00"),
)


def write(path: Path | str, image: Made) -> None:
    """Write an OME-Zarr image by zarr-python, 0.5 (0.4 in Zarr v2); planes of `missing` have no chunks."""
    names = [str(i) for i in range(len(image.levels))]
    group = _group(path, image.version)
    for name, level in zip(names, image.levels, strict=True):
        chunks = image.chunks or (1, 1, 1, *level.shape[3:])
        chunks = tuple(min(a, b) for a, b in zip(chunks, level.shape, strict=True))
        array = group.create_array(
            name,
            shape=level.shape,
            chunks=chunks,
            shards=image.shards and tuple(a * b for a, b in zip(chunks, image.shards, strict=True)),
            dtype=level.dtype,
            fill_value=image.fill,
        )
        if not (image.missing and level is image.levels[0]):
            array[...] = level
            continue
        for t, c, z in np.ndindex(level.shape[:3]):
            if (t, c, z) not in image.missing:
                array[t, c, z] = level[t, c, z]
    _say(group, {**attributes(image, names), **image.more})


def _group(path: Path | str, version: int) -> zarr.Group:
    return zarr.open_group(str(path), mode="w", zarr_format=2 if version == 2 else 3)


def _say(group: zarr.Group, said: Mapping[str, Any]) -> None:
    """Write NGFF metadata; keys that begin with ``_`` stay outside ``ome``."""
    if group.metadata.zarr_format == 2:
        group.attrs.update(said)
        return
    private = {key: value for key, value in said.items() if key.startswith("_")}
    ome = {key: value for key, value in said.items() if key not in private}
    group.attrs.update({"ome": {"version": "0.5", **ome}, **private})


def attributes(image: Made, names: Sequence[str]) -> dict[str, Any]:
    """The NGFF metadata of an image."""
    axes = []
    for axis in "tczyx":
        kind, unit = _UNITS.get(axis, _SPACE)
        axes.append({"name": axis, "type": kind, **({"unit": unit} if unit else {})})
    datasets: list[dict[str, Any]] = [{"path": name} for name in names]
    for entry, scale in zip(datasets, image.scales, strict=False):
        entry["coordinateTransformations"] = [{"type": "scale", "scale": [image.seconds or 1.0, 1.0, *scale]}]
    for entry, origin in zip(datasets, image.translations, strict=False):
        entry["coordinateTransformations"].append({"type": "translation", "translation": [0.0, 0.0, *origin]})
    how = {"type": image.downscaling} if image.downscaling else {}
    colors = image.colors or [""] * len(image.channels)
    channels = [
        {"label": name, "active": True, **({"color": color} if color else {})}
        for name, color in zip(image.channels, colors, strict=True)
    ]
    return {
        "multiscales": [{"axes": axes, "datasets": datasets, "name": "image", **how}],
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
    version = next((image.version for images in fields.values() for image in images), 3)
    group = _group(root, version)
    about = {"rows": [{"name": row} for row in rows], "columns": [{"name": name} for name in columns]}
    _say(group, {"plate": {**about, "wells": wells, **plate}})
    for path, images in fields.items():
        well = group.create_group(path)
        listed = [{"path": str(i), "acquisition": i} for i in range(len(images))]
        _say(well, {"well": {"images": listed}})
        for i, image in enumerate(images):
            write(Path(root, path, str(i)), image)


def write_series(root: Path | str, images: Sequence[Made]) -> None:
    """Write a bioformats2raw collection of `images`."""
    group = _group(root, images[0].version)
    _say(group, {"bioformats2raw.layout": 3})
    _say(group.create_group("OME"), {"series": [str(i) for i in range(len(images))]})
    for i, image in enumerate(images):
        write(Path(root, str(i)), image)
