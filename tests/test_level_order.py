"""Pyramids whose levels are listed in another order than from the finest to the coarsest."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import h5py
import hdf5_dialects
import image_stores
import numpy as np
import pytest
import stores
import tifffile
from image_stores import Made, halved, pixels
from reference_files import ReferenceWriter

from ndviewer_light.compat.zarr_functions import parse_zarr_v3_metadata
from ndviewer_light.model import PlaneKey, Scale
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from range_server import RangeServer

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.sources import Source

FINEST = pixels(1, 2, 4, 64, 48)
LEVELS = [FINEST, halved(FINEST, 1), halved(FINEST, 2, 4, 4)]
SPANS = [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
ORIGINS = [(0.0, 0.0, 0.0), (0.0, 0.25, 0.25), (1.0, 0.75, 0.75)]
REVERSED = (2, 1, 0)


def write(path: Path, order: Sequence[int], *, said: str = "scale", version: int = 3) -> None:
    """Write an image whose levels are listed in this order; what is said of their scales is `said`."""
    if said == "shrinking":  # as some scripts write them: the coarser, the smaller
        spans: Sequence[Any] = [(1 / z, 1 / y, 1 / x) for z, y, x in SPANS]
    else:
        spans = [(1, 1, 1)] * 3 if said == "the same" else SPANS
    made = Made(
        [LEVELS[i] for i in order],
        ("DAPI", "GFP"),
        [] if said == "nothing" else [tuple(0.5 * n for n in spans[i]) for i in order],  # type: ignore[misc]
        translations=[ORIGINS[i] for i in order] if said == "scale" else (),
        version=version,
    )
    image_stores.write(path, made)


def assert_is_finest_first(dataset: Dataset) -> None:
    assert dataset.info.n_levels == 3
    assert [level.scale for level in dataset.levels()] == [Scale(*span) for span in SPANS]
    for number, level in enumerate(LEVELS):
        for c, z in np.ndindex(level.shape[1:3]):
            np.testing.assert_array_equal(dataset.plane(c=c, z=z, level=number), level[0, c, z])


# ---- OME-Zarr --------------------------------------------------------------------------------------


@stores.needs_zarr_3
@pytest.mark.parametrize(("order", "version"), [(REVERSED, 2), (REVERSED, 3), ((0, 2, 1), 3), ((1, 2, 0), 3)])
def test_levels_are_in_the_order_of_their_resolution(
    tmp_path: Path, order: tuple[int, ...], version: int
) -> None:
    write(tmp_path / "a.zarr", order, version=version)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert_is_finest_first(dataset)
        assert (dataset.info.pixel_size_um, dataset.info.z_step_um) == (0.5, 0.5)
        at = dataset.info.positions[0]
        assert (at.x_um, at.y_um) == (0.0, 0.0)
        assert [level.middle.y for level in dataset.levels()] == [0.0, 0.5, 1.5]


@stores.needs_zarr_3
@pytest.mark.parametrize(
    ("order", "said"),
    [
        (REVERSED, "nothing"),
        ((1, 2, 0), "nothing"),
        (REVERSED, "the same"),
        ((0, 1, 2), "the same"),
        ((0, 1, 2), "shrinking"),
        ((1, 2, 0), "shrinking"),
    ],
)
def test_where_the_scales_do_not_say_it_the_sizes_of_the_arrays_do(
    tmp_path: Path, order: tuple[int, ...], said: str
) -> None:
    write(tmp_path / "a.zarr", order, said=said)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert_is_finest_first(dataset)


@stores.needs_zarr_3
@pytest.mark.parametrize(
    ("place", "said"),
    [("server", "scale"), ("server", "nothing"), ("reader", "nothing"), ("zip", "nothing")],
)
def test_so_are_levels_elsewhere(tmp_path: Path, server: RangeServer, place: str, said: str) -> None:
    write(server.folder / "a.zarr", REVERSED, said=said)
    path = server.url("a.zarr") if place == "server" else str(server.folder / "a.zarr")
    if place == "zip":
        path = shutil.make_archive(str(tmp_path / "a.zarr"), "zip", server.folder / "a.zarr")
    with open_dataset(path, isolate=place == "reader") as dataset:
        assert_is_finest_first(dataset)


@stores.needs_zarr_3
def test_fields_of_a_plate_are_each_in_their_own_order(tmp_path: Path) -> None:
    finest = [pixels(1, 1, 1, 32, 32, seed=i) for i in range(2)]
    fields = [
        Made([halved(finest[0], 1), finest[0]], ("A",), [(1, 2, 2), (1, 1, 1)]),
        Made([finest[1], halved(finest[1], 1)], ("A",), [(1, 1, 1), (1, 2, 2)]),
    ]
    image_stores.write_plate(tmp_path / "plate.zarr", {"A/1": fields})
    with open_dataset(tmp_path / "plate.zarr") as dataset:
        for p in range(2):
            assert dataset.image(p).height == 32
            np.testing.assert_array_equal(dataset.plane(p=p), finest[p][0, 0, 0])
            np.testing.assert_array_equal(dataset.plane(p=p, level=1), finest[p][0, 0, 0, ::2, ::2])


@stores.needs_zarr_3
def test_levels_of_which_one_is_not_written_yet_stay_as_they_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", (0, 1, 2), said="nothing")
    (tmp_path / "a.zarr" / "2" / "zarr.json").unlink()
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert dataset.info.height == 64
        np.testing.assert_array_equal(dataset.plane(level=1), LEVELS[1][0, 0, 0])


@stores.needs_zarr_3
def test_levels_whose_scales_say_their_order_cost_no_request(server: RangeServer) -> None:
    write(server.folder / "a.zarr", (0, 1, 2))
    with open_dataset(server.url("a.zarr")):
        asked = [entry["path"] for entry in server.log()]
    assert any("a.zarr/0/zarr.json" in path for path in asked)
    assert not any("a.zarr/1/" in path or "a.zarr/2/" in path for path in asked)


@stores.needs_zarr_3
@pytest.mark.parametrize("said", ["scale", "nothing"])
def test_hosts_are_told_the_pixel_size_of_the_finest_level(tmp_path: Path, said: str) -> None:
    write(tmp_path / "a.zarr", REVERSED, said=said)
    found = parse_zarr_v3_metadata(tmp_path / "a.zarr")
    assert found["pixel_size_um"] == (0.5 if said == "scale" else None)


def test_levels_in_references(tmp_path: Path) -> None:
    writer = ReferenceWriter(tmp_path)
    datasets = []
    for number in REVERSED:
        array = LEVELS[number][0, 0]
        writer.add(f"image/{number}", array, array.shape)
        scale = [{"type": "scale", "scale": [0.5 * n for n in SPANS[number]]}]
        datasets.append({"path": str(number), "coordinateTransformations": scale})
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    writer.group("image", {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    with open_dataset(writer.write()) as dataset:
        assert dataset.info.pixel_size_um == 0.5
        assert [level.scale for level in dataset.levels()] == [Scale(*span) for span in SPANS]
        for number, level in enumerate(LEVELS):
            np.testing.assert_array_equal(dataset.plane(z=1, level=number), level[0, 0, 1])


# ---- other formats whose files list levels ---------------------------------------------------------


def test_levels_of_bigdataviewer(tmp_path: Path) -> None:
    stack = pixels(1, 3, 32, 24)
    path = hdf5_dialects.write_bigdataviewer(tmp_path / "a.h5", {(0, 0): stack})
    with h5py.File(path, "a") as file:
        factors = file["s00/resolutions"][...]
        file["s00/resolutions"][...] = factors[::-1]
        for old, new in (("0", "2"), ("1", "0"), ("2", "1")):
            file.move(f"t00000/s00/{old}", f"t00000/s00/{new}")
    source = open_source(str(path))
    try:
        assert (source.info.height, source.info.pixel_size_x_um) == (32, 0.25)
        assert [level.scale for level in source.levels(0)] == [Scale(), Scale(1, 2, 2)]
        np.testing.assert_array_equal(plane(source, 0), stack[0, 1])
        np.testing.assert_array_equal(plane(source, 1), stack[0, 1, ::2, ::2])
    finally:
        source.close()


def plane(source: Source, level: int) -> np.ndarray:
    return source.read_plane(PlaneKey(0, 0, 0, 1), level=level)


def assert_is_pyramid(path: Path, levels: Sequence[np.ndarray]) -> None:
    with open_dataset(path) as dataset:
        assert len(dataset.info.positions) == 1
        assert [level.sizes[1:] for level in dataset.levels()] == [level.shape for level in levels]
        for number, level in enumerate(levels):
            np.testing.assert_array_equal(dataset.plane(level=number), level)


PAGES = [FINEST[0, 0, 0], FINEST[0, 0, 0, ::2, ::2], FINEST[0, 0, 0, ::4, ::4], FINEST[0, 0, 0, ::8, ::8]]


@pytest.mark.parametrize("ome", [False, True], ids=["plain", "ome"])
@pytest.mark.parametrize("order", [(3, 2, 1), (2, 3, 1)])
def test_sub_pages_of_a_tiff(tmp_path: Path, order: tuple[int, ...], ome: bool) -> None:
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    with tifffile.TiffWriter(path, ome=ome) as file:
        file.write(PAGES[0], subifds=3, photometric="minisblack")
        for number in order:
            file.write(PAGES[number], subfiletype=1, metadata=None, photometric="minisblack")
    assert_is_pyramid(path, PAGES)


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (3, 2, 1, 0), (2, 0, 1, 3)])
def test_pages_of_a_tiff_that_say_they_are_smaller_versions(tmp_path: Path, order: tuple[int, ...]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number in order:
            file.write(PAGES[number], subfiletype=1 if number else 0, metadata=None, photometric="minisblack")
    assert_is_pyramid(tmp_path / "a.tif", PAGES)
