"""Channels side by side: what each pane shows, moving all of them, and the way there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPoint, QPointF, QRectF, Qt
from qtpy.QtWidgets import QApplication
from runs import load, small_run, write
from screen import activate, drag, hover, on_screen, press, settle
from test_keys import turn_wheel

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.shapes import Spot
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.split.pane_grid import columns_for
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import PlaneKey
from ndviewer_light.rendering.saturation_picture import MARK_RGB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ndviewer_light.gui.split.channel_pane import ChannelPane

HEIGHT, WIDTH = 60, 80
LEFT = Qt.MouseButton.LeftButton


def test_panes_are_arranged_so_that_pictures_are_largest():
    assert [columns_for(n, 800, 600, 4 / 3) for n in (1, 2, 3, 4, 5, 9)] == [1, 1, 2, 2, 2, 3]
    assert columns_for(4, 1600, 200, 1.0) == 4
    assert columns_for(4, 200, 1600, 1.0) == 1
    assert columns_for(0, 800, 600, 1.0) == 1


# ---- in the window -----------------------------------------------------------------------------


@pytest.fixture(params=["cpu", pytest.param("gl", marks=pytest.mark.gl)])
def viewer(qtbot, monkeypatch, request) -> Iterator[LightweightViewer]:
    monkeypatch.setenv("NDVIEWER_CANVAS", request.param)
    viewer = LightweightViewer()
    with on_screen(qtbot, viewer, 900, 640):
        yield viewer


def plane(t: int, c: int) -> np.ndarray:
    y, x = np.indices((HEIGHT, WIDTH))
    return (1000 * (c + 1) + 20 * t + 7 * y + 3 * x).astype("u2")


@pytest.fixture
def source(qtbot, viewer) -> MemorySource:
    """Two times of three channels (red, green, blue), shown; of the last time the green one is missing."""
    source = MemorySource(
        memory_info(
            n_t=2, n_p=1, n_c=3, n_z=1, height=HEIGHT, width=WIDTH, pixel_size_y_um=0.5, pixel_size_x_um=0.5
        )
    )
    for t in range(2):
        for c in range(3):
            if (t, c) != (1, 1):
                source.stored[PlaneKey(t, 0, c, 0)] = plane(t, c)
    dataset = Dataset(source, path="/data/run")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    for c in range(3):
        viewer.stage.channels.contrasts.set_limits(c, 1000.0 * (c + 1), 1000.0 * (c + 1) + 700)
        viewer.stage.canvas.apply_contrast(c)
    activate(qtbot, viewer)
    qtbot.mouseClick(viewer.stage.canvas.surface, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is viewer.stage.canvas.surface, timeout=20_000)
    return source


def split(viewer) -> Any:
    return viewer._screen.tools.split


def show_split(qtbot, viewer) -> list[ChannelPane]:
    press(qtbot, Qt.Key.Key_C)
    assert split(viewer).is_shown
    panes = split(viewer).panes.panes
    wait(qtbot, panes)
    return panes


def wait(qtbot, panes) -> None:
    qtbot.waitUntil(lambda: all(pane.is_up_to_date and pane.width() > 100 for pane in panes), timeout=20_000)


def color_at(pane: ChannelPane, row: int, column: int) -> tuple[int, int, int]:
    """On screen, at the middle of a pixel of the data."""
    x0, y0, _ = pane.camera.canvas_to_world((0, 0))
    x1, _, _ = pane.camera.canvas_to_world((100, 0))
    at = ((column + 0.5) * 0.5 - x0) / (x1 - x0) * 100, ((row + 0.5) * 0.5 - y0) / (x1 - x0) * 100
    image = pane.grab().toImage()
    ratio = pane.devicePixelRatioF()
    color = image.pixelColor(int(at[0] * ratio), int(at[1] * ratio))
    return color.red(), color.green(), color.blue()


def level(t: int, row: int, column: int) -> int:
    return round((20 * t + 7 * row + 3 * column) / 700 * 255)


def test_each_channel_has_a_pane_and_all_have_one_together(qtbot, viewer, source):
    panes = show_split(qtbot, viewer)
    assert [pane.overlay.name() for pane in panes] == ["c0", "c1", "c2", "All"]
    value = level(0, 30, 40)
    assert [color_at(pane, 30, 40) for pane in panes] == [
        (value, 0, 0),
        (0, value, 0),
        (0, 0, value),
        (value, value, value),
    ]
    assert viewer.stage.canvas.isHidden()
    press(qtbot, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    wait(qtbot, panes)
    assert [color_at(pane, 30, 40) for pane in panes] == [(value, value, value)] * 4
    qtbot.mouseClick(split(viewer).panes.gray_button, LEFT)
    wait(qtbot, panes)
    assert color_at(panes[0], 30, 40) == (value, 0, 0)
    viewer.stage.strips.strip(2).on.click()  # one that is off has no pane
    qtbot.waitUntil(lambda: [pane.overlay.name() for pane in panes] == ["c0", "c1", "All"])
    viewer.stage.strips.strip(1).on.click()
    qtbot.waitUntil(lambda: [pane.overlay.name() for pane in panes] == ["c0"])
    press(qtbot, Qt.Key.Key_Escape)
    assert not split(viewer).is_shown
    assert not viewer.stage.canvas.isHidden()


def test_panes_follow_the_view_and_say_what_is_missing(qtbot, viewer, source):
    panes = show_split(qtbot, viewer)
    press(qtbot, Qt.Key.Key_Right)
    settle(qtbot, viewer)
    wait(qtbot, panes)
    value = level(1, 30, 40)
    assert color_at(panes[0], 30, 40) == (value, 0, 0)
    assert panes[1].overlay.state()[0] == "absent"
    assert color_at(panes[3], 30, 40) == (value, 0, value)
    viewer.stage.channels.contrasts.set_limits(0, 1000.0, 3800.0)
    viewer.stage.canvas.apply_contrast(0)
    wait(qtbot, panes)
    assert color_at(panes[0], 30, 40) == (round((20 + 210 + 120) / 2800 * 255), 0, 0)
    press(qtbot, Qt.Key.Key_Left)
    settle(qtbot, viewer)
    wait(qtbot, panes)
    assert panes[1].overlay.state() == ("none", "")


def test_all_panes_are_moved_together_and_the_picture_is_where_they_were(qtbot, viewer, source):
    canvas = viewer.stage.canvas
    before = canvas.visible_area()
    panes = show_split(qtbot, viewer)
    assert split(viewer).panes.is_fitting
    press(qtbot, Qt.Key.Key_C)
    assert canvas.visible_area() == before  # nothing was moved
    show_split(qtbot, viewer)
    pane = panes[1]
    at = QPointF(pane.width() / 3, pane.height() / 2)
    place = pane.camera.canvas_to_world((at.x(), at.y()))
    turn_wheel(pane, 5, at)
    assert pane.camera.canvas_to_world((at.x(), at.y())) == pytest.approx(place)
    drag(pane, QPoint(60, 60), QPoint(70, 80), QPoint(80, 95))
    areas = [each.area for each in panes]
    assert all(area.center == pytest.approx(areas[0].center, abs=0.2) for area in areas)
    assert split(viewer).panes.fit_button.isVisible()
    hover(pane, QPoint(20, 20))  # the mouse may have been left where it goes
    said = [""]
    viewer.stage.hover_text.connect(lambda text, *_: said.append(text))
    hover(pane, QPoint(90, 70))
    x, y, _ = pane.camera.canvas_to_world((90, 70))
    row, column = int(y // 0.5), int(x // 0.5)
    values = [f"c{c} {plane(0, c)[row, column]}" for c in range(3)]
    qtbot.waitUntil(lambda: all(value in said[-1] for value in values), timeout=20_000)
    assert all(each._cursor == pytest.approx((x, y)) for each in panes)
    center = split(viewer).panes.visible_area().center
    press(qtbot, Qt.Key.Key_C)
    assert canvas.visible_area().center == pytest.approx(center, abs=0.3)
    panes = show_split(qtbot, viewer)
    assert not split(viewer).panes.is_fitting
    press(qtbot, Qt.Key.Key_R)
    assert split(viewer).panes.is_fitting
    press(qtbot, Qt.Key.Key_C)
    assert canvas.is_fitting


def test_the_overview_covers_them_and_gives_them_back(qtbot, viewer, source):
    show_split(qtbot, viewer)
    press(qtbot, Qt.Key.Key_W)
    scene = viewer._screen.tools.scene
    assert scene.is_shown and not split(viewer).is_shown
    press(qtbot, Qt.Key.Key_W)
    assert split(viewer).is_shown and not scene.is_shown
    press(qtbot, Qt.Key.Key_W)
    press(qtbot, Qt.Key.Key_C)
    assert split(viewer).is_shown and not scene.is_shown
    press(qtbot, Qt.Key.Key_V)  # sections are beside the picture
    assert "show the channels together (C)" in viewer.status_label.text()
    press(qtbot, Qt.Key.Key_C)
    assert not viewer.stage.picture.is_covered and not viewer.stage.canvas.isHidden()


def test_what_is_written_over_the_picture_is_written_over_each_pane(qtbot, viewer, source):
    shift = Qt.KeyboardModifier.ShiftModifier
    panes = show_split(qtbot, viewer)
    position = viewer.stage.overlay.position()
    assert position
    press(qtbot, Qt.Key.Key_T, shift)
    for pane, name in zip(panes, ("c0", "c1", "c2", "All"), strict=True):
        assert pane.overlay.accessibleDescription() == f"{name} · {position} · t 1"
    bars = [pane.overlay.scale_bar() for pane in panes]
    assert len(set(bars)) == 1 and bars[0] is not None
    press(qtbot, Qt.Key.Key_Right)
    settle(qtbot, viewer)
    assert panes[0].overlay.time() == "t 2"
    press(qtbot, Qt.Key.Key_B, shift)
    assert all(pane.overlay.scale_bar()[0] > bars[0][0] for pane in panes)
    press(qtbot, Qt.Key.Key_B, shift)
    press(qtbot, Qt.Key.Key_P, shift)
    assert all(pane.overlay.scale_bar() is None for pane in panes)
    with_names = [pane.grab().toImage() for pane in panes]
    press(qtbot, Qt.Key.Key_T, shift)
    assert [pane.overlay.name() for pane in panes] == ["c0", "c1", "c2", "All"]  # these stay
    assert all(pane.grab().toImage() != image for pane, image in zip(panes, with_names, strict=True))
    press(qtbot, Qt.Key.Key_P, shift)


def um_per_px_of(pane: ChannelPane) -> float:
    """By where the ends of the pane are in the picture."""
    left, right = pane.area.x
    return (right - left) / pane.width()


def test_the_scale_bar_is_right_from_the_first_and_however_panes_are_resized(qtbot, viewer, source):
    for c in (1, 2):
        qtbot.mouseClick(viewer.stage.strips.strip(c).on, LEFT)
    settle(qtbot, viewer)
    qtbot.mouseClick(viewer.stage.canvas.surface, LEFT)
    panes = split(viewer).panes

    def check(n: int) -> None:
        qtbot.waitUntil(lambda: len(panes.panes) == n, timeout=20_000)
        wait(qtbot, panes.panes)
        for pane in panes.panes:
            here = um_per_px_of(pane)
            assert pane.overlay.um_per_px() == pytest.approx(here, rel=0.01), "panes may differ by 1 px"
        assert panes.fit_button.isHidden(), "all of it is seen"

    show_split(qtbot, viewer)
    check(1)
    qtbot.mouseClick(viewer.stage.strips.strip(2).on, LEFT)
    check(3)
    viewer.resize(700, 420)
    check(3)


def test_in_small_panes_the_button_is_above_the_scale_bar_and_names_are_told_apart(qtbot, viewer, source):
    panes, shown = split(viewer).panes, show_split(qtbot, viewer)
    button, overlay = panes.gray_button, shown[0].overlay
    viewer.resize(520, 420)
    wait_small = lambda: all(pane.is_up_to_date and pane.width() < 180 for pane in shown)  # noqa: E731
    qtbot.waitUntil(wait_small, timeout=20_000)

    def is_over_a_bar() -> bool:
        plates = [pane.overlay.bar_plate().translated(QPointF(pane.pos())) for pane in shown]
        return any(plate.intersects(QRectF(button.geometry())) for plate in plates)

    assert not is_over_a_bar()
    press(qtbot, Qt.Key.Key_Plus)
    assert panes.fit_button.isVisible() and not is_over_a_bar()
    assert not panes.fit_button.geometry().intersects(button.geometry())
    names = "a channel with a very long name, the first", "a channel with a very long name, the second"
    pictures = []
    for name, short in zip(names, ("…first", "…second"), strict=True):
        for given in ((name, short), (short,)):
            overlay.set_name(*given)
            pictures.append(overlay.grab().toImage())
    long_first, first, long_second, second = pictures
    assert long_first == first != second == long_second, "by what differs"
    overlay.set_name("short", "…t")
    assert overlay.grab().toImage() != first and overlay.accessibleDescription().startswith("short · ")


def has_color(pane: ChannelPane, row: float, column: float, color: tuple[int, int, int]) -> bool:
    """Whether a pixel of the screen within two of a place on the plane is, but for smoothing, of a colour."""
    at = QPointF(*split_projection(pane).to_screen(row, column)).toPoint()
    image = pane.grab().toImage()
    near = [QPoint(at.x() + x, at.y() + y) for x in range(-2, 3) for y in range(-2, 3)]
    seen = [image.pixelColor(point * pane.devicePixelRatioF()).getRgb()[:3] for point in near]
    return any(np.abs(np.subtract(each, color)).max() < 40 for each in seen)


def split_projection(pane: ChannelPane) -> Any:
    return pane.parentWidget().projection()


def test_shapes_are_drawn_over_each_pane_where_they_are(qtbot, viewer, source):
    yellow = (255, 214, 64)
    project = viewer.stage.canvas.projection().to_screen
    press(qtbot, Qt.Key.Key_D)
    a, b = (QPointF(*project(*spot)).toPoint() for spot in (Spot(10, 20), Spot(50, 60)))
    drag(viewer.stage.canvas.surface, a, (a + b) / 2, b)
    (shape,) = viewer._screen.tools.measuring.shapes
    panes = show_split(qtbot, viewer)
    for pane in panes:
        assert has_color(pane, *shape.a, yellow) and has_color(pane, *shape.b, yellow)
    before = shape.a
    split(viewer).panes.zoom(1.2)
    wait(qtbot, panes)
    assert all(has_color(pane, *before, yellow) for pane in panes)
    press(qtbot, Qt.Key.Key_Delete)
    assert not any(has_color(pane, *before, yellow) for pane in panes)
    press(qtbot, Qt.Key.Key_R)
    press(qtbot, Qt.Key.Key_D)  # in one pane, for all
    assert panes[1].cursor().shape() == Qt.CursorShape.CrossCursor
    project = split(viewer).panes.projection().to_screen
    a, b = (QPointF(*project(*spot)).toPoint() for spot in (Spot(30, 20), Spot(30, 60)))
    area = panes[1].area
    drag(panes[1], a, (a + b) / 2, b)
    assert panes[1].area == area  # the picture was not moved
    assert panes[1].cursor().shape() != Qt.CursorShape.CrossCursor
    (shape,) = viewer._screen.tools.measuring.shapes
    assert shape.line.length_um(0.5, 0.5) == pytest.approx(20, abs=0.6)
    assert all(has_color(pane, *shape.b, yellow) for pane in panes)
    press(qtbot, Qt.Key.Key_Delete)
    press(qtbot, Qt.Key.Key_C)
    assert viewer._screen.tools.measuring.layer.isHidden()


def test_saturated_pixels_are_marked_in_the_panes_of_their_channels(qtbot, viewer, source):
    bright = plane(1, 1)
    bright[20:30, 30:50] = 4095  # of a 12-bit sensor
    source.stored[PlaneKey(1, 0, 1, 0)] = bright
    panes = show_split(qtbot, viewer)
    press(qtbot, Qt.Key.Key_Right)
    settle(qtbot, viewer)
    press(qtbot, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)

    def marked(row: int, column: int) -> list[bool]:
        return [color_at(pane, row, column) == MARK_RGB for pane in panes]

    qtbot.waitUntil(lambda: marked(25, 40) == [False, True, False, True], timeout=20_000)
    assert not any(marked(25, 55)) and not any(marked(33, 40))
    notes = ["saturated: none", "saturated: 4.2 %", "saturated: none", "saturated: c1 4.2 %"]
    qtbot.waitUntil(lambda: [pane.overlay.note() for pane in panes] == notes, timeout=20_000)
    press(qtbot, Qt.Key.Key_C)  # and on the picture, also when that comes back
    qtbot.waitUntil(viewer._screen.tools.saturation.layer.isVisible, timeout=20_000)
    press(qtbot, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    assert viewer._screen.tools.saturation.text_of(1) == ""


# ---- links, and windows that remember ----------------------------------------------------------


def seen(panes) -> list[float]:
    area = panes.visible_area()
    return [*area.center, area.x[1] - area.x[0]]


def test_links_and_windows_that_remember_show_channels_side_by_side_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", regions=("A1",), fovs=(1,), n_t=1)
    write(run)
    viewer.remember_views()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    activate(qtbot, viewer)
    qtbot.mouseClick(viewer.stage.canvas.surface, LEFT)
    panes = show_split(qtbot, viewer)
    press(qtbot, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    turn_wheel(panes[0], 5, QPointF(40, 30))
    wait(qtbot, panes)
    left = seen(split(viewer).panes)
    viewer._screen.copy_link()
    link = QApplication.clipboard().text()
    assert "&split=gray&" in link and "&area=" in link
    documents, key = viewer._screen.views._documents, str(run.folder)
    viewer.close()
    qtbot.waitUntil(lambda: (documents.get(key) or {}).get("split") == "gray", timeout=20_000)
    again = LightweightViewer()
    qtbot.addWidget(again)
    again.resize(900, 640)
    again.show()
    again.remember_views()
    for path in (run.folder, link):
        load(qtbot, again, path)
        qtbot.waitUntil(lambda: split(again).is_shown, timeout=20_000)
        settle(qtbot, again)
        wait(qtbot, split(again).panes.panes)
        assert seen(split(again).panes) == pytest.approx(left, rel=0.02)
        red, green, blue = color_at(split(again).panes.panes[0], 20, 20)
        assert red == green == blue  # in gray
        load(qtbot, again, f"ndviewer:{run.folder}?z=2")  # of somebody who saw the picture
        settle(qtbot, again)
        assert not split(again).is_shown and not again.stage.picture.is_covered
    load(qtbot, again, f"{link}&overview=0,40,0,40")
    scene = again._screen.tools.scene
    settle(qtbot, again)
    qtbot.waitUntil(lambda: split(again).is_on, timeout=20_000)
    assert scene.is_shown and not split(again).is_shown  # below the overview, as it was
    again.close()
