"""The statistics of a plane: right for every dtype, worked out where it is decoded, never stale."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from memory_source import Gate, MemorySource, in_thread, memory_info

import ndviewer_light as nl
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.known_statistics import database_of
from ndviewer_light.model import PlaneKey, PlaneStatistics
from ndviewer_light.sources.statistics_of_pixels import StatisticsOfParts, statistics_of
from ndviewer_light.storage.statistics_database import KeptRecord, StatisticsDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
NAN, INF = np.nan, np.inf
DTYPES = ["u1", "u2", ">u2", "u4", "u8", "i1", "i2", "i4", "<i8", "f2", "f4", ">f4", "f8"]


def expected(pixels: np.ndarray) -> dict[str, float]:
    """What numpy says of all pixels, in the plainest way."""
    values = pixels.astype(np.float64).ravel()
    values = values[np.isfinite(values)]
    p1, p50, p99_9 = np.percentile(values, [1, 50, 99.9])
    mean = values.mean()
    focus = values.var() / mean if mean > 0 else NAN
    return {
        "mean": mean,
        "low": values.min(),
        "high": values.max(),
        "p1": p1,
        "p50": p50,
        "p99_9": p99_9,
        "focus": focus,
    }


def agree(found: PlaneStatistics, right: dict[str, float], rtol: float = 1e-9) -> None:
    for name, value in right.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=rtol, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "arranged",
    [lambda a: a, np.asfortranarray, lambda a: a[::-2, 1::3], lambda a: a[:1, :1], lambda a: a[:, :0]],
    ids=["C", "F", "strided", "one pixel", "none"],
)
def test_every_dtype_and_order(dtype: str, arranged: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(3)
    least = 0 if np.dtype(dtype).kind == "u" else -40
    pixels = arranged(rng.integers(least, 100, (61, 83)).astype(dtype))
    found = statistics_of(pixels)
    assert (found.n, found.n_finite) == (pixels.size, pixels.size)
    if pixels.size:
        agree(found, expected(pixels))
    else:
        assert np.isnan(found.mean) and np.isnan(found.p50)
    assert found.is_unsigned == (np.dtype(dtype).kind == "u" or not pixels.size) or not pixels.size


def test_what_is_not_finite_is_left_out() -> None:
    pixels = np.array([[1.0, NAN, 3.0], [INF, 5.0, -INF]], np.float32)
    found = statistics_of(pixels)
    assert (found.n, found.n_finite) == (6, 3)
    agree(found, expected(pixels))
    assert found.saturated(5.0) != found.saturated(5.0)  # NaN: no detector counts in fractions
    nothing = statistics_of(np.full((4, 4), NAN))
    assert (nothing.n, nothing.n_finite) == (16, 0) and np.isnan(
        [nothing.mean, nothing.p50, nothing.focus]
    ).all()
    assert np.isnan(statistics_of(np.ones((2, 2), complex)).mean)
    assert statistics_of(np.array([[True, False]])).mean == 0.5
    huge = statistics_of(np.array([[1e300, 1e300]]))
    assert huge.p50 == 1e300 and np.isnan(huge.focus) | (huge.focus == 0)


def test_planes_of_one_value_have_focus_0_and_their_value() -> None:
    for value in (0, 7, 65535):
        found = statistics_of(np.full((9, 9), value, np.uint16))
        assert (found.mean, found.low, found.p1, found.p50, found.p99_9, found.high) == (value,) * 6
        assert found.focus == 0 if value else np.isnan(found.focus)


def test_saturation_is_counted_at_the_depth_of_the_detector() -> None:
    pixels = np.full((10, 10), 100, np.uint16)
    pixels[0, :5] = 4095
    found = statistics_of(pixels)
    assert found.saturated(4095) == 0.05  # 12 bits
    assert found.saturated(5000) == 0.0  # another plane of the channel goes beyond: 14 bits or more
    pixels[0, 1:5] = 4000
    assert statistics_of(pixels).saturated(4095) == 0.0  # one pixel is chance
    assert np.isnan(statistics_of(pixels.astype(np.int32)).saturated(4095))


@pytest.mark.parametrize(
    ("rows", "is_saturated"),
    [
        ([0, 255], False),
        ([255, 0, 255], False),
        ([255], True),
        ([0, 7, 255], True),
        ([7, 0, 255], True),
        ([255, 7], True),
    ],
)
def test_a_mask_is_not_saturated_whatever_parts_it_is_read_in(rows: list[int], is_saturated: bool) -> None:
    pixels = np.repeat(np.array(rows, np.uint8), 8).reshape(len(rows), 8)
    parts = StatisticsOfParts(pixels.size)
    for row in pixels:
        parts.add(row[None])
    for found in (statistics_of(pixels), parts.statistics()):
        assert (found.saturated(255) > 0) is is_saturated


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_large_planes_count_in_full_but_for_percentiles_and_focus(dtype: str) -> None:
    rng = np.random.default_rng(1)
    pixels = np.clip(rng.poisson(60, (1500, 1801)), 0, 255).astype(dtype)
    pixels[1, 1] = 255  # between the pixels that are sampled
    found, of_all, of_sample = statistics_of(pixels), expected(pixels), expected(pixels[::3, ::3])
    agree(found, {name: of_all[name] for name in ("mean", "low", "high")})
    agree(found, {name: of_sample[name] for name in ("p1", "p50", "p99_9", "focus")})
    np.testing.assert_allclose(found.focus, of_all["focus"], rtol=0.01)
    parts = StatisticsOfParts(pixels.size)
    for rows in (slice(0, 699), slice(699, 1500)):
        for columns in (slice(0, 999), slice(999, 1801)):
            parts.add(pixels[rows, columns])
    agree(parts.statistics(), dict(zip(PlaneStatistics._fields, found, strict=True)))


def test_a_reader_process_measures_what_it_decodes(tmp_path: Path) -> None:
    array = tmp_path / "a.zarr"
    stores.write_image(array)
    stores.make_old(array)
    pixels = [stores.plane(t=t, p=0, c=0, z=0) for t in (0, 1)]
    with nl.open_dataset(array, isolate=True) as dataset:
        dataset.plane(0)
        assert len(dataset.statistics) == 0  # nobody asked for any
        dataset.measure_what_is_read()
        for t in (0, 1):
            np.testing.assert_array_equal(dataset.plane(t), pixels[t])
        assert dataset.statistics.get(PlaneKey(0)) is None  # it was in memory
        agree(dataset.statistics.get(PlaneKey(1)) or PlaneStatistics(0, 0), expected(pixels[1]))
    with nl.open_dataset(array) as again:  # also in another process, without a read
        assert again.statistics.recall(again._source) == 1
        agree(again.statistics.get(PlaneKey(1)) or PlaneStatistics(0, 0), expected(pixels[1]))
    for chunk in stores.chunk_files(array):
        chunk.write_bytes(chunk.read_bytes())
    with nl.open_dataset(array) as written:  # what was written since does not count
        assert written.statistics.recall(written._source) == 0


def test_numbers_of_a_plane_that_is_written_meanwhile_are_dropped() -> None:
    source, gate = MemorySource(memory_info()), Gate()
    source.write((0, 0, 0, 0), 5)
    source.after_sample = gate
    with Dataset(source, live=True) as dataset:
        dataset.measure_what_is_read()
        first = in_thread(dataset.plane)
        gate.wait_for_one()
        source.write((0, 0, 0, 0), 9)
        dataset.notify(0, 0, 0, 0)
        gate.open()
        first.result()
        assert (dataset.plane() == 9).all()
        found = dataset.statistics.get(PlaneKey())
        assert found is not None and found.mean == 9
        dataset.notify(0, 0, 0, 0)
        dataset.take_changes()
        assert dataset.statistics.get(PlaneKey()) is None


def test_records_survive_damage_other_processes_and_a_full_folder(tmp_path: Path) -> None:
    first, second = (StatisticsDatabase(tmp_path, "a") for _ in range(2))
    first.put([KeptRecord("0 0 0 0 DAPI", "v1", b"x"), KeptRecord("1 0 0 0 DAPI", "v1", b"y")])
    second.put([KeptRecord("0 0 0 0 DAPI", "v2", b"z")])
    assert sorted(first.get_all()) == [
        ("0 0 0 0 DAPI", "v2", b"z"),
        ("1 0 0 0 DAPI", "v1", b"y"),
    ]
    for database in (first, second):
        database.close()
    Path(first.path).write_bytes(b"no database at all" * 100)
    assert first.get_all() == []
    first.put([KeptRecord("0", "v1", b"x")])
    assert first.get_all() == [("0", "v1", b"x")]
    first.close()
    with sqlite3.connect(first.path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    later = StatisticsDatabase(tmp_path, "a")
    assert later.get_all() == []  # of a later version of this program
    later.close()
    small = StatisticsDatabase(tmp_path, "b", max_bytes=10)
    small.put([KeptRecord("0", "v1", b"x")])
    small.close()
    assert not Path(first.path).exists() and Path(small.path).exists()
    nowhere = StatisticsDatabase(Path(small.path) / "below a file", "c")
    nowhere.put([KeptRecord("0", "v1", b"x")])
    assert nowhere.get_all() == []


def test_many_threads_note_numbers_while_others_look(tmp_path: Path) -> None:
    source = MemorySource(memory_info(n_t=200))
    for t in range(200):
        source.write((t, 0, 0, 0), t)
    with Dataset(source, path="/somewhere", storage_options={"cache_dir": str(tmp_path)}) as dataset:
        dataset.measure_what_is_read()
        threads = [
            threading.Thread(target=lambda i=i: [dataset.plane(t) for t in range(i, 200, 4)])
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(dataset.statistics.get(PlaneKey(t)) or PlaneStatistics(0, 0)).mean for t in range(200)] == [
            *range(200)
        ]
    database = database_of("/somewhere", {"cache_dir": str(tmp_path)})
    assert database is not None and database.get_all() == []  # nothing tells when a plane changed
    assert database_of("/somewhere", {"disk_cache": "no"}) is None
    assert database_of("", {}) is None


_FORKS = """
import os, sys, threading
from ndviewer_light import open_dataset
from ndviewer_light.model import PlaneKey

dataset = open_dataset(sys.argv[1])
dataset.measure_what_is_read()
dataset.plane(0)
dataset.statistics.flush()
held, go = threading.Event(), threading.Event()

def hold():
    with dataset.statistics._lock, dataset.statistics._database._lock:
        held.set(), go.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()
child = os.fork()
if child == 0:
    dataset.plane(1)
    mean = dataset.statistics.get(PlaneKey(1)).mean
    dataset.close()
    os.write(1, f"{mean}\\n".encode())
    os._exit(0)
go.set()
holder.join()
assert os.waitpid(child, 0)[1] == 0
print(len(dataset.statistics.kept()), dataset.statistics.get(PlaneKey(0)).mean)
dataset.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_measures_and_its_parent_keeps_what_it_has(tmp_path: Path) -> None:
    planes = np.stack([stores.plane(t=t) for t in (0, 1)])
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata={"axes": "TYX"})
    stores.make_old(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKS, str(tmp_path / "a.tif")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.stdout.split() == [str(planes[1].mean()), "2", str(planes[0].mean())], done.stderr


@pytest.mark.parametrize("shape", [(2048, 2048), (3000, 1001)])
def test_samples_of_large_planes_are_as_exact_as_is_said(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    pixels = np.clip(rng.gamma(2.0, 400.0, shape), 0, 65535).astype("u2")
    found, ordered = statistics_of(pixels), np.sort(pixels, axis=None)
    for name, percentile, bound in (("p1", 1, 0.03), ("p50", 50, 0.15), ("p99_9", 99.9, 0.01)):
        value = getattr(found, name)
        least, most = (
            100 * np.searchsorted(ordered, value, side) / ordered.size for side in ("left", "right")
        )
        assert least - bound <= percentile <= most + bound, name
    right = pixels.var(dtype=np.float64) / pixels.mean(dtype=np.float64)
    assert abs(found.focus / right - 1) < 0.01
