"""Small Zarr images, groups and arrays that zarr-python writes, of either version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from pathlib import Path


PIXELS = (np.arange(24 * 40).reshape(24, 40) * 7 % 251).astype("u2")


def multiscales(*paths: str, axes: str = "yx") -> list[dict[str, Any]]:
    kinds = {"t": "time", "c": "channel"}
    return [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": kinds.get(name, "space")} for name in axes],
            "datasets": [
                {
                    "path": path,
                    "coordinateTransformations": [{"type": "scale", "scale": [0.5 * 2**i] * len(axes)}],
                }
                for i, path in enumerate(paths)
            ],
        }
    ]


def write_array(path: Path, pixels: np.ndarray = PIXELS, version: int = 2, **how: Any) -> None:
    how.setdefault("chunks", pixels.shape)
    array = zarr.create_array(
        store=str(path), shape=pixels.shape, dtype=pixels.dtype, zarr_format=version, **how
    )
    array[...] = pixels


def write_group(path: Path, version: int = 2, **attributes: Any) -> None:
    attributes = {"ome": {"version": "0.5", **attributes}} if version == 3 and attributes else attributes
    zarr.create_group(store=str(path), zarr_format=version, attributes=attributes)


def write_image(path: Path, pixels: np.ndarray = PIXELS, version: int = 2, axes: str = "yx") -> None:
    """Two levels."""
    write_group(path, version, multiscales=multiscales("0", "1", axes=axes))
    write_array(path / "0", pixels, version)
    write_array(path / "1", np.ascontiguousarray(pixels[..., ::2, ::2]), version)


def changed(file: Path, **values: Any) -> None:
    """Change the values of a JSON file; None removes one."""
    document = json.loads(file.read_text())
    document = {name: value for name, value in (document | values).items() if value is not None}
    file.write_text(json.dumps(document))


def write_spatialdata(path: Path, version: int) -> None:
    write_group(path, version)
    write_group(path / "images", version)
    write_image(path / "images" / "blobs", np.stack([PIXELS, PIXELS + 1]), version, "cyx")
    write_group(path / "labels", version)
    write_image(path / "labels" / "cells", PIXELS.astype("i4"), version)
    for name in ("points", "shapes", "tables"):
        write_group(path / name, version)
