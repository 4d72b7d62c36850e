"""Small real datasets of every format, each a folder, and what in it is opened."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the writers that other tests use

if TYPE_CHECKING:
    from collections.abc import Callable


class Sample(NamedTuple):
    """A dataset: its name, the path in its folder that is opened ("" for the folder), and who writes it."""

    name: str
    opened: str
    write: Callable[[Path], object]


def _consolidated(folder: Path, version: int) -> None:
    import json

    import stores

    stores.write_image(folder, version=version, sizes={"t": 1})
    names = ("zarr.json",) if version == 3 else (".zgroup", ".zattrs", ".zarray")
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.name in names):
        document = json.loads(path.read_text())
        inside = path.parent.relative_to(folder).as_posix()
        if version == 2:
            found[path.relative_to(folder).as_posix()] = document
        elif inside != ".":
            found[inside] = document
    if version == 2:
        stores.write_json(folder / ".zmetadata", {"zarr_consolidated_format": 1, "metadata": found})
        return
    document = json.loads((folder / "zarr.json").read_text())
    document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": found}
    stores.write_json(folder / "zarr.json", document)


def _archive(folder: Path) -> None:
    import zipfile

    import stores

    stores.write_plate(folder / "unpacked.zarr", {"A/1": 1, "B/2": 1}, sizes={"t": 1})
    with zipfile.ZipFile(folder / "a.ozx", "w") as archive:
        for i, path in enumerate(sorted((folder / "unpacked.zarr").rglob("*"))):
            how = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            archive.write(path, path.relative_to(folder / "unpacked.zarr").as_posix(), how)
    import shutil

    shutil.rmtree(folder / "unpacked.zarr")


def _tiff(name: str, **how: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import stores
        import tifffile

        pixels = np.stack([stores.plane(z=z) for z in range(6)])
        file: dict[str, object] = {
            key: how[key] for key in ("bigtiff", "byteorder", "imagej", "ome") if key in how
        }
        page = {key: value for key, value in how.items() if key not in file}
        tifffile.imwrite(folder / name, pixels, photometric="minisblack", **file, **page)  # type: ignore[arg-type]

    return write


def _pyramid(folder: Path) -> None:
    import stores
    import tifffile

    with tifffile.TiffWriter(folder / "a.ome.tif") as file:
        file.write(stores.plane(), subifds=1, photometric="minisblack", metadata={"axes": "YX"})
        file.write(stores.plane()[::2, ::2], subfiletype=1, photometric="minisblack")


def _squid_images(folder: Path) -> None:
    import tiffs

    tiffs.write_images(folder, {"A1": 1}, times=(0,))


def _squid_ome(folder: Path) -> None:
    import tiffs

    tiffs.write_ome_files(folder, {"A1": 1})
    for path in folder.rglob("*.tiff"):
        tiffs.make_old(path)


def _squid_stacks(folder: Path) -> None:
    import tiffs

    tiffs.write_stacks(folder, {"A1": 1})


def _pictures(end: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import stores
        from PIL import Image

        for t in range(2):
            Image.fromarray(stores.plane(t=t, dtype="u1")).save(folder / f"img_t{t:03}{end}")

    return write


def _hdf5(kind: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import hdf5_files
        import hdf5_mutants

        hdf5_files.write(folder / "a.h5", hdf5_mutants.DATA, **hdf5_mutants.KINDS[kind])

    return write


def _nwb(folder: Path) -> None:
    import hdf5_files

    data = hdf5_files.volume((3, 20, 30))
    hdf5_files.write_nwb(folder / "a.nwb", S={"data": data, "type": "TwoPhotonSeries", "rate": 30.0})


def _nd2(version: str, *, compressed: bool) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import nd2_mutants as made
        from nd2_writer import write_nd2

        write_nd2(
            folder / "a.nd2", made.frame, made.LOOPS, made.PLANES, version=version, compressed=compressed
        )

    return write


def _dialect(name: str, file: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import hdf5_dialects
        from hdf5_files import volume

        pixels = volume((1, 1, 2, 17, 19), "u2")
        given: dict[str, object] = {
            "write_mat73": {"img": pixels[0, 0, 0]},
            "write_imaris": {"data": pixels},
            "write_bigdataviewer": {"stacks": {(0, 0): pixels[0], (1, 0): pixels[0]}},
        }
        getattr(hdf5_dialects, name)(folder / file, **given[name])  # type: ignore[arg-type]

    return write


def _mrc(folder: Path) -> None:
    import stores

    raw = bytearray(1024)  # a header of MRC 2014, which mrcfile need not be installed for
    for at, value in (
        (0, 48),
        (4, 32),
        (8, 2),
        (12, 1),
        (28, 48),
        (32, 32),
        (36, 2),
        (64, 1),
        (68, 2),
        (72, 3),
    ):
        raw[at : at + 4] = value.to_bytes(4, "little")
    raw[88:92], raw[208:216] = (1).to_bytes(4, "little"), b"MAP DD\0\0"
    pixels = np.stack([np.resize(stores.plane(z=z), (32, 48)).astype("<i2") for z in range(2)])
    (folder / "a.mrc").write_bytes(bytes(raw) + pixels.tobytes())


def _legacy_nd2(folder: Path) -> None:
    import nd2_mutants as made
    from nd2_writer import write_legacy_nd2

    write_legacy_nd2(folder / "a.nd2", made.frame, made.LOOPS, made.PLANES)


def _references(folder: Path) -> None:
    import stores
    import tifffile

    from ndviewer_light.cli.references import write_references

    for t in range(2):
        tifffile.imwrite(
            folder / f"img_t{t}.tif", stores.plane(t=t), photometric="minisblack", compression="zlib"
        )
    with open(folder / "refs.json", "w") as file:
        write_references(str(folder), file)


def _zarr(name: str, opened: str = "", **how: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import stores

        getattr(stores, name)(folder, **how)

    return write


SMALL = {"t": 1, "z": 1}
SAMPLES = (
    Sample("zarr 3 image", "", _zarr("write_image", sizes=SMALL)),
    Sample("zarr 2 image", "", _zarr("write_image", sizes=SMALL, version=2)),
    Sample(
        "zarr tiled shards", "", _zarr("write_image", sizes=SMALL, tile=8, shard_channels=True, preset="best")
    ),
    Sample("zarr 3 pyramid", "", _zarr("write_pyramid")),
    Sample("zarr 2 pyramid", "", _zarr("write_pyramid", version=2)),
    Sample("zarr 3 plate", "", _zarr("write_plate", wells={"A/1": 1, "B/2": 1}, sizes=SMALL)),
    Sample("zarr 2 plate", "", _zarr("write_plate", wells={"A/1": 1, "B/2": 1}, sizes=SMALL, version=2)),
    Sample("zarr collection", "", _zarr("write_collection", n_series=2, sizes=SMALL)),
    Sample("zarr 6-D", "", lambda folder: _zarr("write_6d", regions={"A1": 2}, sizes=SMALL)(folder)),
    Sample("zarr 3 consolidated", "", lambda folder: _consolidated(folder, 3)),
    Sample("zarr 2 consolidated", "", lambda folder: _consolidated(folder, 2)),
    Sample("zip", "a.ozx", _archive),
    Sample("TIFF", "a.tif", _tiff("a.tif", metadata=None)),
    Sample(
        "TIFF tiles",
        "a.tif",
        _tiff("a.tif", metadata=None, compression="zlib", tile=(16, 16), predictor=True),
    ),
    Sample(
        "BigTIFF", "a.tif", _tiff("a.tif", bigtiff=True, byteorder=">", compression="lzw", rowsperstrip=5)
    ),
    Sample(
        "ImageJ", "a.tif", _tiff("a.tif", imagej=True, metadata={"axes": "ZYX", "unit": "um", "spacing": 2.0})
    ),
    Sample(
        "OME-TIFF", "a.ome.tif", _tiff("a.ome.tif", ome=True, metadata={"axes": "CYX"}, compression="zlib")
    ),
    Sample("TIFF pyramid", "a.ome.tif", _pyramid),
    Sample("TIFF folder", "", _tiff("img_z0.tif", metadata=None, compression="zlib")),
    Sample("Squid images", "", _squid_images),
    Sample("Squid OME-TIFF", "", _squid_ome),
    Sample("Squid stacks", "", _squid_stacks),
    Sample("PNG", "", _pictures(".png")),
    Sample("JPEG", "", _pictures(".jpg")),
    Sample("BMP", "", _pictures(".bmp")),
    *(Sample(f"HDF5 {kind}", "a.h5", _hdf5(kind)) for kind in range(5)),
    Sample("NWB", "a.nwb", _nwb),
    Sample("MATLAB", "a.mat", _dialect("write_mat73", "a.mat")),
    Sample("Imaris", "a.ims", _dialect("write_imaris", "a.ims")),
    Sample("BigDataViewer", "a.xml", _dialect("write_bigdataviewer", "a.h5")),
    Sample("MRC", "a.mrc", _mrc),
    Sample("ND2", "a.nd2", _nd2("3.0", compressed=False)),
    Sample("ND2 2.1, packed", "a.nd2", _nd2("2.1", compressed=True)),
    Sample("ND2 before 2010", "a.nd2", _legacy_nd2),
    Sample("references", "refs.json", _references),
)
