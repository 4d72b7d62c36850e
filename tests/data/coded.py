"""Pixels that tell which plane they are of, and the archive that a written dataset is kept in.

For the scripts of this folder, each of which runs where the library that it uses is installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HERE = Path(__file__).parent
_WHEN = (2026, 1, 1, 0, 0, 0)  # the same bytes whenever it is written

_PER_STEP = {"t": 9000, "c": 2500, "z": 150, "y": 4, "x": 1}


def coded(axes: str, shape: Sequence[int], first: int = 1) -> np.ndarray:
    """An array of uint16 whose value follows from where it is; no two planes of it are equal.

    Also levels that are made from it by averaging have planes of their own.
    """
    steps = [_PER_STEP[axis] for axis in axes]
    grid = np.indices(tuple(shape))
    total = sum(step * index for step, index in zip(steps, grid, strict=True))
    return np.asarray(total + first).astype(np.uint16)


def keep(writer: str, name: str, write: Callable[[Path], None], folder: str | None = None) -> None:
    """Keep what `write` writes to `folder` (``<name>.ome.zarr``) as ``<writer>/<name>.zip``."""
    if len(sys.argv) > 1 and name not in sys.argv[1:]:
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / (folder or f"{name}.ome.zarr")
        write(root)
        archive = _HERE / writer / f"{name}.zip"
        archive.parent.mkdir(exist_ok=True)
        archive.unlink(missing_ok=True)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as into:
            for file in sorted(path for path in Path(temporary).rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(temporary).as_posix(), _WHEN)
                entry.compress_type = zipfile.ZIP_DEFLATED
                into.writestr(entry, file.read_bytes())
        print(f"{archive.relative_to(_HERE)}: {archive.stat().st_size} bytes")
        shutil.rmtree(root, ignore_errors=True)
