"""Opens the bytes of one file, local or remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LimitExceededError
from ..model import how_many
from .bytes import LocalBytes, is_url
from .limits import MAX_CHUNK_BYTES
from .offered import claimed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bytes import Bytes


def open_bytes(path: str, options: Mapping[str, str] | None = None) -> Bytes:
    """The bytes at a path or URL; of a URL that was just looked at (see `offered`), those.

    `options` are access options ("endpoint", "anonymous", …). Raises `DatasetNotFoundError`,
    `DatasetPermissionError` or another `DatasetError`.
    """
    if not is_url(path):
        return LocalBytes(path)
    if (file := claimed(path, options)) is not None:
        return file
    from .remote.remote_bytes import open_remote  # most files are local

    return open_remote(path, options)


def read_whole(path: str, options: Mapping[str, str] | None = None) -> bytes:
    """All bytes at a path or URL, in one request unless they are many. Raises like `open_bytes`."""
    if is_url(path):
        from .remote.remote_bytes import open_remote

        file = open_remote(path, options, whole=True)
    else:
        file = LocalBytes(path)
    try:
        if file.size > MAX_CHUNK_BYTES:
            raise LimitExceededError(
                f"{file.name} is too large to be read whole: {how_many(file.size, 'byte')}"
            )
        return file.read(0, file.size)
    finally:
        file.close()
