"""A stack that is read as voxels, plane by plane; what there is of it can be had at any time.

Knows neither Qt nor what draws it. One thread at a time.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.projections import worse
from ...engine.stack_resolution import of_another_size, resolution_text, stack_resolution
from ...engine.transpose import copy_into
from ...errors import DatasetError
from ...model import Plane, PlaneKey, PlaneState
from .texture_values import shown_dtype, shown_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...engine.dataset import Dataset
    from ...model import ImageInfo, Level
    from .canvas_view import View

MAX_TEXTURE_3D = 2048
MAX_VOLUME_BYTES = 256 * 1024**2
"""What one volume view (all its channels) may hold; larger ones are shown at lower resolution."""

_PLANES_BETWEEN_LOOKS = 8
"""So many planes are read between looks whether the volume is still wanted."""


class VolumePart(NamedTuple):
    """What has been read of a volume: the first planes along z, of each channel as many.

    `voxels` (Z, Y, X) by channel; of its planes those of which there is most to say, and how many are in each
    state. `downsampled` and `begins` (z, y, x): as `downsampled` and `corner` of a `Frame`.
    """

    voxels: Mapping[int, np.ndarray]
    worst: dict[int, Plane]
    counts: dict[int, Counter[PlaneState]]
    level: int
    downsampled: tuple[float, float, float]
    begins: tuple[float, float, float]
    said: str
    """Which level it is, how large, and how many planes of how many; nothing of these if all are there."""


class VolumeReading:
    """Of these channels, at the level that fits. `facts`: what the position contains, as far as is known."""

    def __init__(self, dataset: Dataset, view: View, channels: Sequence[int], facts: ImageInfo) -> None:
        """`channels` are those that the position has."""
        self.view, self.channels = view, channels
        self._dataset = dataset
        levels = _levels(dataset, view.p, facts)
        of_levels = (shown_dtype(level.dtype) for level in levels if level.dtype is not None)
        of_groups = (shown_dtype(image.dtype) for image in dataset.info.groups)
        self._dtype = np.result_type(*of_groups, *of_levels)
        self._chosen = stack_resolution(
            levels, max(len(channels), 1) * self._dtype.itemsize, MAX_VOLUME_BYTES, MAX_TEXTURE_3D
        )
        number, level, z_step, step = self._chosen
        in_view = view.planes_of(facts.n_z)
        first, last = (dataset.z_at(view.p, z, number) for z in (in_view.start, in_view.stop - 1))
        self._zs = range(first, last + 1, z_step)
        self._shape = (len(self._zs), -(-level.sizes.y // step), -(-level.sizes.x // step))
        self._resolution = resolution_text(number, len(levels), self._shape)
        corner = level.corner(z_step, step)
        self._begins = (corner.z + first * level.scale.z - in_view.start, corner.y, corner.x)
        self._voxels = {c: np.zeros(self._shape, self._dtype) for c in channels}
        self._worst: dict[int, Plane] = {}
        self._counts: dict[int, Counter[PlaneState]] = {c: Counter() for c in channels}
        batch = max(_PLANES_BETWEEN_LOOKS, dataset.reads_at_once)
        blocks = [self._zs[i : i + batch] for i in range(0, len(self._zs), batch)]
        self._batches = [[PlaneKey(view.t, view.p, c, z) for z in zs] for zs in blocks for c in channels]
        self._keys = [key for keys in self._batches for key in keys]
        self._n_batches = self._n_keys = 0  # that have been read

    @property
    def is_over(self) -> bool:
        """Whether all of it has been read."""
        return self._n_batches == len(self._batches)

    @property
    def progress(self) -> str:
        """How far it has been read, in words."""
        return f"{self._resolution}: {self._n_keys} of {len(self._keys)} planes"

    def read_on(self, is_wanted: Callable[[], bool], say: Callable[[str], None], seconds: float) -> bool:
        """Read for so long, or to the end; False if it was not wanted any more. Blocks.

        `say` is told the progress.
        """
        due = time.monotonic() + seconds
        while not self.is_over:
            say(self.progress)
            self._read(self._batches[self._n_batches])
            if not self.is_over and not is_wanted():
                return False
            if time.monotonic() > due and self._n_batches % len(self.channels) == 0:
                break
        return True

    @property
    def part(self) -> VolumePart:
        """What has been read, of all channels the same planes: after `read_on`."""
        _, level, z_step, step = self._chosen
        said, n = self._resolution, sum(next(iter(self._counts.values()), Counter()).values())
        if not self.is_over:
            said = f"{said}, {n} of {len(self._zs)} planes so far"
        return VolumePart(
            {c: voxels[:n] for c, voxels in self._voxels.items()},
            dict(self._worst),
            {c: Counter(counts) for c, counts in self._counts.items()},
            self._chosen.number,
            (z_step * level.scale.z, step * level.scale.y, step * level.scale.x),
            self._begins,
            said,
        )

    def _read(self, keys: Sequence[PlaneKey]) -> None:
        number, step = self._chosen.number, self._chosen.step
        for key, plane in zip(keys, self._dataset.planes(keys, number, None, self._keys), strict=True):
            pixels = None if plane.pixels is None else shown_pixels(plane.pixels[::step, ::step])
            if pixels is not None and pixels.shape != self._shape[1:]:
                plane, pixels = of_another_size(pixels.shape, self._resolution), None
            self._worst[key.c] = worse(self._worst.get(key.c), plane)
            self._counts[key.c][plane.state] += 1
            if pixels is None:
                continue
            if not np.can_cast(pixels.dtype, self._dtype):  # not what its metadata says
                self._dtype = np.result_type(self._dtype, pixels.dtype)
                self._voxels = {c: voxels.astype(self._dtype) for c, voxels in self._voxels.items()}
            copy_into(self._voxels[key.c][self._zs.index(key.z)], pixels.astype(self._dtype, copy=False))
        self._n_batches += 1
        self._n_keys += len(keys)


def _levels(dataset: Dataset, p: int, facts: ImageInfo) -> Sequence[Level]:
    try:
        return dataset.drawn_levels(p)
    except (DatasetError, IndexError, CancelledError):
        return (facts.level,)
