"""Levels of images written by zarr-python: also as lazy arrays, and while they are written."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
import zarr
from image_stores import FIRST, SECOND, Made, halved, pixels

from ndviewer_light.engine import regions
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.to_xarray import _open_once, array_of
from ndviewer_light.model import PlaneKey, PlaneState, Scale, Sizes
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source
from tests.datasets_in_memory import set_clock

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo


def names(info: DatasetInfo, p: int | None = None) -> list[str]:
    return [channel.name for channel in (info if p is None else info.image(p)).channels]


# ---- levels --------------------------------------------------------------------------------------


def assert_levels_are_as_zarr_reads_them(dataset: Dataset, path: Path, p: int = 0) -> None:
    group = zarr.open_group(str(path), mode="r")
    for number, level in enumerate(dataset.levels(p)):
        stored = group[str(number)][:]
        assert level.sizes == Sizes(*stored.shape[2:])
        for c, z in np.ndindex(stored.shape[1:3]):
            np.testing.assert_array_equal(dataset.plane(p=p, c=c, z=z, level=number), stored[0, c, z])
        if number:
            with pytest.raises(IndexError, match=f"level {number}"):
                dataset.plane(p=p, z=level.sizes.z, level=number)


def test_levels_that_halve_z_have_planes_of_their_own(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 1, 20, 32, 32)
    levels = [first, halved(first), halved(halved(first))]
    scales = [(2.0 * s, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    dataset = opened_dataset(tmp_path / "i.zarr")
    assert [level.sizes.z for level in dataset.levels()] == [20, 10, 5]
    assert [level.scale for level in dataset.levels()] == [Scale(s, s, s) for s in (1, 2, 4)]
    assert_levels_are_as_zarr_reads_them(dataset, tmp_path / "i.zarr")


@pytest.mark.parametrize(
    ("size", "steps"),
    [
        ((9, 33, 27), [(3, 3, 3)]),
        ((5, 33, 40), [(1, 2, 2), (2, 4, 4)]),
        ((3, 33, 17), [(1, 2, 2), (1, 4, 4)]),
    ],
)
@pytest.mark.parametrize("said", ["scale", "same", "nothing", "other axis"])
def test_levels_that_are_not_halves(
    tmp_path: Path, size: tuple[int, int, int], steps: list[tuple[int, int, int]], said: str
) -> None:
    first = pixels(1, 1, *size)
    levels = [first, *(halved(first, *step) for step in steps)]
    spans = {
        "scale": [(1, 1, 1), *steps],
        "same": [(1, 1, 1)] * len(levels),
        "nothing": [(1, 1, 1)] * len(levels),
        "other axis": [(1, 1, 1), *(step[::-1] for step in steps)],
    }[said]
    scales = [(2.0 * z, 0.3 * y, 0.3 * x) for z, y, x in spans]
    made = Made(levels, ("A",), scales)
    image_stores.write(tmp_path / "i.zarr", made)
    if said == "nothing":
        group = zarr.open_group(str(tmp_path / "i.zarr"))
        ome = group.attrs["ome"]
        for entry in ome["multiscales"][0]["datasets"]:
            del entry["coordinateTransformations"]
        group.attrs["ome"] = ome
    with open_dataset(tmp_path / "i.zarr") as dataset:
        found = dataset.levels()
        for level, array, step in zip(found, levels, [(1, 1, 1), *steps], strict=True):
            assert level.sizes == array.shape[2:]
            for axis in range(3):
                if said == "scale" or step[axis] == 1:
                    assert level.scale[axis] == pytest.approx(step[axis])
                elif said != "other axis":  # by the sizes: 5 of 17 pixels span 3 or 4
                    assert level.scale[axis].is_integer()
                assert abs(level.scale[axis] * level.sizes[axis] - size[axis]) < level.scale[axis]
        assert_levels_are_as_zarr_reads_them(dataset, tmp_path / "i.zarr")


def test_scales_that_shrink_where_sizes_do_are_not_believed(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    """As some scripts write them, 1 and 0.5: levels stay in their order, the largest first."""
    first = pixels(1, 1, 4, 32, 24)
    made = Made([first, halved(first)], ("A",), [(2.0, 0.5, 0.5), (1.0, 0.25, 0.25)])
    image_stores.write(tmp_path / "i.zarr", made)
    dataset = opened_dataset(tmp_path / "i.zarr")
    assert (dataset.sizes["z"], dataset.info.pixel_size_um) == (4, 0.5)
    assert [level.scale for level in dataset.levels()] == [(1, 1, 1), (2, 2, 2)]
    np.testing.assert_array_equal(dataset.plane(z=3), first[0, 0, 3])


@pytest.mark.parametrize("said", [True, False])
def test_a_pixel_of_33_of_65_rows_spans_two_of_them(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset], monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    monkeypatch.setattr(regions, "ONE_TILE_PIXELS", 1000)
    first = pixels(1, 1, 3, 65, 65)
    levels = [first, halved(first, 1), halved(halved(first, 1), 1)]
    scales = [(2.0, 0.5 * span, 0.5 * span) for span in (1, 2, 4)] if said else ()
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    dataset = opened_dataset(tmp_path / "i.zarr")
    assert [dataset.drawn_level(0, side, side)[:3] for side in (65, 32, 16)] == [
        (level, (side, side), (span, span)) for level, side, span in ((0, 65, 1), (1, 33, 2), (2, 17, 4))
    ]


def test_a_position_with_fewer_levels_says_so(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 1, 1, 32, 32)
    scales = [(1.0, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    levels = [first, halved(first, 1), halved(halved(first, 1), 1)]
    made = [Made(levels, ("A",), scales), Made(levels[:1], ("A",), scales[:1])]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made})
    dataset = opened_dataset(tmp_path / "p.zarr")
    assert [len(dataset.levels(p)) for p in ("A1:0", "A1:1")] == [3, 1]
    assert [dataset.image(p).n_levels for p in (0, 1)] == [3, 1]
    with pytest.raises(IndexError, match="no resolution level 1: it has only level 0"):
        dataset.plane(p=1, level=1)
    assert_levels_are_as_zarr_reads_them(dataset, tmp_path / "p.zarr/A/1/0", 0)
    assert_levels_are_as_zarr_reads_them(dataset, tmp_path / "p.zarr/A/1/1", 1)


def test_levels_that_are_not_written_yet_are_left_out(tmp_path: Path) -> None:
    stores.write_pyramid(tmp_path / "i.zarr", names=("0", "1", "2"))
    (tmp_path / "i.zarr/2").rename(tmp_path / "2")
    with open_dataset(tmp_path / "i.zarr") as dataset:
        assert len(dataset.levels()) == 2
        (tmp_path / "2").rename(tmp_path / "i.zarr/2")
        assert len(dataset.levels()) == 3


# ---- lazy arrays ---------------------------------------------------------------------------------


def test_a_lazy_array_of_a_level_has_the_planes_of_that_level(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 2, 9, 33, 27)
    levels = [first, halved(first, 3, 3, 3)]
    made = Made(levels, ("A", "B"), [(2.0, 0.5, 0.25), (6.0, 1.5, 0.75)], downscaling="decimate")
    image_stores.write(tmp_path / "i.zarr", made)
    array = opened_dataset(tmp_path / "i.zarr").to_xarray(level=1)
    assert dict(array.sizes) == {"time": 1, "fov": 1, "z": 3, "channel": 2, "y": 11, "x": 9}
    np.testing.assert_allclose(array.coords["z"], [0.0, 6.0, 12.0])
    np.testing.assert_allclose(array.coords["y"], np.arange(11) * 1.5)
    np.testing.assert_allclose(array.coords["x"], np.arange(9) * 0.75)
    np.testing.assert_array_equal(array.values[:, 0].swapaxes(1, 2), levels[1])


def test_the_coords_of_a_level_have_its_own_translation(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    """Where pixels are averaged, the first of a level is half a pixel further in."""
    first = pixels(1, 1, 4, 33, 27)
    made = Made(
        [first, halved(first)],
        ("A",),
        [(2.0, 0.5, 0.25), (4.0, 1.0, 0.5)],
        translations=[(10.0, 300.0, -20.0), (11.0, 300.25, -19.875)],
    )
    image_stores.write(tmp_path / "i.zarr", made)
    dataset = opened_dataset(tmp_path / "i.zarr")
    assert [level.middle for level in dataset.levels()] == [(0, 0, 0), (0.5, 0.5, 0.5)]
    for level, (z, y, x), (step_z, step_y, step_x) in (
        (0, (0.0, 0.0, 0.0), (2.0, 0.5, 0.25)),
        (1, (1.0, 0.25, 0.125), (4.0, 1.0, 0.5)),
    ):
        array = dataset.to_xarray(level=level)
        for axis, start, step in (("z", z, step_z), ("y", y, step_y), ("x", x, step_x)):
            np.testing.assert_allclose(array.coords[axis], start + np.arange(array.sizes[axis]) * step)
        # where the first pixel of level 0 is on the stage
        stage = [float(array.coords[name].item()) for name in ("z_um", "y_um", "x_um")]
        assert stage == pytest.approx([10.0, 300.0, -20.0])


def test_a_position_whose_level_is_another_one_is_not_given_the_coords_of_others(tmp_path: Path) -> None:
    first = pixels(1, 1, 1, 32, 32)
    levels, scales = [first, halved(first, 1)], [(1.0, 0.5, 0.5), (1.0, 1.0, 1.0)]
    shifted = Made(levels, ("A",), scales, translations=[(0, 0, 0), (0, 0, 0)])
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": [Made(levels, ("A",), scales), shifted]})
    with open_dataset(tmp_path / "p.zarr") as dataset:
        array = dataset.to_xarray(level=1)
        array.isel(fov=0).compute()
        with pytest.raises(ValueError, match=r"A1:1 differs .*to_xarray\(position='A1:1'\)"):
            array.isel(fov=1).compute()
        np.testing.assert_allclose(dataset.to_xarray(1, position="A1:1").coords["y"][:2], [0.0, 1.0])


def test_positions_without_a_level_are_left_out_by_name(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 1, 1, 32, 32)
    levels, scales = [first, halved(first, 1)], [(1.0, 0.5, 0.5), (1.0, 1.0, 1.0)]
    with_level, without = Made(levels, ("A",), scales), Made(levels[:1], ("A",), scales[:1])
    image_stores.write_plate(
        tmp_path / "p.zarr", {"A/1": [without, with_level], "B/2": [with_level, without]}
    )
    dataset = opened_dataset(tmp_path / "p.zarr")
    with pytest.warns(UserWarning, match=r"level 1 .* 2 of 4 positions.*: 'A1:0', 'B2:1'"):
        arrays = dataset.to_xarray(level=1)
    assert list(arrays) == ["A1:1"]
    assert list(arrays["A1:1"].coords["position"].values) == ["A1:1", "B2:0"]
    assert arrays["A1:1"].attrs["positions_without_level"] == ["A1:0", "B2:1"]
    np.testing.assert_array_equal(arrays["A1:1"].values[0, 1, 0, 0], levels[1][0, 0, 0])
    assert list(dataset.to_xarray()) == ["A1:0", "A1:1"]
    with pytest.raises(ValueError, match="level 1 does not exist: A1:0 has 1"):
        dataset.to_xarray(level=1, position="A1:0")
    with pytest.raises(ValueError, match="level 2 does not exist"):
        dataset.to_xarray(level=2)


def test_where_positions_differ_there_is_an_array_for_each_kind(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    one, three = pixels(1, 2, 1, 8, 8, seed=1), pixels(1, 2, 3, 8, 8, seed=2)
    made = [Made([array], ("A", "B"), [(1, 1, 1)]) for array in (one, three, one)]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made, "A/2": [FIRST]})
    dataset = opened_dataset(tmp_path / "p.zarr")
    arrays = dataset.to_xarray()
    assert list(arrays) == ["A1:0", "A1:1", "A2:0"]
    assert [list(array.coords["fov"].values) for array in arrays.values()] == [[0, 2], [1], [3]]
    assert list(arrays["A1:0"].coords["position"].values) == ["A1:0", "A1:2"]
    for name, expected in (("A1:0", [one, one]), ("A1:1", [three]), ("A2:0", [FIRST.levels[0]])):
        np.testing.assert_array_equal(arrays[name].values.swapaxes(2, 3), np.stack(expected, axis=1))
    assert list(arrays["A2:0"].coords["channel"].values) == ["DAPI", "GFP"]
    assert arrays["A2:0"].attrs["pixel_size_um"] == pytest.approx(0.65)
    for position in ("A1:1", 1):
        alone = dataset.to_xarray(position=position)
        np.testing.assert_array_equal(alone.values.swapaxes(2, 3)[:, 0], three)
        assert list(alone.coords["position"].values) == ["A1:1"]


def test_one_position_is_looked_at_for_its_own_array(tmp_path: Path) -> None:
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    with open_dataset(tmp_path / "plate.zarr") as dataset:
        array = dataset.to_xarray(position="B3:1")
        assert list(array.coords["channel"].values) == list(SECOND.channels)
        np.testing.assert_array_equal(array.values[0, 0, 0], SECOND.levels[0][0, :, 0])


def test_an_array_of_one_kind_is_read_elsewhere_by_the_names_of_channels(tmp_path: Path) -> None:
    third = Made([pixels(1, 1, 1, 64, 80, seed=3)], ("mCherry",), [(1.0, 0.3, 0.3)])
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND, third]})
    with open_dataset(tmp_path / "plate.zarr") as dataset:
        arrays = dataset.to_xarray()
        elsewhere = pickle.loads(pickle.dumps(arrays))
    try:
        np.testing.assert_array_equal(elsewhere["B3:2"].values[0, 0, 0], third.levels[0][0, :, 0])
        np.testing.assert_array_equal(elsewhere["B3:1"].values[0, 0, 0], SECOND.levels[0][0, :, 0])
        np.testing.assert_array_equal(elsewhere["B3:0"].values[0, 0, 0], FIRST.levels[0][0, :, 0])
    finally:
        _open_once.cache_clear()


def test_a_position_that_turns_out_to_differ_is_not_cut(tmp_path: Path) -> None:
    made = [Made([pixels(1, 1, n, 8, 8)], ("A",), [(1, 1, 1)]) for n in (1, 3)]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made})
    with open_dataset(tmp_path / "p.zarr") as dataset:
        array = array_of(dataset, 0, "raise", [0, 1])  # as if nobody had looked at the second
        array.isel(fov=0).compute()
        with pytest.raises(ValueError, match=r"A1:1 differs.*z 3.*to_xarray\(position='A1:1'\)"):
            array.isel(fov=1).compute()


# ---- a pyramid that is being written -------------------------------------------------------------


def test_what_is_written_at_level_0_is_read_anew_at_the_levels_that_show_it(tmp_path: Path) -> None:
    first = pixels(1, 1, 5, 32, 32)
    levels = [first, halved(first), halved(halved(first))]
    scales = [(2.0 * s, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    group = zarr.open_group(str(tmp_path / "i.zarr"))
    with open_dataset(tmp_path / "i.zarr") as dataset:
        for written, shown, level in ((3, 1, 1), (4, 2, 1), (3, 0, 2), (4, 1, 2), (0, 0, 1)):
            keys = [PlaneKey(z=z) for z in range(len(levels[level][0, 0]))]
            before = [plane.pixels for plane in dataset.planes(keys, level, None)]
            group[str(level)][0, 0] = group[str(level)][0, 0] + 1
            dataset.mark_written((0, 0, 0, written))
            assert dataset.take_changes().in_view
            for z, plane in enumerate(dataset.planes(keys, level, None)):
                assert (plane.pixels is before[z]) == (z != shown)
            np.testing.assert_array_equal(dataset.plane(z=shown, level=level), group[str(level)][0, 0, shown])
            assert not dataset.take_changes().in_view
            dataset.planes(keys[:shown] + keys[shown + 1 :], level, None)
            dataset.mark_written((0, 0, 0, written))
            assert not dataset.take_changes().in_view, "nothing of it is in view"


def test_a_plane_of_a_level_is_written_when_all_that_it_shows_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch)
    first = pixels(1, 1, 4, 32, 32)
    made = Made([first, halved(first)], ("A",), [(2.0, 0.5, 0.5), (4.0, 1.0, 1.0)])
    image_stores.write(tmp_path / "i.zarr", made)
    for chunk in stores.chunk_files(tmp_path / "i.zarr/1"):
        chunk.unlink()
    with Dataset(open_source(str(tmp_path / "i.zarr")), live=True) as dataset:
        key = PlaneKey(z=1)
        states = []
        for z in (1, 2, 3):
            states.append(dataset.planes([key], 1, None)[0].state)
            dataset.mark_written((0, 0, 0, z))
        for _ in range(2):  # it is awaited for a moment more
            states.append(dataset.planes([key], 1, None)[0].state)
            clock.now += 2.5
            dataset.take_changes()
        assert states == [PlaneState.PENDING] * 4 + [PlaneState.FILLED]
