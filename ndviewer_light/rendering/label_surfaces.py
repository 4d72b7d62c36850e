"""The surfaces of labels in a volume: the faces of voxels between a label and none. Pure functions.

Their colours are those of the flat picture of labels, darker on the sides, so that shapes can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .label_picture import LabelStyle, coloured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..model import Rgba

MOST_FACES = 150_000
"""Of a surface; labels with more are taken in larger steps."""
_SHADES = (1.0, 0.8, 0.62)
"""How bright faces across z, y and x are."""
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
_TRIANGLES = ((0, 1, 2), (0, 2, 3))


class LabelBlock(NamedTuple):
    """Labels (Z, Y, X), where the first voxel begins and how far it is to the next (z, y, x).

    In voxels of the image that they belong to.
    """

    labels: np.ndarray
    corner: tuple[float, float, float]
    step: tuple[float, float, float]


class LabelSurface(NamedTuple):
    """Triangles: `corners` (N, 3) float32 (x, y, z) in voxels of the image, `triangles` (M, 3) of them.

    `colours` (N, 4) float32 from 0 to 1.
    """

    corners: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray


def surface_of(block: LabelBlock, colours: Mapping[int, Rgba], opacity: float) -> LabelSurface | None:
    """The surface of all labels that are not 0; None where there are none.

    Where labels touch each other nothing is drawn. `colours` as in `coloured`.
    """
    while True:
        faces = [_faces(block.labels, axis) for axis in range(3)]
        if sum(len(each) for each, _ in faces) <= MOST_FACES:
            break
        block = LabelBlock(block.labels[::2, ::2, ::2], *_in_steps(block))
    corners = np.concatenate([_corners(each, axis) for axis, (each, _) in enumerate(faces)])
    if not len(corners):
        return None
    values = np.concatenate([values for _, values in faces])
    picture = coloured(values[None], colours, LabelStyle(opacity=opacity))[0].astype(np.float32) / 255
    picture[:, :3] *= np.concatenate([np.full(len(each), _SHADES[i]) for i, (each, _) in enumerate(faces)])[
        :, None
    ]
    places = corners * np.array(block.step) + np.array(block.corner)
    first = 4 * np.arange(len(values), dtype=np.uint32)[:, None]
    triangles = np.concatenate([first + np.array(each, np.uint32) for each in _TRIANGLES])
    return LabelSurface(places[:, ::-1].astype(np.float32), triangles, np.repeat(picture, 4, axis=0))


def _in_steps(block: LabelBlock) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Corner and step of every second voxel, which is drawn as large as two and stays in the middle."""
    z, y, x = (at - step / 2 for at, step in zip(block.corner, block.step, strict=True))
    step_z, step_y, step_x = (2 * step for step in block.step)
    return (z, y, x), (step_z, step_y, step_x)


def _faces(labels: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Where faces across an axis are, (N, 3): the voxel after each; and the label on one side of it."""
    around = [(0, 0)] * 3
    around[axis] = (1, 1)
    along = np.moveaxis(np.pad(labels, around), axis, 0)
    before, after = along[:-1], along[1:]
    is_face = (before == 0) != (after == 0)
    values = np.where(before == 0, after, before)[is_face]
    at = np.argwhere(is_face)
    order = [0, 1, 2]
    order.remove(axis)
    places = np.empty_like(at)
    places[:, axis], places[:, order] = at[:, 0], at[:, 1:]
    return places, values


def _corners(places: np.ndarray, axis: int) -> np.ndarray:
    """The four corners of each face, (4 N, 3), one after the other."""
    along = [i for i in range(3) if i != axis]
    corners = np.repeat(places[:, None], 4, axis=1)
    for i, offsets in enumerate(_CORNERS):
        corners[:, i, along] += offsets
    return corners.reshape(-1, 3)
