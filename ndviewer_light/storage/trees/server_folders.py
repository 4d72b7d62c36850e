"""The folders of a server that says what is in them: web servers with pages of links, and buckets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from ...errors import DatasetError
from ..remote.client import Answer
from ..remote.errors import Failure
from ..remote.redirects import page_of_unknown_length, refuse_redirects_inside
from ..remote.scheduler import the_scheduler
from ..remote.told_version import Version
from .folder_pages import MAX_NAMES, NamesInFolder, names_in_list, names_in_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote.client import RemoteFile

_MAX_LIST_PARTS = 100
"""Of the list of one folder; each has a thousand names."""


class ServerFolders:
    """What is in the folders below a URL, as far as its server says so. Any thread; blocks on the network.

    A web server is asked for the page of a folder. A bucket is asked for its list, also one whose address is
    that of a web server: ``https://host/bucket/key`` or ``https://bucket.host/key``.
    """

    def __init__(self, folder: Callable[[str], RemoteFile], bucket: Callable[[str], RemoteFile]) -> None:
        """How a folder below the URL is requested, and any address on the same server."""
        self._folder = folder
        self._bucket_at = bucket
        self._lock = threading.Lock()  # guards `_known`; never held while requesting
        self._known: dict[str, NamesInFolder] = {}
        self._pages: dict[str, Version] = {}  # which pages those of web servers are by
        self._bucket: str | None = None  # the address of the bucket, once one has answered
        self._are_without_length = False  # pages and lists, once one was: then all are asked for as such

    def names(self, path: str) -> NamesInFolder:
        """What is in a folder; empty if the server does not say. Raises nothing."""
        with self._lock:
            known = self._known.get(path)
        if known is None:
            known = self._asked(path)
            with self._lock:
                self._known[path] = known
        return known

    def names_again(self, path: str) -> NamesInFolder:
        """`names`, asked again: a page is not sent if the server says that it is the same.

        As before if the server does not answer.
        """
        with self._lock:
            before, page = self._known.get(path), self._pages.get(path)
        if page is None or before is None:
            found = self._asked(path)
        else:
            try:
                found = self._in_page(path, self._folder(path.rstrip("/") + "/"), page)
            except DatasetError:
                found = NamesInFolder()
        if found.is_empty and before is not None:
            return before
        with self._lock:
            self._known[path] = found
        return found

    def forget(self) -> None:
        """Ask anew from now on."""
        with self._lock:
            self._known, self._pages = {}, {}

    def _asked(self, path: str) -> NamesInFolder:
        place = self._folder(path.rstrip("/") + "/")
        try:
            if urlsplit(place.url).scheme in ("s3", "gs"):
                files, folders = the_scheduler().run(place.list_folder, place.name)
                is_cut = len(files) > MAX_NAMES
                return NamesInFolder(files[:MAX_NAMES], folders[:MAX_NAMES], is_cut=is_cut)
            if self._bucket is not None:
                return self._in_bucket(self._bucket, place.url) or NamesInFolder()
            found = self._in_page(path, place)
        except (Failure, DatasetError):
            return NamesInFolder()
        if not found.is_empty:
            return found
        for bucket in _possible_buckets(place.url):
            listed = self._in_bucket(bucket, place.url)
            if listed is not None:
                self._bucket = bucket
                return listed
        return NamesInFolder()

    def _in_page(self, path: str, place: RemoteFile, known: Version | None = None) -> NamesInFolder:
        """What is in a folder by its page; empty if there is none, or none but the one that is `known`."""
        try:
            answer = self._page(place, known)
        except Failure:
            return NamesInFolder()
        if not answer.content_type.startswith("text/html"):
            return NamesInFolder()
        found = names_in_page(answer.data.decode("utf-8", "replace"), place.url)
        if not found.is_empty:
            with self._lock:
                self._pages[path] = answer.version
        return found

    def _in_bucket(self, bucket: str, url: str) -> NamesInFolder | None:
        """What is in the folder at `url` by the list of a bucket; None if it does not answer with one."""
        prefix = unquote(urlsplit(url).path.removeprefix(urlsplit(bucket).path)).strip("/")
        prefix = f"{prefix}/" if prefix else ""
        files, folders, is_cut = list[str](), list[str](), False
        asked = {"list-type": "2", "delimiter": "/", "prefix": prefix}
        for _ in range(_MAX_LIST_PARTS):
            try:
                answer = self._page(self._bucket_at(f"{bucket}?{urlencode(asked, quote_via=quote)}"))
            except (Failure, DatasetError):
                return None
            found = names_in_list(answer.data.decode("utf-8", "replace"), prefix)
            if found is None:
                return None
            files += found.files
            folders += found.folders
            is_cut = bool(found.more)
            if not is_cut or len(files) + len(folders) >= MAX_NAMES:
                break
            asked["continuation-token"] = found.more
        return NamesInFolder(tuple(files), tuple(folders), is_cut=is_cut)

    def _page(self, place: RemoteFile, known: Version | None = None) -> Answer:
        refuse_redirects_inside(place.url, place.login, place.settings.stall_s)
        if not self._are_without_length:
            try:
                return the_scheduler().run(lambda: place.get_page(known), place.name)
            except Failure as failure:
                if failure.kind != "no length":
                    raise
                self._are_without_length = True
        data, content_type = page_of_unknown_length(place.url, place.login, place.settings.stall_s)
        return Answer(data, Version(len(data), "", ""), content_type)


def _possible_buckets(url: str) -> list[str]:
    """The addresses that the bucket of a URL may have: its host, or the first folder of that."""
    parts = urlsplit(url)
    host, (first, *_) = f"{parts.scheme}://{parts.netloc}/", parts.path.strip("/").split("/")
    by_path = [f"{host}{first}/"] if first else []
    return [host, *by_path] if ".s3" in parts.netloc else [*by_path, host]
