"""Image series of an NWB file: found by type, with NWB's axes, and steps from the surrounding metadata.

NWB stores images as (frame, x, y) or (frame, x, y, z), x across and y down: planes are transposed.
Source: NWB format specification 2.x: ``ImageSeries``, ``OnePhotonSeries``, ``TwoPhotonSeries``,
``ImagingPlane``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    DatasetError,
    MetadataError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...metadata.nwb_series import (
    MOST_FRAMES_TIMED,
    PLACES,
    UNEVEN,
    frame_step,
    looks_like_colour,
    series_notes,
    times_of_frames,
)
from ...metadata.nwb_types import IMAGE_SERIES, MAX_SHORT, NO_PICTURES
from ...model import Channel, how_many
from .array import refuse_outside
from .file import Elsewhere
from .images import (
    HDF5Image,
    rgb_channels,
    sane_steps,
    unit_factor,
)
from .other_files import ALLOW

if TYPE_CHECKING:
    import h5py

    from .array import DatasetFacts
    from .file import HDF5File

SERIES_GROUPS = tuple(f"/{name}" for name in PLACES)
"""Where NWB files have their images."""

_MAX_NAME = 200
_MAX_LINKED_FILES = 10_000


class Series(NamedTuple):
    """One image series: the path of its group, its type, and where its images are.

    `elsewhere` says why its pixels are not in this file, if they are not, else "". `files` are the names of
    pictures or videos that contain them, and `first_frames` the number of the first frame in each.
    """

    path: str
    type: str
    elsewhere: str = ""
    files: tuple[str, ...] = ()
    first_frames: tuple[int, ...] = ()

    @property
    def data(self) -> str:
        """The path of its pixels."""
        return f"{self.path}/data"


# ---- finding them: within `HDF5File.reading` -----------------------------------------------


def is_nwb(file: HDF5File) -> bool:
    """Whether the file declares itself as NWB 2."""
    root = file.root
    return (
        file.attribute(root, "neurodata_type") == "NWBFile" or file.attribute(root, "nwb_version") is not None
    )


def series_of(file: HDF5File, path: str, node: h5py.Group) -> Series | None:
    """The image series with its group at `path`; None if there is none."""
    import h5py

    kind = file.attribute(node, "neurodata_type")
    if not isinstance(kind, str) or kind in NO_PICTURES or not kind.endswith(IMAGE_SERIES):
        return None
    if file.attribute(node, "format") == "external" or _text(file, node, "format") == "external":
        names = _external_names(file, node)
        return Series(path, kind, _listed(names), names, _first_frames(file, node, len(names)))
    try:
        data = file.follow("data", node)
        if isinstance(data, Elsewhere) and not file.others.allowed:
            raise file.others.refusal(f"{file.name}::{path}/data", data.file)
        if isinstance(data, h5py.Dataset):
            refuse_outside(file, data, f"{file.name}::{path}/data", allowed=file.others.allowed)
    except DatasetError as error:
        return Series(path, kind, str(error))
    return Series(path, kind) if isinstance(data, (h5py.Dataset, Elsewhere)) else None


def refuse_external(file: HDF5File, series: Series) -> None:
    """Raise `UnsupportedError` if the images of a series are not in the file."""
    if series.elsewhere:
        raise UnsupportedError(
            f"{file.name}::{series.path} ({series.type}) stores its images in other files, which are not "
            f"followed for safety: {series.elsewhere}. Open those files instead. {ALLOW}"
        )


def _external_names(file: HDF5File, node: h5py.Group) -> tuple[str, ...]:
    import h5py

    names = _inside(file, node, "external_file")
    if not isinstance(names, h5py.Dataset) or names.ndim != 1 or not 0 < names.shape[0] <= _MAX_LINKED_FILES:
        return ()
    if names.id.get_type().get_class() != h5py.h5t.STRING:
        return ()
    listed = (name for name in names[()] if isinstance(name, bytes))
    return tuple(name.decode("utf-8", "surrogateescape") for name in listed)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return ascii(names[0][:_MAX_NAME]) + more if names else "no file"


def _first_frames(file: HDF5File, node: h5py.Group, n: int) -> tuple[int, ...]:
    """The numbers of the first frames, as ``external_file@starting_frame`` has them; () if it has none."""
    names = _inside(file, node, "external_file")
    first = file.attribute(names, "starting_frame") if names is not None else None
    if not isinstance(first, np.ndarray) or first.dtype.kind not in "iu" or first.size != n:
        return ()
    return tuple(int(number) for number in first.reshape(-1))


# ---- describing one: within `HDF5File.reading` ---------------------------------------------


def series_image(file: HDF5File, series: Series, known: DatasetFacts) -> HDF5Image:
    """Describe a series. Raises `UnsupportedError` if its images are not (frame, x, y[, z])."""
    import h5py

    node = file.node(series.path)
    assert isinstance(node, h5py.Group), "it was found there"
    where = f"{file.name}::{series.path}"
    rank = len(known.shape)
    if rank not in (2, 3, 4):
        raise UnsupportedError(
            f"{where} has {how_many(rank, 'dimension')}; NWB images have (frame, x, y) or (…, z)"
        )
    rgb = looks_like_colour(series.type, known.shape, known.dtype)
    roles = ("x", "y") if rank == 2 else ("t", "x", "y", "c" if rgb else "z")[:rank]
    step, uneven = time_step(file, node, known.shape[0] if rank > 2 else 1, where)
    plane = imaging_plane(file, node)
    steps = {**grid_steps(file, node, plane, known, roles), "t": step}
    return HDF5Image(
        format="nwb",
        evidence=f"NWB {series.type}",
        roles=roles,
        shape=known.shape,
        dtype=known.dtype,
        steps=sane_steps(steps),
        channels=rgb_channels(known.dtype) if rgb else (_channel(file, series, plane),),
        rgb=rgb,
        warnings=series_notes(where, known.shape, is_rgb=rgb, is_even=uneven is None),
        position_names=(series.path.rpartition("/")[2],),
    )


def imaging_plane(file: HDF5File, node: h5py.Group) -> h5py.Group | None:
    """The imaging plane of a series or a segmentation."""
    import h5py

    plane = _inside(file, node, "imaging_plane")
    return plane if isinstance(plane, h5py.Group) else None


def time_step(file: HDF5File, node: h5py.Group, n: int, where: str) -> tuple[float | None, str | None]:
    """Seconds between frames, and a warning if not constant."""
    import h5py

    start = _inside(file, node, "starting_time")
    if isinstance(start, h5py.Dataset):
        rate = file.attribute(start, "rate")
        if isinstance(rate, np.ndarray) and rate.size == 1 and float(rate.reshape(-1)[0]) > 0:
            return 1.0 / float(rate.reshape(-1)[0]), None
    times = _inside(file, node, "timestamps")
    if n < 2 or not isinstance(times, h5py.Dataset) or times.shape != (n,) or times.dtype.kind not in "iuf":
        return None, None
    first, second, last = (float(times[i]) for i in (0, 1, n - 1))
    step, is_even = frame_step(first, second, last, n)
    return step, None if is_even else f"{where}: {UNEVEN}"


def frame_times(file: HDF5File, path: str, n: int) -> np.ndarray | None:
    """When the `n` frames of the series at a path were taken, in s since the session began; None: unknown."""
    import h5py

    node = file.node(path)
    if not isinstance(node, h5py.Group) or not 0 < n <= MOST_FRAMES_TIMED:
        return None
    times = _inside(file, node, "timestamps")
    if isinstance(times, h5py.Dataset) and times.shape == (n,) and times.dtype.kind in "iuf":
        return np.asarray(times[()], float)
    start = _inside(file, node, "starting_time")
    if not isinstance(start, h5py.Dataset) or start.size != 1 or start.dtype.kind not in "iuf":
        return None
    rate = file.attribute(start, "rate")
    if not isinstance(rate, np.ndarray) or rate.size != 1:
        return None
    first, per_s = (float(np.asarray(each).reshape(-1)[0]) for each in (start[()], rate))
    found = times_of_frames((), first, per_s, n)
    return np.asarray(found, float) if len(found) else None


def grid_steps(
    file: HDF5File, node: h5py.Group, plane: h5py.Group | None, known: DatasetFacts, roles: tuple[str, ...]
) -> dict[str, float | None]:
    """µm per pixel: from the imaging plane, else the field of view divided by its pixels."""
    spacing = _numbers(file, plane, "grid_spacing") if plane is not None else None
    if plane is not None and spacing is not None:
        factor = unit_factor(_unit(file, plane, "grid_spacing"), "x")
        return {role: value * factor for role, value in zip("xyz", spacing, strict=False)} if factor else {}
    view = _numbers(file, node, "field_of_view")
    if view is None:
        return {}
    factor = unit_factor(_unit(file, node, "field_of_view"), "x")
    counts = dict(zip(roles, known.shape, strict=True))
    return {
        role: value * factor / counts[role]
        for role, value in zip("xyz", view, strict=False)
        if factor and counts.get(role)
    }


def _inside(file: HDF5File, node: h5py.Group, name: str) -> h5py.Dataset | h5py.Group | None:
    """The object in a group; None if missing or in another file: it is only metadata."""
    import h5py

    try:
        found = file.node(name, node)
        if isinstance(found, h5py.Dataset):
            refuse_outside(file, found, f"{file.name}::{name}", virtual=False)
    except (MetadataError, UnsupportedError, UntrustedReferenceError):
        return None
    return found


def _unit(file: HDF5File, node: h5py.Group, name: str) -> object:
    """The unit of a dataset: its attribute, or metres, NWB's default."""
    dataset = _inside(file, node, name)
    unit = file.attribute(dataset, "unit") if dataset is not None else None
    return unit or "meters"


def _numbers(file: HDF5File, node: h5py.Group, name: str) -> list[float] | None:
    """A few numbers from a dataset in a group."""
    import h5py

    dataset = _inside(file, node, name)
    if not isinstance(dataset, h5py.Dataset) or not 0 < (dataset.size or 0) <= MAX_SHORT:
        return None
    if dataset.dtype.kind not in "iuf":
        return None
    numbers: list[float] = np.asarray(dataset[()]).astype(float).reshape(-1).tolist()
    return numbers


def _text(file: HDF5File, node: h5py.Group, name: str) -> str:
    """The text of a dataset in a group, "" if there is none."""
    import h5py

    dataset = _inside(file, node, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.size != 1:
        return ""
    if dataset.id.get_type().get_class() != h5py.h5t.STRING or dataset.id.get_type().get_size() > 4096:
        return ""
    value: Any = np.asarray(dataset[()]).reshape(-1)[0]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip()[:_MAX_NAME]


def _channel(file: HDF5File, series: Series, plane: h5py.Group | None) -> Channel:
    """The channel, named after the imaging plane's indicator if given, else after the series."""
    name = series.path.rpartition("/")[2]
    if plane is None:
        return Channel(name, "")
    indicator = _text(file, plane, "indicator")
    name = indicator if indicator and indicator.lower() not in ("unknown", "n/a", "none") else name
    return Channel(
        name,
        "",
        excitation_nm=_nanometres(file, plane, "excitation_lambda"),
        emission_nm=_emission(file, plane),
    )


def _emission(file: HDF5File, plane: h5py.Group) -> float | None:
    import h5py

    for i, name in enumerate(plane.id):
        if i >= MAX_SHORT:
            break
        child = _inside(file, plane, name.decode("utf-8", "surrogateescape"))
        if isinstance(child, h5py.Group) and file.attribute(child, "neurodata_type") == "OpticalChannel":
            return _nanometres(file, child, "emission_lambda")
    return None


def _nanometres(file: HDF5File, node: h5py.Group, name: str) -> float | None:
    numbers = _numbers(file, node, name)
    return numbers[0] if numbers and 1 <= numbers[0] <= 1e6 else None
