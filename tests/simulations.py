"""Small simulated runs, and what a finished one must hold on disk; for the tests of the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simulate_acquisition import Run, WrittenPlane

if TYPE_CHECKING:
    from collections.abc import Callable

TWO_CHANNELS = ("BF LED matrix full", "Fluorescence 488 nm Ex")


def small_run(folder: Path, **changes: Any) -> Run:
    """A run of 2 regions with 2 and 1 FOVs, 2 times, 2 channels, 2 z, 128×160 px, in a new folder."""
    values: dict[str, Any] = {"regions": ("A1", "B2"), "fovs": (2, 1), "channels": TWO_CHANNELS}
    values |= {"n_t": 2, "n_z": 2, "height": 128, "width": 160}
    return Run(folder / "experiment", **(values | changes))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def open_with_tensorstore(path: str | Path) -> Any:
    import tensorstore

    return tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}).result()


def open_with_zarr_python(path: str | Path) -> Any:
    zarr = pytest.importorskip("zarr", minversion="3")
    return zarr.open_array(str(path), mode="r")


def stored_plane(open_array: Callable[[Path], Any], run: Run, plane: WrittenPlane) -> np.ndarray:
    """The pixels in a store, found the way a viewer would: by the paths and indices the host announces."""
    c = run.channels.index(plane.channel)
    if run.layout == "6d":
        array = open_array(Path(run.region_paths[plane.region_idx]))
        return np.asarray(array[plane.local_fov, plane.t, c, plane.z])
    return np.asarray(open_array(Path(run.fov_paths[plane.fov]) / "0")[plane.t, c, plane.z])


def saved_plane(run: Run, plane: WrittenPlane) -> np.ndarray:
    """The pixels on disk, in any layout; in TIFF files found by what Squid's own readers go by."""
    if run.is_zarr:
        return stored_plane(open_with_tensorstore, run, plane)
    c = run.channels.index(plane.channel)
    if run.layout == "images":
        return read_image(run.image_path(plane))
    if run.layout == "ome_tiff":
        page = (plane.t * run.n_z + plane.z) * len(run.channels) + c
        return tifffile.imread(run.ome_tiff_path(plane), key=page)
    tags = [
        {"z_level": plane.z, "channel": plane.channel}.items() <= page.items() for page in pages(run, plane)
    ]
    assert tags.count(True) == 1
    return tifffile.imread(run.stack_path(plane), key=tags.index(True))


def read_image(path: Path) -> np.ndarray:
    if path.suffix in (".tif", ".tiff"):
        return tifffile.imread(path)
    with Image.open(path) as image:
        return np.asarray(image)


def pages(run: Run, plane: WrittenPlane) -> list[dict[str, Any]]:
    """What the pages of the plane's stack say of themselves."""
    with tifffile.TiffFile(run.stack_path(plane)) as file:
        return [json.loads(page.description) for page in file.pages]


EXPERIMENT_FILES = {
    ".done",
    "acquisition parameters.json",
    "acquisition.yaml",
    "acquisition_channels.yaml",
    "coordinates.csv",
    *(f"{t}/{name}" for t in "01" for name in (".done", "coordinates.csv")),
}


def below(folder: str, names: set[str]) -> set[str]:
    return {f"{folder}/{name}" for name in names}
