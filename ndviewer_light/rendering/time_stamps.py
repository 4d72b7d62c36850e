"""When what a picture shows was acquired, in words: as recorded, else by the time step, else its number."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..model import PlaneKey
from .durations import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..engine.dataset import Dataset
    from ..model import DatasetInfo, ImageInfo

logger = logging.getLogger(__name__)


class TimeStamps:
    """The times of planes of one dataset. Any thread.

    Of a picture of several planes the first one tells the time: the first channel, and the lowest z.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._recorded: dict[PlaneKey, float | None] = {}  # None: it was asked for, and is not
        self.records_any = False
        """Whether any time was found."""

    @property
    def first_image(self) -> ImageInfo:
        """The image that stands for all fields."""
        return self._dataset.info.image(0)

    def plane(self, t: int, p: int, z: int, image: ImageInfo, channels: Sequence[int]) -> PlaneKey:
        """The plane that tells the time of a picture of these channels (indices of the dataset's)."""
        own = self._dataset.info.channels_of(image)
        first = next((own.index(c) for c in channels if c in own), 0)
        return PlaneKey(t, p, first, min(z, max(image.n_z - 1, 0)))

    def is_asked(self, key: PlaneKey) -> bool:
        """Whether it was looked up when a plane was acquired, found or not."""
        return key in self._recorded

    def recorded(self, key: PlaneKey) -> float | None:
        """When a plane was acquired, in s since the run began; None if that is not recorded, or not known."""
        return self._recorded.get(key)

    def look_up(self, keys: Iterable[PlaneKey]) -> None:
        """Look up what was not found yet. Blocks; what cannot be looked up is not known."""
        wanted = [key for key in dict.fromkeys(keys) if self._recorded.get(key) is None]
        if not wanted:
            return
        try:
            found = self._dataset.recorded_times(wanted)
        except DatasetError as error:  # reading the planes says so as well
            logger.debug("looking up when planes were acquired: %s", error)
            return
        self._recorded.update(zip(wanted, found, strict=True))
        self.records_any = self.records_any or any(seconds is not None for seconds in found)

    def text(self, key: PlaneKey, image: ImageInfo | DatasetInfo) -> str:
        """The time of a picture, of which this plane tells the time: as far as that was looked up."""
        seconds, step = self._recorded.get(key), image.time_step_s
        if seconds is not None and step is None:
            others = (self._recorded.get(each) for each in self.beginning(key))
            first, second = others
            step = abs(second - first) if first is not None and second is not None else None
        return time_text(key.t, image, seconds, step)

    @staticmethod
    def beginning(key: PlaneKey) -> tuple[PlaneKey, PlaneKey]:
        """The planes that tell how many decimals the times of a series have, where no time step is known."""
        return key._replace(t=0), key._replace(t=1)

    def stamp(self, key: PlaneKey, image: ImageInfo) -> str:
        """The same, looked up. Blocks."""
        needs_beginning = image.time_step_s is None and image.n_t > 1
        self.look_up((key, *(self.beginning(key) if needs_beginning else ())))
        return self.text(key, image)


def time_text(
    t: int, image: ImageInfo | DatasetInfo, recorded: float | None = None, step: float | None = None
) -> str:
    """The time of a time point: "01:02:30", as recorded, else by the time step; else its number.

    `step`: how long it is from one recorded time to the next, if the dataset does not say so.
    """
    number = image.times[t] if t < len(image.times) else t
    step = step if image.time_step_s is None else image.time_step_s
    if recorded is not None:
        return clock_text(recorded, step)
    return f"t {number + 1}" if image.time_step_s is None else clock_text(number * image.time_step_s, step)


def clock_text(seconds: float, step: float | None) -> str:
    """A time of a series, "01:02:30", with decimals where the next one comes within a second.

    >>> clock_text(3750, 10.0), clock_text(-2, None), clock_text(1.5, 0.5)
    ('01:02:30', '-00:00:02', '1.50 s')
    """
    if step is not None and step < 1:
        return seconds_text(seconds, step)
    minutes, rest = divmod(abs(round(seconds)), 60)
    sign = "-" if round(seconds) < 0 else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"
