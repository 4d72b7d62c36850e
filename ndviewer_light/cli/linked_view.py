"""A link to a view, as the window copies it, in place of a path; options that are given count more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..views.link_scheme import is_view_link

if TYPE_CHECKING:
    import argparse

    from ..engine.dataset import Dataset
    from ..model import ImageInfo
    from ..rendering.contrast import ContrastMode, Limits
    from ..rendering.view_picture import LayerLook, SeenPart
    from ..views.channel_choices import ChannelChoice
    from ..views.saved_view import SavedView

_SUM = "sum"
_LEAST_SHARE = 1e-6
"""Of the overview, along each edge, that is drawn."""


def take_link(options: argparse.Namespace, *, is_film: bool, is_planes: bool) -> SavedView | None:
    """If the path is a link: have what it names there, and what it says in options that were not given.

    Returns its view; None if it is no link. Raises `ValueError` for a link that is damaged. What makes no
    sense for the file that is written (of films, the place along their axis; of planes, volumes) is left out.
    """
    if not is_view_link(options.path):
        return None
    from ..views.view_link import view_in

    options.path, view = view_in(options.path)
    is_field_wanted = options.position is not None or options.volume or options.side_by_side
    if view.overview is not None and not (is_planes or is_field_wanted):
        options.overview = True
    axis = options.axis if is_film else ""
    if axis != "p" and options.position is None:
        options.position = view.position or None
    if axis != "t" and options.t is None:
        options.t = view.t
    is_flat = options.z is not None or is_planes or options.overview or axis == "z"
    if view.volume.is_shown and not options.volume and not is_flat:
        options.volume = str(view.volume)
    if options.z is None and not options.volume and axis != "z":
        options.z = str(view.z) if view.projection is None else str(view.projection)
    if view.split is not None and not options.side_by_side and not is_planes and not options.overview:
        options.side_by_side = view.split.value
    return view


def dataset_in(path_or_link: str) -> str:
    """The path or URL in a link, or itself. Raises `ValueError` for a link that is damaged."""
    if not is_view_link(path_or_link):
        return path_or_link
    from ..views.view_link import view_in

    return view_in(path_or_link)[0]


class LinkedLook:
    """How the view of a link shows a dataset; of no link, everything is left to the dataset."""

    def __init__(self, dataset: Dataset, view: SavedView | None, z: str | None) -> None:
        """`z`: the plane or projection that is drawn instead of that of the view."""
        self._dataset = dataset
        self._view = view
        self._choices: dict[int, ChannelChoice] = {}
        if view is None:
            return
        # limits of sums are of no use for planes, nor the other way round
        was_sum = view.projection is not None and view.projection.how == _SUM
        self._has_limits = was_sum == (z or "").startswith(_SUM)
        usual = dataset.info.usual_dtype
        dtype = None if usual is None else str(usual)
        seen: dict[str, int] = {}
        for c, channel in enumerate(dataset.info.channels):
            nth = seen.get(channel.name, 0)
            seen[channel.name] = nth + 1
            choice = view.channels.get((channel.name, nth))
            if choice is not None:
                self._choices[c] = choice.for_another(dtype)

    @property
    def channels(self) -> list[int] | None:
        """The channels that are on; None where the dataset decides."""
        if not self._choices:
            return None
        info = self._dataset.info.channels
        said = {c: choice.visible for c, choice in self._choices.items()}
        on = [
            c
            for c, channel in enumerate(info)
            if said.get(c, False) or (said.get(c, 0) is None and channel.visible)
        ]
        return on or None

    @property
    def limits(self) -> dict[int, Limits]:
        """The limits of channels that have any."""
        if not self._choices or not self._has_limits:
            return {}
        return {c: choice.limits for c, choice in self._choices.items() if choice.limits is not None}

    @property
    def mode(self) -> ContrastMode | None:
        """What decides about the contrast of the others."""
        modes = (choice.mode for choice in self._choices.values() if choice.limits is None)
        return next((mode for mode in modes if mode is not None and mode.is_automatic), None)

    @property
    def looks(self) -> dict[int, LayerLook]:
        """In which colours, and with which gamma, channels are drawn."""
        from ..rendering.colormaps import chosen_colormap, colormap_of
        from ..rendering.view_picture import LayerLook

        found = {}
        for c, choice in self._choices.items():
            channel = self._dataset.info.channels[c]
            table = colormap_of(channel) if choice.color is None else chosen_colormap(choice.color)
            found[c] = LayerLook(table, choice.gamma or 1.0)
        return found

    def part_of(self, image: ImageInfo) -> SeenPart | None:
        """What is seen of the picture, without what is black around it; None for all of it."""
        from ..rendering.view_picture import SeenPart
        from ..rendering.volume_look import voxel_size_um

        area = None if self._view is None else self._view.area
        if area is None:
            return None
        _, y_um, x_um = voxel_size_um(image)
        width, height = image.width * x_um, image.height * y_um
        left, right = (min(max(x / width, 0.0), 1.0) for x in area.x)
        top, bottom = (min(max(y / height, 0.0), 1.0) for y in area.y)
        is_seen = left < right and top < bottom and (left, top, right, bottom) != (0, 0, 1, 1)
        return SeenPart(left, top, right, bottom) if is_seen else None

    @property
    def edges_of_overview(self) -> tuple[float, float, float, float] | None:
        """What is seen of the overview: left, top, right and bottom in µm, within it; None for all of it."""
        from ..engine.scene import scene_of

        area = None if self._view is None else self._view.overview
        if area is None:
            return None
        whole = scene_of(self._dataset.info).bounds
        left, right = (min(max(x, whole[0]), whole[2]) for x in area.x)
        top, bottom = (min(max(y, whole[1]), whole[3]) for y in area.y)
        least_x, least_y = (_LEAST_SHARE * (whole[i + 2] - whole[i]) for i in (0, 1))
        is_seen = right - left > least_x and bottom - top > least_y
        return (left, top, right, bottom) if is_seen and (left, top, right, bottom) != whole else None
