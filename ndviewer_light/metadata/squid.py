"""Specific to Squid: the names and keys of the files it writes beside its images."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DatasetError
from ..model import how_many
from ..storage.about_files import about_file
from ..storage.local_files import open_regular
from .recorded_times import squids_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..storage.local_files import LinkGuard

PLATES = ("plate.ome.zarr", "plate.zarr")
"""What its plates are called in the folder of an experiment."""

MAX_PARAMETERS_BYTES = 1024**2
"""A parameters file is a few hundred bytes; whatever is larger is not one."""

MAX_CHANNELS_BYTES = 1024**2
MAX_COORDINATES_BYTES = 16 * 1024**2
_MAX_XML_NODES = 100_000
"""How many entries of a channels file are looked at."""

CHANNELS_FILE = "acquisition_channels.yaml"
COORDINATES_FILE = "coordinates.csv"
DONE_FILE = ".done"

# Squid writes the name with a space
_PARAMETERS_FILES = ("acquisition_parameters.json", "acquisition parameters.json")
_OWN_FILES = (
    *(*_PARAMETERS_FILES, CHANNELS_FILE, COORDINATES_FILE, DONE_FILE),
    *("acquisition.yaml", "configurations.xml"),
)
_PIXEL_SIZE_KEYS = ("pixel_size_um", "pixel_size", "pixelSize", "pixel_size_xy")
_Z_STEP_KEYS = ("dz_um", "dz", "z_step", "zStep", "z_spacing", "pixel_size_z", "dz(um)")


_NOT_IN_FILE_NAMES = re.compile(r'[\s/\\:*?"<>|]+')


def sanitised(name: str) -> str:
    """A channel name as Squid writes it in file names: "Fluorescence_488_nm_Ex"."""
    return _NOT_IN_FILE_NAMES.sub("_", name)


def has_own_files(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder contains a file that Squid writes beside its images. Any thread; accesses the disk."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in _OWN_FILES)


def own_files(folder: str) -> list[str]:
    """The paths of the files that Squid may write beside its images; no I/O."""
    return [os.path.join(folder, name) for name in _OWN_FILES]


def is_done(experiment: str | os.PathLike[str]) -> bool:
    """Whether Squid has marked the experiment as complete."""
    return (Path(experiment) / DONE_FILE).exists()


def channel_names(experiment: str | os.PathLike[str], links: LinkGuard | None = None) -> tuple[str, ...]:
    """The channels of the acquisition in order, as named by the user; () if no file lists them.

    Never raises. Reads one small file; any thread.
    """
    text = _read_text(Path(experiment) / CHANNELS_FILE, MAX_CHANNELS_BYTES, links)
    if text is None:
        return ()
    import yaml

    try:
        return _names_in(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return ()


def _names_in(document: object) -> tuple[str, ...]:
    """The names in the first list of named mappings, preferring those nearer the top."""
    level: list[object] = [document]
    seen: set[int] = set()  # aliases can make a small file expand endlessly
    while level and len(seen) < _MAX_XML_NODES:
        deeper: list[object] = []
        for node in level:
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, list):
                names = [entry.get("name") if isinstance(entry, dict) else None for entry in node]
                texts = [name for name in names if isinstance(name, str)]
                if texts and len(texts) == len(node):
                    return tuple(dict.fromkeys(texts))
                deeper += node
            elif isinstance(node, dict):
                deeper += node.values()
        level = deeper
    return ()


class Coordinates(NamedTuple):
    """Positions of fields of view: (x, y, z) in µm by (region, fov), and a warning about their file."""

    by_fov: Mapping[tuple[str, int], tuple[float | None, float | None, float | None]]
    warning: str = ""


def coordinates(folder: str | os.PathLike[str], links: LinkGuard | None = None) -> Coordinates:
    """The coordinates Squid wrote in `folder`, of an experiment (planned) or a time point (actual).

    Without a column "fov", the rows of a region count its fields of view. Empty if there is no file.
    Never raises. Any thread.
    """
    path = Path(folder) / COORDINATES_FILE
    if not path.exists():
        return Coordinates({})
    return coordinates_in(_read_text(path, MAX_COORDINATES_BYTES, links), str(path))


def coordinates_in(text: str | None, where: str) -> Coordinates:
    """The coordinates in the text of such a file, None if it cannot be read; `where` it is. Never raises."""
    try:
        if text is None:
            raise ValueError("unreadable, too large, or a link that leads out of the dataset")
        return Coordinates(_by_fov(text))
    except (ValueError, csv.Error) as error:
        return Coordinates({}, about_file(f"{where} is ignored: {error}", where))


def acquisition_times(
    folder: str | os.PathLike[str], links: LinkGuard | None = None
) -> dict[tuple[str, int, int], float]:
    """When the stacks of a time point were acquired, as `squids_times` has it; {} if Squid did not say.

    Never raises. Any thread.
    """
    return squids_times(_read_text(Path(folder) / COORDINATES_FILE, MAX_COORDINATES_BYTES, links) or "")


def _by_fov(text: str) -> dict[tuple[str, int], tuple[float | None, float | None, float | None]]:
    rows = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(rows, [])]
    if "region" not in header:
        raise ValueError("the first line has no column 'region'")
    columns = [_column(header, axis) for axis in "xyz"]
    found: dict[tuple[str, int], tuple[float | None, float | None, float | None]] = {}
    counted: dict[str, int] = {}
    for row in rows:
        if len(row) < len(header):
            if row:
                raise ValueError(
                    f"line {rows.line_num} has {how_many(len(row), 'value')} instead of {len(header)}"
                )
            continue
        region = row[header.index("region")].strip()
        if "fov" in header:
            fov = int(row[header.index("fov")])
        else:
            fov = counted[region] = counted.get(region, -1) + 1
        x, y, z = (None if at < 0 else _scaled(row[at], factor) for at, factor in columns)
        found.setdefault((region, fov), (x, y, z))  # the first z represents the stack
    return found


def _column(header: list[str], axis: str) -> tuple[int, float]:
    """Index of an axis's column (-1: none), and the µm per unit."""
    for unit, factor in (("(mm)", 1000.0), ("(um)", 1.0), ("(µm)", 1.0)):
        if (name := f"{axis} {unit}") in header:
            return header.index(name), factor
    return -1, 1.0


def _scaled(text: str, factor: float) -> float | None:
    value = _number(text)
    return None if value is None else value * factor


def ome_progress_files(experiment: str, base_name: str) -> Iterator[str]:
    """Where Squid may list the planes already written to an OME-TIFF: outside the dataset, during the run.

    `base_name` is that of the OME-TIFF, "A1_0". The name depends on Squid's path of the experiment,
    which may be spelled differently from ours.
    """
    import hashlib  # with OpenSSL, 25 ms that a host need not wait for when it imports the widget
    import tempfile

    for path in dict.fromkeys((experiment, os.path.realpath(experiment))):
        digest = hashlib.sha1(f"{path}:{base_name}".encode(), usedforsecurity=False).hexdigest()
        yield os.path.join(tempfile.gettempdir(), f"squid_ome_{digest}_metadata.json")


def is_plausible_pixel_size_um(value: float | None) -> bool:
    """Whether a light microscope can have such pixels; other values are defaults or in another unit."""
    return value is not None and 0.01 < value <= 100


class Parameters(NamedTuple):
    """The acquisition's parameters; lengths in µm, times in s, None where missing; see `DatasetInfo`."""

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    objective: str = ""
    n_t: int = 0
    n_z: int = 0
    """How many time points and planes of a stack were wanted; 0 if that is not said."""


def acquisition_parameters(base_path: str | os.PathLike[str], links: LinkGuard | None = None) -> Parameters:
    """The acquisition parameters in the folder `base_path`; all None if the file is missing or broken.

    The pixel size is the one given, else the camera's divided by the magnification (of the
    objective as used with this tube lens). Never raises. Reads one small file; any thread.
    """
    for name in _PARAMETERS_FILES:
        path = Path(base_path) / name
        parameters = _read_object(path, links) if os.path.exists(path) else None
        if parameters is not None:
            time_step_s = _first_positive([_number(parameters.get("dt(s)"))])
            return Parameters(
                _pixel_size_um(parameters),
                _z_step_um(parameters),
                time_step_s,
                _objective(parameters),
                *(_count(parameters.get(key)) for key in ("Nt", "Nz")),
            )
    return Parameters()


def read_acquisition_parameters(base_path: str | os.PathLike[str]) -> tuple[float | None, float | None]:
    """(pixel size, z step) in µm from the acquisition parameters in the folder `base_path`.

    Each is None if it is missing or the file is broken; see `acquisition_parameters`.
    """
    return acquisition_parameters(base_path)[:2]


def _read_object(path: Path, links: LinkGuard | None) -> dict[str, Any] | None:
    text = _read_text(path, MAX_PARAMETERS_BYTES, links)
    try:
        loaded = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _read_text(path: Path, most: int, links: LinkGuard | None = None) -> str | None:
    """The text of a small file; None if it is missing, too large, not UTF-8, or leads out of `links`."""
    try:
        if links is not None:
            links.check([str(path)])
        with open_regular(str(path)) as file:
            raw = file.read(most + 1)
        return raw.decode("utf-8-sig") if len(raw) <= most else None
    except (DatasetError, OSError, ValueError):
        return None


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


def _objective(parameters: Mapping[str, Any]) -> str:
    """The objective as its field writes it: "20× / 0.8 NA"."""
    objective = parameters.get("objective")
    if not isinstance(objective, dict):
        return ""
    magnification, aperture = _number(objective.get("magnification")), _number(objective.get("NA"))
    said = [f"{magnification:g}×"] if magnification and magnification > 0 else []
    said += [f"{aperture:g} NA"] if aperture and aperture > 0 else []
    return " / ".join(said)


def _z_step_um(parameters: Mapping[str, Any]) -> float | None:
    return _first_positive(_number(parameters.get(key)) for key in _Z_STEP_KEYS)


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value < 2**31 else 0


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
