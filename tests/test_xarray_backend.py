"""``xarray.open_dataset(path, engine="ndviewer_light")``: lazy, labelled, and nobody else's files taken."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stores

xr = pytest.importorskip("xarray")

from ndviewer_light.compat.xarray_backend import NDViewerBackendEntrypoint  # noqa: E402
from ndviewer_light.engine.dataset import Dataset  # noqa: E402
from ndviewer_light.errors import DatasetNotFoundError, PlaneNotStoredError  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path):
    stores.write_image(tmp_path / "image.ome.zarr")
    return tmp_path / "image.ome.zarr"


def opened(path, **options):
    return xr.open_dataset(path, engine=NDViewerBackendEntrypoint, **options)


def test_it_is_the_array_that_a_script_gets_from_the_dataset(path):
    from ndviewer_light import open_dataset

    with opened(path) as found, open_dataset(path) as dataset:
        expected = dataset.to_xarray()
        assert found["image"].dims == expected.dims
        xr.testing.assert_equal(found["image"], expected)
        assert found["image"].attrs == expected.attrs


def test_one_plane_of_it_reads_one_plane(path, monkeypatch):
    reads = []
    plane = Dataset.plane

    def noted(self, *key, **more):
        reads.append(key)
        return plane(self, *key, **more)

    monkeypatch.setattr(Dataset, "plane", noted)
    with opened(path) as found:
        assert reads == []
        chosen = found["image"].sel(channel=stores.CHANNELS[1]).isel(time=1, fov=0, z=0)
        np.testing.assert_array_equal(chosen, stores.plane(1, 0, 1, 0))
        assert reads == [(1, 0, 1, 0)]
        part = found["image"][0, 0, ::-1, 0, 3:7, [1, 5]]
        np.testing.assert_array_equal(part[0], stores.plane(0, 0, 0, 1)[3:7, [1, 5]])


def test_it_comes_in_chunks_of_planes_where_these_are_wanted(path):
    with opened(path, chunks={}) as found:
        assert found["image"].chunks == ((1, 1), (1,), (1, 1), (1, 1), (stores.HEIGHT,), (stores.WIDTH,))
        np.testing.assert_array_equal(found["image"][1, 0, 1, 0], stores.plane(1, 0, 0, 1))


def test_it_survives_pickling(path):
    with opened(path) as found:
        again = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(again["image"][0, 0, 0, 0], stores.plane())
        again.close()
    from ndviewer_light.engine.to_xarray import _open_once
    from ndviewer_light.opening import Reopening

    _open_once(Reopening(str(path))).close()
    _open_once.cache_clear()


@pytest.mark.parametrize("missing", ["raise", "fill"])
def test_planes_that_are_not_stored_become_what_was_said(tmp_path, missing):
    stores.write_image(tmp_path / "image.ome.zarr", skip=[(1, 0, 1, 0)])
    with opened(tmp_path / "image.ome.zarr", missing=missing) as found:
        plane = found["image"][1, 0, 0, 1]
        if missing == "fill":
            assert not plane.values.any()
        else:
            with pytest.raises(PlaneNotStoredError):
                plane.load()


@pytest.mark.parametrize("dropped", ["position", ["position", "no such variable"]])
def test_variables_can_be_dropped(path, dropped):
    with opened(path, drop_variables=dropped) as found:
        assert "position" not in found.variables
        assert "image" in found


def test_what_cannot_be_opened_says_why(tmp_path, path):
    with pytest.raises(DatasetNotFoundError, match="nothing"):
        opened(tmp_path / "nothing.zarr")
    with pytest.raises(ValueError, match="level 7 does not exist"):
        opened(path, level=7)
    with pytest.raises(TypeError, match="expected a path or URL"):
        NDViewerBackendEntrypoint().open_dataset(b"bytes")


@pytest.mark.parametrize(
    ("name", "ours"),
    [("a.nd2", True), ("https://host/A.ND2", True), (Path("a.nd2"), True), (b"CDF", False), (3, False)]
    + [(f"a.{end}", False) for end in ("zarr", "ome.zarr", "nc", "h5", "nwb", "tif", "grib", "png", "json")],
)
def test_it_takes_only_what_no_other_engine_opens(name, ours):
    assert NDViewerBackendEntrypoint().guess_can_open(name) is ours


def test_it_is_announced_to_xarray_by_the_package():
    said = (ROOT / "pyproject.toml").read_text()
    section = said.partition('[project.entry-points."xarray.backends"]\n')[2].splitlines()[0]
    name, _, target = section.partition(" = ")
    module, _, attribute = target.strip('"').partition(":")
    assert name == "ndviewer_light"
    code = f"import {module} as m; print(m.{attribute}().description, m.{attribute}.open_dataset_parameters)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "ndviewer_light" in said.stdout
    assert "storage_options" in said.stdout
