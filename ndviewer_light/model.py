"""The nouns: frozen data shared by every part of the program; numpy only.

Axes are always ``t p c z y x`` (time, position, channel, z, row, column); an axis a dataset
does not have has size 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from .colours import channel_colors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy as np

MANY_PLANES = 2**31
"""More than any axis has."""

AXES = ("t", "p", "c", "z", "y", "x")


class PlaneKey(NamedTuple):
    """The address of one 2-D plane: indices into time, positions, channels and z."""

    t: int = 0
    p: int = 0
    c: int = 0
    z: int = 0


class Position(NamedTuple):
    """One field of view; a tuple, because a plate has ten thousand of them.

    `region` is a well ("A1") or a free name ("manual0"), `fov` the index within it; the stage
    coordinates are in µm, if known. `name` is what the dataset itself calls the field ("pos3",
    "001007"), "" if it gives no name. `acquisition` is the name of the plate's acquisition that it
    belongs to (else its id), "" if the plate has only one.
    """

    region: str
    fov: int
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    name: str = ""
    acquisition: str = ""

    @property
    def label(self) -> str:
        """``"A1:0"``: used by hosts to navigate."""
        return f"{self.region}:{self.fov}"

    @property
    def title(self) -> str:
        """What is shown to the user: the label, with the name as written where that says more.

        ``"A1:pos3"`` for the field "pos3" of a well; a region that is no more than a placeholder is left out.
        """
        name = self.name
        if name in ("", str(self.fov), f"fov_{self.fov}", self.region, self.label):
            return self.label
        if self.region not in _PLACEHOLDERS:
            return name if name.startswith(self.region) else f"{self.region}:{name}"
        return self.label if self.is_unnamed else name

    @property
    def is_unnamed(self) -> bool:
        """Whether neither region nor name is more than a number."""
        return self.region in _PLACEHOLDERS and (not self.name or self.name.isdecimal())

    def __repr__(self) -> str:
        where = (("x_um", self.x_um), ("y_um", self.y_um), ("z_um", self.z_um))
        known = "".join(f", {name}={value:g}" for name, value in where if value is not None)
        named = f", name={self.name!r}" if self.title != self.label else ""
        of = f", acquisition={self.acquisition!r}" if self.acquisition else ""
        return f"Position({self.label!r}{known}{named}{of})"


_PLACEHOLDERS = frozenset(("default", "series", "P"))
"""Regions that stand for "the dataset names none"."""


@dataclass(frozen=True, repr=False)
class Channel:
    """One channel: its name, wavelengths (nm), and how the dataset wants it displayed.

    `color` is ``"#RRGGBB"`` ("" only until `colored` has chosen one). `window` is (low, high) in pixel
    values; None if the dataset has no useful one. `visible` says whether it is on when the dataset is
    opened. `lut` is the name of a colour map, "" if none, which a display that knows it uses instead of
    the colour. `inverted` channels are brightest where the values are low.
    """

    name: str
    color: str = "#FFFFFF"
    excitation_nm: float | None = None
    emission_nm: float | None = None
    window: tuple[float, float] | None = None
    visible: bool = True
    lut: str = ""
    inverted: bool = False

    def __repr__(self) -> str:
        known = "".join(
            f", {each.name}={getattr(self, each.name)!r}"
            for each in fields(self)[2:]
            if getattr(self, each.name) != each.default
        )
        return f"Channel({self.name!r}, {self.color!r}{known})"


def colored(channels: Iterable[Channel], known: Iterable[Channel] = ()) -> tuple[Channel, ...]:
    """The channels of an image, with a colour for those whose `color` is "": see `channel_colors`.

    `known` are the channels of the dataset so far: a channel of the same name is shown in the same colour.
    """
    channels, seen, of_name = tuple(channels), Counter[str](), {}
    for channel in known:
        of_name[channel.name, seen[channel.name]] = channel.color
        seen[channel.name] += 1
    found = channel_colors(
        [channel.name for channel in channels],
        [channel.color for channel in channels],
        [(channel.excitation_nm, channel.emission_nm) for channel in channels],
        of_name,
    )
    return tuple(
        channel if channel.color == color else replace(channel, color=color)
        for channel, color in zip(channels, found, strict=True)
    )


class Sizes(NamedTuple):
    """The size of one pyramid level in its own voxels."""

    z: int
    y: int
    x: int


class Scale(NamedTuple):
    """How many voxels of level 0 one voxel of a level spans, per axis; not always a power of 2."""

    z: float = 1.0
    y: float = 1.0
    x: float = 1.0


_SAME_SCALE = Scale()


class Offset(NamedTuple):
    """How far the first voxel of a level is from that of level 0, in µm: part of a voxel for averages."""

    z: float = 0.0
    y: float = 0.0
    x: float = 0.0


_NO_OFFSET = Offset()


@dataclass(frozen=True)
class Level:
    """One resolution of one image. Time points and channels are those of level 0.

    `PlaneKey.z` at a level is an index into that level's own planes.
    """

    sizes: Sizes
    scale: Scale = _SAME_SCALE
    offset_um: Offset = _NO_OFFSET

    def z_at(self, z: int, of: Level | None = None) -> int:
        """The plane of this level that covers plane `z` of level `of` (None: of level 0)."""
        span = of.scale.z if of is not None else 1.0
        return min(max(math.floor((z + 0.5) * span / self.scale.z), 0), max(self.sizes.z - 1, 0))

    def covers(self, z: int) -> range:
        """The planes of level 0 that plane `z` of this level shows; the last stands for all that follow."""
        first = math.floor(z * self.scale.z)
        end = MANY_PLANES if z >= self.sizes.z - 1 else math.ceil((z + 1) * self.scale.z)
        return range(first, max(end, first + 1))


class Region(NamedTuple):
    """A rectangle of a plane, in pixels of its level."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (Y, X)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def within(self, height: int, width: int) -> bool:
        """Whether it lies in a plane of that size, and is not empty."""
        is_inside = self.top + self.height <= height and self.left + self.width <= width
        return is_inside and min(self.top, self.left) >= 0 and min(self.height, self.width) > 0


@dataclass(frozen=True, repr=False)
class ImageInfo:
    """What one position contains; equal ones are one object (see `DatasetInfo.with_image`).

    Lengths in µm, times in s, None if unknown. `times` as in `DatasetInfo`.
    """

    channels: tuple[Channel, ...]
    n_t: int
    n_z: int
    height: int
    width: int
    dtype: np.dtype | None
    pixel_size_y_um: float | None = None
    pixel_size_x_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    n_levels: int = 1
    times: tuple[int, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """``{"t": …, "c": …, "z": …, "y": …, "x": …}``, always in that order."""
        values = (self.n_t, len(self.channels), self.n_z, self.height, self.width)
        return dict(zip("tczyx", values, strict=True))

    @property
    def pixel_size_um(self) -> float | None:
        """µm per pixel along x (along y if only that is known)."""
        return self.pixel_size_x_um if self.pixel_size_x_um is not None else self.pixel_size_y_um

    @property
    def level(self) -> Level:
        """Level 0."""
        return Level(Sizes(self.n_z, self.height, self.width))

    def __repr__(self) -> str:
        n = self.sizes
        channels = ", ".join(some_names([channel.name for channel in self.channels]))
        return (
            f"<ImageInfo t {n['t']}, c {n['c']} ({channels}), z {n['z']}, {n['y']} × {n['x']} {self.dtype}>"
        )


@dataclass(frozen=True, repr=False)
class DatasetInfo:
    """What is known about a dataset before any pixel is read.

    Positions may differ: `image` is what one of them contains. `images` are those that are known to
    differ from `common`, by position; `common` is what the others contain, None if no image differs.
    The sizes and channels here are then the largest sizes and all channels, by name, and the rest are
    facts of `common`. `PlaneKey.c` counts these channels.

    `n_t` and `n_z` may grow. Lengths in µm, times in s,
    None if unknown. `complete` is the writer's own claim about its run
    (None: no claim); a hint, not a promise. `times` are the numbers the acquisition gave its
    time points, one per index, if they are not 0…n_t-1 (a run may skip some); else empty. `choices` are
    the paths of all datasets in the same file, the one shown first; empty if it is the only one.
    `generation` counts how often another dataset has taken the place of the one that was opened.
    """

    format: str
    positions: tuple[Position, ...]
    channels: tuple[Channel, ...]
    n_t: int
    n_z: int
    height: int
    width: int
    dtype: np.dtype | None
    pixel_size_y_um: float | None = None
    pixel_size_x_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    n_levels: int = 1
    complete: bool | None = None
    name: str = ""
    warnings: tuple[str, ...] = field(default=())
    times: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    generation: int = 0
    common: ImageInfo | None = None
    images: Mapping[int, ImageInfo] = field(default_factory=dict)

    @cached_property
    def _alike(self) -> ImageInfo:
        """What every position contains that is not in `images`."""
        if self.common is not None:
            return self.common
        return ImageInfo(**{each.name: getattr(self, each.name) for each in fields(ImageInfo)})

    def image(self, p: int) -> ImageInfo:
        """What position `p` contains, as far as is known; raises `IndexError` if there is none.

        A position that has not been looked at yet counts as like the others: see `Dataset.image`.
        """
        if not 0 <= p < len(self.positions):
            raise IndexError(f"no position {p}: the dataset has {len(self.positions)}")
        return self.images.get(p, self._alike)

    @property
    def groups(self) -> tuple[ImageInfo, ...]:
        """The different contents of positions: of those that are alike first, then as they became known."""
        return tuple({id(image): image for image in (self._alike, *self.images.values())}.values())

    def with_image(self, p: int, image: ImageInfo) -> DatasetInfo:
        """Add what position `p` contains; returns the same object if that was known already."""
        return self.with_images({p: image})

    def with_images(self, new: Mapping[int, ImageInfo]) -> DatasetInfo:
        """Add what several positions contain, like `with_image`."""
        new = {p: image for p, image in new.items() if image != self.images.get(p, self._alike)}
        if not new:
            return self
        images = {**self.images}
        known = {image: image for image in self.groups}
        for p, image in new.items():
            if image == self._alike:
                del images[p]
            else:
                images[p] = known.setdefault(image, image)
        return self._with_contents(self._alike, images)

    def with_group(self, group: ImageInfo, image: ImageInfo) -> DatasetInfo:
        """Replace one of `groups`: the positions that contained `group` contain `image`."""
        common = image if group is self._alike else self._alike
        images = {p: image if each is group else each for p, each in self.images.items()}
        known = {each: each for each in (common, *images.values())}
        images = {p: known[each] for p, each in images.items() if each != common}
        if self.common is None:  # all are alike still
            return replace(self, **{each.name: getattr(image, each.name) for each in fields(ImageInfo)})
        return self._with_contents(common, images)

    def with_known(self, earlier: DatasetInfo) -> DatasetInfo:
        """Add what an earlier description of the same dataset knew of positions; channels keep its order."""
        if earlier.common is None:
            return self
        images = {p: image for p, image in earlier.images.items() if p < len(self.positions)}
        images = {p: image for p, image in {**images, **self.images}.items() if image != self._alike}
        known = {image: image for image in images.values()}
        channels = all_channels(earlier.channels, self.channels)
        base = replace(self, channels=channels, images={}, common=self._alike)
        return base._with_contents(self._alike, {p: known[image] for p, image in images.items()})

    def _with_contents(self, common: ImageInfo, images: dict[int, ImageInfo]) -> DatasetInfo:
        every = {id(image): image for image in (common, *images.values())}.values()
        channels = self.channels
        for image in every:
            channels = all_channels(channels, image.channels)
        return replace(
            self,
            channels=channels,
            n_t=max(self.n_t, *(image.n_t for image in every)),
            n_z=max(self.n_z, *(image.n_z for image in every)),
            height=max(image.height for image in every),
            width=max(image.width for image in every),
            common=common,
            images=images,
        )

    def channels_of(self, image: ImageInfo) -> tuple[int, ...]:
        """The indices of the channels that an image has."""
        own = image.channels
        every = range(len(self.channels))
        if own is self.channels:
            return tuple(every)
        return tuple(c for c in every if channel_in(own, self.channels, c) is not None)

    @property
    def sizes(self) -> dict[str, int]:
        """``{"t": …, "p": …, "c": …, "z": …, "y": …, "x": …}``, always in that order."""
        values = (self.n_t, len(self.positions), len(self.channels), self.n_z, self.height, self.width)
        return dict(zip(AXES, values, strict=True))

    @property
    def pixel_size_um(self) -> float | None:
        """µm per pixel along x (along y if only that is known)."""
        return self.pixel_size_x_um if self.pixel_size_x_um is not None else self.pixel_size_y_um

    def channel_index(self, name: str) -> int:
        """The index of the channel of that name; raises `KeyError` unless there is exactly one."""
        return _index_of(name, [channel.name for channel in self.channels], "channel")

    def position_index(self, label: str) -> int:
        """The index of the position "A1:0", or of the one with that title or name as written.

        Raises `KeyError` unless there is exactly one.
        """
        labels = [position.label for position in self.positions]
        if label not in labels:
            for names in ([at.title for at in self.positions], [at.name for at in self.positions]):
                if label and label in names:
                    return _index_of(label, names, "position")
        return _index_of(label, labels, "position")

    def summary(self) -> str:
        """Format, sizes and names in one line, as ``repr`` shows them."""
        n = self.sizes
        channels = ", ".join(some_names([channel.name for channel in self.channels]))
        dtype = self.dtype if self.dtype is not None else "of unknown type"
        return (
            f"{self.format}: t {n['t']}, p {n['p']}, c {n['c']} ({channels}), z {n['z']}, "
            f"{n['y']} × {n['x']} {dtype}"
        )

    def __repr__(self) -> str:
        return f"<DatasetInfo {self.summary()}>"

    def contains(self, key: PlaneKey) -> bool:
        """Whether the four indices are within the currently known sizes."""
        return (
            0 <= key.t < self.n_t
            and 0 <= key.p < len(self.positions)
            and 0 <= key.c < len(self.channels)
            and 0 <= key.z < self.n_z
        )


def all_channels(known: Sequence[Channel], more: Sequence[Channel]) -> tuple[Channel, ...]:
    """The channels of two images: those of `known` keep their index, others follow in order.

    Channels are the same if their names are; the second of one name is the second of that name.
    """
    of_known = Counter(channel.name for channel in known)
    seen: Counter[str] = Counter()
    new = []
    for channel in more:
        seen[channel.name] += 1
        if seen[channel.name] > of_known[channel.name]:
            new.append(channel)
    return (*known, *new)


def channel_in(image: Sequence[Channel], channels: Sequence[Channel], c: int) -> int | None:
    """The index in `image` of channel `c` of `channels` (see `all_channels`); None if it is not there."""
    return find_channel(image, *channel_name(channels, c))


def channel_name(channels: Sequence[Channel], c: int) -> tuple[str, int]:
    """The name of channel `c`, and how many before it have the same."""
    name = channels[c].name
    return name, sum(channel.name == name for channel in channels[:c])


def find_channel(channels: Sequence[Channel], name: str, nth: int = 0) -> int | None:
    """The inverse of `channel_name`; None if there is no such channel."""
    same = [i for i, channel in enumerate(channels) if channel.name == name]
    return same[nth] if nth < len(same) else None


_NAMED = 8  # maximum number of names listed in a message


def some_names(names: Sequence[str]) -> list[str]:
    """The first names, quoted, and how many more there are, for a message."""
    shown = [repr(name) for name in names[:_NAMED]]
    return [*shown, f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else shown


def _index_of(name: str, names: Sequence[str], what: str) -> int:
    found = [i for i, each in enumerate(names) if each == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyError(f"{len(found)} {what}s are named {name!r}: use one of the indices {found}")
    raise KeyError(f"no {what} is named {name!r}; available: {', '.join(some_names(names))}")


class PlaneState(Enum):
    """What is known about one plane; of planes that were read, only PRESENT and FILLED have pixels.

    Of one that was not read (`Dataset.state`, `Dataset.report`), PRESENT means that something is stored,
    which may be damaged still, ABSENT that nothing is: where stores leave out planes of fill value nobody
    knows whether it is empty or was not acquired.
    """

    PENDING = "not written yet"
    LOADING = "being read"
    PRESENT = "present"
    FILLED = "nothing stored, so it is the fill value"
    ABSENT = "nothing stored"
    UNREADABLE = "could not be read"
    UNKNOWN = "stored or not: only reading tells"


class Plane(NamedTuple):
    """One plane as returned by `Dataset.planes`: its state, pixels (Y, X) if there are any.

    `reason` tells why it is not PRESENT.
    """

    state: PlaneState
    pixels: np.ndarray | None = None
    reason: str = ""


@dataclass(frozen=True)
class AnnouncedRun:
    """What a host announces about a run it is about to write; nothing of it need exist yet.

    One entry per position in `positions`, `paths` and `indices`: the OME-Zarr group (or array)
    the position will be written to, and its index along that store's position axis, or None
    if the store contains only one position. `paths` and `indices` are empty if the host names
    an image file per plane later instead. `channels` are the host's names; see `channel_parts`.
    """

    positions: tuple[Position, ...]
    paths: tuple[str, ...]
    indices: tuple[int | None, ...]
    channels: tuple[str, ...]
    n_z: int
    height: int
    width: int

    @property
    def names_files(self) -> bool:
        """Whether the host names an image file per plane instead of stores."""
        return not self.paths

    @property
    def parts(self) -> tuple[ChannelPart, ...]:
        """The channels as displayed: colour images count as three."""
        if self.names_files:
            return channel_parts(self.channels)
        return tuple(ChannelPart(name, i) for i, name in enumerate(self.channels))


class ChannelPart(NamedTuple):
    """One displayed channel: its name, and the channel of the acquisition it is or belongs to.

    `sample` is 0, 1 or 2 for the red, green or blue of a channel with colour images.
    """

    name: str
    of: int
    sample: int | None = None


RGB_COLORS = ("#FF0000", "#00FF00", "#0000FF")


def channel_parts(names: Sequence[str], in_color: Collection[int] = ()) -> tuple[ChannelPart, ...]:
    """Split channels of colour images into red, green and blue, which add up to the picture.

    These are those with the indices `in_color`, and those Squid treats as colour: "RGB" in the name.
    """
    parts: list[ChannelPart] = []
    for i, name in enumerate(names):
        if "RGB" in name or i in in_color:
            parts += [ChannelPart(f"{name} ({letter})", i, sample) for sample, letter in enumerate("RGB")]
        else:
            parts.append(ChannelPart(name, i))
    return tuple(parts)


def channels_shown(
    parts: Iterable[ChannelPart],
    window: tuple[float, float] | None = None,
    described: Sequence[Channel] = (),
) -> tuple[Channel, ...]:
    """The channels for `parts`; those of colour images are red, green and blue, with `window`.

    `described` is what the metadata says of the acquisition's channels, beyond their names.
    """
    unknown = Channel("", "")
    return colored(
        replace(described[part.of] if part.of < len(described) else unknown, name=part.name)
        if part.sample is None
        else Channel(part.name, RGB_COLORS[part.sample], window=window)
        for part in parts
    )


def announced_info(run: AnnouncedRun) -> DatasetInfo:
    """What is known of a run before any of it is written: as announced, colours by channel name."""
    return DatasetInfo(
        format="tiff" if run.names_files else "ome-zarr",
        positions=run.positions,
        channels=channels_shown(run.parts),
        n_t=1,
        n_z=run.n_z,
        height=run.height,
        width=run.width,
        dtype=None,
    )


_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for numbered names: 0, 1, 2, 10; A1, A2, A10; Z before AA.

    Runs of letters compare by length first when they stand alone before a number or the end
    (well rows: "Z" < "AA"), runs of digits by value.
    """
    parts = [part for part in _DIGITS.split(name) if part]
    is_well_row = (
        bool(parts) and parts[0].isascii() and parts[0].isalpha() and len(parts[0]) <= 2 and len(parts) <= 2
    )
    keys: list[tuple[int, int, str]] = []
    for part in parts:
        if part.isdecimal() and part.isascii():
            keys.append((0, int(part), part))
        else:
            keys.append((1, len(part) if is_well_row else 0, part))
    return tuple(keys)


def natural_sorted(names: Iterable[str]) -> list[str]:
    """`names` in natural order (see `natural_key`)."""
    return sorted(names, key=natural_key)
