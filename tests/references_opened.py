"""References that tests write and open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.references.source import ReferencesSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ndviewer_light.sources import Source


VOLUME = (5, 24, 40)


def opening_references() -> Iterator[Any]:
    """Opens references; closes them when the test is over."""
    sources: list[Source] = []

    def open_references(path: str, **options: str) -> Source:
        sources.append(ReferencesSource.open(path, options))
        return sources[-1]

    yield open_references
    for source in sources:
        source.close()


def volume(source: Source, level: int = 0) -> np.ndarray:
    """All planes of a source, (T, C, Z, Y, X)."""
    info = source.info
    return np.array(
        [
            [
                [source.read_plane(PlaneKey(t, 0, c, z), level) for z in range(info.n_z)]
                for c in range(len(info.channels))
            ]
            for t in range(info.n_t)
        ]
    )


def ngff_attributes() -> dict[str, Any]:
    """Two levels, with units and channels."""
    axes = [
        {"name": "c", "type": "channel"},
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    datasets = [
        {
            "path": str(i),
            "coordinateTransformations": [{"type": "scale", "scale": [1, 2.0, f * 0.5, f * 0.5]}],
        }
        for i, f in enumerate((1, 2))
    ]
    return {
        "multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]},
    }
