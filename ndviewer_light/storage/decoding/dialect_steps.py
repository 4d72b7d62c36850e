"""How far apart voxels are by what a program wrote into its own tags, as tifffile reads them.

Sources: the records of LSM (``CZ_LSMINFO``: m and s), FluoView (``MM_Head``: a unit for each dimension),
MetaMorph's STK (UIC tags: calibration, z distances) and ScanImage (``SI.hStackManager``: µm), by the names
that tifffile gives them.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

Steps = tuple[tuple[str, float, str], ...]
"""Axis (t, z, y, x), distance, unit."""

_ABSENT = (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError, AttributeError)
_FLUOVIEW_AXES = {"X": "x", "Y": "y", "Z": "z", "T": "t", "TIME": "t"}


def steps_of(tif: Any, kind: str) -> Steps:
    """The steps that a TIFF of a kind says, without those that are missing or no positive numbers."""
    make = {"lsm": _lsm, "fluoview": _fluoview, "stk": _stk, "scanimage": _scanimage}.get(kind)
    found: list[tuple[str, Any, str]] = []
    if make is not None:
        with contextlib.suppress(*_ABSENT):
            found = make(tif)
    return tuple((axis, float(step), unit) for axis, step, unit in found if _is_positive(step))


def _lsm(tif: Any) -> list[tuple[str, Any, str]]:
    said = tif.lsm_metadata
    lengths = [(axis, said.get(f"VoxelSize{axis.upper()}"), "m") for axis in "zyx"]
    return [*lengths, ("t", said.get("TimeIntervall"), "s")]


def _fluoview(tif: Any) -> list[tuple[str, Any, str]]:
    said = [
        (str(name).upper(), step, str(unit)) for name, _, _, step, unit in tif.fluoview_metadata["Dimensions"]
    ]
    return [(_FLUOVIEW_AXES[name], step, unit) for name, step, unit in said if name in _FLUOVIEW_AXES]


def _stk(tif: Any) -> list[tuple[str, Any, str]]:
    said = tif.stk_metadata
    unit = str(said.get("CalibrationUnits", "")).strip("\0 ")
    found = [(axis, said.get(f"{axis.upper()}Calibration"), unit) for axis in "yx"]
    distances = [float(each) for each in said.get("ZDistance", ())][1:]
    if distances and len({round(each, 6) for each in distances}) == 1:
        found.append(("z", distances[0], unit or "um"))
    return found


def _scanimage(tif: Any) -> list[tuple[str, Any, str]]:
    said = (tif.scanimage_metadata or {}).get("FrameData", {})
    return [("z", said.get("SI.hStackManager.stackZStepSize"), "um")]


def _is_positive(step: Any) -> bool:
    try:
        return math.isfinite(float(step)) and float(step) > 0
    except (TypeError, ValueError, OverflowError):
        return False
