"""Faults between a microscope, its writer and the viewer, as seen with Squid; simulated on request."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .run import TIFF_DTYPES

if TYPE_CHECKING:
    from .run import Run


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a run; nothing by default. Times in s.

    The writer completes files `late_files` after they were announced, half of each after half that time (TIFF
    layouts only: stores are notified once written), or saves nothing at all. It marks the stores and the
    folder complete `complete_after` the end of the run, or never; an `aborted` run is marked as aborted.

    The host, when it announces stores, sends one notification per move to the next field of view, first in,
    first out, and all others in a burst at the end; or none. It may announce a different layout than is
    written, or a different (height, width).
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
        """Raise `ValueError` for faults that cannot happen to `run`."""
        if self.late_files and run.is_zarr:
            raise ValueError(
                f"late files: not possible in layout {run.layout}, whose planes are notified once written"
            )
        announced = self.announced(run)
        if (self.lagging_notifications or self.no_notifications) and not announced.is_zarr:
            raise ValueError(
                "notifications can only lag or fail in Zarr layouts: image files are registered as they are "
                "acquired"
            )
        if (self.never_complete or self.aborted) and self.complete_after:
            raise ValueError("a run cannot be both never complete (or aborted) and complete after a delay")

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
            compression="none",  # compression and chunks are not announced
            chunks="full",
        )


NO_FAULTS = Faults()


def mistaken_layout(run: Run) -> str:
    """The layout that Squid announces by mistake instead of the one it writes.

    Its window takes regions named like wells for a plate, while its writer checks how they were selected; and
    the window applies a change of the file format immediately, the writer only after a restart.
    """
    looks_like_plate = all(re.fullmatch(r"[A-Z]+\d+", region) for region in run.regions)
    announced = "hcs" if looks_like_plate and run.layout != "hcs" else "per_fov"
    return announced if announced != run.layout else "images"
