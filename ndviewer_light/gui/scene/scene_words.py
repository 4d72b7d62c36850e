"""What is said of fields in the overview; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...model import PlaneState, how_many
from ...rendering.place_words import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...engine.position_states import PositionStates
    from ...engine.scene import PlacedImage
    from ...model import DatasetInfo
    from .scene_painting import Marks

_STATES = {
    PlaneState.PENDING: PlaneState.PENDING.value,
    PlaneState.ABSENT: PlaneState.ABSENT.value,
    PlaneState.FILLED: "nothing stored, shown as the fill value",
    PlaneState.UNREADABLE: PlaneState.UNREADABLE.value,
    PlaneState.LOADING: "being read",
}


def said_of_field(
    info: DatasetInfo,
    p: int,
    image: PlacedImage,
    place: tuple[float, float],
    marks: Marks | None,
    values: Mapping[str, float],
    *,
    has_picture: bool = False,
) -> str:
    """The field under the mouse, the pixel of it, and its values: "B3:0  y 12 x 40  DAPI 1,203"."""
    parts = [name_of(info.positions[p])]
    facts = info.image(p)
    row = int((place[1] - image.top) / image.height * facts.height)
    column = int((place[0] - image.left) / image.width * facts.width)
    parts.append(f"y {min(max(row, 0), facts.height - 1)} x {min(max(column, 0), facts.width - 1)}")
    if values:
        parts.append("  ".join(f"{name} {value:,.5g}" for name, value in values.items()))
    if marks is not None and marks.is_old:
        parts.append("of an earlier time point")
    elif marks is not None and marks.state in _STATES:
        reason = f": {marks.reason}" if marks.state is PlaneState.UNREADABLE else ""
        rest = "in part; the rest: " if has_picture and marks.state is not PlaneState.FILLED else ""
        parts.append(rest + _STATES[marks.state] + reason)
    return "   ".join(parts)


def said_of_empty_well(name: str, state: PlaneState) -> str:
    """The well under the mouse that the plate lists, and of which there is nothing, or nothing yet."""
    return f"{name}   listed by the plate, {_OF_EMPTY_WELLS[state]}"


_OF_EMPTY_WELLS = {PlaneState.PENDING: "not written yet", PlaneState.ABSENT: "no image is there"}


def summary(info: DatasetInfo, states: PositionStates | None, empty_wells: PlaneState) -> str:
    """How many fields there are, how many planes of them are there, and how many wells are to come."""
    n, n_empty = len(info.positions), len(info.empty_wells)
    said = how_many(n, "field")
    expected = 0 if states is None else sum(states.expected)
    if states is not None and expected:
        said += f", {sum(states.there):,} of {how_many(expected, 'plane')}"
    if n_empty:
        what = "to come" if empty_wells is PlaneState.PENDING else "without images"
        said += f", {how_many(n_empty, 'well')} {what}"
    return said
