"""How Squid's runs come about: a thread that acquires, a process that saves, and who is told when.

A run is acquired in a thread of its own and saved by a process of its own, which gets one job per plane
and answers when the plane is on disk. Tests decide how far the camera and the disk get.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate_acquisition import Run, WrittenPlane, notify_plane, write_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from pytestqt.qtbot import QtBot

REPO = Path(__file__).parents[1]
PATIENCE_S = 60.0


# ---- saving: a process of its own ---------------------------------------------------------------------

# forked from one that has loaded what writes: each would take half a second to load it
_FORKED = "forkserver" in multiprocessing.get_all_start_methods()
_PROCESSES: Any = multiprocessing.get_context("forkserver" if _FORKED else "spawn")
_PROCESSES.set_forkserver_preload(["tensorstore", "tifffile"])


def _save_jobs(run: Run, jobs: Connection, answers: Connection, temporary: str) -> None:
    tempfile.tempdir = temporary

    def next_job() -> None:
        try:
            jobs.recv()
        except EOFError:
            raise SystemExit(0) from None  # killed: nothing is marked complete

    def saved(plane: WrittenPlane) -> None:
        answers.send(plane)
        next_job()

    next_job()
    write_run(run, report=saved)
    answers.send(None)


class JobRunner:
    """Saves the planes of a run in their order, one per job; `results` says which are on disk."""

    def __init__(self, run: Run, temporary: Path | None) -> None:
        self.results: queue.SimpleQueue[WrittenPlane | None] = queue.SimpleQueue()
        """In the order in which they were saved; None when no more can come."""
        self.n_saved = 0
        self.sealed = threading.Event()
        """Set when every store says that the acquisition is complete."""
        self.error: Exception | None = None
        self._killed = False
        its_jobs, self._jobs = _PROCESSES.Pipe(duplex=False)
        self._answers, its_answers = _PROCESSES.Pipe(duplex=False)
        arguments = run, its_jobs, its_answers, str(temporary or tempfile.gettempdir())
        self._process = _PROCESSES.Process(target=_save_jobs, args=arguments, daemon=True)
        self._process.start()
        its_jobs.close()
        its_answers.close()
        self._listener = threading.Thread(target=self._listen, name="save-answers")
        self._listener.start()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, ConnectionError):  # it has ended
            while True:
                plane = self._answers.recv()
                if plane is None:
                    self.sealed.set()
                else:
                    self.n_saved += 1
                    self.results.put(plane)
        self._process.join()
        # 255 is also what multiprocessing says where a process that starts has asked how this one ended
        is_told = self._process.exitcode != 255 or not self.sealed.is_set()
        if is_told and self._process.exitcode != 0 and not self._killed:
            self.error = RuntimeError(f"saving ended with {self._process.exitcode}")
        self.results.put(None)

    def save(self) -> None:
        """Save the next plane; after the last one: mark the stores complete."""
        with contextlib.suppress(BrokenPipeError):  # it was killed
            self._jobs.send(None)

    def kill(self) -> None:
        """As Squid does when jobs take longer than ten seconds; what is not saved never will be."""
        self._killed = True
        self._process.kill()
        self._listener.join()

    def close(self) -> None:
        """Let go of the process; nothing may be saved after this."""
        self.kill()
        self._jobs.close()
        self._answers.close()
        self._process.close()


# ---- acquiring: a thread of its own ---------------------------------------------------------------------


class _Allowance:
    """How many steps may still be taken (None: as many as wanted); any thread."""

    def __init__(self, n: int | None) -> None:
        self._left = n
        self._changed = threading.Condition()

    def give(self, n: int | None) -> None:
        with self._changed:
            self._left = None if n is None or self._left is None else self._left + n
            self._changed.notify_all()

    def take(self) -> None:
        """Wait until a step may be taken, and take it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._left is None or self._left > 0, PATIENCE_S):
                raise TimeoutError("the test never let this step be taken")
            if self._left is not None:
                self._left -= 1


class Acquisition:
    """A run under way: `announced` by the GUI, `written` by the worker (None: nothing is saved)."""

    def __init__(
        self,
        announced: Run,
        written: Run | None,
        tell: Any,
        finished: Callable[[], None],
        *,
        results_per_move: int,
        planes: int | None,
        saves: int | None,
        temporary: Path | None,
    ) -> None:
        self.errors: list[Exception] = []
        self._announced, self._written = announced, written
        self._tell, self._finished = tell, finished
        self._results_per_move = results_per_move
        # stores are spoken of when their writer has answered, other files when they are taken
        self._notifies = announced.is_zarr and written is not None and written.is_zarr
        self._planes, self._saves = _Allowance(planes), _Allowance(saves)
        self._jobs: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False ends the thread that hands them on
        self._n_waiting = 0  # jobs whose result has not been looked at
        self._runner = JobRunner(written, temporary) if written is not None else None
        self._results = self._runner.results if self._runner is not None else None  # None: none will come
        self._stopped = False
        self._worker = threading.Thread(target=self._acquire, name="multi-point-worker")
        self._saver = threading.Thread(target=self._save, name="save-jobs")
        self._saver.start()
        self._worker.start()

    def allow_planes(self, n: int | None = None) -> None:
        """Let the camera take `n` planes more, or all."""
        self._planes.give(n)

    def allow_saves(self, n: int | None = None) -> None:
        """Let the disk take `n` planes more, or all; after the last plane one more marks stores complete."""
        self._saves.give(n)

    @property
    def n_saved(self) -> int:
        """How many planes are on disk."""
        return self._runner.n_saved if self._runner is not None else 0

    @property
    def is_acquiring(self) -> bool:
        """Whether the worker still runs; when it has ended, both `end_*` signals have been sent."""
        return self._worker.is_alive()

    @property
    def is_sealed(self) -> bool:
        """Whether every store says that the acquisition is complete."""
        return self._runner is not None and self._runner.sealed.is_set()

    def kill_saving(self) -> None:
        """End the process that saves, whatever it is doing."""
        if self._runner is not None:
            self._runner.kill()

    def stop(self) -> None:
        """End whatever still runs."""
        self._stopped = True
        self.kill_saving()
        self.allow_planes()
        self.allow_saves()
        self._worker.join()
        self._jobs.put(False)
        self._saver.join()
        if self._runner is not None:
            self._runner.close()
            self.errors += [self._runner.error] if self._runner.error is not None else []

    def _acquire(self) -> None:
        try:
            self._take_planes()
            self._finish_jobs()
        except Exception as error:  # noqa: BLE001  the test is told at its end
            self.errors.append(error)
        self._finished()
        self._jobs.put(True)  # the stores are marked complete after the viewer has been told of the end

    def _take_planes(self) -> None:
        place = None
        for plane in (self._written or self._announced).planes():
            self._planes.take()
            if self._stopped:
                return
            if place not in (None, plane[:2]):
                self._pass_on_results()
            place = plane[:2]
            if self._results is not None:
                self._n_waiting += 1
                self._jobs.put(True)
            if not self._announced.is_zarr:
                notify_plane(self._tell, self._announced, plane)  # before the file is there

    def _pass_on_results(self) -> None:
        """At a move to the next field of view: a result or two, of however many there are."""
        with contextlib.suppress(queue.Empty):
            for _ in range(self._results_per_move):
                if self._results is not None:
                    self._pass_on(self._results.get_nowait())

    def _finish_jobs(self) -> None:
        """Wait until everything is saved, and pass on all the results nobody has looked at."""
        while self._results is not None and self._n_waiting:
            self._pass_on(self._results.get(timeout=PATIENCE_S))

    def _pass_on(self, plane: WrittenPlane | None) -> None:
        if plane is None:  # the process was killed
            self._results = None
            return
        self._n_waiting -= 1
        if self._notifies and self._results_per_move > 0:
            notify_plane(self._tell, self._announced, plane)

    def _save(self) -> None:
        while self._jobs.get():
            self._saves.take()
            if self._runner is not None and not self._stopped:
                self._runner.save()


def saved(qtbot: QtBot, acquisition: Acquisition, n: int) -> None:
    """Wait until `n` planes in all are on disk."""
    qtbot.waitUntil(lambda: acquisition.n_saved >= n, timeout=int(PATIENCE_S * 1000))


def over(qtbot: QtBot, acquisition: Acquisition) -> None:
    """Let the camera and the disk do the rest; wait until the viewer has been told of the end."""
    acquisition.allow_planes()
    acquisition.allow_saves()
    ended(qtbot, acquisition)


def ended(qtbot: QtBot, acquisition: Acquisition) -> None:
    """Wait until the viewer has been told of the end."""
    qtbot.waitUntil(lambda: not acquisition.is_acquiring, timeout=int(PATIENCE_S * 1000))
    qtbot.wait(1)  # the signals sent last
