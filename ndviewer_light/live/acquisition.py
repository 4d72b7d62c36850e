"""A dataset being written by a host: its announcement and its notifications.

An `Acquisition` is created once per run and never changes its subject; a start builds a new one
and swaps it in, so that nothing of one run can leak into the next.
"""

from __future__ import annotations

import logging
import operator
import os
import reprlib
import threading
from itertools import accumulate
from typing import TYPE_CHECKING

from ..errors import AcquisitionConfigError
from ..model import AnnouncedRun, Position, how_many
from ..storage.limits import MAX_POSITIONS, MAX_T
from .experiments import experiment_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..engine.dataset import Dataset
    from .registered_files import RegisteredFiles

logger = logging.getLogger(__name__)


def position_of(label: str) -> Position:
    """``"A1:0"`` → region "A1", fov 0; a label without a number is its own region."""
    region, colon, fov = label.rpartition(":")
    if colon and fov.isdecimal() and fov.isascii():
        return Position(region, int(fov))
    return Position(label, 0)


def texts_given(name: str, given: Iterable[object] | None) -> tuple[str, ...]:
    """The texts of a list that a host gives, none for None. Raises `AcquisitionConfigError` for no list."""
    if given is None:
        return ()
    try:
        if isinstance(given, (str, bytes)):
            raise TypeError(name)
        return tuple(str(each) for each in given)
    except Exception:  # noqa: BLE001  whatever an odd object raises
        raise AcquisitionConfigError(f"{name} must be a list of texts, not {reprlib.repr(given)}") from None


_SIZES = {"num_z": 2**20, "height": 2**31 - 1, "width": 2**31 - 1}
"""The sizes that are announced, and their limits."""


def _sizes_given(**given: object) -> dict[str, int]:
    """The sizes; those below 0 are 0. Raises `AcquisitionConfigError` for what is none, or beyond any run."""
    sizes = {}
    for name, value in given.items():
        try:
            size = int(value)  # type: ignore[call-overload]
        except Exception:  # noqa: BLE001  as above
            raise AcquisitionConfigError(
                f"{name} must be a whole number, not {reprlib.repr(value)}"
            ) from None
        if size > _SIZES[name]:
            raise AcquisitionConfigError(f"{name} is {size:,}: at most {_SIZES[name]:,} is possible")
        if size < 0:
            logger.warning("%s is %d, announced as less than 0: taken to be unknown", name, size)
        sizes[name] = max(0, size)
    return {"n_z": sizes["num_z"], "height": sizes["height"], "width": sizes["width"]}


def announce_per_fov(
    fov_paths: Sequence[str],
    channels: Sequence[str],
    num_z: int,
    fov_labels: Sequence[str],
    height: int,
    width: int,
) -> AnnouncedRun:
    """A run with one store (T, C, Z, Y, X) per field of view; paths and labels correspond.

    Raises `AcquisitionConfigError` (a ValueError) without paths. If the lengths differ, the longer
    list is cut, as hosts expect.
    """
    paths, labels = texts_given("fov_paths", fov_paths), texts_given("fov_labels", fov_labels)
    if not paths:
        raise AcquisitionConfigError("fov_paths must not be empty")
    if len(paths) != len(labels):
        logger.warning(
            "%d FOV paths but %d labels: using only the first %d",
            len(paths),
            len(labels),
            min(len(paths), len(labels)),
        )
    pairs = list(zip(paths, labels, strict=False))
    return AnnouncedRun(
        positions=tuple(position_of(label) for _, label in pairs),
        paths=tuple(path for path, _ in pairs),
        indices=(None,) * len(pairs),
        channels=texts_given("channels", channels),
        **_sizes_given(num_z=num_z, height=height, width=width),
    )


def announce_files(
    channels: Sequence[str], num_z: int, height: int, width: int, fov_labels: Sequence[str]
) -> AnnouncedRun:
    """A run whose image files are registered one by one while it is written."""
    return AnnouncedRun(
        positions=tuple(map(position_of, texts_given("fov_labels", fov_labels))),
        paths=(),
        indices=(),
        channels=texts_given("channels", channels),
        **_sizes_given(num_z=num_z, height=height, width=width),
    )


def counts_given(fovs_per_region: Iterable[object] | None) -> tuple[int, ...]:
    """How many fields each region has. Raises `AcquisitionConfigError` for what are no such numbers."""
    try:
        counts = tuple(int(count) for count in fovs_per_region or ())  # type: ignore[call-overload]
    except Exception:  # noqa: BLE001  whatever an odd object raises
        counts = ()
    if not counts or min(counts) <= 0 or sum(counts) > MAX_POSITIONS:
        raise AcquisitionConfigError(
            f"fovs_per_region must be positive numbers, {MAX_POSITIONS:,} together at most, "
            f"not {reprlib.repr(fovs_per_region)}"
        )
    return counts


def announce_6d(
    region_paths: Sequence[str],
    channels: Sequence[str],
    num_z: int,
    fovs_per_region: Sequence[int],
    height: int,
    width: int,
    region_labels: Sequence[str] | None = None,
) -> AnnouncedRun:
    """A run with one store (FOV, T, C, Z, Y, X) per region.

    Raises `AcquisitionConfigError` (a ValueError) without regions, for a count that is not positive,
    and if the lengths differ.
    """
    paths = texts_given("region_paths", region_paths)
    if not paths:
        raise AcquisitionConfigError("region_paths must not be empty")
    counts = counts_given(fovs_per_region)
    labels = texts_given("region_labels", region_labels) or [f"region_{i}" for i in range(len(paths))]
    if not len(paths) == len(counts) == len(labels):
        raise AcquisitionConfigError(
            f"{how_many(len(paths), 'region path')}, {how_many(len(counts), 'FOV count')} and "
            f"{how_many(len(labels), 'label')}: "
            "their lengths must match"
        )
    stores = [
        (path, label, i)
        for path, label, count in zip(paths, labels, counts, strict=True)
        for i in range(count)
    ]
    return AnnouncedRun(
        positions=tuple(Position(label, i) for _, label, i in stores),
        paths=tuple(path for path, _, _ in stores),
        indices=tuple(i for _, _, i in stores),
        channels=texts_given("channels", channels),
        **_sizes_given(num_z=num_z, height=height, width=width),
    )


class Acquisition:
    """One run: translates the host's calls into planes of `dataset`, and counts invalid ones.

    `files` collects the files that the host names. `fovs_per_region` is None if the host counts
    positions over the whole run, else the counts that turn (region, fov) into a position.
    """

    def __init__(
        self,
        dataset: Dataset,
        run: AnnouncedRun,
        files: RegisteredFiles,
        fovs_per_region: Sequence[int] | None = None,
    ) -> None:
        self.dataset = dataset
        self.run = run
        self.active = True
        self.ignored = 0  # notifications for planes outside this run
        self._ignoring = threading.Lock()  # only for counting
        self._files = files
        self._channels = {name: i for i, name in enumerate(run.channels)}
        self._n_channels = len(run.channels)
        self._n_z = run.n_z
        self._n_positions = len(run.positions)
        self._counts = tuple(int(count) for count in fovs_per_region) if fovs_per_region is not None else None
        self._offsets = (0, *accumulate(self._counts)) if self._counts is not None else (0,)
        self._stale = dataset.mark_written

    @property
    def folder(self) -> str:
        """The local folder of its stores, or of the files named so far; "" while none is known."""
        return self.run.folder or self._files.folder or ""

    @property
    def experiment(self) -> str:
        """The folder that has the name of the run: above the stores in it, if they are Squid's."""
        paths = self.run.paths
        above = experiment_folder(paths[0]) if self.run.folder and paths else None
        return above or self.folder

    def notify(self, t: int, fov_idx: int, z: int, channel: str, region_idx: int = 0) -> bool:
        """Notify that a plane is on disk. Any thread; about a microsecond, no I/O, never raises.

        Returns False for indices outside this run: counted in `ignored`, logged once.
        """
        p = fov_idx
        try:
            of = self._channels[channel]
            if not type(t) is type(p) is type(z) is int:
                t, p, z = map(operator.index, (t, p, z))
            if self._counts is not None:
                region = operator.index(region_idx)
                if not (0 <= region < len(self._counts) and 0 <= p < self._counts[region]):
                    return self._ignore(t, fov_idx, z, channel, region_idx)
                p += self._offsets[region]
        except Exception:  # noqa: BLE001  an odd object's own error must not reach the writer's thread
            return self._ignore(t, fov_idx, z, channel, region_idx)
        if not (0 <= t < MAX_T and 0 <= p < self._n_positions and 0 <= z < self._n_z):
            return self._ignore(t, fov_idx, z, channel, region_idx)
        for c in self._files.planes_of[of]:
            self._stale((t, p, c, z))
        return True

    def written(self, t: int, p: int, c: int | str, z: int) -> bool:
        """Like `notify`, with the position counted over the run, the channel by its index or name."""
        try:
            t, p, z = operator.index(t), operator.index(p), operator.index(z)
            of = self._channels[c] if isinstance(c, str) else operator.index(c)
        except Exception:  # noqa: BLE001  as above
            return self._ignore(t, p, z, c)
        if not (
            0 <= t < MAX_T
            and 0 <= p < self._n_positions
            and 0 <= of < self._n_channels
            and 0 <= z < self._n_z
        ):
            return self._ignore(t, p, z, c)
        for part in self._files.planes_of[of]:
            self._stale((t, p, part, z))
        return True

    def register(self, t: int, fov_idx: int, z: int, channel: str, filepath: str, page: int = 0) -> bool:
        """Tell that a plane is, or will be, in this file. Like `notify`; `fov_idx` counts over the run."""
        p, path = fov_idx, filepath
        try:
            of = self._channels[channel]
            if not (type(t) is type(p) is type(z) is type(page) is int and type(path) is str):
                t, p, z, page = map(operator.index, (t, p, z, page))
                named: object = os.fspath(path)
                if not isinstance(named, str):  # bytes
                    return self._ignore(t, fov_idx, z, channel, filepath)
                path = named
        except Exception:  # noqa: BLE001  as above
            return self._ignore(t, fov_idx, z, channel, filepath)
        if not (0 <= t < MAX_T and 0 <= p < self._n_positions and 0 <= z < self._n_z):
            return self._ignore(t, fov_idx, z, channel, filepath)
        files, key = self._files, (t, p, of, z)
        files.register(key, path, page)
        for c in files.planes_of[of]:
            self._stale(key if c == of else (t, p, c, z))
        return True

    def _ignore(self, *said: object) -> bool:
        with self._ignoring:
            self.ignored += 1
            is_first = self.ignored == 1
        if is_first:
            logger.warning(
                "ignored a notification for a plane outside this run: (t, fov, z, channel, region or file) "
                "= %s",
                reprlib.repr(said),  # short, and cannot raise
            )
        return False

    def end(self) -> None:
        """End the run; the planes in view are read once more. Idempotent, no I/O."""
        if self.active:
            self.active = False
            self.dataset.end()
