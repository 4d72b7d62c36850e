"""How limits are written: with the digits that matter between them. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS_TOLD = 3
"""Powers of ten: a thousandth of what lies between two limits is told apart."""
_PLAIN = 1e-3, 1e7
"""Numbers between these are written without a power of ten."""
_LONGEST_WHOLE = 10
"""Digits of a whole number that is written in full if there is room for it."""


def number_texts(value: float, span: float, *, is_whole: bool) -> Iterator[str]:
    """A limit, the other one `span` away: in words ever shorter, with ever fewer digits.

    What is next to nothing of the span is 0.

    >>> list(number_texts(0.118_562_3, 0.76, is_whole=False))
    ['0.1186', '0.119', '0.12', '0.1', '1.186e-1', '1.19e-1', '1.2e-1', '1e-1']
    >>> list(number_texts(2.1167e-30, 0.76, is_whole=False)), list(number_texts(2e-5, 2e-5, is_whole=False))
    (['0'], ['2e-5'])
    >>> list(number_texts(2**64, 2**64, is_whole=True))
    ['1.845e19', '1.84e19', '1.8e19', '2e19']
    """
    digit = _STEPS_TOLD - _power(span)  # the last one that is told, after the point
    if value == 0 or (not is_whole and abs(value) < 0.5 * 10.0**-digit):
        yield "0"
        return
    first, (least, most) = _power(value), _PLAIN
    texts = []
    if is_whole and abs(value) < 10**_LONGEST_WHOLE:
        texts.append(str(round(value)))
    elif not is_whole and least <= max(abs(value), abs(span)) < most:
        texts += [_without_zeros(f"{value:.{n}f}") for n in range(max(digit, 0), max(-first, 0) - 1, -1)]
    n_told = max(first + digit, 0)
    for n in range(min(n_told, _STEPS_TOLD) if texts else n_told, -1, -1):
        mantissa, _, power = f"{value:.{n}e}".partition("e")
        texts.append(f"{_without_zeros(mantissa)}e{int(power)}")
    yield from dict.fromkeys(texts)


def exact_text(value: float, *, is_whole: bool) -> str:
    """All digits of it: read as a number, it is the same again."""
    return str(round(value)) if is_whole else _without_zeros(repr(float(value)))


def _power(value: float) -> int:
    """Of ten, of the first digit."""
    return math.floor(math.log10(abs(value))) if value else 0


def _without_zeros(text: str) -> str:
    if "." not in text or "e" in text:
        return text
    shorter = text.rstrip("0").rstrip(".")
    return "0" if shorter in ("", "-", "-0") else shorter
