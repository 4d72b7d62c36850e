"""Paths and URLs as anybody may see them: in messages, logs, titles, lists and files.

What a person gives us may hold a login, or a query that is a signature: it is used to read, and said nowhere.
"""

from __future__ import annotations

import re

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_AUTHORITY_END = re.compile(r"[/?#\\]")
_QUERY = re.compile(r"\?[^/?=]*=.*", re.DOTALL)
_BESIDE_PATH = re.compile(r"[?#].*", re.DOTALL)
_PORT = re.compile(r":[0-9]*\Z")


def presentable(path: str) -> str:
    """A path as it is; a URL without login, query and fragment, whatever is wrong with it. Raises nothing.

    The path inside a file (``https://…/a.h5?signature::/inside``) stays. Keys in buckets may hold "?" and
    "#": only what looks like a query is left out of these.
    """
    match = _URL.match(path)
    if match is None:
        return path
    scheme, rest = match.groups()
    end = _AUTHORITY_END.search(rest)
    authority, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    host = authority.rpartition("@")[2]
    if ":" in host and not _PORT.search(host) and "@" in rest:  # a password with a slash in it
        host, slash, tail = rest.rpartition("@")[2].partition("/")
        rest = slash + tail
    rest, colons, inner = rest.partition("::")
    scheme = scheme.lower()
    rest = _QUERY.sub("", rest) if scheme in ("s3", "gs") else _BESIDE_PATH.sub("", rest)
    return f"{scheme}://{host}{rest}{colons}{inner}"


def presentable_name(name: str) -> str:
    """The last part of a path or URL, without anything that looks like a query."""
    return _QUERY.sub("", name)
