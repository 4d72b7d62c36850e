"""Where the images of an OME-Zarr dataset are: what `layouts` finds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ...model import Position

if TYPE_CHECKING:
    from ...errors import DatasetError
    from ...metadata.named_axes import Axis
    from ...metadata.ome_xml import OmeSeries
    from ...metadata.scenes import WayInScene


class ImageLocation(NamedTuple):
    """One position: the folder of its image group or array, and its index along the position axis, if any.

    The folder is `path` and `name` together: the first is one text for all fields of a well. `said` is what
    a file for all images says of it; what its own metadata says comes first. `scene` is where it lies among
    the images of a scene. `refused` is why the path it is given by is not followed: nothing is read at
    `store` then, which only tells it from others.
    """

    position: Position
    path: str
    p_index: int | None = None
    said: OmeSeries | None = None
    scene: PlaceInScene | None = None
    name: str = ""
    refused: DatasetError | None = None

    def check(self) -> None:
        """Raise why its path is not followed, if it is not."""
        if self.refused is not None:
            raise type(self.refused)(str(self.refused))

    @property
    def store(self) -> str:
        """The folder of its image group or array."""
        return self.path + self.name


# a plate has ten thousand of each: a third of the time that `_make` takes
new_position = partial(tuple.__new__, Position)
new_location = partial(tuple.__new__, ImageLocation)


class PlaceInScene(NamedTuple):
    """The ways from an image's coordinate systems to that of its scene, and the axes of that."""

    ways: tuple[WayInScene, ...]
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class DatasetLayout:
    """All positions of a dataset in order, and what kind of dataset it is."""

    format: str
    places: tuple[ImageLocation, ...]
    warnings: tuple[str, ...] = ()
    objective: str = ""
    choices: tuple[str, ...] = ()
    """The paths of all arrays that it may mean, that which is shown first; () if there is one."""
    empty_wells: tuple[str, ...] = ()
    """The wells that a plate lists and in which no image was found."""
