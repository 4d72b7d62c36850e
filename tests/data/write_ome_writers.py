"""Datasets as ome-writers streams them, with each of its backends: 5-D, several positions, a plate.

pip install 'ome-writers[all]==0.3.2'
python tests/data/write_ome_writers.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coded import coded, keep
from ome_writers import (
    AcquisitionSettings,
    Channel,
    Dimension,
    OmeZarrFormat,
    Plate,
    Position,
    create_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHANNELS = [
    Channel(name="DAPI", color="#3070FF", excitation_wavelength_nm=405, emission_wavelength_nm=450),
    Channel(name="Cy5", color="#FF0033"),
]


def stream(
    path: Path, backend: str, sizes: dict[str, int], positions: list[Position], plate: Plate | None = None
) -> None:
    """Frames come in the order t, p, c, z: all positions before the next time point."""
    scale, unit = {"z": 0.5, "y": 0.2, "x": 0.2}, dict.fromkeys("zyx", "micrometer")
    dimensions = [
        Dimension(name="t", count=sizes["t"], type="time", unit="second", scale=12.5),
        Dimension(name="p", type="position", coords=positions),
        Dimension(name="c", type="channel", coords=CHANNELS[: sizes["c"]]),
        *(
            Dimension(
                name=axis,
                count=sizes[axis],
                type="space",
                unit=unit[axis],
                scale=scale[axis],
                chunk_size={"z": 1, "y": 12, "x": 20}[axis],
                shard_size_chunks={"z": 1, "y": 2, "x": 2}[axis],
            )
            for axis in "zyx"
        ),
    ]
    settings = AcquisitionSettings(
        root_path=str(path),
        dimensions=dimensions,
        dtype="uint16",
        format=OmeZarrFormat(backend=backend, suffix=".ome.zarr"),
        compression="blosc-zstd",
        plate=plate,
        overwrite=True,
    )
    shape = tuple(sizes[axis] for axis in "tczyx")
    images = [coded("tczyx", shape, first=1 + 300 * p) for p in range(len(positions))]
    with create_stream(settings) as written:
        for t in range(sizes["t"]):
            for image in images:
                for c in range(sizes["c"]):
                    for z in range(sizes["z"]):
                        written.append(image[t, c, z])


def five_axes(backend: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        """One position: the image is the root."""
        stream(path, backend, {"t": 2, "c": 2, "z": 2, "y": 24, "x": 40}, [Position(name="only")])

    return write


def positions(backend: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        """Positions with names of their own, and where the stage was."""
        where = [
            Position(name="left", x_coord=-100.0, y_coord=5.0, z_coord=1.0),
            Position(name="right", x_coord=100.0, y_coord=5.5, z_coord=2.0),
        ]
        stream(path, backend, {"t": 2, "c": 2, "z": 1, "y": 24, "x": 40}, where)

    return write


def plate(backend: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        """Two fields in one well, one in another."""
        wells = (("A", "1", "f0"), ("A", "1", "f1"), ("C", "4", "f0"))
        where = [Position(name=name, plate_row=row, plate_column=column) for row, column, name in wells]
        described = Plate(name="streamed", row_names=["A", "B", "C"], column_names=["1", "2", "3", "4"])
        stream(path, backend, {"t": 1, "c": 2, "z": 2, "y": 24, "x": 40}, where, described)

    return write


if __name__ == "__main__":
    for backend in ("tensorstore", "zarr-python", "acquire-zarr"):
        keep("ome-writers", f"five-axes-{backend}", five_axes(backend), "five-axes.ome.zarr")
        keep("ome-writers", f"positions-{backend}", positions(backend), "positions.ome.zarr")
        keep("ome-writers", f"plate-{backend}", plate(backend), "plate.ome.zarr")
