"""What a plane is of which nothing is stored in HDF5 and references: what h5py reads."""

from __future__ import annotations

import json
from typing import Any

import h5py
import hdf5_files
import numpy as np
import pytest
import stores
from stacks_with_holes import (
    ABSENT,
    FILLED,
    PENDING,
    PRESENT,
    SIZE,
    assert_is_all_there,
    datasets_that_are_closed,  # noqa: F401
    server_of_a_module,  # noqa: F401
    stack,
    states,
)

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.storage import activity
from tests.reference_files import ReferenceWriter

pytestmark = stores.needs_zarr_3


# ---- HDF5, as h5py writes it ---------------------------------------------------------------------


HDF5_KINDS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (1, *SIZE)},
    "tiles": {"chunks": (1, 8, 8), "compression": "gzip"},
    "growing": {"chunks": (1, 8, 8), "maxshape": (None, *SIZE)},
    "growing twice": {"chunks": (1, 8, 8), "maxshape": (None, None, SIZE[1])},
    "only h5py decodes": {"chunks": (1, *SIZE), "scaleoffset": 0},
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("kind", HDF5_KINDS)
@pytest.mark.parametrize(
    ("dtype", "fill"), [("u2", 777), (">u2", 777), ("f4", np.nan), ("i4", -1), ("bool", True)]
)
def test_hdf5(tmp_path, opened, libver, kind, dtype, fill):
    if "scaleoffset" in HDF5_KINDS[kind] and np.dtype(dtype).kind not in "iu":
        pytest.skip("the filter is for integers")
    pixels = stack(dtype, fill)
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        data = file.create_dataset("a", pixels.shape, dtype, fillvalue=fill, **HDF5_KINDS[kind])
        for i, axis in enumerate("zyx"):
            data.dims[i].label = axis
        for z in range(8):
            if z not in (2, 7):
                data[z] = pixels[z]
    with h5py.File(tmp_path / "a.h5") as file:
        wanted = file["a"][...]
    np.testing.assert_array_equal(wanted, pixels)
    dataset = opened(tmp_path / "a.h5")
    if kind == "growing twice" and libver == "latest":
        # of this kind of index h5py tells nothing until all of it is listed
        np.testing.assert_array_equal(dataset.to_xarray().values[0, 0, :, 0], wanted)
        return
    assert_is_all_there(dataset, wanted)


def test_hdf5_of_which_nothing_is_stored(tmp_path, opened):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (3, *SIZE), "u2", chunks=(1, *SIZE), fillvalue=777)
    dataset = opened(tmp_path / "a.h5")
    with pytest.raises(PlaneNotStoredError) as raised:
        dataset.plane()
    assert (raised.value.plane_shape, raised.value.fill_value) == (SIZE, 777)
    assert (dataset.to_xarray(missing="fill").values == 777).all()


def test_hdf5_that_is_growing(tmp_path, opened):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        data = file.create_dataset(
            "a", (8, *SIZE), "u2", chunks=(1, *SIZE), maxshape=(None, *SIZE), fillvalue=777
        )
        for i, axis in enumerate("zyx"):
            data.dims[i].label = axis
        data[0] = 1
        file.swmr_mode = True
        data.flush()
        dataset = opened(tmp_path / "a.h5")
        assert states(dataset, [(0, 0, 0, 5)]) == [ABSENT], "its writer has not closed it"
        before = activity.newest_change(str(tmp_path))
        while activity.newest_change(str(tmp_path)) == before:  # modification times are coarse
            data[1] = 1
            data.flush()
        assert states(dataset, []) == []
        assert states(dataset, [(0, 0, 0, 5)]) == [PENDING]


def test_hdf5_on_a_server(tmp_path, opened, server):
    hdf5_files.write_blocks(server.folder / "a.h5", (4, 37, 53), (1, 16, 20), [0, 2])
    server.set()
    dataset = opened(server.url("a.h5"), storage_options={"cache_dir": str(tmp_path)})
    with h5py.File(server.folder / "a.h5") as file:
        wanted = next(iter(file.values()))[...]
    np.testing.assert_array_equal(dataset.to_xarray().values[0, 0, :, 0], wanted)
    assert states(dataset, [(0, 0, 0, z) for z in range(4)]) == [PRESENT, FILLED, PRESENT, FILLED]


# ---- references ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "fill", "written"),
    [("<u2", 777, 777), (">u2", 777, 777), ("<f4", np.nan, "NaN"), ("<u2", 7, "7"), ("|u1", 0, None)],
)
def test_references(tmp_path, opened, dtype, fill, written):
    pixels = stack(dtype, fill)
    writer = ReferenceWriter(tmp_path)
    writer.add("data", pixels, (1, 12, 40), fill_value=written, skip=lambda at: at[0] in (2, 7))
    assert_is_all_there(opened(writer.write()), pixels)


def test_references_to_what_kerchunk_finds_in_hdf5(tmp_path, opened):
    kerchunk_hdf = pytest.importorskip("kerchunk.hdf")
    pixels = stack("u2", 777)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", pixels.shape, "u2", fillvalue=777, chunks=(1, *SIZE))
        for z in (0, 1, 3, 4, 5, 6):
            data[z] = pixels[z]
    found = kerchunk_hdf.SingleHdf5ToZarr(str(tmp_path / "a.h5")).translate()
    (tmp_path / "refs.json").write_text(json.dumps(found))
    assert_is_all_there(opened(tmp_path / "refs.json"), pixels)
