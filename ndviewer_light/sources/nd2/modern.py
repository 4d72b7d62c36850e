"""ND2 files since 2010: metadata from the nd2 library, and the locations of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from ...errors import (
    DatasetError,
    MetadataError,
    UnsupportedError,
)
from ...model import DatasetInfo
from ...storage.limits import MAX_METADATA_BYTES
from . import metadata
from .chunk_map import chunk_range, read_chunk
from .frames import Contents, FrameMap, StoredFrames
from .guard import check_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nd2 import ND2File
    from nd2.structures import ExpLoop

    from ...storage.bytes import Bytes
    from .chunk_map import CachedBytes

    Chunks = Mapping[bytes, tuple[int, int]]

_METADATA = (b"ImageAttributes%s!", b"ImageMetadata%s!", b"ImageMetadataSeq%s|0!")
_OPTIONAL = _METADATA[1]  # a single frame has no experiment
_TIMES = b"CustomData|AcqTimesCache!"


class Internals(Protocol):
    """The parts of the nd2 library we use that are not public API."""

    chunkmap: dict[bytes, tuple[int, int]]

    def _cached_raw_metadata(self) -> dict[str, Any]: ...


def library_internals(parsed: ND2File) -> Internals:
    """The only access to private parts of the nd2 library.

    Raises `UnsupportedError` for a version that has changed them.
    """
    reader = getattr(parsed, "_rdr", None)
    # on the class: accessing a property of an object would read the file
    if not hasattr(type(reader), "chunkmap") or not hasattr(type(reader), "_cached_raw_metadata"):
        raise UnsupportedError(
            "this version of the nd2 library is not supported: pip install 'nd2>=0.12,<0.13'"
        )
    return cast("Internals", reader)


def modern_contents(parsed: ND2File, source: Bytes, kept: CachedBytes) -> Contents:
    """The contents of the file; its frames are read from `source`, its metadata through `kept`."""
    internals, where = library_internals(parsed), source.name
    chunks = internals.chunkmap
    _fetch_metadata(kept, chunks, b"LV" if parsed.version >= (3, 0) else b"")
    experiment, picture, attributes = parsed.experiment, internals._cached_raw_metadata(), parsed.attributes
    loops = metadata.loops(experiment, where)
    layout = metadata.layout(attributes, where)
    frames, n_channels = FrameMap(chunks), attributes.channelCount or 1
    counts = metadata.component_counts(n_channels, layout.components, where, picture)
    y_um, x_um = metadata.pixel_size_um(picture)
    info = DatasetInfo(
        format="nd2",
        positions=metadata.positions(experiment, metadata.stage_um(picture), where),
        channels=metadata.channels(metadata.named_channels(picture), counts, layout.dtype, where),
        n_t=loops.size("t"),
        n_z=loops.size("z"),
        height=layout.height,
        width=layout.width,
        dtype=layout.dtype,
        pixel_size_y_um=y_um,
        pixel_size_x_um=x_um,
        z_step_um=metadata.z_step_um(experiment),
        time_step_s=_time_step_s(experiment, loops, kept, chunks),
        warnings=metadata.notes(loops, frames.numbers),
    )
    place = chunks.get(_TIMES)
    stored = StoredFrames(source, layout, frames, metadata.component_order(counts))
    return Contents(info, loops, stored, lambda: _times_ms(source, place))


def _fetch_metadata(kept: CachedBytes, chunks: Chunks, suffix: bytes) -> None:
    """Fetch and check the metadata before the library asks for it."""
    places = {}
    for template in _METADATA:
        name = template % suffix
        if name in chunks:
            places[name] = chunks[name]
        elif template != _OPTIONAL:
            raise MetadataError(
                f"{kept.name} lacks {name.decode()[:-1]}, without which its frames cannot be interpreted"
            )
    kept.fetch([chunk_range(kept, *place, MAX_METADATA_BYTES) for place in places.values()])
    for name, place in places.items():
        chunk = read_chunk(kept, name, *place, MAX_METADATA_BYTES)
        kept.keep(place[0], chunk.raw)
        check_metadata(bytes(chunk.data), f"{kept.name}: {name.decode()[:-1]}")


def _time_step_s(
    experiment: Sequence[ExpLoop], loops: metadata.Loops, kept: CachedBytes, chunks: Chunks
) -> float | None:
    """Seconds between time points: as configured, else as measured on average."""
    steps = metadata.time_steps_s(experiment)
    if len(steps) != 1:
        return None
    if any(steps) or loops.size("t") < 2 or _TIMES not in chunks:
        return steps.pop() or None
    times_ms = _times_ms(kept, chunks[_TIMES])
    return None if times_ms is None else metadata.measured_time_step_s(times_ms, loops)


def _times_ms(source: Bytes | CachedBytes, place: tuple[int, int] | None) -> np.ndarray | None:
    if place is None:
        return None
    try:
        chunk = read_chunk(source, _TIMES, *place, MAX_METADATA_BYTES)
    except DatasetError:
        return None
    return np.frombuffer(chunk.raw, "<f8", chunk.size // 8, chunk.start)
