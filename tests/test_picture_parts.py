"""Pictures of a part of a view: what is seen on screen, with labels, at the resolution that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from image_stores import Made, halved, pixels, write
from label_images import CELLS, write_labelled
from memory_source import MemorySource, memory_info
from stores import needs_zarr_3

from ndviewer_light import open_dataset
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.rendering.contrast import FixedLimits
from ndviewer_light.rendering.label_picture import LabelStyle
from ndviewer_light.rendering.labels_over import LabelsOver
from ndviewer_light.rendering.view_picture import SeenPart, ShownPlace, ViewPictures

if TYPE_CHECKING:
    from pathlib import Path

PLACE = ShownPlace(0, 0, 0)
LIMITS = FixedLimits({0: (0.0, 255.0)})


def shown(part: SeenPart | None, longest: int | None = None) -> tuple[np.ndarray, float | None]:
    """The green of the picture of a plane whose pixels count up, 8 × 10, 0.5 µm each; and µm per pixel."""
    info = memory_info(n_c=1, pixel_size_x_um=0.5, pixel_size_y_um=0.5)
    source = MemorySource(info)
    source.stored[0, 0, 0, 0] = np.arange(80, dtype=np.uint16).reshape(8, 10)  # type: ignore[index]
    with Dataset(source) as dataset:
        pictures = ViewPictures(dataset, (0,), limits=LIMITS, longest=longest, part=part)
        picture, view = pictures.picture(PLACE)
    return np.asarray(picture)[..., 0], None if view.um_per_px is None else view.um_per_px[1]


def test_a_part_is_cut_out() -> None:
    every, _ = shown(None)
    part, um = shown(SeenPart(0.2, 0.25, 0.7, 0.75))
    np.testing.assert_array_equal(part, every[2:6, 2:7])
    assert um == 0.5


def test_what_lies_beside_the_picture_is_black() -> None:
    every, _ = shown(None)
    part, _ = shown(SeenPart(-0.2, 0.0, 1.1, 1.0))
    assert part.shape == (8, 13)
    np.testing.assert_array_equal(part[:, 2:12], every)
    assert not part[:, :2].any() and not part[:, 12:].any()


def test_a_small_part_is_as_large_as_wanted_and_its_pixels_stay_squares() -> None:
    every, _ = shown(None)
    part, um = shown(SeenPart(0.2, 0.25, 0.6, 0.75), longest=40)
    assert part.shape == (40, 40) and um == pytest.approx(0.05)
    np.testing.assert_array_equal(part[5::10, 5::10], every[2:6, 2:6])


@needs_zarr_3
def test_of_a_part_a_finer_level_is_drawn_than_of_the_whole(tmp_path: Path) -> None:
    levels = [pixels(1, 1, 1, 64, 64)]
    for _ in range(2):
        levels.append(halved(levels[-1], z=1))
    write(tmp_path / "i.zarr", Made(levels, ("DAPI",), [(1, 0.5 * 2**i, 0.5 * 2**i) for i in range(3)]))
    with open_dataset(tmp_path / "i.zarr") as dataset:
        whole = ViewPictures(dataset, (0,), longest=16).pixels(PLACE)
        part = ViewPictures(dataset, (0,), longest=16, part=SeenPart(0.5, 0.5, 0.75, 0.75)).pixels(PLACE)
    assert (whole.level, part.level) == (2, 0)


@needs_zarr_3
@pytest.mark.parametrize("isolate", [False, True])
def test_labels_lie_over_a_part_where_they_are(tmp_path: Path, isolate: bool) -> None:
    write_labelled(tmp_path / "x.zarr")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        pictures = []
        for name in ("", "cells"):
            over = LabelsOver(dataset, name, LabelStyle(opacity=1.0), isolate=isolate) if name else None
            made = ViewPictures(
                dataset, (0,), limits=FixedLimits({0: (0, 60_000)}), labels=over, part=SeenPart(0, 0, 0.5, 1)
            )
            pictures.append(np.asarray(made.picture(PLACE)[0]).astype(int))
            if over is not None:
                over.close()
    differs = np.abs(pictures[1] - pictures[0]).max(axis=-1) > 0
    half = CELLS[:, : CELLS.shape[1] // 2]
    assert differs[half > 0].all() and not differs[half == 0].any()


@needs_zarr_3
def test_a_position_without_such_labels_is_drawn_without_where_that_is_wanted(tmp_path: Path) -> None:
    write_labelled(tmp_path / "x.zarr")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        over = LabelsOver(dataset, "others", LabelStyle(), where_there_are_any=True)
        ViewPictures(dataset, (0,), labels=over).picture(PLACE)
        over = LabelsOver(dataset, "others", LabelStyle())
        with pytest.raises(DatasetNotFoundError, match="no labels 'others'"):
            ViewPictures(dataset, (0,), labels=over).picture(PLACE)
