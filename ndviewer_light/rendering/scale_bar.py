"""The length of a scale bar, and how it may look; pure."""

from __future__ import annotations

import math
from typing import NamedTuple

BAR_SIZES = {"small": "small", "large": "large", "none": "none"}
"""How large a scale bar may be, in words."""
BAR_COLORS = {"auto": "white on dark", "white": "white", "black": "black"}
"""In which colour it may be, in words; "auto" can be read over any picture."""
_SHARES = {"small": 1.0, "large": 2.0, "none": 0.0}

NO_SCALE = "the dataset does not say how large its pixels are"
"""Why there is no scale bar."""


class BarLook(NamedTuple):
    """How a scale bar looks: one of `BAR_COLORS`, and one of `BAR_SIZES`."""

    color: str = "auto"
    size: str = "small"

    @property
    def is_known(self) -> bool:
        """Whether there are such."""
        return self.color in BAR_COLORS and self.size in BAR_SIZES

    @property
    def has_plate(self) -> bool:
        """Whether it is on a dark plate."""
        return self.color == "auto"

    @property
    def share(self) -> float:
        """How long it may be, compared with a small one; 0: there is none."""
        return _SHARES[self.size]


DEFAULT_BAR = BarLook()


def scale_bar(um_per_px: float | None, longest_px: float) -> tuple[float, str] | None:
    """Length in px and label of the longest bar of 1, 2 or 5 x 10^n µm that fits.

    None if the scale is unknown or not a number. "nm" below 1 µm, "mm" from 1,000 µm.

    >>> scale_bar(0.325, 160)[1]
    '50 µm'
    """
    if um_per_px is None or not math.isfinite(um_per_px) or um_per_px <= 0 or longest_px <= 0:
        return None
    longest_um = um_per_px * longest_px
    if not math.isfinite(longest_um) or longest_um <= 0:
        return None
    exponent = math.floor(math.log10(longest_um))
    steps = [digit * 10.0**power for power in (exponent - 1, exponent, exponent + 1) for digit in (1, 2, 5)]
    length_um = max(step for step in steps if step <= longest_um * (1 + 1e-9))
    return length_um / um_per_px, _length_text(length_um)


def _length_text(um: float) -> str:
    if um >= 1000:
        return f"{um / 1000:g} mm"
    return f"{um:g} µm" if um >= 1 else f"{um * 1000:.3g} nm"
