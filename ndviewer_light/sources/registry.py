"""Which formats there are, and the way to open a dataset of any of them.

Formats come with the package (`BUILT_IN`) or from installed packages, which name a `Format` in the entry
point group ``ndviewer_light.sources``:

    [project.entry-points."ndviewer_light.sources"]
    lif = "my_package.lif:LifFormat"

All are found by name and imported on first use: nothing here imports a format, formats may import this.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import stat
from importlib import metadata
from typing import TYPE_CHECKING

from ..errors import DatasetError, DatasetNotFoundError
from ..storage.bytes import absolute, check_address, is_url, split_inner
from ..storage.limits import error_of_os
from ..storage.local_files import check_regular
from ..storage.presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .format import Format
    from .source import Source, StorageOptions

logger = logging.getLogger(__name__)

ENTRY_POINTS = "ndviewer_light.sources"
"""The entry point group of formats that other packages bring."""

BUILT_IN = (
    *("zarr.format:ZarrFormat", "tiff.format:TiffFormat", "nd2.format:Nd2Format", "hdf5.format:HDF5Format"),
    "references.format:ReferencesFormat",
)
"""Modules of this folder and their class, asked in this order, then those of other packages."""

IMAGES = "images.format:ImagesFormat"
"""Asked last: it takes any folder with images in it, also one of which another package knows more."""


def open_source(path: str, options: StorageOptions = None) -> Source:
    """Open the dataset at a path or URL, ``file.h5::/path/inside`` for one inside a file.

    Blocks on disk or network. Raises a `DatasetError` that names the path and what was expected there.
    """
    path = absolute(path)
    if is_url(path):
        check_address(path)
    else:
        _check_there(split_inner(path)[0])
    if options and options.get("pattern"):  # the user has declared these to be images, and how they are named
        return _built_in(IMAGES).open(path, options)
    failures: list[str] = []
    chosen = _format_of(path, failures)
    if chosen is not None:
        return chosen.open(path, options)
    raise DatasetNotFoundError(
        f"{presentable(path)} is not a supported dataset: expected an OME-Zarr image, plate, well or array "
        "(zarr.json, .zgroup or .zarray), a folder with plate.ome.zarr or zarr/<region>/…, one with "
        "ome_tiff/ or images named as by Squid (<t>/<region>_<fov>_<z>_<channel>.tiff), other images, or "
        f"an image, ND2, HDF5, NWB or reference file{''.join(f'; {each}' for each in failures)}"
    )


def is_recognised(path: str) -> bool:
    """Whether any format recognises `path` (or a URL); opens nothing, blocks on disk."""
    return _format_of(absolute(path), []) is not None


def _format_of(path: str, failures: list[str]) -> Format | InstalledFormat | None:
    """The first format that recognises a path; formats that raised are added to `failures`."""
    for entry in BUILT_IN:
        if _built_in(entry).recognises(path):
            return _built_in(entry)
    for other in installed_formats():
        if other.recognises(path, failures):
            return other
    images = _built_in(IMAGES)
    return images if images.recognises(path) else None


def _check_there(path: str) -> None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error
    if not stat.S_ISDIR(status.st_mode):
        check_regular(path, status)


@functools.cache
def _built_in(entry: str) -> Format:
    module, _, name = entry.partition(":")
    built_in: Format = getattr(importlib.import_module(f".{module}", __package__), name)()
    return built_in


# ---- other packages -----------------------------------------------------------------------


@functools.cache
def installed_formats() -> tuple[InstalledFormat, ...]:
    """The formats of installed packages, by name; searched once, imported on first use."""
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
