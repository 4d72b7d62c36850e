"""Orthogonal views of one stage: sections below and right of the picture, and the cross-hair in all three.

GUI thread only; nothing is read or waited for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPointF

from ..keyboard.keys import keys_of
from ..slots import safe_slot
from .cross_hand import CrossHand
from .cross_layer import CrossLayer
from .cross_readout import CrossReadout, place_lines, stack_details, stack_lines
from .section_pane import SectionPane
from .section_sight import SectionSight, z_from_um
from .section_thickness import SectionThickness
from .stack_reading import SectionMaker, SectionsWanted, StackReading, StackWanted
from .voxel_words import readout_of_voxel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...engine.dataset import Dataset
    from ...engine.stack_beside import StackGrid, StackSeen
    from ...model import DatasetInfo, ImageInfo
    from ...rendering.contrast import Contrast
    from ...rendering.scene_picture import ChannelLook
    from ...rendering.section_picture import SectionPicture
    from ..background import Background
    from ..canvas.zoom import Projection
    from ..poll import Poll
    from ..stage import Stage
    from ..view_texts import Readout


class OrthogonalView(QObject):
    """`toggle` shows it, or no longer; `step` whenever the dataset is polled.

    `go_to_z(z)` moves the view along z, `say(text, details)` is for the status line.
    """

    def __init__(
        self,
        stage: Stage,
        background: Background,
        poll: Poll,
        go_to_z: Callable[[int], None],
        say: Callable[[str, str], None],
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._go_to_z = go_to_z
        self._say = say
        self.is_on = False
        self.layer = CrossLayer(stage.picture)
        self.hand = CrossHand(self.layer, self)
        self.hand.moved.connect(self._on_moved)
        self.xz, self.yz = SectionPane("XZ", is_upright=False), SectionPane("YZ", is_upright=True)
        self.corner = CrossReadout()
        stage.splitter.picture_room.put_around(self.yz, self.xz, self.corner)
        self._thickness = SectionThickness(stage.splitter.picture_room, lambda: stage.image)
        self.xz.picked.connect(lambda x, z: self._on_picked(x=x, z=z))
        self.yz.picked.connect(lambda y, z: self._on_picked(y=y, z=z))
        self.xz.stepped.connect(lambda x, z: self._on_stepped(x=x, z=z))
        self.yz.stepped.connect(lambda y, z: self._on_stepped(y=y, z=z))
        self.xz.hovered.connect(lambda place: self._on_hovered(place, is_xz=True))
        self.yz.hovered.connect(lambda place: self._on_hovered(place, is_xz=False))
        self.xz.zoomed.connect(lambda factor, x, _z: self._on_zoomed(factor, x=x))
        self.yz.zoomed.connect(lambda factor, y, _z: self._on_zoomed(factor, y=y))
        self._maker = SectionMaker(
            background, lambda grid, made: poll.post(lambda: self._on_made(grid, made))
        )
        self._dataset: Dataset | None = None
        self._place: tuple[float, float] | None = None  # row and column of level 0; None: the middle
        self._reading: StackReading | None = None
        self._in_view: Dataset | None = None  # whose stack is in view
        self._done: StackWanted | None = None
        self._info: DatasetInfo | None = None
        self._is_due = False  # something of the stack has changed
        self._room = 1
        self._seen: StackSeen | None = None
        self._made_of: tuple[object, ...] = ()
        self._z_from = (0.0, 0.0)
        self._due: tuple[Dataset, tuple[int, int]] | None = None
        stage.canvas_set.connect(self._on_canvas_set)
        for signal in (
            stage.strips.visible_changed,
            stage.strips.contrast_mode_chosen,
            stage.strips.window_changed,
            stage.strips.gamma_changed,
            stage.strips.color_changed,
        ):
            signal.connect(self._on_looks)
        stage.sliders.moved.connect(self._on_slider)

    # ---- on and off ------------------------------------------------------------------------

    def toggle(self) -> None:
        """Show the sections, or no longer."""
        if self.is_on:
            self.leave()
            return
        why = self._why_not()
        if why:
            self._say(why, "")
            return
        self._show()

    def show_at(self, place: tuple[int, int] | None) -> None:
        """Show sections through this row and column once there is a picture; None: none."""
        dataset = self._stage.dataset
        self._due = None if place is None or dataset is None else (dataset, place)
        if place is None:
            self.leave()
        self._poll.wake()

    @property
    def shown_at(self) -> tuple[int, int] | None:
        """The row and column of the cross-hair; None while no sections are shown, or are about to be."""
        if self._due is not None and self._due[0] is self._stage.dataset:
            return self._due[1]
        return self.place[1:] if self.is_on else None

    def _show(self, place: tuple[int, int] | None = None) -> None:
        self.is_on = True
        self._dataset = self._stage.dataset
        self._place = place
        self._stage.splitter.picture_room.show_around(True)
        self._thickness.begin()
        self._update()
        self._poll.wake()

    def _show_what_is_due(self) -> None:
        """Show what a link or an earlier session had, now that there is a picture."""
        if self._due is not None and self._due[0] is not self._stage.dataset:
            self._due = None
        if self._due is not None and self._can_begin:
            place, self._due = self._due[1], None
            self._show(place)

    @property
    def _can_begin(self) -> bool:
        stage = self._stage
        return stage.image is not None and stage.has_picture and not self._why_not()

    def leave(self) -> None:
        """Show the picture alone."""
        if not self.is_on:
            return
        self.is_on = False
        self._stage.splitter.picture_room.show_around(False)
        self._thickness.end()
        self.layer.show_at(None)
        self.hand.let_go()
        self._forget()

    def _why_not(self) -> str:
        """Why there can be no sections now, in a sentence; "" if there can."""
        stage = self._stage
        if stage.dataset is None or stage.canvas is None:
            return "There is no dataset to show sections of"
        if stage.picture.is_covered:
            return f"Sections are shown beside the picture: {stage.picture.way_back} first"
        if stage.n_z < 2:
            return "Only one z plane: there are no sections to show"
        if stage.strips.is_3d():
            return "Sections are shown beside a plane: choose 2D first"
        if stage.sliders.projection is not None:
            return f"Sections are shown beside a plane: choose one ({keys_of('projection')}) first"
        return ""

    # ---- step by step ----------------------------------------------------------------------

    def step(self) -> bool:
        """Read what has come in view or changed; whether more is expected soon."""
        if self._in_view is not None and self._reading is None and self._in_view is not self._wanted_dataset:
            self._leave_stack()
        self._show_what_is_due()
        if not self.is_on:
            return self._reading is not None or (self._due is not None and not self._why_not())
        if self._in_view is not None:
            self._is_due |= self._in_view.stack_has_changed() or self._in_view.info is not self._info
            self._info = self._in_view.info
        if self._stage.dataset is not self._dataset:
            self._dataset, self._place, self._room = self._stage.dataset, None, 1
            self._thickness.start_over()
            self._forget()
        why = self._why_not()
        if why:
            place = self.shown_at
            self.leave()
            self.show_at(place)  # they come back after what the user wants to see now
            return False
        self._read()
        self._update()
        return self._reading is not None or self._maker.is_busy

    @property
    def progress(self) -> str:
        """How far the stack has been read: "sections: 12 of 80 planes"; "" while nothing is read."""
        seen = self._seen
        if not self.is_on or self._reading is None or seen is None or seen.n_read == seen.n:
            return ""
        return f"sections: {seen.n_read} of {seen.n} planes"

    @property
    def seen(self) -> StackSeen | None:
        """What there is of the stack in view."""
        return self._seen

    @property
    def is_complete(self) -> bool:
        """Whether all that there is of the stack is in the panes."""
        is_read = self._seen is not None and self._seen.n_read == self._seen.n and not self._is_due
        return is_read and self._reading is None and not self._maker.is_busy and self.xz.is_drawn

    @property
    def place(self) -> tuple[int, int, int]:
        """Where the cross-hair is: z, row and column of level 0."""
        row, column = self._cross()
        return self._stage.view.z, int(row), int(column)

    @property
    def _wanted_dataset(self) -> Dataset | None:
        return self._stage.dataset if self.is_on else None

    def _read(self) -> None:
        wanted, reading = self._wanted(), self._reading
        if wanted is None:
            return
        if reading is not None:
            if reading.wanted != wanted:
                reading.cancelled.set()
            return
        if wanted == self._done and not self._is_due:
            return
        if self._done is not None and self._done[:3] != wanted[:3]:
            self._show_nothing()
        self._is_due = False
        self._done, self._in_view = wanted, wanted.dataset
        self._reading = StackReading(
            wanted,
            lambda reading, seen: self._poll.post(lambda: self._on_seen(reading, seen)),
            lambda reading, contrasts: self._poll.post(lambda: self._on_all_read(reading, contrasts)),
            lambda reading, problem: self._poll.post(lambda: self._on_ended(reading, problem)),
        )
        self._reading.begin(self._background)

    def _wanted(self) -> StackWanted | None:
        """The stack of the frame on screen; None until its planes have been asked for."""
        stage = self._stage
        frame = stage.canvas.frame if stage.canvas is not None else None
        dataset, view = stage.dataset, stage.view
        if (
            dataset is None
            or frame is None
            or frame.view[:2] != view[:2]
            or view.p >= len(dataset.info.positions)
        ):
            return None
        channels = stage.visible_channels()
        self._room = max(self._room, len(channels))
        return StackWanted(dataset, view.t, view.p, channels, self._room)

    def _forget(self) -> None:
        """The stack is not in view any more."""
        if self._reading is not None:
            self._reading.cancelled.set()
        elif self._in_view is not None:
            self._leave_stack()
        self._done = None
        self._show_nothing()

    def _leave_stack(self) -> None:
        dataset, self._in_view = self._in_view, None
        if dataset is not None and not dataset.closed:
            dataset.leave_stack()

    def _show_nothing(self) -> None:
        self._seen, self._made_of = None, ()
        self._maker.want(None)
        for pane in (self.xz, self.yz):
            pane.show_section(None, None)

    def _on_seen(self, reading: StackReading, seen: StackSeen) -> None:
        if reading is self._reading and not reading.cancelled.is_set() and self.is_on:
            self._seen = seen
            self._made_of = ()
            self._update()

    def _on_all_read(self, reading: StackReading, contrasts: dict[int, Contrast]) -> None:
        if reading is self._reading and not reading.cancelled.is_set() and self.is_on:
            self._stage.channels.shown.add_others(contrasts)
            self._update()

    def _on_ended(self, reading: StackReading, problem: str) -> None:
        if reading is not self._reading:
            return
        self._reading = None
        if reading.cancelled.is_set():
            self._done = None
        elif problem and self.is_on:
            self._say(f"Sections cannot be shown: {problem}", "")
        self._poll.wake()

    def _on_made(self, grid: StackGrid, made: tuple[SectionPicture, SectionPicture]) -> None:
        if self._seen is not None and self._seen.grid == grid and self.is_on:
            self.xz.show_section(made[0], grid)
            self.yz.show_section(made[1], grid)

    # ---- what is shown ---------------------------------------------------------------------

    def _cross(self) -> tuple[float, float]:
        """Row and column of level 0."""
        image = self._stage.image
        if image is None:
            return self._place or (0.0, 0.0)
        row, column = self._place or (image.height // 2, image.width // 2)
        return min(max(row, 0), image.height - 1), min(max(column, 0), image.width - 1)

    @safe_slot
    def _update(self) -> None:
        """Show cross-hair and sections where they belong now."""
        stage = self._stage
        canvas, image = stage.canvas, stage.image
        projection = canvas.projection() if canvas is not None and self.is_on else None
        if projection is None or image is None:
            self.layer.show_at(None)
            return
        self._thickness.fit_to(image)
        z, row, column = self.place
        self.layer.show_at(QPointF(*projection.to_screen(row + 0.5, column + 0.5)))
        self.xz.show_at(self._sight(projection, image, self.xz), (column, z))
        self.yz.show_at(self._sight(projection, image, self.yz), (row, z))
        self._say_place(image)
        self._make(row, column)

    def _sight(self, projection: Projection, image: ImageInfo, pane: SectionPane) -> SectionSight:
        i = 0 if pane is self.xz else 1
        um_z = image.z_step_um or image.pixel_size_um or 1.0
        thick, room = max(image.n_z, 1) * um_z, pane.thickness * projection.scale
        begin = z_from_um(self._z_from[i], thick, room, (self._stage.view.z + 0.5) * um_z)
        self._z_from = (begin, self._z_from[1]) if i == 0 else (self._z_from[0], begin)
        if pane is self.xz:
            return SectionSight(projection.left_um, begin, projection.scale, projection.um_x, um_z)
        return SectionSight(projection.top_um, begin, projection.scale, projection.um_y, um_z)

    def _make(self, row: int, column: int) -> None:
        seen = self._seen
        if seen is None:
            return
        looks = {c: each for c, each in self._looks().items() if c in seen.states}
        _, i, j = seen.grid.voxel_at(0, row, column)
        made_of = seen, i, j, looks
        if self._made_of == () or self._made_of[0] is not seen or self._made_of[1:] != made_of[1:]:
            self._made_of = made_of
            self._maker.want(SectionsWanted(seen, i, j, looks))

    def _looks(self) -> Mapping[int, ChannelLook]:
        return self._stage.channels.drawn_looks()

    def _say_place(self, image: ImageInfo) -> None:
        place, seen = place_lines(self.place, image), self._seen
        if seen is None:
            self.corner.say(place, ["loading…"], "")
            return
        dataset = self._stage.dataset
        names = [channel.name for channel in dataset.info.channels] if dataset is not None else []
        self.corner.say(place, stack_lines(seen), stack_details(seen, names, seen.worst))

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        self.hand.set_canvas(canvas)
        self.layer.stackUnder(self._stage.overlay)
        canvas.painted.connect(self._update)
        canvas.frame_shown.connect(self._update)

    @safe_slot
    def _on_looks(self, *_: object) -> None:
        self._poll.wake()
        self._update()

    @safe_slot
    def _on_slider(self, *_: object) -> None:
        self._update()

    @safe_slot
    def _on_moved(self, x: float | None, y: float | None) -> None:
        """The cross-hair was moved in the picture."""
        canvas = self._stage.canvas
        projection = canvas.projection() if canvas is not None else None
        if projection is None:
            return
        row, column = projection.to_place(x or 0.0, y or 0.0)
        self._move(row=None if y is None else row, column=None if x is None else column)

    def _move(self, row: float | None = None, column: float | None = None) -> None:
        before = self._cross()
        self._place = (before[0] if row is None else row // 1, before[1] if column is None else column // 1)
        self._place = self._cross()
        self._poll.wake()
        self._update()

    @safe_slot
    def _on_picked(self, *, x: float | None = None, y: float | None = None, z: float = 0.0) -> None:
        """The cross-hair was moved in a section."""
        at = min(max(int(z // 1), 0), self._stage.n_z - 1)
        if at != self._stage.view.z:
            self._go_to_z(at)
        self._move(row=y, column=x)

    @safe_slot
    def _on_stepped(self, *, x: int = 0, y: int = 0, z: int = 0) -> None:
        """An arrow key moved the cross-hair in a section."""
        at, row, column = self.place
        self._on_picked(x=column + x, y=row + y, z=at + z)

    @safe_slot
    def _on_zoomed(self, factor: float, *, x: float | None = None, y: float | None = None) -> None:
        """The picture is enlarged around the place in the section that is under the mouse."""
        canvas = self._stage.canvas
        scene, area = (canvas.scene(), canvas.visible_area()) if canvas is not None else (None, None)
        projection = canvas.projection() if canvas is not None else None
        if canvas is None or scene is None or area is None or projection is None:
            return
        row, column = self._cross()
        at = (column if x is None else x) * projection.um_x, (row if y is None else y) * projection.um_y
        canvas.show_area(scene.zoomed(area, factor, at))

    @safe_slot
    def _on_hovered(self, place: object, *, is_xz: bool) -> None:
        readout: Readout | None = None
        if isinstance(place, tuple) and self._seen is not None:
            along, z = place
            row, column = self._cross()
            row, column = (row, along) if is_xz else (along, column)
            image, dataset = self._stage.image, self._stage.dataset
            if image is not None and dataset is not None:
                at = int(z // 1), int(row // 1), int(column // 1)
                readout = readout_of_voxel(self._seen, image, dataset.info, *at)
        choices = readout.choices(self._stage.strips.color_of) if readout is not None else ()
        self._stage.hover_text.emit(str(readout or ""), choices)
