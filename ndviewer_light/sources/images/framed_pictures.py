"""Reads GIFs and WebPs that hold several pictures: each is made from those before it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from ...errors import PlaneNotStoredError
from ...storage.bytes_pool import whole
from ...storage.decoding.animations import frames_of, may_have_frames
from ...storage.decoding.pictures import decoded_frames, orientation_in, picture_in
from ...storage.memory_cache import MemoryCache, nbytes

if TYPE_CHECKING:
    import numpy as np

    from ...storage.bytes import Bytes
    from ...storage.decoding.animations import Animation
    from ...storage.decoding.pictures import Picture

_KEPT_BYTES = 128 * 1024**2
_MOST_REMEMBERED_FILES = 1000
_TOGETHER_BYTES = 32 * 1024**2
"""Pictures of this size are decoded, and kept, together."""


class FramedFile(NamedTuple):
    """What is known of a file that may hold several pictures: one of them, and when they are shown."""

    picture: Picture
    animation: Animation
    orientation: object

    @property
    def n(self) -> int:
        """How many pictures there are."""
        return len(self.animation.durations_ms)

    @property
    def together(self) -> int:
        """How many are decoded at once."""
        return max(1, _TOGETHER_BYTES // self.picture.nbytes)


class FramedPictures:
    """The pictures in files, each file by a key for its version; any thread."""

    def __init__(self) -> None:
        self._files: MemoryCache[str, FramedFile] = MemoryCache(_MOST_REMEMBERED_FILES)
        self._contents: MemoryCache[str, bytes] = MemoryCache(_TOGETHER_BYTES, len)
        self._kept: MemoryCache[tuple[str, int], np.ndarray] = MemoryCache(_KEPT_BYTES, nbytes)

    def known(self, key: str, file: Bytes) -> FramedFile | None:
        """What is known of a file; None of other formats."""
        if not may_have_frames(file.read(0, min(16, file.size))):
            return None
        return self._files.get([key], lambda _: [(key, _looked_at(self.content(key, file), file.name))])[key]

    def read(self, key: str, file: Bytes, known: FramedFile, plane: int) -> np.ndarray:
        """One of the pictures; raises `PlaneNotStoredError` if there are not so many, or a `DatasetError`."""
        check_number(file.name, plane, known.n)
        together = known.together
        block, at = divmod(plane, together)
        wanted = (key, block)
        kept = self._kept.get(
            [wanted],
            lambda _: [(wanted, self._decoded(key, file, block * together, together))],
        )[wanted]
        one: np.ndarray = kept[at] if at < len(kept) else self._decoded(key, file, plane, 1)[0]
        return one

    def _decoded(self, key: str, file: Bytes, first: int, n: int) -> np.ndarray:
        return decoded_frames(self.content(key, file), file.name, first, n)

    def content(self, key: str, file: Bytes) -> bytes:
        """The whole file, which is read once while it is in use."""
        return self._contents.get([key], lambda _: [(key, whole(file))])[key]

    def clear(self) -> None:
        """Forget everything."""
        self._files.clear()
        self._contents.clear()
        self._kept.clear()


def _looked_at(data: bytes, name: str) -> FramedFile:
    picture = picture_in(io.BytesIO(data), name)
    return FramedFile(picture, frames_of(data), orientation_in(io.BytesIO(data), name))


def check_number(name: str, plane: int, n: int) -> None:
    """Raise `PlaneNotStoredError` for a picture that a file of `n` does not have."""
    if not 0 <= plane < n:
        raise PlaneNotStoredError(f"{name} contains {n} pictures: there is no number {plane}")
