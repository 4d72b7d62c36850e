"""``python -m tests.benchmarks.soak [--minutes N]``: runs scrubbed while they are written; what stays behind?

A widget is told of one simulated run after another, which other processes write; meanwhile a user scrubs
through it without pause. Every few seconds resident memory, file descriptors and threads of the widget's
process, and memory of its reader process, are noted. After a warm-up their slopes should be zero. Every plane
on screen is compared with the text that the simulator drew into its pixels.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ndviewer_light.simulator import command, host, read_burnt_text
from ndviewer_light.simulator.run import WrittenPlane

from .measure import rss_bytes, slope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .widget import Window

_LAYOUTS = ("hcs", "per_fov", "6d", "images", "ome_tiff")
_SAMPLE_SECONDS = 2.0
_WARM_UP = 0.2  # of the time
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Samples:
    """What was seen, sample by sample."""

    at: list[float] = field(default_factory=list)  # s since the start
    rss: list[float] = field(default_factory=list)  # MB
    reader_rss: list[float] = field(default_factory=list)  # MB
    descriptors: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)

    def add(self, at: float) -> None:
        """Take one more."""
        gc.collect()
        process = psutil.Process()
        self.at.append(at)
        self.rss.append(rss_bytes() / 1e6)
        self.reader_rss.append(sum(map(_reader_bytes, process.children())) / 1e6)
        self.descriptors.append(process.num_fds())
        self.threads.append(process.num_threads())

    def lowest_per_minute(self, values: Sequence[float]) -> float:
        """How fast the lowest of each minute rise after the warm-up: what stays when planes were freed."""
        begin = self.at[int(len(values) * _WARM_UP)]
        lowest: dict[int, float] = {}
        for at, value in zip(self.at, values, strict=True):
            if at >= begin:
                minute = int((at - begin) // 60)
                lowest[minute] = min(value, lowest.get(minute, value))
        return slope(list(lowest.values())) if len(lowest) > 1 else 0.0

    def per_minute(self, values: Sequence[float]) -> float:
        """How fast one of them rises after the warm-up."""
        begin = int(len(values) * _WARM_UP)
        seconds = (self.at[-1] - self.at[begin]) / max(1, len(values) - 1 - begin)
        return slope(values[begin:]) / seconds * 60


def _reader_bytes(child: psutil.Process) -> int:
    """The resident memory of a reader process; 0 for other children, and for one that has just ended."""
    try:
        is_reader = "isolation.server" in " ".join(child.cmdline())
        return int(child.memory_info().rss) if is_reader else 0
    except psutil.Error:
        return 0


class _Writer(threading.Thread):
    """One run, written by another process, told to the viewer from this thread as it is reported."""

    def __init__(self, window: Window, arguments: list[str]) -> None:
        super().__init__(name="soak-writer")
        options = command._parser().parse_args(arguments)
        self.experiment = command.run_from(options)
        self._host = host.Host(window.viewer, self.experiment)
        self._host.announce()
        writer = [sys.executable, str(_ROOT / "simulate_acquisition.py"), *arguments, "--no-view", "--report"]
        self._process = subprocess.Popen(writer, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def run(self) -> None:
        for line in self._process.stdout or ():
            self._host.pass_on(WrittenPlane(**json.loads(line)))
        self._process.wait()
        self._host.end()

    def stop(self) -> None:
        """End it early, as a crash would."""
        self._process.terminate()
        self.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Soak:
    """Runs and scrubs for a while."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.samples = Samples()
        self.runs = self.frames = self.planes = 0
        self.wrong: list[str] = []
        self._seconds = seconds
        self._random = random.Random(seed)

    def go(self, window: Window) -> None:
        """Until the time is over. GUI thread."""
        begin = last = time.monotonic()
        while (now := time.monotonic()) - begin < self._seconds:
            layout = _LAYOUTS[self.runs % len(_LAYOUTS)]
            with tempfile.TemporaryDirectory(prefix="ndviewer-soak-") as folder:
                # a rate of its own per run: some are waited for, some outrun the user
                rate = self._random.choice(("20", "60", "0"))
                sizes = ["--n-t", "3", "--n-z", "3", "--fovs", "3", "2", "--regions", "2", "--size", "512"]
                writer = _Writer(window, [f"{folder}/run", "--layout", layout, "--rate", rate, *sizes])
                writer.start()
                until = min(begin + self._seconds, now + self._random.uniform(5, 12))
                try:
                    while time.monotonic() < until:
                        self._scrub(window, writer)
                        if time.monotonic() - last > _SAMPLE_SECONDS:
                            last = time.monotonic()
                            self.samples.add(last - begin)
                finally:
                    writer.stop()
            self.runs += 1

    def _scrub(self, window: Window, writer: _Writer) -> None:
        stage = window.viewer.stage
        if stage is None or window.viewer.dataset is None:
            window.run(0.05)
            return
        run, pick = writer.experiment, self._random.randrange
        stage.go_to(t=pick(run.n_t), p=pick(len(run.fov_labels)), z=pick(run.n_z))
        window.run(self._random.choice((0.0, 0.02, 0.2)))
        self._look(window, writer)

    def _look(self, window: Window, writer: _Writer) -> None:
        """Compare what is on screen with what the simulator drew into the pixels of that plane."""
        canvas = window.viewer.stage.canvas if window.viewer.stage is not None else None
        frame = canvas.frame if canvas is not None else None
        if frame is None:
            return
        self.frames += 1
        t, p, z = frame.view[:3]
        for c, plane in frame.planes.items():
            if plane.pixels is None or not plane.pixels.any():
                continue
            self.planes += 1
            run, said = writer.experiment, read_burnt_text(plane.pixels)
            wanted = f"{t}/{run.fov_labels[p]}/{z}/{run.channels[c]}"
            if said != wanted:
                self.wrong.append(f"{run.layout}: {wanted} shows {said!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the samples there as well")
    options = parser.parse_args(arguments)
    from .widget import Window

    soak = Soak(options.minutes * 60, options.seed)
    window = Window()
    soak.go(window)
    window.close()
    samples = soak.samples
    print(f"{soak.runs} runs, {soak.frames} frames looked at, {soak.planes} planes, {len(soak.wrong)} wrong")
    for wrong in soak.wrong[:10]:
        print("  wrong:", wrong)
    for name, unit in (("rss", "MB"), ("reader_rss", "MB"), ("descriptors", ""), ("threads", "")):
        values = getattr(samples, name)
        print(
            f"{name:12} {values[int(len(values) * _WARM_UP)]:8.1f} -> {values[-1]:8.1f} {unit:2} "
            f"slope {samples.per_minute(values):+.3f} {unit} per minute, "
            f"of the lowest of each minute {samples.lowest_per_minute(values):+.3f}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(samples.__dict__), encoding="utf-8")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # what Qt leaves to the interpreter's end is not what is measured
