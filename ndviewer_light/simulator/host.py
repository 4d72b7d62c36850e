"""A simulated host: what it tells the viewer about a run, and when."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .faults import NO_FAULTS

if TYPE_CHECKING:
    from .faults import Faults
    from .run import Run, WrittenPlane


def announce_run(viewer: Any, run: Run) -> None:
    """The host's call to a `LightweightViewer` before the first plane; GUI thread."""
    channels, size = list(run.channels), (run.height, run.width)
    if not run.is_zarr:
        viewer.start_acquisition(channels, run.n_z, *size, run.fov_labels)
    elif run.layout == "6d":
        viewer.start_zarr_acquisition_6d(
            run.region_paths, channels, run.n_z, list(run.fovs), *size, list(run.regions)
        )
    else:
        viewer.start_zarr_acquisition(run.fov_paths, channels, run.n_z, run.fov_labels, *size)


def notify_plane(viewer: Any, run: Run, plane: WrittenPlane) -> None:
    """The host's call to a `LightweightViewer` for each plane; any thread.

    In every TIFF layout it names one file per plane, although only layout "images" has such files.
    """
    if not run.is_zarr:
        viewer.register_image(plane.t, plane.fov, plane.z, plane.channel, str(run.image_path(plane)))
    elif run.layout == "6d":
        viewer.notify_zarr_frame(plane.t, plane.local_fov, plane.z, plane.channel, plane.region_idx)
    else:
        viewer.notify_zarr_frame(plane.t, plane.fov, plane.z, plane.channel)


def end_run(viewer: Any, run: Run) -> None:
    """The host's calls to a `LightweightViewer` after the last plane."""
    if run.is_zarr:
        viewer.end_zarr_acquisition()
    viewer.end_acquisition()


class Host:
    """Announces `run` to `viewer` and notifies it of planes, with the given `faults`.

    Call `announce` on the GUI thread. Call `pass_on` and `end` from one other thread: `pass_on` as soon as a
    plane has been reported, `end` after the last one.
    """

    def __init__(self, viewer: Any, run: Run, faults: Faults = NO_FAULTS) -> None:
        faults.check(run)
        self._viewer, self._announced, self._faults = viewer, faults.announced(run), faults
        # Squid registers image files itself; for stores it relies on what their writer reports
        self._notifies = not (self._announced.is_zarr and (faults.no_notifications or not run.is_zarr))
        self._results: deque[WrittenPlane] = deque()
        self._place: tuple[int, int] | None = None

    def announce(self) -> None:
        """Start the run."""
        announce_run(self._viewer, self._announced)

    def pass_on(self, plane: WrittenPlane) -> None:
        """Report a plane that has been acquired or written."""
        if not self._faults.lagging_notifications:
            self._notify(plane)
            return
        place = (plane.t, plane.fov)
        if place != self._place and self._results:
            self._notify(self._results.popleft())
        self._place = place
        self._results.append(plane)

    def end(self) -> None:
        """Send the notifications that are still held back, and end the run."""
        while self._results:
            self._notify(self._results.popleft())
        end_run(self._viewer, self._announced)

    def _notify(self, plane: WrittenPlane) -> None:
        if self._notifies:
            notify_plane(self._viewer, self._announced, plane)
