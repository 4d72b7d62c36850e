"""OME-TIFFs: full of zeros from the start, written in place; and those of other writers."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tifffile
import tiffs

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    DatasetError,
    LimitExceededError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
    UntrustedReferenceError,
)
from ndviewer_light.metadata.ome_xml import ome_image
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.sources.tiff.source import TiffSource

    Open = Callable[[Path], TiffSource]

RED_GREEN_BLUE = np.stack([stores.plane(c=c, dtype="uint8") for c in range(3)], axis=-1)


# ---- OME-TIFF ------------------------------------------------


@pytest.mark.parametrize(("n_t", "n_z", "n_c"), [(1, 1, 1), (1, 3, 2), (3, 1, 2), (2, 3, 1), (1, 1, 2)])
def test_singleton_axes(tmp_path: Path, opened: Open, n_t: int, n_z: int, n_c: int) -> None:
    source = opened(tiffs.write_ome_files(tmp_path, {"A1": 1}, tiffs.CHANNELS[:n_c], n_t=n_t, n_z=n_z))
    assert source.info.sizes == {
        "t": n_t,
        "p": 1,
        "c": n_c,
        "z": n_z,
        "y": stores.HEIGHT,
        "x": stores.WIDTH,
    }
    tiffs.assert_shows_what_was_written(source)


@pytest.mark.parametrize("axes", ["TZCYX", "TCZYX", "ZTCYX", "ZCTYX", "CTZYX", "CZTYX"])
def test_every_order_of_dimensions(tmp_path: Path, opened: Open, axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": stores.HEIGHT, "X": stores.WIDTH}
    pixels = np.empty([sizes[axis] for axis in axes], np.uint16)
    for t, z, c in itertools.product(range(2), range(3), range(2)):
        at = {"T": t, "Z": z, "C": c}
        pixels[tuple(at[axis] for axis in axes[:3])] = stores.plane(t, 0, c, z)
    path = tiffs.ome_path(tmp_path, "A1", 0)
    path.parent.mkdir()
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": axes})
    tiffs.assert_shows_what_was_written(opened(tmp_path))


@pytest.mark.parametrize("schema", ["2016-06", "2015-01", "2013-06", "2011-06"])
def test_any_namespace(tmp_path: Path, opened: Open, schema: str) -> None:
    tiffs.write_ome_files(tmp_path, {"A1": 1})
    path = tiffs.ome_path(tmp_path, "A1", 0)
    tifffile.tiffcomment(path, tifffile.tiffcomment(path).replace("2016-06", schema).encode())
    (tmp_path / "acquisition_channels.yaml").unlink()
    source = opened(tmp_path)
    assert tiffs.names_of(source) == list(tiffs.CHANNELS)
    tiffs.assert_shows_what_was_written(source)


def test_calibration_of_the_file_where_the_acquisition_tells_none(tmp_path: Path, opened: Open) -> None:
    tiffs.write_ome_files(tmp_path, {"A1": 1})
    (tmp_path / "acquisition parameters.json").unlink()
    info = opened(tmp_path).info
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.5, 2.0, 5.0)


@pytest.mark.parametrize("inside", ["", "ome_tiff"])
def test_ome_files_inside_the_folders_of_time_points(tmp_path: Path, opened: Open, inside: str) -> None:
    for t in (0, 4):
        for p, fov in enumerate((0, 1)):
            path = tiffs.create_ome(tmp_path / str(t) / inside / f"A1_{fov}.ome.tif", n_t=1)
            for z, c in itertools.product(range(2), range(2)):
                tiffs.write_ome_plane(path, 0, z, c, stores.plane(t // 4, p, c, z))
    source = opened(tmp_path)
    assert source.info.times == (0, 4)
    assert source.info.sizes["p"] == 2
    tiffs.assert_shows_what_was_written(source)


def test_the_whole_run_inside_one_numbered_folder(tmp_path: Path, opened: Open) -> None:
    tiffs.write_ome_files(tmp_path, n_t=3)
    shutil.rmtree(tmp_path / "0")
    (tmp_path / "ome_tiff").rename(tmp_path / "0")
    source = opened(tmp_path)
    assert (source.info.n_t, source.info.times) == (3, ())
    tiffs.assert_shows_what_was_written(source)


def test_zeros_are_pixels_in_a_complete_file_and_unwritten_in_one_that_is_not(
    tmp_path: Path, opened: Open
) -> None:
    path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A1", 0))
    tiffs.write_ome_plane(path, 0, 0, 0, stores.plane())
    source = opened(tmp_path)
    assert source.info.complete is False
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    with pytest.raises(PlaneNotWrittenError) as said:
        source.read_plane(PlaneKey(t=1))
    assert said.value.plane_shape == (stores.HEIGHT, stores.WIDTH)
    tiffs.complete_ome(path, [(0, 0, 0)])
    assert not source.read_plane(PlaneKey(t=1)).any()


@pytest.mark.parametrize("missing", [np.s_[-3:], np.s_[-1, 20:], np.s_[-1, -8:]])
def test_a_plane_whose_end_is_missing_is_still_being_written(
    tmp_path: Path, opened: Open, missing: Any
) -> None:
    path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A1", 0))
    half = stores.plane()
    half[missing] = 0
    tiffs.write_ome_plane(path, 0, 0, 0, half)
    source = opened(tmp_path)
    with pytest.raises(PlaneNotWrittenError):
        source.read_plane(PlaneKey())
    tiffs.make_old(path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), half)


def test_what_the_writer_lists_is_written_and_nothing_else(tmp_path: Path, opened: Open) -> None:
    path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A1", 0))
    tiffs.write_ome_plane(path, 0, 0, 0, stores.plane())
    progress = tiffs.write_progress(tmp_path, "A1_0", [(1, 0, 1)])
    try:
        source = opened(tmp_path)
        assert not source.read_plane(PlaneKey(1, 0, 0, 1)).any()  # truly black
        with pytest.raises(PlaneNotWrittenError, match="not marked as written"):
            source.read_plane(PlaneKey())
        tiffs.write_progress(tmp_path, "A1_0", [(1, 0, 1), (0, 0, 0)])
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
        progress.write_text('{"written_indices": ["1-0-1", "0-0')  # just being rewritten
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    finally:
        progress.unlink()
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


@pytest.mark.parametrize("file", ["../secret.tif", "/etc/secret.tif", "..", "C:\\secret.tif"])
def test_pages_in_a_file_outside_the_folder_are_not_followed(tmp_path: Path, opened: Open, file: str) -> None:
    tiffs.write_ome_files(tmp_path / "run", {"A1": 1})
    tifffile.imwrite(tmp_path / "run" / "secret.tif", stores.plane())
    path = tiffs.ome_path(tmp_path / "run", "A1", 0)
    text = tifffile.tiffcomment(path)
    foreign = f'<TiffData IFD="0"><UUID FileName="{file}">urn:uuid:1</UUID></TiffData>'
    before, _, after = text.partition("<TiffData ")
    tifffile.tiffcomment(path, (before + foreign + after.partition("/>")[2]).encode())
    assert file in tifffile.tiffcomment(path)
    with pytest.raises(UntrustedReferenceError, match="not followed"):
        opened(tmp_path / "run")


def test_pages_in_a_file_beside_it(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "ome_tiff"
    folder.mkdir()
    for i in range(2):
        path = folder / f"A1_{i}.ome.tiff"
        data = "".join(
            f'<TiffData FirstZ="{z}" IFD="0"><UUID FileName="A1_{z}.ome.tiff">urn:uuid:{z}</UUID></TiffData>'
            for z in range(2)
        )
        text = (
            f'<OME xmlns="{tiffs.OME_NAMESPACE}"><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" '
            f'SizeT="1" SizeC="1" SizeZ="2" SizeX="{stores.WIDTH}" SizeY="{stores.HEIGHT}" Type="uint16">'
            f"{data}</Pixels></Image></OME>"
        )
        tifffile.imwrite(path, stores.plane(z=i), description=text, metadata=None)
    source = opened(folder / "A1_0.ome.tiff")
    for z in range(2):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), stores.plane(z=z))
    (folder / "A1_1.ome.tiff").unlink()
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=1))


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ('SizeZ="10000000" SizeT="100"', LimitExceededError),
        ('SizeZ="1000000000000000000000000" SizeT="1"', LimitExceededError),
        ('SizeZ="-1" SizeT="1"', DatasetError),
    ],
)
def test_absurd_sizes_are_refused(
    tmp_path: Path, opened: Open, sizes: str, error: type[DatasetError]
) -> None:
    tiffs.write_ome_files(tmp_path, {"A1": 1})
    path = tiffs.ome_path(tmp_path, "A1", 0)
    text = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, text.replace('SizeZ="2" SizeT="2"', sizes).encode())
    assert sizes in tifffile.tiffcomment(path)
    with pytest.raises(error):
        opened(tmp_path)


# ---- what OME-XML says ---------------------------------------------------------------------------


def xml(pixels: str, inside: str = "", root: str = "", image: str = "") -> str:
    """An OME-XML of one image."""
    return (
        f'<?xml version="1.0"?><OME xmlns="{tiffs.OME_NAMESPACE}" {root}><Image ID="Image:0" {image}>'
        f'<Pixels SizeX="8" SizeY="8" Type="uint8" {pixels}>{inside}</Pixels></Image></OME>'
    )


SIZES = 'SizeT="2" SizeC="3" SizeZ="4"'


@pytest.mark.parametrize(
    ("order", "page"),
    [("XYCZT", 1 + 3 * (2 + 4)), ("XYZCT", 2 + 4 * (1 + 3)), ("XYTZC", 1 + 2 * (2 + 4)), ("", 1 + 3 * 6)],
)
def test_the_page_of_a_plane_follows_the_order(order: str, page: int) -> None:
    image = ome_image(xml(f'{SIZES} DimensionOrder="{order}"'), "a.ome.tif")
    assert image is not None
    assert image.page(1, 1, 2) == ("", page)


def test_an_order_given_slowest_first_is_turned() -> None:
    said, turned = (ome_image(xml(f'{SIZES} DimensionOrder="{o}"'), "a") for o in ("XYCZT", "TZCYX"))
    assert said == turned


def test_tiff_data_say_which_page_is_which_plane() -> None:
    blocks = '<TiffData FirstZ="2" IFD="7" PlaneCount="2"/><TiffData IFD="1"/><TiffData FirstZ="1"/>'
    image = ome_image(xml('SizeT="1" SizeC="1" SizeZ="4" DimensionOrder="XYZCT"', blocks), "a")
    assert image is not None
    assert [image.page(0, 0, z) for z in range(5)] == [("", 1), ("", 0), ("", 7), ("", 8), None]


def test_channels_have_the_exposure_of_their_first_plane() -> None:
    inside = '<Channel ID="a"/><Channel ID="b"/><Channel ID="c"/><Channel ID="d"/>' + "".join(
        f'<Plane TheT="{t}" TheC="{c}" TheZ="0" ExposureTime="{exposure}"{unit}/>'
        for t, c, exposure, unit in (
            (0, 0, 0.05, ""),
            (0, 1, 120, ' ExposureTimeUnit="ms"'),
            (0, 2, "long", ""),
            (0, 3, 1, ' ExposureTimeUnit="frames"'),
            (1, 0, 0.2, ""),
        )
    )
    image = ome_image(xml('SizeT="2" SizeC="4" SizeZ="1"', inside), "a")
    assert image is not None
    assert [channel.exposure_ms for channel in image.described] == [50, 120, None, None]


def test_a_channel_in_colour_is_one_page() -> None:
    channel = '<Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
    image = ome_image(xml('SizeT="1" SizeC="3" SizeZ="1"', channel), "a")
    assert image is not None
    assert (image.n_c, image.channels) == (1, ("Channel:0:0",))


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("samples", ["", ' SamplesPerPixel="1"'], ids=["left out", "one each"])
@pytest.mark.parametrize(
    ("names", "n_c", "shown"),
    [
        (("DAPI", "GFP", "Cy5"), 1, {"rgb": ("DAPI", "GFP", "Cy5")}),
        (("Red", "Green", "Blue"), 1, {"rgb": ("Ch0 (R)", "Ch0 (G)", "Ch0 (B)")}),
        (
            ("HE", "HE 2", "HE 3", "FL", "FL 2", "FL 3"),
            2,
            {"rgb": tuple(f"{of} ({s})" for of in ("HE", "FL") for s in "RGB")},
        ),
    ],
    ids=["dyes", "colours", "two pages"],
)
def test_channels_of_one_sample_each_in_pages_of_three(
    tmp_path: Path, names: tuple[str, ...], n_c: int, shown: dict, samples: str, photometric: str
) -> None:
    """Three dyes are channels, as OME-XML says, also in pages of colours; colours are a picture."""
    if n_c > 1 and photometric != "rgb":
        pytest.skip("pages of several grey samples in several channels are refused")
    inside = "".join(f'<Channel ID="Channel:0:{c}" Name="{name}"{samples}/>' for c, name in enumerate(names))
    text = xml(f'SizeT="1" SizeC="{len(names)}" SizeZ="1" DimensionOrder="XYCZT"', inside + "<TiffData/>")
    text = text.replace('SizeX="8" SizeY="8"', f'SizeX="{stores.WIDTH}" SizeY="{stores.HEIGHT}"')
    pixels = np.stack([RED_GREEN_BLUE + 40 * c for c in range(n_c)])
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        for c, page in enumerate(pixels):
            writer.write(
                page,
                photometric=photometric,
                planarconfig="contig",
                description=None if c else text,
                metadata=None,
            )
    with open_dataset(tmp_path / "a.ome.tif") as dataset:
        found = [channel.name for channel in dataset.info.channels]
        assert tuple(found) == shown.get(photometric, names)
        for c in range(len(names)):
            assert np.array_equal(dataset.plane(c=c), pixels[c // 3, ..., c % 3])


@pytest.mark.parametrize(
    ("root", "image", "inside", "complete"),
    [
        ('Creator="tifffile.py 2026"', "", "", False),
        ('Creator="tifffile.py 2026"', 'AcquisitionDate="2026-01-01"', "", True),
        ('Creator="tifffile.py 2026"', "", '<Plane TheT="0" TheC="0" TheZ="0"/>', True),
        ('Creator="OME Bio-Formats 7"', "", "", True),
        ("", "", "", True),
    ],
)
def test_only_who_writes_zeros_first_must_say_that_it_is_done(
    root: str, image: str, inside: str, complete: bool
) -> None:
    said = ome_image(xml(SIZES, inside, root, image), "a")
    assert said is not None
    assert said.complete is complete


@pytest.mark.parametrize(
    "text",
    ["", "no XML", "<OME/>", '<!DOCTYPE a [<!ENTITY b "c">]>' + xml(SIZES), xml(SIZES)[:-5], "<a>" * 100_000],
)
def test_what_is_no_ome_xml_says_nothing(text: str) -> None:
    assert ome_image(text, "a") is None


@pytest.mark.parametrize("unit", [("ms", 0.0025), ("s", 2.5), ("min", 150.0), ("furlong", None)])
def test_time_steps_are_in_seconds(unit: tuple[str, float | None]) -> None:
    name, seconds = unit
    image = ome_image(xml(f'{SIZES} TimeIncrement="2.5" TimeIncrementUnit="{name}"'), "a")
    assert image is not None
    assert image.time_step_s == pytest.approx(seconds)


def test_a_reason_to_believe_no_ome_xml_names_the_file_once(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.full((8, 9), 1, "uint16"), ome=True)
    text = tifffile.tiffcomment(path).replace("FirstC", 'IFD="0" FirstC')
    outside = '<UUID FileName="../b.tif">urn:uuid:00000000-0000-0000-0000-000000000000</UUID></TiffData>'
    tifffile.tiffcomment(path, re.sub(r"<TiffData([^>]*)/>", rf"<TiffData\1>{outside}", text).encode())
    source = opened(path)
    assert source.read_plane(PlaneKey()).max() == 1
    (warning,) = source.info.warnings
    assert "outside its folder" in warning and warning.count(str(path)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<?xml version='1.0'?><OME><Image></OME>", "its OME-XML is damaged"),
        ('<!DOCTYPE OME [<!ENTITY x "y">]><OME><Image/></OME>', "declares a document type"),
    ],
)
def test_ome_xml_that_is_not_read_is_said_to_be(tmp_path: Path, opened: Open, text: str, said: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for z in range(3):
            file.write(np.full((20, 30), z, "u2"), description="" if z else text, metadata=None)
    source = opened(tmp_path / "a.ome.tif")
    assert source.info.n_z == 3
    assert said in " ".join(source.info.warnings)


def test_a_file_that_ends_before_its_second_page_says_so(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, np.arange(4 * 64 * 64, dtype="uint16").reshape(4, 64, 64), metadata={"axes": "ZYX"}
    )
    assert opened(path).info.n_z == 4 and not opened(path).info.warnings
    os.truncate(path, path.stat().st_size * 2 // 3)  # its OME-XML is at the end, as the other pages are
    tiffs.make_old(path)
    (warning,) = opened(path).info.warnings
    assert "a.ome.tif ends before a page that it announces" in warning
