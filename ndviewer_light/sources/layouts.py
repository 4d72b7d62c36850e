"""Where the images of an OME-Zarr dataset lie: folders and small JSON files → positions in order.

No array is opened here. Opening reads the plate's and the wells' metadata, or one file per 6-D
region; of the images themselves only what `read_image` is asked for.

Layouts and the `format` each gives its dataset:

====================  ==========================================================================
ome-zarr plate        HCS plate by its metadata, or by folders ``<row>/<column>/<field>`` without
ome-zarr well         one well of a plate
ome-zarr per-fov      ``zarr/<region>/fov_<n>.ome.zarr`` or ``.zarr``
ome-zarr 6d           ``zarr/<region>/acquisition.zarr`` or any image with a position axis
ome-zarr collection   bioformats2raw series, or a folder of several images
ome-zarr image        one image group
zarr array            an array without OME metadata
====================  ==========================================================================

Order is natural everywhere: 0, 1, 2, 10; A1, A2, A10, B1; Z before AA.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, repeat
from typing import TYPE_CHECKING, NamedTuple

from ..errors import (
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ..model import Position, natural_sorted
from ..storage.limits import (
    MAX_CHANNELS,
    MAX_DIRECTORY_ENTRIES,
    MAX_POSITIONS,
    error_of_os,
    parse_json,
    read_json,
    read_small_file,
)
from ..storage.zarr_guard import ArrayFacts, array_facts, check_plane
from . import ngff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..storage.limits import JsonObject

METADATA_FILES = ("zarr.json", ".zarray", ".zattrs", ".zgroup")

_PLATES = ("plate.ome.zarr", "plate.zarr")
_FOV_STORE = re.compile(r"fov_(\d+)(\.ome)?\.zarr")
_ACQUISITION = "acquisition.zarr"


class Place(NamedTuple):
    """One position: the folder of its image group or array, and its index along a position axis if any."""

    position: Position
    store: str
    p_index: int | None = None


@dataclass(frozen=True)
class Layout:
    """All positions of a dataset in order, and what kind of dataset it is."""

    format: str
    places: tuple[Place, ...]
    warnings: tuple[str, ...] = ()


def recognises(path: str) -> bool:
    """Whether something at `path` looks like OME-Zarr: names, and at most a few small folders."""
    if os.path.basename(path) in METADATA_FILES:
        return True
    if not os.path.isdir(path):
        return False
    try:
        names = set(_names(path))
    except DatasetError:
        return path.endswith(".zarr")
    if any(name in METADATA_FILES or name.endswith(".zarr") for name in names):
        return True
    if "0" in names and any(name in METADATA_FILES for name in _names(os.path.join(path, "0"))):
        return True
    folders = [os.path.join(path, "zarr")] * ("zarr" in names) + [path] * (os.path.basename(path) == "zarr")
    return any(_region_folders(folder) for folder in folders)


def discover(path: str) -> Layout:
    """Find the positions of the dataset at `path`; any thread, blocks on disk.

    Raises `DatasetNotFoundError` if there are none, and the error of the metadata at `path` itself;
    wells and regions that cannot be read become warnings.
    """
    if os.path.basename(path) in METADATA_FILES and not os.path.isdir(path):
        path = os.path.dirname(path)
    finder = _Finder()
    layout = finder.find(path)
    if layout is None or not layout.places:
        raise DatasetNotFoundError(
            f"{path} holds no image that we can find: expected an OME-Zarr image, plate, well or array, "
            "or a folder with plate.ome.zarr or zarr/<region>/… (a run just started holds nothing yet)"
        )
    if len(layout.places) > MAX_POSITIONS:
        raise LimitExceededError(
            f"{path} has {len(layout.places)} positions; at most {MAX_POSITIONS} can be shown"
        )
    return layout


class _Finder:
    """One walk over a dataset; collects warnings on the way."""

    def __init__(self) -> None:
        self._warnings: list[str] = []
        self._images_of_well: dict[bytes, tuple[str, ...] | None] = {}

    def find(self, path: str) -> Layout | None:
        node = read_node(path)
        layout = self._by_metadata(node) if node is not None else None
        return layout if layout is not None else self._by_folders(path, node)

    def _layout(self, name: str, places: list[Place]) -> Layout | None:
        return Layout(name, tuple(places), tuple(self._warnings)) if places else None

    # ---- what the metadata says ------------------------------------------------------------

    def _by_metadata(self, node: Node) -> Layout | None:
        if node.kind == "array" or ngff.is_image(node.attributes):
            return self._single(node.path)
        if ngff.is_plate(node.attributes):
            return self._layout("ome-zarr plate", self._plate_places(node))
        if ngff.is_well(node.attributes):
            row, column = node.path.split(os.sep)[-2:]
            return self._layout(
                "ome-zarr well", self._well_places(node.path, ngff.region_name(row, column), node.version)
            )
        if ngff.is_collection(node.attributes):
            return self._layout("ome-zarr collection", self._series_places(node.path))
        return None

    def _single(self, path: str) -> Layout | None:
        image = read_image(path)
        places = [Place(Position("default", i), path, i) for i in range(image.size("p"))]
        if image.has("p"):
            return self._layout("ome-zarr 6d", places)
        bare = image.array == path and image.provisional
        return self._layout("zarr array" if bare else "ome-zarr image", [places[0]._replace(p_index=None)])

    def _plate_places(self, node: Node) -> list[Place]:
        places: list[Place] = []
        for well in ngff.plate_wells(node.attributes, node.file):
            places += self._well_places(_join(node.path, well.path), well.region, node.version)
        return places

    def _well_places(self, path: str, region: str, version: int) -> list[Place]:
        images = self._listed_images(path, version)
        if images is None:
            return _field_places(path, region)
        base = path + os.sep
        positions = map(Position, repeat(region), _field_numbers(images))
        return list(map(Place._make, zip(positions, [base + image for image in images], repeat(None))))

    def _listed_images(self, path: str, version: int) -> tuple[str, ...] | None:
        try:
            if version == 3 and (raw := read_small_file(file := os.path.join(path, "zarr.json"))) is not None:
                return self._images_listed_in(raw, file)
            node = read_node(path)
            return None if node is None else ngff.well_images(node.attributes, node.file)
        except DatasetError as error:  # one broken well must not cost the plate
            self._warnings.append(str(error))
            return None

    def _images_listed_in(self, raw: bytes, file: str) -> tuple[str, ...] | None:
        # the wells of a plate mostly say the same, byte for byte: understand it once
        if raw not in self._images_of_well:
            attributes = _object(parse_json(raw, file), "attributes")
            self._images_of_well[raw] = ngff.well_images(attributes, file)
        return self._images_of_well[raw]

    def _series_places(self, path: str) -> list[Place]:
        ome = read_node(os.path.join(path, "OME"))
        listed = ngff.series_paths(ome.attributes, ome.file) if ome is not None else None
        if listed is None:
            listed = tuple(name for name in _folders(path) if name.isdecimal())
        return [Place(_series_position(i, name), _join(path, name)) for i, name in enumerate(listed)]

    # ---- what the folders say --------------------------------------------------------------

    def _by_folders(self, path: str, node: Node | None) -> Layout | None:
        for plate in _PLATES:
            if os.path.isdir(os.path.join(path, plate)):
                found = self.find(os.path.join(path, plate))
                if found is not None:
                    return found
        return (
            self._regions(os.path.join(path, "zarr"))
            or self._region_alone(path)
            or self._image_without_metadata(path)
            or self._unmarked_collection(path)
            or self._plate_without_metadata(path, node)
            or (self._regions(path) if os.path.basename(path) == "zarr" else None)
            or self._folder_of_images(path)
        )

    def _regions(self, root: str) -> Layout | None:
        places: list[Place] = []
        for region in _region_folders(root):
            places += self._region_places(os.path.join(root, region), region)
        return self._region_layout(places)

    def _region_alone(self, path: str) -> Layout | None:
        return self._region_layout(self._region_places(path, os.path.basename(path)))

    def _region_layout(self, places: list[Place]) -> Layout | None:
        stacked = any(place.p_index is not None for place in places)
        return self._layout("ome-zarr 6d" if stacked else "ome-zarr per-fov", places)

    def _region_places(self, path: str, region: str) -> list[Place]:
        names = _folders(path)
        if _ACQUISITION in names:
            return self._acquisition_places(os.path.join(path, _ACQUISITION), region)
        stores: dict[int, str] = {}
        for name in sorted(names):  # .ome.zarr before .zarr
            if match := _FOV_STORE.fullmatch(name):
                stores.setdefault(int(match[1]), os.path.join(path, name))
        return [Place(Position(region, fov), stores[fov]) for fov in sorted(stores)]

    def _acquisition_places(self, store: str, region: str) -> list[Place]:
        """Positions of a region in one store; how many there are only the store says."""
        try:
            image = read_image(store)
        except PlaneNotStoredError:
            return []
        except DatasetError as error:  # one broken region must not cost the others
            self._warnings.append(str(error))
            return [Place(Position(region, 0), store, 0)]
        if not image.has("p"):
            return [Place(Position(region, 0), store)]
        return [Place(Position(region, i), store, i) for i in range(image.size("p"))]

    def _image_without_metadata(self, path: str) -> Layout | None:
        child = read_node(os.path.join(path, "0"))
        return self._single(path) if child is not None and child.kind == "array" else None

    def _unmarked_collection(self, path: str) -> Layout | None:
        if not os.path.isdir(os.path.join(path, "OME")):
            return None
        return self._layout("ome-zarr collection", self._series_places(path))

    def _plate_without_metadata(self, path: str, node: Node | None) -> Layout | None:
        # only inside a store: in any other folder it would walk through whatever lies there
        if node is None and not path.endswith(".zarr"):
            return None
        places: list[Place] = []
        for row in _folders(path):
            for column in _folders(os.path.join(path, row)):
                places += _field_places(os.path.join(path, row, column), ngff.region_name(row, column))
        return self._layout("ome-zarr plate", places)

    def _folder_of_images(self, path: str) -> Layout | None:
        stores = [name for name in _folders(path) if name.endswith(".zarr") and name not in _PLATES]
        if len(stores) == 1:
            return self.find(os.path.join(path, stores[0]))
        places = [
            Place(Position(name.removesuffix(".zarr").removesuffix(".ome"), 0), os.path.join(path, name))
            for name in stores
        ]
        return self._layout("ome-zarr collection", places)


def _series_position(index: int, name: str) -> Position:
    return Position("series", index) if name.isdecimal() else Position(name, 0)


@lru_cache(maxsize=64)  # wells of a plate mostly list the same images
def _field_numbers(images: tuple[str, ...]) -> tuple[int, ...]:
    numbers = [int(image) for image in images if image.isdecimal() and image.isascii()]
    return tuple(numbers) if len(set(numbers)) == len(images) else tuple(range(len(images)))


def _field_places(well: str, region: str) -> list[Place]:
    """Fields of a well by its folders: those whose name is a number and that hold an image."""
    fields = [name for name in _folders(well) if name.isdecimal() and name.isascii()]
    stores = [(int(name), _field_store(os.path.join(well, name))) for name in fields]
    return [Place(Position(region, fov), store) for fov, store in stores if store is not None]


def _field_store(field: str) -> str | None:
    """Return the folder of a field's image: the field itself or, as older Squid has it, a store inside."""
    inner = _inner_acquisition(field)
    if inner is not None:
        return inner
    names = set(_names(field))
    return field if "0" in names or names.intersection(METADATA_FILES) else None


def _inner_acquisition(field: str) -> str | None:
    """``acquisition.zarr`` in this folder or, one per time point, in its first numbered folder."""
    numbered = [name for name in _folders(field) if name.isdecimal()][:1]
    candidates = [
        os.path.join(field, *between, _ACQUISITION) for between in ((), *((name,) for name in numbered))
    ]
    return next((path for path in candidates if os.path.isdir(path)), None)


def _region_folders(root: str) -> list[str]:
    return [name for name in _folders(root) if any(map(_is_region_store, _folders(os.path.join(root, name))))]


def _is_region_store(name: str) -> bool:
    return name == _ACQUISITION or _FOV_STORE.fullmatch(name) is not None


def _join(root: str, relative: str) -> str:
    """Join a path from metadata, already checked by `safe_relative`."""
    return root + os.sep + relative.replace("/", os.sep) if relative else root


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds and a person put there: nothing hidden, no locks of writers."""
    try:
        with os.scandir(path) as found:
            entries = list(islice(found, MAX_DIRECTORY_ENTRIES + 1))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error
    if len(entries) > MAX_DIRECTORY_ENTRIES:
        raise LimitExceededError(f"{path} holds more than {MAX_DIRECTORY_ENTRIES} entries")
    for entry in entries:
        if entry.name in METADATA_FILES or not (entry.name.startswith(".") or entry.name.endswith(".__lock")):
            yield entry


def _names(path: str) -> list[str]:
    return [entry.name for entry in _entries(path)]


def _folders(path: str) -> list[str]:
    return natural_sorted(entry.name for entry in _entries(path) if _is_dir(entry))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a dangling or looping link
        return False


# ---- one node, one image -------------------------------------------------------------------


class Node(NamedTuple):
    """One group or array: its folder, the file that says so, zarr version, attributes, array metadata."""

    path: str
    file: str
    version: int
    kind: str
    attributes: JsonObject
    document: JsonObject


def read_node(path: str) -> Node | None:
    """Read the metadata of the group or array at `path`; None if there is none.

    Raises `MetadataError` for broken JSON and what else `read_json` raises.
    """
    file = os.path.join(path, "zarr.json")
    document = read_json(file)
    if document is not None:
        return _v3_node(path, file, document)
    file = os.path.join(path, ".zarray")
    document = read_json(file)
    attributes = read_json(os.path.join(path, ".zattrs"))
    if document is not None:
        return Node(path, file, 2, "array", attributes or {}, document)
    if attributes is None and not os.path.isfile(os.path.join(path, ".zgroup")):
        return None
    return Node(path, os.path.join(path, ".zattrs"), 2, "group", attributes or {}, {})


def _v3_node(path: str, file: str, document: JsonObject) -> Node:
    if document.get("zarr_format") != 3:
        raise UnsupportedError(f"{file}: zarr_format is {document.get('zarr_format')!r}, expected 3")
    kind = document.get("node_type")
    if kind not in ("group", "array"):
        raise UnsupportedError(f"{file}: node_type is {kind!r}, expected 'group' or 'array'")
    return Node(path, file, 3, kind, _object(document, "attributes"), document)


def _object(document: JsonObject, key: str) -> JsonObject:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Image:
    """One level of one image as its metadata describes it; compare two to see whether anything changed.

    `array` is the folder of the array. `provisional` while no metadata names its axes: a writer may
    write them after the array.
    """

    array: str
    level: int
    n_levels: int
    meta: ngff.ImageMeta
    facts: ArrayFacts
    axes: tuple[ngff.Axis, ...]
    document: JsonObject
    provisional: bool
    warnings: tuple[str, ...]

    def has(self, role: str) -> bool:
        """Whether the array has this axis."""
        return any(axis.role == role for axis in self.axes)

    def size(self, role: str) -> int:
        """Samples along an axis, 1 if the array does not have it."""
        return next((n for axis, n in zip(self.axes, self.facts.shape, strict=True) if axis.role == role), 1)

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(Y, X) of one plane."""
        return self.size("y"), self.size("x")


def read_image(store: str, level: int = 0) -> Image:
    """Read and judge the metadata of one level of the image at `store`, a group or an array.

    Raises `PlaneNotStoredError` while there is none, `IndexError` if there is no such level, another
    `DatasetError` if it cannot be shown. Any thread, blocks on disk.
    """
    node = read_node(store)
    if node is not None and node.kind == "array":
        meta = ngff.image_meta(node.attributes, node.file)
        _check_level(level, 1, store)
        return _image(node, meta, 0, 1, provisional=meta.axes is None)
    if node is None or not ngff.is_image(node.attributes):
        inner = _inner_acquisition(store)
        if inner is not None:
            return read_image(inner, level)
    meta = ngff.image_meta(node.attributes, node.file) if node is not None else ngff.ImageMeta()
    paths = meta.paths or ("0",)
    _check_level(level, len(paths), store)
    return _image(_array_node(store, paths[level]), meta, level, len(paths), provisional=not meta.paths)


def _check_level(level: int, n_levels: int, store: str) -> None:
    if not 0 <= level < n_levels:
        raise IndexError(f"level {level} of {store}: it has {n_levels}")


def _array_node(store: str, path: str) -> Node:
    folder = _join(store, path)
    node = read_node(folder)
    if node is None:
        raise PlaneNotStoredError(f"no array at {folder} (yet): expected zarr.json or .zarray there")
    if node.kind != "array":
        raise MetadataError(f"{node.file} describes a group where the image's array is expected")
    return node


def _image(node: Node, meta: ngff.ImageMeta, level: int, n_levels: int, *, provisional: bool) -> Image:
    facts = array_facts(node.document, node.version, node.file)
    axes, warning = ngff.resolve_axes(meta, facts.shape, facts.dimension_names, node.file)
    image = Image(
        array=node.path,
        level=level,
        n_levels=n_levels,
        meta=meta,
        facts=facts,
        axes=axes,
        document=node.document,
        provisional=provisional,
        warnings=meta.warnings + ((warning,) if warning else ()),
    )
    check_plane(image.plane_shape, facts.dtype, node.file)
    for role, most in (("p", MAX_POSITIONS), ("c", MAX_CHANNELS)):  # each one becomes an object
        if image.size(role) > most:
            raise LimitExceededError(
                f"{node.file}: an axis {role!r} of {image.size(role)}; at most {most} are shown"
            )
    if 0 in facts.shape:
        raise PlaneNotStoredError(f"{node.file}: the array is empty, its shape is {facts.shape}")
    return image
