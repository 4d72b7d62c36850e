"""ome-writers: a stream of frames into OME-Zarr or OME-TIFF by one of its backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ome_writers as omew

from .plan import COLOURS, Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class OmeWritersWriter(Writer):
    """t without end (`fixed`: with one), p, z, c; `chunk_t` time points in a chunk."""

    def __init__(
        self,
        path: Path,
        plan: Plan,
        *,
        backend: str,
        chunk_t: int = 1,
        fixed: bool = False,
        metadata: str = "redundant",
    ) -> None:
        super().__init__(path, plan)
        self._backend, self._chunk_t, self._fixed, self._metadata = backend, chunk_t, fixed, metadata
        self._stream: Any = None

    def begin(self) -> int:
        plan = self.plan
        is_tiff = self._backend == "tifffile"
        pairs = zip(plan.channels, COLOURS, strict=False)
        dimensions = [
            omew.Dimension(
                name="t",
                count=plan.n_t if self._fixed else None,
                type="time",
                chunk_size=None if is_tiff else self._chunk_t,
            ),
            omew.Dimension(
                name="p", type="position", coords=[omew.Position(name=f"Pos{p}") for p in range(plan.n_p)]
            ),
            omew.Dimension(name="z", count=plan.n_z, type="space", unit="micrometer", scale=1.5),
            omew.Dimension(
                name="c",
                type="channel",
                coords=[omew.Channel(name=name, color=f"#{rgb}") for name, rgb in pairs],
            ),
            omew.Dimension(name="y", count=plan.height, type="space", unit="micrometer", scale=0.325),
            omew.Dimension(name="x", count=plan.width, type="space", unit="micrometer", scale=0.325),
        ]
        kind = (
            omew.OmeTiffFormat(backend="tifffile", multi_file_metadata=self._metadata)
            if is_tiff
            else omew.OmeZarrFormat(backend=self._backend)
        )
        settings = omew.AcquisitionSettings(
            root_path=str(self.path), dimensions=dimensions, dtype=plan.dtype, format=kind, overwrite=True
        )
        self._stream = omew.create_stream(settings)
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        self._stream.append(pixels)

    def end(self) -> None:
        self._stream.close()
