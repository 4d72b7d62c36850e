"""Opens the bytes of one file, local or remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bytes import LocalBytes, is_url
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
