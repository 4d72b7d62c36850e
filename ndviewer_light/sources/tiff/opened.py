"""Opened datasets, a folder of images or one file: what is known about them, and how that grows."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ...metadata.squid import Coordinates, coordinates, is_done, sanitised
from ...model import (
    DatasetInfo,
    PlaneKey,
    Position,
    channel_parts,
    channels_shown,
    how_many,
    natural_sorted,
)
from ...storage.about_files import about_file
from ...storage.asked_together import asked_together
from ...storage.decoding.tiff_pages import TIFF_ENDS
from ...storage.file_versions import version_of
from ...storage.local_files import LinkGuard
from .file_errors import FileMissingError
from .file_names import OME_FOLDER, NameReader, is_number, ome_name, stack_name
from .folders import (
    OME,
    STACKS,
    Finder,
    FolderKind,
    folders_of,
    is_squids,
)
from .forms import (
    FileFacts,
    FileLocations,
    Form,
    ImagePerPlane,
    StackPerPosition,
)
from .ome import OmeFiles
from .side_files import SideFiles
from .single import SingleFile
from .written_beside import ListedChannels, ParametersBeside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ...metadata.squid import Parameters
    from ...model import Channel, ChannelPart
    from ...storage.decoding.pictures import Picture
    from .file_pool import OpenTiff, TiffPool
    from .folders import FolderContents

_MAX_UNREADABLE_PAGES = 8
"""How many files that cannot be read are passed over, at open, in search of one that can."""

_MAX_SAID = 5
_MAX_CHANNELS_LOOKED_AT, _MAX_LOOKED_FOR = 32, 4096
"""For how many channels an image is opened at the start, and how many names are tried to find one."""

_MAY_BE_MISSING = "Axes and channels may be missing"

_SPARSE = 16
"""Numbers of z with more gaps than this are names, not indices."""


@dataclass(frozen=True)
class Known:
    """What is known about an opened dataset: displayed channels, and everything else.

    `parameters` are those of the experiment of a single file.
    """

    parts: tuple[ChannelPart, ...]
    info: DatasetInfo
    parameters: ParametersBeside | None = None


class OpenedFolder:
    """A dataset of many files. One thread at a time, except for its `form`."""

    def __init__(
        self, path: str, kind: FolderKind, pool: TiffPool, options: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._kind = kind
        self._links = LinkGuard([path, kind.experiment], options=options)
        self._listed = ListedChannels(kind.experiment, self._links)
        self._listed.read()
        self._parameters = ParametersBeside(kind.experiment, self._links)
        self._coordinates = _coordinates(kind, self._links)
        regions = {region for region, _ in self._coordinates.by_fov}
        self._finder = Finder(kind, regions, self._listed.names)
        self._finder.planned = tuple(self._coordinates.by_fov)
        places = FileLocations(kind.experiment, (), ())
        self.form: Form
        if kind.form == OME:
            self.form = OmeFiles(places, pool)
            self.form.one_time_per_file = not kind.folder
        else:
            self.form = StackPerPosition(places, pool) if kind.form == STACKS else ImagePerPlane(places)
        self.form.links = self._links
        self._channels: list[str] = []  # as given in files or their names
        self._sample: tuple[str, PlaneKey] | None = None
        self._facts: FileFacts | None = None  # the last of the sample
        self._damaged: dict[str, tuple[PlaneKey, DatasetError]] = {}  # files before it, and what they lack
        self._in_color: frozenset[int] = frozenset()
        self._inverted: frozenset[int] = frozenset()
        self._looked_at: set[int] = set()  # channels of which an image was opened
        self.dtypes: frozenset[np.dtype] = frozenset()
        """Of these."""
        self.of_other_sizes: tuple[tuple[str, PlaneKey, Picture], ...] = ()
        """Of these images, those that have another size than the first file."""
        self._colour_dtype: np.dtype | None = None  # of those in colour, which others may have more bits than
        self._described: tuple[Channel, ...] = ()
        self._positions: tuple[Position, ...] = ()
        self._placed_by = self._coordinates.by_fov  # by which these positions have their coordinates
        self._side_files = SideFiles()
        self._read_parameters: Parameters | None = None
        self._is_done: bool | None = None
        self._beside = self._growing = ""  # the versions of what the last look has read

    @property
    def first_file(self) -> str | None:
        """The file that was opened at first, if it is of one plane and so does not grow."""
        return self._sample[0] if self._sample is not None and isinstance(self.form, ImagePerPlane) else None

    def look(self, before: DatasetInfo | None = None, *, all_of_it: bool = True) -> Known | None:
        """List what has changed, and open one file: at first for its metadata, later if it may have grown.

        None if nothing has changed since the last time, or, unless `all_of_it`, nothing that was looked at:
        see `Finder.look`. Raises a `DatasetError` if there is nothing readable.
        """
        has_grown = self._finder.look(all_of_it=all_of_it)
        beside = self._side_files.versions(self._folders_beside(), anew=all_of_it)
        versions = self._versions_of_growing()
        is_same_beside = beside == self._beside and not all_of_it
        if not has_grown and is_same_beside and versions == self._growing:
            return None
        found = self._finder.found
        if not found.positions:
            raise DatasetNotFoundError(f"{self._path} contains no image files")
        if not self._coordinates.by_fov and not is_same_beside:
            told = _coordinates(self._kind, self._links)
            if told != self._coordinates:
                self._coordinates = told
                self._finder.planned = tuple(told.by_fov)
        if self._beside and not is_same_beside:
            self._listed.read()
        self._add_channels(found.channels)
        self.form.places = self._places(found)
        facts = self._first_facts() if self._sample is None else self._facts_again(*self._sample)
        if facts is not None:
            self._facts = facts
            self._add_channels(facts.channels)
            self._described = facts.described
            self.form.places = self._places(found)
        self._look_at_channels()
        parts = channel_parts([self._listed.name_of(name) for name in self._channels], self._in_color)
        info = self._info(found, before)
        if self._facts is not None:  # images themselves do not change, but what is beside them
            info = learned(info, parts, self._facts)
            if self._read_parameters is None or not is_same_beside:
                self._read_parameters = self._parameters.read()
            info = self._parameters.added_to(info, self._read_parameters, self._facts)
            info = replace(info, dtype=np.result_type(self._facts.picture.dtype, *self.dtypes))
        if self._is_done is None or not is_same_beside:
            self._is_done = is_done(self._kind.experiment)
        if self._is_done:
            info = replace(info, complete=True)
        self._beside, self._growing = (beside, versions) if self._sample is not None else ("", "")
        inverted = self._inverted
        if self._facts is not None and not isinstance(self.form, ImagePerPlane):
            inverted = _inverted(parts, self._facts)
        channels = shown(parts, self._colour_dtype or info.dtype, self._described, inverted)
        return Known(parts, replace(info, channels=channels))

    def _folders_beside(self) -> list[str]:
        """The folders in which there may be files of Squid's beside the images."""
        folders = [self._kind.experiment]
        first = self._finder.found.folders.get(0)
        if first is not None and not self._coordinates.by_fov:
            folders.append(os.path.dirname(first) if self._kind.inside else first)
        return list(dict.fromkeys(folders))

    def _versions_of_growing(self) -> str:
        """The versions of the image that was opened, if it may grow, and of those that were damaged."""
        paths = list(self._damaged)
        if self._sample is not None and not isinstance(self.form, ImagePerPlane):
            paths.append(self._sample[0])
        return " ".join(asked_together(version_of, paths))

    def _places(self, found: FolderContents) -> FileLocations:
        by_fov = self._coordinates.by_fov
        if self._placed_by is not by_fov:
            self._placed_by, self._positions = by_fov, ()
        self._positions += tuple(
            Position(region, fov, *by_fov.get((region, fov), (None, None, None)))
            for region, fov in found.positions[len(self._positions) :]
        )
        return FileLocations(
            experiment=self._kind.experiment,
            positions=self._positions,
            channels=tuple(map(sanitised, self._channels)),
            folders=dict(found.folders),
            shared=self._kind.folder if self._kind.form == OME else "",
            z=_z_numbers(found.z),
            spelling=found.spelling,
            names=found.names,
        )

    def _add_channels(self, names: Iterable[str]) -> None:
        """Add new names; files of several channels list them in order."""
        for i, name in enumerate(names):
            if name == "" and i >= len(self._channels):
                self._channels.append(self._unnamed(i))
            elif name != "" and sanitised(name) not in map(sanitised, self._channels):
                self._channels.append(name)

    def _unnamed(self, index: int) -> str:
        names = self._listed.names
        return names[index] if index < len(names) else f"Ch{index}"

    def _first_facts(self) -> FileFacts:
        """The facts from the first readable file; only one is opened unless it is damaged.

        Of files that end too early something may be missing: they tell only if no other one does.
        """
        errors: list[DatasetError] = []
        found: list[tuple[FileFacts, str, PlaneKey]] = []
        self._damaged = {}
        for path, key in self._candidates():
            try:
                self.form.check(path)
                facts = self.form.facts(path, key)
            except FileMissingError:
                continue
            except DatasetError as error:
                errors.append(error)
                self._damaged[path] = key, error
            else:
                found.append((facts, path, key))
                if facts.torn is None:
                    break
                self._damaged[path] = key, facts.torn
            if len(self._damaged) == _MAX_UNREADABLE_PAGES:
                break
        if found:
            facts, path, key = max(found, key=_fullness)
            self._sample = path, key
            if facts.picture.samples >= 3 and not isinstance(self.form, ImagePerPlane):
                self._in_color = frozenset(range(len(facts.channels)))
            return facts
        if errors:
            raise errors[0]
        raise DatasetNotFoundError(
            f"{self._path} contains image files, but their names do not tell the planes apart"
        )

    def _look_at_channels(self) -> None:
        """Open the first image of each channel: it decides on its colours, and on a dtype that holds all."""
        if not isinstance(self.form, ImagePerPlane):
            return
        for c in range(min(len(self._channels), _MAX_CHANNELS_LOOKED_AT)):
            if c in self._looked_at:
                continue
            self._looked_at.add(c)
            few = islice(self._candidates(c), _MAX_LOOKED_FOR)
            for path, key in islice(((path, key) for path, key in few if os.path.isfile(path)), 1):
                with contextlib.suppress(DatasetError, FileMissingError):  # reading that plane reports it
                    self.form.check(path)
                    facts = self.form.facts(path, key)
                    picture = facts.picture
                    self._inverted |= {c} if facts.is_inverted else set()
                    self.dtypes |= {picture.dtype}
                    if self._facts is not None and picture[:2] != self._facts.picture[:2]:
                        self.of_other_sizes += ((path, key, picture),)
                    if picture.samples >= 3:
                        self._in_color |= {c}
                        self._colour_dtype = picture.dtype

    def _candidates(self, of_channel: int | None = None) -> Iterator[tuple[str, PlaneKey]]:
        """Files of the first planes: that of time, position, channel and z 0, then others; of a channel."""
        places = self.form.places
        n_c, n_z = max(1, len(places.channels)), max(1, len(self._finder.found.z))
        if not isinstance(self.form, ImagePerPlane):
            n_c = n_z = 1
        sizes = (max(1, len(places.folders)), len(places.positions), n_c, n_z)
        for t, p, z, c in product(*(range(size) for size in (sizes[0], sizes[1], sizes[3], sizes[2]))):
            key = PlaneKey(t, p, c, z)
            if of_channel not in (None, c):
                continue
            for path in self.form.files(key):
                yield path, key

    def _facts_again(self, path: str, key: PlaneKey) -> FileFacts | None:
        """The sample's current facts, if it is of a kind that grows; files before it may be whole by now."""
        if self._damaged:
            with contextlib.suppress(DatasetError):  # reading a plane will report it
                return self._first_facts()
            return None
        if isinstance(self.form, ImagePerPlane):
            return None
        try:
            self.form.check(path)
            return self.form.facts(path, key)
        except (DatasetError, FileMissingError):  # reading the plane will report it
            return None

    def _warnings_of_damaged(self) -> list[str]:
        """What is wrong with the files before the one that tells axes and channels."""
        if self._sample is None:
            return []
        first = self._sample[0]
        said = f"Axes and channels are as in {os.path.basename(first)}"
        return [
            about_file(f"{error}. {_MAY_BE_MISSING if path == first else said}", path, p=key.p)
            for path, (key, error) in self._damaged.items()
            if not isinstance(error, PlaneNotStoredError)
        ]

    def _info(self, found: FolderContents, before: DatasetInfo | None) -> DatasetInfo:
        n_t = len(found.times) or (before.n_t if before else 1)
        n_z = len(self.form.places.z) or max(found.z, default=0) + 1
        times = tuple(found.times)
        warnings = [self._coordinates.warning] if self._coordinates.warning else []
        if found.others:
            few = ", ".join(map(repr, natural_sorted(found.others)[:_MAX_SAID]))
            said = (
                f"{self._path} also contains {how_many(len(found.others), 'image')} not named as by Squid, "
                f"not shown: {few}"
            )
            warnings.append(about_file(said, self._path))
        warnings += self._listed.warnings(found.channels)
        warnings += self._warnings_of_damaged()
        if before is None:
            before = DatasetInfo(self.form.format, (), (), 1, 1, 1, 1, None)
        return replace(
            before,
            positions=self.form.places.positions,
            n_t=n_t,
            n_z=max(n_z, before.n_z),
            name=os.path.basename(self._path) or self._path,
            warnings=tuple(warnings),
            times=times if times != tuple(range(len(times))) else (),
        )


def _fullness(found: tuple[FileFacts, str, PlaneKey]) -> tuple[bool, int]:
    """How much a file tells: more if it is whole, then by its number of planes."""
    facts = found[0]
    return facts.torn is None, max(1, facts.n_t) * max(1, facts.n_z) * max(1, len(facts.channels))


def open_file(path: str, pool: TiffPool, options: Mapping[str, str] | None = None) -> tuple[Form, Known]:
    """Open one image file: as part of a dataset if it says so, else by its axes. Raises `DatasetError`."""
    folder, name = os.path.split(path)
    is_part = is_number(os.path.basename(folder)) or os.path.basename(folder) == OME_FOLDER
    experiment = os.path.dirname(folder) if is_part else folder
    links = LinkGuard([folder, experiment], named=path, options=options)
    listed = ListedChannels(experiment, links)
    listed.read()
    regions = {region for region, _ in coordinates(experiment, links).by_fov}
    parts_of_name = stack_name(name) or ome_name(name)
    if parts_of_name is None and is_squids(folder):
        parts_of_name = NameReader(regions, map(sanitised, listed.names)).read(name)
    region, fov = (parts_of_name.region, int(parts_of_name.fov or 0)) if parts_of_name else ("default", 0)
    places = FileLocations(
        experiment, (Position(region, fov),), (), shared=folder, names={(region, fov): name}
    )
    try:
        form = _form_of_file(path, places, pool)
        form.links = links
        facts = form.facts(path, PlaneKey())
    except FileMissingError as error:
        raise DatasetNotFoundError(f"{path} no longer exists") from error
    names, said = list(facts.channels) or [""], tuple[str, ...]()
    if len(names) == 1 and not names[0] and parts_of_name:
        said = listed.warnings([parts_of_name.channel] if parts_of_name.channel else [])
        names = [listed.name_of(parts_of_name.channel)]
    names = [channel or f"Ch{i}" for i, channel in enumerate(names)]
    if facts.n_p > 1:
        places = replace(places, positions=tuple(Position(region, fov + i) for i in range(facts.n_p)))
    else:
        position = Position(region, fov, *facts.position_um, facts.name)
        places = replace(places, positions=(position,))
    form.places = replace(places, channels=tuple(map(sanitised, names)))
    in_color = set(range(len(names))) if facts.picture.samples >= 3 else set()
    parts = channel_parts(names, in_color, by_name=False)
    info = DatasetInfo(form.format, form.places.positions, (), 1, 1, 1, 1, None, name=name)
    info = replace(learned(info, parts, facts), warnings=said)
    if facts.torn is not None and not isinstance(facts.torn, PlaneNotStoredError):
        torn = about_file(f"{facts.torn}. {_MAY_BE_MISSING}", path)
        info = replace(info, warnings=(*info.warnings, torn))
    parameters = ParametersBeside(experiment, links)
    info = parameters.added_to(info, parameters.read(), facts)
    return form, Known(parts, info, parameters)


def _form_of_file(path: str, places: FileLocations, pool: TiffPool) -> Form:
    if path.lower().endswith(TIFF_ENDS):
        if stack_name(os.path.basename(path)):
            return StackPerPosition(places, pool)
        with pool.opened(path) as tiff:
            if _has_ome_xml(tiff) or ome_name(os.path.basename(path)):
                return OmeFiles(places, pool)
    return SingleFile(places, path)


def _has_ome_xml(tiff: OpenTiff) -> bool:
    return tiff.page(0).description[-10:].strip().endswith("OME>")


def _coordinates(kind: FolderKind, links: LinkGuard) -> Coordinates:
    """The coordinates of the experiment, else of the first time point."""
    planned = coordinates(kind.experiment, links)
    if planned.by_fov:
        return planned
    folders = [os.path.dirname(folder) if kind.inside else folder for _, folder in folders_of(kind)[:1]]
    reached = coordinates(folders[0], links) if folders else planned
    return reached._replace(warning=planned.warning or reached.warning)


def _z_numbers(found: Sequence[int]) -> tuple[int, ...]:
    """The z numbers by index; () if they equal the index, counting from 0 with few gaps."""
    if not found or (min(found) == 0 and max(found) < 2 * len(found) + _SPARSE):
        return ()
    return tuple(found)


def shown(
    parts: Sequence[ChannelPart],
    dtype: np.dtype | None,
    described: Sequence[Channel] = (),
    inverted: Collection[int] = (),
) -> tuple[Channel, ...]:
    """The displayed channels; those of colour images with their full range as window.

    Of those acquired, `inverted` are bright where their values are low; a lookup table says it by itself.
    """
    found = channels_shown(parts, (0.0, 255.0) if dtype == np.uint8 else None, described)
    return tuple(
        replace(channel, inverted=True)
        if part.of in inverted and part.sample is None and not channel.lut
        else channel
        for part, channel in zip(parts, found, strict=True)
    )


def _inverted(parts: Sequence[ChannelPart], facts: FileFacts) -> frozenset[int]:
    """The acquired channels that are bright where their values are low: all that are in the file, or none."""
    return frozenset(part.of for part in parts) if facts.is_inverted else frozenset()


def learned(info: DatasetInfo, parts: Sequence[ChannelPart], facts: FileFacts) -> DatasetInfo:
    """Add facts from a file, other than lengths; sizes only grow."""
    picture = facts.picture
    return replace(
        info,
        channels=shown(parts, picture.dtype, facts.described, _inverted(parts, facts)),
        n_t=max(info.n_t, facts.n_t),
        n_z=max(info.n_z, facts.n_z),
        height=picture.height,
        width=picture.width,
        dtype=picture.dtype,
        complete=facts.complete,
        n_levels=facts.n_levels,
    )
