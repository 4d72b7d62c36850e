"""TIFF as different programs write it, on disk and from a server: the right facts and pixels from both."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import tiff_dialects
import tifffile
from tiff_cases import Expected, Written, image, plane, write_pages
from tiff_dialects import DIALECTS

from ndviewer_light.errors import (
    DatasetError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source
from ndviewer_light.storage.decoding import tiff_bombs
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ndviewer_light.sources.source import Source

PUBLIC = Path(__file__).parents[2] / "shared" / "data" / "public" / "tiff"


@pytest.fixture(scope="module")
def written(module_server: RangeServer) -> dict[str, Written]:
    return {name: write(module_server.folder / name) for name, write in DIALECTS.items()}


@contextlib.contextmanager
def opened(path: Any, **options: str) -> Iterator[Source]:
    source = open_source(str(path), options)
    try:
        yield source
    finally:
        source.close()


def planes_of(source: Source, p: int) -> np.ndarray:
    """(T, C, Z, Y, X) of the channels that a position has."""
    image = source.image(p)
    info = source.info
    channels = info.channels_of(image)
    return np.stack(
        [
            np.stack(
                [
                    np.stack([source.read_plane(PlaneKey(t, p, c, z)) for z in range(image.n_z)])
                    for c in channels
                ]
            )
            for t in range(image.n_t)
        ]
    )


def assert_right(source: Source, expected: Expected) -> None:
    info = source.info
    assert len(info.positions) == len(expected.pixels), info.positions
    for p, pixels in enumerate(expected.pixels):
        found = planes_of(source, p)
        np.testing.assert_array_equal(found, pixels, err_msg=f"position {p}")
        assert found.dtype == pixels.dtype == source.image(p).dtype
    if expected.names:
        assert [
            at.name if ":" not in want else at.label
            for at, want in zip(info.positions, expected.names, strict=True)
        ] == expected.names
    if expected.channels is not None:
        assert [channel.name for channel in info.channels] == expected.channels
    if expected.colours is not None:
        assert [channel.color for channel in info.channels] == expected.colours
    steps = {"x": info.pixel_size_x_um, "y": info.pixel_size_y_um, "z": info.z_step_um, "t": info.time_step_s}
    for axis, step in expected.steps.items():
        assert steps[axis] == (None if step is None else pytest.approx(step)), axis
    assert expected.said in " ".join(info.warnings)
    assert bool(info.warnings) == bool(expected.said), info.warnings


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(written: dict[str, Written], module_server: RangeServer, name: str) -> None:
    for path in written[name].paths:
        with opened(path) as source:
            assert_right(source, written[name].expected)
        if written[name].serve and path.is_file():
            with opened(module_server.url(str(path.relative_to(module_server.folder)))) as source:
                assert_right(source, written[name].expected)


@pytest.mark.parametrize("is_remote", [False, True], ids=["disk", "server"])
def test_pixels_have_the_type_that_is_said_whatever_the_byte_order(
    module_server: RangeServer, tmp_path: Path, is_remote: bool
) -> None:
    """ImageJ writes the high byte first; programs that take pixels need those of this machine."""
    for i, (dtype, how) in enumerate(itertools.product((">u2", ">f4", ">i4"), ({}, {"compression": "zlib"}))):
        pixels = np.arange(6 * 24 * 32).reshape(6, 24, 32).astype(dtype)
        path = module_server.folder / f"big_endian_{i}.tif"
        tifffile.imwrite(path, pixels, byteorder=">", photometric="minisblack", **how)
        with opened(module_server.url(path.name) if is_remote else path) as source:
            for found in (
                source.read_plane(PlaneKey(z=5)),
                source.read_region(PlaneKey(z=5), Region(3, 4, 5, 6)),
            ):
                assert found.dtype == source.info.dtype and found.dtype.isnative
            np.testing.assert_array_equal(source.read_plane(PlaneKey(z=5)), pixels[5])


def test_a_person_may_say_what_the_pages_are(tmp_path: Path, module_server: RangeServer) -> None:
    pixels = [plane(t=t) for t in range(6)]
    path = write_pages(module_server.folder / "unsaid.tif", pixels)
    for place in (str(path), module_server.url("unsaid.tif")):
        with opened(place) as source:
            assert (source.info.n_t, source.info.n_z) == (1, 6)
            assert "axes=T" in " ".join(source.describe()["images"])
        source = open_source(place, {"axes": "T"})
        assert (source.info.n_t, source.info.n_z) == (6, 1)
        np.testing.assert_array_equal(source.read_plane(PlaneKey(5)), pixels[5])
        source.close()
    for axes in ("TZ", "Q", "TT"):
        with pytest.raises(UnsupportedError, match="axes"):
            open_source(str(path), {"axes": axes})


@pytest.mark.parametrize("name", ["mm_positions_same_xml", "micromanager_stacks"])
def test_a_set_opens_at_the_position_of_the_file_that_was_opened(
    written: dict[str, Written], name: str
) -> None:
    for path in written[name].paths[:-1]:
        with opened(path) as source:
            first = source.info.first_position
            assert source.info.positions[first].name in path.name


@pytest.mark.parametrize("name", ["companion", "binary_only"])
def test_a_set_is_found_in_a_folder_with_nothing_but_its_own_in_it(tmp_path: Path, name: str) -> None:
    """What ome-writers makes of ``run.ome.tiff`` is a folder, in the one that its user chose."""
    (tmp_path / "chosen/run").mkdir(parents=True)
    written = DIALECTS[name](tmp_path / "chosen/run")
    (tmp_path / "chosen/.DS_Store").write_bytes(b"")
    with opened(tmp_path / "chosen") as source:
        assert_right(source, written.expected)
    (tmp_path / "chosen/another").mkdir()
    (tmp_path / "chosen/run").rename(tmp_path / "away")
    with pytest.raises(DatasetError):
        open_source(str(tmp_path / "chosen"))


def test_a_file_of_a_set_that_is_a_link_out_of_its_folder_is_not_read(tmp_path: Path) -> None:
    written = DIALECTS["companion"](tmp_path / "set")
    outside = tmp_path / "outside.ome.tiff"
    written.paths[1].rename(outside)
    written.paths[1].symlink_to(outside)
    with opened(written.paths[0]) as source:
        assert source.read_plane(PlaneKey()).any()
        with pytest.raises(UntrustedReferenceError):
            source.read_plane(PlaneKey(p=1))


def test_a_file_of_a_set_that_is_missing_is_named(tmp_path: Path) -> None:
    written = DIALECTS["companion"](tmp_path)
    written.paths[1].unlink()
    with opened(tmp_path) as source:
        assert len(source.info.positions) == 2
        with pytest.raises(PlaneNotStoredError, match="c_p1"):
            source.read_plane(PlaneKey(p=1))
        assert source.are_stored([PlaneKey(), PlaneKey(p=1)]) == [True, False]


@pytest.mark.parametrize(
    ("name", "first"),
    [("mm_positions_same_xml", [0, 1, 2, 0]), ("companion", [0, 1, 0, 0]), ("ndtiff", [0] * 3)],
)
def test_a_view_begins_at_the_file_that_was_opened(
    written: dict[str, Written], name: str, first: list[int]
) -> None:
    found = []
    for path in written[name].paths:
        with opened(path) as source:
            found.append(source.info.first_position)
    assert found == first


def test_the_table_in_the_documentation_is_the_one_that_is_tested() -> None:
    text = (Path(__file__).parents[1] / "docs" / "formats.md").read_text("utf-8")
    written = text.split(tiff_dialects.BEGIN)[1].split(tiff_dialects.END)[0].strip()
    assert written == tiff_dialects.table(), "run python tests/tiff_dialects.py"


# ---- real files ------------------------------------------------------------------------------------


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the collection of real files is not here")
def test_real_files_are_as_tifffile_reads_them_from_disk_and_from_a_server() -> None:
    """All 54; their images in tifffile's order, as (T, C, Z, Y, X)."""
    pytest.importorskip("obstore")
    files = sorted(PUBLIC.iterdir())
    assert len(files) > 50
    with RangeServer(PUBLIC) as server:
        for path in files:
            expected = Expected(as_tifffile_reads(path))
            for place in (path, server.url(path.name)):
                with opened(place, alone="yes") as source:
                    assert_right(source, expected)


def as_tifffile_reads(path: Path) -> list[np.ndarray]:
    """Every series as (T, C, Z, Y, X), with samples as channels, without the transparency of RGBA."""
    found = []
    with tifffile.TiffFile(path) as file:
        is_new = callable(file.series)  # tifffile from 2026.5 on
        for series in file.series(squeeze=False) if is_new else file.series:
            pixels = series.asarray().reshape(series.shape) if is_new else series.asarray(squeeze=False)
            axes = series.axes if is_new else series.get_axes(squeeze=False)
            is_rgba = series.keyframe.photometric == 2 and pixels.shape[axes.find("S")] == 4
            axes = axes.replace("S", "Q" if "C" in axes else "C")
            order = [axes.index(axis) for axis in "TCZYX" if axis in axes]
            others = [i for i in range(pixels.ndim) if i not in order]
            sizes = dict(zip(axes, pixels.shape, strict=True))
            pixels = pixels.transpose(*others, *order).reshape([sizes.get(axis, 1) for axis in "TCZYX"])
            found.append(pixels[:, :3] if is_rgba else pixels)
    return found


# ---- codecs ----------------------------------------------------------------------------------------

CODECS = (
    *("ccittfax4", "jpegxl", "jpegxr", "lerc", "png", "webp", "lzma", "zstd", "jpeg", "jpeg2000", "packbits"),
    "lzw",
)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_give_what_was_written(tmp_path: Path, codec: str) -> None:
    """Those that lose nothing; of JPEG, what tifffile decodes."""
    pytest.importorskip("imagecodecs")
    pixels = image(n_z=2, shape=(64, 80), dtype="u1")[0, 0]
    path = tmp_path / "a.tif"
    more: dict[str, Any] = {"tile": (32, 48)} if codec != "ccittfax4" else {"rowsperstrip": 16}
    if codec == "webp":
        pixels, more = np.stack([pixels] * 3, axis=-1), {**more, "photometric": "rgb"}
    if codec == "ccittfax4":
        PIL.Image.fromarray(pixels[0] > 100).save(path, compression="group4")
    else:
        tifffile.imwrite(path, pixels, compression=codec, **{"photometric": "minisblack", **more})
    with opened(path) as source:
        try:
            found = source.read_plane(PlaneKey(z=source.info.n_z - 1))
        except UnsupportedError:
            if codec != "ccittfax4":
                raise
            pytest.skip("tifffile for Python 3.10 does not decode fax codes")
        part = source.read_region(PlaneKey(z=source.info.n_z - 1), Region(10, 40, 20, 30))
    expected = tifffile.imread(path, key=source.info.n_z - 1)
    expected = expected[..., 0] if expected.ndim == 3 else expected
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(part, expected[10:30, 40:70])
    if codec not in ("jpeg", "ccittfax4"):
        np.testing.assert_array_equal(expected, pixels[1][..., 0] if pixels.ndim == 4 else pixels[1])


@pytest.mark.parametrize("codec", ["jpegxl", "jpegxr", "png", "jpeg2000", "jpeg", "lerc"])
def test_an_embedded_image_that_is_too_large_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, plane(shape=(64, 80), dtype="u1"), compression=codec, photometric="minisblack")
    monkeypatch.setattr(tiff_bombs, "MAX_PLANE_BYTES", 64 * 80 - 1)
    with opened(path) as source, pytest.raises(LimitExceededError, match="embedded image"):
        source.read_plane(PlaneKey())


def test_compressed_pages_are_found_ahead_though_no_two_are_equally_long(module_server: RangeServer) -> None:
    """60 pages whose lengths differ by some per cent, each after its tags, are found several at a time."""
    noise = np.random.default_rng(5)
    planes = [noise.integers(0, int(noise.integers(800, 1024)), (400, 400), np.uint16) for _ in range(60)]
    with tifffile.TiffWriter(module_server.folder / "packed.tif") as file:
        for page in planes:
            file.write(page, metadata=None, contiguous=False, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(module_server.folder / "packed.tif") as file:
        places = np.array([page.offset for page in file.pages])
    steps = np.diff(places)
    assert len(set(steps)) > 30
    module_server.set(latency_s=0.02)
    try:
        before = module_server.counts()["requests"]
        with opened(module_server.url("packed.tif")) as source:
            assert module_server.counts()["max_in_flight"] > 4
            assert module_server.counts()["requests"] - before < 120
            assert source.info.n_z == 60
            for z in (0, 31, 59):
                np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), planes[z])
    finally:
        module_server.set()


def test_pages_of_very_different_lengths_are_found_in_blocks(module_server: RangeServer) -> None:
    """Of 120 pages, a third of which are blank, nothing tells where the next one begins."""
    noise = np.random.default_rng(6)
    planes = [
        noise.integers(0, 2 ** int(noise.integers(0, 15)), (200, 200), np.uint16)
        * int(noise.integers(0, 3) > 0)
        for _ in range(120)
    ]
    with tifffile.TiffWriter(module_server.folder / "blanks.tif") as file:
        for page in planes:
            file.write(page, metadata=None, contiguous=False, compression="zlib", photometric="minisblack")
    module_server.set(latency_s=0.02)
    try:
        with opened(module_server.url("blanks.tif")) as source:
            asked = sorted(entry["at"] for entry in module_server.log())
            assert sum(b - a > 0.015 for a, b in itertools.pairwise(asked)) < 40  # one after the other
            before = module_server.counts()["requests"]
            assert source.info.n_z == 120
            for z in (0, 57, 119):
                np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), planes[z])
            assert module_server.counts()["requests"] - before <= 6
    finally:
        module_server.set()


def test_pages_on_a_server_are_not_read_one_by_one(module_server: RangeServer) -> None:
    """Tags between the pixels of 100 pages of 128 kB are fetched ahead, many at once."""
    write_pages(module_server.folder / "many.tif", (plane(t=t, shape=(256, 256)) for t in range(100)))
    module_server.set(latency_s=0.02)
    try:
        before = module_server.counts()["requests"]
        with opened(module_server.url("many.tif")) as source:
            assert source.info.n_z == 100
            assert module_server.counts()["requests"] - before < 110
            assert module_server.counts()["max_in_flight"] > 8
            np.testing.assert_array_equal(source.read_plane(PlaneKey(z=99)), plane(t=99, shape=(256, 256)))
    finally:
        module_server.set()
