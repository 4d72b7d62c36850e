"""Where a picture is, in words: the same in the window and on what is saved. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.projections import StackProjection
    from ..model import DatasetInfo, ImageInfo, Position

VOLUME = "3D"


def name_of(position: Position) -> str:
    """A position and, if there are several, its acquisition."""
    of = position.acquisition
    return f"{position.title}  ·  {of}" if of else position.title


def projection_text(projection: StackProjection, n_z: int) -> str:
    """What is shown of a stack: "max of z 3–12"."""
    planes = projection.planes_of(n_z)
    return f"{projection.how} of z {planes[0] + 1}–{planes[-1] + 1}"


def stack_text(z: int | StackProjection, n_z: int) -> str:
    """The plane or the projection; nothing where there is one plane only."""
    if n_z < 2:
        return ""
    return f"z {z + 1}" if isinstance(z, int) else projection_text(z, n_z)


def place_text(info: DatasetInfo, image: ImageInfo | None, t: int, p: int, of_stack: str) -> str:
    """Position, time point and what is shown of the stack, as far as there are several."""
    parts = [] if info.is_lone(p) else [name_of(info.positions[p])]
    if (info.n_t if image is None else info.n_times(image)) > 1:
        parts.append(f"t {t + 1}")
    return "  ·  ".join(filter(None, (*parts, of_stack)))
