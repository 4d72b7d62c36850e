"""What goes wrong between a microscope, its writer and a viewer, as it does in Squid, when asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .run import TIFF_DTYPES

if TYPE_CHECKING:
    from .run import Run


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a run; nothing, unless said. Times in s.

    Of the writer: files are whole `late_files` after they were announced, half of each after half that
    time (TIFF layouts: stores are notified when they are written); or nothing is saved at all. The end is
    written into the stores and the folder `complete_after` the run has ended, or never; an `aborted` run
    says that it was.

    Of the host, while it announces stores: notifications come one per move to the next field of view, first
    in, first out, and all others in a burst at the end; or never. It may announce another layout
    than is written, and another (height, width).
    """

    late_files: float = 0.0
    skip_saving: bool = False
    complete_after: float = 0.0
    never_complete: bool = False
    aborted: bool = False
    lagging_notifications: bool = False
    no_notifications: bool = False
    announced_layout: str | None = None
    announced_size: tuple[int, int] | None = None

    def check(self, run: Run) -> None:
        """Raise `ValueError` where a fault cannot happen to `run`."""
        if self.late_files and run.is_zarr:
            raise ValueError(f"late files: layout {run.layout} is only spoken of when it is written")
        announced = self.announced(run)
        if (self.lagging_notifications or self.no_notifications) and not announced.is_zarr:
            raise ValueError("only notifications of stores lag or fail: files are named as they are taken")
        if (self.never_complete or self.aborted) and self.complete_after:
            raise ValueError("a run that is never complete cannot be so later")

    def announced(self, run: Run) -> Run:
        """The run as the host announces it."""
        if self.announced_layout is None and self.announced_size is None:
            return run
        height, width = self.announced_size or (run.height, run.width)
        return replace(
            run,
            layout=self.announced_layout or run.layout,
            height=height,
            width=width,
            dtype=run.dtype if run.dtype in TIFF_DTYPES else "uint16",
            compression="none",  # how stores are built is not announced
            chunks="full",
        )


NO_FAULTS = Faults()


def mistaken_layout(run: Run) -> str:
    """The layout that Squid announces where it is mistaken about the one it writes.

    Its window takes regions that are named like wells for a plate, its writer asks how they were chosen; and
    the window follows a change of the file format at once, the writer after the next start.
    """
    looks_like_plate = all(re.fullmatch(r"[A-Z]+\d+", region) for region in run.regions)
    announced = "hcs" if looks_like_plate and run.layout != "hcs" else "per_fov"
    return announced if announced != run.layout else "images"
