"""A run announced by a host, found where it is actually written.

Hosts announce where planes will be, and may be wrong: the format was changed in the preferences, the
writer uses a different rule to decide whether the run is a plate, or the registered files are never
written. So every known layout is tried in the experiment's folder; what exists counts.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import DatasetError, DatasetGoneError, PlaneNotStoredError, closed_error
from ..metadata.squid import PLATES
from ..model import PlaneKey, announced_info
from ..sources import Source
from ..sources.missing import Found
from ..sources.tiff.announced import AnnouncedTiff
from ..sources.zarr.source import ZarrSource
from ..storage.bytes import check_still_there, metadata_gone
from .experiments import experiment_folder
from .said_beside_run import SaidBesideRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from ..model import AnnouncedRun, DatasetInfo, ImageInfo, Level, Position, Region

_WELL = re.compile(r"([A-Za-z]+)(\d+)")
_IMAGES = "images"
_TIFF_FORMS = (_IMAGES, "ome", "stacks")
_PLACES_LOOKED_AT = 64
"""At how many positions one `refresh` looks for the first that exists."""


class AnnouncedSource(Source):
    """The planes of an announced run, in the first layout of which something exists.

    Until then `info` is as announced, afterwards as found; positions and their order are
    always as announced, and lie where Squid says beside the run. Only the experiment's own folder
    is listed: a layout exists if the file or store that would contain a plane does.
    """

    def __init__(self, run: AnnouncedRun) -> None:
        """Does not access the disk."""
        self._run = run
        self._announced = announced_info(run)
        self._beside = SaidBesideRun()
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._found: Source | None = None
        self._images: AnnouncedTiff | None = None
        self._folder: str | None = None
        self._seen: set[int] = set()  # positions of which something existed
        self._seen_last: PlaneKey | None = None
        self._closed = False
        self._forms: list[Source] = [ZarrSource.announced(run)] if run.paths else []
        folder = experiment_folder(run.paths[0]) if run.paths else None
        if folder is not None:
            self._search(folder)

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        found = self._found
        return self._beside.added_to(self._announced if found is None else found.info)

    def tell(self, key: PlaneKey, folder: str, path: str | None, page: int = 0) -> None:
        """Tell that the host writes into the experiment at `folder`, and this plane into this file."""
        images = self._search(folder)
        if path is not None:
            images.register(key, path, page)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """Like `Source.read_plane`; raises `PlaneNotStoredError` for planes that do not exist yet."""
        return self._form_of(key).read_plane(key, level)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Like `Source.read_region`; raises `PlaneNotStoredError` for planes that do not exist yet."""
        return self._form_of(key).read_region(key, region, level)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`; None while nothing of the position exists."""
        try:
            return self._form_of(PlaneKey(p=p)).tile_shape(p, level)
        except PlaneNotStoredError:
            return None

    def level_for(self, p: int, height: int, width: int) -> int:
        """See `Source.level_for`; 0 while nothing of the position exists."""
        try:
            return self._form_of(PlaneKey(p=p)).level_for(p, height, width)
        except PlaneNotStoredError:
            return 0

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None while nothing of its position exists."""
        try:
            return self._form_of(key).plane_shape(key, level)
        except PlaneNotStoredError:
            return None

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`; raises `PlaneNotStoredError` while nothing of the position exists."""
        return self._form_of(PlaneKey(p=p)).image(p)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`; raises `PlaneNotStoredError` while nothing of the position exists."""
        return self._form_of(PlaneKey(p=p)).levels(p)

    def level_at(self, p: int, level: int) -> Level:
        """See `Source.level_at`; raises `PlaneNotStoredError` while nothing of the position exists."""
        return self._form_of(PlaneKey(p=p)).level_at(p, level)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`: those that are in the store of the position already."""
        try:
            return self._form_of(PlaneKey(p=p)).labels(p)
        except PlaneNotStoredError:
            return ()

    def look_at_all(self) -> DatasetInfo:
        """Look at every position in the layout that was found, if any."""
        found = self._found
        if found is not None:
            found.look_at_all()
        return self.info

    def exists(self, key: PlaneKey) -> bool:
        """Whether anything of the position of `key` exists, in any layout."""
        try:
            return self._form_of(key).exists(key)
        except PlaneNotStoredError:
            return False

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: in the layout that was found."""
        found = self._found
        return True if found is None else found.leaves_out_empty

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: in the layout in which the position of a plane exists."""
        answers: list[bool | None] = [False] * len(keys)
        for p in dict.fromkeys(key.p for key in keys):
            asked = [i for i, key in enumerate(keys) if key.p == p]
            try:
                form = self._form_of(keys[asked[0]])
            except DatasetGoneError:  # nobody knows
                for i in asked:
                    answers[i] = None
                continue
            except DatasetError:  # nothing is written yet
                continue
            for i, answer in zip(asked, form.are_stored([keys[i] for i in asked]), strict=True):
                answers[i] = answer
        return answers

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`: in the layout in which the position of a plane exists."""
        answers = [Found.ABSENT] * len(keys)
        for p in dict.fromkeys(key.p for key in keys):
            asked = [i for i, key in enumerate(keys) if key.p == p]
            with contextlib.suppress(DatasetError):  # nothing is written yet
                form = self._form_of(keys[asked[0]])
                for i, answer in zip(asked, form.missing_as([keys[i] for i in asked]), strict=True):
                    answers[i] = answer
        return answers

    def refresh(self) -> DatasetInfo:
        """Recheck what was found, and what is said beside it; without a find, whether any position exists."""
        if self._folder is not None:
            self._beside.look(self._folder)
        if self._found is None:
            for p in range(min(len(self._run.positions), _PLACES_LOOKED_AT)):
                key = PlaneKey(p=p)
                if self.exists(key):
                    self.plane_shape(key)  # opens it, which reads its metadata
                    break
        found, last = self._found, self._seen_last
        if last is not None:
            self._form_of(last)  # raises if it is gone
        if found is not None:
            found.refresh()
        return self.info

    def close(self) -> None:
        """Close every layout. Idempotent."""
        with self._lock:
            self._closed = True
            forms, self._forms, self._found = self._forms, [], None
        for form in forms:
            form.close()

    # ---- layouts ---------------------------------------------------------------------------

    def _form_of(self, key: PlaneKey) -> Source:
        """The layout in which the position of `key` exists: preferably the one found before.

        Raises `DatasetGoneError` if it existed, and its store or the whole run is gone.
        """
        with self._lock:
            found, forms = self._found, self._forms
            if self._closed:
                raise closed_error()
        is_first = found is not None and found.exists(key)
        others = () if is_first else (form for form in forms if form is not found and form.exists(key))
        form = found if is_first else next(iter(others), None)
        if form is not None:
            with self._lock:
                self._found = form
                self._seen.add(key.p)
                self._seen_last = key
            return form
        if found is not None:
            if key.p in self._seen:
                self._check_there(key.p, found)
            return found
        if forms:
            return forms[0]
        raise PlaneNotStoredError("nothing of the run is written yet, and no file has been registered")

    def _check_there(self, p: int, found: Source) -> None:
        """Raise `DatasetGoneError` if the folder of the run is gone, or the store of position `p` in it.

        Nothing by which it is recognised is there any more.
        """
        if self._folder is not None:
            check_still_there(self._folder)
        if self._run.paths and self._forms[:1] == [found]:
            check_still_there(self._run.paths[p])
            raise metadata_gone(self._run.paths[p])  # it was found by them

    def _search(self, folder: str) -> AnnouncedTiff:
        """From now on, try every layout in the experiment at `folder`, after the announced one.

        Returns its individual images, which receive registered files. If several threads pass the same
        folder, the first wins: files registered with the others' layouts would be lost.
        """
        with self._lock:
            if self._images is not None and self._folder == folder:
                return self._images
        run = self._run
        images, *others = (AnnouncedTiff(run, folder, form) for form in _TIFF_FORMS)
        zarr = list(_zarr_forms(run, folder))
        searched = [images, *others, *zarr] if run.names_files else [*zarr, *others, images]
        with self._lock:
            if self._images is None or self._folder != folder:
                self._folder, self._images = folder, images
                self._forms = [*self._forms[: 1 if run.paths else 0], *searched]
            return self._images


def _zarr_forms(run: AnnouncedRun, folder: str) -> Iterator[ZarrSource]:
    """Squid's Zarr layouts, each as if it had been announced."""
    if run.parts != replace(run, paths=("",)).parts:
        return  # colour images are never written as Zarr
    ways: tuple[Callable[[Position], str], ...] = (
        lambda at: os.path.join("zarr", at.region, f"fov_{at.fov}.ome.zarr"),
        lambda at: os.path.join(PLATES[0], *_row_and_column(at.region), str(at.fov)),
    )
    for way in ways:
        paths = tuple(os.path.join(folder, way(position)) for position in run.positions)
        yield ZarrSource.announced(replace(run, paths=paths, indices=(None,) * len(paths)))
    stores = tuple(os.path.join(folder, "zarr", at.region, "acquisition.zarr") for at in run.positions)
    yield ZarrSource.announced(replace(run, paths=stores, indices=tuple(at.fov for at in run.positions)))


def _row_and_column(region: str) -> tuple[str, str]:
    well = _WELL.fullmatch(region)
    return (well[1].upper(), well[2]) if well is not None else (region, "")
