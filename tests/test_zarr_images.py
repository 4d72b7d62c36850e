"""Zarr datasets whose positions differ, and whose levels have sizes of their own: each its own facts."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import signal
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
import tifffile
import zarr
from image_stores import Made, halved, pixels

from ndviewer_light.engine import regions
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.to_xarray import _open_once, array_of
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.model import PlaneKey, PlaneState, Scale, Sizes
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr.source import ZarrSource
from tests.datasets_in_memory import set_clock

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo

FIRST = Made([pixels(1, 2, 1, 64, 80, seed=1)], ("DAPI", "GFP"), [(1.0, 0.65, 0.65)])
SECOND = Made(
    [pixels(1, 3, 1, 64, 80, seed=2)],
    ("Hoechst", "Cy5", "Cy7"),
    [(1.0, 0.1625, 0.1625)],
    ("00FFFF", "FF00FF", "FFFF00"),
)


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def opened(request: pytest.FixtureRequest) -> Callable[[Path], Dataset]:
    """Open datasets, in this process or in a reader process, that are closed when the test is over."""

    def open_one(path: Path) -> Dataset:
        dataset = open_dataset(path, isolate=request.param)
        request.addfinalizer(dataset.close)
        return dataset

    return open_one


def names(info: DatasetInfo, p: int | None = None) -> list[str]:
    return [channel.name for channel in (info if p is None else info.image(p)).channels]


# ---- each its own --------------------------------------------------------------------------------


def test_the_acquisitions_of_a_plate_have_their_own_channels_and_scale(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    dataset = opened(tmp_path / "plate.zarr")
    assert names(dataset.info) == ["DAPI", "GFP"]  # of the first: the second has not been looked at
    second = dataset.image("B3:1")
    assert [(channel.name, channel.color) for channel in second.channels] == [
        ("Hoechst", "#00FFFF"),
        ("Cy5", "#FF00FF"),
        ("Cy7", "#FFFF00"),
    ]
    assert second.pixel_size_um == pytest.approx(0.1625)
    assert dataset.image(0).pixel_size_um == dataset.info.pixel_size_um == pytest.approx(0.65)
    assert names(dataset.info) == ["DAPI", "GFP", "Hoechst", "Cy5", "Cy7"]
    assert names(dataset.info, 0) == ["DAPI", "GFP"]
    for p, image in enumerate((FIRST, SECOND)):
        for c, name in enumerate(image.channels):
            np.testing.assert_array_equal(dataset.plane(p=p, c=name), image.levels[0][0, c, 0])
    with pytest.raises(PlaneNotStoredError, match="B3:0 has no channel 'Cy7'"):
        dataset.plane(p=0, c="Cy7")
    with pytest.raises(PlaneNotStoredError, match="B3:1 has no channel 'DAPI'"):
        dataset.plane(p=1, c="DAPI")
    for c in range(3):  # numbers count the channels of the position, whatever was looked at before
        np.testing.assert_array_equal(dataset.plane(p=1, c=c), SECOND.levels[0][0, c, 0])
    with pytest.raises(IndexError, match="no channel 3: B3:1 has 3"):
        dataset.plane(p=1, c=3)
    with pytest.raises(KeyError, match="TRITC"):
        dataset.plane(p=1, c="TRITC")


def test_a_channel_by_name_is_found_at_a_position_that_was_not_looked_at(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    np.testing.assert_array_equal(
        opened(tmp_path / "plate.zarr").plane(p="B3:1", c="Cy7"), SECOND.levels[0][0, 2, 0]
    )


def test_channels_in_another_order_and_twice_are_told_by_name(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    made = [
        Made([pixels(1, 2, 1, 8, 8, seed=1)], ("A", "B"), [(1, 1, 1)]),
        Made([pixels(1, 2, 1, 8, 8, seed=2)], ("B", "A"), [(1, 1, 1)]),
        Made([pixels(1, 3, 1, 8, 8, seed=3)], ("A", "C", "A"), [(1, 1, 1)]),
    ]
    image_stores.write_series(tmp_path / "s.zarr", made)
    dataset = opened(tmp_path / "s.zarr")
    dataset.look_at_all()
    assert names(dataset.info) == ["A", "B", "C", "A"]
    own = [[0, 1, None, None], [1, 0, None, None], [0, None, 1, 2]]
    for p, indices in enumerate(own):
        for c, i in enumerate(indices):
            (plane,) = dataset.planes([PlaneKey(p=p, c=c)], wait=None)
            if i is None:
                assert plane.state is PlaneState.ABSENT
                assert "has no channel" in plane.reason
            else:
                np.testing.assert_array_equal(plane.pixels, made[p].levels[0][0, i, 0])
                np.testing.assert_array_equal(dataset.plane(p=p, c=i), made[p].levels[0][0, i, 0])


def test_series_of_different_images_are_each_themselves(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    made = [
        Made([pixels(1, 1, 1, 64, 80)], ("DAPI",), [(1.0, 0.5, 0.5)]),
        Made([pixels(1, 1, 3, 40, 50, dtype=np.uint8)], ("DAPI",), [(2.0, 0.25, 0.5)]),
        Made([pixels(4, 1, 1, 40, 50, dtype=np.float32)], ("DAPI",), [(1.0, 0.5, 0.5)], seconds=30.0),
    ]
    image_stores.write_series(tmp_path / "s.zarr", made)
    dataset = opened(tmp_path / "s.zarr")
    assert dataset.image(1).sizes == {"t": 1, "c": 1, "z": 3, "y": 40, "x": 50}
    assert (dataset.image(1).pixel_size_y_um, dataset.image(1).pixel_size_x_um) == (0.25, 0.5)
    assert dataset.image(1).z_step_um == 2.0
    assert dataset.image(2).time_step_s == 30.0
    assert [dataset.image(p).dtype for p in range(3)] == [np.uint16, np.uint8, np.float32]
    assert dataset.info.sizes == {"t": 4, "p": 3, "c": 1, "z": 3, "y": 64, "x": 80}
    for p, image in enumerate(made):
        for t, c, z in np.ndindex(image.levels[0].shape[:3]):
            plane = dataset.plane(t, p, c, z)
            assert plane.dtype == image.levels[0].dtype
            np.testing.assert_array_equal(plane, image.levels[0][t, c, z])
    with pytest.raises(PlaneNotStoredError, match="series:0 has no plane t=0 c=0 z=2"):
        dataset.plane(z=2)


def test_what_a_position_lacks_is_said_by_its_own_channels(tmp_path: Path) -> None:
    image_stores.write_series(
        tmp_path / "s.zarr",
        [
            Made([pixels(1, 2, 3, 40, 50)], ("DAPI", "GFP"), [(1.0, 0.5, 0.5)]),
            Made([pixels(1, 1, 1, 40, 50)], ("Cy5",), [(1.0, 0.5, 0.5)]),
        ],
    )
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as file:
        file.write(
            pixels(1, 2, 3, 40, 50)[0], metadata={"axes": "CZYX", "Channel": {"Name": ["DAPI", "GFP"]}}
        )
        file.write(pixels(1, 1, 1, 40, 50)[0, 0, 0], metadata={"axes": "YX", "Channel": {"Name": "Cy5"}})
    for name in ("s.zarr", "s.ome.tif"):
        with open_dataset(tmp_path / name) as dataset:
            dataset.plane(p=1)
            with pytest.raises(PlaneNotStoredError, match="has no plane t=0 c=0 z=2"):
                dataset.plane(p=1, z=2)
            with pytest.raises(PlaneNotStoredError, match="has no channel 'GFP'"):
                dataset.plane(p=1, c="GFP")


def test_positions_that_are_alike_cost_what_one_costs(tmp_path: Path) -> None:
    windows = [
        {"omero": {"channels": [{"label": "DAPI", "window": {"start": i, "end": 900}}]}} for i in range(3)
    ]
    image_stores.write_series(
        tmp_path / "s.zarr",
        [Made([pixels(1, 1, 1, 8, 8)], ("DAPI",), [(1.0, 0.5, 0.5)], more=window) for window in windows],
    )
    with open_dataset(tmp_path / "s.zarr") as dataset:
        before = dataset.info
        after = dataset.look_at_all()
        assert after.images == {}  # a display window alone makes no other image
        assert dataset.image(2) is dataset.image(0)
        assert dataclasses.replace(after, positions=before.positions) == before  # only names were learned
        assert dataset.look_at_all() is dataset.info is after


def test_a_position_whose_store_appears_later_has_its_own_facts(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    plate = tmp_path / "plate.zarr"
    image_stores.write_plate(plate, {"B/3": [FIRST, SECOND]})
    (plate / "B/3/1").rename(tmp_path / "later")
    dataset = opened(plate)
    with pytest.raises(PlaneNotStoredError):
        dataset.image(1)
    assert names(dataset.info, 1) == ["DAPI", "GFP"]  # nothing else is known
    (tmp_path / "later").rename(plate / "B/3/1")
    assert [channel.name for channel in dataset.image(1).channels] == ["Hoechst", "Cy5", "Cy7"]


# ---- growing -------------------------------------------------------------------------------------


def test_stores_that_grow_one_after_another_do_not_become_images_of_their_own(tmp_path: Path) -> None:
    for fov in range(3):
        stores.write_image(tmp_path / f"zarr/r0/fov_{fov}.ome.zarr", sizes={"t": 1}, p=fov)
    paths = [str(tmp_path / f"zarr/r0/fov_{fov}.ome.zarr") for fov in range(3)]
    run = announce_per_fov(
        paths, stores.CHANNELS[:2], 2, ["r0:0", "r0:1", "r0:2"], stores.HEIGHT, stores.WIDTH
    )
    source = ZarrSource.announced(run)
    for t in range(2, 5):
        for p, path in enumerate(paths):
            shutil.rmtree(path)
            stores.write_image(path, sizes={"t": t}, p=p)
            source.refresh()
            assert source.image(p).n_t == t
            assert source.info.n_t == t
            assert source.info.common is None
    source.close()


@pytest.mark.parametrize("complete", [None, False])
def test_a_dataset_that_turns_out_to_grow_is_one_of_equal_images(
    tmp_path: Path, complete: bool | None
) -> None:
    def write(fov: int, n_t: int) -> None:
        attributes = stores.image_attributes(channels=stores.CHANNELS[:2], complete=complete)
        path = tmp_path / f"zarr/r0/fov_{fov}.ome.zarr"
        shutil.rmtree(path, ignore_errors=True)
        stores.write_image(path, sizes={"t": n_t}, p=fov, attributes=attributes)

    for fov in range(3):
        write(fov, 3 - fov)
    source = open_source(str(tmp_path))
    source.look_at_all()
    behind = [source.image(p).n_t for p in range(3)]
    assert behind == ([3, 2, 1] if complete is None else [3, 3, 3])
    write(0, 4)
    source.refresh()
    assert [source.image(p).n_t for p in range(3)] == [4, 4, 4]
    assert not source.info.images
    write(2, 5)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=4, p=2)), stores.plane(t=4, p=2))
    assert [source.image(p).n_t for p in range(3)] == [5, 5, 5]
    with pytest.raises(PlaneNotStoredError):  # behind, not outside
        source.read_plane(PlaneKey(t=4, p=1))
    source.close()


def test_an_announced_run_keeps_its_names_for_stores_that_have_none(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"fov_{fov}.zarr") for fov in range(2)]
    run = announce_per_fov(paths, ("A", "B"), 2, ["r:0", "r:1"], stores.HEIGHT, stores.WIDTH)
    source = ZarrSource.announced(run)
    attributes = stores.image_attributes(channels=())
    for p, path in enumerate(paths):
        stores.write_image(path, p=p, attributes=attributes)
        assert [channel.name for channel in source.image(p).channels] == ["A", "B"]
    assert source.info.common is None
    source.close()


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
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 1, 20, 32, 32)
    levels = [first, halved(first), halved(halved(first))]
    scales = [(2.0 * s, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    dataset = opened(tmp_path / "i.zarr")
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
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    """As some scripts write them, 1 and 0.5: levels stay in their order, the largest first."""
    first = pixels(1, 1, 4, 32, 24)
    made = Made([first, halved(first)], ("A",), [(2.0, 0.5, 0.5), (1.0, 0.25, 0.25)])
    image_stores.write(tmp_path / "i.zarr", made)
    dataset = opened(tmp_path / "i.zarr")
    assert (dataset.sizes["z"], dataset.info.pixel_size_um) == (4, 0.5)
    assert [level.scale for level in dataset.levels()] == [(1, 1, 1), (2, 2, 2)]
    np.testing.assert_array_equal(dataset.plane(z=3), first[0, 0, 3])


@pytest.mark.parametrize("said", [True, False])
def test_a_pixel_of_33_of_65_rows_spans_two_of_them(
    tmp_path: Path, opened: Callable[[Path], Dataset], monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    monkeypatch.setattr(regions, "ONE_TILE_PIXELS", 1000)
    first = pixels(1, 1, 3, 65, 65)
    levels = [first, halved(first, 1), halved(halved(first, 1), 1)]
    scales = [(2.0, 0.5 * span, 0.5 * span) for span in (1, 2, 4)] if said else ()
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    dataset = opened(tmp_path / "i.zarr")
    assert [dataset.drawn_level(0, side, side)[:3] for side in (65, 32, 16)] == [
        (level, (side, side), (span, span)) for level, side, span in ((0, 65, 1), (1, 33, 2), (2, 17, 4))
    ]


def test_a_position_with_fewer_levels_says_so(tmp_path: Path, opened: Callable[[Path], Dataset]) -> None:
    first = pixels(1, 1, 1, 32, 32)
    scales = [(1.0, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    levels = [first, halved(first, 1), halved(halved(first, 1), 1)]
    made = [Made(levels, ("A",), scales), Made(levels[:1], ("A",), scales[:1])]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made})
    dataset = opened(tmp_path / "p.zarr")
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


# ---- another reader process ----------------------------------------------------------------------


def test_channels_keep_their_index_when_the_reader_process_dies(tmp_path: Path) -> None:
    third = Made([pixels(1, 1, 1, 64, 80, seed=3)], ("mCherry",), [(1.0, 0.3, 0.3)])
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND, third]})
    source = IsolatedSource.open(str(tmp_path / "plate.zarr"))
    try:
        source.image(1)
        source.image(2)
        before = source.info
        assert names(before)[5] == "mCherry"
        pid = source.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        np.testing.assert_array_equal(
            source.read_plane(PlaneKey(p=2, c=5)), third.levels[0][0, 0, 0]
        )  # it looks at this position first
        assert source.pid != pid
        assert names(source.info) == names(before)
        assert names(source.info, 1) == ["Hoechst", "Cy5", "Cy7"]  # not looked at by the new one
        for c, name in enumerate(SECOND.channels):
            index = names(before).index(name)
            np.testing.assert_array_equal(
                source.read_plane(PlaneKey(p=1, c=index)), SECOND.levels[0][0, c, 0]
            )
        with pytest.raises(PlaneNotStoredError, match="B3:2 has no channel 'Cy7'"):
            source.read_plane(PlaneKey(p=2, c=4))
    finally:
        source.close()


# ---- lazy arrays ---------------------------------------------------------------------------------


def test_a_lazy_array_of_a_level_has_the_planes_of_that_level(
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 2, 9, 33, 27)
    levels = [first, halved(first, 3, 3, 3)]
    made = Made(levels, ("A", "B"), [(2.0, 0.5, 0.25), (6.0, 1.5, 0.75)], downscaling="decimate")
    image_stores.write(tmp_path / "i.zarr", made)
    array = opened(tmp_path / "i.zarr").to_xarray(level=1)
    assert dict(array.sizes) == {"time": 1, "fov": 1, "z": 3, "channel": 2, "y": 11, "x": 9}
    np.testing.assert_allclose(array.coords["z"], [0.0, 6.0, 12.0])
    np.testing.assert_allclose(array.coords["y"], np.arange(11) * 1.5)
    np.testing.assert_allclose(array.coords["x"], np.arange(9) * 0.75)
    np.testing.assert_array_equal(array.values[:, 0].swapaxes(1, 2), levels[1])


def test_the_coords_of_a_level_have_its_own_translation(
    tmp_path: Path, opened: Callable[[Path], Dataset]
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
    dataset = opened(tmp_path / "i.zarr")
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
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    first = pixels(1, 1, 1, 32, 32)
    levels, scales = [first, halved(first, 1)], [(1.0, 0.5, 0.5), (1.0, 1.0, 1.0)]
    with_level, without = Made(levels, ("A",), scales), Made(levels[:1], ("A",), scales[:1])
    image_stores.write_plate(
        tmp_path / "p.zarr", {"A/1": [without, with_level], "B/2": [with_level, without]}
    )
    dataset = opened(tmp_path / "p.zarr")
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
    tmp_path: Path, opened: Callable[[Path], Dataset]
) -> None:
    one, three = pixels(1, 2, 1, 8, 8, seed=1), pixels(1, 2, 3, 8, 8, seed=2)
    made = [Made([array], ("A", "B"), [(1, 1, 1)]) for array in (one, three, one)]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made, "A/2": [FIRST]})
    dataset = opened(tmp_path / "p.zarr")
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
