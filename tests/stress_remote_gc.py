"""Remote HDF5 files opened, read and closed while the garbage collector runs as often as it can.

``python -m tests.stress_remote_gc --rounds 1000 --threads 8`` runs it for long, ``--share`` on a share.
Objects of h5py's wait for its lock when they are freed, in whichever thread the collector runs; whoever holds
that lock reads from a server here. It prints one line per hundred rounds; if a round takes longer than
``--patience`` seconds, the stacks of all threads are written to stderr and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hdf5_files import write_nwb
from tests.range_server import RangeServer
from tests.share_server import ShareServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

FRAMES = np.arange(4 * 12 * 10, dtype=np.uint16).reshape(4, 12, 10)
SERIES = 40


def write_many_series(path: Path) -> Path:
    """An NWB file of 40 TimeSeries and one TwoPhotonSeries, spread so that opening it takes many reads."""
    series: dict[str, dict[str, Any]] = {
        f"trace_{i:02}": {"type": "TimeSeries", "data": np.full((4, 100, 100), i, np.uint32)}
        for i in range(SERIES)
    }
    return write_nwb(path, **series, images={"data": FRAMES})


class _Cycle:
    """Garbage that only the collector frees, with an object of h5py's in it."""

    def __init__(self, held: h5py.Group) -> None:
        self.held, self.me = held, self


@contextlib.contextmanager
def busy_collector(local: Path) -> Iterator[None]:
    """The collector runs after every few objects, in every thread and in one of its own, and frees h5py's."""
    import h5py

    stop = threading.Event()

    def litter() -> None:
        with h5py.File(local, "r") as file:
            while not stop.is_set():
                for _ in range(30):  # freed by whichever thread the collector runs in next
                    _Cycle(file["acquisition"])
                time.sleep(0.0005)

    thread = threading.Thread(target=litter, name="litter")
    before = gc.get_threshold()
    gc.set_threshold(100, 2, 2)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        gc.set_threshold(*before)


def rounds(
    url: str, count: int, threads: int = 1, beat: Any = None, options: dict[str, str] | None = None
) -> int:
    """Open, read a plane and close, `count` times in all; returns how many planes had the right pixels."""
    from ndviewer_light.model import PlaneKey
    from ndviewer_light.sources.hdf5.source import HDF5Source

    numbers, right = itertools.count(), []

    def work() -> None:
        while (number := next(numbers)) < count:
            source = HDF5Source.open(f"{url}::/acquisition/images" if number % 2 else url, options)
            try:
                pixels = source.read_plane(PlaneKey(t=number % 4))
            finally:
                source.close()
            assert np.array_equal(pixels, FRAMES[number % 4].T), number
            right.append(number)
            if beat is not None:
                beat(number)

    workers = [threading.Thread(target=work, name=f"reader-{i}", daemon=True) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(right)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", action="store_true", help="smb:// instead of http://")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a round may take")
    options = parser.parse_args()
    began = time.monotonic()

    def beat(number: int) -> None:
        faulthandler.dump_traceback_later(options.patience, exit=True)
        if number % 100 == 0:
            sys.stdout.write(f"{number} rounds, {time.monotonic() - began:.0f} s\n")
            sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        path = write_many_series(Path(folder, "many.nwb"))
        with (ShareServer if options.share else RangeServer)(folder) as server:
            login = {"user": server.user, "password": server.password} if options.share else {}
            faulthandler.dump_traceback_later(options.patience, exit=True)
            with busy_collector(path):
                right = rounds(server.url("many.nwb"), options.rounds, options.threads, beat, login)
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{right} of {options.rounds} planes right, {time.monotonic() - began:.0f} s\n")
    return int(right != options.rounds)


if __name__ == "__main__":
    sys.exit(main())
