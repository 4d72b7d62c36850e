"""The local files that a dataset may consist of: regular files inside the dataset.

Opening a pipe or a device could block forever, and a symbolic link can make a dataset out
of any readable file: a dataset from somebody else must not decide that.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from ..errors import NotRegularFileError, UntrustedReferenceError
from .opened_without_links import opened_without_links

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Mapping

FOLLOW_LINKS = "follow_links"
"""The storage option with which the user allows symbolic links that lead out of a dataset."""

ALLOW_OUTSIDE = "allow_outside"
"""The storage option with which the user allows files that a file names, beyond those read anyway."""

OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY"):  # not every system has all of them
    OPEN_FLAGS |= getattr(os, _flag, 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_TYPE = 0o170000  # the file type bits of a mode
_FINE_SECONDS = 1.0  # six folders above each chunk take as long as a tenth of reading it
_MOST_FINE = 10_000
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # 0 on Windows
_CANNOT_BE_OPENED = (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP, errno.EISDIR)
_IS_LINK = (errno.ELOOP, errno.EMLINK, getattr(errno, "EFTYPE", errno.ELOOP))  # Linux, FreeBSD, NetBSD


def open_descriptor(path: str) -> int:
    """Open a regular file for reading and return its descriptor; never waits for a writer.

    Raises `NotRegularFileError` for anything else of that name, `OSError` and `ValueError` as `os.open` does.
    """
    return open_file(path)[0]


def open_file(path: str, links: LinkGuard | None = None, seen: set[str] | None = None) -> OpenDescriptor:
    """Like `open_descriptor`, with what the system says of the file.

    With `links`, of which `seen` is as for `LinkGuard.check`: a file that belongs to the dataset, else
    `UntrustedReferenceError` is raised.
    """
    try:
        descriptor = os.open(path, OPEN_FLAGS) if links is None else _opened(path, links, seen)
    except OSError as error:
        if error.errno in _CANNOT_BE_OPENED:  # the error for a socket
            check_regular(path, os.stat(path))
        raise
    try:
        status = os.fstat(descriptor)
        check_regular(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return OpenDescriptor(descriptor, status)


def _opened(path: str, links: LinkGuard, seen: set[str] | None) -> int:
    if links.has(path) and (descriptor := opened_without_links(path, OPEN_FLAGS)) is not None:
        return descriptor
    if not _NO_LINK:
        links.check((path,), seen)
        return os.open(path, OPEN_FLAGS)
    links.check_folders((path,), seen)
    try:
        return os.open(path, OPEN_FLAGS | _NO_LINK)
    except OSError as error:
        if error.errno not in _IS_LINK:
            raise
    links.check((path,))
    return os.open(path, OPEN_FLAGS)


class OpenDescriptor(NamedTuple):
    """A file that is open: its descriptor, and what the system says of it."""

    descriptor: int
    status: os.stat_result


def open_regular(path: str) -> io.BufferedReader:
    """Like `open_descriptor`, as a buffered file; its `raw` is the unbuffered file."""
    return open(path, "rb", opener=lambda name, _: open_descriptor(name))


def check_regular(path: str, status: os.stat_result) -> None:
    """Raise `NotRegularFileError` unless `status`, that of `path`, is a regular file's."""
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((kind for holds, kind in _KINDS if holds(status.st_mode)), "something else")
    raise NotRegularFileError(f"{path} is not a regular file but {kind}: not read")


# ---- links -----------------------------------------------------------------------------------------


class LinkGuard:
    """Which files belong to a dataset: all in its folders, except symbolic links that lead out of them.

    Any thread. Files are looked at in every call, since a writer may be at work; folders found to be fine are
    looked at again after a second. No protection against somebody who can change the folder while it is read,
    and so can read the disk anyway.
    """

    def __init__(
        self, folders: Iterable[str], *, named: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        """`folders` contain the dataset. `named` is a file named by the user: it may itself be a link.

        The option "follow_links" allows everything.
        """
        self._folders = tuple(dict.fromkeys(folder.rstrip(os.sep) for folder in folders))
        self._said = named
        self._fine: set[str] = set()  # folders, since `_fine_since`
        self._fine_since = 0.0
        self.follows = follows_links(options)

    @functools.cached_property
    def _named(self) -> str | None:
        # looked at when first needed: making a guard does not access the disk
        return None if self._said is None or os.path.isdir(self._said) else self._said

    def check(self, paths: Iterable[str], seen: set[str] | None = None) -> None:
        """Raise `UntrustedReferenceError` if one of these paths leads out of the dataset.

        `NotRegularFileError` if one of them is neither a regular file nor a folder. Paths that do not
        exist are fine. Costs one `lstat` per file, and per folder between it and the dataset's that was not
        looked at in the last second. `seen` are the folders found to be fine in the same reading, however
        long that takes; it is added to.
        """
        paths = list(paths)
        for path in paths:
            try:
                mode = os.lstat(path).st_mode
            except (OSError, ValueError):  # does not exist: reading reports it
                continue
            if mode & _TYPE != stat.S_IFREG:
                self._check_odd(path)
        self.check_folders(paths, seen)

    def check_folders(self, paths: Iterable[str], seen: set[str] | None = None) -> None:
        """Like `check`, for the folders of these files, not the files."""
        if self.follows:
            return
        seen = self._recently_fine() if seen is None else seen
        for folder in {path.rpartition(os.sep)[0] for path in paths} - seen:
            self._check_folder(folder, seen)

    def _recently_fine(self) -> set[str]:
        now = time.monotonic()
        if not 0 <= now - self._fine_since < _FINE_SECONDS or len(self._fine) > _MOST_FINE:
            self._fine, self._fine_since = set(), now
        return self._fine

    def _check_folder(self, path: str, seen: set[str]) -> None:
        top = self._folder_of(path)
        if top is None:
            self._judge(path)
            return
        fine: list[str] = []
        while len(path) > len(top) and path not in seen:
            try:
                status = os.lstat(path)
            except (OSError, ValueError):  # does not exist yet: it may become a link
                pass
            else:
                if _leads_on(status):
                    self._judge(path)
                fine.append(path)
            path = path.rpartition(os.sep)[0]
        seen.update(fine)  # only now: a folder is no better than those above it

    def _check_odd(self, path: str) -> None:
        """Check a path that is not a regular file, but may be a link to one."""
        if path != self._named and not self.follows and is_link(path):
            self._judge(path)
        try:
            status = os.stat(path)
        except OSError:
            return
        if not stat.S_ISDIR(status.st_mode):
            check_regular(path, status)

    def has(self, path: str) -> bool:
        """Whether a path begins with one of the folders; what it leads to is for `check`."""
        return self._folder_of(path) is not None

    def _folder_of(self, path: str) -> str | None:
        return next((top for top in self._folders if path == top or path.startswith(top + os.sep)), None)

    def _judge(self, path: str) -> None:
        target = os.path.realpath(path)
        allowed = [os.path.realpath(folder) for folder in self._folders]
        if self._named is not None:
            allowed.append(os.path.dirname(os.path.realpath(self._named)))
        if any(target == top or target.startswith(top.rstrip(os.sep) + os.sep) for top in allowed):
            return
        raise UntrustedReferenceError(
            f"{path} is a symbolic link to {target}, outside the dataset: not followed for safety. If you "
            f"trust the dataset, allow such links: --follow-links, or storage_options={{'{FOLLOW_LINKS}': "
            f"'true'}} in a script"
        )


def is_link(path: str) -> bool:
    """Whether `path` is a symbolic link, or its Windows equivalent."""
    try:
        return _leads_on(os.lstat(path))
    except (OSError, ValueError):
        return False


def _leads_on(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_reparse_tag", 0))


def allows_outside(options: Mapping[str, str] | None) -> bool:
    """Whether the user has allowed the other files that a file names."""
    return (options or {}).get(ALLOW_OUTSIDE, "").lower() in ("yes", "true", "1")


def follows_links(options: Mapping[str, str] | None) -> bool:
    """Whether the user has allowed links that lead out of the dataset."""
    return (options or {}).get(FOLLOW_LINKS, "").lower() in ("yes", "true", "1")


def is_there(path: str) -> bool | None:
    """Whether anything has this path; None where that is not told: no permission, or a disk that fails."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return False if error.errno == errno.ENAMETOOLONG else None
    return True
