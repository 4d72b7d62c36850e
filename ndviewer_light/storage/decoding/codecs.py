"""Which codecs are decoded, by the names that numcodecs and imagecodecs give them; no other ever is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import MetadataError, UnsupportedError
from ..printable import brief
from . import checksums, compressors, numeric_filters, picture_codecs
from .codec import Codec, from_imagecodecs, need
from .compressors import Compressor
from .declared_pixels import DECLARED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..limits import JsonObject
    from .codec import Buffer


def _needs_numcodecs(name: str, decode: Callable[[memoryview, int], Buffer]) -> Codec:
    need(f"numcodecs.{name}", "refs", name)  # to be told when the dataset is opened
    return Compressor(decode)


def _blosc_codec() -> Codec:
    need("numcodecs.blosc", "refs", "blosc")
    return compressors.Blosc()


def _zstd_codec(config: JsonObject) -> Codec:
    if from_imagecodecs("zstd") is None:
        need("numcodecs.zstd", "refs", "zstd")
    return compressors.Zstd()


def _lzma_codec(config: JsonObject) -> Codec:
    if config.get("format", 1) not in (1, 2) or config.get("filters"):
        raise UnsupportedError("'lzma' without its own header is not supported")
    return Compressor(compressors.lzma_decoded)


def _shuffle(config: JsonObject) -> Codec:
    item = config.get("elementsize", 4)
    if type(item) is not int or not 1 <= item <= 256:
        raise MetadataError(f"'shuffle' is for items of 1 to 256 bytes, not {brief(item)}")
    return numeric_filters.Shuffle(item)


_BY_NAME: dict[str, Callable[[JsonObject], Codec]] = {
    "zlib": lambda config: Compressor(compressors.inflated),
    "gzip": lambda config: Compressor(compressors.gunzipped),
    "bz2": lambda config: Compressor(compressors.bz2_decoded),
    "lzma": _lzma_codec,
    "blosc": lambda config: _blosc_codec(),
    "lz4": lambda config: _needs_numcodecs("lz4", compressors.lz4_decoded),
    "zstd": _zstd_codec,
    "shuffle": _shuffle,
    "crc32": checksums.checksum(checksums.crc32, usually_at_end=False),
    "adler32": checksums.checksum(checksums.adler32, usually_at_end=False),
    "crc32c": checksums.checksum(checksums.crc32c, usually_at_end=True),
    "packbits": lambda config: numeric_filters.PackedBits(),
    "quantize": numeric_filters.quantized,
    "fletcher32": lambda config: numeric_filters.Fletcher32(),
    "bitround": lambda config: numeric_filters.Unchanged(),
    "delta": numeric_filters.delta,
    "fixedscaleoffset": numeric_filters.fixed_scale_offset,
    "astype": numeric_filters.as_type,
    "imagecodecs_zlib": lambda config: Compressor(compressors.inflated),
    "imagecodecs_zstd": _zstd_codec,
    "imagecodecs_lzw": lambda config: compressors.by_imagecodecs("lzw"),
    "imagecodecs_packbits": lambda config: compressors.by_imagecodecs("packbits"),
    "imagecodecs_delta": numeric_filters.differences,
    "imagecodecs_floatpred": numeric_filters.float_predictor,
}
_PICTURES: dict[str, Callable[[JsonObject, np.dtype[Any]], Codec]] = {
    "imagecodecs_png": picture_codecs.picture,
    "imagecodecs_bmp": picture_codecs.picture,
    "imagecodecs_jpeg": picture_codecs.jpeg,
    "imagecodecs_jpeg8": picture_codecs.jpeg,
    "imagecodecs_tiff": picture_codecs.tiff,
    **{f"imagecodecs_{name}": picture_codecs.measured(name) for name in DECLARED},
}

ALLOWED = tuple(sorted((*_BY_NAME, *_PICTURES)))
"""Names of codecs that are decoded; any other name is refused, whatever library knows it."""


def codec_from(config: object, dtype: np.dtype[Any]) -> Codec:
    """The codec that a configuration ``{"id": …}`` names, for an array of `dtype` as it is stored.

    Raises `UnsupportedError` for one that is not on the list or whose library is not installed, else
    `MetadataError`; neither names the array.
    """
    name = config.get("id") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(name, str):
        raise MetadataError(f"invalid codec {ascii(config)[:80]}, expected an object with an id")
    if name in _BY_NAME:
        return _BY_NAME[name](config)
    if name in _PICTURES:
        return _PICTURES[name](config, dtype)
    raise UnsupportedError(f"codec {name[:80]!a} is not supported; supported are {', '.join(ALLOWED)}")
