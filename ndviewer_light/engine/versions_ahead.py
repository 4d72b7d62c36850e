"""The versions of planes in view, asked for while the rest of a look waits for a slow disk as well."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from ..storage.program_end import abandonable_thread
from ..storage.waits import result_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..model import PlaneKey
    from ..sources import Source
    from .plane_versions import PlaneVersions

    _Versions = list[str | None]


class VersionsAhead:
    """Those of one look. `known` are the versions at which planes were read."""

    def __init__(self, source: Source, known: PlaneVersions) -> None:
        self._source = source
        self._known = known
        self._before: dict[tuple[PlaneKey, int], str | None] = {}
        self._asked: dict[tuple[tuple[PlaneKey, ...], int], Future[_Versions]] = {}

    def begin(self, views: Iterable[tuple[Sequence[PlaneKey], int]]) -> None:
        """Ask for those of some planes, each with its level, in a thread for each view."""
        for keys, level in views:
            about = tuple(keys), level
            answer: Future[_Versions] = Future()
            self._before.update(((key, level), self._known.get(key, level)) for key in keys)
            try:
                abandonable_thread(partial(self._ask, *about, answer), "ndviewer-look-at-view").start()
            except RuntimeError:  # no more threads: they are asked for when they are needed
                continue
            self._asked[about] = answer

    def of(self, keys: Sequence[PlaneKey], level: int) -> _Versions:
        """The versions of some planes; waits for what was begun, else asks. Raises as the source does."""
        begun = self._asked.get((tuple(keys), level))
        if begun is None:
            return self._source.versions_in_view(keys, max(level, 0))
        answer: _Versions = result_of(begun)
        versions = []
        for key, version in zip(keys, answer, strict=True):
            known = self._known.get(key, level)  # of what was read meanwhile it is newer
            versions.append(version if known == self._before[key, level] else known)
        return versions

    def _ask(self, keys: Sequence[PlaneKey], level: int, answer: Future[_Versions]) -> None:
        try:
            answer.set_result(self._source.versions_in_view(keys, max(level, 0)))
        except BaseException as error:  # noqa: BLE001  whoever waits gets it
            answer.set_exception(error)
