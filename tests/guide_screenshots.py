"""``python -m tests.guide_screenshots [NAME …] [--out FOLDER]``: take the pictures of docs/guide anew.

Real windows on a virtual display (xvfb-run), of runs that the simulator writes into a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL.Image import Image
    from qtpy.QtWidgets import QWidget

    from ndviewer_light.gui.viewer import LightweightViewer
    from simulate_acquisition import Run, WrittenPlane

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guide"
LARGEST_BYTES = 150_000
SCREEN = 1400, 900
_PATIENCE_S = 60.0
_STILL = 6  # looks without a change on screen after which a picture is final
_LIVE_RATE, _SEEN = 20, 250  # planes per second; planes written when the picture is taken
_CELL = 204, 390  # row and column of one in the stack
_COLOURS = (256, 128, 64, 32)
_CHANNELS = tuple(f"Fluorescence {nm} nm Ex" for nm in (405, 488, 638))


# ---- the data ------------------------------------------------------------------------------------


def _plate_run(folder: Path) -> Run:
    """60 wells of 4 fields, 2 time points: what the plate as a whole looks like."""
    from simulate_acquisition import Run

    wells = tuple(f"{row}{column}" for row in "BCDEFG" for column in range(2, 12))
    sizes = {"n_t": 2, "n_z": 1, "height": 160, "width": 160, "dt_s": 600.0}
    return Run(folder / "plate", regions=wells, fovs=(4,) * len(wells), channels=_CHANNELS[:2], **sizes)


def _stack_run(folder: Path) -> Run:
    """A few wells with stacks of 12 planes."""
    from simulate_acquisition import Run

    sizes = {"n_t": 1, "n_z": 12, "height": 512, "width": 512}
    return Run(folder / "stacks", regions=("A1", "A2"), fovs=(2, 2), channels=_CHANNELS, **sizes)


def _live_run(folder: Path) -> Run:
    """24 wells with stacks of 3 planes, to be shown while it is written."""
    from simulate_acquisition import Run

    wells = tuple(f"{row}{column}" for row in "ABCD" for column in range(1, 7))
    sizes = {"n_t": 2, "n_z": 3, "height": 512, "width": 512}
    return Run(folder / "live", regions=wells, fovs=(2,) * len(wells), channels=_CHANNELS, **sizes)


@contextlib.contextmanager
def _fit_for_pictures() -> Iterator[None]:
    """Planes without the words that identify them for tests, and with little noise: it does not compress."""
    from ndviewer_light.simulator import pixels

    quiet = pixels._FLUORESCENCE._replace(noise=3.0)
    pixels._noise.cache_clear()
    with patch.object(pixels, "burn"), patch.object(pixels, "_FLUORESCENCE", quiet):
        yield


def _written(run: Run) -> str:
    from simulate_acquisition import write_run

    if not run.folder.exists():
        with _fit_for_pictures():
            write_run(run)
    return str(run.folder)


# ---- on the screen -------------------------------------------------------------------------------


def _wait_until(is_so: Callable[[], bool], what: str) -> None:
    from qtpy.QtTest import QTest

    end = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {_PATIENCE_S:.0f} s in vain until {what}")
        QTest.qWait(50)


def _placed(window: QWidget, width: int, height: int) -> None:
    """Show a window at the corner of the screen; there is no window manager."""
    window.show()
    window.move(0, 0)
    window.resize(width, height)
    window.activateWindow()


def _settled(viewer: LightweightViewer) -> None:
    """Wait until all that is wanted is on the canvas."""

    def is_there() -> bool:
        stage = viewer.stage
        frame = stage.canvas.frame if stage is not None and stage.canvas is not None else None
        return (
            frame is not None
            and not stage.canvas.busy
            and frame.view == stage.view
            and all(plane.state.name != "LOADING" for plane in frame.planes.values())
        )

    _wait_until(is_there, "the picture is complete")


def _picture_of(window: QWidget, *, changes: bool = False) -> Image:
    """What the screen shows where `window` is, with menus over it, once it is still unless it `changes`."""
    import PIL.Image
    from qtpy.QtGui import QImage
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    screen, size = QApplication.primaryScreen(), window.size()
    before, still, end = None, 0, time.monotonic() + _PATIENCE_S / 4
    while True:
        QTest.qWait(150)
        shot = screen.grabWindow(0, 0, 0, size.width(), size.height()).toImage()
        still = still + 1 if shot == before else 0
        before = shot
        if changes or still >= _STILL or time.monotonic() > end:
            break
    rgb = shot.convertToFormat(QImage.Format.Format_RGB888)
    bits = rgb.constBits()
    bits.setsize(rgb.bytesPerLine() * rgb.height())
    return PIL.Image.frombuffer(
        "RGB", (rgb.width(), rgb.height()), bytes(bits), "raw", "RGB", rgb.bytesPerLine(), 1
    )


@contextlib.contextmanager
def _window(path: str = "", width: int = 1120, height: int = 700) -> Iterator[Any]:
    """The program's window with a dataset, complete on screen."""
    from ndviewer_light import LightweightMainWindow

    window = LightweightMainWindow(path)
    _placed(window, width, height)
    try:
        if path:
            _settled(window.viewer)
        yield window
    finally:
        window.close()


# ---- the pictures --------------------------------------------------------------------------------


def _plate(folder: Path) -> Image:
    """A run that is being written, on the screen of a laptop."""
    from qtpy.QtTest import QTest

    from simulate_acquisition import announce_run, notify_plane, write_run

    run, written = _live_run(folder), []
    with _window(width=1366, height=768) as window:
        announce_run(window.viewer, run)

        def report(plane: WrittenPlane) -> None:
            written.append(plane)
            notify_plane(window.viewer, run, plane)

        def write() -> None:
            with _fit_for_pictures():
                write_run(run, rate=_LIVE_RATE, stop_after=_SEEN + 10 * _LIVE_RATE, report=report)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            _wait_until(lambda: len(written) >= _SEEN or not writer.is_alive(), "the run is written in part")
            window.viewer.load_fov(written[-1].fov - 1, 0, 1)
            _settled(window.viewer)
            QTest.qWait(1500)  # what is said of the run changes all the time
            return _picture_of(window, changes=True)
        finally:
            _wait_until(lambda: not writer.is_alive(), "the run is written")


def _volume(folder: Path) -> Image:
    with _window(_written(_stack_run(folder))) as window:
        window.viewer.stage.strips._volume.click()
        _settled(window.viewer)
        return _picture_of(window)


def _ortho(folder: Path) -> Image:
    """Sections through a cell."""
    from qtpy.QtCore import QPoint

    from tests.screen import drag

    with _window(_written(_stack_run(folder))) as window:
        stage, view = window.viewer.stage, window.viewer._screen.tools.orthogonal
        stage.go_to(z=6)
        _settled(window.viewer)
        view.toggle()
        _wait_until(lambda: view.is_complete, "the sections are complete")
        x, y = stage.canvas.projection().to_screen(*_CELL)
        at = QPoint(round(x), round(y))
        drag(stage.canvas.surface, at, at)
        return _picture_of(window)


def _overview(folder: Path) -> Image:
    with _window(_written(_plate_run(folder))) as window:
        scene = window.viewer._screen.tools.scene
        scene.toggle()
        _wait_until(lambda: scene.canvas.scene is not None and not scene.is_busy, "the overview is complete")
        return _picture_of(window)


def _statistics(folder: Path) -> Image:
    with _window(_written(_plate_run(folder)), 1366, 740) as window:
        statistics = window.viewer._screen.tools.statistics
        statistics.toggle()
        statistics.panel.measure_asked.emit("run")
        _wait_until(statistics.job.finished.is_set, "all planes are measured")
        statistics.panel.along.setCurrentIndex(1)
        statistics.panel.chosen.emit()
        return _picture_of(window)


def _measures(folder: Path) -> Image:
    """A line with its profile, and the menu it was chosen from."""
    from qtpy.QtCore import QPointF

    from ndviewer_light.engine.shapes import Spot
    from ndviewer_light.gui.measures.drawn_shapes import ShapeKind
    from tests.screen import drag

    with _window(_written(_stack_run(folder))) as window:
        stage, measuring = window.viewer.stage, window.viewer._screen.tools.measuring
        stage.go_to(z=6)
        _settled(window.viewer)
        measuring.begin(ShapeKind.PROFILE)
        project = stage.canvas.projection().to_screen
        a, b = (QPointF(*project(*spot)).toPoint() for spot in (Spot(300, 60), Spot(385, 300)))
        drag(stage.canvas.surface, a, (a + b) / 2, b)
        _wait_until(
            lambda: measuring.panel.plot is not None and measuring.panel.shown(), "the line is plotted"
        )
        measuring.show_menu(window.bar.measure)
        picture = _picture_of(window)
        measuring._menu.close()
        return picture


def _error(folder: Path) -> Image:
    """A file that was cut off while it was copied."""
    path = folder / "cells.ome.tif"
    path.write_bytes(b"II*\0" + (9_437_184).to_bytes(4, "little") + bytes(3_000_000))
    os.utime(path, (0, 0))  # nobody is writing it
    with _window(width=800, height=500) as window:
        window.open_path(str(path))
        return _picture_of(window)


def _small(folder: Path) -> Image:
    with _window(_written(_stack_run(folder)), 600, 500) as window:
        return _picture_of(window)


def _light(folder: Path) -> Image:
    """Inside a host with a light palette, on a tab of it."""
    from qtpy.QtGui import QColor, QPalette
    from qtpy.QtWidgets import QApplication, QTabWidget

    from ndviewer_light.gui.viewer import LightweightViewer

    app, roles = QApplication.instance(), QPalette.ColorRole
    before, palette = app.palette(), QPalette(QColor("#efefef"))
    palette.setColor(roles.Highlight, QColor("#308cc6"))
    app.setPalette(palette)
    tabs, viewer = QTabWidget(), LightweightViewer(panels=True)
    tabs.addTab(viewer, "Live view")
    tabs.addTab(QTabWidget(), "Stage")
    _placed(tabs, 1120, 700)
    try:
        viewer.load_dataset(_written(_stack_run(folder)))
        _settled(viewer)
        return _picture_of(tabs)
    finally:
        viewer.close()
        tabs.close()
        app.setPalette(before)


PICTURES: dict[str, Callable[[Path], Image]] = {
    "plate": _plate,
    "volume": _volume,
    "ortho": _ortho,
    "overview": _overview,
    "statistics": _statistics,
    "measures": _measures,
    "error": _error,
    "small": _small,
    "light": _light,
}
"""What takes each picture, by the name of its file without .png."""


# ---- the command ---------------------------------------------------------------------------------


def save_small(picture: Image, path: Path) -> None:
    """Save as PNG with as many colours as `LARGEST_BYTES` allow."""
    import PIL.Image

    for n in _COLOURS:
        # by the range of colours, not by how often they are: few pixels are of a button
        reduced = picture.quantize(n, PIL.Image.Quantize.MAXCOVERAGE, kmeans=1, dither=PIL.Image.Dither.NONE)
        reduced.save(path, optimize=True)
        if path.stat().st_size <= LARGEST_BYTES:
            return
    raise ValueError(f"{path} has {path.stat().st_size} bytes with {n} colours: make the window smaller")


def _take(names: Sequence[str], out: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="guide_") as temporary:
        folder = Path(temporary)
        for kind in ("CONFIG", "CACHE"):  # windows as they are the first time
            os.environ[f"XDG_{kind}_HOME"] = str(folder / kind.lower())
        os.environ.setdefault("QT_API", "pyqt6")
        from ndviewer_light.gui.windows.application import application

        app = application()
        for name in names:
            shutil.rmtree(
                folder / "cache" / "ndviewer-light" / "views", ignore_errors=True
            )  # nothing is as left
            save_small(PICTURES[name](folder), out / f"{name}.png")
            sys.stdout.write(f"{out / name}.png\n")
            sys.stdout.flush()
        app.closeAllWindows()


def main() -> int:
    """Take the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.guide_screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--out", type=Path, default=GUIDE, metavar="FOLDER", help="default: docs/guide")
    parser.add_argument("--on-this-display", action="store_true", help="not on a virtual one")
    options = parser.parse_args()
    unknown = set(options.names) - set(PICTURES)
    if unknown:
        parser.error(f"no pictures of these names: {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.on_this_display:
        _take(options.names or list(PICTURES), options.out.resolve())
        return 0
    screen = f"-screen 0 {SCREEN[0]}x{SCREEN[1]}x24"
    command = [sys.executable, "-m", "tests.guide_screenshots", *sys.argv[1:], "--on-this-display"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    return subprocess.run(["xvfb-run", "-a", "-s", screen, *command], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
