"""A folder of which only pixels are left, because its metadata have been away for some time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..storage.bytes import metadata_gone

if TYPE_CHECKING:
    from .read_check import ReadCheck

_BARE_SECONDS = 2.0
"""For so long a folder may be without its metadata, as while they are written anew."""


class LostMetadata:
    """Tells when the metadata of a dataset have been away for longer than it takes to write them anew.

    Who writes on into a folder that was moved or deleted makes it anew, without them.
    """

    def __init__(self, path: str, check: ReadCheck) -> None:
        self._path = path
        self._check = check
        self._since: float | None = None

    def look(self, *, are_away: bool) -> None:
        """Told at each look; raises `DatasetGoneError` if they are away, and have been at looks before."""
        now = time.monotonic()
        self._since = (self._since or now) if are_away else None
        if self._since is not None and now - self._since > _BARE_SECONDS and self._check.is_there():
            raise metadata_gone(self._path)
