"""What a file is, by its first bytes, where it is not what its name says."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from ndviewer_light.errors import DatasetError
from ndviewer_light.sources import open_source
from ndviewer_light.storage.file_kinds import looks_like

if TYPE_CHECKING:
    from pathlib import Path


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), "u1")).save(stream, kind)
    return stream.getvalue()


def _tiff(bigtiff: bool, order: str) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((4, 4), "u2"), bigtiff=bigtiff, byteorder=order)
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def _hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["a"] = [1]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        *((_tiff(big, order), "a TIFF file") for big in (False, True) for order in "<>"),
        (_picture("PNG"), "a PNG image"),
        (_picture("JPEG"), "a JPEG image"),
        (_picture("BMP"), "a BMP image"),
        (_picture("GIF"), "a GIF image"),
        (_zip(), "a zip archive"),
        (gzip.compress(b"a"), "a gzip-compressed file"),
        (_hdf5(), "an HDF5 file"),
        (b"\n <!DOCTYPE HTML><html>", "a web page"),
        (b"<HTML><head>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        (b'  {"a": 1}', "JSON"),
        (bytes(100), "it begins with zeros"),
    ],
    ids=lambda value: value if isinstance(value, str) else "written",  # the bytes may hold the time
)
def test_kinds_are_told_by_what_their_programs_write(written: bytes, kind: str) -> None:
    assert kind in looks_like(written[:100])


@pytest.mark.parametrize("head", [b"", b"garbage", b"\1\2\3", b"   "])
def test_nothing_is_made_up(head: bytes) -> None:
    assert looks_like(head) == ""


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.nd2"])
def test_a_web_page_in_the_place_of_a_file_is_said_to_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<!doctype html><html><body>Sign in</body></html>" + b" " * 200)
    with pytest.raises(DatasetError, match=f"{name}.*a web page saved in its place"):
        open_source(str(tmp_path / name)).read_plane  # noqa: B018
