"""Links to the overview: copied there, they open it at the same place, in this window and in another."""

from __future__ import annotations

import numpy as np
import pytest
from overview_fields import VALUES, assert_all_shown, complete, expected, shown, where, write_plate
from PIL import Image
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from runs import load
from screen import activate, choose_limits, settle

from ndviewer_light.cli.render import main
from ndviewer_light.gui.films.film_dialog import FilmPlan
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.rendering.field_statistics import color_table
from ndviewer_light.rendering.film_frames import Inscription
from ndviewer_light.rendering.scene_overlays import TINT_ALPHA
from ndviewer_light.views.view_link import view_in

pytestmark = pytest.mark.gl

TIMEOUT = 20_000


def test_a_link_opens_the_overview_at_the_same_place(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    canvas.zoom(2.5, QPointF(where(canvas, 3)))
    complete(qtbot, overview)
    before = canvas.viewport
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    activate(qtbot, viewer)
    canvas.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is canvas, timeout=TIMEOUT)
    QTest.keyClick(canvas, Qt.Key.Key_C, modifiers)
    link = QApplication.clipboard().text()
    assert "&overview=" in link
    _, view = view_in(link)
    left, top, right, bottom = before.edges
    assert (*view.overview.x, *view.overview.y) == pytest.approx((left, right, top, bottom), rel=1e-6)
    assert main([link, "--size", "300", "-o", str(tmp_path / "overview.png")]) == 0
    with Image.open(tmp_path / "overview.png") as picture:
        middle = picture.getpixel((picture.width // 2, picture.height // 2))
    seen = canvas.grab().toImage().pixelColor(canvas.rect().center()).getRgb()[:3]
    assert middle == pytest.approx(seen, abs=2) and max(seen) > 50
    canvas.fit()
    overview.leave()
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=TIMEOUT):
        viewer._screen.open_link(link)
    again = viewer._screen.tools.scene
    qtbot.waitUntil(lambda: again.is_shown and again.canvas.viewport is not None, timeout=TIMEOUT)
    complete(qtbot, again)
    assert again.canvas.viewport[:3] == pytest.approx(before[:3], rel=1e-5)
    assert_all_shown(viewer, again.canvas, {3: (100, 100)})
    window = LightweightMainWindow(link)
    qtbot.addWidget(window)
    window.show()
    other = window.viewer._screen.tools.scene
    qtbot.waitUntil(lambda: other.is_shown and other.canvas.viewport is not None, timeout=TIMEOUT)
    complete(qtbot, other)
    assert other.canvas.viewport[:2] == pytest.approx(before[:2], rel=1e-4)
    assert not other.canvas.is_fitting
    channels = window.viewer._screen.stage.channels
    assert channels.contrasts.limits(0) == (0, 200)
    assert channels.choices.as_json() == {"channels": []}, "somebody else chose it: not for the next"
    window.close()


def test_a_link_to_the_main_view_does_not_open_the_overview(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    viewer._screen.links.copy(str(path))
    assert "overview" not in QApplication.clipboard().text()


def test_a_film_of_the_overview_shows_its_part_at_every_time_point(qtbot, viewer, tmp_path):
    path, out = write_plate(tmp_path / "p.ome.zarr", n_t=3), tmp_path / "film.gif"
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    overview.canvas.look_at_field(0)
    complete(qtbot, overview)
    films = viewer._screen.tools.films
    films.ask()
    axis = films.dialog.axis
    assert [axis.itemData(i) for i in range(axis.count())] == ["t"]
    of_dialog = (films.dialog.part, films.dialog.side_by_side, films.dialog.channels)
    assert all(each.window() is films.dialog for each in of_dialog), "what is not offered ends with it, too"
    films.dialog.close()
    with qtbot.waitSignal(films.ended, timeout=TIMEOUT):
        films.save_to(str(out), FilmPlan("t", 5, Inscription()))
    with Image.open(out) as film:
        assert film.n_frames == 3
        for t in range(3):
            film.seek(t)
            frame = np.asarray(film.convert("RGB")).astype(int)
            values = [VALUES[0][(c + t) % 2] + 1 for c in range(2)]
            middle = frame[frame.shape[0] // 2, frame.shape[1] // 2]
            assert abs(middle - expected(viewer, values)).max() <= 12, t


def test_a_film_of_the_overview_has_the_colours_of_numbers_on_one_scale(qtbot, viewer, tmp_path):
    path, out = write_plate(tmp_path / "p.ome.zarr", n_t=2), tmp_path / "film.gif"
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    QTest.keyClick(overview.canvas, Qt.Key.Key_Q)
    numbers = viewer._screen.tools.statistics
    numbers.panel.measure_asked.emit("run")
    qtbot.waitUntil(lambda: numbers.job is not None and numbers.job.finished.is_set(), timeout=TIMEOUT)
    overview.canvas.look_at_field(0)
    complete(qtbot, overview)
    films = viewer._screen.tools.films
    with qtbot.waitSignal(films.ended, timeout=TIMEOUT):
        films.save_to(str(out), FilmPlan("t", 5, Inscription()))
    alpha = TINT_ALPHA / 255
    with Image.open(out) as film:
        for t, share in enumerate((1.0, 0.0)):  # the mean of channel 0 is 101, then 1: the ends of the scale
            film.seek(t)
            frame = np.asarray(film.convert("RGB")).astype(int)
            below = expected(viewer, [VALUES[0][(c + t) % 2] + 1 for c in range(2)])
            wanted = np.array(color_table()[round(share * 255)]) * alpha + below * (1 - alpha)
            assert abs(frame[frame.shape[0] // 2, frame.shape[1] // 2] - wanted).max() <= 12, t
            height, width = frame.shape[:2]
            legend = frame[height * 3 // 4 :, : width // 2].reshape(-1, 3)
            assert any(abs(legend - color_table()[-1]).max(axis=1) <= 12), t
