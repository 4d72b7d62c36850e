"""TIFF pages that each say which plane they are: JSON with "z_level" and "channel", as in Squid's stacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ..model import Channel
from ..storage.limits import MAX_CHANNELS
from .tiff_layout import PageRun, TiffImage, checked, with_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..storage.decoding.ifd_chain import PageFacts
    from .tiff_evidence import TiffDocuments

_MOST_NOTE_LETTERS = 65_536
_MOST_Z = 1_000_000


class PageNote(NamedTuple):
    """What a page says of itself: its plane in the stack, its channel, and that one's index, -1 if unsaid."""

    z: int
    channel: str
    c: int


def page_note(text: str) -> PageNote | None:
    """The note in a description; None if it is something else."""
    if not text.lstrip().startswith("{") or len(text) > _MOST_NOTE_LETTERS:
        return None
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    z, name, c = said.get("z_level"), said.get("channel"), said.get("channel_index", -1)
    if type(z) is not int or type(c) is not int or not isinstance(name, str):
        return None
    return PageNote(z, name, c) if 0 <= z < _MOST_Z and -1 <= c < _MOST_Z else None


def by_notes(tiff: TiffDocuments, refused: list[str]) -> list[TiffImage]:
    """The image of a TIFF whose pages have notes; [] for others."""
    image = noted_image(tiff.facts, tiff.description, tiff.name)
    return [] if image is None else [image]


def noted_image(facts: Sequence[PageFacts], description: Callable[[int], str], name: str) -> TiffImage | None:
    """The image of pages of one size that all have notes; None if some have none, or two say the same.

    `description` is that of a page. Channels are in the order of their indices, else of their pages.
    """
    if page_note(description(0)) is None or any(page != facts[0] for page in facts):
        return None
    notes = [page_note(description(i)) for i in range(len(facts))]
    planes = [note for note in notes if note is not None]
    channels = list(dict.fromkeys(note.channel for note in sorted(planes, key=lambda note: note.c % _MOST_Z)))
    stack = sorted({note.z for note in planes})
    if len(planes) < len(notes) or len(channels) > MAX_CHANNELS:
        return None
    z_at = {z: i for i, z in enumerate(stack)}
    c_at = {channel: i for i, channel in enumerate(channels)}
    pages = {z_at[note.z] * len(channels) + c_at[note.channel]: i for i, note in enumerate(planes)}
    if len(pages) < len(planes):
        return None
    runs: list[PageRun] = []
    for number, page in sorted(pages.items()):
        last = runs[-1] if runs else None
        if last is not None and (last.first + last.n, last.page + last.n) == (number, page):
            runs[-1] = last._replace(n=last.n + 1)
        else:
            runs.append(PageRun(number, 1, page))
    sizes = (("z", len(stack)), ("c", len(channels)))
    first = facts[0]
    image = TiffImage(
        tuple(axis for axis in sizes if axis[1] > 1),
        ("y", first.height),
        ("x", first.width),
        ("s" if first.samples > 1 else "", first.samples),
        tuple(runs),
        "what each page says of itself",
        channels=tuple(Channel(channel, "") for channel in channels),
        is_incomplete=len(pages) < len(stack) * len(channels),
    )
    return checked(with_samples(image, first), name)
