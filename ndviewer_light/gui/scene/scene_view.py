"""Shows the fields of the dataset on screen as one scene: what is read, drawn and written by now.

GUI thread only; nothing is read or waited for here.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal

from ...engine.scene import FieldScene, scene_of
from ...errors import DatasetError
from ...model import PlaneState, how_many
from ...rendering.label_picture import LabelsChosen
from ...rendering.scene_picture import notes_on_types
from ...views.visible_area import VisibleArea
from ..keyboard.keys import keys_of
from ..slots import safe_slot
from .scene_canvas import SceneCanvas
from .scene_changes import (
    goes_on,
    is_one_field_per_well,
    is_plate,
    is_same_scene,
    lie_alike,
)
from .scene_looks import SceneLooks
from .scene_menu import SceneMenu
from .scene_words import said_of_empty_well, said_of_field, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.dataset import Dataset
    from ...model import DatasetInfo
    from ...rendering.scene_picture import ChannelLook
    from ..background import Background
    from ..poll import Poll
    from ..stage import Stage
    from .scene_reading import SceneReading

_WORTH_SAYING = 50
_SAYING_SECONDS = 0.4
"""How often it is said how many pictures are to be read: whenever a text changes, the window is composed."""
_PAINTED_WITH_LEFT = ((1000, 0.25), (_WORTH_SAYING, 0.1))
"""So often is painted at most while more pictures than that are to come, for the same reason: what painting
takes, pictures come later by."""


class SceneView(QObject):
    """The overview of one stage: `toggle` shows it instead of the main view, or no longer.

    `step` whenever the dataset is polled. `said` is what the status line says of the field under the mouse,
    `noted` what had to be guessed of places. `go_to(p)` moves the main view.
    """

    said = Signal(str)
    noted = Signal(str)

    def __init__(
        self, stage: Stage, background: Background, poll: Poll, go_to: Callable[[int], None]
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._go_to = go_to
        self.canvas = SceneCanvas(stage.picture)
        self.canvas.hide()
        self.canvas.moved.connect(self._on_moved)
        self.canvas.activated.connect(self._on_activated)
        self.canvas.current_of = lambda: stage.view.p
        self.canvas.hovered.connect(self._on_hovered)
        self.labels_chosen: Callable[[], LabelsChosen] = LabelsChosen
        """Which labels are to be drawn over fields."""
        self.say_of_labels: Callable[[str], None] = lambda problem: None
        """Takes why none are drawn, "" if some are."""
        self.is_led_by_run: Callable[[], bool] = lambda: False
        """Whether it is a run that leads from field to field: what one looks at stays where it is then."""
        self.scheduler: object = None
        """The cluster of dask that makes small pictures of finished datasets: an address, or a client."""
        self.more_words: Callable[[int], str] = lambda p: ""
        """What else is said of a field under the mouse."""
        self.dims_old = True
        """Whether the picture of an earlier time point stays, dimmed, until the current one arrives."""
        self._reading: SceneReading | None = None
        self._menu = SceneMenu(self.canvas)
        self._menu.dimming.connect(self._on_dimming)
        self._came_from_here = self._is_awaited = False
        self._wanted_area: VisibleArea | None = None
        self.looks = SceneLooks()
        self._saying_due = 0.0
        self._is_building = self._is_looking = self._is_look_due = False
        self._said_trouble = ""
        self._n_said = 0
        self._n_restarts = 0
        self._are_strips_stale = False  # by what planes suggest
        self._strips_due = 0.0

    # ---- shown or not ----------------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether the overview is shown instead of the main view."""
        return not self.canvas.isHidden()

    @property
    def is_busy(self) -> bool:
        """Whether anything is being read or drawn for it."""
        if not self.is_shown or self._reading is None:
            return False
        if self._is_looking or self._is_building or self.looks.is_stale:
            return True
        return self._reading.is_busy or not self.canvas.is_complete

    @property
    def is_filling(self) -> bool:
        """Whether the first pictures of the fields in view are not there yet."""
        reading = self._reading
        return reading is None or self.canvas.scene is None or reading.is_filling

    @property
    def is_appearing(self) -> bool:
        """Whether it is shown, and the first pictures of the fields in view are not there or drawn yet."""
        if not self.is_shown:
            return False
        reading = self._reading
        return reading is None or self.is_filling or reading.pictures.is_busy or not self.canvas.is_complete

    @property
    def comes_first(self) -> bool:
        """Whether it is shown, and the picture that it covers can wait until it is there."""
        reading = self._reading
        is_another = reading is not None and reading.dataset is not self._stage.dataset
        return self._is_awaited or (self.is_shown and (is_another or self.is_appearing))

    @property
    def pictures_come_first(self) -> bool:
        """Whether what is stored is to be looked up later: see `SceneReading.looks_up_states`."""
        return self.is_appearing and self._reading is not None and not self._reading.looks_up_states

    @property
    def reading(self) -> SceneReading | None:
        """What is read for it; None until it was shown."""
        return self._reading

    @property
    def progress(self) -> str:
        """How far reading is, where many small pictures are still to be read; else what is shown of volumes.

        "" where that is what the main view shows.
        """
        if self._is_looking and self.is_shown and self.canvas.scene is None:
            return "Overview: locating all fields"
        if self.is_shown and self._n_said:
            return f"Overview: {how_many(self._n_said, 'thumbnail')} to read"
        view = self._stage.view
        if self.is_shown and view.is_volume:
            return f"Overview: plane {view.z + 1} of each stack, not the volume"
        return ""

    def toggle(self) -> None:
        """Show the overview, or the main view again; while nothing is shown, of what comes next."""
        if self.is_shown:
            self.leave()
        elif self._stage.dataset is None:
            self._is_awaited = not self._is_awaited
        else:
            self.show()

    def show(self) -> None:
        """Show the overview, where one looked last."""
        dataset = self._stage.dataset
        if dataset is None:
            return
        self._came_from_here = self._is_awaited = False
        if self._reading is None or dataset is not self._reading.dataset:
            self._begin(dataset)
        self._stage.picture.cover(self.canvas, f"leave the overview ({keys_of('overview')})")
        self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)
        self._stage.channels.show_fields(True)
        if self._reading is not None:
            self._reading.ask_again()
            self._reading.look_for_missing()
        self._poll.hurry()
        self.step()

    @property
    def area(self) -> VisibleArea | None:
        """What is seen of it in µm; None while it is not shown."""
        viewport = self.canvas.viewport if self.is_shown else None
        if viewport is None:
            return None
        left, top, right, bottom = viewport.edges
        return VisibleArea((left, right), (top, bottom))

    def show_area(self, area: VisibleArea) -> None:
        """Show the overview, and this part of it once it is known where fields are."""
        self.show()
        self._wanted_area = area
        self._look_at_wanted()

    def _look_at_wanted(self) -> None:
        if self._wanted_area is not None and self.canvas.scene is not None:
            area, self._wanted_area = self._wanted_area, None
            self.canvas.look_at_area(*area.x, *area.y)

    def read_anew(self) -> None:
        """Read all fields again: the dataset was refreshed."""
        if self._reading is not None:
            self._reading.read_anew()

    def leave(self) -> None:
        """Show the main view again."""
        self._is_awaited = False
        if self.is_shown:
            self._stage.channels.show_fields(False)
            self._stage.picture.uncover(self.canvas)
            if self._reading is not None:
                self._reading.rest()
            self.said.emit("")

    def go_back(self) -> bool:
        """Return to the overview from which the field in view was opened; False if it was not."""
        reading = self._reading
        if self.is_shown or not self._came_from_here or reading is None:
            return False
        if self._stage.dataset is not reading.dataset:
            return False
        self.show()
        return True

    def end(self) -> None:
        """Release everything; the picture below is not shown again, which would draw it."""
        self._is_awaited = False
        self._release()

    def _release(self) -> None:
        reading, self._reading = self._reading, None
        self.canvas.clear()
        self.looks.start_over()
        self._wanted_area = None
        self._n_said = 0
        self._is_building = self._is_looking = self._is_look_due = False
        self._are_strips_stale = False
        self._said_trouble = ""
        if reading is not None:
            reading.close()

    def _begin(self, dataset: Dataset) -> None:
        from .scene_reading import SceneReading

        self._release()
        self._reading = SceneReading(dataset, self.canvas, self._background, self._wake_later, self.scheduler)
        self._reading.show_place(self._place())
        if not dataset.live and not is_one_field_per_well(dataset.info):
            self._is_look_due = True
            if not is_plate(dataset.info) or dataset.info.positions[0].x_um is not None:
                self._begin_look(self._reading)  # else pictures come first, and tell most of it

    def _begin_look(self, reading: SceneReading) -> None:
        self._is_look_due, self._is_looking = False, True
        self._background.run("ndviewer-scene-positions", lambda: self._look_at_all(reading))

    def _wake_later(self) -> None:
        self._poll.post(lambda: None)  # any thread; wakes it

    def _look_at_all(self, reading: SceneReading) -> None:
        """In a thread: learn what all positions contain and where they are."""
        # closed meanwhile, or not readable: planes say why
        with contextlib.suppress(DatasetError, RuntimeError):
            reading.dataset.look_at_all()
        self._poll.post(lambda: self._on_looked(reading))

    def _on_looked(self, reading: SceneReading) -> None:
        if reading is self._reading:
            self._is_looking = False
            if reading.info is not None and reading.dataset.info is not reading.info:
                self._take_info(reading, reading.dataset.info)  # what was known before it knows no places
            self._build_soon(reading)

    # ---- step by step ----------------------------------------------------------------------

    def step(self) -> bool:
        """Show what is known now; whether more is expected soon."""
        reading, dataset = self._reading, self._stage.dataset
        if reading is not None and (dataset is not reading.dataset or reading.dataset.closed):
            was_shown = self.is_shown
            self.leave()
            self._release()
            if was_shown and dataset is not None and not dataset.closed:
                self.show()
            return False
        if self._is_awaited and dataset is not None:
            self.show()
            return True
        if not self.is_shown or dataset is None or reading is None:
            return False
        if dataset.info is not reading.info:
            self._take_info(reading, dataset.info)
        view = self._stage.view
        place = self._place()
        if place != reading.place:
            keeps = self.dims_old and place[1] == reading.place[1]
            reading.show_place(place)
            self.canvas.age_pictures(keep=keeps)
        self.canvas.mark_current(view.p, keep_in_view=not self.is_led_by_run())
        self.canvas.set_empty_wells(self._state_of_empty_wells(dataset))
        now = time.monotonic()
        if self._stage.channels.contrasts.n_restarts != self._n_restarts:
            self._n_restarts = self._stage.channels.contrasts.n_restarts
            reading.pictures.start_values_over(with_place=True)
        self.looks.follow(reading, now, self._current_looks, self._stage.channels.contrasts.mode)
        reading.choose_labels(self.labels_chosen(), now)
        was_filling = reading.is_filling
        n_left = reading.n_left
        if n_left <= _WORTH_SAYING:
            self._n_said, self._saying_due = 0, now + _SAYING_SECONDS
        elif now >= self._saying_due:
            self._n_said, self._saying_due = n_left, now + _SAYING_SECONDS
        self.canvas.paint_rarely(next((seconds for n, seconds in _PAINTED_WITH_LEFT if n_left > n), 0.0))
        pictures, contrasts = reading.step(now)
        if was_filling and not reading.is_filling:
            self.looks.hurry()
        if self._is_look_due and not self.is_filling:
            self._begin_look(reading)
        if contrasts:
            self._stage.channels.shown.take_fields(contrasts)
            self.looks.note_suggestions()
            self._are_strips_stale = True
        if self._are_strips_stale and (now >= self._strips_due or not reading.is_filling):
            self._are_strips_stale, self._strips_due = False, now + _SAYING_SECONDS
            self._stage.channels.shown.say_fields()
        if reading.trouble != self._said_trouble:
            self._say_notes(reading)
        if pictures:
            self.canvas.show_pictures(pictures)
        self.say_of_labels(reading.labels.problem if self.labels_chosen().name else "")
        return self.is_busy

    def _state_of_empty_wells(self, dataset: Dataset) -> PlaneState:
        return PlaneState.PENDING if dataset.is_more_awaited else PlaneState.ABSENT

    def _place(self) -> tuple[int, int | str]:
        """The time point, and the plane or projection, that the main view shows or would show."""
        view = self._stage.view
        projection = view.projection
        # the main view says so when it draws, which it does not while it is hidden
        self._stage.channels.contrasts.show_projection("" if projection is None else projection.how)
        self._stage.channels.shown.show_type_of(view.p)
        return view.t, view.z if projection is None else str(projection)

    def _take_info(self, reading: SceneReading, info: DatasetInfo) -> None:
        """More is known: sizes and places of fields."""
        before, reading.info = reading.info, info
        if before is not None and not goes_on(before, info):
            reading.show_place(reading.place)
            reading.pictures.start_values_over(with_place=False)
            self.canvas.forget_pictures()
        elif before is not None:
            if before.other_dtypes or info.other_dtypes:
                reading.pictures.sort_by_type()
                self._say_notes(reading)
            if lie_alike(before, info):
                return
        self._build_soon(reading)

    def _build_soon(self, reading: SceneReading) -> None:
        info = reading.info
        if info is None or (self._is_looking and not is_plate(info)):
            return  # places are not known yet
        if not self._is_building:
            self._is_building = True
            self._background.run("ndviewer-scene-places", lambda: self._build(reading, info))

    def _build(self, reading: SceneReading, info: DatasetInfo) -> None:
        """In a thread: place ten thousand fields, and see where they overlap."""
        scene = scene_of(info)
        _ = scene.bounds, scene.has_overlaps  # known from here on
        self._poll.post(lambda: self._on_built(reading, info, scene))

    def _on_built(self, reading: SceneReading, info: DatasetInfo, scene: FieldScene) -> None:
        if reading is not self._reading or reading.info is None:
            return
        self._is_building = False
        if not lie_alike(reading.info, info):
            self._build_soon(reading)
        before = self.canvas.scene
        if before is None or not is_same_scene(before, scene):
            sizes = [image.pixel_size_um or 1.0 for image in info.groups]
            self.canvas.show_scene(scene, min(sizes) if scene.is_in_um else 1.0)
            self._say_notes(reading)
            self._look_at_wanted()
        reading.ask_again()

    def _say_notes(self, reading: SceneReading) -> None:
        """What had to be guessed of places, whose limits are their own, and why a cluster does not help."""
        scene, trouble = self.canvas.scene, reading.trouble
        if scene is None or reading.info is None:
            return
        self._said_trouble = trouble
        of_cluster = (f"thumbnails are made on this computer: {trouble}",) if trouble else ()
        self.noted.emit("; ".join((*scene.notes, *notes_on_types(reading.info), *of_cluster)))

    def _current_looks(self) -> dict[int, ChannelLook]:
        reading = self._reading
        return {} if reading is None or reading.info is None else self._stage.channels.looks_of_fields()

    @safe_slot
    def _on_dimming(self, dims: bool) -> None:
        self.dims_old = dims

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_moved(self) -> None:
        if self._reading is not None:
            self._reading.ask_again()
        self._poll.wake()

    @safe_slot
    def _on_activated(self, p: int) -> None:
        reading = self._reading
        if reading is None or reading.info is None or not 0 <= p < len(reading.info.positions):
            return
        self._go_to(p)
        self.canvas.mark_current(p, keep_in_view=False)  # so that Esc leads back to the same place
        self.leave()
        self._came_from_here = True

    @safe_slot
    def _on_hovered(self, place: object) -> None:
        scene, reading = self.canvas.scene, self._reading
        if scene is None or reading is None or reading.info is None:
            return
        if not isinstance(place, tuple):
            self.said.emit("")
            return
        p, info = scene.at(*place), reading.info
        if p is None or p >= len(info.positions):
            well = scene.empty_well_at(*place)
            state = self._state_of_empty_wells(reading.dataset)
            self.said.emit(said_of_empty_well(well, state) if well else summary(info, reading.states, state))
            return
        image = scene.image(p)
        share = (place[0] - image.left) / image.width, (place[1] - image.top) / image.height
        values = {
            info.channels[c].name: value
            for c, value in reading.pictures.values_at(p, *share).items()
            if c in self.looks.drawn
        }
        marks, has_picture = self.canvas.marks_of(p), self.canvas.image_of(p) is not None
        said = said_of_field(info, p, image, place, marks, values, has_picture=has_picture)
        more = [each for each in (self._label_text(reading, p, share), self.more_words(p)) if each]
        self.said.emit("   ".join([said, *more]))

    def _label_text(self, reading: SceneReading, p: int, share: tuple[float, float]) -> str:
        """What is said of the label under the mouse: "cells 17 (class nucleus)"."""
        name = self.labels_chosen().name
        value, facts = reading.labels.value_at(p, *share) if name else (0, "")
        return f"{name} {value}{f' ({facts})' if facts else ''}" if value else ""
