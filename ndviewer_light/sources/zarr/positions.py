"""What an image says of the position it belongs to: its name, and where on the stage it is.

That is known only once the image has been read; a plate of 10,000 wells is not read for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...metadata import ngff, scenes
from ...storage.about_files import about_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import PlacedWarning, Position
    from .image_locations import ImageLocation
    from .nodes import ZarrImage

FEW = 512
"""Up to this many positions, a new one is reported at once; beyond that, several together."""

BATCH = 64


def described(place: ImageLocation, image: ZarrImage) -> Position:
    """The position with what its image adds; the same object if that is nothing.

    The stage coordinates of the host or of the experiment come first, those in the OME-XML of all images
    last. The name in the multiscales metadata
    replaces that of a mere number in a list of images.
    """
    position = place.position
    if image.has("p"):
        return position
    known = position.x_um, position.y_um, position.z_um
    if known == (None, None, None) or (place.said is not None and known == place.said.position_um):
        x, y, z = _place_um(place, image)
        if (x, y, z) != (None, None, None):
            position = position._replace(x_um=x, y_um=y, z_um=z)
    name = image.meta.name.strip("/")
    if name and name != position.name and position.is_unnamed:
        position = position._replace(name=name)
    return position


def _place_um(place: ImageLocation, image: ZarrImage) -> tuple[float | None, float | None, float | None]:
    if place.scene is None:
        return ngff.stage_position_um(image.meta)
    return scenes.placed_um(image.meta, place.scene.ways, place.scene.axes)


def not_known(place: ImageLocation, image: ZarrImage, p: int) -> tuple[PlacedWarning, ...]:
    """What is not known or not drawn of where an image lies in its scene."""
    if place.scene is None:
        return ()
    said = scenes.unlike_scene(image.meta, place.scene.ways, place.scene.axes, place.store)
    return tuple(about_file(each, place.store, p=p) for each in said)


class DescribedPositions:
    """Collects what images say of their positions until it is worth telling. Not thread-safe."""

    def __init__(self) -> None:
        self._pending: dict[int, Position] = {}

    def add(self, p: int, place: ImageLocation, image: ZarrImage) -> None:
        """Note what the image of position `p` says."""
        found = described(place, image)
        if found is not place.position:
            self._pending[p] = found

    def take(self, places: tuple[ImageLocation, ...], *, all_of_them: bool = False) -> Mapping[int, Position]:
        """What to tell now; {} as long as it would cost more than it is worth."""
        if not all_of_them and len(places) > FEW and len(self._pending) < BATCH:
            return {}
        pending, self._pending = self._pending, {}
        return pending
