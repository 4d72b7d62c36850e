"""Datasets of many small planes that grow by one whenever asked, of every kind that is followed."""

from __future__ import annotations

import io
import json
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ndviewer_light.model import PlaneKey

from . import stores

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 16  # px
_PER_TIME = 1000


class GrowingDataset(ABC):
    """`n` planes at `path`; `add` adds one more and returns its address."""

    def __init__(self, folder: Path, n: int) -> None:
        self.folder = folder
        self.n = n
        folder.mkdir(parents=True)
        self.create()

    @property
    def path(self) -> Path:
        """What is opened."""
        return self.folder

    @abstractmethod
    def create(self) -> None:
        """Write the first `n` planes."""

    @abstractmethod
    def add(self) -> PlaneKey:
        """Write another one."""


class FolderOfImages(GrowingDataset):
    """One PNG for each time point, all in one folder."""

    def create(self) -> None:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(np.ones((_SIZE, _SIZE), np.uint8)).save(buffer, "png")
        self._data = buffer.getvalue()
        for t in range(self.n):
            self._write(t)

    def _write(self, t: int) -> None:
        (self.folder / f"img_t{t:06d}.png").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        return PlaneKey(t=self.n - 1)


class FoldersOfImages(FolderOfImages):
    """The same with a folder for every 1,000 planes, each a time point of positions."""

    def _write(self, t: int) -> None:
        folder = self.folder / f"t{t // _PER_TIME:03d}"
        folder.mkdir(exist_ok=True)
        (folder / f"pos{t % _PER_TIME:04d}.png").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        return PlaneKey(t=(self.n - 1) // _PER_TIME, p=(self.n - 1) % _PER_TIME)


class SquidImages(GrowingDataset):
    """Squid's images: a folder for each time point of 1,000 fields."""

    per_time = _PER_TIME

    def create(self) -> None:
        import tifffile

        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.ones((_SIZE, _SIZE), np.uint16))
        self._data = buffer.getvalue()
        (self.folder / "acquisition parameters.json").write_text("{}")
        (self.folder / "coordinates.csv").write_text("region,x (mm),y (mm)\n")
        for i in range(self.n):
            self._write(i)

    def _write(self, i: int) -> None:
        folder = self.folder / str(i // self.per_time)
        folder.mkdir(exist_ok=True)
        (folder / f"A1_{i % self.per_time}_0_DAPI.tiff").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        return PlaneKey(t=(self.n - 1) // self.per_time, p=(self.n - 1) % self.per_time)


class SquidImagesOfOneTime(SquidImages):
    """The same with all fields at one time point, in one folder."""

    per_time = 10**9


class SquidOmeTiffs(GrowingDataset):
    """Squid's OME-TIFFs, one file for each field."""

    def create(self) -> None:
        import tifffile

        buffer = io.BytesIO()
        data = np.ones((2, 1, _SIZE, _SIZE), np.uint16)
        tifffile.imwrite(buffer, data, ome=True, metadata={"axes": "TCYX"})
        self._data = buffer.getvalue()
        (self.folder / "acquisition parameters.json").write_text("{}")
        (self.folder / "ome_tiff").mkdir()
        for i in range(self.n):
            self._write(i)

    def _write(self, i: int) -> None:
        (self.folder / "ome_tiff" / f"A1_{i}.ome.tiff").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        return PlaneKey(p=self.n - 1)


class ZarrImage(GrowingDataset):
    """One OME-Zarr image to which time points are added, all chunks in one folder."""

    def create(self) -> None:
        self._data = np.ones((_SIZE, _SIZE), "<u2").tobytes()
        stores.write_group(self.path, stores.image_attributes((1, 1)))
        self._write_shape()
        for t in range(self.n):
            self._write(t)

    @property
    def path(self) -> Path:
        return self.folder / "a.zarr"

    def _write_shape(self) -> None:
        document = stores.array_metadata((self.n, 1, 1, _SIZE, _SIZE), "none", transposed=True)
        document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "."}}
        stores.write_json(self.path / "0", document)

    def _write(self, t: int) -> None:
        (self.path / "0" / f"c.{t}.0.0.0.0").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        self._write_shape()
        return PlaneKey(t=self.n - 1)


class ZarrFields(GrowingDataset):
    """Squid's OME-Zarr, a store for each field, each of 50 planes; another one is added."""

    planes_each = 50

    def create(self) -> None:
        self._shape = (self.planes_each, 1, 1, _SIZE, _SIZE)
        self._data = np.ones((_SIZE, _SIZE), "<u2").tobytes()
        self._n_stores = max(1, self.n // self.planes_each)
        for i in range(self._n_stores):
            self._write(i)

    def _write(self, i: int) -> None:
        store = self.folder / "zarr" / "A1" / f"fov_{i}.ome.zarr"
        stores.write_group(store, stores.image_attributes(self._shape))
        document = stores.array_metadata(self._shape, "none", transposed=True)
        document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "."}}
        stores.write_json(store / "0", document)
        for t in range(self.planes_each):
            (store / "0" / f"c.{t}.0.0.0.0").write_bytes(self._data)

    def add(self) -> PlaneKey:
        self._write(self._n_stores)
        self._n_stores += 1
        return PlaneKey(p=self._n_stores - 1)


class ZarrPlate(GrowingDataset):
    """A plate whose wells are all declared; planes of 25 fields a well are written one by one."""

    def create(self) -> None:
        self._fields = min(25, self.n)
        self._wells = min(384, max(1, self.n // self._fields))
        self._n_t = max(2, self.n // self._fields // self._wells)
        self._shape = (self._n_t + 10, 1, 1, _SIZE, _SIZE)
        stores.write_plate(self.path, self._wells, self._fields, self._shape)
        image = self.path / "A" / "1" / "0"
        stores.write_json(image / "0", stores.array_metadata(self._shape, "none", transposed=True))
        self._t = 0
        self.add()

    @property
    def path(self) -> Path:
        return self.folder / "plate.ome.zarr"

    def add(self) -> PlaneKey:
        chunk = self.path / "A" / "1" / "0" / "0" / "c" / str(self._t) / "0" / "0" / "0"
        chunk.mkdir(parents=True, exist_ok=True)
        (chunk / "0").write_bytes(np.ones((_SIZE, _SIZE), "<u2").tobytes())
        self._t += 1
        return PlaneKey(t=self._t - 1)


class Zarr6D(GrowingDataset):
    """Squid's 6-D store (fov, t, c, z, y, x); planes are written one by one."""

    def create(self) -> None:
        self._positions = 100 if self.n >= 5000 else 10
        self._n_t = self.n // self._positions
        shape = (self._positions, self._n_t + 10, 1, 1, _SIZE, _SIZE)
        axes = [{"name": "fov", "type": "fov"}, *_axes()]
        multiscale = {
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 6}]}],
        }
        stores.write_group(self.path, {"ome": {"version": "0.5", "multiscales": [multiscale]}})
        document = stores.array_metadata(shape[1:], "none", transposed=False)
        document["shape"] = list(shape)
        document["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1, 1, 1, _SIZE, _SIZE]
        stores.write_json(self.path / "0", document)
        for i in range(self.n):
            self._write(i)

    @property
    def path(self) -> Path:
        return self.folder / "zarr" / "A1" / "acquisition.zarr"

    def _write(self, i: int) -> None:
        t, p = divmod(i, self._positions)
        chunk = self.path / "0" / "c" / str(p) / str(t) / "0" / "0" / "0"
        chunk.mkdir(parents=True)
        (chunk / "0").write_bytes(np.ones((_SIZE, _SIZE), "<u2").tobytes())

    def add(self) -> PlaneKey:
        self._write(self.n)
        self.n += 1
        t, p = divmod(self.n - 1, self._positions)
        return PlaneKey(t=t, p=p)


class OneTiff(GrowingDataset):
    """One TIFF to which pages are appended."""

    def create(self) -> None:
        import tifffile

        with tifffile.TiffWriter(self.path) as writer:
            for _ in range(self.n):
                writer.write(np.ones((_SIZE, _SIZE), np.uint16), contiguous=False, metadata=None)

    @property
    def path(self) -> Path:
        return self.folder / "a.tif"

    def add(self) -> PlaneKey:
        import tifffile

        tifffile.imwrite(self.path, np.ones((_SIZE, _SIZE), np.uint16), append=True, metadata=None)
        self.n += 1
        return PlaneKey(z=self.n - 1)


class OneOmeTiff(GrowingDataset):
    """One OME-TIFF, laid out beforehand, that is filled in place."""

    def create(self) -> None:
        import tifffile

        shape = (self.n, 1, _SIZE, _SIZE)
        tifffile.imwrite(self.path, np.ones(shape, np.uint16), ome=True, metadata={"axes": "TCYX"})
        self._t = 0

    @property
    def path(self) -> Path:
        return self.folder / "a.ome.tif"

    def add(self) -> PlaneKey:
        with open(self.path, "r+b") as file:
            file.seek(-10, os.SEEK_END)
            file.write(b"\1\0")
        return PlaneKey(t=self.n - 1)


class OneHDF5(GrowingDataset):
    """A dataset of an HDF5 file that is resized as it grows, in SWMR mode."""

    def create(self) -> None:
        import h5py

        self._file = h5py.File(self.path, "w", libver="latest")
        self._data = self._file.create_dataset(
            "images", (self.n, _SIZE, _SIZE), "u2", maxshape=(None, _SIZE, _SIZE), chunks=(1, _SIZE, _SIZE)
        )
        self._data[:] = 1
        self._file.swmr_mode = True

    @property
    def path(self) -> Path:
        return self.folder / "a.h5"

    def add(self) -> PlaneKey:
        self._data.resize((self.n + 1, _SIZE, _SIZE))
        self._data[self.n] = 1
        self._data.flush()
        self.n += 1
        return PlaneKey(z=self.n - 1)


class OneND2(GrowingDataset):
    """An ND2 file that is written anew with one more time point."""

    def create(self) -> None:
        self._write()

    def _write(self) -> None:
        from tests.nd2_writer import time_loop, write_nd2

        frame = np.ones((_SIZE, _SIZE), np.uint16)
        other = self.folder / "other.nd2"
        write_nd2(other, lambda i: frame, [time_loop(self.n)])
        os.replace(other, self.path)

    @property
    def path(self) -> Path:
        return self.folder / "a.nd2"

    def add(self) -> PlaneKey:
        self.n += 1
        self._write()
        return PlaneKey(t=self.n - 1)


def _axes() -> list[dict[str, Any]]:
    axes: list[dict[str, Any]] = json.loads(json.dumps(stores.image_attributes((1, 1))))["ome"][
        "multiscales"
    ][0]["axes"]
    return axes


KINDS: dict[str, type[GrowingDataset]] = {
    "folder of images": FolderOfImages,
    "folders of images": FoldersOfImages,
    "Squid's images": SquidImages,
    "Squid's images, one time": SquidImagesOfOneTime,
    "Squid's OME-TIFFs": SquidOmeTiffs,
    "OME-Zarr": ZarrImage,
    "OME-Zarr per field": ZarrFields,
    "OME-Zarr plate": ZarrPlate,
    "OME-Zarr 6-D": Zarr6D,
    "TIFF": OneTiff,
    "OME-TIFF": OneOmeTiff,
    "HDF5": OneHDF5,
    "ND2": OneND2,
}
