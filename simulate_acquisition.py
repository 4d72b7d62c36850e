"""A simulated microscope: writes an acquisition the way Squid does, and shows it live.

``python simulate_acquisition.py`` opens the viewer on a small plate that a second process is
writing; with ``--no-view`` it only writes. Scripts and tests use `Run`, `write_run`, `plane_pixels` and
`read_burnt_text`. The code is in `ndviewer_light.simulator`.
"""

from __future__ import annotations

import sys

from ndviewer_light.simulator import (
    COMPRESSIONS,
    DTYPES,
    LAYOUTS,
    TIFF_LAYOUTS,
    ZARR_LAYOUTS,
    Faults,
    Host,
    Run,
    WrittenPlane,
    announce_run,
    end_run,
    main,
    notify_plane,
    plane_pixels,
    read_burnt_text,
    view_run,
    write_run,
)

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

if __name__ == "__main__":
    sys.exit(main())
