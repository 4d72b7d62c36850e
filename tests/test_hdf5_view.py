"""HDF5 and NWB files in the widget: upright, in colour, the datasets of a file to choose from."""

from __future__ import annotations

import os

import h5py
import pytest
import stores
from hdf5_dialects import write_bigdataviewer
from hdf5_files import GZIP, volume, write, write_nwb
from runs import load
from screen import assert_shows, settle

pytestmark = pytest.mark.gl


def test_series_are_shown_upright_as_positions(qtbot, viewer, tmp_path):
    movie, other = volume((3, 40, 24)), volume((2, 30, 20), seed=1)
    path = write_nwb(
        tmp_path / "a.nwb", Movie={"data": movie, "rate": 0.1}, Other={"data": other, "rate": 1.0}
    )
    load(qtbot, viewer, path)
    viewer.load_fov(0, t=2)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state() == ("none", "")
    assert_shows(viewer, {"Movie": movie[2].T})
    assert viewer.stage.sliders.value_text("t") == "3 / 3   00:00:20"
    viewer.load_fov(1, t=1)
    settle(qtbot, viewer)
    assert_shows(viewer, {"Other": other[1].T})
    assert not viewer._screen.choices.isVisible()


def test_another_dataset_can_be_chosen(qtbot, viewer, tmp_path):
    movie, other = volume((3, 40, 24)), volume((2, 30, 20), seed=1)
    with h5py.File(write(tmp_path / "a.h5", movie, "movie"), "a") as file:
        file["other"] = other
    load(qtbot, viewer, tmp_path / "a.h5")
    settle(qtbot, viewer)
    assert [viewer._screen.choices.itemText(i) for i in range(2)] == ["/movie", "/other"]
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer._screen.choices.activated.emit(1)
    settle(qtbot, viewer)
    assert_shows(viewer, {"Ch0": other[0]})
    choices = viewer._screen.choices
    assert choices.isVisible() and choices.currentText() == "/other"
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        choices.activated.emit(0)  # and back
    settle(qtbot, viewer)
    assert_shows(viewer, {"Ch0": movie[0]})
    write(tmp_path / "b.h5", volume((4, 6)))
    load(qtbot, viewer, tmp_path / "b.h5")
    assert not choices.isVisible()


def test_colour_pixels_are_three_channels(qtbot, viewer, tmp_path):
    data = volume((24, 40, 3), "u1")
    load(qtbot, viewer, write(tmp_path / "a.h5", data, chunks=(16, 16, 3), **GZIP))
    settle(qtbot, viewer)
    assert [viewer.stage.strips.color_of(c) for c in range(3)] == ["#FF0000", "#00FF00", "#0000FF"]
    assert_shows(viewer, {name: data[..., i] for i, name in enumerate(("red", "green", "blue"))})


def test_planes_of_a_stack_that_are_not_stored_are_said_to_be_fill_value(qtbot, viewer, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", (4, 40, 40), "u2", chunks=(1, 16, 16))
        data[:2] = volume((2, 40, 40))
    stores.make_old(tmp_path, 120)  # planes of a file that was just written may still come
    load(qtbot, viewer, tmp_path / "a.h5")
    viewer.load_fov(0, z=3)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "filled"
    viewer.load_fov(0, z=1)
    settle(qtbot, viewer)
    assert_shows(viewer, {"Ch0": volume((2, 40, 40))[1]})


def test_what_cannot_be_shown_says_why(qtbot, viewer, tmp_path):
    path = write(tmp_path / "a.h5")
    os.truncate(path, path.stat().st_size // 2)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(str(path))
    assert "truncated" in failed.args[1]
    write_nwb(tmp_path / "b.nwb", V={"external": ["cam.avi"], "type": "ImageSeries", "rate": 1.0})
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(str(tmp_path / "b.nwb"))
    assert "cam.avi" in failed.args[1]


def test_setups_of_bigdataviewer_are_positions_and_channels(qtbot, viewer, tmp_path):
    stacks = {
        (tile, channel): volume((1, 2, 40, 30 + 2 * tile), seed=10 * tile + channel)
        for tile in range(2)
        for channel in range(2 - tile)
    }
    path = write_bigdataviewer(tmp_path / "a.h5", stacks)
    load(qtbot, viewer, path.with_suffix(".xml"))
    settle(qtbot, viewer)
    assert_shows(viewer, {"dye 0": stacks[0, 0][0, 0], "dye 1": stacks[0, 1][0, 0]})
    viewer.load_fov(1, z=1)
    settle(qtbot, viewer)
    assert_shows(viewer, {"dye 0": stacks[1, 0][0, 1]})
