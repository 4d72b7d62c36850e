"""Pictures with what is written on them, one after the other: the frames of a film."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ..storage.printable import printable
from .annotations import add_scale_bar, add_text
from .scale_bar import BarLook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from ..engine.dataset import Dataset
    from ..model import DatasetInfo, ImageInfo
    from .pane_pictures import PanePictures
    from .view_picture import ShownPlace, ViewPictures, ViewPixels

_MOST_DECIMALS = 9


class Inscription(NamedTuple):
    """What is written on pictures."""

    label: bool = False
    timestamp: bool = False
    scale_bar: bool = False
    bar: BarLook = BarLook()
    """How the scale bar looks."""

    @property
    def is_any(self) -> bool:
        """Whether anything is written."""
        return self.label or self.timestamp or self.scale_bar


def inscribed(
    dataset: Dataset, pictures: ViewPictures | PanePictures, place: ShownPlace, inscription: Inscription
) -> tuple[Image.Image, ViewPixels]:
    """The picture of a place with what is written on it, and what it is made from. Reads."""
    picture, view = pictures.picture(place)
    lines = []
    if inscription.label and not dataset.info.is_lone(place.p):
        lines.append(dataset.info.positions[place.p].title)
    if inscription.timestamp:
        lines.append(time_text(place.t, view.image))
    if not view.pixels:
        lines.append("nothing stored")
    if lines:
        add_text(picture, "\n".join(map(printable, lines)))
    if inscription.scale_bar and view.um_per_px is not None:
        part = pictures.part_with_bar(picture)
        with_bar = picture.crop(part)
        add_scale_bar(with_bar, view.um_per_px[1], inscription.bar)
        picture.paste(with_bar, part[:2])
    return picture, view


def frames(
    dataset: Dataset,
    pictures: ViewPictures | PanePictures,
    places: Sequence[ShownPlace],
    inscription: Inscription,
    missing: list[str],
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Image.Image]:
    """Yield the pictures of places, all in the size of the first; adds to `missing` what is not stored.

    `progress` is called with the number of frames before each one, and may raise to end it.
    """
    size, counted = None, None
    for done, place in enumerate(places):
        progress(done)
        picture, view = inscribed(dataset, pictures, place, inscription)
        if view.missing is not counted:  # one stack may be shown in many frames
            missing.extend(view.missing.values())
            counted = view.missing
        size = size or picture.size
        yield picture if picture.size == size else picture.resize(size)


def time_text(t: int, image: ImageInfo | DatasetInfo) -> str:
    """The time of a time point since the first: "01:02:30"; its number where times are not known."""
    step, number = image.time_step_s, image.times[t] if t < len(image.times) else t
    if step is None:
        return f"t {number + 1}"
    seconds = number * step
    if step < 1:
        return seconds_text(seconds, step)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def seconds_text(seconds: float, step: float) -> str:
    """A time of a series with less than a second from one to the next: all have as many decimals.

    >>> seconds_text(1200, 0.5), seconds_text(0.003, 0.001)
    ('1200.00 s', '0.0030 s')
    """
    decimals = min(math.ceil(-math.log10(step)) + 1, _MOST_DECIMALS) if step > 0 else 2
    return f"{seconds:.{decimals}f} s"
