"""ImageDescriptions of which a part is missing, as their writer was killed, or the file was cut off.

tifffile's ``tiffcomment``, and whoever uses it (Squid, when a file is complete), first tells where and how
long a longer description will be, then writes it, there or in place of the one before, and erases that one
last. So the one before is there still, or the beginning of the new one. Source:
``tifffile.TiffTag.overwrite``.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from .ifd_chain import MAX_TAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tifffile import TiffPage

    Read = Callable[[int, int], bytes]

_DESCRIPTION, _ASCII = 270, 2
_END = "OME>"
_MAX_LENGTH = 64 * 1024**2
_MAX_BEFORE = 1024**2
"""How far behind the tags of a page an earlier description is looked for."""
_WHOLE = re.compile(rb"<\?xml[^>]*>\s*(?:<!--.*?-->\s*)?<(?:\w+:)?OME[\s>].*?</(?:\w+:)?OME>", re.DOTALL)


def description_of(page: TiffPage, read: Read, size: int) -> str:
    """The ImageDescription of a page of a file of `size` bytes; as much of it as there is.

    Of OME-XML that ends early, the whole one that it was to replace, if that is still there.
    `read(offset, n)` reads bytes.
    """
    text = page.description
    if text and not _ends_early(text):
        return text
    if not text:
        found = _stored(page, read, size)
        if found is None:
            return ""
        text = found.partition(b"\0")[0].decode("utf-8", "ignore")
    return text if text.rstrip()[-4:] == _END else _before(page, read) or text


def _ends_early(text: str) -> bool:
    """Whether a description is OME-XML that has no end."""
    return text.rstrip()[-4:] != _END and "<OME" in text[:1024]


def _stored(page: TiffPage, read: Read, size: int) -> bytes | None:
    """What is in the file of a description that is said to go on beyond its end; None without one."""
    tiff = page.parent.tiff
    if tiff.is_ndpi:  # its tags are in two places
        return None
    head = read(page.offset, tiff.tagnosize)
    if len(head) < tiff.tagnosize:
        return None
    (n,) = struct.unpack(tiff.tagnoformat, head)
    tags = read(page.offset + tiff.tagnosize, min(n, MAX_TAGS) * tiff.tagsize)
    for at in range(0, len(tags) - tiff.tagsize + 1, tiff.tagsize):
        code, dtype = struct.unpack_from(tiff.tagformat1, tags, at)
        if (code, dtype) == (_DESCRIPTION, _ASCII):
            count, value = struct.unpack_from(tiff.tagformat2, tags, at + 4)
            begin = int.from_bytes(value, "little" if tiff.byteorder == "<" else "big")
            if count <= tiff.tagoffsetthreshold or begin + count <= size:
                return None  # the library has read it
            return read(begin, min(size - begin, _MAX_LENGTH)) if begin < size else b""
    return None


def _before(page: TiffPage, read: Read) -> str:
    """Whole OME-XML between the tags of a page and its pixels, where writers put it; "" without any."""
    begin, first = page.offset, min(page.dataoffsets, default=0)
    n = first - begin if first > begin else _MAX_BEFORE
    found = _WHOLE.search(read(begin, min(n, _MAX_BEFORE)))
    return "" if found is None else found[0].decode("utf-8", "replace")
