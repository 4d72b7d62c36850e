"""TIFF and other image files as Squid writes them: one per plane, or one per stack with a page per plane."""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .experiment import stage_mm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from .run import Run, WrittenPlane


class ImageWriter:
    """One single-page file per plane, without a pixel size; written in place and not atomically."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def begin(self, plane: WrittenPlane, pixels: NDArray[Any]) -> Callable[[], None]:
        """Write the first half of the file."""
        path = self._run.image_path(plane)
        content = _encoded(path, pixels)
        half = len(content) // 2
        path.write_bytes(content[:half])

        def finish() -> None:
            with path.open("ab") as file:
                file.write(content[half:])

        return finish

    def complete(self, aborted: bool) -> None:
        """Nothing in the files says so."""


def _encoded(path: Path, pixels: NDArray[Any]) -> bytes:
    """The complete file as written by imageio, which Squid uses."""
    file = BytesIO()
    if path.suffix in (".tiff", ".tif"):
        import tifffile

        tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    else:
        from PIL import Image

        Image.fromarray(pixels).save(file, path.suffix[1:])
    return file.getvalue()


class StackWriter:
    """One file per FOV and time point; each plane is appended as a page whose tags identify it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def begin(self, plane: WrittenPlane, pixels: NDArray[Any]) -> Callable[[], None]:
        """Write nothing yet: a page is added to the file in one step."""
        return lambda: self._append(plane, pixels)

    def _append(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        import tifffile

        tags = _page_tags(self._run, plane)
        page_name = (285, "s", 0, plane.channel, False)
        with tifffile.TiffWriter(self._run.stack_path(plane), append=True) as writer:
            # both, as Squid does: the second description holds the shape
            writer.write(
                pixels,
                metadata=tags,
                description=json.dumps(tags),
                extratags=[page_name],
                photometric="minisblack",
            )

    def complete(self, aborted: bool) -> None:
        """Nothing in the files says so."""


def _page_tags(run: Run, plane: WrittenPlane) -> dict[str, Any]:
    x, y, z = stage_mm(run, plane)
    return {
        "z_level": plane.z,
        "channel": plane.channel,
        "channel_index": run.channels.index(plane.channel),
        "region_id": run.regions[plane.region_idx],
        "fov": plane.local_fov,
        "x_mm": x,
        "y_mm": y,
        "z_mm": z,
        "time": time.strftime("%Y-%m-%d %H:%M:%S.000000"),
    }
