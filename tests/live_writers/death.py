"""A writer that dies in the middle of a file, wherever its library may be: the system kills it there.

A file may not become longer than a limit. What a write has room for is written, and then comes a signal that
no library handles, so nothing is closed, renamed or removed: like ``kill -9``, but always in the same place.
"""

from __future__ import annotations

import resource
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.stamps import Stamp, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan
    from .registry import Entry

    Files = dict[str, tuple[int, int]]  # name below the path of the run → bytes, and when it was written, ns


def death_within(entry: Entry, path: Path, plan: Plan, number: int) -> Callable[[int], None]:
    """Called before each plane of `plan`, kills this process while it writes plane `number` (0: the first).

    Half of that plane is on disk then, or a little more. POSIX only; not for files that have room for the
    plane before it is written.
    """
    within = _rehearsed(entry, replace(plan, rate=0.0, resume=False), number)

    def before(coming: int) -> None:
        if coming == number:
            limit = within.limit_at(path)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it

    return before


class _Within(NamedTuple):
    """The file that a plane is written to: its name below the path of the run, and by how much it grows."""

    name: str
    grows_by: int
    at_least: int  # the size of metadata that is written before the plane

    def limit_at(self, path: Path) -> int:
        """How long the file may become, now that all before the plane is there."""
        file = path / self.name
        there = file.stat().st_size if file.is_file() else 0
        return max(there + self.grows_by // 2, self.at_least + 1)


def _rehearsed(entry: Entry, plan: Plan, number: int) -> _Within:
    with tempfile.TemporaryDirectory(prefix="ndviewer-rehearsal-") as folder:
        path = Path(folder, f"run{entry.suffix}")
        writer = entry.make(path, plan)
        writer.begin()
        before: Files = {}
        after: Files = {}
        for at, index in zip(range(number + 1), plan.indices(), strict=False):
            before = after
            writer.write(index, stamped(Stamp(*index, plan.run), plan.height, plan.width, plan.dtype))
            after = _files(path) if at >= number - 1 else {}
        writer.end()
    written = {name: n for name, (n, at) in after.items() if (n, at) != before.get(name)}
    target = max(written, key=lambda name: written[name])
    grows_by = written[target] - before.get(target, (0, 0))[0]
    if grows_by <= 0:
        raise ValueError(f"{target or path.name} has room for plane {number} before it is written")
    return _Within(target, grows_by, max((n for name, n in written.items() if name != target), default=0))


def _files(path: Path) -> Files:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    stats = [(file, file.stat()) for file in files]
    return {str(file.relative_to(path)): (stat.st_size, stat.st_mtime_ns) for file, stat in stats}
