"""Writing a run plane by plane, at the pace of a microscope."""

from __future__ import annotations

import time
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Protocol

from .experiment import write_experiment_files, write_timepoint
from .faults import NO_FAULTS
from .late import LateFiles
from .ome_tiff_writer import OmeTiffs
from .pixels import plane_pixels
from .tiff_writer import ImageWriter, StackWriter
from .zarr_writer import ZarrStores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from .faults import Faults
    from .run import Run, WrittenPlane


class Writer(Protocol):
    """Writes the planes of a run in one layout."""

    def begin(self, plane: WrittenPlane, pixels: NDArray[Any]) -> Callable[[], None]:
        """Write the first part of a plane; calling the result writes the rest, after which it is on disk."""

    def complete(self, aborted: bool) -> None:
        """Mark the files: the acquisition is over."""


_WRITERS: dict[str, Callable[[Run], Writer]]
_WRITERS = {"images": ImageWriter, "stacks": StackWriter, "ome_tiff": OmeTiffs}


def write_run(
    run: Run,
    *,
    rate: float = 0.0,
    report: Callable[[WrittenPlane], object] | None = None,
    stop_after: int | None = None,
    start_delay: float = 0.0,
    faults: Faults = NO_FAULTS,
    ended: Callable[[], object] | None = None,
) -> int:
    """Write `run` in this process and return how many planes were acquired.

    `rate` in planes/s, 0 for as fast as possible. `report` is called in this thread after each plane is on
    disk, or once it is acquired if files are late or not saved. After `stop_after` planes the writer stops as
    if it had been killed: nothing is marked complete. `start_delay` in s, between the experiment's own
    files and the first image. `ended` is called when everything is written but not yet marked complete.

    Raises
    ------
    FileExistsError
        if the folder is not empty.
    ValueError
        for faults that cannot happen to this run.
    """
    faults.check(run)
    refuse_used(run.folder)
    write_experiment_files(run)
    time.sleep(start_delay)
    writer: Writer = _WRITERS.get(run.layout, ZarrStores)(run)
    saver, pace, taken = _saver(writer, faults), _pace(rate), 0
    for t, planes in groupby(islice(run.planes(), stop_after), key=lambda plane: plane.t):
        run.time_folder(t).mkdir()
        done = []
        for plane in planes:
            pixels = plane_pixels(run, t, plane.fov, plane.z, plane.channel)
            next(pace)
            saver.save(plane, pixels)
            done.append(plane)
            if report is not None:
                report(plane)
        taken += len(done)
        if len(done) == run.planes_per_t:
            write_timepoint(run, run.time_folder(t), done)
    saver.end(killed=stop_after is not None)
    if ended is not None:
        ended()
    if stop_after is None:
        _complete(run, writer, faults)
    return taken


def _complete(run: Run, writer: Writer, faults: Faults) -> None:
    time.sleep(faults.complete_after)
    if not faults.never_complete:
        writer.complete(faults.aborted)
        if not faults.aborted:
            (run.folder / ".done").touch()


class _Saver(Protocol):
    def save(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None: ...

    def end(self, killed: bool) -> None: ...


def _saver(writer: Writer, faults: Faults) -> _Saver:
    if faults.skip_saving:
        return _NotSaved()
    return LateFiles(writer, faults.late_files) if faults.late_files > 0 else _SavedAtOnce(writer)


class _SavedAtOnce:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def save(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        self._writer.begin(plane, pixels)()

    def end(self, killed: bool) -> None:
        pass


class _NotSaved:
    def save(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        pass

    def end(self, killed: bool) -> None:
        pass


def refuse_used(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose a new folder for the acquisition")


def _pace(rate: float) -> Iterator[None]:
    """Yield every 1/rate s, immediately if late."""
    start, count = time.monotonic(), 0
    while True:
        if rate > 0:
            time.sleep(max(0.0, start + count / rate - time.monotonic()))
        count += 1
        yield
