"""Where planes come from: the `Source` interface, the list of formats, and the way to open one.

A new format is a new file here, or a folder with a `source.py`, and a line in `FORMATS`.
"""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..errors import DatasetNotFoundError, DatasetPermissionError
from ..storage.bytes import absolute, is_url, split_inner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from ..model import DatasetInfo, PlaneKey

    StorageOptions = Mapping[str, str] | None

FORMATS = (
    *("zarr.source:ZarrSource", "tiff.source:TiffSource", "nd2.source:Nd2Source", "hdf5.source:HDF5Source"),
    *("references.source:ReferencesSource", "images.source:ImagesSource"),
)
"""Modules of this folder and their class, asked in this order; imported only when asked."""


class Source(ABC):
    """Reads the planes of one dataset, blocking and dumb: no cache, no threads, no retries.

    Every method may be called from any thread.
    """

    format: str
    """The format's name as users read it, "ome-zarr"."""

    @classmethod
    @abstractmethod
    def recognises(cls, path: str) -> bool:
        """Whether `path` looks like this format; looks at names and small files, opens no array.

        Of a URL only its name is looked at.
        """

    @classmethod
    @abstractmethod
    def open(cls, path: str, options: StorageOptions = None) -> Source:
        """Open the dataset at `path` (or URL), reading its metadata only; raises a `DatasetError`.

        `options` are those of the storage it lies on ("endpoint", "anonymous", …).
        """

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """What is known now. A new object whenever more is known: compare by identity."""

    @property
    def identity(self) -> str | None:
        """A name for what is stored, another one as soon as it changes; None where nothing tells.

        Planes are kept under it for the next time (see `disk_cached`), so it has to hold across programs.
        """
        return None

    @abstractmethod
    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, in the memory order in which they are stored.

        Raises `PlaneNotStoredError` if nothing of it is stored, `IndexError` outside the
        dataset, another `DatasetError` if it cannot be read; never makes up pixels. What takes long may
        end early with `ReadDroppedError` when the `CancelScope` of the calling thread is dropped.
        """

    @abstractmethod
    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane, or None while its store does not exist yet."""

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a file or store that may hold this plane; cheaper than opening it."""
        return self.plane_shape(key) is not None

    @abstractmethod
    def refresh(self) -> DatasetInfo:
        """Look at the metadata again: sizes may have grown, stores may have appeared."""

    def describe(self) -> dict[str, Any]:
        """What there is to know beyond `info`, for people and as JSON; its names are free but for these.

        ``why``: what made us take it for this format. ``hosts``: the computers that reading it asks.
        ``requests``, ``bytes``: what was sent for so far by other means than the fetcher.
        """
        return {}

    @abstractmethod
    def close(self) -> None:
        """Let go of every handle; reads under way end with an error. May be called twice."""


def format_classes() -> Iterator[type[Source]]:
    """The classes named in `FORMATS`, each imported when its turn comes."""
    for entry in FORMATS:
        module, _, name = entry.partition(":")
        yield getattr(importlib.import_module(f".{module}", __name__), name)


def open_source(path: str, options: StorageOptions = None) -> Source:
    """Open the dataset at a path or URL, ``file.h5::/path/inside`` for one inside a file.

    Blocks on disk or network. Raises a `DatasetError` that names the path and what was expected there.
    """
    path = absolute(path)
    if not is_url(path):
        _check_there(split_inner(path)[0])
    if options and options.get("pattern"):  # a person has said that these are images, and how they are named
        from .images.source import ImagesSource

        return ImagesSource.open(path, options)
    for cls in format_classes():
        if cls.recognises(path):
            return cls.open(path, options)
    raise DatasetNotFoundError(
        f"{path} is not a dataset we can read: expected an OME-Zarr image, plate, well or array "
        "(zarr.json, .zgroup or .zarray), a folder that holds plate.ome.zarr or zarr/<region>/…, one with "
        "ome_tiff/ or images named as Squid does (<t>/<region>_<fov>_<z>_<channel>.tiff), other images, or "
        "an image, ND2, HDF5, NWB or reference file"
    )


def _check_there(path: str) -> None:
    try:
        os.stat(path)
    except PermissionError as error:
        raise DatasetPermissionError(f"no permission to read {path}") from error
    except (OSError, ValueError) as error:
        raise DatasetNotFoundError(f"there is nothing at {path} ({error})") from error
