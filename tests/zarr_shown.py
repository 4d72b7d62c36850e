"""What OME-Zarr stores of the tests must show, plane by plane."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import stores

from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo
    from ndviewer_light.sources.zarr.source import ZarrSource


def keys(info: DatasetInfo) -> Iterator[PlaneKey]:
    sizes = info.sizes
    yield from itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz")))


def assert_shows_what_was_written(source: ZarrSource, p_of: dict[str, int] | None = None) -> None:
    """Every plane has the pixels of its own indices; `p_of` says which p a position was written with."""
    for key in keys(source.info):
        label = source.info.positions[key.p].label
        expected = stores.plane(**key._replace(p=p_of[label] if p_of else key.p)._asdict())
        np.testing.assert_array_equal(source.read_plane(key), expected, err_msg=f"{label} {key}")


def edit(file: Path, **change: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
