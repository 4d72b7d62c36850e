"""``ndviewer-light info PATH --planes``: which planes of a dataset are there, as facts and as text.

The key ``planes`` of the JSON has these keys; all indices count from 0:

=============================  =====================================================================
expected, looked_at            planes by the metadata, and how many of them were looked at
present, filled, missing,      how many are in each state, of those that were looked at: ``filled`` are
pending, unreadable, unknown   those of which nothing is stored and that count as fill value, which only
                               ``--read`` tells; they are among ``missing`` without it
may_be_empty                   whether missing ones may be empty, as the format need not store such planes
read                           whether planes were read, so that damaged ones were found
limit, seconds                 why not all were looked at (null if they were); how long it took
gaps                           missing, pending and filled planes, neighbours together: ``state``,
                               ``positions`` and ``t`` (first and last index), ``labels`` (first and last),
                               ``channels`` (names), ``z`` (indices), ``planes`` (how many)
empty_wells                    the wells that a plate lists and that have no image: no planes of these count
unreadable_planes              ``t``, ``p``, ``c``, ``z``, ``label``, ``title``, ``channel``, ``reason``
                               (names the file)
by_position, by_time           the counts by state of those that are not wholly present: by label, by index
=============================  =====================================================================
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..model import PlaneState
from ..opening import open_dataset
from .terminal import shown_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..engine.report import Gap, PlaneReport

    Said = dict[str, Any]

ALL_THERE, INCOMPLETE, NOT_KNOWN = 0, 3, 4
"""Exit codes: every expected plane is there; some are missing or unreadable; not everything is known."""

_NAMES = {
    PlaneState.PRESENT: "present",
    PlaneState.FILLED: "filled",
    PlaneState.ABSENT: "missing",
    PlaneState.PENDING: "pending",
    PlaneState.UNREADABLE: "unreadable",
    PlaneState.UNKNOWN: "unknown",
}
_WORDS = {
    "filled": "nothing stored, shown as the fill value",
    "missing": "empty or not acquired",
    "pending": "not written yet",
    "unknown": "only reading tells: use --read",
}
_LISTED = 40
_LETTERS_A_LINE = 72


def planes_of(path: str, options: Mapping[str, str], *, read: bool, seconds: float | None) -> Said:
    """Look at the planes of a dataset, and return what the module's docstring lists.

    With what is said of the dataset once they were looked at, as ``warnings``.

    Blocks on disk or network. Raises a `DatasetError` if it cannot be opened.
    """
    doing = "reading" if read else "looking at"
    with open_dataset(path, storage_options=options) as dataset, shown_progress(doing) as progress:
        said = _facts(dataset.report(read=read, seconds=seconds, progress=progress))
        return {**said, "warnings": list(dataset.info.warnings)}


def exit_code(said: Mapping[str, Any]) -> int:
    """What the command ends with."""
    if said["missing"] or said["unreadable"] or said["empty_wells"]:
        return INCOMPLETE
    there: int = said["present"] + said["filled"]
    return ALL_THERE if there == said["expected"] else NOT_KNOWN


def _facts(report: PlaneReport) -> Said:
    info = report.info
    return {
        "expected": report.expected,
        "looked_at": report.looked_at,
        **{name: report.count(state) for state, name in _NAMES.items()},
        "may_be_empty": report.may_be_empty,
        "read": report.is_read,
        "limit": report.limit or None,
        "seconds": round(report.seconds, 2),
        "gaps": [
            _gap(report, gap, name)
            for state, name in _NAMES.items()
            if name in ("missing", "pending", "filled")
            for gap in report.gaps(state)
        ],
        "empty_wells": list(report.empty_wells),
        "unreadable_planes": [
            {
                **key._asdict(),
                "label": info.positions[key.p].label,
                "title": info.positions[key.p].title,
                "channel": info.channels[key.c].name,
                "reason": reason,
            }
            for key, reason in report.reasons.items()
        ],
        "by_position": {
            info.positions[p].label: _counts(counts)
            for p, counts in report.by_position().items()
            if set(counts) != {PlaneState.PRESENT}
        },
        "by_time": {
            t: _counts(counts)
            for t, counts in enumerate(report.by_time())
            if set(counts) != {PlaneState.PRESENT}
        },
    }


def _counts(counts: Mapping[PlaneState, int]) -> dict[str, int]:
    return {_NAMES[state]: n for state, n in counts.items()}


def _gap(report: PlaneReport, gap: Gap, name: str) -> Said:
    info = report.info
    ends = [info.positions[p] for p in (gap.first_p, gap.last_p)]
    return {
        "state": name,
        "positions": [gap.first_p, gap.last_p],
        "labels": [position.label for position in ends],
        "titles": [position.title for position in ends],
        "t": [gap.first_t, gap.last_t],
        "channels": [info.channels[c].name for c in gap.channels],
        "z": list(gap.zs),
        "whole": gap.is_whole,
        "planes": gap.n_planes,
    }


# ---- as text -------------------------------------------------------------------------------------


def lines_of(said: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[str]:
    """The result of `planes_of` as text, the summary first; `sizes` are those of the dataset."""
    parts = [f"expected {said['expected']:,}"]
    parts += [
        f"{name} {said[name]:,}"
        for name in _NAMES.values()
        if said[name] or name in ("present", "missing", "unreadable")
    ]
    yield " · ".join(parts)
    if said["limit"]:
        yield f"not all were looked at: {said['limit']} of {said['expected']:,}"
    if not said["read"]:
        yield "by what is stored; damaged planes are found with --read"
    for name, words in _WORDS.items():
        if said[name]:
            why = "nothing stored" if name == "missing" and not said["may_be_empty"] else words
            yield f"{name} ({why}){'; indices count from 0:' if name != 'unknown' else ''}"
        gaps = [gap for gap in said["gaps"] if gap["state"] == name]
        yield from _first([f"  {_gap_text(gap, sizes)}" for gap in gaps])
    if said["empty_wells"]:
        yield "wells that the plate lists and that have no image:"
        yield from _first([f"  {line}" for line in wrap(", ".join(said["empty_wells"]), _LETTERS_A_LINE)])
    if said["unreadable_planes"]:
        yield "unreadable; indices count from 0:"
        yield from _first([f"  {_unreadable_text(each, sizes)}" for each in said["unreadable_planes"]])


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _LISTED
    return [*lines[:_LISTED], *([f"  and {more:,} more, see --json"] if more > 0 else [])]


def _gap_text(gap: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    first_p, last_p = gap["positions"]
    if last_p - first_p + 1 == sizes["p"] > 1:
        where = "all positions"
    elif first_p == last_p:
        where = gap["titles"][0]
    else:
        where = f"{gap['titles'][0]} to {gap['titles'][1]} ({last_p - first_p + 1} positions)"
    parts = [f"t {ranges(range(gap['t'][0], gap['t'][1] + 1))}"] if sizes["t"] > 1 else []
    if gap["whole"]:
        parts.append("all channels")
    else:
        parts.append(", ".join(gap["channels"]))
        parts += [f"z {ranges(gap['z'])}"] if sizes["z"] > 1 else []
    return f"{where}  {', '.join(parts)}"


def _unreadable_text(plane: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    parts = [f"{axis} {plane[axis]}" for axis in "tz" if sizes[axis] > 1]
    return f"{plane['title']}  {', '.join([*parts, plane['channel']])}: {plane['reason']}"


def ranges(indices: Sequence[int]) -> str:
    """Ascending indices as text: "0, 3–5"."""
    runs: list[list[int]] = []
    for i in indices:
        if runs and runs[-1][-1] == i - 1:
            runs[-1][1:] = [i]
        else:
            runs.append([i])
    return ", ".join("–".join(map(str, run)) for run in runs)
