"""The places of images that metadata list: those of plates, wells, collections and scenes, in their order."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata import plates, scenes
from ...metadata.nwb_contents import series_position
from ...metadata.ome_xml import ome_series
from ...model import Position, how_many, some_names
from ...storage import collector
from ...storage.limits import parse_json
from ...storage.trees.tree import METADATA_FILES
from .groups_below import images_beside
from .image_locations import ImageLocation, PlaceInScene, new_location, new_position
from .listed_fields import Acquisitions, field_numbers
from .nodes import Node, attributes_of, inner_acquisition, read_image, read_node, region_names

if TYPE_CHECKING:
    from ...metadata.ome_xml import OmeSeries
    from ...storage.trees.tree import Tree
    from .layout_warnings import LayoutWarnings

SERIES_XML = "METADATA.ome.xml"
FILES_OF_ARRAYS = frozenset((".zarray", "zarr.json"))


class ListedPlaces:
    """Reads lists of images, for one pass over a dataset; what is wrong with an entry becomes a warning."""

    def __init__(self, tree: Tree, warnings: LayoutWarnings) -> None:
        self._tree = tree
        self.warnings = warnings
        self.empty_wells: list[str] = []  # those that a plate lists and that have no image
        self._images_of_well: dict[bytes, plates.WellImages | None] = {}

    def masks(self, path: str) -> list[ImageLocation]:
        """The masks of the regions of interest in an NWB file."""
        n = read_image(path, 0, self._tree).size("p")
        names = region_names(path, n, self._tree)
        return [ImageLocation(Position("default", i, name=name), path, i) for i, name in enumerate(names)]

    def plate(self, node: Node) -> list[ImageLocation]:
        """The fields of all wells of a plate."""
        wells = plates.plate_wells(node.attributes, node.file)
        self._warn_of_refused([well for well in wells if well.refused is not None])
        paths = [self._tree.inside(node.path, well.path) for well in wells if well.refused is None]
        file = "zarr.json" if node.version == 3 else ".zattrs"
        self._tree.expect(self._tree.join(path, file) for path in paths)
        images = [self.images_of_well(path, node.version) for path in paths]
        names = Acquisitions(plates.plate_acquisitions(node.attributes), images)
        places: list[ImageLocation] = []
        found = zip(paths, images, strict=True)
        with collector.paused():  # it would look through tens of thousands of tuples again and again
            for i, well in enumerate(wells):
                if well.refused is not None:
                    place = Position(well.region, 0)
                    places.append(_refused_place(place, node.path, i, well.refused, self._tree))
                    continue
                of_well = self.well(*next(found), well.region, names)
                places += of_well
                if not of_well:
                    self.empty_wells.append(well.region)
        return places

    def _warn_of_refused(self, wells: list[plates.Well]) -> None:
        if wells:
            which = ", ".join(some_names([well.region for well in wells]))
            self.warnings.append(f"{wells[0].refused}; wells that cannot be read: {which}")

    def well(
        self, path: str, images: plates.WellImages | None, region: str, names: Acquisitions
    ) -> list[ImageLocation]:
        """The fields of a well: those that it lists, or else its folders."""
        if images is None:
            return field_places(path, region, self._tree)
        base, none = path + self._tree.sep, repeat(None)
        numbers, acquisitions = field_numbers(images.paths), names.of(images)
        self.warnings += [said for said in images.refused if said not in self.warnings]
        named = zip(repeat(region), numbers, none, none, none, images.paths, acquisitions, strict=False)
        positions = map(new_position, named)
        found = zip(positions, repeat(base), none, none, none, images.paths, none, strict=False)
        return list(map(new_location, found))

    def images_of_well(self, path: str, version: int) -> plates.WellImages | None:
        """What a well lists; None if nothing does, or it cannot be read."""
        try:
            if version == 3:
                file = self._tree.join(path, "zarr.json")
                if (raw := self._tree.read_small(file)) is not None:
                    return self._images_listed_in(raw, file)
            node = read_node(path, self._tree, version, "group")
            return None if node is None else plates.well_images(node.attributes, node.file)
        except DatasetError as error:  # one broken well must not affect the plate
            self.warnings.add_about_images(str(error), path)
            return None

    def _images_listed_in(self, raw: bytes, file: str) -> plates.WellImages | None:
        # the wells of a plate mostly have identical metadata: parse it once
        if raw not in self._images_of_well:
            attributes = attributes_of(parse_json(raw, file))
            self._images_of_well[raw] = plates.well_images(attributes, file)
        return self._images_of_well[raw]

    def series(self, path: str, node: Node | None) -> list[ImageLocation]:
        """The series of a collection by bioformats2raw."""
        version = None if node is None else node.version
        folder, xml = self._tree.join(path, "OME"), self._tree.join(path, "OME", SERIES_XML)
        self._tree.expect([self._tree.join(folder, "zarr.json" if version == 3 else ".zattrs"), xml])
        ome = read_node(folder, self._tree, version, "group")
        listed = plates.series_paths(ome.attributes, ome.file) if ome is not None else None
        if listed is None:
            listed = tuple(self._tree.numbered(path, "zarr.json" if version == 3 else ".zattrs"))
        said = self._said_of_series(xml, len(listed))
        names = Counter(each.name for each in said)
        places = []
        for i, name in enumerate(listed):
            if isinstance(name, DatasetError):
                self.warnings.add_about(str(name), path, i)
                places.append(_refused_place(Position("series", i), path, i, name, self._tree))
                continue
            series = said[i] if said else None
            position = series_position(i, name)
            if series is not None:
                x, y, z = series.position_um
                position = position._replace(x_um=x, y_um=y, z_um=z)
                if position.is_unnamed and names[series.name] == 1:  # of equal names, none tells which it is
                    position = position._replace(name=series.name or name)
            places.append(ImageLocation(position, self._tree.inside(path, name), said=series))
        return places

    def scene(self, node: Node) -> list[ImageLocation]:
        """The images of a scene, and where each lies in it; then those beside it."""
        found = scenes.scene(node.attributes, node.file)
        self.warnings += found.refused[: plates.MAX_REFUSED]
        places = []
        for i, image in enumerate(found.images):
            if not image.ways:
                said = f"{node.file}: no transformation leads from {image.path!a} to the others"
                self.warnings.add_about(said, node.file, i)
            for said in scenes.not_drawn(image, found.axes, node.file):
                self.warnings.add_about(said, node.file, i)
            place = PlaceInScene(image.ways, found.axes) if image.ways else None
            position = series_position(i, image.path)
            places.append(ImageLocation(position, self._tree.inside(node.path, image.path), scene=place))
        for name in images_beside(node.path, self._tree, [image.path for image in found.images]):
            i = len(places)
            self.warnings.add_about(f"{node.file}: the scene does not say where {name!a} lies", node.file, i)
            places.append(ImageLocation(series_position(i, name), self._tree.join(node.path, name)))
        return places

    def _said_of_series(self, xml: str, n_series: int) -> tuple[OmeSeries, ...]:
        """What the OME-XML of a collection says of each series; () without one, or if it is of others."""
        try:
            raw = self._tree.read_small(xml)
        except DatasetError as error:  # too large, or outside: the images can be shown without
            self.warnings.add_about(f"{error}; series have the names in their own metadata", xml)
            return ()
        if raw is None:
            return ()
        said = ome_series(raw.decode("utf-8-sig", "replace"))
        if len(said) == n_series:
            return said
        what = f"describes {how_many(len(said), 'image')}, not {n_series}" if said else "is not OME-XML"
        self.warnings.add_about(f"{xml} {what}; series have the names in their own metadata", xml)
        return ()


def _refused_place(
    position: Position, path: str, number: int, why: DatasetError, tree: Tree
) -> ImageLocation:
    """The place of an image in a list that gives an invalid path for it."""
    return ImageLocation(position, tree.join(path, f"(not followed: {number})"), refused=why)


def field_places(well: str, region: str, tree: Tree) -> list[ImageLocation]:
    """The fields of a well by its folders: those with a number as name that contain an image."""
    fields = [name for name in tree.folders(well) if name.isdecimal() and name.isascii()]
    stores = [(int(name), _field_store(tree.join(well, name), tree)) for name in fields]
    return [
        ImageLocation(Position(region, fov, name=name), store)
        for name, (fov, store) in zip(fields, stores, strict=True)
        if store is not None
    ]


def _field_store(field: str, tree: Tree) -> str | None:
    """Return the folder of a field's image: the field itself or, in older Squid versions, a store inside."""
    inner = inner_acquisition(field, tree)
    if inner is not None:
        return inner
    names = set(tree.names(field))
    if "0" not in names and not names.intersection(METADATA_FILES):
        return None
    if not names.intersection(FILES_OF_ARRAYS):
        return field
    node = read_node(field, tree)
    return None if node is not None and node.kind == "array" else field
