"""Dates and times of day in names of files: how they are written, which order they have. Pure.

The year, month and day may be in three orders. Which it is, all names of a set tell together.
"""

from __future__ import annotations

import functools
import math
import re
from datetime import datetime
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = "|".join(_MONTHS)
_CUT = "[-_. ]{1,2}"
_YEAR = {4: "(?:19|20)[0-9]{2}", 2: "[1-3][0-9]"}
"""Of so many digits. The century is left out only where a time of day follows."""
_MONTH, _MONTH_2 = f"(?:1[0-2]|0?[1-9]|{_NAMED})", "(?:0[1-9]|1[0-2])"
_DAY, _DAY_2 = "(?:3[01]|[12][0-9]|0?[1-9])", "(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK_AT_ONCE = "(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9](?:[0-9]{3}){0,2}"
_CLOCK_APART = "(?:2[0-3]|[01]?[0-9])[-_.:h ][0-5]?[0-9](?:[-_.:m ][0-5]?[0-9]s?|m)?(?:[-_. ]?[ap]m)?"
_CLOCK = f"(?:{_CLOCK_AT_ONCE}|{_CLOCK_APART})"
_CLOCK_WITHOUT_SECONDS = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_BETWEEN = "(?:[-_. ]{1,3}|[-_. ]?T[-_. ]?)"


def _dates(order: str, digits: int) -> list[str]:
    """Dates with years of so many digits: with marks between their parts, and without."""
    at_once = {"y": _YEAR[digits], "m": _MONTH_2, "d": _DAY_2}
    apart = {"y": _YEAR[digits], "m": _MONTH, "d": _DAY} if digits == 4 else at_once
    named = {**at_once, "m": f"(?:{_NAMED})"}
    return [
        _CUT.join(apart[part] for part in order),
        "".join(at_once[part] for part in order),
        "".join(named[part] for part in order),
    ]


def _date_time(order: str) -> str:
    long, short = _dates(order, 4), _dates(order, 2)
    with_century = f"(?:{'|'.join(long)}){_BETWEEN}(?:{_CLOCK}|{_CLOCK_WITHOUT_SECONDS})Z?"
    without = f"(?:{'|'.join(short)}){_BETWEEN}{_CLOCK}Z?"
    return f"{with_century}|{without}|{long[1]}{_CLOCK_AT_ONCE}Z?"


DATE_TIMES = {"time": _date_time("ymd"), "dmy": _date_time("dmy"), "mdy": _date_time("mdy")}
"""Case-insensitive regular expressions of a date and a time of day, by what a pattern calls them."""
DATES = {"time": _dates("ymd", 4)[0], "dmy": _dates("dmy", 4)[0], "mdy": _dates("mdy", 4)[0]}
"""Of a date alone. Written at once it is a number."""

CLOCK = "|".join(
    mark.join(("(?:[01][0-9]|2[0-3])", "[0-5][0-9]", "[0-5][0-9]")) for mark in ("-", "_", r"\.")
)
"""A time of day alone, with marks."""
SHORT_CLOCK = "|".join(mark.join(("(?:[01][0-9]|2[0-3])", "[0-5][0-9]")) for mark in ("-", "_", r"\."))
"""An hour and a minute: as well two numbers of any kind, unless `kind_of_dates` says so of a whole set."""

_EPOCH = datetime(1970, 1, 1)
_ORDER = {"time": "ymd", "dmy": "dmy", "mdy": "mdy"}
_TOKENS = re.compile(rf"[0-9]+|{_NAMED}", re.IGNORECASE)
_HALF = re.compile(r"[-_. ]?([ap])m", re.IGNORECASE)
_CLOCK_ALONE = re.compile(CLOCK)
_SHORT_CLOCK = re.compile(SHORT_CLOCK)
DAY_SECONDS = 86_400
_LAST_NUMBER = re.compile(r"[-_. ]([0-9]{4}|[0-9]{6})Z?$", re.IGNORECASE)
_FILLED_GRID = 0.5
_MUCH_LONGER = 3
_MARKS = re.compile(r"[^0-9A-Za-z]")


@functools.cache
def compiled(expression: str) -> re.Pattern[str]:
    """A case-insensitive expression, compiled when it is first needed.

    To compile all those of names that are not known takes longer than to list a folder; most names are known.
    """
    return re.compile(expression, re.IGNORECASE)


def kind_of_dates(values: Sequence[str]) -> str:
    """How the dates and times of one set are written, see `DATE_TIMES` and `DATES`; "" if they are none.

    Of several ways to read them that by which they are closest together. Counted numbers are none.
    "clock": hours and minutes, which is likely, but cannot be known.
    """
    if all(map(_SHORT_CLOCK.fullmatch, values)):
        return "clock" if _are_hours_and_minutes(values) else ""
    found: dict[str, float] = {}
    for kind in DATE_TIMES:
        if not _numbers(values[0], kind):  # as of most
            continue
        times = [_numbers(value, kind) for value in values]
        seconds = [seconds_of(value, kind) for value in values]
        known = [time for time in seconds if time is not None]
        if len(known) == len(times) and not _are_counted(values, times):
            found[kind] = max(known) - min(known)
    return min(found, key=lambda kind: found[kind], default="")


def are_dates_alone(values: Iterable[str]) -> bool:
    """Whether no time of day is with the dates."""
    return all(any(compiled(each).fullmatch(value) for each in DATES.values()) for value in values)


def seconds_of(text: str, kind: str) -> float | None:
    """When a time is that is written so, in seconds; None if it is none, as the 30th of February."""
    numbers = _time_of_day(text) if kind == "clock" else _numbers(text, kind)
    if not numbers:
        return None
    year, month, day, hour, minute, second, fraction = (*numbers, 0, 0, 0, 0)[:7]
    try:
        return (datetime(year, month, day, hour, minute, second, fraction) - _EPOCH).total_seconds()
    except ValueError:
        return None


def _numbers(text: str, kind: str) -> tuple[int, ...]:
    """The year, month, day, hour, minute, second, fraction, as far as they are said; () if it is no time."""
    if kind == "time" and _CLOCK_ALONE.fullmatch(text):
        return _time_of_day(text)
    if not any(compiled(each).fullmatch(text) for each in (DATE_TIMES[kind], DATES[kind])):
        return ()
    numbers: list[int] = []
    for token in _TOKENS.findall(text):
        numbers += _split(token.lower(), len(numbers), _ORDER[kind])
    date = dict(zip(_ORDER[kind], numbers, strict=False))
    year = date["y"] if date["y"] > 99 else 2000 + date["y"]
    clock = numbers[3:7]
    if half := _HALF.search(text):
        clock[0] = clock[0] % 12 + 12 * (half[1].lower() == "p")
    return (year, date["m"], date["d"], *clock)


def _time_of_day(text: str) -> tuple[int, ...]:
    """The first day that there is, and the time of day in the text; () if there is none."""
    if not (_CLOCK_ALONE.fullmatch(text) or _SHORT_CLOCK.fullmatch(text)):
        return ()
    return (_EPOCH.year, 1, 1, *map(int, _TOKENS.findall(text)))


def begin_of_run(values: Iterable[str]) -> float:
    """At which second of the day times without a date begin: 0.0, unless they clearly go over midnight.

    They do if the break over midnight is short, and there is a much longer one at another time of day.
    """
    numbers = [_time_of_day(value) for value in set(values)]
    if not numbers or not all(numbers):
        return 0.0
    seconds = sorted(
        3600 * hour + 60 * minute + second
        for _, _, _, hour, minute, second in (((*n, 0)[:6]) for n in numbers)
    )
    breaks = [b - a for a, b in pairwise([*seconds, seconds[0] + DAY_SECONDS])]
    if max(breaks) <= _MUCH_LONGER * breaks[-1]:
        return 0.0
    return float(seconds[breaks.index(max(breaks)) + 1])


def _split(token: str, at: int, order: str) -> list[int]:
    """The numbers in one token, which begins with the part `at`."""
    if token in _MONTHS:
        return [_MONTHS.index(token) + 1]
    if at or len(token) <= 4:
        widths = [2] * 3 if at >= 3 and len(token) >= 4 else [len(token)]
    else:
        n_year = 4 if len(token) != 6 else 2
        widths = [n_year if part == "y" else 2 for part in order] + [2] * 3
    found: list[int] = []
    for width in widths:
        if token:
            found.append(int(token[:width]))
            token = token[width:]
    return [*found, int(token.ljust(6, "0")[:6])] if token else found


def _are_counted(values: Sequence[str], times: Sequence[tuple[int, ...]]) -> bool:
    """Whether what looks like times is rather several counted numbers: "2024_03_11_01_02", all marks alike.

    Each that differs counts from 0 or 1 on without a gap, as the one behind a date in "2024-03-11_0001" does;
    of times of day alone, they are a grid.
    """
    last = [found[1] for value in values if (found := _LAST_NUMBER.search(value)) is not None]
    if len(last) == len(values) > 1 and _is_count(set(map(int, last))):
        return True
    marks = {mark for value in values for mark in _MARKS.findall(value)}
    counts = [set(count) for count in zip_longest(*times, fillvalue=0)]
    varying = [count for count in counts if len(count) > 1]
    if len(marks) != 1 or len(varying) < 2:
        return all(map(_CLOCK_ALONE.fullmatch, values))
    if all(map(_CLOCK_ALONE.fullmatch, values)):
        return len(set(values)) > _FILLED_GRID * math.prod(map(len, varying))
    return all(map(_is_count, varying))


def _are_hours_and_minutes(values: Sequence[str]) -> bool:
    """Whether pairs of two-digit numbers are hours and minutes rather than rows and columns, or t and z.

    Hours that come once each are one number, whatever is behind it. Minutes are not counted from 0 or 1 on,
    and most combinations are not there, which says nothing of decimals ("10.25"); or they come in equal steps
    over the hours, but do not begin with the first row of a grid.
    """
    pairs = sorted({(int(value[:2]), int(value[3:])) for value in values})
    hours, minutes = ({pair[i] for pair in pairs} for i in (0, 1))
    if len(hours) in (1, len(pairs)) or len(minutes) == 1 or _is_count(minutes):
        return False
    are_few = len(pairs) <= _FILLED_GRID * len(hours) * len(minutes)
    if are_few and not any("." in value for value in values):
        return True
    begin = int(begin_of_run(values)) // 60
    run = sorted((60 * hour + minute - begin) % (24 * 60) for hour, minute in pairs)
    begins_within = begin % 60 if begin else pairs[0][1]
    return len({b - a for a, b in pairwise(run)}) == 1 and (begins_within > min(minutes) or pairs[0][0] > 1)


def _is_count(numbers: set[int]) -> bool:
    """Whether numbers are all those from 0, or 1, to the last."""
    return len(numbers) > 1 and min(numbers) <= 1 and max(numbers) - min(numbers) == len(numbers) - 1
