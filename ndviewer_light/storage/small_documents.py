"""Small JSON documents by key, in a folder of bounded size that any number of processes share.

One file per document, written under another name and renamed: a process that is killed leaves the old one or
the new one. Names are hashes: no key can be read from them. The least recently written are removed first.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from typing import Any

MOST_DOCUMENTS = 500
_MOST_DOCUMENT_BYTES = 256 * 1024
_OUR_FILE = re.compile(r"[0-9a-f]{64}\.json(\.\d+-\d+\.part)?")


class SmallDocuments:
    """Documents below `folder`. Any thread; blocks on disk, raises nothing: what cannot be kept is lost."""

    def __init__(self, folder: str | os.PathLike[str], most: int = MOST_DOCUMENTS) -> None:
        self.folder = os.fspath(folder)
        self._most = most
        self._lock = threading.Lock()
        self._written = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """The document under `key`; None if there is none, or it is damaged."""
        try:
            with open(self._path(key), "rb") as file:
                data = file.read(_MOST_DOCUMENT_BYTES + 1)
            document = json.loads(data) if len(data) <= _MOST_DOCUMENT_BYTES else None
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def put(self, key: str, document: dict[str, Any]) -> None:
        """Keep `document` under `key`, in place of the one before."""
        data = json.dumps(document).encode()
        if len(data) > _MOST_DOCUMENT_BYTES:
            return
        path = self._path(key)
        with self._lock:
            self._written += 1
            number = self._written
        part = f"{path}.{os.getpid()}-{number}.part"
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            with open(part, "wb") as file:
                file.write(data)
            os.replace(part, path)
            if number % 16 == 1:
                self._remove_oldest()
        except OSError:  # no space, no permission
            with contextlib.suppress(OSError):
                os.unlink(part)

    def _path(self, key: str) -> str:
        import hashlib

        return os.path.join(
            self.folder, f"{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()}.json"
        )

    def _remove_oldest(self) -> None:
        with os.scandir(self.folder) as entries:
            ours = [entry for entry in entries if _OUR_FILE.fullmatch(entry.name)]
        if len(ours) <= self._most:
            return
        by_age = sorted(ours, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
        for entry in by_age[: len(ours) - self._most]:
            with contextlib.suppress(OSError):  # another process was faster
                os.unlink(entry.path)
