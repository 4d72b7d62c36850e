"""Chooses the array to show, and its axes, channels and steps.

Described images (OME multiscales, NWB image series) come first, then the largest numeric array.
Pure functions on `References`; nothing is fetched.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import (
    DatasetError,
    DatasetNotFoundError,
    MetadataError,
    UnsupportedError,
)
from ...metadata import ngff
from ...metadata.guessed_axes import LEAST_IN_COLOUR
from ...metadata.named_axes import clean
from ...metadata.ngff_levels import finest_first
from ...metadata.nwb_contents import NwbImagePath, in_order
from ...model import (
    RGB_COLORS,
    Channel,
    Position,
    channel_parts,
    channels_shown,
    how_many,
)
from ...storage.limits import safe_relative
from .array_chunks import ReferencedArray, referenced_array
from .nwb import (
    SeriesImage,
    all_series,
    external_said,
    is_external,
    series_image,
    single_image,
    single_images,
)
from .nwb_masks import all_masks
from .referenced_image import OF_MASKS, SAMPLE, ReferencedImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...metadata.named_axes import Axis
    from ...storage.decoding.chunk_decoder import ChunkDecoder
    from .nwb_masks import MasksInReferences
    from .reference_file import References

_CHANNELS = ("c", "channel", "channels")
_SAMPLES = ("s", "sample", "samples", "rgb", "rgba", "color", "colour")
_RGB = tuple(Channel(n, c) for n, c in zip(("red", "green", "blue"), RGB_COLORS, strict=True))
_MAX_IMAGES_SAID = 20
_OF_NWB = "nwb references"
_MAX_OTHER_IMAGES = 1000

LINK = "_EXTERNAL_ARRAY_LINK"


class Link(NamedTuple):
    """An array in another file, as linked by LINDI: its URL, and the path inside."""

    url: str
    path: str


# ---- choosing ------------------------------------------------------------------------------


class ImageChoice(NamedTuple):
    """The image to show, the link to follow or the path of masks; and the paths of all images, this first."""

    image: ReferencedImage | None
    link: Link | None
    paths: tuple[str, ...]
    masks: str = ""


def find(references: References, path: str) -> ImageChoice:
    """The image at `path`; for "", the likeliest one.

    Raises `DatasetNotFoundError` that lists the arrays if there is none, or the error of its metadata.
    """
    arrays = references.arrays()
    images = _multiscales(references)
    pictures, masks = single_images(references), all_masks(references)
    series = [group for group in all_series(references) if f"{group}/data" in arrays]
    shown = [*images, *nwb_paths(references), *masks] or _by_size(references, arrays)
    if not path and not shown:
        if external := next((each for each in all_series(references) if is_external(references, each)), ""):
            nwb_image_at(references, external)  # says so
        raise DatasetNotFoundError(f"{references.where} contains no image: {_said(arrays)}")
    at = path.strip("/") if path else shown[0]
    at = next((each for each in masks if at == each.rpartition("/")[0]), at)
    paths = (at, *[other for other in shown if other != at][:_MAX_OTHER_IMAGES])
    if at in images:
        return ImageChoice(_multiscale_image(references, at), None, paths)
    group = at if at in series else at.rpartition("/")[0]
    at = f"{at}/data" if at in series else at
    if at not in arrays:
        raise DatasetNotFoundError(f"{references.where} does not contain the array {at!r}: {_said(arrays)}")
    if (link := link_of(references, at)) is not None:
        return ImageChoice(None, link, paths)
    if group in series and at == f"{group}/data":
        return ImageChoice(nwb_image_at(references, group), None, paths)
    if at in pictures:
        return ImageChoice(nwb_image_at(references, at), None, paths)
    if at in masks:
        return ImageChoice(None, None, paths, at)
    return ImageChoice(_plain_image(references, at), None, paths)


def nwb_paths(references: References) -> list[str]:
    """The series of NWB that have images, and the single images after them, in the order of positions."""
    found = [
        NwbImagePath(group, n)
        for group in all_series(references)
        if (n := _n_numbers(references, f"{group}/data"))
    ]
    found += [NwbImagePath(each, _n_numbers(references, each), True) for each in single_images(references)]
    return [each.path for each in in_order(found)]


def has_several_of_nwb(references: References) -> bool:
    """Whether there are several images of an NWB file, and none of OME's, which come first."""
    return len(nwb_paths(references)) > 1 and not _multiscales(references)


def others_said(paths: tuple[str, ...], where: str) -> str:
    """A message about the arrays that are not shown."""
    n_more = len(paths) - 1 - _MAX_IMAGES_SAID
    least = "at least " if len(paths) > _MAX_OTHER_IMAGES else ""
    more = f" and {least}{n_more} more" if n_more > 0 else ""
    names = ", ".join(f"::/{path}" for path in paths[1 : 1 + _MAX_IMAGES_SAID])
    return f"{where} also contains {names}{more}; append one of these to its name to open it"


def _said(arrays: list[str]) -> str:
    if not arrays:
        return "it contains no arrays"
    more = f" and {len(arrays) - _MAX_IMAGES_SAID} more" if len(arrays) > _MAX_IMAGES_SAID else ""
    return "its arrays are " + ", ".join(f"/{path}" for path in arrays[:_MAX_IMAGES_SAID]) + more


def _by_size(references: References, arrays: list[str]) -> list[str]:
    """Arrays that may be images, most pixels first."""
    sizes = {}
    for path in arrays:
        try:
            document = references.array(path)
        except DatasetError:  # one broken array must not affect the others
            continue
        shape, dtype = document.get("shape"), document.get("dtype", document.get("data_type"))
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            continue
        kind = dtype.lstrip("<>|=")[:1] if isinstance(dtype, str) else ""
        if 2 <= len(shape) <= 5 and min(shape[-2:]) > 1 and kind in tuple("uifb"):
            sizes[path] = math.prod(shape)
    return sorted(sizes, key=lambda path: -sizes[path])


def _n_numbers(references: References, array: str) -> int:
    with contextlib.suppress(DatasetError):
        shape = references.array(array).get("shape")
        if isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape):
            return math.prod(shape)
    return 0


def link_of(references: References, path: str) -> Link | None:
    """The link in place of the chunks of an array, if those are missing."""
    link = references.attributes(path).get(LINK)
    if not isinstance(link, dict) or references.rows_of(path):
        return None
    url, name = link.get("url"), link.get("name")
    if not isinstance(url, str) or not isinstance(name, str):
        raise MetadataError(f"{references.where}: /{path} links to a file that cannot be read")
    return Link(url, name)


# ---- OME multiscales -----------------------------------------------------------------------


def _multiscales(references: References) -> list[str]:
    found = [path for path in references.nodes() if ngff.is_image(references.attributes(path))]
    return sorted(found, key=lambda path: (path.count("/") + bool(path), path))


def _multiscale_image(references: References, group: str) -> ReferencedImage:
    where = f"{references.where}: {group or 'the root'}"
    said = ngff.image_meta(references.attributes(group), where)
    listed = ["/".join(part for part in (group, safe_relative(p, where)) if part) for p in said.paths]
    if not listed:
        raise MetadataError(f"{where}: its multiscales metadata lists no array")
    found, unusable = _levels_found(references, listed)
    of_found = _of_paths(said, [path in found for path in listed])
    meta = finest_first(of_found, [found[path].chunks.shape for path in listed if path in found])
    paths = ["/".join(part for part in (group, safe_relative(p, where)) if part) for p in meta.paths]
    levels = [found[path] for path in paths]
    first = levels[0].chunks
    names, shape = _dimension_names(references, paths[0]), first.shape
    has_samples = _has_samples(meta, first)
    of_planes = meta
    if has_samples:
        of_planes = replace(meta, axes=(meta.axes or ())[:-1])
        names, shape = None if names is None else names[:-1], shape[:-1]
    axes, guessed = ngff.resolve_axes(of_planes, shape, names, where)
    y, x, z, t = ngff.calibration(meta)
    roles = (*_roles(axes), SAMPLE) if has_samples else _roles(axes)
    same = []
    for number, level in enumerate(levels):
        why = _other_kind(level.chunks, first, roles)
        if why:
            unusable[paths[number]] = f"{references.where}: {why}"
        else:
            same.append((number, level))
    not_used = [f"resolution level {path!r} is not used: {why}" for path, why in unusable.items()]
    image = ReferencedImage(
        format=_format(references, "ome-zarr references"),
        levels=tuple(level for _, level in same),
        numbers=tuple(number for number, _ in same),
        meta=meta,
        roles=roles,
        is_rgb=roles[-3:] == ("y", "x", "c") and first.shape[-1] in (3, 4) and first.dtype.kind == "u",
        steps={"y": y, "x": x, "z": z, "t": t},
        warnings=tuple(text for text in (*meta.warnings, guessed, *not_used[:1]) if text),
    )
    named = ngff.channels(meta.channels, image.size("c") // (3 if has_samples else 1), image.dtype)
    return replace(
        image,
        channels=_in_colour(named, image.dtype) if has_samples else named,
        positions=_positions(references.attributes(group).get("positions"), image.size("p")),
    )


def _levels_found(
    references: References, listed: Sequence[str]
) -> tuple[dict[str, ReferencedArray], dict[str, str]]:
    """The arrays of the levels, and why others cannot be used; raises the error of the one listed first."""
    found: dict[str, ReferencedArray] = {}
    unusable: dict[str, str] = {}
    for path in listed:
        try:
            found[path] = _referenced(references, path)
        except DatasetError as error:
            if path == listed[0]:
                raise
            unusable[path] = str(error)
    return found, unusable


def _of_paths(meta: ngff.ImageMeta, is_used: Sequence[bool]) -> ngff.ImageMeta:
    """The same with some of the levels only."""
    return replace(
        meta,
        paths=tuple(compress(meta.paths, is_used)),
        scales=tuple(compress(meta.scales, is_used)),
        translations=tuple(compress(meta.translations, is_used)),
    )


def _other_kind(level: ChunkDecoder, first: ChunkDecoder, roles: Sequence[str]) -> str:
    """Why an array is no level of another; "" if it is one."""
    if len(level.shape) != len(first.shape):
        return f"it has {how_many(len(level.shape), 'axis', 'axes')}, not {len(first.shape)}"
    if level.dtype != first.dtype:
        return f"its pixels are {level.dtype}, not {first.dtype}"
    for axis in (roles.index(role) for role in ("c", SAMPLE) if role in roles):
        if level.shape[axis] != first.shape[axis]:
            return f"it has {how_many(level.shape[axis], 'channel')}, not {first.shape[axis]}"
    return ""


def _has_samples(meta: ngff.ImageMeta, first: ChunkDecoder) -> bool:
    """Whether the last axis is that of colour samples, beside channels."""
    axes = meta.axes or ()
    if len(axes) != len(first.shape) or not axes or axes[-1].name.lower() not in _SAMPLES:
        return False
    return first.shape[-1] in (3, 4) and first.dtype.kind == "u" and any(axis.role == "c" for axis in axes)


def _in_colour(channels: Sequence[Channel], dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """Each channel as its red, green and blue."""
    parts = channel_parts([channel.name for channel in channels], range(len(channels)))
    return channels_shown(parts, (0.0, 255.0) if dtype.itemsize == 1 else None)


def _positions(named: object, n: int) -> tuple[Position, ...]:
    """Positions by the names in references of ours; () if there are none."""
    if not isinstance(named, list) or len(named) != n:
        return ()
    try:
        return tuple(
            Position(clean(region), int(fov), name=clean("".join(name))) for region, fov, *name in named
        )
    except (TypeError, ValueError):
        return ()


def _roles(axes: tuple[Axis, ...]) -> tuple[str, ...]:
    # an axis without role has one sample, and may have any unknown name
    return tuple(axis.role or f"?{i}" for i, axis in enumerate(axes))


def _referenced(references: References, path: str) -> ReferencedArray:
    document = references.array(path)
    if not document:
        raise MetadataError(f"{references.where}: the array {path!r} listed in its metadata is missing")
    return referenced_array(references, path, document)


def _dimension_names(references: References, path: str) -> list[str | None] | None:
    names = references.attributes(path).get("_ARRAY_DIMENSIONS")
    if names is None:
        names = references.array(path).get("dimension_names")
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        return None
    return names


def _format(references: References, kind: str) -> str:
    return f"{kind} (LINDI)" if references.is_lindi else kind


# ---- plain arrays --------------------------------------------------------------------------


def _plain_image(references: References, path: str) -> ReferencedImage:
    """Axes as named in the array, else z, y, x, preceded by c, then t; colour in the last one."""
    where = f"{references.where}: /{path}"
    array = _referenced(references, path)
    shape, dtype = array.chunks.shape, array.chunks.dtype
    names = _dimension_names(references, path)
    is_rgb = len(shape) > 2 and _looks_like_colour(shape, dtype, names)
    inner = slice(None, -1 if is_rgb else None)
    axes, guessed = ngff.resolve_axes(
        ngff.ImageMeta(), shape[inner], None if names is None else names[inner], where
    )
    roles = _roles(axes)
    has_samples = is_rgb and "c" in roles
    if guessed and is_rgb:
        guessed += f"; showing the last axis, of size {shape[-1]}, as colour"
    if has_samples:
        channels = _in_colour([Channel(f"Ch{i}", "") for i in range(shape[roles.index("c")])], dtype)
    else:
        channels = _RGB if is_rgb else ()
    return ReferencedImage(
        format=_format(references, "zarr references"),
        levels=(array,),
        roles=(*roles, SAMPLE if has_samples else "c") if is_rgb else roles,
        channels=channels,
        is_rgb=is_rgb and not has_samples,
        warnings=(guessed,) if guessed else (),
    )


def _looks_like_colour(shape: tuple[int, ...], dtype: np.dtype[Any], names: list[str | None] | None) -> bool:
    if shape[-1] not in (3, 4) or dtype.kind != "u" or dtype.itemsize > 2:
        return False
    last = (names[-1] or "").lower() if names and len(names) == len(shape) else ""
    if not last or last.startswith("phony_dim"):
        return min(shape[-3:-1]) >= LEAST_IN_COLOUR
    return last in _SAMPLES or (last in _CHANNELS and dtype.itemsize == 1)


# ---- NWB -----------------------------------------------------------------------------------


def nwb_image_at(references: References, path: str) -> ReferencedImage:
    """The image of a series in the group at `path`, or the single image there."""
    if references.array(path):
        return _nwb_image(references, _referenced(references, path), single_image(references, path))
    if is_external(references, path):
        raise UnsupportedError(f"{external_said(references, path)}. Open those instead")
    array = _referenced(references, f"{path}/data")
    return _nwb_image(references, array, series_image(references, path, array.chunks))


def _in_rgb(array: ReferencedArray) -> tuple[Channel, ...]:
    window = (0.0, 255.0) if array.chunks.dtype.itemsize == 1 else None
    return tuple(replace(channel, window=window) for channel in _RGB)


def image_of_masks(references: References, masks: MasksInReferences) -> ReferencedImage:
    """The image that masks are, a position for each region."""
    return replace(_nwb_image(references, masks.array, masks.series), lists=masks.lists)


def _nwb_image(references: References, array: ReferencedArray, series: SeriesImage) -> ReferencedImage:
    return ReferencedImage(
        format=_format(references, OF_MASKS if "p" in series.roles else _OF_NWB),
        levels=(array,),
        roles=series.roles,
        channels=_in_rgb(array) if series.is_rgb else (series.channel,),
        steps=series.steps,
        is_rgb=series.is_rgb,
        positions=tuple(Position("default", i, name=name) for i, name in enumerate(series.names)),
        warnings=series.warnings,
    )
