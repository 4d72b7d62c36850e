"""What is seen of channels in a window, as one picture: made again when the view or one of them changes."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.transpose import c_ordered, is_transposed
from ..storage.asked_together import asked_at_once
from .added_up import BLACK, COLOR, Layer, add_up, as_bytes, colored, stops_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.label_planes import PictureArea

_USED_AGAIN_BYTES = 64 * 1024**2
"""Of colours that may be used again."""
_MOST_AT_ONCE = 4
_WORTH_THREADS_PIXELS = 2**17
"""The colours of so many take several times as long as starting a thread."""


class SeenLayers:
    """Makes pictures of what is seen of layers; what is as it was in the picture before is not drawn again.

    One thread at a time.
    """

    def __init__(self) -> None:
        self._last: list[_SeenColors] = []

    def picture(self, layers: Sequence[Layer], area: PictureArea, rows: int, columns: int) -> np.ndarray:
        """Return what is seen of layers of equal shape: (rows, columns, 4) uint8, blue, green, red, and 255.

        `area`, in pixels of the layers, fills the picture; of each of its pixels, the pixel of the data below
        its middle is drawn, and black beside the data.
        """
        last, self._last = self._last, []
        part = _SeenPixels.of(layers[0].pixels.shape, area, rows, columns) if layers else None
        if part is None:
            return as_bytes(np.full((rows, columns), BLACK, COLOR))
        place = (layers[0].pixels.shape, area, rows, columns)
        known = {n: each for n, each in enumerate(last[: len(layers)]) if each.is_of(layers[n], place)}
        new = [n for n in range(len(layers)) if n not in known]
        known.update(zip(new, _colors_of([layers[n] for n in new], place, part), strict=True))
        drawn = [known[n] for n in range(len(layers))]
        if sum(each.colors.nbytes for each in drawn) <= _USED_AGAIN_BYTES:
            self._last = drawn
        return as_bytes(part.spread(add_up((each.colors for each in drawn), ()), rows, columns))


class _SeenColors(NamedTuple):
    """The colours of what is seen of a layer."""

    pixels: weakref.ref[np.ndarray]  # their memory is not kept for this
    look: tuple[object, ...]
    place: tuple[object, ...]
    colors: np.ndarray

    @classmethod
    def of(cls, layer: Layer, place: tuple[object, ...], part: _SeenPixels) -> _SeenColors:
        return cls(weakref.ref(layer.pixels), _look(layer), place, colored(layer, part.read(layer.pixels)))

    def is_of(self, layer: Layer, place: tuple[object, ...]) -> bool:
        """Whether they are the colours of this layer, seen there."""
        return self.pixels() is layer.pixels and self.place == place and self.look == _look(layer)


def _colors_of(layers: Sequence[Layer], place: tuple[object, ...], part: _SeenPixels) -> list[_SeenColors]:
    """The colours of layers: of several large ones by as many threads as leave a core to others."""
    of = partial(_SeenColors.of, place=place, part=part)
    n_threads = min(len(layers), _MOST_AT_ONCE, (os.cpu_count() or 1) - 1)
    if n_threads < 2 or part.y.n_read * part.x.n_read < _WORTH_THREADS_PIXELS:
        return list(map(of, layers))
    return asked_at_once(of, layers, n_threads, "ndviewer-colors")


def _look(layer: Layer) -> tuple[object, ...]:
    return layer.limits, stops_of(layer.colormap), layer.gamma


class _SeenPixels(NamedTuple):
    """The pixels of the data that are seen."""

    y: _Sampled
    x: _Sampled

    @classmethod
    def of(cls, shape: tuple[int, ...], area: PictureArea, rows: int, columns: int) -> _SeenPixels | None:
        """Of data of this shape where `area` fills a picture; None if nothing of it is seen."""
        y = _Sampled.of(area.top, area.bottom, rows, shape[0])
        x = _Sampled.of(area.left, area.right, columns, shape[1])
        return None if y is None or x is None else cls(y, x)

    def read(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels for which colours are needed, in C order."""
        if is_transposed(pixels):  # numpy would turn all of them to take a few
            return c_ordered(self.y.read(self.x.read(pixels.T, 0), 1).T)
        return self.x.read(self.y.read(pixels, 0), 1)

    def spread(self, colors: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """The picture, from the colours of these pixels."""
        shown = self.x.spread(self.y.spread(colors, 0), 1)
        if shown.shape == (rows, columns):
            return shown
        picture = np.full((rows, columns), BLACK, COLOR)
        picture[self.y.start : self.y.stop, self.x.start : self.x.stop] = shown
        return picture


class _Sampled(NamedTuple):
    """Which pixels along one axis of the data are seen from `start` to before `stop` of the picture.

    The first of them, and which of those that are read is seen at each: the data are read at `step` pixels
    where they are seen enlarged (`spread_at`), else at those that are seen (`read_at`).
    """

    start: int
    stop: int
    first: int
    n_read: int
    read_at: np.ndarray | None
    spread_at: np.ndarray | None

    @classmethod
    def of(cls, low: float, high: float, n: int, size: int) -> _Sampled | None:
        """Of `n` pixels that show the data (of `size`) from `low` to `high`; None if nothing is seen."""
        at = np.floor(low + (np.arange(n) + 0.5) * ((high - low) / max(n, 1)))
        seen = np.flatnonzero((at >= 0) & (at < size))
        if not seen.size:
            return None
        start, stop = int(seen[0]), int(seen[-1]) + 1
        indices = at[start:stop].astype(np.intp)
        first, last = int(indices[0]), int(indices[-1])
        if last - first + 1 <= indices.size:  # enlarged: colours are found once for each pixel of the data
            return cls(start, stop, first, last - first + 1, None, indices - first)
        return cls(start, stop, first, indices.size, indices, None)

    def read(self, pixels: np.ndarray, axis: int) -> np.ndarray:
        """The pixels of the data for which colours are needed."""
        if self.read_at is not None:
            return pixels.take(self.read_at, axis)
        return pixels[(slice(None),) * axis + (slice(self.first, self.first + self.n_read),)]

    def spread(self, picture: np.ndarray, axis: int) -> np.ndarray:
        """Their colours where they are seen."""
        return picture if self.spread_at is None else picture.take(self.spread_at, axis)
