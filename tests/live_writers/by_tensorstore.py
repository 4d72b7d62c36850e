"""tensorstore: an array that is resized as it grows, or has its final shape from the start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from .ngff import group_attributes
from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class TensorStoreWriter(Writer):
    """(T, C, Z, Y, X); `chunk_t` × `chunk_z` planes in a chunk, `shard_t` time points in a shard."""

    def __init__(
        self,
        path: Path,
        plan: Plan,
        *,
        version: int = 3,
        chunk_t: int = 1,
        chunk_z: int = 1,
        shard_t: int = 0,
        fixed: bool = False,
        compressed: bool = True,
    ) -> None:
        super().__init__(path, plan)
        self._version = version
        self._chunk = [chunk_t, 1, chunk_z, plan.height, plan.width]
        self._shard = [shard_t, 1, plan.n_z, plan.height, plan.width] if shard_t else None
        self._fixed = fixed
        self._compressed = compressed
        self._array: Any = None

    def begin(self) -> int:
        kvstore = {"driver": "file", "path": f"{self.path}/0/"}
        driver = "zarr3" if self._version == 3 else "zarr"
        if self.plan.resume:
            self._array = ts.open({"driver": driver, "kvstore": kvstore}, open=True).result()
            return int(self._array.shape[0]) * self.plan.n_c * self.plan.n_z
        spec = {"driver": driver, "kvstore": kvstore, "metadata": self._metadata()}
        self._array = ts.open(spec, create=True, delete_existing=True).result()
        self._write_group()
        return 0

    def _metadata(self) -> dict[str, Any]:
        plan = self.plan
        shape = [plan.n_t if self._fixed else 0, plan.n_c, plan.n_z, plan.height, plan.width]
        if self._version == 2:
            return {
                "shape": shape,
                "chunks": self._chunk,
                "dtype": "<u2",
                "dimension_separator": "/",
                "compressor": {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1},
            }
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        zstd = {"name": "zstd", "configuration": {"level": 1}}
        codecs: list[dict[str, Any]] = [little, zstd] if self._compressed else [little]
        if self._shard:
            inner = {
                "chunk_shape": self._chunk,
                "codecs": codecs,
                "index_codecs": [little, {"name": "crc32c"}],
            }
            codecs = [{"name": "sharding_indexed", "configuration": inner}]
        grid = {"name": "regular", "configuration": {"chunk_shape": self._shard or self._chunk}}
        return {"shape": shape, "data_type": "uint16", "chunk_grid": grid, "codecs": codecs, "fill_value": 0}

    def _write_group(self) -> None:
        attributes = group_attributes(self.plan, self._version)
        if self._version == 3:
            group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            (self.path / "zarr.json").write_text(json.dumps(group))
        else:
            (self.path / ".zattrs").write_text(json.dumps(attributes))
            (self.path / ".zgroup").write_text('{"zarr_format": 2}')

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        t, _, c, z = index
        if t >= self._array.shape[0]:
            self._array = self._array.resize(exclusive_max=[t + 1, *self._array.shape[1:]]).result()
        self._array[t, c, z].write(pixels).result()
