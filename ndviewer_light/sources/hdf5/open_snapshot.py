"""Opens an HDF5 file: finds out what its image is made of, and returns its snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import bdv_layout, bigdataviewer, imaris, linked_frames, named_groups, nexus, nwb
from .choices import WALK_FOR_OTHERS_SECONDS, WALK_SECONDS, Choices, catalogue, chosen, described
from .composite import CompositeSnapshot
from .external_series import ExternalSeriesSnapshot
from .file import HDF5File
from .nwb_positions import NwbPositionsSnapshot, images_of
from .snapshot import DatasetSnapshot

if TYPE_CHECKING:
    from .choices import Candidate
    from .composite import Composite
    from .snapshot import OpenRequest, Snapshot


def open_snapshot(request: OpenRequest) -> Snapshot:
    """Open the file that is requested; raises a `DatasetError` if nothing in it can be shown."""
    file = HDF5File(request.path, request.options)
    try:
        with file.reading("its datasets"):
            image = _composite(file, request)
            found = _of_datasets(file, request) if image is None else CompositeSnapshot(file, request, image)
        file.bytes.keep_structure()
        return found
    except BaseException:
        file.close()
        raise


def _composite(file: HDF5File, request: OpenRequest) -> Composite | None:
    """The image of a file that keeps it in many datasets, if it is one and all of it is requested."""
    if request.inner.strip("/"):
        return None
    if imaris.is_imaris(file):
        return imaris.ImarisImage(file)
    if bdv_layout.is_bigdataviewer(file):
        xml = bigdataviewer.xml_of(request.path, request.options, request.xml)
        return bigdataviewer.BigDataViewerImage(file, xml)
    if not nwb.is_nwb(file) and (group := linked_frames.master_group(file)) is not None:
        return linked_frames.master_image(file, group)
    return None


def _of_named_groups(file: HDF5File, request: OpenRequest, known: Choices) -> Composite | None:
    if nwb.is_nwb(file) or nexus.default_signal(file) is not None:
        return None
    return named_groups.image_of_groups(file, known, request.path)


def _of_datasets(file: HDF5File, request: OpenRequest) -> Snapshot:
    before = request.before
    if isinstance(before, NwbPositionsSnapshot):
        return NwbPositionsSnapshot.again(file, request, before)
    known = Choices((), ())
    if before is None or isinstance(before, CompositeSnapshot):
        seconds = WALK_FOR_OTHERS_SECONDS if request.inner else WALK_SECONDS
        known = catalogue(file, "", seconds)
    if not request.inner.strip("/"):
        if (image := _of_named_groups(file, request, known)) is not None:
            return CompositeSnapshot(file, request, image)
        if len(images := images_of(known)) > 1:
            return NwbPositionsSnapshot(file, request, known, images, _of_one_dataset)
    found = chosen(file, request.inner, known)
    if isinstance(found, nwb.Series):
        return ExternalSeriesSnapshot(file, request, found)
    return _of_one_dataset(file, request, known, found)


def _of_one_dataset(file: HDF5File, request: OpenRequest, known: Choices, found: Candidate) -> Snapshot:
    if linked_frames.is_virtual_elsewhere(found.node):
        where = f"{found.file.name}::{found.path}"
        image = linked_frames.virtual_image(file, found.file, described(found), found.node, where)
        return CompositeSnapshot(file, request, image)
    return DatasetSnapshot(file, request, known, found)
