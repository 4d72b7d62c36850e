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
MOST_LABEL_BYTES, MOST_LABELS_ALONG = 32 * 1024**2, 512
"""Of the labels of a volume; of larger ones a coarser level is taken."""
_SHADES = (1.0, 0.8, 0.62)
"""How bright faces across z, y and x are."""
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
_TRIANGLES = ((0, 1, 2), (0, 2, 3))
_TURNS = (-1, 1, -1)
"""To which side of z, y and x the corners of a face turn (x, y, z); triangles turn to where no label is."""


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
        if sum(len(each.places) for each in faces) <= MOST_FACES:
            break
        block = LabelBlock(block.labels[::2, ::2, ::2], *_in_steps(block))
    corners = np.concatenate([_corners(each.places, axis) for axis, each in enumerate(faces)])
    if not len(corners):
        return None
    values = np.concatenate([each.labels for each in faces])
    picture = coloured(values[None], colours, LabelStyle(opacity=opacity))[0].astype(np.float32) / 255
    shades = np.concatenate([np.full(len(each.labels), _SHADES[axis]) for axis, each in enumerate(faces)])
    picture[:, :3] *= shades[:, None]
    places = corners * np.array(block.step) + np.array(block.corner)
    first = 4 * np.arange(len(values), dtype=np.uint32)[:, None]
    triangles = np.concatenate([first + np.array(each, np.uint32) for each in _TRIANGLES])
    turns = np.concatenate([each.is_before == (_TURNS[axis] > 0) for axis, each in enumerate(faces)])
    triangles = np.where(np.tile(turns, 2)[:, None], triangles, triangles[:, ::-1])
    return LabelSurface(places[:, ::-1].astype(np.float32), triangles, np.repeat(picture, 4, axis=0))


def _in_steps(block: LabelBlock) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Corner and step of every second voxel, which is drawn as large as two and stays in the middle."""
    z, y, x = (at - step / 2 for at, step in zip(block.corner, block.step, strict=True))
    step_z, step_y, step_x = (2 * step for step in block.step)
    return (z, y, x), (step_z, step_y, step_x)


class _Faces(NamedTuple):
    """Faces across an axis: the voxels after them (N, 3), the label on one side, whether that is before."""

    places: np.ndarray
    labels: np.ndarray
    is_before: np.ndarray


def _faces(labels: np.ndarray, axis: int) -> _Faces:
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
    return _Faces(places, values, (before != 0)[is_face])


def _corners(places: np.ndarray, axis: int) -> np.ndarray:
    """The four corners of each face, (4 N, 3), one after the other."""
    along = [i for i in range(3) if i != axis]
    corners = np.repeat(places[:, None], 4, axis=1)
    for i, offsets in enumerate(_CORNERS):
        corners[:, i, along] += offsets
    return corners.reshape(-1, 3)
