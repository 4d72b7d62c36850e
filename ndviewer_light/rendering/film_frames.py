"""Pictures with what is written on them, one after the other: the frames of a film."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..storage.printable import printable
from .annotations import add_scale_bar, add_text
from .place_words import place_text
from .scale_bar import BarLook
from .time_stamps import TimeStamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from ..engine.dataset import Dataset
    from .pane_pictures import PanePictures
    from .view_picture import ShownPlace, ViewPictures, ViewPixels


class Inscription(NamedTuple):
    """What is written on pictures."""

    label: bool = False
    """Which position, time point and plane it is."""
    timestamp: bool = False
    scale_bar: bool = False
    bar: BarLook = BarLook()
    """How the scale bar looks."""

    @property
    def is_any(self) -> bool:
        """Whether anything is written."""
        return self.label or self.timestamp or self.scale_bar


def inscribed(
    dataset: Dataset,
    pictures: ViewPictures | PanePictures,
    place: ShownPlace,
    inscription: Inscription,
    stamps: TimeStamps | None = None,
) -> tuple[Image.Image, ViewPixels]:
    """The picture of a place with what is written on it, and what it is made from. Reads.

    `stamps`: the times that were looked up for others of the same dataset.
    """
    picture, view = pictures.picture(place)
    lines: list[str] = []
    if inscription.label:
        image = view.image
        of_stack = pictures.words_of_stack(place, image.n_z)
        lines += filter(None, [place_text(dataset.info, image, place.t, place.p, of_stack)])
    if inscription.timestamp:
        stamps = stamps or TimeStamps(dataset)
        key = stamps.plane(place.t, place.p, pictures.first_z(place), view.image, pictures.channels)
        lines.append(stamps.stamp(key, view.image))
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

    Those of another shape keep it, with black beside them.
    `progress` is called with the number of frames before each one, and may raise to end it.
    """
    from PIL import ImageOps

    size, counted, stamps = None, None, TimeStamps(dataset)
    for done, place in enumerate(places):
        progress(done)
        picture, view = inscribed(dataset, pictures, place, inscription, stamps)
        if view.missing is not counted:  # one stack may be shown in many frames
            missing.extend(view.missing.values())
            counted = view.missing
        size = size or picture.size
        yield picture if picture.size == size else ImageOps.pad(picture, size)
