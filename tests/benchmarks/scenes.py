"""The whole run at a glance: plates and mosaics of many fields, path to complete picture (O1–O7)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from . import stores

if TYPE_CHECKING:
    from pathlib import Path


def write_fields(
    folder: Path, wells: int, fields: int = 1, size: int = 256, levels: int = 3, um: float = 1.3
) -> Path:
    """A plate in which every field has pixels: uint16, one channel, `levels` of one chunk each."""
    columns = {6: 3, 96: 12, 384: 24, 1536: 48}.get(wells, 24)
    names = [(_row(i // columns), str(1 + i % columns)) for i in range(wells)]
    plate = {
        "version": "0.5",
        "rows": [{"name": row} for row in dict.fromkeys(row for row, _ in names)],
        "columns": [{"name": str(1 + i)} for i in range(columns)],
        "wells": [
            {"path": f"{row}/{column}", "rowIndex": i // columns, "columnIndex": i % columns}
            for i, (row, column) in enumerate(names)
        ],
    }
    stores.write_group(folder, {"ome": {"version": "0.5", "plate": plate}})
    well = {"ome": {"version": "0.5", "well": {"images": [{"path": str(i)} for i in range(fields)]}}}
    group, arrays = _pyramid_metadata(size, levels, um)
    pixels = _pyramid(size, levels)
    for number, (row, column) in enumerate(names):
        stores.write_group(folder / row / column, well)
        for field in range(fields):
            place = folder / row / column / str(field)
            _write_field(place, group, arrays, pixels, 1 + (number * fields + field) % 40)
    return folder


def _row(row: int) -> str:
    return chr(65 + row) if row < 26 else "A" + chr(65 + row - 26)


def _pyramid_metadata(size: int, levels: int, um: float) -> tuple[str, list[str]]:
    attributes = stores.image_attributes((1, 1, 1, size, size))
    (multiscale,) = attributes["ome"]["multiscales"]
    multiscale["datasets"] = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 1.0, 1.0, um * 2**level, um * 2**level]}
            ],
        }
        for level in range(levels)
    ]
    group = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes})
    shapes = [(1, 1, 1, size >> level, size >> level) for level in range(levels)]
    return group, [json.dumps(stores.array_metadata(shape, "none", transposed=False)) for shape in shapes]


def _pyramid(size: int, levels: int) -> list[np.ndarray]:
    largest = stores.camera_noise(size)
    return [largest[:: 1 << level, :: 1 << level].copy() for level in range(levels)]


def _write_field(
    place: Path, group: str, arrays: list[str], pixels: list[np.ndarray], brightness: int
) -> None:
    """Chunks are written as they are stored, without compression: a tenth of the time."""
    place.mkdir(parents=True)
    (place / "zarr.json").write_text(group)
    for level, (array, plane) in enumerate(zip(arrays, pixels, strict=True)):
        chunk = place / str(level) / "c" / "0" / "0" / "0" / "0"
        chunk.mkdir(parents=True)
        (place / str(level) / "zarr.json").write_text(array)
        (chunk / "0").write_bytes((plane * np.uint16(1) + np.uint16(brightness * 100)).tobytes())
