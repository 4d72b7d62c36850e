"""HDF5 and NWB files as other programs write them, and some that no honest program writes.

    python tests/hdf5_files.py append FILE swmr|latest|plain

appends planes to a file until it is killed; plane i holds i everywhere.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHAPE = (5, 37, 53)
GZIP = {"compression": "gzip", "shuffle": True}
IMAGING_PLANE = {
    "indicator": "GCaMP6f",
    "excitation_lambda": 920.0,
    "emission_lambda": 525.0,
    "grid_spacing": [1e-6, 2e-6, 5e-6],
    "unit": "meters",
}
"""What NWB says of the plane that a microscope scans."""


def volume(shape: Sequence[int] = SHAPE, dtype: Any = "u2", seed: int = 0) -> np.ndarray:
    """Noise with no two planes alike, in the range of `dtype`."""
    noise = np.random.default_rng(seed).standard_normal(shape) * 20 + 100
    return noise.astype(dtype)


def write(
    path: Path, data: np.ndarray | None = None, name: str = "a", *, libver: Any = None, **how: Any
) -> Path:
    """A file with one dataset."""
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset(name, data=volume() if data is None else data, **how)
    return path


def write_blocks(
    path: Path, shape: tuple[int, int, int], chunk: tuple[int, int, int], planes: Sequence[int]
) -> Path:
    """A dataset of which only some `planes` are written."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("a", shape, "u2", chunks=chunk, fillvalue=7, **GZIP)
        for i in planes:
            data[i] = volume(shape[1:], seed=i)
    return path


def write_raw_chunk(
    path: Path, data: np.ndarray, stored: bytes, filters: Sequence[tuple[int, tuple[int, ...]]], mask: int = 0
) -> Path:
    """A dataset of one chunk whose bytes are `stored`, whatever `filters` (number, values) say of them."""
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(data.shape)
        for number, values in filters:
            plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(file.id, b"a", h5py.h5t.py_create(data.dtype), space, plist)
        made.write_direct_chunk((0,) * data.ndim, stored, mask)
    return path


# ---- NWB -----------------------------------------------------------------------------------


def write_nwb(path: Path, **series: dict[str, Any]) -> Path:
    """An NWB file: its series by name, each with the arguments of `add_series`."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"neurodata_type": "NWBFile", "namespace": "core", "nwb_version": "2.7.0"})
        for group in (
            "acquisition",
            "processing",
            "stimulus/presentation",
            "general/optophysiology",
            "units",
        ):
            file.create_group(group)
        file["units"].create_dataset("spike_times", data=np.arange(4000.0).reshape(50, 80))
        for name, how in series.items():
            add_series(file, name, **how)
    return path


def add_series(
    file: h5py.File,
    name: str,
    *,
    data: np.ndarray | None = None,
    type: str = "TwoPhotonSeries",
    place: str = "acquisition",
    rate: float | None = None,
    timestamps: Sequence[float] | None = None,
    external: Sequence[str] = (),
    plane: dict[str, Any] | None = None,
    field_of_view: Sequence[float] | None = None,
    **how: Any,
) -> h5py.Group:
    """A series as pynwb lays it out: `data` is (frame, x, y[, z]); `plane` is what its imaging plane says."""
    group = file.create_group(f"{place}/{name}")
    group.attrs.update({"neurodata_type": type, "namespace": "core", "description": "d"})
    empty = np.empty((0,) * 3, "u1")
    made = group.create_dataset(
        "data", data=empty if data is None else data, **(how if data is not None else {})
    )
    made.attrs.update({"unit": "n.a.", "conversion": 1.0})
    if rate is not None:
        group.create_dataset("starting_time", data=0.0).attrs.update({"rate": rate, "unit": "seconds"})
    if timestamps is not None:
        group.create_dataset("timestamps", data=np.asarray(timestamps, float)).attrs["unit"] = "seconds"
    if external:
        group.create_dataset("external_file", data=list(external), dtype=h5py.string_dtype())
        group.create_dataset("format", data="external")
    if field_of_view is not None:
        group.create_dataset("field_of_view", data=np.asarray(field_of_view)).attrs["unit"] = "meters"
    if plane is not None:
        _add_plane(file, group, plane)
    return group


def _add_plane(file: h5py.File, series: h5py.Group, plane: dict[str, Any]) -> None:
    where = "general/optophysiology/" + plane.get("name", "ImagingPlane")
    if where not in file:
        group = file.create_group(where)
        group.attrs["neurodata_type"] = "ImagingPlane"
        group.create_dataset("indicator", data=plane["indicator"])
        group.create_dataset("excitation_lambda", data=plane["excitation_lambda"])
        group.create_dataset("grid_spacing", data=plane["grid_spacing"]).attrs["unit"] = plane["unit"]
        optical = group.create_group("OpticalChannel")
        optical.attrs["neurodata_type"] = "OpticalChannel"
        optical.create_dataset("emission_lambda", data=plane["emission_lambda"])
    series["imaging_plane"] = h5py.SoftLink("/" + where)


# ---- files that are being written ----------------------------------------------------------


def start_appending(path: Path, mode: str) -> subprocess.Popen[bytes]:
    """A program that appends planes of 64 × 64; twenty are there when this returns."""
    command = [sys.executable, __file__, "append", str(path), mode]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"twenty\n", "the writer has failed"
    return writer


def stop(writer: subprocess.Popen[bytes]) -> None:
    """Kill it, as a crash would."""
    writer.kill()
    writer.wait()
    assert writer.stdout is not None
    writer.stdout.close()


def _append(path: str, mode: str) -> None:
    with h5py.File(path, "w", libver=None if mode == "plain" else "latest") as file:
        data = file.create_dataset("a", (0, 64, 64), "u2", chunks=(1, 64, 64), maxshape=(None, 64, 64))
        data.dims[0].label = "t"
        data.dims[1].label = "y"
        data.dims[2].label = "x"
        if mode == "swmr":
            file.swmr_mode = True
        for i in range(60_000):
            data.resize(i + 1, axis=0)
            data[i] = i
            data.flush()
            if mode != "swmr":
                file.flush()
            if i == 20:
                sys.stdout.write("twenty\n")
                sys.stdout.flush()
            time.sleep(0.005)


if __name__ == "__main__":
    _append(*sys.argv[2:])


def with_masks_in_depth(path: Path) -> np.ndarray:
    """A series of stacks with two regions, one of weights below 1; returns the labels (z, y, x)."""
    plane = {"indicator": "GCaMP6f", "excitation_lambda": 920.0, "emission_lambda": 525.0}
    plane |= {"grid_spacing": [1e-6, 2e-6, 5e-6], "unit": "meters"}
    write_nwb(path, S={"data": volume((2, 24, 16, 6)), "rate": 1.0, "plane": plane})
    masks = np.zeros((2, 24, 16, 6), np.float32)
    masks[0, 2:8, 3:9, 1:3] = 0.4
    masks[1, 10:20, 2:12, 2:5] = 1
    with h5py.File(path, "a") as file:
        table = file.create_group("processing/ophys/ImageSegmentation/PlaneSegmentation")
        table.attrs["neurodata_type"] = "PlaneSegmentation"
        table["imaging_plane"] = h5py.SoftLink("/general/optophysiology/ImagingPlane")
        table.create_dataset("id", data=[7, 9])
        table.create_dataset("image_mask", data=masks)
    labels = np.zeros((6, 16, 24), np.uint16)
    for n, mask in enumerate(masks, 1):
        labels[mask.transpose(2, 1, 0) > 0] = n
    return labels
