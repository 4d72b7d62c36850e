"""The arrays of a dataset that are open: each opened once, by one thread, and kept while it is used."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, DatasetError, MetadataError, PlaneNotStoredError, closed_error
from ...storage.single_flight import SingleFlight
from ...storage.trees.recording import recorded_reading
from . import layouts
from .lost_metadata import LostMetadata
from .tensorstore_arrays import StoreArray
from .tensorstore_errors import StoreChangedError

if TYPE_CHECKING:
    from ...storage.trees.recording import OneLook, RecordingTree
    from ...storage.trees.tree import Tree
    from .alike_images import AlikeImages
    from .known_images import KnownImages
    from .nodes import ZarrImage
    from .tensorstore_arrays import OpenArray
    from .tensorstore_context import TensorStoreContext

MAX_OPEN_STORES = 256
_MAX_OPENED_ANEW = 4
"""How often an array is opened that is replaced each time while it is being opened."""
_REFRESHED_MISSING = 64
"""How many stores that did not exist yet one refresh looks for."""
_REFRESHED_OPEN = 8
"""How many stores of an announced run, or on a server, those used last, one refresh looks at."""


class ArrayName(NamedTuple):
    """The store of an image, and which of its levels."""

    store: str
    level: int


class OpenArrays:
    """Opens the arrays of images when they are first used. Any thread; its lock is never held during I/O."""

    def __init__(
        self,
        known: KnownImages,
        tree: Tree,
        native: TensorStoreContext,
        closed: threading.Event,
        alike: AlikeImages,
        *,
        announced: bool,
    ) -> None:
        """`closed` says that the dataset is closed. `announced`: nothing need exist yet."""
        self._known = known
        self._tree = tree
        self._native = native
        self._announced = announced
        self._closed = closed
        self._alike = alike
        self._lock = threading.Lock()
        self._arrays: OrderedDict[ArrayName, OpenArray] = OrderedDict()
        self._missing: OrderedDict[str, None] = OrderedDict()
        self._opening: SingleFlight[ArrayName, OpenArray] = SingleFlight()
        self.lost = LostMetadata(tree, known)
        """Those that cannot be opened any more."""

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, store: str, level: int, *, again: bool = False, look: OneLook | None = None) -> OpenArray:
        """The open array of a store; `again` rereads its metadata and keeps the handle if unchanged.

        What a `look` has read before is not read again.
        Raises `PlaneNotStoredError` while it does not exist, another `DatasetError`.
        """
        name = ArrayName(store, level)
        with self._lock:
            known = self._known_array(name)
            if known is not None and not again:
                self._arrays.move_to_end(name)
                return known
        return self._opening.do(
            name,
            lambda: self._opened_anew(name, known, look, again=again),
            self.raise_if_closed,
        )

    def _known_array(self, name: ArrayName) -> OpenArray | None:
        """The array of that name, unless it is to be opened anew; with the lock held."""
        array = self._arrays.get(name)
        return None if array is None or array.is_outdated() else array

    def if_open(self, store: str, level: int) -> OpenArray | None:
        """The array of a store if it is open already."""
        with self._lock:
            return self._arrays.get(ArrayName(store, level))

    def any_one(self) -> tuple[str, ZarrImage] | None:
        """One of the stores with an open array, and its image; None if there is none."""
        with self._lock:
            return next(((name.store, array.image) for name, array in self._arrays.items()), None)

    def used_last(self) -> tuple[ArrayName, OpenArray] | None:
        """The array that was asked for last; None if none is open."""
        with self._lock:
            return next(reversed(self._arrays.items()), None)

    def records(self) -> list[RecordingTree]:
        """What was looked at to describe those that are open."""
        with self._lock:
            return [array.record for array in self._arrays.values() if array.record is not None]

    def outdated(self, look: OneLook) -> list[ArrayName]:
        """`worth_looking_at`, but for those whose metadata a look has found as they were read."""
        with self._lock:
            arrays = list(self._arrays.items())
        current = {name for name, array in arrays if array.is_current(look)}
        return [name for name in self.worth_looking_at() if name not in current]

    def forget(self, store: str, level: int) -> None:
        """Open it anew when it is next used."""
        with self._lock:
            self._arrays.pop(ArrayName(store, level), None)

    def forget_all(self) -> None:
        """Open all of them anew when they are next used."""
        with self._lock:
            self._arrays.clear()

    def close(self) -> None:
        """Release everything; the dataset is closed."""
        with self._lock:
            self._arrays.clear()
            self._missing.clear()

    def worth_looking_at(self) -> list[ArrayName]:
        """What a refresh looks at: what is open, and what did not exist when it was last looked for."""
        with self._lock:
            few = self._announced or self._tree.remote
            known = list(self._arrays)[-_REFRESHED_OPEN if few else 0 :]
            missing = list(reversed(self._missing))[:_REFRESHED_MISSING]
        # before any store exists, the first ones are the likeliest; later the first represents the run
        n_first = 1 if self._known.learned else _REFRESHED_MISSING
        first = [place.store for place in self._known.places[:n_first]]
        levels = [ArrayName(*each) for each in self.lost.levels()]
        return list(dict.fromkeys(known + levels + [ArrayName(store, 0) for store in missing + first]))

    def raise_if_closed(self) -> None:
        """Raise a `DatasetClosedError` once the dataset is closed."""
        if self._closed.is_set():
            raise closed_error()

    def read_image(self, store: str, level: int, tree: Tree | None = None) -> ZarrImage:
        """Read an image's metadata; broken JSON may be a write in progress, so a retry may help."""
        tree = tree or self._tree
        try:
            if self._tree.remote or self._tree.packed:
                return layouts.read_image(store, level, tree)
            return self._alike.read(store, level, tree)
        except MetadataError as error:
            if not error.transient:
                raise
            raise CorruptDataError(f"{error}; if it is still being written, it will be read again") from error

    def image_at(self, store: str, tree: Tree | None = None) -> ZarrImage:
        """The image of a store as it was opened; else as its metadata says now, without opening it.

        `tree` is used instead of our own.
        """
        known = self.if_open(store, 0)
        if known is not None:
            return known.image
        image = self._alike.read(store, 0, tree)
        if not self._known.has_seen(store):
            self._known.judge(store, image)
            self._known.learn({store: image})
        return image

    # ---- opening -----------------------------------------------------------------------------

    def _opened_anew(
        self, name: ArrayName, known: OpenArray | None, look: OneLook | None, *, again: bool
    ) -> OpenArray:
        if not again:  # it may have been opened meanwhile
            with self._lock:
                if (array := self._known_array(name)) is not None:
                    return array
        try:
            array = self._open(name, known, look)
        except BaseException as error:
            self.forget(*name)
            if name.level and isinstance(error, DatasetError):
                self.lost.missed_level(*name, error)
            raise
        self._remember(name, array)
        return array

    def _open(self, name: ArrayName, known: OpenArray | None, look: OneLook | None) -> OpenArray:
        for _ in range(_MAX_OPENED_ANEW):
            with contextlib.suppress(StoreChangedError):
                return self._open_as_described(name, known, look)
            look = None  # what it has read is not true any more
        raise CorruptDataError(f"{name.store} keeps being replaced while it is being opened")

    def _open_as_described(self, name: ArrayName, known: OpenArray | None, look: OneLook | None) -> OpenArray:
        store, level = name
        self.raise_if_closed()
        try:
            image, record = recorded_reading(
                self._tree, lambda tree: self.read_image(store, level, tree), look
            )
        except PlaneNotStoredError:
            if not self._announced:
                self._tree.check_there()  # distinguish a missing plane from a missing disk
            self._note_missing(store)
            if level == 0 and not self._announced:
                self.lost.missed(store)
            raise
        self.lost.found(store, image)
        if level == 0 and self._known.was_longer(store, image) and (record is None or record.is_current()):
            self._known.shorten(store, image)  # not by what another thread has read earlier
        if known is not None and known.image == image:
            known.record = record
            return known
        if known is not None and known.image.facts == image.facts and self._known.lacks_names(store, image):
            return known  # its record is outdated: it is looked at again
        if level == 0 and self._known.judge(store, image):
            self.forget_all()
        array = self._opened(image)
        array.record = record
        if level == 0:
            self._known.learn({store: image})
        return array

    def _opened(self, image: ZarrImage) -> OpenArray:
        if image.pixels is not None:
            from .listed_masks import ListedMasks

            return ListedMasks(image, image.pixels, self._tree, self._native)
        if not image.is_native:
            from .decoded import DecodedArray

            return DecodedArray(image, self._tree, self._native)
        if self._tree.packed:
            from .packed import packed_array

            return packed_array(image, self._tree, self._native)
        return StoreArray(image, self._native)

    def _note_missing(self, store: str) -> None:
        with self._lock:
            self._missing[store] = None
            self._missing.move_to_end(store)
            while len(self._missing) > MAX_OPEN_STORES:
                self._missing.popitem(last=False)

    def _remember(self, name: ArrayName, array: OpenArray) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self._missing.pop(name.store, None)
            self._arrays[name] = array
            self._arrays.move_to_end(name)
            while len(self._arrays) > MAX_OPEN_STORES:
                self._arrays.popitem(last=False)
