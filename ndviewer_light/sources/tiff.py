"""TIFF in every form Squid writes, and single image files: opened by listing folders, or announced."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import (
    AcquisitionConfigError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    PlaneNotStoredError,
)
from ..model import PlaneKey, announced_info
from ..squid import acquisition_parameters, sanitised
from ..storage.files import is_url
from . import Source
from .tiff_faults import FileMissingError
from .tiff_files import TiffPool, not_stored
from .tiff_folders import kind_of
from .tiff_forms import MAX_T, Form, Images, Places, Stacks
from .tiff_names import IMAGE_ENDS, is_number
from .tiff_ome import OmeFiles
from .tiff_opened import OpenedFolder, learned, open_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ..model import AnnouncedRun, ChannelPart, DatasetInfo
    from . import StorageOptions
    from .tiff_faults import Picture

    _T = TypeVar("_T")

_BT601 = (0.299, 0.587, 0.114)
"""How much red, green and blue add to brightness."""


class TiffSource(Source):
    """Images of any of Squid's TIFF forms; see `tiff_forms` for what the forms are.

    Positions keep their index while a source is open; those that appear later come after all others.
    """

    format = "tiff"

    def __init__(
        self,
        form: Form,
        parts: tuple[ChannelPart, ...],
        info: DatasetInfo,
        pool: TiffPool,
        *,
        path: str | None,
        folder: OpenedFolder | None = None,
    ) -> None:
        self._form = form
        self._parts = parts
        self._info = info
        self._pool = pool
        self._path = path  # None where it was announced
        self._folder = folder  # None where it was announced, or is one file
        self._looking = threading.Lock()  # held while `folder` is listed
        self._learned = path is not None
        self._lock = threading.Lock()  # guards what is known; never held while a disk is touched
        self._closed = False

    # ---- the ways in -------------------------------------------------------------------------

    @classmethod
    def announced(cls, run: AnnouncedRun, folder: str, form: str) -> TiffSource:
        """A run that is being written into the experiment `folder` in one form: "images", "stacks" or "ome".

        Touches no disk. Its keys count time as the acquisition does, positions and channels as announced
        (`run.parts`). `info` is what the host says until a first file is read.
        """
        folder = os.path.abspath(os.path.expanduser(folder))
        channels = tuple(sanitised(name) for name in run.channels)
        places = Places(folder, run.positions, channels, computed=True)
        pool = TiffPool()
        forms: dict[str, Callable[[], Form]] = {
            "images": lambda: Images(places),
            "stacks": lambda: Stacks(places, pool),
            "ome": lambda: OmeFiles(places, pool),
        }
        if form not in forms:
            raise AcquisitionConfigError(f"there is no form {form!r} of TIFF: expected {', '.join(forms)}")
        return cls(forms[form](), run.parts, announced_info(run), pool, path=None)

    @classmethod
    def recognises(cls, path: str) -> bool:
        """Whether `path` is an image file, or a folder in which there are images as Squid names them."""
        if is_url(path):
            return False
        if os.path.isdir(path):
            return kind_of(path) is not None
        return path.lower().endswith(IMAGE_ENDS)

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> TiffSource:
        """Open the dataset at `path`: folders are listed, and one file is opened (more if it is damaged).

        Raises `DatasetNotFoundError` if there is none, or it is still being written, else what is wrong
        with the first.
        """
        path = os.path.abspath(os.path.expanduser(path))
        pool = TiffPool()
        try:
            if not os.path.isdir(path):
                form, known = open_file(path, pool)
                return cls(form, known.parts, known.info, pool, path=path)
            kind = kind_of(path)
            if kind is None:
                raise DatasetNotFoundError(f"{path} holds no image files with names as Squid gives them")
            folder = OpenedFolder(path, kind, pool)
            known = folder.look()
            return cls(folder.form, known.parts, known.info, pool, path=path, folder=folder)
        except PlaneNotStoredError as error:
            pool.close()
            raise DatasetNotFoundError(str(error)) from error
        except BaseException:
            pool.close()
            raise

    def register(self, key: PlaneKey, path: str, page: int = 0) -> None:
        """A host says that this plane is, or will be, in that file. Any thread; no I/O.

        For single images: `path` comes before the name we would expect, and shows how others are named.
        """
        key = PlaneKey(*key)
        if isinstance(self._form, Images) and 0 <= key.c < len(self._parts):
            self._form.register(self._acquired(key), os.path.abspath(path), page)

    # ---- Source ------------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is known now; a new object whenever more is known."""
        return self._info

    def exists(self, key: PlaneKey) -> bool:
        """Whether a file that may hold this plane is there now; nothing is opened."""
        key = PlaneKey(*key)
        self._check(key)
        self._learn_padding()
        return any(map(os.path.isfile, self._form.files(self._acquired(key))))

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane.

        One of the three colours of a colour image, or its brightness where grey was expected. Raises
        `PlaneNotStoredError` while its file, or its page, is not there, `PlaneNotWrittenError` while it is
        being written.
        """
        key = PlaneKey(*key)
        self._check(key, level)
        part = self._parts[key.c]
        pixels = self._from_file(key, self._form.read)
        return _one_sample(pixels, part.sample)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane, None while its file does not exist or has no such plane."""
        key = PlaneKey(*key)
        self._check(key, level)
        try:
            picture: Picture = self._from_file(key, self._form.picture)
        except PlaneNotStoredError:
            return None
        return picture.height, picture.width

    def refresh(self) -> DatasetInfo:
        """Look at the folders again: what has appeared comes after what was there."""
        if self._path is None:
            self._find_time_folders()
        elif self._folder is not None:
            self._look_again(self._folder)
        return self.info

    def _look_again(self, folder: OpenedFolder) -> None:
        self._raise_if_gone()
        with self._looking:
            known = folder.look(self.info)
            with self._lock:
                # reads may have learnt of more meanwhile
                info = replace(
                    known.info,
                    n_t=max(known.info.n_t, self._info.n_t),
                    n_z=max(known.info.n_z, self._info.n_z),
                )
                self._parts = known.parts
                if info != self._info:
                    self._info = info

    def close(self) -> None:
        """Close every file; reads under way may still succeed. Idempotent."""
        self._closed = True
        self._pool.close()

    # ---- which file --------------------------------------------------------------------------

    def _acquired(self, key: PlaneKey) -> PlaneKey:
        """The key with its channel counted as acquired, not as shown."""
        return key._replace(c=self._parts[key.c].of)

    def _check(self, key: PlaneKey, level: int = 0) -> None:
        info = self.info
        if level != 0:
            raise IndexError(f"level {level}: images have only level 0")
        known = info.contains(key) if self._path is not None else 0 <= key.t < MAX_T and key.z >= 0
        if not known or not 0 <= key.p < len(info.positions) or not 0 <= key.c < len(self._parts):
            raise IndexError(f"no plane {tuple(key)} in a dataset of {info.sizes}")

    def _from_file(self, key: PlaneKey, ask: Callable[[str, PlaneKey], _T]) -> _T:
        """Ask the first file that exists; teaches what the dataset is, if nothing has yet."""
        if self._closed:
            raise DatasetError(f"the dataset was closed while plane {tuple(key)} was to be read")
        self._learn_padding()
        acquired = self._acquired(key)
        first = None
        for path in self._form.files(acquired):
            first = first or path
            try:
                answer = ask(path, acquired)
            except FileMissingError:
                continue
            except PlaneNotStoredError:
                self._learn_from(path, acquired)
                raise
            self._learn_from(path, acquired)
            return answer
        self._raise_if_gone()
        raise (
            not_stored(first) if first is not None else PlaneNotStoredError(f"no file can hold {tuple(key)}")
        )

    def _raise_if_gone(self) -> None:
        """Tell a plane that is not there from a disk that is not there."""
        if self._path is None:  # of an announced run nothing need exist
            return
        try:
            os.stat(self._path)
        except OSError as error:
            raise DatasetGoneError(
                f"{self._path} cannot be reached any more ({error.strerror}): "
                "plug it in or move it back, it is looked for again"
            ) from error

    # ---- what is known grows -----------------------------------------------------------------

    def _learn_from(self, path: str, key: PlaneKey) -> None:
        """Take from a file what is not known yet; it has just been read, or tried."""
        form = self._form
        if self._learned and (
            form.one_time_per_file or self._info.contains(PlaneKey(key.t, key.p, 0, key.z))
        ):
            if self._path is None and form.one_time_per_file:
                self._grow(n_t=key.t + 1)
            return
        try:
            facts = form.facts(path, key)
        except (DatasetError, FileMissingError):  # the plane's own error has said so
            return
        n_t = max(facts.n_t, key.t + 1 if form.one_time_per_file else 1)
        if self._learned:
            self._grow(n_t, facts.n_z)
            return
        parameters = acquisition_parameters(form.places.experiment)
        with self._lock:
            self._info = learned(self._info, self._parts, facts._replace(n_t=n_t), parameters)
            self._learned = True

    def _grow(self, n_t: int = 0, n_z: int = 0) -> None:
        with self._lock:
            info = self._info
            if n_t > info.n_t or n_z > info.n_z:
                self._info = replace(info, n_t=max(n_t, info.n_t), n_z=max(n_z, info.n_z))

    def _learn_padding(self) -> None:
        """Look once how the folders of time points are named, as soon as there is one."""
        if self._path is None and not self._form.places.folders:
            self._find_time_folders()

    def _find_time_folders(self) -> None:
        """List the experiment's folder; a time point's number is its index where the run was announced."""
        places = self._form.places
        try:
            names = [entry.name for entry in os.scandir(places.experiment) if is_number(entry.name)]
        except OSError:
            return
        folders = {t: os.path.join(places.experiment, name) for name in names if (t := int(name)) < MAX_T}
        spelling = places.spelling
        for name in names:
            spelling = spelling.seen(name)
        with self._lock:
            if folders != places.folders or spelling is not places.spelling:
                self._form.places = replace(self._form.places, folders=folders, spelling=spelling)
        if self._form.one_time_per_file:
            self._grow(n_t=max(folders, default=0) + 1)


def _one_sample(pixels: np.ndarray, sample: int | None) -> np.ndarray:
    """(Y, X) of one colour, or of the brightness, of what may be a colour image."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[-1] < 3:  # grey, with transparency
        return np.ascontiguousarray(pixels[..., 0])
    if sample is not None:
        return np.ascontiguousarray(pixels[..., sample])
    brightness = sum(pixels[..., i] * np.float32(weight) for i, weight in enumerate(_BT601))
    if pixels.dtype.kind in "ui":
        brightness = np.rint(brightness)
    return np.asarray(brightness).astype(pixels.dtype)
