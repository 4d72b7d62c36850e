"""Many small pictures in one slot: their pixels one after the other, where each begins in the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ReaderCrashedError
from ..model import how_many
from ..sources.source import MadeThumbnail
from ..storage.disk_cache import KINDS
from . import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol import Message


def packed(made: Sequence[MadeThumbnail]) -> tuple[np.ndarray, list[Message]]:
    """All pixels as bytes, and for each picture its shape and dtype, and why there are none or not all."""
    parts: list[Message] = []
    pieces: list[np.ndarray] = []
    for each in made:
        said = {} if each.error is None else {"error": protocol.error_to_json(each.error), "z": each.z}
        if each.pixels is None:
            assert said, "a picture without pixels has an error"
            parts.append(said)
            continue
        pixels = np.ascontiguousarray(each.pixels)
        pieces.append(pixels.reshape(-1).view(np.uint8))
        parts.append({"shape": pixels.shape, "dtype": pixels.dtype.str, **said})
    return np.concatenate(pieces) if pieces else np.zeros(1, np.uint8), parts


def unpacked(pixels: np.ndarray, parts: Sequence[Message], n: int) -> list[MadeThumbnail]:
    """The inverse of `packed`, of `n` pictures; raises `ReaderCrashedError` for parts that do not fit."""
    found: list[MadeThumbnail] = []
    start = 0
    try:
        for part in parts:
            said = (protocol.error_from_json(part["error"]), int(part["z"])) if "error" in part else ()
            if "shape" not in part:
                found.append(MadeThumbnail(None, *said))
                continue
            dtype, (height, width) = np.dtype(part["dtype"]), map(int, part["shape"])
            end = start + height * width * dtype.itemsize
            if dtype.kind not in KINDS or min(height, width) < 0 or end > pixels.nbytes:
                raise ValueError(f"{part} in {how_many(pixels.nbytes, 'byte')}")
            found.append(MadeThumbnail(pixels[start:end].view(dtype).reshape(height, width), *said))
            start = end
        if len(found) != n:
            raise ValueError(f"{len(found)} of {n} pictures")
    except (KeyError, TypeError, ValueError) as error:
        raise ReaderCrashedError(f"the reader process returned invalid pictures: {error}") from error
    return found
