"""An NWB file is the same whatever carries it: HDF5, Zarr, references of LINDI and of kerchunk."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import written

from ndviewer_light import open_dataset
from ndviewer_light.errors import CorruptDataError, DatasetError, UnsupportedError
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("numcodecs")

CARRIERS = ("all.nwb.zarr", "all.lindi.json", "all.kerchunk.json")
SEGMENTATION = "processing/ophys/ImageSegmentation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, and what carries the same."""
    made = tmp_path_factory.mktemp("carriers")
    for name in ("all.nwb", "all.lindi.json", "all.kerchunk.json"):
        shutil.copy(written.NWB_CARRIERS / name, made)
    zipfile.ZipFile(written.NWB_CARRIERS / "all.zip").extractall(made)
    return made


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
