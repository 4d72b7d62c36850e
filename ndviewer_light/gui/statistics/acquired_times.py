"""Looks up in the background when planes were acquired, while somebody wants to see it; no Qt."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...rendering.field_statistics import TIMES_AT_ONCE
from .statistics_job import keys_of_run

if TYPE_CHECKING:
    from ...engine.dataset import Dataset
    from ..background import Background

logger = logging.getLogger(__name__)

_UP_TO_DATE_SECONDS = 2.0


class AcquiredTimes:
    """Of one dataset; `left` is set when it is no longer on screen. `keep_up` on one thread, never blocks."""

    def __init__(self, dataset: Dataset, left: threading.Event) -> None:
        self._dataset = dataset
        self._left = left
        self._seen: object = None
        self._due = 0.0
        self._running = threading.Event()

    @property
    def is_looking(self) -> bool:
        """Whether times are being looked up."""
        return self._running.is_set()

    def keep_up(self, background: Background) -> None:
        """Look up what is not known yet, if the dataset has grown or planes were written since."""
        seen = self._dataset.info, len(self._dataset.statistics)
        now = time.monotonic()
        if seen == self._seen or now < self._due or self._running.is_set():
            return
        self._seen, self._due = seen, now + _UP_TO_DATE_SECONDS
        self._running.set()
        background.run("ndviewer-acquired", self._look)

    def _look(self) -> None:
        dataset = self._dataset
        try:
            keys = [key for key in keys_of_run(dataset.info) if not dataset.statistics.is_time_known(key)]
            for start in range(0, len(keys), TIMES_AT_ONCE):
                if self._left.is_set() or dataset.closed:
                    return
                dataset.look_up_times(keys[start : start + TIMES_AT_ONCE])
        except DatasetError as error:  # the dataset says so itself
            logger.debug("looking up when planes were acquired: %s", error)
        finally:
            self._running.clear()
