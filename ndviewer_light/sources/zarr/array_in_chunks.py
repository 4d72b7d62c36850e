"""A local Zarr array whose chunks hold several planes, as `sources.shared_chunks` looks into it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...storage.file_versions import is_nothing
from ..shared_chunks import ArrayInChunks, ArrayLayout, SharedBlock, differs_from
from .chunk_files import version_of_selection
from .chunk_grid import chunk_bytes, chunks_of, selection_of, stored_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from .nodes import ZarrImage

    Selection = tuple[int | slice, ...]
    ReadAny = Callable[[Selection], np.ndarray]
    """Reads a selection of any number of planes; what is missing is the fill value."""

_LEADING = "tpcz"


def shares_chunks(image: ZarrImage) -> bool:
    """Whether several planes are in one chunk."""
    roles = [axis.role for axis in image.axes]
    n_planes = math.prod(min(part, size) for part, size in zip(_parts(image), _sizes(image), strict=True))
    return n_planes > 1 and len(set(roles)) == len(roles)


def differs(pixels: np.ndarray, image: ZarrImage) -> np.ndarray:
    """Which pixels are not the fill value."""
    return differs_from(image.fill_value, pixels)


class ZarrInChunks(ArrayInChunks):
    """Planes by their (t, p, c, z). `read_any()`: what reads the array, asked for to decode chunks."""

    leaves_out_blank = True

    def __init__(self, image: ZarrImage, read_any: Callable[[], ReadAny]) -> None:
        self._image = image
        self._read_any = read_any
        self._parts, self._sizes = _parts(image), _sizes(image)
        self.chunk_bytes = chunk_bytes(image)

    def block(self, index: Sequence[int]) -> SharedBlock:
        """See `ArrayInChunks.block`."""
        return SharedBlock.around(self._image.array, index, self._parts, self._sizes)

    def version(self, block: SharedBlock) -> str:
        """See `ArrayInChunks.version`."""
        return self._version_at(tuple(span.start for span in block.spans))

    def _version_at(self, index: tuple[int, ...]) -> str:
        return version_of_selection(selection_of(self._image, index), self._image)

    def is_open(self, block: SharedBlock, *, is_young: bool) -> bool:
        """See `ArrayInChunks.is_open`: written lately, or of several time points, and the last of these."""
        return is_young or self._is_last_in_time(block)

    def _is_last_in_time(self, block: SharedBlock) -> bool:
        image, t = self._image, block.spans[0]
        if len(t) < 2:
            return False
        stored = dict(zip((axis.role for axis in image.axes), stored_grid(image).chunk, strict=True))["t"]
        following = (t.start // stored + 1) * stored
        if following >= image.size("t"):
            return True
        return is_nothing(self._version_at((following, *(span.start for span in block.spans[1:]))))

    def blank_planes(self, block: SharedBlock) -> np.ndarray:
        """See `ArrayInChunks.blank_planes`."""
        image, read_any = self._image, self._read_any()
        roles = tuple(axis.role for axis in image.axes)
        layout = ArrayLayout(roles, image.facts.shape, chunks_of(image).decoded)
        spans = dict(zip(_LEADING, block.spans, strict=True))
        order = [role for role in roles if role not in ("y", "x")]
        is_blank = layout.blank_planes(
            [spans[role] for role in order], lambda selection: differs(read_any(selection), image)
        )
        along = is_blank.transpose([order.index(role) for role in _LEADING if role in order])
        in_order: np.ndarray = along.reshape(block.shape)
        return in_order


def _parts(image: ZarrImage) -> tuple[int, ...]:
    """How many planes a chunk spans along t, p, c and z."""
    along = zip((axis.role for axis in image.axes), chunks_of(image).decoded, strict=True)
    parts = dict(reversed(list(along)))
    return tuple(max(parts.get(role, 1), 1) for role in _LEADING)


def _sizes(image: ZarrImage) -> tuple[int, ...]:
    return tuple(image.size(role) for role in _LEADING)
