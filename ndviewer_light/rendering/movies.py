"""Pictures one after the other as a film: GIF by Pillow, MP4 by PyAV where it is installed.

MP4 is encoded as frames come, so memory does not grow with their number; of a GIF, Pillow holds all frames
until it is written, in 8 bits a pixel. MP4 is H.264; PyAV's wheels bundle FFmpeg with x264 and x265, which
are under the GPL (PyAV itself under the BSD licence): that is why it is not required.
"""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnsupportedError
from ..storage.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL import Image

FILM_ENDINGS = (".gif", ".mp4")


def write_movie(path: str, frames: Iterable[Image.Image], fps: float) -> int:
    """Write frames of equal size (RGB) to a .gif or .mp4 file, and return how many there were.

    The file is complete or as it was before. Raises `UnsupportedError` for MP4 without PyAV, `ValueError`
    for no frames or another ending, `NotWrittenError`, and what the frames raise.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in FILM_ENDINGS:
        raise ValueError(f"films are written as {' or '.join(FILM_ENDINGS)}, not {ending!r}")
    with whole_file(path) as part:
        return (_write_gif if ending == ".gif" else _write_mp4)(part, iter(frames), fps)


def _write_gif(path: str, frames: Iterator[Image.Image], fps: float) -> int:
    first = next(frames, None)
    if first is None:
        raise ValueError("a film needs at least one frame")
    n = 1

    def rest() -> Iterator[Image.Image]:
        nonlocal n
        for frame in frames:
            n += 1
            yield frame

    first.save(path, save_all=True, append_images=rest(), duration=round(1000 / fps), loop=0)
    return n


def _write_mp4(path: str, frames: Iterator[Image.Image], fps: float) -> int:
    try:
        import av
    except ImportError:
        raise UnsupportedError(
            "writing MP4 needs PyAV: pip install 'ndviewer_light[movies]'; GIF needs nothing"
        ) from None
    n = 0
    with av.open(path, "w") as film:
        stream = None
        for frame in frames:
            even = _even(np.asarray(frame.convert("RGB")))
            if stream is None:
                stream = film.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "18"}
            film.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            n += 1
        if stream is None:
            raise ValueError("a film needs at least one frame")
        film.mux(stream.encode())
    return n


def _even(picture: np.ndarray) -> np.ndarray:
    """H.264 has colours for squares of 2 × 2 pixels: an odd edge is repeated."""
    down, across = picture.shape[0] % 2, picture.shape[1] % 2
    return np.pad(picture, ((0, down), (0, across), (0, 0)), "edge") if down or across else picture
