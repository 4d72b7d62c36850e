"""TIFFs whose pages form circles, or claim absurd things: an error that names the file, and soon."""

from __future__ import annotations

import re
import struct
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from stores import plane

from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.storage.decoding import ifd_chain
from ndviewer_light.storage.decoding.ifd_chain import IfdChain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_S = 30.0


def _soon(call: Callable[[], object]) -> BaseException | None:
    """The error of a call that has to end; one that goes round in circles is left to its thread."""
    errors: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
            errors.append(None)
        except DatasetError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert errors, "it does not end"
    return errors[0]


def _open_and_read(path: Path) -> None:
    source = open_source(str(path))
    try:
        source.read_plane(PlaneKey())
        source.refresh()
    finally:
        source.close()


def _as_images(path: Path) -> None:
    source = ImagesSource.open(str(path))
    try:
        source.read_plane(PlaneKey())
    finally:
        source.close()


def _pages(
    path: Path, shapes: list[tuple[int, int]], *, big: bool = False, order: str = "<", **how: object
) -> Path:
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as file:  # type: ignore[arg-type]
        for shape in shapes:
            file.write(plane(shape=shape), metadata=None, contiguous=False, photometric="minisblack", **how)
    return path


def _links(path: Path) -> list[tuple[int, int]]:
    """For each page: where it is, and where it says what the next is."""
    with tifffile.TiffFile(path) as file:
        found = []
        for page in file.pages:
            n = struct.unpack_from(
                file.byteorder + file.tiff.tagnoformat[1:], path.read_bytes(), page.offset
            )[0]
            found.append((page.offset, page.offset + file.tiff.tagnosize + n * file.tiff.tagsize))
        return found


def _point(path: Path, page: int, to: int, *, big: bool = False, order: str = "<") -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into(order + ("Q" if big else "I"), data, _links(path)[page][1], to)
    path.write_bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("n", "at", "to"), [(2, 1, 0), (2, 1, 1), (1, 0, 0), (3, 2, 1), (120, 119, 50), (300, 299, 298)]
)
def test_a_circle_of_pages(tmp_path: Path, n: int, at: int, to: int, big: bool, order: str) -> None:
    path = _pages(tmp_path / "a.tif", [(8, 8 + i % 2) for i in range(n)], big=big, order=order)
    _point(path, at, _links(path)[to][0], big=big, order=order)
    for call in (_open_and_read, _as_images):
        error = _soon(lambda call=call: call(path))
        assert error is not None
        assert re.search(rf"{re.escape(str(path))} is damaged: its pages form a loop", str(error))


def test_garbage_in_the_circle_is_not_told_again_and_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = _pages(tmp_path / "a.tif", [(8, 8), (8, 9), (8, 10)])
    data = bytearray(path.read_bytes())
    places = _links(path)
    data[places[1][0] + 2 : places[1][1]] = b"\xff" * (places[1][1] - places[1][0] - 2)
    struct.pack_into("<I", data, places[2][1], places[0][0])
    path.write_bytes(data)
    assert "loop" in str(_soon(lambda: _open_and_read(path)))
    assert len(capfd.readouterr().err) < 10_000


def test_a_page_that_is_a_part_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(plane(), subifds=2, metadata=None, photometric="minisblack")
        for step in (2, 4):
            file.write(plane()[::step, ::step], subfiletype=1, metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[330]
        at, first = tag.valueoffset, file.pages.first.offset
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, at, first)
    path.write_bytes(data)
    assert "a page contains itself" in str(_soon(lambda: _open_and_read(path)))
    struct.pack_into("<I", data, tag.offset + 4, 2_000)  # how many parts
    path.write_bytes(data + bytes(10_000))
    assert "declares 2,000 sub-pages" in str(_soon(lambda: _open_and_read(path)))


def test_pages_that_share_one_large_list_of_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifd_chain, "_SHARED_BYTES", 1024**2)
    # 200 pages without pixels of their own, each with the same 100,000 offsets of strips
    values = 100_000
    data = bytearray(struct.pack("<4sI", b"II*\0", 8))
    n_tags, size = 4, 2 + 4 * 12 + 4
    shared = 8 + 200 * size
    for i in range(200):
        following = 8 + (i + 1) * size if i < 199 else 0
        data += struct.pack("<H", n_tags)
        for code, kind, count, value in (
            (256, 3, 1, 8),
            (257, 3, 1, values),
            (258, 3, 1, 8),
            (273, 4, values, shared),
        ):
            data += struct.pack("<HHII", code, kind, count, value)
        data += struct.pack("<I", following)
    data += bytes(4 * values)
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    assert re.search(
        r"a\.tif is damaged: its tags declare .* bytes of values", str(_soon(lambda: _open_and_read(path)))
    )


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("code", [256, 258, 270, 273, 277, 278, 279])
def test_absurd_counts_of_values(tmp_path: Path, code: int, big: bool) -> None:
    path = _pages(tmp_path / "a.tif", [(64, 64)], big=big, rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags.get(code)
        at = tag.offset + 4 if tag is not None else None
    if at is None:
        pytest.skip("tifffile writes no such tag")
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q" if big else "<I", data, at, 2**62 if big else 2**32 - 1)
    path.write_bytes(data)
    error = _soon(lambda: _open_and_read(path))  # a description that cannot be read need not be an error
    assert error is None or str(error).count(str(path)) == 1


def test_long_chains_are_walked_once_and_read(tmp_path: Path) -> None:
    path = _pages(tmp_path / "a.tif", [(4, 5)] * 150)
    reads: list[int] = []
    data = path.read_bytes()

    def read(offset: int, length: int) -> bytes:
        reads.append(offset)
        return data[offset : offset + length]

    chain = IfdChain(read, len(data), "a.tif")
    chain.check(10)
    assert len(reads) == 12  # the header and eleven pages
    chain.check()
    chain.check()
    chain.check(149)
    assert len(reads) == 151
    source = open_source(str(path))
    assert source.info.n_z == 150
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=149)), plane(shape=(4, 5)))
    source.close()
