"""Electron microscopy data (EMD): which datasets are images, with their axes and steps.

Two formats share the ending. Berkeley's (emdatasets.com, versions 0.2 and 1): a group with the attribute
"emd_group_type" has its pixels in "data", and for each axis a dataset ("dim1", …; "dim0", … in version 1)
with the attributes "name" and "units". Velox: ``/Data/Image/<id>/Data`` is (y, x, frame), and the
first column of "Metadata" is JSON with the pixel size. Functions are called within `HDF5File.reading`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError
from ...storage.limits import MAX_METADATA_BYTES, parse_json
from .axes import AxisNotes
from .scales import scale_step

if TYPE_CHECKING:
    import h5py

    from .file import HDF5File

GROUP_TYPE = "emd_group_type"
_VELOX = re.compile(r"/Data/Image/[^/]+/Data")
_UNITS = re.compile(r"[\[\]_\s]")
_ARRAYS = ("array", "1")


def is_image(file: HDF5File, path: str) -> bool:
    """Whether a dataset is where EMD files have their images."""
    import h5py

    if _VELOX.fullmatch(path):
        return True
    parent, _, name = path.rpartition("/")
    group = file.follow(parent or "/") if name == "data" else None
    if not isinstance(group, h5py.Group):
        return False
    kind = file.attribute(group, GROUP_TYPE)
    if isinstance(kind, np.ndarray):
        return bool(kind.size == 1 and kind.reshape(-1)[0] == 1)
    return kind in _ARRAYS


def axis_notes(file: HDF5File, path: str, dataset: h5py.Dataset) -> AxisNotes | None:
    """What is said of the axes of an image; None of anything else."""
    if not is_image(file, path):
        return None
    if _VELOX.fullmatch(path):
        return _velox_notes(file, path, dataset)
    return _berkeley_notes(file, path, dataset)


def _berkeley_notes(file: HDF5File, path: str, dataset: h5py.Dataset) -> AxisNotes | None:
    import h5py

    group = path.rpartition("/")[0]
    first = 0 if isinstance(file.follow(f"{group}/dim0"), h5py.Dataset) else 1
    names, steps = [], []
    for axis, n in enumerate(dataset.shape):
        scale = file.follow(f"{group}/dim{axis + first}")
        name = file.attribute(scale, "name") if isinstance(scale, h5py.Dataset) else None
        names.append(name if isinstance(name, str) else "")
        step = scale_step(file, scale, n, shortest=2) if isinstance(scale, h5py.Dataset) else None
        steps.append((step[0], _unit(step[1])) if step is not None else None)
    return AxisNotes(tuple(names), tuple(steps), ((),) * len(names), "EMD") if any(names) else None


def _unit(unit: object) -> object:
    """A unit without the brackets of version 0.2: ``[n_m]`` is nm."""
    return _UNITS.sub("", unit) if isinstance(unit, str) else unit


def _velox_notes(file: HDF5File, path: str, dataset: h5py.Dataset) -> AxisNotes | None:
    names = ("y", "x", "t")[: len(dataset.shape)]
    if len(names) != len(dataset.shape):
        return None
    sizes = _velox_sizes(file, path)
    steps = [sizes.get(name) for name in names]
    return AxisNotes(names, tuple(steps), ((),) * len(names), "EMD of Velox")


def _velox_sizes(file: HDF5File, path: str) -> dict[str, tuple[float, object] | None]:
    """The size of a pixel along y and x, with its unit, from the metadata of the first frame."""
    import h5py

    from .array import refuse_outside

    node = file.follow(f"{path.rpartition('/')[0]}/Metadata")
    if not isinstance(node, h5py.Dataset) or node.ndim != 2 or node.dtype != np.uint8:
        return {}
    if not 0 < node.shape[0] <= MAX_METADATA_BYTES or not node.shape[1]:
        return {}
    if math.prod(node.chunks or (0,)) > MAX_METADATA_BYTES:
        return {}
    try:
        refuse_outside(file, node, f"{file.name}::{path}", virtual=False)
        text = bytes(node[:, 0]).partition(b"\0")[0]
        result = parse_json(text, f"{file.name}::{path}").get("BinaryResult")
    except DatasetError:  # it is only metadata
        return {}
    found: dict[str, tuple[float, object] | None] = {}
    if isinstance(result, dict) and isinstance(size := result.get("PixelSize"), dict):
        for axis, side in (("y", "height"), ("x", "width")):
            try:
                found[axis] = (float(size[side]), result.get(f"PixelUnit{axis.upper()}"))
            except (KeyError, TypeError, ValueError):
                continue
    return found
