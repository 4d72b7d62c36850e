"""Trees of small files: access to the metadata of an OME-Zarr dataset, and the locations of its arrays.

A local folder, the same below a URL, or inside a zip archive. Readers of metadata see only one
difference: most servers do not list folders, files can only be requested by name.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetNotFoundError, LimitExceededError, UnsupportedError
from ...model import natural_sorted
from ..activity import Activity, activity_of, newest_write
from ..bytes import WEB_SCHEMES, check_still_there, is_url, scheme_of, split_inner
from ..limits import (
    MAX_DIRECTORY_ENTRIES,
    error_of_os,
    parse_json,
    read_file,
    read_small_file,
)
from ..local_files import LinkGuard
from ..presentable import presentable
from ..utf8_paths import Utf8Paths
from .consolidated import CONSOLIDATED, ConsolidatedFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ...errors import DatasetError
    from ..limits import JsonObject

METADATA_FILES = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
MARKS = (*METADATA_FILES, CONSOLIDATED)
"""The files of which one is in the folder of any group or array, or at least at the root of a store."""


class FileRange(NamedTuple):
    """A byte range of a file in a tree."""

    path: str
    offset: int
    length: int


class Tree(ABC):
    """Files by path. Paths are strings as shown in messages; those of one tree begin with its `root`.

    Any thread may call any method; all but `join` and `name` block on disk or network.
    """

    root: str
    top = ""
    """Of a tree inside of a store, that of the store, for what refers to elsewhere in it; else ""."""
    title: str
    """What people call the dataset."""
    sep = "/"
    remote = False
    """Whether each file costs a round trip, and is as it was until `forget`."""
    packed = False
    """Whether it is an archive, whose files tensorstore cannot find by itself."""
    zarr_format: int | None = None
    """Of the nodes read so far: on a server, the others are asked for in this form first."""
    stall_s = 20.0
    """The number of seconds a server may be silent."""
    axes = ""
    """What a person says the axes of its arrays are; nothing where their metadata are to decide."""
    in_flight = 64
    """How many requests may be in progress at once."""
    lists = True
    """Whether it says what is in folders; a server only from `begin_listing` on."""
    named: Callable[[], Sequence[str]] = staticmethod(tuple)
    """The names of groups below the root by a document beside it; for servers that do not list them."""

    def join(self, path: str, *names: str) -> str:
        """The path of `names` below `path`."""
        return self.sep.join((path, *names))

    def name(self, path: str) -> str:
        """The name of `path` in its folder."""
        return path.rpartition(self.sep)[2]

    def inside(self, path: str, relative: str) -> str:
        """The path of `relative` ("A/1") from metadata, already checked by `safe_relative`."""
        return path + self.sep + relative.replace("/", self.sep) if relative else path

    @abstractmethod
    def read_small(self, path: str) -> bytes | None:
        """A whole metadata file; None if there is none. Raises a `DatasetError`."""

    def read_json(self, path: str) -> JsonObject | None:
        """The JSON object in a metadata file; None if there is none. Raises a `DatasetError`."""
        raw = self.read_small(path)
        return None if raw is None else parse_json(raw, path)

    @cached_property
    def consolidated(self) -> ConsolidatedFiles:
        """What the consolidated metadata that was read says of other files."""
        return ConsolidatedFiles(self.sep)

    def expect(self, paths: Iterable[str]) -> None:  # noqa: B027  most need not know
        """Announce the files read next, to fetch them together if each costs a round trip. Raises nothing."""

    def begin_listing(self) -> bool:
        """Ask a server to say what is in folders from now on; whether it does, and was not asked before."""
        return False

    def forget(self) -> None:  # noqa: B027
        """Forget what was read, as it may have changed."""

    @abstractmethod
    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""

    def has_file(self, path: str) -> bool:
        """`is_file`, of a file of any size, a chunk for example; on a server not remembered."""
        return self.is_file(path)

    @abstractmethod
    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder, if folders can be listed."""

    @abstractmethod
    def names(self, path: str) -> list[str]:
        """The names in a folder, without hidden files and locks; [] if it cannot be listed."""

    @abstractmethod
    def folders(self, path: str) -> list[str]:
        """The folders among `names`, in natural order."""

    @abstractmethod
    def read_whole(self, paths: Sequence[str], most: int) -> list[bytes | None]:
        """Read whole files of any kind at once; None for each that is missing.

        Raises `LimitExceededError` for files of more than `most` bytes, and the errors of reading them. On a
        server, what is refused counts as missing as long as other files can be read.
        """

    def groups(self, path: str) -> list[str]:
        """The folders that may be groups or arrays: those there are, else those in consolidated metadata."""
        return self.folders(path) or self.consolidated.folders(path)

    def numbered(self, path: str, node: str) -> list[str]:
        """The folders named by a number; on servers "0", "1", … as long as they contain the file `node`."""
        return [name for name in self.folders(path) if name.isdecimal()]

    def nothing_at(self, path: str, warnings: Sequence[str]) -> DatasetError:
        """The error if there is no image; `warnings` lists what could not be read."""
        return DatasetNotFoundError(
            f"{path} contains no image: expected an OME-Zarr image, plate, well or array, "
            "or a folder with plate.ome.zarr or zarr/<region>/… (a run that has just started is still empty)"
        )

    def identity(self) -> str | None:
        """A name for the stored content, for persistent caches; None if changes are not detectable."""
        return None

    def hosts(self) -> tuple[str, ...]:
        """The servers that requests go to, if known."""
        return ()

    @abstractmethod
    def kvstore(self, path: str) -> JsonObject:
        """The tensorstore kvstore (JSON) of the array at `path`."""

    def links(self, array: str) -> LinkGuard | None:
        """The check of an array's files before a library reads them; None if they are not local."""
        return None

    def activity(self, array: str, since_ns: int) -> Activity:
        """Whether the array at this path is being written, or was since a moment of ours (`time.time_ns`).

        Never on servers and in archives.
        """
        return Activity(None)

    def may_read(self) -> bool:
        """Whether the server currently allows reading this dataset; sends a request."""
        return True

    def follow(self, url: str) -> None:
        """Follow a redirect of `url`: arrays are read from there from now on. Raises a `DatasetError`."""
        raise DatasetNotFoundError(f"{self.root} was redirected")

    def versions(self, paths: Sequence[str]) -> list[str | None]:
        """For each file on a server a text that changes when it is written, as in `file_versions`.

        None where the server does not tell. A request each, at once; raises nothing.
        """
        return [None] * len(paths)

    def check_there(self) -> None:  # noqa: B027
        """Raise `DatasetGoneError` if the tree is no longer reachable."""

    def close(self) -> None:  # noqa: B027
        """Release every handle. May be called twice."""


class LocalTree(Tree):
    """A local folder: nothing is cached, everything may change at any time."""

    sep = os.sep

    def __init__(self, root: str = "", options: Mapping[str, str] | None = None, top: str = "") -> None:
        """Without a `root`, every requested path was named by the user or the host. `top`: see `Tree.top`."""
        self.root = os.path.abspath(os.path.expanduser(root)) if root else ""
        self.title = self.name(root) or root
        self.top = os.path.abspath(os.path.expanduser(top)) if top else ""
        folder = os.path.dirname(self.root) if self.name(root) in MARKS else self.root
        self._links = LinkGuard([self.top or folder], named=self.root, options=options) if root else None
        self._in_utf8 = Utf8Paths()

    def join(self, path: str, *names: str) -> str:
        """See `Tree.join`."""
        return os.path.join(path, *names)

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`; raises `UntrustedReferenceError` for a link that leads out."""
        if self._links is not None:
            self._links.check([path])
        return read_small_file(path)

    def read_whole(self, paths: Sequence[str], most: int) -> list[bytes | None]:
        """See `Tree.read_whole`; raises `UntrustedReferenceError` for a link that leads out."""
        if self._links is not None:
            self._links.check(paths)
        return [read_file(path, most) for path in paths]

    def links(self, array: str) -> LinkGuard | None:
        """See `Tree.links`."""
        return self._links or LinkGuard([array])

    def activity(self, array: str, since_ns: int) -> Activity:
        """See `Tree.activity`; of a run that a host has announced, it is the host who says so."""
        return Activity(None) if not self.root else activity_of(array, partial(newest_write, array), since_ns)

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`."""
        return os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        """See `Tree.is_folder`."""
        return os.path.isdir(path)

    def names(self, path: str) -> list[str]:
        """See `Tree.names`."""
        return [entry.name for entry in _entries(path)]

    def folders(self, path: str) -> list[str]:
        """See `Tree.folders`."""
        return natural_sorted(entry.name for entry in _entries(path) if _is_dir(entry))

    def kvstore(self, path: str) -> JsonObject:
        """See `Tree.kvstore`; raises `UnsupportedError` for names that are not UTF-8 if nothing helps."""
        text = self._in_utf8.path(path)  # what tensorstore takes, whatever Python takes names for here
        if text is None:
            raise UnsupportedError(
                f"{path}: a name in this path is not valid UTF-8, so its pixels cannot be read: rename the "
                "folder, or mount the disk with its encoding"
            )
        return {"driver": "file", "path": text.replace(os.sep, "/") + "/"}

    def check_there(self) -> None:
        """See `Tree.check_there`."""
        check_still_there(self.root)

    def close(self) -> None:
        """See `Tree.close`."""
        self._in_utf8.close()


LOCAL = LocalTree()
"""For paths that have no root in common, those of an announced run for example."""


def worth_showing(name: str) -> bool:
    """Whether a file of this name is regular content: not hidden and not a writer's lock."""
    return name in MARKS or not (name.startswith(".") or name.endswith(".__lock"))


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            entries = list(islice(found, MAX_DIRECTORY_ENTRIES + 1))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error
    if len(entries) > MAX_DIRECTORY_ENTRIES:
        raise LimitExceededError(f"{path} contains more than {MAX_DIRECTORY_ENTRIES} entries")
    for entry in entries:
        if worth_showing(entry.name):
            yield entry


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a dangling or looping link
        return False


_ARCHIVES = (".ozx", ".zip")


def is_archive(path: str) -> bool:
    """Whether a path or URL has the extension of a zip archive."""
    if is_url(path):
        return _path_of(path).endswith(_ARCHIVES)
    return path.lower().endswith(_ARCHIVES) and not os.path.isdir(path)


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a zip archive, also an empty one."""
    return head.startswith((b"PK\3\4", b"PK\5\6"))


def _path_of(url: str) -> str:
    """The path of a URL in lower case, without query."""
    return presentable(url).partition("://")[2].partition("/")[2].lower()


_OTHER_FORMATS = re.compile(
    r"\.(json|nd2|h5|hdf5?|he5|nwb|tiff?|png|jpe?g|bmp|gif|csv|txt|html?|xml|gz|tar)$"
)


def is_store_by_name(url: str) -> bool:
    """Whether a URL names a Zarr store, or a metadata file of one, beyond doubt."""
    file = split_inner(url)[0]
    path = _path_of(file)
    last = path.rstrip("/").rpartition("/")[2]
    if not is_url(file) or is_archive(file):
        return False
    return last in METADATA_FILES or (".zarr" in path and not _OTHER_FORMATS.search(last))


def names_zarr(url: str) -> bool:
    """Whether a URL is named like a Zarr store, an archive of one, or a folder, which may be one.

    On shares only archives can be read; stores there are accepted, too, to report that.
    """
    scheme = scheme_of(url)
    if is_archive(split_inner(url)[0]):
        return True
    path = _path_of(split_inner(url)[0])
    last = path.rstrip("/").rpartition("/")[2]
    if scheme not in WEB_SCHEMES:
        return ".zarr" in path and not _OTHER_FORMATS.search(last)
    if "{" in last:  # a pattern for many files
        return False
    if last in MARKS:
        return True
    return not _OTHER_FORMATS.search(last) and ("." not in last or ".zarr" in path or path.endswith("/"))
