"""Finds the images of an OME-Zarr dataset: folders and small JSON files → positions in order.

No array is opened here. Opening reads the plate's and the wells' metadata, or one file per 6-D
region; the images themselves are left to `read_image`.

Layouts, and the `format` of each:

====================  ==========================================================================
ome-zarr plate        HCS plate by its metadata, or else by folders ``<row>/<column>/<field>``
ome-zarr well         one well of a plate
ome-zarr per-fov      ``zarr/<region>/fov_<n>.ome.zarr`` or ``.zarr``
ome-zarr 6d           ``zarr/<region>/acquisition.zarr`` or any image with a position axis
ome-zarr collection   bioformats2raw series, a scene, several images below a group or in a folder
ome-zarr image        one image group
nwb zarr              the image series and single images of an NWB file, as hdmf-zarr writes it
nwb zarr masks        the masks of its regions of interest, each a position
zarr array            an array without OME metadata
====================  ==========================================================================

Order is natural everywhere: 0, 1, 2, 10; A1, A2, A10, B1; Z before AA.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import DatasetError, DatasetNotFoundError, LimitExceededError, PlaneNotStoredError
from ...metadata import ngff, nwb_series, plates, scenes
from ...metadata.labels import label_paths
from ...metadata.nwb_contents import nwb_positions, series_position
from ...metadata.squid import PLATES
from ...model import Position, how_many, some_names
from ...storage.limits import MAX_POSITIONS
from ...storage.trees.tree import LOCAL, MARKS, METADATA_FILES
from .groups_below import arrays_below, holds_nodes, images_below, series_below, setups_below
from .image_locations import DatasetLayout, ImageLocation
from .layout_warnings import LayoutWarnings
from .listed_fields import Acquisitions
from .listed_places import ListedPlaces, field_places
from .nodes import (
    ACQUISITION,
    Node,
    ZarrImage,
    meta_of,
    read_image,
    read_node,
)
from .squids_files import with_what_squid_says

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...storage.trees.tree import Tree

__all__ = [
    "METADATA_FILES",
    "Node",
    "ZarrImage",
    "discover",
    "meta_of",
    "read_image",
    "read_node",
    "recognises",
]

NWB, NWB_MASKS = "nwb zarr", "nwb zarr masks"
_FOV_STORE = re.compile(r"fov_(\d+)(\.ome)?\.zarr")


def recognises(path: str, tree: Tree = LOCAL) -> bool:
    """Whether `path` looks like OME-Zarr, judging by names and at most a few small folders."""
    if tree.name(path) in MARKS:
        return True
    if not tree.is_folder(path):
        return False
    try:
        names = set(tree.names(path))
    except DatasetError:
        return path.endswith(".zarr")
    if any(name in MARKS or name.endswith(".zarr") for name in names):
        return True
    # by name: in other formats this folder may contain 100,000 images
    if "0" in names and any(tree.is_file(tree.join(path, "0", name)) for name in METADATA_FILES):
        return True
    if path.endswith(".zarr") and holds_nodes(path, tree):
        return True
    folders = [tree.join(path, "zarr")] * ("zarr" in names) + [path] * (tree.name(path) == "zarr")
    return any(_region_folders(folder, tree) for folder in folders)


def discover(path: str, tree: Tree = LOCAL) -> DatasetLayout:
    """Find the positions of the dataset at `path`; any thread, blocks on disk or network.

    Raises `DatasetNotFoundError` if there are none, or the error of the metadata at `path` itself;
    wells and regions that cannot be read become warnings.
    """
    if tree.name(path) in MARKS and not tree.is_folder(path):
        path = path[: -len(tree.name(path)) - 1]
    finder = _ImageFinder(tree)
    layout = finder.find(path)
    if (layout is None or not layout.places) and tree.begin_listing():
        finder = _ImageFinder(tree)
        layout = finder.find(path)
    if layout is None or not layout.places:
        if finder.n_empty_wells and not len(finder.warnings):
            raise DatasetNotFoundError(
                f"{path} is a plate that lists {how_many(finder.n_empty_wells, 'well')}, without any image: "
                "if a run has just started, try again"
            )
        raise tree.nothing_at(path, finder.warnings)
    if len(layout.places) > MAX_POSITIONS:
        raise LimitExceededError(
            f"{path} has {len(layout.places)} positions; at most {MAX_POSITIONS} can be shown"
        )
    return layout if tree.packed else with_what_squid_says(layout, path, tree)


class _ImageFinder:
    """One pass over a dataset; collects warnings on the way."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.warnings = LayoutWarnings()
        self._listed = ListedPlaces(tree, self.warnings)

    @property
    def n_empty_wells(self) -> int:
        """How many wells a plate lists that have no image."""
        return len(self._listed.empty_wells)

    def find(self, path: str) -> DatasetLayout | None:
        node = read_node(path, self._tree)
        layout = self._by_metadata(node) if node is not None else None
        return layout if layout is not None else self._by_folders(path, node)

    def _layout(self, name: str, places: list[ImageLocation]) -> DatasetLayout | None:
        warnings = self.warnings.placed((place.store for place in places), self._tree.sep)
        return DatasetLayout(name, tuple(places), warnings) if places else None

    # ---- from metadata ---------------------------------------------------------------------

    def _by_metadata(self, node: Node) -> DatasetLayout | None:
        if node.kind == "array" or ngff.is_image(node.attributes):
            return self._single(node.path)
        if plates.is_plate(node.attributes):
            layout = self._layout("ome-zarr plate", self._listed.plate(node))
            return layout and replace(layout, empty_wells=tuple(self._listed.empty_wells))
        if plates.is_well(node.attributes):
            row, column = ("", *node.path.split(self._tree.sep))[-2:]
            images = self._listed.images_of_well(node.path, node.version)
            names = Acquisitions({}, [images])
            return self._layout(
                "ome-zarr well",
                self._listed.well(node.path, images, plates.region_name(row, column), names),
            )
        if plates.is_collection(node.attributes):
            return self._layout("ome-zarr collection", self._listed.series(node.path, node))
        if nwb_series.is_series(node.attributes):
            image = self._single(node.path)
            return image and replace(image, format=NWB)
        if nwb_series.is_regions(node.attributes):
            return self._layout(NWB_MASKS, self._listed.masks(node.path))
        if nwb_series.is_file(node.attributes):
            return self._nwb(node.path)
        if scenes.is_scene(node.attributes):
            return self._layout("ome-zarr collection", self._listed.scene(node))
        listed = label_paths(node.attributes, node.file)
        return self._collection((name, self._tree.inside(node.path, name)) for name in listed)

    def _nwb(self, path: str) -> DatasetLayout | None:
        """The images of an NWB file."""
        found, notes = series_below(path, self._tree)
        self.warnings += notes
        places = [
            ImageLocation(position, self._tree.inside(path, each))
            for position, each in zip(nwb_positions(found) if found else (), found, strict=True)
        ]
        return self._layout(NWB, places)

    def _single(self, path: str) -> DatasetLayout | None:
        image = read_image(path, 0, self._tree)
        places = [ImageLocation(Position("default", i), path, i) for i in range(image.size("p"))]
        if image.has("p"):
            return self._layout("ome-zarr 6d", places)
        bare = image.array == path and image.provisional
        return self._layout("zarr array" if bare else "ome-zarr image", [places[0]._replace(p_index=None)])

    # ---- from folders ----------------------------------------------------------------------

    def _by_folders(self, path: str, node: Node | None) -> DatasetLayout | None:
        for plate in PLATES:
            if self._tree.is_folder(self._tree.join(path, plate)):
                found = self.find(self._tree.join(path, plate))
                if found is not None:
                    return found
        return (
            self._regions(self._tree.join(path, "zarr"))
            or self._region_alone(path)
            or self._image_without_metadata(path)
            or self._unmarked_collection(path)
            or self._plate_without_metadata(path, node)
            or (self._regions(path) if self._tree.name(path) == "zarr" else None)
            or self._images_below(path, node)
            or self._folder_of_images(path)
            or self._array_below(path, node)
            or self._setups_on_server(path)
        )

    def _regions(self, root: str) -> DatasetLayout | None:
        places: list[ImageLocation] = []
        for region in _region_folders(root, self._tree):
            places += self._region_places(self._tree.join(root, region), region)
        return self._region_layout(places)

    def _region_alone(self, path: str) -> DatasetLayout | None:
        return self._region_layout(self._region_places(path, self._tree.name(path)))

    def _region_layout(self, places: list[ImageLocation]) -> DatasetLayout | None:
        stacked = any(place.p_index is not None for place in places)
        return self._layout("ome-zarr 6d" if stacked else "ome-zarr per-fov", places)

    def _region_places(self, path: str, region: str) -> list[ImageLocation]:
        names = self._tree.folders(path)
        if ACQUISITION in names:
            return self._acquisition_places(self._tree.join(path, ACQUISITION), region)
        stores: dict[int, str] = {}
        for name in sorted(names):  # .ome.zarr before .zarr
            if match := _FOV_STORE.fullmatch(name):
                stores.setdefault(int(match[1]), name)
        return [
            ImageLocation(
                Position(region, fov, name=stores[fov].partition(".")[0]),
                self._tree.join(path, stores[fov]),
            )
            for fov in sorted(stores)
        ]

    def _acquisition_places(self, store: str, region: str) -> list[ImageLocation]:
        """The positions of a region in one store; only the store knows their number."""
        try:
            image = read_image(store, 0, self._tree)
        except PlaneNotStoredError:
            return []
        except DatasetError as error:  # one broken region must not affect the others
            self.warnings.add_about_images(str(error), store)
            return [ImageLocation(Position(region, 0), store, 0)]
        if not image.has("p"):
            return [ImageLocation(Position(region, 0), store)]
        return [ImageLocation(Position(region, i), store, i) for i in range(image.size("p"))]

    def _image_without_metadata(self, path: str) -> DatasetLayout | None:
        child = read_node(self._tree.join(path, "0"), self._tree)
        return self._single(path) if child is not None and child.kind == "array" else None

    def _unmarked_collection(self, path: str) -> DatasetLayout | None:
        if not self._tree.is_folder(self._tree.join(path, "OME")):
            return None
        return self._layout("ome-zarr collection", self._listed.series(path, None))

    def _plate_without_metadata(self, path: str, node: Node | None) -> DatasetLayout | None:
        # only inside a store: in any other folder it would traverse everything
        if node is None and not path.endswith(".zarr"):
            return None
        places: list[ImageLocation] = []
        for row in self._tree.folders(path):
            if _is_image(self._tree.join(path, row), self._tree):
                continue
            for column in self._tree.folders(self._tree.join(path, row)):
                well = self._tree.join(path, row, column)
                if not _is_image(well, self._tree):
                    places += field_places(well, plates.region_name(row, column), self._tree)
        return self._layout("ome-zarr plate", places)

    def _images_below(self, path: str, node: Node | None) -> DatasetLayout | None:
        is_store = node is not None or holds_nodes(path, self._tree)
        found = images_below(path, self._tree) if is_store else []
        return self._collection((each.name, each.path) for each in found)

    def _array_below(self, path: str, node: Node | None) -> DatasetLayout | None:
        """The largest array of numbers in a group that has no images, as xarray writes variables."""
        is_nwb = node is not None and nwb_series.is_file(node.attributes)  # whose pictures are x, y
        is_store = node is not None or holds_nodes(path, self._tree)
        found = arrays_below(path, self._tree) if is_store and not is_nwb else []
        layout = self._single(found[0].path) if found else None
        if layout is None or len(found) == 1:
            return layout
        others = ", ".join(some_names([each.name for each in found[1:]]))
        warning = f"{path}: showing the array {found[0].name}; open the others by their own paths: {others}"
        choices = tuple(each.path for each in found)
        return replace(layout, warnings=(*layout.warnings, warning), choices=choices)

    def _setups_on_server(self, path: str) -> DatasetLayout | None:
        """BigStitcher's stores, which need not be listed to be found."""
        if not self._tree.remote or path != self._tree.root:
            return None
        return self._collection((each.name, each.path) for each in setups_below(path, self._tree))

    def _collection(
        self, images: Iterable[tuple[str, str]], kind: str = "ome-zarr collection"
    ) -> DatasetLayout | None:
        """Images by name and folder."""
        places = [ImageLocation(series_position(i, name), store) for i, (name, store) in enumerate(images)]
        return self._layout(kind, places)

    def _folder_of_images(self, path: str) -> DatasetLayout | None:
        stores = [name for name in self._tree.folders(path) if name.endswith(".zarr") and name not in PLATES]
        if len(stores) == 1:
            return self.find(self._tree.join(path, stores[0]))
        places = [
            ImageLocation(Position(stem, 0, name=stem), self._tree.join(path, name))
            for name in stores
            for stem in (name.removesuffix(".zarr").removesuffix(".ome"),)
        ]
        return self._layout("ome-zarr collection", places)


def _is_group(path: str, tree: Tree) -> bool:
    return any(tree.is_file(tree.join(path, name)) for name in METADATA_FILES)


def _is_image(path: str, tree: Tree) -> bool:
    """Whether a folder is an image or an array: what is in it are levels or chunks, not wells or fields."""
    try:
        node = read_node(path, tree) if _is_group(path, tree) else None
    except DatasetError:  # it cannot be told; the images in it will report what is wrong
        return False
    return node is not None and (node.kind == "array" or ngff.is_image(node.attributes))


def _region_folders(root: str, tree: Tree) -> list[str]:
    return [
        name for name in tree.folders(root) if any(map(_is_region_store, tree.folders(tree.join(root, name))))
    ]


def _is_region_store(name: str) -> bool:
    return name == ACQUISITION or _FOV_STORE.fullmatch(name) is not None
