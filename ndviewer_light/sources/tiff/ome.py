"""OME-TIFF as Squid writes it: one file per position, created at full size and filled in place.

Such a file contains zeros where nothing is written yet. Until it is declared complete, written planes are
known from the writer's progress file or, without one, from the pixels: a plane of zeros counts as
unwritten.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import (
    CorruptDataError,
    DatasetError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
)
from ...metadata.ome_xml import (
    MAX_CHARACTERS,
    OmeImage,
    Pages,
    first_plane_times,
    ome_image,
    ome_image_cut_off,
)
from ...metadata.squid import acquisition_parameters, channel_names, ome_progress_files, sanitised
from ...storage.decoding.ifd_chain import MAX_PAGES
from ...storage.decoding.tiff_parts import WHOLE, PagePart, sub_pages
from ...storage.file_clock import is_being_written
from ...storage.limits import read_json
from .file_errors import FileMissingError
from .file_names import OME_FOLDER, is_file_name
from .file_pool import OpenTiff
from .forms import FileFacts, Form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...metadata.recorded_times import RecordedTimes
    from ...model import PlaneKey
    from ...storage.decoding.pictures import Picture
    from ...storage.local_files import LinkGuard
    from .file_pool import TiffPool
    from .forms import FileLocations

_ENDS = (".ome.tiff", ".ome.tif")

_LAST_PIXELS = 8
"""A plane filled through a memory map is complete if one of so many pixels at its end is not zero. Not the
whole last row: a page of memory usually ends inside it, and there the writer waits for the disk.
"""


class _ParsedXML(NamedTuple):
    """A file's parsed OME-XML, and the modification time it was read at.

    `torn`: why the file has none, if it ends too early.
    """

    image: OmeImage
    modified_ns: int
    torn: DatasetError | None = None


class OmeFiles(Form):
    """One OME-TIFF per position for the whole run, in ``ome_tiff/``; or one per time, inside ``<t>/``."""

    format = "ome-tiff"
    one_time_per_file = False

    def __init__(self, places: FileLocations, pool: TiffPool) -> None:
        super().__init__(places)
        self._pool = pool

    def files(self, key: PlaneKey) -> Iterator[str]:
        """See `Form.files`."""
        places = self.places
        region, number, *_ = places.positions[key.p]
        for folder in self._folders(key.t):
            if (name := places.names.get((region, number))) is not None:
                yield os.path.join(folder, name)
                continue
            for (fov,) in places.spelling.numbers(number):
                for end in _ENDS:
                    if is_file_name(name := f"{region}_{fov}{end}"):
                        yield os.path.join(folder, name)

    def _folders(self, t: int) -> Iterator[str]:
        places = self.places
        if places.computed:
            yield os.path.join(places.experiment, OME_FOLDER)
        for folder in places.time_folders(t):
            yield folder
            if places.computed:
                yield os.path.join(folder, OME_FOLDER)

    def read(self, path: str, key: PlaneKey, part: PagePart = WHOLE) -> np.ndarray:
        """See `Form.read`."""
        with self._pool.opened(path) as tiff:
            image = self._image(tiff)
            t, c, z = self._index(tiff, image, key)
            file, page = _page(tiff, image, t, c, z)
            if not file:
                if image.complete or sub_pages(tiff.page(page)):  # levels are made of finished planes
                    return tiff.read(page, part)
                return self._read_unless_unwritten(tiff, (t, c, z), page, part)
        return self._read_elsewhere(os.path.join(os.path.dirname(path), file), page, part)

    def acquired_s(self, path: str, key: PlaneKey) -> float | None:
        """When a plane was acquired, in s since the run began; None if the file does not say."""
        with self._pool.opened(path) as tiff:
            modified_ns = os.stat(tiff.path).st_mtime_ns
            known = tiff.known.get("times")
            if known is None or known[0] != modified_ns:
                text = tiff.description()
                known = tiff.known["times"] = modified_ns, first_plane_times(text[: MAX_CHARACTERS + 1])
            times: RecordedTimes = known[1]
            return times.of(*self._index(tiff, self._image(tiff), key))

    def lists(self, path: str, key: PlaneKey) -> bool | None:
        """See `Form.lists`: the writer's list, or a file that is complete."""
        with self._pool.opened(path) as tiff:
            image = self._image(tiff)
            index = self._index(tiff, image, key)
            found = image.page(*index)
            if found is None:
                _raise_if_torn(tiff)
                return False
            if found[0]:
                return os.path.isfile(os.path.join(os.path.dirname(path), found[0]))
            if image.complete:
                return found[1] < tiff.n_pages or None
            written = self._written(tiff)
            return None if written is None else index in written

    def _read_elsewhere(self, path: str, page: int, part: PagePart) -> np.ndarray:
        self.check(path)
        try:
            with self._pool.opened(path) as tiff:
                return tiff.read(page, part)
        except FileMissingError as error:
            raise PlaneNotStoredError(
                f"{path} does not exist, but an OME-TIFF beside it refers to it"
            ) from error

    def _read_unless_unwritten(
        self, tiff: OpenTiff, index: tuple[int, int, int], page: int, part: PagePart
    ) -> np.ndarray:
        written = self._written(tiff)
        if written is not None:
            if index not in written:
                raise _not_written(tiff, page, "this plane is not marked as written yet")
            return tiff.read(page, part)
        pixels = tiff.read(page, part)
        if not pixels[-1, -_LAST_PIXELS:].any():
            if not pixels.any():
                raise _not_written(tiff, page, "this plane contains only zeros")
            if is_being_written(tiff.path):
                raise _not_written(tiff, page, "the end of this plane is not written yet")
        # the writer may have overtaken us, so that we read zeros it has replaced since
        if is_being_written(tiff.path) and not np.array_equal(pixels, tiff.read(page, part)):
            raise _not_written(tiff, page, "this plane changed while it was being read")
        return pixels

    def _written(self, tiff: OpenTiff) -> frozenset[tuple[int, int, int]] | None:
        """The (t, c, z) that the writer has listed as written; None without a progress file."""
        name = os.path.basename(tiff.path)
        base = os.path.splitext(os.path.splitext(name)[0])[0]
        for path in ome_progress_files(self.places.experiment, base):
            try:
                status = os.stat(path)
            except OSError:
                continue
            seen = (path, status.st_ino, status.st_size, status.st_mtime_ns)
            if tiff.known.get("progress", (None,))[0] != seen:
                # invalid JSON while being rewritten: the previous list is still true
                with contextlib.suppress(DatasetError):
                    tiff.known["progress"] = seen, _written_indices(path)
            if "progress" in tiff.known:
                return tiff.known["progress"][1]  # type: ignore[no-any-return]
        return None

    def picture(self, path: str, key: PlaneKey, level: int = 0) -> Picture:
        """See `Form.picture`."""
        with self._pool.opened(path) as tiff:
            image = self._image(tiff)
            _page(tiff, image, *self._index(tiff, image, key))  # checks that the plane exists
            return tiff.picture(0, level)

    def tile(self, path: str, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Form.tile`: as of the first page, like sizes."""
        with self._pool.opened(path) as tiff:
            return tiff.tile(0, level)

    def facts(self, path: str, key: PlaneKey) -> FileFacts:
        """See `Form.facts`."""
        with self._pool.opened(path) as tiff:
            image = self._image(tiff)
            return FileFacts(
                tiff.picture(0),
                n_t=key.t + 1 if self._is_of_one_time(tiff, image) else image.n_t,
                n_z=image.n_z,
                channels=image.channels or ("",) * image.n_c,
                pixel_y=image.pixel_y_um,
                pixel_x=image.pixel_x_um,
                z_step=image.z_step_um,
                time_step=image.time_step_s,
                complete=None if image.complete else False,
                n_levels=tiff.n_levels(0),
                described=image.described,
                position_um=image.position_um,
                name=image.name,
                torn=_why_torn(tiff),
                is_inverted=tiff.is_inverted(0),
            )

    def _image(self, tiff: OpenTiff) -> OmeImage:
        return ome_of(tiff, self.places.experiment, self.links)

    def _index(self, tiff: OpenTiff, image: OmeImage, key: PlaneKey) -> tuple[int, int, int]:
        """The plane's (t, c, z) in the file."""
        channels = self.places.channels
        wanted = channels[key.c] if 0 <= key.c < len(channels) else ""
        spelt = [sanitised(name) for name in image.channels]
        c = spelt.index(wanted) if wanted in spelt else key.c
        return 0 if self._is_of_one_time(tiff, image) else key.t, c, key.z

    def _is_of_one_time(self, tiff: OpenTiff, image: OmeImage) -> bool:
        folder = os.path.dirname(tiff.path)
        return image.n_t == 1 and folder != os.path.join(self.places.experiment, OME_FOLDER)


def ome_of(tiff: OpenTiff, experiment: str, links: LinkGuard | None) -> OmeImage:
    """The OME-XML of an open file of an experiment; reread while it may still be rewritten."""
    known: _ParsedXML | None = tiff.known.get("ome")
    modified_ns = os.stat(tiff.path).st_mtime_ns
    if known is not None and (known.image.complete or known.modified_ns == modified_ns):
        return known.image
    if known is None:
        image, torn = _ome_of_first_page(tiff, experiment, links)
    else:
        with contextlib.closing(OpenTiff(tiff.path)) as again:  # `tiff` remembers the pages found so far
            image, torn = _ome_of_first_page(again, experiment, links)
    tiff.known["ome"] = _ParsedXML(image, modified_ns, torn)
    return image


def _why_torn(tiff: OpenTiff) -> DatasetError | None:
    known: _ParsedXML | None = tiff.known.get("ome")
    return None if known is None else known.torn


def _raise_if_torn(tiff: OpenTiff) -> None:
    if isinstance(torn := _why_torn(tiff), CorruptDataError):
        raise torn


def _ome_of_first_page(
    tiff: OpenTiff, experiment: str, links: LinkGuard | None
) -> tuple[OmeImage, DatasetError | None]:
    text, name = tiff.description()[: MAX_CHARACTERS + 1], os.path.basename(tiff.path)
    image = ome_image(text, name) if text else None
    if image is not None:
        return image, None
    # the XML of a file that is just being created may follow; or its writer was killed while it wrote it
    n_pages = min(tiff.n_pages, MAX_PAGES)
    image = ome_image_cut_off(text, name, n_pages)
    return (
        (image, None) if image is not None else (_as_planned(tiff, experiment, links, n_pages), tiff.torn())
    )


def _as_planned(tiff: OpenTiff, experiment: str, links: LinkGuard | None, n_pages: int) -> OmeImage:
    """Pages of which no OME-XML says what they are: as the experiment was set up, if that is borne out."""
    is_complete = not is_being_written(tiff.path)
    if tiff.ends_before_page:  # which of all planes these pages are is certain of the first one only
        return OmeImage(1, 1, 1, "CZT", (), (Pages(0, 1, 0),), complete=is_complete)
    planned = acquisition_parameters(experiment, links)
    n_t, n_z = planned.n_t, planned.n_z
    pages = (Pages(0, n_pages, 0),)
    if not n_t * n_z or n_pages % (n_t * n_z):
        return OmeImage(1, n_pages, 1, "CZT", (), pages, complete=is_complete)
    n_c, names = n_pages // (n_t * n_z), channel_names(experiment, links).names
    channels = names if len(names) == n_c else ("",) * n_c
    return OmeImage(n_t, n_z, n_c, "CZT", channels, pages, complete=False)


def _page(tiff: OpenTiff, image: OmeImage, t: int, c: int, z: int) -> tuple[str, int]:
    found = image.page(t, c, z)
    if found is None:
        _raise_if_torn(tiff)
        raise PlaneNotStoredError(
            f"{tiff.path} has no plane t={t} c={c} z={z}: it has {image.n_t}×{image.n_c}×{image.n_z} planes"
        )
    return found


def _not_written(tiff: OpenTiff, page: int, why: str) -> PlaneNotWrittenError:
    error = PlaneNotWrittenError(f"{tiff.path} is incomplete: {why}")
    picture = tiff.picture(page)
    error.plane_shape = picture.height, picture.width
    return error


def _written_indices(path: str) -> frozenset[tuple[int, int, int]]:
    """The (t, c, z) listed in a progress file."""
    said = (read_json(path) or {}).get("written_indices")
    written = set()
    for entry in said if isinstance(said, list) else ():
        numbers = entry.split("-") if isinstance(entry, str) else ()
        if len(numbers) == 3 and all(number.isdecimal() and len(number) < 10 for number in numbers):
            t, c, z = map(int, numbers)
            written.add((t, c, z))
    return frozenset(written)
