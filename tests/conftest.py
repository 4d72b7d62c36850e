"""What every test is held to: it leaves no thread, process, file, hook or widget behind.

Tests below ``gui/`` need neither Qt nor a display (they pass with ``-p no:pytest-qt``). Tests with the
marker ``gl`` need a working OpenGL context: without one they are skipped, or, with
NDVIEWER_REQUIRE_GL=1 in the environment, the whole session fails.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.gui.viewer import LightweightViewer
    from ndviewer_light.gui.windows.window import LightweightMainWindow
    from ndviewer_light.sources import Source
    from tests.range_server import RangeServer

GRACE_SECONDS = 3.0

# before anything imports qtpy: our own programs take PyQt6 where it is installed
os.environ.setdefault("QT_API", "pyqt6" if importlib.util.find_spec("PyQt6") else "pyqt5")
os.environ.setdefault("PYTEST_QT_API", os.environ["QT_API"])

# ends with the worker, however that ends: its standard input is closed then
_X_SERVER = 'Xvfb -displayfd "$1" -screen 0 1920x1200x24 -nolisten tcp >/dev/null 2>&1 & read -r _; kill $!'


def _own_display() -> None:
    """Give a worker of pytest-xdist a display of its own, if NDVIEWER_OWN_DISPLAYS=1 is in the environment.

    On one display, windows of one worker take the focus and the pointer from those of another.
    """
    if os.environ.get("NDVIEWER_OWN_DISPLAYS") != "1" or "PYTEST_XDIST_WORKER" not in os.environ:
        return
    reading, writing = os.pipe()
    command = ["sh", "-c", _X_SERVER, "sh", str(writing)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[writing])
    os.close(writing)
    with open(reading, encoding="ascii") as said:
        os.environ["DISPLAY"] = f":{int(said.readline())}"
    os.environ.pop("XAUTHORITY", None)
    atexit.register(server.communicate)


_own_display()

# how long an example takes says how busy the machine is, not whether it is right
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

_APPLICATION = "from qtpy.QtWidgets import QApplication; app = QApplication(['probe'])\n"
_GL_CONTEXT = """
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
surface, context = QOffscreenSurface(), QOpenGLContext()
surface.create()
raise SystemExit(not (context.create() and context.makeCurrent(surface)))
"""


@functools.cache
def display_works() -> bool:
    """Whether a QApplication can be made; asked in a process of its own, since Qt aborts if not."""
    return _exits_well(_APPLICATION)


@functools.cache
def gl_works() -> bool:
    """Whether an OpenGL context can be made and used."""
    return display_works() and _exits_well(_APPLICATION + _GL_CONTEXT)


def _exits_well(code: str) -> bool:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.has_plugin("pytest-qt"):  # else its options in pyproject.toml are unknown
        parser.addini("qt_log_level_fail", "see pytest-qt")
    parser.addoption(
        "--share",
        default="1/1",
        metavar="K/N",
        help="run the Kth of N shares of all tests, each for a Qt binding. Tests marked each_binding are in "
        "every share, with some of their cases; those marked pyqt5 all under PyQt5",
    )


_HANDS = {2: (0, 1, 0, 1, 0, 1, 0)}
"""To whom tests are dealt in turn: of two shares, the second (PyQt5) also has those that imitate Squid."""


def _is_for_each(item: pytest.Item) -> bool:
    return item.get_closest_marker("each_binding") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is in other shares."""
    share, shares = map(int, config.getoption("--share", "1/1").split("/"))
    if shares == 1:
        return
    decks: dict[str, list[pytest.Item]] = {}  # each is dealt out to the shares
    left_out: set[pytest.Item] = set()
    for item in items:
        test, _, case = item.nodeid.partition("[")
        if not item.get_closest_marker("pyqt5"):
            decks.setdefault(test if case else test.partition("::")[0], []).append(item)
        elif os.environ["QT_API"] != "pyqt5":
            left_out.add(item)
    for name, deck in decks.items():
        if "::" not in name or len(deck) < shares:
            deck = [item for item in deck if not _is_for_each(item)]
        # not in their order: with two values in turn, one share would get all of one
        deck.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        first = zlib.crc32(name.encode())  # not always the same share: there are many decks of one
        hands = range(shares) if any(map(_is_for_each, deck)) else _HANDS.get(shares, range(shares))
        left_out |= {item for i, item in enumerate(deck, first) if hands[i % len(hands)] != share - 1}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.has_plugin("pytest-qt"):
        _wait_patiently()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if is_worker and os.environ.get("QT_QPA_PLATFORM") == "xcb" and shutil.which("Xvfb"):
        _display_of_its_own(config)
    config.addinivalue_line("markers", "gl: needs a working OpenGL context")
    config.addinivalue_line("markers", "each_binding: what it tests may differ between PyQt6 and PyQt5")
    config.addinivalue_line("markers", "pyqt5: with a stand-in for Squid, which uses PyQt5")
    if os.environ.get("NDVIEWER_REQUIRE_GL") == "1" and not gl_works():
        raise pytest.UsageError("NDVIEWER_REQUIRE_GL=1, but there is no working OpenGL context here")


def _wait_patiently() -> None:
    """What a test waits for may take long on a busy computer; it costs nothing where all is well."""
    from pytestqt.qtbot import QtBot

    for wait in (QtBot.waitUntil, QtBot.waitSignal, QtBot.waitExposed, QtBot.waitActive):
        wait.__kwdefaults__["timeout"] = 60_000


def _display_of_its_own(config: pytest.Config) -> None:
    """Another display for each worker: windows of the others would take the focus, and lie over its own."""
    # it ends with this process, however that does
    script = "Xvfb -displayfd 1 -nolisten tcp -screen 0 1920x1200x24 & exec >&-; read -r _; kill $!"
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    server = subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe, stderr=quiet, text=True)
    assert server.stdin is not None and server.stdout is not None
    config.add_cleanup(server.wait)
    config.add_cleanup(server.stdin.close)
    with server.stdout:  # ends when there is a display, or the server has ended
        os.environ["DISPLAY"] = f":{server.stdout.readline().strip()}"
    os.environ.pop("XAUTHORITY", None)


def pytest_collection_finish() -> None:
    _leave_out_of_collections()


def _leave_out_of_collections() -> None:
    """Spare the collector, which runs after every test of a widget, what is there before: modules."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gl") and not gl_works():
        pytest.skip("no working OpenGL context")
    if "qapp" in getattr(item, "fixturenames", ()):
        _leave_out_of_collections()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What was logged may name files whose names are no text; workers could not pass it on."""
    report = (yield).get_result()
    report.sections = [
        (name, said.encode(errors="backslashreplace").decode()) for name, said in report.sections
    ]


@pytest.fixture(scope="session")
def qapp_cls() -> type:
    """The application class pytest-qt makes, with the attribute our own program sets."""
    if not display_works():
        pytest.skip("no display")
    from qtpy.QtCore import QCoreApplication, Qt
    from qtpy.QtWidgets import QApplication

    import ndviewer_light.gui.canvas.gl_canvas  # noqa: F401  and with it ndv and vispy

    _leave_out_of_collections()
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    return QApplication


def left_after_grace(remaining: Callable[[], list[str]]) -> list[str]:
    """What `remaining` still names after up to GRACE_SECONDS."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := remaining()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


@pytest.fixture(autouse=True)
def canvas_in_turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have half of the tests draw planes as with a graphics card, the others as without.

    Which ones follows from their names; under the other binding it is the other way round.
    """
    is_other = os.environ["QT_API"].lower() == "pyqt5"
    is_gl = (zlib.crc32(request.node.nodeid.encode()) + is_other) % 2 == 1
    # not the fixture that tests use: what they patch with it would stay patched in the checks at their end
    with pytest.MonkeyPatch.context() as patch:
        if is_gl and "qtbot" in request.fixturenames and "NDVIEWER_CANVAS" not in os.environ:
            patch.setenv("NDVIEWER_CANVAS", "gl")
        yield


@pytest.fixture
def drawn_with_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes too, also where a program draws instead of a graphics card."""
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a thread or process of ours, an open file in tmp_path or a changed hook."""
    hook, threads, readers = sys.excepthook, set(_our_threads()), set(_reader_children())
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    yield
    changed_hook, sys.excepthook = sys.excepthook, hook
    _end_idle_scheduler()
    if clock := sys.modules.get("ndviewer_light.storage.file_clock"):
        clock.FILE_CLOCK.start_over()  # files dated ahead or behind say nothing to the next test
    left = left_after_grace(lambda: [thread.name for thread in set(_our_threads()) - threads])
    _end_spare_reader()
    left += left_after_grace(lambda: [f"reader {pid}" for pid in set(_reader_children()) - readers])
    if "tmp_path" in request.fixturenames and request.node.funcargs.get("tmp_path"):
        left += left_after_grace(lambda: _open_files_in(request.node.funcargs["tmp_path"]))
    assert not left, f"left behind by this test: {left}"
    assert changed_hook is hook, f"sys.excepthook was replaced by {changed_hook!r}"
    assert signal.getsignal(signal.SIGINT) is on_ctrl_c, "the handler of Ctrl-C was replaced"


# of a spare reader, which waits for the next dataset by design: they end with that reader
_OF_A_SPARE = ("ndviewer-reader-replies", "ndviewer-reader-stderr")


def _our_threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("ndviewer-") and thread.name not in _OF_A_SPARE
    ]


def _reader_children() -> list[int]:
    import psutil

    found = []
    for pid in _children():
        try:
            if "isolation.server" in " ".join(psutil.Process(pid).cmdline()):
                found.append(pid)
        except psutil.Error:  # it ended while we looked
            continue
    return found


def _children() -> list[int]:
    import psutil

    tasks = Path("/proc/self/task")
    if not (tasks / str(threading.get_native_id()) / "children").exists():
        return [child.pid for child in psutil.Process().children()]  # looks at every process there is
    found = []
    for task in tasks.iterdir():
        with contextlib.suppress(OSError):  # this thread has ended
            found += map(int, (task / "children").read_text().split())
    return found


def _end_spare_reader() -> None:
    reader = sys.modules.get("ndviewer_light.isolation.spare")
    if reader is not None:
        reader.discard_spare()


def _end_idle_scheduler() -> None:
    """Do not wait for the thread that sends requests: it ends a quarter of a second after the last."""
    scheduler = sys.modules.get("ndviewer_light.storage.remote.scheduler")
    if scheduler is not None and scheduler.the_scheduler().load == (0, 0):
        scheduler.the_scheduler().stop()


def _open_files_in(folder: Path) -> list[str]:
    if not Path("/proc/self/fd").is_dir():
        return []
    opened = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            opened.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:  # closed meanwhile: the listing itself, for one
            continue
    return [target for target in opened if target.startswith(str(folder))]


@pytest.fixture(autouse=True)
def no_widget_is_left_behind(nothing_is_left_behind: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a top-level widget; only looks where the test uses Qt."""
    if "qapp" not in request.fixturenames:
        yield
        return
    app = request.getfixturevalue("qapp")
    before = set(app.topLevelWidgets())
    yield
    left = left_after_grace(lambda: _widgets_besides(before))
    assert not left, f"top-level widgets left behind by this test: {left}"


def _widgets_besides(before: set[object]) -> list[str]:
    from qtpy.QtWidgets import QApplication

    _flush_deferred_deletes()
    left = [widget for widget in QApplication.topLevelWidgets() if widget not in before]
    # Qt keeps the one label it shows tooltips in
    return [repr(widget) for widget in left if not widget.inherits("QTipLabel")]


def _flush_deferred_deletes() -> None:
    widgets = sys.modules.get("qtpy.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return
    from qtpy.QtCore import QCoreApplication, QEvent

    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    widgets.QApplication.processEvents()


@pytest.fixture(autouse=True, scope="session")
def nothing_is_kept_in_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Planes from servers, chunk indexes and settings of windows go to folders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def every_viewer_is_the_first(nothing_is_kept_in_the_users_cache: None) -> None:
    """Views and choices for channels that another test has left do not count."""
    shutil.rmtree(os.path.join(os.environ["XDG_CACHE_HOME"], "ndviewer-light", "views"), ignore_errors=True)


@pytest.fixture(scope="session")
def server_of_all_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    """One process that serves the folders of all tests; `server` is what a test sees of it."""
    from tests.range_server import RangeServer

    with RangeServer(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="module")
def module_server(
    server_of_all_folders: RangeServer, tmp_path_factory: pytest.TempPathFactory
) -> RangeServer:
    """A server of a folder of the module, for what is written once for several tests."""
    return server_of_all_folders.at(tmp_path_factory.mktemp("served"))


@pytest.fixture
def server(
    server_of_all_folders: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RangeServer]:
    """A server of `tmp_path`; what fails is tried again almost at once."""
    monkeypatch.setattr(
        "ndviewer_light.storage.remote.retries.REQUEST_RETRY_SECONDS", (0.01, 0.01, 0.02, 0.05)
    )
    yield server_of_all_folders.at(tmp_path)
    server_of_all_folders.end_stalls()


@pytest.fixture
def opened() -> Iterator[Callable[..., Source]]:
    """Open sources as a person does, with storage options by name; they are closed when the test is over."""
    from ndviewer_light.model import AnnouncedRun
    from ndviewer_light.sources import open_source
    from ndviewer_light.sources.zarr.source import ZarrSource

    with contextlib.ExitStack() as sources:

        def open_one(what: object, inner: str = "", **options: str) -> Source:
            if isinstance(what, AnnouncedRun):
                source: Source = ZarrSource.announced(what)
            else:
                source = open_source(f"{what}::{inner}" if inner else str(what), options or None)
            sources.callback(source.close)
            return source

        yield open_one


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def opened_dataset(request: pytest.FixtureRequest) -> Callable[[Path], Dataset]:
    """Open datasets, in this process or in a reader process, that are closed when the test is over."""
    from ndviewer_light import open_dataset

    def open_one(path: Path) -> Dataset:
        dataset = open_dataset(path, isolate=request.param)
        request.addfinalizer(dataset.close)
        return dataset

    return open_one


@pytest.fixture
def viewer(qtbot: QtBot) -> Iterator[LightweightViewer]:
    """A LightweightViewer on screen."""
    from ndviewer_light.gui.viewer import LightweightViewer
    from tests.screen import on_screen

    widget = LightweightViewer()
    with on_screen(qtbot, widget, 900, 600):
        yield widget


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[LightweightMainWindow]:
    """The window of our own program on screen, with nothing in it."""
    from ndviewer_light.gui.windows.window import LightweightMainWindow
    from tests.screen import on_screen

    widget = LightweightMainWindow()
    with on_screen(qtbot, widget, 1200, 760):
        yield widget
