"""Array metadata in the form that tensorstore reads, where zarr-python and others read and write more forms.

Only what does not change a pixel is brought into that form: options of compressors, which matter when
writing; parts that are left out; another spelling of a type. What is unknown stays as it is, to be judged by
`zarr_guard`. Sources: Zarr v2 and v3 specifications, ``get_config`` of the codecs of numcodecs, tensorstore's
drivers.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..limits import JsonObject

_V2_OPTIONS: dict[str, JsonObject] = {
    "zlib": {"level": 1},
    "gzip": {"level": 1},
    "bz2": {"level": 1},
    "zstd": {"level": 1},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
}
_V3_OPTIONS: dict[str, JsonObject] = {
    "gzip": {"level": 1},
    "zstd": {"level": 1, "checksum": False},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0},
    "crc32c": {},
}
"""What tensorstore knows of each, with values that it accepts; decoding depends on none of them."""


def strict_metadata(document: JsonObject, version: int) -> JsonObject:
    """The metadata of an array in strict form; the same object if it is in that form already."""
    strict = _strict_v3(document) if version == 3 else _strict_v2(document)
    return document if strict == document else strict


def _strict_v2(document: JsonObject) -> JsonObject:
    strict = {**document, "dtype": _dtype(document.get("dtype"))}
    compressor = document.get("compressor")
    if isinstance(compressor, dict):
        strict["compressor"] = _with_known_options(compressor, "id", _V2_OPTIONS)
    if document.get("filters") == []:
        strict["filters"] = None
    return _without_null(strict, "dimension_separator")


def _dtype(name: Any) -> Any:
    """``"<u2"`` for "u2", "uint16", …; what is no type of numbers is unchanged."""
    if isinstance(name, str) and name[:1] not in "<>|":
        with contextlib.suppress(TypeError, ValueError):
            dtype = np.dtype(name)
            return dtype.str if dtype.kind in "biufc" else name
    return name


def _strict_v3(document: JsonObject) -> JsonObject:
    strict = _without_null(document, "dimension_names")
    if strict.get("fill_value") is None:
        strict["fill_value"] = 0
    if isinstance(document.get("codecs"), list):
        strict["codecs"] = [_strict_codec(codec) for codec in document["codecs"]]
    return strict


def _without_null(document: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in document.items() if name != key or value is not None}


def _strict_codec(codec: Any) -> Any:
    if isinstance(codec, str):
        return {"name": codec}
    if not isinstance(codec, dict) or not isinstance(codec.get("configuration"), dict):
        return codec
    configuration = codec["configuration"]
    inner = {
        key: [_strict_codec(each) for each in configuration[key]]
        for key in ("codecs", "index_codecs")
        if isinstance(configuration.get(key), list)
    }
    if inner:
        return {**codec, "configuration": {**configuration, **inner}}
    name = codec.get("name")
    if not isinstance(name, str) or name not in _V3_OPTIONS:
        return codec
    said = _with_known_options({"name": name, **configuration}, "name", _V3_OPTIONS)
    del said["name"]
    return {**codec, "configuration": said}


def _with_known_options(config: JsonObject, key: str, known: dict[str, JsonObject]) -> JsonObject:
    """A compressor's options, without those that tensorstore does not know; invalid values are replaced."""
    name = config.get(key)
    options = known.get(name) if isinstance(name, str) else None
    if options is None:
        return config
    said = {option: _like(config[option], default) for option, default in options.items() if option in config}
    return {key: name, **said}


def _like(value: Any, default: Any) -> Any:
    return value if type(value) is type(default) else default
