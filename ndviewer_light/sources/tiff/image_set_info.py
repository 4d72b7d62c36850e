"""What is known of the positions of a TIFF set: pure functions from layouts and facts to `DatasetInfo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...metadata.unnamed_pages import other_page_axes
from ...model import (
    ChannelPart,
    DatasetInfo,
    ImageInfo,
    Position,
    channel_parts,
    channels_shown,
)
from ..tiff_planes import named_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...metadata.tiff_layout import TiffImage
    from ...model import Channel
    from ..tiff_planes import ImageFacts
    from .sets import TiffSet

_DTYPES: dict[str, np.dtype[Any]] = {
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
    **{"float": np.dtype("float32"), "double": np.dtype("float64"), "bit": np.dtype(bool)},
}
"""The pixel types of OME-XML that TIFFs are read in."""


@dataclass(frozen=True)
class SetPosition:
    """One position: the number of its image in the set, and of the position inside that image."""

    image: int
    inner: int


def positions_of(images: Sequence[TiffImage]) -> tuple[list[SetPosition], tuple[Position, ...]]:
    """All positions of a set, in order: fields of wells by well, others by number."""
    places: list[SetPosition] = []
    positions: list[Position] = []
    for i, image in enumerate(images):
        n = image.size("p")
        for inner in range(n):
            fov = image.field_of_view if image.well else len(places)
            name = image.name if n == 1 or not image.name else f"{image.name} {inner}"
            positions.append(Position(image.well or "default", fov, *image.position_um, name))
            places.append(SetPosition(i, inner))
    return places, positions_made_unique(positions)


def positions_made_unique(positions: list[Position]) -> tuple[Position, ...]:
    """The positions; if labels occur twice, numbered instead."""
    if len({position.label for position in positions}) == len(positions):
        return tuple(positions)
    return tuple(position._replace(region="default", fov=i) for i, position in enumerate(positions))


def parts_of(image: TiffImage, channels: Sequence[Channel]) -> tuple[ChannelPart, ...]:
    """The channels of an image as displayed: those in colour as three."""
    names = [channel.name for channel in channels]
    return channel_parts(names, range(len(names)) if image.is_colour else (), by_name=False)


def image_info(image: TiffImage, facts: ImageFacts) -> ImageInfo:
    """What one image contains."""
    picture = facts.picture
    window = (0.0, 255.0) if picture.dtype == np.uint8 else None
    channels = channels_shown(parts_of(image, facts.channels), window, facts.channels)
    sizes = image.sizes
    return ImageInfo(
        channels,
        sizes["t"],
        sizes["z"],
        picture.height,
        picture.width,
        picture.dtype,
        facts.steps.get("y"),
        facts.steps.get("x"),
        facts.steps.get("z") if sizes["z"] > 1 else None,
        facts.steps.get("t"),
        facts.n_levels,
    )


def assumed_facts(image: TiffImage, known: ImageFacts) -> ImageFacts:
    """Facts of an image whose file nobody has opened, from its metadata and an image of the same set."""
    dtype = _DTYPES.get(image.pixel_type) or known.picture.dtype
    picture = known.picture._replace(height=image.size("y"), width=image.size("x"), dtype=dtype)
    channels = named_channels(image.channels or known.channels, image)
    return known._replace(picture=picture, channels=channels, steps=image.steps or known.steps)


def dataset_info(
    found: TiffSet, positions: tuple[Position, ...], first: ImageInfo, name: str, first_position: int
) -> DatasetInfo:
    """The description of a set of which only `first` is known; see `DatasetInfo.with_images`."""
    warnings = list(found.warnings)
    return DatasetInfo(
        found.kind,
        positions,
        first.channels,
        first.n_t,
        first.n_z,
        first.height,
        first.width,
        first.dtype,
        first.pixel_size_y_um,
        first.pixel_size_x_um,
        first.z_step_um,
        first.time_step_s,
        first.n_levels,
        name=name,
        warnings=tuple(warnings),
        interpretations=other_page_axes(found.images),
        first_position=first_position,
    )
