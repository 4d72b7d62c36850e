"""Warnings about a plane, a position or a file say so as data, through the reader process as well."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from nd2_samples import TWO, T, Z, frame
from nd2_writer import write_nd2

from ndviewer_light import open_dataset
from ndviewer_light.model import PlacedWarning, PlaneKey, WarningPlace, place_of

if TYPE_CHECKING:
    from pathlib import Path

    from range_server import RangeServer

ONE = {"t": 1, "c": 1, "z": 1}


def the_place(path: Path | str, *keys: PlaneKey) -> WarningPlace | None:
    """The place of the only warning there is once these planes were read, in a reader process."""
    with open_dataset(path, isolate=True, storage_options={"disk_cache": "no"}) as dataset:
        for key in keys:
            dataset.plane(*key)
        (warning,) = dataset.info.warnings
        return place_of(warning)


def test_a_warning_with_a_place_is_a_text_like_any_other() -> None:
    warning = PlacedWarning("It is odd", WarningPlace(p=3, file="/data/a.tif"))
    assert warning == "It is odd" and {warning: 1}["It is odd"] == 1
    again = pickle.loads(pickle.dumps(warning))
    assert (again, place_of(again)) == ("It is odd", WarningPlace(p=3, file="/data/a.tif"))
    assert place_of("It is odd") is None


def test_a_broken_well_leads_to_its_first_field_and_its_folder(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2, "A/2": 2}, sizes=ONE)
    (tmp_path / "p.zarr/A/2/zarr.json").write_text('{"zarr_format": 3,')
    expected = WarningPlace(p=2, file=str(tmp_path / "p.zarr/A/2"))
    assert the_place(tmp_path / "p.zarr") == expected


def test_a_broken_well_on_a_server_leads_to_its_field_and_to_no_file(server: RangeServer) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1, "A/2": 1}, sizes=ONE)
    (server.folder / "p.zarr/A/2/.zattrs").unlink(missing_ok=True)
    (server.folder / "p.zarr/A/2/zarr.json").write_text('{"zarr_format": 3,')
    with open_dataset(server.url("p.zarr"), storage_options={"disk_cache": "no"}) as dataset:
        places = [place_of(warning) for warning in dataset.info.warnings]
        assert all(place is None or place.file == "" for place in places)


@pytest.mark.parametrize("n_pages", [(1, 5), (3, 5)])
def test_a_file_unlike_its_series_leads_to_its_plane(tmp_path: Path, n_pages: tuple[int, int]) -> None:
    for t, n in enumerate(n_pages):
        tifffile.imwrite(
            tmp_path / f"img_t{t}.tif",
            np.full((n, 20, 32), t, np.uint8),
            metadata=None,
            photometric="minisblack",
        )
    expected = WarningPlace(1, 0, 0, 0, str(tmp_path / "img_t1.tif"))
    assert the_place(tmp_path, PlaneKey(), PlaneKey(t=1)) == expected


def test_files_that_are_left_out_lead_to_their_folder(tmp_path: Path) -> None:
    for name in ("img_t0.tif", "img_t1.tif", "img_t2.tif", "other thing.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((20, 32), np.uint8), metadata=None)
    place = the_place(tmp_path)
    assert place is not None and not place.is_in_dataset
    assert place.file.rstrip("/\\") == str(tmp_path)


def test_missing_frames_lead_to_the_first_of_them(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, skip={5, 6, 7})
    assert the_place(tmp_path / "a.nd2") == WarningPlace(t=1, z=1)


def test_coordinates_that_are_ignored_lead_to_their_file(tmp_path: Path) -> None:
    stores.write_per_fov(tmp_path, {"A1": 1})
    (tmp_path / "coordinates.csv").write_text("x,y\n1,2\n")
    assert the_place(tmp_path) == WarningPlace(file=str(tmp_path / "coordinates.csv"))
