"""The pixels of every plane: noise, cells that drift with time, and a label that identifies the plane."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .burnt_text import burn
from .run import excitation_nm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .run import Run


class _Look(NamedTuple):
    """16-bit grey levels for a kind of channel; `shift` scales them down to 8 bits."""

    background: int
    noise: float
    dark: int
    bright: int
    shift: int


_BRIGHTFIELD = _Look(
    4500, 40.0, 1800, 14000, 6
)  # dim, so that the other channels remain visible in an overlay
_FLUORESCENCE = _Look(400, 15.0, 100, 3000, 4)
_CELLS = 32  # per FOV
_TINT = (32, 27, 22)  # 32nds of red, green and blue
_ROAM = 64  # px by which the background noise is shifted, so that no two planes share it


def plane_pixels(run: Run, t: int, fov: int, z: int, channel: str | int) -> NDArray[Any]:
    """The pixels `write_run` stores for one plane; the same arguments always give the same pixels.

    (Y, X), or (Y, X, 3) uint8 for a channel in colour. `fov` is the flat index, `channel` a name or an
    index. Any thread.
    """
    c = channel if isinstance(channel, int) else run.channels.index(channel)
    if (((t * sum(run.fovs)) + fov) * run.n_z + z) * len(run.channels) + c in run.blank:
        is_color, shape = run.is_color(run.channels[c]), (run.height, run.width)
        return np.zeros((*shape, 3), np.uint8) if is_color else np.zeros(shape, run.dtype)
    look = _FLUORESCENCE if excitation_nm(run.channels[c]) else _BRIGHTFIELD
    pixels = _background(run, look, np.random.default_rng([run.seed, t, fov, z, c]))
    _draw_cells(pixels, run, (t, fov, z, c))
    np.maximum(pixels, look.dark + 2 ** (look.shift + 1), out=pixels)  # only the box of the label is darker
    burn(pixels, f"{t}/{run.fov_labels[fov]}/{z}/{run.channels[c]}", c, (look.dark, look.bright))
    if run.is_color(run.channels[c]):
        return _tinted(_as_dtype(pixels, np.dtype(np.uint8), look))
    return _as_dtype(pixels, np.dtype(run.dtype), look)


def _background(run: Run, look: _Look, rng: np.random.Generator) -> NDArray[np.int16]:
    dy, dx = rng.integers(0, _ROAM, 2)
    noise = _noise(run.seed, run.height, run.width, look.noise)[dy : dy + run.height, dx : dx + run.width]
    pixels: NDArray[np.int16] = noise + np.int16(look.background)
    return pixels


@lru_cache(maxsize=4)
def _noise(seed: int, height: int, width: int, sigma: float) -> NDArray[np.int16]:
    rng = np.random.default_rng([seed, height, width])
    noise = rng.standard_normal((height + _ROAM, width + _ROAM), dtype=np.float32)
    noise *= sigma
    return noise.astype(np.int16)


def _as_dtype(pixels: NDArray[np.int16], dtype: np.dtype[Any], look: _Look) -> NDArray[Any]:
    if dtype.kind == "f":
        return np.true_divide(pixels, 65535, dtype=dtype)  # Squid declares floats to range from 0 to 1
    if dtype.itemsize == 1:
        pixels = np.minimum(pixels >> (look.shift + (dtype.kind == "i")), np.iinfo(dtype).max)
    return pixels.astype(dtype)


def _tinted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture as RGB, with a different brightness per sample so that they cannot be confused."""
    return np.stack([(pixels.astype(np.uint16) * part >> 5).astype(np.uint8) for part in _TINT], axis=-1)


class _Cell(NamedTuple):
    y: float  # 0..1
    x: float
    drift_y: float  # per timepoint
    drift_x: float
    depth: float  # -1..1 of the z-stack
    variant: float  # 0..6, cut off


@lru_cache(maxsize=64)
def _cells(seed: int, fov: int) -> list[_Cell]:
    rng = np.random.default_rng([seed, fov])
    values = rng.uniform((0, 0, -0.02, -0.02, -1, 0), (1, 1, 0.02, 0.02, 1, 6), (_CELLS, 6))
    return [_Cell(*row) for row in values.tolist()]


def _draw_cells(pixels: NDArray[np.int16], run: Run, key: tuple[int, int, int, int]) -> None:
    """Add every cell of the FOV: drifting with t, out of focus away from its own depth."""
    t, fov, z, c = key
    size = max(8, min(run.height, run.width) // 7)
    focus = 2 * z / (run.n_z - 1) - 1 if run.n_z > 1 else 0.0
    kind = _kind(run.channels, c)
    for cell in _cells(run.seed, fov):
        y = int((cell.y + cell.drift_y * t) % 1 * (run.height + size)) - size
        x = int((cell.x + cell.drift_x * t) % 1 * (run.width + size)) - size
        sprite = _sprite(run.seed, kind, int(cell.variant), min(3, round(2 * abs(focus - cell.depth))), size)
        part = pixels[max(y, 0) : y + size, max(x, 0) : x + size]
        part += sprite[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]]


def _kind(channels: tuple[str, ...], c: int) -> int:
    """Which of `_SHAPES` a channel sees: brightfield, or the fluorescent ones in turn."""
    if not excitation_nm(channels[c]):
        return 0
    before = sum(excitation_nm(channel) is not None for channel in channels[:c])
    return 1 + before % (len(_SHAPES) - 1)


@lru_cache(maxsize=256)
def _sprite(seed: int, kind: int, variant: int, blur: int, size: int) -> NDArray[np.int16]:
    """One cell as one kind of channel sees it, (size, size), to be added to the background."""
    rng = np.random.default_rng([seed, variant])
    turn, stretch = rng.uniform(0, math.pi), rng.uniform(0.6, 0.95)
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    a, b = u * math.cos(turn) + v * math.sin(turn), (v * math.cos(turn) - u * math.sin(turn)) / stretch
    image = _SHAPES[kind](np.hypot(a, b), a, b, rng)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    blurred = np.fft.irfft2(np.fft.rfft2(image) * np.exp(-((0.07 * blur * frequency) ** 2)), (size, size))
    sprite: NDArray[np.int16] = (blurred * np.clip(4 * (1 - np.hypot(u, v)), 0, 1)).astype(np.int16)
    return sprite


_Grid = np.ndarray  # float64 (size, size)


def _brightfield(r: _Grid, a: _Grid, b: _Grid, rng: np.random.Generator) -> _Grid:
    rings = 2400 * np.exp(-(((r - 0.8) / 0.05) ** 2)) - 2000 * np.exp(-(((r - 0.7) / 0.06) ** 2))
    return np.asarray(rings - 0.25 * _nucleus(r, a, b, rng))


def _nucleus(r: _Grid, a: _Grid, b: _Grid, rng: np.random.Generator) -> _Grid:
    return np.asarray(2400 * np.exp(-((r / 0.4) ** 6)) * (1 + 0.2 * np.sin(17 * a) * np.sin(13 * b)))


def _cytoplasm(r: _Grid, a: _Grid, b: _Grid, rng: np.random.Generator) -> _Grid:
    hole = 1 - 0.75 * np.exp(-((r / 0.42) ** 6))
    return np.asarray(1500 * np.exp(-((r / 0.75) ** 8)) * hole * (1 + 0.2 * np.sin(23 * a + 9 * b**2)))


def _puncta(r: _Grid, a: _Grid, b: _Grid, rng: np.random.Generator) -> _Grid:
    spots = rng.uniform(-0.6, 0.6, (14, 2))
    return np.asarray(sum(2200 * np.exp(-((a - y) ** 2 + (b - x) ** 2) / 0.003) for y, x in spots))


def _membrane(r: _Grid, a: _Grid, b: _Grid, rng: np.random.Generator) -> _Grid:
    return np.asarray(1800 * np.exp(-(((r - 0.75) / 0.05) ** 2)))


_SHAPES: tuple[Callable[[_Grid, _Grid, _Grid, np.random.Generator], _Grid], ...]
_SHAPES = (_brightfield, _nucleus, _cytoplasm, _puncta, _membrane)
