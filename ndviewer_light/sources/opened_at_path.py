"""A dataset that was opened at a path, and what it is to one that is opened there now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError, DatasetReplacedError
from ..storage.activity import JUST_WRITTEN_SECONDS
from ..storage.bytes import split_inner
from ..storage.file_clock import FILE_CLOCK
from .differing_datasets import has_fewer, has_other_planes, is_smaller
from .path_stamp import lacks_metadata

if TYPE_CHECKING:
    from ..model import DatasetInfo
    from .path_stamp import PathStamp
    from .planes_in_room import PlanesInRoom
    from .source import Source


_UNNAMED = ("zarr array", "ome-zarr collection")
"""The formats of Zarr whose group, if there is one, need not say what is in it."""


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
    places = place_of(opened), place_of(fresh)
    return old.sizes == new.sizes and None not in places and places[0] != places[1]


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
    if not _was_just_written(fresh.stamp):
        return False
    try:
        opened.source.refresh()
    except DatasetReplacedError:
        return False  # it says itself that it is to be opened anew
    except DatasetError as error:
        return error.transient
    return False


def is_remainder(opened: OpenedAtPath, fresh: OpenedAtPath, now: PathStamp | None) -> bool:
    """Whether `fresh` is what is left of a Zarr dataset being removed, or there so far of one made anew.

    Writers remove first what says what is in it, and write it last. `now`: the stamp after it was opened.
    """
    if opened.stamp is None or fresh.stamp is None or not (_is_zarr(opened) and _is_zarr(fresh)):
        return False
    is_bare = lacks_metadata(opened.stamp, fresh.stamp)
    if is_bare and place_of(opened) == place_of(fresh):
        return True
    if not is_bare and (fresh.at_first.format not in _UNNAMED or _is_alike(opened, fresh)):
        return False
    is_over = now is not None and (now.place, now.versions) == (fresh.stamp.place, fresh.stamp.versions)
    return not is_over or _was_just_written(fresh.stamp)


def is_more_of(opened: OpenedAtPath, fresh: OpenedAtPath, path: str) -> bool:
    """Whether both are the same, of which not all was there when it was opened.

    That is one file which has become longer, as copied, or a Zarr dataset of which it is now said what it is.
    """
    if opened.stamp is None or fresh.stamp is None or has_other_planes(opened.at_first, fresh.at_first):
        return False
    if _is_zarr(opened) and _is_zarr(fresh) and not _is_alike(opened, fresh):
        is_bare = lacks_metadata(fresh.stamp, opened.stamp)
        return is_bare or (opened.at_first.format in _UNNAMED and place_of(opened) == place_of(fresh))
    if place_of(opened) != place_of(fresh):
        return False
    (_, before, _), (_, now, _) = opened.stamp.versions[0], fresh.stamp.versions[0]
    return now > before and os.path.isfile(split_inner(path)[0])


def place_of(opened: OpenedAtPath) -> tuple[int, int, int] | None:
    """Which file or folder it is; None on a server, or if it was written anew while it was opened."""
    return opened.stamp.place if opened.stamp is not None else None


def _is_zarr(opened: OpenedAtPath) -> bool:
    return "zarr" in opened.at_first.format


def _is_alike(opened: OpenedAtPath, fresh: OpenedAtPath) -> bool:
    return opened.at_first.format == fresh.at_first.format


def _was_just_written(stamp: PathStamp) -> bool:
    newest_ns = max(changed_ns for _, _, changed_ns in stamp.versions)
    return FILE_CLOCK.age_s(newest_ns) <= JUST_WRITTEN_SECONDS
