"""Labels over the pictures of a dataset, for commands and scripts: everything here reads, and blocks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from ..engine.label_planes import (
    PictureArea,
    is_of_masks,
    label_key,
    label_name,
    label_place,
    label_position,
    label_stack_place,
    mask_stack_as_labels,
    masks_as_labels,
    path_of_label,
    sampled,
    whole_numbers,
)
from ..engine.projections import StackProjection
from ..engine.stack_resolution import stack_resolution
from ..errors import DatasetNotFoundError, PlaneNotStoredError
from ..opening import open_dataset
from .label_picture import coloured, laid_over
from .label_surfaces import MOST_LABEL_BYTES, MOST_LABELS_ALONG, LabelBlock, surface_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..engine.dataset import Dataset
    from ..engine.label_planes import LabelPlace
    from ..model import ImageInfo, LabelFacts, PlaneKey
    from .label_picture import LabelStyle
    from .label_surfaces import LabelSurface
    from .view_picture import ShownPlace


class LabelsOver:
    """The label images called `name` of the positions of a dataset, one of them open at a time.

    For one thread; `close` it. `isolate`: read them in processes of their own. `where_there_are_any`: a
    position without such labels is drawn without; else it is an error.
    """

    def __init__(
        self,
        dataset: Dataset,
        name: str,
        style: LabelStyle,
        *,
        isolate: bool = False,
        where_there_are_any: bool = False,
    ) -> None:
        self._isolate = isolate
        self._may_lack = where_there_are_any
        self._dataset = dataset
        self._name = name
        self._style = style
        self._open: tuple[str, Dataset, LabelFacts] | None = None

    def laid_over(self, picture: np.ndarray, place: ShownPlace) -> np.ndarray:
        """A picture (Y, X, 3) uint8 of the whole plane at a place with its labels on it.

        Of a projected stack the largest label of each pixel. Raises `DatasetNotFoundError` if the position
        has no such labels, otherwise like `Dataset.plane`. No labels at a time point leave it as it is.
        """
        try:
            return self._laid_over(picture, place)
        except DatasetNotFoundError:
            if self._may_lack:
                return picture
            raise

    def surface(
        self, place: ShownPlace, planes: range, going_on: Callable[[], None] = lambda: None
    ) -> LabelSurface | None:
        """The surface of the labels of these planes of a stack, at the level that fits; None of nothing.

        `going_on` is called before each plane is read, and may raise. Raises like `laid_over`.
        """
        try:
            return self._surface(place, planes, going_on)
        except DatasetNotFoundError:
            if self._may_lack:
                return None
            raise

    def _laid_over(self, picture: np.ndarray, place: ShownPlace) -> np.ndarray:
        labels, facts = self._opened(place.p)
        image, position = self._dataset.image(place.p), self._dataset.info.positions[place.p]
        p = self._position_in(labels, place.p)
        own, of_labels = labels.image(p), labels.info.positions[p]
        z = 0 if isinstance(place.z, str) else place.z
        key = label_key(image, own, place.t, z, p)
        if key is None:
            return picture
        height, width = picture.shape[:2]
        seen: Sequence[int] = (key.z,)
        if isinstance(place.z, str):
            seen = StackProjection.of_text(place.z).planes_of(max(own.n_z, 1))
        if is_of_masks(labels):
            values, facts = masks_as_labels(labels.info, labels.path, labels.iter_planes, seen)
            where = label_place(image, position, own, of_labels, (1.0, 1.0))
            return self._drawn(picture, values, where, facts, image)
        level = self._level(labels, p, height, width)
        facts_of_level = labels.level_at(p, level)
        pixels = []
        for at in dict.fromkeys(labels.z_at(p, z, level) for z in seen):
            with contextlib.suppress(PlaneNotStoredError):  # a plane without labels need not be stored
                pixels.append(whole_numbers(labels.plane(key.t, p, 0, at, level=level)))
        if not pixels:
            return picture
        values = np.maximum.reduce(pixels)
        scale, corner = facts_of_level.scale, facts_of_level.corner()
        spans, begins = (scale.y, scale.x), (corner.y, corner.x)
        where = label_place(image, position, own, of_labels, spans, begins)
        return self._drawn(picture, values, where, facts, image)

    def _surface(self, place: ShownPlace, planes: range, going_on: Callable[[], None]) -> LabelSurface | None:
        labels, facts = self._opened(place.p)
        image, position = self._dataset.image(place.p), self._dataset.info.positions[place.p]
        p = self._position_in(labels, place.p)
        own, of_labels = labels.image(p), labels.info.positions[p]
        key = label_key(image, own, place.t, planes.start, p)
        if key is None:
            return None
        itemsize = own.dtype.itemsize if own.dtype is not None else 1
        at = stack_resolution(labels.drawn_levels(p), itemsize, MOST_LABEL_BYTES, MOST_LABELS_ALONG)
        where = label_stack_place(image, position, own, of_labels, at, planes)
        if is_of_masks(labels):

            def masks(keys: Sequence[PlaneKey]) -> Iterator[np.ndarray]:
                for mask in labels.iter_planes(keys, missing="fill"):
                    going_on()
                    yield mask

            found, facts = mask_stack_as_labels(labels.info, labels.path, masks, where.zs, at.step)
            return surface_of(LabelBlock(found, where.corner, where.step), facts.colours, self._style.opacity)
        stack: np.ndarray | None = None
        for i, z in enumerate(where.zs):
            going_on()
            with contextlib.suppress(PlaneNotStoredError):
                plane = whole_numbers(labels.plane(key.t, p, 0, z, level=at.number))
                part = plane[:: at.step, :: at.step]
                if stack is None:
                    stack = np.zeros((len(where.zs), *part.shape), part.dtype)
                stack[i] = part
        if stack is None:
            return None
        return surface_of(LabelBlock(stack, where.corner, where.step), facts.colours, self._style.opacity)

    def _position_in(self, labels: Dataset, p: int) -> int:
        """The position of the labels that belongs to position `p`."""
        own = 0 if is_of_masks(labels) else label_position(self._dataset, p, labels)
        if own is None:
            raise DatasetNotFoundError(f"no labels {self._name!r} at position {p}, only at others")
        return own

    def _drawn(
        self, picture: np.ndarray, values: np.ndarray, where: LabelPlace, facts: LabelFacts, image: ImageInfo
    ) -> np.ndarray:
        seen = sampled(values, where, PictureArea(0, 0, image.width, image.height), *picture.shape[:2])
        return laid_over(picture, coloured(seen, facts.colours, self._style))

    def close(self) -> None:
        """Close the label image that is open. Idempotent."""
        opened, self._open = self._open, None
        if opened is not None:
            opened[1].close()

    def _opened(self, p: int) -> tuple[Dataset, LabelFacts]:
        paths = self._dataset.labels(p)
        path = path_of_label(self._name, paths)
        if path is None:
            others = ", ".join(map(label_name, paths))
            there_are = f"there are {others}" if others else "there are none"
            raise DatasetNotFoundError(f"no labels {self._name!r} at position {p}: {there_are}")
        if self._open is None or self._open[0] != path:
            self.close()
            options = self._dataset.storage_options
            dataset = open_dataset(path, storage_options=options, isolate=self._isolate)
            self._open = path, dataset, dataset.label_facts()
        return self._open[1:]

    def _level(self, labels: Dataset, p: int, height: int, width: int) -> int:
        """The coarsest level that has as many pixels as the picture."""
        levels = labels.levels(p)
        return max(
            (n for n, each in enumerate(levels) if each.sizes.y >= height and each.sizes.x >= width),
            default=0,
        )
