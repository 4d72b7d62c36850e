"""The numbers of planes: what they cost a plane (M1), a view (M2), a table (M3), and the GUI thread (M4)."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .measure import Figure, at_least, at_most, medians, percentile, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SHAPE = (2, 4, 4, 2048, 2048)
_LIMIT_MS = 3.0


def m1(_folder: Path) -> Iterator[Figure]:
    """Measure one 2048² plane that is in memory."""
    from ndviewer_light.sources.plane_statistics import numbers_of

    noise = stores.camera_noise(2048)
    planes = {
        "uint16": noise,
        "uint16, transposed": np.asfortranarray(noise),
        "uint8": (noise >> 4).astype(np.uint8),
        "float32": noise.astype(np.float32),
    }
    calls: dict[str, Callable[[], object]] = {
        name: lambda pixels=pixels: numbers_of(pixels)  # type: ignore[misc]
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
    """Read a plane through the reader process, with and without numbers."""
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
        "a 2048² plane from the reader process: with numbers − without",
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
        dataset.numbers.clear()  # what is known would not be measured again
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
    numbers = window.viewer._screen.tools.numbers
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
