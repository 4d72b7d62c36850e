"""The frames of a modern ND2 file: all channels of one (t, p, z), interleaved, raw or deflated."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...errors import (
    CorruptDataError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ...model import how_many
from ...storage.limits import MAX_CHANNELS, MAX_CHUNK_BYTES, MAX_PLANE_BYTES
from ...storage.memory_cache import MemoryCache, nbytes
from .chunk_map import find_data, read_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...model import DatasetInfo
    from ...storage.bytes import Bytes
    from .metadata import Loops

_TIME_BYTES = 8  # before the pixels of each frame
_RAW_START = 4088  # offset of an uncompressed frame in its chunk
_FRAME_NAME = re.compile(rb"ImageDataSeq\|(0|[1-9]\d{0,9})!")
_FAR = 2**62  # beyond the end of any file
KEPT_BYTES = 128 * 1024**2
"""Of frames whose other channels will be wanted too."""
_WHOLE_BYTES = 256 * 1024**2
"""Larger frames (stitched ones) are read in bands: all channels of them would not be kept anyway."""
_BAND_BYTES = 16 * 1024**2


class Frames(Protocol):
    """The frames of a file; any thread."""

    def holds(self, frame: int) -> bool:
        """Whether any part of this frame is stored."""

    def plane(self, frame: int, component: int) -> np.ndarray:
        """The pixels (Y, X) of one component of a frame."""

    def forget(self) -> None:
        """Release cached memory."""


@dataclass(frozen=True)
class Contents:
    """A file as of when it was opened."""

    info: DatasetInfo
    loops: Loops
    frames: Frames
    times_ms: Callable[[], np.ndarray | None] = lambda: None
    """When each frame was acquired, since the run began; reads it. None if the file does not say."""


@dataclass(frozen=True)
class FrameLayout:
    """The pixel layout of a frame: rows of `row_bytes`, containing pixels of several components."""

    height: int
    width: int
    components: int
    row_bytes: int
    dtype: np.dtype
    deflated: bool

    @property
    def nbytes(self) -> int:
        """The size of a frame's pixels in bytes, all components."""
        return self.height * self.row_bytes

    def pixels(self, data: bytes, offset: int, height: int | None = None) -> np.ndarray:
        """`data` as pixels (Y, X, components), without a copy."""
        shape = (self.height if height is None else height, self.width, self.components)
        item = self.dtype.itemsize
        strides = (self.row_bytes, self.components * item, item)
        pixels: np.ndarray = np.ndarray(shape, self.dtype, data, offset, strides)
        return pixels


def judged_layout(layout: FrameLayout, where: str) -> FrameLayout:
    """Return `layout` if valid; raises `MetadataError`, `UnsupportedError` or `LimitExceededError`."""
    sizes = (layout.height, layout.width, layout.components)
    if min(sizes) < 1:
        raise MetadataError(f"{where} declares invalid frame sizes: {sizes} rows, columns and components")
    if layout.row_bytes < layout.width * layout.components * layout.dtype.itemsize:
        raise MetadataError(
            f"{where} declares {how_many(layout.width, 'pixel')} in rows of "
            f"{how_many(layout.row_bytes, 'byte')}: metadata is "
            "inconsistent"
        )
    plane = layout.height * layout.width * layout.dtype.itemsize
    if plane > MAX_PLANE_BYTES or layout.components > MAX_CHANNELS:
        raise LimitExceededError(
            f"{where} has frames of {layout.width} × {layout.height} pixels with {layout.components} "
            f"components: at most {MAX_PLANE_BYTES} bytes per plane and {MAX_CHANNELS} components per frame "
            "are supported"
        )
    if layout.deflated and layout.nbytes > MAX_CHUNK_BYTES:
        raise UnsupportedError(
            f"{where} contains compressed frames of {layout.nbytes} bytes, more than {MAX_CHUNK_BYTES}: "
            "save it without compression to open it here"
        )
    return layout


class FrameMap:
    """The locations of the frames in the file, by frame number."""

    def __init__(self, chunks: Mapping[bytes, tuple[int, int]]) -> None:
        found = sorted(
            (int(match[1]), min(offset, _FAR), min(size, _FAR))
            for name, (offset, size) in chunks.items()
            if (match := _FRAME_NAME.fullmatch(name))
        )
        # a file may have a million frames: three columns, not a million tuples
        self.numbers, self._offsets, self._sizes = np.array(found, np.int64).reshape(-1, 3).T

    def place(self, frame: int) -> tuple[int, int] | None:
        """Offset of the frame's chunk and length of its data in bytes; None if not stored."""
        at = int(np.searchsorted(self.numbers, frame))
        if at == len(self.numbers) or int(self.numbers[at]) != frame:
            return None
        return int(self._offsets[at]), int(self._sizes[at])


class StoredFrames:
    """Frames read from the file's bytes: one read for all components of a frame."""

    def __init__(
        self, source: Bytes, layout: FrameLayout, frames: FrameMap, order: Sequence[int] | None = None
    ) -> None:
        """`order`: for each channel as listed, the component that it is; None if they are listed in order."""
        self._order = order
        self._source = source
        self._layout = layout
        self._frames = frames
        self._kept: MemoryCache[int, np.ndarray] = MemoryCache(KEPT_BYTES, nbytes)

    def holds(self, frame: int) -> bool:
        """Whether the file contains this frame."""
        return self._frames.place(frame) is not None

    def plane(self, frame: int, component: int) -> np.ndarray:
        """The pixels (Y, X) of one component, counted as the channels are listed.

        Raises `PlaneNotStoredError` if the frame is missing, `CorruptDataError` if it is damaged.
        """
        layout = self._layout
        component = component if self._order is None else self._order[component]
        if layout.components == 1:
            return np.ascontiguousarray(self._read(frame)[..., 0])
        if not layout.deflated and layout.nbytes > _WHOLE_BYTES:
            return self._in_bands(frame, component)
        kept = self._kept.get([frame], lambda _: [(frame, self._read(frame))])
        return np.ascontiguousarray(kept[frame][..., component])

    def forget(self) -> None:
        """Release cached frames."""
        self._kept.clear()

    def _place(self, frame: int) -> tuple[bytes, int, int]:
        place = self._frames.place(frame)
        if place is None:
            error = PlaneNotStoredError(
                f"{self._source.name} does not contain frame {frame}: it was not acquired"
            )
            error.plane_shape = (self._layout.height, self._layout.width)
            raise error
        return b"ImageDataSeq|%d!" % frame, *place

    def _read(self, frame: int) -> np.ndarray:
        chunk = read_chunk(self._source, *self._place(frame), MAX_CHUNK_BYTES + _TIME_BYTES)
        if self._layout.deflated:
            return self._layout.pixels(self._inflated(frame, chunk.data[_TIME_BYTES:]), 0)
        self._check(frame, chunk.start, chunk.size)
        return self._layout.pixels(chunk.raw, chunk.start + _TIME_BYTES)

    def _check(self, frame: int, start: int, length: int) -> None:
        """Check position and size of raw pixels, which have no checksum."""
        where, pixels = self._source.name, max(0, length - _TIME_BYTES)
        if start != _RAW_START:
            raise CorruptDataError(f"{where} is damaged: frame {frame} has an invalid header")
        if pixels < self._layout.nbytes:
            raise CorruptDataError(
                f"{where} is damaged: frame {frame} has {how_many(pixels, 'byte')} of pixel data where "
                f"{self._layout.nbytes} are expected"
            )

    def _inflated(self, frame: int, data: memoryview) -> bytes:
        try:
            inflater = zlib.decompressobj()
            pixels = inflater.decompress(data, self._layout.nbytes)
            more = inflater.decompress(
                inflater.unconsumed_tail, 1
            )  # returns nothing, but verifies the checksum
        except zlib.error as error:
            raise CorruptDataError(
                f"{self._source.name} is damaged: frame {frame} cannot be decompressed ({error})"
            ) from error
        if len(pixels) != self._layout.nbytes or more or not inflater.eof:
            size = f"{len(pixels)} bytes or more" if more else how_many(len(pixels), "byte")
            raise CorruptDataError(
                f"{self._source.name} is damaged: frame {frame} decompresses to {size} where "
                f"{self._layout.nbytes} are expected"
            )
        return pixels

    def _in_bands(self, frame: int, component: int) -> np.ndarray:
        """Read a plane of a frame that is too large to hold in memory as a whole."""
        layout = self._layout
        name, offset, _ = self._place(frame)
        start, length = find_data(self._source, name, offset)
        self._check(frame, start, length)
        out = np.empty((layout.height, layout.width), layout.dtype)
        step = max(1, _BAND_BYTES // layout.row_bytes)
        for row in range(0, layout.height, step):
            n = min(step, layout.height - row)
            data = self._source.read(
                offset + start + _TIME_BYTES + row * layout.row_bytes, n * layout.row_bytes
            )
            out[row : row + n] = layout.pixels(data, 0, n)[..., component]
        return out
