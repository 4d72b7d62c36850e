"""`Source.are_stored`: what is there of every plane, told without reading any of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import stores
import tifffile
from runs import small_run, write

from ndviewer_light import open_dataset
from ndviewer_light.errors import NDViewerError, PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.missing import Found
from ndviewer_light.sources.zarr.tensorstore_context import TensorStoreContext

if TYPE_CHECKING:
    from ndviewer_light.sources import Source


def every_plane(source: Source) -> list[PlaneKey]:
    sizes = source.info.sizes
    return [PlaneKey(*at) for at in product(*(range(sizes[axis]) for axis in "tpcz"))]


def can_be_read(source: Source, key: PlaneKey) -> bool:
    try:
        source.read_plane(key)
    except NDViewerError:
        return False
    return True


def counts_as(source: Source, key: PlaneKey) -> Found:
    """What a missing plane counts as when it is read."""
    with pytest.raises(PlaneNotStoredError) as raised:
        source.read_plane(key)
    error = raised.value
    return Found.FILL if error.is_fill_value else Found.EXPECTED if error.is_expected else Found.ABSENT


def assert_tells_what_reading_tells(path: Path, *, n_missing: int) -> None:
    with_process = IsolatedSource.open(str(path))
    source = open_source(str(path))
    try:
        keys = every_plane(source)
        said = source.are_stored(keys)
        assert said == [can_be_read(source, key) for key in keys]
        assert said.count(False) == n_missing
        missing = [key for key, there in zip(keys, said, strict=True) if there is False]
        assert source.missing_as(missing) == [counts_as(source, key) for key in missing]
        assert with_process.missing_as(missing) == source.missing_as(missing)
        assert with_process.are_stored(keys) == said
        assert source.leaves_out_empty == with_process.leaves_out_empty == path.name.endswith(".zarr")
        assert source.are_stored([]) == with_process.are_stored([]) == []
    finally:
        source.close()
        with_process.close()


# ---- stores ----------------------------------------------------------------------------------------


SKIPPED = [(0, 0, 1, 0), (1, 0, 0, 0), (1, 0, 1, 1)]


@pytest.mark.parametrize("version", [2, 3])
def test_an_image_with_holes(tmp_path: Path, version: int) -> None:
    stores.write_image(tmp_path / "a.zarr", version=version, skip=SKIPPED)
    assert_tells_what_reading_tells(tmp_path / "a.zarr", n_missing=len(SKIPPED))


def test_a_plate_with_a_field_that_was_never_written(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2, "B/1": 1}, skip=[(1, 0, 0, 0)])
    shutil.rmtree(tmp_path / "p.zarr/A/1/1")
    assert_tells_what_reading_tells(tmp_path / "p.zarr", n_missing=8 + 1)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("tile", [None, 8])
def test_shards_of_several_planes_tell_by_their_indexes(
    tmp_path: Path, is_old: bool, tile: int | None
) -> None:
    path = tmp_path / "a.zarr"
    attributes = stores.image_attributes(squid=False, channels=stores.CHANNELS[:2])
    skip = [(0, 0, 0, 0), (0, 0, 1, 1)]  # in shards with another plane: both channels of one t and z
    stores.write_image(path, shard_channels=True, attributes=attributes, skip=skip, tile=tile)
    shutil.rmtree(path / "0/c/1/0/1")
    for shard in stores.chunk_files(path) if is_old else ():
        os.utime(shard, (1e9, 1e9))
    assert_tells_what_reading_tells(path, n_missing=4)


def test_a_shard_without_an_index_tells_nothing_until_nobody_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    stores.write_image(path, shard_channels=True)
    (shard,) = (each for each in stores.chunk_files(path) if "c/1/0/1/" in each.as_posix())
    shard.write_bytes(shard.read_bytes()[:-7] + b"written")
    source = open_source(str(path))
    with contextlib.closing(source):
        keys = every_plane(source)
        torn = [key for key in keys if (key.t, key.z) == (1, 1)]
        there = dict(zip(keys, source.are_stored(keys), strict=True))
        assert {there[key] for key in torn} == {None}
        assert {there[key] for key in keys if key not in torn} == {True}
        os.utime(shard, (1e9, 1e9))
        assert source.are_stored(torn) == [True, True], "it is damaged, as reading says"


def test_chunks_in_shards_that_are_shared_by_planes_are_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = stores.create_array(path, (8, 16, 16), chunk=(2, 16, 16), shard=(4, 16, 16))
    array[0].write(np.full((16, 16), 7, np.uint16)).result()
    source = open_source(str(path))
    with contextlib.closing(source):
        keys = every_plane(source)
        assert source.are_stored(keys) == [True, *[False] * 7]
        for shard in stores.chunk_files(path):
            os.utime(shard, (1e9, 1e9))
        assert source.are_stored(keys) == [True, True, *[False] * 6], "the blank end of a stack"


def test_a_file_of_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        pixels = file.create_dataset("data", (3, 2, 24, 40), "u2", chunks=(1, 1, 24, 40))
        pixels[0] = 7
        pixels[2, 1] = 8
    source = open_source(str(tmp_path / "a.h5"))
    keys = every_plane(source)
    there = [key for key, stored in zip(keys, source.are_stored(keys), strict=True) if stored]
    assert {int(source.read_plane(key)[0, 0]) for key in there} == {7, 8}
    assert (len(keys), len(there)) == (6, 3)
    source.close()


# ---- files -----------------------------------------------------------------------------------------


def test_a_folder_of_images(tmp_path: Path) -> None:
    for t, c, z in product(range(2), range(2), range(3)):
        if (t, c, z) != (1, 0, 2):
            tifffile.imwrite(tmp_path / f"img_t{t}_c{c}_z{z}.tif", np.full((16, 20), t + c + z, np.uint16))
    assert_tells_what_reading_tells(tmp_path, n_missing=1)


@pytest.mark.parametrize(("layout", "n_missing"), [("images", 1), ("stacks", 4), ("ome_tiff", 0)])
def test_a_run_without_one_of_its_files(tmp_path: Path, layout: str, n_missing: int) -> None:
    run = small_run(tmp_path, layout=layout)
    write(run)
    victims = sorted(run.folder.rglob("*.tif*"))
    os.remove(victims[len(victims) // 2])
    assert_tells_what_reading_tells(run.folder, n_missing=n_missing)


@pytest.mark.parametrize("n_t", [4, 40], ids=["few", "many"])
@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("version", [2, 3])
def test_planes_that_are_single_chunks_are_told_by_name_and_no_array_is_opened(
    tmp_path, monkeypatch, version, separator, n_t
):
    written = {(t, p) for t in range(n_t) for p in range(3) if (t + p) % 3}
    key = (
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}}}
        if version == 3
        else {"dimension_separator": separator}
    )
    for p in range(3):
        store = tmp_path / "zarr" / "A1" / f"fov_{p}.ome.zarr"
        stores.write_group(store, stores.image_attributes("tczyx", channels=("BF",)), version)
        array = stores.create_array(store / "0", (n_t, 1, 1, 8, 8), version=version, metadata=key)
        for t in range(n_t):
            if (t, p) in written:
                array[t].write(np.ones((1, 1, 8, 8), np.uint16)).result()
    with open_dataset(tmp_path) as dataset:
        source = dataset._source
        monkeypatch.setattr(TensorStoreContext, "open", None)
        keys = [PlaneKey(t, p) for p in range(3) for t in range(n_t)]
        assert source.are_stored(keys) == [(key.t, key.p) in written for key in keys]
        report = dataset.report()
        assert report.present == len(written)
        assert report.absent == len(keys) - len(written)
        shutil.rmtree(tmp_path / "zarr" / "A1" / "fov_2.ome.zarr")
        assert not any(source.are_stored([PlaneKey(t, 2) for t in range(n_t)]))


WITHOUT_PERMISSION = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
try:
    open_source(sys.argv[2])  # imports what may lie where others may not look
except FileNotFoundError as error:
    assert "not a supported dataset" in str(error), error
for path, denied in zip(sys.argv[3::2], sys.argv[4::2]):
    source = open_source(path)
    os.chmod(denied, 0)
    pid = os.fork()
    if not pid:
        os.geteuid() == 0 and os.setuid(65534)  # root may look everywhere
        try:
            open_source(denied)  # as users do who may not
        except PermissionError as error:
            assert denied in str(error), error
        print([*map(source.are_stored([PlaneKey(), PlaneKey(t=1)]).__getitem__, (0, 1))], flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    os.chmod(denied, 0o755)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no permission bits")
def test_what_must_not_be_looked_at_is_not_said_to_be_missing() -> None:
    """A folder without permission, like a disk that fails, tells nothing of the planes in it."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lie in a folder closed to others
        os.chmod(folder, 0o755)
        base = Path(folder)
        stores.write_image(base / "a.zarr")
        stores.write_image(base / "tiles.zarr", tile=8)
        stores.write_image(base / "shards.zarr", shard_channels=True)
        (base / "empty").mkdir()
        (base / "images").mkdir()
        (base / "run/0").mkdir(parents=True)
        for t in range(2):
            tifffile.imwrite(base / f"images/img_t{t}.tif", np.ones((8, 8), np.uint16))
            (base / f"run/{t}").mkdir(exist_ok=True)
            tifffile.imwrite(base / f"run/{t}/A1_0_0_a.tiff", np.ones((8, 8), np.uint16))
        denied = {f"{name}.zarr": f"{name}.zarr/0/c/0" for name in ("a", "shards", "tiles")}
        denied |= {"images": "images", "run": "run/0"}
        arguments = [f"{folder}/{name}" for pair in denied.items() for name in pair]
        command = [sys.executable, "-c", WITHOUT_PERMISSION, str(Path(__file__).parents[1])]
        command += [f"{folder}/empty", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = ["[None, True]"] * 3 + ["[None, None]", "[None, True]"]
        assert done.stdout.splitlines() == told, done.stderr
