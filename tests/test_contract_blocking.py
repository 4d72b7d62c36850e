"""What blocked or cost too much in the viewer before this one (contract §7.2, rows 24–35), and is held here.

| row | what was wrong | held by |
| --- | --- | --- |
| 24 | scans and opens on the GUI thread | here, `test_host::test_a_disk_that_hangs_while_opening_holds_up_neither_the_next_dataset_nor_the_end` |
| 25 | every file and store opened at load, and kept open | here, `test_tiff_source::test_opening_opens_one_image_only`, `test_tiff_faults::test_handles_are_bounded_and_closed`, `test_zarr_source::test_open_stores_are_bounded`, `test_layouts::test_opening_a_large_plate_reads_plate_wells_and_one_image` |
| 26 | icons looked for in the network at each start, old canvases kept | `test_costs::test_no_connection_is_tried_while_the_viewer_is_built_and_shows_a_dataset`, and here |
| 27 | an array of the whole stack allocated at start | here |
| 28 | all planes touched at each refresh, a Qt signal per plane | here |
| 29 | files opened under a lock for which close and end wait | here, `test_cache::test_nothing_is_called_out_to_while_the_lock_is_held` |
| 30 | a page that is not there leaves its file open | here |
| 31 | tries without end, one chain more per event | `test_dataset_written::test_a_store_that_never_appears_is_looked_for_ever_more_rarely`, `test_dataset_retries::test_drawing_often_does_not_read_a_failing_plane_more_often` |
| 32 | indices that grow without bound | `test_bits::test_a_million_planes_take_less_than_a_quarter_of_a_megabyte`, `test_registered::test_every_file_registered_is_found_again_and_none_is_kept`, and here |
| 33 | full resolution only, arrays at "0" only | `test_zarr_source::test_all_levels_of_a_pyramid`, `test_layouts::test_array_is_found_where_datasets_path_says` |
| 34 | a volume read whole at full resolution | here |
| 35 | every step reads again; errors of tensorstore not understood | `test_costs::test_a_frame_reads_each_visible_channel_once_and_what_was_shown_not_at_all`, `test_zarr_source::test_outside_the_dataset_is_an_index_error`, `test_zarr_damaged::test_what_tensorstore_refuses_is_our_error`, and here |
"""  # noqa: E501  a table

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import stores
from runs import CHANNELS, load, planes_of, small_run, write
from screen import assert_shows, settle
from squid_host import go_to, squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import over, saved
from uploads import uploaded

from simulate_acquisition import announce_run, notify_plane

pytestmark = pytest.mark.gl

REPO = Path(__file__).parents[1]
LAYOUTS = ("per_fov", "hcs", "6d", "images", "stacks", "ome_tiff")
FILES_KEPT_OPEN = 64


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


# ---- 24: the GUI thread touches no disk -------------------------------------------------------------------

_WATCHED = """
import os, sys, threading
sys.path[:0] = [{repo!r}, {tests!r}]
import json, pickle
folder = sys.argv[1]
touched = []
gui = threading.main_thread()

def note(what, path):
    try:
        path = os.fsdecode(path)
    except TypeError:  # a number of an open file
        return
    if threading.current_thread() is gui and path.startswith(folder):
        touched.append([what, path])

def audit(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments:
        note(event, arguments[0])

sys.addaudithook(audit)

class Looked:
    def __init__(self, name):
        self.name, self.real = name, getattr(os, name)
    def __call__(self, path, *more, **others):
        note(self.name, path)
        return self.real(path, *more, **others)

for name in ("stat", "lstat", "access", "readlink"):
    setattr(os, name, Looked(name))

os.stat(folder)
os.listdir(folder)
assert [what for what, _ in touched] == ["stat", "os.listdir"]  # it is seen
touched.clear()
from qtpy.QtWidgets import QApplication
app = QApplication([])
from gl_host import Loop
import ndviewer_light
from simulate_acquisition import announce_run, notify_plane
loop = Loop()
run, other = pickle.loads(bytes.fromhex(sys.argv[2]))
viewer = ndviewer_light.LightweightViewer(str(run.folder))
viewer.resize(700, 500)
viewer.show()
def shown():
    canvas = viewer.stage.canvas
    frame = canvas.frame if canvas is not None else None
    return frame is not None and not canvas.busy and frame.view == viewer.stage.view and all(
        plane.pixels is not None for plane in frame.planes.values())
loop.waitUntil(lambda: viewer.dataset is not None and shown())
viewer.load_fov(2, 1, 1)
loop.waitUntil(shown)
viewer.refresh()
viewer.get_fov_list()
viewer.set_current_index("fov", 0)
loop.waitUntil(shown)
announce_run(viewer, other)
for plane in other.planes():
    notify_plane(viewer, other, plane)
loop.waitUntil(shown)
viewer.go_to_well_fov("B2", 0)
loop.waitUntil(shown)
viewer.end_zarr_acquisition()
viewer.end_acquisition()
loop.wait(300)
viewer.load_dataset(str(run.folder))
loop.waitUntil(lambda: not viewer.is_push_mode_active() and viewer.dataset is not None and shown())
viewer.close()
print(json.dumps(touched), flush=True)
os._exit(0)  # as Squid ends
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_24_no_call_of_a_host_and_no_frame_touches_the_disk_on_the_gui_thread(tmp_path, layout):
    run, other = small_run(tmp_path / "run", layout), small_run(tmp_path / "other", layout, seed=5)
    for each in (run, other):
        write(each)
    script = _WATCHED.format(repo=str(REPO), tests=str(REPO / "tests"))
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), pickle.dumps((run, other)).hex()],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == []


# ---- 25 and 30: files that are kept open ------------------------------------------------------------------


def files_open_in_the_reader(viewer, folder: Path) -> list[str]:
    opened = psutil.Process(viewer.dataset._source.pid).open_files()
    return [file.path for file in opened if file.path.startswith(str(folder))]


@pytest.mark.parametrize("layout", ["images", "stacks", "ome_tiff", "per_fov"])
def test_25_however_many_files_are_looked_at_few_stay_open(qtbot, viewer, tmp_path, layout):
    run = small_run(tmp_path / "run", layout, regions=("A1",), fovs=(100,), n_t=1, n_z=1, height=64, width=64)
    write(run)
    load(qtbot, viewer, run.folder)
    dataset = viewer.dataset
    most = 0
    for p in range(100):
        assert dataset.plane(0, p, 1, 0).any()
        most = max(most, len(files_open_in_the_reader(viewer, run.folder)))
    assert most <= FILES_KEPT_OPEN
    assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(run.folder))]


@pytest.mark.parametrize("form", ["images", "stacks"])
def test_30_a_page_that_is_not_in_its_file_leaves_no_file_open_and_the_others_are_shown(
    qtbot, squid, tmp_path, form
):
    run = small_run(tmp_path / "run", form, regions=("A1",), fovs=(80,), n_t=1, n_z=1, height=64, width=64)
    write(run)
    announced = small_run(tmp_path / "elsewhere", "images", regions=("A1",), fovs=(80,), n_t=1, n_z=1)
    acquisition = squid.start(announced, saving=False, planes=0)
    planes = list(run.planes())
    for number, plane in enumerate(planes):
        path = run.stack_path(plane) if form == "stacks" else run.image_path(plane)
        page = 99 if number % 2 else number % 2
        squid.viewer.register_image(plane.t, plane.fov, plane.z, plane.channel, str(path), page)
    go_to(squid.viewer)
    settle(qtbot, squid.viewer)
    dataset, most = squid.viewer.dataset, 0
    for p in range(80):
        assert dataset.plane(0, p, 0, 0).any()
        with pytest.raises(LookupError, match="no page 99"):
            dataset.plane(0, p, 1, 0)
        most = max(most, len(files_open_in_the_reader(squid.viewer, run.folder)))
    assert most <= FILES_KEPT_OPEN
    go_to(squid.viewer, p=79)
    frame = settle(qtbot, squid.viewer)
    assert frame.planes[1].pixels is None
    wait_for_states(qtbot, squid.viewer, "PRESENT", frame.planes[1].state.name)
    first = planes_of(run, 0, 79, 0)[CHANNELS[0]]
    assert_shows(squid.viewer, {CHANNELS[0]: first})
    over(qtbot, acquisition)


# ---- 26 and 27: what a start costs ------------------------------------------------------------------------


def test_26_starting_again_and_again_leaves_one_canvas(qtbot, squid, tmp_path):
    from qtpy.QtWidgets import QApplication, QOpenGLWidget

    from ndviewer_light.gui.canvas.opengl import WINDOW_PREPARED

    for number in range(3):
        run = small_run(tmp_path / str(number), "per_fov", seed=number, n_t=1)
        acquisition = squid.start(run)
        over(qtbot, acquisition)
        wait_until_shown(qtbot, squid.viewer, run)
    qtbot.wait(50)  # what is to be deleted later
    # by name: the host has imported them under another one
    kinds = (QOpenGLWidget.__name__, "PaintedPane")
    drawn = [
        widget
        for widget in QApplication.allWidgets()
        if any(kind.__name__ in kinds for kind in type(widget).__mro__)
    ]
    canvases = [widget for widget in drawn if widget.objectName() != WINDOW_PREPARED]
    assert canvases == [squid.viewer.stage.canvas.surface]


def test_27_a_start_allocates_one_plane_not_the_whole_stack(qtbot, squid, tmp_path):
    side, n_z = 2084, 500
    channels = [f"Fluorescence {nm} nm Ex" for nm in (405, 488, 561, 638)]
    whole = n_z * len(channels) * side * side * 2  # 17 GB
    squid.start(small_run(tmp_path / "first"), saving=False)
    settle(qtbot, squid.viewer)
    before = psutil.Process().memory_info().rss
    paths = [str(tmp_path / "zarr" / "A1" / f"fov_{i}.ome.zarr") for i in range(100)]
    labels = [f"A1:{i}" for i in range(100)]
    squid.tab.start_zarr_acquisition(paths, channels, n_z, labels, side, side)
    wait_for_states(qtbot, squid.viewer, *["PENDING"] * 4)
    assert psutil.Process().memory_info().rss - before < whole / 50
    squid.tab.end_zarr_acquisition()


# ---- 28: bursts -------------------------------------------------------------------------------------------


def frames_during(qtbot, viewer, burst) -> int:
    arrived = []
    viewer.stage.canvas.frame_arrived.connect(lambda: arrived.append(1))
    burst()
    qtbot.wait(300)
    settle(qtbot, viewer)
    return len(arrived)


@pytest.mark.parametrize("layout", ["per_fov", "images"])
def test_28_a_burst_draws_no_frame_per_plane_and_none_for_planes_out_of_view(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=23)
    saved(qtbot, acquisition, 23)
    wait_until_shown(qtbot, squid.viewer, run)
    planes = list(run.planes())
    in_view, elsewhere = planes[:2], planes[4:20]

    def burst(of):
        for i in range(10_000):
            notify_plane(squid.tab, run, of[i % len(of)])

    # whatever the last planes made it look at may take a while
    qtbot.waitUntil(lambda: frames_during(qtbot, squid.viewer, lambda: burst(elsewhere)) == 0)
    assert 1 <= frames_during(qtbot, squid.viewer, lambda: burst(in_view)) <= 100
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)


# ---- 29: a disk that hangs --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe in the place of a file")
@pytest.mark.parametrize("layout", ["per_fov", "6d", "images"])
def test_29_a_file_that_hangs_holds_up_no_call_no_other_position_and_no_other_run(
    qtbot, squid, tmp_path, layout
):
    run = small_run(tmp_path / "run", layout, n_t=1)
    acquisition = squid.start(run, saving=False, planes=11)
    planes = list(run.planes())
    write(small_run(tmp_path / "written", layout, n_t=1))
    (tmp_path / "written").rename(run.folder)
    if layout == "images":
        hung = run.image_path(planes[0])
    else:
        hung = Path(run.region_paths[0] if layout == "6d" else run.fov_paths[0]) / "zarr.json"
    hung.unlink()
    os.mkfifo(hung)  # whoever opens it waits for ever
    go_to(squid.viewer, p=2)
    wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, p=0)
    qtbot.wait(300)
    go_to(squid.viewer, p=2, z=1)
    wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, p=0)
    over(qtbot, acquisition)
    second = small_run(tmp_path / "second", layout, seed=5)
    acquisition = squid.start(second)
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, second)


# ---- 34 and 35: what is read ------------------------------------------------------------------------------


def test_34_a_volume_too_large_is_read_from_a_smaller_level(tmp_path, monkeypatch):
    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.gui.canvas import volume_reading
    from ndviewer_light.gui.canvas.canvas_view import View
    from ndviewer_light.gui.canvas.view_arrays import ViewArrays
    from ndviewer_light.sources.zarr.source import ZarrSource

    stores.write_pyramid(tmp_path / "pyramid.ome.zarr")
    source = ZarrSource.open(str(tmp_path / "pyramid.ome.zarr"))
    read: list[int] = []
    read_plane = source.read_plane
    monkeypatch.setattr(
        source, "read_plane", lambda key, level=0: (read.append(level), read_plane(key, level))[1]
    )
    with Dataset(source) as dataset:
        height, width = dataset.plane_shape(1)
        n_z, n_c = dataset.info.n_z, len(dataset.info.channels)
        monkeypatch.setattr(volume_reading, "MAX_VOLUME_BYTES", n_z * n_c * height * width * 2)
        arrays = ViewArrays(dataset)
        arrays.view = View(is_volume=True)
        volume, _ = uploaded(arrays)
        assert volume.shape == (n_c, n_z, height, width)
        assert set(read) == {1}
        expected = np.stack([[source.read_plane((0, 0, c, z), 1) for z in range(n_z)] for c in range(n_c)])
        np.testing.assert_array_equal(volume, expected)


def test_35_what_was_shown_is_shown_again_without_its_files(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", "images")
    write(run)
    load(qtbot, viewer, run.folder)
    for p in (0, 1):
        go_to(viewer, p=p)
        wait_until_shown(qtbot, viewer, run)
    for path in run.folder.glob("0/A1_*.tiff"):
        path.unlink()
    for p in (0, 1, 0):
        go_to(viewer, p=p)
        wait_until_shown(qtbot, viewer, run)
    go_to(viewer, p=0, z=1)
    wait_for_states(qtbot, viewer, "ABSENT", "ABSENT")


def test_35_notifications_outside_what_is_stored_are_no_storm_of_warnings(qtbot, squid, tmp_path, caplog):
    run = small_run(tmp_path / "run", n_t=1)
    write(run)
    squid.start(small_run(run.folder, n_t=1, n_z=9), saving=False, planes=10)
    wait_until_shown(qtbot, squid.viewer, run)
    with caplog.at_level("WARNING"):
        for _ in range(100):
            for t, p, z in ((5, 0, 0), (0, 0, 8), (0, 2, 5)):
                squid.tab.notify_zarr_frame(t, p, z, CHANNELS[0])
            qtbot.wait(5)
        wait_until_shown(qtbot, squid.viewer, run)
    assert len(caplog.records) <= 3, [record.getMessage() for record in caplog.records]


def test_32_files_that_follow_the_rule_are_not_kept_one_by_one(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run", "images", n_t=1000, regions=("A1",), fovs=(4,))
    announce_run(squid.tab, run)
    files = squid.viewer._screen.runs.wanted._files
    for plane in run.planes():
        notify_plane(squid.tab, run, plane)
    assert files.n_t == 1000
    assert len(files._exceptions) == 0
    squid.tab.end_acquisition()
