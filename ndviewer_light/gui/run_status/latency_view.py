"""How long frames take from the disk to the screen, over the picture once that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .latency import Latencies

if TYPE_CHECKING:
    from ...engine.dataset import Dataset
    from ..canvas.overlay import CanvasOverlay
    from ..canvas.view_frames import Frame


class LatencyView:
    """Writes into the overlay of a picture. GUI thread only."""

    def __init__(self, overlay: CanvasOverlay) -> None:
        self.latencies = Latencies()
        self._overlay = overlay
        self._is_on = False

    def toggle(self) -> None:
        """Say it from now on, or no longer."""
        self._is_on = not self._is_on
        self._say()

    def take_frame(self, dataset: Dataset, frame: Frame) -> None:
        """A frame of `dataset` is on the canvas now."""
        if self.latencies.drawn(dataset, frame) is not None:
            self._say()

    def _say(self) -> None:
        self._overlay.set_latency(self.latencies.text() if self._is_on else "")
