"""Where references may point to: an untrusted reference file must not reach beyond itself.

A file on a server may refer only to servers: to no local file, and to no host of the local network
unless it is on that host itself. A local file may refer to servers, and to files in its own folder.
Credentials for a server (password, token) are never sent to another.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import MetadataError, UntrustedReferenceError
from ...storage.bytes import WEB_SCHEMES, is_url, scheme_of
from ...storage.limits import safe_relative
from ...storage.local_files import ALLOW_OUTSIDE, allows_outside
from ...storage.presentable import presentable
from ...storage.remote.hosts import host_as_clients_read_it, is_inside_name, the_judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SAME_SCHEME = {"gcs": "gs", "s3a": "s3", "local": "file"}
_FILE = "file"
_SECRETS = ("key", "secret", "token", "user", "password", "credentials")
_BRACKETS = re.compile(r"//\[[0-9A-Fa-f:.]*\]")  # an address in which :: is not a separator
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class ReferencePolicy:
    """Resolves the references of one file, and decides whether they may be followed. Any thread."""

    def __init__(self, home: str, options: Mapping[str, str]) -> None:
        """`home` is the path or URL of the file itself."""
        self._home = home
        self._name = presentable(home) if is_url(home) else home
        self._allowed = allows_outside(options)
        self._options = {name: value for name, value in options.items() if name != ALLOW_OUTSIDE}
        self._folder = "" if is_url(home) else os.path.realpath(os.path.dirname(os.path.abspath(home)))
        self._checked: set[str] = set()  # checking costs as much as reading a plane
        self.hosts: tuple[str, ...] = ()

    def learn(self, locations: Iterable[str]) -> None:
        """Check all locations; raises `UntrustedReferenceError` if one is refused.

        Does not access the disk: symbolic links are checked when followed.
        """
        found = (host_of(self.place(written)) for written in locations)
        self.hosts = tuple(dict.fromkeys(host for host in found if host))

    def place(self, written: str) -> str:
        """The resolved path or URL; raises `UntrustedReferenceError` or `MetadataError`."""
        if not written or "\0" in written or "::" in _BRACKETS.sub("//host", written):
            raise MetadataError(f"{self._name} refers to {_said(written)}, which is not a file")
        scheme = scheme_of(written) if is_url(written) else ""
        scheme = _SAME_SCHEME.get(scheme, scheme)
        if scheme in WEB_SCHEMES:
            return self._on_server(f"{scheme}://{written.partition('://')[2]}")
        if scheme not in ("", _FILE):
            raise UntrustedReferenceError(
                f"{self._name} refers to {_said(written)}; only {', '.join(f'{s}://' for s in WEB_SCHEMES)} "
                "and files are followed"
            )
        path = written.partition("://")[2] if scheme else written
        if not self._folder:
            return self._beside(path, written)
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            raise MetadataError(
                f"{self._name} refers to {_said(written)}, which is not a valid file name"
            ) from None
        return os.path.normpath(os.path.join(self._folder, _local(path)))

    def _on_server(self, url: str) -> str:
        if not url.startswith("http"):
            return url
        try:
            host = host_as_clients_read_it(url)
        except MetadataError as error:
            raise MetadataError(
                f"{self._name} refers to {_said(url)}, which is not a valid address: {error}"
            ) from None
        if is_inside_name(host):
            self._refuse_inside(url, host)
        parts = urlsplit(url)
        login, at, place = parts.netloc.rpartition("@")
        port = re.search(r":[0-9]*\Z", place)
        # as it was checked, so that nobody interprets it differently
        return parts._replace(netloc=f"{login}{at}{host}{port[0] if port else ''}").geturl()

    def _refuse_inside(self, url: str, host: str) -> None:
        """Raise if a document on a public server refers to a host of this network; may resolve names."""
        if self._allowed or not self._home.startswith(("http:", "https:", "s3:", "gs:")):
            return
        if self._home.startswith("http") and the_judge.may_follow(self._home, url):
            return
        raise UntrustedReferenceError(
            f"{self._name} refers to {host}, a computer on your local network; not followed for safety "
            f"(to allow it, set the storage option {ALLOW_OUTSIDE}=yes)"
        )

    def _beside(self, path: str, written: str) -> str:
        """Resolve a relative name in a file on a server: relative to its own folder."""
        if written != path or path.startswith(("/", "\\")) or _DRIVE.match(path):
            raise UntrustedReferenceError(
                f"{self._name} refers to {_said(written)}, a file on this computer; not followed for safety"
            )
        folder = urlsplit(self._home)._replace(query="", fragment="").geturl().rpartition("/")[0]
        return f"{folder}/{safe_relative(path, self._name)}"

    def checked(self, place: str) -> str:
        """Check a place before reading: a file must be below the references' folder, also behind symlinks.

        Server names are resolved: one that leads into this network is refused like its addresses.
        """
        if self._allowed or place in self._checked:
            return place
        if is_url(place):
            if place.startswith("http") and the_judge.is_inside(host := host_as_clients_read_it(place)):
                self._refuse_inside(place, host)
            return place
        real = os.path.realpath(place)
        if not _is_below(real, self._folder):
            raise UntrustedReferenceError(
                f"{self._name} refers to {place}, outside its folder; not followed for safety "
                f"(to allow it, set the storage option {ALLOW_OUTSIDE}=yes)"
            )
        self._checked.add(place)
        return place

    def options_for(self, place: str) -> dict[str, str]:
        """The storage options for a place, with credentials only for the server they were given for."""
        if not place.startswith(("http:", "https:")):
            return self._options
        own = host_of(self._home) if is_url(self._home) else None
        is_meant = host_of(place) == own if own else len(self.hosts) == 1
        if is_meant:
            return self._options
        return {name: value for name, value in self._options.items() if name not in _SECRETS}


def host_of(place: str) -> str:
    """The server (or bucket) of a URL, for display; "" for a path."""
    if not is_url(place):
        return ""
    parts = urlsplit(place)
    host = parts.netloc.rpartition("@")[2]
    return host if parts.scheme in ("http", "https") else f"{parts.scheme}://{host}"


def _local(path: str) -> str:
    """A local path; ``file:///C:/x`` has one slash too many."""
    return path[1:] if re.match(r"/[A-Za-z]:[\\/]", path) else path


def _is_below(path: str, folder: str) -> bool:
    try:
        return os.path.commonpath([path, folder]) == folder
    except ValueError:  # on another drive
        return False


def _said(written: str) -> str:
    return ascii(presentable(written) if is_url(written) else written)[:200]
