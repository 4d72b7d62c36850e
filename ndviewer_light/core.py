"""Names that hosts and scripts import from `ndviewer_light.core`; the implementation is elsewhere.

Importing this module imports next to nothing: what a name stands for is loaded when it is first used,
tensorstore when an array is opened.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from xarray import DataArray

    from .colours import extract_wavelength, hex_to_colormap, wavelength_to_colormap
    from .compat.zarr_functions import (
        discover_zarr_v3_fovs,
        open_zarr_tensorstore,
        parse_zarr_v3_metadata,
    )
    from .engine.cache import PLANE_CACHE_MAX_MEMORY_BYTES
    from .engine.memory_bounded_lru import MemoryBoundedLRUCache
    from .gui.viewer import LightweightViewer
    from .gui.windows.launcher import LauncherWindow
    from .gui.windows.window import LightweightMainWindow
    from .metadata.ome_xml import physical_sizes_um as extract_ome_physical_sizes
    from .metadata.squid import read_acquisition_parameters
    from .metadata.tiff_tags import read_tiff_pixel_size

    TIFF_EXTENSIONS: set[str]

LIVE_REFRESH_INTERVAL_MS = 750
SLIDER_PLAY_INTERVAL_MS = 100
ZARR_LOAD_DEBOUNCE_MS = 200
MAX_3D_TEXTURE_SIZE = 2048
CHANNEL_LABEL_UPDATE_MAX_RETRIES = 20
CHANNEL_LABEL_UPDATE_RETRY_DELAY_MS = 100

FPATTERN = re.compile(r"(?P<r>[^_]+)_(?P<f>\d+)_(?P<z>\d+)_(?P<c>.+)\.tiff?", re.IGNORECASE)
"""Squid's single TIFFs, ``<region>_<fov>_<z>_<channel>.tiff``; use with `search`."""
FPATTERN_OME = re.compile(r"(?P<r>[^_]+)_(?P<f>\d+)\.ome\.tiff?", re.IGNORECASE)
"""Squid's OME-TIFFs, ``<region>_<fov>.ome.tiff``; use with `search`."""

_HOME = {
    "LauncherWindow": "gui.windows.launcher",
    "LightweightMainWindow": "gui.windows.window",
    "LightweightViewer": "gui.viewer",
    "MemoryBoundedLRUCache": "engine.memory_bounded_lru",
    "PLANE_CACHE_MAX_MEMORY_BYTES": "engine.cache",
    "discover_zarr_v3_fovs": "compat.zarr_functions",
    "extract_ome_physical_sizes": "metadata.ome_xml:physical_sizes_um",
    "extract_wavelength": "colours",
    "hex_to_colormap": "colours",
    "open_zarr_tensorstore": "compat.zarr_functions",
    "parse_zarr_v3_metadata": "compat.zarr_functions",
    "read_acquisition_parameters": "metadata.squid",
    "read_tiff_pixel_size": "metadata.tiff_tags",
    "wavelength_to_colormap": "colours",
}
"""Modules, with the name there if it is another one."""

__all__ = [
    "CHANNEL_LABEL_UPDATE_MAX_RETRIES",
    "CHANNEL_LABEL_UPDATE_RETRY_DELAY_MS",
    "FPATTERN",
    "FPATTERN_OME",
    "LIVE_REFRESH_INTERVAL_MS",
    "MAX_3D_TEXTURE_SIZE",
    "PLANE_CACHE_MAX_MEMORY_BYTES",
    "SLIDER_PLAY_INTERVAL_MS",
    "TIFF_EXTENSIONS",
    "ZARR_LOAD_DEBOUNCE_MS",
    "LauncherWindow",
    "LightweightMainWindow",
    "LightweightViewer",
    "MemoryBoundedLRUCache",
    "data_structure_changed",
    "detect_format",
    "detect_zarr_version",
    "discover_zarr_v3_fovs",
    "extract_ome_physical_sizes",
    "extract_wavelength",
    "hex_to_colormap",
    "import_ahead",
    "main",
    "open_zarr_tensorstore",
    "parse_zarr_v3_metadata",
    "read_acquisition_parameters",
    "read_tiff_pixel_size",
    "wavelength_to_colormap",
]


def __getattr__(name: str) -> Any:
    value: Any
    if name == "TIFF_EXTENSIONS":
        from .storage.decoding.tiff_pages import TIFF_ENDS

        value = set(TIFF_ENDS)
    elif name in _HOME:
        if name == "LightweightViewer":  # a host may start a run in the moment in which it creates one
            from .gui import import_ahead

            import_ahead.import_widget()
        module, _, other_name = _HOME[name].partition(":")
        value = getattr(importlib.import_module(f".{module}", __package__), other_name or name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def import_ahead() -> None:
    """Import what `LightweightViewer` needs in a thread, so that a host's event loop goes on meanwhile.

    Returns at once and never raises. For hosts that import the widget while their event loop runs; call it
    in the GUI thread, once Qt has been imported, else it does nothing. Whoever imports the widget before it
    is done waits for what is left.
    """
    from .gui import import_ahead

    import_ahead.begin()


def main(dataset_path: str | None = None) -> NoReturn:
    """Show the dataset at `dataset_path`, or the launcher; exits the process when the last window closes."""
    from .__main__ import run

    sys.exit(run([dataset_path] if dataset_path else []))


def data_structure_changed(old: DataArray | None, new: DataArray) -> bool:
    """Whether a viewer built for `old` must be rebuilt for `new`.

    It must if dimensions, dtype, the number of channels, their names or their colours differ;
    growth along time, z, fov, y or x alone is not a structural change.
    """
    return old is None or _structure(old) != _structure(new)


def _structure(data: DataArray) -> tuple[object, ...]:
    attrs = data.attrs
    names = list(attrs.get("channel_names", []))
    return tuple(data.dims), data.dtype, data.sizes.get("channel", 0), names, attrs.get("luts", {})


def detect_zarr_version(path: str | os.PathLike[str]) -> int | None:
    """The Zarr version (3 or 2) of a group or array at `path` or ``path/0``, else None. Never raises."""
    for folder in (path, os.path.join(path, "0")):
        # os.path.exists, unlike Path.exists, never raises, whatever the path
        if os.path.exists(os.path.join(folder, "zarr.json")):
            return 3
        if any(os.path.exists(os.path.join(folder, name)) for name in (".zgroup", ".zarray")):
            return 2
    return None


def detect_format(base_path: str | os.PathLike[str]) -> str:
    """``"zarr_v3"`` (any Zarr version), ``"ome_tiff"`` or ``"single_tiff"`` (also for anything unknown).

    Looks at file names only. Raises `FileNotFoundError` if the folder does not exist.
    """
    from .model import natural_sorted

    base = Path(base_path)
    if _holds_zarr(base):
        return "zarr_v3"
    numbered = natural_sorted(entry.name for entry in base.iterdir() if entry.name.isdecimal())
    if any(_holds_ome_tiff(base / name) for name in ("ome_tiff", *numbered[:1])):
        return "ome_tiff"
    return "single_tiff"


def _holds_zarr(base: Path) -> bool:
    if any((base / name).exists() for name in ("plate.ome.zarr", "plate.zarr")):
        return True
    if detect_zarr_version(base) is not None:
        return True
    regions = base / "zarr"
    return regions.is_dir() and any(
        store.name.endswith(".zarr") and store.is_dir()
        for region in regions.iterdir()
        if region.is_dir() and not region.name.startswith(".")
        for store in region.iterdir()
    )


def _holds_ome_tiff(folder: Path) -> bool:
    from .storage.decoding.tiff_pages import TIFF_ENDS

    return folder.is_dir() and any(
        ".ome" in entry.name.lower() and entry.suffix.lower() in TIFF_ENDS for entry in folder.iterdir()
    )
