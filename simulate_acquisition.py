"""A microscope that is not there: writes an acquisition as Squid does, and shows it live.

``python simulate_acquisition.py`` opens the viewer on a small plate that a second process is
writing. ``--no-view`` only writes. Scripts and tests use `Run`, `write_run`, `plane_pixels` and
`read_burnt_text`. Importing this file imports numpy only; the viewer's process never imports
tensorstore.

What is written, file by file and in which order, is what Squid's zarr writer leaves on disk
(OME-NGFF 0.5, zarr v3).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

LAYOUTS = ("per_fov", "hcs", "6d")
CHANNELS = tuple(f"Fluorescence {nm} nm Ex" for nm in (405, 488, 561, 638))
COMPRESSIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "fast": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"},
    "balanced": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle"},
    "best": {"cname": "zstd", "clevel": 9, "shuffle": "bitshuffle"},
}
CHUNKS = {"full": "full_frame", "512": "tiled_512", "256": "tiled_256"}
DTYPES = (*(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)), "float32", "float64")
COLOURS = {405: "20ADF8", 488: "1FFF00", 561: "FFCF00", 638: "FF0000", 730: "770000"}  # Squid's own


# ---- what is acquired -----------------------------------------------------------------------


class WrittenPlane(NamedTuple):
    """One plane of a run: time, flat FOV index over all regions, FOV index in its region, …, channel name."""

    t: int
    fov: int
    local_fov: int
    region_idx: int
    z: int
    channel: str


@dataclass(frozen=True)
class Run:
    """An acquisition to be written into `folder`, the experiment folder.

    `fovs` counts the fields of view of each region; in layout "hcs" the regions are wells ("A1").
    `height` and `width` in px, `dt_s` in s, `dz_um` and `pixel_size_um` in µm. `blank` names planes,
    by their place in the order of acquisition, that are all zero; zarr stores nothing for those.

    Raises
    ------
    ValueError
        if the values do not fit together; the message says which.
    """

    folder: Path
    layout: str = "hcs"
    regions: tuple[str, ...] = ("A1", "A2", "B1")
    fovs: tuple[int, ...] = (4, 6, 3)
    channels: tuple[str, ...] = CHANNELS
    n_t: int = 3
    n_z: int = 3
    height: int = 1024
    width: int = 1024
    dtype: str = "uint16"
    compression: str = "fast"
    chunks: str = "full"
    seed: int = 0
    dt_s: float = 10.0
    dz_um: float = 1.5
    pixel_size_um: float = 0.325
    blank: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        if len(self.regions) != len(self.fovs) or len(set(self.regions)) != len(self.regions):
            raise ValueError(f"fovs {self.fovs} for regions {self.regions}: one count each, names distinct")
        if min((*self.fovs, self.n_t, self.n_z, self.height, self.width, len(self.channels)), default=0) < 1:
            raise ValueError("every count and size must be at least 1")
        if self.layout == "hcs" and len({_well(region) for region in self.regions}) != len(self.regions):
            raise ValueError(f"regions {self.regions} name one well twice")
        if self.sharded and (self.height % self.chunk_shape[0] or self.width % self.chunk_shape[1]):
            raise ValueError(f"{self.compression!r} needs height and width in multiples of {self.chunks} px")

    @cached_property
    def fov_labels(self) -> list[str]:
        """``"<region>:<index in the region>"`` of every FOV, in flat order."""
        return [f"{region}:{i}" for region, n in zip(self.regions, self.fovs, strict=True) for i in range(n)]

    @cached_property
    def fov_paths(self) -> list[str]:
        """The OME-Zarr group of every FOV, in flat order (layouts "hcs" and "per_fov")."""
        pairs = zip(self.regions, self.fovs, strict=True)
        return [str(self._fov_path(region, i)) for region, n in pairs for i in range(n)]

    @cached_property
    def region_paths(self) -> list[str]:
        """The 6-D array of every region (layout "6d")."""
        return [str(self.folder / "zarr" / region / "acquisition.zarr") for region in self.regions]

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """Rows and columns of one chunk."""
        return (self.height, self.width) if self.chunks == "full" else (int(self.chunks), int(self.chunks))

    @property
    def sharded(self) -> bool:
        """Whether chunks lie in shards of all channels ("balanced", "best"; a shard of one chunk is none)."""
        one_chunk = len(self.channels) == 1 and self.chunk_shape == (self.height, self.width)
        return self.compression in ("balanced", "best") and not one_chunk

    def planes(self) -> Iterator[WrittenPlane]:
        """Every plane in the order of acquisition: time, region, FOV, z, channel."""
        fields = [(r, i) for r, n in enumerate(self.fovs) for i in range(n)]
        for t in range(self.n_t):
            for fov, (region_idx, local) in enumerate(fields):
                for z in range(self.n_z):
                    for channel in self.channels:
                        yield WrittenPlane(t, fov, local, region_idx, z, channel)

    def _fov_path(self, region: str, fov: int) -> Path:
        if self.layout == "hcs":
            row, column = _well(region)
            return self.folder / "plate.ome.zarr" / row / column / str(fov)
        return self.folder / "zarr" / region / f"fov_{fov}.ome.zarr"


_CHOICES = {"layout": LAYOUTS, "compression": tuple(COMPRESSIONS), "chunks": tuple(CHUNKS), "dtype": DTYPES}


def _well(region: str) -> tuple[str, str]:
    """Row and column of a well: "B12" → ("B", "12")."""
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", region)
    if match is None:
        raise ValueError(f"region {region!r} is no well: layout hcs needs names like A1 or AB12")
    return match[1].upper(), match[2]


def _excitation_nm(channel: str) -> int | None:
    match = re.search(r"(\d{3,4})[ _]*nm", channel)
    return int(match[1]) if match else None


# ---- pixels ---------------------------------------------------------------------------------


class _Look(NamedTuple):
    """Grey levels of a kind of channel, for 16 bits; `shift` brings them down to 8."""

    background: int
    noise: float
    dark: int
    bright: int
    shift: int


_BRIGHTFIELD = _Look(4500, 40.0, 1800, 14000, 6)  # dim, so that the others show in an overlay
_FLUORESCENCE = _Look(400, 15.0, 100, 3000, 4)
_CELLS = 32  # per FOV
_ROAM = 64  # px by which the background noise is shifted about, so that no two planes share it


def plane_pixels(run: Run, t: int, fov: int, z: int, channel: str | int) -> NDArray[Any]:
    """The pixels `write_run` stores for one plane: (Y, X), the same for the same arguments, always.

    `fov` is the flat index, `channel` a name or an index. Any thread.
    """
    c = channel if isinstance(channel, int) else run.channels.index(channel)
    if (((t * sum(run.fovs)) + fov) * run.n_z + z) * len(run.channels) + c in run.blank:
        return np.zeros((run.height, run.width), run.dtype)
    look = _FLUORESCENCE if _excitation_nm(run.channels[c]) else _BRIGHTFIELD
    pixels = _background(run, look, np.random.default_rng([run.seed, t, fov, z, c]))
    _draw_cells(pixels, run, (t, fov, z, c))
    np.maximum(pixels, look.dark + 2 ** (look.shift + 1), out=pixels)  # the box of the text alone is darker
    _burn(pixels, f"{t}/{run.fov_labels[fov]}/{z}/{run.channels[c]}", c, look)
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
        return np.true_divide(pixels, 65535, dtype=dtype)  # Squid says floats are shown from 0 to 1
    if dtype.itemsize == 1:
        pixels = np.minimum(pixels >> (look.shift + (dtype.kind == "i")), np.iinfo(dtype).max)
    return pixels.astype(dtype)


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
    if not _excitation_nm(channels[c]):
        return 0
    before = sum(_excitation_nm(channel) is not None for channel in channels[:c])
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


# ---- text in the pixels ---------------------------------------------------------------------

# Our own 5×7 letters: seven base-36 digits a letter, 35 bits by row from the top left.
_LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz/:_-.()+%#,=?&'"
_BITS = (
    "000000076cqm29f2h64ou76btkxaf2gwzzyfjnuginfjnugi876byipa8nmknjl6ywdqq63hg6vrg8o8aez585aef4v8t8nepd"
    "8s4nmlt76cgs32f2h63v476cgv9pf2h672p7nj2numfcs3z448nmatke8nmatdw8nmdq418nho7qp8nho2o4fb2xk4f77izyge"
    "25rf3wu76299gffbo44z2131183mfjw0eni33a2mumfb2xjwo76ceo8e76cf0i4008rorz85j5sfy00928tq0ikyn8v00939xq"
    "33p0f0o08mm5ny85ebm0h1z8onf20zmcc3w85bqcuq5zdtpqm00gnk8h00e8dv50092ywe0gyabdc08mm5nl00e8d1s009ony6"
    "42zopba00aye7h00aydz800ayhey00at6q909qkj7200je7mn0icl5ao02aeqo0000000v000lrsw00000b011vmdfm40bf9fs"
    "02b0igwcpupzlf53o4fuy00009l400jde687626cqs67fl4r121e0lq8"
)
_CODES = {letter: int(_BITS[7 * i : 7 * i + 7], 36) for i, letter in enumerate(_LETTERS)}
_POWERS = 2 ** np.arange(34, -1, -1, dtype=np.int64)
_CELL_H, _CELL_W = 9, 6  # a letter with its margins, in dots


def _dot_and_columns(height: int, width: int) -> tuple[int, int]:
    """Pixels per dot of a letter, and letters per line, for a plane of this size."""
    dot = max(1, min(height, width) // 256)
    return dot, (width // dot - 1) // _CELL_W


@lru_cache(maxsize=256)
def _text_dots(text: str, columns: int) -> NDArray[np.bool_]:
    """`text` in lines of `columns` letters as lit dots; unknown letters become "?"."""
    lines = [text[i : i + columns] for i in range(0, len(text), columns)]
    dots = np.zeros((len(lines) * _CELL_H, 1 + _CELL_W * len(lines[0])), bool)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            lit = (_CODES.get(letter, _CODES["?"]) & _POWERS) > 0
            y, x = row * _CELL_H + 1, 1 + column * _CELL_W
            dots[y : y + 7, x : x + 5] = lit.reshape(7, 5)
    return dots


def _burn(pixels: NDArray[np.int16], text: str, slot: int, look: _Look) -> None:
    """Write `text` at the top left, as much of it as fits, `slot` texts down if there is room.

    So in a picture of several channels each has its own line.
    """
    dot, columns = _dot_and_columns(*pixels.shape)
    rows = pixels.shape[0] // dot // _CELL_H
    if columns > 0 and rows > 0:
        dots = _text_dots(text[: columns * rows], columns).repeat(dot, axis=0).repeat(dot, axis=1)
        top = slot * dots.shape[0] if (slot + 1) * dots.shape[0] <= pixels.shape[0] else 0
        box = pixels[top : top + dots.shape[0], : dots.shape[1]]
        box[:] = np.where(dots, np.int16(look.bright), np.int16(look.dark))


def read_burnt_text(plane: NDArray[Any]) -> str:
    """The ``t/region:fov/z/channel`` burnt into a whole plane (Y, X); "" where there is none.

    Planes of at least 96×96 px hold any usual name; of smaller ones the end may be missing.
    """
    dot, columns = _dot_and_columns(*plane.shape)
    lit = np.asarray(plane)[dot // 2 :: dot, dot // 2 :: dot] != np.min(plane)
    letters = {code: letter for letter, code in _CODES.items()}
    text = ""
    for y in range(1, lit.shape[0] - _CELL_H + 2, _CELL_H):
        for x in range(1, 1 + columns * _CELL_W, _CELL_W):
            letter = letters.get(int(lit[y : y + 7, x : x + 5].ravel() @ _POWERS))
            if letter is None:  # beside the text, where all is brighter than its box
                break
            text += letter
    return text.rstrip()


# ---- the zarr stores ------------------------------------------------------------------------


class _Store:
    """One array of the run, written as Squid does: one blocking write per plane."""

    def __init__(self, run: Run, group: Path, prefix: tuple[int, ...]) -> None:
        """`prefix` is (FOV count,) for a 6-D array at `group` itself, () for a 5-D one at ``group/0``."""
        self.json = group / "zarr.json"
        self._array_path = group if prefix else group / "0"
        self._prefix = prefix
        self._run = run
        self._array = self._create_array()
        self._write_attributes()

    def _create_array(self) -> Any:
        import tensorstore

        run, leading = self._run, (*self._prefix, self._run.n_t)
        shape = [*leading, len(run.channels), run.n_z, run.height, run.width]
        inner = [*(1 for _ in leading), 1, 1, *run.chunk_shape]
        outer, codecs = inner, _codecs(run.compression, len(shape))
        if run.sharded:
            outer = [*(1 for _ in leading), len(run.channels), 1, run.height, run.width]
            codecs = [_sharding(inner, codecs)]
        metadata = {
            "shape": shape,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
            "chunk_key_encoding": {"name": "default"},
            "data_type": run.dtype,
            "codecs": codecs,
            "fill_value": 0,
        }
        kvstore = {"driver": "file", "path": str(self._array_path)}
        spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}
        return tensorstore.open(spec, create=True, delete_existing=True).result()

    def _write_attributes(self) -> None:
        attributes = _image_attributes(self._run, self._array_path.name, list(self._array.shape))
        if self._prefix:  # Squid reads the array's own file back and adds to it
            _write_json(self.json, {**json.loads(self.json.read_text()), "attributes": attributes})
        else:
            _write_group(self.json.parent, attributes)

    def write(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        """Store one plane; it is on disk when this returns."""
        fov = (plane.local_fov,) if self._prefix else ()
        index = (*fov, plane.t, self._run.channels.index(plane.channel), plane.z)
        self._array[index].write(pixels).result()

    def complete(self) -> None:
        """Say in the metadata that the acquisition is over."""
        metadata = json.loads(self.json.read_text())
        metadata["attributes"]["_squid"]["acquisition_complete"] = True
        _write_json(self.json, metadata)


def _codecs(compression: str, ndim: int) -> list[dict[str, Any]]:
    codecs = [
        {"name": "transpose", "configuration": {"order": list(reversed(range(ndim)))}},
        {"name": "bytes", "configuration": {"endian": "little"}},
    ]
    blosc = COMPRESSIONS[compression]
    return [*codecs, {"name": "blosc", "configuration": blosc}] if blosc else codecs


def _sharding(chunk_shape: list[int], codecs: list[dict[str, Any]]) -> dict[str, Any]:
    index_codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    configuration = {"chunk_shape": chunk_shape, "codecs": codecs, "index_codecs": index_codecs}
    return {"name": "sharding_indexed", "configuration": configuration}


def _image_attributes(run: Run, name: str, shape: list[int]) -> dict[str, Any]:
    """``ome`` and ``_squid`` of one store."""
    is_6d = len(shape) == 6
    z_step, time_step = (run.dz_um if run.n_z > 1 else None), ((run.dt_s or None) if run.n_t > 1 else None)
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}, *space]
    scale = [time_step or 1.0, 1.0, z_step or 1.0, run.pixel_size_um, run.pixel_size_um]
    if is_6d:
        axes, scale = [{"name": "fov", "type": "fov"}, *axes], [1.0, *scale]
    transformations = [{"type": "scale", "scale": scale}]
    multiscale = {
        "version": "0.5",
        "name": name,
        "axes": axes,
        "datasets": [{"path": "." if is_6d else "0", "coordinateTransformations": transformations}],
        "coordinateTransformations": [{"type": "identity"}],
    }
    channels = [_omero_channel(channel, np.dtype(run.dtype)) for channel in run.channels]
    omero = {"name": name, "version": "0.5", "channels": channels}
    squid = {
        "structure": "6D-FTCZYX" if is_6d else "5D-TCZYX",
        "pixel_size_um": run.pixel_size_um,
        "z_step_um": z_step,
        "time_increment_s": time_step,
        "chunk_mode": CHUNKS[run.chunks],
        "compression": run.compression,
        "shape": shape,
        "dtype": run.dtype,
        "is_hcs": not is_6d,  # Squid says so of every 5-D store
        "acquisition_complete": False,
    }
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": omero}, "_squid": squid}


def _omero_channel(name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    wavelength = _excitation_nm(name)
    low, high = (0, int(np.iinfo(dtype).max)) if dtype.kind in "iu" else (0.0, 1.0)
    channel: dict[str, Any] = {"label": name, "active": True, "color": COLOURS.get(wavelength or 0, "FFFFFF")}
    if wavelength is not None:
        channel["emission_wavelength"] = {"value": wavelength, "unit": "nanometer"}
    return {**channel, "window": {"start": low, "end": high, "min": low, "max": high}}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2))  # in place and not atomic, as Squid does


def _write_group(folder: Path, attributes: dict[str, Any]) -> None:
    _write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _write_plate(run: Run) -> None:
    wells = [_well(region) for region in run.regions]
    rows = sorted({row for row, _ in wells}, key=lambda row: (len(row), row))
    columns = sorted({column for _, column in wells}, key=int)
    entries = [
        {"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)}
        for row, column in wells
    ]
    plate: dict[str, Any] = {"version": "0.5", "name": "plate", "rows": [{"name": row} for row in rows]}
    plate |= {"columns": [{"name": column} for column in columns], "wells": entries}
    _write_group(run.folder / "plate.ome.zarr", {"ome": {"version": "0.5", "plate": plate}})


def _write_well(folder: Path, n_fovs: int) -> None:
    well = {"version": "0.5", "images": [{"path": str(i)} for i in range(n_fovs)]}
    _write_group(folder, {"ome": {"version": "0.5", "well": well}})


class _Stores:
    """The stores of a run, each created when its first plane comes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stores: dict[int, _Store] = {}

    def write(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        number = plane.region_idx if self._run.layout == "6d" else plane.fov
        if number not in self._stores:
            self._stores[number] = self._create(plane)
        self._stores[number].write(plane, pixels)

    def _create(self, plane: WrittenPlane) -> _Store:
        run, n_fovs = self._run, self._run.fovs[plane.region_idx]
        if run.layout == "6d":
            return _Store(run, Path(run.region_paths[plane.region_idx]), (n_fovs,))
        store = _Store(run, Path(run.fov_paths[plane.fov]), ())
        if run.layout == "hcs" and not self._stores:
            _write_plate(run)
        if run.layout == "hcs" and plane.local_fov == 0:
            _write_well(store.json.parent.parent, n_fovs)
        return store

    def complete(self) -> None:
        for store in self._stores.values():
            store.complete()


# ---- the experiment folder ------------------------------------------------------------------


def _stage_mm(run: Run, plane: WrittenPlane) -> tuple[float, float, float]:
    """Stage x, y, z: wells 9 mm apart, the FOVs of a region in a square with some overlap."""
    across = math.ceil(math.sqrt(run.fovs[plane.region_idx]))
    row, column = divmod(plane.local_fov, across)
    well_x, well_y = 9.0 * (plane.region_idx + 1), 9.0
    if run.layout == "hcs":
        letters, digits = _well(run.regions[plane.region_idx])
        row_number = sum((ord(letter) - 64) * 26**i for i, letter in enumerate(letters[::-1]))
        well_x, well_y = 9.0 * int(digits), 9.0 * row_number
    step = 0.9e-3 * run.pixel_size_um
    z_mm = 3.0 + 1e-3 * run.dz_um * plane.z
    return round(well_x + column * run.width * step, 6), round(well_y + row * run.height * step, 6), z_mm


def _write_experiment_files(run: Run) -> None:
    """Everything Squid leaves in the experiment folder before the first plane."""
    run.folder.mkdir(parents=True, exist_ok=True)
    magnification, tube_lens = 20.0, 180.0
    objective = {"magnification": magnification, "NA": 0.8, "tube_lens_f_mm": tube_lens, "name": "20x"}
    step_um = (run.dz_um or 1.0) if run.n_z > 1 else 1.0
    parameters: dict[str, Any] = {
        "dx(mm)": 0.9,
        "Nx": 1,
        "dy(mm)": 0.9,
        "Ny": 1,
        "dz(um)": step_um,
        "Nz": run.n_z,
    }
    parameters |= {"dt(s)": run.dt_s, "Nt": run.n_t, "with AF": False, "with reflection AF": False}
    parameters |= {"with manual focus map": False, "objective": objective}
    parameters |= {"sensor_pixel_size_um": run.pixel_size_um * magnification, "tube_lens_mm": tube_lens}
    parameters |= {"confocal_mode": False}
    (run.folder / "acquisition parameters.json").write_text(json.dumps(parameters))
    lines = [f"  - name: {json.dumps(channel)}" for channel in run.channels]
    (run.folder / "acquisition_channels.yaml").write_text("\n".join(["version: 1", "channels:", *lines, ""]))
    is_wells = "Select Wells" if run.layout == "hcs" else "Current Position"
    (run.folder / "acquisition.yaml").write_text(f"acquisition:\n  xy_mode: {is_wells}\n")
    first = [plane for plane in run.planes() if (plane.t, plane.z, plane.channel) == (0, 0, run.channels[0])]
    rows = [(run.regions[plane.region_idx], *_stage_mm(run, plane)) for plane in first]
    _write_table(run.folder / "coordinates.csv", "region,x (mm),y (mm),z (mm)", rows)


def _write_timepoint(run: Run, folder: Path, planes: list[WrittenPlane]) -> None:
    """What Squid adds at the end of a timepoint: where each FOV was, and that it is done."""
    rows: list[tuple[object, ...]] = []
    for plane in planes:
        if plane.channel == run.channels[0]:
            x, y, z = _stage_mm(run, plane)
            when = time.strftime("%Y-%m-%d_%H-%M-%S.000000")
            region, z_um = run.regions[plane.region_idx], round(z * 1000, 3)
            rows.append((region, plane.local_fov, plane.z, x, y, z_um, when))
    _write_table(folder / "coordinates.csv", "region,fov,z_level,x (mm),y (mm),z (um),time", rows)
    (folder / ".done").touch()


def _write_table(path: Path, header: str, rows: Sequence[tuple[object, ...]]) -> None:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))


# ---- writing --------------------------------------------------------------------------------


def write_run(
    run: Run,
    *,
    rate: float = 0.0,
    report: Callable[[WrittenPlane], object] | None = None,
    stop_after: int | None = None,
    start_delay: float = 0.0,
) -> int:
    """Write `run` in this process and return how many planes were written.

    `rate` in planes/s, 0 as fast as possible. `report` is called, in this thread, after each plane
    is on disk. `stop_after` planes the writer stops as if it had been killed: nothing is marked
    complete. `start_delay` in s, between the experiment's own files and the first store.

    Raises
    ------
    FileExistsError
        if the folder holds something already.
    """
    _refuse_used(run.folder)
    _write_experiment_files(run)
    time.sleep(start_delay)
    stores, pace, written = _Stores(run), _pace(rate), 0
    for t, planes in groupby(islice(run.planes(), stop_after), key=lambda plane: plane.t):
        timepoint = run.folder / str(t)
        timepoint.mkdir()
        done = []
        for plane in planes:
            pixels = plane_pixels(run, t, plane.fov, plane.z, plane.channel)
            next(pace)
            stores.write(plane, pixels)
            done.append(plane)
            if report is not None:
                report(plane)
        written += len(done)
        if written == (t + 1) * sum(run.fovs) * run.n_z * len(run.channels):
            _write_timepoint(run, timepoint, done)
    if stop_after is None:
        stores.complete()
        (run.folder / ".done").touch()
    return written


def _refuse_used(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder for the acquisition")


def _pace(rate: float) -> Iterator[None]:
    """Each step comes 1/rate s after the one before, or at once if that time has passed."""
    start, count = time.monotonic(), 0
    while True:
        if rate > 0:
            time.sleep(max(0.0, start + count / rate - time.monotonic()))
        count += 1
        yield


# ---- telling a viewer -----------------------------------------------------------------------


def announce_run(viewer: Any, run: Run) -> None:
    """What the host says to a `LightweightViewer` before the first plane; GUI thread."""
    channels, size = list(run.channels), (run.height, run.width)
    if run.layout == "6d":
        viewer.start_zarr_acquisition_6d(
            run.region_paths, channels, run.n_z, list(run.fovs), *size, list(run.regions)
        )
    else:
        viewer.start_zarr_acquisition(run.fov_paths, channels, run.n_z, run.fov_labels, *size)


def notify_plane(viewer: Any, run: Run, plane: WrittenPlane) -> None:
    """What the host says to a `LightweightViewer` after each plane; any thread."""
    if run.layout == "6d":
        viewer.notify_zarr_frame(plane.t, plane.local_fov, plane.z, plane.channel, plane.region_idx)
    else:
        viewer.notify_zarr_frame(plane.t, plane.fov, plane.z, plane.channel)


def view_run(
    run: Run, writer: Sequence[str], *, screenshot: Path | None = None, close_after: float | None = None
) -> int:
    """Show `run` in a viewer while the command `writer` writes it; returns the exit status.

    `writer` must report each plane as a JSON line on its standard output. With `screenshot`, the last
    planes are shown at the end, the window is saved there as PNG and closed; with `close_after`, it
    closes that many s after the end; else when the user closes it. GUI thread.
    """
    os.environ.setdefault(
        "QT_API", "pyqt6"
    )  # qtpy takes a binding that is already loaded, whatever this says
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    import ndviewer_light as nl

    app = QApplication.instance() or QApplication(sys.argv[:1])
    window = nl.LightweightMainWindow("")
    announce_run(window.viewer, run)
    window.show()
    with subprocess.Popen(writer, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        reports = _Reports(process, window.viewer, run)
        reports.start()
        ending = _Ending(window, reports, screenshot, close_after)
        timer = QTimer(window)
        timer.timeout.connect(ending.step)
        timer.start(100)
        app.exec()
        timer.stop()
        process.terminate()  # the user may have closed the window early; else it has ended already
        reports.join()
    return 1 if ending.failed or (ending.finished and process.returncode) else 0


class _Reports(threading.Thread):
    """Passes on what the writer reports, from a thread that knows nothing of Qt, as hosts do."""

    def __init__(self, process: subprocess.Popen[str], viewer: Any, run: Run) -> None:
        super().__init__(daemon=True)
        self.last: WrittenPlane | None = None
        self._process, self._viewer, self._run = process, viewer, run

    def run(self) -> None:
        for line in self._process.stdout or ():
            self.last = WrittenPlane(**json.loads(line))
            notify_plane(self._viewer, self._run, self.last)
        self._process.wait()


class _Ending:
    """What happens when the writer has ended: tell the viewer, let it draw, take the picture, close."""

    _STILL = 12  # steps without a change on screen that count as drawn
    _PATIENCE_S = 30.0

    def __init__(
        self, window: Any, reports: _Reports, screenshot: Path | None, close_after: float | None
    ) -> None:
        self.finished = self.failed = False
        self._window, self._reports = window, reports
        self._screenshot, self._close_after = screenshot, close_after
        self._ended_at = 0.0
        self._last_picture: Any = None
        self._still = 0

    def step(self) -> None:
        if self._reports.is_alive():
            return
        if not self.finished:
            self._end()
        elif self._screenshot is not None:
            self._take_picture(self._screenshot)
        elif self._close_after is not None and time.monotonic() - self._ended_at >= self._close_after:
            self._window.close()

    def _end(self) -> None:
        self.finished, self._ended_at = True, time.monotonic()
        viewer = self._window.viewer
        viewer.end_zarr_acquisition()
        last = self._reports.last
        if self._screenshot is not None and last is not None:
            viewer.load_fov(last.fov, last.t, last.z // 2)  # the middle of a stack is in focus

    def _take_picture(self, path: Path) -> None:
        picture = self._window.grab().toImage()
        self._still = self._still + 1 if picture == self._last_picture else 0
        self._last_picture = picture
        if self._still < self._STILL and time.monotonic() - self._ended_at < self._PATIENCE_S:
            return
        self._screenshot, self._close_after = None, self._close_after or 0.0
        self.failed = not picture.save(str(path), "PNG")
        if self.failed:
            sys.stderr.write(f"cannot write {path}: name a PNG in a folder that exists and can be written\n")
        else:
            sys.stdout.write(f"{path}\n")


# ---- the command line -----------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a simulated acquisition, and show it unless told not to; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.folder is None:
        options.folder = Path(tempfile.mkdtemp(prefix="simulated_")) / time.strftime("demo_%Y-%m-%d_%H-%M-%S")
        arguments = [str(options.folder), *arguments]
    try:
        run = _run_from(options)
        _refuse_used(run.folder)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    if not options.view:
        return _write(run, options)
    script = [sys.executable, str(Path(__file__).resolve()), *arguments]
    if not _has_display():
        picture = [] if options.screenshot else ["--screenshot", str(run.folder.with_suffix(".png"))]
        return _run_on_virtual_display([*script, *picture])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Qt runs no Python code while nothing happens
    sys.stdout.write(f"writing to {run.folder}\n")
    sys.stdout.flush()
    writer = [*script, "--no-view", "--report"]
    return view_run(run, writer, screenshot=options.screenshot, close_after=options.close_after)


def _write(run: Run, options: argparse.Namespace) -> int:
    report = _print_report if options.report else None
    behaviour = {"rate": options.rate, "stop_after": options.stop_after, "start_delay": options.start_delay}
    count = write_run(run, report=report, **behaviour)
    if report is None:
        sys.stdout.write(f"{count} planes in {run.folder}\n")
    return 0


def _print_report(plane: WrittenPlane) -> None:
    try:
        sys.stdout.write(json.dumps(plane._asdict()) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody listens any more: end as a killed writer does
        os._exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add(
        "folder",
        nargs="?",
        type=Path,
        help="the experiment folder, new; put it first (default: temporary)",
    )
    add("--layout", choices=LAYOUTS, default="hcs", help="of the stores (default %(default)s)")
    add("--regions", nargs="+", metavar="N|NAME", help="how many regions, or their names")
    add(
        "--wells",
        nargs="+",
        dest="regions",
        metavar="WELL",
        help="names of the regions, as wells: A1 B2 AA12",
    )
    add(
        "--fovs",
        nargs="+",
        type=int,
        default=[4, 6, 3],
        metavar="N",
        help="FOVs per region, used in turn (default 4 6 3)",
    )
    add("--channels", nargs="+", default=list(CHANNELS), metavar="NAME", help="channel names (default: four)")
    add("--n-t", type=int, default=3, help="timepoints (%(default)s)")
    add("--n-z", type=int, default=3, help="planes per z-stack (%(default)s)")
    add(
        "--size",
        nargs="+",
        type=int,
        default=(1024,),
        metavar="PX",
        help="height and width, or one for both (1024)",
    )
    add("--dtype", choices=DTYPES, default="uint16", metavar="DTYPE", help="of the pixels (%(default)s)")
    add("--compression", choices=tuple(COMPRESSIONS), default="fast", help="Squid's presets (%(default)s)")
    add("--chunks", choices=tuple(CHUNKS), default="full", help="whole frames, or square tiles")
    add("--seed", type=int, default=0, help="other seeds, other cells")
    add("--dt", type=float, default=10.0, help="s between timepoints, as the metadata say (%(default)s)")
    add("--dz", type=float, default=1.5, help="µm between planes of a stack (%(default)s)")
    add("--pixel-size", type=float, default=0.325, help="µm (%(default)s)")
    add("--blank", nargs="+", type=int, default=[], metavar="N", help="planes that are all zero, by number")
    add("--rate", type=float, default=20.0, help="planes per second, 0 for as fast as possible (%(default)s)")
    add("--start-delay", type=float, default=0.0, help="s before the first store is made")
    add("--stop-after", type=int, metavar="N", help="stop after N planes, as if killed")
    add("--report", action="store_true", help="without viewer: print a JSON line after each plane")
    add("--view", action=argparse.BooleanOptionalAction, default=True, help="show it in the viewer")
    add("--screenshot", type=Path, metavar="PNG", help="at the end save a picture of the window, and close")
    add("--close-after", type=float, metavar="S", help="close the window S seconds after the end")
    return parser


def _run_from(options: argparse.Namespace) -> Run:
    regions, fovs = options.regions or [str(len(options.fovs))], options.fovs
    if len(regions) == 1 and regions[0].isdecimal():
        names = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
        count = int(regions[0])
        regions = names[:count] if options.layout == "hcs" else [f"R{i}" for i in range(count)]
    if len(options.size) > 2:
        raise ValueError(f"size is {options.size}: expected height and width, or one number for both")
    return Run(
        folder=options.folder.resolve(),
        layout=options.layout,
        regions=tuple(regions),
        fovs=tuple(fovs[i % len(fovs)] for i in range(len(regions))),
        channels=tuple(options.channels),
        n_t=options.n_t,
        n_z=options.n_z,
        height=options.size[0],
        width=options.size[-1],
        dtype=options.dtype,
        compression=options.compression,
        chunks=options.chunks,
        seed=options.seed,
        dt_s=options.dt,
        dz_um=options.dz,
        pixel_size_um=options.pixel_size,
        blank=tuple(options.blank),
    )


def _has_display() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _run_on_virtual_display(command: list[str]) -> int:
    """Run `command` with an X server of its own, which outlives it, and return its exit status."""
    if shutil.which("Xvfb") is None:
        sys.stderr.write(
            "there is no display: set DISPLAY, or install a virtual one (apt-get install xvfb)\n"
        )
        return 1
    reading, writing = os.pipe()
    options = ["-displayfd", str(writing), "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]
    server = subprocess.Popen(["Xvfb", *options], pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with open(reading) as answer:
            display = ":" + answer.readline().strip()  # the server answers when it is ready
        return subprocess.run(command, env={**os.environ, "DISPLAY": display}, check=False).returncode
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
