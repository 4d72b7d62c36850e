"""Follows a server's redirects, checking each step.

obstore follows redirects silently, so it is used for a file on another machine only after
the redirects were followed once here. Not covered: a server may answer obstore differently later.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from ...errors import DatasetError, LimitExceededError, MetadataError, UntrustedReferenceError
from ...model import how_many
from ..abandonable import run_abandonable
from ..presentable import presentable
from . import hosts
from .client import MAX_WHOLE_BYTES
from .errors import Failure, error_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http.client import HTTPMessage
    from typing import IO
    from urllib.response import addinfourl

T = TypeVar("T")

_LOOKED_AT_SECONDS = 600.0
_MAX_FOLDERS_KEPT = 1000


class _AstrayError(Exception):
    """A redirect that is not followed; has the kind of failure."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from secure to insecure, nor from external to internal addresses."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        astray = _astray(req, newurl)
        if astray:
            fp.close()
            raise _AstrayError(astray)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _astray(request: urllib.request.Request, url: str) -> str:
    """Why a redirect is not followed, as a kind of failure; "" if it may be."""
    if urlsplit(url).scheme not in (("https",) if request.type == "https" else ("http", "https")):
        return "astray"
    try:
        return "" if hosts.the_judge.may_follow(request.full_url, url) else "inside"
    except MetadataError:
        return "astray"


def final_url(url: str, login: str, timeout_s: float) -> str:
    """The final URL after redirects; the file is not read. Blocks; raises a `DatasetError`.

    `login` is the Authorization header for the server in `url`, never sent to another.
    """

    def end(answer: addinfourl) -> str:
        return str(answer.url)

    return _in_time(url, timeout_s, lambda: _walked(url, login, timeout_s, end, {"Range": "bytes=0-0"}))


def page_of_unknown_length(url: str, login: str, timeout_s: float) -> tuple[bytes, str]:
    """A page that a server makes as it sends it, of which obstore reads none, and its content type.

    Lists of folders and buckets are sent so. Blocks; raises a `DatasetError`. `login` as for `final_url`.
    """
    where = presentable(url)

    def read(answer: addinfourl) -> tuple[bytes, str]:
        if not 200 <= (answer.status or 0) < 300:
            raise error_for(Failure("refused request", str(answer.status)), where, urlsplit(where).netloc)
        data = answer.read(MAX_WHOLE_BYTES + 1)
        if len(data) > MAX_WHOLE_BYTES:
            raise LimitExceededError(f"{where} has more than {how_many(MAX_WHOLE_BYTES, 'byte')}")
        return data, str(answer.headers.get("Content-Type", "")).lower()

    return _in_time(url, timeout_s, lambda: _walked(url, login, timeout_s, read))


def _in_time(url: str, timeout_s: float, walk: Callable[[], T]) -> T:
    where, until = presentable(url), time.monotonic() + timeout_s
    host = urlsplit(where).netloc

    def check() -> None:
        if time.monotonic() > until:
            raise error_for(Failure("stalled"), where, host)

    return run_abandonable([walk], check)[0]


def _walked(
    url: str,
    login: str,
    timeout_s: float,
    take: Callable[[addinfourl], T],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> T:
    where = presentable(url)
    host = urlsplit(where).netloc
    parts = urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    request = urllib.request.Request(plain, headers=dict(headers))
    if login:
        request.add_unredirected_header("Authorization", login)
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout_s) as answer:
            return take(answer)
    except urllib.error.HTTPError as error:  # it may not exist
        with error:
            if 300 <= error.code < 400 or not error.url:
                raise error_for(Failure("astray"), where, host) from None
            return take(error)
    except _AstrayError as error:
        raise error_for(Failure(str(error)), where, host) from None
    except (OSError, ValueError, HTTPException):
        raise error_for(Failure("unreachable"), where, host) from None


_lately: dict[str, float] = {}
"""Folders on other machines of which a file was served without a redirect, and when that was seen."""


def refuse_redirects_inside(url: str, login: str, timeout_s: float) -> None:
    """Raise `UntrustedReferenceError` if a server redirects a file to a host that it must not lead to.

    See `HostJudge.may_follow`; a server on this machine may lead anywhere, and is not asked. One request,
    unless a file beside it was recently served without redirect. Other failures are left to the reader of
    the file.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or hosts.the_judge.is_here(hosts.host_as_clients_read_it(url)):
        return
    folder = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rpartition('/')[0]}"
    is_plain = not parts.query
    if is_plain and time.monotonic() - _lately.get(folder, float("-inf")) < _LOOKED_AT_SECONDS:
        return
    try:
        end = final_url(url, login, timeout_s)
    except UntrustedReferenceError:
        raise
    except DatasetError:
        return
    if is_plain and end.partition("#")[0] == parts._replace(netloc=urlsplit(folder).netloc).geturl():
        if len(_lately) >= _MAX_FOLDERS_KEPT:
            _lately.clear()
        _lately[folder] = time.monotonic()
