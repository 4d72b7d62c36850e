"""Files whose image has another size than those of their position: nothing can be drawn of both together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..storage.presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import ImageInfo


def check_size(shape: tuple[int, ...], image: ImageInfo, path: Callable[[], str]) -> None:
    """Raise `UnsupportedError`, naming the file at `path()`, unless an image has the size of its position."""
    if shape[:2] == (image.height, image.width):
        return
    raise UnsupportedError(
        f"{presentable(path())} has {shape[1]} × {shape[0]} pixels, but others of its series have "
        f"{image.width} × {image.height}: open it separately, or move it out of the folder"
    )
