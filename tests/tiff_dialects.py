"""TIFF files and sets of them as different programs write them, with the pixels that are right.

Every plane is `plane(t, p, c, z)`, so that a plane in the wrong place is noticed. Each writer returns what to
open, and what must be found there: of every position its name and its pixels (T, C, Z, Y, X).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HEIGHT, WIDTH = 24, 33
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@dataclass
class Expected:
    """What must be found: pixels (T, C, Z, Y, X) and names of positions; facts where they matter."""

    pixels: list[np.ndarray]
    names: list[str] = field(default_factory=list)
    channels: list[str] | None = None
    colours: list[str] | None = None
    steps: dict[str, float | None] = field(default_factory=dict)
    said: str = ""  # what a warning must contain


@dataclass
class Written:
    """What to open, each of it, with the same result; and what is right."""

    paths: list[Path]
    expected: Expected
    serve: bool = True  # whether the same opens from a server


def plane(
    t: int = 0,
    p: int = 0,
    c: int = 0,
    z: int = 0,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    dtype: Any = "u2",
) -> np.ndarray:
    y, x = np.indices(shape)
    value = 1 + 97 * p + 41 * t + 17 * c + 7 * z + 3 * y + (5 * x) % 11
    return (value % np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else value).astype(dtype)


def image(n_t: int = 1, n_c: int = 1, n_z: int = 1, p: int = 0, **more: Any) -> np.ndarray:
    return np.stack(
        [
            np.stack([np.stack([plane(t, p, c, z, **more) for z in range(n_z)]) for c in range(n_c)])
            for t in range(n_t)
        ]
    )


def pages(array: np.ndarray) -> Iterable[np.ndarray]:
    """Planes in the order XYZCT: z first."""
    return array.reshape(-1, *array.shape[-2:])


def write_pages(
    path: Path, planes: Iterable[np.ndarray], description: str | None = None, **more: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=more.pop("bigtiff", False)) as file:
        for i, each in enumerate(planes):
            file.write(
                each,
                description=description.encode() if i == 0 and description else None,
                contiguous=False,
                metadata=None,
                **{"photometric": "minisblack", **more},
            )
    return path


def ome(images: Sequence[tuple[str, dict[str, Any], str]], uuid: str = "", **more: str) -> str:
    """OME-XML of images, each with name, attributes of Pixels, and what is in Pixels."""
    root = f' UUID="urn:uuid:{uuid}"' if uuid else ""
    body = ""
    for i, (name, pixels, inside) in enumerate(images):
        attributes = {
            "ID": f"Pixels:{i}",
            "DimensionOrder": "XYZCT",
            "Type": "uint16",
            "SizeX": WIDTH,
            "SizeY": HEIGHT,
            "SizeZ": 1,
            "SizeC": 1,
            "SizeT": 1,
            **pixels,
        }
        said = " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items())
        body += f'<Image ID="Image:{i}" Name={quoteattr(name)}><Pixels {said}>{inside}</Pixels></Image>'
    body = more.get("before", "") + body
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}"{root}>{body}</OME>'


def data(file: str = "", uuid: str = "", **attributes: Any) -> str:
    said = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    name = f' FileName="{file}"' if file else ""
    return (
        f"<TiffData {said}><UUID{name}>urn:uuid:{uuid}</UUID></TiffData>" if uuid else f"<TiffData {said}/>"
    )


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


DIALECTS: dict[str, Callable[[Path], Written]] = {}


def dialect(write: Callable[[Path], Written]) -> Callable[[Path], Written]:
    DIALECTS[write.__name__] = write
    return write


# ---- OME-TIFF --------------------------------------------------------------------------------------


@dialect
def mm_positions_same_xml(folder: Path) -> Written:
    """Micro-Manager: one file per position, the same OME-XML in all of them."""
    sizes = {"SizeZ": 2, "SizeT": 3, "SizeC": 2}
    names = [f"run_MMStack_Pos{p}.ome.tif" for p in range(3)]
    xml = ome([(f"Pos{p}", sizes, data(names[p], uuid(p), IFD=0, PlaneCount=12)) for p in range(3)], uuid(0))
    pixels = [image(3, 2, 2, p) for p in range(3)]
    paths = [write_pages(folder / names[p], pages(pixels[p]), xml) for p in range(3)]
    return Written([*paths, folder], Expected(pixels, ["Pos0", "Pos1", "Pos2"]))


@dialect
def one_image_in_three_files(folder: Path) -> Written:
    """OME-TIFF: the three times of one image in a file each, which all describe the whole."""
    names = [f"a_{t}.ome.tif" for t in range(3)]
    inside = "".join(data(names[t], uuid(t), FirstT=t, PlaneCount=2) for t in range(3))
    pixels = image(3, 1, 2)
    paths = [
        write_pages(
            folder / names[t], pages(pixels[t]), ome([("A", {"SizeT": 3, "SizeZ": 2}, inside)], uuid(t))
        )
        for t in range(3)
    ]
    return Written([*paths, folder], Expected([pixels], ["A"]))


@dialect
def binary_only(folder: Path) -> Written:
    """ome-writers, `master-tiff`: the first file describes all; the others are `BinaryOnly` and name it."""
    names = [f"b_p{p}.ome.tif" for p in range(3)]
    sizes = {"SizeZ": 2, "SizeC": 2, "DimensionOrder": "XYCZT"}
    xml = ome([(f"P{p}", sizes, data(names[p], uuid(p), PlaneCount=4)) for p in range(3)], uuid(0))
    pixels = [image(1, 2, 2, p) for p in range(3)]
    paths = []
    for p in range(3):
        only = ome(
            [], uuid(p), before=f'<BinaryOnly MetadataFile="/else/{names[0]}" UUID="urn:uuid:{uuid(0)}"/>'
        )
        order = pixels[p].transpose(0, 2, 1, 3, 4)
        paths.append(write_pages(folder / names[p], pages(order), only if p else xml))
    return Written([*paths, folder], Expected(pixels, ["P0", "P1", "P2"]))


@dialect
def companion(folder: Path) -> Written:
    """ome-writers, `companion-file`: a `.companion.ome` describes all TIFFs, which are `BinaryOnly`."""
    names = [f"c_p{p}.ome.tiff" for p in range(2)]
    sizes = {"SizeT": 2, "SizeC": 2}
    xml = ome([(f"P{p}", sizes, data(names[p], uuid(p), PlaneCount=4)) for p in range(2)], uuid(9))
    only = [
        ome([], uuid(p), before=f'<BinaryOnly MetadataFile="c.companion.ome" UUID="urn:uuid:{uuid(9)}"/>')
        for p in range(2)
    ]
    pixels = [image(2, 2, 1, p) for p in range(2)]
    paths = [write_pages(folder / names[p], pages(pixels[p]), only[p]) for p in range(2)]
    (folder / "c.companion.ome").write_text(xml)
    return Written([*paths, folder / "c.companion.ome", folder], Expected(pixels, ["P0", "P1"]))


@dialect
def renamed(folder: Path) -> Written:
    """OME-TIFF that was renamed, with another file under its old name beside it: the UUID counts."""
    other = ome([("other", {}, data("old.ome.tif", uuid(7), PlaneCount=1))], uuid(7))
    write_pages(folder / "old.ome.tif", [plane(p=9)], other)
    pixels = image(2, 1, 2)
    xml = ome([("A", {"SizeT": 2, "SizeZ": 2}, data("old.ome.tif", uuid(1), PlaneCount=4))], uuid(1))
    return Written([write_pages(folder / "new.ome.tif", pages(pixels), xml)], Expected([pixels], ["A"]))


@dialect
def renamed_set(folder: Path) -> Written:
    """OME-TIFF: both files of a set were renamed; their UUIDs tell which is which."""
    xml = [
        ome(
            [(f"P{p}", {"SizeT": 2}, data(f"old{p}.ome.tif", uuid(p), PlaneCount=2)) for p in range(2)],
            uuid(of),
        )
        for of in range(2)
    ]
    pixels = [image(2, p=p) for p in range(2)]
    paths = [write_pages(folder / f"{'zy'[p]}.ome.tif", pages(pixels[p]), xml[p]) for p in range(2)]
    return Written([*paths, folder], Expected(pixels, ["P0", "P1"]), serve=False)


@dialect
def swapped_names(folder: Path) -> Written:
    """OME-TIFF: two files of a set have each other's name; their UUIDs tell which is which."""
    names = ["s0.ome.tif", "s1.ome.tif"]
    xml = [
        ome([(f"P{p}", {"SizeT": 2}, data(names[p], uuid(p), PlaneCount=2)) for p in range(2)], uuid(of))
        for of in range(2)
    ]
    pixels = [image(2, p=p) for p in range(2)]
    paths = [write_pages(folder / names[1 - p], pages(pixels[p]), xml[p]) for p in range(2)]
    return Written([*paths, folder], Expected(pixels, ["P0", "P1"]), serve=False)


@dialect
def binary_only_alone(folder: Path) -> Written:
    """OME-TIFF: a `BinaryOnly` file whose metadata are missing shows its pages, with a warning."""
    only = ome([], uuid(1), before='<BinaryOnly MetadataFile="gone.companion.ome" UUID="urn:uuid:1"/>')
    pixels = image(n_z=3)
    path = write_pages(folder / "a.ome.tif", pages(pixels), only)
    return Written([path], Expected([pixels], said="gone.companion.ome, which describes them, is missing"))


@dialect
def uuid_without_name(folder: Path) -> Written:
    """OME-TIFF: `UUID` without FileName, which the specification allows."""
    xml = [
        ome([(f"P{p}", {"SizeT": 2}, data("", uuid(p), PlaneCount=2)) for p in range(2)], uuid(of))
        for of in range(2)
    ]
    pixels = [image(2, p=p) for p in range(2)]
    paths = [write_pages(folder / f"{'ba'[p]}.ome.tif", pages(pixels[p]), xml[p]) for p in range(2)]
    return Written([*paths, folder], Expected(pixels, ["P0", "P1"]), serve=False)


@dialect
def tiff_data_bare(folder: Path) -> Written:
    """OME-TIFF: `TiffData` with IFD and without PlaneCount, for 24 planes."""
    pixels = image(3, 2, 4)
    xml = ome([("A", {"SizeT": 3, "SizeC": 2, "SizeZ": 4}, data(IFD=0))])
    return Written([write_pages(folder / "a.ome.tif", pages(pixels), xml)], Expected([pixels], ["A"]))


@dialect
def four_images_macro_first(folder: Path) -> Written:
    """OME-TIFF: a macro, then three scans of other sizes: all are positions, the macro last."""
    shapes = [(8, 10), (40, 60), (30, 60), (40, 50)]
    pixels = [image(1, 2, 1, p, shape=shape) for p, shape in enumerate(shapes)]
    inside = [data(IFD=2 * p, PlaneCount=2) for p in range(4)]
    xml = ome(
        [(f"I{p}", {"SizeC": 2, "SizeY": shapes[p][0], "SizeX": shapes[p][1]}, inside[p]) for p in range(4)]
    )
    path = write_pages(folder / "scan.ome.tif", [each for array in pixels for each in pages(array)], xml)
    return Written([path], Expected([*pixels[1:], pixels[0]], ["I1", "I2", "I3", "I0"]))


@dialect
def ome_plate(folder: Path) -> Written:
    """OME-TIFF: fields of wells, as OME-XML's plates say."""
    images = [(f"I{p}", {}, data(IFD=p)) for p in range(3)]
    refs = [f'<WellSample ID="W:{p}" Index="{p}"><ImageRef ID="Image:{p}"/></WellSample>' for p in range(3)]
    plate = (
        f'<Plate ID="Plate:0"><Well ID="a" Row="1" Column="2">{refs[0]}{refs[1]}</Well>'
        f'<Well ID="b" Row="2" Column="0">{refs[2]}</Well></Plate>'
    )
    pixels = [image(p=p) for p in range(3)]
    path = write_pages(
        folder / "plate.ome.tif", [each[0, 0, 0] for each in pixels], ome(images, before=plate)
    )
    return Written([path], Expected(pixels, ["B3:0", "B3:1", "C1:0"]))


@dialect
def ome_samples_are_channels(folder: Path) -> Written:
    """OME-TIFF: SizeC 4, as four samples of each page."""
    pixels = image(2, 4, dtype="u1")
    xml = ome([("A", {"SizeT": 2, "SizeC": 4, "Type": "uint8"}, data(IFD=0, PlaneCount=2))])
    stored = [np.ascontiguousarray(np.moveaxis(pixels[t, :, 0], 0, -1)) for t in range(2)]
    path = write_pages(folder / "a.ome.tif", stored, xml, planarconfig="contig", extrasamples=[0, 0, 0])
    return Written([path], Expected([pixels], ["A"]))


@dialect
def ome_not_brought_up_to_date(folder: Path) -> Written:
    """ome-writers, t without end: only the first image is said to have four times, the other one has one."""
    names = [f"s_p{p}.ome.tiff" for p in range(2)]
    sizes = [{"SizeT": 4, "SizeC": 2}, {"SizeT": 1, "SizeC": 2}]
    inside = [data(names[p], uuid(p), PlaneCount=(8, 2)[p]) for p in range(2)]
    pixels = [image(4, 2, 1, p) for p in range(2)]
    paths = [
        write_pages(
            folder / names[of],
            pages(pixels[of]),
            ome([(f"P{p}", sizes[p], inside[p]) for p in range(2)], uuid(of)),
        )
        for of in range(2)
    ]
    return Written([*paths, folder], Expected(pixels, ["P0", "P1"], said="declares 1 time points for P1"))


@dialect
def ome_zero_plane(folder: Path) -> Written:
    """OME-TIFF by tifffile with a blank frame: zeros are pixels, except in files that Squid fills."""
    pixels = image(3)
    pixels[1] = 0
    path = folder / "a.ome.tif"
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels[:, 0, 0], metadata={"axes": "TYX"})
    return Written([path], Expected([pixels]))


@dialect
def ome_inches(folder: Path) -> Written:
    """OME-TIFF: lengths in inches and mm are converted, those in pixels unknown."""
    units = {"PhysicalSizeX": 0.001, "PhysicalSizeXUnit": "in", "PhysicalSizeY": 2, "PhysicalSizeYUnit": "mm"}
    units |= {"PhysicalSizeZ": 3, "PhysicalSizeZUnit": "pixel", "SizeZ": 2}
    pixels = image(n_z=2)
    path = write_pages(folder / "a.ome.tif", pages(pixels), ome([("A", units, data(IFD=0, PlaneCount=2))]))
    return Written([path], Expected([pixels], steps={"x": 25.4, "y": 2000.0, "z": None}))


@dialect
def ome_of_other_size(folder: Path) -> Written:
    """OME-TIFF: sizes that the pages refute are not believed, with a warning."""
    pixels = image(n_z=3)
    xml = ome([("A", {"SizeX": WIDTH + 1, "SizeT": 3}, data(IFD=0, PlaneCount=3))])
    path = write_pages(folder / "a.ome.tif", pages(pixels), xml)
    return Written([path], Expected([pixels], said="OME-XML declares"))


# ---- arrays by tifffile ----------------------------------------------------------------------------


def shaped(axes: str, sizes: dict[str, int], dtype: Any = "u2") -> tuple[np.ndarray, np.ndarray]:
    """An array with these axes, and the same as (T, C, Z, Y, X)."""
    n = {"T": 1, "C": 1, "Z": 1, "Y": HEIGHT, "X": WIDTH, **sizes}
    pixels = image(n["T"], n["C"], n["Z"], shape=(n["Y"], n["X"]), dtype=dtype)
    order = ["TCZYX".index(axis) for axis in axes]
    left = [i for i in range(5) if i not in order]
    return pixels.transpose(*left, *order).reshape([n[axis] for axis in axes]), pixels


def _shaped_case(
    axes: str, sizes: dict[str, int], dtype: Any = "u2", **more: Any
) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        array, pixels = shaped(axes, sizes, dtype)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "a.tif"
        tifffile.imwrite(path, array, metadata={"axes": axes}, **more)
        return Written([path], Expected([pixels]))

    return write


for _axes, _sizes, _dtype, _more in (
    ("CYX", {"C": 3}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("CYX", {"C": 4}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("ZYX", {"Z": 3}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("TYX", {"T": 4}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("ZCYX", {"Z": 2, "C": 3}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("TZCYX", {"T": 2, "Z": 2, "C": 4}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("YXC", {"C": 2}, "u2", {"photometric": "minisblack"}),
    ("YXZ", {"Z": 5}, "u1", {"photometric": "minisblack"}),
    ("YXT", {"T": 7}, "u2", {"photometric": "minisblack", "compression": "zlib"}),
    ("ZYXC", {"Z": 3, "C": 2}, "u2", {"photometric": "minisblack"}),
    ("XYZ", {"Z": 3}, "u2", {"photometric": "minisblack"}),
    ("TCZYX", {"T": 2, "C": 3, "Z": 2}, "u2", {"photometric": "minisblack"}),
    ("CTYX", {"T": 2, "C": 3}, "u2", {"photometric": "minisblack", "compression": "zlib"}),
    ("YXC", {"C": 5}, "u1", {"photometric": "minisblack", "planarconfig": "contig"}),
    ("CYX", {"C": 2}, "u1", {"photometric": "minisblack", "planarconfig": "separate"}),
):
    _name = f"shaped_{_axes}_{'_'.join(map(str, _sizes.values()))}"
    if _name in DIALECTS or _more.get("planarconfig") == "contig":
        _name += "_samples"
    _case = _shaped_case(_axes, _sizes, _dtype, **_more)
    _case.__name__ = _name
    _stored = "one page of separate samples" if _more.get("planarconfig") == "separate" else "pages"
    _stored = "interleaved samples" if _more.get("planarconfig") == "contig" else _stored
    _case.__doc__ = (
        f"tifffile: an array with axes {_axes} and {' × '.join(map(str, _sizes.values()))} planes, {_stored}."
    )
    dialect(_case)


@dialect
def several_arrays(folder: Path) -> Written:
    """tifffile: three arrays of other shapes in one file are positions; a thumbnail comes last."""
    shapes = [(6, 8), (HEIGHT, WIDTH), (30, 40)]
    pixels = [image(n_z=1 if p == 0 else 3, p=p, shape=shape) for p, shape in enumerate(shapes)]
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for p, each in enumerate(pixels):
            file.write(each[0, 0], photometric="minisblack", metadata={"axes": "ZYX", "name": f"n{p}"})
    return Written([folder / "a.tif"], Expected([*pixels[1:], pixels[0]], ["n1", "n2", "n0"]))


# ---- pages that nothing is said about ---------------------------------------------------------------


@dialect
def pages_of_two_sizes(folder: Path) -> Written:
    """Plain TIFF: pages of another size in between are an image of their own."""
    large = image(n_z=4)
    small = image(n_z=2, p=1, shape=(20, 30))
    order = [large[0, 0, 0], small[0, 0, 0], large[0, 0, 1], large[0, 0, 2], small[0, 0, 1], large[0, 0, 3]]
    return Written([write_pages(folder / "a.tif", order)], Expected([large, small]))


@dialect
def grey_samples(folder: Path) -> Written:
    """Plain TIFF: five grey samples of each pixel are five channels."""
    pixels = image(1, 5, dtype="u1")
    stored = np.ascontiguousarray(np.moveaxis(pixels[0, :, 0], 0, -1))
    path = write_pages(folder / "a.tif", [stored], planarconfig="contig", extrasamples=[0] * 4)
    return Written([path], Expected([pixels]))


@dialect
def two_samples(folder: Path) -> Written:
    """Plain TIFF: of two samples, neither is lost."""
    pixels = image(1, 2)
    stored = np.ascontiguousarray(np.moveaxis(pixels[0, :, 0], 0, -1))
    path = write_pages(folder / "a.tif", [stored], planarconfig="contig", extrasamples=[0])
    return Written([path], Expected([pixels]))


@dialect
def palette(folder: Path) -> Written:
    """Plain TIFF: indices into a palette are shown in its colours."""
    table = np.random.default_rng(3).integers(0, 2**16, (3, 256), np.uint16)
    indices = plane(dtype="u1")
    path = write_pages(folder / "a.tif", [indices], photometric="palette", colormap=table)
    colours = (table >> 8).astype("u1").T[indices]
    return Written([path], Expected([np.moveaxis(colours, -1, 0)[None, :, None]]))


@dialect
def cmyk(folder: Path) -> Written:
    """Plain TIFF: CMYK becomes red, green and blue."""
    inks = np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    path = write_pages(folder / "a.tif", [inks], photometric="separated", planarconfig="contig")
    left = (255 - inks.astype(float)) / 255
    colours = np.rint(left[..., :3] * left[..., 3:] * 255).astype("u1")
    return Written([path], Expected([np.moveaxis(colours, -1, 0)[None, :, None]]))


@dialect
def rgb_alpha(folder: Path) -> Written:
    """Plain TIFF: RGBA is three colours."""
    colours = np.stack([plane(c=c, dtype="u1") for c in range(4)], axis=-1)
    path = write_pages(folder / "a.tif", [colours], photometric="rgb", extrasamples=["unassalpha"])
    return Written([path], Expected([np.moveaxis(colours[..., :3], -1, 0)[None, :, None]]))


@dialect
def named_png(folder: Path) -> Written:
    """Any name: a TIFF is recognised by its beginning (`.png`, none, `.btf`, `.lsm`, `.stk`, `.svs`, …)."""
    pixels = image(n_z=3)
    paths = [
        write_pages(folder / f"a{end}", pages(pixels))
        for end in (".png", "", ".btf", ".tf8", ".svs", ".scn", ".flex", ".qptiff", ".stk", ".lsm")
    ]
    return Written(paths, Expected([pixels]), serve=False)


@dialect
def pyramid_of_pages(folder: Path) -> Written:
    """Plain TIFF: pages that say they are smaller versions are levels, not positions."""
    pixels = image(shape=(64, 80))
    path = folder / "a.tif"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for level in range(3):
            file.write(
                pixels[0, 0, 0, :: 2**level, :: 2**level],
                subfiletype=1 if level else 0,
                metadata=None,
                photometric="minisblack",
            )
    return Written([path], Expected([pixels]))


# ---- ImageJ ---------------------------------------------------------------------------------------


def write_imagej(path: Path, array: np.ndarray, axes: str, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    resolution = more.pop("resolution", None)
    metadata = {"axes": axes, **more}
    tifffile.imwrite(path, array, imagej=True, metadata=metadata, resolution=resolution)
    return path


@dialect
def imagej_hyperstack(folder: Path) -> Written:
    """ImageJ: hyperstack with lookup tables, in nm and minutes."""
    pixels = image(2, 2, 3)
    luts = [np.stack([np.arange(256) * on for on in rgb]).astype("u1") for rgb in ((1, 0, 1), (0, 1, 1))]
    path = write_imagej(
        folder / "a.tif",
        pixels.transpose(0, 2, 1, 3, 4),
        "TZCYX",
        unit="nm",
        spacing=500.0,
        finterval=5.0,
        tunit="min",
        mode="composite",
        LUTs=luts,
        resolution=(1 / 100, 1 / 200),
    )
    steps = {"x": 0.1, "y": 0.2, "z": 0.5, "t": 300.0}
    return Written([path], Expected([pixels], colours=["#FF00FF", "#00FFFF"], steps=steps))


def _imagej_unit(unit: str | None, um: float | None) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        pixels = image(n_z=2)
        said = {} if unit is None else {"unit": unit}
        path = write_imagej(folder / "a.tif", pixels[0, 0], "ZYX", spacing=1.5, resolution=(2.0, 4.0), **said)
        steps = dict.fromkeys("xyz") if um is None else {"x": um / 2, "y": um / 4, "z": um * 1.5}
        return Written([path], Expected([pixels], steps=steps))

    write.__name__ = f"imagej_{unit}"
    known = "unknown" if um is None else "converted to µm"
    write.__doc__ = f"ImageJ: lengths in {unit or 'no unit'} are {known}, x and y of their own."
    return write


for _unit, _um in (
    (None, None),
    ("pixel", None),
    ("mm", 1e3),
    ("cm", 1e4),
    ("inch", 25_400.0),
    ("micron", 1.0),
):
    dialect(_imagej_unit(_unit, _um))


@dialect
def imagej_cut_short(folder: Path) -> Written:
    """ImageJ: a header that says 20 frames, and 6 pages: 6 frames, with a warning."""
    pixels = image(6)
    description = "ImageJ=1.53t\nimages=20\nframes=20\nhyperstack=true\n"
    path = write_pages(folder / "a.tif", pages(pixels), description)
    return Written([path], Expected([pixels], said="20 images"))


@dialect
def imagej_large(folder: Path) -> Written:
    """ImageJ: one page with tags, and pixels of more images that follow, as in files of more than 4 GB."""
    pixels = image(3, 2)
    description = "ImageJ=1.53t\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n"
    path = folder / "a.tif"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        file.write(pixels[0, 0, 0], description=description, metadata=None)
    with open(path, "ab") as raw:
        raw.write(pixels.reshape(-1, HEIGHT, WIDTH)[1:].tobytes())
    return Written([path], Expected([pixels]))


# ---- programs that the library knows ---------------------------------------------------------------


@dialect
def svs(folder: Path) -> Written:
    """SVS (Aperio): the scan with its levels, then the images of the slide, as positions."""
    scan = np.stack([plane(c=c, shape=(512, 640), dtype="u1") for c in range(3)], axis=-1)
    small, label = scan[::8, ::8], scan[:60, :50]
    said = "Aperio Image Library v11\r\n640x512 [0,0 640x512] (240x240) {}|AppMag = 20|MPP = 0.5"
    path = folder / "a.svs"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for pixels, what, more in (
            (scan, said, {"tile": (256, 256)}),
            (small, said, {}),
            (scan[::4, ::4], said, {"tile": (256, 256)}),
            (label, "Aperio Image Library v11\r\nlabel 50x60", {"subfiletype": 1}),
        ):
            file.write(pixels, description=what, photometric="rgb", metadata=None, contiguous=False, **more)
    expected = [np.moveaxis(each, -1, 0)[None, :, None] for each in (scan, small, label)]
    return Written([path], Expected(expected, steps={"x": 0.5, "y": 0.5}))


@dialect
def stk(folder: Path) -> Written:
    """STK (MetaMorph): one page with tags, and the planes behind it."""
    pixels = image(n_z=4)
    path = folder / "a.stk"
    folder.mkdir(parents=True, exist_ok=True)
    distance_and_times = [
        10 * n for z in range(4) for n in (15 * z, 1, 2_459_000, 1000 * z, 2_459_000, 1000 * z)
    ]
    with tifffile.TiffWriter(path) as file:
        file.write(
            pixels[0, 0, 0],
            metadata=None,
            photometric="minisblack",
            extratags=[
                (33628, "I", 2, (4, 0), True),
                (33629, "2I", 4, distance_and_times[:8], True),
            ],
        )
    with open(path, "ab") as raw:
        raw.write(pixels[0, 0, 1:].tobytes())
    return Written([path], Expected([pixels]))


@dialect
def scanimage(folder: Path) -> Written:
    """ScanImage: slices, each with several frames, of the channels that were saved."""
    pixels = image(2, 2, 3)
    said = "SI.VERSION_MAJOR = '2016b'\nSI.hChannels.channelSave = [1;2]\n"
    said += "SI.hStackManager.framesPerSlice = 2\nSI.hStackManager.stackZStepSize = 2.5\n"
    head = said.encode() + b"\0"
    # BigTIFF with the frame data and those of regions between its header and the first page
    raw = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
    raw += struct.pack("<IIII", 117637889, 3, len(head), 3) + head + b"{}\0"
    link = 8
    for z, t, c in np.ndindex(3, 2, 2):
        raw += b"\0" * (-len(raw) % 16)
        at = len(raw)
        raw += pixels[t, c, z].tobytes()
        text_at = len(raw)
        raw += b"SI.\0".ljust(16, b"\0")
        raw += b"\0" * (-len(raw) % 8)
        raw[link : link + 8] = struct.pack("<Q", len(raw))
        tags = [(256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
        tags += [(273, 16, 1, at), (277, 3, 1, 1), (278, 4, 1, HEIGHT), (279, 16, 1, pixels[t, c, z].nbytes)]
        tags += [(305, 2, 16, text_at)]
        raw += struct.pack("<Q", len(tags)) + b"".join(struct.pack("<HHQQ", *tag) for tag in tags)
        link = len(raw)
        raw += bytes(8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.tif").write_bytes(raw)
    return Written([folder / "a.tif"], Expected([pixels], steps={"z": 2.5}))


@dialect
def qptiff(folder: Path) -> Written:
    """QPTIFF (PerkinElmer): a page for each dye, a thumbnail, then the same pages smaller, as levels."""
    dyes = ("DAPI", "Opal 570", "Opal 690")
    pixels = image(n_c=3, shape=(256, 320), dtype="u1")
    thumbnail = plane(shape=(40, 50), dtype="u1")
    small = pixels[..., ::2, ::2]
    path = folder / "a.qptiff"
    folder.mkdir(parents=True, exist_ok=True)
    root = "PerkinElmer-QPI-ImageDescription"
    with tifffile.TiffWriter(path) as file:
        for level, planes in enumerate((pixels[0, :, 0], thumbnail[None], small[0, :, 0])):
            for c, page in enumerate(planes):
                text = f"<?xml version='1.0'?><{root}><Name>{dyes[c]}</Name><Color>0,{c},255</Color></{root}>"
                tile = {} if level == 1 else {"tile": (64, 64)}
                file.write(
                    page,
                    description=text,
                    software="PerkinElmer-QPI",
                    metadata=None,
                    contiguous=False,
                    photometric="minisblack",
                    **tile,
                )
    return Written([path], Expected([pixels, thumbnail[None, None, None]], channels=list(dyes)))


@dialect
def ndpi(folder: Path) -> Written:
    """NDPI (Hamamatsu): the scan with its levels, then the macro image, as positions."""
    scan = np.stack([plane(c=c, shape=(256, 320), dtype="u1") for c in range(3)], axis=-1)
    macro = np.stack([plane(p=1, c=c, shape=(60, 90), dtype="u1") for c in range(3)], axis=-1)
    path = folder / "a.ndpi"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for pixels, magnification in ((scan, 20.0), (scan[::2, ::2], 10.0), (macro, -1.0)):
            tags = [(271, "s", 0, "Hamamatsu", True), (65420, "I", 1, 1, True)]
            tags.append((65421, "f", 1, magnification, True))
            file.write(
                pixels, photometric="rgb", metadata=None, contiguous=False, extratags=tags, rowsperstrip=64
            )
    expected = [np.moveaxis(each, -1, 0)[None, :, None] for each in (scan, macro)]
    return Written([path], Expected(expected))


@dialect
def scn(folder: Path) -> Written:
    """SCN (Leica): XML says which page is which channel and level of which image."""
    pixels, macro = image(n_c=2, shape=(128, 160), dtype="u1"), plane(p=1, shape=(60, 80), dtype="u1")
    planes = [macro, *pixels[0, :, 0], *pixels[0, :, 0, ::2, ::2]]
    places = [(r, c, 1 + 2 * r + c) for r in range(2) for c in range(2)]
    dimensions = "".join(f'<dimension c="{c}" r="{r}" z="0" ifd="{ifd}"/>' for r, c, ifd in places)
    said = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection>'
        '<image name="macro"><pixels><dimension c="0" r="0" z="0" ifd="0"/></pixels></image>'
        f'<image name="scan"><pixels>{dimensions}</pixels></image></collection></scn>'
    )
    path = folder / "a.scn"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for i, page in enumerate(planes):
            text = said if i == 0 else None
            file.write(page, description=text, metadata=None, contiguous=False, photometric="minisblack")
    return Written([path], Expected([pixels, macro[None, None, None]]))


@dialect
def fluoview(folder: Path) -> Written:
    """FluoView (Olympus): a header says along which axes the pages are, and their steps."""
    pixels = image(2, 2, 3)
    header = np.zeros((), np.dtype(tifffile.TIFF.MM_HEADER).newbyteorder("<"))
    header["ImageName"] = b"cells"
    axes = (("X", WIDTH, 0.25, "um"), ("Y", HEIGHT, 0.25, "um"), ("Z", 3, 1.5, "um"), ("Time", 2, 4.0, "s"))
    axes = (*axes[:2], ("Ch", 2, 1.0, ""), *axes[2:])
    header["Dimensions"]["Size"] = 1
    for i, (name, size, step, unit) in enumerate(axes):
        header["Dimensions"][i] = (name.encode(), size, 0, step, unit.encode())
    tags = [(34361, "B", header.nbytes, header.tobytes(), True), (34362, "d", 8, (0.0,) * 8, True)]
    path = folder / "a.tif"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for i, (t, z, c) in enumerate(np.ndindex(2, 3, 2)):
            more = tags if i == 0 else []
            file.write(pixels[t, c, z], metadata=None, contiguous=False, extratags=more)
    return Written([path], Expected([pixels], steps={"x": 0.25, "y": 0.25, "z": 1.5, "t": 4.0}))


@dialect
def lsm(folder: Path) -> Written:
    """LSM (Zeiss): pages with the channels as samples, a thumbnail after each, which is left out."""
    pixels = image(2, 3, 3)  # two channels would be a case of their own in old files
    info = np.zeros((), np.dtype([each for each in tifffile.TIFF.CZ_LSMINFO if each[0]]).newbyteorder("<"))
    facts = {"MagicNumber": 67127628, "StructureSize": info.nbytes, "ScanType": 6, "DataType": 2}
    facts |= {"DimensionX": WIDTH, "DimensionY": HEIGHT, "DimensionZ": 3, "DimensionTime": 2}
    for name, value in {**facts, "DimensionChannels": 3, "ThumbnailX": 8, "ThumbnailY": 8}.items():
        info[name] = value
    info["VoxelSizeX"] = info["VoxelSizeY"] = 0.25e-6
    info["VoxelSizeZ"], info["TimeIntervall"] = 1.5e-6, 4.0
    path = folder / "a.lsm"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for i, (t, z) in enumerate(np.ndindex(2, 3)):
            more = [(34412, "B", info.nbytes, info.tobytes(), True)] if i == 0 else []
            both = {"metadata": None, "contiguous": False, "photometric": "minisblack"}
            file.write(pixels[t, :, z], planarconfig="separate", extratags=more, **both)
            small = np.zeros((3, 8, 8), np.uint16)
            file.write(small, planarconfig="separate", subfiletype=1, **both)
    return Written([path], Expected([pixels], steps={"x": 0.25, "y": 0.25, "z": 1.5, "t": 4.0}))


# ---- Micro-Manager's own index ----------------------------------------------------------------------


@dialect
def micromanager_index(folder: Path) -> Written:
    """Micro-Manager without OME-XML: its index map tells which plane each page is."""
    pixels = image(2, 2, 3)
    order = [(t, c, z) for t in range(2) for c in range(2) for z in (2, 1, 0)]
    path = write_indexed(folder / "run_MMStack.tif", pixels, order)
    expected = Expected([pixels], channels=["DAPI", "GFP"], steps={"x": 0.5, "z": 2.0})
    expected.colours = ["#0000FF", "#00FF00"]
    return Written([path], expected)


@dialect
def micromanager_stacks(folder: Path) -> Written:
    """Micro-Manager without OME-XML: files for each position, one after the other; any opens all."""
    pixels = [image(2, 2, 3, p) for p in range(2)]
    order = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
    paths = []
    for p in range(2):
        for name, part in ((f"run_MMStack_Pos{p}.tif", order[:7]), (f"run_MMStack_Pos{p}_1.tif", order[7:])):
            paths.append(write_indexed(folder / name, pixels[p], part, p))
    expected = Expected(pixels, ["Pos0", "Pos1"], channels=["DAPI", "GFP"], steps={"x": 0.5, "z": 2.0})
    return Written([*paths, folder], expected)


@dialect
def micromanager_stacks_by_label(folder: Path) -> Written:
    """Micro-Manager without OME-XML: files for each position of a list, called as in the list."""
    pixels = [image(2, 2, 3, p) for p in range(2)]
    order = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
    names = ["1-Pos_000_001", "left edge"]
    more = {"StagePositions": [{"Label": name} for name in names]}
    paths = [
        write_indexed(folder / f"run 2_MMStack_{name}.tif", pixels[p], order, p, **more)
        for p, name in enumerate(names)
    ]
    return Written([*paths, folder], Expected(pixels, names, channels=["DAPI", "GFP"]))


def write_indexed(
    path: Path, pixels: np.ndarray, order: Sequence[tuple[int, int, int]], p: int = 0, **more: Any
) -> Path:
    """The planes (t, c, z) in this order, with an index map as Micro-Manager writes it."""
    summary = {
        "ChNames": ["DAPI", "GFP"],
        "ChColors": [-16776961, 0x00FF00],
        "PixelSize_um": 0.5,
        "z-step_um": 2,
        "Positions": 2,
        "Slices": 3,
        "Channels": 2,
        "Frames": 2,
        **more,
    }
    write_pages(
        path,
        [pixels[at] for at in order],
        f"ImageJ=1.53t\nimages={len(order)}\nchannels=2\nslices=3\nframes=2\nhyperstack=true\n",
        extratags=[(51123, "s", 0, json.dumps({"Frame": 0, "ElapsedTime-ms": 1500.5}), False)],
    )
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
        data = bytearray(path.read_bytes())
    # what Micro-Manager has behind the header is put to the end, and the first page is found through it
    first = struct.unpack_from("<I", data, 4)[0]
    said = json.dumps(summary).encode()
    shift = 32 + 8 + len(said) + len(said) % 2
    moved = [offset + shift for offset in offsets]
    head = struct.pack("<4sI", b"II*\0", first + shift)
    body = shifted(bytes(data), offsets, shift)
    index = struct.pack("<II", 3453623, len(order))
    for (t, c, z), offset in zip(order, moved, strict=True):
        index += struct.pack("<5I", c, z, t, p, offset)
    at = 8 + shift + len(body)
    marks = struct.pack("<8I", 54773648, at, 0, 0, 0, 0, 2355492, len(said))
    between = (marks + said).ljust(shift, b"\0")
    path.write_bytes(head + between + body + index)
    return path


def shifted(data: bytes, offsets: Sequence[int], shift: int) -> bytes:
    """A classic TIFF without its header, in which every offset is `shift` larger."""
    moved = bytearray(data)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8}
    for at in offsets:
        (n,) = struct.unpack_from("<H", data, at)
        for i in range(n):
            code, kind, count, value = struct.unpack_from("<HHII", data, at + 2 + 12 * i)
            if (code == 273 and count == 1) or sizes[kind] * count > 4:
                struct.pack_into("<I", moved, at + 2 + 12 * i + 8, value + shift)
        (following,) = struct.unpack_from("<I", data, at + 2 + 12 * n)
        struct.pack_into("<I", moved, at + 2 + 12 * n, following + shift if following else 0)
    return bytes(moved[8:])


# ---- NDTiff ----------------------------------------------------------------------------------------


@dialect
def ndtiff(folder: Path) -> Written:
    """NDTiff: an index says where each plane is, in whatever order they came."""
    folder = folder / "run_1"
    folder.mkdir(parents=True, exist_ok=True)
    pixels = [image(2, 2, 3, p) for p in range(2)]
    channels = ["DAPI", "GFP"]
    order = [(t, p, c, z) for z in range(3) for c in range(2) for p in range(2) for t in range(2)]
    names = ["run_NDTiffStack.tif", "run_NDTiffStack_1.tif"]
    index = b""
    for i, name in enumerate(names):
        mine = order[i * 12 : (i + 1) * 12]
        write_pages(folder / name, [pixels[p][t, c, z] for t, p, c, z in mine])
        with tifffile.TiffFile(folder / name) as file:
            places = [int(page.dataoffsets[0]) for page in file.pages]
        for (t, p, c, z), at in zip(mine, places, strict=True):
            axes = json.dumps({"time": t, "position": p, "channel": channels[c], "z": z}).encode()
            index += struct.pack("<I", len(axes)) + axes
            index += struct.pack("<I", len(name)) + name.encode()
            index += struct.pack("<IiiiiIii", at, WIDTH, HEIGHT, 1, 0, 0, 0, 0)
    (folder / "NDTiff.index").write_bytes(index)
    paths = [folder, folder / names[0], folder / names[1]]
    return Written(paths, Expected(pixels, channels=channels), serve=False)


# ---- the table in the documentation ------------------------------------------------------------------

BEGIN, END = "<!-- dialects: begin -->", "<!-- dialects: end -->"


def table() -> str:
    """What opens, and which case of the tests shows it."""
    rows = [
        f"| {' '.join((write.__doc__ or '').split()).rstrip('.')} | `{name}` |"
        for name, write in DIALECTS.items()
    ]
    return "\n".join(["| what programs write, and what is right | case |", "| --- | --- |", *rows])


def main() -> None:
    """Write the table into the documentation."""
    path = Path(__file__).parents[1] / "docs" / "formats.md"
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
