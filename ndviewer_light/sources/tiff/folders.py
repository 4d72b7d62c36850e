"""The contents of a dataset's folders, by file names alone: no image is opened here.

Everything keeps its index once found; later items are appended. A folder is relisted only if
something in it has changed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import LimitExceededError
from ...metadata.squid import has_own_files, sanitised
from ...model import natural_key
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS, error_of_os
from .file_names import (
    IMAGE_ENDS,
    OME_FOLDER,
    NameReader,
    Spelling,
    base_channel,
    is_acquired,
    is_number,
    ome_name,
    stack_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from .file_names import ImageName

    _T = TypeVar("_T")

IMAGES, STACKS, OME = "images", "stacks", "ome"

MAX_FILES = 5_000_000
"""More names than any acquisition puts into one folder."""

_MAX_DIGITS = 10
_MAX_LOOKED_AT = 10_000
_MAX_COUNTED = 5
"""The maximum number of channels that differ only by number; more are something else."""

_SETTLED_NS = 2_000_000_000
"""A folder that changed more recently may change again and show the same time of change."""


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
    number = int(name) if is_number(name) and len(name) < _MAX_DIGITS else 0
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
            names = [entry.name for entry in islice(entries, MAX_FILES) if is_number(entry.name)]
    except OSError:
        return []
    return sorted((name for name in names if len(name) < _MAX_DIGITS), key=lambda name: (int(name), name))


def _form_in(folder: str) -> str | None:
    """The layout of the first image in a folder."""
    readers = _readers(NameReader())
    try:
        with os.scandir(folder) as entries:
            for name in (entry.name for entry in entries if entry.name.lower().endswith(IMAGE_ENDS)):
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


def is_of_squid(path: str) -> bool:
    """Whether a file is a part of what Squid wrote, by its name and place."""
    folder, name = os.path.split(path)
    if stack_name(name) is not None:
        return True
    if ome_name(name) is not None and _has_squids_ome_files(folder):
        return True
    return NameReader().read(name) is not None and is_squids(folder)


def is_squids(folder: str) -> bool:
    """Whether images named as by Squid in a folder are its own. Lists the folder if necessary.

    They are if Squid's own files are beside or around them; else if the folder has the number of a
    time point, and all images in it are named so.
    """
    if has_own_files(folder) or has_own_files(os.path.dirname(folder)):
        return True
    if not is_number(os.path.basename(folder)):
        return False
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
        self._order = {sanitised(name): i for i, name in enumerate(channels)}
        self._read = _readers(NameReader(regions, self._order))[kind.form]
        self._listed: dict[str, int] = {}  # folder → its modification time when listed
        self._parsed: dict[str, bool] = {}  # names of files → whether they are the dataset's

    def look(self) -> FolderContents:
        """List what has changed and add it to the findings. Blocks on disk.

        Raises a `DatasetError` if a folder cannot be listed, or contains too many files.
        """
        new: dict[str, ImageName] = {}
        times: dict[int, str] = {}
        for number, folder in folders_of(self.kind):
            names = self._names(folder)
            # time points mostly have the same names: parse each once
            for name in set(names).difference(self._parsed):
                understood = self._read(name)
                self._parsed[name] = understood is not None
                if understood is not None:
                    new[name] = understood
                elif _is_image(name):
                    self.found.others.add(name)
            if any(map(self._parsed.__getitem__, names)):
                times.setdefault(number, folder)
        self._add_times(times)
        self._add_names(new)
        return self.found

    def _names(self, folder: str) -> list[str]:
        """The names in a folder; nothing if it is not one, or has not changed since it was listed."""
        try:
            changed = os.stat(folder).st_mtime_ns
            if self._listed.get(folder) == changed:
                return []
            with os.scandir(folder) as entries:
                names = [entry.name for entry in islice(entries, MAX_FILES + 1)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise error_of_os(error, folder) from error
        if len(names) > MAX_FILES:
            raise LimitExceededError(f"{folder} contains more than {MAX_FILES} files")
        if time.time_ns() - changed > _SETTLED_NS:
            self._listed[folder] = changed
        return names

    def _add_times(self, times: dict[int, str]) -> None:
        found = self.found
        if self.kind.form == OME and self.kind.folder:
            return  # its files contain all times
        for number in sorted(set(times).difference(found.times)):
            found.folders[len(found.times)] = times[number]
            found.times.append(number)

    def _add_names(self, names: dict[str, ImageName]) -> None:
        found, order = self.found, self._order
        spelt = {(parts.region, parts.fov) for parts in names.values()}
        z_names = {parts.z for parts in names.values()} - {""}
        for end in sorted({parts.end for parts in names.values()}):
            found.spelling = found.spelling.seen(end=end)
        for number in sorted({fov for _, fov in spelt} | z_names):
            found.spelling = found.spelling.seen(number)
        if self.kind.form == OME:
            found.names |= {(parts.region, int(parts.fov or 0)): name for name, parts in names.items()}
        positions = {(region, int(fov or 0)) for region, fov in spelt}
        channels = {parts.channel for parts in names.values()} - {""}
        order_of = {region: natural_key(region) for region in {region for region, _ in positions}}
        _append(found.positions, positions, lambda at: (order_of[at[0]], at[1]))
        _append(found.channels, channels, lambda name: _channel_key(name, order))
        _append(found.z, {int(z) for z in z_names}, lambda z: z)
        for what, n, most in (
            ("positions", len(found.positions), MAX_POSITIONS),
            ("channels", len(found.channels), MAX_CHANNELS),
        ):
            if n > most:
                raise LimitExceededError(
                    f"{self.kind.experiment} has {n} {what}; at most {most} can be shown"
                )


def _readers(images: NameReader) -> dict[str, Callable[[str], ImageName | None]]:
    return {OME: ome_name, STACKS: stack_name, IMAGES: images.read}


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDS) and is_acquired(name)


def _append(known: list[_T], names: Iterable[_T], key: Callable[[_T], Any]) -> None:
    known += sorted(set(names).difference(known), key=key)


def _channel_key(name: str, order: dict[str, int]) -> tuple[int, object]:
    """Sort key: acquisition order, with a channel's colours together, unknown ones at the end."""
    at = order.get(name, order.get(base_channel(name), len(order)))
    return at, natural_key(f"_{name}")  # "BF" is not a plate row
