"""``--scheduler``: a dask cluster that measures planes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def measuring_on(address: str | None) -> Iterator[None]:
    """Measures on this cluster within; on threads of this process for None. Raises `OSError`."""
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise OSError("--scheduler needs dask.distributed: pip install distributed") from error
    try:
        client = Client(address, timeout=10, set_as_default=True)
    except (OSError, ValueError) as error:
        raise OSError(f"--scheduler {address}: cannot be reached ({error})") from error
    with client:
        yield
