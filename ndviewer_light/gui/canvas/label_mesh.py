"""How vispy draws the surfaces of labels over the volumes of an ndv canvas. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vispy import scene
from vispy.visuals.transforms import STTransform

if TYPE_CHECKING:
    from ...rendering.label_surfaces import LabelSurface
    from .ndv_pictures import ChannelPictures

_AFTER_VOLUMES = 10  # vispy draws what has a higher order later


class LabelMesh:
    """The surfaces of labels where the volumes are, or nothing."""

    def __init__(self, pictures: ChannelPictures) -> None:
        self._pictures = pictures
        self._mesh: Any = None
        self._surface: LabelSurface | None = None

    @property
    def visual(self) -> Any:
        """What vispy draws; None while nothing is to be seen."""
        return self._mesh if self._mesh is not None and self._mesh.visible else None

    def show(self, surface: LabelSurface | None, voxel_um: tuple[float, float, float]) -> None:
        """Draw a surface of an image whose voxels are as large as this (x, y, z); None: nothing."""
        if surface is None:
            if self._mesh is not None and self._mesh.visible:
                self._mesh.visible = False
            return
        if self._mesh is None:
            self._mesh = scene.visuals.Mesh(parent=self._pictures.world)
            self._mesh.set_gl_state("translucent", depth_test=True, cull_face="back")
            self._mesh.order, self._mesh.interactive = _AFTER_VOLUMES, False
            self._surface = None
        if self._surface is not surface:
            self._surface = surface
            self._mesh.set_data(surface.corners, surface.triangles, vertex_colors=surface.colours)
        if self._mesh.transform is None or tuple(getattr(self._mesh.transform, "scale", ())[:3]) != voxel_um:
            self._mesh.transform = STTransform(scale=voxel_um)
        self._mesh.visible = True
