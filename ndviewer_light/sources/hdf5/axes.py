"""The role of each axis of a dataset, from what its file says of them: pure functions.

What the file says counts; only axes of which nothing is said are assumed, with a warning. Roles are
``t p c z y x``, and "" for an axis of a single sample that has none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from ...metadata.guessed_axes import (
    FILLED_FIRST,
    LEAST_IN_COLOUR,
    MAX_AXES,
    ROLES_OF_RANK,
    channels_last,
    counted_axes,
    filled,
    too_many_axes,
    with_plane_last,
)
from ...model import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_ROLE_OF_NAME = {
    **dict.fromkeys(("t", "time", "timepoint", "frame", "frames", "frame_number", "frame_id"), "t"),
    **dict.fromkeys(("p", "pos", "position", "fov", "field", "site", "scene", "series"), "p"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("rgb", "rgba", "color", "colors", "colour", "colours"), "c"),
    **dict.fromkeys(("z", "depth", "plane", "slice"), "z"),
    **dict.fromkeys(("y", "row", "rows", "height"), "y"),
    **dict.fromkeys(("x", "col", "column", "columns", "width"), "x"),
}
_REVERSED_IN_COLOUR = {3: "cxy", 4: "zcxy", 5: "tzcxy", 6: "ptzcxy"}


_NO_WORD = re.compile(r"[^A-Za-z]+")


class AxisNotes(NamedTuple):
    """What a file says of the axes of a dataset, one entry each.

    Names are "" where nothing is said. A step is (distance, unit); texts name the samples along an axis.
    `by` is what says so, for display.
    """

    names: tuple[str, ...]
    steps: tuple[tuple[float, object] | None, ...]
    texts: tuple[tuple[str, ...], ...]
    by: str

    @classmethod
    def of_names(cls, names: Sequence[str], by: str) -> AxisNotes:
        """Notes of names only."""
        return cls(tuple(names), (None,) * len(names), ((),) * len(names), by)


class AssignedAxes(NamedTuple):
    """The role of each axis; whether "c" is the samples of colour pixels; a warning if some were assumed."""

    roles: tuple[str, ...]
    in_colour: bool = False
    warning: str | None = None


def is_picture(shape: Sequence[int]) -> bool:
    """Whether an array of this shape, of whose axes nothing is said, may be shown by default."""
    sizes = [shape[i] for i in _counted(shape)]
    return 2 <= len(sizes) <= MAX_AXES and min(sizes) > 0 and min(sizes[-2:]) > 1


def has_too_many_axes(shape: Sequence[int]) -> bool:
    """Whether an array would be a picture, but for the number of its axes."""
    sizes = [shape[i] for i in _counted(shape)]
    return len(sizes) > MAX_AXES and min(sizes) > 0 and min(sizes[-2:]) > 1


def _counted(shape: Sequence[int]) -> list[int]:
    """The axes that count where nothing is said of them: without those of size 1 at the end."""
    return counted_axes(without_singles(shape))


def without_singles(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape without axes of size 1 at its end: none of them is x."""
    shape = tuple(shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def named_roles(names: Sequence[str], shape: Sequence[int]) -> tuple[str, ...] | None:
    """The roles if names are given and known for all axes; None otherwise.

    An axis of a single sample need have no name, nor a known one.
    """
    if len(names) != len(shape):
        return None
    roles = tuple(
        role if (role := role_of(name)) or size != 1 else " " for name, size in zip(names, shape, strict=True)
    )
    named = [role for role in roles if role != " "]
    if not all(roles) or len(set(named)) < len(named) or not {"y", "x"} <= set(named):
        return None
    return tuple(role.strip() for role in roles)


def role_of(name: str) -> str:
    """The role of an axis by its name, "" if it says nothing."""
    return _ROLE_OF_NAME.get(name.strip().lower(), "")


def measures(name: str, role: str) -> bool:
    """Whether a step along an axis of this name is one along `role`, which may have been assumed.

    That of "sample_z" is, but not that of "wavelength".
    """
    return not name.strip() or role in map(role_of, (name, *_NO_WORD.split(name)))


def axes_of(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    names: Sequence[str],
    where: str,
    *,
    is_reversed: bool = False,
    first_grows: bool = False,
) -> AssignedAxes:
    """The axes of a dataset whose file names them so ("" each where it does not).

    `is_reversed`: the axes are stored in reverse order, as MATLAB does: x before y. Without names, the last
    two axes are y and x, before them z, then c, then t; a last axis of 3 samples of uint8 or uint16 is
    colour, and one of 4 of uint8, except in MATLAB, which has no transparency; another one of up to 4 is
    channels. `first_grows`: of all axes, only the first was made to grow without limit, so it is t: that is
    how frames are appended as they come, while the planes of a stack are counted beforehand. Raises
    `UnsupportedError` if there is no plane, or too many axes.
    """
    roles = named_roles(names, shape)
    if roles is not None:
        return AssignedAxes(roles, _named_in_colour(roles, shape, dtype))
    found = _partly_named(shape, dtype, names) or _assumed(shape, dtype, where, is_reversed)
    if first_grows and not any(names) and not is_reversed:
        found = found._replace(roles=_with_time_first(found.roles))
    said = f" ({', '.join(name or '?' for name in names)})" if any(names) else ""
    if sum(size > 1 for size in shape) <= 2 and not said:
        return found
    told = " ".join(role for role in found.roles if role and not (found.in_colour and role == "c"))
    told += " and colour" if found.in_colour else ""
    why = ", as the first one can grow without limit" if first_grows and found.roles[0] == "t" else ""
    return found._replace(warning=f"{where}: axes are not named{said}; assuming {told}{why}")


def _with_time_first(roles: tuple[str, ...]) -> tuple[str, ...]:
    """The assumed roles with t for the first axis, and for those up to y what is left, the innermost z."""
    n_before = roles.index("y")
    if n_before == 0 or "t" in roles[1:]:
        return roles
    left = iter([role for role in FILLED_FIRST if role not in roles[n_before:] and role != "t"])
    return ("t", *reversed([next(left) for _ in range(n_before - 1)]), *roles[n_before:])


def _named_in_colour(roles: Sequence[str], shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    return roles[-1] == "c" and shape[-1] in (3, 4) and dtype == np.uint8


def _partly_named(shape: Sequence[int], dtype: np.dtype[Any], names: Sequence[str]) -> AssignedAxes | None:
    """The axes if some names say what they are: the others take what is left, see `with_plane_last`."""
    if len(names) != len(shape):
        return None
    roles = [role_of(name) for name in names]
    known = [role for role in roles if role]
    if (found := with_plane_last(roles, shape)) is not None:
        return AssignedAxes(found, _named_in_colour(found, shape, dtype))
    if not {"y", "x"} <= set(known) or len(set(known)) < len(known):
        return None
    if (found := filled(roles, shape)) is None:
        return None
    return AssignedAxes(found, _named_in_colour(found, shape, dtype))


def _assumed(shape: Sequence[int], dtype: np.dtype[Any], where: str, is_reversed: bool) -> AssignedAxes:
    kept = _reversed_kept(shape) if is_reversed else _counted(shape)
    sizes = [shape[i] for i in kept]
    if len(sizes) > MAX_AXES:
        raise too_many_axes(shape, where)
    if len(sizes) not in ROLES_OF_RANK:
        raise UnsupportedError(f"{where} has {how_many(len(sizes), 'dimension')}, and no plane")
    in_colour = _looks_like_colour(sizes, dtype, is_reversed)
    if is_reversed:
        said = _REVERSED_IN_COLOUR[len(sizes)] if in_colour else f"{ROLES_OF_RANK[len(sizes)][:-2]}xy"
    else:
        said = channels_last(sizes) or ROLES_OF_RANK[len(sizes)]
    roles = [""] * len(shape)
    for i, role in zip(kept, said, strict=True):
        roles[i] = role
    return AssignedAxes(tuple(roles), in_colour)


def _reversed_kept(shape: Sequence[int]) -> list[int]:
    """All axes but those of size 1 before the last two, which are x and y."""
    last = len(shape) - 2
    return [i for i, size in enumerate(shape) if i >= last or size > 1]


def _looks_like_colour(sizes: Sequence[int], dtype: np.dtype[Any], is_reversed: bool) -> bool:
    if len(sizes) not in _REVERSED_IN_COLOUR or dtype not in (np.uint8, np.uint16):
        return False
    samples, plane = (sizes[-3], sizes[-2:]) if is_reversed else (sizes[-1], sizes[-3:-1])
    may_be_transparent = dtype == np.uint8 and not is_reversed
    return samples in (3, 4 if may_be_transparent else 3) and min(plane) >= LEAST_IN_COLOUR
