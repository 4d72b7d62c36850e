"""Nikon ND2: every plane as it was written, whatever the loops; what is missing or damaged is never black."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_source import TIMEOUT, in_thread
from nd2_samples import HEIGHT, POINTS, TWO, WIDTH, P, T, Z, assert_planes_are, frame, keys, place_of
from nd2_writer import (
    Plane,
    custom_loop,
    lambda_loop,
    periods_loop,
    positions_loop,
    time_loop,
    write_legacy_nd2,
    write_nd2,
    z_loop,
)

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey, Position
from ndviewer_light.opening import Reopening, open_dataset
from ndviewer_light.sources import open_source
from ndviewer_light.sources.nd2 import frames as nd2_frames
from ndviewer_light.sources.nd2.format import Nd2Format
from ndviewer_light.sources.nd2.modern import library_internals
from ndviewer_light.sources.nd2.source import Nd2Source

nd2 = pytest.importorskip("nd2")

CLUSTER = Path(__file__).parents[2] / "shared" / "data" / "cluster.nd2"


# ---- what is in the file -------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.0", "2.1"])
@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
@pytest.mark.parametrize("order", ["", "t", "z", "tz", "pz", "tpz", "ptz", "ztp"])
def test_every_plane_whatever_the_loops(tmp_path, opened, order, compressed, version):
    loops = [{"t": T, "p": P, "z": Z}[axis] for axis in order]
    write_nd2(tmp_path / "a.nd2", frame, loops, TWO, compressed=compressed, version=version)
    source = opened(tmp_path / "a.nd2")
    sizes = {"t": 2, "p": 3, "z": 4}
    assert source.info.sizes == {
        **{axis: sizes[axis] if axis in order else 1 for axis in "tpz"},
        **{"c": 2, "y": HEIGHT, "x": WIDTH},
    }
    assert_planes_are(source, frame, order)
    assert not source.info.warnings


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("components", [1, 2, 5])
def test_every_kind_of_pixel(tmp_path, opened, components, dtype, compressed):
    def of(i: int) -> np.ndarray:
        return frame(i, components, dtype)

    planes = [Plane(f"c{i}") for i in range(components)]
    write_nd2(tmp_path / "a.nd2", of, [T], planes, compressed=compressed)
    source = opened(tmp_path / "a.nd2")
    assert source.info.dtype == np.dtype(dtype)
    assert_planes_are(source, of, "t")


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
def test_rows_may_be_padded(tmp_path, opened, compressed):
    row_bytes = WIDTH * 2 * 2 + 6
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO, compressed=compressed, row_bytes=row_bytes)
    assert_planes_are(opened(tmp_path / "a.nd2"), frame, "t")


def test_what_the_file_says_of_the_sample(tmp_path, opened):
    write_nd2(tmp_path / "my run.nd2", frame, [T, P, Z], TWO, pixel_um=0.325)
    info = opened(tmp_path / "my run.nd2").info
    assert (info.format, info.name, info.dtype) == ("nd2", "my run.nd2", np.dtype("u2"))
    assert (info.pixel_size_y_um, info.pixel_size_x_um) == (0.325, 0.325)
    assert (info.z_step_um, info.time_step_s) == (0.5, 2.5)
    assert (info.n_levels, info.complete) == (1, None)
    said = [(c.name, c.color, c.excitation_nm, c.emission_nm) for c in info.channels]
    assert said == [("DAPI", "#0000FF", 405.0, 450.0), ("GFP", "#00FF00", 488.0, 525.0)]


def test_positions_have_their_names_and_stage_coordinates(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [P], TWO)
    assert opened(tmp_path / "a.nd2").info.positions == (
        Position("A1", 0, 100.0, -50.0, 7.0, "A1"),
        Position("A1", 1, 200.0, -50.0, 7.5, "A1"),
        Position("P", 0, 300.0, -60.0, 8.0),
    )


def test_a_height_that_the_experiment_did_not_set_is_not_known(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [positions_loop(POINTS, use_z=False)], TWO)
    assert [position.z_um for position in opened(tmp_path / "a.nd2").info.positions] == [None] * 3


def test_one_position_is_where_the_stage_was(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO, stage_um=(1.5, -2.5, 3.5))
    info = opened(tmp_path / "a.nd2").info
    assert info.positions == (Position("P", 0, 1.5, -2.5, 3.5),)
    assert info.positions[0].label == "P:0"


def test_what_was_not_calibrated_has_no_size(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO, pixel_um=None)
    info = opened(tmp_path / "a.nd2").info
    assert (info.pixel_size_um, info.z_step_um) == (None, None)


def test_a_channel_without_a_dye_is_shown_by_its_colour_or_name(tmp_path, opened):
    planes = [Plane("Bright field", "#FFFFFF", probe=False), Plane("Cy5 640nm", "#000000", probe=False)]
    write_nd2(tmp_path / "a.nd2", frame, [T], planes)
    channels = opened(tmp_path / "a.nd2").info.channels
    assert [(c.name, c.color) for c in channels] == [("Bright field", "#FFFFFF"), ("Cy5 640nm", "#FF0000")]
    assert channels[0].excitation_nm is channels[0].emission_nm is None


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
def test_a_colour_camera_stores_blue_first(tmp_path, opened, compressed):
    def of(i: int) -> np.ndarray:
        return frame(i, 3, "u1")

    write_nd2(tmp_path / "a.nd2", of, [T], [Plane("H&E", components=3)], compressed=compressed)
    source = opened(tmp_path / "a.nd2")
    assert [(c.name, c.color, c.window) for c in source.info.channels] == [
        ("H&E (R)", "#FF0000", (0, 255)),
        ("H&E (G)", "#00FF00", (0, 255)),
        ("H&E (B)", "#0000FF", (0, 255)),
    ]
    assert_planes_are(source, lambda i: of(i)[..., ::-1], "t")
    with nd2.ND2File(tmp_path / "a.nd2") as file:
        assert file.metadata.channels[0].channel.emissionLambdaNm == 420, "the first component is blue"
        assert file.sizes["S"] == 3, "the library swaps nothing"
        np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 0, 0)), file.asarray()[1, ..., 2])


def test_a_colour_camera_beside_another_one(tmp_path, opened):
    def of(i: int) -> np.ndarray:
        return frame(i, 4, "u1")

    write_nd2(tmp_path / "a.nd2", of, [T], [Plane("H&E", components=3), Plane("DAPI")])
    source = opened(tmp_path / "a.nd2")
    assert [channel.name for channel in source.info.channels] == ["H&E (R)", "H&E (G)", "H&E (B)", "DAPI"]
    assert_planes_are(source, lambda i: of(i)[..., [2, 1, 0, 3]], "t")


def test_two_channels_of_a_colour_camera_and_three_of_others(tmp_path, opened):
    def of(i: int) -> np.ndarray:
        return frame(i, 6)

    two = [Plane("H&E", components=3), Plane("IHC", components=3)]
    write_nd2(tmp_path / "a.nd2", of, [T], two)
    assert_planes_are(opened(tmp_path / "a.nd2"), lambda i: of(i)[..., [2, 1, 0, 5, 4, 3]], "t")
    three = [Plane(name) for name in ("DAPI", "GFP", "Cy5")]
    write_nd2(tmp_path / "b.nd2", lambda i: frame(i, 3), [T], three)
    source = opened(tmp_path / "b.nd2")
    assert_planes_are(source, lambda i: frame(i, 3), "t")
    assert source.info.channels[0].window is None


@pytest.mark.parametrize(
    ("loop", "times_ms", "step_s"),
    [
        pytest.param(time_loop(3, 1500.0), [0, 9, 99], 1.5, id="as set up"),
        pytest.param(time_loop(3, 0.0, 250.0), [0, 9, 99], 0.25, id="as the file has it on average"),
        pytest.param(time_loop(3, 0.0), [100, 600, 1500], 0.7, id="as it was taken"),
        pytest.param(time_loop(3, 0.0), [], None, id="nobody knows"),
        pytest.param(time_loop(3, 0.0), [100, 600], None, id="too few times"),
        pytest.param(periods_loop([(1, 100.0), (2, 100.0)]), [], 0.1, id="phases alike"),
        pytest.param(periods_loop([(1, 100.0), (2, 900.0)]), [0, 100, 1000], None, id="phases that differ"),
    ],
)
def test_time_between_time_points(tmp_path, opened, loop, times_ms, step_s):
    write_nd2(tmp_path / "a.nd2", frame, [loop], TWO, times_ms=times_ms)
    source = opened(tmp_path / "a.nd2")
    assert source.info.time_step_s == (None if step_s is None else pytest.approx(step_s))
    assert source.info.n_t == 3


@pytest.mark.parametrize(
    ("loops", "said"),
    [
        pytest.param([T, custom_loop(2)], "CustomLoop", id="an axis without a name"),
        pytest.param([T, Z, time_loop(3)], "2 loops along the axis t", id="twice the same"),
    ],
)
def test_axes_that_are_not_ours_are_refused_by_name(tmp_path, loops, said):
    write_nd2(tmp_path / "a.nd2", frame, loops, TWO)
    with pytest.raises(UnsupportedError, match=rf"a\.nd2.*{said}"):
        open_source(str(tmp_path / "a.nd2"))


@pytest.mark.parametrize(
    ("loops", "skip"),
    [
        pytest.param([T, replace(P, count=2, valid=[True, False, True])], (), id="a point left out"),
        pytest.param([T, lambda_loop(), Z], (), id="channels as a loop"),
        pytest.param([replace(T, in_sub_loop=True), Z], (), id="sub-loops"),
        pytest.param([replace(T, others=[z_loop(2)]), Z], (), id="two loops of one kind inside"),
        pytest.param([periods_loop([(1, 100.0), (2, 900.0)]), P, Z], (), id="phases, points and stacks"),
        pytest.param([T, P, Z], {3, 7, 20, 21, 22, 23}, id="dropped frames"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_loops_are_what_the_library_takes_them_for(tmp_path, opened, loops, skip):
    write_nd2(tmp_path / "a.nd2", frame, loops, TWO, skip=skip, events=["drug added", "washed"])
    source = opened(tmp_path / "a.nd2")
    with nd2.ND2File(tmp_path / "a.nd2") as file:
        assert [event["Events"] for event in file.events() if "Events" in event], "which are no frames"
        names, planes = "".join(file.sizes)[:-3].lower(), file.asarray()
    sizes = source.info.sizes
    assert planes.size == math.prod(sizes.values())
    for number, key in enumerate(itertools.product(*(range(sizes[name]) for name in names))):
        at = PlaneKey(**dict(zip(names, key, strict=True)), c=1)
        if number in skip:
            with pytest.raises(PlaneNotStoredError, match=rf"does not contain frame {number}"):
                source.read_plane(at)
        else:
            np.testing.assert_array_equal(source.read_plane(at), planes[(*key, 1)])
    if skip:
        assert "the file lacks 6 of 24 frames: not all of them" in source.info.warnings[0]
    else:
        assert source.info.warnings == ()


def test_zeros_after_the_end_are_not_part_of_a_file(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO)
    whole = (tmp_path / "a.nd2").read_bytes()
    (tmp_path / "a.nd2").write_bytes(whole + bytes(10_000))
    assert_planes_are(opened(tmp_path / "a.nd2"), frame, "tz")
    (tmp_path / "a.nd2").write_bytes(whole[:-8_000] + bytes(8_000))
    with pytest.raises(CorruptDataError, match=r"is incomplete \(its end is zeros\)"):
        open_source(str(tmp_path / "a.nd2"))


def test_an_axis_of_one_is_no_axis(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [custom_loop(1), time_loop(1), Z], TWO)
    assert_planes_are(opened(tmp_path / "a.nd2"), frame, "z")


# ---- beside the library --------------------------------------------------------------------------


@pytest.mark.skipif(not CLUSTER.exists(), reason="the real file is not here")
def test_a_real_file_is_what_the_library_says_it_is(opened):
    source = opened(CLUSTER)
    info = source.info
    with nd2.ND2File(CLUSTER) as file:
        planes, voxel = file.asarray(), file.voxel_size()
        said = [channel.channel for channel in file.metadata.channels]
        stage = file.frame_metadata(0).channels[0].position.stagePositionUm
    assert info.sizes == {"t": 3, "p": 1, "c": 2, "z": 10, "y": 31, "x": 38}
    assert (info.pixel_size_x_um, info.pixel_size_y_um, info.z_step_um) == tuple(voxel)
    assert [(c.name, c.excitation_nm, c.emission_nm) for c in info.channels] == [
        (c.name, c.excitationLambdaNm, c.emissionLambdaNm) for c in said
    ]
    assert [c.color.lower() for c in info.channels] == [c.color.as_hex() for c in said]
    assert (info.positions[0].x_um, info.positions[0].y_um) == stage[:2]
    assert info.time_step_s == pytest.approx(10.65, abs=0.01)
    for key in keys(info.sizes):
        np.testing.assert_array_equal(source.read_plane(key), planes[key.t, key.z, key.c])


def test_the_library_still_has_what_we_use_of_it_in_private(tmp_path):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO)
    with nd2.ND2File(tmp_path / "a.nd2") as file:
        internals = library_internals(file)
        offset, size = internals.chunkmap[b"ImageDataSeq|1!"]
        picture = internals._cached_raw_metadata()
    assert size == 8 + HEIGHT * WIDTH * 2 * 2
    data = (tmp_path / "a.nd2").read_bytes()
    assert data[offset + 4096 : offset + 4096 + size - 8] == frame(1).tobytes()
    assert picture["sPicturePlanes"]["sPlaneNew"]["a1"]["sDescription"] == "GFP"
    assert picture["dCalibration"] == 0.65


def test_a_library_that_has_changed_in_private_is_said_to_be_unknown():
    with pytest.raises(UnsupportedError, match=r"pip install 'nd2>=0\.12"):
        library_internals(object())  # type: ignore[arg-type]


def test_without_the_library_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO)
    monkeypatch.setitem(sys.modules, "nd2", None)
    with pytest.raises(UnsupportedError, match=r"a\.nd2.*pip install 'ndviewer_light\[nd2\]'"):
        open_source(str(tmp_path / "a.nd2"))


# ---- before 2010 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (12, "u2"), (16, "u2")])
def test_jpeg_2000_files_from_before_2010(tmp_path, opened, bits, dtype):
    pytest.importorskip("imagecodecs")

    def of(i: int) -> np.ndarray:
        return (frame(i) % ((1 << bits) - 1)).astype(dtype)

    loops = [T, positions_loop([("", *point[1:]) for point in POINTS]), Z]
    write_legacy_nd2(tmp_path / "a.nd2", of, loops, TWO, bits=bits, pixel_um=0.4)
    source = opened(tmp_path / "a.nd2")
    info = source.info
    assert info.sizes == {"t": 2, "p": 3, "c": 2, "z": 4, "y": HEIGHT, "x": WIDTH}
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.4, 0.5, 2.5)
    assert [(c.name, c.color) for c in info.channels] == [("DAPI", "#0000FF"), ("GFP", "#00FF00")]
    assert [(p.label, p.x_um) for p in info.positions] == [("P:0", 100.0), ("P:1", 200.0), ("P:2", 300.0)]
    assert_planes_are(source, of, "tpz")


def test_a_colour_camera_before_2010(tmp_path, opened):
    pytest.importorskip("imagecodecs")

    def of(i: int) -> np.ndarray:
        return frame(i, 3, "u1")

    write_legacy_nd2(tmp_path / "a.nd2", of, [T], [Plane("H&E", components=3)], bits=8)
    assert_planes_are(opened(tmp_path / "a.nd2"), of, "t")


def test_many_threads_read_a_file_from_before_2010(tmp_path, opened):
    pytest.importorskip("imagecodecs")
    write_legacy_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, bits=16)
    source = opened(tmp_path / "a.nd2")
    for future in [in_thread(assert_planes_are, source, frame, "tz") for _ in range(4)]:
        future.result(TIMEOUT)


def test_a_damaged_frame_from_before_2010_is_an_error(tmp_path, opened):
    pytest.importorskip("imagecodecs")
    write_legacy_nd2(tmp_path / "a.nd2", frame, [T], TWO, bits=16)
    data = bytearray((tmp_path / "a.nd2").read_bytes())
    at = data.index(b"jp2c") + 4
    data[at : at + 40] = bytes(40)
    (tmp_path / "a.nd2").write_bytes(data)
    source = opened(tmp_path / "a.nd2")
    with pytest.raises(CorruptDataError, match=r"a\.nd2 is damaged: frame 0"):
        source.read_plane(PlaneKey())
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1)), frame(1)[..., 0])


# ---- what is recognised --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.nd2", "A.ND2", "without an ending"])
def test_files_are_recognised_by_name_or_by_their_first_bytes(tmp_path, opened, name):
    write_nd2(tmp_path / name, frame, [T], TWO)
    assert_planes_are(opened(tmp_path / name), frame, "t")


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("https://example.org/data/a.nd2", True),
        ("https://example.org/data/a.ND2?signature=x.zip", True),
        ("s3://bucket/a.nd2", True),
        ("https://example.org/a.zarr", False),
        ("https://example.org/view?file=a.nd2", False),
    ],
)
def test_urls_are_recognised_by_their_name_alone(url, is_ours):
    assert Nd2Format().recognises(url) is is_ours


def test_folders_and_what_is_not_there_are_not_recognised(tmp_path):
    (tmp_path / "folder.nd2").mkdir()
    assert not Nd2Format().recognises(str(tmp_path / "folder.nd2"))
    assert not Nd2Format().recognises(str(tmp_path / "nothing.nd2"))
    with pytest.raises(DatasetNotFoundError):
        Nd2Source.open(str(tmp_path / "nothing.nd2"))


# ---- many at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
def test_four_threads_read_every_plane(tmp_path, opened, compressed):
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO, compressed=compressed)
    source = opened(tmp_path / "a.nd2")
    for future in [in_thread(assert_planes_are, source, frame, "tpz") for _ in range(4)]:
        future.result(TIMEOUT)


def test_threads_that_read_while_it_is_closed_get_pixels_or_an_error(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO)
    source, started = opened(tmp_path / "a.nd2"), threading.Barrier(5)

    def read() -> str:
        started.wait(TIMEOUT)
        while True:
            for key in keys(source.info.sizes):
                try:
                    pixels = source.read_plane(key)
                except DatasetError as error:
                    return str(error)
                np.testing.assert_array_equal(pixels, frame(key.t * 4 + key.z)[..., key.c])

    readers = [in_thread(read) for _ in range(4)]
    started.wait(TIMEOUT)
    source.close()
    source.close()
    for reader in readers:
        assert "was closed" in str(reader.result(TIMEOUT))


def test_nothing_is_read_of_a_closed_file_not_even_what_was_kept(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO)
    source = opened(tmp_path / "a.nd2")
    source.read_plane(PlaneKey())
    source.close()
    for c in range(2):
        with pytest.raises(DatasetError, match=r"a\.nd2 was closed"):
            source.read_plane(PlaneKey(c=c))


def test_threads_that_read_while_it_is_replaced_never_see_an_error(tmp_path, opened):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO)
    source, over = opened(tmp_path / "a.nd2"), threading.Event()

    def read() -> int:
        for n in itertools.count():
            if over.is_set():
                return n
            assert_planes_are(source, frame, "tz")
        return 0

    readers = [in_thread(read) for _ in range(3)]
    for _ in range(30):
        source.refresh()
    over.set()
    assert all(reader.result(TIMEOUT) for reader in readers)


@pytest.mark.parametrize("band_bytes", [1, 1000, 10**6])
def test_frames_too_large_to_be_kept_are_read_in_bands(tmp_path, opened, monkeypatch, band_bytes):
    monkeypatch.setattr(nd2_frames, "_WHOLE_BYTES", 100)
    monkeypatch.setattr(nd2_frames, "_BAND_BYTES", band_bytes)
    path = tmp_path / "a.nd2"
    write_nd2(path, frame, [T], TWO, row_bytes=WIDTH * 4 + 2, skip={0})
    source = opened(path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, c=1)), frame(1)[..., 1])
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(t=0))
    os.truncate(path, place_of(path, 1) + 5000)
    with pytest.raises(CorruptDataError, match="truncated"):
        source.read_plane(PlaneKey(t=1))


# ---- through what is above -----------------------------------------------------------------------


def test_through_a_process_of_its_own(tmp_path):
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO, skip={23})
    reader = IsolatedSource.open(str(tmp_path / "a.nd2"))
    source = open_source(str(tmp_path / "a.nd2"))
    assert reader.info == source.info
    source.close()
    last = PlaneKey(t=1, p=2, z=3)
    with pytest.raises(PlaneNotStoredError) as caught:
        reader.read_plane(last)
    assert caught.value.plane_shape == (HEIGHT, WIDTH)
    write_nd2(tmp_path / "b.nd2", frame, [T, P, Z], TWO)
    os.replace(tmp_path / "b.nd2", tmp_path / "a.nd2")
    reader.refresh()
    assert_planes_are(reader, frame, "tpz")
    reader.close()


def test_a_lazy_array_survives_pickling(tmp_path):
    pytest.importorskip("xarray")
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO)
    expected = np.array([frame(i) for i in range(24)]).reshape(2, 3, 4, HEIGHT, WIDTH, 2)
    expected = np.moveaxis(expected, -1, 3)
    with open_dataset(tmp_path / "a.nd2") as dataset:
        array = dataset.to_xarray()
        np.testing.assert_array_equal(array.values, expected)
        pickled = pickle.dumps(array)
    from ndviewer_light.engine import to_xarray as lazy

    again = pickle.loads(pickled)
    np.testing.assert_array_equal(again.values, expected)
    dataset = lazy._open_once(Reopening(str(tmp_path / "a.nd2"), ()))
    dataset.close()
    lazy._open_once.cache_clear()
    assert list(again.coords["position"].values) == ["A1:0", "A1:1", "P:0"]
    np.testing.assert_allclose(again.coords["time"], [0, 2.5])


def test_it_computes_on_the_processes_of_a_cluster(tmp_path):
    pytest.importorskip("distributed")
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO)
    code = """
import sys
from distributed import Client, LocalCluster
from ndviewer_light import open_dataset

if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None)
    with cluster, Client(cluster), open_dataset(sys.argv[1]) as dataset:
        print(int(dataset.to_xarray().sum().compute()))
"""
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "a.nd2")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )
    assert done.stdout.split() == [str(sum(int(frame(i).sum()) for i in range(8)))], done.stderr
