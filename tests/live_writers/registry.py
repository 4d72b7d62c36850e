"""The writers by name: which class, which settings, and what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plan import Writer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Entry:
    """A writer: ``module:Class``, what it is made with, packages it imports, sizes it is tried with."""

    place: str
    packages: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""  # of the path it writes to
    n_p: int = 1
    n_c: int = 1
    n_z: int = 1
    dtype: str = "uint16"
    along: str = "t"
    grows: bool = True  # its shape becomes known plane by plane, not at the start
    resumes: bool = False
    note: str = ""

    def plan(self, planes: int, **more: Any) -> Plan:
        """A run of so many planes, of the sizes that this writer is tried with."""
        return Plan(planes, self.n_p, self.n_c, self.n_z, dtype=self.dtype, along=self.along, **more)

    def make(self, path: Path, plan: Plan) -> Writer:
        """The writer; imports its library."""
        module, name = self.place.split(":")
        writer: Writer = getattr(import_module(f"tests.live_writers.{module}"), name)(
            path, plan, **self.options
        )
        return writer

    @property
    def missing(self) -> str:
        """The first of its packages that `python` does not have, else empty."""
        return next((package for package in self.packages if not _is_there(package)), "")


def _tensorstore(note: str = "", *, n_c: int = 1, n_z: int = 1, grows: bool = True, **options: Any) -> Entry:
    place, needs = "by_tensorstore:TensorStoreWriter", ("tensorstore",)
    return Entry(place, needs, options, ".ome.zarr", 1, n_c, n_z, grows=grows, resumes=grows, note=note)


def _zarr_python(note: str = "", *, n_c: int = 1, **options: Any) -> Entry:
    return Entry(
        "by_zarr_python:ZarrPythonWriter", ("zarr",), options, ".ome.zarr", n_c=n_c, resumes=True, note=note
    )


def _acquire_zarr(note: str = "", **options: Any) -> Entry:
    return Entry("by_acquire_zarr:AcquireZarrWriter", ("acquire_zarr",), options, ".ome.zarr", note=note)


def _ome_writers(
    backend: str, *needs: str, suffix: str = ".ome.zarr", n_p: int = 2, note: str = "", **options: Any
) -> Entry:
    packages = ("ome_writers", *needs)
    options = {"backend": backend, **options}
    return Entry("by_ome_writers:OmeWritersWriter", packages, options, suffix, n_p=n_p, n_c=2, note=note)


def _squid(layout: str, **options: Any) -> Entry:
    options = {"layout": layout, **options}
    place, needs = "by_squid:SquidWriter", ("tensorstore", "tifffile")
    return Entry(place, needs, options, n_p=2, n_c=2, n_z=1, grows=False)


WRITERS: dict[str, Entry] = {
    "tensorstore-v2": _tensorstore(version=2),
    "tensorstore-v3": _tensorstore(n_c=2),
    "tensorstore-fixed": _tensorstore("the shape is known from the start", grows=False, n_c=2, fixed=True),
    "tensorstore-sharded": _tensorstore("shards of 4 t, written anew for each plane", shard_t=4),
    "tensorstore-chunk-of-t": _tensorstore("chunks of 4 t, written anew for each plane", chunk_t=4),
    "tensorstore-chunk-of-z": _tensorstore("chunks of 4 z, written anew for each plane", chunk_z=4, n_z=4),
    "zarr-python-v2": _zarr_python(version=2),
    "zarr-python-v3": _zarr_python(n_c=2),
    "zarr-python-append": _zarr_python("by `Array.append`"),
    "zarr-python-sharded": _zarr_python("shards of 4 t, written anew for each plane", shard_t=4),
    "zarr-python-chunk-of-t": _zarr_python("chunks of 4 t, written anew for each plane", chunk_t=4),
    "acquire-zarr": _acquire_zarr(),
    "acquire-zarr-chunk-of-t": _acquire_zarr("chunks of 4 t, written when full", chunk_t=4),
    "acquire-zarr-sharded": _acquire_zarr("shards of 4 t", shard_t=4),
    "ome-writers-acquire-zarr": _ome_writers("acquire-zarr", "acquire_zarr"),
    "ome-writers-tensorstore": _ome_writers("tensorstore", "tensorstore"),
    "ome-writers-zarr-python": _ome_writers("zarr-python", "zarr"),
    "ome-writers-tifffile": _ome_writers(
        "tifffile",
        "tifffile",
        "ome_types",
        suffix=".ome.tiff",
        n_p=1,
        note="the file has one page until it is closed",
    ),
    "ome-writers-tifffile-positions": _ome_writers(
        "tifffile", "tifffile", "ome_types", suffix="", note="two such files"
    ),
    "tifffile-frames": Entry(
        "by_tifffile:PagesWriter",
        ("tifffile",),
        {"metadata": {}},
        suffix=".tif",
        note="arrays appended with tifffile's own metadata",
    ),
    "tifffile-pages": Entry("by_tifffile:PagesWriter", ("tifffile",), suffix=".tif", along="z", resumes=True),
    "tifffile-stream": Entry(
        "by_tifffile:StreamWriter",
        ("tifffile",),
        suffix=".tif",
        note="the file has one page until it is closed",
    ),
    "tifffile-ome": Entry(
        "by_tifffile:OmeTiffWriter",
        ("tifffile",),
        suffix=".ome.tif",
        n_c=2,
        note="nothing is found before the file is closed",
    ),
    "tifffile-memmap": Entry(
        "by_tifffile:MemmapWriter",
        ("tifffile",),
        suffix=".tif",
        grows=False,
        note="created at its full size, filled through a memory map",
    ),
    "tifffile-files": Entry("by_tifffile:FilesWriter", ("tifffile",), n_c=2, resumes=True),
    "png-files": Entry("by_pillow:PngFilesWriter", ("PIL",), dtype="uint8", resumes=True),
    "h5py-swmr": Entry("by_h5py:SwmrWriter", ("h5py",), suffix=".h5", resumes=True),
    "h5py-swmr-chunk-of-t": Entry(
        "by_h5py:SwmrWriter",
        ("h5py",),
        {"chunk_t": 4},
        suffix=".h5",
        grows=False,
        note="chunks of 4 t, written anew for each plane",
    ),
    "h5py-swmr-tiles": Entry(
        "by_h5py:SwmrWriter", ("h5py",), {"tiles": 2}, suffix=".h5", note="each plane in four chunks"
    ),
    "ngff-zarr": Entry(
        "by_ngff_zarr:NgffZarrWriter", ("ngff_zarr",), suffix=".ome.zarr", note="written anew for each plane"
    ),
    "squid-per-fov": _squid("per_fov"),
    "squid-hcs": _squid("hcs"),
    "squid-6d": _squid("6d"),
    "squid-sharded": _squid("per_fov", compression="balanced"),
    "squid-images": _squid("images"),
    "squid-ome-tiff": _squid("ome_tiff"),
}


def python() -> str:
    """The Python that runs the writers.

    That of NDVIEWER_WRITERS_PYTHON, or of an environment ``.venv-writers`` beside ours, since not every
    writer can live with what we require; otherwise our own.
    """
    named = os.environ.get("NDVIEWER_WRITERS_PYTHON", "")
    beside = ROOT / ".venv-writers" / "bin" / "python"
    return named or (str(beside) if beside.exists() else sys.executable)


@cache
def _is_there(package: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python(), "-c", code], check=False).returncode == 0
