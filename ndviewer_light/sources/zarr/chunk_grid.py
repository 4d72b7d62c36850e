"""The chunk and shard grid of an array, from its metadata; pure functions.

The metadata has been checked by `zarr_guard`. Shapes are in the array's own axis order.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import LimitExceededError, UnsupportedError
from ...model import Region
from ...storage.limits import MAX_SHARD_INDEX_BYTES
from ...storage.printable import brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...storage.limits import JsonObject
    from .nodes import ZarrImage


class ChunkGrid(NamedTuple):
    """The chunks of an array: what is stored as one object, what is decoded as a unit, and how."""

    stored: tuple[int, ...]
    decoded: tuple[int, ...]
    codecs: tuple[str, ...]
    """By name, in the order in which pixels pass through them when written; those inside shards last."""

    @property
    def sharded(self) -> bool:
        """Whether several chunks are stored as one object."""
        return self.stored != self.decoded


def chunks_of(image: ZarrImage) -> ChunkGrid:
    """The chunk grid of an image's array."""
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
            codecs = [*codec["configuration"]["codecs"], *codecs]
    return ChunkGrid(stored, decoded, tuple(names))


def has_shards(image: ZarrImage) -> bool:
    """Whether stored objects are shards."""
    return "sharding_indexed" in chunks_of(image).codecs


def _name(codec: Any) -> str:
    if isinstance(codec, dict):
        codec = codec.get("name") or codec.get("id")
    return codec if isinstance(codec, str) else brief(codec)


def chunk_bytes(image: ZarrImage) -> int:
    """The size of one decoded chunk in bytes."""
    return math.prod(chunks_of(image).decoded) * image.facts.dtype.itemsize


def plane_chunk(image: ZarrImage) -> tuple[int, int]:
    """Rows and columns of one decoded chunk."""
    along = dict(zip((axis.role for axis in image.axes), chunks_of(image).decoded, strict=True))
    return along["y"], along["x"]


def level_spans(image: ZarrImage) -> list[tuple[float, float]] | None:
    """Pixels of level 0 that one pixel of each level spans along y and x; None if the scales do not say."""
    roles = [axis.role for axis in image.meta.axes or ()]
    if len(image.meta.scales) != image.n_levels or "y" not in roles or "x" not in roles:
        return None
    y, x = roles.index("y"), roles.index("x")
    first, spans = image.meta.scales[0], []
    for scale in image.meta.scales:
        steps = (first[y], first[x], scale[y], scale[x])
        if not all(steps):
            return None
        spans.append((scale[y] / first[y], scale[x] / first[x]))  # type: ignore[operator]
    is_pyramid = all(b[0] * b[1] > a[0] * a[1] for a, b in itertools.pairwise(spans))
    return spans if is_pyramid else None


def level_that_fits(image: ZarrImage, height: int, width: int) -> int | None:
    """See `Source.level_for`, by the scales in the metadata of the largest level; None if they do not say."""
    spans = level_spans(image)
    if spans is None:
        return None
    rows, columns = image.plane_shape
    return max(
        (level for level, (y, x) in enumerate(spans) if rows / y >= height and columns / x >= width),
        key=lambda level: spans[level][0] * spans[level][1],
        default=0,
    )


def selection_of(
    image: ZarrImage, index: tuple[int, ...], region: Region | None = None
) -> tuple[int | slice, ...]:
    """What to read of the plane at (t, p, c, z) along each axis; all slices have a start and a stop."""
    at: tuple[int | slice, ...] = (*index, *(region or Region(0, 0, *image.plane_shape)).slices, 0)
    return tuple([at[i] for i in image.order])


def upright(pixels: np.ndarray, image: ZarrImage) -> np.ndarray:
    """A plane as it is in its array, as (Y, X)."""
    return pixels if image.order.index(_ROWS) < image.order.index(_COLUMNS) else pixels.T


def planes_per_chunk(image: ZarrImage) -> int:
    """How many planes share one stored object."""
    stored = chunks_of(image).stored
    return math.prod(
        max(1, min(part, whole))
        for part, whole, axis in zip(stored, image.facts.shape, image.axes, strict=True)
        if axis.role not in ("y", "x")
    )


# ---- chunk names, and chunks in shards ------------------------------------------------------------

_ROWS, _COLUMNS = 4, 5  # in `ZarrImage.order`
MAX_CHUNKS = 1_000_000  # read at once

Coordinates = tuple[int, ...]


class StoredGrid(NamedTuple):
    """Chunk names of an array: coordinates → name below the array's folder."""

    chunk: tuple[int, ...]
    prefix: str
    separator: str

    def name(self, at: Coordinates) -> str:
        """The name, with ``/`` between folders."""
        return self.prefix + self.separator.join(map(str, at))


class Shards(NamedTuple):
    """The shard layout: chunks along each axis, and how and where the index is stored."""

    per_shard: tuple[int, ...]
    index_codecs: list[Any]
    index_bytes: int
    at_end: bool

    @property
    def is_big_endian(self) -> bool:
        """The byte order of the index."""
        told = next((codec for codec in self.index_codecs if _name(codec) == "bytes"), None)
        return isinstance(told, dict) and told.get("configuration", {}).get("endian") == "big"


def shards_of(image: ZarrImage) -> Shards | None:
    """The shard layout; None without shards, or if other codecs come first: then each is one chunk."""
    codecs = image.document["codecs"] if image.facts.version == 3 else []
    if len(codecs) != 1 or not isinstance(codecs[0], dict) or codecs[0].get("name") != "sharding_indexed":
        return None
    told = codecs[0]["configuration"]
    chunks = chunks_of(image)
    inner = tuple(told["chunk_shape"])
    if any(whole % part for whole, part in zip(chunks.stored, inner, strict=True)):
        raise UnsupportedError(
            f"{image.array}: shards of {chunks.stored} cannot be divided into chunks of {inner}"
        )
    return _shards(told, tuple(whole // part for whole, part in zip(chunks.stored, inner, strict=True)))


def shards_in_a_row(image: ZarrImage) -> Shards:
    """Like `shards_of`, for shards after other codecs, which may transpose them: their chunks in sequence."""
    told = next(codec for codec in image.document["codecs"] if _name(codec) == "sharding_indexed")
    grid = chunks_of(image)
    return _shards(told["configuration"], (math.prod(grid.stored) // math.prod(grid.decoded),))


def _shards(told: JsonObject, per_shard: tuple[int, ...]) -> Shards:
    index_codecs = told.get("index_codecs") or [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    checked = "crc32c" in map(_name, index_codecs)
    index_bytes = math.prod(per_shard) * 16 + 4 * checked
    assert index_bytes <= MAX_SHARD_INDEX_BYTES + 4  # checked with the metadata
    return Shards(per_shard, index_codecs, index_bytes, told.get("index_location", "end") != "start")


def stored_grid(image: ZarrImage) -> StoredGrid:
    """The grid of stored objects. Raises `UnsupportedError` for unknown names."""
    stored = chunks_of(image).stored
    if image.facts.version == 2:
        return StoredGrid(stored, "", _separator(image.document.get("dimension_separator", "."), image))
    encoding = image.document.get("chunk_key_encoding", "default")
    name = _name(encoding)
    told = encoding.get("configuration", {}) if isinstance(encoding, dict) else {}
    if name not in ("default", "v2") or not isinstance(told, dict):
        raise UnsupportedError(f"{image.array}: unknown chunk naming ({name[:40]!r})")
    separator = _separator(told.get("separator", "/" if name == "default" else "."), image)
    return StoredGrid(stored, f"c{separator}" if name == "default" else "", separator)


def _separator(value: object, image: ZarrImage) -> str:
    if value not in ("/", "."):
        raise UnsupportedError(f"{image.array}: unsupported separator {str(value)[:10]!r} in chunk names")
    return str(value)


def without_shards(
    image: ZarrImage, stored: StoredGrid, shards: Shards | None
) -> tuple[JsonObject | None, StoredGrid]:
    """The metadata of the same array without shards, and the names of its chunks."""
    if shards is None:
        return None, stored
    told = image.document["codecs"][0]["configuration"]
    chunk = list(told["chunk_shape"])
    metadata = {
        **image.document,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "codecs": told["codecs"],
    }
    return metadata, stored._replace(chunk=tuple(chunk))


def touched(
    selection: Sequence[int | slice], chunk: Sequence[int], shape: Sequence[int], what: str
) -> list[Coordinates]:
    """The chunks that a selection of one plane, or of a part of it, intersects."""
    along = chunk_ranges(selection, chunk, shape)
    if math.prod(map(len, along)) > MAX_CHUNKS:
        raise LimitExceededError(
            f"{what}: more than {MAX_CHUNKS} chunks cannot be read at once: read a region"
        )
    return list(itertools.product(*along))


def chunk_ranges(selection: Sequence[int | slice], chunk: Sequence[int], shape: Sequence[int]) -> list[range]:
    """The same along each axis."""
    return [_chunks_along(at, part, size) for at, part, size in zip(selection, chunk, shape, strict=True)]


def _chunks_along(at: int | slice, part: int, size: int) -> range:
    """The chunks of `part` samples that an index, or a slice, of an axis of `size` samples intersects."""
    if not isinstance(at, slice):
        return range(at // part, at // part + 1)
    start, stop, _ = at.indices(size)
    return range(start // part, -(-stop // part))


def chunks_in_shard(at: int | slice, part: int, size: int, shard: int, per_shard: int) -> range:
    """The same, numbered within a shard, the `shard`-th along that axis, of `per_shard` chunks."""
    first = shard * per_shard
    chunks = _chunks_along(at, part, size)
    return range(max(chunks.start - first, 0), min(chunks.stop - first, per_shard))
