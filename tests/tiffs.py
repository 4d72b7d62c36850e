"""Squid's image files in every form it writes, byte for byte as it leaves them.

Every plane's pixels follow from its indices (`stores.plane`), so a test knows what it must read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import stores
import tifffile

from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ndviewer_light.model import DatasetInfo
    from ndviewer_light.sources.tiff.source import TiffSource

CHANNELS = ("BF LED matrix full", "Fluorescence 488 nm Ex")
REGIONS = {"A1": 2, "B2": 1}
OME_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_NOT_IN_NAMES = re.compile(r'[\s/\\:*?"<>|]+')


def spelt(channel: str) -> str:
    """A channel's name in file names."""
    return _NOT_IN_NAMES.sub("_", channel)


def sites(regions: Mapping[str, int]) -> list[tuple[str, int]]:
    """(region, fov) in the order of scanning."""
    return [(region, fov) for region, n in regions.items() for fov in range(n)]


def write_experiment(
    folder: Path,
    regions: Mapping[str, int] = REGIONS,
    channels: Sequence[str] = CHANNELS,
    *,
    parameters: Mapping[str, Any] | None = None,
    done: bool = False,
) -> Path:
    """What Squid puts beside its images: 0.325 µm, 1.5 µm, 2.5 s, positions 1 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "dz(um)": 1.5,
        "Nz": 2,
        "dt(s)": 2.5,
        "Nt": 2,
        "objective": {"magnification": 20, "NA": 0.8, "tube_lens_f_mm": 180, "name": "20x"},
        "sensor_pixel_size_um": 6.5,
        "tube_lens_mm": 180,
    }
    (folder / "acquisition parameters.json").write_text(json.dumps(parameters or said))
    names = [f"- name: {json.dumps(name)}\n  exposure_time_ms: 10\n" for name in channels]
    (folder / "acquisition_channels.yaml").write_text("version: 1.1\nchannels:\n" + "".join(names))
    rows = [f"{region},{fov}.5,{fov + 1}.0,0.25" for region, fov in sites(regions)]
    (folder / "coordinates.csv").write_text("\n".join(["region,x (mm),y (mm),z (mm)", *rows]) + "\n")
    if done:
        (folder / ".done").touch()
    return folder


def write_image(path: Path, pixels: np.ndarray) -> Path:
    """One image as imageio writes it: one page, its shape as JSON, no pixel size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".png", ".bmp"):
        from PIL import Image

        Image.fromarray(pixels).save(path)
        return path
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(path, pixels, photometric=photometric, metadata={}, software="", resolution=(1, 1))
    return path


def image_path(
    folder: Path, t: int, region: str, fov: int, z: int, channel: str, *, padding: int = 0, end: str = ".tiff"
) -> Path:
    """Where Squid puts an image."""
    name = f"{region}_{fov:0{padding}}_{z:0{padding}}_{spelt(channel)}{end}"
    return folder / f"{t:0{padding}}" / name


def write_images(
    folder: Path,
    regions: Mapping[str, int] = REGIONS,
    channels: Sequence[str] = CHANNELS,
    *,
    times: Iterable[int] = (0, 1),
    n_z: int = 2,
    padding: int = 0,
    end: str = ".tiff",
    dtype: str = "uint16",
    experiment: bool = True,
) -> Path:
    """An experiment of individual images; `stores.plane` with the index of the time, not its number."""
    if experiment:
        write_experiment(folder, regions, channels)
    for (i, t), (p, (region, fov)), (c, channel), z in itertools.product(
        enumerate(times), enumerate(sites(regions)), enumerate(channels), range(n_z)
    ):
        path = image_path(folder, t, region, fov, z, channel, padding=padding, end=end)
        write_image(path, stores.plane(i, p, c, z, dtype=dtype))
    return folder


def stack_path(folder: Path, t: int, region: str, fov: int, padding: int = 0) -> Path:
    """Where Squid puts a stack."""
    return folder / f"{t:0{padding}}" / f"{region}_{fov:0{padding}}_stack.tiff"


def append_to_stack(
    path: Path, pixels: np.ndarray, z: int, channel: str, c: int, said: Mapping[str, Any] | None = None
) -> None:
    """One more page, with what Squid notes in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = {"z_level": z, "channel": channel, "channel_index": c, "region_id": "A1", "fov": 0, "x_mm": 1.5}
    with tifffile.TiffWriter(path, append=path.exists()) as stack:
        stack.write(
            pixels,
            photometric="minisblack",
            description=json.dumps(note if said is None else said),
            metadata={},
            extratags=[(285, "s", 0, channel, False)],
            contiguous=False,
        )


def write_stacks(
    folder: Path,
    regions: Mapping[str, int] = REGIONS,
    channels: Sequence[str] = CHANNELS,
    *,
    times: Iterable[int] = (0, 1),
    n_z: int = 2,
    padding: int = 0,
) -> Path:
    """An experiment of multi-page stacks: z outer, channel inner."""
    write_experiment(folder, regions, channels)
    for (i, t), (p, (region, fov)) in itertools.product(enumerate(times), enumerate(sites(regions))):
        for z, (c, channel) in itertools.product(range(n_z), enumerate(channels)):
            path = stack_path(folder, t, region, fov, padding)
            append_to_stack(path, stores.plane(i, p, c, z), z, channel, c)
    return folder


# ---- OME-TIFF, full of zeros from the start, written in place ------------------------


def ome_path(folder: Path, region: str, fov: int) -> Path:
    """Where Squid puts an OME-TIFF."""
    return folder / "ome_tiff" / f"{region}_{fov}.ome.tiff"


def create_ome(
    path: Path,
    n_t: int = 2,
    n_z: int = 2,
    channels: Sequence[str] = CHANNELS,
    shape: tuple[int, int] = (stores.HEIGHT, stores.WIDTH),
    dtype: str = "uint16",
) -> Path:
    """The file as it is before any plane is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "axes": "TZCYX",
        "Channel": {"Name": list(channels)},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 2.0,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 5.0,
        "TimeIncrementUnit": "s",
    }
    tifffile.imwrite(path, shape=(n_t, n_z, len(channels), *shape), dtype=dtype, metadata=metadata, ome=True)
    return path


def write_ome_plane(path: Path, t: int, z: int, c: int, pixels: np.ndarray) -> None:
    """One plane in place; singleton axes are not there, as tifffile has it."""
    whole = tifffile.memmap(path, dtype=pixels.dtype)
    text = tifffile.tiffcomment(path)
    n_z, n_c = (int(text.partition(f'Size{axis}="')[2].partition('"')[0]) for axis in "ZC")
    planes = whole.reshape(-1, *pixels.shape)
    planes[(t * n_z + z) * n_c + c] = pixels
    whole.flush()


def complete_ome(path: Path, planes: Iterable[tuple[int, int, int]]) -> None:
    """The OME-XML as Squid rewrites it when all planes are in."""
    text = tifffile.tiffcomment(path)
    root = ElementTree.fromstring(text)
    (image,) = root.findall(f"{{{OME_NAMESPACE}}}Image")
    image.set("AcquisitionDate", "2026-01-01T12:00:00")
    (pixels,) = image.findall(f"{{{OME_NAMESPACE}}}Pixels")
    for t, c, z in planes:
        ElementTree.SubElement(
            pixels,
            f"{{{OME_NAMESPACE}}}Plane",
            {"TheT": str(t), "TheC": str(c), "TheZ": str(z), "PositionX": "1.5"},
        )
    ElementTree.register_namespace("", OME_NAMESPACE)
    tifffile.tiffcomment(path, ElementTree.tostring(root, encoding="us-ascii"))


def progress_path(folder: Path, base_name: str) -> Path:
    """Where Squid notes which planes of an OME-TIFF it has written."""
    digest = hashlib.sha1(f"{folder}:{base_name}".encode()).hexdigest()
    return Path(tempfile.gettempdir(), f"squid_ome_{digest}_metadata.json")


def write_progress(folder: Path, base_name: str, written: Collection[tuple[int, int, int]]) -> Path:
    """The note itself, (t, c, z) each."""
    path = progress_path(folder, base_name)
    indices = [f"{t}-{c}-{z}" for t, c, z in written]
    path.write_text(json.dumps({"written_indices": indices, "saved_count": len(indices), "completed": False}))
    return path


def write_ome_files(
    folder: Path,
    regions: Mapping[str, int] = REGIONS,
    channels: Sequence[str] = CHANNELS,
    *,
    n_t: int = 2,
    n_z: int = 2,
    complete: bool = True,
) -> Path:
    """An experiment of OME-TIFFs, every plane written."""
    write_experiment(folder, regions, channels)
    for p, (region, fov) in enumerate(sites(regions)):
        path = create_ome(ome_path(folder, region, fov), n_t, n_z, channels)
        planes = list(itertools.product(range(n_t), range(len(channels)), range(n_z)))
        for t, c, z in planes:
            write_ome_plane(path, t, z, c, stores.plane(t, p, c, z))
        if complete:
            complete_ome(path, planes)
    for t in range(n_t):
        (folder / str(t)).mkdir(exist_ok=True)
        (folder / str(t) / "coordinates.csv").write_text("region,fov,z_level,x (mm),y (mm),z (um),time\n")
    return folder


def make_old(path: Path, seconds: float = 60.0) -> None:
    """As if nothing had been written to the file for a while."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


# ---- what a test reads back ------------------------------------------------


def keys(info: DatasetInfo) -> Iterator[PlaneKey]:
    sizes = info.sizes
    yield from itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz")))


def assert_shows_what_was_written(source: TiffSource) -> None:
    """Every plane has the pixels of its own indices."""
    for key in keys(source.info):
        expected = stores.plane(**key._asdict(), dtype=source.info.dtype)
        np.testing.assert_array_equal(source.read_plane(key), expected, err_msg=str(key))
        assert source.plane_shape(key) == expected.shape


def names_of(source: TiffSource) -> list[str]:
    return [channel.name for channel in source.info.channels]


def tiff_saying(path: Path, compression: int, data: bytes, height: int, width: int) -> Path:
    """A TIFF of one strip that says what it likes."""
    tags = {
        256: width,
        257: height,
        258: 8,
        259: compression,
        262: 1,
        273: 0,
        277: 1,
        278: height,
        279: len(data),
    }
    head = struct.pack("<2sHI", b"II", 42, 8)
    end = 8 + 2 + 12 * len(tags) + 4
    entries = [struct.pack("<HHII", tag, 4, 1, end if tag == 273 else value) for tag, value in tags.items()]
    path.write_bytes(head + struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4) + data)
    return path
