"""Which planes are stored, as far as the times and sizes of files tell: for formats with a file per chunk."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ..errors import NDViewerError
from ..storage.activity import QUIET_SECONDS
from ..storage.file_clock import FILE_CLOCK
from ..storage.file_versions import changed_ns, is_nothing, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import PlaneKey
    from .source import Source


def stored_by_versions(source: Source, keys: Sequence[PlaneKey]) -> list[bool | None]:
    """See `Source.are_stored`: by the versions of planes, and whether their position exists at all.

    Planes that share files are stored if the files are; not so while these are being written, when nobody
    knows which of the planes are in them already.
    """
    of_position: dict[int, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        of_position[key.p].append(i)
    answers: list[bool | None] = [None] * len(keys)
    for indices in of_position.values():
        asked = [keys[i] for i in indices]
        versions = source.versions(asked[:1])
        if versions[0] is None:  # looking again for every plane would tell no more
            if not _may_exist(source, asked[0]):
                for i in indices:
                    answers[i] = False
            continue
        versions += source.versions(asked[1:])
        for i, answer in zip(indices, _judged(versions, complete=source.info.complete), strict=True):
            answers[i] = answer
    return answers


def _judged(versions: Sequence[str | None], *, complete: bool | None) -> list[bool | None]:
    sharing = Counter(map(settled, filter(None, versions)))
    answers: list[bool | None] = []
    for version in versions:
        if version is None:
            answers.append(None)
        elif is_nothing(version):
            answers.append(False)
        else:
            is_shared = not complete and sharing[settled(version)] > 1
            may_be_filled = is_shared and FILE_CLOCK.age_s(changed_ns(version)) < QUIET_SECONDS
            answers.append(None if may_be_filled else True)
    return answers


def _may_exist(source: Source, key: PlaneKey) -> bool:
    try:
        return source.exists(key)
    except (NDViewerError, IndexError):
        return True
