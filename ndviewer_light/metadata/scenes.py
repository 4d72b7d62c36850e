"""Interprets OME-NGFF metadata of scenes: images that share a space; pure functions, no I/O.

Source: OME-NGFF 0.6, "scene" metadata: transformations between the coordinate systems of images, which are
named by the image's path, and those of the scene itself; the scene's first system is the one to show.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError
from ..storage.limits import MAX_POSITIONS, safe_node
from ..storage.printable import brief
from .axes_in_common import is_of_others, roles_of_both, way_of_axes
from .named_axes import Axis, clean, named_axes, unit_factor
from .ngff import find, in_um, listed, on_stage
from .transformations import AlongAxes, TransformationStep, along_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..storage.limits import JsonObject
    from .ngff import ImageMeta

    System = tuple[str, str]  # the path of the image, "" for the scene itself, and the name


class SceneImages(NamedTuple):
    """The images of a scene in the order in which they are mentioned; the axes of its system, if any.

    `refused` is why others are left out: they have invalid paths.
    """

    images: tuple[ImageInScene, ...]
    axes: tuple[Axis, ...]
    refused: tuple[str, ...] = ()


class WayInScene(NamedTuple):
    """The way from one of the coordinate systems of an image to that of the scene."""

    system: str
    steps: tuple[TransformationStep, ...]


class ImageInScene(NamedTuple):
    """One image: its path, and the ways from its own coordinate systems to that of the scene, the shortest
    first.

    There is none if no chain of transformations leads there.
    """

    path: str
    ways: tuple[WayInScene, ...]


def is_scene(attributes: JsonObject) -> bool:
    """Whether these attributes describe a scene."""
    return isinstance(find(attributes, ("scene",)), dict)


def scene(attributes: JsonObject, where: str) -> SceneImages:
    """The images of a scene and how they lie; one that lies outside is left out. Raises nothing."""
    told = find(attributes, ("scene",))
    told = told if isinstance(told, dict) else {}
    systems = [each for each in listed(told.get("coordinateSystems")) if isinstance(each, dict)]
    ways: dict[System, list[tuple[System, TransformationStep]]] = defaultdict(list)
    images: dict[str, None] = {}
    ends: list[System] = []
    refused: dict[str, None] = {}
    for transform in listed(told.get("coordinateTransformations"))[:MAX_POSITIONS]:
        if not isinstance(transform, dict):
            continue
        try:
            start, end = (_system(transform.get(key), where) for key in ("input", "output"))
        except DatasetError as error:
            refused[str(error)] = None
            continue
        ends.append(end)
        ways[start].append((end, TransformationStep(transform, False)))
        ways[end].append((start, TransformationStep(transform, True)))
        images.update((path, None) for path, _ in (start, end) if path)
    shown = ("", clean(systems[0].get("name"))) if systems else ends[0] if ends else ("", "")
    found = _ways_to(shown, ways)
    return SceneImages(
        tuple(ImageInScene(path, _ways_from(path, found)) for path in images),
        _axes_of(systems, where),
        tuple(refused),
    )


def _axes_of(systems: Sequence[JsonObject], where: str) -> tuple[Axis, ...]:
    try:
        return named_axes(systems[0].get("axes"), where) or () if systems else ()
    except DatasetError:  # only their units are of interest
        return ()


def _system(value: object, where: str) -> System:
    path = value.get("path") if isinstance(value, dict) else None
    return (safe_node(path, where) if path is not None else ""), _name_of(value)


def _ways_to(
    shown: System, ways: dict[System, list[tuple[System, TransformationStep]]]
) -> dict[System, tuple[TransformationStep, ...]]:
    """The shortest way from each system to the one shown."""
    found: dict[System, tuple[TransformationStep, ...]] = {shown: ()}
    waiting = deque([shown])
    while waiting:
        here = waiting.popleft()
        for other, link in ways[here]:
            if other not in found:
                found[other] = (TransformationStep(link.transform, not link.is_inverse), *found[here])
                waiting.append(other)
    return found


def _ways_from(path: str, found: dict[System, tuple[TransformationStep, ...]]) -> tuple[WayInScene, ...]:
    return tuple(WayInScene(name, way) for (image, name), way in found.items() if image == path)


def _whole_way(meta: ImageMeta, ways: Sequence[WayInScene]) -> list[TransformationStep]:
    """The way from the system that an image's levels are in, by its other systems where it leads on there."""
    into = {way.system: way.steps for way in reversed(ways)}
    known: dict[str, list[TransformationStep]] = {meta.system: []}
    waiting = deque([meta.system])
    while waiting:
        here = waiting.popleft()
        if here in into:
            return [*known[here], *into[here]]
        for transform in meta.onward:
            start, end = (_name_of(transform.get(key)) for key in ("input", "output"))
            for other, is_inverse in ((end, False), (start, True)):
                if here == (end if is_inverse else start) and other not in known:
                    known[other] = [*known[here], TransformationStep(transform, is_inverse)]
                    waiting.append(other)
    return list(ways[0].steps) if ways else []


def _name_of(system: object) -> str:
    return clean(system.get("name") if isinstance(system, dict) else system)


def placed_um(
    meta: ImageMeta, ways: Sequence[WayInScene], units: Sequence[Axis]
) -> tuple[float | None, float | None, float | None]:
    """Where an image of a scene lies along x, y and z in µm; `units` are the axes of the scene's system.

    What nothing moves lies at the origin; nobody knows where an image lies that has other axes than the
    transformations that lead into the scene.
    """
    axes = meta.axes or ()
    factors = [unit_factor(axis) or 1.0 for axis in axes]
    origins = meta.translations[0] if meta.translations else (None,) * len(axes)
    at = [(each or 0.0) / factor for each, factor in zip(origins, factors, strict=True)]
    order = meta.order or range(len(axes))
    of_scene = [axes[i] for i in order]
    way = _whole_way(meta, ways)
    if len(units) not in (0, len(axes)):
        roles, others = [axis.role for axis in of_scene], [unit.role for unit in units]
        fitted = way_of_axes(way, roles, others)
        if fitted is None:
            return None, None, None
        way = fitted
        unit_of = {unit.role: unit for unit in units}
        of_scene = [axis._replace(unit=unit_of.get(axis.role, axis).unit) for axis in of_scene]
        of_scene += [unit_of[role] for role in roles_of_both(roles, others)[len(roles) :]]
    there = AlongAxes.nothing(len(of_scene))
    there.origin[: len(order)] = [at[i] for i in order]
    there = there.then(_along_way(way, len(of_scene), []))
    if len(units) == len(axes):
        of_scene = [
            unit if unit.role else axis._replace(unit=unit.unit)
            for axis, unit in zip(of_scene, units, strict=True)
        ]
    found = in_um(there.origin, of_scene)
    by_role = {axis.role: each for axis, each in zip(of_scene, found, strict=True)}
    x, y, z = (by_role.get(role) for role in "xyz")
    return on_stage(x), on_stage(y), on_stage(z)


def not_drawn(image: ImageInScene, axes: Sequence[Axis], where: str) -> tuple[str, ...]:
    """What of the way of an image into a scene with these axes is not drawn."""
    said: list[str] = []
    way = image.ways[0].steps if image.ways else ()
    if any(is_of_others(step.transform, len(axes)) for step in way):
        return ()  # it may have other axes than its scene: `unlike_scene` tells
    if _along_way(way, len(axes), said, where).exchanges:
        said.append(f"{where}: {brief(image.path)} lies across its scene, and is shown by its own axes")
    return tuple(dict.fromkeys(said))


def unlike_scene(
    meta: ImageMeta, ways: Sequence[WayInScene], units: Sequence[Axis], where: str
) -> tuple[str, ...]:
    """What is not known or not drawn of where an image lies that has other axes than its scene."""
    axes = meta.axes or ()
    if not ways or not units:
        return ()
    said: list[str] = []
    way = _whole_way(meta, ways)
    if len(units) == len(axes):
        if any(is_of_others(step.transform, len(axes)) for step in way):
            _along_way(way, len(axes), said, where)
        return tuple(dict.fromkeys(said))
    roles, others = [axes[i].role for i in meta.order or range(len(axes))], [unit.role for unit in units]
    fitted = way_of_axes(way, roles, others)
    if fitted is None:
        return (
            f"{where}: what leads into its scene is not along the axes that both have, so it is not "
            "known where the image lies",
        )
    _along_way(fitted, len(roles_of_both(roles, others)), said, where)
    return tuple(dict.fromkeys(said))


def _along_way(
    placement: Sequence[TransformationStep], n: int, warnings: list[str], where: str = ""
) -> AlongAxes:
    at = AlongAxes.nothing(n)
    for link in placement:
        step = along_axes([link.transform], n, where, warnings)
        at = at.then(step.inverse() if link.is_inverse else step)
    return at
