"""The module functions that hosts and scripts import from `ndviewer_light.core`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light import core

if TYPE_CHECKING:
    from pathlib import Path

OME_2016 = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
OME_2013 = "http://www.openmicroscopy.org/Schemas/OME/2013-06"


def ome_xml(pixels: str, namespace: str = f' xmlns="{OME_2016}"') -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><OME{namespace}><Image ID="Image:0">{pixels}</Image></OME>'


def test_importing_core_imports_nothing_heavy() -> None:
    heavy = ["qtpy", "PyQt5", "PyQt6", "ndv", "tensorstore", "dask", "xarray", "tifffile"]
    code = f"import sys, ndviewer_light.core; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_core_has_no_other_names_than_it_says() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        core.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIFF_EXTENSIONS", {".tif", ".tiff"}),
        ("LIVE_REFRESH_INTERVAL_MS", 750),
        ("SLIDER_PLAY_INTERVAL_MS", 100),
        ("ZARR_LOAD_DEBOUNCE_MS", 200),
        ("PLANE_CACHE_MAX_MEMORY_BYTES", 256 * 1024**2),
        ("MAX_3D_TEXTURE_SIZE", 2048),
        ("CHANNEL_LABEL_UPDATE_MAX_RETRIES", 20),
        ("CHANNEL_LABEL_UPDATE_RETRY_DELAY_MS", 100),
    ],
)
def test_constants_that_hosts_read(name: str, value: object) -> None:
    assert getattr(core, name) == value


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("A1_0_0_BF_LED_matrix_full.tiff", ("A1", "0", "0", "BF_LED_matrix_full")),
        ("A1_0_0_Fluorescence_488_nm_Ex.tif", ("A1", "0", "0", "Fluorescence_488_nm_Ex")),
        ("AA12_003_0_405.TIFF", ("AA12", "003", "0", "405")),
        ("manual0_2_3_BF.tiff", ("manual0", "2", "3", "BF")),
        ("A1_0_0_a.b.tiff", ("A1", "0", "0", "a.b")),
        ("A1_0_stack.tiff", None),
        ("A1_0_0_laser af camera.bmp", None),
        ("A1_0_0_.tiff", None),
    ],
)
def test_names_of_single_tiffs(name: str, groups: tuple[str, ...] | None) -> None:
    found = core.FPATTERN.search(name)
    assert (found and found.group("r", "f", "z", "c")) == groups


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("A1_0.ome.tiff", ("A1", "0")),
        ("A1_12.OME.TIF", ("A1", "12")),
        ("my well_3.ome.tiff", ("my well", "3")),
        ("random_file.ome.tif", None),
        ("A1.ome.tiff", None),
        ("A1_0.ome.btf", None),
    ],
)
def test_names_of_ome_tiffs(name: str, groups: tuple[str, ...] | None) -> None:
    found = core.FPATTERN_OME.search(name)
    assert (found and found.group("r", "f")) == groups


ALL_THREE = 'PhysicalSizeX="0.325" PhysicalSizeY="0.325" PhysicalSizeZ="1.5"'


def in_unit(unit: str, size: str = "650") -> str:
    return f'<Pixels PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}"/>'


@pytest.mark.parametrize(
    ("xml", "sizes"),
    [
        pytest.param(ome_xml(f"<Pixels {ALL_THREE}/>"), (0.325, 0.325, 1.5), id="no unit is um"),
        pytest.param(ome_xml(f"<Pixels {ALL_THREE}/>", ""), (0.325, 0.325, 1.5), id="no namespace"),
        pytest.param(
            ome_xml(f"<Pixels {ALL_THREE}/>", f' xmlns="{OME_2013}"'), (0.325, 0.325, 1.5), id="2013"
        ),
        pytest.param(
            ome_xml(f"<Pixels {ALL_THREE}/>", ' xmlns="urn:other"'), (0.325, 0.325, 1.5), id="other namespace"
        ),
        pytest.param(ome_xml('<Pixels PhysicalSizeX="0.5"/>'), (0.5, None, None), id="partial"),
        pytest.param(ome_xml("<Pixels/>"), (None, None, None), id="none told"),
        pytest.param(
            ome_xml(f'<Pixels PhysicalSizeX="1"/><Pixels {ALL_THREE}/>'), (1, None, None), id="first"
        ),
        pytest.param(
            ome_xml('<Pixels PhysicalSizeX="0" PhysicalSizeY="-1" PhysicalSizeZ="2"/>'),
            (None, None, 2),
            id="positive",
        ),
        pytest.param(
            ome_xml('<Pixels PhysicalSizeX="nan" PhysicalSizeY="inf" PhysicalSizeZ="x"/>'),
            (None, None, None),
            id="not numbers",
        ),
        pytest.param(ome_xml(in_unit("nm")), (0.65, None, None), id="nm"),
        pytest.param(ome_xml(in_unit("Nanometers")), (0.65, None, None), id="nanometers"),
        pytest.param(ome_xml(in_unit("mm", "0.001")), (1, None, None), id="mm"),
        pytest.param(ome_xml(in_unit("m", "1e-6")), (1, None, None), id="m"),
        pytest.param(ome_xml(in_unit("µm", "0.65")), (0.65, None, None), id="um"),
        pytest.param(ome_xml(in_unit("smoot", "0.65")), (None, None, None), id="a unit that nobody knows"),
        pytest.param(ome_xml(in_unit("pixel", "1")), (None, None, None), id="pixel is no length"),
        pytest.param("", (None, None, None), id="empty"),
        pytest.param(None, (None, None, None), id="nothing"),
        pytest.param("<OME><Pixels", (None, None, None), id="not xml"),
        pytest.param("\x00\ud800", (None, None, None), id="not text"),
        pytest.param(
            f'<!DOCTYPE OME [<!ENTITY a "1">]><OME><Pixels PhysicalSizeX="&a;" {ALL_THREE[22:]}/></OME>',
            (None, None, None),
            id="entities are refused",
        ),
        pytest.param("<a>" * 100_000, (None, None, None), id="deep and broken"),
        pytest.param("<a>" * 100_000 + "</a>" * 100_000, (None, None, None), id="deep"),
    ],
)
def test_ome_xml_tells_sizes_in_um(xml: Any, sizes: tuple[float | None, ...]) -> None:
    assert core.extract_ome_physical_sizes(xml) == pytest.approx(sizes)


SQUID_PARAMETERS = {
    "sensor_pixel_size_um": 3.76,
    "tube_lens_mm": 200,
    "objective": {"magnification": 20, "tube_lens_f_mm": 180},
}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"pixel_size_um": 0.325, "dz_um": 1.5}, (0.325, 1.5), id="plain"),
        pytest.param({"pixel_size": 0.5, "z_step": 2.0}, (0.5, 2.0), id="aliases"),
        pytest.param({"pixelSize": "0.5", "dz": 3}, (0.5, 3.0), id="a number as text"),
        pytest.param({"pixel_size_um": 0.325}, (0.325, None), id="pixel size only"),
        pytest.param({"dz(um)": 1.5}, (None, 1.5), id="as Squid writes it"),
        pytest.param({}, (None, None), id="empty"),
        pytest.param(
            {"sensor_pixel_size_um": 3.76, "objective": {"magnification": 20}}, (0.188, None), id="no lens"
        ),
        pytest.param(SQUID_PARAMETERS, (3.76 / (20 * 200 / 180), None), id="another tube lens"),
        pytest.param({**SQUID_PARAMETERS, "tube_lens_mm": 180}, (0.188, None), id="equal tube lens"),
        pytest.param({**SQUID_PARAMETERS, "pixel_size_um": 0.5}, (0.5, None), id="direct beats computed"),
        pytest.param(
            {"pixel_size_um": 1000, "pixel_size": 0.5}, (0.5, None), id="implausible is passed over"
        ),
        pytest.param({"pixel_size_um": 0.01, "dz_um": 0}, (None, None), id="too small"),
        pytest.param({"pixel_size_um": True, "dz_um": "x"}, (None, None), id="no numbers"),
        pytest.param({"pixel_size_um": None, "dz_um": -1, "dz": 2}, (None, 2.0), id="null and negative"),
        pytest.param(
            {"sensor_pixel_size_um": 3.76, "objective": {"magnification": 0}}, (None, None), id="x0"
        ),
        pytest.param(
            {"sensor_pixel_size_um": 3.76, "objective": "20x"}, (None, None), id="objective as text"
        ),
        pytest.param({"pixel_size_um": 10**400}, (None, None), id="an integer too large for a float"),
        pytest.param([1], (None, None), id="no object"),
    ],
)
@pytest.mark.parametrize("name", ["acquisition parameters.json", "acquisition_parameters.json"])
def test_parameters_file_tells_pixel_size_and_z_step(
    tmp_path: Path, name: str, parameters: object, expected: tuple[float | None, float | None]
) -> None:
    (tmp_path / name).write_text(json.dumps(parameters))
    assert core.read_acquisition_parameters(tmp_path) == pytest.approx(expected)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"pixel_size_um": 1}' + b" " * 2**20]
)
def test_a_broken_parameters_file_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "acquisition parameters.json").write_bytes(content)
    assert core.read_acquisition_parameters(tmp_path) == (None, None)


def test_a_missing_parameters_file_tells_nothing(tmp_path: Path) -> None:
    assert core.read_acquisition_parameters(tmp_path / "missing") == (None, None)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param({"resolution": (78740, 78740), "resolutionunit": "INCH"}, 25400 / 78740, id="inch"),
        pytest.param(
            {"resolution": (30769, 30769), "resolutionunit": "CENTIMETER"}, 10_000 / 30769, id="centimetre"
        ),
        pytest.param({"resolution": (30769, 30769), "resolutionunit": "NONE"}, None, id="a mere ratio"),
        pytest.param({"resolution": (1, 1), "resolutionunit": "INCH"}, None, id="one per inch is no size"),
        pytest.param({"resolution": (2, 1), "resolutionunit": "INCH"}, None, id="implausible"),
        pytest.param({"description": '{"pixel_size_um": 0.5}'}, 0.5, id="description"),
        pytest.param({"description": '{"pixel_size_um": 5e5, "PixelSize": 0.5}'}, 0.5, id="second key"),
        pytest.param({"description": '{"shape": [8, 8]}'}, None, id="as Squid writes it"),
        pytest.param({"description": "[0.5]"}, None, id="no object"),
        pytest.param({"description": "pixel size 0.5"}, None, id="no json"),
        pytest.param(
            {"description": "{}", "resolution": (30769, 30769), "resolutionunit": "CENTIMETER"},
            10_000 / 30769,
            id="both",
        ),
        pytest.param({}, None, id="no tags"),
    ],
)
def test_tiff_tags_tell_pixel_size(tmp_path: Path, tags: dict[str, Any], expected: float | None) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16), metadata=None, **tags)
    assert core.read_tiff_pixel_size(str(path)) == pytest.approx(expected)


@pytest.mark.parametrize("content", [None, b"", b"II*\0\xff\xff\xff\x7f", b"no tiff at all"])
def test_what_is_no_tiff_has_no_pixel_size(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.tiff"
    if content is not None:
        path.write_bytes(content)
    assert core.read_tiff_pixel_size(str(path)) is None


def test_without_tifffile_there_is_no_pixel_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert core.read_tiff_pixel_size(str(tmp_path / "a.tiff")) is None


ATTRS = {"channel_names": ["BF", "488"], "luts": {0: "gray", 1: "green"}}


def data_array(
    dims: str = "tzcyx", dtype: type = np.uint16, attrs: dict[str, Any] | None = None, **sizes: int
) -> Any:
    xarray = pytest.importorskip("xarray")
    names = {"t": "time", "z": "z", "c": "channel", "y": "y", "x": "x", "f": "fov"}
    lengths = {"t": 2, "z": 3, "c": 2, "y": 8, "x": 9, "f": 4, **sizes}
    array = np.zeros([lengths[d] for d in dims], dtype)
    return xarray.DataArray(array, dims=[names[d] for d in dims], attrs=ATTRS if attrs is None else attrs)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        pytest.param({}, {}, False, id="the same"),
        pytest.param({}, {"t": 9, "z": 9, "y": 4, "x": 5}, False, id="grown"),
        pytest.param({"dims": "fcyx"}, {"dims": "fcyx", "f": 9}, False, id="more fields"),
        pytest.param({"dims": "zyx"}, {"dims": "zyx"}, False, id="no channels on both sides"),
        pytest.param(
            {"attrs": {}}, {"attrs": {"luts": {}, "channel_names": []}}, False, id="empty is missing"
        ),
        pytest.param({}, {"c": 3}, True, id="more channels"),
        pytest.param({}, {"dims": "tzyx"}, True, id="channels gone"),
        pytest.param({"dims": "zcyx"}, {}, True, id="another dimension"),
        pytest.param({}, {"dims": "ztcyx"}, True, id="another order"),
        pytest.param({}, {"dtype": np.uint8}, True, id="another dtype"),
        pytest.param({}, {"attrs": {**ATTRS, "channel_names": ["BF", "561"]}}, True, id="another name"),
        pytest.param({}, {"attrs": {**ATTRS, "luts": {0: "gray", 1: "red"}}}, True, id="another colour"),
        pytest.param({"attrs": {}}, {}, True, id="names and colours added"),
        pytest.param({}, {"attrs": {}}, True, id="names and colours removed"),
    ],
)
def test_what_needs_a_new_viewer(old: dict[str, Any], new: dict[str, Any], changed: bool) -> None:
    assert core.data_structure_changed(data_array(**old), data_array(**new)) is changed


def test_the_first_data_needs_a_new_viewer() -> None:
    assert core.data_structure_changed(None, data_array())


def test_what_is_no_data_array_is_an_error() -> None:
    with pytest.raises(AttributeError):
        core.data_structure_changed(object(), data_array())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("zarr.json", 3),
        (".zgroup", 2),
        (".zarray", 2),
        ("0/zarr.json", 3),
        ("0/.zarray", 2),
        ("1/zarr.json", None),
    ],
)
def test_zarr_version_shows_in_file_names(tmp_path: Path, file: str, version: int | None) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    assert core.detect_zarr_version(tmp_path) == version


@pytest.mark.parametrize("path", ["/nowhere/at/all", "\0"])
def test_what_is_no_path_is_no_zarr(path: str) -> None:
    assert core.detect_zarr_version(path) is None


@pytest.mark.parametrize(
    ("base", "files", "expected"),
    [
        pytest.param("", ["plate.zarr/A/1/0/acquisition.zarr/0/zarr.json"], "zarr_v3", id="old plate"),
        pytest.param("", ["plate.ome.zarr/zarr.json"], "zarr_v3", id="plate"),
        pytest.param("", ["zarr/A1/acquisition.zarr/zarr.json"], "zarr_v3", id="6d"),
        pytest.param("", ["zarr/A1/fov_0.zarr/zarr.json"], "zarr_v3", id="old field"),
        pytest.param("", ["zarr/A1/fov_0.ome.zarr/zarr.json"], "zarr_v3", id="field"),
        pytest.param("a.ome.zarr", ["a.ome.zarr/zarr.json"], "zarr_v3", id="bare"),
        pytest.param("a.zarr", ["a.zarr/.zarray"], "zarr_v3", id="bare v2"),
        pytest.param("", ["ome_tiff/test_0.ome.tiff"], "ome_tiff", id="ome_tiff"),
        pytest.param("", ["0/A1_0.ome.TIF", "1/x.txt"], "ome_tiff", id="ome-tiff in the first timepoint"),
        pytest.param("", ["0/A1_0_0_BF.tiff", "10/A1_0.ome.tif"], "single_tiff", id="single tiff"),
        pytest.param("", ["zarr/.hidden/a.zarr/zarr.json"], "single_tiff", id="hidden region"),
        pytest.param("", [], "single_tiff", id="nothing known"),
    ],
)
def test_format_shows_in_file_names(tmp_path: Path, base: str, files: list[str], expected: str) -> None:
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert core.detect_format(tmp_path / base) == expected


def test_the_format_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        core.detect_format(tmp_path / "missing")
