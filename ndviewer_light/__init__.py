"""ndviewer_light: view n-dimensional microscopy data while it is being acquired, and afterwards.

Importing this package is cheap: no Qt, no ndv, no numpy. Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .colours import hex_to_colormap, wavelength_to_colormap
    from .core import (
        FPATTERN,
        FPATTERN_OME,
        MAX_3D_TEXTURE_SIZE,
        data_structure_changed,
        detect_format,
        discover_zarr_v3_fovs,
        extract_ome_physical_sizes,
        import_ahead,
        open_zarr_tensorstore,
        parse_zarr_v3_metadata,
        read_acquisition_parameters,
        read_tiff_pixel_size,
    )
    from .engine.dataset import Dataset
    from .engine.memory_bounded_lru import MemoryBoundedLRUCache
    from .errors import (
        AcquisitionConfigError,
        AcquisitionError,
        CorruptDataError,
        DatasetClosedError,
        DatasetError,
        DatasetGoneError,
        DatasetNotFoundError,
        DatasetPermissionError,
        DatasetReorderedError,
        DatasetReplacedError,
        LimitExceededError,
        MetadataError,
        NDViewerError,
        NotRegularFileError,
        OutOfMemoryError,
        OutOfResourcesError,
        PlaneNotStoredError,
        PlaneNotWrittenError,
        ReadDroppedError,
        ReaderCrashedError,
        ReadTimeoutError,
        UnsupportedError,
        UntrustedReferenceError,
    )
    from .gui.viewer import LightweightViewer
    from .gui.windows.launcher import LauncherWindow
    from .gui.windows.window import LightweightMainWindow
    from .model import Channel, DatasetInfo, ImageInfo, Level, Plane, PlaneKey, PlaneState, Position, Region
    from .opening import imread, open_dataset

__version__ = "0.3.0"

_HOME = {
    "AcquisitionConfigError": "errors",
    "AcquisitionError": "errors",
    "Channel": "model",
    "CorruptDataError": "errors",
    "Dataset": "engine.dataset",
    "DatasetClosedError": "errors",
    "DatasetError": "errors",
    "DatasetGoneError": "errors",
    "DatasetInfo": "model",
    "DatasetNotFoundError": "errors",
    "DatasetPermissionError": "errors",
    "DatasetReorderedError": "errors",
    "DatasetReplacedError": "errors",
    "FPATTERN": "core",
    "FPATTERN_OME": "core",
    "ImageInfo": "model",
    "LauncherWindow": "gui.windows.launcher",
    "Level": "model",
    "LightweightMainWindow": "gui.windows.window",
    "LightweightViewer": "core",
    "LimitExceededError": "errors",
    "MAX_3D_TEXTURE_SIZE": "core",
    "MemoryBoundedLRUCache": "engine.memory_bounded_lru",
    "MetadataError": "errors",
    "NDViewerError": "errors",
    "NotRegularFileError": "errors",
    "OutOfMemoryError": "errors",
    "OutOfResourcesError": "errors",
    "Plane": "model",
    "PlaneKey": "model",
    "PlaneNotStoredError": "errors",
    "PlaneNotWrittenError": "errors",
    "PlaneState": "model",
    "Position": "model",
    "ReadDroppedError": "errors",
    "ReadTimeoutError": "errors",
    "ReaderCrashedError": "errors",
    "Region": "model",
    "UnsupportedError": "errors",
    "UntrustedReferenceError": "errors",
    "data_structure_changed": "core",
    "detect_format": "core",
    "discover_zarr_v3_fovs": "core",
    "extract_ome_physical_sizes": "core",
    "hex_to_colormap": "colours",
    "import_ahead": "core",
    "imread": "opening",
    "open_dataset": "opening",
    "open_zarr_tensorstore": "core",
    "parse_zarr_v3_metadata": "core",
    "read_acquisition_parameters": "core",
    "read_tiff_pixel_size": "core",
    "wavelength_to_colormap": "colours",
}

__all__ = [
    "FPATTERN",
    "FPATTERN_OME",
    "MAX_3D_TEXTURE_SIZE",
    "AcquisitionConfigError",
    "AcquisitionError",
    "Channel",
    "CorruptDataError",
    "Dataset",
    "DatasetClosedError",
    "DatasetError",
    "DatasetGoneError",
    "DatasetInfo",
    "DatasetNotFoundError",
    "DatasetPermissionError",
    "DatasetReorderedError",
    "DatasetReplacedError",
    "ImageInfo",
    "LauncherWindow",
    "Level",
    "LightweightMainWindow",
    "LightweightViewer",
    "LimitExceededError",
    "MemoryBoundedLRUCache",
    "MetadataError",
    "NDViewerError",
    "NotRegularFileError",
    "OutOfMemoryError",
    "OutOfResourcesError",
    "Plane",
    "PlaneKey",
    "PlaneNotStoredError",
    "PlaneNotWrittenError",
    "PlaneState",
    "Position",
    "ReadDroppedError",
    "ReadTimeoutError",
    "ReaderCrashedError",
    "Region",
    "UnsupportedError",
    "UntrustedReferenceError",
    "__version__",
    "data_structure_changed",
    "detect_format",
    "discover_zarr_v3_fovs",
    "extract_ome_physical_sizes",
    "hex_to_colormap",
    "import_ahead",
    "imread",
    "open_dataset",
    "open_zarr_tensorstore",
    "parse_zarr_v3_metadata",
    "read_acquisition_parameters",
    "read_tiff_pixel_size",
    "wavelength_to_colormap",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value: Any = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
