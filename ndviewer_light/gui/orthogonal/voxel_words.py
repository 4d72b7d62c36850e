"""What is said of the voxel under the mouse in a section. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.stack_beside import WITH_PIXELS
from ..view_texts import Readout, exact_value
from .cross_readout import place_lines

if TYPE_CHECKING:
    from ...engine.stack_beside import StackSeen
    from ...model import DatasetInfo, ImageInfo


def readout_of_voxel(
    seen: StackSeen, image: ImageInfo, info: DatasetInfo, z: int, row: int, column: int
) -> Readout | None:
    """Where a voxel of level 0 is, and its value in each channel; None outside the stack."""
    if not (0 <= z < image.n_z and 0 <= row < image.height and 0 <= column < image.width):
        return None
    i, j, k = seen.grid.voxel_at(z, row, column)
    values = tuple(
        (c, exact_value(pixels[i, j, k]))
        for c, pixels in seen.pixels.items()
        if seen.states[c][i] in WITH_PIXELS
    )
    names = tuple(info.channels[c].name for c, _ in values) if len(seen.pixels) > 1 else ()
    where = f"x {column}  y {row}  z {z + 1}   ({', '.join(place_lines((z, row, column), image))})"
    return Readout(where, values, names=names)
