"""Memory through which the reader process hands decoded planes to the viewer.

A slot is an unnamed memory file, inherited by the reader, which maps it. A faulty reader must not make the
viewer access memory that does not exist: so the viewer maps the file only where the system promises that it
never becomes smaller (a seal, ``memfd_create(2)``), and reads it like any other file elsewhere.
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


def _never_shrinks(fd: int) -> bool:
    """Have the system refuse to make a file smaller, whoever has it open; whether it does."""
    try:
        import fcntl

        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    except (ImportError, AttributeError, OSError):  # not Linux, or not a memory file
        return False
    return True


class OwnedSlot:
    """The viewer's end of a slot: creates the file and copies planes out of it."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._map: mmap.mmap | None = None
        if hasattr(os, "memfd_create"):
            fd = _not_standard(os.memfd_create("ndviewer-plane", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            self._file: Any = os.fdopen(fd, "r+b", buffering=0)
        elif sys.platform == "win32":
            handle, self._path = tempfile.mkstemp(prefix="ndviewer-plane-")
            self._file = os.fdopen(handle, "r+b", buffering=0)
        else:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._can_be_mapped = _never_shrinks(self._file.fileno())

    @property
    def address(self) -> int | str:
        """How the reader opens it: an inherited file descriptor, or a path on Windows."""
        return self._path if self._path is not None else self._file.fileno()

    def copy_out(self, shape: tuple[int, ...], dtype: np.dtype, *, transposed: bool = False) -> np.ndarray:
        """Return a new C-contiguous array with the reader's data, or with their transpose.

        Raises `OSError` if it is short, `LimitExceededError` if it is larger than any plane.
        """
        from ..engine.transpose import copy_into  # here, as numpy takes long: the process is started before
        from ..storage.freed_memory import array_of_its_own

        nbytes = _checked_nbytes(shape, dtype)
        size = min(os.fstat(self._file.fileno()).st_size, MAX_PLANE_BYTES)  # the reader may make it any size
        if size < nbytes:
            raise OSError(f"{nbytes - size} of {how_many(nbytes, 'byte')} are missing")
        is_mapped = self._can_be_mapped and nbytes > 0
        stored = self._mapped(shape, dtype, size) if is_mapped else self._read(shape, dtype)
        if not (is_mapped or transposed):
            return stored
        pixels = array_of_its_own(shape[::-1] if transposed else shape, dtype)
        copy_into(pixels, stored.T if transposed else stored, n_threads=2)
        return pixels

    def _mapped(self, shape: tuple[int, ...], dtype: np.dtype, size: int) -> np.ndarray:
        """What is in the file, of `size` bytes, where it is: until the reader uses the slot again."""
        import numpy as np

        shared = self._map
        if shared is None or len(shared) < size:  # it is freed with the last array over it
            self._map = shared = mmap.mmap(self._file.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
        return np.frombuffer(shared, dtype, math.prod(shape)).reshape(shape)

    def _read(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        import numpy as np

        from ..storage.freed_memory import array_of_its_own

        pixels = array_of_its_own(shape, dtype)
        buffer = memoryview(pixels.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        self._file.seek(0)
        while len(buffer):
            n = self._file.readinto(buffer)
            if not n:
                raise OSError(f"{how_many(len(buffer), 'byte')} of a plane are missing")
            buffer = buffer[n:]
        return pixels

    def close(self) -> None:
        """Close the file; the memory is freed when the reader has closed it as well."""
        self._map = None
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
