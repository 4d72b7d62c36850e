"""Zarr groups without OME metadata: which of what is in them are images, and where each belongs.

Compared with what was written.
"""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import written
import zarr
from stores import needs_zarr_3
from zarr_dialects import PIXELS, multiscales, write_array, write_group, write_image, write_spatialdata

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, PlaneNotStoredError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.range_server import RangeServer

pytestmark = needs_zarr_3


def _bigstitcher(path: Path, setups: int = 2, times: tuple[int, ...] = (0,)) -> None:
    """Setup i at time point t has PIXELS + i + 10 t."""
    if not path.exists():
        write_group(path)
    for setup, t in itertools.product(range(setups), times):
        store = path / f"s{setup}-t{t}.zarr"
        write_group(store, multiscales=multiscales("0", "1", axes="tczyx"))
        for level in range(2):
            pixels = (PIXELS + setup + 10 * t)[None, None, None, :: 2**level, :: 2**level]
            write_array(store / str(level), pixels, chunk_key_encoding={"name": "v2", "separator": "/"})


def _project(attributes: list[dict[str, int]], names: dict[str, list[str]]) -> str:
    """The XML file of a BigStitcher project with a setup for each of `attributes`."""
    setups = "".join(
        f"<ViewSetup><id>{i}</id><name>setup {i}</name><size>60 40 1</size>"
        "<voxelSize><unit>um</unit><size>0.5 0.5 2</size></voxelSize><attributes>"
        + "".join(f"<{kind}>{number}</{kind}>" for kind, number in of_setup.items())
        + "</attributes></ViewSetup>"
        for i, of_setup in enumerate(attributes)
    )
    kinds = "".join(
        f'<Attributes name="{kind}">'
        + "".join(
            f"<{kind.title()}><id>{i}</id><name>{name}</name></{kind.title()}>" for i, name in enumerate(each)
        )
        + "</Attributes>"
        for kind, each in names.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><SpimData version="0.2"><BasePath type="relative">.</BasePath>'
        '<SequenceDescription><ImageLoader format="bdv.multimg.zarr" version="3.0">'
        '<zarr type="relative">x.ome.zarr</zarr></ImageLoader>'
        f"<ViewSetups>{setups}{kinds}</ViewSetups>"
        '<Timepoints type="pattern"><integerpattern>0,2</integerpattern></Timepoints></SequenceDescription>'
        "</SpimData>"
    )


def _by_hand(path: Path) -> None:
    write_group(path)
    write_group(path / "day 1")
    write_image(path / "day 1" / "alpha")
    write_image(path / "day 1" / "beta", PIXELS + 1)


BELOW: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "SpatialData, v2": (lambda path: write_spatialdata(path, 2), ["blobs"]),
    "SpatialData, v3": (lambda path: write_spatialdata(path, 3), ["blobs"]),
    "groups by hand": (_by_hand, ["alpha", "beta"]),
}


@pytest.mark.parametrize("kind", BELOW)
def test_images_are_found_below_a_group_and_levels_are_not_fields(tmp_path: Path, kind: str) -> None:
    write, names = BELOW[kind]
    write(tmp_path / "x.zarr")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [position.name for position in dataset.info.positions] == names
        for p in range(len(names)):
            np.testing.assert_array_equal(dataset.plane(p=p), PIXELS + p)
            np.testing.assert_array_equal(dataset.plane(p=p, level=1), (PIXELS + p)[::2, ::2])
            assert dataset.image(p).n_levels == 2
        assert dataset.info.pixel_size_um in (None, 0.5)
        assert dataset.info.warnings == ()


def test_an_image_whose_metadata_are_damaged_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    _by_hand(tmp_path / "x.zarr")
    (tmp_path / "x.zarr" / "day 1" / "beta" / "zarr.json").write_text("{")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [position.name for position in dataset.info.positions] == ["alpha", "beta"]
        np.testing.assert_array_equal(dataset.plane(p=0), PIXELS)
        with pytest.raises(DatasetError, match=r"beta.*not valid JSON"):
            dataset.plane(p=1)


def test_setups_of_bigstitcher_are_positions_and_time_points_are_times(tmp_path: Path) -> None:
    _bigstitcher(tmp_path / "x.ome.zarr", times=(0, 2))
    with open_dataset(tmp_path / "x.ome.zarr") as dataset:
        info = dataset.info
        assert [position.name for position in info.positions] == ["setup 0", "setup 1"]
        assert (info.n_t, info.times, len(info.channels)) == (2, (0, 2), 1)
        assert "No XML file" in info.warnings[0]
        for p, t in itertools.product(range(2), range(2)):
            pixels = PIXELS + p + 20 * t
            np.testing.assert_array_equal(dataset.plane(t=t, p=p), pixels)
            np.testing.assert_array_equal(dataset.plane(t=t, p=p, level=1), pixels[::2, ::2])
        assert dataset.image(1).n_levels == 2
        assert dataset.to_xarray().shape[:4] == (2, 2, 1, 1)
        _bigstitcher(tmp_path / "x.ome.zarr", setups=1, times=(3,))
        assert dataset.refresh().times == (0, 2, 3)
        np.testing.assert_array_equal(dataset.plane(t=2), PIXELS + 30)
        with pytest.raises(PlaneNotStoredError):
            dataset.plane(t=2, p=1)


def test_the_xml_of_bigstitcher_says_what_channels_and_tiles_its_setups_are(tmp_path: Path) -> None:
    _bigstitcher(tmp_path / "x.ome.zarr", setups=4, times=(0, 2))
    attributes = [{"channel": i // 2, "tile": i % 2} for i in range(4)]
    xml = _project(attributes, {"channel": ["DAPI", "GFP"], "tile": ["left", "right"]})
    (tmp_path / "x.xml").write_text(xml)
    for path, isolate in (("x.ome.zarr", False), ("x.xml", False), ("x.xml", True)):
        with open_dataset(tmp_path / path, isolate=isolate) as dataset:
            info = dataset.info
            assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
            assert [position.name for position in info.positions] == ["left", "right"]
            assert info.times == (0, 2)
            assert info.warnings == ()
            for t, p, c in itertools.product(range(2), range(2), range(2)):
                np.testing.assert_array_equal(dataset.plane(t=t, p=p, c=c), PIXELS + 2 * c + p + 20 * t)


@pytest.mark.parametrize(
    ("root", "said"),
    [("group", ""), ("nothing", ""), ("nothing", "x"), ("group", "dataset"), ("nothing", "given")],
)
def test_bigstitcher_on_a_server_opens_without_consolidated_metadata(
    tmp_path: Path, server: RangeServer, root: str, said: str
) -> None:
    """Its stores are asked for by their names: those that the XML file gives, else counted."""
    folder, n_t = server.folder / tmp_path.name, 10 if said == "" else 2
    times = (0, 2) if said else tuple(range(n_t))
    _bigstitcher(folder / "x.ome.zarr", setups=4, times=times)
    if root == "nothing":
        for path in (folder / "x.ome.zarr").glob("*.*"):
            if path.is_file():
                path.unlink()
    if said:
        attributes = [{"channel": i // 2, "tile": i % 2} for i in range(4)]
        xml = "dataset.xml" if said == "dataset" else "x.xml"
        (folder / xml).write_text(_project(attributes, {"channel": ["DAPI", "GFP"], "tile": ["a", "b"]}))
    with open_dataset(server.url(f"{folder.name}/x.{'xml' if said == 'given' else 'ome.zarr'}")) as dataset:
        assert dataset.info.n_t == n_t
        assert dataset.info.times == (times if said else ())
        assert (len(dataset.info.positions), len(dataset.info.channels)) == ((2, 2) if said else (4, 1))
        for p, t in itertools.product(range(2), range(2)):
            expected = PIXELS + p + (20 if said else 10) * t
            np.testing.assert_array_equal(dataset.plane(t=t, p=p), expected)


def test_only_labels_are_images_where_there_are_no_others(tmp_path: Path) -> None:
    write_group(tmp_path / "x.zarr")
    write_group(tmp_path / "x.zarr" / "labels", labels=["cells", "nuclei"])
    for i, name in enumerate(("cells", "nuclei")):
        write_image(tmp_path / "x.zarr" / "labels" / name, PIXELS + i)
    for path in ("x.zarr", "x.zarr/labels", "x.zarr::labels"):
        with open_dataset(f"{tmp_path}/{path}") as dataset:
            assert [position.name for position in dataset.info.positions] == ["cells", "nuclei"]
            np.testing.assert_array_equal(dataset.plane(p="nuclei"), PIXELS + 1)
    for path in ("x.zarr/labels/nuclei", "x.zarr::labels/nuclei", "x.zarr::/labels/nuclei"):
        with open_dataset(f"{tmp_path}/{path}") as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS + 1)
    with pytest.raises(DatasetError, match="leads out"):
        open_dataset(f"{tmp_path}/x.zarr::../secret")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_label_images_are_listed_as_they_are_opened(tmp_path: Path, server: RangeServer) -> None:
    path = tmp_path / "x.zarr"
    write_image(path, version=3)
    write_group(path / "labels", 3, labels=["cells"])
    write_image(path / "labels" / "cells", PIXELS.astype("i4") + 1, 3)
    zarr.consolidate_metadata(str(path), zarr_format=3)
    packed = shutil.make_archive(str(tmp_path / "x"), "zip", path)
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.zarr")
    for where in (str(path), packed, server.url(served.name)):
        for isolate in (False, True):
            with open_dataset(where, isolate=isolate) as dataset:
                (label,) = dataset.info.labels
                assert label == f"{where}::labels/cells"
                assert dataset.info.choices == (where, label)
        with open_dataset(label) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS + 1)
    write_spatialdata(tmp_path / "s.zarr", 3)
    with open_dataset(tmp_path / "s.zarr") as dataset:
        assert dataset.info.labels == (f"{tmp_path}/s.zarr::labels/cells",)


@pytest.mark.parametrize("version", [2, 3])
def test_a_folder_called_like_a_store_needs_no_metadata_of_its_own(tmp_path: Path, version: int) -> None:
    """As it is left by programs that write the arrays in it alone; of pictures it is a folder as others."""
    pixels = np.arange(4 * 20 * 30, dtype="u2").reshape(4, 20, 30)
    zarr.create_array(tmp_path / "x.zarr" / "img", data=pixels, zarr_format=version)
    zarr.create_array(tmp_path / "x.zarr" / "vector", data=pixels[0, 0], zarr_format=version)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        np.testing.assert_array_equal(dataset.plane(z=3), pixels[3])
    for t in range(3):
        (tmp_path / "pictures.zarr").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "pictures.zarr" / f"img_t{t}.tif", pixels[t])
    with open_dataset(tmp_path / "pictures.zarr") as dataset:
        assert dataset.info.n_t == 3


# ---- NWB in Zarr -------------------------------------------------------------------------------------


def test_nwb_series_are_found_by_type_and_shown_upright(tmp_path: Path) -> None:
    path = written.unpacked(written.NWB, tmp_path)
    stored = {
        name: zarr.open_array(str(path / "acquisition" / name / "data"))[...]
        for name in ("two photon", "camera")
    }
    with open_dataset(path) as dataset:
        dataset.look_at_all()
        assert dataset.info.format == "nwb zarr"
        largest_first = sorted(stored, key=lambda name: (-stored[name].size, name))
        assert [position.name for position in dataset.info.positions] == largest_first
        for name, pixels in stored.items():
            for t in (0, 3):
                np.testing.assert_array_equal(dataset.plane(t=t, p=name), pixels[t].T)
        photons, camera = (dataset.image(dataset.info.position_index(name)) for name in stored)
        assert (photons.time_step_s, camera.time_step_s) == (pytest.approx(0.1), pytest.approx(1 / 30))
        assert (photons.pixel_size_x_um, photons.pixel_size_y_um) == (pytest.approx(0.5), pytest.approx(0.25))
        (channel,) = photons.channels
        assert (channel.name, channel.excitation_nm, channel.emission_nm) == ("GCaMP6f", 920.0, 520.0)
        assert camera.channels[0].name == "camera"
    with open_dataset(f"{path}::acquisition/camera") as dataset:
        np.testing.assert_array_equal(dataset.plane(t=1), stored["camera"][1].T)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_single_images_of_nwb_are_found_after_the_series(
    tmp_path: Path, server: RangeServer, version: int
) -> None:
    """Upright, in their colours, with their size, also inside containers; on disk and from a server."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a.nwb.zarr"
    types = {"": "NWBFile", "acquisition": "", "acquisition/S": "TwoPhotonSeries"}
    for group, kind in {**types, "acquisition/pictures": "Images"}.items():
        zarr.create_group(path / group, zarr_format=version, attributes={"neurodata_type": kind})
    movie = rng.integers(0, 999, (3, 24, 16)).astype("u2")
    zarr.create_array(path / "acquisition/S/data", data=movie, zarr_format=version)
    zarr.create_group(
        path / "acquisition/A", zarr_format=version, attributes={"neurodata_type": "OnePhotonSeries"}
    )
    zarr.create_array(path / "acquisition/A/data", data=movie[:2], zarr_format=version)
    zarr.create_array(path / "acquisition/S/timestamps", data=np.array([1.0, 1.1, 5.0]), zarr_format=version)
    pictures = {
        "mean": ("GrayscaleImage", rng.random((24, 16)).astype("f4")),
        "slide": ("RGBImage", rng.integers(0, 255, (24, 16, 3)).astype("u1")),
        "stain": ("RGBAImage", rng.integers(0, 255, (20, 12, 4)).astype("u1")),
    }
    for name, (kind, pixels) in pictures.items():
        said = {"neurodata_type": kind, "namespace": "core", "resolution": 2000.0}
        zarr.create_array(
            path / "acquisition/pictures" / name, data=pixels, zarr_format=version, attributes=said
        )
    zarr.create_array(path / "acquisition/pictures/order", data=np.arange(3), zarr_format=version)
    zarr.consolidate_metadata(str(path), zarr_format=version)
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.nwb.zarr")
    for where in (str(path), server.url(served.name)):
        with open_dataset(where, storage_options={"disk_cache": "no"}) as dataset:
            dataset.look_at_all()
            names = [position.name for position in dataset.info.positions]
            by_size = sorted(pictures, key=lambda name: -pictures[name][1].size)
            assert names == ["S", "A", *(f"pictures/{name}" for name in by_size)]
            np.testing.assert_array_equal(dataset.plane(t=2, p="S"), movie[2].T)
            assert dataset.image(0).time_step_s == pytest.approx(2)
            assert any("not evenly spaced in time" in warning for warning in dataset.info.warnings)
            for name, (_, pixels) in pictures.items():
                p = f"pictures/{name}"
                image = dataset.image(dataset.info.position_index(p))
                assert (image.pixel_size_x_um, image.pixel_size_y_um) == (pytest.approx(5), pytest.approx(5))
                if pixels.ndim == 2:
                    np.testing.assert_array_equal(dataset.plane(p=p), pixels.T)
                    continue
                assert [each.name for each in image.channels][:3] == ["red", "green", "blue"]
                assert [each.color for each in image.channels][:3] == ["#FF0000", "#00FF00", "#0000FF"]
                for c in range(3):
                    np.testing.assert_array_equal(dataset.plane(p=p, c=c), pixels[..., c].T)
    with open_dataset(f"{path}::acquisition/pictures/mean") as dataset:
        np.testing.assert_array_equal(dataset.plane(), pictures["mean"][1].T)
        assert dataset.info.channels[0].name == "mean"
