"""One group or array of a Zarr store, one image: metadata files → what is stored and how to show it.

No array is opened here. The files come from a `Tree`, which knows where they are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    DatasetError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ...metadata import ngff, nwb_series, plates
from ...metadata.guessed_axes import SAMPLES, axes_given, channels_last
from ...metadata.named_axes import Axis
from ...metadata.ngff_levels import finest_first, is_finest_first
from ...metadata.nwb_types import MASKS
from ...model import RGB_COLORS
from ...storage.about_files import about_file
from ...storage.decoding.fill_values import fill_value
from ...storage.decoding.shard_decoder import object_decoder
from ...storage.decoding.strict_metadata import strict_metadata
from ...storage.decoding.zarr_guard import ArrayFacts, array_facts, dimension_names, is_native
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS, MOST_LEVELS, is_plain_json
from ...storage.printable import brief
from ...storage.trees.consolidated import CONSOLIDATED
from ...storage.trees.tree import LOCAL
from .nwb_arrays import NwbArrays
from .pixel_lists import MasksOfLists, PixelList, masks_of_lists
from .small_arrays import numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import PlaneKey
    from ...storage.limits import JsonObject
    from ...storage.trees.tree import Tree

ACQUISITION = "acquisition.zarr"


class Node(NamedTuple):
    """One group or array: its folder, its metadata file, Zarr version, attributes, array metadata.

    `is_copied`: its own file is not there, or does not say what `document` says, which was found elsewhere:
    in consolidated metadata, or in the names of chunks.
    """

    path: str
    file: str
    version: int
    kind: str
    attributes: JsonObject
    document: JsonObject
    is_copied: bool = False


def read_node(path: str, tree: Tree = LOCAL, version: int | None = None, kind: str = "") -> Node | None:
    """Read the metadata of the group or array at `path`; None if there is none.

    `version` and `kind` ("group", "array") are those implied by its parent: on a server, nothing else is
    requested. Raises `MetadataError` for broken JSON, and the errors of `Tree.read_json`.
    """
    return _own_node(path, tree, version, kind) or _copied_node(path, tree)


def _own_node(path: str, tree: Tree, version: int | None, kind: str) -> Node | None:
    if not tree.remote:
        return _v3_node_at(path, tree) or _v2_node(path, tree, "")
    if version is None and tree.zarr_format is None:  # neither is likelier: request both at once
        tree.expect(tree.join(path, name) for name in ("zarr.json", ".zattrs"))
    likelier_2 = tree.zarr_format == 2
    for each in (version,) if version is not None else (2, 3) if likelier_2 else (3, 2):
        node = _v3_node_at(path, tree) if each == 3 else _v2_node(path, tree, kind)
        if node is not None:
            tree.zarr_format = each
            return node
    return None


def learn_consolidated(
    tree: Tree, names: Sequence[str] = (CONSOLIDATED, "zarr.json"), folder: str = ""
) -> None:
    """Read the consolidated metadata at the root of a dataset, if there is any and it has changed.

    `folder` is another one than the root.
    """
    folder = folder or tree.root
    for name in names if folder else ():
        file = tree.join(folder, name)
        raw = tree.read_small(file)
        if raw is not None:
            tree.consolidated.learn(folder, raw, file)


def _copied_node(path: str, tree: Tree) -> Node | None:
    """The node as consolidated metadata describes it; None if it does not."""
    learn_consolidated(tree)

    def copied(name: str) -> JsonObject | None:
        return tree.consolidated.document(tree.join(path, name))

    if (document := copied("zarr.json")) is not None:
        return _v3_node(path, tree.join(path, "zarr.json"), document)._replace(is_copied=True)
    attributes = copied(".zattrs")
    if (document := copied(".zarray")) is not None:
        return Node(path, tree.join(path, ".zarray"), 2, "array", attributes or {}, document, is_copied=True)
    if attributes is None and copied(".zgroup") is None:
        return None
    return Node(path, tree.join(path, ".zattrs"), 2, "group", attributes or {}, {}, is_copied=True)


def _v3_node_at(path: str, tree: Tree) -> Node | None:
    file = tree.join(path, "zarr.json")
    document = tree.read_json(file)
    return None if document is None else _v3_node(path, file, document)


def _v2_node(path: str, tree: Tree, kind: str) -> Node | None:
    array, group = tree.join(path, ".zarray"), tree.join(path, ".zattrs")
    if not tree.remote:
        document, attributes = tree.read_json(array), tree.read_json(group)
    else:  # saves a request if it is clear which of the two it is
        attributes = None if kind == "array" else tree.read_json(group)
        is_group = kind == "group" or (attributes is not None and _of_a_group(attributes, group))
        document = None if is_group else tree.read_json(array)
    if document is not None:
        return Node(path, array, 2, "array", attributes or {}, document)
    is_unknown = attributes is None and tree.remote and not tree.lists  # a request less
    if is_unknown or (attributes is None and not tree.is_file(tree.join(path, ".zgroup"))):
        return None
    return Node(path, group, 2, "group", attributes or {}, {})


def _of_a_group(attributes: JsonObject, file: str) -> bool:
    if ngff.is_image(attributes):
        return "" not in ngff.image_meta(attributes, file).paths
    return plates.is_plate(attributes) or plates.is_well(attributes) or plates.is_collection(attributes)


def _v3_node(path: str, file: str, document: JsonObject) -> Node:
    if document.get("zarr_format") != 3:
        raise UnsupportedError(f"{file}: zarr_format is {brief(document.get('zarr_format'))}, expected 3")
    kind = document.get("node_type")
    if kind not in ("group", "array"):
        raise UnsupportedError(f"{file}: node_type is {brief(kind)}, expected 'group' or 'array'")
    return Node(path, file, 3, kind, attributes_of(document), document)


def attributes_of(document: JsonObject) -> JsonObject:
    """The attributes in a ``zarr.json``."""
    value = document.get("attributes")
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class ZarrImage:
    """One level of one image as described by its metadata; compare two to detect changes.

    `array` is the folder of the array. `provisional` while no metadata names its axes: the writer may
    write it after the array.
    """

    array: str
    level: int
    n_levels: int
    meta: ngff.ImageMeta
    facts: ArrayFacts
    axes: tuple[Axis, ...]
    document: JsonObject
    provisional: bool
    warnings: tuple[str, ...]
    is_as_written: bool = True
    """Whether the array's own file is there and says what `document` says, as tensorstore reads it."""
    guess: tuple[Axis, ...] | None = None
    """What its axes are taken for by their number, if its metadata do not say it."""
    is_native: bool = True
    """Whether tensorstore knows its codecs."""
    pixels: PixelList | None = None
    """The list of pixels that it is made from, if it is."""
    without_alpha: bool = False
    """Whether a fourth sample of colour pixels is left out, as of NWB."""

    def has(self, role: str) -> bool:
        """Whether the array has this axis."""
        return any(axis.role == role for axis in self.axes)

    def size(self, role: str) -> int:
        """Samples along an axis, 1 if the array does not have it."""
        return self._sizes.get(role, 1)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        sizes = zip(self.axes, self.facts.shape, strict=True)
        found = {axis.role: n for axis, n in reversed(list(sizes))}  # of two of a role, the first counts
        return {**found, "c": min(found["c"], 3)} if self.without_alpha and "c" in found else found

    def holds(self, key: PlaneKey, p_index: int | None) -> bool:
        """Whether a plane of the position at `p_index` is within the array; `key` has its own channel."""
        sizes = self._sizes
        return (
            key.t < sizes.get("t", 1)
            and key.c < sizes.get("c", 1)
            and key.z < sizes.get("z", 1)
            and (p_index or 0) < sizes.get("p", 1)
        )

    @cached_property
    def plane_shape(self) -> tuple[int, int]:
        """(Y, X) of one plane."""
        return self.size("y"), self.size("x")

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Of each axis, the index of its role in "tpczyx"; -1 for others."""
        return tuple("tpczyx".find(axis.role) if axis.role else -1 for axis in self.axes)

    @property
    def fill_value(self) -> np.generic:
        """What pixels are that are not stored; raises `MetadataError`."""
        return fill_value(self.document.get("fill_value"), self.facts.dtype, self.array)


def read_image(store: str, level: int = 0, tree: Tree = LOCAL) -> ZarrImage:
    """Read and check the metadata of one level of the image at `store`, a group or an array.

    Raises `PlaneNotStoredError` while there is none, `IndexError` if there is no such level, another
    `DatasetError` if it cannot be shown. Any thread, blocks on disk or network.
    """
    node = read_node(store, tree)
    if node is not None and node.kind == "array":
        _check_level(level, 1, store)
        if nwb_series.is_picture(node.attributes, node.document.get("shape")):
            return _image_of_picture(node, tree)
        meta = ngff.image_meta(node.attributes, node.file)
        return _image(_with_separator(node, tree), meta, 0, 1, provisional=meta.axes is None, given=tree.axes)
    if node is None or not ngff.is_image(node.attributes):
        inner = inner_acquisition(store, tree)
        if inner is not None:
            return read_image(inner, level, tree)
    if node is not None and nwb_series.is_series(node.attributes):
        return _image_of_series(node, level, tree)
    if node is not None and nwb_series.is_regions(node.attributes):
        return _image_of_masks(node, level, tree)
    meta = meta_of(node, tree) if node is not None else ngff.ImageMeta()
    paths = meta.paths or ("0",)
    _check_level(level, len(paths), store)
    array = _array_node(tree.inside(store, paths[level]), tree, None if node is None else node.version)
    return _image(
        _with_separator(array, tree), meta, level, len(paths), provisional=not meta.paths, given=tree.axes
    )


def meta_of(node: Node, tree: Tree = LOCAL) -> ngff.ImageMeta:
    """What a group says of its image, its levels finest first, as far as all of their arrays are there.

    Where its scales do not say that they are, the metadata of the arrays are read. Blocks on disk or network;
    raises the errors of `ngff.image_meta`.
    """
    meta = ngff.image_meta(node.attributes, node.file)
    if not 1 < len(meta.paths) <= MOST_LEVELS or is_finest_first(meta):
        return meta
    folders = [tree.inside(node.path, path) for path in meta.paths]
    tree.expect(tree.join(folder, ".zarray" if node.version == 2 else "zarr.json") for folder in folders)
    try:
        shapes = [_array_node(folder, tree, node.version).document.get("shape") for folder in folders]
    except PlaneNotStoredError:  # not written yet
        return meta
    except DatasetError:  # said of the level when it is read
        return finest_first(meta)
    known = [shape for shape in shapes if isinstance(shape, list) and all(type(n) is int for n in shape)]
    return finest_first(meta, known) if len(known) == len(shapes) else meta


def _image_of_series(group: Node, level: int, tree: Tree) -> ZarrImage:
    """The images of an NWB series, whose group has no OME metadata."""
    _check_level(level, 1, group.path)
    array, facts = _array_in(group, "data", tree)
    if 0 in facts.shape and read_node(tree.join(group.path, "external_file"), tree, group.version, "array"):
        said = nwb_series.external_said(group.path, group.attributes)
        raise UnsupportedError(f"{said}. Open those instead")
    name, look = tree.name(group.path), NwbArrays(group, tree, read_node)
    meta = nwb_series.series_meta(name, group.attributes, facts.shape, facts.dtype, look, group.path)
    return dataclasses.replace(_image(array, meta, 0, 1, provisional=False), without_alpha=True)


def _image_of_picture(array: Node, tree: Tree) -> ZarrImage:
    """A single image of NWB, an array that says so itself."""
    array, facts = _facts_of(array, tree)
    colours = _colours(facts.dtype)[:3]
    meta = nwb_series.picture_meta(tree.name(array.path), array.attributes, facts.shape, colours)
    return dataclasses.replace(_image(array, meta, 0, 1, provisional=False), without_alpha=True)


def _image_of_masks(group: Node, level: int, tree: Tree) -> ZarrImage:
    """The masks of a table of regions of NWB, a position each."""
    _check_level(level, 1, group.path)
    name, look = tree.name(group.path), NwbArrays(group, tree, read_node)
    node = read_node(tree.join(group.path, MASKS), tree, group.version, "array")
    if node is None:
        learn_consolidated(tree, folder=tree.top)  # which names the series
    listed = masks_of_lists(group, read_node, tree) if node is None else None
    if listed is not None:
        meta = nwb_series.masks_meta(name, group.attributes, listed.shape, look, group.path)
        return _image_of_lists(group, listed, meta)
    array, facts = _array_in(group, MASKS, tree)
    meta = nwb_series.masks_meta(name, group.attributes, facts.shape, look, group.path)
    return _image(array, meta, 0, 1, provisional=False)


def _image_of_lists(group: Node, masks: MasksOfLists, meta: ngff.ImageMeta) -> ZarrImage:
    """The image of masks that are lists, as if each were a chunk."""
    axes, _ = ngff.resolve_axes(meta, masks.shape, None, group.file)
    document = {
        **{"zarr_format": 2, "shape": list(masks.shape), "chunks": [1, *masks.shape[1:]], "dtype": "<f4"},
        **{"order": "C", "compressor": None, "filters": None, "fill_value": 0},
    }
    return ZarrImage(
        array=masks.pixels.folder,
        level=0,
        n_levels=1,
        meta=meta,
        facts=ArrayFacts(2, masks.shape, np.dtype(np.float32)),
        axes=axes,
        document=document,
        provisional=False,
        warnings=meta.warnings,
        is_as_written=False,
        is_native=False,
        pixels=masks.pixels,
    )


def region_names(group: str, n: int, tree: Tree) -> list[str]:
    """What the regions of a table of NWB are called: by their numbers, which are counted if it has none."""
    node = read_node(tree.join(group, "id"), tree, kind="array")
    numbers = numbers_of(node.document, node.path, tree) if node is not None and node.kind == "array" else []
    return [f"ROI {number:.0f}" for number in (numbers if len(numbers) == n else range(n))]


def _array_in(group: Node, name: str, tree: Tree) -> tuple[Node, ArrayFacts]:
    return _facts_of(_array_node(tree.join(group.path, name), tree, group.version), tree)


def _facts_of(array: Node, tree: Tree) -> tuple[Node, ArrayFacts]:
    array = _with_separator(array, tree)
    document = strict_metadata(array.document, array.version)
    facts = array_facts(document, array.version, array.file) if is_native(document, array.version) else None
    return array, facts or _decoded_facts(document, array)


def inner_acquisition(field: str, tree: Tree = LOCAL) -> str | None:
    """``acquisition.zarr`` in this folder or, one per time point, in its first numbered folder."""
    numbered = [name for name in tree.folders(field) if name.isdecimal()][:1]
    candidates = [
        tree.join(field, *between, ACQUISITION) for between in ((), *((name,) for name in numbered))
    ]
    return next((path for path in candidates if tree.is_folder(path)), None)


def _guess(
    meta: ngff.ImageMeta, shape: Sequence[int], names: Sequence[str | None] | None, file: str
) -> tuple[Axis, ...] | None:
    """What the axes would be taken for; None if the metadata say what they are."""
    try:
        axes, warning = ngff.resolve_axes(meta, shape, names, file)
    except DatasetError:
        return (Axis("", ""),) * len(shape)
    return axes if warning else None


def _check_level(level: int, n_levels: int, store: str) -> None:
    if not 0 <= level < n_levels:
        have = "only level 0" if n_levels == 1 else f"levels 0 to {n_levels - 1}"
        raise IndexError(f"{store} has no resolution level {level}: it has {have}")


def _array_node(folder: str, tree: Tree, version: int | None) -> Node:
    node = read_node(folder, tree, version, "array")
    if node is None:
        raise PlaneNotStoredError(f"no array in {folder} yet: expected zarr.json or .zarray")
    if node.kind != "array":
        raise MetadataError(f"{node.file} describes a group, but the image's array is expected there")
    return node


def _decoded_facts(document: JsonObject, node: Node) -> ArrayFacts:
    """The facts of an array whose chunks are decoded here; raises like `object_decoder`."""
    decoder = object_decoder(document, node.file)
    names = dimension_names(document, node.file) if node.version == 3 else None
    shape = tuple(document["shape"])
    return ArrayFacts(node.version, shape, decoder.dtype.newbyteorder("="), names)


_FIRST_FOLDERS = 8


def _with_separator(node: Node, tree: Tree) -> Node:
    """The node of a v2 array with the separator in the names of its chunks, where its metadata leaves that
    out.

    The default is a dot, but writers of nested chunks leave it out as well (zarr-python 2.5's
    ``NestedDirectoryStore``, n5-zarr): then there are folders with numbers as names. On a server two files
    are asked for.
    """
    document = node.document
    shape = document.get("shape")
    if (
        node.version == 3
        or "dimension_separator" in document
        or not isinstance(shape, list)
        or len(shape) < 2
    ):
        return node
    if tree.remote:
        names = [tree.join(node.path, separator.join("0" * len(shape))) for separator in "./"]
        is_nested = not tree.has_file(names[0]) and tree.has_file(names[1])
    else:
        folders = (tree.join(node.path, str(i)) for i in range(_FIRST_FOLDERS))
        is_nested = any(map(tree.is_folder, folders))
    return (
        node._replace(document={**document, "dimension_separator": "/"}, is_copied=True)
        if is_nested
        else node
    )


def _colours(dtype: np.dtype[Any]) -> tuple[ngff.NamedChannel, ...]:
    """The samples of colour pixels as channels, without the fourth, which is no colour."""
    window = (0.0, 255.0) if dtype.itemsize == 1 else None
    named = zip(("red", "green", "blue"), RGB_COLORS, strict=True)
    colours = [ngff.NamedChannel(name, color, window) for name, color in named]
    return (*colours, ngff.NamedChannel("alpha", active=False))


def _image(
    node: Node, meta: ngff.ImageMeta, level: int, n_levels: int, *, provisional: bool, given: str = ""
) -> ZarrImage:
    """The image in an array; `given` are its axes as a person says, see `axes_given`."""
    document = strict_metadata(node.document, node.version)
    native = is_native(document, node.version)
    facts = array_facts(document, node.version, node.file) if native else _decoded_facts(document, node)
    names = facts.dimension_names or ngff.dimension_names(node.attributes)
    if given:
        roles = axes_given(given, facts.shape, node.file)
        axes = tuple(Axis("c" if role == SAMPLES else role, "") for role in roles)
        warning = None
    elif not names and not meta.paths and meta.axes is None and (last := channels_last(facts.shape)):
        axes = tuple(Axis(role, "") for role in last)
        in_colour = facts.shape[-1] in (3, 4) and facts.dtype.kind == "u" and facts.dtype.itemsize <= 2
        if in_colour and not meta.channels:
            meta = dataclasses.replace(meta, channels=_colours(facts.dtype))
        told = f"{' '.join(last[:-1])} and colour" if in_colour else " ".join(last)
        warning = f"{node.file}: axes are not named; assuming {told}"
    else:
        axes, warning = ngff.resolve_axes(meta, facts.shape, names, node.file)
        is_last = bool(axes) and axes[-1].role == "c"
        in_colour = is_last and facts.shape[-1] in (3, 4) and facts.dtype == np.uint8
        if in_colour and not meta.channels and not meta.paths:
            meta = dataclasses.replace(meta, channels=_colours(facts.dtype))
    image = ZarrImage(
        array=node.path,
        level=level,
        n_levels=n_levels,
        meta=meta,
        facts=facts,
        axes=axes,
        document=document,
        provisional=provisional and not given,
        guess=axes if warning else _guess(meta, facts.shape, names, node.file) if given else None,
        warnings=tuple(about_file(each, node.file) for each in (*meta.warnings, warning) if each),
        is_native=native,
        is_as_written=document is node.document and not node.is_copied and is_plain_json(document),
    )
    for role, most in (("p", MAX_POSITIONS), ("c", MAX_CHANNELS)):  # each one becomes an object in memory
        if image.size(role) > most:
            raise LimitExceededError(
                f"{node.file}: axis {role!r} has size {image.size(role)}; at most {most} can be shown"
            )
    if 0 in facts.shape:
        raise PlaneNotStoredError(f"{node.file}: the array is empty, its shape is {facts.shape}")
    return image
