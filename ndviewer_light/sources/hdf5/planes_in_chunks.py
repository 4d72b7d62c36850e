"""A local HDF5 dataset whose chunks hold several planes, as `sources.shared_chunks` looks into it.

A chunk has no time of its own, and every write changes that of the file. But HDF5 allocates a chunk when
something is first written into it, blank or not: once the next chunk is there, the writer is through with
this one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...errors import PlaneNotStoredError
from ...storage.file_versions import NOTHING
from ..shared_chunks import ArrayInChunks, ArrayLayout, SharedBlock, differs_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .array import DatasetFacts, Opened
    from .file import HDF5File


class HDF5InChunks(ArrayInChunks):
    """Planes by their indices along the axes of the dataset but y and x."""

    leaves_out_blank = False

    def __init__(self, file: HDF5File, known: DatasetFacts, opened: Opened, layout: ArrayLayout) -> None:
        """See `of`."""
        self._name = f"{file.path}::{known.path}"
        self._version = file.told_version
        self._is_left_open = file.superblock.is_open
        self._layout = layout
        self._pixels, self._fill = opened.pixels, opened.fill
        self._sizes, self._parts = layout.of_planes(layout.sizes), layout.planes_per_chunk
        self._roles = [role for role in layout.roles if role not in ("y", "x")]
        self.chunk_bytes = math.prod(layout.parts) * known.dtype.itemsize

    @classmethod
    def of(
        cls, file: HDF5File, known: DatasetFacts, opened: Opened, roles: Sequence[str]
    ) -> HDF5InChunks | None:
        """None on a server, and where planes share no chunks that get their place when they are written."""
        if file.is_remote or not opened.is_allocated_as_written or opened.chunk is None:
            return None
        if len(roles) != len(known.shape):
            return None
        layout = ArrayLayout(tuple(roles), known.shape, opened.chunk)
        parts = zip(layout.planes_per_chunk, layout.of_planes(known.shape), strict=True)
        if math.prod(min(part, size) for part, size in parts) <= 1:
            return None
        return cls(file, known, opened, layout)

    def is_fill(self, pixels: np.ndarray) -> bool:
        """Whether all pixels are the fill value; usually told by the first row."""
        first = differs_from(self._fill, pixels[:1])
        return not first.any() and not differs_from(self._fill, pixels).any()

    def block(self, index: Sequence[int]) -> SharedBlock:
        """See `ArrayInChunks.block`."""
        return SharedBlock.around(self._name, index, self._parts, self._sizes)

    def version(self, block: SharedBlock) -> str:
        """See `ArrayInChunks.version`: that of the file."""
        is_stored = self._is_stored(tuple(span.start for span in block.spans))
        return NOTHING if is_stored is False else self._version

    def is_open(self, block: SharedBlock, *, is_young: bool) -> bool:
        """See `ArrayInChunks.is_open`: no later chunk is stored, in the order of time or of the planes.

        Of files that were closed long ago only blocks of several time points: others are the end of a stack.
        """
        several = [axis for axis, span in enumerate(block.spans) if len(span) > 1]
        of_time = [axis for axis, role in enumerate(self._roles) if role == "t"]
        if not (is_young or self._is_left_open or set(several) & set(of_time)):
            return False
        # along one of several axes in a chunk a later one shows nothing: the writer's loops may cross it
        telling = {*of_time, *(several if len(several) == 1 else ())}
        return not any(self._is_next_stored(block, axis) for axis in telling)

    def _is_next_stored(self, block: SharedBlock, axis: int) -> bool:
        index = [span.start for span in block.spans]
        index[axis] += self._parts[axis]
        return index[axis] < self._sizes[axis] and self._is_stored(index) is True

    def _is_stored(self, index: Sequence[int]) -> bool | None:
        """Whether any chunk of a plane is stored; None if that is not known."""
        leading = iter(index)
        return self._pixels.is_stored(
            [
                (0, size) if role in ("y", "x") else (at := next(leading), at + 1)
                for role, size in zip(self._layout.roles, self._layout.sizes, strict=True)
            ]
        )

    def blank_planes(self, block: SharedBlock) -> np.ndarray:
        """See `ArrayInChunks.blank_planes`."""
        return self._layout.blank_planes(block.spans, self._differ)

    def _differ(self, selection: tuple[slice, ...]) -> np.ndarray:
        try:
            pixels = self._pixels.read([(each.start, each.stop) for each in selection])
        except PlaneNotStoredError:  # of planes in several chunks each, some are not there yet
            return np.zeros([each.stop - each.start for each in selection], bool)
        return differs_from(self._fill, pixels)
