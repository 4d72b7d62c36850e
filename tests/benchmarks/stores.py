"""Stores to measure on: images as Squid and as others write them, plates that hold hardly any pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate_acquisition import COMPRESSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

UM_PER_PIXEL = 0.325
CHANNELS = ("DAPI", "GFP", "RFP", "Cy5")
_COLOURS = ("0000FF", "00FF00", "FF0000", "FFFFFF")


def camera_noise(size: int, seed: int = 0) -> NDArray[np.uint16]:
    """A plane (size, size) as a camera gives it: an offset, shot noise, some structure."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size]
    expected = 400 + 300 * np.sin(y / 97) ** 2 * np.sin(x / 131) ** 2
    return (expected + rng.standard_normal((size, size)) * np.sqrt(expected) / 2).astype(np.uint16)


def image_attributes(shape: tuple[int, ...], level_path: str = "0") -> dict[str, Any]:
    """``ome`` metadata of an image (T, C, Z, Y, X) with as many of our channels as it has."""
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}, *space]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.5, UM_PER_PIXEL, UM_PER_PIXEL]}]
    multiscale = {"axes": axes, "datasets": [{"path": level_path, "coordinateTransformations": scale}]}
    channels = [
        {"label": name, "color": colour, "window": {"start": 0, "end": 65535, "min": 0, "max": 65535}}
        for name, colour in zip(CHANNELS[: shape[1]], _COLOURS, strict=False)
    ]
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": {"channels": channels}}}


def array_metadata(shape: tuple[int, ...], compression: str, *, transposed: bool) -> dict[str, Any]:
    """``zarr.json`` of an array with one chunk per plane; "balanced" in shards of all channels."""
    chunk = [1, 1, 1, *shape[3:]]
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if transposed:
        order = list(reversed(range(len(shape))))
        codecs.insert(0, {"name": "transpose", "configuration": {"order": order}})
    blosc = COMPRESSIONS[compression]
    if blosc:
        codecs.append({"name": "blosc", "configuration": {"typesize": 2, "blocksize": 0, **blosc}})
    outer = chunk
    if compression == "balanced":
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {"chunk_shape": chunk, "codecs": codecs, "index_codecs": index, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
        outer = [1, shape[1], 1, *shape[3:]]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": codecs,
        "attributes": {},
    }


def write_json(folder: Path, content: dict[str, Any]) -> None:
    """``zarr.json`` of one node."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zarr.json").write_text(json.dumps(content))


def write_group(folder: Path, attributes: dict[str, Any]) -> None:
    """``zarr.json`` of a group."""
    write_json(folder, {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def write_image_metadata(
    folder: Path, shape: tuple[int, ...], compression: str = "none", *, transposed: bool = True
) -> None:
    """An image without any pixel: the group and its array ``0``."""
    write_group(folder, image_attributes(shape))
    write_json(folder / "0", array_metadata(shape, compression, transposed=transposed))


def open_array(folder: Path) -> Any:
    """Array ``0`` of an image, opened by tensorstore as anybody would."""
    import tensorstore as ts

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/0/"}}
    return ts.open(spec, open=True).result()


def write_image(
    folder: Path, shape: tuple[int, ...], compression: str = "none", *, transposed: bool = True
) -> None:
    """An image (T, C, Z, Y, X) full of camera noise."""
    write_image_metadata(folder, shape, compression, transposed=transposed)
    array = open_array(folder)
    for t in range(shape[0]):
        for z in range(shape[2]):
            planes = [camera_noise(shape[4], seed=7 * t + c + 31 * z) for c in range(shape[1])]
            array[t, :, z].write(np.stack(planes)).result()  # all channels: a shard is written once


def write_plate(folder: Path, wells: int, fields: int, shape: tuple[int, ...]) -> Path:
    """A plate (24 columns) of `wells` × `fields` images; only the first holds pixels."""
    rows = [chr(65 + i // 24) for i in range(wells)]
    names = [(row, str(1 + i % 24)) for i, row in enumerate(rows)]
    entries = [
        {"path": f"{row}/{column}", "rowIndex": ord(row) - 65, "columnIndex": int(column) - 1}
        for row, column in names
    ]
    plate = {
        "version": "0.5",
        "rows": [{"name": row} for row in dict.fromkeys(rows)],
        "columns": [{"name": str(1 + i)} for i in range(24)],
        "wells": entries,
    }
    write_group(folder, {"ome": {"version": "0.5", "plate": plate}})
    well = {"ome": {"version": "0.5", "well": {"images": [{"path": str(i)} for i in range(fields)]}}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": image_attributes(shape)}
    image, array = json.dumps(group), json.dumps(array_metadata(shape, "fast", transposed=True))
    for row, column in names:
        write_group(folder / row / column, well)
        for field in range(fields):
            level = folder / row / column / str(field) / "0"
            level.mkdir(parents=True)
            (level.parent / "zarr.json").write_text(image)
            (level / "zarr.json").write_text(array)
    write_image(folder / "A" / "1" / "0", shape, "fast")
    return folder
