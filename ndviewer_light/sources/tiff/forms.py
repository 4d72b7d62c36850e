"""Squid's TIFF layouts: which file contains a plane, and how to read it.

A form knows nothing of colours, of display, or of what is announced. Two are here, `ome` has the third.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import CorruptDataError, DatasetError, PlaneNotWrittenError
from ...metadata.squid import sanitised
from ...storage.decoding.tiff_pages import TIFF_ENDS
from ...storage.decoding.tiff_parts import WHOLE, PagePart
from .file_errors import PageMissingError
from .file_names import Spelling, is_file_name, is_number
from .file_pool import image_facts, image_picture, image_tile, read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from ...model import Channel, PlaneKey, Position
    from ...storage.decoding.pictures import Picture
    from ...storage.local_files import LinkGuard
    from .file_pool import OpenTiff, TiffPool

_MAX_INDEX = 1_000_000
MAX_REGISTERED = 200_000
_MAX_FORM_BYTES = 1024**2


@dataclass(frozen=True)
class FileLocations:
    """The locations of a dataset's files, as far as known from names.

    `channels` as in file names. `folders` by time index; if `computed`, those of other times are
    named by their number. `shared` is the one folder of files that contain all times. `z` by index, if the
    numbers in file names differ; `names` of irregular files, by region and field of view.
    """

    experiment: str
    positions: tuple[Position, ...]
    channels: tuple[str, ...]
    folders: Mapping[int, str] = field(default_factory=dict)
    shared: str = ""
    computed: bool = False
    z: tuple[int, ...] = ()
    spelling: Spelling = field(default_factory=Spelling)
    names: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def time_folders(self, t: int) -> Iterator[str]:
        """The possible folders of a time point, likeliest first."""
        if self.shared:
            yield self.shared
        elif t in self.folders:
            yield self.folders[t]
        elif self.computed:
            for (name,) in self.spelling.numbers(t):
                yield os.path.join(self.experiment, name)


class FileFacts(NamedTuple):
    """What one file reveals about its dataset; None, 0 and () if unknown. Lengths in µm, times in s.

    `described` is more about the `channels`, `position_um` (x, y, z) and `name` are those of the position.
    `torn` is why some of this may be missing: the file ends too early. `is_inverted`: it is in grey, and low
    values are the bright ones.
    """

    picture: Picture
    n_t: int = 0
    n_p: int = 0
    n_z: int = 0
    channels: tuple[str, ...] = ()
    pixel_y: float | None = None
    pixel_x: float | None = None
    z_step: float | None = None
    time_step: float | None = None
    complete: bool | None = None
    n_levels: int = 1
    described: tuple[Channel, ...] = ()
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    name: str = ""
    torn: DatasetError | None = None
    is_inverted: bool = False


class Form(ABC):
    """Finds and reads planes. The `c` of its keys is the acquired channel's index. Any thread."""

    format: str
    one_time_per_file = True

    def __init__(self, places: FileLocations) -> None:
        self.places = places
        """Replaced as a whole when more is known."""
        self.links: LinkGuard | None = None
        """Which files belong to the dataset; None if named by a host."""
        self._lock = threading.Lock()  # guards its replacement

    def learn(self, numbers: Iterable[str], end: str = "", **changes: Any) -> None:
        """Update from names: numbers that may be padded, an extension; and other facts of `places`."""
        with self._lock:
            spelling = self.places.spelling.seen(end=end)
            for number in numbers:
                spelling = spelling.seen(number)
            self.places = replace(self.places, spelling=spelling, **changes)

    def check(self, path: str) -> None:
        """Raise `UntrustedReferenceError` for a file outside the dataset, before it is opened."""
        if self.links is not None:
            self.links.check([path])

    @abstractmethod
    def files(self, key: PlaneKey) -> Iterator[str]:
        """The files that may contain a plane, likeliest first. No I/O."""

    @abstractmethod
    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """The pixels (Y, X) or (Y, X, S) of the plane in that file, or of a part of it.

        Raises `FileMissingError`, `PlaneNotStoredError` if the file has no such plane, other `DatasetError`.
        """

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """Whether that file contains the plane by its own account, None if it gives none; raises like `read`.

        Reads tables of contents at most.
        """
        return None

    @abstractmethod
    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """The facts from that file; raises like `read`."""

    @abstractmethod
    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """The pixel format of the plane in that file; raises like `read`."""

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """Rows and columns worth reading at once; None: the whole plane. Raises like `read`."""
        return None


class ImagePerPlane(Form):
    """One file per plane."""

    format = "tiff images"

    def __init__(self, places: FileLocations) -> None:
        super().__init__(places)
        self._registered: OrderedDict[PlaneKey, tuple[str, int]] = OrderedDict()

    def register(self, key: PlaneKey, path: str, page: int) -> None:
        """Remember where a plane will be, and how its file is named."""
        with self._lock:
            self._registered[key] = path, page
            self._registered.move_to_end(key)
            while len(self._registered) > MAX_REGISTERED:
                self._registered.popitem(last=False)
        self.learn(_numbers_in(path), os.path.splitext(path)[1])

    def files(self, key: PlaneKey) -> Iterator[str]:
        """The registered file, then those named by the pattern of the others."""
        registered = self._registered.get(key)
        if registered is not None:
            yield registered[0]
        places = self.places
        if not 0 <= key.c < len(places.channels):
            return
        region, number, *_ = places.positions[key.p]
        channel = places.channels[key.c]
        z_number = places.z[key.z] if key.z < len(places.z) else key.z
        for folder in places.time_folders(key.t):
            for fov, z in places.spelling.numbers(number, z_number):
                for end in places.spelling.ends:
                    name = f"{region}_{fov}_{z}_{channel}{end}"
                    if is_file_name(name):
                        yield os.path.join(folder, name)

    def _page(self, path: str, key: PlaneKey) -> int:
        registered = self._registered.get(key)
        return registered[1] if registered is not None and registered[0] == path else 0

    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """See `Form.read`."""
        return read_image(path, self._page(path, key), part)

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """See `Form.lists`: the file is the plane."""
        return True

    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """See `Form.facts`."""
        picture, size, is_inverted = image_facts(path, self._page(path, key))
        return FileFacts(picture, pixel_y=size, pixel_x=size, is_inverted=is_inverted)

    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """See `Form.picture`."""
        return image_picture(path, self._page(path, key))

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Form.tile`."""
        return image_tile(path, self._page(path, key))


def _numbers_in(path: str) -> list[str]:
    """Numbers that reveal padding: the time folder's, and those in the file name."""
    folder, name = os.path.split(path)
    numbers = name.split("_")[1:3]
    return [number for number in (os.path.basename(folder), *numbers) if is_number(number)]


class StackPage(NamedTuple):
    """The metadata of one page of a stack; `c` is Squid's channel index, -1 if missing."""

    page: int
    z: int
    channel: str
    c: int


class StackPerPosition(Form):
    """One file per position and time, with one self-describing page per plane."""

    format = "tiff stacks"

    def __init__(self, places: FileLocations, pool: TiffPool) -> None:
        super().__init__(places)
        self._pool = pool

    def files(self, key: PlaneKey) -> Iterator[str]:
        """See `Form.files`."""
        places = self.places
        region, number, *_ = places.positions[key.p]
        known = places.names.get((region, number))
        spelt = [fov for (fov,) in places.spelling.numbers(number)]
        ends = [end for end in places.spelling.ends if end.lower() in TIFF_ENDS]
        names = (
            [known] if known is not None else [f"{region}_{fov}_stack{end}" for fov in spelt for end in ends]
        )
        for folder in places.time_folders(key.t):
            yield from (os.path.join(folder, name) for name in names if is_file_name(name))

    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """See `Form.read`."""
        with self._pool.opened(path) as tiff:
            return tiff.read(self._page(tiff, key), part)

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """See `Form.lists`: its pages say which planes they are."""
        with self._pool.opened(path) as tiff:
            self._page(tiff, key)
        return True

    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """See `Form.picture`."""
        with self._pool.opened(path) as tiff:
            return tiff.picture(self._page(tiff, key), level)

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Form.tile`."""
        with self._pool.opened(path) as tiff:
            return tiff.tile(self._page(tiff, key), level)

    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """See `Form.facts`."""
        with self._pool.opened(path) as tiff:
            pages = stack_pages(tiff)
            # those without index come last, in file order
            in_order = sorted(pages, key=lambda page: page.c if page.c >= 0 else _MAX_INDEX)
            channels = tuple(dict.fromkeys(page.channel for page in in_order))
            n_z = max((page.z for page in pages), default=0) + 1
            picture, is_inverted = tiff.picture(0), tiff.is_inverted(0)
            return FileFacts(picture, n_z=n_z, channels=channels, torn=tiff.torn(), is_inverted=is_inverted)

    def _page(self, tiff: OpenTiff, key: PlaneKey) -> int:
        channels = self.places.channels
        of_z = [page for page in stack_pages(tiff) if page.z == key.z]
        wanted = channels[key.c] if 0 <= key.c < len(channels) else None
        for page in of_z:
            if sanitised(page.channel) == wanted:
                return page.page
        for page in of_z:
            if page.c == key.c and sanitised(page.channel) not in channels:
                return page.page
        if isinstance(error := tiff.torn(), CorruptDataError):
            raise error
        error = PlaneNotWrittenError(f"{tiff.path} has no page for z={key.z} of {wanted} yet")
        with contextlib.suppress(DatasetError, PageMissingError):
            picture = tiff.picture(0)
            error.plane_shape = picture.height, picture.width
        raise error


def stack_pages(tiff: OpenTiff) -> list[StackPage]:
    """The metadata of each page of a stack; a page without any is its own z."""
    pages: list[StackPage] | None = tiff.known.get("stack")
    if pages is None:
        pages = tiff.known["stack"] = [_stack_page(tiff, i) for i in range(tiff.n_pages)]
    return pages


def _stack_page(tiff: OpenTiff, index: int) -> StackPage:
    tags = tiff.page(index).tags
    said: dict[str, Any] = {}
    for tag in tags.getall(270) or ():  # Squid's own, then tifffile's
        said = {**_json_object(tag.value), **said}
    name = said.get("channel") or tags.valueof(285, default="")
    return StackPage(
        index, _index(said.get("z_level"), index), str(name), _index(said.get("channel_index"), -1)
    )


def _json_object(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _MAX_FORM_BYTES:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _index(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and 0 <= value < _MAX_INDEX else otherwise
