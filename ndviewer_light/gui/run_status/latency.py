"""How long frames take from the disk to the screen: measured, said over the picture, logged. Knows no Qt."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, NamedTuple

from ...model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ...engine.dataset import Dataset
    from ...engine.plane_times import PlaneRead
    from ..canvas.view_frames import Frame

logger = logging.getLogger(__name__)

STEPS = ("written_noticed_ms", "noticed_read_ms", "read_drawn_ms", "total_ms")
_REMEMBERED = 1024  # frames that the numbers over the picture are of
_CLOCKS_DIFFER_SECONDS = 2.0  # times of files may be whole seconds, or two
_FRESH_SECONDS = 10.0  # what was read earlier was not on its way to the screen


class FrameLatency(NamedTuple):
    """The way of one drawn frame, by the plane of it that was read last; ms.

    `written_noticed_ms` is None where the files do not say when they were changed, were before the dataset
    was opened, or are said to be still to be; `total_ms` begins with it.
    """

    t: int
    p: int
    z: int
    level: int
    written_noticed_ms: float | None
    noticed_read_ms: float
    read_drawn_ms: float
    total_ms: float


def percentiles(values: Iterable[float | None]) -> dict[str, float] | None:
    """The 50th, 95th and 99th percentile of what is known (nearest rank), or None if nothing is.

    >>> percentiles([3.0, 1.0, None, 2.0])
    {'p50': 2.0, 'p95': 3.0, 'p99': 3.0}
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return {f"p{n}": known[max(-(-len(known) * n // 100) - 1, 0)] for n in (50, 95, 99)}


class Latencies:
    """The ways of the newest drawn frames. GUI thread only; `log`, if set, gets each of them."""

    def __init__(self) -> None:
        self.log: LatencyLog | None = None
        self._frames: deque[FrameLatency] = deque(maxlen=_REMEMBERED)
        self._dataset: Dataset | None = None
        self._noticed: dict[tuple[int, int, int, int], float] = {}
        self._reads: dict[tuple[PlaneKey, int], PlaneRead] = {}

    def drawn(self, dataset: Dataset, frame: Frame) -> FrameLatency | None:
        """`frame` is on the canvas now. None if nothing of it was read since the frame before, or in 3-D."""
        now = time.monotonic()
        if dataset is not self._dataset:
            self._dataset = dataset
            self._noticed.clear()
            self._reads.clear()
        self._take(dataset, now)
        if frame.view.is_volume:
            return None
        t, p = frame.view.t, frame.view.p
        keys = {
            PlaneKey(t, p, c, frame.z)
            for c, plane in frame.planes.items()
            if plane.state is PlaneState.PRESENT
        }
        found = (self._reads.pop((key, frame.level), None) for key in keys)
        drawn = [read for read in found if read is not None]
        if not drawn:
            return None
        last = max(drawn, key=lambda read: read.done)
        began = dataset.times.began
        latency = latency_of(last, self._noticed.get(last.key), now, began)
        for read in drawn:  # what was notified since is still to be read
            if self._noticed.get(read.key, now) <= read.done:
                del self._noticed[read.key]
        self._frames.append(latency)
        if self.log is not None:
            self.log.add(latency)
        return latency

    def _take(self, dataset: Dataset, now: float) -> None:
        """Take what was noticed and read since the frame before; forget what is not on its way any more."""
        for key, at in dataset.times.take_notified():
            self._noticed.setdefault(key, at)
        for read in dataset.times.take_read():
            self._reads[read.key, read.level] = read
        self._noticed = {key: at for key, at in self._noticed.items() if now - at < _FRESH_SECONDS}
        self._reads = {place: read for place, read in self._reads.items() if now - read.done < _FRESH_SECONDS}

    def text(self) -> str:
        """What is said over the picture: the last frame, and the percentiles of the newest ones."""
        if not self._frames:
            return "latency: no frame has been read yet"
        last = self._frames[-1]
        steps = ("written → noticed", "noticed → read", "read → drawn")
        parts = [f"{step} {_ms(value)}" for step, value in zip(steps, last[4:7], strict=True)]
        found = percentiles(frame.total_ms for frame in self._frames)
        assert found is not None
        total = " / ".join(f"{value:.0f}" for value in found.values())
        return f"{'  ·  '.join(parts)}  ·  total {_ms(last.total_ms)}  ·  p50 / p95 / p99 {total} ms"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f} ms"


def latency_of(read: PlaneRead, notified: float | None, now: float, began: float) -> FrameLatency:
    """That of a frame painted at `now`, by the plane of it that was read last; `began` in s since 1970."""
    noticed = read.asked if notified is None or notified > read.done else notified
    written = None
    if (
        read.written is not None and read.written >= began
    ):  # the clocks are compared now: a wall clock may be set at any time
        seconds = time.time() - now + noticed - read.written
        if seconds > -_CLOCKS_DIFFER_SECONDS:  # else written by another clock, as on a share
            written = max(seconds, 0.0) * 1e3
    steps = (read.done - noticed) * 1e3, (now - read.done) * 1e3
    t, p, _, z = read.key
    return FrameLatency(t, p, z, read.level, written, *steps, (written or 0.0) + sum(steps))


class LatencyLog:
    """A file with a JSON line for each drawn frame, and at the end one with percentiles.

    Written by a thread of its own. Use as a context manager; raises `OSError` if it cannot be created.
    """

    def __init__(self, path: Path | str) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8")  # noqa: SIM115  closed by `close`
        self._lines: queue.SimpleQueue[FrameLatency | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="ndviewer-latency-log", daemon=True)
        self._thread.start()

    def add(self, latency: FrameLatency) -> None:
        """Log a frame. Any thread; no I/O here."""
        self._lines.put(latency)

    def _write(self) -> None:
        try:
            self._write_lines()
        except OSError as error:
            logger.error("%s is not written any further: %s", self._file.name, error.strerror or error)

    def _write_lines(self) -> None:
        values: list[FrameLatency] = []
        with self._file as file:
            while (latency := self._lines.get()) is not None:
                values.append(latency)
                file.write(json.dumps(_rounded(latency._asdict())) + "\n")
                file.flush()
            every = {step: percentiles(getattr(each, step) for each in values) for step in STEPS}
            of_all = {step: found and _rounded(found) for step, found in every.items()}
            file.write(json.dumps({"frames": len(values), **of_all}) + "\n")

    def close(self) -> None:
        """Write the percentiles and close the file; waits at most 5 s for the disk. Idempotent."""
        self._lines.put(None)
        self._thread.join(5.0)

    def __enter__(self) -> LatencyLog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(n, 3) if isinstance(n, float) else n for name, n in numbers.items()}
