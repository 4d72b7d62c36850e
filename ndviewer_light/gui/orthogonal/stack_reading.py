"""Reads the stack in view, and makes pictures of its sections, in threads; one of each at a time. No Qt."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, NamedTuple

from ...engine.stack_beside import WITH_PIXELS
from ...errors import DatasetError
from ...rendering.contrast import contrast_of
from ...rendering.section_picture import section_pictures
from ..latest_wanted import LatestWanted
from ..words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...engine.dataset import Dataset
    from ...engine.stack_beside import StackGrid, StackSeen
    from ...rendering.contrast import Contrast
    from ...rendering.scene_picture import ChannelLook
    from ...rendering.section_picture import SectionPicture
    from ...storage.cancellation import CancelScope
    from ..background import Background

logger = logging.getLogger(__name__)

_STACK_WAIT_SECONDS = 0.2
"""How long planes are waited for until what is there is shown."""


class StackWanted(NamedTuple):
    """The stack that is to be in view; `room` is for how many channels its resolution is chosen."""

    dataset: Dataset
    t: int
    p: int
    channels: tuple[int, ...]
    room: int


class StackReading:
    """One reading of a stack, until all of it was asked for.

    `seen(reading, what there is)`, `read(reading, contrasts)` once everything that will come is there, and
    `ended(reading, why not)` are called in the reading thread.
    """

    def __init__(
        self,
        wanted: StackWanted,
        seen: Callable[[StackReading, StackSeen], None],
        read: Callable[[StackReading, dict[int, Contrast]], None],
        ended: Callable[[StackReading, str], None],
    ) -> None:
        self.wanted = wanted
        self.cancelled = threading.Event()
        self._seen = seen
        self._all_read = read
        self._ended = ended

    def begin(self, background: Background) -> None:
        """Read in a thread."""
        background.run("ndviewer-stack", self._run)

    def _run(self) -> None:
        problem = ""
        try:
            self._read()
        except (DatasetError, IndexError, KeyError) as error:
            problem = explain(error).sentence
        except CancelledError:
            pass
        except Exception as error:  # the next change is another try
            logger.exception("reading the stack")
            problem = explain(error).sentence
        self._ended(self, problem)

    def _read(self) -> None:
        dataset, t, p, channels, room = self.wanted
        grid = dataset.stack_grid(t, p, room)
        while True:
            stack = dataset.stack(grid, channels, _STACK_WAIT_SECONDS)
            if self.cancelled.is_set():
                return
            self._seen(self, stack)
            if not stack.is_held_back:
                break
        if stack.n_read == stack.n:
            self._all_read(self, stack_contrasts(stack))


def stack_contrasts(stack: StackSeen) -> dict[int, Contrast]:
    """What the planes suggest that are there, by channel."""
    found = {}
    for c, pixels in stack.pixels.items():
        there = [i for i, state in enumerate(stack.states[c]) if state in WITH_PIXELS]
        if there:
            found[c] = contrast_of(pixels if len(there) == len(pixels) else pixels[there])
    return found


class SectionsWanted(NamedTuple):
    """Which sections are to be shown of a stack: through a row and a column of its voxels."""

    stack: StackSeen
    row: int
    column: int
    looks: Mapping[int, ChannelLook]


class SectionMaker:
    """Makes the pictures that were wanted last; `made` is called in the thread.

    A picture that is being made is finished and shown: so sections follow the mouse while it moves.
    """

    def __init__(
        self,
        background: Background,
        made: Callable[[StackGrid, tuple[SectionPicture, SectionPicture]], None],
    ) -> None:
        self._made = made
        self._pictures = LatestWanted(background.run, "ndviewer-sections", self._make)

    @property
    def is_busy(self) -> bool:
        """Whether a picture is being made."""
        return self._pictures.is_busy

    def want(self, wanted: SectionsWanted | None) -> None:
        """Make these pictures once the ones under way are done; None: no more."""
        self._pictures.want(wanted)

    def _make(self, wanted: SectionsWanted, _scope: CancelScope) -> None:
        made = section_pictures(wanted.stack, wanted.row, wanted.column, wanted.looks)
        self._made(wanted.stack.grid, made)
