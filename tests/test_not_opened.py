"""What docs/formats.md says does not open: each line of it, and the sentence that one gets instead."""

from __future__ import annotations

import gzip
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import ome_tiff_dialects
import program_tiff_dialects
import pytest
import stores
import tifffile
import zarr
from hdf5_dialects import write_bigdataviewer
from hdf5_files import add_series, volume, write_nwb, write_raw_chunk
from nd2_samples import frame
from nd2_writer import Plane, custom_loop, time_loop, write_nd2
from stores import needs_zarr_3
from tiffs import tiff_saying

from ndviewer_light.errors import DatasetError, DatasetNotFoundError
from ndviewer_light.opening import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.range_server import RangeServer

DOCS = " ".join((Path(__file__).parents[1] / "docs" / "formats.md").read_text("utf-8").split())
PIXELS = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16)


@dataclass(frozen=True)
class Refused:
    """What the documentation calls it, how to write it (returns the path to open, if another), what is said.

    It is said when the dataset is opened or its first plane is read, or, of what opens in part, in a warning.
    """

    words: str
    write: Callable[[Path], str | Path | None]
    said: str
    name: str = "a.h5"
    options: tuple[tuple[str, str], ...] = ()

    @property
    def marks(self) -> tuple[Any, ...]:
        """What the case needs."""
        return (needs_zarr_3,) if self.name == "a.zarr" else ()


def hdf5(build: Callable[[h5py.File], None], inside: str = "") -> Callable[[Path], str | None]:
    def write(path: Path) -> str | None:
        with h5py.File(path, "w") as file:
            build(file)
        return f"{path}::{inside}" if inside else None

    return write


def texts(file: h5py.File) -> None:
    file.create_dataset("names", data=np.full((12, 16), "a", "S4"))


def complex_numbers(file: h5py.File) -> None:
    file.create_dataset("a", data=PIXELS.astype("c8"))


def virtual(file: h5py.File) -> None:
    """A virtual dataset of one of parts of frames."""
    file["left"] = file["right"] = volume((4, 12, 8))
    parts = h5py.VirtualLayout((4, 12, 16), "u2")
    parts[:, :, :8] = h5py.VirtualSource(".", "/left", (4, 12, 8))
    parts[:, :, 8:] = h5py.VirtualSource(".", "/right", (4, 12, 8))
    file.create_virtual_dataset("parts", parts)
    nested = h5py.VirtualLayout((4, 12, 16), "u2")
    nested[...] = h5py.VirtualSource(".", "/parts", (4, 12, 16))
    file.create_virtual_dataset("nested", nested)


def external(path: Path) -> None:
    path.with_suffix(".raw").write_bytes(PIXELS.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (12, 16), "u2", external=[(path.with_suffix(".raw").name, 0, 384)])


def missing_filter(path: Path) -> None:
    write_raw_chunk(path, volume((20, 30)), b"?" * 50, [(40_000, ())])


def other_loader(path: Path) -> Path:
    write_bigdataviewer(path, {(0, 0): volume((1, 4, 12, 16))})
    xml = path.with_suffix(".xml")
    xml.write_text(xml.read_text().replace('"bdv.hdf5"', '"bdv.n5"'))
    return xml


def video(path: Path) -> None:
    path.with_suffix(".avi").write_bytes(b"RIFF\0\0\0\0AVI LIST" + bytes(500))
    write_nwb(path)
    with h5py.File(path, "a") as file:
        add_series(file, "movie", type="ImageSeries", external=[path.with_suffix(".avi").name], rate=10.0)


def palette(path: Path) -> None:
    with h5py.File(path, "w") as file:
        colours = file.create_dataset("colours", data=np.zeros((256, 3), "u1"))
        colours.attrs.update({"CLASS": np.bytes_("PALETTE"), "PAL_TYPE": np.bytes_("STANDARD8")})
        image = file.create_dataset("image", data=PIXELS.astype("u1"))
        image.attrs.update({"CLASS": np.bytes_("IMAGE"), "IMAGE_SUBCLASS": np.bytes_("IMAGE_INDEXED")})
        image.attrs.create("PALETTE", [colours.ref], dtype=h5py.ref_dtype)


def many_samples(path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    path.write_bytes(imagecodecs.jpeg2k_encode(np.zeros((12, 16, 5), "u1"), codecformat="jp2"))


def packed_mrc(path: Path) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(path.with_suffix("")) as file:
        file.set_data(PIXELS.astype("i2"))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))


def tiff(compression: int) -> Callable[[Path], None]:
    return lambda path: tiff_saying(path, compression, bytes(100), 8, 8)


def tagged(tag: int, value: int, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tifffile.imwrite(path, **{"data": PIXELS.astype("u1"), "photometric": "minisblack", **options})
        data = bytearray(path.read_bytes())
        (at,) = struct.unpack_from("<I", data, 4)
        (n,) = struct.unpack_from("<H", data, at)
        for i in range(n):
            if struct.unpack_from("<H", data, at + 2 + 12 * i)[0] == tag:
                struct.pack_into("<H", data, at + 2 + 12 * i + 8, value)
        path.write_bytes(data)

    return write


def packed_ndtiff(path: Path) -> Path:
    program_tiff_dialects.ndtiff(path)
    index = path / "run_1" / "NDTiff.index"
    data = bytearray(index.read_bytes())
    for match in re.finditer(rb"\.tif", bytes(data)):  # the last two of the numbers after the name
        struct.pack_into("<i", data, match.end() + 16, 1)
    index.write_bytes(data)
    return path / "run_1"


def part_of_a_set(path: Path) -> Path:
    written = ome_tiff_dialects.one_image_in_three_files(path)
    written.paths[1].unlink()
    return written.paths[0]


def nd2(**attributes: int) -> Callable[[Path], None]:
    return lambda path: write_nd2(path, frame, [time_loop(2)], [Plane("A")] * 2, attributes=attributes)


def parts_elsewhere(path: Path) -> None:
    with h5py.File(path.with_name("b.h5"), "w") as file:
        file["left"] = volume((4, 12, 8))
    with h5py.File(path, "w") as file:
        parts = h5py.VirtualLayout((4, 12, 16), "u2")
        parts[:, :, :8] = h5py.VirtualSource("b.h5", "/left", (4, 12, 8))
        file.create_virtual_dataset("parts", parts)


def deep(path: Path) -> None:
    pixels = np.zeros((2, 16, 16, 16), "u2")
    tifffile.imwrite(path, pixels, volumetric=True, tile=(16, 16, 16), photometric="minisblack")


def turned(path: Path) -> None:
    codecs = [
        {"name": "numcodecs.delta", "configuration": {"dtype": "<u2"}},
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "little"}},
    ]
    store(path, 3, codecs=codecs)


def stored_transformation(path: Path) -> None:
    group = zarr.create_group(str(path), zarr_format=2)
    group.create_array("0", data=PIXELS)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    transform = {"type": "scale", "path": "scales"}
    datasets = [{"path": "0", "coordinateTransformations": [transform]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def store(path: Path, version: int = 2, **changes: Any) -> None:
    array = zarr.create_array(str(path), shape=PIXELS.shape, chunks=(12, 16), dtype="u2", zarr_format=version)
    array[...] = PIXELS
    file = path / (".zarray" if version == 2 else "zarr.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def with_codec(name: str) -> Callable[[Path], None]:
    return lambda path: store(path, compressor={"id": name})


CASES = {
    # ND2
    "lossy ND2": Refused("Lossy ND2", nd2(eCompression=1), r"a\.nd2 uses lossy compression", "a.nd2"),
    "other axes of ND2": Refused(
        "ND2 axes other than time, position, z and channel",
        lambda path: write_nd2(path, frame, [custom_loop(3)], [Plane("A")] * 2),
        r"a\.nd2 has an axis other than time, position and z \(CustomLoop\)",
        "a.nd2",
    ),
    # HDF5
    "texts in HDF5": Refused(
        "non-numeric HDF5 types", hdf5(texts, "/names"), "/names contains text; only numbers"
    ),
    "a missing filter": Refused(
        "HDF5 filters other than gzip", missing_filter, "number 40000.*not installed: pip install hdf5plugin"
    ),
    "another loader": Refused(
        "BigDataViewer XML with images in other formats",
        other_loader,
        "images in 'bdv.n5' format; only those of",
    ),
    "virtual of virtual": Refused(
        "virtual datasets made of virtual datasets",
        hdf5(virtual, "/nested"),
        "inside another one: not supported",
    ),
    "virtual of parts": Refused(
        "or of parts of frames of other files",
        parts_elsewhere,
        "whole frames",
        options=(("allow_outside", "yes"),),
    ),
    "raw external storage": Refused("raw external storage", external, r"pixels in another file \('a.raw'\)"),
    "videos": Refused(
        "videos of NWB", video, r"a\.avi is not a supported dataset", options=(("allow_outside", "yes"),)
    ),
    "palettes": Refused(
        "Of palettes of HDF5 Image the indices are shown",
        palette,
        "/image is shown as numbers: its palette is not",
    ),
    "complex numbers": Refused(
        "complex numbers", hdf5(complex_numbers), "contains complex numbers; only real"
    ),
    "gzipped MRC": Refused(
        "gzipped MRC files", packed_mrc, "it looks like a gzip-compressed file", "a.mrc.gz"
    ),
    # TIFF
    "L*a*b*": Refused(
        "L*a*b* colours",
        tagged(262, 8, data=np.zeros((12, 16, 3), "u1"), photometric="rgb"),
        r"a\.tif has L\*a\*b\* colours, which are not supported: save it as RGB",
        "a.tif",
    ),
    "complex TIFF": Refused(
        "pixels that are complex or of more than 64 bits",
        lambda path: tifffile.imwrite(path, PIXELS.astype("c8")),
        r"a\.tif: pixel type complex64 is not supported",
        "a.tif",
    ),
    "depth": Refused("more than one z in a page", deep, r"a\.tif has pages of several z", "a.tif"),
    "NDTiff": Refused(
        "compressed NDTiff", packed_ndtiff, r"NDTiff\.index: compressed NDTiff is not supported", "run"
    ),
    "old JPEG": Refused("old-style JPEG", tiff(6), "compression number 6: not supported", "a.tif"),
    "samples": Refused(
        "JPEG 2000 of more than four samples", many_samples, "of 5 samples a pixel is not supported", "a.jp2"
    ),
    "JetRaw": Refused("JetRaw", tiff(48124), "compression number 48124: not supported", "a.tif"),
    "a part of a set": Refused(
        "A file of a set that is neither in the folder nor renamed there is missing",
        part_of_a_set,
        r"a_1\.ome\.tif does not exist, but .*a_0\.ome\.tif refers to it",
        "set",
    ),
    "shares": Refused(
        "Shares (`smb://`) work for single files only",
        lambda _: "smb://host/share/a.zarr",
        "a share must be mounted as a folder",
    ),
    # Zarr
    "pcodec": Refused("numcodecs' pcodec", with_codec("pcodec"), "codec 'pcodec' is not supported", "a.zarr"),
    "zfpy": Refused("zfpy", with_codec("zfpy"), "codec 'zfpy' is not supported", "a.zarr"),
    "jenkins": Refused(
        "jenkins_lookup3", with_codec("jenkins_lookup3"), "codec 'jenkins_lookup3' is not", "a.zarr"
    ),
    "codecs of texts": Refused(
        "codecs of texts and objects", with_codec("vlen-utf8"), "codec 'vlen-utf8' is not supported", "a.zarr"
    ),
    "objects": Refused(
        "codecs of texts and objects",
        lambda path: store(path, dtype="|O"),
        r"dtype '\|O' is not supported; it must be a number type",
        "a.zarr",
    ),
    "a filter and a transposition": Refused(
        "a filter together with a transposition in v3",
        turned,
        "a transposition with a filter is not",
        "a.zarr",
    ),
    "transformations in arrays": Refused(
        "transformations stored as arrays (ignored, with a warning)",
        stored_transformation,
        "ignored a scale that is stored in an array of its own",
        "a.zarr",
    ),
}


@pytest.mark.parametrize("case", [pytest.param(name, marks=each.marks) for name, each in CASES.items()])
def test_what_does_not_open_says_why(tmp_path: Path, case: str) -> None:
    refused = CASES[case]
    assert refused.words in DOCS, "as the documentation calls it"
    given = refused.write(tmp_path / refused.name)
    given = given if isinstance(given, str | Path) else tmp_path / refused.name
    said = []
    try:
        with open_dataset(given, storage_options=dict(refused.options)) as dataset:
            said += dataset.info.warnings
            for t in range(dataset.info.n_t):
                dataset.plane(t=t)
    except DatasetError as error:
        said.append(str(error))
    assert re.search(refused.said, " ".join(said)), said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html><body>Please log in</body></html>", "it looks like a web page saved in its place"),
        (b"", r"is empty( \(0 bytes\))?: |was it copied completely"),
        (b"nothing that is an image\n", r"is not (an?|valid) (?!supported)|is truncated: an MRC file"),
    ],
    ids=["page", "nothing", "text"],
)
def test_a_file_that_is_not_what_it_is_called_says_what_it_is(
    tmp_path: Path, server: RangeServer, content: bytes, said: str
) -> None:
    for ending in ("tif", "png", "nd2", "h5", "json", "lindi.json", "mrc", "ozx", "zarr.zip"):
        (tmp_path / f"a.{ending}").write_bytes(content)
        for where in (tmp_path / f"a.{ending}", server.url(f"a.{ending}")):
            with pytest.raises(DatasetError) as raised:
                open_dataset(where, storage_options={"disk_cache": "no"})
            message = str(raised.value)
            assert re.search(rf"a\.{ending}.*({said})", message), message
            assert "Error" not in message and "header" not in message.replace("has a header of", "")
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(DatasetNotFoundError, match=r"a\.dat is (not a supported dataset|empty)"):
        open_dataset(tmp_path / "a.dat")


def test_options_that_there_are_not_are_refused_also_for_what_is_on_this_computer(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS)
    for options in ({}, {"format": "tiff"}, {"pattern": "{z}.tif"}):
        with pytest.raises(DatasetError, match=r"unknown storage option 'endpont'; known are .*, axes"):
            open_dataset(tmp_path / "a.tif", storage_options={"endpont": "x", **options})
    open_dataset(tmp_path / "a.tif", storage_options={"disk_cache": "no", "endpoint": "x"}).close()


@needs_zarr_3
def test_a_plate_without_any_image_is_called_one(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.ome.zarr", {}, planned=["A/1", "A/2", "B/1"])
    with pytest.raises(DatasetError, match="a plate that lists 3 wells, without any image"):
        open_dataset(tmp_path / "p.ome.zarr")


def test_what_cannot_be_a_path_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"a\\x00b' is not a path: it contains a null character"):
        open_dataset(f"{tmp_path}/a\0b")


def test_single_pixels_are_no_images_of_hdf5(tmp_path: Path) -> None:
    hdf5(lambda file: file.create_dataset("a", data=np.ones((2, 1, 1), "u2")))(tmp_path / "a.h5")
    with pytest.raises(DatasetError, match=r"a\.h5 contains no .* more than one row and column"):
        open_dataset(tmp_path / "a.h5")
