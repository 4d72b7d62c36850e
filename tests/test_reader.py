"""The reader process reads a real store: the same planes, errors and facts; hosts of any kind."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import struct
import textwrap
import threading
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import stores
from isolated_image import (
    ROOT,
    SECOND,
    K,
    disk_that_hangs_when_told,  # noqa: F401
    host,
    image_on_disk,  # noqa: F401
    source_in_a_reader,  # noqa: F401
    wait_for_end,
)
from memory_source import TIMEOUT, in_thread, memory_info, wait_until

from ndviewer_light import errors
from ndviewer_light.engine.transpose import is_transposed
from ndviewer_light.isolation import spare
from ndviewer_light.isolation.calls import Call
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from pathlib import Path

# ---- a real store through a real process -----------------------------------------------------------


def chunk_of(image: Path, key: PlaneKey) -> Path:
    return image / "0" / "c" / str(key.t) / str(key.c) / str(key.z) / "0" / "0"


def test_every_plane_equals_what_was_written(opened):
    for t, c, z in itertools.product(range(2), repeat=3):
        pixels = opened.read_plane(PlaneKey(t, 0, c, z))
        np.testing.assert_array_equal(pixels, stores.plane(t=t, c=c, z=z))
        assert pixels.flags.c_contiguous
    opened.keep_stored_order()
    pixels = opened.read_plane(PlaneKey())
    np.testing.assert_array_equal(pixels, stores.plane())
    assert is_transposed(pixels), "as they are stored"


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


def in_a_thread(job) -> None:
    threading.Thread(target=job).start()


def being_started():
    """A process that a thread is about to start, or has just started."""
    jobs = []
    spare.prestart(jobs.append)
    starting = spare._starting
    in_a_thread(jobs.pop())
    wait_until(lambda: starting.running() or starting.done())
    return starting


def test_who_takes_a_process_while_it_is_being_started_gets_that_one(image):
    starting = being_started()
    opened = IsolatedSource.open(str(image))
    assert opened.pid == starting.result().pid
    assert spare._spare is None and spare._starting is None
    opened.close()


def test_who_needs_a_process_does_not_wait_for_a_thread_to_start_one(image):
    waiting = []
    spare.prestart(waiting.append)
    opened = IsolatedSource.open(str(image))
    waiting.pop()()
    assert spare._spare is None and spare._starting is None
    opened.close()


def test_a_spare_process_is_there_as_long_as_it_is_needed(image, monkeypatch):
    monkeypatch.setattr(spare, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(spare, "_not_before", 0.0)
    one, other = object(), object()
    spare.keep_ready(one, in_a_thread)
    spare.keep_ready(other, in_a_thread)
    wait_until(lambda: spare._spare is not None)
    first = spare._spare.pid
    opened = IsolatedSource.open(str(image))
    assert opened.pid == first
    spare.keep_ready(one, in_a_thread)
    wait_until(lambda: spare._spare is not None)
    second = spare._spare.pid
    spare.keep_no_more(one)
    assert spare._spare.pid == second, "the other still needs it"
    spare.keep_no_more(other)
    assert spare._spare is None
    wait_for_end(second)
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane(*K))
    opened.close()


def test_a_spare_process_that_is_discarded_while_it_starts_ends():
    starting = being_started()
    spare.discard_spare()
    assert spare._spare is None
    wait_for_end(starting.result().pid)


def test_what_was_taken_is_not_replaced_at_once_and_neither_what_died(monkeypatch):
    keeper = object()
    spare.keep_ready(keeper, in_a_thread)
    assert spare._spare is None and spare._starting is None, "what is being opened comes first"
    monkeypatch.setattr(spare, "_not_before", 0.0)
    spare.keep_ready(keeper, in_a_thread)
    wait_until(lambda: spare._spare is not None)
    os.kill(spare._spare.pid, signal.SIGKILL)
    wait_until(lambda: not spare._spare.alive)
    spare.keep_ready(keeper, in_a_thread)
    assert spare._starting is None, "one that dies again and again would be started again and again"
    spare.keep_no_more(keeper)


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
