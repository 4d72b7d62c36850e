"""Opening a dataset by one of its images: the first that exists and can be shown."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING

from ...errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ...metadata.guessed_axes import other_axes
from ...model import DatasetInfo, Interpretation, how_many
from ...storage.about_files import with_position
from . import layouts
from .image_facts import image_info, learned_info, names_said
from .label_images import label_images

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree
    from .image_locations import DatasetLayout
    from .nodes import ZarrImage

_MAX_UNREADABLE_IMAGES = 16
"""How many images that cannot be shown are passed over in search of one that can."""


def first_image(layout: DatasetLayout, tree: Tree) -> tuple[int, ZarrImage]:
    """The first image that exists and can be shown, and its position.

    Raises `DatasetNotFoundError` if none has been written, else the error of the first that cannot be shown.
    """
    errors: list[DatasetError] = []
    for p, place in enumerate(layout.places):
        try:
            place.check()
            return p, layouts.read_image(place.store, 0, tree)
        except PlaneNotStoredError:
            continue  # planned, not written yet
        except DatasetError as error:
            errors.append(error)
            if len(errors) == _MAX_UNREADABLE_IMAGES:
                break
    if errors:
        raise errors[0]
    raise DatasetNotFoundError(
        f"{tree.root} lists {how_many(len(layout.places), 'image')} ({layout.format}), nothing of which is "
        "written yet"
    )


def opened_info(path: str, layout: DatasetLayout, p: int, image: ZarrImage, tree: Tree) -> DatasetInfo:
    """What is known of a dataset opened at `path` once the image of position `p` has been read."""
    positions = tuple(map(attrgetter("position"), layout.places))
    info = DatasetInfo(
        layout.format, positions, (), 1, 1, 1, 1, None, name=tree.title, objective=layout.objective
    )
    learned = learned_info(info, image, image_info(image, names_said(layout.places[p].said)))
    others: tuple[Interpretation, ...] = ()
    if image.guess is not None:
        others = other_axes(image.facts.shape, [axis.role for axis in image.guess])
    of_image = tuple(with_position(each, p if len(positions) > 1 else None) for each in image.warnings)
    info = dataclasses.replace(learned, warnings=layout.warnings + of_image, interpretations=others)
    labels = label_images(path, layout.places[p].store, tree)
    choices = layout.choices or ((path, *labels) if labels else ())
    return dataclasses.replace(info, labels=labels, choices=choices, empty_wells=layout.empty_wells)
