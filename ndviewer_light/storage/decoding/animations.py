"""The pictures that a GIF or WebP shows one after the other: how many, for how long. No pixel is decoded.

Sources: the specification of GIF89a, and that of the container of WebP
(https://developers.google.com/speed/webp/docs/riff_container). Pure functions on the bytes of a file; one
that ends early has the pictures before its end.
"""

from __future__ import annotations

from typing import NamedTuple

GIF_STARTS = (b"GIF87a", b"GIF89a")
MAX_WEBP_SIDE = 16_384
"""A picture in a WebP has no longer sides, and libwebp writes no wider canvas."""
_MOST_PICTURES = 100_000
_TABLE, _TABLE_SIZE = 0x80, 0x07
_EXTENSION, _CONTROL, _IMAGE = 0x21, 0xF9, 0x2C
_LONG_WEBP = b"VP8X"


class Animation(NamedTuple):
    """For how many ms each picture of a file is shown, and whether all are grey (of a GIF)."""

    durations_ms: tuple[int, ...]
    is_grey: bool = False

    @property
    def step_s(self) -> float | None:
        """The time from one to the next, if it is always the same."""
        first = self.durations_ms[0] if self.durations_ms else 0
        return first / 1000 if first and set(self.durations_ms[:-1]) == {first} else None


def begins_like_webp(head: bytes) -> bool:
    """Whether a file that begins so is a WebP, and no other RIFF (sound, video)."""
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def may_have_frames(head: bytes) -> bool:
    """Whether a file that begins so may hold several pictures."""
    return head.startswith(GIF_STARTS) or begins_like_webp(head)


def frames_of(data: bytes | memoryview) -> Animation:
    """What is known of the pictures of a file for which `may_have_frames`."""
    data = bytes(data)
    return _of_gif(data) if data.startswith(GIF_STARTS) else _of_webp(data)


def canvas_of_webp(head: bytes) -> tuple[int, int] | None:
    """Height and width of what a WebP is drawn on, by its first 32 bytes; None if a single frame says it.

    Such a frame has at most 16,383 pixels a side, the canvas of several 2²⁴.
    """
    if head[12:16] != _LONG_WEBP or len(head) < 30:
        return None
    return 1 + int.from_bytes(head[27:30], "little"), 1 + int.from_bytes(head[24:27], "little")


def _of_webp(data: bytes) -> Animation:
    durations: list[int] = []
    at = 12
    while at + 8 <= len(data) and len(durations) < _MOST_PICTURES:
        if data[at : at + 4] == b"ANMF" and at + 24 <= len(data):
            durations.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return Animation(tuple(durations) or (0,))


def _of_gif(data: bytes) -> Animation:
    flags = data[10] if len(data) > 10 else 0
    of_all, at = _table(data, flags, 13)
    durations: list[int] = []
    duration, is_grey = 0, True
    while at + 10 <= len(data) and len(durations) < _MOST_PICTURES:
        if data[at] == _EXTENSION:
            if data[at + 1] == _CONTROL:
                duration = 10 * int.from_bytes(data[at + 4 : at + 6], "little")
            at = _behind_blocks(data, at + 2)
        elif data[at] == _IMAGE:
            own, at = _table(data, data[at + 9], at + 10)
            is_grey = is_grey and _is_grey(own or of_all)
            at = _behind_blocks(data, at + 1)  # behind the width of the codes
            durations.append(duration)
            duration = 0
        else:
            break
    return Animation(tuple(durations) or (0,), is_grey)


def _table(data: bytes, flags: int, at: int) -> tuple[bytes, int]:
    """The colours that lie at a place, if the flags say that there are any, and what is behind them."""
    end = at + (3 << (flags & _TABLE_SIZE) + 1 if flags & _TABLE else 0)
    return data[at:end], end


def _is_grey(colours: bytes) -> bool:
    return colours[0::3] == colours[1::3] == colours[2::3]


def _behind_blocks(data: bytes, at: int) -> int:
    """The place behind blocks of at most 255 bytes, each after its length; the last one is empty."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1
