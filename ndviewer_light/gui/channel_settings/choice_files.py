"""Choices for channels as JSON files, for another microscope or a colleague.

Files are read and written in threads; the outcome is reported on the GUI thread, by `step`.
"""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from ...errors import MetadataError
from ...model import how_many
from ...rendering.contrast import ContrastMode
from ...storage.whole_files import whole_file
from ...views.channel_choices import ChannelChoices
from ..look.save_dialog import SaveDialog
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..background import Background
    from .channel_controls import ChannelControls

_FILTER = "Channel settings (*.json)"
_MOST_FILE_BYTES = 1024**2


class ChoiceFiles(QObject):
    """Exports and imports what is chosen for channels. GUI thread only."""

    def __init__(
        self, channels: ChannelControls, background: Background, say: Callable[[str, str], None]
    ) -> None:
        super().__init__(channels)
        self._channels = channels
        self._background = background
        self._say = say
        self._done: deque[Callable[[], None]] = deque()  # appended in threads, called on the GUI thread
        self._dialog: QFileDialog | None = None
        channels.strips.contrast.export_chosen.connect(self.choose_export)
        channels.strips.contrast.import_chosen.connect(self.choose_import)

    def step(self) -> None:
        """Take what was read, and tell what was written; called by the poll."""
        while self._done:
            self._done.popleft()()

    @safe_slot
    def choose_export(self) -> None:
        """Ask where to write what is chosen."""
        window = self._channels.strips.window()
        dialog = self._dialog = SaveDialog(window, "Export channel settings", {_FILTER: ".json"}, "channels")
        dialog.chosen.connect(safe_slot(self.export_to))
        dialog.open()

    @safe_slot
    def choose_import(self) -> None:
        """Ask for a file that was exported."""
        dialog = self._dialog = QFileDialog(self._channels.strips.window(), "Import channel settings")
        dialog.setNameFilter(_FILTER)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(safe_slot(self.import_from))
        dialog.open()

    def export_to(self, path: str) -> None:
        """Write all choices, and how the channels on screen are shown, to a file."""
        document = _document_of(self._channels)
        self._background.run("ndviewer-export", lambda: self._export(path, document))

    def import_from(self, path: str) -> None:
        """Add the choices in a file, and show channels by them."""
        self._background.run("ndviewer-import-choices", lambda: self._import(path))

    # ---- in threads ------------------------------------------------------------------------

    def _export(self, path: str, document: dict[str, Any]) -> None:
        name = os.path.basename(path)
        try:
            with whole_file(path) as part, open(part, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
        except OSError as error:
            reason = error.strerror or str(error)
            self._done.append(partial(self._say, f"{name} could not be written: {reason}", path))
        else:
            said = f"Exported {_channels(len(document['channels']))} to {name}"
            self._done.append(partial(self._say, said, path))

    def _import(self, path: str) -> None:
        name = os.path.basename(path)
        try:
            with open(path, "rb") as file:
                document = json.loads(file.read(_MOST_FILE_BYTES))
        except OSError as error:
            reason = error.strerror or str(error)
            self._done.append(partial(self._say, f"{name} could not be read: {reason}", path))
        except (ValueError, RecursionError):
            self._done.append(partial(self._say, f"{name} has no channel settings of the viewer", path))
        else:
            self._done.append(partial(self._take, path, document))

    def _take(self, path: str, document: object) -> None:
        name = os.path.basename(path)
        try:
            n = self._channels.take_imported(document)
        except MetadataError:
            self._say(f"{name} has no channel settings of the viewer", path)
        else:
            self._say(f"Imported {_channels(n)} from {name}", path)


def _document_of(channels: ChannelControls) -> dict[str, Any]:
    """All choices as JSON, and of the channels on screen how they are shown, whoever chose it."""
    all_choices = ChannelChoices()
    all_choices.take_json(channels.choices.as_json())
    for c, (name, look) in enumerate(channels.looks().items()):
        mode = channels.contrasts.mode(c, "")
        by_hand = mode is ContrastMode.MANUAL
        all_choices.add(name, look if by_hand else replace(look, mode=mode, limits=None, dtype=None))
    return all_choices.as_json()


def _channels(n: int) -> str:
    return how_many(n, "channel")
