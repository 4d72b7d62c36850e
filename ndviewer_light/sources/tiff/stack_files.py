"""Micro-Manager's stacks without OME-XML: a file for each position, and others where one was full.

Nothing in a file names the others: they are those of the same name before ``_MMStack``, with an index map.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...metadata.micromanager import StackFile, micromanager_stacks
from ...model import some_names
from ...storage.bytes import is_url
from .set_files import document_of, tiffs_in

if TYPE_CHECKING:
    from ...metadata.tiff_layout import TiffImage
    from ..tiff_files import TiffFiles

_NAME = re.compile(r"(?P<run>.+_MMStack)(?:_(?P<which>.+))?(?<!\.ome)\.tiff?", re.IGNORECASE)
_MAX_FILES = 512
"""How many files of a set are opened for their index maps."""


class StackFiles(NamedTuple):
    """The images of a set; their runs name files by their names in the folder."""

    images: tuple[TiffImage, ...]
    warnings: tuple[str, ...]


def begins_stacks(path: str, files: TiffFiles) -> bool:
    """Whether a local TIFF is one of several files of a run, by the first of them."""
    names = _files_of_run(path)
    if len(names) < 2 or document_of(path, files) is not None:
        return False
    found = [_stack(os.path.join(os.path.dirname(path), name), files) for name in names[:2]]
    return bool(micromanager_stacks([stack for stack in found if stack is not None], path))


def stacks_of(path: str, files: TiffFiles) -> StackFiles | None:
    """The images of the run that a file without OME-XML belongs to; None if it is not one of several."""
    names = _files_of_run(path)
    if len(names) < 2 or _stack(path, files) is None:
        return None
    folder = os.path.dirname(path)
    found = [_stack(os.path.join(folder, name), files) for name in names[:_MAX_FILES]]
    left = [name for name, stack in zip(names, found, strict=False) if stack is None] + names[_MAX_FILES:]
    stacks = [stack for stack in found if stack is not None]
    images = micromanager_stacks(stacks, path)
    if os.path.basename(path) not in {file for image in images for file in image.files}:
        return None  # what is in this file is not understood together with the others
    warnings = (f"{folder} also contains files that are not shown: {', '.join(some_names(left))}",)
    named = tuple(replace(image, name=_which(image.name)) for image in images)
    return StackFiles(named, warnings if left else ())


def _which(name: str) -> str:
    match = _NAME.fullmatch(name)
    return (match["which"] or "") if match else ""


def _files_of_run(path: str) -> list[str]:
    """The names of the files of the same run in the folder, in natural order; [] of a file on a server."""
    own = None if is_url(path) else _NAME.fullmatch(os.path.basename(path))
    if own is None:
        return []
    names = map(os.path.basename, tiffs_in(os.path.dirname(path)))
    return [name for name in names if (match := _NAME.fullmatch(name)) and match["run"] == own["run"]]


def _stack(path: str, files: TiffFiles) -> StackFile | None:
    """What a file says of its pages; None without an index map."""
    try:
        with files.opened(path) as tiff:
            pages = tiff.pages
            said = pages.micromanager()
            if "IndexMap" in said:
                return StackFile(os.path.basename(path), said, pages.offsets, pages.facts)
    except DatasetError:
        return None
    return None
