"""zarr-python 3: an array that is appended to, plane by plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from .ngff import group_attributes
from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class ZarrPythonWriter(Writer):
    """(T, C, Z, Y, X) in zarr v2 or v3; `chunk_t` time points in a chunk, `shard_t` in a shard."""

    def __init__(
        self, path: Path, plan: Plan, *, version: int = 3, chunk_t: int = 1, shard_t: int | None = None
    ) -> None:
        super().__init__(path, plan)
        self._version = version
        self._chunks = (chunk_t, 1, 1, plan.height, plan.width)
        self._shards = (shard_t, 1, plan.n_z, plan.height, plan.width) if shard_t else None
        self._array: Any = None

    def begin(self) -> int:
        plan = self.plan
        if plan.resume:
            self._array = zarr.open_array(f"{self.path}/0", mode="r+")
            return int(self._array.shape[0]) * plan.n_c * plan.n_z
        group = zarr.open_group(str(self.path), mode="w", zarr_format=self._version)
        self._array = group.create_array(
            "0",
            shape=(0, plan.n_c, plan.n_z, plan.height, plan.width),
            chunks=self._chunks,
            shards=self._shards,
            dtype=plan.dtype,
            fill_value=0,
        )
        group.attrs.update(group_attributes(plan, self._version))
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        t, _, c, z = index
        is_alone = self.plan.n_c == self.plan.n_z == 1
        if is_alone and t >= self._array.shape[0]:
            self._array.append(pixels[None, None, None], axis=0)
            return
        if t >= self._array.shape[0]:
            self._array.resize((t + 1, *self._array.shape[1:]))
        self._array[t, c, z] = pixels
