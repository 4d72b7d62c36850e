"""A single image file: its planes along whatever axes its metadata names."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple

from ...errors import LimitExceededError, PlaneNotStoredError, UnsupportedError
from ...metadata import imagej
from ...metadata.tiff_tags import pixel_size_of, resolution_of
from ...storage.decoding.ifd_chain import MAX_PAGES
from ...storage.decoding.tiff_pages import TIFF_ENDS
from ...storage.decoding.tiff_parts import (
    MAX_LEVELS,
    WHOLE,
    PagePart,
    sub_pages,
    tile_of_page,
    within,
)
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS
from ...storage.tiling import check_whole_plane
from .file_pool import (
    image_picture,
    is_plain,
    picture_of,
    read_image,
)
from .forms import FileFacts, Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import numpy as np
    from tifffile import TiffPage, TiffPageSeries

    from ...model import PlaneKey
    from ...storage.decoding.pictures import Picture
    from .file_pool import OpenTiff, TiffPool
    from .forms import FileLocations

_ROLES = {"T": "t", "Z": "z", "C": "c", "R": "p", "P": "p", "V": "p"}
"""Of tifffile's axes; those it does not know ("I", "Q") count as z, then as time."""

_UM_PER_UNIT = {"um": 1.0, "µm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}


class Axes(NamedTuple):
    """The page axes of a file, slowest first: their roles and lengths."""

    roles: str
    sizes: tuple[int, ...]

    def size(self, role: str) -> int:
        """Planes along an axis, 1 if there is none."""
        return math.prod(n for r, n in zip(self.roles, self.sizes, strict=True) if r == role)

    def plane(self, t: int, p: int, c: int, z: int) -> int | None:
        """The number of that plane in the file; None if there is none."""
        at, index = {"t": t, "p": p, "c": c, "z": z}, 0
        if any(value and role not in self.roles for role, value in at.items()):
            return None
        for role, size in zip(self.roles, self.sizes, strict=True):
            if not 0 <= at[role] < size:
                return None
            index = index * size + at[role]
        return index


def axes_of(letters: str, shape: tuple[int, ...], path: str) -> Axes:
    """The roles of tifffile's axes except rows, columns and samples.

    Raises `UnsupportedError` if there are more unknown axes than free roles.
    """
    roles: list[str] = []
    for letter in letters:
        role = _ROLES.get(letter)
        free = (role for role in "ztp" if role not in roles and not _names_role(letters, role))
        role = role if role is not None and role not in roles else next(free, None)
        if role is None:
            raise UnsupportedError(
                f"{path}: axes {letters} include others than time, position, channel and z: not supported"
            )
        roles.append(role)
    return Axes("".join(roles), shape)


def _names_role(letters: str, role: str) -> bool:
    return any(_ROLES.get(letter) == role for letter in letters)


class SingleFile(Form):
    """A TIFF with whatever axes, or a PNG or BMP of one plane. Positions count from 0."""

    format = "tiff"
    one_time_per_file = False

    def __init__(self, places: FileLocations, pool: TiffPool, path: str) -> None:
        super().__init__(places)
        self._pool = pool
        self._path = path
        self._is_tiff = path.lower().endswith(TIFF_ENDS)
        if not self._is_tiff:
            self.format = os.path.splitext(path)[1][1:].lower()

    def files(self, key: PlaneKey) -> Iterator[str]:
        """See `Form.files`."""
        yield self._path

    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """See `Form.read`."""
        if not self._is_tiff:
            return read_image(path, 0, part)
        with self._pool.opened(path) as tiff:
            return _read_plane(tiff, _plane_of(tiff, key), part)

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """See `Form.lists`: it has a page for the plane."""
        if self._is_tiff:
            with self._pool.opened(path) as tiff:
                _plane_of(tiff, key)
        return True

    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """See `Form.picture`."""
        if not self._is_tiff:
            return image_picture(path)
        with self._pool.opened(path) as tiff:
            _plane_of(tiff, key)  # checks that the plane exists
            return _picture(tiff, level)

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Form.tile`."""
        if not self._is_tiff:
            return None
        with self._pool.opened(path) as tiff:
            page = _keyframe(tiff, level)
            return tile_of_page(page, picture_of(page, path), is_plain=is_plain(page))

    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """See `Form.facts`."""
        if not self._is_tiff:
            return FileFacts(image_picture(path), n_t=1, n_z=1, channels=("",))
        with self._pool.opened(path) as tiff:
            axes = _axes(tiff)
            size = pixel_size_of(tiff.page(0).tags)
            said: Mapping[str, Any] = tiff.tif.imagej_metadata or {}
            picture = _picture(tiff)
            described = imagej.channels(said, axes.size("c"), math.prod(axes.sizes), picture.dtype)
            return FileFacts(
                picture,
                n_t=axes.size("t"),
                n_z=axes.size("z"),
                n_p=axes.size("p"),
                channels=tuple(channel.name for channel in described),
                described=described,
                pixel_y=size or _imagej_pixel_size(tiff, said),
                pixel_x=size or _imagej_pixel_size(tiff, said),
                z_step=_positive(said.get("spacing")) if axes.size("z") > 1 else None,
                time_step=_positive(said.get("finterval")),
                n_levels=len(_levels(tiff)),
            )


def _series(tiff: OpenTiff) -> TiffPageSeries:
    """The first series of pages of the same size."""
    first = tiff.page(0)
    picture_of(first, tiff.path)  # checked before tifffile multiplies it by anything
    for level, _ in enumerate(sub_pages(first), 1):
        tiff.at_level(first, level)  # the same
    series: TiffPageSeries = tiff.tif.series[0]
    return series


def _levels(tiff: OpenTiff) -> Sequence[TiffPageSeries]:
    """The pyramid levels of the series, largest first: sub-pages, or pages of the file."""
    series = _series(tiff)
    if not series.is_pyramidal or len(series.levels) > MAX_LEVELS:
        return [series]
    return list(series.levels)


def _level(tiff: OpenTiff, level: int) -> TiffPageSeries:
    levels = _levels(tiff)
    if not 0 <= level < len(levels):
        raise PlaneNotStoredError(f"{tiff.path} has no resolution level {level}: it has {len(levels)}")
    return levels[level]


def _keyframe(tiff: OpenTiff, level: int) -> TiffPage:
    return _level(tiff, level).keyframe.aspage()


def _axes(tiff: OpenTiff) -> Axes:
    axes: Axes | None = tiff.known.get("axes")
    if axes is None:
        series = _series(tiff)
        letters = str(series.axes)
        leading = [i for i, letter in enumerate(letters) if letter not in "YXS"]
        axes = axes_of(
            "".join(letters[i] for i in leading), tuple(int(series.shape[i]) for i in leading), tiff.path
        )
        if "".join(letter for letter in letters if letter in "YX") != "YX":
            raise UnsupportedError(f"{tiff.path}: axes {letters} do not include Y and X")
        limits = {"t": MAX_PAGES, "z": MAX_PAGES, "p": MAX_POSITIONS, "c": MAX_CHANNELS}
        if math.prod(axes.sizes) > MAX_PAGES or any(axes.size(role) > most for role, most in limits.items()):
            raise LimitExceededError(f"{tiff.path}: too many planes ({axes.sizes})")
        tiff.known["axes"] = axes
    return axes


def _plane_of(tiff: OpenTiff, key: PlaneKey) -> int:
    index = _axes(tiff).plane(key.t, key.p, key.c, key.z)
    if index is None:
        raise PlaneNotStoredError(f"{tiff.path} has no plane {tuple(key)}")
    return index


def _picture(tiff: OpenTiff, level: int = 0) -> Picture:
    return picture_of(_keyframe(tiff, level), tiff.path)


def _read_plane(tiff: OpenTiff, index: int, part: PagePart) -> np.ndarray:
    """Read a plane of the series: its own page or, if one page represents all, the pixels that follow it."""
    series = _level(tiff, part.level)
    pages = series.pages
    n_planes = math.prod(_axes(tiff).sizes)
    if len(pages) == n_planes:
        page = pages[index]
        if page is None:
            raise PlaneNotStoredError(f"{tiff.path}: page {index} is missing")
        return tiff.read_page(page.aspage(), part.region)
    keyframe, offset = series.keyframe.aspage(), series.dataoffset
    if offset is None or not is_plain(keyframe) or (keyframe.planarconfig == 2 and "S" in series.axes):
        raise UnsupportedError(f"{tiff.path}: cannot assign {len(pages)} pages to {n_planes} planes")
    picture = picture_of(keyframe, tiff.path)
    region = within(part.region, picture)
    bytes_per_pixel = picture.dtype.itemsize * picture.samples
    check_whole_plane((region.height, region.width), bytes_per_pixel, tiff.path)
    return tiff.read_plain(int(offset) + index * picture.nbytes, picture, region, planar=False)


def _imagej_pixel_size(tiff: OpenTiff, said: Mapping[str, Any]) -> float | None:
    um = _UM_PER_UNIT.get(str(said.get("unit", "")).strip().lower())
    per_unit = resolution_of(tiff.page(0).tags)
    return um / per_unit if um is not None and per_unit is not None else None


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None
