"""The picture drawn on the CPU, where there is no OpenGL: remote desktops, virtual machines, old graphics.

Frames are read and pictures made in threads; the same levels, limits, colours and places as with OpenGL.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from ...model import Plane, PlaneState
from ..ends import EndNote
from ..slots import safe_slot
from .display import Canvas
from .drawn_channels import DrawnChannels, layers_of
from .painted_pane import PaintedPane, PlacedLayers
from .view_frames import Frame, ViewFrames

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from ...engine.dataset import Dataset
    from ...rendering.contrast import ChannelContrasts
    from ..background import Background
    from ..poll import Poll
    from .canvas_view import View
    from .drawn_channels import DrawnLook

logger = logging.getLogger(__name__)


class CpuCanvas(Canvas):
    """A `PaintedPane` that is given one frame at a time; flat pictures only."""

    why_flat = "3-D needs OpenGL, and here the picture is drawn without it"

    def __init__(self, background: Background, poll: Poll, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._poll = poll
        self._end = EndNote()
        self._end.end_with(self)
        self._is_reading = False
        self._awaited: int | None = None  # of the layers of a frame that has arrived, and is not seen yet
        self._pane = PaintedPane(background, poll)
        self._pane.setAccessibleName("Picture")
        self._pane.drawn.connect(self._on_drawn)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._pane)
        self._pane.installEventFilter(self)

    # ---- what draws ------------------------------------------------------------------------

    @property
    def viewer(self) -> PaintedPane | None:
        """The pane; None while there is no dataset."""
        return self._pane if self._frames is not None else None

    @property
    def camera(self) -> PaintedPane | None:
        """The pane; None while there is no dataset."""
        return self.viewer

    @property
    def surface(self) -> PaintedPane:
        """The pane."""
        return self._pane

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._frames is not None and (self._is_reading or self._awaited is not None)

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset`; never overtaken."""
        self.release()
        self._frames = ViewFrames(dataset)
        self._channels = DrawnChannels(self._frames, contrasts, self._on_look)
        self._dirty = True
        self.show_view(view)
        return True

    def show_view(self, view: View) -> None:
        """Show other indices; of a volume, one plane."""
        super().show_view(view._replace(is_volume=False))

    def release(self) -> None:
        """Stop showing the dataset."""
        super().release()
        self._is_reading, self._awaited = False, None
        self._later.stop()
        self._pane.show_layers(None)

    def drop_released(self) -> bool:
        """Nothing is left to do."""
        return False

    # ---- frames ----------------------------------------------------------------------------

    def _request(self, before: View) -> None:
        frames, build = self._frames, self._build
        assert frames is not None
        view, visible = frames.view, sorted(frames.visible)
        self._is_reading = True
        self._poll.wake()
        me, end, poll = weakref.ref(self), self._end, self._poll

        def read() -> None:
            """In a thread."""
            frame, is_held_back = _frame_of(frames, view, visible)
            poll.post(lambda: _hand_over(me, end, build, frame, is_held_back))

        self._background.run("ndviewer-frame", read)

    def take_frame(self, build: int, frame: Frame, is_held_back: bool) -> None:
        """A frame was read, for the dataset that was number `build` here."""
        frames = self._frames
        if build != self._build or frames is None:
            return
        self._is_reading, self._is_taking = False, True
        frames.frame, frames.is_held_back = frame, is_held_back
        self._take_contrasts(frame)
        self._hide_what_is_missing(frame)
        self._fit()
        self._is_taking = False
        self._awaited = self._show()

    def _fit(self) -> None:
        """Show all of a picture of another size; of the first one, the part that was asked for."""
        extent = self._sight.extent()
        if extent in (None, self._shown_extent):
            return
        is_first, self._shown_extent = self._shown_extent is None, extent
        place, self._place = self._place, None
        if is_first and place is not None:
            self.show_area(place)
        else:
            self.reset_view()

    @safe_slot
    def _on_drawn(self, number: int) -> None:
        if self._awaited is not None and number >= self._awaited:
            self._awaited = None
            self._note_arrived()

    def _on_look(self, c: int, look: DrawnLook, before: DrawnLook) -> None:
        super()._on_look(c, look, before)
        if not self._is_taking and self.frame is not None:
            self._show()

    def _show(self) -> int:
        """Draw the last frame, as its channels are to be drawn now; returns the number of its layers."""
        frame = self.frame
        assert frame is not None and self._channels is not None
        layers = layers_of(frame, self._channels.looks).values()
        return self._pane.show_layers(PlacedLayers.of_frame(layers, frame, self._sight.voxel_size()))


def _frame_of(frames: ViewFrames, view: View, visible: list[int]) -> tuple[Frame, bool]:
    """Read a frame, and whether there is more of it than is in it. Any thread; never raises."""
    try:
        read = frames.read(view, visible)
        return frames.frame_of(view, read)[0], read.is_held_back
    except Exception as error:
        logger.exception("showing %s", view)
        problem = Plane(PlaneState.UNREADABLE, reason=str(error) or type(error).__name__)
        image = frames.dataset.known_image(view.p)
        return Frame(view, dict.fromkeys(visible, problem), {}, image=image), False


def _hand_over(
    canvas: Callable[[], CpuCanvas | None], end: EndNote, build: int, frame: Frame, is_held_back: bool
) -> None:
    there = canvas()
    if there is not None and not end.has_come:
        there.take_frame(build, frame, is_held_back)
