"""A tree of small files on a server: asked for by name, many at once, and remembered.

Metadata come through the one fetcher, arrays through tensorstore, both from the same place and with the same
credentials: anonymously if that works, else with those of the person.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ...errors import (
    DatasetError,
    DatasetNotFoundError,
    UnsupportedError,
)
from ..limits import MAX_POSITIONS
from ..presentable import presentable
from ..remote.client import RemoteFile, authorization, settings_from
from ..remote.errors import Failure, error_for
from ..remote.redirects import final_url, refuse_redirects_inside
from ..remote.remote_bytes import set_in_flight
from ..remote.scheduler import IN_FLIGHT, the_fetcher
from .tree import METADATA_FILES, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..limits import JsonObject
    from ..remote.client import Settings, Version

_MAX_REMEMBERED_BYTES = 32 * 1024**2
_MAX_REMEMBERED = 20_000
_PROBED_AT_ONCE = 8
_WAYS = 3
"""As it is, where the bucket lies, with credentials."""
_SETTLED = timedelta(days=1)
_GOOGLE = "https://storage.googleapis.com"


class UrlTree(Tree):
    """Files below a URL; see `Tree`. What was asked for once is remembered until `forget`.

    Paths are URLs without login and query. Nothing can be listed. A file that is refused (403) or a web page
    counts as missing as long as any other can be read: buckets that let nobody list them and servers of web
    applications have no other answer.
    """

    remote = True

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Asks for nothing yet. Raises `DatasetError` for options that are none."""
        settings = settings_from(options)
        if settings.requests_at_once is not None:
            set_in_flight(settings.requests_at_once)
        self.in_flight = settings.requests_at_once or IN_FLIGHT
        self.stall_s = settings.stall_s
        scheme, base, self._query = _divided(url)
        if scheme not in ("http", "https", "s3", "gs"):
            raise UnsupportedError(
                f"{presentable(url)}: OME-Zarr can be read from http(s)://, s3:// and gs://; a share has to "
                "be mounted, so that it is a folder of this machine"
            )
        self._scheme = scheme
        self._base = self._array_base = base
        self.root = presentable(base) if scheme.startswith("http") else base
        self.title = unquote(self.name(self.root)) or self.root
        self._way: tuple[Settings, bool] = (settings, False)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, bytes | DatasetError | None] = OrderedDict()
        self._versions: dict[str, Version] = {}
        self._known_bytes = 0
        self._refused: DatasetError | None = None
        self._any_read = False
        self._credentials: tempfile.TemporaryDirectory[str] | None = None
        if settings.key or settings.credentials or settings.token:
            signed = self._place(self.join(self.root, METADATA_FILES[0])).with_credentials()
            if signed is not None:
                self._way = signed.settings, True

    # ---- metadata ------------------------------------------------------------------------------

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`."""
        with self._lock:
            if path in self._known:
                known = self._known[path]
                self._known.move_to_end(path)
                if isinstance(known, DatasetError):  # it may be another the next time
                    del self._known[path]
                    raise known
                return known
        data = self._fetch(path)
        self._remember(path, data)
        return data

    def expect(self, paths: Iterable[str]) -> None:
        """See `Tree.expect`."""
        with self._lock:
            wanted = [path for path in dict.fromkeys(paths) if path not in self._known]
        if len(wanted) < 2:
            return
        workers = min(self.in_flight, len(wanted))
        with ThreadPoolExecutor(workers, thread_name_prefix="ndviewer-metadata") as pool:
            list(pool.map(self._fetch_and_remember, wanted))

    def forget(self) -> None:
        """See `Tree.forget`."""
        with self._lock:
            self._known.clear()
            self._versions.clear()
            self._known_bytes = 0

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`."""
        return self.read_small(path) is not None

    def is_folder(self, path: str) -> bool:
        """False: no server tells."""
        return False

    def names(self, path: str) -> list[str]:
        """Nothing: no server tells."""
        return []

    def folders(self, path: str) -> list[str]:
        """Nothing: no server tells."""
        return []

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
        """See `Tree.identity`: a name for all metadata read so far, if the server says when they changed.

        Pixels have no say in it, so there is none while somebody may still be writing them: within a day of
        the last change.
        """
        with self._lock:
            read = sorted((path, data) for path, data in self._known.items() if isinstance(data, bytes))
            versions = [self._versions.get(path) for path, _ in read]
        changed = [version.modified for version in versions if version is not None and version.modified]
        if not read or len(changed) < len(read):
            return None
        latest = max(map(datetime.fromisoformat, changed))
        if datetime.now(timezone.utc) - latest < _SETTLED:
            return None
        said = hashlib.sha256(self.root.encode())
        for (path, data), version in zip(read, versions, strict=True):
            said.update(f"\n{path}\n{version}\n".encode() + data)
        return said.hexdigest()

    def may_read(self) -> bool:
        """See `Tree.may_read`."""
        with self._lock:
            read = [path for path, data in self._known.items() if isinstance(data, bytes)]
        with contextlib.suppress(DatasetError):
            return bool(read) and self._fetch(read[-1]) is not None
        return False

    def nothing_at(self, path: str, warnings: Sequence[str]) -> DatasetError:
        """See `Tree.nothing_at`."""
        if self._refused is not None and not self._any_read:
            return self._refused
        if warnings:
            return DatasetNotFoundError(warnings[0])
        return DatasetNotFoundError(
            f"there is no OME-Zarr at {path}: expected zarr.json, .zattrs or .zarray there. Folders on a "
            "server cannot be listed: give the address of the plate, image or array itself, which often ends "
            "in .zarr"
        )

    def _fetch_and_remember(self, path: str) -> None:
        try:
            data: bytes | DatasetError | None = self._fetch(path)
        except DatasetError as error:
            data = error
        self._remember(path, data)

    def _remember(self, path: str, data: bytes | DatasetError | None) -> None:
        with self._lock:
            self._forget_one(path)
            self._known[path] = data
            self._known_bytes += _size(data)
            while self._known_bytes > _MAX_REMEMBERED_BYTES or len(self._known) > _MAX_REMEMBERED:
                self._forget_one(next(iter(self._known)))

    def _forget_one(self, path: str) -> None:
        self._known_bytes -= _size(self._known.pop(path, None))

    def _fetch(self, path: str) -> bytes | None:
        """One small file, in the way that works: as it is, where its bucket lies, with credentials."""
        place = self._place(path)
        if not self._any_read:
            refuse_redirects_inside(place.url, place.login, self.stall_s)
        for _ in range(_WAYS):
            try:
                answer = the_fetcher().run(place.get_whole, place.name)
            except Failure as failure:
                other = self._other_way(place, failure)
                if other is None:
                    self._raise_unless_missing(place, failure)
                    return None
                place = other
            else:
                self._way, self._any_read = (place.settings, place.signed), True
                self._versions[path] = answer.version
                return bytes(answer.data)
        raise AssertionError("each way is tried once")

    def _other_way(self, place: RemoteFile, failure: Failure) -> RemoteFile | None:
        if failure.kind == "region":
            return place.with_region()
        if failure.kind in ("forbidden", "login") and not self._any_read:
            return place.with_credentials()
        return None

    def _raise_unless_missing(self, place: RemoteFile, failure: Failure) -> None:
        if failure.kind == "missing":
            if place.signed:  # refused to the public, missing for us: we are known here
                self._way = place.settings, True
            return
        error = error_for(failure, place.name, place.host)
        if failure.kind not in ("forbidden", "web page"):
            raise error
        self._refused = self._refused or error

    def _place(self, path: str) -> RemoteFile:
        settings, signed = self._way
        relative = self._relative(path)
        if self._scheme in ("s3", "gs"):
            return RemoteFile(self._base + relative, settings, signed=signed)
        return RemoteFile(self._base + quote(relative) + self._query, settings, signed=signed)

    def _relative(self, path: str) -> str:
        """What `path` is below the root, with the slash before it."""
        return path[len(self.root) :]

    # ---- arrays --------------------------------------------------------------------------------

    def kvstore(self, path: str) -> JsonObject:
        """See `Tree.kvstore`."""
        key = self._relative(path).lstrip("/")
        settings, signed = self._way
        if self._scheme.startswith("http"):
            return _of_web(self._array_base, self._query, key, self._login(settings))
        bucket, _, prefix = self._base.partition("://")[2].partition("/")
        key = "/".join(part for part in (prefix.rstrip("/"), key) if part)
        if self._scheme == "s3":
            return self._of_s3(bucket, key, settings, signed)
        if signed and settings.credentials:
            return _of_google(bucket, key, settings)
        # what is public, or read with a token, is a web server like any other
        return _of_web(
            f"{settings.endpoint.rstrip('/') or _GOOGLE}/{quote(bucket)}",
            "",
            key,
            f"Bearer {settings.token}" if signed else "",
        )

    def follow(self, url: str) -> None:
        """See `Tree.follow`: asks where `url` leads, which tensorstore does not."""
        where = presentable(url)
        if not self._scheme.startswith("http"):
            raise error_for(Failure("region"), where, urlsplit(where).netloc)
        below = urlsplit(url).path.removeprefix(urlsplit(self._array_base).path)
        found = urlsplit(final_url(url, self._login(self._way[0]), self.stall_s))
        if found.query and found.query != self._query.removeprefix("?"):
            raise UnsupportedError(
                f"{urlsplit(where).netloc} sends us elsewhere for each file of {self.root}, with a signature "
                "of its own: download the dataset, or ask for an address that needs none"
            )
        if not below or not found.path.endswith(below):
            raise error_for(Failure("astray"), where, urlsplit(where).netloc)
        base = urlunsplit((found.scheme, found.netloc, found.path.removesuffix(below), "", ""))
        if base == self._array_base:
            raise error_for(Failure("astray"), where, urlsplit(where).netloc)
        self._array_base = base

    def hosts(self) -> tuple[str, ...]:
        """The computers that requests for this dataset go to, as far as is known."""
        settings, _ = self._way
        bucket = urlsplit(self._base).netloc
        if self._scheme == "s3":
            said = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
            return (urlsplit(said).netloc or f"{bucket}.s3.amazonaws.com",)
        if self._scheme == "gs":
            return (urlsplit(settings.endpoint or _GOOGLE).netloc,)
        bases = (self._base, self._array_base)
        return tuple(dict.fromkeys(urlsplit(base).netloc.rpartition("@")[2] for base in bases))

    def close(self) -> None:
        """See `Tree.close`."""
        with self._lock:
            credentials, self._credentials = self._credentials, None
        if credentials is not None:
            credentials.cleanup()

    def _login(self, settings: Settings) -> str:
        """The Authorization header for the dataset's own server, "" for others and where none is given."""
        own, arrays = urlsplit(self._base), urlsplit(self._array_base)
        if own.netloc.rpartition("@")[2] != arrays.netloc.rpartition("@")[2]:
            return ""
        return authorization(own.netloc, settings)

    def _of_s3(self, bucket: str, key: str, settings: Settings, signed: bool) -> JsonObject:
        found: JsonObject = {"driver": "s3", "bucket": bucket, "path": _with_slash(key)}
        endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
        region = settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if endpoint:
            found["endpoint"] = endpoint.rstrip("/")
        if region or endpoint:
            found["aws_region"] = region or "us-east-1"
        found["aws_credentials"] = self._aws(settings) if signed else {"type": "anonymous"}
        return found

    def _aws(self, settings: Settings) -> JsonObject:
        """The credentials that metadata are read with, in the one form in which tensorstore takes them."""
        lines = [f"aws_access_key_id = {settings.key}", f"aws_secret_access_key = {settings.secret}"]
        lines += [f"aws_session_token = {settings.token}"] if settings.token else []
        with self._lock:
            if self._credentials is None:  # a folder that only this user may enter, removed by `close`
                self._credentials = tempfile.TemporaryDirectory(prefix="ndviewer-")
            folder = self._credentials.name
            for name, profile in (("credentials", "ndviewer"), ("config", "profile ndviewer")):
                with open(os.path.join(folder, name), "w") as file:
                    file.write("\n".join([f"[{profile}]", *(lines if name == "credentials" else [])]) + "\n")
        return {
            "type": "profile",
            "profile": "ndviewer",
            "credentials_file": os.path.join(folder, "credentials"),
            "config_file": os.path.join(folder, "config"),
        }


def _size(data: bytes | DatasetError | None) -> int:
    return len(data) if isinstance(data, bytes) else 0


def _with_slash(key: str) -> str:
    return f"{key}/" if key else ""


def _divided(url: str) -> tuple[str, str, str]:
    """Scheme, URL without query and without slash at its end, and query with its "?".

    Of a metadata file it is the folder: ``…/a.zarr/zarr.json`` is the same dataset as ``…/a.zarr``.
    """
    scheme, _, rest = url.partition("://")
    scheme, query = scheme.lower(), ""
    if scheme.startswith("http"):  # a key in a bucket may hold "?" and "#"
        rest, _, _ = rest.partition("#")
        rest, mark, query = rest.partition("?")
        query = mark + query if query else ""
    rest = rest.rstrip("/")
    for name in METADATA_FILES:
        rest = rest.removesuffix("/" + name).rstrip("/")
    return scheme, f"{scheme}://{rest}", query


def _of_web(base: str, query: str, key: str, login: str) -> JsonObject:
    parts = urlsplit(base)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    found: JsonObject = {"driver": "http", "base_url": plain + query, "path": _with_slash(key)}
    return {**found, "headers": [f"Authorization: {login}"]} if login else found


def _of_google(bucket: str, key: str, settings: Settings) -> JsonObject:
    # tensorstore looks for a service account's file by itself, in the usual places only
    given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    usual = os.path.expanduser("~/.config/gcloud/application_default_credentials.json")
    if settings.credentials not in (given, usual):
        raise UnsupportedError(
            f"gs://{bucket}: OME-Zarr cannot be read with the storage option 'credentials'. "
            "Set the environment variable GOOGLE_APPLICATION_CREDENTIALS to that file instead"
        )
    return {"driver": "gcs", "bucket": bucket, "path": _with_slash(key)}
