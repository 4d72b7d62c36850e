"""Small pictures of many planes: for scripts at once, for a view in the background, visible ones first."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DatasetError, PlaneNotStoredError, ReadDroppedError, ReaderCrashedError, ReadTimeoutError
from ..model import Plane, PlaneKey, PlaneState, StackKey
from ..sources.source import MadeThumbnail
from ..storage.bytes import is_url
from ..storage.cancellation import CancelScope
from ..storage.disk_cache import cache_of
from ..storage.program_end import abandonable_thread, is_ending
from .cluster_thumbnails import ClusterThumbnails
from .kept_averages import ThumbnailCache
from .projections import StackProjection
from .thumbnail_maker import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..sources import Source
    from .dataset import Dataset
    from .plane_outcomes import PlaneOutcomes

_FIRST_BATCH, _LARGEST_BATCH = 8, 256
_SMALLEST_PART = 16
"""Where pictures come quickly, those that are left are not shared by the threads in ever smaller parts."""
_BATCH_PIXELS = 4 * 1024**2
"""A batch of large pictures has fewer of them: it is in memory, and comes in one message."""
_BATCH_SECONDS, _BATCH_SECONDS_REMOTE = 0.12, 0.5
"""How long a batch should take, and so how long one that is no longer wanted stays in the way."""
_AT_SCRIPTS = 32


class ThumbnailSource:
    """Makes pictures of one dataset where its planes are read. Any thread; `read` blocks."""

    def __init__(
        self,
        source: Source,
        outcomes: PlaneOutcomes,
        path: str,
        options: Mapping[str, str],
        reopen: Callable[[], Dataset] | None,
        were_read: Callable[[Sequence[PlaneKey]], None],
    ) -> None:
        """`were_read` is called with the planes of which there are pictures."""
        self._source = source
        self._were_read = were_read
        self._outcomes = outcomes
        self._reopen = reopen
        self._cluster: ClusterThumbnails | None = None
        self._is_for_here: Callable[[], bool] | None = None
        self._is_for_view = False
        self.trouble = ""
        """Why its cluster does not make pictures; "" if it does."""
        disk = cache_of(options) if path else None
        self._cache = None if disk is None else ThumbnailCache(disk, path)

    def on_cluster(self, scheduler: Any) -> ThumbnailSource:
        """The same, made by a cluster of dask; whoever asks for it closes it.

        Raises `DatasetError` for a dataset that cannot be opened elsewhere; does not connect yet.
        """
        if self._reopen is None:
            raise DatasetError("this dataset cannot be opened by the workers of a cluster: it has no path")
        other = copy.copy(self)
        other._cluster = ClusterThumbnails(scheduler, self._reopen)
        return other

    def for_view(self) -> ThumbnailSource:
        """The same for somebody who looks: see `Source.thumbnails`."""
        other = copy.copy(self)
        other._is_for_view = True
        return other

    def beside_cluster(self, scheduler: Any, is_for_here: Callable[[], bool]) -> ThumbnailSource:
        """`on_cluster` for a view, which does without it if need be: `trouble` says why. Closed by whoever
        asks.

        `is_for_here`: while it says so, pictures are made here, as the workers do not know what was written.
        """
        try:
            other = self.on_cluster(scheduler)
        except DatasetError as error:
            other = copy.copy(self)
            other.trouble = str(error)
        other._is_for_here = is_for_here
        return other

    def read(self, keys: Sequence[StackKey], edge: int, seconds_after: float = 0.0) -> list[Plane]:
        """The pictures of planes, in order; states are as of planes. Raises `ReadDroppedError`.

        `seconds_after`: what others that are wanted will take. A batch with a plane that kills or hangs the
        reader process is read in parts, until it is alone.
        """
        try:
            made = self._make(keys, edge, seconds_after)
        except ReadDroppedError:
            raise
        except (ReaderCrashedError, ReadTimeoutError) as error:
            if len(keys) == 1:
                return [self._as_plane(keys[0], MadeThumbnail(None, error))]
            half = len(keys) // 2
            return self.read(keys[:half], edge) + self.read(keys[half:], edge)
        except DatasetError as error:
            made = [MadeThumbnail(None, error)] * len(keys)
        whole = [key for key, each in zip(keys, made, strict=True) if each.error is None]
        self._were_read([plane for key in whole for plane in self._planes_of(key)])
        return [self._as_plane(key, each) for key, each in zip(keys, made, strict=True)]

    def _make(self, keys: Sequence[StackKey], edge: int, seconds_after: float) -> list[MadeThumbnail]:
        cluster, is_for_here = self._cluster, self._is_for_here
        if cluster is not None and is_for_here is None:
            return cluster.make(keys, edge)
        if cluster is not None and is_for_here is not None and not self.trouble and not is_for_here():
            try:
                return cluster.make(keys, edge)
            except ReadDroppedError:
                raise
            except DatasetError as error:
                self.trouble = str(error)
        made = self._source.thumbnails(keys, edge, for_view=self._is_for_view, seconds_after=seconds_after)
        return make_thumbnails(self._source, keys, edge, self._cache) if made is None else made

    def _planes_of(self, key: StackKey) -> list[PlaneKey]:
        """The planes that a picture is made of."""
        zs = [key.z] if isinstance(key.z, int) else []
        if isinstance(key.z, str):
            n_z = self._source.info.image(key.p).n_z
            zs = list(StackProjection.of_text(key.z).planes_of(max(n_z, 1)))
        return [PlaneKey(key.t, key.p, key.c, z) for z in zs]

    def _as_plane(self, key: StackKey, made: MadeThumbnail) -> Plane:
        if made.error is None:
            return Plane(PlaneState.PRESENT, made.pixels)
        whole = PlaneKey(key.t, key.p, key.c, key.z if isinstance(key.z, int) else made.z)
        plane = self._outcomes.noted_failure(whole, made.error, 0)
        if made.pixels is not None:  # of a stack: the other planes of it
            state = PlaneState.PRESENT if plane.state is PlaneState.FILLED else plane.state
            return Plane(state, made.pixels, f"not all planes of the stack: {plane.reason}")
        if plane.pixels is not None and isinstance(made.error, PlaneNotStoredError):
            return plane._replace(pixels=plane.pixels[:1, :1])  # all of one value
        return plane

    def connect(self) -> None:
        """Connect to the cluster, if there is one. Raises `DatasetError` if it cannot be reached."""
        if self._cluster is not None:
            self._cluster.connect()

    @property
    def has_cluster(self) -> bool:
        """Whether there is a cluster to leave."""
        return self._cluster is not None

    def close(self) -> None:
        """Leave the cluster, if there is one; blocks for up to 2 s then."""
        if self._cluster is not None:
            self._cluster.close()


def thumbnails(
    dataset_source: ThumbnailSource,
    keys: Sequence[StackKey],
    edge: int,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool],
) -> list[Plane]:
    """All of them, in the calling thread; see `Dataset.thumbnails`."""
    found: list[Plane] = []
    for start in range(0, len(keys), _AT_SCRIPTS):
        if cancelled():
            break
        found += dataset_source.read(keys[start : start + _AT_SCRIPTS], edge)
        if progress is not None:
            progress(len(found), len(keys))
    return found


# ---- in the background ---------------------------------------------------------------------------------


class WantedThumbnail(NamedTuple):
    """One picture that a view wants: of which plane, and how long its longest edge must at least be."""

    key: StackKey
    edge: int


class ThumbnailLoader:
    """Reads what a view wants, in its order, and drops what it does not want any more.

    `want`, `take` and `written` never block. Any thread. `on_news` is called in a reading thread
    whenever something has arrived.
    """

    def __init__(
        self,
        source: ThumbnailSource,
        on_news: Callable[[], None],
        path: str = "",
        leave: Callable[[], None] | None = None,
    ) -> None:
        """`leave` is called in a thread at the end: it may block."""
        self._source = source
        self._leave = leave
        self._on_news = on_news
        self._n_threads = 4 if is_url(path) else 2
        self._batch_seconds = _BATCH_SECONDS_REMOTE if is_url(path) else _BATCH_SECONDS
        self._wake = threading.Condition(threading.Lock())  # guards the following
        self._queue: deque[WantedThumbnail] = deque()
        self._wanted: dict[StackKey, int] = {}
        self._reading: dict[int, tuple[dict[StackKey, int], CancelScope]] = {}  # by number of the batch
        self._rewritten: set[StackKey] = set()  # while they were being read
        self._arrived: OrderedDict[StackKey, tuple[Plane, int]] = OrderedDict()
        self._batch = _FIRST_BATCH
        self._threads: list[threading.Thread] = []
        self._numbers = 0
        self._seconds_each = 0.0
        self._closed = False

    @property
    def trouble(self) -> str:
        """Why a cluster does not make the pictures that it was to make; "" otherwise."""
        return self._source.trouble

    @property
    def n_left(self) -> int:
        """How many pictures are wanted and not there yet. No lock is held for long."""
        with self._wake:
            return len(self._queue) + sum(len(batch) for batch, _ in self._reading.values())

    @property
    def has_arrived(self) -> bool:
        """Whether `take` would give anything. No lock."""
        return bool(self._arrived)

    def want(self, wanted: Iterable[WantedThumbnail]) -> None:
        """Read these, the first ones first; what was wanted before and is not among them is dropped."""
        dropped = []
        with self._wake:
            if self._closed:
                return
            self._wanted = {each.key: each.edge for each in wanted}
            under_way = {key: edge for batch, _ in self._reading.values() for key, edge in batch.items()}
            self._queue = deque(
                WantedThumbnail(key, edge)
                for key, edge in self._wanted.items()
                if under_way.get(key, 0) < edge
            )
            for batch, scope in self._reading.values():
                if batch.keys().isdisjoint(self._wanted):
                    dropped.append(scope)
            self._wake.notify_all()
            thread = self._missing_thread()
        for scope in dropped:
            scope.drop()
        if thread is not None:
            thread.start()

    def written(self, keys: Iterable[StackKey]) -> None:
        """These planes were just written: what is being read of them does not count."""
        with self._wake:
            under_way = {key for batch, _ in self._reading.values() for key in batch}
            self._rewritten |= under_way.intersection(keys)

    def take(self) -> dict[StackKey, tuple[Plane, int]]:
        """What has arrived since the last call, with the edge it was made for."""
        with self._wake:
            arrived, self._arrived = self._arrived, OrderedDict()
        return arrived

    def close(self) -> None:
        """Read nothing more. Never blocks."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._queue.clear()
            scopes = [scope for _, scope in self._reading.values()]
            self._wake.notify_all()
            leaving = None
            if self._leave is not None:
                leaving = abandonable_thread(self._leave, "ndviewer-leave-cluster")
                self._threads.append(leaving)
        for scope in scopes:
            scope.drop()
        if leaving is not None:
            leaving.start()

    def join(self, deadline: float) -> None:
        """Wait for reads to end, at most until `deadline` (`time.monotonic`)."""
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    # ---- in threads ------------------------------------------------------------------------

    def _missing_thread(self) -> threading.Thread | None:
        """A thread to start, which starts the next one; with the lock held.

        They end when nothing is wanted for a second.
        """
        self._threads = [thread for thread in self._threads if thread.is_alive() or thread.ident is None]
        if self._closed or len(self._threads) >= min(self._n_threads, len(self._queue)):
            return None
        thread = abandonable_thread(self._work, "ndviewer-thumbnails")
        self._threads.append(thread)
        return thread

    def _work(self) -> None:
        with self._wake:
            other = self._missing_thread()
        if other is not None:
            try:
                other.start()
            except RuntimeError:  # no more threads now: without it, then
                with self._wake:
                    self._threads.remove(other)
        while (batch := self._next()) is not None:
            number, wanted, scope = batch
            edge = max(each.edge for each in wanted)
            began = time.monotonic()
            try:
                keys = [each.key for each in wanted]
                read = partial(self._source.read, keys, edge, self._seconds_left())
                planes: list[Plane] | None = scope.run(read)
            except ReadDroppedError:
                planes = None
            except Exception as error:  # noqa: BLE001  whatever it was is said of these pictures
                planes = [Plane(PlaneState.UNREADABLE, reason=str(error))] * len(wanted)
            self._ended(number, wanted, planes, edge, time.monotonic() - began)
            self._on_news()

    def _seconds_left(self) -> float:
        """How long reading what is still in the queue will take, by how long the last ones took."""
        return len(self._queue) * self._seconds_each / self._n_threads

    def _next(self) -> tuple[int, list[WantedThumbnail], CancelScope] | None:
        with self._wake:
            while not self._queue or is_ending():
                is_over = self._closed or is_ending()
                if is_over or not self._wake.wait(1.0):
                    if self._queue and not is_over:
                        continue
                    self._threads = [each for each in self._threads if each is not threading.current_thread()]
                    return None
            most = min(self._batch, _BATCH_PIXELS // max(self._queue[0].edge, 1) ** 2)
            least = _SMALLEST_PART if self._batch > 2 * _SMALLEST_PART else 1
            n = min(most, max(-(-len(self._queue) // self._n_threads), least))
            wanted = [self._queue.popleft() for _ in range(min(max(n, 1), len(self._queue)))]
            self._numbers += 1
            scope = CancelScope()
            self._reading[self._numbers] = {each.key: each.edge for each in wanted}, scope
            return self._numbers, wanted, scope

    def _ended(
        self,
        number: int,
        wanted: list[WantedThumbnail],
        planes: list[Plane] | None,
        edge: int,
        seconds: float,
    ) -> None:
        with self._wake:
            del self._reading[number]
            again = []
            for i, each in enumerate(wanted):
                is_wanted = each.key in self._wanted
                if each.key in self._rewritten or (planes is None and is_wanted):
                    self._rewritten.discard(each.key)
                    again += [each] if is_wanted else []
                elif planes is not None:
                    self._arrived[each.key] = planes[i], edge
            self._queue.extendleft(reversed(again))
            if planes is not None:
                last, known = seconds / len(wanted), self._seconds_each
                self._seconds_each = (known + last) / 2 if known else last
            if planes is not None and seconds > 0 and len(wanted) >= self._batch:
                fitting = int(len(wanted) * self._batch_seconds / seconds)
                self._batch = min(max(fitting, self._batch // 2, 1), self._batch * 2, _LARGEST_BATCH)
