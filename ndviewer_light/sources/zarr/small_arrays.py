"""Small arrays of metadata: a few numbers or one text, read at once."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError
from ...storage.decoding.codec import decoded_bytes
from ...storage.decoding.codecs import codec_from
from ...storage.decoding.shard_decoder import object_decoder

if TYPE_CHECKING:
    from ...storage.limits import JsonObject
    from ...storage.trees.tree import Tree

_MAX_NUMBERS = 100_000
_LONGEST_TEXT = 4096


def numbers_of(document: JsonObject, folder: str, tree: Tree) -> list[float]:
    """The numbers of an array of one chunk; [] if it is of something else, or too large."""
    shape, chunk = document.get("shape"), _chunk_of(document)
    try:
        decoder = object_decoder(document, folder)
        if not isinstance(shape, list) or shape != chunk or not 0 < math.prod(shape) <= _MAX_NUMBERS:
            return []
        (data,) = tree.read_whole([_only_chunk(document, folder, tree)], decoder.most_stored)
        if data is None or decoder.dtype.kind not in "iuf":
            return []
        opened = decoder.opened(data, folder)
        values = decoder.part(opened, tuple(slice(0, n) for n in shape), folder).pixels
    except DatasetError:  # it only describes images
        return []
    numbers: list[float] = np.asarray(values, float).reshape(-1).tolist()
    return numbers


def text_of(document: JsonObject, folder: str, tree: Tree) -> str:
    """The one text in a v2 array of texts (numcodecs' ``vlen-utf8``); "" if it is none."""
    filters = document.get("filters")
    if document.get("dtype") != "|O" or document.get("shape") != [1] or not isinstance(filters, list):
        return ""
    if [each.get("id") if isinstance(each, dict) else None for each in filters] != ["vlen-utf8"]:
        return ""
    compressor = document.get("compressor")
    try:
        codecs = [codec_from(compressor, np.dtype("u1"))] if compressor else []
        (data,) = tree.read_whole([_only_chunk(document, folder, tree)], 4 * _LONGEST_TEXT)
        raw = (
            b""
            if data is None
            else decoded_bytes(codecs, data, _LONGEST_TEXT, folder, is_exact=False).tobytes()
        )
        count, length = struct.unpack_from("<II", raw)  # how many texts; the length of the first
    except (DatasetError, struct.error):
        return ""
    return raw[8 : 8 + length].decode("utf-8", "replace").strip() if count == 1 else ""


def _chunk_of(document: JsonObject) -> object:
    if document.get("zarr_format") != 3:
        return document.get("chunks")
    grid = document.get("chunk_grid")
    told = grid.get("configuration") if isinstance(grid, dict) else None
    return told.get("chunk_shape") if isinstance(told, dict) else None


def _only_chunk(document: JsonObject, folder: str, tree: Tree) -> str:
    zeros = ["0"] * len(document["shape"])
    if document.get("zarr_format") == 3:
        return tree.join(folder, "c", *zeros)
    is_nested = document.get("dimension_separator") == "/"
    return tree.join(folder, *zeros) if is_nested else tree.join(folder, ".".join(zeros))
