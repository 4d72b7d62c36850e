"""What can go wrong with a dataset; each error also inherits the matching built-in.

NDViewerError
├─ DatasetError
│  ├─ DatasetNotFoundError     (FileNotFoundError)    no such path, or no known dataset there
│  │  └─ DatasetGoneError                            it existed before and is gone
│  ├─ DatasetPermissionError   (PermissionError)
│  ├─ MetadataError            (ValueError)           metadata missing, broken or contradictory
│  ├─ UnsupportedError         (NotImplementedError)  a codec, dtype, axis or version not supported
│  ├─ LimitExceededError       (ValueError)           larger than any sane dataset; refused before reading
│  ├─ PlaneNotStoredError      (LookupError)          nothing of this plane is stored
│  │  └─ PlaneNotWrittenError                         expected, but still to be written
│  ├─ DatasetClosedError                              it was closed, and is used
│  ├─ DatasetReplacedError                            another dataset has taken its place
│  ├─ CorruptDataError         (OSError)              stored, but damaged
│  ├─ ReadTimeoutError         (TimeoutError)
│  ├─ UntrustedReferenceError  (PermissionError)      a path that leaves the dataset
│  ├─ NotRegularFileError                            a pipe, a socket, a device or a folder
│  ├─ ReaderCrashedError       (ChildProcessError)    the reader process died
│  └─ OutOfResourcesError                             no more threads, processes or file handles
│     └─ OutOfMemoryError      (MemoryError)
└─ AcquisitionError
   └─ AcquisitionConfigError   (ValueError)           start arguments that cannot describe a run

`BY_NAME` maps a class name back to its class: errors cross the reader's process boundary as
(class name, message), never pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class NDViewerError(Exception):
    """Root of every error this package raises on purpose.

    Always raised with one sentence: what happened, to which file, what to do next.
    """

    transient = False
    """Whether the same call may succeed later without anybody changing anything."""


_LONGEST, _BEGIN, _END = 1500, 1000, 400  # characters


class DatasetError(NDViewerError):
    """A problem with a dataset or one of its planes.

    Its message may quote the dataset; of one that is too long to be read the middle is left out.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_readable(each) for each in args))


def _readable(said: object) -> object:
    if not isinstance(said, str) or len(said) <= _LONGEST:
        return said
    return f"{said[:_BEGIN]} … {said[-_END:]}"


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """The path does not exist, or contains no supported dataset."""


class DatasetGoneError(DatasetNotFoundError):
    """The dataset has disappeared: a disk was unplugged, a folder moved."""

    transient = True


class DatasetPermissionError(DatasetError, PermissionError):
    """The path exists but cannot be read for lack of permission."""

    is_web_page = False
    """Whether a server answered with a page instead of a file; it may be that of a folder."""


class MetadataError(DatasetError, ValueError):
    """The metadata is missing, broken or contradicts itself."""


class UnsupportedError(DatasetError, NotImplementedError):
    """Perhaps valid, but with a codec, dtype, axis or version that is not supported."""


class LimitExceededError(DatasetError, ValueError):
    """A size or depth beyond any real dataset; refused before native code sees it."""


class PlaneNotStoredError(DatasetError, LookupError):
    """Nothing of this plane is stored: not written yet, never acquired, or all fill value.

    `plane_shape` is (Y, X) if the store exists and declares it, else None; `fill_value` is what the store
    declares for pixels that are not stored, a scalar of the dtype of the planes, None if it declares none.
    `is_fill_value` and `is_expected`: what the plane counts as by the rule in `sources.missing`, as far
    as the dataset itself tells; at most one of them. `shares_chunks`: other planes are stored together with
    it, so that a writer may still keep it in memory after its write.
    """

    transient = True
    plane_shape: tuple[int, int] | None = None
    fill_value: np.generic | None = None
    is_fill_value: bool = False
    is_expected: bool = False
    shares_chunks: bool = False


class PlaneNotWrittenError(PlaneNotStoredError):
    """The plane is expected, but not written yet, or not completely.

    Unlike a chunk that a store omits, this plane is not black even if somebody announced it.
    """


class DatasetClosedError(DatasetError):
    """The dataset was closed, before or while it was read."""


def closed_error(name: str = "the dataset") -> DatasetClosedError:
    """The error for the use of something that was closed."""
    return DatasetClosedError(f"{name} was closed: open it again to read it")


class DatasetReplacedError(DatasetError):
    """Another dataset has taken the place of the opened one, and has to be opened."""

    transient = True


class DatasetReorderedError(DatasetReplacedError):
    """Planes were added to a dataset in another order than theirs; opened anew, they are in order."""


class CorruptDataError(DatasetError, OSError):
    """Stored bytes that cannot be decoded; temporary if a writer is still at work."""

    transient = True


class ReadTimeoutError(DatasetError, TimeoutError):
    """A read took longer than allowed."""

    transient = True


class ReadDroppedError(DatasetError):
    """The read was cancelled because nobody was waiting for it any more."""

    transient = True


class UntrustedReferenceError(DatasetError, PermissionError):
    """The dataset refers to something outside itself."""


class NotRegularFileError(DatasetError):
    """The path is a pipe, a socket, a device or a folder."""


class ReaderCrashedError(DatasetError, ChildProcessError):
    """The reader process ended unexpectedly; the next read starts a new one."""

    transient = True


class OutOfResourcesError(DatasetError):
    """The computer lacks a resource for reading: a thread, a process, a file handle, memory."""

    transient = True


class OutOfMemoryError(OutOfResourcesError, MemoryError):
    """A plane or its metadata needs more memory than available, or than the reader process may use."""


class AcquisitionError(NDViewerError):
    """A problem with a run announced by a host."""


class AcquisitionConfigError(AcquisitionError, ValueError):
    """Start arguments that cannot describe a run; nothing was changed."""


def _subclasses(root: type[NDViewerError]) -> list[type[NDViewerError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _subclasses(child)
    return found


BY_NAME: dict[str, type[NDViewerError]] = {cls.__name__: cls for cls in _subclasses(NDViewerError)}
