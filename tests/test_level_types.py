"""Levels whose pixels are of another type than those of level 0: averages, sums, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import image_stores
import numpy as np
import pytest
import stores
from image_stores import Made, halved

from ndviewer_light.opening import open_dataset

pytest.importorskip("ndv")
from ndviewer_light.gui.canvas.canvas_view import View
from ndviewer_light.gui.canvas.view_arrays import ViewArrays

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = stores.needs_zarr_3


def write(path: Path, dtype: Any) -> list[np.ndarray]:
    """An image of bytes, and a level of sums of eight of them, which no byte can hold."""
    first = image_stores.pixels(1, 2, 4, 40, 2100, dtype=np.uint8)
    levels = [first, (halved(first).astype(dtype) * 8 + dtype(0.5))]
    image_stores.write(path, Made(levels, ("A", "B"), [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]))
    return levels


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int64])
def test_a_lazy_array_of_a_level_has_the_type_of_that_level(
    tmp_path: Path, dtype: Any, isolate: bool
) -> None:
    levels = write(tmp_path / "i.zarr", dtype)
    with open_dataset(tmp_path / "i.zarr", isolate=isolate) as dataset:
        for level, written in enumerate(levels):
            array = dataset.to_xarray(level=level)
            assert array.dtype == written.dtype == dataset.plane(level=level).dtype
            np.testing.assert_array_equal(array.values[:, 0].swapaxes(1, 2), written)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_volume_is_drawn_from_a_level_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    monkeypatch.setattr("ndviewer_light.gui.canvas.volume_reading.MAX_TEXTURE_3D", 2048)
    levels = write(tmp_path / "i.zarr", dtype)
    with open_dataset(tmp_path / "i.zarr") as dataset:
        read = ViewArrays(dataset).read_arrays(View(is_volume=True), [0, 1], {})
        assert read.frame.level == 1
        for c in (0, 1):
            assert read.arrays[c].dtype == dtype
            np.testing.assert_array_equal(read.arrays[c], levels[1][0, c])
