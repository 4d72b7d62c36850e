"""A single image file that has one plane: a PNG or BMP, or one of the images that Squid writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.decoding.tiff_parts import WHOLE, PagePart
from .file_pool import image_facts, image_picture, image_tile, read_image
from .forms import FileFacts, Form

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ...model import PlaneKey
    from ...storage.decoding.pictures import Picture
    from .forms import FileLocations


class SingleFile(Form):
    """One image in one file."""

    one_time_per_file = False

    def __init__(self, places: FileLocations, path: str) -> None:
        super().__init__(places)
        self._path = path
        end = os.path.splitext(path)[1][1:].lower()
        self.format = "tiff" if end in ("tif", "tiff") else end

    def files(self, key: PlaneKey) -> Iterator[str]:
        """See `Form.files`."""
        yield self._path

    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """See `Form.read`."""
        return read_image(path, 0, part)

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """See `Form.lists`: the file is the plane."""
        return True

    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """See `Form.picture`."""
        return image_picture(path)

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Form.tile`."""
        return image_tile(path)

    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """See `Form.facts`."""
        picture, size, is_inverted = image_facts(path)
        return FileFacts(picture, 1, 0, 1, ("",), size, size, is_inverted=is_inverted)
