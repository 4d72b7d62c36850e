"""Which formats there are, and the way to open a dataset of any of them.

Formats come with the package (`BUILT_IN`) or from installed packages, which name a `Format` in the entry
point group ``ndviewer_light.sources``:

    [project.entry-points."ndviewer_light.sources"]
    lif = "my_package.lif:LifFormat"

All are found by name and imported on first use, those that come after the one that recognises a dataset not
at all: nothing here imports a format, formats may import this.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from ..errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    MetadataError,
    UnsupportedError,
)
from ..storage.beginning import BEGINNING_BYTES, Beginning
from ..storage.bytes import (
    SHARE_SCHEMES,
    WEB_SCHEMES,
    absolute,
    absolute_of_named,
    check_address,
    is_url,
    scheme_of,
    split_inner,
    unknown_scheme,
)
from ..storage.file_kinds import looks_like
from ..storage.limits import error_of_os
from ..storage.local_files import check_regular
from ..storage.offered import ALONE, access_options, offered
from ..storage.open_bytes import open_bytes
from ..storage.presentable import presentable
from .files_inside import files_inside
from .remarks import Remark, TakesRemark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib import metadata

    from ..storage.bytes import Bytes
    from .format import Format
    from .source import Source, StorageOptions

logger = logging.getLogger(__name__)

ENTRY_POINTS = "ndviewer_light.sources"
"""The entry point group of formats that other packages bring."""

BUILT_IN = (
    *("zarr.format:ZarrFormat", "tiff.format:TiffFormat", "nd2.format:Nd2Format", "hdf5.format:HDF5Format"),
    *("references.format:ReferencesFormat", "mrc.format:MrcFormat"),
)
"""Modules of this folder and their class, asked in this order, then those of other packages."""

ZARR = BUILT_IN[0]
FORMAT = "format"
"""The storage option by which a person says what a dataset is."""

_ALSO = {
    **{"zarr": "ome-zarr", "ozx": "ome-zarr", "nwb": "hdf5", "h5": "hdf5"},
    **{"kerchunk": "references", "lindi": "references", "ome-tiff": "tiff", "png": "images"},
}

IMAGES = "images.format:ImagesFormat"
"""Asked last: it takes any folder with images in it, also one of which another package knows more."""


_SINGLE_FILES = ("tiff", "images")
"""Formats of files that may be one plane of many."""


def open_source(path: str, options: StorageOptions = None) -> Source:
    """Open the dataset at a path or URL, ``file.h5::/path/inside`` for one inside a file.

    The option "format" says what it is. Else a file at a URL is recognised by its beginning, read once for
    this and for opening it, and by its name only if that tells nothing; a file on this machine by its name
    first, and by its beginning if it is not what it is called. The option "alone" opens one image by itself,
    also if its name makes it one of a set. Blocks on disk or network. Raises a
    `DatasetError` that names the path and what was expected there.
    """
    try:
        return _opened(absolute_of_named(path), options)
    except DatasetNotFoundError as error:
        if path[:4].lower() != "http" or "#" not in split_inner(path)[0]:
            raise
        said = 'what follows "#" is no part of an address: if it is of the name, write %23'
        raise type(error)(f"{error}; {said}") from error


def _opened(path: str, options: StorageOptions) -> Source:
    if is_url(path):
        check_address(path)
    else:
        _check_there(split_inner(path)[0])
    options = dict(options or {})
    is_alone = options.pop(ALONE, "").lower() in ("yes", "true", "1")
    if named := options.pop(FORMAT, ""):
        return _checked(_format_named(named), path, options).open(path, options)
    if options.get("pattern"):  # the user has declared these to be images, and how they are named
        return _checked(_built_in(IMAGES), path, options).open(path, options)
    failures: list[str] = []
    with _looked_at(path, options) as look:
        chosen = _format_of(path, failures, look)
        if look.error is not None and not _may_be_a_folder(chosen, look.error):
            raise look.error
        if chosen is _built_in(ZARR) and is_url(path):
            return _open_store_or_folder(path, options, look)
        if chosen is not None:
            source = _opened_as(_checked(chosen, path, options), path, options)
            if is_alone or chosen.name not in _SINGLE_FILES:
                return source
            return _with_files_inside(_set_around(source, path, options), path)
    if is_url(path) and scheme_of(path) not in WEB_SCHEMES + SHARE_SCHEMES:
        raise unknown_scheme(path)
    if not is_url(path):
        _check_can_be_listed(path)
    head = look.beginning.head or _local_beginning(split_inner(path)[0]).head
    if not head and (is_url(path) or _is_empty_file(split_inner(path)[0])):
        raise DatasetNotFoundError(
            f"{presentable(path)} is empty (0 bytes): nothing is written to it yet, or it was not copied "
            "completely"
        )
    raise DatasetNotFoundError(
        f"{presentable(path)} is not a supported dataset{looks_like(head)}. Expected an "
        "OME-Zarr image, plate, well or array (zarr.json, .zgroup or .zarray), a folder with plate.ome.zarr "
        "or zarr/<region>/…, one with ome_tiff/ or images named as by Squid "
        "(<t>/<region>_<fov>_<z>_<channel>.tiff), other images, or an image, ND2, HDF5, NWB or reference file"
        f"{''.join(f'; {each}' for each in [*failures, *_files_instead(path)])}"
    )


def _is_empty_file(path: str) -> bool:
    """Raises a `DatasetError` for a file that cannot be opened."""
    if not os.path.isfile(path):
        return False
    opened = open_bytes(path)
    try:
        return opened.size == 0
    finally:
        opened.close()


def _checked(
    chosen: Format | InstalledFormat, path: str, options: Mapping[str, str]
) -> Format | InstalledFormat:
    """The format itself. Raises `DatasetError` for access options that do not exist.

    Those of a URL are looked at where it is read; formats of other packages may have more.
    """
    given = access_options(options)
    if given and not is_url(path) and not isinstance(chosen, InstalledFormat):
        from ..storage.remote.client import settings_from  # few local datasets have any

        settings_from(given)
    return chosen


def _is_file_of_its_own(path: str) -> bool:
    """Of another format than TIFF, whose files may be a set, with others that describe them."""
    formats = map(_built_in, BUILT_IN)
    return any(each.name not in _SINGLE_FILES and each.recognises(path) for each in formats)


def _files_instead(path: str) -> list[str]:
    """Which files in a folder may be opened instead of it."""
    said = files_inside(path, _is_file_of_its_own) if os.path.isdir(path) else ""
    return [f"open a file in it by itself: {said}"] if said else []


def _with_files_inside(source: Source, path: str) -> Source:
    """A folder of images with a remark on the files in it that are datasets by themselves."""
    is_folder = not is_url(path) and os.path.isdir(path)
    said = files_inside(path, _is_file_of_its_own) if is_folder and isinstance(source, TakesRemark) else ""
    if said and isinstance(source, TakesRemark):
        source.take_remark(
            Remark(f"{path} also contains what opens by itself, and is not shown with the images: {said}", ())
        )
    return source


def _opened_as(chosen: Format | InstalledFormat, path: str, options: Mapping[str, str]) -> Source:
    """Open it as the format of its name; a file on this machine that is none of it as what it begins like."""
    try:
        return chosen.open(path, options)
    except (CorruptDataError, MetadataError, UnsupportedError):
        by_beginning = _format_beginning(path, _local_beginning(split_inner(path)[0]), [])
        if by_beginning is None or by_beginning is chosen:
            raise
        return by_beginning.open(path, options)


def _set_around(source: Source, path: str, options: Mapping[str, str]) -> Source:
    """The set that an image file on this machine is a part of, if it is a plane or a stack by itself.

    Where that is not certain it is the file, which says that others are named like it.
    """
    info = source.info
    may_be_part = len(info.positions) == 1 and len(info.channels) in (1, 3)  # one, or colours
    if is_url(path) or not may_be_part or 1 not in (info.n_t, info.n_z) or not os.path.isfile(path):
        return source
    images = _built_in(IMAGES)
    found = images.open_set_of(path, options) if info.n_t == 1 else None
    if found is not None:
        source.close()
        return found
    if isinstance(source, TakesRemark) and (remark := images.remark_on(path)) is not None:
        source.take_remark(remark)
    return source


def _open_store_or_folder(url: str, options: Mapping[str, str], look: _FirstLook) -> Source:
    """Open the OME-Zarr at a URL or, if there is none, what the server says is in the folder.

    The folder first where a page is at the address, which is probably that of its links. Raises why the
    address itself was refused, rather than a file below it that nobody asked for.
    """
    zarr = _built_in(ZARR)
    certain, is_page, refused = zarr.is_certain(url), look.is_page, look.error
    if is_page and not certain and (found := _in_folder_on_server(url, options, BUILT_IN)):
        return found
    try:
        return zarr.open(url, options)
    except DatasetPermissionError:
        if isinstance(refused, DatasetPermissionError) and not is_page:
            raise refused from None
        raise
    except DatasetNotFoundError:
        if is_page and refused is not None and not _is_listed(url, options):
            raise refused from None  # it is no page of links
        if certain or is_page:
            raise
        if found := _in_folder_on_server(url, options, BUILT_IN[1:]):
            return found
        raise


def _is_listed(url: str, options: Mapping[str, str]) -> bool:
    """Whether the server says what is in a folder."""
    from ..storage.trees.folder_on_server import folder_on_server  # most datasets are local

    return folder_on_server(url, options) is not None


def _in_folder_on_server(url: str, options: Mapping[str, str], formats: Sequence[str]) -> Source | None:
    """What is in a folder that its server lists: of one of these formats, else images."""
    from ..storage.trees.folder_on_server import folder_on_server  # most datasets are local

    folder = folder_on_server(url, options)
    if folder is None:
        return None
    for entry in (*formats, IMAGES):
        found = _built_in(entry).open_folder_on_server(url, folder, options)
        if found is not None:
            return found
    return None


class _FirstLook(NamedTuple):
    """How a file begins, or why that could not be read."""

    beginning: Beginning = Beginning(b"")
    error: DatasetError | None = None

    @property
    def is_page(self) -> bool:
        """Whether a web page is at the address, which may be that of a folder."""
        if isinstance(self.error, DatasetPermissionError):
            return self.error.is_web_page
        return self.beginning.content_type.startswith("text/html")


@contextlib.contextmanager
def _looked_at(path: str, options: Mapping[str, str]) -> Iterator[_FirstLook]:
    """The beginning of the file at a URL, which is offered to whoever opens it within the block.

    Nothing is read of what names alone decide, of other schemes, or of files on this machine.
    """
    file = split_inner(path)[0]
    is_remote = scheme_of(file) in WEB_SCHEMES + SHARE_SCHEMES
    if not is_remote or any(_built_in(entry).is_certain(path) for entry in (*BUILT_IN, IMAGES)):
        yield _FirstLook()
        return
    try:
        opened = open_bytes(file, access_options(options))
    except DatasetError as error:
        yield _FirstLook(error=error)
        return
    with offered(file, options, opened):
        yield _FirstLook(_beginning_of(opened))


def _beginning_of(file: Bytes) -> Beginning:
    return Beginning(file.read(0, min(BEGINNING_BYTES, file.size)), file.content_type)


def _may_be_a_folder(chosen: Format | InstalledFormat | None, error: DatasetError) -> bool:
    """Whether what cannot be read as a file may be a dataset of many."""
    if isinstance(chosen, InstalledFormat):
        return True
    is_there_no_file = isinstance(error, (DatasetNotFoundError, DatasetPermissionError, CorruptDataError))
    return chosen is _built_in(ZARR) and is_there_no_file


def is_recognised(path: str) -> bool:
    """Whether any format recognises `path` (or a URL); opens nothing, blocks on disk."""
    return _format_of(absolute(path), []) is not None


def _format_of(
    path: str, failures: list[str], look: _FirstLook | None = None
) -> Format | InstalledFormat | None:
    """The first format that recognises a path; formats that raised are added to `failures`."""
    if look is not None and look.beginning.head:
        found = _format_beginning(path, look.beginning, failures)
        if found is not None:
            return found
    for entry in BUILT_IN:
        if _built_in(entry).recognises(path):
            return _built_in(entry)
    for other in installed_formats():
        if other.recognises(path, failures):
            return other
    if _built_in(IMAGES).recognises(path):
        return _built_in(IMAGES)
    return _format_beginning(path, _local_beginning(split_inner(path)[0]), [])


def _format_beginning(
    path: str, beginning: Beginning, failures: list[str]
) -> Format | InstalledFormat | None:
    """The format of a file that begins so; by its name, that of another package: many use TIFF inside."""
    others = (other for other in installed_formats() if other.recognises(path, failures))
    by_beginning = [
        each for each in map(_built_in, (*BUILT_IN, IMAGES)) if each.recognises_beginning(path, beginning)
    ]
    return next(others, by_beginning[0]) if by_beginning else None


def _local_beginning(file: str) -> Beginning:
    """The beginning of a file on this machine; empty if it is none."""
    if is_url(file) or not os.path.isfile(file):
        return Beginning(b"")
    try:
        opened = open_bytes(file)
    except DatasetError:
        return Beginning(b"")
    try:
        return _beginning_of(opened)
    except DatasetError:
        return Beginning(b"")
    finally:
        opened.close()


def _format_named(name: str) -> Format | InstalledFormat:
    """The format of a name, as `format_names` has it, or another that people use for it."""
    wanted = _ALSO.get(name.lower(), name.lower())
    for entry in (*BUILT_IN, IMAGES):
        if _built_in(entry).name == wanted:
            return _built_in(entry)
    for other in installed_formats():
        if other.name == name:
            return other
    raise UnsupportedError(f"there is no format {name!r}: choose from {', '.join(format_names())}")


def _check_there(path: str) -> None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error
    if not stat.S_ISDIR(status.st_mode):
        check_regular(path, status)


def _check_can_be_listed(path: str) -> None:
    """Raise a `DatasetError` for a folder of which the system does not say what is in it."""
    try:
        os.scandir(path).close()
    except NotADirectoryError:
        return
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error


@functools.cache
def _built_in(entry: str) -> Format:
    module, _, name = entry.partition(":")
    built_in: Format = getattr(importlib.import_module(f".{module}", __package__), name)()
    return built_in


# ---- other packages -----------------------------------------------------------------------


@functools.cache
def installed_formats() -> tuple[InstalledFormat, ...]:
    """The formats of installed packages, by name; searched once, imported on first use."""
    from importlib import metadata  # 30 ms that a host need not wait for when it imports the widget

    found = metadata.entry_points(group=ENTRY_POINTS)
    return tuple(
        InstalledFormat(entry) for entry in sorted(found, key=lambda entry: (entry.name, entry.value))
    )


class InstalledFormat:
    """A format of another package: its errors cost a warning, and do not affect other formats."""

    def __init__(self, entry: metadata.EntryPoint) -> None:
        self.name = entry.name
        self._entry = entry

    @functools.cached_property
    def _format(self) -> Format:
        named = self._entry.load()
        made: Format = named() if isinstance(named, type) else named
        return made

    def recognises(self, path: str, failures: list[str]) -> bool:
        """Like `Format.recognises`; an error is logged, added to `failures`, and counts as no."""
        try:
            return bool(self._format.recognises(path))
        except Exception as error:  # noqa: BLE001  whatever others' code raises
            failure = f"the format plug-in {self} failed ({type(error).__name__}: {error})"
            logger.warning("%s: %s", path, failure)
            failures.append(failure)
            return False

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """Like `Format.open`; other errors become a `DatasetError`."""
        try:
            return self._format.open(path, options)
        except DatasetError:
            raise
        except Exception as error:
            raise DatasetError(
                f"the format plug-in {self} could not open {path} ({type(error).__name__}: {error})"
            ) from error

    def __str__(self) -> str:
        package = self._entry.dist.name if self._entry.dist is not None else self._entry.value
        return f"{self.name!r} of the package {package}"


def format_names() -> Iterator[str]:
    """The names of all formats in the order they are tried; other packages' formats declare theirs."""
    yield from (_built_in(entry).name for entry in BUILT_IN)
    yield from (other.name for other in installed_formats())
    yield _built_in(IMAGES).name
