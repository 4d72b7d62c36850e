"""The frames of a dataset's views: the planes of a view, their states, and what contrast they suggest.

Knows neither Qt nor what draws them. Planes that do not arrive soon are LOADING: their arrival is a change.
"""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import CancelledError
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...model import Plane, PlaneKey, PlaneState
from ...rendering.contrast import Contrast, contrast_of
from ...rendering.drawn_shape import drawn_shape, unlike_text
from ...rendering.volume_look import voxel_size_um
from ...sources.source import AT_ONCE
from .canvas_view import MAX_CHANNELS_SHOWN, View
from .way_of_view import WayOfView

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Hashable, Mapping, Sequence

    import numpy as np

    from ...engine.dataset import Dataset
    from ...engine.overview import DrawnLevel
    from ...engine.projections import StackProjection
    from ...model import ImageInfo


_STEPS_AHEAD = 2
"""How many views are read before they are shown, while people go through a dataset step by step."""
_STEPS_AHEAD_REMOTE = 6
"""The same where an answer takes a while: the rate of playing is not to depend on it."""


class Frame(NamedTuple):
    """The last frame that was drawn: each channel's plane (pixels as read) and suggested contrast.

    Of a volume, a channel's plane is the one of which there is most to say, without its pixels; of a
    projection it has the pixels of that. `counts` are how many planes of the stack are in each state. `image`
    is what the position contains, None while that is not known; channels it does not have are not among the
    planes.
    """

    view: View
    planes: dict[int, Plane]
    contrasts: dict[int, Contrast]
    downsampled: tuple[float, float, float] = (1.0, 1.0, 1.0)  # z, y, x
    counts: Mapping[int, Counter[PlaneState]] = MappingProxyType({})
    image: ImageInfo | None = None
    level: int = 0
    z: int = 0  # of the planes, at that level
    corner: tuple[float, float, float] = (0.0, 0.0, 0.0)  # z, y, x of level 0 at which the picture begins
    volume: str = ""
    """Of a volume: its level and size, in words."""

    @property
    def drawn_shape(self) -> tuple[int, ...] | None:
        """The shape (Y, X) of the planes that are drawn over each other; None if there are none."""
        there = (plane.pixels for plane in self.planes.values())
        return drawn_shape(pixels.shape for pixels in there if pixels is not None)

    def unlike(self, c: int) -> str:
        """What is said of a channel whose plane has another size than those drawn; "" of the others."""
        pixels, drawn = self.planes[c].pixels, self.drawn_shape
        return "" if pixels is None or drawn in (None, pixels.shape) else unlike_text(pixels.shape, drawn)

    def pixel(self, row: float, column: float) -> tuple[int, int]:
        """Row and column in the planes of what is at a place of level 0 (in its pixels, from its corner)."""
        y, x = self.place(row, column)
        return math.floor(y), math.floor(x)

    def place(self, row: float, column: float) -> tuple[float, float]:
        """The place in the planes, in their pixels, that is at a place of level 0."""
        _, span_y, span_x = self.downsampled
        _, top, left = self.corner
        return (row - top) / span_y, (column - left) / span_x


class PlanesRead(NamedTuple):
    """What was read of a flat view: a plane or a projection of each channel, at a level, from `z` on."""

    planes: dict[int, Plane]
    drawn: DrawnLevel
    z: int
    counts: Mapping[int, Counter[PlaneState]] = MappingProxyType({})
    is_held_back: bool = False
    """Whether there is more of a projection than is in it."""


class ViewFrames:
    """The frames of one dataset. What is wanted is set on the GUI thread while nothing is read in another.

    `view` and `visible` are what the next frame shows, `frame` is the last one, `screen` the rows and columns
    of the canvas in device pixels.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.view = View()
        self.next_view: View | None = None  # what is wanted by now; set on the GUI thread at any time
        self.visible: frozenset[int] = frozenset(range(self._n_channels))
        self.frame: Frame | None = None
        self.screen = (1024, 1024)
        self.is_held_back = False
        """Whether there is more of what `frame` shows than is in it, which the next frame is to show."""
        self.progress = ""
        """How far a volume has been read; "" while none is."""
        self._suggested: dict[int, tuple[np.ndarray, Contrast]] = {}
        self._way = WayOfView()

    @property
    def _n_channels(self) -> int:
        return min(len(self.dataset.info.channels), MAX_CHANNELS_SHOWN)

    def read(self, view: View, visible: list[int]) -> PlanesRead:
        """Read the planes of these channels in a flat view, as far as they are there soon. Any thread."""
        if view.projection is not None:
            return self._projected(view, view.projection, visible)
        drawn = self.dataset.drawn_level(view.p, *self.screen)
        keys = self._own_keys(view, visible, drawn.level)
        upcoming = self._upcoming(view, visible, drawn.level)
        planes = self._planes(keys, drawn.level, upcoming)
        if not any(plane.state is PlaneState.LOADING for plane in planes.values()):
            self._look_at(view.p)  # known already if any of them was read
            now = self.dataset.drawn_level(view.p, *self.screen)
            own = self._own_keys(view, visible, now.level)
            planes = planes if (own, now) == (keys, drawn) else self._planes(own, now.level)
            keys, drawn = own, now
        return PlanesRead(planes, drawn, next((key.z for key in keys.values()), view.z))

    def _projected(self, view: View, projection: StackProjection, visible: list[int]) -> PlanesRead:
        """The projection of the stacks in view as far as it has been read; the next frames have more."""
        self._look_at(view.p)
        drawn = self.dataset.drawn_level(view.p, *self.screen)
        image = self.dataset.known_image(view.p)
        planes = projection.planes_of(max((image or self.dataset.info.image(view.p)).n_z, 1))
        zs = dict.fromkeys(self.dataset.z_at(view.p, z, drawn.level) for z in planes)
        channels = list(self._own_keys(view, visible, drawn.level))
        stacks = [[PlaneKey(view.t, view.p, c, z) for z in zs] for c in channels]
        found = dict(
            zip(channels, self.dataset.projections(stacks, projection.how, drawn.level), strict=True)
        )
        return PlanesRead(
            {c: stack.plane for c, stack in found.items()},
            drawn,
            view.z,
            {c: stack.counts for c, stack in found.items()},
            any(stack.is_held_back for stack in found.values()),
        )

    def frame_of(self, view: View, read: PlanesRead) -> Frame:
        """The frame of what was read."""
        planes = read.planes
        there = {c: plane.pixels for c, plane in planes.items() if plane.pixels is not None}
        self._suggested = {c: self._suggestion(c, pixels) for c, pixels in there.items()}
        contrasts = {c: contrast for c, (_, contrast) in self._suggested.items()}
        drawn, image = read.drawn, self.dataset.known_image(view.p)
        return Frame(
            view,
            planes,
            contrasts,
            (1.0, *drawn.spans),
            read.counts,
            image,
            drawn.level,
            read.z,
            corner=(0.0, *drawn.corner),
        )

    def frame_that_failed(self, view: View, visible: list[int], error: Exception) -> Frame:
        """The frame of a view that could not be made, which says so of each channel."""
        problem = Plane(PlaneState.UNREADABLE, reason=str(error) or type(error).__name__)
        return Frame(view, dict.fromkeys(visible, problem), {}, image=self.dataset.known_image(view.p))

    def _own_keys(self, view: View, visible: list[int], level: int = 0) -> dict[int, PlaneKey]:
        """The planes of a view, without channels that the position does not have; z at most its last.

        At a level, those that cover them.
        """
        image = self.dataset.known_image(view.p)
        z = view.z
        if image is not None:
            has = self.dataset.info.channels_of(image)
            visible = [c for c in visible if c in has]
            if self.dataset.has_looked_at(view.p):
                z = min(z, max(image.n_z - 1, 0))
        z = self.dataset.z_at(view.p, z, level)
        return {c: PlaneKey(view.t, view.p, c, z) for c in visible}

    def _planes(
        self, keys: dict[int, PlaneKey], level: int, upcoming: Sequence[PlaneKey] = ()
    ) -> dict[int, Plane]:
        planes = self.dataset.planes(list(keys.values()), level, upcoming=upcoming)
        return dict(zip(keys, planes, strict=True))

    def _upcoming(self, view: View, visible: list[int], level: int) -> list[PlaneKey]:
        """The planes that are in view next if it goes on as it went, nearest first; none in a run."""
        if self.dataset.live:
            return []
        n = _STEPS_AHEAD_REMOTE if self.dataset.reads_at_once > AT_ONCE else _STEPS_AHEAD
        views = [each for each in self._way.next_views(view, n) if self._may_be_shown(each, level)]
        return [key for each in views for key in self._own_keys(each, visible, level).values()]

    def _may_be_shown(self, view: View, level: int) -> bool:
        """Whether there is such a view, and its planes can be told without reading anything."""
        info, image = self.dataset.info, self.dataset.known_image(view.p)
        if not 0 <= view.p < len(info.positions) or (image is None and level > 0):
            return False
        sizes = info if image is None else image
        return 0 <= view.t < sizes.n_t and 0 <= view.z < sizes.n_z

    def _look_at(self, p: int) -> None:
        """Look up what a position contains; if that cannot be read, its planes say why."""
        with contextlib.suppress(DatasetError, IndexError, CancelledError):
            self.dataset.image(p)

    def _suggestion(self, c: int, pixels: np.ndarray) -> tuple[np.ndarray, Contrast]:
        """The pixels and the contrast they suggest; computed once while they stay on screen."""
        known = self._suggested.get(c)
        return known if known is not None and known[0] is pixels else (pixels, contrast_of(pixels))


def voxel_size(image: ImageInfo) -> dict[Hashable, float]:
    """µm along z, y, x; the pixel size if one is unknown, 1 if all are."""
    return dict(zip("zyx", voxel_size_um(image), strict=True))
