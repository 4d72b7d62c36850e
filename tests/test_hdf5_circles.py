"""Structures in which the HDF5 library would go round for ever, or until its stack is full."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hdf5_files import volume, write, write_nwb

from ndviewer_light.sources.hdf5.file import HDF5File

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = """
import sys
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.sources.hdf5.source import HDF5Source
try:
    HDF5Source.open(sys.argv[1])
except CorruptDataError as error:
    print(error)
"""
DATA = volume((3, 20, 30))


def said_of(path: Path) -> str:
    """What the error says that opening raises; in a process of its own, which may hang or crash."""
    command = [sys.executable, "-c", _OPEN, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def grouped(path: Path, groups: int = 400) -> Path:
    """A file whose root group has a tree of two levels."""
    write(path, DATA, libver="earliest")
    with h5py.File(path, "a", libver="earliest") as file:
        for i in range(groups):
            file.create_group(f"group {i:04}")
    return path


def tree_nodes(raw: bytes, level: int) -> list[int]:
    """Where the nodes of group trees begin that are of a level."""
    head = b"TREE\0" + bytes([level])
    found, at = [], raw.find(head)
    while at >= 0:
        found.append(at)
        at = raw.find(head, at + 1)
    return found


@pytest.mark.parametrize(
    ("number", "length"),
    [(0, 0), (1, 2**64 - 16), (0, 2**64 - 16), (1, 2**63)],
    ids=["free space of no length", "a length that wraps", "free space that wraps", "beyond the end"],
)
def test_a_heap_whose_objects_do_not_get_on(tmp_path: Path, number: int, length: int) -> None:
    path = tmp_path / "a.nwb"
    write_nwb(path, S={"data": DATA, "type": "TwoPhotonSeries", "rate": 30.0})
    raw = bytearray(path.read_bytes())
    struct.pack_into("<HHIQ", raw, raw.index(b"GCOL") + 16, number, 1, 0, length)
    path.write_bytes(raw)
    assert "a.nwb is damaged: an object of a global heap" in said_of(path)


@pytest.mark.parametrize("there_and_back", [False, True])
def test_free_blocks_in_a_circle(tmp_path: Path, there_and_back: bool) -> None:
    path = write(tmp_path / "a.h5", DATA, libver="earliest")
    raw = bytearray(path.read_bytes())
    size, free, data = struct.unpack_from("<QQQ", raw, raw.index(b"HEAP") + 8)
    other = free + 16 if there_and_back else free
    assert other + 16 <= size
    struct.pack_into("<QQ", raw, data + other, free, 16)
    struct.pack_into("<QQ", raw, data + free, other, 16)
    path.write_bytes(raw)
    assert "a.h5 is damaged: the free list" in said_of(path)


def test_a_node_below_itself(tmp_path: Path) -> None:
    path = grouped(tmp_path / "a.h5")
    raw = bytearray(path.read_bytes())
    (top,) = tree_nodes(raw, 1)
    struct.pack_into("<Q", raw, top + 32, top)
    path.write_bytes(raw)
    assert "a.h5 is damaged: the B-tree of a group" in said_of(path)


def test_a_leaf_that_says_it_is_above_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", DATA, libver="earliest")
    raw = bytearray(path.read_bytes())
    leaf = tree_nodes(raw, 0)[0]
    raw[leaf + 5] = 1
    struct.pack_into("<Q", raw, leaf + 32, leaf)
    path.write_bytes(raw)
    assert "a.h5 is damaged: the B-tree of a group" in said_of(path)


def test_a_node_that_hangs_from_every_entry(tmp_path: Path) -> None:
    path = grouped(tmp_path / "a.h5")
    raw = bytearray(path.read_bytes())
    (top,) = tree_nodes(raw, 1)
    raw[top + 40 : top + 56] = raw[top + 24 : top + 40]
    path.write_bytes(raw)
    assert "a.h5 is damaged: the B-tree of a group" in said_of(path)


@pytest.mark.parametrize("before", [0, 512], ids=["at the beginning", "behind something else"])
def test_large_structures_that_are_in_order_are_read(tmp_path: Path, before: int) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="earliest", userblock_size=before) as file:
        texts = h5py.string_dtype()
        for i in range(600):
            file.create_group(f"group {i:04}").attrs.create("text", ["é" * (7 * i), "", "b"], dtype=texts)
        file["a"] = DATA
        for i in range(0, 600, 3):
            del file[f"group {i:04}"]
        file["group 0001"].attrs.create("long", ["x" * 20_000, "after"], dtype=texts)
    file = HDF5File(str(path), None)
    with file.reading("its groups"):
        assert len(list(file.walk(seconds=60))) == 401
        for i in (1, 299, 599):
            group = file.node(f"/group {i:04}")
            assert isinstance(group, h5py.Group)
            assert list(group.attrs["text"]) == ["é" * (7 * i), "", "b"]
        assert file.node("/group 0300") is None
        first = file.node("/group 0001")
        assert first is not None
        assert [len(text) for text in first.attrs["long"]] == [20_000, 5]
        pixels = file.node("/a")
        assert isinstance(pixels, h5py.Dataset)
        np.testing.assert_array_equal(pixels[2], DATA[2])
    file.close()
