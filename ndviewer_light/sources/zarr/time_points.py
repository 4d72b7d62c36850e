"""BigStitcher's Zarr: a store for each view setup and time point, ``s0-t12.zarr``, as one dataset.

What the setups are (channels, tiles, angles) is said by an XML file of BigDataViewer beside the folder;
without it each is a position.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import DatasetError, PlaneNotStoredError
from ...metadata.bdv_views import CHANNEL, positions_of, views_of
from ...metadata.bdv_xml import ZARR_LOADER, BigDataViewerXml, Setup, parse_bdv_xml
from ...metadata.named_axes import unit_of_length
from ...model import Channel, DatasetInfo, ImageInfo, PlaneKey, colored
from ...storage.bytes import is_url, name_of
from ...storage.limits import MAX_METADATA_BYTES, MAX_POSITIONS
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from ..source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    import numpy as np

    from ...model import LabelFacts, Level, Region
    from ..missing import Found
    from ..source import StorageOptions
    from .source import ZarrSource

    T = TypeVar("T")

_STORE = re.compile(r"s(\d{1,6})-t(\d{1,6})")


def over_time(stores: ZarrSource, path: str, options: StorageOptions, xml_path: str = "") -> Source:
    """`stores` as one dataset, if all of them are called as BigStitcher calls them; else itself."""
    if not all(_STORE.fullmatch(position.name) for position in stores.info.positions):
        return stores
    xml = read_zarr_xml(xml_path, options) if xml_path else _xml_beside(path, options)
    return SetupsOverTime(stores, xml)


def names_beside(path: str, options: StorageOptions, xml_path: str = "") -> list[str]:
    """The names of the stores in that at `path` by its XML file, which may be given; [] without one."""
    with contextlib.suppress(DatasetError):
        xml = read_zarr_xml(xml_path, options) if xml_path else _xml_beside(path, options)
        if xml is not None:
            numbers = itertools.product((setup.number for setup in xml.setups), xml.times)
            return [f"s{setup}-t{time}.zarr" for setup, time in itertools.islice(numbers, MAX_POSITIONS)]
    return []


def read_zarr_xml(path: str, options: StorageOptions) -> BigDataViewerXml:
    """The XML file at a path or URL, which names a Zarr store. Raises a `DatasetError`."""
    source = open_bytes(path, access_options(options))
    try:
        raw = source.read(0, min(source.size, MAX_METADATA_BYTES + 1))
        return parse_bdv_xml(raw, source.name, ZARR_LOADER)
    finally:
        source.close()


def _xml_beside(path: str, options: StorageOptions) -> BigDataViewerXml | None:
    """That of the same name beside the store, or BigStitcher's ``dataset.xml``; None if none names it."""
    store, query = path, ""
    if path.lower().startswith("http"):
        store, mark, query = path.partition("#")[0].partition("?")
        query = mark + query
    store = store.rstrip("/" + os.sep)
    stem = store.removesuffix(".zarr").removesuffix(".ome")
    folder = store[: len(store) - len(store.replace(os.sep, "/").rpartition("/")[2])]
    for xml in dict.fromkeys((f"{stem}.xml", f"{folder}dataset.xml")):
        with contextlib.suppress(DatasetError):  # the images can be shown without
            found = read_zarr_xml(xml + query, options)
            if re.split(r"[\\/]", found.file.rstrip("/"))[-1] == name_of(store):
                return found
    return None


class SetupsOverTime(Source):
    """Positions, channels and time points, each combination of which is a position of `stores`."""

    format = "ome-zarr"

    def __init__(self, stores: ZarrSource, xml: BigDataViewerXml | None) -> None:
        self._stores = stores
        self._xml = xml
        self._composed: tuple[DatasetInfo, DatasetInfo] | None = None
        self._at: dict[tuple[int, int], int] = {}  # the position in `stores` of a setup and time point
        self._times: tuple[int, ...] = ()
        self._channels: list[int] = []  # the attribute of each channel; [] if they are in the stores
        self._views: list[list[Setup]] = []
        self._compose()

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        composed = self._composed
        if composed is not None and composed[0] is self._stores.info:
            return composed[1]
        return self._compose()

    def _compose(self) -> DatasetInfo:
        inner = self._stores.info
        names = [_STORE.fullmatch(position.name) for position in inner.positions]
        self._at = {(int(name[1]), int(name[2])): p for p, name in enumerate(names) if name}
        self._times = tuple(sorted({t for _, t in self._at}))
        if not self._views:
            self._views, self._channels = self._arranged({setup for setup, _ in self._at})
        views = self._views
        channels = inner.channels
        if self._channels and self._xml is not None:
            said = self._xml.names
            channels = colored(
                Channel(said.get((CHANNEL, number)) or f"Ch{i}", "")
                for i, number in enumerate(self._channels)
            )
        images = {i: self._image(inner, view, channels) for i, view in enumerate(views)}
        first = images[0]
        info = replace(
            inner,
            positions=positions_of(views, self._xml, unit_of_length),
            channels=channels,
            n_t=first.n_t,
            times=first.times,
            images={},
            common=None,
            warnings=(*inner.warnings, *self._without_xml()),
        ).with_images(images)
        self._composed = inner, info
        return info

    def _arranged(self, there: set[int]) -> tuple[list[list[Setup]], list[int]]:
        """The setups of each position, and the numbers of the channels."""
        told = [setup for setup in self._xml.setups if setup.number in there] if self._xml else []
        if {setup.number for setup in told} == there:
            numbers = sorted({setup.attributes[CHANNEL] for setup in told if CHANNEL in setup.attributes})
            return views_of(told), numbers if len(numbers) > 1 else []
        self._xml = None
        setups = [Setup(number, f"setup {number}", (), (), "", {}) for number in sorted(there)]
        return views_of(setups), []

    def _without_xml(self) -> tuple[str, ...]:
        if self._xml is not None or len(self._views) == 1:
            return ()
        return ("No XML file beside it says what its setups are: each is shown as a position",)

    def _image(self, inner: DatasetInfo, view: Sequence[Setup], channels: Sequence[Channel]) -> ImageInfo:
        first = next(p for (setup, _), p in self._at.items() if setup == view[0].number)
        of_view = {setup.attributes.get(CHANNEL, 0) for setup in view}
        image = inner.image(first)
        if self._channels:
            of_channel = zip(channels, self._channels, strict=True)
            image = replace(image, channels=tuple(each for each, n in of_channel if n in of_view))
        times = self._times if self._times != tuple(range(len(self._times))) else ()
        return replace(image, n_t=len(self._times), times=times)

    def _inner(self, key: PlaneKey) -> PlaneKey:
        """The plane as it is in `stores`. Raises `IndexError`, `PlaneNotStoredError` without such a store."""
        key, info = PlaneKey(*key), self.info
        if not info.contains(key._replace(z=0)) or key.z < 0:
            raise IndexError(f"no plane {tuple(key)} in a dataset of {info.sizes}")
        view, time, c = self._views[key.p], self._times[key.t], key.c
        setup: Setup | None = view[0]
        if self._channels:
            number, c = self._channels[key.c], 0
            setup = next((each for each in view if each.attributes.get(CHANNEL, 0) == number), None)
        p = None if setup is None else self._at.get((setup.number, time))
        if p is None:
            raise PlaneNotStoredError(f"{info.positions[key.p].label} has no store for {tuple(key)}")
        return PlaneKey(0, p, c, key.z)

    def _first(self, p: int) -> int:
        """A store of a position."""
        if not 0 <= p < len(self._views):
            raise IndexError(f"no position {p}: the dataset has {len(self._views)}")
        numbers = [setup.number for setup in self._views[p]]
        return next(at for number in numbers for (setup, _), at in self._at.items() if setup == number)

    def _each(
        self, keys: Sequence[PlaneKey], ask: Callable[[list[PlaneKey]], list[T]], otherwise: T
    ) -> list[T]:
        """What `stores` say of those of `keys` that have a store."""
        found: list[T] = [otherwise] * len(keys)
        inner: dict[int, PlaneKey] = {}
        for i, key in enumerate(keys):
            with contextlib.suppress(DatasetError, IndexError):
                inner[i] = self._inner(key)
        for i, answer in zip(inner, ask(list(inner.values())), strict=True):
            found[i] = answer
        return found

    # ---- Source ------------------------------------------------------------------------------

    @property
    def identity(self) -> str | None:
        """See `Source.identity`."""
        identity = self._stores.identity
        return None if identity is None else f"{identity}\n{len(self._views)} setups over time"

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`."""
        return self._stores.reads_at_once

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """See `ZarrSource.read_plane`."""
        return self._stores.read_plane(self._inner(key), level)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`."""
        return self._stores.read_region(self._inner(key), region, level)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None if there is no store for it."""
        try:
            return self._stores.plane_shape(self._inner(key), level)
        except PlaneNotStoredError:
            return None

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`: by its first store."""
        self._stores.image(self._first(p))
        return self.info.image(p)

    def look_at_all(self) -> DatasetInfo:
        """Look at the first store of each position."""
        for p in range(len(self._views)):
            with contextlib.suppress(DatasetError):  # reading its planes will report it
                self._stores.image(self._first(p))
        return self.info

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        return self._stores.levels(self._first(p))

    def level_at(self, p: int, level: int) -> Level:
        """See `Source.level_at`."""
        return self._stores.level_at(self._first(p), level)

    def level_for(self, p: int, height: int, width: int) -> int:
        """See `Source.level_for`."""
        return self._stores.level_for(self._first(p), height, width)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""
        return self._stores.tile_shape(self._first(p), level)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`."""
        return self._stores.labels(self._first(p))

    def label_facts(self) -> LabelFacts:
        """See `Source.label_facts`."""
        return self._stores.label_facts()

    def exists(self, key: PlaneKey) -> bool:
        """See `Source.exists`."""
        try:
            return self._stores.exists(self._inner(key))
        except (DatasetError, IndexError):
            return False

    def follow(self) -> None:
        """See `Source.follow`."""
        self._stores.follow()

    def refresh(self) -> DatasetInfo:
        """See `Source.refresh`: stores of later time points are found."""
        self._stores.refresh()
        return self.info

    def look(self) -> DatasetInfo:
        """See `Source.look`."""
        self._stores.look()
        return self.info

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`."""
        return self._each(keys, lambda inner: self._stores.versions(inner, level), None)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions_in_view`."""
        return self._each(keys, lambda inner: self._stores.versions_in_view(inner, level), None)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`."""
        return self._each(keys, self._stores.are_stored, False)

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`."""
        from ..missing import Found

        return self._each(keys, self._stores.missing_as, Found.ABSENT)

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return self._stores.describe()

    def close(self) -> None:
        """See `Source.close`."""
        self._stores.close()


def store_of(xml_path: str, options: StorageOptions) -> str:
    """The path or URL of the Zarr store that an XML file names: in its own folder, else a `DatasetError`."""
    xml = read_zarr_xml(xml_path, options)
    name = re.split(r"[\\/]", xml.file.rstrip("/\\"))[-1]
    if is_url(xml_path):
        return f"{xml_path.partition('?')[0].rpartition('/')[0]}/{name}"
    return os.path.join(os.path.dirname(os.path.abspath(xml_path)), name)
