"""Reads label images and makes pictures of them, in a thread: the GUI thread waits for neither. No Qt."""

from __future__ import annotations

import contextlib
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.label_planes import (
    LabelPlace,
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
from ...errors import DatasetError
from ...isolation.client import IsolatedSource
from ...model import LabelFacts, PlaneKey, PlaneState
from ...rendering.label_picture import coloured
from ..ends import Owner
from ..words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.dataset import Dataset
    from ...engine.overview import DrawnLevel
    from ...model import ImageInfo
    from ...rendering.label_picture import LabelStyle
    from ...rendering.label_surfaces import LabelSurface
    from ..background import Background

logger = logging.getLogger(__name__)

_CACHE_BYTES = 128 * 1024**2


class LabelsWanted(NamedTuple):
    """Which labels are to be drawn: those called `name` ("": none, only which there are) over a picture.

    `area` is what is seen of the picture, in `rows` × `columns` pixels of the screen.
    """

    dataset: Dataset
    p: int
    t: int
    z: int
    name: str
    style: LabelStyle
    area: PictureArea
    rows: int
    columns: int
    part: range | None = None
    """Of a volume the planes of level 0 in view; it is seen from anywhere, whatever the area."""
    others: tuple[int, ...] = ()
    """Positions of which the names are given, if `p` has no labels."""

    @property
    def plane(self) -> tuple[object, ...]:
        """What decides which labels there are, wherever one looks."""
        which = id(self.dataset), self.p
        if not self.name:
            return *which, bool(self.others)
        return *which, self.t, self.z if self.part is None else self.part, self.name


class LabelsShown(NamedTuple):
    """The answer: the names of all label images of the position, and the picture (Y, X, 4), if there is one.

    `labels` are the values (Y, X) at `place`, `surface` is that of labels in a volume; `problem` is why there
    is no picture, in plain words.
    `is_expected`: it is still being read.
    """

    wanted: LabelsWanted
    names: tuple[str, ...] = ()
    picture: np.ndarray | None = None
    labels: np.ndarray | None = None
    place: LabelPlace = LabelPlace()
    facts: LabelFacts = LabelFacts()
    problem: str = ""
    is_expected: bool = False
    surface: LabelSurface | None = None

    @property
    def has_any(self) -> bool:
        """Whether there is something to draw."""
        return self.picture is not None or self.surface is not None

    def value_at(self, row: int, column: int) -> int | None:
        """The label at a pixel of the image; None outside of the labels."""
        if self.labels is None:
            return None
        y = int((row + 0.5 - self.place.top) // self.place.step_y)
        x = int((column + 0.5 - self.place.left) // self.place.step_x)
        height, width = self.labels.shape
        return int(self.labels[y, x]) if 0 <= y < height and 0 <= x < width else None


class _OvertakenError(Exception):
    """Nobody waits for the labels that are being read."""


class LabelReader(Owner):
    """Answers one request at a time, the newest; owns the label image that is open.

    `answered` is called in the reading thread.
    """

    def __init__(self, background: Background, answered: Callable[[LabelsShown], None]) -> None:
        self._background = background
        self._answered = answered
        self._lock = threading.Lock()  # guards the following three
        self._is_busy = self._ended = False
        self._newest: LabelsWanted | None = None  # what was asked for last, whether or not it was refused
        self._open: tuple[str, Dataset, LabelFacts] | None = None
        self._paths: tuple[object, tuple[str, ...]] = None, ()  # of the position asked for last
        self._position: tuple[object, int | None] = None, None
        self._masks: tuple[object, np.ndarray | None, LabelFacts] = None, None, LabelFacts()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered; another one is refused meanwhile."""
        return self._is_busy

    def ask(self, wanted: LabelsWanted) -> bool:
        """Have `wanted` answered; False while another request is being answered, and after `end`."""
        self._newest = wanted
        with self._lock:
            if self._is_busy or self._ended:
                return False
            self._is_busy = True
        self._background.run("ndviewer-labels", lambda: self._work(wanted))
        return True

    def has_changed(self) -> bool:
        """Whether something new has been read or written of the labels shown last. Never blocks."""
        opened = self._open
        if opened is None:
            return False
        changes = opened[1].take_changes()
        return changes.in_view or changes.info

    def forget(self) -> None:
        """Another dataset is on screen: which labels there are is asked anew. Never blocks."""
        self._paths = None, ()

    def end(self) -> None:
        """Close what is open. Idempotent."""
        super().end()
        with self._lock:
            self._ended = True
            opened, self._open = (None, self._open) if self._is_busy else (self._open, None)
        if opened is not None:  # otherwise the thread does it
            with contextlib.suppress(RuntimeError):
                self._background.run("ndviewer-close", opened[1].close)

    # ---- in the thread ---------------------------------------------------------------------

    def _work(self, wanted: LabelsWanted) -> None:
        try:
            answer = self._answer(wanted)
        except Exception as error:  # whatever it is, it is said
            if not isinstance(error, (DatasetError, IndexError)):
                logger.exception("reading labels")
            answer = LabelsShown(wanted, self._names(), problem=explain(error).sentence)
        with self._lock:
            self._is_busy = False
            unwanted = self._open if self._ended or not wanted.name else None
            if unwanted is not None:
                self._open = None
        if unwanted is not None:
            unwanted[1].close()
        self._answered(answer)

    def _names(self) -> tuple[str, ...]:
        return tuple(map(label_name, self._paths[1]))

    def _answer(self, wanted: LabelsWanted) -> LabelsShown:
        where = id(wanted.dataset), wanted.p, bool(wanted.others)
        if self._paths[0] != where or (
            wanted.dataset.live and not self._paths[1]
        ):  # they may be written later
            found = (wanted.dataset.labels(p) for p in (wanted.p, *wanted.others))
            self._paths = where, next(filter(None, found), ())
        path = path_of_label(wanted.name, self._paths[1]) if wanted.name else None
        if path is None:
            return LabelsShown(wanted, self._names())
        dataset, facts = self._opened(path, wanted.dataset.storage_options)
        image, position = wanted.dataset.image(wanted.p), wanted.dataset.info.positions[wanted.p]
        p = self._position_in(dataset, path, wanted)
        if p is None:
            return LabelsShown(wanted, self._names(), problem="no labels for this field")
        own, of_labels = dataset.image(p), dataset.info.positions[p]
        key = label_key(image, own, wanted.t, wanted.z, p)
        if key is None:
            return LabelsShown(wanted, self._names(), problem="no labels at this time point")
        if wanted.part is not None:
            return self._surface(dataset, facts, key, wanted)
        if is_of_masks(dataset):
            from ...engine.overview import DrawnLevel  # here, as the window need not wait for it

            facts = self._combined(path, dataset, key.z)
            level, problem, is_expected = DrawnLevel(0, (own.height, own.width)), "", False
            pixels: np.ndarray | None = self._masks[1]
        else:
            pixels, level, problem, is_expected = _read(dataset, key, wanted)
        shown = LabelsShown(wanted, self._names(), problem=problem, is_expected=is_expected)
        if pixels is None:
            return shown
        place = label_place(image, position, own, of_labels, level.spans, level.corner)
        return drawn(shown._replace(labels=whole_numbers(pixels), place=place, facts=facts), wanted)

    def _surface(
        self, dataset: Dataset, facts: LabelFacts, first: PlaneKey, wanted: LabelsWanted
    ) -> LabelsShown:
        """The surfaces of the labels of a volume, at the level that fits."""
        from ...engine.stack_resolution import stack_resolution  # here, as the window need not wait for them
        from ...rendering.label_surfaces import MOST_LABEL_BYTES, MOST_LABELS_ALONG, LabelBlock, surface_of

        shown = LabelsShown(wanted, self._names())
        assert wanted.part is not None
        image, own = wanted.dataset.image(wanted.p), dataset.image(first.p)
        itemsize = own.dtype.itemsize if own.dtype is not None else 1
        at = stack_resolution(dataset.drawn_levels(first.p), itemsize, MOST_LABEL_BYTES, MOST_LABELS_ALONG)
        places = wanted.dataset.info.positions[wanted.p], own, dataset.info.positions[first.p]
        where = label_stack_place(image, *places, at, wanted.part)
        if is_of_masks(dataset):
            found = self._combined_stack(dataset, where.zs, at.step, wanted)
            if found is None:
                return shown._replace(is_expected=True)
            block = LabelBlock(found[0], where.corner, where.step)
            surface = surface_of(block, found[1].colours, wanted.style.opacity)
            return shown._replace(facts=found[1], surface=surface)
        keys = [first._replace(z=z) for z in where.zs]
        sizes, step = at.level.sizes, at.step
        labels: np.ndarray | None = None
        n_expected = 0
        for i, key in enumerate(keys):
            if self._is_overtaken(wanted):
                return shown._replace(is_expected=True)
            (plane,) = dataset.planes([key], at.number, None, keys)
            n_expected += plane.state is PlaneState.PENDING
            if plane.pixels is None:
                continue
            part = whole_numbers(plane.pixels[::step, ::step])
            if labels is None:
                shape = (len(keys), -(-sizes.y // step), -(-sizes.x // step))
                labels = np.zeros(shape, part.dtype)
            if part.shape == labels.shape[1:]:
                labels[i] = part
        if labels is None:
            problem = "not written yet" if n_expected else "these planes are not stored"
            return shown._replace(problem=problem, is_expected=bool(n_expected))
        block = LabelBlock(labels, where.corner, where.step)
        return shown._replace(facts=facts, surface=surface_of(block, facts.colours, wanted.style.opacity))

    def _is_overtaken(self, wanted: LabelsWanted) -> bool:
        return self._ended or self._newest is None or self._newest.plane != wanted.plane

    def _combined_stack(
        self, dataset: Dataset, zs: Sequence[int], step: int, wanted: LabelsWanted
    ) -> tuple[np.ndarray, LabelFacts] | None:
        """The masks of a volume as one; None once something else is wanted."""

        def planes(keys: Sequence[PlaneKey]) -> Iterator[np.ndarray]:
            for pixels in _masks_of(dataset)(keys):
                if self._is_overtaken(wanted):
                    raise _OvertakenError
                yield pixels

        try:
            return mask_stack_as_labels(dataset.info, dataset.path, planes, zs, step)
        except _OvertakenError:
            return None

    def _position_in(self, dataset: Dataset, path: str, wanted: LabelsWanted) -> int | None:
        """The position of the labels that belongs to the image; None if none does. Looked up once."""
        if is_of_masks(dataset):
            return 0
        which = path, id(wanted.dataset), wanted.p, len(dataset.info.positions)
        if self._position[0] != which:
            self._position = which, label_position(wanted.dataset, wanted.p, dataset)
        return self._position[1]

    def _combined(self, path: str, dataset: Dataset, z: int) -> LabelFacts:
        """Have the masks of a plane as one image in `_masks`; read once."""
        which = path, z, dataset.info
        if self._masks[0] != which:
            self._masks = which, *masks_as_labels(dataset.info, dataset.path, _masks_of(dataset), [z])
        return self._masks[2]

    def _opened(self, path: str, options: dict[str, str]) -> tuple[Dataset, LabelFacts]:
        opened = self._open
        if opened is not None and opened[0] == path and not opened[1].closed:
            return opened[1:]
        from ...engine.dataset import Dataset  # here, as the window need not wait for it

        source = IsolatedSource.open(path, options, follow=True)
        try:
            dataset = Dataset(source, _CACHE_BYTES, path=path, storage_options=options, follow=True)
        except BaseException:
            source.close()
            raise
        with self._lock:
            self._open = path, dataset, LabelFacts()
        if opened is not None:
            opened[1].close()
        facts = dataset.label_facts()
        with self._lock:
            self._open = path, dataset, facts
        return dataset, facts


def drawn(shown: LabelsShown, wanted: LabelsWanted) -> LabelsShown:
    """The same labels as they look in another place, or another style."""
    assert shown.labels is not None
    seen = sampled(shown.labels, shown.place, wanted.area, wanted.rows, wanted.columns)
    return shown._replace(wanted=wanted, picture=coloured(seen, shown.facts.colours, wanted.style))


def _read(
    dataset: Dataset, key: PlaneKey, wanted: LabelsWanted
) -> tuple[np.ndarray | None, DrawnLevel, str, bool]:
    """The pixels of a plane of labels and their level; why there are none, and whether they will come."""
    level = dataset.drawn_level(key.p, wanted.rows, wanted.columns)
    at = key._replace(z=dataset.z_at(key.p, key.z, level.level))
    (plane,) = dataset.planes([at], level.level)
    is_expected = plane.state in (PlaneState.LOADING, PlaneState.PENDING)
    problem = {
        PlaneState.ABSENT: "this plane is not stored",
        PlaneState.PENDING: "not written yet",
        PlaneState.UNREADABLE: plane.reason or "could not be read",
    }.get(plane.state, "")
    return plane.pixels, level, problem, is_expected


def _masks_of(dataset: Dataset) -> Callable[[Sequence[PlaneKey]], Iterator[np.ndarray]]:
    """Reads masks: a plane that is not stored, or only zeros so far, has nothing of a region."""
    return partial(dataset.iter_planes, missing="fill")


def facts_of(image: ImageInfo) -> tuple[float, float]:
    """µm per pixel along y and x, as the canvas draws an image: 1 where nothing is known."""
    pixel = image.pixel_size_um or 1.0
    return image.pixel_size_y_um or pixel, image.pixel_size_x_um or pixel
