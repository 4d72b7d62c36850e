"""Channels: how each is displayed, and which of several images are the same."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

from ..colours import channel_colors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


@dataclass(frozen=True, repr=False)
class Channel:
    """One channel: its name, wavelengths (nm), exposure (ms), and how the dataset wants it displayed.

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
    exposure_ms: float | None = None

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


def in_known_colours(channels: Iterable[Channel], known: Sequence[Channel]) -> tuple[Channel, ...]:
    """The channels of an image, where a name has the same colour as among those `known` of its dataset."""
    of_name = {channel.name: channel.color for channel in reversed(known)}
    return tuple(replace(channel, color=of_name.get(channel.name, channel.color)) for channel in channels)


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


class ChannelPart(NamedTuple):
    """One displayed channel: its name, and the channel of the acquisition it is or belongs to.

    `sample` is 0, 1 or 2 for the red, green or blue of a channel with colour images.
    """

    name: str
    of: int
    sample: int | None = None


RGB_COLORS = ("#FF0000", "#00FF00", "#0000FF")
RGB_NAMES = ("red", "green", "blue")
_SAMPLE_NAME = re.compile(r"(?P<of>.*) \((?P<letter>[RGB])\)", re.DOTALL)


def colours_together(channels: Sequence[Channel]) -> dict[int, tuple[int, ...]]:
    """Which channels are the red, green and blue of one colour picture: for each of these, all three."""
    found: dict[int, tuple[int, ...]] = {}
    for c in range(len(channels) - 2):
        three = channels[c : c + 3]
        if tuple(channel.color.upper() for channel in three) == RGB_COLORS and _are_samples(three):
            found.update(dict.fromkeys(range(c, c + 3), (c, c + 1, c + 2)))
    return found


def _are_samples(three: Sequence[Channel]) -> bool:
    if tuple(channel.name for channel in three) == RGB_NAMES:
        return True
    names = [_SAMPLE_NAME.fullmatch(channel.name) for channel in three]
    named = [(name["of"], name["letter"]) for name in names if name is not None]
    return named == [(named[0][0], letter) for letter in "RGB"] if named else False


def channel_parts(
    names: Sequence[str], in_color: Collection[int] = (), *, by_name: bool = True
) -> tuple[ChannelPart, ...]:
    """Split channels of colour images into red, green and blue, which add up to the picture.

    These are those with the indices `in_color`, and `by_name` those that Squid takes to be in colour: "RGB"
    in the name.
    """
    parts: list[ChannelPart] = []
    for i, name in enumerate(names):
        if i in in_color or (by_name and "RGB" in name):
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
