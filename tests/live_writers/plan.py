"""What is to be written, at which pace: the planes of a run, stamped when their time has come."""

from __future__ import annotations

import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from tests.stamps import Stamp, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

Index = tuple[int, int, int, int]
"""(t, p, c, z) of a plane."""

COLOURS = ("FF0000", "00FF00", "0000FF")
"""Of the channels, where a writer says colours: they can be told apart in a picture of all of them."""


@dataclass(frozen=True)
class Plan:
    """A run of `planes` planes in the order t, p, z, c, with `n_p`, `n_c` and `n_z` in each time point."""

    planes: int
    n_p: int = 1
    n_c: int = 1
    n_z: int = 1
    height: int = 192
    width: int = 192
    dtype: str = "uint16"
    rate: float = 0.0  # planes/s, 0 for as fast as the writer can
    run: int = 0
    along: str = "t"  # or "z": of which axis time points become indices where the format knows no time
    resume: bool = False
    first: int | None = None  # resume with this plane, whatever is there
    die_after: int | None = None
    pause_after: int | None = None  # wait for a line on standard input after so many planes

    @property
    def n_t(self) -> int:
        """Time points, the last perhaps not whole."""
        return -(-self.planes // (self.n_p * self.n_c * self.n_z))

    @property
    def channels(self) -> list[str]:
        """Their names, those of a microscope of Squid's."""
        return [f"Fluorescence {nm} nm Ex" for nm in (638, 488, 405)][: self.n_c]

    def indices(self) -> Iterator[Index]:
        """Every plane in the order in which it is written."""
        every = (
            (t, p, c, z)
            for t in range(self.n_t)
            for p in range(self.n_p)
            for z in range(self.n_z)
            for c in range(self.n_c)
        )
        in_order = islice(every, self.planes)
        return in_order if self.along == "t" else ((0, p, c, t) for t, p, c, _ in in_order)


class Writer(ABC):
    """Writes the planes of a plan to a path, by one library. `say` is told of each that is written."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan

    @abstractmethod
    def begin(self) -> int:
        """Create what is written to, or open it to resume; returns how many planes are there already."""

    @abstractmethod
    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        """Write one plane; it is on disk as soon as this library puts it there."""

    def end(self) -> None:  # noqa: B027 # most have nothing to close
        """Close what was written to."""


def write_run(writer: Writer, before: Callable[[int], None] | None = None) -> None:
    """Write the run at its pace; print a line for each plane: t p c z, and by `time.monotonic` when.

    `before` is called before each plane, with its number.
    """
    plan = writer.plan
    if plan.pause_after == 0:
        sys.stdin.readline()
    there = writer.begin()
    there = there if plan.first is None else plan.first
    start = time.monotonic()
    for number, index in enumerate(islice(plan.indices(), there, None)):
        if plan.rate:
            time.sleep(max(0.0, start + number / plan.rate - time.monotonic()))
        if before is not None:
            before(there + number)
        stamp = Stamp(*index, plan.run, int((time.monotonic() - start) * 1e3))
        writer.write(index, stamped(stamp, plan.height, plan.width, plan.dtype))
        _say(*index, time.monotonic())
        if number + 1 == plan.pause_after:
            sys.stdin.readline()
            start = time.monotonic() - (number + 1) / plan.rate if plan.rate else start
        if number + 1 == plan.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
    writer.end()
    _say("done", time.monotonic())


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()
