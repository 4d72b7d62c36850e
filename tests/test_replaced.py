"""Another dataset at the same path: noticed, said, and shown whole; never half old and half new."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from memory_source import TIMEOUT, Clock, Gate, MemorySource, in_thread, memory_info, wait_until
from PIL import Image

from ndviewer_light.engine.dataset import Changes, Dataset
from ndviewer_light.errors import DatasetError, DatasetGoneError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.live.announced_source import AnnouncedSource
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources.differing_datasets import has_other_planes
from ndviewer_light.sources.disk_cached import open_disk_cached
from ndviewer_light.sources.replacement import ReplaceableSource
from ndviewer_light.sources.zarr.source import ZarrSource
from ndviewer_light.sources.zarr.tensorstore_context import TensorStoreContext
from ndviewer_light.storage.file_versions import birth_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

K, LATER = PlaneKey(), PlaneKey(t=1)


def planes(n_t: int, size: int, dtype: str, first: int) -> np.ndarray:
    """Pixels (t, y, x) of which each plane has a value of its own, `first` at t=0."""
    return np.stack([np.full((size, size), first + t, dtype) for t in range(n_t)])


def write_zarr(path: Path, pixels: np.ndarray) -> None:
    shutil.rmtree(path, ignore_errors=True)
    pixels = pixels[:, None, None]
    array = stores.create_array(path, pixels.shape, dtype=str(pixels.dtype))
    array.write(pixels).result()


def write_tiff(path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(path, pixels, metadata={"axes": "TYX"}, photometric="minisblack")


def write_tiff_beside(path: Path, pixels: np.ndarray) -> None:
    """As programs that save safely do: under another name, then renamed."""
    write_tiff(path.with_name("new.tif"), pixels)
    os.replace(path.with_name("new.tif"), path)


def write_hdf5(path: Path, pixels: np.ndarray) -> None:
    h5py = pytest.importorskip("h5py")
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels[:, None, None], chunks=(1, 1, 1, *pixels.shape[1:]))


def write_images(path: Path, pixels: np.ndarray) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for t, plane in enumerate(pixels):
        Image.fromarray(plane).save(path / f"img_t{t:03d}.png")


def write_references(path: Path, pixels: np.ndarray) -> None:
    n_t, height, width = pixels.shape
    dtype = np.dtype(pixels.dtype).str
    meta = {"zarr_format": 2, "shape": [n_t, height, width], "chunks": [1, height, width], "dtype": dtype}
    meta |= {"compressor": None, "fill_value": 0, "order": "C", "filters": None}
    refs: dict[str, object] = {".zgroup": json.dumps({"zarr_format": 2})}
    refs["image/.zarray"] = json.dumps(meta)
    refs["image/.zattrs"] = json.dumps({"_ARRAY_DIMENSIONS": ["t", "y", "x"]})
    for t, plane in enumerate(pixels):
        data = path.with_name(f"{path.stem}_{pixels.dtype}_{t}.raw")
        data.write_bytes(plane.tobytes())
        refs[f"image/{t}.0.0"] = [data.name, 0, plane.nbytes]
    path.write_text(json.dumps({"version": 1, "refs": refs}))


KINDS = {
    "zarr": ("a.zarr", write_zarr),
    "tiff": ("a.tif", write_tiff),
    "tiff renamed": ("a.tif", write_tiff_beside),
    "hdf5": ("a.h5", write_hdf5),
    "images": ("images", write_images),
    "references": ("a.refs.json", write_references),
}


@pytest.fixture(params=list(KINDS))
def kind(request, tmp_path) -> tuple[Path, Callable[[Path, np.ndarray], None]]:
    name, write = KINDS[request.param]
    return tmp_path / name, write


@pytest.fixture(params=[False, True], ids=["in this process", "isolated"])
def isolate(request) -> bool:
    return request.param


def shown(dataset, *keys):
    found = dataset.planes(keys or (K, LATER), wait=None)
    return [int(p.pixels[0, 0]) if p.state is PlaneState.PRESENT else p.state for p in found]


# ---- on refresh ------------------------------------------------------------------------------------


def test_another_dataset_at_the_path_is_shown_after_a_refresh(kind, isolate, caplog):
    path, write = kind
    write(path, planes(2, 32, "uint16", 100))
    with open_dataset(path, isolate=isolate) as dataset:
        assert shown(dataset) == [100, 101]
        dataset.take_changes()
        write(path, planes(3, 40, "uint8", 7))
        info = dataset.refresh()
        assert info is dataset.info
        assert (info.height, info.width, info.dtype, info.n_t) == (40, 40, np.uint8, 3)
        assert dataset.take_changes() == Changes(in_view=True, info=True, replaced=True)
        assert not dataset.take_changes().replaced, "said once"
        said = f"{path} has been replaced by another dataset (was 32×32 uint16, t 2, is 40×40 uint8, t 3)"
        assert any(said in warning for warning in dataset.info.warnings)
        assert said in caplog.text
        assert shown(dataset, K, LATER, PlaneKey(t=2)) == [7, 8, 9]
        assert dataset.plane().shape == (40, 40)


def test_other_contents_of_the_same_size_are_shown_after_a_refresh(kind, isolate):
    path, write = kind
    write(path, planes(2, 32, "uint16", 100))
    with open_dataset(path, isolate=isolate) as dataset:
        assert shown(dataset) == [100, 101]
        write(path, planes(2, 32, "uint16", 50))
        dataset.refresh()
        assert dataset.take_changes().in_view
        assert shown(dataset) == [50, 51]


def test_what_is_created_anew_is_another_also_if_it_gets_the_same_number(kind):
    """Of the file system: the inode of what was removed is soon given to the next."""
    path, write = kind
    write(path, planes(2, 32, "uint16", 100))
    if not birth_ns(str(path)):
        pytest.skip("this file system does not say when a file was created")
    with open_dataset(path) as dataset:
        assert shown(dataset) == [100, 101]
        dataset.take_changes()
        time.sleep(0.02)  # a tick of the file system's clock
        if path.is_file():
            path.unlink()
        write(path, planes(2, 32, "uint16", 50))
        dataset.refresh()
        assert dataset.take_changes().replaced
        assert shown(dataset) == [50, 51]


@pytest.mark.parametrize(("share", "compression"), [(0.2, None), (0.5, "zlib"), (0.97, None)])
def test_a_file_whose_copy_completes_is_not_another(tmp_path, share, compression, isolate, caplog):
    whole = tmp_path / "whole.ome.tif"
    pixels = np.arange(2 * 3 * 4 * 16 * 20, dtype="u2").reshape(2, 4, 3, 16, 20)
    tifffile.imwrite(
        whole, pixels, metadata={"axes": "TZCYX"}, photometric="minisblack", compression=compression
    )
    data, path = whole.read_bytes(), tmp_path / "copy.ome.tif"
    path.write_bytes(data[: int(len(data) * share)])
    caplog.set_level("WARNING", "ndviewer_light")
    with open_dataset(path, isolate=isolate) as dataset:
        dataset.planes([K, PlaneKey(z=1)], wait=None)
        with path.open("ab") as file:
            file.write(data[int(len(data) * share) :])
        sizes = dataset.refresh().sizes
        assert [sizes[axis] for axis in "tcz"] == [2, 3, 4]
        said = " ".join(dataset.info.warnings)
        assert "more of it is there than when it was opened (was 16×20 uint16" in said
        assert "cut off" not in said
        for t, z, c in np.ndindex(2, 4, 3):
            (plane,) = dataset.planes([PlaneKey(t, 0, c, z)], wait=None)
            np.testing.assert_array_equal(plane.pixels, pixels[t, z, c])
    assert "replaced" not in caplog.text


def test_a_dataset_that_grows_is_not_another(kind, isolate, caplog):
    path, write = kind
    write(path, planes(2, 32, "uint16", 100))
    with open_dataset(path, isolate=isolate) as dataset:
        shown(dataset)
        write(path, planes(3, 32, "uint16", 100))
        dataset.refresh()
        assert dataset.info.n_t == 3
        changes = dataset.take_changes()
        assert changes.info
        assert not changes.replaced
        assert not any("replaced" in warning for warning in dataset.info.warnings)
        assert shown(dataset, PlaneKey(t=2)) == [102]
    assert "replaced" not in caplog.text


def test_while_nothing_readable_lies_there_the_old_one_is_not_taken_for_another(tmp_path):
    path = tmp_path / "a.zarr"
    write_zarr(path, planes(2, 32, "uint16", 100))
    with open_dataset(path) as dataset:
        shown(dataset)
        metadata = (path / "zarr.json").read_text()
        (path / "zarr.json").write_text(metadata[:20])
        with pytest.raises(Exception, match=r"a\.zarr"):
            dataset.refresh()
            dataset.plane(t=1)
        assert not dataset.take_changes().replaced
        write_zarr(path, planes(2, 40, "uint8", 7))
        dataset.refresh()
        assert dataset.take_changes().replaced
        assert shown(dataset) == [7, 8]


def test_a_dataset_may_be_replaced_again_and_again(tmp_path, isolate):
    path = tmp_path / "a.tif"
    write_tiff(path, planes(2, 32, "uint16", 100))
    with open_dataset(path, isolate=isolate) as dataset:
        for i, size in enumerate((40, 24, 32)):
            write_tiff(path, planes(2, size, "uint16", i + 1))
            dataset.refresh()
            assert dataset.take_changes().replaced
            assert shown(dataset) == [i + 1, i + 2]
            assert len(dataset.info.warnings) == 1, "only how it was replaced the last time"


def test_a_store_inside_an_experiment_is_replaced(tmp_path, isolate):
    """The folder that was opened is the same, and so is its list of stores."""
    stores.write_per_fov(tmp_path / "exp", {"A1": 2})
    store = next((tmp_path / "exp").rglob("fov_0.ome.zarr"))
    with open_dataset(tmp_path / "exp", isolate=isolate) as dataset:
        dataset.plane()
        shutil.rmtree(store)
        stores.write_image(store, dtype="uint8", sizes={"y": 10, "x": 12})
        dataset.refresh()
        assert dataset.take_changes().replaced
        assert (dataset.info.height, dataset.info.width, dataset.info.dtype) == (10, 12, np.uint8)
        np.testing.assert_array_equal(dataset.plane(), stores.plane(shape=(10, 12), dtype=np.uint8))


# ---- without a refresh -----------------------------------------------------------------------------


def test_a_read_that_meets_another_dataset_is_never_shown_beside_the_old_one(tmp_path, isolate):
    path = tmp_path / "a.zarr"
    write_zarr(path, planes(2, 32, "uint16", 100))
    with open_dataset(path, isolate=isolate) as dataset:
        assert shown(dataset, K) == [100]
        write_zarr(path, planes(2, 40, "uint8", 7))
        picture = shown(dataset, K, LATER)
        while PlaneState.LOADING in picture:
            assert dataset.take_changes().in_view, "asked again"
            picture = shown(dataset, K, LATER)
        assert picture in ([100, PlaneState.LOADING], [7, 8])
        assert dataset.plane(t=1).shape == dataset.plane().shape == (40, 40)
        assert dataset.info.height == 40


def exchange(path: Path, other: Path) -> None:
    """Another dataset takes the place of the one at `path`, at once."""
    os.rename(path, path.with_name("before"))
    os.rename(other, path)


def test_a_store_that_is_replaced_while_it_is_opened_is_opened_whole(tmp_path, monkeypatch):
    write_zarr(tmp_path / "a.zarr", planes(2, 32, "u2", 1))
    write_zarr(tmp_path / "b.zarr", planes(2, 40, "u2", 101))
    open_natively = TensorStoreContext.open

    def open_late(self, image, **how):
        if (tmp_path / "b.zarr").exists():
            exchange(tmp_path / "a.zarr", tmp_path / "b.zarr")
        return open_natively(self, image, **how)

    monkeypatch.setattr(TensorStoreContext, "open", open_late)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert dataset.plane().shape == (40, 40)
        assert dataset.plane().max() == dataset.plane().min() == 101


def test_a_dataset_that_is_replaced_while_a_plane_is_read_is_another(tmp_path, monkeypatch):
    """Also if its planes look the same."""
    write_zarr(tmp_path / "a.zarr", planes(2, 32, "u2", 1))
    write_zarr(tmp_path / "b.zarr", planes(2, 32, "u2", 101))
    finish = TensorStoreContext.finish
    with open_dataset(tmp_path / "a.zarr") as dataset:
        dataset.plane()

        def finish_late(self, future, image, **how):
            finish(self, future, image, **how)
            if (tmp_path / "b.zarr").exists():
                exchange(tmp_path / "a.zarr", tmp_path / "b.zarr")

        monkeypatch.setattr(TensorStoreContext, "finish", finish_late)
        assert (dataset.plane(t=1) == 102).all()
        assert dataset.info.generation == 1
        assert (dataset.plane() == 101).all()


@pytest.mark.parametrize("then", ["is back", "is away", "is being copied"])
def test_pixels_read_while_another_dataset_was_at_the_path_are_not_shown(tmp_path, monkeypatch, then):
    path, other, elsewhere = (tmp_path / name for name in ("a.zarr", "b.zarr", "before"))
    write_zarr(path, planes(2, 32, "u2", 1))
    write_zarr(other, planes(2, 32, "u2", 101))
    metadata = (other / "zarr.json").read_text()
    if then == "is being copied":
        (other / "zarr.json").write_text(metadata[:20])
    read_plane, reads = ZarrSource.read_plane, []

    def read_from_the_other(self, *args):
        reads.append(args)
        is_there = len(reads) == 1
        if is_there:
            os.rename(path, elsewhere)
            os.rename(other, path)
        pixels = read_plane(self, *args)
        if is_there and then != "is being copied":
            assert (pixels == 102).all()
            os.rename(path, other)
            if then == "is back":
                os.rename(elsewhere, path)
        return pixels

    with open_dataset(path) as dataset:
        assert (dataset.plane() == 1).all()
        monkeypatch.setattr(ZarrSource, "read_plane", read_from_the_other)
        if then == "is back":
            assert (dataset.plane(t=1) == 2).all()
            assert dataset.info.generation == 0
            return
        with pytest.raises(DatasetGoneError if then == "is away" else DatasetError):
            dataset.plane(t=1)
        if then == "is being copied":
            (path / "zarr.json").write_text(metadata)
            assert (dataset.plane(t=1) == 102).all()
            assert dataset.info.generation == 1


@pytest.mark.parametrize("exchanged", ["run", "run/experiment", "link", "link to it"])
def test_pixels_read_while_a_folder_above_was_another_for_a_moment_are_not_shown(
    tmp_path, monkeypatch, exchanged
):
    """Of the dataset's own folder nothing tells that it was away."""
    inside = "experiment/a.zarr"
    write_zarr(tmp_path / "run" / inside, planes(2, 32, "u2", 1))
    write_zarr(tmp_path / "other" / inside, planes(2, 32, "u2", 101))
    way, replaced = tmp_path / exchanged, tmp_path / "other"
    path = tmp_path / "run" / inside
    if exchanged == "run/experiment":
        replaced /= "experiment"
    elif exchanged.startswith("link"):
        way = tmp_path / "link"
        at_its_end = inside if exchanged == "link to it" else ""
        replaced.rename(tmp_path / "run2")
        way.symlink_to(tmp_path / "run" / at_its_end)
        replaced.symlink_to(tmp_path / "run2" / at_its_end)
        path = way if at_its_end else way / inside
    read_plane, reads = ZarrSource.read_plane, []

    def read_from_the_other(self, *args):
        reads.append(args)
        if len(reads) > 1:
            return read_plane(self, *args)
        os.rename(way, tmp_path / "before")
        os.rename(replaced, way)
        pixels = read_plane(self, *args)
        os.rename(way, replaced)
        os.rename(tmp_path / "before", way)
        assert (pixels == 102).all()
        return pixels

    with open_dataset(path) as dataset:
        assert (dataset.plane() == 1).all()
        time.sleep(0.02)  # the clock of the file system ticks
        monkeypatch.setattr(ZarrSource, "read_plane", read_from_the_other)
        assert (dataset.plane(t=1) == 2).all()
        assert len(reads) == 2
        assert dataset.info.generation == 0


def test_a_folder_that_is_written_to_while_it_is_read_is_read_once(tmp_path, monkeypatch):
    write_zarr(tmp_path / "a.zarr", planes(2, 32, "u2", 1))
    read_plane, reads = ZarrSource.read_plane, []

    def read_while_it_is_written(self, *args):
        reads.append(args)
        (tmp_path / "a.zarr" / f"new{len(reads)}").touch()
        return read_plane(self, *args)

    monkeypatch.setattr(ZarrSource, "read_plane", read_while_it_is_written)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert (dataset.plane(t=1) == 2).all()
        assert len(reads) == 1


@pytest.mark.parametrize("name", ["zarr", "tiff renamed", "images"])
def test_while_it_is_followed_another_dataset_is_noticed(tmp_path, name, monkeypatch):
    clock = Clock()
    clock.set(monkeypatch)
    file, write = KINDS[name]
    path = tmp_path / file
    write(path, planes(2, 32, "uint16", 100))
    with Dataset(open_disk_cached(str(path)), path=str(path), live=True) as dataset:
        assert shown(dataset) == [100, 101]
        dataset.take_changes()
        write(path, planes(2, 40, "uint8", 7))
        changes = []

        def replaced() -> bool:
            clock.now += 0.5
            changes.append(dataset.take_changes())
            return changes[-1].replaced

        wait_until(replaced)
        assert shown(dataset) == [7, 8]


def test_other_contents_are_noticed_while_it_is_followed_also_of_planes_out_of_view(tmp_path, monkeypatch):
    clock = Clock()
    clock.set(monkeypatch)
    path = tmp_path / "a.zarr"
    write_zarr(path, planes(2, 32, "uint16", 100))
    with Dataset(open_disk_cached(str(path)), path=str(path), live=True) as dataset:
        assert shown(dataset, LATER) == [101]
        assert shown(dataset, K) == [100]
        write_zarr(path, planes(2, 32, "uint16", 50))

        def is_new() -> bool:
            clock.now += 0.5
            dataset.take_changes()
            return shown(dataset, K) == [50]

        wait_until(is_new)
        assert shown(dataset, LATER) == [51]


def test_a_store_of_an_earlier_run_that_is_replaced_by_the_announced_one(tmp_path, monkeypatch):
    """The host announces a run into a folder where stores of another size lie still."""
    store = tmp_path / "zarr" / "A1" / "fov_0.ome.zarr"
    stores.write_image(store, sizes={"y": 12, "x": 16})
    run = announce_per_fov([str(store)], list(stores.CHANNELS[:2]), 2, ["A1:0"], stores.HEIGHT, stores.WIDTH)
    with Dataset(AnnouncedSource(run), live=True) as dataset:
        assert dataset.planes([K], wait=None)[0].pixels.shape == (12, 16)
        dataset.take_changes()
        shutil.rmtree(store)
        stores.write_image(store, dtype="uint8")
        dataset.notify(*K)
        wait_until(lambda: dataset.planes([K], wait=None)[0].state is PlaneState.PRESENT)
        assert dataset.take_changes().replaced
        np.testing.assert_array_equal(dataset.plane(), stores.plane(dtype=np.uint8))
        assert (dataset.info.height, dataset.info.dtype) == (stores.HEIGHT, np.uint8)


# ---- generations, seen from the dataset ------------------------------------------------------------


class ReplacedSource(MemorySource):
    """Planes in memory that another dataset takes the place of."""

    def replace_by(self, value: int, **facts: object) -> None:
        self.stored.clear()
        self._info = replace(self._info, generation=self._info.generation + 1, **facts)
        for key in (K, LATER):
            self.write(key, value)


@pytest.fixture
def source():
    source = ReplacedSource(memory_info())
    for key in (K, LATER):
        source.write(key, 1)
    return source


def test_pixels_of_a_read_that_began_before_are_never_kept(source):
    source.after_sample = Gate()
    with Dataset(source) as dataset:
        reading = in_thread(dataset.plane)
        source.after_sample.wait_for_one()
        source.replace_by(2)
        source.after_sample.open()
        assert reading.result(TIMEOUT)[0, 0] == 2
        assert dataset.plane()[0, 0] == 2


def test_a_view_is_of_one_dataset(source):
    with Dataset(source) as dataset:
        assert shown(dataset, LATER) == [1]
        source.before_read = Gate()
        drawing = in_thread(shown, dataset, K, LATER)
        source.before_read.wait_for_one()
        source.replace_by(2, height=4)
        source.before_read.open()
        assert drawing.result(TIMEOUT) == [PlaneState.LOADING] * 2
        assert dataset.take_changes() == Changes(in_view=True, info=True, replaced=True)
        assert shown(dataset, K, LATER) == [2, 2]


def test_what_writers_told_of_the_old_one_says_nothing_of_the_new(source):
    with Dataset(source, live=True) as dataset:
        dataset.notify(*LATER)
        assert dataset.was_notified(LATER)
        source.replace_by(2)
        dataset.take_changes()
        assert not dataset.was_notified(LATER)


def test_a_reader_that_counts_anew_is_not_another_dataset(source, caplog):
    source.replace_by(2)
    with Dataset(source) as dataset:
        source.info = replace(source.info, generation=0)
        assert not dataset.take_changes().replaced
        source.info = replace(source.info, generation=1)
        assert dataset.take_changes().replaced
    assert "both are 8×10 uint16" in caplog.text


def test_what_is_learnt_of_a_run_is_not_another_dataset():
    source = MemorySource(memory_info(dtype=None, n_t=1))
    with Dataset(source, live=True) as dataset:
        source.info = memory_info(height=20)
        assert dataset.take_changes() == Changes(in_view=True, info=True)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("said", ["uint8", "uint16"])
def test_what_is_learnt_of_an_image_is_not_another_dataset(tmp_path, said, isolate, caplog):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(np.full((2, 30, 40), 1000, "uint16"), metadata={"axes": "CYX", "Name": "scan"})
        file.write(np.full((20, 20), 7, "uint8"), metadata={"axes": "YX", "Name": "macro"})
    text = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, text.replace('Type="uint8"', f'Type="{said}"').encode())
    with open_dataset(path, isolate=isolate) as dataset:
        assert str(dataset.info.images[1].dtype) == said
        assert dataset.plane(p=1)[0, 0] == 7
        assert dataset.image(1).dtype == np.uint8
        assert str(dataset.info.images[1].dtype) == "uint8"
        dataset.refresh()
        assert not dataset.take_changes().replaced and dataset.info.generation == 0
    assert not caplog.text


def test_a_new_reader_that_has_looked_at_nothing_yet_forgets_nothing():
    info = memory_info(n_p=2)
    assumed, seen = (replace(info.image(1), dtype=np.dtype(name)) for name in ("uint16", "uint8"))
    assumed = replace(assumed, width=5)
    known = info.with_images({1: assumed}, assumed=True).with_image(1, seen)
    anew = info.with_images({1: assumed}, assumed=True)
    assert anew.assumed == {1} and not known.assumed
    assert not has_other_planes(known, anew)
    assert anew.with_known(known).image(1) == seen


def test_it_crosses_to_the_reading_process(tmp_path):
    path = tmp_path / "a.tif"
    write_tiff(path, planes(2, 32, "uint16", 100))
    source = IsolatedSource.open(str(path))
    try:
        write_tiff(path, planes(2, 40, "uint8", 7))
        assert source.refresh().generation == 1
        assert source.read_plane(K).shape == (40, 40)
    finally:
        source.close()


def test_a_lazy_array_of_the_old_one_does_not_give_pixels_of_the_new(tmp_path):
    pytest.importorskip("xarray")
    path = tmp_path / "a.tif"
    write_tiff(path, planes(2, 32, "uint16", 100))
    with open_dataset(path) as dataset:
        array = dataset.to_xarray()
        write_tiff(path, planes(2, 32, "uint8", 7))
        dataset.refresh()
        with pytest.raises(ValueError, match="replaced"):
            array.isel(time=0).compute()
        assert int(dataset.to_xarray().isel(time=0).max()) == 7


def test_nothing_is_said_in_the_log_of_datasets_that_stay(tmp_path, caplog):
    path = tmp_path / "a.zarr"
    write_zarr(path, planes(2, 32, "uint16", 100))
    with open_dataset(path) as dataset, caplog.at_level(logging.WARNING):
        for _ in range(3):
            dataset.refresh()
            assert not dataset.take_changes().replaced
    assert caplog.text == ""


def test_a_store_that_is_written_anew_while_it_is_opened_goes_on(tmp_path: Path) -> None:
    """As by writers that write all of a run again with each time point: which was opened nobody knows."""
    path = tmp_path / "run.zarr"
    meanwhile: list[int] = []

    def opened() -> ZarrSource:
        if meanwhile:
            write_zarr(path, planes(meanwhile.pop(), 16, "uint16", 1))
        return ZarrSource.open(str(path))

    write_zarr(path, planes(1, 16, "uint16", 1))
    source = ReplaceableSource(str(path), opened)
    write_zarr(path, planes(2, 16, "uint16", 1))
    meanwhile.append(3)
    source.look()
    source.look()
    assert (source.info.n_t, source.info.generation) == (3, 0)
    write_zarr(path, planes(3, 16, "uint16", 7))
    source.look()
    assert source.info.generation == 1, "written anew as long as it was"
    source.close()


def test_that_a_plane_is_of_another_dataset_as_a_look_reads_it_is_no_trouble() -> None:
    class Exchanged(MemorySource):
        version = "1"

        def versions(self, keys, level: int = 0) -> list[str | None]:
            return [self.version for _ in keys]

        def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
            if self.version == "2":
                self.info = replace(self.info, generation=1)
            return super().read_plane(key, level)

    source, said = Exchanged(memory_info(n_t=2)), set[str]()
    source.write(K, 1)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        dataset.planes([K], wait=None)
        source.version = "2"
        looks: list[float] = []
        look = source.look
        source.look = lambda: looks.append(time.monotonic()) or look()

        def has_looked_again() -> bool:
            dataset.take_changes()
            said.update(dataset.info.warnings)
            return dataset.info.generation == 1 and len(looks) > 4

        wait_until(has_looked_again)
    assert not [each for each in said if "failing" in each]
