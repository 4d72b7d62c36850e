"""A microscope that is not there: writes an acquisition as Squid does, and shows it live.

Knows nothing of the viewer but its public names. Importing it imports numpy only; the process that
shows a run never imports what it is written with.
"""

from __future__ import annotations

from .burnt_text import read_burnt_text
from .command import main
from .faults import Faults
from .host import (
    Host,
    announce_run,
    end_run,
    notify_plane,
)
from .pixels import plane_pixels
from .run import (
    COMPRESSIONS,
    DTYPES,
    LAYOUTS,
    TIFF_LAYOUTS,
    ZARR_LAYOUTS,
    Run,
    WrittenPlane,
)
from .view import view_run
from .writing import write_run

__all__ = [
    "COMPRESSIONS",
    "DTYPES",
    "LAYOUTS",
    "TIFF_LAYOUTS",
    "ZARR_LAYOUTS",
    "Faults",
    "Host",
    "Run",
    "WrittenPlane",
    "announce_run",
    "end_run",
    "main",
    "notify_plane",
    "plane_pixels",
    "read_burnt_text",
    "view_run",
    "write_run",
]
