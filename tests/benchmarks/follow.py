"""Following what grows: what a look costs (F1), an idle viewer (F2), and what a writer feels of it (F3)."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .children import ROOT, run_child
from .growing import KINDS
from .measure import Figure, at_most, percentile, timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NUMBERS = (100, 5_000, 50_000)
_LOOKED_AT = ("folder of images", "Squid's images", "OME-Zarr", "OME-Zarr per field")
_ROUNDS = 7
_SETTLED_SECONDS = 0.06  # until then a file that was written counts as being written

# ---- F1: a look --------------------------------------------------------------------------------------


def f1(folder: Path) -> Iterator[Figure]:
    """A look after a plane was added, at 100, 5,000 and 50,000 planes."""
    for kind in _LOOKED_AT:
        ms = {n: _looks(kind, n, folder) for n in _NUMBERS}
        for n in _NUMBERS[1:]:
            peers = {
                f"at {_NUMBERS[0]}": ms[_NUMBERS[0]]["in view"],
                "out of view": ms[n]["out of view"],
                "nothing new": ms[n]["nothing new"],
                "until found": ms[n]["until found"],
            }
            ours = ms[n]["in view"]
            ratio = ours / ms[_NUMBERS[0]]["in view"]
            yield at_most("F1", f"{kind}: a look at {n:,} ÷ at 100", ours, "ms", 2, ratio, peers=peers)


def _looks(kind: str, n: int, folder: Path) -> dict[str, float]:
    said: dict[str, float] = run_child("tests.benchmarks.follow", "looks", kind, str(n), str(folder))
    return said


def looks(kind: str, n: str, folder: str) -> dict[str, float]:
    """What a look costs (ms, medians) at `n` planes; in a process of its own."""
    from pathlib import Path

    from ndviewer_light.model import PlaneKey
    from ndviewer_light.sources.disk_cached import open_disk_cached

    dataset = KINDS[kind](Path(folder, f"{kind.replace(' ', '-')}-{n}"), int(n))
    source = open_disk_cached(str(dataset.path))
    source.follow()
    elsewhere = PlaneKey()

    def look(key: PlaneKey) -> None:
        source.look()
        source.versions([key])

    source.read_versioned(elsewhere)
    time.sleep(_SETTLED_SECONDS)
    for _ in range(3):
        look(elsewhere)
    kinds = "nothing new", "in view", "out of view", "until found"
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(_ROUNDS):
        for what in ("in view", "out of view"):
            key = dataset.add()
            time.sleep(_SETTLED_SECONDS)
            found[what].append(timed(lambda key=key if what == "in view" else elsewhere: look(key)))
            began = time.perf_counter()
            while not source.info.contains(key):  # where listing has its share of the time only
                time.sleep(0.01)
                look(elsewhere)
            found["until found"].append((time.perf_counter() - began) * 1e3)
            look(elsewhere)
            source.read_versioned(key)
            found["nothing new"].append(timed(lambda: look(elsewhere)))
    source.close()
    shutil.rmtree(dataset.folder)
    return {what: statistics.median(ms) for what, ms in found.items()}


# ---- F2: an idle viewer ------------------------------------------------------------------------------

_IDLE_SECONDS = 30.0


def f2(folder: Path) -> Iterator[Figure]:
    """The CPU of a viewer that follows a dataset which has not changed for a while, all its processes."""
    said = run_child("tests.benchmarks.follow", "idle", str(folder / "run"), timeout_s=170)
    peers = {"its reader process": said["reader"], "wake-ups/s": said["wake-ups"]}
    yield at_most("F2", "an idle viewer that follows, of a core", said["share"], "%", 1, peers=peers)


def idle(folder: str) -> dict[str, float]:
    """Show what another process writes; when it has written nothing for a while, measure."""
    from .widget import Window

    window = Window()
    code = (
        "from pathlib import Path; from tests.benchmarks.growing import KINDS; import sys, time\n"
        f"data = KINDS['OME-Zarr'](Path({folder!r}), 100)\n"
        "print(data.path, flush=True); sys.stdin.readline()\n"
        "for _ in range(20): data.add(); time.sleep(0.1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        path = writer.stdout.readline().strip()
        window.open(path)
        writer.stdin.write("\n")
        writer.stdin.flush()
        window.run(3.0)
    viewer = window.viewer
    assert viewer.dataset is not None
    window.wait(lambda: viewer.dataset is not None and viewer.dataset.sizes["t"] == 120)
    window.rest(60.0)  # looks have become rare meanwhile
    pids = [os.getpid(), *_children(os.getpid())]
    before, switches, began = [_cpu_s(pid) for pid in pids], sum(map(_switches, pids)), time.monotonic()
    window.rest(_IDLE_SECONDS)
    seconds = time.monotonic() - began
    used = [_cpu_s(pid) - was for pid, was in zip(pids, before, strict=True)]
    rate = (sum(map(_switches, pids)) - switches) / seconds
    window.close()
    return {
        "share": 100 * sum(used) / seconds,
        "reader": 100 * sum(used[1:]) / seconds,
        "wake-ups": rate,
    }


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def _cpu_s(pid: int) -> float:
    """The time for which all threads of a process have run (s), by the scheduler."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def _switches(pid: int) -> int:
    """How often threads of a process have waited for something."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as status:
            total += int(next(line for line in status if line.startswith("voluntary")).split()[1])
    return total


# ---- F3: the writer ----------------------------------------------------------------------------------

_RATE, _FRAMES, _F3_ROUNDS = 10.0, 60, 4
_SIZE = 1024


def f3(folder: Path) -> Iterator[Figure]:
    """The jitter of a paced writer's frames with the viewer following ÷ without, in alternating rounds."""
    for writer in ("tensorstore", "png"):
        yield from _jitter_of(writer, "program", folder)


def f3b(folder: Path) -> Iterator[Figure]:
    """The same of a viewer that has the priority of the writer, as in a host: its reader process has not."""
    for writer in ("tensorstore", "png"):
        yield from _jitter_of(writer, "host", folder)


def _jitter_of(writer: str, viewer: str, folder: Path) -> Iterator[Figure]:
    where = str(folder / f"{writer}-{viewer}")
    said = run_child("tests.benchmarks.follow", "jitter", writer, viewer, where, timeout_s=170)
    without, following = said["without"], said["following"]
    for what, of in (("standard deviation", statistics.pstdev), ("99th percentile", _p99_late)):
        ours, alone = of(following), of(without)
        peers = {"without": alone, "frames": float(len(following))}
        what = f"{writer}, {what} of intervals ÷ without{' (in a host)' if viewer == 'host' else ''}"
        yield at_most(
            "F3" if viewer == "program" else "F3b", what, ours, "ms", 1.05, ours / alone, peers=peers
        )


def _p99_late(intervals: list[float]) -> float:
    return percentile(intervals, 99)


def jitter(writer: str, viewer: str, folder: str) -> dict[str, list[float]]:
    """The ms between frames of a writer, by whether the viewer follows it; in alternating rounds.

    `viewer`: "program", which lets others go first, or "host".
    """
    from pathlib import Path

    from ndviewer_light.__main__ import let_others_first

    from .widget import Window

    # with the priority that other programs have; ours is that of our program
    writers = [_paced_writer(writer, Path(folder, str(turn))) for turn in range(2 * _F3_ROUNDS)]
    if viewer == "program":
        let_others_first()
    window = Window()
    found: dict[str, list[float]] = {"without": [], "following": []}
    for turn in range(2 * _F3_ROUNDS):
        what = ("following", "without")[(turn + turn // 2) % 2]  # in another order every time
        path, process = Path(folder, str(turn)), writers[turn]
        assert process.stdin is not None and process.stdout is not None
        if what == "following":
            window.open(str(path / "a.zarr" if writer == "tensorstore" else path))
            window.viewer.set_follow(t=True)
        window.run(0.5)
        process.stdin.write("\n")
        process.stdin.flush()
        window.wait(lambda process=process: process.poll() is not None, 60)
        found[what] += [float(line) for line in process.stdout]
        process.stdout.close()
        process.stdin.close()
        if what == "following":
            dataset = window.viewer.dataset
            window.wait(lambda dataset=dataset: dataset.sizes["t"] == _FRAMES + 1)
    window.close()
    return found


def _paced_writer(writer: str, path: Path) -> subprocess.Popen[str]:
    """A writer that has written its first frame, and waits for a line."""
    path.mkdir(parents=True)
    code = f"from tests.benchmarks.follow import write_paced; write_paced({writer!r}, {str(path)!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def write_paced(writer: str, folder: str) -> None:
    """Write frames at `_RATE`; say how many ms were between the ends of two."""
    from pathlib import Path

    write = {"tensorstore": _TensorStoreFrames, "png": _PngFrames}[writer](Path(folder))
    write(0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start, ends = time.monotonic(), []
    for i in range(1, _FRAMES + 1):
        time.sleep(max(0.0, start + i / _RATE - time.monotonic()))
        write(i)
        ends.append(time.monotonic())
    sys.stdout.write("".join(f"{(b - a) * 1e3}\n" for a, b in itertools.pairwise(ends)))


class _TensorStoreFrames:
    """An OME-Zarr image that grows by one time point per frame."""

    def __init__(self, folder: Path) -> None:
        stores.write_image_metadata(folder / "a.zarr", (1, 1, 1, _SIZE, _SIZE), "fast")
        self._array: Any = stores.open_array(folder / "a.zarr")
        self._pixels = np.asfortranarray(stores.camera_noise(_SIZE))

    def __call__(self, i: int) -> None:
        self._array = self._array.resize(exclusive_max=[i + 1, 1, 1, _SIZE, _SIZE]).result()
        self._array[i, 0, 0].write(self._pixels).result()


class _PngFrames:
    """A folder with a PNG for each frame."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pixels = (stores.camera_noise(_SIZE) // 4).astype(np.uint8)

    def __call__(self, i: int) -> None:
        from PIL import Image

        Image.fromarray(self._pixels).save(self._folder / f"img_t{i:04d}.png", compress_level=1)


# ---- F4: what is there -------------------------------------------------------------------------------


def f4(folder: Path) -> Iterator[Figure]:
    """What is stored of 9,600 fields of four planes, per plane, against asking for each file."""
    said = run_child("tests.benchmarks.follow", "report", str(folder / "plate.ome.zarr"), timeout_s=170)
    peers = {"the first time": said["first"], "os.stat": said["stat"]}
    ratio = said["again"] / said["stat"]
    yield at_most(
        "F4", "report of 38,400 planes, a plane ÷ os.stat", said["again"], "µs", 20, ratio, peers=peers
    )


def report(path: str) -> dict[str, float]:
    """How long it takes to report, in µs a plane; in a process of its own."""
    from pathlib import Path

    from ndviewer_light import open_dataset

    plate = stores.write_plate(Path(path), 384, 25, (1, 4, 1, 64, 64))
    with open_dataset(plate) as dataset:
        found = {"first": timed(dataset.report), "again": timed(dataset.report)}
        n = dataset.report().expected
    wells = [plate / chr(65 + i // 24) / str(1 + i % 24) for i in range(384)]
    names = [f"{well}/{f}/0/c/0/{c}/0/0/0" for well in wells for f in range(25) for c in range(4)]
    found["stat"] = timed(lambda: [os.path.exists(name) for name in names])
    return {what: 1e3 * ms / n for what, ms in found.items()}
