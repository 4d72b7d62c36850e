"""What Squid writes beside its images: asked for again once their folder has changed, and rarely else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ...metadata.squid import own_files
from ...storage.asked_together import asked_together
from ...storage.file_versions import version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESTS_OF_CHANGED, _RESTS_OF_OTHERS = 20, 100
"""Files are asked for again after so many times as long as the answers took: where these are slow, one of
seven files is hardly ever the news."""


class _Asked(NamedTuple):
    """The versions of the files in a folder, and of the folder before; when they were asked, and how long."""

    versions: str
    of_folder: str
    asked: float
    took: float


class SideFiles:
    """The versions of Squid's own files. One thread at a time; blocks on disk.

    A file that appears changes its folder, one that is written again does not; and a folder to which images
    are added changes all the time.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Asked] = {}

    def versions(self, folders: Sequence[str], *, anew: bool) -> str:
        """Those of the files in these folders, as one text; `anew`: as of now, whatever that costs."""
        now = time.monotonic()
        of_folders = dict(zip(folders, asked_together(version_of, folders), strict=True))
        due = [folder for folder, of in of_folders.items() if anew or self._is_due(folder, of, now)]
        began = time.monotonic()
        files = {folder: own_files(folder) for folder in due}
        answers = iter(asked_together(version_of, [path for paths in files.values() for path in paths]))
        took = time.monotonic() - began
        for folder, paths in files.items():
            versions = " ".join(next(answers) for _ in paths)
            self._known[folder] = _Asked(versions, of_folders[folder], now, took)
        return " ".join(self._known[folder].versions for folder in folders)

    def _is_due(self, folder: str, version: str, now: float) -> bool:
        known = self._known.get(folder)
        if known is None:
            return True
        rests = _RESTS_OF_OTHERS if version == known.of_folder else _RESTS_OF_CHANGED
        return now >= known.asked + rests * known.took
