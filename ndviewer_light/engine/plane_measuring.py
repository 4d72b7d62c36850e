"""Measures planes one by one: what each is, and its statistics, without giving out pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError, PlaneNotStoredError
from ..model import PlaneKey, PlaneState, channel_name, find_channel
from ..sources.source import MeasuredPlane
from ..sources.statistics_of_pixels import StatisticsOfParts, statistics_of
from ..storage.file_versions import changed_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import DatasetInfo, PlaneStatistics
    from ..sources import Source
    from .image_lookup import ImageLookup
    from .measured_reads import MeasuredReads
    from .plane_outcomes import PlaneOutcomes
    from .regions import TiledPlanes


class WantedPlane(NamedTuple):
    """A plane to be measured, as any process that has the dataset open finds it.

    Its channel goes by name and the number of those before it that have the same. `known` is the stamp of
    statistics at hand.
    """

    t: int
    p: int
    z: int
    channel: str
    nth: int
    known: str | None = None

    @classmethod
    def of(cls, key: PlaneKey, info: DatasetInfo, known: str | None = None) -> WantedPlane:
        """The plane at `key` of a dataset."""
        return cls(key.t, key.p, key.z, *channel_name(info.channels, key.c), known)


class MeasuredState(NamedTuple):
    """What came of measuring a plane: its state, and why it has no statistics or those of a fill value.

    `statistics` of a PRESENT plane are None if those at hand still hold. `written_ns`: when the files that it
    lies in were last changed, in ns since 1970; 0 if unknown. `acquired_s`: when it was acquired, in s since
    the run began, as the dataset records it.
    """

    state: PlaneState
    statistics: PlaneStatistics | None = None
    stamp: str | None = None
    reason: str = ""
    written_ns: int = 0
    acquired_s: float | None = None


class PlaneMeasuring:
    """Measures planes of level 0 of one dataset. Any thread; blocks."""

    def __init__(
        self,
        source: Source,
        images: ImageLookup,
        tiled: TiledPlanes,
        reads: MeasuredReads,
        outcomes: PlaneOutcomes,
    ) -> None:
        self._source = source
        self._images = images
        self._tiled = tiled
        self._reads = reads
        self._outcomes = outcomes

    def measure(self, wanted: Sequence[WantedPlane]) -> list[MeasuredState]:
        """Measure these planes; what cannot be read is said in its place, nothing is raised."""
        keys = [self._key(each) for each in wanted]
        known = [each.known for each in wanted]
        asked = [key for key, stamp in zip(keys, known, strict=True) if stamp is not None and key is not None]
        stamps = dict(zip(asked, self._stamps(asked), strict=True))
        found = []
        for key, each in zip(keys, wanted, strict=True):
            if key is None:
                found.append(MeasuredState(PlaneState.ABSENT, reason=f"there is no channel {each.channel!r}"))
            elif each.known is not None and stamps.get(key) == each.known:
                found.append(MeasuredState(PlaneState.PRESENT, None, each.known, "", changed_ns(each.known)))
            else:
                found.append(self._measured(key))
        return self._with_times(keys, found)

    def _with_times(
        self, keys: Sequence[PlaneKey | None], found: Sequence[MeasuredState]
    ) -> list[MeasuredState]:
        there = [key for key in keys if key is not None]
        try:
            times = dict(zip(there, self._source.acquired_s(there), strict=True))
        except DatasetError:
            times = {}
        return [
            each if key is None or times.get(key) is None else each._replace(acquired_s=times[key])
            for key, each in zip(keys, found, strict=True)
        ]

    def _key(self, wanted: WantedPlane) -> PlaneKey | None:
        c = find_channel(self._source.info.channels, wanted.channel, wanted.nth)
        if c is None:  # a channel that only some positions have: not known before one of these is looked at
            try:
                self._images.image(wanted.p)
            except (DatasetError, IndexError):
                return None
            c = find_channel(self._source.info.channels, wanted.channel, wanted.nth)
        return None if c is None else PlaneKey(wanted.t, wanted.p, c, wanted.z)

    def _stamps(self, keys: Sequence[PlaneKey]) -> list[str | None]:
        try:
            return self._source.stamps(keys)
        except DatasetError:  # reading the planes will say why
            return [None] * len(keys)

    def _measured(self, key: PlaneKey) -> MeasuredState:
        try:
            found = self._reads.measure(key) if self._is_whole(key) else self._measured_in_tiles(key)
        except PlaneNotStoredError as error:
            return self._not_stored(key, error)
        except (DatasetError, IndexError) as error:
            return MeasuredState(PlaneState.UNREADABLE, reason=str(error) or type(error).__name__)
        written_ns = changed_ns(found.version or "")
        return MeasuredState(PlaneState.PRESENT, found.statistics, found.stamp, "", written_ns)

    def _not_stored(self, key: PlaneKey, error: PlaneNotStoredError) -> MeasuredState:
        if error.plane_shape is None:
            error.plane_shape = self._source.plane_shape(key)
        plane = self._outcomes.of_failure(key, error, 0)
        if plane.pixels is None:
            return MeasuredState(plane.state, reason=plane.reason)
        begun = self._reads.begin(key)
        found = MeasuredPlane(None, None, None, statistics_of(plane.pixels))
        self._reads.note(key, found, begun)
        return MeasuredState(plane.state, found.statistics, reason=plane.reason)

    def _is_whole(self, key: PlaneKey) -> bool:
        return self._tiled.is_small(key.p) or self._tiled.grid(key.p, 0).is_whole

    def _measured_in_tiles(self, key: PlaneKey) -> MeasuredPlane:
        """A plane that is too large for one piece: a tile at a time is in memory."""
        grid = self._tiled.grid(key.p, 0)
        begun = self._reads.begin(key)
        try:
            (stamp,) = self._source.stamps([key])
            (version,) = self._source.versions([key])
            parts = StatisticsOfParts(grid.height * grid.width)
            for tile in grid.tiles():
                parts.add(self._tiled.region(key, 0, tile))
            found = MeasuredPlane(None, version, stamp, parts.statistics())
            self._reads.note(key, found, begun)
        finally:
            self._reads.end(begun)
        return found


def times_of(
    info: DatasetInfo, keys: Sequence[PlaneKey], recorded: Sequence[float | None]
) -> dict[PlaneKey, float]:
    """When planes were acquired, in s since the run began: as recorded, else by the time step."""
    found = {}
    for key, seconds in zip(keys, recorded, strict=True):
        image = info.image(key.p)
        if seconds is None and image.time_step_s is not None:
            statistics = image.times
            seconds = (statistics[key.t] if key.t < len(statistics) else key.t) * image.time_step_s
        if seconds is not None:
            found[key] = seconds
    return found
