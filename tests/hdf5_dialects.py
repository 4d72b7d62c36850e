"""HDF5 files as the programs write them whose conventions are read: structures by the formats' documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_axistags(path: Path, data: np.ndarray, axes: str, **how: Any) -> Path:
    """As ilastik exports: the axes in the JSON of vigra's ``AxisTags.toJSON``."""
    flags = {"c": 1, "x": 2, "y": 2, "z": 2, "t": 8}
    tags = [{"key": key, "typeFlags": flags[key], "resolution": 0, "description": ""} for key in axes]
    with h5py.File(path, "w") as file:
        made = file.create_dataset("exported_data", data=data, **how)
        made.attrs["axistags"] = json.dumps({"axes": tags})
    return path


def write_mat73(path: Path, **variables: np.ndarray | str) -> Path:
    """As MATLAB's ``save -v7.3``: a user block, arrays in reverse axis order, a class for each variable."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                made = file.create_dataset(name, data=np.frombuffer(value.encode("utf-16-le"), "u2")[:, None])
                made.attrs["MATLAB_class"] = np.bytes_("char")
                continue
            stored = value.astype("u1") if value.dtype == bool else value
            made = file.create_dataset(name, data=stored.T)
            kinds = {"f8": "double", "f4": "single", "b1": "logical"}
            made.attrs["MATLAB_class"] = np.bytes_(kinds.get(value.dtype.str[1:], value.dtype.name))
        file.create_group("#refs#").create_dataset("a", data=np.zeros((2,), "u8")).attrs["MATLAB_empty"] = 1
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\0\0\2IM")
    return path


def write_nexus(
    path: Path, data: np.ndarray, axes: Sequence[str] = (), steps: Mapping[str, tuple[float, str]] = {}
) -> Path:
    """A NeXus file whose default leads to ``/scan/plot``; a larger array lies beside."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": "scan"})
        entry = file.create_group("scan")
        entry.attrs.update({"NX_class": "NXentry", "default": "plot"})
        detector = entry.create_group("instrument/detector")
        detector.create_dataset("flatfield", data=np.ones((max(data.size, 64), 20), "f4"))
        plot = entry.create_group("plot")
        plot.attrs.update({"NX_class": "NXdata", "signal": "counts"})
        plot.create_dataset("counts", data=data)
        if axes:
            plot.attrs["axes"] = list(axes)
        for name, (step, unit) in steps.items():
            n = data.shape[list(axes).index(name)]
            plot.create_dataset(name, data=np.arange(n) * step).attrs["units"] = unit
    return path


def write_emd(path: Path, data: np.ndarray, dims: Sequence[tuple[str, float, str]]) -> Path:
    """Berkeley's EMD 0.2: a group of type 1 with "data" and a dataset per axis; a larger array beside."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/stack")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=data)
        for i, (name, step, unit) in enumerate(dims):
            made = group.create_dataset(f"dim{i + 1}", data=np.arange(data.shape[i]) * step)
            made.attrs.update({"name": name, "units": unit})
        file.create_dataset("other/raw", data=np.zeros((*data.shape, 2)))
    return path


def write_velox(path: Path, frames: np.ndarray, pixel_m: float) -> Path:
    """Velox's EMD: `frames` (frame, y, x) are stored (y, x, frame), metadata as JSON in columns of bytes."""
    told = {"BinaryResult": {"PixelSize": {"width": str(pixel_m), "height": str(pixel_m)}}}
    told["BinaryResult"].update(PixelUnitX="m", PixelUnitY="m")
    column = np.zeros(5000, "u1")
    text = json.dumps(told).encode()
    column[: len(text)] = np.frombuffer(text, "u1")
    with h5py.File(path, "w") as file:
        group = file.create_group("Data/Image/0123456789abcdef")
        group.create_dataset("Data", data=np.moveaxis(frames, 0, -1), chunks=(*frames.shape[1:], 1))
        group.create_dataset("Metadata", data=np.repeat(column[:, None], len(frames), 1), chunks=(5000, 1))
    return path
