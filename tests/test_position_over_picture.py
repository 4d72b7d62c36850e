"""What is written over the picture is said of the picture that is seen, not of one that is being read."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.sessions import Session
from ndviewer_light.model import PlaneKey

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]


def test_the_place_over_the_picture_is_that_of_its_pixels(qtbot, viewer):
    source = MemorySource(memory_info(n_c=1, n_p=1, n_t=1, n_z=6))
    for z in range(6):
        source.stored[PlaneKey(z=z)] = np.full((8, 8), z, np.uint16)
    dataset = Dataset(source, path="/data/stack")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/stack"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    stage, seen = viewer.stage, []

    def note() -> None:
        pixels = stage.canvas.frame.planes[0].pixels
        seen.append((stage.overlay.position(), None if pixels is None else int(pixels[0, 0]) + 1))

    stage.canvas.painted.connect(note)
    assert stage.overlay.position().endswith("z 1")
    for z in (3, 1, 5):
        before = stage.overlay.position()
        stage.sliders.slider("z").setValue(z)
        assert stage.overlay.position() == before, "its frame is not there yet"
        settle(qtbot, viewer)
        assert stage.overlay.position().endswith(f"z {z + 1}")
    assert {z for _, z in seen} >= {2, 4, 6}
    assert all(said.endswith(f"z {z}") for said, z in seen if z is not None)
