"""What can go wrong with a dataset, each error inheriting the built-in that fits.

NDViewerError
├─ DatasetError
│  ├─ DatasetNotFoundError     (FileNotFoundError)    no such path, or nothing there we know
│  │  └─ DatasetGoneError                            it was there and is not any more
│  ├─ DatasetPermissionError   (PermissionError)
│  ├─ MetadataError            (ValueError)           metadata missing, broken or contradictory
│  ├─ UnsupportedError         (NotImplementedError)  a codec, dtype, axis or version we cannot read
│  ├─ LimitExceededError       (ValueError)           larger than any sane dataset; refused before reading
│  ├─ PlaneNotStoredError      (LookupError)          nothing of this plane is stored
│  │  └─ PlaneNotWrittenError                         not even black: it is still to be written
│  ├─ DatasetReplacedError                            another dataset lies where it was
│  ├─ CorruptDataError         (OSError)              stored, but damaged
│  ├─ ReadTimeoutError         (TimeoutError)
│  ├─ UntrustedReferenceError  (PermissionError)      a path that leaves the dataset
│  ├─ NotRegularFileError                            a pipe, a socket, a device or a folder
│  ├─ ReaderCrashedError       (ChildProcessError)    the process that reads for us died
│  └─ OutOfResourcesError                             no thread, process or file handle to be had
│     └─ OutOfMemoryError      (MemoryError)
└─ AcquisitionError
   └─ AcquisitionConfigError   (ValueError)           start arguments that cannot be a run

`BY_NAME` maps a class name back to its class: errors cross the reader's process boundary as
(class name, message), never pickled.
"""

from __future__ import annotations


class NDViewerError(Exception):
    """Root of every error this package raises on purpose.

    Always raised with one sentence: what happened, to which file, what to do next.
    """

    transient = False
    """Whether the same call may succeed later without anybody changing anything."""


class DatasetError(NDViewerError):
    """Something about a dataset or one of its planes."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """The path does not exist, or nothing we can read lies there."""


class DatasetGoneError(DatasetNotFoundError):
    """The dataset was there and is not any more: a disk unplugged, a folder moved."""

    transient = True


class DatasetPermissionError(DatasetError, PermissionError):
    """The path exists but may not be read."""


class MetadataError(DatasetError, ValueError):
    """The metadata is missing, broken or contradicts itself."""


class UnsupportedError(DatasetError, NotImplementedError):
    """Valid perhaps, but a codec, dtype, axis or version that we cannot read."""


class LimitExceededError(DatasetError, ValueError):
    """A size or depth no sane dataset has; refused before native code sees it."""


class PlaneNotStoredError(DatasetError, LookupError):
    """Nothing of this plane is stored: not written yet, never acquired, or all fill value.

    `plane_shape` is (Y, X) where the store exists and says so, else None.
    """

    transient = True
    plane_shape: tuple[int, int] | None = None


class PlaneNotWrittenError(PlaneNotStoredError):
    """The plane has a place, but nothing has been written to it, or not yet all of it.

    Unlike where a store leaves out fill value, that somebody announced this plane does not make it black.
    """


class DatasetReplacedError(DatasetError):
    """Another dataset has taken the place of the one that was opened: it has to be opened."""

    transient = True


class CorruptDataError(DatasetError, OSError):
    """Stored bytes that cannot be decoded; while a writer is at work this can pass."""

    transient = True


class ReadTimeoutError(DatasetError, TimeoutError):
    """A read took longer than allowed."""

    transient = True


class ReadDroppedError(DatasetError):
    """Nobody waited any more for what was being read."""

    transient = True


class UntrustedReferenceError(DatasetError, PermissionError):
    """The dataset names a path outside itself."""


class NotRegularFileError(DatasetError):
    """There is something of that name, but it is a pipe, a socket, a device or a folder."""


class ReaderCrashedError(DatasetError, ChildProcessError):
    """The process that reads for us ended unexpectedly; the next read starts a new one."""

    transient = True


class OutOfResourcesError(DatasetError):
    """The computer cannot give what reading takes: a thread, a process, a file handle, memory."""

    transient = True


class OutOfMemoryError(OutOfResourcesError, MemoryError):
    """A plane or its metadata needs more memory than there is, or than the reader process may have."""


class AcquisitionError(NDViewerError):
    """Something about a run that a host announces."""


class AcquisitionConfigError(AcquisitionError, ValueError):
    """Start arguments that cannot describe a run; nothing was changed."""


def _subclasses(root: type[NDViewerError]) -> list[type[NDViewerError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _subclasses(child)
    return found


BY_NAME: dict[str, type[NDViewerError]] = {cls.__name__: cls for cls in _subclasses(NDViewerError)}
