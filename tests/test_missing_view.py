"""What is on screen where nothing is stored: the fill value with a note, or a picture that lacks planes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tiffs
import zarr
from runs import load
from screen import assert_shows, framebuffer, settle

from ndviewer_light.model import PlaneState

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.gui.viewer import LightweightViewer

pytestmark = [pytest.mark.gl, stores.needs_zarr_3]

NAMES = ("DAPI", "GFP")
HATCH = (58, 58, 60)


def picture(c: int, z: int) -> np.ndarray:
    y, x = np.indices((24, 40))
    return (100 + (y * 7 + x * 3 + 31 * c + 11 * z) % 400).astype("u2")


def write(
    path: Path,
    *,
    fill: int = 0,
    blank: tuple[tuple[int, int], ...] = (),
    n_t: int = 1,
    complete: bool | None = None,
) -> np.ndarray:
    """An image (T, C, Z, Y, X) by zarr-python; (c, z) of `blank` are all fill value, and so left out."""
    pixels = np.stack([[[picture(c, z) for z in range(8)] for c in range(2)]] * n_t)
    for c, z in blank:
        pixels[:, c, z] = fill
    axes = "tczyx"
    multiscale = {
        "axes": [{"name": axis} for axis in axes],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1] * 5}]}],
    }
    ome = {
        "version": "0.5",
        "multiscales": [multiscale],
        "omero": {"channels": [{"label": n} for n in NAMES]},
    }
    squid = {} if complete is None else {"_squid": {"acquisition_complete": complete}}
    group = zarr.create_group(path, attributes={"ome": ome, **squid})
    group.create_array("0", data=pixels, chunks=(1, 1, 1, 24, 40), fill_value=fill)
    stores.make_old(path)  # what was written just now may not be whole
    return pixels


def show_volume(qtbot, viewer: LightweightViewer) -> None:
    viewer.stage.strips.set_3d(True)
    viewer.stage._on_mode_changed(True)
    settle(qtbot, viewer)


def is_hatched(viewer: LightweightViewer) -> bool:
    return viewer.stage.overlay.state()[0] in ("absent", "waiting", "error")


@pytest.mark.parametrize("fill", [0, 7])
def test_one_blank_slice_of_a_finished_stack_hides_no_volume(qtbot, viewer, tmp_path, fill):
    write(tmp_path / "a.zarr", fill=fill, blank=((1, 7),))
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    show_volume(qtbot, viewer)
    assert viewer.stage.overlay.state() == (
        "filled",
        f"GFP: 1 of 8 planes: nothing stored, shown as the fill value {fill}",
    )
    frame = viewer.stage.canvas.frame
    assert frame.counts[0] == {PlaneState.PRESENT: 8}
    assert frame.counts[1] == {PlaneState.PRESENT: 7, PlaneState.FILLED: 1}
    assert framebuffer(viewer).max() > 60, "the volume is drawn"
    assert viewer.stage.strips.state_text(1).startswith("1 of 8 planes")
    assert not viewer.stage.strips.state_text(0)


@pytest.mark.each_binding
def test_of_an_unfinished_stack_what_is_there_is_drawn_and_the_rest_is_said(qtbot, viewer, tmp_path):
    write(tmp_path / "a.zarr", blank=((0, 6), (0, 7), (1, 7)), complete=False)
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    show_volume(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "partial"
    assert text.splitlines() == [
        "DAPI: 2 of 8 planes: nothing stored (empty or not acquired)",
        "GFP: 1 of 8 planes: nothing stored (empty or not acquired)",
    ]
    assert framebuffer(viewer).max() > 60
    assert set(viewer.stage.canvas.frame.contrasts) == {0, 1}


def test_a_volume_of_which_a_plane_is_damaged_as_well(qtbot, viewer, tmp_path):
    write(tmp_path / "a.zarr", blank=((1, 7),), complete=False)
    (tmp_path / "a.zarr/0/c/0/1/3/0/0").write_bytes(b"damaged")
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    show_volume(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "partial"
    assert text.splitlines() == [
        "GFP: 1 of 8 planes: nothing stored",
        "GFP: 1 of 8 planes: could not be read",
    ]


def test_a_volume_of_which_nothing_is_stored_is_hatched(qtbot, viewer, tmp_path):
    write(tmp_path / "a.zarr", n_t=2)
    shutil.rmtree(tmp_path / "a.zarr/0/c/1")
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    show_volume(qtbot, viewer)
    assert not is_hatched(viewer)
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "absent"


@pytest.mark.parametrize("fill", [0, 777])
def test_a_blank_plane_of_a_finished_dataset_is_shown_with_a_note(qtbot, viewer, tmp_path, fill):
    pixels = write(tmp_path / "a.zarr", fill=fill, blank=((0, 3), (1, 3), (1, 4)))
    load(qtbot, viewer, tmp_path / "a.zarr")
    for z, kind, said in (
        (3, "filled", f"Nothing stored, shown as the fill value {fill}"),
        (4, "filled", f"GFP: nothing stored, shown as the fill value {fill}"),
        (5, "none", ""),
    ):
        viewer.set_current_index("z", z)
        settle(qtbot, viewer)
        assert viewer.stage.overlay.state() == (kind, said)
        assert_shows(viewer, {name: pixels[0, c, z] for c, name in enumerate(NAMES)})


def test_of_a_plane_that_is_stored_in_part_it_is_said_how_much_is(qtbot, viewer, tmp_path):
    array = stores.create_array(tmp_path / "a.zarr", (1, 2, 1, 24, 40), chunk=(1, 1, 1, 12, 20))
    pixels = np.stack([picture(c, 0) for c in range(2)]).astype(array.dtype.numpy_dtype)
    array[0, 0, 0].write(pixels[0]).result()
    array[0, 1, 0, :12].write(pixels[1, :12]).result()
    stores.make_old(tmp_path / "a.zarr")
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    name, said = (
        viewer.dataset.info.channels[1].name,
        "2 of 4 chunks stored, the rest is shown as the fill value",
    )
    assert viewer.stage.overlay.state() == ("filled", f"{name}: {said}")
    assert [viewer.stage.strips.state_text(c) for c in range(2)] == ["", said]
    pixels[1, 12:] = 0
    assert_shows(viewer, {channel.name: pixels[c] for c, channel in enumerate(viewer.dataset.info.channels)})


def test_the_note_is_a_badge_and_hides_nothing(qtbot, viewer, tmp_path):
    write(tmp_path / "a.zarr", blank=((1, 0),))
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    overlay = viewer.stage.overlay
    assert overlay.shows_badge()
    grabbed = overlay.grab().toImage()
    centre = grabbed.pixelColor(grabbed.width() // 2, grabbed.height() // 2)
    assert (centre.red(), centre.green(), centre.blue()) != HATCH


def test_time_points_that_were_never_acquired_are_hatched(qtbot, viewer, tmp_path):
    write(tmp_path / "a.zarr", n_t=3)
    shutil.rmtree(tmp_path / "a.zarr/0/c/2")
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    viewer.set_current_index("t", 2)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state() == ("absent", "Nothing stored (empty or not acquired)")
    metadata = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    metadata["attributes"]["_squid"] = {"acquisition_complete": True}
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(metadata))
    viewer.refresh()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "filled", timeout=20_000)


def test_a_volume_says_that_a_plane_of_another_size_is_not_in_it(qtbot, viewer, tmp_path):
    run = tiffs.write_images(tmp_path / "run", {"A1": 1})
    tiffs.write_image(tiffs.image_path(run, 0, "A1", 0, 1, tiffs.CHANNELS[1]), stores.plane(shape=(30, 50)))
    viewer.load_dataset(str(run))
    qtbot.waitUntil(lambda: viewer.stage is not None, timeout=20_000)
    settle(qtbot, viewer)
    show_volume(qtbot, viewer)
    qtbot.waitUntil(lambda: "1 of 2 planes" in viewer.stage.strips.state_text(1), timeout=20_000)
    assert viewer.stage.strips.state_text(0) == ""
