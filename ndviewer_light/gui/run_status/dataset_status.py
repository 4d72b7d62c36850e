"""What the status row says of the dataset on screen: that it was loaded, and what is odd about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import is_url, split_inner
from ...storage.presentable import presentable
from ..slots import safe_slot

if TYPE_CHECKING:
    from ..sessions import Session
    from .status_line import Choices
    from .status_row import StatusRow

_OF_OVERVIEW = "Overview: "


class DatasetStatus:
    """Writes into `row`. GUI thread only."""

    def __init__(self, row: StatusRow) -> None:
        self._row = row
        self._warning = ""  # as the status line says it
        self.is_restored = False
        """Whether the dataset shown came back as it was left."""

    def start_over(self) -> None:
        """Another dataset is on screen, or none."""
        self.is_restored = False
        self._row.warnings.start_over()

    def say_loaded(self, session: Session) -> None:
        """The dataset was opened, or read again."""
        place = presentable(session.path)
        name = os.path.basename(place.rstrip("/" + os.sep))
        restored = ", shown as it was left" if self.is_restored else ""
        self._row.line.say("message", f"Loaded: {name}{restored}" if name else "", place)
        self.say_warnings(session, is_loaded=True)

    @safe_slot
    def say_under_mouse(self, text: str, choices: Choices = ()) -> None:
        """What is under the mouse; "" for nothing. `choices` as in `StatusLine.say`."""
        self._row.line.say("pointer", text, choices=choices)

    @safe_slot
    def say_of_overview(self, text: str) -> None:
        """Something about the overview of all fields; "" if that is no longer so."""
        said, text = self._row.line.said("message"), f"{_OF_OVERVIEW}{text}" if text else ""
        if text != said and (text or said.startswith(_OF_OVERVIEW)):
            self._row.line.say("message", text)

    def _short(self, warning: str) -> str:
        """A warning without the folders that lead to the dataset, which would take the room for the rest."""
        dataset = self._row.warnings.dataset_file
        for folder in (dataset, os.path.dirname(dataset)):
            if folder and warning.startswith(os.path.join(folder, "")):
                return warning[len(os.path.join(folder, "")) :]
        return warning

    def say_warnings(self, session: Session, *, is_loaded: bool = False) -> None:
        """More is known of the dataset: a warning that came, also again, is said until something else is."""
        warnings = session.dataset.info.warnings
        self._row.warnings.dataset_file = "" if is_url(session.path) else split_inner(session.path)[0]
        is_new = self._row.warnings.show_warnings(warnings)
        line = self._row.line
        if warnings and (is_new or is_loaded or (self._warning and line.said("message") == self._warning)):
            gone = session.dataset.unreachable
            is_said = gone is not None and warnings[-1] == str(gone) and self._row.run.news is not None
            # since when is said beside it, of a run
            before, latest = self._warning, is_new[-1] if is_new else warnings[-1]
            self._warning = gone.reason if gone is not None and is_said else self._short(latest)
            details = "\n".join((*warnings, "Click to see all"))
            if is_new or is_loaded or self._warning != before:
                line.say("message", self._warning, details)
        elif not warnings and self._warning and line.said("message") == self._warning:
            self._warning = ""  # no longer true
            line.say("message", "")
