"""What a server says of the version of a file: its size, its ETag, and when it was changed.

A time in whole seconds says the same of two writes within one second, and so does a weak ETag, or one that is
made from such a time. It is a proof only of what was read more than a second after the write (RFC 9110,
8.8.2.2). When that was, no clock tells: the server's and ours may be wrong. But a write whose time is told
has begun, so what is read two seconds after that time was first told is the last of that second.
"""

from __future__ import annotations

import hashlib
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAME_SECOND_S = 2.0
_OLD_SECONDS = 24 * 3600.0
"""No clock is so wrong: what was written so long ago is not written just now."""
_MOST_TOLD = 8192
_MADE_OF_SECONDS = re.compile(r'"?[0-9a-f]{8}-[0-9a-f]+"?')
"""The ETags of nginx: the time in seconds, and the size."""


class Version(NamedTuple):
    """The version of a file, to detect changes; "" if the server reports none."""

    size: int
    etag: str
    modified: str

    @property
    def changed_s(self) -> float:
        """When the file was changed by the server's clock (s since 1970), 0 if it does not say."""
        return datetime.fromisoformat(self.modified).timestamp() if self.modified else 0.0


def told_version(meta: Mapping[str, Any]) -> Version:
    """The version by what the client library reports of an answer."""
    etag = str(meta.get("e_tag") or "").removeprefix("W/")  # weak or strong: compared in the same way
    modified = meta["last_modified"]
    known = modified.timestamp() > 0  # 1970: not reported by the server
    return Version(int(meta["size"]), etag, modified.isoformat() if known else "")


class ToldVersions:
    """Since when each version of a file is known, and when it was read last. Any thread.

    No lock, as it is asked and told by threads that must not wait for one: entries are put as a whole.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, Version], tuple[float, float]] = {}  # first told, last read
        self._weak: set[str] = set()  # of these files the server gives weak ETags

    def note(self, url: str, version: Version, meta: Mapping[str, Any], *, is_read: bool) -> Version:
        """A server has told the version of a file; `is_read`: with the whole file. Returns `version`."""
        if len(self._told) + len(self._weak) > _MOST_TOLD:
            self._told, self._weak = {}, set()
        if str(meta.get("e_tag") or "").startswith("W/"):
            self._weak.add(url)
        now = time.monotonic()
        first, read = self._told.get((url, version), (now, float("-inf")))
        self._told[url, version] = first, now if is_read else read
        return version

    def was_read_late(self, url: str, version: Version) -> bool:
        """Whether a file was read so late that it is what the version says, whatever else is."""
        first, read = self._told.get((url, version), (0.0, float("-inf")))
        return self.is_proof(url, version) or read - first > _SAME_SECOND_S

    def text_of(self, url: str, version: Version) -> str | None:
        """As `file_versions` has the versions of local files; None if the server reports none.

        What may have been written twice since its time was first told has another one each time.
        """
        if not version.etag and not version.modified:
            return None
        etag = hashlib.sha256(version.etag.encode()).hexdigest()[:16] if version.etag else ""
        text = f"{int(version.changed_s * 1e9)}.{version.size}.{etag}"
        now = time.monotonic()
        first, _ = self._told.get((url, version), (now, 0.0))
        is_settled = self.is_proof(url, version) or now - first > _SAME_SECOND_S
        return text if is_settled else f"{text}~{time.time_ns()}"

    def is_proof(self, url: str, version: Version) -> bool:
        """Whether no other content can have this version, whenever it was read."""
        changed_s = version.changed_s
        if version.etag and url not in self._weak and not _MADE_OF_SECONDS.fullmatch(version.etag):
            return True
        return bool(changed_s) and time.time() - changed_s > _OLD_SECONDS


TOLD = ToldVersions()
"""Of all files on servers that this process asks for."""
