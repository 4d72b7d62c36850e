"""Which plane of a label image belongs to a plane of its image, and where it lies on it.

A label image may have fewer time points and planes (one serves all), other pixels and another place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import LimitExceededError
from ..model import LabelFacts, PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..model import DatasetInfo, ImageInfo, Position
    from ..sources import Source
    from .dataset import Dataset
    from .stack_resolution import StackResolution


MOST_MASKS = 4096
_MOST_MASK_PLANES = 65_536
_MASKS = re.compile("/(?:image|pixel|voxel)_mask$")  # of NWB, in the group that is called like the regions


class PictureArea(NamedTuple):
    """A rectangle of an image in its pixels, from the corner of the first; it may lie outside of it."""

    left: float
    top: float
    right: float
    bottom: float


class LabelPlace(NamedTuple):
    """Where labels lie, in pixels of the image under them: their first corner, and the steps to the next."""

    left: float = 0.0
    top: float = 0.0
    step_y: float = 1.0
    step_x: float = 1.0


def label_position(dataset: Dataset | Source, p: int, labels: Dataset | Source) -> int | None:
    """The position of labels that belongs to position `p` of a dataset; None if none does.

    A store of several fields has labels of as many; where these have none, they are of the first field.
    May block on disk or network.
    """
    positions = dataset.info.positions
    before = [each for each in range(p) if positions[each].region == positions[p].region]
    n = len(labels.info.positions)
    if n > 1:
        return len(before) if len(before) < n else None
    is_shared = before and "zarr" in labels.info.format and dataset.labels(before[0]) == dataset.labels(p)
    return None if is_shared else 0


def label_key(image: ImageInfo, labels: ImageInfo, t: int, z: int, p: int = 0) -> PlaneKey | None:
    """The plane of labels, at their position `p`, for time `t` and plane `z` of an image, if there is one.

    Labels whose planes are as many as the times of an image without z are over time: nothing says so in HDF5.
    """
    if image.n_z == labels.n_t == 1 < labels.n_z == image.n_t:
        return PlaneKey(p=p, z=t)
    if labels.n_t > 1 and t >= labels.n_t:
        return None
    if image.n_z > 1 and image.z_step_um and labels.z_step_um and labels.n_z > 1:
        z = int((z + 0.5) * image.z_step_um / labels.z_step_um)
    return PlaneKey(t if labels.n_t > 1 else 0, p, 0, min(z, labels.n_z - 1))


def label_place(
    image: ImageInfo,
    position: Position,
    labels: ImageInfo,
    of_labels: Position,
    spans: tuple[float, float],
    corner: tuple[float, float] = (0.0, 0.0),
) -> LabelPlace:
    """Where a plane of labels lies on its image; `spans` and `corner` as in `DrawnLevel`.

    By pixel size and place in the metadata; without a pixel size, labels cover the image.
    """
    steps = [
        _step(*each)
        for each in (
            (image.pixel_size_y_um, labels.pixel_size_y_um, image.height, labels.height),
            (image.pixel_size_x_um, labels.pixel_size_x_um, image.width, labels.width),
        )
    ]
    top = _shift(position.y_um, of_labels.y_um, image.pixel_size_y_um)
    left = _shift(position.x_um, of_labels.x_um, image.pixel_size_x_um)
    is_apart = (
        not -labels.height * steps[0] < top < image.height
        or not -labels.width * steps[1] < left < image.width
    )
    if is_apart:  # one place counts from the stage's origin, the other from the image
        top = left = 0.0
    top, left = top + corner[0] * steps[0], left + corner[1] * steps[1]
    return LabelPlace(left, top, steps[0] * spans[0], steps[1] * spans[1])


class LabelStackPlace(NamedTuple):
    """Which planes of a level of labels are drawn, and where their voxels lie (z, y, x), in the image's."""

    zs: range
    corner: tuple[float, float, float]
    step: tuple[float, float, float]


def label_stack_place(
    image: ImageInfo,
    position: Position,
    labels: ImageInfo,
    of_labels: Position,
    at: StackResolution,
    part: range,
) -> LabelStackPlace:
    """The planes of a level of labels that lie in `part`, planes of the image, and where their voxels lie.

    The first plane of `part` is at 0. A single plane of labels goes through all of the stack.
    """
    level, corner = at.level, at.level.corner(at.z_step, at.step)
    spans = level.scale.y * at.step, level.scale.x * at.step
    place = label_place(image, position, labels, of_labels, spans, (corner.y, corner.x))
    if labels.n_z == 1:
        begin, thick, first, n = 0.0, float(len(part)), 0, 1
    else:
        has_steps = image.z_step_um and labels.z_step_um
        unit = labels.z_step_um / image.z_step_um if has_steps else 1.0  # type: ignore[operator]
        begin, thick = corner.z * unit - part.start, level.scale.z * at.z_step * unit
        within = [
            i
            for i in range(len(range(0, level.sizes.z, at.z_step)))
            if 0 <= begin + (i + 0.5) * thick < len(part)
        ]
        first, n = (within[0], len(within)) if within else (0, 0)
    zs = range(first * at.z_step, (first + n) * at.z_step, at.z_step)
    return LabelStackPlace(
        zs, (begin + first * thick, place.top, place.left), (thick, place.step_y, place.step_x)
    )


def label_name(path: str) -> str:
    """What labels are called: "cells" of ``x.zarr::labels/cells`` and of ``x.nwb::/cells/image_mask``."""
    return _MASKS.sub("", path.replace("::", "/").rstrip("/")).rpartition("/")[2]


def is_of_masks(labels: Dataset | Source) -> bool:
    """Whether it has a mask for each region, as a position, instead of one image of labels."""
    info = labels.info
    is_said = info.format == "nwb" or "mask" in info.format
    return is_said or (len(info.positions) > 1 and "zarr" not in info.format)


def masks_as_labels(
    masks: DatasetInfo,
    where: str,
    read: Callable[[Sequence[PlaneKey]], Iterable[np.ndarray]],
    zs: Sequence[int],
) -> tuple[np.ndarray, LabelFacts]:
    """Masks as one image: 1 where the first is not 0, and so on; where they overlap, the last. Blocks.

    Of several planes the largest label of each pixel. `read` gives their planes. Raises `LimitExceededError`
    for more than `MOST_MASKS`, otherwise like `read`.
    """
    stack, facts = mask_stack_as_labels(masks, where, read, zs)
    return stack.max(axis=0), facts


def mask_stack_as_labels(
    masks: DatasetInfo,
    where: str,
    read: Callable[[Sequence[PlaneKey]], Iterable[np.ndarray]],
    zs: Sequence[int],
    step: int = 1,
) -> tuple[np.ndarray, LabelFacts]:
    """The same of some planes of stacks (Z, Y, X), every `step`-th pixel; beyond them, their last plane."""
    positions, image = masks.positions, masks.image(0)
    if len(positions) > MOST_MASKS or len(positions) * len(zs) > _MOST_MASK_PLANES:
        of_planes = f" of {len(zs)} planes" if len(zs) > 1 else ""
        raise LimitExceededError(
            f"{where} has {len(positions)} masks{of_planes}; at most {MOST_MASKS} can be drawn, with "
            f"{_MOST_MASK_PLANES} planes in all"
        )
    labels = np.zeros((len(zs), -(-image.height // step), -(-image.width // step)), np.uint16)
    keys = [PlaneKey(p=p, z=min(z, image.n_z - 1)) for p in range(len(positions)) for z in zs]
    for i, mask in enumerate(read(keys)):
        n, at = divmod(i, len(zs))
        labels[at][mask[::step, ::step] > 0] = n + 1
    names = {n: {"name": position.title} for n, position in enumerate(positions, 1)}
    return labels, LabelFacts(properties=names)


def path_of_label(name: str, paths: Sequence[str]) -> str | None:
    """The label image of that name, or at that path as it is opened; None if there is none."""
    return next((path for path in paths if name in (label_name(path), path)), None)


def whole_numbers(pixels: np.ndarray) -> np.ndarray:
    """Labels as whole numbers: of numbers with decimals what is before the point, of NaN 0."""
    if pixels.dtype.kind in "iu":
        return pixels
    if pixels.dtype.kind == "b":
        return pixels.view(np.uint8)
    finite: np.ndarray = np.nan_to_num(pixels.real, nan=0.0, posinf=0.0, neginf=0.0).astype(np.int64)
    return finite


def sampled(labels: np.ndarray, place: LabelPlace, area: PictureArea, rows: int, columns: int) -> np.ndarray:
    """The labels (Y, X) at `rows` × `columns` pixels that cover `area`; 0 outside of them."""
    height, width = labels.shape
    y = indices_along(area.top, area.bottom, rows, place.top, place.step_y)
    x = indices_along(area.left, area.right, columns, place.left, place.step_x)
    has_y, has_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    found = np.zeros((rows, columns), labels.dtype)
    found[np.ix_(has_y, has_x)] = labels[np.ix_(y[has_y], x[has_x])]
    return found


def indices_along(start: float, end: float, n: int, first: float, step: float) -> np.ndarray:
    """Which pixels, the first at `first`, each `step` long, lie in the middles of `n` parts of a range."""
    at = start + (np.arange(n) + 0.5) * ((end - start) / n)
    indices: np.ndarray = np.floor((at - first) / step).astype(np.int64)
    return indices


def _step(image_um: float | None, label_um: float | None, image_size: int, label_size: int) -> float:
    if image_um and label_um:
        return label_um / image_um
    return image_size / label_size if label_size else 1.0


def _shift(image_um: float | None, label_um: float | None, pixel_um: float | None) -> float:
    if image_um is None or label_um is None or not pixel_um:
        return 0.0
    return (label_um - image_um) / pixel_um
