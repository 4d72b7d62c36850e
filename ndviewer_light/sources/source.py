"""The interface `Source`: what reads the planes of one dataset."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..model import LabelFacts
from ..storage.activity import QUIET_SECONDS
from ..storage.file_clock import FILE_CLOCK
from ..storage.file_versions import changed_ns, settled
from ..storage.freed_memory import are_same
from .filled_in_advance import Room
from .missing import Found
from .statistics_of_pixels import statistics_of
from .stored import stored_by_versions

if TYPE_CHECKING:
    import numpy as np

    from ..model import DatasetInfo, ImageInfo, Level, PlaneKey, PlaneStatistics, Region, StackKey
    from ..storage.file_holes import Stretch

StorageOptions = Mapping[str, str] | None
"""How the storage is accessed on which a dataset lies ("endpoint", "anonymous", …)."""


MAX_FILES_LOOKED_AT = 512
"""How many positions one `look_at_all` looks at where each is a file to open."""


_READ_AGAIN = 2
"""How many times at most a plane is read again because it was written while it was read."""

AT_ONCE = 4
"""How many planes are read at a time from disks: more would only wait for each other."""

AT_ONCE_REMOTE = 64
"""The same from servers: nearly all of the time is spent waiting for answers."""

_NO_FACTS = LabelFacts()


class MadeThumbnail(NamedTuple):
    """A small picture of a plane: its pixels (Y, X), or why there are none.

    A projection has both where planes of its stack are left out: `z` is the one that `error` is about.
    """

    pixels: np.ndarray | None
    error: Exception | None = None
    z: int = 0


OfPixels = TypeVar("OfPixels")
"""What is made of the pixels of a plane while they are in memory."""


class SmallPlane(NamedTuple):
    """A plane at the level that fits a small picture, found without reading its pixels.

    `files` are what it is read from; `at` is how its source finds it again.
    """

    level: int
    shape: tuple[int, int]
    nbytes: int
    files: tuple[str, ...]
    at: Any


class LabelPart(NamedTuple):
    """A part of the labels of position `p`: `area` (left, top, right, bottom) in pixels of its image.

    `z` is a plane of the image, or a projection of its stack as in `StackKey`. What is wanted are the labels
    at `rows` × `columns` places that cover the area.
    """

    p: int
    t: int
    z: int | str
    area: tuple[float, float, float, float]
    rows: int
    columns: int


class SeenLabels(NamedTuple):
    """The labels of a part: whole numbers (Y, X), 0 where there are none, and what is said of those seen.

    `values` are None where nothing can be read; `error` says why.
    """

    values: np.ndarray | None
    facts: LabelFacts = _NO_FACTS
    error: Exception | None = None


class MeasuredPlane(NamedTuple):
    """A plane of level 0, read and measured; `pixels` are None where only its statistics were asked for.

    `version` as of `Source.read_versioned`. `stamp` is as of `Source.stamps`, before the read. `statistics`
    are None if those that the caller has of it still hold.
    """

    pixels: np.ndarray | None
    version: str | None
    stamp: str | None
    statistics: PlaneStatistics | None


class Source(ABC):
    """Reads the planes of one dataset, blocking and simple: no cache, no threads, no retries.

    Every method may be called from any thread.
    """

    format: str
    """The format's name as users read it, "ome-zarr"."""

    @property
    def leaves_out_empty(self) -> bool:
        """Whether planes that are entirely fill value need not be stored.

        Then nobody can know whether one that is not is empty or was not acquired.
        """
        return True

    @property
    def reads_at_once(self) -> int:
        """How many planes it is worth reading at the same time; those that share what is read count each."""
        return AT_ONCE

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """What is currently known. A new object whenever more becomes known: compare by identity."""

    @property
    def identity(self) -> str | None:
        """A name for the stored content that changes whenever the content does; None if there is none.

        Planes are cached under it (see `disk_cached`), so it must be stable across programs.
        """
        return None

    @abstractmethod
    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, in their stored memory order.

        Raises `PlaneNotStoredError` if nothing of it is stored, `IndexError` outside the
        dataset, another `DatasetError` if it cannot be read; never makes up pixels. A slow read may
        end early with `ReadDroppedError` when the `CancelScope` of the calling thread is dropped.
        """

    @abstractmethod
    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane, or None while its store does not exist yet."""

    def image(self, p: int) -> ImageInfo:
        """What position `p` contains; looks at it (blocks on disk or network) if that is not known yet.

        It is known, and in `info`, once a plane of the position has been read.
        Raises `IndexError` if there is no such position, a `DatasetError` if it cannot be read.
        """
        return self.info.image(p)

    def look_at_all(self) -> DatasetInfo:
        """Look at every position that can be looked at cheaply; afterwards `info` says how they differ.

        Blocks on disk or network. Positions that cannot be read are passed over: their planes say why.
        """
        return self.info

    def levels(self, p: int) -> tuple[Level, ...]:
        """The pyramid levels of position `p`, largest first; blocks on disk or network, like `image`."""
        return (self.image(p).level,)

    def level_at(self, p: int, level: int) -> Level:
        """One of `levels`; looks at no other but the largest. Raises `IndexError` if it does not exist."""
        levels = self.levels(p)
        if not 0 <= level < len(levels):
            raise IndexError(f"no resolution level {level}: position {p} has {len(levels)}")
        return levels[level]

    def labels(self, p: int) -> tuple[str, ...]:
        """The label images (masks) of position `p`, as they are opened: ``x.zarr::labels/cells``.

        Blocks on disk or network; () where there are none, or nothing can be read.
        """
        return self.info.labels

    def label_facts(self) -> LabelFacts:
        """What the first image says of its values, if it is a label image."""
        return LabelFacts()

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """The rows and columns that are worth reading at once: whole chunks, 1–2 megapixels.

        None: a region costs as much as the whole plane.
        """
        return None

    def level_for(self, p: int, height: int, width: int) -> int:
        """The smallest level of position `p` of at least `height` × `width` pixels; 0 if none is as large.

        Blocks on disk or network, but does not look at more levels than it must.
        """
        fits = (
            i for i, level in enumerate(self.levels(p)) if level.sizes.y >= height and level.sizes.x >= width
        )
        return max(fits, default=0)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Like `read_plane`, for a part of the plane; raises `IndexError` if it is not within the plane."""
        pixels = self.read_plane(key, level)
        if not region.within(pixels.shape[0], pixels.shape[1]):
            raise IndexError(f"{region} is not within a plane of {pixels.shape}")
        return pixels[region.slices]

    def thumbnails(
        self, keys: Sequence[StackKey], edge: int, *, for_view: bool = False, seconds_after: float = 0.0
    ) -> list[MadeThumbnail] | None:
        """Small pictures, of a source that makes them elsewhere; None: see `engine.thumbnail_maker`.

        `for_view`: somebody is looking; what is to be kept of them on disk is written once nobody waits.
        `seconds_after`: what others that are wanted will take.
        """
        return None

    def label_parts(
        self, name: str, parts: Sequence[LabelPart], *, anew: bool = False
    ) -> list[SeenLabels] | None:
        """Parts of label images, of a source that reads them elsewhere; None: see `engine.label_parts`."""
        return None

    def small_planes(self, keys: Sequence[PlaneKey], edge: int) -> list[SmallPlane | None]:
        """The planes at the smallest levels with edges of at least `edge`, where many are read quickly.

        None for each that is to be asked for by itself. Looks at metadata, not at pixels; blocks on disk.
        """
        return [None] * len(keys)

    def read_small_planes(
        self, planes: Sequence[SmallPlane], then: Callable[[np.ndarray], OfPixels]
    ) -> list[OfPixels | None]:
        """What `then` makes of the pixels (Y, X) of several of `small_planes`, which are read at once.

        It must not keep the pixels: the next ones may get their memory. None for each that is to be read by
        itself: nothing of it is stored, or it cannot be read. Blocks.
        """
        return [None] * len(planes)

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a file or store that may contain this plane; cheaper than opening it."""
        return self.plane_shape(key) is not None

    @abstractmethod
    def refresh(self) -> DatasetInfo:
        """Reread the metadata: sizes may have grown, stores may have appeared."""

    def follow(self) -> None:  # noqa: B027  most formats need not know
        """From now on somebody follows what is written: what was just written may be incomplete."""

    def was_just_written(self) -> bool:
        """Whether something of it was written within the last seconds before it was opened, or since.

        For whoever follows it and has not seen it grow so far. Costs a few listings, blocks on disk. False
        where nobody knows.
        """
        return False

    def keep_stored_order(self) -> None:  # noqa: B027  most give pixels as they have them
        """From now on whoever reads wants pixels in the order in memory in which they are stored."""

    def has_only_grown(self) -> bool:
        """Whether what lies at the path now is what was opened, with more appended to it.

        False where only opening it again tells.
        """
        return False

    def may_be_another(self) -> bool:
        """Whether something has changed that says what lies at the path, so that it is to be opened again.

        Asked after `look` and `refresh`; True once for each change. Files on this machine tell by themselves.
        """
        return False

    def look(self) -> DatasetInfo:
        """Like `refresh`, for whoever follows a dataset that grows: rereads only what has changed."""
        return self.refresh()

    @property
    def computed_elsewhere_s(self) -> float:
        """For how long another process has computed for `look` and `versions` in all; it only grows."""
        return 0.0

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """For each plane, a text that changes whenever what is stored of it is written; None if unknown.

        Looks at times and sizes of files, not at pixels; blocks on disk. Raises nothing.
        """
        return [None] * len(keys)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """`versions` for a look at a few planes: also where each costs a request, of as many as is sensible.

        They are of the same kind as those of `versions`, where that has any.
        """
        return self.versions(keys, level)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """For each plane of level 0, whether anything of it is stored; None if only reading it tells.

        Looks at names, times, sizes and tables of contents, not at pixels; blocks on disk. Raises nothing.
        What is stored may be damaged or incomplete still.
        """
        return stored_by_versions(self, keys)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """`are_stored` of one plane, for which a server may be asked: a request or a few, without pixels.

        Blocks on disk or network. Raises nothing.
        """
        return self.are_stored([key])[0]

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """For planes of level 0 that `are_stored` says are not: what each counts as (see `sources.missing`).

        Blocks on disk. Raises nothing.
        """
        return [Found.ABSENT] * len(keys)

    def read_versioned(
        self, key: PlaneKey, level: int = 0, region: Region | None = None
    ) -> tuple[np.ndarray, str | None]:
        """`read_plane`, or `read_region`, with the version of the plane as of before the read.

        What was written while it was read is read again, until nothing was, or two reads are the same: a
        chunk without a checksum may decode to anything while its file is half written. A file's time is noted
        when a write begins: what was written less than `settling_s` ago is read once that is over.
        """
        version = self._settled_version(key, level)
        pixels = _read_from(self, key, level, region)
        for _ in range(_READ_AGAIN):
            if version is None or FILE_CLOCK.age_s(changed_ns(version)) > QUIET_SECONDS:
                break
            (after,) = self.versions([key], level)
            if after is None or settled(after) == settled(version):
                break
            before, version = pixels, after
            pixels = _read_from(self, key, level, region)
            if are_same(before, pixels):
                break
        return pixels, version

    may_have_room = False
    """Whether files of this format may have room for what is still to be written, see `room_ahead`."""

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """Whether the local file of this plane may have room for what is still to be written.

        Blocks on disk. Raises nothing.
        """
        return Room.NONE

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """Where the pixels of each plane are in a local file with holes; () where holes tell nothing.

        That is where what is stored is compressed, or has no place before it is written, and of a file for
        one plane alone. May hold other planes too. Blocks on disk. Raises nothing.
        """
        return [()] * len(keys)

    def value_of_room(self) -> float:
        """What pixels read as for which there is room, but that nobody wrote."""
        return 0.0

    def settling_s(self, key: PlaneKey, level: int = 0) -> float:
        """A file of this plane that was written more recently may be half written, and nothing would tell."""
        return 0.0

    def _settled_version(self, key: PlaneKey, level: int) -> str | None:
        (version,) = self.versions([key], level)
        if version is not None:
            age_s = (FILE_CLOCK.now_ns() - changed_ns(version)) / 1e9
            left_s = self.settling_s(key, level) - age_s if age_s >= 0 else 0.0
            if left_s > 0:
                time.sleep(left_s)
                (version,) = self.versions([key], level)
        return version

    def stamps(self, keys: Sequence[PlaneKey]) -> list[str | None]:
        """For each plane of level 0, what its statistics are kept under; None if nothing tells of changes.

        Its version, or the name of the whole content after "="; blocks on disk. Raises nothing.
        """
        identity = self.identity
        return [_stamp(version, identity) for version in self.versions(keys)]

    def read_measured(self, key: PlaneKey, known: str | None = None) -> MeasuredPlane:
        """Read a plane of level 0 and measure it, unless its stamp is `known`, that of statistics at hand."""
        identity = self.identity
        pixels, version = self.read_versioned(key)
        stamp = _stamp(version, identity)
        is_known = stamp is not None and stamp == known
        return MeasuredPlane(pixels, version, stamp, None if is_known else statistics_of(pixels))

    def measure(self, key: PlaneKey) -> MeasuredPlane:
        """`read_measured` for whoever wants no pixels."""
        return self.read_measured(key)._replace(pixels=None)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """When planes were acquired, in s since the run began, as the dataset records it; None if not.

        Blocks on disk or network; reads no pixels. Raises nothing: what cannot be read is not known.
        """
        return [None] * len(keys)

    @property
    def landmark(self) -> str | None:
        """A local file that stays as it is while the dataset grows: if it is another one, so is the dataset.

        None if nothing is known to stay.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`, for display and JSON; keys are free except for these.

        ``why``: what the format was recognised by. ``hosts``: the servers contacted for reading.
        ``requests``, ``bytes``: what was requested so far, bypassing the scheduler.
        """
        return {}

    @abstractmethod
    def close(self) -> None:
        """Release every handle; reads in progress end with an error. May be called twice."""


def _read_from(source: Source, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
    return source.read_plane(key, level) if region is None else source.read_region(key, region, level)


def _stamp(version: str | None, identity: str | None) -> str | None:
    return version if version is not None else f"={identity}" if identity is not None else None
