"""Waits for a dataset at a path at which nothing is yet, or nothing that can be opened."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from ..errors import DatasetError
from .activity import newest_change
from .bytes import is_url, split_inner
from .file_versions import NOTHING, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

APPEARING_SECONDS = 0.1
AGAIN_SECONDS = 2.0
"""What cannot be opened is tried again as soon as it changes, and after so long in any case."""


def opened_when_there(
    path: str,
    opened: Callable[[], T],
    is_wanted: Callable[[], bool],
    tried: Callable[[DatasetError], None] = lambda _: None,
) -> T | None:
    """What `opened` returns as soon as it raises no `DatasetError`; None once it `is_wanted` no more.

    `tried` is told of each failure. Other errors are raised. Blocks; is_wanted is asked ten times a second.
    """
    seen, last_try = "", float("-inf")
    while is_wanted():
        now, found = time.monotonic(), _state_of(path)
        if found != NOTHING and (found != seen or now >= last_try + AGAIN_SECONDS):
            try:
                return opened()
            except DatasetError as error:
                tried(error)
            seen, last_try = found, time.monotonic()
        time.sleep(APPEARING_SECONDS)
    return None


def has_changed(path: str, seconds: float, is_wanted: Callable[[], bool]) -> bool:
    """Wait until something changes at a local path, looking every `seconds`; False once not `is_wanted`.

    Of an address nobody tells. Blocks; is_wanted is asked ten times a second.
    """
    if is_url(path):
        return False
    seen, looked = _state_of(path), time.monotonic()
    while is_wanted():
        time.sleep(APPEARING_SECONDS)
        if time.monotonic() - looked >= seconds:
            if _state_of(path) != seen:
                return True
            looked = time.monotonic()
    return False


def _state_of(path: str) -> str:
    """Something that changes when more is written to a path; `NOTHING` if there is nothing."""
    if is_url(path):
        return "an address"  # to be asked again after a while
    path = split_inner(path)[0]
    version = version_of(path)
    return f"{version} {newest_change(path)}" if os.path.isdir(path) else version
