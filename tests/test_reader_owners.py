"""Every request, slot, thread and process of a reader has an owner and an end, also after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from isolated_image import (  # noqa: F401
    K,
    disk_that_hangs_when_told,
    hang,
    image_on_disk,
    reading_now,
    source_in_a_reader,
    wait_for_end,
)
from memory_source import TIMEOUT, MemorySource, in_thread, wait_until

from ndviewer_light import errors
from ndviewer_light.isolation import protocol, server
from ndviewer_light.isolation.last_words import STDERR_BYTES
from ndviewer_light.isolation.outbox import Outbox
from ndviewer_light.isolation.shared_memory import OwnedSlot
from ndviewer_light.isolation.spawned_process import READS_IN_FLIGHT
from ndviewer_light.model import PlaneKey
from ndviewer_light.storage.cancellation import CancelScope

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SECOND = PlaneKey(1, 0, 1, 1)
KEYS = [PlaneKey(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]
MANY = 3 * READS_IN_FLIGHT
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def host(code: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `code` as a host program of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
    )


def assert_reads(source, key: PlaneKey) -> None:
    np.testing.assert_array_equal(source.read_plane(key), stores.plane(*key))


# ---- Ctrl-C ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", ["late", "never"])
def test_ctrl_c_in_the_thread_that_waits_leaves_its_slot_to_others(opened, image, answers):
    main, pid = threading.main_thread(), opened.pid
    for key in KEYS[:READS_IN_FLIGHT]:
        put_back = hang(image, key)

        def interrupt() -> None:
            wait_until(lambda: reading_now(opened) == ["read"])
            signal.pthread_kill(main.ident, signal.SIGINT)

        interrupting = in_thread(interrupt)
        with pytest.raises(KeyboardInterrupt):
            opened.read_plane(key)
        interrupting.result(TIMEOUT)
        if answers == "late":
            put_back()
    for key in (KEYS if answers == "late" else KEYS[READS_IN_FLIGHT:]) * 2:
        np.testing.assert_array_equal(in_thread(opened.read_plane, key).result(TIMEOUT), stores.plane(*key))
    assert answers == "never" or opened.pid == pid


def test_a_plane_that_cannot_be_copied_out_costs_no_slot(opened, monkeypatch):
    copy_out = OwnedSlot.copy_out
    for error in (MemoryError(), KeyboardInterrupt(), errors.LimitExceededError("too large")):

        def fail(self: OwnedSlot, *_: object, transposed: bool, error: BaseException = error) -> np.ndarray:
            raise error

        monkeypatch.setattr(OwnedSlot, "copy_out", fail)
        for _ in range(MANY):
            with pytest.raises(type(error)):
                in_thread(opened.read_plane, K).result(TIMEOUT)
    monkeypatch.setattr(OwnedSlot, "copy_out", copy_out)
    pid = opened.pid
    for key in KEYS:
        np.testing.assert_array_equal(in_thread(opened.read_plane, key).result(TIMEOUT), stores.plane(*key))
    assert opened.pid == pid


def test_the_reply_of_a_read_that_was_given_up_frees_its_slot(opened):
    pid = opened.pid
    opened._readers.process.patience = TIMEOUT  # on a busy computer too, it is not replaced
    os.kill(pid, signal.SIGSTOP)
    scopes = [CancelScope() for _ in range(MANY)]
    reads = [in_thread(scope.run, lambda: opened.read_plane(K)) for scope in scopes]
    wait_until(lambda: len(reading_now(opened)) == MANY)
    for scope in scopes:
        scope.drop()
    for read in reads:  # long before anything is answered
        with pytest.raises(errors.ReadDroppedError):
            read.result(TIMEOUT)
    os.kill(pid, signal.SIGCONT)
    for key in KEYS:
        np.testing.assert_array_equal(in_thread(opened.read_plane, key).result(TIMEOUT), stores.plane(*key))
    assert opened.pid == pid


def test_giving_up_one_read_of_a_plane_leaves_another_of_the_same_plane_alone(opened):
    os.kill(opened.pid, signal.SIGSTOP)
    first = CancelScope()
    given_up = in_thread(first.run, lambda: opened.read_plane(K))
    wait_until(lambda: len(reading_now(opened)) == 1)
    kept = in_thread(CancelScope().run, lambda: opened.read_plane(K))
    wait_until(lambda: len(reading_now(opened)) == 2)
    first.drop()
    with pytest.raises(errors.ReadDroppedError):
        given_up.result(TIMEOUT)
    assert not kept.done()
    os.kill(opened.pid, signal.SIGCONT)
    np.testing.assert_array_equal(kept.result(TIMEOUT), stores.plane())


# ---- the process that reads ------------------------------------------------------------------------------


class _Panicking(MemorySource):
    """A source that raises what no caller of it catches."""

    def __init__(self) -> None:
        super().__init__()
        self.write(K, 1)
        self.panic: BaseException | None = None

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        if self.panic is not None:
            raise self.panic
        return super().read_plane(key, level)


class _InProcess:
    """The server that a reader process runs, in threads of this process; requests by `ask`."""

    def __init__(self, source: _Panicking) -> None:
        requests, self._to = os.pipe()
        self._from, replies = os.pipe()
        self._slots = [OwnedSlot() for _ in range(READS_IN_FLIGHT)]
        addresses = [
            os.dup(slot.address) if isinstance(slot.address, int) else slot.address for slot in self._slots
        ]
        self._files = [os.fdopen(requests, "rb"), os.fdopen(replies, "wb"), os.fdopen(self._from, "rb")]
        self._sending = os.fdopen(self._to, "wb")
        self._server = server._Server(self._files[0], self._files[1], addresses)
        self._server._source = source
        self._thread = threading.Thread(target=self._server.serve)
        self._thread.start()
        self._ids = 0

    def ask(self, **request: object) -> dict:
        self._ids += 1
        protocol.send(self._sending, {"id": self._ids, "op": "read", "key": list(K), "level": 0, **request})
        reply = in_thread(protocol.receive, self._files[2]).result(TIMEOUT)
        assert isinstance(reply, dict)
        assert reply["id"] == self._ids
        return reply

    def release(self, slot: int) -> None:
        protocol.send(self._sending, {"op": "release", "slot": slot})

    def close(self) -> None:
        self._sending.close()
        self._thread.join(TIMEOUT)
        self._server._slots.close()
        for closing in (*self._files, *self._slots):
            closing.close()


@pytest.fixture
def panicking() -> Iterator[tuple[_Panicking, _InProcess]]:
    source = _Panicking()
    serving = _InProcess(source)
    yield source, serving
    serving.close()


@pytest.mark.parametrize(
    "panic",
    [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), BaseException("odd"), MemoryError("800 MB")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_source_raises_is_an_answer_and_its_thread_lives_on(panicking, panic):
    source, serving = panicking
    source.panic = panic
    for _ in range(MANY):
        error = protocol.error_from_json(serving.ask()["error"])
        assert isinstance(error, errors.DatasetError)
    source.panic = None
    for _ in range(MANY):
        reply = serving.ask()
        assert reply["shape"]
        serving.release(reply["slot"])


def test_a_plane_for_which_memory_is_lacking_is_named(panicking):
    source, serving = panicking
    source.panic = MemoryError("Unable to allocate 8.00 GiB")
    error = protocol.error_from_json(serving.ask(key=[1, 2, 0, 1])["error"])
    assert isinstance(error, MemoryError)
    assert isinstance(error, errors.OutOfMemoryError)
    assert "t=1 p=2 c=0 z=1" in str(error)
    assert "8.00 GiB" in str(error)


@pytest.mark.parametrize("odd", [{"key": "no key"}, {"key": [0]}, {"level": {}}, {"op": "open"}], ids=str)
def test_a_request_that_makes_no_sense_is_answered(panicking, odd):
    _, serving = panicking
    for _ in range(MANY):
        reply = serving.ask(**odd)
        if "slot" in reply:
            serving.release(reply["slot"])
    assert "slot" in serving.ask()


# ---- threads that cannot be started ----------------------------------------------------------------------


@pytest.fixture
def no_threads(monkeypatch):
    """Let no thread of ours be started until the function is called that this gives."""
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("ndviewer-"):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


def test_a_process_for_which_there_are_no_threads_is_no_process(image, no_threads):
    from ndviewer_light.isolation.client import IsolatedSource

    source = IsolatedSource(str(image))
    for _ in range(2):
        with pytest.raises(errors.OutOfResourcesError, match="can't start new thread"):
            source.start()
    no_threads()
    source.start()
    assert_reads(source, K)
    source.close()


@pytest.mark.parametrize("name", ["ndviewer-reader-stderr", "ndviewer-reader-replies"])
def test_threads_of_a_process_whose_start_is_interrupted_end_by_themselves(monkeypatch, name):
    from ndviewer_light.isolation.reader_process import ReaderProcess

    start, go_on, started = threading.Thread.start, threading.Event(), []

    def interrupted(self: threading.Thread) -> None:
        run = self.run
        monkeypatch.setattr(self, "run", lambda: go_on.wait(TIMEOUT) and run())
        started.append(self)
        start(self)
        if self.name == name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ReaderProcess()
    go_on.set()
    for thread in started:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_a_host_without_threads_to_spare_goes_without_a_spare_process(no_threads):
    from ndviewer_light.isolation import spare

    spare.prestart()
    assert spare._spare is None


def test_a_process_that_cannot_be_started_is_said(image, monkeypatch):
    from ndviewer_light.isolation.client import IsolatedSource

    source = IsolatedSource(str(image))

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr("ndviewer_light.isolation.reader_process.subprocess.Popen", refuse)
        with pytest.raises(errors.OutOfResourcesError, match="temporarily unavailable"):
            source.start()
    assert_reads(source, K)
    source.close()


# ---- pipes -----------------------------------------------------------------------------------------------


def test_a_message_to_a_process_that_does_not_listen_holds_nobody_up():
    reading, writing = os.pipe()
    outbox = Outbox(os.fdopen(writing, "wb", buffering=0))
    sent = [protocol.frame({"id": number, "text": "x" * 1000}) for number in range(500)]  # 500 kB
    in_thread(lambda: [outbox.put(frame) for frame in sent]).result(TIMEOUT)
    with os.fdopen(reading, "rb") as stream:
        for number in range(500):
            assert in_thread(protocol.receive, stream).result(TIMEOUT)["id"] == number
        outbox.close()
        assert in_thread(protocol.receive, stream).result(TIMEOUT) is None


def test_messages_put_by_many_threads_all_arrive_whole():
    reading, writing = os.pipe()
    outbox = Outbox(os.fdopen(writing, "wb", buffering=0))

    def put(seed: int) -> None:
        for number in range(200):
            outbox.put(protocol.frame({"id": [seed, number], "text": "x" * (number * 37 % 9000)}))

    with os.fdopen(reading, "rb") as stream:
        putting = [in_thread(put, seed) for seed in range(4)]
        got = [in_thread(protocol.receive, stream).result(TIMEOUT)["id"] for _ in range(800)]
        for each in putting:
            each.result(TIMEOUT)
        outbox.close()
    assert sorted(got) == [[seed, number] for seed in range(4) for number in range(200)]
    for seed in range(4):
        assert [number for each, number in got if each == seed] == list(range(200)), "in order"


def test_closing_while_a_message_cannot_be_delivered_ends_its_thread():
    reading, writing = os.pipe()
    outbox = Outbox(os.fdopen(writing, "wb", buffering=0))
    outbox.put(protocol.frame({"text": "x" * 1_000_000}))
    outbox.close()
    outbox.put(protocol.frame({"text": "too late"}))
    os.close(reading)  # as the death of the process does
    # that no thread is left is what every test is held to


def test_a_reader_that_talks_without_end_fills_neither_disk_nor_memory(image, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "tensorstore.py").write_text(
        textwrap.dedent(
            """
            import os, sys, threading
            def talk():
                for _ in range(100_000):
                    os.write(2, b"nonsense " * 1000)
            threading.Thread(target=talk, daemon=True).start()
            sys.path.remove(os.path.dirname(__file__))
            del sys.modules["tensorstore"]
            import tensorstore
            """
        )
    )
    code = """
        import gc, os, signal, sys
        sys.path.insert(0, sys.argv[2])
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.model import PlaneKey
        source = IsolatedSource.open(sys.argv[1])
        before = os.sysconf("SC_PAGE_SIZE") * int(open("/proc/self/statm").read().split()[1])
        words = source._readers.process._last_words
        for n in range(10_000):
            source.read_plane(PlaneKey())
            if n >= 50 and len(words._kept) == 8192:
                break
        kept = words._kept
        os.kill(source.pid, signal.SIGKILL)
        source.read_plane(PlaneKey())
        print(len(kept), len(source.info.warnings[0]) < 10_000, "SIGKILL" in source.info.warnings[0])
        source.close()
    """
    done = host(code, str(image), str(tmp_path / "path"))
    assert done.stdout.split() == [str(STDERR_BYTES), "True", "True"], done.stderr


# ---- fork ------------------------------------------------------------------------------------------------


@needs_fork
def test_a_forked_process_is_told_to_open_it_again_and_the_parent_goes_on(image):
    code = """
        import os, sys, threading
        from ndviewer_light import open_dataset
        from ndviewer_light.errors import DatasetError
        dataset = open_dataset(sys.argv[1], isolate=True)
        dataset.plane(0, 0, 0, 0)
        dataset.planes([(1, 0, 0, 0)], wait=None)  # with threads of the cache about
        held, go = threading.Event(), threading.Event()
        def hold():
            with dataset._cache._lock:
                held.set(), go.wait()
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        fork = os.fork()
        if fork == 0:
            said = []
            for ask in (lambda: dataset.plane(1, 0, 1, 1), dataset.refresh, lambda: dataset.plane_shape(1)):
                try:
                    ask()
                except DatasetError as error:
                    said.append("forked" in str(error) and "again" in str(error))
            state = dataset.planes([(1, 0, 1, 0)], wait=None)[0]
            said.append("forked" in state.reason)
            dataset.close()
            with open_dataset(sys.argv[1], isolate=True) as own:
                said.append(bool(own.plane(1, 0, 1, 1).any()))
            os.write(1, f"{said}\\n".encode())
            os._exit(0)
        go.set()
        holder.join()
        _, status = os.waitpid(fork, 0)
        print(status, bool(dataset.plane(1, 0, 1, 1).any()), dataset.info.warnings)
        dataset.close()
    """
    done = host(code, str(image))
    assert done.stdout.splitlines() == ["[True, True, True, True, True]", "0 True ()"], done.stderr


# ---- memory ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="where address space can be limited and looked at")
def test_the_memory_of_a_reader_is_limited_and_a_plane_of_1_gib_fits(tmp_path):
    import resource

    import psutil

    from ndviewer_light.isolation.client import IsolatedSource

    side = 23170  # 1 GiB less a few kB, uncompressed; the file is sparse
    write_large(tmp_path / "large.ome.zarr", side)
    source = IsolatedSource.open(str(tmp_path / "large.ome.zarr"))
    soft, _ = psutil.Process(source.pid).rlimit(psutil.RLIMIT_AS)
    assert soft != resource.RLIM_INFINITY
    assert soft >= 8 * 1024**3
    assert source.read_plane(K).shape == (side, side)
    source.close()


def write_large(path: Path, side: int) -> None:
    """An image of one plane and chunk, side x side uint16, nothing but a hole in its file."""
    stores.write_image(path, sizes={"t": 1, "c": 1, "z": 1})
    array = json.loads((path / "0" / "zarr.json").read_text())
    array["shape"][-2:] = array["chunk_grid"]["configuration"]["chunk_shape"][-2:] = [side, side]
    array["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    (path / "0" / "zarr.json").write_text(json.dumps(array))
    with open(path / "0" / "c" / "0" / "0" / "0" / "0" / "0", "r+b") as chunk:
        chunk.truncate(side * side * 2)


@pytest.mark.skipif(sys.platform != "linux", reason="where address space can be limited")
@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_plane_that_needs_more_memory_than_allowed_fails_alone(tmp_path, form):
    if form == "zarr":  # its library aborts when there is no memory
        large, said = tmp_path / "large.ome.zarr", {"ReaderCrashedError", "OutOfMemoryError"}
        write_large(large, 23170)
    else:
        large, said = tmp_path / "large.tiff", {"OutOfMemoryError"}
        tifffile.memmap(large, shape=(23170, 23170), dtype=np.uint16)
    stores.write_image(tmp_path / "image.ome.zarr")
    code = """
        import resource, sys
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.model import PlaneKey
        resource.setrlimit(resource.RLIMIT_AS, (1536 * 1024**2, resource.RLIM_INFINITY))  # readers inherit it
        small, large = (IsolatedSource.open(path) for path in sys.argv[1:])
        try:
            large.read_plane(PlaneKey())
        except Exception as error:
            print(type(error).__name__, "t=0 p=0 c=0 z=0" in str(error), "more memory than" in str(error))
        print(bool(small.read_plane(PlaneKey()).any()))
        small.close(), large.close()
    """
    done = host(code, str(tmp_path / "image.ome.zarr"), str(large))
    name, *rest = done.stdout.split()
    assert name in said, done.stderr + done.stdout
    assert rest == ["True"] * 3, done.stderr + done.stdout
