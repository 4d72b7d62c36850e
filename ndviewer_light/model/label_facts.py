"""What the metadata of a label image say of its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Rgba = tuple[int, int, int, int]
"""Red, green, blue, opacity, each 0 to 255."""


@dataclass(frozen=True)
class LabelFacts:
    """Colours and properties by label value; both empty for an image that gives none.

    Properties are texts by name, as they are shown: ``{17: {"class": "nucleus", "area": "231"}}``.
    """

    colours: Mapping[int, Rgba] = field(default_factory=dict)
    properties: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def text_of(self, value: int) -> str:
        """The properties of one label: "class nucleus, area 231"; "" without any."""
        said = self.properties.get(value, {})
        return ", ".join(f"{name} {text}" for name, text in said.items())
