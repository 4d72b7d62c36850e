"""``xarray.open_dataset(path, engine="ndviewer_light")``: any supported dataset as a lazy xarray dataset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from ..engine.to_xarray import LazyPlanes

VARIABLE = "image"
"""The name of the only variable, dims (time, fov, z, channel, y, x)."""
_OURS = (".nd2",)  # no other xarray engine opens them


class _PlanesArray(BackendArray):
    """Planes read when indexed."""

    def __init__(self, planes: LazyPlanes) -> None:
        self.planes = planes
        self.shape = planes.shape
        self.dtype = planes.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        return self.planes[key]


class NDViewerBackendEntrypoint(BackendEntrypoint):
    """Opens OME-Zarr, TIFF, ND2, HDF5, NWB, references and folders of images, local or remote."""

    description = "Open microscopy data (OME-Zarr, TIFF, ND2, HDF5, NWB, images) with ndviewer_light"
    open_dataset_parameters = (
        "filename_or_obj",
        "drop_variables",
        "level",
        "missing",
        "position",
        "storage_options",
    )

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        level: int = 0,
        missing: str = "raise",
        position: int | str | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> xr.Dataset:
        """Open a path or URL, reading its metadata; planes are read when they are needed.

        `level` is the pyramid level; `position` (index or label) chooses one position, which is necessary
        where they differ (raises `ValueError` else); `missing` decides about planes that are not stored and
        do not count as the fill value: "raise" or "fill". The dataset has one variable, "image", and is
        closed with ``close()``.
        """
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            raise TypeError(f"expected a path or URL, not {type(filename_or_obj).__name__}")
        from ..engine.to_xarray import DIMS, groups_of, lazy_planes, looked_at
        from ..opening import open_dataset

        dataset = open_dataset(filename_or_obj, storage_options=storage_options)
        try:
            groups = groups_of(dataset) if position is None else {}
            if len(groups) > 1:
                raise ValueError(
                    f"{dataset.path} contains {len(groups)} kinds of images, of different sizes or channels: "
                    f"choose one position, for example position={list(groups)[1]!r}"
                )
            chosen = next(iter(groups.values())) if position is None else [looked_at(dataset, position)]
            planes, coords, attrs = lazy_planes(dataset, level, missing, chosen)
        except BaseException:
            dataset.close()
            raise
        image = xr.Variable(DIMS, indexing.LazilyIndexedArray(_PlanesArray(planes)), attrs)
        image.encoding["preferred_chunks"] = dict(zip(DIMS, (1, 1, 1, 1, *planes.shape[4:]), strict=True))
        found = xr.Dataset({VARIABLE: image}, coords, {"name": dataset.info.name})
        found.set_close(dataset.close)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        kept: xr.Dataset = found.drop_vars(dropped, errors="ignore")
        return kept

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Only formats that no other engine opens; otherwise the engine must be named."""
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        return os.fspath(filename_or_obj).lower().endswith(_OURS)
