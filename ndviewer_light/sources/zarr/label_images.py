"""The label images that belong to an image: those in the group ``labels`` in it, or beside it.

Source: OME-NGFF 0.4 to 0.6, "labels" metadata; SpatialData has them in a group beside ``images``. NWB has
masks of regions in tables, which belong to the series of their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata import nwb_series
from ...metadata.labels import GROUP, label_facts, label_paths
from ...model import LabelFacts
from ...storage.bytes import split_inner
from .groups_below import images_below, masks_below
from .nodes import learn_consolidated, read_image, read_node

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree


def label_images(path: str, store: str, tree: Tree, *, ask: bool = False) -> tuple[str, ...]:
    """The label images of the image at `store`, as they are opened: ``x.zarr::labels/cells``.

    `path` is what was opened. On a server only those that consolidated metadata lists, unless `ask`: then its
    ``labels`` group is asked for. Blocks on disk, or network. Raises nothing.
    """
    if tree.remote and tree.zarr_format == 3:
        learn_consolidated(tree, ("zarr.json",))  # which was read already
    groups = dict.fromkeys(tree.join(folder, GROUP) for folder in (store, tree.root))
    found: dict[str, None] = {}
    for group in groups:
        is_asked_for = ask and tree.remote and group == tree.join(store, GROUP)
        if not (is_asked_for or tree.is_folder(group) or tree.consolidated.folders(group)):
            continue
        try:
            found.update(dict.fromkeys(_in_group(group, tree)))
        except DatasetError:  # opening it will say what is wrong
            continue
    found.update(dict.fromkeys(_masks_of_series(store, tree)))
    return tuple(_as_opened(path, each, tree) for each in found)


def _masks_of_series(store: str, tree: Tree) -> list[str]:
    """The masks of NWB that are of the size of the series at `store`."""
    try:
        node = read_node(store, tree, kind="group")  # first, as metadata of a plate are long
        if node is None or not nwb_series.is_series(node.attributes):
            return []
        root = read_node(tree.top or tree.root, tree)
        if root is None or not nwb_series.is_file(root.attributes):
            return []
        size = read_image(store, 0, tree).plane_shape
        below = masks_below(tree.top or tree.root, tree)
    except DatasetError:  # reading it will say what is wrong
        return []
    return [each.path for each in below if _plane_of_masks(each.path, tree) == size]


def _plane_of_masks(path: str, tree: Tree) -> tuple[int, int] | None:
    try:
        return read_image(path, 0, tree).plane_shape
    except DatasetError:  # lists of pixels, for example
        return None


def facts_of_labels(store: str, tree: Tree) -> LabelFacts:
    """What the metadata of the image at `store` say of its values; nothing where they cannot be read."""
    try:
        node = read_node(store, tree)
    except DatasetError:  # its planes are shown in other colours
        return LabelFacts()
    return label_facts(node.attributes) if node is not None else LabelFacts()


def _in_group(group: str, tree: Tree) -> list[str]:
    node = read_node(group, tree, kind="group")
    if node is None or node.kind != "group":
        return []
    listed = [tree.inside(group, name) for name in label_paths(node.attributes, node.file)]
    return listed or [image.path for image in images_below(group, tree)]


def _as_opened(path: str, label: str, tree: Tree) -> str:
    file, inner = split_inner(path)
    if label.startswith(file + tree.sep):
        return f"{file}::{label[len(file) + 1 :].replace(tree.sep, '/')}"
    below = label[len(tree.root) + 1 :].replace(tree.sep, "/")
    return f"{file}::{inner.strip('/') + '/' if inner else ''}{below}"
