"""A run whose first file is empty or cut off: what the others say counts, and the file is named."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tiffs

from ndviewer_light.errors import CorruptDataError
from ndviewer_light.model import PlaneKey, place_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def test_a_first_file_that_is_still_written_is_no_damage(tmp_path: Path, opened: Open) -> None:
    path = tiffs.ome_path(tiffs.write_ome_files(tmp_path), "A1", 0)
    os.truncate(path, 1500)
    assert opened(tmp_path).info.sizes == SIZES
    assert opened(tmp_path).info.warnings == ()
    with pytest.raises(LookupError, match=path.name):
        opened(tmp_path).read_plane(PlaneKey(c=1))
