"""Fill values in every form that writers use, against what zarr-python makes of the same metadata."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from stores import needs_zarr_3

from ndviewer_light.errors import MetadataError
from ndviewer_light.storage.decoding.fill_values import as_json, fill_value, is_usual

pytestmark = needs_zarr_3


if TYPE_CHECKING:
    from pathlib import Path


def read(value: object, dtype: str) -> np.generic:
    return fill_value(value, np.dtype(dtype), "a.zarr")


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        *[("u2", 0), ("u2", 777), ("i2", -1), ("u8", 2**64 - 1), ("bool", True), ("f4", 0.5), ("f8", -1e300)],
        *[("f4", np.nan), ("f4", np.inf), ("f8", -np.inf), ("f2", np.nan)],
        *[("c8", 1 - 2j), ("c16", complex(np.nan, -np.inf))],
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_what_zarr_python_writes(tmp_path: Path, dtype: str, value: Any, version: int) -> None:
    array = zarr.create_array(tmp_path / "a", shape=(1,), dtype=dtype, fill_value=value, zarr_format=version)
    document = json.loads((tmp_path / "a" / ("zarr.json" if version == 3 else ".zarray")).read_text())
    found = read(document["fill_value"], dtype)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, np.asarray(array[...])[0])
    assert is_usual(document["fill_value"])
    np.testing.assert_array_equal(read(as_json(found), dtype), found)


@pytest.mark.parametrize(
    ("written", "dtype", "value"),
    [
        *[(None, "u2", 0), (None, "f4", 0.0), (7.0, "u2", 7), (0, "bool", False), (1, "bool", True)],
        *[("0", "u2", 0), ("-3", "i2", -3), ("1.5", "f4", 1.5), ("18446744073709551615", "u8", 2**64 - 1)],
        *[("0x7fc00000", "f4", np.nan), ("0x3f800000", "f4", 1.0), ("0xc008000000000000", "f8", -3.0)],
        *[([1, "NaN"], "c8", complex(1, np.nan)), (["0x3f800000", 0], "c8", 1 + 0j)],
        *[(base64.b64encode(b"\x09\x03").decode(), ">u2", 0x0903), ("AAAAAAAA8D8=", "<f8", 1.0)],
    ],
)
def test_forms_of_other_writers(written: object, dtype: str, value: Any) -> None:
    found = read(written, dtype)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    ("written", "dtype"),
    [
        *[
            ("NaN", "u2"),
            (-1, "u2"),
            (2**16, "u2"),
            (1.5, "u2"),
            (2**70, "u8"),
            ("seven", "u2"),
            ([1, 2], "f4"),
        ],
        *[([1], "c8"), ({}, "f4"), ("0x3f8000000", "f4"), ("0xzz", "f4"), ("AAAA", "f8"), ("1" * 500, "f8")],
    ],
)
def test_what_is_no_number_of_that_kind_is_refused(written: object, dtype: str) -> None:
    with pytest.raises(MetadataError, match=r"a\.zarr: fill_value"):
        read(written, dtype)
