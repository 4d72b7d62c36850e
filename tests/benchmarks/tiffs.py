"""TIFFs as Squid leaves them: what it costs to open a run of many (T1), handles (T2), and a plane (T3)."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from .children import run_child
from .measure import Figure, at_most, medians

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHANNELS = (
    "BF_LED_matrix_full",
    "Fluorescence_405_nm_Ex",
    "Fluorescence_488_nm_Ex",
    "Fluorescence_561_nm_Ex",
)
_WELLS = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
_FIELDS, _Z, _TIMES = 9, 5, 10
_ALLOWED_MS = 100
_FILES = 10_000
_SIZE, _PLANES = 2048, 12


# ---- T1: opened by listing -------------------------------------------------------------------------


def t1(folder: Path) -> Iterator[Figure]:
    """Open a run of 172,800 image files, against listing their folders."""
    for t in range(_TIMES):
        _write_time_point(folder / str(t))
    said = run_child("tests.benchmarks.tiffs", "open_run", str(folder))
    opened, listed = said["open"], said["list"]
    yield at_most(
        "T1",
        "open 172,800 TIFFs, less 100 ms, ÷ listing them",
        opened,
        "ms",
        1.5,
        (opened - _ALLOWED_MS) / listed,
        peers={"list": listed, "look again": said["refresh"]},
    )
    # one of each channel: whether it is in colour is in the file
    yield at_most("T1", "… image files opened", said["files"], "", len(_CHANNELS))


def _write_time_point(folder: Path) -> None:
    folder.mkdir()
    for well, fov, z, channel in itertools.product(_WELLS, range(_FIELDS), range(_Z), _CHANNELS):
        path = f"{folder}/{well}_{fov}_{z}_{channel}.tiff"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    for channel in _CHANNELS:
        tifffile.imwrite(folder / f"A1_0_0_{channel}.tiff", np.ones((8, 8), np.uint16))


def open_run(path: str) -> dict[str, float]:
    """Open a run again and again; in a process of its own, which counts the images it opens."""
    from ndviewer_light.sources import open_source

    images: list[str] = []

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".tiff"):
            images.append(str(arguments[0]))

    sys.addaudithook(audit)
    kept = open_source(path)  # what is imported is not what is measured
    n_images = len(set(images))
    expected = {"t": _TIMES, "p": len(_WELLS) * _FIELDS, "c": len(_CHANNELS), "z": _Z, "y": 8, "x": 8}
    assert kept.info.sizes == expected, kept.info.sizes
    ms = medians(
        {"list": lambda: _list(path), "open": lambda: open_source(path).close(), "refresh": kept.refresh},
        rounds=9,
    )
    return {**ms, "files": n_images}


def _list(path: str) -> int:
    with os.scandir(path) as folders:
        return sum(1 for folder in folders for _ in os.scandir(folder.path))


# ---- T2: handles -------------------------------------------------------------------------------------


def t2(folder: Path) -> Iterator[Figure]:
    """Read a plane of each of 10,000 files by 8 threads; how many handles that takes."""
    (folder / "ome").mkdir()
    _write_ome_files(folder / "ome" / "ome_tiff")
    _write_stacks(folder / "stacks" / "0")
    for form in ("ome", "stacks"):
        said = run_child("tests.benchmarks.tiffs", "read_all", str(folder / form))
        yield at_most(
            "T2",
            f"handles with {_FILES // 2:,} {form} files",
            said["handles"],
            "",
            64,
            peers={"µs a plane": said["us"]},
        )


def _write_ome_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    first = folder / "A1_0.ome.tiff"
    metadata = {"axes": "TZCYX", "Channel": {"Name": ["BF"]}, "Plane": {"DeltaT": [0.0]}}
    tifffile.imwrite(first, np.ones((1, 1, 1, 16, 16), np.uint16), ome=True, metadata=metadata)
    for fov in range(1, _FILES // 2):
        shutil.copyfile(first, folder / f"A1_{fov}.ome.tiff")


def _write_stacks(folder: Path) -> None:
    folder.mkdir(parents=True)
    first = folder / "A1_0_stack.tiff"
    said = json.dumps({"z_level": 0, "channel": "BF", "channel_index": 0})
    tifffile.imwrite(first, np.ones((16, 16), np.uint16), description=said, metadata=None)
    for fov in range(1, _FILES // 2):
        shutil.copyfile(first, folder / f"A1_{fov}_stack.tiff")


def read_all(path: str) -> dict[str, float]:
    """Read every position, in a process of its own; the most handles it had, and µs a plane."""
    import time

    from ndviewer_light.model import PlaneKey
    from ndviewer_light.sources import open_source

    source = open_source(path)
    n_positions = len(source.info.positions)
    before, most = len(os.listdir("/proc/self/fd")), [0] * 8

    def read(number: int) -> None:
        for p in range(number, n_positions, len(most)):
            assert source.read_plane(PlaneKey(p=p))[0, 0] == 1
            most[number] = max(most[number], len(os.listdir("/proc/self/fd")) - before)

    start = time.perf_counter()
    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(most))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    us = (time.perf_counter() - start) / n_positions * 1e6
    source.close()
    return {"handles": max(most), "us": us}


# ---- T3: a plane --------------------------------------------------------------------------------------


def t3(folder: Path) -> Iterator[Figure]:
    """Read 2048² uint16 out of each form, against `readinto` of the same bytes of the same file."""
    from ndviewer_light.model import PlaneKey
    from ndviewer_light.sources import open_source

    files = {form: write(folder / form) for form, write in _WRITERS.items()}
    sources = {form: open_source(str(folder / form)) for form in files}
    kept: deque[object] = deque(maxlen=8)  # as a cache would: whoever comes next gets cold memory
    calls: dict[str, Callable[[], object]] = {}
    for form, places in files.items():
        calls[form] = _each(
            range(_PLANES), lambda z, form=form: sources[form].read_plane(PlaneKey(z=z)), kept
        )
        calls[f"{form} limit"] = _each(places, lambda place: _readinto(*place), kept)
        calls[f"{form} tifffile"] = _each(places, lambda place: tifffile.imread(place[0], key=place[2]), kept)
    ms = medians(calls, rounds=40)
    for form, source in sources.items():
        limit = ms[f"{form} limit"]
        peers = {"readinto": limit, "tifffile": ms[f"{form} tifffile"]}
        yield at_most(
            "T3", f"2048² out of {form} ÷ readinto", ms[form], "ms", 1.5, ms[form] / limit, peers=peers
        )
        source.close()


def _each(places: Any, read: Callable[[Any], object], kept: deque[object]) -> Callable[[], object]:
    turn = itertools.cycle(places)
    return lambda: kept.append(read(next(turn)))


def _readinto(path: str, offset: int, page: int) -> np.ndarray:
    pixels = np.empty((_SIZE, _SIZE), np.uint16)
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        file.readinto(pixels)  # type: ignore[arg-type]
    return pixels


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60_000, (_SIZE, _SIZE), np.uint16)


def _places(path: Path) -> list[tuple[str, int, int]]:
    with tifffile.TiffFile(path) as file:
        return [(str(path), page.dataoffsets[0], i) for i, page in enumerate(file.pages)]


def _write_images(folder: Path) -> list[tuple[str, int, int]]:
    (folder / "0").mkdir(parents=True)
    paths = [folder / "0" / f"A1_0_{z}_BF.tiff" for z in range(_PLANES)]
    for path in paths:
        tifffile.imwrite(path, _pixels())
    return [place for path in paths for place in _places(path)]


def _write_stack(folder: Path) -> list[tuple[str, int, int]]:
    (folder / "0").mkdir(parents=True)
    path = folder / "0" / "A1_0_stack.tiff"
    with tifffile.TiffWriter(path) as stack:
        for z in range(_PLANES):
            said = json.dumps({"z_level": z, "channel": "BF", "channel_index": 0})
            stack.write(_pixels(), description=said, metadata=None, contiguous=False)
    return _places(path)


def _write_ome(folder: Path) -> list[tuple[str, int, int]]:
    (folder / "ome_tiff").mkdir(parents=True)
    path = folder / "ome_tiff" / "A1_0.ome.tiff"
    metadata = {"axes": "TZCYX", "Plane": {"DeltaT": [0.0] * _PLANES}}
    pixels = np.broadcast_to(_pixels(), (1, _PLANES, 1, _SIZE, _SIZE))
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata)
    return _places(path)


_WRITERS: dict[str, Callable[[Path], list[tuple[str, int, int]]]] = {
    "images": _write_images,
    "a stack": _write_stack,
    "OME-TIFF": _write_ome,
}
