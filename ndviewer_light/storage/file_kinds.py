"""The type of a file by its first bytes, for messages: "a web page" is more helpful than bytes."""

from __future__ import annotations

_BEGINNINGS = (
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "a TIFF file"),
    ((b"\x89PNG\r\n\x1a\n",), "a PNG image"),
    ((b"\xff\xd8\xff",), "a JPEG image"),
    ((b"BM",), "a BMP image"),
    ((b"GIF8",), "a GIF image"),
    ((b"PK\3\4", b"PK\5\6"), "a zip archive"),
    ((b"\x1f\x8b",), "a gzip-compressed file"),
    ((b"\x89HDF\r\n\x1a\n",), "an HDF5 file"),
    ((b"\xda\xce\xbe\x0a",), "an ND2 file"),
    ((b"%PDF",), "a PDF document"),
    ((b"<!doctype html", b"<html"), "a web page saved in its place"),
    ((b"<?xml", b"<ome"), "XML"),
    ((b"version https://git-lfs",), "a Git LFS pointer, whose file was not downloaded"),
    ((b"{", b"["), "JSON"),
)


def looks_like(head: bytes) -> str:
    """The likely type of a file that begins with `head`, as the end of a sentence; "" if unknown."""
    if head and not any(head):
        return ": it begins with zeros"
    start = head.lstrip()[:64].lower()
    for beginnings, kind in _BEGINNINGS:
        if any(head.startswith(each) or start.startswith(each.lower()) for each in beginnings):
            return f": it looks like {kind}"
    return ""
