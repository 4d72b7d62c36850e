"""One NWB file as pynwb writes it, references to it by lindi and kerchunk, and the same by hdmf-zarr.

    pip install pynwb==4.2.0 hdmf-zarr==0.13.0                  (in one environment)
    pip install pynwb==4.2.0 lindi==0.4.6 kerchunk==0.2.7       (in another: these need zarr 2)
    python tests/data/write_nwb_carriers.py zarr
    python tests/data/write_nwb_carriers.py references

The first writes ``nwb/all.nwb`` and ``nwb/all.nwb.zip``, the second reads that file.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
from coded import coded, keep

HERE = Path(__file__).parent / "nwb"
FILE = HERE / "all.nwb"


def write(path: Path) -> None:
    """Series of all kinds, single images, and masks of all kinds."""
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.base import Images, TimeSeries
    from pynwb.image import GrayscaleImage, ImageSeries, OpticalSeries, RGBAImage, RGBImage
    from pynwb.ophys import (
        CorrectedImageStack,
        ImageSegmentation,
        ImagingPlane,
        MotionCorrection,
        OnePhotonSeries,
        OpticalChannel,
        TwoPhotonSeries,
    )

    file = NWBFile("test", "carriers", datetime(2026, 1, 1, tzinfo=timezone.utc))
    device = file.create_device("microscope")

    def plane(
        name: str, indicator: str, emission_nm: float, spacing: list[float] | None, unit: str = "meters"
    ) -> ImagingPlane:
        channel = OpticalChannel(name="green", description="", emission_lambda=emission_nm)
        grid = {} if spacing is None else {"grid_spacing": spacing, "grid_spacing_unit": unit}
        return file.create_imaging_plane(
            name=name,
            optical_channel=channel,
            description="",
            device=device,
            excitation_lambda=920.0,
            indicator=indicator,
            location="V1",
            **grid,
        )

    flat = plane("Flat", "GCaMP6f", 520.0, [5e-7, 2.5e-7])
    deep = plane("Deep", "jRGECO1a", 610.0, [500.0, 250.0, 2000.0], "nanometers")
    unknown = plane("Unknown", "unknown", 500.0, None)
    photons = TwoPhotonSeries(
        name="photons",
        data=coded("txy", (6, 20, 12)),
        imaging_plane=flat,
        rate=10.0,
        starting_time=2.0,
        unit="n.a.",
    )
    file.add_acquisition(photons)
    file.add_acquisition(
        TwoPhotonSeries(
            name="stack",
            data=coded("txyz".replace("z", "c"), (2, 20, 12, 5)),
            imaging_plane=deep,
            timestamps=[1.0, 1.5],
            unit="n.a.",
        )
    )
    file.add_acquisition(
        OnePhotonSeries(
            name="wide",
            data=coded("txy", (3, 16, 10)),
            imaging_plane=unknown,
            rate=2.0,
            unit="n.a.",
        )
    )
    file.add_acquisition(
        TwoPhotonSeries(
            name="seen",
            data=coded("txy", (2, 16, 8)),
            imaging_plane=unknown,
            field_of_view=[16e-6, 16e-6],
            timestamps=photons.timestamps or [0.0, 0.1],
            unit="n.a.",
        )
    )
    film = (coded("txyc", (3, 8, 6, 3)) % 251).astype(np.uint8)
    timed = ImageSeries(name="film", data=film, timestamps=[0.0, 0.1, 0.5], unit="n.a.")
    file.add_acquisition(timed)
    camera = (coded("txy", (3, 10, 7)) % 251).astype(np.uint8)
    file.add_acquisition(ImageSeries(name="camera", data=camera, timestamps=timed, unit="n.a."))
    file.add_acquisition(
        ImageSeries(
            name="video",
            external_file=["a.avi"],
            format="external",
            timestamps=[0.0, 1.0],
            starting_frame=[0],
            unit="n.a.",
        )
    )
    file.add_stimulus(
        OpticalSeries(
            name="shown",
            data=(coded("txy", (2, 5, 4)) % 251).astype(np.uint8),
            rate=1.0,
            unit="n.a.",
            distance=0.2,
            field_of_view=[0.5, 0.4],
            orientation="lower left",
        )
    )
    snapshots = [
        GrayscaleImage(name="mean", data=coded("xy", (20, 12)).astype(np.float32), resolution=20000.0),
        RGBImage(name="slide", data=(coded("xyc", (9, 6, 3)) % 251).astype(np.uint8)),
        RGBAImage(name="drawn", data=(coded("xyc", (9, 5, 4)) % 251).astype(np.uint8)),
    ]
    file.add_acquisition(Images(name="snapshots", images=snapshots))
    ophys = file.create_processing_module("ophys", "")
    corrected = ImageSeries(name="corrected", data=coded("txy", (6, 18, 12)) + 7, rate=10.0, unit="n.a.")
    moved = TimeSeries(name="xy_translation", data=np.zeros((6, 2)), rate=10.0, unit="pixels")
    ophys.add(
        MotionCorrection(
            corrected_image_stacks=[
                CorrectedImageStack(corrected=corrected, original=photons, xy_translation=moved)
            ]
        )
    )
    segmentation = ImageSegmentation()
    ophys.add(segmentation)
    make = partial(segmentation.create_plane_segmentation, description="")
    cells, pixels = make(name="Cells", imaging_plane=flat), make(name="Listed", imaging_plane=flat)
    somata = make(name="Somata", imaging_plane=deep)
    for i in range(3):
        mask = np.zeros((20, 12), np.float32)
        mask[4 * i : 4 * i + 3, i : i + 5] = 0.5
        listed = [(x, y, 0.5) for x in range(4 * i, 4 * i + 3) for y in range(i, i + 5)]
        cells.add_roi(image_mask=mask, id=7 + i)
        pixels.add_roi(pixel_mask=listed, id=17 + i)
        somata.add_roi(voxel_mask=[(x, y, z, w) for x, y, w in listed for z in (1, 3)], id=27 + i)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file, cache_spec=False)


def export(path: Path) -> None:
    from hdmf_zarr.nwb import NWBZarrIO
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(FILE), "r") as original, NWBZarrIO(str(path), mode="w") as io:
        io.export(src_io=original, write_args={"link_data": False})
    shutil.rmtree(path / "specifications")  # half of all bytes
    listed = path / ".zmetadata"
    document = json.loads(listed.read_text())
    kept = {key: said for key, said in document["metadata"].items() if not key.startswith("specifications")}
    listed.write_text(json.dumps({**document, "metadata": kept}))


def references() -> None:
    import kerchunk.hdf
    import lindi

    file = lindi.LindiH5pyFile.from_hdf5_file(str(FILE), url="all.nwb")
    file.write_lindi_file(str(HERE / "all.lindi.json"))
    found = kerchunk.hdf.SingleHdf5ToZarr(str(FILE), url="all.nwb").translate()
    (HERE / "all.kerchunk.json").write_text(json.dumps(found).replace(str(FILE), "all.nwb"))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    if sys.argv.pop() == "zarr":
        write(FILE)
        keep("nwb", "all", export, "all.nwb.zarr")
    else:
        references()
