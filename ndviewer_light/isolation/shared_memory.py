"""Memory through which the reader process hands decoded planes to the viewer.

A slot is an unnamed memory file, inherited by the reader: the reader maps it, the viewer reads it
like any file, so that a faulty reader cannot make the viewer access memory that does not exist.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from ..errors import LimitExceededError
from ..model import how_many
from ..storage.limits import MAX_PLANE_BYTES

if TYPE_CHECKING:
    import numpy as np


def _checked_nbytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"a plane of {shape} {dtype} takes {nbytes} bytes; at most {MAX_PLANE_BYTES} are allowed"
        )
    return nbytes


def _not_standard(fd: int) -> int:
    """The same file with a descriptor above the standard streams, which a host may have closed."""
    if fd > 2:
        return fd
    import fcntl

    other = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return other


class OwnedSlot:
    """The viewer's end of a slot: creates the file and copies planes out of it."""

    def __init__(self) -> None:
        self._path: str | None = None
        if hasattr(os, "memfd_create"):
            self._file: Any = os.fdopen(_not_standard(os.memfd_create("ndviewer-plane")), "r+b", buffering=0)
        elif sys.platform == "win32":
            handle, self._path = tempfile.mkstemp(prefix="ndviewer-plane-")
            self._file = os.fdopen(handle, "r+b", buffering=0)
        else:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    @property
    def address(self) -> int | str:
        """How the reader opens it: an inherited file descriptor, or a path on Windows."""
        return self._path if self._path is not None else self._file.fileno()

    def copy_out(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return a new C-contiguous array with the reader's data.

        Raises `OSError` if it is short, `LimitExceededError` if it is larger than any plane.
        """
        import numpy as np  # here, as it takes long: the process is started before

        from ..storage.freed_memory import array_of_its_own

        nbytes = _checked_nbytes(shape, dtype)
        pixels = array_of_its_own(shape, dtype)
        buffer = memoryview(pixels.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        self._file.seek(0)
        while len(buffer):
            n = self._file.readinto(buffer)
            if not n:
                raise OSError(f"{len(buffer)} of {how_many(nbytes, 'byte')} are missing")
            buffer = buffer[n:]
        return pixels

    def close(self) -> None:
        """Close the file; the memory is freed when the reader has closed it as well."""
        self._file.close()
        if self._path is not None:
            with contextlib.suppress(OSError):  # the reader may still have it open
                os.unlink(self._path)


class MappedSlot:
    """The reader's end of a slot: an array in shared memory, as large as the largest plane so far."""

    def __init__(self, address: int | str) -> None:
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
        self._fd = address if isinstance(address, int) else os.open(address, flags)
        self._map: mmap.mmap | None = None

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return a C-contiguous array over the slot, valid until the next call.

        Raises `LimitExceededError` if it is larger than any plane.
        """
        import numpy as np

        nbytes = _checked_nbytes(shape, dtype)
        if self._map is None or len(self._map) < nbytes:
            os.ftruncate(self._fd, max(nbytes, 1))
            self._map = mmap.mmap(self._fd, max(nbytes, 1))
        return np.frombuffer(self._map, dtype, math.prod(shape)).reshape(shape)

    def close(self) -> None:
        """Give the memory back; arrays over it may no longer be in use."""
        if self._map is not None:
            self._map.close()
        os.close(self._fd)

    def flush(self) -> None:
        """Make the data visible to the other end; only needed on Windows."""
        if sys.platform == "win32" and self._map is not None:
            self._map.flush()
