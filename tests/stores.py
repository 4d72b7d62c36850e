"""OME-Zarr datasets in every layout, written with tensorstore as Squid and other programs write them.

Every plane's pixels follow from its indices (`plane`), so a test knows what it must read.
"""

from __future__ import annotations

import json
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorstore as ts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

needs_zarr_3 = pytest.mark.skipif(
    int(version("zarr").partition(".")[0]) < 3, reason="needs zarr-python 3, and that Python 3.11"
)

HEIGHT, WIDTH = 24, 40
"""Not square, so that a transposed plane shows; both multiples of the tiles tests use."""

SQUID_PRESETS = ("none", "fast", "balanced", "best")
_BLOSC = {
    "fast": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"},
    "balanced": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle"},
    "best": {"cname": "zstd", "clevel": 9, "shuffle": "bitshuffle"},
}
CHANNELS = ("BF LED matrix full", "Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex")
COLORS = ("FFFFFF", "20ADF8", "1FFF00")


def plane(
    t: int = 0,
    p: int = 0,
    c: int = 0,
    z: int = 0,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    dtype: Any = np.uint16,
) -> np.ndarray:
    """The pixels (Y, X) tests write and expect at (t, p, c, z): never zero, different everywhere."""
    y, x = np.indices(shape)
    seed = 1 + (t * 31 + p * 7 + c * 3 + z) % 11
    values = (y * 5 + x * 3 + seed * 17) % 101 + seed
    return values.astype(dtype)


def bytes_codec(dtype: str) -> dict[str, Any]:
    """Return the zarr v3 ``bytes`` codec; one-byte types have no byte order."""
    if np.dtype(dtype).itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def squid_codecs(preset: str, rank: int, dtype: str = "uint16") -> list[dict[str, Any]]:
    """Return Squid's chain for one chunk: reversed axes, bytes, blosc."""
    transpose = {"name": "transpose", "configuration": {"order": list(range(rank))[::-1]}}
    chain = [transpose, bytes_codec(dtype)]
    if preset == "none":
        return chain
    typesize = np.dtype(dtype).itemsize
    blosc = {**_BLOSC[preset], "typesize": typesize, "blocksize": 0}
    return [*chain, {"name": "blosc", "configuration": blosc}]


def create_array(
    path: Path | str,
    shape: Sequence[int],
    *,
    chunk: Sequence[int] | None = None,
    preset: str | None = None,
    shard: Sequence[int] | None = None,
    dtype: str = "uint16",
    version: int = 3,
    metadata: Mapping[str, Any] | None = None,
) -> ts.TensorStore:
    """Create an array: one chunk per plane, Squid's codecs with `preset`, sharded with `shard`."""
    chunk = list(chunk or [1] * (len(shape) - 2) + list(shape[-2:]))
    if version == 2:
        fields: dict[str, Any] = {"shape": list(shape), "chunks": chunk, "dtype": np.dtype(dtype).str}
        fields["compressor"] = {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1} if preset else None
        fields["dimension_separator"] = "/"
    else:
        codecs = squid_codecs(preset, len(shape), dtype) if preset else [bytes_codec(dtype)]
        fields = {
            "shape": list(shape),
            "data_type": dtype,
            "fill_value": _zero(dtype),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard or chunk)}},
            "chunk_key_encoding": {"name": "default"},
            "codecs": [_sharded(chunk, codecs)] if shard else codecs,
        }
    return ts.open(
        {
            "driver": "zarr3" if version == 3 else "zarr",
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "metadata": {**fields, **(metadata or {})},
            "create": True,
            "context": {"file_io_sync": False},  # a test need not survive a power cut
        }
    ).result()


def _zero(dtype: str) -> Any:
    kind = np.dtype(dtype).kind
    return {"b": False, "c": [0.0, 0.0]}.get(kind, 0)


def _sharded(chunk: Sequence[int], codecs: list[dict[str, Any]]) -> dict[str, Any]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    configuration = {"chunk_shape": list(chunk), "codecs": codecs, "index_codecs": index}
    return {"name": "sharding_indexed", "configuration": configuration}


def write_json(path: Path | str, value: Any) -> None:
    """Write one JSON file, with its folders."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(value))


def write_group(path: Path | str, attributes: Mapping[str, Any], version: int = 3) -> None:
    """Write the metadata of a group: NGFF 0.5 under ``ome`` in zarr v3, 0.4 at the root in v2.

    `attributes` holds NGFF keys at its root; keys that begin with ``_`` stay outside ``ome``.
    """
    if version == 2:
        write_json(Path(path, ".zgroup"), {"zarr_format": 2})
        write_json(Path(path, ".zattrs"), attributes)
        return
    write_json(
        Path(path, "zarr.json"),
        {"zarr_format": 3, "node_type": "group", "attributes": v3_attributes(attributes)},
    )


def v3_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """NGFF 0.5: what is not private goes under ``ome``."""
    private = {key: value for key, value in attributes.items() if key.startswith("_")}
    ome = {key: value for key, value in attributes.items() if not key.startswith("_")}
    return {"ome": {"version": "0.5", **ome}, **private}


_AXIS = {
    "t": {"name": "t", "type": "time", "unit": "second"},
    "p": {"name": "fov", "type": "fov"},
    "c": {"name": "c", "type": "channel"},
    "z": {"name": "z", "type": "space", "unit": "micrometer"},
    "y": {"name": "y", "type": "space", "unit": "micrometer"},
    "x": {"name": "x", "type": "space", "unit": "micrometer"},
}
_STEP = {"t": 2.5, "p": 1.0, "c": 1.0, "z": 1.5, "y": 0.325, "x": 0.325}


def image_attributes(
    axes: str = "tczyx",
    *,
    paths: Sequence[str] = ("0",),
    channels: Sequence[str] = CHANNELS,
    complete: bool | None = False,
    squid: bool = True,
) -> dict[str, Any]:
    """NGFF, omero and ``_squid`` attributes as Squid writes them: 0.325 µm, 1.5 µm, 2.5 s."""
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {"type": "scale", "scale": [_STEP[a] * (2**level if a in "yx" else 1) for a in axes]}
            ],
        }
        for level, path in enumerate(paths)
    ]
    window = {"start": 0, "end": 65535, "min": 0, "max": 65535}
    attributes: dict[str, Any] = {
        "multiscales": [
            {
                "name": paths[0],
                "axes": [_AXIS[axis] for axis in axes],
                "datasets": datasets,
                "coordinateTransformations": [{"type": "identity"}],
            }
        ],
        "omero": {
            "channels": [
                {"label": name, "active": True, "color": COLORS[i % len(COLORS)], "window": window}
                for i, name in enumerate(channels)
            ]
        },
    }
    if squid:
        attributes["_squid"] = {
            "structure": "5D-TCZYX",
            "pixel_size_um": 0.325,
            "z_step_um": 1.5,
            "time_increment_s": 2.5,
            "acquisition_complete": complete,
        }
    return attributes


def fill(
    store: ts.TensorStore, axes: str = "tczyx", p: int | None = 0, *, skip: Iterable[tuple[int, ...]] = ()
) -> None:
    """Write `plane` everywhere but at the (t, p, c, z) in `skip`; `p` counts where there is no such axis."""
    skipped = set(skip)
    leading = [axis for axis in axes if axis not in "yx"]
    sizes = dict(zip(axes, store.shape, strict=True))
    for index in np.ndindex(*(sizes[axis] for axis in leading)):
        at = {"t": 0, "p": p or 0, "c": 0, "z": 0} | dict(zip(leading, index, strict=True))
        if (at["t"], at["p"], at["c"], at["z"]) in skipped:
            continue
        pixels = plane(**at, shape=(sizes["y"], sizes["x"]), dtype=store.dtype.numpy_dtype)
        here = dict(zip(leading, index, strict=True))
        selection = tuple(here.get(axis, slice(None)) for axis in axes)
        store[selection] = pixels if axes.index("y") < axes.index("x") else pixels.T


def write_image(
    path: Path | str,
    *,
    sizes: Mapping[str, int] | None = None,
    axes: str = "tczyx",
    p: int = 0,
    version: int = 3,
    preset: str | None = "fast",
    tile: int | None = None,
    shard_channels: bool = False,
    dtype: str = "uint16",
    attributes: Mapping[str, Any] | None = None,
    array_path: str = "0",
    skip: Iterable[tuple[int, ...]] = (),
) -> None:
    """Write an image group with one array, as Squid does one field of view."""
    all_sizes = {"t": 2, "p": 1, "c": 2, "z": 2, "y": HEIGHT, "x": WIDTH, **(sizes or {})}
    shape = [all_sizes[axis] for axis in axes]
    chunk = [(tile or all_sizes[axis]) if axis in "yx" else 1 for axis in axes]
    shard = [n if axis == "c" or axis in "yx" else 1 for axis, n in zip(axes, shape, strict=True)]
    store = create_array(
        Path(path, array_path),
        shape,
        chunk=chunk,
        shard=shard if shard_channels else None,
        preset=preset,
        dtype=dtype,
        version=version,
    )
    if attributes is None:
        attributes = image_attributes(axes, paths=[array_path], channels=CHANNELS[: all_sizes["c"]])
    write_group(path, attributes, version)
    fill(store, axes, p, skip=skip)


def write_squid_image(
    path: Path | str, preset: str, *, p: int = 0, tile: int | None = None, n_c: int = 2
) -> None:
    """Write one field of view exactly as Squid's presets do: balanced and best shard all channels."""
    shard = preset in ("balanced", "best") and n_c > 1
    write_image(path, sizes={"c": n_c}, preset=preset, tile=tile, shard_channels=shard, p=p)


def write_plate(
    root: Path | str,
    wells: Mapping[str, int],
    *,
    version: int = 3,
    planned: Sequence[str] = (),
    **image: Any,
) -> None:
    """Write an HCS plate; `wells` maps "A/1" to its number of fields, `planned` are announced only.

    Positions are numbered p = 0, 1, 2… in the order of `wells`.
    """
    paths = [*wells, *planned]
    rows, columns = ({path.split("/")[i]: None for path in paths} for i in (0, 1))
    plate = {
        "name": "plate",
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {
                "path": path,
                "rowIndex": list(rows).index(path.split("/")[0]),
                "columnIndex": list(columns).index(path.split("/")[1]),
            }
            for path in paths
        ],
    }
    write_group(root, {"plate": plate}, version)
    p = 0
    for path, fields in wells.items():
        images = [{"path": str(field)} for field in range(fields)]
        write_group(Path(root, path), {"well": {"images": images}}, version)
        for field in range(fields):
            write_image(Path(root, path, str(field)), p=p, version=version, **image)
            p += 1


def write_per_fov(
    experiment: Path | str, regions: Mapping[str, int], *, suffix: str = ".ome.zarr", **image: Any
) -> None:
    """Write ``zarr/<region>/fov_<n>.ome.zarr``; p counts on over the regions."""
    p = 0
    for region, fovs in regions.items():
        for fov in range(fovs):
            write_image(Path(experiment, "zarr", region, f"fov_{fov}{suffix}"), p=p, **image)
            p += 1


def write_6d(
    experiment: Path | str,
    regions: Mapping[str, int],
    *,
    preset: str = "fast",
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write ``zarr/<region>/acquisition.zarr``: (FOV, T, C, Z, Y, X), attributes in the array's zarr.json.

    Pixels carry p = FOV in the region.
    """
    for region, fovs in regions.items():
        path = Path(experiment, "zarr", region, "acquisition.zarr")
        all_sizes = {"t": 2, "c": 2, "z": 2, "y": HEIGHT, "x": WIDTH, **(sizes or {})}
        shape = [fovs, *(all_sizes[axis] for axis in "tczyx")]
        shard = [1, 1, all_sizes["c"], 1, all_sizes["y"], all_sizes["x"]]
        sharded = preset in ("balanced", "best") and all_sizes["c"] > 1
        store = create_array(path, shape, preset=preset, shard=shard if sharded else None)
        merge_attributes(path, image_attributes("ptczyx", paths=["."], channels=CHANNELS[: all_sizes["c"]]))
        fill(store, "ptczyx")


def merge_attributes(array: Path | str, attributes: Mapping[str, Any]) -> None:
    """Put attributes into an array's own zarr.json, as Squid's 6-D writer does."""
    file = Path(array, "zarr.json")
    document = json.loads(file.read_text())
    document["attributes"] = v3_attributes(attributes)
    write_json(file, document)


def write_collection(
    root: Path | str, n_series: int, *, version: int = 3, listed: bool = True, **image: Any
) -> None:
    """Write a bioformats2raw collection of `n_series` images, with or without its OME series list."""
    write_group(root, {"bioformats2raw.layout": 3}, version)
    if listed:
        write_group(Path(root, "OME"), {"series": [str(i) for i in range(n_series)]}, version)
    for i in range(n_series):
        write_image(Path(root, str(i)), p=i, version=version, **image)


def write_old_plate(root: Path | str, wells: Mapping[str, int], *, time_folder: bool = False) -> None:
    """Write Squid's older HCS: ``<row>/<column>/<field>/[0/]acquisition.zarr/0`` without plate metadata."""
    p = 0
    for path, fields in wells.items():
        for field in range(fields):
            parts = (path, str(field), *(("0",) if time_folder else ()), "acquisition.zarr")
            write_image(Path(root, *parts), p=p)
            p += 1


def write_pyramid(path: Path | str, *, version: int = 3, names: Sequence[str] = ("0", "1")) -> None:
    """Write a multiscale image (c, y, x) whose level i is `plane(z=i)` at half the size of the one before."""
    for level, name in enumerate(names):
        shape = (HEIGHT >> level, WIDTH >> level)
        store = create_array(Path(path, name), [2, *shape], version=version)
        for c in range(2):
            store[c] = plane(c=c, z=level, shape=shape)
    write_group(path, image_attributes("cyx", paths=names, channels=CHANNELS[:2], squid=False), version)


def make_old(root: Path | str, seconds: float = 60.0) -> None:
    """Let everything below a folder look as if it had been written so long ago."""
    then = time.time() - seconds
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            os.utime(os.path.join(folder, name), (then, then))
        os.utime(folder, (then, then))


def chunk_files(root: Path | str) -> list[Path]:
    """All chunk files below a store, in order."""
    return sorted(
        path
        for path in Path(root).rglob("*")
        if path.is_file() and not path.name.startswith(".z") and path.name != "zarr.json"
    )
