"""Which colour a channel gets: what the file says, what its name or wavelength means, else one of its own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ndviewer_light.colours import CYCLE, channel_colors, known_color
from ndviewer_light.model import AnnouncedRun, Channel, Position, announced_info, channel_parts, colored

WHITE, BLUE, GREEN = "#FFFFFF", "#0000FF", "#00FF00"


def test_one_channel_is_white_several_differ() -> None:
    assert channel_colors(["Ch0"]) == (WHITE,)
    assert channel_colors(["Ch0", "Ch1"]) == ("#FF00FF", "#00FF00")
    assert channel_colors(["Ch0", "Ch1", "Ch2"]) == ("#FF00FF", "#00FF00", "#00FFFF")
    assert channel_colors(["a", "a"]) == ("#FF00FF", "#00FF00")  # named twice


def test_any_number_of_channels_is_told_apart() -> None:
    found = channel_colors([f"Ch{i}" for i in range(300)])
    assert len(set(found)) == 300
    assert all(len(color) == 7 and int(color[1:], 16) >= 0 for color in found)
    assert WHITE not in found


def test_what_is_known_stays_and_is_not_given_to_another() -> None:
    names = ["x", "GFP", "BF LED matrix full", "y", "Fluorescence 405 nm Ex"]
    found = channel_colors(names)
    assert (found[1], found[2], found[4]) == (GREEN, WHITE, BLUE)
    assert (found[0], found[3]) == ("#FF00FF", "#00FFFF")  # green is taken
    assert channel_colors(["x", "y"], ["", "#FA00FA"]) == ("#00FF00", "#FA00FA")  # nearly magenta
    assert channel_colors(["GFP", "y"], ["#123456"])[0] == "#123456"  # the file comes before the name


def test_a_channel_that_is_called_by_a_colour_has_it() -> None:
    assert channel_colors(["Red", "Green", "Blue"]) == ("#FF0000", GREEN, BLUE)
    # the Human Protein Atlas
    assert channel_colors(["blue", "green", "red", "yellow"]) == (BLUE, GREEN, "#FF0000", "#FFFF00")
    assert known_color("infrared") is None


def test_black_is_no_colour_to_draw_in() -> None:
    assert channel_colors(["GFP", "a", "b"], ["#000000", "#000000", "#000001"]) == (
        channel_colors(["GFP", "a", "b"])
    )
    assert channel_colors(["a"], ["#000000"]) == (WHITE,)
    assert channel_colors(["a", "b"], ["#000050", "#002000"]) == ("#000050", "#002000")


@pytest.mark.parametrize(
    ("name", "excitation", "emission", "color"),
    [
        ("GCaMP6f", 920, 525, GREEN),  # of two photons
        ("jRGECO1a", 1040, 610, "#FF0000"),
        ("GCaMP6f", 920, None, "#FF00FF"),
        ("probe", 488, None, GREEN),
        ("probe", 445, 460, BLUE),
        ("probe", None, 461, BLUE),
        ("probe", None, 509, GREEN),
        ("probe", None, 670, "#FF0000"),
        ("probe", None, 780, "#FF00FF"),
        ("probe", None, 200, None),
        ("probe", None, None, None),
        ("DIC", None, None, WHITE),
        ("BF", None, None, WHITE),
        ("Bright field", None, None, WHITE),
        ("transmitted", None, None, WHITE),
        ("USB LED 0000", None, None, WHITE),
        ("BFP", None, None, None),
        ("tdTomato", None, None, None),
        ("Default", None, None, None),
        ("labelled", None, None, None),
    ],
)
def test_names_and_wavelengths_stand_for_colours(
    name: str, excitation: float | None, emission: float | None, color: str | None
) -> None:
    assert known_color(name, excitation, emission) == color


def test_a_name_has_one_colour_in_all_images() -> None:
    first = colored([Channel("X", ""), Channel("Y", "")])
    second = colored([Channel("Y", ""), Channel("Z", "")], first)
    assert [channel.color for channel in first] == ["#FF00FF", "#00FF00"]
    assert [channel.color for channel in second] == ["#00FF00", "#00FFFF"]
    twice = colored([Channel("Y", ""), Channel("Y", "")], first)
    assert [channel.color for channel in twice] == ["#00FF00", "#00FFFF"]
    assert colored([Channel("X", "#ABCDEF")], first)[0].color == "#FF00FF"


def test_the_names_a_host_announces_are_coloured_by_the_same_rule() -> None:
    names = ("BF LED matrix full", "Fluorescence 488 nm Ex", "A", "B", "BF RGB")
    run = AnnouncedRun((Position("A1", 0),), (), (), names, 1, 8, 8)
    info = announced_info(run)
    assert [channel.name for channel in info.channels[4:]] == ["BF RGB (R)", "BF RGB (G)", "BF RGB (B)"]
    assert [channel.color for channel in info.channels] == [
        *(WHITE, GREEN, "#FF00FF", "#00FFFF", "#FF0000", "#00FF00", "#0000FF")
    ]
    assert len(channel_parts(names)) == 7


# ---- the cycle -----------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1: what linear RGB becomes
_SEEN_WITH = {
    "normal vision": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _lab(color: str, seen_with: np.ndarray) -> np.ndarray:
    rgb = np.frombuffer(bytes.fromhex(color[1:]), np.uint8) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = _XYZ @ np.clip(seen_with @ linear, 0, 1) / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", _SEEN_WITH)
def test_the_first_colours_of_the_cycle_are_told_apart_with_any_red_green_vision(vision: str) -> None:
    seen = {color: _lab(color, _SEEN_WITH[vision]) for color in CYCLE[:5]}
    distances = {pair: math.dist(seen[pair[0]], seen[pair[1]]) for pair in itertools.combinations(seen, 2)}
    assert min(distances.values()) > 20, min(distances, key=distances.__getitem__)  # 2.3 is just noticeable
    assert all(lab[0] > 30 for lab in seen.values())  # bright enough on black
