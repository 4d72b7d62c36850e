"""Saving and copying what is shown: the picture as seen, and its planes."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import stores
import tifffile
from label_images import CELLS, write_labelled
from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication, QMessageBox
from runs import load
from screen import activate, choose_limits, expected_colors, settle

from ndviewer_light.gui.films.film_dialog import FilmPlan
from ndviewer_light.gui.look.save_dialog import SaveDialog
from ndviewer_light.rendering.film_frames import Inscription

pytestmark = pytest.mark.gl


@pytest.fixture
def shown(qtbot, viewer, tmp_path):
    """A viewer of an image of two channels, at its second time point."""
    path = tmp_path / "cells.zarr"
    array = stores.create_array(path / "0", (2, 2, 1, stores.HEIGHT, stores.WIDTH))
    for t in range(2):
        for c in range(2):
            array[t, c, 0] = stores.plane(t, 0, c, 0)
    stores.write_group(path, stores.image_attributes(channels=["DAPI", "GFP"], squid=False))
    stores.make_old(path)
    load(qtbot, viewer, path)
    viewer.stage.go_to(t=1)
    settle(qtbot, viewer)
    activate(qtbot, viewer)
    picture = viewer.stage.canvas.surface
    qtbot.mouseClick(picture, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture)
    return viewer


def save(qtbot, viewer, folder, filter_begins, name=None):
    """Save by the dialog that Ctrl+S opens, and wait until it is said to be done."""
    qtbot.keyClick(viewer.stage.canvas.surface, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    dialog = viewer._screen.tools.snapshots._dialog
    qtbot.waitUntil(dialog.isVisible)
    dialog.setDirectory(str(folder))
    dialog.selectNameFilter(next(each for each in dialog.nameFilters() if each.startswith(filter_begins)))
    if name is not None:
        dialog.selectFile(name)
    dialog.accept()
    status = viewer.status_label
    qtbot.waitUntil(
        lambda: status.said("message").startswith("Saved") or "could not" in status.said("message")
    )
    return status.said("message")


@pytest.mark.each_binding
def test_the_picture_is_saved_as_seen(qtbot, shown, tmp_path):
    assert save(qtbot, shown, tmp_path, "Picture") == "Saved cells t2.png"
    seen = shown.stage.picture
    with Image.open(tmp_path / "cells t2.png") as picture:
        ratio = seen.devicePixelRatioF()
        assert picture.size == (round(seen.width() * ratio), round(seen.height() * ratio))
        assert np.asarray(picture.convert("RGB")).max() > 60


def test_a_file_is_not_replaced_because_its_ending_was_not_typed(qtbot, tmp_path):
    kinds = {"Picture (*.png)": ".png", "Planes (*.tif)": ".tif", "OME (*.ome.tif)": ".ome.tif"}
    dialog = SaveDialog(None, "Save", kinds, "a.b t1")
    qtbot.addWidget(dialog)
    dialog.setDirectory(str(tmp_path))
    dialog.show()

    def name() -> str:
        return os.path.basename(dialog.selectedFiles()[0])

    assert name() == "a.b t1.png"
    for kind, wanted in zip(kinds, ("a.b t1.png", "a.b t1.tif", "a.b t1.ome.tif"), strict=True):
        dialog.selectNameFilter(kind)
        dialog.filterSelected.emit(kind)  # as a choice in the box does
        assert name() == wanted
    dialog.selectNameFilter("Picture (*.png)")
    asked: list[str] = []

    def refuse() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(20, refuse)
            return
        asked.append(box.text())
        box.reject()

    (tmp_path / "v1.2.png").write_bytes(b"kept")
    for typed in ("v1.2", "v1.2.png"):
        dialog.selectFile(typed)
        QTimer.singleShot(0, refuse)
        dialog.accept()
        assert dialog.isVisible() and "v1.2.png" in asked.pop()
    assert (tmp_path / "v1.2.png").read_bytes() == b"kept"
    for typed, saved in {"new.tiff": "new.tiff", "new": "new.png", "v1.3": "v1.3.png"}.items():
        dialog.selectFile(typed)
        with qtbot.waitSignal(dialog.chosen) as chosen:
            dialog.accept()
        assert os.path.basename(chosen.args[0]) == saved
        dialog.show()


@pytest.mark.parametrize(("kind", "ending"), [("Planes for ImageJ", ".tif"), ("Planes as OME", ".ome.tif")])
def test_the_planes_of_visible_channels_are_saved_as_they_are(qtbot, shown, tmp_path, kind, ending):
    shown.stage.strips.strip(0).on.click()
    settle(qtbot, shown)
    assert save(qtbot, shown, tmp_path, kind, "planes") == f"Saved planes{ending}"
    np.testing.assert_array_equal(
        np.squeeze(tifffile.imread(tmp_path / f"planes{ending}")), stores.plane(1, 0, 1, 0)
    )


def test_what_cannot_be_saved_is_a_sentence(qtbot, shown, tmp_path):
    shown._screen.tools.snapshots.save_to(
        str(tmp_path / "no" / "a.png"), shown.dataset, QImage(4, 4, QImage.Format.Format_RGB32)
    )
    status = shown.status_label
    qtbot.waitUntil(lambda: status.said("message").startswith("a.png could not be saved: there is no folder"))


def test_a_film_into_a_folder_that_is_not_there_names_no_temporary_file(qtbot, shown, tmp_path):
    films = shown._screen.tools.films
    with qtbot.waitSignal(films.ended, timeout=20_000):
        films.save_to(str(tmp_path / "nowhere" / "film.gif"), FilmPlan("t", 10, Inscription()))
    said = shown.status_label.said("message")
    assert said == f"film.gif could not be saved: there is no folder {tmp_path / 'nowhere'}"


@pytest.mark.each_binding
def test_the_picture_is_copied(qtbot, shown):
    QApplication.clipboard().clear()
    qtbot.keyClick(shown.stage.canvas.surface, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().image().width() == shown.stage.picture.grab().width()


def plan_film(qtbot, viewer, over: str, folder, name: str, *, is_inscribed: bool = False):
    """Ask for a film by its key, say over what, and where it is saved."""
    films = viewer._screen.tools.films
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    picture = viewer.stage.canvas.surface
    picture.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    qtbot.keyClick(picture, Qt.Key.Key_M, both)
    dialog = films.dialog
    qtbot.waitUntil(dialog.isVisible)
    dialog.axis.setCurrentIndex(dialog.axis.findText(over, Qt.MatchFlag.MatchStartsWith))
    for box in (dialog.scale_bar, dialog.time, dialog.label):
        box.setChecked(is_inscribed)
    dialog.save_button.click()
    files = films.file_dialog
    qtbot.waitUntil(files.isVisible)
    files.setDirectory(str(folder))
    files.selectFile(name)
    return films, files


@pytest.mark.each_binding
def test_a_film_is_saved_as_shown_with_progress_and_can_be_ended(qtbot, shown, tmp_path):
    shown.stage.strips.strip(0).on.click()
    choose_limits(shown, 1, 10, 5000)
    settle(qtbot, shown)
    films, files = plan_film(qtbot, shown, "Time (2 frames)", tmp_path, "film.gif")
    with qtbot.waitSignal(films.ended, timeout=20_000):
        files.accept()
    assert shown.status_label.said("message") == "Saved film.gif, 2 frames"
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size) == (2, (stores.WIDTH, stores.HEIGHT))
        for t in range(2):
            film.seek(t)
            seen = np.asarray(film.convert("RGB")).astype(int)
            drawn = {"GFP": (stores.plane(t, 0, 1, 0), shown.stage.strips.color_of(1), 10, 5000)}
            assert np.abs(seen - expected_colors(drawn)).mean() < 4  # in 256 colours
    films, files = plan_film(qtbot, shown, "Time", tmp_path, "written on.gif", is_inscribed=True)
    with qtbot.waitSignal(films.ended, timeout=20_000):
        files.accept()
    with Image.open(tmp_path / "written on.gif") as film:  # enlarged, for what is written not to cover it
        written_on = np.asarray(film.convert("RGB")).astype(int)
        times = film.width // stores.WIDTH
    assert np.abs(written_on - seen.repeat(times, axis=0).repeat(times, axis=1)).max() > 100
    assert times > 3
    # one that takes its time, and is ended with Escape
    held = threading.Event()
    shown.dataset.plane = lambda *where, **more: held.wait(20) and np.zeros((4, 4), "u2")
    films, files = plan_film(qtbot, shown, "Time", tmp_path, "other.gif")
    files.accept()
    qtbot.waitUntil(lambda: shown.status_label.said("message").startswith("Saving other.gif"), timeout=20_000)
    with qtbot.waitSignal(films.ended, timeout=20_000):
        qtbot.keyClick(shown, Qt.Key.Key_Escape)
        held.set()
    assert shown.status_label.said("message") == "other.gif was not saved: cancelled"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.zarr", "film.gif", "written on.gif"]


def test_a_film_shows_the_part_that_is_seen(qtbot, shown, tmp_path):
    shown.stage.strips.strip(0).on.click()
    choose_limits(shown, 1, 10, 5000)
    shown.stage.canvas.zoom(2)  # to a few tens of pixels: the film is of whole ones
    settle(qtbot, shown)
    films, files = plan_film(qtbot, shown, "Time", tmp_path, "part.gif")
    with qtbot.waitSignal(films.ended, timeout=20_000):
        files.accept()
    area, scene = shown.stage.canvas.visible_area(), shown.stage.canvas.scene()
    drawn = {"GFP": (stores.plane(1, 0, 1, 0), shown.stage.strips.color_of(1), 10, 5000)}
    every = expected_colors(drawn)
    with Image.open(tmp_path / "part.gif") as film:
        film.seek(1)
        seen = np.asarray(film.convert("RGB")).astype(int)
    high, wide = seen.shape[:2]
    assert wide / high == pytest.approx(scene.columns / scene.rows, rel=0.1)
    for row, column in ((0.5, 0.5), (0.25, 0.75), (0.75, 0.25)):
        y = (area.y[0] + row * (area.y[1] - area.y[0])) / scene.height_um * every.shape[0]
        x = (area.x[0] + column * (area.x[1] - area.x[0])) / scene.width_um * every.shape[1]
        near = every[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3).astype(int)
        at = seen[int(row * high), int(column * wide)]
        assert np.abs(near - at).max(axis=1).min() < 24, "a pixel of the data that is there, in 256 colours"


@stores.needs_zarr_3
def test_a_film_has_a_name_and_labels(qtbot, viewer, tmp_path):
    write_labelled(tmp_path / "x.zarr")
    load(qtbot, viewer, tmp_path / "x.zarr")
    settle(qtbot, viewer)
    films, panel = viewer._screen.tools.films, viewer._screen.tools.labels.panel
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    plan = FilmPlan("p", 10, Inscription())
    pictures = []
    for name in ("without.gif", "with.gif"):
        with qtbot.waitSignal(films.ended, timeout=20_000):
            films.save_to(str(tmp_path / name), plan)
        with Image.open(tmp_path / name) as film:
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
        if name == "without.gif":
            viewer.actions_by_name["labels"]()
            qtbot.waitUntil(lambda: viewer._screen.tools.labels.chosen is not None, timeout=20_000)
    differs = np.abs(pictures[1] - pictures[0]).max(axis=-1) > 8
    assert differs[CELLS > 0].mean() > 0.8 and differs[CELLS == 0].mean() < 0.1
    assert films.name_of_view() == "x"
