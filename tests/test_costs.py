"""What makes it fast, as facts without a clock: what is imported when, how often is read, no socket opened.

How many files opening a large plate reads is tested with the layouts.
"""

from __future__ import annotations

import ctypes
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from benchmarks import stores
from memory_source import MemorySource, memory_info

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.isolation.spawned_process import READS_IN_FLIGHT
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.model import PlaneKey, announced_info
from ndviewer_light.opening import open_dataset
from ndviewer_light.storage.freed_memory import array_of_its_own, hand_back, zeros_of_their_own

ROOT = Path(__file__).resolve().parents[1]
GUI = {"qtpy", "PyQt6", "PyQt5", "PySide6", "superqt", "ndv", "vispy", "cmap"}
LAZY = {"dask", "xarray", "pandas"}


def said_by(code: str, *arguments: object) -> object:
    """What `code` leaves in `answer`, run in a fresh interpreter."""
    code = f"import json, sys\n{code}\nsys.stdout.write(json.dumps(answer))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    stores.write_image(tmp_path / "image", (2, 4, 2, 32, 32), "fast")
    (tmp_path / "folder").mkdir()
    for t in range(2):
        tifffile.imwrite(tmp_path / "folder" / f"t{t}.tif", np.full((32, 32), t, np.uint16))
    return tmp_path / "image"


# ---- what is imported when -----------------------------------------------------------------------

_LOADED = "answer = sorted({name.partition('.')[0] for name in sys.modules})"


@pytest.mark.parametrize(
    ("code", "banned"),
    [
        pytest.param("import ndviewer_light", GUI | LAZY | {"numpy", "tensorstore", "asyncio"}, id="package"),
        pytest.param(
            "import ndviewer_light.__main__", GUI | LAZY | {"numpy", "tensorstore"}, id="command line"
        ),
        pytest.param(
            "import ndviewer_light as nl\nwith nl.open_dataset(sys.argv[1]) as ds: ds.plane()",
            GUI | LAZY,
            id="open",
        ),
        pytest.param(
            "from ndviewer_light import open_dataset\nopen_dataset(sys.argv[1] + '/../folder').plane(t=1)",
            GUI | LAZY | {"tensorstore", "asyncio", "http", "ssl"},
            id="open a folder of images",
        ),
        pytest.param(
            "import ndviewer_light as nl\nnl.open_dataset(sys.argv[1] + '/../folder/t0.tif').plane()",
            GUI | LAZY | {"tensorstore", "asyncio", "http", "ssl"},
            id="open a TIFF",
        ),
        pytest.param(
            "import ndviewer_light as nl\nwith nl.open_dataset(sys.argv[1], isolate=True) as ds: ds.plane()",
            GUI | LAZY | {"tensorstore"},
            id="open, isolated",
        ),
        pytest.param(
            "import ndviewer_light.gui.windows.window_contents",
            {"ndv", "vispy", "tensorstore", "ssl", *LAZY},
            id="widget",
        ),
    ],
)
def test_what_is_not_needed_is_not_imported(image: Path, code: str, banned: set[str]) -> None:
    loaded = said_by(f"{code}\n{_LOADED}", image)
    assert isinstance(loaded, list)
    assert not banned.intersection(loaded)


_FRAME = """
from ndviewer_light.isolation import spare
spare.prestart(lambda job: job())
import ndviewer_light.gui.windows.window
answer = sorted(sys.modules)
spare.discard_spare()
"""


def test_until_its_first_paint_a_window_and_its_reader_process_need_neither_numpy_nor_the_viewer() -> None:
    loaded = said_by(_FRAME)
    assert isinstance(loaded, list)
    assert not {"numpy", "ndviewer_light.gui.viewer", "ndviewer_light.engine.dataset"}.intersection(loaded)


_SHOWN = """
from tests.benchmarks.widget import application
import builtins
seen = []
from qtpy.QtCore import QThread
gui = QThread.currentThread()
imported = builtins.__import__
def note(name, *more, **others):
    if QThread.currentThread() is gui:
        seen.append(name.partition(".")[0])
    return imported(name, *more, **others)
builtins.__import__ = note
from ndviewer_light.gui.windows.window import LightweightMainWindow
app = application()
window = LightweightMainWindow(sys.argv[1])
window.show()
window.viewer.grab()
builtins.__import__ = imported
from tests.benchmarks.widget import Loop
loop = Loop()
loop.wait(lambda: window.viewer.ndv_viewer is not None and window.viewer.stage.canvas.frame is not None)
answer = {"before": sorted(set(seen)), "after": sorted({name.partition(".")[0] for name in sys.modules})}
window.close()
"""


def test_who_opens_a_store_imports_no_format_that_is_tried_later(image: Path) -> None:
    code = "import ndviewer_light as nl\nwith nl.open_dataset(sys.argv[1]) as ds: ds.plane()\n"
    answer = "answer = [name for name in sys.modules if name.startswith('ndviewer_light.sources.')]"
    loaded = said_by(code + answer, image)
    assert isinstance(loaded, list)
    rooms = {name.split(".")[2] for name in loaded if name.count(".") >= 3}
    assert rooms == {"zarr"}


def test_a_reader_has_no_threads_but_those_that_read(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with open_dataset(image.parent / "folder", isolate=True) as dataset:
        dataset.plane(t=1)
        source = dataset._source
        assert isinstance(source, IsolatedSource)
        # one waits for requests, one for the end of its parent
        assert psutil.Process(source.pid).num_threads() == READS_IN_FLIGHT + 2


def test_no_expression_for_names_of_unknown_programs_is_compiled_before_there_is_one() -> None:
    code = "from ndviewer_light.sources.images import dates, source\n"
    assert said_by(f"{code}answer = dates.compiled.cache_info().currsize") == 0


@pytest.mark.gl
@pytest.mark.usefixtures("drawn_with_opengl")
def test_the_window_is_there_before_what_draws_pixels_and_nothing_native_ever_comes(image: Path) -> None:
    said = said_by(_SHOWN, image)
    assert isinstance(said, dict)
    assert not {"ndv", "vispy", "tensorstore", *LAZY}.intersection(said["before"])
    assert "ndv" in said["after"]
    assert not {"tensorstore", *LAZY}.intersection(said["after"])


# ---- the network ------------------------------------------------------------------------------------

_NO_NETWORK = """
import os, socket
attempts = []
allowed = getattr(socket, "AF_UNIX", None)
def audit(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        attempts.append(event)
    if event == "socket.connect" and arguments[0].family != allowed:
        attempts.append(event)
sys.addaudithook(audit)
os.environ["PYCONIFY_CACHE"] = sys.argv[2]
from tests.benchmarks.widget import Window
window = Window()
window.open(sys.argv[1])
window.close()
answer = attempts
"""


@pytest.mark.gl
def test_no_connection_is_tried_while_the_viewer_is_built_and_shows_a_dataset(
    image: Path, tmp_path: Path
) -> None:
    assert said_by(_NO_NETWORK, image, tmp_path / "icons") == []


# ---- reads -------------------------------------------------------------------------------------------


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource(memory_info(n_c=4))
    for t in range(2):
        for c in range(4):
            source.write((t, 0, c, 0), 10 * t + c)
    return source


def test_a_frame_reads_each_visible_channel_once_and_what_was_shown_not_at_all(source: MemorySource) -> None:
    pytest.importorskip("ndv")
    from uploads import uploaded

    from ndviewer_light.gui.canvas.canvas_view import View
    from ndviewer_light.gui.canvas.view_arrays import ViewArrays

    with Dataset(source) as dataset:
        frames = ViewArrays(dataset)
        uploaded(frames)
        assert sorted(source.reads) == [PlaneKey(c=c) for c in range(4)]
        uploaded(frames)
        assert len(source.reads) == 4
        frames.visible = frozenset({0, 2})
        frames.view = View(t=1)
        uploaded(frames)
        assert sorted(source.reads[4:]) == [PlaneKey(t=1, c=0), PlaneKey(t=1, c=2)]


def test_only_the_channel_that_was_written_is_read_again(source: MemorySource) -> None:
    with Dataset(source, live=True) as dataset:
        view = [PlaneKey(c=c) for c in range(4)]
        dataset.planes(view, wait=None)
        source.write((0, 0, 2, 0), 99)
        dataset.notify(0, 0, 2, 0)
        assert dataset.take_changes().in_view
        assert [plane.pixels.max() for plane in dataset.planes(view, wait=None)] == [0, 1, 99, 3]
        assert set(source.reads[4:]) == {PlaneKey(c=2)}


def test_what_a_failed_read_learns_of_the_run_is_not_lost(tmp_path: Path) -> None:
    shape = (3, 2, 1, 32, 32)
    run = announce_per_fov([str(tmp_path / "fov_0")], stores.CHANNELS[:2], 1, ["A1:0"], 32, 32)
    reader = IsolatedSource(run, announced_info(run))
    try:
        reader.start()
        stores.write_image_metadata(tmp_path / "fov_0", shape)
        with pytest.raises(PlaneNotStoredError):
            reader.read_plane(PlaneKey())
        assert reader.info.sizes["t"] == 3
        assert reader.info.pixel_size_um == 0.325
    finally:
        reader.close()


_FREED = """
import ctypes, os
from ndviewer_light.storage.freed_memory import hand_back
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
kept = [bytearray(b"1" * 100_000) for _ in range(1000)]
del kept[:-1]  # the last one lies at the end, so that nothing is returned by itself
before = resident()
hand_back()
answer = before - resident()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc's")
def test_what_a_closed_dataset_leaves_in_the_allocator_is_handed_back(image: Path) -> None:
    assert said_by(_FREED, image) > 50_000_000


_OWN_MEMORY = """
import os, threading
import numpy as np
from ndviewer_light.engine.owned_pixels import owned
from ndviewer_light.storage.freed_memory import array_of_its_own, hand_back
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
kept = []
def read():
    pixels = array_of_its_own((2048, 2048), np.dtype("u2"))
    pixels[...] = len(kept)
    kept.append(owned(pixels))
    assert kept[-1] is pixels
before = resident()
for _ in range(2):
    kept.clear()
    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
held = resident() - before
kept.clear()
spare = resident() - before
hand_back()
answer = [held, spare, resident() - before]
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc keeps what its threads have freed")
def test_planes_that_nobody_has_any_more_leave_nothing_in_memory() -> None:
    held, spare, left = said_by(_OWN_MEMORY)
    plane = 2048**2 * 2
    assert held > 8 * plane * 0.9
    assert spare < 5 * plane  # the last four are kept for the next planes
    assert left < plane


def test_memory_that_is_used_again_is_nobody_elses() -> None:
    shapes, dtype = [(1024, 1024), (1024, 1536), (512, 2048)], np.dtype("u2")

    def work(seed: int) -> int:
        rng, kept, wrong = random.Random(seed), [], 0
        for n in range(300):
            pixels = array_of_its_own(rng.choice(shapes), dtype)
            value = (seed * 300 + n) % 65536
            pixels[:] = value
            kept.append((pixels[::7, 3:], value))  # a view holds all of it
            if len(kept) > 3:
                view, value = kept.pop(rng.randrange(4))
                wrong += not (view == value).all()
        return wrong

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 0
    hand_back()
    assert not zeros_of_their_own((1024, 1024), dtype).any()
