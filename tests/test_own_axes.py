"""Folders of files that have axes which their names seem to count as well: no axis is called another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import ndviewer_light as nl

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = {"T": 3, "Z": 2, "C": 2}
WRITERS: dict[str, dict[str, Any]] = {"OME-XML": {"ome": True}, "ImageJ": {"imagej": True}, "tifffile": {}}


def write(folder: Path, names: list[str], axes: str, **writer: Any) -> None:
    """Stacks along `axes`; each pixel of plane i of file n is 100 n + i."""
    shape = tuple(LENGTHS[axis] for axis in axes)
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)[..., None, None]
    for n, name in enumerate(names):
        pixels = np.broadcast_to(100 * n + numbers, (*shape, 8, 10)).astype("u2")
        metadata = {"metadata": {"axes": f"{axes}YX"}, "photometric": "minisblack"}
        tifffile.imwrite(folder / name, pixels, **{**metadata, **writer})


def sizes(dataset: nl.Dataset) -> dict[str, int]:
    return {axis: n for axis, n in dataset.info.sizes.items() if axis in "tpcz" and n > 1}


@pytest.mark.parametrize("names", [["a_t0", "a_t1"], ["a_0", "a_1"], ["new", "old"]])
@pytest.mark.parametrize("writer", WRITERS)
def test_times_in_files_are_times_though_names_count_them_too(
    tmp_path: Path, writer: str, names: list[str]
) -> None:
    write(tmp_path, [f"{name}.tif" for name in names], "TZ", **WRITERS[writer])

    with nl.open_dataset(tmp_path) as dataset:
        assert sizes(dataset) == {"t": 3, "p": 2, "z": 2}
        found = [[[dataset.plane(t, p, 0, z)[0, 0] for z in range(2)] for t in range(3)] for p in range(2)]
        assert found == [[[0, 1], [2, 3], [4, 5]], [[100, 101], [102, 103], [104, 105]]]
        (warning,) = dataset.info.warnings
        assert "position" in warning


def test_what_names_count_is_in_the_names_of_positions(tmp_path: Path) -> None:
    write(tmp_path, [f"a_t{t}_{c}.tif" for t in range(2) for c in ("DAPI", "GFP")], "T", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        assert sizes(dataset) == {"t": 3, "p": 2, "c": 2}
        assert [position.title for position in dataset.info.positions] == ["t0", "t1"]
        assert dataset.plane(t=2, p=1, c="GFP")[0, 0] == 302


def test_wells_and_fields_keep_their_names(tmp_path: Path) -> None:
    write(tmp_path, [f"{well}_t{t}.tif" for well in ("A1", "B2") for t in range(2)], "T", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        assert [position.label for position in dataset.info.positions] == ["A1:0", "A1:1", "B2:0", "B2:1"]
        assert dataset.plane(t=1, p=3)[0, 0] == 301


def test_channels_in_files_are_channels(tmp_path: Path) -> None:
    write(tmp_path, ["DAPI.tif", "GFP.tif"], "ZC", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        assert sizes(dataset) == {"p": 2, "c": 2, "z": 2}
        assert [position.region for position in dataset.info.positions] == ["DAPI", "GFP"]
        assert dataset.plane(p=1, c=1, z=0)[0, 0] == 101


def test_what_is_added_is_a_position_as_well(tmp_path: Path) -> None:
    write(tmp_path, ["new.tif", "old.tif"], "T", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        write(tmp_path, ["third.tif"], "T", ome=True)
        assert [position.region for position in dataset.refresh().positions] == ["new", "old", "third"]
        assert dataset.plane(t=2, p=2)[0, 0] == 2


def test_names_may_be_said_to_count_it_nevertheless(tmp_path: Path) -> None:
    write(tmp_path, ["a_t0.tif", "a_t1.tif"], "T", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        (other,) = dataset.info.interpretations
    with nl.open_dataset(tmp_path, storage_options=dict(other.options)) as dataset:
        assert dataset.info.n_t == 2


@pytest.mark.parametrize(
    ("axes", "writer", "names", "expected"),
    [
        ("Z", {"imagej": True}, ["a_z0", "a_z1"], {"t": 2, "z": 2}),  # any stack is of slices there
        ("C", {"imagej": True}, ["DAPI", "GFP"], {"c": 2, "z": 2}),  # or, by tifffile, of channels
        ("T", {"metadata": None}, ["a_t0", "a_t1"], {"t": 2, "z": 3}),
    ],
)
def test_what_nobody_has_said_gives_way_to_names(
    tmp_path: Path, axes: str, writer: dict[str, Any], names: list[str], expected: dict[str, int]
) -> None:
    write(tmp_path, [f"{name}.tif" for name in names], axes, **writer)

    with nl.open_dataset(tmp_path) as dataset:
        assert sizes(dataset) == expected
        assert not dataset.info.warnings


def test_names_that_are_understood_anew_are_positions_still(tmp_path: Path) -> None:
    write(tmp_path, ["a_p0_t0.tif", "a_p0_t1.tif"], "T", ome=True)

    with nl.open_dataset(tmp_path) as dataset:
        write(tmp_path, ["a_p1_t0.tif"], "T", ome=True)
        info = dataset.refresh()
        assert [position.label for position in info.positions] == ["t0:0", "t1:0", "t0:1"]
        assert info.n_t == 3
        (warning,) = info.warnings
        assert "a_p{fov:d}_t{t:d}" in warning
