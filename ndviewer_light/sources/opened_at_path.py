"""A dataset that was opened at a path, and what it is to one that is opened there now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError
from ..storage.activity import JUST_WRITTEN_SECONDS
from ..storage.bytes import split_inner
from ..storage.file_clock import FILE_CLOCK
from .differing_datasets import has_fewer, has_other_planes, is_smaller

if TYPE_CHECKING:
    from ..model import DatasetInfo
    from .path_stamp import PathStamp
    from .planes_in_room import PlanesInRoom
    from .source import Source


class OpenedAtPath(NamedTuple):
    """A dataset that was opened: its source, its stamp before that, what was known of it at first."""

    source: Source
    stamp: PathStamp | None
    at_first: DatasetInfo
    blank: PlanesInRoom


def is_another_dataset(opened: OpenedAtPath, fresh: OpenedAtPath) -> bool:
    """Whether both cannot be the same dataset, however that has grown."""
    old, new = opened.at_first, fresh.at_first
    if has_other_planes(old, new) or has_fewer(old, new) or old.format != new.format:
        return True
    has_grown = old.sizes != new.sizes
    return not has_grown and place_of(opened) != place_of(fresh)


def counts_otherwise(known: DatasetInfo, fresh: OpenedAtPath) -> bool:
    """Whether positions or channels would have other indices in it, so that nothing of before can be kept."""
    index_of = {position.label: p for p, position in enumerate(fresh.at_first.positions)}
    if any(index_of.get(position.label, p) != p for p, position in enumerate(known.positions)):
        return True
    return len(known.channels) > len(fresh.at_first.channels) and known.common is not None


def grows_by_itself(opened: OpenedAtPath, fresh: OpenedAtPath) -> bool:
    """Whether the source that was opened is to be kept: it knows more than one that is opened now.

    In it positions keep their index, and what has been seen of other stores than the first counts.
    """
    has_found = len(opened.source.info.positions) > len(opened.at_first.positions)
    is_alike = opened.source.info.sizes == fresh.at_first.sizes
    if place_of(opened) != place_of(fresh) or (is_alike and not has_found):
        return False  # written anew: of the one that was opened nothing may be true any more
    try:
        known = opened.source.refresh()
    except DatasetError:
        return False
    return not (has_other_planes(known, fresh.at_first) or has_fewer(fresh.at_first, known))


def is_cut_by_itself(opened: OpenedAtPath, fresh: OpenedAtPath) -> bool:
    """Whether the source that was opened knows by itself that it is shorter now, and nothing else is new."""
    if place_of(opened) != place_of(fresh) or not is_smaller(opened.at_first, fresh.at_first):
        return False
    try:
        known = opened.source.refresh()
    except DatasetError:
        return False
    is_same = known.channels == fresh.at_first.channels and known.positions == fresh.at_first.positions
    return is_same and known.sizes == fresh.at_first.sizes and not has_other_planes(known, fresh.at_first)


def is_half_written(opened: OpenedAtPath, fresh: OpenedAtPath) -> bool:
    """Whether metadata of what was opened are being written anew just now."""
    if place_of(opened) != place_of(fresh) or fresh.stamp is None:
        return False
    newest_ns = max(changed_ns for _, _, changed_ns in fresh.stamp.versions)
    if FILE_CLOCK.age_s(newest_ns) > JUST_WRITTEN_SECONDS:
        return False
    try:
        opened.source.refresh()
    except DatasetError as error:
        return error.transient
    return False


def is_more_of(opened: OpenedAtPath, fresh: OpenedAtPath, path: str) -> bool:
    """Whether both are one file, which has become longer: a copy that was not over when it was opened."""
    if place_of(opened) != place_of(fresh) or opened.stamp is None or fresh.stamp is None:
        return False
    if has_other_planes(opened.at_first, fresh.at_first):
        return False
    (_, before, _), (_, now, _) = opened.stamp.versions[0], fresh.stamp.versions[0]
    return now > before and os.path.isfile(split_inner(path)[0])


def place_of(opened: OpenedAtPath) -> tuple[int, int, int] | None:
    """Which file or folder it is; None on a server."""
    return opened.stamp.place if opened.stamp is not None else None
