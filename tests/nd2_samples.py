"""Small ND2 files that tests of the source share: their loops, their pixels, and how to check them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from nd2_writer import Plane, positions_loop, time_loop, z_loop

from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources import Source


HEIGHT, WIDTH = 18, 23
POINTS = [("A1", 100.0, -50.0, 7.0), ("A1", 200.0, -50.0, 7.5), ("", 300.0, -60.0, 8.0)]
T, P, Z = time_loop(2, 2500.0), positions_loop(POINTS), z_loop(4, 0.5)
TWO = (Plane("DAPI", "#0000FF", 405.0, 450.0), Plane("GFP", "#00FF00", 488.0, 525.0))


def frame(i: int, components: int = 2, dtype: str = "u2") -> np.ndarray:
    """Frame `i`: the pixels (Y, X, components), each another number."""
    pixels = np.arange(HEIGHT * WIDTH * components).reshape(HEIGHT, WIDTH, components) * 7 + i * 1000
    return (pixels % 251 if dtype == "u1" else pixels % 65521).astype(dtype)


def keys(sizes: dict[str, int]) -> Iterator[PlaneKey]:
    yield from itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz")))


def assert_planes_are(source: Source, of: Callable[[int], np.ndarray], order: str) -> None:
    """Every plane is that of its frame; `order` names the loops of the file, outermost first."""
    sizes = source.info.sizes
    for key in keys(sizes):
        number = 0
        for axis in order:
            number = number * sizes[axis] + getattr(key, axis)
        pixels = source.read_plane(key)
        np.testing.assert_array_equal(pixels, np.atleast_3d(of(number))[..., key.c], err_msg=str(key))
        assert pixels.dtype == source.info.dtype


def place_of(path: Path, number: int) -> int:
    """Where in the file the chunk of a frame begins."""
    return path.read_bytes().index(b"ImageDataSeq|%d!" % number) - 16
