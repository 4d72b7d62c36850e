"""TIFFs of a run announced by a host: nothing of it need exist yet, and files come late or never."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import AcquisitionConfigError, DatasetError
from ...metadata.squid import is_done, sanitised
from ...model import PlaneKey, announced_info, channel_parts
from ...storage.limits import MAX_T
from .file_errors import FileMissingError
from .file_names import is_number
from .file_pool import TiffPool
from .forms import FileLocations, Form, ImagePerPlane, StackPerPosition
from .ome import OmeFiles
from .opened import learned, shown
from .source import TiffSource
from .written_beside import ParametersBeside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from ...model import AnnouncedRun, Channel, DatasetInfo
    from .forms import FileFacts


class AnnouncedTiff(TiffSource):
    """A run being written into the experiment `folder` in one layout: "images", "stacks" or "ome".

    Keys use the run's time points, and positions and channels as announced (`run.parts`). `info` is
    as announced until a first file is read. A channel whose first image turns out to be in colour becomes its
    red; green and blue follow the other channels, which keep their index.
    """

    def __init__(self, run: AnnouncedRun, folder: str, form: str) -> None:
        """Does not access the disk."""
        folder = os.path.abspath(os.path.expanduser(folder))
        places = FileLocations(folder, run.positions, tuple(map(sanitised, run.channels)), computed=True)
        pool = TiffPool()
        forms: dict[str, Callable[[], Form]] = {
            "images": lambda: ImagePerPlane(places),
            "stacks": lambda: StackPerPosition(places, pool),
            "ome": lambda: OmeFiles(places, pool),
        }
        if form not in forms:
            raise AcquisitionConfigError(f"unknown TIFF layout {form!r}: expected {', '.join(forms)}")
        parameters = ParametersBeside(folder)
        super().__init__(forms[form](), run.parts, announced_info(run), pool, folder, parameters=parameters)
        self._learned = False  # whether a file has revealed the run's contents
        self._names = run.channels
        self._looked_at: set[int] = set()  # channels of which an image was looked at for its colours
        self._inverted: frozenset[int] = frozenset()  # of these, see `shown`

    def register(self, key: PlaneKey, path: str, page: int = 0) -> None:
        """Tell that this plane is, or will be, in that file. Any thread; no I/O.

        Only runs of single images heed it: `path` comes before the name we would expect, and shows how others
        are named.
        """
        key = PlaneKey(*key)
        if isinstance(self._form, ImagePerPlane) and 0 <= key.c < len(self._parts):
            self._form.register(self._acquired(key), os.path.abspath(path), page)

    def refresh(self) -> DatasetInfo:
        """Find the time points that have folders; nothing else is listed."""
        self._find_time_folders()
        self._read_parameters_again()
        if is_done(self._path) and not self.info.complete:
            with self._lock:
                self._info = replace(self._info, complete=True)
        return self.info

    def _may_have(self, key: PlaneKey) -> bool:
        # times are those of the acquisition; their number becomes known as it writes them
        is_of_run = 0 <= key.p < len(self.info.positions) and 0 <= key.c < len(self._parts)
        return is_of_run and 0 <= key.t < MAX_T and key.z >= 0

    def _files(self, key: PlaneKey) -> Iterable[str]:
        if not self._form.places.folders:  # until there is one, the padding is unknown
            self._find_time_folders()
        return super()._files(key)

    def _raise_if_gone(self) -> None:
        """Does nothing: nothing of the run need exist yet."""

    def _learn_from(self, path: str, key: PlaneKey) -> None:
        form = self._form
        if isinstance(form, ImagePerPlane) and key.c not in self._looked_at:
            self._look_for_colour(form, path, key)
        if self._learned and (form.one_time_per_file or self.info.contains(key._replace(c=0))):
            self._grow(key.t + 1 if form.one_time_per_file else 0)
            return
        try:
            facts = form.facts(path, key)
        except (DatasetError, FileMissingError):  # already reported as the plane's own error
            return
        n_t = max(facts.n_t, key.t + 1 if form.one_time_per_file else 1)
        if self._learned:
            self._grow(n_t, facts.n_z)
            return
        self._learn_first(facts._replace(n_t=n_t, described=()))

    def _learn_first(self, facts: FileFacts) -> None:
        assert self._parameters is not None, "see `__init__`"
        with self._looking:
            parameters = self._parameters.read()
            with self._lock:
                info = learned(self._info, self._parts, facts)
                if isinstance(self._form, ImagePerPlane):  # each channel has files of its own
                    info = replace(info, channels=self._channels(facts.picture.dtype))
                self._info = self._parameters.added_to(info, parameters, facts)
                self._learned = True

    def _look_for_colour(self, form: ImagePerPlane, path: str, key: PlaneKey) -> None:
        """What is in the first image of a channel decides whether it is in colour, whatever its name."""
        try:
            facts = form.facts(path, key)
        except (DatasetError, FileMissingError):  # already reported as the plane's own error
            return
        with self._lock:
            self._looked_at.add(key.c)
            parts, of, picture = self._parts, key.c, facts.picture
            if facts.is_inverted:
                self._inverted |= {of}
                self._info = replace(self._info, channels=self._channels(picture.dtype))
            at = next(i for i, part in enumerate(parts) if part.of == of)
            if picture.samples < 3 or parts[at].sample is not None:
                return
            red, *others = (part for part in channel_parts(self._names, (of,)) if part.of == of)
            self._parts = (*parts[:at], red, *parts[at + 1 :], *others)
            self._info = replace(self._info, channels=self._channels(picture.dtype))

    def _channels(self, dtype: np.dtype) -> tuple[Channel, ...]:
        return shown(self._parts, dtype, (), self._inverted)

    def _find_time_folders(self) -> None:
        try:
            with os.scandir(self._path) as entries:
                names = [entry.name for entry in entries if is_number(entry.name)]
        except OSError:
            return
        folders = {t: os.path.join(self._path, name) for name in names if (t := int(name)) < MAX_T}
        self._form.learn(names, folders=folders)
        if self._form.one_time_per_file:
            self._grow(max(folders, default=0) + 1)
