"""ND2 files from before 2010: JPEG 2000 in boxes, read by the nd2 library one frame at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ...errors import (
    CorruptDataError,
    DatasetError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ...model import DatasetInfo
from ...storage.memory_cache import MemoryCache, nbytes
from . import metadata
from .frames import (
    KEPT_BYTES,
    Contents,
    FrameLayout,
    judged_layout,
)

if TYPE_CHECKING:
    from nd2 import ND2File


def legacy_contents(parsed: ND2File, where: str) -> Contents:
    """The contents of the file; its frames are read through `parsed`, which must stay open.

    Raises `UnsupportedError` without imagecodecs.
    """
    try:
        import imagecodecs  # noqa: F401  here, not at the first plane
    except ImportError as error:
        raise UnsupportedError(
            f"{where} is an ND2 file from before 2010, which needs an additional package: pip install "
            "imagecodecs"
        ) from error
    attributes, experiment = parsed.attributes, parsed.experiment
    loops = metadata.loops(experiment, where)
    layout = _layout(parsed, where)
    said = parsed.metadata.channels or []
    volume = said[0].volume if said else None
    pixel_um = volume.axesCalibration[0] if volume is not None and volume.axesCalibrated[0] else None
    steps = metadata.time_steps_s(experiment)
    stored = np.arange(attributes.sequenceCount)
    info = DatasetInfo(
        format="nd2",
        positions=metadata.positions(experiment, (None, None, None), where),
        channels=metadata.channels(
            metadata.library_channels(said),
            metadata.component_counts(attributes.channelCount or 1, layout.components, where),
            layout.dtype,
            where,
        ),
        n_t=loops.size("t"),
        n_z=loops.size("z"),
        height=layout.height,
        width=layout.width,
        dtype=layout.dtype,
        pixel_size_y_um=pixel_um,
        pixel_size_x_um=pixel_um,
        z_step_um=metadata.z_step_um(experiment),
        time_step_s=(steps.pop() or None) if len(steps) == 1 else None,
        warnings=metadata.notes(loops, stored),
    )
    return Contents(info, loops, LegacyFrames(parsed, layout, len(stored), where))


def _layout(parsed: ND2File, where: str) -> FrameLayout:
    """The pixel layout of a decoded frame; the library reports 8 bits for 12."""
    attributes = parsed.attributes
    n_bytes = 1 if attributes.bitsPerComponentInMemory <= 8 else 2
    width, components = attributes.widthPx or 0, attributes.componentCount
    row_bytes = width * components * n_bytes
    layout = FrameLayout(attributes.heightPx, width, components, row_bytes, np.dtype(f"u{n_bytes}"), True)
    return judged_layout(layout, where)


class LegacyFrames:
    """Frames decoded by the library, through one handle: any thread, one at a time."""

    def __init__(self, parsed: ND2File, layout: FrameLayout, n_stored: int, where: str) -> None:
        self._parsed = parsed
        self._layout = layout
        self._n_stored = n_stored
        self._where = where
        self._lock = threading.Lock()  # held while reading: the library's handle is for one thread only
        self._kept: MemoryCache[int, np.ndarray] = MemoryCache(KEPT_BYTES, nbytes)

    def holds(self, frame: int) -> bool:
        """Whether the file contains this frame."""
        return frame < self._n_stored

    def plane(self, frame: int, component: int) -> np.ndarray:
        """The pixels (Y, X) of one component of a frame."""
        if not self.holds(frame):
            error = PlaneNotStoredError(f"{self._where} does not contain frame {frame}: it was not acquired")
            error.plane_shape = (self._layout.height, self._layout.width)
            raise error
        kept = self._kept.get([frame], lambda _: [(frame, self._read(frame))])
        return np.ascontiguousarray(kept[frame][component])

    def forget(self) -> None:
        """Release cached frames."""
        self._kept.clear()

    def _read(self, frame: int) -> np.ndarray:
        """The pixels (components, Y, X) of a frame."""
        layout, n_channels = self._layout, self._parsed.attributes.channelCount or 1
        try:
            with self._lock:
                said = self._parsed.read_frame(frame)
            shape = (n_channels, layout.height, layout.width, -1)
            pixels: np.ndarray = (
                said.reshape(shape).transpose(0, 3, 1, 2).reshape(-1, layout.height, layout.width)
            )
            if pixels.shape[0] != layout.components or pixels.dtype != layout.dtype:
                raise ValueError(f"{pixels.shape} {pixels.dtype} where {layout.dtype} is expected")
        except DatasetError:
            raise
        except Exception as error:  # any exception the library may raise for damaged bytes
            raise CorruptDataError(
                f"{self._where} is damaged: frame {frame} cannot be decoded ({error})"
            ) from error
        return pixels
