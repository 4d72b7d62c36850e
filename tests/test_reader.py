"""A source behind a wall: the same planes, the same errors; what dies, hangs or talks costs a message."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import stores
from memory_source import TIMEOUT, Clock, in_thread, memory_info, wait_until

from ndviewer_light import errors
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.isolation import protocol as wire
from ndviewer_light.isolation import reader_process, spare
from ndviewer_light.isolation.calls import Call
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.isolation.shared_memory import MAX_PLANE_BYTES, MappedSlot, OwnedSlot
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.model import (
    AnnouncedRun,
    Channel,
    ImageInfo,
    PlaneKey,
    PlaneState,
    Position,
    announced_info,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
K = PlaneKey(0, 0, 0, 0)
SECOND = PlaneKey(1, 0, 1, 1)


# ---- what crosses the pipe -------------------------------------------------------------------------


def across(message: dict) -> dict:
    """The message as it comes out at the other end."""
    stream = io.BytesIO()
    wire.send(stream, message)
    stream.seek(0)
    received = wire.receive(stream)
    assert received is not None
    assert stream.read() == b""
    return received


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(memory_info(), id="small"),
        pytest.param(memory_info(n_p=0, n_c=0), id="nothing in it"),
        pytest.param(memory_info(dtype=None, complete=False, warnings=("a", "b")), id="nothing written"),
        pytest.param(memory_info(dtype=np.dtype(">u2")), id="big-endian"),
        pytest.param(memory_info(dtype=np.dtype("c16"), time_step_s=2.5, z_step_um=0.1), id="complex"),
        pytest.param(
            memory_info(
                positions=(Position("Ä1", 0, 1.5, None, -3.0), Position("\udcff", 7)),
                channels=(Channel("α", "#123456", 488.0, 520.0, (0.0, 1.5)), Channel("")),
            ),
            id="names of all kinds",
        ),
        pytest.param(
            memory_info(n_t=np.int64(4), pixel_size_x_um=np.float64(0.325), pixel_size_y_um=np.float32(0.5)),
            id="numpy numbers",
        ),
        pytest.param(
            memory_info(n_p=4)
            .with_image(
                1, ImageInfo((Channel("Cy5", window=(1, 2)),), 1, 2, 9, 8, np.dtype("u1"), times=(3,))
            )
            .with_image(
                3, ImageInfo((Channel("Cy5", window=(1, 2)),), 1, 2, 9, 8, np.dtype("u1"), times=(3,))
            ),
            id="positions that differ",
        ),
        pytest.param(
            memory_info(n_p=4).with_images({2: replace(memory_info().image(0), width=9)}, assumed=True),
            id="a position of which metadata tells",
        ),
    ],
)
def test_what_is_known_of_a_dataset_crosses_the_pipe_unchanged(info):
    assert wire.info_from_json(across(wire.info_to_json(info))) == info


def test_positions_cross_the_pipe_once():
    known: tuple[Position, ...] = ()
    before = None
    named = [memory_info(n_p=n, n_t=t) for n, t in ((2, 1), (2, 2), (5, 2), (1, 2), (3, 2))]
    others = replace(named[-1], positions=tuple(Position("B7", i) for i in range(4)))
    for info, n_sent in zip((*named, others), (2, 0, 3, 1, 2, 4), strict=True):
        message = across(wire.info_to_json(info, before))
        assert len(next(iter(message["positions"]), ())) == n_sent
        whole = wire.with_known_positions(message, known)
        assert wire.info_from_json(whole) == info
        known, before = whole["positions"], info
    with pytest.raises(ValueError, match="positions are said to be known"):
        wire.with_known_positions(across(wire.info_to_json(others, others)), ())


RUN = AnnouncedRun(
    positions=(Position("A1", 0), Position("A1", 1)),
    paths=("/data/a.zarr", "/data/b.zarr"),
    indices=(None, 1),
    channels=("BF", "488"),
    n_z=3,
    height=20,
    width=30,
)


@pytest.mark.parametrize("what", ["/data/plate.ome.zarr", RUN], ids=["path", "run"])
def test_what_to_open_crosses_the_pipe_unchanged(what):
    assert wire.what_from_json(across(wire.what_to_json(what))) == what


@pytest.mark.parametrize("cls", sorted(errors.BY_NAME.values(), key=lambda cls: cls.__name__))
def test_errors_keep_class_and_text_across_the_pipe(cls):
    error = wire.error_from_json(across(wire.error_to_json(cls("/data/a.zarr/zarr.json: no 'shape'"))))
    assert type(error) is cls
    assert str(error) == "/data/a.zarr/zarr.json: no 'shape'"


@pytest.mark.parametrize("shape", [None, (20, 30)], ids=str)
def test_a_plane_that_is_not_stored_tells_its_shape_across_the_pipe(shape):
    error = errors.PlaneNotStoredError("nothing there")
    error.plane_shape = shape
    assert wire.error_from_json(across(wire.error_to_json(error))).plane_shape == shape


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (IndexError("t = 5"), (IndexError, "t = 5")),
        (KeyError("x"), (errors.DatasetError, "KeyError: 'x'")),
        (MemoryError(), (errors.DatasetError, "MemoryError: ")),
    ],
    ids=repr,
)
def test_errors_that_are_not_ours_become_a_dataset_error(raised, expected):
    error = wire.error_from_json(across(wire.error_to_json(raised)))
    assert (type(error), str(error)) == expected


@pytest.mark.parametrize("name", ["SystemExit", "os.system", "", "NoSuchError"])
def test_an_error_of_an_unknown_name_is_a_dataset_error(name):
    assert type(wire.error_from_json({"name": name, "text": "x"})) is errors.DatasetError


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0\0", id="half a length"),
        pytest.param(struct.pack(">I", 9) + b"{}", id="half a message"),
        pytest.param(struct.pack(">I", wire.MAX_MESSAGE_BYTES + 1), id="more than any message"),
        pytest.param(b"Segmentation fault (core dumped)\n", id="a library that prints"),
        pytest.param(struct.pack(">I", 7) + b"not JSON", id="no JSON"),
        pytest.param(struct.pack(">I", 2) + b"\xff\xfe", id="no text"),
        pytest.param(struct.pack(">I", 2) + b"[]", id="no message"),
        pytest.param(struct.pack(">I", 200_000) + b"[" * 200_000, id="too deep"),
    ],
)
def test_what_is_no_message_is_the_end_of_the_conversation(said):
    assert wire.receive(io.BytesIO(said)) is None


def test_messages_follow_each_other():
    stream = io.BytesIO()
    for number in range(3):
        wire.send(stream, {"id": number, "text": "ü" * number})
    stream.seek(0)
    received = iter(lambda: wire.receive(stream), None)
    assert [message["text"] for message in received] == ["", "ü", "üü"]


# ---- planes in shared memory -----------------------------------------------------------------------


@pytest.fixture
def slot():
    owned = OwnedSlot()
    yield owned, MappedSlot(os.dup(owned.address) if isinstance(owned.address, int) else owned.address)
    owned.close()


@pytest.fixture
def mapped_and_owned(slot):
    owned, mapped = slot
    yield mapped, owned
    if mapped._map is not None:
        mapped._map.close()
    os.close(mapped._fd)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "f4", "c16", "?"])
def test_a_plane_put_into_a_slot_comes_out_of_it(mapped_and_owned, dtype):
    mapped, owned = mapped_and_owned
    pixels = np.arange(6).reshape(2, 3).astype(dtype)
    mapped.array((2, 3), np.dtype(dtype))[:] = pixels
    mapped.flush()
    out = owned.copy_out((2, 3), np.dtype(dtype))
    np.testing.assert_array_equal(out, pixels)
    assert out.flags.owndata
    assert out.dtype == pixels.dtype


def test_planes_of_any_size_follow_each_other_in_one_slot(mapped_and_owned):
    mapped, owned = mapped_and_owned
    for number, side in enumerate([3, 500, 1, 0, 1000, 2]):
        mapped.array((side, side), np.dtype("u2"))[:] = number
        mapped.flush()
        out = owned.copy_out((side, side), np.dtype("u2"))
        assert out.shape == (side, side)
        assert (out == number).all()


def test_a_slot_with_less_than_announced_is_an_error(mapped_and_owned):
    mapped, owned = mapped_and_owned
    mapped.array((2, 2), np.dtype("u1"))[:] = 1
    with pytest.raises(OSError, match=r"96 of \d+ bytes are missing"):
        owned.copy_out((10, 10), np.dtype("u1"))


def test_a_plane_larger_than_any_plane_is_refused_on_both_sides(mapped_and_owned):
    mapped, owned = mapped_and_owned
    shape = (MAX_PLANE_BYTES // 2 + 1, 1)
    for refusing in (mapped.array, owned.copy_out):
        with pytest.raises(errors.LimitExceededError, match=str(MAX_PLANE_BYTES)):
            refusing(shape, np.dtype("u2"))


# ---- a real store through a real process -----------------------------------------------------------


@pytest.fixture
def image(tmp_path, disk_that_hangs):
    path = tmp_path / "image.ome.zarr"
    stores.write_image(path)
    return path


@pytest.fixture
def opened(image):
    reader = IsolatedSource.open(str(image))
    yield reader
    reader.close()


def chunk_of(image: Path, key: PlaneKey) -> Path:
    return image / "0" / "c" / str(key.t) / str(key.c) / str(key.z) / "0" / "0"


_HANGING = """
import os, time
from ndviewer_light.isolation import server
answer = server._Server._answer
def answer_unless_it_hangs(self, request):
    hung = os.path.join(os.environ["NDVIEWER_TEST_HUNG"], "-".join(map(str, request.get("key", ()))))
    while request["op"] == "read" and os.path.exists(hung):
        time.sleep(0.005)
    return answer(self, request)
server._Server._answer = answer_unless_it_hangs
"""


@pytest.fixture
def disk_that_hangs(tmp_path, monkeypatch) -> None:
    """Let `hang` have an effect in the reader processes that are started from here on."""
    monkeypatch.setenv("NDVIEWER_TEST_HUNG", str(tmp_path / "hung"))
    bootstrap = reader_process._BOOTSTRAP.replace("main(start", _HANGING + "main(start")
    monkeypatch.setattr(reader_process, "_BOOTSTRAP", bootstrap)


def hang(image: Path, key: PlaneKey) -> Callable[[], None]:
    """Let reads of a plane hang, as on a disk that is gone; what is returned ends that."""
    hung = image.parent / "hung" / "-".join(map(str, key))
    hung.parent.mkdir(exist_ok=True)
    hung.touch()
    return hung.unlink


def wait_until_asked(opened: IsolatedSource, n: int = 1) -> None:
    """Block until `n` reads are under way."""
    wait_until(lambda: len(opened._readers.process._calls) >= n)


def reading_now(opened: IsolatedSource) -> list[str]:
    """The operations that somebody waits for in the process in use, and that it has taken up."""
    process = opened._readers.process
    if process is None or not process.alive:
        return []
    return [call.op for call in list(process._calls.values()) if not call.left and call.op != "open"]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_for_end(pid: int) -> None:
    # looked at, not waited for by its id: its end is for the reader to collect
    wait_until(lambda: not is_alive(pid))


def test_every_plane_equals_what_was_written(opened):
    for t, c, z in itertools.product(range(2), repeat=3):
        pixels = opened.read_plane(PlaneKey(t, 0, c, z))
        np.testing.assert_array_equal(pixels, stores.plane(t=t, c=c, z=z))
        assert pixels.flags.c_contiguous


def test_info_and_shapes_are_those_of_the_source(opened, image):
    from ndviewer_light.sources import open_source

    source = open_source(str(image))
    assert opened.info == source.info
    assert opened.plane_shape(K) == source.plane_shape(K) == (stores.HEIGHT, stores.WIDTH)
    source.close()


def test_many_threads_read_through_one_process(opened):
    keys = [PlaneKey(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]

    def read(seed: int) -> None:
        for key in keys[seed:] + keys[:seed]:
            np.testing.assert_array_equal(opened.read_plane(key), stores.plane(key.t, 0, key.c, key.z))

    for future in [in_thread(read, seed) for seed in range(8)]:
        future.result(TIMEOUT)


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        pytest.param(lambda chunk: chunk.unlink(), errors.PlaneNotStoredError, id="missing"),
        pytest.param(lambda chunk: chunk.write_bytes(b"no blosc"), errors.CorruptDataError, id="damaged"),
        pytest.param(lambda chunk: chunk.write_bytes(b""), errors.CorruptDataError, id="empty"),
    ],
)
def test_errors_of_one_plane_keep_their_class_and_the_others_stay_readable(opened, image, break_it, kind):
    break_it(chunk_of(image, K))
    pid = opened.pid
    with pytest.raises(kind, match=r"image\.ome\.zarr"):
        opened.read_plane(K)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    assert opened.pid == pid, "an error is no reason for another process"


def test_a_plane_outside_the_dataset_is_an_index_error(opened):
    with pytest.raises(IndexError):
        opened.read_plane(PlaneKey(99, 0, 0, 0))


@pytest.mark.parametrize(
    ("what", "kind"),
    [("nothing here", FileNotFoundError), ("empty", FileNotFoundError), ("broken", ValueError)],
)
def test_what_cannot_be_opened_is_said_by_the_fitting_error(tmp_path, what, kind):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "arr')
    with pytest.raises(kind, match=what) as caught:
        IsolatedSource.open(str(tmp_path / what))
    assert isinstance(caught.value, errors.DatasetError)


def test_a_reader_starts_no_process_before_it_has_to(image):
    reader = IsolatedSource(str(image), memory_info())
    assert reader.pid is None
    assert reader.info == memory_info()
    reader.close()


def test_a_prestarted_process_is_the_one_that_is_used(image):
    spare.prestart()
    wait_until(lambda: spare._spare is not None)
    pid = spare._spare.pid
    opened = IsolatedSource.open(str(image))
    assert opened.pid == pid
    if hasattr(os, "nice"):
        assert psutil.Process(pid).nice() >= 5, "a host that acquires comes first"
    opened.close()
    wait_for_end(pid)


# ---- death -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noticed", [False, True], ids=["at once", "when it has been noticed"])
def test_a_reader_killed_between_reads_is_replaced_and_that_is_said(opened, noticed):
    opened.read_plane(K)
    pid, process = opened.pid, opened._readers.process
    os.kill(pid, signal.SIGKILL)
    if noticed:
        wait_for_end(pid)
        wait_until(lambda: not process.alive)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    assert opened.pid not in (None, pid)
    [notice] = opened.info.warnings
    assert "SIGKILL" in notice
    assert "a new one was started" in notice


def test_a_reader_killed_during_a_read_is_replaced_and_the_plane_is_right(opened, image):
    restore = hang(image, SECOND)
    reading = in_thread(opened.read_plane, SECOND)
    wait_until_asked(opened)
    os.kill(opened.pid, signal.SIGKILL)
    restore()
    np.testing.assert_array_equal(reading.result(TIMEOUT), stores.plane(*SECOND))
    assert "SIGKILL" in opened.info.warnings[0]


def test_everybody_who_waits_when_the_reader_dies_gets_their_plane(opened, caplog):
    keys = [PlaneKey(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]
    os.kill(opened.pid, signal.SIGSTOP)  # it takes requests, and answers none
    reads = [in_thread(opened.read_plane, key) for key in keys]
    wait_until_asked(opened, len(keys))
    os.kill(opened.pid, signal.SIGKILL)
    for key, reading in zip(keys, reads, strict=True):
        np.testing.assert_array_equal(reading.result(TIMEOUT), stores.plane(*key))
    assert len(caplog.records) == 1, "one death, however many noticed"


def test_a_plane_that_ends_the_reader_each_time_is_left_alone_and_the_others_are_not(
    opened, image, monkeypatch
):
    clock = Clock()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    restore = hang(image, K)
    reading = in_thread(opened.read_plane, K)
    pids = set()
    for _ in range(3):  # what a damaged plane does: whichever process reads it dies
        wait_until(lambda: opened.pid not in {None, *pids} and reading_now(opened) == ["read"])
        pids.add(opened.pid)
        os.kill(opened.pid, signal.SIGKILL)
        clock.now += 10
    with pytest.raises(errors.ReaderCrashedError, match=r"t=0 p=0 c=0 z=0 of .*image\.ome\.zarr.*3 times"):
        reading.result(TIMEOUT)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    pid = opened.pid
    with pytest.raises(errors.ReaderCrashedError, match="will retry in one minute"):
        opened.read_plane(K)
    assert opened.pid == pid, "it is not read at all"
    restore()
    clock.now += 61
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())


def test_what_was_read_beside_a_plane_that_ends_the_reader_is_delivered(opened, image, monkeypatch):
    monkeypatch.setattr("ndviewer_light.isolation.blame._ALONE_SECONDS", 0.5)
    restore = [hang(image, key) for key in (K, SECOND)]
    bad, good = in_thread(opened.read_plane, K), in_thread(opened.read_plane, SECOND)
    wait_until(lambda: len(reading_now(opened)) == 2)
    os.kill(opened.pid, signal.SIGKILL)  # either may have been it
    restore[1]()
    np.testing.assert_array_equal(good.result(TIMEOUT), stores.plane(*SECOND))
    pids = set()
    for _ in range(2):
        wait_until(lambda: opened.pid not in {None, *pids} and reading_now(opened) == ["read"])
        pids.add(opened.pid)
        os.kill(opened.pid, signal.SIGKILL)
    with pytest.raises(errors.ReaderCrashedError, match="3 times"):
        bad.result(TIMEOUT)


def test_a_reader_killed_over_and_over_from_outside_is_always_replaced(opened):
    for _ in range(6):
        np.testing.assert_array_equal(opened.read_plane(K), stores.plane())
        os.kill(opened.pid, signal.SIGKILL)
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())


def test_metadata_that_ends_the_reader_each_time_is_left_alone(image, monkeypatch):
    monkeypatch.setattr(
        "ndviewer_light.isolation.reader_process._BOOTSTRAP", "import os, signal; os.kill(os.getpid(), 9)"
    )
    clock = Clock()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    source = IsolatedSource(str(image))
    with pytest.raises(errors.ReaderCrashedError, match=r"opening .*image\.ome\.zarr crashed .* 3 times"):
        source.start()
    monkeypatch.undo()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    clock.now += 61
    source.start()
    np.testing.assert_array_equal(source.read_plane(K), stores.plane())
    source.close()


def test_a_dead_reader_leaves_no_open_files_behind(opened):
    def n_open() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc here")
    opened.read_plane(K)
    before = n_open()
    for _ in range(2):
        pid = opened.pid
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        opened.read_plane(K)
    wait_until(lambda: n_open() <= before)  # its pipe is closed by the thread that listened to it


def test_what_was_learned_of_a_run_survives_the_reader(tmp_path):
    path = tmp_path / "fov_0.ome.zarr"
    run = announce_per_fov([str(path)], stores.CHANNELS[:2], 2, ["A1:0"], stores.HEIGHT, stores.WIDTH)
    opened = IsolatedSource(run, announced_info(run))
    assert opened.plane_shape(K) is None
    stores.write_image(path)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    learned = opened.info
    assert (learned.n_t, learned.dtype) == (2, np.uint16)
    pid = opened.pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    with contextlib.suppress(errors.ReaderCrashedError):  # if its death is noticed only now
        opened.start()
    seen = [opened.info]
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    seen.append(opened.info)
    assert [(info.n_t, info.dtype) for info in seen] == [(2, np.uint16)] * 2, "sizes never shrink"
    opened.close()


def test_through_a_dataset_a_killed_reader_costs_a_message(image):
    source = IsolatedSource.open(str(image))
    with Dataset(source, path=str(image)) as dataset:
        assert dataset.planes([K], wait=None)[0].state is PlaneState.PRESENT
        os.kill(source.pid, signal.SIGKILL)
        [plane] = dataset.planes([SECOND], wait=None)
        np.testing.assert_array_equal(plane.pixels, stores.plane(*SECOND))
        assert dataset.take_changes().info, "the message is news"
        assert "SIGKILL" in dataset.info.warnings[0]


# ---- the end ---------------------------------------------------------------------------------------


def test_close_during_hung_reads_ends_them_at_once_and_leaves_no_process(opened, image, caplog):
    dataset = Dataset(opened)
    keys = [PlaneKey(t, 0, 0, z) for t in range(2) for z in range(2)]
    for key in keys:
        hang(image, key)
    waiting = in_thread(opened.read_plane, keys[0])
    in_view = in_thread(lambda: dataset.planes(keys[1:], wait=None))
    wait_until_asked(opened, len(keys))
    pid = opened.pid
    dataset.close()
    with pytest.raises(errors.DatasetError):
        waiting.result(TIMEOUT)
    assert [plane.pixels for plane in in_view.result(TIMEOUT)] == [None] * 3
    wait_for_end(pid)
    assert not caplog.records, "closing is no fault"


def test_a_closed_reader_reads_nothing_and_starts_nothing(opened):
    pid = opened.pid
    opened.close()
    opened.close()
    for asking in (opened.read_plane, opened.plane_shape):
        with pytest.raises(errors.DatasetError, match="closed"):
            asking(K)
    wait_for_end(pid)
    assert opened.pid is None


def test_closing_while_it_is_being_opened_leaves_no_process(image):
    for _ in range(5):
        opened = IsolatedSource(str(image), memory_info())
        starting = in_thread(opened.start)
        wait_until(lambda opened=opened: opened._readers.opening_since is not None)
        opened.close()
        with contextlib.suppress(errors.DatasetError):
            starting.result(TIMEOUT)
    # that no process is left is what every test is held to


def host(code: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run `code` as a host program of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **{"cwd": ROOT, **options},
    )


def test_the_reader_ends_when_its_host_is_killed(image):
    code = """
        import os, signal, sys
        from ndviewer_light.isolation.client import IsolatedSource
        reader = IsolatedSource.open(sys.argv[1])
        print(reader.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = host(code, str(image))
    assert done.returncode == -signal.SIGKILL
    wait_for_end(int(done.stdout))


def test_the_reader_ends_when_its_host_is_killed_but_a_fork_of_the_host_lives_on(image):
    code = """
        import os, signal, subprocess, sys, time
        from ndviewer_light.isolation.client import IsolatedSource
        reader = IsolatedSource.open(sys.argv[1])
        fork = os.fork()
        if fork == 0:  # it has inherited our end of the pipe
            os.close(1), os.close(2)
            time.sleep(60)
            os._exit(0)
        print(reader.pid, fork, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    done = host(code, str(image))
    pid, fork = map(int, done.stdout.split())
    try:
        wait_for_end(pid)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_a_host_that_forgets_to_close_still_ends(image):
    code = """
        import sys
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.isolation.spare import prestart
        reader = IsolatedSource.open(sys.argv[1])
        prestart()
        print(reader.pid)
    """
    done = host(code, str(image))
    assert (done.returncode, done.stderr) == (0, "")
    wait_for_end(int(done.stdout))


# ---- hosts -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_host_can_fork_a_tensorstore_writer_after_viewing(image, tmp_path):
    code = """
        import multiprocessing, sys
        from ndviewer_light.engine.dataset import Dataset
        from ndviewer_light.model import PlaneKey
        from ndviewer_light.isolation.client import IsolatedSource

        def write(path):
            import numpy, tensorstore
            store = tensorstore.open(
                {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}},
                create=True, dtype="uint16", shape=[8, 8],
            ).result()
            store[...] = numpy.full((8, 8), 7, "uint16")

        with Dataset(IsolatedSource.open(sys.argv[1])) as dataset:
            [plane] = dataset.planes([PlaneKey()], wait=None)
            assert plane.pixels.any()
            writer = multiprocessing.get_context("fork").Process(target=write, args=(sys.argv[2],))
            writer.start()
            writer.join()
            print(writer.exitcode, "tensorstore" in sys.modules)
    """
    done = host(code, str(image), str(tmp_path / "written.zarr"))
    assert done.stdout.split() == ["0", "False"], done.stderr
    assert (tmp_path / "written.zarr" / "zarr.json").is_file()


@pytest.mark.parametrize("how", ["copy", "symlink"])
def test_the_reader_finds_the_package_in_a_checkout_under_another_name(image, tmp_path, how):
    control = tmp_path / "software" / "control"
    control.mkdir(parents=True)
    (control / "__init__.py").touch()
    checkout = control / "ndviewer_light"
    if how == "symlink":
        checkout.symlink_to(ROOT, target_is_directory=True)
    else:
        checkout.mkdir()
        shutil.copy(ROOT / "__init__.py", checkout)
        shutil.copytree(ROOT / "ndviewer_light", checkout / "ndviewer_light")
    code = """
        import sys
        from control.ndviewer_light.ndviewer_light.isolation.client import IsolatedSource
        from control.ndviewer_light.ndviewer_light.model import PlaneKey
        assert "ndviewer_light" not in sys.modules
        reader = IsolatedSource.open(sys.argv[1])
        print(int(reader.read_plane(PlaneKey()).sum()))
        reader.close()
    """
    done = host(code, str(image), cwd=control.parent)
    assert done.stdout.split() == [str(stores.plane().sum())], done.stderr


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("sys.path.append(pathlib.Path('/somewhere'))", id="a Path in sys.path"),
        pytest.param("os.chdir(os.path.dirname(sys.argv[1])); os.rmdir(sys.argv[1])", id="cwd vanished"),
        pytest.param("sys.stdin.close(); os.close(0)", id="no standard input"),
        pytest.param("os.environ['PYTHONSTARTUP'] = '/nowhere'", id="odd environment"),
    ],
)
def test_a_host_may_be_odd(image, tmp_path, odd):
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    code = f"""
        import os, pathlib, sys
        sys.path.insert(0, {str(ROOT)!r})
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.model import PlaneKey
        {odd}
        reader = IsolatedSource.open(sys.argv[2])
        print(int(reader.read_plane(PlaneKey()).sum()))
        reader.close()
    """
    done = host(code, str(tmp_path / "deep" / "deeper"), str(image))
    assert done.stdout.split() == [str(stores.plane().sum())], done.stderr


def test_a_library_that_prints_in_the_reader_does_not_break_the_conversation(image, tmp_path):
    # found first by the reader, through the host's own sys.path: a tensorstore that talks
    chatty = tmp_path / "tensorstore.py"
    chatty.write_text(
        textwrap.dedent(
            """
            import os, sys
            print("hello from a library", flush=True)
            os.write(1, b"and from its native part\\n")
            sys.path.remove(os.path.dirname(__file__))
            del sys.modules["tensorstore"]
            import tensorstore
            """
        )
    )
    code = """
        import sys
        sys.path.insert(0, sys.argv[2])
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.model import PlaneKey
        reader = IsolatedSource.open(sys.argv[1])
        print(int(reader.read_plane(PlaneKey()).sum()), reader.info.warnings)
        reader.close()
    """
    done = host(code, str(image), str(tmp_path))
    assert done.stdout.split(maxsplit=1) == [str(stores.plane().sum()), "()\n"], done.stderr


def test_the_reader_process_is_not_interrupted_by_ctrl_c(opened):
    os.kill(opened.pid, signal.SIGINT)
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())
    assert not opened.info.warnings


def test_a_reader_that_says_nonsense_is_ended_and_replaced(opened):
    pid, process = opened.pid, opened._readers.process
    # what a process with overwritten memory might do: it is alive, but what it says is no message
    waiting = Call(10**6, "read", TIMEOUT)
    with process._lock:
        process._calls[10**6] = waiting
    nonsense = json.dumps({"op": "read", "id": 10**6, "key": "no key", "level": 0, "x": "y" * 10})
    process._popen.stdin.write(struct.pack(">I", len(nonsense)) + nonsense.encode())
    assert "error" in waiting.wait(TIMEOUT, lambda: None), (
        "a request it cannot understand is answered by an error"
    )
    process._leave(waiting)
    process._popen.stdin.write(struct.pack(">I", 3) + b"???")
    wait_for_end(pid)
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())
    assert opened.info.warnings
