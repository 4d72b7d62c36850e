"""Many planes at once, for scripts: in order, in parallel, by names, projected, with progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from nd2_samples import TWO, P, T, Z, frame
from nd2_writer import write_nd2

import ndviewer_light as nl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.range_server import RangeServer

NO_CACHE = {"disk_cache": "no"}


def nd2_volume() -> np.ndarray:
    """All of the sample, (t, p, c, z, y, x)."""
    frames = np.stack([frame(i) for i in range(2 * 3 * 4)]).reshape(2, 3, 4, *frame(0).shape)
    return np.moveaxis(frames, -1, 2)


@pytest.fixture(name="path", params=["local", "remote"])
def a_file_here_or_there(request, tmp_path: Path, server: RangeServer) -> str:
    pytest.importorskip("nd2")
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO)
    return str(tmp_path / "a.nd2") if request.param == "local" else server.url("a.nd2")


def test_planes_come_in_the_order_of_their_keys(path: str) -> None:
    wanted, done = [(1, 2, 1, 3), (0, 0, 0, 0), (1, "A1:0", "GFP", 2), (0, 0, 0, 0)], []
    with nl.open_dataset(path, storage_options=NO_CACHE) as dataset:
        found = dataset.read_planes(wanted, progress=lambda n, of: done.append((n, of)))
        everything = nd2_volume()
        for (t, p, c, z), pixels in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(
                pixels, everything[t, p if p != "A1:0" else 0, 1 if c == "GFP" else c, z]
            )
        assert done == [(n, 4) for n in (1, 2, 3, 4)]
        assert dataset.read_planes([]) == []
        with pytest.raises(IndexError):
            dataset.read_planes([(0, 0, 0, 0), (9, 0, 0, 0)])
        with pytest.raises(KeyError):
            dataset.read_planes([(0, 0, "Cy5", 0)])


def test_a_part_is_read_into_one_array(path: str) -> None:
    everything = nd2_volume()

    def read(**what: object) -> np.ndarray:
        return nl.imread(path, storage_options=NO_CACHE, **what)  # type: ignore[arg-type]

    np.testing.assert_array_equal(read(), everything[:, 0])
    np.testing.assert_array_equal(read(p=None), everything)
    np.testing.assert_array_equal(read(t=1, p=2, c="DAPI", z=3), everything[1, 2, 0, 3])
    np.testing.assert_array_equal(read(t=-1, c="GFP", z="max"), everything[1, 0, 1].max(axis=0))
    np.testing.assert_array_equal(read(c=["GFP", "DAPI"], t=[1], z=slice(1, 3)), everything[1:, 0, ::-1, 1:3])
    assert read(t=0, c=0, z="sum").dtype == everything.sum(axis=0, dtype=None).dtype
    np.testing.assert_allclose(read(t=0, c=0, z="mean"), everything[0, 0, 0].mean(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="z must be an index"):
        read(z="maximum")
    with pytest.raises(IndexError):
        read(t=2)


def test_planes_that_are_missing_raise_or_are_filled(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "a.ome.zarr", skip=[(1, 0, c, z) for c in range(2) for z in range(2)])
    with nl.open_dataset(tmp_path / "a.ome.zarr") as dataset:
        with pytest.raises(nl.PlaneNotStoredError):
            dataset.read_planes([(0, 0, 0, 0), (1, 0, 0, 0)])
        first, second = dataset.read_planes([(0, 0, 0, 0), (1, 0, 0, 0)], missing="fill")
        assert first.any()
        assert not second.any()
        assert first.shape == second.shape
    assert nl.imread(tmp_path / "a.ome.zarr", missing="fill").shape == (2, 2, 2, stores.HEIGHT, stores.WIDTH)
