"""ND2 files that are unfinished, cut off, damaged or made to do harm: an error that says so, never black."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bombs import zeros_deflated
from nd2_samples import HEIGHT, TWO, WIDTH, T, Z, assert_planes_are, frame, place_of
from nd2_writer import time_loop, write_nd2, z_loop

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.nd2.guard import check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

nd2 = pytest.importorskip("nd2")


# ---- what is not right ---------------------------------------------------------------------------


def test_frames_that_were_not_acquired_are_missing_not_black(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, skip={5, 6, 7})
    source = opened(tmp_path / "a.nd2")
    assert source.info.n_t == 2
    assert "the file lacks 3 of 8 frames" in source.info.warnings[0]
    assert [source.exists(PlaneKey(t=1, z=z)) for z in range(4)] == [True, False, False, False]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1)), frame(4)[..., 0])
    with pytest.raises(PlaneNotStoredError, match=r"a\.nd2 does not contain frame 5") as caught:
        source.read_plane(PlaneKey(t=1, z=1))
    assert caught.value.plane_shape == (HEIGHT, WIDTH)


def test_outside_the_file_is_an_index_error(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO)
    source = opened(tmp_path / "a.nd2")
    for key in (PlaneKey(t=2), PlaneKey(c=2), PlaneKey(p=1), PlaneKey(z=1), PlaneKey(t=-1)):
        with pytest.raises(IndexError, match=r"a\.nd2"):
            source.read_plane(key)
        assert not source.exists(key)
    with pytest.raises(IndexError, match="level 1"):
        source.read_plane(PlaneKey(), level=1)
    assert source.plane_shape(PlaneKey()) == (HEIGHT, WIDTH)


def unfinished(path: Path) -> None:
    write_nd2(path, frame, [T], TWO, finished=False)


def cut_off(path: Path) -> None:
    write_nd2(path, frame, [T], TWO)
    os.truncate(path, path.stat().st_size * 2 // 3)


def without(name: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_nd2(path, frame, [T], TWO)
        data = path.read_bytes()
        at = data.rindex(name)  # in the map
        path.write_bytes(data[:at] + b"X" * len(name) + data[at + len(name) :])

    return write


def said_to_be(**attributes: int) -> Callable[[Path], None]:
    return lambda path: write_nd2(path, frame, [T], TWO, attributes=attributes)


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        pytest.param(lambda path: path.touch(), CorruptDataError, "is empty", id="empty"),
        pytest.param(
            lambda path: path.write_bytes(b"\x89PNG"), MetadataError, "is not an ND2 file", id="another"
        ),
        pytest.param(
            unfinished, CorruptDataError, "still being acquired, or was cut off", id="being written"
        ),
        pytest.param(cut_off, CorruptDataError, "still being acquired, or was cut off", id="cut off"),
        pytest.param(without(b"ImageAttributesLV"), MetadataError, "lacks ImageAttributesLV", id="no sizes"),
        pytest.param(
            without(b"ImageMetadataSeqLV"), MetadataError, "lacks ImageMetadataSeqLV", id="no picture"
        ),
        pytest.param(said_to_be(eCompression=1), UnsupportedError, "lossy compression", id="lossy"),
        pytest.param(said_to_be(uiBpcInMemory=12), UnsupportedError, "12-bit pixels", id="packed bits"),
        pytest.param(said_to_be(uiHeight=0), MetadataError, "rows, columns", id="no rows"),
        pytest.param(said_to_be(uiWidthBytes=10), MetadataError, "rows of 10 bytes", id="short rows"),
        pytest.param(said_to_be(uiComp=1), MetadataError, "2 channels with 1 component:", id="uneven"),
        pytest.param(
            said_to_be(uiWidth=2**31, uiWidthBytes=2**32 - 1, uiComp=1, uiBpcInMemory=8),
            LimitExceededError,
            "bytes per plane",
            id="absurd",
        ),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(tmp_path, make, kind, said):
    make(tmp_path / "a.nd2")
    with pytest.raises(kind, match=rf"a\.nd2.*{said}"):
        open_source(str(tmp_path / "a.nd2"))


@pytest.mark.parametrize("loop", [time_loop(2**31), z_loop(2**24)], ids=["t", "z"])
def test_an_absurd_number_of_frames_is_refused(tmp_path, monkeypatch, loop):
    monkeypatch.setattr("nd2_writer.math.prod", lambda counts: 1)  # it says so many, and has one
    write_nd2(tmp_path / "a.nd2", frame, [loop], TWO)
    monkeypatch.undo()
    with pytest.raises(LimitExceededError, match=f"{loop.axis} {loop.count}"):
        open_source(str(tmp_path / "a.nd2"))


def test_frames_that_belong_nowhere_are_mentioned(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [Z], TWO)
    said = "uiCount\0".encode("utf-16-le")
    data = (tmp_path / "a.nd2").read_bytes()
    data = data.replace(said + struct.pack("<I", 4), said + struct.pack("<I", 3))
    (tmp_path / "a.nd2").write_bytes(data)
    assert any("1 frame in the file, of no time" in text for text in opened(tmp_path / "a.nd2").info.warnings)


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
@pytest.mark.parametrize(
    ("at", "data", "said"),
    [
        pytest.param(0, b"\0", "is not where its index says", id="no chunk"),
        pytest.param(16, b"ImageDataSeq|9!", "is not where its index says", id="another frame"),
        pytest.param(8, struct.pack("<Q", 40), "damaged", id="shorter"),
        pytest.param(8, struct.pack("<Q", 2**40), "at most", id="absurdly long"),
        pytest.param(8, struct.pack("<Q", 10**6), "truncated", id="longer than the file"),
        pytest.param(4, struct.pack("<I", 5000), "damaged", id="longer name"),
        pytest.param(4, struct.pack("<I", 2**31), "is not where its index says", id="absurd name"),
    ],
)
def test_a_damaged_frame_is_an_error_and_the_others_are_right(tmp_path, opened, compressed, at, data, said):
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO, compressed=compressed)
    source = opened(path)
    with open(path, "r+b") as file:
        file.seek(place_of(path, 1) + at)
        file.write(data)
    with pytest.raises(DatasetError, match=rf"a\.nd2.*{said}"):
        source.read_plane(PlaneKey(t=1))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=0)), frame(0)[..., 0])


@pytest.mark.parametrize("flipped", range(0, 60, 7))
def test_a_deflated_frame_with_another_bit_is_an_error(tmp_path, opened, flipped):
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO, compressed=True)
    data = bytearray(path.read_bytes())
    data[place_of(path, 1) + 4096 + flipped] ^= 0x20
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match="frame 1"):
        opened(path).read_plane(PlaneKey(t=1))


@pytest.mark.parametrize("more", [1, 10**6, 10**9])
def test_a_frame_that_inflates_to_more_than_a_frame_is_an_error(tmp_path, opened, monkeypatch, more):
    packed = zeros_deflated(HEIGHT * WIDTH * 4 + more)
    monkeypatch.setattr("nd2_writer.zlib.compress", lambda data, level: packed)
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO, compressed=True)
    monkeypatch.undo()
    with pytest.raises(CorruptDataError, match="or more where"):
        opened(tmp_path / "a.nd2").read_plane(PlaneKey())


def test_a_file_that_shrinks_while_it_is_open_is_truncated_not_black(tmp_path, opened):
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO)
    source = opened(path)
    os.truncate(path, place_of(path, 1) + 5000)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), frame(0)[..., 0])
    with pytest.raises(CorruptDataError, match=r"a\.nd2 is truncated"):
        source.read_plane(PlaneKey(t=1))


def test_a_file_that_was_replaced_is_shown_after_a_refresh(tmp_path, opened):
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO)
    source = opened(path)
    before = source.info
    assert source.refresh() is before, "nothing new"
    write_nd2(tmp_path / "b", lambda i: frame(i + 5), [time_loop(4)], TWO)
    os.replace(tmp_path / "b", path)
    assert source.refresh().n_t == 4
    assert_planes_are(source, lambda i: frame(i + 5), "t")
    path.write_bytes(b"")
    with pytest.raises(CorruptDataError):
        source.refresh()
    assert source.info.n_t == 4


# ---- metadata that would choke the library -------------------------------------------------------


def level(name: str, data: bytes, count: int = 1) -> bytes:
    """A level of the binary tree around `data`."""
    head = struct.pack("<BB", 11, len(name) + 1) + (name + "\0").encode("utf-16-le")
    return head + struct.pack("<IQ", count, len(head) + 12 + len(data)) + data + bytes(8 * count)


def deflated(data: bytes) -> bytes:
    return inflating(zlib.compress(data, 9))


def inflating(packed: bytes) -> bytes:
    return struct.pack("<BB", 76, 0) + bytes(10) + packed


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = level("a", data)
    return data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nested(2000), id="deep"),
        pytest.param(level("a", inflating(zeros_deflated(10**9))), id="a bomb"),
        pytest.param(deflated(inflating(zeros_deflated(10**9))), id="a bomb in a bomb"),
        pytest.param(level("a", struct.pack("<BB", 8, 1) + b"\0\0" + b"ab" * 10**6), id="a text without end"),
        pytest.param(bytes(20 * 1024**2), id="large"),
    ],
)
def test_metadata_that_no_microscope_writes_are_refused(data):
    with pytest.raises(LimitExceededError, match=r"a\.nd2"):
        check_metadata(data, "a.nd2: ImageAttributesLV")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_xml_with_entities_is_refused(encoding):
    text = '<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]><variant>&x;</variant>'
    with pytest.raises(MetadataError, match="XML entities"):
        check_metadata(("<a/>" + text).encode(encoding), "a.nd2")


def test_metadata_that_are_merely_damaged_are_left_to_the_library(tmp_path):
    for data in (
        b"",
        b"\x0b",
        b"\0\0\0\0",
        level("a", b"\x06"),
        deflated(b"x")[:-3],
        b"\x4c\0nothing deflated",
    ):
        check_metadata(data, "a.nd2")


def test_what_the_library_raises_names_the_file(tmp_path):
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO)
    data = path.read_bytes()
    path.write_bytes(data.replace("uiWidth\0".encode("utf-16-le"), "uiWodth\0".encode("utf-16-le")))
    with pytest.raises(MetadataError, match=r"a\.nd2 cannot be interpreted.*KeyError"):
        open_source(str(path))


# ---- hundreds of them -------------------------------------------------------------------------------


def test_two_hundred_damaged_files_end_in_errors_of_ours_or_right_pixels(tmp_path):
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tests / "nd2_mutants.py"), str(tmp_path), "200"],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    assert outcomes.pop("MiB") < 300
    assert sum(outcomes.values()) == 200
    assert min(outcomes["right"], outcomes["not opened"], outcomes["not read"]) > 20, "not much was tried"
