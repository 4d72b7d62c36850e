"""An image series of NWB whose frames are in other files, of any format that can be opened here.

Source: NWB format specification 2.x, ``ImageSeries``: "external_file" lists the files, relative to this one,
and its attribute "starting_frame" the number of the first frame in each. Such files have their own
orientation: rows are rows, unlike in series stored in the file itself.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UnsupportedError, closed_error
from ...model import PlaneKey
from ..registry import open_source
from . import nwb
from .images import sane_steps
from .snapshot import Snapshot, name_of_image, unfinished

if TYPE_CHECKING:
    from ...model import Region
    from ..source import Source
    from .file import HDF5File
    from .snapshot import OpenRequest

_MOST_EXTERNAL_FRAMES = 10_000_000


class ExternalSeriesSnapshot(Snapshot):
    """The frames of all files of a series; each file is opened, for its size, when the series is."""

    def __init__(self, file: HDF5File, request: OpenRequest, series: nwb.Series) -> None:
        """Within `HDF5File.reading`. Raises a `DatasetError` if one of the files cannot be opened."""
        super().__init__(file)
        self.inner = series.path
        self._series = series
        self.evidence = f"NWB {series.type} with external files"
        self._lock = threading.Lock()  # guards `_closed`
        self._closed = False
        where = f"{file.name}::{series.path}"
        places = [file.others.place(name, where) for name in series.files]
        self._sources: list[Source] = []
        try:
            for place in places:
                self._sources.append(open_source(place, request.options))
            self._counts = [_count(source, where) for source in self._sources]
            self._describe(file, request, series, where)
        except BaseException:
            self.close()
            raise

    def _describe(self, file: HDF5File, request: OpenRequest, series: nwb.Series, where: str) -> None:
        first = self._sources[0].info
        alike = (first.height, first.width, first.dtype, len(first.channels))
        for source in self._sources:
            info = source.info
            if (info.height, info.width, info.dtype, len(info.channels)) != alike:
                raise UnsupportedError(
                    f"{where}: {info.name} has images of a different size or type than {first.name}"
                )
        self._ends = list(itertools.accumulate(self._counts))
        starts = [end - n for end, n in zip(self._ends, self._counts, strict=True)]
        if series.first_frames and list(series.first_frames) != starts:
            raise UnsupportedError(
                f"{where}: its files begin with frames {list(series.first_frames)[:8]}, but by their sizes "
                f"with {starts[:8]}"
            )
        node = file.node(series.path)
        step, warning = nwb.time_step(file, node, self._ends[-1], where)
        steps = sane_steps({"t": step})
        info = replace(
            first,
            format="nwb",
            name=name_of_image(request.path, request.inner),
            n_t=self._ends[-1],
            n_z=1,
            n_levels=1,
            z_step_um=None,
            time_step_s=steps.get("t"),
            times=(),
            choices=(),
            warnings=(*(() if warning is None else (warning,)), *unfinished(file)),
        )
        before = request.before
        self.info = before.info if before is not None and before.info == info else info

    def frame_times(self) -> np.ndarray | None:
        """See `Snapshot.frame_times`."""
        return nwb.frame_times(self.file, self._series.path, self.info.n_t)

    @property
    def identity(self) -> str | None:
        """None: the files may change without this one."""
        return None

    def _frame(self, t: int) -> tuple[Source, PlaneKey]:
        """The file that has a frame, and the plane in it, of its first channel."""
        at = bisect_right(self._ends, t)
        source = self._sources[at]
        i = t - (self._ends[at] - self._counts[at])
        return source, PlaneKey(t=i // source.info.n_z, z=i % source.info.n_z)

    def tile_shape(self, p: int, level: int) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""
        return self._sources[0].tile_shape(0)

    def read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """See `HDF5Source.read_plane`, `HDF5Source.read_region`."""
        if level or not self.info.contains(key):
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self.info.sizes}")
        with self._lock:
            if self._closed:
                raise closed_error(self.file.name)
        source, frame = self._frame(key.t)
        frame = frame._replace(c=key.c)
        return source.read_plane(frame) if region is None else source.read_region(frame, region)

    def is_stored(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.is_stored`."""
        return self.looks_up(key) if self.info.contains(key) else None

    def looks_up(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.looks_up`."""
        source, frame = self._frame(key.t)
        return source.are_stored([frame._replace(c=key.c)])[0]

    @property
    def is_near(self) -> bool:
        """See `Snapshot.is_near`."""
        return not self.file.is_remote

    @property
    def fill(self) -> np.generic:
        """See `Snapshot.fill`."""
        zero: np.generic = np.dtype(self.info.dtype).type(0)
        return zero

    def version(self, key: PlaneKey, level: int) -> str | None:
        """See `Snapshot.version`."""
        if not self.info.contains(key):
            return None
        source, frame = self._frame(key.t)
        return source.versions([frame])[0]

    def close(self) -> None:
        """See `Snapshot.close`."""
        with self._lock:
            self._closed = True
        for source in self._sources:
            source.close()
        self.file.close()


def _count(source: Source, where: str) -> int:
    """How many frames a file has, along t and z: pages need not say which they are."""
    info = source.info
    if len(info.positions) > 1 or not 0 < info.n_t * info.n_z <= _MOST_EXTERNAL_FRAMES:
        raise UnsupportedError(f"{where}: {info.name} is not a series of frames: {info.summary()}")
    return info.n_t * info.n_z
