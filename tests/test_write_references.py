"""Existing images, written down as one virtual zarr: the same pixels to us, to fsspec and to zarr-python."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.cli.references import main, write_references
from ndviewer_light.errors import UntrustedReferenceError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.sources.references.source import ReferencesSource
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from pathlib import Path

HEIGHT, WIDTH = 48, 64


def picture(*index: int, dtype: Any = np.uint16, colours: int = 0) -> np.ndarray:
    """A picture that differs for every index."""
    shape = (HEIGHT, WIDTH, colours) if colours else (HEIGHT, WIDTH)
    return np.random.default_rng((5, *index)).integers(1, 250, shape).astype(dtype)


def write_tiff(path: Path, pixels: np.ndarray, **how: Any) -> None:
    """A TIFF, with its folder."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **{"metadata": None, "photometric": "minisblack", **how})


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """A PNG, JPEG or BMP, with its folder."""
    import PIL.Image

    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def by_zarr(path: Path, level: int = 0) -> np.ndarray:
    """What fsspec's reference file system and zarr-python make of a file of references."""
    fsspec = pytest.importorskip("fsspec")
    zarr = pytest.importorskip("zarr")
    imagecodecs = pytest.importorskip("imagecodecs.numcodecs")
    imagecodecs.register_codecs(verbose=False)
    if int(zarr.__version__.split(".")[0]) < 3:
        group = zarr.open(fsspec.filesystem("reference", fo=str(path)).get_mapper(""), mode="r")
        return np.asarray(group[str(level)][...])
    system = fsspec.filesystem("reference", fo=str(path), asynchronous=True)
    store = zarr.storage.FsspecStore(system, read_only=True)
    group = zarr.open_group(store, mode="r", zarr_format=2)
    return np.asarray(group[str(level)][...])


def by_us(path: Path | str, level: int = 0, **options: str) -> np.ndarray:
    """The same through our own source, (P, T, C, Z, Y, X)."""
    source = ReferencesSource.open(str(path), options)
    try:
        return planes(source, level)
    finally:
        source.close()


def planes(source: Any, level: int = 0) -> np.ndarray:
    """All planes, (P, T, C, Z, Y, X)."""
    sizes = source.info.sizes
    first = source.read_plane(PlaneKey(), level)
    found = np.zeros((sizes["p"], sizes["t"], sizes["c"], sizes["z"], *first.shape), first.dtype)
    for p, t, c, z in np.ndindex(found.shape[:4]):
        found[p, t, c, z] = source.read_plane(PlaneKey(t, p, c, z), level)
    return found


def of_images(path: Path | str, level: int = 0) -> np.ndarray:
    """What the images themselves show, (P, T, C, Z, Y, X)."""
    source = ImagesSource.open(str(path))
    try:
        return planes(source, level)
    finally:
        source.close()


def check(folder: Path | str, output: Path, *, is_colour: bool = False) -> None:
    """That references to a folder's images show the same planes, to us and to others."""
    assert main([str(folder), "-o", str(output)]) == 0
    expected = of_images(folder)
    np.testing.assert_array_equal(by_us(output), expected)
    others = by_zarr(output)
    if is_colour:  # (t, z, y, x, c)
        others = np.moveaxis(others, -1, -4)
    np.testing.assert_array_equal(others.reshape(expected.shape), expected)


TIFFS = [
    {},
    {"byteorder": ">"},
    {"compression": "zlib"},
    {"compression": "zlib", "predictor": True},
    {"compression": "lzw"},
    {"compression": "zstd"},
    {"compression": "packbits"},
    {"tile": (16, 32)},
    {"tile": (32, 48), "compression": "zlib", "predictor": True},
    {"rowsperstrip": 12, "compression": "zlib"},
    {"rowsperstrip": 48},
]


@pytest.mark.parametrize("how", TIFFS, ids=[json.dumps(how) for how in TIFFS])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiffs_of_many_pages(tmp_path: Path, how: dict[str, Any], dtype: Any) -> None:
    for t in range(2):
        stack = np.stack([picture(t, z, dtype=dtype) for z in range(3)])
        write_tiff(tmp_path / "run" / f"stack_t{t}.tif", stack, **how)
    check(tmp_path / "run", tmp_path / "refs.json")


def test_floats_with_their_predictor(tmp_path: Path) -> None:
    write_tiff(tmp_path / "run" / "a.tif", picture(1, dtype=np.float32), compression="zlib", predictor=3)
    check(tmp_path / "run" / "a.tif", tmp_path / "refs.json")


@pytest.mark.parametrize("end", ["png", "jpg", "bmp"])
def test_pictures(tmp_path: Path, end: str) -> None:
    for t in range(3):
        for c in ("DAPI", "GFP"):
            write_picture(tmp_path / "run" / f"img_{c}_t{t}.{end}", picture(t, len(c), dtype=np.uint8))
    check(tmp_path / "run", tmp_path / "refs.json")


@pytest.mark.parametrize("end", ["png", "tif", "bmp"])
def test_pictures_in_colour(tmp_path: Path, end: str) -> None:
    for t in range(3):
        path, pixels = tmp_path / "run" / f"img_{t}.{end}", picture(t, dtype=np.uint8, colours=3)
        if end == "tif":
            write_tiff(path, pixels, photometric="rgb")
        else:
            write_picture(path, pixels)
    check(tmp_path / "run", tmp_path / "refs.json", is_colour=True)


def test_pictures_with_alpha(tmp_path: Path) -> None:
    for t in range(2):
        write_picture(tmp_path / "run" / f"img_{t}.png", picture(t, dtype=np.uint8, colours=4))
    assert main([str(tmp_path / "run"), "-o", str(tmp_path / "refs.json")]) == 0
    np.testing.assert_array_equal(by_us(tmp_path / "refs.json"), of_images(tmp_path / "run"))
    assert by_zarr(tmp_path / "refs.json").shape[-1] == 4


def test_a_folder_as_squid_writes_it(tmp_path: Path) -> None:
    for t in range(2):
        for region in ("A1", "B12"):
            for z in range(2):
                for c, name in enumerate(("BF LED matrix full", "Fluorescence 405 nm Ex")):
                    file = f"{region}_0_{z}_{name.replace(' ', '_')}.tiff"
                    write_tiff(tmp_path / "run" / str(t) / file, picture(t, len(region), z, c))
    check(tmp_path / "run", tmp_path / "refs.json")
    source = ReferencesSource.open(str(tmp_path / "refs.json"))
    assert [position.label for position in source.info.positions] == ["A1:0", "B12:0"]
    assert source.info.channels[0].name == "BF_LED_matrix_full"
    source.close()


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    import tifffile

    full = np.random.default_rng(0).integers(0, 255, (512, 768), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        how: dict[str, Any] = {
            "tile": (128, 128),
            "compression": "zlib",
            "resolution": (1e4 / 0.5, 1e4 / 0.5),
        }
        meta = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(full, subifds=1, metadata=meta, **how)
        writer.write(full[::2, ::2], subfiletype=1, **how)
    assert main([str(tmp_path / "a.ome.tif"), "-o", str(tmp_path / "refs.json")]) == 0
    for level, expected in enumerate((full, full[::2, ::2])):
        np.testing.assert_array_equal(by_us(tmp_path / "refs.json", level)[0, 0, 0, 0], expected)
        np.testing.assert_array_equal(by_zarr(tmp_path / "refs.json", level)[0, 0, 0], expected)
    source = ReferencesSource.open(str(tmp_path / "refs.json"))
    assert (source.info.n_levels, source.info.pixel_size_um) == (2, 0.5)
    source.close()


def test_what_is_missing_stays_missing_and_what_differs_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for t, z in ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1)):
        write_tiff(tmp_path / "run" / f"t{t}_z{z}.tif", picture(t, z))
    write_tiff(tmp_path / "run" / "t2_z1.tif", np.ones((30, 20), np.uint16))
    (tmp_path / "run" / "t2_z0.tif").write_bytes(b"II")
    assert main([str(tmp_path / "run"), "-o", str(tmp_path / "refs.json")]) == 0
    said = capsys.readouterr().err
    assert "t2_z1.tif differs from the other images in size" in said and "t2_z0.tif" in said
    keys = json.loads((tmp_path / "refs.json").read_text())["refs"]
    assert [key for key in keys if key.startswith("0/") and key[2] != "."] == [
        "0/0.0.0.0.0",
        "0/0.0.1.0.0",
        "0/1.0.0.0.0",
    ]


@pytest.mark.parametrize("colours", [0, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("how", ["rewritten", "replaced"])
def test_a_file_that_was_written_again_is_read_anew(tmp_path: Path, colours: int, how: str) -> None:
    def write(n: int) -> np.ndarray:
        for t in range(2):
            if how == "replaced":
                (tmp_path / f"img_{t}.png").unlink(missing_ok=True)
            write_picture(tmp_path / f"img_{t}.png", picture(t, n, dtype=np.uint8, colours=colours))
        return picture(1, n, dtype=np.uint8, colours=colours).reshape(HEIGHT, WIDTH, -1)[..., -1]

    before = write(0)
    assert main([str(tmp_path), "-o", str(tmp_path / "refs.json")]) == 0
    with contextlib.closing(ReferencesSource.open(str(tmp_path / "refs.json"))) as source:
        key = PlaneKey(1, c=max(colours - 1, 0))
        np.testing.assert_array_equal(source.read_plane(key), before)
        now = write(1)
        np.testing.assert_array_equal(source.read_plane(key), now)


def test_names_with_braces_and_blanks(tmp_path: Path) -> None:
    for t in range(2):
        write_tiff(tmp_path / "my run" / f"a {{b}} t{t}.tif", picture(t))
    check(tmp_path / "my run", tmp_path / "refs.json")


def test_the_images_may_be_elsewhere_by_then(tmp_path: Path) -> None:
    for t in range(2):
        write_tiff(tmp_path / "run" / f"img_{t}.tif", picture(t), compression="zlib")
    with RangeServer(tmp_path) as server:
        arguments = [str(tmp_path / "run"), "-o", str(tmp_path / "refs.json"), "--root", server.url("run")]
        assert main(arguments) == 0
        np.testing.assert_array_equal(by_us(tmp_path / "refs.json"), of_images(tmp_path / "run"))
        np.testing.assert_array_equal(by_us(server.url("refs.json")), of_images(tmp_path / "run"))


def test_images_on_a_server(tmp_path: Path) -> None:
    for t in range(3):
        write_picture(tmp_path / "run" / f"img_{t}.png", picture(t, dtype=np.uint8))
    with RangeServer(tmp_path) as server:
        assert main([server.url("run/") + "img_{t:0..2}.png", "-o", str(tmp_path / "refs.json")]) == 0
        np.testing.assert_array_equal(by_us(tmp_path / "refs.json"), of_images(tmp_path / "run"))


def test_references_outside_their_folder_say_how_they_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiff(tmp_path / "run" / "img_0.tif", picture(0))
    (tmp_path / "other").mkdir()
    output = tmp_path / "other" / "refs.json"
    assert main([str(tmp_path / "run" / "img_0.tif"), "-o", str(output)]) == 0
    assert "allow_outside=yes" in capsys.readouterr().out
    with pytest.raises(UntrustedReferenceError):
        by_us(output)
    np.testing.assert_array_equal(by_us(output, **{"allow_outside": "yes"})[0, 0, 0, 0], picture(0))


@pytest.mark.parametrize(
    "how",
    [{"rowsperstrip": 13, "compression": "zlib"}, {"compression": "jpeg2000"}],
    ids=["uneven", "jpeg2000"],
)
def test_what_cannot_be_described_is_refused(
    tmp_path: Path, how: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagecodecs")
    write_tiff(tmp_path / "a.tif", picture(1), **how)
    assert main([str(tmp_path / "a.tif"), "-o", str(tmp_path / "refs.json")]) == 1
    assert "references cannot describe" in capsys.readouterr().err
    assert not (tmp_path / "refs.json").exists()


@pytest.mark.parametrize("form", ["flat", "folders"])
def test_groups_of_pictures_in_colour(tmp_path: Path, form: str) -> None:
    """Plants × days × views × frames: positions × time points × channels × z."""
    form = {"flat": "{p}_day{t}_{c}_frame{z}.png", "folders": "{p}/day{t}/{c}/frame{z}.png"}[form]
    plants, days, views, frames = ("barley", "maize", "rice"), (1, 2), ("side", "top", "turned"), (0, 1)
    pixels = np.zeros((3, 2, 3, 2, HEIGHT, WIDTH, 3), np.uint8)
    for at in np.ndindex(pixels.shape[:4]):
        p, t, c, z = at
        pixels[at] = picture(*at, dtype=np.uint8, colours=3)
        name = form.format(p=plants[p], t=days[t], c=views[c], z=frames[z])
        write_picture(tmp_path / "images" / name, pixels[at])
    pattern = form.replace("{t}", "{t:d}").replace("{z}", "{z:d}")
    with open(tmp_path / "refs.json", "w") as file:
        write_references(str(tmp_path / "images"), file, {"pattern": pattern})
    np.testing.assert_array_equal(by_zarr(tmp_path / "refs.json"), pixels)
    source = ReferencesSource.open(str(tmp_path / "refs.json"))
    assert [position.region for position in source.info.positions] == list(plants)
    assert [channel.name for channel in source.info.channels] == [
        f"{view} ({colour})" for view in views for colour in "RGB"
    ]
    found = planes(source).reshape(3, 2, 3, 3, 2, HEIGHT, WIDTH)
    np.testing.assert_array_equal(np.moveaxis(found, 3, -1), pixels)
    source.close()


def test_what_is_no_image_is_said_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "-o", str(tmp_path / "refs.json")]) == 1
    assert "contains no images" in capsys.readouterr().err


def test_nothing_of_the_dataset_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("img_0.tif", "img_1.tif"):
        write_tiff(tmp_path / name, picture(1))
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for output, path, said in [
        ("img_0.tif", tmp_path, "is a file of the dataset"),
        ("img_0.tif", tmp_path / "img_0.tif", "is a file of the dataset"),
        ("notes.json", tmp_path, "is a file of the dataset"),
        ("folder", tmp_path, "expected the name of a file"),
    ]:
        with pytest.raises(SystemExit):
            main([str(path), "-o", str(tmp_path / output)])
        assert said in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for _ in range(2):  # what it wrote itself it may write again
        assert main([str(tmp_path), "-o", str(tmp_path / "refs.json")]) == 0
