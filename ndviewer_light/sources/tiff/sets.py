"""TIFF files as they belong together: all images of a file, or of the set that it is a part of.

Whichever file of a set is opened, all of it opens, at the image that the file begins with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ...metadata.ndtiff import INDEX
from ...metadata.ome_document import COMPANIONS, FileId, ome_document
from ...metadata.ome_images import as_far_as_written, of_pages_once, ome_image_of, with_unlisted_pages
from ...metadata.ome_xml import MAX_CHARACTERS
from ...metadata.tiff_layout import in_order, with_sub_levels
from ...metadata.unnamed_pages import with_axes
from ...model import how_many, some_names
from ...storage.about_files import about_file
from ...storage.bytes import is_url
from ...storage.presentable import presentable
from ..tiff_files import is_tiff_file
from .indexed import in_folder, index_of, indexed_images
from .set_files import (
    SetFiles,
    beside,
    document_of,
    is_same_file,
    name_said,
    split_path,
    tiffs_in,
)
from .stack_files import begins_stacks, stacks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...metadata.ome_document import OmeDocument
    from ...metadata.tiff_layout import TiffImage
    from ...storage.bytes import Bytes
    from ...storage.decoding.ifd_chain import PageFacts
    from ..tiff_files import TiffFiles
    from .stack_files import StackFiles

_FILES_LOOKED_AT = 8
"""How many files of a folder are opened to see whether it contains a set."""
_MAX_UNCLOSED = 64
"""How many files of a set are opened to see whether they are still written."""
_MAX_BESIDE = 256
"""How many files of a folder that belong to no set are opened beside one."""


@dataclass(frozen=True)
class TiffSet:
    """Images, and where the files are that their pages refer to.

    `path_of` finds a file by what the runs of an image call it; raises `PlaneNotStoredError`. `found_by` does
    so for whoever opens it, and looks into files on servers that may have been renamed; None: as `path_of`.
    `first` is the image with which the opened file begins. `said_in` are the files that say which planes
    there are: an index, a companion file.
    """

    kind: str
    images: tuple[TiffImage, ...]
    path_of: Callable[[str], str]
    evidence: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    first: int = 0
    said_in: tuple[str, ...] = ()
    found_by: Callable[[str], str] | None = None

    def path_to_open(self, key: str) -> str:
        """See `found_by`."""
        return (self.found_by or self.path_of)(key)

    def with_axes(self, letters: str, path: str) -> TiffSet:
        """The set with its pages along these axes, as a person says; see `unnamed_pages.with_axes`."""
        images = with_axes(self.images, letters, path)
        return replace(self, images=images, evidence=(*self.evidence, f"axes {letters} as given"))


def open_set(path: str, files: TiffFiles) -> TiffSet:
    """The images of a TIFF, of the set it belongs to, or of a companion file.

    Raises a `DatasetError` if none can be shown.
    """
    if (folder := index_of(path)) is not None:
        indexed = _indexed(folder, files)
        if path in files_of(indexed) or split_path(path)[1] == INDEX:
            return indexed
    with files.bytes_of(path) as file:
        is_tiff = is_tiff_file(file)
        if not is_tiff and path.partition("?")[0].lower().endswith(COMPANIONS):
            return _of_companion(path, _text_of(file), files)
        tiff = files.understood(path, file)
        reading = tiff.reading()
        facts = tiff.pages.facts
    document = reading.document
    if document is None and (stacks := stacks_of(path, files)) is not None:
        return _stacked(path, stacks)
    if document is None:
        return _alone(path, "tiff", reading.images, reading.evidence, reading.warnings)
    if document.metadata_file is not None:
        found = _described_elsewhere(path, document, files)
        if found is not None:
            return found
        where = document.metadata_file.name
        said = f"{presentable(path)} contains pixels only; {where}, which describes them, is missing"
        missing = (*reading.warnings, about_file(said, path))
        return _alone(path, "tiff", reading.images, reading.evidence, missing)
    if len(reading.images) == len(document.images) or not document.images:
        return _alone(path, "ome-tiff", reading.images, reading.evidence, reading.warnings)
    try:
        return _by_document(SetFiles(path, document, files, is_tiff=True), files, facts, path)
    except DatasetNotFoundError:
        if not reading.images:
            raise
    return _alone(path, "tiff", reading.images, reading.evidence, reading.warnings)


def _indexed(folder: str, files: TiffFiles) -> TiffSet:
    images = indexed_images(folder, files)
    n_files = len({key for image in images for key in image.files})
    evidence = (f"{how_many(len(images), 'image')} in {how_many(n_files, 'file')} by {INDEX}",)
    said_in = (in_folder(folder, INDEX),)
    return TiffSet("ndtiff", tuple(images), lambda key: in_folder(folder, key), evidence, said_in=said_in)


def _stacked(path: str, stacks: StackFiles) -> TiffSet:
    images, folder = stacks.images, split_path(path)[0]

    def path_of(key: str) -> str:
        return folder + key

    n_files = len({key for image in images for key in image.files})
    evidence = (
        f"{how_many(len(images), 'image')} in {how_many(n_files, 'file')} by Micro-Manager's index maps",
    )
    return TiffSet("tiff", images, path_of, evidence, stacks.warnings, _index_of(path, images, path_of))


def _text_of(file: Bytes) -> str:
    return file.read(0, min(file.size, MAX_CHARACTERS)).decode("utf-8", "replace")


def _alone(
    path: str, kind: str, images: tuple[TiffImage, ...], evidence: tuple[str, ...], warnings: tuple[str, ...]
) -> TiffSet:
    if not images:
        raise DatasetNotFoundError(
            f"{presentable(path)} contains no image that can be shown: {'; '.join(warnings)}"
        )
    return TiffSet(kind, images, lambda _: path, evidence, warnings)


def _of_companion(path: str, text: str, files: TiffFiles) -> TiffSet:
    document = ome_document(text, name_said(path))
    if document is None or not document.images:
        raise DatasetNotFoundError(f"{presentable(path)} is not OME-XML that describes images")
    return _by_document(SetFiles(path, document, files, is_tiff=False), files, None, path)


def _described_elsewhere(path: str, document: OmeDocument, files: TiffFiles) -> TiffSet | None:
    """The set whose metadata are in another file of the folder; None if that is not there."""
    wanted = document.metadata_file or FileId()
    by_name = beside(split_path(path)[0], wanted.name)
    for other in dict.fromkeys((by_name, *_with_uuid(path, wanted.uuid, files))):
        try:
            with files.bytes_of(other) as file:
                is_tiff = is_tiff_file(file)
                text = (
                    "" if is_tiff else file.read(0, min(file.size, MAX_CHARACTERS)).decode("utf-8", "replace")
                )
            described = document_of(other, files) if is_tiff else ome_document(text, wanted.name)
        except DatasetError:
            continue
        if described is None or not described.images:
            continue
        if wanted.uuid and described.uuid and wanted.uuid != described.uuid and other != by_name:
            continue
        facts = None
        if is_tiff:
            with files.opened(other) as tiff:
                facts = tiff.pages.facts
        return _by_document(SetFiles(other, described, files, is_tiff=is_tiff), files, facts, path)
    return None


def _with_uuid(path: str, uuid: str, files: TiffFiles) -> list[str]:
    """Other files of a local folder that may describe the set."""
    folder = split_path(path)[0]
    if "://" in folder or not uuid:
        return []
    found = []
    for other in list(tiffs_in(folder))[:_FILES_LOOKED_AT]:
        document = document_of(other, files)
        if document is not None and document.uuid == uuid:
            found.append(other)
    return found


def _by_document(
    resolver: SetFiles, files: TiffFiles, facts: Sequence[PageFacts] | None, opened: str
) -> TiffSet:
    """The images that one OME-XML describes; `facts` are those of the file that contains it."""
    document, refused, untold = resolver.document, list[str](), list[str]()
    keys: dict[str, FileId] = {}

    def key_of(file: FileId) -> str:
        key = "" if resolver.is_own(file) else f"{file.name}|{file.uuid}"
        keys[key] = file
        return key

    assumed = facts[:1] if facts else _pages_of_first(resolver, files)
    images = []
    most = max((pixels.n_t for pixels in document.images), default=1)
    for number, pixels in enumerate(document.images):
        image = ome_image_of(pixels, "", key_of, lambda key: facts if key == "" else None, refused, assumed)
        # of a run without a known end some writers declare one time point of all images: the first one tells
        is_doubted = pixels.n_t < most or (pixels.n_t == 1 and number == 0)
        if image is not None and is_doubted and len(image.files) == 1:
            image = with_unlisted_pages(image, pixels, _facts_in(image, resolver, keys, files), untold)
            most = max(most, image.size("t"))
        if image is not None and number < _MAX_UNCLOSED and len(image.files) == 1:
            image = as_far_as_written(image, pixels, _n_unclosed(image, resolver, keys, files))
        if image is not None:
            images.append(image)
    images = of_pages_once(images, name_said(opened), refused)
    if untold:
        others = f"; so it does for {how_many(len(untold) - 1, 'other image')}" if untold[1:] else ""
        refused.append(f"{untold[0]}{others}")
    if not images:
        raise DatasetNotFoundError(
            f"{presentable(opened)} describes no image that can be shown: {'; '.join(refused)}"
        )
    images = _with_levels(in_order(images), resolver, keys, files)

    def path_of(key: str) -> str:
        return resolver.named(keys[key]) if key else resolver.path

    def found_by(key: str) -> str:
        return resolver.path_of(keys[key]) if key else resolver.path

    n_files = len({key for image in images for key in image.files})
    n_images = how_many(len(images), "image")
    evidence = (
        f"{n_images} in {how_many(n_files, 'file')} by the OME-XML in {name_said(resolver.path)}",
        f"files told apart by {'name: all contain the same OME-XML' if resolver.names_decide else 'UUID'}",
    )
    warnings = tuple(about_file(f"{presentable(opened)}: {each}", opened) for each in refused)
    first = _index_of(opened, images, path_of)
    return TiffSet("ome-tiff", tuple(images), path_of, evidence, warnings, first, (resolver.path,), found_by)


def _facts_in(
    image: TiffImage, resolver: SetFiles, keys: Mapping[str, FileId], files: TiffFiles
) -> Sequence[PageFacts]:
    """The pages of the only file of an image; none if it cannot be read."""
    key = image.files[0]
    try:
        with files.opened(resolver.path_of(keys[key]) if key else resolver.path) as tiff:
            return tiff.pages.facts
    except DatasetError:
        return ()


def _n_unclosed(image: TiffImage, resolver: SetFiles, keys: Mapping[str, FileId], files: TiffFiles) -> int:
    """How many planes the only file of an image contains so far; 1 if it is closed, or on a server."""
    key = image.files[0]
    try:
        path = resolver.path_of(keys[key]) if key else resolver.path
        if is_url(path):
            return 1
        with files.opened(path) as tiff:
            return tiff.pages.images_unclosed()
    except DatasetError:
        return 1


def _pages_of_first(resolver: SetFiles, files: TiffFiles) -> Sequence[PageFacts] | None:
    """The first page of the first file that is there."""
    for file in resolver.document.files[:_FILES_LOOKED_AT]:
        try:
            with files.opened(resolver.path_of(file)) as tiff:
                return tiff.pages.facts[:1]
        except DatasetError:
            continue
    return None


def _with_levels(
    images: Sequence[TiffImage], resolver: SetFiles, keys: Mapping[str, FileId], files: TiffFiles
) -> list[TiffImage]:
    """The images with the levels that the first one that can be read has: sets are written alike."""
    for image in images:
        run = image.runs[0]
        try:
            path = resolver.path if run.file == "" else resolver.path_of(keys[run.file])
            with files.opened(path) as tiff:
                numbers = tiff.pages.sub_levels(run.page)
        except DatasetError:
            continue
        return [with_sub_levels(each, numbers) for each in images]
    return list(images)


def _index_of(path: str, images: Sequence[TiffImage], path_of: Callable[[str], str]) -> int:
    """The image that a file begins with, 0 if it is in none."""
    found = []
    for i, image in enumerate(images):
        for run in image.runs:
            try:
                if is_same_file(path_of(run.file), path):
                    found.append((run.page, i))
                    break
            except PlaneNotStoredError:
                continue
    return min(found)[1] if found else 0


# ---- folders --------------------------------------------------------------------------------------


def begins_set(folder: str, files: TiffFiles) -> str | None:
    """The first file of a folder by which it is a set of files that describe each other; None if none does.

    Opens a few files at most.
    """
    if (indexed := index_of(folder)) is not None:
        return os.path.join(indexed, INDEX)
    try:
        with os.scandir(folder) as entries:
            companions = sorted(entry.name for entry in entries if entry.name.lower().endswith(COMPANIONS))
    except OSError:
        return None
    for name in companions[:_FILES_LOOKED_AT]:
        try:
            open_set(os.path.join(folder, name), files)
        except DatasetError:
            continue
        return os.path.join(folder, name)
    for i, path in enumerate(tiffs_in(folder)):
        if i == _FILES_LOOKED_AT:
            break
        document = document_of(path, files)
        if document is None and begins_stacks(path, files):
            return path
        if document is None:
            continue
        resolver = SetFiles(path, document, files, is_tiff=True)
        if document.metadata_file is not None:
            return path
        if any(not resolver.is_own(file) for file in document.files):
            return path
    return None


def open_folder(folder: str, files: TiffFiles) -> TiffSet:
    """All sets of a folder, as one; and the images of files beside them. Raises a `DatasetError`."""
    if (indexed := index_of(folder)) is not None:
        return _indexed(indexed, files)
    begin = begins_set(folder, files)
    if begin is None:
        raise DatasetNotFoundError(f"{folder} contains no set of TIFF files")
    sets = [open_set(begin, files)]
    covered = files_of(sets[0]) | {begin}
    left = [path for path in tiffs_in(folder) if path not in covered]
    unread = []
    for i, path in enumerate(left):
        if path in covered:
            continue
        if i >= _MAX_BESIDE:
            unread.append(os.path.basename(path))
            continue
        try:
            other = open_set(path, files)
        except DatasetError:
            unread.append(os.path.basename(path))
            continue
        if files_of(other) & covered:  # pixels that another set describes
            continue
        covered |= files_of(other) | {path}
        sets.append(other)
    warnings = []
    if unread:
        said = f"{folder} also contains files that are not shown: {', '.join(some_names(unread))}"
        warnings.append(about_file(said, folder))
    return _joined(sets, tuple(warnings))


def files_of(found: TiffSet) -> set[str]:
    """The files in which the planes of a set are, as far as they are there."""
    paths = set()
    for key in {run.file for image in found.images for run in image.runs}:
        try:
            paths.add(found.path_of(key))
        except PlaneNotStoredError:
            continue
    return paths


def _joined(sets: Sequence[TiffSet], warnings: tuple[str, ...]) -> TiffSet:
    if len(sets) == 1:
        return replace(sets[0], first=0, warnings=(*sets[0].warnings, *warnings))
    images: list[TiffImage] = []
    for i, each in enumerate(sets):
        images += [
            replace(image, runs=tuple(run._replace(file=f"{i}:{run.file}") for run in image.runs))
            for image in each.images
        ]

    def path_of(key: str) -> str:
        number, _, own = key.partition(":")
        return sets[int(number)].path_of(own)

    evidence = tuple(line for each in sets for line in each.evidence)
    said = (*(line for each in sets for line in each.warnings), *warnings)
    said_in = tuple(path for each in sets for path in each.said_in)
    return TiffSet(sets[0].kind, tuple(images), path_of, evidence, said, said_in=said_in)
