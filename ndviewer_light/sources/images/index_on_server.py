"""A set of images on a server of which the index is opened, by its URL.

What is beside it is what the server says is in its folder. Where it says nothing, the index itself names its
images: those of CellVoyager and Opera list them, and from an ``.nd`` their names follow.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...errors import DatasetError, DatasetNotFoundError
from ...metadata.cellvoyager import DETAILS, RECORDS, settings_file
from ...metadata.metamorph import ND_END, nd_index
from ...metadata.opera_index import OPERA_INDEXES
from ...storage.asked_together import asked_at_once
from ...storage.bytes import WEB_SCHEMES, is_url, name_of, scheme_of, split_inner
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from ...storage.presentable import presentable
from .indexed_sets import is_index_name, listed_by_nd, names_listed
from .listing import MAX_BELOW, Listing, listing_of, stem_of
from .on_server import listed_on_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...storage.trees.folder_on_server import FolderOnServer
    from ..source import StorageOptions

_MOST_OF_NAMES = 256 * 1024**2
"""An index that names its images is read to its end."""
_ENDINGS = (".TIF", ".tif", ".STK", ".stk", ".tiff")
_BEGINS = (b'"NDInfoFile"', b'"HTSInfoFile"', b"<?xml", b"<bts:", b"<EvaluationInputData")
"""Not a page, as of a folder that is called so."""


def is_index_at(url: str, head: bytes) -> bool:
    """Whether a file at a URL is the index of images beside it, by its name and its beginning."""
    is_named = is_url(url) and not split_inner(url)[1] and is_index_name(name_of(url))
    return is_named and head.lstrip().startswith(_BEGINS)


def listed_by_index(url: str, options: StorageOptions = None) -> tuple[Listing, FolderOnServer | None]:
    """The images of an index at a URL, and the folder that lists them; None if its server lists nothing.

    Blocks on the network. Raises `DatasetNotFoundError` if there are none.
    """
    from ...storage.trees.folder_on_server import folder_on_server  # most images are local

    around, end = _divided(url)
    folder = folder_on_server(around, options) if scheme_of(url) in WEB_SCHEMES and not end else None
    if folder is not None:
        found = listed_on_server(folder, options=options, index=name_of(url))
        if found is not None:
            return found, folder
    found = _named_by_index(url, around, end, access_options(options))
    if found is None:
        raise DatasetNotFoundError(
            f"{presentable(url)} is an index of images, of which none were found: their server does not list "
            f"the folder. Give the address of one, or of all as a pattern, for example {presentable(around)}"
            "img_t{t:0..9}.tif"
        )
    return found, None


def _divided(url: str) -> tuple[str, str]:
    """The folder of a file at a URL, with a slash, and the query, which may sign for all that is in it."""
    query = ""
    if url[:4].lower() == "http":
        url, mark, query = url.partition("#")[0].partition("?")
        query = mark + query
    return url.rpartition("/")[0] + "/", query


def _named_by_index(url: str, around: str, end: str, options: Mapping[str, str]) -> Listing | None:
    text = _text(url, options)
    name = name_of(url)

    def address(inside: str) -> str:
        return (quote(inside) if around[:4].lower() == "http" else inside) + end

    if name.lower().endswith(ND_END):
        found = _named_by_nd(text, name, around, address_end=end, options=options)
    else:
        names = names_listed(name, text)
        shown = presentable(around)
        found = listing_of(shown, shown.rstrip("/"), names[:MAX_BELOW], []) if names else None
    if found is None:
        return None
    beside = [name] if name in (*OPERA_INDEXES, RECORDS) else []
    if name == RECORDS:
        settings = settings_file(_text(around + address(DETAILS), options, is_needed=False))
        beside += [each for each in (DETAILS, settings) if each]
    return found._replace(
        root=around,
        files=tuple((fields, address(inside)) for fields, inside in found.files),
        beside=tuple(around + address(inside) for inside in beside),
    )


def _named_by_nd(
    text: str, name: str, around: str, *, address_end: str, options: Mapping[str, str]
) -> Listing | None:
    """The files that an ``.nd`` says there are to be, with the ending that the first of them has."""
    said, stem = nd_index(text, stem_of(name)), stem_of(name)
    along = [
        [(f"_{mark}" + each[role]) for each in said.planned if role in each] or [""]
        for mark, role in (("w", "c"), ("s", "fov"), ("t", "t"))
    ]
    if not said.pattern:
        return None
    parts = list(itertools.islice(itertools.product(*along), MAX_BELOW))
    first = [f"{stem}{''.join(parts[0])}{ending}" for ending in _ENDINGS]
    quoted = [(quote(each) if around[:4].lower() == "http" else each) + address_end for each in first]
    are_there = asked_at_once(
        lambda each: _is_there(around + each, options), quoted, len(quoted), "ndviewer-index"
    )
    ending = next((ending for ending, is_there in zip(_ENDINGS, are_there, strict=True) if is_there), "")
    if not ending:
        return None
    names = [f"{stem}{''.join(each)}{ending}" for each in parts]
    return listed_by_nd(presentable(around), names, name, text, is_named=True)


def _is_there(url: str, options: Mapping[str, str]) -> bool:
    try:
        open_bytes(url, options).close()
    except DatasetError:
        return False
    return True


def _text(url: str, options: Mapping[str, str], *, is_needed: bool = True) -> str:
    """A text file to its end; "" if it cannot be read, unless it `is_needed`."""
    try:
        file = open_bytes(url, options)
        try:
            return file.read(0, min(file.size, _MOST_OF_NAMES)).decode("utf-8-sig", "replace")
        finally:
            file.close()
    except DatasetError:
        if is_needed:
            raise
        return ""
