"""What is said of the voxel under the mouse in a section. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.stack_beside import WITH_PIXELS
from .cross_readout import place_lines

if TYPE_CHECKING:
    from ...engine.stack_beside import StackSeen
    from ...model import DatasetInfo, ImageInfo


def said_of_voxel(seen: StackSeen, image: ImageInfo, info: DatasetInfo, z: int, row: int, column: int) -> str:
    """Where a voxel of level 0 is, and its value in each channel; "" outside the stack."""
    if not (0 <= z < image.n_z and 0 <= row < image.height and 0 <= column < image.width):
        return ""
    i, j, k = seen.grid.voxel_at(z, row, column)
    values = [
        f"{info.channels[c].name} {pixels[i, j, k]}"
        for c, pixels in seen.pixels.items()
        if seen.states[c][i] in WITH_PIXELS
    ]
    where = f"x {column}  y {row}  z {z + 1}   ({', '.join(place_lines((z, row, column), image))})"
    return f"{where}   {' | '.join(values)}" if values else where
