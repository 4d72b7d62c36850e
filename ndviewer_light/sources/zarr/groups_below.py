"""Images in the groups below a group that has no OME metadata itself: SpatialData, BigStitcher, collections
by hand.

An image is a group with ``multiscales``, or with an array ``0``; an array, a level or a folder of chunks
never is. What is below an image belongs to it. On servers the groups are those that consolidated metadata
lists, those that the server itself lists, or BigStitcher's, which are asked for by their names.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...metadata import labels, ngff, nwb_series
from ...metadata.guessed_axes import MAX_AXES
from ...metadata.nwb_contents import NwbImagePath, in_order, shared_folders
from ...metadata.nwb_types import SINGLE_IMAGES
from ...storage.trees.tree import METADATA_FILES
from .nodes import Node, learn_consolidated, read_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ...storage.limits import JsonObject
    from ...storage.trees.tree import Tree

_MAX_GROUPS = 20_000
_MOST_BESIDE = 256
_MAX_GROUP_DEPTH = 6
_MAX_ARRAYS, _MAX_ARRAYS_DEPTH = 200, 2
_NUMBERS = re.compile(r"[<>|]?[biuf][0-9]+|bool|u?int[0-9]+|float[0-9]+")


class ImageBelow(NamedTuple):
    """An image group: its name, the path below the group that was searched, and its folder."""

    name: str
    path: str


def images_below(path: str, tree: Tree) -> list[ImageBelow]:
    """The images in the groups below `path`, in natural order; those in groups called "labels" only if no
    others.

    Folders that lead nowhere further are left out of the names: "blobs" of ``images/blobs``, if all are in
    ``images``. Blocks on disk or network. Of groups that cannot be read, those with an array "0"
    count as images.
    """
    if not tree.folders(path):
        learn_consolidated(tree)
    search = _GroupSearch(tree, is_image_group)
    search.look(path, ())
    found = [each for each in search.found if labels.GROUP not in each[:-1]] or search.found
    shared = shared_folders(found)
    return [ImageBelow(_name(names[shared:]), tree.join(path, *names)) for names in found]


def holds_nodes(path: str, tree: Tree) -> bool:
    """Whether a folder without metadata, called like a store, has groups or arrays in it."""
    if not path.endswith(".zarr"):
        return False
    return any(
        tree.is_file(tree.join(path, name, file))
        for name in tree.folders(path)[:_MOST_BESIDE]
        for file in METADATA_FILES
    )


def images_beside(path: str, tree: Tree, known: Iterable[str]) -> list[str]:
    """The names of images in a group other than those that are known, by their paths in it.

    On servers, where they say what there is. Blocks on disk or network.
    """
    first = {each.split("/")[0] for each in known}
    names = [name for name in tree.groups(path)[:_MOST_BESIDE] if name not in first]
    found = []
    for name in names:
        with contextlib.suppress(DatasetError):
            node = read_node(tree.join(path, name), tree, kind="group")
            found += [name] * (node is not None and is_image_group(node, tree))
    return found


def arrays_below(path: str, tree: Tree) -> list[ImageBelow]:
    """The arrays in a group, and in groups in it, that may be images, the largest first.

    Blocks on disk or network. Those that cannot be read are passed over.
    """
    if not tree.folders(path):
        learn_consolidated(tree)
    found: list[tuple[int, ImageBelow]] = []
    _look_for_arrays(path, (), tree, found)
    return [each for _, each in sorted(found, key=lambda each: -each[0])]


def _look_for_arrays(
    path: str, names: tuple[str, ...], tree: Tree, found: list[tuple[int, ImageBelow]]
) -> None:
    below = tree.groups(path)[:_MAX_ARRAYS]
    _expect(path, below, ".zarray", tree)
    for name in below:
        folder = tree.join(path, name)
        with contextlib.suppress(DatasetError):
            node = read_node(folder, tree)
            if node is None:
                continue
            if node.kind == "array":
                size = _pixels_of(node.document)
                found += [(size, ImageBelow("/".join((*names, name)), folder))] * bool(size)
            elif len(names) < _MAX_ARRAYS_DEPTH:
                _look_for_arrays(folder, (*names, name), tree, found)


def _pixels_of(document: JsonObject) -> int:
    """How many numbers there are in an array that has planes; 0 for others."""
    shape, dtype = document.get("shape"), document.get("data_type", document.get("dtype"))
    is_number = isinstance(dtype, str) and _NUMBERS.fullmatch(dtype) is not None
    if not is_number or not isinstance(shape, list) or not all(type(n) is int for n in shape):
        return 0
    is_picture = 2 <= sum(n > 1 for n in shape) <= MAX_AXES and min(shape[-2:], default=0) > 1
    return math.prod(shape) if is_picture and min(shape) > 0 else 0


def setups_below(path: str, tree: Tree) -> list[ImageBelow]:
    """BigStitcher's stores below `path`, on a server that does not list them: ``s0-t0.zarr``, ….

    Those that the XML file beside it names (`Tree.named`), else counted from 0 on. Blocks on the network.
    """
    names = tree.named()
    if not names and _setups_there(path, tree, ["s0-t0.zarr"]):
        times = _counted(path, tree, "s0-t{}.zarr")
        names = [f"s{i}-t{t}.zarr" for i in range(_counted(path, tree, "s{}-t0.zarr")) for t in range(times)]
    return [ImageBelow(_name((name,)), tree.join(path, name)) for name in _setups_there(path, tree, names)]


def _expect(path: str, names: Sequence[str], of_v2: str, tree: Tree) -> None:
    """Have the metadata files of groups or arrays fetched together, those of Zarr v2 called `of_v2`."""
    files = {2: (of_v2,), 3: ("zarr.json",)}.get(tree.zarr_format or 0, (of_v2, "zarr.json"))
    tree.expect(tree.join(path, name, file) for name in names for file in files)


def _counted(path: str, tree: Tree, form: str) -> int:
    """How many numbers there are stores of, from 0, of which there is one."""
    n, at_once = 1, 8
    while n < _MAX_GROUPS:
        asked = [form.format(i) for i in range(n, n + at_once)]
        there = set(_setups_there(path, tree, asked))
        n += next((i for i, name in enumerate(asked) if name not in there), at_once)
        if len(there) < at_once:
            break
        at_once = min(at_once * 2, 64)
    return n


def _setups_there(path: str, tree: Tree, names: Sequence[str]) -> list[str]:
    """Those of the groups that are images; all are asked for at once."""
    names = names[:_MAX_GROUPS]
    _expect(path, names, ".zattrs", tree)
    found = []
    for name in names:
        with contextlib.suppress(DatasetError):
            node = read_node(tree.join(path, name), tree, tree.zarr_format, "group")
            if node is not None and node.kind != "array" and ngff.is_image(node.attributes):
                found.append(name)
    return found


class NwbImagesBelow(NamedTuple):
    """The series of an NWB file, and single images after them, by their paths in it; and notes on others."""

    paths: list[str]
    notes: list[str]


def series_below(path: str, tree: Tree) -> NwbImagesBelow:
    """The images of an NWB file; a series without images of its own is left out."""
    learn_consolidated(tree)
    sizes: dict[str, tuple[int, bool]] = {}
    notes: list[str] = []

    def is_shown(node: Node, tree: Tree) -> bool:
        n = _picture_size(node, tree)
        if is_picture := n > 0:
            sizes[node.path] = n, True
        elif n := _series_size(node, tree):
            sizes[node.path] = n, False
        elif nwb_series.is_series(node.attributes):
            names = read_node(tree.join(node.path, "external_file"), tree, node.version, "array")
            notes.extend([nwb_series.external_said(node.path, node.attributes)] * (names is not None))
        return is_picture or n > 0

    search = _GroupSearch(tree, is_shown)
    for place in nwb_series.PLACES:
        search.look(tree.join(path, place), (place,))
    found = (
        NwbImagePath("/".join(names), *sizes.get(tree.join(path, *names), (0, False)))
        for names in search.found
    )
    return NwbImagesBelow([each.path for each in in_order(found)], notes)


def masks_below(path: str, tree: Tree) -> list[ImageBelow]:
    """The tables of regions with masks of an NWB file, like `images_below`."""
    learn_consolidated(tree)
    search = _GroupSearch(tree, lambda node, _: nwb_series.is_regions(node.attributes))
    for place in nwb_series.PLACES:
        search.look(tree.join(path, place), (place,))
    return [ImageBelow(names[-1], tree.join(path, *names)) for names in search.found]


def _series_size(node: Node, tree: Tree) -> int:
    """How many numbers a series of images has; 0 if it is none, or has no images of its own."""
    if not nwb_series.is_series(node.attributes):
        return 0
    data = read_node(tree.join(node.path, "data"), tree, node.version, "array")
    return 0 if data is None or data.kind != "array" else _n_numbers(data)


def _picture_size(node: Node, tree: Tree) -> int:
    """How many numbers a single image has; 0 if it is none."""
    if node.attributes.get("neurodata_type") not in SINGLE_IMAGES:
        return 0
    array = node if node.kind == "array" else read_node(node.path, tree, node.version, "array")
    is_picture = array is not None and nwb_series.is_picture(node.attributes, array.document.get("shape"))
    return 0 if array is None or not is_picture else _n_numbers(array)


def _n_numbers(array: Node) -> int:
    """How many numbers an array has; 1 if its shape makes no sense, which reading it says."""
    shape = array.document.get("shape") or [0]
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        return 1
    return math.prod(shape)


def _name(names: Sequence[str]) -> str:
    *folders, last = names
    return "/".join((*folders, last.removesuffix(".zarr").removesuffix(".ome") or last))


class _GroupSearch:
    """One search; `found` are the paths of images, folder by folder."""

    def __init__(self, tree: Tree, is_image: Callable[[Node, Tree], bool]) -> None:
        self._tree = tree
        self._is_image = is_image
        self._left = _MAX_GROUPS
        self.found: list[tuple[str, ...]] = []

    def look(self, path: str, names: tuple[str, ...]) -> None:
        below = self._tree.groups(path)[: self._left] if len(names) < _MAX_GROUP_DEPTH else []
        _expect(path, below, ".zattrs", self._tree)
        for name in below:
            self._left -= 1
            if self._left < 0:
                return
            folder = self._tree.join(path, name)
            try:
                node = read_node(folder, self._tree, kind="group")
            except DatasetError:
                with contextlib.suppress(DatasetError):
                    if _has_array(folder, self._tree):  # an image: reading it says what is wrong
                        self.found.append((*names, name))
                continue
            if node is None:
                continue
            if self._is_image(node, self._tree):
                self.found.append((*names, name))
            elif node.kind != "array":
                self.look(folder, (*names, name))


def is_image_group(node: Node, tree: Tree) -> bool:
    """Whether a group is an image: by its metadata, or by the array "0" in it."""
    if node.kind == "array":
        return False
    if ngff.is_image(node.attributes):
        return True
    return _has_array(node.path, tree, node.version)


def _has_array(path: str, tree: Tree, version: int | None = None) -> bool:
    """Whether there is an array "0" in a folder. Raises a `DatasetError` if that cannot be read."""
    if "0" not in tree.groups(path):
        return False
    level = read_node(tree.join(path, "0"), tree, version)
    return level is not None and level.kind == "array"
