"""TIFF files by what is inside them, local or on a server: every image of a file or a set is a position."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError, closed_error
from ...metadata.guessed_axes import AXES_OPTION
from ...metadata.micromanager import MICROMANAGER, MICROMANAGER_TAG
from ...metadata.recorded_times import elapsed_s
from ...model import PlaneKey, channel_in
from ...storage.bytes import check_still_there, is_url
from ...storage.decoding.pictures import one_sample
from ...storage.file_versions import NOTHING, version_of
from ...storage.limits import MAX_METADATA_BYTES
from ...storage.local_files import LinkGuard, is_there
from ...storage.presentable import presentable
from ...storage.tiling import levels_by_size
from ..filled_in_advance import Room
from ..remarks import TakesRemark
from ..source import MAX_FILES_LOOKED_AT, Source
from ..tiff_files import TiffFiles, folder_of
from ..tiff_planes import index_of_key, plane_tile
from .image_set_info import assumed_facts, dataset_info, image_info, parts_of, positions_of
from .set_growth_on_server import SetOnServer
from .set_on_server import set_in_folder
from .set_planes import PlanesOfSet, faults_of
from .sets import open_folder, open_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...metadata.tiff_layout import TiffImage
    from ...model import ChannelPart, DatasetInfo, ImageInfo, Level, Region
    from ...storage.file_holes import Stretch
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..remarks import Remark
    from ..source import StorageOptions
    from ..tiff_planes import ImageFacts
    from .image_set_info import SetPosition
    from .sets import TiffSet

_FILES_ASKED_IN_VIEW = 8
"""How many files on a server are asked in one look whether they have changed: those of planes in view."""
_MAX_PASSED_OVER = 16
"""How many images that cannot be read are passed over, at open, in search of one that can."""


class _State(NamedTuple):
    """What is known at one time; replaced as a whole."""

    found: TiffSet
    places: list[SetPosition]
    facts: dict[int, ImageFacts]
    info: DatasetInfo
    versions: dict[str, str]
    lineage: object  # of a single local file, see `TiffPages.lineage`; else None


class TiffSetSource(Source, TakesRemark):
    """The images of TIFF files; see `sets` for which files belong together.

    A file that has changed is read anew. Positions keep their index while a source is open.
    """

    format = "tiff"
    may_have_room = True

    def __init__(
        self, path: str, files: TiffFiles, axes: str = "", on_server: SetOnServer | None = None
    ) -> None:
        """`axes` are the letters of the axes over pages, where those that were found are wrong."""
        self._path = path
        self._on_server = on_server
        self._axes = axes
        self._files = files
        self._lock = threading.Lock()  # guards the state; never held while accessing the disk
        self._refreshing = threading.Lock()
        self._planes = PlanesOfSet(path, files)
        self._closed = False
        self._remark: Remark | None = None
        self._state = self._now()

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> TiffSetSource:
        """Open the TIFF, or the folder with a set of them, at a path or URL; raises a `DatasetError`.

        The option "axes" says what the pages are along: "T", "TZ", ….
        """
        options = dict(options or {})
        axes = options.pop(AXES_OPTION, "")
        links = None
        if not is_url(path):
            path = os.path.abspath(os.path.expanduser(path))
            links = LinkGuard([folder_of(path)], named=path, options=options)
        files = TiffFiles(options, links)
        return cls._opened(path, files, axes, SetOnServer(files, path, None) if is_url(path) else None)

    @classmethod
    def open_in_folder(cls, folder: FolderOnServer, options: StorageOptions = None) -> TiffSetSource | None:
        """Open the set of TIFFs in a folder on a server; None if there is none. Raises like `open`."""
        options = dict(options or {})
        axes = options.pop(AXES_OPTION, "")
        files = TiffFiles(options)
        begin, _ = set_in_folder(folder, files)
        if not begin:
            files.close()
            return None
        return cls._opened(begin, files, axes, SetOnServer(files, begin, folder))

    @classmethod
    def _opened(cls, path: str, files: TiffFiles, axes: str, on_server: SetOnServer | None) -> TiffSetSource:
        try:
            return cls(path, files, axes, on_server)
        except PlaneNotStoredError as error:
            files.close()
            raise DatasetNotFoundError(str(error)) from error
        except BaseException:
            files.close()
            raise

    # ---- what is there -------------------------------------------------------------------------

    def _find(self) -> TiffSet:
        with faults_of(self._path):
            if self._on_server is not None:
                found = self._on_server.find()
            elif os.path.isdir(self._path):
                found = open_folder(self._path, self._files)
            else:
                found = open_set(self._path, self._files)
            return found if not self._axes else found.with_axes(self._axes, self._path)

    def _now(self) -> _State:
        """What is there now. Versions are from before it was read: files may grow meanwhile."""
        with self._files.versions_before(self._path) as before:
            return self._made(self._find(), before)

    def _made(self, found: TiffSet, before: dict[str, str]) -> _State:
        """The state for a set, of which the first image that can be read has been looked at."""
        places, positions = positions_of(found.images)
        errors: list[DatasetError] = []
        for i, image in enumerate(found.images[:_MAX_PASSED_OVER]):
            try:
                known = self._planes.facts(found, image)
            except DatasetError as error:
                errors.append(error)
                continue
            facts = {i: known}
            break
        else:
            raise errors[0]
        infos = {
            n: image_info(image, facts[n] if n in facts else assumed_facts(image, known))
            for n, image in enumerate(found.images)
        }
        name = os.path.basename(presentable(self._path).rstrip("/" + os.sep)) or presentable(self._path)
        first = next((p for p, place in enumerate(places) if place.image == found.first), 0)
        info = dataset_info(found, positions, infos[places[0].image], name, first)
        for looked_at in (True, False):
            images = {p: infos[at.image] for p, at in enumerate(places) if (at.image in facts) is looked_at}
            info = info.with_images(images, assumed=not looked_at)
        info = info if self._remark is None else self._remark.added_to(info)
        return _State(found, places, facts, info, self._versions_of(found, before), self._lineage_of(found))

    def _lineage_of(self, found: TiffSet) -> object:
        if is_url(self._path) or any(image.files != ("",) for image in found.images):
            return None
        path = found.path_of("")  # in a folder that holds nothing else, not the one that was opened
        with faults_of(path), self._files.opened(path) as tiff:
            return tiff.pages.lineage

    def _versions_of(self, found: TiffSet, before: dict[str, str]) -> dict[str, str]:
        if self._on_server is not None:
            alone = [found.path_of("")] if all(image.files == ("",) for image in found.images) else []
            return {path: self._files.version(path) or "" for path in alone}
        paths = {self._path, folder_of(self._path), *found.said_in}
        for key in {run.file for image in found.images for run in image.runs}:
            with contextlib.suppress(PlaneNotStoredError):
                paths.add(found.path_of(key))
        return {path: before.get(path) or version_of(path) for path in paths}

    def take_remark(self, remark: Remark) -> None:
        """See `TakesRemark`."""
        with self._lock:
            self._remark = remark
            self._state = self._state._replace(info=remark.added_to(self._state.info))

    # ---- Source ------------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._state.info

    @property
    def identity(self) -> str | None:
        """See `Source.identity`: that of a single file on a server."""
        state = self._state
        if self._on_server is None or any(image.files != ("",) for image in state.found.images):
            return None
        path = state.found.path_of("")
        try:
            with self._files.bytes_of(path) as file:
                if (file.version or "") != state.versions.get(path):  # its pages may be others than are known
                    return None
                return f"{file.identity}\n{self._axes}" if self._axes and file.identity else file.identity
        except DatasetError:
            return None

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`: opens the first file of the position."""
        if 0 <= p < len(self._state.places):
            with contextlib.suppress(DatasetError):  # reading that plane reports the error
                self._look(self._state, p)
        return self._state.info.image(p)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by OME-XML, or what Micro-Manager wrote with each page, also of NDTiff."""
        return [self._time_of(PlaneKey(*key)) for key in keys]

    def _time_of(self, key: PlaneKey) -> float | None:
        state = self._state
        try:
            image, index, _ = self._located(state, key, 0)
            if image.documents:
                return self._time_in_document(state, image, image.number(index))
            if image.kind != MICROMANAGER or not image.is_upright:
                return image.times.of(index["t"], index["c"], index["z"])
            file, at = image.place(image.number(index), 0)
            with self._planes.opened(state.found, file) as pages:
                return elapsed_s(pages.tags(at.page).valueof(MICROMANAGER_TAG, default=None))
        except (DatasetError, IndexError):  # reading the plane says why
            return None

    def _time_in_document(self, state: _State, image: TiffImage, number: int) -> float | None:
        (at, n), (name, _) = image.documents[number], image.place(number)
        with self._files.bytes_of(state.found.path_to_open(name)) as file:
            if not 0 < n <= MAX_METADATA_BYTES or at < 0 or at + n > file.size:
                return None
            return elapsed_s(file.read(at, n).rstrip(b"\0 ").decode("utf-8", "replace"))

    def look_at_all(self) -> DatasetInfo:
        """Look at the first 512 positions; on a server, at none."""
        most = 0 if is_url(self._path) else MAX_FILES_LOOKED_AT
        for p in range(min(len(self._state.places), most)):
            self.image(p)
        return self._state.info

    def _look(self, state: _State, p: int) -> ImageFacts:
        n = state.places[p].image
        if n in state.facts:
            return state.facts[n]
        image = state.found.images[n]
        facts = self._planes.facts(state.found, image)
        with self._lock:
            state.facts[n] = facts
            if self._state is state or self._state.found is state.found:
                info = image_info(image, facts)
                known = self._state.info
                mine = {at: info for at, place in enumerate(state.places) if place.image == n}
                new = known.with_images(mine)
                if new is not known:
                    self._state = self._state._replace(info=new)
        return facts

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane; of an image in colour, of one of the three colours."""
        return self._read(PlaneKey(*key), level, None)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: only the strips or tiles that it touches are read."""
        return self._read(PlaneKey(*key), level, region)

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        state = self._state
        image, index, part = self._located(state, key, level)
        pixels = self._planes.read(state.found, image, index, level, region, has_more=part.sample is not None)
        self._look(state, key.p)
        return one_sample(pixels, part.sample)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None while its file does not exist or has no such page."""
        state = self._state
        image, index, _ = self._located(state, PlaneKey(*key), level)
        try:
            picture = self._planes.picture(state.found, image, index, level)
        except PlaneNotStoredError:
            return None
        return picture.height, picture.width

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`: by the sizes of pages; TIFF says nothing about their scale."""
        info, state = self.image(p), self._state
        place = state.places[p]
        image = state.found.images[place.image]
        index = {"p": place.inner}
        pictures = [self._planes.picture(state.found, image, index, level) for level in range(info.n_levels)]
        return levels_by_size([(picture.height, picture.width) for picture in pictures], info.n_z)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole tiles or strips, as of the first plane."""
        state = self._state
        image, _, _ = self._located(state, PlaneKey(p=p), level)
        try:
            with faults_of(state.found.path_of(image.runs[0].file)):
                return plane_tile(image, level, lambda key: self._planes.opened(state.found, key))
        except PlaneNotStoredError:
            return None

    def exists(self, key: PlaneKey) -> bool:
        """Whether the file that should contain this plane exists; nothing is opened."""
        key = PlaneKey(*key)
        state = self._state
        image, index, _ = self._located(state, key, 0)
        try:
            path = state.found.path_of(self._planes.file_of(image, index, 0))
        except PlaneNotStoredError:
            return False
        if self._on_server is not None:
            return not self._on_server.lacks(path)
        return os.path.isfile(path)

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: a plane of zeros is stored like any other."""
        return False

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: whether the file of the plane is there and has its page."""
        return [self._is_stored(PlaneKey(*key)) for key in keys]

    def _is_stored(self, key: PlaneKey) -> bool | None:
        try:
            state = self._state
            image, index, _ = self._located(state, key, 0)
            path = state.found.path_of(self._planes.file_of(image, index, 0))
            if self._on_server is None and not os.path.isfile(path):
                return None if is_there(path) is None else False
            if self._on_server is not None and self._on_server.lacks(path):
                return False
            return self._planes.picture(state.found, image, index, 0) is not None
        except PlaneNotStoredError:
            return False
        except (DatasetError, IndexError):  # reading the plane will say why
            return None

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """See `Source.room_ahead`: if planes are not compressed, and no pages were seen to be appended."""
        state = self._state
        if is_url(self._path):
            return Room.NONE
        try:
            image, index, _ = self._located(state, PlaneKey(*key), level)
            return self._planes.room_ahead(state.found, image, index, level)
        except (DatasetError, IndexError):  # reading the plane says why
            return Room.NONE

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`: in files of several planes."""
        state = self._state
        if is_url(self._path) or not self._planes.may_have_holes(state.found):
            return [()] * len(keys)
        return [self._stretches_of(state, PlaneKey(*key), level) for key in keys]

    def _stretches_of(self, state: _State, key: PlaneKey, level: int) -> tuple[Stretch, ...]:
        try:
            image, index, _ = self._located(state, key, level)
            return self._planes.stretches(state.found, image, index, level)
        except (DatasetError, IndexError):  # reading the plane says why
            return ()

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: those of the files, which may contain other planes as well.

        On a server those that are known, without a request.
        """
        return [self._version(path) for path in self._files_of(keys)]

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions_in_view`: a few files on a server are asked whether they have changed."""
        paths = self._files_of(keys)
        if self._on_server is not None:
            self._files.ask_for_changes(list(dict.fromkeys(filter(None, paths)))[:_FILES_ASKED_IN_VIEW])
        return [self._version(path) for path in paths]

    def _files_of(self, keys: Sequence[PlaneKey]) -> list[str | None]:
        """The file of each plane; "" where there is none, None where nobody knows."""
        return [self._file_of(self._state, PlaneKey(*key)) for key in keys]

    def _file_of(self, state: _State, key: PlaneKey) -> str | None:
        try:
            image, index, _ = self._located(state, key, 0)
            return state.found.path_of(self._planes.file_of(image, index, 0))
        except PlaneNotStoredError:
            return ""
        except (DatasetError, IndexError):
            return None

    def _version(self, path: str | None) -> str | None:
        if not path:
            return NOTHING if path == "" else None
        return version_of(path) if self._on_server is None else self._files.version(path)

    def refresh(self) -> DatasetInfo:
        """Read again what has changed. Files that are incomplete while they are written change nothing."""
        if self._on_server is not None:
            return self._look_on_server(all_of_it=True)
        check_still_there(self._path)
        with self._refreshing:
            return self._find_again()

    def _look_on_server(self, *, all_of_it: bool) -> DatasetInfo:
        assert self._on_server is not None
        with self._refreshing:
            has_changed = self._on_server.look(self._state.found, all_of_it=all_of_it)
            return self._find_again() if has_changed else self._state.info

    def _find_again(self) -> DatasetInfo:
        try:
            state = self._now()
        except DatasetError:
            return self._state.info
        with self._lock:
            current = self._state
            if state.info == current.info and state.found.images == current.found.images:
                state = state._replace(info=current.info)
            self._state = state
        return self._state.info

    def has_only_grown(self) -> bool:
        """See `Source.has_only_grown`: of a single local file to which pages were appended."""
        if self._state.lineage is None:
            return False
        try:
            with faults_of(self._path), self._files.opened(self._path) as tiff:
                return tiff.pages.lineage is self._state.lineage
        except DatasetError:
            return False

    def look(self) -> DatasetInfo:
        """See `Source.look`: nothing is opened as long as no file has changed.

        Of files on a server some are asked, see `SetOnServer`.
        """
        if self._on_server is not None:
            return self._look_on_server(all_of_it=False)
        versions = self._state.versions
        if all(version_of(path) == version for path, version in versions.items()):
            return self._state.info
        return self.refresh()

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: what speaks for the images that are shown."""
        host = urlsplit(self._path).netloc.rpartition("@")[2] if is_url(self._path) else ""
        found = self._state.found
        return {
            "files": len({key for image in found.images for key in image.files}),
            "images": list(found.evidence),
            "hosts": [host] if host else [],
        }

    def close(self) -> None:
        """Close all files; reads in progress end with an error. Idempotent."""
        self._closed = True
        self._files.close()
        self._planes.forget()

    # ---- files -------------------------------------------------------------------------------

    def _located(
        self, state: _State, key: PlaneKey, level: int
    ) -> tuple[TiffImage, dict[str, int], ChannelPart]:
        """The image of a plane, its indices there, and what is displayed of the pixels."""
        info = state.info
        if not info.contains(key) or not 0 <= level < info.image(key.p).n_levels:
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {info.sizes}")
        if self._closed:
            raise closed_error()
        place, own = state.places[key.p], info.image(key.p)
        c = channel_in(own.channels, info.channels, key.c)
        position = f"position {info.positions[key.p].title}"
        if c is None:
            raise PlaneNotStoredError(f"{position} has no channel {info.channels[key.c].name!r}")
        if key.t >= own.n_t or key.z >= own.n_z:
            raise PlaneNotStoredError(f"{position} has no plane t={key.t} c={c} z={key.z}")
        image = state.found.images[place.image]
        names = state.facts.get(place.image)
        part = parts_of(image, names.channels if names else own.channels)[c]
        return image, index_of_key(key, place.inner, part.of), part
