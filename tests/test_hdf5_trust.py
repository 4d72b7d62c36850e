"""HDF5 files that name other files, or are damaged: nothing outside is read, no error but ours is raised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hdf5_files import GZIP, volume, write

from ndviewer_light.errors import (
    DatasetError,
    MetadataError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5.source import HDF5Source, list_datasets

if TYPE_CHECKING:
    from collections.abc import Callable


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("a", (20, 20), "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def external_link(file: h5py.File, secret: Path) -> None:
    file["a"] = h5py.ExternalLink(str(secret), "/a")


def external_link_on_the_way(file: h5py.File, secret: Path) -> None:
    file["b"] = h5py.ExternalLink(str(secret), "/")
    file["a"] = h5py.SoftLink("/b/a")


def virtual_of_another_file(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((20, 20), "u2")
    layout[...] = h5py.VirtualSource(str(secret), "a", (20, 20))
    file.create_virtual_dataset("a", layout)


def virtual_of_external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("b", (20, 20), "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    layout = h5py.VirtualLayout((20, 20), "u1")
    layout[...] = h5py.VirtualSource(".", "/b", (20, 20))
    file.create_virtual_dataset("a", layout)


def virtual_of_an_external_link(file: h5py.File, secret: Path) -> None:
    file["b"] = h5py.ExternalLink(str(secret), "/a")
    layout = h5py.VirtualLayout((20, 20), "u2")
    layout[...] = h5py.VirtualSource(".", "/b", (20, 20))
    file.create_virtual_dataset("a", layout)


REACHING_OUT = [
    external_storage,
    external_link,
    external_link_on_the_way,
    virtual_of_another_file,
    virtual_of_external_storage,
    virtual_of_an_external_link,
]


@pytest.mark.parametrize("reach", REACHING_OUT)
def test_no_pixel_of_another_file_is_read(
    tmp_path: Path, reach: Callable[[h5py.File, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    secret = write(tmp_path / "secret.h5", volume((20, 20)))
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file.create_dataset("small", data=volume((2, 2)))
        reach(file, secret)
    secret.unlink()
    secret.mkdir()  # whoever opens it gets another error
    for inner in ("/a", "a"):
        with pytest.raises(UntrustedReferenceError, match=r"another file|other files"):
            HDF5Source.open(f"{tmp_path / 'in' / 'a.h5'}::{inner}")
    assert [entry.path for entry in list_datasets(str(tmp_path / "in" / "a.h5"))] == ["/small"]
    source = HDF5Source.open(str(tmp_path / "in" / "a.h5"))
    assert source.info.sizes["x"] == 2
    source.close()


def test_scales_in_another_file_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(np.arange(53, dtype="f4").tobytes())
    with h5py.File(write(tmp_path / "a.h5"), "a") as file:
        scale = file.create_dataset("x", (53,), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        scale.attrs["units"] = "um"
        scale.make_scale("x")
        file["a"].dims[2].attach_scale(scale)
    source = HDF5Source.open(str(tmp_path / "a.h5"))
    assert source.info.pixel_size_x_um is None
    source.close()


def test_datasets_put_together_of_others_in_the_same_file(tmp_path: Path) -> None:
    data = volume((4, 20, 30))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 20, 30), "u2")
        for z in range(4):
            file.create_dataset(f"plane{z}", data=data[z], **GZIP, chunks=(20, 30))
            layout[z] = h5py.VirtualSource(".", f"/plane{z}", (20, 30))
        file.create_virtual_dataset("a", layout)
        nested = h5py.VirtualLayout((4, 20, 30), "u2")
        nested[...] = h5py.VirtualSource(".", "/a", (4, 20, 30))
        file.create_virtual_dataset("nested", nested)
        missing = h5py.VirtualLayout((4, 20, 30), "u2")
        missing[...] = h5py.VirtualSource(".", "/nothing", (4, 20, 30))
        file.create_virtual_dataset("missing", missing)
    source = HDF5Source.open(f"{tmp_path / 'a.h5'}::a")
    for z in range(4):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), data[z])
    source.close()
    with pytest.raises(UnsupportedError, match="inside another one"):
        HDF5Source.open(f"{tmp_path / 'a.h5'}::nested")
    with pytest.raises(MetadataError, match="'/nothing', which is not a dataset"):
        HDF5Source.open(f"{tmp_path / 'a.h5'}::missing")


def test_groups_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "a.h5"), "a") as file:
        group = file.create_group("one")
        group["up"] = file["/"]
        for i in range(200):
            group = group.create_group("deeper")
            group["again"] = file["/a"]
            group[f"{i}"] = file["/one"]
    assert [entry.path for entry in list_datasets(str(tmp_path / "a.h5"))] == ["/a"]


def test_damaged_files_give_our_errors_or_end_the_process_that_reads(tmp_path: Path) -> None:
    """Two hundred files with a few bytes changed: h5py may hang or crash, which is the reader's to bear."""
    script = Path(__file__).with_name("hdf5_mutants.py")
    outcomes: dict[str, int] = {}
    first, count = 0, 200
    while first < count:
        command = [sys.executable, str(script), str(tmp_path), str(first), str(count)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
            assert done.returncode in (0, -6, -8, -11), done.stderr[-2000:]
        except subprocess.TimeoutExpired:
            pass
        said = [json.loads(line) for line in (tmp_path / "outcomes.jsonl").read_text().splitlines()]
        (tmp_path / "outcomes.jsonl").unlink()
        for line in said:
            outcomes[line["outcome"]] = outcomes.get(line["outcome"], 0) + 1
        finished = said[-1]["seed"] + 1 if said else first
        if finished < count:
            outcomes["killed"] = outcomes.get("killed", 0) + 1
        first = max(finished + (finished < count), first + 1)
    assert set(outcomes) <= {"right", "changed", "refused", "killed"}, outcomes
    assert outcomes.get("killed", 0) <= 10, outcomes
    assert outcomes["refused"] >= 20, outcomes


def test_errors_say_which_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    raw = bytearray(path.read_bytes())
    raw[96:800] = bytes(704)
    path.write_bytes(raw)
    with pytest.raises(DatasetError, match=r"a\.h5"):
        HDF5Source.open(str(path))
