"""Show a run in a window while another process writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .faults import NO_FAULTS
from .host import Host
from .run import WrittenPlane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .faults import Faults
    from .run import Run


def view_run(
    run: Run,
    writer: Sequence[str],
    *,
    faults: Faults = NO_FAULTS,
    screenshot: Path | None = None,
    close_after: float | None = None,
) -> int:
    """Show `run` in a viewer while the command `writer` writes it; returns the exit status.

    `writer` must print a line of JSON for each plane on standard output, and close it when the run has
    ended. With `screenshot`, the viewer shows the last planes at the end, saves the window there as PNG and
    closes it; with `close_after`, it closes that many seconds after the end; otherwise when the user closes
    it. GUI thread.
    """
    # qtpy prefers a binding that is already loaded
    os.environ.setdefault("QT_API", "pyqt6")
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    from .. import LightweightMainWindow

    app = QApplication.instance() or QApplication(sys.argv[:1])
    window = LightweightMainWindow("")
    host = Host(window.viewer, run, faults)
    host.announce()
    window.show()
    with subprocess.Popen(writer, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        reports = _Reports(process, host)
        reports.start()
        ending = _Ending(window, reports, screenshot, close_after)
        timer = QTimer(window)
        timer.timeout.connect(ending.step)
        timer.start(100)
        app.exec()
        timer.stop()
        reports.abandoned = True
        process.terminate()  # only still running if the user closed the window early
        reports.join()
    return 1 if ending.failed or (ending.finished and process.returncode) else 0


class _Reports(threading.Thread):
    """Passes the writer's reports to the host from a thread without Qt, as real hosts do."""

    def __init__(self, process: subprocess.Popen[str], host: Host) -> None:
        super().__init__(daemon=True)
        self.last: WrittenPlane | None = None
        self.abandoned = False  # the window is closed
        self._process, self._host = process, host

    def run(self) -> None:
        for line in self._process.stdout or ():
            self.last = WrittenPlane(**json.loads(line))
            self._host.pass_on(self.last)
        if not self.abandoned:
            self._host.end()
        self._process.wait()


class _Ending:
    """What happens after the writer has ended: let the viewer draw, take the screenshot, close."""

    _STILL = 12  # steps without a change on screen after which the picture is final
    _PATIENCE_S = 30.0

    def __init__(
        self, window: Any, reports: _Reports, screenshot: Path | None, close_after: float | None
    ) -> None:
        self.finished = self.failed = False
        self._window, self._reports = window, reports
        self._screenshot, self._close_after = screenshot, close_after
        self._ended_at = 0.0
        self._last_picture: Any = None
        self._still = 0

    def step(self) -> None:
        if self._reports.is_alive():
            return
        if not self.finished:
            self._end()
        elif self._screenshot is not None:
            self._take_picture(self._screenshot)
        elif self._close_after is not None and time.monotonic() - self._ended_at >= self._close_after:
            self._window.close()

    def _end(self) -> None:
        self.finished, self._ended_at = True, time.monotonic()
        last = self._reports.last
        if self._screenshot is not None and last is not None:
            self._window.viewer.load_fov(last.fov, last.t, last.z // 2)  # the middle of a stack is in focus

    def _take_picture(self, path: Path) -> None:
        picture = self._window.grab().toImage()
        self._still = self._still + 1 if picture == self._last_picture else 0
        self._last_picture = picture
        if self._still < self._STILL and time.monotonic() - self._ended_at < self._PATIENCE_S:
            return
        self._screenshot, self._close_after = None, self._close_after or 0.0
        self.failed = not picture.save(str(path), "PNG")
        if self.failed:
            sys.stderr.write(f"cannot write {path}: choose a PNG file in an existing, writable folder\n")
        else:
            sys.stdout.write(f"{path}\n")
