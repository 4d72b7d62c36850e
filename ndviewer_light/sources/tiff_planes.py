"""Planes of a TIFF image from its pages, whichever of its axes are in a page and which over pages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import LimitExceededError, PlaneNotStoredError, UnsupportedError
from ..metadata import imagej
from ..metadata.tiff_tags import is_white_zero, page_steps, resolution_of
from ..model import Channel, how_many
from ..storage.decoding.tiff_parts import within
from ..storage.limits import MAX_CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from ..metadata.tiff_layout import TiffImage
    from ..model import PlaneKey, Region
    from ..storage.decoding.pictures import Picture
    from ..storage.decoding.tiff_pages import TiffPages

    Open = Callable[[str], AbstractContextManager[TiffPages]]


class ImageFacts(NamedTuple):
    """What the first file of an image says beyond its layout: pixels of a plane, levels, channels, steps.

    `channels` are those of the acquisition; a colour image is one. Steps along t, z, y, x in s and µm.
    """

    picture: Picture
    n_levels: int
    channels: tuple[Channel, ...]
    steps: Mapping[str, float | None]


def facts_of(image: TiffImage, opened: Open) -> ImageFacts:
    """Look at the first page of an image; raises a `DatasetError` if it cannot be read."""
    picture = plane_picture(image, {}, 0, opened)
    first = image.runs[0]
    with opened(first.file) as pages:
        tags = pages.tags(first.page)
        said = pages.imagej() if image.kind.startswith("ImageJ") else {}
        is_inverted = is_white_zero(tags, picture.samples, picture.dtype)
    steps: Mapping[str, float | None] = image.steps
    if not steps and said:
        steps = imagej.steps(said, resolution_of(tags, "y"), resolution_of(tags, "x"))
    elif not steps:
        steps = page_steps(tags)
    channels = image.channels
    if not channels and said:
        n_planes = image.n_pages * (image.samples[1] if image.samples[0] == "c" else 1)
        channels = imagej.channels(said, image.size("c"), n_planes, picture.dtype)
    named = named_channels(channels, image)
    if is_inverted:  # as its program shows it: the values stay what is stored
        named = tuple(channel if channel.lut else replace(channel, inverted=True) for channel in named)
    return ImageFacts(picture, 1 + len(image.levels), named, steps)


def named_channels(channels: tuple[Channel, ...], image: TiffImage) -> tuple[Channel, ...]:
    """The channels of an image, as many as it has, the unnamed by number."""
    n = image.size("c")
    known = (*channels[:n], *[Channel("", "")] * (n - len(channels)))
    return tuple(
        channel if channel.name else replace(channel, name=f"Ch{c}") for c, channel in enumerate(known)
    )


def plane_picture(image: TiffImage, index: Mapping[str, int], level: int, opened: Open) -> Picture:
    """The pixel format of a plane; raises `PlaneNotStoredError` if it has no page."""
    number = image.number({**dict.fromkeys("tpczyx", 0), **index})
    file, at = image.place(number, level)
    with opened(file) as pages:
        picture = pages.picture(at, colours=image.is_colour)
    if not image.is_upright:
        return picture._replace(height=image.size("y"), width=image.size("x"), samples=1)
    return picture if image.is_colour else picture._replace(samples=1)


def plane_tile(image: TiffImage, level: int, opened: Open) -> tuple[int, int] | None:
    """Rows and columns worth reading at once, as of the first plane; None: the whole plane."""
    if not image.is_upright:
        return None
    file, at = image.place(0, level)
    with opened(file) as pages:
        return pages.tile(at)


def read_upright(
    image: TiffImage, index: Mapping[str, int], level: int, region: Region | None, opened: Open
) -> np.ndarray:
    """The pixels (Y, X), or (Y, X, S) of a colour image, of a plane whose rows and columns are in a page."""
    file, at = image.place(image.number(dict(index)), level)
    with opened(file) as pages:
        _check_size(image, pages, at, level)
        pixels = pages.read(at, region, colours=image.is_colour)
    if image.is_colour:
        return pixels
    if pixels.ndim == 2:
        return pixels
    return np.ascontiguousarray(pixels[..., index.get(image.samples[0], 0)])


def _check_size(image: TiffImage, pages: TiffPages, at: Any, level: int) -> None:
    if level:
        return
    picture, expected = pages.picture(at), (image.rows[1], image.columns[1])
    if (picture.height, picture.width) != expected or picture.samples != image.samples[1]:
        raise UnsupportedError(
            f"{pages.name}: page {at.page} has {picture.width} × {picture.height} pixels of "
            f"{how_many(picture.samples, 'sample')}, its image has {expected[1]} × {expected[0]} of "
            f"{image.samples[1]}"
        )


def block_index(image: TiffImage, index: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Which block of pages a plane is in whose rows or columns are over pages: the indices of the others."""
    return tuple((role, index.get(role, 0)) for role, _ in image.outer if role not in "yx")


def read_block(image: TiffImage, block: tuple[tuple[str, int], ...], opened: Open) -> np.ndarray:
    """All pixels of a block, in the order of the axes as stored: those over pages, rows, columns, samples."""
    over = [(role, n) for role, n in image.outer if role in "yx"]
    shape = (*(n for _, n in over), image.rows[1], image.columns[1])
    if image.samples[1] > 1:
        shape = (*shape, image.samples[1])
    pixels: np.ndarray | None = None
    for at in itertools.product(*(range(n) for _, n in over)):
        index = dict(block) | {role: i for (role, _), i in zip(over, at, strict=True)}
        file, place = image.place(image.number(index))
        with opened(file) as pages:
            page = pages.read(place)
            if pixels is None:
                _check_block(shape, page.dtype.itemsize, pages.name)
                pixels = np.empty(shape, page.dtype.newbyteorder("="))
        if page.shape != pixels.shape[len(over) :]:
            raise UnsupportedError(f"{pages.name}: page {place.page} differs from the others in size")
        pixels[at] = page
    if pixels is None:
        raise PlaneNotStoredError("the image has no pages")
    return pixels


def _check_block(shape: tuple[int, ...], itemsize: int, name: str) -> None:
    nbytes = int(np.prod(shape, dtype=np.int64)) * itemsize
    if nbytes > MAX_CHUNK_BYTES:
        raise LimitExceededError(
            f"{name}: rows or columns of its planes are spread over pages, {nbytes} bytes in all; at most "
            f"{MAX_CHUNK_BYTES} can be read at once"
        )


def plane_in_block(
    image: TiffImage, index: Mapping[str, int], pixels: np.ndarray, region: Region | None, picture: Picture
) -> np.ndarray:
    """The plane (Y, X), or a region of it, in a block that `read_block` returned."""
    roles = [role for role, _ in image.outer if role in "yx"]
    roles += [image.rows[0], image.columns[0], *([image.samples[0]] if image.samples[1] > 1 else [])]
    chosen = tuple(slice(None) if role in ("y", "x") else index.get(role, 0) for role in roles)
    plane = pixels[chosen]
    left = [role for role in roles if role in ("y", "x")]
    if "y" not in left:
        plane, left = plane[np.newaxis], ["y", *left]
    if "x" not in left:
        plane, left = plane[..., np.newaxis], [*left, "x"]
    if left == ["x", "y"]:
        plane = plane.T
    return np.ascontiguousarray(plane[within(region, picture).slices])


def index_of_key(key: PlaneKey, within_image: int, c: int) -> dict[str, int]:
    """The indices of a plane along the axes of its image, in which it is position `within_image`."""
    return {"t": key.t, "p": within_image, "c": c, "z": key.z}
