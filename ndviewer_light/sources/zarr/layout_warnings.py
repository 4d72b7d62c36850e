"""Warnings about parts of a dataset that are found out before its positions are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...storage.about_files import about_file, with_position

if TYPE_CHECKING:
    from collections.abc import Iterable


class LayoutWarnings(list[str]):
    """The warnings of one pass over a dataset, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._images_below: dict[str, str] = {}  # by warning

    def add_about(self, text: str, file: str, p: int | None = None) -> None:
        """A warning about a file, or a position that has its index already."""
        self.append(about_file(text, file, p=p))

    def add_about_images(self, text: str, below: str) -> None:
        """A warning about the images below a path, such as those of a well."""
        self.append(about_file(text, below))
        self._images_below[text] = below

    def placed(self, stores: Iterable[str], sep: str) -> tuple[str, ...]:
        """The warnings, with the first position that each is about; `stores` are those of all positions."""
        if not self._images_below:
            return tuple(self)
        paths = [store + sep for store in stores]

        def first(below: str | None) -> int | None:
            if below is None:
                return None
            return next((p for p, path in enumerate(paths) if path.startswith(below + sep)), None)

        return tuple(with_position(each, first(self._images_below.get(each))) for each in self)
