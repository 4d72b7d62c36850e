"""Image files of another size or type than the rest of their run: nothing is left out silently."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import tiffs
from PIL import Image

from ndviewer_light.cli import info, render
from ndviewer_light.errors import UnsupportedError
from ndviewer_light.model import PlaneKey, place_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.sources.source import Source

    Open = Callable[[Path], Source]

OTHER = (30, 50)
SIZES = "has 50 × 30 pixels, the first image of its position 40 × 24"


def path_of(folder: Path, key: PlaneKey) -> Path:
    region, fov = tiffs.sites(tiffs.REGIONS)[key.p]
    return tiffs.image_path(folder, key.t, region, fov, key.z, tiffs.CHANNELS[key.c])


def all_keys() -> list[PlaneKey]:
    return [PlaneKey(*key) for key in itertools.product(range(2), range(3), range(2), range(2))]


def run_with(folder: Path, odd: Callable[[PlaneKey], bool], dtype: str = "uint16") -> list[PlaneKey]:
    """Squid's images, some of them of another size; returns which."""
    tiffs.write_images(folder)
    found = list(filter(odd, all_keys()))
    for key in found:
        tiffs.write_image(path_of(folder, key), stores.plane(**key._asdict(), shape=OTHER, dtype=dtype))
    return found


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda key: key.c == 1 and key.p == 0, id="channel"),
        pytest.param(lambda key: key.t == 1 and key.p < 2, id="time"),
        pytest.param(lambda key: key == (0, 1, 0, 1), id="plane"),
    ],
)
def test_planes_of_another_size_are_read_and_said_with_both_sizes(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset], odd: Callable[[PlaneKey], bool]
) -> None:
    found = run_with(tmp_path, odd)
    dataset = opened_dataset(tmp_path)
    for key in reversed(all_keys()):  # the first of a position says its size, whichever is read first
        shape = OTHER if key in found else (stores.HEIGHT, stores.WIDTH)
        np.testing.assert_array_equal(dataset.plane(*key), stores.plane(**key._asdict(), shape=shape))
    said = dataset.info.warnings
    named = {str(path_of(tmp_path, key)) for key in found}
    places = [place_of(each) for each in said]
    assert len(said) == len(found)
    assert {place.file for place in places if place} == named
    assert {(place.t, place.p, place.c, place.z) for place in places if place} == set(map(tuple, found))
    assert all(SIZES in each for each in said)
    tiffs.write_image(path_of(tmp_path, found[0]), stores.plane())
    dataset.refresh()
    dataset.plane(*found[0])
    assert len(dataset.info.warnings) == len(found) - 1


def test_a_field_of_another_size_is_no_fault(tmp_path: Path, opened: Open) -> None:
    run_with(tmp_path, lambda key: key.p == 1)
    source = opened(tmp_path)
    for key in all_keys():
        source.read_plane(key)
    assert source.info.warnings == ()
    assert (source.info.image(1).height, source.info.image(1).width) == OTHER


def test_a_channel_of_another_size_is_said_as_soon_as_the_run_is_open(
    tmp_path: Path, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(tmp_path, lambda key: key.c == 1)
    (warning,) = opened(tmp_path).info.warnings
    assert str(path_of(tmp_path, PlaneKey(c=1))) in warning and SIZES in warning
    assert info.main([str(tmp_path)]) == 0
    assert SIZES in capsys.readouterr().out


def test_of_many_files_the_first_are_named(tmp_path: Path, opened: Open) -> None:
    found = run_with(tmp_path, lambda key: key.t == 1)
    source = opened(tmp_path)
    for key in found:
        source.read_plane(key)
    said = source.info.warnings
    assert len(said) == 9 and "More files than those named" in said[-1]
    known = source.info
    source.read_plane(found[-1])
    assert source.info is known


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_plane_of_another_type_is_said(tmp_path: Path, opened: Open, dtype: str) -> None:
    tiffs.write_images(tmp_path)
    odd = PlaneKey(1, 0, 1, 1)
    tiffs.write_image(path_of(tmp_path, odd), stores.plane(dtype=dtype))
    source = opened(tmp_path)
    assert source.read_plane(odd).dtype == np.dtype(dtype)
    (warning,) = source.info.warnings
    assert str(path_of(tmp_path, odd)) in warning
    assert f"has pixels of {dtype}, the first images of the channels of uint16" in warning


def test_reading_all_planes_finds_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (odd,) = run_with(tmp_path, lambda key: key == (1, 2, 1, 1))
    assert info.main([str(tmp_path), "--planes"]) == 0
    assert SIZES not in capsys.readouterr().out
    assert info.main([str(tmp_path), "--planes", "--read"]) == 0
    out = capsys.readouterr().out
    assert path_of(tmp_path, odd).name in out and SIZES in out


def test_pictures_say_which_channel_and_planes_are_not_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(tmp_path / "run", lambda key: key in ((0, 0, 1, 0), (0, 1, 0, 1)))
    out = tmp_path / "out.png"
    assert render.main([str(tmp_path / "run"), "-o", str(out)]) == 3
    assert "Fluorescence 488 nm Ex: 50 × 30 pixels, not 40 × 24 like the others" in capsys.readouterr().err
    assert render.main([str(tmp_path / "run"), "-o", str(out), "--channels", "Fluorescence 488 nm Ex"]) == 0
    with Image.open(out) as picture:
        assert picture.width / picture.height == pytest.approx(50 / 30)
    assert render.main([str(tmp_path / "run"), "-o", str(out), "--position", "A1:1", "--z", "max"]) == 3
    assert "max of 1 of 2 planes: the others are not stored, or of another size" in capsys.readouterr().err
    made_of = [str(tmp_path / "run"), "-o", str(out), "--position", "A1:1", "--volume", "max"]
    assert render.main(made_of) == 3
    assert "volume of 1 of 2 planes: the others are not stored, or of another size" in capsys.readouterr().err


def test_in_a_folder_of_other_names_a_channel_of_another_size_is_said_before_it_is_read(
    tmp_path: Path, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    for t, c in itertools.product(range(3), ("DAPI", "GFP")):
        shape = OTHER if c == "GFP" else (stores.HEIGHT, stores.WIDTH)
        tifffile.imwrite(tmp_path / f"img_t{t}_{c}.tif", stores.plane(t, shape=shape))
    source = opened(tmp_path)
    with pytest.raises(UnsupportedError, match=r"img_t1_GFP\.tif has 50 × 30 pixels"):
        source.read_plane(PlaneKey(1, 0, 1))
    said = [each for each in source.info.warnings if "has 50 × 30 pixels" in each]
    assert [place.file for each in said if (place := place_of(each))] == [
        str(tmp_path / f"img_t{t}_GFP.tif") for t in (0, 1)
    ]
    assert info.main([str(tmp_path)]) == 0
    assert "img_t0_GFP.tif has 50 × 30 pixels" in capsys.readouterr().out
