"""For scripts: what happens to a dataset that is followed, as an iterator and for a callback."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from .look_schedule import Following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..model import DatasetInfo
    from .dataset import Changes, Dataset

logger = logging.getLogger(__name__)

_CHANGES_POLL_SECONDS = 0.05


class DatasetChange(NamedTuple):
    """What has changed: `info` is what is known now, `before` what was known at the change before.

    `replaced`: another dataset is at the path now. If neither sizes nor anything else in `info` differs, a
    plane that was requested with `planes` has changed.
    """

    info: DatasetInfo
    before: DatasetInfo
    replaced: bool


class ChangeFeed:
    """Tells everybody who listens what changes, as a dataset says that only once. Any thread."""

    def __init__(self, take: Callable[[], Changes]) -> None:
        self._take = take
        self._lock = threading.Lock()  # guards the following; never held while taking
        self._waiting: dict[object, Changes | None] = {}  # by listener: what it has not been told yet

    @contextlib.contextmanager
    def listened(self) -> Iterator[Callable[[], Changes | None]]:
        """A function that says what has changed since it was called before; None for nothing."""
        me = object()
        with self._lock:
            self._waiting[me] = None

        def news() -> Changes | None:
            found = self._take()
            with self._lock:
                if found.info or found.in_view:
                    self._waiting = {each: _both(of, found) for each, of in self._waiting.items()}
                mine, self._waiting[me] = self._waiting[me], None
            return mine

        try:
            yield news
        finally:
            with self._lock:
                del self._waiting[me]


def _both(before: Changes | None, found: Changes) -> Changes:
    if before is None:
        return found
    return type(found)(*(a or b for a, b in zip(before, found, strict=True)))


def changes(
    dataset: Dataset, timeout: float | None = None, is_wanted: Callable[[], bool] = lambda: True
) -> Iterator[DatasetChange]:
    """Yield what changes, as soon as it is noticed; blocks in between.

    Ends when nothing has changed for `timeout` s (None: however long), when the dataset is finished or
    closed, or no longer `is_wanted`. `dataset` must be opened with ``follow=True``; of several iterators and
    callbacks each gets every change.
    """
    before, since = dataset.info, time.monotonic()
    with dataset.change_feed.listened() as news:
        while is_wanted() and not dataset.closed:
            found, now = news(), time.monotonic()
            if found is not None:
                info, since = dataset.info, now
                # else it is that of the last change already, or came before anybody listened
                if info is not before or (found.in_view and (dataset.is_viewed or not found.info)):
                    yield DatasetChange(info, before, found.replaced)
                before = info
                continue
            if dataset.following is Following.FINISHED or (timeout is not None and now - since >= timeout):
                return
            time.sleep(_CHANGES_POLL_SECONDS)


class ChangeListener:
    """Calls a function with every `DatasetChange`, in a thread of its own, until it is stopped."""

    def __init__(self, dataset: Dataset, callback: Callable[[DatasetChange], object]) -> None:
        self._stopped = threading.Event()
        self._dataset = dataset
        self._callback = callback
        self._thread = threading.Thread(target=self._listen, name="ndviewer-changes", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for change in changes(self._dataset, is_wanted=lambda: not self._stopped.is_set()):
            try:
                self._callback(change)
            except Exception:  # the next one may be taken
                logger.exception("in the function called for changes of %s", self._dataset.path)

    def stop(self, timeout: float = 2.0) -> None:
        """Stop calling it; waits at most `timeout` s for a call in progress. Any thread."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
