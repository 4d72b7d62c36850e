"""The picture of one view of a dataset, without a display: pixels, contrast and colours as on screen.

Everything here reads, and blocks until it has: for commands and scripts, not for a GUI thread.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.overview import OVERVIEW, SIDE
from ..engine.projections import RunningProjection, StackProjection
from ..errors import PlaneNotStoredError
from ..model import PlaneKey, colours_together
from ..storage.limits import MAX_PLANE_BYTES
from .added_up import Layer, composite
from .colormaps import colormap_of
from .contrast import DEFAULT_CLIP, NO_LIMITS, ContrastMode, SeenContrast, contrast_of, limits_together
from .drawn_shape import drawn_shape, unlike_text
from .place_words import stack_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import cmap
    from PIL import Image

    from ..engine.dataset import Dataset
    from ..model import ImageInfo
    from .contrast import FixedLimits, Limits
    from .labels_over import LabelsOver

OTHERS = "not stored, or of another size"
"""What is said of planes that are not in what is made of a stack."""
_LARGEST_PIXEL = 40.0
MOST_PIXELS = 64 * 1024**2
"""Of one picture; of larger planes a coarser level is drawn."""
LEGIBLE_PX = 256
"""The shorter edge of a picture on which something is written, if it may be enlarged so far."""
_LONGEST_ENLARGED = 1024


class ShownPlace(NamedTuple):
    """Which planes a picture shows; `z` is an index, or a `StackProjection` as text ("max:2-11").

    `turn`: of a volume, by how many degrees it is turned about the vertical.
    """

    t: int
    p: int
    z: int | str
    turn: float = 0.0


@dataclass
class ViewPixels:
    """The pixels of one view by channel, at `level`; `missing`: what of a channel is not stored.

    At the level `OVERVIEW` they are every n-th row and column of planes too large to be read at once.
    """

    image: ImageInfo
    level: int
    um_per_px: tuple[float, float] | None
    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)


class SeenPart(NamedTuple):
    """The part of a picture that is shown: its edges in shares of the width and height, beyond 0…1 black."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def share(self) -> float:
        """How much of the picture it is, along the longer side."""
        return max(self.right - self.left, self.bottom - self.top)


class LayerLook(NamedTuple):
    """How a channel is drawn that is not drawn as its dataset says."""

    colormap: cmap.Colormap
    gamma: float = 1.0


class ViewPictures:
    """Pictures of one dataset with the same channels and contrast.

    `channels` are indices in `Dataset.info.channels`; `limits` are fixed, of the others `mode` decides.
    `longest`: edge of the picture in pixels at most, None for that of the data. `labels` are drawn over it.
    `looks`: how channels are drawn that are not drawn as the dataset says. `part`: what of it is shown, as
    large as `longest` allows, but for pixels of the data not larger than `_LARGEST_PIXEL`. `legible`:
    something is written on them, so that tiny ones are enlarged by a whole number, within `longest`.
    """

    def __init__(
        self,
        dataset: Dataset,
        channels: Sequence[int],
        *,
        mode: ContrastMode = ContrastMode.RUN,
        limits: FixedLimits = NO_LIMITS,
        longest: int | None = None,
        labels: LabelsOver | None = None,
        looks: Mapping[int, LayerLook] | None = None,
        part: SeenPart | None = None,
        legible: bool = False,
    ) -> None:
        self._dataset = dataset
        self._is_legible = legible
        self._channels = tuple(channels)
        self._mode = mode
        self._fixed = limits
        self._longest = longest
        self._labels = labels
        self._looks = dict(looks or {})
        self._part = part
        self._seen: dict[tuple[int, str], SeenContrast] = {}
        self._noted: dict[int, np.ndarray] = {}
        self._together = colours_together(dataset.info.channels)

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that are drawn, in their order."""
        return self._channels

    def first_z(self, place: ShownPlace) -> int:
        """The lowest of the planes that a picture of a place shows."""
        return StackProjection.of_text(place.z).first if isinstance(place.z, str) else place.z

    def words_of_stack(self, place: ShownPlace, n_z: int) -> str:
        """Which of the planes of a stack a picture of a place shows; nothing where there is only one."""
        return stack_text(StackProjection.of_text(place.z) if isinstance(place.z, str) else place.z, n_z)

    def see(self, places: Sequence[ShownPlace], most: int = 8) -> None:
        """Let some of these places, evenly spread, decide about the contrast of all."""
        step = max(1, -(-len(places) // most))
        for place in places[::step]:
            view = self.pixels(place)
            for c in view.pixels:
                self._note(c, view)

    def pixels(self, place: ShownPlace) -> ViewPixels:
        """Read the planes of a place. Raises `DatasetError` for what cannot be read, `IndexError` outside."""
        dataset = self._dataset
        image = dataset.image(place.p)
        level = self._level(place.p)
        found = ViewPixels(image, level, self._um_per_px(place.p, image, level))
        own = dataset.info.channels_of(image)
        for c in self._channels:
            if c not in own:
                continue
            try:
                found.pixels[c], said = self._of_channel(place, own.index(c), level)
            except PlaneNotStoredError as error:
                said = str(error)
            if said:
                found.missing[c] = said
        drawn = drawn_shape(pixels.shape for pixels in found.pixels.values())
        for c, pixels in found.pixels.items():
            if drawn is not None and pixels.shape != drawn:
                found.missing[c] = f"{image.channels[own.index(c)].name}: {unlike_text(pixels.shape, drawn)}"
        return found

    def picture(self, place: ShownPlace) -> tuple[Image.Image, ViewPixels]:
        """The picture of a place (RGB), and what it is made from; hatched if nothing is there."""
        view = self.pixels(place)
        return self.drawn(view, place, self._channels), view

    def part_with_bar(self, picture: Image.Image) -> tuple[int, int, int, int]:
        """The part of one of its pictures that a scale bar is drawn on: left, top, right, bottom."""
        return 0, 0, picture.width, picture.height

    def drawn(
        self, view: ViewPixels, place: ShownPlace, channels: Sequence[int], look: LayerLook | None = None
    ) -> Image.Image:
        """The picture (RGB) of these channels of a view, hatched if nothing of them is there.

        Says in `view` how large a pixel of it is. `look`: how they are drawn instead of as usual.
        """
        from PIL import Image

        there = [(c, view.pixels[c]) for c in channels if c in view.pixels]
        drawn = drawn_shape(pixels.shape for _, pixels in there)
        shown = [(c, pixels) for c, pixels in there if pixels.shape == drawn]
        layers = [Layer(pixels, self._limits(c, view), *(look or self._look(c))) for c, pixels in shown]
        height, width = layers[0].pixels.shape if layers else self._shape(place.p, view.level)
        picture = Image.fromarray(composite(layers, height, width))
        if not layers:
            hatch(picture)
        if self._part is not None:
            picture = self._with_labels(picture, place) if layers else picture
            if (
                self._longest is not None and self._part.share > 1
            ):  # what is black around it takes memory, too
                smaller = self._longest / (self._part.share * max(picture.size))
                picture = _resized(picture, view, min(smaller, 1.0), Image.Resampling.BOX)
            picture = picture.crop(_pixels(self._part, *picture.size))
        longest = max(picture.size)
        if self._longest is not None and longest > self._longest:
            picture = _resized(picture, view, self._longest / longest, Image.Resampling.BOX)
        elif self._longest is not None and self._part is not None:
            larger = min(self._longest / longest, _LARGEST_PIXEL)
            picture = _resized(picture, view, larger, Image.Resampling.NEAREST)
        if self._is_legible and (times := _times_larger(*picture.size, self._longest)) > 1:
            picture = _resized(picture, view, times, Image.Resampling.NEAREST)
        if layers and self._part is None:
            picture = self._with_labels(picture, place)
        return picture

    def _with_labels(self, picture: Image.Image, place: ShownPlace) -> Image.Image:
        from PIL import Image

        if self._labels is None:
            return picture
        return Image.fromarray(self._labels.laid_over(np.asarray(picture), place))

    # ---- parts ---------------------------------------------------------------------------------

    def _of_channel(self, place: ShownPlace, own_c: int, level: int) -> tuple[np.ndarray, str]:
        """The pixels, and what of them is not stored: planes of a stack, of which the others are shown."""
        dataset = self._dataset
        if not isinstance(place.z, str):
            z = dataset.z_at(place.p, place.z, level)
            return self._plane(PlaneKey(place.t, place.p, own_c, z), level), ""
        projection = StackProjection.of_text(place.z)
        planes = projection.planes_of(max(dataset.image(place.p).n_z, 1))
        zs = dict.fromkeys(dataset.z_at(place.p, z, level) for z in planes)
        keys = [PlaneKey(place.t, place.p, own_c, z) for z in zs]
        running = RunningProjection(projection.how)
        for plane in self._stored(keys, level):
            with contextlib.suppress(ValueError):  # of another size than the others
                running.add(plane)
        if not running.n:
            self._plane(keys[0], level)  # raises, and says why
        name = dataset.image(place.p).channels[own_c].name
        said = f"{name}: {projection.how} of {running.n} of {len(keys)} planes: the others are {OTHERS}"
        return running.result(), said if running.n < len(keys) else ""

    def _plane(self, key: PlaneKey, level: int) -> np.ndarray:
        dataset = self._dataset
        return dataset.overview(*key) if level == OVERVIEW else dataset.plane(*key, level=level)

    def _stored(self, keys: Sequence[PlaneKey], level: int) -> Iterator[np.ndarray]:
        """Those of which anything is stored."""
        if level != OVERVIEW:
            yield from self._dataset.iter_planes(keys, level, missing="leave out")
            return
        for key in keys:
            with contextlib.suppress(PlaneNotStoredError):
                yield self._plane(key, level)

    def _limits(self, c: int, view: ViewPixels) -> Limits:
        other = self._dataset.info.other_dtype(view.image)
        fixed = self._fixed.of(c, other)
        if fixed is not None:
            return fixed
        together = [each for each in self._together.get(c, (c,)) if each in view.pixels]
        for each in together:
            self._note(each, view)
        free = [each for each in together if self._fixed.of(each, other) is None]
        limits = limits_together([self._seen[each, other] for each in free], self._mode, DEFAULT_CLIP)
        assert limits is not None, "it has just been seen"
        return limits

    def _note(self, c: int, view: ViewPixels) -> None:
        """Let pixels decide about the contrast of a channel, once each; those of another type apart."""
        pixels = view.pixels[c]
        if self._noted.get(c) is not pixels:
            self._noted[c] = pixels
            other = self._dataset.info.other_dtype(view.image)
            self._seen.setdefault((c, other), SeenContrast()).add(contrast_of(pixels))

    def _look(self, c: int) -> LayerLook:
        return self._looks.get(c) or LayerLook(colormap_of(self._dataset.info.channels[c]))

    def _shape(self, p: int, level: int) -> tuple[int, int]:
        if level == OVERVIEW:
            return self._dataset.drawn_level(p, 1, 1).shape
        sizes = self._dataset.level_at(p, level).sizes if level else self._dataset.image(p).level.sizes
        return sizes.y, sizes.x

    def _level(self, p: int) -> int:
        """The coarsest level that is still as large as wanted, or the finest that is not too large.

        `OVERVIEW` if even the coarsest is too large to be read at once, or to be made smaller.
        """
        levels = self._dataset.levels(p)
        longest = self._longest
        if longest is not None and self._part is not None:
            longest = math.ceil(longest / max(self._part.share, 1e-6))
        wanted = 0
        for number, level in enumerate(levels):
            is_too_large = level.sizes.y * level.sizes.x > MOST_PIXELS
            is_enough = longest is not None and max(level.sizes.y, level.sizes.x) >= longest
            if number == 0 or is_enough or (is_too_large and number < len(levels)):
                wanted = number
        while wanted + 1 < len(levels) and levels[wanted].sizes.y * levels[wanted].sizes.x > MOST_PIXELS:
            wanted += 1
        sizes, dtype = levels[wanted].sizes, self._dataset.image(p).dtype
        if longest is not None and longest <= SIDE and sizes.y * sizes.x > MOST_PIXELS:
            return OVERVIEW
        is_readable = sizes.y * sizes.x * (dtype.itemsize if dtype is not None else 1) <= MAX_PLANE_BYTES
        return wanted if is_readable else OVERVIEW

    def _um_per_px(self, p: int, image: ImageInfo, level: int) -> tuple[float, float] | None:
        if image.pixel_size_um is None:
            return None
        if level == OVERVIEW:
            down, across = self._dataset.drawn_level(p, 1, 1).spans
        else:
            _, down, across = self._dataset.level_at(p, level).scale if level else image.level.scale
        y = (image.pixel_size_y_um or image.pixel_size_um) * down
        return y, (image.pixel_size_x_um or image.pixel_size_um) * across


def hatch(picture: Image.Image) -> None:
    """A missing picture must not look like a black one."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, *picture.size), fill=(47, 51, 60))
    for x in range(-picture.height, picture.width, 14):
        draw.line((x, picture.height, x + picture.height, 0), fill=(66, 71, 84), width=2)


def _pixels(part: SeenPart, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels of a part of a picture, at least one each way."""
    left, top = round(part.left * width), round(part.top * height)
    return (
        left,
        top,
        max(left + 1, round(part.right * width)),
        max(top + 1, round(part.bottom * height)),
    )


def _times_larger(width: int, height: int, longest: int | None) -> int:
    """How many times larger a picture is to be, for what is written on it not to cover it; 1: as it is.

    >>> _times_larger(38, 32, None), _times_larger(38, 32, 100), _times_larger(600, 400, None)
    (8, 2, 1)
    """
    wanted = -(-LEGIBLE_PX // min(width, height))
    return max(1, min(wanted, (longest or _LONGEST_ENLARGED) // max(width, height)))


def _resized(picture: Image.Image, view: ViewPixels, factor: float, how: Image.Resampling) -> Image.Image:
    """The picture larger or smaller, of which `view` says how large its pixels are."""
    width, height = (max(1, round(edge * factor)) for edge in picture.size)
    if view.um_per_px is not None:
        y, x = view.um_per_px
        view.um_per_px = y * picture.height / height, x * picture.width / width
    return picture.resize((width, height), how)
