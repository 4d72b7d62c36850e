"""The door out for scripts: one lazy array, cheap at any size, that reads where it is computed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stores
from memory_source import MemorySource, memory_info

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.to_xarray import DIMS, LazyPlanes, _open_once
from ndviewer_light.errors import CorruptDataError, PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import Level, Position, Scale, Sizes
from ndviewer_light.opening import open_dataset

pytest.importorskip("dask.array")
pytest.importorskip("xarray")

ROOT = Path(__file__).parents[1]
SIZES = {"time": 2, "fov": 3, "z": 2, "channel": 2, "y": stores.HEIGHT, "x": stores.WIDTH}


@pytest.fixture
def experiment(tmp_path):
    stores.write_per_fov(tmp_path / "experiment", {"A1": 2, "B2": 1})
    return tmp_path / "experiment"


@pytest.fixture
def dataset(experiment):
    with open_dataset(experiment) as dataset:
        yield dataset


@pytest.fixture(autouse=True)
def datasets_opened_by_unpickled_arrays_are_closed(monkeypatch):
    opened = []

    def open_and_note(path, **options):
        opened.append(open_dataset(path, **options))
        return opened[-1]

    _open_once.cache_clear()
    monkeypatch.setattr("ndviewer_light.opening.open_dataset", open_and_note)
    yield opened
    _open_once.cache_clear()
    for dataset in opened:
        dataset.close()


def everything(n_p: int = 3) -> np.ndarray:
    """What `experiment` holds, in the order of the lazy array."""
    planes = [
        stores.plane(t, p, c, z) for t in range(2) for p in range(n_p) for z in range(2) for c in range(2)
    ]
    return np.reshape(planes, (2, n_p, 2, 2, stores.HEIGHT, stores.WIDTH))


# ---- what it looks like ----------------------------------------------------------------------------


def test_it_has_named_dims_in_the_documented_order(dataset):
    array = dataset.to_xarray()
    assert array.dims == DIMS == ("time", "fov", "z", "channel", "y", "x")
    assert dict(array.sizes) == SIZES
    assert array.dtype == np.uint16


def test_it_has_one_chunk_per_plane(dataset):
    chunks = dataset.to_xarray().chunks
    assert chunks == ((1, 1), (1, 1, 1), (1, 1), (1, 1), (stores.HEIGHT,), (stores.WIDTH,))


def test_its_coords_are_in_units(dataset):
    array, info = dataset.to_xarray(), dataset.info
    assert list(array.coords["channel"].values) == list(stores.CHANNELS[:2])
    assert list(array.coords["position"].values) == ["A1:0", "A1:1", "B2:0"]
    assert list(array.coords["fov"].values) == [0, 1, 2]
    np.testing.assert_allclose(array.coords["time"], np.arange(2) * info.time_step_s)
    np.testing.assert_allclose(array.coords["z"], np.arange(2) * info.z_step_um)
    np.testing.assert_allclose(array.coords["y"], np.arange(stores.HEIGHT) * info.pixel_size_y_um)
    np.testing.assert_allclose(array.coords["x"], np.arange(stores.WIDTH) * info.pixel_size_x_um)


def test_its_attrs_say_what_the_dataset_says(dataset, experiment):
    attrs, info = dataset.to_xarray().attrs, dataset.info
    assert attrs["pixel_size_um"] == info.pixel_size_um
    assert attrs["dz_um"] == info.z_step_um
    assert attrs["time_step_s"] == info.time_step_s
    assert attrs["channel_names"] == list(stores.CHANNELS[:2])
    assert attrs["channel_colors"] == [channel.color for channel in info.channels]
    assert attrs["format"] == info.format
    assert attrs["path"] == str(experiment)
    assert attrs["level"] == 0


def test_what_the_dataset_does_not_know_is_left_out_and_counted_instead():
    with Dataset(MemorySource()) as dataset:
        array = dataset.to_xarray()
    assert "pixel_size_um" not in array.attrs
    assert "dz_um" not in array.attrs
    for axis in ("time", "z", "y", "x"):
        np.testing.assert_array_equal(array.coords[axis], np.arange(array.sizes[axis]))


@pytest.mark.parametrize("shrunk", [(12, 20), (12, 10), (24, 20)], ids=str)
def test_a_smaller_level_has_larger_pixels(shrunk):
    info = memory_info(height=24, width=40, n_levels=2, pixel_size_y_um=0.5, pixel_size_x_um=0.25)
    source = MemorySource(info)
    source.levels = lambda p: (
        info.image(p).level,
        Level(Sizes(2, *shrunk), Scale(1, 24 / shrunk[0], 40 / shrunk[1])),
    )
    with Dataset(source) as dataset:
        array = dataset.to_xarray(level=1)
    assert (array.sizes["y"], array.sizes["x"]) == shrunk
    for axis, whole, part, step in (("y", 24, shrunk[0], 0.5), ("x", 40, shrunk[1], 0.25)):
        first, second = array.coords[axis].values[:2]
        assert second - first == pytest.approx(step * whole / part)
        assert first == pytest.approx(step * (whole / part - 1) / 2)  # the middle of an average


# ---- what it reads ---------------------------------------------------------------------------------


def test_every_plane_equals_what_was_written(dataset):
    np.testing.assert_array_equal(dataset.to_xarray().values, everything())


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(np.s_[0, 1, 0, 1, 3, 4], id="one pixel"),
        pytest.param(np.s_[:, 0, ::-1, 1], id="backwards"),
        pytest.param(np.s_[..., 5:9, ::3], id="a part of each plane"),
        pytest.param(np.s_[-1, -1, -1, -1], id="the last plane"),
        pytest.param(np.s_[:, [2, 0]], id="a list of positions"),
        pytest.param(np.s_[0:0], id="nothing"),
    ],
)
def test_any_part_of_it_can_be_taken(dataset, index):
    np.testing.assert_array_equal(dataset.to_xarray().data[index].compute(), everything()[index])


@pytest.mark.parametrize(
    "index",
    [
        np.s_[0, 1, 0, 1, 3, 4],
        np.s_[:, 0],
        np.s_[1],
        np.s_[..., 2],
        np.s_[0, ..., 5:9, ::3],
        np.s_[:, :, 1, 0],
    ],
    ids=str,
)
def test_the_array_under_it_is_indexed_as_numpy_is(dataset, index):
    planes = LazyPlanes(dataset, range(3), 0, "raise")
    np.testing.assert_array_equal(planes[index], everything()[index])


def test_one_plane_of_it_reads_one_plane():
    source = MemorySource()
    source.write((1, 2, 1, 0), 5)
    with Dataset(source) as dataset:
        assert int(dataset.to_xarray().isel(time=1, fov=2, channel=1, z=0).max()) == 5
    assert source.reads == [(1, 2, 1, 0)]


def test_making_it_reads_nothing_however_large_the_dataset():
    info = memory_info(n_t=100, n_p=1536, n_c=4, n_z=50)
    source = MemorySource(info)
    with Dataset(source) as dataset:
        array = dataset.to_xarray()
        assert array.sizes["fov"] == 1536
        assert array.isel(time=99, fov=1535).shape == (50, 4, 8, 10)
    assert source.reads == []


@pytest.mark.parametrize("missing", ["raise", "fill"])
def test_a_plane_that_is_not_stored_raises_or_is_filled_as_told(tmp_path, missing):
    path = tmp_path / "image.ome.zarr"
    stores.write_image(path, skip=[(1, 0, 1, 0)])
    with open_dataset(path) as dataset:
        array = dataset.to_xarray(missing=missing)
        if missing == "raise":
            with pytest.raises(PlaneNotStoredError):
                array.compute()
        expected = everything(1)
        if missing == "fill":
            expected[1, 0, 0, 1] = 0
            np.testing.assert_array_equal(array.values, expected)
        np.testing.assert_array_equal(array.isel(time=0).values, expected[0])


def test_a_damaged_plane_is_never_filled(tmp_path):
    path = tmp_path / "image.ome.zarr"
    stores.write_image(path)
    stores.chunk_files(path)[0].write_bytes(b"no blosc")
    with open_dataset(path) as dataset, pytest.raises(CorruptDataError):
        dataset.to_xarray(missing="fill").compute()


def test_a_position_of_another_size_is_refused_by_its_label():
    source = MemorySource(memory_info(positions=(Position("A1", 0), Position("B2", 7))))
    source.write((0, 0, 0, 0), 1)
    source.stored[(0, 1, 0, 0)] = np.zeros((3, 3), np.uint16)
    with Dataset(source) as dataset:
        array = dataset.to_xarray()
        assert int(array[0, 0, 0, 0].max()) == 1
        with pytest.raises(ValueError, match=r"B2:7 has planes of \(3, 3\).*\(8, 10\)"):
            array[0, 1, 0, 0].compute()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"level": 1}, "level 1 does not exist"),
        ({"level": -1}, "level -1 does not exist"),
        ({"missing": "zeros"}, "missing must be 'raise' or 'fill'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(arguments, said):
    with Dataset(MemorySource()) as dataset, pytest.raises(ValueError, match=said):
        dataset.to_xarray(**arguments)


def test_a_dataset_of_which_nothing_is_written_is_refused():
    with (
        Dataset(MemorySource(memory_info(dtype=None))) as dataset,
        pytest.raises(ValueError, match="nothing"),
    ):
        dataset.to_xarray()


# ---- elsewhere -------------------------------------------------------------------------------------


def test_it_survives_pickling_and_the_end_of_its_dataset(experiment):
    with open_dataset(experiment) as dataset:
        pickled = pickle.dumps(dataset.to_xarray())
    assert len(pickled) < 100_000, "it carries the path, not the pixels"
    array = pickle.loads(pickled)
    np.testing.assert_array_equal(array.values, everything())


def test_however_many_copies_there_are_a_process_opens_the_dataset_once(
    experiment, datasets_opened_by_unpickled_arrays_are_closed
):
    with open_dataset(experiment) as dataset:
        pickled = pickle.dumps(dataset.to_xarray())
    for _ in range(3):
        pickle.loads(pickled).values  # noqa: B018  computing it is the point
    assert len(datasets_opened_by_unpickled_arrays_are_closed) == 1


def test_a_relative_path_means_the_same_elsewhere(experiment, monkeypatch, tmp_path):
    monkeypatch.chdir(experiment.parent)
    with open_dataset(experiment.name) as dataset:
        pickled = pickle.dumps(dataset.to_xarray())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(pickled)[0, 0, 0, 0].values.any()


def test_it_computes_on_the_processes_of_a_cluster(experiment):
    pytest.importorskip("distributed")
    code = """
import sys
from distributed import Client, LocalCluster
from ndviewer_light import open_dataset

if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None)
    with cluster, Client(cluster), open_dataset(sys.argv[1]) as dataset:
        array = dataset.to_xarray()
        print(int(array.sum().compute()), int(array.isel(fov=2).max(("y", "x")).sum().compute()))
"""
    script = experiment.parent / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script), str(experiment)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    expected = everything()
    assert done.stdout.split() == [
        str(expected.sum()),
        str(expected[:, 2].max(axis=(-1, -2)).sum()),
    ], done.stderr


def test_an_array_of_what_cannot_be_opened_again_says_so_when_it_is_pickled():
    with Dataset(MemorySource()) as dataset, pytest.raises(TypeError, match="not opened from a path"):
        pickle.dumps(dataset.to_xarray())


def test_a_dataset_read_in_its_own_process_is_read_so_elsewhere_too(
    experiment, datasets_opened_by_unpickled_arrays_are_closed
):
    with open_dataset(experiment, isolate=True) as dataset:
        array = pickle.loads(pickle.dumps(dataset.to_xarray()))
    np.testing.assert_array_equal(array[0, 0].values, everything()[0, 0])
    assert isinstance(datasets_opened_by_unpickled_arrays_are_closed[0]._source, IsolatedSource)
