"""Labels over the fields of the overview: read and coloured in a thread, those in view first; no Qt."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import DatasetError, ReadDroppedError
from ...rendering.label_picture import OUTLINE, coloured
from ...sources.source import LabelPart
from ...storage.freed_memory import Turnover
from ..latest_wanted import LatestWanted
from .scene_details import DetailTile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.dataset import Dataset
    from ...engine.scene import PlacedImage, Viewport
    from ...model import LabelFacts
    from ...rendering.label_picture import LabelsChosen, LabelStyle
    from ...sources.source import SeenLabels
    from ...storage.cancellation import CancelScope
    from ..background import Background

logger = logging.getLogger(__name__)

LABELS_BYTES = 96 * 1024**2
"""Of labels in memory, as numbers and as pictures."""
_LARGEST_PART_PX = 1024
"""A field that is drawn larger is read in parts."""
_LEAST_LABELS_EDGE = 16
_INNER = slice(OUTLINE, -OUTLINE)
"""Of the rows and columns of a part, which is read with a margin as wide as outlines are."""
_PIXELS_AT_ONCE = 2**20
_LABEL_FIELDS_AT_ONCE = 32


class SceneLabelsWanted(NamedTuple):
    """What is looked at: fields with their edges in µm and the rows and columns of their images.

    `z` is a plane, or a projection as text, as in `StackKey`. `version`: another number once labels may have
    been written; what is known does not count then.
    """

    dataset: Dataset
    t: int
    z: int | str
    fields: tuple[tuple[PlacedImage, int, int], ...]
    viewport: Viewport
    chosen: LabelsChosen
    version: int


class _PartOfField(NamedTuple):
    """One of `n` × `n` parts of a field, at so many rows and columns."""

    n: int
    row: int
    column: int
    rows: int
    columns: int


class _KnownLabels(NamedTuple):
    values: np.ndarray  # with a margin
    facts: LabelFacts
    tile: DetailTile
    style: LabelStyle

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.tile.pixels.nbytes


class SceneLabels:
    """Reads labels for the view wanted last. `want` and `take` never block.

    One thread wants and closes; the others may be called by any.
    """

    def __init__(self, background: Background, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._reads = LatestWanted(background.run, "ndviewer-scene-labels", self._read)
        self._lock = threading.Lock()  # guards the following; nothing slow is done while holding it
        self._wanted: SceneLabelsWanted | None = None
        self._closed = False
        self._known: OrderedDict[tuple[object, ...], _KnownLabels] = OrderedDict()
        self._nbytes = 0
        self._found: dict[int, list[DetailTile]] = {}
        self._shown: dict[int, list[_KnownLabels]] = {}
        self._asked_anew = -1
        self._turnover = Turnover()
        self.seconds = 0.0
        """How long it took to read the labels of a view, the last time that any were read."""
        self.problem = ""
        """Why none of the fields wanted last has labels, "" if one has."""

    @property
    def is_busy(self) -> bool:
        """Whether labels are being read."""
        return self._reads.is_busy

    def want(self, wanted: SceneLabelsWanted | None) -> None:
        """Read for this view, None: for none; reads for another one end."""
        with self._lock:
            before, self._wanted = self._wanted, wanted
            if wanted is None or (before is not None and not _is_of_same_plane(before, wanted)):
                self._shown, self._found = {}, {}
        self._reads.want(wanted)

    def take(self) -> dict[int, list[DetailTile]]:
        """The labels of fields that have changed, by position: pictures (Y, X, 4) as Qt takes them.

        Blue, green, red, each multiplied by the opacity, and the opacity.
        """
        with self._lock:
            found, self._found = self._found, {}
        return found

    def value_at(self, p: int, x: float, y: float) -> tuple[int, str]:
        """The label at a place of a field, as shares of its width and height, and what is said of it.

        0 where there is none.
        """
        for known in self._shown.get(p, ()):
            tile = known.tile
            across, down = (x - tile.left) / tile.width, (y - tile.top) / tile.height
            if 0 <= across < 1 and 0 <= down < 1:
                values = known.values[_INNER, _INNER]
                rows, columns = values.shape
                value = int(values[int(down * rows), int(across * columns)])
                return value, known.facts.text_of(value)
        return 0, ""

    def close(self) -> None:
        """Read nothing more. Never blocks."""
        self._reads.close()
        with self._lock:
            self._closed, self._wanted = True, None
            self._shown, self._found = {}, {}
            self._known.clear()
            self._nbytes = 0

    # ---- in the thread ---------------------------------------------------------------------

    def _read(self, wanted: SceneLabelsWanted, scope: CancelScope) -> None:
        problems: list[str] = []
        n_found, began, has_read = 0, time.monotonic(), False
        anew = wanted.version != self._asked_anew
        for batch in _batches(wanted):
            if scope.dropped:
                return
            keys = [(image.p, *_name_of(wanted), part) for image, _, _, part in batch]
            missing = [i for i, key in enumerate(keys) if self._look_up(key) is None]
            parts = [_label_part(wanted, *batch[i]) for i in missing]
            try:
                seen = wanted.dataset.label_parts(wanted.chosen.name, parts, anew=anew) if parts else []
            except ReadDroppedError:
                raise
            except DatasetError as error:
                problems.append(str(error))
                continue
            if parts:
                has_read = True
                self._asked_anew, anew = wanted.version, False
            for i, each in zip(missing, seen, strict=True):
                if each.values is None:
                    problems.append(str(each.error))
                else:
                    self._put(keys[i], self._drawn(each, batch[i][3], wanted.chosen.style))
            n_found += self._tell(wanted, [(each[0].p, key) for each, key in zip(batch, keys, strict=True)])
        with self._lock:
            if self._wanted is wanted:
                self.problem = problems[0] if problems and not n_found else ""
        if has_read:
            self.seconds = time.monotonic() - began
        self._on_news()

    def _look_up(self, key: tuple[object, ...]) -> _KnownLabels | None:
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def _put(self, key: tuple[object, ...], known: _KnownLabels) -> None:
        with self._lock:
            if self._closed:
                return
            before = self._known.pop(key, None)
            self._nbytes += known.nbytes - (before.nbytes if before is not None else 0)
            self._known[key] = known
            while self._nbytes > LABELS_BYTES and len(self._known) > 1:
                self._nbytes -= self._known.popitem(last=False)[1].nbytes

    def _drawn(self, seen: SeenLabels, part: _PartOfField, style: LabelStyle) -> _KnownLabels:
        assert seen.values is not None
        share = 1 / part.n
        pixels = _picture(seen.values, seen.facts, style)
        tile = DetailTile(part.column * share, part.row * share, share, share, pixels)
        self._turnover.add(pixels.nbytes + seen.values.nbytes)
        return _KnownLabels(seen.values, seen.facts, tile, style)

    def _tell(self, wanted: SceneLabelsWanted, fields: Sequence[tuple[int, tuple[object, ...]]]) -> int:
        """Give out what there is of these fields, in the style wanted; returns of how many."""
        style = wanted.chosen.style
        by_field: dict[int, list[_KnownLabels]] = {}
        for p, key in fields:
            known = self._look_up(key)
            if known is None:
                continue
            if known.style != style:
                pixels = _picture(known.values, known.facts, style)
                tile = DetailTile(
                    known.tile.left, known.tile.top, known.tile.width, known.tile.height, pixels
                )
                known = known._replace(tile=tile, style=style)
                self._put(key, known)
            by_field.setdefault(p, []).append(known)
        with self._lock:
            if self._wanted is None or not _is_of_same_plane(self._wanted, wanted):
                return 0
            in_view = {image.p for image, _, _ in wanted.fields}
            self._shown = {p: known for p, known in self._shown.items() if p in in_view}
            for p, all_known in by_field.items():
                self._shown[p] = all_known
                self._found[p] = [each.tile for each in all_known]
        if by_field:
            self._on_news()
        return len(by_field)


def _is_of_same_plane(a: SceneLabelsWanted, b: SceneLabelsWanted) -> bool:
    """Whether labels of one may be shown until those of the other are there."""
    return a.dataset is b.dataset and (a.t, a.z, a.chosen.name) == (b.t, b.z, b.chosen.name)


def _name_of(wanted: SceneLabelsWanted) -> tuple[object, ...]:
    return id(wanted.dataset), wanted.t, wanted.z, wanted.chosen.name, wanted.version


def _batches(wanted: SceneLabelsWanted) -> Iterator[list[tuple[PlacedImage, int, int, _PartOfField]]]:
    """Parts of fields that are read together: all parts of a field are in one batch."""
    batch: list[tuple[PlacedImage, int, int, _PartOfField]] = []
    pixels = 0
    for image, height, width in wanted.fields:
        parts = list(_parts(wanted.viewport, image, height, width))
        of_field = sum(part.rows * part.columns for part in parts)
        if batch and (pixels + of_field > _PIXELS_AT_ONCE or len(batch) >= _LABEL_FIELDS_AT_ONCE):
            yield batch
            batch, pixels = [], 0
        batch += [(image, height, width, part) for part in parts]
        pixels += of_field
    if batch:
        yield batch


def _parts(viewport: Viewport, image: PlacedImage, height: int, width: int) -> Iterator[_PartOfField]:
    """The parts of a field in view, with as many rows and columns as they are drawn with, or up to twice."""
    drawn = max(image.width, image.height) / viewport.um_per_px
    n = 1
    while drawn / n > _LARGEST_PART_PX:
        n *= 2
    edge = _LEAST_LABELS_EDGE
    while edge < drawn / n:
        edge *= 2
    longest = max(height, width, 1)
    rows, columns = max(1, round(edge * height / longest)), max(1, round(edge * width / longest))
    left, top, right, bottom = viewport.edges
    for row in _touched(image.top, image.height / n, n, top, bottom):
        for column in _touched(image.left, image.width / n, n, left, right):
            yield _PartOfField(n, row, column, rows, columns)


def _touched(start: float, step: float, n: int, low: float, high: float) -> range:
    """Which of `n` steps from `start` on lie between two places, also in part."""
    return range(max(0, math.floor((low - start) / step)), min(n, math.ceil((high - start) / step)))


def _label_part(
    wanted: SceneLabelsWanted, image: PlacedImage, height: int, width: int, part: _PartOfField
) -> LabelPart:
    high, wide = height / part.n, width / part.n
    y, x = OUTLINE * high / part.rows, OUTLINE * wide / part.columns
    left, top = part.column * wide, part.row * high
    area = left - x, top - y, left + wide + x, top + high + y
    return LabelPart(image.p, wanted.t, wanted.z, area, part.rows + 2 * OUTLINE, part.columns + 2 * OUTLINE)


def _picture(values: np.ndarray, facts: LabelFacts, style: LabelStyle) -> np.ndarray:
    """The picture of labels without their margin, from which it is known where outlines are."""
    return _premultiplied(coloured(values, facts.colours, style)[_INNER, _INNER])


def _premultiplied(picture: np.ndarray) -> np.ndarray:
    """A picture (Y, X, 4: red, green, blue, opacity) as Qt draws it fastest."""
    out = np.empty_like(picture)
    opacity = picture[..., 3].astype(np.uint16)
    for to, of in enumerate((2, 1, 0)):
        out[..., to] = (picture[..., of] * opacity + 127) // 255
    out[..., 3] = picture[..., 3]
    return out
