"""The dialog that asks where a file is to be saved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIFF = ".tiff"
"""The other way to write .tif."""


class SaveDialog(QFileDialog):
    """`chosen`: the path, with an ending. `kinds` are the endings of the kinds of file, by what is offered.

    The name has the ending of its kind before it is asked whether a file is to be replaced: Qt would ask
    about the name as it was typed.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None, title: str, kinds: Mapping[str, str], name: str) -> None:
        super().__init__(parent, title)
        self._kinds = dict(kinds)
        self._first = next(iter(self._kinds.values()))
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.setNameFilters(list(self._kinds))
        self.selectFile(f"{name}{self._first}")
        self.filterSelected.connect(self._on_filter)
        self.fileSelected.connect(self._on_file)

    def accept(self) -> None:
        """Save under the name with its ending; a folder that was typed is opened."""
        self._complete(self.selectedNameFilter())
        super().accept()

    def _complete(self, kind: str, *, is_chosen: bool = False) -> None:
        self.setDefaultSuffix(self._kinds.get(kind, self._first)[1:])
        typed = next(iter(self.selectedFiles()), "")
        if typed and not os.path.isdir(typed):
            wanted = self._with_ending(typed, kind, is_chosen=is_chosen)
            if wanted != typed:
                self.selectFile(wanted)

    def _with_ending(self, path: str, kind: str, *, is_chosen: bool = False) -> str:
        """The path with an ending: that of the kind where it has none, or the one that was offered first."""
        ending, has = self._kinds.get(kind, self._first), self._ending_of(path)
        is_right = has == ending or (ending == ".tif" and has == _TIFF)
        if is_right or (has and has != self._first and not is_chosen):
            return path
        return path[: len(path) - len(has)] + ending

    def _ending_of(self, path: str) -> str:
        """The ending of a kind, as it is written here; "" if there is none."""
        known = {*self._kinds.values(), *((_TIFF,) if ".tif" in self._kinds.values() else ())}
        found = max((each for each in known if path.lower().endswith(each)), key=len, default="")
        return path[len(path) - len(found) :].lower()

    @safe_slot
    def _on_filter(self, kind: str) -> None:
        self._complete(kind, is_chosen=True)

    @safe_slot
    def _on_file(self, path: str) -> None:
        wanted, n = self._with_ending(path, self.selectedNameFilter()), 1
        ending = self._ending_of(wanted)
        beginning = wanted[: len(wanted) - len(ending)]
        while wanted != path and os.path.lexists(wanted):  # a dialog of the system has asked about `path`
            n += 1
            wanted = f"{beginning} ({n}){ending}"
        self.chosen.emit(wanted)
