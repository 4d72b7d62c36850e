"""Plane statistics: their cost for a plane (M1), reads (M2), tables (M3), a thread (M4), views (O8)."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .children import run_child
from .measure import Figure, at_least, at_most, medians, percentile, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SHAPE = (2, 4, 4, 2048, 2048)
_LIMIT_MS = 3.0


def m1(_folder: Path) -> Iterator[Figure]:
    """Measure one 2048² plane that is in memory."""
    from ndviewer_light.sources.statistics_of_pixels import statistics_of

    noise = stores.camera_noise(2048)
    planes = {
        "uint16": noise,
        "uint16, transposed": np.asfortranarray(noise),
        "uint8": (noise >> 4).astype(np.uint8),
        "float32": noise.astype(np.float32),
    }
    calls: dict[str, Callable[[], object]] = {
        name: lambda pixels=pixels: statistics_of(pixels)  # type: ignore[misc]
        for name, pixels in planes.items()
    }
    calls["histogram"] = lambda: np.bincount(noise.ravel())
    ms = medians(calls, rounds=25)
    for name in planes:
        limit = _LIMIT_MS if name != "float32" else 10.0
        yield at_most(
            "M1", f"a 2048² plane, {name}", ms[name], "ms", limit, peers={"bincount": ms["histogram"]}
        )


def m2(folder: Path) -> Iterator[Figure]:
    """Read a plane through the reader process, with and without statistics."""
    from ndviewer_light import open_dataset

    stores.write_image(folder / "image", _SHAPE, "fast")
    options = {"disk_cache": "no"}
    with (
        open_dataset(folder / "image", cache_bytes=0, isolate=True, storage_options=options) as plain,
        open_dataset(folder / "image", cache_bytes=0, isolate=True, storage_options=options) as measuring,
    ):
        measuring.measure_what_is_read()
        calls = {"without": _each(plain), "with": _each(measuring)}
        ms = medians(calls, rounds=30)
    yield at_most(
        "M2",
        "a 2048² plane from the reader process: with statistics − without",
        ms["with"],
        "ms",
        _LIMIT_MS,
        ms["with"] - ms["without"],
        peers={"without": ms["without"]},
    )


def _each(dataset: Any) -> Callable[[], object]:
    planes = itertools.cycle(list(np.ndindex(_SHAPE[:3])))

    def read() -> object:
        t, c, z = next(planes)
        dataset.statistics.clear()  # what is known would not be measured again
        return dataset.plane(t=t, c=c, z=z)

    return read


def m3(folder: Path) -> Iterator[Figure]:
    """Measure all planes of an image, and once more; the same planes only read."""
    from ndviewer_light import open_dataset

    stores.write_image(folder / "image", _SHAPE, "fast")
    keys = [(t, 0, c, z) for t, c, z in np.ndindex(_SHAPE[:3])]
    read, first, second = [], [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            options = {"cache_dir": cache}
            with open_dataset(folder / "image", cache_bytes=0, storage_options=options) as dataset:
                read.append(timed(lambda: [None for _ in dataset.iter_planes(keys)]))
                first.append(timed(dataset.measure))
            with open_dataset(folder / "image", cache_bytes=0, storage_options=options) as dataset:
                second.append(timed(dataset.measure))
    n = len(keys)
    ours, only_read, again = (statistics.median(each) for each in (first, read, second))
    yield at_most(
        "M3",
        "measure() of 32 planes of 2048² ÷ reading them",
        ours / n,
        "ms a plane",
        1.5,
        ours / only_read,
        peers={"only read": only_read / n},
    )
    yield at_least("M3", "… ÷ the second time", again / n, "ms a plane", 10, ours / again)


def m4(folder: Path) -> Iterator[Figure]:
    """Measure a run in the background of the window: how long the GUI thread is away, and computes."""
    from .heartbeat import Heartbeat
    from .widget import Window

    stores.write_image(folder / "image", (16, 4, 1, 2048, 2048), "fast")
    window = Window()
    window.open(str(folder / "image"))
    numbers = window.viewer._screen.tools.statistics
    numbers.toggle()
    window.wait(lambda: numbers.panel.plot.plot is not None)
    window.run(1.0)
    idle = Heartbeat()
    window.run(1.5)
    idle.stop()
    busy = Heartbeat()
    numbers.panel.measure_asked.emit("run")
    window.wait(lambda: numbers.job.finished.is_set())
    busy.stop()
    per_plane = (sum(busy.cpu) - sum(idle.cpu) / len(idle.cpu) * len(busy.cpu)) / numbers.job.expected
    window.close()
    yield at_most(
        "M4",
        "measuring 64 planes of 2048²: the GUI thread computes for each",
        per_plane,
        "ms",
        _LIMIT_MS,
        peers={
            "away at most": max(busy.gaps),
            "away, idle": max(idle.gaps),
            "p99": percentile(busy.gaps, 99),
        },
    )


_STACK = (1, 1, 40, 2048, 2048)


def o8(folder: Path) -> Iterator[Figure]:
    """Go through planes of 2048² in the window, each as soon as the one before is shown: with and without."""
    run_child("tests.benchmarks.plane_statistics", "write_stack", str(folder / "image"))
    found: dict[str, list[dict[str, float]]] = {"yes": [], "": []}
    for turn in range(8):  # each with a cache of its own: numbers that are known are not worked out again
        kept = {"XDG_CACHE_HOME": str(folder / f"cache {turn}")}
        measures = ("yes", "")[turn % 2]
        found[measures].append(
            run_child(
                "tests.benchmarks.plane_statistics", "viewed", str(folder / "image"), measures, env=kept
            )
        )

    def of(measures: str, what: str) -> float:
        return min(each[what] for each in found[measures])  # what others do on the machine only adds to it

    ms = of("yes", "cpu") - of("", "cpu")
    peers = {"without": of("", "cpu"), "by the clock": of("yes", "ms"), "without it": of("", "ms")}
    what = "viewing 2048² planes: both processes compute more, a plane"
    yield at_most("O8", what, ms, "ms", _LIMIT_MS, peers=peers)
    here = max(each["measured here"] for each in found["yes"])
    known = min(each["known"] for each in found["yes"])
    peers = {"known of": known, "GUI thread, ms": of("yes", "gui"), "without": of("", "gui")}
    yield at_most("O8", "… planes measured in the window's process", here, "", 0, peers=peers)


def write_stack(folder: str) -> None:
    """The image that `viewed` goes through, by another process: the widget's must not load what writes."""
    from pathlib import Path

    stores.write_image(Path(folder), _STACK, "fast")


def viewed(folder: str, measures: str) -> dict[str, float]:
    """Ms for each plane: by the clock, computed, of it in the GUI thread; planes measured here, known of."""
    from ndviewer_light.engine import plane_measuring
    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.sources import source

    from .widget import Window

    if not measures:
        Dataset.measure_what_is_read = lambda self: None  # type: ignore[method-assign]
    measured_here: list[int] = []
    measure = source.statistics_of

    def noted(pixels: np.ndarray) -> Any:
        measured_here.append(pixels.size)
        return measure(pixels)

    source.statistics_of = plane_measuring.statistics_of = noted
    window = Window()
    window.open(folder)
    window.rest(1.0)
    began, computed, cpu = time.perf_counter(), time.thread_time(), _cpu_seconds()
    for z in range(1, _STACK[2]):
        window.viewer.set_current_index("z", z)
        window.wait(
            lambda z=z: (
                window.canvas.frame.view.z == z  # type: ignore[misc]
                and window.shows_pixels()
                and not window.canvas.busy
            )
        )
    n = _STACK[2] - 1
    ms, gui = (time.perf_counter() - began) * 1e3 / n, (time.thread_time() - computed) * 1e3 / n
    cpu = (_cpu_seconds() - cpu) * 1e3 / n
    known = len(window.viewer.stage.dataset.statistics) if window.viewer.stage else 0
    window.close()
    here = float(len(measured_here))
    return {"ms": ms, "cpu": cpu, "gui": gui, "measured here": here, "known": float(known)}


def _cpu_seconds() -> float:
    """For how long this process and its reader process have computed."""
    import psutil

    children = [each.cpu_times() for each in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(each.user + each.system for each in children)
