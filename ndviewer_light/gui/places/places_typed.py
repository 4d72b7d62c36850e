"""What somebody means who types where to go: "D7:4", "t12", "z5", "c3", or several of these. Pure; no Qt.

Fields are called as they are shown, ``"well:field"``; time points, z planes and channels count from 1, as on
sliders. "c3" is a well where there is one of that name, "c=3" always a channel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import DatasetInfo, ImageInfo, Position

_INDEX = re.compile(r"([tzc])([=:]?)([0-9]{1,9})", re.IGNORECASE)
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_LONGEST_EXAMPLE = 12
_SAID_OF_LINKS = "or a link to a view"


def hint_of(info: DatasetInfo, n_t: int, n_z: int, n_c: int = 1) -> str:
    """What may be typed for a dataset, an image of which has so many of each: an example."""
    parts = []
    if len(info.positions) > 1:
        last = info.positions[-1].title
        parts.append(last if len(last) <= _LONGEST_EXAMPLE else "well:field")
    parts.extend(f"{axis}{n}" for axis, n in (("t", n_t), ("z", n_z)) if n > 1)
    if n_c > 1:
        is_well = _position(f"c{n_c}", info.positions, 0) is not None
        parts.append(f"c={n_c}" if is_well else f"c{n_c}")
    return f"{'  '.join(parts)}, {_SAID_OF_LINKS}" if parts else "A link to a view"


class TypedPlace(NamedTuple):
    """Indices from 0, None where nothing was said; or the `problem` with what was typed.

    `c`: of the channels that are offered.
    """

    t: int | None = None
    p: int | None = None
    z: int | None = None
    problem: str = ""
    c: int | None = None


def typed_place(text: str, info: DatasetInfo, image: ImageInfo | None, p: int, n_c: int = 1) -> TypedPlace:
    """What `text` means in a dataset; `p` is the position in view, `image` what that contains if known.

    `n_c`: how many channels are offered.
    """
    whole = _position(text.strip(), info.positions, p)
    if whole is not None:  # also where a well is called "t1"
        return TypedPlace(p=whole)
    indices: dict[str, int] = {}
    rest: list[str] = []
    channel_or_well = ""
    for word in text.replace(",", " ").split():
        found = _INDEX.fullmatch(word)
        if found is None:
            rest.append(word)
            continue
        axis = found[1].lower()
        indices[axis] = int(found[3]) - 1
        if axis == "c" and not found[2]:
            channel_or_well = word
    if channel_or_well and not rest and _position(channel_or_well, info.positions, p) is not None:
        del indices["c"]
        rest = [channel_or_well]
    position = None
    if rest:
        name = " ".join(rest)
        position = _position(name, info.positions, p)
        if position is None:
            return TypedPlace(problem=_no_position(name, info.positions))
    n_z = image.n_z if image is not None and position is None else info.n_z
    sizes = {"t": info.n_t, "z": n_z, "c": n_c}
    for axis, index in indices.items():
        if not 0 <= index < sizes[axis]:
            return TypedPlace(problem=_outside(axis, index, sizes[axis]))
    return TypedPlace(indices.get("t"), position, indices.get("z"), c=indices.get("c"))


def _position(name: str, positions: Sequence[Position], now: int) -> int | None:
    """The position of that name; of a well its first field, of ``":4"`` one of the well in view."""
    if not name:
        return None
    wanted = _plain(name)
    region = positions[now].region if now < len(positions) else ""
    if wanted.lstrip(":").isdecimal():
        number = int(wanted.lstrip(":"))
        beside = (p for p, at in enumerate(positions) if at.region == region and at.fov == number)
        found = next(beside, None)
        if found is not None:
            return found
    for names_of in (
        lambda at: (at.label, at.title),
        lambda at: (at.name,),
        lambda at: (at.region,),
    ):
        for p, at in enumerate(positions):
            if wanted in map(_plain, names_of(at)):
                return p
    return None


def _plain(name: str) -> str:
    """A name without what may be typed in another way: case, spaces, leading zeros ("d07" is "D7")."""
    return _ZEROS.sub("", "".join(name.split()).casefold())


def _no_position(name: str, positions: Sequence[Position]) -> str:
    well, colon, field = name.rpartition(":")
    fields = [at for at in positions if _plain(at.region) == _plain(well)] if colon else []
    if fields:
        count = (
            f"only field {fields[0].fov}"
            if len(fields) == 1
            else f"fields {fields[0].fov} to {fields[-1].fov}"
        )
        return f"There is no field {field} in {fields[0].region}: it has {count}"
    return f"There is no {name[:40]} in this dataset"


def _outside(axis: str, index: int, n: int) -> str:
    what = {"t": "time point", "z": "z plane", "c": "channel"}[axis]
    has = f"1 to {n}" if n > 1 else "only one"
    return f"There is no {what} {index + 1}: there are {has}" if n > 1 else f"There is {has} {what}"
