"""The statistics of many planes as a table: a row per expected plane, for pandas and xarray.

Columns are described in `COLUMNS`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model import PlaneState, saturated_fraction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import xarray as xr

    from ..model import DatasetInfo, PlaneKey, PlaneStatistics
    from .plane_measuring import MeasuredState

STATISTICS = ("mean", "p1", "p50", "p99_9", "low", "high", "saturated", "focus")
COLUMNS = {
    "mean": "mean pixel value",
    "p1": "1st percentile",
    "p50": "median",
    "p99_9": "99.9th percentile",
    "low": "lowest pixel value",
    "high": "highest pixel value",
    "saturated": "fraction of pixels at the highest value of the detector, by that of the channel",
    "focus": "normalised variance: variance / mean",
    "pixels": "number of pixels",
    "finite": "number of pixels that are neither NaN nor infinite",
    "acquired_s": "when it was acquired, in s since the run began: recorded, else by the time step",
    "acquired_by": "record, if the dataset records it for each plane; step, if only the time step is known",
    "written": "when the files of the plane were last changed, UTC",
    "state": "present, filled, missing, pending or unreadable; empty: no such plane is expected",
    "reason": "why there are no statistics, or those of a fill value",
}
STATES = {
    PlaneState.PRESENT: "present",
    PlaneState.FILLED: "filled",
    PlaneState.ABSENT: "missing",
    PlaneState.PENDING: "pending",
    PlaneState.UNREADABLE: "unreadable",
}
TABLE_DIMS = ("time", "fov", "z", "channel")
_TAKEN = tuple(name for name in STATISTICS if name != "saturated")


class MeasuredTable:
    """Filled plane by plane, in any order. One thread."""

    def __init__(self, info: DatasetInfo, keys: Sequence[PlaneKey]) -> None:
        """`keys`: the planes that are expected, in the order of the rows."""
        self.info = info
        self._keys = np.array([tuple(key) for key in keys], np.int64).reshape(-1, 4)
        n = len(keys)
        self._statistics = {name: np.full(n, np.nan) for name in STATISTICS}
        self._counts = {name: np.zeros(n, np.int64) for name in ("pixels", "finite", "n_high")}
        self._is_unsigned = np.zeros(n, bool)
        self._acquired = np.full(n, np.nan)
        self._written = np.full(n, np.datetime64("NaT", "ns"), "datetime64[ns]")
        self._state = np.full(n, "", f"<U{max(map(len, STATES.values()))}")
        self._reason = np.full(n, "", object)

    def __len__(self) -> int:
        return len(self._keys)

    def fill(self, row: int, found: MeasuredState, statistics: PlaneStatistics | None) -> None:
        """What came of the plane of a row; `statistics` also if they were at hand before."""
        self._state[row] = STATES[found.state]
        self._reason[row] = found.reason
        if found.acquired_s is not None:
            self._acquired[row] = found.acquired_s
        if found.written_ns:
            self._written[row] = np.datetime64(found.written_ns, "ns")
        if statistics is None:
            return
        for name in _TAKEN:
            self._statistics[name][row] = getattr(statistics, name)
        self._counts["pixels"][row], self._counts["finite"][row] = statistics.n, statistics.n_finite
        self._counts["n_high"][row], self._is_unsigned[row] = statistics.n_high, statistics.is_unsigned

    def count(self, state: PlaneState) -> int:
        """How many planes are in a state."""
        return int(np.count_nonzero(self._state == STATES[state]))

    def _columns(self) -> dict[str, np.ndarray]:
        by_step, is_recorded = self._seconds(), np.isfinite(self._acquired)
        by = np.where(is_recorded, "record", np.where(np.isfinite(by_step), "step", ""))
        return {
            **self._statistics,
            "saturated": self._saturated(),
            "pixels": self._counts["pixels"],
            "finite": self._counts["finite"],
            "acquired_s": np.where(is_recorded, self._acquired, by_step),
            "acquired_by": by.astype(object),
            "written": self._written,
            "state": self._state,
            "reason": self._reason,
        }

    def _saturated(self) -> np.ndarray:
        """By `saturated_fraction`, with the highest value of each channel in all rows."""
        result = np.full(len(self), np.nan)
        high, n, n_high = self._statistics["high"], self._counts["pixels"], self._counts["n_high"]
        for c in np.unique(self._keys[:, 2]):
            rows = np.flatnonzero((self._keys[:, 2] == c) & self._is_unsigned & (n > 0))
            if rows.size:
                highest = float(high[rows].max())
                each = zip(n_high[rows].tolist(), n[rows].tolist(), high[rows].tolist(), strict=True)
                result[rows] = [saturated_fraction(*one, highest) for one in each]
        return result

    # ---- ways out --------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """A row per expected plane: where it is, then `COLUMNS`."""
        import pandas as pd

        t, p, c, z = self._keys.T
        where = self.info.positions

        def of_positions(values: Sequence[Any], dtype: Any = object) -> Any:
            return np.array(values, dtype)[p]

        columns = {
            "position": of_positions([each.label for each in where]),
            "region": of_positions([each.region for each in where]),
            "fov": of_positions([each.fov for each in where], np.int64),
            "channel": np.array([channel.name for channel in self.info.channels], object)[c],
            "t": t,
            "z": z,
            "time_s": self._seconds(),
            **{
                name: of_positions([_or_nan(getattr(each, name)) for each in where], np.float64)
                for name in ("x_um", "y_um", "z_um")
            },
            **self._columns(),
        }
        return pd.DataFrame(columns)

    def _seconds(self) -> np.ndarray:
        """The time of each row, in s since the first time point; NaN where the step is not known."""
        result = np.full(len(self), np.nan)
        groups = self.info.groups
        number = {id(image): i for i, image in enumerate(groups)}
        of_position = np.array([number[id(self.info.image(p))] for p in range(len(self.info.positions))])
        group_of_row = of_position[self._keys[:, 1]] if len(self) else np.zeros(0, np.int64)
        for i, image in enumerate(groups):
            rows = np.flatnonzero(group_of_row == i)
            if image.time_step_s is not None and rows.size:
                numbers = np.array(image.times or range(int(self._keys[rows, 0].max()) + 1))
                result[rows] = numbers[self._keys[rows, 0]] * image.time_step_s
        return result

    def to_xarray(self) -> xr.Dataset:
        """Variables (time, fov, z, channel), as the arrays of `Dataset.to_xarray` are arranged.

        Where positions differ, planes that are not expected have NaN and the state "".
        """
        import xarray as xr

        axes = [np.unique(self._keys[:, i]) for i in (0, 1, 3, 2)]
        at = tuple(
            np.searchsorted(axis, self._keys[:, i]) for axis, i in zip(axes, (0, 1, 3, 2), strict=True)
        )
        shape = tuple(map(len, axes))
        variables = {}
        for name, column in self._columns().items():
            empty = np.full(shape, _nothing(column.dtype), column.dtype)
            empty[at] = column
            variables[name] = (TABLE_DIMS, empty, {"description": COLUMNS[name]})
        return xr.Dataset(variables, dict(self._coords(*axes)), self._attrs())

    def _coords(
        self, t: np.ndarray, p: np.ndarray, z: np.ndarray, c: np.ndarray
    ) -> Iterator[tuple[str, Any]]:
        places = [self.info.positions[i] for i in p.tolist()]
        yield "time", t
        yield "fov", p
        yield "z", z
        yield "channel", [self.info.channels[i].name for i in c.tolist()]
        yield "position", ("fov", np.array([place.label for place in places], object))
        yield "region", ("fov", np.array([place.region for place in places], object))
        for name in ("x_um", "y_um", "z_um"):
            known = [_or_nan(getattr(place, name)) for place in places]
            if not all(map(math.isnan, known)):
                yield f"stage_{name}", ("fov", known)
        if len(p) and (step := self.info.image(int(p[0])).time_step_s) is not None:
            numbers = np.array(self.info.times) if self.info.times else np.arange(self.info.n_t)
            yield "time_s", ("time", numbers[t] * step)

    def _attrs(self) -> dict[str, Any]:
        return {"name": self.info.name, "format": self.info.format, "focus": "normalised variance"}


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _nothing(dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        return np.nan
    if dtype.kind == "M":
        return np.datetime64("NaT", "ns")
    return 0 if dtype.kind == "i" else ""
