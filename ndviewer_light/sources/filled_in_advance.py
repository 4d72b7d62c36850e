"""Zeros in files that have room for what is still to be written: what of them was written.

A TIFF, an MRC file or an HDF5 dataset may be created at its full size and be filled plane by plane; a chunk
of HDF5 may hold several planes. Programs that copy files give them their size first. What is to come reads as
zeros, like data. Where the file system keeps no blocks for a plane, nobody wrote it (`storage.file_holes`).
Elsewhere, as in chunks of Zarr (`zarr.growing`), only the time at which the file was written, and what comes
later in it, give a hint.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import DatasetError, PlaneNotStoredError, PlaneNotWrittenError
from ..storage.activity import JUST_WRITTEN_SECONDS, PART_SECONDS, QUIET_SECONDS
from ..storage.file_clock import FILE_CLOCK
from ..storage.file_holes import are_holes
from ..storage.file_versions import changed_ns
from .missing import Found, Verdict, not_stored
from .missing_planes import Claims, MissingPlanesOfMany
from .planes_in_room import PlanesInRoom, is_all, later_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ..model import PlaneKey
    from .source import Source


class Room(Enum):
    """What a local file may have room for before it is written, which reads as zeros."""

    NONE = "every plane that is stored was written"
    PLANES = "this plane and others"
    REST = "the rest of this plane, which alone is in the file"


class RoomAhead:
    """Tells which planes were written of a source whose files may have room for what is to come.

    Of planes for which the file system keeps no blocks nothing is stored, whoever asks: see
    `sources.missing`. What is told otherwise is told to whoever follows the source. Any thread; blocks on
    disk.
    """

    def __init__(self, source: Source, since_ns: int | None, blank: PlanesInRoom | None = None) -> None:
        """`since_ns`: when it began to be followed, by the clock of its files; None if it is not.

        `blank`: what is remembered of its planes.
        """
        self._source = source
        self._since_ns = since_ns
        self._blank = blank or PlanesInRoom(source)

    # ---- planes that were read -----------------------------------------------------------------

    def check_written(self, key: PlaneKey, level: int, pixels: np.ndarray) -> None:
        """Raise `PlaneNotStoredError` for a plane of which nothing is there but room, or not all of it.

        For whoever follows: a plane of zeros counts as such as long as its file was written within some
        seconds, in whatever order planes are, and if the file was seen to be written, unless a later plane
        has pixels. May read such planes. One that ends in zeros, alone in a file: until nothing was written
        for two seconds.
        """
        source = self._source
        if not source.may_have_room:
            return
        fill = source.value_of_room()
        if not is_all(pixels[-1:], fill) or (room := source.room_ahead(key, level)) is Room.NONE:
            return
        (version,) = source.versions([key], level)
        if version is None:
            return
        age_s, is_followed = _age_s(version), self._since_ns is not None
        if room is Room.REST:
            if is_followed and age_s < PART_SECONDS:
                raise self._not_written(pixels, "this plane ends in zeros so far")
        elif is_all(pixels, fill):
            if is_followed and age_s < JUST_WRITTEN_SECONDS:
                raise self._not_written(pixels, "of this plane there are only zeros so far")
            if _are_holes(source, [key], level)[0]:
                raise self._of_hole(key, level, pixels)
            later = later_planes(key, source.info)
            if self._is_doubtful(version, fill) and not any(_is_written(source, each) for each in later):
                if is_followed and age_s < QUIET_SECONDS:
                    raise self._not_written(pixels, "of this plane there are only zeros so far")
                said = f"{source.info.name}: of this plane nothing is stored but zeros"
                verdict = Verdict(Found.ABSENT, "nor of any later one, in a file with room for them")
                raise not_stored(said, (pixels.shape[0], pixels.shape[1]), _value_of(pixels), verdict)

    def check_part(self, key: PlaneKey, level: int, pixels: np.ndarray) -> None:
        """The same for a part of a plane, as far as the file system tells."""
        source = self._source
        if not source.may_have_room or not is_all(pixels, source.value_of_room()):
            return
        if _are_holes(source, [key], level)[0]:
            raise self._of_hole(key, level, pixels)

    def _is_doubtful(self, version: str, fill: float) -> bool:
        """Whether what is blank in a file, in which nothing is a hole, may not have been written."""
        return self._was_seen(version) if self._since_ns is not None else fill != 0

    def _was_seen(self, version: str) -> bool:
        """Whether the file was written while the source was followed."""
        return self._since_ns is not None and changed_ns(version) > self._since_ns

    def _not_written(self, pixels: np.ndarray, why: str) -> PlaneNotWrittenError:
        error = PlaneNotWrittenError(f"{self._source.info.name} is being written: {why}")
        error.plane_shape, error.is_expected = (pixels.shape[0], pixels.shape[1]), True
        return error

    def _of_hole(self, key: PlaneKey, level: int, pixels: np.ndarray) -> PlaneNotStoredError:
        said = f"{self._source.info.name}: nothing is stored for this plane, for which the file has room"
        (found,) = self._judged([key])
        why = {Found.FILL: "later ones are stored", Found.EXPECTED: "the dataset is being written"}
        verdict = Verdict(found, why.get(found, "nor for any later one"))
        shape = self._source.plane_shape(key, level) or (pixels.shape[0], pixels.shape[1])
        return not_stored(said, shape, _value_of(pixels), verdict)

    # ---- many planes ---------------------------------------------------------------------------

    def are_stored(self, keys: Sequence[PlaneKey], stored: Sequence[bool | None]) -> list[bool | None]:
        """`Source.are_stored`, with False for planes in holes, and for those that reading finds blank.

        None where nobody has read them so far, and for whoever follows in files just written.
        """
        source = self._source
        answers = list(stored)
        if not source.may_have_room:
            return answers
        fill = source.value_of_room()
        is_hole, versions = _are_holes(source, keys), self._versions(keys, fill)
        doubtful = []
        for i, (key, version) in enumerate(zip(keys, versions, strict=True)):
            if answers[i] and is_hole[i]:
                answers[i] = False
            elif answers[i] and version is not None:
                is_new = self._since_ns is not None and _age_s(version) < JUST_WRITTEN_SECONDS
                if not (is_new or self._is_doubtful(version, fill)):
                    continue  # without opening the file
                if source.room_ahead(key) is not Room.PLANES:
                    continue
                if is_new:
                    answers[i] = None
                else:
                    doubtful.append(i)
        written = self._blank.are_written([keys[i] for i in doubtful], [versions[i] for i in doubtful])
        for i, is_written in zip(doubtful, written, strict=True):
            answers[i] = is_written
        return answers

    def _versions(self, keys: Sequence[PlaneKey], fill: float) -> Sequence[str | None]:
        """Of which version these planes are, where that matters."""
        return self._source.versions(keys) if self._since_ns is not None or fill != 0 else [None] * len(keys)

    def missing_as(self, keys: Sequence[PlaneKey], found: Sequence[Found]) -> list[Found]:
        """`Source.missing_as`, also of planes in holes, and of those that reading finds blank."""
        source = self._source
        answers = list(found)
        if not source.may_have_room:
            return answers
        is_hole, versions = _are_holes(source, keys), self._versions(keys, source.value_of_room())
        at = [i for i, each in enumerate(is_hole) if each]
        for i, judged in zip(at, self._judged([keys[i] for i in at]), strict=True):
            answers[i] = judged
        for i, (key, version) in enumerate(zip(keys, versions, strict=True)):
            if not is_hole[i] and self._blank.is_blank(key, version):
                is_on = self._since_ns is not None and _age_s(version or "") < QUIET_SECONDS
                answers[i] = Found.EXPECTED if is_on else Found.ABSENT
        return answers

    def _judged(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """What each of these planes counts as, which are holes."""
        source = self._source
        versions = source.versions(keys)
        n_fresh, is_on = set(), False
        if self._since_ns is not None:
            for key, version in zip(keys, versions, strict=True):
                age_s = math.inf if version is None else _age_s(version)
                is_on |= age_s < (QUIET_SECONDS if self._was_seen(version or "") else JUST_WRITTEN_SECONDS)
                if age_s < JUST_WRITTEN_SECONDS:
                    n_fresh.add(key)
        many = MissingPlanesOfMany(
            lambda asked: [
                bool(is_stored) and not is_hole
                for is_stored, is_hole in zip(
                    source.are_stored(asked), _are_holes(source, asked), strict=True
                )
            ],
            leaves_out_blank=False,
        )
        claims = Claims(None, lambda: is_on)
        return many.of(keys, source.info, lambda _p: claims, n_fresh.__contains__)


def _are_holes(source: Source, keys: Sequence[PlaneKey], level: int = 0) -> list[bool]:
    return are_holes(source.stretches(keys, level))


def _value_of(pixels: np.ndarray) -> np.generic:
    value: np.generic = pixels.flat[0]
    return value


def _age_s(version: str) -> float:
    return FILE_CLOCK.age_s(changed_ns(version))


def _is_written(source: Source, key: PlaneKey) -> bool:
    try:
        return not is_all(source.read_plane(key), source.value_of_room())
    except (DatasetError, IndexError):
        return False
