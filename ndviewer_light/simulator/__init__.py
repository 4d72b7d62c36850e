"""A simulated microscope: writes an acquisition the way Squid does, and shows it live.

Uses only the viewer's public names. Importing it imports nothing heavier than numpy; the process that
shows a run never imports the libraries that write it.
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
