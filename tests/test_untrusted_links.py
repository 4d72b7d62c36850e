"""Symbolic links that lead out of a dataset, and names that are no regular files: refused with a sentence."""

from __future__ import annotations

import os
import socket
import stat
import time
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from stores import create_array, plane

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, UntrustedReferenceError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.storage import opened_without_links
from ndviewer_light.storage.limits import read_file
from ndviewer_light.storage.local_files import LinkGuard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX links and pipes")

SHAPE = (24, 40)
ALLOWED = {"follow_links": "true"}
REFUSED = r"is a symbolic link to .*outside the dataset.*--follow-links.*follow_links"


def _first(path: Path | str, options: dict[str, str] | None = None) -> np.ndarray:
    source = open_source(str(path), options)
    try:
        return source.read_plane(PlaneKey())
    finally:
        source.close()


def _moved_out(path: Path, outside: Path) -> None:
    """Put what is at `path` elsewhere, and a link in its place."""
    outside.mkdir(exist_ok=True)
    os.rename(path, outside / path.name)
    path.symlink_to(outside / path.name)


# ---- zarr ------------------------------------------------------------------------------------


def _zarr(tmp_path: Path, version: int, **how: object) -> Path:
    path = tmp_path / "a.zarr"
    array = create_array(path, SHAPE, version=version, chunk=(12, 20), **how)  # type: ignore[arg-type]
    array.write(plane()).result()
    return path


def _chunks(path: Path) -> list[Path]:
    names = [p for p in path.rglob("*") if p.is_file()]
    return sorted(p for p in names if p.name not in ("zarr.json", ".zarray", ".zattrs", ".zgroup"))


@pytest.mark.parametrize("preset", [None, "fast"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_is_a_link_out(tmp_path: Path, version: int, preset: str | None) -> None:
    path = _zarr(tmp_path, version, preset=preset)
    _moved_out(_chunks(path)[-1], tmp_path / "elsewhere")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)
    np.testing.assert_array_equal(_first(path, ALLOWED), plane())


def test_a_shard_that_is_a_link_out(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3, shard=SHAPE, preset="fast")
    _moved_out(_chunks(path)[0], tmp_path / "elsewhere")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)
    np.testing.assert_array_equal(_first(path, ALLOWED), plane())


@pytest.mark.parametrize("in_one_call", [True, False], ids=["openat2", "looked at"])
def test_a_file_is_read_unless_a_link_on_its_way_leads_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_call: bool
) -> None:
    if not in_one_call:  # as on systems that have no such call
        monkeypatch.setattr(opened_without_links, "_is_known_not_to_work", True)
    root, outside = tmp_path / "dataset", tmp_path / "outside"
    for folder in (root / "a" / "b", outside / "b"):
        folder.mkdir(parents=True)
        (folder / "c").write_bytes(folder.parent.name.encode())
    (root / "inside").symlink_to(root / "a")
    (root / "out").symlink_to(outside)
    (root / "file").symlink_to(outside / "b" / "c")
    guard = LinkGuard([str(root)])

    def read(*names: str) -> bytes | None:
        return read_file(str(root.joinpath(*names)), 100, links=guard, seen=set())

    assert read("a", "b", "c") == read("inside", "b", "c") == b"a"
    assert read("a", "b", "none") is read("none", "c") is read("a", "b", "c", "d") is None
    for names in (("out", "b", "c"), ("file",)):
        with pytest.raises(UntrustedReferenceError, match=REFUSED):
            read(*names)
    with pytest.raises(DatasetError, match="not a regular file but a folder"):
        read("a", "b")
    os.mkfifo(root / "pipe")
    with pytest.raises(DatasetError, match="not a regular file but a pipe"):
        read("pipe")
    with pytest.raises(DatasetError):
        read("a\0b")
    assert read_file(str(outside / "b" / "c"), 100, links=LinkGuard([str(outside)])) == b"outside"
    with pytest.raises(UntrustedReferenceError, match="outside the dataset"):
        read_file(str(outside / "b" / "c"), 100, links=guard)
    assert opened_without_links.opened_without_links(str(root / "out" / "b" / "c"), os.O_RDONLY) is None


def test_below_a_link_that_leads_out_no_folder_becomes_fine_by_being_refused(tmp_path: Path) -> None:
    (tmp_path / "outside" / "0" / "0").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "c").symlink_to(tmp_path / "outside")
    chunk = tmp_path / "data" / "c" / "0" / "0" / "1"
    chunk.write_bytes(b"outside")
    guard = LinkGuard([str(tmp_path / "data")])
    for _ in range(2):  # the second time within the second for which folders stay fine
        with pytest.raises(UntrustedReferenceError):
            guard.check_folders([str(chunk)])


@pytest.mark.parametrize("version", [2, 3])
def test_a_folder_of_chunks_that_is_a_link_out(tmp_path: Path, version: int) -> None:
    path = _zarr(tmp_path, version)
    _moved_out(_chunks(path)[-1].parent, tmp_path / "elsewhere")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)
    np.testing.assert_array_equal(_first(path, ALLOWED), plane())


def test_an_array_folder_and_metadata_that_are_links_out(tmp_path: Path) -> None:
    group = tmp_path / "image.zarr"
    create_array(group / "0", SHAPE).write(plane()).result()
    _moved_out(group / "0", tmp_path / "elsewhere")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(group)
    np.testing.assert_array_equal(_first(group, ALLOWED), plane())
    other = _zarr(tmp_path, 3)
    _moved_out(other / "zarr.json", tmp_path / "elsewhere2")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(other)


def test_links_inside_a_dataset_and_a_dataset_that_is_a_link_are_fine(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3, preset="fast")
    chunk = _chunks(path)[0]
    os.rename(chunk, path / "the chunk")
    chunk.symlink_to(os.path.relpath(path / "the chunk", chunk.parent))
    (tmp_path / "named").symlink_to(path)
    np.testing.assert_array_equal(_first(tmp_path / "named"), plane())
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "named.json").symlink_to(path / "zarr.json")


def test_a_link_to_a_link_out_and_a_link_through_dots(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 2)
    chunk = _chunks(path)[0]
    _moved_out(chunk, tmp_path / "elsewhere")
    os.rename(chunk, path / "inner")
    chunk.symlink_to("../inner" if chunk.parent != path else "inner")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)
    chunk.unlink()
    chunk.symlink_to(os.path.join(os.path.relpath(tmp_path, chunk.parent), "elsewhere", chunk.name))
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)


def test_a_dataset_whose_name_begins_like_another_is_not_inside_it(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3)
    _moved_out(_chunks(path)[0], tmp_path / "a.zarr-copy")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(path)


def test_the_option_crosses_to_the_reader_process(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3)
    _moved_out(_chunks(path)[0], tmp_path / "elsewhere")
    with open_dataset(path, isolate=True) as dataset, pytest.raises(UntrustedReferenceError, match=REFUSED):
        dataset.plane()
    with open_dataset(path, isolate=True, storage_options=ALLOWED) as dataset:
        np.testing.assert_array_equal(dataset.plane(), plane())


def test_folders_that_become_links_while_a_dataset_is_open(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3)
    source = open_source(str(path))
    try:
        source.read_plane(PlaneKey())
        os.rename(path / "c", tmp_path / "c")
        (path / "c").symlink_to(tmp_path / "c")
        deadline = time.monotonic() + 60  # a folder that was fine is looked at again after a second
        with pytest.raises(UntrustedReferenceError, match=REFUSED):
            while time.monotonic() < deadline:
                source.read_plane(PlaneKey())
    finally:
        source.close()


def test_a_missing_folder_is_looked_at_again_at_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside").mkdir()
    links = LinkGuard([str(tmp_path / "data")])
    links.check([str(tmp_path / "data" / "c" / "0")])
    (tmp_path / "data" / "c").symlink_to(tmp_path / "outside")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        links.check([str(tmp_path / "data" / "c" / "0")])


def test_an_entry_of_an_archive_that_is_a_link(tmp_path: Path) -> None:
    path = _zarr(tmp_path, 3)
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            name = str(file.relative_to(path))
            if file == _chunks(path)[0]:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, "/etc/passwd")
            else:
                archive.write(file, name)
    with pytest.raises(UntrustedReferenceError, match="not followed in archives"):
        _first(tmp_path / "a.ozx")


# ---- folders of images -----------------------------------------------------------------------


def _squid(folder: Path) -> None:
    (folder / "0").mkdir(parents=True)
    for z in range(2):
        tifffile.imwrite(folder / "0" / f"A1_0_{z}_BF.tiff", plane(z=z), photometric="minisblack")


def test_a_folder_of_links_says_why_and_how(tmp_path: Path) -> None:
    raw, linked = tmp_path / "raw", tmp_path / "linked"
    raw.mkdir()
    linked.mkdir()
    for i in range(3):
        Image.fromarray(plane(t=i).astype("u1")).save(raw / f"img_t{i:03}.png")
        (linked / f"img_t{i:03}.png").symlink_to(raw / f"img_t{i:03}.png")
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        _first(linked)
    np.testing.assert_array_equal(_first(linked, ALLOWED), plane())
    np.testing.assert_array_equal(_first(linked / "img_t000.png"), plane())  # that link was named


@pytest.mark.parametrize("what", ["A1_0_0_BF.tiff", ""])
def test_squids_folders(tmp_path: Path, what: str) -> None:
    _squid(tmp_path / "run")
    _moved_out(tmp_path / "run" / "0" / what, tmp_path / "elsewhere")
    source = None
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        source = open_source(str(tmp_path / "run"))
        source.read_plane(PlaneKey())
    if source is not None:  # the other file is where it was
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), plane(z=1))
        source.close()
    np.testing.assert_array_equal(_first(tmp_path / "run", ALLOWED), plane())


def test_squids_own_files_that_are_links_out_are_not_used(tmp_path: Path) -> None:
    _squid(tmp_path / "run")
    parameters = tmp_path / "run" / "acquisition parameters.json"
    parameters.write_text('{"pixel_size_um": 0.5}')
    assert open_source(str(tmp_path / "run")).info.pixel_size_y_um == 0.5
    _moved_out(parameters, tmp_path / "elsewhere")
    assert open_source(str(tmp_path / "run")).info.pixel_size_y_um is None
    assert open_source(str(tmp_path / "run"), ALLOWED).info.pixel_size_y_um == 0.5


_OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="40" SizeY="24" SizeZ="2" SizeC="1" '
    'SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{parts}</Pixels></Image></OME>'
)
_PART = (
    '<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:0000000{z}-0000-0000-'
    "0000-000000000000</UUID></TiffData>"
)


def test_the_companion_of_an_ome_tiff_that_is_a_link_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    names = ("a_z0.ome.tif", "a_z1.ome.tif")
    xml = _OME.format(parts="".join(_PART.format(z=z, name=name) for z, name in enumerate(names)))
    for z, name in enumerate(names):
        tifffile.imwrite(folder / name, plane(z=z), description=xml, metadata=None, photometric="minisblack")
    _moved_out(folder / names[1], tmp_path / "elsewhere")
    source = open_source(str(folder / names[0]))
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), plane())
    with pytest.raises(UntrustedReferenceError, match=REFUSED):
        source.read_plane(PlaneKey(z=1))
    source.close()
    source = open_source(str(folder / names[0]), ALLOWED)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), plane(z=1))
    source.close()
    # links to all files of one folder, one of which a person opens
    os.rename(tmp_path / "elsewhere" / names[1], tmp_path / "back")
    (folder / names[1]).unlink()
    os.rename(tmp_path / "back", folder / names[1])
    (tmp_path / "links").mkdir()
    for name in names:
        (tmp_path / "links" / name).symlink_to(folder / name)
    source = open_source(str(tmp_path / "links" / names[0]))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), plane(z=1))
    source.close()


# ---- what is not a regular file ----------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _socket, _device])
@pytest.mark.parametrize(
    "name",
    ["a.json", "a.ozx", "a.zip", "a.tif", "a.ome.tif", "a.png", "a.h5", "a.nwb", "a.nd2", "a", "zarr.json"],
)
def test_opening_what_is_no_regular_file(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    make(tmp_path / name)
    with pytest.raises(DatasetError, match=f"{name} is not a regular file but a (pipe|socket|device)"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("make", [_pipe, _socket])
def test_metadata_and_chunks_that_are_no_regular_files(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = _zarr(tmp_path, 3, preset="fast")
    chunk = _chunks(path)[0]
    chunk.unlink()
    make(chunk)
    with pytest.raises(DatasetError, match=r"is not a regular file but a (pipe|socket)"):
        _first(path)
    (path / "zarr.json").unlink()
    make(path / "zarr.json")
    with pytest.raises(DatasetError, match=r"zarr.json is not a regular file but a (pipe|socket)"):
        _first(path)


def test_pipes_among_images_and_squids_files(tmp_path: Path) -> None:
    _squid(tmp_path / "run")
    for name in ("acquisition parameters.json", "coordinates.csv", "acquisition_channels.yaml"):
        os.mkfifo(tmp_path / "run" / name)
    np.testing.assert_array_equal(_first(tmp_path / "run"), plane())
    (tmp_path / "run" / "0" / "A1_0_0_BF.tiff").unlink()
    os.mkfifo(tmp_path / "run" / "0" / "A1_0_0_BF.tiff")
    with pytest.raises(DatasetError, match="is not a regular file but a pipe"):
        _first(tmp_path / "run")


@pytest.mark.parametrize("is_link", [False, True], ids=["its own", "a link out of the folder"])
def test_pages_without_metadata_are_as_planned_by_files_of_the_experiment_alone(
    tmp_path: Path, is_link: bool
) -> None:
    folder = tmp_path / "run"
    (folder / "ome_tiff").mkdir(parents=True)
    pages = np.ones((6, 8, 8), np.uint16)
    tifffile.imwrite(folder / "ome_tiff" / "A1_0.ome.tiff", pages, description="", metadata=None)
    parameters = (tmp_path if is_link else folder) / "acquisition parameters.json"
    parameters.write_text('{"Nt": 3, "Nz": 2, "dz(um)": 1.5}')
    if is_link:
        (folder / parameters.name).symlink_to(parameters)
    with open_dataset(folder) as dataset:
        image = dataset.image(0)
        assert (image.n_t, image.n_z) == ((1, 6) if is_link else (3, 2))
