"""Datasets as ngio writes them: plates whose fields differ, pyramids of several axes, in zarr v2 and v3.

pip install ngio==1.1.3
python tests/data/write_ngio.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coded import coded, keep
from ngio import ImageInWellPath, create_empty_plate, create_ome_zarr_from_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def plate(version: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        """Two acquisitions: different channels, sizes, z steps and numbers of levels."""
        fields = (  # row, column, path, acquisition, axes, shape, channels, pixel, z step, levels
            ("A", 1, "0", 0, "czyx", (2, 1, 32, 40), ["DAPI", "GFP"], 0.65, 1.0, 2),
            ("A", 1, "1", 1, "czyx", (3, 4, 24, 24), ["Hoechst", "Cy5", "Cy7"], 0.1625, 0.5, 1),
            ("A", 2, "0", 0, "czyx", (2, 1, 32, 40), ["DAPI", "GFP"], 0.65, 1.0, 2),
            ("B", 1, "1", 1, "zyx", (4, 16, 24), ["Cy5"], 0.1625, 0.5, 2),
        )
        written = create_empty_plate(
            path,
            name="two acquisitions",
            images=[
                ImageInWellPath(
                    row=row,
                    column=column,
                    path=name,
                    acquisition_id=acquisition,
                    acquisition_name=("round 1", "round 2")[acquisition],
                )
                for row, column, name, acquisition, *_ in fields
            ],
            ngff_version=version,
        )
        for n, (row, column, name, _, axes, shape, channels, pixel, z_step, levels) in enumerate(fields):
            create_ome_zarr_from_array(
                written.get_image_store(row, column, name),
                coded(axes, shape, first=1 + 9_000 * n),
                pixelsize=pixel,
                z_spacing=z_step,
                levels=levels,
                axes_names=list(axes),
                channels_meta=channels,
                name=f"{row}{column} {name}",
                ngff_version=version,
            )

    return write


def by_fraction(path: Path) -> None:
    """Levels by 1.5 in every axis of space, in shards, with a translation."""
    create_ome_zarr_from_array(
        path,
        coded("tczyx", (1, 2, 9, 36, 54)),
        pixelsize=0.2,
        z_spacing=0.6,
        time_spacing=4.0,
        scaling_factors=(1, 1, 1.5, 1.5, 1.5),
        levels=3,
        translation=(0.0, 0.0, 3.0, 20.0, -10.0),
        axes_names=list("tczyx"),
        channels_meta=["BF", "mCherry"],
        name="by one and a half",
        ngff_version="0.5",
        chunks=(1, 1, 4, 18, 18),
        shards=(1, 1, 12, 36, 54),
    )


if __name__ == "__main__":
    keep("ngio", "plate-v2", plate("0.4"), "plate.zarr")
    keep("ngio", "plate-v3", plate("0.5"), "plate.zarr")
    keep("ngio", "by-fraction", by_fraction)
