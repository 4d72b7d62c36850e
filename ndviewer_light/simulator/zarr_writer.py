"""OME-Zarr stores as Squid writes them: OME-NGFF 0.5 in Zarr v3, one blocking write per plane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .run import (
    CHUNKS,
    COLOURS,
    COMPRESSIONS,
    excitation_nm,
    well_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .run import Run, WrittenPlane


class _Store:
    """One array of the run, written as Squid does: one blocking write per plane."""

    def __init__(self, run: Run, group: Path, prefix: tuple[int, ...]) -> None:
        """`prefix` is (FOV count,) for a 6-D array at `group` itself, () for a 5-D one at ``group/0``."""
        self.json = group / "zarr.json"
        self._array_path = group if prefix else group / "0"
        self._prefix = prefix
        self._run = run
        self._array = self._create_array()
        self._write_attributes()

    def _create_array(self) -> Any:
        import tensorstore

        run, leading = self._run, (*self._prefix, self._run.n_t)
        shape = [*leading, len(run.channels), run.n_z, run.height, run.width]
        inner = [*(1 for _ in leading), 1, 1, *run.chunk_shape]
        outer, codecs = inner, _codecs(run.compression, len(shape))
        if run.sharded:
            outer = [*(1 for _ in leading), len(run.channels), 1, run.height, run.width]
            codecs = [_sharding(inner, codecs)]
        metadata = {
            "shape": shape,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
            "chunk_key_encoding": {"name": "default"},
            "data_type": run.dtype,
            "codecs": codecs,
            "fill_value": 0,
        }
        kvstore = {"driver": "file", "path": str(self._array_path)}
        spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}
        return tensorstore.open(spec, create=True, delete_existing=True).result()

    def _write_attributes(self) -> None:
        attributes = _image_attributes(self._run, self._array_path.name, list(self._array.shape))
        if self._prefix:  # Squid rereads the array's own file and adds to it
            _write_json(self.json, {**json.loads(self.json.read_text()), "attributes": attributes})
        else:
            _write_group(self.json.parent, attributes)

    def write(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        """Store one plane; it is on disk when this returns."""
        fov = (plane.local_fov,) if self._prefix else ()
        index = (*fov, plane.t, self._run.channels.index(plane.channel), plane.z)
        self._array[index].write(pixels).result()

    def complete(self, aborted: bool) -> None:
        """Mark the acquisition complete, or aborted, in the metadata."""
        metadata = json.loads(self.json.read_text())
        metadata["attributes"]["_squid"] |= {"aborted": True} if aborted else {"acquisition_complete": True}
        _write_json(self.json, metadata)


def _codecs(compression: str, ndim: int) -> list[dict[str, Any]]:
    codecs = [
        {"name": "transpose", "configuration": {"order": list(reversed(range(ndim)))}},
        {"name": "bytes", "configuration": {"endian": "little"}},
    ]
    blosc = COMPRESSIONS[compression]
    return [*codecs, {"name": "blosc", "configuration": blosc}] if blosc else codecs


def _sharding(chunk_shape: list[int], codecs: list[dict[str, Any]]) -> dict[str, Any]:
    index_codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    configuration = {"chunk_shape": chunk_shape, "codecs": codecs, "index_codecs": index_codecs}
    return {"name": "sharding_indexed", "configuration": configuration}


def _image_attributes(run: Run, name: str, shape: list[int]) -> dict[str, Any]:
    """``ome`` and ``_squid`` of one store."""
    is_6d = len(shape) == 6
    z_step, time_step = (run.dz_um if run.n_z > 1 else None), ((run.dt_s or None) if run.n_t > 1 else None)
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}, *space]
    scale = [time_step or 1.0, 1.0, z_step or 1.0, run.pixel_size_um, run.pixel_size_um]
    if is_6d:
        axes, scale = [{"name": "fov", "type": "fov"}, *axes], [1.0, *scale]
    transformations = [{"type": "scale", "scale": scale}]
    multiscale = {
        "version": "0.5",
        "name": name,
        "axes": axes,
        "datasets": [{"path": "." if is_6d else "0", "coordinateTransformations": transformations}],
        "coordinateTransformations": [{"type": "identity"}],
    }
    channels = [_omero_channel(channel, np.dtype(run.dtype)) for channel in run.channels]
    omero = {"name": name, "version": "0.5", "channels": channels}
    squid = {
        "structure": "6D-FTCZYX" if is_6d else "5D-TCZYX",
        "pixel_size_um": run.pixel_size_um,
        "z_step_um": z_step,
        "time_increment_s": time_step,
        "chunk_mode": CHUNKS[run.chunks],
        "compression": run.compression,
        "shape": shape,
        "dtype": run.dtype,
        "is_hcs": not is_6d,  # Squid says so of every 5-D store
        "acquisition_complete": False,
    }
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": omero}, "_squid": squid}


def _omero_channel(name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    wavelength = excitation_nm(name)
    low, high = (0, int(np.iinfo(dtype).max)) if dtype.kind in "iu" else (0.0, 1.0)
    channel: dict[str, Any] = {"label": name, "active": True, "color": COLOURS.get(wavelength or 0, "FFFFFF")}
    if wavelength is not None:
        channel["emission_wavelength"] = {"value": wavelength, "unit": "nanometer"}
    return {**channel, "window": {"start": low, "end": high, "min": low, "max": high}}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2))  # in place and not atomic, as Squid does


def _write_group(folder: Path, attributes: dict[str, Any]) -> None:
    _write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _write_plate(run: Run) -> None:
    wells = [well_of(region) for region in run.regions]
    rows = sorted({row for row, _ in wells}, key=lambda row: (len(row), row))
    columns = sorted({column for _, column in wells}, key=int)
    entries = [
        {"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)}
        for row, column in wells
    ]
    plate: dict[str, Any] = {"version": "0.5", "name": "plate", "rows": [{"name": row} for row in rows]}
    plate |= {"columns": [{"name": column} for column in columns], "wells": entries}
    _write_group(run.folder / "plate.ome.zarr", {"ome": {"version": "0.5", "plate": plate}})


def _write_well(folder: Path, n_fovs: int) -> None:
    well = {"version": "0.5", "images": [{"path": str(i)} for i in range(n_fovs)]}
    _write_group(folder, {"ome": {"version": "0.5", "well": well}})


class ZarrStores:
    """The stores of a run, each created with its first plane."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stores: dict[int, _Store] = {}

    def begin(self, plane: WrittenPlane, pixels: NDArray[Any]) -> Callable[[], None]:
        """Write nothing yet: a chunk appears in one step."""
        return lambda: self._write(plane, pixels)

    def _write(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        number = plane.region_idx if self._run.layout == "6d" else plane.fov
        if number not in self._stores:
            self._stores[number] = self._create(plane)
        self._stores[number].write(plane, pixels)

    def _create(self, plane: WrittenPlane) -> _Store:
        run, n_fovs = self._run, self._run.fovs[plane.region_idx]
        if run.layout == "6d":
            return _Store(run, Path(run.region_paths[plane.region_idx]), (n_fovs,))
        store = _Store(run, Path(run.fov_paths[plane.fov]), ())
        if run.layout == "hcs" and not self._stores:
            _write_plate(run)
        if run.layout == "hcs" and plane.local_fov == 0:
            _write_well(store.json.parent.parent, n_fovs)
        return store

    def complete(self, aborted: bool) -> None:
        """Mark every store: the acquisition is over."""
        for store in self._stores.values():
            store.complete(aborted)
