"""One array in many pieces along its first axis, each a dataset of its own, mostly in other files.

DECTRIS detectors (EIGER, PILATUS 4) write a master file whose ``/entry/data`` has links ``data_000001``, … to
files of some frames each. Virtual datasets of HDF5 are the same, if every piece has whole frames.
Source: DECTRIS, "SIMPLON API Reference" and "NeXus/HDF5 file format"; HDF5, "Virtual Dataset".
"""

from __future__ import annotations

import contextlib
import itertools
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import (
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ...model import PlacedWarning, WarningPlace, how_many
from . import nexus
from .array import facts
from .composite import Composite, PlaneAddress
from .file import Elsewhere, HDF5File
from .images import HDF5Image, dataset_info, sane_steps, unit_factor
from .parts import PartAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py

    from ...model import Level, PlaneKey
    from .array import DatasetFacts

_NAME = re.compile(rb"data_\d{1,9}")
_MOST_PIECES = 10_000
_DETECTOR = "instrument/detector"


class Piece(NamedTuple):
    """Some frames of an array: how many, and the dataset they are in, from its frame `start` on."""

    address: PartAddress
    n: int
    start: int = 0


class PiecedImage(Composite):
    """An image whose first axis is in pieces."""

    def __init__(self, image: HDF5Image, pieces: Sequence[Piece], where: str) -> None:
        self._image = image
        self._pieces = tuple(pieces)
        self._ends = tuple(itertools.accumulate(piece.n for piece in pieces))
        self.info = dataset_info(image, "", where)
        self.evidence = image.evidence

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Composite.levels`."""
        return (self.info.image(p).level,)

    def address(self, key: PlaneKey, level: int) -> PlaneAddress | None:
        """See `Composite.address`."""
        along = key._asdict()
        first = self._image.roles[0]
        i = along[first]
        at = bisect_right(self._ends, i)
        if at == len(self._ends):
            return None
        piece = self._pieces[at]
        along[first] = piece.start + i - (self._ends[at] - piece.n)
        return PlaneAddress(piece.address, along)


# ---- masters of DECTRIS detectors: within `HDF5File.reading` -----------------------------------


def master_group(file: HDF5File) -> str | None:
    """The group whose links ``data_000001``, … are the frames of a master file; None if it is none."""
    import h5py

    for path in dict.fromkeys((*nexus.default_groups(file), *nexus.entry_data(file))):
        group = file.follow(path or "/")
        if not isinstance(group, h5py.Group):
            continue
        if any(isinstance(file.follow(name, group), Elsewhere) for name in _numbered(group)):
            return path
    return None


def master_image(file: HDF5File, path: str) -> PiecedImage:
    """The frames of a master file whose links are in the group at a path.

    Raises `UntrustedReferenceError` if they may not be followed.
    """
    group = file.node(path or "/")
    names = _numbered(group)
    where = f"{file.name}::{path}"
    pieces, first, missing, lacks = [], None, 0, None
    for name in names:
        address, known = _linked(file, f"{path}/{name}", where)
        if known is None:
            if first is None:
                raise DatasetNotFoundError(
                    f"{where}: its frames are in {address.file}, which does not exist: copy it as well"
                )
            lacks = sum(piece.n for piece in pieces) if lacks is None else lacks
            n, missing = first.shape[0], missing + 1  # each but the last has as many
        else:
            first = first or known
            if known.shape[1:] != first.shape[1:] or known.dtype != first.dtype:
                raise MetadataError(f"{where}: {name} has frames of a different size or type than {names[0]}")
            n = known.shape[0]
        pieces.append(Piece(address, n))
    if first is None:
        raise MetadataError(f"{where} has no frames")
    entry = path.rpartition("/")[0]
    said = f"{where} lacks {missing} of {how_many(len(names), 'file')} of frames"
    image = HDF5Image(
        format="hdf5",
        evidence=f"links of a detector's master file in {path}",
        roles=("t", "y", "x"),
        shape=(sum(piece.n for piece in pieces), *first.shape[1:]),
        dtype=first.dtype,
        steps=_detector_steps(file, f"{entry}/{_DETECTOR}"),
        warnings=() if lacks is None else (PlacedWarning(said, WarningPlace(t=lacks)),),
    )
    return PiecedImage(image, pieces, where)


def _numbered(group: h5py.Group) -> list[str]:
    names = sorted((raw for raw in group.id if _NAME.fullmatch(raw)), key=lambda raw: int(raw[5:]))
    if len(names) > _MOST_PIECES:
        raise LimitExceededError(f"an array in {len(names)} pieces: at most {_MOST_PIECES} are supported")
    return [raw.decode() for raw in names]


def _linked(file: HDF5File, path: str, where: str) -> tuple[PartAddress, DatasetFacts | None]:
    """Where the frames of one piece are, and what they are; None if the file does not exist yet."""
    import h5py

    found = file.follow(path)
    roles = ("t", "y", "x")
    if not isinstance(found, Elsewhere):
        if not isinstance(found, h5py.Dataset):
            raise MetadataError(f"{where}: {path!a} is not a dataset")
        return PartAddress(path, roles), _frames(facts(file, path, found), where)
    place = file.others.place(found.file, f"{where}: {path.rpartition('/')[2]!a}")
    address = PartAddress(found.path, roles, place)
    try:
        other = HDF5File(place, file.others.options)
    except DatasetNotFoundError:
        return address, None
    with contextlib.closing(other), other.reading("its frames"):
        node = other.follow(found.path)
        if not isinstance(node, h5py.Dataset):
            raise MetadataError(f"{other.name} does not contain {found.path!a}, to which {where} links")
        return address, _frames(facts(other, found.path, node), where)


def _frames(known: DatasetFacts, where: str) -> DatasetFacts:
    if len(known.shape) != 3 or not all(known.shape[1:]):
        raise UnsupportedError(f"{where}: {known.path} is {known.shape}, not (frame, y, x)")
    return known


def _detector_steps(file: HDF5File, path: str) -> dict[str, float]:
    """Pixel sizes in µm, and seconds between frames."""
    import h5py

    steps: dict[str, float | None] = {}
    for name, role in (("y_pixel_size", "y"), ("x_pixel_size", "x"), ("frame_time", "t")):
        node = file.follow(f"{path}/{name}")
        if isinstance(node, h5py.Dataset) and node.size == 1 and node.dtype.kind in "iuf":
            unit = file.attribute(node, "units") or ("s" if role == "t" else "m")
            factor = unit_factor(unit, role)
            steps[role] = float(np.asarray(node[()]).reshape(-1)[0]) * factor if factor else None
    return sane_steps(steps)


# ---- virtual datasets: within `HDF5File.reading` ------------------------------------------------


def is_virtual_elsewhere(dataset: h5py.Dataset) -> bool:
    """Whether a dataset is a virtual one of which any piece is in another file."""
    import h5py

    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return False
    return any(
        plist.get_virtual_filename(i) != "." for i in range(min(plist.get_virtual_count(), _MOST_PIECES))
    )


def virtual_image(
    main: HDF5File, file: HDF5File, image: HDF5Image, dataset: h5py.Dataset, where: str
) -> PiecedImage:
    """A virtual dataset in `file`, described as `image`; `main` is the file that was opened.

    Raises `UnsupportedError` if its pieces are not whole frames, `UntrustedReferenceError` if they are in
    files that may not be read.
    """
    plist = dataset.id.get_create_plist()
    count = plist.get_virtual_count()
    if count > _MOST_PIECES:
        raise LimitExceededError(f"{where} is a virtual dataset of {count} datasets: too many")
    others = [plist.get_virtual_filename(i) for i in range(count)]
    for name in others:
        if name != "." and not file.others.allowed:
            raise file.others.refusal(where, name)
    found = []
    for i in range(count):
        name, path = others[i], plist.get_virtual_dsetname(i)
        begin, n = _span(plist.get_virtual_vspace(i), image.shape, where)
        source = plist.get_virtual_srcspace(i)
        start, m = _span(source, source.shape, where) if source.shape else (0, n)  # () is all of it
        if n != m or "%" in name + path or source.shape[1:] not in ((), image.shape[1:]):
            raise UnsupportedError(f"{where} is a virtual dataset whose pieces are not whole frames")
        own = "" if file is main else file.others.home
        place = own if name == "." else file.others.place(name, where)
        found.append((begin, Piece(PartAddress(path, image.roles, place), n, start)))
    found.sort(key=lambda each: each[0])
    ends = itertools.accumulate((piece.n for _, piece in found), initial=0)
    if [begin for begin, _ in found] != list(ends)[:-1]:
        raise UnsupportedError(f"{where} is a virtual dataset with gaps between its pieces")
    return PiecedImage(image, [piece for _, piece in found], where)


def _span(space: h5py.h5s.SpaceID, shape: Sequence[int], where: str) -> tuple[int, int]:
    """The first frame that is selected, and how many; raises `UnsupportedError` if parts of frames are."""
    import h5py

    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return 0, shape[0]
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise UnsupportedError(f"{where} is a virtual dataset whose pieces are not whole frames")
    start, stride, count, block = space.get_regular_hyperslab()
    for axis, size in enumerate(shape):
        is_dense = count[axis] == 1 or stride[axis] == block[axis]
        if not is_dense or (axis and (start[axis], count[axis] * block[axis]) != (0, size)):
            raise UnsupportedError(f"{where} is a virtual dataset whose pieces are not whole frames")
    return int(start[0]), int(count[0] * block[0])
