"""Pictures of a volume for a window in which no graphics card draws, made in a thread.

While it is turned, voxels are taken together, so that a picture takes a bearable time; how many is learned
from how long pictures took.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...rendering.label_picture import laid_over
from ...rendering.surface_picture import surface_seen
from ...rendering.volume_layers import VolumeLayer, VolumePlace, box_edges, coarser, volumes_seen
from ...rendering.volume_rays import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...rendering.label_surfaces import LabelSurface
    from ...rendering.volume_rays import SeenVolume, VolumeSight, Xyz
    from .drawn_channels import DrawnLook

logger = logging.getLogger(__name__)

VOXELS_TOGETHER = (1, 2, 3, 4, 6, 8)
"""So many voxels along each axis are taken together."""
_SECONDS_PER_VOXEL = {"max": 1e-9, "attenuated": 1e-8, "surface": 1e-8}
"""Until it has been measured."""


class RayScene(NamedTuple):
    """What is drawn: voxels (Z, Y, X) by channel, of `spans` (z, y, x), which begin at `begin` (x, y, z).

    In the box from the origin to `box_um` (x, y, z); all in µm. `looks` have limits of the voxels. The
    `surface` of labels is laid over it, with voxels of `voxel_um` (x, y, z).
    """

    voxels: Mapping[int, np.ndarray]
    spans: tuple[float, float, float]
    begin: Xyz
    box_um: Xyz
    looks: Mapping[int, DrawnLook]
    method: str
    surface: LabelSurface | None
    voxel_um: Xyz

    @property
    def middle(self) -> Xyz:
        """That of the box."""
        x, y, z = (edge / 2 for edge in self.box_um)
        return x, y, z

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the voxels: z, y, x."""
        z, y, x = next((voxels.shape for voxels in self.voxels.values()), (0, 0, 0))
        return z, y, x

    @property
    def drawn(self) -> tuple[int, ...]:
        """The channels of which something is drawn."""
        return tuple(c for c, voxels in self.voxels.items() if self.looks[c].is_on and voxels.size)


class RayWanted(NamedTuple):
    """A picture of the scene with this number, of so many device pixels, from voxels taken together."""

    number: int
    sight: VolumeSight
    rows: int
    columns: int
    step: int


class RayPicture(NamedTuple):
    """`pixels` (Y, X, 4) uint8: blue, green, red, 255; None if it was given up, or could not be made.

    `edges` are those of the box in it: from x, y to x, y.
    """

    of: RayWanted
    pixels: np.ndarray | None
    edges: tuple[tuple[float, float, float, float], ...] = ()
    has_failed: bool = False


class _GivenUpError(Exception):
    """Another picture is wanted by now."""


class RayPictures:
    """Makes pictures of volumes: `make` in any thread, one at a time, all else on the GUI thread."""

    def __init__(self) -> None:
        self.wanted: RayWanted | None = None
        """What is to be made; what else is being made is given up."""
        self._volumes: dict[tuple[int, bool], tuple[np.ndarray, int, Volume]] = {}
        """By channel, and whether voxels were taken together: of which voxels, by how many."""
        self._seconds: dict[tuple[str, int], float] = {}
        """For each voxel that was read, by method and step."""
        self._found: tuple[tuple[object, ...], dict[int, SeenVolume]] = (), {}

    def forget(self) -> None:
        """Keep nothing of what was drawn; while nothing is made."""
        self._volumes, self._found = {}, ((), {})

    def step_for(self, scene: RayScene, seconds: float) -> int:
        """How many voxels are taken together so that a picture takes so long at most, as far as is known."""
        n = sum(scene.voxels[c].size for c in scene.drawn)
        fitting = (step for step in VOXELS_TOGETHER if n * self._expected(scene.method, step) <= seconds)
        return next(fitting, VOXELS_TOGETHER[-1])

    def is_known(self, scene: RayScene, wanted: RayWanted) -> bool:
        """Whether only colours have changed since what was seen last, so that a picture takes no time."""
        return self._same(self._found[0], _seen_of(scene, wanted))

    @staticmethod
    def _same(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
        return len(a) == len(b) and a[0] is b[0] and a[1:] == b[1:]

    def _expected(self, method: str, step: int) -> float:
        known = {s: seconds for (how, s), seconds in self._seconds.items() if how == method}
        if not known:
            return _SECONDS_PER_VOXEL[method] / step**3
        nearest = max((s for s in known if s <= step), default=min(known))
        return known[nearest] * (nearest / step) ** 3

    def make(self, scene: RayScene, wanted: RayWanted) -> RayPicture:
        """Make a picture. Never raises."""
        try:
            edges = tuple(box_edges(wanted.sight, self._place(scene, wanted, None)))
            return RayPicture(wanted, self._made(scene, wanted), edges)
        except _GivenUpError:
            return RayPicture(wanted, None)
        except Exception:
            logger.exception("drawing a volume")
            return RayPicture(wanted, None, has_failed=True)

    def _made(self, scene: RayScene, wanted: RayWanted) -> np.ndarray:
        def go_on() -> None:
            if self.wanted is not wanted:
                raise _GivenUpError

        key = _seen_of(scene, wanted)
        if not self._same(self._found[0], key):
            self._found = key, {}
        found = self._found[1]
        is_new, layers = not found, {}
        for c in scene.drawn:
            limits, colormap, gamma = scene.looks[c].limits, scene.looks[c].colormap, scene.looks[c].gamma
            layers[c] = VolumeLayer(self._volume(c, scene, wanted.step), limits, colormap, gamma)
            go_on()
        begun = time.monotonic()
        place = self._place(scene, wanted, next((each.volume for each in layers.values()), None))
        pixels = volumes_seen(layers, wanted.sight, place, scene.method, found, go_on, has_box=False)
        if scene.surface is not None:
            size = wanted.columns, wanted.rows
            args = scene.voxel_um, scene.middle, size, place.um_per_px
            pixels = laid_over(pixels, surface_seen(scene.surface, wanted.sight, *args))
        n = sum(scene.voxels[c].size for c in scene.drawn)
        if is_new and n:
            self._learn((scene.method, wanted.step), (time.monotonic() - begun) / n)
        picture = np.full((*pixels.shape[:2], 4), 255, np.uint8)
        picture[..., :3] = pixels[..., ::-1]
        return picture

    def _learn(self, what: tuple[str, int], seconds: float) -> None:
        before = self._seconds.get(what, seconds)  # one that took long for once says little
        self._seconds[what] = (before + min(seconds, 2 * before)) / 2

    def _volume(self, c: int, scene: RayScene, step: int) -> Volume:
        voxels, which = scene.voxels[c], (c, step > 1)
        kept = self._volumes.get(which)
        if kept is not None and kept[0] is voxels and kept[1] == step:
            return kept[2]
        self._volumes.pop(which, None)  # first: each may be as large as the voxels
        z, y, x = scene.spans
        volume = Volume(coarser(voxels, step), (z * step, y * step, x * step), step)
        self._volumes[which] = voxels, step, volume
        return volume

    @staticmethod
    def _place(scene: RayScene, wanted: RayWanted, volume: Volume | None) -> VolumePlace:
        width_um = wanted.sight.width
        assert width_um is not None
        x = y = z = 0.0
        if volume is not None:
            ends = zip(scene.begin, volume.size, scene.middle, strict=True)
            x, y, z = (begin + size / 2 - middle for begin, size, middle in ends)
        return VolumePlace(wanted.columns, wanted.rows, width_um / wanted.columns, scene.box_um, (x, y, z))


def _seen_of(scene: RayScene, wanted: RayWanted) -> tuple[object, ...]:
    """What decides what is seen of each channel, without its colours."""
    limits = () if scene.method == "max" else tuple(scene.looks[c].limits for c in scene.drawn)
    return scene.voxels, scene.method, limits, scene.drawn, scene.begin, *wanted[1:]
