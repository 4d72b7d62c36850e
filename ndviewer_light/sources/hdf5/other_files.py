"""Other files that an HDF5 file names: which of them may be read, and where they are.

A file may come from anyone, and could name any file of this computer: nothing is read before a person has
allowed it with the storage option "allow_outside". A file on a server can name only files on that server.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ...errors import MetadataError, UntrustedReferenceError
from ...storage.bytes import is_url
from ...storage.limits import safe_relative
from ...storage.local_files import ALLOW_OUTSIDE, allows_outside
from ...storage.presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SHOWN = 200
ALLOW = (
    f"If you trust the file, allow it: --storage-option {ALLOW_OUTSIDE}=yes, or "
    f"storage_options={{'{ALLOW_OUTSIDE}': 'yes'}} in a script"
)


class OtherFiles:
    """The other files that one file names. Any thread."""

    def __init__(self, home: str, options: Mapping[str, str] | None) -> None:
        """`home` is the path or URL of the file that names them."""
        self.home = home
        self.options = options
        self.allowed = allows_outside(options)

    def refusal(self, where: str, other: str) -> UntrustedReferenceError:
        """The error for what is in a file named `other`; `where` begins its sentence."""
        return UntrustedReferenceError(
            f"{where} is in another file, {other[:_LONGEST_SHOWN]!a}, which is not followed for safety. "
            f"{ALLOW}"
        )

    def place(self, other: str, where: str) -> str:
        """The path or URL of a file named `other`, relative to this one.

        A file moved with this one is found beside it. Raises `UntrustedReferenceError` for one not allowed.
        """
        if not self.allowed:
            raise self.refusal(where, other)
        if not other or "\0" in other or "::" in other:
            raise MetadataError(f"{where} refers to {other[:_LONGEST_SHOWN]!a}, which is not a file")
        if is_url(self.home):
            return self._on_server(other, where)
        if is_url(other):
            raise UntrustedReferenceError(
                f"{where} is at {presentable(other)}, on a server: not followed. Open it there instead"
            )
        folder = os.path.dirname(self.home)
        path = os.path.normpath(os.path.join(folder, other.replace("\\", "/")))
        beside = os.path.join(folder, re.split(r"[\\/]", other)[-1])
        return beside if not os.path.exists(path) and os.path.exists(beside) else path

    def _on_server(self, other: str, where: str) -> str:
        if is_url(other) or other.startswith(("/", "\\")):
            raise UntrustedReferenceError(
                f"{where} is in {other[:_LONGEST_SHOWN]!a}, which is not in the folder of "
                f"{presentable(self.home)}: not followed"
            )
        parts = urlsplit(self.home)
        folder = parts.path.rpartition("/")[0]
        return parts._replace(
            path=f"{folder}/{quote(safe_relative(other, where))}", query="", fragment=""
        ).geturl()
