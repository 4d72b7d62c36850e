"""When planes were acquired, in s since the run began, as documents say. Pure: no I/O; nothing is raised."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .written_units import SECONDS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

_MOST_JSON_LETTERS = 1024**2
"""Of what is said of one plane."""
_SQUIDS_FORMAT = "%Y-%m-%d_%H-%M-%S.%f"


@dataclass(frozen=True)
class RecordedTimes:
    """Seconds of the planes of one image: by (t, c, z), where `c` counts what has its own pages, or by t."""

    by_index: Mapping[tuple[int, int, int], float] = field(default_factory=dict)
    by_t: Sequence[float] = ()

    def of(self, t: int, c: int, z: int) -> float | None:
        """When a plane was acquired; None if it is not said."""
        found = self.by_index.get((t, c, z))
        if found is None and t < len(self.by_t) and math.isfinite(self.by_t[t]):
            return self.by_t[t]
        return found

    def __hash__(self) -> int:
        return len(self.by_index) + len(self.by_t)


NOT_SAID = RecordedTimes()


def plane_times(pixels: Element) -> RecordedTimes:
    """``DeltaT`` of every ``Plane`` of ``Pixels`` in OME-XML, in the unit that each has (s if none)."""
    found = {}
    for plane in pixels:
        if plane.tag.rpartition("}")[2] != "Plane" or plane.get("DeltaT") is None:
            continue
        factor = SECONDS_PER_UNIT.get(plane.get("DeltaTUnit", "s").strip(), math.nan)
        try:
            index = int(plane.get("TheT", 0)), int(plane.get("TheC", 0)), int(plane.get("TheZ", 0))
            seconds = float(plane.get("DeltaT", "")) * factor
        except ValueError:
            continue
        if math.isfinite(seconds):
            found[index] = seconds
    return RecordedTimes(found) if found else NOT_SAID


def exposures_ms(pixels: Element) -> dict[int, float]:
    """``ExposureTime`` by channel, of the first ``Plane`` of each in ``Pixels`` in OME-XML that has one."""
    found: dict[int, float] = {}
    for plane in pixels:
        if plane.tag.rpartition("}")[2] != "Plane" or plane.get("ExposureTime") is None:
            continue
        factor = 1e3 * SECONDS_PER_UNIT.get(plane.get("ExposureTimeUnit", "s").strip(), math.nan)
        try:
            c, exposure = int(plane.get("TheC", 0)), float(plane.get("ExposureTime", "")) * factor
        except ValueError:
            continue
        if math.isfinite(exposure) and exposure > 0:
            found.setdefault(c, exposure)
    return found


def frame_times(said: object, roles: Sequence[str]) -> RecordedTimes:
    """``delta_t`` (s) of what ome-writers says of the frames of an image, by their ``storage_index``.

    `roles` are those of the axes of its array, in order.
    """
    found = {}
    for frame in said if isinstance(said, list) else ():
        if not isinstance(frame, dict):
            continue
        index, seconds = frame.get("storage_index"), frame.get("delta_t")
        if not isinstance(index, list) or not all(type(each) is int for each in index):
            continue
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            continue
        at = dict(zip(roles, index, strict=False))
        found[at.get("t", 0), at.get("c", 0), at.get("z", 0)] = float(seconds)
    return RecordedTimes(found) if found else NOT_SAID


def elapsed_s(said: object) -> float | None:
    """``ElapsedTime-ms`` of what Micro-Manager says of a plane, also as JSON, in s."""
    if isinstance(said, str):
        try:
            said = json.loads(said[:_MOST_JSON_LETTERS])
        except (ValueError, RecursionError):
            return None
    value = said.get("ElapsedTime-ms") if isinstance(said, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) / 1000


def elapsed_of_files(said: Mapping[str, Any]) -> dict[str, float]:
    """The same for every file of which Micro-Manager's ``metadata.txt`` speaks, by its name."""
    found = {}
    for key, frame in said.items():
        seconds = elapsed_s(frame)
        if seconds is None:
            continue
        name = key.rpartition("/")[2] if key.startswith("Metadata-") else frame.get("FileName")
        if isinstance(name, str):
            found[name] = seconds
    return found


def squids_times(table: str) -> tuple[dict[tuple[str, int, int], float], str]:
    """When the stacks of a time point were acquired, by region, field and z: local time in s since 1970.

    And what is wrong with the first row that says no such thing, "" if all do; the rows before it count.

    `table` is the ``coordinates.csv`` that Squid writes in the folder of a time point.
    """
    found: dict[tuple[str, int, int], float] = {}
    rows = csv.DictReader(table.splitlines())
    try:
        if not {"region", "fov", "z_level", "time"} <= set(rows.fieldnames or ()):  # of older versions
            return {}, ""
        for row in rows:
            at = row["region"].strip(), int(row["fov"]), int(row["z_level"])
            found[at] = datetime.strptime(row["time"].strip(), _SQUIDS_FORMAT).timestamp()
    except (TypeError, ValueError, AttributeError, OverflowError, csv.Error):
        return found, f"line {rows.line_num} does not say when a plane was acquired"
    return found, ""
