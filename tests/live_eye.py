"""Says of each paint of a viewer's canvas whether it shows what it must: the stamps of its planes, read back.

Each channel in view is either the plane that the view is of, whole, or drawn as not there. All else is wrong:
another plane, a part of one, fill value or black.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ndviewer_light.model import PlaneState
from tests.canvas_eye import CanvasEye, what_draws
from tests.stamps import places, read_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ndviewer_light.gui.canvas.view_frames import Frame
    from ndviewer_light.gui.viewer import LightweightViewer
    from ndviewer_light.model import ImageInfo, Plane
    from tests.live_writers.plan import Index
    from tests.stamps import Reading, Stamp

_LEAST_DIFFERENCE = 60  # of 255, between the bright and the dark fields of a stamp on the canvas
_HONEST = (PlaneState.PENDING, PlaneState.LOADING, PlaneState.ABSENT, PlaneState.UNREADABLE)


@dataclass(frozen=True)
class Wrong:
    """A paint that showed what it must not."""

    wanted: Index
    shown: str
    at: float  # by `time.monotonic`

    def __str__(self) -> str:
        return f"t, p, c, z = {self.wanted}: {self.shown}"


@dataclass
class _Paint:
    """What is to be said of the canvas, on the assumption that it shows a certain frame."""

    right: list[Stamp] = field(default_factory=list)
    wrong: list[tuple[Index, str]] = field(default_factory=list)
    is_blank: bool = True


class _StampEye(CanvasEye):
    """Reads the stamps of all channels in view."""

    def __init__(self, drawn: Any, um_per_pixel: tuple[float, float], judge: Judge) -> None:
        super().__init__(drawn, um_per_pixel)
        self._judge = judge

    def painted(self) -> None:
        self._judge.look()

    def looks_at(self, drawn: Any) -> bool:
        """Whether it looks at this."""
        return self._drawn is drawn

    def is_for(self, drawn: Any, um_per_pixel: tuple[float, float]) -> bool:
        """Whether it looks at this, and counts as it does."""
        return self.looks_at(drawn) and self._um == um_per_pixel

    def intensities(self, image: ImageInfo, colours: Sequence[str]) -> np.ndarray | None:
        """(channels, 15, 32), 0–255, at the fields of the stamp; None unless all of it is visible."""
        rows, columns = places(image.height, image.width)
        xs, ys = self.on_canvas(columns, rows)
        height, width = self.size
        if min(xs) < 0 or min(ys) < 0 or max(xs) >= width or max(ys) >= height:
            return None
        seen = self.picture()[np.ix_(ys, xs)].astype(float)
        if len(colours) == 1:
            return seen.max(axis=2)[None]
        mixed = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
        return np.moveaxis(seen @ np.linalg.pinv(mixed), 2, 0)


class Judge:
    """Looks at the canvas of a viewer, through whatever it shows. GUI thread.

    `run`: the run whose planes are right; planes of others are wrong.
    """

    def __init__(self, viewer: LightweightViewer, run: int = 0) -> None:
        self.viewer = viewer
        self.run = run
        self.first_seen: dict[Index, float] = {}  # when a plane was first on the canvas
        self.last_seen: dict[Index, float] = {}
        self.stamps: dict[Index, Stamp] = {}  # what it said last
        self.wrong: list[Wrong] = []
        self.paints = 0  # that were judged
        self.unfit = 0  # of which the picture was not all on the canvas: not judged
        self._eye: _StampEye | None = None
        # What may be on the canvas, the newest last: one that has arrived may not be uploaded yet, or given
        # up for the next one. None: nothing has been drawn there so far.
        self._frames: list[Frame | None] = [None]
        assert viewer.stage is not None and viewer.stage.canvas is not None
        self._canvas = viewer.stage.canvas
        self._canvas.frame_arrived.connect(self._on_frame_arrived)
        self._canvas.frame_shown.connect(self._on_frame_shown)

    def stop(self) -> None:
        """Look no more."""
        self._canvas.frame_arrived.disconnect(self._on_frame_arrived)
        self._canvas.frame_shown.disconnect(self._on_frame_shown)
        if self._eye is not None:
            self._eye.stop()
            self._eye = None

    def _on_frame_arrived(self) -> None:
        frame, drawn = self._canvas.frame, what_draws(self._canvas)
        if frame is None or drawn is None:
            return
        size = self._canvas._sight.voxel_size()
        um = (size["y"], size["x"])
        if self._eye is None or not self._eye.is_for(drawn, um):
            if self._eye is not None:
                self._eye.stop()
            if self._eye is None or not self._eye.looks_at(drawn):
                self._frames = [None]
            self._eye = _StampEye(drawn, um, self)
        self._frames.append(frame)

    def _on_frame_shown(self) -> None:
        del self._frames[:-1]

    def look(self) -> None:
        """The canvas has been painted."""
        verdicts = [self._verdict(frame) for frame in reversed(self._frames) if frame is not None]
        if not verdicts or None in verdicts:
            self.unfit += 1
            return
        self.paints += 1
        now = time.monotonic()
        # a frame that is not uploaded yet: the one before it, or nothing, is not wrong
        best = next((each for each in verdicts if each is not None and not each.wrong), verdicts[0])
        assert best is not None
        if best.wrong and not (None in self._frames and best.is_blank):
            self.wrong += [Wrong(index, said, now) for index, said in best.wrong]
        for stamp in best.right:
            self.first_seen.setdefault(stamp.index, now)
            self.last_seen[stamp.index] = now
            self.stamps[stamp.index] = stamp

    def _verdict(self, frame: Frame) -> _Paint | None:
        """What the canvas shows, if it is this frame; None if that cannot be judged."""
        dataset, channels = self.viewer.dataset, sorted(frame.planes)
        if dataset is None or frame.image is None or frame.view.is_volume or frame.level != 0:
            return None
        colours = [dataset.info.channels[c].color for c in channels if c < len(dataset.info.channels)]
        if self._eye is None or not channels or len(colours) != len(channels):
            return None
        seen = self._eye.intensities(frame.image, colours)
        if seen is None:
            return None
        paint = _Paint()
        for c, values in zip(channels, seen, strict=True):
            index, plane = (frame.view.t, frame.view.p, c, frame.z), frame.planes[c]
            reading = read_fields(values, _LEAST_DIFFERENCE)
            stamp = reading.whole
            paint.is_blank &= reading.is_blank
            if stamp is not None and stamp.index == index and stamp.run == self.run:
                paint.right.append(stamp)
            elif not (reading.is_blank and plane.pixels is None and plane.state in _HONEST):
                paint.wrong.append((index, _described(reading, plane, values)))
        return paint

    @property
    def said(self) -> str:
        """What is written over the canvas."""
        assert self.viewer.stage is not None
        return self.viewer.stage.overlay.shown_text()


def _described(reading: Reading, plane: Plane, values: np.ndarray) -> str:
    if reading.whole is not None:
        what = f"shows {reading.whole}"
    elif not reading.is_blank:
        what = f"shows a part: {reading.bands}"
    else:
        what = f"shows no stamp, intensities {values.min():.0f} to {values.max():.0f}"
    return f"{what} ({plane.state.name}{': ' + plane.reason if plane.reason else ''})"
