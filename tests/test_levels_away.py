"""Metadata of a pyramid level that are away or damaged: said, and the picture is read at another level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from memory_source import wait_until

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey, place_of
from ndviewer_light.sources import metadata_away, open_source

if TYPE_CHECKING:
    from pathlib import Path

KEY = PlaneKey(c=1)
HALF = (stores.HEIGHT // 2, stores.WIDTH // 2)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("is_torn", [False, True], ids=["away", "torn"])
def test_a_level_without_metadata_is_said_and_the_picture_is_read_at_a_finer_one(
    version: int, is_torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_away, "AWAY_SECONDS", 0.2)
    path = tmp_path / "a.zarr"
    stores.write_pyramid(path, version=version)
    source = open_source(str(path))
    source.follow()
    assert source.level_for(0, *HALF) == 1
    file = path / "1" / (".zarray" if version == 2 else "zarr.json")
    before = file.read_bytes()
    if is_torn:
        file.write_bytes(before[: len(before) // 2])
    else:
        file.unlink()

    def said() -> list[str]:
        return [each for each in source.look().warnings if "resolution level 1" in each]

    wait_until(said)
    (warning,) = said()
    assert str(path / "1") in warning
    assert "finer level" in warning
    place = place_of(warning)
    assert place is not None
    assert place.p == 0
    assert source.level_for(0, *HALF) == 0
    np.testing.assert_array_equal(source.read_plane(KEY), stores.plane(c=1))
    if not is_torn:
        with pytest.raises(PlaneNotStoredError):
            source.read_plane(KEY, 1)
    file.write_bytes(before)
    wait_until(lambda: not said())
    assert source.level_for(0, *HALF) == 1
    source.close()
