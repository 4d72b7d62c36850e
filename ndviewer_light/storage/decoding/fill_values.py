"""Fill values in the metadata of Zarr arrays, in every form that writers use.

Sources: Zarr v2 and v3 specifications (numbers; text for NaN and infinities; in v3 the bits of a float as
``"0x7fc00000"``; pairs for complex numbers); n5-zarr and others write numbers as text; in v2, bytes may be in
base64.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ...errors import MetadataError
from ..printable import brief

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LONGEST_FILL = 400  # characters; the digits of any number


def fill_value(value: object, dtype: np.dtype[Any], where: str) -> np.generic:
    """The fill value of an array as a scalar of `dtype`, in native byte order; null is 0.

    Raises `MetadataError` for what is not a number, or is outside the range of integers of `dtype`.
    """
    native = dtype.newbyteorder("=")
    try:
        with np.errstate(all="ignore"):  # what does not fit is found below, or becomes infinite
            scalar: np.generic = np.asarray(_number(value, dtype)).astype(native).flat[0]
        if native.kind in "iu" and int(scalar) != _number(value, dtype):
            raise ValueError("out of range")
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(
            f"{where}: fill_value is {brief(value)}, expected a number that fits {native}"
        ) from error
    return scalar


def is_usual(value: object) -> bool:
    """Whether every library reads this form: not a number as text, nor bytes, nor NaN, which is not JSON."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, str) or value in _WORDS or value.startswith("0x")


def as_json(scalar: np.generic) -> Any:
    """A scalar in the usual form."""
    value = scalar.item()
    if isinstance(value, complex):
        return [as_json(np.float64(value.real)), as_json(np.float64(value.imag))]
    if isinstance(value, float) and not math.isfinite(value):
        return next(word for word, meant in _WORDS.items() if str(meant) == str(value))
    return value


def _number(value: object, dtype: np.dtype[Any]) -> Any:
    if value is None:
        return 0
    if isinstance(value, list) and len(value) == 2 and dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return complex(float(_number(value[0], part)), float(_number(value[1], part)))
    if isinstance(value, str):
        return _from_text(value, dtype)
    if isinstance(value, (bool, int)):
        return bool(value) if dtype.kind == "b" else int(value)
    if isinstance(value, float):
        return int(value) if dtype.kind in "iu" and value.is_integer() else value
    raise TypeError("not a number")


def _from_text(text: str, dtype: np.dtype[Any]) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_FILL:
        raise ValueError("too long")
    if text.startswith("0x") and dtype.kind == "f":
        raw = bytes.fromhex(text[2:].rjust(2 * dtype.itemsize, "0"))
        return _from_bytes(raw, dtype.newbyteorder(">"))
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return _from_bytes(base64.b64decode(text, validate=True), dtype)


def _from_bytes(raw: bytes, dtype: np.dtype[Any]) -> Any:
    if len(raw) != dtype.itemsize:
        raise ValueError("not as many bytes as a number has")
    return np.frombuffer(raw, dtype)[0].item()
