"""How an array is cut into chunks and shards, from its metadata; pure functions.

The metadata have been judged by `zarr_guard`. Shapes are in the array's own order of axes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .nodes import ZarrImage


class ChunkGrid(NamedTuple):
    """The chunks of an array: what is stored as one object, what is decoded as one, and how."""

    stored: tuple[int, ...]
    decoded: tuple[int, ...]
    codecs: tuple[str, ...]
    """By name, in the order in which pixels pass through them when written; those inside shards last."""

    @property
    def sharded(self) -> bool:
        """Whether several chunks are stored as one object."""
        return self.stored != self.decoded


def chunks_of(image: ZarrImage) -> ChunkGrid:
    """How the array of an image is cut."""
    document = image.document
    if image.facts.version == 2:
        filters = [_name(entry) for entry in document.get("filters") or ()]
        compressor = document.get("compressor")
        names = [*filters, *([_name(compressor)] if compressor is not None else [])]
        shape = tuple(document["chunks"])
        return ChunkGrid(shape, shape, tuple(names))
    stored = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
    decoded, codecs = stored, list(document["codecs"])
    names = []
    while codecs:
        codec = codecs.pop(0)
        names.append(_name(codec))
        if names[-1] == "sharding_indexed":
            decoded = tuple(codec["configuration"]["chunk_shape"])
            codecs = list(codec["configuration"]["codecs"])
    return ChunkGrid(stored, decoded, tuple(names))


def _name(codec: Any) -> str:
    if isinstance(codec, str):
        return codec
    return str(codec.get("name") or codec.get("id"))


def chunk_bytes(image: ZarrImage) -> int:
    """Bytes of one decoded chunk."""
    return math.prod(chunks_of(image).decoded) * image.facts.dtype.itemsize


def planes_per_chunk(image: ZarrImage) -> int:
    """How many planes share one stored object."""
    stored = chunks_of(image).stored
    return math.prod(
        max(1, min(part, whole))
        for part, whole, axis in zip(stored, image.facts.shape, image.axes, strict=True)
        if axis.role not in ("y", "x")
    )
