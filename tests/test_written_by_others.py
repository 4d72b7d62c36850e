"""Datasets that other libraries wrote (see ``tests/data``): what is read is what zarr-python reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import written
import zarr
from stores import needs_zarr_3

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError

pytestmark = needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from written import WrittenImage

    from ndviewer_light.engine.dataset import Dataset

NAMES = [f"{archive.parent.name}-{archive.stem}" for archive in written.ARCHIVES]
ISOLATED = ("acquire-zarr-pyramid", "iohub-plate", "bioformats2raw-other-order", "ngio-plate-v2")
LONG_AGO = 1_700_000_000


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    into = tmp_path_factory.mktemp("written")
    archives = zip(NAMES, written.ARCHIVES, strict=True)
    return {name: written.unpacked(archive, into / name) for name, archive in archives}


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, unpacked: dict[str, Path]) -> Path:
    return unpacked[request.param]


def test_every_writer_is_here() -> None:
    writers = "acquire-zarr bioformats2raw iohub ngff-zarr ngio ome-writers ome-zarr-py"
    assert sorted({archive.parent.name for archive in written.ARCHIVES}) == writers.split()


# ---- planes ----------------------------------------------------------------------------------


def names_of_all(images: Sequence[WrittenImage]) -> list[str]:
    """The channels of the dataset: those of the first image, then those that only later ones have."""
    names: list[str] = []
    for image in images:
        names += [name for name in channel_names(image) if name not in names]
    return names


def channel_names(image: WrittenImage) -> list[str]:
    names = [channel["label"] for channel in image.channels]
    return names or [f"Ch{c}" for c in range(image.size("c"))]


def check_planes(dataset: Dataset, images: Sequence[WrittenImage]) -> None:
    assert len(dataset.info.positions) == len(images)
    for p, image in enumerate(images):
        for level in range(len(image.arrays)):
            pixels, stored = image.pixels(level), image.stored(level)
            for t, c, z in np.ndindex(pixels.shape[:3]):
                if not stored[t].any():  # nothing was acquired at that time
                    with pytest.raises(PlaneNotStoredError):
                        dataset.plane(t, p, c, z, level)
                    continue
                plane = dataset.plane(t, p, c, z, level)
                assert plane.dtype == pixels.dtype
                assert np.array_equal(plane, pixels[t, c, z], equal_nan=pixels.dtype.kind == "f"), (
                    f"{image.path}: level {level}, t {t}, c {c}, z {z}"
                )


def test_every_plane_of_every_level_is_the_one_that_zarr_python_reads(path: Path) -> None:
    with open_dataset(path) as dataset:
        check_planes(dataset, written.images_in(path))


@pytest.mark.parametrize("name", ISOLATED)
def test_a_separate_process_reads_the_same(unpacked: dict[str, Path], name: str) -> None:
    images = written.images_in(unpacked[name])
    with open_dataset(unpacked[name], isolate=True) as dataset:
        check_planes(dataset, images)
        check_facts(dataset, images)


def test_what_is_beyond_an_image_is_refused_even_if_another_image_has_it(path: Path) -> None:
    with open_dataset(path) as dataset:
        for p, image in enumerate(written.images_in(path)):
            own = dataset.image(p).channels
            last = len(image.arrays) - 1
            with pytest.raises((IndexError, PlaneNotStoredError), match=str(image.size("z"))):
                dataset.plane(0, p, 0, image.size("z"))
            if last:
                with pytest.raises(IndexError, match=f"level {last}"):
                    dataset.plane(0, p, 0, image.size("z", last), last)
            with pytest.raises(IndexError, match="level"):
                dataset.plane(0, p, 0, 0, last + 1)
            for name in set(dataset.channels) - {channel.name for channel in own}:
                with pytest.raises(PlaneNotStoredError, match=name):
                    dataset.plane(0, p, name)


# ---- facts -----------------------------------------------------------------------------------


def check_facts(dataset: Dataset, images: Sequence[WrittenImage]) -> None:
    for p, image in enumerate(images):
        info = dataset.image(p)
        assert info.sizes == {axis: image.size(axis) for axis in "tczyx"}
        assert info.dtype == image.arrays[0].dtype
        assert [channel.name for channel in info.channels] == channel_names(image)
        assert dataset.info.positions[p].acquisition == image.acquisition
        for axis, found in (
            ("t", info.time_step_s),
            ("z", info.z_step_um),
            ("y", info.pixel_size_y_um),
            ("x", info.pixel_size_x_um),
        ):
            assert found == (pytest.approx(image.step(axis)) if image.step(axis) is not None else None), axis
        for channel, named in zip(info.channels, image.channels, strict=False):
            assert channel.color == f"#{named['color'].upper()}"
    assert list(dataset.channels) == names_of_all(images)
    largest = {axis: max(image.size(axis) for image in images) for axis in "tzyx"}
    assert {axis: dataset.sizes[axis] for axis in "tzyx"} == largest


def test_every_image_has_its_own_sizes_channels_and_steps(path: Path) -> None:
    with open_dataset(path) as dataset:
        check_facts(dataset, written.images_in(path))


def test_levels_are_as_large_and_as_far_apart_as_the_metadata_says(path: Path) -> None:
    with open_dataset(path) as dataset:
        for p, image in enumerate(written.images_in(path)):
            levels = dataset.levels(p)
            assert [level.sizes for level in levels] == [image.sizes(i) for i in range(len(image.arrays))]
            for i, level in enumerate(levels):
                steps = [(image.step(axis, i), image.step(axis)) for axis in "zyx"]
                assert level.scale == pytest.approx(
                    [1.0 if step is None or first is None else step / first for step, first in steps]
                )
                assert len({level.z_at(z) for z in range(image.size("z"))}) == image.size("z", i)


def test_positions_are_called_as_they_are_written(path: Path) -> None:
    with open_dataset(path) as dataset:
        images = written.images_in(path)
        for p, image in enumerate(images):
            dataset.image(p)  # its name may be in its own metadata
            position = dataset.info.positions[p]
            if image.well:
                assert (position.region, position.name) == (image.well, image.name)
            elif len(images) > 1:
                assert position.name == image.multiscale.get("name", image.name)
        assert len(set(dataset.positions)) == len(images)


def test_positions_are_where_the_translation_of_their_image_says(path: Path) -> None:
    with open_dataset(path) as dataset:
        for p, image in enumerate(written.images_in(path)):
            dataset.image(p)
            position = dataset.info.positions[p]
            if image.origin("x") is not None:
                found = (position.z_um, position.y_um, position.x_um)
                if path.name == "scene.ome.zarr":  # by those of the scene after its own
                    assert found == (None, *{"overview": (101.0, 202.0), "detail": (-48.0, 18.0)}[image.path])
                    continue
                assert found == tuple(image.origin(axis) for axis in "zyx")


def test_an_array_per_position_and_level_holds_the_same_pixels(path: Path) -> None:
    with open_dataset(path) as dataset:
        for p, image in enumerate(written.images_in(path)):
            for level in range(len(image.arrays)):
                array = dataset.to_xarray(level=level, position=p, missing="fill")
                pixels = image.pixels(level)
                found = array.transpose("time", "channel", "z", "y", "x", ...).values
                assert found.dtype == pixels.dtype
                assert np.array_equal(found.reshape(pixels.shape), pixels)
                assert list(array.coords["channel"].values) == channel_names(image)


# ---- written by zarr-python itself, at test time ---------------------------------------------


def an_image(path: Path, axes: str, arrays: Sequence[np.ndarray], **how: object) -> None:
    """A multiscale image with each size as many µm apart as level 0 is larger."""
    version = how.pop("zarr_format", 3)
    group = zarr.open_group(path, mode="w", zarr_format=version)
    steps = [[a / b for a, b in zip(arrays[0].shape, each.shape, strict=True)] for each in arrays]
    multiscale = {
        "axes": [{"name": axis, "type": {"t": "time", "c": "channel"}.get(axis, "space")} for axis in axes],
        "datasets": [
            {"path": f"s{i}", "coordinateTransformations": [{"type": "scale", "scale": step}]}
            for i, step in enumerate(steps)
        ],
    }
    attributes = {"multiscales": [multiscale]}
    group.attrs.update(attributes if version == 2 else {"ome": {"version": "0.5", **attributes}})
    for i, pixels in enumerate(arrays):
        chunks = (1,) * (pixels.ndim - 2) + pixels.shape[-2:]
        array = group.create_array(
            f"s{i}", shape=pixels.shape, dtype=pixels.dtype, **{"chunks": chunks, **how}
        )
        array[...] = pixels
    for folder, _, files in os.walk(path):
        for file in files:
            os.utime(os.path.join(folder, file), (LONG_AGO, LONG_AGO))


def counted(shape: tuple[int, ...], dtype: str, start: int = 1) -> np.ndarray:
    values = np.arange(start, start + np.prod(shape)).reshape(shape)
    return (values % 100 - (50 if np.dtype(dtype).kind != "u" else 0)).astype(dtype)


def levels(shape: tuple[int, ...], dtype: str = "uint16") -> list[np.ndarray]:
    first = counted(shape, dtype)
    return [first, first[..., ::2, ::2]]


def with_a_gap(shape: tuple[int, ...], dtype: str, fill: object) -> np.ndarray:
    """The second of the last but two axis, and the first row of chunks of the third, are fill value."""
    pixels = counted(shape, dtype)
    pixels[..., 1, :, :] = fill
    pixels[..., 2, :4, :] = fill
    return pixels


def v2_keys(separator: str) -> dict[str, object]:
    return {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": separator}}


WRITTEN_HERE: dict[str, Callable[[Path], None]] = {
    "dots": lambda path: an_image(path, "czyx", levels((2, 3, 8, 10)), **v2_keys(".")),
    "slashes": lambda path: an_image(path, "czyx", levels((2, 3, 8, 10)), **v2_keys("/")),
    "v3 with dots": lambda path: an_image(
        path,
        "tyx",
        levels((3, 8, 10), "float32"),
        chunk_key_encoding={"name": "default", "separator": "."},
    ),
    "v3 with v2 keys": lambda path: an_image(
        path, "zyx", levels((3, 8, 10), "int16"), chunk_key_encoding={"name": "v2", "separator": "."}
    ),
    "plane only": lambda path: an_image(path, "yx", levels((9, 7), "int8")),
    "big endian": lambda path: an_image(path, "cyx", [counted((2, 9, 7), ">u2")], **v2_keys("/")),
    "shards": lambda path: an_image(
        path, "tczyx", [counted((2, 2, 4, 16, 16), "uint8")], chunks=(1, 1, 2, 8, 8), shards=(2, 1, 4, 16, 16)
    ),
    "chunks of several planes": lambda path: an_image(
        path, "tczyx", [counted((3, 2, 5, 8, 6), "uint32")], chunks=(2, 2, 3, 5, 4)
    ),
    "fill value 7": lambda path: an_image(
        path, "tzyx", [with_a_gap((2, 4, 8, 6), "uint16", 7)], fill_value=7, chunks=(1, 1, 4, 6)
    ),
    "fill value 7, v2": lambda path: an_image(
        path, "zyx", [with_a_gap((4, 8, 6), "uint8", 7)], fill_value=7, chunks=(1, 4, 6), **v2_keys(".")
    ),
    "fill value 7 in shards": lambda path: an_image(
        path, "zyx", [with_a_gap((4, 8, 6), "uint16", 7)], fill_value=7, chunks=(1, 4, 6), shards=(2, 8, 6)
    ),
    "fill value -3": lambda path: an_image(
        path, "zyx", [with_a_gap((4, 8, 6), "int32", -3)], fill_value=-3, chunks=(1, 4, 6)
    ),
    "fill value nan": lambda path: an_image(
        path, "zyx", [with_a_gap((4, 8, 6), "float32", np.nan)], fill_value=np.nan, chunks=(1, 4, 6)
    ),
}


@pytest.mark.parametrize("kind", WRITTEN_HERE)
def test_what_zarr_python_writes_is_what_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image.zarr"
    WRITTEN_HERE[kind](path)
    images = written.images_in(path)
    with open_dataset(path) as dataset:
        check_planes(dataset, images)
        pixels = images[0].pixels()
        found = dataset.to_xarray(missing="fill").transpose("fov", "time", "channel", "z", "y", "x").values[0]
        assert np.array_equal(found, pixels, equal_nan=pixels.dtype.kind == "f")


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN_HERE if kind.startswith("fill")])
def test_left_out_chunks_are_there_when_the_gap_is_looked_for(tmp_path: Path, kind: str) -> None:
    """The datasets above do leave chunks out: else they would show nothing about fill values."""
    WRITTEN_HERE[kind](tmp_path / "image.zarr")
    (image,) = written.images_in(tmp_path / "image.zarr")
    assert not image.stored().all() or image.arrays[0].shards is not None
