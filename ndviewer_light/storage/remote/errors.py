"""What can go wrong on the way to a server, in sentences that help, and without anybody's secrets.

What the client library says holds the whole URL, with signatures and passwords in it: its words are
looked at here to find the kind of trouble, and never passed on.
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
    sentence: str  # of {name}, {host}, {login} and {detail}
    again: bool = False  # whether another try, at once, may help
    passes: bool = False  # whether it may pass by itself later


_LOGINS = {
    "s3": "give the storage options 'key' and 'secret', or set up the usual environment variables",
    "gs": "give the storage option 'credentials' (the file of a service account), or set up the usual "
    "environment variables",
    "": "give the storage options 'user' and 'password', or 'token'",
}
_KINDS: Mapping[str, _Kind] = {
    "missing": _Kind(
        DatasetNotFoundError, "there is nothing at {name} (404): check the spelling of the address"
    ),
    "gone": _Kind(DatasetGoneError, "{name} was there and is not any more (404)", passes=True),
    "forbidden": _Kind(
        DatasetPermissionError,
        "{host} does not let us read {name} (403): a link of limited duration may have run out, a file may "
        "be missing from a bucket, or a login is needed: {login}",
    ),
    "login": _Kind(DatasetPermissionError, "{host} asks who wants to read {name} (401): {login}"),
    "busy": _Kind(
        DatasetError, "{host} is overloaded or out of order ({detail}) and sent nothing of {name}", True
    ),
    "refused request": _Kind(DatasetError, "{host} refused to send {name} (status {detail})"),
    "dropped": _Kind(DatasetError, "{host} ended the connection while {name} was read", True),
    "truncated": _Kind(CorruptDataError, "{host} sent less of {name} than it was asked for ({detail})", True),
    "wrong range": _Kind(CorruptDataError, "{host} sent another part of {name} than it was asked for", True),
    "no ranges": _Kind(
        UnsupportedError,
        "{host} cannot send parts of a file, and {name} is too large to load whole ({detail}): "
        "download it and open the copy, or put it on a server with support for byte ranges",
    ),
    "ranges ignored": _Kind(
        DatasetError, "{host} sent the whole of {name}, or a web page, where a part was asked for", True
    ),
    "no parts": _Kind(UnsupportedError, "{host} cannot send parts of {name}"),
    "empty": _Kind(CorruptDataError, "{name} is empty"),
    "web page": _Kind(
        DatasetPermissionError,
        "{host} answered with a web page instead of {name}: it may want a login, or the address may be that "
        "of a page about the file; use the link that downloads the file itself",
    ),
    "stalled": _Kind(ReadTimeoutError, "{host} stopped sending while {name} was read", True),
    "unreachable": _Kind(
        DatasetError,
        "{host} does not answer: the server may be down, or a firewall in between",
        passes=True,
    ),
    "unknown host": _Kind(
        DatasetError,
        "there is no computer named {host}, as far as this network knows: check the spelling of the address "
        "and that you are online",
        passes=True,
    ),
    "not secure": _Kind(
        DatasetError,
        "the connection to {host} is not secure, so {name} is not read: its certificate is not trusted, is "
        "for another name or has run out. For a server of your own institute, point the environment "
        "variable SSL_CERT_FILE to its certificate",
    ),
    "astray": _Kind(
        UntrustedReferenceError,
        "{host} sends us elsewhere for {name}, in a circle or to an address that is not secure",
    ),
    "inside": _Kind(
        UntrustedReferenceError,
        "{host} sends us to a machine of the network this one is in for {name}; it is not asked",
    ),
    "region": _Kind(
        DatasetError, "the bucket of {name} lies in another region: give the storage option 'region'"
    ),
    "changed": _Kind(
        CorruptDataError,
        "{name} has changed on {host} since it was opened: open it again to see what it is now",
    ),
    "other": _Kind(DatasetError, "{name} could not be read from {host}", True),
}


class Failure(Exception):
    """A request that failed; `kind` is a key of the table above."""

    tries = 1  # made before it was given up

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} {detail}")
        self.kind = kind
        self.detail = detail

    @property
    def again(self) -> bool:
        """Whether another try may help."""
        return _KINDS[self.kind].again


def error_for(failure: Failure, name: str, host: str) -> DatasetError:
    """What callers are told: `name` and `host` as people may see them."""
    kind = _KINDS[failure.kind]
    scheme = name.partition("://")[0]
    login = _LOGINS.get(scheme, _LOGINS[""])
    sentence = kind.sentence.format(name=name, host=host, detail=failure.detail, login=login)
    if failure.tries > 1:
        sentence += f"; tried {failure.tries} times"
    error = kind.error(sentence)
    error.transient = kind.again or kind.passes
    return error


_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_BY_STATUS = {401: "login", 403: "forbidden", 407: "login"}
_BY_WORDS = (  # in what the library says; the first that fits
    ("RangeNotSupported", "ranges ignored"),
    ("UnexpectedRange", "wrong range"),
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
    """The kind of trouble that a status of HTTP means; `missing` is what not to be there is called."""
    if code in (404, 410):
        return Failure(missing)
    if code in _BY_STATUS:
        return Failure(_BY_STATUS[code])
    if 300 <= code < 400:
        return Failure("astray")
    return Failure("busy" if code >= 500 or code in (408, 429) else "refused request", str(code))


def failure_of(error: Exception) -> Failure:
    """The kind of trouble that an exception of the client library means."""
    said = str(error)
    if isinstance(error, FileNotFoundError):
        return Failure("missing")
    status = _STATUS.search(said)
    if status is not None:
        return failure_of_status(int(status[1]), "missing")
    kind = next((kind for words, kind in _BY_WORDS if words in said), "other")
    return Failure(kind, "the rest is missing" if kind == "truncated" else "")
