"""As Squid writes: by the writers of our simulator, with our pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ndviewer_light.simulator.experiment import write_experiment_files
from ndviewer_light.simulator.ome_tiff_writer import OmeTiffs
from ndviewer_light.simulator.run import Run, WrittenPlane
from ndviewer_light.simulator.tiff_writer import ImageWriter
from ndviewer_light.simulator.zarr_writer import ZarrStores

from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan

_WRITERS: dict[str, Any] = {"images": ImageWriter, "ome_tiff": OmeTiffs}


class SquidWriter(Writer):
    """An experiment's folder in one of Squid's layouts; the number of time points is fixed, as in Squid."""

    def __init__(self, path: Path, plan: Plan, *, layout: str, compression: str = "fast") -> None:
        super().__init__(path, plan)
        self._run = Run(
            path,
            layout,
            regions=("A1",),
            fovs=(plan.n_p,),
            channels=tuple(plan.channels),
            n_t=plan.n_t,
            n_z=plan.n_z,
            height=plan.height,
            width=plan.width,
            dtype=plan.dtype,
            compression=compression,
        )
        self._writer = _WRITERS.get(layout, ZarrStores)(self._run)

    def begin(self) -> int:
        write_experiment_files(self._run)
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        t, p, c, z = index
        self._run.time_folder(t).mkdir(exist_ok=True)
        self._writer.begin(WrittenPlane(t, p, p, 0, z, self.plan.channels[c]), pixels)()

    def end(self) -> None:
        self._writer.complete(False)
        (self.path / ".done").touch()
