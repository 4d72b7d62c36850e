"""Names of channels where there is little room: what all begin with tells nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TELLS_LITTLE = 2
_SEPARATORS = " _-.:/"


def common_beginning(names: Sequence[str]) -> int:
    """How many letters all names begin with that tell nothing: whole words, and never all of a name.

    A word more is kept where only a number of one or two digits, or a letter, would be left.

    >>> common_beginning(["Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex"])
    13
    >>> common_beginning(["Antibody round 1", "Antibody round 12"])
    9
    """
    if len(names) < 2:
        return 0
    first, last = min(names), max(names)  # these differ most
    n = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    n = min(n, *(len(name.rstrip()) - 1 for name in names))
    n = _word_begin(first, max(n, 0))
    if n and all(len(name[n:].strip()) <= _TELLS_LITTLE for name in names):
        n = _word_begin(first, len(first[:n].rstrip(_SEPARATORS)))
    return n


def _word_begin(name: str, end: int) -> int:
    while end > 0 and name[end - 1].isalnum():
        end -= 1
    return end


def fitting_end(name: str, common: int, fits: Callable[[str], bool]) -> str:
    """`name` from the first word on from which it fits; what follows the `common` letters stays in any case.

    >>> fitting_end("Alexa Fluor 488 stain 1", 22, lambda text: len(text) <= 16)
    '…488 stain 1'
    """
    starts = [i for i in range(1, common) if not name[i - 1].isalnum() and name[i].isalnum()]
    ends = (f"…{name[i:]}" for i in starts)
    return next(filter(fits, ends), f"…{name[common:]}")


def without_beginning(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin with.

    >>> without_beginning(["Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex"])
    ['…405 nm Ex', '…488 nm Ex']
    """
    n = common_beginning(names)
    return [f"…{name[n:]}" for name in names] if n else list(names)
