"""Names of channels where there is little room: what all begin with tells nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def common_beginning(names: Sequence[str]) -> int:
    """How many letters all names begin with that tell nothing: whole words, and never all of a name.

    >>> common_beginning(["Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex"])
    13
    """
    if len(names) < 2:
        return 0
    first, last = min(names), max(names)  # these differ most
    n = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    n = min(n, *(len(name.rstrip()) - 1 for name in names))
    while n > 0 and first[n - 1].isalnum():
        n -= 1
    return max(n, 0)


def without_beginning(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin with.

    >>> without_beginning(["Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex"])
    ['…405 nm Ex', '…488 nm Ex']
    """
    n = common_beginning(names)
    return [f"…{name[n:]}" for name in names] if n else list(names)
