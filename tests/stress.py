"""``python -m tests.stress kills|stops [--rounds N]``: how long until the next plane when a reader fails.

Scrubs through a small dataset as a view does, each plane wanted for a moment only, and meanwhile kills the
reader process (kills) or stops it (stops: it neither answers nor ends) over and over. Every plane that comes
is compared with what was written. The time runs from the signal until a plane is there that was asked for
after it.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if not __package__ or __package__ == "tests":  # the tests import each other by their bare names
    sys.path.append(os.path.dirname(__file__))

import stores

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNALS = {"kills": signal.SIGKILL, "stops": signal.SIGSTOP}
ROUNDS = {"kills": 200, "stops": 50}
STOP_DEADLINE_SECONDS = 2.0
ALLOWED_SECONDS = 1.0
"""So long after a kill, or after the deadline of a read in a process that was stopped."""

_OPEN_SECONDS = 60.0  # on whatever machine
_WANTED_SECONDS = 0.03  # a plane, before the next one is wanted
_UNDISTURBED_SECONDS = (0.0, 0.1)
_NEVER_SECONDS = 120.0
_SIZES = {"t": 8, "c": 2, "z": 4}


class Scrubber:
    """Asks for one plane after the other and gives each up after a moment. Checks every plane that comes."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        keys = [PlaneKey(*key) for key in itertools.product(range(8), range(1), range(2), range(4))]
        self._expected = {key: stores.plane(*key) for key in keys}
        self._keys = itertools.cycle(keys)
        self.planes = 0

    def step(self) -> bool:
        """Want the next plane; whether it came."""
        key = next(self._keys)
        [plane] = self._dataset.planes([key], wait=_WANTED_SECONDS)
        if plane.state is not PlaneState.PRESENT:
            return False
        np.testing.assert_array_equal(plane.pixels, self._expected[key])
        self.planes += 1
        return True

    def scrub(self, seconds: float) -> None:
        """Go on for so long, and until a plane has come."""
        until = time.monotonic() + seconds
        while not self.step() or time.monotonic() < until:
            if time.monotonic() > until + _NEVER_SECONDS:
                raise TimeoutError("no plane comes any more")


def waits(what: str, rounds: int, folder: Path, deadline: float, seed: int = 0) -> list[float]:
    """Seconds until the next plane, of each round; the reader of a dataset in `folder` fails in each."""
    path, chance, measured = folder / "image.ome.zarr", random.Random(seed), []
    stores.write_image(path, sizes=_SIZES)
    source = IsolatedSource(str(path), timeout=deadline)
    source._readers._seconds = _OPEN_SECONDS  # a busy computer takes long to start a process
    source.start()
    plane_bytes = stores.plane().nbytes
    with Dataset(source, cache_bytes=2 * plane_bytes, path=str(path)) as dataset:
        scrubber = Scrubber(dataset)
        for _ in range(rounds):
            scrubber.scrub(chance.uniform(*_UNDISTURBED_SECONDS))
            pid = source.pid
            assert pid is not None
            os.kill(pid, SIGNALS[what])
            began = time.monotonic()
            dataset._cache.clear()  # of planes that were read before nothing is measured
            scrubber.scrub(0)
            measured.append(time.monotonic() - began)
    return measured


def start_seconds(folder: Path, times: int = 5) -> float:
    """Seconds until the first plane of a dataset that is just opened, a median: what cannot be avoided."""
    path, measured = folder / "started.ome.zarr", []
    if not path.exists():
        stores.write_image(path)
    for _ in range(times):
        began = time.monotonic()
        source = IsolatedSource.open(str(path), timeout=_OPEN_SECONDS)
        source.read_plane(PlaneKey())
        measured.append(time.monotonic() - began)
        source.close()
    return statistics.median(measured)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status says whether every plane came in time."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("what", choices=sorted(SIGNALS))
    parser.add_argument("--rounds", type=int, metavar="N", help="200 kills, 50 stops if not said")
    parser.add_argument("--timeout", type=float, default=STOP_DEADLINE_SECONDS, help="of a read, for stops")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # that a reader has died, every time
    rounds = options.rounds or ROUNDS[options.what]
    allowed = ALLOWED_SECONDS + (options.timeout if options.what == "stops" else 0.0)
    with tempfile.TemporaryDirectory(prefix="ndviewer-stress-") as folder:
        start_before = start_seconds(Path(folder))
        seconds = sorted(waits(options.what, rounds, Path(folder), options.timeout))
        start_after = start_seconds(Path(folder))
    p95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    late = sum(each > allowed for each in seconds)
    sys.stdout.write(
        f"{rounds} {options.what}, next plane after: median {statistics.median(seconds):.2f} s, "
        f"95th percentile {p95:.2f} s, longest {seconds[-1]:.2f} s; later than {allowed:g} s: {late}\n"
        f"a reader started and a plane read, alone: {start_before:.2f} s before, {start_after:.2f} s after\n"
    )
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
