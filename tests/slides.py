"""Slides: one huge plane of which only some chunks are stored, so that the files stay small.

Every pixel that is stored follows from its place at level 0 (`pixels`), so that a test knows what it must
read at each level.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndviewer_light.model import Region
from tests import stores

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK = 1024
WHOLE = 2600
"""Levels with no more rows and columns than this are written whole."""


def pixels(region: Region, level: int = 0) -> np.ndarray:
    """The pixels (Y, X) of a region of a level, uint8: blocks of 500² pixels of level 0, never 0."""
    y = (np.arange(region.top, region.top + region.height) << level) // 500
    x = (np.arange(region.left, region.left + region.width) << level) // 500
    return ((y[:, None] * 7 + x * 13) % 251 + 1).astype(np.uint8)


def side_of(side: int, level: int) -> int:
    """Rows, and columns, of a level of a slide of `side`²."""
    return -(-side // 2**level)


def write_slide(
    path: Path | str,
    side: int,
    n_levels: int = 1,
    *,
    chunks: Iterable[tuple[int, int]] = ((0, 0), (1, 3)),
    shard: int | None = None,
    version: int = 3,
    fill: int = 0,
) -> None:
    """Write an image (c, y, x) of one channel; of large levels only `chunks`, (row, column), are stored."""
    names = [str(level) for level in range(n_levels)]
    for level, name in enumerate(names):
        size = side_of(side, level)
        store = stores.create_array(
            Path(path, name),
            [1, size, size],
            chunk=[1, CHUNK, CHUNK],
            shard=[1, CHUNK * shard, CHUNK * shard] if shard else None,
            preset="fast",
            dtype="uint8",
            version=version,
            metadata={"fill_value": fill},
        )
        everything = [(row, column) for row in range(3) for column in range(3)]
        for row, column in everything if size <= WHOLE else chunks:
            top, left = row * CHUNK, column * CHUNK
            height, width = min(CHUNK, size - top), min(CHUNK, size - left)
            if height > 0 and width > 0:
                part = Region(top, left, height, width)
                store[(0, *part.slices)] = pixels(part, level)
    attributes = stores.image_attributes("cyx", paths=names, channels=stores.CHANNELS[:1], squid=False)
    stores.write_group(path, attributes, version)
