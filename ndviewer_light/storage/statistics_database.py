"""Small records by address, kept on disk: an SQLite file per dataset, in a folder of bounded size.

Any number of processes may use it. Nothing is raised: what cannot be kept is lost, and a damaged file is
started anew. The datasets used least recently are removed first.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

logger = logging.getLogger(__name__)

NUMBERS_BYTES = 256 * 1024**2
"""Of all datasets together; that of more than a million planes."""
_OUR_FILE = re.compile(r"[0-9a-f]{64}\.sqlite")
_LAYOUT = 1
"""Of the table: files of another one are started anew."""
_LOCK_WAIT_SECONDS = 2.0  # for another process that writes


class KeptRecord(NamedTuple):
    """What is kept of one plane: `stamp` says of which state of it."""

    address: str
    stamp: str
    data: bytes


class StatisticsDatabase:
    """The records of the dataset that `name` stands for, below `folder`. Any thread; blocks on disk.

    Names of files are hashes: what the dataset is called cannot be read from them.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, max_bytes: int = NUMBERS_BYTES) -> None:
        self.folder = os.fspath(folder)
        self._max_bytes = max_bytes
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
        self.path = os.path.join(self.folder, f"{digest}.sqlite")
        self._given_up = False
        self._begin()
        _databases.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()  # held while the database is used
        self._connection: sqlite3.Connection | None = None

    def get_all(self) -> list[KeptRecord]:
        """All records; none if there is no file."""
        if not os.path.exists(self.path):
            return []
        found = self._do(lambda db: db.execute("SELECT address, stamp, data FROM planes").fetchall())
        return [
            KeptRecord(address, stamp, data)
            for address, stamp, data in found or ()
            if isinstance(address, str) and isinstance(stamp, str) and isinstance(data, bytes)
        ]

    def put(self, records: Iterable[KeptRecord]) -> None:
        """Keep these, in place of those of the same addresses."""
        rows = list(records)

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.executemany("INSERT OR REPLACE INTO planes VALUES (?, ?, ?)", rows)

        if rows:
            self._do(write)

    def close(self) -> None:
        """Release the file; it is opened again when it is needed."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it; once more with a new file if the file is damaged."""
        with self._lock:
            for _ in range(2):
                if self._given_up:
                    break
                try:
                    import sqlite3
                except ImportError:  # a Python without it
                    self._given_up = True
                    break
                try:
                    return work(self._opened())
                except sqlite3.OperationalError as error:  # locked for long, disk full, no permission
                    logger.info("statistics of planes are not kept in %s: %s", self.folder, error)
                    self._close()
                    break
                except (sqlite3.Error, OSError, ValueError, UnicodeError) as error:
                    logger.info("%s is damaged, and is started anew: %s", self.path, error)
                    self._close()
                    with contextlib.suppress(OSError):
                        os.unlink(self.path)
        return None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            import sqlite3

            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            self._remove_oldest()
            db = sqlite3.connect(self.path, timeout=_LOCK_WAIT_SECONDS, check_same_thread=False)
            self._connection = db
            db.execute("PRAGMA synchronous = OFF")  # what a power failure destroys is measured again
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            if layout not in (0, _LAYOUT):
                raise ValueError(f"layout {layout}")
            db.execute(
                "CREATE TABLE IF NOT EXISTS planes"
                " (address TEXT PRIMARY KEY, stamp TEXT NOT NULL, data BLOB NOT NULL) WITHOUT ROWID"
            )
            db.execute(f"PRAGMA user_version = {_LAYOUT}")
            db.commit()
            with contextlib.suppress(OSError):
                os.utime(self.path)
        return self._connection

    def _remove_oldest(self) -> None:
        with contextlib.suppress(OSError):
            with os.scandir(self.folder) as entries:
                ours = [(each.stat(), each.path) for each in entries if _OUR_FILE.fullmatch(each.name)]
            taken = sum(status.st_size for status, _ in ours)
            for status, path in sorted(ours, key=lambda each: each[0].st_mtime_ns):
                if taken <= self._max_bytes:
                    break
                if path != self.path:
                    os.unlink(path)
                    taken -= status.st_size


_databases: weakref.WeakSet[StatisticsDatabase] = weakref.WeakSet()


def _after_fork() -> None:
    """For a forked process: a connection belongs to the process that opened it, and so does a lock."""
    for database in list(_databases):
        database._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
