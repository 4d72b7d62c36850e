"""Zarr datasets whose positions differ, and whose levels have sizes of their own: each its own facts."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
import tifffile
from image_stores import FIRST, SECOND, Made, pixels

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr.source import ZarrSource

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.model import DatasetInfo


def names(info: DatasetInfo, p: int | None = None) -> list[str]:
    return [channel.name for channel in (info if p is None else info.image(p)).channels]


# ---- each its own --------------------------------------------------------------------------------


def test_the_acquisitions_of_a_plate_have_their_own_channels_and_scale(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    dataset = opened_dataset(tmp_path / "plate.zarr")
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
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    np.testing.assert_array_equal(
        opened_dataset(tmp_path / "plate.zarr").plane(p="B3:1", c="Cy7"), SECOND.levels[0][0, 2, 0]
    )


def test_channels_in_another_order_and_twice_are_told_by_name(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    made = [
        Made([pixels(1, 2, 1, 8, 8, seed=1)], ("A", "B"), [(1, 1, 1)]),
        Made([pixels(1, 2, 1, 8, 8, seed=2)], ("B", "A"), [(1, 1, 1)]),
        Made([pixels(1, 3, 1, 8, 8, seed=3)], ("A", "C", "A"), [(1, 1, 1)]),
    ]
    image_stores.write_series(tmp_path / "s.zarr", made)
    dataset = opened_dataset(tmp_path / "s.zarr")
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
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    made = [
        Made([pixels(1, 1, 1, 64, 80)], ("DAPI",), [(1.0, 0.5, 0.5)]),
        Made([pixels(1, 1, 3, 40, 50, dtype=np.uint8)], ("DAPI",), [(2.0, 0.25, 0.5)]),
        Made([pixels(4, 1, 1, 40, 50, dtype=np.float32)], ("DAPI",), [(1.0, 0.5, 0.5)], seconds=30.0),
    ]
    image_stores.write_series(tmp_path / "s.zarr", made)
    dataset = opened_dataset(tmp_path / "s.zarr")
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
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    plate = tmp_path / "plate.zarr"
    image_stores.write_plate(plate, {"B/3": [FIRST, SECOND]})
    (plate / "B/3/1").rename(tmp_path / "later")
    dataset = opened_dataset(plate)
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
