"""TIFF as different programs write it, on disk and from a server: the right facts and pixels from both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiff_dialects import DIALECTS, Expected, Written

from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ndviewer_light.sources.source import Source

PUBLIC = Path("/work/shared/data/public/tiff")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    pytest.importorskip("obstore")
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="module")
def written(server: RangeServer) -> dict[str, Written]:
    return {name: write(server.folder / name) for name, write in DIALECTS.items()}


@contextlib.contextmanager
def opened(path: Any) -> Iterator[Source]:
    source = open_source(str(path))
    try:
        yield source
    finally:
        source.close()


def planes_of(source: Source, p: int) -> np.ndarray:
    """(T, C, Z, Y, X) of the channels that a position has."""
    image = source.image(p)
    info = source.info
    channels = info.channels_of(image)
    return np.stack(
        [
            np.stack(
                [
                    np.stack([source.read_plane(PlaneKey(t, p, c, z)) for z in range(image.n_z)])
                    for c in channels
                ]
            )
            for t in range(image.n_t)
        ]
    )


def assert_right(source: Source, expected: Expected) -> None:
    info = source.info
    assert len(info.positions) == len(expected.pixels), info.positions
    for p, pixels in enumerate(expected.pixels):
        found = planes_of(source, p)
        np.testing.assert_array_equal(found, pixels, err_msg=f"position {p}")
        assert found.dtype == pixels.dtype == source.image(p).dtype
    if expected.names:
        assert [
            at.name if ":" not in want else at.label
            for at, want in zip(info.positions, expected.names, strict=True)
        ] == expected.names
    if expected.channels is not None:
        assert [channel.name for channel in info.channels] == expected.channels
    if expected.colours is not None:
        assert [channel.color for channel in info.channels] == expected.colours
    steps = {"x": info.pixel_size_x_um, "y": info.pixel_size_y_um, "z": info.z_step_um, "t": info.time_step_s}
    for axis, step in expected.steps.items():
        assert steps[axis] == (None if step is None else pytest.approx(step)), axis
    assert expected.said in " ".join(info.warnings)
    assert bool(info.warnings) == bool(expected.said), info.warnings


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(written: dict[str, Written], server: RangeServer, name: str) -> None:
    for path in written[name].paths:
        with opened(path) as source:
            assert_right(source, written[name].expected)
        if written[name].serve and path.is_file():
            with opened(server.url(str(path.relative_to(server.folder)))) as source:
                assert_right(source, written[name].expected)
