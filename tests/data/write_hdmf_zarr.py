"""NWB files in Zarr as hdmf-zarr writes them: a two-photon series with its imaging plane, and a camera's; the
same with the masks of three regions, as pictures, lists of pixels, and lists of voxels.

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


def lists(path: Path) -> None:
    """The regions of `masks` as lists of pixels; in a stack of such frames, as voxels at z 1 and 3."""
    file = NWBFile("test", "lists", datetime(2026, 1, 1, tzinfo=timezone.utc))
    plane = imaging_plane(file)
    photons = {"rate": 10.0, "unit": "n.a."}
    data = coded("txy", (2, 20, 12))
    file.add_acquisition(TwoPhotonSeries(name="two photon", data=data, imaging_plane=plane, **photons))
    other = imaging_plane(file, "Volume")
    stack = np.stack([data] * 5, -1)
    file.add_acquisition(TwoPhotonSeries(name="stack", data=stack, imaging_plane=other, **photons))
    segmentation = ImageSegmentation()
    file.create_processing_module("ophys", "").add(segmentation)
    make = segmentation.create_plane_segmentation
    cells = make(name="Cells", description="", imaging_plane=plane)
    somata = make(name="Somata", description="", imaging_plane=other)
    for i in range(3):
        pixels = [(x, y, 0.5) for x in range(4 * i, 4 * i + 3) for y in range(i, i + 5)]
        cells.add_roi(pixel_mask=pixels, id=7 + i)
        somata.add_roi(voxel_mask=[(x, y, z, w) for x, y, w in pixels for z in (1, 3)], id=i)
    with NWBZarrIO(str(path), mode="w") as io:
        io.write(file, cache_spec=False)


def imaging_plane(file: NWBFile, name: str = "ImagingPlane") -> ImagingPlane:
    """With 0.5 µm a pixel along x, and 0.25 µm along y."""
    channel = OpticalChannel(name="green", description="", emission_lambda=520.0)
    return file.create_imaging_plane(
        name=name,
        optical_channel=channel,
        description="",
        device=file.devices.get("microscope") or file.create_device("microscope"),
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
    keep("hdmf-zarr", "lists", lists, "lists.nwb.zarr")
