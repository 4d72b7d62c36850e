"""TIFF datasets that are damaged, half-written, too large, growing or gone."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import struct
import sys
import threading
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import tiffs
from tiffs import tiff_saying

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    LimitExceededError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source
from ndviewer_light.storage.bytes import LocalBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources.tiff.source import TiffSource

    Open = Callable[[Path], TiffSource]

RED_GREEN_BLUE = np.stack([stores.plane(c=c, dtype="uint8") for c in range(3)], axis=-1)


# ---- what is not there, half there, or damaged ------------------------------------------------


def test_indices_outside_the_dataset(tmp_path: Path, opened: Open) -> None:
    source = opened(tiffs.write_images(tmp_path, times=[0]))
    for key in ((1, 0, 0, 0), (0, 3, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2), (-1, 0, 0, 0)):
        with pytest.raises(IndexError):
            source.read_plane(PlaneKey(*key))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(), level=1)


def test_a_missing_file_is_a_plane_that_is_not_stored(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path)
    tiffs.image_path(tmp_path, 1, "A1", 1, 0, tiffs.CHANNELS[1]).unlink()
    source = opened(tmp_path)
    key = PlaneKey(1, 1, 1, 0)
    with pytest.raises(
        PlaneNotStoredError, match=r"A1_1_0_Fluorescence_488_nm_Ex.tiff does not exist"
    ) as said:
        source.read_plane(key)
    assert not isinstance(said.value, PlaneNotWrittenError)
    assert said.value.plane_shape is None
    assert source.plane_shape(key) is None
    assert not source.exists(key)
    assert source.exists(PlaneKey())


def test_a_dataset_that_is_gone_is_not_empty(tmp_path: Path, opened: Open) -> None:
    source = opened(tiffs.write_images(tmp_path / "run", times=[0]))
    (tmp_path / "run").rename(tmp_path / "away")
    with pytest.raises(DatasetGoneError):
        source.read_plane(PlaneKey())
    with pytest.raises(DatasetGoneError):
        source.refresh()
    (tmp_path / "away").rename(tmp_path / "run")
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


PICTURES = [
    pytest.param(".tiff", stores.plane(), id="tiff"),
    pytest.param(".tiff", RED_GREEN_BLUE, id="colour tiff"),
    pytest.param(".bmp", stores.plane(dtype="uint8"), id="bmp"),
    pytest.param(".png", RED_GREEN_BLUE, id="png"),
]


@pytest.mark.parametrize(("end", "pixels"), PICTURES)
def test_a_file_cut_anywhere_is_being_written_and_later_damaged(
    tmp_path: Path, opened: Open, end: str, pixels: np.ndarray
) -> None:
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF", end=end), pixels)
    path = tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 1, "BF", end=end), pixels)
    source = opened(tmp_path)
    whole = path.read_bytes()
    trailer = 24 if end == ".png" else 1  # a PNG without its last checksums has all its pixels
    cuts = [
        *range(0, min(400, len(whole) - trailer)),
        *range(400, len(whole) - trailer, 61),
        len(whole) - trailer,
    ]
    for length in cuts:
        path.write_bytes(whole[:length])
        with pytest.raises(PlaneNotWrittenError, match=path.name):
            source.read_plane(PlaneKey(z=1))
        tiffs.make_old(path)
        said = rf"{path.name} is (truncated: .*{length:,}.* bytes?|empty)"
        with pytest.raises(CorruptDataError, match=said):
            source.read_plane(PlaneKey(z=1))
    path.write_bytes(whole)
    source.read_plane(PlaneKey(z=1))


def mutants(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Versions of a file with bytes changed, mostly near its head, and some cut short."""
    rng = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            at = rng.randrange(min(len(mutant), 600) if rng.random() < 0.7 else len(mutant))
            if rng.random() < 0.3:
                mutant[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\1\0\0\0"))
            else:
                mutant[at] = rng.randrange(256)
        if rng.random() < 0.1:
            del mutant[rng.randrange(len(mutant)) :]
        yield bytes(mutant)


def damaged_samples(folder: Path) -> Iterator[tuple[Path, Path]]:
    """(dataset, file of it) of each kind."""
    for end, pixels in ((".tiff", stores.plane()), (".png", stores.plane()), (".bmp", RED_GREEN_BLUE)):
        root = folder / f"images{end}"
        yield root, tiffs.write_image(tiffs.image_path(root, 0, "A1", 0, 0, "BF", end=end), pixels)
    yield tiffs.write_stacks(folder / "s", {"A1": 1}, times=[0]), folder / "s" / "0" / "A1_0_stack.tiff"
    yield tiffs.write_ome_files(folder / "o", {"A1": 1}), folder / "o" / "ome_tiff" / "A1_0.ome.tiff"
    for name, how in (
        ("deflate", {"compression": "zlib", "predictor": True, "tile": (16, 16)}),
        ("jpeg", {"compression": "jpeg"}),
        ("imagej", {"imagej": True}),
        ("big", {"bigtiff": True}),
    ):
        path = folder / f"{name}.tif"
        dtype = "uint16" if name == "imagej" else "uint8"
        planes = np.stack([stores.plane(z=z, dtype=dtype) for z in range(2)])
        tifffile.imwrite(path, planes, photometric="minisblack", **how)
        yield path, path


def test_no_mutant_raises_anything_but_our_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("imagecodecs")
    caplog.set_level(logging.CRITICAL)  # tifffile has much to say
    outcomes: dict[str, int] = {}
    for seed, (root, path) in enumerate(list(damaged_samples(tmp_path))):
        for mutant in mutants(path.read_bytes(), 60, seed):
            path.write_bytes(mutant)
            outcome = outcome_of(root)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) >= 500
    assert outcomes["shown"] > 100  # damage to pixels, or to tags nobody needs
    assert outcomes["CorruptDataError"] > 20


def outcome_of(path: Path) -> str:
    try:
        source = open_source(str(path))
        try:
            info = source.info
            for key in {PlaneKey(), PlaneKey(info.n_t - 1, 0, len(info.channels) - 1, info.n_z - 1)}:
                source.plane_shape(key)
                assert source.read_plane(key).ndim == 2
            source.refresh()
        finally:
            source.close()
    except DatasetError as error:
        return type(error).__name__
    return "shown"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_an_error_does_not_keep_its_file_open(tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(bytes(10))
    file = LocalBytes(str(path))
    with pytest.raises(CorruptDataError, match="10 of 20 bytes") as caught:
        file.read(0, 20)
    file.close()
    assert path.stat().st_ino not in opened_inodes(), caught.value


def opened_inodes() -> set[int]:
    found = set()
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # that of the listing itself is closed by now
            found.add(os.fstat(fd).st_ino)
    return found


def test_a_damaged_first_file_does_not_cost_the_dataset(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path)
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, tiffs.CHANNELS[0])
    path.write_bytes(b"II*\0" + bytes(100))
    tiffs.make_old(path)
    source = opened(tmp_path)
    assert source.info.dtype == np.uint16
    with pytest.raises(CorruptDataError, match=path.name):
        source.read_plane(PlaneKey())
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1)), stores.plane(t=1))


# ---- bombs ------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(2**31 - 1, 2**31 - 1), (40_000, 40_000), (1, 2**31 - 1)])
def test_a_strip_too_large_is_refused_before_it_is_read(
    tmp_path: Path, opened: Open, height: int, width: int
) -> None:
    source = opened(tiff_saying(tmp_path / "bomb.tif", 8, zlib.compress(b"x"), height, width))
    with pytest.raises(LimitExceededError, match=r"bomb\.tif.*GiB.*read a region"):
        source.read_plane(PlaneKey())
    with pytest.raises(LimitExceededError, match=r"bomb\.tif.*strips or tiles of \d+ bytes"):
        source.read_region(PlaneKey(), Region(0, 0, 1, 8))


def test_a_strip_that_inflates_beyond_its_page_is_refused(tmp_path: Path, opened: Open) -> None:
    path = tiff_saying(tmp_path / "bomb.tif", 8, zlib.compress(bytes(50_000_000), 9), 8, 8)
    source = opened(path)
    with pytest.raises((LimitExceededError, CorruptDataError), match=r"bomb\.tif"):
        source.read_plane(PlaneKey())


def test_an_image_inside_a_tiff_is_judged_by_its_own_size(tmp_path: Path, opened: Open) -> None:
    frame = struct.pack(">HHBHHB", 0xFFC0, 11, 8, 65_500, 65_500, 1) + b"\x01\x11\0"
    source = opened(tiff_saying(tmp_path / "bomb.tif", 7, b"\xff\xd8" + frame + bytes(100), 8, 8))
    with pytest.raises(LimitExceededError, match=r"bomb\.tif"):
        source.read_plane(PlaneKey())


def test_compressions_whose_size_nobody_can_tell_are_not_decoded(tmp_path: Path, opened: Open) -> None:
    source = opened(tiff_saying(tmp_path / "jxl.tif", 50002, bytes(100), 8, 8))
    with pytest.raises(UnsupportedError, match=r"jxl\.tif"):
        source.read_plane(PlaneKey())


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_png_too_large_is_refused(tmp_path: Path, opened: Open) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    with pytest.raises(LimitExceededError, match=r"bomb\.png"):
        opened(path)


def test_without_imagecodecs_the_message_says_what_to_install(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiff_saying(tmp_path / "lzw.tif", 5, b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01", 3, 3)
    source = opened(path)

    def raises(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(raises))
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[tiff\]'"):
        source.read_plane(PlaneKey())


# ---- growth, handles, threads ------------------------------------------------


def test_what_appears_later_comes_after_what_was_there(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path, {"B2": 1}, ["GFP"], times=[3], n_z=1)
    source = opened(tmp_path)
    first = source.info
    assert source.refresh() is first
    for t, region, z, channel in ((3, "A1", 0, "GFP"), (5, "B2", 1, "GFP"), (5, "B2", 0, "BF")):
        tiffs.write_image(tiffs.image_path(tmp_path, t, region, 0, z, channel), stores.plane(t, z=z))
    info = source.refresh()
    assert info is not first
    assert [position.label for position in info.positions] == ["B2:0", "A1:0"]
    assert (info.times, info.n_z) == ((3, 5), 2)
    assert tiffs.names_of(source) == ["GFP", "BF"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    np.testing.assert_array_equal(source.read_plane(PlaneKey(0, 1, 0, 0)), stores.plane(3))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 0, 0, 1)), stores.plane(5, z=1))
    (tmp_path / ".done").touch()
    assert source.refresh().complete is True


def test_ome_files_that_appear_later(tmp_path: Path, opened: Open) -> None:
    tiffs.write_ome_files(tmp_path, {"A1": 1})
    source = opened(tmp_path)
    path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A2", 0), 4)
    tiffs.write_ome_plane(path, 3, 1, 1, stores.plane(3))
    assert [position.label for position in source.refresh().positions] == ["A1:0", "A2:0"]
    source.read_plane(PlaneKey(p=0))
    assert source.plane_shape(PlaneKey(p=1)) == (stores.HEIGHT, stores.WIDTH)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the entries of /proc/self/fd")
@pytest.mark.parametrize("form", ["stacks", "ome"])
def test_handles_are_bounded_and_closed(tmp_path: Path, opened: Open, form: str) -> None:
    def handles() -> int:
        found = 0
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                found += os.readlink(f"/proc/self/fd/{fd}").startswith(str(tmp_path))
        return found

    write = tiffs.write_stacks if form == "stacks" else tiffs.write_ome_files
    extra = {"times": [0]} if form == "stacks" else {"n_t": 1}
    source = opened(write(tmp_path, {"A1": 80}, tiffs.CHANNELS[:1], n_z=1, **extra))
    failed: list[BaseException] = []

    def read(start: int) -> None:
        try:
            for p in range(80):
                key = PlaneKey(p=(start + p) % 80)
                np.testing.assert_array_equal(source.read_plane(key), stores.plane(p=key.p))
                assert handles() <= 64
        except BaseException as error:  # noqa: BLE001  told by the test
            failed.append(error)

    threads = [threading.Thread(target=read, args=(17 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert 0 < handles() <= 32
    source.close()
    source.close()
    assert handles() == 0
    with pytest.raises(DatasetError):
        source.read_plane(PlaneKey())


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, opened: Open) -> None:
    source = opened(tiffs.write_stacks(tmp_path, {"A1": 1}, times=[0]))
    source.read_plane(PlaneKey())
    path = tiffs.stack_path(tmp_path, 0, "A1", 0)
    other = path.with_suffix(".new")
    for z, (c, channel) in itertools.product(range(2), enumerate(tiffs.CHANNELS)):
        tiffs.append_to_stack(other, stores.plane(7, c=c, z=z), z, channel, c)
    other.replace(path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane(7))


def test_a_broken_coordinates_file_costs_the_positions_only(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path)
    (tmp_path / "coordinates.csv").write_text("region,x (mm)\nA1\n")
    source = opened(tmp_path)
    assert source.info.positions[0].x_um is None
    assert any("coordinates.csv" in warning for warning in source.info.warnings)
    tiffs.assert_shows_what_was_written(source)


def test_coordinates_of_the_first_time_point_where_none_were_planned(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path, {"A1": 1})
    (tmp_path / "coordinates.csv").unlink()
    (tmp_path / "0" / "coordinates.csv").write_text(
        "region,fov,z_level,x (mm),y (mm),z (um),time\nA1,0,0,1.25,2.5,30.0,now\nA1,0,1,1.25,2.5,31.5,now\n"
    )
    assert opened(tmp_path).info.positions[0][2:5] == (1250.0, 2500.0, 30.0)


def test_tags_say_the_pixel_size_where_nothing_else_does(tmp_path: Path, opened: Open) -> None:
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    tifffile.imwrite(path, stores.plane(), description=json.dumps({"pixel_size_um": 0.65}), metadata=None)
    assert opened(tmp_path).info.pixel_size_um == 0.65


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path, times=[0])
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 1, tiffs.CHANNELS[0])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match="not a regular file"):
        opened(tmp_path).read_plane(PlaneKey(z=1))


def test_one_file_that_grows(tmp_path: Path, opened: Open) -> None:
    path = tiffs.stack_path(tmp_path, 0, "A1", 0)
    tiffs.append_to_stack(path, stores.plane(), 0, "BF", 0)
    source = opened(path)
    tiffs.append_to_stack(path, stores.plane(z=1), 1, "BF", 0)
    assert source.refresh().n_z == 2
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), stores.plane(z=1))


def test_reading_a_larger_file_tells_of_more(tmp_path: Path, opened: Open) -> None:
    tiffs.write_ome_files(tmp_path, {"A1": 1})
    path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A2", 0), 4, 5)
    tiffs.write_ome_plane(path, 3, 4, 0, stores.plane(3))
    source = opened(tmp_path)
    assert source.info.n_t == 2
    with pytest.raises(PlaneNotWrittenError):
        source.read_plane(PlaneKey(p=1))
    assert (source.info.n_t, source.info.n_z) == (4, 5)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3, 1, 0, 4)), stores.plane(3))
    with pytest.raises(PlaneNotStoredError) as said:
        source.read_plane(PlaneKey(3))
    assert said.value.plane_shape is None
    assert source.plane_shape(PlaneKey(3)) is None
