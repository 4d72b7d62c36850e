"""Folders of images and single ones: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import is_url
from ..format import Format
from .listing import holds_images, is_image
from .patterns import is_pattern

if TYPE_CHECKING:
    from ..source import Source, StorageOptions


class ImagesFormat(Format):
    """Image files whose names say what they show, in folders, or at URLs that a pattern names."""

    name = "images"

    def recognises(self, path: str) -> bool:
        """Whether `path` is an image file, a pattern, or a folder with images in or below it."""
        if is_url(path) or is_pattern(path):
            return is_image(path)
        return holds_images(path) if os.path.isdir(path) else is_image(path)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `ImagesSource.open`."""
        from .source import ImagesSource

        return ImagesSource.open(path, options)
