"""An NWB file in Zarr as hdmf-zarr writes it: a two-photon series with its imaging plane, and a camera's.

pip install hdmf-zarr==0.13.0 pynwb==4.2.0
python tests/data/write_hdmf_zarr.py
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
from coded import coded, keep
from hdmf_zarr.nwb import NWBZarrIO
from pynwb import NWBFile
from pynwb.image import ImageSeries
from pynwb.ophys import OpticalChannel, TwoPhotonSeries

if TYPE_CHECKING:
    from pathlib import Path


def series(path: Path) -> None:
    """Frames (frame, x, y): 4 of 20 × 12 µm at 10 Hz with 0.5 µm a pixel, and 4 of a camera at 30 Hz."""
    file = NWBFile("test", "series", datetime(2026, 1, 1, tzinfo=timezone.utc))
    channel = OpticalChannel(name="green", description="", emission_lambda=520.0)
    plane = file.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=channel,
        description="",
        device=file.create_device("microscope"),
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
        grid_spacing=[5e-7, 2.5e-7],
        grid_spacing_unit="meters",
    )
    pixels = coded("txy", (4, 20, 12))
    photons = {"imaging_plane": plane, "rate": 10.0, "unit": "n.a."}
    file.add_acquisition(TwoPhotonSeries(name="two photon", data=pixels, **photons))
    camera = (pixels[:, :8, :6] % 200).astype(np.uint8)
    file.add_acquisition(ImageSeries(name="camera", data=camera, rate=30.0, unit="n.a."))
    with NWBZarrIO(str(path), mode="w") as io:
        io.write(file, cache_spec=False)


if __name__ == "__main__":
    keep("hdmf-zarr", "series", series, "series.nwb.zarr")
