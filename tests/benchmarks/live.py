"""A run being written: how soon its planes are on screen (P6), and what it costs to tell of them (P8)."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.canvas_eye import CanvasEye, what_draws
from tests.stamps import burn_bits, number_of

from . import stores
from .children import ROOT, run_child
from .measure import Figure, at_least, at_most, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SIZE = 2048
CHANNELS = 4
_SHAPE = (1, CHANNELS, 1, SIZE, SIZE)
_RATE = 20.0
_SECONDS = 9.0

# The number of each plane, burnt in: per channel a row of fields, one per bit, dark in the other channels.
_BITS = 12
_FIELD = 128  # px
_LEFT, _TOP, _PITCH = 256, 128, 512
_WHITE = 4000


def p6(folder: Path) -> Iterator[Figure]:
    """From a plane on disk to the same plane drawn: 20 planes/s, four channels of 2048², all in view."""
    ours = run_child("tests.benchmarks.live", "watch_ours", str(folder / "ours"))
    debounced = run_child("tests.benchmarks.live", "watch_debounced", str(folder / "debounced"))
    unit = ours["stall"] + ours["read"]
    median, p95 = percentile(ours["latencies"], 50), percentile(ours["latencies"], 95)
    theirs = percentile(debounced["latencies"], 50)
    peers = {"p99 stall": ours["stall"], "one read": ours["read"], "debounced + dask": theirs}
    yield at_most("P6", "write → drawn, median ÷ (stall + read)", median, "ms", 1, median / unit, peers=peers)
    yield at_most("P6", "… 95th percentile", p95, "ms", 2, p95 / unit, peers=peers)
    yield at_least("P6", "… debounced ÷ ours", median, "ms", 4, theirs / median, peers=peers)
    shown, theirs_shown = (100 * run["shown"] / run["written"] for run in (ours, debounced))
    yield at_least("P6", "… planes that were seen", shown, "%", 95, peers={"debounced + dask": theirs_shown})
    yield at_least("P6", "… the last of each channel on screen (of 4)", ours["last"], "", 4)
    yield at_most(
        "P6", "… longest stall ÷ without notifies (P7)", ours["longest"], "ms", 1.3,
        ours["longest"] / ours["longest still"],
    )  # fmt: skip


# ---- the writer ---------------------------------------------------------------------------------


def stamped(number: int, channel: int, background: np.ndarray) -> np.ndarray:
    """`background` with `number` burnt in where this channel has its row of fields."""
    pixels = background.copy(order="K")
    pixels[:, _LEFT : _LEFT + _BITS * _FIELD] = 0
    place = _TOP + channel * _PITCH, _LEFT
    burn_bits(pixels, number, _BITS, place, _FIELD, _WHITE)
    return pixels


def write_stamped(folder: str) -> None:
    """Write planes 1, 2, 3… at `_RATE`, channel by channel, saying after each when it was on disk."""
    from pathlib import Path

    image = Path(folder)
    stores.write_image_metadata(image, _SHAPE, "fast")
    array = stores.open_array(image)
    # in the order in which Squid's codecs want it: writing is not what is measured, and costs the rest little
    background = np.asfortranarray(stores.camera_noise(SIZE) // 4)
    start = time.monotonic() + 0.1
    for number in range(1, int(_RATE * _SECONDS) + 1):
        channel = (number - 1) % _SHAPE[1]
        pixels = stamped(number, channel, background)
        time.sleep(max(0.0, start + number / _RATE - time.monotonic()))
        array[0, channel, 0].write(pixels).result()
        sys.stdout.write(f"{number} {channel} {time.monotonic()}\n")
        sys.stdout.flush()


def fields(channel: int) -> tuple[list[int], int]:
    """Columns of the centres of this channel's fields in a plane, and their row."""
    middle = _FIELD // 2
    return [_LEFT + bit * _FIELD + middle for bit in range(_BITS)], _TOP + channel * _PITCH + middle


class _Writer:
    """The writer's process, and a thread that passes on what it says."""

    def __init__(self, folder: str, tell: Callable[[int], None]) -> None:
        self.written: dict[int, float] = {}  # number → when it was on disk
        self._tell = tell
        code = f"from tests.benchmarks.live import write_stamped; write_stamped({folder!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            number, channel, when = line.split()
            self.written[int(number)] = float(when)
            self._tell(int(channel))
        self._process.wait()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()


# ---- what is on the canvas --------------------------------------------------------------------------


class _Eye(CanvasEye):
    """Reads the numbers from the canvas after each paint."""

    def __init__(self, drawn: Any, um_per_pixel: float) -> None:
        super().__init__(drawn, (um_per_pixel, um_per_pixel))
        self.seen: dict[int, float] = {}  # number → when it was first on the canvas, by `time.monotonic`
        self.now: dict[int, int] = {}  # channel → number at the last paint
        self.paints = 0

    def painted(self) -> None:
        self.paints += 1
        for channel in range(_SHAPE[1]):
            xs, y = self._fields(channel)
            row = self.row(y).max(axis=1)
            number = number_of([row[x] > 128 for x in xs])
            self.now[channel] = number
            if number:
                self.seen.setdefault(number, time.monotonic())

    def _fields(self, channel: int) -> tuple[list[int], int]:
        """Where the centres of a channel's fields are on the canvas: columns, and their row."""
        xs, y = fields(channel)
        columns, rows = self.on_canvas(xs, [y])
        return columns, rows[0]

    def latencies(self, written: Mapping[int, float]) -> list[float]:
        """From each plane on disk to the paint that shows it, or a newer one of its channel, ms."""
        channels = _SHAPE[1]
        return [
            (min(when for seen, when in self.seen.items() if seen >= n and (seen - n) % channels == 0) - then)
            * 1e3
            for n, then in written.items()
            if any(seen >= n and (seen - n) % channels == 0 for seen in self.seen)
        ]

    def grabbed(self, surface: Any) -> dict[int, int]:
        """The numbers in a picture grabbed from the widget: what a user sees."""
        grab = getattr(surface, "grabFramebuffer", None)  # with OpenGL
        picture = surface.grab().toImage() if grab is None else grab()
        numbers = {}
        for channel in range(_SHAPE[1]):
            xs, y = self._fields(channel)
            colours = [picture.pixelColor(x, y) for x in xs]
            numbers[channel] = number_of([max(c.red(), c.green(), c.blue()) > 128 for c in colours])
        return numbers


# ---- ours -------------------------------------------------------------------------------------------


def watch_ours(folder: str) -> dict[str, Any]:
    """Show the run in the widget while it is written; then the same frames once more without notifies."""
    from qtpy.QtCore import QTimer

    from ndviewer_light.engine.leases import StoredKey
    from ndviewer_light.model import PlaneKey

    from .heartbeat import Heartbeat
    from .widget import Window

    window = Window()
    viewer = window.viewer
    viewer.start_zarr_acquisition([folder], list(stores.CHANNELS), 1, ["A1:0"], SIZE, SIZE)
    writer = _Writer(folder, lambda c: viewer.notify_zarr_frame(0, 0, 0, stores.CHANNELS[c]))
    window.wait(window.shows_pixels)
    window.run(1.0)  # the canvas has been built again, on what the store says
    assert viewer.stage is not None
    for c in range(_SHAPE[1]):
        viewer.stage.strips.window_changed.emit(c, 0, _WHITE)
    eye = _Eye(what_draws(window.canvas), stores.UM_PER_PIXEL)
    first = max(writer.written) + 1
    heart = Heartbeat()
    window.wait(lambda: writer.done)
    live_gaps = heart.stop()
    viewer.end_zarr_acquisition()
    window.run(1.0)
    last = {(number - 1) % _SHAPE[1]: number for number in sorted(writer.written)}
    grabbed = eye.grabbed(window.canvas.surface)
    on_screen = sum(grabbed[c] == eye.now[c] == last[c] for c in last)

    # the same drawing without anybody writing or reading: each time one channel has other pixels
    dataset = viewer.dataset
    assert dataset is not None
    keys = [StoredKey(PlaneKey(c=c), 0) for c in range(_SHAPE[1])]
    copies = [(key, dataset.plane(*key.plane).copy()) for _ in range(2) for key in keys]
    turns = itertools.cycle(copies)

    def draw_again() -> None:
        dataset._cache._planes.put(*next(turns))
        window.canvas.refresh()

    again = QTimer()
    again.timeout.connect(draw_again)
    paints = eye.paints
    heart = Heartbeat()
    again.start(int(1000 / _RATE))
    window.run(4.0)
    again.stop()
    still_gaps = heart.stop()
    written = {n: then for n, then in writer.written.items() if n >= first}
    result = {
        "latencies": eye.latencies(written),
        "written": len(written),
        "shown": len(eye.seen.keys() & written.keys()),
        "last": on_screen,
        "stall": percentile(still_gaps, 99),
        "stall live": percentile(live_gaps, 99),
        "longest": max(live_gaps),
        "longest still": max(still_gaps),
        "paints/s live": paints / (_SECONDS - 1),
        "paints/s still": (eye.paints - paints) / 4,
        "read": _read_ms(folder),
    }
    window.close()
    return result


def _read_ms(folder: str) -> float:
    """One plane through a reader process, ms."""
    from ndviewer_light import open_dataset

    from .measure import medians

    with open_dataset(folder, isolate=True, cache_bytes=0) as ds:
        return medians({"read": ds.plane}, rounds=15)["read"]


# ---- as one would without us -----------------------------------------------------------------------


def watch_debounced(folder: str) -> dict[str, Any]:
    """A plain ndv viewer: 200 ms after a notify, all channels are read by dask in the GUI thread."""
    from pathlib import Path

    from ndviewer_light.gui.look.icon_files import use_bundled_icons

    from .widget import choose_binding

    choose_binding()
    use_bundled_icons()  # in their favour: plain ndv would look for its icons in the network
    import dask.array as da
    import ndv
    from qtpy.QtCore import QObject, QTimer, Signal

    from .widget import Loop

    loop = Loop()

    class Notifier(QObject):
        written = Signal(int)

    stores.write_image_metadata(Path(folder), _SHAPE, "fast")
    pixels = np.zeros((4, SIZE, SIZE), np.uint16)
    viewer = ndv.ArrayViewer(pixels, channel_axis=0, channel_mode="composite", visible_axes=(1, 2))
    for c, colour in enumerate(("blue", "green", "red", "white")):
        viewer.display_model.luts[c].cmap = colour
        viewer.display_model.luts[c].clims = (0, _WHITE)
    widget = viewer.widget()
    widget.resize(1100, 800)
    widget.show()

    def load() -> None:
        if list(Path(folder).rglob("c/*/*/*/*/*")):
            pixels[:] = da.from_zarr(f"{folder}/0")[0, :, 0].compute()
            viewer.data_wrapper.data_changed.emit()

    notifier, timer = Notifier(), QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(load)
    notifier.written.connect(lambda: timer.isActive() or timer.start(200))
    loop.run(1.0)
    eye = _Eye(viewer._canvas, 1.0)
    writer = _Writer(folder, notifier.written.emit)
    loop.wait(lambda: writer.done, 60)
    loop.run(1.5)
    written = {n: then for n, then in writer.written.items() if n > _RATE}  # after a second to settle in
    shown = len(eye.seen.keys() & written.keys())
    return {"latencies": eye.latencies(written), "written": len(written), "shown": shown}


# ---- telling ------------------------------------------------------------------------------------------

_THREADS = 8
_CALLS = 250_000
_SMALL = (4, 4, 5, 64, 64)


def p8(folder: Path) -> Iterator[Figure]:
    """Tell the widget of written planes from eight threads at once, as fast as they can."""
    told = run_child("tests.benchmarks.live", "tell", str(folder / "image"))
    peers = {"a Qt signal each": told["signal"] / 1e3}
    yield at_least("P8", "notify from 8 threads", told["rate"] / 1e3, "k/s", 500, peers=peers)
    yield at_most(
        "P8", "… one call, 99th percentile", told["p99"], "µs", 20, peers={"median": told["median"]}
    )


def write_small(folder: str) -> None:
    """The image that `tell` tells of."""
    from pathlib import Path

    stores.write_image(Path(folder), _SMALL, "fast")


def tell(folder: str) -> dict[str, float]:
    """Notify a live viewer in a storm; the planes in view among the others, the event loop running."""
    from qtpy.QtCore import QObject, Signal

    from .widget import Window

    # by another process: the widget's must not load what writes
    run_child("tests.benchmarks.live", "write_small", folder)
    window = Window()
    notify = window.viewer.notify_zarr_frame
    window.viewer.start_zarr_acquisition([folder], list(stores.CHANNELS), _SMALL[2], ["A1:0"], 64, 64)
    notify(0, 0, 0, stores.CHANNELS[0])
    window.wait(window.shows_pixels)
    planes = [(t, 0, z, c) for t in range(_SMALL[0]) for z in range(_SMALL[2]) for c in stores.CHANNELS]

    def storm() -> None:
        for _ in range(_CALLS // len(planes)):
            for t, p, z, c in planes:
                notify(t, p, z, c)

    took = _in_threads(window, [storm] * _THREADS)
    costs: list[list[int]] = [[] for _ in range(_THREADS)]
    _in_threads(window, [lambda mine=mine: _timed_storm(notify, planes, mine) for mine in costs])
    every = [ns / 1e3 for mine in costs for ns in mine]

    class Notifier(QObject):
        written = Signal(int, int, int, str)

    notifier = Notifier()
    notifier.written.connect(lambda t, p, z, c: None)

    def emit() -> None:
        for _ in range(20_000 // len(planes)):
            for t, p, z, c in planes:
                notifier.written.emit(t, p, z, c)

    emitted = _in_threads(window, [emit] * _THREADS)
    window.close()
    return {
        "rate": _THREADS * (_CALLS // len(planes)) * len(planes) / took,
        "signal": _THREADS * (20_000 // len(planes)) * len(planes) / emitted,
        "median": percentile(every, 50),
        "p99": percentile(every, 99),
    }


def _timed_storm(
    notify: Callable[..., None], planes: list[tuple[int, int, int, str]], mine: list[int]
) -> None:
    clock = time.perf_counter_ns
    for _ in range(50_000 // len(planes)):
        for t, p, z, c in planes:
            start = clock()
            notify(t, p, z, c)
            mine.append(clock() - start)


def _in_threads(window: Any, works: list[Callable[[], None]]) -> float:
    """Run these at once, with the event loop going on; s until the last is done."""
    threads = [threading.Thread(target=work) for work in works]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    window.wait(lambda: not any(thread.is_alive() for thread in threads), 60)
    return time.perf_counter() - start
