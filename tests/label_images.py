"""An OME-Zarr image with label images, written by zarr-python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zarr
from image_stores import Made, halved, pixels, write

if TYPE_CHECKING:
    from pathlib import Path

COLOUR = (250, 120, 10, 255)
"""Of label 1, as the metadata say."""

CELLS = np.zeros((24, 32), np.uint32)
CELLS[4:12, 4:12], CELLS[4:20, 16:28] = 1, 2


def write_labelled(path: Path) -> np.ndarray:
    """Write an image and its labels "cells", and "coarse" of half as many pixels; returns it (Y, X)."""
    image = pixels(1, 1, 1, *CELLS.shape, seed=3)
    write(path, Made([image], ("DAPI",), [(1, 0.5, 0.5)], ("FFFFFF",)))
    group = zarr.open_group(str(path / "labels"), mode="w")
    group.attrs.update({"ome": {"version": "0.5", "labels": ["cells", "coarse"]}})
    said = {
        "image-label": {
            "colors": [{"label-value": 1, "rgba": list(COLOUR)}],
            "properties": [{"label-value": 2, "class": "nucleus"}],
        }
    }
    labels = CELLS[None, None, None]
    write(path / "labels" / "cells", Made([labels], ("",), [(1, 0.5, 0.5)], more=said))
    write(path / "labels" / "coarse", Made([halved(labels)], ("",), [(1, 1.0, 1.0)], more=said))
    return image[0, 0, 0]


def write_labels(
    path: Path, image: np.ndarray, labels: np.ndarray, steps: tuple[float, float, float]
) -> None:
    """Write an image (t, c, z, y, x) whose voxels are `steps` µm, and its labels "cells"."""
    write(path, Made([image], ("DAPI",), [steps], ("FFFFFF",)))
    group = zarr.open_group(str(path / "labels"), mode="w")
    group.attrs.update({"ome": {"version": "0.5", "labels": ["cells"]}})
    said = {"image-label": {"colors": [{"label-value": 1, "rgba": list(COLOUR)}]}}
    write(path / "labels" / "cells", Made([labels], ("",), [steps], more=said))
