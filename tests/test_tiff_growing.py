"""TIFFs that are read while they are written: pages appended, OME-TIFFs that are not closed yet."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import program_tiff_dialects
import pytest
import stores
import tifffile

from ndviewer_light.errors import CorruptDataError, DatasetNotFoundError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.registry import open_source
from ndviewer_light.sources.replacement import ReplaceableSource
from ndviewer_light.sources.tiff import set_source
from ndviewer_light.storage.decoding.ifd_chain import IfdChain
from ndviewer_light.storage.decoding.tiff_pages import TiffPages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.sources import Source

SIZE = (40, 50)
APPENDED = {"append": True, "photometric": "minisblack"}


def frame(number: int) -> np.ndarray:
    return np.full(SIZE, 100 + number, "u2")


def value(source: Source, t: int = 0, c: int = 0, z: int = 0, p: int = 0) -> int:
    return int(source.read_plane(PlaneKey(t, p, c, z))[0, 0]) - 100


# ---- pages appended -------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["frames", "stacks"])
def test_arrays_that_tifffile_appends_are_time_points(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "a.tif"
    for t in range(4):
        array = frame(t) if axes == "frames" else np.stack([frame(10 * t + z) for z in range(3)])
        tifffile.imwrite(path, array, **APPENDED)
    source = open_source(str(path))
    sizes = source.info.sizes
    assert (sizes["t"], sizes["z"], sizes["p"]) == (4, 1 if axes == "frames" else 3, 1)
    if axes == "frames":
        assert [value(source, t) for t in range(4)] == [0, 1, 2, 3]
    else:
        assert [value(source, t, z=z) for t in range(4) for z in range(3)] == [
            10 * t + z for t in range(4) for z in range(3)
        ]
    source.close()


def test_appended_arrays_that_differ_or_have_names_are_images_of_their_own(tmp_path: Path) -> None:
    named, other = tmp_path / "named.tif", tmp_path / "other.tif"
    for i in range(2):
        tifffile.imwrite(named, frame(i), metadata={"name": f"image {i}"}, **APPENDED)
        tifffile.imwrite(other, frame(i)[: 40 - i], **APPENDED)
    for path in (named, other):
        source = open_source(str(path))
        assert (source.info.n_t, len(source.info.positions)) == (1, 2)
        assert [value(source, p=p) for p in range(2)] == [0, 1]
        source.close()


def test_pages_that_are_appended_while_a_file_is_opened_are_found_by_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"

    def append(number: int) -> None:  # a second ago: not so new as to be looked at again for that
        tifffile.imwrite(path, frame(number), metadata=None, **APPENDED)
        for changed in (path, tmp_path):
            os.utime(changed, ns=(0, time.time_ns() - 1_500_000_000 + 300_000_000 * number))

    append(0)
    appending = iter([1, 2])
    open_set = set_source.open_set

    def opened_and_appended(*arguments: Any) -> Any:
        found = open_set(*arguments)
        append(next(appending))
        return found

    monkeypatch.setattr(set_source, "open_set", opened_and_appended)
    source = set_source.TiffSetSource.open(str(path))
    assert source.look().n_z == 2
    monkeypatch.undo()
    assert source.look().n_z == 3
    assert [value(source, z=z) for z in range(3)] == [0, 1, 2]
    source.close()


@pytest.mark.parametrize("metadata", [None, {}])
def test_looking_at_a_file_that_grows_reads_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for i in range(200):
            file.write(frame(i), photometric="minisblack", metadata=metadata)
    source = ReplaceableSource(str(path), lambda: open_source(str(path)))
    source.follow()
    source.look()
    axis = "z" if metadata is None else "t"
    visited: list[int] = []
    visit: Callable[..., int] = IfdChain._visit
    monkeypatch.setattr(
        IfdChain, "_visit", lambda self, at, **more: visited.append(at) or visit(self, at, **more)
    )
    parsed: list[int] = []
    parse: Callable[..., object] = TiffPages._page
    monkeypatch.setattr(TiffPages, "_page", lambda self, at: parsed.append(at.page) or parse(self, at))
    for i in range(200, 205):
        tifffile.imwrite(path, frame(i), metadata=metadata, **APPENDED)
        visited.clear()
        parsed.clear()
        assert source.look().sizes[axis] == i + 1
        assert value(source, **{axis: i}) == i
        assert len(visited) < 10
        assert set(parsed) <= {0, i}
        assert value(source, **{axis: 7}) == 7
    assert source.info.generation == 0
    source.close()


def die_within_a_page(path: Path, number: int, metadata: dict[str, str] | None) -> None:
    """Append the first half of a page as tifffile does, which names it first and writes its tags last."""
    tifffile.imwrite(path, frame(number), metadata=metadata, **APPENDED)
    with tifffile.TiffFile(path) as file:
        last = file.pages[-1]
        tags, end = last.offset, last.dataoffsets[0] + last.databytecounts[0] // 2
        assert tags < last.dataoffsets[0]
        data = path.read_bytes()
    path.write_bytes(data[:tags] + bytes(last.dataoffsets[0] - tags) + data[last.dataoffsets[0] : end])


@pytest.mark.parametrize("metadata", [None, {}])
def test_a_page_that_was_named_but_never_written_is_none(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "a.tif"
    axis = "z" if metadata is None else "t"
    for i in range(3):
        tifffile.imwrite(path, frame(i), metadata=metadata, **APPENDED)
    die_within_a_page(path, 3, metadata)
    source = ReplaceableSource(str(path), lambda: open_source(str(path)))
    source.follow()
    info = source.look()
    assert info.sizes[axis] == 3
    assert [value(source, **{axis: i}) for i in range(3)] == [0, 1, 2]
    (warning,) = info.warnings
    assert "a.tif ends before a page that it announces" in warning
    for i in range(3, 6):  # the writer resumes, after the page that is none
        tifffile.imwrite(path, frame(i), metadata=metadata, **APPENDED)
        info = source.look()
        assert info.sizes[axis] == i + 1
        assert [value(source, **{axis: k}) for k in range(i + 1)] == list(range(i + 1))
    assert not info.warnings
    assert info.generation == 0
    source.close()


def test_an_image_without_tags_so_far_says_that_they_are_missing(tmp_path: Path) -> None:
    for i in range(3):
        tifffile.imwrite(tmp_path / f"img_t{i}.tif", frame(i), metadata=None, photometric="minisblack")
    path = tmp_path / "img_t2.tif"
    data = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tags, pixels = file.pages[0].offset, file.pages[0].dataoffsets[0]
    path.write_bytes(data[:tags] + bytes(pixels - tags) + data[pixels : len(data) // 2])
    source = open_source(str(tmp_path))
    assert [value(source, t) for t in range(2)] == [0, 1]
    with pytest.raises(CorruptDataError, match=rf"{path.name} is truncated: .* bytes, but no tags yet"):
        value(source, 2)
    source.close()
    with pytest.raises(DatasetNotFoundError, match=rf"{path.name} is still being written: .* no header yet"):
        open_source(str(path))


def test_a_stack_of_a_folder_has_the_pages_that_were_written(tmp_path: Path) -> None:
    for fov in range(2):
        for i in range(3):
            tifffile.imwrite(tmp_path / f"img_s{fov}.tif", frame(i), metadata=None, **APPENDED)
    die_within_a_page(tmp_path / "img_s1.tif", 3, None)
    source = open_source(str(tmp_path))
    assert (source.info.sizes["p"], source.info.sizes["z"]) == (2, 3)
    assert [value(source, p=p, z=z) for p in range(2) for z in range(3)] == [0, 1, 2] * 2
    source.close()


def test_a_file_that_was_written_anew_is_another_dataset_also_if_it_has_grown_since(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for i in range(3):
        tifffile.imwrite(path, frame(i), metadata=None, **APPENDED)
    source = ReplaceableSource(str(path), lambda: open_source(str(path)))
    source.follow()
    node = path.stat().st_ino
    tifffile.imwrite(path, frame(50)[:30], metadata=None, photometric="minisblack")
    assert path.stat().st_ino == node, "written into the same file"
    for i in range(51, 54):
        tifffile.imwrite(path, frame(i)[:30], metadata=None, **APPENDED)
        source.versions([PlaneKey()])
    info = source.look()
    assert (info.generation, info.height, info.n_z) == (1, 30, 4)
    assert [value(source, z=z) for z in range(4)] == [50, 51, 52, 53]
    source.close()


# ---- OME-TIFF that is not closed yet --------------------------------------------------------

OME = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="Pos0">'
    '<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="50" SizeY="40" SizeZ="{z}" '
    'SizeC="2" SizeT="{t}"><Channel ID="Channel:0:0" Name="a"/><Channel ID="Channel:0:1" Name="b"/>'
    '<TiffData IFD="0" PlaneCount="{n}"/></Pixels></Image></OME>'
)


class Unclosed:
    """An OME-TIFF written frame by frame as ome-writers does; `t` time points are declared at first."""

    def __init__(self, path: Path, order: str = "XYCZT", z: int = 1, t: int = 1) -> None:
        self.path = path
        self.written = 0
        self._text = OME.format(order=order, z=z, t=t, n=2 * z * t).encode()
        self._writer = tifffile.TiffWriter(path, bigtiff=True, ome=False, shaped=False)

    def write(self, n: int = 1) -> None:
        for _ in range(n):
            said = self._text if self.written == 0 else None
            pixels = frame(self.written)
            self._writer.write(pixels, contiguous=True, photometric="minisblack", description=said)
            self._writer.filehandle.flush()
            self.written += 1

    def close(self) -> None:
        self._writer.close()


def planes(source: Source) -> dict[tuple[int, int, int], int]:
    """The planes (t, c, z) that can be read, and which frame each is."""
    info, found = source.info, {}
    for t in range(info.n_t):
        for c in range(2):
            for z in range(info.n_z):
                try:
                    found[t, c, z] = value(source, t, c, z)
                except PlaneNotStoredError:
                    continue
    return found


def test_the_frames_of_an_unclosed_ome_tiff_are_found_one_by_one(tmp_path: Path) -> None:
    file = Unclosed(tmp_path / "a.ome.tif")
    file.write()
    source = open_source(str(file.path))
    source.follow()
    for n in range(1, 8):
        if n > 1:
            file.write()
        source.look()
        assert planes(source) == {(k // 2, k % 2, 0): k for k in range(n)}
    file.close()
    source.close()


def test_declared_sizes_hold_where_time_is_not_the_last_axis(tmp_path: Path) -> None:
    file = Unclosed(tmp_path / "a.ome.tif", "XYZTC", z=2, t=2)
    file.write(5)
    source = open_source(str(file.path))
    assert (source.info.n_t, source.info.n_z) == (2, 2)
    # z fastest, then t, then channels
    assert planes(source) == {(0, 0, 0): 0, (0, 0, 1): 1, (1, 0, 0): 2, (1, 0, 1): 3, (0, 1, 0): 4}
    source.close()
    file.write(3)
    file.close()


def test_what_is_written_when_the_file_is_closed_is_never_taken_for_pixels(tmp_path: Path) -> None:
    n = 60  # whose tags take more than one frame
    file = Unclosed(tmp_path / "a.ome.tif")
    file.write(n)
    file.close()
    data = file.path.read_bytes()
    (first,) = struct.unpack_from("<Q", data, 8)
    (n_tags,) = struct.unpack_from("<Q", data, first)
    with tifffile.TiffFile(file.path) as tiff:
        end = tiff.pages[0].dataoffsets[0] + n * frame(0).nbytes
    assert len(data) - end > 2 * frame(0).nbytes
    closing = bytearray(data)
    struct.pack_into("<Q", closing, first + 8 + 20 * n_tags, 0)  # the first page still tells of no other
    torn = tmp_path / "torn.ome.tif"
    for cut in (*range(end, len(data), 977), len(data)):
        torn.write_bytes(closing[:cut])
        source = open_source(str(torn))
        found = planes(source)
        assert found == {(k // 2, k % 2, 0): k for k in range(n)}, f"{cut - end} bytes after the pixels"
        source.close()


@pytest.mark.parametrize("shape", [(2, 2), (16, 16), (20, 24), (33, 65)])
def test_a_closed_file_of_one_small_image_has_one(tmp_path: Path, shape: tuple[int, int]) -> None:
    """Its metadata, behind the pixels, are longer than an image."""
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "YX", "Name": "x" * 2000})
    source = open_source(str(path))
    assert source.info.sizes == {"t": 1, "p": 1, "c": 1, "z": 1, "y": shape[0], "x": shape[1]}
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), pixels)
    source.close()


def test_what_follows_the_only_page_of_other_programs_is_not_taken_for_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        frame(0),
        photometric="minisblack",
        description=OME.format(order="XYCZT", z=1, t=1, n=2).encode(),
        software="other",
        metadata=None,
    )
    with open(path, "ab") as file:
        file.write(bytes(10 * frame(0).nbytes))
    source = open_source(str(path))
    assert planes(source) == {(0, 0, 0): 0}
    source.close()


# ---- frames written one after the other, without OME-XML ------------------------------------

STREAMS = {
    "plain": ({}, {}, "z"),
    "axes": ({}, {"metadata": {"axes": "TYX"}}, "t"),
    "undescribed": ({}, {"metadata": None}, "z"),
    "imagej": ({"imagej": True}, {}, "z"),
    "big": ({"bigtiff": True}, {"metadata": {"axes": "TYX"}}, "t"),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_frames_of_a_stream_are_found_one_by_one_before_it_is_closed(tmp_path: Path, kind: str) -> None:
    options, each, axis = STREAMS[kind]
    path = tmp_path / "a.tif"
    writer = tifffile.TiffWriter(path, **options)
    source: Source | None = None
    for n in range(1, 6):
        writer.write(frame(n - 1), contiguous=True, photometric="minisblack", **each)
        writer.filehandle.flush()
        if source is None:
            source = ReplaceableSource(str(path), lambda: open_source(str(path)))
            source.follow()
        source.look()
        assert source.info.sizes[axis] == n
        assert [value(source, **{axis: i}) for i in range(n)] == list(range(n))
    assert source is not None
    writer.close()
    source.look()
    if kind != "imagej":  # tifffile calls its planes channels when it is closed
        assert source.info.generation == 0, "the same dataset"
        assert [value(source, **{axis: i}) for i in range(5)] == list(range(5))
    source.close()


def test_stacks_of_a_stream_are_found_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    writer = tifffile.TiffWriter(path)
    for t in range(3):
        stack = np.stack([frame(10 * t + z) for z in range(2)])
        writer.write(stack, contiguous=True, photometric="minisblack", metadata={"axes": "TZYX"})
        writer.filehandle.flush()
        source = open_source(str(path))
        wanted = [[10 * t + z for z in range(2)] for t in range(t + 1)]
        assert [[value(source, t, z=z) for z in range(2)] for t in range(t + 1)] == wanted
        source.close()
    writer.close()


# ---- NDTiff ---------------------------------------------------------------------------------


def test_a_plane_of_ndtiff_is_found_although_its_index_entry_comes_later(tmp_path: Path) -> None:
    written = program_tiff_dialects.ndtiff(tmp_path)
    index = written.paths[0] / "NDTiff.index"
    entries, at = index.read_bytes(), 0
    for _ in range(2):  # the JSON of the axes, the name of the file
        at += 4 + int.from_bytes(entries[at : at + 4], "little")
    index.write_bytes(entries[: at + 32])
    source = open_source(str(written.paths[0]))
    assert source.info.n_t == source.info.n_z == 1
    stores.make_old(tmp_path, 10.0)
    source.look()
    index.write_bytes(entries)
    info = source.look()
    assert (info.n_t, len(info.positions), len(info.channels), info.n_z) == (2, 2, 2, 3)
    source.close()
