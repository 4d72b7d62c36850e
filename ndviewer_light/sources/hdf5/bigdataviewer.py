"""BigDataViewer's HDF5 files: each view setup is a channel at a position, with levels and time points.

Source: the supplement of Pietzsch et al. 2015 ("BigDataViewer HDF5 file format"). ``/t00000/s00/0/cells`` is
(z, y, x) of a time point, setup and level, and ``/s00/resolutions`` has the factors (x, y, z) of the levels,
by which they are ordered: nothing but custom says that level 0 is the finest.
Values are unsigned although stored as int16, since Java has no unsigned type. What the setups are is said by
an XML file beside it by the same name, which names this one.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import DatasetError, LimitExceededError, MetadataError
from ...metadata.bdv_views import CHANNEL, positions_of, views_of
from ...metadata.bdv_xml import BigDataViewerXml, Setup, parse_bdv_xml
from ...model import Channel, DatasetInfo, ImageInfo, Level, PlaneKey, Scale, Sizes, colored
from ...storage.bytes import is_url, name_of
from ...storage.limits import MAX_CHANNELS, MAX_METADATA_BYTES, MOST_LEVELS
from ...storage.local_files import ALLOW_OUTSIDE, allows_outside
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from .array import facts
from .bdv_layout import SETUP, TIME_GROUP, meant_dtype
from .composite import STACK_ROLES, Composite, PlaneAddress
from .file import Elsewhere
from .images import sane_steps, unit_factor
from .other_files import OtherFiles
from .parts import PartAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py

    from ..source import StorageOptions
    from .file import HDF5File


def read_xml(path: str, options: StorageOptions) -> BigDataViewerXml:
    """The XML file at a path or URL; blocks on disk or network."""
    source = open_bytes(path, access_options(options))
    try:
        if source.size > MAX_METADATA_BYTES:
            raise LimitExceededError(f"{source.name} has {source.size} bytes: too many for an XML file")
        return parse_bdv_xml(source.read(0, source.size), source.name)
    finally:
        source.close()


def file_of(xml: BigDataViewerXml, path: str, options: StorageOptions) -> str:
    """The path or URL of the HDF5 file that the XML file at `path` names.

    Raises `UntrustedReferenceError` if it is not in the folder of the XML file, and that is not allowed.
    """
    written = xml.file if xml.base in ("", ".") else f"{xml.base}/{xml.file}"
    found = OtherFiles(path, {**(options or {}), ALLOW_OUTSIDE: "yes"}).place(written, path)
    if not is_url(path) and not allows_outside(options):
        folder = os.path.realpath(os.path.dirname(path))
        if os.path.commonpath((os.path.realpath(found), folder)) != folder:
            raise OtherFiles(path, options).refusal(path, written)
    return found


def xml_of(path: str, options: StorageOptions, opened: str) -> BigDataViewerXml | None:
    """What the XML file says that was `opened`, or else that of the same name beside an HDF5 file.

    None if there is none, or if it names another file.
    """
    if opened:
        return read_xml(opened, options)
    stem, dot, _ = path.partition("?")[0].rpartition(".")
    if not dot:
        return None
    try:
        found = read_xml(f"{stem}.xml", options)
    except DatasetError:  # the file can be shown without
        return None
    return found if re.split(r"[\\/]", found.file)[-1] == name_of(path) else None


class _StoredLevel(NamedTuple):
    number: int
    """Its name in the file."""
    level: Level


class _SetupStack(NamedTuple):
    """A setup: which channel of which position it is, and its levels, finest first."""

    setup: Setup
    levels: tuple[_StoredLevel, ...]


class BigDataViewerImage(Composite):
    """The images of a BigDataViewer file."""

    evidence = "groups of a BigDataViewer file, and its XML file if there is one"

    def __init__(self, file: HDF5File, xml: BigDataViewerXml | None) -> None:
        """Read what the file says of it, with the XML file if there is one; within `HDF5File.reading`."""
        setups = xml.setups if xml is not None else _setups(file)
        self._times = xml.times if xml is not None else _times(file)
        if not setups or not self._times:
            raise MetadataError(f"{file.name} is a BigDataViewer file without a setup or time point")
        self._channels = sorted({each.attributes.get(CHANNEL, 0) for each in setups})
        if len(self._channels) > MAX_CHANNELS:
            raise LimitExceededError(f"{file.name} has {len(self._channels)} channels: too many")
        known: dict[object, tuple[_StoredLevel, ...]] = {}
        self._stacks: list[dict[int, _SetupStack]] = []
        self._views = views_of(setups)
        for view in self._views:
            stacks = {}
            for setup in view:
                stacks[setup.attributes.get(CHANNEL, 0)] = _SetupStack(
                    setup, self._levels_of(file, setup, known)
                )
            self._stacks.append(stacks)
        self.info = self._described(file, xml)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Composite.levels`: those of its first channel."""
        return tuple(each.level for each in next(iter(self._stacks[p].values())).levels)

    def address(self, key: PlaneKey, level: int) -> PlaneAddress | None:
        """See `Composite.address`."""
        stack = self._stacks[key.p].get(self._channels[key.c])
        if stack is None or level >= len(stack.levels):
            return None
        number = stack.levels[level].number
        path = f"/t{self._times[key.t]:05}/s{stack.setup.number:02}/{number}/cells"
        return PlaneAddress(PartAddress(path, STACK_ROLES), {"z": key.z})

    def _levels_of(
        self, file: HDF5File, setup: Setup, known: dict[object, tuple[_StoredLevel, ...]]
    ) -> tuple[_StoredLevel, ...]:
        """The levels of a setup; those of another are alike if the XML file says the same of their sizes."""
        factors = _resolutions(file, setup.number)
        alike = (setup.sizes, factors)
        if len(setup.sizes) == 3 and alike in known:
            return known[alike]
        levels = []
        for i, (x, y, z) in enumerate(factors):
            data = self._first(file, setup.number, i)
            if data is None:
                break
            levels.append(_StoredLevel(i, Level(Sizes(*data.shape), Scale(z, y, x))))
        if not levels:
            raise MetadataError(f"{file.name} has no data of setup {setup.number} ({setup.name!a})")
        known[alike] = tuple(sorted(levels, key=lambda each: math.prod(each.level.scale)))
        return known[alike]

    def _first(self, file: HDF5File, setup: int, level: int) -> h5py.Dataset | None:
        """The dataset of the first time point of which there is one."""
        for time in self._times[:3]:
            data = _dataset(file, f"/t{time:05}/s{setup:02}/{level}/cells")
            if data is not None and data.ndim == len(STACK_ROLES) and data.size:
                return data
        return None

    # ---- its description -------------------------------------------------------------------

    def _described(self, file: HDF5File, xml: BigDataViewerXml | None) -> DatasetInfo:
        names = xml.names if xml is not None else {}
        channels = colored(
            Channel(names.get((CHANNEL, number)) or f"Ch{i}", "") for i, number in enumerate(self._channels)
        )
        first = self._first(file, self._views[0][0].number, 0)
        assert first is not None, "its levels were found"
        dtype = meant_dtype(facts(file, first.name or "", first).dtype)
        images = [self._image(p, channels, dtype) for p in range(len(self._views))]
        common = images[0]
        info = DatasetInfo(
            format="hdf5",
            positions=positions_of(self._views, xml, lambda unit: unit_factor(unit, "x")),
            channels=channels,
            n_t=common.n_t,
            n_z=common.n_z,
            height=common.height,
            width=common.width,
            dtype=dtype,
            pixel_size_y_um=common.pixel_size_y_um,
            pixel_size_x_um=common.pixel_size_x_um,
            z_step_um=common.z_step_um,
            n_levels=common.n_levels,
            times=common.times,
            warnings=() if xml is not None else (_without_xml(file),),
        )
        return info.with_images(dict(enumerate(images)))

    def _image(self, p: int, channels: Sequence[Channel], dtype: np.dtype) -> ImageInfo:
        stacks = self._stacks[p]
        levels, setup = self.levels(p), self._views[p][0]
        factor = unit_factor(setup.unit, "x")
        steps = zip("xyz", setup.voxel, strict=False)
        um = sane_steps({axis: step * factor for axis, step in steps} if factor is not None else {})
        return ImageInfo(
            channels=tuple(
                channel for channel, number in zip(channels, self._channels, strict=True) if number in stacks
            ),
            n_t=len(self._times),
            n_z=levels[0].sizes.z,
            height=levels[0].sizes.y,
            width=levels[0].sizes.x,
            dtype=dtype,
            pixel_size_y_um=um.get("y"),
            pixel_size_x_um=um.get("x"),
            z_step_um=um.get("z"),
            n_levels=len(levels),
            times=self._times if self._times != tuple(range(len(self._times))) else (),
        )


def _without_xml(file: HDF5File) -> str:
    return (
        f"{file.name}: there is no XML file of the same name beside it, which says what its setups are and "
        "how large their voxels: each is shown as a position"
    )


def _setups(file: HDF5File) -> tuple[Setup, ...]:
    numbers = sorted(int(match[1]) for raw in file.root.id if (match := SETUP.fullmatch(raw)))
    return tuple(Setup(number, f"setup {number}", (), (), "", {}) for number in numbers)


def _times(file: HDF5File) -> tuple[int, ...]:
    return tuple(sorted(int(match[1]) for raw in file.root.id if (match := TIME_GROUP.fullmatch(raw))))


def _resolutions(file: HDF5File, setup: int) -> tuple[tuple[float, ...], ...]:
    """The factors (x, y, z) of each level."""
    data = _dataset(file, f"/s{setup:02}/resolutions")
    is_table = data is not None and data.dtype.kind in "iuf" and data.ndim == 2 and data.shape[1] == 3
    if data is None or not is_table or not 0 < data.shape[0] <= MOST_LEVELS:
        raise MetadataError(f"{file.name} does not say which resolutions setup {setup} has")
    factors = np.asarray(data[()], float)
    if not np.isfinite(factors).all() or (factors < 1).any():
        raise MetadataError(f"{file.name}: the resolutions of setup {setup} are invalid")
    return tuple(tuple(row) for row in factors.tolist())


def _dataset(file: HDF5File, path: str) -> h5py.Dataset | None:
    """The dataset at a path, in this file or in a partition of it that may be read."""
    import h5py

    found = file.follow(path)
    if isinstance(found, Elsewhere):
        found = file.other(found.file, f"{file.name}: {path!a}").follow(found.path)
    return found if isinstance(found, h5py.Dataset) else None
