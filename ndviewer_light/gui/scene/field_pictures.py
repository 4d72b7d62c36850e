"""Makes the pictures of fields from small planes as they arrive, in a thread: numpy, no Qt."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.area_averages import shrunk, step_for
from ...engine.owned_pixels import owned
from ...model import PlaneState
from ...rendering.added_up import drawn_composite
from ...rendering.pooled_values import FieldValues
from ...rendering.scene_picture import colored_fields, worst_of
from ...storage.freed_memory import Turnover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ...engine.thumbnails import ThumbnailLoader
    from ...model import Plane, StackKey
    from ...rendering.contrast import Contrast
    from ...rendering.scene_picture import ChannelLook

PICTURES_BYTES = 128 * 1024**2
"""Of small planes in memory; those that arrived longest ago are made smaller first, then they go."""
_PICTURE_EDGE = 64
"""To so many pixels and up to twice that along the longest edge."""

_PICTURES_AT_ONCE = 96
_PIXELS_TOGETHER = 2**18
"""Of the pictures that are made together: what they are made of takes a few megabytes for a moment."""
_JUDGING_SHARE = 0.1
"""What judging contrast may take of the time while planes arrive."""
_SHOWN_STATES = (PlaneState.PRESENT, PlaneState.FILLED)
ChannelOfType = tuple[int, str]
"""A channel, and the type of its pixels where that is not the usual one: see `DatasetInfo.other_dtype`."""
_NOTHING: Mapping[int, tuple[Plane, int]] = {}


class FieldPicture(NamedTuple):
    """What is drawn of a field: pixels (Y, X, 4: blue, green, red, 255), or why there are none.

    `place` is what it shows, as given to `FieldPictures.show_place`.
    """

    p: int
    place: object
    pixels: np.ndarray | None
    state: PlaneState
    reason: str = ""


class KnownChannel(NamedTuple):
    """What is known of one channel of a field: its state, and for which edge it was read."""

    state: PlaneState
    edge: int
    is_full: bool
    has_pixels: bool
    is_stale: bool


class SceneEdges(NamedTuple):
    """By position: the longest edge of small planes by which contrast is judged, and with which all fields
    are read where all are in view.
    """

    judged: Sequence[int]
    fitting: Sequence[int]

    def judged_of(self, p: int) -> int:
        """The first of a position; of one that is not placed yet, as small as there is."""
        return self.judged[p] if p < len(self.judged) else _PICTURE_EDGE

    def fitting_of(self, p: int) -> float:
        """The second of a position."""
        return self.fitting[p] if p < len(self.fitting) else float("inf")


class _ToJudge(NamedTuple):
    """What is to be done with what was judged until now."""

    forget_all: bool = False
    forget_others: bool = False  # than the place that is shown
    again: bool = False
    by_type: bool = False  # those that are of another type than they were taken for


class FieldPictures:
    """The pictures of one place (time point, z): made as planes arrive and as channels look.

    Any thread. `take` gives out what is new: pictures, and what planes suggest for the contrast of channels,
    which is the same in whatever order planes came, and however many at a time.
    """

    def __init__(
        self,
        edge_of: Callable[[int], int],
        run: Callable[[str, Callable[[], None]], None],
        other_dtype_of: Callable[[int], str] = lambda p: "",
    ) -> None:
        """`edge_of(p)`: the longest edge of the planes of position `p`, in pixels. `run`: of `Background`.

        `other_dtype_of(p)`: the type of its pixels where it is another one than usual.
        """
        self._edge_of = edge_of
        self._other_dtype_of = other_dtype_of
        self._run = run
        self._values = FieldValues()  # of the thread that works alone; so are the next three
        self._unjudged: set[ChannelOfType] = set()
        self._judged_as: dict[int, str] = {}  # types, by position
        self._judging_due = 0.0
        self._lock = threading.Lock()  # guards the following; nothing slow is done while holding it
        self._place: object = None
        self._kind = ""
        self._edges = SceneEdges((), ())
        self._to_judge = _ToJudge()
        self._closely: set[int] = set()
        self._planes: OrderedDict[int, dict[int, tuple[Plane, int]]] = OrderedDict()
        self._stale: set[tuple[int, int]] = set()  # positions and channels
        self._missing: set[tuple[int, int]] = set()  # (position, channel) that were not there
        self._nbytes = 0
        self._looks: dict[int, ChannelLook] = {}
        self._dirty: OrderedDict[int, None] = OrderedDict()
        self._pictures: deque[FieldPicture] = deque()
        self._contrasts: dict[ChannelOfType, tuple[Contrast, ...]] = {}
        self._is_working = False
        self._loader: ThumbnailLoader | None = None
        self._turnover = Turnover()
        self._closed = False

    def read_from(self, loader: ThumbnailLoader) -> None:
        """Take what this loader brings, from now on."""
        self._loader = loader

    @property
    def is_busy(self) -> bool:
        """Whether pictures are being made."""
        return self._is_working

    @property
    def n_known(self) -> int:
        """Of how many fields there are small planes. No lock."""
        return len(self._planes)

    @property
    def nbytes(self) -> int:
        """What the small planes take in memory."""
        return self._nbytes

    def show_place(self, place: object, kind: str = "") -> None:
        """Another time point or z: nothing is known of it yet. `kind`: of projection, "" for planes."""
        with self._lock:
            self._place, self._kind = place, kind
            self._contrasts.clear()
            self._planes.clear()
            self._stale.clear()
            self._dirty.clear()
            self._pictures.clear()
            self._nbytes = 0

    def set_edges(self, edges: SceneEdges) -> None:
        """Fields are placed, or placed otherwise: from now on, and again, contrast is judged by this."""
        with self._lock:
            if edges == self._edges:
                return
            self._edges = edges
            self._to_judge = self._to_judge._replace(again=bool(self._planes))
        self.kick()

    def look_closely(self, positions: Iterable[int]) -> None:
        """These are looked at by themselves: what is seen of them more than of all fields counts as well.

        No lock.
        """
        self._closely.update(positions)

    def sort_by_type(self) -> None:
        """More is known of what type the pixels of fields are: those of each are judged, and drawn, apart."""
        with self._lock:
            self._to_judge = self._to_judge._replace(by_type=bool(self._planes))
        self.kick()

    def start_values_over(self, *, with_place: bool) -> None:
        """Contrast is judged by the place that is shown alone, or by nothing that was seen until now."""
        with self._lock:
            now = self._to_judge
            self._to_judge = now._replace(
                forget_all=now.forget_all or not with_place, forget_others=now.forget_others or with_place
            )
            self._contrasts.clear()
        self.kick()

    @property
    def is_contrast_due(self) -> bool:
        """Whether planes have arrived that do not count for contrast yet. No lock."""
        return bool(self._unjudged)

    def set_looks(self, looks: Mapping[int, ChannelLook], first: Iterable[int] = ()) -> None:
        """Draw channels like this; pictures are made again, those of the positions `first` first."""
        with self._lock:
            if dict(looks) == self._looks:
                return
            self._looks = dict(looks)
            order = [p for p in first if p in self._planes]
            self._dirty = OrderedDict.fromkeys([*order, *self._planes])
        self.kick()

    def make_again(self, positions: Iterable[int]) -> None:
        """Make the pictures of these positions once more, of those whose planes are in memory."""
        with self._lock:
            here = [p for p in positions if p in self._planes]
            self._dirty.update(dict.fromkeys(here))
        if here:
            self.kick()

    def expect(self, planes: Iterable[tuple[int, int]]) -> None:
        """What is known of these (position, channel) does not count any more: they are to be read again."""
        with self._lock:
            self._stale.update(planes)

    @property
    def has_missing(self) -> bool:
        """Whether any plane was asked for that was not there, or could not be read. No lock."""
        return bool(self._missing)

    def is_needed(self, p: int, c: int, edge: int) -> bool:
        """Whether a channel of a field is to be read for this edge. A microsecond: asked of all in view."""
        known = self._planes.get(p, _NOTHING).get(c)
        if known is None or (p, c) in self._stale:
            return True
        plane, known_edge = known
        if known_edge >= edge or plane.state not in _SHOWN_STATES:
            return False
        return plane.pixels is None or max(plane.pixels.shape) < self._edge_of(p)

    def known(self, p: int) -> Mapping[int, KnownChannel]:
        """What is known of the channels of a field. A few microseconds."""
        planes = self._planes.get(p)
        if planes is None:
            return {}
        full = self._edge_of(p)
        return {
            c: KnownChannel(
                plane.state,
                edge,
                plane.pixels is not None and max(plane.pixels.shape) >= full,
                plane.pixels is not None,
                (p, c) in self._stale,
            )
            for c, (plane, edge) in list(planes.items())
        }

    def values_at(self, p: int, x: float, y: float) -> dict[int, float]:
        """The values of a field by channel, where `x` and `y` are shares of its width and height."""
        values = {}
        for c, (plane, _) in list(self._planes.get(p, {}).items()):
            if plane.pixels is not None:
                height, width = plane.pixels.shape
                row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
                values[c] = float(np.abs(plane.pixels[max(row, 0), max(column, 0)]))
        return values

    def kick(self) -> None:
        """Something has arrived, or has to be made again: see to it in a thread."""
        with self._lock:
            if self._closed or self._is_working:
                return
            self._is_working = True
        self._run("ndviewer-scene", self._work)

    def take(self, most: int) -> tuple[list[FieldPicture], dict[ChannelOfType, tuple[Contrast, ...]]]:
        """What is new: at most so many pictures, and what all planes suggest for channels, by type."""
        with self._lock:
            n = min(most, len(self._pictures))
            pictures = [self._pictures.popleft() for _ in range(n)]
            contrasts, self._contrasts = self._contrasts, {}
        return pictures, contrasts

    def close(self) -> None:
        """Make no more. Never blocks."""
        with self._lock:
            self._closed = True
            self._dirty.clear()

    # ---- in a thread -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while self._step():
                pass
        finally:
            with self._lock:
                self._is_working = False
            if not self._closed and self._loader is not None and self._loader.has_arrived:
                self.kick()  # it arrived in between

    def _step(self) -> bool:
        """Take what has arrived and make some pictures; whether there is more to do."""
        arrived = self._arrived()
        new: dict[int, dict[int, tuple[Plane, int]]] = {}
        with self._lock:
            if self._closed:
                return False
            place, kind, edges = self._place, self._kind, self._edges
            to_judge, self._to_judge = self._to_judge, _ToJudge()
            is_all = to_judge.again or to_judge.forget_others or to_judge.by_type
            known = {p: dict(of_field) for p, of_field in self._planes.items()} if is_all else {}
            for key, (plane, edge) in arrived.items():
                if (key.t, key.z) == place:
                    self._put(key.p, key.c, plane, edge)
                    new.setdefault(key.p, {})[key.c] = plane, edge
            batch = self._next_batch()
            looks = self._looks
            fields = [dict(self._planes.get(p, {})) for p in batch]
        if to_judge.forget_all:
            self._values.forget_all()
            self._judged_as.clear()
        self._values.show_place(place, kind)
        if to_judge.forget_others:
            self._values.forget_others()
            self._unjudged |= {
                (c, self._judged_as.get(p, "")) for p, of_field in known.items() for c in of_field
            }
        if to_judge.by_type:
            self._sort_by_type(known, edges)
        if to_judge.again:
            self._judge(known, edges, may_be_closer=False)
        self._judge(new, edges)
        self._take_contrasts(place, is_last=not arrived and not (self._loader and self._loader.n_left))
        pictures = self._made(batch, fields, looks, place)
        self._turnover.add(sum(each.pixels.nbytes for each in pictures if each.pixels is not None))
        with self._lock:
            if place == self._place:
                self._pictures.extend(pictures)
            return bool(self._dirty or arrived or any(self._to_judge))

    def _sort_by_type(self, known: Mapping[int, Mapping[int, tuple[Plane, int]]], edges: SceneEdges) -> None:
        """Judge those again that were judged as another type, and have their pictures made again."""
        others = {p: self._other_dtype_of(p) for p in known}
        moved = {p: of_field for p, of_field in known.items() if others[p] != self._judged_as.get(p, "")}
        for p, of_field in moved.items():
            for c in of_field:
                before = c, self._judged_as.get(p, "")
                self._values.drop(before, (p,))
                self._unjudged.add(before)
        self._judge(moved, edges, may_be_closer=False)
        if moved:
            with self._lock:
                self._dirty.update(dict.fromkeys(p for p in moved if p in self._planes))

    def _judge(
        self,
        fields: Mapping[int, Mapping[int, tuple[Plane, int]]],
        edges: SceneEdges,
        *,
        may_be_closer: bool = True,
    ) -> None:
        """Have these planes count for contrast."""
        judged: dict[ChannelOfType, dict[int, np.ndarray]] = {}
        closer: dict[ChannelOfType, dict[int, np.ndarray]] = {}
        for p, of_field in fields.items():
            other = self._judged_as[p] = self._other_dtype_of(p)
            for c, (plane, edge) in of_field.items():
                if plane.state is PlaneState.FILLED or plane.pixels is None or not plane.pixels.size:
                    continue
                pixels = np.abs(plane.pixels) if plane.pixels.dtype.kind == "c" else plane.pixels
                judged.setdefault((c, other), {})[p] = pixels
                if may_be_closer and p in self._closely and edge > edges.fitting_of(p):
                    closer.setdefault((c, other), {})[p] = pixels
        for of, planes in judged.items():
            self._values.put(of, planes, edges.judged_of)
            self._unjudged.add(of)
        for of, planes in closer.items():
            self._values.put_closer(of, planes)

    def _take_contrasts(self, place: object, *, is_last: bool) -> None:
        """Work out what all planes suggest, but not for each few of them."""
        now = time.monotonic()
        if not self._unjudged or (now < self._judging_due and not is_last):
            return
        found = {of: self._values.contrasts(of) for of in self._unjudged}
        self._unjudged.clear()
        self._judging_due = now + (time.monotonic() - now) / _JUDGING_SHARE
        with self._lock:
            if place == self._place:
                self._contrasts.update(found)

    def _arrived(self) -> dict[StackKey, tuple[Plane, int]]:
        """What has arrived; each plane owns its memory, as those read together are parts of one array."""
        arrived = self._loader.take() if self._loader is not None else {}
        return {
            key: (plane if plane.pixels is None else plane._replace(pixels=owned(plane.pixels)), edge)
            for key, (plane, edge) in arrived.items()
        }

    def _next_batch(self) -> list[int]:
        """Positions whose pictures are made together; with the lock held."""
        batch: list[int] = []
        n_pixels = 0
        while self._dirty and len(batch) < _PICTURES_AT_ONCE and n_pixels < _PIXELS_TOGETHER:
            p, _ = self._dirty.popitem(last=False)
            batch.append(p)
            of_field = self._planes.get(p, {}).values()
            n_pixels += max(
                (plane.pixels.size for plane, _ in of_field if plane.pixels is not None), default=0
            )
        return batch

    def _put(self, p: int, c: int, plane: Plane, edge: int) -> None:
        """Keep a plane; with the lock held."""
        self._stale.discard((p, c))
        (self._missing.discard if plane.state in _SHOWN_STATES else self._missing.add)((p, c))
        of_field = self._planes.setdefault(p, {})
        before = of_field.get(c)
        self._nbytes -= _nbytes(before[0]) if before is not None else 0
        of_field[c] = plane, edge
        self._nbytes += _nbytes(plane)
        self._planes.move_to_end(p)
        self._dirty[p] = None
        while self._nbytes > PICTURES_BYTES and len(self._planes) > 1:
            other, dropped = self._planes.popitem(last=False)
            self._nbytes -= sum(_nbytes(each) for each, _ in dropped.values())
            smaller = {c: _made_smaller(*each) for c, each in dropped.items()}
            if any(smaller[c][0] is not each for c, (each, _) in dropped.items()):
                self._planes[other] = smaller
                self._nbytes += sum(_nbytes(each) for each, _ in smaller.values())
            else:
                self._missing.difference_update((other, c) for c in dropped)

    def _made(
        self,
        batch: list[int],
        fields: list[dict[int, tuple[Plane, int]]],
        looks: Mapping[int, ChannelLook],
        place: object,
    ) -> list[FieldPicture]:
        pixels = [
            {c: plane.pixels for c, (plane, _) in field.items() if plane.pixels is not None and c in looks}
            for field in fields
        ]
        others = [self._other_dtype_of(p) for p in batch]
        colored = colored_fields(pixels, looks, drawn_composite, others)
        made = []
        for p, field, own, picture in zip(batch, fields, pixels, colored, strict=True):
            worst = worst_of(plane for c, (plane, _) in field.items() if c in looks)
            if own:
                is_filled = all(field[c][0].state is PlaneState.FILLED for c in own)
                whole = PlaneState.FILLED if is_filled else PlaneState.PRESENT
                state = whole if worst is None else worst.state
                reason = worst.reason if worst is not None else ""
                made.append(FieldPicture(p, place, picture, state, reason))
            elif worst is not None:
                made.append(FieldPicture(p, place, None, worst.state, worst.reason))
        return made


def _made_smaller(plane: Plane, edge: int) -> tuple[Plane, int]:
    """A plane as it is kept when others need its room, and the edge that it is then good for."""
    if plane.pixels is None or max(plane.pixels.shape) < 2 * _PICTURE_EDGE:
        return plane, edge
    step = step_for(max(plane.pixels.shape), _PICTURE_EDGE)
    return plane._replace(pixels=shrunk(plane.pixels, step)), min(edge, _PICTURE_EDGE)


def _nbytes(plane: Plane) -> int:
    return plane.pixels.nbytes if plane.pixels is not None else 0
