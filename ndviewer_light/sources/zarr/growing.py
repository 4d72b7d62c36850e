"""Planes of which something is stored, but perhaps not all of it yet: for whoever follows what is written.

A writer that fills a chunk of several planes one by one leaves fill value in those to come, and one that
writes a plane of several chunks has written some of them first. Neither is data, and no reader can tell it
from data; only the time at which the files were written, and what comes later, give a hint.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import DatasetError, PlaneNotWrittenError
from ...storage.activity import JUST_WRITTEN_SECONDS, PART_SECONDS, QUIET_SECONDS, newest_write
from ...storage.file_clock import FILE_CLOCK
from ..missing import Found, Verdict, not_stored
from .array_in_chunks import differs, shares_chunks
from .chunk_files import age_s
from .chunk_grid import chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ...errors import PlaneNotStoredError
    from .nodes import ZarrImage

    Selection = Sequence[int | slice]

_METADATA = ("zarr.json", ".zarray", ".zattrs")
_ROWS_COMPARED = 64
"""How many rows and columns of the other planes in a chunk are looked at."""


def is_expected_to_grow(image: ZarrImage) -> bool:
    """Whether a local array looks like one that somebody writes, although nobody has watched it so far."""
    return _was_just_written(image) or _was_just_created(image)


def _was_just_written(image: ZarrImage) -> bool:
    """Whether an array that makes no claim about its run was written to within the last seconds."""
    newest = newest_write(image.array) if image.meta.complete is None else 0
    return bool(newest) and FILE_CLOCK.age_s(newest) < JUST_WRITTEN_SECONDS


def _was_just_created(image: ZarrImage) -> bool:
    """Whether an array was created within the last minute, and nothing was written into it so far.

    That is what arrays look like which are all made before the first plane is acquired.
    """
    if image.meta.complete:
        return False
    try:
        with os.scandir(image.array) as entries:
            times = [each.stat().st_mtime_ns for each in entries if each.name in _METADATA]
            is_empty = len(times) == len(os.listdir(image.array))
    except OSError:
        return False
    return is_empty and bool(times) and FILE_CLOCK.age_s(max(times)) < QUIET_SECONDS


def check_complete(selection: Selection, image: ZarrImage) -> None:
    """Raise `PlaneNotWrittenError` for a plane with missing chunks of which others were just written."""
    if not image.meta.complete and age_s(selection, image) < PART_SECONDS:
        error = PlaneNotWrittenError(f"{image.array}: some chunks of this plane are not written yet")
        error.plane_shape, error.is_expected = image.plane_shape, True
        raise error


def not_written_yet(
    pixels: np.ndarray,
    selection: Selection,
    image: ZarrImage,
    read: Callable[[tuple[int | slice, ...]], np.ndarray],
) -> PlaneNotStoredError | None:
    """The error for a plane that is all fill value in chunks that others are being written into; else None.

    `read` reads a selection of the array.
    """
    if image.meta.complete or not is_fill(pixels, image) or not shares_chunks(image):
        return None
    age = age_s(selection, image)
    # just now, a later plane proves nothing: several writers, or one that writes in any order
    if age >= QUIET_SECONDS or (age >= JUST_WRITTEN_SECONDS and _has_later(selection, image, read)):
        return None
    said = f"{image.array}: of this plane nothing but the fill value is stored"
    verdict = Verdict(Found.EXPECTED, "others in the same chunk are being written")
    error = not_stored(said, image.plane_shape, image.fill_value, verdict)
    error.shares_chunks = True
    return error


def is_fill(pixels: np.ndarray, image: ZarrImage) -> bool:
    """Whether all pixels are the fill value; usually told by the first row."""
    return not differs(pixels[:1], image).any() and not differs(pixels, image).any()


def _has_later(
    selection: Selection, image: ZarrImage, read: Callable[[tuple[int | slice, ...]], np.ndarray]
) -> bool:
    """Whether the same chunks contain a later plane, so that the writer has been past this one."""
    wanted: list[int | slice] = []
    for at, part, size, axis in zip(
        selection, chunks_of(image).decoded, image.facts.shape, image.axes, strict=True
    ):
        if isinstance(at, slice):
            wanted.append(slice(at.start, at.stop, max(1, (at.stop - at.start) // _ROWS_COMPARED)))
        elif axis.role == "p":
            wanted.append(at)
        else:
            wanted.append(slice(at, min(size, (at // part + 1) * part), 1))
    try:
        found = read(tuple(wanted))
    except DatasetError:
        return False
    roles = [axis.role for at, axis in zip(wanted, image.axes, strict=True) if isinstance(at, slice)]
    written = differs(found, image).any(axis=tuple(i for i, role in enumerate(roles) if role in ("y", "x")))
    written.flat[0] = False  # the plane itself
    return bool(written.any())
