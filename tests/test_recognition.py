"""Files are what their beginning says, whatever they are called and by which address they are asked for."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import stores
import tifffile
from hdf5_files import write_nwb
from nd2_samples import TWO, T, frame
from nd2_writer import write_nd2
from reference_files import ReferenceWriter

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.storage.bytes import absolute, name_of, split_inner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.range_server import RangeServer

pytest.importorskip("obstore")

PIXELS = (np.arange(24 * 20, dtype=np.uint16) * 7 + 1).reshape(24, 20)


def as_nwb(path: Path) -> np.ndarray:
    write_nwb(path, images={"data": PIXELS.T[None]})
    return PIXELS


def as_tiff(path: Path) -> np.ndarray:
    tifffile.imwrite(path, PIXELS, photometric="minisblack")
    return PIXELS


def as_png(path: Path) -> np.ndarray:
    PIL.Image.fromarray(PIXELS).save(path, "PNG")
    return PIXELS


def as_nd2(path: Path) -> np.ndarray:
    write_nd2(path, frame, [T], TWO)
    return frame(0)[..., 0]


def as_kerchunk(path: Path) -> np.ndarray:
    writer = ReferenceWriter(path.parent)
    writer.add("data", PIXELS[None], (1, *PIXELS.shape))
    writer.write(path.name)
    return PIXELS


def as_lindi(path: Path) -> np.ndarray:
    writer = ReferenceWriter(path.parent)
    writer.add("data", PIXELS[None], (1, *PIXELS.shape))
    writer.write_lindi(path.name)
    return PIXELS


def as_zip(path: Path) -> np.ndarray:
    stores.write_image(path.parent / "store.ome.zarr")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((path.parent / "store.ome.zarr").rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path.parent).as_posix())
    source = open_source(str(path.parent / "store.ome.zarr"))
    pixels = np.array(source.read_plane(PlaneKey()))
    source.close()
    return pixels


WRITERS = {
    **{"nwb": as_nwb, "tiff": as_tiff, "png": as_png, "nd2": as_nd2},
    **{"kerchunk": as_kerchunk, "lindi": as_lindi, "zip": as_zip},
}


@pytest.fixture(name="blob", params=WRITERS)
def a_file_without_a_name(request, tmp_path: Path, server: RangeServer) -> tuple[Path, np.ndarray]:
    folder = tmp_path / "blobs" / request.param
    folder.mkdir(parents=True)
    return folder / "a1b2", WRITERS[request.param](folder / "a1b2")


def pixels_at(address: str, **options: str) -> np.ndarray:
    with open_dataset(address, storage_options={"disk_cache": "no", **options}) as dataset:
        return dataset.plane()


def url_of(server: RangeServer, file: Path) -> str:
    return server.url(file.relative_to(server.folder).as_posix())


def redirected(url: str) -> str:
    """An address on the same server that leads to `url`."""
    scheme, _, host, path = url.split("/", 3)
    return f"{scheme}//{host}/redirect/{path}"


def test_files_are_recognised_by_their_beginning(blob, server) -> None:
    file, pixels = blob
    url = url_of(server, file)
    np.testing.assert_array_equal(pixels_at(url), pixels)
    np.testing.assert_array_equal(pixels_at(f"{url}#a-part"), pixels)
    np.testing.assert_array_equal(pixels_at(redirected(url)), pixels)
    np.testing.assert_array_equal(pixels_at(str(file)), pixels)
    np.testing.assert_array_equal(pixels_at(file.as_uri()), pixels)


def test_signed_addresses_are_recognised(blob, server) -> None:
    file, pixels = blob
    if file.parent.name in ("kerchunk", "lindi"):
        pytest.skip("the signature is for the references, not for the file that they name")
    server.set(query="X-Amz-Signature=a%2Fb.png", heads=False)
    np.testing.assert_array_equal(pixels_at(f"{url_of(server, file)}?X-Amz-Signature=a%2Fb.png"), pixels)


def test_recognising_a_file_costs_no_request_of_its_own(blob, server) -> None:
    file, _ = blob
    named = file.with_name(f"a1b2.{file.parent.name.replace('kerchunk', 'json').replace('lindi', 'json')}")
    named.write_bytes(file.read_bytes())
    counts = []
    for each in (file, named):
        server.set()
        open_source(url_of(server, each), {"disk_cache": "no"}).close()
        counts.append(server.counts()["requests"] + server.counts()["heads"])
    assert counts[0] == counts[1]


def test_an_archive_api_leads_to_the_file_and_into_it(tmp_path: Path, server: RangeServer) -> None:
    (tmp_path / "blobs").mkdir()
    write_nwb(
        tmp_path / "blobs" / "a1b2", images={"data": PIXELS.T[None]}, others={"data": PIXELS.T[None] + 1}
    )
    server.set(redirect=f"/{url_of(server, tmp_path / 'blobs' / 'a1b2').split('/', 3)[3]}?sig=1")
    url = redirected(server.url("api/assets/1/download/"))
    np.testing.assert_array_equal(pixels_at(f"{url}::/acquisition/others"), PIXELS + 1)
    with open_dataset(url, storage_options={"disk_cache": "no"}) as dataset:
        assert [position.name for position in dataset.info.positions] == ["images", "others"]


@pytest.mark.parametrize(
    ("name", "write"), [("a.nd2", as_tiff), ("a.png", as_nwb), ("a.zarr.zip", as_png), ("a.json", as_nd2)]
)
def test_the_beginning_counts_more_than_the_name_of_a_url(
    name: str, write: Callable[[Path], np.ndarray], tmp_path: Path, server: RangeServer
) -> None:
    pixels = write(tmp_path / name)
    np.testing.assert_array_equal(pixels_at(server.url(name)), pixels)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        *(("a.nd2", as_tiff), ("a.h5", as_tiff), ("a.json", as_tiff), ("a.png", as_nwb), ("a.tif", as_nd2)),
        *(("a.zarr.zip", as_png), ("a.json", as_nd2), ("a.h5", as_png), ("a.nd2", as_nwb)),
    ],
)
def test_a_local_file_that_is_not_what_it_is_called_opens_as_what_it_is(
    name: str, write: Callable[[Path], np.ndarray], tmp_path: Path
) -> None:
    pixels = write(tmp_path / name)
    np.testing.assert_array_equal(pixels_at(str(tmp_path / name)), pixels)


def test_a_user_block_may_hide_the_beginning(tmp_path: Path, server: RangeServer) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "blob", "w", userblock_size=8192) as file:
        file["pixels"] = PIXELS
    np.testing.assert_array_equal(pixels_at(server.url("blob")), PIXELS)


def test_a_format_can_be_told(tmp_path: Path, server: RangeServer) -> None:
    as_nwb(tmp_path / "blob")
    with open_dataset(server.url("blob"), format="nwb", storage_options={"disk_cache": "no"}) as dataset:
        assert dataset.info.format == "nwb"
    np.testing.assert_array_equal(pixels_at(str(tmp_path / "blob"), format="hdf5"), PIXELS)
    with pytest.raises(DatasetError, match="not an ND2 file: it looks like an HDF5 file"):
        open_dataset(server.url("blob"), format="nd2")
    with pytest.raises(UnsupportedError, match="no format 'lif': choose from ome-zarr, tiff"):
        open_dataset(server.url("blob"), format="lif")


def test_what_is_nothing_known_is_said(tmp_path: Path, server: RangeServer) -> None:
    (tmp_path / "paper").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (tmp_path / "facts").write_text(json.dumps({"name": "run"}))
    with pytest.raises(DatasetNotFoundError, match="paper is not a supported dataset: it looks like a PDF"):
        open_dataset(str(tmp_path / "paper"))
    for name in ("facts.csv", "missing.nd2", "missing"):
        with pytest.raises(DatasetNotFoundError, match=name):
            open_dataset(server.url(name))


def test_names_are_found_in_addresses(tmp_path: Path, server: RangeServer) -> None:
    assert name_of("https://h/a%20b.nd2?x=/c.png#d") == "a b.nd2"
    assert name_of("https://h/assets/1/download/") == "download"
    assert name_of("s3://bucket/run#1/a%20b?.nd2") == "a%20b?.nd2"
    assert name_of("/data/a.nwb::/acquisition/x") == "a.nwb"
    assert split_inner("http://[::1]:80/a.nwb::/x") == ("http://[::1]:80/a.nwb", "/x")
    assert split_inner("http://[::1]/a.nwb") == ("http://[::1]/a.nwb", "")
    assert absolute("file:///tmp/a%20b.nwb::/x") == "/tmp/a b.nwb::/x"
    assert absolute("file:/tmp/a%20b.nwb::/x") == "/tmp/a b.nwb::/x"
    odd = tmp_path / "a #1?.nwb"
    odd.touch()
    assert absolute(f"file://{odd}::/x") == absolute(f"{odd.as_uri()}::/x") == f"{odd}::/x"
    with pytest.raises(DatasetNotFoundError, match="write %23"):
        open_source(server.url("") + "a #1.nwb")
    with pytest.raises(DatasetNotFoundError, match="on the computer nas"):
        absolute("file://nas/a.nwb")


def test_an_address_that_is_refused_is_named_itself(server: RangeServer) -> None:
    """Not a file of OME-Zarr below it, which nobody asked for."""
    server.set(user="me:secret")
    with pytest.raises(DatasetPermissionError, match=r"requires authentication \(401\)") as error:
        open_source(server.url("a1b2"))
    assert "zarr.json" not in str(error.value)


def test_a_page_that_lists_nothing_is_no_missing_ome_zarr(server: RangeServer) -> None:
    as_tiff(server.folder / "blob")
    server.set(faults={"html": 1.0})
    with pytest.raises(DatasetPermissionError, match="answered with a web page instead of"):
        open_source(server.url("blob"))


def test_files_in_a_folder_that_open_by_themselves_are_named(tmp_path: Path) -> None:
    """Where the folder itself is nothing, and where its images are shown without them."""
    write_nd2(tmp_path / "run.nd2", lambda i: frame(i), [T], TWO)
    (tmp_path / "notes.txt").write_text("…")
    with pytest.raises(DatasetNotFoundError, match=r"open a file in it by itself: 'run\.nd2'$"):
        open_dataset(tmp_path)
    for t in range(3):
        tifffile.imwrite(tmp_path / f"img_t{t}.tif", PIXELS)
    with open_dataset(tmp_path) as dataset:
        assert dataset.info.n_t == 3
        (said,) = dataset.info.warnings
        assert "also contains what opens by itself" in said and said.endswith("'run.nd2'")
