"""Parts of label images (masks) of many positions, read where the planes of the dataset are read.

Blocking; runs in the reader process (see `isolation.server`), or in whichever process has opened the source.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError, ReadDroppedError, closed_error
from ..model import LabelFacts, PlaneKey, Region
from ..sources.disk_cached import open_disk_cached
from ..sources.source import SeenLabels
from ..storage.cancellation import current_scope
from ..storage.single_flight import SingleFlight
from .label_planes import (
    PictureArea,
    indices_along,
    is_of_masks,
    label_key,
    label_place,
    label_position,
    masks_as_labels,
    path_of_label,
    sampled,
    whole_numbers,
)
from .projections import StackProjection
from .thumbnail_maker import run_in_threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..model import ImageInfo
    from ..sources import Source
    from ..sources.source import LabelPart
    from .label_planes import LabelPlace

MOST_OPEN = 64
"""How many label images stay open."""
_LABEL_PIXELS_AT_ONCE = 2**24
"""A larger part is read in bands of rows, of which only the wanted pixels are kept."""


class _OpenImage(NamedTuple):
    source: Source
    facts: LabelFacts


class LabelParts:
    """Reads parts of the label images that belong to the positions of `source`. Any thread; `read` blocks."""

    def __init__(self, source: Source, options: Mapping[str, str]) -> None:
        self._source = source
        self._options = dict(options)
        self._opening: SingleFlight[str, _OpenImage] = SingleFlight()
        self._lock = threading.Lock()  # guards the following; nothing is opened or closed while holding it
        self._open: OrderedDict[str, _OpenImage] = OrderedDict()
        self._users: dict[str, int] = {}
        self._paths: dict[int, tuple[str, ...]] = {}  # of positions that have labels
        self._closed = False

    def read(self, name: str, wanted: Sequence[LabelPart], *, anew: bool = False) -> list[SeenLabels]:
        """The labels called `name` in each part, or why there are none.

        `anew`: what is known of label images does not count, they may have been written since. Raises
        `ReadDroppedError` when the `CancelScope` of this thread is dropped.
        """
        if anew:
            self._forget()
        return run_in_threads(
            self._source.reads_at_once, [partial(self._seen, name, part) for part in wanted]
        )

    def close(self) -> None:
        """Close the label images. Idempotent."""
        with self._lock:
            self._closed = True
        self._forget()

    # ---- one part --------------------------------------------------------------------------

    def _seen(self, name: str, part: LabelPart) -> SeenLabels:
        try:
            path = self._path(name, part.p)
            opened = self._taken(path)
            try:
                return self._read(path, opened, part)
            finally:
                self._leave(path)
        except ReadDroppedError:
            raise
        except (DatasetError, IndexError, MemoryError) as error:
            return SeenLabels(None, error=error)

    def _read(self, path: str, opened: _OpenImage, part: LabelPart) -> SeenLabels:
        labels, image = opened.source, self._source.image(part.p)
        p = 0 if is_of_masks(labels) else label_position(self._source, part.p, labels)
        if p is None:
            raise DatasetNotFoundError("there are no labels for this field")
        own = labels.image(p)
        key = label_key(image, own, part.t, part.z if isinstance(part.z, int) else 0, p)
        if key is None:
            raise PlaneNotStoredError("there are no labels at this time point")
        position, of_labels = self._source.info.positions[part.p], labels.info.positions[p]
        facts = opened.facts
        if is_of_masks(labels):
            zs = _planes_of(part, own.n_z, key.z)
            masks, facts = masks_as_labels(labels.info, path, lambda keys: map(labels.read_plane, keys), zs)
            place = label_place(image, position, own, of_labels, (1.0, 1.0))
            seen = sampled(masks, place, PictureArea(*part.area), part.rows, part.columns)
        else:
            rows, columns = _fitting(image, part)
            level = labels.level_for(p, rows, columns)
            at = labels.level_at(p, level)
            corner, spans = at.corner(), (at.scale.y, at.scale.x)
            place = label_place(image, position, own, of_labels, spans, (corner.y, corner.x))
            planes = list(dict.fromkeys(map(at.z_at, _planes_of(part, own.n_z, key.z))))
            seen = np.zeros((part.rows, part.columns), np.uint8)
            for z in planes:
                with contextlib.suppress(PlaneNotStoredError):  # a plane without labels need not be stored
                    one = _sampled_plane(labels, key._replace(z=z), level, place, part)
                    seen = np.maximum(seen, one) if seen.any() else one
        return SeenLabels(seen, _facts_of(seen, facts))

    # ---- open label images -----------------------------------------------------------------

    def _path(self, name: str, p: int) -> str:
        with self._lock:
            paths = self._paths.get(p, ())
        if not paths:
            paths = self._source.labels(p)
            if paths:
                with self._lock:
                    self._paths[p] = paths
        path = path_of_label(name, paths)
        if path is None:
            raise DatasetNotFoundError(f"there are no labels {name!r}")
        return path

    def _taken(self, path: str) -> _OpenImage:
        """An open label image that stays open until `_leave`."""
        while True:
            with self._lock:
                opened = self._open.get(path)
                if opened is not None:
                    self._open.move_to_end(path)
                    self._users[path] = self._users.get(path, 0) + 1
                    return opened
            self._opening.do(path, lambda: self._opened(path))

    def _opened(self, path: str) -> _OpenImage:
        source = open_disk_cached(path, self._options)
        opened = _OpenImage(source, source.label_facts())
        with self._lock:
            closed = self._closed
            if not closed:
                self._open[path] = opened
        if closed:
            source.close()
            raise closed_error()
        return opened

    def _leave(self, path: str) -> None:
        with self._lock:
            self._users[path] -= 1
            if not self._users[path]:
                del self._users[path]
            idle = [each for each in self._open if each not in self._users]
            most = 0 if self._closed else MOST_OPEN
            closing = [self._open.pop(each) for each in idle[: max(0, len(self._open) - most)]]
        for each in closing:
            each.source.close()

    def _forget(self) -> None:
        with self._lock:
            self._paths.clear()
            closing = [self._open.pop(each) for each in list(self._open) if each not in self._users]
        for each in closing:
            each.source.close()


def _planes_of(part: LabelPart, n_z: int, z: int) -> Sequence[int]:
    """The planes of labels, of `n_z`, that are seen: those of a projected stack, else `z`."""
    return (z,) if isinstance(part.z, int) else StackProjection.of_text(part.z).planes_of(max(n_z, 1))


def _fitting(image: ImageInfo, part: LabelPart) -> tuple[int, int]:
    """How many rows and columns a whole plane has where `part` has those that are wanted."""
    left, top, right, bottom = part.area
    rows = part.rows * image.height / max(bottom - top, 1e-9)
    columns = part.columns * image.width / max(right - left, 1e-9)
    return max(1, min(int(rows), image.height)), max(1, min(int(columns), image.width))


def _sampled_plane(
    labels: Source, key: PlaneKey, level: int, place: LabelPlace, part: LabelPart
) -> np.ndarray:
    """What `sampled` makes of a plane, of which no more is in memory at once than a band."""
    shape = labels.plane_shape(key, level)
    if shape is None:
        raise PlaneNotStoredError("the labels are not written yet")
    area = PictureArea(*part.area)
    y = indices_along(area.top, area.bottom, part.rows, place.top, place.step_y)
    x = indices_along(area.left, area.right, part.columns, place.left, place.step_x)
    rows, columns = _inside(y, shape[0]), _inside(x, shape[1])
    found = np.zeros((part.rows, part.columns), np.uint8)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return found
    left, right = int(x[columns.start]), int(x[columns.stop - 1]) + 1
    scope, first = current_scope(), rows.start
    most = max(1, _LABEL_PIXELS_AT_ONCE // (right - left))
    while first < rows.stop:
        if scope is not None and scope.dropped:
            raise ReadDroppedError("the labels are no longer needed")
        top = int(y[first])
        end = min(int(np.searchsorted(y, top + most)), rows.stop)
        region = Region(top, left, int(y[end - 1]) + 1 - top, right - left)
        is_all = region == Region(0, 0, *shape)
        pixels = labels.read_plane(key, level) if is_all else labels.read_region(key, region, level)
        band = whole_numbers(pixels[np.ix_(y[first:end] - top, x[columns] - left)])
        if found.dtype != band.dtype:
            found = found.astype(band.dtype)
        found[first:end, columns] = band
        first = end
    return found


def _inside(indices: np.ndarray, size: int) -> slice:
    """Which of these ascending indices lie within an axis of that size."""
    return slice(int(np.searchsorted(indices, 0)), int(np.searchsorted(indices, size)))


def _facts_of(seen: np.ndarray, facts: LabelFacts) -> LabelFacts:
    """The facts of the values that are in view: there may be fifty thousand others."""
    if not facts.colours and not facts.properties:
        return LabelFacts()
    values = set(np.unique(seen).tolist())
    return LabelFacts(
        {value: each for value, each in facts.colours.items() if value in values},
        {value: each for value, each in facts.properties.items() if value in values},
    )
