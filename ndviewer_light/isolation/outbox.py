"""Outgoing messages for a pipe: senders never wait for the other end."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import BinaryIO

_AT_ONCE_BYTES = getattr(select, "PIPE_BUF", 512)  # a writable pipe accepts this much without blocking


def _room(stream: BinaryIO) -> select.poll | None:
    """What says whether a pipe has room; None where nothing does. For one thread at a time."""
    if not hasattr(select, "poll"):
        return None
    room = select.poll()
    room.register(stream, select.POLLOUT)
    return room


class Outbox:
    """Messages in order. A small one is written at once if the pipe has room, others by a thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream  # unbuffered
        self._room = _room(stream)
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._writing = False  # being emptied, by a thread or by the sender of the last message
        self._closed = False

    def put(self, frame: bytes) -> None:
        """Send a message (see `protocol.frame`); lost if nobody is listening. Any thread; never blocks."""
        with self._lock:
            if self._closed:
                return
            self._waiting.append(frame)
            if self._writing:
                return
            self._writing = True
        handed_over = False
        try:
            while (first := self._first()) is not None:
                if not self._goes_at_once(first):
                    handed_over = self._hand_over()
                    return
                self._write(first)
        finally:
            if not handed_over:
                self._stop_writing()

    def close(self) -> None:
        """Close the pipe, or let the writing thread do so. Never blocks."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            if self._writing:
                return
        self._close_stream()

    def _first(self) -> bytes | None:
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def _goes_at_once(self, frame: bytes) -> bool:
        return len(frame) <= _AT_ONCE_BYTES and self._room is not None and bool(self._room.poll(0))

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        with contextlib.suppress(OSError):  # nobody is listening: those waiting for answers will notice
            while view:
                view = view[os.write(self._stream.fileno(), view) :]
        with self._lock:
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()

    def _hand_over(self) -> bool:
        thread = threading.Thread(target=self._write_all, name="ndviewer-reader-requests", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread available: then our own thread waits
            self._write_all()
        return True

    def _write_all(self) -> None:
        try:
            while (first := self._first()) is not None:
                self._write(first)
        finally:
            self._stop_writing()

    def _stop_writing(self) -> None:
        again = False
        with self._lock:
            self._writing = False
            closed = self._closed
            if self._waiting and not closed:  # added after we had checked
                self._writing = again = True
        if closed:
            self._close_stream()
        elif again:
            self._hand_over()

    def _close_stream(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
