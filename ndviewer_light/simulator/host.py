"""What a host tells a viewer of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run, WrittenPlane


def announce_run(viewer: Any, run: Run) -> None:
    """What the host says to a `LightweightViewer` before the first plane; GUI thread."""
    channels, size = list(run.channels), (run.height, run.width)
    if run.layout == "6d":
        viewer.start_zarr_acquisition_6d(
            run.region_paths, channels, run.n_z, list(run.fovs), *size, list(run.regions)
        )
    else:
        viewer.start_zarr_acquisition(run.fov_paths, channels, run.n_z, run.fov_labels, *size)


def notify_plane(viewer: Any, run: Run, plane: WrittenPlane) -> None:
    """What the host says to a `LightweightViewer` after each plane; any thread."""
    if run.layout == "6d":
        viewer.notify_zarr_frame(plane.t, plane.local_fov, plane.z, plane.channel, plane.region_idx)
    else:
        viewer.notify_zarr_frame(plane.t, plane.fov, plane.z, plane.channel)
