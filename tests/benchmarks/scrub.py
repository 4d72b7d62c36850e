"""Going through a stack as fast as a hand does (P9): which of its planes are seen, and in which order."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from tests.stores import make_old

from . import stores
from .children import run_child
from .measure import Figure, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHAPE = (1, 1, 180, 1024, 1024)
_PER_SECOND = 60


def p9(folder: Path) -> Iterator[Figure]:
    """Change z 60 times a second, 180 times: of planes on the disk, and again of those in memory."""
    run_child("tests.benchmarks.scrub", "write", str(folder / "image"))
    make_old(folder / "image")  # nothing is read ahead in what may be being written
    seen = run_child("tests.benchmarks.scrub", "scrub", str(folder / "image"))
    for where, least in (("disk", 150), ("memory", 180)):
        yield at_least("P9", f"planes of 180 that were seen, from {where}", seen[f"{where} shown"], "", least)
        yield at_most("P9", "… shown after a later one", seen[f"{where} backwards"], "", 0)
        yield at_most("P9", "… last change → last plane on screen", seen[f"{where} last"], "ms", 80)


def write(folder: str) -> None:
    """The image that `scrub` goes through, by another process: the widget's must not load what writes."""
    from pathlib import Path

    stores.write_image(Path(folder), _SHAPE, "fast")


def scrub(folder: str) -> dict[str, float]:
    """Go through a stack forwards, twice."""
    from .widget import Window

    window = Window()
    window.open(folder)
    found: dict[str, float] = {}
    for where in ("disk", "memory"):
        window.viewer.set_current_index("z", 0)
        window.wait(lambda: window.canvas.frame.view.z == 0 and not window.canvas.busy)
        found |= {f"{where} {name}": value for name, value in _gone_through(window).items()}
    window.close()
    return found


def _gone_through(window) -> dict[str, float]:  # type: ignore[no-untyped-def]  # a Window, which needs Qt
    from qtpy.QtCore import Qt, QTimer

    shown: list[int] = []

    def note() -> None:
        if window.shows_pixels():
            shown.append(window.canvas.frame.view.z)

    window.canvas.painted.connect(note)
    n, begin = _SHAPE[2], time.perf_counter()
    changed = [0]
    ended = [0.0]

    def change() -> None:
        """As many steps as are due: a late timer skips none."""
        due = min(int((time.perf_counter() - begin) * _PER_SECOND), n - 1)
        if due > changed[0]:
            changed[0] += 1
            window.viewer.set_current_index("z", changed[0])
            ended[0] = time.perf_counter()

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(change)
    timer.start(4)
    window.wait(lambda: bool(shown) and shown[-1] == n - 1, 60)
    last = (time.perf_counter() - ended[0]) * 1000
    timer.stop()
    window.canvas.painted.disconnect(note)
    backwards = sum(b < a for a, b in itertools.pairwise(shown))
    return {"shown": len(set(shown) | {0}), "backwards": backwards, "last": last}
