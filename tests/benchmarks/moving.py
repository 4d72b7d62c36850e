"""How long the window is away from its event loop while one moves through data (U1), and what panels read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from . import stores
from .children import run_child
from .measure import Figure, at_most, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SHAPE = (120, 2, 1, 1024, 1024)
_PER_SECOND = 20
_LIMIT_MS = 50
_ROUNDS = 3
_PANELS = {
    "maps and acquisition": "P",
    "statistics": "Q",
    "latency": "L",
    "list of warnings": "Shift+W",
    "keys": "F1",
}
"""By the key that shows it."""
_READS = ("read_plane", "read_region", "read_versioned", "read_measured", "measure", "thumbnails")


def u1(folder: Path) -> Iterator[Figure]:
    """Gaps between beats of 5 ms, 99th percentile, beyond those of the same drawing without reading."""
    image = str(folder / "image")
    run_child("tests.benchmarks.moving", "write", image)
    rounds = [run_child("tests.benchmarks.moving", "move", image) for _ in range(_ROUNDS)]
    live = [run_child("tests.benchmarks.live", "watch_ours", str(folder / f"run{i}")) for i in range(_ROUNDS)]
    gaps = {
        "scrubbing through planes on the disk, 20 a second": [
            (seen["scrubbing"], seen["drawing"]) for seen in rounds
        ],
        "playing them, 20 a second": [(seen["playing"], seen["drawing"]) for seen in rounds],
        "following a run (P6)": [(seen["stall live"], seen["stall"]) for seen in live],
    }
    for what, measured in gaps.items():
        away, drawing = sorted(measured, key=lambda both: both[0] - both[1])[_ROUNDS // 2]
        yield at_most(
            "U1",
            f"{what}: the event loop away, p99, beyond the drawing",
            away - drawing,
            "ms",
            _LIMIT_MS,
            peers={"with it": away, "the drawing alone": drawing},
            note=f"median of {_ROUNDS}",
        )
    for panel in _PANELS:
        most = max(seen["reads"][panel] for seen in rounds)
        yield at_most("U1", f"planes read to show a panel: {panel}", most, "", 0)


def write(folder: str) -> None:
    """The image, by another process: the widget's must not load what writes."""
    from pathlib import Path

    stores.write_image(Path(folder), _SHAPE, "fast")


def move(folder: str) -> dict[str, Any]:
    """The 99th percentile while its times are scrubbed, again from memory, and played; reads of panels."""
    from .widget import Window

    window = Window(panels=True)
    window.open(folder)
    found: dict[str, Any] = {"scrubbing": _scrubbed(window), "drawing": _scrubbed(window)}
    found["reads"] = {panel: _reads_for(window, key) for panel, key in _PANELS.items()}
    window.close()
    window = Window()
    window.open(folder)
    found["playing"] = _played(window)
    window.close()
    return found


def _scrubbed(window) -> float:  # type: ignore[no-untyped-def]  # a Window, which needs Qt
    from qtpy.QtCore import QTimer

    from .heartbeat import Heartbeat

    window.viewer.set_current_index("t", 0)
    window.wait(lambda: window.canvas.frame.view.t == 0 and not window.canvas.busy)
    window.rest(0.5)
    begin, heart = time.perf_counter(), Heartbeat()
    timer = QTimer()
    timer.timeout.connect(
        lambda: window.viewer.set_current_index(
            "t", min(int((time.perf_counter() - begin) * _PER_SECOND), _SHAPE[0] - 1)
        )
    )
    timer.start(1000 // _PER_SECOND)
    window.rest(_SHAPE[0] / _PER_SECOND)
    timer.stop()
    return percentile(heart.stop(), 99)


def _played(window) -> float:  # type: ignore[no-untyped-def]  # a Window, which needs Qt
    from .heartbeat import Heartbeat

    sliders = window.viewer.stage.sliders
    sliders.playback.choose(sliders.playback.speed._replace(per_second=_PER_SECOND))
    play = sliders.play_button("t")
    play.click()
    heart = Heartbeat()
    window.rest(_SHAPE[0] / _PER_SECOND)
    gaps = heart.stop()
    play.click()
    return percentile(gaps, 99)


def _reads_for(window, key: str) -> int:  # type: ignore[no-untyped-def]  # a Window, which needs Qt
    """How often anything was asked of the reader process that has it read pixels."""
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest

    from ndviewer_light.isolation.client import IsolatedSource

    reads: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        asked = getattr(IsolatedSource, name)

        def ask(source: IsolatedSource, *arguments: Any, **options: Any) -> Any:
            reads.append(name)
            return asked(source, *arguments, **options)

        return ask

    if key == "P":  # they are shown at first
        QTest.keySequence(window.canvas.surface, QKeySequence(key))
        window.rest(0.5)
    window.wait(lambda: not window.canvas.busy)
    with patch.multiple(IsolatedSource, **{name: counted(name) for name in _READS}):
        QTest.keySequence(window.canvas.surface, QKeySequence(key))
        window.rest(1.0)
    return len(reads)
