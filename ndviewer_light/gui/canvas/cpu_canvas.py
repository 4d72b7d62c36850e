"""The picture drawn on the CPU, where no graphics card does: remote desktops, virtual machines, old ones.

Frames are read and pictures made in threads; the same levels, limits, colours and places as with OpenGL.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..slots import safe_slot
from .display import Canvas
from .drawn_channels import DrawnChannels, layers_of
from .frame_reads import FrameReads
from .painted_pane import PaintedPane, PlacedLayers
from .view_frames import ViewFrames
from .waiting_sign import WaitingSign

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from ...engine.dataset import Dataset
    from ...rendering.contrast import ChannelContrasts
    from ..background import Background
    from .canvas_view import View
    from .drawn_channels import DrawnLook
    from .flat_camera import FlatCamera
    from .view_frames import Frame

logger = logging.getLogger(__name__)


class _FrameRead(NamedTuple):
    """A frame, and whether there is more of the view than is in it."""

    frames: ViewFrames
    frame: Frame
    is_held_back: bool


class CpuCanvas(Canvas):
    """A `PaintedPane` that is given one frame at a time; flat pictures only: volumes are drawn by another."""

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._reads: FrameReads[_FrameRead] = FrameReads(self, background, self._take)
        self._is_volume_awaited = False
        self._awaited: int | None = None  # of the layers of a frame that has arrived, and is not seen yet
        self._pane = PaintedPane(background)
        self._pane.setAccessibleName("Picture")
        self._pane.drawn.connect(self._on_drawn)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._pane)
        self._pane.installEventFilter(self)
        self._sign = WaitingSign(self)

    # ---- what draws ------------------------------------------------------------------------

    @property
    def viewer(self) -> PaintedPane | None:
        """The pane; None while there is no dataset."""
        return self._pane if self._frames is not None else None

    @property
    def camera(self) -> FlatCamera | None:
        """That of the pane; None while there is no dataset."""
        return self._pane.camera if self._frames is not None else None

    @property
    def surface(self) -> PaintedPane:
        """The pane."""
        return self._pane

    @property
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""
        return self._frames is not None and (self._reads.busy or self._awaited is not None)

    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset`; never overtaken."""
        self.release()
        self._frames = ViewFrames(dataset)
        self._channels = DrawnChannels(self._frames, contrasts, self._on_look)
        self._dirty = True
        self.show_view(view)
        return True

    def show_view(self, view: View) -> None:
        """Show other indices; of a volume one plane, until the canvas that draws volumes comes."""
        self._is_volume_awaited = view.is_volume
        super().show_view(view._replace(is_volume=False))

    @property
    def progress(self) -> str:
        """What is waited for; "" if nothing is."""
        return "preparing 3D" if self._is_volume_awaited else ""

    def release(self) -> None:
        """Stop showing the dataset."""
        super().release()
        self._reads.forget()
        self._sign.end()
        self._awaited = None
        self._later.stop()
        self._pane.show_layers(None)

    def drop_released(self) -> bool:
        """Nothing is left to do."""
        return False

    # ---- frames ----------------------------------------------------------------------------

    def _request(self, before: View) -> None:
        frames = self._frames
        assert frames is not None
        self._sign.begin()
        self._reads.begin("ndviewer-frame", partial(_read, frames, frames.view, sorted(frames.visible)))

    def _take(self, read: _FrameRead) -> None:
        frames, frame = self._frames, read.frame
        if frames is None or frames is not read.frames:
            return  # another dataset is shown
        self._is_taking = True
        frames.frame, frames.is_held_back = frame, read.is_held_back
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
            self._sign.end()
            self._is_taking = True
            self._note_arrived()
            self._is_taking = False

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


def _read(frames: ViewFrames, view: View, visible: list[int]) -> _FrameRead:
    """Read a frame. Any thread; never raises."""
    try:
        read = frames.read(view, visible)
        return _FrameRead(frames, frames.frame_of(view, read), read.is_held_back)
    except Exception as error:
        logger.exception("showing %s", view)
        return _FrameRead(frames, frames.frame_that_failed(view, visible, error), is_held_back=False)
