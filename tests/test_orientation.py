"""The tag "Orientation" of TIFF and Exif: pixels stay where they are stored, and what it says is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from ndviewer_light import open_dataset
from ndviewer_light.cli.info import main as info

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = (np.arange(24 * 32) % 251).astype("u1").reshape(24, 32)
WORDS = {3: "turned by 180°", 4: "mirrored from top to bottom", 6: "turned by 90° clockwise"}


def write(path: Path, orientation: int, **how: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, PIXELS, extratags=[(274, 3, 1, orientation, True)], metadata=None, **how)
    else:
        exif = PIL.Image.Exif()
        exif[274] = orientation
        PIL.Image.fromarray(PIXELS).save(
            path, exif=exif, **({"quality": 100} if path.suffix == ".jpg" else {})
        )
    return path


def said_of(path: Path) -> tuple[np.ndarray, str]:
    with open_dataset(path) as dataset:
        return dataset.plane(), " ".join(dataset.info.warnings)


@pytest.mark.parametrize("orientation", [1, 3, 4, 6])
@pytest.mark.parametrize(
    "how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=["plain", "zlib", "tiles"]
)
def test_a_tiff_is_what_tifffile_reads(tmp_path: Path, orientation: int, how: dict[str, Any]) -> None:
    path = write(tmp_path / "a.tif", orientation, **how)
    pixels, warnings = said_of(path)
    np.testing.assert_array_equal(pixels, tifffile.imread(path))
    np.testing.assert_array_equal(pixels, PIXELS)
    assert ("Orientation" in warnings) is (orientation != 1)
    assert WORDS.get(orientation, "") in warnings


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("end", ["png", "jpg", "tif"])
def test_pictures_in_folders_are_as_they_are_stored(tmp_path: Path, end: str, orientation: int) -> None:
    for t in range(2):
        path = write(tmp_path / "run" / f"img_t{t}.{end}", orientation)
    stored = tifffile.imread(path) if end == "tif" else np.asarray(PIL.Image.open(path))
    pixels, warnings = said_of(tmp_path / "run")
    np.testing.assert_array_equal(pixels, stored)
    assert WORDS.get(orientation, "") in warnings and ("Orientation" in warnings) is (orientation != 1)


def test_values_that_mean_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for orientation in (0, 9):
        _, warnings = said_of(write(tmp_path / "a.tif", orientation))
        assert "Orientation" not in warnings
    path = write(tmp_path / "b.tif", 6)
    assert info([str(path)]) == 0
    assert "turned by 90° clockwise; it is shown as stored" in capsys.readouterr().out
