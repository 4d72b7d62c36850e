"""What the user has chosen for channels, by their names, so that the next run begins with it. No Qt.

As JSON: ``{"channels": [{"name": "GFP", "visible": false, "limits": [100, 2000], ...}, ...]}``; everything
but the name may be missing, and nothing in it is trusted.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ..errors import MetadataError
from ..rendering.contrast import ContrastMode, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Name = tuple[str, int]
"""The name of a channel, and how many before it have the same."""

MOST_CHOICES = 500
"""How many are remembered, those used last."""
_MAX_CHANNEL_NAME = 256
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}(?:_r)?|[a-z]+(?::[a-z]+)?(?:_r)?")
_UNNAMED = re.compile(r"(?:c|ch|channel)?[ _-]?\d*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class ChannelChoice:
    """What was chosen for one channel; None is left to the dataset."""

    visible: bool | None = None
    mode: ContrastMode | None = None
    limits: Limits | None = None
    """With `mode` MANUAL, in values of `dtype`."""
    dtype: str | None = None
    gamma: float | None = None
    color: str | None = None
    """A choice of `color_menu`: ``"#RRGGBB"`` or the name of a lookup table, ``_r`` behind it if inverted."""

    def for_another(self, dtype: str | None) -> ChannelChoice:
        """What holds for a channel of the same name in another dataset: no limits of another dtype."""
        if self.limits is not None and None not in (dtype, self.dtype) and self.dtype != dtype:
            return replace(self, mode=None, limits=None)
        return self


_NOTHING = ChannelChoice()


class ChannelChoices:
    """The choices by channel. One thread (that of the GUI)."""

    def __init__(self) -> None:
        self._of: OrderedDict[Name, ChannelChoice] = OrderedDict()
        self._lent: dict[Name, ChannelChoice] = {}  # for this dataset only
        self.is_remembering = True
        """Whether the next dataset begins with them."""

    def of(self, name: Name) -> ChannelChoice:
        """What was chosen for a channel, by somebody else (`lend`) or here."""
        own, lent = self._of.get(name, _NOTHING), self._lent.get(name)
        return own if lent is None else replace(own, **_said(lent))

    def choose(self, name: Name, **what: Any) -> None:
        """Add to what was chosen for a channel; the fields of `ChannelChoice`."""
        self._of[name] = replace(self._of.get(name, _NOTHING), **what)
        self._of.move_to_end(name)
        if name in self._lent:
            self._lent[name] = replace(self._lent[name], **dict.fromkeys(what))
        while len(self._of) > MOST_CHOICES:
            self._of.popitem(last=False)

    def start_over(self) -> None:
        """Another dataset: a channel that is only numbered ("0", "Channel 1") is another one in each."""
        if not self.is_remembering:
            self._of.clear()
        self._lent.clear()
        for name in [each for each in self._of if _UNNAMED.match(each[0])]:
            del self._of[name]

    def hold_for(self, names: Iterable[Name], dtype: str | None) -> None:
        """The channels of these names have pixels of this dtype (None: not known): drop limits of others."""
        for name in names:
            for choices in (self._of, self._lent):
                if name in choices:
                    choices[name] = choices[name].for_another(dtype)

    def add(self, name: Name, choice: ChannelChoice) -> None:
        """Add all that `choice` says to what was chosen for a channel."""
        self.choose(name, **_said(choice))

    def lend(self, name: Name, choice: ChannelChoice) -> None:
        """What somebody else chose, as a link says it: for this dataset, until something is chosen here."""
        self._lent[name] = choice

    def clear(self) -> None:
        """Leave everything to the datasets."""
        self._of.clear()
        self._lent.clear()

    def as_json(self) -> dict[str, Any]:
        """All choices that were made here, to be read again with `take_json`."""
        return {"channels": [choice_as_json(*each) for each in self._of.items()]}

    def take_json(self, document: object) -> int:
        """Add the choices in a JSON document, and return how many there are; raises `MetadataError`."""
        try:
            channels = document["channels"]  # type: ignore[index]
            found = [choice_of_json(each) for each in channels[:MOST_CHOICES]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MetadataError("this file has no channel settings of the viewer") from error
        for each in found:
            self.add(*each)
        return len(found)


def _said(choice: ChannelChoice) -> dict[str, Any]:
    """The fields of it that say something."""
    said = {field.name: getattr(choice, field.name) for field in fields(choice)}
    return {key: value for key, value in said.items() if value is not None}


def choice_as_json(name: Name, choice: ChannelChoice) -> dict[str, Any]:
    """One choice as a JSON object, which has only what was chosen."""
    said = {
        "name": name[0],
        "nth": name[1] or None,
        "visible": choice.visible,
        "contrast": None if choice.mode is None else choice.mode.value.lower(),
        "limits": choice.limits,
        "dtype": choice.dtype,
        "gamma": choice.gamma,
        "color": choice.color,
    }
    return {key: value for key, value in said.items() if value is not None}


def choice_of_json(said: Mapping[str, Any]) -> tuple[Name, ChannelChoice]:
    """One choice from a JSON object, without what makes no sense.

    Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` for what is no choice.
    """
    name = str(said["name"])[:_MAX_CHANNEL_NAME], int(said.get("nth") or 0)
    mode, gamma, color = said.get("contrast"), said.get("gamma"), said.get("color")
    limits = said.get("limits")
    if limits is not None:
        low, high = (float(value) for value in limits)
        limits = (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
    is_color = isinstance(color, str) and _COLOR.fullmatch(color)
    return name, ChannelChoice(
        visible=said["visible"] if isinstance(said.get("visible"), bool) else None,
        mode=None if mode is None else ContrastMode(str(mode).capitalize()),
        limits=limits,
        dtype=None if limits is None else str(said.get("dtype")),
        gamma=float(gamma) if gamma is not None and 0 < float(gamma) < 100 else None,
        color=color if is_color else None,
    )
