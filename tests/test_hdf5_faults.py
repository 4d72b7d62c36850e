"""HDF5 files that cannot be shown: an error that says which file, why, and what to do."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import h5py
import hdf5_files
import numpy as np
import pytest
from bombs import zeros_deflated
from hdf5_files import GZIP, volume, write

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5.format import HDF5Format

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.sources.hdf5.source import HDF5Source

    Open = Callable[..., HDF5Source]


def test_what_is_no_hdf5_file_says_so(tmp_path: Path, opened: Open) -> None:
    for content in (b"\x0e\x03\x13\x01 HDF4", b"version https://git-lfs", bytes(100_000)):
        (tmp_path / "a.h5").write_bytes(content)
        with pytest.raises(MetadataError, match="not an HDF5 file"):
            opened(tmp_path / "a.h5")
    with pytest.raises(DatasetNotFoundError):
        opened(tmp_path / "missing.h5")
    os.mkfifo(tmp_path / "pipe.h5")  # nobody writes to it
    assert not HDF5Format().recognises(str(tmp_path / "pipe.h5"))
    with pytest.raises(DatasetError, match="a pipe"):
        opened(tmp_path / "pipe.h5")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_truncated_file_says_so(tmp_path: Path, opened: Open, libver: str) -> None:
    path = write(tmp_path / "a.h5", libver=libver, chunks=(1, 37, 53), **GZIP)
    size = path.stat().st_size
    for length in (size - 1, size // 2, 100):
        os.truncate(path, length)
        with pytest.raises(CorruptDataError, match=rf"truncated: {length:,} of {size:,} bytes"):
            opened(path)
    for length in (47, 8, 1):  # as much of its signature as is left tells what it is
        os.truncate(path, length)
        with pytest.raises(
            CorruptDataError, match=rf"truncated: it has {length} bytes?, less than the header of"
        ):
            opened(path)
    os.truncate(path, 0)
    with pytest.raises(CorruptDataError, match=r"empty \(0 bytes\)"):
        opened(path)


def test_a_filter_that_nobody_has_names_itself(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.h5"
    hdf5_files.write_raw_chunk(path, volume((20, 30)), b"?" * 50, [(40_000, ())])
    with pytest.raises(UnsupportedError, match=r"number 40000.*pip install hdf5plugin"):
        opened(path)


def test_a_chunk_of_a_missing_filter_blocks_no_other(tmp_path: Path, opened: Open) -> None:
    data = volume((3, 20, 30))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 20, 30))
        plist.set_shuffle()
        plist.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL, ())
        made = h5py.h5d.create(
            file.id, b"a", h5py.h5t.py_create(data.dtype), h5py.h5s.create_simple(data.shape), plist
        )
        for z, (stored, mask) in enumerate([(b"?" * 50, 0), (data[1].tobytes(), 3)]):
            made.write_direct_chunk((z, 0, 0), stored, mask)
        shuffled = np.ascontiguousarray(data[2].reshape(-1, 1).view("u1").T)
        made.write_direct_chunk((2, 0, 0), shuffled.tobytes(), 2)
    source = opened(tmp_path / "a.h5")
    for z in (1, 2):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), data[z])
    with pytest.raises(UnsupportedError, match=r"chunk \(0, 0, 0\).*number 40000.*pip install hdf5plugin"):
        source.read_plane(PlaneKey())


def test_filters_of_hdf5plugin(tmp_path: Path, opened: Open) -> None:
    plugin = pytest.importorskip("hdf5plugin")
    data = volume((2, 20, 30))
    kinds = {"Bitshuffle": {"cname": "lz4"}, "LZ4": {}, "Blosc2": {}, "BZip2": {}, "Zstd": {}, "Blosc": {}}
    for name, values in kinds.items():
        how = dict(getattr(plugin, name)(**values))
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file.create_dataset(name, data=data, chunks=(1, 20, 30), **how)
    for name in kinds:
        source = opened(tmp_path / "a.h5", name)
        for z in range(2):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), data[z], err_msg=name)


@pytest.mark.parametrize(
    ("stored", "filters"),
    [
        pytest.param(zlib.compress(bytes(1000)), [(1, (4,))], id="too short"),
        pytest.param(zeros_deflated(300_000_000), [(1, (4,))], id="a bomb"),
        pytest.param(zlib.compress(volume((20, 30)).tobytes())[:-5], [(1, (4,))], id="cut"),
        pytest.param(b"no zlib", [(1, (4,))], id="not compressed"),
        pytest.param(volume((20, 30)).tobytes() + b"1234", [(3, ())], id="wrong checksum"),
        pytest.param(b"12", [(3, ())], id="no checksum"),
    ],
)
def test_damaged_chunks_are_errors_not_pixels(
    tmp_path: Path, opened: Open, stored: bytes, filters: list[tuple[int, tuple[int, ...]]]
) -> None:
    path = tmp_path / "a.h5"
    hdf5_files.write_raw_chunk(path, volume((20, 30)), stored, filters)
    source = opened(path)
    with pytest.raises(CorruptDataError, match=r"a\.h5"):
        source.read_plane(PlaneKey())


def test_bytes_that_were_shuffled_as_items_of_no_bytes_are_an_error(tmp_path: Path, opened: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="earliest") as file:
        file.create_dataset("a", data=volume((3, 20, 30)), chunks=(1, 20, 30), shuffle=True)
    data = (tmp_path / "a.h5").read_bytes()
    of_two_bytes, of_none = (b"shuffle\0" + struct.pack("<I", size) for size in (2, 0))
    assert data.count(of_two_bytes) == 1
    (tmp_path / "a.h5").write_bytes(data.replace(of_two_bytes, of_none))
    source = opened(tmp_path / "a.h5")
    with pytest.raises(CorruptDataError, match=r"a\.h5.* items of 0 bytes"):
        source.read_plane(PlaneKey())


def test_sizes_of_no_sane_dataset_are_refused(tmp_path: Path, opened: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("plane", (40_000, 40_000), "u2", chunks=(64, 64))
        file.create_dataset("chunk", (2000, 1000, 1000), "u1", chunks=(2000, 1000, 1000))
        file.create_dataset("dust", (10_000, 10_000), "u1", chunks=(1, 1))
    with pytest.raises(LimitExceededError, match="exceed"):
        opened(tmp_path / "a.h5", "chunk")
    for inner, said in (("plane", "a region of it"), ("dust", "read a region")):
        with pytest.raises(LimitExceededError, match=said):
            opened(tmp_path / "a.h5", inner).read_plane(PlaneKey())


def test_a_file_that_goes_away_says_so(tmp_path: Path, opened: Open) -> None:
    source = opened(write(tmp_path / "a.h5"))
    (tmp_path / "a.h5").unlink()
    with pytest.raises(DatasetGoneError, match="is no longer reachable"):
        source.refresh()


def test_without_h5py_it_says_how_to_get_it(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[hdf5\]'"):
        opened(path)


_OPEN_MUTANTS = """
import subprocess
import sys
from pathlib import Path
from ndviewer_light.errors import DatasetError
from ndviewer_light.sources.hdf5.source import HDF5Source

refused = 0
for path in sorted(Path(sys.argv[1]).glob("mutant*.h5")):
    try:
        HDF5Source.open(str(path)).close()
    except DatasetError:
        refused += 1
print(refused, flush=True)
"""


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_process_that_met_damaged_files_ends_as_any_other(tmp_path: Path, libver: str) -> None:
    good = write(tmp_path / "a.h5", libver=libver, chunks=(1, 20, 30)).read_bytes()
    for at in range(8, 96):  # superblock, and what says where the root group is
        for value in (0xFF, good[at] ^ 0x40):
            mutant = good[:at] + bytes([value]) + good[at + 1 :]
            (tmp_path / f"mutant{at:03}_{value:03}.h5").write_bytes(mutant)
    command = [sys.executable, "-c", _OPEN_MUTANTS, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 20
