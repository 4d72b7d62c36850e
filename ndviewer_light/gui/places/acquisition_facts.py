"""What the acquisition card says: the facts of a dataset as a microscopist reads them. Pure; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...model import how_many
from ...rendering.durations import duration_of
from ...storage.presentable import presentable
from ..look.short_names import without_beginning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Channel, DatasetInfo, ImageInfo


class Fact(NamedTuple):
    """One line of the card; `more` is said on hover."""

    name: str
    value: str
    more: str = ""


def facts_of(info: DatasetInfo, image: ImageInfo | None, wells: str, path: str) -> list[Fact]:
    """The facts of a dataset, of the position in view where they differ; what is unknown is left out.

    `image` is what the position in view contains, None while that is not known; `wells` says how many
    wells or regions there are, "" where positions do not belong to any.
    """
    seen = image or info.groups[0]
    facts = [
        Fact("Objective", info.objective),
        Fact("Pixel", _pixel(seen)),
        Fact("Z step", _stack(seen)),
        Fact("Time", _times(info)),
        Fact("Size", f"{seen.height} × {seen.width}  {seen.dtype}" if seen.dtype is not None else ""),
        Fact("Fields", _fields(len(info.positions), wells)),
        *_channels(seen.channels or info.channels),
        Fact("Store", info.format, _levels(seen)),
        Fact("Path", presentable(path), presentable(path)),
    ]
    kept = [fact for fact in facts if fact.value]
    return [fact if fact.more else fact._replace(more=fact.value) for fact in kept]


_MOST_CHANNELS = 8
_LONG_NAME = 20
"""Letters; longer ones are cut in the card."""


def _pixel(image: ImageInfo) -> str:
    x, y = image.pixel_size_x_um, image.pixel_size_y_um
    if x is None or y is None:
        known = image.pixel_size_um
        return "" if known is None else f"{known:.4g} µm"
    return f"{x:.4g} µm" if x == y else f"{y:.4g} × {x:.4g} µm"


def _stack(image: ImageInfo) -> str:
    if image.n_z <= 1:
        return ""
    return (
        how_many(image.n_z, "plane") if image.z_step_um is None else f"{image.z_step_um:.4g} µm × {image.n_z}"
    )


def _times(info: DatasetInfo) -> str:
    if info.n_t <= 1:
        return ""
    step = info.time_step_s
    return f"{info.n_t} points" if not step else f"{info.n_t} points, every {duration_of(step)}"


def _fields(n: int, wells: str) -> str:
    if n <= 1:
        return ""
    return f"{n:,} in {wells}" if wells else f"{n:,}"


def _channels(channels: Sequence[Channel]) -> list[Fact]:
    """A line for each channel, at most `_MOST_CHANNELS`; of long names without what all begin with."""
    names = [channel.name for channel in channels]
    if any(len(name) > _LONG_NAME for name in names):
        names = without_beginning(names)
    said = [_channel(name, channel) for name, channel in zip(names, channels, strict=True)]
    if len(said) > _MOST_CHANNELS:
        rest = [name for name, _ in said[_MOST_CHANNELS - 1 :]]
        said[_MOST_CHANNELS - 1 :] = [(f"and {len(rest)} more", "\n".join(rest))]
    return [Fact("" if i else "Channels", *each) for i, each in enumerate(said)]


def _channel(name: str, channel: Channel) -> tuple[str, str]:
    """A channel's name and exposure; on hover also its wavelengths."""
    known = [channel.name]
    if channel.excitation_nm is not None:
        known.append(f"excitation {channel.excitation_nm:g} nm")
    if channel.emission_nm is not None:
        known.append(f"emission {channel.emission_nm:g} nm")
    exposure = "" if channel.exposure_ms is None else f"{channel.exposure_ms:.4g} ms"
    if exposure:
        known.append(f"exposure {exposure}")
    return f"{name}   {exposure}".rstrip(), "\n".join(known)


def _levels(image: ImageInfo) -> str:
    return f"{image.n_levels} resolution levels" if image.n_levels > 1 else ""
