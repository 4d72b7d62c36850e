"""Where the picture is on screen, and at which scale: between pixels of the data, µm, and the window.

World coordinates of the canvas are µm of level 0, with its first pixel's corner at the origin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...rendering.volume_rays import FIRST_SIGHT, VolumeSight
from ...views.visible_area import VisibleArea
from .view_frames import voxel_size
from .zoom import FIT_MARGIN, Projection, Scene

if TYPE_CHECKING:
    from collections.abc import Hashable

    from qtpy.QtCore import QPointF
    from qtpy.QtWidgets import QWidget

    from ...model import ImageInfo
    from ...rendering.volume_rays import Xyz
    from .view_frames import Frame, ViewFrames

Span = tuple[float, float]
"""From and to, in µm."""
_NO_MARGIN = 1e-9  # vispy takes 0 for "not given" and adds 0.1 world units


class Camera(Protocol):
    """What of the world is seen; an ndv canvas is one. Places are µm, those of the window logical pixels."""

    def canvas_to_world(self, pos_xy: tuple[float, float]) -> tuple[float, float, float]:
        """The place (x, y, z) below a point of the window."""

    def set_range(self, x: Span | None = None, y: Span | None = None, *, margin: float = FIT_MARGIN) -> None:
        """See this part, and `margin` of its size more at each side; None: all there is, or as before."""

    def refresh(self) -> None:
        """Draw it again."""


class Drawn(Protocol):
    """What draws the picture; None while there is nothing of that kind."""

    @property
    def camera(self) -> Camera | None:
        """What of it is seen."""

    @property
    def frames(self) -> ViewFrames | None:
        """What it draws."""

    @property
    def surface(self) -> QWidget | None:
        """The widget in which it draws."""

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See a volume from another side: the rows of `axes` point right, ahead and up on screen.

        `center` (x, y, z) is in the middle of the window, whose shorter edge spans `edge`.
        """


class Sight:
    """The part of the picture that is in sight. GUI thread only."""

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn
        self.is_turned = False
        """Whether the user has moved the volume on screen; a flat picture says itself where it is."""

    # ---- the picture -----------------------------------------------------------------------

    @property
    def _frame(self) -> Frame | None:
        frames = self._drawn.frames
        return frames.frame if frames is not None else None

    def _image(self) -> ImageInfo:
        """What the picture shows; the first image until there is one."""
        frames = self._drawn.frames
        assert frames is not None
        frame = frames.frame
        if frame is not None and frame.image is not None:
            return frame.image
        info = frames.dataset.info
        return info.groups[0] if frame is None else info.image(frame.view.p)

    def voxel_size(self) -> dict[Hashable, float]:
        """µm along z, y, x of the picture; there is a dataset."""
        return voxel_size(self._image())

    def extent(self) -> tuple[object, ...] | None:
        """The size of the picture in pixels and in µm; None while it is not known."""
        frame = self._frame
        if frame is None or frame.image is None:
            return None
        size = self.voxel_size()
        return frame.image.height, frame.image.width, size["y"], size["x"]

    def scene(self) -> Scene | None:
        """What the picture is shown in; None in a volume, and while there is no picture."""
        frame, surface = self._frame, self._drawn.surface
        if frame is None or frame.image is None or surface is None or frame.view.is_volume:
            return None
        size, image = self.voxel_size(), frame.image
        height, width = image.height * size["y"], image.width * size["x"]
        return Scene(height, width, size["x"], surface.height(), surface.width())

    # ---- what of it is in sight ------------------------------------------------------------

    def reset_view(self) -> None:
        """Fit the picture to the window; see a volume as it is seen at first."""
        camera = self._drawn.camera
        if camera is None:
            return
        first = self._first_of_volume()
        if first is not None:
            self._drawn.turn_camera(*first)
            self.is_turned = False
            return
        x, y = self._edges()
        camera.set_range(x=x, y=y, margin=FIT_MARGIN)
        camera.refresh()
        self.is_turned = False

    def show_area(self, area: VisibleArea) -> None:
        """Show this part of the picture; if that is all of it, also after the window has another size."""
        camera, scene = self._drawn.camera, self.scene()
        if scene is not None and scene.is_fitting(area):
            self.reset_view()
        elif camera is not None:
            camera.set_range(x=area.x, y=area.y, margin=_NO_MARGIN)
            camera.refresh()

    def visible_area(self) -> VisibleArea | None:
        """The part of the picture on screen in 2-D (µm), None in a volume."""
        camera, surface, frames = self._drawn.camera, self._drawn.surface, self._drawn.frames
        if camera is None or surface is None or frames is None or frames.view.is_volume:
            return None
        to_world = camera.canvas_to_world
        left, top, _ = to_world((0, 0))
        right, bottom, _ = to_world((surface.width(), surface.height()))
        return VisibleArea((float(left), float(right)), (float(top), float(bottom)))

    def projection(self) -> Projection | None:
        """How the plane lies on screen; None in a volume, and while there is no picture."""
        scene, area = self.scene(), self.visible_area()
        if scene is None or area is None:
            return None
        size = self.voxel_size()
        return Projection(area.x[0], area.y[0], scene.scale_of(area), size["y"], size["x"])

    @property
    def is_fitting(self) -> bool:
        """Whether the whole picture fills the window, as after `reset_view`; also while there is none."""
        return self.fit_and_scale()[0]

    def fit_and_scale(self) -> tuple[bool, float | None]:
        """`is_fitting` and `um_per_screen_pixel`, for half the price of both."""
        scene, area = self.scene(), self.visible_area()
        if scene is None or area is None:
            return not self.is_turned, self._um_per_pixel_of_volume()
        return scene.is_fitting(area), scene.scale_of(area) or None if self._is_to_scale else None

    def volume_scale(self) -> tuple[float, float] | None:
        """µm per screen pixel of a volume, now and where it fits; None if there is no volume."""
        camera, surface, frame = self._drawn.camera, self._drawn.surface, self._frame
        if camera is None or surface is None or frame is None or frame.image is None:
            return None
        size, to_world = self.voxel_size(), camera.canvas_to_world
        steps = (b - a for a, b in zip(to_world((0, 0)), to_world((100, 0)), strict=True))
        longest = max(frame.image.height * size["y"], frame.image.width * size["x"])
        fit = longest * (1 + 2 * FIT_MARGIN) / max(min(surface.height(), surface.width()), 1)
        return math.hypot(*map(float, steps)) / 100, fit

    def volume_sight(self, *, of_part: bool) -> VolumeSight | None:
        """From where a volume is seen, of all of it or of the part in the window; None without a volume."""
        camera, surface, middle = self._drawn.camera, self._drawn.surface, self._middle_of_volume()
        if camera is None or surface is None or middle is None:
            return None
        width, height = surface.width(), surface.height()
        corner, right_end, low_end, opposite = (
            np.array(camera.canvas_to_world(place))
            for place in ((0, 0), (width, 0), (0, height), (width, height))
        )
        right, down = right_end - corner, low_end - corner
        across, along = float(np.linalg.norm(right)), float(np.linalg.norm(down))
        if not across or not along:
            return None
        right, down = right / across, down / along
        found = VolumeSight(_xyz(right), _xyz(down))
        if not of_part:
            return found
        off = middle - (corner + opposite) / 2
        return found._replace(off_middle=(float(off @ right), float(off @ down)), width=across, height=along)

    def camera_of(self, sight: VolumeSight) -> tuple[np.ndarray, np.ndarray, float] | None:
        """What `VispyScene.turn_camera` takes to see all that `sight` has in it; None without a volume."""
        surface, middle = self._drawn.surface, self._middle_of_volume()
        if surface is None or middle is None or sight.width is None or sight.height is None:
            return None
        columns, rows = max(surface.width(), 1), max(surface.height(), 1)
        um_per_px = max(sight.width / columns, sight.height / rows)
        right, down = np.array(sight.right), np.array(sight.down)
        center = middle - sight.off_middle[0] * right - sight.off_middle[1] * down
        axes = np.array([right, sight.into, -down])
        return axes, center, um_per_px * min(columns, rows)

    def _first_of_volume(self) -> tuple[np.ndarray, np.ndarray, float] | None:
        """How a volume is seen at first, as `camera_of` has it; None without a volume."""
        middle = self._middle_of_volume()
        if middle is None:
            return None
        x, y, z = (2 * middle).tolist()
        width, height = (edge * (1 + 2 * FIT_MARGIN) for edge in FIRST_SIGHT.edges((x, y, z)))
        return self.camera_of(FIRST_SIGHT._replace(width=width, height=height))

    def _middle_of_volume(self) -> np.ndarray | None:
        """The middle of the volume (x, y, z) in µm; None if none is shown."""
        frame = self._frame
        if frame is None or frame.image is None or not frame.view.is_volume:
            return None
        size, image = self.voxel_size(), frame.image
        n_z = len(frame.view.planes_of(image.n_z))
        return np.array([image.width * size["x"], image.height * size["y"], n_z * size["z"]]) / 2

    def pixel_at(self, place: QPointF) -> tuple[int, int] | None:
        """Row and column of the pixel (of level 0) at a place of the window, in or outside the picture."""
        camera = self._drawn.camera
        if camera is None or self._drawn.frames is None:
            return None
        x, y, _ = camera.canvas_to_world((place.x(), place.y()))
        size = self.voxel_size()
        return int(y // size["y"]), int(x // size["x"])

    def um_per_screen_pixel(self) -> float | None:
        """How many µm one logical screen pixel spans; None if unknown."""
        return self.fit_and_scale()[1]

    @property
    def _is_to_scale(self) -> bool:
        frame = self._frame
        return frame is not None and frame.image is not None and frame.image.pixel_size_um is not None

    def _um_per_pixel_of_volume(self) -> float | None:
        frame, scale = self._frame, self.volume_scale()
        if frame is None or not frame.view.is_volume or scale is None or not self._is_to_scale:
            return None
        return scale[0] or None

    def _edges(self) -> tuple[Span | None, Span | None]:
        """Where the picture begins and ends along x and y in µm; None leaves it to ndv, as in a volume.

        ndv would include channels that are not drawn, which keep the picture of another position.
        """
        frame = self._frame
        if frame is None or frame.image is None or frame.view.is_volume:
            return None, None
        size = self.voxel_size()
        return (0.0, frame.image.width * size["x"]), (0.0, frame.image.height * size["y"])


def _xyz(vector: np.ndarray) -> Xyz:
    x, y, z = vector.tolist()
    return x, y, z
