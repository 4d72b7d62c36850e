"""Qt's event loop, run while something is awaited, where pytest does not run it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable


def wait(ready: Callable[[], bool], timeout_s: float, every_ms: int = 5) -> bool:
    """Run the event loop until `ready`, asked every `every_ms`; False if it is not within `timeout_s`.

    A loop of its own, not `processEvents`: that would never delete what is to be deleted later.
    """
    loop, timer = QEventLoop(), QTimer()
    end = time.monotonic() + timeout_s
    answers = [False]

    def ask() -> None:
        # once is enough: the loop may ask again before it ends, when a canvas has just been built anew
        answers[0] = answers[0] or ready()
        if answers[0] or time.monotonic() > end:
            loop.quit()

    timer.timeout.connect(ask)
    timer.start(every_ms)
    loop.exec() if hasattr(loop, "exec") else loop.exec_()
    timer.stop()
    return answers[0]
