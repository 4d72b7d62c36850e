"""NWB files in Zarr as hdmf-zarr writes them: a two-photon series with its imaging plane, and a camera's; the
same with the masks of three regions.

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
from pynwb.ophys import ImageSegmentation, OpticalChannel, TwoPhotonSeries

if TYPE_CHECKING:
    from pathlib import Path

    from pynwb.ophys import ImagingPlane


def masks(path: Path) -> None:
    """Frames (frame, x, y) of 20 × 12 with masks of three regions, and larger ones of a camera."""
    file = NWBFile("test", "masks", datetime(2026, 1, 1, tzinfo=timezone.utc))
    plane = imaging_plane(file)
    photons = {"imaging_plane": plane, "rate": 10.0, "unit": "n.a."}
    file.add_acquisition(TwoPhotonSeries(name="two photon", data=coded("txy", (2, 20, 12)), **photons))
    camera = (coded("txy", (2, 40, 30)) % 200).astype(np.uint8)
    file.add_acquisition(ImageSeries(name="camera", data=camera, rate=30.0, unit="n.a."))
    segmentation = ImageSegmentation()
    file.create_processing_module("ophys", "").add(segmentation)
    table = segmentation.create_plane_segmentation(name="Cells", description="", imaging_plane=plane)
    for i in range(3):
        mask = np.zeros((20, 12), np.float32)
        mask[4 * i : 4 * i + 3, i : i + 5] = 0.5  # rectangles of (x, y)
        table.add_roi(image_mask=mask, id=7 + i)
    with NWBZarrIO(str(path), mode="w") as io:
        io.write(file, cache_spec=False)


def imaging_plane(file: NWBFile) -> ImagingPlane:
    """With 0.5 µm a pixel along x, and 0.25 µm along y."""
    channel = OpticalChannel(name="green", description="", emission_lambda=520.0)
    return file.create_imaging_plane(
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


def series(path: Path) -> None:
    """Frames (frame, x, y): 4 of 20 × 12 µm at 10 Hz with 0.5 µm a pixel, and 4 of a camera at 30 Hz."""
    file = NWBFile("test", "series", datetime(2026, 1, 1, tzinfo=timezone.utc))
    plane = imaging_plane(file)
    pixels = coded("txy", (4, 20, 12))
    photons = {"imaging_plane": plane, "rate": 10.0, "unit": "n.a."}
    file.add_acquisition(TwoPhotonSeries(name="two photon", data=pixels, **photons))
    camera = (pixels[:, :8, :6] % 200).astype(np.uint8)
    file.add_acquisition(ImageSeries(name="camera", data=camera, rate=30.0, unit="n.a."))
    with NWBZarrIO(str(path), mode="w") as io:
        io.write(file, cache_spec=False)


if __name__ == "__main__":
    keep("hdmf-zarr", "series", series, "series.nwb.zarr")
    keep("hdmf-zarr", "masks", masks, "masks.nwb.zarr")
