"""Volumes of several channels as one picture in their box, and volumes of fewer voxels. Pure.

For pictures without a display and for the window where no graphics card draws.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .added_up import Layer, composite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    import cmap
    from PIL import Image

    from .contrast import Limits
    from .volume_rays import SeenVolume, Volume, VolumeSight, Xyz

BOX_COLOR = (140, 148, 166)


class VolumeLayer(NamedTuple):
    """One channel: its voxels and how they are drawn."""

    volume: Volume
    limits: Limits
    colormap: cmap.Colormap
    gamma: float = 1.0


class VolumePlace(NamedTuple):
    """A picture of `width` × `height` pixels of `um_per_px`, and the edges of the box (x, y, z) in it, in µm.

    `off_um`: how far (x, y, z) from the middle of the box that of the voxels is.
    """

    width: int
    height: int
    um_per_px: float
    box_um: Xyz
    off_um: Xyz = (0.0, 0.0, 0.0)


def volumes_seen(
    layers: Mapping[int, VolumeLayer],
    sight: VolumeSight,
    place: VolumePlace,
    method: str,
    found: MutableMapping[int, SeenVolume],
    going_on: Callable[[], None] = lambda: None,
    *,
    has_box: bool = True,
) -> np.ndarray:
    """The picture (Y, X, 3) uint8 of volumes, in their box if `has_box`, from there.

    `method` as for `Volume.seen`. What is seen of each is kept in `found`, and taken from there.
    `going_on` is called now and then, and may raise.
    """
    from PIL import Image

    picture = Image.new("RGB", (place.width, place.height))
    if has_box:
        _draw_box(picture, sight, place)
    total = np.asarray(picture).astype(np.uint16)
    off = np.array([sight.right, sight.down]) @ np.array(place.off_um) + np.array(sight.off_middle)
    moved = sight._replace(off_middle=(float(off[0]), float(off[1])))
    for c, (volume, limits, colormap, gamma) in layers.items():
        seen = found.get(c)
        if seen is None:
            size = place.width, place.height
            seen = found[c] = volume.seen(moved, *size, place.um_per_px, method, limits, going_on)
        layer = composite([Layer(seen.values, limits, colormap, gamma)], place.height, place.width)
        if seen.shade is not None:
            layer = (layer * seen.shade[..., None]).astype(np.uint8)
        total += layer
    return np.minimum(total, 255).astype(np.uint8)


def coarser(voxels: np.ndarray, step: int) -> np.ndarray:
    """Voxels (Z, Y, X), `step` along each axis taken together as the brightest of them."""
    if step == 1:
        return voxels
    taken = np.array(voxels[::step, ::step, ::step])
    for begin in itertools.product(range(step), repeat=3):
        if any(begin):
            part = voxels[tuple(slice(at, None, step) for at in begin)]
            there = taken[tuple(slice(0, n) for n in part.shape)]
            np.fmax(there, part, out=there)
    return taken


def box_edges(sight: VolumeSight, place: VolumePlace) -> list[tuple[float, float, float, float]]:
    """The edges of the box in the picture: from x, y to x, y."""
    plane = np.array([sight.right, sight.down])
    corners = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * place.box_um
    places = (corners @ plane.T + sight.off_middle) / place.um_per_px + (place.width / 2, place.height / 2)
    if not np.isfinite(places).all():
        return []
    return [(*places[a].tolist(), *places[b].tolist()) for a in range(8) for b in range(a) if _is_edge(a ^ b)]


def _is_edge(differs: int) -> bool:
    """Whether corners, of which each bit is one axis, differ along one of them."""
    return differs & (differs - 1) == 0


def _draw_box(picture: Image.Image, sight: VolumeSight, place: VolumePlace) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    for edge in box_edges(sight, place):
        draw.line(edge, fill=BOX_COLOR)
