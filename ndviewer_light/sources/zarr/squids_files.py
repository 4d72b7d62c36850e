"""What Squid writes beside the stores of an experiment: the objective, where its fields are on the stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata.squid import (
    COORDINATES_FILE,
    Coordinates,
    acquisition_parameters,
    coordinates,
    coordinates_in,
)

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree
    from .image_locations import DatasetLayout


def with_what_squid_says(layout: DatasetLayout, path: str, tree: Tree) -> DatasetLayout:
    """The layout with the objective and stage coordinates written beside the stores of an experiment.

    On a server, with the coordinates, if it says that there are any.
    """
    if tree.remote:
        planned = _coordinates_on_server(path, tree)
    else:
        layout = replace(layout, objective=acquisition_parameters(path, tree.links(path)).objective)
        planned = coordinates(path, tree.links(path))
    if not planned.by_fov:
        return replace(layout, warnings=(*layout.warnings, planned.warning)) if planned.warning else layout
    places = []
    for place in layout.places:
        region, fov, *_ = position = place.position
        x, y, z = planned.by_fov.get((region, fov), (None, None, None))
        places.append(place._replace(position=position._replace(x_um=x, y_um=y, z_um=z)))
    return replace(layout, places=tuple(places))


def _coordinates_on_server(path: str, tree: Tree) -> Coordinates:
    if COORDINATES_FILE not in tree.names(path):
        return Coordinates({})
    file = tree.join(path, COORDINATES_FILE)
    try:
        raw = tree.read_small(file)
    except DatasetError:
        raw = None
    return coordinates_in(None if raw is None else raw.decode("utf-8-sig", "replace"), file)
