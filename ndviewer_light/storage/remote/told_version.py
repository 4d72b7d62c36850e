"""What a server says of the version of a file: its size, its ETag, and when it was changed."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_TICK_NS = 2_000_000_000
"""The time of a file's last change is told in seconds."""


class Version(NamedTuple):
    """The version of a file, to detect changes; "" if the server reports none."""

    size: int
    etag: str
    modified: str

    @property
    def text(self) -> str | None:
        """As `file_versions` has the versions of local files; None if the server reports none."""
        if not self.etag and not self.modified:
            return None
        changed = datetime.fromisoformat(self.modified).timestamp() if self.modified else 0.0
        etag = hashlib.sha256(self.etag.encode()).hexdigest()[:16] if self.etag else ""
        text, now = f"{int(changed * 1e9)}.{self.size}.{etag}", time.time_ns()
        return text if etag or abs(now - changed * 1e9) > _TICK_NS else f"{text}~{now}"


def told_version(meta: Mapping[str, Any]) -> Version:
    """The version by what the client library reports of an answer."""
    etag = str(meta.get("e_tag") or "").removeprefix("W/")  # weak or strong: compared in the same way
    modified = meta["last_modified"]
    known = modified.timestamp() > 0  # 1970: not reported by the server
    return Version(int(meta["size"]), etag, modified.isoformat() if known else "")
