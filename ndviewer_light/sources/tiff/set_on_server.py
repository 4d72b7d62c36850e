"""Sets of TIFF files in a folder of a server that lists it: which file to begin with, what is left over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ...errors import DatasetError
from ...metadata.ndtiff import INDEX
from ...metadata.ome_document import COMPANIONS
from ...model import natural_sorted, some_names
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.presentable import presentable
from .indexed import BELOW
from .set_files import SetFiles, document_of, name_said, split_path
from .sets import files_of, open_set
from .stack_files import is_stack, stacks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.trees.folder_on_server import FolderOnServer
    from ..tiff_files import TiffFiles
    from .sets import TiffSet

_BESIDE_LOOKED_AT = 4
"""How many companion files are opened in search of one that describes images."""


def set_in_folder(folder: FolderOnServer, files: TiffFiles) -> tuple[str, tuple[str, ...]]:
    """The URL of a file whose set is in a folder, "" if there is none; and those of all TIFFs in the folder.

    By an index or a companion file, else by the first TIFF. Blocks on the network; raises nothing.
    """
    names = folder.names()
    tiffs = [name for name in names.files if name.lower().endswith(TIFF_KINDS) and name[0] != "."]
    urls = tuple(folder.address + folder.end_of_address(name) for name in natural_sorted(tiffs))
    for inside in ("", f"{BELOW}/" if BELOW in names.folders else ""):
        if INDEX in folder.names(inside).files:
            return folder.address + folder.end_of_address(inside + INDEX), urls
    companions = sorted(name for name in names.files if name.lower().endswith(COMPANIONS))
    for name in companions[:_BESIDE_LOOKED_AT]:
        if _is_set(url := folder.address + folder.end_of_address(name), files):
            return url, urls
    if urls and _is_of_a_set(urls[0], files):
        return urls[0], urls
    return "", ()


def _is_set(url: str, files: TiffFiles) -> bool:
    try:
        open_set(url, files)
    except DatasetError:
        return False
    return True


def _is_of_a_set(url: str, files: TiffFiles) -> bool:
    """Whether a TIFF refers to others, or is one of Micro-Manager's stacks, perhaps the first of them."""
    try:
        document = document_of(url, files)
        if document is None:
            return stacks_of(url, files) is not None or is_stack(url, files)
    except DatasetError:
        return False
    resolver = SetFiles(url, document, files, is_tiff=True)
    return document.metadata_file is not None or any(not resolver.is_own(file) for file in document.files)


def with_what_is_beside(found: TiffSet, path: str, tiffs: Sequence[str]) -> TiffSet:
    """A set of files on a server, with a warning of the TIFFs in its folder that do not belong to it."""
    own = {unquote(each) for each in (*files_of(found), path)} if tiffs else set()
    left = [name_said(each) for each in tiffs if unquote(each) not in own]
    if not left:
        return found
    folder = presentable(split_path(path)[0])
    warning = f"{folder} also contains files that are not shown: {', '.join(some_names(left))}"
    return replace(found, warnings=(*found.warnings, warning))
