"""The end of the program, before Python waits for its threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call_before_threads_are_awaited(function: Callable[[], None]) -> None:
    """Have `function` called when the main thread ends.

    Python waits for the threads of pools before it calls what `atexit` has: one that waits for a dataset to
    appear it would await for ever. Earlier comes only what this function of `threading` takes, the one that
    pools themselves use; it has no public name, and where a Python has none, nothing is called.
    """
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(function)
