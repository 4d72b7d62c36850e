"""A volume as a picture, seen from any side without perspective: the arithmetic, without OpenGL. Pure.

Slices of the volume are laid over each other in the order in which a line of sight meets them, each shifted
as it is seen (shear), and the result is turned and scaled to the picture (warp): one pass over the voxels, in
the order in which they lie in memory, for each picture.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .volume_look import ATTENUATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .contrast import Limits

    _Slices = Iterator[tuple[tuple[slice, slice], np.ndarray]]
    """Each slice from the front, and where (rows, columns) it is laid."""

_DARKEST_SHADE = 0.2
"""Of a surface that is seen edge on."""
_SIDE_ON = 1e-6
"""Cosine of the angle between the line of sight and the row of voxels, below which they are the same."""
_LEAST_UM, _MOST_UM = 1e-9, 1e9
_COARSE = 1.5
"""Voxels that are seen larger than so many pixels of the picture are interpolated."""

Xyz = tuple[float, float, float]


class VolumeSight(NamedTuple):
    """From where a volume is seen: the unit vectors (x, y, z) that point right and down in the picture.

    `off_middle`: how far right and down of the middle of the picture that of the volume is, in µm. `width`
    and `height` are those of the picture in µm; None: of all of the volume.
    """

    right: Xyz = (1.0, 0.0, 0.0)
    down: Xyz = (0.0, 1.0, 0.0)
    off_middle: tuple[float, float] = (0.0, 0.0)
    width: float | None = None
    height: float | None = None

    @property
    def into(self) -> Xyz:
        """The unit vector along the line of sight, away from whoever looks."""
        x, y, z = np.cross(self.right, self.down).tolist()
        return x, y, z

    def turned(self, degrees: float) -> VolumeSight:
        """After the volume was turned about what is vertical in the picture."""
        angle = math.radians(degrees)
        right = np.array(self.right) * math.cos(angle) + np.array(self.into) * math.sin(angle)
        x, y, z = right.tolist()
        return self._replace(right=(x, y, z))

    def tilted(self, degrees: float) -> VolumeSight:
        """After the volume was turned about what is horizontal in the picture, its upper end away."""
        angle = math.radians(degrees)
        down = np.array(self.down) * math.cos(angle) + np.array(self.into) * math.sin(angle)
        x, y, z = down.tolist()
        return self._replace(down=(x, y, z))

    def rolled(self, degrees: float) -> VolumeSight:
        """After the picture was turned in its plane, counterclockwise."""
        angle = math.radians(degrees)
        right, down = np.array(self.right), np.array(self.down)
        x, y, z = (right * math.cos(angle) + down * math.sin(angle)).tolist()
        a, b, c = (down * math.cos(angle) - right * math.sin(angle)).tolist()
        return self._replace(right=(x, y, z), down=(a, b, c))

    @property
    def angles(self) -> tuple[float, float, float]:
        """The degrees by which it was tilted, then turned, then rolled."""
        across, _, ahead = self.into
        turn = math.asin(max(-1.0, min(1.0, -across)))
        if math.cos(turn) < _SIDE_ON:  # tilting and rolling are the same
            return math.degrees(math.atan2(self.down[2], self.down[1])), math.degrees(turn), 0.0
        tilt, roll = math.atan2(-self.into[1], ahead), math.atan2(-self.down[0], self.right[0])
        return math.degrees(tilt), math.degrees(turn), math.degrees(roll)

    @classmethod
    def of_text(cls, text: str) -> VolumeSight:
        """The sight that `str` wrote. Raises `ValueError`."""
        tilt, turn, roll, *off, width, height = (float(number) for number in text.split(","))
        right, down = off
        if not all(map(math.isfinite, (tilt, turn, roll, right, down))):
            raise ValueError("not from where a volume is seen")
        if not (_LEAST_UM < width < _MOST_UM and _LEAST_UM < height < _MOST_UM):
            raise ValueError("not what of a volume is seen")
        if max(abs(right), abs(down)) > _MOST_UM:
            raise ValueError("not where a volume is seen")
        return cls((1, 0, 0), (0, 1, 0), (right, down), width, height).tilted(tilt).turned(turn).rolled(roll)

    def __str__(self) -> str:
        """Tilt, turn and roll in degrees; how far off the middle it is, width and height, in µm."""
        edges = (self.width or 0.0, self.height or 0.0)
        return ",".join(f"{number:.9g}" for number in (*self.angles, *self.off_middle, *edges))

    def edges(self, size: Xyz, *, turns: bool = False) -> tuple[float, float]:
        """Width and height of the picture of a volume of this size (x, y, z), in µm.

        `turns`: of one that shows all of it however it is turned about the vertical.
        """
        if self.width is not None and self.height is not None:
            return self.width, self.height
        corners = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * size
        down = corners @ np.array(self.down)
        across = np.abs(corners @ np.array(self.right))
        if turns:
            across = np.sqrt(np.maximum((corners**2).sum(axis=1) - down**2, 0))
        return 2 * float(across.max()), 2 * float(np.abs(down).max())


FIRST_SIGHT = VolumeSight().rolled(-15.0).tilted(35.0)
"""From where a volume is seen at first: tilted, as from straight above it looks like a plane."""


class SeenVolume(NamedTuple):
    """A volume as it is seen: `values` (Y, X) float32, NaN where there is none; how bright a surface is."""

    values: np.ndarray
    shade: np.ndarray | None = None


class Volume:
    """Voxels (Z, Y, X) that span `spans` (z, y, x) µm each. One thread at a time."""

    def __init__(self, voxels: np.ndarray, spans: tuple[float, float, float], step: int = 1) -> None:
        """`step`: so many along each axis were taken together, which dim what is behind as much as these."""
        self._voxels = voxels
        self._spans = spans
        self._step = step
        self._turned: tuple[int, np.ndarray] = 0, voxels

    @property
    def size(self) -> Xyz:
        """The edges of the volume (x, y, z) in µm."""
        z, y, x = (n * span for n, span in zip(self._voxels.shape, self._spans, strict=True))
        return x, y, z

    def seen(
        self,
        sight: VolumeSight,
        width: int,
        height: int,
        um_per_px: float,
        method: str,
        limits: Limits,
        going_on: Callable[[], None] = lambda: None,
    ) -> SeenVolume:
        """A picture of it of so many pixels. `method`: "max", "attenuated" or "surface".

        The surface lies in the middle of the limits. `going_on` is called for each slice, and may raise.
        """
        shear = _Shear.of(sight, self._voxels.shape, self._spans, um_per_px)
        slices = shear.slices(self._along(shear.axis), going_on)
        warp = shear.warp(sight, width, height, um_per_px)
        covered = np.zeros(shear.shape, np.uint8)
        for down, right in {(math.floor(a), math.floor(b)) for a, b in shear.offsets}:
            covered[down : down + shear.n_rows, right : right + shear.n_columns] = 1
        is_seen = warp.nearest(covered, width, height) > 0
        if method == "surface":
            return self._surface(shear, slices, warp, is_seen, sum(limits) / 2)
        if method == "attenuated":
            brightest = _attenuated(shear, slices, limits, self._step)
        else:
            brightest = _brightest(shear, slices, self._voxels.dtype)
        values = warp.smooth(brightest.astype(np.float32, copy=False), width, height)
        values[~is_seen | ~np.isfinite(values)] = np.nan
        return SeenVolume(values)

    def _surface(
        self,
        shear: _Shear,
        slices: _Slices,
        warp: _Warp,
        is_seen: np.ndarray,
        threshold: float,
    ) -> SeenVolume:
        height, width = is_seen.shape
        depth = np.full(shear.shape, np.inf, np.float32)
        values = np.zeros(shear.shape, np.float32)
        before = np.full(shear.shape, -np.inf, np.float32)
        for k, (window, pixels) in enumerate(slices):
            here = pixels.astype(np.float32, copy=False)
            was, deep = before[window], depth[window]
            hit = (here > threshold) & ~np.isfinite(deep)
            if hit.any():
                rise = np.where(np.isfinite(was), here - was, np.inf)[hit]
                deep[hit] = k - np.clip((here[hit] - threshold) / rise, 0, 1)
                values[window][hit] = here[hit]
            before[...] = -np.inf
            before[window] = here
        is_hit = np.isfinite(depth)
        at = shear.depths(np.where(is_hit, depth, 0))
        # where a surface ends, what lies beside it must not be mixed in
        shown = warp.nearest(is_hit.astype(np.uint8), width, height) > 0
        deep = warp.smooth(_spread(at, is_hit), width, height)
        bright = warp.smooth(_spread(values, is_hit), width, height)
        slope_y, slope_x = np.gradient(deep / warp.um_per_px) if min(deep.shape) > 1 else (0 * deep, 0 * deep)
        facing = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
        shade = _DARKEST_SHADE + (1 - _DARKEST_SHADE) * facing
        bright[~shown | ~is_seen] = np.nan
        return SeenVolume(bright, shade.astype(np.float32))

    def _along(self, axis: int) -> np.ndarray:
        """The voxels with this axis first, slice after slice in memory; the last such is kept."""
        if self._turned[0] != axis:
            self._turned = axis, np.ascontiguousarray(np.moveaxis(self._voxels, axis, 0))
        return self._turned[1]


class _Shear(NamedTuple):
    """How slices along `axis` are laid over each other: in this order, each at its offset (rows, columns)."""

    axis: int
    order: range
    offsets: tuple[tuple[float, float], ...]
    shape: tuple[int, int]
    n_rows: int
    n_columns: int
    is_coarse: tuple[bool, bool]
    shears: tuple[float, float]
    """How far rows and columns move from one slice to the next."""
    length: float
    """How far a line of sight goes from one slice to the next, in voxels."""
    begin: np.ndarray
    across: np.ndarray
    deep: np.ndarray
    """Where row 0 and column 0 of slice 0 are; where a row, a column, a slice lead (x, y, z in µm)."""
    into: np.ndarray

    @classmethod
    def of(
        cls, sight: VolumeSight, shape: tuple[int, ...], spans: tuple[float, float, float], um_per_px: float
    ) -> _Shear:
        into = np.array(sight.into)[::-1] / spans  # z, y, x, in voxels per µm
        axis = int(np.argmax(np.abs(into)))
        rows, columns = (each for each in range(3) if each != axis)
        order = range(shape[axis]) if into[axis] > 0 else range(shape[axis] - 1, -1, -1)
        shears = float(-into[rows] / into[axis]), float(-into[columns] / into[axis])
        moves = np.array([[k * each for each in shears] for k in order])
        first = moves.min(axis=0)
        moves -= first
        is_coarse = tuple(spans[each] > _COARSE * um_per_px for each in (rows, columns))
        if not is_coarse[0]:
            moves[:, 0] = np.rint(moves[:, 0])
        if not is_coarse[1]:
            moves[:, 1] = np.rint(moves[:, 1])
        room = np.ceil(moves.max(axis=0)).astype(int) + 1
        unit = np.eye(3)[:, ::-1] * np.array(spans)[:, None]  # of z, y, x: how far (x, y, z) a voxel leads
        middle = sum((n - 1) / 2 * unit[i] for i, n in enumerate(shape))
        # row and column 0 are those of slice 0 where it is not moved
        begin = first[0] * unit[rows] + first[1] * unit[columns] - middle
        length = float(np.sqrt(1 + shears[0] ** 2 + shears[1] ** 2))
        return cls(
            axis,
            order,
            tuple(map(tuple, moves.tolist())),
            (shape[rows] + int(room[0]), shape[columns] + int(room[1])),
            shape[rows],
            shape[columns],
            (is_coarse[0], is_coarse[1]),
            shears,
            length,
            begin,
            np.stack([unit[rows], unit[columns]]),
            unit[axis],
            np.array(sight.into),
        )

    def slices(self, voxels: np.ndarray, going_on: Callable[[], None]) -> _Slices:
        """Each slice from the front, and where it is laid."""
        for k, (down, right) in zip(self.order, self.offsets, strict=True):
            going_on()
            pixels = voxels[k]
            rows, columns = math.floor(down), math.floor(right)
            if self.is_coarse[0] and down > rows:
                pixels = _moved(pixels, down - rows, 0)
            if self.is_coarse[1] and right > columns:
                pixels = _moved(pixels, right - columns, 1)
            yield (
                (
                    slice(rows, rows + pixels.shape[0]),
                    slice(columns, columns + pixels.shape[1]),
                ),
                pixels,
            )

    def depths(self, number: np.ndarray) -> np.ndarray:
        """How far away the `number`-th slice from the front is at each row and column, in µm."""
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        # all of a row and column lies on one line of sight, which begins in slice 0
        beginning = self.begin @ self.into + rows * (self.across[0] @ self.into)
        beginning = beginning + columns * (self.across[1] @ self.into)
        k = self.order.start + self.order.step * number
        along = np.array(self.deep) @ self.into
        along -= np.array(self.shears) @ (self.across @ self.into)
        found: np.ndarray = (beginning + k * along).astype(np.float32)
        return found

    def warp(self, sight: VolumeSight, width: int, height: int, um_per_px: float) -> _Warp:
        """Where pixels of the picture are among rows and columns."""
        plane = np.array([sight.right, sight.down])
        forward = plane @ self.across[::-1].T / um_per_px  # columns and rows to pixels
        begin = plane @ self.begin / um_per_px + np.array(sight.off_middle) / um_per_px
        begin += np.array([width, height]) / 2
        backward = np.linalg.inv(forward)
        return _Warp(backward, -backward @ begin, um_per_px)


class _Warp(NamedTuple):
    """From pixels of the picture (x, y) to columns and rows: a matrix, and where the picture begins."""

    matrix: np.ndarray
    begin: np.ndarray
    um_per_px: float

    def smooth(self, laid: np.ndarray, width: int, height: int) -> np.ndarray:
        """The picture of float32, interpolated."""
        from PIL import Image

        how = Image.Resampling.BILINEAR
        picture = Image.fromarray(laid).transform(
            (width, height), Image.Transform.AFFINE, self._coefficients(), how
        )
        return np.array(picture)

    def nearest(self, laid: np.ndarray, width: int, height: int) -> np.ndarray:
        """The picture of uint8, not interpolated; 0 outside."""
        from PIL import Image

        picture = Image.fromarray(laid).transform(
            (width, height), Image.Transform.AFFINE, self._coefficients(), Image.Resampling.NEAREST
        )
        return np.asarray(picture)

    def _coefficients(self) -> tuple[float, ...]:
        """As Pillow has them: the middle of the first pixel is at a half."""
        (a, b), (c, d) = self.matrix
        x, y = self.begin + 0.5
        return a, b, x, c, d, y


def _brightest(shear: _Shear, slices: _Slices, dtype: np.dtype) -> np.ndarray:
    is_kept = not any(shear.is_coarse) and dtype.kind in "ui" and dtype.itemsize <= 2
    brightest = (
        np.full(shear.shape, np.iinfo(dtype).min, dtype)
        if is_kept
        else np.full(shear.shape, -np.inf, np.float32)
    )
    for window, pixels in slices:
        np.fmax(brightest[window], pixels, out=brightest[window], casting="unsafe")
    return brightest


def _attenuated(shear: _Shear, slices: _Slices, limits: Limits, step: int) -> np.ndarray:
    low, high = limits
    brightest = np.full(shear.shape, -np.inf, np.float32)
    passed = np.zeros(shear.shape, np.float32)
    for window, pixels in slices:
        here = pixels.astype(np.float32, copy=False)
        relative = (here - np.float32(low)) / np.float32(max(high - low, 1e-30))
        through, best = passed[window], brightest[window]
        through += np.float32(shear.length * step) * np.clip(np.nan_to_num(relative), 0, 1)
        np.fmax(best, here * np.exp(np.float32(-ATTENUATION) * (through - step)), out=best)
    return brightest


def _moved(pixels: np.ndarray, share: float, axis: int) -> np.ndarray:
    """Pixels moved by a share of one along an axis: one more there, interpolated."""
    wide = [(0, 0), (0, 0)]
    wide[axis] = (1, 1)
    padded = np.pad(pixels.astype(np.float32, copy=False), wide, "edge")
    after = [slice(None), slice(None)]
    before = [slice(None), slice(None)]
    after[axis], before[axis] = slice(1, None), slice(None, -1)
    moved: np.ndarray = (
        np.float32(1 - share) * padded[tuple(after)] + np.float32(share) * padded[tuple(before)]
    )
    return moved


def _spread(pixels: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """Pixels with those that are not there like the next one in their row, for interpolation."""
    found = np.where(is_there, pixels, np.float32(0))
    for axis in (0, 1):
        for step in (1, -1):
            from_there = np.roll(is_there, step, axis) & ~is_there
            found[from_there] = np.roll(found, step, axis)[from_there]
            is_there = is_there | from_there
    return found.astype(np.float32, copy=False)
