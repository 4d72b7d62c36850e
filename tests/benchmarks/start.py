"""From nothing to a picture (P11), and the widget where there is no network (P12b)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from . import stores
from .children import ROOT, run_child
from .measure import Figure, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHAPE = (1, 4, 1, 1024, 1024)
_ROUNDS = 5


def p11(folder: Path) -> Iterator[Figure]:
    """A new process: until its window is shown, until the first picture is drawn; and the bare import."""
    image = folder / "image"
    stores.write_image(image, _SHAPE, "fast")
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(_ROUNDS):  # in turn: a busy moment hits both
        ours.append(run_child("tests.benchmarks.start", "start_ours", str(image), now()))
        theirs.append(run_child("tests.benchmarks.start", "start_plain", str(image), now()))
    middle = {name: statistics.median(run[name] for run in ours) for name in ours[0]}
    plain = {name: statistics.median(run[name] for run in theirs) for name in theirs[0]}
    yield at_most(
        "P11", "process → window shown", middle["shown"], "s", 0.4, peers={"ndv + dask": plain["shown"]}
    )
    yield at_most(
        "P11", "process → first picture", middle["picture"], "s", 1.6, peers={"ndv + dask": plain["picture"]}
    )
    bare, package = _import_s("pass"), _import_s("import ndviewer_light")
    numpy = _import_s("import numpy")
    yield at_most(
        "P11", "import ndviewer_light", package - bare, "s", 0.15, peers={"import numpy": numpy - bare}
    )


def now() -> str:
    """The clock that all processes of this machine share."""
    return repr(time.monotonic())


def _import_s(statement: str) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True)
        times.append(time.monotonic() - start)
    return statistics.median(times)


def start_ours(path: str, started: str) -> dict[str, float]:
    """``ndviewer-light PATH`` as its entry point runs it, watched from an event filter."""
    from ndviewer_light import __main__ as program

    times: dict[str, float] = {}
    program.choose_binding()
    from ndviewer_light.isolation.spare import prestart

    prestart()  # as `run` does, before Qt; there it does nothing any more
    from qtpy.QtCore import QEvent, QObject, QTimer

    from ndviewer_light.gui.windows.application import application
    from tests.canvas_eye import PaintCall

    app = application()

    class Watch(QObject):
        def eventFilter(self, watched: Any, event: Any) -> bool:
            if event.type() == QEvent.Type.Paint:
                app.removeEventFilter(self)
                QTimer.singleShot(0, self.shown)
            return False

        def shown(self) -> None:
            times["shown"] = time.monotonic() - float(started)
            look.start(5)

    def on_paint() -> None:
        viewer = viewer_of(app)
        frame = viewer.stage.canvas.frame if viewer is not None else None
        if frame is not None and frame.contrasts:
            times.setdefault("picture", time.monotonic() - float(started))
            QTimer.singleShot(0, app.closeAllWindows)

    def find_canvas() -> None:
        viewer = viewer_of(app)
        if viewer is not None and viewer.ndv_viewer is not None:
            look.stop()
            eyes.append(PaintCall(viewer.stage.canvas, on_paint))

    eyes: list[PaintCall] = []
    watch, look = Watch(), QTimer()
    look.timeout.connect(find_canvas)
    app.installEventFilter(watch)
    QTimer.singleShot(20_000, app.closeAllWindows)
    program.run([path])
    return times


def viewer_of(app: Any) -> Any:
    """The viewer in the program's first window; None while there is no window."""
    from ndviewer_light.gui.windows.window import LightweightMainWindow

    windows = [widget for widget in app.topLevelWidgets() if isinstance(widget, LightweightMainWindow)]
    return windows[0].viewer if windows else None


def start_plain(path: str, started: str) -> dict[str, float]:
    """As one would without us: ndv on an xarray of dask, its icons from our folder instead of the network."""
    from ndviewer_light.__main__ import choose_binding
    from ndviewer_light.gui.look.icon_files import use_bundled_icons

    choose_binding()
    use_bundled_icons()
    import dask.array as da
    import ndv
    import xarray as xr

    from .widget import Loop

    loop = Loop()
    array = da.from_zarr(f"{path}/0")
    coords = {dim: range(n) for dim, n in zip("tczyx", array.shape, strict=True)}  # ndv wants them
    data = xr.DataArray(array, dims=tuple("tczyx"), coords=coords)
    viewer = ndv.ArrayViewer(data, channel_axis="c", channel_mode="composite", visible_axes=("y", "x"))
    drawn: list[float] = []

    def on_draw(event: Any) -> None:
        if viewer._lut_controllers and all(ctrl.handles for ctrl in viewer._lut_controllers.values()):
            drawn.append(time.monotonic() - float(started))

    viewer._canvas._canvas.events.draw.connect(on_draw, position="last")
    viewer.show()
    shown = time.monotonic() - float(started)
    loop.wait(lambda: bool(drawn))
    return {"shown": shown, "picture": drawn[0]}


# ---- no network -----------------------------------------------------------------------------------

_TIMEOUT_S = 0.1  # what each attempt to connect costs here; a real firewall lets it cost 2 s


def p12b(folder: Path) -> Iterator[Figure]:
    """Build the widget and its canvas where nothing answers; and where nobody would ask."""
    stores.write_image(folder / "image", (1, 4, 1, 256, 256), "fast")
    path = str(folder / "image")
    blocked = [run_child("tests.benchmarks.start", "build", path, "block") for _ in range(3)]
    stubbed = [run_child("tests.benchmarks.start", "build", path, "stub") for _ in range(3)]
    plain = run_child("tests.benchmarks.start", "build_plain", path)
    ours, quiet = (statistics.median(run["s"] for run in runs) for runs in (blocked, stubbed))
    yield at_most(
        "P12b", "build the widget, network blocked ÷ stubbed", ours, "s", 1.2, ours / quiet,
        peers={"stubbed": quiet, "plain ndv, blocked": plain["s"]},
        note=f"an attempt to connect costs {_TIMEOUT_S} s here",
    )  # fmt: skip
    yield at_most(
        "P12b", "… attempts to connect", blocked[0]["attempts"], "", 0, peers={"plain ndv": plain["attempts"]}
    )


def _block_network() -> list[object]:
    """Make every look-up and connection of this process hang and fail, as behind a firewall; count them."""
    import socket

    attempts: list[object] = []

    def fail(*arguments: object, **more: object) -> Any:
        if arguments and isinstance(arguments[-1], (str, bytes)):
            return None  # a local socket
        attempts.append(arguments)
        time.sleep(_TIMEOUT_S)
        raise TimeoutError("the network is blocked")

    socket.getaddrinfo = fail
    socket.socket.connect = lambda self, address: fail(address)  # type: ignore[method-assign]
    return attempts


def _empty_icon_cache(folder: str) -> None:
    os.environ["PYCONIFY_CACHE"] = folder  # nothing of an earlier run on this machine helps


def build(path: str, network: str) -> dict[str, float]:
    """Seconds until the widget shows its first picture, from its constructor on."""
    import tempfile

    with tempfile.TemporaryDirectory() as cache:
        _empty_icon_cache(cache)
        attempts = _block_network()
        if network == "stub":
            import superqt.iconify

            from .children import ROOT

            play = ROOT / "ndviewer_light" / "gui" / "look" / "icons" / "play.svg"
            superqt.iconify.svg_path = lambda *keys, **style: play
        from .widget import Window

        start = time.perf_counter()
        window = Window()
        window.open(path)
        took = time.perf_counter() - start
        window.close()
        return {"s": took, "attempts": len(attempts)}


def build_plain(path: str) -> dict[str, float]:
    """The same with ndv alone, on pixels in memory."""
    import tempfile

    import numpy as np

    with tempfile.TemporaryDirectory() as cache:
        _empty_icon_cache(cache)
        attempts = _block_network()
        from .widget import Loop

        loop = Loop()
        import ndv

        start = time.perf_counter()
        viewer = ndv.ArrayViewer(np.zeros((4, 256, 256), np.uint16), channel_axis=0, channel_mode="composite")
        viewer.show()
        loop.run(0.2)
        return {"s": time.perf_counter() - start - 0.2, "attempts": len(attempts)}
