"""Names that an instrument or a program gives its files, and what they mean: what a case is made of."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def names_of(form: str, **values: Sequence[Any]) -> tuple[str, ...]:
    """All names of a form, in Python's own way of writing them; ``{uuid}`` is a new one in each."""
    combined: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        combined = [{**known, name: value} for known in combined for value in choices]
    return tuple(form.format(**fields, uuid=uuid(form, i)) for i, fields in enumerate(combined))


def uuid(*seed: object) -> str:
    """A UUID as MetaXpress writes them, always the same for a seed."""
    digits = "".join(random.Random(repr(seed)).choices("0123456789ABCDEF", k=32))
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True)
class Case:
    """Names (without endings) that somebody's program gives, and what they mean.

    `sizes` of the axes that are longer than 1; names of channels, labels of the first positions, z and times
    as the names have them, where they say something. `left_out` are files that belong to nothing.
    """

    convention: str
    names: tuple[str, ...]
    sizes: Mapping[str, int]
    channels: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    z: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_doubtful: bool = False
    example: str = field(default="")

    @property
    def full_sizes(self) -> dict[str, int]:
        """Of all four axes."""
        return {axis: self.sizes.get(axis, 1) for axis in "tpcz"}


TWO, THREE, FIRST_TWO, FIRST_THREE = (0, 1), (0, 1, 2), (1, 2), (1, 2, 3)
WELLS = ("B02", "B03", "C02")
