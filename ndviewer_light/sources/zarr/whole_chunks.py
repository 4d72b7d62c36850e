"""Planes that are one chunk of a local array each: read straight into the memory they are handed on in.

tensorstore reads a chunk into memory of its own and copies it from there, which takes as long as reading a
plane that is stored as it is. What is out of the ordinary (no such file, one that is being written, damage,
metadata that have changed) is left to tensorstore, which says what is the matter.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError, UntrustedReferenceError
from ...storage.decoding.chunk_decoder import chunks_of
from ...storage.local_files import open_file
from ...storage.plane_memory import plane_memory
from .chunk_grid import has_shards, plane_chunk, planes_per_chunk, stored_grid, touched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.decoding.chunk_decoder import ChunkDecoder
    from ...storage.local_files import LinkGuard
    from ...storage.trees.recording import RecordingTree
    from .nodes import ZarrImage


class WholeChunks:
    """The chunks of one array, each of which is a plane. Any thread."""

    def __init__(self, image: ZarrImage, decoder: ChunkDecoder, links: LinkGuard) -> None:
        self._image = image
        self._decoder = decoder
        self._links = links
        self._grid = stored_grid(image)
        name = ".zarray" if image.facts.version == 2 else "zarr.json"
        self._metadata = image.array + os.sep + name
        first, second = (axis for axis, each in enumerate(image.axes) if each.role in ("y", "x"))
        self._shape = self._grid.chunk[first], self._grid.chunk[second]
        self._order = "C" if decoder.axes.index(first) < decoder.axes.index(second) else "F"

    def read(self, selection: Sequence[int | slice], record: RecordingTree | None) -> np.ndarray | None:
        """A plane, in the order of the array's axes; None if it is not to be read in this way just now.

        `record` is what was looked at to describe the array. Raises `UntrustedReferenceError` for a link that
        leads out of the dataset.
        """
        if record is None or not record.is_unchanged(self._metadata):
            return None
        (at,) = touched(selection, self._grid.chunk, self._image.facts.shape, self._image.array)
        file = self._image.array + os.sep + self._grid.name(at).replace("/", os.sep)
        try:
            return self._plane(file)
        except UntrustedReferenceError:
            raise
        except (DatasetError, OSError, ValueError):
            return None

    def _plane(self, file: str) -> np.ndarray | None:
        descriptor, status = open_file(file, self._links)
        with io.FileIO(descriptor) as opened:
            if self._decoder.is_plain:
                if status.st_size != self._decoder.nbytes:
                    return None
                pixels = plane_memory(self._shape, self._image.facts.dtype, self._order)
                return pixels if _filled(_bytes_of(pixels), opened) else None
            if status.st_size > self._decoder.most_stored:
                return None
            stored = np.empty(status.st_size, np.uint8)
            if not _filled(stored, opened):
                return None
        pixels = plane_memory(self._shape, self._image.facts.dtype, self._order)
        self._decoder.decode(stored.data, file, _bytes_of(pixels))
        return pixels


def whole_chunks(image: ZarrImage, links: LinkGuard | None) -> WholeChunks | None:
    """The planes of an array, if each is a chunk that is stored as it is or decoded into given memory."""
    is_one = plane_chunk(image) == image.plane_shape and planes_per_chunk(image) == 1
    if links is None or not is_one or has_shards(image):
        return None
    try:
        decoder = chunks_of(image.document, image.array)
    except DatasetError:  # a codec that only tensorstore knows, or of a library that is not installed
        return None
    if not decoder.fills_memory or decoder.dtype != image.facts.dtype:
        return None
    return WholeChunks(image, decoder, links)


def _bytes_of(pixels: np.ndarray) -> np.ndarray:
    return (pixels if pixels.flags.c_contiguous else pixels.T).reshape(-1).view(np.uint8)


def _filled(memory: np.ndarray, file: io.FileIO) -> bool:
    """Whether the file had enough to fill it."""
    view, at = memory.data, 0
    while at < len(view):
        n = file.readinto(view[at:])
        if not n:
            return False
        at += n
    return True
