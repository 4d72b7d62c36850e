"""Folders of images on servers that list them: found by the address alone, and what they are on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from stores import needs_zarr_3
from tiff_dialects import DIALECTS
from zarr_dialects import PIXELS, write_image

from ndviewer_light import open_dataset
from ndviewer_light.cli.references import write_references
from ndviewer_light.errors import DatasetError, DatasetNotFoundError
from ndviewer_light.sources.images import on_server
from tests.bucket_server import BUCKET, BucketServer
from tests.image_files import picture, write
from tests.listing_server import listing_server, served_folder  # noqa: F401  a fixture
from tests.name_conventions import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

pytest.importorskip("obstore")

OPTIONS = {"disk_cache": "no"}


def planes_of(dataset: Dataset) -> list[np.ndarray | str]:
    """All planes in order; the kind of error where there is none."""
    info, found = dataset.info, list[np.ndarray | str]()
    for p in range(len(info.positions)):
        image = dataset.image(p)
        for t, c, z in np.ndindex(image.n_t, len(image.channels), image.n_z):
            try:
                found.append(dataset.plane(t=t, p=p, c=c, z=z))
            except (DatasetError, IndexError) as error:
                found.append(type(error).__name__)
    return found


def check_same(local: Dataset, remote: Dataset) -> None:
    """The same positions, channels, sizes and pixels."""
    here, there = local.info, remote.info
    assert (there.format, there.sizes, there.channels) == (here.format, here.sizes, here.channels)
    assert [p.title for p in there.positions] == [p.title for p in here.positions]
    assert there.times == here.times and len(there.warnings) == len(here.warnings)
    for one, other in zip(planes_of(remote), planes_of(local), strict=True):
        np.testing.assert_array_equal(one, other)


NAMED = (
    "Micro-Manager 2, folders of positions",
    "Opera Phenix, Operetta, from the measurement's folder",
    "InCell Analyzer",
    "Leica Matrix Screener",
    "IncuCyte, channels in folders",
    "a date and a time of day",
    "masks beside images",
)


@pytest.mark.parametrize("convention", NAMED)
def test_names_mean_what_they_mean_on_disk(served: tuple[Path, str], convention: str) -> None:
    folder, url = served
    (case,) = (case for case in CASES if case.convention == convention)
    for i, name in enumerate(case.names):
        write(folder / "run" / f"{name}.png", picture(i)[:4, :5])
    with (
        open_dataset(folder / "run") as local,
        open_dataset(f"{url}/run", storage_options=OPTIONS) as remote,
    ):
        assert local.sizes["t"] * local.sizes["p"] * local.sizes["c"] * local.sizes["z"] > 1
        check_same(local, remote)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sets_of_tiffs_are_what_they_are_on_disk(tmp_path: Path, dialect: str) -> None:
    with listing_server(tmp_path, "pages") as (url, _):
        written = DIALECTS[dialect](tmp_path / "bucket" / "run")
        if not written.serve:
            pytest.skip("not from a server")
        with (
            open_dataset(tmp_path / "bucket" / "run") as local,
            open_dataset(f"{url}/run/", storage_options=OPTIONS) as remote,
        ):
            check_same(local, remote)


def test_what_micro_manager_says_beside_its_images(served: tuple[Path, str]) -> None:
    folder, url = served
    summary = {"ChNames": ["DAPI", "GFP"], "ChColors": [-16776961, 0x00FF00], "z-step_um": 2.0}
    said = {"Summary": summary, "FrameKey-0-0-0": {"PixelSizeUm": 0.325}}
    for p, c, z in np.ndindex(2, 2, 2):
        name = f"img_channel{c:03}_position{p:03}_time000000000_z{z:03}.tif"
        write(folder / "run" / f"Pos{p}" / name, picture(p, c, z))
        (folder / "run" / f"Pos{p}" / "metadata.txt").write_text(json.dumps(said))
    with (
        open_dataset(folder / "run") as local,
        open_dataset(f"{url}/run", storage_options=OPTIONS) as remote,
    ):
        check_same(local, remote)
        assert remote.image(1) == local.image(1) and remote.image(1).pixel_size_um == 0.325


def test_files_of_any_name(served: tuple[Path, str]) -> None:
    folder, url = served
    for t in range(3):
        for c in ("50% #1", "a+b & c?"):
            write(folder / "my run (ä)" / f"img_t{t}_{c}.png", picture(t, len(c)))
    with (
        open_dataset(folder / "my run (ä)") as local,
        open_dataset(f"{url}/my%20run%20(%C3%A4)", storage_options=OPTIONS) as remote,
    ):
        check_same(local, remote)


def test_only_what_is_needed_is_fetched(tmp_path: Path) -> None:
    with listing_server(tmp_path, "pages") as (url, asked):
        for t in range(20):
            for c in ("DAPI", "GFP"):
                write(tmp_path / "bucket" / "run" / f"img_t{t:02d}_{c}.png", picture(t, len(c)))
        with open_dataset(f"{url}/run", storage_options=OPTIONS) as dataset:
            assert dataset.sizes["t"] == 20 and dataset.sizes["c"] == 2
            fetched = {path for path in asked if path.endswith(".png")}
            assert len(fetched) == 2  # one of each channel
            np.testing.assert_array_equal(dataset.plane(t=7, c="GFP"), picture(7, 3))


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "image/png"])
def test_wrong_types_of_content(tmp_path: Path, kind: str) -> None:
    with listing_server(tmp_path, "pages", content_type=kind) as (url, _):
        for z in range(3):
            write(tmp_path / "bucket" / "run" / f"img_z{z}.tif", picture(z, dtype=np.uint16))
        with open_dataset(f"{url}/run", storage_options=OPTIONS) as dataset:
            assert dataset.sizes["z"] == 3
            np.testing.assert_array_equal(dataset.plane(z=2), picture(2, dtype=np.uint16))


def test_references_are_written_of_a_folder_on_a_server(tmp_path: Path) -> None:
    with listing_server(tmp_path, "pages") as (url, asked):
        for t, c in np.ndindex(3, 2):
            write(tmp_path / "bucket" / "run" / f"img_t{t}_c{c}.tif", picture(t, c, dtype=np.uint16))
        with open(tmp_path / "refs.json", "w") as file:
            write_references(f"{url}/run", file, OPTIONS)
        with open_dataset(tmp_path / "refs.json", storage_options=OPTIONS) as dataset:
            assert (dataset.sizes["t"], dataset.sizes["c"]) == (3, 2)
            np.testing.assert_array_equal(dataset.plane(t=2, c=1), picture(2, 1, dtype=np.uint16))
        assert not [path for path in asked if "s0-t0" in path or ".zattrs" in path]  # a page: listed at once


def test_a_pattern_without_ranges_is_matched_with_what_is_listed(served: tuple[Path, str]) -> None:
    folder, url = served
    for t in range(3):
        write(folder / "run" / f"a_{t}_x.png", picture(t))
    for path, options in ((f"{url}/run", {"pattern": "a_{z:d}_x"}), (f"{url}/run/a_{{z:d}}_x.png", {})):
        with open_dataset(path, storage_options={**OPTIONS, **options}) as dataset:
            assert (dataset.sizes["z"], dataset.sizes["t"]) == (3, 1)
            np.testing.assert_array_equal(dataset.plane(z=1), picture(1))
    with pytest.raises(DatasetNotFoundError, match="no image matching"):
        open_dataset(f"{url}/run", storage_options={**OPTIONS, "pattern": "b_{z:d}_x"})


def test_what_is_added_is_there_after_a_refresh(served: tuple[Path, str]) -> None:
    folder, url = served
    for p, t in np.ndindex(2, 2):
        write(folder / "run" / f"Pos{p}" / f"img#1_t{t}.png", picture(p, t))
    with open_dataset(f"{url}/run", storage_options=OPTIONS) as dataset:
        assert (dataset.sizes["p"], dataset.sizes["t"]) == (2, 2)
        dataset.refresh()
        assert (dataset.sizes["p"], dataset.sizes["t"]) == (2, 2)
        write(folder / "run" / "Pos0" / "img#1_t2.png", picture(0, 2))
        write(folder / "run" / "Pos2" / "img#1_t0.png", picture(2, 0))
        write(folder / "run" / "notes.png", picture(9))
        dataset.refresh()
        assert (dataset.sizes["p"], dataset.sizes["t"]) == (3, 3)
        for p, t in ((0, 0), (1, 1), (0, 2), (2, 0)):
            np.testing.assert_array_equal(dataset.plane(p=p, t=t), picture(p, t))


def test_too_many_folders_are_said(served: tuple[Path, str], monkeypatch: Any) -> None:
    folder, url = served
    for p in range(5):
        write(folder / "run" / f"Pos{p}" / "img_t0.png", picture(p))
    monkeypatch.setattr(on_server, "MAX_LISTED", 4)
    with open_dataset(f"{url}/run", storage_options=OPTIONS) as dataset:
        assert len(dataset.info.positions) == 3
        assert any("more than 4 folders" in each for each in dataset.info.warnings)


@needs_zarr_3
def test_a_store_comes_before_images_beside_it(served: tuple[Path, str]) -> None:
    folder, url = served
    write_image(folder / "run" / "a.zarr", PIXELS)
    write(folder / "run" / "overview.png", picture(1))
    with (
        open_dataset(folder / "run") as local,
        open_dataset(f"{url}/run", storage_options=OPTIONS) as remote,
    ):
        assert local.info.format == remote.info.format
        np.testing.assert_array_equal(remote.plane(), PIXELS)


@pytest.mark.parametrize("served", ["nothing"], indirect=True)
def test_without_a_listing_it_is_said_what_is_needed(served: tuple[Path, str]) -> None:
    folder, url = served
    write(folder / "run" / "img_t0.png", picture(0))
    with pytest.raises(DatasetNotFoundError, match="its folders cannot be listed"):
        open_dataset(f"{url}/run", storage_options=OPTIONS)
    with pytest.raises(DatasetError, match="the server cannot list them"):
        open_dataset(f"{url}/run", storage_options={**OPTIONS, "pattern": "img_t{t:d}"})


@pytest.mark.parametrize("folder", ["run/", ""], ids=["a folder", "the bucket itself"])
def test_a_bucket_of_s3(tmp_path: Path, folder: str) -> None:
    pytest.importorskip("moto.server", reason="S3 is tested on moto's server")
    with BucketServer() as bucket:
        for t in range(2):
            for c in ("DAPI#1", "GFP?"):
                write(tmp_path / "img.png", picture(t, len(c)))
                bucket.put(f"{folder}T{t}/img_{c}.png", (tmp_path / "img.png").read_bytes())
        options = {**OPTIONS, "endpoint": bucket.endpoint, "key": "k", "secret": "s"}
        with open_dataset(f"s3://{BUCKET}/{folder}", storage_options=options) as dataset:
            assert (dataset.sizes["t"], dataset.sizes["c"]) == (2, 2)
            np.testing.assert_array_equal(dataset.plane(t=1, c="GFP?"), picture(1, 4))


def test_a_question_mark_in_a_pattern_of_a_bucket_is_no_query(tmp_path: Path) -> None:
    pytest.importorskip("moto.server", reason="S3 is tested on moto's server")
    with BucketServer() as bucket:
        for z in range(2):
            write(tmp_path / "img.png", picture(z))
            bucket.put(f"run#1/img?_z{z}.png", (tmp_path / "img.png").read_bytes())
        options = {**OPTIONS, "endpoint": bucket.endpoint, "key": "k", "secret": "s"}
        for named in ("img?_z{z:0..1}.png", "img?_z{z:d}.png"):  # by ranges, and as the bucket lists them
            with open_dataset(f"s3://{BUCKET}/run#1/{named}", storage_options=options) as dataset:
                assert dataset.sizes["z"] == 2
                np.testing.assert_array_equal(dataset.plane(z=1), picture(1))
