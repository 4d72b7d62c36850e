"""What of a view is uploaded to draw it with OpenGL, without a canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ndviewer_light.model import PlaneState

if TYPE_CHECKING:
    from ndviewer_light.gui.canvas.view_arrays import ViewArrays
    from ndviewer_light.gui.canvas.view_frames import Frame


def uploaded(frames: ViewArrays) -> tuple[np.ndarray, Frame]:
    """The pixels (C, Y, X), or voxels (C, Z, Y, X), of the view, zero where there are none, and its frame."""
    found: dict[int, np.ndarray] = {}
    read = None
    while read is None or read.is_held_back or _is_loading(read.frame):  # each waits for a moment only
        before = read.pictures if read is not None else {}
        read = frames.read_arrays(frames.view, sorted(frames.visible), before)
        found.update(read.arrays)
    nothing = np.zeros_like(next(iter(found.values()), np.zeros((1, 1), frames.dtype)))
    n_channels = len(frames.dataset.info.channels)
    return np.stack([found.get(c, nothing) for c in range(n_channels)]), read.frame


def _is_loading(frame: Frame) -> bool:
    return any(plane.state is PlaneState.LOADING for plane in frame.planes.values())
