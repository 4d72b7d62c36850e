"""Opening a file to which no symbolic link leads, in one call of the system (Linux' ``openat2``).

Else each folder of its path has to be looked at before: that takes longer than to open a file and read it.
"""

from __future__ import annotations

import errno
import functools
import os
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER = 437  # of the call, the same on these machines
_MACHINES = ("x86_64", "aarch64")
_NO_SYMBOLIC_LINKS = 0x04
_FROM_HERE = -100  # AT_FDCWD: a relative path is below the working directory
_NEVER = (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG)  # older systems, and sandboxes that forbid it


def opened_without_links(path: str, flags: int) -> int | None:
    """A descriptor of the file; None if a link is on its way, or only `os.open` can tell what is the matter.

    Raises `FileNotFoundError`.
    """
    global _is_known_not_to_work
    open_by = None if _is_known_not_to_work or "\0" in path else _caller()
    if open_by is None:
        return None
    sys.audit("open", path, None, flags)  # as `os.open` does
    descriptor, number = open_by(os.fsencode(path), flags)
    if descriptor >= 0:
        return descriptor
    if number == errno.ENOENT:
        raise FileNotFoundError(number, os.strerror(number), path)
    _is_known_not_to_work = _is_known_not_to_work or number in _NEVER
    return None


_is_known_not_to_work = False


@functools.cache
def _caller() -> Callable[[bytes, int], tuple[int, int]] | None:
    """Calls it with a path and flags: a descriptor, or -1 and the number of the error."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return None
    import ctypes  # here, as starting takes long enough

    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):  # a C library without it
        return None
    how_type = ctypes.c_uint64 * 3  # flags, mode, resolve
    call.restype = ctypes.c_long
    call.argtypes = [
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.POINTER(how_type),
        ctypes.c_size_t,
    ]

    def open_by(path: bytes, flags: int) -> tuple[int, int]:
        how = _how(flags)
        descriptor = call(_NUMBER, _FROM_HERE, path, how, 24)
        return descriptor, 0 if descriptor >= 0 else ctypes.get_errno()

    @functools.cache
    def _how(flags: int) -> object:
        return ctypes.pointer(how_type(flags, 0, _NO_SYMBOLIC_LINKS))

    return open_by
