"""The picture of all fields at their places, without a display: contrast and colours as on screen.

`render_scene` reads, and blocks until it has: for commands and scripts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.scene import Viewport, scene_of
from ..errors import DatasetError
from ..model import PlaneState, StackKey, colours_together
from .added_up import Layer, composite
from .contrast import DEFAULT_CLIP, NO_LIMITS, ContrastMode, FixedLimits, SeenContrast, limits_together
from .pooled_values import FieldValues, judged_edges
from .scene_names import write_names
from .scene_overlays import NOTHING_OVER, add_legend, labels_of_fields, lay_labels, room_for_legend, tint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import cmap
    from PIL import Image, ImageDraw

    from ..engine.dataset import Dataset
    from ..engine.scene import FieldScene
    from ..model import DatasetInfo, Plane
    from .contrast import Limits
    from .scene_overlays import SceneOver

GROUND = (16, 17, 20)
WELL = (38, 41, 48)
PENDING, PENDING_LINE = (47, 51, 60), (66, 71, 84)
ABSENT = (58, 58, 60)
UNREADABLE, CROSS = (66, 46, 44), (205, 96, 84)
"""Colours of what is not a picture, as over the main view."""

_PICTURE_MARGIN_PX = 24
_LEAST_EDGE, _LARGEST_EDGE = 16, 1024
_LARGEST_JUDGED_EDGE = 256


class ChannelLook(NamedTuple):
    """How a channel is drawn; `others`: the limits for pixels of other types (`DatasetInfo.other_dtype`)."""

    limits: Limits
    colormap: cmap.Colormap
    gamma: float = 1.0
    others: tuple[tuple[str, Limits], ...] = ()

    def layer(self, pixels: np.ndarray, other: str = "") -> Layer:
        """Pixels of this type as they are drawn."""
        limits = next((each for name, each in self.others if name == other), self.limits)
        return Layer(pixels, limits, self.colormap, self.gamma)


def colored_fields(
    fields: Sequence[Mapping[int, np.ndarray]],
    looks: Mapping[int, ChannelLook],
    draw: Callable[[Sequence[Layer], int, int], np.ndarray] = composite,
    others: Sequence[str] = (),
) -> list[np.ndarray]:
    """The pictures of fields, from their pixels by channel, as `draw` draws each of them: (Y, X, 3 or 4).

    Those of one shape are drawn together, one below the other: a plate has a thousand, and numpy is slow for
    one alone. `others`: the types of their pixels, see `ChannelLook`.
    """
    pictures: list[np.ndarray] = [draw((), 1, 1)] * len(fields)
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, pixels in enumerate(fields):
        of_field = {c: each for c, each in pixels.items() if c in looks}
        if of_field:
            other = others[i] if others else ""
            kind = other, *((c, each.shape, each.dtype) for c, each in sorted(of_field.items()))
            alike.setdefault(kind, []).append(i)
    for which in alike.values():
        channels = [c for c in sorted(fields[which[0]]) if c in looks]
        height, width = np.max([fields[which[0]][c].shape for c in channels], axis=0).tolist()
        layers = []
        for c in channels:
            own = [fields[i][c] for i in which]
            if own[0].shape != (height, width):  # of one shape, all of them
                own = [np.broadcast_to(_as_high(each, height, width), (height, width)) for each in own]
            layers.append(looks[c].layer(np.concatenate(own), others[which[0]] if others else ""))
        together = draw(layers, height * len(which), width)
        for i, picture in zip(which, together.reshape(len(which), height, width, -1), strict=True):
            pictures[i] = picture
    return pictures


def _as_high(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels of another size (another level of another channel), by the nearest ones."""
    if pixels.shape == (height, width) or pixels.size == 1:
        return pixels
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    return pixels[np.ix_(rows, columns)]


def edge_for(longest_px: float) -> int:
    """The edge of thumbnails that are drawn so long: a power of 2, so that few sizes are made."""
    edge = _LEAST_EDGE
    while edge < longest_px and edge < _LARGEST_EDGE:
        edge *= 2
    return edge


def edges_judged(scene: FieldScene) -> list[int]:
    """By position, the longest edge of the small planes by which contrast is judged: see `FieldValues`."""
    return judged_edges(scene, _LEAST_EDGE, _LARGEST_JUDGED_EDGE)


# ---- as a file -----------------------------------------------------------------------------------------


@dataclass
class ScenePicture:
    """A picture of all fields, µm per pixel (None if unknown), and what has to be said of it."""

    picture: Image.Image
    um_per_px: float | None
    notes: tuple[str, ...] = ()
    missing: list[str] = field(default_factory=list)


def render_scene(
    dataset: Dataset,
    channels: Sequence[int],
    looks: Callable[[int], tuple[cmap.Colormap, Limits | None]],
    *,
    t: int = 0,
    z: int | str = 0,
    size: int = 2048,
    mode: ContrastMode = ContrastMode.RUN,
    labels: bool | None = None,
    area: tuple[float, float, float, float] | None = None,
    gamma: Callable[[int], float] = lambda c: 1.0,
    over: SceneOver = NOTHING_OVER,
    fixed: FixedLimits = NO_LIMITS,
    is_written_on: bool = False,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScenePicture:
    """Draw every field of a dataset at its place; the longest edge of the picture is `size` pixels.

    `z` is a plane, or a projection as text ("max", "mean:2-11"). `area`: left, top, right and bottom in µm of
    the part that is drawn, None for all. `labels`: whether names of wells, rows and columns are written;
    None: if all is drawn. `is_written_on`: there is to be room below all fields for a time or a scale bar.
    `looks(c)`: colour map and fixed limits of a channel, None where `fixed` has them, or `mode` decides.
    Raises `DatasetError`, also if no field has the labels that are to lie `over` them.
    """
    from PIL import Image, ImageDraw

    info = dataset.look_at_all()
    if not info.positions:
        raise DatasetError("there is no position to draw")
    scene = scene_of(info)
    left, top, right, bottom = area or scene.bounds
    margin = _PICTURE_MARGIN_PX if area is None and (scene.is_plate or len(scene) > 1) else 0
    is_below = area is None and (over.tints is not None or (is_written_on and margin > 0))
    below = room_for_legend(size) if is_below else 0  # what is written covers no field
    um_per_px = max(
        (right - left) / max(size - 2 * margin, 1), (bottom - top) / max(size - 2 * margin - below, 1)
    )
    width, height = (max(1, round(side / um_per_px)) + 2 * margin for side in (right - left, bottom - top))
    middle = (left + right) / 2, (top + bottom + below * um_per_px) / 2
    height += below
    viewport = Viewport(*middle, um_per_px, width, height)
    shown = set(scene.within(viewport.edges).tolist())
    planes = _read(dataset, scene, sorted(shown), channels, (t, z), um_per_px, scheduler, progress)
    edges = edges_judged(scene)
    others = [info.other_dtype(info.image(p)) for p in range(len(scene))]
    drawn_as: dict[int, ChannelLook] = {}
    together = colours_together(info.channels)
    for c in channels:
        colormap, limits = looks(c)
        known = fixed if limits is None else FixedLimits({c: limits})
        same = together.get(c, (c,))
        of_most, *of_others = limits_of(
            c, same, planes, ("", *info.other_dtypes), others, known, mode, edges.__getitem__
        )
        by_type = tuple(zip(info.other_dtypes, of_others, strict=True))
        drawn_as[c] = ChannelLook(of_most, colormap, gamma(c), by_type)
    picture = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(picture)
    _draw_wells(draw, scene, viewport)
    of_field = [
        {c: plane.pixels for c, plane in planes[p].items() if plane.pixels is not None}
        for p in range(len(scene))
    ]
    boxes = {p: box for p, box in enumerate(scene.boxes(viewport)) if p in shown}
    masks = labels_of_fields(dataset, over.labels, (t, z), boxes, picture) if over.labels is not None else {}
    tints = over.tints.colors(t) if over.tints is not None else ()
    missing = []
    for p, (colored, box) in enumerate(
        zip(colored_fields(of_field, drawn_as, others=others), scene.boxes(viewport), strict=True)
    ):
        if p not in shown:
            continue
        if of_field[p]:
            _paste(picture, colored, box)
            worst = worst_of(planes[p].values())
            if worst is not None:
                missing.append(f"{info.positions[p].title}: {worst.reason}")
        else:
            state = draw_state(draw, box, planes[p].values())
            missing.append(f"{info.positions[p].title}: {state}")
        if p < len(tints):
            tint(picture, box, tints[p])
        if p in masks:
            lay_labels(picture, *masks[p])
    if over.tints is not None:
        add_legend(picture, over.tints)
    if area is None and labels is not False:
        _write_labels(draw, scene, viewport, margin)
    elif labels:
        write_names(picture, scene, viewport)
    scale = um_per_px if scene.is_in_um else None
    return ScenePicture(picture, scale, (*scene.notes, *notes_on_types(info)), missing)


def _paste(picture: Image.Image, colored: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Draw a field where its box is in the picture."""
    from PIL import Image

    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[2], picture.width), min(box[3], picture.height)
    if right <= left or bottom <= top:
        return
    x, y = colored.shape[1] / (box[2] - box[0]), colored.shape[0] / (box[3] - box[1])
    part = (left - box[0]) * x, (top - box[1]) * y, (right - box[0]) * x, (bottom - box[1]) * y
    fitted = Image.fromarray(colored).resize((right - left, bottom - top), _filter(colored, box), box=part)
    picture.paste(fitted, (left, top))


def _read(
    dataset: Dataset,
    scene: FieldScene,
    positions: Sequence[int],
    channels: Sequence[int],
    at: tuple[int, int | str],
    um_per_px: float,
    scheduler: str | None,
    progress: Callable[[int, int], None] | None,
) -> list[dict[int, Plane]]:
    """The pictures of these fields, by position and channel; of channels that a field has."""
    sides = (scene.edges[:, 2:] - scene.edges[:, :2]).max(axis=1) / um_per_px
    info, keys = dataset.info, []
    for p in positions:
        own = info.channels_of(info.image(p))
        keys += [StackKey(at[0], p, c, at[1]) for c in channels if c in own]
    edge = edge_for(float(sides[positions].max()) if len(positions) else 0.0)
    found = dataset.thumbnails(keys, edge, scheduler=scheduler, progress=progress)
    planes: list[dict[int, Plane]] = [{} for _ in range(len(scene))]
    for key, plane in zip(keys, found, strict=True):
        planes[key.p][key.c] = plane
    return planes


def limits_of(
    c: int,
    together: Sequence[int],
    planes: Sequence[Mapping[int, Plane]],
    types: Sequence[str],
    others: Sequence[str],
    fixed: FixedLimits,
    mode: ContrastMode,
    edge_of: Callable[[int], int],
) -> list[Limits]:
    """The limits of a channel for pixels of each of these types (see `ChannelLook`).

    The `fixed` ones, else what the small planes of fields, by channel, suggest for all channels that have
    limits `together`.

    `others`, `edge_of`: the type of each of `planes`, and see `edges_judged`.
    """
    found = []
    for other in types:
        limits = fixed.of(c, other)
        if limits is None:
            own = [i for i, each in enumerate(others) if each == other]
            free = [each for each in together if fixed.of(each, other) is None]
            seen = [
                _seen_of(each, {i: planes[i][each] for i in own if each in planes[i]}, edge_of)
                for each in free
            ]
            how = ContrastMode.RUN if mode is ContrastMode.PLANE else mode
            limits = limits_together(seen, how, DEFAULT_CLIP, is_of_fields=True) or (0.0, 1.0)
        found.append(limits)
    return found


def _seen_of(c: int, planes: Mapping[int, Plane], edge_of: Callable[[int], int]) -> SeenContrast:
    values, seen = FieldValues(), SeenContrast()
    shown = {
        i: plane.pixels
        for i, plane in planes.items()
        if plane.pixels is not None and plane.state is not PlaneState.FILLED
    }
    values.put(c, shown, edge_of)
    seen.set_fields(values.contrasts(c))
    return seen


def notes_on_types(info: DatasetInfo) -> tuple[str, ...]:
    """That fields with pixels of another type are drawn between limits of their own, if there are any."""
    if not info.other_dtypes:
        return ()
    counts = Counter(info.other_dtype(info.image(p)) for p in range(len(info.positions)))
    said = ", ".join(f"{counts[other]:,} of {other}" for other in info.other_dtypes if counts[other])
    return (f"fields with pixels of another type have contrast limits of their own ({said})",) if said else ()


def _filter(picture: np.ndarray, box: tuple[int, int, int, int]) -> Image.Resampling:
    from PIL import Image

    is_smaller = box[2] - box[0] <= picture.shape[1]
    return Image.Resampling.BOX if is_smaller else Image.Resampling.NEAREST


def _draw_wells(draw: ImageDraw.ImageDraw, scene: FieldScene, viewport: Viewport) -> None:
    if not scene.is_plate:
        return
    for well in scene.wells:
        left, top, right, bottom = scene.well_box(well, viewport)
        draw.rectangle((left, top, right - 1, bottom - 1), fill=WELL if well.fields else ABSENT)


def draw_state(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], planes: Iterable[Plane]) -> str:
    """Draw why a field has no picture: hatched if pending, crossed if unreadable; returns it in words."""
    plane = worst_of(planes)
    left, top, right, bottom = box
    inner = (left, top, right - 1, bottom - 1)
    if plane is None or plane.state is PlaneState.ABSENT:
        draw.rectangle(inner, fill=ABSENT)
        draw.rectangle(inner, outline=PENDING_LINE)
        return plane.reason if plane is not None else "has none of these channels"
    if plane.state is PlaneState.UNREADABLE:
        draw.rectangle(inner, fill=UNREADABLE)
        draw.line((left, top, right - 1, bottom - 1), fill=CROSS)
        draw.line((left, bottom - 1, right - 1, top), fill=CROSS)
        return plane.reason
    draw.rectangle(inner, fill=PENDING)
    step = max(4, (right - left) // 6)
    for start in range(left - (bottom - top), right, step):
        x0, x1 = max(start, left), min(start + (bottom - top), right - 1)
        if x1 > x0:
            draw.line((x0, bottom - 1 - (x0 - start), x1, bottom - 1 - (x1 - start)), fill=PENDING_LINE)
    return plane.reason or plane.state.value


def worst_of(planes: Iterable[Plane]) -> Plane | None:
    """The plane that says why a field has no picture: an unreadable one, else one that is awaited."""
    order = (PlaneState.UNREADABLE, PlaneState.PENDING, PlaneState.LOADING, PlaneState.ABSENT)
    found = [plane for plane in planes if plane.state in order]
    return min(found, key=lambda plane: order.index(plane.state), default=None)


def _write_labels(draw: ImageDraw.ImageDraw, scene: FieldScene, viewport: Viewport, margin: int) -> None:
    from .annotations import font_of

    font = font_of(max(9, margin // 2))
    ink = (150, 155, 165)
    for along, labels in enumerate((scene.columns, scene.rows)):
        if len(labels) < 2:
            continue
        pitch = (labels[1][1] - labels[0][1]) / viewport.um_per_px
        step = max(1, round(margin / max(pitch, 1e-9) + 0.49))
        first, last = scene.bounds[along], scene.bounds[2 + along]
        for name, at in labels[::step]:
            if not first <= at <= last:
                continue  # a row of the plate beside those that hold anything
            x, y = viewport.to_screen(at, 0.0) if along == 0 else viewport.to_screen(0.0, at)
            draw.text(
                (x, margin / 2) if along == 0 else (margin / 2, y), name, font=font, fill=ink, anchor="mm"
            )
