"""Names in messages, and in order."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAMED = 8  # maximum number of names listed in a message


def some_names(names: Sequence[str]) -> list[str]:
    """The first names, quoted, and how many more there are, for a message."""
    shown = [repr(name) for name in names[:_NAMED]]
    return [*shown, f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else shown


def how_many(n: int, noun: str, plural: str = "") -> str:
    """A number and what is counted, for a message: "1 plane", "2,000 planes"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def index_of(name: str, names: Sequence[str], what: str) -> int:
    """The index of the only one of that name; raises `KeyError` unless there is exactly one."""
    found = [i for i, each in enumerate(names) if each == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyError(f"{len(found)} {what}s are named {name!r}: use one of the indices {found}")
    raise KeyError(f"no {what} is named {name!r}; available: {', '.join(some_names(names))}")


_DIGITS = re.compile(r"(\d+)")


@lru_cache(16_384)  # the same names are sorted again whenever a folder has grown
def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for numbered names: 0, 1, 2, 10; A1, A2, A10; Z before AA.

    Runs of letters compare by length first when they stand alone before a number or the end
    (well rows: "Z" < "AA"), runs of digits by value.
    """
    parts = [part for part in _DIGITS.split(name) if part]
    is_well_row = (
        bool(parts) and parts[0].isascii() and parts[0].isalpha() and len(parts[0]) <= 2 and len(parts) <= 2
    )
    keys: list[tuple[int, int, str]] = []
    for part in parts:
        if part.isdecimal() and part.isascii():
            keys.append((0, int(part), part))
        else:
            keys.append((1, len(part) if is_well_row else 0, part))
    return tuple(keys)


def natural_sorted(names: Iterable[str]) -> list[str]:
    """`names` in natural order (see `natural_key`)."""
    return sorted(names, key=natural_key)
