"""Films of all fields at their places: a picture for each time point, with what is written on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..engine.projections import StackProjection
from ..engine.scene import scene_of
from ..model import StackKey, colours_together
from ..storage.printable import printable
from .annotations import add_scale_bar, add_text
from .contrast import FixedLimits
from .scene_overlays import NOTHING_OVER, legend_end
from .scene_picture import edges_judged, limits_of, render_scene
from .time_stamps import TimeStamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from PIL import Image

    from ..engine.dataset import Dataset
    from ..model import Plane
    from .contrast import ContrastMode, Limits
    from .film_frames import Inscription
    from .scene_overlays import SceneOver
    from .scene_picture import ScenePicture
    from .view_picture import LayerLook

_TIMES_LOOKED_AT = 4  # time points, for the contrast of all


class SceneFilm(NamedTuple):
    """What a film of all fields shows: channels with their looks and limits, a plane or projection.

    `area`: left, top, right and bottom in µm, None for all; `size`: the longest edge in pixels; `over`: what
    lies over fields.
    """

    looks: Mapping[int, LayerLook]
    limits: FixedLimits
    z: int | str
    size: int
    area: tuple[float, float, float, float] | None = None
    over: SceneOver = NOTHING_OVER


def limits_over(
    dataset: Dataset,
    channels: Sequence[int],
    fixed: FixedLimits,
    mode: ContrastMode,
    times: Sequence[int],
    z: int | str,
) -> FixedLimits:
    """The limits of channels for all of these time points, by some of them, so that no film flickers."""
    planes: list[dict[int, Plane]] = []
    info = dataset.look_at_all()
    edges = edges_judged(scene_of(info))
    judged: list[int] = []
    others: list[str] = []
    types = "", *info.other_dtypes
    open_channels = [c for c in channels if any(fixed.of(c, other) is None for other in types)]
    for t in times[:: max(1, -(-len(times) // _TIMES_LOOKED_AT))] if open_channels else ():
        keys = [
            StackKey(t, p, c, z)
            for p in range(len(info.positions))
            for c in open_channels
            if c in info.channels_of(info.image(p))
        ]
        found = dataset.thumbnails(keys, max(edges))
        planes += [{key.c: plane} for key, plane in zip(keys, found, strict=True)]
        judged += [edges[key.p] for key in keys]
        others += [info.other_dtype(info.image(key.p)) for key in keys]
    known: dict[tuple[int, str], Limits] = {}
    together = colours_together(info.channels)
    for c in channels:
        same = together.get(c, (c,))
        limits = limits_of(c, same, planes, types, others, fixed, mode, judged.__getitem__)
        known |= {(c, other): each for other, each in zip(types, limits, strict=True)}
    return FixedLimits(of_type=known)


def scene_frames(
    dataset: Dataset,
    film: SceneFilm,
    times: Sequence[int],
    inscription: Inscription,
    missing: list[str],
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Image.Image]:
    """Yield a picture for each of these time points; adds to `missing` what is not there.

    `progress` is called with the number of frames before each one, and may raise to end it. Blocks.
    """
    stamps = TimeStamps(dataset)
    for done, t in enumerate(times):
        progress(done)
        found = render_scene(
            dataset,
            list(film.looks),
            lambda c: (film.looks[c].colormap, None),
            t=t,
            z=film.z,
            size=film.size,
            area=film.area,
            gamma=lambda c: film.looks[c].gamma,
            over=film.over,
            fixed=film.limits,
            labels=inscription.label or None,
            is_written_on=inscription.timestamp or inscription.scale_bar,
        )
        missing.extend(found.missing)
        write_on_scene(found, inscription, stamps, (t, film.z), list(film.looks), film.over)
        yield found.picture


def write_on_scene(
    found: ScenePicture,
    inscription: Inscription,
    stamps: TimeStamps,
    at: tuple[int, int | str],
    channels: Sequence[int],
    over: SceneOver,
) -> None:
    """Write time and scale bar on a picture of all fields `at` a time point and z. Reads.

    The time, that of the first field, is at the lower left, where no names of rows and columns are, beside
    the legend of what lies `over` fields.
    """
    if inscription.timestamp:
        t, z = at
        first, image = StackProjection.of_text(z).first if isinstance(z, str) else z, stamps.first_image
        text = stamps.stamp(stamps.plane(t, 0, first, image, channels), image)
        beside = legend_end(found.picture, over.tints) if over.tints is not None else 0
        add_text(found.picture, printable(text), at_bottom=True, beside=beside)
    if inscription.scale_bar:
        add_scale_bar(found.picture, found.um_per_px, inscription.bar)
