"""What every source promises, held by each format in the same way: on disk, and on a server."""

from __future__ import annotations

import os
import pickle
import threading
import zipfile
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from hdf5_files import write as write_hdf5
from hdf5_files import write_nwb
from nd2_writer import Plane, positions_loop, time_loop, write_nd2, z_loop
from reference_files import ReferenceWriter, deflated
from served import a_server, a_server_without_faults, tries_without_pauses  # noqa: F401  fixtures
from tiffs import (
    complete_ome,
    create_ome,
    ome_path,
    write_experiment,
    write_images,
    write_ome_plane,
    write_stacks,
)

import ndviewer_light as nl
from ndviewer_light.engine.to_xarray import _open_once
from ndviewer_light.errors import DatasetClosedError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import Reopening
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T, P, C, Z = 2, 2, 2, 2
REGIONS = {"A1": 1, "B2": 1}
CHANNELS = stores.CHANNELS[:2]


@dataclass(frozen=True)
class Case:
    """A dataset in one format: how it is written (what to open comes back), and which axes it has."""

    name: str
    write: Callable[[Path], Path]
    axes: str = "tpcz"
    remote: bool = True
    inner: str = ""

    def sizes(self) -> dict[str, int]:
        return {axis: n if axis in self.axes else 1 for axis, n in zip("tpcz", (T, P, C, Z), strict=True)}


def pixels(t: int = 0, p: int = 0, c: int = 0, z: int = 0) -> np.ndarray:
    return stores.plane(t, p, c, z)


def volume(axes: str) -> np.ndarray:
    """All planes, along `axes` in that order and then y, x."""
    sizes = dict(zip("tpcz", (T, P, C, Z), strict=True))
    shape = [sizes[axis] for axis in axes]
    planes = [pixels(**dict(zip(axes, at, strict=True))) for at in product(*map(range, shape))]
    return np.array(planes).reshape(*shape, stores.HEIGHT, stores.WIDTH)


def zarr_plate(folder: Path) -> Path:
    stores.write_plate(folder / "plate.ome.zarr", {"A/1": 1, "B/2": 1})
    return folder / "plate.ome.zarr"


def zarr_v2_image(folder: Path) -> Path:
    stores.write_image(folder / "image.zarr", version=2, preset=None)
    return folder / "image.zarr"


def zarr_6d(folder: Path) -> Path:
    stores.write_6d(folder, {"A1": P})
    return folder / "zarr" / "A1" / "acquisition.zarr"


def zarr_regions(folder: Path) -> Path:
    stores.write_per_fov(folder, REGIONS)
    return folder


def zarr_zip(folder: Path) -> Path:
    store = zarr_plate(folder)
    with zipfile.ZipFile(folder / "plate.zip", "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))
    return folder / "plate.zip"


def tiff_images(folder: Path) -> Path:
    return write_images(folder / "exp", REGIONS, CHANNELS)


def tiff_stacks(folder: Path) -> Path:
    return write_stacks(folder / "exp", REGIONS, CHANNELS)


def ome_tiffs(folder: Path) -> Path:
    write_experiment(folder / "exp", REGIONS, CHANNELS, done=True)
    for p, region in enumerate(REGIONS):
        path = create_ome(ome_path(folder / "exp", region, 0), T, Z, CHANNELS)
        for t, z, c in product(range(T), range(Z), range(C)):
            write_ome_plane(path, t, z, c, pixels(t, p, c, z))
        complete_ome(path, product(range(T), range(Z), range(C)))
    return folder / "exp"


def nd2(folder: Path, *, compressed: bool = False) -> Path:
    channels = (Plane("DAPI", "#0000FF", 405.0, 450.0), Plane("GFP", "#00FF00", 488.0, 525.0))
    loops = (time_loop(T), positions_loop([("A1", 1.0, 2.0, 3.0), ("B2", 4.0, 5.0, 6.0)]), z_loop(Z))

    def frame(i: int) -> np.ndarray:
        t, p, z = np.unravel_index(i, (T, P, Z))
        return np.stack([pixels(int(t), int(p), c, int(z)) for c in range(C)], axis=-1)

    write_nd2(folder / "a.nd2", frame, loops, channels, compressed=compressed)
    return folder / "a.nd2"


def hdf5(folder: Path) -> Path:
    return write_hdf5(
        folder / "a.h5", volume("tcz"), chunks=(1, 1, 1, 16, 16), compression="gzip", shuffle=True
    )


def nwb(folder: Path) -> Path:
    frames = volume("t").transpose(0, 2, 1)  # (frame, x, y), as NWB has it
    return write_nwb(folder / "a.nwb", photons={"data": frames, "rate": 2.0})


def references(folder: Path) -> Path:
    writer = ReferenceWriter(folder)
    array = volume("tcz")
    writer.add(
        "a", array, (1, 1, 1, *array.shape[-2:]), encode=deflated, compressor={"id": "zlib", "level": 1},
        attributes={"_ARRAY_DIMENSIONS": ["t", "c", "z", "y", "x"]},
    )  # fmt: skip
    return folder / writer.write().rpartition("/")[2]


def image_folder(folder: Path) -> Path:
    from PIL import Image

    (folder / "pictures").mkdir()
    for t, c, z in product(range(T), range(C), range(Z)):
        path = folder / "pictures" / f"img_t{t:03d}_ch{c:02d}_z{z:03d}.png"
        Image.fromarray(pixels(t, 0, c, z).astype(np.uint8)).save(path)
    return folder / "pictures"


CASES = [
    Case("zarr plate", zarr_plate),
    Case("zarr v2 image", zarr_v2_image, "tcz"),
    Case("zarr 6d", zarr_6d),
    Case("zarr regions", zarr_regions, remote=False),  # a folder: nothing on a server lists it
    Case("zarr zip", zarr_zip),
    Case("tiff images", tiff_images, remote=False),
    Case("tiff stacks", tiff_stacks, remote=False),
    Case("ome-tiff", ome_tiffs, remote=False),
    Case("nd2 raw", nd2),
    Case("nd2 deflated", lambda folder: nd2(folder, compressed=True)),
    Case("hdf5", hdf5, "tcz", inner="a"),
    Case("nwb", nwb, "t"),
    Case("references", references, "tcz", inner="a"),
    Case("image folder", image_folder, "tcz", remote=False),
]
PLACES = [(case, place) for case in CASES for place in ("disk", "server") if place == "disk" or case.remote]


@pytest.fixture(params=PLACES, ids=lambda param: f"{param[0].name}, {param[1]}")
def dataset(request, tmp_path) -> Iterator[tuple[Case, str]]:
    """A case, and the path or URL of its dataset."""
    case, place = request.param
    if place == "disk":
        yield case, str(case.write(tmp_path))
        return
    server = request.getfixturevalue("server")
    folder = server.folder / tmp_path.name
    folder.mkdir()
    path = case.write(folder)
    yield case, server.url(str(path.relative_to(server.folder)))


def keys(case: Case) -> list[PlaneKey]:
    sizes = case.sizes()
    return [PlaneKey(*at) for at in product(*(range(sizes[axis]) for axis in "tpcz"))]


def expected(case: Case, key: PlaneKey) -> np.ndarray:
    return pixels(*key)


def test_it_says_what_it_holds(dataset):
    case, path = dataset
    with nl.open_dataset(path) as opened:
        sizes = opened.info.sizes
        assert {axis: sizes[axis] for axis in "tpcz"} == case.sizes()
        assert (sizes["y"], sizes["x"]) == (stores.HEIGHT, stores.WIDTH)
        assert opened.info.dtype is not None and opened.info.dtype.kind == "u"
        assert len(opened.info.channels) == case.sizes()["c"]
        assert len({position.label for position in opened.info.positions}) == case.sizes()["p"]


def test_every_plane_is_the_one_that_was_written(dataset):
    case, path = dataset
    with nl.open_dataset(path) as opened:
        for key in keys(case):
            np.testing.assert_array_equal(opened.plane(*key), expected(case, key), err_msg=f"{key}")


def test_many_threads_read_right_planes(dataset):
    case, path = dataset
    source = open_source(path)
    wrong: list[object] = []

    def read(first: int) -> None:
        every = keys(case)
        try:
            for key in every[first:] + every[:first]:
                if not np.array_equal(source.read_plane(key), expected(case, key)):
                    wrong.append(key)
        except Exception as error:  # noqa: BLE001  reported below
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert not wrong


def test_outside_of_it_there_are_no_planes(dataset):
    case, path = dataset
    source = open_source(path)
    sizes = case.sizes()
    for axis in "tpcz":
        key = PlaneKey(**{axis: sizes[axis]})
        with pytest.raises((IndexError, PlaneNotStoredError)):
            source.read_plane(key)
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(), level=7)
    source.close()


def test_a_closed_one_says_so_and_may_be_closed_again(dataset):
    _, path = dataset
    source = open_source(path)
    source.read_plane(PlaneKey())
    source.close()
    source.close()
    with pytest.raises(DatasetClosedError, match="was closed: open it again to read it"):
        source.read_plane(PlaneKey(z=0, t=source.info.n_t - 1))


def test_its_lazy_array_survives_pickling(dataset):
    case, path = dataset
    _open_once.cache_clear()
    with nl.open_dataset(path, storage_options={"disk_cache": "no"}) as opened:
        pickled = pickle.dumps(opened.to_xarray())
    array = pickle.loads(pickled)
    sizes = case.sizes()
    assert array.shape == (*(sizes[axis] for axis in "tpzc"), stores.HEIGHT, stores.WIDTH)
    last = keys(case)[-1]
    np.testing.assert_array_equal(array[last.t, last.p, last.z, last.c].compute(), expected(case, last))
    _open_once(Reopening(path, (("disk_cache", "no"),))).close()
    _open_once.cache_clear()


def test_it_reads_the_same_in_a_process_of_its_own(dataset):
    case, path = dataset
    with nl.open_dataset(path, isolate=True, storage_options={"disk_cache": "no"}) as opened:
        for key in keys(case)[:: max(1, len(keys(case)) // 3)]:
            np.testing.assert_array_equal(opened.plane(*key), expected(case, key))


def test_looking_again_changes_nothing_that_has_not_changed(dataset):
    case, path = dataset
    source = open_source(path)
    before = source.info
    assert source.refresh() == before
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected(case, PlaneKey()))
    source.close()


REMOTE = [case for case in CASES if case.remote]


@pytest.mark.parametrize("case", REMOTE, ids=lambda case: case.name)
def test_what_came_from_a_server_once_is_asked_for_no_more(case, server, tmp_path):
    folder = server.folder / tmp_path.name
    folder.mkdir()
    url = server.url(str(case.write(folder).relative_to(server.folder)))
    for file in folder.rglob("*"):  # what was changed today may be changed again, and is not kept
        os.utime(file, (1_700_000_000, 1_700_000_000))
    options = {"cache_dir": str(tmp_path / "kept")}
    with nl.open_dataset(url, storage_options=options) as first:
        for key in keys(case):
            first.plane(*key)
    with nl.open_dataset(url, storage_options=options) as again:
        server.set()
        for key in keys(case):
            np.testing.assert_array_equal(again.plane(*key), expected(case, key))
        asked = [entry["path"] for entry in server.log()]
    pixels_of = [path for path in asked if not path.endswith((".json", ".zarray", ".zattrs", ".zgroup"))]
    # which version the file is that references name has to be asked, once
    assert len(pixels_of) <= (1 if case.name == "references" else 0)
