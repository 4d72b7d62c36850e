"""The files Squid puts beside its images, whole, broken and absurd."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from ndviewer_light.metadata import squid
from ndviewer_light.model import place_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("Fluorescence 488 nm Ex", "Fluorescence_488_nm_Ex"),
        ("a  \t b", "a_b"),
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("a / b", "a_b"),
        (" a ", "_a_"),
        ("A_1-2.3", "A_1-2.3"),
    ],
)
def test_names_in_file_names(name: str, spelt: str) -> None:
    assert squid.sanitised(name) == spelt


# ---- parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "seconds"), [(2.5, 2.5), (0, None), (-1, None), ("x", None), (None, None)])
def test_time_step(tmp_path: Path, said: object, seconds: float | None) -> None:
    (tmp_path / "acquisition parameters.json").write_text(json.dumps({"dt(s)": said, "dz(um)": 1}))
    found = squid.acquisition_parameters(tmp_path)
    assert found[:3] == (None, 1.0, seconds)
    assert found.fault.endswith("json: 'dt(s)' is 'x' where a number is expected") == (said == "x")
    assert bool(found.fault) == (said == "x")


BROKEN_JSON = {
    "empty": (b"", "is empty: not written yet, or not copied completely"),
    "cut": (b'{"dz(um)": 1.5, "Nz"', "is not valid JSON: it is truncated after 20 bytes"),
    "wrong": (b'{"dz(um)": 1.5; "Nz": 2}', "is not valid JSON at line 1, column 15 (byte 14)"),
    "list": (b"[1, 2]", "contains a list where an object is expected: {\u2026}"),
    "latin": ('{"dz(µm)": 1}'.encode("latin-1"), "is not UTF-8 text at byte 5"),
    "large": (b" " * (squid.MAX_PARAMETERS_BYTES + 1), "acquisition parameters may have at most"),
    "zeros": (bytes(300), "it begins with zeros"),
}


@pytest.mark.parametrize("kind", BROKEN_JSON)
def test_of_parameters_that_cannot_be_read_it_is_said_why(tmp_path: Path, kind: str) -> None:
    written, why = BROKEN_JSON[kind]
    path = tmp_path / "acquisition parameters.json"
    path.write_bytes(written)
    found = squid.acquisition_parameters(tmp_path)
    assert found == squid.Parameters(fault=found.fault)
    assert found.fault.startswith(f"{path} ") and why in found.fault
    (warning,) = found.warnings(["pixel size", "z step", "objective"])
    assert warning == f"{found.fault}. Pixel size, z step and objective are unknown"
    place = place_of(warning)
    assert place is not None and place.file == str(path)
    (tmp_path / "acquisition_parameters.json").write_text('{"dz(um)": 2}')
    assert squid.acquisition_parameters(tmp_path).z_step_um == 2


def test_values_of_other_types_are_said_each(tmp_path: Path) -> None:
    said = {"dz(um)": [1], "Nz": "two", "dt(s)": None, "objective": {"magnification": "20x", "NA": 0.8}}
    (tmp_path / "acquisition parameters.json").write_text(json.dumps(said))
    found = squid.acquisition_parameters(tmp_path)
    assert found.objective == "0.8 NA"
    assert found.fault.endswith(
        "'dz(um)' is [1] where a number is expected; 'Nz' is 'two' where a number is expected; "
        "'magnification' is '20x' where a number is expected"
    )


def test_without_parameters_nothing_is_known(tmp_path: Path) -> None:
    assert squid.acquisition_parameters(tmp_path) == squid.Parameters()


# ---- channels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("version: 1\nchannels:\n- {name: BF, x: 1}\n- {name: GFP}\n", ("BF", "GFP")),
        ("- name: BF\n- name: GFP\n- name: BF\n", ("BF", "GFP")),
        ("a: {b: {c: [{name: deep}]}}\nd: [{name: near}]\n", ("near",)),
        ("channels: [{name: BF}, {other: 1}]\n", ()),
        ("channels: [{name: 1}]\n", ()),
        ("channels: []\n", ()),
        ("", ()),
        ("just text", ()),
        ("channels: [{name: BF}", ()),
        ("!!python/object/apply:os.getcwd []", ()),
        ("\x00\x01", ()),
        ("[" * 5000, ()),
    ],
)
def test_channel_names(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    (tmp_path / "acquisition_channels.yaml").write_text(text)
    found = squid.channel_names(tmp_path)
    assert found.names == names
    assert found.fault.startswith(f"{tmp_path / 'acquisition_channels.yaml'} ") == (not names)
    assert found.fault.endswith(". Channels are named and ordered as in the images") == (not names)


def test_aliases_that_multiply_are_followed_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 2]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 60)]
    (tmp_path / "acquisition_channels.yaml").write_text("\n".join(lines))
    assert squid.channel_names(tmp_path).names == ()


def test_files_that_are_too_large_or_no_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "acquisition_channels.yaml"
    path.write_text("channels: [{name: BF}]\n#" + "x" * squid.MAX_CHANNELS_BYTES)
    found = squid.channel_names(tmp_path)
    assert found.names == () and "a list of channels may have at most" in found.fault
    path.write_bytes("channels: [{name: µm}]".encode("latin-1"))
    assert "is not UTF-8 text at byte 18" in squid.channel_names(tmp_path).fault
    path.unlink()
    assert squid.channel_names(tmp_path) == squid.ChannelNames()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert "is not a regular file but a pipe" in squid.channel_names(tmp_path).fault


# ---- coordinates -----------------------------------------------------------------------------


def test_planned_coordinates_count_the_fields_of_each_region(tmp_path: Path) -> None:
    (tmp_path / "coordinates.csv").write_text(
        "region,x (mm),y (mm),z (mm)\nB2,1,2,3\nA1,4,5,\nB2,6,7,0.5\n\nmy_region,-1.5,nan,x\n"
    )
    found = squid.coordinates(tmp_path)
    assert found.warning == ""
    assert found.by_fov == {
        ("B2", 0): (1000, 2000, 3000),
        ("A1", 0): (4000, 5000, None),
        ("B2", 1): (6000, 7000, 500),
        ("my_region", 0): (-1500, None, None),
    }


def test_reached_coordinates_name_their_fields(tmp_path: Path) -> None:
    (tmp_path / "coordinates.csv").write_text(
        "region,fov,z_level,x (mm),y (mm),z (um),time\nA1,3,0,1,2,30,t\nA1,3,1,1,2,31,t\nA1,1,0,5,6,7,t\n"
    )
    assert squid.coordinates(tmp_path).by_fov == {("A1", 3): (1000, 2000, 30), ("A1", 1): (5000, 6000, 7)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x (mm),y (mm)\n1,2\n",
        "region,x (mm)\nA1\n",
        "region,fov,x (mm)\nA1,first,2\n",
        "region\n" + '"' + "x" * 200_000,
        "\x00",
    ],
)
def test_broken_coordinates_are_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "coordinates.csv").write_text(text)
    found = squid.coordinates(tmp_path)
    assert found.by_fov == {}
    assert "coordinates.csv is ignored" in found.warning


def test_without_coordinates_there_is_no_warning(tmp_path: Path) -> None:
    assert squid.coordinates(tmp_path) == squid.Coordinates({})


def test_done(tmp_path: Path) -> None:
    assert not squid.is_done(tmp_path)
    (tmp_path / ".done").touch()
    assert squid.is_done(tmp_path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"magnification": 20, "NA": 0.8, "name": "20x"}, "20× / 0.8 NA"),
        ({"magnification": "4"}, "4×"),
        ({"NA": 1.4, "magnification": float("nan")}, "1.4 NA"),
        ({"magnification": [20]}, ""),
        ("20x", ""),
    ],
)
def test_the_objective_is_said_as_its_field_writes_it(tmp_path, written, said):
    (tmp_path / "acquisition parameters.json").write_text(json.dumps({"objective": written}))
    assert squid.acquisition_parameters(tmp_path).objective == said
