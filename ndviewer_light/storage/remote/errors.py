"""Errors of remote access as helpful messages, without secrets.

The client library's messages contain the whole URL, with signatures and passwords: they are only
examined here to find the kind of failure, never passed on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    DatasetPermissionError,
    ReadTimeoutError,
    UnsupportedError,
    UntrustedReferenceError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class _Kind:
    error: type[DatasetError]
    sentence: str  # with {name}, {host}, {login} and {detail}
    again: bool = False  # whether an immediate retry may help
    passes: bool = False  # whether it may be temporary


_LOGINS = {
    "s3": "set the storage options 'key' and 'secret', or the usual environment variables",
    "gs": "set the storage option 'credentials' (the file of a service account), or the usual "
    "environment variables",
    "": "set the storage options 'user' and 'password', or 'token'",
}
_KINDS: Mapping[str, _Kind] = {
    "missing": _Kind(DatasetNotFoundError, "{name} does not exist (404): check the spelling of the address"),
    "gone": _Kind(DatasetGoneError, "{name} no longer exists (404)", passes=True),
    "unchanged": _Kind(DatasetError, "{name} is the same as before (304)"),
    "forbidden": _Kind(
        DatasetPermissionError,
        "{host} denied access to {name} (403): the link may have expired, the file may "
        "be missing from the bucket, or a login is required: {login}",
    ),
    "login": _Kind(DatasetPermissionError, "{name} requires authentication (401): {login}"),
    "busy": _Kind(
        DatasetError, "{host} is overloaded or out of service ({detail}) and did not send {name}", True
    ),
    "refused request": _Kind(DatasetError, "{host} refused to send {name} (HTTP status {detail})"),
    "dropped": _Kind(DatasetError, "{host} closed the connection while {name} was being read", True),
    "truncated": _Kind(CorruptDataError, "{host} sent less of {name} than requested ({detail})", True),
    "wrong range": _Kind(CorruptDataError, "{host} sent a different part of {name} than requested", True),
    "no ranges": _Kind(
        UnsupportedError,
        "{host} does not support byte ranges, and {name} is too large to load whole ({detail}): "
        "download it and open the copy, or put it on a server that supports byte ranges",
    ),
    "ranges ignored": _Kind(
        DatasetError, "{host} sent all of {name}, or a web page, instead of the requested part", True
    ),
    "no parts": _Kind(UnsupportedError, "{host} does not support byte ranges for {name}"),
    "empty": _Kind(CorruptDataError, "{name} is empty"),
    "web page": _Kind(
        DatasetPermissionError,
        "{host} answered with a web page instead of {name}: it may require a login, or the address may be "
        "that of a page about the file; use the direct download link",
    ),
    "no length": _Kind(
        DatasetPermissionError,
        "{host} does not say how large {name} is, as of pages that are made when asked for: it may require "
        "a login, or the address may be that of a page about the file; use the direct download link",
    ),
    "stalled": _Kind(ReadTimeoutError, "reading {name} timed out: {host} stopped sending", True),
    "unreachable": _Kind(
        DatasetError,
        "{host} does not answer: the server may be down, or blocked by a firewall",
        passes=True,
    ),
    "unknown host": _Kind(
        DatasetError,
        "cannot resolve host {host}: check the spelling of the address and your network connection",
        passes=True,
    ),
    "unknown server": _Kind(
        DatasetError,
        "cannot resolve the host of {host}: check its name, the storage options 'endpoint' and 'region', and "
        "your network connection",
        passes=True,
    ),
    "not secure": _Kind(
        DatasetError,
        "the connection to {host} is not secure, so {name} was not read: its certificate is not trusted, is "
        "for another name, or has expired. For a server of your own institute, set the environment "
        "variable SSL_CERT_FILE to the path of its certificate",
    ),
    "astray": _Kind(
        UntrustedReferenceError,
        "{host} redirects {name} in a loop, or to an address that is not secure: redirect not followed",
    ),
    "inside": _Kind(
        UntrustedReferenceError,
        "{host} redirects {name} to a computer on your local network: redirect not followed",
    ),
    "region": _Kind(
        DatasetError, "the bucket of {name} is in another region: set the storage option 'region'"
    ),
    "changed": _Kind(
        CorruptDataError,
        "{name} has changed on {host} since it was opened: open it again to see the new version",
    ),
    "other": _Kind(DatasetError, "{name} could not be read from {host}", True),
}


PAGE_FAILURES = ("web page", "no length")
"""The kinds of failure of what is a web page, as far as it is known."""


class Failure(Exception):
    """A request that failed; `kind` is a key of the table above."""

    tries = 1  # attempts made

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} {detail}")
        self.kind = kind
        self.detail = detail

    @property
    def again(self) -> bool:
        """Whether a retry may help."""
        return _KINDS[self.kind].again


def error_for(failure: Failure, name: str, host: str) -> DatasetError:
    """The error for callers, with `name` and `host` for display."""
    scheme = name.partition("://")[0]
    is_unknown_bucket = failure.kind == "unknown host" and scheme in ("s3", "gs")
    kind = _KINDS["unknown server" if is_unknown_bucket else failure.kind]
    login = _LOGINS.get(scheme, _LOGINS[""])
    sentence = kind.sentence.format(name=name, host=host, detail=failure.detail, login=login)
    if failure.tries > 1:
        sentence += f" (tried {failure.tries} times)"
    error = kind.error(sentence)
    error.transient = kind.again or kind.passes
    if isinstance(error, DatasetPermissionError):
        error.is_web_page = failure.kind in PAGE_FAILURES
    return error


_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_BY_STATUS = {401: "login", 403: "forbidden", 407: "login"}
_BY_WORDS = (  # in the library's message; the first match
    ("RangeNotSupported", "ranges ignored"),
    ("UnexpectedRange", "wrong range"),
    ("MissingContentLength", "no length"),
    ("BareRedirect", "region"),
    ("kind: Redirect", "astray"),
    ("BadScheme", "astray"),
    ("dns error", "unknown host"),
    ("InvalidCertificate", "not secure"),
    ("invalid peer certificate", "not secure"),
    ("InvalidMessage", "not secure"),
    ("kind: Timeout", "stalled"),
    ("kind: Connect", "unreachable"),
    ("IncompleteBody", "truncated"),
    ("kind: Interrupted", "truncated"),
    ("IncompleteMessage", "dropped"),
    ("error sending request", "dropped"),
    ("body error", "truncated"),
    ("redential", "login"),
)


def failure_of_status(code: int, missing: str) -> Failure:
    """The failure for an HTTP status; `missing` is the kind to use for 404."""
    if code in (404, 410):
        return Failure(missing)
    if code in _BY_STATUS:
        return Failure(_BY_STATUS[code])
    if 300 <= code < 400:
        return Failure("astray")
    return Failure("busy" if code >= 500 or code in (408, 429) else "refused request", str(code))


def failure_of(error: Exception) -> Failure:
    """The failure for an exception of the client library."""
    said = str(error)
    if isinstance(error, FileNotFoundError):
        return Failure("missing")
    if type(error).__name__ == "NotModifiedError":
        return Failure("unchanged")
    status = _STATUS.search(said)
    if status is not None:
        return failure_of_status(int(status[1]), "missing")
    kind = next((kind for words, kind in _BY_WORDS if words in said), "other")
    return Failure(kind, "incomplete response" if kind == "truncated" else "")
