"""Planes that are one chunk each are read without tensorstore: the same pixels, and the same errors."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr
from stores import make_old, needs_zarr_3, plane

from ndviewer_light.errors import CorruptDataError, UntrustedReferenceError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import Source, open_source
from ndviewer_light.sources.zarr.tensorstore_context import TensorStoreContext
from ndviewer_light.storage.plane_memory import lent

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (2, 3, 24, 40)
_V2: dict[str, Any] = {"plain": None, "blosc": numcodecs.Blosc("zstd"), "zstd": numcodecs.Zstd()}


def _pixels(dtype: str) -> np.ndarray:
    return np.stack([[plane(t, 0, c, dtype=dtype) for c in range(3)] for t in range(2)])


def _write(path: Path, version: int, codec: str, dtype: str = "<u2", **how: Any) -> Path:
    if version == 2:
        how = {"compressors": _V2[codec], **how}
    else:
        codecs = {"plain": None, "blosc": zarr.codecs.BloscCodec(), "zstd": zarr.codecs.ZstdCodec()}
        how = {"compressors": codecs[codec], "dimension_names": list("tcyx"), **how}
    array = zarr.create_array(
        path, shape=SHAPE, chunks=(1, 1, *SHAPE[2:]), dtype=dtype, zarr_format=version, **how
    )
    if version == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = list("tcyx")
    array[:] = _pixels(dtype)
    make_old(path)
    return path


def _opened(path: Path) -> contextlib.closing[Source]:
    return contextlib.closing(open_source(str(path)))


@pytest.fixture
def without_tensorstore(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: Any, **more: Any) -> np.ndarray:
        raise AssertionError("read by tensorstore")

    monkeypatch.setattr(TensorStoreContext, "read", read)


def _read(source: Source) -> np.ndarray:
    return np.stack([[source.read_plane(PlaneKey(t=t, c=c)) for c in range(3)] for t in range(2)])


@needs_zarr_3
@pytest.mark.usefixtures("without_tensorstore")
@pytest.mark.parametrize("codec", list(_V2))
@pytest.mark.parametrize("dtype", ["<u2", "|u1", "<f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_plane_in_one_chunk_is_read_without_tensorstore(
    tmp_path: Path, version: int, order: str, dtype: str, codec: str
) -> None:
    how: dict[str, Any] = {"order": order}
    if version == 3:
        how = {"filters": [zarr.codecs.TransposeCodec(order=(3, 2, 1, 0))]} if order == "F" else {}
    with _opened(_write(tmp_path / "a.zarr", version, codec, dtype, **how)) as source:
        assert source.read_plane(PlaneKey()).flags[f"{order}_CONTIGUOUS"]  # as it is stored
        np.testing.assert_array_equal(_read(source), _pixels(dtype))


@needs_zarr_3
@pytest.mark.parametrize("codec", list(_V2))
def test_it_is_read_into_memory_that_is_lent(tmp_path: Path, codec: str) -> None:
    class Memory:
        def take(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
            self.taken: np.ndarray = np.empty(shape, dtype, order)  # type: ignore[call-overload]
            return self.taken

    memory = Memory()
    with _opened(_write(tmp_path / "a.zarr", 3, codec)) as source, lent(memory):
        pixels = source.read_plane(PlaneKey(t=1))
    assert np.shares_memory(pixels, memory.taken)
    np.testing.assert_array_equal(pixels, plane(1))


@needs_zarr_3
@pytest.mark.parametrize(
    "how",
    [
        {"dtype": ">u2"},
        {"chunks": (1, 1, 12, 40)},  # several a plane
        {"chunks": (1, 1, 32, 64)},  # cut at the edges
        {"chunks": (2, 1, 24, 40)},  # of two planes
        {"shards": (2, 1, 24, 40)},
    ],
    ids=str,
)
def test_others_are_left_to_tensorstore(tmp_path: Path, how: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"shape": SHAPE, "chunks": (1, 1, *SHAPE[2:]), "dtype": "u2"}
    array = zarr.create_array(tmp_path / "a.zarr", dimension_names=list("tcyx"), **usual | how)
    array[:] = _pixels("u2")
    with _opened(tmp_path / "a.zarr") as source:
        np.testing.assert_array_equal(_read(source), _pixels("u2"))


@needs_zarr_3
def test_metadata_written_anew_count_for_the_next_read(tmp_path: Path) -> None:
    """Chunks of the same size that mean something else from now on: the rows of before are columns."""
    array = _write(tmp_path / "a.zarr", 3, "plain")
    with _opened(array) as source:
        np.testing.assert_array_equal(_read(source), _pixels("u2"))
        document = json.loads((array / "zarr.json").read_text())
        document["codecs"].insert(0, {"name": "transpose", "configuration": {"order": [0, 1, 3, 2]}})
        (array / "zarr.json").write_text(json.dumps(document))
        expected = plane().reshape(40, 24).T
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected)


@needs_zarr_3
@pytest.mark.parametrize(
    ("codec", "how"),
    [
        (codec, how)
        for codec in _V2
        for how in ("cut off", "longer", "another chunk", "empty")
        if (codec, how) != ("zstd", "longer")  # what follows a frame of Zstandard is ignored
    ],
)
def test_what_is_no_chunk_is_damaged(tmp_path: Path, how: str, codec: str) -> None:
    array = _write(tmp_path / "a.zarr", 3, codec)
    chunk = array / "c" / "0" / "0" / "0" / "0"
    data = chunk.read_bytes()
    other = _write(tmp_path / "b.zarr", 3, codec, "|u1") / "c" / "0" / "0" / "0" / "0"
    chunk.write_bytes(
        {"cut off": data[:-7], "longer": data + data, "another chunk": other.read_bytes(), "empty": b""}[how]
    )
    os.utime(chunk, (1e9, 1e9))
    with _opened(array) as source:
        with pytest.raises(CorruptDataError, match="0/0/0/0"):
            source.read_plane(PlaneKey())
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1)), plane(1))


@needs_zarr_3
@pytest.mark.parametrize("codec", list(_V2))
def test_a_link_that_leads_out_is_not_read(tmp_path: Path, codec: str) -> None:
    array, other = (_write(tmp_path / name / "a.zarr", 3, codec) for name in ("data", "secret"))
    chunk = array / "c" / "0" / "0" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to(other / "c" / "0" / "0" / "0" / "0")
    with _opened(array) as source, pytest.raises(UntrustedReferenceError):
        source.read_plane(PlaneKey())
