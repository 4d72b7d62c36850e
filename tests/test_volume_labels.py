"""The surfaces of labels in pictures and films of volumes: as geometry says, and as the window shows them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, drag, framebuffer, settle
from stores import needs_zarr_3
from test_volume_films import ask, frames_in, middle, rendered, save

from ndviewer_light.rendering.label_picture import LabelStyle
from ndviewer_light.rendering.label_surfaces import LabelBlock, surface_of
from ndviewer_light.rendering.surface_picture import surface_seen
from ndviewer_light.rendering.volume_rays import VolumeSight

SPANS = (2.0, 0.5, 0.5)
SHAPE = (8, 24, 32)


def write_labelled_stacks(path, *, n_t=1):
    """Stacks in which label 1 is a box that moves with time, over an image that is dark everywhere."""
    from label_images import write_labels

    labels = np.zeros((n_t, 1, *SHAPE), np.uint32)
    for t in range(n_t):
        labels[t, 0, 2:6, 4:12, 4 + 6 * t : 12 + 6 * t] = 1
    write_labels(path, np.full(labels.shape, 20, np.uint16), labels, SPANS)
    return path


def orange(picture):
    """Where the colour of label 1 is, in any shade of a face."""
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (r > 100) & (r - b > 80) & (g < 0.7 * r)


# ---- the arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tilt", "turn"), [(0, 0), (35, 0), (0, 50), (-40, 130), (70, 220)])
def test_the_nearest_label_is_seen_in_each_pixel_from_any_side(tilt, turn):
    labels = np.zeros((5, 9, 11), np.uint8)
    labels[1:3, 2:6, 1:5], labels[3:5, 5:8, 4:10] = 1, 2
    voxel_um = np.array([0.6, 0.5, 1.7])  # x, y, z
    colours = {1: (200, 0, 0, 255), 2: (0, 0, 200, 255)}
    surface = surface_of(LabelBlock(labels, (0, 0, 0), (1, 1, 1)), colours, 1)
    assert surface is not None
    size_um = voxel_um * labels.shape[::-1]
    off = 0.013, 0.017  # no ray lies in a face
    sight, um_per_px, edge = VolumeSight(off_middle=off).tilted(tilt).turned(turn), 0.2, 60
    picture = surface_seen(surface, sight, tuple(voxel_um), tuple(size_um / 2), (edge, edge), um_per_px)
    # a ray through the middle of each pixel, in small steps
    middles = (np.arange(edge) + 0.5 - edge / 2) * um_per_px
    down, right, along = np.meshgrid(
        middles - off[1], middles - off[0], np.arange(-9, 9, 0.02), indexing="ij"
    )
    rays = [
        right * r + down * d + along * i + edge_um / 2
        for r, d, i, edge_um in zip(sight.right, sight.down, sight.into, size_um, strict=True)
    ]
    at = [np.floor(place / span).astype(int) for place, span in zip(rays, voxel_um, strict=True)][::-1]
    inside = np.all([(i >= 0) & (i < n) for i, n in zip(at, labels.shape, strict=True)], axis=0)
    found = labels[tuple(np.clip(i, 0, n - 1) for i, n in zip(at, labels.shape, strict=True))] * inside
    first = np.take_along_axis(found, (found > 0).argmax(axis=-1)[..., None], -1)[..., 0]
    seen = np.where(picture[..., 3] == 0, 0, np.where(picture[..., 0] > picture[..., 2], 1, 2))
    assert {1, 2} <= set(np.unique(first))
    assert (seen != first).mean() < 0.002, "but for rays along an edge"


# ---- the command ---------------------------------------------------------------------------------------


@needs_zarr_3
def test_a_film_of_volumes_has_labels_and_what_is_written_on_one_of_planes(capsys, tmp_path):
    path = write_labelled_stacks(tmp_path / "x.zarr", n_t=3)
    film = tmp_path / "a.gif"
    what = ("--volume", "max", "--contrast", "0:250", "--size", 320)
    rendered(capsys, path, *what, "--labels", "cells", "--label-opacity", 1, "-o", film)
    found = frames_in(film)
    assert len(found) == 3
    places = [middle(orange(frame)[..., None], 0) for frame in found]
    width = found[0].shape[1] / 1.04 / SHAPE[2]  # of a voxel; around the volume there is a margin
    shift = (places[1][0] - places[0][0]) * found[0].shape[1]
    assert shift == pytest.approx(6 * width, abs=1)
    assert orange(found[0]).sum() == pytest.approx(64 * width**2, rel=0.02)
    written = tmp_path / "b.gif"
    rendered(capsys, path, *what, "--timestamp", "--scale-bar", "-o", written)
    plain, lines = frames_in(film), frames_in(written)
    assert not any(orange(frame).any() for frame in lines), "labels only where they are wanted"
    assert lines[0][:60, :80].max() > 200 and plain[0][:30, :80].max() < 200, "the time"
    assert lines[0][-60:, -100:].min(axis=-1).max() > 200, "the scale bar"


@needs_zarr_3
@pytest.mark.parametrize("turn", [0, 40, 200])
def test_a_volume_and_its_labels_are_turned_together_within_the_picture(capsys, tmp_path, turn):
    path = write_labelled_stacks(tmp_path / "x.zarr")
    out = tmp_path / "a.png"
    what = ("--volume", "max", "--turn", turn, "--tilt", 25, "--contrast", "0:4000", "--size", 400)
    rendered(capsys, path, *what, "--labels", "cells", "--label-opacity", 1, "-o", out)
    with Image.open(out) as picture:
        pixels = np.asarray(picture).astype(int)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.max() < 20, "all of the volume is in the picture"
    sight = VolumeSight().tilted(25).turned(turn)
    from_middle = (np.array([8, 8, 4]) - np.array(SHAPE[::-1]) / 2) * SPANS[::-1]
    size = tuple(n * span for n, span in zip(SHAPE[::-1], SPANS[::-1], strict=True))
    um_per_px = 1.04 * max(sight.edges(size)) / 400
    expected = np.array([sight.right, sight.down]) @ from_middle / um_per_px
    expected += np.array(pixels.shape[1::-1]) / 2
    rows, columns = np.nonzero(orange(pixels))
    box = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2
    assert box == pytest.approx(expected, abs=2)


# ---- the window ----------------------------------------------------------------------------------------


@needs_zarr_3
@pytest.mark.gl
def test_a_film_of_a_volume_shows_the_labels_that_the_window_shows(qtbot, viewer, tmp_path):
    load(qtbot, viewer, write_labelled_stacks(tmp_path / "x.zarr", n_t=2))
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 250)
    labels = viewer._screen.tools.labels
    qtbot.waitUntil(lambda: labels.panel.isVisibleTo(viewer), timeout=20_000)
    labels.panel.choose("cells", LabelStyle(opacity=1), on=True)
    QTest.mouseClick(viewer.stage.strips._volume, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    surface = viewer.stage.canvas.surface
    at = surface.rect().center()
    drag(surface, at, at + QPoint(50, 10), at + QPoint(120, 40), pause_ms=15)
    qtbot.waitUntil(lambda: orange(framebuffer(viewer)).mean() > 0.01, timeout=20_000)
    on_screen = orange(framebuffer(viewer))
    films, dialog = ask(qtbot, viewer, "Time (2 frames)")
    dialog.part.setChecked(True)
    found = save(qtbot, films, dialog, tmp_path, "a.gif")
    in_film = orange(found[0])
    assert in_film.mean() == pytest.approx(on_screen.mean(), rel=0.1)
    assert middle(in_film[..., None], 0) == pytest.approx(middle(on_screen[..., None], 0), abs=0.01)
    assert middle(orange(found[1])[..., None], 0) != pytest.approx(middle(in_film[..., None], 0), abs=0.01)
    dialog.close()
