"""What describes a file on a server is fetched together, and kept on disk for the next time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import tifffile
from hdf5_files import volume, write, write_nwb
from nd2_samples import TWO, P, T, Z, frame
from nd2_writer import write_nd2
from reference_files import ReferenceWriter, pixels
from stress_remote_gc import write_many_series

from ndviewer_light.sources import open_source
from ndviewer_light.storage.disk_cache import DiskCache

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo
    from tests.range_server import RangeServer

pytest.importorskip("obstore")


def write_references(path: Path) -> None:
    writer = ReferenceWriter(path.parent)
    for i in range(600):
        writer.group(f"notes/{i}", {"text": "x" * 200})
    writer.add("data", pixels((2, 20, 24)), (1, 20, 24))
    writer.write(path.name)


WRITERS = {
    "many.nwb": write_many_series,
    "grouped.h5": lambda path: _write_groups(path, "latest"),
    "old.h5": lambda path: _write_groups(path, None),
    "run.nd2": lambda path: write_nd2(path, frame, [T, P, Z], TWO),
    "refs.json": write_references,
    "stack.tif": lambda path: tifffile.imwrite(path, volume((24, 90, 91)), compression="zlib"),
}


def _write_groups(path: Path, libver: str | None) -> None:
    """More groups and attributes than fit into their headers, with data in between."""
    with h5py.File(path, "w", libver=libver) as file:
        for i in range(30):
            group = file.create_group(f"run {i}")
            group.attrs.update({f"attribute {n}": f"text {n}" for n in range(12)})
            group.create_dataset("trace", data=np.arange(20_000))
        file.create_dataset("run 7/pixels", data=volume((2, 300, 310)), chunks=(1, 300, 310))


def opened(server: RangeServer, name: str, folder: Path) -> tuple[DatasetInfo, int]:
    """What a file contains, and how many requests that took."""
    server.set()
    source = open_source(server.url(name), {"cache_dir": str(folder / "cache")})
    counts = server.counts()
    source.close()
    return source.info, counts["requests"] + counts["heads"]


@pytest.mark.parametrize("name", WRITERS)
def test_opening_again_takes_one_request(name: str, tmp_path: Path, server: RangeServer) -> None:
    WRITERS[name](tmp_path / name)
    local = open_source(str(tmp_path / name))
    first, _ = opened(server, name, tmp_path)
    again, n_requests = opened(server, name, tmp_path)
    assert n_requests == 1
    assert first == again
    assert (first.sizes, first.channels, first.dtype) == (
        local.info.sizes,
        local.info.channels,
        local.info.dtype,
    )
    local.close()


@pytest.mark.parametrize("name", ["many.nwb", "old.h5"])
def test_the_structure_of_hdf5_is_fetched_together(name: str, tmp_path: Path, server: RangeServer) -> None:
    WRITERS[name](tmp_path / name)
    server.set(latency_s=0.05)
    source = open_source(server.url(name), {"disk_cache": "no"})
    log, counts = server.log(), server.counts()
    source.close()
    assert counts["max_in_flight"] >= 8
    alone = [entry for entry in log if not any(0 < abs(entry["at"] - each["at"]) < 0.02 for each in log)]
    assert len(alone) <= 4, "few have to wait for another"
    assert counts["bytes"] < 0.5 * (tmp_path / name).stat().st_size


def test_a_file_that_has_changed_is_not_opened_from_disk(tmp_path: Path, server: RangeServer) -> None:
    write_nwb(
        tmp_path / "a.nwb", **{f"s{i}": {"data": np.full((2, 90, 80), i, np.uint32)} for i in range(20)}
    )
    assert opened(server, "a.nwb", tmp_path)[0].n_t == 2
    write_nwb(
        tmp_path / "a.nwb", **{f"s{i}": {"data": np.full((3, 90, 80), i, np.uint32)} for i in range(20)}
    )
    assert opened(server, "a.nwb", tmp_path)[0].n_t == 3


def test_what_is_damaged_on_disk_is_fetched_again(
    tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.h5", volume((2, 300, 310)), chunks=(1, 300, 310))
    known, _ = opened(server, "a.h5", tmp_path)
    for wrong in (np.zeros((3, 5), np.uint8), np.zeros((3, 4), float), np.full((2, 8 + 8192), 255, np.uint8)):
        monkeypatch.setattr(DiskCache, "get", lambda self, key, wrong=wrong: wrong)
        assert opened(server, "a.h5", tmp_path)[0] == known
