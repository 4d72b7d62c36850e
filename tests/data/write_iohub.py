"""Datasets as iohub writes them: plates, and pyramids that halve z, y and x, in zarr v2 and v3.

pip install iohub==0.3.0a7 tensorstore
python tests/data/write_iohub.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from coded import coded, keep
from iohub.ngff import TransformationMeta, open_ome_zarr

if TYPE_CHECKING:
    from pathlib import Path


def scaled(*scale: float) -> list[TransformationMeta]:
    return [TransformationMeta(type="scale", scale=list(scale))]


def pyramid(version: str) -> object:
    def write(path: Path) -> None:
        """T C Z Y X, levels by 2 in z, y and x; an odd size in each."""
        with open_ome_zarr(
            path, layout="fov", mode="w-", channel_names=["Phase3D", "GFP"], version=version
        ) as position:
            position.create_image(
                "0",
                coded("tczyx", (2, 2, 9, 21, 26)),
                chunks=(1, 1, 9, 21, 26),
                transform=scaled(1, 1, 0.25, 0.1, 0.1),
            )
            position.compute_pyramid(levels=3)

    return write


def sharded(path: Path) -> None:
    """Only y and x are halved; shards of several chunks."""
    with open_ome_zarr(path, layout="fov", mode="w-", channel_names=["BF"], version="0.5") as position:
        position.create_image(
            "0",
            coded("tczyx", (1, 1, 4, 32, 32)),
            chunks=(1, 1, 1, 16, 16),
            shards_ratio=(1, 1, 4, 2, 2),
            transform=scaled(1, 1, 2, 0.5, 0.5),
        )
        position.compute_pyramid(levels=2, dims={"y", "x"})


def plate(path: Path) -> None:
    """Fields with names of six digits, of different size, of two acquisitions."""
    fields = (  # row, column, name, acquisition, shape, scale
        ("A", "1", "000000", 0, (1, 2, 3, 20, 30), (1, 1, 1.0, 0.65, 0.65)),
        ("A", "1", "000001", 1, (1, 2, 5, 24, 16), (1, 1, 0.5, 0.1625, 0.1625)),
        ("A", "2", "001007", 0, (1, 2, 3, 20, 30), (1, 1, 1.0, 0.65, 0.65)),
        ("B", "10", "pos3", 0, (2, 2, 1, 20, 30), (1, 1, 1.0, 0.65, 0.65)),
    )
    with open_ome_zarr(
        path, layout="hcs", mode="w-", channel_names=["DAPI", "Cy5"], version="0.4"
    ) as written:
        for n, (row, column, name, acquisition, shape, scale) in enumerate(fields):
            position = written.create_position(row, column, name, acq_index=acquisition)
            position.create_image("0", coded("tczyx", shape, first=1 + 12_000 * n), transform=scaled(*scale))


def empty_planes(path: Path) -> None:
    """Planes that were never written, in an array whose fill value is 0: a run that was stopped."""
    with open_ome_zarr(path, layout="fov", mode="w-", channel_names=["a", "b"], version="0.4") as position:
        image = position.create_zeros("0", (3, 2, 2, 12, 14), np.uint16, chunks=(1, 1, 1, 12, 14))
        image[:2] = coded("tczyx", (2, 2, 2, 12, 14))


if __name__ == "__main__":
    keep("iohub", "pyramid-v2", pyramid("0.4"), "pyramid.zarr")
    keep("iohub", "pyramid-v3", pyramid("0.5"), "pyramid.zarr")
    keep("iohub", "sharded", sharded)
    keep("iohub", "plate", plate, "plate.zarr")
    keep("iohub", "empty-planes", empty_planes)
