"""NWB files: image series are found by what they are, upright, with the steps and names their planes have."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tifffile
from hdf5_files import GZIP, IMAGING_PLANE, add_series, volume, with_masks_in_depth, write_nwb
from PIL import Image

from ndviewer_light.cli.render import main as render
from ndviewer_light.engine.label_planes import mask_stack_as_labels, masks_as_labels
from ndviewer_light.errors import DatasetError, LimitExceededError, PlaneNotStoredError, UnsupportedError
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source
from ndviewer_light.sources.hdf5.source import HDF5Source, list_datasets
from ndviewer_light.sources.source import LabelPart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[..., HDF5Source]


def movie(n_t: int = 4, n_x: int = 24, n_y: int = 16, *more: int, seed: int = 0) -> np.ndarray:
    """(frame, x, y, …): frames that are wider than they are high."""
    return volume((n_t, n_x, n_y, *more), seed=seed)


# ---- upright -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["TwoPhotonSeries", "OnePhotonSeries", "ImageSeries", "OpticalSeries"])
@pytest.mark.parametrize("how", [{}, {"chunks": (1, 24, 16), **GZIP}, {"chunks": (3, 10, 16)}])
def test_x_runs_across_and_y_down(tmp_path: Path, opened: Open, kind: str, how: dict[str, Any]) -> None:
    data = movie()
    source = opened(write_nwb(tmp_path / "a.nwb", S={"data": data, "type": kind, "rate": 30.0, **how}))
    assert source.info.format == "nwb"
    assert source.info.sizes == {"t": 4, "p": 1, "c": 1, "z": 1, "y": 16, "x": 24}
    for t in range(4):
        pixels = source.read_plane(PlaneKey(t=t))
        assert pixels[3, 20] == data[t, 20, 3]
        np.testing.assert_array_equal(pixels, data[t].T)


@pytest.mark.parametrize("how", [{}, {"chunks": (1, 24, 16, 2), **GZIP}])
def test_a_fourth_axis_is_depth(tmp_path: Path, opened: Open, how: dict[str, Any]) -> None:
    data = movie(4, 24, 16, 3)
    source = opened(
        write_nwb(tmp_path / "a.nwb", S={"data": data, "plane": IMAGING_PLANE, "rate": 10.0, **how})
    )
    assert source.info.sizes == {"t": 4, "p": 1, "c": 1, "z": 3, "y": 16, "x": 24}
    for t in range(4):
        for z in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t=t, z=z)), data[t, :, :, z].T)
    assert source.info.z_step_um == pytest.approx(5)


def test_videos_of_a_camera_are_in_colour(tmp_path: Path, opened: Open) -> None:
    data = movie(4, 24, 16, 3).astype("u1")
    source = opened(write_nwb(tmp_path / "a.nwb", S={"data": data, "type": "ImageSeries", "rate": 10.0}))
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2, c=1)), data[2, :, :, 1].T)
    assert any("as colour" in warning for warning in source.info.warnings)


@pytest.mark.skipif(importlib.util.find_spec("pynwb") is None, reason="pynwb is not installed")
@pytest.mark.filterwarnings("ignore")
def test_files_that_pynwb_writes(tmp_path: Path, opened: Open) -> None:
    from datetime import datetime, timezone

    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.ophys import OpticalChannel, TwoPhotonSeries

    nwb = NWBFile("a session", "id", datetime.now(timezone.utc))
    plane = nwb.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=OpticalChannel(name="GFP", description="d", emission_lambda=525.0),
        description="d",
        device=nwb.create_device(name="microscope"),
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
        grid_spacing=[1e-6, 2e-6],
        grid_spacing_unit="meters",
    )
    data = movie()
    nwb.add_acquisition(TwoPhotonSeries(name="S", data=data, imaging_plane=plane, rate=20.0, unit="n.a."))
    with NWBHDF5IO(tmp_path / "a.nwb", "w") as file:
        file.write(nwb)
    source = opened(tmp_path / "a.nwb")
    info = source.info
    assert (info.time_step_s, info.pixel_size_x_um, info.pixel_size_y_um) == pytest.approx((0.05, 1, 2))
    assert info.channels[0].name == "GCaMP6f"
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=3)), data[3].T)


# ---- steps and names -----------------------------------------------------------------------


def test_the_imaging_plane_says_how_large_pixels_are(tmp_path: Path, opened: Open) -> None:
    source = opened(write_nwb(tmp_path / "a.nwb", S={"data": movie(), "rate": 30.0, "plane": IMAGING_PLANE}))
    info = source.info
    assert (info.pixel_size_x_um, info.pixel_size_y_um) == pytest.approx((1, 2))
    assert info.time_step_s == pytest.approx(1 / 30)
    (channel,) = info.channels
    assert (channel.name, channel.excitation_nm, channel.emission_nm) == ("GCaMP6f", 920, 525)
    assert info.warnings == ()


@pytest.mark.parametrize(
    ("unit", "factor"), [("micrometers", 1), ("um", 1), ("millimeters", 1e3), ("feet", None)]
)
def test_units_of_grids(tmp_path: Path, opened: Open, unit: str, factor: float | None) -> None:
    plane = {**IMAGING_PLANE, "grid_spacing": [0.5, 0.25], "unit": unit}
    info = opened(write_nwb(tmp_path / "a.nwb", S={"data": movie(), "rate": 30.0, "plane": plane})).info
    assert info.pixel_size_x_um == (factor and pytest.approx(0.5 * factor))


def test_the_field_of_view_does_where_there_is_no_grid(tmp_path: Path, opened: Open) -> None:
    view = [240e-6, 80e-6]
    info = opened(write_nwb(tmp_path / "a.nwb", S={"data": movie(), "rate": 1.0, "field_of_view": view})).info
    assert (info.pixel_size_x_um, info.pixel_size_y_um) == pytest.approx((10, 5))
    assert info.channels[0].name == "S"


@pytest.mark.parametrize(
    ("times", "step", "n_warnings"),
    [([1.0, 1.5, 2.0, 2.5], 0.5, 0), ([1.0, 1.1, 5.0, 7.0], 2.0, 1), ([5.0, 4.0, 3.0, 2.0], None, 1)],
)
def test_time_stamps(
    tmp_path: Path, opened: Open, times: list[float], step: float | None, n_warnings: int
) -> None:
    info = opened(write_nwb(tmp_path / "a.nwb", S={"data": movie(), "timestamps": times})).info
    assert info.time_step_s == step
    assert len(info.warnings) == n_warnings


def test_time_stamps_may_be_those_of_another_series(tmp_path: Path, opened: Open) -> None:
    path = write_nwb(tmp_path / "a.nwb", S={"data": movie(), "timestamps": [0, 0.2, 0.4, 0.6]})
    with h5py.File(path, "a") as file:
        series = add_series(file, "Larger", data=movie(4, 30, 30))
        series["timestamps"] = h5py.SoftLink("/acquisition/S/timestamps")
    assert opened(path).info.time_step_s == pytest.approx(0.2)


# ---- which series --------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    return write_nwb(
        tmp_path / "several.nwb",
        Small={"data": movie(2), "rate": 1.0},
        Large={"data": movie(9, seed=1), "rate": 1.0, "place": "processing/ophys/Corrected"},
        Video={"external": ["a.avi", "b.avi"], "type": "ImageSeries", "rate": 1.0},
        Mask={"data": movie(50), "type": "ImageMaskSeries", "rate": 1.0},
        Empty={"data": np.empty((0, 10, 10)), "rate": 1.0},
    )


def test_series_are_positions_the_largest_first(several: Path, opened: Open) -> None:
    source = opened(several)
    large, small = "/processing/ophys/Corrected/Large/data", "/acquisition/Small/data"
    assert [each.name for each in source.info.positions] == [
        "processing/ophys/Corrected/Large",
        "acquisition/Small",
    ]
    assert [source.info.image(p).n_t for p in (0, 1)] == [9, 2]
    assert source.info.choices == ()
    assert [(entry.path, entry.what) for entry in list_datasets(str(several))] == [
        (large, "NWB TwoPhotonSeries"),
        (small, "NWB TwoPhotonSeries"),
    ]
    said = " ".join(source.info.warnings)
    assert "/acquisition/Video (ImageSeries) stores its images in other files: 'a.avi' and 1 more" in said
    assert "/acquisition/Empty (TwoPhotonSeries) contains no images" in said
    c = source.info.channel_index("Small")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=8)), movie(9, seed=1)[8].T)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, p=1, c=c)), movie(2)[1].T)
    for missing in (PlaneKey(t=2, p=1, c=c), PlaneKey(t=1, p=1), PlaneKey(c=c)):
        with pytest.raises(PlaneNotStoredError):
            source.read_plane(missing)
    assert source.are_stored([PlaneKey(t=8), PlaneKey(t=1, p=1, c=c)]) == [True, True]
    for inner in ("/acquisition/Small", "acquisition/Small/data"):
        one = opened(several, inner)
        assert one.info.n_t == 2 and len(one.info.positions) == 1
        np.testing.assert_array_equal(one.read_plane(PlaneKey(t=1)), movie(2)[1].T)


def test_series_that_grow_while_they_are_shown(several: Path, opened: Open) -> None:
    with h5py.File(several, "a") as file:
        del file["acquisition/Small/data"]
        how = {"maxshape": (None, 24, 16), "chunks": (1, 24, 16)}
        file.create_dataset("acquisition/Small/data", data=movie(2), **how)
    source = opened(several)
    c = source.info.channel_index("Small")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, p=1, c=c)), movie(2)[1].T)
    with h5py.File(several, "a") as file:
        file["acquisition/Small/data"].resize(4, axis=0)
        file["acquisition/Small/data"][:] = movie(4, seed=7)
    assert source.refresh().image(1).n_t == 4
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=3, p=1, c=c)), movie(4, seed=7)[3].T)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=8)), movie(9, seed=1)[8].T)


def test_a_series_that_cannot_be_read_leaves_the_others(several: Path, opened: Open) -> None:
    with h5py.File(several, "a") as file:
        series = add_series(file, "Filtered", data=movie(20), chunks=(1, 24, 16), compression="gzip")
        place = series["data"].id.get_chunk_info(0).byte_offset
    with open(several, "r+b") as raw:
        raw.seek(place)
        raw.write(b"\0" * 32)
    source = opened(several)
    assert source.info.positions[0].name == "acquisition/Filtered"
    with pytest.raises(DatasetError):
        source.read_plane(PlaneKey())
    c = source.info.channel_index("Large")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=1, c=c)), movie(9, seed=1)[0].T)


@pytest.mark.parametrize("inner", ["/acquisition/Video", "/acquisition/Video/data"])
def test_images_in_other_files_are_refused_with_their_names(several: Path, opened: Open, inner: str) -> None:
    with pytest.raises(UnsupportedError, match=r"stores its images in other files.*'a\.avi' and 1 more"):
        opened(several, inner)


def test_a_file_of_external_series_only_says_where_its_images_are(tmp_path: Path, opened: Open) -> None:
    write_nwb(tmp_path / "a.nwb", V={"external": ["cam.avi"], "type": "ImageSeries", "rate": 1.0})
    with pytest.raises(UnsupportedError, match=r"nothing that can be shown.*'cam\.avi'"):
        opened(tmp_path / "a.nwb")


def test_a_file_without_images_names_what_it_has(tmp_path: Path, opened: Open) -> None:
    path = write_nwb(tmp_path / "a.nwb")
    with pytest.raises(UnsupportedError, match=r"no image series.*/units/spike_times \(50 × 80 float64\)"):
        opened(path)
    assert opened(path, "/units/spike_times").info.width == 80


def test_pixels_may_be_a_link_inside_the_file(tmp_path: Path, opened: Open) -> None:
    path = write_nwb(tmp_path / "a.nwb", S={"data": movie(), "rate": 1.0})
    with h5py.File(path, "a") as file:
        file["kept"] = file["acquisition/S/data"]
        del file["acquisition/S/data"]
        file["acquisition/S/data"] = h5py.SoftLink("/kept")
    np.testing.assert_array_equal(opened(path).read_plane(PlaneKey(t=1)), movie()[1].T)


def test_links_to_other_files_are_not_followed(tmp_path: Path, opened: Open) -> None:
    write_nwb(tmp_path / "other.nwb", S={"data": movie(), "plane": IMAGING_PLANE})
    path = write_nwb(tmp_path / "a.nwb", Own={"data": movie(2)}, Linked={"data": movie()})
    with h5py.File(path, "a") as file:
        del file["acquisition/Linked/data"]
        file["acquisition/Linked/data"] = h5py.ExternalLink("other.nwb", "/acquisition/S/data")
        file["acquisition/Own/imaging_plane"] = h5py.ExternalLink("other.nwb", "/general/optophysiology")
    source = opened(path)
    assert source.info.n_t == 2
    assert any("Linked" in warning and "another file" in warning for warning in source.info.warnings)
    with pytest.raises(UnsupportedError, match="another file"):
        opened(path, "/acquisition/Linked")


# ---- images and masks ------------------------------------------------------------------------------


@pytest.fixture
def with_pictures(tmp_path: Path) -> Path:
    """A series, single images and masks, as pynwb lays them out: all of them (x, y)."""
    path = write_nwb(tmp_path / "a.nwb", S={"data": movie(2), "rate": 1.0, "plane": IMAGING_PLANE})
    with h5py.File(path, "a") as file:
        images = file.create_group("acquisition/snapshots")
        images.attrs["neurodata_type"] = "Images"
        for name, kind, data in (
            ("mean", "GrayscaleImage", movie(1, seed=3)[0].astype("f4")),
            ("slide", "RGBImage", movie(1, 24, 16, 3, seed=4)[0].astype("u1")),
        ):
            made = images.create_dataset(name, data=data)
            made.attrs.update({"neurodata_type": kind, "namespace": "core", "resolution": 2000.0})
        table = file.create_group("processing/ophys/ImageSegmentation/PlaneSegmentation")
        table.attrs["neurodata_type"] = "PlaneSegmentation"
        table["imaging_plane"] = h5py.SoftLink("/general/optophysiology/ImagingPlane")
        table.create_dataset("id", data=[7, 9, 12])
        table.create_dataset("image_mask", data=movie(3, seed=5) > 100)
    return path


def test_single_images_and_masks_are_upright(with_pictures: Path, opened: Open) -> None:
    mean = opened(with_pictures, "/acquisition/snapshots/mean")
    np.testing.assert_array_equal(mean.read_plane(PlaneKey()), movie(1, seed=3)[0].T)
    assert (mean.info.format, mean.info.pixel_size_um) == ("nwb", pytest.approx(5))
    slide = opened(with_pictures, "/acquisition/snapshots/slide")
    assert [channel.name for channel in slide.info.channels] == ["red", "green", "blue"]
    expected = movie(1, 24, 16, 3, seed=4)[0].astype("u1")
    for c in range(3):
        np.testing.assert_array_equal(slide.read_plane(PlaneKey(c=c)), expected[:, :, c].T)
    for inner in ("/processing/ophys/ImageSegmentation/PlaneSegmentation", ".../image_mask"):
        inner = inner.replace("...", "/processing/ophys/ImageSegmentation/PlaneSegmentation")
        masks = opened(with_pictures, inner)
        assert [position.name for position in masks.info.positions] == ["ROI 7", "ROI 9", "ROI 12"]
        assert (masks.info.pixel_size_x_um, masks.info.pixel_size_y_um) == pytest.approx((1, 2))
        for p in range(3):
            np.testing.assert_array_equal(masks.read_plane(PlaneKey(p=p)), (movie(3, seed=5)[p] > 100).T)


def test_masks_lie_over_their_series(with_pictures: Path, tmp_path: Path) -> None:
    """Each region is a label, the last one where they overlap."""
    expected = np.zeros(movie(1)[0].T.shape, int)
    for n, mask in enumerate(movie(3, seed=5) > 100, 1):
        expected[mask.T] = n
    with open_dataset(with_pictures) as dataset:
        (path,) = dataset.labels(0)
        with open_dataset(path) as masks:
            labels, facts = masks_as_labels(masks.info, masks.path, masks.iter_planes, [0])
    np.testing.assert_array_equal(labels, expected)
    assert facts.text_of(2) == "name ROI 9"
    plain, over = (str(tmp_path / name) for name in ("plain.png", "over.png"))
    said = ["--labels", "PlaneSegmentation", "--label-opacity", "1"]
    assert render([str(with_pictures), "-o", plain]) == render([str(with_pictures), "-o", over, *said]) == 0
    differ = (np.asarray(Image.open(plain)) != np.asarray(Image.open(over))).any(axis=-1)
    np.testing.assert_array_equal(differ, expected != 0)


def test_masks_with_depth_are_labels_of_a_stack(tmp_path: Path) -> None:
    """Of each plane, of some planes in steps, and over a projection the largest of all."""
    expected = with_masks_in_depth(tmp_path / "a.nwb")
    with open_dataset(tmp_path / "a.nwb") as dataset:
        (path,) = dataset.labels(0)
        with open_dataset(path) as masks:
            what = masks.info, masks.path, masks.iter_planes
            np.testing.assert_array_equal(mask_stack_as_labels(*what, range(6))[0], expected)
            np.testing.assert_array_equal(
                mask_stack_as_labels(*what, [1, 4], 2)[0], expected[[1, 4], ::2, ::2]
            )
            with pytest.raises(LimitExceededError, match="2 masks of 40000 planes"):
                mask_stack_as_labels(*what, range(40_000))
        part = LabelPart(0, 0, "max:0-2", (0, 0, 24, 16), 16, 24)
        (seen,) = dataset.label_parts("PlaneSegmentation", [part])
        np.testing.assert_array_equal(seen.values, expected[:3].max(axis=0))
    plain, over = (str(tmp_path / name) for name in ("plain.png", "over.png"))
    said = ["--labels", "PlaneSegmentation", "--label-opacity", "1"]
    for z, planes in (("max", expected), ("max:3-5", expected[3:]), ("1", expected[1:2])):
        common = [str(tmp_path / "a.nwb"), "--z", z, "-o"]
        assert render([*common, plain]) == render([*common, over, *said]) == 0
        differ = (np.asarray(Image.open(plain)) != np.asarray(Image.open(over))).any(axis=-1)
        np.testing.assert_array_equal(differ, planes.max(axis=0) != 0)


def test_series_come_first_then_pictures_and_masks_are_offered(with_pictures: Path, opened: Open) -> None:
    info = opened(with_pictures).info
    masks = "/processing/ophys/ImageSegmentation/PlaneSegmentation/image_mask"
    assert [each.name for each in info.positions] == ["S", "snapshots/slide", "snapshots/mean"]
    assert [choice.partition("::")[2] for choice in info.choices] == ["", masks]
    assert {entry.what for entry in list_datasets(str(with_pictures))} == {
        "NWB TwoPhotonSeries",
        "NWB GrayscaleImage",
        "NWB RGBImage",
        "NWB PlaneSegmentation",
    }


def test_pixels_in_another_file_are_read_when_that_is_allowed(tmp_path: Path) -> None:
    write_nwb(tmp_path / "other.nwb", S={"data": movie(), "plane": IMAGING_PLANE})
    path = write_nwb(tmp_path / "a.nwb", Linked={"data": movie(), "rate": 5.0})
    with h5py.File(path, "a") as file:
        del file["acquisition/Linked/data"]
        file["acquisition/Linked/data"] = h5py.ExternalLink("other.nwb", "/acquisition/S/data")
    with pytest.raises(UnsupportedError, match=r"'other\.nwb'.*--storage-option allow_outside=yes"):
        open_source(str(path))
    for inner in ("", "::/acquisition/Linked", "::/acquisition/Linked/data"):
        source = open_source(f"{path}{inner}", {"allow_outside": "yes"})
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2)), movie()[2].T)
        assert source.info.time_step_s == 0.2
        source.close()


@pytest.mark.filterwarnings("ignore")
def test_frames_in_pictures_are_read_when_that_is_allowed(tmp_path: Path) -> None:
    frames = volume((5, 16, 24))
    (tmp_path / "videos").mkdir()
    for name, part in (("a.tif", frames[:3]), ("b.tif", frames[3:])):
        tifffile.imwrite(tmp_path / "videos" / name, part, photometric="minisblack")
    video = {"external": ["videos/a.tif", "videos/b.tif"], "type": "ImageSeries", "rate": 10.0}
    path = write_nwb(tmp_path / "a.nwb", V=video)
    with h5py.File(path, "a") as file:
        file["acquisition/V/external_file"].attrs["starting_frame"] = [0, 3]
    with pytest.raises(UnsupportedError, match=r"'videos/a\.tif' and 1 more.*allow_outside=yes"):
        open_source(f"{path}::/acquisition/V")
    for inner in ("", "::/acquisition/V"):
        source = open_source(f"{path}{inner}", {"allow_outside": "yes"})
        assert source.info.sizes == {"t": 5, "p": 1, "c": 1, "z": 1, "y": 16, "x": 24}
        assert source.info.time_step_s == 0.1
        for t in range(5):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), frames[t])
        source.close()
    with h5py.File(path, "a") as file:
        file["acquisition/V/external_file"].attrs["starting_frame"] = [0, 4]
    with pytest.raises(
        UnsupportedError, match=r"begin with frames \[0, 4\], but by their sizes with \[0, 3\]"
    ):
        open_source(str(path), {"allow_outside": "yes"})
