"""The beginning of a file, by which its format is recognised whatever it is called."""

from __future__ import annotations

from typing import NamedTuple

BEGINNING_BYTES = 64 * 1024


class Beginning(NamedTuple):
    """The first bytes of a file, or all of a shorter one, and what its server calls it ("" if nothing)."""

    head: bytes
    content_type: str = ""

    def starts_with(self, *signatures: bytes) -> bool:
        """Whether the file begins with one of these."""
        return self.head.startswith(signatures)

    @property
    def text(self) -> bytes:
        """The beginning of a text, without a byte order mark and white space; other files as they are."""
        return self.head.removeprefix(b"\xef\xbb\xbf").lstrip()
