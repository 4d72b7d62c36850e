"""An image as references describe it: its arrays, axes, channels and steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import DatasetNotFoundError, LimitExceededError
from ...metadata.ngff_levels import ngff_level
from ...model import Channel, DatasetInfo, Position, Sizes, colored
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS
from ...storage.tiling import levels_by_size, tile_of_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from ...metadata import ngff
    from ...model import Level
    from ..region_masks import RegionMasks
    from .array_chunks import ReferencedArray

OF_MASKS = "nwb mask references"
"""The format of images whose positions are masks of regions of interest."""
SAMPLE = "s"
"""The role of samples where channels are an axis as well."""


@dataclass(frozen=True)
class ReferencedImage:
    """The image: one array per level, the role of each axis (``t p c z y x``), steps in µm and s.

    `is_rgb` if the channels are the samples of colour pixels. Where there are channels as well, samples are
    an axis of their own, ``s``, and each channel is shown as three.
    """

    format: str
    levels: tuple[ReferencedArray, ...]
    roles: tuple[str, ...]
    channels: tuple[Channel, ...] = ()
    steps: Mapping[str, float | None] = field(default_factory=dict)
    is_rgb: bool = False
    warnings: tuple[str, ...] = ()
    positions: tuple[Position, ...] = ()
    meta: ngff.ImageMeta | None = None
    """What the metadata say of levels, which have the numbers `numbers` there."""
    numbers: tuple[int, ...] = (0,)
    lists: RegionMasks | None = None
    """The lists of pixels that it is made from, if it is."""

    def level_facts(self) -> tuple[Level, ...]:
        """How the voxels of each level lie on those of the first."""
        n = range(len(self.levels))
        sizes = [Sizes(*(self.size(role, level) for role in "zyx")) for level in n]
        if self.meta is None:
            return levels_by_size([(each.y, each.x) for each in sizes], sizes[0].z)
        first = self.numbers[0]
        return tuple(
            ngff_level(self.meta, number, each, sizes[0], first)
            for number, each in zip(self.numbers, sizes, strict=True)
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The pixels' dtype, in native byte order."""
        dtype: np.dtype[Any] = self.levels[0].chunks.dtype.newbyteorder("=")
        return dtype

    def size(self, role: str, level: int = 0) -> int:
        """Samples along an axis, 1 if there is none; colour samples without alpha."""
        if role not in self.roles:
            return 1
        n = self.levels[level].chunks.shape[self.roles.index(role)]
        if role == "c" and self.has_samples:
            return 3 * n
        return min(n, 3) if self.is_rgb and role == "c" else n

    @property
    def is_of_masks(self) -> bool:
        """Whether its positions are masks of regions of interest."""
        return self.format.startswith(OF_MASKS)

    @property
    def has_samples(self) -> bool:
        """Whether every channel consists of colour pixels."""
        return SAMPLE in self.roles

    def index(self, t: int, p: int, c: int, z: int) -> dict[int, int]:
        """Where a plane is along each axis but rows and columns."""
        at = {"t": t, "p": p, "c": c, "z": z}
        if self.has_samples:
            at["c"], at[SAMPLE] = divmod(c, 3)
        roles = enumerate(self.roles)
        return {axis: at.get(role, 0) for axis, role in roles if role not in ("y", "x")}

    def tile_shape(self, level: int) -> tuple[int, int] | None:
        """Rows and columns worth reading at once (see `Source.tile_shape`)."""
        chunks = self.levels[level].chunks
        y, x = self.roles.index("y"), self.roles.index("x")
        rows, columns = chunks.chunk[y], chunks.chunk[x]
        if chunks.is_plain:  # along the slower axis any part can be read
            rows, columns = (1, columns) if chunks.strides[y] > chunks.strides[x] else (rows, 1)
        return tile_of_chunks((rows, columns), (self.size("y", level), self.size("x", level)))


def dataset_info(image: ReferencedImage, name: str, choices: tuple[str, ...], where: str) -> DatasetInfo:
    """The `DatasetInfo` of an image. Raises `LimitExceededError` for sizes beyond any real dataset."""
    for role, most in (("p", MAX_POSITIONS), ("c", MAX_CHANNELS)):
        if image.size(role) > most:
            raise LimitExceededError(
                f"{where}: axis {role} has size {image.size(role)}; at most {most} can be shown"
            )
    if min(image.levels[0].chunks.shape) < 1:
        raise DatasetNotFoundError(f"{where} is empty: its shape is {image.levels[0].chunks.shape}")
    n_c = image.size("c")
    numbered = tuple(Channel(f"Ch{i}", "") for i in range(len(image.channels), n_c))
    return DatasetInfo(
        format=image.format,
        positions=image.positions or tuple(Position("default", i) for i in range(image.size("p"))),
        channels=colored(image.channels[:n_c] + numbered),
        n_t=image.size("t"),
        n_z=image.size("z"),
        height=image.size("y"),
        width=image.size("x"),
        dtype=image.dtype,
        pixel_size_y_um=image.steps.get("y"),
        pixel_size_x_um=image.steps.get("x"),
        z_step_um=image.steps.get("z"),
        time_step_s=image.steps.get("t"),
        n_levels=len(image.levels),
        name=name,
        warnings=image.warnings,
        choices=choices,
    )
