"""When planes were acquired, as each format records it, in tables of numbers."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import h5py
import nd2_writer
import numpy as np
import program_tiff_dialects
import pytest
import stores
import tifffile
from hdf5_dialects import write_imaris
from hdf5_files import write_nwb
from runs import CHANNELS, small_run, write
from test_stage_positions import ome_image, ome_xml, write_collection

import ndviewer_light as nl
from ndviewer_light.metadata.recorded_times import elapsed_of_files, squids_times
from ndviewer_light.model import PlaneKey, place_of
from ndviewer_light.rendering.annotations import add_text
from ndviewer_light.rendering.film_frames import Inscription, inscribed
from ndviewer_light.rendering.time_stamps import TimeStamps, time_text
from ndviewer_light.rendering.view_picture import ShownPlace, ViewPictures

if TYPE_CHECKING:
    from pathlib import Path


def plane_times(path: Path, keys: list[tuple[int, int, int, int]], **options: object) -> list[float | None]:
    with nl.open_dataset(path, **options) as dataset:  # type: ignore[arg-type]
        return dataset.source.acquired_s([PlaneKey(*key) for key in keys])


def write_ome(path: Path, unit: str, factor: float) -> list[float]:
    """T 2, C 2, Z 3 with a time each; returns them in s, in the order of the pages."""
    seconds = [0.25 + 1.5 * page for page in range(12)]
    metadata = {
        "axes": "TCZYX",
        "Plane": {"DeltaT": [each / factor for each in seconds], "DeltaTUnit": [unit] * 12},
    }
    tifffile.imwrite(path, np.zeros((2, 2, 3, 8, 9), "u2"), ome=True, metadata=metadata)
    return seconds


@pytest.mark.parametrize(("unit", "factor"), [("s", 1.0), ("ms", 1e-3), ("min", 60.0)])
def test_ome_tiff_says_it_of_each_plane(tmp_path: Path, unit: str, factor: float) -> None:
    path = tmp_path / "a.ome.tiff"
    seconds = write_ome(path, unit, factor)
    keys = [(t, 0, c, z) for t in range(2) for c in range(2) for z in range(3)]
    for isolate in (False, True):
        assert plane_times(path, keys, isolate=isolate) == pytest.approx(seconds)
    with tifffile.TiffFile(path) as tiff:  # as the library that wrote it has it
        assert f'DeltaTUnit="{unit}"' in (tiff.ome_metadata or "")
    with nl.open_dataset(path) as dataset:
        found = dataset.measure(channels=1)
        assert found["acquired_s"].values.ravel() == pytest.approx(seconds[3:6] + seconds[9:])
        assert set(found["acquired_by"].values.ravel()) == {"record"}
        frame = dataset.measured_table().to_frame()
        assert frame["acquired_s"].is_monotonic_increasing is False  # rows are by t, z, c
        assert frame["acquired_s"].iloc[1] == pytest.approx(seconds[3])
        assert frame["written"].notna().all()


def test_pictures_and_films_are_stamped_by_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    seconds = write_ome(path, "s", 1.0)
    with nl.open_dataset(path) as dataset:
        stamps, image = TimeStamps(dataset), dataset.image(0)
        key = stamps.plane(1, 0, 2, image, [1, 0])
        assert (key, stamps.text(key, image)) == ((1, 0, 1, 2), "t 2"), "it was not looked up"
        assert (stamps.stamp(key, image), stamps.recorded(key)) == ("00:00:17", seconds[11])
        for z, said in (("max:1-2", "00:00:15"), (2, "00:00:17")):
            pictures = ViewPictures(dataset, [1], legible=True)
            written, _ = inscribed(dataset, pictures, ShownPlace(1, 0, z), Inscription(timestamp=True))
            expected, _ = pictures.picture(ShownPlace(1, 0, z))
            add_text(expected, said)
            np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))
    assert time_text(3, image, 1.26, step=0.25) == "1.26 s" and time_text(3, image, -62.0) == "-00:01:02"


def test_a_unit_that_is_no_time_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    write_ome(path, "s", 1.0)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'DeltaTUnit="s"', b'DeltaTUnit="m"'))
    assert plane_times(path, [(0, 0, 0, 0)]) == [None]


def test_nd2_has_a_list_of_the_times_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.nd2"
    times_ms = [0.0, 40.5, 1010.0, 1055.0, 2000.0, 2043.0]
    loops = [nd2_writer.time_loop(3), nd2_writer.z_loop(2)]
    nd2_writer.write_nd2(path, lambda i: np.full((8, 8, 1), i, "u2"), loops, times_ms=times_ms)
    keys = [(t, 0, 0, z) for t in range(3) for z in range(2)] + [(7, 0, 0, 0)]
    assert plane_times(path, keys) == pytest.approx([*(each / 1000 for each in times_ms), None])
    import nd2

    with nd2.ND2File(path) as file:
        library = [file.frame_metadata(i).channels[0].time.relativeTimeMs for i in range(6)]
    assert library == pytest.approx(times_ms)
    none = tmp_path / "b.nd2"
    nd2_writer.write_nd2(none, lambda i: np.full((8, 8, 1), i, "u2"), loops)
    assert plane_times(none, keys[:2]) == [None, None]


def test_micromanager_says_it_of_every_page_and_every_file(tmp_path: Path) -> None:
    program_tiff_dialects.micromanager_index(tmp_path)
    (path,) = tmp_path.glob("*.tif*")
    assert set(plane_times(path, [(t, 0, c, 2) for t in range(2) for c in range(2)])) == {1.5005}
    folder = tmp_path / "images"
    folder.mkdir()
    said: dict[str, object] = {"Summary": {"ChNames": ["A"], "Interval_ms": 0}}
    for t in range(3):
        name = f"img_channel000_position000_time{t:09}_z000.tif"
        tifffile.imwrite(folder / name, np.zeros((8, 8), "u2"))
        said[f"Metadata-Default/{name}"] = {"ElapsedTime-ms": 1000 * t + 250.5}
    (folder / "metadata.txt").write_text(json.dumps(said))
    for isolate in (False, True):
        found = plane_times(folder, [(t, 0, 0, 0) for t in range(3)], isolate=isolate)
        assert found == pytest.approx([0.2505, 1.2505, 2.2505])
    text = (folder / "metadata.txt").read_text()
    whole = plane_times(folder, [(t, 0, 0, 0) for t in range(3)])
    (folder / "metadata.txt").write_text(text[:-40])
    with nl.open_dataset(folder) as dataset:
        assert dataset.info.warnings == (), "it may be being written"
    assert plane_times(folder, [(t, 0, 0, 0) for t in range(3)]) == [*whole[:2], None]
    stores.make_old(folder)
    with nl.open_dataset(folder) as dataset:
        (warning,) = dataset.info.warnings
        assert "metadata.txt" in warning and "unknown" in warning
        (folder / "metadata.txt").write_text(text)
        assert not any("metadata.txt" in each for each in dataset.refresh().warnings)
    (folder / "metadata.txt").write_text("Notes of the day")
    with nl.open_dataset(folder) as dataset:
        assert dataset.info.warnings == ()


def test_what_micromanager_said_before_version_2() -> None:
    said = {
        "FrameKey-0-0-0": {"FileName": "img_000000000_A_000.tif", "ElapsedTime-ms": 12},
        "FrameKey-1-0-0": {"FileName": "img_000000001_A_000.tif", "ElapsedTime-ms": "soon"},
        "FrameKey-2-0-0": {"ElapsedTime-ms": 5},
        "Summary": {"Frames": 3},
        "Comments": [],
    }
    assert elapsed_of_files(said) == {"img_000000000_A_000.tif": 0.012}


def test_squid_writes_a_table_for_each_time_point(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", layout="images")
    write(run)
    header = "region,fov,z_level,x (mm),y (mm),z (um),time"
    for t in range(2):
        rows = [
            f"{region},{fov},{z},1,2,3,2026-05-04_10-{t:02}-{10 * fov + z:02}.500000"
            for region, n in zip(run.regions, run.fovs, strict=True)
            for fov in range(n)
            for z in range(run.n_z)
        ]
        (run.folder / str(t) / "coordinates.csv").write_text("\n".join([header, *rows]))
    keys = [(t, p, c, z) for t in range(2) for p in range(3) for c in range(2) for z in range(2)]
    wanted = [60 * t + 10 * (p == 1) + z for t, p, _, z in keys]
    assert plane_times(run.folder, keys) == pytest.approx(wanted)
    (run.folder / "1" / "coordinates.csv").write_text("region,fov\nA1,0\n")
    assert plane_times(run.folder, [(1, 0, 0, 0), (0, 0, 0, 1)]) == [None, 1.0]
    with nl.open_dataset(run.folder) as dataset:
        assert dataset.info.warnings == ()
        torn = run.folder / "1" / "coordinates.csv"
        whole = "\n".join([header, *rows])
        torn.write_text(whole[:-30])
        key = PlaneKey(1, 0, 0, 0)
        assert dataset.source.acquired_s([key]) == [60.0]
        (warning,) = dataset.source.info.warnings
        assert warning.startswith(f"{torn}: line {len(rows) + 1} does not say") and place_of(warning)
        torn.write_text(whole)
        assert dataset.source.look().warnings == ()
    assert squids_times("region,fov,z_level,time\nA1,0,0,yesterday\n")[0] == {}


def test_squids_ome_tiffs_have_the_time_since_the_start(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", layout="ome_tiff")
    write(run)
    with nl.open_dataset(run.folder) as dataset:
        assert dataset.info.format == "ome-tiff"
        found = dataset.measure()
        times = found["acquired_s"].values
        assert (found["acquired_by"].values == "record").all()
        assert (times >= 0).all() and (times[1] >= times[0]).all() and times.max() < 60
        assert [channel.name for channel in dataset.info.channels] == list(CHANNELS)


@stores.needs_zarr_3
def test_bioformats2raw_keeps_the_ome_xml_of_all_images(tmp_path: Path) -> None:
    image = ome_image("a", 1.5, "DAPI", "GFP")
    said = "".join(f'<Plane TheT="0" TheC="{c}" TheZ="0" DeltaT="{30 * c}" DeltaTUnit="s"/>' for c in (0, 1))
    xml = ome_xml(image, image.replace("</Pixels>", said + "</Pixels>"))
    write_collection(tmp_path / "c.zarr", 2, ["0", "1"], xml, n_c=2)
    keys = [(0, p, c, 0) for p in (0, 1) for c in (0, 1)]
    for isolate in (False, True):
        assert plane_times(tmp_path / "c.zarr", keys, isolate=isolate) == [None, None, 0.0, 30.0]


def test_ome_writers_says_it_of_each_frame(tmp_path: Path) -> None:
    attributes = stores.image_attributes(squid=False)
    frames = [
        {"delta_t": 10.0 * t + c + z / 10, "storage_index": [t, c, z]}
        for t in range(2)
        for c in range(2)
        for z in range(2)
    ]
    wrong = [{"delta_t": "soon", "storage_index": [0, 0, 0]}, {"storage_index": [0]}, 7]
    stores.write_image(tmp_path / "a.zarr", attributes=attributes)
    group = tmp_path / "a.zarr" / "zarr.json"
    said = json.loads(group.read_text())
    said["attributes"]["ome_writers"] = {"version": "0.3", "frame_metadata": [*frames[1:], *wrong]}
    group.write_text(json.dumps(said))
    keys = [(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]
    for isolate in (False, True):
        found = plane_times(tmp_path / "a.zarr", keys, isolate=isolate)
        assert found == [None, *(frame["delta_t"] for frame in frames[1:])]


def test_ndtiff_says_it_in_the_document_of_each_plane(tmp_path: Path) -> None:
    program_tiff_dialects.ndtiff(tmp_path)
    folder = tmp_path / "run_1"
    index, at, number = bytearray((folder / "NDTiff.index").read_bytes()), 0, 0
    while at < len(index):  # documents at the end of the files, as the index says
        for _ in range(2):
            (n,) = struct.unpack_from("<I", index, at)
            text, at = bytes(index[at + 4 : at + 4 + n]), at + 4 + n
        file = folder / text.decode()
        document = json.dumps({"ElapsedTime-ms": 500 * number}).encode()
        if number:  # nothing is said of the first
            struct.pack_into("<ii", index, at + 20, file.stat().st_size, len(document))
        with file.open("ab") as end:
            end.write(document)
        at, number = at + 32, number + 1
    (folder / "NDTiff.index").write_bytes(index)
    order = [(t, p, c, z) for z in range(3) for c in range(2) for p in range(2) for t in range(2)]
    for isolate in (False, True):
        assert plane_times(folder, order, isolate=isolate) == [None, *(0.5 * n for n in range(1, 24))]


def test_nwb_has_time_stamps_or_a_rate(tmp_path: Path) -> None:
    data = np.ones((4, 9, 8), "u2")  # frame, x, y
    stamps = [0.5, 1.5, 4.0, 4.5]
    write_nwb(tmp_path / "a.nwb", S={"data": data, "timestamps": stamps})
    write_nwb(tmp_path / "b.nwb", S={"data": data, "rate": 4.0})
    write_nwb(tmp_path / "c.nwb", S={"data": data})
    keys = [(t, 0, 0, 0) for t in range(5)]
    for isolate in (False, True):
        assert plane_times(tmp_path / "a.nwb", keys, isolate=isolate) == [*stamps, None]
        assert plane_times(tmp_path / "b.nwb", keys[:4], isolate=isolate) == [0.0, 0.25, 0.5, 0.75]
    assert plane_times(tmp_path / "c.nwb", keys) == [None] * 5
    with nl.open_dataset(tmp_path / "a.nwb") as dataset:
        assert dataset.measure()["acquired_s"].values.ravel().tolist() == stamps


def test_imaris_has_a_clock_time_for_each_time_point(tmp_path: Path) -> None:
    path = write_imaris(tmp_path / "a.ims", np.ones((3, 2, 2, 16, 16), "u2"))
    keys = [(t, 0, c, 1) for t in range(3) for c in range(2)]
    assert plane_times(path, keys) == [0.0, 0.0, 90.0, 90.0, 180.0, 180.0]
    with h5py.File(path, "a") as file:
        file["DataSetInfo/TimeInfo"].attrs["TimePoint2"] = np.array([b"?"], "S1")
    assert plane_times(path, keys) == [0.0, 0.0, None, None, 180.0, 180.0]


def test_where_nothing_is_recorded_the_time_step_tells_else_nothing(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "a.zarr", sizes={"t": 3})
    attributes = stores.image_attributes(squid=False)
    (transformation,) = attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    transformation["scale"][0] = 1.0
    attributes["multiscales"][0]["axes"][0] = {"name": "t", "type": "time"}
    stores.write_image(tmp_path / "b.zarr", sizes={"t": 3}, attributes=attributes)
    with nl.open_dataset(tmp_path / "a.zarr") as dataset:
        found = dataset.measure(channels=0, z=0)
        assert found["acquired_s"].values.ravel().tolist() == [0.0, 2.5, 5.0]
        assert set(found["acquired_by"].values.ravel()) == {"step"}
    with nl.open_dataset(tmp_path / "b.zarr") as dataset:
        found = dataset.measure(channels=0, z=0)
        assert np.isnan(found["acquired_s"].values).all()
        assert set(found["acquired_by"].values.ravel()) == {""}
