"""A script ends though a server or a share it reads from answers no more: what it began is given up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile

from tests.range_server import RangeServer
from tests.served import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 20  # a server is waited for longer than that
N_T = 3

SCRIPT = f"""
import signal, sys, threading; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from ndviewer_light import open_dataset
from ndviewer_light.model import PlaneKey

def say(word):
    sys.stdout.write(word + chr(10))
    sys.stdout.flush()
    sys.stdin.readline()

def take_signals_elsewhere():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])

"""


def of_server(open_: str, read: str) -> str:
    """Opens something, then reads from it in vain."""
    return f"url = sys.argv[1]\n{open_}\nsay('opened')\n{read}\nsay('has begun')\n"


IMAGE = 'd = open_dataset(url + "a.ome.zarr", storage_options={"disk_cache": "no"})'
ISOLATED = IMAGE.replace("url +", "isolate=True, path=url +")
FILES = 'd = open_dataset(url + "img_t{t:0..2}_c{c:0..1}.tif", storage_options={"disk_cache": "no"})'
REFERENCES = "d = open_dataset(sys.argv[2])"
POOL = "from concurrent.futures import ThreadPoolExecutor; pool = ThreadPoolExecutor()"
IN_THREAD = "threading.Thread"
SOME = "d.planes([PlaneKey(1), PlaneKey(2)], wait=0.01)"

IN_BACKGROUND = {
    "planes": of_server(IMAGE, SOME),
    "planes in a reader process": of_server(ISOLATED, SOME),
    "planes of files": of_server(FILES, SOME),
    "planes by references": of_server(REFERENCES, SOME),
    "files that are looked at": of_server(
        "", f"threading.Thread(target=lambda: {FILES[4:]}, daemon=True).start()"
    ),
}
INTERRUPTED = {
    "an image is opened": of_server("", IMAGE),
    "small pictures": of_server(IMAGE, "d.thumbnails([PlaneKey(t) for t in (1, 2)])"),
    "in a pool": of_server(f"{IMAGE}; {POOL}", "pool.submit(d.plane, 1).result()"),
}
LATE = {
    "by references": of_server(REFERENCES, "d.plane(1)"),
    "a plane that is being read": of_server(IMAGE, f"{SOME}; d.plane(1)"),
    "planes": of_server(IMAGE, "d.read_planes([(1, 0, 0, 0), (2, 0, 0, 0)])"),
    "planes in view": of_server(IMAGE, "d.planes([PlaneKey(1), PlaneKey(2)], wait=None)"),
    "a report": of_server(IMAGE, "d.report(read=True)"),
    "in a reader process": of_server(ISOLATED, "d.plane(1)"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    folder = tmp_path_factory.mktemp("served")
    stores.write_image(folder / "a.ome.zarr", sizes={"t": N_T, "c": 2, "z": 1, "y": 24, "x": 40})
    for name in ("a.bin", "b.bin"):
        (folder / name).write_bytes(bytes(128))
    for t in range(N_T):
        for c in range(2):
            tifffile.imwrite(folder / f"img_t{t}_c{c}.tif", np.ones((8, 8), np.uint16))
    with RangeServer(folder) as server:
        array = {"shape": [N_T, 1, 8, 16], "chunks": [1, 1, 8, 8], "dtype": "<u2", "zarr_format": 2}
        array |= {"compressor": None, "filters": None, "fill_value": 0, "order": "C"}
        chunks = {f"{t}.0.0.{i}": [server.url(f"{'ab'[i]}.bin"), 0, 128] for t in range(N_T) for i in (0, 1)}
        refs = {".zarray": json.dumps(array), ".zattrs": '{"_ARRAY_DIMENSIONS": ["t", "z", "y", "x"]}'}
        (folder / "refs.json").write_text(json.dumps({"version": 1, "refs": refs | chunks}))
        yield server


def begun(server: RangeServer, code: str) -> subprocess.Popen[str]:
    """A script that waits for the server, which answers no more since the script has said "opened"."""
    server.set()
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        SCRIPT + code,
        server.url(),
        str(server.folder / "refs.json"),
    ]
    pipe = subprocess.PIPE
    script = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=server.folder)
    assert script.stdout is not None
    assert script.stdin is not None
    if script.stdout.readline() != "opened\n":
        raise AssertionError(script.communicate()[1])
    server.set(latency_s=1000)
    script.stdin.write("\n")
    script.stdin.flush()
    wait_until(lambda: server.counts()["in_flight"] > 0)
    return script


def ended(script: subprocess.Popen[str], last: str = "") -> str:
    """What a script has written to stderr by its end."""
    try:
        return script.communicate(last, timeout=TIMEOUT)[1]
    except subprocess.TimeoutExpired:
        script.send_signal(signal.SIGABRT)  # says where it is
        raise AssertionError(script.communicate()[1]) from None


@pytest.mark.parametrize("code", IN_BACKGROUND.values(), ids=IN_BACKGROUND.keys())
def test_a_script_ends_though_a_server_hangs_from_which_it_reads_in_the_background(
    code: str, served: RangeServer
) -> None:
    script = begun(served, code)
    said = ended(script, "\n")
    assert script.returncode == 0, said
    assert "no longer needed" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
@pytest.mark.parametrize("code", INTERRUPTED.values(), ids=INTERRUPTED.keys())
def test_ctrl_c_ends_a_script_that_waits_for_a_server_that_hangs(code: str, served: RangeServer) -> None:
    script = begun(served, code)
    script.send_signal(signal.SIGINT)
    said = ended(script)
    assert script.returncode == -signal.SIGINT, said
    assert "\nKeyboardInterrupt" in said


THREAD = """
def later():
    threading.main_thread().join()
    sys.stdout.write(str(d.plane(1).shape))
threading.Thread(target=later).start()
"""


def test_a_thread_that_python_waits_for_reads_on_when_the_main_thread_has_failed(served: RangeServer) -> None:
    served.set()
    command = [sys.executable, "-c", f"{SCRIPT}url = sys.argv[1]\n{IMAGE}{THREAD}1 / 0", served.url()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "(24, 40)"), done.stderr


# ---- shares ---------------------------------------------------------------------------------------

QUESTIONS = """
from ndviewer_light.storage import asked_together as asking
asking._slow_until = float("inf")
hung = threading.Barrier(3)
def ask(question):
    hung.wait()
    threading.Event().wait()
threading.Thread(target=lambda: asking.asked_together(ask, range(2)), daemon=True).start()
hung.wait()
sys.stdout.write("hangs")
"""

LOOK = """
from memory_source import MemorySource
from ndviewer_light.engine.dataset import Dataset
hung = threading.Event()
class Hung(MemorySource):
    def look(self):
        hung.set()
        threading.Event().wait()
dataset = Dataset(Hung(), path="/data/run", follow=True)
while not hung.wait(0.05):
    dataset.take_changes()
sys.stdout.write("hangs")
"""

HUNG = """
from memory_source import MemorySource, memory_info
from ndviewer_light.engine.dataset import Dataset
hung = threading.Barrier(3)
class Hung(MemorySource):
    def read_plane(self, key, level=0):
        hung.wait()
        threading.Event().wait()
dataset = Dataset(Hung(memory_info()), path="/data/run")
{}
hung.wait()
sys.stdout.write("hangs")
"""


SHARES = {
    "questions": QUESTIONS,
    "a look": LOOK,
    "planes": HUNG.format("dataset.planes([PlaneKey(), PlaneKey(1)], wait=0.01)"),
}


@pytest.mark.parametrize("code", SHARES.values(), ids=SHARES.keys())
def test_a_script_ends_though_a_share_answers_no_more(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "hangs"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
@pytest.mark.parametrize("code", LATE.values(), ids=LATE.keys())
def test_ctrl_c_ends_a_wait_that_the_signal_itself_does_not_interrupt(code: str, served: RangeServer) -> None:
    """Another thread takes it, or it comes just before the wait begins: once in 20 under load."""
    script = begun(served, code.replace("say('opened')", "take_signals_elsewhere()\nsay('opened')"))
    script.send_signal(signal.SIGINT)
    said = ended(script)
    assert script.returncode == -signal.SIGINT, said
    assert "\nKeyboardInterrupt" in said
