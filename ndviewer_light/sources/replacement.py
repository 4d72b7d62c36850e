"""Whatever lies at a path, as one source: each question is handed on to the dataset that lies there now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import (
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    DatasetReorderedError,
    DatasetReplacedError,
    PlaneNotStoredError,
)
from ..storage.activity import JUST_WRITTEN_SECONDS, newest_in
from ..storage.bytes import is_url, metadata_gone, split_inner
from ..storage.file_clock import FILE_CLOCK
from .current_dataset import CurrentDataset
from .filled_in_advance import RoomAhead
from .metadata_away import MetadataAway
from .read_check import ReadCheck
from .source import AT_ONCE, AT_ONCE_REMOTE, OfPixels, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ..model import DatasetInfo, ImageInfo, LabelFacts, Level, PlaneKey, Region
    from .missing import Found
    from .opened_at_path import OpenedAtPath
    from .read_check import SeenAtPath
    from .source import SmallPlane

_Answer = TypeVar("_Answer")

_MAX_REPLACED = 4  # times that a dataset may be replaced during one call


class ReplaceableSource(Source):
    """The source of whatever lies at a path; `DatasetInfo.generation` counts how often that was another.

    Looked at on `refresh`, and when a plane does not look like one of the dataset. No plane is handed out
    that was read from one dataset after another has become known.
    """

    def __init__(self, path: str, open_source: Callable[[], Source]) -> None:
        """`open_source` opens the dataset at `path`; called now, and whenever another one may lie there."""
        self._path = path
        self._file = None if is_url(path) else split_inner(path)[0]
        self._check = ReadCheck(path)
        self._away = MetadataAway()
        self._current = CurrentDataset(path, open_source)

    @property
    def info(self) -> DatasetInfo:
        """As the source has it, with the number of the dataset that lies at the path."""
        return self._current.info

    @property
    def _opened(self) -> OpenedAtPath:
        return self._current.opened

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`."""
        least = AT_ONCE_REMOTE if is_url(self._path) else AT_ONCE
        return max(least, self._opened.source.reads_at_once)

    @property
    def identity(self) -> str | None:
        """Same as the source's."""
        return self._opened.source.identity

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: self._read_plane(source, key, level), is_read=True)

    def _read_plane(self, source: Source, key: PlaneKey, level: int) -> np.ndarray:
        pixels = self._fitting(source.read_plane(key, level), key.p, level)
        RoomAhead(source, self._current.followed_since_ns).check_written(key, level, pixels)
        return pixels

    def _read_region(self, source: Source, key: PlaneKey, region: Region, level: int) -> np.ndarray:
        pixels = self._of_type(source.read_region(key, region, level), key.p)
        RoomAhead(source, self._current.followed_since_ns).check_part(key, level, pixels)
        return pixels

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Same as the source's."""
        return self._of_one_dataset(
            lambda source: self._read_region(source, key, region, level), is_read=True
        )

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.tile_shape(p, level))

    def level_for(self, p: int, height: int, width: int) -> int:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.level_for(p, height, width))

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.plane_shape(key, level))

    def small_planes(self, keys: Sequence[PlaneKey], edge: int) -> list[SmallPlane | None]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.small_planes(keys, edge))

    def read_small_planes(
        self, planes: Sequence[SmallPlane], then: Callable[[np.ndarray], OfPixels]
    ) -> list[OfPixels | None]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.read_small_planes(planes, then), is_read=True)

    def image(self, p: int) -> ImageInfo:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.image(p))

    def look_at_all(self) -> DatasetInfo:
        """Same as the source's."""
        self._of_one_dataset(lambda source: source.look_at_all())
        return self.info

    def levels(self, p: int) -> tuple[Level, ...]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.levels(p))

    def labels(self, p: int) -> tuple[str, ...]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.labels(p))

    def label_facts(self) -> LabelFacts:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.label_facts())

    def level_at(self, p: int, level: int) -> Level:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.level_at(p, level))

    def exists(self, key: PlaneKey) -> bool:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.exists(key))

    def describe(self) -> dict[str, Any]:
        """Same as the source's."""
        return self._opened.source.describe()

    def refresh(self) -> DatasetInfo:
        """Look whether another dataset lies at the path; if not, as the source has it.

        Raises `DatasetGoneError` if nothing lies there: planes may be read still from a file that is open.
        """
        self._current.look()
        self._of_one_that_is_there(lambda source: source.refresh())
        self._current.look_if_doubted()
        return self.info

    def follow(self) -> None:
        """See `Source.follow`; whatever lies at the path from now on."""
        self._current.follow()

    def was_just_written(self) -> bool:
        """See `Source.was_just_written`: by the newest file, as far as the times of folders lead to it."""
        if self._file is None or self.info.complete:
            return False
        return FILE_CLOCK.age_at_s(newest_in(self._file), self._current.since_ns) < JUST_WRITTEN_SECONDS

    def look(self) -> DatasetInfo:
        """See `Source.look`; the same as `refresh` otherwise."""
        self._current.look()
        try:
            self._of_one_that_is_there(lambda source: source.look())
        except DatasetNotFoundError as error:
            if not isinstance(error, DatasetGoneError):  # which says what is away
                self._check_metadata(are_away=True)
            raise
        self._current.look_if_doubted()
        self._check_metadata(are_away=self._current.is_bare)
        return self.info

    def _check_metadata(self, *, are_away: bool) -> None:
        """Raise `DatasetGoneError` if the metadata of the dataset are away, and have been at looks before.

        Who writes on into a folder that was moved or deleted makes it anew, without them; for a moment they
        are away while they are written anew.
        """
        if self._away.note(self._path, are_away=are_away) and self._check.is_there():
            raise metadata_gone(self._path)

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._opened.source.versions(keys, level)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._opened.source.versions_in_view(keys, level)

    def settling_s(self, key: PlaneKey, level: int = 0) -> float:
        """Same as the source's."""
        return self._opened.source.settling_s(key, level)

    @property
    def leaves_out_empty(self) -> bool:
        """Same as the source's."""
        return self._opened.source.leaves_out_empty

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """Same as the source's; None for what may be room in a file being written, or out of reach."""

        def asked(opened: OpenedAtPath) -> list[bool | None]:
            stored = opened.source.are_stored(keys)
            if False in stored and self._check.is_gone(opened.stamp):
                stored = [each or None for each in stored]
            return self._room(opened).are_stored(keys, stored)

        return self._of_open_one(asked)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """Same as the source's."""
        opened = self._opened
        is_stored = opened.source.look_up_stored(key)
        (is_stored,) = self._room(opened).are_stored([key], [is_stored])
        return None if is_stored is False and self._check.is_gone(opened.stamp) else is_stored

    def _room(self, opened: OpenedAtPath) -> RoomAhead:
        return RoomAhead(opened.source, self._current.followed_since_ns, opened.blank)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """Same as the source's."""
        return self._opened.source.acquired_s(keys)

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """Same as the source's."""

        def asked(opened: OpenedAtPath) -> list[Found]:
            found = opened.source.missing_as(keys)
            return self._room(opened).missing_as(keys, found)

        return self._of_open_one(asked)

    @property
    def landmark(self) -> str | None:
        """Same as the source's."""
        return self._opened.source.landmark

    def close(self) -> None:
        """Close the source. Idempotent."""
        self._current.close()

    def _of_open_one(self, asked: Callable[[OpenedAtPath], _Answer]) -> _Answer:
        """What `asked` returns of a source that was not closed meanwhile, as its file was written."""
        for _ in range(_MAX_REPLACED):
            opened = self._opened
            answer = asked(opened)
            if self._opened is opened:
                break
        return answer

    def _of_one_dataset(self, asked: Callable[[Source], _Answer], *, is_read: bool = False) -> _Answer:
        """What `asked` returns or raises of a dataset that lies at the path still when it is done.

        `is_read`: pixels, of which those of another one may look the same.
        """
        for _ in range(_MAX_REPLACED):
            opened = self._opened
            before = self._check.before_read() if is_read else None
            try:
                answer = asked(opened.source)
            except DatasetReplacedError as error:
                self._current.look(replaced=opened, is_reordered=isinstance(error, DatasetReorderedError))
                if self._opened is opened:
                    raise
            except Exception as error:
                if isinstance(error, DatasetError):
                    self._current.look()  # invalid data may belong to another dataset
                if self._opened is opened:
                    if isinstance(error, PlaneNotStoredError):
                        self._check.check_there(opened.stamp)
                        if before is not None and not self._is_of(opened, before):
                            continue  # it may be stored in the one that was away
                    raise  # otherwise it failed because its source was closed, or read another dataset
            else:
                if before is not None and not self._is_of(opened, before):
                    continue
                if self._opened is opened:
                    return answer
        raise DatasetReplacedError(f"{self._path} keeps being replaced by other datasets")

    def _of_one_that_is_there(self, asked: Callable[[Source], _Answer]) -> _Answer:
        """The same; raises `DatasetGoneError` if nothing lies at the path, whatever else went wrong."""
        try:
            answer = self._of_one_dataset(asked)
        except DatasetError:
            self._check.check_there(self._opened.stamp)
            raise
        self._check.check_there(self._opened.stamp)
        return answer

    def _is_of(self, opened: OpenedAtPath, before: SeenAtPath) -> bool:
        """Whether pixels that were read since `before` are of this dataset; looks for another if need be.

        Raises `DatasetGoneError` if it is away.
        """
        origin = self._check.origin(opened.stamp, before)
        if origin.is_other_there:
            self._current.look_at_other(opened)
        return origin.is_opened

    def _fitting(self, pixels: np.ndarray, p: int, level: int) -> np.ndarray:
        """`pixels`, after a look at the disk if they are unlike what is known of their position."""
        image = self.info.image(p)
        if image.dtype not in (None, pixels.dtype) or (
            level == 0 and pixels.shape != (image.height, image.width)
        ):
            self._current.look()
        return pixels

    def _of_type(self, pixels: np.ndarray, p: int) -> np.ndarray:
        """The same for a part of a plane, which has a size of its own."""
        if self.info.image(p).dtype not in (None, pixels.dtype):
            self._current.look()
        return pixels
