"""What zarr-python finds in an OME-Zarr dataset: the images in order, their arrays and metadata.

Written for the tests alone, straight from the NGFF specification: nothing of the package is used.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
NWB = DATA / "hdmf-zarr" / "series.zip"
NWB_MASKS = DATA / "hdmf-zarr" / "masks.zip"
NWB_LISTS = DATA / "hdmf-zarr" / "lists.zip"
NWB_CARRIERS = DATA / "nwb"
"""Not OME-Zarr: see ``tests/test_zarr_groups.py``."""
ARCHIVES = sorted(
    each for each in DATA.glob("*/*.zip") if each not in (NWB, NWB_MASKS, NWB_LISTS, NWB_CARRIERS / "all.zip")
)
_MICROMETRES = {None: 1.0, "micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}
_SECONDS = {None: 1.0, "second": 1.0, "millisecond": 1e-3}


def unpacked(archive: Path, into: Path) -> Path:
    """The one dataset in an archive of ``tests/data``."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(into)
    (folder,) = into.iterdir()
    return folder


@dataclass(frozen=True)
class WrittenImage:
    """One image: its path in the dataset, where it belongs, and its arrays, largest first."""

    path: str
    well: str
    acquisition: str
    multiscale: dict[str, Any]
    omero: dict[str, Any]
    arrays: tuple[zarr.Array, ...]

    @property
    def name(self) -> str:
        """The last part of its path: the name of a field."""
        return self.path.rpartition("/")[2]

    @property
    def axes(self) -> str:
        """One letter per dimension."""
        return "".join(axis["name"].lower() for axis in self._axes)

    @property
    def _axes(self) -> list[dict[str, Any]]:
        """From 0.6 on, they are those of the coordinate system that the levels are in, here the only one."""
        if "axes" in self.multiscale:
            axes: list[dict[str, Any]] = self.multiscale["axes"]
            return axes
        (system,) = self.multiscale["coordinateSystems"]
        return list(system["axes"])

    def _transforms(self, level: int) -> list[dict[str, Any]]:
        found = []
        for transform in self.multiscale["datasets"][level]["coordinateTransformations"]:
            found += transform["transformations"] if transform["type"] == "sequence" else [transform]
        return found

    def size(self, axis: str, level: int = 0) -> int:
        """Samples along an axis; 1 without that axis."""
        return self.arrays[level].shape[self.axes.index(axis)] if axis in self.axes else 1

    def sizes(self, level: int = 0) -> tuple[int, int, int]:
        """The z, y, x of a level."""
        return self.size("z", level), self.size("y", level), self.size("x", level)

    def pixels(self, level: int = 0) -> np.ndarray:
        """All of a level: (T, C, Z, Y, X)."""
        pixels = np.asarray(self.arrays[level][...])
        return self._in_order(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))

    def stored(self, level: int = 0) -> np.ndarray:
        """(T, C, Z): whether a chunk (or shard) that the plane is in is there."""
        array = self.arrays[level]
        stored = array.shards or array.chunks
        there = np.zeros(array.shape[:-2], bool)
        for key in _chunk_keys(array):
            at = [int(index) for index in key][:-2]
            spans = (slice(i * n, (i + 1) * n) for i, n in zip(at, stored[:-2], strict=True))
            there[tuple(spans)] = True
        return self._in_order(there[..., None, None])[..., 0, 0]

    def _in_order(self, array: np.ndarray) -> np.ndarray:
        order = [self.axes.index(axis) for axis in "tczyx" if axis in self.axes]
        missing = tuple(i for i, axis in enumerate("tczyx") if axis not in self.axes)
        return np.expand_dims(np.transpose(array, order), missing)

    def step(self, axis: str, level: int = 0) -> float | None:
        """µm or s; None without that axis."""
        if axis not in self.axes:
            return None
        at = self.axes.index(axis)
        value = 1.0
        for transform in [*self._transforms(level), *self.multiscale.get("coordinateTransformations", [])]:
            if transform["type"] == "scale":
                value *= transform["scale"][at]
        units = _SECONDS if axis == "t" else _MICROMETRES
        return value * units[self.unit(axis)]

    def origin(self, axis: str) -> float | None:
        """µm of the first sample of level 0; None without that axis, or where the metadata says nothing."""
        transforms = self._transforms(0)
        found = [each["translation"] for each in transforms if each["type"] == "translation"]
        if axis not in self.axes or not found:
            return None
        (translation,) = found
        at = self.axes.index(axis)
        return float(translation[at]) * _MICROMETRES[self.unit(axis)]

    def unit(self, axis: str) -> str | None:
        """As written."""
        unit: str | None = self._axes[self.axes.index(axis)].get("unit")
        return unit

    @property
    def channels(self) -> list[dict[str, Any]]:
        """The omero channels."""
        channels: list[dict[str, Any]] = self.omero.get("channels", [])
        return channels


def images_in(root: Path) -> list[WrittenImage]:
    """Every image in the order that a reader is expected to show them."""
    group = zarr.open_group(root, mode="r")
    attributes = _ome(group)
    if "plate" in attributes:
        return list(_of_plate(group, attributes["plate"]))
    if "scene" in attributes:
        told = attributes["scene"]["coordinateTransformations"]
        return [_image(group, transform["input"]["path"]) for transform in told]
    if "bioformats2raw.layout" in attributes:
        return [_image(group, path) for path in _ome(_group(group, "OME"))["series"]]
    return [_image(group, "")]


def _of_plate(group: zarr.Group, plate: dict[str, Any]) -> Iterator[WrittenImage]:
    names = {each["id"]: each.get("name") or str(each["id"]) for each in plate.get("acquisitions", [])}
    wells = sorted(plate["wells"], key=lambda each: (each["rowIndex"], each["columnIndex"]))
    images = [
        (well["path"], each)
        for well in wells
        for each in sorted(
            _ome(_group(group, well["path"]))["well"]["images"], key=lambda image: _by_number(image["path"])
        )
    ]
    for _, each in images:  # writers use numbers that their plate does not list
        if "acquisition" in each:
            names.setdefault(each["acquisition"], str(each["acquisition"]))
    for well, each in images:
        acquisition = names.get(each.get("acquisition"), "") if len(names) > 1 else ""
        yield _image(group, f"{well}/{each['path']}", well.replace("/", ""), acquisition)


def _image(root: zarr.Group, path: str, well: str = "", acquisition: str = "") -> WrittenImage:
    group = _group(root, path) if path else root
    attributes = _ome(group)
    multiscale = attributes["multiscales"][0]
    arrays = []
    for dataset in multiscale["datasets"]:
        array = group[dataset["path"]]
        assert isinstance(array, zarr.Array)
        arrays.append(array)
    return WrittenImage(path, well, acquisition, multiscale, attributes.get("omero", {}), tuple(arrays))


def _group(group: zarr.Group, path: str) -> zarr.Group:
    found = group[path]
    assert isinstance(found, zarr.Group)
    return found


def _ome(group: zarr.Group) -> dict[str, Any]:
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    assert isinstance(ome, dict)
    return ome


def _by_number(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _chunk_keys(array: zarr.Array) -> Iterator[list[str]]:
    root = Path(str(array.store_path).removeprefix("file://"))
    for file in root.rglob("*"):
        key = file.relative_to(root).as_posix().replace("/", ".").removeprefix("c.").split(".")
        if file.is_file() and all(part.isdigit() for part in key):
            yield key
