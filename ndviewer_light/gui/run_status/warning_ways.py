"""Leads from warnings to what they are about; planes that could not be read are warnings as well."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QUrl
from qtpy.QtGui import QDesktopServices

from ...model import PlacedWarning, PlaneState, WarningPlace
from ..slots import safe_slot
from ..words import explain_plane

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.dataset import Dataset
    from ..background import Background
    from ..canvas.view_frames import Frame
    from ..places.way_to_planes import WayToPlanes
    from ..poll import Poll
    from .status_row import StatusRow

_MOST_PLANES = 200
"""So many planes that could not be read are listed; `next_unreadable` finds all."""


class WarningWays(QObject):
    """For the warnings in `row`. GUI thread only.

    `uncover()` shows the picture of one field, in case all fields are shown.
    """

    def __init__(
        self,
        row: StatusRow,
        way: WayToPlanes,
        uncover: Callable[[], None],
        background: Background,
        poll: Poll,
    ) -> None:
        super().__init__(row)
        self._background = background
        self._poll = poll
        self._row = row
        self._way = way
        self._uncover = uncover
        self._unreadable: dict[WarningPlace, PlacedWarning] = {}
        self._of: tuple[Dataset, int] | None = None  # whose planes these are
        row.warnings.name_of = lambda place: way.name_of(*place[:4])
        row.warnings.place_chosen.connect(self._on_place)
        row.warnings.file_chosen.connect(self._on_file)
        row.line.clicked.connect(self._on_line_clicked)

    @property
    def are_any(self) -> bool:
        """Whether there was a warning of the dataset on screen."""
        return bool(self._row.warnings.noted)

    def list_all(self) -> None:
        """List all warnings of the dataset on screen."""
        self._row.warnings.list_all()

    def take_frame(self, dataset: Dataset, frame: Frame) -> None:
        """Note which planes of a frame could not be read, and which can be again.

        Of what cannot be reached at all one warning is enough.
        """
        if self._of != (dataset, dataset.info.generation):
            self._of = dataset, dataset.info.generation
            self._unreadable.clear()
        before = dict(self._unreadable)
        view = frame.view
        z = None if view.is_volume or view.projection is not None else view.z
        for c, plane in frame.planes.items():
            place = WarningPlace(view.t, view.p, c, z)
            if plane.state is not PlaneState.UNREADABLE:
                if plane.state is not PlaneState.LOADING:
                    self._unreadable.pop(place, None)
            elif dataset.unreachable is None and (
                len(self._unreadable) < _MOST_PLANES or place in self._unreadable
            ):
                said = f"{self._way.name_of(*place[:4])}: {explain_plane(plane.reason).sentence}"
                self._unreadable[place] = PlacedWarning(said, place)
        if self._unreadable != before:
            self._row.warnings.show_planes(tuple(self._unreadable.values()))

    @safe_slot
    def _on_place(self, place: WarningPlace) -> None:
        self._uncover()
        if not self._way.go(*place[:4]):
            self._row.line.say("message", "It is not in the dataset that is shown")

    @safe_slot
    def _on_file(self, path: str) -> None:
        def look() -> None:
            folder = folder_of(path)
            self._poll.post(lambda: self._show_folder(folder))

        self._background.run("ndviewer-folder", look)

    def _show_folder(self, folder: str) -> None:
        if not folder:
            self._row.line.say("message", "The folder is no longer there")
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(folder)):
            self._row.line.say("message", f"{folder} cannot be shown: no program here shows folders")

    @safe_slot
    def _on_line_clicked(self) -> None:
        text = self._row.line.text()
        if text and any(warning.endswith(text) for warning in self._row.warnings.noted):
            self._row.warnings.list_all()


def folder_of(path: str) -> str:
    """The folder to show a file in, the next one that exists; "" if there is none. Blocks on the disk.

    Never the file, nor a folder that is a program: opening what data names might run it.
    """
    folder = path
    while folder and (not os.path.isdir(folder) or folder.lower().endswith(".app")):
        above = os.path.dirname(folder)
        folder = "" if above == folder else above
    return folder
