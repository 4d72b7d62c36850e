"""Whoever writes, by path alone: every plane appears on the canvas, and none that is wrong or fill value.

Each writer is a process of its own; see `live_writers` and `live_judge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live_judge import judge
from tests.live_writers.registry import WRITERS

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.gui.viewer import LightweightViewer

pytestmark = pytest.mark.gl

PLANES = 8
RATE = 10.0  # planes/s
KNOWN: dict[str, str] = {}
REFRESH_S: float | None = None  # how often the judge calls `refresh`: never, the viewer looks by itself


def path_of(name: str, folder: Path) -> Path:
    """Where a writer writes to; skips the test if it is not installed."""
    entry = WRITERS[name]
    if entry.missing:
        pytest.skip(f"{name} needs the package {entry.missing}, which is not installed")
    return folder / f"run{entry.suffix}"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.xfail(reason=KNOWN[name])] if name in KNOWN else [])
        for name in WRITERS
    ],
)
def test_every_plane_appears_and_none_is_wrong(viewer: LightweightViewer, tmp_path: Path, name: str) -> None:
    path, plan = path_of(name, tmp_path), WRITERS[name].plan(PLANES, rate=RATE)
    times = {"patience_s": 1.0, "sweep_s": 0.5} if name in KNOWN else {"patience_s": 20.0}
    verdict = judge(viewer, name, path, plan, refresh_s=REFRESH_S, **times)
    assert verdict.is_good, str(verdict)


@pytest.mark.parametrize("name", ["tensorstore-v3", "tifffile-pages", "png-files", "h5py-swmr"])
def test_the_path_may_be_opened_before_anything_is_there(
    viewer: LightweightViewer, tmp_path: Path, name: str
) -> None:
    path, plan = path_of(name, tmp_path), WRITERS[name].plan(PLANES, rate=RATE)
    verdict = judge(viewer, name, path, plan, early=True, refresh_s=REFRESH_S, patience_s=20.0)
    assert verdict.is_good, str(verdict)
