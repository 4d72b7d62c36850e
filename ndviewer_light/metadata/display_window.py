"""Which of the display windows written in files are worth using."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Window = tuple[float, float]


def useful_window(window: Window | None, dtype: np.dtype[Any] | None) -> Window | None:
    """Only a window narrower than the dtype's range; that, and 0..1 of floats, are defaults of writers."""
    if window is None or dtype is None:
        return window
    if dtype.kind not in "iu":
        return None if window == (0.0, 1.0) else window
    low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return None if window[0] <= low and window[1] >= high else window
