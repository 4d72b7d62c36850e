"""The frames of a dataset as OpenGL draws them: what of the planes of a view, or of a volume, is uploaded.

Frames are read in threads; `gl_canvas` decides what to show.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.projections import worse
from ...engine.stack_resolution import of_another_size, resolution_text, stack_resolution
from ...engine.transpose import copy_into
from ...errors import DatasetError
from ...model import Plane, PlaneKey, PlaneState
from ...rendering.contrast import contrast_of
from ...storage.freed_memory import zeros_of_their_own
from .texture_values import TextureScale, common_shown_dtype, shown_dtype, shown_pixels, texture_scale
from .view_frames import Frame, ViewFrames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...engine.dataset import Dataset
    from ...model import ImageInfo, Level
    from .canvas_view import View

logger = logging.getLogger(__name__)

MAX_TEXTURE_3D = 2048
MAX_VOLUME_BYTES = 256 * 1024**2
"""What one volume view (all its channels) may hold; larger ones are shown at lower resolution."""

_NEW_CHANNELS = 2
_VOLUME_BATCH = 8  # planes read between checks whether the volume is still wanted


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
        self.volume = ""
        """Which level of a volume is read, and how large it is: "level 2 of 4, 512 × 512 × 64"."""
        self.wanted = True  # False once closed: abandons a volume being read

    @property
    def dtype(self) -> np.dtype:
        """The dtype in which planes are displayed: one for all positions, however they differ."""
        return common_shown_dtype(self.dataset.info)

    def read_arrays(
        self, view: View, visible: list[int], before: Mapping[int, UploadedPicture]
    ) -> ArraysRead:
        """Read a frame of these channels, to be uploaded after `before`. Any thread; never raises."""
        try:
            return self._volume(view, visible) if view.is_volume else self._plane(view, visible, before)
        except Exception as error:
            logger.exception("showing %s", view)
            self.progress = ""
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
        self.progress = "reading the volume"
        self._look_at(view.p)
        image = self.dataset.known_image(view.p)
        facts = image or self.dataset.info.image(view.p)
        channels = list(self._own_keys(view, visible))
        levels = self._levels(view.p, facts)
        of_levels = (shown_dtype(level.dtype) for level in levels if level.dtype is not None)
        dtype = np.result_type(self.dtype, *of_levels)
        number, level, z_step, step = stack_resolution(
            levels, max(len(channels), 1) * dtype.itemsize, MAX_VOLUME_BYTES, MAX_TEXTURE_3D
        )
        in_view = view.planes_of(facts.n_z)
        ends = (self.dataset.z_at(view.p, z, number) for z in (in_view.start, in_view.stop - 1))
        z_range = range(next(ends), next(ends) + 1)
        zs = range(z_range.start, z_range.stop, z_step)
        shape = (len(zs), -(-level.sizes.y // step), -(-level.sizes.x // step))
        self.volume = resolution_text(number, len(levels), shape)
        keys = [PlaneKey(view.t, view.p, c, z) for c in channels for z in zs]
        out = {c: np.zeros(shape, dtype) for c in channels}
        worst: dict[int, Plane] = {}
        counts: dict[int, Counter[PlaneState]] = {c: Counter() for c in channels}
        n_batch = max(_VOLUME_BATCH, self.dataset.reads_at_once)
        is_whole = True
        for start in range(0, len(keys), n_batch):
            self.progress = f"{self.volume}: {start} of {len(keys)} planes"
            batch = keys[start : start + n_batch]
            for key, plane in zip(batch, self.dataset.planes(batch, number, None, keys), strict=True):
                part = None if plane.pixels is None else shown_pixels(plane.pixels[::step, ::step])
                if part is not None and part.shape != shape[1:]:
                    plane, part = of_another_size(part.shape, self.volume), None
                worst[key.c] = worse(worst.get(key.c), plane)
                counts[key.c][plane.state] += 1
                if part is None:
                    continue
                if not np.can_cast(part.dtype, dtype):  # not what its metadata says
                    dtype = np.result_type(dtype, part.dtype)
                    out = {c: voxels.astype(dtype) for c, voxels in out.items()}
                at = (key.z - z_range.start) // z_step
                copy_into(out[key.c][at], part.astype(dtype, copy=False))
            if not self.wanted or self.next_view not in (None, view):
                is_whole = start + n_batch >= len(keys)
                break
        # nothing is learned from what was given up, nor from channels without pixels
        contrasts = {c: contrast_of(out[c]) for c in channels} if is_whole else {}
        scales = {c: texture_scale(voxels) for c, voxels in out.items()} if is_whole else {}
        out = {c: shown_pixels(voxels, scales[c]) if c in scales else voxels for c, voxels in out.items()}
        spans = (z_step * level.scale.z, step * level.scale.y, step * level.scale.x)
        corner = level.corner(z_step, step)
        begins = corner.z + z_range.start * level.scale.z - in_view.start, corner.y, corner.x
        self.progress = ""
        frame = Frame(view, worst, contrasts, spans, counts, image, number, corner=begins, volume=self.volume)
        return ArraysRead(frame, False, out, {}, scales)

    def _levels(self, p: int, facts: ImageInfo) -> Sequence[Level]:
        try:
            return self.dataset.drawn_levels(p)
        except (DatasetError, IndexError, CancelledError):
            return (facts.level,)


def _held_back(
    planes: dict[int, Plane], before: Mapping[int, UploadedPicture]
) -> tuple[dict[int, Plane], bool]:
    """`planes`, at most two of them of channels that are not drawn yet; whether there are more.

    A channel's first image takes the GUI thread 10 ms and more; a host's events come between frames.
    """
    later = [c for c, plane in planes.items() if plane.pixels is not None and c not in before][_NEW_CHANNELS:]
    return {c: Plane(PlaneState.LOADING) if c in later else plane for c, plane in planes.items()}, bool(later)
