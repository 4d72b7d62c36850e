"""Zarr as others write it: other forms than tensorstore reads, and arrays without OME metadata.

Compared with what zarr-python reads, or with what was written where that reads nothing.
"""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr
from stores import needs_zarr_3
from zarr_dialects import (
    PIXELS,
    changed,
    multiscales,
    write_array,
    write_group,
    write_image,
    write_spatialdata,
)

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.range_server import RangeServer

pytestmark = needs_zarr_3


# ---- what tensorstore is stricter about ---------------------------------------------------------


def _nested_without_separator(path: Path) -> None:
    write_array(path, chunks=(8, 20), chunk_key_encoding={"name": "v2", "separator": "/"})
    changed(path / ".zarray", dimension_separator=None)


def _image_with_nan(path: Path, version: int) -> None:
    write_image(path, version=version)
    if version == 2:
        changed(path / ".zattrs", quality=float("nan"), limit=float("-inf"))
        changed(path / "0" / ".zarray", note=float("nan"))
    else:
        changed(path / "0" / "zarr.json", attributes={"quality": float("nan")})


def _level_from_the_root(path: Path) -> None:
    write_group(path, multiscales=multiscales("/0"))
    write_array(path / "0")


def _array_with(path: Path, how: dict[str, Any], **values: Any) -> None:
    write_array(path, **how)
    changed(path / ".zarray", **values)


LOOSE: dict[str, Callable[[Path], None]] = {
    "fill value as text": lambda path: _array_with(path, {}, fill_value="0"),
    "zstd with checksum": lambda path: _array_with(
        path,
        {"compressors": numcodecs.Zstd(level=3)},
        compressor={"id": "zstd", "level": 3, "checksum": False},
    ),
    "blosc with typesize": lambda path: _array_with(
        path,
        {"compressors": numcodecs.Blosc()},
        compressor={"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 2},
    ),
    "type without byte order": lambda path: _array_with(path, {}, dtype="uint16"),
    "no filters": lambda path: _array_with(path, {}, filters=[]),
    "nested chunks without separator": _nested_without_separator,
    "NaN in attributes": lambda path: _image_with_nan(path, 2),
    "NaN in zarr.json": lambda path: _image_with_nan(path, 3),
    "level path from the root": _level_from_the_root,
}


@pytest.mark.parametrize("kind", LOOSE)
def test_what_zarr_python_reads_is_read(tmp_path: Path, server: RangeServer, kind: str) -> None:
    local = tmp_path / "x.zarr"
    LOOSE[kind](local)
    served = shutil.copytree(local, server.folder / tmp_path.name)
    for path in (local, server.url(f"{served.name}")):
        with open_dataset(path) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            assert dataset.info.dtype == np.uint16


def test_levels_that_lead_out_are_still_refused(tmp_path: Path) -> None:
    write_group(tmp_path / "x.zarr", multiscales=multiscales("/../secret"))
    with pytest.raises(DatasetError, match="leads out of the dataset"):
        open_dataset(tmp_path / "x.zarr")


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    write_image(tmp_path / "a b.zarr")
    for url in (f"file://{tmp_path}/a%20b.zarr", f"file://localhost{tmp_path}/a%20b.zarr"):
        with open_dataset(url) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            assert dataset.path == str(tmp_path / "a b.zarr")
    with pytest.raises(DatasetError):
        open_dataset(f"file://elsewhere{tmp_path}/a%20b.zarr")


# ---- arrays without OME metadata -------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("shape", "dtype", "names"),
    [
        ((24, 40, 3), "u1", ["red", "green", "blue"]),
        ((5, 24, 40, 4), "u2", ["red", "green", "blue", "alpha"]),
        ((24, 40, 2), "u2", ["Ch0", "Ch1"]),
        ((5, 24, 40, 3), "f4", ["Ch0", "Ch1", "Ch2"]),
    ],
)
def test_a_short_last_axis_of_a_plain_array_is_colour_or_channels(
    tmp_path: Path, version: int, shape: tuple[int, ...], dtype: str, names: list[str]
) -> None:
    """As a stack of colour pictures is saved by `zarr.save`: the last axis is no x."""
    pixels = (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
    write_array(tmp_path / "x.zarr", pixels, version)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == names
        assert (info.n_z, info.height, info.width) == (pixels.size // 960 // len(names), 24, 40)
        for z, c in itertools.product(range(info.n_z), range(len(names))):
            expected = pixels[z, ..., c] if pixels.ndim == 4 else pixels[..., c]
            np.testing.assert_array_equal(dataset.plane(z=z, c=c), expected)
        assert info.channels[0].window == ((0, 255) if dtype == "u1" else None)
        assert [channel.visible for channel in info.channels] == [name != "alpha" for name in names]
        (warning,) = info.warnings
        assert "assuming" in warning and info.interpretations


@pytest.mark.parametrize("version", [2, 3])
def test_named_channels_of_bytes_behind_x_are_colours(tmp_path: Path, version: int) -> None:
    pixels = (np.arange(4 * 24 * 40 * 3) % 251).reshape(4, 24, 40, 3).astype("u1")
    names = ["time", "y", "x", "channel"]
    how = {"dimension_names": names} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": names}}
    write_array(tmp_path / "x.zarr", pixels, version, **how)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["red", "green", "blue"]
        assert {channel.window for channel in dataset.info.channels} == {(0, 255)}
        for t, c in itertools.product(range(4), range(3)):
            np.testing.assert_array_equal(dataset.plane(t=t, c=c), pixels[t, ..., c])


@pytest.mark.parametrize("version", [2, 3])
def test_the_largest_array_of_a_group_is_shown_and_others_are_offered(tmp_path: Path, version: int) -> None:
    """Variables as xarray writes them, with coordinates; or arrays that somebody named."""
    store = tmp_path / "x.zarr"
    write_group(store, version)
    write_group(store / "more", version)
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    write_array(store / "frames", frames, version)
    write_array(store / "mask", (PIXELS > 100), version)
    write_array(store / "more" / "mean", PIXELS.astype("f4"), version)
    write_array(store / "time", np.arange(3.0), version)
    with open_dataset(store) as dataset:
        assert dataset.info.n_z == 3
        for z in range(3):
            np.testing.assert_array_equal(dataset.plane(z=z), frames[z])
        others = [str(store / "frames"), str(store / "mask"), str(store / "more" / "mean")]
        assert sorted(dataset.info.choices) == others and dataset.info.choices[0] == others[0]
        assert "showing the array frames" in dataset.info.warnings[0]
        for path, expected in zip(dataset.info.choices, (frames[0], None, None), strict=True):
            with open_dataset(path) as other:
                assert expected is None or (other.plane() == expected).all()
    (tmp_path / "empty.zarr").mkdir()
    write_group(tmp_path / "empty.zarr" / "x.zarr", version)
    write_array(tmp_path / "empty.zarr" / "x.zarr" / "time", np.arange(3.0), version)
    with pytest.raises(DatasetNotFoundError):
        open_dataset(tmp_path / "empty.zarr" / "x.zarr")


# ---- consolidated metadata -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["image", "several"])
def test_consolidated_metadata_is_enough(
    tmp_path: Path, server: RangeServer, version: int, kind: str
) -> None:
    path = tmp_path / "x.zarr"
    if kind == "image":
        write_image(path, version=version)
    else:
        write_spatialdata(path, version)
    zarr.consolidate_metadata(str(path), zarr_format=version)
    kept = path / (".zmetadata" if version == 2 else "zarr.json")
    for file in [*path.rglob(".z*"), *path.rglob("zarr.json")]:
        if file != kept:
            file.unlink()
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.zarr")
    for where in (path, server.url(served.name)):
        with open_dataset(where) as dataset:
            assert len(dataset.info.positions) == 1
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            np.testing.assert_array_equal(dataset.plane(level=1), PIXELS[::2, ::2])


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_nodes_own_metadata_comes_before_the_copy(tmp_path: Path) -> None:
    """The copy is not written anew while a dataset grows."""
    pixels = np.stack([PIXELS, PIXELS + 1])
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={})
    write_array(tmp_path / "x.zarr" / "0", pixels[:1], 3, chunks=(1, 24, 40), dimension_names=["t", "y", "x"])
    zarr.consolidate_metadata(str(tmp_path / "x.zarr"), zarr_format=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        zarr.open_array(str(tmp_path / "x.zarr" / "0"), mode="a").append(pixels[1:])
        assert dataset.refresh().n_t == 2
        np.testing.assert_array_equal(dataset.plane(t=1), PIXELS + 1)


def test_consolidated_metadata_cannot_lead_out(tmp_path: Path) -> None:
    write_array(tmp_path / "secret")
    shutil.move(tmp_path / "secret" / ".zarray", tmp_path / "array.json")
    (tmp_path / "x.zarr").mkdir()
    array = json.loads((tmp_path / "array.json").read_text())
    metadata = {".zgroup": {"zarr_format": 2}, "../secret/.zarray": array}
    document = {"zarr_consolidated_format": 1, "metadata": metadata}
    (tmp_path / "x.zarr" / ".zmetadata").write_text(json.dumps(document))
    with pytest.raises(DatasetNotFoundError):
        open_dataset(tmp_path / "x.zarr")
