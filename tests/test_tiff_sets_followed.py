"""Sets of TIFFs on servers, while another process writes them: what is written appears by itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tiff_cases
import tifffile
from follow_disk import wait_for_size
from memory_source import wait_until
from tiff_set_writer import KINDS, running, step, wanted

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.registry import open_source
from ndviewer_light.storage.trees import ask_schedule
from tests.listing_server import listing_server
from tests.live_writers.process import WriterProcess
from tests.live_writers.registry import WRITERS
from tests.stamps import read_stamp

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

pytest.importorskip("obstore")

OPTIONS = {"disk_cache": "no"}
AXIS = {"same_xml": "p", "stacks": "p"}
"""Along which a step goes, if not along time."""
SAYS_ALL = ("planned", "same_xml")
"""What says from the beginning how much will be there."""


@pytest.fixture(autouse=True)
def is_asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is for networks."""
    monkeypatch.setattr(ask_schedule, "_ASK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(ask_schedule, "_LONGEST_WAIT_SECONDS", 0.2)


def wait_until_right(dataset: Dataset, kind: str, key: PlaneKey) -> None:
    """Until a plane in view is as it was written; nothing else is ever shown of it."""
    right = wanted(kind, *key)

    def is_there() -> bool:
        dataset.take_changes()
        [shown] = dataset.planes([key], wait=None)
        if shown.pixels is None:
            return False
        np.testing.assert_array_equal(shown.pixels, right)
        return True

    wait_until(is_there)


@pytest.mark.parametrize("how", ["pages", "lists", "tagged"])
@pytest.mark.parametrize("kind", [each.__name__ for each in KINDS])
def test_what_is_written_appears_by_itself(tmp_path: Path, kind: str, how: str) -> None:
    folder, axis = tmp_path / "bucket" / "run", AXIS.get(kind, "t")
    with listing_server(tmp_path, how) as (url, _), running(kind, folder) as process:
        step(process)
        address = f"{url}/run/run.tif" if kind == "appended" else f"{url}/run"
        with open_dataset(address, storage_options=OPTIONS, follow=True) as dataset:
            for n in range(3):
                if n:
                    step(process)
                wait_for_size(dataset, axis, 3 if kind in SAYS_ALL else n + 1)
                assert dataset.sizes["c"] == (1 if kind == "appended" else 2)
                for c in range(dataset.sizes["c"]):
                    at = {"t": 0, "p": 0, "z": dataset.sizes["z"] - 1, axis: n}
                    wait_until_right(dataset, kind, PlaneKey(c=c, **at))
            for t, p, c, z in np.ndindex(*(dataset.sizes[each] for each in "tpcz")):
                np.testing.assert_array_equal(dataset.plane(t=t, p=p, c=c, z=z), wanted(kind, t, p, c, z))


@pytest.mark.parametrize("kind", ["planned", "stacks", "ndtiff"])
def test_a_set_is_followed_by_the_address_of_one_of_its_files(tmp_path: Path, kind: str) -> None:
    folder, axis = tmp_path / "bucket" / "run", AXIS.get(kind, "t")
    with listing_server(tmp_path, "pages") as (url, _), running(kind, folder) as process:
        step(process)
        name = "NDTiff.index" if kind == "ndtiff" else next(folder.iterdir()).name.replace("#", "%23")
        with open_dataset(f"{url}/run/{name}", storage_options=OPTIONS, follow=True) as dataset:
            for n in (1, 2):
                step(process)
                wait_for_size(dataset, axis, 3 if kind in SAYS_ALL else n + 1)
                wait_until_right(dataset, kind, PlaneKey(**{axis: n}))


def test_what_is_new_is_there_after_a_refresh(tmp_path: Path) -> None:
    folder = tmp_path / "bucket" / "run"
    with listing_server(tmp_path, "pages") as (url, _), running("companion", folder) as process:
        step(process)
        with open_dataset(f"{url}/run", storage_options=OPTIONS) as dataset:
            assert dataset.sizes["t"] == 1
            step(process)
            dataset.refresh()
            assert dataset.sizes["t"] == 2
            np.testing.assert_array_equal(dataset.plane(t=1, c=1), wanted("companion", 1, 0, 1, 0))


def test_opening_a_set_and_a_look_at_it_cost_few_requests(tmp_path: Path) -> None:
    folder = tmp_path / "bucket" / "run"
    folder.mkdir(parents=True)
    n = 40
    names = [f"run_t{t:02}.ome.tif" for t in range(n)]
    inside = "".join(tiff_cases.data(names[t], tiff_cases.uuid(t), FirstT=t, PlaneCount=1) for t in range(n))
    for t, name in enumerate(names):
        xml = tiff_cases.ome([("A", {"SizeT": n}, inside)], tiff_cases.uuid(t))
        tiff_cases.write_pages(folder / name, [tiff_cases.plane(t)], xml)
    with listing_server(tmp_path, "tagged") as (url, asked):
        for address in (f"{url}/run", f"{url}/run/{names[n // 2]}"):
            del asked[:]
            source = open_source(address, OPTIONS)
            try:
                assert source.info.n_t == n
                assert len({each for each in asked if ".tif" in each}) <= 4
                info = source.info
                for _ in range(3):
                    source._on_server.schedule.hurry()
                    del asked[:]
                    assert source.look() is info
                    assert len({each for each in asked if "run" in each}) <= 12
            finally:
                source.close()


def test_a_file_that_was_replaced_in_place_is_shown_as_it_is_now(tmp_path: Path) -> None:
    folder = tmp_path / "bucket" / "run"
    with listing_server(tmp_path, "pages") as (url, _), running("planned", folder) as process:
        for _ in range(3):
            step(process)
        with open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset:
            wait_until_right(dataset, "planned", PlaneKey(t=1))
            path = folder / "run#1_t1.ome.tif"
            other = tiff_cases.image(3, 2)[2].reshape(-1, tiff_cases.HEIGHT, tiff_cases.WIDTH)
            with tifffile.TiffFile(path) as file:
                xml = file.pages[0].description
            tiff_cases.write_pages(path, [other[0], other[1], other[1]], xml)

            def is_new() -> bool:
                dataset.take_changes()
                [shown] = dataset.planes([PlaneKey(t=1)], wait=None)
                return shown.pixels is not None and np.array_equal(shown.pixels, other[0])

            wait_until(is_new)


@pytest.mark.parametrize("name", ["tifffile-pages", "tifffile-stream"])
def test_what_libraries_write_appears_plane_by_plane(tmp_path: Path, name: str) -> None:
    entry = WRITERS[name]
    if entry.missing:
        pytest.skip(f"{name} needs the package {entry.missing}, which is not installed")
    plan = entry.plan(8, rate=6.0)
    with listing_server(tmp_path, "pages") as (url, _):
        writer = WriterProcess(name, tmp_path / "bucket" / f"run{entry.suffix}", plan)
        try:
            opened: list[Dataset] = []

            def can_be_opened() -> bool:
                with contextlib.suppress(DatasetError):
                    address = f"{url}/run{entry.suffix}"
                    opened.append(open_dataset(address, storage_options=OPTIONS, follow=True))
                return bool(opened)

            wait_until(can_be_opened)
            with opened[0] as dataset:
                left = set(plan.indices())

                def all_are_seen() -> bool:
                    dataset.take_changes()
                    for index in [index for index in left if dataset.info.contains(PlaneKey(*index))]:
                        [shown] = dataset.planes([PlaneKey(*index)], wait=None)
                        if shown.pixels is not None:
                            stamp = read_stamp(shown.pixels).whole
                            assert stamp is not None and stamp.index == index
                            left.discard(index)
                    return not left

                wait_until(all_are_seen)
        finally:
            writer.stop()
