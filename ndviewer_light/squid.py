"""What only Squid does: the names and keys of the files it puts beside its images."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_PARAMETERS_BYTES = 1024**2
"""A parameters file is a few hundred bytes; whatever is larger is not one."""

# Squid writes the name with a space
_PARAMETERS_FILES = ("acquisition_parameters.json", "acquisition parameters.json")
_PIXEL_SIZE_KEYS = ("pixel_size_um", "pixel_size", "pixelSize", "pixel_size_xy")
_Z_STEP_KEYS = ("dz_um", "dz", "z_step", "zStep", "z_spacing", "pixel_size_z", "dz(um)")


_NOT_IN_FILE_NAMES = re.compile(r'[\s/\\:*?"<>|]+')


def sanitised(name: str) -> str:
    """A channel's name as Squid spells it in file names: "Fluorescence_488_nm_Ex"."""
    return _NOT_IN_FILE_NAMES.sub("_", name)


def ome_progress_files(experiment: str, base_name: str) -> Iterator[str]:
    """Where Squid may note which planes of an OME-TIFF it has written: outside the dataset, while it writes.

    `base_name` is that of the OME-TIFF, "A1_0". Squid makes the name of the path it has for the experiment,
    which need not be spelt as ours.
    """
    for path in dict.fromkeys((experiment, os.path.realpath(experiment))):
        digest = hashlib.sha1(f"{path}:{base_name}".encode(), usedforsecurity=False).hexdigest()
        yield os.path.join(tempfile.gettempdir(), f"squid_ome_{digest}_metadata.json")


def is_plausible_pixel_size_um(value: float | None) -> bool:
    """Whether a light microscope can have such pixels; outside it is a default or another unit."""
    return value is not None and 0.01 < value <= 100


class Parameters(NamedTuple):
    """What the acquisition's parameters say; lengths in µm, times in s, None where they do not tell."""

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None


def acquisition_parameters(base_path: str | os.PathLike[str]) -> Parameters:
    """The acquisition parameters in the folder `base_path`; all None if the file is missing or broken.

    The pixel size is the one named, else the camera's divided by the magnification (of the
    objective as used with this tube lens). Never raises. Reads one small file; any thread.
    """
    for name in _PARAMETERS_FILES:
        parameters = _read_object(Path(base_path) / name)
        if parameters is not None:
            time_step_s = _first_positive([_number(parameters.get("dt(s)"))])
            return Parameters(_pixel_size_um(parameters), _z_step_um(parameters), time_step_s)
    return Parameters()


def read_acquisition_parameters(base_path: str | os.PathLike[str]) -> tuple[float | None, float | None]:
    """(pixel size, z step) in µm from the acquisition parameters in the folder `base_path`.

    Each is None where the file does not tell it or is missing or broken; see `acquisition_parameters`.
    """
    return acquisition_parameters(base_path)[:2]


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
