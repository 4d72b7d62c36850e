"""The last output of a process on standard error, up to a few kilobytes."""

from __future__ import annotations

import os
import threading
from typing import BinaryIO

STDERR_BYTES = 8192
_CHUNK_BYTES = 65536
_PAUSE_SECONDS = 0.05  # after a full chunk: slow down a process that writes endlessly


class LastWords:
    """The end of the output of a pipe, read by a thread so that the writer does not block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._kept = b""
        self._ended = threading.Event()
        self._no_pause = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ndviewer-reader-stderr", daemon=True)

    def start(self) -> None:
        """Start reading. Raises `RuntimeError` if no thread can be started."""
        self._thread.start()

    def said(self, timeout: float) -> str:
        """The last output, once the process has ended or after `timeout` seconds."""
        self._no_pause.set()
        self._ended.wait(timeout)
        return self._kept.decode(errors="replace").strip()

    def _listen(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), _CHUNK_BYTES):
                self._kept = (self._kept + chunk)[-STDERR_BYTES:]
                if len(chunk) == _CHUNK_BYTES:
                    self._no_pause.wait(_PAUSE_SECONDS)
        self._ended.set()
