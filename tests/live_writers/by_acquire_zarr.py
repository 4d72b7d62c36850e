"""acquire-zarr: a stream of frames, of unknown length, into sharded zarr v3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import acquire_zarr as aqz
import numpy as np

from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class AcquireZarrWriter(Writer):
    """(T, C, Z, Y, X), T without end; `chunk_t` time points in a chunk, `shard_t` chunks in a shard."""

    def __init__(self, path: Path, plan: Plan, *, chunk_t: int = 1, shard_t: int = 1) -> None:
        super().__init__(path, plan)
        self._chunk_t, self._shard_t = chunk_t, shard_t
        self._stream: Any = None

    def begin(self) -> int:
        plan, kind = self.plan, aqz.DimensionType
        sizes = {"t": 0, "c": plan.n_c, "z": plan.n_z, "y": plan.height, "x": plan.width}
        chunks = {"t": self._chunk_t, "y": plan.height, "x": plan.width}
        dimensions = [
            aqz.Dimension(
                name=name,
                kind={"t": kind.TIME, "c": kind.CHANNEL}.get(name, kind.SPACE),
                array_size_px=size,
                chunk_size_px=chunks.get(name, 1),
                shard_size_chunks=self._shard_t if name == "t" else 1,
                unit=None if name in "tc" else "micrometer",
                scale={"z": 1.5, "y": 0.325, "x": 0.325}.get(name, 1.0),
            )
            for name, size in sizes.items()
        ]
        # frames come channel by channel, as in every run here, and acquire-zarr wants them in storage order
        compression = aqz.CompressionSettings(
            compressor=aqz.Compressor.BLOSC1, codec=aqz.CompressionCodec.BLOSC_LZ4, level=1, shuffle=1
        )
        array = aqz.ArraySettings(
            dimensions=dimensions, data_type=np.dtype(plan.dtype), compression=compression, is_ngff=True
        )
        self._stream = aqz.ZarrStream(
            aqz.StreamSettings(arrays=[array], store_path=str(self.path), overwrite=True)
        )
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        self._stream.append(pixels)

    def end(self) -> None:
        self._stream.close()
