"""Folders of images on servers that list them: what is added appears by itself, with few requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from follow_disk import wait_for, wait_for_size
from memory_source import wait_until
from tiff_dialects import DIALECTS

from ndviewer_light import open_dataset
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.images.format import ImagesFormat
from ndviewer_light.storage.trees import ask_schedule
from tests.image_files import picture, write
from tests.listing_server import listing_server, served_folder  # noqa: F401  a fixture

pytest.importorskip("obstore")

OPTIONS = {"disk_cache": "no"}


@pytest.fixture(autouse=True)
def is_listed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is for networks."""
    monkeypatch.setattr(ask_schedule, "_ASK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(ask_schedule, "_LONGEST_WAIT_SECONDS", 0.2)


@pytest.mark.parametrize("served", ["pages", "lists", "tagged"], indirect=True)
def test_images_that_are_added_appear_by_themselves(served: tuple[Path, str]) -> None:
    folder, url = served
    for p, t in np.ndindex(2, 2):
        write(folder / "run" / f"Pos{p}" / f"img#1_t{t}.png", picture(p, t))
    with open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset:
        assert (dataset.sizes["p"], dataset.sizes["t"]) == (2, 2)
        write(folder / "run" / "Pos0" / "img#1_t2.png", picture(0, 2))  # not in the last folder
        wait_for_size(dataset, "t", 3)
        write(folder / "run" / "notes.png", picture(9))
        write(folder / "run" / "Pos2" / "img#1_t0.png", picture(2, 0))
        wait_for_size(dataset, "p", 3)
        write(folder / "run" / "Pos2" / "img#1_t3.png", picture(2, 3))
        wait_for_size(dataset, "t", 4)
        assert dataset.sizes["p"] == 3
        for p, t in ((0, 0), (1, 1), (0, 2), (2, 0), (2, 3)):
            np.testing.assert_array_equal(dataset.plane(p=p, t=t), picture(p, t))


def test_a_plane_that_was_missing_is_shown_once_its_file_is_there(served: tuple[Path, str]) -> None:
    folder, url = served
    for t, c in ((0, "BF"), (0, "GFP"), (1, "BF")):
        write(folder / "run" / f"img_t{t}_{c}.png", picture(t, len(c)))
    key = PlaneKey(1, 0, 0, 0)  # GFP comes first
    with open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset:
        [shown] = dataset.planes([key], wait=None)
        assert shown.pixels is None
        write(folder / "run" / "img_t1_GFP.png", np.full_like(picture(), 9))
        wait_for(dataset, key, 9)


@pytest.mark.parametrize("how", ["pages", "lists", "tagged"])
def test_one_look_costs_few_requests_and_pages_that_are_the_same_are_not_sent(
    tmp_path: Path, how: str
) -> None:
    same: list[str] = []
    with listing_server(tmp_path, how, same=same) as (url, asked):
        for p in range(40):
            write(tmp_path / "bucket" / "run" / f"Pos{p}" / "img_t0.png", picture(p))
        source = ImagesFormat().open(f"{url}/run", OPTIONS)
        try:
            info = source.info
            for _ in range(2):
                del asked[:], same[:]
                source._server_growth.schedule.hurry()
                assert source.look() is info
                n = 1 + 1 + 3  # the folder, the last one in it, and three of the others
                requests = [each for each in asked if "run" in each and "token" not in each]
                assert n - 1 <= len(requests) <= n
                assert len(same) == (len(asked) if how == "tagged" else 0)
        finally:
            source.close()


def test_a_server_that_does_not_answer_for_a_while_takes_nothing_away(tmp_path: Path) -> None:
    with listing_server(tmp_path, "pages") as (url, _):
        run = tmp_path / "bucket" / "run"
        for t in range(2):
            write(run / f"img_t{t}.png", picture(t))
        with open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset:
            run.rename(run.with_name("gone"))
            dataset._source.look()
            assert dataset.sizes["t"] == 2
            run.with_name("gone").rename(run)
            write(run / "img_t2.png", picture(2))
            wait_for_size(dataset, "t", 3)


@pytest.mark.parametrize("dialect", ["one_image_in_three_files", "ndtiff"])
def test_images_that_turn_out_to_be_a_set_of_tiffs_are_that(tmp_path: Path, dialect: str) -> None:
    """Opened while their pixels are there, but neither what describes them inside, nor an index."""
    complete = tmp_path / "complete"
    complete.mkdir()
    expected = DIALECTS[dialect](complete).expected
    run = tmp_path / "bucket" / "run"
    run.mkdir(parents=True)
    for file in sorted(complete.rglob("*.tif")):
        tifffile.imwrite(run / file.name, tifffile.imread(file, key=0), metadata=None)
    with (
        listing_server(tmp_path, "pages") as (url, _),
        open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset,
    ):
        assert dataset.info.format == "images"
        first = dataset.plane()
        for file in sorted(filter(Path.is_file, complete.rglob("*")), reverse=True):  # the first TIFF last
            file.rename(run / file.name)
        wait_until(lambda: dataset.info.format != "images")
        assert dataset.info.generation == 1
        for p, pixels in enumerate(expected.pixels):
            for t, c, z in np.ndindex(pixels.shape[:3]):
                np.testing.assert_array_equal(dataset.plane(t=t, p=p, c=c, z=z), pixels[t, c, z])
        assert first.shape == pixels.shape[-2:]


def test_images_that_are_written_again_stay_what_they_are_and_are_read_anew(served: tuple[Path, str]) -> None:
    folder, url = served
    (folder / "run").mkdir(parents=True)

    def write_tiff(t: int, pixels: np.ndarray) -> None:
        tifffile.imwrite(folder / "run" / f"img_t{t}.tif", pixels, metadata=None)

    for t in range(2):
        write_tiff(t, picture(t))
    with open_dataset(f"{url}/run", storage_options=OPTIONS, follow=True) as dataset:
        np.testing.assert_array_equal(dataset.plane(t=0), picture(0))
        tifffile.imwrite(folder / "run" / "img_t0.tif", picture(7), description="another")  # of another size
        wait_until(lambda: (dataset.refresh(), np.array_equal(dataset.plane(t=0), picture(7)))[-1])
        assert (dataset.info.format, dataset.info.generation, dataset.sizes["t"]) == ("images", 0, 2)
