"""The images of an NWB file that references describe, as positions: series, and single images after them.

What the file says of each is in the references; one that LINDI links to another file is opened there when
something of it is first read.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import DatasetError, PlaneNotStoredError
from ...metadata.nwb_contents import nwb_positions
from ...model import ImageInfo, PlaneKey, channel_in, in_known_colours
from ...storage.about_files import with_position
from ...storage.limits import MAX_POSITIONS
from ..missing import Found
from ..source import Source
from .images import link_of, nwb_image_at, nwb_paths
from .nwb import all_series, external_said, is_external
from .nwb_masks import all_masks, masks_over
from .referenced_image import ReferencedImage, dataset_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ...model import DatasetInfo, Level, Region
    from .images import Link
    from .reference_file import References


class DescribedImage(NamedTuple):
    """An image as references describe it, and the link to where it is, if LINDI links it to another file."""

    path: str
    image: ReferencedImage
    link: Link | None


class DescribedImages(NamedTuple):
    """All images of an NWB file, and why others cannot be shown."""

    images: tuple[DescribedImage, ...]
    notes: tuple[str, ...]


def images_described(references: References) -> DescribedImages:
    """The images of NWB in references; those that cannot be shown are left out, with a note."""
    found, notes = (
        [],
        [external_said(references, each) for each in all_series(references) if is_external(references, each)],
    )
    for path in nwb_paths(references)[:MAX_POSITIONS]:
        try:
            image = nwb_image_at(references, path)
            link = None if references.array(path) else link_of(references, f"{path}/data")
        except DatasetError as error:
            notes.append(str(error))
            continue
        found.append(DescribedImage(path, image, link))
    return DescribedImages(tuple(found), tuple(notes))


def several_info(references: References, described: DescribedImages, file: str, name: str) -> DatasetInfo:
    """The `DatasetInfo` of several images."""
    each = [
        dataset_info(image, name, (), f"{references.where}: /{path}") for path, image, _ in described.images
    ]
    masks = tuple(f"{file}::/{path}" for path in all_masks(references))
    info = replace(
        each[0],
        positions=nwb_positions([image.path for image in described.images]),
        choices=(file, *masks) if masks else (),
        labels=labels_of(references, file, each[0].image(0)),
        warnings=(
            *(with_position(text, p) for p, one in enumerate(each) for text in one.warnings),
            *described.notes[:8],
        ),
    )
    for p, one in enumerate(each):
        image = one.image(0)
        info = info.with_image(p, replace(image, channels=in_known_colours(image.channels, info.channels)))
    return info


def labels_of(references: References, file: str, image: ImageInfo) -> tuple[str, ...]:
    """The masks of the size of an image, as they are opened."""
    return tuple(f"{file}::/{path}" for path in masks_over(references, (image.height, image.width)))


class SeveralImages(Source):
    """Several images, each a source of its own that is opened when it is first needed."""

    format = "references"

    def __init__(
        self,
        info: DatasetInfo,
        open_one: Callable[[int], Source],
        labels: Callable[[ImageInfo], tuple[str, ...]],
        identify: Callable[[], str | None],
        at_once: int,
        about: dict[str, Any],
        close: Callable[[], None],
    ) -> None:
        """`open_one` opens the image of a position, `about` is for `describe`; `close` ends all reads."""
        self._info = info
        self._open_one = open_one
        self._labels = labels
        self._identify = identify
        self._at_once = at_once
        self._close = close
        self._about = about
        self._lock = threading.Lock()  # guards the following
        self._sources: dict[int, Source] = {}
        self._closed = False

    @property
    def info(self) -> DatasetInfo:
        """The metadata of all images; it does not change."""
        return self._info

    @functools.cached_property
    def identity(self) -> str | None:
        """See `Source.identity`: of the references and all files they lead to."""
        return self._identify()

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`."""
        return self._at_once

    def _source(self, p: int) -> Source:
        with self._lock:
            known, is_closed = self._sources.get(p), self._closed
        if is_closed:
            raise DatasetError(f"{self._info.name} was closed")
        if known is not None:
            return known
        if not 0 <= p < len(self._info.positions):
            raise IndexError(f"no position {p}: there are {len(self._info.positions)}")
        new = self._open_one(p)
        with self._lock:
            found = self._sources.setdefault(p, new)
            is_closed = self._closed
        if found is not new or is_closed:
            new.close()
        return found

    def _own(self, key: PlaneKey) -> tuple[Source, PlaneKey]:
        """The image of a plane, and its key there; raises `PlaneNotStoredError` if there is none."""
        info = self._info
        if not info.contains(key):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {info.sizes}")
        image, label = info.image(key.p), info.positions[key.p].label
        c = channel_in(image.channels, info.channels, key.c)
        if c is None:
            raise PlaneNotStoredError(f"{info.name}: {label} has no channel {info.channels[key.c].name!r}")
        if key.t >= image.n_t or key.z >= image.n_z:
            raise PlaneNotStoredError(f"{info.name}: {label} has no plane at t {key.t}, z {key.z}")
        return self._source(key.p), key._replace(p=0, c=c)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """See `Source.read_plane`."""
        source, own = self._own(PlaneKey(*key))
        return source.read_plane(own, level)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`."""
        source, own = self._own(PlaneKey(*key))
        return source.read_region(own, region, level)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Source.plane_shape`."""
        try:
            source, own = self._own(PlaneKey(*key))
        except PlaneNotStoredError:
            return None
        return source.plane_shape(own, level)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`: NWB has one."""
        return (self._info.image(p).level,)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`."""
        return self._labels(self._info.image(p))

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""
        return self._source(p).tile_shape(0, level)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`; of what was not opened yet in another file, only reading tells."""
        return [self._is_stored(PlaneKey(*key)) for key in keys]

    def _is_stored(self, key: PlaneKey) -> bool | None:
        try:
            source, own = self._own(key)
        except PlaneNotStoredError:
            return False
        except (DatasetError, IndexError):
            return None
        return source.are_stored([own])[0]

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """See `Source.look_up_stored`."""
        with contextlib.suppress(DatasetError, IndexError):
            source, own = self._own(PlaneKey(*key))
            return source.look_up_stored(own)
        return None

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`."""
        found = []
        for key in keys:
            try:
                source, own = self._own(PlaneKey(*key))
                found += source.missing_as([own])
            except (DatasetError, IndexError):
                found.append(Found.ABSENT)
        return found

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`."""
        return [self._version(PlaneKey(*key), level) for key in keys]

    def _version(self, key: PlaneKey, level: int) -> str | None:
        with contextlib.suppress(DatasetError, IndexError):
            source, own = self._own(key)
            return source.versions([own], level)[0]
        return None

    def stamps(self, keys: Sequence[PlaneKey]) -> list[str | None]:
        """See `Source.stamps`: of each image."""
        found: list[str | None] = []
        for key in keys:
            stamp = None
            with contextlib.suppress(DatasetError, IndexError):
                source, own = self._own(PlaneKey(*key))
                (stamp,) = source.stamps([own])
            found.append(stamp)
        return found

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`."""
        found: list[float | None] = []
        for key in keys:
            seconds = None
            with contextlib.suppress(DatasetError, IndexError):
                source, own = self._own(PlaneKey(*key))
                (seconds,) = source.acquired_s([own])
            found.append(seconds)
        return found

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return self._about

    def refresh(self) -> DatasetInfo:
        """Does nothing: the references do not change."""
        return self._info

    def close(self) -> None:
        """See `Source.close`."""
        with self._lock:
            self._closed = True
            sources = list(self._sources.values())
        for source in sources:
            source.close()
        self._close()
