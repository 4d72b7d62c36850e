"""How the pages of a TIFF make up images: axes of pages and of what is in a page. Pure functions, no I/O.

A page has rows, columns and samples per pixel. What they are is up to the metadata: mostly y, x and the
colours, but ``axes: YXC`` may be stored as pages that are rows of the image, with x down and channels across.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import LimitExceededError, PlaneNotStoredError, UnsupportedError
from ..storage.decoding.ifd_chain import MAX_PAGES
from ..storage.decoding.tiff_parts import PageAt
from ..storage.limits import MAX_CHANNELS, MAX_POSITIONS
from .guessed_axes import FILLED_FIRST
from .recorded_times import NOT_SAID, RecordedTimes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..model import Channel
    from ..storage.decoding.ifd_chain import PageFacts

Steps = dict[str, "float | None"]
Axis = tuple[str, int]
"""A role and a length. Roles: t, p, c, z, y, x, and s for the colours of a pixel."""

_ROLES = {"T": "t", "Z": "z", "C": "c", "R": "p", "P": "p", "V": "p", "Y": "y", "X": "x", "S": "s"}
"""Of tifffile's letters; for those it does not know ("I", "Q") see `roles_of`."""
_FEW_UNKNOWN = "zt"
"""What up to two axes are of which nothing is said, the innermost first; more of them: `FILLED_FIRST`."""

PAGES = "pages"
"""The kind of an image of which nothing but its pages is known."""
SHAPE_ALONE = "tifffile's shape without axes"
"""The kind of an image of which only the lengths of the axes are known."""

RGB, PALETTE, SEPARATED, YCBCR, LAB = 2, 3, 5, 6, 8
"""Photometric interpretations that are colours (TIFF 6.0)."""
_COLOUR_OR_NUMBER = re.compile(
    r"r|g|b|red|green|blue|(?:c|ch|channel|sample|band)?[-_ :]*[0-9:]*|.*\((?:r|g|b|red|green|blue)\)",
    re.IGNORECASE,
)
"""Names of channels that are no more than the three colours of a pixel."""


class PageRun(NamedTuple):
    """Consecutive images: `n` from `first` on are the pages of `file` from `page` on.

    If `contiguous`, only `page` has tags, and the images follow each other. `offset` is where the pixels of a
    single image are that an index lists, -1 for those that tags tell of.
    """

    first: int
    n: int
    page: int
    file: str = ""
    contiguous: bool = False
    sub: tuple[int, ...] = ()
    offset: int = -1


@dataclass(frozen=True)
class TiffImage:
    """One image: the axes over pages, slowest first, and those of a page: rows, columns, samples.

    `levels` are the runs of each smaller pyramid level, largest first; () for one in the sub-pages of its
    pages, whose numbers are `sub_levels`. `kind` says by what it was understood. Lengths of `steps` (t, z, y,
    x) in µm and s. `is_colour`: the samples are red, green and blue, or become that. `pixel_type` is the name
    that OME-XML has for it.
    """

    outer: tuple[Axis, ...]
    rows: Axis
    columns: Axis
    samples: Axis
    runs: tuple[PageRun, ...]
    kind: str = ""
    name: str = ""
    is_colour: bool = False
    levels: tuple[tuple[PageRun, ...], ...] = ()
    sub_levels: tuple[int, ...] = ()
    channels: tuple[Channel, ...] = ()
    steps: Steps = field(default_factory=dict)
    pixel_type: str = ""
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    well: str = ""
    field_of_view: int = 0
    times: RecordedTimes = NOT_SAID
    documents: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Where in its file an index puts the JSON about a page: offset and length, by the number of the page."""
    is_incomplete: bool = False
    """Fewer pages are there than the metadata declare."""

    def size(self, role: str) -> int:
        """The length of an axis, 1 if there is none."""
        return math.prod(n for r, n in (*self.outer, self.rows, self.columns, self.samples) if r == role)

    @property
    def is_upright(self) -> bool:
        """Whether each page is a plane, or some samples of one."""
        return self.rows[0] == "y" and self.columns[0] == "x"

    @property
    def plane_axes(self) -> tuple[Axis, ...]:
        """The axes along which it has several planes, slowest first as stored."""
        axes = (*self.outer, self.rows, self.columns, self.samples)
        return tuple((role, n) for role, n in axes if n > 1 and role not in ("y", "x", "s", ""))

    def index(self, plane: int) -> dict[str, int]:
        """The indices of a plane, by its number along `plane_axes`."""
        found = {}
        for role, n in reversed(self.plane_axes):
            plane, found[role] = divmod(plane, n)
        if plane:
            raise PlaneNotStoredError("the image has fewer planes")
        return found

    @property
    def n_pages(self) -> int:
        """How many images of one page it consists of."""
        return math.prod(n for _, n in self.outer)

    @property
    def sizes(self) -> dict[str, int]:
        """Of t, p, c, z, y and x."""
        return {role: self.size(role) for role in "tpczyx"}

    def number(self, index: dict[str, int]) -> int:
        """The number of the page with these indices along the outer axes."""
        number = 0
        for role, n in self.outer:
            if not 0 <= index.get(role, 0) < n:
                raise PlaneNotStoredError(f"there is no {role} {index.get(role)}")
            number = number * n + index.get(role, 0)
        return number

    def place(self, number: int, level: int = 0) -> tuple[str, PageAt]:
        """The file of a page ("" for the only one), and where it is there.

        Raises `PlaneNotStoredError` if no file has it.
        """
        runs: tuple[PageRun, ...] = self.runs
        sub: tuple[int, ...] = ()
        if level > 0:
            runs = self.levels[level - 1]
            if not runs:
                runs, sub = self.runs, (self.sub_levels[level - 1],)
        at = bisect_right(runs, number, key=lambda run: run.first) - 1
        if at < 0 or number >= runs[at].first + runs[at].n:
            raise PlaneNotStoredError("no page is listed for this plane")
        run = runs[at]
        offset = number - run.first
        if run.contiguous:
            return run.file, PageAt(run.page, run.sub or sub, offset)
        return run.file, PageAt(run.page + offset, run.sub or sub, offset=run.offset)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that contain it, each once."""
        return tuple(dict.fromkeys(run.file for run in self.runs))


def roles_of(letters: Sequence[str], sizes: Sequence[int], name: str) -> list[str]:
    """The role of each axis. Unknown axes of length 1 get none ("").

    The innermost of unknown ones is z. Raises `UnsupportedError` for more of them than there are roles left.
    """
    roles: list[str] = []
    for letter in letters:
        role = _ROLES.get(letter, "")
        roles.append(role if role not in roles else "")
    unknown = [i for i, role in enumerate(roles) if not role and sizes[i] > 1]
    order = _FEW_UNKNOWN if len(unknown) <= len(_FEW_UNKNOWN) else ""
    free = [role for role in dict.fromkeys(order + FILLED_FIRST) if role not in roles]
    if len(unknown) > len(free):
        raise UnsupportedError(
            f"{name}: axes {''.join(letters)} include others than time, position, channel and z: "
            "not supported"
        )
    for i, role in zip(reversed(unknown), free, strict=False):
        roles[i] = role
    return roles


def array_image(
    letters: str, shape: tuple[int, ...], page: PageFacts, runs: tuple[PageRun, ...], name: str, kind: str
) -> TiffImage | None:
    """The image of an array with named axes that is stored in pages like `page`; None if it does not fit.

    The last axes are those of a page, the others count pages. Raises like `roles_of`.
    """
    in_page = page_shape(page)
    if page.samples == 1 and letters[-1:] == "S" and shape[-1:] == (1,):
        letters, shape = letters[:-1], shape[:-1]
    if len(letters) != len(shape) or math.prod(shape) % max(1, math.prod(in_page)):
        return None
    roles = roles_of(list(letters), list(shape), name)
    axes = [(role, int(n)) for role, n in zip(roles, shape, strict=True)]
    split = _split(axes, in_page)
    if split is None:
        return None
    outer, inner = split
    samples = inner.pop(0) if page.planar == 2 and page.samples > 1 else None
    rows, columns = inner[:2]
    samples = samples or (inner[2] if page.samples > 1 else ("", 1))
    image = TiffImage(tuple(axis for axis in outer if axis[1] > 1), rows, columns, samples, runs, kind)
    image = _upright(image)
    used = [role for role, n in (*image.outer, image.rows, image.columns, image.samples) if role and n > 1]
    if len(set(used)) < len(used):
        return None
    return checked(with_samples(image, page), name)


def page_shape(page: PageFacts) -> tuple[int, ...]:
    """Samples, rows, columns of a page with separate samples; rows, columns(, samples) of others."""
    if page.samples == 1:
        return page.height, page.width
    if page.planar == 2:
        return page.samples, page.height, page.width
    return page.height, page.width, page.samples


def _split(axes: list[Axis], in_page: tuple[int, ...]) -> tuple[list[Axis], list[Axis]] | None:
    """Axes over pages and axes of a page; None if the last are not as long as those of a page."""
    inner: list[Axis] = []
    left = list(axes)
    for n in reversed(in_page):
        while left and left[-1][1] == 1 and n != 1:
            left.pop()
        if left and left[-1][1] == n:
            inner.insert(0, left.pop())
        elif n == 1:
            inner.insert(0, ("", 1))
        else:
            return None
    return left, inner


def _upright(image: TiffImage) -> TiffImage:
    """Rows and columns of length 1 whose role another axis has, or none, are those of one pixel."""
    held = {role for role, _ in image.outer}
    rows, columns = image.rows, image.columns
    if not rows[0] and "y" not in held:
        rows = "y", rows[1]
    if not columns[0] and "x" not in held:
        columns = "x", columns[1]
    return replace(image, rows=rows, columns=columns)


def with_samples(image: TiffImage, page: PageFacts) -> TiffImage:
    """The image with its samples as what they are: colours, or channels.

    Grey with alpha and several grey samples are channels. Samples that are declared to be channels, z or
    times are that, unless they are the three colours of a pixel: channels with names of their own are not.
    """
    role, n = image.samples
    if n == 1:
        return replace(image, is_colour=page.photometric == PALETTE)
    in_colour = page.photometric in (RGB, YCBCR, LAB) and (n == 3 or (n == 4 and page.extra != 0))
    in_colour = in_colour or (page.photometric == SEPARATED and n == 4)
    declared = role in ("c", "z", "t", "p", "y", "x")
    are_colours = role == "c" and in_colour and n == 3 and page.planar == 1
    if are_colours and page.photometric == RGB and _have_own_names(image.channels[:n]):
        are_colours = False
    if declared and not are_colours:
        return image
    if in_colour:
        if are_colours:  # one of them is no name of the picture
            image = replace(image, channels=tuple(replace(each, name="") for each in image.channels[:1]))
        return replace(image, samples=("s", n), is_colour=True)
    if any(axis == "c" and size > 1 for axis, size in image.outer):
        raise UnsupportedError("pages of several samples in several channels are not supported")
    return replace(image, samples=("c", n))


def _have_own_names(channels: Sequence[Channel]) -> bool:
    """Whether channels are called something other than colours or numbers."""
    names = {channel.name for channel in channels}
    return len(names) == len(channels) > 1 and not any(map(_COLOUR_OR_NUMBER.fullmatch, names))


def checked(image: TiffImage, name: str) -> TiffImage:
    """The image; raises `LimitExceededError` if it has more planes than any dataset has."""
    limits = {"t": MAX_PAGES, "z": MAX_PAGES, "p": MAX_POSITIONS, "c": MAX_CHANNELS}
    if image.n_pages > MAX_PAGES or any(image.size(role) > most for role, most in limits.items()):
        raise LimitExceededError(f"{name}: too many planes ({image.sizes})")
    return image


def plain_image(pages: Sequence[PageRun], page: PageFacts) -> TiffImage:
    """Pages of equal size that nothing is said about: each is a plane along z."""
    runs: list[PageRun] = []
    for run in pages:
        if runs and run.page == runs[-1].page + runs[-1].n:
            runs[-1] = runs[-1]._replace(n=runs[-1].n + run.n)
        else:
            runs.append(run)
    n = sum(run.n for run in runs)
    outer = (("z", n),) if n > 1 else ()
    samples = ("s" if page.samples > 1 else "", page.samples)
    image = TiffImage(outer, ("y", page.height), ("x", page.width), samples, tuple(runs), PAGES)
    return with_samples(image, page)


def in_order(images: Sequence[TiffImage]) -> list[TiffImage]:
    """Images as in the file, but thumbnails and macros (less than a quarter of the largest) come last."""
    areas = [image.size("y") * image.size("x") for image in images]
    small = [4 * area < max(areas, default=0) for area in areas]
    return [
        *(image for image, is_small in zip(images, small, strict=True) if not is_small),
        *(image for image, is_small in zip(images, small, strict=True) if is_small),
    ]


def with_sub_levels(image: TiffImage, numbers: tuple[int, ...]) -> TiffImage:
    """The image with smaller levels in these sub-pages of its pages, largest first."""
    if not numbers or image.levels:
        return image
    return replace(image, levels=((),) * len(numbers), sub_levels=numbers)


def page_kind(page: PageFacts) -> tuple[int, ...]:
    """What pages of one image have in common: sizes, samples, bits."""
    return page.height, page.width, page.samples, page.bits, page.planar
