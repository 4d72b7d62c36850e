"""Where planes are, in which array at which index; reading them there, also in a store that was rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ...model import PlaneKey
from ...storage.tiling import check_whole_plane
from .tensorstore_errors import StoreChangedError

if TYPE_CHECKING:
    import numpy as np

    from ...model import Region
    from .image_locations import ImageLocation
    from .known_images import KnownImages
    from .open_arrays import OpenArrays
    from .tensorstore_arrays import OpenArray


class LocatedPlanes:
    """The planes of images that are known; their arrays are opened. Any thread; blocks on disk."""

    def __init__(self, known: KnownImages, arrays: OpenArrays, *, announced: bool) -> None:
        self._known = known
        self._arrays = arrays
        self._announced = announced

    def place(self, key: PlaneKey) -> ImageLocation:
        """The image that a plane is in; raises `IndexError` outside the dataset, and why it is refused."""
        places = self._known.places
        if not 0 <= key.p < len(places) or min(key) < 0:
            raise IndexError(f"no plane {tuple(key)} in a dataset of {self._known.info.sizes}")
        places[key.p].check()
        return places[key.p]

    def locate(self, key: PlaneKey, level: int) -> tuple[OpenArray, tuple[int, ...]]:
        """The open array of a plane and the plane's index in it; rechecks if it is out of bounds."""
        place = self.place(key)
        if level and not self._known.has_seen(place.store):
            self._arrays.get(place.store, 0)  # its channels are known from there on
        array = self._arrays.get(place.store, level)
        own = self._known.own_key(key, place)
        if not array.holds(own, place.p_index) or (array.image.provisional and self._announced):
            array = self._arrays.get(place.store, level, again=True)
            own = self._known.own_key(key, place)
        if array.holds(own, place.p_index):
            return array, array.index(own, place.p_index)
        shape = f"{array.image.array} has shape {array.image.facts.shape}"
        info = self._known.info
        if not info.contains(key._replace(z=0) if level else key):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {info.sizes}")
        if level and key.z >= array.image.size("z"):
            raise IndexError(f"{place.position.label} has no plane z={key.z} at level {level}: {shape}")
        raise PlaneNotStoredError(
            f"{place.position.label} has no plane t={key.t} c={own.c} z={key.z}: {shape}"
        )

    def is_fresh(self, key: PlaneKey) -> bool:
        """Whether the plane may come into chunks that were written within the last seconds."""
        try:
            place = self.place(PlaneKey(*key))
            array = self._arrays.if_open(place.store, 0)  # it is, if chunks were looked into
            own = self._known.own_key(PlaneKey(*key), place)
            if array is None or not array.holds(own, place.p_index):
                return False
            return array.is_fresh(array.index(own, place.p_index))
        except (DatasetError, IndexError):
            return False

    def read(self, key: PlaneKey, level: int, region: Region | None = None) -> np.ndarray:
        """The pixels of a plane or of a part of it; raises as `Source.read_region` does."""
        array, index = self._checked(key, level, region)
        try:
            return array.read(index, region)
        except StoreChangedError:
            return self._reopened(key, level, region)
        except CorruptDataError:  # or the store was recreated, and its chunks have changed
            if self._arrays.get(self.place(key).store, level, again=True) is array:
                raise
            return self._reopened(key, level, region)

    def _checked(self, key: PlaneKey, level: int, region: Region | None) -> tuple[OpenArray, tuple[int, ...]]:
        """Like `locate`; checks that what is to be read is within the plane, and of a sane size."""
        array, index = self.locate(key, level)
        shape = array.image.plane_shape
        if region is not None and not region.within(*shape):
            raise IndexError(f"{region} is not within a plane of {shape}")
        size = shape if region is None else (region.height, region.width)
        check_whole_plane(size, array.image.facts.dtype.itemsize, array.image.array)
        return array, index

    def _reopened(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """Reopen a store that was rewritten under its handle, and read again."""
        self._arrays.forget(self.place(key).store, level)
        array, index = self._checked(key, level, region)
        try:
            return array.read(index, region)
        except StoreChangedError as error:
            raise CorruptDataError(f"{array.image.array} changed while it was being read: {error}") from error
