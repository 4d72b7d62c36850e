"""Folders of images on servers, and images with which something is wrong."""

from __future__ import annotations

import itertools
import json
import shutil
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.images.source import ImagesSource
from tests.image_files import HEIGHT, THREE, TWO, WIDTH, opening_images, picture, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.range_server import RangeServer


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens images; closes them when the test is over."""
    yield from opening_images()


# ---- over a network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["png", "tif"])
def test_a_pattern_of_urls(tmp_path: Path, opened: Any, server: RangeServer, end: str) -> None:
    for t in range(3):
        for c in ("DAPI", "GFP"):
            write(tmp_path / "run" / f"img_{t:02d}_{c}.{end}", picture(t, len(c)))
    pattern = f"img_{{t:00..02}}_{{c:DAPI|GFP}}.{end}"
    for source in (opened(server.url("run/") + pattern), opened(server.url("run"), pattern=pattern)):
        assert source.info.sizes == {"t": 3, "p": 1, "c": 2, "z": 1, "y": HEIGHT, "x": WIDTH}
        np.testing.assert_array_equal(source.read_plane(PlaneKey(2, c=1)), picture(2, 3))
        assert source.describe()["hosts"] == [f"127.0.0.1:{server.port}"]
    with pytest.raises(DatasetError, match="cannot list them"):
        opened(server.url("run/") + "img_{t:d}_DAPI.png")


def test_a_pattern_of_signed_urls(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    """The signature belongs to each address, and is said nowhere."""
    for t in range(2):
        write(tmp_path / "run" / f"img_{t}.png", picture(t))
    write(tmp_path / "run" / "img_2.png", picture(2)[1:])
    server.set(query="signature=abc/1&expires=2")  # else 403
    address = server.url("run/") + "img_{t:0..4}.png?signature=abc/1&expires=2"
    with_pattern = server.url("run") + "?signature=abc/1&expires=2"
    for source in (opened(address), opened(with_pattern, pattern="img_{t:0..4}.png")):
        for t in range(2):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), picture(t))
        with pytest.raises(UnsupportedError) as error:
            source.read_plane(PlaneKey(2))
        with pytest.raises(PlaneNotStoredError) as missing:
            source.read_plane(PlaneKey(4))
        said = (str(error.value), str(missing.value), str(source.describe()), str(source.info))
        assert not any("signature" in each or "abc" in each for each in said)


@pytest.mark.parametrize("first", [np.uint8, np.uint16])
def test_channels_of_two_types_on_a_server_are_right(
    tmp_path: Path, opened: Any, server: RangeServer, first: type
) -> None:
    """And a file that has more bits than the first of its channel is not cut off."""
    second = np.uint16 if first is np.uint8 else np.uint8
    for t in range(2):
        write(tmp_path / f"img_{t}_DAPI.tif", picture(t, dtype=first))
        write(tmp_path / f"img_{t}_GFP.tif", picture(t, 1, dtype=second if t == 0 else np.float32))
    source = opened(server.url() + "img_{t:0..1}_{c:DAPI|GFP}.tif")
    assert source.info.dtype == np.uint16
    for key, pixels in (
        ((0, 0, 0, 0), picture(0)),
        ((1, 0, 0, 0), picture(1)),
        ((0, 0, 1, 0), picture(0, 1)),
    ):
        found = source.read_plane(PlaneKey(*key))
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, pixels)
    found = source.read_plane(PlaneKey(1, c=1))
    assert found.dtype == source.info.image(0).dtype == np.float32
    np.testing.assert_array_equal(found, picture(1, 1, dtype=np.float32))


def test_urls_that_are_not_there(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    for t in (0, 1, 3):
        write(tmp_path / f"img_{t}.png", picture(t))
    source = opened(server.url() + "img_{t:0..3}.png")
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(2))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(3))
    with pytest.raises(DatasetNotFoundError):
        opened(server.url() + "other_{t:0..3}.png")


def test_a_single_tiff_on_a_server_by_its_tiles(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    import tifffile

    data = np.random.default_rng(0).integers(0, 2**16, (1024, 2048), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(256, 256), compression="zlib")
    source = open_source(server.url("a.tif"))
    assert source.info.format == "tiff"
    server.set(latency_s=0.05)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), data)
    counts = server.counts()
    assert counts["max_in_flight"] > 1
    assert counts["bytes"] < 1.1 * (tmp_path / "a.tif").stat().st_size
    source.close()


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range", "html"])
def test_what_fails_on_the_way_gives_right_pixels_or_an_error(
    tmp_path: Path, opened: Any, server: RangeServer, fault: str
) -> None:
    for t in range(10):
        write(tmp_path / f"img_{t}.png", picture(t))
    source = opened(server.url() + "img_{t:0..9}.png")
    server.set(faults={fault: 0.4})
    for t in range(10):
        try:
            found = source.read_plane(PlaneKey(t))
        except DatasetError:
            continue
        np.testing.assert_array_equal(found, picture(t))


# ---- what is wrong with one of them --------------------------------------------------------------------


def test_a_picture_of_the_wrong_size_says_so(tmp_path: Path, opened: Any) -> None:
    for t in range(4):
        write(tmp_path / f"img_t{t}.png", picture(t))
    write(tmp_path / "img_t2.png", np.ones((30, 50), np.uint8))
    source = opened(tmp_path)
    with pytest.raises(
        UnsupportedError, match=r"img_t2\.png has 50 × 30 pixels, but others of its series have 32 × 20"
    ):
        source.read_plane(PlaneKey(2))
    assert source.plane_shape(PlaneKey(2)) == (30, 50)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(3))


def test_positions_may_differ_in_size(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / f"pos1_t{t}.png", picture(t))
        write(tmp_path / f"pos2_t{t}.png", np.full((30, 50), t + 1, np.uint8))
    source = opened(tmp_path)
    assert source.read_plane(PlaneKey(1, 1)).shape == (30, 50)
    assert source.read_plane(PlaneKey(1, 0)).shape == (HEIGHT, WIDTH)


def test_a_position_of_another_size_says_so_as_soon_as_it_is_looked_at(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / f"pos1_t{t}.png", picture(t))
        write(tmp_path / f"pos2_t{t}.png", np.full((30, 50), t + 1, np.uint8))
        write(tmp_path / f"pos3_t{t}.png", picture(t))
    looked, read, all_of = (opened(tmp_path) for _ in range(3))
    assert not looked.info.images
    read.read_plane(PlaneKey(1, 1))
    all_of.look_at_all()
    for image in (looked.image(1), read.info.image(1), all_of.info.image(1)):
        assert image.sizes == {"t": 2, "c": 1, "z": 1, "y": 30, "x": 50}
    assert all_of.info.images.keys() == {1}
    assert looked.levels(1)[0].sizes == (1, 30, 50)
    write(tmp_path / "pos2_t2.png", np.full((30, 50), 9, np.uint8))
    assert [read.refresh().image(p).sizes["t"] for p in (0, 1)] == [3, 3]
    assert (read.read_plane(PlaneKey(2, 1)) == 9).all()
    with open_dataset(tmp_path) as dataset:
        arrays = dataset.to_xarray()
        assert [array.shape[4:] for array in arrays.values()] == [(HEIGHT, WIDTH), (30, 50)]


def test_files_with_other_numbers_of_pages_are_each_read_by_their_own(tmp_path: Path, opened: Any) -> None:
    for name, n_z in (("pos1", 2), ("pos2", 3), ("pos3", 1)):
        pages = np.arange(4 * n_z * 6, dtype="u2").reshape(2, n_z, 2, 6, 1) + np.zeros(8, "u2")
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, imagej=True, metadata={"axes": "TZCYX"})
    source = opened(tmp_path)
    assert [source.image(p).n_z for p in range(3)] == [2, 3, 1]
    assert source.info.n_z == 3
    for p, n_z in enumerate((2, 3, 1)):
        for t, z, c in np.ndindex(2, n_z, 2):
            first = ((t * n_z + z) * 2 + c) * 6
            assert source.read_plane(PlaneKey(t, p, c, z))[0, 0] == first
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=2))


def test_unrelated_pictures_may_have_any_size(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "a cat.png", picture(1))
    write(tmp_path / "dog.png", np.full((30, 50), 1, np.uint8))
    assert opened(tmp_path).read_plane(PlaneKey(1)).shape == (30, 50)


def test_a_picture_with_more_bits_than_the_others_is_not_cut_off(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0))
    write(tmp_path / "img_1.png", picture(1, dtype=np.uint16) * 200)
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), picture(1, dtype=np.uint16) * 200)
    assert source.info.image(0).dtype == np.uint16


@pytest.mark.parametrize("dtypes", [("u1", "u2"), ("u2", "u1"), ("i2", "u2"), ("u1", "f4")])
def test_channels_of_different_pixel_types_have_a_dtype_that_holds_both(tmp_path: Path, dtypes: Any) -> None:
    for c, dtype in enumerate(dtypes):
        values = np.full((HEIGHT, WIDTH), 200 if dtype == "u1" else 30_000, dtype)
        for t in TWO:
            tifffile.imwrite(tmp_path / f"img_t{t}_c{c}.tif", values + t)
    with open_dataset(tmp_path) as dataset:
        array = dataset.to_xarray()
        assert dataset.info.dtype == array.dtype == np.result_type(*dtypes)
        expected = [200 if dtype == "u1" else 30_000 for dtype in dtypes]
        assert [int(dataset.plane(c=c)[0, 0]) for c in TWO] == expected
        assert array[1, 0, 0, :, 0, 0].values.tolist() == [value + 1 for value in expected]


def test_fewer_bits_and_colour_among_grey_are_shown(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0, dtype=np.uint16))
    write(tmp_path / "img_1.png", picture(1))
    write(tmp_path / "img_2.png", np.full((HEIGHT, WIDTH, 3), (10, 20, 30), np.uint8))
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), picture(1))
    assert np.unique(source.read_plane(PlaneKey(2))) == [round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)]


@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "tif"])
def test_a_file_that_is_cut_short_is_damage(tmp_path: Path, opened: Any, end: str) -> None:
    big = np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)
    for t in TWO:
        write(tmp_path / f"img_{t}.{end}", big)
    data = (tmp_path / f"img_1.{end}").read_bytes()
    source = opened(tmp_path)
    for length in (0, 1, 10, 60, len(data) // 2, len(data) * 9 // 10):
        (tmp_path / f"img_1.{end}").write_bytes(data[:length])
        with pytest.raises(CorruptDataError, match=rf"img_1\.{end}"):
            source.read_plane(PlaneKey(1))


def test_a_damaged_first_file_does_not_hide_the_others(tmp_path: Path, opened: Any) -> None:
    for t in range(3):
        write(tmp_path / f"img_{t}.png", picture(t))
    (tmp_path / "img_0.png").write_bytes(b"nothing")
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), picture(1))
    with pytest.raises(CorruptDataError, match=r"img_0\.png"):
        source.read_plane(PlaneKey(0))
    for t in range(3):
        (tmp_path / f"img_{t}.png").write_bytes(b"nothing")
    with pytest.raises(CorruptDataError, match=r"img_0\.png"):
        opened(tmp_path)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_a_picture_that_says_it_is_huge_is_not_decoded(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0))
    (tmp_path / "img_1.png").write_bytes(bomb(60_000, 60_000))
    source = opened(tmp_path)
    for ask in (source.read_plane, source.plane_shape):
        with pytest.raises(LimitExceededError, match=r"img_1\.png claims more than [\d,]+ pixels"):
            ask(PlaneKey(1))


def test_mutants_give_dataset_errors_only(tmp_path: Path) -> None:
    import tifffile

    stack = np.stack([picture(0, z, dtype=np.uint16) for z in THREE])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", compression="zlib", metadata=None)
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.jpg", picture(1))
    write(tmp_path / "a.bmp", picture(1))
    rng = np.random.default_rng(3)
    n_errors = 0
    for end in ("tif", "png", "jpg", "bmp"):
        path = tmp_path / f"a.{end}"
        original = path.read_bytes()
        for _ in range(150):
            mutant = bytearray(original)
            for _ in range(rng.integers(1, 4)):
                # most of what can go wrong is in the first bytes
                mutant[rng.integers(len(mutant) if rng.random() < 0.3 else 200) % len(mutant)] = rng.integers(
                    256
                )
            path.write_bytes(bytes(mutant))
            try:
                source = ImagesSource.open(str(path))
            except DatasetError:
                n_errors += 1
                continue
            try:
                source.read_plane(PlaneKey())
                source.plane_shape(PlaneKey())
            except DatasetError:
                n_errors += 1
            finally:
                source.close()
    assert n_errors > 100


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / "run" / f"img_{t}.png", picture(t))
    source = opened(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(DatasetGoneError):
        source.read_plane(PlaneKey())


def test_a_folder_without_images(tmp_path: Path, opened: Any) -> None:
    with pytest.raises(DatasetNotFoundError, match="no images"):
        opened(tmp_path)


def test_a_pattern_makes_a_folder_that_looks_like_squids_one_of_images(tmp_path):
    from PIL import Image

    for z in range(2):
        Image.fromarray(np.full((8, 9), z + 1, np.uint8)).save(tmp_path / f"x_1_{z}_GFP.png")
    source = open_source(str(tmp_path), {"pattern": "x_{p:d}_{z:d}_{c}.png"})
    assert source.info.sizes["z"] == 2
    assert source.read_plane(PlaneKey(z=1)).max() == 2
    assert isinstance(source, ImagesSource)
    source.close()


def test_what_micro_manager_says_beside_its_images(tmp_path: Path, opened: Any) -> None:
    summary = {
        "ChNames": ["DAPI", "GFP"],
        "ChColors": [-16776961, 0x00FF00],
        "z-step_um": 2.0,
        "Interval_ms": 1500,
    }
    said = {"Summary": summary, "FrameKey-0-0-0": {"PixelSizeUm": 0.325}}
    for p, c, t, z in itertools.product(range(2), range(2), range(2), range(2)):
        name = f"img_channel{c:03}_position{p:03}_time{t:09}_z{z:03}.tif"
        write(tmp_path / f"Pos{p}" / name, picture(8 * p + 4 * c + 2 * t + z))
        (tmp_path / f"Pos{p}" / "metadata.txt").write_text(json.dumps(said))
    source = opened(tmp_path)
    info = source.look_at_all()
    assert [(channel.name, channel.color) for channel in info.channels] == [
        ("DAPI", "#0000FF"),
        ("GFP", "#00FF00"),
    ]
    for p in range(2):
        image = info.image(p)
        assert (image.pixel_size_um, image.z_step_um, image.time_step_s) == (0.325, 2.0, 1.5)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 1, 1, 0)), picture(14))
    for end, name in ((-30, "DAPI"), (-60, "Ch0")):  # while it is written
        (tmp_path / "Pos0" / "metadata.txt").write_text(json.dumps(said)[:end])
        assert opened(tmp_path).info.channels[0].name == name
