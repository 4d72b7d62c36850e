"""Whole picture files as chunks, decoded as those in folders are: by Pillow or imagecodecs, header first."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MetadataError, UnsupportedError
from ...model import how_many
from ..printable import brief
from .codec import Codec, DamagedError, need
from .declared_pixels import declared_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import JsonObject
    from .codec import Buffer


_MAX_SAMPLES_OF_PIXEL = 64  # of one pixel


@dataclass(frozen=True)
class Pixels(Codec):
    """A whole picture file; `decode` makes (Y, X) or (Y, X, S) of it, judged before."""

    decode: Callable[[memoryview], np.ndarray]
    dtype: np.dtype[Any]
    measure: Callable[[memoryview], int] | None = None
    """Rows times columns by the header, where `decode` does not look at that first."""

    def stored_bytes(self, n: int) -> int | None:
        """It depends."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        if self.measure is not None:
            declared, wanted = self.measure(data), n // self.dtype.itemsize
            if wanted % declared or wanted // declared > _MAX_SAMPLES_OF_PIXEL:
                raise DamagedError(
                    f"its header declares {how_many(declared, 'pixel')}, but a chunk has "
                    f"{how_many(wanted, 'number')}"
                )
        pixels = self.decode(data)
        if pixels.dtype.newbyteorder("=") != self.dtype.newbyteorder("="):
            raise DamagedError(f"its pixels are {pixels.dtype}, but the array's are {self.dtype}")
        return np.ascontiguousarray(pixels, dtype=self.dtype)


def measured(name: str) -> Callable[[JsonObject, np.dtype[Any]], Codec]:
    """The codec of imagecodecs for a format of `declared_pixels`."""

    def codec(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
        library = need("imagecodecs", "tiff", f"imagecodecs_{name}")
        if not getattr(library, name.upper()).available:
            raise UnsupportedError(f"this build of imagecodecs has no {name}: pip install imagecodecs")
        decode = getattr(library, f"{name}_decode")

        def pixels(data: memoryview) -> np.ndarray:
            found: np.ndarray = decode(bytes(data))
            return found

        return Pixels(pixels, dtype, lambda data: declared_pixels(name, bytes(data)))

    return codec


def picture(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    """A whole PNG or BMP, or another format that is known by its first bytes."""
    from .pictures import decoded

    return Pixels(lambda data: decoded(data, "the picture"), dtype)


def jpeg(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    """Whole files; parts of a TIFF lack the tables that its other parts share."""
    parts = [config.get(key) for key in ("tables", "header")]
    spaces = [config.get(f"colorspace_{which}") for which in ("jpeg", "data")]
    if not any(parts) and all(space is None for space in spaces):
        return picture(config, dtype)
    tables, header = (base64.b64decode(part) if isinstance(part, str) else None for part in parts)
    if not all(space is None or type(space) in (int, str) for space in spaces):
        raise MetadataError("'imagecodecs_jpeg' has an invalid colour space")
    from .pictures import judged_jpeg

    decode = need("imagecodecs", "tiff", "imagecodecs_jpeg").jpeg8_decode

    def pixels(data: memoryview) -> np.ndarray:
        raw = bytes(data)
        raw = raw if header is None else header + raw + b"\xff\xd9"
        judged_jpeg(raw, "the picture")
        found: np.ndarray = decode(raw, tables=tables, colorspace=spaces[0], outcolorspace=spaces[1])
        return found

    return Pixels(pixels, dtype)


def tiff(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    """One page of a whole TIFF."""
    page = config.get("index") or 0
    if type(page) is not int or page < 0:
        raise MetadataError(f"'imagecodecs_tiff' names page {brief(page)}")
    from .tiff_in_memory import decoded_page

    return Pixels(lambda data: decoded_page(bytes(data), page, "the picture"), dtype)
