"""What stays in memory when the same is done again and again (P12): slopes, in a process of their own."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import stores
from .children import run_child
from .measure import Figure, at_most, rss_bytes, slope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHAPE = (50, 2, 5, 64, 64)


def p12(folder: Path) -> Iterator[Figure]:
    """Index changes, loads and starts of one widget, planes of a run: bytes that each leaves behind."""
    image = str(folder / "image")
    stores.write_image(folder / "image", _SHAPE, "none")
    children = ("index_changes", "live_planes", "loads", "starts", "file_runs")

    def measured(name: str) -> float:
        grown: float = run_child(__name__, name, image, timeout_s=590)
        return grown

    with ThreadPoolExecutor(len(children)) as pool:  # all at once: bytes do not depend on the time they take
        grown = dict(zip(children, pool.map(measured, children), strict=True))
    yield at_most("P12", "an index change (of 2,000)", grown["index_changes"] / 1e3, "KB", 5)
    yield at_most("P12", "a live plane (of 10,000)", grown["live_planes"], "bytes", 100)
    yield at_most("P12", "a load_dataset (of 60)", grown["loads"] / 1e6, "MB", 0.2)
    yield at_most("P12", "a start_zarr_acquisition and its end (of 60)", grown["starts"] / 1e6, "MB", 0.2)
    yield at_most("P12", "a start_acquisition and its end (of 60)", grown["file_runs"] / 1e6, "MB", 0.2)


def p12c(folder: Path) -> Iterator[Figure]:
    """Whole runs, one after the other: what each leaves behind."""
    run = run_child(__name__, "whole_runs", str(folder / "runs"), "512", timeout_s=590)
    yield at_most("P12c", "a run in a folder of its own (of 120)", run / 1e6, "MB", 0.05)


def p12d(folder: Path) -> Iterator[Figure]:
    """The same with planes of 2048²."""
    run = run_child(__name__, "whole_runs", str(folder / "runs"), "2048", timeout_s=890)
    yield at_most("P12d", "a run of planes of 2048² (of 120)", run / 1e6, "MB", 0.05)


def _growth(do: Callable[[int], None], times: int, looks: int = 40) -> float:
    """Bytes by which the process grows each time, after a tenth to settle in; least squares."""
    for i in range(times // 10):
        do(i)
    per_look = max(1, times // looks)
    seen: list[float] = []
    for i in range(times):
        do(i)
        if i % per_look == per_look - 1:
            gc.collect()
            seen.append(rss_bytes())
    return slope(seen) / per_look


def index_changes(path: str) -> float:
    """Move through t and z; each change waits for its frame."""
    from .widget import Window

    window = Window(320, 240)  # small: painting is not what is measured
    window.open(path)
    stage = window.viewer.stage
    assert stage is not None

    def change(i: int) -> None:
        t, z = i % _SHAPE[0], i // _SHAPE[0] % _SHAPE[2]
        stage.go_to(t=t, z=z)
        window.wait(lambda: window.canvas.frame.view[:3] == (t, 0, z) and not window.canvas.busy)  # type: ignore[union-attr]

    return _growth(change, 2000)


def live_planes(path: str) -> float:
    """Planes of a run that is told of 10,000; one in ten is in view and drawn."""
    from .widget import Window

    window = Window(320, 240)  # small: painting is not what is measured
    _start(window, path)
    notify = window.viewer.notify_zarr_frame

    def tell(i: int) -> None:
        notify(i % _SHAPE[0], 0, i // _SHAPE[0] % _SHAPE[2], stores.CHANNELS[i % 2])
        if i % 10 == 0:
            notify(0, 0, 0, stores.CHANNELS[0])
            window.run(0.0)

    return _growth(tell, 10_000)


def loads(path: str) -> float:
    """Open the dataset anew, each time until it is drawn."""
    from .widget import Window

    window = Window(320, 240)  # small: painting is not what is measured

    def load(i: int) -> None:
        window.open(path)

    return _growth(load, 60)


def starts(path: str) -> float:
    """Announce a run anew, each time until its planes are drawn and it is over."""
    from .widget import Window

    window = Window(320, 240)  # small: painting is not what is measured

    def start(i: int) -> None:
        _start(window, path)
        window.viewer.end_zarr_acquisition()
        window.viewer.end_acquisition()
        window.run(0.05)

    return _growth(start, 60)


def file_runs(path: str) -> float:
    """The same with a run of image files, 10,000 of them registered."""
    import numpy as np
    import tifffile

    from .widget import Window

    window = Window(320, 240)
    viewer, channels = window.viewer, list(stores.CHANNELS[: _SHAPE[1]])
    file = f"{path}_run/0/A1_0_0_{{}}.tiff"
    Path(file).parent.mkdir(parents=True)
    for channel in channels:
        tifffile.imwrite(file.format(channel.replace(" ", "_")), np.ones((64, 64), np.uint16))

    def start(i: int) -> None:
        viewer.start_acquisition(channels, _SHAPE[2], 64, 64, ["A1:0"])
        for n in range(10_000):
            channel = channels[n % 2]
            t, z = n // 10, n // 2 % _SHAPE[2]
            folder = f"{path}_run/{t}/"
            viewer.register_image(t, 0, z, channel, f"{folder}A1_0_{z}_{channel.replace(' ', '_')}.tiff")
        dataset = viewer.dataset
        assert dataset is not None
        window.wait(lambda: dataset.info.dtype is not None and window.shows_pixels())
        viewer.end_acquisition()
        window.run(0.05)

    return _growth(start, 60)


def whole_runs(folder: str, side: str) -> float:
    """Runs of image files as a host has them: each in a folder of its own, until its end.

    At every look the same is on screen, and all of it has arrived.
    """
    import os
    import shutil

    import numpy as np
    import tifffile

    from .widget import Window

    window = Window(800, 600)
    viewer, channels, size = window.viewer, list(stores.CHANNELS), int(side)
    root = Path(folder)
    root.mkdir()
    for c in range(len(channels)):
        noise = np.random.default_rng(c).integers(0, 1000, (size, size), np.uint16)
        tifffile.imwrite(root / f"{c}.tiff", noise)

    def run(i: int) -> None:
        own = root / str(i)
        viewer.start_acquisition(channels, 3, size, size, ["A1:0", "A1:1"])
        for t in range(2):
            (own / str(t)).mkdir(parents=True, exist_ok=True)
            for p in range(2):
                for z in range(3):
                    for c, channel in enumerate(channels):
                        path = own / str(t) / f"A1_{p}_{z}_{channel.replace(' ', '_')}.tiff"
                        if not path.exists():
                            os.link(root / f"{c}.tiff", path)
                        viewer.register_image(t, p, z, channel, str(path))
        dataset = viewer.dataset
        assert dataset is not None
        window.wait(lambda: dataset.info.dtype is not None and window.shows_pixels())
        viewer.load_fov(0, 1, 2)
        window.wait(lambda: _is_drawn(window, (1, 0, 2)))
        viewer.end_acquisition()
        window.run(0.2)  # what is in view is read once more
        window.wait(lambda: _is_drawn(window, (1, 0, 2)))
        shutil.rmtree(own)

    return _growth(run, 120)


def _is_drawn(window: Any, view: tuple[int, int, int]) -> bool:
    frame = window.canvas.frame
    return (
        frame is not None
        and frame.view[:3] == view
        and not window.canvas.busy
        and bool(window.shows_pixels())
    )


def _start(window: Any, path: str) -> None:
    window.viewer.start_zarr_acquisition(
        [path], list(stores.CHANNELS[: _SHAPE[1]]), _SHAPE[2], ["A1:0"], 64, 64
    )
    dataset = window.viewer.dataset
    assert dataset is not None
    window.wait(lambda: dataset.info.dtype is not None and window.shows_pixels())
