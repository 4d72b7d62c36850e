"""The simulator writes stores as Squid does: the same files, in the same order, with the same content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulations import (
    EXPERIMENT_FILES,
    below,
    files_below,
    open_with_tensorstore,
    open_with_zarr_python,
    read_json,
    small_run,
    stored_plane,
)

from simulate_acquisition import DTYPES, ZARR_LAYOUTS, Run, WrittenPlane, plane_pixels, write_run

LZ4 = {"cname": "lz4", "clevel": 1, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}
ZSTD = {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0}
BEST = {**ZSTD, "clevel": 9}


# ---- what is on disk ------------------------------------------------------------------------

IMAGE_FILES = {"zarr.json", "0/zarr.json"} | {
    f"0/c/{t}/{c}/{z}/0/0" for t in "01" for c in "01" for z in "01"
}
ARRAY_FILES = {"zarr.json"} | {
    f"c/{f}/{t}/{c}/{z}/0/0" for f in "01" for t in "01" for c in "01" for z in "01"
}


LAYOUTS = [
    pytest.param(
        "per_fov",
        below("zarr/A1/fov_0.ome.zarr", IMAGE_FILES)
        | below("zarr/A1/fov_1.ome.zarr", IMAGE_FILES)
        | below("zarr/B2/fov_0.ome.zarr", IMAGE_FILES),
        id="per_fov",
    ),
    pytest.param(
        "hcs",
        below("plate.ome.zarr", {"zarr.json", "A/1/zarr.json", "B/2/zarr.json"})
        | below("plate.ome.zarr/A/1/0", IMAGE_FILES)
        | below("plate.ome.zarr/A/1/1", IMAGE_FILES)
        | below("plate.ome.zarr/B/2/0", IMAGE_FILES),
        id="hcs",
    ),
    pytest.param(
        "6d",
        below("zarr/A1/acquisition.zarr", ARRAY_FILES)
        | below("zarr/B2/acquisition.zarr", {name for name in ARRAY_FILES if not name.startswith("c/1/")}),
        id="6d",
    ),
]


@pytest.mark.parametrize(("layout", "files"), LAYOUTS)
def test_a_finished_run_leaves_these_files_and_no_other(tmp_path: Path, layout: str, files: set[str]) -> None:
    run = small_run(tmp_path, layout=layout)
    assert write_run(run) == 24
    assert files_below(run.folder) == files | EXPERIMENT_FILES


@pytest.mark.parametrize("compression", ["none", "fast", "balanced", "best"])
@pytest.mark.parametrize("layout", ZARR_LAYOUTS)
def test_every_plane_reads_back(tmp_path: Path, layout: str, compression: str) -> None:
    run = small_run(tmp_path, layout=layout, compression=compression)
    write_run(run)
    for plane in run.planes():
        expected = plane_pixels(run, plane.t, plane.fov, plane.z, plane.channel)
        for open_array in (open_with_tensorstore, open_with_zarr_python):
            np.testing.assert_array_equal(stored_plane(open_array, run, plane), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_reads_back(tmp_path: Path, dtype: str) -> None:
    run = small_run(tmp_path, dtype=dtype, n_t=1, n_z=1)
    write_run(run)
    for plane in run.planes():
        pixels = stored_plane(open_with_tensorstore, run, plane)
        assert pixels.dtype == dtype
        np.testing.assert_array_equal(pixels, plane_pixels(run, 0, plane.fov, 0, plane.channel))


def transpose(ndim: int) -> dict[str, Any]:
    return {"name": "transpose", "configuration": {"order": list(range(ndim))[::-1]}}


LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def blosc(configuration: dict[str, Any]) -> dict[str, Any]:
    return {"name": "blosc", "configuration": configuration}


def sharded(chunk_shape: list[int], compressor: dict[str, Any]) -> list[dict[str, Any]]:
    configuration = {
        "chunk_shape": chunk_shape,
        "codecs": [transpose(len(chunk_shape)), LITTLE, blosc(compressor)],
        "index_codecs": [LITTLE, {"name": "crc32c"}],
    }
    return [{"name": "sharding_indexed", "configuration": configuration}]


ARRAYS = [
    pytest.param({"compression": "none"}, [1, 1, 1, 512, 512], [transpose(5), LITTLE], id="none"),
    pytest.param({}, [1, 1, 1, 512, 512], [transpose(5), LITTLE, blosc(LZ4)], id="fast"),
    pytest.param({"chunks": "512"}, [1, 1, 1, 512, 512], [transpose(5), LITTLE, blosc(LZ4)], id="tiled 512"),
    pytest.param({"chunks": "256"}, [1, 1, 1, 256, 256], [transpose(5), LITTLE, blosc(LZ4)], id="tiled 256"),
    pytest.param(
        {"dtype": "uint8"},
        [1, 1, 1, 512, 512],
        [transpose(5), {"name": "bytes"}, blosc({**LZ4, "typesize": 1})],
        id="uint8 has no byte order",
    ),
    pytest.param(
        {"compression": "balanced"},
        [1, 2, 1, 512, 512],
        sharded([1, 1, 1, 512, 512], ZSTD),
        id="balanced: a shard holds all channels",
    ),
    pytest.param(
        {"compression": "best"}, [1, 2, 1, 512, 512], sharded([1, 1, 1, 512, 512], BEST), id="best, sharded"
    ),
    pytest.param(
        {"compression": "balanced", "chunks": "256"},
        [1, 2, 1, 512, 512],
        sharded([1, 1, 1, 256, 256], ZSTD),
        id="balanced, tiled",
    ),
    pytest.param(
        {"compression": "balanced", "channels": ("BF",)},
        [1, 1, 1, 512, 512],
        [transpose(5), LITTLE, blosc(ZSTD)],
        id="balanced with one channel: no shards",
    ),
    pytest.param(
        {"layout": "6d"},
        [1, 1, 1, 1, 512, 512],
        [transpose(6), LITTLE, blosc(LZ4)],
        id="6d",
    ),
    pytest.param(
        {"layout": "6d", "compression": "balanced"},
        [1, 1, 2, 1, 512, 512],
        sharded([1, 1, 1, 1, 512, 512], ZSTD),
        id="6d, sharded",
    ),
]


@pytest.mark.parametrize(("changes", "chunk_shape", "codecs"), ARRAYS)
def test_array_metadata(
    tmp_path: Path, changes: dict[str, Any], chunk_shape: list[int], codecs: list[dict[str, Any]]
) -> None:
    run = small_run(tmp_path, height=512, width=512, n_t=1, n_z=1, **changes)
    write_run(run, stop_after=1)
    is_6d = run.layout == "6d"
    path = Path(run.region_paths[0]) if is_6d else Path(run.fov_paths[0]) / "0"
    metadata = read_json(path / "zarr.json")
    assert ("attributes" in metadata) == is_6d
    metadata.pop("attributes", None)
    assert metadata == {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*([2] if is_6d else []), 1, len(run.channels), 1, 512, 512],
        "data_type": run.dtype,
        "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": codecs,
    }


def image_attributes(**changes: Any) -> dict[str, Any]:
    """``ome`` and ``_squid`` of a 5-D store of `small_run`, complete."""
    window = {"start": 0, "end": 65535, "min": 0, "max": 65535}
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = changes.pop("scale", [10.0, 1.0, 1.5, 0.325, 0.325])
    squid = {
        "structure": "5D-TCZYX",
        "pixel_size_um": 0.325,
        "z_step_um": 1.5,
        "time_increment_s": 10.0,
        "chunk_mode": "full_frame",
        "compression": "fast",
        "shape": [2, 2, 2, 128, 160],
        "dtype": "uint16",
        "is_hcs": True,
        "acquisition_complete": True,
    }
    is_6d = changes.get("structure") == "6D-FTCZYX"
    name = "acquisition.zarr" if is_6d else "0"
    multiscale = {
        "version": "0.5",
        "name": name,
        "axes": [{"name": "fov", "type": "fov"}, *axes] if is_6d else axes,
        "datasets": [
            {
                "path": "." if is_6d else "0",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        ],
        "coordinateTransformations": [{"type": "identity"}],
    }
    channels = [
        {"label": "BF LED matrix full", "active": True, "color": "FFFFFF", "window": window},
        {
            "label": "Fluorescence 488 nm Ex",
            "active": True,
            "color": "1FFF00",
            "emission_wavelength": {"value": 488, "unit": "nanometer"},
            "window": window,
        },
    ]
    omero = {"name": name, "version": "0.5", "channels": channels}
    ome = {"version": "0.5", "multiscales": [multiscale], "omero": omero}
    return {"ome": ome, "_squid": squid | changes}


@pytest.mark.parametrize("layout", ["per_fov", "hcs"])
def test_group_metadata_of_an_image(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    write_run(run)
    for path in run.fov_paths:
        expected = {"zarr_format": 3, "node_type": "group", "attributes": image_attributes()}
        assert read_json(Path(path) / "zarr.json") == expected


def test_a_single_time_and_z_leave_the_steps_open(tmp_path: Path) -> None:
    run = small_run(tmp_path, n_t=1, n_z=1)
    write_run(run)
    steps = {"z_step_um": None, "time_increment_s": None, "shape": [1, 2, 1, 128, 160]}
    expected = image_attributes(scale=[1.0, 1.0, 1.0, 0.325, 0.325], **steps)
    assert read_json(Path(run.fov_paths[0]) / "zarr.json")["attributes"] == expected


@pytest.mark.parametrize("region", [0, 1])
def test_a_6d_array_carries_its_metadata_itself(tmp_path: Path, region: int) -> None:
    run = small_run(tmp_path, layout="6d")
    write_run(run)
    expected = image_attributes(
        structure="6D-FTCZYX",
        shape=[run.fovs[region], 2, 2, 2, 128, 160],
        is_hcs=False,
        scale=[1.0, 10.0, 1.0, 1.5, 0.325, 0.325],
    )
    assert read_json(Path(run.region_paths[region]) / "zarr.json")["attributes"] == expected


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int16", 0, 32767), ("float32", 0.0, 1.0)]
)
def test_the_window_is_the_range_of_the_dtype(tmp_path: Path, dtype: str, low: float, high: float) -> None:
    run = small_run(tmp_path, dtype=dtype)
    write_run(run, stop_after=1)
    attributes = read_json(Path(run.fov_paths[0]) / "zarr.json")["attributes"]
    windows = [channel["window"] for channel in attributes["ome"]["omero"]["channels"]]
    assert windows == [{"start": low, "end": high, "min": low, "max": high}] * 2


def test_the_plate_names_all_planned_wells_from_the_first_plane_on(tmp_path: Path) -> None:
    run = small_run(tmp_path, regions=("AA10", "b2", "B10"), fovs=(2, 1, 1))
    write_run(run, stop_after=1)
    plate = {
        "version": "0.5",
        "name": "plate",
        "rows": [{"name": "B"}, {"name": "AA"}],
        "columns": [{"name": "2"}, {"name": "10"}],
        "wells": [
            {"path": "AA/10", "rowIndex": 1, "columnIndex": 1},
            {"path": "B/2", "rowIndex": 0, "columnIndex": 0},
            {"path": "B/10", "rowIndex": 0, "columnIndex": 1},
        ],
    }
    expected = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": {"version": "0.5", "plate": plate}},
    }
    assert read_json(run.folder / "plate.ome.zarr" / "zarr.json") == expected
    well = read_json(run.folder / "plate.ome.zarr" / "AA" / "10" / "zarr.json")
    images = [{"path": "0"}, {"path": "1"}]
    assert well["attributes"] == {"ome": {"version": "0.5", "well": {"version": "0.5", "images": images}}}
    assert not (run.folder / "plate.ome.zarr" / "B").exists()


def test_an_all_zero_plane_is_written_and_reported_but_not_stored(tmp_path: Path) -> None:
    run = small_run(tmp_path, blank=(1,))
    reported: list[WrittenPlane] = []
    write_run(run, report=reported.append)
    assert reported[1] == WrittenPlane(0, 0, 0, 0, 0, "Fluorescence 488 nm Ex")
    chunks = Path(run.fov_paths[0]) / "0" / "c" / "0"
    assert (chunks / "0" / "0" / "0" / "0").exists()
    assert not (chunks / "1" / "0" / "0" / "0").exists()
    assert not stored_plane(open_with_tensorstore, run, reported[1]).any()


def test_the_experiment_folder_has_what_squid_leaves_there(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    write_run(run)
    assert read_json(run.folder / "acquisition parameters.json") == {
        "dx(mm)": 0.9,
        "Nx": 1,
        "dy(mm)": 0.9,
        "Ny": 1,
        "dz(um)": 1.5,
        "Nz": 2,
        "dt(s)": 10.0,
        "Nt": 2,
        "with AF": False,
        "with reflection AF": False,
        "with manual focus map": False,
        "objective": {"magnification": 20.0, "NA": 0.8, "tube_lens_f_mm": 180.0, "name": "20x"},
        "sensor_pixel_size_um": 6.5,
        "tube_lens_mm": 180.0,
        "confocal_mode": False,
    }
    planned = (run.folder / "coordinates.csv").read_text().splitlines()
    assert planned[0] == "region,x (mm),y (mm),z (mm)"
    assert planned[1:] == ["A1,9.0,9.0,3.0", "A1,9.0468,9.0,3.0", "B2,18.0,18.0,3.0"]
    reached = (run.folder / "1" / "coordinates.csv").read_text().splitlines()
    assert reached[0] == "region,fov,z_level,x (mm),y (mm),z (um),time"
    assert [line.rsplit(",", 1)[0] for line in reached[1:3]] == [
        "A1,0,0,9.0,9.0,3000.0",
        "A1,0,1,9.0,9.0,3001.5",
    ]
    assert len(reached) == 1 + 3 * 2


# ---- order and time -------------------------------------------------------------------------


def appearances(run: Run) -> list[set[str]]:
    """The files that are new after each plane, from the first on."""
    seen: set[str] = set()
    steps: list[set[str]] = []

    def look(_: WrittenPlane) -> None:
        now = files_below(run.folder)
        steps.append(now - seen)
        seen.update(now)

    write_run(run, report=look)
    return steps


def test_stores_appear_with_their_first_plane(tmp_path: Path) -> None:
    steps = appearances(small_run(tmp_path, n_t=1, n_z=1))
    image = {"zarr.json", "0/zarr.json", "0/c/0/0/0/0/0"}
    second_channel = {"0/c/0/1/0/0/0"}
    assert steps[0] - EXPERIMENT_FILES == below("plate.ome.zarr/A/1/0", image) | below(
        "plate.ome.zarr", {"zarr.json", "A/1/zarr.json"}
    )
    assert steps[1] == below("plate.ome.zarr/A/1/0", second_channel)
    assert steps[2] == below("plate.ome.zarr/A/1/1", image)
    assert steps[3] == below("plate.ome.zarr/A/1/1", second_channel)
    assert steps[4] == below("plate.ome.zarr/B/2/0", image) | {"plate.ome.zarr/B/2/zarr.json"}
    assert steps[5] == below("plate.ome.zarr/B/2/0", second_channel)


def test_metadata_is_older_than_the_first_chunk(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    write_run(run, stop_after=1)
    plate = run.folder / "plate.ome.zarr"
    order = ["A/1/0/0/zarr.json", "A/1/0/zarr.json", "zarr.json", "A/1/zarr.json", "A/1/0/0/c/0/0/0/0/0"]
    times = [(plate / name).stat().st_mtime_ns for name in order]
    assert times == sorted(times)


@pytest.mark.parametrize("layout", ZARR_LAYOUTS)
def test_a_run_is_complete_only_after_its_last_plane(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    groups = [Path(path) for path in (run.region_paths if layout == "6d" else run.fov_paths)]
    states: set[bool] = set()

    def complete(group: Path) -> bool:
        return bool(read_json(group / "zarr.json")["attributes"]["_squid"]["acquisition_complete"])

    def look(_: WrittenPlane) -> None:
        states.update(complete(group) for group in groups if group.exists())
        assert not (run.folder / ".done").exists()

    write_run(run, report=look)
    assert states == {False}
    assert all(complete(group) for group in groups)
    assert (run.folder / ".done").exists()


def test_a_stopped_run_stays_as_a_killed_writer_leaves_it(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    assert write_run(run, stop_after=14) == 14
    assert (run.folder / "0" / ".done").exists()
    assert not (run.folder / "1" / ".done").exists()
    assert not (run.folder / ".done").exists()
    attributes = read_json(Path(run.fov_paths[0]) / "zarr.json")["attributes"]
    assert attributes["_squid"]["acquisition_complete"] is False
    chunks = [name for name in files_below(run.folder) if "/c/" in name]
    assert len(chunks) == 14


def test_a_sharded_plane_appears_channel_by_channel(tmp_path: Path) -> None:
    run = small_run(tmp_path, compression="balanced", n_t=1, n_z=1)
    seen: list[list[bool]] = []

    def look(_: WrittenPlane) -> None:
        array = open_with_tensorstore(Path(run.fov_paths[0]) / "0")
        seen.append([bool(np.any(array[0, c, 0].read().result())) for c in (0, 1)])

    write_run(run, report=look, stop_after=2)
    assert seen == [[True, False], [True, True]]
    assert [name for name in files_below(run.folder) if "/c/" in name] == [
        "plate.ome.zarr/A/1/0/0/c/0/0/0/0/0"
    ]
