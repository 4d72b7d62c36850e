"""What a host pays: a start where nothing answers, notifications, a burst, the first run (H1 to H4)."""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import stores
from .children import run_child
from .measure import Figure, at_least, at_most, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHAPE = (4, 4, 5, 64, 64)
_THREADS = 8
_PASSES = 5
_BURST = 100_000
_LABELS = [f"{row}{column}:{fov}" for row in "ABCDEFGH" for column in range(1, 13) for fov in range(9)]
_CHANNELS = list(stores.CHANNELS)


# ---- starting ----------------------------------------------------------------------------------------


def h1(folder: Path) -> Iterator[Figure]:
    """Start runs of 864 positions: all well; and with a network that swallows and a disk that hangs."""
    stores.write_image(folder / "image", _SHAPE, "fast")
    well = run_child("tests.benchmarks.host", "start_runs", str(folder), "well")
    ill = run_child("tests.benchmarks.host", "start_runs", str(folder), "ill")
    for way in ("start_acquisition", "start_zarr_acquisition", "start_zarr_acquisition_6d"):
        ours, quiet = ill[way], well[way]
        yield at_most(
            "H1", f"{way}, network and disk dead ÷ both well", ours, "ms", 1.2, ours / quiet,
            peers={"well": quiet},
        )  # fmt: skip
        yield at_most(
            "H1", "… ÷ the longest stall of mere drawing", ours, "ms", 1, ours / ill["redraw"],
            peers={"stall of drawing": ill["redraw"]},
        )  # fmt: skip
    yield at_most(
        "H1", "longest stall in the second after a start, dead ÷ well", ill["stall"], "ms", 1.2,
        ill["stall"] / well["stall"], peers={"well": well["stall"]},
    )  # fmt: skip
    yield at_most("H1", "attempts to connect", ill["attempts"], "", 0)


def start_runs(folder: str, health: str) -> dict[str, float]:
    """Median ms of each kind of start, and how long the event loop is away around it."""
    from .heartbeat import Heartbeat
    from .start import _block_network
    from .widget import Window

    attempts = _block_network() if health == "ill" else []
    root = Path(folder, health)
    root.mkdir()
    if health == "ill":
        _hang(root)
    window = Window()
    window.open(str(Path(folder, "image")))
    heart = Heartbeat()
    for i in range(20):  # what drawing alone costs
        window.viewer.set_current_index("z", i % _SHAPE[2])
        window.run(0.05)
    redraw = percentile(heart.stop(), 99)
    costs: dict[str, list[float]] = {}
    stalls: list[float] = []
    for _ in range(13):
        for name, start in _starts(window.viewer, root).items():
            heart = Heartbeat()
            begin = time.perf_counter()
            start()
            costs.setdefault(name, []).append((time.perf_counter() - begin) * 1e3)
            window.run(0.4)
            stalls.append(max(heart.stop()))
    window.close()
    medians = {name: statistics.median(values) for name, values in costs.items()}
    return {**medians, "stall": statistics.median(stalls), "redraw": redraw, "attempts": len(attempts)}


def _hang(root: Path) -> None:
    """Make files of the run that whoever opens them waits for, as on a network drive that is gone."""
    for parts in (("zarr", "A1", "fov_0.ome.zarr"), ("zarr", "A1", "acquisition.zarr")):
        folder = root.joinpath(*parts)
        folder.mkdir(parents=True)
        os.mkfifo(folder / "zarr.json")
    (root / "0").mkdir()
    os.mkfifo(root / "0" / f"A1_0_0_{_file_channel(0)}.tiff")


def _file_channel(c: int) -> str:
    return _CHANNELS[c].replace(" ", "_")


def _starts(viewer: Any, root: Path) -> dict[str, Callable[[], None]]:
    regions = list(dict.fromkeys(label.partition(":")[0] for label in _LABELS))
    per_fov = [
        str(root / "zarr" / region / f"fov_{fov}.ome.zarr")
        for region, _, fov in (label.partition(":") for label in _LABELS)
    ]
    per_region = [str(root / "zarr" / region / "acquisition.zarr") for region in regions]
    channels, n_z = _CHANNELS, _SHAPE[2]

    def images() -> None:
        viewer.start_acquisition(channels, n_z, 64, 64, _LABELS)
        viewer.register_image(0, 0, 0, channels[0], str(root / "0" / f"A1_0_0_{_file_channel(0)}.tiff"))

    return {
        "start_acquisition": images,
        "start_zarr_acquisition": lambda: viewer.start_zarr_acquisition(
            per_fov, channels, n_z, _LABELS, 64, 64
        ),
        "start_zarr_acquisition_6d": lambda: viewer.start_zarr_acquisition_6d(
            per_region, channels, n_z, [9] * len(regions), 64, 64, regions
        ),
    }


# ---- telling -----------------------------------------------------------------------------------------


def h2(folder: Path) -> Iterator[Figure]:
    """Register files from eight threads at once, as fast as they can; names follow Squid's rule, or none."""
    for names in ("regular", "irregular"):
        told = run_child("tests.benchmarks.host", "register", str(folder / names), names)
        yield at_least("H2", f"register_image from 8 threads, {names} names", told["rate"] / 1e3, "k/s", 500)
        yield at_most(
            "H2", "… one call, 99th percentile", told["p99"], "µs", 20, peers={"median": told["median"]}
        )


def register(folder: str, names: str) -> dict[str, float]:
    """Calls a second, and µs of one, with the event loop running."""
    from .widget import Window

    window = Window(320, 240)
    window.viewer.start_acquisition(_CHANNELS, _SHAPE[2], 64, 64, _LABELS)
    planes = _files(folder, names)
    tell = window.viewer.register_image
    window.run(1.0)  # the canvas is built, once a run

    def storm(first: int) -> None:
        mine = planes[first::_THREADS]
        for _ in range(_PASSES):
            for plane in mine:
                tell(*plane)

    took = _in_threads(window, [lambda first=i: storm(first) for i in range(_THREADS)])
    costs: list[list[int]] = [[] for _ in range(_THREADS)]

    def timed(first: int) -> None:
        clock, mine = time.perf_counter_ns, costs[first]
        for plane in planes[first::_THREADS]:
            begin = clock()
            tell(*plane)
            mine.append(clock() - begin)

    _in_threads(window, [lambda first=i: timed(first) for i in range(_THREADS)])
    window.close()
    every = [ns / 1e3 for mine in costs for ns in mine]
    return {
        "rate": _PASSES * len(planes) / took,
        "median": percentile(every, 50),
        "p99": percentile(every, 99),
    }


def _files(folder: str, names: str, n_t: int = 8) -> list[tuple[int, int, int, str, str]]:
    """Files of a run in the order of acquisition: t, position, z, channel, path."""
    planes = []
    for t in range(n_t):
        for p, label in enumerate(_LABELS):
            stem = f"{folder}/{t}/{label.replace(':', '_')}"
            for z in range(_SHAPE[2]):
                for c, channel in enumerate(_CHANNELS):
                    number = f"{folder}/image_{len(planes):07d}.tiff"
                    regular = f"{stem}_{z}_{_file_channel(c)}.tiff"
                    planes.append((t, p, z, channel, regular if names == "regular" else number))
    return planes


def _in_threads(window: Any, works: list[Callable[[], None]]) -> float:
    threads = [threading.Thread(target=work) for work in works]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    window.wait(lambda: not any(thread.is_alive() for thread in threads), 60)
    return time.perf_counter() - begin


# ---- a burst -----------------------------------------------------------------------------------------


def h3(folder: Path) -> Iterator[Figure]:
    """What a burst of 100,000 notifications does to the GUI thread, the planes in view among them."""
    said = run_child("tests.benchmarks.host", "burst", str(folder / "image"))
    yield at_most(
        "H3", "longest stall while 100,000 notifications arrive ÷ without", said["burst"], "ms", 1.3,
        said["burst"] / said["without"], peers={"without": said["without"]},
        note="the same frames drawn in both; median of nine",
    )  # fmt: skip


def burst(folder: str) -> dict[str, float]:
    """The longest absence of the event loop, ms: drawing with nobody telling, and with a burst."""
    os.environ["LP_NUM_THREADS"] = "1"  # OpenGL in software would take the core of whoever tells as well
    from .heartbeat import Heartbeat
    from .widget import Window

    run_child("tests.benchmarks.live", "write_small", folder)
    window = Window()
    viewer = window.viewer
    viewer.start_zarr_acquisition([folder], _CHANNELS, _SHAPE[2], ["A1:0"], 64, 64)
    viewer.notify_zarr_frame(0, 0, 0, _CHANNELS[0])
    window.wait(window.shows_pixels)
    planes = [(t, 0, z, c) for t in range(_SHAPE[0]) for z in range(_SHAPE[2]) for c in _CHANNELS]

    def tell() -> None:
        for _ in range(_BURST // len(planes)):
            for plane in planes:
                viewer.notify_zarr_frame(*plane)

    def longest(told: bool) -> float:
        heart = Heartbeat()
        thread = threading.Thread(target=tell if told else (lambda: None))
        thread.start()
        end = time.monotonic() + 0.5
        while time.monotonic() < end or thread.is_alive():
            assert viewer.stage is not None
            viewer.stage.go_to(z=int(time.monotonic() * 20) % _SHAPE[2])
            window.run(0.05)
        return max(heart.stop())

    window.run(1.0)
    stalls = [(longest(False), longest(True)) for _ in range(9)]
    window.close()
    without, during = zip(*stalls, strict=True)
    return {"without": statistics.median(without), "burst": statistics.median(during)}


# ---- the first run -----------------------------------------------------------------------------------


def h4(folder: Path) -> Iterator[Figure]:
    """What the first run of a process does to the host's event loop: from the import to its pictures."""
    for when in ("later", "at once", "imported ahead"):
        seen = [
            run_child("tests.benchmarks.host", "first_run", str(folder / f"{when}{i}"), when)
            for i in range(3)
        ]
        for step in seen[0]:
            gap, cpu = (statistics.median(run[step][i] for run in seen) for i in range(2))
            yield at_most(
                "H4", f"first run, {_HOW[when]}: {step}", gap, "ms", 50, peers={"computing": cpu},
                note="longest gap between beats of 5 ms; median of three",
            )  # fmt: skip


_HOW = {"later": "started later", "at once": "started at once", "imported ahead": "imported ahead"}


def first_run(folder: str, when: str) -> dict[str, tuple[float, float]]:
    """The longest gap, and the most that the GUI thread computed in one, in ms, of each step of a first run.

    The host has a window with Qt's widgets, numpy and tifffile; the viewer comes in another of its tabs.
    """
    from ndviewer_light.__main__ import choose_binding

    choose_binding()
    import numpy as np
    import tifffile
    from qtpy import QtGui  # noqa: F401  as hosts do
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication, QLabel, QMainWindow, QTabWidget

    from .heartbeat import Heartbeat

    app = QApplication([])
    host, tabs = QMainWindow(), QTabWidget()
    tabs.addTab(QLabel("host"), "host")
    host.setCentralWidget(tabs)
    host.resize(1100, 800)
    host.show()
    steps: dict[str, tuple[float, float]] = {}

    def step(name: str, do: Callable[[], None], seconds: float) -> None:
        heart, loop = Heartbeat(), QEventLoop()
        QTimer.singleShot(20, do)  # within the loop, as a button's slot
        QTimer.singleShot(int(seconds * 1e3), loop.quit)
        loop.exec() if hasattr(loop, "exec") else loop.exec_()
        steps[name] = max(heart.stop()), max(heart.cpu)

    viewers: list[Any] = []

    def build() -> None:
        viewers.append(sys.modules["ndviewer_light.core"].LightweightViewer())
        tabs.addTab(viewers[0], "viewer")
        tabs.setCurrentIndex(1)

    def start() -> None:
        viewers[0].start_acquisition(_CHANNELS, 3, 512, 512, ["A1:0"])

    def write() -> None:
        for c, channel in enumerate(_CHANNELS):
            path = Path(folder, "0", f"A1_0_0_{_file_channel(c)}.tiff")
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.full((512, 512), 100 * c + 1, np.uint16))
            viewers[0].register_image(0, 0, 0, channel, str(path))

    def run() -> None:
        start()
        threading.Thread(target=write).start()

    step("the host alone", lambda: None, 0.5)
    if when == "imported ahead":
        from ndviewer_light import import_ahead

        step("importing in a thread", import_ahead, 2.0)
    step("import of the widget", _import_widget, 0.3)
    if when != "at once":
        step("building it, and what it prepares", build, 2.0)
        step("the start, and the first planes", run, 2.0)
    else:
        step("building it, the start, and the first planes", lambda: (build(), run())[0], 3.0)
    step("the second run", run, 2.0)
    viewers[0].close()
    app.processEvents()
    return steps


def _import_widget() -> None:
    from ndviewer_light.core import LightweightViewer  # noqa: F401
