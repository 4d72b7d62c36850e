"""A pyramid of which one level cannot be used: that level is lost, and said, never the image."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
import zarr
from image_stores import Made, halved
from reference_files import ReferenceWriter
from reference_files import pixels as referenced_pixels
from zarr_shown import edit

from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.rendering.view_picture import ShownPlace, ViewPictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = stores.needs_zarr_3

SIDE = 4200  # more than is read as one tile


def replaced(level: Path, shape: tuple[int, ...]) -> None:
    """An array of another shape where the level was."""
    shutil.rmtree(level)
    zarr.create_array(str(level), shape=shape, chunks=shape, dtype="u1", zarr_format=3)[...] = 1


def fewer_axes(level: Path) -> None:
    replaced(level, (40, 40))


def more_axes(level: Path) -> None:
    replaced(level, (1, 1, 1, 2, 40, 40))


def fewer_channels(level: Path) -> None:
    replaced(level, (1, 1, 2, 1050, 1050))


def unknown_codec(level: Path) -> None:
    edit(level / "zarr.json", codecs=[{"name": "never_heard_of"}])


def unknown_type(level: Path) -> None:
    edit(level / "zarr.json", data_type="never_heard_of")


def a_group(level: Path) -> None:
    shutil.rmtree(level)
    zarr.open_group(str(level), mode="w", zarr_format=3)


def cut_off(level: Path) -> None:
    whole = (level / "zarr.json").read_text()
    (level / "zarr.json").write_text(whole[: len(whole) // 2])


def taken_away(level: Path) -> None:
    shutil.rmtree(level)


DAMAGES = [fewer_axes, more_axes, fewer_channels, unknown_codec, unknown_type, a_group, cut_off, taken_away]


@pytest.mark.parametrize(
    ("damage", "number", "isolate"),
    [
        *((damage, 1 + i % 2, False) for i, damage in enumerate(DAMAGES)),
        *((damage, 2 - i % 2, False) for i, damage in enumerate(DAMAGES)),
        *((damage, 1, True) for damage in (fewer_channels, unknown_codec, taken_away)),
    ],
)
def test_an_image_is_shown_without_the_level_that_cannot_be_used(
    tmp_path: Path, damage: Callable[[Path], None], number: int, isolate: bool
) -> None:
    path = tmp_path / "image.zarr"
    rows = np.arange(SIDE, dtype=np.uint32)
    one = ((rows[:, None] * 7 + rows * 3) % 250 + 1).astype(np.uint8)
    pixels = np.stack([one, one[::-1], one[:, ::-1]])[None, :, None]
    levels = [pixels, halved(pixels, 1), halved(pixels, 1, 4, 4)]
    scales = [(1.0, 0.5 * n, 0.5 * n) for n in (1, 2, 4)]
    image_stores.write(path, Made(levels, ("A", "B", "C"), scales, chunks=(1, 1, 1, 1024, 1024)))
    damage(path / str(number))
    with open_dataset(path, isolate=isolate) as dataset:
        assert dataset.drawn_level(0, 900, 900).level != number
        assert len(dataset.levels()) == number
        for level, written in enumerate(levels[:number]):
            np.testing.assert_array_equal(dataset.plane(c=2, level=level), written[0, 2, 0])
        with pytest.raises(DatasetError):
            dataset.plane(c=2, level=number)
        (small,) = dataset.thumbnails([(0, 0, 2, 0)], edge=128)
        assert small.state is PlaneState.PRESENT, small
        _, view = ViewPictures(dataset, [0, 1, 2], longest=300).picture(ShownPlace(0, 0, 0))
        assert set(view.pixels) == {0, 1, 2} and view.level < number
        said = [each for each in dataset.info.warnings if f"resolution level {number} is not used" in each]
        may_be_written_still = damage in (cut_off, taken_away)
        assert len(said) == (not may_be_written_still), dataset.info.warnings


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("damage", ["codec", "missing", "channels", "axes", "dtype"])
def test_references_are_shown_without_the_level_that_cannot_be_used(
    tmp_path: Path, damage: str, number: int
) -> None:
    first = referenced_pixels((3, 4, 32, 48))
    levels = [first, first[:, ::2, ::2, ::2].copy(), first[:, ::4, ::4, ::4].copy()]
    writer = ReferenceWriter(tmp_path)
    axes = [{"name": name, "type": "channel" if name == "c" else "space"} for name in "czyx"]
    scales = [[1.0, n, n, n] for n in (1.0, 2.0, 4.0)]
    datasets = [
        {"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for i, scale in enumerate(scales)
    ]
    writer.group("", {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    for i, level in enumerate(levels):
        if i != number:
            writer.add(str(i), level, (1, 1, *level.shape[2:]))
        elif damage == "codec":
            writer.add(str(i), level, (1, 1, *level.shape[2:]), compressor={"id": "never_heard_of"})
        elif damage != "missing":
            other = {"channels": level[:2], "axes": level[0], "dtype": level.astype("<f4")}[damage]
            writer.add(str(i), other, (1,) * (other.ndim - 2) + other.shape[-2:])
    writer.write_pixels()
    with open_dataset(writer.write()) as dataset:
        left = [level for i, level in enumerate(levels) if i != number]
        assert [tuple(level.sizes) for level in dataset.levels()] == [level.shape[1:] for level in left]
        for i, level in enumerate(left):
            np.testing.assert_array_equal(dataset.to_xarray(level=i).values[0, 0].swapaxes(0, 1), level)
        said = [each for each in dataset.info.warnings if f"resolution level '{number}' is not used" in each]
        assert len(said) == 1, dataset.info.warnings


@pytest.mark.parametrize("damage", [more_axes, unknown_codec, a_group])
@pytest.mark.parametrize("number", [0, 1])
def test_levels_in_another_order_are_put_in_order_without_the_one_that_cannot_be_used(
    tmp_path: Path, damage: Callable[[Path], None], number: int
) -> None:
    path = tmp_path / "image.zarr"
    pixels = image_stores.pixels(1, 2, 3, 64, 48)
    levels = [halved(pixels, 1, 4, 4), halved(pixels, 1), pixels]
    scales = [(1.0, 0.5 * n, 0.5 * n) for n in (4, 2, 1)]
    image_stores.write(path, Made(levels, ("A", "B"), scales))
    damage(path / str(number))
    with open_dataset(path) as dataset:
        assert dataset.image().pixel_size_um == 0.5
        np.testing.assert_array_equal(dataset.plane(c=1, z=2), pixels[0, 1, 2])
        left = [level.shape[3:] for level in (pixels, levels[1])][: 1 if number == 1 else 2]
        assert [tuple(level.sizes[1:]) for level in dataset.levels()] == left
