"""Collections laid out as bioformats2raw does: one group per series, and OME-XML that describes them.

bioformats2raw is a program for Java; this writes the same files with zarr-python, in version 3 of the layout
(NGFF 0.4, nested chunks, five axes always) and as NGFF 0.5. Run it where the tests run:

    python tests/data/write_like_bioformats2raw.py [NAME…]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import zarr
from coded import coded, keep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Series(NamedTuple):
    """One image: its name, sizes and what is known of it."""

    name: str
    sizes: tuple[int, int, int, int, int]
    channels: tuple[tuple[str, str], ...]
    pixel_um: float
    z_step_um: float
    levels: int
    first: int


SCAN = (("DAPI", "0000FF"), ("FITC", "00FF00"), ("Cy5", "FF0000"))
TIMES = (("GFP", "00FF00"), ("RFP", "FF0000"))
SERIES = (
    Series("scan 40x", (1, 3, 2, 32, 44), SCAN, 0.1625, 0.5, 3, 1),
    Series("overview", (1, 1, 1, 20, 30), (("BF", "FFFFFF"),), 6.5, 1.0, 1, 20_000),
    Series("time lapse", (4, 2, 1, 12, 16), TIMES, 0.65, 1.0, 2, 25_000),
)
AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
]


def ome_xml(series: tuple[Series, ...]) -> str:
    images = []
    for i, each in enumerate(series):
        t, c, z, y, x = each.sizes
        channels = "".join(
            f'<Channel ID="Channel:{i}:{j}" Name="{name}" SamplesPerPixel="1"/>'
            for j, (name, _) in enumerate(each.channels)
        )
        images.append(
            f'<Image ID="Image:{i}" Name="{each.name}">'
            f'<Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" Type="uint16" SizeX="{x}" SizeY="{y}" '
            f'SizeZ="{z}" SizeC="{c}" SizeT="{t}" PhysicalSizeX="{each.pixel_um}" '
            f'PhysicalSizeY="{each.pixel_um}" PhysicalSizeZ="{each.z_step_um}" TimeIncrement="2.5">'
            f'{channels}<MetadataOnly/><Plane TheT="0" TheC="0" TheZ="0" PositionX="{i * 1000.0}" '
            f'PositionXUnit="µm" PositionY="{i * -500.0}" PositionYUnit="µm"/></Pixels></Image>'
        )
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        f'<OME xmlns="{schema}" Creator="after the layout of bioformats2raw">{"".join(images)}</OME>'
    )


def multiscales(each: Series, version: str) -> dict[str, Any]:
    scale = (2.5, 1.0, each.z_step_um, each.pixel_um, each.pixel_um)
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [*scale[:3], scale[3] * 2**level, scale[4] * 2**level]}
            ],
        }
        for level in range(each.levels)
    ]
    described = {"name": each.name, "axes": AXES, "datasets": datasets}
    if version == "0.4":
        described |= {"version": "0.4", "metadata": {"method": "loci.common.image.SimpleImageScaler"}}
    return described


def window(high: int) -> dict[str, int]:
    return {"min": 0, "max": 65535, "start": 0, "end": high}


def collection(version: str, order: tuple[int, ...]) -> Callable[[Path], None]:
    """Series number `order[i]` of the store is the image i of `SERIES`."""

    def write(path: Path) -> None:
        zarr_format = 2 if version == "0.4" else 3
        root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
        describe(root, {"bioformats2raw.layout": 3}, version)
        names = [str(number) for number in order]
        describe(root.create_group("OME"), {"series": names}, version)
        (path / "OME" / "METADATA.ome.xml").write_text(ome_xml(SERIES), encoding="utf-8")
        for name, each in zip(names, SERIES, strict=True):
            group = root.create_group(name)
            channels = [
                {"label": label, "color": color, "active": True, "window": window(4000 + 100 * i)}
                for i, (label, color) in enumerate(each.channels)
            ]
            about = {"multiscales": [multiscales(each, version)], "omero": {"channels": channels}}
            describe(group, about, version)
            pixels = coded("tczyx", each.sizes, first=each.first)
            for level in range(each.levels):
                few = pixels[..., :: 2**level, :: 2**level]
                more = {} if zarr_format == 2 else {"dimension_names": list("tczyx")}
                group.create_array(
                    str(level),
                    shape=few.shape,
                    dtype=few.dtype,
                    chunks=(1, 1, 1, *few.shape[3:]),
                    fill_value=0,
                    chunk_key_encoding={"name": "v2", "separator": "/"} if zarr_format == 2 else None,
                    **more,
                )[:] = few

    return write


def describe(group: zarr.Group, attributes: dict[str, Any], version: str) -> None:
    group.attrs.update(attributes if version == "0.4" else {"ome": {"version": version, **attributes}})


if __name__ == "__main__":
    keep("bioformats2raw", "series-v2", collection("0.4", (0, 1, 2)), "series.zarr")
    keep("bioformats2raw", "series-v3", collection("0.5", (0, 1, 2)), "series.zarr")
    keep("bioformats2raw", "other-order", collection("0.4", (2, 0, 1)), "series.zarr")
