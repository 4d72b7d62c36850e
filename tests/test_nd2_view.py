"""An ND2 file in the widget: its channels in their colours, its positions and sliders by name."""

from __future__ import annotations

import pytest
import stores
from nd2_samples import TWO, P, Z, frame
from nd2_writer import time_loop, write_nd2
from runs import load
from screen import assert_shows, settle

pytest.importorskip("nd2")
pytestmark = pytest.mark.gl


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
def test_an_nd2_file_is_shown_as_it_is(qtbot, viewer, tmp_path, compressed):
    write_nd2(tmp_path / "a.nd2", frame, [time_loop(2, 10_000.0), P, Z], TWO, compressed=compressed)
    load(qtbot, viewer, tmp_path / "a.nd2")
    assert [(fov["region"], fov["fov"]) for fov in viewer.get_fov_list()] == [("A1", 0), ("A1", 1), ("P", 0)]
    assert [viewer.stage.strips.color_of(c) for c in range(2)] == ["#0000FF", "#00FF00"]
    for t, p, z in ((0, 0, 0), (1, 2, 3), (1, 1, 0)):
        viewer.load_fov(p, t=t, z=z)
        settle(qtbot, viewer)
        assert viewer.stage.overlay.state() == ("none", "")
        pixels = frame(t * 12 + p * 4 + z)
        assert_shows(viewer, {"DAPI": pixels[..., 0], "GFP": pixels[..., 1]})
    sliders = viewer.stage.sliders
    assert sliders.value_text("p") == "A1:1   3 fields"
    assert sliders.value_text("t") == "2 / 2   00:00:10"


def test_frames_that_were_not_acquired_are_hatched(qtbot, viewer, tmp_path):
    write_nd2(tmp_path / "a.nd2", frame, [time_loop(2), Z], TWO, skip={7})
    stores.make_old(tmp_path)
    load(qtbot, viewer, tmp_path / "a.nd2")
    viewer.load_fov(0, t=1, z=3)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "absent"
    viewer.load_fov(0, t=1, z=2)
    settle(qtbot, viewer)
    assert_shows(viewer, {"DAPI": frame(6)[..., 0], "GFP": frame(6)[..., 1]})


def test_a_file_that_is_still_being_written_is_said_to_be(qtbot, viewer, tmp_path):
    write_nd2(tmp_path / "a.nd2", frame, [time_loop(2), Z], TWO, finished=False)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(str(tmp_path / "a.nd2"))
    assert "still being acquired" in failed.args[1]
