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


# ---- images of many datasets -----------------------------------------------------------------------


def _characters(text: str) -> np.ndarray:
    """A text as Imaris writes it: an array of single characters."""
    return np.array([letter.encode("latin-1") for letter in text], "S1")


def write_imaris(path: Path, data: np.ndarray, *, block: int = 16, **info: str) -> Path:
    """`data` (t, c, z, y, x) in blocks, so padded, with a second level at half the sizes in y and x.

    Its voxels are 0.5, 0.25 and 2 µm; time points are 90 s apart. `info` replaces attributes of channel 1.
    """
    n_t, n_c, *sizes = data.shape
    with h5py.File(path, "w") as file:
        image = file.create_group("DataSetInfo/Image")
        extents = {f"ExtMin{i}": 10.0 for i in range(3)}
        extents |= {
            f"ExtMax{i}": 10.0 + n * step
            for i, (n, step) in enumerate(zip(reversed(sizes), (0.25, 0.5, 2), strict=True))
        }
        told = {**dict(zip("ZYX", sizes, strict=True)), **extents, "Unit": "um"}
        for name, value in told.items():
            image.attrs[name] = _characters(str(value))
        for c in range(n_c):
            color = {"Name": f"dye {c}", "Color": "0.000 1.000 0.000", "ColorRange": "10.000 200.000"}
            more = {"LSMEmissionWavelength": "525", "LSMExcitationWavelength": "488"}
            group = file.create_group(f"DataSetInfo/Channel {c}")
            for name, value in {**color, **more, **(info if c == 1 else {})}.items():
                group.attrs[name] = _characters(value)
        times = file.create_group("DataSetInfo/TimeInfo")
        for t in range(n_t):
            clock = f"2020-01-02 10:{t * 90 // 60:02}:{t * 90 % 60:02}.000"
            times.attrs[f"TimePoint{t + 1}"] = _characters(clock)
        for level, t, c in np.ndindex(2, n_t, n_c):
            stack = data[t, c, :, :: level + 1, :: level + 1]
            group = file.create_group(f"DataSet/ResolutionLevel {level}/TimePoint {t}/Channel {c}")
            padded = [(0, -n % block) for n in stack.shape]
            group.create_dataset("Data", data=np.pad(stack, padded), chunks=(block,) * 3, compression="gzip")
            for axis, n in zip("ZYX", stack.shape, strict=True):
                group.attrs[f"ImageSize{axis}"] = _characters(str(n))
        file.create_dataset("Thumbnail/Data", data=np.zeros((256, 1024), "u1"))
    return path


def write_bigdataviewer(
    path: Path, stacks: Mapping[tuple[int, int], np.ndarray], *, times: Sequence[int] = (0,), xml: bool = True
) -> Path:
    """`stacks` (time, z, y, x) uint16 by (tile, channel), stored as int16, with a level at half of y and x.

    Voxels are 0.5, 0.25 and 2 µm; tile i is at (100 i, 10 i, i) µm.
    """
    with h5py.File(path, "w") as file:
        for setup, stack in enumerate(stacks.values()):
            file[f"s{setup:02}/resolutions"] = np.array([[1, 1, 1], [2, 2, 1]], "f8")
            file[f"s{setup:02}/subdivisions"] = np.array([[16, 16, 16], [16, 16, 16]], "i4")
            for time, volume in zip(times, stack, strict=True):
                for level in range(2):
                    pixels = volume[:, :: level + 1, :: level + 1].view("i2")
                    file.create_dataset(
                        f"t{time:05}/s{setup:02}/{level}/cells", data=pixels, chunks=True, compression="gzip"
                    )
    if xml:
        path.with_suffix(".xml").write_text(_bdv_xml(path.name, stacks, times))
    return path


def _bdv_xml(name: str, stacks: Mapping[tuple[int, int], np.ndarray], times: Sequence[int]) -> str:
    setups, placed = "", ""
    for setup, ((tile, channel), stack) in enumerate(stacks.items()):
        z, y, x = stack.shape[1:]
        setups += f"""<ViewSetup><id>{setup}</id><name>view {setup}</name><size>{x} {y} {z}</size>
            <voxelSize><unit>um</unit><size>0.25 0.5 2.0</size></voxelSize>
            <attributes><illumination>0</illumination><channel>{channel}</channel><tile>{tile}</tile>
            <angle>0</angle></attributes></ViewSetup>"""
        for time in times:
            placed += f"""<ViewRegistration timepoint="{time}" setup="{setup}">
            <ViewTransform type="affine"><Name>tile</Name>
            <affine>1 0 0 {100 * tile} 0 1 0 {10 * tile} 0 0 1 {tile}</affine></ViewTransform>
            <ViewTransform type="affine"><Name>calibration</Name>
            <affine>0.25 0 0 0 0 0.5 0 0 0 0 2 0</affine></ViewTransform></ViewRegistration>"""
    channels = "".join(
        f"<Channel><id>{c}</id><name>dye {c}</name></Channel>" for c in sorted({c for _, c in stacks})
    )
    pattern = ", ".join(map(str, times))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
        <SpimData version="0.2"><BasePath type="relative">.</BasePath><SequenceDescription>
        <ImageLoader format="bdv.hdf5"><hdf5 type="relative">{name}</hdf5></ImageLoader>
        <ViewSetups>{setups}<Attributes name="channel">{channels}</Attributes></ViewSetups>
        <Timepoints type="pattern"><integerpattern>{pattern}</integerpattern></Timepoints>
        </SequenceDescription><ViewRegistrations>{placed}</ViewRegistrations></SpimData>"""


def write_eiger(folder: Path, frames: np.ndarray, per_file: int, *, virtual: bool = False) -> Path:
    """As a DECTRIS detector writes: a master with links to files of some frames, and its own flat field.

    `virtual`: a virtual dataset of the same files instead of the links.
    """
    starts = range(0, len(frames), per_file)
    for i, start in enumerate(starts, 1):
        with h5py.File(folder / f"scan_data_{i:06}.h5", "w") as file:
            part = frames[start : start + per_file]
            file.create_dataset(
                "entry/data/data", data=part, chunks=(1, *frames.shape[1:]), compression="gzip"
            )
    with h5py.File(folder / "scan_master.h5", "w", libver="latest" if virtual else None) as file:
        detector = file.create_group("entry/instrument/detector")
        detector.create_dataset("x_pixel_size", data=75e-6).attrs["units"] = "m"
        detector.create_dataset("y_pixel_size", data=75e-6).attrs["units"] = "m"
        detector.create_dataset("frame_time", data=0.01).attrs["units"] = "s"
        special = detector.create_group("detectorSpecific")
        special.create_dataset("flatfield", data=np.ones((200, 300), "f4"))
        special.create_dataset("pixel_mask", data=np.zeros((200, 300), "u4"))
        data = file.create_group("entry/data")
        data.attrs["NX_class"] = file["entry"].attrs["NX_class"] = "NXdata"
        file["entry"].attrs["NX_class"] = "NXentry"
        names = [f"scan_data_{i:06}.h5" for i, _ in enumerate(starts, 1)]
        if not virtual:
            for i, name in enumerate(names, 1):
                data[f"data_{i:06}"] = h5py.ExternalLink(name, "/entry/data/data")
            return folder / "scan_master.h5"
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        for name, start in zip(names, starts, strict=True):
            n = min(per_file, len(frames) - start)
            layout[start : start + n] = h5py.VirtualSource(name, "/entry/data/data", (n, *frames.shape[1:]))
        file.create_virtual_dataset("entry/data/data", layout)
        data.attrs["signal"] = "data"
    return folder / "scan_master.h5"


def write_groups(path: Path, data: np.ndarray, name: str, **how: Any) -> Path:
    """A dataset (z, y, x) for each time and channel of ``data[t, c]``, called ``name.format(t=…, c=…)``.

    With "t{t}/channel{c}" as Fiji's HDF5 plug-in writes them ("Save to HDF5 (new or replace)").
    """
    with h5py.File(path, "w") as file:
        for t, c in np.ndindex(*data.shape[:2]):
            made = file.create_dataset(name.format(t=t, c=c), data=data[t, c], **how)
            made.attrs["element_size_um"] = np.array([2.0, 0.5, 0.25])
    return path
