"""The surfaces of labels as they are seen with a volume, without OpenGL: the arithmetic. Pure.

Faces of voxels along one axis are parallelograms of one shape in the picture: each is painted pixel by pixel,
and in each pixel the nearest one is seen, as OpenGL does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .label_surfaces import LabelSurface
    from .volume_rays import VolumeSight, Xyz

_FACE_PIXELS = 4_000_000
"""Pixels of faces that are looked at together: what takes memory."""
_EDGE_ON = 1e-6
"""Faces smaller than this (pixels) are not seen."""


def surface_seen(
    surface: LabelSurface,
    sight: VolumeSight,
    voxel_um: Xyz,
    middle_um: Xyz,
    size: tuple[int, int],
    um_per_px: float,
) -> np.ndarray:
    """The picture of a surface: red, green, blue, opacity, (Y, X, 4) uint8, 0 where nothing is.

    `voxel_um` (x, y, z) is the size of the voxels that its corners count, `middle_um` where the middle of the
    volume is from their origin; `size` is the width and height of the picture.
    """
    width, height = size
    directions = np.array([sight.right, sight.down, sight.into]).T
    places = (surface.corners * np.array(voxel_um) - np.array(middle_um)) @ directions / um_per_px
    places[:, :2] += np.array(sight.off_middle) / um_per_px + np.array(size) / 2
    corners = places.reshape(-1, 4, 3)  # across, down and away of the corners of each face
    first = surface.triangles[: len(corners)].astype(np.int64)  # one of the two triangles of each
    a, b, c = (places[first[:, i], :2] for i in range(3))
    turns = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    is_front = turns < 0
    nearest = np.full(width * height, np.inf)
    seen = np.full(width * height, -1)
    for faces in _alike(surface, is_front):
        for which, pixels, depth in _painted(corners, faces, width, height):
            np.minimum.at(nearest, pixels, depth)
            is_nearest = depth <= nearest[pixels]
            seen[pixels[is_nearest]] = which[is_nearest]
    picture = np.zeros((width * height, 4), np.uint8)
    is_seen = seen >= 0
    picture[is_seen] = np.rint(surface.colours[::4][seen[is_seen]] * 255)
    return picture.reshape(height, width, 4)


def _alike(surface: LabelSurface, is_front: np.ndarray) -> Iterator[np.ndarray]:
    """The faces that are seen, by the axis that they are across: those are of one shape."""
    corners = surface.corners.reshape(-1, 4, 3)
    spans = np.abs(corners[:, 2] - corners[:, 0])  # from a corner to the opposite one
    axes = np.argmin(spans, axis=1)
    for axis in range(3):
        faces = np.flatnonzero(is_front & (axes == axis))
        if faces.size:
            yield faces


def _painted(
    corners: np.ndarray, faces: np.ndarray, width: int, height: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pixels of faces of one shape, some faces at a time: of which face, where, and how far away."""
    along, across = (corners[faces[0], i] - corners[faces[0], 0] for i in (1, 3))
    edges = np.array([along[:2], across[:2]]).T
    if abs(np.linalg.det(edges)) < _EDGE_ON:
        return
    into_edges = np.linalg.inv(edges)
    low = np.minimum(along[:2], 0) + np.minimum(across[:2], 0)
    n_x, n_y = (np.ceil(np.abs(along[:2]) + np.abs(across[:2])).astype(int) + 1).tolist()
    origin = corners[faces, 0]
    begin = np.floor(origin[:, :2] + low).astype(np.int64)
    is_near = (begin < (width, height)).all(axis=1) & (begin + np.array([n_x, n_y]) > 0).all(axis=1)
    faces, origin, begin = faces[is_near], origin[is_near], begin[is_near]
    n_at_once = max(1, _FACE_PIXELS // (n_x * n_y))
    y, x = (each.ravel() for each in np.mgrid[:n_y, :n_x])
    for start in range(0, len(faces), n_at_once):
        part = slice(start, start + n_at_once)
        columns, rows = begin[part, :1] + x, begin[part, 1:] + y
        beside = np.stack([columns + 0.5 - origin[part, :1], rows + 0.5 - origin[part, 1:2]])
        u, v = np.tensordot(into_edges, beside, 1)
        is_in = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        is_in &= (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        depth = origin[part, 2:] + u * along[2] + v * across[2]
        face, _ = np.nonzero(is_in)
        yield faces[part][face], (rows * width + columns)[is_in], depth[is_in]
