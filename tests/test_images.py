"""Folders of existing images: what their names say, right pixels, and what is wrong with one of them."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.images.format import ImagesFormat
from ndviewer_light.sources.images.name_layouts import understood
from ndviewer_light.sources.images.patterns import Pattern
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.sources.tiff.source import TiffSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.range_server import RangeServer

HEIGHT, WIDTH = 20, 32


def picture(*index: int, dtype: Any = np.uint8, colours: int = 0) -> np.ndarray:
    """A picture that differs for every index."""
    shape = (HEIGHT, WIDTH, colours) if colours else (HEIGHT, WIDTH)
    rng = np.random.default_rng((7, *index))
    return rng.integers(1, 200, shape).astype(dtype)


def write(path: Path, pixels: np.ndarray) -> None:
    """Write a picture; its format follows from its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        tifffile.imwrite(path, pixels, metadata=None)
        return
    import PIL.Image

    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens images; closes them when the test is over."""
    sources: list[ImagesSource] = []

    def open_images(path: Any, **options: str) -> ImagesSource:
        sources.append(ImagesSource.open(str(path), options))
        return sources[-1]

    yield open_images
    for source in sources:
        source.close()


# ---- what names say ----------------------------------------------------------------------------


def names_of(form: str, **values: Sequence[Any]) -> list[str]:
    """All names of a form, in Python's own way of writing them."""
    names = [""]
    combined: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        combined = [{**known, name: value} for known in combined for value in choices]
    names = [form.format(**fields) for fields in combined]
    return names


TWO, THREE = (0, 1), (0, 1, 2)
NAMED = [
    ("img_{t:03d}", {"t": range(12)}, "img_{t:d}"),
    ("img_t{t}_c{c}_z{z}", {"t": TWO, "c": TWO, "z": THREE}, "img_t{t:d}_c{c:d}_z{z:d}"),
    ("exp1_T{t:04d}_ch{c:02d}", {"t": THREE, "c": TWO}, "exp1_T{t:d}_ch{c:d}"),
    (
        "img_channel{c:03d}_position{p:03d}_time{t:09d}_z{z:03d}",
        {"c": TWO, "p": TWO, "t": TWO, "z": TWO},
        "img_channel{c:d}_position{fov:d}_time{t:d}_z{z:d}",
    ),
    ("img_{t:09d}_{c}_{z:03d}", {"t": TWO, "c": ("DAPI", "GFP"), "z": TWO}, "img_{t:d}_{c}_{z:d}"),
    (
        "Series003_t{t:02d}_z{z:02d}_ch{c:02d}",
        {"t": TWO, "z": TWO, "c": TWO},
        "Series003_t{t:d}_z{z:d}_ch{c:d}",
    ),
    (
        "exp_{c}_s{s}_t{t}",
        {"c": ("w1DAPI", "w2GFP"), "s": (1, 2), "t": (9, 10)},
        "exp_w{:0..9}{c}<_s{fov:d}><_t{t:d}>",
    ),
    (
        "{r}{k:02d}_s{s}_w{c}",
        {"r": "BCD", "k": (2, 3), "s": (1, 2), "c": (1, 2)},
        "{well:well}<_s{fov:d}>_w{c:d}<_z{z:d}><_t{t:d}><{uuid}>",
    ),
    (
        "p_C{k:02d}_s{s}_w{c}",
        {"k": (2, 3), "s": (1, 2), "c": (1, 2)},
        "p_{well:well}<_s{fov:d}>_w{c:d}<_z{z:d}><_t{t:d}><{uuid}>",
    ),
    (
        "C{k:02d}_T{t:04d}F{f:03d}L01A01Z{z:02d}C{c:02d}",
        {"k": (1, 2), "t": (1, 2), "f": (1, 2), "z": (1, 2), "c": (1, 2)},
        "{well:well}_T{t:4d}F{fov:3d}L{:2d}A{:2d}Z{z:2d}C{c:2d}",
    ),
    (
        "r{r:02d}c{k:02d}f{f:02d}p{z:02d}-ch{c}sk1fk1fl1",
        {"r": (1, 2), "k": (1, 2), "f": (1, 2), "z": (1, 2), "c": (1, 2)},
        "r{row:2d}c{col:2d}f{fov:d}p{z:d}*-ch{c:d}sk{t:d}fk{:d}fl{:d}",
    ),
    (
        "{r} - {k:02d}(fld {f:02d} wv {c})",
        {"r": "AB", "k": (1, 2), "f": (1, 2), "c": ("Blue - FITC", "UV - DAPI")},
        "{well:well}(fld {fov:d} wv {c}< z {z:d}><<-> time {t:d}><< >- {:d}< >ms>)",
    ),
    (
        "{t}/{r}_{f}_{z}_{c}",
        {"t": TWO, "r": ("A1", "manual0"), "f": TWO, "z": TWO, "c": ("BF_full", "Fluorescence_405_nm_Ex")},
        "{t:d}/{region}_{fov:d}_{z:d}_{c}",
    ),
    ("cell_{c}_{i:02d}", {"c": ("DAPI", "GFP", "phase"), "i": range(5)}, "cell_{c}_{t:d}"),
    ("time_{t:03d}_z_{z}", {"t": range(12), "z": THREE}, "time_{t:d}_z_{z:d}"),
    (
        "Exp2t{t:02d}xy{p:02d}z{z:02d}c{c}",
        {"t": TWO, "p": TWO, "z": TWO, "c": TWO},
        "Exp2t{t:d}xy{fov:d}z{z:d}c{c:d}",
    ),
    ("pos{p}/t{t:03d}", {"p": THREE, "t": range(5)}, "pos{fov:d}/t{t:d}"),
    ("{c}/img{t:03d}", {"c": ("DAPI", "GFP"), "t": range(5)}, "{c}/img{t:d}"),
    ("plate1_{r}{k:02d}_{c}", {"r": "AB", "k": (1, 2, 3), "c": ("DAPI", "Cy5")}, "plate1_{region}_{c}"),
    (
        "well{r}{k:02d}-site{s}-{c}",
        {"r": "AB", "k": (1, 2), "s": TWO, "c": ("DNA", "actin")},
        "well{region}-site{fov:d}-{c}",
    ),
    ("exp_{c}_t{t}", {"c": ("BF LED", "GFP", "Cy5 far red"), "t": range(4)}, "exp_{c}_t{t:d}"),
    ("a_{i}_{j}", {"i": range(3), "j": range(4)}, "a_{t:d}_{z:d}"),
    ("ctrl_{c}", {"c": ("DAPI", "GFP")}, "ctrl_{c}"),
    ("sample{c}_t{t}", {"c": [f"{x}{x}x" for x in "abcdefghijklmno"], "t": TWO}, "{region}_t{t:d}"),
]


@pytest.mark.parametrize(("form", "values", "expected"), NAMED, ids=[each[0] for each in NAMED])
def test_names_are_understood(form: str, values: dict[str, Any], expected: str) -> None:
    names = names_of(form, **values)
    layout = understood(names).layout
    assert layout is not None
    assert layout.pattern.text == expected
    assert not layout.left_out


@pytest.mark.parametrize(
    "names",
    [
        ["cat", "dog house", "IMG_2231", "a_1_2_3"],
        ["a", "b", "c"],
        ["one"],
        ["x_1_2", "x_1_3", "x_4_9", "x_5_9", "x_7_0"],  # no file for most combinations
        ["img_1", "img_01", "img_2"],  # two files would be the same plane
    ],
)
def test_names_that_say_nothing_are_not_guessed_at(names: list[str]) -> None:
    assert understood(names).layout is None


def test_a_few_strangers_do_not_hide_what_the_others_say() -> None:
    layout = understood([*names_of("t{t:03d}_c{c}", t=range(30), c=TWO), "overview"]).layout
    assert layout is not None and layout.left_out == ("overview",)


# ---- patterns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("img_t{t:d}_c{c}_z{z:d}.png", "img_t007_cGFP_z2.png", {"t": "007", "c": "GFP", "z": "2"}),
        ("{well}_{f:2d}_*.tif", "B03_04_anything.tif", {"region": "B03", "fov": "04"}),
        ("{c:DAPI|DAPI-2}_{t:0..20}.png", "DAPI-2_12.png", {"c": "DAPI-2", "t": "12"}),
        ("{t:d}/{t:d}_{c}.png", "3/3_a.png", {"t": "3", "c": "a"}),
        ("r{row:d}c{col:d}.png", "r2c11.png", {"row": "2", "column": "11"}),
        ("a?{z:d}.(x)[y].png", "a_5.(x)[y].png", {"z": "5"}),
    ],
)
def test_patterns_take_names_apart(text: str, name: str, fields: dict[str, str]) -> None:
    assert Pattern(text).read(name) == fields


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("img_{t:d}.png", "img_x.png"),
        ("img_{t:3d}.png", "img_12.png"),
        ("{c}.png", "a/b.png"),
        ("{t:d}_{t:d}.png", "1_2.png"),
        ("{z:0..9}.png", "10.png"),
    ],
)
def test_patterns_refuse_other_names(text: str, name: str) -> None:
    assert Pattern(text).read(name) is None


def test_patterns_with_ranges_make_names() -> None:
    found = [name for name, _ in Pattern("t{t:0..1}/{c:DAPI|GFP}_{z:08..11}.png").names()]
    assert len(found) == 16
    assert found[0] == "t0/DAPI_08.png" and found[-1] == "t1/GFP_11.png"


@pytest.mark.parametrize(
    "text",
    [
        "img.png",
        "{q:d}.png",
        "{t:x..y}.png",
        "{t:9..3}.png",
        "{}.png",
        "{t!r}.png",
        "{t.__class__}.png",
        "{t:a/b}",
    ],
)
def test_patterns_that_make_no_sense_are_explained(text: str) -> None:
    with pytest.raises(DatasetError, match="the pattern"):
        Pattern(text)


@pytest.mark.parametrize(
    ("text", "error"), [("{t:d}.png", DatasetError), ("{t:0..9999}_{z:0..9999}", LimitExceededError)]
)
def test_patterns_that_name_no_files_or_too_many(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(Pattern(text).names())


# ---- folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["png", "bmp", "tif", "PNG"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_are_those_of_their_files(tmp_path: Path, opened: Any, end: str, dtype: Any) -> None:
    if end == "bmp" and dtype == np.uint16:
        pytest.skip("BMP has 8 bits")
    for t in TWO:
        for c in TWO:
            for z in THREE:
                write(tmp_path / f"img_t{t:03d}_c{c}_z{z}.{end}", picture(t, c, z, dtype=dtype))
    source = opened(tmp_path)
    info = source.info
    assert info.sizes == {"t": 2, "p": 1, "c": 2, "z": 3, "y": HEIGHT, "x": WIDTH}
    assert info.dtype == dtype and not info.warnings
    for t in TWO:
        for c in TWO:
            for z in THREE:
                found = source.read_plane(PlaneKey(t, 0, c, z))
                np.testing.assert_array_equal(found, picture(t, c, z, dtype=dtype))
                assert source.plane_shape(PlaneKey(t, 0, c, z)) == (HEIGHT, WIDTH)


def test_jpegs_are_shown_as_others_show_them(tmp_path: Path, opened: Any) -> None:
    import PIL.Image

    for t in TWO:
        write(tmp_path / f"{t}.jpg", picture(t, colours=3))
    source = opened(tmp_path)
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]
    for t in TWO:
        expected = np.asarray(PIL.Image.open(tmp_path / f"{t}.jpg"))
        for c in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t, 0, c)), expected[..., c])


@pytest.mark.parametrize("end", ["png", "tif"])
def test_colour_pictures_of_several_channels(tmp_path: Path, opened: Any, end: str) -> None:
    for name in ("stain", "other"):
        for t in TWO:
            write(tmp_path / f"{name}_{t}.{end}", picture(t, len(name), colours=3))
    source = opened(tmp_path)
    assert [channel.name for channel in source.info.channels] == [
        f"{name} ({letter})" for name in ("other", "stain") for letter in "RGB"
    ]
    assert source.info.channels[0].window == (0, 255)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 0, 4)), picture(1, 5, colours=3)[..., 1])


def test_positions_are_wells_and_fields(tmp_path: Path, opened: Any) -> None:
    for well in ("A01", "A02", "B10"):
        for s in (1, 2):
            write(tmp_path / f"{well}_s{s}_w1.png", picture(ord(well[0]), int(well[1:]), s))
    source = opened(tmp_path)
    labels = [position.label for position in source.info.positions]
    assert labels == ["A01:1", "A01:2", "A02:1", "A02:2", "B10:1", "B10:2"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=4)), picture(ord("B"), 10, 1))


def test_time_points_keep_their_numbers(tmp_path: Path, opened: Any) -> None:
    for t in (3, 4, 7, 10):
        write(tmp_path / f"t{t}.png", picture(t))
    source = opened(tmp_path)
    assert source.info.times == (3, 4, 7, 10)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(10))


def test_unrelated_names_are_put_in_natural_order(tmp_path: Path, opened: Any) -> None:
    names = ["b", "img 2", "img 10", "z9 final"]
    for i, name in enumerate(names):
        write(tmp_path / f"{name}.png", picture(i))
    source = opened(tmp_path)
    assert source.info.n_t == 4
    assert any("pattern" in warning for warning in source.info.warnings)
    for t in range(4):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), picture(t))


def test_a_pattern_of_ones_own_comes_first(tmp_path: Path, opened: Any) -> None:
    for a in TWO:
        for b in THREE:
            write(tmp_path / f"x{a}_{b}.png", picture(a, b))
    (tmp_path / "note.txt").write_text("")
    for pattern in ("x{z:d}_{t:d}.png", "x{z:d}_{t:d}"):
        source = opened(tmp_path, pattern=pattern)
        assert (source.info.n_z, source.info.n_t) == (2, 3)
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2, z=1)), picture(1, 2))
    source = opened(f"{tmp_path}/x{{z:d}}_{{c}}.png")
    assert [channel.name for channel in source.info.channels] == ["Ch0", "Ch1", "Ch2"]
    with pytest.raises(DatasetNotFoundError, match=r"x0_0\.png"):
        opened(tmp_path, pattern="y{t:d}.png")


def test_a_pattern_may_go_through_folders(tmp_path: Path, opened: Any) -> None:
    for well in ("A1", "B2"):
        for t in TWO:
            write(tmp_path / well / f"day{t}" / "img.png", picture(len(well), t, ord(well[0])))
    source = opened(tmp_path, pattern="{well}/day{t:d}/*.png")
    assert [position.label for position in source.info.positions] == ["A1:0", "B2:0"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 1)), picture(2, 1, ord("B")))


def test_files_that_are_not_there_are_planes_that_are_not_stored(tmp_path: Path, opened: Any) -> None:
    for t, z in ((0, 0), (0, 1), (1, 0)):
        write(tmp_path / f"t{t}_z{z}.png", picture(t, z))
    source = opened(tmp_path)
    missing = PlaneKey(t=1, z=1)
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(missing)
    assert source.plane_shape(missing) is None
    assert not source.exists(missing) and source.exists(PlaneKey(t=1))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(t=2))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(), 1)


def test_files_of_other_kinds_are_named(tmp_path: Path, opened: Any) -> None:
    for t in range(12):
        write(tmp_path / f"t{t:02d}.tif", picture(t))
    write(tmp_path / "preview.jpg", picture(9))
    write(tmp_path / "overview.tif", picture(8))
    warnings = " ".join(opened(tmp_path).info.warnings)
    assert "'preview.jpg'" in warnings and "'overview'" in warnings


def test_new_files_are_found_and_what_was_there_keeps_its_index(tmp_path: Path, opened: Any) -> None:
    for t in (0, 2):
        for z in TWO:
            write(tmp_path / f"t{t}_z{z}.png", picture(t, z))
    source = opened(tmp_path)
    before = source.info
    assert source.refresh() is before
    for z in TWO:
        write(tmp_path / f"t1_z{z}.png", picture(1, z))
    assert source.refresh().times == (0, 2, 1)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, z=1)), picture(2, 1))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(2, z=1)), picture(1, 1))


# ---- TIFF of many pages, and single files --------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"compression": "zlib", "tile": (16, 16)}]
)
def test_pages_are_z_if_names_do_not_say_so(tmp_path: Path, opened: Any, how: dict[str, Any]) -> None:
    import tifffile

    for t in range(3):
        stack = np.stack([picture(t, z, dtype=np.uint16) for z in range(4)])
        tifffile.imwrite(tmp_path / f"stack_{t}.tif", stack, photometric="minisblack", metadata=None, **how)
    source = opened(tmp_path)
    assert (source.info.n_t, source.info.n_z) == (3, 4)
    for t in range(3):
        for z in range(4):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t, z=z)), picture(t, z, dtype=np.uint16))


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_axes_of_files_are_those_they_say(tmp_path: Path, opened: Any, kind: str) -> None:
    import tifffile

    data = np.stack([[[picture(t, z, c, dtype=np.uint16) for c in TWO] for z in THREE] for t in TWO])
    for p in TWO:
        name = tmp_path / f"pos{p}.{'ome.tif' if kind == 'ome' else 'tif'}"
        if kind == "ome":
            meta = {"axes": "TZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
            meta["Channel"] = {"Name": ["DAPI", "GFP"]}
            tifffile.imwrite(name, data + p, metadata=meta)
        else:
            tifffile.imwrite(
                name,
                data + p,
                imagej=True,
                resolution=(2, 2),
                metadata={"axes": "TZCYX", "unit": "um", "spacing": 2.0},
            )
    source = opened(tmp_path)
    info = source.info
    assert info.sizes == {"t": 2, "p": 2, "c": 2, "z": 3, "y": HEIGHT, "x": WIDTH}
    assert (info.pixel_size_um, info.z_step_um) == (0.5, 2.0)
    if kind == "ome":
        assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
    for key in (PlaneKey(1, 1, 1, 2), PlaneKey(0, 0, 1, 0), PlaneKey(1, 0, 0, 1)):
        expected = picture(key.t, key.z, key.c, dtype=np.uint16) + key.p
        np.testing.assert_array_equal(source.read_plane(key), expected)


def test_levels_of_a_pyramid(tmp_path: Path, opened: Any) -> None:
    import tifffile

    full = np.random.default_rng(0).integers(0, 255, (512, 768), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(full, subifds=2, tile=(128, 128), compression="zlib")
        for step in (2, 4):
            writer.write(full[::step, ::step], subfiletype=1, tile=(128, 128), compression="zlib")
    source = opened(tmp_path / "a.ome.tif")
    assert source.info.n_levels == 3
    for level, step in enumerate((1, 2, 4)):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(), level), full[::step, ::step])
        assert source.plane_shape(PlaneKey(), level) == full[::step, ::step].shape


def test_names_and_pages_that_both_say_what_is_z(tmp_path: Path, opened: Any) -> None:
    import tifffile

    for z in TWO:
        stack = np.stack([picture(z, t, dtype=np.uint16) for t in THREE])
        tifffile.imwrite(tmp_path / f"z{z}.tif", stack, photometric="minisblack", metadata=None)
    source = opened(tmp_path)
    assert (source.info.n_z, source.info.n_t) == (2, 3)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(2, z=1)), picture(1, 2, dtype=np.uint16))


@pytest.mark.parametrize("end", ["png", "tif", "jpg", "bmp"])
def test_a_single_file(tmp_path: Path, opened: Any, end: str) -> None:
    write(tmp_path / f"a 1.{end}", picture(1))
    write(tmp_path / f"a 2.{end}", picture(2))
    source = opened(tmp_path / f"a 1.{end}")
    assert source.info.sizes == {"t": 1, "p": 1, "c": 1, "z": 1, "y": HEIGHT, "x": WIDTH}
    if end != "jpg":
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), picture(1))
    assert source.refresh() is source.info


def test_a_planar_colour_tiff(tmp_path: Path, opened: Any) -> None:
    import tifffile

    data = np.moveaxis(picture(1, colours=3), -1, 0)
    for compression in (None, "zlib"):
        tifffile.imwrite(
            tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate", compression=compression
        )
        source = opened(tmp_path / "a.tif")
        for c in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), data[c])
        source.close()


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_both_byte_orders(tmp_path: Path, opened: Any, byteorder: str) -> None:
    import tifffile

    data = picture(3, dtype=np.uint16) * 200
    tifffile.imwrite(tmp_path / "a.tif", data, byteorder=byteorder)
    np.testing.assert_array_equal(opened(tmp_path / "a.tif").read_plane(PlaneKey()), data)


# ---- as a source -----------------------------------------------------------------------------------


def test_what_is_recognised(tmp_path: Path) -> None:
    write(tmp_path / "flat" / "a.png", picture(1))
    write(tmp_path / "deep" / "day1" / "a.png", picture(1))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("")
    recognises = ImagesFormat().recognises
    assert recognises(str(tmp_path / "flat")) and recognises(str(tmp_path / "deep"))
    assert recognises(str(tmp_path / "flat" / "a.png"))
    assert not recognises(str(tmp_path / "text")) and not recognises(str(tmp_path / "text" / "a.txt"))
    assert recognises("https://example.org/a/img_{t:0..9}.png") and recognises("s3://bucket/a.tiff?x=1")
    assert not recognises("https://example.org/a.zarr")


def test_folders_of_other_formats_stay_theirs(tmp_path: Path) -> None:
    write(tmp_path / "run" / "0" / "A1_0_0_BF.tiff", picture(1))
    write(tmp_path / "run" / "0" / "A1_0_1_BF.tiff", picture(2))
    source = open_source(str(tmp_path / "run"))
    assert isinstance(source, TiffSource)
    source.close()
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    write(tmp_path / "a.zarr" / "thumb.png", picture(1))
    with pytest.raises(DatasetError, match="contains no image"):
        open_source(str(tmp_path / "a.zarr"))


def test_a_folder_opens_by_its_path(tmp_path: Path) -> None:
    for t in TWO:
        write(tmp_path / f"img_{t}.png", picture(t))
    source = open_source(str(tmp_path))
    assert isinstance(source, ImagesSource)
    source.close()


def test_opening_opens_one_file(tmp_path: Path, opened: Any) -> None:
    for t in range(50):
        write(tmp_path / f"img_{t}.png", picture(t))
    for t in range(1, 50):
        (tmp_path / f"img_{t}.png").write_bytes(b"")
    assert opened(tmp_path).info.n_t == 50


def test_threads_may_read_at_once(tmp_path: Path, opened: Any) -> None:
    for t in range(6):
        write(tmp_path / f"img_{t}.tif", picture(t, colours=3))
    source = opened(tmp_path)

    def read(i: int) -> bool:
        found = source.read_plane(PlaneKey(i % 6, c=i % 3))
        return bool((found == picture(i % 6, colours=3)[..., i % 3]).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(200)))


def test_few_files_are_open_at_once(tmp_path: Path, opened: Any) -> None:
    for t in range(60):
        write(tmp_path / f"img_{t}.tif", picture(t))
    source = opened(tmp_path)
    for t in range(60):
        source.read_plane(PlaneKey(t))
    fds = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert sum(str(tmp_path) in target for target in fds) <= 16
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, opened: Any) -> None:
    for end in ("tif", "png"):
        path = tmp_path / f"a.{end}"
        write(path, picture(1))
        source = opened(path)
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), picture(1))
        path.unlink()
        write(path, picture(2))
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), picture(2))


def test_arrays_can_be_pickled_with_their_pattern(tmp_path: Path) -> None:
    from ndviewer_light import open_dataset
    from ndviewer_light.engine import to_xarray as lazy
    from ndviewer_light.opening import Reopening

    for a in TWO:
        for b in THREE:
            write(tmp_path / f"x{a}_{b}.png", picture(a, b))
    options = {"pattern": "x{z:d}_{t:d}.png"}
    with open_dataset(tmp_path, storage_options=options) as dataset:
        found = pickle.loads(pickle.dumps(dataset.to_xarray()))
    try:
        np.testing.assert_array_equal(found.values[2, 0, 1, 0], picture(1, 2))
    finally:
        lazy._open_once(Reopening(str(tmp_path), tuple(options.items()))).close()
        lazy._open_once.cache_clear()


# ---- over a network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["png", "tif"])
def test_a_pattern_of_urls(tmp_path: Path, opened: Any, server: RangeServer, end: str) -> None:
    for t in range(3):
        for c in ("DAPI", "GFP"):
            write(tmp_path / "run" / f"img_{t:02d}_{c}.{end}", picture(t, len(c)))
    pattern = f"img_{{t:00..02}}_{{c:DAPI|GFP}}.{end}"
    for source in (opened(server.url("run/") + pattern), opened(server.url("run"), pattern=pattern)):
        assert source.info.sizes == {"t": 3, "p": 1, "c": 2, "z": 1, "y": HEIGHT, "x": WIDTH}
        np.testing.assert_array_equal(source.read_plane(PlaneKey(2, c=1)), picture(2, 3))
        assert source.describe()["hosts"] == [f"127.0.0.1:{server.port}"]
    with pytest.raises(DatasetError, match="cannot list them"):
        opened(server.url("run/") + "img_{t:d}_DAPI.png")


def test_a_pattern_of_signed_urls(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    """The signature belongs to each address, and is said nowhere."""
    for t in range(2):
        write(tmp_path / "run" / f"img_{t}.png", picture(t))
    write(tmp_path / "run" / "img_2.png", picture(2)[1:])
    server.set(query="signature=abc/1&expires=2")  # else 403
    address = server.url("run/") + "img_{t:0..4}.png?signature=abc/1&expires=2"
    with_pattern = server.url("run") + "?signature=abc/1&expires=2"
    for source in (opened(address), opened(with_pattern, pattern="img_{t:0..4}.png")):
        for t in range(2):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), picture(t))
        with pytest.raises(UnsupportedError) as error:
            source.read_plane(PlaneKey(2))
        with pytest.raises(PlaneNotStoredError) as missing:
            source.read_plane(PlaneKey(4))
        said = (str(error.value), str(missing.value), str(source.describe()), str(source.info))
        assert not any("signature" in each or "abc" in each for each in said)


@pytest.mark.parametrize("first", [np.uint8, np.uint16])
def test_channels_of_two_types_on_a_server_are_right(
    tmp_path: Path, opened: Any, server: RangeServer, first: type
) -> None:
    """And a file that has more bits than the first of its channel is an error, not other numbers."""
    second = np.uint16 if first is np.uint8 else np.uint8
    for t in range(2):
        write(tmp_path / f"img_{t}_DAPI.tif", picture(t, dtype=first))
        write(tmp_path / f"img_{t}_GFP.tif", picture(t, 1, dtype=second if t == 0 else np.float32))
    source = opened(server.url() + "img_{t:0..1}_{c:DAPI|GFP}.tif")
    assert source.info.dtype == np.uint16
    for key, pixels in (
        ((0, 0, 0, 0), picture(0)),
        ((1, 0, 0, 0), picture(1)),
        ((0, 0, 1, 0), picture(0, 1)),
    ):
        found = source.read_plane(PlaneKey(*key))
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, pixels)
    with pytest.raises(UnsupportedError, match=r"img_1_GFP\.tif has float32 pixels, the others have uint16"):
        source.read_plane(PlaneKey(1, c=1))


def test_urls_that_are_not_there(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    for t in (0, 1, 3):
        write(tmp_path / f"img_{t}.png", picture(t))
    source = opened(server.url() + "img_{t:0..3}.png")
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(2))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(3))
    with pytest.raises(DatasetNotFoundError):
        opened(server.url() + "other_{t:0..3}.png")


def test_a_single_tiff_on_a_server_by_its_tiles(tmp_path: Path, opened: Any, server: RangeServer) -> None:
    import tifffile

    data = np.random.default_rng(0).integers(0, 2**16, (1024, 2048), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(256, 256), compression="zlib")
    source = open_source(server.url("a.tif"))
    assert source.info.format == "tiff"
    server.set(latency_s=0.05)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), data)
    counts = server.counts()
    assert counts["max_in_flight"] > 1
    assert counts["bytes"] < 1.1 * (tmp_path / "a.tif").stat().st_size
    source.close()


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range", "html"])
def test_what_fails_on_the_way_gives_right_pixels_or_an_error(
    tmp_path: Path, opened: Any, server: RangeServer, fault: str
) -> None:
    for t in range(10):
        write(tmp_path / f"img_{t}.png", picture(t))
    source = opened(server.url() + "img_{t:0..9}.png")
    server.set(faults={fault: 0.4})
    for t in range(10):
        try:
            found = source.read_plane(PlaneKey(t))
        except DatasetError:
            continue
        np.testing.assert_array_equal(found, picture(t))


# ---- what is wrong with one of them --------------------------------------------------------------------


def test_a_picture_of_the_wrong_size_says_so(tmp_path: Path, opened: Any) -> None:
    for t in range(4):
        write(tmp_path / f"img_t{t}.png", picture(t))
    write(tmp_path / "img_t2.png", np.ones((30, 50), np.uint8))
    source = opened(tmp_path)
    with pytest.raises(
        UnsupportedError, match=r"img_t2\.png has 50 × 30 pixels, but others of its series have 32 × 20"
    ):
        source.read_plane(PlaneKey(2))
    assert source.plane_shape(PlaneKey(2)) == (30, 50)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(3))


def test_positions_may_differ_in_size(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / f"pos1_t{t}.png", picture(t))
        write(tmp_path / f"pos2_t{t}.png", np.full((30, 50), t + 1, np.uint8))
    source = opened(tmp_path)
    assert source.read_plane(PlaneKey(1, 1)).shape == (30, 50)
    assert source.read_plane(PlaneKey(1, 0)).shape == (HEIGHT, WIDTH)


def test_a_position_of_another_size_says_so_as_soon_as_it_is_looked_at(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / f"pos1_t{t}.png", picture(t))
        write(tmp_path / f"pos2_t{t}.png", np.full((30, 50), t + 1, np.uint8))
        write(tmp_path / f"pos3_t{t}.png", picture(t))
    looked, read, all_of = (opened(tmp_path) for _ in range(3))
    assert not looked.info.images
    read.read_plane(PlaneKey(1, 1))
    all_of.look_at_all()
    for image in (looked.image(1), read.info.image(1), all_of.info.image(1)):
        assert image.sizes == {"t": 2, "c": 1, "z": 1, "y": 30, "x": 50}
    assert all_of.info.images.keys() == {1}
    assert looked.levels(1)[0].sizes == (1, 30, 50)
    write(tmp_path / "pos2_t2.png", np.full((30, 50), 9, np.uint8))
    assert [read.refresh().image(p).sizes["t"] for p in (0, 1)] == [3, 3]
    assert (read.read_plane(PlaneKey(2, 1)) == 9).all()
    with open_dataset(tmp_path) as dataset:
        arrays = dataset.to_xarray()
        assert [array.shape[4:] for array in arrays.values()] == [(HEIGHT, WIDTH), (30, 50)]


def test_files_with_other_numbers_of_pages_are_each_read_by_their_own(tmp_path: Path, opened: Any) -> None:
    for name, n_z in (("pos1", 2), ("pos2", 3), ("pos3", 1)):
        pages = np.arange(4 * n_z * 6, dtype="u2").reshape(2, n_z, 2, 6, 1) + np.zeros(8, "u2")
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, imagej=True, metadata={"axes": "TZCYX"})
    source = opened(tmp_path)
    assert [source.image(p).n_z for p in range(3)] == [2, 3, 1]
    assert source.info.n_z == 3
    for p, n_z in enumerate((2, 3, 1)):
        for t, z, c in np.ndindex(2, n_z, 2):
            first = ((t * n_z + z) * 2 + c) * 6
            assert source.read_plane(PlaneKey(t, p, c, z))[0, 0] == first
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=2))


def test_unrelated_pictures_may_have_any_size(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "a cat.png", picture(1))
    write(tmp_path / "dog.png", np.full((30, 50), 1, np.uint8))
    assert opened(tmp_path).read_plane(PlaneKey(1)).shape == (30, 50)


def test_a_picture_with_more_bits_than_the_others_says_so(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0))
    write(tmp_path / "img_1.png", picture(1, dtype=np.uint16) * 200)
    with pytest.raises(UnsupportedError, match=r"img_1\.png has uint16 pixels"):
        opened(tmp_path).read_plane(PlaneKey(1))


@pytest.mark.parametrize("dtypes", [("u1", "u2"), ("u2", "u1"), ("i2", "u2"), ("u1", "f4")])
def test_channels_of_different_pixel_types_have_a_dtype_that_holds_both(tmp_path: Path, dtypes: Any) -> None:
    for c, dtype in enumerate(dtypes):
        values = np.full((HEIGHT, WIDTH), 200 if dtype == "u1" else 30_000, dtype)
        for t in TWO:
            tifffile.imwrite(tmp_path / f"img_t{t}_c{c}.tif", values + t)
    with open_dataset(tmp_path) as dataset:
        array = dataset.to_xarray()
        assert dataset.info.dtype == array.dtype == np.result_type(*dtypes)
        expected = [200 if dtype == "u1" else 30_000 for dtype in dtypes]
        assert [int(dataset.plane(c=c)[0, 0]) for c in TWO] == expected
        assert array[1, 0, 0, :, 0, 0].values.tolist() == [value + 1 for value in expected]


def test_fewer_bits_and_colour_among_grey_are_shown(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0, dtype=np.uint16))
    write(tmp_path / "img_1.png", picture(1))
    write(tmp_path / "img_2.png", np.full((HEIGHT, WIDTH, 3), (10, 20, 30), np.uint8))
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), picture(1))
    assert np.unique(source.read_plane(PlaneKey(2))) == [round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)]


@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "tif"])
def test_a_file_that_is_cut_short_is_damage(tmp_path: Path, opened: Any, end: str) -> None:
    big = np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)
    for t in TWO:
        write(tmp_path / f"img_{t}.{end}", big)
    data = (tmp_path / f"img_1.{end}").read_bytes()
    source = opened(tmp_path)
    for length in (0, 1, 10, 60, len(data) // 2, len(data) * 9 // 10):
        (tmp_path / f"img_1.{end}").write_bytes(data[:length])
        with pytest.raises(CorruptDataError, match=rf"img_1\.{end}"):
            source.read_plane(PlaneKey(1))


def test_a_damaged_first_file_does_not_hide_the_others(tmp_path: Path, opened: Any) -> None:
    for t in range(3):
        write(tmp_path / f"img_{t}.png", picture(t))
    (tmp_path / "img_0.png").write_bytes(b"nothing")
    source = opened(tmp_path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), picture(1))
    with pytest.raises(CorruptDataError, match=r"img_0\.png"):
        source.read_plane(PlaneKey(0))
    for t in range(3):
        (tmp_path / f"img_{t}.png").write_bytes(b"nothing")
    with pytest.raises(CorruptDataError, match=r"img_0\.png"):
        opened(tmp_path)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_a_picture_that_says_it_is_huge_is_not_decoded(tmp_path: Path, opened: Any) -> None:
    write(tmp_path / "img_0.png", picture(0))
    (tmp_path / "img_1.png").write_bytes(bomb(60_000, 60_000))
    source = opened(tmp_path)
    for ask in (source.read_plane, source.plane_shape):
        with pytest.raises(LimitExceededError, match=r"img_1\.png claims more than [\d,]+ pixels"):
            ask(PlaneKey(1))


def test_mutants_give_dataset_errors_only(tmp_path: Path) -> None:
    import tifffile

    stack = np.stack([picture(0, z, dtype=np.uint16) for z in THREE])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", compression="zlib", metadata=None)
    write(tmp_path / "a.png", picture(1))
    write(tmp_path / "a.jpg", picture(1))
    write(tmp_path / "a.bmp", picture(1))
    rng = np.random.default_rng(3)
    n_errors = 0
    for end in ("tif", "png", "jpg", "bmp"):
        path = tmp_path / f"a.{end}"
        original = path.read_bytes()
        for _ in range(150):
            mutant = bytearray(original)
            for _ in range(rng.integers(1, 4)):
                # most of what can go wrong is in the first bytes
                mutant[rng.integers(len(mutant) if rng.random() < 0.3 else 200) % len(mutant)] = rng.integers(
                    256
                )
            path.write_bytes(bytes(mutant))
            try:
                source = ImagesSource.open(str(path))
            except DatasetError:
                n_errors += 1
                continue
            try:
                source.read_plane(PlaneKey())
                source.plane_shape(PlaneKey())
            except DatasetError:
                n_errors += 1
            finally:
                source.close()
    assert n_errors > 100


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path, opened: Any) -> None:
    for t in TWO:
        write(tmp_path / "run" / f"img_{t}.png", picture(t))
    source = opened(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(DatasetGoneError):
        source.read_plane(PlaneKey())


def test_a_folder_without_images(tmp_path: Path, opened: Any) -> None:
    with pytest.raises(DatasetNotFoundError, match="no images"):
        opened(tmp_path)


def test_a_pattern_makes_a_folder_that_looks_like_squids_one_of_images(tmp_path):
    from PIL import Image

    for z in range(2):
        Image.fromarray(np.full((8, 9), z + 1, np.uint8)).save(tmp_path / f"x_1_{z}_GFP.png")
    source = open_source(str(tmp_path), {"pattern": "x_{p:d}_{z:d}_{c}.png"})
    assert source.info.sizes["z"] == 2
    assert source.read_plane(PlaneKey(z=1)).max() == 2
    assert isinstance(source, ImagesSource)
    source.close()


def test_what_micro_manager_says_beside_its_images(tmp_path: Path, opened: Any) -> None:
    summary = {
        "ChNames": ["DAPI", "GFP"],
        "ChColors": [-16776961, 0x00FF00],
        "z-step_um": 2.0,
        "Interval_ms": 1500,
    }
    said = {"Summary": summary, "FrameKey-0-0-0": {"PixelSizeUm": 0.325}}
    for p, c, t, z in itertools.product(range(2), range(2), range(2), range(2)):
        name = f"img_channel{c:03}_position{p:03}_time{t:09}_z{z:03}.tif"
        write(tmp_path / f"Pos{p}" / name, picture(8 * p + 4 * c + 2 * t + z))
        (tmp_path / f"Pos{p}" / "metadata.txt").write_text(json.dumps(said))
    source = opened(tmp_path)
    info = source.look_at_all()
    assert [(channel.name, channel.color) for channel in info.channels] == [
        ("DAPI", "#0000FF"),
        ("GFP", "#00FF00"),
    ]
    for p in range(2):
        image = info.image(p)
        assert (image.pixel_size_um, image.z_step_um, image.time_step_s) == (0.325, 2.0, 1.5)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 1, 1, 0)), picture(14))
    (tmp_path / "Pos0" / "metadata.txt").write_text(json.dumps(said)[:-30])  # while it is written
    assert opened(tmp_path).info.channels[0].name == "Ch0"
