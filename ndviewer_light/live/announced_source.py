"""A run that a host has announced, found where it is really written.

Hosts announce where planes will be, and may be wrong: the format was changed in the preferences, the
writer decides by another rule whether the run is a plate, or the files that are named are never
written. So the experiment's folder is tried in every form we know; what exists is what counts.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import DatasetError, PlaneNotStoredError
from ..model import PlaneKey, announced_info
from ..sources import Source
from ..sources.tiff.announced import AnnouncedTiff
from ..sources.zarr.layouts import PLATES
from ..sources.zarr.source import ZarrSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from ..model import AnnouncedRun, DatasetInfo, Position

_WELL = re.compile(r"([A-Za-z]+)(\d+)")
_IMAGES = "images"
_TIFF_FORMS = (_IMAGES, "ome", "stacks")
_LOOKED_AT = 64
"""At how many positions one `refresh` looks for the first that exists."""


class AnnouncedSource(Source):
    """The planes of an announced run, in the first form of which something exists.

    Until then `info` is what the host said, afterwards what is found; positions and their order are
    always those announced. Nothing is listed but the experiment's own folder: a form exists where the
    file or store that would hold a plane does.
    """

    def __init__(self, run: AnnouncedRun) -> None:
        """Touches no disk."""
        self._run = run
        self._announced = announced_info(run)
        self._lock = threading.Lock()  # guards what follows; never held while a disk is touched
        self._found: Source | None = None
        self._images: AnnouncedTiff | None = None
        self._folder: str | None = None
        self._closed = False
        self._forms: list[Source] = [ZarrSource.announced(run)] if run.paths else []
        folder = experiment_folder(run.paths[0]) if run.paths else None
        if folder is not None:
            self._search(folder)

    @property
    def info(self) -> DatasetInfo:
        """What is known now; a new object whenever more is known."""
        found = self._found
        return self._announced if found is None else found.info

    def tell(self, key: PlaneKey, folder: str, path: str | None, page: int = 0) -> None:
        """The host writes into the experiment at `folder`, and says that this plane will be in that file."""
        images = self._search(folder)
        if path is not None:
            images.register(key, path, page)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """As `Source.read_plane`; what is not there yet is `PlaneNotStoredError`."""
        return self._form_of(key).read_plane(key, level)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane, None while nothing of its position exists."""
        try:
            return self._form_of(key).plane_shape(key, level)
        except PlaneNotStoredError:
            return None

    def exists(self, key: PlaneKey) -> bool:
        """Whether something of the position of `key` is there, in any form."""
        try:
            return self._form_of(key).exists(key)
        except PlaneNotStoredError:
            return False

    def refresh(self) -> DatasetInfo:
        """Look again at what was found; as long as there is nothing, whether any position exists."""
        if self._found is None:
            for p in range(min(len(self._run.positions), _LOOKED_AT)):
                key = PlaneKey(p=p)
                if self.exists(key):
                    self.plane_shape(key)  # opens it, and so learns what it says
                    break
        found = self._found
        return self.info if found is None else found.refresh()

    def close(self) -> None:
        """Close every form. Idempotent."""
        with self._lock:
            self._closed = True
            forms, self._forms, self._found = self._forms, [], None
        for form in forms:
            form.close()

    # ---- which form ------------------------------------------------------------------------

    def _form_of(self, key: PlaneKey) -> Source:
        """The form in which the position of `key` exists: the one found before, if it has it, else any."""
        with self._lock:
            found, forms = self._found, self._forms
            if self._closed:
                raise DatasetError("the run was closed")
        if found is not None and found.exists(key):
            return found
        for form in forms:
            if form is not found and form.exists(key):
                with self._lock:
                    self._found = form
                return form
        if found is not None:
            return found
        if forms:
            return forms[0]
        raise PlaneNotStoredError("nothing of the run is written yet, and no file has been registered")

    def _search(self, folder: str) -> AnnouncedTiff:
        """From now on every form in the experiment at `folder` counts, after what the host said itself.

        Returns its individual images, which are told of files. Where several threads come with the same
        folder the first wins: what the others' forms had been told would be lost.
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


def experiment_folder(store: str) -> str | None:
    """Return the experiment that a store was announced in: the folder of its plate or of its ``zarr``."""
    path = os.path.abspath(os.path.expanduser(store))
    while (parent := os.path.dirname(path)) != path:
        name = os.path.basename(path)
        if name in PLATES or (name == "zarr" and len(os.path.relpath(store, path).split(os.sep)) == 2):
            return parent
        path = parent
    return None


def _zarr_forms(run: AnnouncedRun, folder: str) -> Iterator[ZarrSource]:
    """Squid's zarr layouts, each as if it had been announced."""
    if run.parts != replace(run, paths=("",)).parts:
        return  # colour images are never written as zarr
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
