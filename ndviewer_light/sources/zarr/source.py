"""OME-Zarr on disk, on servers, in archives: positions come from metadata, stores open when first shown.

Knowledge of a dataset grows as its stores are read; a run being written is read like any other.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from ...errors import DatasetError, DatasetNotFoundError, DatasetReplacedError, PlaneNotStoredError
from ...metadata.guessed_axes import AXES_OPTION
from ...metadata.recorded_times import NOT_SAID, RecordedTimes
from ...model import DatasetInfo, PlaneKey, announced_info, channel_in
from ...storage.asked_together import asked_together
from ...storage.tiling import tile_of_chunks
from ...storage.time_spent import Stopwatch
from ...storage.trees.open_tree import open_tree
from ...storage.trees.recording import OneLook, recorded, recorded_reading
from ...storage.trees.tree import LOCAL, LocalTree
from ...storage.watched_folders import LISTING_SHARE
from ..source import OfPixels, Source
from ..stored import stored_by_versions
from . import layouts
from .alike_images import AlikeImages
from .chunk_grid import has_shards, level_that_fits, plane_chunk
from .description import described
from .filled_levels import FilledLevels
from .first_image import first_image, opened_info
from .frame_times import FrameTimes
from .image_locations import DatasetLayout, ImageLocation
from .known_images import KnownImages
from .label_images import facts_of_labels, label_images
from .levels_of_stores import LevelsOfStores
from .located_planes import LocatedPlanes
from .open_arrays import OpenArrays
from .server_versions import ServerVersions
from .small_planes import SmallPlanes
from .stored_lookup import StoredLookup
from .tensorstore_context import TensorStoreContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np

    from ...model import AnnouncedRun, ImageInfo, LabelFacts, Level, Region
    from ...storage.trees.recording import RecordingTree
    from ...storage.trees.tree import Tree
    from ..missing import Found
    from ..source import SmallPlane, StorageOptions
    from .nodes import ZarrImage

_LOOKED_AT_REMOTELY = 64
"""How many positions one `look_at_all` looks at on a server."""

_SHARD_SETTLES_S = 0.05
"""Longer than it takes to write a chunk of 2048 × 2048 into its place."""


class ZarrSource(Source):
    """Zarr v2 and v3, OME-NGFF 0.4 to 0.6, every layout of `layouts`; finished or being written.

    Positions keep their index while a source is open. Those that appear later (`refresh`) are
    appended, in natural order; those of an announced run never change.
    """

    format = "ome-zarr"

    def __init__(
        self, layout: DatasetLayout, info: DatasetInfo, path: str | None, tree: Tree, *, learned: bool
    ) -> None:
        self._known = KnownImages(layout, info, announced=path is None, learned=learned)
        self._path = path
        self._given = path or ""  # as it was opened; `_path` is the folder or archive in it
        self._tree = tree
        self._closed = threading.Event()
        # of an announced run, anything may be being written
        self._native = TensorStoreContext(tree, self._closed, self._known.warn, followed=path is None)
        self._alike = AlikeImages(tree)
        self._arrays = OpenArrays(
            self._known, tree, self._native, self._closed, self._alike, announced=path is None
        )
        self._levels = LevelsOfStores(self._arrays, tree, self._known.warn)
        self._planes = LocatedPlanes(self._known, self._arrays, announced=path is None)
        self._small: SmallPlanes | None = None
        if isinstance(tree, LocalTree) and path is not None:
            self._small = SmallPlanes(tree, self._known, self._alike, self._native)
        identity = tree.identity()
        self._identity = f"{identity}\n{tree.axes}" if identity and tree.axes else identity
        self._on_server = ServerVersions(tree, self._files_on_server)
        self._not_before = float("-inf")  # when a look may list stores again
        self._listed: RecordingTree | None = None  # what was looked at to find the positions
        self._stored = StoredLookup(
            self._known,
            self._arrays,
            self._planes,
            self._native,
            tree,
            lambda keys: stored_by_versions(self, keys),
        )
        self._frame_times = FrameTimes(tree)
        self._filled = FilledLevels(tree)

    # ---- opening ---------------------------------------------------------------------------

    @classmethod
    def open(
        cls, path: str, options: StorageOptions = None, named: Callable[[], Sequence[str]] | None = None
    ) -> ZarrSource:
        """Open the dataset at `path`: plate and well metadata and that of one image are read.

        `named` says what groups are called that nobody lists, see `Tree.named`.

        Raises `DatasetNotFoundError` if no image has been written yet, else the error of the first
        image if none of the first sixteen can be shown.
        """
        tree = open_tree(path, options)
        tree.axes = (options or {}).get(AXES_OPTION, "")
        if named is not None:
            tree.named = named
        try:
            layout, listed = recorded_reading(tree, lambda each: layouts.discover(tree.root, each))
            p, image = first_image(layout, tree)
        except PlaneNotStoredError as error:
            tree.close()
            raise DatasetNotFoundError(str(error)) from error
        except BaseException:
            tree.close()
            raise
        info = opened_info(path, layout, p, image, tree)
        source = cls(layout, info, tree.root, tree, learned=not image.provisional)
        source._given = path
        source._known.describe(p, image)
        source._listed = listed
        return source

    @classmethod
    def announced(cls, run: AnnouncedRun) -> ZarrSource:
        """A run that is about to be written; does not access the disk.

        `info` is as announced, with `n_t` 1 and no dtype, until a store exists and is
        read (`read_plane`, `plane_shape`, `refresh`); from then on it is as in the stores.
        """
        paths = [LocalTree(path).root for path in run.paths]
        places = zip(run.positions, paths, run.indices, strict=True)
        layout = DatasetLayout(cls.format, tuple(ImageLocation(*place) for place in places))
        return cls(layout, announced_info(run), None, LOCAL, learned=False)

    # ---- Source ----------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._known.info

    @property
    def identity(self) -> str | None:
        """For an archive, its own; for metadata on a server, unchanged for a day, theirs."""
        return self._identity

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, Fortran-ordered if the store has planes transposed.

        A missing chunk of a plane of several chunks is fill value, as the Zarr specification defines
        it; a plane of which no chunk is stored raises `PlaneNotStoredError`.
        """
        return self._planes.read(PlaneKey(*key), level)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: reads the chunks that it intersects; missing ones as in `read_plane`."""
        return self._planes.read(PlaneKey(*key), level, region)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole chunks, in shards as well. None while there is no store."""
        try:
            image = self._arrays.get(self._planes.place(PlaneKey(p=p)).store, level).image
        except PlaneNotStoredError:
            return None
        return tile_of_chunks(plane_chunk(image), image.plane_shape)

    def level_for(self, p: int, height: int, width: int) -> int:
        """See `Source.level_for`; by the scales in the metadata, no more levels are opened than needed.

        A finer one instead of one that cannot be used or, in folders and archives, was made and never filled.
        """
        store = self._planes.place(PlaneKey(p=p)).store
        is_folder = not (self._tree.remote or self._tree.packed)
        image = self._arrays.image_at(store) if is_folder else self._arrays.get(store, 0).image
        level = level_that_fits(image, height, width)
        if level is None:
            level = super().level_for(p, height, width)
        return self._levels.at_least_as_fine(store, image, self._filled.at_least_as_fine(image, level))

    def small_planes(self, keys: Sequence[PlaneKey], edge: int) -> list[SmallPlane | None]:
        """See `Source.small_planes`: of local images in a dataset that was opened by its path."""
        self._arrays.raise_if_closed()
        return [None] * len(keys) if self._small is None else self._small.find(keys, edge)

    def read_small_planes(
        self, planes: Sequence[SmallPlane], then: Callable[[np.ndarray], OfPixels]
    ) -> list[OfPixels | None]:
        """See `Source.read_small_planes`."""
        self._arrays.raise_if_closed()
        return [None] * len(planes) if self._small is None else self._small.read(planes, then)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None while its store does not exist or has no such plane."""
        try:
            array, _ = self._planes.locate(PlaneKey(*key), level)
        except PlaneNotStoredError:
            return None
        return array.image.plane_shape

    def image(self, p: int) -> ImageInfo:
        """What position `p` contains; reads the metadata of its store if that was not done yet."""
        store = self._planes.place(PlaneKey(p=p)).store
        if not self._known.has_seen(store) and not self._learn_alike(store):
            self._arrays.get(store, 0)
        return self.info.image(p)

    def _learn_alike(self, store: str) -> bool:
        """Learn what a local store contains without opening its array; whether that was possible."""
        if self._tree.remote or self._tree.packed or self._path is None:
            return False
        try:
            self._arrays.image_at(store)
        except DatasetError:  # opening it says why
            return False
        return True

    def look_at_all(self) -> DatasetInfo:
        """Read the metadata of all stores, on a server of the first 64 that were not read yet."""
        stores = self._known.unseen()
        if self._tree.remote:
            stores = stores[:_LOOKED_AT_REMOTELY]
            self._tree.expect(file for store in stores for file in self._metadata_files(store))
        found: dict[str, ZarrImage] = {}
        tree = recorded(self._tree)  # folders that they share are looked at once
        for store in stores:
            self._arrays.raise_if_closed()
            with contextlib.suppress(DatasetError):  # reading its planes will report it
                found[store] = self._alike.read(store, 0, tree)
        for store, image in found.items():
            self._known.judge(store, image)
        self._known.learn(found, all_of_them=True)
        return self.info

    def _metadata_files(self, store: str) -> Iterator[str]:
        """The files that most probably describe an image: those of one that was read."""
        known = self._arrays.any_one()
        if known is not None:
            folder, image = known
            group, array = (".zattrs", ".zarray") if image.facts.version == 2 else ("zarr.json", "zarr.json")
            yield self._tree.join(store, group)
            if image.array != folder:
                yield self._tree.join(store + image.array[len(folder) :], array)

    def levels(self, p: int) -> tuple[Level, ...]:
        """The pyramid levels of position `p`, as their metadata says; those not written yet are left out."""
        return self._levels.of(self._planes.place(PlaneKey(p=p)).store)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`; on a server, the group of labels of the image is asked for."""
        place = self._planes.place(PlaneKey(p=p))
        if self._given:
            return label_images(self._given, place.store, self._tree, ask=True)
        return label_images(place.store, place.store, LocalTree(place.store))

    def label_facts(self) -> LabelFacts:
        """See `Source.label_facts`."""
        return facts_of_labels(self._known.places[0].store, self._tree)

    def level_at(self, p: int, level: int) -> Level:
        """See `Source.level_at`; raises `PlaneNotStoredError` if it is not written yet."""
        return self._levels.at(self._planes.place(PlaneKey(p=p)).store, level)

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a store for the position of `key`; looks at names only."""
        if not 0 <= key.p < len(self._known.places):
            return False
        store = self._known.places[key.p].store
        folders = (store, self._tree.join(store, "0"))  # a writer may create the array before its group
        files = [self._tree.join(folder, name) for folder in folders for name in layouts.METADATA_FILES]
        copied = self._tree.consolidated.document
        return any(self._tree.is_file(file) or copied(file) is not None for file in files)

    def refresh(self) -> DatasetInfo:
        """Recheck the stores that are open or were missing, and the folders of an opened path.

        Blocks on disk or network, bounded by the number of wells and of open stores; of an announced run, and
        of a dataset on a server, only the most recently used stores are checked.
        """
        used_last = self._arrays.worth_looking_at()
        if self._tree.remote:
            self._tree.forget()
            self._native.renew()
            self._arrays.forget_all()
        self._find_places()
        self._look_at(used_last if self._tree.remote else self._arrays.worth_looking_at())
        return self.info

    def follow(self) -> None:
        """See `Source.follow`."""
        self._native.followed = True

    def look(self) -> DatasetInfo:
        """See `Source.look`: of a local store, metadata files and listings that have changed are reread.

        Positions are looked for at most for the `LISTING_SHARE` of a core, as that costs their number.
        On a server, that of the store used last is requested again, and all of it if that has changed.
        """
        if self._tree.remote:
            return self.refresh() if self._has_changed_on_server() else self.info
        look, watch = OneLook(), Stopwatch()
        may_list = watch.began >= self._not_before
        listed = [self._listed] if may_list and self._listed is not None else []
        look.ask([*listed, *self._arrays.records()])
        if may_list and not (self._listed is not None and self._listed.is_current(look)):
            watch = Stopwatch()
            with contextlib.suppress(PlaneNotStoredError):  # the only image has no metadata: see below
                self._find_places(look)
            self._not_before = time.monotonic() + watch.spent().rest_s(LISTING_SHARE)
        self._look_at(self._arrays.outdated(look), look)
        self._arrays.lost.say()
        return self.info

    def _has_changed_on_server(self) -> bool:
        last = self._arrays.used_last()
        if last is None:  # nothing was read since it was opened, which is a moment ago
            return not self._known.learned
        (store, level), array = last
        self._tree.forget()
        return self._arrays.read_image(store, level) != array.image

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: the times and sizes of the files of chunks or shards."""
        return asked_together(lambda key: self._version(PlaneKey(*key), level), keys)

    def _version(self, key: PlaneKey, level: int) -> str | None:
        try:
            array, index = self._planes.locate(key, level)
            return array.version(index)
        except (DatasetError, IndexError):
            return None

    def settling_s(self, key: PlaneKey, level: int = 0) -> float:
        """See `Source.settling_s`: some writers put chunks into shards in place, without checksums."""
        try:
            array, _ = self._planes.locate(PlaneKey(*key), level)
        except (DatasetError, IndexError):
            return 0.0
        return _SHARD_SETTLES_S if has_shards(array.image) else 0.0

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions_in_view`; nothing is asked of a dataset whose metadata is a day old."""
        if not self._tree.remote:
            return self.versions(keys, level)
        if self._identity is not None:
            return [None] * len(keys)
        versions, has_changed = self._on_server.look([PlaneKey(*key) for key in keys], level)
        if has_changed:
            self._native.renew()  # what was cached of chunks may be of another version
            self._arrays.forget_all()
        return versions

    def _files_on_server(self, key: PlaneKey, level: int, most: int) -> list[str]:
        try:
            array, index = self._planes.locate(key, level)
        except (DatasetError, IndexError):
            return []
        return array.files(index, most)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`; in a folder by the names of chunks, or what is in shards."""
        return self._stored.are_stored(keys)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """See `Source.look_up_stored`: its chunks are asked for by name, until one is there."""
        return self._stored.look_up(PlaneKey(*key))

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`."""
        return self._stored.missing_as(keys)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by the OME-XML of bioformats2raw, or what ome-writers says of frames."""
        return [self._time_of(PlaneKey(*key)) for key in keys]

    def _time_of(self, key: PlaneKey) -> float | None:
        try:
            place = self._planes.place(key)
            times = self._times_at(place) if place.said is None else place.said.times
            if times is NOT_SAID:
                return None
            self.image(key.p)
        except (DatasetError, IndexError):  # reading the plane says why
            return None
        info = self.info
        if not info.contains(key):
            return None
        c = channel_in(info.image(key.p).channels, info.channels, key.c)
        return None if c is None else times.of(key.t, c, key.z)

    def _times_at(self, place: ImageLocation) -> RecordedTimes:
        axes = self._arrays.image_at(place.store).meta.axes
        if axes is None or place.p_index is not None:
            return NOT_SAID
        return self._frame_times.of(place.store, [axis.role for axis in axes])

    def _find_places(self, look: OneLook | None = None) -> None:
        """Look for positions that were added."""
        if self._path is None:
            return
        self._tree.check_there()
        path = self._path
        layout, listed = recorded_reading(self._tree, lambda tree: layouts.discover(path, tree), look)
        if not self._are_remains(layout):
            self._known.take_layout(layout)
        self._identity = self._tree.identity()
        self._listed = listed

    def _are_remains(self, layout: DatasetLayout) -> bool:
        """Whether what was found are folders of chunks, of which the metadata are away."""
        known = {place.store for place in self._known.places}
        found = [place.store for place in layout.places]
        if not known.isdisjoint(found) or self._tree.remote:
            return False
        files = [self._tree.join(found[0], name) for name in layouts.METADATA_FILES]
        copied = self._tree.consolidated.document
        return not any(self._tree.is_file(file) or copied(file) is not None for file in files)

    def _look_at(self, stores: Iterable[tuple[str, int]], look: OneLook | None = None) -> None:
        for store, level in stores:
            try:
                self._arrays.get(store, level, again=True, look=look)
            except DatasetReplacedError:
                raise
            except (DatasetError, IndexError):  # reading the plane will report it
                continue

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: how the first image is stored, and on which server."""
        return described(self.info.format, self._known.places[0].store, self._tree)

    def close(self) -> None:
        """Release all stores; reads in progress end within a quarter of a second. Idempotent."""
        self._closed.set()
        self._arrays.close()
        self._tree.close()
