"""A run whose first file is empty or cut off: what the others say counts, and the file is named."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tiff_cases
import tifffile
import tiffs

from ndviewer_light.errors import CorruptDataError, DatasetReorderedError
from ndviewer_light.model import PlaneKey, place_of
from ndviewer_light.sources.images import known_folder
from ndviewer_light.sources.images.first_files import FirstSample, first_sample
from ndviewer_light.sources.images.source import ImagesSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.sources.source import Source

    Open = Callable[[Path], Source]

SIZES = {"t": 2, "p": 3, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
KINDS = {
    "ome": (tiffs.write_ome_files, lambda folder: tiffs.ome_path(folder, "A1", 0)),
    "stacks": (tiffs.write_stacks, lambda folder: tiffs.stack_path(folder, 0, "A1", 0)),
}


def cut(path: Path, n: int) -> Path:
    """So many bytes of a file, for a while."""
    os.truncate(path, n)
    tiffs.make_old(path)
    return path


@pytest.mark.parametrize("left", [0, 4, 300, 1500, 0.4, 0.7])
@pytest.mark.parametrize("kind", KINDS)
def test_a_torn_first_file_costs_its_own_planes_only(
    tmp_path: Path, opened: Open, kind: str, left: float
) -> None:
    write, first = KINDS[kind]
    path = first(write(tmp_path))
    cut(path, left if isinstance(left, int) else int(left * path.stat().st_size))
    source = opened(tmp_path)
    info = source.info
    assert info.sizes == SIZES and [channel.name for channel in info.channels] == list(tiffs.CHANNELS)
    for key in tiffs.keys(info):
        if key.p == 0 and (kind == "ome" or key.t == 0):
            try:
                pixels = source.read_plane(key)
            except CorruptDataError as error:
                assert path.name in str(error)
                assert source.are_stored([key]) != [False]
                continue
            assert left not in (0, 4, 300)
        else:
            pixels = source.read_plane(key)
        np.testing.assert_array_equal(pixels, stores.plane(**key._asdict()), err_msg=str(key))
    (warning,) = info.warnings
    assert f"{path} is " in warning and "Axes and channels are as in " in warning
    place = place_of(warning)
    assert place is not None and (place.p, place.file) == (0, str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_file_that_was_copied_again_is_warned_of_no_more(
    tmp_path: Path, opened: Open, kind: str
) -> None:
    write, first = KINDS[kind]
    path = first(write(tmp_path))
    whole = path.read_bytes()
    source = opened(cut(path, 1500) and tmp_path)
    assert source.info.warnings
    path.write_bytes(whole)
    assert source.look().warnings == ()
    assert source.info.sizes == SIZES
    tiffs.assert_shows_what_was_written(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_of_torn_files_alone_it_is_said_that_channels_may_be_missing(
    tmp_path: Path, opened: Open, kind: str
) -> None:
    write, first = KINDS[kind]
    regions = {"A1": 1}
    path = first(write(tmp_path, regions, times=[0]) if kind == "stacks" else write(tmp_path, regions))
    cut(path, int(0.4 * path.stat().st_size))
    for each in (tmp_path, path):
        (warning,) = opened(each).info.warnings
        assert f"{path} is truncated" in warning and warning.endswith("Axes and channels may be missing")


def test_a_torn_file_writes_nothing_to_stderr(tmp_path: Path) -> None:
    cut(tiffs.ome_path(tiffs.write_ome_files(tmp_path), "A1", 0), 1500)
    program = "import sys, ndviewer_light; print(ndviewer_light.open_dataset(sys.argv[1]).info.n_z)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("2", "")


def write_alike(folder: Path, kind: str) -> list[Path]:
    """Three files of 2 channels and 3 planes each, by one program."""
    paths = [folder / f"pos{p}.tif" for p in range(3)]
    for p, path in enumerate(paths):
        pixels = np.stack([np.stack([stores.plane(p=p, c=c, z=z) for c in range(2)]) for z in range(3)])
        tifffile.imwrite(
            path,
            pixels,
            imagej=kind == "imagej",
            ome=kind == "ome",
            metadata={"axes": "ZCYX"},
            contiguous=False,
        )
        tiffs.make_old(path)
    return paths


@pytest.mark.parametrize("left", [0, 4, 0.15, 0.3, 0.6])
@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_in_a_folder_of_stacks_a_torn_first_file_costs_its_own_planes_only(
    tmp_path: Path, opened: Open, kind: str, left: float
) -> None:
    first, *_ = write_alike(tmp_path, kind)
    whole = opened(tmp_path).info
    assert (whole.n_z, len(whole.channels), len(whole.positions), whole.warnings) == (3, 2, 3, ())
    cut(first, left if isinstance(left, int) else int(left * first.stat().st_size))
    source = opened(tmp_path)
    assert source.info.sizes == whole.sizes
    for key in tiffs.keys(source.info):
        try:
            pixels = source.read_plane(key)
        except CorruptDataError as error:
            assert key.p == 0 and first.name in str(error)
            continue
        np.testing.assert_array_equal(pixels, stores.plane(**key._asdict()), err_msg=str(key))
    assert source.image(0).n_z == 3
    (warning,) = source.info.warnings
    assert f"{first} is " in warning and warning.endswith("Axes and channels are as in pos1.tif")


@pytest.mark.parametrize("kind", ["imagej", "shaped"])
def test_in_a_folder_of_stacks_a_first_file_that_was_copied_again_is_warned_of_no_more(
    tmp_path: Path, opened: Open, kind: str
) -> None:
    first, *others = write_alike(tmp_path, kind)
    whole = first.read_bytes()
    source = opened(cut(first, 0) and tmp_path)
    (warning,) = source.info.warnings
    place = place_of(warning)
    assert place is not None and place.file == str(first)
    first.write_bytes(whole[:4])
    assert source.look().warnings == (), "somebody writes it"
    first.write_bytes(whole)
    known = source.look()
    assert known.warnings == () and source.look() is known
    tiffs.assert_shows_what_was_written(source)  # type: ignore[arg-type]
    assert len(source.info.positions) == 1 + len(others)


def test_a_folder_of_torn_stacks_has_all_planes_once_one_is_whole(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    paths = write_alike(tmp_path, "imagej")
    whole = [path.read_bytes() for path in paths]
    for path in paths:
        cut(path, int(0.3 * path.stat().st_size))
    dataset = opened_dataset(tmp_path)
    assert dataset.info.warnings
    for path, raw in zip(paths, whole, strict=True):
        path.write_bytes(raw)
    dataset.refresh()
    dataset.take_changes()
    assert not [each for each in dataset.info.warnings if "truncated" in each]
    assert (dataset.info.n_z, len(dataset.info.channels)) == (3, 2)
    np.testing.assert_array_equal(dataset.plane(0, 0, 1, 2), stores.plane(c=1, z=2))


@pytest.mark.parametrize("is_opened", [True, False])
def test_whoever_looks_at_a_folder_of_torn_stacks_is_told_that_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_opened: bool
) -> None:
    first, *others = write_alike(tmp_path, "imagej")
    whole = first.read_bytes()
    for path in (first, *others):
        cut(path, int(0.3 * path.stat().st_size))

    def becomes_whole() -> None:
        first.write_bytes(whole)
        tiffs.make_old(first, 600)

    def sampled(*arguments: Any) -> FirstSample:
        sample = first_sample(*arguments)
        if not is_opened:
            becomes_whole()
        return sample

    monkeypatch.setattr(known_folder, "first_sample", sampled)
    with contextlib.closing(ImagesSource.open(str(tmp_path))) as source:
        if is_opened:
            becomes_whole()
        for look in (source.refresh, source.look, source.refresh):
            with pytest.raises(DatasetReorderedError, match=r"pos0\.tif was damaged, and is whole now"):
                look()


@pytest.mark.parametrize("left", [0, 4, 0.1, 0.5])
def test_in_a_set_of_a_file_for_each_channel_a_torn_first_file_costs_its_own_planes_only(
    tmp_path: Path, opened: Open, left: float
) -> None:
    names = [f"c{c}.ome.tif" for c in range(3)]
    listed = "".join(
        tiff_cases.data(name, tiff_cases.uuid(c), FirstC=c, FirstZ=z, IFD=z, PlaneCount=1)
        for c, name in enumerate(names)
        for z in range(4)
    )
    for c, name in enumerate(names):
        text = tiff_cases.ome([("cell", {"SizeC": 3, "SizeZ": 4}, listed)], uuid=tiff_cases.uuid(c))
        tiff_cases.write_pages(tmp_path / name, [tiff_cases.plane(c=c, z=z) for z in range(4)], text)
    first = tmp_path / names[0]
    cut(first, left if isinstance(left, int) else int(left * first.stat().st_size))
    source = opened(tmp_path)
    assert (len(source.info.channels), source.info.n_z) == (3, 4)
    lost = 0
    for key in tiffs.keys(source.info):
        try:
            pixels = source.read_plane(key)
        except CorruptDataError as error:
            assert key.c == 0 and first.name in str(error)
            lost += 1
            continue
        np.testing.assert_array_equal(pixels, tiff_cases.plane(c=key.c, z=key.z), err_msg=str(key))
    assert lost >= (4 if left in (0, 4, 0.1) else 2)


def test_a_first_file_that_is_still_written_is_no_damage(tmp_path: Path, opened: Open) -> None:
    path = tiffs.ome_path(tiffs.write_ome_files(tmp_path), "A1", 0)
    os.truncate(path, 1500)
    assert opened(tmp_path).info.sizes == SIZES
    assert opened(tmp_path).info.warnings == ()
    with pytest.raises(LookupError, match=path.name):
        opened(tmp_path).read_plane(PlaneKey(c=1))
