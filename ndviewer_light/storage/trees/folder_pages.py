"""What servers say is in a folder: the pages of links of web servers, and the lists of buckets. Pure.

Pages are those of Apache, nginx, Caddy, lighttpd, rclone, Python and others: a link for each name, those of
folders end with a slash. Lists are those that S3 and what speaks like it give: ``ListBucketResult``.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAMES = 100_000
"""Of one folder; a page or list with more is cut, which is said."""
_LIST = "<ListBucketResult"
_FOLDER = re.compile(r"<CommonPrefixes>\s*<Prefix>([^<]*)</Prefix>")
_FILE = re.compile(r"<Key>([^<]*)</Key>")
_NEXT = re.compile(r"<NextContinuationToken>([^<]*)</NextContinuationToken>")


class NamesInFolder(NamedTuple):
    """The names of files and of folders in a folder; `more` is what the rest of a list is asked for with.

    `is_cut`: there are more, which are left out.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    more: str = ""
    is_cut: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it, as far as is said."""
        return not self.files and not self.folders


def names_in_page(page: str, url: str) -> NamesInFolder:
    """The names in the folder at `url` by a page of links; links that lead anywhere else are no names."""
    links = _Links()
    links.feed(page)
    links.close()
    own = urlsplit(url)
    folder = unquote(own.path).rstrip("/") + "/"
    files, folders = dict[str, None](), dict[str, None]()
    for link in links.found:
        try:
            parts = urlsplit(urljoin(url.rstrip("/") + "/", link))
        except ValueError:  # no address
            continue
        path = unquote(parts.path)
        if parts.netloc != own.netloc or parts.query or not path.startswith(folder):
            continue
        name = path[len(folder) :]
        (folders if name.endswith("/") else files)[name.rstrip("/")] = None
    return NamesInFolder(_names(files), _names(folders), is_cut=len(links.found) == MAX_NAMES)


def names_in_list(text: str, prefix: str) -> NamesInFolder | None:
    """The names below `prefix` ("" or with a slash at its end) by a list; None if it is none."""
    if _LIST not in text[:1000]:
        return None
    files = (html.unescape(key).removeprefix(prefix) for key in _FILE.findall(text))
    folders = (html.unescape(each).removeprefix(prefix).rstrip("/") for each in _FOLDER.findall(text))
    more = _NEXT.search(text)
    return NamesInFolder(_names(files), _names(folders), html.unescape(more[1]) if more else "")


def _names(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(found) if _is_name(name))[:MAX_NAMES]


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


class _Links(HTMLParser):
    """The addresses of the links in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        link = dict(attrs).get("href") if tag == "a" else None
        if link and len(self.found) < MAX_NAMES:
            self.found.append(link)
