"""Which datasets of an HDF5 file can be shown, and which one is chosen.

In an NWB file these are its image series, in others the numeric datasets with 2 to 5 axes. The one with the
most pixels is shown unless another is requested. Everything here is called within `HDF5File.reading`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError, DatasetNotFoundError, UnsupportedError
from . import nwb
from .array import DatasetFacts, facts, refuse_outside
from .images import is_picture, plain_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h5py

    from .file import HDF5File
    from .images import HDF5Image

WALK_SECONDS = 5.0
"""How long a file is searched for what it holds."""

WALK_FOR_OTHERS_SECONDS = 0.5
"""The same where it is known what is wanted."""

_SHOWN = 8
"""How many datasets a message names."""


class DatasetEntry(NamedTuple):
    """One dataset of a file as offered to the user: its path, shape, dtype and description."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    what: str


class Candidate(NamedTuple):
    """A dataset that can be shown; `series` is set if NWB describes it."""

    facts: DatasetFacts
    node: h5py.Dataset
    series: nwb.Series | None = None

    @property
    def entry(self) -> DatasetEntry:
        """As it is offered."""
        what = f"NWB {self.series.type}" if self.series else "dataset"
        return DatasetEntry(self.facts.path, self.facts.shape, str(self.facts.dtype), what)


class Choices(NamedTuple):
    """What can be shown, most pixels first, and notes on what looks like an image but cannot be shown."""

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def catalogue(file: HDF5File, top: str = "", seconds: float = WALK_SECONDS) -> Choices:
    """Everything below a group that can be shown, as far as found within `seconds`."""
    is_nwb = nwb.is_nwb(file) and not top
    found = _all_series(file, seconds) if is_nwb else _all_plain(file, top, seconds)
    pixels = sorted(found.candidates, key=lambda each: math.prod(each.facts.shape), reverse=True)
    notes = found.notes
    if file.cut_short:
        notes += (
            f"{file.name} contains more than was searched: to open a particular dataset, use FILE::/PATH",
        )
    return Choices(tuple(pixels), notes)


def _all_series(file: HDF5File, seconds: float) -> Choices:
    import h5py

    candidates, notes = [], []
    for series in nwb.all_series(file, seconds):
        if series.elsewhere:
            notes.append(
                f"{series.path} ({series.type}) stores its images in other files: {series.elsewhere}"
            )
            continue
        node = file.node(series.data)
        assert isinstance(node, h5py.Dataset), "it was found there"
        try:
            known = facts(file, series.data, node)
        except UnsupportedError as error:
            notes.append(str(error))
            continue
        if math.prod(known.shape) and len(known.shape) in (2, 3, 4):
            candidates.append(Candidate(known, node, series))
        else:
            notes.append(f"{series.path} ({series.type}) contains no images: its shape is {known.shape}")
    return Choices(tuple(candidates), tuple(notes))


def _all_plain(file: HDF5File, top: str, seconds: float) -> Choices:
    import h5py

    candidates, notes = [], []
    for path, node in file.walk(top, seconds=seconds):
        if not isinstance(node, h5py.Dataset) or node.shape is None or not is_picture(node.shape):
            continue
        try:
            known = facts(file, path, node)
            refuse_outside(file, node, f"{file.name}::{path}")
        except DatasetError as error:
            notes.append(str(error))
            continue
        candidates.append(Candidate(known, node))
    return Choices(tuple(candidates), tuple(notes))


# ---- the choice ----------------------------------------------------------------------------


def chosen(file: HDF5File, inner: str, known: Choices) -> Candidate:
    """The dataset at a path inside the file, or the largest.

    Raises `DatasetNotFoundError` if there is nothing at the path, `UnsupportedError` if nothing can be shown.
    """
    import h5py

    if not inner.strip("/"):
        if not known.candidates:
            raise UnsupportedError(_nothing(file, known))
        return known.candidates[0]
    path = "/" + inner.strip("/")
    node = file.node(path)
    if node is None:
        raise DatasetNotFoundError(f"{file.name} does not contain {path!a}{_offered(known)}")
    if isinstance(node, h5py.Dataset):
        return _candidate(file, path, node)
    series = nwb.series_of(file, path, node)
    if series is not None:
        nwb.refuse_external(series, file.name)
        data = file.node(series.data)
        assert isinstance(data, h5py.Dataset), "it was found there"
        return Candidate(facts(file, series.data, data), data, series)
    below = catalogue(file, path)
    if not below.candidates:
        raise UnsupportedError(f"{file.name}::{path} is a group without images{_offered(known)}")
    return below.candidates[0]


def _candidate(file: HDF5File, path: str, node: h5py.Dataset) -> Candidate:
    import h5py

    parent, _, name = path.rpartition("/")
    group = file.node(parent or "/")
    series = None
    if name == "data" and isinstance(group, h5py.Group):
        series = nwb.series_of(file, parent, group)
    if series is not None:
        nwb.refuse_external(series, file.name)
    return Candidate(facts(file, path, node), node, series)


def _nothing(file: HDF5File, known: Choices) -> str:
    if known.notes:
        return f"{file.name} contains nothing that can be shown. {_several(known.notes)}"
    if nwb.is_nwb(file):
        other = [candidate.facts for candidate in _all_plain(file, "", WALK_SECONDS).candidates]
        which = f" It contains {_listed(other)}; to open one of them, use FILE::/PATH" if other else ""
        return f"{file.name} contains no image series (TwoPhotonSeries, OnePhotonSeries, ImageSeries).{which}"
    return f"{file.name} contains no numeric dataset with 2 to 5 axes"


def _offered(known: Choices) -> str:
    if not known.candidates:
        return ""
    return f"; it contains {_listed([candidate.facts for candidate in known.candidates])}"


def _listed(several: list[DatasetFacts]) -> str:
    return _several([f"{one.path} ({' × '.join(map(str, one.shape))} {one.dtype})" for one in several])


def _several(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def others_warning(file: HDF5File, known: Choices, shown: str) -> tuple[str, ...]:
    """A warning that lists the other datasets, for users who expected one of them."""
    others = [candidate.facts for candidate in known.candidates if candidate.facts.path != shown]
    if not others:
        return known.notes[:_SHOWN]
    return (
        f"{file.name}: showing {shown}; open the others as FILE::/PATH: {_listed(others)}",
        *known.notes[:_SHOWN],
    )


def described(file: HDF5File, candidate: Candidate) -> HDF5Image:
    """Interpret a candidate as an image. Raises `UnsupportedError` if it cannot be shown."""
    where = f"{file.name}::{candidate.facts.path}"
    if not math.prod(candidate.facts.shape):
        raise UnsupportedError(f"{where} is empty: its shape is {candidate.facts.shape}")
    if candidate.series is not None:
        return nwb.series_image(file, candidate.series, candidate.facts)
    return plain_image(file, candidate.facts, candidate.node, where)
