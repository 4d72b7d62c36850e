"""Reads GIFs and WebPs that hold several pictures: each is made from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...errors import PlaneNotStoredError
from ...storage.bytes_pool import whole
from ...storage.decoding.animations import frames_of, may_have_frames
from ...storage.decoding.pictures import decoded_frames, picture_in
from ...storage.memory_cache import MemoryCache, nbytes

if TYPE_CHECKING:
    import numpy as np

    from ...storage.bytes import Bytes
    from ...storage.decoding.animations import Animation

_KEPT_BYTES = 128 * 1024**2
_MOST_REMEMBERED_FILES = 1000
_TOGETHER_BYTES = 32 * 1024**2
"""Pictures of this size are decoded, and kept, together."""


class _Framed(NamedTuple):
    n: int
    together: int


class FramedPictures:
    """The pictures in files, each file by a key for its version; any thread."""

    def __init__(self) -> None:
        self._files: MemoryCache[str, _Framed] = MemoryCache(_MOST_REMEMBERED_FILES)
        self._kept: MemoryCache[tuple[str, int], np.ndarray] = MemoryCache(_KEPT_BYTES, nbytes)

    def count(self, key: str, file: Bytes) -> int:
        """How many pictures are in a file; of one of other formats 1."""
        return self._framed(key, file).n if may_be_framed(file) else 1

    def read(self, key: str, file: Bytes, plane: int) -> np.ndarray:
        """One of the pictures; raises `PlaneNotStoredError` if there are not so many, or a `DatasetError`."""
        n, together = self._framed(key, file)
        check_number(file, plane, n)
        block, at = divmod(plane, together)
        wanted = (key, block)
        kept = self._kept.get(
            [wanted],
            lambda _: [(wanted, decoded_frames(whole(file), file.name, block * together, together))],
        )[wanted]
        is_intact = at < len(kept)
        one: np.ndarray = kept[at] if is_intact else decoded_frames(whole(file), file.name, plane, 1)[0]
        return one

    def _framed(self, key: str, file: Bytes) -> _Framed:
        def looked_at() -> _Framed:
            n = len(frames_in(file).durations_ms)
            with file.opened() as opened:
                size = picture_in(opened, file.name).nbytes
            return _Framed(n, max(1, _TOGETHER_BYTES // size))

        return self._files.get([key], lambda _: [(key, looked_at())])[key]

    def clear(self) -> None:
        """Forget everything."""
        self._files.clear()
        self._kept.clear()


def may_be_framed(file: Bytes) -> bool:
    """Whether a file is of a format that may hold several pictures."""
    return may_have_frames(file.read(0, min(16, file.size)))


def frames_in(file: Bytes) -> Animation:
    """What is known of the pictures of a file that `may_be_framed`."""
    return frames_of(whole(file))


def check_number(file: Bytes, plane: int, n: int) -> None:
    """Raise `PlaneNotStoredError` for a picture that a file of `n` does not have."""
    if not 0 <= plane < n:
        raise PlaneNotStoredError(f"{file.name} contains {n} pictures: there is no number {plane}")
