"""What is known of a dataset whose stores are read one by one: it grows with each of them."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetReplacedError, PlaneNotStoredError
from ...model import ImageInfo, PlacedWarning, PlaneKey, channel_in, place_of
from .image_facts import (
    default_names,
    grown_info,
    image_info,
    learned_info,
    shortened,
    with_contents,
    with_warnings,
    without_lag,
)
from .positions import DescribedPositions, not_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...metadata.ngff import NamedChannel
    from ...model import Channel, DatasetInfo, Position
    from .image_locations import DatasetLayout, ImageLocation
    from .nodes import ZarrImage


class _Seen(NamedTuple):
    """What a store was found to contain when its metadata was last read."""

    planes: tuple[object, ...]  # dtype and size, which never change
    n_c: int  # never fewer
    grown_to: tuple[int, int]  # t, z
    provisional: bool

    def may_become(self, now: _Seen) -> bool:
        """Whether it may be the same image that has grown."""
        return now.planes == self.planes and now.n_c >= self.n_c

    def was_longer(self, now: _Seen) -> bool:
        """Whether the same image had more time points, or more planes along z."""
        if self.planes != now.planes or self.provisional or now.provisional:
            return False
        return any(was > size for was, size in zip(self.grown_to, now.grown_to, strict=True))


class KnownImages:
    """The positions of a dataset, and what is known of each. Any thread; nothing here touches the disk.

    Of an announced run everything announced holds until a store says otherwise, and stores may always be
    behind others.
    """

    def __init__(self, layout: DatasetLayout, info: DatasetInfo, *, announced: bool, learned: bool) -> None:
        """`learned`: whether `info` is that of a store, whose metadata names its axes."""
        self.places = layout.places
        self.learned = learned
        self._announced = info if announced else None
        self._info = info
        self._lock = threading.Lock()  # guards the following and the above
        self._grows = announced  # whether stores may be behind others
        self._seen: dict[str, _Seen] = {}  # by store
        self._in_info: set[str] = set()  # the stores whose contents `info` includes
        self._in_store: dict[str, list[int]] = {}
        self._mapped: tuple[ImageLocation, ...] = ()  # the places that are in `_in_store`
        self._lacking: list[PlacedWarning] = []  # of the warnings in `info`
        self._of_layout = layout.warnings  # the same
        self._described = DescribedPositions()
        self._last: tuple[ZarrImage, tuple[NamedChannel, ...], tuple[Channel, ...], ImageInfo] | None = (
            None  # what was worked out last, and from what
        )

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._info

    def has_seen(self, store: str) -> bool:
        """Whether the metadata of a store has been read, and `info` says what is in it."""
        return store in self._in_info

    def knows(self, store: str, image: ZarrImage) -> bool:
        """Whether `info` says what is in a store, and the store is as it was: neither grown nor another."""
        return store in self._in_info and self._seen.get(store) == _seen(image)

    def unseen(self) -> list[str]:
        """The stores whose metadata has not been read yet, in the order of their positions."""
        with self._lock:
            return [store for store in self._positions_of() if store not in self._in_info]

    def own_key(self, key: PlaneKey, place: ImageLocation) -> PlaneKey:
        """`key` with the index that its channel has in the image itself, whose store has been read.

        Raises `PlaneNotStoredError` if the image has no such channel.
        """
        info = self._info
        if not info.images or key.c >= len(info.channels):
            return key
        c = channel_in(info.image(key.p).channels, info.channels, key.c)
        if c is None:
            name = info.channels[key.c].name
            raise PlaneNotStoredError(f"{place.position.label} has no channel {name!r}")
        return key._replace(c=c)

    # ---- it grows, or is of another dataset --------------------------------------------------

    def judge(self, store: str, image: ZarrImage) -> bool:
        """Compare a store with what it contained before; whether everything starts over.

        Of an announced run: what the host has announced is true still, what stores said is not. Else raises
        `DatasetReplacedError` for another image.
        """
        now = _seen(image)
        with self._lock:
            before = self._seen.get(store)
            if self.lacks_names(store, image):
                return False
            if before is None or before.may_become(now):
                if before is None or not before.was_longer(now):
                    self._seen[store] = now
                if before is not None and not self._grows and now.grown_to > before.grown_to:
                    self._grows = True
                    self._info = without_lag(self._info)
                return False
            if self._announced is not None:
                self._seen = {store: now}
                self._in_info.clear()
                self.learned = False
                self._info = dataclasses.replace(self._announced, generation=self._info.generation + 1)
                return True
        raise DatasetReplacedError(f"{store} contains a different image than before")

    def lacks_names(self, store: str, image: ZarrImage) -> bool:
        """Whether what named the axes of a store is away: those of `image` are assumed, and tell nothing."""
        before = self._seen.get(store)
        return before is not None and image.provisional and not before.provisional

    def was_longer(self, store: str, image: ZarrImage) -> bool:
        """Whether a store had more time points, or planes along z, when it was last read than in `image`."""
        before = self._seen.get(store)
        return before is not None and before.was_longer(_seen(image))

    def shorten(self, store: str, image: ZarrImage) -> None:
        """A store was cut: so is the dataset, to the longest of its stores. Not a run that was announced."""
        with self._lock:
            if self._announced is not None:
                return
            self._seen[store] = _seen(image)
            sizes = [each.grown_to for each in self._seen.values()]
            self._info = shortened(self._info, max(n_t for n_t, _ in sizes), max(n_z for _, n_z in sizes))

    def learn(self, images: Mapping[str, ZarrImage], *, all_of_them: bool = False) -> None:
        """Add what stores contain. `all_of_them`: now is told where they are, however few of them that is."""
        with self._lock:
            before = after = self._info
            contents: dict[int, ImageInfo] = {}
            for store, image in images.items():
                if self.lacks_names(store, image):
                    continue
                at = self._positions_of().get(store, ())
                names = default_names(image, self._announced, after, self.places[at[0]] if at else None)
                content = self._content(image, names, after.channels if self.learned else ())
                for p in at:
                    self._described.add(p, self.places[p], image)
                    after = with_warnings(after, not_known(self.places[p], image, p))
                if not self.learned and not (image.provisional and after.dtype is not None):
                    after = learned_info(after, image, content)
                    self.learned = not image.provisional
                    continue
                self._grows |= image.meta.complete is False
                after = grown_info(after, image)
                if after.images or content != after.groups[0]:
                    contents |= dict.fromkeys(at, content)
            after = with_contents(after, contents, grows=self._grows)
            described = self._described.take(self.places, all_of_them=all_of_them)
            after = self._with_positions(after, described)
            if after != before:  # a new object only if something changed
                self._info = after
            self._in_info.update(images)

    def _content(
        self, image: ZarrImage, names: tuple[NamedChannel, ...], known: tuple[Channel, ...]
    ) -> ImageInfo:
        """See `image_info`; of images that differ in place and name, worked out once. With the lock held."""
        last = self._last
        if last is not None:
            before, of_names, of_channels, content = last
            if _is_same_but_place(before, image) and of_names == names and of_channels is known:
                return content
        content = image_info(image, names, known)
        self._last = image, names, known, content
        return content

    def describe(self, p: int, image: ZarrImage) -> None:
        """Add what the image of position `p` says of it, whose contents are known."""
        with self._lock:
            self._described.add(p, self.places[p], image)
            pending = self._described.take(self.places, all_of_them=True)
            info = self._with_positions(self._info, pending)
            self._info = with_warnings(info, not_known(self.places[p], image, p))

    def _with_positions(self, info: DatasetInfo, positions: Mapping[int, Position]) -> DatasetInfo:
        """The info, and `places`, with these positions. With the lock held."""
        if not positions:
            return info
        places = list(self.places)
        for p, position in positions.items():
            places[p] = places[p]._replace(position=position)
        self.places = tuple(places)
        return dataclasses.replace(info, positions=tuple(place.position for place in places))

    def _positions_of(self) -> dict[str, list[int]]:
        """The positions in each store. With the lock held."""
        if self._mapped is not self.places:
            found: dict[str, list[int]] = {}
            for p, place in enumerate(self.places):
                if place.refused is None:
                    found.setdefault(place.store, []).append(p)
            self._in_store, self._mapped = found, self.places
        return self._in_store

    def take_layout(self, layout: DatasetLayout) -> None:
        """Append the places that are new, and take what is said of all now; existing indices do not change.

        A position that nothing placed on the stage so far may have been given a place.
        """
        with self._lock:
            pending = self._described.take(self.places, all_of_them=True)
            self._info = self._with_positions(self._info, pending)
            known = {(place.store, place.p_index): p for p, place in enumerate(self.places)}
            labels = {place.position.label for place in self.places}
            new = [
                place
                for place in layout.places
                if (place.store, place.p_index) not in known and place.position.label not in labels
            ]
            self._info = self._with_positions(self._info, self._placed_now(layout.places, known))
            known |= {(place.store, place.p_index): len(self.places) + i for i, place in enumerate(new)}
            self.places += tuple(new)
            positions = tuple(place.position for place in self.places) if new else self._info.positions
            said = tuple(_at_known_place(each, layout.places, known) for each in layout.warnings)
            warnings = self._info.warnings
            if said != self._of_layout:
                warnings = (*said, *(each for each in warnings if each not in self._of_layout))
                self._of_layout = said
            after = dataclasses.replace(
                self._info,
                positions=positions,
                empty_wells=layout.empty_wells,
                objective=layout.objective,
                warnings=warnings,
            )
            if after != self._info:
                self._info = after

    def _placed_now(
        self, found: Iterable[ImageLocation], known: Mapping[tuple[str, int | None], int]
    ) -> dict[int, Position]:
        """The known positions that have a place on the stage in `found` alone. With the lock held."""
        placed = {}
        for place in found:
            x, y, z = told = place.position.x_um, place.position.y_um, place.position.z_um
            p = known.get((place.store, place.p_index))
            if p is None or told == (None, None, None):
                continue
            position = self.places[p].position
            if (position.x_um, position.y_um, position.z_um) == (None, None, None):
                placed[p] = position._replace(x_um=x, y_um=y, z_um=z)
        return placed

    def warn(self, warning: str) -> None:
        """Add a warning, once."""
        with self._lock:
            self._info = with_warnings(self._info, (warning,))

    def lack(self, warnings: list[PlacedWarning]) -> None:
        """Warn of what is not there, instead of what was not there before."""
        with self._lock:
            if warnings == self._lacking:
                return
            others = [each for each in self._info.warnings if each not in self._lacking]
            self._lacking = warnings
            self._info = dataclasses.replace(self._info, warnings=(*others, *warnings))


def _at_known_place(
    warning: str, places: Sequence[ImageLocation], known: Mapping[tuple[str, int | None], int]
) -> str:
    """A warning about one of `places`, with the index that this has among those `known`."""
    at = place_of(warning)
    if at is None or at.p is None:
        return warning
    place = places[at.p]
    return PlacedWarning(warning, at._replace(p=known.get((place.store, place.p_index))))


def _seen(image: ZarrImage) -> _Seen:
    planes = image.facts.dtype, image.plane_shape
    return _Seen(planes, image.size("c"), (image.size("t"), image.size("z")), image.provisional)


def _is_same_but_place(one: ZarrImage, other: ZarrImage) -> bool:
    """Whether the metadata of two images say the same, but for where on the stage and under which name."""
    a, b = one.meta, other.meta
    is_same = a.axes == b.axes and a.scales == b.scales and a.channels == b.channels and a.squid == b.squid
    return is_same and one.facts == other.facts and (one.axes, one.n_levels) == (other.axes, other.n_levels)
