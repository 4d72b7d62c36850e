"""What of a view outlives the viewer: indices, what follows, channels, zoom. Pure data; knows no Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ..engine.projections import StackProjection
from ..rendering.volume_look import VolumeLook
from ..rendering.volume_rays import VolumeSight
from .channel_choices import choice_as_json, choice_of_json
from .split_look import SplitLook
from .visible_area import VisibleArea

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..model import DatasetInfo
    from .channel_choices import ChannelChoice, Name

_VERSION = 1
MOST_SAVED_CHANNELS = 64
_MOST_SAVED_LETTERS = 1000


class SavedView(NamedTuple):
    """A view of a dataset. `followed`: the axes that were being led to the newest planes.

    `position` is the label of the position; `area` what is seen of the picture, None if it fits the window.
    `overview`: what is seen of the overview, None if that is not shown; only links have it.
    `sections`: the row and column through which sections along z are shown; None: there are none.
    `split`: how channels are shown side by side; None: together.
    `sight`: from where the volume is seen, and what of it; None as it is at first.
    `subject` tells datasets apart that lie at the same path one after the other, see `subject_of`.
    """

    subject: str
    t: int
    z: int
    position: str
    followed: frozenset[str]
    pinned: frozenset[str]
    channels: Mapping[Name, ChannelChoice]
    area: VisibleArea | None
    projection: StackProjection | None = None
    volume: VolumeLook = VolumeLook()
    overview: VisibleArea | None = None
    sections: tuple[int, int] | None = None
    split: SplitLook | None = None
    sight: VolumeSight | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `view_of` reads."""
        return {
            "version": _VERSION,
            "subject": self.subject,
            "t": self.t,
            "z": self.z,
            "projection": None if self.projection is None else str(self.projection),
            "volume": str(self.volume) if self.volume.is_shown else None,
            "sight": None if self.sight is None else str(self.sight),
            "position": self.position,
            "followed": sorted(self.followed),
            "pinned": sorted(self.pinned),
            "channels": [choice_as_json(*each) for each in self.channels.items()],
            "sections": None if self.sections is None else [*self.sections],
            "split": None if self.split is None else self.split.value,
            "area": [*self.area.x, *self.area.y] if self.area is not None else None,
        }


def view_of(document: Mapping[str, Any] | None) -> SavedView | None:
    """The view in a JSON object; None if there is none, or another version wrote it."""
    if document is None or document.get("version") != _VERSION:
        return None
    try:
        area = document["area"]
        return SavedView(
            subject=_text(document["subject"]),
            t=_index(document["t"]),
            z=_index(document["z"]),
            position=_text(document["position"]),
            followed=frozenset(axis for axis in "tpz" if axis in document["followed"]),
            pinned=frozenset(axis for axis in "tpz" if axis in document["pinned"]),
            channels=dict(choice_of_json(said) for said in document["channels"][:MOST_SAVED_CHANNELS]),
            area=None if area is None else _area(*area),
            projection=_projection(document.get("projection")),
            volume=_volume(document.get("volume")),
            sight=_sight(document.get("sight")),
            sections=_sections(document.get("sections")),
            split=None if document.get("split") is None else SplitLook(document["split"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def subject_of(info: DatasetInfo) -> str:
    """What a view of a dataset is a view of: channels, dtype and size of the first image.

    A hash; the same while a dataset grows.
    """
    first = info.groups[0]
    said = (*(channel.name for channel in info.channels), str(first.dtype), first.height, first.width)
    import hashlib  # with OpenSSL, which a window need not wait for

    return hashlib.sha256(repr(said).encode(errors="replace")).hexdigest()[:16]


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MOST_SAVED_LETTERS:
        raise ValueError("not a text")
    return value


def _projection(value: object) -> StackProjection | None:
    return None if value is None else StackProjection.of_text(_text(value))


def _volume(value: object) -> VolumeLook:
    return VolumeLook() if value is None else VolumeLook.of_text(_text(value))


def _sight(value: object) -> VolumeSight | None:
    return None if value is None else VolumeSight.of_text(_text(value))


def _sections(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    row, column = value
    return _index(row), _index(column)


def _index(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise ValueError("not an index")
    return value


def number_of(value: object) -> float:
    """A finite number; raises `ValueError` for anything else."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)


def _area(left: object, right: object, top: object, bottom: object) -> VisibleArea:
    area = VisibleArea((number_of(left), number_of(right)), (number_of(top), number_of(bottom)))
    if not (area.x[0] < area.x[1] and area.y[0] < area.y[1]):
        raise ValueError("not an area")
    return area
