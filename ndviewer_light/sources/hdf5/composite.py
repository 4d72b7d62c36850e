"""An image of many datasets: one for each time point, channel, position or level, or one for some frames."""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ...errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ...model import PlaneKey, how_many
from ...storage.bytes import is_url
from ...storage.file_holes import Stretch, may_have_holes
from ...storage.file_versions import version_of
from ...storage.tiling import check_whole_plane, tile_of_chunks
from .parts import DatasetParts, PartAddress
from .planes_in_chunks import HDF5InChunks
from .snapshot import Snapshot, name_of_image, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from ...model import DatasetInfo, Level, Region
    from .file import HDF5File
    from .parts import DatasetPart
    from .snapshot import OpenRequest


_Answer = TypeVar("_Answer")

STACK_ROLES = ("z", "y", "x")
"""The axes of datasets that are one stack each."""


class PlaneAddress(NamedTuple):
    """Where one plane is: in which dataset, and at which index along its axes other than y and x."""

    part: PartAddress
    at: Mapping[str, int]


class Composite(ABC):
    """What an image of many datasets is made of; knows no pixels. `evidence` says by what, for display."""

    info: DatasetInfo
    evidence: str

    @abstractmethod
    def levels(self, p: int) -> tuple[Level, ...]:
        """The levels of a position."""

    @abstractmethod
    def address(self, key: PlaneKey, level: int) -> PlaneAddress | None:
        """Where a plane within the sizes is; None if the file has no place for it."""

    def frame_times(self, file: HDF5File) -> np.ndarray | None:
        """When time points were acquired, as in `Snapshot.frame_times`; within `HDF5File.reading`."""
        return None


class CompositeSnapshot(Snapshot):
    """A file whose image is made of many datasets."""

    def __init__(self, file: HDF5File, request: OpenRequest, image: Composite) -> None:
        super().__init__(file)
        self._image = image
        self._parts = DatasetParts(file)
        self.evidence = image.evidence
        self.inner = request.inner
        info = dataclasses.replace(
            image.info,
            name=name_of_image(request.path, request.inner),
            warnings=image.info.warnings + unfinished(file),
        )
        before = request.before
        self.info = before.info if before is not None and before.info == info else info
        assert info.dtype is not None, "every image has one"
        self._dtype = info.dtype

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        if not 0 <= p < len(self.info.positions):
            raise IndexError(f"no position {p} in {self.file.name}")
        return self._image.levels(p)

    def frame_times(self) -> np.ndarray | None:
        """See `Snapshot.frame_times`."""
        return self._image.frame_times(self.file)

    def tile_shape(self, p: int, level: int) -> tuple[int, int] | None:
        """See `Source.tile_shape`: by the chunks of the first dataset."""
        sizes = self.levels(p)[level].sizes
        address = self._image.address(PlaneKey(p=p), level)
        if address is not None:
            with self._parts.using(address.part) as part:
                if part is not None and (chunk := part.opened.chunk) is not None:
                    along = dict(zip(address.part.roles, chunk, strict=True))
                    return tile_of_chunks((along["y"], along["x"]), (sizes.y, sizes.x))
        return tile_of_chunks((1, 1), (sizes.y, sizes.x))

    def read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """See `HDF5Source.read_plane`, `HDF5Source.read_region`."""
        size = self._check(key, level, region)
        check_whole_plane(size, self._dtype.itemsize, self.file.name)
        with self._using(key, level) as (part, address):
            if part is None or address is None:
                raise PlaneNotStoredError(f"{self.file.name}: nothing is stored for this plane")
            selection = self._selection(part, address, key, level, region)
            try:
                pixels = part.opened.pixels.read(selection)
            except PlaneNotStoredError:
                whole, pixels_of = self._selection(part, address, key, level, None), part.opened.pixels
                if region is None or not self._held.of(key, level, lambda: pixels_of.is_stored(whole)):
                    raise
                pixels = np.full([stop - start for start, stop in selection], part.opened.fill)
        roles = address.part.roles
        pixels = pixels[tuple(slice(None) if role in ("y", "x") else 0 for role in roles)]
        pixels = self._as_shown(pixels)
        return pixels if roles.index("y") < roles.index("x") else pixels.T

    def _as_shown(self, pixels: np.ndarray) -> np.ndarray:
        """Signed integers that mean unsigned ones keep their bits."""
        if pixels.dtype == self._dtype:
            return pixels
        if pixels.dtype.kind in "iu" and (self._dtype.kind, self._dtype.itemsize) == ("u", pixels.itemsize):
            return pixels.view(self._dtype)
        raise CorruptDataError(
            f"{self.file.name}: one of its datasets contains {pixels.dtype}, others {self._dtype}"
        )

    def _check(self, key: PlaneKey, level: int, region: Region | None) -> tuple[int, int]:
        """The rows and columns to be read; raises `IndexError` outside the image."""
        levels = self.levels(key.p) if self.info.contains(key) else ()
        if not 0 <= level < len(levels) or key.z >= levels[level].sizes.z:
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self.info.sizes}")
        sizes = levels[level].sizes
        if region is None:
            return sizes.y, sizes.x
        if not region.within(sizes.y, sizes.x):
            raise IndexError(f"{region} is not within a plane of {(sizes.y, sizes.x)}")
        return region.height, region.width

    @contextlib.contextmanager
    def _using(self, key: PlaneKey, level: int) -> Iterator[tuple[DatasetPart | None, PlaneAddress | None]]:
        address = self._image.address(key, level)
        if address is None:
            yield None, None
            return
        with self._parts.using(address.part) as part:
            yield part, address

    def _selection(
        self, part: DatasetPart, address: PlaneAddress, key: PlaneKey, level: int, region: Region | None
    ) -> list[tuple[int, int]]:
        sizes = self.levels(key.p)[level].sizes
        top, left, height, width = region or (0, 0, sizes.y, sizes.x)
        along = {role: (index, index + 1) for role, index in address.at.items()}
        along |= {"y": (top, top + height), "x": (left, left + width)}
        shape = part.known.shape
        if len(shape) != len(address.part.roles):
            raise CorruptDataError(
                f"{self.file.name}: {part.known.path} has {how_many(len(shape), 'dimension')}"
            )
        selection = [along.get(role, (0, 1)) for role in address.part.roles]
        for role, (_, stop), n in zip(address.part.roles, selection, shape, strict=True):
            if stop <= n:
                continue
            if role not in ("y", "x"):
                raise PlaneNotStoredError(f"{self.file.name}: nothing is stored for this plane")
            raise CorruptDataError(
                f"{self.file.name}: {part.known.path} is {shape}, smaller than the file says"
            )
        return selection

    def is_stored(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.is_stored`."""
        return self.looks_up(key) if self.is_near and self.info.contains(key) else None

    def looks_up(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.looks_up`."""
        with self._using(key, 0) as (part, address):
            if part is None or address is None:
                return False
            return part.opened.pixels.is_stored(self._selection(part, address, key, 0, None))

    def has_room_ahead(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.has_room_ahead`."""
        return self._is_so(key, level, lambda part, selection: part.opened.has_room_ahead(selection))

    def is_partly_stored(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.is_partly_stored`."""
        return self._is_so(key, level, lambda part, selection: part.opened.pixels.is_partly_stored(selection))

    def stretches(self, keys: Sequence[PlaneKey], level: int) -> list[tuple[Stretch, ...]]:
        """See `Snapshot.stretches`."""
        return [self._asked(PlaneKey(*key), level, _stretches, ()) for key in keys]

    def place(self, key: PlaneKey, level: int) -> tuple[Hashable, tuple[int, ...]] | None:
        """See `Snapshot.place`."""
        address = self._image.address(key, level)
        if address is None:
            return None
        roles = (role for role in address.part.roles if role not in ("y", "x"))
        return address.part, tuple(address.at.get(role, 0) for role in roles)

    @contextlib.contextmanager
    def in_chunks(self, dataset: Any) -> Iterator[HDF5InChunks | None]:
        """See `Snapshot.in_chunks`."""
        assert isinstance(dataset, PartAddress)
        with self._parts.using(dataset) as part:
            if part is None:
                yield None
            else:
                yield HDF5InChunks.of(part.file, part.known, part.opened, dataset.roles)

    def _is_so(
        self,
        key: PlaneKey,
        level: int,
        asked: Callable[[DatasetPart, list[tuple[int, int]]], bool],
    ) -> bool:
        return self._asked(key, level, asked, False)

    def _asked(
        self,
        key: PlaneKey,
        level: int,
        asked: Callable[[DatasetPart, list[tuple[int, int]]], _Answer],
        otherwise: _Answer,
    ) -> _Answer:
        try:
            with self._using(key, level) as (part, address):
                if part is None or address is None:
                    return otherwise
                return asked(part, self._selection(part, address, key, level, None))
        except (DatasetError, IndexError):  # reading the plane says why
            return otherwise

    @property
    def is_near(self) -> bool:
        """See `Snapshot.is_near`."""
        return not self.file.is_remote

    @property
    def fill(self) -> np.generic:
        """See `Snapshot.fill`."""
        zero: np.generic = self._dtype.type(0)
        return zero

    def version(self, key: PlaneKey, level: int) -> str | None:
        """The version of the other file that a plane is in; None if it is in this one, or on a server."""
        if not self.info.contains(key):
            return None
        address = self._image.address(key, level)
        if address is None or not address.part.file or is_url(address.part.file):
            return None
        return version_of(address.part.file)

    def close(self) -> None:
        """See `Snapshot.close`."""
        self._parts.close()
        self.file.close()


def _stretches(part: DatasetPart, selection: list[tuple[int, int]]) -> tuple[Stretch, ...]:
    path = part.file.path
    if part.opened.is_allocated_as_written or not may_have_holes(path):
        return ()
    return tuple(Stretch(path, *at) for at in part.opened.places_ahead(selection))
