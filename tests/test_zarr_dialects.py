"""Zarr as others write it: other forms than tensorstore reads, and groups without OME metadata.

Compared with what zarr-python reads, or with what was written where that reads nothing.
"""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import written
import zarr
from stores import needs_zarr_3

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, DatasetNotFoundError, PlaneNotStoredError
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = needs_zarr_3

PIXELS = (np.arange(24 * 40).reshape(24, 40) * 7 % 251).astype("u2")


def multiscales(*paths: str, axes: str = "yx") -> list[dict[str, Any]]:
    kinds = {"t": "time", "c": "channel"}
    return [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": kinds.get(name, "space")} for name in axes],
            "datasets": [
                {
                    "path": path,
                    "coordinateTransformations": [{"type": "scale", "scale": [0.5 * 2**i] * len(axes)}],
                }
                for i, path in enumerate(paths)
            ],
        }
    ]


def write_array(path: Path, pixels: np.ndarray = PIXELS, version: int = 2, **how: Any) -> None:
    how.setdefault("chunks", pixels.shape)
    array = zarr.create_array(
        store=str(path), shape=pixels.shape, dtype=pixels.dtype, zarr_format=version, **how
    )
    array[...] = pixels


def write_group(path: Path, version: int = 2, **attributes: Any) -> None:
    attributes = {"ome": {"version": "0.5", **attributes}} if version == 3 and attributes else attributes
    zarr.create_group(store=str(path), zarr_format=version, attributes=attributes)


def write_image(path: Path, pixels: np.ndarray = PIXELS, version: int = 2, axes: str = "yx") -> None:
    """Two levels."""
    write_group(path, version, multiscales=multiscales("0", "1", axes=axes))
    write_array(path / "0", pixels, version)
    write_array(path / "1", np.ascontiguousarray(pixels[..., ::2, ::2]), version)


def changed(file: Path, **values: Any) -> None:
    """Change the values of a JSON file; None removes one."""
    document = json.loads(file.read_text())
    document = {name: value for name, value in (document | values).items() if value is not None}
    file.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as served:
        yield served


# ---- what tensorstore is stricter about ---------------------------------------------------------


def _nested_without_separator(path: Path) -> None:
    write_array(path, chunks=(8, 20), chunk_key_encoding={"name": "v2", "separator": "/"})
    changed(path / ".zarray", dimension_separator=None)


def _image_with_nan(path: Path, version: int) -> None:
    write_image(path, version=version)
    if version == 2:
        changed(path / ".zattrs", quality=float("nan"), limit=float("-inf"))
        changed(path / "0" / ".zarray", note=float("nan"))
    else:
        changed(path / "0" / "zarr.json", attributes={"quality": float("nan")})


def _level_from_the_root(path: Path) -> None:
    write_group(path, multiscales=multiscales("/0"))
    write_array(path / "0")


def _array_with(path: Path, how: dict[str, Any], **values: Any) -> None:
    write_array(path, **how)
    changed(path / ".zarray", **values)


LOOSE: dict[str, Callable[[Path], None]] = {
    "fill value as text": lambda path: _array_with(path, {}, fill_value="0"),
    "zstd with checksum": lambda path: _array_with(
        path,
        {"compressors": numcodecs.Zstd(level=3)},
        compressor={"id": "zstd", "level": 3, "checksum": False},
    ),
    "blosc with typesize": lambda path: _array_with(
        path,
        {"compressors": numcodecs.Blosc()},
        compressor={"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 2},
    ),
    "type without byte order": lambda path: _array_with(path, {}, dtype="uint16"),
    "no filters": lambda path: _array_with(path, {}, filters=[]),
    "nested chunks without separator": _nested_without_separator,
    "NaN in attributes": lambda path: _image_with_nan(path, 2),
    "NaN in zarr.json": lambda path: _image_with_nan(path, 3),
    "level path from the root": _level_from_the_root,
}


@pytest.mark.parametrize("kind", LOOSE)
def test_what_zarr_python_reads_is_read(tmp_path: Path, server: RangeServer, kind: str) -> None:
    local = tmp_path / "x.zarr"
    LOOSE[kind](local)
    served = shutil.copytree(local, server.folder / tmp_path.name)
    for path in (local, server.url(f"{served.name}")):
        with open_dataset(path) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            assert dataset.info.dtype == np.uint16


def test_levels_that_lead_out_are_still_refused(tmp_path: Path) -> None:
    write_group(tmp_path / "x.zarr", multiscales=multiscales("/../secret"))
    with pytest.raises(DatasetError, match="leads out of the dataset"):
        open_dataset(tmp_path / "x.zarr")


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    write_image(tmp_path / "a b.zarr")
    for url in (f"file://{tmp_path}/a%20b.zarr", f"file://localhost{tmp_path}/a%20b.zarr"):
        with open_dataset(url) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            assert dataset.path == str(tmp_path / "a b.zarr")
    with pytest.raises(DatasetError):
        open_dataset(f"file://elsewhere{tmp_path}/a%20b.zarr")


# ---- images below groups without OME metadata ----------------------------------------------------


def _spatialdata(path: Path, version: int) -> None:
    write_group(path, version)
    write_group(path / "images", version)
    write_image(path / "images" / "blobs", np.stack([PIXELS, PIXELS + 1]), version, "cyx")
    write_group(path / "labels", version)
    write_image(path / "labels" / "cells", PIXELS.astype("i4"), version)
    for name in ("points", "shapes", "tables"):
        write_group(path / name, version)


def _bigstitcher(path: Path, setups: int = 2, times: tuple[int, ...] = (0,)) -> None:
    """Setup i at time point t has PIXELS + i + 10 t."""
    if not path.exists():
        write_group(path)
    for setup, t in itertools.product(range(setups), times):
        store = path / f"s{setup}-t{t}.zarr"
        write_group(store, multiscales=multiscales("0", "1", axes="tczyx"))
        for level in range(2):
            pixels = (PIXELS + setup + 10 * t)[None, None, None, :: 2**level, :: 2**level]
            write_array(store / str(level), pixels, chunk_key_encoding={"name": "v2", "separator": "/"})


def _project(attributes: list[dict[str, int]], names: dict[str, list[str]]) -> str:
    """The XML file of a BigStitcher project with a setup for each of `attributes`."""
    setups = "".join(
        f"<ViewSetup><id>{i}</id><name>setup {i}</name><size>60 40 1</size>"
        "<voxelSize><unit>um</unit><size>0.5 0.5 2</size></voxelSize><attributes>"
        + "".join(f"<{kind}>{number}</{kind}>" for kind, number in of_setup.items())
        + "</attributes></ViewSetup>"
        for i, of_setup in enumerate(attributes)
    )
    kinds = "".join(
        f'<Attributes name="{kind}">'
        + "".join(
            f"<{kind.title()}><id>{i}</id><name>{name}</name></{kind.title()}>" for i, name in enumerate(each)
        )
        + "</Attributes>"
        for kind, each in names.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><SpimData version="0.2"><BasePath type="relative">.</BasePath>'
        '<SequenceDescription><ImageLoader format="bdv.multimg.zarr" version="3.0">'
        '<zarr type="relative">x.ome.zarr</zarr></ImageLoader>'
        f"<ViewSetups>{setups}{kinds}</ViewSetups>"
        '<Timepoints type="pattern"><integerpattern>0,2</integerpattern></Timepoints></SequenceDescription>'
        "</SpimData>"
    )


def _by_hand(path: Path) -> None:
    write_group(path)
    write_group(path / "day 1")
    write_image(path / "day 1" / "alpha")
    write_image(path / "day 1" / "beta", PIXELS + 1)


BELOW: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "SpatialData, v2": (lambda path: _spatialdata(path, 2), ["blobs"]),
    "SpatialData, v3": (lambda path: _spatialdata(path, 3), ["blobs"]),
    "groups by hand": (_by_hand, ["alpha", "beta"]),
}


@pytest.mark.parametrize("kind", BELOW)
def test_images_are_found_below_a_group_and_levels_are_not_fields(tmp_path: Path, kind: str) -> None:
    write, names = BELOW[kind]
    write(tmp_path / "x.zarr")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [position.name for position in dataset.info.positions] == names
        for p in range(len(names)):
            np.testing.assert_array_equal(dataset.plane(p=p), PIXELS + p)
            np.testing.assert_array_equal(dataset.plane(p=p, level=1), (PIXELS + p)[::2, ::2])
            assert dataset.image(p).n_levels == 2
        assert dataset.info.pixel_size_um in (None, 0.5)
        assert dataset.info.warnings == ()


def test_setups_of_bigstitcher_are_positions_and_time_points_are_times(tmp_path: Path) -> None:
    _bigstitcher(tmp_path / "x.ome.zarr", times=(0, 2))
    with open_dataset(tmp_path / "x.ome.zarr") as dataset:
        info = dataset.info
        assert [position.name for position in info.positions] == ["setup 0", "setup 1"]
        assert (info.n_t, info.times, len(info.channels)) == (2, (0, 2), 1)
        assert "No XML file" in info.warnings[0]
        for p, t in itertools.product(range(2), range(2)):
            pixels = PIXELS + p + 20 * t
            np.testing.assert_array_equal(dataset.plane(t=t, p=p), pixels)
            np.testing.assert_array_equal(dataset.plane(t=t, p=p, level=1), pixels[::2, ::2])
        assert dataset.image(1).n_levels == 2
        assert dataset.to_xarray().shape[:4] == (2, 2, 1, 1)
        _bigstitcher(tmp_path / "x.ome.zarr", setups=1, times=(3,))
        assert dataset.refresh().times == (0, 2, 3)
        np.testing.assert_array_equal(dataset.plane(t=2), PIXELS + 30)
        with pytest.raises(PlaneNotStoredError):
            dataset.plane(t=2, p=1)


def test_the_xml_of_bigstitcher_says_what_channels_and_tiles_its_setups_are(tmp_path: Path) -> None:
    _bigstitcher(tmp_path / "x.ome.zarr", setups=4, times=(0, 2))
    attributes = [{"channel": i // 2, "tile": i % 2} for i in range(4)]
    xml = _project(attributes, {"channel": ["DAPI", "GFP"], "tile": ["left", "right"]})
    (tmp_path / "x.xml").write_text(xml)
    for path, isolate in (("x.ome.zarr", False), ("x.xml", False), ("x.xml", True)):
        with open_dataset(tmp_path / path, isolate=isolate) as dataset:
            info = dataset.info
            assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
            assert [position.name for position in info.positions] == ["left", "right"]
            assert info.times == (0, 2)
            assert info.warnings == ()
            for t, p, c in itertools.product(range(2), range(2), range(2)):
                np.testing.assert_array_equal(dataset.plane(t=t, p=p, c=c), PIXELS + 2 * c + p + 20 * t)


@pytest.mark.parametrize(
    ("root", "said"),
    [("group", ""), ("nothing", ""), ("nothing", "x"), ("group", "dataset"), ("nothing", "given")],
)
def test_bigstitcher_on_a_server_opens_without_consolidated_metadata(
    tmp_path: Path, server: RangeServer, root: str, said: str
) -> None:
    """Its stores are asked for by their names: those that the XML file gives, else counted."""
    folder, n_t = server.folder / tmp_path.name, 10 if said == "" else 2
    times = (0, 2) if said else tuple(range(n_t))
    _bigstitcher(folder / "x.ome.zarr", setups=4, times=times)
    if root == "nothing":
        for path in (folder / "x.ome.zarr").glob("*.*"):
            if path.is_file():
                path.unlink()
    if said:
        attributes = [{"channel": i // 2, "tile": i % 2} for i in range(4)]
        xml = "dataset.xml" if said == "dataset" else "x.xml"
        (folder / xml).write_text(_project(attributes, {"channel": ["DAPI", "GFP"], "tile": ["a", "b"]}))
    with open_dataset(server.url(f"{folder.name}/x.{'xml' if said == 'given' else 'ome.zarr'}")) as dataset:
        assert dataset.info.n_t == n_t
        assert dataset.info.times == (times if said else ())
        assert (len(dataset.info.positions), len(dataset.info.channels)) == ((2, 2) if said else (4, 1))
        for p, t in itertools.product(range(2), range(2)):
            expected = PIXELS + p + (20 if said else 10) * t
            np.testing.assert_array_equal(dataset.plane(t=t, p=p), expected)


def test_only_labels_are_images_where_there_are_no_others(tmp_path: Path) -> None:
    write_group(tmp_path / "x.zarr")
    write_group(tmp_path / "x.zarr" / "labels", labels=["cells", "nuclei"])
    for i, name in enumerate(("cells", "nuclei")):
        write_image(tmp_path / "x.zarr" / "labels" / name, PIXELS + i)
    for path in ("x.zarr", "x.zarr/labels", "x.zarr::labels"):
        with open_dataset(f"{tmp_path}/{path}") as dataset:
            assert [position.name for position in dataset.info.positions] == ["cells", "nuclei"]
            np.testing.assert_array_equal(dataset.plane(p="nuclei"), PIXELS + 1)
    for path in ("x.zarr/labels/nuclei", "x.zarr::labels/nuclei", "x.zarr::/labels/nuclei"):
        with open_dataset(f"{tmp_path}/{path}") as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS + 1)
    with pytest.raises(DatasetError, match="leads out"):
        open_dataset(f"{tmp_path}/x.zarr::../secret")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_label_images_are_listed_as_they_are_opened(tmp_path: Path, server: RangeServer) -> None:
    path = tmp_path / "x.zarr"
    write_image(path, version=3)
    write_group(path / "labels", 3, labels=["cells"])
    write_image(path / "labels" / "cells", PIXELS.astype("i4") + 1, 3)
    zarr.consolidate_metadata(str(path), zarr_format=3)
    packed = shutil.make_archive(str(tmp_path / "x"), "zip", path)
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.zarr")
    for where in (str(path), packed, server.url(served.name)):
        for isolate in (False, True):
            with open_dataset(where, isolate=isolate) as dataset:
                (label,) = dataset.info.labels
                assert label == f"{where}::labels/cells"
                assert dataset.info.choices == (where, label)
        with open_dataset(label) as dataset:
            np.testing.assert_array_equal(dataset.plane(), PIXELS + 1)
    _spatialdata(tmp_path / "s.zarr", 3)
    with open_dataset(tmp_path / "s.zarr") as dataset:
        assert dataset.info.labels == (f"{tmp_path}/s.zarr::labels/cells",)


# ---- arrays without OME metadata -------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("shape", "dtype", "names"),
    [
        ((24, 40, 3), "u1", ["red", "green", "blue"]),
        ((5, 24, 40, 4), "u2", ["red", "green", "blue", "alpha"]),
        ((24, 40, 2), "u2", ["Ch0", "Ch1"]),
        ((5, 24, 40, 3), "f4", ["Ch0", "Ch1", "Ch2"]),
    ],
)
def test_a_short_last_axis_of_a_plain_array_is_colour_or_channels(
    tmp_path: Path, version: int, shape: tuple[int, ...], dtype: str, names: list[str]
) -> None:
    """As a stack of colour pictures is saved by `zarr.save`: the last axis is no x."""
    pixels = (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
    write_array(tmp_path / "x.zarr", pixels, version)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == names
        assert (info.n_z, info.height, info.width) == (pixels.size // 960 // len(names), 24, 40)
        for z, c in itertools.product(range(info.n_z), range(len(names))):
            expected = pixels[z, ..., c] if pixels.ndim == 4 else pixels[..., c]
            np.testing.assert_array_equal(dataset.plane(z=z, c=c), expected)
        assert info.channels[0].window == ((0, 255) if dtype == "u1" else None)
        assert [channel.visible for channel in info.channels] == [name != "alpha" for name in names]
        (warning,) = info.warnings
        assert "assuming" in warning and info.interpretations


@pytest.mark.parametrize("version", [2, 3])
def test_named_channels_of_bytes_behind_x_are_colours(tmp_path: Path, version: int) -> None:
    pixels = (np.arange(4 * 24 * 40 * 3) % 251).reshape(4, 24, 40, 3).astype("u1")
    names = ["time", "y", "x", "channel"]
    how = {"dimension_names": names} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": names}}
    write_array(tmp_path / "x.zarr", pixels, version, **how)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["red", "green", "blue"]
        assert {channel.window for channel in dataset.info.channels} == {(0, 255)}
        for t, c in itertools.product(range(4), range(3)):
            np.testing.assert_array_equal(dataset.plane(t=t, c=c), pixels[t, ..., c])


@pytest.mark.parametrize("version", [2, 3])
def test_the_largest_array_of_a_group_is_shown_and_others_are_offered(tmp_path: Path, version: int) -> None:
    """Variables as xarray writes them, with coordinates; or arrays that somebody named."""
    store = tmp_path / "x.zarr"
    write_group(store, version)
    write_group(store / "more", version)
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    write_array(store / "frames", frames, version)
    write_array(store / "mask", (PIXELS > 100), version)
    write_array(store / "more" / "mean", PIXELS.astype("f4"), version)
    write_array(store / "time", np.arange(3.0), version)
    with open_dataset(store) as dataset:
        assert dataset.info.n_z == 3
        for z in range(3):
            np.testing.assert_array_equal(dataset.plane(z=z), frames[z])
        others = [str(store / "frames"), str(store / "mask"), str(store / "more" / "mean")]
        assert sorted(dataset.info.choices) == others and dataset.info.choices[0] == others[0]
        assert "showing the array frames" in dataset.info.warnings[0]
        for path, expected in zip(dataset.info.choices, (frames[0], None, None), strict=True):
            with open_dataset(path) as other:
                assert expected is None or (other.plane() == expected).all()
    (tmp_path / "empty.zarr").mkdir()
    write_group(tmp_path / "empty.zarr" / "x.zarr", version)
    write_array(tmp_path / "empty.zarr" / "x.zarr" / "time", np.arange(3.0), version)
    with pytest.raises(DatasetNotFoundError):
        open_dataset(tmp_path / "empty.zarr" / "x.zarr")


# ---- consolidated metadata -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["image", "several"])
def test_consolidated_metadata_is_enough(
    tmp_path: Path, server: RangeServer, version: int, kind: str
) -> None:
    path = tmp_path / "x.zarr"
    if kind == "image":
        write_image(path, version=version)
    else:
        _spatialdata(path, version)
    zarr.consolidate_metadata(str(path), zarr_format=version)
    kept = path / (".zmetadata" if version == 2 else "zarr.json")
    for file in [*path.rglob(".z*"), *path.rglob("zarr.json")]:
        if file != kept:
            file.unlink()
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.zarr")
    for where in (path, server.url(served.name)):
        with open_dataset(where) as dataset:
            assert len(dataset.info.positions) == 1
            np.testing.assert_array_equal(dataset.plane(), PIXELS)
            np.testing.assert_array_equal(dataset.plane(level=1), PIXELS[::2, ::2])


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_nodes_own_metadata_comes_before_the_copy(tmp_path: Path) -> None:
    """The copy is not written anew while a dataset grows."""
    pixels = np.stack([PIXELS, PIXELS + 1])
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={})
    write_array(tmp_path / "x.zarr" / "0", pixels[:1], 3, chunks=(1, 24, 40), dimension_names=["t", "y", "x"])
    zarr.consolidate_metadata(str(tmp_path / "x.zarr"), zarr_format=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        zarr.open_array(str(tmp_path / "x.zarr" / "0"), mode="a").append(pixels[1:])
        assert dataset.refresh().n_t == 2
        np.testing.assert_array_equal(dataset.plane(t=1), PIXELS + 1)


def test_consolidated_metadata_cannot_lead_out(tmp_path: Path) -> None:
    write_array(tmp_path / "secret")
    shutil.move(tmp_path / "secret" / ".zarray", tmp_path / "array.json")
    (tmp_path / "x.zarr").mkdir()
    array = json.loads((tmp_path / "array.json").read_text())
    metadata = {".zgroup": {"zarr_format": 2}, "../secret/.zarray": array}
    document = {"zarr_consolidated_format": 1, "metadata": metadata}
    (tmp_path / "x.zarr" / ".zmetadata").write_text(json.dumps(document))
    with pytest.raises(DatasetNotFoundError):
        open_dataset(tmp_path / "x.zarr")


# ---- NWB in Zarr -------------------------------------------------------------------------------------


def test_nwb_series_are_found_by_type_and_shown_upright(tmp_path: Path) -> None:
    path = written.unpacked(written.NWB, tmp_path)
    stored = {
        name: zarr.open_array(str(path / "acquisition" / name / "data"))[...]
        for name in ("two photon", "camera")
    }
    with open_dataset(path) as dataset:
        dataset.look_at_all()
        assert dataset.info.format == "nwb zarr"
        assert sorted(position.name for position in dataset.info.positions) == ["camera", "two photon"]
        for name, pixels in stored.items():
            for t in (0, 3):
                np.testing.assert_array_equal(dataset.plane(t=t, p=name), pixels[t].T)
        photons, camera = dataset.image(dataset.info.position_index("two photon")), dataset.image(0)
        assert (photons.time_step_s, camera.time_step_s) == (pytest.approx(0.1), pytest.approx(1 / 30))
        assert (photons.pixel_size_x_um, photons.pixel_size_y_um) == (pytest.approx(0.5), pytest.approx(0.25))
        assert [(each.name, each.excitation_nm) for each in photons.channels] == [("GCaMP6f", 920.0)]
        assert camera.channels[0].name == "camera"
    with open_dataset(f"{path}::acquisition/camera") as dataset:
        np.testing.assert_array_equal(dataset.plane(t=1), stored["camera"][1].T)


# ---- axes and transformations of NGFF 0.6 -----------------------------------------------------------


def version_6(transforms: list[dict[str, Any]], axes: str = "zyx", **more: Any) -> dict[str, Any]:
    system = [{"name": name, "type": "space", "unit": "nanometer"} for name in axes]
    return {
        "version": "0.6",
        "multiscales": [
            {
                "coordinateSystems": [
                    {"name": "other", "axes": [{"name": name, "type": "array"} for name in axes]},
                    {"name": "physical", "axes": system},
                ],
                "datasets": [{"path": "0", "coordinateTransformations": transforms}],
                **more,
            }
        ],
    }


def between(transform: dict[str, Any]) -> dict[str, Any]:
    return {**transform, "input": {"path": "0"}, "output": {"name": "physical"}}


TRANSFORMS: dict[str, tuple[dict[str, Any], str]] = {
    "sequence": (
        {
            "type": "sequence",
            "transformations": [
                {"type": "scale", "scale": [2000, 500, 250]},
                {"type": "translation", "translation": [1000, 2000, 3000]},
            ],
        },
        "",
    ),
    "affine": (
        {"type": "affine", "affine": [[2000, 0, 0, 1000], [0, 500, 0, 2000], [0, 0, 250, 3000]]},
        "",
    ),
    "affine that turns": (
        {"type": "affine", "affine": [[2000, 0, 0, 1000], [0, 0, 250, 2000], [0, 500, 0, 3000]]},
        "the turn or shear of an affine transformation is not drawn: the image is shown upright",
    ),
    "by dimension": (
        {
            "type": "byDimension",
            "transformations": [
                {
                    "inputAxes": [0],
                    "outputAxes": [0],
                    "transformation": {
                        "type": "sequence",
                        "transformations": [
                            {"type": "scale", "scale": [2000]},
                            {"type": "translation", "translation": [1000]},
                        ],
                    },
                },
                {
                    "inputAxes": [1, 2],
                    "outputAxes": [1, 2],
                    "transformation": {"type": "affine", "affine": [[500, 0, 2000], [0, 250, 3000]]},
                },
            ],
        },
        "",
    ),
}


@pytest.mark.parametrize("axes", ["zyx", "kji"])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_axes_scale_and_place_are_those_of_the_images_own_system(
    tmp_path: Path, kind: str, axes: str
) -> None:
    transform, warning = TRANSFORMS[kind]
    onward = {"type": "scale", "scale": [7, 7, 7], "input": {"name": "physical"}, "output": {"name": "other"}}
    ome = version_6([between(transform)], axes, coordinateTransformations=[onward])
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", np.stack([PIXELS, PIXELS + 1]), 3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        info, (position,) = dataset.info, dataset.info.positions
        assert (info.n_t, info.n_z) == (1, 2)
        assert (info.z_step_um, info.pixel_size_y_um, info.pixel_size_x_um) == (2.0, 0.5, 0.25)
        assert (position.z_um, position.y_um, position.x_um) == (1.0, 2.0, 3.0)
        assert [text.partition("zarr.json: ")[2] for text in info.warnings] == ([warning] if warning else [])


@pytest.mark.parametrize(
    ("version", "known"),
    [("0.6", True), ("0.6rc0", True), ("0.6.dev3", True), ("0.9.dev1", False), (7, False)],
)
def test_an_unknown_version_is_named(tmp_path: Path, version: object, known: bool) -> None:
    ome = {**version_6([between({"type": "scale", "scale": [1, 1]})], "yx"), "version": version}
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        said = [text for text in dataset.info.warnings if "version" in text]
        assert bool(said) != known
        assert known or f"version {version!r} of OME-NGFF" in said[0]


def test_dimensions_named_by_xarray_are_axes(tmp_path: Path) -> None:
    write_array(
        tmp_path / "x.zarr",
        np.stack([PIXELS, PIXELS + 1]),
        attributes={"_ARRAY_DIMENSIONS": ["time", "y", "x"]},
    )
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert (dataset.info.n_t, dataset.info.warnings) == (2, ())


def test_a_dimension_with_an_unknown_name_is_not_taken_for_another(tmp_path: Path) -> None:
    pixels = np.stack([PIXELS, PIXELS + 1])
    write_array(tmp_path / "x.zarr", pixels, 3, dimension_names=["angle", "y", "x"])
    with pytest.raises(DatasetError, match="cannot show axis 'angle'"):
        open_dataset(tmp_path / "x.zarr")
    write_array(tmp_path / "y.zarr", pixels, 3, dimension_names=["dim_0", "dim_1", "dim_2"])
    with open_dataset(tmp_path / "y.zarr") as dataset:
        (warning,) = dataset.info.warnings
        assert "axes are called 'dim_0 dim_1 dim_2'; assuming z y x" in warning
