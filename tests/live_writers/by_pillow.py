"""Pillow: a folder of PNG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from .by_tifffile import FilesWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .plan import Index


class PngFilesWriter(FilesWriter):
    """One PNG per plane, written in place."""

    suffix = "png"

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        Image.fromarray(pixels).save(self.file(index), compress_level=1)
