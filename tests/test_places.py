"""The panels left of the picture, used as a person does: plate, fields of the well, acquisition card."""

from __future__ import annotations

import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QModelIndex, QPoint, QRect, Qt
from qtpy.QtWidgets import QApplication
from runs import load, planes_of, small_run, write
from screen import assert_shows, on_screen, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.state_codes import TimeState
from ndviewer_light.gui.look.theme import colors_of
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import Position

pytestmark = pytest.mark.gl

LEFT = Qt.MouseButton.LeftButton
ACQUIRED, PENDING = TimeState.ACQUIRED, TimeState.PENDING


@pytest.fixture
def viewer(qtbot):
    """A viewer with panels, as in our own window."""
    widget = LightweightViewer(panels=True)
    with on_screen(qtbot, widget, 1100, 700):
        yield widget


def show(qtbot, viewer, source, **kind):
    dataset = Dataset(source, path="/data/run", **kind)
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return dataset


def click(qtbot, place_map, index):
    qtbot.mouseClick(place_map, LEFT, pos=place_map.rect_of(index).center().toPoint())


@pytest.mark.each_binding
def test_a_plate_is_walked_by_mouse_and_keys_and_the_slider_stays_in_the_well(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", "hcs", regions=("B2", "B4", "D2"), fovs=(2, 1, 3))
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    panels, stage = viewer._screen.side.panels, viewer.stage
    qtbot.waitUntil(lambda: panels.isVisible() and len(panels.plate_map.states) == 3, timeout=20_000)
    qtbot.waitUntil(lambda: set(panels.plate_map.states) == {ACQUIRED}, timeout=20_000)
    assert panels.legend.states == (ACQUIRED,)
    click(qtbot, panels.plate_map, 2)
    assert stage.view.p == 3
    assert stage.sliders.slider("p").maximum() == 2
    assert stage.sliders.value_text("p") == "D2:0   3 fields"
    assert panels.field_heading.text() == "FIELDS OF D2"
    click(qtbot, panels.field_map, 5)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 5, 0))
    assert stage.sliders.slider("p").value() == 2
    stage.sliders.slider("p").setValue(1)
    assert (stage.view.p, panels.field_map.current) == (4, 4)
    slider = stage.sliders.slider("p")
    qtbot.keyClick(slider, Qt.Key.Key_PageDown)
    assert (stage.view.p, slider.maximum()) == (2, 0)
    qtbot.keyClick(slider, Qt.Key.Key_PageUp)
    assert (stage.view.p, slider.maximum()) == (3, 2)
    click(qtbot, panels.field_map, 4)
    qtbot.keyClick(panels.plate_map, Qt.Key.Key_Up)  # the same field of the well above, or its last
    assert stage.view.p == 1
    qtbot.keyClick(panels.plate_map, Qt.Key.Key_Right)
    assert stage.view.p == 2
    qtbot.mouseClick(panels.plate_map, LEFT, pos=QPoint(2, 2))  # nothing there
    assert stage.view.p == 2
    assert "B4\n1 field\nt 1: acquired, 4 of 4 planes" in panels.plate_map.text_of(1)
    # hosts go on counting all positions
    assert viewer.go_to_well_fov("D2", 1)
    assert stage.view.p == 4
    viewer.load_fov(0)
    assert (stage.view.p, stage.sliders.size("p")) == (0, 6)
    assert viewer.set_current_index("fov", 5)
    qtbot.waitUntil(lambda: panels.plate_map.current == 2, timeout=20_000)
    assert stage.sliders.slider("p").value() == 2
    qtbot.keyClick(viewer, Qt.Key.Key_P)
    assert panels.isHidden()
    assert (stage.view.p, stage.sliders.slider("p").maximum()) == (5, 5)
    qtbot.keyClick(viewer, Qt.Key.Key_P)
    assert (stage.view.p, stage.sliders.slider("p").maximum()) == (5, 2)
    facts = {fact.name: fact.value for fact in panels.card.facts}
    assert (facts["Pixel"], facts["Fields"]) == ("0.325 µm", "6 in 3 wells")
    assert facts["Objective"] == "20× / 0.8 NA"


def test_the_column_keeps_its_width_however_low_the_window_is(qtbot, viewer):
    positions = tuple(
        Position(well, i, 100.0 * (i % 2), 100.0 * (i // 2)) for well in ("B2", "H12") for i in range(4)
    )
    with show(qtbot, viewer, MemorySource(memory_info(n_t=1, positions=positions))):
        panels = viewer._screen.side.panels
        qtbot.waitUntil(panels.isVisible, timeout=20_000)
        for height in range(300, 640, 10):  # at some of them the scroll bar comes, at others it goes
            viewer.resize(1100, height)
            QApplication.processEvents()
            assert panels.plate_map.width() + panels.plate_map.x() <= panels.width()
        click(qtbot, panels.plate_map, 1)
        assert viewer.stage.view.p == 4


def marks_in(fields, index):
    """The colours before the name of a field."""
    row = fields.visualRect(index)
    picture = fields.viewport().grab(QRect(row.x(), row.y(), 20, row.height())).toImage()
    return {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}


def test_a_run_is_seen_on_the_plate_as_it_is_announced_and_nothing_is_read_for_it(qtbot, viewer):
    wells = ("A1", "A2", "x" * 250)
    positions = tuple(Position(well, fov) for well in wells for fov in range(2))
    source = MemorySource(memory_info(n_t=1, positions=positions))
    for key in ((0, 0, c, z) for c in range(2) for z in range(2)):
        source.write(key, 7)
    with show(qtbot, viewer, source, live=True) as dataset:
        panels = viewer._screen.side.panels
        read = list(source.reads)
        for p in (0, 1, 2):
            for c in range(2):
                for z in range(2):
                    dataset.notify(0, p, c, z)
        states = [ACQUIRED, TimeState.PARTLY, PENDING]
        qtbot.waitUntil(lambda: list(panels.plate_map.states) == states, timeout=20_000)
        assert panels.plate_heading.text() == "REGIONS"  # one has a name that is no well's
        assert not panels.field_list.isHidden()
        viewer.load_fov(2)
        fields = [panels.field_list.model().index(row, 0) for row in range(2)]
        role = Qt.ItemDataRole.AccessibleDescriptionRole
        said = [ACQUIRED.value, PENDING.value]
        qtbot.waitUntil(lambda: [field.data(role) for field in fields] == said, timeout=20_000)
        assert panels.legend.isVisible()
        acquired, pending = (marks_in(panels.field_list, field) for field in fields)
        accent = colors_of(panels.field_list).accent.rgb()
        assert (accent in acquired, accent in pending) == (True, False)
        viewer.load_fov(4)
        qtbot.waitUntil(lambda: panels.plate_map.current == 2, timeout=20_000)
        assert viewer.width() == 1100  # however long the name is
        assert {key.p for key in source.reads[len(read) :]} <= {0, 2, 4}  # those that were in view
        panels.field_list.setCurrentIndex(panels.field_list.model().index(1, 0))
        assert viewer.stage.view.p == 5


def test_without_wells_all_fields_are_on_a_map_and_one_position_has_no_panels(qtbot, viewer):
    positions = tuple(Position("manual0", i, 100.0 * (i % 3), 80.0 * (i // 3)) for i in range(6))
    with show(qtbot, viewer, MemorySource(memory_info(positions=positions))):
        panels = viewer._screen.side.panels
        assert panels.plate_map.isHidden()
        qtbot.waitUntil(lambda: not panels.field_map.isHidden(), timeout=20_000)
        click(qtbot, panels.field_map, 4)
        assert (viewer.stage.view.p, viewer.stage.sliders.slider("p").maximum()) == (4, 5)
        qtbot.keyClick(panels.field_map, Qt.Key.Key_Up)
        assert viewer.stage.view.p == 1
    with show(qtbot, viewer, MemorySource(memory_info(n_p=1))):
        qtbot.waitUntil(panels.isHidden, timeout=20_000)


def test_a_host_gets_panels_only_if_it_asks_for_them(qtbot):
    widget = LightweightViewer()
    qtbot.addWidget(widget)
    source = MemorySource(memory_info(positions=(Position("A1", 0), Position("A2", 0), Position("A2", 1))))
    with show(qtbot, widget, source):
        qtbot.keyClick(widget, Qt.Key.Key_P)
        assert widget.stage.splitter.count() == 2
        assert widget.stage.sliders.slider("p").maximum() == 2
    widget.close()


def test_what_is_stored_is_looked_up_once_the_first_small_pictures_are_there(qtbot, viewer):
    with show(qtbot, viewer, MemorySource(memory_info(n_t=1))) as dataset:
        places = viewer._screen.side.places
        asked = []
        dataset.position_states, look = lambda t: asked.append(t) or look(t), dataset.position_states
        places.pictures_come_first = lambda: True
        viewer._screen.poll.wake()
        qtbot.waitUntil(lambda: viewer.stage.dataset is dataset, timeout=20_000)
        asked.clear()
        for _ in range(3):
            places.step()
        assert asked == []
        places.pictures_come_first = lambda: False
        places.step()
        assert asked == [0]


@pytest.mark.each_binding
def test_long_names_of_fields_that_differ_at_their_ends_only_are_told_apart(qtbot, viewer):
    alike = "Experiment 2024-03-11 treated with compound 17, " + "timelapse " * 20
    positions = tuple(Position("B2", i, name=f"{alike} {i} end") for i in range(2))
    show(qtbot, viewer, MemorySource(memory_info(positions=positions)))
    fields = viewer._screen.side.panels.field_list
    qtbot.waitUntil(fields.isVisible, timeout=20_000)
    qtbot.waitUntil(lambda: bool(fields.model().states), timeout=20_000)
    fields.doItemsLayout()
    rows = [fields.visualRect(fields.model().index(i, 0)) for i in range(2)]
    assert fields.fontMetrics().horizontalAdvance(alike) > rows[0].width(), "they do not fit"
    assert fields.viewport().height() == sum(row.height() for row in rows), "no empty strip below"
    assert all(row.height() >= 18 for row in rows), "high enough to be clicked at"
    fields.clearSelection()
    fields.setCurrentIndex(QModelIndex())
    viewer.setFocus()
    picture = fields.viewport().grab().toImage()
    ratio = picture.devicePixelRatio()
    ends = [
        picture.copy(
            *(round(ratio * n) for n in (row.x() + row.width() // 2, row.y(), row.width() // 2, row.height()))
        )
        for row in rows
    ]
    assert ends[0] != ends[1], "their ends are drawn"
    assert all(alike in fields.model().index(i, 0).data(Qt.ItemDataRole.ToolTipRole) for i in range(2))


@pytest.mark.parametrize(
    ("sizes", "hint"),
    [
        ({"n_t": 3, "n_z": 7, "n_p": 2}, "A1:1  t3  z7  c2, or a link to a view"),
        ({"n_t": 1, "n_z": 4, "n_p": 1, "n_c": 1}, "z4, or a link to a view"),
        ({"n_t": 1, "n_z": 1, "n_p": 1, "n_c": 1}, "A link to a view"),
    ],
)
def test_where_one_can_go_is_said_of_what_there_is(qtbot, viewer, sizes, hint):
    show(qtbot, viewer, MemorySource(memory_info(**sizes)))
    qtbot.keyClick(viewer.stage.picture, Qt.Key.Key_Slash)
    box = viewer.stage.go_box
    assert box.isVisible() and box.words.text() == hint
    if "c2" in hint:
        qtbot.keyClicks(box.line, "c3")
        qtbot.keyClick(box.line, Qt.Key.Key_Return)
        assert box.words.text() == "There is no channel 3: there are 1 to 2"
        qtbot.keyClicks(box.line, "c2 t2")
        qtbot.keyClick(box.line, Qt.Key.Key_Return)
        assert (viewer.stage.strips.alone, viewer.stage.view.t) == (1, 1), "as with key 2"
    qtbot.keyClick(box.line, Qt.Key.Key_Escape)
