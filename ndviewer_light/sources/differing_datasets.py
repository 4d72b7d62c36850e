"""How what was known of a dataset differs from what lies at its path: whether both can be the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import DatasetInfo, ImageInfo


def has_other_planes(old: DatasetInfo, new: DatasetInfo) -> bool:
    """Whether planes of both cannot be of one dataset: size or dtype differ, or there are fewer channels.

    Positions are compared with themselves: one may differ from others, and may not have been looked at yet,
    so that what was known of it was assumed.
    """
    if old is new or old.dtype is None or new.dtype is None:  # of what is not written yet anything may come
        return False
    if _is_other(old.groups[0], new.groups[0]):
        return True
    both = (old.images.keys() & new.images.keys()) - old.assumed - new.assumed
    return any(_is_other(old.images[p], new.images[p]) for p in both)


def _is_other(old: ImageInfo, new: ImageInfo) -> bool:
    was, now = ((image.dtype, image.height, image.width) for image in (old, new))
    return was != now or len(new.channels) < len(old.channels)


def is_smaller(old: DatasetInfo, new: DatasetInfo) -> bool:
    """Whether there are fewer time points, or planes along z."""
    return new.n_t < old.n_t or new.n_z < old.n_z


def has_fewer(old: DatasetInfo, new: DatasetInfo) -> bool:
    """Whether positions are missing, or planes of the first one, of what was known when it was opened."""
    if not {p.label for p in old.positions} <= {p.label for p in new.positions}:
        return True
    # of a dataset just opened the sizes are those of the first position: a well that was added may be begun
    is_of_same_image = old.positions[0].label == new.positions[0].label
    return is_of_same_image and is_smaller(old, new)


def said_of_both(old: DatasetInfo, new: DatasetInfo) -> str:
    """How two datasets differ: ``was 32×32 uint16, is 40×40 uint8``."""
    was, now = ([f"{info.height}×{info.width} {info.dtype}"] for info in (old, new))
    for axis in "tpcz":
        if old.sizes[axis] != new.sizes[axis]:
            was.append(f"{axis} {old.sizes[axis]}")
            now.append(f"{axis} {new.sizes[axis]}")
    return f"was {', '.join(was)}, is {', '.join(now)}" if was != now else f"both are {was[0]}"
