"""A run that is followed by its path: how soon its planes are on the X screen (P6s)."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.stamps import number_of

from . import stores
from .children import ROOT
from .live import CHANNELS, SIZE, fields, stamped
from .measure import Figure, at_least, at_most, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RATE = 20.0
_SECONDS = 12.0
_SETTLED_SECONDS = 3.0  # until then the program starts
_LOOK_SECONDS = 0.002


def p6s(folder: Path) -> Iterator[Figure]:
    """20 planes/s of four channels of 2048², a new time point every 0.2 s, followed by the program.

    A time point is shown once its channels are there, so the first of them waits for 0.15 s for the others.
    """
    image = folder / "image"
    written: dict[int, float] = {}
    seen: dict[int, dict[int, float]] = {c: {} for c in range(CHANNELS)}
    with _Screen(folder) as screen:
        writer = _child(f"write({str(image)!r})")
        listening = threading.Thread(target=_listen, args=(writer, written), daemon=True)
        listening.start()
        while not written:
            time.sleep(0.01)
        viewer = _child(f"show({str(image)!r})", DISPLAY=screen.display)
        places = json.loads(viewer.stdout.readline())
        while listening.is_alive() or time.monotonic() < max(written.values()) + 1:
            for c, (xs, y) in enumerate(places):
                number = number_of(screen.row(y)[xs].max(axis=1) > 128)
                seen[c].setdefault(number, time.monotonic())
            time.sleep(_LOOK_SECONDS)
        viewer.kill()
        viewer.wait()
    waits = {n: wait for n, then in written.items() if (wait := _waited(n, then, seen)) is not None}
    settled = min(written.values()) + _SETTLED_SECONDS
    waits = {n: wait for n, wait in waits.items() if written[n] >= settled}
    last = [wait for n, wait in waits.items() if (n - 1) % CHANNELS == CHANNELS - 1]
    peers = {
        "95th percentile": percentile(list(waits.values()), 95),
        "of a last channel": percentile(last, 50),
    }
    median = percentile(list(waits.values()), 50)
    yield at_most("P6s", "followed by path: write → X screen, median", median, "ms", 150, peers=peers)
    times = {(n - 1) // CHANNELS for n, then in written.items() if then >= settled}
    shown = {(n - 1) // CHANNELS for n in seen[CHANNELS - 1]} & times
    yield at_least("P6s", "… time points that were seen", 100 * len(shown) / len(times), "%", 95)


def _waited(number: int, then: float, seen: dict[int, dict[int, float]]) -> float | None:
    """How long after a plane was on disk it, or a newer one of its channel, was on the screen, ms."""
    whens = [when for n, when in seen[(number - 1) % CHANNELS].items() if n >= number]
    return (min(whens) - then) * 1e3 if whens else None


def _child(call: str, **env: str) -> subprocess.Popen[str]:
    code = f"from tests.benchmarks.on_screen import show, write; {call}"
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)


def _listen(writer: subprocess.Popen[str], written: dict[int, float]) -> None:
    for line in writer.stdout or ():
        number, when = line.split()
        written[int(number)] = float(when)
    writer.wait()


def write(folder: str) -> None:
    """Write planes 1, 2, 3… at `_RATE`, channel by channel, and say after each when it was on disk."""
    from pathlib import Path

    n = int(_RATE * _SECONDS) // CHANNELS * CHANNELS
    stores.write_image_metadata(Path(folder), (n // CHANNELS, CHANNELS, 1, SIZE, SIZE), "fast")
    array = stores.open_array(Path(folder))
    background = np.asfortranarray(stores.camera_noise(SIZE) // 4)
    start = time.monotonic()
    for number in range(1, n + 1):
        t, channel = divmod(number - 1, CHANNELS)
        pixels = stamped(number, channel, background)
        time.sleep(max(0.0, start + number / _RATE - time.monotonic()))
        array[t, channel, 0].write(pixels).result()
        sys.stdout.write(f"{number} {time.monotonic()}\n")
        sys.stdout.flush()


def show(path: str) -> None:
    """``ndviewer-light PATH``, as a user starts it; says where on screen the fields of each channel are."""
    from ndviewer_light import __main__ as program

    program.choose_binding()
    from qtpy.QtCore import QPoint, QTimer

    from ndviewer_light.gui.windows.application import application
    from tests.canvas_eye import CanvasEye, what_draws

    from .start import viewer_of

    app = application()
    look = QTimer()

    def find() -> None:
        viewer = viewer_of(app)
        canvas = None if viewer is None or viewer.stage is None else viewer.stage.canvas
        if canvas is None or canvas.frame is None or len(canvas.frame.contrasts) < CHANNELS or canvas.busy:
            return
        look.stop()
        QTimer.singleShot(300, lambda: say(canvas))  # the window has its layout

    def say(canvas: Any) -> None:
        eye = CanvasEye(what_draws(canvas), (stores.UM_PER_PIXEL, stores.UM_PER_PIXEL))
        corner, places = canvas.surface.mapToGlobal(QPoint(0, 0)), []
        for c in range(CHANNELS):
            xs, y = fields(c)
            columns, rows = eye.on_canvas(xs, [y])
            places.append(([corner.x() + x for x in columns], corner.y() + rows[0]))
        eye.stop()
        sys.stdout.write(json.dumps(places) + "\n")
        sys.stdout.flush()

    look.timeout.connect(find)
    look.start(20)
    program.run([path])


class _Screen:
    """An X server, whose screen is a file in a folder."""

    def __init__(self, folder: Path) -> None:
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1000x24", "-fbdir", str(folder)]
        self._server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as said:
            self.display = f":{said.readline().strip()}"
        with open(folder / "Xvfb_screen0", "rb") as file:
            shared = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        # XWDFile.h: sizes in bytes and pixels, the most significant byte first
        words = np.frombuffer(shared, ">u4", 25)
        begin, height, line = int(words[0] + 12 * words[19]), int(words[5]), int(words[12])
        self._rows = np.frombuffer(shared, np.uint8, height * line, begin).reshape(height, line // 4, 4)

    def row(self, y: int) -> np.ndarray:
        """One row (columns, colours) as it is now."""
        row: np.ndarray = self._rows[y, :, :3]
        return row

    def __enter__(self) -> _Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()
