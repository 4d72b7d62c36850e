"""Small streams that inflate to much more than anybody has."""

from __future__ import annotations

import functools
import zlib

_BLOCK = bytes(10**6)


@functools.cache
def zeros_deflated(n: int) -> bytes:
    """What `zlib.compress` makes of so many zeros, or nearly: the same block again and again, packed once."""
    packer = zlib.compressobj(9)
    begin = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks, rest = divmod(n, len(_BLOCK))
    if not blocks:
        return zlib.compress(bytes(n), 9)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    end = packer.compress(bytes(rest)) + packer.flush()
    checksum = (n % 65521 << 16) + 1  # Adler-32 of n zeros
    return begin + again * (blocks - 1) + end + checksum.to_bytes(4, "big")
