"""Marks on saturated pixels, over the picture of one stage: found in a thread, drawn where the picture is.

GUI thread only, except where a method says otherwise; nothing is read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject

from ...engine.label_planes import PictureArea
from ...rendering.saturation_picture import marks, saturated_pixels
from ..labels.label_layer import LabelLayer
from ..slots import safe_slot
from .picture_layer import AreaImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from qtpy.QtGui import QPainter

    from ..background import Background
    from ..poll import Poll
    from ..stage import Stage
    from .view_frames import Frame

    _Marks = dict[int | None, tuple[np.ndarray, PictureArea]]
    """By channel; None: of all of them."""

logger = logging.getLogger(__name__)


class _MarksWanted(NamedTuple):
    """What is to be marked: pixels by the value at which they are saturated, and what is seen of them.

    `planes`: channel, the identity of its pixels, that value. `apart`: each channel also by itself.
    """

    planes: tuple[tuple[int, int, float], ...]
    apart: bool
    area: PictureArea
    rows: int
    columns: int


class SaturationLayer(LabelLayer):
    """The marks of all channels together, and of each one for a pane of its own. GUI thread only."""

    _of_channels: Mapping[int, AreaImage] = {}

    def show_marks(self, found: _Marks) -> None:
        """Show these; {}: none."""
        self._of_channels = {c: AreaImage(*each) for c, each in found.items() if c is not None}
        self.show_picture(*found.get(None, (None, None)))

    def paint_channel(self, painter: QPainter, width: int, height: int, channel: int | None) -> None:
        if channel is None:
            self.paint(painter, width, height)
        elif channel in self._of_channels and self.area is not None:
            self._of_channels[channel].paint(painter, self.area, width, height)


class SaturationMarks(QObject):
    """On the picture, and on panes of its channels. Off at first."""

    def __init__(self, stage: Stage, background: Background, poll: Poll) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._is_busy = False
        self._shown: _MarksWanted | None = None
        self._masks: tuple[object, dict[int | None, np.ndarray]] = ((), {})
        self._shares: dict[int, float] = {}
        self._kept: object = None  # keeps the marked pixels alive, so that no others get their identity
        self.is_on = False
        self.layer = SaturationLayer(stage.picture)
        self.layer.setAccessibleName("Saturated pixels")
        stage.canvas_set.connect(self._on_canvas_set)
        stage.plane_moved.connect(self._update)

    def toggle(self) -> None:
        """Mark saturated pixels, or no longer."""
        self.is_on = not self.is_on
        self._update()

    def step(self) -> None:
        """Mark what has come in view; where the overview covers the picture, nothing."""
        if self.is_on:
            self._update()

    def text_of(self, c: int) -> str:
        """How much of a channel is saturated, in words; "" while nothing is marked."""
        if not self.is_on:
            return ""
        return f"saturated: {_percent(self._shares[c])}" if c in self._shares else "saturated: none"

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        self.layer.stackUnder(self._stage.overlay)
        canvas.frame_shown.connect(self._update)

    def _tops(self, frame: Frame) -> dict[int, float]:
        """The channels with saturated pixels, and the value that counts as saturated."""
        contrasts = self._stage.channels.contrasts
        tops = {}
        for c in self._stage.visible_channels():
            plane = frame.planes.get(c)
            top = contrasts.of(c).saturated_at
            if plane is not None and plane.pixels is not None and top is not None:
                tops[c] = top
        return tops

    @safe_slot
    def _update(self) -> None:
        """Mark what is seen now, unless it is marked; newer requests wait for the one in progress."""
        canvas, shown = self._stage.canvas, self._stage.plane_shown_by
        frame = canvas.frame if canvas is not None else None
        projection = shown.projection() if shown is not None and self.is_on else None
        if frame is None or projection is None or self._stage.dataset is None:
            self._clear()
            if not self.is_on:
                self._stage.overlay.set_note("")
            return
        assert shown is not None
        size = shown.surface.size() if shown.surface is not None else self.layer.size()
        top, left = frame.place(*projection.to_place(0, 0))
        bottom, right = frame.place(*projection.to_place(size.width(), size.height()))
        area = PictureArea(left, top, right, bottom)
        self.layer.show_area(area)
        tops = self._tops(frame)
        self._say(tops)
        if not tops:
            self._clear()
            return
        planes = {c: pixels for c in tops if (pixels := frame.planes[c].pixels) is not None}
        wanted = _MarksWanted(
            tuple((c, id(pixels), tops[c]) for c, pixels in planes.items()),
            shown is not canvas,
            area,
            max(size.height(), 1),
            max(size.width(), 1),
        )
        if self._shown is not None and self._shown.planes != wanted.planes:
            self._clear()  # marks of one plane are never shown over another
        if wanted == self._shown or self._is_busy:
            return
        self._is_busy = True
        found = {c: (pixels, tops[c]) for c, pixels in planes.items()}
        self._background.run("ndviewer-saturation", lambda: self._find(wanted, found))

    def _say(self, tops: dict[int, float]) -> None:
        contrasts, info = self._stage.channels.contrasts, self._stage.dataset.info
        self._shares = {c: contrasts.of(c).saturated for c in tops}
        said = [f"{info.channels[c].name} {_percent(share)}" for c, share in self._shares.items()]
        self._stage.overlay.set_note(f"saturated: {', '.join(said) or 'none'}")

    def _clear(self) -> None:
        if self._shown is not None:
            self._shown = self._kept = None
            self._masks = (), {}
            self.layer.show_marks({})

    def _find(self, wanted: _MarksWanted, planes: dict[int, tuple[np.ndarray, float]]) -> None:
        """In a thread."""
        found: _Marks = {}
        try:
            known, masks = self._masks
            if known != wanted[:2]:
                masks = _masks_of(planes, wanted.apart)
                self._masks = wanted[:2], masks
            for c, mask in masks.items():
                picture = marks(mask, wanted.area, wanted.rows, wanted.columns)
                if picture is not None:
                    found[c] = picture
        except Exception:  # the next frame is another try
            logger.exception("marking saturated pixels")
        self._poll.post(lambda: self._take(wanted, found, planes))

    def _take(self, wanted: _MarksWanted, found: _Marks, planes: object) -> None:
        self._is_busy = False
        if self.is_on:
            self._shown, self._kept = wanted, planes
            self.layer.show_marks(found)
        self._update()


def _masks_of(planes: dict[int, tuple[np.ndarray, float]], apart: bool) -> dict[int | None, np.ndarray]:
    """Which pixels are saturated in any channel, and, where they are wanted apart, in each."""
    found: dict[int | None, np.ndarray] = {}
    together = saturated_pixels(list(planes.values()))
    if together is not None:
        found[None] = together
    for c, each in planes.items() if apart else ():
        mask = saturated_pixels([each])
        if mask is not None:
            found[c] = mask
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
