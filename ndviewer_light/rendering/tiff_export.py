"""Planes as a TIFF that other programs read with its scale and channel names: ImageJ's form, or OME-TIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..storage.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_IMAGEJ = ("uint8", "uint16", "float32")
_OME = (".ome.tif", ".ome.tiff")


def write_tiff(
    path: str, planes: Sequence[np.ndarray], names: Sequence[str], um_per_px: tuple[float, float] | None
) -> None:
    """Write planes (Y, X) of equal size, one per channel, as they are; `um_per_px` is (y, x) if known.

    As OME-TIFF if the name ends so, or ImageJ has no such dtype; it has no integers of 64
    bits. The file is complete or as it was before. Raises `NotWrittenError` and `ValueError`.
    """
    import tifffile

    stack = _of_32_bits(np.stack(planes))
    is_ome = path.lower().endswith(_OME) or str(stack.dtype) not in _OF_IMAGEJ
    metadata: dict[str, Any] = {"axes": "CYX"}
    more: dict[str, Any] = {}
    if is_ome:
        metadata["Channel"] = {"Name": list(names)}
        if um_per_px is not None:
            metadata |= {"PhysicalSizeY": um_per_px[0], "PhysicalSizeX": um_per_px[1]}
            metadata |= {"PhysicalSizeYUnit": "µm", "PhysicalSizeXUnit": "µm"}
    else:
        metadata |= {"Labels": list(names), "mode": "composite"}
        if um_per_px is not None:
            metadata["unit"] = "um"
            more["resolution"] = 1 / um_per_px[1], 1 / um_per_px[0]
    form: dict[str, Any] = {"ome": True} if is_ome else {"imagej": True}
    with whole_file(path) as part:
        tifffile.imwrite(part, stack, photometric="minisblack", metadata=metadata, **form, **more)


def _of_32_bits(stack: np.ndarray) -> np.ndarray:
    """Integers of 64 bits, as sums are, in 32 if all of them fit, else as float64."""
    if stack.dtype.kind not in "iu" or stack.dtype.itemsize < 8:
        return stack
    narrow = np.dtype(f"{stack.dtype.kind}4")
    limits = np.iinfo(narrow)
    fits = stack.size == 0 or (stack.min() >= limits.min and stack.max() <= limits.max)
    return stack.astype(narrow if fits else np.float64)
