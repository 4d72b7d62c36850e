"""The image file of each plane of a run, as registered by the host during acquisition.

A host registers hundreds of thousands of files in a run of days. Their names follow a rule, so the
rule is inferred from the first name and only exceptions are stored.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import AnnouncedRun, Channel, ChannelPart, PlaneKey

    File = tuple[str, int]

_ATTEMPTS = 10_000
"""After so many files that follow no rule, none is looked for any more."""

_NUMBERS = re.compile(r"(\d+)_(\d+)(_.*)", re.DOTALL)


class RegisteredFiles:
    """The image files of `run`, (path, page) each. Any thread; no I/O.

    The rule is ``<folder>/<t>/<region>_<fov>_<z><end>``, with an `end` per channel and each number
    zero-padded to a width of its own (as Squid names individual images).
    """

    def __init__(self, run: AnnouncedRun) -> None:
        self.n_t = 0
        """Time points registered so far: the largest index and one."""
        self.folder: str | None = None
        """The experiment's folder, None before anything was registered."""
        self._run = run
        self.planes_of: Sequence[tuple[int, ...]] = ()
        """The indices of the planes of each of the host's channels: one, or three of colour images."""
        self._take_parts(run.parts)
        self._positions = run.positions
        self._n_z = run.n_z
        self._lock = threading.Lock()  # for learning the rule; registering names that follow it needs no lock
        self._t_width = 1
        self._heads: list[str] = []  # "<region>_<fov>_" by position
        self._z_names: list[str] = []
        self._t_folders: dict[int, str] = {}
        self._ends: dict[int, str] = {}
        self._exceptions: dict[tuple[int, int, int, int], str | File] = {}  # paths of page 0
        self._attempts = _ATTEMPTS

    def channels_are(self, channels: Sequence[Channel]) -> None:
        """Tell what the channels have turned out to be: some may be in colour, and have three planes."""
        if self._run.names_files:
            self._take_parts(self._run.parts_of(channels))

    def _take_parts(self, parts: Sequence[ChannelPart]) -> None:
        self._parts = parts
        self.planes_of = [
            tuple(c for c, part in enumerate(parts) if part.of == i) for i in range(len(self._run.channels))
        ]

    def register(self, key: tuple[int, int, int, int], path: str, page: int = 0) -> None:
        """Register the file of the plane at `key` (t, p, the host's channel index, z), a plane of the run."""
        t, p, channel, z = key
        if t >= self.n_t:
            with self._lock:
                self.n_t = max(self.n_t, t + 1)
        follows = False
        end = self._ends.get(channel)
        if end is not None:  # written out: this runs in the writer's thread, for each plane
            folder = self._t_folders.get(t) or self._folder_of_new_time(t)
            follows = path == f"{folder}{self._heads[p]}{self._z_names[z]}{end}"
        elif self._attempts > 0:
            follows = self._learn(t, p, channel, z, path)
        if page or not follows:
            self._exceptions[key] = (path, page) if page else path
            if self.folder is None:
                self.folder = _experiment_folder(path)
        elif self._exceptions:
            self._exceptions.pop(key, None)

    def file_of(self, key: PlaneKey) -> File | None:
        """The registered or expected file of a plane; None if unknown."""
        if not 0 <= key.c < len(self._parts):
            return None
        channel = self._parts[key.c].of
        exception = self._exceptions.get((key.t, key.p, channel, key.z))
        if exception is not None:
            return (exception, 0) if isinstance(exception, str) else exception
        path = self._by_rule(key.t, key.p, channel, key.z)
        return None if path is None else (path, 0)

    def _by_rule(self, t: int, p: int, channel: int, z: int) -> str | None:
        end = self._ends.get(channel)
        if end is None or not (0 <= p < len(self._heads) and 0 <= z < len(self._z_names)):
            return None
        folder = self._t_folders.get(t) or self._folder_of_new_time(t)
        return f"{folder}{self._heads[p]}{self._z_names[z]}{end}"

    def _folder_of_new_time(self, t: int) -> str:
        folder = os.path.join(self.folder or "", str(t).zfill(self._t_width), "")
        self._t_folders[t] = folder
        return folder

    def _learn(self, t: int, p: int, channel: int, z: int, path: str) -> bool:
        """Infer the rule, or a channel's name ending, from a path; False if it follows no known rule."""
        self._attempts -= 1
        time_folder, name = os.path.split(path)
        region = self._positions[p].region
        numbers = _NUMBERS.fullmatch(name, len(region) + 1) if name.startswith(f"{region}_") else None
        folder, time_name = os.path.split(time_folder)
        if numbers is None or not _is_number(time_name, t) or not _is_number(numbers[2], z):
            return False
        if int(numbers[1]) != self._positions[p].fov:
            return False
        with self._lock:
            if not self._heads:
                self._take_rule(folder, len(time_name), len(numbers[1]), len(numbers[2]))
            self._ends.setdefault(channel, numbers[3])
        return self._by_rule(t, p, channel, z) == path

    def _take_rule(self, folder: str, t_width: int, fov_width: int, z_width: int) -> None:
        self.folder, self._t_width = folder, t_width
        self._z_names = [str(z).zfill(z_width) for z in range(self._n_z)]
        # last: from here on, names are derived from the rule
        self._heads = [f"{region}_{str(fov).zfill(fov_width)}_" for region, fov, *_ in self._positions]


def _is_number(text: str, number: int) -> bool:
    return text.isdecimal() and text.isascii() and int(text) == number


def _experiment_folder(path: str) -> str:
    folder = os.path.dirname(path)
    return os.path.dirname(folder) if os.path.basename(folder).isdecimal() else folder
