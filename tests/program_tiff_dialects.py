"""TIFFs of ImageJ, Micro-Manager and the programs of instruments, with the pixels that are right."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from tiff_cases import HEIGHT, WIDTH, Expected, Written, dialect, image, pages, plane, write_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


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


@dialect
def imagej_colour_channels(folder: Path) -> Written:
    """ImageJ: three channels of pictures in colour: each page is one, as there are as many."""
    pixels = image(2, 9, dtype="u1")
    stored = np.moveaxis(pixels.reshape(2, 3, 3, HEIGHT, WIDTH), 2, -1)
    path = write_imagej(folder / "a.tif", np.ascontiguousarray(stored), "TCYXS")
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
def noted_pages(folder: Path) -> Written:
    """Squid's stacks, by themselves: each page says its z and its channel, whatever their order."""
    pixels = image(1, 2, 3)
    path = folder / "a.tiff"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for z, c in ((0, 1), (0, 0), (2, 0), (1, 0), (1, 1), (2, 1)):
            note = {"z_level": z, "channel": ("BF LED", "Fluorescence 488")[c], "channel_index": c}
            file.write(
                pixels[0, c, z],
                description=json.dumps(note),
                contiguous=False,
                photometric="minisblack",
                metadata={},
            )
    return Written([path], Expected([pixels], channels=["BF LED", "Fluorescence 488"]))


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

    def dimension(r: int, c: int, ifd: int) -> str:
        height, width = planes[ifd].shape
        return f'<dimension sizeX="{width}" sizeY="{height}" r="{r}" z="0" c="{c}" ifd="{ifd}"/>'

    dimensions = "".join(dimension(r, c, 1 + 2 * r + c) for r in range(2) for c in range(2))
    said = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection>'
        f'<image name="macro"><pixels>{dimension(0, 0, 0)}</pixels></image>'
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
