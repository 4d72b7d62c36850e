"""The header of an MRC file, as mrcfile interprets it: which numbers, in which order, along which axes.

Source: Cheng et al. 2015, "MRC2014: extensions to the MRC format header for electron cryo-microscopy and
tomography". Columns, rows and sections are X, Y and Z unless ``mapc``, ``mapr`` and ``maps`` say otherwise;
space group 0 is a stack of images, 1 a volume, 401 a stack of volumes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CorruptDataError, LimitExceededError, MetadataError, UnsupportedError
from ...model import how_many
from ...storage.file_kinds import looks_like
from ...storage.limits import MAX_POSITIONS, MAX_T

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_BYTES = 1024
_AXES = {1: "x", 2: "y", 3: "z"}
_UM_PER_ANGSTROM = 1e-4
_STACK_OF_IMAGES = 0
_MOST_ALONG_AXIS = 2**31
_IMOD_STAMP, _IMOD, _SIGNED_BYTES = 152, 1146047817, 1
"""Where IMOD says that it wrote a file, and flags (IMOD, "The MRC2014 Image File Format Used by IMOD")."""


@dataclass(frozen=True)
class MrcLayout:
    """Where the numbers of a file are: the role and size of each axis in stored order, dtype, and first byte.

    `steps` are in µm by role.
    """

    roles: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    steps: Mapping[str, float]

    def size(self, role: str) -> int:
        """Samples along an axis, 1 if there is none."""
        return self.shape[self.roles.index(role)] if role in self.roles else 1

    @property
    def nbytes(self) -> int:
        """The length of all numbers in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def layout_of(raw: bytes, size: int, where: str) -> MrcLayout:
    """Interpret the header `raw` of a file of `size` bytes.

    Raises `MetadataError` if it is invalid, `UnsupportedError` for numbers that cannot be shown,
    `CorruptDataError` if the file is too short for what it says.
    """
    from mrcfile import utils
    from mrcfile.dtypes import HEADER_DTYPE

    if not raw:
        raise CorruptDataError(f"{where} is empty (0 bytes): copy it again")
    if kind := looks_like(raw[:64]):
        raise MetadataError(f"{where} is not an MRC file{kind}")
    if len(raw) < HEADER_BYTES:
        raise CorruptDataError(f"{where} is truncated: an MRC file has a header of {HEADER_BYTES} bytes")
    header = np.frombuffer(raw[:HEADER_BYTES], HEADER_DTYPE).view(np.recarray)[0]
    try:
        order = utils.byte_order_from_machine_stamp(header.machst)
    except ValueError as error:
        raise MetadataError(f"{where} is not an MRC file: its machine stamp is invalid") from error
    header = np.frombuffer(raw[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order)).view(np.recarray)[0]
    try:
        dtype = np.dtype(utils.data_dtype_from_header(header)).newbyteorder(order)
    except ValueError as error:
        raise UnsupportedError(f"{where} has pixels of mode {int(header.mode)}: not supported") from error
    if dtype == np.int8 and _has_unsigned_bytes(raw, order):
        dtype = np.dtype(np.uint8)
    if dtype.kind not in "iuf":
        raise UnsupportedError(f"{where} contains {dtype.name}; only real numbers can be shown")
    sizes = [int(header[name]) for name in ("nz", "ny", "nx")]
    extended, mz = int(header.nsymbt), int(header.mz)
    if min(sizes) < 1 or max(sizes) >= _MOST_ALONG_AXIS or not 0 <= extended < _MOST_ALONG_AXIS:
        raise MetadataError(f"{where} declares invalid sizes: {sizes} sections, rows and columns")
    roles, shape = _axes(header, sizes, mz, utils.spacegroup_is_volume_stack(header.ispg), where)
    if shape[roles.index("p")] > MAX_POSITIONS if "p" in roles else sizes[0] > MAX_T:
        raise LimitExceededError(f"{where} declares {sizes[0]} sections: too many")
    found = MrcLayout(roles, shape, dtype, HEADER_BYTES + extended, _steps(header))
    if size < found.start + found.nbytes:
        raise CorruptDataError(
            f"{where} is truncated: {size:,} of {how_many(found.start + found.nbytes, 'byte')}. Copy it "
            "again; if it is "
            "still being written, wait until that has finished"
        )
    return found


def _has_unsigned_bytes(raw: bytes, order: str) -> bool:
    """Whether IMOD wrote the file, and does not say that its bytes have a sign, as it does since 2011."""
    stamp, flags = struct.unpack(f"{order}ii", raw[_IMOD_STAMP : _IMOD_STAMP + 8])
    return stamp == _IMOD and not flags & _SIGNED_BYTES


def _axes(
    header: Any, sizes: list[int], mz: int, is_volume_stack: bool, where: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    numbers = [int(header[name]) for name in ("maps", "mapr", "mapc")]
    stored = tuple(_AXES.get(number, "") for number in numbers)
    if set(stored) != set(_AXES.values()):
        stored = ("z", "y", "x")  # older programs leave these fields empty
    if int(header.ispg) == _STACK_OF_IMAGES:
        return ("t", *stored[1:]) if stored[0] == "z" else stored, tuple(sizes)
    if is_volume_stack:
        if mz < 1 or sizes[0] % mz:
            raise MetadataError(f"{where} declares {sizes[0]} sections in volumes of {mz}")
        return ("p", *stored), (sizes[0] // mz, mz, *sizes[1:])
    return stored, tuple(sizes)


def _steps(header: Any) -> dict[str, float]:
    """µm per voxel along each axis."""
    steps = {}
    for axis in "xyz":
        cell, n = float(header.cella[axis]), int(header[f"m{axis}"])
        if n > 0 and math.isfinite(cell) and cell > 0:
            steps[axis] = cell / n * _UM_PER_ANGSTROM
    return steps
