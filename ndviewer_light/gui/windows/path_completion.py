"""How a path that is being typed may continue. Knows no Qt; what reads is called in threads."""

from __future__ import annotations

import contextlib
import os
import threading
from itertools import islice
from typing import TYPE_CHECKING

from ...storage.bytes import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_LISTED = 5_000
_MOST_OFFERED = 40
_QUOTES = ("'", '"')


def path_typed(text: str) -> str:
    """The path or address that is meant: without the quotes that file managers copy, "~" is home."""
    text = text.strip()
    if len(text) > 2 and text[0] in _QUOTES and text[-1] == text[0]:
        text = text[1:-1]
    return os.path.expanduser(text) if text.startswith("~") else text


def completions(text: str, recent: Sequence[str]) -> list[str]:
    """What begins with `text`: of the recent datasets, and of the folder it is in; raises nothing.

    Lists that folder; of a large one, only 5,000 entries.
    """
    typed = path_typed(text)
    lately = [path for path in recent if path.startswith(typed) and path != typed]
    if is_url(typed) or not typed:
        return lately[:_MOST_OFFERED]
    folder, begin = os.path.split(typed)
    names: list[str] = []
    with contextlib.suppress(OSError, ValueError), os.scandir(folder or os.curdir) as entries:
        for entry in islice(entries, _MOST_LISTED):
            if entry.name.startswith(begin) and (begin or not entry.name.startswith(".")):
                names.append(os.path.join(folder, entry.name))
    return list(dict.fromkeys((*lately, *sorted(names))))[:_MOST_OFFERED]


def format_choices() -> list[str]:
    """The names of all formats, also those of other packages, which are imported."""
    from ...sources.registry import format_names

    return sorted(format_names())


def in_thread(name: str, work: Callable[[], None]) -> None:
    """Do work in a thread that nobody waits for, also at the end of the program: a disk may hang.

    Raises `RuntimeError` if there are no more threads.
    """
    threading.Thread(target=work, name=name, daemon=True).start()
