"""Files that people ask for are complete, or as they were before, and it is said why."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ndviewer_light.errors import CorruptDataError
from ndviewer_light.rendering.movies import write_movie
from ndviewer_light.rendering.tiff_export import write_tiff
from ndviewer_light.storage.whole_files import NotWrittenError, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOISE = np.random.default_rng(0).integers(0, 256, (12, 256, 256, 3), dtype=np.uint8)


def _frames() -> Iterator[Image.Image]:
    yield from map(Image.fromarray, NOISE)


def _csv(path: str) -> None:
    with whole_file(path) as part, open(part, "w", encoding="utf-8") as file:
        file.write("0123456789" * 100_000)


WRITERS: dict[str, Callable[[str], Any]] = {
    "a.tif": lambda path: write_tiff(path, list(NOISE[..., 0]), ["c"] * len(NOISE), None),
    "a.ome.tif": lambda path: write_tiff(path, list(NOISE[..., 0]), ["c"] * len(NOISE), None),
    "a.gif": lambda path: write_movie(path, _frames(), 5),
    "a.mp4": lambda path: write_movie(path, _frames(), 5),
    "a.csv": _csv,
}


@contextlib.contextmanager
def files_of_at_most(n: int) -> Iterator[None]:
    """As if a disk had no more room for one."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_what_there_is_no_room_for_leaves_the_file_that_was_there(tmp_path: Path, name: str) -> None:
    """Half a TIFF took the place of the one before; of MP4 an error of ours was said, not the reason."""
    if name.endswith("mp4"):
        pytest.importorskip("av")
    path = tmp_path / name
    path.write_bytes(b"the one before")
    with files_of_at_most(100_000), pytest.raises(NotWrittenError) as raised:
        WRITERS[name](str(path))
    assert str(raised.value).startswith(f"{path} could not be written: ")
    assert path.read_bytes() == b"the one before"
    assert [each.name for each in tmp_path.iterdir()] == [name]
    WRITERS[name](str(path))
    assert path.stat().st_size > 100_000
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    said = r"a\.csv could not be written: the disk is full"
    with pytest.raises(NotWrittenError, match=said) as raised, whole_file(str(tmp_path / "a.csv")):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full")
@pytest.mark.parametrize("name", [*WRITERS, "a.csv"])
def test_a_link_to_a_device_has_the_ending_that_decides_and_the_device_is_said_to_be_full(
    tmp_path: Path, name: str
) -> None:
    if name.endswith("mp4"):
        pytest.importorskip("av")
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(NotWrittenError) as raised:
        WRITERS.get(name, _csv)(str(tmp_path / name))
    assert str(raised.value) == f"{tmp_path / name} could not be written: the disk is full"
    assert (tmp_path / name).is_symlink()


def test_other_errors_are_raised_as_they_are(tmp_path: Path) -> None:
    for error in (
        CorruptDataError("plane 3 is damaged"),
        FileNotFoundError(2, "gone", "plane.tif"),
        KeyError(),
    ):
        with pytest.raises(type(error)) as raised, whole_file(str(tmp_path / "a.csv")) as part:
            with open(part, "w", encoding="utf-8") as file:
                file.write("half of it")
            raise error
        assert raised.value is error
    assert not list(tmp_path.iterdir())


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a.csv", tmp_path / "link.csv"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    _csv(str(link))
    assert link.is_symlink() and path.stat().st_size == 1_000_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    with whole_file(str(path)) as part:
        assert part == str(path)
