"""The threads that read for a cache."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ndviewer_light.engine import read_workers
from ndviewer_light.engine.read_workers import ReadWorkers

if TYPE_CHECKING:
    import pytest


def test_who_is_to_relieve_hung_reads_ends_also_if_it_is_closed_before_that_thread_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_workers, "HUNG_SECONDS", 600.0)  # so long it would wait
    queued = [1, 2, 3]
    lock = threading.RLock()
    done = threading.Event()

    def run(_read: int) -> None:
        done.wait(60)

    def give_up(error: RuntimeError) -> None:
        raise error

    workers = ReadWorkers(lock, 1, lambda: len(queued), queued.pop, run, give_up)
    with lock:
        threads = workers.new_threads()
    assert len(threads) == 2, "one reads, one waits until it hangs"
    reader, relief = threads
    workers.start([reader])
    with lock:
        assert relief in workers.close()
        queued.clear()
    workers.start([relief])
    relief.join(60)
    assert not relief.is_alive()
    done.set()
    reader.join(60)
