"""How BigDataViewer's HDF5 files are laid out, and what their numbers mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .file import HDF5File

SETUP = re.compile(rb"s(\d{2,7})")
TIME_GROUP = re.compile(rb"t(\d{5,7})")
_CELLS = re.compile(r"/t\d{5,7}/s\d{2,7}/\d{1,2}/cells")


def is_bigdataviewer(file: HDF5File) -> bool:
    """Whether a file is laid out so; within `HDF5File.reading`."""
    import h5py

    names = {match[1] for raw in file.root.id if (match := SETUP.fullmatch(raw))}
    if not names or not any(TIME_GROUP.fullmatch(raw) for raw in file.root.id):
        return False
    first = min(names).decode()
    return isinstance(file.follow(f"/s{first}/resolutions"), h5py.Dataset)


def is_of_bigdataviewer(file: HDF5File, path: str) -> bool:
    """Whether a dataset is one of the stacks of such a file; within `HDF5File.reading`."""
    return _CELLS.fullmatch(path) is not None and is_bigdataviewer(file)


def meant_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type of the values: Java has no unsigned integers, so they are stored as signed ones."""
    return np.dtype(np.uint16) if stored == np.int16 else stored
