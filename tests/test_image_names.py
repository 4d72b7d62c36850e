"""What names of images say: layouts that are recognised, and patterns that are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ndviewer_light.errors import (
    DatasetError,
    LimitExceededError,
)
from ndviewer_light.sources.images.name_layouts import understood
from ndviewer_light.sources.images.patterns import Pattern
from tests.image_files import THREE, TWO

if TYPE_CHECKING:
    from collections.abc import Sequence


# ---- what names say ----------------------------------------------------------------------------


def names_of(form: str, **values: Sequence[Any]) -> list[str]:
    """All names of a form, in Python's own way of writing them."""
    names = [""]
    combined: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        combined = [{**known, name: value} for known in combined for value in choices]
    names = [form.format(**fields) for fields in combined]
    return names


NAMED = [
    ("img_t{t}_{c}", {"t": (0,), "c": ("BF", "Fluorescence_488_nm_Ex")}, "img_t0_{c}"),
    ("{c}_t{t}", {"t": TWO, "c": ("BF_LED_matrix_full_R", "DAPI", "Alexa_488")}, "{c}_t{t:d}"),
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
        "exp_w{:0..9}<->{c}<_s{fov:d}><_t{t:d}>",
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
