"""The widget to measure on: on screen, waited for until pixels are drawn and not a moment longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ndviewer_light.__main__ import choose_binding

choose_binding()

from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer  # noqa: E402

from ndviewer_light.gui.viewer import LightweightViewer  # noqa: E402
from ndviewer_light.gui.windows.application import application  # noqa: E402
from ndviewer_light.model import PlaneState  # noqa: E402
from tests.canvas_eye import PaintCall, what_draws  # noqa: E402
from tests.event_loop import wait  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from ndviewer_light.gui.canvas.display import Canvas


class Loop:
    """The event loop, run only while something is awaited."""

    def __init__(self) -> None:
        self.app = application()

    def wait(self, ready: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Run the event loop until `ready`, which is asked every 2 ms."""
        if not wait(ready, timeout_s, every_ms=2):
            raise TimeoutError("the widget did not get there")

    def run(self, seconds: float) -> None:
        """Run the event loop for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end, seconds + 30)

    def rest(self, seconds: float) -> None:
        """Run the event loop for a while, without a timer of ours in it but the one that ends it."""
        loop = QEventLoop()
        QTimer.singleShot(int(seconds * 1000), loop.quit)
        loop.exec() if hasattr(loop, "exec") else loop.exec_()


class Window(Loop):
    """A viewer on screen."""

    def __init__(self, width: int = 1100, height: int = 800, *, panels: bool = False) -> None:
        super().__init__()
        self.viewer = LightweightViewer(panels=panels)
        self.viewer.resize(width, height)
        self.viewer.show()
        self.wait(lambda: self.viewer.stage is not None and self.viewer.stage.canvas is not None)

    @property
    def canvas(self) -> Canvas:
        """The picture."""
        assert self.viewer.stage is not None and self.viewer.stage.canvas is not None
        return self.viewer.stage.canvas

    def open(self, path: str) -> None:
        """Load a dataset and wait until all channels of its first plane are drawn."""
        drawn = Drawn(self)
        self.viewer.load_dataset(path)
        self.wait(lambda: drawn.of_dataset(path))
        drawn.stop()

    def close(self) -> None:
        """Close it, as a user would."""
        self.viewer.close()
        QCoreApplication.processEvents()

    def shows_pixels(self) -> bool:
        """Whether the newest frame has pixels of every channel in view."""
        frame = self.canvas.frame
        return (
            frame is not None
            and bool(frame.planes)
            and all(plane.state is PlaneState.PRESENT for plane in frame.planes.values())
        )


class Drawn:
    """Watches the canvas: what was on it at its last paint."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._frame: Any = None
        self._timer = QTimer()
        self._seen: Any = None
        self._eye: PaintCall | None = None

    def of_dataset(self, path: str) -> bool:
        """Whether pixels of this dataset are drawn."""
        viewer, window = self._window.viewer, self._window
        dataset = viewer.dataset
        if dataset is None or dataset.path != path or window.canvas.viewer is None:
            return False
        drawn = what_draws(window.canvas)
        if self._seen is not drawn:
            self._seen = drawn
            self._frame = None
            self._eye = PaintCall(window.canvas, self._on_paint)
        return self._frame is not None

    def _on_paint(self) -> None:
        if self._window.shows_pixels() and not self._window.canvas.busy:
            self._frame = self._window.canvas.frame

    def stop(self) -> None:
        """Watch no more."""
        if self._eye is not None:
            self._eye.stop()
