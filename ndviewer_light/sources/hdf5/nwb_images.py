"""Pictures of an NWB file that are no series: single images, and the masks of regions of interest.

Like series they are stored as x, y: planes are transposed. Source: NWB format specification 2.x:
``GrayscaleImage`` is (x, y), ``RGBImage`` and ``RGBAImage`` (x, y, samples), with "resolution" in pixels per
cm; ``PlaneSegmentation/image_mask`` is (region, x, y[, z]), and "id" numbers the regions. Each region is
shown as a position. Masks that are lists of pixels: see `nwb_pixel_masks`. Functions are called within
`HDF5File.reading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from ...metadata.nwb_types import LISTS, MASKS, REGIONS, SINGLE_IMAGES, UM_PER_CM
from ...model import Channel
from ...storage.limits import MAX_POSITIONS
from . import nwb
from .array import facts, refuse_outside
from .images import HDF5Image, rgb_channels, sane_steps
from .nwb_pixel_masks import facts_of_list, is_list_of_pixels

if TYPE_CHECKING:
    import h5py

    from .array import DatasetFacts
    from .file import HDF5File


class NwbPicture(NamedTuple):
    """A single image or a dataset of masks: its path, type, and the role of each axis.

    `is_list`: it is stored as a list of pixels.
    """

    path: str
    type: str
    roles: str
    is_list: bool = False


def picture_of(file: HDF5File, path: str, node: h5py.Dataset) -> NwbPicture | None:
    """What the dataset at a path is; None if it is none of these."""
    import h5py

    rank = len(node.shape or ())
    parent, _, name = path.rpartition("/")
    is_list = is_list_of_pixels(name, node)
    if name == MASKS or is_list:
        group = file.follow(parent or "/")
        if isinstance(group, h5py.Group) and file.attribute(group, "neurodata_type") == REGIONS:
            if is_list:
                is_drawn = isinstance(file.follow(MASKS, group), h5py.Dataset)
                return None if is_drawn else NwbPicture(path, REGIONS, f"p{LISTS[name]}", is_list=True)
            return NwbPicture(path, REGIONS, "pxyz"[:rank]) if rank in (3, 4) else None
    kind = file.attribute(node, "neurodata_type")
    roles = SINGLE_IMAGES.get(kind, "") if isinstance(kind, str) else ""
    if len(roles) != rank or not rank or (roles == "xyc" and node.shape[-1] not in (3, 4)):
        return None
    return NwbPicture(path, kind, roles)


def picture_facts(file: HDF5File, picture: NwbPicture | None, path: str, node: h5py.Dataset) -> DatasetFacts:
    """What the dataset of a picture is, or any other; of lists of pixels, what they are as pictures."""
    return (
        facts_of_list(file, path, node)
        if picture is not None and picture.is_list
        else facts(file, path, node)
    )


def masks_of(file: HDF5File, group: h5py.Group) -> str:
    """The name of the dataset with the masks of a table of regions; "" if there is none."""
    import h5py

    return next((name for name in (MASKS, *LISTS) if isinstance(file.follow(name, group), h5py.Dataset)), "")


def picture_image(file: HDF5File, picture: NwbPicture, known: DatasetFacts, node: h5py.Dataset) -> HDF5Image:
    """Describe one of them."""
    where = f"{file.name}::{picture.path}"
    parent, _, name = picture.path.rpartition("/")
    steps: dict[str, float | None] = {}
    names: tuple[str, ...] = (name,)
    if picture.roles[0] == "p":
        if known.shape[0] > MAX_POSITIONS:
            raise UnsupportedError(
                f"{where} has {known.shape[0]} masks; at most {MAX_POSITIONS} can be shown"
            )
        group = file.node(parent or "/")
        steps = nwb.grid_steps(file, group, nwb.imaging_plane(file, group), known, tuple(picture.roles))
        names = _region_names(file, parent, known.shape[0])
        name = parent.rpartition("/")[2]
    else:
        steps = _resolution(file.attribute(node, "resolution"))
    in_colour = picture.roles == "xyc"
    return HDF5Image(
        format="nwb",
        evidence=f"NWB {picture.type}",
        roles=tuple(picture.roles),
        shape=known.shape,
        dtype=known.dtype,
        steps=sane_steps(steps),
        channels=rgb_channels(known.dtype) if in_colour else (Channel(name, ""),),
        rgb=in_colour,
        position_names=names,
    )


def _resolution(pixels_per_cm: object) -> dict[str, float | None]:
    """µm per pixel."""
    if not isinstance(pixels_per_cm, np.ndarray) or pixels_per_cm.size != 1:
        return {}
    number = float(pixels_per_cm.reshape(-1)[0])
    return dict.fromkeys("xy", UM_PER_CM / number) if number > 0 else {}


def _region_names(file: HDF5File, group: str, n: int) -> tuple[str, ...]:
    import h5py

    ids = file.follow(f"{group}/id")
    if not isinstance(ids, h5py.Dataset) or ids.shape != (n,) or ids.dtype.kind not in "iu":
        return tuple(f"ROI {i}" for i in range(n))
    refuse_outside(file, ids, f"{file.name}::{group}/id", virtual=False)
    return tuple(f"ROI {number}" for number in ids[()].tolist())
