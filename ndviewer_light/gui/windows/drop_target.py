"""Files, folders and addresses that are dropped on a window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from qtpy.QtCore import QUrl

from ...storage.bytes import is_url
from ...views.link_scheme import is_view_link
from ..slots import safe_slot
from .path_completion import path_typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QDragEnterEvent, QDropEvent

_MOST_DROPPED = 16
"""So many are opened at a time, each in a window; more are images of one series rather than datasets."""
_LONGEST_LIST = 100_000


def _dropped_paths(event: QDropEvent | QDragEnterEvent | None) -> list[str]:
    """The files, folders, addresses and links dropped, also as a text that names nothing else."""
    data = event.mimeData() if event is not None else None
    if data is None:
        return []
    if data.hasUrls():
        paths = list(map(_path_of, data.urls()))
    else:
        text = data.text() if data.hasText() else ""
        paths = _paths_in(text) if len(text) <= _LONGEST_LIST else []
    return [path for path in dict.fromkeys(paths) if path]


def _path_of(url: QUrl) -> str:
    return _local_path(url) if url.isLocalFile() else _address(url)


def _paths_in(text: str) -> list[str]:
    """What each line names; nothing if a line is neither a whole path, an address nor a link to a view."""
    paths = []
    for line in filter(None, map(path_typed, text.splitlines())):
        if line.lower().startswith("file://"):
            line = _path_of(QUrl(line))
        if not (is_url(line) or is_view_link(line) or os.path.isabs(line)):
            return []
        paths.append(line)
    return paths


def _address(url: QUrl) -> str:
    """An address as written: signatures in a query do not survive decoding."""
    return url.toEncoded().data().decode("ascii")


def _local_path(url: QUrl) -> str:
    """The file named by a URL, byte for byte: Qt loses bytes of names that are not UTF-8."""
    if os.name == "nt" or url.host():
        return str(url.toLocalFile())
    encoded = url.path(QUrl.ComponentFormattingOption.FullyEncoded)
    return os.fsdecode(unquote_to_bytes(encoded))


class DropTarget:
    """Mixin for widgets: what is dropped on them is opened with `open_path`."""

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _dropped_paths(event):
            event.acceptProposedAction()

    @safe_slot
    def dropEvent(self, event: QDropEvent | None) -> None:
        paths = _dropped_paths(event)
        if event is not None and not paths:  # it named some while it was dragged
            self.say_of_drop("Nothing came from the program from which it was dragged: drop it again")
        elif event is not None:
            event.acceptProposedAction()
            if len(paths) > _MOST_DROPPED:
                self.say_of_drop(
                    f"{len(paths):,} dropped, at most {_MOST_DROPPED} open at a time: drop their folder"
                )
            else:
                self.open_paths(paths)

    def open_paths(self, paths: Sequence[str]) -> None:
        """Open the datasets at these paths, each in a window."""
        raise NotImplementedError

    def say_of_drop(self, text: str) -> None:
        """Say why nothing of what was dropped is opened."""
        raise NotImplementedError
