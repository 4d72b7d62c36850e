"""Images on servers that say what is in their folders: pages of links of web servers, lists of buckets."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import stores
from stores import needs_zarr_3
from zarr_dialects import PIXELS, write_group, write_image

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.storage.trees.folder_pages import NamesInFolder, names_in_list, names_in_page
from tests.bucket_server import BUCKET, BucketServer
from tests.listing_server import listing_server, served_folder  # noqa: F401  a fixture

pytest.importorskip("obstore")

DATA = Path(__file__).parent / "data"

# ---- pages and lists ---------------------------------------------------------------------------

PAGES = {
    "Apache": '<a href="?C=N;O=D">Name</a> <a href="/data/">Parent</a> <a href="images/">images/</a>'
    ' <a href="a%20b.zarr/">a b.zarr/</a> <A HREF="zarr.json">zarr.json</A>',
    "nginx": '<a href="../">../</a><a href="images/">images/</a><a href="a%20b.zarr/">a b.zarr/</a>'
    '<a href="zarr.json">zarr.json</a>',
    "Caddy": '<a href="..">Up</a><a href="./images/">images/</a><a href="./a%20b.zarr/">x</a>'
    '<a href="./zarr.json">zarr.json</a><a href="https://caddyserver.com/">Caddy</a>',
    "absolute links": '<a href="/data/x.zarr/images/">i</a><a href="http://h:80/data/x.zarr/a%20b.zarr/">i</a>'
    '<a href="/data/x.zarr/zarr.json">i</a><a href="/other/">no</a><a href="http://evil/data/x.zarr/y/">no</a>'
    '<a href="images/inner/">no</a><a href="..%2f..%2fetc/">no</a><a href="javascript:void(0)">no</a>',
}


@pytest.mark.parametrize("kind", PAGES)
def test_names_are_read_from_pages_of_links(kind: str) -> None:
    found = names_in_page(PAGES[kind], "http://h:80/data/x.zarr")
    assert found == NamesInFolder(("zarr.json",), ("images", "a b.zarr"))


def test_names_are_read_from_lists_of_buckets() -> None:
    text = (
        '<?xml version="1.0"?><ListBucketResult xmlns="x"><Prefix>d/</Prefix><IsTruncated>true</IsTruncated>'
        "<NextContinuationToken>a&amp;b=</NextContinuationToken><Contents><Key>d/</Key></Contents>"
        "<Contents><Key>d/zarr.json</Key></Contents><CommonPrefixes><Prefix>d/a&amp;b/</Prefix></CommonPrefixes>"
        "<CommonPrefixes><Prefix>d/../</Prefix></CommonPrefixes></ListBucketResult>"
    )
    assert names_in_list(text, "d/") == NamesInFolder(("zarr.json",), ("a&b",), "a&b=")
    assert names_in_list("<Error><Code>AccessDenied</Code></Error>", "d/") is None


# ---- servers -----------------------------------------------------------------------------------


def spatial_data(path: Path, version: int) -> None:
    """As SpatialData lays its elements out, without consolidated metadata."""
    write_group(path, version)
    for name in ("images", "labels", "points", "tables"):
        write_group(path / name, version)
    write_image(path / "images" / "blobs", PIXELS, version)
    write_image(path / "images" / "whole slide", PIXELS + 1, version)
    write_image(path / "labels" / "cells", PIXELS.astype("i4"), version)


@needs_zarr_3
@pytest.mark.parametrize("version", [2, 3])
def test_spatial_data_without_consolidated_metadata(served: tuple[Path, str], version: int) -> None:
    folder, url = served
    spatial_data(folder / "x.zarr", version)
    with open_dataset(f"{url}/x.zarr", storage_options={"disk_cache": "no"}) as dataset:
        assert [position.name for position in dataset.info.positions] == ["blobs", "whole slide"]
        for p in range(2):
            np.testing.assert_array_equal(dataset.plane(p=p), PIXELS + p)
            np.testing.assert_array_equal(dataset.plane(p=p, level=1), (PIXELS + p)[::2, ::2])
        assert dataset.info.warnings == ()


@needs_zarr_3
def test_folders_of_stores_and_nwb_without_consolidated_metadata(served: tuple[Path, str]) -> None:
    folder, url = served
    options = {"disk_cache": "no"}
    for name, added in (("a.zarr", 0), ("b.ome.zarr", 1)):
        write_image(folder / "zarr run" / name, PIXELS + added)
    with open_dataset(f"{url}/zarr%20run", storage_options={**options, "format": "ome-zarr"}) as dataset:
        assert [position.name for position in dataset.info.positions] == ["a", "b"]
        np.testing.assert_array_equal(dataset.plane(p=1), PIXELS + 1)
    with zipfile.ZipFile(DATA / "hdmf-zarr" / "series.zip") as archive:
        archive.extractall(folder)
    (store,) = folder.glob("*.nwb.zarr")
    (store / ".zmetadata").unlink(missing_ok=True)
    with open_dataset(store) as local, open_dataset(f"{url}/{store.name}", storage_options=options) as remote:
        assert [each.name for each in remote.info.positions] == [each.name for each in local.info.positions]
        assert remote.image(0) == local.image(0)
        np.testing.assert_array_equal(remote.plane(t=2), local.plane(t=2))


@pytest.mark.parametrize("served", ["nothing"], indirect=True)
def test_a_server_that_lists_nothing_is_named(served: tuple[Path, str]) -> None:
    folder, url = served
    stores.write_image(folder / "x.zarr" / "images" / "a", preset="none")
    with pytest.raises(DatasetNotFoundError, match="its folders cannot be listed: give the address"):
        open_dataset(f"{url}/x.zarr", storage_options={"disk_cache": "no"})


@needs_zarr_3
def test_a_server_without_ranges_is_not_asked_again_whether_a_chunk_is_there(tmp_path: Path) -> None:
    """`python -m http.server` is one. Without `dimension_separator` the first chunk is asked for."""
    with listing_server(tmp_path, "nothing") as (url, asked):
        write_image(tmp_path / "bucket" / "a.zarr", PIXELS, 2)
        for file in (tmp_path / "bucket" / "a.zarr").rglob(".zarray"):
            document = json.loads(file.read_text())
            document.pop("dimension_separator", None)
            file.write_text(json.dumps(document))
        with open_dataset(f"{url}/a.zarr", storage_options={"disk_cache": "no"}) as dataset:
            chunks = [path for path in asked if path.rpartition("/")[2] == "0.0"]
            assert 0 < len(chunks) <= 2 * len(set(chunks))  # not once for each try
            np.testing.assert_array_equal(dataset.plane(), PIXELS)


@needs_zarr_3
def test_a_bucket_of_s3_is_listed(tmp_path: Path) -> None:
    pytest.importorskip("moto.server", reason="S3 is tested on moto's server")
    spatial_data(tmp_path / "x.zarr", 2)
    with BucketServer() as bucket:
        for file in (tmp_path / "x.zarr").rglob("*"):
            if file.is_file():
                bucket.put(str(file.relative_to(tmp_path)), file.read_bytes())
        options = {"endpoint": bucket.endpoint, "key": "k", "secret": "s", "disk_cache": "no"}
        with open_dataset(f"s3://{BUCKET}/x.zarr", storage_options=options) as dataset:
            assert [position.name for position in dataset.info.positions] == ["blobs", "whole slide"]
            np.testing.assert_array_equal(dataset.plane(p=1), PIXELS + 1)
    shutil.rmtree(tmp_path / "x.zarr")
