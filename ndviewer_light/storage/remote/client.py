"""The only place that talks to servers: obstore for http(s), s3 and gs. One request, one attempt.

Stores (open connections) are shared by all files of a server that are opened the same way.
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
import urllib.error
import urllib.request
from collections import OrderedDict, deque
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ...errors import DatasetError, DatasetNotFoundError, UnsupportedError
from ...model import how_many
from ..offered import READING_OPTIONS
from ..presentable import presentable
from .bucket_logins import aws_credentials, google_credentials, gs_config, s3_config
from .errors import Failure, failure_of
from .forks import after_fork, check_not_forked, note_request
from .told_version import TOLD, Version, told_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STALL_SECONDS = 20.0
CONNECT_SECONDS = 10.0
MAX_WHOLE_BYTES = 64 * 1024**2  # of a file that is loaded whole because its server does not support ranges
_MAX_STORES = 32
_PAGE_BEGINS = 2048
_AMAZON = "https://s3.amazonaws.com"


@dataclass(frozen=True, repr=False)  # it contains secrets
class Settings:
    """The storage options, "" if not given.

    endpoint, region: of a bucket. anonymous: "true" never to use credentials. key, secret, token: of s3;
    token: also of gs and, as a bearer token, of a web server. credentials: a service account's file, of gs.
    user, password: of a web server or a share. timeout: seconds a server may be silent. in_flight: how
    many requests may be in flight at once. cache_dir, disk_cache: not about the server, see `cache_of`.
    """

    endpoint: str = ""
    region: str = ""
    anonymous: str = ""
    key: str = ""
    secret: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    credentials: str = ""
    timeout: str = ""
    in_flight: str = ""
    cache_dir: str = ""
    disk_cache: str = ""

    @property
    def stall_s(self) -> float:
        """The number of seconds a server may be silent."""
        return float(self.timeout or STALL_SECONDS)

    @property
    def requests_at_once(self) -> int | None:
        """The limit on simultaneous requests of this process; None: unchanged."""
        return max(1, int(float(self.in_flight))) if self.in_flight else None


def settings_from(options: Mapping[str, str] | None) -> Settings:
    """The checked options of a dataset. Raises `DatasetError` for an unknown name."""
    known = [field.name for field in fields(Settings)]
    for name in options or {}:
        if name not in known:
            names = ", ".join((*known, *READING_OPTIONS))
            raise DatasetError(f"unknown storage option {name!r}; known are {names}")
    settings = Settings(**{name: str(value) for name, value in (options or {}).items()})
    for name, text in (("timeout", settings.timeout), ("in_flight", settings.in_flight)):
        if text and not _is_number(text):
            raise DatasetError(f"the storage option {name!r} must be a number above 0, not {text!r}")
    return settings


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < 1e6
    except ValueError:
        return False


class Answer(NamedTuple):
    """A received range, and the version of its file."""

    data: bytes
    version: Version
    content_type: str = ""


if TYPE_CHECKING:
    BlockingGet = Callable[[int, int, Callable[[], None]], Answer]


class RemoteFile:
    """One file on a server, and how it is requested. Immutable; any thread."""

    def __init__(
        self, url: str, settings: Settings, *, signed: bool = False, is_folder: bool = False
    ) -> None:
        """`signed`: with the credentials in `settings`, else anonymously (buckets).

        Raises `DatasetNotFoundError` for what names no file, nor a folder: then it may be a bucket.
        """
        self.url = url
        self.settings = settings
        self.signed = signed
        self.name = presentable(url)
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2]
        if parts.scheme in ("s3", "gs"):
            self.host = f"the bucket {self.host}"
        is_bucket = parts.scheme in ("s3", "gs") and not parts.path.strip("/")
        if not parts.netloc or (is_bucket and not is_folder):
            raise DatasetNotFoundError(f"{self.name} does not name a file: expected {parts.scheme}://…/…")
        self._store_key, self._path = _divided(url)

    def with_credentials(self) -> RemoteFile | None:
        """The same file with the user's credentials; None if there are none, or it is not in a bucket."""
        scheme = urlsplit(self.url).scheme
        if self.signed or self.settings.anonymous.lower() in ("1", "true", "yes"):
            return None
        if scheme == "s3":
            found = aws_credentials(self.settings)
        elif scheme == "gs":
            found = google_credentials(self.settings)
        else:
            return None
        return RemoteFile(self.url, replace(self.settings, **found), signed=True) if found else None

    def with_region(self) -> RemoteFile | None:
        """The same file in its bucket's region; None if unknown, or already used."""
        known = self.settings.region or self.settings.endpoint
        if known or urlsplit(self.url).scheme != "s3":
            return None
        region = region_of(urlsplit(self.url).netloc)
        return (
            RemoteFile(self.url, replace(self.settings, region=region), signed=self.signed)
            if region
            else None
        )

    async def get(self, start: int, end: int) -> Answer:
        """The bytes [start, end), clipped at the end of the file; raises `Failure`."""
        obstore = _obstore()
        self._note()
        try:
            result = await obstore.get_async(self._store(), self._path, options={"range": (start, end)})
            version = self._told(result.meta)
            end = min(end, version.size)
            if tuple(result.range) != (start, end):
                raise Failure("wrong range")
            data = await _at_most(result, end - start)
            kind = _content_type(result.attributes)
        except _client_errors() as error:
            raise failure_of(error) from None
        if len(data) != end - start:
            raise Failure("truncated", f"{len(data):,} of {how_many(end - start, 'byte')}")
        return self._noted(Answer(data, version, kind))

    @property
    def login(self) -> str:
        """The Authorization header for its web server; "" without login or for a bucket."""
        scheme, netloc = urlsplit(self.url)[:2]
        return authorization(netloc, self.settings) if scheme in ("http", "https") else ""

    def blocking_get(self) -> BlockingGet:
        """A function that does the same as `get` in the calling thread, see `direct`.

        It takes the range and a function that is called whenever data arrives, and may raise. Anything that
        takes locks is done here, beforehand.
        """
        obstore, store, path, errors = _obstore(), self._store(), self._path, _client_errors()

        def get(start: int, end: int, check: Callable[[], None]) -> Answer:
            self._note()
            try:
                result = obstore.get(store, path, options={"range": (start, end)})
                version = told_version(result.meta)
                end = min(end, version.size)
                if tuple(result.range) != (start, end):
                    raise Failure("wrong range")
                parts, length = [], 0
                for part in result.stream(min_chunk_size=1):
                    check()
                    parts.append(bytes(part))
                    length += len(part)
                    if length > end - start:
                        raise Failure("wrong range")
            except errors as error:
                raise failure_of(error) from None
            if length != end - start:
                raise Failure("truncated", f"{length:,} of {how_many(end - start, 'byte')}")
            return self._noted(Answer(b"".join(parts), version))

        return get

    async def get_version(self, known: Version | None = None) -> Answer:
        """The first byte of the file, for its version now; raises `Failure`, "unchanged" if that is `known`.

        Where the server knows conditional requests, it does not send even that byte then, nor where it would
        send the whole file.
        """
        obstore = _obstore()
        self._note()
        options: Any = {"range": (0, 1), **_unless(known)}
        try:
            result = await obstore.get_async(self._store(), self._path, options=options)
            version = self._told(result.meta)
            data = await _at_most(result, 1)
        except _client_errors() as error:
            failure = failure_of(error)
            if failure.kind != "ranges ignored":
                raise failure from None
            version, data = await self._version_by_head(failure), b""
        answer = self._noted(Answer(data, version))
        if known is not None and version == known:
            raise Failure("unchanged")
        return answer

    async def _version_by_head(self, failure: Failure) -> Version:
        """The version where a server sends nothing but whole files; `failure` if it does not say."""
        self._note()
        try:
            return self._told(await _obstore().head_async(self._store(), self._path))
        except _client_errors() as error:
            raise (by_head if (by_head := failure_of(error)).kind == "missing" else failure) from None

    async def get_whole(self, known: Version | None = None) -> Answer:
        """The whole file, for empty and small files, and servers without range support; raises `Failure`.

        If the server says that it is `known` still, without sending it again: "unchanged".
        """
        return await self._get_whole(known, self._path.endswith((".html", ".htm")))

    async def get_page(self, known: Version | None = None) -> Answer:
        """The same for a page that is meant to be one; raises `Failure`."""
        return await self._get_whole(known, may_be_page=True)

    async def list_folder(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of files and of folders in this folder of a bucket; raises `Failure`."""
        obstore = _obstore()
        self._note()
        prefix = self._path.strip("/")
        try:
            found = await obstore.list_with_delimiter_async(self._store(), prefix or None)
        except _client_errors() as error:
            raise failure_of(error) from None
        paths = [str(each["path"]) for each in found["objects"]], map(str, found["common_prefixes"])
        files, folders = (tuple(path.rstrip("/").rpartition("/")[2] for path in each) for each in paths)
        return files, folders

    async def _get_whole(self, known: Version | None, may_be_page: bool) -> Answer:
        obstore = _obstore()
        self._note()
        options: Any = _unless(known) if known is not None and TOLD.was_read_late(self.url, known) else {}
        try:
            result = await obstore.get_async(self._store(), self._path, options=options or None)
            version = self._told(result.meta, is_read=True)
            kind = _content_type(result.attributes)
            if version.size > MAX_WHOLE_BYTES:
                raise Failure("no ranges", f"{version.size / 1e6:.0f} MB")
            data = bytes(await result.bytes_async())
        except _client_errors() as error:
            raise failure_of(error) from None
        if kind.startswith("text/html") and not may_be_page and _is_web_page(data):
            raise Failure("web page")
        if len(data) != version.size:
            raise Failure("truncated", f"{len(data):,} of {how_many(version.size, 'byte')}")
        return self._noted(Answer(data, version, kind))

    def _told(self, meta: Any, *, is_read: bool = False) -> Version:
        return TOLD.note(self.url, told_version(meta), meta, is_read=is_read)

    def _note(self) -> None:
        check_not_forked()
        note_request()
        for traffic in _listeners:
            traffic.sent.append(self.host)

    def _noted(self, answer: Answer) -> Answer:
        for traffic in _listeners:
            traffic.came.append(len(answer.data))
        return answer

    def _store(self) -> Any:
        key = (self._store_key, self.settings, self.signed)
        with _lock:
            store = _stores.get(key)
            if store is None:
                store = _stores[key] = _new_store(self._store_key, self.settings, self.signed)
            _stores.move_to_end(key)
            while len(_stores) > _MAX_STORES:
                _stores.popitem(last=False)
            return store


class Traffic:
    """Counts this process's requests to servers, including retries, while active."""

    def __init__(self) -> None:
        # queues, since a counter would need a lock, see `direct`
        self.sent: deque[str] = deque()
        self.came: deque[int] = deque()

    @property
    def requests(self) -> int:
        """The number of requests."""
        return len(self.sent)

    @property
    def bytes(self) -> int:
        """The number of body bytes of successful requests."""
        return sum(tuple(self.came))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The servers contacted, in order."""
        return tuple(dict.fromkeys(tuple(self.sent)))


_listeners: tuple[Traffic, ...] = ()


@contextlib.contextmanager
def counted() -> Iterator[Traffic]:
    """Count requests to servers until the block ends, from any thread."""
    global _listeners
    traffic = Traffic()
    with _lock:
        _listeners = (*_listeners, traffic)
    try:
        yield traffic
    finally:
        with _lock:
            _listeners = tuple(each for each in _listeners if each is not traffic)


def _unless(known: Version | None) -> dict[str, Any]:
    """The options of a request unless the file is the version that is known: by its ETag, else by time."""
    if known is not None and known.etag:
        return {"if_none_match": known.etag}
    if known is not None and known.modified:
        return {"if_modified_since": datetime.fromisoformat(known.modified)}
    return {}


async def _at_most(result: Any, length: int) -> bytes:
    """The body; raises `Failure` if it is longer than the declared range."""
    data = b""
    async for part in result.stream(min_chunk_size=length + 1):
        data = data + part if data else part  # usually just one
        if len(data) > length:
            raise Failure("wrong range")
    return data


_lock = threading.Lock()
_stores: OrderedDict[tuple[str, Settings, bool], Any] = OrderedDict()


def _renew() -> list[Any]:
    global _lock
    _lock = threading.Lock()
    return list(_stores.values())


after_fork(_renew)


def _obstore() -> Any:
    try:
        import obstore
    except ImportError as error:
        raise UnsupportedError(
            "reading from servers needs an additional package: pip install 'ndviewer_light[remote]'"
        ) from error
    return obstore


def _client_errors() -> tuple[type[Exception], ...]:
    return (_obstore().exceptions.BaseError, OSError, ValueError)


def _content_type(attributes: Mapping[Any, Any]) -> str:
    return str(attributes.get("Content-Type", "")).lower()


# ---- stores -----------------------------------------------------------------------------------

_PLAIN = re.compile(r"[\w .~/-]*")  # characters that every server and the client library encode alike


def _is_web_page(data: bytes) -> bool:
    """Whether data is a page, rather than a file that a server takes for one."""
    head = data[:_PAGE_BEGINS].lower()
    return any(mark in head for mark in (b"<!doctype html", b"<html", b"<head", b"<body"))


def _divided(url: str) -> tuple[str, str]:
    """The URL of the store, and the path in it.

    A path with characters that can be encoded in two ways, and any URL with a query (a signature may cover
    both), gets its own store, so that it is sent exactly as given.
    """
    parts = urlsplit(url)
    if parts.scheme in ("s3", "gs"):
        bucket, _, key = url.partition("://")[2].partition("/")  # keys may contain # and ?
        return f"{parts.scheme}://{bucket}", key
    path = unquote(parts.path)
    is_plain = not parts.query and _PLAIN.fullmatch(path) and "%2f" not in parts.path.lower()
    segments = path[1:].split("/")
    if is_plain and not {"", ".", ".."} & set(segments):
        return urlunsplit((parts.scheme, parts.netloc, "", "", "")), path[1:]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, "")), ""


def _new_store(url: str, settings: Settings, signed: bool) -> Any:
    _obstore()
    from obstore import store

    options: Any = {
        "allow_http": url.startswith("http:") or settings.endpoint.startswith("http:"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=settings.stall_s),
        "timeout": timedelta(hours=12),  # for a whole body: a slow network is not an error, a silent one is
    }
    # the scheduler retries, as it knows what is still wanted
    once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=60)}
    scheme, netloc = urlsplit(url)[:2]
    if scheme == "s3":
        return store.S3Store(
            netloc, config=s3_config(settings, signed), client_options=options, retry_config=once
        )
    if scheme == "gs":
        return store.GCSStore(
            netloc, config=gs_config(settings, signed), client_options=options, retry_config=once
        )
    login = authorization(netloc, settings)
    if login:
        options["default_headers"] = {"Authorization": login}
    plain = urlsplit(url)._replace(netloc=netloc.rpartition("@")[2])
    return store.HTTPStore.from_url(urlunsplit(plain), client_options=options, retry_config=once)


def authorization(netloc: str, settings: Settings) -> str:
    """The Authorization header from the options, or from the login in a URL; "" without any."""
    user, _, password = (unquote(part) for part in netloc.rpartition("@")[0].partition(":"))
    user, password = settings.user or user, settings.password or password
    if settings.token:
        return f"Bearer {settings.token}"
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""


def region_of(bucket: str) -> str:
    """The region of an Amazon bucket, which is public; "" if unknown. One request; blocks."""
    request = urllib.request.Request(f"{_AMAZON}/{quote(bucket)}", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:  # the header is sent even if redirected or forbidden
        headers = error.headers
    except OSError:
        return ""
    return str(headers.get("x-amz-bucket-region", ""))
