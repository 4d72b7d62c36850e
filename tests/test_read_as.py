"""What is not certain of a dataset can be said by a person: each other way opens, with the same pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from ndviewer_light.cli.info import main as info_main
from ndviewer_light.errors import PlaneNotStoredError, UnsupportedError
from ndviewer_light.gui.interpretation.reading_options import (
    checked_reading,
    permission_missing,
    reading_of,
    with_reading,
)
from ndviewer_light.metadata.guessed_axes import axes_given, other_axes
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

STACK = np.arange(2 * 3 * 20 * 30, dtype=np.uint16).reshape(2, 3, 20, 30)
PAGES = STACK.reshape(6, 20, 30)
WORDS = {"t": "time points", "z": "z planes", "c": "channels", "p": "positions"}


def write_hdf5(path: Path) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file["data"] = STACK
    return path / "a.h5"


def write_zarr(path: Path) -> Path:
    import zarr

    array = zarr.open_array(
        str(path / "a.zarr"), mode="w", shape=STACK.shape, chunks=(1, 1, 20, 30), dtype="u2"
    )
    array[...] = STACK
    return path / "a.zarr"


def write_pages(path: Path) -> Path:
    tifffile.imwrite(path / "a.tif", PAGES, metadata=None)
    return path / "a.tif"


def write_names(path: Path) -> Path:
    for i, j in np.ndindex(2, 3):
        Image.fromarray(STACK[i, j].astype(np.uint8)).save(path / f"a_{i}_{j}.png")
    return path


def along(dataset: Dataset, letters: str) -> np.ndarray:
    """All planes with the axes that are called so, slowest first."""
    sizes = dataset.sizes
    where = [letter for letter in letters.lower() if letter in "tpcz"]
    found = [
        dataset.plane(**dict(zip(where, index, strict=True)))
        for index in np.ndindex(*(sizes[axis] for axis in where))
    ]
    return np.stack(found).reshape(*(sizes[axis] for axis in where), *found[0].shape)


@pytest.mark.parametrize("write", [write_hdf5, write_zarr])
def test_every_other_order_of_axes_opens(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    with open_dataset(path) as dataset:
        others = dataset.info.interpretations
    assert len(others) == 9
    for way in others:
        ((_, letters),) = way.options
        with open_dataset(path, storage_options=dict(way.options)) as dataset:
            assert all(f"{n} {WORDS[a]}" in way.text for a, n in zip(letters[:2], STACK.shape, strict=False))
            assert ("exchanged" in way.text) == (letters[-2:] == "xy")
            assert {axis: dataset.sizes[axis] for axis in letters} == dict(
                zip(letters, STACK.shape, strict=True)
            )
            planes = along(dataset, letters)
            assert np.array_equal(planes if letters[-2:] == "yx" else planes.swapaxes(-1, -2), STACK)
            assert not dataset.info.warnings
            assert len(dataset.info.interpretations) == 9  # and back


@pytest.mark.parametrize("single", [(), (1,)], ids=["six axes", "and one of a single sample"])
@pytest.mark.parametrize("kind", ["hdf5", "zarr 2", "zarr 3"])
def test_six_axes_that_nobody_names_are_positions_times_channels_z_or_others(
    tmp_path: Path, kind: str, single: tuple[int, ...]
) -> None:
    array = np.arange(2 * 3 * 2 * 4 * 20 * 30, dtype=np.uint16).reshape(*single, 2, 3, 2, 4, 20, 30)
    path = tmp_path / kind
    if kind == "hdf5":
        path = path.with_suffix(".h5")
        with h5py.File(path, "w") as file:
            file["data"] = array
    else:
        import zarr

        zarr.create_array(path, data=array, zarr_format=int(kind[-1]))
    stack = array.reshape(array.shape[-6:])
    with open_dataset(path) as dataset:
        assert np.array_equal(along(dataset, "ptczyx"), stack)
        (said,) = dataset.info.warnings
        assert said.endswith("axes are not named; assuming p t c z y x")
        others = dataset.info.interpretations
    assert others[0].options == (("axes", "tpczyx"),)
    for way in others:
        ((_, letters),) = way.options
        with open_dataset(path, storage_options=dict(way.options)) as dataset:
            planes = along(dataset, letters)
            assert np.array_equal(planes if letters[-2:] == "yx" else planes.swapaxes(-1, -2), stack)


def test_pages_and_names_that_may_be_something_else_open_as_such(tmp_path: Path) -> None:
    pages = write_pages(tmp_path)
    with open_dataset(pages) as dataset:
        ways = dataset.info.interpretations
    assert [way.text for way in ways] == ["6 time points", "6 channels", "6 positions"]
    for way in ways:
        with open_dataset(pages, storage_options=dict(way.options)) as dataset:
            assert np.array_equal(along(dataset, way.options[0][1]), PAGES)
            assert dataset.info.interpretations == ways  # and back
    for axes, sizes in {
        "T2 Z3": (2, 3),
        "t z3": (2, 3),
        "c2,t3": (2, 3),
        "ZT2": (3, 2),
        "T Z4": (2, 4),
    }.items():
        with open_dataset(pages, storage_options={"axes": axes}) as dataset:
            letters = [letter for letter in axes.lower() if letter.isalpha()]
            assert tuple(dataset.sizes[letter] for letter in letters) == sizes
            if sizes != (2, 4):
                assert np.array_equal(along(dataset, "".join(letters)), PAGES.reshape(*sizes, 20, 30))
                continue
            with pytest.raises(PlaneNotStoredError):  # the last time point is not whole
                dataset.plane(t=1, z=2)
    for axes in ("T2 Z2", "T9 Z9", "T Z", "T2 T3", "T Z5 C", "T0 Z0"):
        with (
            pytest.raises(UnsupportedError, match="axes"),
            open_dataset(pages, storage_options={"axes": axes}),
        ):
            pass
    names = tmp_path / "names"
    names.mkdir()
    write_names(names)
    with open_dataset(names) as dataset:
        assert (dataset.sizes["t"], dataset.sizes["z"]) == (2, 3)
        (way,) = dataset.info.interpretations
    assert way.text == "3 time points, 2 z planes   a_{z:d}_{t:d}"
    with open_dataset(names, storage_options=dict(way.options)) as dataset:
        assert np.array_equal(along(dataset, "zt"), STACK.astype(np.uint8))


def test_arrays_whose_axes_tifffile_does_not_name_have_z_innermost_and_may_be_others(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    with open_dataset(tmp_path / "a.tif") as dataset:
        ways = dataset.info.interpretations
        assert np.array_equal(along(dataset, "tz"), STACK)
    assert {"2 channels, 3 z planes", "2 z planes, 3 time points"} <= {way.text for way in ways}
    for way in ways:
        with open_dataset(tmp_path / "a.tif", storage_options=dict(way.options)) as dataset:
            assert np.array_equal(along(dataset, way.options[0][1]), STACK)
    tifffile.imwrite(tmp_path / "named.tif", STACK, photometric="minisblack", metadata={"axes": "ZTYX"})
    with open_dataset(tmp_path / "named.tif") as dataset:
        assert not dataset.info.interpretations and np.array_equal(along(dataset, "zt"), STACK)


def test_info_says_what_else_it_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert info_main([str(write_pages(tmp_path))]) == 0
    lines = capsys.readouterr().out.splitlines()
    (said,) = (line for line in lines if "6 time points" in line)
    assert said.split() == ["may", "be", "6", "time", "points", "(--storage-option", "axes='T')"]


def test_files_of_whose_names_nothing_is_understood_may_be_anything(tmp_path: Path) -> None:
    for name in ("anna", "bertha-x", "caesar"):
        Image.fromarray(STACK[0, 0].astype(np.uint8)).save(tmp_path / f"{name}.png")
    with open_dataset(tmp_path) as dataset:
        assert dataset.sizes["t"] == 3
        ways = dataset.info.interpretations
    assert [way.text for way in ways] == ["3 z planes", "3 positions", "3 channels"]
    for way, axis in zip(ways, "zpc", strict=True):
        with open_dataset(tmp_path, storage_options=dict(way.options)) as dataset:
            assert dataset.sizes[axis] == 3


def test_what_is_certain_offers_nothing(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", PAGES, metadata={"axes": "TYX"})
    with open_dataset(tmp_path / "a.ome.tif") as dataset:
        assert dataset.info.interpretations == ()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = PAGES
        for i, name in enumerate("tyx"):
            file["data"].dims[i].label = name
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.info.interpretations == ()


def test_a_last_axis_of_few_samples_may_be_colours_or_channels() -> None:
    texts = [dict(way.options)["axes"] for way in other_axes((5, 40, 50, 3), "czyx")]
    assert {"zyxs", "tyxs", "tyxc", "zyxc"} <= set(texts)
    assert not any("s" in text for text in (dict(w.options)["axes"] for w in other_axes((5, 40, 50), "zyx")))
    assert axes_given("zyxs", (5, 40, 50, 3), "x") == ("z", "y", "x", "s")
    assert axes_given("T, Y X", (1, 4, 1, 40, 50), "x") == ("", "t", "", "y", "x")


@pytest.mark.parametrize("letters", ["zy", "zzyx", "qzyx", "tczyx", "zxs", "cyxs"])
def test_axes_that_do_not_fit_are_an_error_with_the_shape(letters: str) -> None:
    with pytest.raises(UnsupportedError, match="5 × 40 × 50 × 3"):
        axes_given(letters, (5, 40, 50, 3), "x.h5")


def test_colours_as_given(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 20, 30)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.moveaxis(pixels, 1, -1)
    with open_dataset(tmp_path / "a.h5", storage_options={"axes": "tyxs"}) as dataset:
        assert dataset.channels == ("red", "green", "blue")
        assert np.array_equal(dataset.plane(*PlaneKey(1, 0, 2, 0)), pixels[1, 2])


def test_options_of_reading() -> None:
    options = {"anonymous": "yes", "axes": "T", "pattern": ""}
    assert reading_of(options) == {"axes": "T"}
    assert with_reading(options, {"pattern": "{z}"}) == {"anonymous": "yes", "pattern": "{z}"}
    assert with_reading(options, {}) == {"anonymous": "yes"}
    wrong: list[Any] = [None, [], {"axes": 7}, {"axes": "x" * 2000}, {"key": "secret"}]
    assert [checked_reading(each) for each in wrong] == [{}] * 5
    assert checked_reading({"axes": "T", "user": "me"}) == {"axes": "T"}


def test_which_permission_is_missing() -> None:
    text = "a.h5 is in another file. allow it: --storage-option X=yes, or storage_options={'{}': 'yes'}"
    assert permission_missing([text.replace("{}", "allow_outside")]) == "allow_outside"
    assert permission_missing(["", text.replace("{}", "follow_links")]) == "follow_links"
    assert permission_missing(["axes are not named"]) == ""
