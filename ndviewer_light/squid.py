"""What only Squid does: the names and keys of the files it puts beside its images."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

MAX_PARAMETERS_BYTES = 1024**2
"""A parameters file is a few hundred bytes; whatever is larger is not one."""

# Squid writes the name with a space
_PARAMETERS_FILES = ("acquisition_parameters.json", "acquisition parameters.json")
_PIXEL_SIZE_KEYS = ("pixel_size_um", "pixel_size", "pixelSize", "pixel_size_xy")
_Z_STEP_KEYS = ("dz_um", "dz", "z_step", "zStep", "z_spacing", "pixel_size_z", "dz(um)")


def is_plausible_pixel_size_um(value: float | None) -> bool:
    """Whether a light microscope can have such pixels; outside it is a default or another unit."""
    return value is not None and 0.01 < value <= 100


def read_acquisition_parameters(base_path: str | os.PathLike[str]) -> tuple[float | None, float | None]:
    """(pixel size, z step) in µm from the acquisition parameters in the folder `base_path`.

    The pixel size is the one named, else the camera's divided by the magnification (of the
    objective as used with this tube lens). Each is None where the file does not tell it or is
    missing or broken; never raises. Reads one small file; any thread.
    """
    for name in _PARAMETERS_FILES:
        parameters = _read_object(Path(base_path) / name)
        if parameters is not None:
            return _pixel_size_um(parameters), _z_step_um(parameters)
    return None, None


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        # a pipe or a device of that name would be read for ever
        if not path.is_file() or path.stat().st_size > MAX_PARAMETERS_BYTES:
            return None
        loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _pixel_size_um(parameters: Mapping[str, Any]) -> float | None:
    candidates = [_number(parameters.get(key)) for key in _PIXEL_SIZE_KEYS]
    candidates.append(_sample_pixel_size_um(parameters))
    return next((value for value in candidates if is_plausible_pixel_size_um(value)), None)


def _sample_pixel_size_um(parameters: Mapping[str, Any]) -> float | None:
    sensor_um = _number(parameters.get("sensor_pixel_size_um"))
    magnification = _magnification(parameters)
    return sensor_um / magnification if sensor_um and magnification else None


def _magnification(parameters: Mapping[str, Any]) -> float | None:
    objective = parameters.get("objective")
    if not isinstance(objective, dict):
        return None
    nominal = _number(objective.get("magnification"))
    tube_lens_mm = _number(parameters.get("tube_lens_mm"))
    designed_for_mm = _number(objective.get("tube_lens_f_mm"))
    if nominal and tube_lens_mm and designed_for_mm and designed_for_mm > 0:
        return nominal * (tube_lens_mm / designed_for_mm)
    return nominal


def _z_step_um(parameters: Mapping[str, Any]) -> float | None:
    return _first_positive(_number(parameters.get(key)) for key in _Z_STEP_KEYS)


def _first_positive(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None and value > 0), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
