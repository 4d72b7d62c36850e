"""One step on the way from a chunk to what is stored of it, and decoding all steps within a bound.

Nothing is decoded unless the library was told, or the header says, how much may come out.
"""

from __future__ import annotations

import functools
import importlib
import lzma
import struct
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CorruptDataError, DatasetError, LimitExceededError, UnsupportedError
from ...model import how_many
from ..limits import MAX_CHUNK_BYTES
from .pictures import begins_like_a_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Buffer = bytes | memoryview | np.ndarray


class DamagedError(Exception):
    """The bytes are not what this codec makes."""


_DECODERS_RAISE = (
    *(DamagedError, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, ValueError, TypeError, OSError, EOFError, AssertionError),
    *(ArithmeticError, LookupError),
)
"""At damaged bytes."""


class Codec(ABC):
    """One step on the way from a chunk to what is stored of it."""

    fills_memory = False
    """Whether `undo_into` always uses the memory that it is given."""

    @abstractmethod
    def stored_bytes(self, n: int) -> int | None:
        """How many bytes it makes of `n`, None if that depends on which they are."""

    @abstractmethod
    def undo(self, data: memoryview, n: int) -> Buffer:
        """What was stored; at most `n` bytes, else `DamagedError` or an error of the library."""

    def undo_into(self, data: memoryview, n: int, into: np.ndarray) -> Buffer:
        """`undo`, into memory of `n` bytes if the codec can; what is returned may be elsewhere."""
        return self.undo(data, n)


def decoded_bytes(
    codecs: Sequence[Codec],
    stored: Buffer,
    n: int,
    where: str,
    *,
    is_exact: bool = True,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """The `n` bytes of a chunk, from what is stored of it, as uint8; `codecs` in the order of writing.

    `into`: `n` bytes of memory in which the result may be.

    Raises `CorruptDataError` if they do not come to exactly that (at most that unless `is_exact`),
    `LimitExceededError` if there is not enough memory; `where` is how messages call the chunk. Any thread.
    """
    raw = view(stored)
    try:
        for i, (size, exact) in enumerate(_sizes(codecs, n, is_exact), 1):
            codec = codecs[-i]
            if i == len(codecs) and into is not None and into.nbytes == size:
                raw = view(codec.undo_into(raw.data, size, into))
            else:
                raw = view(codec.undo(raw.data, size))
            if (exact and len(raw) != size) or len(raw) > size:
                raise DamagedError(f"it decompresses to {how_many(len(raw), 'byte')} instead of {size:,}")
        if not codecs and is_exact and len(raw) != n and begins_like_a_picture(bytes(raw[:16])):
            raise UnsupportedError(
                "it is a picture, but the metadata of its array name no codec: there, give the compressor "
                '{"id": "imagecodecs_png"}, "imagecodecs_jpeg" or "imagecodecs_bmp"'
            )
        if len(raw) > n or (is_exact and len(raw) != n):
            raise DamagedError(f"it decompresses to {how_many(len(raw), 'byte')} instead of {n:,}")
    except DatasetError as error:
        raise type(error)(f"{where}: {error}") from error
    except MemoryError as error:
        raise LimitExceededError(f"{where}: not enough memory to read it") from error
    except _DECODERS_RAISE as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        said = reason if isinstance(error, DamagedError) else f"it cannot be decoded ({reason})"
        raise CorruptDataError(f"{where} is damaged: {said}") from error
    return raw


def _sizes(codecs: Sequence[Codec], n: int, exact: bool) -> Iterator[tuple[int, bool]]:
    """For each codec, the last first: how many bytes it was given, and whether that is exact."""
    sizes = [(n, exact)]
    for codec in codecs:
        stored = codec.stored_bytes(sizes[-1][0])
        exact = exact and stored is not None
        sizes.append((most_stored(sizes[-1][0]) if stored is None else stored, exact))
    return reversed(sizes[:-1])


def most_stored(n: int) -> int:
    """More than any codec makes of `n` bytes, however badly they compress."""
    return min(n + n // 2 + 65536, MAX_CHUNK_BYTES)


def view(data: Buffer) -> np.ndarray:
    """Any buffer as single bytes; an array has to be contiguous."""
    return data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)


def need(library: str, extra: str, codec: str) -> Any:
    """The library that a codec needs. Raises `UnsupportedError` that says how it is installed."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise UnsupportedError(
            f"{codec!r} needs {library}, which is not installed: pip install 'ndviewer_light[{extra}]'"
        ) from error


@functools.cache
def from_imagecodecs(name: str) -> Callable[..., Any] | None:
    """The decoder of that name of imagecodecs; None if it is not there."""
    try:
        library = importlib.import_module("imagecodecs")
    except ImportError:
        return None
    decode: Callable[..., Any] | None = getattr(library, f"{name}_decode", None)
    return decode if getattr(getattr(library, name.upper(), None), "available", False) else None
