"""Files that were opened to be recognised, offered to whoever opens them: one request serves both."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .bytes import Bytes

ALONE = "alone"
"""The storage option that opens one image by itself, also if its name makes it one of a set."""
READING_OPTIONS = ("allow_outside", "follow_links", "pattern", "format", "axes", ALONE)
"""Options that say how a dataset is read; all others say how its server is accessed."""


class _Offer(NamedTuple):
    url: str
    options: frozenset[tuple[str, str]]
    file: Bytes


_offers: list[_Offer] = []
"""All of this process. Each step is one operation on the list, so that it needs no lock."""


def access_options(options: Mapping[str, str] | None) -> dict[str, str]:
    """Those storage options that say how a server is accessed."""
    return {name: value for name, value in (options or {}).items() if name not in READING_OPTIONS}


@contextlib.contextmanager
def offered(url: str, options: Mapping[str, str] | None, file: Bytes) -> Iterator[None]:
    """Within the block, `claimed` returns `file`, once; at its end it is closed, unless it was claimed."""
    offer = _Offer(url, _said(options), file)
    _offers.append(offer)
    try:
        yield
    finally:
        if _taken(offer):
            file.close()


def claimed(url: str, options: Mapping[str, str] | None) -> Bytes | None:
    """A file offered for this URL and these options, which is the caller's from now on; else None."""
    said = _said(options)
    for offer in tuple(_offers):
        if offer.url == url and offer.options == said and _taken(offer):
            return offer.file
    return None


def beginning_offered(url: str, length: int) -> bytes:
    """The first bytes of a file offered for this URL; b"" if there is none."""
    for offer in tuple(_offers):
        if offer.url == url:
            return offer.file.read(0, min(length, offer.file.size))
    return b""


def _said(options: Mapping[str, str] | None) -> frozenset[tuple[str, str]]:
    return frozenset(access_options(options).items())


def _taken(offer: _Offer) -> bool:
    """Take an offer back; False if somebody has claimed it."""
    try:
        _offers.remove(offer)
    except ValueError:
        return False
    return True
