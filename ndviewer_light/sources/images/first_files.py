"""The first file of each channel, which is opened to see what the others are."""

from __future__ import annotations

import contextlib
import math
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ...model import how_many, place_of
from ...storage.about_files import about_file
from ...storage.asked_together import asked_at_once
from ...storage.bytes import is_url, name_of
from ...storage.decoding.orientation import orientation_said
from ...storage.file_clock import is_being_written
from ...storage.file_versions import NOTHING, version_in
from ...storage.presentable import presentable
from .pixel_kinds import PixelKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...model import PlacedWarning, PlaneKey
    from ...storage.decoding.pictures import Picture
    from .catalogue import FileCatalogue
    from .file_reader import ImageFiles, Sample
    from .listing import Listing

MAX_SAMPLES = 16
"""So many files are opened at most, in search of one that is not damaged, or to see what channels are."""


_MOST_SAMPLES_KEPT = 1024


class FirstFiles:
    """The first file of each channel, of the dataset and of each position. Any thread; blocks on disk."""

    def __init__(self, catalogue: FileCatalogue, files: ImageFiles, root: str) -> None:
        """`root` is what all names begin with."""
        self._catalogue = catalogue
        self._files = files
        self._root = root
        self._of_positions: dict[int, dict[int, PlaneKey]] = {}  # by position and channel; made when needed
        self._sampled: dict[PlaneKey, Sample] = {}

    def at(self, p: int) -> tuple[PlaneKey, Sample] | None:
        """The first file of a position, and what it reveals; None if that cannot be read to its end."""
        try:
            first = min(self._at(p).values())
            sample = self._sample(first)
            return None if sample.torn else (first, sample)
        except (DatasetError, KeyError, ValueError):
            return None

    def kinds_at(self, p: int, assumed: Sequence[PixelKind]) -> list[PixelKind]:
        """What each channel of a position looks like; as `assumed` where no file tells, or there are many."""
        kinds = list(assumed)
        if 1 < len(kinds) <= MAX_SAMPLES:
            for c, key in self._at(p).items():
                kinds[c : c + 1] = [self._kind(key) or kinds[c]] if c < len(kinds) else []
        return kinds

    def kinds(self, sample: Sample, of: Sequence[int] | None = None) -> tuple[PixelKind, ...]:
        """What each channel of the names looks like, or some; as `sample` where no file tells, or of many.

        Files on a server are looked at together.
        """
        firsts = self._of_channels()
        wanted = [firsts.get(c) for c in (range(len(self._catalogue.channels)) if of is None else of)]
        like = PixelKind.of_picture(sample.picture)
        if len(firsts) == 1 or not 0 < len(wanted) <= MAX_SAMPLES:
            return (like,) * len(wanted)
        if is_url(self._root):
            found = asked_at_once(self._kind, wanted, len(wanted), "ndviewer-samples")
        else:
            found = list(map(self._kind, wanted))
        return tuple(kind or like for kind in found)

    def pictures_at(self, p: int) -> list[tuple[str, PlaneKey, Picture]]:
        """Those of the first files of the channels of a position that were opened, and their pixels."""
        opened = [key for key in sorted(self._at(p).values()) if key in self._sampled]
        names = self._catalogue.files
        return [(self._root + names[key], key, self._sampled[key].picture) for key in opened if key in names]

    def fullest(self, sample: Sample) -> Sample:
        """Of the first files of the channels, the one with the most planes; `sample`, if none has more.

        Often one channel is a single plane where the others are stacks.
        """
        return self._fullest(sample, self._of_channels())

    def fullest_at(self, p: int, sample: Sample) -> Sample:
        """The same of a position."""
        return self._fullest(sample, self._at(p))

    def _fullest(self, sample: Sample, firsts: Mapping[int, PlaneKey]) -> Sample:
        found = [sample]
        if 1 < len(firsts) <= MAX_SAMPLES:
            for key in firsts.values():
                with contextlib.suppress(DatasetError):
                    found.append(self._sample(key))
        return max(found, key=lambda each: math.prod(each.sizes))

    def _of_channels(self) -> dict[int, PlaneKey]:
        return {key.c: key for key in sorted(self._catalogue.files.copy(), reverse=True)}

    def _sample(self, key: PlaneKey) -> Sample:
        """What a file reveals, opened once; raises a `DatasetError`."""
        known = self._sampled.get(key)
        if known is None:
            known = self._files.sample(self._root + self._catalogue.files[key])
            if not known.torn and len(self._sampled) < _MOST_SAMPLES_KEPT:  # what is torn may be whole later
                self._sampled[key] = known
        return known

    def _kind(self, key: PlaneKey | None) -> PixelKind | None:
        """What the pixels of a file are; None if that is not known: reading it says why."""
        if key is not None:
            with contextlib.suppress(DatasetError):
                return PixelKind.of_picture(self._sample(key).picture)
        return None

    def _at(self, p: int) -> dict[int, PlaneKey]:
        if not self._of_positions:
            found: dict[int, dict[int, PlaneKey]] = {}
            for key in sorted(self._catalogue.files.copy(), reverse=True):
                found.setdefault(key.p, {})[key.c] = key
            self._of_positions = found
        return self._of_positions.get(p, {})


class FirstSample(NamedTuple):
    """What the first file that is whole reveals; `damaged` is what is wrong with those before it, by path."""

    sample: Sample
    path: str
    damaged: Mapping[str, str] = MappingProxyType({})
    versions: Mapping[str, str] = MappingProxyType({})
    """Of the damaged ones, from before they were read: they may have become whole meanwhile."""

    def warnings(self) -> tuple[PlacedWarning, ...]:
        """What is said of damaged files, as far as nobody writes them; blocks on disk."""
        others = f"Axes and channels are as in {name_of(presentable(self.path))}"
        return tuple(
            about_file(f"{what}. {'Axes and channels may be missing' if path == self.path else others}", path)
            for path, what in self.damaged.items()
            if is_url(path) or not is_being_written(path)
        )


def first_sample(listing: Listing, files: ImageFiles) -> FirstSample:
    """The sample of the first file that is whole.

    Of files that end too early, that with the most planes, if there is no other. Raises the error of the
    very first if none can be read.
    """
    errors: list[DatasetError] = []
    damaged: dict[str, str] = {}
    versions: dict[str, str] = {}
    found: list[FirstSample] = []
    for _, name in listing.files[:MAX_SAMPLES]:
        path = listing.root + name
        versions[path] = _version_of(path)
        try:
            sample = files.sample(path)
        except DatasetError as error:
            errors.append(error)
            if not isinstance(error, PlaneNotStoredError):
                damaged[path] = str(error)
            continue
        found.append(FirstSample(sample, path))
        if not sample.torn:
            break
        damaged[path] = sample.torn
    if found:
        best = max(found, key=lambda each: (not each.sample.torn, math.prod(each.sample.sizes)))
        return best._replace(damaged=damaged, versions={each: versions[each] for each in damaged})
    if isinstance(errors[0], PlaneNotStoredError):
        raise DatasetNotFoundError(str(errors[0])) from errors[0]
    raise errors[0]


def _version_of(path: str) -> str:
    """The version of a local file; a server is asked whether it has changed instead."""
    try:
        return "" if is_url(path) else version_in(os.stat(path))
    except (OSError, ValueError):
        return NOTHING


def damage_now(path: str, files: ImageFiles) -> str:
    """What is wrong with a file that was damaged, "" if it is whole by now; blocks on disk or network."""
    try:
        return files.sample(path).torn
    except DatasetError as error:
        return str(error)


def warnings_of(listing: Listing, catalogue: FileCatalogue, sample: Sample) -> tuple[str, ...]:
    """What of the files is not shown, or not as other programs would show it."""
    warnings = [*listing.warnings, *listing.doubts]
    root = presentable(listing.root).rstrip("/" + os.sep)
    if catalogue.doubles:
        warnings.append(f"{root}: {how_many(catalogue.doubles, 'file')} with planes of others, not shown")
    if sample.n_images > 1:
        warnings.append(
            f"{root}: the first file contains {sample.n_images} images; one is shown: "
            "open a file by itself to see all"
        )
    if said := orientation_said(sample.orientation):
        warnings.append(f"{root}: of the first file, {said}")
    return tuple(each if place_of(each) else about_file(each, listing.root) for each in warnings)
