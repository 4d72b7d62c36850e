"""The files Squid writes beside the images: parameters, channels, coordinates, completion markers."""

from __future__ import annotations

import json
import math
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from .run import well_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .run import Run, WrittenPlane


def stage_mm(run: Run, plane: WrittenPlane) -> tuple[float, float, float]:
    """Stage x, y, z in mm: wells 9 mm apart, the FOVs of a region on a square grid with some overlap."""
    across = math.ceil(math.sqrt(run.fovs[plane.region_idx]))
    row, column = divmod(plane.local_fov, across)
    well_x, well_y = 9.0 * (plane.region_idx + 1), 9.0
    if run.is_plate:
        letters, digits = well_of(run.regions[plane.region_idx])
        row_number = sum((ord(letter) - 64) * 26**i for i, letter in enumerate(letters[::-1]))
        well_x, well_y = 9.0 * int(digits), 9.0 * row_number
    step = 0.9e-3 * run.pixel_size_um
    z_mm = 3.0 + 1e-3 * run.dz_um * plane.z
    return round(well_x + column * run.width * step, 6), round(well_y + row * run.height * step, 6), z_mm


def write_experiment_files(run: Run) -> None:
    """Write everything Squid puts into the experiment folder before the first plane."""
    run.folder.mkdir(parents=True, exist_ok=True)
    magnification, tube_lens = 20.0, 180.0
    objective = {"magnification": magnification, "NA": 0.8, "tube_lens_f_mm": tube_lens, "name": "20x"}
    step_um = (run.dz_um or 1.0) if run.n_z > 1 else 1.0
    parameters: dict[str, Any] = {
        "dx(mm)": 0.9,
        "Nx": 1,
        "dy(mm)": 0.9,
        "Ny": 1,
        "dz(um)": step_um,
        "Nz": run.n_z,
    }
    parameters |= {"dt(s)": run.dt_s, "Nt": run.n_t, "with AF": False, "with reflection AF": False}
    parameters |= {"with manual focus map": False, "objective": objective}
    parameters |= {"sensor_pixel_size_um": run.pixel_size_um * magnification, "tube_lens_mm": tube_lens}
    parameters |= {"confocal_mode": False}
    (run.folder / "acquisition parameters.json").write_text(json.dumps(parameters))
    lines = [f"  - name: {json.dumps(channel)}" for channel in run.channels]
    (run.folder / "acquisition_channels.yaml").write_text("\n".join(["version: 1", "channels:", *lines, ""]))
    xy_mode = "Select Wells" if run.is_plate else "Current Position"
    (run.folder / "acquisition.yaml").write_text(f"acquisition:\n  xy_mode: {xy_mode}\n")
    planes = islice(run.planes(), run.planes_per_t)  # of one time point
    first = [plane for plane in planes if (plane.z, plane.channel) == (0, run.channels[0])]
    rows = [(run.regions[plane.region_idx], *stage_mm(run, plane)) for plane in first]
    _write_table(run.folder / "coordinates.csv", "region,x (mm),y (mm),z (mm)", rows)


def write_timepoint(run: Run, folder: Path, planes: list[WrittenPlane]) -> None:
    """Write what Squid adds at the end of a time point: the position of each FOV, and a ``.done`` marker."""
    rows: list[tuple[object, ...]] = []
    for plane in planes:
        if plane.channel == run.channels[0]:
            x, y, z = stage_mm(run, plane)
            when = time.strftime("%Y-%m-%d_%H-%M-%S.000000")
            region, z_um = run.regions[plane.region_idx], round(z * 1000, 3)
            rows.append((region, plane.local_fov, plane.z, x, y, z_um, when))
    _write_table(folder / "coordinates.csv", "region,fov,z_level,x (mm),y (mm),z (um),time", rows)
    (folder / ".done").touch()


def _write_table(path: Path, header: str, rows: Sequence[tuple[object, ...]]) -> None:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))
