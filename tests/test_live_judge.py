"""The judge of live viewing sees what is wrong: a plane that is another one, torn, black, of another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores

from tests.event_loop import wait
from tests.live_judge import Watch
from tests.live_writers.plan import Plan
from tests.stamps import SMALLEST, Stamp, places, read_fields, read_stamp, stamped

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.gui.viewer import LightweightViewer

SIZE = 192


# ---- stamps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [SMALLEST, (192, 192), (300, 517), (2048, 2048)])
def test_a_stamp_is_read_back(shape: tuple[int, int], dtype: str) -> None:
    stamp = Stamp(t=65535, p=255, c=15, z=255, run=15, ms=2**24 - 1)
    plane = stamped(stamp, *shape, dtype)
    assert plane.min() > 0
    assert read_stamp(plane).whole == stamp


def test_a_plane_without_a_stamp_says_nothing() -> None:
    for plane in (
        np.zeros((SIZE, SIZE)),
        np.full((SIZE, SIZE), 255),
        np.arange(SIZE * SIZE).reshape(SIZE, SIZE),
    ):
        reading = read_stamp(plane)
        assert reading.is_blank
        assert reading.whole is None


def test_a_part_of_a_plane_is_not_taken_for_all_of_it() -> None:
    new, old = (stamped(Stamp(t, 0, 0, 0), SIZE, SIZE) for t in (4, 3))
    lines = places(SIZE, SIZE)[0].astype(int)
    for rest in (old, np.zeros_like(old)):
        for rows in range(lines[0] + 1, lines[-1] + 1):
            torn = np.concatenate([new[:rows], rest[rows:]])
            assert read_stamp(torn).whole is None, f"{rows} rows are new"


def test_a_stamp_that_is_too_faint_is_none() -> None:
    values = np.tile([100.0, 130.0], (15, 16))
    assert read_fields(values, 60).is_blank


# ---- on the canvas ------------------------------------------------------------------------------


@pytest.mark.gl
def test_what_is_wrong_is_seen_on_the_canvas(viewer: LightweightViewer, tmp_path: Path) -> None:
    good = [stamped(Stamp(t, 0, 0, 0), SIZE, SIZE) for t in range(5)]
    black = good[4].copy()
    black[SIZE // 2 :] = 0
    other_run = stamped(Stamp(2, 0, 0, 0, run=1), SIZE, SIZE)
    array = stores.create_array(tmp_path / "0", (5, 1, 1, SIZE, SIZE))
    for t, pixels in enumerate([good[0], good[3], other_run, np.ones_like(black), black]):
        array[t, 0, 0] = pixels
    stores.write_group(tmp_path, stores.image_attributes(channels=["a"], squid=False))
    wait(lambda: viewer.stage is not None and viewer.stage.canvas is not None, 60)
    watch = Watch(viewer, tmp_path, Plan(planes=5, height=SIZE, width=SIZE))
    watch.open()
    try:
        assert wait(watch.follow_some, 30)
        shown = watch.sweep(0.5)
    finally:
        watch.stop()
    assert shown == {(0, 0, 0, 0)}
    said = {wrong.wanted[0]: wrong.shown for wrong in watch.judge.wrong}
    assert said[1].startswith("shows Stamp(t=3,")
    assert "run=1" in said[2]
    assert said[3].startswith("shows no stamp")
    assert said[4].startswith("shows a part")
