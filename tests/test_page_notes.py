"""TIFF pages that each say which plane they are, when something about that is odd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import tiffs

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError
from ndviewer_light.metadata.page_notes import page_note
from tests.listing_server import listing_server

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, notes: list[Any]) -> None:
    with tifffile.TiffWriter(path) as file:
        for i, note in enumerate(notes):
            text = note if isinstance(note, str) else json.dumps(note)
            pixels = np.full((20, 24), i + 1, np.uint16)
            file.write(pixels, description=text, contiguous=False, metadata=None, photometric="minisblack")


def note(z: int, channel: str, **more: Any) -> dict[str, Any]:
    return {"z_level": z, "channel": channel, **more}


def test_a_plane_without_a_page_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", [note(3, "DAPI"), note(3, "GFP"), note(5, "DAPI")])
    with open_dataset(tmp_path / "a.tif") as dataset:
        assert (dataset.sizes["z"], dataset.sizes["c"]) == (2, 2)
        assert dataset.plane(z=1, c="DAPI").max() == 3 and dataset.plane(z=0, c="GFP").max() == 2
        with pytest.raises(DatasetError):
            dataset.plane(z=1, c="GFP")


@pytest.mark.parametrize(
    "notes",
    [
        [note(0, "DAPI"), note(0, "DAPI"), note(1, "DAPI")],
        [note(0, "DAPI"), "nothing", note(1, "DAPI")],
        [note(0, "DAPI"), note(-1, "DAPI"), note(1, "DAPI")],
        [{"z_level": "0", "channel": "DAPI"}] * 3,
    ],
    ids=["twice", "one says nothing", "below the first", "no numbers"],
)
def test_notes_that_do_not_tell_pages_apart_are_not_believed(tmp_path: Path, notes: list[Any]) -> None:
    write(tmp_path / "a.tif", notes)
    with open_dataset(tmp_path / "a.tif") as dataset:
        assert dataset.sizes["z"] * dataset.sizes["t"] == 3 and dataset.sizes["c"] == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '{"z_level": 1}', '{"z_level": true, "channel": "x"}']
)
def test_what_is_no_note(text: str) -> None:
    assert page_note(text) is None


def test_stacks_of_squid_on_a_server_are_what_they_are_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    with listing_server(tmp_path, "pages") as (url, _):
        tiffs.write_stacks(tmp_path / "bucket" / "run")
        with (
            open_dataset(tmp_path / "bucket" / "run") as local,
            open_dataset(f"{url}/run", storage_options={"disk_cache": "no"}) as remote,
        ):
            assert remote.sizes == local.sizes
            assert [each.name for each in remote.info.channels] == [each.name for each in local.info.channels]
            for key in tiffs.keys(local.info):
                np.testing.assert_array_equal(remote.plane(*key), local.plane(*key))
