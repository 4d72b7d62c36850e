"""The arrays ndv reads: the planes of the current view as one array per frame, or as a volume.

`isel` runs in ndv's own threads; `gl_canvas` decides what to show.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

os.environ.setdefault("NDV_CANVAS_BACKEND", "vispy")  # read when the first viewer is built

import ndv

from ...engine.projections import worse
from ...engine.stack_resolution import resolution_text, stack_resolution
from ...engine.transpose import c_ordered, copy_into, is_transposed
from ...errors import DatasetError
from ...model import Plane, PlaneKey, PlaneState
from ...rendering.contrast import contrast_of
from ...storage.freed_memory import zeros_of_their_own
from .view_frames import Frame, ViewFrames, common_shown_dtype, shown_pixels, voxel_size

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence, Set
    from typing import TypeGuard

    from ...engine.dataset import Dataset
    from ...model import ImageInfo, Level
    from .canvas_view import View

logger = logging.getLogger(__name__)

MAX_TEXTURE_3D = 2048
MAX_VOLUME_BYTES = 256 * 1024**2
"""What one volume view (all its channels) may hold; larger ones are shown at lower resolution."""

_MAX_TURNED = 4096
"""Rows and columns: textures that every graphics card can hold. Of larger ones, ndv may leave out pixels."""
_NEW_CHANNELS = 2
_NOTHING = np.zeros((1, 1), np.uint8)
_VOLUME_BATCH = 8  # planes read between checks whether the volume is still wanted


class _Uploaded(NamedTuple):
    """What ndv has of a flat frame: each channel's pixels as read (None: blank), in one shape and dtype.

    `is_turned`: it has them column by column, as they lie in memory.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    is_turned: bool
    pixels: Mapping[int, np.ndarray | None]

    def also_in(self, before: _Uploaded) -> set[int]:
        """The channels of which ndv has the same already."""
        if self[:3] != before[:3]:
            return set()
        return {c for c, own in self.pixels.items() if c in before.pixels and before.pixels[c] is own}


_NOTHING_UPLOADED = _Uploaded((), np.dtype(bool), False, {})


class _Read(NamedTuple):
    """The frame that ndv was given last, whether there is more of it, and what ndv has once it takes it."""

    frame: Frame
    is_held_back: bool
    uploaded: _Uploaded


class DatasetWrapper(ViewFrames, ndv.DataWrapper["Dataset"]):
    """A dataset as ndv expects it: dims (c, z, y, x); time and position are set from outside.

    `isel` runs in ndv's threads and never raises.
    """

    def __init__(self, dataset: Dataset) -> None:
        ndv.DataWrapper.__init__(self, dataset)
        ViewFrames.__init__(self, dataset)
        self._on_canvas: set[int] = set()  # channels that ndv has an image of
        self._read: _Read | None = None
        self._uploaded = _NOTHING_UPLOADED
        self.volume = ""
        """Which level of a volume is read, and how large it is: "level 2 of 4, 512 × 512 × 64"."""
        self.wanted = True  # False once closed: abandons a volume being read

    @classmethod
    def supports(cls, obj: Any) -> TypeGuard[Any]:
        """Always False: we pass ndv a wrapper explicitly."""
        return False

    @property
    def dims(self) -> tuple[Hashable, ...]:
        """Channel, z, row, column."""
        return ("c", "z", "y", "x")

    @property
    def coords(self) -> Mapping[Hashable, Sequence[Any]]:
        """Plain indices: anything else costs ndv milliseconds per frame."""
        info = self.dataset.info
        sizes = (max(self._n_channels, 1), info.n_z, info.height, info.width)
        return {dim: range(max(size, 1)) for dim, size in zip(self.dims, sizes, strict=True)}

    @property
    def dtype(self) -> np.dtype:
        """The dtype in which planes are displayed: one for all positions, however they differ."""
        return common_shown_dtype(self.dataset.info)

    def start_over(self) -> None:
        """Another ndv viewer draws the frames from now on. GUI thread, while no request is pending."""
        self._on_canvas.clear()
        self.upload_all()

    def upload_all(self) -> None:
        """The next frame has the pixels of all channels, not only of those that are other than before.

        GUI thread, while no request is pending.
        """
        self._uploaded = _NOTHING_UPLOADED

    def take(self) -> Frame | None:
        """The frame that ndv was given last is that on the canvas from now on. GUI thread.

        None if there is none so far.
        """
        read, self._read = self._read, None
        if read is not None:
            self.frame, self.is_held_back, self._uploaded = read
        return self.frame

    @property
    def turned_shape(self) -> tuple[int, ...] | None:
        """Rows and columns of a picture that is uploaded column by column; None of any other. GUI thread."""
        return self._uploaded.shape if self._uploaded.is_turned else None

    def axis_scales(self) -> dict[Hashable, float]:
        """Voxel size of the first image in µm, so that the canvas is to scale; 1 if unknown."""
        return voxel_size(self.dataset.info.groups[0])

    def summary_info(self) -> str:
        """Empty: our own widgets show this."""
        return ""

    def isel(self, index: Mapping[int, int | slice]) -> np.ndarray:
        """Return (C, Z, Y, X) of the current view; hidden or missing channels are zero."""
        view, visible = self.view, sorted(self.visible)
        try:
            return self._volume(view, visible) if view.is_volume else self._plane(view, visible)
        except Exception:
            logger.exception("showing %s", view)
            return np.zeros((max(self._n_channels, 1), 1, 1, 1), self.dtype)

    def _plane(self, view: View, visible: list[int]) -> np.ndarray:
        """The frame of one plane per channel."""
        read = self.read(view, visible)
        planes, is_held_back = self._held_back(read.planes)
        frame, shown = self.frame_of(view, read._replace(planes=planes))
        shape = next((pixels.shape for pixels in shown.values()), read.drawn.shape)
        dtype = _common_dtype(shown, self.dtype)
        fitting = {c: pixels for c, pixels in shown.items() if pixels.shape == shape}
        channels = range(max(self._n_channels, 1))
        is_whole = all(c in fitting for c in channels)
        is_turned = self._is_turned(list(fitting.values()), shape)
        blank = _NOTHING if is_whole else zeros_of_their_own(shape, dtype)
        stack = [fitting.get(c, blank).astype(dtype, copy=False) for c in channels]
        drawn = self._on_canvas or {0}
        pixels = {c: planes[c].pixels if c in planes else None for c in drawn}
        new = _Uploaded(shape, dtype, is_turned, pixels)
        unchanged = new.also_in(self._uploaded)
        self._read = _Read(frame, is_held_back or read.is_held_back, new)
        turned = [each.T for each in stack] if is_turned else stack
        return _Stack(turned, drawn - unchanged)  # type: ignore[return-value]

    def _is_turned(self, pixels: list[np.ndarray], shape: tuple[int, ...]) -> bool:
        """Whether planes of a frame are uploaded column by column; as before if there are none."""
        if not pixels:
            return self._uploaded.is_turned
        return max(shape) <= _MAX_TURNED and any(map(is_transposed, pixels))

    def _held_back(self, planes: dict[int, Plane]) -> tuple[dict[int, Plane], bool]:
        """`planes`, at most two of them of channels that ndv has no image of yet; whether there are more.

        A channel's first image takes the GUI thread 10 ms and more; a host's events come between frames.
        """
        new = [c for c in range(self._n_channels) if c not in self._on_canvas]
        new.sort(key=lambda c: c not in planes)
        self._on_canvas.update(new[:_NEW_CHANNELS])
        later = new[_NEW_CHANNELS:]
        held_back = {c: Plane(PlaneState.LOADING) if c in later else plane for c, plane in planes.items()}
        return held_back, bool(later)

    def _volume(self, view: View, visible: list[int]) -> np.ndarray:
        self._look_at(view.p)
        image = self.dataset.known_image(view.p)
        facts = image or self.dataset.info.image(view.p)
        channels = list(self._own_keys(view, visible))
        levels = self._levels(view.p, facts)
        number, level, z_step, step = stack_resolution(
            levels, max(len(channels), 1) * self.dtype.itemsize, MAX_VOLUME_BYTES, MAX_TEXTURE_3D
        )
        in_view = view.planes_of(facts.n_z)
        ends = (self.dataset.z_at(view.p, z, number) for z in (in_view.start, in_view.stop - 1))
        z_range = range(next(ends), next(ends) + 1)
        zs = range(z_range.start, z_range.stop, z_step)
        shape = (len(zs), -(-level.sizes.y // step), -(-level.sizes.x // step))
        self.volume = resolution_text(number, len(levels), shape)
        keys = [PlaneKey(view.t, view.p, c, z) for c in channels for z in zs]
        out = np.zeros((max(self._n_channels, 1), *shape), self.dtype)
        worst: dict[int, Plane] = {}
        counts: dict[int, Counter[PlaneState]] = {c: Counter() for c in channels}
        n_batch = max(_VOLUME_BATCH, self.dataset.reads_at_once)
        is_whole = True
        for start in range(0, len(keys), n_batch):
            batch = keys[start : start + n_batch]
            for key, plane in zip(batch, self.dataset.planes(batch, number, None, keys), strict=True):
                worst[key.c] = worse(worst.get(key.c), plane)
                counts[key.c][plane.state] += 1
                if plane.pixels is not None:
                    part = shown_pixels(plane.pixels[::step, ::step])
                    if part.shape == shape[1:]:
                        at = (key.z - z_range.start) // z_step
                        copy_into(out[key.c, at], part.astype(out.dtype, copy=False))
            self.progress = f"{self.volume}: {min(start + n_batch, len(keys))} of {len(keys)} planes"
            if not self.wanted or self.next_view not in (None, view):
                is_whole = start + n_batch >= len(keys)
                break
        # nothing is learned from what was given up, nor from channels without pixels
        contrasts = {c: contrast_of(out[c]) for c in channels} if is_whole else {}
        spans = (z_step * level.scale.z, step * level.scale.y, step * level.scale.x)
        corner = level.corner(z_step, step)
        begins = corner.z + z_range.start * level.scale.z - in_view.start, corner.y, corner.x
        self.progress = ""
        frame = Frame(view, worst, contrasts, spans, counts, image, number, corner=begins, volume=self.volume)
        self._read = _Read(frame, False, _NOTHING_UPLOADED)
        return out

    def _levels(self, p: int, facts: ImageInfo) -> Sequence[Level]:
        try:
            return self.dataset.drawn_levels(p)
        except (DatasetError, IndexError, CancelledError):
            return (facts.level,)


class _Stack:
    """Planes as ndv slices them, (C, 1, Y, X), not copied into one array: 30 ms for four of 2048².

    Those stored column by column are (C, 1, X, Y), uploaded as they lie in memory, and drawn turned.
    Of channels other than `drawn`, ndv gets nothing, and leaves them alone.
    """

    ndim = 4

    def __init__(self, planes: list[np.ndarray], drawn: Set[int]) -> None:
        self._planes = planes
        self._drawn = frozenset(drawn)
        self.dtype = planes[0].dtype
        self.shape = (len(planes), 1, *planes[0].shape)
        self.size = math.prod(self.shape)

    def __getitem__(self, index: tuple[int, None]) -> np.ndarray:
        """One channel, (1, 1, Y, X): all that ndv requests."""
        if index[0] not in self._drawn:
            return _Nothing((1, 1, 0, 0), self.dtype)
        return c_ordered(self._planes[index[0]])[None, None]

    def __array__(self, *arguments: Any, **more: Any) -> np.ndarray:
        return np.asarray(np.stack(self._planes)[:, None], *arguments)


class _Nothing(np.ndarray):
    """No pixels, whatever shape they are wanted in."""

    def reshape(self, *shape: Any, **more: Any) -> np.ndarray:
        """Itself."""
        return self


def _common_dtype(shown: dict[int, np.ndarray], default: np.dtype) -> np.dtype:
    return np.result_type(default, *shown.values())
