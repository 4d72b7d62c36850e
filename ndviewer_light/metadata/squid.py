"""Specific to Squid: the names and keys of the files it writes beside its images."""

from __future__ import annotations

import csv
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DatasetError, MetadataError
from ..model import how_many, place_of
from ..storage.about_files import about_file
from ..storage.asked_together import asked_together
from ..storage.file_kinds import looks_like
from ..storage.limits import parse_json, read_file
from ..storage.printable import brief
from .recorded_times import squids_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..storage.local_files import LinkGuard

PLATES = ("plate.ome.zarr", "plate.zarr")
"""What its plates are called in the folder of an experiment."""

MAX_PARAMETERS_BYTES = 1024**2
"""A parameters file is a few hundred bytes; whatever is larger is not one."""

MAX_CHANNELS_BYTES = 1024**2
MAX_COORDINATES_BYTES = 16 * 1024**2
_MOST_NAMED = 5
_MAX_XML_NODES = 100_000
"""How many entries of a channels file are looked at."""

CHANNELS_FILE = "acquisition_channels.yaml"
COORDINATES_FILE = "coordinates.csv"
DONE_FILE = ".done"

# Squid writes the name with a space
PARAMETERS_FILES = ("acquisition_parameters.json", "acquisition parameters.json")
_OWN_FILES = (
    *(*PARAMETERS_FILES, CHANNELS_FILE, COORDINATES_FILE, DONE_FILE),
    *("acquisition.yaml", "configurations.xml"),
)
_PIXEL_SIZE_KEYS = ("pixel_size_um", "pixel_size", "pixelSize", "pixel_size_xy")
_Z_STEP_KEYS = ("dz_um", "dz", "z_step", "zStep", "z_spacing", "pixel_size_z", "dz(um)")
_NUMBERS = (*_PIXEL_SIZE_KEYS, *_Z_STEP_KEYS, "sensor_pixel_size_um", "tube_lens_mm", "dt(s)", "Nt", "Nz")
_NUMBERS_OF_OBJECTIVES = ("magnification", "NA", "tube_lens_f_mm")


_NOT_IN_FILE_NAMES = re.compile(r'[\s/\\:*?"<>|]+')


def sanitised(name: str) -> str:
    """A channel name as Squid writes it in file names: "Fluorescence_488_nm_Ex"."""
    return _NOT_IN_FILE_NAMES.sub("_", name)


def has_own_files(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder contains a file that Squid writes beside its images. Any thread; accesses the disk."""
    return any(asked_together(os.path.isfile, [os.path.join(folder, name) for name in _OWN_FILES]))


def own_files(folder: str) -> list[str]:
    """The paths of the files that Squid may write beside its images; no I/O."""
    return [os.path.join(folder, name) for name in _OWN_FILES]


def is_done(experiment: str | os.PathLike[str]) -> bool:
    """Whether Squid has marked the experiment as complete."""
    return (Path(experiment) / DONE_FILE).exists()


class ChannelNames(NamedTuple):
    """The channels of an acquisition in order, as named by the user; `fault`: what is wrong there."""

    names: tuple[str, ...] = ()
    fault: str = ""


def channel_names(experiment: str | os.PathLike[str], links: LinkGuard | None = None) -> ChannelNames:
    """The channels of the acquisition; none if no file lists them.

    Never raises. Reads one small file; any thread.
    """
    path = str(Path(experiment) / CHANNELS_FILE)
    try:
        raw = read_file(path, MAX_CHANNELS_BYTES, "a list of channels", links)
        return ChannelNames(() if raw is None else _names_in_text(_decoded(raw, path), path))
    except DatasetError as error:
        said = f"{error}. Channels are named and ordered as in the images"
        return ChannelNames(fault=about_file(said, path))


def channels_not_listed(
    experiment: str | os.PathLike[str], listed: ChannelNames, names: Iterable[str]
) -> tuple[str, ...]:
    """What is said of channels of images that the list of channels lacks: it may be cut off."""
    if not listed.names or not (others := list(names)):
        return ()
    path, few = str(Path(experiment) / CHANNELS_FILE), ", ".join(map(repr, others[:_MOST_NAMED]))
    said = f"{path} does not list {how_many(len(others), 'channel')} of the images, so it may be incomplete"
    return (about_file(f"{said}; named and ordered as in the images: {few}", path),)


def _names_in_text(text: str, where: str) -> tuple[str, ...]:
    """The names that a YAML document lists; raises `MetadataError` if it is none, or lists none."""
    import yaml

    if not text.strip():
        raise MetadataError(f"{where} is empty: not written yet, or not copied completely")
    try:
        names = _names_in(yaml.safe_load(text))
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        line = "" if at is None else f" at line {at.line + 1}"
        raise MetadataError(f"{where} is not valid YAML{line}") from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{where} is not valid YAML") from error
    if not names:
        raise MetadataError(f"{where} contains no list of channels with a name each")
    return names


def _decoded(raw: bytes, where: str) -> str:
    """Text in UTF-8, with or without BOM; raises `MetadataError`."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"{where} is not UTF-8 text at byte {error.start}{looks_like(raw)}") from error


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
    path = str(Path(folder) / COORDINATES_FILE)
    return coordinates_read(lambda: read_file(path, MAX_COORDINATES_BYTES, "coordinates", links), path)


def coordinates_read(read: Callable[[], bytes | None], where: str) -> Coordinates:
    """The coordinates in the file that `read` reads (None: there is none); `where` it is. Never raises."""
    try:
        raw = read()
        # a name in another encoding costs its own region only
        return Coordinates({} if raw is None else _by_fov(raw.decode("utf-8-sig", "replace")))
    except DatasetError as error:
        return Coordinates({}, about_file(f"{error}. It is ignored", where))
    except (ValueError, csv.Error) as error:
        return Coordinates({}, about_file(f"{where} is ignored: {error}", where))


def acquisition_times(
    folder: str | os.PathLike[str], links: LinkGuard | None = None
) -> tuple[dict[tuple[str, int, int], float], str]:
    """When the stacks of a time point were acquired, as `squids_times` has it; {} if Squid did not say.

    And a warning about the table, "" if all of it can be read. Never raises. Any thread.
    """
    path = str(Path(folder) / COORDINATES_FILE)
    try:
        raw = read_file(path, MAX_COORDINATES_BYTES, "coordinates", links)
        found, fault = squids_times("" if raw is None else _decoded(raw, path))
    except DatasetError as error:
        return {}, about_file(f"{error}. Times in it are unknown", path)
    said = f"{path}: {fault}: not written yet, or not copied completely. Times from there on are unknown"
    return found, about_file(said, path) if fault else ""


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
    """The acquisition's parameters; lengths in µm, times in s, None where missing; see `DatasetInfo`.

    `fault` is what of their file cannot be read, "" if all can.
    """

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None
    objective: str = ""
    n_t: int = 0
    n_z: int = 0
    """How many time points and planes of a stack were wanted; 0 if that is not said."""
    fault: str = ""

    def warnings(self, unknown: Iterable[str]) -> tuple[str, ...]:
        """What is said of a fault; `unknown` is what nothing else says either: "pixel size", …"""
        if not self.fault:
            return ()
        *others, last = [*unknown] or [""]
        if not last:
            return (self.fault,)
        listed = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        said = f"{self.fault}. {listed[0].upper()}{listed[1:]} unknown"
        return (about_file(said, place.file if (place := place_of(self.fault)) else ""),)


def acquisition_parameters(base_path: str | os.PathLike[str], links: LinkGuard | None = None) -> Parameters:
    """The acquisition parameters in the folder `base_path`; all None if the file is missing or broken.

    The pixel size is the one given, else the camera's divided by the magnification (of the
    objective as used with this tube lens). Never raises. Reads one small file; any thread.
    """

    def read(path: str) -> bytes | None:
        return read_file(path, MAX_PARAMETERS_BYTES, "acquisition parameters", links)

    return parameters_read(read, parameter_files(base_path))


def parameter_files(folder: str | os.PathLike[str]) -> list[str]:
    """The paths of which one has the acquisition parameters; no I/O."""
    return [os.path.join(folder, name) for name in PARAMETERS_FILES]


def parameters_read(read: Callable[[str], bytes | None], paths: Iterable[str]) -> Parameters:
    """The parameters in the first of some files that can be read; `read` returns None where there is none.

    Never raises.
    """
    fault = ""
    for path in paths:
        try:
            if (raw := read(path)) is not None:
                found = _parameters(parse_json(raw, path), path)
                return found._replace(fault=found.fault or fault)
        except DatasetError as error:
            fault = fault or about_file(str(error), path)
    return Parameters(fault=fault)


def _parameters(parameters: Mapping[str, Any], path: str) -> Parameters:
    return Parameters(
        _pixel_size_um(parameters),
        _z_step_um(parameters),
        _first_positive([_number(parameters.get("dt(s)"))]),
        _objective(parameters),
        _count(parameters.get("Nt")),
        _count(parameters.get("Nz")),
        _odd_values(parameters, path),
    )


def _odd_values(parameters: Mapping[str, Any], path: str) -> str:
    """What is said of values that are not of the type that they should have; null is none."""
    objective = parameters.get("objective")
    within = objective if isinstance(objective, dict) else {}
    odd = [(key, parameters[key], "a number") for key in _NUMBERS if _is_odd(parameters.get(key))]
    odd += [(key, within[key], "a number") for key in _NUMBERS_OF_OBJECTIVES if _is_odd(within.get(key))]
    if objective is not None and not within and objective != {}:
        odd.append(("objective", objective, "an object: {…}"))
    said = "; ".join(f"'{key}' is {brief(value)} where {what} is expected" for key, value, what in odd)
    return about_file(f"{path}: {said}", path) if said else ""


def _is_odd(value: object) -> bool:
    return value is not None and _number(value) is None


def read_acquisition_parameters(base_path: str | os.PathLike[str]) -> tuple[float | None, float | None]:
    """(pixel size, z step) in µm from the acquisition parameters in the folder `base_path`.

    Each is None if it is missing or the file is broken; see `acquisition_parameters`.
    """
    return acquisition_parameters(base_path)[:2]


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
