"""A tree of small files on a server: requested by name, many at once, and cached.

Metadata is read through the scheduler, arrays through tensorstore, both from the same place and with the same
credentials: anonymously if that works, else with the user's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ...errors import (
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    UnsupportedError,
)
from ...model import natural_sorted
from ..asked_together import asked_at_once
from ..bytes import WEB_SCHEMES
from ..bytes_pool import whole
from ..file_versions import NOTHING
from ..limits import MAX_POSITIONS
from ..presentable import presentable
from ..remote.client import RemoteFile, authorization, settings_from
from ..remote.errors import PAGE_FAILURES, Failure, error_for
from ..remote.redirects import final_url, refuse_redirects_inside
from ..remote.remote_bytes import opened_at, set_in_flight
from ..remote.scheduler import IN_FLIGHT, the_scheduler
from ..remote.told_version import TOLD
from .array_specs import GOOGLE, AwsProfile, google_spec, s3_spec, web_spec
from .folder_pages import NamesInFolder
from .remembered import RememberedFiles
from .server_folders import ServerFolders
from .tree import MARKS, METADATA_FILES, Tree, worth_showing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..limits import JsonObject
    from ..remote.client import Settings
    from ..remote.told_version import Version

_PROBED_AT_ONCE = 8
_WAYS_OF_TREE = 3
"""As it is, where the bucket lies, with credentials."""
_SETTLED = timedelta(days=1)
_MAX_VERSIONS = 4096


class UrlTree(Tree):
    """Files below a URL; see `Tree`. Requested files are cached until `forget`.

    Paths are URLs without login and query. Nothing is listed before `begin_listing`. A file that is refused
    (403) or a web page counts as missing as long as any other can be read: buckets without listing and web
    application servers give no other answer.
    """

    remote = True
    lists = False

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Sends no request yet. Raises `DatasetError` for unknown options."""
        settings = settings_from(options)
        if settings.requests_at_once is not None:
            set_in_flight(settings.requests_at_once)
        self.in_flight = settings.requests_at_once or IN_FLIGHT
        self.stall_s = settings.stall_s
        scheme, base, self._query = _divided(url)
        if scheme not in WEB_SCHEMES:
            raise UnsupportedError(
                f"{presentable(url)}: OME-Zarr can be read from http(s)://, s3:// and gs://; a share must "
                "be mounted as a folder of this computer"
            )
        self._scheme = scheme
        self._base = self._array_base = base
        self.root = presentable(base) if scheme.startswith("http") else base
        self.title = unquote(self.name(self.root)) or self.root
        self._way: tuple[Settings, bool] = (settings, False)
        self._known = RememberedFiles()
        self._versions: dict[str, Version] = {}  # of chunks
        self._refused: DatasetError | None = None
        self._any_read = False
        self._profile = AwsProfile()
        self._server_folders = ServerFolders(partial(self._place, is_folder=True), self._bucket_at)
        if settings.key or settings.credentials or settings.token:
            signed = self._place(self.join(self.root, METADATA_FILES[0])).with_credentials()
            if signed is not None:
                self._way = signed.settings, True

    # ---- metadata ------------------------------------------------------------------------------

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`."""
        try:
            return self._known.get(path)
        except KeyError:
            pass
        data, version = self._fetch(path)
        self._known.put(path, data, version)
        return data

    def expect(self, paths: Iterable[str]) -> None:
        """See `Tree.expect`."""
        wanted = self._known.missing(paths)
        if len(wanted) < 2:
            return
        asked_at_once(self._fetch_and_remember, wanted, self.in_flight, "ndviewer-metadata")

    def forget(self) -> None:
        """See `Tree.forget`; what has not changed is not sent again."""
        self._known.expire()
        self.consolidated.clear()
        self._server_folders.forget()

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`."""
        return self.read_small(path) is not None

    def has_file(self, path: str) -> bool:
        """See `Tree.has_file`: asks for its first byte."""
        place = self._place(path)
        try:
            the_scheduler().run(lambda: _first_byte(place), place.name)
        except Failure as failure:
            if failure.kind in ("missing", "forbidden", *PAGE_FAILURES):
                return False
            if failure.detail != "416":  # it is there, but empty
                raise error_for(failure, place.name, place.host) from None
        return True

    def read_whole(self, paths: Sequence[str], most: int) -> list[bytes | None]:
        """See `Tree.read_whole`: all at once."""
        if len(paths) == 1:
            return [self._read_one(paths[0], most)]
        return asked_at_once(
            lambda path: self._read_one(path, most), paths, self.in_flight, "ndviewer-chunks"
        )

    def _read_one(self, path: str, most: int) -> bytes | None:
        place = self._place(path)
        try:
            file = opened_at(place, whole=True)
        except Failure as failure:
            if failure.kind == "missing" or (
                failure.kind in ("forbidden", *PAGE_FAILURES) and self.may_read()
            ):
                return None
            raise error_for(failure, place.name, place.host) from None
        try:
            if file.size > most:
                raise LimitExceededError(f"{file.name} has {file.size} bytes; at most {most} are allowed")
            return whole(file)
        finally:
            file.close()

    def begin_listing(self) -> bool:
        """See `Tree.begin_listing`: web servers give pages of links, buckets lists; many of both do not."""
        is_refused = self._refused is not None and not self._any_read  # which is what is to be said
        if self.lists or self._query or is_refused:
            return False
        self.lists = not self._server_folders.names(self.root).is_empty
        return self.lists

    def is_folder(self, path: str) -> bool:
        """See `Tree.is_folder`."""
        if not self.lists or path == self.root:
            return self.lists
        return self.name(path) in self._server_folders.names(path.rpartition("/")[0]).folders

    def names(self, path: str) -> list[str]:
        """See `Tree.names`."""
        return [*filter(worth_showing, self.listed(path).files), *self.folders(path)]

    def folders(self, path: str) -> list[str]:
        """See `Tree.folders`."""
        return natural_sorted(filter(worth_showing, self.listed(path).folders))

    def listed(self, path: str) -> NamesInFolder:
        """What the server says is in a folder, after `begin_listing`; nothing if it is not there."""
        return self._server_folders.names(path) if self.is_folder(path) else NamesInFolder()

    def listed_again(self, path: str) -> NamesInFolder:
        """`listed`, asked again; as before if the server does not answer."""
        return self._server_folders.names_again(path)

    def _bucket_at(self, url: str) -> RemoteFile:
        settings, signed = self._way
        return RemoteFile(url, settings, signed=signed)

    def numbered(self, path: str, node: str) -> list[str]:
        """See `Tree.numbered`."""
        found: list[str] = []
        while len(found) <= MAX_POSITIONS:
            names = [str(len(found) + i) for i in range(_PROBED_AT_ONCE)]
            self.expect(self.join(path, name, node) for name in names)
            for name in names:
                if not self.is_file(self.join(path, name, node)):
                    return found
                found.append(name)
        return found

    def identity(self) -> str | None:
        """See `Tree.identity`: a name for all metadata read so far, if the server reports when it changed.

        It does not cover pixels, so it is None while they may still be written: within a day of
        the last change.
        """
        read = sorted(self._known.read())
        changed = [each.version.modified for each in read if each.version and each.version.modified]
        if not read or len(changed) < len(read):
            return None
        latest = max(map(datetime.fromisoformat, changed))
        if datetime.now(timezone.utc) - latest < _SETTLED:
            return None
        said = hashlib.sha256(self.root.encode())
        for path, data, version in read:
            said.update(f"\n{path}\n{version}\n".encode() + data)
        return said.hexdigest()

    def may_read(self) -> bool:
        """See `Tree.may_read`."""
        read = self._known.read()
        with contextlib.suppress(DatasetError):
            return bool(read) and self._fetch(read[-1].path)[0] is not None
        return False

    def versions(self, paths: Sequence[str]) -> list[str | None]:
        """See `Tree.versions`: of a file that was asked for before, nothing is sent if it is the same."""
        return asked_at_once(self._version, paths, self.in_flight, "ndviewer-versions")

    def _version(self, path: str) -> str | None:
        known, place = self._versions.get(path), self._place(path)
        try:
            version = the_scheduler().run(partial(place.get_version, known), place.name).version
        except Failure as failure:
            if failure.kind == "missing":
                return NOTHING
            if failure.kind != "unchanged" or known is None:
                return None
            version = known
        except DatasetError:
            return None
        if len(self._versions) >= _MAX_VERSIONS:
            self._versions.clear()
        self._versions[path] = version
        return TOLD.text_of(place.url, version)

    def nothing_at(self, path: str, warnings: Sequence[str]) -> DatasetError:
        """See `Tree.nothing_at`."""
        if self._refused is not None and not self._any_read:
            return self._refused
        if warnings:
            return DatasetNotFoundError(warnings[0])
        where = (
            "nor in the folders that its server lists" if self.lists else "and its folders cannot be listed"
        )
        return DatasetNotFoundError(
            f"no OME-Zarr found at {path} (zarr.json, .zattrs or .zarray), {where}: give the address of the "
            "plate, image or array itself, which often ends in .zarr, or for images in a folder a pattern "
            "with ranges, for example …/img_z{z:00..95}.png"
        )

    def _fetch_and_remember(self, path: str) -> None:
        try:
            data, version = self._fetch(path)
        except DatasetError as error:
            self._known.put(path, error)
        else:
            self._known.put(path, data, version)

    def _fetch(self, path: str) -> tuple[bytes | None, Version | None]:
        """One small file, by whatever works: plainly, with the bucket's region, with credentials."""
        place, before = self._place(path), self._known.before(path)
        version = before.version if before is not None else None
        if not self._any_read:
            refuse_redirects_inside(place.url, place.login, self.stall_s)
        for _ in range(_WAYS_OF_TREE):
            try:
                answer = the_scheduler().run(partial(place.get_whole, version), place.name)
            except Failure as failure:
                if failure.kind == "unchanged" and before is not None:
                    return before.data, version
                other = self._other_way(place, failure)
                if other is None:
                    self._raise_unless_missing(place, failure)
                    return None, None
                place = other
            else:
                self._way, self._any_read = (place.settings, place.signed), True
                return bytes(answer.data), answer.version
        raise AssertionError("each way is tried once")

    def _other_way(self, place: RemoteFile, failure: Failure) -> RemoteFile | None:
        if failure.kind == "region":
            return place.with_region()
        if failure.kind in ("forbidden", "login") and not self._any_read:
            return place.with_credentials()
        return None

    def _raise_unless_missing(self, place: RemoteFile, failure: Failure) -> None:
        if failure.kind == "missing":
            if (
                place.signed
            ):  # denied to the public but missing with credentials: the credentials are accepted
                self._way = place.settings, True
            return
        error = error_for(failure, place.name, place.host)
        if failure.kind not in ("forbidden", *PAGE_FAILURES):
            raise error
        self._refused = self._refused or error

    def _place(self, path: str, *, is_folder: bool = False) -> RemoteFile:
        settings, signed = self._way
        base, relative = self._base, self._relative(path)
        if self.top and not f"{path}/".startswith(f"{self.root}/"):  # elsewhere in the store
            base, relative = base.removesuffix(self.root[len(self.top) :]), path[len(self.top) :]
        if self._scheme in ("s3", "gs"):
            return RemoteFile(base + relative, settings, signed=signed, is_folder=is_folder)
        return RemoteFile(base + quote(relative) + self._query, settings, signed=signed)

    def _relative(self, path: str) -> str:
        """`path` below the root relative to it, with leading slash."""
        return path[len(self.root) :]

    # ---- arrays --------------------------------------------------------------------------------

    def kvstore(self, path: str) -> JsonObject:
        """See `Tree.kvstore`."""
        key = self._relative(path).lstrip("/")
        settings, signed = self._way
        if self._scheme.startswith("http"):
            return web_spec(self._array_base, self._query, key, self._login(settings))
        bucket, _, prefix = self._base.partition("://")[2].partition("/")
        key = "/".join(part for part in (prefix.rstrip("/"), key) if part)
        if self._scheme == "s3":
            return s3_spec(bucket, key, settings, self._profile if signed else None)
        if signed and settings.credentials:
            return google_spec(bucket, key, settings)
        # a public bucket, or one read with a token, is a plain web server
        return web_spec(
            f"{settings.endpoint.rstrip('/') or GOOGLE}/{quote(bucket)}",
            "",
            key,
            f"Bearer {settings.token}" if signed else "",
        )

    def follow(self, url: str) -> None:
        """See `Tree.follow`: resolves `url`, which tensorstore does not."""
        where = presentable(url)
        if not self._scheme.startswith("http"):
            raise error_for(Failure("region"), where, urlsplit(where).netloc)
        below = urlsplit(url).path.removeprefix(urlsplit(self._array_base).path)
        found = urlsplit(final_url(url, self._login(self._way[0]), self.stall_s))
        if found.query and found.query != self._query.removeprefix("?"):
            raise UnsupportedError(
                f"{urlsplit(where).netloc} redirects each file of {self.root} to an address with a signature "
                "of its own, which is not supported: download the dataset, or ask for a direct address"
            )
        if not below or not found.path.endswith(below):
            raise error_for(Failure("astray"), where, urlsplit(where).netloc)
        base = urlunsplit((found.scheme, found.netloc, found.path.removesuffix(below), "", ""))
        if base == self._array_base:
            raise error_for(Failure("astray"), where, urlsplit(where).netloc)
        self._array_base = base

    def hosts(self) -> tuple[str, ...]:
        """The servers that requests for this dataset go to, if known."""
        settings, _ = self._way
        bucket = urlsplit(self._base).netloc
        if self._scheme == "s3":
            said = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
            return (urlsplit(said).netloc or f"{bucket}.s3.amazonaws.com",)
        if self._scheme == "gs":
            return (urlsplit(settings.endpoint or GOOGLE).netloc,)
        bases = (self._base, self._array_base)
        return tuple(dict.fromkeys(urlsplit(base).netloc.rpartition("@")[2] for base in bases))

    def close(self) -> None:
        """See `Tree.close`."""
        self._profile.remove()

    def _login(self, settings: Settings) -> str:
        """The Authorization header for the dataset's own server, "" for others or if none is given."""
        own, arrays = urlsplit(self._base), urlsplit(self._array_base)
        if own.netloc.rpartition("@")[2] != arrays.netloc.rpartition("@")[2]:
            return ""
        return authorization(own.netloc, settings)


async def _first_byte(place: RemoteFile) -> None:
    """Ask for the first byte of a file. A server that sends all of it is not asked again: it is there."""
    try:
        await place.get(0, 1)
    except Failure as failure:
        if failure.kind != "ranges ignored":
            raise


def _divided(url: str) -> tuple[str, str, str]:
    """Scheme, URL without query and trailing slash, and query with "?".

    For a metadata file, that of its folder: ``…/a.zarr/zarr.json`` is the same dataset as ``…/a.zarr``.
    """
    scheme, _, rest = url.partition("://")
    scheme, query = scheme.lower(), ""
    if scheme.startswith("http"):  # a key in a bucket may contain "?" and "#"
        rest, _, _ = rest.partition("#")
        rest, mark, query = rest.partition("?")
        query = mark + query if query else ""
    rest = rest.rstrip("/")
    for name in MARKS:
        rest = rest.removesuffix("/" + name).rstrip("/")
    return scheme, f"{scheme}://{rest}", query
