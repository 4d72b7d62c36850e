"""The local files that contain a plane: when they were written, without reading them."""

from __future__ import annotations

import itertools
import math
import os
from typing import TYPE_CHECKING

from ...storage.file_clock import FILE_CLOCK
from ...storage.file_versions import newest_ns, versions_of
from .chunk_grid import chunk_ranges, stored_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .nodes import ZarrImage

_MAX_FILES_OF_PLANE = 256
"""Of a plane of more chunks, so many, evenly spread, stand for all."""


def files_of(
    selection: Sequence[int | slice], image: ZarrImage, most: int = _MAX_FILES_OF_PLANE, sep: str = os.sep
) -> Iterator[str]:
    """The files of the chunks, or shards, that a selection of an array intersects, or `most` of them."""
    grid = stored_grid(image)
    wanted = chunk_ranges(selection, grid.chunk, image.facts.shape)
    step = -(-math.prod(map(len, wanted)) // most)
    for at in itertools.islice(itertools.product(*wanted), 0, None, max(step, 1)):
        yield sep.join((image.array, *grid.name(at).split("/")))


def version_of_selection(selection: Sequence[int | slice], image: ZarrImage) -> str:
    """A text that changes whenever one of these files is written."""
    return versions_of(files_of(selection, image))


def age_s(selection: Sequence[int | slice], image: ZarrImage) -> float:
    """How long ago (s) the newest of these files was written; infinite if there is none."""
    newest = newest_ns(files_of(selection, image))
    return FILE_CLOCK.age_s(newest) if newest else math.inf
