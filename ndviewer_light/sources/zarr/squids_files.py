"""What Squid writes beside the stores of an experiment: the objective, where its fields are on the stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...metadata.squid import (
    COORDINATES_FILE,
    Parameters,
    coordinates_read,
    parameter_files,
    parameters_read,
)

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree
    from .image_locations import DatasetLayout


def with_what_squid_says(layout: DatasetLayout, path: str, tree: Tree) -> DatasetLayout:
    """The layout with the objective and stage coordinates written beside the stores of an experiment.

    On a server, with the coordinates, if it says that there are any.
    """
    names = set(tree.names(path)) if tree.remote else set()

    def read(file: str) -> bytes | None:
        is_there = tree.name(file) in names if tree.remote else tree.is_file(file)
        return tree.read_small(file) if is_there else None

    file = tree.join(path, COORDINATES_FILE)
    planned = coordinates_read(lambda: read(file), file)
    said = Parameters() if tree.remote else parameters_read(read, parameter_files(path))
    faults = said.warnings(() if said.objective else ("objective",))
    warnings = (*layout.warnings, *filter(None, [planned.warning]), *faults)
    layout = replace(layout, objective=said.objective, warnings=warnings)
    if not planned.by_fov:
        return layout
    places = []
    for place in layout.places:
        region, fov, *_ = position = place.position
        x, y, z = planned.by_fov.get((region, fov), (None, None, None))
        places.append(place._replace(position=position._replace(x_um=x, y_um=y, z_um=z)))
    return replace(layout, places=tuple(places))
