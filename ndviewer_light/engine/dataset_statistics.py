"""What was measured of the planes of a dataset, and measuring them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dataset_states import DatasetStates
from .plane_measuring import PlaneMeasuring, times_of
from .read_ahead import worth_reading_at_once
from .transpose import c_ordered, is_transposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import xarray as xr

    from ..model import DatasetInfo, PlaneKey
    from ..sources import Source
    from .cache import PlaneCache
    from .dataset import Dataset
    from .known_statistics import KnownStatistics
    from .measured_reads import MeasuredReads
    from .measured_table import MeasuredTable
    from .plane_measuring import MeasuredState, WantedPlane
    from .selection import Selection


class DatasetStatistics(DatasetStates):
    """The statistics of planes; `Dataset` adds the pixels. Any thread."""

    def __init__(
        self,
        source: Source,
        path: str,
        cache: PlaneCache,
        reads: MeasuredReads,
        read: Callable[[PlaneKey, int], np.ndarray],
        statistics: KnownStatistics,
        *,
        live: bool,
        follow: bool,
        workers: int | None,
        reopen: Callable[[], Dataset] | None,
    ) -> None:
        """`reads` takes down `statistics` of what it reads; see `Dataset` for the rest."""
        super().__init__(source, path, cache, reads, read, live=live, follow=follow)
        self.statistics = statistics
        self.reopen = reopen
        self._workers = workers
        self._keeps_order = False
        self._reads = reads
        self._measuring = PlaneMeasuring(source, self._images, self._tiled, reads, self._outcomes)

    @property
    def reads_at_once(self) -> int:
        """How many planes are read at the same time: many from servers, where reading is mostly waiting."""
        return self._workers or worth_reading_at_once(self._source)

    def keep_stored_order(self) -> None:
        """From now on, `planes` gives pixels (Y, X) in the order in memory in which they are stored.

        For what displays them: some writers, like Squid, store planes column by column, and turning one takes
        longer than to read it. `plane` and all others still give out pixels in C order.
        """
        self._keeps_order = True
        self._source.keep_stored_order()

    def _in_order(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels that were read, as they are to be kept."""
        return pixels if self._keeps_order and is_transposed(pixels) else c_ordered(pixels)

    def measure_what_is_read(self) -> None:
        """From now on, planes of level 0 are measured where they are decoded when they are read."""
        self._reads.on = True

    def measure(
        self,
        channels: Selection = None,
        t: Selection = None,
        positions: Selection = None,
        z: Selection = None,
        *,
        progress: Callable[[int, int], None] = lambda done, expected: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> xr.Dataset:
        """Measure planes of level 0; returns an `xarray.Dataset` (time, fov, z, channel).

        Its variables: mean, p1, p50, p99_9 (percentiles), low, high, saturated (fraction), focus (normalised
        variance), pixels, finite, written, state, reason; ``.to_dataframe()`` makes a table of it. A plane
        that is missing or cannot be read has NaN, its state and the reason.
        Each axis takes an index or a name, several, or a slice; all by default. `progress(done, expected)`
        is called in this thread. Planes are measured by dask: in threads, or by the workers of a cluster
        while a `dask.distributed.Client` is active. Statistics are kept on disk, and planes that are as they
        were are not measured again, so that a call that was interrupted continues where it stopped. Ends
        early once `cancelled()`. Blocks; raises `KeyError` or `IndexError` for what the dataset does not
        have.
        """
        return self.measured_table(channels, t, positions, z, progress, cancelled).to_xarray()

    def measured_table(
        self,
        channels: Selection = None,
        t: Selection = None,
        positions: Selection = None,
        z: Selection = None,
        progress: Callable[[int, int], None] = lambda done, expected: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> MeasuredTable:
        """Like `measure`, with a row per expected plane."""
        from .measure_many import measure

        return measure(self, channels, t, positions, z, progress, cancelled)

    def recall_statistics(self, cancelled: Callable[[], bool] = lambda: False) -> int:
        """Take statistics from disk that still hold, without reading a plane; returns how many. Blocks."""
        return self.statistics.recall(self._source, cancelled)

    def look_up_times(self, keys: Sequence[PlaneKey]) -> None:
        """Let `statistics` know when planes were acquired: as recorded, else by the time step. Blocks."""
        self.statistics.note_times(times_of(self.info, keys, self._source.acquired_s(keys)))

    def recorded_times(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """When planes were acquired, in s since the run began, as recorded; None: it is not. Blocks."""
        return self._source.acquired_s(keys)

    def may_be_measured(self, keys: Sequence[PlaneKey]) -> list[bool]:
        """Whether each of these planes is there, as far as can be said without reading. Blocks on disk."""
        if self._live:
            return [self.was_notified(key) for key in keys]
        return [is_stored is not False for is_stored in self._source.are_stored(keys)]

    def measure_planes(self, wanted: Sequence[WantedPlane]) -> list[MeasuredState]:
        """Measure a few planes in this thread: what `measure` consists of. Raises nothing; blocks."""
        return self._measuring.measure(wanted)

    def _start_over(self, info: DatasetInfo) -> None:
        self.statistics.clear()
        super()._start_over(info)
