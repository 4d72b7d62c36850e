"""An NWB file is the same whatever carries it: HDF5, Zarr, references of LINDI and of kerchunk."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import written

from ndviewer_light import open_dataset
from ndviewer_light.errors import CorruptDataError, DatasetError, UnsupportedError
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.model import ImageInfo

pytest.importorskip("numcodecs")

CARRIERS = ("all.nwb.zarr", "all.lindi.json", "all.kerchunk.json")
CORRECTED = "processing/ophys/MotionCorrection/CorrectedImageStack"
SEGMENTATION = "processing/ophys/ImageSegmentation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, and what carries the same."""
    made = tmp_path_factory.mktemp("carriers")
    for name in ("all.nwb", "all.lindi.json", "all.kerchunk.json"):
        shutil.copy(written.NWB_CARRIERS / name, made)
    zipfile.ZipFile(written.NWB_CARRIERS / "all.zip").extractall(made)
    return made


def described(image: ImageInfo, *, has_links: bool) -> dict[str, Any]:
    """What is said of an image; without links, not what its imaging plane says, nor the times of another."""
    found = {
        name: round(value, 9) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(image).items()
    }
    if not has_links:
        for name in ("channels", "pixel_size_x_um", "pixel_size_y_um", "z_step_um", "time_step_s"):
            del found[name]
    return found


@pytest.mark.parametrize("carrier", CARRIERS)
def test_positions_are_those_of_the_file_itself(folder: Path, carrier: str) -> None:
    """Their order, names, sizes, steps, channels, pixels."""
    has_links = "kerchunk" not in carrier
    with open_dataset(folder / carrier) as ours, open_dataset(folder / "all.nwb") as its:
        assert ours.look_at_all().positions == its.look_at_all().positions
        for each in (ours, its):
            assert any(
                "video (ImageSeries) stores its images in other" in text for text in each.info.warnings
            )
        names = [each.name for each in its.info.positions]
        assert names[:3] == ["acquisition/stack", "acquisition/photons", f"{CORRECTED}/corrected"]
        assert names[-3:] == [f"acquisition/snapshots/{each}" for each in ("mean", "drawn", "slide")]
        for p in range(len(names)):
            image = its.image(p)
            assert described(ours.image(p), has_links=has_links) == described(image, has_links=has_links)
            keys = [PlaneKey(t, p, its.info.channels_of(image)[0]) for t in range(image.n_t)]
            if has_links:
                assert ours.source.acquired_s(keys) == pytest.approx(its.source.acquired_s(keys))
            for t, c, z in np.ndindex(image.n_t, len(image.channels), image.n_z):
                np.testing.assert_array_equal(ours.plane(t=t, p=p, c=c, z=z), its.plane(t=t, p=p, c=c, z=z))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_one_series_alone_is_that_of_the_file_itself(folder: Path, carrier: str) -> None:
    inside = "::acquisition/photons"
    with (
        open_dataset(f"{folder / carrier}{inside}") as ours,
        open_dataset(f"{folder / 'all.nwb'}{inside}") as its,
    ):
        assert ours.sizes == its.sizes and ours.sizes["p"] == 1
        assert [each.title for each in ours.info.positions] == [each.title for each in its.info.positions]
        np.testing.assert_array_equal(ours.plane(t=5), its.plane(t=5))


@pytest.mark.parametrize("carrier", ("all.nwb", *CARRIERS))
def test_images_in_other_files_are_said(folder: Path, carrier: str) -> None:
    with pytest.raises(UnsupportedError, match=r"video.* stores its images in other files"):
        open_dataset(f"{folder / carrier}::acquisition/video")


@pytest.mark.parametrize("table", ["Cells", "Listed", "Somata"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_masks_are_those_of_the_file_itself(folder: Path, carrier: str, table: str) -> None:
    """As pictures, as lists of pixels, as lists of voxels."""
    inside = f"{SEGMENTATION}/{table}"
    with (
        open_dataset(f"{folder / carrier}::{inside}") as ours,
        open_dataset(f"{folder / 'all.nwb'}::{inside}") as its,
    ):
        assert ours.info.sizes == its.info.sizes
        assert [each.name for each in ours.info.positions] == [each.name for each in its.info.positions]
        assert ours.info.channels == its.info.channels
        assert ours.info.dtype == its.info.dtype
        assert ours.info.labels == its.info.labels == ()
        if "kerchunk" not in carrier:  # it has no links, as to imaging planes
            assert ours.info.pixel_size_x_um == pytest.approx(its.info.pixel_size_x_um)
            assert ours.info.z_step_um == pytest.approx(its.info.z_step_um)
        for p, z in np.ndindex(ours.sizes["p"], ours.sizes["z"]):
            np.testing.assert_array_equal(ours.plane(p=p, z=z), its.plane(p=p, z=z))
            assert its.plane(p=p, z=z).any() or z in (0, 2, 4)
    source = open_source(f"{folder / carrier}::{inside}")
    key, last = PlaneKey(p=1, z=max(0, source.info.n_z - 2)), Region(2, 3, 8, 12)
    np.testing.assert_array_equal(source.read_region(key, last), source.read_plane(key)[last.slices])
    source.close()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_lists_of_pixels_are_labels_of_series_of_their_size(folder: Path, carrier: str) -> None:
    path = folder / carrier
    with open_dataset(f"{path}::acquisition/photons") as dataset:
        names = [label.rpartition(f"{SEGMENTATION}/")[2].split("/")[0] for label in dataset.info.labels]
        assert sorted(names) == ["Cells", "Listed", "Somata"]
    with open_dataset(f"{path}::acquisition/wide") as dataset:
        assert dataset.info.labels == (), "they are of another size"


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("pixel_mask_index/.zarray", None, UnsupportedError),
        ("pixel_mask_index/0", "base64:" + "BgUF", DatasetError),
        ("pixel_mask/0.0", "[[0.0, 0.0]]", CorruptDataError),
        ("pixel_mask/0.0", "base64:AAAA", CorruptDataError),
    ],
    ids=["no index", "damaged index", "short records", "no records"],
)
def test_damaged_lists_in_references_are_said(
    tmp_path: Path, key: str, value: str | None, error: type[DatasetError]
) -> None:
    document = json.loads((written.NWB_CARRIERS / "all.kerchunk.json").read_text())
    document["refs"].pop(f"{SEGMENTATION}/Listed/{key}")
    if value is not None:
        document["refs"][f"{SEGMENTATION}/Listed/{key}"] = value
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(error, match="pixel_mask"):  # noqa: SIM117
        with open_dataset(f"{tmp_path / 'a.json'}::{SEGMENTATION}/Listed") as masks:
            masks.plane()
