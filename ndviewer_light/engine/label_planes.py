"""Which plane of a label image belongs to a plane of its image, and where it lies on it.

A label image may have fewer time points and planes (one serves all), other pixels and another place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import LimitExceededError
from ..model import LabelFacts, PlaneKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import ImageInfo, Position
    from .dataset import Dataset


MOST_MASKS = 4096
_MASKS = "/image_mask"  # of NWB, in the group that is called like the regions


class LabelPlace(NamedTuple):
    """Where labels lie, in pixels of the image under them: their first corner, and the steps to the next."""

    left: float = 0.0
    top: float = 0.0
    step_y: float = 1.0
    step_x: float = 1.0


def label_key(image: ImageInfo, labels: ImageInfo, t: int, z: int) -> PlaneKey | None:
    """The plane of labels for time `t` and plane `z` of an image; None if there is none.

    Labels whose planes are as many as the times of an image without z are over time: nothing says so in HDF5.
    """
    if image.n_z == labels.n_t == 1 < labels.n_z == image.n_t:
        return PlaneKey(z=t)
    if labels.n_t > 1 and t >= labels.n_t:
        return None
    if image.n_z > 1 and image.z_step_um and labels.z_step_um and labels.n_z > 1:
        z = int((z + 0.5) * image.z_step_um / labels.z_step_um)
    return PlaneKey(t if labels.n_t > 1 else 0, 0, 0, min(z, labels.n_z - 1))


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


def label_name(path: str) -> str:
    """What labels are called: "cells" of ``x.zarr::labels/cells`` and of ``x.nwb::/cells/image_mask``."""
    return path.replace("::", "/").rstrip("/").removesuffix(_MASKS).rpartition("/")[2]


def is_of_masks(labels: Dataset) -> bool:
    """Whether it has a mask for each region, as a position, instead of one image of labels."""
    return len(labels.info.positions) > 1


def masks_as_labels(masks: Dataset, z: int) -> tuple[np.ndarray, LabelFacts]:
    """Masks as one image: 1 where the first is not 0, and so on; where they overlap, the last. Blocks.

    Raises `LimitExceededError` for more than `MOST_MASKS`, otherwise like `Dataset.plane`.
    """
    positions, image = masks.info.positions, masks.image(0)
    if len(positions) > MOST_MASKS:
        raise LimitExceededError(f"{masks.path} has {len(positions)} masks; at most {MOST_MASKS} are drawn")
    labels = np.zeros((image.height, image.width), np.uint16)
    keys = [PlaneKey(p=p, z=min(z, image.n_z - 1)) for p in range(len(positions))]
    for n, mask in enumerate(masks.iter_planes(keys), 1):
        labels[mask > 0] = n
    names = {n: {"name": position.title} for n, position in enumerate(positions, 1)}
    return labels, LabelFacts(properties=names)


def path_of_label(name: str, paths: Sequence[str]) -> str | None:
    """The label image of that name, or at that path as it is opened; None if there is none."""
    return next((path for path in paths if name in (label_name(path), path)), None)


def _step(image_um: float | None, label_um: float | None, image_size: int, label_size: int) -> float:
    if image_um and label_um:
        return label_um / image_um
    return image_size / label_size if label_size else 1.0


def _shift(image_um: float | None, label_um: float | None, pixel_um: float | None) -> float:
    if image_um is None or label_um is None or not pixel_um:
        return 0.0
    return (label_um - image_um) / pixel_um
