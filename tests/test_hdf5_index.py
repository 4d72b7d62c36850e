"""Chunks are found where they are, in every kind of index that HDF5 has, however many there are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import h5py
import pytest
from hdf5_files import volume

from ndviewer_light.errors import CorruptDataError
from ndviewer_light.sources.hdf5.array import facts, opened
from ndviewer_light.sources.hdf5.chunk_index.arrays import ExtensibleArray, FixedArray, ImplicitIndex
from ndviewer_light.sources.hdf5.chunk_index.btree import BTree
from ndviewer_light.sources.hdf5.chunk_index.chunks import NothingStored, table_of
from ndviewer_light.sources.hdf5.chunk_index.structures import lookup3
from ndviewer_light.sources.hdf5.file import HDF5File

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.sources.hdf5.chunk_index.index import ChunkIndex

    Chunks = dict[tuple[int, ...], tuple[int, int, int]]  # place → address, size, mask


def write_chunks(path: Path, n: int, every: int, most: int | None, **how: Any) -> Path:
    """A dataset (n, 2, 2) in two chunks a row; only some rows are written, and of every third only one."""
    file_how = {key: how.pop(key) for key in ("libver", "userblock_size") if key in how}
    with h5py.File(path, "w", **file_how) as file:
        data = file.create_dataset("a", (n, 2, 2), "u2", chunks=(1, 2, 1), maxshape=(most, 2, 2), **how)
        for i in range(0, n, every):
            data.id.write_direct_chunk((i, 0, 0), b"1234")
            if i % 3:
                data.id.write_direct_chunk((i, 0, 1), b"5678")
    return path


def index_of(file: HDF5File) -> ChunkIndex:
    with file.reading("its index"):
        node = file.node("/a")
        assert isinstance(node, h5py.Dataset)
        index = opened(file, facts(file, "/a", node), node, ("z", "y", "x")).chunk_index
    assert index is not None
    return index


def by_h5py(path: Path) -> Chunks:
    found: Chunks = {}

    def note(chunk: Any) -> None:
        place = tuple(at // part for at, part in zip(chunk.chunk_offset, data.chunks, strict=True))
        found[place] = (chunk.byte_offset, chunk.size, chunk.filter_mask)

    with h5py.File(path) as file:
        data = file["a"]
        data.id.chunk_iter(note)
    return found


def assert_finds(index: ChunkIndex, expected: Chunks) -> None:
    """One by one, many together, and all at once."""
    places = list(itertools.product(*map(range, index.grid.counts)))
    some = places[:: max(1, len(places) // 300)]
    for place in some[::20]:
        assert index.find([place]) == [expected.get(place)]
    assert index.find(some) == [expected.get(place) for place in some]
    assert index._lookup is not None
    parts = index._lookup.parts(lambda: False)
    assert parts is not None
    table = table_of(index.grid, parts)
    assert table.find([index.grid.number(place) for place in places]) == [expected.get(p) for p in places]
    assert len(table.numbers) == len(expected)


SIZES = [
    (1, 1, None),
    (2, 1, None),
    (9, 1, None),
    (101, 1, None),
    (3000, 1, None),
    (20_000, 977, None),
    (9, 1, 9),
    (511, 1, 511),
    (513, 1, 513),
    (3000, 1, 3000),
    (3000, 700, 5000),
]


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(("n", "every", "most"), SIZES)
def test_every_chunk_is_found(
    tmp_path: Path, n: int, every: int, most: int | None, compression: str | None, libver: str
) -> None:
    path = write_chunks(tmp_path / "a.h5", n, every, most, compression=compression, libver=libver)
    file = HDF5File(str(path), None)
    index = index_of(file)
    kind: Any = BTree if libver == "earliest" else ExtensibleArray if most is None else FixedArray
    assert isinstance(index._lookup, kind)
    assert_finds(index, by_h5py(path))
    file.close()


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("most", [None, 40])
def test_addresses_count_from_where_the_file_begins(tmp_path: Path, most: int | None, libver: str) -> None:
    path = write_chunks(tmp_path / "a.h5", 40, 1, most, libver=libver, userblock_size=1024)
    file = HDF5File(str(path), None)
    assert_finds(index_of(file), by_h5py(path))
    file.close()


@pytest.mark.parametrize("libver", ["v110", "latest"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_chunk_alone_and_chunks_in_a_row(tmp_path: Path, libver: str, compression: str | None) -> None:
    data = volume()
    with h5py.File(tmp_path / "alone.h5", "w", libver=libver) as file:
        file.create_dataset("a", data=data, chunks=data.shape, compression=compression)
    with h5py.File(tmp_path / "row.h5", "w", libver=libver) as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 16, 20))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        made = h5py.h5d.create(file.id, b"a", h5py.h5t.STD_U16LE, h5py.h5s.create_simple(data.shape), plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
    for path in (tmp_path / "alone.h5", tmp_path / "row.h5"):
        opened_file = HDF5File(str(path), None)
        index = index_of(opened_file)
        assert isinstance(index._lookup, ImplicitIndex)
        assert_finds(index, by_h5py(path))
        opened_file.close()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_where_nothing_is_stored_nothing_is_found(tmp_path: Path, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as made:
        made.create_dataset("a", (5, 2, 2), "u2", chunks=(1, 2, 2))
    file = HDF5File(str(tmp_path / "a.h5"), None)
    assert isinstance(index_of(file)._lookup, NothingStored)
    assert_finds(index_of(file), {})
    file.close()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("most", [None, 3000])
def test_a_damaged_index_is_an_error(tmp_path: Path, libver: str, most: int | None) -> None:
    path = write_chunks(tmp_path / "a.h5", 3000, 1, most, libver=libver)
    raw = path.read_bytes()
    signatures = (b"TREE",) if libver == "earliest" else (b"EADB", b"EASB", b"EAIB", b"FADB")
    for signature in signatures:
        at = raw.rfind(signature)
        if at < 0:
            continue
        path.write_bytes(raw[: at + 20] + b"\xff\xfe\xfd" + raw[at + 23 :])
        if signature == b"TREE":
            path.write_bytes(raw[:at] + b"MESS" + raw[at + 4 :])
        file = HDF5File(str(path), None)
        places = [(i, 0, 0) for i in range(3000)]
        with pytest.raises(CorruptDataError, match=r"a\.h5::/a is damaged"):
            index_of(file).find(places)
        file.close()


def test_a_tree_in_a_circle_is_an_error(tmp_path: Path) -> None:
    path = write_chunks(tmp_path / "a.h5", 3000, 1, None, libver="earliest")
    file = HDF5File(str(path), None)
    lookup = index_of(file)._lookup
    assert isinstance(lookup, BTree)
    raw, root = bytearray(path.read_bytes()), lookup._root
    key = 8 + 8 * 4
    children = range(root + 24 + key, root + 24 + 64 * (key + 8), key + 8)
    for child in children:
        raw[child : child + 8] = root.to_bytes(8, "little")
    path.write_bytes(raw)
    with pytest.raises(CorruptDataError, match="contains a loop"):
        lookup.find([(7, 0, 0)])
    with pytest.raises(CorruptDataError, match="contains a loop"):
        lookup.parts(lambda: False)
    file.close()


def test_the_checksum_is_that_of_its_author() -> None:
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551
