"""Where Squid's fields are on the stage, of runs on servers that list their folders: as on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
