"""The simulator writes what Squid writes: the same files, in the same order, with the same content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simulate_acquisition
from ndviewer_light.simulator.burnt_text import LETTERS
from ndviewer_light.simulator.command import _parser, has_display, run_from
from simulate_acquisition import Run, WrittenPlane, plane_pixels, read_burnt_text, write_run

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(simulate_acquisition.__file__).resolve()
TWO_CHANNELS = ("BF LED matrix full", "Fluorescence 488 nm Ex")
LZ4 = {"cname": "lz4", "clevel": 1, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}
ZSTD = {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0}
BEST = {**ZSTD, "clevel": 9}


def small_run(folder: Path, **changes: Any) -> Run:
    """A run of 2 regions with 2 and 1 FOVs, 2 times, 2 channels, 2 z, 128×160 px, in a new folder."""
    values: dict[str, Any] = {"regions": ("A1", "B2"), "fovs": (2, 1), "channels": TWO_CHANNELS}
    values |= {"n_t": 2, "n_z": 2, "height": 128, "width": 160}
    return Run(folder / "experiment", **(values | changes))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def open_with_tensorstore(path: str | Path) -> Any:
    import tensorstore

    return tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}).result()


def open_with_zarr_python(path: str | Path) -> Any:
    zarr = pytest.importorskip("zarr", minversion="3")
    return zarr.open_array(str(path), mode="r")


def stored_plane(open_array: Callable[[Path], Any], run: Run, plane: WrittenPlane) -> np.ndarray:
    """The pixels on disk, found the way a viewer would: by the paths and indices the host announces."""
    c = run.channels.index(plane.channel)
    if run.layout == "6d":
        array = open_array(Path(run.region_paths[plane.region_idx]))
        return np.asarray(array[plane.local_fov, plane.t, c, plane.z])
    return np.asarray(open_array(Path(run.fov_paths[plane.fov]) / "0")[plane.t, c, plane.z])


# ---- pixels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", simulate_acquisition.DTYPES)
@pytest.mark.parametrize("size", [(96, 96), (128, 300), (600, 520)], ids=str)
def test_a_plane_says_which_one_it_is(tmp_path: Path, dtype: str, size: tuple[int, int]) -> None:
    run = small_run(tmp_path, dtype=dtype, height=size[0], width=size[1])
    texts = [read_burnt_text(plane_pixels(run, p.t, p.fov, p.z, p.channel)) for p in run.planes()]
    assert texts[:3] == [
        "0/A1:0/0/BF LED matrix full",
        "0/A1:0/0/Fluorescence 488 nm Ex",
        "0/A1:0/1/BF LED matrix full",
    ]
    assert texts[-1] == "1/B2:0/1/Fluorescence 488 nm Ex"
    assert len(set(texts)) == len(texts) == 2 * 3 * 2 * 2


@pytest.mark.parametrize("letter", LETTERS.strip())
def test_every_letter_of_a_name_is_readable(tmp_path: Path, letter: str) -> None:
    run = small_run(tmp_path, channels=(f"x{letter}y {letter}",))
    assert read_burnt_text(plane_pixels(run, 0, 0, 0, 0)) == f"0/A1:0/0/x{letter}y {letter}"


def test_a_letter_without_a_picture_reads_as_a_question_mark(tmp_path: Path) -> None:
    run = small_run(tmp_path, channels=("µ-488",))
    assert read_burnt_text(plane_pixels(run, 0, 0, 0, 0)) == "0/A1:0/0/?-488"


def test_a_plane_too_small_for_its_text_holds_the_beginning(tmp_path: Path) -> None:
    run = small_run(tmp_path, height=32, width=32)
    assert "0/A1:0/0/BF LED matrix".startswith(read_burnt_text(plane_pixels(run, 0, 0, 0, 0)))
    run = small_run(tmp_path, height=5, width=3)
    assert plane_pixels(run, 0, 0, 0, 0).shape == (5, 3)


def test_the_same_plane_always_has_the_same_pixels_and_no_two_planes_do(tmp_path: Path) -> None:
    run, again = small_run(tmp_path / "a"), small_run(tmp_path / "b")
    planes = [plane_pixels(run, p.t, p.fov, p.z, p.channel) for p in run.planes()]
    for p, pixels in zip(again.planes(), planes, strict=True):
        np.testing.assert_array_equal(plane_pixels(again, p.t, p.fov, p.z, p.channel), pixels)
    below_the_text = {pixels[40:].tobytes() for pixels in planes}
    assert len(below_the_text) == len(planes)
    other_seed = plane_pixels(small_run(tmp_path, seed=1), 0, 0, 0, 0)
    assert not np.array_equal(other_seed, planes[0])


def test_channels_go_by_name_or_by_index(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    by_name = plane_pixels(run, 1, 2, 0, "Fluorescence 488 nm Ex")
    np.testing.assert_array_equal(plane_pixels(run, 1, 2, 0, 1), by_name)


# ---- what is on disk ------------------------------------------------------------------------

IMAGE_FILES = {"zarr.json", "0/zarr.json"} | {
    f"0/c/{t}/{c}/{z}/0/0" for t in "01" for c in "01" for z in "01"
}
ARRAY_FILES = {"zarr.json"} | {
    f"c/{f}/{t}/{c}/{z}/0/0" for f in "01" for t in "01" for c in "01" for z in "01"
}
EXPERIMENT_FILES = {
    ".done",
    "acquisition parameters.json",
    "acquisition.yaml",
    "acquisition_channels.yaml",
    "coordinates.csv",
    *(f"{t}/{name}" for t in "01" for name in (".done", "coordinates.csv")),
}


def below(folder: str, names: set[str]) -> set[str]:
    return {f"{folder}/{name}" for name in names}


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
@pytest.mark.parametrize("layout", simulate_acquisition.LAYOUTS)
@pytest.mark.parametrize("open_array", [open_with_tensorstore, open_with_zarr_python])
def test_every_plane_reads_back(
    tmp_path: Path, layout: str, compression: str, open_array: Callable[[Path], Any]
) -> None:
    run = small_run(tmp_path, layout=layout, compression=compression)
    write_run(run)
    for plane in run.planes():
        expected = plane_pixels(run, plane.t, plane.fov, plane.z, plane.channel)
        np.testing.assert_array_equal(stored_plane(open_array, run, plane), expected)


@pytest.mark.parametrize("dtype", simulate_acquisition.DTYPES)
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


def test_planes_come_in_the_order_of_a_scan() -> None:
    run = small_run(Path("unused"), fovs=(2, 1))
    key = [(p.t, p.region_idx, p.local_fov, p.z, run.channels.index(p.channel)) for p in run.planes()]
    assert key == sorted(key)
    assert [p.fov for p in run.planes()][:: 2 * 2] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("layout", simulate_acquisition.LAYOUTS)
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


# ---- what does not fit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "5d"}, "layout is '5d'.*per_fov, hcs, 6d"),
        ({"dtype": "complex64"}, "dtype is 'complex64'"),
        ({"regions": ("A1",)}, "one count each"),
        ({"regions": ("A1", "A1")}, "names distinct"),
        ({"regions": ("A1", "a1")}, "one well twice"),
        ({"regions": ("A1", "manual0x")}, "'manual0x' is no well"),
        ({"fovs": (2, 0)}, "at least 1"),
        ({"n_z": 0}, "at least 1"),
        ({"channels": ()}, "at least 1"),
        ({"compression": "best", "chunks": "256"}, "multiples of 256"),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_run(tmp_path, **changes)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    run.folder.mkdir()
    (run.folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"experiment is not empty.*new folder"):
        write_run(run)
    assert files_below(run.folder) == {"notes.txt"}


# ---- as a command ---------------------------------------------------------------------------

SMALL = ["--size", "96", "128", "--fovs", "2", "1", "--n-t", "1", "--n-z", "2", "--rate", "0", "--no-view"]


def simulate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("layout", simulate_acquisition.LAYOUTS)
def test_the_command_reports_each_plane_from_any_directory(tmp_path: Path, layout: str) -> None:
    result = simulate("run", *SMALL, "--layout", layout, "--report", "--channels", "BF", "DAPI", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    reports = [WrittenPlane(**json.loads(line)) for line in result.stdout.splitlines()]
    run = Run(
        tmp_path / "run",
        layout,
        regions=("A1", "A2") if layout == "hcs" else ("R0", "R1"),
        fovs=(2, 1),
        channels=("BF", "DAPI"),
        n_t=1,
        n_z=2,
        height=96,
        width=128,
    )
    assert reports == list(run.planes())
    for plane in reports:
        expected = plane_pixels(run, plane.t, plane.fov, plane.z, plane.channel)
        np.testing.assert_array_equal(stored_plane(open_with_tensorstore, run, plane), expected)


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        (["--layout", "per_fov", "--regions", "3", "--fovs", "1", "2"], ["R0:0", "R1:0", "R1:1", "R2:0"]),
        (["--layout", "6d", "--regions", "manual", "left lung", "--fovs", "1"], ["manual:0", "left lung:0"]),
        (["--layout", "hcs", "--wells", "A1", "AB12", "--fovs", "2"], ["A1:0", "A1:1", "AB12:0", "AB12:1"]),
        (["--layout", "hcs", "--regions", "13", "--fovs", "1"], [*(f"A{i}:0" for i in range(1, 13)), "B1:0"]),
    ],
    ids=["counted", "named", "wells", "counted wells"],
)
def test_regions_are_counted_or_named(tmp_path: Path, arguments: list[str], labels: list[str]) -> None:
    options = _parser().parse_args([str(tmp_path / "run"), *arguments])
    assert run_from(options).fov_labels == labels


def test_the_command_can_stop_early_and_says_where_it_wrote(tmp_path: Path) -> None:
    result = simulate("run", *SMALL, "--stop-after", "5", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"5 planes in {tmp_path / 'run'}\n")
    assert not (tmp_path / "run" / ".done").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wells", "left"], "region 'left' is no well"),
        (["--size", "1", "2", "3"], "expected height and width"),
        (["--compression", "best", "--chunks", "512", "--size", "1000"], "multiples of 512 px"),
    ],
)
def test_the_command_explains_what_does_not_fit(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = simulate("run", "--no-view", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_importing_the_simulator_imports_neither_qt_nor_what_it_writes_with_nor_the_viewer() -> None:
    code = "import simulate_acquisition, sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPT.parent, capture_output=True, text=True, check=True
    )
    modules = result.stdout.split()
    heavy = {"qtpy", "PyQt5", "PyQt6", "tensorstore", "tifffile", "PIL", "zarr", "ndv", "dask", "xarray"}
    assert not heavy & set(modules)
    ours = {name for name in modules if name.startswith("ndviewer_light.")}
    assert {name.split(".")[1] for name in ours} == {"simulator"}


# ---- with the viewer ------------------------------------------------------------------------

needs_xvfb = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("Xvfb") is None, reason="needs Linux and Xvfb"
)


def view_without_display(
    runtime: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with its viewer on a machine that has no display."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables |= {"XDG_RUNTIME_DIR": str(runtime)} | environment
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=180)


def distinct_colours(png: Path) -> int:
    from qtpy.QtGui import QImage

    image = QImage(str(png)).convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    assert bits is not None, f"{png} is no picture"
    pixels = np.frombuffer(bytes(bits.asarray(image.sizeInBytes())), np.uint32)
    return len(np.unique(pixels))


@needs_xvfb
@pytest.mark.parametrize("layout", simulate_acquisition.LAYOUTS)
def test_without_a_display_the_run_is_shown_on_a_virtual_one_and_photographed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, layout: str
) -> None:
    arguments = ["--layout", layout, "--fovs", "1", "2", "--n-t", "2", "--rate", "0"]
    result = view_without_display(tmp_path_factory.mktemp("runtime"), str(tmp_path / "run"), *arguments)
    picture = tmp_path / "run.png"
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"writing to {tmp_path / 'run'}", str(picture)]
    assert distinct_colours(picture) > 10_000  # noise and cells; an empty canvas has fewer than 2,000
    assert (tmp_path / "run" / ".done").exists()


@needs_xvfb
def test_a_picture_that_cannot_be_saved_ends_the_command_with_an_error(tmp_path: Path) -> None:
    picture = tmp_path / "nowhere" / "picture.png"
    small = ["--fovs", "1", "--n-t", "1", "--size", "96", "--rate", "0"]
    result = view_without_display(tmp_path, str(tmp_path / "run"), *small, "--screenshot", str(picture))
    assert result.returncode == 1
    assert f"cannot write {picture}" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux goes without a display")
def test_without_any_display_the_command_says_what_to_install(tmp_path: Path) -> None:
    result = view_without_display(tmp_path, str(tmp_path / "run"), PATH=str(tmp_path))
    assert result.returncode == 1
    assert "apt-get install xvfb" in result.stderr


@pytest.mark.skipif(not has_display(), reason="needs a display")
def test_the_process_that_shows_the_run_never_imports_tensorstore(tmp_path: Path) -> None:
    code = (
        "import sys, simulate_acquisition as s; status = s.main(sys.argv[1:]);"
        "print(status, 'tensorstore' in sys.modules, 'ndviewer_light' in sys.modules)"
    )
    small = ["--fovs", "1", "--n-t", "1", "--size", "96", "--rate", "0", "--close-after", "0"]
    command = [sys.executable, "-c", code, str(tmp_path / "run"), *small]
    result = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, text=True, timeout=180)
    assert result.stdout.splitlines()[-1] == "0 False True"
    assert (tmp_path / "run" / ".done").exists()
