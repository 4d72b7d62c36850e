"""The frames of a dataset as OpenGL draws them: what of the planes of a view, or of a volume, is uploaded.

Frames are read in threads; `gl_canvas` decides what to show.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...model import Plane, PlaneState
from ...rendering.contrast import contrast_of
from ...storage.freed_memory import zeros_of_their_own
from .texture_values import TextureScale, common_shown_dtype, shown_dtype, shown_pixels, texture_scale
from .view_frames import Frame, ViewFrames
from .volume_reading import VolumeReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...engine.dataset import Dataset
    from .canvas_view import View

logger = logging.getLogger(__name__)

VOLUME_PART_SECONDS = 1.0
"""So often what there is of a volume is drawn while it is read for the first time."""
_NEW_CHANNELS = 2


class UploadedPicture(NamedTuple):
    """What a channel is drawn from: its pixels as read, and the shape and dtype of all pictures."""

    pixels: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype

    def is_as(self, other: UploadedPicture | None) -> bool:
        """Whether it is drawn from the same."""
        return other is not None and self.pixels is other.pixels and self[1:] == other[1:]


class ArraysRead(NamedTuple):
    """A frame, and whether there is more of its view than is in it.

    `arrays`: what has to be uploaded for it, (Y, X) in any memory order or (Z, Y, X); `pictures`: what each
    channel is drawn from once it is (of volumes nothing). `scales`: how values were moved into `arrays`.
    """

    frame: Frame
    is_held_back: bool
    arrays: Mapping[int, np.ndarray]
    pictures: Mapping[int, UploadedPicture]
    scales: Mapping[int, TextureScale] = {}


class ViewArrays(ViewFrames):
    """The frames of one dataset, and what of them is uploaded."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.wanted = True  # False once closed: abandons a volume being read
        self._reading: VolumeReading | None = None  # of which a part has been handed over

    @property
    def dtype(self) -> np.dtype:
        """The dtype in which planes are displayed: one for all positions, however they differ."""
        return common_shown_dtype(self.dataset.info)

    def read_arrays(
        self, view: View, visible: list[int], before: Mapping[int, UploadedPicture]
    ) -> ArraysRead:
        """Read a frame of these channels, to be uploaded after `before`. Any thread; never raises."""
        try:
            if view.is_volume:
                return self._volume(view, visible)
            self.progress, self._reading = "", None
            return self._plane(view, visible, before)
        except Exception as error:
            logger.exception("showing %s", view)
            self.progress, self._reading = "", None
            return ArraysRead(self.frame_that_failed(view, visible, error), False, {}, before)

    def _plane(self, view: View, visible: list[int], before: Mapping[int, UploadedPicture]) -> ArraysRead:
        """The frame of one plane per channel; channels without pixels keep their pictures, not drawn."""
        read = self.read(view, visible)
        planes, is_held_back = _held_back(read.planes, before)
        frame = self.frame_of(view, read._replace(planes=planes))
        there = {c: plane.pixels for c, plane in planes.items() if plane.pixels is not None}
        shape = frame.drawn_shape or read.drawn.shape
        dtype = np.result_type(self.dtype, *(shown_dtype(pixels.dtype) for pixels in there.values()))
        pictures, arrays, scales = dict(before), {}, {}
        for c, pixels in there.items():
            picture = UploadedPicture(pixels, shape, dtype)
            if not picture.is_as(before.get(c)):
                scales[c] = texture_scale(pixels)
                fits = pixels.shape == shape
                shown = shown_pixels(pixels, scales[c]) if fits else zeros_of_their_own(shape, dtype)
                arrays[c] = shown.astype(dtype, copy=False)
                pictures[c] = picture
        return ArraysRead(frame, is_held_back or read.is_held_back, arrays, pictures, scales)

    def _volume(self, view: View, visible: list[int]) -> ArraysRead:
        """The frame of a volume: all of it, or what there is after a while, unless all of it is on screen."""
        self._look_at(view.p)
        image = self.dataset.known_image(view.p)
        channels = list(self._own_keys(view, visible))
        reading, self._reading = self._reading, None
        if reading is None or (reading.view, reading.channels) != (view, channels):
            self.progress = "reading the volume"
            reading = VolumeReading(self.dataset, view, channels, image or self.dataset.info.image(view.p))
        is_seen = self.frame is not None and self.frame.view == view and not self.is_held_back
        is_wanted = lambda: self.wanted and self.next_view in (None, view)  # noqa: E731
        is_left = not reading.read_on(is_wanted, self._say, math.inf if is_seen else VOLUME_PART_SECONDS)
        part = reading.part
        voxels = part.voxels
        # nothing is learned from what was given up, nor from channels without pixels
        contrasts = {} if is_left else {c: contrast_of(each) for c, each in voxels.items()}
        scales = {} if is_left else {c: texture_scale(each) for c, each in voxels.items()}
        if not is_left:
            voxels = {c: shown_pixels(each, scales[c]) for c, each in voxels.items()}
        frame = Frame(
            view, part.worst, contrasts, part.downsampled, part.counts, image, part.level, volume=part.said
        )
        if is_left or reading.is_over:
            self.progress = ""
        else:
            self._reading = reading
        return ArraysRead(frame._replace(corner=part.begins), self._reading is not None, voxels, {}, scales)

    def _say(self, progress: str) -> None:
        self.progress = progress


def _held_back(
    planes: dict[int, Plane], before: Mapping[int, UploadedPicture]
) -> tuple[dict[int, Plane], bool]:
    """`planes`, at most two of them of channels that are not drawn yet; whether there are more.

    A channel's first image takes the GUI thread 10 ms and more; a host's events come between frames.
    """
    later = [c for c, plane in planes.items() if plane.pixels is not None and c not in before][_NEW_CHANNELS:]
    return {c: Plane(PlaneState.LOADING) if c in later else plane for c, plane in planes.items()}, bool(later)
