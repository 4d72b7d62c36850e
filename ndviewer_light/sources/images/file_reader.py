"""Reads pixels from image files, local or remote: PNG, JPEG, BMP and TIFF, one page or many."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ...metadata.imagej import channels as imagej_channels
from ...metadata.ome_xml import ome_image
from ...metadata.tiff_tags import pixel_size_of
from ...storage.bytes import is_url
from ...storage.bytes_pool import BytesPool, whole
from ...storage.decoding.ifd_chain import TIFF_STARTS
from ...storage.decoding.pictures import begins_like_a_picture, decoded, picture_in
from ...storage.decoding.tiff_pages import TIFF_ENDS, TiffPages
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.open_bytes import open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from ...model import Channel, Region
    from ...storage.bytes import Bytes
    from ...storage.decoding.pictures import Picture
    from ...storage.decoding.tiff_pages import Extent, Parts, SeriesLayout
    from ...storage.local_files import LinkGuard

_MAX_TIFFS = 16
_KEPT_BYTES = 128 * 1024**2

Page = tuple[str, int, int, "Region | None"]  # path or URL, page, level, region


@dataclass(frozen=True)
class Sample:
    """What one file reveals about all: pixel type, the axes of its pages, steps in µm and s.

    `axes` and `sizes` as in tifffile ("TZC"), "" for a single page. `described` is more about the channels in
    the file, whose names are `channels` if all of them have one.
    """

    picture: Picture
    axes: str = ""
    sizes: tuple[int, ...] = ()
    n_levels: int = 1
    steps: Mapping[str, float | None] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    described: tuple[Channel, ...] = ()


class ImageFiles:
    """The files of a dataset; any thread. Colour images are kept decoded, for all of their channels."""

    def __init__(self, options: Mapping[str, str], links: LinkGuard | None = None) -> None:
        """`links` checks local files before they are opened."""
        self._links = links
        self._pool = BytesPool(lambda key: open_bytes(_path_of(key), options), _MAX_TIFFS)
        self._lock = threading.Lock()  # guards the following
        self._tiffs: OrderedDict[str, tuple[Bytes, TiffPages]] = OrderedDict()
        self._kept: MemoryCache[Page, np.ndarray] = MemoryCache(_KEPT_BYTES, nbytes)

    def read(
        self, path: str, page: int = 0, level: int = 0, region: Region | None = None, *, keep: bool = False
    ) -> np.ndarray:
        """The pixels of a page, (Y, X) or (Y, X, S), or of a region; `keep` them if needed again soon.

        Raises `PlaneNotStoredError` if there is no such file or page, else a `DatasetError`.
        """
        if not keep:
            return self._read(path, page, level, region)
        wanted = (path, page, level, region)
        return self._kept.get([wanted], lambda _: [(wanted, self._read(*wanted))])[wanted]

    def _read(self, path: str, page: int, level: int, region: Region | None) -> np.ndarray:
        with self._opened(path) as file:
            if _is_tiff(file):
                return self._tiff(path, file).read(page, level, region)
            _only_page(path, page, level)
            pixels = decoded(whole(file), file.name)
            return pixels if region is None else pixels[region.slices]

    def tile(self, path: str, level: int = 0) -> tuple[int, int] | None:
        """Rows and columns of a TIFF worth reading at once; None: the whole plane. Raises like `read`."""
        with self._opened(path) as file:
            return self._tiff(path, file).tile(level) if _is_tiff(file) else None

    def picture(self, path: str, page: int = 0, level: int = 0) -> Picture:
        """The pixel format of a page; raises like `read`."""
        with self._opened(path) as file:
            if _is_tiff(file):
                return self._tiff(path, file).picture(page, level)
            _only_page(path, page, level)
            with file.opened() as opened:
                return picture_in(opened, file.name)

    def stored(self, path: str, page: int, level: int = 0) -> Extent | Parts | None:
        """Where the pixels of a TIFF page are, contiguous or in parts; None for other files."""
        with self._opened(path) as file:
            if not _is_tiff(file):
                return None
            pages = self._tiff(path, file)
            return pages.extent(page, level) or pages.parts(page, level)

    def sample(self, path: str) -> Sample:
        """What a file reveals about others like it; raises like `read`."""
        with self._opened(path) as file:
            if not _is_tiff(file):
                return Sample(self.picture(path))
            pages = self._tiff(path, file)
            return _sample_of(pages, pages.layout(), os.path.basename(path))

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Bytes]:
        if self._links is not None:
            self._links.check([path])
        try:
            with self._pool.opened(_key_of(path)) as file:
                yield file
        except DatasetNotFoundError as error:
            raise PlaneNotStoredError(f"{error} (yet)") from error

    def _tiff(self, path: str, file: Bytes) -> TiffPages:
        """The parsed pages of an open file, kept as long as it is open."""
        with self._lock:
            known = self._tiffs.get(path)
            if known is not None and known[0] is file:
                self._tiffs.move_to_end(path)
                return known[1]
        pages = TiffPages(file)
        with self._lock:
            self._tiffs[path] = (file, pages)
            while len(self._tiffs) > _MAX_TIFFS:
                self._tiffs.popitem(last=False)
        return pages

    def close(self) -> None:
        """Close all files; reads in progress end with an error. May be called twice."""
        self._pool.close()
        with self._lock:
            self._tiffs.clear()
        self._kept.clear()


def _is_tiff(file: Bytes) -> bool:
    """Whether a file is a TIFF by its beginning; one that is too short or damaged, by its name."""
    head = file.read(0, min(16, file.size))
    if head.startswith(TIFF_STARTS):
        return True
    return not begins_like_a_picture(head) and file.name.lower().endswith(TIFF_ENDS)


def _only_page(path: str, page: int, level: int) -> None:
    if page or level:
        raise PlaneNotStoredError(f"{path} contains a single image: no page {page} at level {level}")


def _key_of(path: str) -> str:
    """A key for the file's current version: a replaced file is opened again."""
    if is_url(path):
        return path
    try:
        status = os.stat(path)
    except OSError:
        return path
    return f"{path}\0{status.st_ino}.{status.st_size}.{status.st_mtime_ns}"


def _path_of(key: str) -> str:
    return key.partition("\0")[0]


# ---- TIFF metadata ---------------------------------------------------------------------------


def _sample_of(pages: TiffPages, layout: SeriesLayout, name: str) -> Sample:
    ome_xml, imagej, tags = pages.metadata()
    steps: dict[str, float | None] = {"x": pixel_size_of(tags), "y": pixel_size_of(tags)}
    described: tuple[Channel, ...] = ()
    if imagej:
        steps |= _imagej_steps(imagej, tags)
        n_c = dict(zip(layout.axes, layout.sizes, strict=True)).get("C", 1)
        described = imagej_channels(imagej, n_c, math.prod(layout.sizes), layout.picture.dtype)
    with contextlib.suppress(DatasetError):  # it is only metadata
        if ome_xml and (image := ome_image(ome_xml, name)) is not None:
            steps = {
                "x": image.pixel_x_um,
                "y": image.pixel_y_um,
                "z": image.z_step_um,
                "t": image.time_step_s,
            }
            described = image.described
    names = tuple(channel.name for channel in described if channel.name)
    return Sample(layout.picture, layout.axes, layout.sizes, layout.n_levels, steps, names, described)


_MICRONS = ("micron", "um", "µm", "μm", "\\u00B5m", "micrometer")


def _imagej_steps(imagej: Mapping[str, object], tags: object) -> dict[str, float | None]:
    """ImageJ's own steps; its resolution is in pixels per unit."""
    if imagej.get("unit") not in _MICRONS:
        return {}
    found: dict[str, float | None] = {}
    for role, tag in (("x", 282), ("y", 283)):
        value = tags.valueof(tag) if hasattr(tags, "valueof") else None
        if isinstance(value, tuple) and len(value) == 2 and value[0] > 0 and value[1] > 0:
            found[role] = value[1] / value[0]
    for role, key in (("z", "spacing"), ("t", "finterval")):
        step = imagej.get(key)
        if isinstance(step, (int, float)) and 1e-7 < step < 1e9:
            found[role] = float(step)
    return found
