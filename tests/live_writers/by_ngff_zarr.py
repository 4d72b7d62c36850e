"""ngff-zarr: it cannot append, so the image is written anew with each time point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ngff_zarr as nz
import numpy as np

from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class NgffZarrWriter(Writer):
    """(T, Y, X), replaced as a whole."""

    def __init__(self, path: Path, plan: Plan) -> None:
        super().__init__(path, plan)
        self._planes: list[NDArray[Any]] = []

    def begin(self) -> int:
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        self._planes.append(pixels)
        image = nz.to_ngff_image(
            np.stack(self._planes), dims=["t", "y", "x"], scale={"t": 1.0, "y": 0.325, "x": 0.325}
        )
        chunks = {"t": 1, "y": self.plan.height, "x": self.plan.width}
        written = nz.to_multiscales(image, scale_factors=[], chunks=chunks)
        nz.to_ngff_zarr(str(self.path), written, version="0.5", overwrite=True)
