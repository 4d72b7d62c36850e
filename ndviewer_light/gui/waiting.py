"""What is being waited for and since when, to be shown once it takes long. Plain data, no Qt.

After `SLOW_SECONDS` a wait is shown; deadlines are up to the reader process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ..model import PlaneKey, PlaneState
from .given_paths import short_name
from .view_texts import plane_words

if TYPE_CHECKING:
    from ..engine.dataset import Dataset
    from ..model import DatasetInfo
    from .canvas.view_frames import Frame

SLOW_SECONDS = 5.0


class Wait(NamedTuple):
    """A wait: for what, since when (`time.monotonic`), and how many others are pending."""

    what: str
    since: float
    others: int = 0

    @property
    def is_slow(self) -> bool:
        """Whether it takes so long that the user should be told."""
        return time.monotonic() - self.since >= SLOW_SECONDS

    @property
    def seconds(self) -> int:
        """Whole seconds waited so far."""
        return int(time.monotonic() - self.since)

    def __str__(self) -> str:
        more = f" and {self.others} more" if self.others else ""
        return f"slow: waiting {self.seconds} s for {self.what}{more}"


class ViewWaits:
    """What the view waits for: planes that are read, each since when, and the frame that is drawn."""

    def __init__(self) -> None:
        self._since: dict[PlaneKey, float] = {}
        self._drawing_since: float | None = None
        self.progress = ""
        """How far the first plane that is read in parts has come."""

    def clear(self) -> None:
        """Nothing in view is being read."""
        self._since.clear()
        self.progress = ""

    def take_frame(self, frame: Frame, dataset: Dataset) -> None:
        """Set what is being read of the view: the planes that a frame lacks.

        The dataset knows since when; otherwise time counts from the first call here.
        """
        now, view = time.monotonic(), frame.view
        loading = {c: plane for c, plane in frame.planes.items() if plane.state is PlaneState.LOADING}
        keys = (PlaneKey(view.t, view.p, c, frame.z) for c, plane in loading.items() if not plane.reason)
        self._since = {
            key: known
            if (known := dataset.waiting_since(key, frame.level)) is not None
            else self._since.get(key, now)
            for key in keys
        }
        self.progress = next((plane.reason for plane in loading.values()), "")

    def longest(self, info: DatasetInfo, name: str, *, is_drawing: bool, volume: str | None) -> Wait | None:
        """The plane with the longest wait, else the frame, if one is drawn; `name` is the dataset's.

        `volume`: how far that has been read; None of planes.
        """
        if not is_drawing:
            self._drawing_since = None
            return self._longest_plane(info, name)
        self._drawing_since = self._drawing_since or time.monotonic()
        if volume is not None:  # read as a whole: until it has arrived, no plane counts as waiting
            so_far = f": {volume}" if volume else ""
            return Wait(f"the volume of {name}{so_far}", self._drawing_since)
        return self._longest_plane(info, name) or Wait(f"the view of {name}", self._drawing_since)

    def _longest_plane(self, info: DatasetInfo, name: str) -> Wait | None:
        if not self._since:
            return None
        key = min(self._since, key=self._since.__getitem__)
        return Wait(f"{plane_name(key, info)} of {name}", self._since[key], len(self._since) - 1)


def plane_name(key: PlaneKey, info: DatasetInfo) -> str:
    """The plane's indices as on the sliders; axes with a single value are omitted."""
    words = plane_words(info, *key)
    return "plane " + ", ".join(words) if words else "the plane"


def short_path(path: str) -> str:
    """The name of a dataset in messages: "…/run", or the running acquisition if it has no path."""
    return f"…/{short_name(path)}" if path else "the running acquisition"
