"""OME-TIFF as different programs write it, with the pixels that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile
from tiff_cases import WIDTH, Expected, Written, data, dialect, image, ome, pages, plane, uuid, write_pages

if TYPE_CHECKING:
    from pathlib import Path

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
def images_of_the_same_pages(folder: Path) -> Written:
    """OME-TIFF: three images that are all said to be the pages of this file: each page is shown once."""
    sizes = {"SizeZ": 2, "SizeT": 3, "SizeC": 2}
    xml = ome([(f"Pos{p}", sizes, data(IFD=0, PlaneCount=12)) for p in range(3)])
    pixels = image(3, 2, 2)
    path = write_pages(folder / "run_MMStack_Pos1.ome.tif", pages(pixels), xml)
    return Written([path], Expected([pixels], ["Pos1"], said="that the same pages are theirs"))


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
def companion_of_one_time(folder: Path) -> Written:
    """ome-writers, `companion-file`, t without end: one time is declared of all, the files have four."""
    names = [f"c_p{p}.ome.tiff" for p in range(2)]
    sizes = {"SizeT": 1, "SizeC": 2}
    xml = ome([(f"P{p}", sizes, data(names[p], uuid(p), PlaneCount=2)) for p in range(2)], uuid(9))
    only = [
        ome([], uuid(p), before=f'<BinaryOnly MetadataFile="c.companion.ome" UUID="urn:uuid:{uuid(9)}"/>')
        for p in range(2)
    ]
    pixels = [image(4, 2, 1, p) for p in range(2)]
    paths = [write_pages(folder / names[p], pages(pixels[p]), only[p]) for p in range(2)]
    (folder / "c.companion.ome").write_text(xml)
    expected = Expected(
        pixels,
        ["P0", "P1"],
        said="declares 1 time point for P0, but there are 4; so it does for 1 other image",
    )
    return Written([*paths, folder / "c.companion.ome", folder], expected)


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
    return Written([*paths, folder], Expected(pixels, ["P0", "P1"], said="declares 1 time point for P1"))


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
def ome_of_some_pages(folder: Path) -> Written:
    """OME-TIFF: pages that the XML leaves out are not shown, and counted in a warning."""
    pixels = image(n_z=5)
    xml = ome([("A", {"SizeZ": 3}, data(IFD=1, PlaneCount=3))])
    path = write_pages(folder / "a.ome.tif", pages(pixels), xml)
    return Written([path], Expected([pixels[:, :, 1:4]], said="leaves out 2 of 5 pages"))


@dialect
def ome_of_other_size(folder: Path) -> Written:
    """OME-TIFF: sizes that the pages refute are not believed, with a warning."""
    pixels = image(n_z=3)
    xml = ome([("A", {"SizeX": WIDTH + 1, "SizeT": 3}, data(IFD=0, PlaneCount=3))])
    path = write_pages(folder / "a.ome.tif", pages(pixels), xml)
    return Written([path], Expected([pixels], said="OME-XML declares"))
