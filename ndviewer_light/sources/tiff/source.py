"""TIFF in every layout Squid writes, and single image files: opened by listing folders, or announced."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError, closed_error
from ...model import PlaneKey
from ...storage.bytes import check_still_there
from ...storage.decoding.pictures import one_sample
from ...storage.decoding.tiff_parts import OutsidePlaneError, PagePart
from ...storage.file_versions import NOTHING, version_of
from ...storage.local_files import is_there
from ...storage.tiling import levels_by_size
from ..remarks import TakesRemark
from ..source import MAX_FILES_LOOKED_AT, Source
from ..unlike_files import UnlikeFiles, pixels_text
from .file_errors import FileMissingError
from .file_pool import TiffPool
from .folders import kind_of
from .forms import ImagePerPlane
from .ome import OmeFiles
from .opened import OpenedFolder, open_file
from .squids_times import SquidsTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from ...model import ChannelPart, DatasetInfo, ImageInfo, Level, Region
    from ...storage.decoding.pictures import Picture
    from ..remarks import Remark
    from ..source import StorageOptions
    from .forms import Form
    from .written_beside import ParametersBeside

    _T = TypeVar("_T")


class TiffSource(Source, TakesRemark):
    """Images of any of Squid's TIFF forms; see `forms` for what the forms are.

    Positions keep their index while a source is open; later ones are appended.
    """

    format = "tiff"

    def __init__(
        self,
        form: Form,
        parts: tuple[ChannelPart, ...],
        info: DatasetInfo,
        pool: TiffPool,
        path: str,
        folder: OpenedFolder | None = None,
        parameters: ParametersBeside | None = None,
    ) -> None:
        self._form = form
        self._parts = parts
        self._info = info
        self._pool = pool
        self._path = path
        self._folder = folder  # None for a single file
        self._parameters = parameters  # None for a folder, which reads them itself
        self._looking = threading.Lock()  # held while `folder` is listed
        self._lock = threading.Lock()  # guards the state; never held while accessing the disk
        self._times = SquidsTimes()
        self._sized: set[int] = set()  # positions of which a file was opened
        self._other_sizes: dict[
            int, tuple[int, int]
        ] = {}  # of those unlike the first; replaced, never changed
        self._unlike = UnlikeFiles()
        # of what `info` was made, and what it is
        self._composed = (info, self._other_sizes, self._unlike.warnings, self._times.warnings), info
        self._note_other_sizes()
        self._heard: set[int] = set()  # positions whose number of times and z is known from a file
        self._version_looked_at = ""  # of the single file, as of the last look
        self._closed = False

    # ---- opening -----------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> TiffSource:
        """Open the dataset at `path`: folders are listed, and one file is opened (more if it is damaged).

        Raises `DatasetNotFoundError` if there is none, or it is still being written, else the error of the
        first file.
        """
        path = os.path.abspath(os.path.expanduser(path))
        pool = TiffPool()
        try:
            if not os.path.isdir(path):
                form, known = open_file(path, pool, options)
                return cls(form, known.parts, known.info, pool, path, parameters=known.parameters)
            kind = kind_of(path)
            if kind is None:
                raise DatasetNotFoundError(f"{path} contains no image files named as by Squid")
            folder = OpenedFolder(path, kind, pool, options)
            of_folder = folder.look()
            assert of_folder is not None, "all of it is looked at"
            return cls(folder.form, of_folder.parts, of_folder.info, pool, path, folder)
        except PlaneNotStoredError as error:
            pool.close()
            raise DatasetNotFoundError(str(error)) from error
        except BaseException:
            pool.close()
            raise

    def take_remark(self, remark: Remark) -> None:
        """See `TakesRemark`: of a single file."""
        with self._lock:
            self._info = remark.added_to(self._info)

    # ---- Source ------------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        of, composed = self._composed
        now = self._info, self._other_sizes, self._unlike.warnings, self._times.warnings
        if all(each is one for each, one in zip(of, now, strict=True)):
            return composed
        with self._lock:
            of = self._info, self._other_sizes, self._unlike.warnings, self._times.warnings
            info, sizes, said, of_times = of
            image = info.image(0)
            images = {p: replace(image, height=y, width=x) for p, (y, x) in sizes.items()}
            info = replace(info.with_images(images), warnings=(*info.warnings, *said, *of_times))
            self._composed = of, info
            return info

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`: opens its first file; like the others as long as there is none."""
        if 0 <= p < len(self._info.positions) and p not in self._sized:
            with contextlib.suppress(DatasetError, IndexError):  # reading that plane reports the error
                self._learn_size(PlaneKey(p=p))
        return self.info.image(p)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by OME-XML, or the table that Squid writes for each time point."""
        return [self._time_of(PlaneKey(*key)) for key in keys]

    def _time_of(self, key: PlaneKey) -> float | None:
        try:
            self._check(key)
            if isinstance(self._form, OmeFiles):
                return self._from_file(key, self._form.acquired_s)
            return self._times.of(self._form.places, self._acquired(key))
        except (DatasetError, IndexError):  # reading the plane says why
            return None

    def look_at_all(self) -> DatasetInfo:
        """Look at the first 512 positions."""
        for p in range(min(len(self._info.positions), MAX_FILES_LOOKED_AT)):
            self.image(p)
        return self.info

    def exists(self, key: PlaneKey) -> bool:
        """Whether a file that may contain this plane exists now; nothing is opened."""
        key = PlaneKey(*key)
        self._check(key)
        return any(map(os.path.isfile, self._files(self._acquired(key))))

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane.

        For a colour image, one of its three colours, or its brightness if grey was expected. Raises
        `PlaneNotStoredError` while its file or page does not exist, `PlaneNotWrittenError` while it is
        being written.
        """
        return self._read(PlaneKey(*key), PagePart(level))

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: only the strips or tiles that it touches are read."""
        return self._read(PlaneKey(*key), PagePart(level, region))

    def _read(self, key: PlaneKey, part: PagePart) -> np.ndarray:
        self._check(key, part.level)
        try:
            path, pixels = self._from_file(
                key, lambda path, acquired: (path, self._form.read(path, acquired, part))
            )
        except OutsidePlaneError as error:
            raise IndexError(str(error)) from None
        if part == PagePart(0):
            self._compare(key, path, pixels)
        elif key.p not in self._sized:
            self._learn_size(key)
        return one_sample(pixels, self._parts[key.c].sample)

    def _compare(self, key: PlaneKey, path: str, pixels: np.ndarray) -> None:
        """Say so of a plane that is unlike the first of its position, or of another type than any channel."""
        shape = pixels.shape[0], pixels.shape[1]
        if key.p not in self._sized:
            if shape != (self._info.height, self._info.width):
                with contextlib.suppress(DatasetError, IndexError):  # reading that plane reports the error
                    self._learn_size(PlaneKey(p=key.p))
            if key.p not in self._sized:
                self._note_size(key.p, shape)
        size = self._other_sizes.get(key.p, (self._info.height, self._info.width))
        dtypes = self._folder.dtypes if self._folder is not None else frozenset[np.dtype]()
        what = ""
        if shape != size:
            what = _of_other_size(shape, size)
        elif len(dtypes) and pixels.dtype not in dtypes:
            others = " and ".join(sorted(map(str, dtypes)))
            what = (
                f"has pixels of {pixels.dtype}, the first images of the channels of {others}: shown as it is"
            )
        self._unlike.note(path, key, what)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None while its file does not exist or has no such plane."""
        key = PlaneKey(*key)
        self._check(key, level)
        try:
            picture = self._picture(key, level)
        except PlaneNotStoredError:
            return None
        return picture.height, picture.width

    def _picture(self, key: PlaneKey, level: int) -> Picture:
        return self._from_file(key, lambda path, acquired: self._form.picture(path, acquired, level))

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`: the sizes of the file's sub-pages; TIFF says nothing about their scale."""
        n_z, n_levels = self.info.n_z, self.info.n_levels
        pictures = [self._picture(PlaneKey(p=p), level) for level in range(n_levels)]
        return levels_by_size([(picture.height, picture.width) for picture in pictures], n_z)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole tiles or strips; None while there is no file."""
        key = PlaneKey(p=p)
        self._check(key, level)
        try:
            return self._from_file(key, lambda path, acquired: self._form.tile(path, acquired, level))
        except PlaneNotStoredError:
            return None

    def refresh(self) -> DatasetInfo:
        """Relist the folders; new items are appended."""
        self._raise_if_gone()
        self._times.look_at_faulty()
        if self._folder is not None:
            return self._look(self._folder, all_of_it=True)
        self._heard.clear()
        self._version_looked_at = version_of(self._path)
        self._learn_from(self._path, PlaneKey())
        self._read_parameters_again()
        return self.info

    def _read_parameters_again(self) -> None:
        """Read the parameters of the experiment, if they were read and have changed since."""
        if self._parameters is None:
            return
        with self._looking:
            parameters = self._parameters.read() if self._parameters.have_changed() else None
            if parameters is not None:
                with self._lock:
                    info = self._parameters.added_to(self._info, parameters)
                    if info != self._info:  # a new object would mean that more is known
                        self._info = info

    def look(self) -> DatasetInfo:
        """See `Source.look`: what it costs is said with `Finder.look`; a file is read if it has changed."""
        self._times.look_at_faulty()
        if self._folder is None:
            self._read_parameters_again()
            return self.info if version_of(self._path) == self._version_looked_at else self.refresh()
        self._raise_if_gone()
        return self._look(self._folder, all_of_it=False)

    def _look(self, folder: OpenedFolder, *, all_of_it: bool) -> DatasetInfo:
        with self._looking:
            known = folder.look(self._info, all_of_it=all_of_it)
            if known is None:
                return self.info
            self._sized.clear()  # files may have been replaced
            with self._lock:
                # reads may have found more meanwhile
                n_t, n_z = max(known.info.n_t, self._info.n_t), max(known.info.n_z, self._info.n_z)
                info = replace(known.info, n_t=n_t, n_z=n_z)
                self._parts = known.parts
                if info != self._info:
                    self._info = info
        self._note_other_sizes()
        return self.info

    def _note_other_sizes(self) -> None:
        """Say so of channels whose first image has another size than the first of all."""
        size = self._info.height, self._info.width
        for path, key, picture in self._folder.of_other_sizes if self._folder is not None else ():
            self._unlike.note(path, key, _of_other_size(picture[:2], size))

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: those of the files, which may contain other planes as well."""
        return [self._version(PlaneKey(*key)) for key in keys]

    def _version(self, key: PlaneKey) -> str | None:
        if not self._may_have(key):
            return None
        versions = map(version_of, self._files(self._acquired(key)))
        return next((version for version in versions if version != NOTHING), NOTHING)

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: a plane of zeros is stored like any other."""
        return False

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: whether a file is there and, if it has several pages, lists the plane."""
        return [self._is_stored(PlaneKey(*key)) for key in keys]

    def _is_stored(self, key: PlaneKey) -> bool | None:
        if not self._may_have(key):
            return None
        acquired = self._acquired(key)
        files = list(self._files(acquired))
        path = next(filter(os.path.isfile, files), None)
        if path is None:
            return None if None in map(is_there, files) else False
        try:
            self._form.check(path)
            return self._form.lists(path, acquired)
        except (FileMissingError, PlaneNotStoredError):
            return False
        except DatasetError:  # reading the plane will say why
            return None

    @property
    def landmark(self) -> str | None:
        """See `Source.landmark`: the first image of a folder with one for each plane."""
        return self._folder.first_file if self._folder is not None else None

    def close(self) -> None:
        """Close every file; reads in progress may still succeed. Idempotent."""
        self._closed = True
        self._pool.close()

    # ---- files -------------------------------------------------------------------------------

    def _acquired(self, key: PlaneKey) -> PlaneKey:
        """The key with the index of the acquired, not the displayed, channel."""
        return key._replace(c=self._parts[key.c].of)

    def _files(self, key: PlaneKey) -> Iterable[str]:
        """The files that may contain a plane, likeliest first."""
        return self._form.files(key)

    def _check(self, key: PlaneKey, level: int = 0) -> None:
        if not 0 <= level < self.info.n_levels:
            raise IndexError(f"no resolution level {level}: {self._path} has {self.info.n_levels}")
        if not self._may_have(key):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {self.info.sizes}")

    def _may_have(self, key: PlaneKey) -> bool:
        """Whether this can be a plane of the dataset."""
        return self.info.contains(key)

    def _from_file(self, key: PlaneKey, ask: Callable[[str, PlaneKey], _T]) -> _T:
        """Read from the first file that exists, and learn about the dataset from it if necessary."""
        if self._closed:
            raise closed_error()
        acquired = self._acquired(key)
        first = None
        for path in self._files(acquired):
            first = first or path
            try:
                self._form.check(path)
                answer = ask(path, acquired)
            except FileMissingError:
                continue
            except PlaneNotStoredError:
                self._learn_from(path, acquired)
                raise
            self._learn_from(path, acquired)
            return answer
        self._raise_if_gone()
        raise PlaneNotStoredError(f"{first or 'a file for this plane'} does not exist yet")

    def _raise_if_gone(self) -> None:
        """Distinguish a missing plane from a missing disk."""
        check_still_there(self._path)

    # ---- learning from files -----------------------------------------------------------------

    def _learn_from(self, path: str, key: PlaneKey) -> None:
        """Learn what is still unknown from a file that has just been read or tried. Once per position."""
        if isinstance(self._form, ImagePerPlane) or key.p in self._heard:
            return
        self._heard.add(key.p)
        with contextlib.suppress(DatasetError, FileMissingError):  # already reported as the plane's own error
            facts = self._form.facts(path, key)
            self._grow(0 if self._form.one_time_per_file else facts.n_t, facts.n_z)

    def _learn_size(self, key: PlaneKey) -> None:
        picture = self._picture(key, 0)
        self._note_size(key.p, (picture.height, picture.width))

    def _note_size(self, p: int, shape: tuple[int, ...]) -> None:
        with self._lock:
            self._sized.add(p)
            is_alike = shape == (self._info.height, self._info.width)
            if not is_alike and self._other_sizes.get(p) != shape:
                self._other_sizes = {**self._other_sizes, p: (shape[0], shape[1])}
            elif is_alike and p in self._other_sizes:
                self._other_sizes = {at: size for at, size in self._other_sizes.items() if at != p}

    def _grow(self, n_t: int = 0, n_z: int = 0) -> None:
        with self._lock:
            info = self._info
            if n_t > info.n_t or n_z > info.n_z:
                self._info = replace(info, n_t=max(n_t, info.n_t), n_z=max(n_z, info.n_z))


def _of_other_size(shape: tuple[int, int], size: tuple[int, int]) -> str:
    return (
        f"has {pixels_text(*shape)} pixels, the first image of its position {pixels_text(*size)}: "
        "images of two sizes are not drawn over each other"
    )
