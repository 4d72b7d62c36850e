"""What a plate and its wells say of their fields: numbers and acquisitions."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...metadata import plates


class Acquisitions:
    """The acquisitions of a plate: names by id, if there is more than one."""

    def __init__(self, names: Mapping[str, str], wells: Iterable[plates.WellImages | None]) -> None:
        used = {number for listed in set(wells) if listed is not None for number in listed.acquisitions}
        self._names = names
        self._several = max(len(used - {""}), len(names)) > 1
        self._of_well: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, images: plates.WellImages) -> Iterable[str]:
        """The name of the acquisition of each image; its id if the plate does not name it."""
        if not self._several:
            return repeat("")
        if images.acquisitions not in self._of_well:
            named = tuple(self._names.get(number, number) for number in images.acquisitions)
            self._of_well[images.acquisitions] = named
        return self._of_well[images.acquisitions]


@lru_cache(maxsize=64)  # the wells of a plate mostly list the same
def field_numbers(images: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers of the fields of a well: those they are called by, if all are; else from 0."""
    numbers = [int(image) for image in images if image.isdecimal() and image.isascii()]
    return tuple(numbers) if len(set(numbers)) == len(images) else tuple(range(len(images)))
