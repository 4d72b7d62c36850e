"""What scripts ask of Zarr stores by themselves: discovery, metadata, an opened array."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.core import discover_zarr_v3_fovs, open_zarr_tensorstore, parse_zarr_v3_metadata

if TYPE_CHECKING:
    from pathlib import Path

AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
]


def scale(*values: float | None) -> dict[str, Any]:
    return {"type": "scale", "scale": list(values)}


def multiscale(
    *transforms: Any, outer: list[Any] | None = None, axes: list[Any] | None = None
) -> dict[str, Any]:
    return {
        "axes": AXES if axes is None else axes,
        "datasets": [{"path": "0", "coordinateTransformations": list(transforms)}],
        **({} if outer is None else {"coordinateTransformations": outer}),
    }


def in_unit(unit: str) -> list[dict[str, Any]]:
    return [{**axis, "unit": unit} if axis["type"] == "space" else axis for axis in AXES]


def write_group(path: Path, attributes: dict[str, Any] | None = None) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes or {}}
    (path / "zarr.json").write_text(json.dumps(document))
    return path


def write_array(path: Path, shape: tuple[int, ...], version: int = 3) -> np.ndarray:
    """Write an array of `shape` in which every value differs, and return it."""
    import tensorstore as ts

    pixels = np.arange(1, np.prod(shape) + 1, dtype=np.uint16).reshape(shape)
    spec = {"driver": "zarr3" if version == 3 else "zarr", "kvstore": {"driver": "file", "path": f"{path}/"}}
    ts.open(spec, create=True, dtype=ts.uint16, shape=shape).result().write(pixels).result()
    return pixels


# ---- discovery ------------------------------------------------------------------------------


def stores_of(base: Path) -> tuple[list[tuple[str, int, str]], str]:
    found, structure = discover_zarr_v3_fovs(base)
    return [(fov["region"], fov["fov"], fov["path"].relative_to(base).as_posix()) for fov in found], structure


@pytest.mark.parametrize("inner", ["", "0/"])
def test_plates_of_older_squid(tmp_path: Path, inner: str) -> None:
    for well in ("A/1", "A/2", "B/1", "B/2"):
        for field in "01":
            write_group(tmp_path / f"plate.zarr/{well}/{field}/{inner}acquisition.zarr")
    stores, structure = stores_of(tmp_path)
    assert structure == "hcs_plate"
    assert len(stores) == 8
    assert stores[0] == ("A1", 0, f"plate.zarr/A/1/0/{inner}acquisition.zarr")


def test_plates_without_plate_metadata(tmp_path: Path) -> None:
    for well in ("A/1", "A/2", "B/1", "B/2"):
        for field in "01":
            (tmp_path / f"plate.ome.zarr/{well}/{field}/0").mkdir(parents=True)
    stores, structure = stores_of(tmp_path)
    assert structure == "hcs_plate"
    assert len(stores) == 8
    assert stores[0] == ("A1", 0, "plate.ome.zarr/A/1/0")


def test_wells_and_fields_come_in_natural_order(tmp_path: Path) -> None:
    for well in ("AA/1", "A/10", "A/2", "Z/1"):
        for field in ("10", "2"):
            (tmp_path / f"plate.ome.zarr/{well}/{field}/0").mkdir(parents=True)
    stores, _ = stores_of(tmp_path)
    assert [(region, fov) for region, fov, _ in stores] == [
        (region, fov) for region in ("A2", "A10", "Z1", "AA1") for fov in (2, 10)
    ]


@pytest.mark.parametrize("suffix", [".zarr", ".ome.zarr"])
def test_one_store_per_field(tmp_path: Path, suffix: str) -> None:
    for fov in (10, 0, 2):
        write_group(tmp_path / f"zarr/region_1/fov_{fov}{suffix}")
    assert stores_of(tmp_path) == (
        [("region_1", fov, f"zarr/region_1/fov_{fov}{suffix}") for fov in (0, 2, 10)],
        "per_fov",
    )


def test_every_region_of_a_6d_run_is_found_once(tmp_path: Path) -> None:
    for region, n_fovs in (("B10", 2), ("B2", 3)):
        write_array(tmp_path / f"zarr/{region}/acquisition.zarr", (n_fovs, 1, 1, 1, 4, 4))
    assert stores_of(tmp_path) == (
        [("B2", 0, "zarr/B2/acquisition.zarr"), ("B10", 0, "zarr/B10/acquisition.zarr")],
        "6d",
    )


def test_a_6d_store_is_found_before_its_array_is_written(tmp_path: Path) -> None:
    write_group(tmp_path / "zarr/region_1/acquisition.zarr")
    (tmp_path / "zarr/region_2/acquisition.zarr").mkdir(parents=True)
    assert stores_of(tmp_path) == (
        [
            ("region_1", 0, "zarr/region_1/acquisition.zarr"),
            ("region_2", 0, "zarr/region_2/acquisition.zarr"),
        ],
        "6d",
    )


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr"])
@pytest.mark.parametrize("has_array", [False, True])
def test_a_store_by_itself_is_its_own_only_store(tmp_path: Path, name: str, has_array: bool) -> None:
    base = write_group(tmp_path / name)
    if has_array:
        write_array(base / "0", (1, 1, 1, 4, 4))
    assert discover_zarr_v3_fovs(base) == ([{"region": "default", "fov": 0, "path": base}], "6d")


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_where_nothing_can_be_found_the_structure_is_unknown(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    assert discover_zarr_v3_fovs(tmp_path) == ([], "unknown")


@pytest.mark.parametrize("path", ["/nowhere/at/all", "a\0b"])
def test_a_path_that_is_none_holds_no_stores(path: str) -> None:
    assert discover_zarr_v3_fovs(path) == ([], "unknown")


# ---- metadata -------------------------------------------------------------------------------

NOTHING = {
    "axes": [],
    "pixel_size_um": None,
    "dz_um": None,
    "channel_names": [],
    "channel_colors": [],
    "acquisition_complete": False,
}
CALIBRATED = multiscale(scale(1, 1, 2.0, 0.325, 0.325))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({"ome": {"multiscales": [CALIBRATED]}}, (0.325, 2.0), id="scale of the level"),
        pytest.param({"multiscales": [CALIBRATED]}, (0.325, 2.0), id="at the root"),
        pytest.param(
            {
                "ome": {
                    "multiscales": [multiscale(scale(1, 1, 2.0, 0.325, 0.325), outer=[{"type": "identity"}])]
                }
            },
            (0.325, 2.0),
            id="an identity hides nothing",
        ),
        pytest.param(
            {
                "ome": {
                    "multiscales": [multiscale(scale(1, 1, 2, 0.5, 0.5), outer=[scale(1, 1, 3, 0.5, 0.5)])]
                }
            },
            (0.25, 6.0),
            id="both levels are multiplied",
        ),
        pytest.param(
            {"ome": {"multiscales": [multiscale(outer=[scale(1, 1, 2.0, 0.325, 0.325)])]}},
            (0.325, 2.0),
            id="scale of all levels only",
        ),
        pytest.param(
            {"ome": {"multiscales": [multiscale(scale(1, 1, 2000, 325, 325), axes=in_unit("nanometer"))]}},
            (0.325, 2.0),
            id="nanometres",
        ),
        pytest.param(
            {
                "ome": {
                    "multiscales": [multiscale(scale(1, 1, 2e-3, 325e-6, 325e-6), axes=in_unit("millimeter"))]
                }
            },
            (0.325, 2.0),
            id="millimetres",
        ),
        pytest.param(
            {"ome": {"multiscales": [CALIBRATED]}, "_squid": {"pixel_size_um": 0.5, "z_step_um": 3.0}},
            (0.5, 3.0),
            id="Squid's own figures come first",
        ),
        pytest.param(
            {"multiscales": [CALIBRATED], "_squid_metadata": {"pixel_size_um": 0.5, "z_step_um": 3.0}},
            (0.5, 3.0),
            id="older Squid's too",
        ),
        pytest.param(
            {"ome": {"multiscales": [CALIBRATED]}, "_squid": {"pixel_size_um": None, "z_step_um": None}},
            (0.325, 2.0),
            id="null says nothing",
        ),
        pytest.param(
            {"_squid": {"pixel_size_um": 0.5, "z_step_um": 3.0}}, (0.5, 3.0), id="Squid's figures only"
        ),
        pytest.param(
            {"ome": {"multiscales": [multiscale(scale(1, 1, None, "x", -1))]}}, (None, None), id="no numbers"
        ),
        pytest.param({"ome": {"multiscales": [multiscale()]}}, (None, None), id="no scale"),
    ],
)
def test_calibration_in_um(tmp_path: Path, attributes: dict[str, Any], expected: tuple[float, float]) -> None:
    said = parse_zarr_v3_metadata(write_group(tmp_path / "a.zarr", attributes))
    assert (said["pixel_size_um"], said["dz_um"]) == pytest.approx(expected)


def test_axes_names_and_colours_are_as_written(tmp_path: Path) -> None:
    channels = [
        {"label": "DAPI", "name": "other", "color": "0000FF"},
        {"name": "GFP", "color": "#00ff00"},
        {"color": 0xFF0000},
        {"label": None, "color": None},
    ]
    attributes = {"ome": {"multiscales": [CALIBRATED], "omero": {"channels": channels}}}
    said = parse_zarr_v3_metadata(write_group(tmp_path / "a.zarr", attributes))
    assert said["axes"] == AXES
    assert said["channel_names"] == ["DAPI", "GFP", "", ""]
    assert said["channel_colors"] == ["0000FF", "#00ff00", "FF0000", ""]


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (None, False), ("yes", False)])
def test_whether_a_run_is_complete(tmp_path: Path, value: object, expected: bool) -> None:
    group = write_group(tmp_path / "a.zarr", {"_squid": {"acquisition_complete": value}})
    assert parse_zarr_v3_metadata(group)["acquisition_complete"] is expected


def test_metadata_of_zarr_v2(tmp_path: Path) -> None:
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / ".zattrs").write_text(json.dumps({"multiscales": [CALIBRATED]}))
    assert parse_zarr_v3_metadata(tmp_path)["pixel_size_um"] == 0.325


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("{not json", id="not json"),
        pytest.param("[]", id="no object"),
        pytest.param('{"zarr_format": 3, "node_type": "group"}', id="no attributes"),
        pytest.param(
            '{"zarr_format": 3, "node_type": "group", "attributes": [1]}', id="attributes no object"
        ),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_metadata_that_cannot_be_read_says_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    assert parse_zarr_v3_metadata(tmp_path) == NOTHING


@pytest.mark.parametrize(
    "nonsense", [None, 1, "x", [], {}, [1], [None], [{}], {"channels": 1}, {"channels": [1]}]
)
@pytest.mark.parametrize("key", ["multiscales", "omero", "_squid", "ome"])
def test_nonsense_in_any_place_does_not_raise(tmp_path: Path, key: str, nonsense: object) -> None:
    group = write_group(tmp_path / "a.zarr", {key: nonsense})
    assert set(parse_zarr_v3_metadata(group)) == set(NOTHING)


# ---- opened arrays --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (2, 2, 3, 8, 9), (2, 2, 2, 3, 8, 9)])
@pytest.mark.parametrize("array_path", ["0", ""])
def test_an_array_opens_with_its_shape_dtype_and_pixels(
    tmp_path: Path, version: int, shape: tuple[int, ...], array_path: str
) -> None:
    pixels = write_array(tmp_path / array_path, shape, version)
    store = open_zarr_tensorstore(tmp_path, array_path)
    assert store is not None
    assert store.shape == shape
    assert store.dtype == np.uint16
    np.testing.assert_array_equal(store[...].read().result(), pixels)
    np.testing.assert_array_equal(store[1, 0, :2].read().result(), pixels[1, 0, :2])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("{", id="broken"),
        pytest.param('{"zarr_format": 3, "node_type": "group"}', id="a group"),
        pytest.param('{"zarr_format": 3, "node_type": "array", "shape": [4, 4]}', id="half an array"),
    ],
)
def test_what_is_no_array_does_not_open(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "0").mkdir()
    if content is not None:
        (tmp_path / "0" / "zarr.json").write_text(content)
    assert open_zarr_tensorstore(tmp_path) is None


def test_an_array_with_a_chunk_of_a_terabyte_does_not_open(tmp_path: Path) -> None:
    write_array(tmp_path / "0", (4, 4))
    file = tmp_path / "0" / "zarr.json"
    document = json.loads(file.read_text())
    document["chunk_grid"]["configuration"]["chunk_shape"] = [10**6, 10**6]
    file.write_text(json.dumps(document))
    assert open_zarr_tensorstore(tmp_path) is None
