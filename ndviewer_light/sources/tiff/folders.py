"""The contents of a dataset's folders, by file names alone: no image is opened here.

Everything keeps its index once found; later items are appended. A folder is relisted only if
something in it has changed, and one with many files only by the share of the time that this takes: meanwhile
the positions that come next are looked for by name.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import LimitExceededError
from ...metadata.squid import has_own_files, sanitised
from ...model import natural_key
from ...storage.file_clock import FILE_CLOCK
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS, error_of_os
from ...storage.watched_folders import MAX_FOUND_BY_NAME, WatchedFolders
from .file_names import (
    OME_FOLDER,
    SINGLE_IMAGE_ENDS,
    NameReader,
    Spelling,
    base_channel,
    is_acquired,
    is_number,
    ome_name,
    stack_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import TypeVar

    from .file_names import ImageName

    _T = TypeVar("_T")

IMAGES, STACKS, OME = "images", "stacks", "ome"

MAX_TIFFS = 5_000_000
"""More names than any acquisition puts into one folder."""

_LONG_NUMBER = 10
_MAX_LOOKED_AT = 10_000
_SETTLED_SECONDS = 2.0
"""Of a folder that changed less long ago, its time of change does not tell every change."""
_MAX_COUNTED = 5
"""The maximum number of channels that differ only by number; more are something else."""
_PLANNED_LOOKED_FOR = 4


class FolderKind(NamedTuple):
    """The kind of dataset at a path: its layout, and the folders of its files.

    They are in `folder`, which is time point `number`; or, if that is "", in the folder `inside` of each
    folder of `experiment` whose name is a number.
    """

    form: str
    experiment: str
    folder: str = ""
    number: int = 0
    inside: str = ""


def kind_of(path: str) -> FolderKind | None:
    """The kind of dataset in the folder at `path`, or None; stops at the first image.

    Single images are Squid's only if `is_squids`: many names have numbers between underscores.
    """
    shared = os.path.join(path, OME_FOLDER)
    if _form_in(shared) == OME:
        return FolderKind(OME, path, shared)
    numbers = _numbers_in(path)
    for inside in ("", OME_FOLDER):
        folders = (os.path.join(path, number, inside).rstrip(os.sep) for number in numbers)
        holding = ((folder, form) for folder in folders if (form := _form_of_squid(folder)) is not None)
        folder, form = next(holding, ("", ""))
        if form == OME and next(holding, None) is None:
            return FolderKind(OME, path, folder)  # the only one: its files contain the whole run
        if form:
            return FolderKind(form, path, inside=inside)
    form = _form_of_squid(path) or ""
    name = os.path.basename(path)
    is_part = is_number(name) or name == OME_FOLDER
    number = int(name) if is_number(name) and len(name) < _LONG_NUMBER else 0
    return FolderKind(form, os.path.dirname(path) if is_part else path, path, number) if form else None


def folders_of(kind: FolderKind) -> list[tuple[int, str]]:
    """The possible folders of a dataset's files, and the numbers of their time points."""
    if kind.folder:
        return [(kind.number, kind.folder)]
    return [
        (int(name), os.path.join(kind.experiment, name, kind.inside).rstrip(os.sep))
        for name in _numbers_in(kind.experiment)
    ]


def _numbers_in(path: str) -> list[str]:
    """The names of possible time-point folders, in order."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in islice(entries, MAX_TIFFS) if is_number(entry.name)]
    except OSError:
        return []
    return sorted((name for name in names if len(name) < _LONG_NUMBER), key=lambda name: (int(name), name))


def _form_in(folder: str) -> str | None:
    """The layout of the first image in a folder."""
    readers = _readers(NameReader())
    try:
        with os.scandir(folder) as entries:
            for name in (entry.name for entry in entries if entry.name.lower().endswith(SINGLE_IMAGE_ENDS)):
                for form, reader in readers.items():
                    if reader(name) is not None:
                        return form
    except OSError:
        return None
    return None


def _form_of_squid(folder: str) -> str | None:
    """The layout of the first image in a folder; None for images and OME-TIFFs not by Squid."""
    form = _form_in(folder)
    if form == OME and not _has_squids_ome_files(folder):
        return None
    return None if form == IMAGES and not is_squids(folder) else form


def _has_squids_ome_files(folder: str) -> bool:
    """Whether OME-TIFFs in a folder are Squid's, by where they are."""
    name, around = os.path.basename(folder), os.path.dirname(folder)
    return name == OME_FOLDER or is_number(name) or has_own_files(folder) or has_own_files(around)


def form_of_file(path: str) -> str | None:
    """The layout of Squid's that a file is a part of, by its name and place; None if it is of none."""
    folder, name = os.path.split(path)
    if stack_name(name) is not None:
        return STACKS
    if ome_name(name) is not None and _has_squids_ome_files(folder):
        return OME
    return IMAGES if NameReader().read(name) is not None and is_squids(folder) else None


def is_squids(folder: str) -> bool:
    """Whether images named as by Squid in a folder are its own. Lists the folder if necessary.

    They are if Squid's own files are beside or around them; else if the folder has the number of a
    time point, and all images in it are named so.
    """
    if has_own_files(folder) or has_own_files(os.path.dirname(folder)):
        return True
    if not is_number(os.path.basename(folder)):
        return False
    try:
        changed_ns = os.stat(folder).st_mtime_ns
    except OSError:
        return False
    if FILE_CLOCK.age_s(changed_ns) < _SETTLED_SECONDS:
        return _are_all_named_so(folder)
    return _are_all_named_so_since(folder, changed_ns)


@functools.lru_cache(maxsize=64)
def _are_all_named_so_since(folder: str, changed_ns: int) -> bool:
    """`_are_all_named_so` of a folder last changed then; asked three times when a run is opened."""
    return _are_all_named_so(folder)


def _are_all_named_so(folder: str) -> bool:
    read = NameReader().read
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MAX_LOOKED_AT)]
    except OSError:
        return False
    images = [name for name in names if _is_image(name)]
    parts = [read(name) for name in images]
    # channels are not counted: "t001", "t002" are time points after a date
    channels = {part.channel for part in parts if part is not None}
    counted = {channel.rstrip("0123456789") for channel in channels}
    return None not in parts and (len(channels) <= _MAX_COUNTED or len(counted) > 1)


@dataclass
class FolderContents:
    """What was found so far, by index; lists only grow at the end.

    `folders` by time index, and their numbers in `times`; none if each file contains all times. `channels` as
    in file names; `names` of OME-TIFFs by region and field of view. `others` are images
    with other names.
    """

    folders: dict[int, str] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    positions: list[tuple[str, int]] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    z: list[int] = field(default_factory=list)
    spelling: Spelling = field(default_factory=lambda: Spelling(ends=()))
    names: dict[tuple[str, int], str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)


class Finder:
    """Finds the files of a dataset, repeatedly. One thread at a time.

    `regions`, and `channels` in acquisition order, help to parse names.
    """

    def __init__(self, kind: FolderKind, regions: Iterable[str] = (), channels: Sequence[str] = ()) -> None:
        self.kind = kind
        self.found = FolderContents()
        self.planned: Sequence[tuple[str, int]] = ()
        """The positions that are to be acquired, in that order, if known."""
        self._order = {sanitised(name): i for i, name in enumerate(channels)}
        self._read = _readers(NameReader(regions, self._order))[kind.form]
        self._folders = WatchedFolders()
        self._numbers: dict[str, int] = {}  # of the time points of folders
        self._parsed: dict[str, bool] = {}  # names of files → whether they are the dataset's
        self._times = set[int]()
        self._places = set[tuple[str, int]]()
        self._n_planned = 0  # so many of them were found, and maybe others
        self._first: ImageName | None = None
        self._last: ImageName | None = None

    def look(self, *, all_of_it: bool = False) -> bool:
        """Look at what has changed, add it to what was `found`; whether it is any more. Blocks on disk.

        `all_of_it`: list every folder that has changed, whatever that costs.
        Raises a `DatasetError` if a folder cannot be listed, or contains too many files.
        """
        before = self._extent()
        new: dict[str, ImageName] = {}
        changed = self._changed_folders(all_of_it=all_of_it)
        to_list = [
            each
            for each in changed
            if all_of_it or self._is_without_images(each) or self._folders.may_list(each)
        ]
        listed = frozenset(to_list)
        names = self._folders.listings(to_list, _names_in)
        for folder in changed:
            if folder in listed:
                new |= self._parsed_anew(folder, next(names))
            else:
                self._add_next(folder)
        self._add_names(new)
        return self._extent() != before

    def _extent(self) -> tuple[object, ...]:
        found = self.found
        sizes = len(found.positions), len(found.channels), len(found.z), len(found.times), len(found.others)
        return sizes, found.spelling

    def _changed_folders(self, *, all_of_it: bool) -> list[str]:
        """The folders of files that have changed; those of new time points are found here."""
        experiment = self.kind.experiment
        self._folders.add(experiment)
        changed = self._folders.changed(every=all_of_it)
        if experiment in changed and (all_of_it or self._folders.may_list(experiment)):
            with self._folders.listing(experiment):
                folders = folders_of(self.kind)
            new = [(number, folder) for number, folder in folders if folder not in self._numbers]
            if new:  # what was empty so far was filled before these were made: time points stay in order
                changed += filter(self._is_without_images, self._numbers)
            for number, folder in new:
                self._numbers[folder] = number
                self._folders.add(folder)
                changed.append(folder)
        return sorted(filter(self._numbers.__contains__, dict.fromkeys(changed)), key=self._at)

    def _is_without_images(self, folder: str) -> bool:
        """Whether no image was found yet in the folder of a time point."""
        return not self.kind.folder and self._numbers[folder] not in self._times

    def _at(self, folder: str) -> tuple[int, str]:
        return self._numbers[folder], folder

    def _parsed_anew(self, folder: str, names: Sequence[str]) -> dict[str, ImageName]:
        """The parts of the names in a folder that were not seen yet; its time point is known from here on."""
        new: dict[str, ImageName] = {}
        # time points mostly have the same names: parse each once
        for name in set(names).difference(self._parsed):
            understood = self._read(name)
            self._parsed[name] = understood is not None
            if understood is not None:
                new[name] = understood
            elif _is_image(name):
                self.found.others.add(name)
        number = self._numbers[folder]
        if number not in self._times and any(map(self._parsed.__getitem__, names)):
            self._add_time(number, folder)
        return new

    def _add_next(self, folder: str) -> None:
        """Add the files in a folder that are named as those that come next."""
        for _ in range(MAX_FOUND_BY_NAME):
            names = (name for name in self._next_names() if name not in self._parsed)
            name = next((name for name in names if os.path.isfile(os.path.join(folder, name))), None)
            if name is None:
                return
            self._add_names(self._parsed_anew(folder, [name]))

    def _next_names(self) -> Iterator[str]:
        """The names that the first file of the next position may have."""
        first, last = self._first, self._last
        if first is None or last is None:
            return
        fov = str(int(last.fov) + 1).zfill(len(last.fov)) if last.fov else ""
        places = [(last.region, fov)] if fov else []
        while self._n_planned < len(self.planned) and self.planned[self._n_planned] in self._places:
            self._n_planned += 1
        planned = self.planned[self._n_planned : self._n_planned + _PLANNED_LOOKED_FOR]
        places += [(region, str(number).zfill(len(last.fov))) for region, number in planned]
        for region, number in dict.fromkeys(places):
            for other in dict.fromkeys((first, last)):
                yield _file_name(other._replace(region=region, fov=number), self.kind.form)

    def _add_time(self, number: int, folder: str) -> None:
        found = self.found
        if self.kind.form == OME and self.kind.folder:
            return  # its files contain all times
        found.folders[len(found.times)] = folder
        found.times.append(number)
        self._times.add(number)

    def _add_names(self, names: dict[str, ImageName]) -> None:
        if not names:
            return
        found, order = self.found, self._order
        spelt = {(parts.region, parts.fov) for parts in names.values()}
        z_names = {parts.z for parts in names.values()} - {""}
        for end in sorted({parts.end for parts in names.values()}):
            found.spelling = found.spelling.seen(end=end)
        for number in sorted({fov for _, fov in spelt} | z_names):
            found.spelling = found.spelling.seen(number)
        if self.kind.form == OME:
            found.names.update({(parts.region, int(parts.fov or 0)): name for name, parts in names.items()})
        positions = {(region, int(fov or 0)) for region, fov in spelt}
        channels = {parts.channel for parts in names.values()} - {""}
        order_of = {region: natural_key(region) for region in {region for region, _ in positions}}
        new = sorted(positions - self._places, key=lambda at: (order_of[at[0]], at[1]))
        found.positions += new
        self._places.update(new)
        _append(found.channels, channels, lambda name: _channel_key(name, order))
        _append(found.z, {int(z) for z in z_names}, lambda z: z)
        if new:
            self._note_ends(names.values(), new)
        for what, n, most in (
            ("positions", len(found.positions), MAX_POSITIONS),
            ("channels", len(found.channels), MAX_CHANNELS),
        ):
            if n > most:
                raise LimitExceededError(
                    f"{self.kind.experiment} has {n} {what}; at most {most} can be shown"
                )

    def _note_ends(self, names: Collection[ImageName], new: Sequence[tuple[str, int]]) -> None:
        """Note a file of the first position of all, of its first z and channel, and one of the last."""
        channels = self.found.channels

        def key(name: ImageName) -> tuple[int, int]:
            return int(name.z or 0), channels.index(name.channel) if name.channel else 0

        by_place: dict[tuple[str, int], list[ImageName]] = {new[0]: [], new[-1]: []}
        for name in names:
            place = name.region, int(name.fov or 0)
            if place in by_place:
                by_place[place].append(name)
        self._first = self._first or min(by_place[new[0]], key=key)
        self._last = min(by_place[new[-1]], key=key)


def _names_in(folder: str) -> list[str]:
    """The names in a folder; nothing if it is not one."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MAX_TIFFS + 1)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise error_of_os(error, folder) from error
    if len(names) > MAX_TIFFS:
        raise LimitExceededError(f"{folder} contains more than {MAX_TIFFS} files")
    return names


def _file_name(name: ImageName, form: str) -> str:
    if form == IMAGES:
        return f"{name.region}_{name.fov}_{name.z}_{name.channel}{name.end}"
    fov = f"_{name.fov}" if name.fov else ""
    return f"{name.region}{fov}{'_stack' if form == STACKS else ''}{name.end}"


def _readers(images: NameReader) -> dict[str, Callable[[str], ImageName | None]]:
    return {OME: ome_name, STACKS: stack_name, IMAGES: images.read}


def _is_image(name: str) -> bool:
    return name.lower().endswith(SINGLE_IMAGE_ENDS) and is_acquired(name)


def _append(known: list[_T], names: Iterable[_T], key: Callable[[_T], Any]) -> None:
    known += sorted(set(names).difference(known), key=key)


def _channel_key(name: str, order: dict[str, int]) -> tuple[int, object]:
    """Sort key: acquisition order, with a channel's colours together, unknown ones at the end."""
    at = order.get(name, order.get(base_channel(name), len(order)))
    return at, natural_key(f"_{name}")  # "BF" is not a plate row
