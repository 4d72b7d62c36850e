"""Datasets as ome-zarr-py writes them: scales that are no integers, odd sizes, plates, labels.

pip install ome-zarr==0.18.0
python tests/data/write_ome_zarr_py.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zarr
from coded import coded, keep
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.scale import Methods
from ome_zarr.writer import write_image, write_labels, write_plate_metadata, write_well_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ome_zarr.format import Format


FEW = {"DAPI": "0000FF", "GFP": "00FF00"}
MANY = {"Hoechst": "00FFFF", "Cy5": "FF00FF", "Cy7": "FFFF00"}


def window(low: int, high: int) -> dict[str, int]:
    return {"min": 0, "max": 65535, "start": low, "end": high}


def odd(fmt: Format) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        """33 → 16 → 8 rows, whose scales are 33 / 16 and 33 / 8; a label image beside."""
        group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
        image = coded("czyx", (3, 5, 33, 57))
        write_image(
            image,
            group,
            scale_factors=[{"z": 1, "y": 2, "x": 2}, {"z": 1, "y": 4, "x": 4}],
            name="odd sizes",
            method=Methods.LOCAL_MEAN,
            fmt=fmt,
            axes="czyx",
            scale={"z": 0.7, "y": 0.11, "x": 0.11},
            axes_units=dict.fromkeys("zyx", "micrometer"),
            omero={
                "channels": [
                    {"label": "0", "color": "0000FF", "active": True, "window": window(1, 800)},
                    {"label": "GFP", "color": "00FF00", "active": False, "window": window(2500, 3300)},
                    {"label": "Cy5", "color": "FF00FF", "active": True, "window": window(5000, 5800)},
                ]
            },
        )
        write_labels(
            (image[0] % 3).astype("uint8"), group, name="cells", scale_factors=[], fmt=fmt, axes="zyx"
        )

    return write


def by_numbers(path: Path) -> None:
    """Levels by 3, then by 5 in y alone; z too, of a time series."""
    write_image(
        coded("tzyx", (2, 6, 45, 32)),
        zarr.open_group(path, mode="w", zarr_format=3),
        scale_factors=[{"z": 2, "y": 3, "x": 1}, {"z": 6, "y": 15, "x": 2}],
        method=Methods.NEAREST,
        fmt=FormatV05(),
        axes="tzyx",
        scale={"t": 500.0, "z": 2.0, "y": 0.4, "x": 0.4},
        axes_units={"t": "millisecond", **dict.fromkeys("zyx", "micrometer")},
    )


def plate(path: Path) -> None:
    """Two acquisitions with other channels; one field smaller, one without levels."""
    fmt = FormatV04()
    group = zarr.open_group(path, mode="w", zarr_format=2)
    write_plate_metadata(
        group,
        ["B", "C"],
        ["3", "12"],
        ["B/3", "C/12"],
        fmt=fmt,
        acquisitions=[{"id": 1, "name": "overview"}, {"id": 2, "name": "detail"}],
        field_count=2,
        name="two acquisitions",
    )
    fields = {
        "B/3": [("0", 1, (2, 40, 56), 2, FEW, 0.65), ("1", 2, (3, 32, 32), 1, MANY, 0.1625)],
        "C/12": [("0", 1, (2, 40, 50), 1, FEW, 0.65)],
    }
    n = 0
    for well, images in fields.items():
        in_well = group.require_group(well)
        write_well_metadata(
            in_well, [{"path": name, "acquisition": acquisition} for name, acquisition, *_ in images], fmt=fmt
        )
        for name, _, shape, levels, channels, pixel in images:
            write_image(
                coded("cyx", shape, first=1 + 15_000 * n),
                in_well.require_group(name),
                scale_factors=[{"y": 2, "x": 2}] if levels == 2 else [],
                method=Methods.RESIZE,
                fmt=fmt,
                axes="cyx",
                scale={"y": pixel, "x": pixel},
                axes_units={"y": "micrometer", "x": "micrometer"},
                omero={
                    "channels": [
                        {"label": label, "color": color, "window": window(0, 16_000)}
                        for label, color in channels.items()
                    ]
                },
            )
            n += 1


if __name__ == "__main__":
    keep("ome-zarr-py", "odd-v2", odd(FormatV04()), "odd.zarr")
    keep("ome-zarr-py", "odd-v3", odd(FormatV05()), "odd.zarr")
    keep("ome-zarr-py", "by-numbers", by_numbers)
    keep("ome-zarr-py", "plate", plate)
