"""The disk cache for planes from servers: a folder of bounded size, shared by any number of processes.

One file per plane, written under another name and renamed, with a checksum: damaged files count as missing.
The least recently used are removed first. Whatever the disk does, the worst that happens is that a plane is
fetched again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import struct
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .local_files import OPEN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

DISK_CACHE_BYTES = 4 * 1024**3
_MAGIC = b"ndvplan1"
_HEAD = struct.Struct("<8sI")  # magic number, length of the description
_SUM = struct.Struct("<I")  # CRC-32 of everything before it
_PIXEL_ALIGNMENT = 64
# the folder may contain other files, which are not ours to delete
_OUR_FOLDER = re.compile(r"[0-9a-f]{2}")
_OUR_FILE = re.compile(r"[0-9a-f]{62}\.plane(\.\d+-\d+\.part)?")
_ABANDONED_PART_SECONDS = 3600.0  # a writer that took this long has died
KINDS = "biufc"  # of dtypes: numbers only


def default_folder() -> str:
    """The system's folder for caches."""
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        return os.path.join(root, "ndviewer-light", "Cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/ndviewer-light")
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "ndviewer-light")


def cache_of(options: Mapping[str, str] | None) -> DiskCache | None:
    """The disk cache for these storage options, in ``cache_dir`` if given.

    None with ``disk_cache`` "no".
    """
    told = options or {}
    if told.get("disk_cache") == "no":
        return None
    return DiskCache(told.get("cache_dir") or default_folder())


class _CacheEntry(NamedTuple):
    used: int  # ns
    path: str
    size: int


class DiskCache:
    """Arrays by key, in files below `folder`; the least recently used are removed first. Any thread.

    The files take at most `max_bytes`, plus temporarily a sixteenth for each other process that writes at
    the same time. Nothing is raised: planes that cannot be cached are not.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int = DISK_CACHE_BYTES) -> None:
        self.folder = os.fspath(folder)
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._taken: int | None = None  # bytes in the folder when listed, plus bytes written since
        self._unseen = 0  # bytes written since
        self._counter = 0
        self._has_complained = False

    def get(self, key: str) -> np.ndarray | None:
        """The array cached under `key`, in its original memory order, writable; None if there is none."""
        path = self._path(key)
        try:
            descriptor = os.open(path, OPEN_FLAGS)  # of what is not there, half the time of `open`
            with open(descriptor, "rb", buffering=0) as file:
                data = bytearray(os.fstat(file.fileno()).st_size)
                if file.readinto(data) != len(data):
                    data.clear()
        except OSError:
            return None
        array = _array_of(data)
        with contextlib.suppress(OSError):  # another process removed it meanwhile
            if array is None:
                os.unlink(path)
            else:
                os.utime(path)
        return array

    def put(self, key: str, array: np.ndarray) -> None:
        """Cache a copy of `array` on disk, unless larger than a quarter of the limit."""
        if array.dtype.kind not in KINDS or array.nbytes > self.max_bytes // 4:
            return
        parts = _file_of(array)
        size = sum(len(part) for part in parts)
        path = self._path(key)
        with self._lock:
            self._counter += 1
            part = f"{path}.{os.getpid()}-{self._counter}.part"
        try:
            self._make_room(size)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(part, "wb", buffering=0) as file:
                for piece in parts:
                    _write(file.fileno(), piece)
            os.replace(part, path)
        except OSError as error:  # disk full, no permission; or, on Windows, another process is reading it
            self._complain(error)
            with contextlib.suppress(OSError):
                os.unlink(part)

    def _complain(self, error: OSError) -> None:
        with self._lock:
            first, self._has_complained = not self._has_complained, True
        if first:
            log.warning("cannot cache planes in %s: %s", self.folder, error.strerror)

    def _path(self, key: str) -> str:
        import hashlib  # with OpenSSL, which a window need not wait for

        name = hashlib.sha256(key.encode()).hexdigest()
        return f"{self.folder}{os.sep}{name[:2]}{os.sep}{name[2:]}.plane"

    # ---- room ---------------------------------------------------------------------------------

    def _make_room(self, size: int) -> None:
        with self._lock:
            if self._taken is None or self._unseen + size > self.max_bytes // 16:
                self._taken, self._unseen = sum(entry.size for entry in self._entries()), 0
            if self._taken + size > self.max_bytes:
                self._taken = self._evict(self.max_bytes * 9 // 10 - size)
            self._taken += size
            self._unseen += size

    def _evict(self, allowed: int) -> int:
        entries = sorted(self._entries())
        taken = sum(entry.size for entry in entries)
        for entry in entries:
            if taken <= allowed:
                break
            with contextlib.suppress(OSError):  # already gone, or being read: try the next one
                os.unlink(entry.path)
                taken -= entry.size
        return taken

    def _entries(self) -> Iterator[_CacheEntry]:
        now = time.time()
        for folder in _listed(self.folder, _OUR_FOLDER):
            for file in _listed(folder.path, _OUR_FILE):
                try:
                    status = file.stat(follow_symlinks=False)
                    if file.name.endswith(".part") and now - status.st_mtime > _ABANDONED_PART_SECONDS:
                        os.unlink(file.path)
                        continue
                except OSError:  # another process was faster
                    continue
                yield _CacheEntry(status.st_mtime_ns, file.path, status.st_size)


def _listed(folder: str, ours: re.Pattern[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if ours.fullmatch(entry.name)]
    except OSError:  # does not exist yet, or not a folder
        return []


# ---- one file ---------------------------------------------------------------------------------


def _file_of(array: np.ndarray) -> list[bytes | memoryview]:
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    said = {"dtype": array.dtype.str, "shape": array.shape, "order": order}
    description = json.dumps(said).encode()
    padding = -(_HEAD.size + len(description)) % _PIXEL_ALIGNMENT
    description += b" " * padding
    head = _HEAD.pack(_MAGIC, len(description)) + description
    flat = np.ascontiguousarray(array.T if order == "F" else array)
    pixels = flat.reshape(-1).view(np.uint8).data
    return [head, pixels, _SUM.pack(zlib.crc32(pixels, zlib.crc32(head)))]


def _write(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(descriptor, view) :]


def _array_of(data: bytearray) -> np.ndarray | None:
    """The array in the bytes of a file; None if they are damaged."""
    end = len(data) - _SUM.size
    if end < _HEAD.size or zlib.crc32(memoryview(data)[:end]) != _SUM.unpack_from(data, end)[0]:
        return None
    magic, length = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        return None
    try:
        said = json.loads(data[_HEAD.size : _HEAD.size + length])
        dtype, shape, order = np.dtype(said["dtype"]), tuple(map(int, said["shape"])), said["order"]
        if dtype.kind not in KINDS or order not in ("C", "F"):
            return None
        pixels = np.frombuffer(data, dtype, count=math.prod(shape), offset=_HEAD.size + length)
        return pixels.reshape(shape, order=order)
    except (ValueError, KeyError, TypeError):  # written by another version of this program
        return None
