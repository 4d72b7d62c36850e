"""The indices of channels and positions that are given by name, or counted within a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

from ..errors import PlaneNotStoredError
from ..model import PlaneKey, channel_name, find_channel

if TYPE_CHECKING:
    from ..sources import Source
    from .current_info import CurrentInfo
    from .image_lookup import ImageLookup


class NamesToIndices:
    """Looks up channels and positions. Any thread."""

    def __init__(self, source: Source, images: ImageLookup, current: CurrentInfo) -> None:
        self._source = source
        self._images = images
        self._current = current

    def key(self, t: int, p: int | str, c: int | str, z: int) -> PlaneKey:
        """The plane at these indices or names.

        Raises `KeyError` for a name, `IndexError` for a channel that the position does not have, `TypeError`
        for what is no index.
        """
        for axis, index in (("t", t), ("z", z)):
            _check_index(axis, index)
        p = self.position(p)
        return PlaneKey(t, p, self.channel(c, p), z)

    def position(self, p: int | str) -> int:
        """The index of a position; raises `KeyError` for a label that is missing or ambiguous.

        Names may be in the metadata of the images themselves: if none is known, all are looked at, on a
        server the first 64, which blocks.
        """
        if not isinstance(p, str):
            _check_index("p", p)
            return p
        info = self._current.adopt()
        try:
            return info.position_index(p)
        except KeyError:
            self._images.look_at_all()
            told = self._current.adopt()
            if told.positions == info.positions:
                raise
        return told.position_index(p)

    def channel(self, c: int | str, p: int) -> int:
        """The index in `info.channels`, the channels of all positions, of a position's channel `c`.

        By its name, or its index in that position. May block on disk. Raises `KeyError` or `IndexError`.
        """
        if type(c) is int and p == 0 and len(self._current.known.positions) == 1:  # most calls of scripts
            return c
        if isinstance(c, str):
            return self._named_channel(c, p)
        _check_index("c", c)
        return self._own_channel(c, p)

    def _own_channel(self, c: int, p: int) -> int:
        """The index in `info.channels`, the channels of all positions, of a position's own channel `c`."""
        try:
            own = self._images.image(p).channels
        except (PlaneNotStoredError, IndexError):  # reading the plane will say why
            return c
        info = self._source.info
        if info.common is None:
            return c
        if not 0 <= c < len(own):
            raise IndexError(f"no channel {c}: {info.positions[p].label} has {len(own)}")
        found = find_channel(info.channels, *channel_name(own, c))
        return c if found is None else found

    def _named_channel(self, name: str, p: int) -> int:
        """The index of a channel of position `p`; looks at the position if the name alone does not tell."""
        info = self._current.adopt()
        if sum(channel.name == name for channel in info.channels) != 1:
            own = self._images.image(p).channels
            if sum(channel.name == name for channel in own) == 1:
                info = self._current.adopt()
                return next(c for c, channel in enumerate(info.channels) if channel.name == name)
        return info.channel_index(name)


def _check_index(axis: str, index: object) -> None:
    """Raise `TypeError` for what is no whole number."""
    if type(index) is not int and not isinstance(index, SupportsIndex):
        also = ", or a name" if axis in "pc" else ""
        raise TypeError(f"{axis} must be an index, counted from 0{also}, not {index!r}")
