"""A plate on disk that grows while its window is open, and while another field than the newest is pinned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from qtpy.QtCore import QPoint, Qt
from runs import load
from screen import activate, settle

from ndviewer_light.engine.state_codes import TimeState
from ndviewer_light.gui.run_status import run_progress
from ndviewer_light.model import PlaneState

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.gui.canvas.view_frames import Frame

pytestmark = pytest.mark.gl

SIZE = 64
NONE = Qt.KeyboardModifier.NoModifier


class GrowingPlate:
    """An OME-Zarr plate whose fields are arrays that are resized; the value of a plane says which it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wells: dict[str, int] = {}
        self._arrays: list[stores.ts.TensorStore] = []

    def add_well(self, well: str, n_fields: int, n_t: int) -> None:
        self.wells[well] = 0
        for _ in range(n_fields):
            self.add_field(well, n_t)
        rows, columns = (sorted({name.split("/")[i] for name in self.wells}) for i in (0, 1))
        described = [
            {"path": name, "rowIndex": rows.index(name[0]), "columnIndex": columns.index(name[2:])}
            for name in self.wells
        ]
        names = {"rows": [{"name": row} for row in rows], "columns": [{"name": name} for name in columns]}
        self._describe(self.path, {"plate": {**names, "wells": described}})

    def add_field(self, well: str, n_t: int) -> None:
        field = self.wells[well]
        image = self.path / well / str(field)
        self._arrays.append(
            stores.create_array(image / "0", (0, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, SIZE, SIZE))
        )
        attributes = stores.image_attributes(squid=False, channels=stores.CHANNELS[:1])
        stores.write_group(image, attributes)
        for t in range(n_t):
            self.write(len(self._arrays) - 1, t)
        self.wells[well] += 1
        self._describe(self.path / well, {"well": {"images": [{"path": str(i)} for i in range(field + 1)]}})

    def write(self, p: int, t: int) -> None:
        """Give a field (in the order in which they were added) its next time point."""
        grown = self._arrays[p].resize(exclusive_max=[t + 1, 1, 1, SIZE, SIZE]).result()
        grown[t].write(np.full((1, 1, SIZE, SIZE), value_of(p, t), np.uint16)).result()
        self._arrays[p] = grown

    def _describe(self, folder: Path, attributes: dict[str, object]) -> None:
        """As writers do that think of readers: the file is there at once."""
        coming = folder / "zarr.json.coming"
        group = {"zarr_format": 3, "node_type": "group", "attributes": stores.v3_attributes(attributes)}
        folder.mkdir(parents=True, exist_ok=True)
        coming.write_text(json.dumps(group))
        coming.replace(folder / "zarr.json")


def value_of(p: int, t: int) -> int:
    return 100 + 10 * p + t


def at(viewer):
    return viewer.stage.view.t, viewer.stage.view.p


def check_shown(qtbot, viewer):
    """What is on the canvas is the plane that the sliders say."""
    frame = settle(qtbot, viewer)
    (plane,) = frame.planes.values()
    assert plane.state is PlaneState.PRESENT
    assert set(np.unique(plane.pixels)) == {value_of(frame.view.p, frame.view.t)}


def states_on_map(qtbot, viewer, t, wanted):
    """Wait until the states of all fields at a time point are these."""
    states: list[TimeState] = []

    def are_there() -> bool:
        found = viewer.dataset.position_states(t)
        states[:] = () if found is None else found.states
        return states == wanted

    qtbot.waitUntil(are_there, timeout=20_000)


def test_fields_wells_and_time_points_are_added_while_another_field_is_pinned(qtbot, window, tmp_path):
    plate = GrowingPlate(tmp_path / "plate.ome.zarr")
    plate.add_well("A/1", 2, n_t=2)
    viewer = window.viewer
    viewer.load_dataset(str(plate.path))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
    activate(qtbot, window)
    sliders = viewer.stage.sliders
    positions = sliders.slider("p")
    qtbot.mouseClick(
        positions, Qt.MouseButton.LeftButton, NONE, QPoint(positions.width() - 4, positions.height() // 2)
    )
    assert at(viewer) == (0, 1)

    plate.add_field("A/1", n_t=2)
    plate.add_well("A/2", 2, n_t=2)
    plate.add_well("B/1", 1, n_t=2)
    qtbot.waitUntil(lambda: len(viewer.dataset.info.positions) == 6, timeout=20_000)
    qtbot.waitUntil(lambda: at(viewer) == (1, 1), timeout=20_000)  # time follows, the field stays
    qtbot.waitUntil(lambda: positions.maximum() == 2, timeout=20_000)  # of the three in its well
    check_shown(qtbot, viewer)

    for p in range(3):  # some fields have the next time point before others
        plate.write(p, 2)
    qtbot.waitUntil(lambda: at(viewer) == (2, 1), timeout=20_000)
    assert sliders.size("t") == 3
    states_on_map(qtbot, viewer, 2, [TimeState.ACQUIRED] * 3 + [TimeState.PENDING] * 3)
    for p in range(3, 6):
        plate.write(p, 2)
    states_on_map(qtbot, viewer, 2, [TimeState.ACQUIRED] * 6)
    assert at(viewer) == (2, 1)
    check_shown(qtbot, viewer)

    qtbot.keyClick(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: at(viewer) == (2, 5), timeout=20_000)
    check_shown(qtbot, viewer)
    qtbot.keyClick(sliders.slider("t"), Qt.Key.Key_Left)
    assert at(viewer) == (1, 5)
    plate.write(5, 3)
    qtbot.waitUntil(lambda: sliders.size("t") == 4, timeout=20_000)
    assert at(viewer) == (1, 5), "time is pinned now"
    check_shown(qtbot, viewer)


def test_the_picture_of_a_viewer_that_follows_nothing_is_not_drawn_again_as_time_points_are_added(
    qtbot, viewer, tmp_path
):
    """Drawing it costs more than all the rest, where no graphics card draws."""
    plate = GrowingPlate(tmp_path / "plate.ome.zarr")
    plate.add_well("A/1", 2, n_t=2)
    load(qtbot, viewer, plate.path)
    check_shown(qtbot, viewer)
    drawn: list[Frame] = []
    viewer.stage.canvas.frame_shown.connect(lambda: drawn.append(viewer.stage.canvas.frame))
    for t in (2, 3):
        plate.write(0, t)
        qtbot.waitUntil(lambda n=t + 1: viewer.stage.sliders.size("t") == n, timeout=20_000)
    settle(qtbot, viewer)
    assert not drawn
    viewer.stage.go_to(t=3)
    check_shown(qtbot, viewer)
    assert (
        sum(plane.state is not PlaneState.LOADING for frame in drawn for plane in frame.planes.values()) == 1
    )


def test_a_time_point_that_a_field_lacks_can_be_gone_to(qtbot, viewer, tmp_path):
    plate = GrowingPlate(tmp_path / "plate.ome.zarr")
    plate.add_well("A/1", 2, n_t=2)
    plate.write(0, 2)  # and there it ended
    stores.make_old(plate.path, 200)
    load(qtbot, viewer, plate.path)
    check_shown(qtbot, viewer)
    viewer.stage.go_to(t=2, p=1)
    qtbot.waitUntil(lambda: viewer.dataset.has_looked_at(1), timeout=20_000)
    settle(qtbot, viewer)
    viewer._screen.finder.next_missing()
    status = viewer.status_label
    qtbot.waitUntil(lambda: "t 3" in status.said("message"), timeout=20_000)
    assert at(viewer) == (2, 1)
    frame = settle(qtbot, viewer)
    assert {plane.state for plane in frame.planes.values()} == {PlaneState.ABSENT}
    qtbot.waitUntil(lambda: len(viewer.stage.sliders.time_strip.states) == 3, timeout=20_000)
    assert viewer.stage.sliders.time_strip.states[2] is TimeState.MISSING


# ---- wells and fields that are listed, and not there yet ---------------------------------------------


class ListedPlate(GrowingPlate):
    """One whose metadata list all wells from the start, and all fields of a well once it is begun."""

    N_FIELDS = 2

    def __init__(self, path: Path, wells: list[str]) -> None:
        super().__init__(path)
        rows, columns = (sorted({name.split("/")[i] for name in wells}) for i in (0, 1))
        described = [
            {"path": name, "rowIndex": rows.index(name[0]), "columnIndex": columns.index(name[2:])}
            for name in wells
        ]
        names = {"rows": [{"name": row} for row in rows], "columns": [{"name": name} for name in columns]}
        self._describe(path, {"plate": {**names, "wells": described}})

    def begin_well(self, well: str) -> None:
        listed = [{"path": str(i)} for i in range(self.N_FIELDS)]
        self._describe(self.path / well, {"well": {"images": listed}})

    def add_image(self, well: str, field: int) -> None:
        image = self.path / well / str(field)
        array = stores.create_array(image / "0", (1, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, SIZE, SIZE))
        stores.write_group(image, stores.image_attributes(squid=False, channels=stores.CHANNELS[:1]))
        array.write(np.full((1, 1, 1, SIZE, SIZE), value_of(field, 0), np.uint16)).result()


def words_on_map(viewer, row, column):
    """What is said of a well under the mouse, on the map of the plate."""
    plate = viewer._screen.side.panels.plate_map
    geometry = plate._geometry()
    return plate.words_at(*geometry.center(row, column))


def show_listed_plate(qtbot, window, plate):
    """Begin a plate, open it, and let it grow."""
    plate.begin_well("A/1")
    plate.add_image("A/1", 0)
    viewer = window.viewer
    viewer.load_dataset(str(plate.path))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
    activate(qtbot, window)
    plate.begin_well("A/2")
    plate.add_image("A/2", 0)
    states_on_map(qtbot, viewer, 0, [TimeState.ACQUIRED, TimeState.PENDING] * 2)
    return viewer


def test_wells_that_a_plate_lists_are_pending_while_it_grows_and_missing_after_it(
    qtbot, window, tmp_path, monkeypatch
):
    plate = ListedPlate(tmp_path / "plate.ome.zarr", ["A/1", "A/2", "B/1", "B/2"])
    viewer = show_listed_plate(qtbot, window, plate)
    panels = viewer._screen.side.panels
    qtbot.waitUntil(lambda: words_on_map(viewer, 1, 0) == "B1\nnot written yet", timeout=20_000)
    assert TimeState.PENDING in panels.legend.states
    assert words_on_map(viewer, 1, 2) == ""  # the plate lists no B3

    monkeypatch.setattr(run_progress, "STALLED_SECONDS", 0.0)
    qtbot.waitUntil(lambda: words_on_map(viewer, 1, 0) == "B1\nnothing stored", timeout=20_000)
    states_on_map(qtbot, viewer, 0, [TimeState.ACQUIRED, TimeState.MISSING] * 2)  # of fields as of wells
    assert viewer.dataset.is_being_written, "when the row says that nothing new comes, not some time after"
    qtbot.waitUntil(lambda: TimeState.MISSING in panels.legend.states, timeout=20_000)


def looks_of(canvas, well):
    """The colours along the upper edge of a well in the overview, above its fields."""
    picture, ratio = canvas.grab().toImage(), canvas.devicePixelRatioF()
    (found,) = (each for each in canvas.scene.wells if each.name == well)
    left, top, right, bottom = canvas.scene.well_box(found, canvas.viewport)
    y = round(top + 0.9 * (bottom - top))
    return {picture.pixel(x, y) for x in range(round(left + 2 * ratio), round(right - 2 * ratio))}


def test_they_are_so_in_the_overview(qtbot, window, tmp_path, monkeypatch):
    plate = ListedPlate(tmp_path / "plate.ome.zarr", ["A/1", "A/2", "B/1", "B/2"])
    viewer = show_listed_plate(qtbot, window, plate)
    scene = viewer._screen.tools.scene
    scene.show()
    said: list[str] = []
    scene.said.connect(said.append)
    canvas = scene.canvas
    qtbot.waitUntil(lambda: canvas.scene is not None and canvas.is_complete, timeout=20_000)

    def hover_over(edges):
        left, top, right, bottom = edges
        canvas.hovered.emit(((left + right) / 2, (top + bottom) / 2))
        return said[-1]

    def hover(name):
        (well,) = (well for well in canvas.scene.wells if well.name == name)
        return hover_over(well.edges)

    def hover_field(p):
        return hover_over(canvas.scene.edges[p]).split("   ")[-1]

    assert hover("B1") == "B1   listed by the plate, not written yet"
    plate.begin_well("B/2")
    plate.add_image("B/2", 0)
    qtbot.waitUntil(lambda: len(canvas.scene) == 6, timeout=20_000)
    qtbot.waitUntil(lambda: canvas.is_complete and canvas.image_of(4) is not None, timeout=20_000)
    assert looks_of(canvas, "B2") == looks_of(canvas, "A1")  # the ground around the fields
    assert looks_of(canvas, "B2") != looks_of(canvas, "B1")
    qtbot.waitUntil(lambda: hover_field(1) == "not written yet", timeout=20_000)
    pending = canvas.grab().toImage()
    monkeypatch.setattr(run_progress, "STALLED_SECONDS", 0.0)
    qtbot.waitUntil(lambda: hover("B1") == "B1   listed by the plate, no image is there", timeout=20_000)
    qtbot.waitUntil(lambda: hover_field(1) == "nothing stored", timeout=20_000)
    assert viewer.dataset.is_being_written, "when the row says that nothing new comes, not some time after"
    qtbot.waitUntil(lambda: canvas.grab().toImage() != pending, timeout=20_000)
