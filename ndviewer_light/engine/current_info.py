"""What is known of a source, as it becomes known, and when another dataset has taken its place."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING

from ..sources.differing_datasets import has_other_planes, is_smaller, said_of_both

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import DatasetInfo
    from ..sources import Source

logger = logging.getLogger(__name__)

_COMPLETED_SAID_SECONDS = 30.0
"""For so long it is said that more of the same dataset is there than when it was opened: then it is whole."""


class CurrentInfo:
    """The info of a source at each moment. Any thread.

    `start_over(info)` is called when it describes another dataset. `troubles()`: what currently prevents the
    dataset from being followed, "" for what does not.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        start_over: Callable[[DatasetInfo], None],
        troubles: Callable[[], tuple[str, ...]],
    ) -> None:
        self._source = source
        self._path = path
        self._start_over = start_over
        self._troubles = troubles
        self._lock = threading.Lock()  # guards the following
        self._known = source.info
        self._taken = self._known  # as last given to `take_news`
        self._replaced = ""  # how the dataset was last replaced
        self._said_until = float("inf")  # `time.monotonic`
        self._replaced_unseen = False  # not returned by `take_news` yet
        self._noticed: tuple[DatasetInfo, tuple[str, ...], DatasetInfo] | None = None

    @property
    def known(self) -> DatasetInfo:
        """The info as last adopted; the source may know more."""
        return self._known

    def with_notices(self) -> DatasetInfo:
        """The current info with what is to be said of following it as warnings."""
        said = self.adopt()
        replaced = self._replaced if time.monotonic() < self._said_until else ""
        notices = tuple(filter(None, (replaced, *self._troubles())))
        if not notices:
            return said
        with self._lock:
            known = self._noticed
            if known is None or known[0] is not said or known[1] != notices:
                known = self._noticed = (
                    said,
                    notices,
                    dataclasses.replace(said, warnings=(*said.warnings, *notices)),
                )
            return known[2]

    def adopt(self) -> DatasetInfo:
        """The source's current info; if that is a different dataset, nothing is kept of the previous one."""
        info = self._source.info
        if info is self._known:
            return info
        with self._lock:
            before, self._known = self._known, info
            if not is_another(before, info):
                return info
            self._replaced = f"{self._path or 'the dataset'}{_said_of_other(before, info)}"
            self._said_until = (
                time.monotonic() + _COMPLETED_SAID_SECONDS if info.is_completed else float("inf")
            )
            self._replaced_unseen = True
            notice = self._replaced
        logger.warning("%s", notice)
        self._start_over(info)
        return info

    def take_news(self, info: DatasetInfo) -> tuple[DatasetInfo, bool]:
        """What was given at the last call, and whether the dataset was replaced since.

        `info` is what holds now.
        """
        with self._lock:
            before, self._taken = self._taken, info
            replaced, self._replaced_unseen = self._replaced_unseen, False
        return before, replaced


def _said_of_other(before: DatasetInfo, info: DatasetInfo) -> str:
    """What has happened, behind the name of the dataset; a completion changes nothing that was right."""
    both = said_of_both(before, info)
    if not info.is_completed:
        return f" has been replaced by another dataset ({both}); showing the new one"
    if is_smaller(before, info) and all(info.sizes[axis] <= before.sizes[axis] for axis in "tpcz"):
        return f": less of it is there than when it was opened ({both}); showing what is left"
    more = f" ({both})" if before.sizes != info.sizes else ""
    return f": more of it is there than when it was opened{more}; showing all of it, in order"


def is_another(before: DatasetInfo, info: DatasetInfo) -> bool:
    """Whether the two describe different datasets.

    The number alone is not enough: it restarts with the reader process.
    """
    return before is not info and (info.generation > before.generation or has_other_planes(before, info))
