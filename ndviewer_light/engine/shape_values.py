"""Reads what lies below shapes: a profile along a line, the mean of a rectangle over time or z.

Everything here reads, and blocks until it has. What is missing, not written yet or unreadable is a gap (NaN),
never zero.
"""

from __future__ import annotations

import math
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DatasetError
from .projections import RunningProjection, StackProjection
from .shapes import line_values, mean_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..model import ImageInfo, Region
    from .dataset import Dataset
    from .shapes import Line

SeriesAxis = Literal["t", "z"]
At = tuple[int, int, "int | StackProjection"]
"""t, p, and z: a plane, or how the stack is projected."""


def line_profiles(dataset: Dataset, at: At, channels: Sequence[int], line: Line) -> dict[int, np.ndarray]:
    """Return the values along a line by channel, (samples,) float64 at full resolution.

    `channels` are indices in `Dataset.info.channels`, of which those that the position does not have are left
    out. A plane that cannot be shown is all NaN; a projection is of the planes that can, as it is drawn.
    """
    t, p, z = at
    found = {}
    for c, own_c, image in _own_channels(dataset, p, channels):

        def read(region: Region, own_c: int = own_c, image: ImageInfo = image) -> np.ndarray:
            return _pixels(dataset, (t, p, z), own_c, image.n_z, region)

        try:
            found[c] = line_values(line, image.height, image.width, read)
        except (DatasetError, IndexError, CancelledError):
            found[c] = np.full(line.n_samples, np.nan)
    return found


def box_series(
    dataset: Dataset,
    at: At,
    channels: Sequence[int],
    box: Region,
    axis: SeriesAxis,
    *,
    known: dict[tuple[int, int], float] | None = None,
    anew: frozenset[int] = frozenset(),
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[dict[int, np.ndarray]], None] = lambda found: None,
) -> dict[int, np.ndarray]:
    """Return the mean of a box at every index of an axis by channel, (indices,) float64.

    The index of `axis` in `at` does not count; over z, planes are measured one by one. `known` are means by
    (channel, index) that need not be read again, and takes those that are found; indices in `anew` are read
    in any case. `progress` is called, in this thread, with what has been found after each index; ends early
    once `cancelled()`.
    """
    t, p, z = at
    known = {} if known is None else known
    own = list(_own_channels(dataset, p, channels))
    n = length_of(dataset, p, axis)
    found = {c: np.full(n, np.nan) for c, _, _ in own}
    for c in found:
        for i in range(n):
            found[c][i] = known.get((c, i), np.nan)
    for i in range(n):
        wanted = [each for each in own if i in anew or (each[0], i) not in known]
        if cancelled():
            break
        for c, own_c, image in wanted:
            mean = _mean(dataset, (i, p, z) if axis == "t" else (t, p, i), own_c, image.n_z, box)
            found[c][i] = mean
            known.pop((c, i), None)
            if not math.isnan(mean):
                known[c, i] = mean
        if wanted:
            progress(found)
    return found


def length_of(dataset: Dataset, p: int, axis: SeriesAxis) -> int:
    """How many indices an axis has at a position, by what is known."""
    info = dataset.info
    if p >= len(info.positions):
        return 0
    image = dataset.known_image(p) or info.image(p)
    return image.n_z if axis == "z" else max(image.n_t, info.n_t if dataset.live else 0)


def _mean(dataset: Dataset, at: At, own_c: int, n_z: int, box: Region) -> float:
    try:
        return mean_of(box, lambda region: _pixels(dataset, at, own_c, n_z, region))
    except (DatasetError, IndexError, CancelledError):
        return math.nan


def _pixels(dataset: Dataset, at: At, own_c: int, n_z: int, region: Region) -> np.ndarray:
    """A part of a plane, or of the projection of the planes of a stack that can be shown.

    Raises the error of the plane, of a stack that of the last one, if none can be.
    """
    t, p, z = at
    if not isinstance(z, StackProjection):
        return dataset.plane(t, p, own_c, z, region=region)
    running, problem = RunningProjection(z.how), None
    for each in z.planes_of(max(n_z, 1)):
        try:
            running.add(dataset.plane(t, p, own_c, each, region=region))
        except (DatasetError, IndexError) as error:
            problem = error
    if not running.n and problem is not None:
        raise problem
    return running.result()


def _own_channels(dataset: Dataset, p: int, channels: Sequence[int]) -> Iterator[tuple[int, int, ImageInfo]]:
    """Of the channels wanted, those of a position: their index there, and the image; may block on disk."""
    try:
        image = dataset.image(p)
    except (DatasetError, IndexError, CancelledError):
        return
    own = dataset.info.channels_of(image)
    for c in channels:
        if c in own:
            yield c, own.index(c), image
