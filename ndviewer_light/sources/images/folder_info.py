"""What is known of a folder of images: by its names and first files, and as it grows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ...model import DatasetInfo, PlaneKey
from ...storage.about_files import about_file
from ...storage.presentable import presentable
from .first_files import warnings_of
from .pixel_kinds import channels_of, common_dtype

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np

    from ...model import Channel, ChannelPart, ImageInfo
    from .catalogue import FileCatalogue
    from .file_reader import Sample
    from .found_images import FoundImages
    from .listing import Listing
    from .page_axes import PageAxes
    from .pixel_kinds import PixelKind


def opened_info(
    images: FoundImages,
    listing: Listing,
    found: FileCatalogue,
    sample: Sample,
    inner: PageAxes,
    parts: Sequence[ChannelPart],
    kinds: Sequence[PixelKind],
) -> DatasetInfo:
    """What is known once the first files are opened: `sample` is the very first, `inner` are its pages."""
    path = images.path
    named = (key.p for key, name in found.files.items() if name == images.first) if images.first else ()
    # an index may plan others before those that are there
    first = 0 if PlaneKey() in found.files else min((key.p for key in found.files), default=0)
    said = sample.described if "c" in inner.roles else _beside(sample, parts, found)
    return DatasetInfo(
        format="images",
        positions=found.positions,
        channels=channels_of(parts, kinds, said, is_inverted=sample.is_inverted),
        n_t=max(len(found.times), inner.size("t")),
        n_z=max(len(found.z), inner.size("z")),
        height=sample.picture.height,
        width=sample.picture.width,
        dtype=common_dtype(kinds),
        pixel_size_y_um=sample.steps.get("y"),
        pixel_size_x_um=sample.steps.get("x"),
        z_step_um=sample.steps.get("z"),
        time_step_s=found.time_step_s or sample.steps.get("t"),
        n_levels=sample.n_levels,
        name=listing.title or os.path.basename(presentable(path).rstrip("/" + os.sep)) or presentable(path),
        warnings=warnings_of(listing, found, sample),
        times=found.numbers,
        interpretations=listing.others,
        first_position=next(iter(named), first),
        objective=images.files.beside.objective,
    )


def _beside(sample: Sample, parts: Sequence[ChannelPart], found: FileCatalogue) -> tuple[Channel, ...]:
    """The channels that a file beside the images describes, if they are those of the names."""
    numbered = tuple(channel for number in found.channels if (channel := sample.numbered.get(number)))
    said = sample.beside or numbered
    return said if [part.name for part in parts] == [channel.name for channel in said] else ()


def image_info(
    common: ImageInfo,
    sample: Sample,
    inner: PageAxes,
    roles: Collection[str],
    channels: tuple[Channel, ...],
    dtype: np.dtype,
) -> ImageInfo:
    """What a position contains whose first file is `sample`; the rest is as in `common`.

    `inner` are the pages of its files, `roles` what the pages of the dataset are along: of these, names
    tell nothing.
    """
    return replace(
        common,
        channels=channels,
        dtype=dtype,
        n_t=inner.size("t") if "t" in roles else common.n_t,
        n_z=inner.size("z") if "z" in roles else common.n_z,
        height=sample.picture.height,
        width=sample.picture.width,
        n_levels=sample.n_levels,
        pixel_size_y_um=sample.steps.get("y"),
        pixel_size_x_um=sample.steps.get("x"),
        z_step_um=sample.steps.get("z"),
    )


def grown_info(
    info: DatasetInfo, found: FileCatalogue, parts: Sequence[ChannelPart], kinds: Sequence[PixelKind]
) -> DatasetInfo:
    """`info` with the files that were added."""
    before = info.channels
    channels = before
    if len(parts) > len(before):
        channels = channels_of(parts, kinds, known=before)
    more = channels[len(before) :]
    info = replace(info, positions=found.positions, channels=channels, times=found.numbers)
    for group in info.groups:
        n_t, n_z = max(len(found.times), group.n_t), max(len(found.z), group.n_z)
        own = channels if group.channels in (before, channels) else (*group.channels, *more)
        info = info.with_group(group, replace(group, channels=own, n_t=n_t, n_z=n_z, times=found.numbers))
    return info


def understood_anew(info: DatasetInfo, known: Listing, listing: Listing) -> DatasetInfo:
    """`info` of files whose names mean something else than they did with `known`."""
    of_names = {*known.warnings, *known.doubts}
    kept = [warning for warning in info.warnings if warning not in of_names]
    said = [about_file(warning, listing.root) for warning in (*listing.warnings, *listing.doubts)]
    return replace(info, warnings=(*kept, *said), interpretations=listing.others)
