"""Images that tests write and open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ndviewer_light.sources.images.source import ImagesSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HEIGHT, WIDTH = 20, 32


def picture(*index: int, dtype: Any = np.uint8, colours: int = 0) -> np.ndarray:
    """A picture that differs for every index."""
    shape = (HEIGHT, WIDTH, colours) if colours else (HEIGHT, WIDTH)
    rng = np.random.default_rng((7, *index))
    return rng.integers(1, 200, shape).astype(dtype)


def write(path: Path, pixels: np.ndarray) -> None:
    """Write a picture; its format follows from its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        tifffile.imwrite(path, pixels, metadata=None)
        return
    import PIL.Image

    PIL.Image.fromarray(pixels).save(path)


def opening_images() -> Iterator[Any]:
    """Opens images; closes them when the test is over."""
    sources: list[ImagesSource] = []

    def open_images(path: Any, **options: str) -> ImagesSource:
        sources.append(ImagesSource.open(str(path), options))
        return sources[-1]

    yield open_images
    for source in sources:
        source.close()


TWO, THREE = (0, 1), (0, 1, 2)
