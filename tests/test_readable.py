"""Every text of every panel and dialog has contrast, and every control can be reached and says what it is."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication, QLabel, QMenu, QPushButton, QWidget
from readable import contrast, faint_texts, unreachable_controls
from screen import drag, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.shapes import Spot
from ndviewer_light.gui.look.plots import new_plot
from ndviewer_light.gui.measures.drawn_shapes import ShapeKind
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.windows.launcher import LauncherWindow
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.gui.windows.window_settings import note_opened
from ndviewer_light.model import Interpretation, Position

pytestmark = pytest.mark.gl
TIMEOUT = 30_000
POSITIONS = tuple(
    Position(f"{row}{column}", i, 1000.0 * column + 40 * i, 900.0 * "AB".index(row))
    for row in "AB"
    for column in (1, 2)
    for i in range(2)
)


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_contrast_is_that_of_wcag() -> None:
    assert round(contrast(QColor("#000000"), QColor("#ffffff")), 1) == 21
    assert round(contrast(QColor("#777777"), QColor("#ffffff")), 2) == 4.48


def test_what_is_faint_or_out_of_reach_is_found(qtbot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    label, button = QLabel("faint", page), QPushButton(page)
    label.setStyleSheet("color: #777777; background: #ffffff")
    button.move(0, 40)
    button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    with qtbot.waitExposed(page):
        page.show()
    assert faint_texts(page) == ["QLabel 'faint' in QWidget: 4.5"]
    assert unreachable_controls(page) == ["QPushButton '' in QWidget: no keyboard, tooltip, name"]
    label.setStyleSheet("color: #767676; background: #ffffff")
    assert not faint_texts(page)


def test_a_plot_whose_texts_are_faint_is_found(qtbot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    page.resize(300, 200)
    plot, _ = new_plot(page, "a plot")
    plot.resize(300, 200)
    plot.setLabel("bottom", "Time (s)")
    with qtbot.waitExposed(page):
        page.show()
    assert not faint_texts(page)
    plot.getAxis("left").setTextPen("#555555")
    plot.setLabel("bottom", "Time (s)", color="#444444")
    found = faint_texts(page)
    assert [each.rsplit(" of ", 1)[0] for each in sorted(found)] == ["'Time (s)'", "the numbers left"]


_LAID_OUT_TURNS = 5
_LAID_OUT_MS = 200


class Walk:
    """Looks at one window after the other, and notes what is wrong there."""

    def __init__(self, qtbot) -> None:
        self.qtbot = qtbot
        self.found: list[str] = []

    def look(self, name: str, window: QWidget) -> None:
        self.qtbot.waitUntil(window.isVisible)
        QApplication.processEvents()
        wrong = [*faint_texts(window), *unreachable_controls(window)]
        for _ in range(_LAID_OUT_TURNS):
            if not wrong:
                return
            self.qtbot.wait(_LAID_OUT_MS)  # it may still be laid out
            wrong = [*faint_texts(window), *unreachable_controls(window)]
        self.found += [f"{name}: {each}" for each in wrong]

    def look_at_menu(self, button: QPushButton) -> None:
        if button.menu() is not None:  # a click would wait until it is closed
            button.menu().popup(button.mapToGlobal(button.rect().bottomLeft()))
        else:
            self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        self.look_at_menus(button.toolTip())

    def look_at_menus(self, name: str) -> None:
        shown = [each for each in QApplication.topLevelWidgets() if isinstance(each, QMenu)]
        shown = [each for each in shown if each.isVisible()]
        assert shown, name
        for menu in shown:
            self.found += [f"{name}: {each}" for each in faint_texts(menu)]
            menu.close()


def show_run(qtbot, viewer: LightweightViewer) -> None:
    """A plate of stacks over time, of which the last time point is missing."""
    size = {"height": 32, "width": 32, "pixel_size_y_um": 0.5, "pixel_size_x_um": 0.5, "z_step_um": 1.0}
    source = MemorySource(memory_info(positions=POSITIONS, n_t=3, n_z=3, **size))
    for t, p, c, z in np.ndindex(2, len(POSITIONS), 2, 3):
        source.write((t, p, c, z), 100 + 10 * p + 50 * t + c + 5 * z)
    dataset = Dataset(source, path="/data/run")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=TIMEOUT)
    settle(qtbot, viewer)


def walk_through(qtbot, walk: Walk, window: QWidget, viewer: LightweightViewer) -> None:
    """Open every panel, dialog and menu, one after the other."""
    screen, stage = viewer._screen, viewer.stage
    walk.look("nothing open", window)
    show_run(qtbot, viewer)
    stage.canvas.zoom(2)
    qtbot.waitUntil(stage.fit_button.isVisible)
    walk.look("a picture", window)
    walk.look_at_menu(stage.strips.contrast)
    walk.look_at_menu(stage.strips.strip(0).dot)
    walk.look_at_menu(stage.sliders.projection_control.button)
    screen.tools.measuring.show_menu()
    walk.look_at_menus("measures")
    viewer.actions_by_name["save_menu"]()
    walk.look_at_menus("save")
    stage.sliders.toggle_projection()
    screen.tools.statistics.toggle()
    qtbot.waitUntil(lambda: screen.tools.statistics.panel.plot.plot is not None, timeout=TIMEOUT)
    walk.look("numbers and a projection", window)
    screen.tools.statistics.toggle()
    stage.sliders.toggle_projection()
    viewer.actions_by_name["go_to"]()
    walk.look("go to", window)
    stage.go_box.refuse("There is no well Z9")
    walk.look("nowhere to go", window)
    stage.go_box.leave()
    settle(qtbot, viewer)
    screen.tools.measuring.begin(ShapeKind.BOX)
    project = stage.canvas.projection().to_screen
    a, b = (QPointF(*project(*spot)).toPoint() for spot in (Spot(12, 12), Spot(20, 20)))
    drag(stage.canvas.surface, a, (a + b) / 2, b)
    qtbot.waitUntil(lambda: screen.tools.measuring.panel.isVisible(), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: screen.tools.measuring.panel.plot is not None, timeout=TIMEOUT)
    screen._row.warnings.show_warnings(("Something is odd", "Another oddity"))
    screen.choices.offer(("/a.h5/x", "/a.h5/y"))
    screen.tools.labels.panel.offer(["cells"])
    screen._row.read_as.offer([Interpretation("t 3 × y 32 × x 32", (("axes", "tyx"),))], {}, "")
    walk.look("measures and warnings", window)
    qtbot.mouseClick(screen._row.warnings, Qt.MouseButton.LeftButton)
    walk.look("the warnings", screen._row.warnings.panel)
    screen._row.warnings.panel.close()
    stage.go_to(t=2)
    settle(qtbot, viewer)
    walk.look("a plane that is missing", window)
    screen.tools.scene.toggle()
    qtbot.waitUntil(lambda: screen.tools.scene.canvas.scene is not None and not screen.tools.scene.is_busy)
    walk.look("the overview", window)
    screen.tools.scene.toggle()
    stage.go_to(t=0)
    stage.strips._volume.click()
    settle(qtbot, viewer)
    walk.look("a volume", window)
    viewer.actions_by_name["keys"]()
    walk.look("the keys", screen.window().findChild(QWidget, "keys"))
    viewer.actions_by_name["keys"]()
    stage.strips._flat.click()
    settle(qtbot, viewer)
    screen.tools.films.ask()
    walk.look("a film", screen.tools.films.dialog)
    screen.tools.films.dialog.close()
    screen.pages.setCurrentWidget(screen.message)
    screen.message.show_message("busy", "Opening", "/data/run", cancel="Cancel")
    walk.look("opening", window)
    screen.message.show_message(
        "error", "It could not be opened", "/x", details="why", retry=True, can_open=True, permission="links"
    )
    screen.message.details_button.click()
    walk.look("an error", window)


def test_all_of_our_window_can_be_read_and_reached(qtbot) -> None:
    walk, window, launcher = Walk(qtbot), LightweightMainWindow(), LauncherWindow()
    for each in (window, launcher):
        qtbot.addWidget(each)
    window.resize(1366, 768)
    window.show()
    walk_through(qtbot, walk, window, window.viewer)
    launcher.show()
    walk.look("the launcher", launcher)
    note_opened("/data/run")
    launcher.chooser.ask()
    walk.look("what to open", launcher.chooser.dialog)
    launcher.chooser.dialog.close()
    window.close()
    launcher.close()
    assert not walk.found, "\n".join(walk.found)


@pytest.mark.parametrize(
    ("color", "disabled"),
    [pytest.param("#efefef", "#777777", id="light"), pytest.param("#3c4046", "#a0a0a0", id="grey")],
)
def test_inside_a_host_all_can_be_read_and_reached_in_its_colours(qtbot, qapp, color, disabled) -> None:
    palette, style = QPalette(qapp.palette()), qapp.style().objectName()
    qapp.setStyle("Fusion")
    of_host = QPalette(QColor(color))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        of_host.setColor(QPalette.ColorGroup.Disabled, role, QColor(disabled))
    qapp.setPalette(of_host)
    walk, viewer = Walk(qtbot), LightweightViewer(panels=True)
    qtbot.addWidget(viewer)
    try:
        viewer.resize(1366, 740)
        viewer.show()
        walk_through(qtbot, walk, viewer, viewer)
        viewer.close()
    finally:
        qapp.setPalette(palette)
        qapp.setStyle(style)
    assert not walk.found, "\n".join(walk.found)
