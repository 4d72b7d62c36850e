"""OME-Zarr on disk, on servers, in archives: positions come from metadata, stores open when first shown.

Knowledge of a dataset grows as its stores are read; a run being written is read like any other.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ...errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    DatasetReplacedError,
    MetadataError,
    PlaneNotStoredError,
)
from ...metadata import ngff
from ...model import DatasetInfo, PlaneKey, announced_info
from ...storage.single_flight import SingleFlight
from ...storage.trees.open_tree import open_tree
from ...storage.trees.tree import LOCAL, LocalTree
from ..source import Source
from . import layouts
from .chunk_grid import chunks_of
from .tensorstore_arrays import (
    OpenArray,
    StoreArray,
    TensorStoreContext,
    traffic,
)
from .tensorstore_errors import StoreChangedError

if TYPE_CHECKING:
    import numpy as np

    from ...model import AnnouncedRun
    from ...storage.trees.tree import Tree
    from ..source import StorageOptions
    from .nodes import ZarrImage

MAX_OPEN_STORES = 256
_MAX_UNREADABLE = 16
"""How many images that cannot be shown are passed over, at open, in search of one that can."""
_REFRESHED_MISSING = 64
"""How many stores that did not exist yet one `refresh` looks for."""
_REFRESHED_OPEN = 8
"""How many stores of an announced run, or on a server, those used last, one `refresh` looks at."""


_WHY = {
    "ome-zarr plate": "the wells listed in its metadata, or its folders <row>/<column>/<field>",
    "ome-zarr well": "the images listed in its well metadata",
    "ome-zarr per-fov": "stores named fov_<n>.ome.zarr or fov_<n>.zarr in zarr/<region>",
    "ome-zarr 6d": "a position axis, or stores named acquisition.zarr in zarr/<region>",
    "ome-zarr collection": "a bioformats2raw layout, or several images in one folder",
    "ome-zarr image": "the multiscales in its metadata",
    "zarr array": "its array metadata; it has no OME metadata",
}


class ZarrSource(Source):
    """Zarr v2 and v3, OME-NGFF 0.4 and 0.5, every layout of `layouts`; finished or being written.

    Positions keep their index while a source is open. Those that appear later (`refresh`) are
    appended, in natural order; those of an announced run never change.
    """

    format = "ome-zarr"

    def __init__(
        self, layout: layouts.DatasetLayout, info: DatasetInfo, path: str | None, tree: Tree, *, learned: bool
    ) -> None:
        self._places = layout.places
        self._layout = layout
        self._path = path
        self._tree = tree
        self._info = self._announced = info
        self._planes_of: dict[str, tuple[object, ...]] = {}  # dtype, size and channels, by store
        self._learned = learned  # whether any store has been read
        self._lock = threading.Lock()  # guards the above and below; never held while accessing the disk
        self._arrays: OrderedDict[tuple[str, int], OpenArray] = OrderedDict()
        self._opening: SingleFlight[tuple[str, int], OpenArray] = SingleFlight()
        self._missing: OrderedDict[str, None] = OrderedDict()
        self._closed = threading.Event()
        self._native = TensorStoreContext(tree, self._closed, self._warn)
        self._identity = tree.identity()

    # ---- opening ---------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> ZarrSource:
        """Open the dataset at `path`: plate and well metadata and that of one image are read.

        Raises `DatasetNotFoundError` if no image has been written yet, else the error of the first
        image if none of the first sixteen can be shown.
        """
        tree = open_tree(path, options)
        try:
            layout = layouts.discover(tree.root, tree)
            image = _first_image(layout, tree)
        except PlaneNotStoredError as error:
            tree.close()
            raise DatasetNotFoundError(str(error)) from error
        except BaseException:
            tree.close()
            raise
        return cls(layout, _opened_info(layout, image, tree), tree.root, tree, learned=True)

    @classmethod
    def announced(cls, run: AnnouncedRun) -> ZarrSource:
        """A run that is about to be written; does not access the disk.

        `info` is as announced, with `n_t` 1 and no dtype, until a store exists and is
        read (`read_plane`, `plane_shape`, `refresh`); from then on it is as in the stores.
        """
        paths = [LocalTree(path).root for path in run.paths]
        places = zip(run.positions, paths, run.indices, strict=True)
        layout = layouts.DatasetLayout(cls.format, tuple(layouts.ImageLocation(*place) for place in places))
        return cls(layout, announced_info(run), None, LOCAL, learned=False)

    # ---- Source ----------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._info

    @property
    def identity(self) -> str | None:
        """For an archive, its own; for metadata on a server, unchanged for a day, theirs."""
        return self._identity

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, Fortran-ordered if the store has planes transposed.

        A missing chunk of a plane of several chunks is fill value, as the Zarr specification defines
        it; a plane of which no chunk is stored raises `PlaneNotStoredError`.
        """
        key = PlaneKey(*key)
        array, index = self._locate(key, level)
        try:
            return array.read(index)
        except StoreChangedError:
            return self._reopened(key, level)
        except CorruptDataError:  # or the store was recreated, and its chunks have changed
            if self._array(self._place(key).store, level, again=True) is array:
                raise
            return self._reopened(key, level)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None while its store does not exist or has no such plane."""
        try:
            array, _ = self._locate(PlaneKey(*key), level)
        except PlaneNotStoredError:
            return None
        return array.image.plane_shape

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a store for the position of `key`; looks at names only."""
        if not 0 <= key.p < len(self._places):
            return False
        store = self._places[key.p].store
        folders = (store, self._tree.join(store, "0"))  # a writer may create the array before its group
        return any(
            self._tree.is_file(self._tree.join(folder, name))
            for folder in folders
            for name in layouts.METADATA_FILES
        )

    def refresh(self) -> DatasetInfo:
        """Recheck the stores that are open or were missing, and the folders of an opened path.

        Blocks on disk or network, bounded by the number of wells and of open stores; of an announced run, and
        of a dataset on a server, only the most recently used stores are checked.
        """
        used_last = self._worth_looking_at()
        if self._tree.remote:
            self._tree.forget()
            self._native.renew()
            with self._lock:
                self._arrays.clear()
        if self._path is not None:
            self._tree.check_there()
            self._find_new_places(self._path)
            self._identity = self._tree.identity()
        for store, level in used_last if self._tree.remote else self._worth_looking_at():
            try:
                self._array(store, level, again=True)
            except DatasetReplacedError:
                raise
            except DatasetError:  # reading the plane will report it
                continue
            except IndexError:
                continue
        return self.info

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: how the first image is stored, and on which server."""
        said: dict[str, Any] = {"why": _WHY.get(self._info.format, ""), "hosts": list(self._tree.hosts())}
        if self._tree.remote:
            said |= dict(zip(("requests", "bytes"), traffic(), strict=True))
        try:
            image = layouts.read_image(self._places[0].store, 0, self._tree)
        except (DatasetError, IndexError):
            return said
        chunks = chunks_of(image)
        return {
            **said,
            "zarr": image.facts.version,
            "array": image.array,
            "axes": " ".join(axis.name or axis.role for axis in image.axes),
            "shape": list(image.facts.shape),
            "chunks": list(chunks.decoded),
            "shards": list(chunks.stored) if chunks.sharded else None,
            "codecs": list(chunks.codecs),
        }

    def close(self) -> None:
        """Release all stores; reads in progress end within a quarter of a second. Idempotent."""
        self._closed.set()
        with self._lock:
            self._arrays.clear()
            self._missing.clear()
        self._tree.close()

    # ---- locating planes ------------------------------------------------------------------

    def _locate(self, key: PlaneKey, level: int) -> tuple[OpenArray, tuple[int, ...]]:
        """The open array of a plane and the plane's index in it; rechecks if it is out of bounds."""
        place = self._place(key)
        array = self._array(place.store, level)
        if not array.holds(key, place.p_index) or (array.image.provisional and self._path is None):
            array = self._array(place.store, level, again=True)
        if array.holds(key, place.p_index):
            return array, array.index(key, place.p_index)
        if not self.info.contains(key):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {self.info.sizes}")
        raise PlaneNotStoredError(
            f"{place.position.label} has no plane t={key.t} c={key.c} z={key.z}: "
            f"{array.image.array} has shape {array.image.facts.shape}"
        )

    def _place(self, key: PlaneKey) -> layouts.ImageLocation:
        places = self._places
        if not 0 <= key.p < len(places) or min(key) < 0:
            raise IndexError(f"no plane {tuple(key)} in a dataset of {self.info.sizes}")
        return places[key.p]

    def _reopened(self, key: PlaneKey, level: int) -> np.ndarray:
        """Reopen a store that was rewritten under its handle, and read again."""
        self._forget(self._place(key).store, level)
        array, index = self._locate(key, level)
        try:
            return array.read(index)
        except StoreChangedError as error:
            raise CorruptDataError(f"{array.image.array} changed while it was being read: {error}") from error

    # ---- stores: opened once, by one thread, without the lock ------------------------------

    def _array(self, store: str, level: int, *, again: bool = False) -> OpenArray:
        """The open array of a store; `again` rereads its metadata and keeps the handle if unchanged."""
        name = (store, level)
        with self._lock:
            known = self._arrays.get(name)
            if known is not None and not again:
                self._arrays.move_to_end(name)
                return known
        return self._opening.do(
            name,
            lambda: self._opened_anew(name, known, again=again),
            lambda: self._raise_if_closed(f"{store} was being opened"),
        )

    def _opened_anew(self, name: tuple[str, int], known: OpenArray | None, *, again: bool) -> OpenArray:
        if not again:  # it may have been opened meanwhile
            with self._lock:
                if (array := self._arrays.get(name)) is not None:
                    return array
        try:
            array = self._open_array(name, known)
        except BaseException:
            self._forget(*name)
            raise
        self._remember(name, array)
        return array

    def _open_array(self, name: tuple[str, int], known: OpenArray | None) -> OpenArray:
        store, level = name
        self._raise_if_closed(f"{store} was to be opened")
        try:
            image = _read_image_live(store, level, self._tree)
        except PlaneNotStoredError:
            if self._path is not None:  # nothing of an announced run need exist
                self._tree.check_there()  # distinguish a missing plane from a missing disk
            with self._lock:
                self._missing[store] = None
                self._missing.move_to_end(store)
                while len(self._missing) > MAX_OPEN_STORES:
                    self._missing.popitem(last=False)
            raise
        if known is not None and known.image == image:
            return known
        if level == 0:
            self._judge(store, image)
        array = self._opened_array(image)
        if level == 0:
            self._learn(image)
        return array

    def _opened_array(self, image: ZarrImage) -> OpenArray:
        if self._tree.packed:
            from .packed import packed_array

            return packed_array(image, self._tree, self._native)
        return StoreArray(image, self._native)

    def _remember(self, name: tuple[str, int], array: OpenArray) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self._missing.pop(name[0], None)
            self._arrays[name] = array
            self._arrays.move_to_end(name)
            while len(self._arrays) > MAX_OPEN_STORES:
                self._arrays.popitem(last=False)

    def _forget(self, store: str, level: int) -> None:
        with self._lock:
            self._arrays.pop((store, level), None)

    def _raise_if_closed(self, doing: str) -> None:
        if self._closed.is_set():
            raise DatasetError(f"the dataset was closed while {doing}")

    # ---- what is known grows, or is of another dataset ---------------------------------------

    def _judge(self, store: str, image: ZarrImage) -> None:
        """Start over, or raise `DatasetReplacedError`, where the store holds another image than before."""
        planes = image.facts.dtype, image.plane_shape, image.size("c")
        with self._lock:
            before = self._planes_of.get(store)
            if before is None or before == planes or image.provisional:
                self._planes_of[store] = planes
                return
            if self._path is None:  # what the host has announced is true still, what stores said is not
                self._planes_of = {store: planes}
                self._arrays.clear()
                self._learned = False
                self._info = dataclasses.replace(self._announced, generation=self._info.generation + 1)
                return
        raise DatasetReplacedError(f"{store} contains a different image than before")

    def _learn(self, image: ZarrImage) -> None:
        with self._lock:
            before = self._info
            if not self._learned:
                after = _learned_info(before, image)
                self._learned = not image.provisional
            else:
                after = _grown_info(before, image)
            if after != before:  # a new object only if something changed
                self._info = after

    def _warn(self, warning: str) -> None:
        with self._lock:
            if warning not in self._info.warnings:
                self._info = dataclasses.replace(self._info, warnings=(*self._info.warnings, warning))

    def _worth_looking_at(self) -> list[tuple[str, int]]:
        with self._lock:
            few = self._path is None or self._tree.remote
            known = list(self._arrays)[-_REFRESHED_OPEN if few else 0 :]
            missing = list(reversed(self._missing))[:_REFRESHED_MISSING]
            # before any store exists, the first ones are the likeliest; later the first represents the run
            first = [place.store for place in self._places[: 1 if self._learned else _REFRESHED_MISSING]]
        return list(dict.fromkeys(known + [(store, 0) for store in missing + first]))

    def _find_new_places(self, path: str) -> None:
        """Append new positions; existing indices do not change."""
        found = layouts.discover(path, self._tree)
        with self._lock:
            known = {(place.store, place.p_index) for place in self._places}
            labels = {place.position for place in self._places}
            new = tuple(
                place
                for place in found.places
                if (place.store, place.p_index) not in known and place.position not in labels
            )
            if not new:
                return
            self._places += new
            positions = tuple(place.position for place in self._places)
            self._info = dataclasses.replace(self._info, positions=positions)


def _read_image_live(store: str, level: int, tree: Tree) -> ZarrImage:
    """Read an image's metadata; broken JSON may be a write in progress, so a retry may help."""
    try:
        return layouts.read_image(store, level, tree)
    except MetadataError as error:
        if not error.transient:
            raise
        raise CorruptDataError(f"{error}; if it is still being written, it will be read again") from error


# ---- state -------------------------------------------------------------------------------


def _first_image(layout: layouts.DatasetLayout, tree: Tree) -> ZarrImage:
    """The first image that exists and can be shown."""
    errors: list[DatasetError] = []
    for place in layout.places:
        try:
            return layouts.read_image(place.store, 0, tree)
        except PlaneNotStoredError:
            continue  # planned, not written yet
        except DatasetError as error:
            errors.append(error)
            if len(errors) == _MAX_UNREADABLE:
                break
    if errors:
        raise errors[0]
    raise DatasetNotFoundError(
        f"{tree.root} lists {len(layout.places)} images ({layout.format}), none of which is written yet"
    )


def _opened_info(layout: layouts.DatasetLayout, image: ZarrImage, tree: Tree) -> DatasetInfo:
    positions = tuple(place.position for place in layout.places)
    info = DatasetInfo(layout.format, positions, (), 1, 1, 1, 1, None, name=tree.title)
    return dataclasses.replace(_learned_info(info, image), warnings=layout.warnings + image.warnings)


def _learned_info(info: DatasetInfo, image: ZarrImage) -> DatasetInfo:
    """The info from the first store read; announced names stay if the store has none."""
    y, x, z, t = ngff.calibration(image.meta)
    count, dtype = image.size("c"), image.facts.dtype
    height, width = image.plane_shape
    names = image.meta.channels
    if not names and info.channels:
        names = tuple(ngff.NamedChannel(ch.name) for ch in info.channels)
    return dataclasses.replace(
        info,
        channels=ngff.channels(names, count, dtype),
        n_t=image.size("t"),
        n_z=image.size("z"),
        height=height,
        width=width,
        dtype=dtype,
        pixel_size_y_um=y,
        pixel_size_x_um=x,
        z_step_um=z,
        time_step_s=t,
        n_levels=image.n_levels,
        complete=image.meta.complete,
        warnings=image.warnings,
    )


def _grown_info(info: DatasetInfo, image: ZarrImage) -> DatasetInfo:
    """The info extended by another store, or the same one later: more times, more z, whether complete."""
    return dataclasses.replace(
        info,
        n_t=max(info.n_t, image.size("t")),
        n_z=max(info.n_z, image.size("z")),
        complete=info.complete if image.meta.complete is None else image.meta.complete,
    )
