"""Shows where in the dataset the view is, in the panels on the left, and goes where they are clicked.

GUI thread only; nothing is read or looked at here: states are those that the dataset knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ...engine.plate_grid import grid_layout, plate_with_listed
from ...engine.state_codes import TimeState
from ...model import how_many
from ...rendering.place_words import name_of
from ..panels.plate_layout import stage_places, state_of_all
from ..slots import safe_slot
from .acquisition_facts import facts_of
from .wells import Wells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.dataset import Dataset
    from ...engine.position_states import PositionStates
    from ...model import DatasetInfo, Position
    from ..panels.left_panels import LeftPanels
    from ..stage import Stage


class PlacesView(QObject):
    """For one stage. `step` whenever the dataset is polled, `go_to(p)` moves the view.

    `path_of(dataset)`: where it is, or will be written.
    """

    def __init__(
        self,
        stage: Stage,
        panels: LeftPanels,
        go_to: Callable[[int], None],
        path_of: Callable[[Dataset], str],
    ) -> None:
        super().__init__(stage)
        self._path_of = path_of
        self.more_words: Callable[[Sequence[int]], str] = lambda fields: ""
        """What else is said of fields under the mouse, a line or more; else empty."""
        self.pictures_come_first: Callable[[], bool] = lambda: False
        """Whether what is stored is to be looked up later: small pictures of all fields tell it as well."""
        self._stage = stage
        self._panels = panels
        self._go_to = go_to
        self._positions: Sequence[Position] = ()
        self._wells = Wells(())
        self._has_plate = False
        self._word = "well"
        self._info: DatasetInfo | None = None
        self._image: object = None
        self._listed: Sequence[str] = ()
        self._has_listed = False
        self._shown: tuple[object, ...] = ()
        self._states: PositionStates | None = None
        self._fields_shown: tuple[object, ...] | None = None
        stage.sliders.moved.connect(self._on_moved)
        stage.sliders.held_paint.released.connect(self._on_moved)
        panels.plate_map.picked.connect(self._on_well)
        panels.field_map.picked.connect(self._on_field)
        panels.field_list.picked.connect(self._on_field)
        panels.plate_map.text_of = self._words_of_well
        panels.field_map.text_of = self._words_of_field

    @property
    def wells(self) -> Wells:
        """The wells of the dataset on screen."""
        return self._wells

    def step(self) -> None:
        """Show what is known now; a few microseconds if nothing is new."""
        dataset = self._stage.dataset
        if dataset is None or self._panels.isHidden():
            self._forget()
            return
        info, view = dataset.info, self._stage.view
        if info is not self._info or self._stage.image is not self._image:
            self._take(dataset, info)
        if self._awaits_frame and self._shown and self._shown[2] is info:
            return
        states = self._states_at(dataset, view.t) if len(info.positions) > 1 else None
        of_listed = self._state_of_listed(dataset)
        if (states, view.p, info, of_listed) == self._shown:
            return
        is_news = states is not self._states or self._shown[-1:] != (of_listed,)
        self._shown = states, view.p, info, of_listed
        if view.p < self._wells.n_positions:
            self._show_place(view.p)
        if is_news:
            self._show_states(states, of_listed)

    def _state_of_listed(self, dataset: Dataset) -> TimeState | None:
        """What wells are that the plate lists and that have no images yet; None if there are none."""
        if not (self._has_plate and self._has_listed):
            return None
        return TimeState.PENDING if dataset.is_more_awaited else TimeState.MISSING

    @property
    def _awaits_frame(self) -> bool:
        """Whether the sliders are painted with the frame that comes next: so are the maps."""
        return self._stage.sliders.held_paint.is_held and not self._panels.underMouse()

    def _states_at(self, dataset: Dataset, t: int) -> PositionStates | None:
        """What is known; which makes the dataset look up what is stored, unless that is to wait."""
        if not dataset.is_being_written and self.pictures_come_first():
            return self._states if self._states is not None and self._states.t == t else None
        return dataset.position_states(t)

    def _forget(self) -> None:
        """Nothing is shown: the slider runs over all positions again."""
        if self._info is not None:
            self._info, self._image, self._shown, self._positions = None, None, (), ()
            self._stage.sliders.set_groups("p", None)

    def _take(self, dataset: Dataset, info: DatasetInfo) -> None:
        self._info, self._image = info, self._stage.image
        if info.positions is not self._positions or info.empty_wells != self._listed:
            self._take_positions(info.positions, info.empty_wells)
        n = len(self._wells)
        wells = how_many(n, self._word) if self._has_plate else ""
        self._panels.card.show_facts(facts_of(info, self._stage.image, wells, self._path_of(dataset)))

    def _take_positions(self, positions: Sequence[Position], empty_wells: Sequence[str]) -> None:
        self._positions, self._wells, self._listed = positions, Wells(positions), empty_wells
        self._states, self._fields_shown = None, None
        names = self._wells.names
        found = plate_with_listed(names, empty_wells) if len(positions) + len(empty_wells) > 1 else None
        plate, listed = found if found is not None else (None, {})
        every = tuple(range(len(positions)))
        if plate is None and len(names) > 1 and stage_places(positions, every, self._field_um) is None:
            plate = grid_layout(names)
        self._has_plate = plate is not None
        if plate is not None:
            self._panels.plate_map.show_layout(plate, listed)
            self._has_listed = bool(listed)
            self._word = "well" if plate.is_plate else "region"
            self._panels.plate_heading.setText("PLATE" if plate.is_plate else "REGIONS")
        self._panels.plate_map.show_states(())
        self._panels.field_map.show_states(())
        self._panels.field_list.show_states(())
        sliders, wells = self._stage.sliders, self._wells
        if self._has_plate:
            sliders.set_groups("p", wells.fields_beside, wells.well_after)
        else:
            sliders.set_groups("p", None)

    # ---- what is in view -------------------------------------------------------------------

    def _show_place(self, p: int) -> None:
        panels, fields = self._panels, self._fields_of(p)
        if self._has_plate:
            panels.plate_map.show_current(self._wells.of(p))
        if (fields, self._field_um) != self._fields_shown:
            self._fields_shown = fields, self._field_um
            self._show_fields(fields)
        panels.field_map.show_current(p)
        panels.field_list.show_current(p)

    def _fields_of(self, p: int) -> tuple[int, ...]:
        """The fields shown beside `p`: of its well, or all of a run without wells."""
        return self._wells.fields_beside(p) if self._has_plate else tuple(range(len(self._positions)))

    @property
    def _field_um(self) -> tuple[float, float] | None:
        image = self._stage.image
        if image is None or image.pixel_size_um is None:
            return None
        high = image.height * (image.pixel_size_y_um or image.pixel_size_um)
        return high, image.width * image.pixel_size_um

    def _show_fields(self, fields: tuple[int, ...]) -> None:
        panels = self._panels
        is_map = len(fields) > 0 and panels.field_map.show_fields(self._positions, fields, self._field_um)
        if not is_map:
            panels.field_list.show_fields(fields, lambda p: name_of(self._positions[p]), self._words_of_field)
        is_one = len(self._positions) <= 1
        panels.show_parts(plate=self._has_plate, fields="" if is_one else "map" if is_map else "list")
        where = f" OF {self._wells.names[self._wells.of(fields[0])]}" if self._has_plate and fields else ""
        panels.field_heading.setText(f"FIELDS{where}" if len(where) < 16 else "FIELDS")

    # ---- states ----------------------------------------------------------------------------

    def _show_states(self, states: PositionStates | None, of_listed: TimeState | None) -> None:
        self._states = states
        of_fields = states.states if states is not None else ()
        of_wells = (
            tuple(
                state_of_all([of_fields[p] for p in self._wells.fields(well)])
                for well in range(len(self._wells))
            )
            if states is not None
            else ()
        )
        self._panels.field_map.show_states(of_fields)
        self._panels.field_list.show_states(of_fields)
        self._panels.plate_map.show_states(of_wells)
        if of_listed is not None:
            self._panels.plate_map.show_listed(of_listed)
        listed = () if of_listed is None else (of_listed,)
        if states is not None or listed:  # while nothing is known, the legend stays as it was
            of_plate = (*of_wells, *of_fields, *listed)
            self._panels.legend.show_states(of_plate if self._has_plate else of_fields)

    def _words_of_well(self, well: int) -> str:
        fields = self._wells.fields(well)
        n = len(fields)
        words = f"{self._wells.names[well]}\n{how_many(n, 'field')}"
        return words + self._words_of_states(fields) + self.more_words(fields)

    def _words_of_field(self, p: int) -> str:
        position = self._positions[p]
        words = name_of(position)
        if position.x_um is not None and position.y_um is not None:
            words += f"\nx {position.x_um / 1000:.3f} mm, y {position.y_um / 1000:.3f} mm"
        return words + self._words_of_states((p,)) + self.more_words((p,))

    def _words_of_states(self, fields: Sequence[int]) -> str:
        states = self._states
        if states is None:
            return ""
        state = state_of_all([states.states[p] for p in fields])
        there, expected = (sum(each[p] for p in fields) for each in (states.there, states.expected))
        at = f"t {states.t + 1}: " if self._info is not None and self._info.n_t > 1 else ""
        return f"\n{at}{state.value}, {there:,} of {how_many(expected, 'plane')}"

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_moved(self) -> None:
        self.step()

    @safe_slot
    def _on_well(self, well: int) -> None:
        now = self._stage.view.p
        step = well - self._wells.of(now)
        if step:
            self._go_to(self._wells.well_after(now, step))

    @safe_slot
    def _on_field(self, p: int) -> None:
        if p != self._stage.view.p:
            self._go_to(p)
