"""Opens an HDF5 file: finds out what its image is made of, and returns its snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .choices import WALK_FOR_OTHERS_SECONDS, WALK_SECONDS, Candidate, Choices, catalogue, chosen
from .file import HDF5File
from .snapshot import DatasetSnapshot

if TYPE_CHECKING:
    from .snapshot import OpenRequest, Snapshot


def open_snapshot(request: OpenRequest) -> Snapshot:
    """Open the file that is requested; raises a `DatasetError` if nothing in it can be shown."""
    file = HDF5File(request.path, request.options)
    try:
        with file.reading("its datasets"):
            return _image_of(file, request)
    except BaseException:
        file.close()
        raise


def _image_of(file: HDF5File, request: OpenRequest) -> Snapshot:
    known = Choices((), ())
    if request.before is None:
        seconds = WALK_FOR_OTHERS_SECONDS if request.inner else WALK_SECONDS
        known = catalogue(file, "", seconds)
    found = chosen(file, request.inner, known)
    assert isinstance(found, Candidate)
    return DatasetSnapshot(file, request, known, found)
