"""What Micro-Manager writes beside separate images: ``metadata.txt``, with channels, steps and times."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...errors import DatasetError
from ...metadata.micromanager import summary_channels, summary_steps
from ...metadata.recorded_times import elapsed_of_files
from ...storage.bytes import is_url
from ...storage.file_versions import version_of
from ...storage.limits import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import Channel
    from ...storage.local_files import LinkGuard

_NAME = "metadata.txt"
_MOST_FOLDERS = 64  # whose times are kept


def channels_and_steps(
    path: str, links: LinkGuard | None
) -> tuple[tuple[Channel, ...], Mapping[str, float | None]]:
    """The channels, and the steps in µm and s, that are said beside an image; () and {} if nothing is.

    Looks in the folder of the image. While an acquisition runs the file is incomplete: then nothing is said.
    """
    if is_url(path):
        return (), {}
    said = _said(os.path.join(os.path.dirname(path), _NAME), links)
    summary: Any = (said or {}).get("Summary")
    if said is None or not isinstance(summary, dict):
        return (), {}
    frame = next((value for key, value in said.items() if key.startswith(("FrameKey", "Metadata-"))), None)
    return summary_channels(summary), {k: v for k, v in summary_steps(summary, frame).items() if v}


def _said(beside: str, links: LinkGuard | None) -> dict[str, Any] | None:
    try:
        if links is not None:
            links.check([beside])
        return read_json(beside)
    except DatasetError:
        return None


class TimesBeside:
    """When images were acquired, by the ``metadata.txt`` in their folders. Any thread; blocks on disk."""

    def __init__(self, links: LinkGuard | None) -> None:
        self._links = links
        self._read: dict[str, tuple[str, Mapping[str, float]]] = {}

    def of(self, path: str) -> float | None:
        """Seconds since the run began at which the image at `path` was acquired; None if it is not said."""
        folder, name = os.path.split(path)
        beside = os.path.join(folder, _NAME)
        version = version_of(beside)
        known = self._read.get(folder)
        if known is None or known[0] != version:
            known = self._read[folder] = version, elapsed_of_files(_said(beside, self._links) or {})
            while len(self._read) > _MOST_FOLDERS:
                self._read.pop(next(iter(self._read)), None)
        return known[1].get(name)
