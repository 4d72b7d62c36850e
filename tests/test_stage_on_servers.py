"""Where Squid's fields are on the stage, of runs on servers that list their folders: as on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import pytest
from runs import small_run, write

from ndviewer_light import open_dataset
from tests.listing_server import served_folder  # noqa: F401  a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

pytest.importorskip("obstore")

OPTIONS = {"disk_cache": "no"}


def places(dataset: Dataset) -> dict[str, tuple[float | None, float | None]]:
    """Where fields are, by their labels."""
    return {each.label: (each.x_um, each.y_um) for each in dataset.info.positions}


@pytest.mark.parametrize("layout", ["per_fov", "hcs", "6d", "images"])
def test_fields_are_where_they_are_on_disk(served: tuple[Path, str], layout: str) -> None:
    folder, url = served
    write(small_run(folder / "run", layout))
    with (
        open_dataset(folder / "run") as local,
        open_dataset(f"{url}/run", storage_options=OPTIONS) as remote,
    ):
        assert None not in {x for place in places(local).values() for x in place}
        assert places(remote) == places(local)
        if layout == "images":
            assert remote.info.objective == local.info.objective != ""
        np.testing.assert_array_equal(remote.plane(p=2, z=1), local.plane(p=2, z=1))


def test_of_one_time_point_where_the_stage_was(served: tuple[Path, str]) -> None:
    folder, url = served
    write(small_run(folder / "run", "images"))
    with open_dataset(f"{url}/run/0", storage_options=OPTIONS) as remote:
        assert None not in {x for place in places(remote).values() for x in place}


@pytest.mark.parametrize("layout", ["per_fov", "images"])
def test_a_file_that_cannot_be_understood_is_said(served: tuple[Path, str], layout: str) -> None:
    folder, url = served
    write(small_run(folder / "run", layout))
    (folder / "run" / "coordinates.csv").write_text("x,y\n1,2\n")
    with open_dataset(f"{url}/run", storage_options=OPTIONS) as remote:
        assert any("coordinates.csv is ignored: " in warning for warning in remote.info.warnings)
        assert set(places(remote).values()) == {(None, None)}


@pytest.mark.parametrize("name", ["coordinates.csv", "acquisition parameters.json"])
def test_a_file_that_is_torn_is_said_until_it_is_whole(served: tuple[Path, str], name: str) -> None:
    folder, url = served
    write(small_run(folder / "run", "images"))
    file = folder / "run" / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 9])
    with (
        open_dataset(folder / "run") as local,
        open_dataset(f"{url}/run", storage_options=OPTIONS) as remote,
    ):
        assert sum(name in unquote(each) for each in remote.info.warnings) == 1
        file.write_bytes(whole)
        local.refresh()
        remote.refresh()
        assert not any(name in unquote(each) for each in remote.info.warnings)
        assert None not in {x for at in places(remote).values() for x in at}
        assert (remote.info.pixel_size_um, remote.info.z_step_um) == (
            local.info.pixel_size_um,
            local.info.z_step_um,
        )
        assert remote.info.pixel_size_um is not None and remote.info.time_step_s == local.info.time_step_s
