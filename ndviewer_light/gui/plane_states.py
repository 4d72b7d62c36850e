"""What is said of the planes of a view: over the canvas, and at the strip of each channel. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.stack_beside import WITH_PIXELS
from ..model import PlaneState
from ..sources.missing import EMPTY_OR_NOT_ACQUIRED, NO_LONGER_THERE
from .words import explain_plane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Plane
    from .canvas.overlay import StateKind
    from .canvas.view_frames import Frame

_WORDS = {
    PlaneState.FILLED: "nothing stored, shown as the fill value",
    PlaneState.PENDING: PlaneState.PENDING.value,
    PlaneState.ABSENT: PlaneState.ABSENT.value,
    PlaneState.LOADING: "loading…",
    PlaneState.UNREADABLE: PlaneState.UNREADABLE.value,
}
_TILES: tuple[tuple[PlaneState, StateKind], ...] = (
    (PlaneState.UNREADABLE, "error"),
    (PlaneState.LOADING, "loading"),
    (PlaneState.PENDING, "waiting"),
    (PlaneState.ABSENT, "absent"),
)
"""The state to show if no channel has pixels, most important first."""


def states_of_channels(frame: Frame) -> dict[int, tuple[str, str]]:
    """For each channel that is not simply there: its state in words, and the reason."""
    return {
        c: ("; ".join(_said(frame, c)), plane.reason)
        for c, plane in frame.planes.items()
        if plane.state is not PlaneState.PRESENT or _lacking(frame, c)
    }


def _projected(frame: Frame, c: int) -> str:
    """How many planes are in the projection of a channel: "max of 37 of 40 planes"; "" if all are."""
    projection, counts = frame.view.projection, frame.counts.get(c)
    if projection is None or counts is None:
        return ""
    n, total = sum(counts[state] for state in WITH_PIXELS), sum(counts.values())
    return f"{projection.how} of {n} of {total} planes" if 0 < n < total else ""


def state_of_view(frame: Frame, names: Sequence[str]) -> tuple[StateKind, str]:
    """What to show over the canvas: kind and text, as `CanvasOverlay.set_state` takes them.

    As long as any channel has pixels the picture stays visible: a volume of which one plane is missing as
    well as a plane of which one channel is.
    """
    planes = frame.planes
    is_plain = all(plane.state is PlaneState.PRESENT for plane in planes.values())
    has_nothing = any(_without_numbers(frame, c) or frame.unlike(c) for c in planes)
    if is_plain and not has_nothing and not any(plane.reason for plane in planes.values()):
        return "none", ""
    if not any(_has_pixels(frame, c) for c in planes):
        return _nothing_there(list(planes.values()))
    said = {c: list(_said(frame, c)) for c in planes}
    lines = [f"{names[c]}: {text}" for c, texts in said.items() for text in texts]
    is_partial = any(plane.state not in WITH_PIXELS for plane in planes.values())
    texts = {text for each in said.values() for text in each}
    is_same = len(texts) == 1 and all(said.values()) and not is_partial
    kind: StateKind = "partial" if is_partial or has_nothing else "filled"
    return kind, _sentence(texts.pop()) if is_same else "\n".join(lines)


def _said(frame: Frame, c: int) -> Iterator[str]:
    """The states of a channel other than PRESENT, in words; of a volume, how many planes are in each."""
    plane = frame.planes[c]
    counts = frame.counts.get(c) or {plane.state: 1}
    total = sum(counts.values())
    if projected := _projected(frame, c):
        yield projected
    if unlike := frame.unlike(c):
        yield unlike
    if plane.state is not PlaneState.FILLED and (nothing := _without_numbers(frame, c)):
        yield nothing
    if plane.state is PlaneState.PRESENT and plane.reason:
        yield plane.reason  # chunks that are not stored
    for state, words in _WORDS.items():
        n = counts.get(state, 0)
        if not n:
            continue
        if state is PlaneState.FILLED is plane.state:
            words = plane.reason  # with the value
        elif state is PlaneState.ABSENT is plane.state:
            words = _nothing_stored(plane)
        yield words if n == total else f"{n} of {total} planes: {words}"


def _lacking(frame: Frame, c: int) -> bool:
    """Whether there is something to say of a channel that is there."""
    return bool(frame.planes[c].reason or _without_numbers(frame, c) or frame.unlike(c))


def _without_numbers(frame: Frame, c: int) -> str:
    """That no pixel of a channel has a number: that looks like black or white; "" if one has."""
    contrast = frame.contrasts.get(c)
    if contrast is None or not contrast.is_empty:
        return ""
    names = [name for name, share in (("NaN", contrast.nan), ("infinite", contrast.infinite)) if share]
    return f"no numbers: all pixels are {' or '.join(names)}"


def _has_pixels(frame: Frame, c: int) -> bool:
    states = frame.counts.get(c) or (frame.planes[c].state,)
    return any(state in WITH_PIXELS for state in states)


def _nothing_there(planes: Sequence[Plane]) -> tuple[StateKind, str]:
    for state, kind in _TILES:
        found = [plane for plane in planes if plane.state is state]
        if found:
            return kind, _TEXTS_OF[kind](found) if kind in _TEXTS_OF else ""
    return "none", ""


def _reasons(planes: Sequence[Plane]) -> str:
    """Why these could not be read: each reason once, technical ones in plain words."""
    said = list(dict.fromkeys(explain_plane(plane.reason).sentence for plane in planes))
    more = f"\n(and {len(said) - 1} more, see the channel list)" if len(said) > 1 else ""
    return said[0] + more


def _nothing_stored(plane: Plane) -> str:
    """In words, and whether that means anything: files that do not exist were never acquired."""
    words = _WORDS[PlaneState.ABSENT]
    why = next((each for each in (NO_LONGER_THERE, EMPTY_OR_NOT_ACQUIRED) if each in plane.reason), "")
    return f"{words} ({why})" if why else words


def _nothing_stored_of(planes: Sequence[Plane]) -> str:
    said = [text for text in map(_nothing_stored, planes) if text != _WORDS[PlaneState.ABSENT]]
    return _sentence(said[0]) if said else ""


_TEXTS_OF = {"error": _reasons, "absent": _nothing_stored_of}
"""What is said of a view without pixels, beyond the usual sentence."""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
