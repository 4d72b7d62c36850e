"""What is written beside separate images, with channels, steps and times.

That is Micro-Manager's ``metadata.txt``, and the indexes of Opera Phenix, Operetta and CellVoyager. On
servers also where fields are on the stage, and the steps, as Squid writes them; folders on disk are read as
Squid's then.
"""

from __future__ import annotations

import contextlib
import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import DatasetError, LimitExceededError, MetadataError
from ...metadata.cellvoyager import DETAILS, RECORDS, SETTINGS_END, cellvoyager_index, settings_file
from ...metadata.micromanager import listed_positions, summary_channels, summary_steps
from ...metadata.opera_index import OPERA_INDEXES, opera_index
from ...metadata.recorded_times import elapsed_of_files
from ...metadata.squid import (
    COORDINATES_FILE,
    PARAMETERS_FILES,
    Coordinates,
    coordinates_read,
    parameters_read,
)
from ...model import how_many, natural_key
from ...storage.about_files import about_file
from ...storage.bytes import is_url, name_of
from ...storage.file_clock import FILE_CLOCK
from ...storage.file_versions import changed_ns, version_of
from ...storage.limits import (
    MAX_METADATA_BYTES,
    entries_so_far,
    parse_json,
    read_json,
    read_small_file,
)
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from ...storage.presentable import presentable
from .indexed_sets import index_text, is_own_index, names_in_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ...metadata.micromanager import StageUm
    from ...metadata.set_index import SetIndex
    from ...metadata.squid import Parameters
    from ...model import Channel
    from ...storage.local_files import LinkGuard
    from ..source import StorageOptions

METADATA_TEXT = "metadata.txt"
_FINISHED_SECONDS = 60.0
"""What Micro-Manager has not added to for so long is not being written any more."""
_READ_BESIDE = (METADATA_TEXT, COORDINATES_FILE, *PARAMETERS_FILES, *OPERA_INDEXES, RECORDS, DETAILS)


def is_read_beside(name: str) -> bool:
    """Whether a file is one of those beside images that are read."""
    return name in _READ_BESIDE or name.lower().endswith(SETTINGS_END) or is_own_index(name)


class SaidBeside(NamedTuple):
    """What is said of images beside them: their channels in order, or by their numbers in names, and steps.

    Steps are in µm and s.
    """

    channels: tuple[Channel, ...] = ()
    numbered: Mapping[str, Channel] = MappingProxyType({})
    steps: Mapping[str, float | None] = MappingProxyType({})


_NUMBERED_POSITION = re.compile(r"Pos[ _-]?([0-9]{1,6})")
_SITE = re.compile(r"(?:(?=.*-Site)|[0-9]+-Pos_?)([A-Za-z]{1,2}[0-9]{1,2}|[0-9]{3})(?:-Site_|_)([0-9]{1,6})")
"""Fields of wells, and those of a grid by row and column."""
MOST_FOLDERS = 64
"""Of so many folders the indexes are read, and kept."""


class Beside:
    """The files beside the images of a dataset, and how they are read. Any thread."""

    def __init__(
        self,
        links: LinkGuard | None,
        options: StorageOptions = None,
        there: Collection[str] = (),
        said: SetIndex | None = None,
    ) -> None:
        """`links` checks local files; `there` are the URLs of those that a server lists.

        `said` is what one index says of all images.
        """
        self._given = said
        self._links = links
        self._options = access_options(options)
        self._there = frozenset(there)
        self._fetched: dict[str, dict[str, Any]] = {}  # by URL
        self._indexes: dict[str, SetIndex | None] = {}  # by folder
        self._stage: Coordinates | None = None  # once it was read
        self._parameters: Parameters | None = None  # the same

    def said(self, path: str) -> dict[str, Any] | None:
        """What is in the folder of an image; None if nothing is, or nothing that can be read."""
        try:
            return self._said_at(self._text_beside(path))
        except MetadataError:
            return self._said_so_far(self._text_beside(path))
        except DatasetError:
            return None

    def _said_so_far(self, beside: str) -> dict[str, Any] | None:
        """What a file says whose end is missing: Micro-Manager adds to it with each image, or died."""
        with contextlib.suppress(DatasetError):
            raw = None if is_url(beside) else read_small_file(beside)
            return (entries_so_far(raw, beside) or None) if raw is not None else None
        return None

    def _text_beside(self, path: str) -> str:
        head = path.rpartition("/")[0] + "/" if is_url(path) else os.path.join(os.path.dirname(path), "")
        return head + METADATA_TEXT

    def _said_at(self, beside: str) -> dict[str, Any] | None:
        if is_url(beside):
            return self._on_server(beside) if beside in self._there else None
        if self._links is not None:
            self._links.check([beside])
        return read_json(beside)

    def faults(self, path: str) -> dict[str, str]:
        """A warning for each file beside the image at `path` that cannot be read, by the path of that file.

        Raises nothing. Text that does not begin like JSON is not Micro-Manager's.
        """
        found: dict[str, str] = {}
        text = self._text_beside(path)
        try:
            self._said_at(text)
        except MetadataError as error:
            if self._said_so_far(text) is not None:
                if FILE_CLOCK.age_s(changed_ns(version_of(text))) > _FINISHED_SECONDS:
                    found[text] = f"{error}. What it does not say of later images is unknown"
            elif self._begins_like_json(text):
                found[text] = f"{error}. What it says of channels, steps and times is unknown"
        except DatasetError as error:
            found[text] = f"{error}. What it says of channels, steps and times is unknown"
        if fault := self._squids_parameters().fault:
            found[self._squids(PARAMETERS_FILES)[0]] = f"{fault}. What it says of scale and times is unknown"
        if stage := self.coordinates().warning:
            found[self._squids([COORDINATES_FILE])[0]] = stage
        return {file: about_file(said, file) for file, said in found.items()}

    def _begins_like_json(self, path: str) -> bool:
        with contextlib.suppress(DatasetError):
            raw = self._fetched_from(path)[0] if is_url(path) else read_small_file(path)
            return raw is not None and raw.lstrip()[:1] in (b"", b"{")
        return False

    def squids_steps(self) -> dict[str, float | None]:
        """The steps of a run of Squid's by a file that the server lists, in µm and s; {} without any."""
        said = self._squids_parameters()
        known = {"t": said.time_step_s, "z": said.z_step_um, **dict.fromkeys("yx", said.pixel_size_um)}
        return {role: step for role, step in known.items() if step}

    @property
    def objective(self) -> str:
        """The objective by Squid's parameters, if these were read; nothing is read for it."""
        return "" if self._parameters is None else self._parameters.objective

    def _squids_parameters(self) -> Parameters:
        if self._parameters is None or self._parameters.fault:
            files = self._squids(PARAMETERS_FILES)[:1]
            self._parameters = parameters_read(lambda url: self._fetched_from(url)[0], files)
        return self._parameters

    def _squids(self, names: Sequence[str]) -> list[str]:
        """The files of Squid's of these names that the server lists, that of the whole run first."""
        files = [url for url in self._there if name_of(url) in names]
        return sorted(files, key=lambda each: (each.count("/"), natural_key(each)))

    def index(self, path: str) -> SetIndex | None:
        """What the index of an image says, or that in its folder; None if there is none that can be read."""
        if self._given is not None:
            return self._given
        folder = path.rpartition("/" if is_url(path) else os.sep)[0]
        if folder not in self._indexes:
            if len(self._indexes) >= MOST_FOLDERS:
                self._indexes.clear()
            self._indexes[folder] = self._index_in(folder)
        return self._indexes[folder]

    def _index_in(self, folder: str) -> SetIndex | None:
        for name in OPERA_INDEXES:
            if (text := self._text(folder, name)) is not None:
                return opera_index(text)
        records, details = self._text(folder, RECORDS), self._text(folder, DETAILS)
        if records is None and details is None:
            return None
        settings = settings_file(details or "")
        said = settings and self._text(folder, settings)
        return cellvoyager_index(records or "", details or "", said or "")

    def names_listed(self, path: str) -> list[str]:
        """The names of all images that the index in the folder of one lists; none if none does."""
        folder = path.rpartition("/" if is_url(path) else os.sep)[0]
        for name in () if self._given is not None else (*OPERA_INDEXES, RECORDS):
            if (index := self._path(folder, name)) is not None:
                return names_in_file(index, self._options, self._links)
        return []

    def _text(self, folder: str, name: str) -> str | None:
        """The beginning of a file in a folder; None if it is not there, or cannot be read."""
        path = self._path(folder, name)
        return None if path is None else index_text(path, self._options, self._links)

    def _path(self, folder: str, name: str) -> str | None:
        """The path or URL of a file in a folder; None if it is not there."""
        if is_url(folder):
            urls = (url for url in self._there if url.rpartition("/")[0] == folder and name_of(url) == name)
            path = next(urls, "")
        else:
            path = os.path.join(folder, name)
        is_there = path != "" and (is_url(path) or os.path.isfile(path))
        return path if is_there else None

    def coordinates(self) -> Coordinates:
        """Where Squid's fields are on the stage, by a file that the server lists; never raises.

        Of several, that of the outermost folder, which is of the whole run, else of the first time point.
        """
        if self._stage is None or self._stage.warning:
            files = self._squids([COORDINATES_FILE])[:1]
            self._stage = Coordinates({})
            for url in files:
                self._stage = coordinates_read(lambda: self._fetched_from(files[0])[0], presentable(url))
        return self._stage

    def listed(self, path: str) -> Coordinates:
        """Where Micro-Manager's positions are, by what is in the folder of an image, if anything is."""
        summary = (self.said(path) or {}).get("Summary")
        listed = listed_positions(summary) if isinstance(summary, dict) else []
        found: dict[tuple[str, int], StageUm] = {}
        is_old = isinstance(summary, dict) and "StagePositions" not in summary
        for i, (label, place) in enumerate(listed):
            if place[0] is None:
                continue
            numbered, site = _NUMBERED_POSITION.fullmatch(label), _SITE.fullmatch(label)
            # older versions name folders by the label alone, newer ones number images as in the list
            found["", int(numbered[1]) if is_old and numbered else i] = place
            if site is not None:
                found[site[1], int(site[2]) if is_old else i] = place
        return Coordinates(found)

    def _on_server(self, url: str) -> dict[str, Any]:
        if (known := self._fetched.get(url)) is not None:
            return known
        said = parse_json(*self._fetched_from(url))
        if len(self._fetched) < MOST_FOLDERS:
            self._fetched[url] = said
        return said

    def _fetched_from(self, url: str) -> tuple[bytes, str]:
        """The bytes of a small file, and its name in messages. Raises a `DatasetError`."""
        file = open_bytes(url, self._options)
        try:
            if file.size > MAX_METADATA_BYTES:
                raise LimitExceededError(f"{file.name} has {how_many(file.size, 'byte')}")
            return file.read(0, file.size), file.name
        finally:
            file.close()


def said_beside(path: str, beside: Beside) -> SaidBeside:
    """The channels and steps that are said beside an image; nothing if nothing is.

    Looks in the folder of the image. Of a file on disk that is being written, what it says so far counts.
    """
    index = beside.index(path)
    if index is not None and (index.channels or index.steps):
        return SaidBeside(numbered=index.channels, steps=index.steps)
    said = beside.said(path)
    summary: Any = (said or {}).get("Summary")
    if said is None or not isinstance(summary, dict):
        return SaidBeside(steps=beside.squids_steps())
    frame = next((value for key, value in said.items() if key.startswith(("FrameKey", "Metadata-"))), None)
    steps = {axis: step for axis, step in summary_steps(summary, frame).items() if step}
    return SaidBeside(tuple(summary_channels(summary)), steps=steps)


class TimesBeside:
    """When images were acquired, by the ``metadata.txt`` in their folders. Any thread; blocks on disk."""

    def __init__(self, links: LinkGuard | None) -> None:
        self._beside = Beside(links)
        self._read: dict[str, tuple[str, Mapping[str, float]]] = {}

    def of(self, path: str) -> float | None:
        """Seconds since the run began at which the image at `path` was acquired; None if it is not said."""
        folder, name = os.path.split(path)
        version = version_of(os.path.join(folder, METADATA_TEXT))
        known = self._read.get(folder)
        if known is None or known[0] != version:
            known = self._read[folder] = version, elapsed_of_files(self._beside.said(path) or {})
            while len(self._read) > MOST_FOLDERS:
                self._read.pop(next(iter(self._read)), None)
        return known[1].get(name)
