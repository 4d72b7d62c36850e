"""What a test writer burns into the pixels of a plane, and how it is read back, also from a picture on
screen.

Two codes. `burn_bits` is a row of fields, one per bit, for numbers that are read where contrast is known. A
`Stamp` says which plane it is, of which run, and when it was written. It is there three times, at the top, in
the middle and at the bottom, so that a plane of which only a part is there is told from a whole one. Each bit
is a pair of fields, bright and dark or dark and bright: any contrast will do, and neither fill value nor
black is ever a stamp.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def burn_bits(
    pixels: NDArray[Any], number: int, n_bits: int, place: tuple[int, int], field: int, white: int
) -> None:
    """Paint the fields (`field` px wide, the first at `place`: row, column) of the bits that are 1 white."""
    top, left = place
    for bit in range(n_bits):
        if number >> bit & 1:
            at = left + bit * field
            pixels[top : top + field, at : at + field] = white


def number_of(bits: Sequence[bool] | NDArray[np.bool_]) -> int:
    """The number whose bits these are, the lowest first."""
    return sum(int(bit) << i for i, bit in enumerate(bits))


class Stamp(NamedTuple):
    """Which plane it is, in which run (below 16), and when it was made, ms since the run's start."""

    t: int
    p: int
    c: int
    z: int
    run: int = 0
    ms: int = 0

    @property
    def index(self) -> tuple[int, int, int, int]:
        """(t, p, c, z)."""
        return self.t, self.p, self.c, self.z


_WIDTHS = (16, 8, 4, 8, 4, 24)  # bits of t, p, c, z, run, ms
_ROW_BITS = 16
_ROWS = 5  # four of them hold the stamp, the fifth its checksum
_COLUMNS = 2 * _ROW_BITS + 2  # with a margin on either side
_BANDS = (1, 7, 14)  # where each begins, in units of height / 20
_UNITS = 20
SMALLEST = (3 * _UNITS, 3 * _COLUMNS)
"""Rows and columns a plane needs to have, so that its stamp can be read on screen."""


def stamped(stamp: Stamp, height: int, width: int, dtype: Any = np.uint16) -> NDArray[Any]:
    """A plane (Y, X) with this stamp, over a background that is nowhere 0 and differs from place to place."""
    if height < SMALLEST[0] or width < SMALLEST[1]:
        raise ValueError(f"planes of {height} × {width} px have no room for a stamp: {SMALLEST} at least")
    is_8_bit = np.dtype(dtype).itemsize == 1
    dark, bright, step = (30, 250, 1) if is_8_bit else (300, 4000, 8)
    y, x = np.mgrid[0:height, 0:width]
    pixels = (dark + step * (10 + (x // 4 + y // 3 + 5 * stamp.t + 3 * stamp.z) % 60)).astype(dtype)
    bits = _bits(stamp).repeat(2, axis=1)
    bits[:, 1::2] ^= True
    field, unit = width // _COLUMNS, height // _UNITS
    code = np.where(bits, bright, dark).astype(dtype).repeat(unit, axis=0).repeat(field, axis=1)
    for band in _BANDS:
        top = band * height // _UNITS
        pixels[top : top + code.shape[0], field : field + code.shape[1]] = code
    return pixels


def _bits(stamp: Stamp) -> NDArray[np.bool_]:
    number = 0
    for value, width in zip(stamp, _WIDTHS, strict=True):
        if not 0 <= value < 1 << width:
            raise ValueError(f"{stamp} has no room for {value}: {width} bits")
        number = number << width | value
    said = number.to_bytes(8, "big")
    whole = said + binascii.crc_hqx(said, 0xFFFF).to_bytes(2, "big")
    return np.unpackbits(np.frombuffer(whole, np.uint8)).reshape(_ROWS, _ROW_BITS).astype(bool)


class Reading(NamedTuple):
    """What the three bands of a plane say; None where one says nothing."""

    bands: tuple[Stamp | None, ...]

    @property
    def whole(self) -> Stamp | None:
        """The stamp, if all of the plane is there and of one write."""
        return self.bands[0] if len(set(self.bands)) == 1 else None

    @property
    def is_blank(self) -> bool:
        """Whether there is no stamp at all."""
        return not any(self.bands)


def places(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows (15) and columns (32) of the plane at whose crossings are the centres of its fields."""
    field, unit = width // _COLUMNS, height // _UNITS
    rows = [band * height // _UNITS + (i + 0.5) * unit for band in _BANDS for i in range(_ROWS)]
    return np.array(rows), np.array([(1.5 + i) * field for i in range(2 * _ROW_BITS)])


def read_fields(values: NDArray[Any], least_difference: float) -> Reading:
    """What the intensities (15, 32) at `places` say.

    `least_difference` is by how much the fields of a bit must differ at least.
    """
    pairs = values.astype(np.float64).reshape(len(_BANDS), _ROWS, _ROW_BITS, 2)
    differences = pairs[..., 0] - pairs[..., 1]
    is_clear = (np.abs(differences) >= least_difference).all(axis=(1, 2))
    bands = zip(differences > 0, is_clear, strict=True)
    return Reading(tuple(_stamp_of(bits) if clear else None for bits, clear in bands))


def read_stamp(plane: NDArray[Any]) -> Reading:
    """What a plane (Y, X) says."""
    rows, columns = places(*plane.shape)
    return read_fields(plane[np.ix_(rows.astype(int), columns.astype(int))], 1)


def _stamp_of(bits: NDArray[np.bool_]) -> Stamp | None:
    whole = np.packbits(bits.reshape(-1)).tobytes()
    said, checksum = whole[:8], int.from_bytes(whole[8:], "big")
    if binascii.crc_hqx(said, 0xFFFF) != checksum:
        return None
    number, values = int.from_bytes(said, "big"), []
    for width in reversed(_WIDTHS):
        values.append(number & (1 << width) - 1)
        number >>= width
    return Stamp(*reversed(values))
