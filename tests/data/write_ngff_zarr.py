"""Datasets as ngff-zarr writes them: factors per axis, not only 2; translations; NGFF 0.4 to 0.6; a scene.

pip install ngff-zarr==0.50.0
python tests/data/write_ngff_zarr.py [NAME…]
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ngff_zarr as nz
from coded import coded, keep
from ngff_zarr.v04.zarr_metadata import Omero, OmeroChannel, OmeroWindow
from ngff_zarr.v06.zarr_metadata import (
    Axis,
    CoordinateSystem,
    CoordinateSystemIdentifier,
    Scale,
    TransformSequence,
    Translation,
)

if TYPE_CHECKING:
    from pathlib import Path


def multiscales(axes: str, shape: tuple[int, ...], factors: list[dict[str, int]], **more: object) -> object:
    image = nz.to_ngff_image(coded(axes, shape), dims=list(axes), **more)
    chunks = {axis: {"z": 8, "y": 32, "x": 32}.get(axis, 1) for axis in axes}
    return nz.to_multiscales(image, scale_factors=factors, method=nz.Methods.DASK_BIN_SHRINK, chunks=chunks)


def by_three(path: Path) -> None:
    """Levels by 3 and by 6 in every axis, with translations of whole µm."""
    written = multiscales(
        "zyx",
        (18, 36, 54),
        [{"z": 3, "y": 3, "x": 3}, {"z": 6, "y": 6, "x": 6}],
        scale={"z": 2.0, "y": 0.5, "x": 0.5},
        translation={"z": 10.0, "y": -250.0, "x": 1200.0},
        axes_units=dict.fromkeys("zyx", "micrometer"),
        name="by three",
    )
    nz.to_ngff_zarr(path, written, version="0.4")


def flattened(path: Path) -> None:
    """Z is not scaled at first, then by 2; channels with names and colours; sharded."""
    written = multiscales(
        "czyx",
        (2, 8, 64, 48),
        [{"z": 1, "y": 2, "x": 2}, {"z": 2, "y": 4, "x": 4}],
        scale={"z": 1.0, "y": 250.0, "x": 250.0},
        axes_units={"z": "micrometer", "y": "nanometer", "x": "nanometer"},
        name="flattened",
    )
    windows = (OmeroWindow(0, 65535, 1, 1500), OmeroWindow(0, 65535, 2500, 4000))
    named = zip(("Hoechst", "mCherry"), ("00FFFF", "FF0080"), windows, strict=True)
    written.metadata.omero = Omero([OmeroChannel(color, window, label) for label, color, window in named])
    nz.to_ngff_zarr(path, written, version="0.5", chunks_per_shard=2)


def with_time(path: Path) -> None:
    """T c z y x, of sizes that no factor divides."""
    written = multiscales(
        "tczyx",
        (2, 2, 7, 33, 27),
        [{"z": 2, "y": 2, "x": 2}, {"z": 4, "y": 4, "x": 4}],
        scale={"t": 30.0, "z": 0.9, "y": 0.3, "x": 0.3},
        axes_units={"t": "second", **dict.fromkeys("zyx", "micrometer")},
        name="with time",
    )
    nz.to_ngff_zarr(path, written, version="0.5")


def version_6(path: Path) -> None:
    """T z y x of NGFF 0.6, whose axes are in coordinateSystems, with scale and translation in a sequence."""
    written = multiscales(
        "tzyx",
        (5, 4, 32, 24),
        [{"z": 2, "y": 2, "x": 2}],
        scale={"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.25},
        translation={"t": 0.0, "z": 10.0, "y": -20.0, "x": 30.0},
        axes_units={"t": "second", **dict.fromkeys("zyx", "micrometer")},
        name="version 6",
    )
    nz.to_ngff_zarr(path, written, version="0.6")


def version_6_without_names(path: Path) -> None:
    """The same, of which the arrays do not name their dimensions: nothing but coordinateSystems does."""
    version_6(path)
    for file in path.glob("*/**/zarr.json"):
        document = json.loads(file.read_text())
        document.pop("dimension_names", None)
        file.write_text(json.dumps(document))


def scene(path: Path) -> None:
    """Two images in a scene of NGFF 0.6: one is moved, the other is scaled and moved."""
    images = {
        name: multiscales(
            "yx",
            (24, 32),
            [],
            scale={"y": 0.5, "x": 0.5},
            translation={"y": 1.0, "x": 2.0},
            axes_units=dict.fromkeys("yx", "micrometer"),
            name=name,
        )
        for name in ("overview", "detail")
    }
    world = CoordinateSystem("world", [Axis(name, "space", unit="micrometer") for name in "yx"])
    there = CoordinateSystemIdentifier(name="world")

    def own(name: str) -> CoordinateSystemIdentifier:
        (system, *_) = images[name].metadata.to_version("0.6").coordinateSystems
        return CoordinateSystemIdentifier(path=name, name=system.name)

    moved = Translation(translation=[100.0, 200.0], input=own("overview"), output=there)
    parts = [Scale(scale=[2.0, 4.0]), Translation(translation=[-50.0, 10.0])]
    both = TransformSequence(transformations=parts, input=own("detail"), output=there)
    nz.NgffScene(images, [moved, both], [world]).to_ome_zarr(path, version="0.6")


if __name__ == "__main__":
    keep("ngff-zarr", "by-three", by_three)
    keep("ngff-zarr", "flattened", flattened)
    keep("ngff-zarr", "with-time", with_time)
    keep("ngff-zarr", "version-6", version_6)
    keep("ngff-zarr", "version-6-without-names", version_6_without_names)
    keep("ngff-zarr", "scene", scene)
