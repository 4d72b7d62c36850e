"""Channel colours: the table of names, wavelengths and hex values that Squid users rely on."""

from __future__ import annotations

import pytest

from ndviewer_light.colours import (
    color_for_name,
    extract_wavelength,
    hex_to_colormap,
    wavelength_to_colormap,
)

NAMES = [
    ("BF LED matrix full", None, "gray"),
    ("BF_LED_matrix_full", None, "gray"),
    ("BF LED matrix low NA", None, "gray"),
    ("DF LED matrix", None, "gray"),
    ("Fluorescence 405 nm Ex", 405, "blue"),
    ("Fluorescence_405_nm_Ex", 405, "blue"),
    ("Fluorescence 470 nm Ex", 470, "green"),
    ("Fluorescence 488 nm Ex", 488, "green"),
    ("Fluorescence 545 nm Ex", 545, "yellow"),
    ("Fluorescence 561 nm Ex", 561, "yellow"),
    ("Fluorescence 638 nm Ex", 638, "red"),
    ("Fluorescence 640 nm Ex", 640, "red"),
    ("Fluorescence 730 nm Ex", 730, "magenta"),
    ("Fluorescence 735 nm Ex", 735, "magenta"),
    ("405nm", 405, "blue"),
    ("488 nm", 488, "green"),
    ("Ch0", None, "gray"),
    ("ch12", None, "gray"),
    ("CH405", None, "gray"),
    ("Channel 0", None, "gray"),
    ("DAPI", 405, "blue"),
    ("dapi", 405, "blue"),
    ("Hoechst 33342", 405, "blue"),
    ("GFP", 488, "green"),
    ("EGFP", 488, "green"),
    ("FITC", 488, "green"),
    ("Alexa488", 488, "green"),
    ("Alexa 488", 488, "green"),
    ("TRITC", 561, "yellow"),
    ("Cy3", 561, "yellow"),
    ("mCherry", 561, "yellow"),
    ("RFP", None, "gray"),
    ("Cy5", 640, "red"),
    ("Alexa647", 640, "red"),
    ("Cy7", 730, "magenta"),
    ("Cy7.5", 730, "magenta"),
    ("YFP", None, "gray"),
    ("mNeonGreen", None, "gray"),
    ("", None, "gray"),
    ("BF", None, "gray"),
    ("640", 640, "red"),
    ("chan 555", 555, "yellow"),
    ("DAPI 647", 405, "blue"),
    ("GFP_561", 488, "green"),
    ("1000", 1000, "magenta"),
    ("5000nm", 5000, "magenta"),
    ("450nm", 450, "gray"),
    ("515nm", 515, "gray"),
    ("530nm", 530, "gray"),
    ("600nm", 600, "gray"),
    ("610nm", 610, "gray"),
    ("680nm", 680, "gray"),
    ("700nm", 700, "magenta"),
    ("420nm", 420, "blue"),
    ("421nm", 421, "gray"),
    ("470nm", 470, "green"),
    ("510nm", 510, "green"),
    ("540nm", 540, "yellow"),
    ("590nm", 590, "yellow"),
    ("620nm", 620, "red"),
    ("660nm", 660, "red"),
    ("20x 488", 488, "green"),
    ("USB LED 0000", None, "gray"),
    ("Cy55", 640, "red"),
    ("405", 405, "blue"),
    ("A2023_488_x100", 100, "blue"),
    ("12nm", None, "gray"),
    ("12345nm", 2345, "magenta"),
]

WAVELENGTHS = {
    None: "gray",
    0: "gray",
    1: "blue",
    -5: "blue",
    350: "blue",
    405: "blue",
    420: "blue",
    421: "gray",
    450: "gray",
    469: "gray",
    470: "green",
    488: "green",
    510: "green",
    511: "gray",
    530: "gray",
    539: "gray",
    540: "yellow",
    561: "yellow",
    590: "yellow",
    591: "gray",
    610: "gray",
    619: "gray",
    620: "red",
    640: "red",
    660: "red",
    661: "gray",
    680: "gray",
    699: "gray",
    700: "magenta",
    730: "magenta",
    1000: "magenta",
}

HEX = {
    "#20ADF8": "cyan",
    "#1FFF00": "green",
    "#FFCF00": "yellow",
    "#FF0000": "red",
    "#770000": "red",
    "#3300FF": "blue",
    "#FFFFFF": "gray",
    "#000000": "gray",
    "#0000FF": "blue",
    "#00FF00": "green",
    "#FFFF00": "yellow",
    "#FF00FF": "magenta",
    "#00FFFF": "cyan",
    "#808080": "gray",
    "#FFA500": "yellow",
    "#0033CC": "blue",
    "#00CC00": "green",
    "#CC0000": "red",
    "#CCCC00": "yellow",
    "#CC00CC": "magenta",
    "#00CCCC": "cyan",
    "#A0A0A0": "gray",
    "#550000": "red",
    "#8B0000": "red",
    "#FF8000": "yellow",
    "#7FFF00": "green",
    "##0000FF": "blue",
    "0000ff": "blue",
    "#0000FFFF": "gray",
    "#12": "gray",
    "": "gray",
    "#GGGGGG": "gray",
    "not-hex": "gray",
    "#FFC0CB": "gray",
    "#FF7F00": "red",
    "#40E0D0": "cyan",
    "#4B0082": "gray",
    "#C0C0C0": "gray",
    "#400000": "red",
    "#404040": "gray",
    "#7F7F7F": "gray",
    "#FF6600": "red",
    None: "gray",
}


@pytest.mark.parametrize(("name", "wavelength", "colormap"), NAMES)
def test_a_channels_name_tells_its_wavelength_and_colormap(
    name: str, wavelength: int | None, colormap: str
) -> None:
    found = extract_wavelength(name)
    assert (found, wavelength_to_colormap(found)) == (wavelength, colormap)


@pytest.mark.parametrize(("wavelength", "colormap"), WAVELENGTHS.items())
def test_a_wavelength_tells_the_colormap(wavelength: int | None, colormap: str) -> None:
    assert wavelength_to_colormap(wavelength) == colormap


@pytest.mark.parametrize(("hex_color", "colormap"), HEX.items())
def test_a_hex_value_tells_the_nearest_colormap(hex_color: str | None, colormap: str) -> None:
    assert hex_to_colormap(hex_color) == colormap


@pytest.mark.parametrize("trick", ["0x00FF", "+0000F", "00_0FF", "٠٠٠٠٠٠", " 0000F"])
def test_what_int_would_accept_but_is_no_hex_colour_is_gray(trick: str) -> None:
    assert hex_to_colormap(trick) == "gray"


def test_no_name_at_all_has_no_wavelength() -> None:
    assert extract_wavelength(None) is None


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("BF LED matrix full", "#FFFFFF"),
        ("Fluorescence 405 nm Ex", "#0000FF"),
        ("GFP", "#00FF00"),
        ("Fluorescence 561 nm Ex", "#FFFF00"),
        ("Cy5", "#FF0000"),
        ("Fluorescence 730 nm Ex", "#FF00FF"),
    ],
)
def test_a_channel_known_by_name_only_gets_the_full_colour(name: str, color: str) -> None:
    assert color_for_name(name) == color
