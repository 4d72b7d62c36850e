"""The metadata of local images that are mostly alike: what was understood of one is not worked out again.

A plate of a thousand fields has the same files a thousand times, but for the name and place of each field.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import DatasetError
from ...metadata import ngff
from ...storage.limits import parse_json
from . import layouts
from .nodes import attributes_of

if TYPE_CHECKING:
    from ...metadata.ngff import ImageMeta
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage

    Files = tuple[bytes | None, ...]

_NAMES = {3: ("zarr.json",), 2: ("zarr.json", ".zarray", ".zattrs")}
"""The files that tell what a folder is, by version of Zarr: also those that must not be there."""
_MOST_OWN = 4096
"""For how many images the metadata are kept as they were understood: about 5 kB each."""


class _Parsed(NamedTuple):
    """An image, the folder of its array in its store, and the files of its group and of its array."""

    image: ZarrImage
    inside: str
    group: Files
    array: Files


class AlikeImages:
    """Reads the metadata of local images; of files that are the same as before, nothing is parsed.

    Any thread.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._last: dict[int, _Parsed] = {}  # by level
        self._own: OrderedDict[tuple[str, int], _Parsed] = OrderedDict()  # of those unlike the one before
        self._groups: OrderedDict[str, tuple[Files, ImageMeta]] = OrderedDict()  # the same of groups alone

    def read(self, store: str, level: int = 0, tree: Tree | None = None) -> ZarrImage:
        """See `read_image`; `tree` is used instead of our own."""
        tree = tree or self._tree
        own, last = self._own.get((store, level)), self._last.get(level)
        for known in (own, last if last is not own else None):
            image = None if known is None else self._like(known, store, tree)
            if image is not None:
                return image
        image = layouts.read_image(store, level, tree)
        self._keep(store, image, tree)
        return image

    def _like(self, known: _Parsed, store: str, tree: Tree) -> ZarrImage | None:
        """The image of a store, if its array is described like the known one, and its group alike."""
        group, array = _files(store, known, tree), store + known.inside
        meta = known.image.meta if group == known.group else self._meta_like(known, store, group)
        if meta is None or _files(array, known, tree) != known.array:
            return None
        is_known = meta is known.image.meta and array == known.image.array
        return known.image if is_known else replace(known.image, array=array, meta=meta)

    def _meta_like(self, known: _Parsed, store: str, group: Files) -> ImageMeta | None:
        """What a group says of its image; None if its arrays are to be understood in another way."""
        found = self._groups.get(store)
        if found is None or found[0] != group:
            meta = _meta(group, store)
            if meta is None:
                return None
            found = self._groups[store] = group, _sharing(meta, known.image.meta)
            _keep_few(self._groups)
        meta, other = found[1], known.image.meta
        return meta if meta.paths == other.paths and meta.axes == other.axes and not meta.warnings else None

    def _keep(self, store: str, image: ZarrImage, tree: Tree) -> None:
        """Remember how the files of an image were understood, if these and no others say what it is."""
        paths = image.meta.paths
        inside = self._tree.inside("", paths[image.level]) if paths else ""
        if not inside or image.array != store + inside or image.warnings or not image.is_as_written:
            return
        parsed = _Parsed(image, inside, (), ())
        group, array = _files(store, parsed, tree), _files(image.array, parsed, tree)
        raw = array[0 if image.facts.version == 3 else 1]
        with contextlib.suppress(DatasetError):  # written in between
            if raw is None or parse_json(raw, image.array) != image.document:
                return
            if _meta(group, store) == image.meta:
                parsed = parsed._replace(group=group, array=array)
                self._last[image.level] = self._own[store, image.level] = parsed
                _keep_few(self._own)


def _files(folder: str, known: _Parsed, tree: Tree) -> Files:
    return tuple(tree.read_small(tree.join(folder, name)) for name in _NAMES[known.image.facts.version])


def _meta(group: Files, store: str) -> ImageMeta | None:
    """What the files of a group say of its image; None if it is none, or not to be understood so simply."""
    *absent, raw = group
    if raw is None or any(each is not None for each in absent):
        return None
    try:
        document = parse_json(raw, store)
        if not absent:
            if document.get("zarr_format") != 3 or document.get("node_type") != "group":
                return None
            document = attributes_of(document)
        return ngff.image_meta(document, store) if ngff.is_image(document) else None
    except DatasetError:  # reading it in full says why
        return None


def _sharing(meta: ImageMeta, known: ImageMeta) -> ImageMeta:
    """The same, with the objects of the known one where these are equal: less memory, quickly compared."""
    names = ("axes", "paths", "scales", "channels", "squid")
    both = {name: (getattr(meta, name), getattr(known, name)) for name in names}
    return replace(meta, **{name: known for name, (own, known) in both.items() if own == known})


def _keep_few(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > _MOST_OWN:
        with contextlib.suppress(KeyError):  # another thread was faster
            kept.popitem(last=False)
