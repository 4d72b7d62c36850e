"""Pixels that own their memory, so that they keep no more alive than is counted for them."""

from __future__ import annotations

import numpy as np

from ..storage.freed_memory import has_memory_of_its_own

_SPARE = 32  # with so few bytes around it, a plane is not worth copying


def owned(pixels: np.ndarray) -> np.ndarray:
    """Return `pixels` read-only and owning its memory: a copy, unless little else is kept alive by it."""
    if has_memory_of_its_own(pixels):
        pixels.flags.writeable = False
        return pixels
    base: object = pixels.base
    if isinstance(base, np.ndarray) and not base.flags.owndata:  # a view of what was made of the bytes
        base = base.base
    if isinstance(base, bytes) and len(base) <= pixels.nbytes + pixels.nbytes // _SPARE:
        return pixels  # as it came from a server, with little around it
    owner = pixels if pixels.base is None else pixels.base
    if not isinstance(owner, np.ndarray) or not owner.flags.owndata or owner.nbytes > pixels.nbytes:
        owner = pixels = pixels.copy(order="K")
    owner.flags.writeable = False
    pixels.flags.writeable = False
    return pixels
