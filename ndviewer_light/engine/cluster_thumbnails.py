"""Small pictures made by a cluster of dask: each worker opens the dataset by its path and reads its part.

For plates on storage that all workers reach: a share, a bucket. Needs dask.distributed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, ReadDroppedError, closed_error
from ..sources.source import MadeThumbnail
from ..storage.cancellation import current_scope
from ..storage.single_flight import SingleFlight
from .thumbnail_maker import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import StackKey
    from .dataset import Dataset

CLUSTER_SECONDS = 10
_PER_TASK = 8
_CLUSTER_GLANCE_SECONDS = 0.1
_MOST_OPEN_IN_WORKER = 4


class ClusterThumbnails:
    """Makes pictures on the cluster of `scheduler`: an address ("tcp://…"), or a `dask.distributed.Client`.

    `reopen` opens the dataset in a worker; it can be pickled. Any thread; calls block.
    """

    def __init__(self, scheduler: Any, reopen: Callable[[], Dataset]) -> None:
        self._scheduler = scheduler
        self._reopen = reopen
        self._connecting: SingleFlight[str, Any] = SingleFlight()
        self._lock = threading.Lock()  # guards the following; never held while connecting
        self._client: Any = None
        self._is_ours = self._closed = False

    def make(self, keys: Sequence[StackKey], edge: int) -> list[MadeThumbnail]:
        """As `make_thumbnails`. Raises `DatasetError` if the cluster cannot be reached or loses a task."""
        client = self.connect()
        parts = [tuple(keys[i : i + _PER_TASK]) for i in range(0, len(keys), _PER_TASK)]
        futures = [client.submit(_made_by_worker, self._reopen, part, edge, pure=False) for part in parts]
        try:
            return [made for future in futures for made in self._result(future)]
        finally:
            client.cancel(futures)

    def _result(self, future: Any) -> list[MadeThumbnail]:
        # Not `future.result(timeout=…)`: where its time ends while a result crosses, it cancels the transfer,
        # and with it what other threads wait for, as results that are asked for together cross together.
        scope, done = current_scope(), threading.Event()
        future.add_done_callback(lambda _future: done.set())
        while not done.wait(_CLUSTER_GLANCE_SECONDS):
            if scope is not None and scope.dropped:
                raise ReadDroppedError("the pictures are no longer needed")
        try:
            return [MadeThumbnail(*each) for each in future.result()]
        except DatasetError:
            raise
        except Exception as error:
            raise DatasetError(f"the dask cluster {self._scheduler} failed: {error}") from error

    def connect(self) -> Any:
        """The client of the cluster. Raises `DatasetError` if it cannot be reached."""
        known = self._known()
        return known if known is not None else self._connecting.do("client", self._adopted)

    def _known(self) -> Any:
        with self._lock:
            return self._client

    def _adopted(self) -> Any:
        if (known := self._known()) is not None:  # another thread was quicker
            return known
        client, is_ours = self._connected()
        with self._lock:
            if not self._closed:
                self._client, self._is_ours = client, is_ours
                return client
        if is_ours:
            client.close(timeout=2)
        raise closed_error()

    def _connected(self) -> tuple[Any, bool]:
        if not isinstance(self._scheduler, str):
            return self._scheduler, False
        try:
            from distributed import Client
        except ImportError as error:
            raise DatasetError(
                f"{error}. Install it with: pip install distributed, or leave out --scheduler"
            ) from error
        try:
            client: Any = Client
            return client(self._scheduler, timeout=CLUSTER_SECONDS, set_as_default=False), True
        except Exception as error:
            raise DatasetError(
                f"the dask scheduler {self._scheduler} cannot be reached: {error}. Check the address"
            ) from error

    def close(self) -> None:
        """Leave the cluster, unless the client is somebody else's. Idempotent."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None and self._is_ours:
            client.close(timeout=2)


# ---- in a worker ---------------------------------------------------------------------------------------

_open: OrderedDict[Any, Dataset] = OrderedDict()
_opening = threading.Lock()


def _made_by_worker(
    reopen: Callable[[], Dataset], keys: Sequence[StackKey], edge: int
) -> list[tuple[Any, Exception | None, int]]:
    with _opening:
        dataset = _open.get(reopen)
        if dataset is None:
            dataset = _open[reopen] = reopen()
            while len(_open) > _MOST_OPEN_IN_WORKER:
                _open.popitem(last=False)[1].close()
    found = make_thumbnails(dataset.source, keys, edge)
    if any(isinstance(made.error, IndexError) for made in found):  # it has grown since it was opened
        dataset.refresh()
        found = make_thumbnails(dataset.source, keys, edge)
    return [(made.pixels, made.error, made.z) for made in found]
