"""At which resolution a stack is read so that it fits a budget: chosen before anything is read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model import Plane, PlaneState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Level


class StackResolution(NamedTuple):
    """A level, and the steps along z and along y and x in which its voxels are taken."""

    number: int
    level: Level
    z_step: int
    step: int


def stack_resolution(
    levels: Sequence[Level], bytes_per_voxel: int, max_bytes: int, longest: int
) -> StackResolution:
    """The finest level that fits as it is, else the coarsest in steps.

    `bytes_per_voxel` are those of all channels together, `longest` is the edge it may have at most.
    """
    for number, level in enumerate(levels):
        n_z, height, width = level.sizes
        z_step = max(-(-n_z // longest), 1)
        step = 1
        while step < max(height, width) and not _fits(
            (-(-n_z // z_step), -(-height // step), -(-width // step)), bytes_per_voxel, max_bytes, longest
        ):
            step += 1
        if step == z_step == 1 or number == len(levels) - 1:
            break
    return StackResolution(number, level, z_step, step)


def _fits(shape: tuple[int, int, int], bytes_per_voxel: int, max_bytes: int, longest: int) -> bool:
    n_z, height, width = shape
    return max(height, width) <= longest and n_z * height * width * bytes_per_voxel <= max_bytes


def resolution_text(level: int, n_levels: int, shape: tuple[int, int, int]) -> str:
    """The level and the size (x, y, z) of a stack in words; levels count from 1, the full resolution."""
    n_z, height, width = shape
    of = f"level {level + 1} of {n_levels}, " if n_levels > 1 else ""
    return f"{of}{width} × {height} × {n_z}"


def of_another_size(shape: tuple[int, ...], stack: object) -> Plane:
    """What a plane (Y, X) is that does not fit into its stack."""
    rows, columns = shape
    return Plane(PlaneState.UNREADABLE, reason=f"a plane of {columns} × {rows} in a stack of {stack}")
