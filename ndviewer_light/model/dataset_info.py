"""What is known about a dataset, and of each of its positions, before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .channel import all_channels, channel_in
from .level import Level, Sizes
from .names import index_of, some_names
from .plane import AXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from .channel import Channel
    from .interpretation import Interpretation
    from .plane import PlaneKey
    from .position import Position


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
    facts of `common`. `PlaneKey.c` counts the channels of its position, as `image` has them.

    `n_t` and `n_z` may grow. Lengths in µm, times in s,
    None if unknown. `complete` is the writer's own claim about its run
    (None: no claim); a hint, not a promise. `times` are the numbers the acquisition gave its
    time points, one per index, if they are not 0…n_t-1 (a run may skip some); else empty. `choices` are
    the paths of all datasets in the same file, the one shown first; empty if it is the only one.
    `objective` is the objective in the words of its field: "20× / 0.8 NA", "" if unknown.
    `interpretations` are other ways to understand it, where what its metadata or names say is not certain.
    `labels` are the paths of the label images (masks) of the first image, as they are opened.
    `generation` counts how often another dataset has taken the place of the one that was opened.
    `is_completed`: the last of them is the same, with more in it, so that its axes or their order are others.
    `first_position` is where a view begins: that of the file that was opened, if it is one of a set, else
    the first that has images.
    `empty_wells` are those that a plate lists and in which no image was found, by their names.
    `assumed` are the positions in `images` that are as metadata says, which may err; looking may correct it.
    `warnings` are for users, in plain words; a `PlacedWarning` leads to what it is about.
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
    objective: str = ""
    warnings: tuple[str, ...] = field(default=())
    times: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    interpretations: tuple[Interpretation, ...] = ()
    labels: tuple[str, ...] = ()
    generation: int = 0
    is_completed: bool = False
    first_position: int = 0
    empty_wells: tuple[str, ...] = ()
    common: ImageInfo | None = None
    images: Mapping[int, ImageInfo] = field(default_factory=dict)
    assumed: frozenset[int] = frozenset()

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

    def n_times(self, image: ImageInfo) -> int:
        """How many time points positions with such an image should have, whose array may have fewer so far.

        Fields of one run, alike in channels, sizes and type, should have as many as the longest of them: they
        have not while they are written one after the other, or when the run was ended in between. Images that
        differ in more than that are not of one run.
        """
        return max(self._longest.get(_apart_from_time(image), 0), image.n_t)

    def n_planes(self, image: ImageInfo) -> int:
        """How many planes positions with such an image should have."""
        return self.n_times(image) * len(image.channels) * image.n_z

    @cached_property
    def _longest(self) -> dict[tuple[object, ...], int]:
        longest: dict[tuple[object, ...], int] = {}
        for image in self.groups:
            kind = _apart_from_time(image)
            longest[kind] = max(longest.get(kind, 0), image.n_t)
        if self.n_t > max(longest.values()):  # the dataset says so, of all
            return dict.fromkeys(longest, self.n_t)
        return longest

    @cached_property
    def groups(self) -> tuple[ImageInfo, ...]:
        """The different contents of positions: of those that are alike first, then as they became known."""
        return tuple({id(image): image for image in (self._alike, *self.images.values())}.values())

    def with_image(self, p: int, image: ImageInfo) -> DatasetInfo:
        """Add what position `p` contains; returns the same object if that was known already."""
        return self.with_images({p: image})

    def with_images(self, new: Mapping[int, ImageInfo], *, assumed: bool = False) -> DatasetInfo:
        """Add what several positions contain, like `with_image`; `assumed`: nobody has looked at them."""
        new = {p: image for p, image in new.items() if image != self.images.get(p, self._alike)}
        if not new:
            return self
        if assumed or self.assumed:
            changed = self.assumed | new.keys() if assumed else self.assumed - new.keys()
            return replace(self, assumed=changed)._with_new(new)
        return self._with_new(new)

    def _with_new(self, new: Mapping[int, ImageInfo]) -> DatasetInfo:
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
        own = {p: image for p, image in self.images.items() if p not in self.assumed or p not in images}
        images = {p: image for p, image in {**images, **own}.items() if image != self._alike}
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

    @property
    def usual_dtype(self) -> np.dtype | None:
        """The type of the pixels of those that are alike; None if it is not known."""
        return self._alike.dtype

    def other_dtype(self, image: ImageInfo) -> str:
        """The type of the pixels of an image, if it is not that of those that are alike; else "".

        Limits of contrast for pixels of one type say nothing of those of another.
        """
        usual = self.usual_dtype
        if image.dtype is None or usual is None:
            return ""
        kind = image.dtype.kind, image.dtype.itemsize
        return "" if kind == (usual.kind, usual.itemsize) else image.dtype.name

    @cached_property
    def other_dtypes(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(dict.fromkeys(other for each in self.groups if (other := self.other_dtype(each))))

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

    def is_lone(self, p: int) -> bool:
        """Whether position `p` is the only one and has no name: then nothing is to be said of it."""
        return len(self.positions) == 1 and self.positions[p].is_unnamed

    def channel_index(self, name: str) -> int:
        """The index of the channel of that name; raises `KeyError` unless there is exactly one."""
        return index_of(name, [channel.name for channel in self.channels], "channel")

    def position_index(self, label: str) -> int:
        """The index of the position "A1:0", or of the one with that title or name as written.

        Raises `KeyError` unless there is exactly one.
        """
        labels = [position.label for position in self.positions]
        titles = [position.title for position in self.positions]
        for names in (labels, titles, [position.name for position in self.positions]):
            if label and label in names:
                return index_of(label, names, "position")
        return index_of(label, titles, "position")

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

    def has_place_for(self, key: PlaneKey) -> bool:
        """Whether the position of a plane is known to have such a time point, channel and z."""
        if not self.contains(key):
            return False
        image = self.image(key.p)
        own = image.channels
        has_channel = own is self.channels or channel_in(own, self.channels, key.c) is not None
        return key.t < image.n_t and key.z < image.n_z and has_channel


def _apart_from_time(image: ImageInfo) -> tuple[object, ...]:
    """What fields of one run have in common, however many time points of each are written."""
    names = tuple(channel.name for channel in image.channels)
    return names, image.n_z, image.height, image.width, image.dtype
