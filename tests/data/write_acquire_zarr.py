"""Datasets as acquire-zarr streams them: sharded zarr v3, NGFF 0.5, pyramids that also halve z.

pip install acquire-zarr==0.10.0
python tests/data/write_acquire_zarr.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import acquire_zarr as aqz
import numpy as np
from coded import coded, keep

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "t": aqz.DimensionType.TIME,
    "c": aqz.DimensionType.CHANNEL,
    **dict.fromkeys("zyx", aqz.DimensionType.SPACE),
}
UNITS = {"t": "second", **dict.fromkeys("zyx", "micrometer")}


def dimensions(
    sizes: dict[str, int],
    scale: dict[str, float],
    chunks: dict[str, int],
    shards: dict[str, int] | None = None,
) -> list[aqz.Dimension]:
    return [
        aqz.Dimension(
            name=name,
            kind=KINDS[name],
            array_size_px=size,
            chunk_size_px=chunks.get(name, 1),
            shard_size_chunks=(shards or {}).get(name, 1),
            scale=scale.get(name, 1.0),
            unit=UNITS.get(name),
        )
        for name, size in sizes.items()
    ]


def settings(
    sizes: dict[str, int],
    scale: dict[str, float],
    chunks: dict[str, int],
    shards: dict[str, int] | None = None,
    **more: object,
) -> aqz.ArraySettings:
    return aqz.ArraySettings(
        dimensions=dimensions(sizes, scale, chunks, shards),
        data_type=np.uint16,
        compression=aqz.CompressionSettings(
            compressor=aqz.Compressor.BLOSC1, codec=aqz.CompressionCodec.BLOSC_ZSTD, level=5, shuffle=1
        ),
        **more,
    )


def stream(path: Path, array: aqz.ArraySettings, sizes: dict[str, int]) -> None:
    written = aqz.ZarrStream(aqz.StreamSettings(arrays=[array], store_path=str(path), overwrite=True))
    written.append(coded("".join(sizes), tuple(sizes.values())))
    written.close()


def pyramid(path: Path) -> None:
    """Z y x, three levels, each with half the z, y and x of the one before."""
    sizes = {"z": 12, "y": 48, "x": 64}
    array = settings(
        sizes,
        {"z": 1.5, "y": 0.5, "x": 0.5},
        {"z": 3, "y": 12, "x": 16},
        {"y": 2, "x": 2},
        downsampling_method=aqz.DownsamplingMethod.MEAN,
        max_levels=2,
    )
    stream(path, array, sizes)


def five_axes(path: Path) -> None:
    """T c z y x with odd sizes: the levels are rounded up."""
    sizes = {"t": 2, "c": 2, "z": 5, "y": 33, "x": 35}
    array = settings(
        sizes,
        {"t": 2.5, "z": 2.0, "y": 0.325, "x": 0.325},
        {"z": 5, "y": 17, "x": 18},
        downsampling_method=aqz.DownsamplingMethod.DECIMATE,
    )
    stream(path, array, sizes)


def plate(path: Path) -> None:
    """Two wells of a plate with two acquisitions, the second with another pixel size and another z."""
    first = {"c": 2, "z": 1, "y": 24, "x": 32}
    second = {"c": 3, "z": 4, "y": 16, "x": 16}
    scales = ({"y": 0.65, "x": 0.65}, {"z": 0.5, "y": 0.1625, "x": 0.1625})

    def field(name: str, acquisition: int) -> aqz.FieldOfView:
        sizes, scale = (first, second)[acquisition], scales[acquisition]
        chunks = {"y": sizes["y"], "x": sizes["x"]}
        return aqz.FieldOfView(
            path=name, acquisition_id=acquisition, array_settings=settings(sizes, scale, chunks)
        )

    wells = [
        aqz.Well(row_name="B", column_name="03", images=[field("fov1", 0), field("fov2", 1)]),
        aqz.Well(row_name="C", column_name="11", images=[field("fov1", 0)]),
    ]
    described = aqz.Plate(
        path="",
        name="two magnifications",
        row_names=["B", "C"],
        column_names=["03", "11"],
        wells=wells,
        acquisitions=[aqz.Acquisition(id=0, name="10x"), aqz.Acquisition(id=1, name="40x")],
    )
    written = aqz.ZarrStream(aqz.StreamSettings(store_path=str(path), overwrite=True, hcs_plates=[described]))
    for n, (key, sizes) in enumerate((("B/03/fov1", first), ("B/03/fov2", second), ("C/11/fov1", first))):
        written.append(coded("czyx", tuple(sizes.values()), first=1 + 20_000 * n), key=key)
    written.close()


if __name__ == "__main__":
    keep("acquire-zarr", "pyramid", pyramid)
    keep("acquire-zarr", "five-axes", five_axes)
    keep("acquire-zarr", "plate", plate)
