"""A warning that leads somewhere: to a plane, a position, or a file."""

from __future__ import annotations

from typing import NamedTuple


class WarningPlace(NamedTuple):
    """What a warning is about: the indices that are given, a file, or both.

    `file` is a path on this computer, "" if none: what is on a server is named in the text, without logins.
    """

    t: int | None = None
    p: int | None = None
    c: int | None = None
    z: int | None = None
    file: str = ""

    @property
    def is_in_dataset(self) -> bool:
        """Whether it is about a part of the dataset, to which the view can go."""
        return any(index is not None for index in self[:4])


class PlacedWarning(str):
    """The text of a warning, with the place that it is about.

    A text like any other for whoever lists warnings; equal to it.
    """

    place: WarningPlace

    def __new__(cls, text: str, place: WarningPlace) -> PlacedWarning:
        """`text` in plain words, which names the place as well."""
        warning = super().__new__(cls, text)
        warning.place = place
        return warning

    def __reduce__(self) -> tuple[type[PlacedWarning], tuple[str, WarningPlace]]:
        return PlacedWarning, (str(self), self.place)


def place_of(warning: str) -> WarningPlace | None:
    """Where a warning leads; None if nowhere."""
    return warning.place if isinstance(warning, PlacedWarning) else None
