"""What the pixels of files are, channel by channel: their type, and whether they are in colour."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...model import Channel, ChannelPart, channel_parts, channels_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.decoding.pictures import Picture
    from .catalogue import FileCatalogue
    from .file_reader import Sample
    from .page_axes import PageAxes


class PixelKind(NamedTuple):
    """What the pixels of one file are."""

    dtype: np.dtype
    in_colour: bool

    @classmethod
    def of_picture(cls, picture: Picture) -> PixelKind:
        """By the header of a file."""
        return cls(picture.dtype, picture.samples >= 3)

    @classmethod
    def of_pixels(cls, pixels: np.ndarray) -> PixelKind:
        """By its pixels (Y, X) or (Y, X, S)."""
        return cls(pixels.dtype, pixels.ndim == 3 and pixels.shape[-1] >= 3)


def common_dtype(kinds: Sequence[PixelKind]) -> np.dtype:
    """A dtype that holds the pixels of all channels."""
    return np.result_type(*(kind.dtype for kind in kinds))


def parts_shown(
    catalogue: FileCatalogue, sample: Sample, axes: PageAxes, kinds: Sequence[PixelKind]
) -> tuple[ChannelPart, ...]:
    """The channels as displayed: those in colour as three. `kinds` is one of each channel of the names."""
    names = catalogue.channel_names()
    said = [channel.name for channel in sample.beside]
    if all(said) and len(said) == len(names) > 1 and names == [f"Ch{c}" for c in range(len(names))]:
        names = said  # files have the numbers of channels
    if catalogue.channels and all(number in sample.numbered for number in catalogue.channels):
        names = [sample.numbered[number].name for number in catalogue.channels]
    in_colour = [c for c, kind in enumerate(kinds) if kind.in_colour]
    if "c" in axes.roles:
        n = axes.size("c")
        names = list(sample.channels) if len(sample.channels) == n else [f"Ch{i}" for i in range(n)]
        in_colour = list(range(n)) if in_colour else []
    if names == [""] and in_colour:
        return tuple(ChannelPart(name, 0, i) for i, name in enumerate(("red", "green", "blue")))
    return channel_parts([name or "Ch0" for name in names], in_colour, by_name=False)


def channels_of(
    parts: Sequence[ChannelPart],
    kinds: Sequence[PixelKind],
    described: Sequence[Channel] = (),
    known: Sequence[Channel] = (),
    *,
    is_inverted: bool = False,
) -> tuple[Channel, ...]:
    """The channels for `parts`; those of the same name in `known` look as they do there.

    One that was the only one was white for that alone, and gets a colour with the next.
    `is_inverted`: those in grey are bright where the values are low.
    """
    shown = channels_shown(parts, None, described)
    of_name = {channel.name: channel for channel in known}
    if len(known) == 1 < len(shown):
        of_name = {each.name: replace(known[0], color=each.color) for each in shown if each.name in of_name}
    return tuple(
        of_name.get(channel.name)
        or replace(
            channel,
            window=_window(part, kinds) or channel.window,
            inverted=channel.inverted or (is_inverted and part.sample is None),
        )
        for part, channel in zip(parts, shown, strict=True)
    )


def _window(part: ChannelPart, kinds: Sequence[PixelKind]) -> tuple[float, float] | None:
    """Colours of 8 bits are shown as they are."""
    is_bytes = kinds[part.of if part.of < len(kinds) else 0].dtype == np.uint8
    return (0.0, 255.0) if part.sample is not None and is_bytes else None
