"""An open array, and one that tensorstore reads; planes are read in their stored order."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    PlaneNotStoredError,
    UnsupportedError,
)
from ..missing import LOOKS, LOOKS_REMOTE
from .array_in_chunks import ZarrInChunks, shares_chunks
from .chunk_files import files_of, version_of_selection
from .chunk_grid import plane_chunk, selection_of, upright
from .growing import check_complete, is_expected_to_grow, is_fill, not_written_yet
from .missing_chunks import Looked, MissingPlanes, first_in_folder, first_on_server, is_any_in_folder
from .tensorstore_context import delivered
from .tensorstore_errors import (
    ChunkMissingError,
)
from .whole_chunks import WholeChunks, whole_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import tensorstore as ts

    from ...model import PlaneKey, Region
    from ...storage.trees.recording import OneLook, RecordingTree
    from .nodes import ZarrImage
    from .tensorstore_context import TensorStoreContext


_MOST_BLANK = 8
"""So many planes that are blank are looked into for one that is not; the next one counts as written."""


class OpenArray(ABC):
    """One open array; any thread."""

    def __init__(self, image: ZarrImage, native: TensorStoreContext) -> None:
        self.image = image
        self.record: RecordingTree | None = None
        """What was looked at to describe it."""
        self._native = native
        self._generation = native.generation  # before it is opened: a context renewed meanwhile is noticed
        self._activity = native.activity(image)
        self._missing = MissingPlanes(image, self.is_being_written, self._first_written)

    def holds(self, key: PlaneKey, p_index: int | None) -> bool:
        """Whether the plane is within the array as of when it was opened."""
        return self.image.holds(key, p_index)

    def index(self, key: PlaneKey, p_index: int | None) -> tuple[int, ...]:
        """The plane's index along the leading roles t, p, c, z; the caller has checked `holds`."""
        if p_index is None and self.image.size("p") > 1:
            raise UnsupportedError(
                f"{self.image.array} contains {self.image.size('p')} positions where one image is expected"
            )
        return key.t, p_index or 0, key.c, key.z

    def is_being_written(self) -> bool:
        """Whether somebody writes the array; if that is followed, also what was made just now counts."""
        return self._activity.is_on() or (self._is_followed and is_expected_to_grow(self.image))

    @property
    def _is_followed(self) -> bool:
        return self._native.followed and not self._native.remote

    def is_outdated(self) -> bool:
        """Whether it is to be opened anew, as data on the server may have changed or a read of it hangs."""
        return self._generation != self._native.generation

    def is_current(self, look: OneLook) -> bool:
        """Whether reading its metadata again in a look would give the same, as far as can be told cheaply."""
        return self.record is not None and self.record.is_current(look)

    def version(self, index: tuple[int, ...]) -> str | None:
        """See `Source.versions`."""
        return None

    def files(self, index: tuple[int, ...], most: int) -> list[str]:
        """The files of a plane on a server, or so many of them; none where it is not stored in files."""
        return []

    def look_up(self, index: tuple[int, ...]) -> bool | None:
        """Whether anything of the plane is stored; None if not all of its chunks were asked for."""
        return self._missing.is_there(index)

    @abstractmethod
    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """The pixels (Y, X) at (t, p, c, z), in stored order; only those of `region`, if given.

        Raises `PlaneNotStoredError` if nothing of them is stored, another `DatasetError`.
        """

    @abstractmethod
    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """Which of some planes (t, p, c, z) is the first of which anything is stored."""

    def read_any(self, selection: tuple[int | slice, ...]) -> np.ndarray:
        """A selection of any number of planes, on each axis; what is missing is the fill value."""
        raise UnsupportedError(f"{self.image.array}: only planes can be read")

    def is_fresh(self, index: tuple[int, ...]) -> bool:
        """Whether the plane may come into chunks, shared with others, written within the last seconds."""
        return self._may_be_blank and self._native.shared.is_fresh(self._in_chunks, index)

    def _first_written(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """`_first_stored`, without planes that are the fill value all over in chunks with others."""
        if not self._may_be_blank:
            return self._first_stored(indices)
        passed = 0
        for _ in range(_MOST_BLANK):
            found = self._first_stored(indices[passed:]).found
            if found is None:
                return Looked(None)
            passed += found
            if self._native.shared.is_blank(self._in_chunks, indices[passed]) is not True:
                return Looked(passed)
            passed += 1
        return Looked(passed if passed < len(indices) else None)

    @property
    def _in_chunks(self) -> ZarrInChunks:
        return ZarrInChunks(self.image, lambda: self.read_any)

    @functools.cached_property
    def _may_be_blank(self) -> bool:
        """Whether a plane may be the fill value only because others in its chunks were written."""
        return not self._native.remote and not self.image.meta.complete and shares_chunks(self.image)

    def _check_written(self, pixels: np.ndarray, index: tuple[int, ...]) -> None:
        """Raise `PlaneNotStoredError` for a plane that is fill value, if that is because nobody wrote it."""
        if not self._may_be_blank or not is_fill(pixels, self.image):
            return
        if self._is_followed:
            error = not_written_yet(pixels, self._selection(index), self.image, self.read_any)
            if error is not None:
                raise error
        if self._native.shared.is_blank(self._in_chunks, index):
            error = self._missing.blank_error(index)
            if not error.is_fill_value:
                raise error

    def _selection(self, index: tuple[int, ...], region: Region | None = None) -> tuple[int | slice, ...]:
        return selection_of(self.image, index, region)

    def _upright(self, pixels: np.ndarray) -> np.ndarray:
        return upright(pixels, self.image)


class StoreArray(OpenArray):
    """An array that tensorstore reads in place."""

    def __init__(self, image: ZarrImage, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        self._guard = native.guard(image)
        self._store = native.open(image, fill_missing=False)
        self._missing.looks = LOOKS_REMOTE if native.remote else LOOKS

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`."""
        selection = self._selection(index, region)
        whole = self._whole_chunks if region is None else None
        pixels = None if whole is None else whole.read(selection, self.record)
        if pixels is None:
            pixels = self._read_by_tensorstore(index, selection, is_whole=region is None)
        if region is None:
            self._check_written(pixels, index)
        self._missing.note(index)
        return self._upright(pixels)

    @functools.cached_property
    def _whole_chunks(self) -> WholeChunks | None:
        """What reads planes without tensorstore; None if they are not one chunk each, or it knows more."""
        return whole_chunks(self.image, self._native.links(self.image))

    def _read_by_tensorstore(
        self, index: tuple[int, ...], selection: tuple[int | slice, ...], *, is_whole: bool
    ) -> np.ndarray:
        """A plane, or a part of it: strict, then lenient if some chunks exist."""
        if self._guard is not None:
            self._guard.check(selection)
        view = self._store[selection]
        try:
            return self._native.read(view, self.image, in_one_piece=is_whole and self._is_in_one_chunk)
        except ChunkMissingError as missing:
            self._native.check_refusal(missing)
            found = self._read_if_any(view, index, selection, is_whole=is_whole)
            if found is None and (is_whole or not self._missing.is_partly_stored(index)):
                raise self._missing.error(index, missing) from missing
            if self._is_followed:
                check_complete(self._selection(index), self.image)
            fill, dtype = self.image.fill_value, self.image.facts.dtype
            return np.full(view.shape, fill, dtype) if found is None else found

    @functools.cached_property
    def _is_in_one_chunk(self) -> bool:
        """Whether each plane is in one chunk of a local array."""
        rows, columns = plane_chunk(self.image)
        height, width = self.image.plane_shape
        return not self._native.remote and rows >= height and columns >= width

    def read_any(self, selection: tuple[int | slice, ...]) -> np.ndarray:
        """See `OpenArray.read_any`."""
        if self._guard is not None:
            self._guard.check(selection)
        return self._native.read_all(self._native.open(self.image, fill_missing=True)[selection], self.image)

    def _read_if_any(
        self,
        view: ts.TensorStore,
        index: tuple[int, ...],
        selection: tuple[int | slice, ...],
        *,
        is_whole: bool,
    ) -> np.ndarray | None:
        """A plane, or a part of it, with missing chunks; None if all of them are."""
        if not _has_several_chunks(view):
            return None
        if not self._native.remote and not is_any_in_folder(selection, self.image):
            return None
        try:
            return self._read_partial(view, index, selection)
        except PlaneNotStoredError:
            if is_whole:
                raise
            return None

    def _read_partial(
        self, view: ts.TensorStore, index: tuple[int, ...], selection: tuple[int | slice, ...]
    ) -> np.ndarray:
        """A plane with missing chunks: those are fill value, unless nothing at all is stored."""
        if self._native.remote:
            return self._read_chunk_by_chunk(view, index)
        lenient = self._native.open(self.image, fill_missing=True)[selection]
        pixels = self._native.read(lenient, self.image)
        if _is_all(pixels, view.fill_value):
            if not self._any_chunk_stored(view):
                raise self._missing.error(index)
            pixels = self._native.read(lenient, self.image)  # it may have come, or come back, in between
        return pixels

    def _any_chunk_stored(self, view: ts.TensorStore) -> bool:
        for rows, columns in _tiles(view):
            try:
                # reading one pixel reads its chunk; more would only be copied
                pixel = view[rows.start : rows.start + 1, columns.start : columns.start + 1]
                self._native.read(pixel, self.image)
            except ChunkMissingError:
                continue
            return True
        return False

    def _read_chunk_by_chunk(self, view: ts.TensorStore, index: tuple[int, ...]) -> np.ndarray:
        """Like `_read_partial` from a server, which may deny missing chunks; all chunks at once."""
        fill = 0 if view.fill_value is None else view.fill_value
        pixels = np.full(view.shape, fill, view.dtype.numpy_dtype)
        top, left = view.domain.inclusive_min
        reads = [(tile, self._native.begin(view[tile])) for tile in _tiles(view)]
        missing: ChunkMissingError | None = None
        stored = False
        for (rows, columns), (chunk, future) in reads:
            try:
                self._native.finish(future, self.image)
            except ChunkMissingError as error:
                missing = error
                continue
            stored = True
            pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = chunk
        if not stored:
            raise self._missing.error(index, missing)
        return delivered(pixels, self.image)

    def version(self, index: tuple[int, ...]) -> str | None:
        """See `Source.versions`; None on a server."""
        return None if self._native.remote else version_of_selection(self._selection(index), self.image)

    def files(self, index: tuple[int, ...], most: int) -> list[str]:
        """See `OpenArray.files`."""
        return list(files_of(self._selection(index), self.image, most, "/"))

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`."""
        selections = [self._selection(index) for index in indices]
        if self._native.remote:
            return first_on_server(selections, self._store, self.image, self._native)
        return first_in_folder(selections, self._store, self.image, self._native)


def _is_all(pixels: np.ndarray, fill: Any) -> bool:
    value = np.asarray(0 if fill is None else fill).astype(pixels.dtype)
    return bool(((pixels == value) | ((pixels != pixels) & (value != value))).all())  # NaN equals NaN here


def _has_several_chunks(view: ts.TensorStore) -> bool:
    return any(len(parts) > 1 for parts in _cuts(view))


def _cuts(view: ts.TensorStore) -> tuple[list[slice], list[slice]]:
    """How the chunks of an array divide the rows and columns of a two-dimensional view of it."""
    parts = view.chunk_layout.read_chunk.shape or (None, None)
    rows, columns = (
        [
            slice(max(at, start), min(at + step, stop))
            for at in range(start // step * step, stop, step)  # chunk grids begin at 0
        ]
        for start, stop, step in (
            (axis.inclusive_min, axis.exclusive_max, part or axis.exclusive_max)
            for axis, part in zip(view.domain, parts, strict=True)
        )
    )
    return rows, columns


def _tiles(view: ts.TensorStore) -> Iterable[tuple[slice, slice]]:
    rows, columns = _cuts(view)
    return itertools.product(rows, columns)
