"""A stand-in for Squid: the same calls, in the same order, from the same threads, through real Qt signals.

The host's tab imports the viewer as ``control.ndviewer_light`` when the first run starts. A run is announced
on the GUI thread, then acquired and saved as `squid_runs` says.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QMainWindow, QTabWidget, QVBoxLayout, QWidget
from runs import planes_of
from screen import assert_shows, settle
from squid_runs import REPO, Acquisition

from simulate_acquisition import announce_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from pytestqt.qtbot import QtBot

    from simulate_acquisition import Run

PATIENCE_MS = 60_000


# ---- the tab ----------------------------------------------------------------------------------------


@functools.cache
def checkout() -> Path:
    """A host's source tree, on `sys.path`, with this checkout in it as ``control/ndviewer_light``."""
    folder = tempfile.TemporaryDirectory(prefix="squid-")
    _KEPT.append(folder)
    control = Path(folder.name) / "software" / "control"
    control.mkdir(parents=True)
    (control / "__init__.py").touch()
    (control / "ndviewer_light").symlink_to(REPO, target_is_directory=True)
    sys.path.insert(0, str(control.parent))
    return control.parent


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # until Python ends


class NDViewerTab(QWidget):
    """What Squid puts into its tabs: a label, and the viewer once a run has been started.

    `failures` are the exceptions of calls; Squid logs them and goes on. GUI thread.
    """

    WAITING = "NDViewer: waiting for an acquisition to start..."

    def __init__(self) -> None:
        super().__init__()
        self.viewer: Any = None
        self.failures: list[Exception] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._placeholder = QLabel(self.WAITING)
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self._placeholder, 1)

    @property
    def message(self) -> str:
        """What the label says; "" while the viewer is shown in its place."""
        return "" if self._placeholder.isHidden() else str(self._placeholder.text())

    def _show_message(self, message: str) -> None:
        self._placeholder.setText(message)
        self._placeholder.setVisible(True)
        if self.viewer is not None:
            self.viewer.setVisible(False)

    def _show_viewer(self) -> None:
        self.viewer.setVisible(True)
        self._placeholder.setVisible(False)

    def _is_ready(self) -> bool:
        checkout()
        try:
            from control import ndviewer_light
        except ImportError as error:
            self._show_message(f"NDViewer: failed to import ndviewer_light:\n{error}")
            return False
        if self.viewer is None:
            self.viewer = ndviewer_light.LightweightViewer()  # outside any try, as in Squid
            self.layout().addWidget(self.viewer, 1)
        return True

    def _start(self, what: str, method: str, *arguments: object) -> bool:
        if not self._is_ready():
            return False
        try:
            getattr(self.viewer, method)(*arguments)
            self._show_viewer()
            return True
        except Exception as error:  # noqa: BLE001  the host's own way
            self._failed(error)
            self._show_message(f"NDViewer: failed to start {what}:\n{error}")
            return False

    def _failed(self, error: Exception) -> None:
        self.failures.append(error)

    def start_acquisition(self, *arguments: object) -> bool:
        return self._start("acquisition", "start_acquisition", *arguments)

    def start_zarr_acquisition(self, *arguments: object) -> bool:
        return self._start_zarr("zarr acquisition", "start_zarr_acquisition", *arguments)

    def start_zarr_acquisition_6d(self, *arguments: object) -> bool:
        return self._start_zarr("6D regions acquisition", "start_zarr_acquisition_6d", *arguments)

    def _start_zarr(self, what: str, method: str, *arguments: object) -> bool:
        if self._is_ready() and not hasattr(self.viewer, method):
            self._show_message("NDViewer: zarr live view requires ndviewer_light with zarr support.")
            return False
        return self._start(what, method, *arguments)

    def register_image(self, t: int, fov_idx: int, z: int, channel: str, filepath: str) -> None:
        self._call("register_image", t, fov_idx, z, channel, filepath)

    def notify_zarr_frame(self, t: int, fov_idx: int, z: int, channel: str, region_idx: int = 0) -> None:
        self._call_if_there("notify_zarr_frame", t, fov_idx, z, channel, region_idx)

    def end_zarr_acquisition(self) -> None:
        self._call_if_there("end_zarr_acquisition")

    def end_acquisition(self) -> None:
        self._call("end_acquisition")

    def load_fov(self, fov: int, t: int | None = None, z: int | None = None) -> bool:
        return self._call("load_fov", fov, t, z)

    def _call_if_there(self, method: str, *arguments: object) -> None:
        if hasattr(self.viewer, method):
            self._call(method, *arguments)

    def _call(self, method: str, *arguments: object) -> bool:
        if self.viewer is None:
            return False
        try:
            getattr(self.viewer, method)(*arguments)
            return True
        except Exception as error:  # noqa: BLE001  the host's own way
            self._failed(error)
            return False

    def set_dataset_path(self, path: str) -> None:
        """Show a dataset that is there."""
        if not Path(path).is_dir():
            self._show_message(f"NDViewer: dataset folder not found:\n{path}")
            return
        is_first = self.viewer is None
        if not self._is_ready():
            return
        try:
            self.viewer.load_dataset(path)
            if not is_first:
                self.viewer.refresh()
            self._show_viewer()
        except Exception as error:  # noqa: BLE001  the host's own way
            self._failed(error)
            self._show_message(f"NDViewer: failed to load dataset:\n{path}\n\nError: {error}")

    def go_to_fov(self, well: str, fov: int) -> bool:
        """A double click in the plate view."""
        viewer = self.viewer
        if viewer is None:
            return False
        try:
            if viewer.is_push_mode_active():
                return bool(viewer.go_to_well_fov(well, fov))
            if not viewer.has_fov_dimension():
                return False
            places = [(entry["region"], entry["fov"]) for entry in viewer.get_fov_list()]
            return (well, fov) in places and bool(viewer.set_current_index("fov", places.index((well, fov))))
        except Exception as error:  # noqa: BLE001  the host's own way
            self._failed(error)
            return False

    def close(self) -> bool:
        """Let the viewer go; it stays in the layout, and the next start makes a new one."""
        viewer, self.viewer = self.viewer, None
        if viewer is not None:
            viewer.close()
        return True


# ---- starting runs ----------------------------------------------------------------------------------


class _AsSignals:
    """Takes what hosts tell a viewer, and sends it as signals of `controller`; any thread."""

    def __init__(self, controller: QtMultiPointController) -> None:
        self._controller = controller

    def __getattr__(self, method: str) -> Callable[..., None]:
        send: Callable[..., None] = getattr(self._controller, f"ndviewer_{method}").emit
        return send

    def notify_zarr_frame(self, t: int, fov: int, z: int, channel: str, region_idx: int = 0) -> None:
        self._controller.ndviewer_notify_zarr_frame.emit(t, fov, z, channel, region_idx)


class QtMultiPointController(QObject):
    """Starts runs. Its signals come from the acquisition thread, except those that start a run."""

    acquisition_finished = Signal()
    ndviewer_start_acquisition = Signal(list, int, int, int, list)
    ndviewer_register_image = Signal(int, int, int, str, str)
    ndviewer_start_zarr_acquisition = Signal(list, list, int, list, int, int)
    ndviewer_start_zarr_acquisition_6d = Signal(list, list, int, list, int, int, list)
    ndviewer_notify_zarr_frame = Signal(int, int, int, str, int)
    ndviewer_end_zarr_acquisition = Signal()

    def run_acquisition(
        self,
        run: Run,
        *,
        written: Run | None = None,
        saving: bool = True,
        results_per_move: int = 1,
        planes: int | None = None,
        saves: int | None = None,
        temporary: Path | None = None,
        directly: Any = None,
    ) -> Acquisition:
        """Announce `run`, then acquire it; returns while it is being acquired. GUI thread.

        What is saved is `written` where that is another run, and nothing if not `saving`. Of the planes on
        disk `results_per_move` are notified at each move to the next field of view and all others at the
        end; none ever if 0, as when Squid saves in its own process. The camera takes `planes` planes and
        the disk `saves` until more are allowed. The saving process keeps its notes of OME-TIFFs in the
        folder `temporary`, where the viewer does not look, or in the usual one. `directly` is a viewer whose
        methods the threads of the run call themselves, without signals.
        """
        tell = directly if directly is not None else _AsSignals(self)
        announce_run(tell, run)
        return Acquisition(
            run,
            (written or run) if saving else None,
            tell,
            lambda: self._finished(run, tell, directly),
            results_per_move=results_per_move,
            planes=planes,
            saves=saves,
            temporary=temporary,
        )

    def refuse_acquisition(self) -> None:
        """A run that ends before it has begun: nothing is announced, and yet it is finished."""
        self.acquisition_finished.emit()

    def _finished(self, run: Run, tell: Any, directly: Any) -> None:
        if run.is_zarr:
            tell.end_zarr_acquisition()
        if directly is not None:
            directly.end_acquisition()
        else:
            self.acquisition_finished.emit()


# ---- the host -------------------------------------------------------------------------------------------


class Squid(QMainWindow):
    """The host's window: tabs, one of them the viewer's, and the controller that starts runs."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = QtMultiPointController()
        self.tab = NDViewerTab()
        self.tabs = QTabWidget()
        self.tabs.addTab(QLabel("live view"), "Live")
        self.tabs.addTab(self.tab, "NDViewer")
        self.tabs.setCurrentWidget(self.tab)
        self.setCentralWidget(self.tabs)
        self.resize(900, 640)
        self.runs: list[Acquisition] = []
        controller, tab = self.controller, self.tab
        controller.ndviewer_start_acquisition.connect(tab.start_acquisition)
        controller.ndviewer_register_image.connect(tab.register_image)
        controller.acquisition_finished.connect(tab.end_acquisition)
        controller.ndviewer_start_zarr_acquisition.connect(tab.start_zarr_acquisition)
        controller.ndviewer_start_zarr_acquisition_6d.connect(tab.start_zarr_acquisition_6d)
        controller.ndviewer_notify_zarr_frame.connect(tab.notify_zarr_frame)
        controller.ndviewer_end_zarr_acquisition.connect(tab.end_zarr_acquisition)

    @property
    def viewer(self) -> Any:
        """The viewer in the tab; None before the first run."""
        return self.tab.viewer

    def start(self, run: Run, **how: Any) -> Acquisition:
        """Press Start: see `QtMultiPointController.run_acquisition`."""
        acquisition = self.controller.run_acquisition(run, **how)
        self.runs.append(acquisition)
        return acquisition

    def shut_down(self) -> None:
        """End every run, then the viewer, then the window."""
        for acquisition in self.runs:
            acquisition.stop()
        self.tab.close()
        self.close()
        reader = sys.modules.get("control.ndviewer_light.ndviewer_light.isolation.spare")
        if reader is not None:
            reader.discard_spare()


@contextlib.contextmanager
def squid_on_screen(qtbot: QtBot) -> Iterator[Squid]:
    """Squid, shown; no call into the viewer may raise, unless a test clears ``tab.failures``."""
    host = Squid()
    with qtbot.waitExposed(host):
        host.show()
    try:
        yield host
    finally:
        host.shut_down()
        host.deleteLater()
    errors = [*host.tab.failures, *(error for run in host.runs for error in run.errors)]
    assert not errors, errors


# ---- what is on its screen ------------------------------------------------------------------------------


def go_to(viewer: Any, t: int = 0, p: int = 0, z: int = 0) -> None:
    """Move the sliders as a user does, as soon as they have such a place."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not all(index < size for index, size in zip((t, p, z), sizes(viewer), strict=True)):
        assert time.monotonic() < deadline, f"there is no {(t, p, z)} on the sliders, but {sizes(viewer)}"
        QTest.qWait(10)
    for axis, index in (("t", t), ("p", p), ("z", z)):
        viewer.stage.sliders.slider(axis).setValue(index)
    assert viewer.stage.view[:3] == (t, p, z)


def sizes(viewer: Any) -> tuple[int, int, int]:
    """How many times, fields of view and z planes the sliders offer."""
    return tuple(viewer.stage.sliders.size(axis) for axis in ("t", "p", "z"))  # type: ignore[return-value]


def states(viewer: Any) -> list[str]:
    """What is known of the planes on screen, channel by channel; [] before the first frame of this view."""
    canvas = viewer.stage.canvas
    frame = canvas.frame if canvas is not None else None
    if frame is None or canvas.busy or frame.view != viewer.stage.view:
        return []
    return [frame.planes[c].state.name for c in sorted(frame.planes)]


def wait_for_states(qtbot: QtBot, viewer: Any, *wanted: str) -> None:
    """Wait until the planes on screen are in these states."""
    qtbot.waitUntil(lambda: states(viewer) == list(wanted), timeout=PATIENCE_MS)


def wait_until_shown(qtbot: QtBot, viewer: Any, run: Run, p: int | None = None) -> None:
    """Wait until the pixels of `run` at the view's indices are on the canvas, of every channel.

    `p` is the field of view as the run counts them, where the dataset on screen counts otherwise.
    """
    t, at, z = viewer.stage.view[:3]
    wanted = planes_of(run, t, at if p is None else p, z)
    are_stored = ["PRESENT" if pixels.any() or not run.is_zarr else "FILLED" for pixels in wanted.values()]
    wait_for_states(qtbot, viewer, *are_stored)
    wait_for_pixels(qtbot, viewer, wanted)


def wait_for_pixels(qtbot: QtBot, viewer: Any, wanted: dict[str, np.ndarray]) -> None:
    """Wait until these pixels are on the canvas, by channel, and make sure that they stay."""

    def shown() -> bool:
        try:
            assert_shows(viewer, wanted)
        except (AssertionError, IndexError, StopIteration):  # not yet, or in the middle of a change
            return False
        return True

    with contextlib.suppress(Exception):  # what is wrong is said below
        qtbot.waitUntil(shown, timeout=PATIENCE_MS)
    settle(qtbot, viewer)
    assert_shows(viewer, wanted)
