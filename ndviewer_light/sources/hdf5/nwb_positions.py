"""All images of an NWB file as positions: its series, and its single images after them.

Each is opened when something of it is first needed. On a server no more is read of the others than was seen
when they were found: their sizes, not what their imaging planes say.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...errors import DatasetError, PlaneNotStoredError
from ...metadata.nwb_contents import NwbImagePath, in_order, nwb_positions
from ...metadata.nwb_series import looks_like_colour
from ...model import ImageInfo, PlaneKey, channel_in, how_many, in_known_colours
from ...storage.about_files import with_position
from ..source import MAX_FILES_LOOKED_AT
from .choices import Candidate, Choices, chosen, described
from .images import dataset_info, rgb_channels
from .snapshot import MOST_NOTES, Snapshot, name_of_image, paths_of_masks, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np

    from ...model import DatasetInfo, Region
    from ...storage.file_holes import Stretch
    from .file import HDF5File
    from .planes_in_chunks import HDF5InChunks
    from .snapshot import OpenRequest

    OpenOne = Callable[[HDF5File, OpenRequest, Choices, Candidate], Snapshot]


_Answer = TypeVar("_Answer")


class _InImage(NamedTuple):
    """A dataset of the image of a position."""

    p: int
    dataset: Hashable


def images_of(known: Choices) -> list[Candidate]:
    """The series and single images among what a file contains, in the order of its positions."""
    found = {
        (each.series.path if each.series else each.path): each
        for each in known.candidates
        if each.series is not None or (each.picture is not None and not each.is_of_masks)
    }
    paths = (
        NwbImagePath(path, math.prod(each.facts.shape), each.series is None) for path, each in found.items()
    )
    return [found[each.path] for each in in_order(paths)]


class NwbPositionsSnapshot(Snapshot):
    """Several images of an NWB file. Any thread."""

    def __init__(
        self,
        file: HDF5File,
        request: OpenRequest,
        known: Choices,
        images: Sequence[Candidate],
        open_one: OpenOne,
    ) -> None:
        """`known` is what the file contains, `open_one` opens one of `images`; within `HDF5File.reading`."""
        super().__init__(file)
        self.inner = request.inner
        self.evidence = f"{how_many(len(images), 'image')} found by their NWB types"
        self.images = tuple(images)
        self.known = known
        self._request = request._replace(before=None)
        self._open_one = open_one
        self._shots: dict[int, Snapshot] = {}  # added to within `HDF5File.reading`, one thread at a time
        self._learned: set[int] = set()  # the same
        self.info = self._described(request)

    @classmethod
    def again(
        cls, file: HDF5File, request: OpenRequest, before: NwbPositionsSnapshot
    ) -> NwbPositionsSnapshot:
        """The same images in the file as it is now; within `HDF5File.reading`."""
        found = [chosen(file, each.path, Choices((), ())) for each in before.images]
        images = [each for each in found if isinstance(each, Candidate)]
        return cls(file, request, before.known, images, before._open_one)

    # ---- what is known of them ---------------------------------------------------------------

    def _described(self, request: OpenRequest) -> DatasetInfo:
        p, info = self._first_that_can_be_shown()
        path, masks = request.path, paths_of_masks(request.path, self.known)
        info = dataclasses.replace(
            info,
            name=name_of_image(path, request.inner),
            positions=nwb_positions([_group_of(each) for each in self.images]),
            first_position=p,
            choices=(path, *masks) if masks else (),
            labels=paths_of_masks(path, self.known, (info.height, info.width)),
            warnings=(
                *(with_position(each, p) for each in info.warnings),
                *unfinished(self.file),
                *self.known.notes[:MOST_NOTES],
            ),
        )
        self._learned.add(p)
        others = [other for other in range(len(self.images)) if other != p]
        if not self.file.is_remote:
            for other in others[:MAX_FILES_LOOKED_AT]:
                with contextlib.suppress(DatasetError):  # reading its planes says why
                    info = self._with_image(info, other)
        usual = info.image(p)
        left = {other: _by_shape(self.images[other], usual) for other in others if other not in self._learned}
        info = info.with_images(left, assumed=True)
        before = request.before
        return before.info if before is not None and before.info == info else info

    def _first_that_can_be_shown(self) -> tuple[int, DatasetInfo]:
        """The first image that can be shown, and what is known of it; raises the first error if none can."""
        errors = []
        for p, image in enumerate(self.images):
            try:
                return p, _info_of(image)
            except DatasetError as error:
                errors.append(error)
        raise errors[0]

    def _with_image(self, info: DatasetInfo, p: int) -> DatasetInfo:
        """The info with what position `p` contains; within `HDF5File.reading`."""
        own = _info_of(self.images[p])
        self._learned.add(p)
        image = own.image(0)
        image = dataclasses.replace(image, channels=in_known_colours(image.channels, info.channels))
        new = tuple(with_position(each, p) for each in own.warnings)
        return dataclasses.replace(info, warnings=(*info.warnings, *new)).with_image(p, image)

    def image(self, p: int) -> ImageInfo:
        """See `Snapshot.image`: what the file says of it is read the first time."""
        if p not in self._learned and 0 <= p < len(self.images):
            self.file.use("what it contains", lambda: self._learn(p))
        return self.info.image(p)

    def _learn(self, p: int) -> None:
        if p not in self._learned:  # within `HDF5File.reading`: one thread at a time
            self.info = self._with_image(self.info, p)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Snapshot.labels`."""
        image = self.info.image(p)
        return paths_of_masks(self._request.path, self.known, (image.height, image.width))

    # ---- one of them -------------------------------------------------------------------------

    def _shot(self, p: int) -> Snapshot:
        """The image of a position, opened if it was not yet; blocks on disk or network."""
        shot = self._shots.get(p)
        if shot is not None:
            return shot
        if not 0 <= p < len(self.images):
            raise IndexError(f"no position {p} in {self.file.name}")
        self.image(p)

        def opened() -> Snapshot:
            found = self._shots.get(p)
            if found is None:
                one = self.images[p]
                request = self._request._replace(inner=one.path)
                found = self._shots[p] = self._open_one(self.file, request, Choices((), ()), one)
            return found

        return self.file.use("its datasets", opened)

    def _own(self, key: PlaneKey) -> tuple[Snapshot, PlaneKey]:
        """The image of a plane, and its key there. Raises `PlaneNotStoredError` if it has none."""
        if not self.info.contains(key):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {self.info.sizes}")
        shot, info = self._shot(key.p), self.info
        image, label = info.image(key.p), info.positions[key.p].label
        c = channel_in(image.channels, info.channels, key.c)
        if c is None:
            raise PlaneNotStoredError(
                f"{self.file.name}: {label} has no channel {info.channels[key.c].name!r}"
            )
        if key.t >= image.n_t or key.z >= image.n_z:
            raise PlaneNotStoredError(
                f"{self.file.name}: {label} has no plane at t {key.t}, z {key.z}: its sizes are {image.sizes}"
            )
        return shot, key._replace(p=0, c=c)

    def tile_shape(self, p: int, level: int) -> tuple[int, int] | None:
        """See `Snapshot.tile_shape`."""
        return self._shot(p).tile_shape(0, level)

    def read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """See `Snapshot.read`."""
        shot, own = self._own(key)
        return shot.read(own, level, region)

    def is_stored(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.is_stored`; on a server not known of images that were not opened."""
        if self.file.is_remote and key.p not in self._shots:
            return None
        return self._asked(key, lambda shot, own: shot.is_stored(own), None)

    def looks_up(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.looks_up`."""
        shot, own = self._own(key)
        return shot.looks_up(own)

    def has_room_ahead(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.has_room_ahead`."""
        return self._asked(key, lambda shot, own: shot.has_room_ahead(own, level), False)

    def stretches(self, keys: Sequence[PlaneKey], level: int) -> list[tuple[Stretch, ...]]:
        """See `Snapshot.stretches`."""
        return [
            self._asked(PlaneKey(*key), lambda shot, own: shot.stretches([own], level)[0], ()) for key in keys
        ]

    def place(self, key: PlaneKey, level: int) -> tuple[Hashable, tuple[int, ...]] | None:
        """See `Snapshot.place`."""
        shot, own = self._own(key)
        found = shot.place(own, level)
        return None if found is None else (_InImage(key.p, found[0]), found[1])

    def in_chunks(self, dataset: Any) -> AbstractContextManager[HDF5InChunks | None]:
        """See `Snapshot.in_chunks`."""
        assert isinstance(dataset, _InImage)
        return self._shot(dataset.p).in_chunks(dataset.dataset)

    def is_partly_stored(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.is_partly_stored`."""
        return self._asked(key, lambda shot, own: shot.is_partly_stored(own, level), False)

    def version(self, key: PlaneKey, level: int) -> str | None:
        """See `Snapshot.version`."""
        shot = self._shots.get(key.p)
        return None if shot is None else shot.version(key._replace(p=0, c=0), level)

    def acquired_s(self, key: PlaneKey) -> float | None:
        """See `Snapshot.acquired_s`."""
        return self._asked(key, lambda shot, own: shot.acquired_s(own), None)

    def note(self, key: PlaneKey) -> None:
        """See `Snapshot.note`."""
        shot, own = self._own(key)
        shot.note(own)

    def missing(
        self,
        key: PlaneKey,
        level: int,
        error: PlaneNotStoredError,
        is_being_written: Callable[[], bool],
        is_written: Callable[[PlaneKey], bool],
    ) -> PlaneNotStoredError:
        """See `Snapshot.missing`: by what else of the same image is stored."""
        try:
            shot, own = self._own(key)
        except PlaneNotStoredError as no_channel:
            return no_channel
        channels = self.info.channels_of(self.info.image(key.p))

        def is_written_here(other: PlaneKey) -> bool:
            return is_written(other._replace(p=key.p, c=channels[other.c]))

        return shot.missing(own, level, error, is_being_written, is_written_here)

    def _asked(
        self, key: PlaneKey, asked: Callable[[Snapshot, PlaneKey], _Answer], otherwise: _Answer
    ) -> _Answer:
        try:
            return asked(*self._own(key))
        except (PlaneNotStoredError, IndexError):
            return otherwise

    @property
    def is_near(self) -> bool:
        """See `Snapshot.is_near`."""
        return not self.file.is_remote

    @property
    def fill(self) -> np.generic:
        """See `Snapshot.fill`: of the image that is shown first."""
        return self._shot(self.info.first_position).fill

    def close(self) -> None:
        """See `Snapshot.close`."""
        for shot in list(self._shots.values()):
            shot.close()
        self.file.close()


def _group_of(image: Candidate) -> str:
    """The path of a series, or of a single image."""
    return image.series.path if image.series is not None else image.path


def _info_of(image: Candidate) -> DatasetInfo:
    """What is known of one image. Raises a `DatasetError` if it cannot be shown."""
    return dataset_info(described(image), "", f"{image.file.name}::{image.path}")


def _by_shape(image: Candidate, usual: ImageInfo) -> ImageInfo:
    """What an image contains as far as its shape says it; its channels are assumed to be the usual ones."""
    shape, dtype = image.facts.shape, image.facts.dtype
    series = image.series
    has_t = series is not None and len(shape) > 2
    rgb = looks_like_colour(series.type, shape, dtype) if series is not None else len(shape) > 2
    x, y = shape[1:3] if has_t else shape[:2]
    return ImageInfo(
        channels=rgb_channels(dtype) if rgb else usual.channels[:1],
        n_t=shape[0] if has_t else 1,
        n_z=shape[3] if len(shape) == 4 and not rgb else 1,
        height=y,
        width=x,
        dtype=dtype,
    )
