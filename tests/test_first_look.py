"""How a dataset looks when it is opened: names, colours and visibility are those it was written with."""

from __future__ import annotations

import cmap
import numpy as np
import pytest
import zarr
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from runs import load
from screen import assert_shows, choose_in_menu, screen_pixels, settle
from stores import needs_zarr_3
from test_written_names import put_image, write_plate

from ndviewer_light.colours import CYCLE

pytestmark = [pytest.mark.gl, needs_zarr_3]

RAMP = np.arange(24, dtype="u2") * 10


def write_ramp(path, omero, n_c=1):
    """An image whose columns get brighter to the right, from 0 to 230."""
    group = zarr.create_group(path, zarr_format=2)
    put_image(group, n_c=n_c, omero=omero)
    group["0"][:] = np.broadcast_to(RAMP, (n_c, 16, 24))


def shown(viewer):
    return {c: viewer.stage.strips.is_channel_visible(c) for c in range(len(viewer.stage.strips))}


def test_channels_without_colours_are_told_apart_on_screen(qtbot, viewer, tmp_path):
    write_ramp(tmp_path / "i.zarr", None, n_c=3)
    zarr.open_group(tmp_path / "i.zarr", mode="r+")["0"][1] = np.broadcast_to(RAMP[::-1], (16, 24))
    load(qtbot, viewer, tmp_path / "i.zarr")
    settle(qtbot, viewer)
    strips = viewer.stage.strips
    assert [strips.color_of(c) for c in range(3)] == list(CYCLE[:3])
    pixels = [viewer.dataset.plane(c=c) for c in range(3)]
    assert_shows(viewer, {f"Ch{c}": pixels[c] for c in range(3)})
    assert not (screen_pixels(viewer) > 250).all(axis=-1).all()  # not white all over


def test_a_channel_that_is_off_in_the_file_is_off_until_somebody_wants_it(qtbot, viewer, tmp_path):
    channels = [{"label": 0}, {"label": "hidden", "active": False, "color": "00FF00"}]
    write_ramp(tmp_path / "i.zarr", {"channels": channels}, n_c=2)
    load(qtbot, viewer, tmp_path / "i.zarr")
    assert list(settle(qtbot, viewer).planes) == [0]
    assert shown(viewer) == {0: True, 1: False}
    assert viewer.stage.strips.strip(0).name.text() == "0"
    assert_shows(viewer, {"0": viewer.dataset.plane(c="0")})
    assert viewer.set_current_index("channel", 1)  # the host's choice
    assert sorted(settle(qtbot, viewer).planes) == [0, 1]
    assert shown(viewer) == {0: True, 1: True}
    viewer.stage.strips.strip(0).on.click()  # the user's
    settle(qtbot, viewer)
    assert_shows(viewer, {"hidden": viewer.dataset.plane(c="hidden")})


def test_an_inverted_channel_is_bright_where_values_are_low(qtbot, viewer, tmp_path):
    omero = {"channels": [{"color": "FF8000", "inverted": True, "window": {"start": 0, "end": 230}}]}
    write_ramp(tmp_path / "i.zarr", omero)
    load(qtbot, viewer, tmp_path / "i.zarr")
    settle(qtbot, viewer)
    row = screen_pixels(viewer)[8].astype(int)
    assert np.abs(row[0] - (255, 128, 0)).max() <= 3
    assert np.abs(row[-1]).max() <= 3
    assert (np.diff(row[:, 0]) <= 0).all()
    choose_in_menu(viewer.stage.strips.strip(0).dot, "Cyan")  # still inverted in another colour
    qtbot.waitUntil(lambda: np.abs(screen_pixels(viewer)[8, 0].astype(int) - (0, 255, 255)).max() <= 3)
    choose_in_menu(viewer.stage.strips.strip(0).dot, "Inverted")
    qtbot.waitUntil(lambda: np.abs(screen_pixels(viewer)[8, -1].astype(int) - (0, 255, 255)).max() <= 3)
    choose_in_menu(viewer.stage.strips.strip(0).dot, "Viridis")
    yellow = (253, 231, 37)
    qtbot.waitUntil(lambda: np.abs(screen_pixels(viewer)[8, -1].astype(int) - yellow).max() <= 6)
    qtbot.keyClick(viewer, Qt.Key.Key_1)  # alone anyway
    assert shown(viewer) == {0: True}


def test_what_is_missing_of_an_inverted_channel_is_not_bright(qtbot, viewer, tmp_path):
    channels = [{"color": "FF0000"}, {"color": "00FF00", "inverted": True}]
    write_ramp(tmp_path / "i.zarr", {"channels": channels}, n_c=2)
    chunk = next(file for file in (tmp_path / "i.zarr" / "0").rglob("*") if file.name.startswith("1.0"))
    kept = chunk.read_bytes()
    chunk.write_bytes(b"damaged")
    load(qtbot, viewer, tmp_path / "i.zarr")
    frame = settle(qtbot, viewer)
    assert frame.planes[1].pixels is None
    assert (screen_pixels(viewer)[..., 1] <= 3).all()
    chunk.write_bytes(kept)  # and it is drawn as soon as it can be read
    qtbot.waitUntil(lambda: (screen_pixels(viewer)[8, 0] > (-1, 250, -1)).all(), timeout=20_000)


@pytest.mark.parametrize(
    ("lut", "expected"),
    [
        ("viridis", cmap.Colormap("bids:viridis")),
        ("fire.lut", cmap.Colormap("imagej:fire")),
        ("Red.lut", cmap.Colormap(["#000000", "#FF0000"])),
        ("no such table", cmap.Colormap(["#000000", "#00FF00"])),
        ("jet", cmap.Colormap(["#000000", "#00FF00"])),  # of unknown licence
        ("../x", cmap.Colormap(["#000000", "#00FF00"])),
    ],
)
def test_lookup_tables_by_name(qtbot, viewer, tmp_path, lut, expected):
    omero = {"channels": [{"color": "00FF00", "lut": lut, "window": {"start": 0, "end": 230}}]}
    write_ramp(tmp_path / "i.zarr", omero)
    load(qtbot, viewer, tmp_path / "i.zarr")
    settle(qtbot, viewer)
    row = screen_pixels(viewer)[8].astype(int)
    wanted = np.array([expected(column / 23).rgba8[:3] for column in range(24)])
    assert np.abs(row - wanted).max() <= 6


@pytest.mark.parametrize("color", ["#00FF00", "#FF00FF"])
def test_a_colour_chosen_instead_of_a_lookup_table_stays(qtbot, viewer, tmp_path, color):
    """Also the one that the channel has itself, which its lookup table hid."""
    group = zarr.create_group(tmp_path / "c.zarr", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for i, label in enumerate(("A", "B")):
        omero = {"channels": [{"label": label, "color": "00FF00", "lut": "fire.lut"}]}
        omero["channels"][0]["window"] = {"start": 0, "end": 230}
        write_ramp(tmp_path / f"c.zarr/{i}", omero)
    load(qtbot, viewer, tmp_path / "c.zarr")
    settle(qtbot, viewer)
    viewer.stage.strips.strip(0)._on_color_chosen(QColor(color))
    settle(qtbot, viewer)
    wanted = np.array([cmap.Colormap(["#000000", color])(column / 23).rgba8[:3] for column in range(24)])
    viewer.load_fov(1)  # another channel: the canvas is built anew
    qtbot.waitUntil(lambda: len(viewer.stage.strips) == 2)
    settle(qtbot, viewer)
    fire = np.array([cmap.Colormap("imagej:fire")(column / 23).rgba8[:3] for column in range(24)])
    assert np.abs(screen_pixels(viewer)[8].astype(int) - fire).max() <= 6
    viewer.load_fov(0)
    settle(qtbot, viewer)
    assert np.abs(screen_pixels(viewer)[8].astype(int) - wanted).max() <= 6


def test_the_acquisition_is_shown_beside_the_position(qtbot, viewer, tmp_path):
    defined = [{"id": 0, "name": "before drug"}, {"id": 1, "name": "after drug"}]
    write_plate(tmp_path / "p.zarr", {"A/1": [("0", 0), ("1", 1)]}, defined)
    load(qtbot, viewer, tmp_path / "p.zarr")
    settle(qtbot, viewer)
    assert viewer.stage.overlay.position() == "A1:0  ·  before drug"
    viewer.load_fov(1)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.position() == "A1:1  ·  after drug"
    assert viewer.stage.sliders.value_text("p") == "A1:1  ·  after drug   2 fields"


def test_positions_are_shown_by_the_name_they_are_written_under(qtbot, viewer, tmp_path):
    write_plate(tmp_path / "p.zarr", {"A/1": [("pos3", None), ("001007", None)], "A/2": [("0", None)]})
    load(qtbot, viewer, tmp_path / "p.zarr")
    settle(qtbot, viewer)
    assert viewer.stage.sliders.value_text("p") == "A1:001007   3 fields"
    viewer.load_fov(1)
    settle(qtbot, viewer)
    assert viewer.stage.sliders.value_text("p") == "A1:pos3   3 fields"
    assert viewer.stage.overlay.position() == "A1:pos3"
    assert viewer.go_to_well_fov("A2", 0)  # hosts go by region and number
    settle(qtbot, viewer)
    assert viewer.stage.overlay.position() == "A2:0"
    assert viewer.get_fov_list()[1] == {"region": "A1", "fov": 1}


def test_a_placeholder_is_not_shown_as_the_name_of_the_only_image(qtbot, viewer, tmp_path):
    write_ramp(tmp_path / "i.zarr", {"channels": [{"label": "GFP"}]})
    load(qtbot, viewer, tmp_path / "i.zarr")
    settle(qtbot, viewer)
    assert viewer.stage.overlay.position() == ""
    zarr.create_group(tmp_path / "c.zarr", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for i in range(2):
        write_ramp(tmp_path / f"c.zarr/{i}", {"channels": [{"label": "GFP"}]})
    load(qtbot, viewer, tmp_path / "c.zarr")
    settle(qtbot, viewer)
    assert viewer.stage.overlay.position() == viewer.dataset.info.positions[0].title
