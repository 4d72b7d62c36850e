"""Reads that nobody waits for any more, files that are closed, programs that end: nothing is left waiting."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from ndviewer_light.errors import DatasetClosedError, DatasetError, ReadDroppedError
from ndviewer_light.storage.cancellation import CancelScope
from ndviewer_light.storage.remote.client import Answer
from ndviewer_light.storage.remote.jobs import File, Job
from ndviewer_light.storage.remote.remote_bytes import RemoteBytes
from ndviewer_light.storage.remote.scheduler import the_scheduler
from tests.served import (  # noqa: F401  fixtures
    CONTENT,
    MIB,
    a_server,
    a_server_without_faults,
    files_that_are_closed,
    in_thread,
    tries_without_pauses,
    wait_until,
)

if TYPE_CHECKING:
    from ndviewer_light.storage.bytes import Bytes
    from ndviewer_light.storage.remote.coalescing import Block


def test_closing_ends_reads_that_are_under_way(server, opened):
    file = opened()
    server.set(faults={"stall": 1.0})
    thread, said = in_thread(lambda: file.read(MIB, 10))
    wait_until(lambda: server.counts()["requests"] >= 1)
    file.close()
    thread.join(60)
    assert "was closed" in str(said[0])
    with pytest.raises(DatasetError, match="was closed"):
        file.read(0, 1)
    with pytest.raises(DatasetError, match="was closed"):
        file.opened().read(1)
    file.close()


def test_closing_one_file_leaves_others_alone(server, opened):
    one, other = opened(), opened()
    server.set(latency_s=0.3)
    thread, said = in_thread(lambda: other.read(MIB, 10))
    wait_until(lambda: server.counts()["requests"] >= 1)
    one.close()
    thread.join(60)
    assert said == [CONTENT[MIB : MIB + 10]]


def test_a_dropped_wish_ends_its_reads_and_gives_its_connections_to_others(server, opened):
    file = opened(in_flight="4")
    server.set(faults={"stall": 1.0}, only="a.bin")
    (server.folder / "wanted.bin").write_bytes(CONTENT)
    stale = [CancelScope() for _ in range(12)]
    reads = []
    for number, scope in enumerate(stale):

        def read(number: int = number, scope: CancelScope = scope) -> bytes:
            with scope:
                return file.read((number % 7 + 1) * MIB, 10)

        reads.append(in_thread(read))
    wait_until(lambda: server.counts()["in_flight"] == 4)
    for scope in stale:
        scope.drop()
    wanted = opened("wanted.bin")
    assert wanted.read(MIB, 10) == CONTENT[MIB : MIB + 10]
    for thread, said in reads:
        thread.join(60)
        assert isinstance(said[0], ReadDroppedError)
    with pytest.raises(ReadDroppedError), stale[0]:
        file.read(5 * MIB, 10)


def test_a_block_that_two_wait_for_is_read_on_when_one_gives_up(server, opened):
    file = opened()
    server.set()
    given_up, kept = Job(file._file, [(MIB, 10)], None), Job(file._file, [(MIB + 5, 10)], None)

    def send_both(sender: Any) -> None:
        sender.gather(given_up)
        sender.gather(kept)
        sender._send()
        sender.end(given_up, DatasetError("no longer needed"))

    the_scheduler()._started(lambda sender: None)  # each job counts as one call
    the_scheduler()._started(send_both)
    assert kept.done.wait(60)
    assert kept.result() == [CONTENT[MIB + 5 : MIB + 15]]
    assert server.counts()["requests"] == 1
    with pytest.raises(DatasetError, match="no longer needed"):
        given_up.result()


def _queue(file: Bytes, offset: int, scope: CancelScope | None, waiting: int) -> threading.Thread:
    """Start a read, and return when so many requests wait for their turn."""

    def read() -> bytes:
        if scope is None:
            return file.read(offset, 10)
        with scope:
            return file.read(offset, 10)

    thread, _ = in_thread(read)
    wait_until(lambda: the_scheduler().load == (1, waiting))
    return thread


class Held(File):
    """A file whose bytes come when told."""

    def __init__(self, file: File) -> None:
        super().__init__(file.place, file.version)
        self.release = threading.Event()

    async def get(self, block: Block) -> Answer:
        while not self.release.is_set():
            await asyncio.sleep(0.005)
        return Answer(bytes(block.length), self.version)


def test_what_is_asked_for_last_is_sent_first_and_the_background_last(server, opened):
    file = opened(in_flight="1")
    held = Held(file._file)
    first, _ = in_thread(lambda: the_scheduler().read(held, [(0, 10)]))
    wait_until(lambda: the_scheduler().load == (1, 0))
    server.set()
    threads = [
        first,
        _queue(file, 2 * MIB, None, 1),
        _queue(file, 3 * MIB, CancelScope(), 2),
        _queue(file, 4 * MIB, CancelScope(background=True), 3),
        _queue(file, 5 * MIB, None, 4),
    ]
    held.release.set()
    for thread in threads:
        thread.join(60)
    order = [int(entry["range"].partition("=")[2].partition("-")[0]) // MIB for entry in server.log()]
    assert order == [5, 3, 2, 4]


def test_the_thread_ends_by_itself_and_starts_again(opened):
    file = opened()
    file.read(MIB, 10)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "ndviewer-fetch"])
    assert file.read(2 * MIB, 10) == CONTENT[2 * MIB : 2 * MIB + 10]
    assert isinstance(file, RemoteBytes)


def test_reads_that_are_given_up_closed_and_failed_at_random_leave_nothing_waiting(server, opened):
    files = [opened(in_flight="4") for _ in range(3)]
    server.set(latency_s=0.002, faults={"drop": 0.1, "truncate": 0.1, "503": 0.1}, seed=5)
    wrong, ended = [], []

    def read(seed: int) -> None:
        random = Random(seed)
        for _ in range(40):
            file, offset, length = random.choice(files), random.randrange(7 * MIB), random.randrange(MIB)
            scope = CancelScope(background=random.random() < 0.3)
            timer = threading.Timer(random.random() * 0.02, scope.drop)
            if random.random() < 0.5:
                timer.start()
            try:
                with scope:
                    if file.read(offset, length) != CONTENT[offset : offset + length]:
                        wrong.append(offset)
            except DatasetError as error:
                ended.append(error)
            timer.cancel()

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    files[0].close()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert {type(error) for error in ended} >= {ReadDroppedError, DatasetClosedError}
    wait_until(lambda: the_scheduler().load == (0, 0))


_FORGETFUL = """
import sys, threading
from ndviewer_light.storage.open_bytes import open_bytes
file = open_bytes(sys.argv[1])
print(len(file.read(3_000_000, 5)), flush=True)
def read_on():
    while True:
        try:
            file.read(4_000_000, 5)
        except Exception:
            pass
for _ in range(4):
    threading.Thread(target=read_on, daemon=True).start()
sys.stdin.readline()
"""


def test_a_program_that_ends_while_it_reads_ends_at_once_and_in_silence(server):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    server.set(latency_s=0.5)
    program = subprocess.Popen(
        [sys.executable, "-c", _FORGETFUL, server.url("a.bin")],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "5\n"
    wait_until(lambda: server.counts()["requests"] >= 2)
    _, said = program.communicate("\n", timeout=60)
    assert program.returncode == 0, said
    assert "Fatal" not in said


def test_a_request_that_is_given_up_before_it_begins_leaves_its_place_to_others(opened):
    file = opened(in_flight="1")
    job = Job(file._file, [(MIB, 10)], None)

    def send_and_give_up(sender: Any) -> None:
        sender.gather(job)
        sender._send()
        sender.end(job, DatasetError("no longer needed"))

    the_scheduler()._started(send_and_give_up)
    assert file.read(2 * MIB, 10) == CONTENT[2 * MIB : 2 * MIB + 10]
    assert the_scheduler().load == (0, 0)
