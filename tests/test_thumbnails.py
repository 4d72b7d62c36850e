"""Small pictures of planes: from a pyramid level, else area averages; in order, kept, by a cluster."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import stores

from ndviewer_light import open_dataset
from ndviewer_light.engine.area_averages import shrunk
from ndviewer_light.engine.thumbnails import ThumbnailLoader, WantedThumbnail
from ndviewer_light.errors import DatasetError
from ndviewer_light.model import Plane, PlaneState, StackKey

SIZES = {"t": 1, "c": 2, "z": 3, "y": 192, "x": 320}
WELLS = {"A/1": 1, "A/2": 1, "B/2": 2}


def plane(p, c=0, z=0):
    return stores.plane(0, p, c, z, (192, 320))


def averaged(pixels, step):
    """The plain way: the mean of each square, those at the far edges smaller."""
    height, width = pixels.shape
    rows = [
        [pixels[y : y + step, x : x + step].mean(dtype=float) for x in range(0, width, step)]
        for y in range(0, height, step)
    ]
    return np.array(rows)


@pytest.fixture
def plate(tmp_path):
    path = tmp_path / "p.ome.zarr"
    stores.write_plate(path, WELLS, sizes=SIZES)
    stores.make_old(path)
    return path


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4", "f8", "?", "c8"])
@pytest.mark.parametrize(("shape", "step"), [((96, 160), 4), ((13, 17), 3), ((5, 40), 8), ((7, 7), 1)])
def test_area_averages_are_the_means_of_squares(dtype, shape, step):
    pixels = (np.random.default_rng(0).random(shape) * 250).astype(dtype)
    if dtype == "u2":
        pixels[:4, :4] = 65535  # sums do not overflow
    small = shrunk(pixels, step)
    assert small.dtype == pixels.dtype
    if dtype != "?":
        real = pixels.real if dtype == "c8" else pixels
        assert np.allclose(small.real, averaged(real, step), atol=0.51 if small.dtype.kind in "ui" else 1e-3)


@pytest.mark.parametrize("isolate", [False, True])
def test_pictures_are_averages_of_the_planes_asked_for(plate, isolate):
    with open_dataset(plate, isolate=isolate) as ds:
        keys = [(0, p, c, 2) for p in range(4) for c in range(2)] + [(0, 1, 1, "max"), (0, 1, 1, "mean")]
        progress = []
        found = ds.thumbnails(keys, 32, progress=lambda done, all_: progress.append((done, all_)))
        assert progress[-1] == (10, 10)
        for (_, p, c, _), thumbnail in zip(keys[:8], found[:8], strict=True):
            assert thumbnail.state is PlaneState.PRESENT and max(thumbnail.pixels.shape) in range(32, 64)
            assert np.allclose(thumbnail.pixels, averaged(plane(p, c, 2), 10), atol=0.51 + 0.51)
        stack = [plane(1, 1, z) for z in range(3)]
        assert np.allclose(found[8].pixels, averaged(np.max(stack, axis=0), 10), atol=1.1)
        assert np.allclose(found[9].pixels, averaged(np.mean(stack, axis=0), 10), atol=1.1)
        assert ds.thumbnails(keys, 32, cancelled=lambda: True) == []


@pytest.mark.parametrize("isolate", [False, True])
def test_a_projection_is_of_the_planes_meant_that_are_there(tmp_path, isolate):
    path = tmp_path / "p.ome.zarr"
    stores.write_plate(
        path,
        {"A/1": 1, "A/2": 1, "A/3": 1, "A/4": 1},
        sizes={**SIZES, "z": 5, "y": 16, "x": 24},
        attributes=stores.image_attributes(complete=None),
    )

    def chunk(well, z):
        return path / well / f"0/0/c/0/0/{z}/0/0"

    chunk("A/2", 1).unlink()
    chunk("A/3", 2).write_bytes(b"\x02\x01\x21\x02" + b"\xff" * 60)
    for each in stores.chunk_files(path / "A/4"):
        each.unlink()
    stores.make_old(path)
    with open_dataset(path, isolate=isolate) as ds:
        keys = [(0, 0, 0, z) for z in ("max:1-3", "mean:3-", "min:4-9", "sum:9-12")]
        stack = [stores.plane(0, 0, 0, z, (16, 24)) for z in range(5)]
        wanted = [np.max(stack[1:4], 0), np.mean(stack[3:], 0), stack[4], stack[4].astype("u8")]
        for found, pixels in zip(ds.thumbnails(keys, 32), wanted, strict=True):
            assert found.state is PlaneState.PRESENT and np.array_equal(found.pixels, pixels)
        partly, damaged, nothing = ds.thumbnails(
            [(0, 1, 0, "min:0-2"), (0, 2, 0, "max"), (0, 3, 0, "max")], 32
        )
        assert nothing.state is PlaneState.ABSENT and nothing.pixels is None
        # a plane that is left out before one that is stored counts as the fill value, as in the main view
        assert partly.state is PlaneState.PRESENT and not partly.pixels.any()
        left = [stores.plane(0, 2, 0, z, (16, 24)) for z in (0, 1, 3, 4)]
        assert damaged.state is PlaneState.UNREADABLE and "not all planes" in damaged.reason
        assert np.array_equal(damaged.pixels, np.max(left, 0))


def test_a_pyramid_level_that_fits_is_read_and_nothing_else(tmp_path):
    path = tmp_path / "i.zarr"
    stores.write_pyramid(path, names=("0", "1", "2"))
    with open_dataset(path) as ds:
        sizes = [level.sizes for level in ds.levels()]
        for level in range(3):
            (found,) = ds.thumbnails([(0, 0, 0, 0)], max(sizes[level][1:]))
            assert found.pixels.shape == sizes[level][1:]
            assert np.array_equal(found.pixels, ds.plane(level=level))


def test_what_cannot_be_read_is_said_and_holds_nothing_else_back(plate):
    (chunk,) = [each for each in stores.chunk_files(plate / "A" / "2" / "0") if "c/0/0/0/0/0" in str(each)]
    chunk.write_bytes(b"\x02\x01\x21\x02" + b"\xff" * 60)  # of a blosc chunk only the beginning
    for each in stores.chunk_files(plate / "B" / "2" / "0"):
        each.unlink()
    with open_dataset(plate, isolate=True) as ds:
        found = ds.thumbnails([(0, p, 0, 0) for p in (0, 1, 2, 3, 9)], 32)
        assert [each.state for each in found] == [
            PlaneState.PRESENT,
            PlaneState.UNREADABLE,
            PlaneState.ABSENT,
            PlaneState.PRESENT,
            PlaneState.UNREADABLE,
        ]
        assert found[1].reason and found[2].pixels is None


def test_averages_are_kept_in_the_cache_by_version_and_never_in_the_dataset(plate, tmp_path, monkeypatch):
    options = {"cache_dir": str(tmp_path / "cache")}
    before = sorted(path for path in plate.rglob("*"))

    def read():
        with open_dataset(plate, storage_options=options) as ds:
            planes = []
            source = ds.source
            reading = source.read_small_planes

            def note(found, then):
                files = [Path(each.files[0]).relative_to(plate) for each in found]
                planes.extend("/".join(file.parts[:3]) for file in files)
                return reading(found, then)

            monkeypatch.setattr(source, "read_small_planes", note)
            found = ds.thumbnails([(0, p, 0, 0) for p in range(4)], 32)
            return sorted(planes), found

    planes, first = read()
    assert len(planes) == 4 and len(list((tmp_path / "cache").rglob("*.plane"))) == 4
    planes, again = read()
    assert planes == [] and all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    stores.fill(_opened(plate / "A" / "1" / "0"), p=5)
    planes, changed = read()
    assert planes == ["A/1/0"] and np.allclose(changed[0].pixels, averaged(plane(5), 10), atol=1.1)
    assert sorted(path for path in plate.rglob("*")) == before


def _opened(image):
    import tensorstore as ts

    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{image}/0/"}}).result()


# ---- in the background ---------------------------------------------------------------------------------


class SlowSource:
    """Makes pictures of one value, and notes which; `gate` holds them back."""

    def __init__(self):
        self.made: list[int] = []
        self.parts: list[int] = []
        self.gate = threading.Semaphore(0)

    def read(self, keys, edge, seconds_after):
        self.gate.acquire()
        self.made += [key.p for key in keys]
        self.parts.append(len(keys))
        return [Plane(PlaneState.PRESENT, np.full((1, 1), key.p)) for key in keys]


@pytest.fixture
def slow():
    source = SlowSource()
    news = threading.Event()
    loader = ThumbnailLoader(source, news.set)
    yield source, loader
    loader.close()
    source.gate.release(1000)
    loader.join(time.monotonic() + 60)


def key_of(p):
    return StackKey(0, p, 0, 0)


def waited_for(ready):
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_what_is_not_wanted_any_more_is_not_read(slow):
    source, loader = slow
    loader.want(WantedThumbnail(key_of(p), 32) for p in range(100))
    waited_for(lambda: loader.n_left == 100 and len(loader._reading) == 2)
    loader.want(WantedThumbnail(key_of(p), 32) for p in (200, 201))
    source.gate.release(1000)
    waited_for(lambda: not loader.n_left)
    assert {200, 201} < set(source.made) and len(source.made) <= 18
    assert {200, 201} <= {key.p for key in loader.take()}
    assert loader.take() == {}


def test_what_is_written_while_it_is_read_is_read_again(slow):
    source, loader = slow
    loader.want([WantedThumbnail(key_of(1), 32), WantedThumbnail(key_of(2), 32)])
    waited_for(lambda: len(loader._reading) > 0)
    loader.written([key_of(1), key_of(7)])
    source.gate.release(1000)
    waited_for(lambda: not loader.n_left)
    assert Counter(source.made) == {1: 2, 2: 1} and {key.p for key in loader.take()} == {1, 2}


def test_pictures_that_come_quickly_are_not_asked_for_in_ever_smaller_parts(slow):
    source, loader = slow
    source.gate.release(1000)
    loader.want(WantedThumbnail(key_of(p), 32) for p in range(600))
    waited_for(lambda: not loader.n_left)
    parts = source.parts
    assert max(parts) > 32 and sum(parts) == 600
    at = next(i for i, n in enumerate(parts) if n > 32)
    assert sum(n < 16 for n in parts[at:]) <= 1  # what is left at the end


# ---- by a cluster --------------------------------------------------------------------------------------

_CLUSTER = """
import sys
import numpy as np
from distributed import Client, LocalCluster
from ndviewer_light import open_dataset

if __name__ == "__main__":
    path = sys.argv[1]
    keys = [(0, p, c, 0) for p in range(4) for c in range(2)] * 4
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with open_dataset(path, isolate=True) as ds:
            here = ds.thumbnails(keys, 32)
            there = ds.thumbnails(keys, 32, scheduler=cluster.scheduler_address)
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(here, there))
            with Client(cluster) as client:
                by_client = ds.thumbnails(keys[:8] + [(0, 9, 0, 0)], 32, scheduler=client)
                assert [plane.state.name for plane in by_client] == ["PRESENT"] * 8 + ["UNREADABLE"]
                done = client.run(lambda: len(sys.modules["ndviewer_light.engine.cluster_thumbnails"]._open))
                assert set(done.values()) == {1}, done  # both workers have opened the dataset, once
    print("made", len(there))
"""


def test_a_cluster_of_two_processes_makes_the_same_pictures(plate, tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "by_cluster.py"
    script.write_text(_CLUSTER)
    command = [sys.executable, str(script), str(plate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "made 32", done.stderr


_SLOW_TRANSFERS = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from distributed import Client, LocalCluster
from ndviewer_light import open_dataset

if __name__ == "__main__":
    keys = [(0, p, c, 0) for p in range(4) for c in range(2)]
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client, open_dataset(sys.argv[1]) as ds, ThreadPoolExecutor(4) as pool:
            transfer = client._gather_remote

            async def slow(*args):
                await asyncio.sleep(0.25)
                return await transfer(*args)

            client._gather_remote = slow
            made = list(pool.map(lambda _: ds.thumbnails(keys, 32, scheduler=client), range(12)))
            print({plane.reason or plane.state.name for each in made for plane in each})
"""


def test_threads_whose_results_cross_together_do_not_disturb_each_other(plate, tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "slow_transfers.py"
    script.write_text(_SLOW_TRANSFERS)
    command = [sys.executable, str(script), str(plate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "{'PRESENT'}", done.stdout + done.stderr


def test_a_cluster_that_is_not_there_is_an_error_that_names_it(plate, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("ndviewer_light.engine.cluster_thumbnails.CLUSTER_SECONDS", 0.2)
    named = pytest.raises(DatasetError, match=r"tcp://127\.0\.0\.1:9 cannot be reached")
    with open_dataset(plate) as ds, named:
        ds.thumbnails([(0, 0, 0, 0)], scheduler="tcp://127.0.0.1:9")
