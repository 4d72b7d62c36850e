"""What one image of a store contains: metadata → `ImageInfo` and `Level`. Pure functions, no I/O.

A dataset is described by its first image; others are added where they differ (see `with_contents`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ...metadata import ngff
from ...metadata.ngff_levels import ngff_level
from ...model import ImageInfo, Sizes, channel_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...metadata.ome_xml import OmeSeries
    from ...model import Channel, DatasetInfo, Level
    from .image_locations import ImageLocation
    from .nodes import ZarrImage


def learned_info(info: DatasetInfo, image: ZarrImage, contents: ImageInfo) -> DatasetInfo:
    """The info from the first store read, and the contents of its image."""
    names = (field.name for field in dataclasses.fields(ImageInfo))
    first = dataclasses.replace(
        info,
        **{name: getattr(contents, name) for name in names},
        complete=image.meta.complete,
        warnings=image.warnings,
        common=None,
        images={},
    )
    return first.with_images(info.images)


def image_info(
    image: ZarrImage,
    names: Sequence[ngff.NamedChannel] = (),
    known: Sequence[Channel] = (),
) -> ImageInfo:
    """What an image contains, by its own metadata; `names` are those of its channels if it has none.

    `known` are the channels of the dataset's other images: a name has one colour in all of them.
    """
    y, x, z, t = ngff.calibration(image.meta)
    height, width = image.plane_shape
    return ImageInfo(
        channels=ngff.channels(image.meta.channels or names, image.size("c"), image.facts.dtype, known),
        n_t=image.size("t"),
        n_z=image.size("z"),
        height=height,
        width=width,
        dtype=image.facts.dtype,
        pixel_size_y_um=y,
        pixel_size_x_um=x,
        z_step_um=z,
        time_step_s=t,
        n_levels=image.n_levels,
    )


def default_names(
    image: ZarrImage, announced: DatasetInfo | None, known: DatasetInfo, place: ImageLocation | None
) -> tuple[ngff.NamedChannel, ...]:
    """Names for the channels of an image that has none: of an announced run, of the OME-XML, or none.

    An array whose metadata may still be written has the same channels as the others until then.
    """
    if announced is not None:
        return _named(announced.channels, in_color=False)
    if place is not None and place.said is not None:
        return names_said(place.said)
    return _named(known.channels, in_color=True) if image.provisional else ()


def names_said(said: OmeSeries | None) -> tuple[ngff.NamedChannel, ...]:
    """The channels that OME-XML names."""
    return tuple(
        ngff.NamedChannel(
            each.name, each.color, excitation_nm=each.excitation_nm, emission_nm=each.emission_nm
        )
        for each in (said.channels if said is not None else ())
    )


def _named(channels: Sequence[Channel], *, in_color: bool) -> tuple[ngff.NamedChannel, ...]:
    return tuple(ngff.NamedChannel(channel.name, channel.color if in_color else "") for channel in channels)


def with_contents(info: DatasetInfo, images: Mapping[int, ImageInfo], *, grows: bool) -> DatasetInfo:
    """The info with what positions contain, the same object if nothing is new.

    The display windows that writers choose for each image do not make it another one: a channel has the
    window of the first image that names it. While a dataset `grows`, neither do the numbers of time points
    and z: some stores are behind others, and the number is that of the one furthest ahead.
    """
    same: dict[ImageInfo, ImageInfo] = {}
    new = {}
    for p, image in images.items():
        if image not in same:
            known = _with_known_windows(image, info.channels)
            if grows:
                info, known = _caught_up(info, known)
            same[image] = known
        new[p] = same[image]
    return info.with_images(new)


def without_lag(info: DatasetInfo) -> DatasetInfo:
    """The info of a dataset that turns out to grow: see `with_contents`."""
    for group in info.groups:
        info, image = _caught_up(info, group)
        if image is not group and any(each is group for each in info.images.values()):
            info = info.with_group(group, image)
    return info


def shortened(info: DatasetInfo, n_t: int, n_z: int) -> DatasetInfo:
    """The info of a dataset whose longest store has so many time points and planes along z now."""
    for group in info.groups:
        image = dataclasses.replace(group, n_t=min(group.n_t, n_t), n_z=min(group.n_z, n_z))
        if image != group:
            info = info.with_group(group, image)
    return info


def _caught_up(info: DatasetInfo, image: ImageInfo) -> tuple[DatasetInfo, ImageInfo]:
    """The info, and the image, with the sizes of whichever of the same kind is furthest ahead."""
    kind = _apart_from_growth(image)
    for group in info.groups:
        if group is not image and _apart_from_growth(group) == kind:
            ahead = dataclasses.replace(group, n_t=max(group.n_t, image.n_t), n_z=max(group.n_z, image.n_z))
            return (info, group) if ahead == group else (info.with_group(group, ahead), ahead)
    return info, image


def _apart_from_growth(image: ImageInfo) -> ImageInfo:
    return dataclasses.replace(image, n_t=0, n_z=0, times=())


def _with_known_windows(image: ImageInfo, known: Sequence[Channel]) -> ImageInfo:
    own = list(image.channels)
    for c, channel in enumerate(known):
        i = channel_in(image.channels, known, c)
        if i is not None and dataclasses.replace(own[i], window=channel.window) == channel:
            own[i] = channel
    return image if own == list(image.channels) else dataclasses.replace(image, channels=tuple(own))


def grown_info(info: DatasetInfo, image: ZarrImage) -> DatasetInfo:
    """The info after the metadata of a store was read (again): whether the run is complete."""
    if image.meta.complete is None or image.meta.complete == info.complete:
        return info
    return dataclasses.replace(info, complete=image.meta.complete)


# ---- levels --------------------------------------------------------------------------------


def level_of(image: ZarrImage, largest: ZarrImage) -> Level:
    """One level of an image, given its metadata and that of the largest level."""
    sizes, of = (Sizes(each.size("z"), *each.plane_shape) for each in (image, largest))
    level = ngff_level(image.meta, image.level, sizes, of, largest.level)
    dtype = image.facts.dtype
    return level if dtype == largest.facts.dtype else dataclasses.replace(level, dtype=dtype)


def with_warnings(info: DatasetInfo, warnings: tuple[str, ...]) -> DatasetInfo:
    """The info with the warnings that it has not got; the same object if there are none."""
    new = tuple(warning for warning in warnings if warning not in info.warnings)
    return dataclasses.replace(info, warnings=(*info.warnings, *new)) if new else info
