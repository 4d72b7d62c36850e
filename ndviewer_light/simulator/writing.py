"""Writing a run, plane by plane, at the pace of a microscope."""

from __future__ import annotations

import time
from itertools import groupby, islice
from typing import TYPE_CHECKING

from .experiment import write_experiment_files, write_timepoint
from .pixels import plane_pixels
from .zarr_writer import ZarrStores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .run import Run, WrittenPlane


def write_run(
    run: Run,
    *,
    rate: float = 0.0,
    report: Callable[[WrittenPlane], object] | None = None,
    stop_after: int | None = None,
    start_delay: float = 0.0,
) -> int:
    """Write `run` in this process and return how many planes were written.

    `rate` in planes/s, 0 as fast as possible. `report` is called, in this thread, after each plane
    is on disk. `stop_after` planes the writer stops as if it had been killed: nothing is marked
    complete. `start_delay` in s, between the experiment's own files and the first store.

    Raises
    ------
    FileExistsError
        if the folder holds something already.
    """
    refuse_used(run.folder)
    write_experiment_files(run)
    time.sleep(start_delay)
    stores, pace, written = ZarrStores(run), _pace(rate), 0
    for t, planes in groupby(islice(run.planes(), stop_after), key=lambda plane: plane.t):
        timepoint = run.folder / str(t)
        timepoint.mkdir()
        done = []
        for plane in planes:
            pixels = plane_pixels(run, t, plane.fov, plane.z, plane.channel)
            next(pace)
            stores.write(plane, pixels)
            done.append(plane)
            if report is not None:
                report(plane)
        written += len(done)
        if written == (t + 1) * sum(run.fovs) * run.n_z * len(run.channels):
            write_timepoint(run, timepoint, done)
    if stop_after is None:
        stores.complete()
        (run.folder / ".done").touch()
    return written


def refuse_used(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder for the acquisition")


def _pace(rate: float) -> Iterator[None]:
    """Each step comes 1/rate s after the one before, or at once if that time has passed."""
    start, count = time.monotonic(), 0
    while True:
        if rate > 0:
            time.sleep(max(0.0, start + count / rate - time.monotonic()))
        count += 1
        yield
