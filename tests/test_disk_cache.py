"""Planes on disk: the same planes come back, or none; never more than the bound; shared by processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ndviewer_light.storage.disk_cache import DiskCache, default_folder

ROOT = Path(__file__).resolve().parents[1]


def plane(value: int = 0, shape: tuple[int, int] = (64, 128)) -> np.ndarray:
    return np.arange(value, value + shape[0] * shape[1], dtype=np.uint16).reshape(shape)


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in files_in(folder))


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<i4", "float32", "complex64", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_put_comes_back_as_it_was_to_another_process_too(tmp_path, dtype, order):
    array = np.asarray(np.arange(77).reshape(7, 11) % 2, dtype=dtype, order=order)
    DiskCache(tmp_path, 10**6).put("a plane", array)
    back = DiskCache(tmp_path, 10**6).get("a plane")
    assert back is not None and back.dtype == array.dtype and np.array_equal(back, array)
    assert back.flags.f_contiguous == array.flags.f_contiguous and back.flags.writeable


def test_a_view_is_kept_as_the_pixels_it_shows(tmp_path):
    cache = DiskCache(tmp_path, 10**7)
    cache.put("part", plane()[::2, 3::5])
    assert np.array_equal(cache.get("part"), plane()[::2, 3::5])


def test_another_key_is_another_plane_and_keys_do_not_show_in_names(tmp_path):
    cache = DiskCache(tmp_path, 10**7)
    cache.put("https://host/a?signature=secret", plane(1))
    cache.put("https://host/b", plane(2))
    assert np.array_equal(cache.get("https://host/b"), plane(2))
    assert cache.get("https://host/c") is None
    assert not [
        file for file in files_in(tmp_path) if "secret" in file.name or b"secret" in file.read_bytes()
    ]


@pytest.mark.parametrize("where", ["magic", "description", "pixels", "sum"])
def test_a_flipped_bit_is_a_miss_and_the_file_goes(tmp_path, where):
    cache = DiskCache(tmp_path, 10**7)
    cache.put("a", plane())
    (file,) = files_in(tmp_path)
    data = bytearray(file.read_bytes())
    data[{"magic": 0, "description": 20, "pixels": len(data) // 2, "sum": len(data) - 1}[where]] ^= 4
    file.write_bytes(data)
    assert cache.get("a") is None
    assert not files_in(tmp_path)
    cache.put("a", plane())
    assert np.array_equal(cache.get("a"), plane())


@pytest.mark.parametrize("length", [0, 3, 12, 1000])
def test_a_file_cut_short_is_a_miss(tmp_path, length):
    cache = DiskCache(tmp_path, 10**7)
    cache.put("a", plane())
    os.truncate(files_in(tmp_path)[0], length)
    assert cache.get("a") is None


def test_never_more_than_the_bound_and_what_was_used_last_stays(tmp_path):
    bound = 20 * plane().nbytes
    cache = DiskCache(tmp_path, bound)
    for number in range(100):
        cache.put(f"plane {number}", plane(number))
        os.utime(cache._path(f"plane {number}"), ns=(number, number))  # clocks of files can be coarse
        assert bytes_in(tmp_path) <= bound
        assert cache.get("plane 0") is not None, "used each time, so never the least recently used"
    assert cache.get("plane 99") is not None
    assert cache.get("plane 50") is None


def test_the_bound_holds_for_what_another_process_left(tmp_path):
    DiskCache(tmp_path, 100 * plane().nbytes).put("large", plane(shape=(640, 256)))
    bound = 15 * plane().nbytes
    DiskCache(tmp_path, bound).put("small", plane())
    assert bytes_in(tmp_path) <= bound


def test_arrays_that_are_too_large_or_no_numbers_are_not_kept(tmp_path):
    cache = DiskCache(tmp_path, plane().nbytes)
    cache.put("large", plane())
    cache.put("objects", np.array([[None]]))
    assert not files_in(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_once_and_costs_nothing_else(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache", 10**7)
    cache.put("a", plane())
    cache.put("b", plane())
    assert cache.get("a") is None
    assert [record.message for record in caplog.records].count(caplog.records[0].message) == 1


def test_what_a_dead_process_left_half_written_is_removed(tmp_path):
    cache = DiskCache(tmp_path, 10**7)
    cache.put("a", plane())
    (file,) = files_in(tmp_path)
    half = file.with_name(f"{file.name}.1-1.part")
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    DiskCache(tmp_path, 10**7).put("b", plane())
    assert not half.exists()


def test_files_of_others_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "ab").mkdir()
    others = [tmp_path / "mine.plane", tmp_path / "ab" / "film.part", tmp_path / "ab" / "x.plane"]
    for file in others:
        file.write_bytes(b"x" * 10_000)
        os.utime(file, (0, 0))
    cache = DiskCache(tmp_path, 10 * plane().nbytes)
    for number in range(20):
        cache.put(f"plane {number}", plane(number))
    assert all(file.exists() for file in others)


_WRITER = """
import sys, numpy as np
from ndviewer_light.storage.disk_cache import DiskCache
folder, bound, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cache, random, hits = DiskCache(folder, bound), np.random.default_rng(seed), 0
for _ in range(400):
    number = int(random.integers(40))
    expected = np.full((64, 64), number, np.uint16)
    found = cache.get(f"plane {number}")
    if found is None:
        cache.put(f"plane {number}", expected)
    else:
        hits += 1
        assert np.array_equal(found, expected), number
print(hits)
"""


def test_processes_share_a_folder_and_never_see_anything_but_whole_planes(tmp_path):
    bound = 20 * 64 * 64 * 2
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(bound), str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(2)
    ]
    said = [writer.communicate(timeout=60) for writer in writers]
    assert all(writer.returncode == 0 for writer in writers), said
    assert all(int(hits) > 50 for hits, _ in said), "they do find each other's planes"
    assert bytes_in(tmp_path) <= bound * 18 // 16
    assert not list(tmp_path.rglob("*.part"))


def test_threads_that_put_the_same_plane_do_not_disturb_each_other(tmp_path):
    cache = DiskCache(tmp_path, 10**7)
    wrong = []

    def work() -> None:
        for _ in range(50):
            cache.put("a", plane())
            found = cache.get("a")
            if found is None or not np.array_equal(found, plane()):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(files_in(tmp_path)) == 1


def test_the_usual_folder_is_the_persons_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == str(tmp_path / "ndviewer-light")
