"""What the overview keeps in memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from overview_fields import complete, shown
from runs import load
from screen import settle

from ndviewer_light.engine.thumbnails import ThumbnailLoader, WantedThumbnail
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.scene.field_pictures import FieldPictures
from ndviewer_light.model import Plane, PlaneState, StackKey

pytestmark = pytest.mark.gl


def test_pictures_out_of_view_are_kept_coarsely_and_made_again_when_they_are_back(
    qtbot, viewer, tmp_path, monkeypatch
):
    path = tmp_path / "p.ome.zarr"
    sizes = {"t": 1, "c": 1, "z": 1, "y": 128, "x": 128}
    stores.write_plate(path, {f"A/{i}": 1 for i in range(1, 9)}, sizes=sizes)
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    monkeypatch.setattr("ndviewer_light.gui.scene.field_images.IMAGES_BYTES", 3 * 128 * 128 * 4)
    for p in range(8):
        canvas.look_at_field(p)
        complete(qtbot, overview)
        assert canvas.image_of(p).width() == 128
        assert canvas.images.nbytes <= (3 + 3) * 128 * 128 * 4
    assert canvas.image_of(0).width() == 48
    canvas.look_at_field(0)
    complete(qtbot, overview)
    assert canvas.image_of(0).width() == 128


def test_small_planes_in_memory_are_bounded(monkeypatch):
    class Source:
        def read(self, keys, edge, seconds_after):
            return [Plane(PlaneState.PRESENT, np.ones((64, 64), "u2")) for _ in keys]

    monkeypatch.setattr("ndviewer_light.gui.scene.field_pictures.PICTURES_BYTES", 20 * 64 * 64 * 2)
    background = Background()
    pictures = FieldPictures(lambda p: 64, background.run)
    loader = ThumbnailLoader(Source(), pictures.kick)
    pictures.read_from(loader)
    pictures.show_place((0, 0))
    loader.want(WantedThumbnail(StackKey(0, p, 0, 0), 64) for p in range(200))
    while loader.n_left or loader.has_arrived or pictures.is_busy:
        assert pictures.nbytes <= 20 * 64 * 64 * 2
    assert sum(bool(pictures.known(p)) for p in range(200)) == 20
    loader.close()
    pictures.close()
    loader.join(60)
    background.end()
