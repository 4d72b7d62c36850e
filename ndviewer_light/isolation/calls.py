"""One request to a reader process, from sending until nobody can expect an answer any more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..errors import ReadDroppedError
from ..storage.waits import AWAKE_AGAIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import PlaneKey
    from .protocol import Message

DROPPED_SECONDS = 1.0
"""How long to wait for a read that nobody wants any more: if almost done, it is kept."""


class ReplacedError(Exception):
    """The process was replaced, through no fault of this request: send it again."""


class DeadlineError(Exception):
    """The request timed out."""


class Call:
    """A pending request; it is answered, abandoned and timed out by its number.

    `since` and `deadline` are of `time.monotonic`. It is *held* from being sent until it is answered and
    its waiter has left: only then is the slot with its pixels free again.
    """

    def __init__(self, number: int, op: str, seconds: float) -> None:
        self.number = number
        self.op = op
        self.since = time.monotonic()
        self.deadline = self.since + seconds
        self.reply: Message | None = None
        self.failure: Exception | None = None  # instead of a reply
        self.left = False  # nobody is waiting any more
        self.abandon: Callable[[], None] = lambda: None  # tells the process that it is no longer wanted
        self._dropped_at: float | None = None
        self._news = threading.Event()

    @property
    def answered(self) -> bool:
        """Whether it has ended, with or without error."""
        return self.reply is not None or self.failure is not None

    def tell(self, reply: Message | None, failure: Exception | None = None) -> None:
        """End the wait with a reply or an error."""
        self.reply, self.failure = reply, failure
        self._news.set()

    def wait(self, look_every: float, look: Callable[[], None]) -> Message:
        """The reply; calls `look`, which may raise, every so many seconds.

        Raises what ended it, `ReadDroppedError` if it was given up, `DeadlineError` past the deadline.
        """
        look_at = time.monotonic() + look_every
        while not self.answered:
            now = time.monotonic()
            if self._dropped_at is not None and now >= self._dropped_at + DROPPED_SECONDS:
                raise self.not_wanted()
            if now >= self.deadline:
                raise DeadlineError
            until = self.deadline if self._dropped_at is None else self._dropped_at + DROPPED_SECONDS
            if self._news.wait(min(until - now, max(look_at - now, 0.0), AWAKE_AGAIN_SECONDS)):
                self._news.clear()  # given up, or answered
            elif time.monotonic() >= look_at:
                look()
                look_at = time.monotonic() + look_every
        if self.failure is not None:
            raise self.failure
        assert self.reply is not None
        return self.reply

    # ---- as its scope knows it (see `CancelScope`) -----------------------------------------

    def give_up(self) -> None:
        """Abandon this request, and no other of the same plane. Never blocks."""
        self._dropped_at = time.monotonic()
        self.abandon()
        self._news.set()

    def not_wanted(self) -> ReadDroppedError:
        """The error for its thread in that case."""
        return ReadDroppedError("no longer needed")


def what_was_asked(op: str, key: PlaneKey, level: int, name: str) -> str:
    """A description of a request for errors: "reading the plane t=0 p=1 c=0 z=0 of NAME"."""
    if op in ("refresh", "look", "look at all"):
        return f"reading the metadata of {name}"
    if op in ("image", "levels", "level at", "labels", "label facts"):
        return f"reading the metadata of position p={key.p} of {name}"
    indices = " ".join(f"{axis}={index}" for axis, index in zip("tpcz", key, strict=True))
    at_level = f" level={level}" if level else ""
    of = {
        "read": "",
        "thumbnails": "thumbnails from ",
        "label parts": "the labels of ",
        "measure": "",
        "versions": "the age of ",
        "stamps": "the age of ",
        "stored": "whether anything is stored of ",
        "look up": "whether anything is stored of ",
        "missing": "why nothing is stored of ",
        "just written": "when something was written of ",
    }.get(op, "the shape of ")
    return f"reading {of}the plane {indices}{at_level} of {name}"
