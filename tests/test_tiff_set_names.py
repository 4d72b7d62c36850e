"""Sets of TIFFs whose names have characters that addresses write otherwise: on servers as on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiff_cases import data, image, ome, pages, uuid, write_pages

from ndviewer_light import open_dataset
from tests.listing_server import listing_server
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

pytest.importorskip("obstore")

NAMES = [f"my run #{p} 50% (ä)+b_Pos{p}.ome.tif" for p in range(3)]
PIXELS = [image(1, 2, 2, p) for p in range(3)]
SIZES = {"SizeZ": 2, "SizeC": 2}


def same_in_all(folder: Path) -> list[Path]:
    """As Micro-Manager writes them: names decide."""
    xml = ome([(f"P{p}", SIZES, data(NAMES[p], uuid(p), PlaneCount=4)) for p in range(3)], uuid(0))
    return [write_pages(folder / NAMES[p], pages(PIXELS[p]), xml) for p in range(3)]


def one_describes_all(folder: Path) -> list[Path]:
    """As ome-writers does: the others name the first file."""
    xml = ome([(f"P{p}", SIZES, data(NAMES[p], uuid(p), PlaneCount=4)) for p in range(3)], uuid(0))
    only = f'<BinaryOnly MetadataFile="{NAMES[0]}" UUID="urn:uuid:{uuid(0)}"/>'
    texts = [xml, *(ome([], uuid(p), before=only) for p in (1, 2))]
    return [write_pages(folder / NAMES[p], pages(PIXELS[p]), texts[p]) for p in range(3)]


def companion(folder: Path) -> list[Path]:
    """A file beside them describes all."""
    name = "my run #1 50%.companion.ome"
    xml = ome([(f"P{p}", SIZES, data(NAMES[p], uuid(p), PlaneCount=4)) for p in range(3)], uuid(9))
    only = f'<BinaryOnly MetadataFile="{name}" UUID="urn:uuid:{uuid(9)}"/>'
    paths = [
        write_pages(folder / NAMES[p], pages(PIXELS[p]), ome([], uuid(p), before=only)) for p in range(3)
    ]
    (folder / name).write_text(xml, "utf-8")
    return [*paths, folder / name]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as started:
        yield started


def check(dataset: Dataset) -> None:
    assert [position.name for position in dataset.info.positions] == ["P0", "P1", "P2"]
    for p, c, z in np.ndindex(3, 2, 2):
        np.testing.assert_array_equal(dataset.plane(p=p, c=c, z=z), PIXELS[p][0, c, z])


@pytest.mark.parametrize("write", [same_in_all, one_describes_all, companion], ids=lambda each: each.__name__)
def test_each_file_opens_all(server: RangeServer, write) -> None:
    folder = server.folder / write.__name__
    folder.mkdir()
    for i, path in enumerate(write(folder)):
        for where in (str(path), server.url(path.relative_to(server.folder).as_posix())):
            with open_dataset(
                where, storage_options={"disk_cache": "no"} if "://" in where else {}
            ) as dataset:
                check(dataset)
                assert dataset.info.first_position == (i if i < 3 else 0)


@pytest.mark.parametrize("write", [same_in_all, one_describes_all, companion], ids=lambda each: each.__name__)
def test_their_folder_on_a_server_that_lists_it(tmp_path: Path, write) -> None:
    with listing_server(tmp_path, "pages") as (url, _):
        write(tmp_path / "bucket" / "all")
        with open_dataset(f"{url}/all", storage_options={"disk_cache": "no"}) as dataset:
            check(dataset)
            assert dataset.info.warnings == ()
