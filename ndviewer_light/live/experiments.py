"""Which folder is the experiment that a store of Squid's belongs to."""

from __future__ import annotations

import os

from ..metadata.squid import PLATES


def experiment_folder(store: str) -> str | None:
    """Return the experiment folder of an announced store: the parent of its plate or its ``zarr`` folder."""
    path = os.path.abspath(os.path.expanduser(store))
    while (parent := os.path.dirname(path)) != path:
        name = os.path.basename(path)
        if name in PLATES or (name == "zarr" and len(os.path.relpath(store, path).split(os.sep)) == 2):
            return parent
        path = parent
    return None
