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

if TYPE_CHECKING:
    import numpy as np

    from ..background import Background
    from ..poll import Poll
    from ..stage import Stage
    from .view_frames import Frame

    _Marks = tuple[np.ndarray, PictureArea]

logger = logging.getLogger(__name__)


class _MarksWanted(NamedTuple):
    """What is to be marked: pixels by the value at which they are saturated, and what is seen of them."""

    planes: tuple[tuple[int, float], ...]
    area: PictureArea
    rows: int
    columns: int


class SaturationMarks(QObject):
    """`watch` once there is a canvas. Off at first."""

    def __init__(self, stage: Stage, background: Background, poll: Poll) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._is_busy = False
        self._shown: _MarksWanted | None = None
        self._mask: tuple[tuple[tuple[int, float], ...], np.ndarray | None] = ((), None)
        self._kept: object = None  # the pixels marked, so that no others have their identity
        self.is_on = False
        self.layer = LabelLayer(stage.picture)
        self.layer.setAccessibleName("Saturated pixels")
        stage.canvas_set.connect(self._on_canvas_set)

    def toggle(self) -> None:
        """Mark saturated pixels, or no longer."""
        self.is_on = not self.is_on
        self._update()

    def step(self) -> None:
        """Mark what has come in view; where the overview covers the picture, nothing."""
        if self.is_on:
            self._update()

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        self.layer.stackUnder(self._stage.overlay)
        canvas.painted.connect(self._update)
        canvas.frame_shown.connect(self._update)

    def _tops(self, frame: Frame) -> dict[int, float]:
        """The channels with saturated pixels, and the value at which they are that."""
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
        """Mark what is seen now, unless it is marked; newer wishes wait for the one under way."""
        canvas = self._stage.canvas
        frame = canvas.frame if canvas is not None else None
        projection = canvas.projection() if canvas is not None else None
        is_shown = self.is_on and frame is not None and projection is not None
        if not is_shown or self._stage.dataset is None:
            self._clear()
            if not self.is_on:
                self._stage.overlay.set_note("")
            return
        assert frame is not None and projection is not None
        size = self.layer.size()
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
            tuple((id(pixels), tops[c]) for c, pixels in planes.items()),
            area,
            max(size.height(), 1),
            max(size.width(), 1),
        )
        if self._shown is not None and self._shown.planes != wanted.planes:
            self._clear()  # marks of one plane are never shown over another
        if wanted == self._shown or self._is_busy:
            return
        self._is_busy = True
        found = [(pixels, tops[c]) for c, pixels in planes.items()]
        self._background.run("ndviewer-saturation", lambda: self._find(wanted, found))

    def _say(self, tops: dict[int, float]) -> None:
        contrasts, info = self._stage.channels.contrasts, self._stage.dataset.info
        said = [f"{info.channels[c].name} {100 * contrasts.of(c).saturated:.2g} %" for c in tops]
        self._stage.overlay.set_note(f"saturated: {', '.join(said) or 'none'}")

    def _clear(self) -> None:
        if self._shown is not None:
            self._shown = self._kept = None
            self._mask = (), None
            self.layer.show_picture(None, None)

    def _find(self, wanted: _MarksWanted, planes: list[tuple[np.ndarray, float]]) -> None:
        """In a thread."""
        picture: _Marks | None = None
        try:
            known, mask = self._mask
            if known != wanted.planes:
                mask = saturated_pixels(planes)
                self._mask = wanted.planes, mask
            if mask is not None:
                picture = marks(mask, wanted.area, wanted.rows, wanted.columns)
        except Exception:  # the next frame is another try
            logger.exception("marking saturated pixels")
        self._poll.post(lambda: self._take(wanted, picture, planes))

    def _take(self, wanted: _MarksWanted, picture: _Marks | None, planes: object) -> None:
        self._is_busy = False
        if self.is_on:
            self._shown, self._kept = wanted, planes
            self.layer.show_picture(*(picture if picture is not None else (None, None)))
        self._update()
