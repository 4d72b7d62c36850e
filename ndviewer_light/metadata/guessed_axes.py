"""The axes of an array of which nothing is said: what a person says they are, and what else they may be.

Letters are t, p, c, z, y, x, and s for the samples of colour pixels; one for each axis, slowest first.
Axes of size 1 may be left out. Pure functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..model import Interpretation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AXES_OPTION = "axes"
"""The storage option in which a person says what the axes are."""
SAMPLES = "s"
LEAST_IN_COLOUR = 16
"""Rows and columns of an image in colour; an array (…, 5, 3) is hardly one."""
_MOST_LAST = 4
_CHANNELS_LAST = {3: "yxc", 4: "zyxc", 5: "tzyxc", 6: "ptzyxc"}
ROLES_OF_RANK = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx", 6: "ptczyx"}
"""What axes are of which nothing is said; six are those of Squid's 6-D store, (FOV, T, C, Z, Y, X)."""
MAX_AXES = max(ROLES_OF_RANK)

FILLED_FIRST = "zctp"
"""What axes before y and x are where nothing is said of them, the innermost first."""
_LETTERS = "tpczyxs"
_WORDS = {"t": "time points", "p": "positions", "c": "channels", "z": "z planes", "s": "colours"}
_OUTER = {
    0: ("",),
    1: ("z", "t", "c", "p"),
    2: ("tz", "tc", "cz", "zc", "ct", "zt", "pz", "pt", "pc"),
    3: ("tcz", "tzc", "ctz", "czt", "ztc", "zct", "ptz", "ptc", "pcz", "pzc"),
    4: ("ptcz", "tpcz", "ptzc", "tpzc", "pctz", "tcpz", "ctpz", "pczt"),
}
"""What the axes before y and x may be, the usual ones first."""


def channels_last(shape: Sequence[int]) -> str | None:
    """The roles of axes of which the last is too short for rows of an image: that of channels, or colours.

    None if it is not.
    """
    roles = _CHANNELS_LAST.get(len(shape))
    is_short = roles is not None and 1 < shape[-1] <= _MOST_LAST and min(shape[-3:-1]) >= LEAST_IN_COLOUR
    return roles if is_short else None


def counted_axes(shape: Sequence[int]) -> list[int]:
    """The axes that count where nothing is said.

    Of more than there are roles, those of a single sample do not, unless they are the last two.
    """
    last = len(shape) - 2
    return [i for i, size in enumerate(shape) if len(shape) <= MAX_AXES or size > 1 or i >= last]


def too_many_axes(shape: Sequence[int], where: str) -> UnsupportedError:
    """The error for an array with more axes than can be shown."""
    sizes = " × ".join(map(str, shape))
    return UnsupportedError(
        f"{where} has more axes ({sizes}) than can be shown, which are t p c z y x: leave some out when you "
        "write it, or make one of several"
    )


def with_plane_last(roles: Sequence[str], shape: Sequence[int]) -> tuple[str, ...] | None:
    """The roles of axes of which some are known ("" the others), but not both y and x.

    These are the last two of the others, wherever the known ones are: (lat, lon, time) is y x t. Where one of
    them is known, the other is the one of the others that is next to it. A last axis that is too short for x
    is that of channels. What is left takes what is left, the innermost z; "" for those of a single sample.
    None if that cannot be, or nothing is known.
    """
    known = [role for role in roles if role]
    if known and not {"y", "x", "c"} & set(known) and not roles[-1] and channels_last(shape):
        roles, known = [*roles[:-1], "c"], [*known, "c"]
    wanted = [role for role in "yx" if role not in known]
    others = [i for i, role in enumerate(roles) if not role and shape[i] > 1]
    if not known or not wanted or len(roles) != len(shape) or len(set(known)) < len(known):
        return None
    if len(others) < len(wanted):
        return None
    found = list(roles)
    if len(wanted) == 2:
        for i, role in zip(others[-2:], wanted, strict=True):
            found[i] = role
    else:
        at = roles.index("y" if wanted[0] == "x" else "x")
        found[min(others, key=lambda i: (abs(i - at), (i < at) == (wanted[0] == "x")))] = wanted[0]
    return filled(found, shape)


def filled(roles: Sequence[str], shape: Sequence[int]) -> tuple[str, ...] | None:
    """Roles of all axes, where some are known: the others, "" so far, take what is left, the innermost z.

    "" for those of a single sample; None if there are more of them than roles.
    """
    found = list(roles)
    left = [role for role in FILLED_FIRST if role not in found]
    for i in reversed(range(len(found))):
        if not found[i] and shape[i] > 1:
            if not left:
                return None
            found[i] = left.pop(0)
    return tuple(found)


def axes_given(letters: str, shape: Sequence[int], where: str) -> tuple[str, ...]:
    """The role of each axis as a person says; "" for one of size 1 that is left out.

    Raises `UnsupportedError` for letters that do not fit the shape.
    """
    roles = [letter for letter in letters.lower() if letter not in " ,"]
    long = [i for i, size in enumerate(shape) if size > 1]
    places = list(range(len(shape))) if len(roles) == len(shape) else long
    found = [""] * len(shape)
    is_one_each = len(set(roles)) == len(roles) and set(roles) <= set(_LETTERS)
    is_one_each &= not {"c", "s"} <= set(roles)
    if len(roles) != len(places) or not is_one_each or not {"y", "x"} <= set(roles):
        sizes = " × ".join(map(str, shape))
        raise UnsupportedError(
            f"{where}: axes {letters!r} do not fit its shape, {sizes}: give one letter of t p c z y x (s: "
            "samples of colours) for each axis, slowest first, y and x among them"
        )
    for place, role in zip(places, roles, strict=True):
        found[place] = role
    return tuple(found)


def other_axes(shape: Sequence[int], roles: Sequence[str]) -> tuple[Interpretation, ...]:
    """What else the axes of this shape may be than `roles`, likely ones first; samples of colour are "s"."""
    sizes = [size for size in shape if size > 1]
    now = "".join(role for role, size in zip(roles, shape, strict=True) if size > 1)
    n = len(sizes)
    if not 2 <= n <= MAX_AXES:
        return ()
    candidates = [f"{outer}yx" for outer in _OUTER[n - 2]]
    if n > 2 and sizes[-1] * 2 <= min(sizes[-3:-1]):  # a last axis that is short is hardly x
        lasts = ("s",) if sizes[-1] in (3, 4) else ()
        pairs = ((outer, last) for last in (*lasts, "c", "z", "t") for outer in _OUTER[n - 3])
        candidates += [f"{outer}yx{last}" for outer, last in pairs if last not in outer]
    if now.endswith("yx"):
        candidates.append(f"{now[:-2]}xy")
    found = []
    for each in dict.fromkeys(candidates):
        if each != now:
            sizes_of = dict(zip(each, sizes, strict=True))
            found.append(Interpretation(_in_words(sizes_of), ((AXES_OPTION, each),)))
    return tuple(found)


def sizes_in_words(sizes: Mapping[str, int]) -> str:
    """How many values there are along axes, slowest first: "12 time points, 5 z planes"."""
    words = (f"{n} {_WORDS[axis]}" for axis, n in sizes.items() if axis in _WORDS and n > 1)
    return ", ".join(words) or "one plane"


def _in_words(sizes: Mapping[str, int]) -> str:
    """The same, and what is unusual: an axis after x, or y and x exchanged."""
    text, last = sizes_in_words(sizes), list(sizes)[-1]
    if last == "y":
        return f"{text}, x and y exchanged"
    return text if last == "x" else f"{text} (last axis)"
