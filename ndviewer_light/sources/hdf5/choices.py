"""Which datasets of an HDF5 file can be shown, and which one is chosen.

In an NWB file these are its image series, then its single images and masks; in NeXus and EMD files what they
call their image; in others the numeric datasets with 2 to 6 axes. The one with the
most pixels is shown unless another is requested. Everything here is called within `HDF5File.reading`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError, DatasetNotFoundError, LimitExceededError, UnsupportedError
from ...metadata.guessed_axes import AXES_OPTION, MAX_AXES, too_many_axes
from . import emd, ilastik, matlab, nexus, nwb, nwb_images
from .array import DatasetFacts, facts, refuse_outside
from .axes import has_too_many_axes, is_picture, named_roles
from .file import Elsewhere, HDF5File
from .images import axis_notes, is_palette, plain_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h5py

    from .images import HDF5Image

WALK_SECONDS = 5.0
"""How long a file is searched for what it holds."""

WALK_FOR_OTHERS_SECONDS = 0.5
"""The same where it is known what is wanted."""

_SHOWN = 8
"""How many datasets a message names."""

_MOST_FILES = 8
"""How many links from file to file are followed for one dataset."""

_MARKS = (b"DIMENSION_LIST", b"DIMENSION_LABELS", ilastik.AXISTAGS.encode())


_LABELS = re.compile(
    r"(.*[^a-z])?(labels?|masks?|segm?|segmentations?|segmented|instances|annotations?|ground_?truth)([^a-z].*)?",
    re.IGNORECASE,
)
"""What plain files call labels of their image, or the group that contains them."""


class DatasetEntry(NamedTuple):
    """One dataset of a file as offered to the user: its path, shape, dtype and description."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    what: str


class Candidate(NamedTuple):
    """A dataset that can be shown, in `file`; `described_in` is the file that describes it.

    `series` or `picture` is set if NWB describes it; `is_main` if the file calls it its image. `at` is the
    path of a link by which it was found in another file.
    """

    facts: DatasetFacts
    node: h5py.Dataset
    file: HDF5File
    series: nwb.Series | None = None
    picture: nwb_images.NwbPicture | None = None
    is_main: bool = False
    described_in: HDF5File | None = None
    at: str = ""

    @property
    def path(self) -> str:
        """Its path in the file that was opened."""
        return self.series.data if self.series else self.at or self.facts.path

    @property
    def entry(self) -> DatasetEntry:
        """As it is offered."""
        described = self.series or self.picture
        what = f"NWB {described.type}" if described else "dataset"
        return DatasetEntry(self.path, self.facts.shape, str(self.facts.dtype), what)

    @property
    def is_of_masks(self) -> bool:
        """Whether it has masks of regions of NWB."""
        return self.picture is not None and self.picture.roles[0] == "p"

    @property
    def is_called_labels(self) -> bool:
        """Whether it has whole numbers and is called like labels, or the group is that it is in."""
        names = self.path.strip("/").split("/")[-2:]
        return self.facts.dtype.kind in "uib" and any(map(_LABELS.fullmatch, names))

    @property
    def rank(self) -> tuple[int, bool, int, bool]:
        """The order in which candidates are offered; of two as large, labels come after the image.

        Numbers along six axes of which nothing is said may be a table rather than images. Of NWB, series come
        first, then single images, then masks.
        """
        import h5py

        if self.is_of_masks:
            return 1, False, 0, False
        is_main = self.is_main or self.series is not None
        shape = self.facts.shape
        may_be_table = len(shape) == MAX_AXES and not h5py.h5a.get_num_attrs(self.node.id)
        return -int(is_main), may_be_table, -math.prod(shape), self.is_called_labels


class Choices(NamedTuple):
    """What can be shown, most pixels first, and notes on what looks like an image but cannot be shown.

    `external` are the image series of NWB whose images are in pictures or videos.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]
    external: tuple[nwb.Series, ...] = ()


def catalogue(file: HDF5File, top: str = "", seconds: float = WALK_SECONDS) -> Choices:
    """Everything below a group that can be shown, as far as found within `seconds`."""
    is_nwb = nwb.is_nwb(file) and not top
    found = _all_nwb(file, seconds) if is_nwb else _all_plain(file, top, seconds)
    notes = found.notes
    if file.cut_short:
        notes += (
            f"{file.name} contains more than was searched: to open a particular dataset, use FILE::/PATH",
        )
    return found._replace(candidates=tuple(sorted(found.candidates, key=lambda each: each.rank)), notes=notes)


def _all_nwb(file: HDF5File, seconds: float) -> Choices:
    import h5py

    candidates: list[Candidate] = []
    notes: list[str] = []
    external: list[nwb.Series] = []
    for path, node in file.walk(*nwb.SERIES_GROUPS, seconds=seconds):
        try:
            if isinstance(node, h5py.Dataset):
                picture = nwb_images.picture_of(file, path, node)
                if picture is not None and math.prod(node.shape):
                    known = nwb_images.picture_facts(file, picture, path, node)
                    candidates.append(Candidate(known, node, file, picture=picture))
                continue
            series = nwb.series_of(file, path, node)
            if series is None:
                continue
            if series.elsewhere:
                external += [series] if series.files else []
                notes.append(f"{path} ({series.type}) stores its images in other files: {series.elsewhere}")
                continue
            candidate = _of_series(file, series)
        except DatasetError as error:
            notes.append(str(error))
            continue
        if math.prod(candidate.facts.shape) and len(candidate.facts.shape) in (2, 3, 4):
            candidates.append(candidate)
        else:
            shape = candidate.facts.shape
            notes.append(f"{path} ({series.type}) contains no images: its shape is {shape}")
    return Choices(tuple(candidates), tuple(notes), tuple(external))


def _of_series(file: HDF5File, series: nwb.Series) -> Candidate:
    found = file.follow(series.data)
    if isinstance(found, Elsewhere):
        other = _elsewhere(file, found, series.data)
        return other._replace(series=series, picture=None, described_in=file)
    return Candidate(facts(file, series.data, found), found, file, series)


def _all_plain(file: HDF5File, top: str, seconds: float) -> Choices:
    import h5py

    candidates, notes = [], []
    for path, node in file.walk(top, seconds=seconds):
        if not isinstance(node, h5py.Dataset):
            continue
        if not _may_be_picture(file, path, node):
            if node.dtype.kind in "uifbc" and has_too_many_axes(node.shape or ()):
                notes.append(str(too_many_axes(node.shape, f"{file.name}::{path}")))
            continue
        try:
            known = facts(file, path, node)
            refuse_outside(file, node, f"{file.name}::{path}", allowed=file.others.allowed)
        except DatasetError as error:
            notes.append(str(error))
            continue
        candidates.append(Candidate(known, node, file, is_main=emd.is_image(file, path)))
    for path in list(file.links_out):
        try:
            found = file.follow(path)
            if isinstance(found, Elsewhere) and not file.others.allowed:
                raise file.others.refusal(f"{file.name}::{path}", found.file)
            if isinstance(found, Elsewhere):
                candidates.append(_elsewhere(file, found, path))
        except DatasetError as error:
            notes.append(str(error))
    return Choices(tuple(candidates), tuple(notes))


def _may_be_picture(file: HDF5File, path: str, node: h5py.Dataset) -> bool:
    """Whether a dataset has a plane, by its shape, else by the names of its axes."""
    import h5py

    shape = node.shape  # h5py asks each time: a file may have 20,000 datasets
    if shape is None or len(shape) < 2 or not math.prod(shape):
        return False
    if not h5py.h5a.get_num_attrs(node.id):
        return is_picture(shape)
    if matlab.is_no_array(file.attribute(node, matlab.MATLAB_CLASS)) or is_palette(file, node):
        return False
    if is_picture(shape):
        return True
    if not any(h5py.h5a.exists(node.id, mark) for mark in _MARKS):
        return False
    roles = named_roles(axis_notes(file, path, node).names, shape)
    return roles is not None and bool(min(shape[roles.index("y")], shape[roles.index("x")]) > 1)


# ---- the choice ----------------------------------------------------------------------------


def chosen(file: HDF5File, inner: str, known: Choices) -> Candidate | nwb.Series:
    """The dataset at a path inside the file, else what the file calls its image, else the largest.

    It is a `nwb.Series` if its images are in pictures or videos that may be read. Raises
    `DatasetNotFoundError` if there is nothing at the path, `UnsupportedError` if nothing can be shown,
    `UntrustedReferenceError` if it is in another file that may not be read.
    """
    if inner.strip("/"):
        return _at(file, "/" + inner.strip("/"), known, _MOST_FILES)
    signal = nexus.default_signal(file) if not nwb.is_nwb(file) else None
    if signal is not None and (main := _default_of(file, signal, known)) is not None:
        return main
    if known.candidates:
        return known.candidates[0]
    if known.external and file.others.allowed:
        return known.external[0]
    raise UnsupportedError(_nothing(file, known))


def _default_of(file: HDF5File, signal: str, known: Choices) -> Candidate | None:
    """The dataset that a NeXus file plots by default; None if that is no picture but a curve."""
    import h5py

    found = file.follow(signal)
    if isinstance(found, Elsewhere):
        return _elsewhere(file, found, signal)
    if not isinstance(found, h5py.Dataset) or not is_picture(found.shape or ()):
        return None
    return Candidate(facts(file, signal, found), found, file, is_main=True)


def _elsewhere(file: HDF5File, found: Elsewhere, path: str, hops: int = _MOST_FILES) -> Candidate:
    """The dataset in another file that a link leads to."""
    where = f"{file.name}: {path!a}"
    if not hops:
        raise LimitExceededError(f"{where} leads from file to file in a loop")
    other = file.other(found.file, where)
    picked = _at(other, found.path, Choices((), ()), hops - 1)
    if isinstance(picked, nwb.Series):
        raise UnsupportedError(f"{where} is an image series that another file describes: open that file")
    return picked._replace(at=path)


def _at(file: HDF5File, path: str, known: Choices, hops: int) -> Candidate | nwb.Series:
    import h5py

    series = _series_at(file, path)
    if series is not None:
        if series.files and file.others.allowed:
            return series
        nwb.refuse_external(file, series)
        return _of_series(file, series)
    node = file.follow(path)
    if node is None:
        raise DatasetNotFoundError(f"{file.name} does not contain {path!a}{_offered(known)}")
    if isinstance(node, Elsewhere):
        return _elsewhere(file, node, path, hops)
    if isinstance(node, h5py.Group) and (masks := nwb_images.masks_of(file, node)):
        path, node = f"{path}/{masks}", file.node(masks, node)
    if isinstance(node, h5py.Dataset):
        picture = nwb_images.picture_of(file, path, node)
        return Candidate(nwb_images.picture_facts(file, picture, path, node), node, file, picture=picture)
    below = catalogue(file, path)
    if not below.candidates:
        raise UnsupportedError(f"{file.name}::{path} is a group without images{_offered(known)}")
    return below.candidates[0]


def _series_at(file: HDF5File, path: str) -> nwb.Series | None:
    """The image series with its group, or its pixels, at a path."""
    import h5py

    parent, _, name = path.rpartition("/")
    for place in (path, *([parent] if name == "data" else [])):
        group = file.follow(place or "/")
        if isinstance(group, h5py.Group):
            return nwb.series_of(file, place, group)
    return None


def _nothing(file: HDF5File, known: Choices) -> str:
    if known.notes:
        return f"{file.name} contains nothing that can be shown. {_several(known.notes)}"
    if nwb.is_nwb(file):
        other = [candidate.facts for candidate in _all_plain(file, "", WALK_SECONDS).candidates]
        which = f" It contains {_listed(other)}; to open one of them, use FILE::/PATH" if other else ""
        return f"{file.name} contains no image series (TwoPhotonSeries, OnePhotonSeries, ImageSeries).{which}"
    return (
        f"{file.name} contains no numeric dataset with 2 to {MAX_AXES} axes and more than one row and column"
    )


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
    others = [candidate.facts for candidate in known.candidates if candidate.path != shown]
    if not others:
        return known.notes[:_SHOWN]
    return (
        f"{file.name}: showing {shown}; open the others as FILE::/PATH: {_listed(others)}",
        *known.notes[:_SHOWN],
    )


def described(candidate: Candidate) -> HDF5Image:
    """Interpret a candidate as an image. Raises `UnsupportedError` if it cannot be shown."""
    known, file = candidate.facts, candidate.described_in or candidate.file
    where = f"{file.name}::{candidate.path}"
    if not math.prod(known.shape):
        raise UnsupportedError(f"{where} is empty: its shape is {known.shape}")
    if candidate.series is not None:
        return nwb.series_image(file, candidate.series, known)
    if candidate.picture is not None:
        return nwb_images.picture_image(file, candidate.picture, known, candidate.node)
    return plain_image(file, known, candidate.node, where, (file.others.options or {}).get(AXES_OPTION, ""))
