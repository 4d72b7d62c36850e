"""What is read for the overview of one dataset: fields in view first, what is written again, parts looked at.

GUI thread only; nothing is read or waited for here.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from ...engine.projections import StackProjection
from ...engine.scene import visible_first
from ...engine.thumbnails import WantedThumbnail
from ...model import PlaneState, StackKey
from ...rendering.label_picture import LabelsChosen
from ...rendering.scene_picture import edge_for, edges_judged
from .field_pictures import FieldPictures, SceneEdges
from .scene_details import DetailReader, DetailWanted
from .scene_labels import SceneLabels, SceneLabelsWanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from ...engine.dataset import Dataset
    from ...engine.position_states import PositionStates
    from ...engine.scene import FieldScene, Viewport
    from ...model import DatasetInfo
    from ...rendering.contrast import Contrast
    from ...rendering.scene_picture import ChannelLook
    from ..background import Background
    from .field_pictures import ChannelOfType, FieldPicture
    from .scene_canvas import SceneCanvas

LARGEST_EDGE = 256
"""Of small planes; closer looks read the part in view."""
_MOST_CLOSE = 64
"""How many fields at most are looked at closely at the same time."""
_PICTURES_PER_STEP = 200
_ASK_SECONDS = 0.05
_FRONT = 24
_FRONT_SECONDS = 0.25
"""How many fields after the last one are looked for, and how often, where nobody announces them."""
_STACK_SECONDS = 0.5
"""The shortest time after which projections with new planes are read again: whole stacks each time."""
_RETRY_SECONDS = 2.0
_STATES_SECONDS = 6.0
"""For this long, what is stored is not looked up: pictures on their way tell it as well."""
_LABELS_SECONDS = 5.0
"""How often labels of a running acquisition are read again, and for which share of the time at most."""
_LABELS_SHARE = 0.1
_AFTER_THE_END = (0.5, 3.0, 8.0, 15.0)
"""When after a run all that is missing is looked for once more."""
_AROUND = 0.2
"""How far around the view fields are read ahead, as a share of it."""
_NOT_THERE = (PlaneState.PENDING, PlaneState.ABSENT, PlaneState.UNREADABLE, PlaneState.LOADING)


class SceneReading:
    """Reads the fields of `dataset` for `canvas`; `wake` is called in threads when something has arrived.

    `scheduler` as in `Dataset.thumbnail_loader`.
    """

    def __init__(
        self,
        dataset: Dataset,
        canvas: SceneCanvas,
        background: Background,
        wake: Callable[[], None],
        scheduler: object = None,
    ) -> None:
        self.dataset = dataset
        self._canvas = canvas
        self.info: DatasetInfo | None = None
        self.place: tuple[int, int | str] = (0, 0)
        """The time point, and the plane or the projection ("max", "mean:2-11") of stacks."""
        self.pictures = FieldPictures(self._longest_edge, background.run, self._other_dtype)
        self._loader = dataset.thumbnail_loader(self.pictures.kick, scheduler)
        self.pictures.read_from(self._loader)
        self._details = DetailReader(background, wake)
        self.labels = SceneLabels(background, wake)
        self._labels_chosen = LabelsChosen()
        self._labels_asked: object = None
        self._labels_version = 0
        self._labels_due = 0.0
        self._written: deque[np.ndarray] = deque()  # appended in any thread
        dataset.tell_written(self._written.append)
        self._looks: dict[int, ChannelLook] = {}
        self._version = 0
        self._is_asked = False
        self._is_filling = True
        self._ask_due = 0.0
        self.states: PositionStates | None = None
        self._states_due = time.monotonic() + _STATES_SECONDS  # pictures come first
        self._stacks_written: set[StackKey] = set()
        self._stacks_due = 0.0
        self._front_due = 0.0
        self._was_on = self._is_written()
        self._was_awaited = dataset.is_more_awaited
        self._last_looks: list[float] = []  # when all that is missing is looked for again
        self._details_asked: object = None
        self._judged_by: object = None  # where fields were, for contrast

    @property
    def trouble(self) -> str:
        """Why a cluster does not make the small pictures; "" if it does, or none is to."""
        return self._loader.trouble

    @property
    def n_left(self) -> int:
        """How many small pictures are still to be read."""
        return self._loader.n_left

    @property
    def is_filling(self) -> bool:
        """Whether pictures of a place just shown are being read for the first time."""
        return self._is_filling

    @property
    def looks_up_states(self) -> bool:
        """Whether what is stored is looked up by now."""
        return not self._is_filling or time.monotonic() >= self._states_due

    @property
    def is_busy(self) -> bool:
        """Whether anything is being read or made into pictures."""
        return (
            not self._is_asked
            or self._loader.n_left > 0
            or self._loader.has_arrived
            or self.pictures.is_busy
            or self.pictures.is_contrast_due
            or self._details.is_busy
            or self.labels.is_busy
            or bool(self._stacks_written)
        )

    def close(self) -> None:
        """Read nothing more. Never blocks."""
        self.dataset.tell_written(None)
        self._loader.close()
        self.pictures.close()
        self._details.close()
        self.labels.close()

    def rest(self) -> None:
        """Nobody looks: read nothing until `ask_again`."""
        self._loader.want(())
        self._details.want(None)
        self._details_asked = None
        self.labels.want(None)
        self._labels_asked = None

    def read_anew(self) -> None:
        """Read everything again; what is shown stays until then."""
        self._labels_version += 1
        self.show_place(self.place)

    def look_for_missing(self) -> None:
        """Read what was not there when it was last looked for."""
        if self.info is not None:
            self._look_for(list(range(len(self.info.positions))), time.monotonic())

    def ask_again(self) -> None:
        """Another part is in view, or more is known."""
        self._is_asked = False

    def show_place(self, place: tuple[int, int | str]) -> None:
        """Another time point, plane or projection."""
        self.place = place
        z = place[1]
        self.pictures.show_place(place, StackProjection.of_text(z).how if isinstance(z, str) else "")
        self._stacks_written.clear()
        self._labels_asked = None
        self.states = None
        self._version += 1
        self._is_asked = False
        self._is_filling = True

    def set_looks(self, looks: Mapping[int, ChannelLook]) -> None:
        """Draw these channels like this."""
        has_more = set(looks) - set(self._looks)
        self._looks = dict(looks)
        self._version += 1
        self.pictures.set_looks(looks, self._in_view())
        if has_more:
            self._is_asked = False
        else:
            self._ask_details()

    def choose_labels(self, chosen: LabelsChosen, now: float) -> None:
        """Draw these labels over fields; during a run, also those that are written meanwhile."""
        if chosen.name and now >= self._labels_due and self._is_written():
            self._labels_version += 1
        if now >= self._labels_due:
            self._labels_due = now + max(_LABELS_SECONDS, self.labels.seconds / _LABELS_SHARE)
        self._labels_chosen = chosen
        self._ask_labels()

    def step(self, now: float) -> tuple[list[FieldPicture], dict[ChannelOfType, tuple[Contrast, ...]]]:
        """Ask for what is missing; returns what has arrived."""
        if self._is_filling and self._is_asked:
            self._is_filling = bool(self._loader.n_left or self._loader.has_arrived)
        self._take_written(now)
        if self.looks_up_states:
            self._take_states(now)
        if self.pictures.is_contrast_due and not self._loader.n_left:
            self.pictures.kick()
        pictures, contrasts = self.pictures.take(_PICTURES_PER_STEP)
        if not self._is_asked and now >= self._ask_due:
            self._ask(now)
        self._follow_front(now)
        for p, tiles in self._details.take().items():
            self._canvas.show_details(p, tiles)
        if any(self._canvas.images.details(each.p) for each in pictures):  # pictures are shown without them
            self._details_asked = None
            self._ask_details()
        for p, tiles in self.labels.take().items():
            self._canvas.show_labels(p, tiles)
        return [each for each in pictures if each.place == self.place], contrasts

    # ---- what is in view -------------------------------------------------------------------

    def _in_view(self) -> list[int]:
        scene, viewport = self._canvas.scene, self._canvas.viewport
        if scene is None or viewport is None or self.info is None:
            return []
        n = len(self.info.positions)
        return [p for p in visible_first(scene, viewport).tolist() if p < n]

    def _longest_edge(self, p: int) -> int:
        info = self.info
        image = info.image(p) if info is not None and p < len(info.positions) else None
        return max(image.height, image.width) if image is not None else 1

    def _other_dtype(self, p: int) -> str:
        info = self.info
        if info is None or not info.other_dtypes or p >= len(info.positions):
            return ""
        return info.other_dtype(info.image(p))

    def _ask(self, now: float) -> None:
        """Ask for what is in view and not there yet, the middle of the view first."""
        scene, viewport, info = self._canvas.scene, self._canvas.viewport, self.info
        if scene is None or viewport is None or info is None:
            return
        self._is_asked, self._ask_due = True, now + _ASK_SECONDS
        self._judge_by(scene)
        wanted = self._wanted(scene, viewport, info)
        if not self._canvas.is_fitting:
            self.pictures.look_closely({each.key.p for each in wanted})
        self._loader.want(wanted)
        if self._canvas.images.coarse:
            self._make_again(scene, viewport)
        self._ask_details()
        self._ask_labels()

    def _judge_by(self, scene: FieldScene) -> None:
        """Have contrast judged by where and how large fields are."""
        fitting = self._canvas.fitting
        if fitting is None or self._judged_by == (id(scene), fitting):
            return
        self._judged_by = id(scene), fitting
        shown = ((scene.edges[:, 2:] - scene.edges[:, :2]).max(axis=1) / fitting.um_per_px).tolist()
        by_side = {side: min(edge_for(side), LARGEST_EDGE) for side in set(shown)}
        self.pictures.set_edges(SceneEdges(edges_judged(scene), [by_side[side] for side in shown]))

    def _make_again(self, scene: FieldScene, viewport: Viewport) -> None:
        """Have the pictures made again that were made coarser, and are drawn larger than they are now."""
        coarse = self._canvas.images.coarse
        sides = (scene.edges[:, 2:] - scene.edges[:, :2]).max(axis=1) / viewport.um_per_px
        again = [p for p in self._in_view() if p in coarse and sides[p] > coarse[p]]
        for p in again:
            del coarse[p]
        self.pictures.make_again(again)

    def _wanted(self, scene: FieldScene, viewport: Viewport, info: DatasetInfo) -> list[WantedThumbnail]:
        """The planes in view, and a little around it, that are not there as large as they are drawn."""
        # before it is known how channels are drawn, those are read that are visible at first
        looks = self._looks or [c for c, channel in enumerate(info.channels) if channel.visible]
        drawn = {
            id(image): [c for c in looks if c in own]
            for image in info.groups
            for own in (set(info.channels_of(image)),)
        }
        sides = ((scene.edges[:, 2:] - scene.edges[:, :2]).max(axis=1) / viewport.um_per_px).tolist()
        edges = {side: min(edge_for(side), LARGEST_EDGE) for side in set(sides)}
        (t, z), pictures, n = self.place, self.pictures, len(info.positions)
        found = []
        for p in visible_first(scene, viewport, _AROUND).tolist():
            if p < n:
                edge = edges[sides[p]]
                found += [
                    WantedThumbnail(StackKey(t, p, c, z), edge)
                    for c in drawn[id(info.image(p))]
                    if pictures.is_needed(p, c, edge)
                ]
        return found

    def _ask_details(self) -> None:
        """Read the parts in view of fields that are drawn larger than their small planes."""
        scene, viewport = self._canvas.scene, self._canvas.viewport
        if scene is None or viewport is None:
            return
        wide = (scene.edges[:, 2] - scene.edges[:, 0]) / viewport.um_per_px > LARGEST_EDGE
        close = [p for p in self._in_view() if wide[p] and not self._is_full(p)] if wide.any() else []
        if not close or len(close) > _MOST_CLOSE:
            if self._details_asked is not None:
                self._details.want(None)
                self._canvas.images.drop_details()
                self._details_asked = None
            return
        t, z = self.place
        asked = viewport, self._version, t, z, len(close)
        if asked == self._details_asked:
            return
        self._details_asked = asked
        self._canvas.images.drop_details(close)
        fields = tuple(scene.image(p) for p in close if self._may_be_there(p))
        wanted = DetailWanted(self.dataset, t, z, fields, viewport, dict(self._looks), self._version)
        self._details.want(wanted)

    def _ask_labels(self) -> None:
        """Read the labels of fields in view, if any are to be drawn."""
        viewport, info, chosen = self._canvas.viewport, self.info, self._labels_chosen
        asked = viewport, *self.place, chosen, self._labels_version, id(self._canvas.scene)
        if asked == self._labels_asked:
            return
        self._labels_asked = asked
        scene = self._canvas.scene
        if not chosen.name or viewport is None or scene is None or info is None:
            self.labels.want(None)
            self._canvas.drop_labels()
            return
        in_view = self._in_view()
        self._canvas.drop_labels(in_view)
        fields = tuple((scene.image(p), info.image(p).height, info.image(p).width) for p in in_view)
        t, z = self.place
        wanted = SceneLabelsWanted(self.dataset, t, z, fields, viewport, chosen, self._labels_version)
        self.labels.want(wanted)

    def _is_full(self, p: int) -> bool:
        """Whether the small planes of a field have all of its pixels."""
        known = self.pictures.known(p).values()
        return bool(known) and all(each.is_full for each in known)

    def _may_be_there(self, p: int) -> bool:
        known = self.pictures.known(p).values()
        return not known or any(each.has_pixels for each in known)

    # ---- while it is written ---------------------------------------------------------------

    def _take_written(self, now: float) -> None:
        """Planes that a writer has announced are read again, or for the first time."""
        t, z = self.place
        first, last = _planes_of(z)
        fresh: set[StackKey] = set()
        while self._written:
            rows = self._written.popleft()
            at = rows[(rows[:, 0] == t) & (rows[:, 3] >= first) & (rows[:, 3] <= last)]
            fresh.update(StackKey(t, p, c, z) for p, c in at[:, 1:3].tolist())
        if isinstance(z, str):
            self._stacks_written |= fresh
            fresh = set()
            if self._stacks_written and now >= self._stacks_due:
                fresh, self._stacks_written = self._stacks_written, set()
                self._stacks_due = now + _STACK_SECONDS
        if fresh:
            self._loader.written(fresh)
            self._version += 1
            self._read_again(fresh, now)

    def _read_again(self, keys: set[StackKey], now: float) -> None:
        """Read these as soon as they are in view, whatever is known of them."""
        self.pictures.expect((key.p, key.c) for key in keys)
        self._ask(now)

    def _take_states(self, now: float) -> None:
        """What is known of positions without reading: those of which more is there are read again."""
        if self.info is None or len(self.info.positions) < 2:
            return
        states, before = self.dataset.position_states(self.place[0]), self.states
        if states is None or states is before:
            return
        self.states = states
        if before is not None and len(before.there) == len(states.there):
            both = zip(before.there, states.there, strict=True)
            self._look_for([p for p, (was, now_there) in enumerate(both) if now_there > was], now)

    def _look_for(self, positions: list[int], now: float) -> None:
        """Read what was not there of these."""
        t, z = self.place
        keys = {
            StackKey(t, p, c, z)
            for p in positions
            for c, known in self.pictures.known(p).items()
            if known.state in _NOT_THERE
        }
        if keys:
            self._read_again(keys, now)

    def _is_written(self) -> bool:
        return self.dataset.is_being_written or self.dataset.looks_for_newest

    def _follow_front(self, now: float) -> None:
        """Look for what comes next after the last field that is there, where nobody says so."""
        is_on = self._is_written()
        if self._was_on and not is_on:  # writers lag behind
            self._last_looks = [now + seconds for seconds in _AFTER_THE_END]
        self._was_on = is_on
        is_awaited = self.dataset.is_more_awaited
        if is_awaited is not self._was_awaited:  # what is missing is something else now
            self._was_awaited = is_awaited
            self.look_for_missing()
        if self._last_looks and now >= self._last_looks[0]:
            del self._last_looks[0]
            self.look_for_missing()
        if now < self._front_due or self.info is None:
            return
        often = _STACK_SECONDS if isinstance(self.place[1], str) else _FRONT_SECONDS
        self._front_due = now + (often if is_on else _RETRY_SECONDS)
        if not is_on or self._loader.n_left or not self.pictures.has_missing:
            return
        waiting: list[int] = []
        last = -1
        for p in range(len(self.info.positions)):
            states = [each.state in _NOT_THERE for each in self.pictures.known(p).values()]
            if states and not all(states):
                last = p
            if any(states):
                waiting.append(p)
        if waiting:
            after = [p for p in waiting if p >= last][:_FRONT]
            self._look_for(after + waiting[: _FRONT - len(after)], now)


def _planes_of(z: int | str) -> tuple[int, float]:
    """The first and last plane of a stack that a picture is made of."""
    if not isinstance(z, str):
        return z, z
    projection = StackProjection.of_text(z)
    return projection.first, float("inf") if projection.last is None else projection.last
