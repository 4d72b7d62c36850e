"""The picture of a stack as a volume, without a display: voxels, contrast and colours as on screen.

Reads and blocks, as `view_picture` does. What is read of one stack is kept for the next picture of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..engine.stack_resolution import of_another_size, resolution_text, stack_resolution
from ..engine.transpose import copy_into
from ..errors import PlaneNotStoredError
from .contrast import NO_LIMITS, ContrastMode
from .label_picture import laid_over
from .place_words import VOLUME
from .surface_picture import surface_seen
from .view_picture import OTHERS, ViewPictures, ViewPixels, hatch
from .volume_layers import VolumeLayer, VolumePlace, volumes_seen
from .volume_look import voxel_size_um
from .volume_rays import SeenVolume, Volume, VolumeSight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PIL import Image

    from ..engine.dataset import Dataset
    from ..engine.stack_resolution import StackResolution
    from ..model import ImageInfo
    from .contrast import FixedLimits
    from .label_surfaces import LabelSurface
    from .labels_over import LabelsOver
    from .view_picture import LayerLook, ShownPlace
    from .volume_look import VolumeLook
    from .volume_rays import Xyz

MOST_BYTES = 256 * 1024**2
"""Of the voxels of all channels together; of larger stacks a coarser level is drawn."""
_MOST_VOXELS_ALONG = 1024
_LONGEST_PICTURE = 1024
_MARGIN = 1.04
"""So much larger than the volume a picture of all of it is."""


class VolumePictures(ViewPictures):
    """Pictures of stacks of one dataset as volumes, with the same channels, contrast and sight.

    `look`: how they are drawn, and which planes. `turns`: they are shown turned (`ShownPlace.turn`), and so
    pictures of all of it have room for that. `going_on` is called while a stack is read, and may raise.
    Of `labels` the surfaces are drawn over them. The others as for `ViewPictures`.
    """

    def __init__(
        self,
        dataset: Dataset,
        channels: Sequence[int],
        look: VolumeLook,
        sight: VolumeSight = VolumeSight(),  # noqa: B008  immutable
        *,
        turns: bool = False,
        mode: ContrastMode = ContrastMode.RUN,
        limits: FixedLimits = NO_LIMITS,
        longest: int | None = None,
        labels: LabelsOver | None = None,
        looks: Mapping[int, LayerLook] | None = None,
        going_on: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            dataset, channels, mode=mode, limits=limits, longest=longest, labels=labels, looks=looks
        )
        self._look_of_volume = look
        self._sight = sight
        self._turns = turns
        self._going_on = going_on
        self._volumes: dict[int, Volume] = {}
        self._read: tuple[tuple[int, int], ViewPixels] | None = None
        self._spans = 1.0, 1.0, 1.0
        self._seen_from: tuple[ShownPlace, dict[int, SeenVolume]] | None = None
        """Side by side, each channel is drawn alone and with the others."""
        self._begin = 0.0, 0.0, 0.0
        """Where the voxels begin (x, y, z), in µm from the first of the planes that are shown."""
        self._surface: tuple[tuple[int, int], LabelSurface | None] | None = None
        self._surface_seen: tuple[ShownPlace, np.ndarray] | None = None
        self.is_whole = True
        """Whether every voxel of the last stack that was read is drawn."""
        self.resolution = ""
        """Which level was read last, and how large: "level 2 of 4, 512 × 512 × 64"."""

    def first_z(self, place: ShownPlace) -> int:
        """See `ViewPictures.first_z`."""
        return self._look_of_volume.first

    def words_of_stack(self, place: ShownPlace, n_z: int) -> str:
        """See `ViewPictures.words_of_stack`."""
        return VOLUME

    def pixels(self, place: ShownPlace) -> ViewPixels:
        """Read the stack of a place: voxels (Z, Y, X) by channel. Raises `DatasetError`, `IndexError`."""
        at = place.t, place.p
        if self._read is None or self._read[0] != at:
            self._volumes, self._read = {}, None  # first, as the next one takes as much memory
            self._noted.clear()
            self._read = at, self._read_stack(place)
        return self._read[1]

    def drawn(
        self, view: ViewPixels, place: ShownPlace, channels: Sequence[int], look: LayerLook | None = None
    ) -> Image.Image:
        """The picture (RGB) of these channels of a volume in its box; hatched if nothing is there."""
        from PIL import Image

        sight = self._sight.turned(place.turn)
        volumes = {c: self._volume(c, view) for c in channels if c in view.pixels}
        size = next(iter(volumes.values())).size if volumes else self._size(view.image)
        width_um, height_um = self._edges(size, sight)
        longest = self._longest or _LONGEST_PICTURE
        um_per_px = max(width_um, height_um) / longest
        width, height = (max(1, round(edge / um_per_px)) for edge in (width_um, height_um))
        view.um_per_px = (um_per_px, um_per_px) if view.image.pixel_size_um is not None else None
        if not volumes:
            picture = Image.new("RGB", (width, height))
            hatch(picture)
            return picture
        if self._seen_from is None or self._seen_from[0] != place:
            self._seen_from = place, {}
        layers = {
            c: VolumeLayer(volume, self._limits(c, view), *(look or self._look(c)))
            for c, volume in volumes.items()
        }
        where = VolumePlace(width, height, um_per_px, size)
        pixels = volumes_seen(layers, sight, where, self._look_of_volume.method, self._seen_from[1])
        if self._labels is not None:
            x, y, z = (begin + edge / 2 for begin, edge in zip(self._begin, size, strict=True))
            pixels = self._with_surfaces(pixels, view, place, (x, y, z), um_per_px)
        return Image.fromarray(pixels)

    # ---- parts ---------------------------------------------------------------------------------

    def _with_surfaces(
        self,
        picture: np.ndarray,
        view: ViewPixels,
        place: ShownPlace,
        middle_um: Xyz,
        um_per_px: float,
    ) -> np.ndarray:
        """A picture with the surfaces of labels on it, which are read once for each stack."""
        assert self._labels is not None
        at = place.t, place.p
        if self._surface is None or self._surface[0] != at:
            self._surface = None
            planes = self._look_of_volume.planes_of(view.image.n_z)
            self._surface = at, self._labels.surface(place, planes, self._going_on)
        surface = self._surface[1]
        if surface is None:
            return picture
        if self._surface_seen is None or self._surface_seen[0] != place:
            z, y, x = voxel_size_um(view.image)
            sight, size = self._sight.turned(place.turn), (picture.shape[1], picture.shape[0])
            seen = surface_seen(surface, sight, (x, y, z), middle_um, size, um_per_px)
            self._surface_seen = place, seen
        return laid_over(picture, self._surface_seen[1])

    def _edges(self, size: Xyz, sight: VolumeSight) -> tuple[float, float]:
        """Width and height in µm of pictures from there, or of all while it turns."""
        if sight.width is not None and sight.height is not None:
            return sight.width, sight.height
        width, height = (_MARGIN * edge for edge in sight.edges(size, turns=self._turns))
        return width, height

    def _volume(self, c: int, view: ViewPixels) -> Volume:
        if c not in self._volumes:
            if len(self._volumes) > 1:  # each may keep its voxels a second time, in another order
                self._volumes.clear()
            self._volumes[c] = Volume(view.pixels[c], self._spans)
        return self._volumes[c]

    def _size(self, image: ImageInfo) -> tuple[float, float, float]:
        z, y, x = voxel_size_um(image)
        return image.width * x, image.height * y, max(len(self._look_of_volume.planes_of(image.n_z)), 1) * z

    def _read_stack(self, place: ShownPlace) -> ViewPixels:
        dataset = self._dataset
        image = dataset.image(place.p)
        own = dataset.info.channels_of(image)
        channels = [c for c in self._channels if c in own]
        levels = dataset.drawn_levels(place.p)
        itemsize = image.dtype.itemsize if image.dtype is not None else 2
        chosen = stack_resolution(levels, max(len(channels), 1) * itemsize, MOST_BYTES, _MOST_VOXELS_ALONG)
        zs = self._planes(place.p, image, chosen)
        level, step = chosen.level, chosen.step
        shape = len(zs), -(-level.sizes.y // step), -(-level.sizes.x // step)
        self.resolution = resolution_text(chosen.number, len(levels), shape)
        self.is_whole = chosen.number == 0 and chosen.z_step == step == 1
        z_um, y_um, x_um = voxel_size_um(image)
        self._spans = (
            z_um * level.scale.z * chosen.z_step,
            y_um * level.scale.y * step,
            x_um * level.scale.x * step,
        )
        corner = level.corner(chosen.z_step, step)
        first = self._look_of_volume.planes_of(image.n_z).start
        self._begin = (
            corner.x * x_um,
            corner.y * y_um,
            (corner.z + zs.start * level.scale.z - first) * z_um,
        )
        found = ViewPixels(image, chosen.number, None)
        for c in channels:
            voxels, n, why = self._read_channel(place, own.index(c), chosen, zs, shape)
            name = image.channels[own.index(c)].name
            if voxels is not None:
                found.pixels[c] = voxels
            if voxels is None:
                found.missing[c] = why
            elif n < len(zs):
                found.missing[c] = f"{name}: volume of {n} of {len(zs)} planes: the others are {OTHERS}"
        return found

    def _read_channel(
        self,
        place: ShownPlace,
        own_c: int,
        chosen: StackResolution,
        zs: range,
        shape: tuple[int, int, int],
    ) -> tuple[np.ndarray | None, int, str]:
        """The voxels of a channel, of how many planes, and why there are none."""
        voxels, n, why = None, 0, "this stack has no planes"
        for i, z in enumerate(zs):
            self._going_on()
            try:
                plane = self._dataset.plane(place.t, place.p, own_c, z, level=chosen.number)
            except PlaneNotStoredError as error:
                why = str(error)
                continue
            part = plane[:: chosen.step, :: chosen.step]
            if part.shape != shape[1:]:
                why = of_another_size(part.shape, self.resolution).reason
                continue
            if voxels is None:
                voxels = np.zeros(shape, part.dtype)
            copy_into(voxels[i], part)
            n += 1
        return voxels, n, why

    def _planes(self, p: int, image: ImageInfo, chosen: StackResolution) -> range:
        planes = self._look_of_volume.planes_of(image.n_z)
        first, last = (self._dataset.z_at(p, z, chosen.number) for z in (planes.start, planes.stop - 1))
        return range(first, last + 1, chosen.z_step)
