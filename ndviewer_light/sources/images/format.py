"""Folders of images and single ones: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import check_address, is_url, name_of
from ...storage.decoding.ifd_chain import TIFF_STARTS
from ...storage.decoding.pictures import begins_like_a_picture
from ...storage.offered import beginning_offered
from ..format import Format
from .index_on_server import is_index_at
from .indexed_sets import is_index, is_index_name
from .listing import PATTERN, holds_images, is_image
from .patterns import is_pattern

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..remarks import Remark
    from ..source import StorageOptions
    from .source import ImagesSource


class ImagesFormat(Format):
    """Image files whose names say what they show, in folders, or at URLs that a pattern names."""

    name = "images"

    def recognises(self, path: str) -> bool:
        """Whether `path` is an image file, a pattern, or a folder with images in or below it."""
        if is_url(path) or is_pattern(path):
            return is_image(path)
        if is_index(path) and not os.path.isdir(path):
            return holds_images(os.path.dirname(path))
        return holds_images(path) if os.path.isdir(path) else is_image(path)

    def is_certain(self, path: str) -> bool:
        """Whether `path` is a pattern: many files, and none at the address itself."""
        return is_pattern(path) and is_image(path)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it begins like a picture, or like a TIFF; at a URL, whether it is the index of images."""
        return (
            is_index_at(path, beginning.text)
            or beginning.starts_with(*TIFF_STARTS)
            or begins_like_a_picture(beginning.head)
        )

    def open(self, path: str, options: StorageOptions = None) -> ImagesSource:
        """See `ImagesSource.open`; a URL that is not called an image, and of no file, may be a folder."""
        from .source import ImagesSource

        if is_url(path):
            check_address(path)
        is_named = not is_url(path) or is_image(path) or is_pattern(path) or is_index_name(name_of(path))
        is_named = is_named or bool((options or {}).get(PATTERN))
        if not is_named and not beginning_offered(path, 1):
            from ...storage.trees.folder_on_server import folder_on_server

            folder = folder_on_server(path, options)
            found = None if folder is None else self.open_folder_on_server(path, folder, options)
            if found is not None:
                return found
        return ImagesSource.open(path, options)

    def open_set_of(self, path: str, options: StorageOptions = None) -> ImagesSource | None:
        """See `Format.open_set_of`: by the names of the files in its folder."""
        from .set_of_file import found_set_of
        from .source import ImagesSource

        found = found_set_of(path, options)
        return None if found is None else ImagesSource.of(found)

    def remark_on(self, path: str) -> Remark | None:
        """See `Format.remark_on`: by the names of other files in its folder."""
        from .named_alike import remark_on

        return remark_on(path)

    def open_folder_on_server(
        self, path: str, folder: FolderOnServer, options: StorageOptions = None
    ) -> ImagesSource | None:
        """See `Format.open_folder_on_server`: one with images in or below it."""
        from .on_server import holds_images_on_server
        from .source import ImagesSource

        return ImagesSource.open(path, options, folder) if holds_images_on_server(folder) else None
