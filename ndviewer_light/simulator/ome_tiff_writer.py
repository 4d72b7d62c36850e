"""OME-TIFF as Squid writes it: one file per FOV for the whole run, created at full size and filled in place.

While a file is being filled, a second one in the temporary folder lists the planes written so far; when all
are, the metadata of the OME-TIFF is rewritten and the second file is removed. If planes are missing, Squid
leaves it there, and so do we.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .experiment import stage_mm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .run import Run, WrittenPlane

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def progress_path(run: Run, plane: WrittenPlane) -> Path:
    """Where Squid lists the planes already written to this plane's OME-TIFF, until it is complete."""
    base_name = run.ome_tiff_path(plane).name.removesuffix(".ome.tiff")
    digest = hashlib.sha1(f"{run.folder}:{base_name}".encode(), usedforsecurity=False).hexdigest()
    return Path(tempfile.gettempdir()) / f"squid_ome_{digest}_metadata.json"


class OmeTiffs:
    """The OME-TIFFs of a run, each created with its first plane."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._progress: dict[int, dict[str, Any]] = {}  # by FOV

    def begin(self, plane: WrittenPlane, pixels: NDArray[Any]) -> Callable[[], None]:
        """Write the upper half of the plane into its file."""
        if plane.fov not in self._progress:
            self._progress[plane.fov] = self._create(plane)
        half = self._run.height // 2
        self._fill(plane, pixels, 0, half)

        def finish() -> None:
            self._fill(plane, pixels, half, self._run.height)
            self._note(plane)

        return finish

    def complete(self, aborted: bool) -> None:
        """Each file is completed with its last plane."""

    def _create(self, plane: WrittenPlane) -> dict[str, Any]:
        import tifffile

        path, progress = self._run.ome_tiff_path(plane), _new_progress(self._run)
        path.parent.mkdir(exist_ok=True)
        metadata = {"axes": "TZCYX", "Channel": {"Name": progress["channel_names"]}, **_ome_sizes(progress)}
        tifffile.imwrite(
            path,
            shape=progress["shape"],
            dtype=self._run.dtype,
            metadata=metadata,
            ome=True,
            photometric="minisblack",
        )
        progress_path(self._run, plane).with_suffix(".json.lock").touch()
        return progress

    def _fill(self, plane: WrittenPlane, pixels: NDArray[Any], begin: int, end: int) -> None:
        import tifffile

        path, shape = self._run.ome_tiff_path(plane), self._progress[plane.fov]["shape"]
        stack = tifffile.memmap(path, dtype=np.dtype(self._run.dtype), mode="r+").reshape(shape)
        c = self._run.channels.index(plane.channel)
        stack[plane.t, plane.z, c, begin:end] = pixels[begin:end]
        stack.flush()

    def _note(self, plane: WrittenPlane) -> None:
        progress, path = self._progress[plane.fov], progress_path(self._run, plane)
        key = f"{plane.t}-{self._run.channels.index(plane.channel)}-{plane.z}"
        progress["planes"][key] = _plane_attributes(self._run, plane, progress["start_time"])
        progress["written_indices"].append(key)
        progress["saved_count"] = len(progress["written_indices"])
        progress["completed"] = progress["saved_count"] >= progress["expected_count"]
        path.write_text(json.dumps(progress))
        if progress["completed"]:
            _describe(self._run.ome_tiff_path(plane), progress)
            path.unlink()
            path.with_suffix(".json.lock").unlink()


def _new_progress(run: Run) -> dict[str, Any]:
    shape = [run.n_t, run.n_z, len(run.channels), run.height, run.width]
    time_step = run.dt_s if run.n_t > 1 and run.dt_s else None
    lengths = {"z": run.dz_um if run.n_z > 1 else None, "x": run.pixel_size_um, "y": run.pixel_size_um}
    progress = {
        "dtype": np.dtype(run.dtype).str,
        "axes": "TZCYX",
        "shape": shape,
        "channel_names": list(run.channels),
        "written_indices": [],
        "saved_count": 0,
        "expected_count": shape[0] * shape[1] * shape[2],
        "planes": {},
        "start_time": time.time(),
        "completed": False,
        "time_increment": time_step,
        "time_increment_unit": None if time_step is None else "s",
    }
    for axis, length in lengths.items():
        progress[f"physical_size_{axis}"] = length
        progress[f"physical_size_{axis}_unit"] = None if length is None else "µm"
    return progress


def _ome_sizes(progress: dict[str, Any]) -> dict[str, Any]:
    """The known physical sizes and time step, as attributes of ``Pixels``."""
    names = {f"PhysicalSize{axis}": f"physical_size_{axis.lower()}" for axis in "XYZ"}
    names["TimeIncrement"] = "time_increment"
    known = {ome: name for ome, name in names.items() if progress[name] is not None}
    units = {f"{ome}Unit": progress[f"{name}_unit"] for ome, name in known.items()}
    return {**{ome: progress[name] for ome, name in known.items()}, **units}


def _plane_attributes(run: Run, plane: WrittenPlane, start: float) -> dict[str, Any]:
    x, y, z = stage_mm(run, plane)
    return {
        "TheT": plane.t,
        "TheZ": plane.z,
        "TheC": run.channels.index(plane.channel),
        "PositionX": x,
        "PositionXUnit": "mm",
        "PositionY": y,
        "PositionYUnit": "mm",
        "DeltaT": time.time() - start,
        "PositionZ": round(z * 1000, 3),
        "PositionZUnit": "µm",
    }


def _describe(path: Path, progress: dict[str, Any]) -> None:
    """Write the OME-XML of a complete file: the acquisition date and the position of each plane."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        root = ET.fromstring(file.ome_metadata)
    ET.register_namespace("", _NAMESPACE)
    image = root.find(f"{{{_NAMESPACE}}}Image")
    pixels = root.find(f".//{{{_NAMESPACE}}}Pixels")
    assert image is not None
    assert pixels is not None
    image.set("AcquisitionDate", time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(progress["start_time"])))
    for name, value in _ome_sizes(progress).items():
        pixels.set(name, str(value))
    planes = sorted(
        progress["planes"].values(), key=lambda plane: (plane["TheT"], plane["TheC"], plane["TheZ"])
    )
    for plane in planes:
        attributes = {name: str(value) for name, value in plane.items()}
        ET.SubElement(pixels, f"{{{_NAMESPACE}}}Plane", attributes)
    tifffile.tiffcomment(
        path, ('<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, "unicode")).encode()
    )
