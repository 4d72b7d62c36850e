"""A writer in a process of its own, and what it says."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING

from .registry import ROOT, python

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Index, Plan


class WriterProcess:
    """A writer in a process of its own, and a thread that takes down what it says."""

    def __init__(self, name: str, path: Path, plan: Plan, *arguments: str) -> None:
        self.written: dict[Index, float] = {}  # plane → when `write` returned, by `time.monotonic`
        self.done = False  # it has ended by itself, and well
        command = [python(), "-m", "tests.live_writers", name, str(path), "--planes", str(plan.planes)]
        command += ["--rate", str(plan.rate), "--size", str(plan.height), "--run", str(plan.run), *arguments]
        if plan.pause_after is not None:
            command += ["--pause-after", str(plan.pause_after)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._said: list[str] = []
        self._threads = [threading.Thread(target=work) for work in (self._listen, self._listen_to_errors)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            first, *rest = line.split()
            if first == "done":
                self.done = True
            else:
                t, p, c, z = map(int, (first, *rest[:3]))
                self.written[t, p, c, z] = float(rest[3])

    def _listen_to_errors(self) -> None:
        for line in self._process.stderr or ():
            self._said.append(line)

    def go_on(self) -> None:
        """End its pause. Does nothing if it has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    @property
    def ended(self) -> bool:
        """Whether the process is over, and all it said is known."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return "".join(self._said)

    def stop(self) -> None:
        """Kill it if it is still there."""
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
