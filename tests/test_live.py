"""What hosts announce and notify: any thread, any indices, any order; nonsense is counted, never raised."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from memory_source import TIMEOUT, MemorySource, in_thread, memory_info

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import AcquisitionConfigError
from ndviewer_light.live.acquisition import (
    Acquisition,
    announce_6d,
    announce_files,
    announce_per_fov,
    position_of,
)
from ndviewer_light.live.registered_files import RegisteredFiles
from ndviewer_light.model import PlaneKey, Position, announced_info

CHANNELS = ["BF LED matrix full", "Fluorescence 488 nm Ex"]
LABELS_6D = [*(f"r0:{i}" for i in range(4)), *(f"r1:{i}" for i in range(6)), *(f"r2:{i}" for i in range(3))]


def per_fov(n: int = 3):
    return announce_per_fov(
        [f"/data/fov_{i}.ome.zarr" for i in range(n)], CHANNELS, 5, [f"A1:{i}" for i in range(n)], 20, 30
    )


def regions(counts=(4, 6, 3), labels=("r0", "r1", "r2")):
    paths = [f"/data/{i}/acquisition.zarr" for i in range(len(counts))]
    return announce_6d(paths, CHANNELS, 5, counts, 20, 30, labels)


def acquisition_of(run, fovs_per_region=None):
    sizes = announced_info(run).sizes
    source = MemorySource(memory_info(n_t=1, n_p=sizes["p"], n_c=sizes["c"], n_z=sizes["z"]))
    return Acquisition(Dataset(source, live=True), run, RegisteredFiles(run), fovs_per_region)


@pytest.fixture
def acquisition():
    acquisition = acquisition_of(per_fov())
    yield acquisition
    acquisition.dataset.close()


@pytest.fixture
def acquisition_6d():
    acquisition = acquisition_of(regions(), (4, 6, 3))
    yield acquisition
    acquisition.dataset.close()


def notified(acquisition) -> set[tuple[int, int, int, int]]:
    rows, _ = acquisition.dataset._cache.take_notified()
    return {tuple(row) for each in rows for row in each.tolist()}


# ---- announcements ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "region", "fov"),
    [
        ("A1:0", "A1", 0),
        ("manual0:12", "manual0", 12),
        ("a:b:3", "a:b", 3),
        ("A1", "A1", 0),
        ("A1:", "A1:", 0),
        ("A1:x", "A1:x", 0),
        ("A1:²", "A1:²", 0),
        ("", "", 0),
    ],
)
def test_a_label_is_a_region_and_a_number(label, region, fov):
    position = position_of(label)
    assert (position.region, position.fov) == (region, fov)


def test_a_run_of_one_store_per_position_keeps_paths_and_labels_in_pairs():
    run = per_fov()
    assert [position.label for position in run.positions] == ["A1:0", "A1:1", "A1:2"]
    assert run.paths == tuple(f"/data/fov_{i}.ome.zarr" for i in range(3))
    assert run.indices == (None, None, None)
    assert (run.channels, run.n_z, run.height, run.width) == (tuple(CHANNELS), 5, 20, 30)


@pytest.mark.parametrize(("n_paths", "n_labels"), [(3, 2), (2, 3)])
def test_lists_of_different_length_are_cut_to_the_shorter_with_a_warning(n_paths, n_labels, caplog):
    run = announce_per_fov(["/a", "/b", "/c"][:n_paths], CHANNELS, 1, ["A:0", "A:1", "A:2"][:n_labels], 2, 2)
    assert len(run.positions) == len(run.paths) == len(run.indices) == 2
    assert f"{n_paths} FOV paths but {n_labels} labels" in caplog.text


def test_a_run_by_regions_numbers_positions_through_all_regions():
    run = regions()
    assert [position.label for position in run.positions] == LABELS_6D
    assert run.indices == (*range(4), *range(6), *range(3))
    assert (
        run.paths
        == (*("/data/0/acquisition.zarr",) * 4, *("/data/1/acquisition.zarr",) * 6)
        + ("/data/2/acquisition.zarr",) * 3
    )


def test_regions_without_labels_are_numbered():
    assert [position.region for position in regions((1, 1, 1), None).positions] == [
        "region_0",
        "region_1",
        "region_2",
    ]


@pytest.mark.parametrize("paths", [[], None, ()], ids=repr)
def test_a_run_without_paths_is_refused(paths):
    with pytest.raises(ValueError, match="fov_paths must not be empty"):
        announce_per_fov(paths, CHANNELS, 1, [], 2, 2)


@pytest.mark.parametrize(
    ("paths", "counts", "labels"),
    [
        pytest.param([], [], None, id="no regions"),
        pytest.param(None, [1], None, id="None for regions"),
        pytest.param(["/a"], [], None, id="no counts"),
        pytest.param(["/a"], None, None, id="None for counts"),
        pytest.param(["/a"], [0], None, id="no positions in a region"),
        pytest.param(["/a", "/b"], [2, -1], None, id="less than none"),
        pytest.param(["/a", "/b"], [1], None, id="fewer counts"),
        pytest.param(["/a"], [1, 1], None, id="more counts"),
        pytest.param(["/a", "/b"], [1, 1], ["r0"], id="fewer labels"),
    ],
)
def test_a_run_by_regions_that_does_not_add_up_is_refused(paths, counts, labels):
    with pytest.raises(AcquisitionConfigError) as caught:
        announce_6d(paths, CHANNELS, 1, counts, 2, 2, labels)
    assert isinstance(caught.value, ValueError)


def test_what_is_known_before_the_first_plane_is_what_was_announced():
    info = announced_info(per_fov())
    assert info.sizes == {"t": 1, "p": 3, "c": 2, "z": 5, "y": 20, "x": 30}
    assert [channel.name for channel in info.channels] == CHANNELS
    assert [channel.color for channel in info.channels][1] == "#00FF00"
    assert info.dtype is None
    assert info.positions[2] == Position("A1", 2)


# ---- notifications ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "key"),
    [
        pytest.param((0, 0, 0, CHANNELS[0]), (0, 0, 0, 0), id="first"),
        pytest.param((7, 2, 4, CHANNELS[1]), (7, 2, 1, 4), id="last"),
        pytest.param((np.int64(1), np.uint8(1), np.int16(1), CHANNELS[0]), (1, 1, 0, 1), id="numpy integers"),
        pytest.param((1, 1, 1, np.str_(CHANNELS[1])), (1, 1, 1, 1), id="numpy text"),
        pytest.param((1, 1, 1, CHANNELS[1], 5), (1, 1, 1, 1), id="the region does not count here"),
        pytest.param((1, 1, 1, CHANNELS[1], None), (1, 1, 1, 1), id="nor does none"),
    ],
)
def test_what_a_host_notifies_of_one_store_per_position(acquisition, said, key):
    assert acquisition.notify(*said) is True
    assert notified(acquisition) == {key}
    assert acquisition.ignored == 0


@pytest.mark.parametrize(
    ("region", "fov", "p"),
    [(0, 0, 0), (0, 3, 3), (1, 0, 4), (1, 3, 7), (1, 5, 9), (2, 0, 10), (2, 2, 12), (np.int32(2), 2, 12)],
)
def test_what_a_host_notifies_by_region_counts_through_all_regions(acquisition_6d, region, fov, p):
    assert acquisition_6d.notify(0, fov, 1, CHANNELS[1], region) is True
    assert notified(acquisition_6d) == {(0, p, 1, 1)}


@pytest.mark.parametrize(("region", "p"), [(0, 0), (1, 1), (2, 2)])
def test_regions_of_one_position_each(region, p):
    acquisition = acquisition_of(regions((1, 1, 1)), (1, 1, 1))
    acquisition.notify(0, 0, 0, CHANNELS[0], region)
    assert notified(acquisition) == {(0, p, 0, 0)}
    acquisition.dataset.close()


class Odd:
    """An index only in name."""

    def __index__(self):
        raise RuntimeError("no number")

    def __repr__(self):
        raise RuntimeError("no name")


NONSENSE = [
    pytest.param((-1, 0, 0, CHANNELS[0]), id="negative t"),
    pytest.param((0, -1, 0, CHANNELS[0]), id="negative position"),
    pytest.param((0, 0, -1, CHANNELS[0]), id="negative z"),
    pytest.param((2**40, 0, 0, CHANNELS[0]), id="t of 2^40"),
    pytest.param((0, 2**40, 0, CHANNELS[0]), id="position of 2^40"),
    pytest.param((0, 0, 5, CHANNELS[0]), id="z beyond the last"),
    pytest.param((0, 99, 0, CHANNELS[0]), id="position beyond the last"),
    pytest.param((1.5, 0, 0, CHANNELS[0]), id="half a t"),
    pytest.param((0, 1.0, 0, CHANNELS[0]), id="a float for position"),
    pytest.param((0, 0, float("nan"), CHANNELS[0]), id="not a number"),
    pytest.param((None, 0, 0, CHANNELS[0]), id="None"),
    pytest.param(("0", 0, 0, CHANNELS[0]), id="text for t"),
    pytest.param((0, 0, 0, "no such channel"), id="unknown channel"),
    pytest.param((0, 0, 0, 0), id="number for channel"),
    pytest.param((0, 0, 0, None), id="None for channel"),
    pytest.param((0, 0, 0, ["a list"]), id="what has no hash"),
    pytest.param((Odd(), 0, 0, CHANNELS[0]), id="what raises"),
]


@pytest.mark.parametrize("said", NONSENSE)
def test_what_names_no_plane_of_the_run_is_ignored_and_counted(acquisition, said):
    assert acquisition.notify(*said) is False
    assert acquisition.notify(*said) is False
    assert acquisition.ignored == 2
    assert notified(acquisition) == set()


@pytest.mark.parametrize("said", NONSENSE)
def test_what_names_no_plane_of_a_run_by_regions_is_ignored_and_counted(acquisition_6d, said):
    assert acquisition_6d.notify(*said) is False
    assert acquisition_6d.ignored == 1
    assert notified(acquisition_6d) == set()


@pytest.mark.parametrize(
    ("region", "fov"),
    [(3, 0), (-1, 0), (0, 4), (1, 6), (2, 3), (2**40, 0), (None, 0), (0.0, 0), ("r0", 0), (0, -1)],
)
def test_regions_and_positions_out_of_range_are_never_another_plane(acquisition_6d, region, fov):
    assert acquisition_6d.notify(0, fov, 0, CHANNELS[0], region) is False
    assert acquisition_6d.ignored == 1
    assert notified(acquisition_6d) == set()


def test_nonsense_is_said_once_in_the_log(acquisition, caplog):
    for _ in range(50):
        acquisition.notify(0, 0, 0, "no such channel")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "no such channel" in warnings[0].getMessage()


def test_notifications_from_many_threads_all_count(acquisition):
    def notify(seed: int) -> None:
        for t in range(500):
            acquisition.notify(t, seed % 3, t % 5, CHANNELS[seed % 2])
            acquisition.notify(t, seed % 3, 99, CHANNELS[seed % 2])

    for future in [in_thread(notify, seed) for seed in range(8)]:
        future.result(TIMEOUT)
    expected = {(t, seed % 3, seed % 2, t % 5) for seed in range(8) for t in range(500)}
    assert notified(acquisition) == expected
    assert acquisition.ignored == 8 * 500


def test_a_plane_notified_twice_is_one_plane(acquisition):
    acquisition.notify(0, 0, 0, CHANNELS[0])
    acquisition.notify(0, 0, 0, CHANNELS[0])
    assert notified(acquisition) == {(0, 0, 0, 0)}


def test_notifications_never_make_the_dataset_larger_than_the_store(acquisition):
    acquisition.notify(49_999, 0, 0, CHANNELS[0])
    acquisition.dataset.take_changes()
    assert acquisition.dataset.info.n_t == 1


# ---- the end ---------------------------------------------------------------------------------------


def test_the_end_is_the_end_of_the_dataset_too_and_may_be_said_twice(acquisition):
    assert acquisition.active
    assert acquisition.dataset.live
    acquisition.dataset.planes([PlaneKey(0, 0, 0, 0)], wait=None)
    acquisition.end()
    assert not acquisition.active
    assert not acquisition.dataset.live
    assert acquisition.dataset.take_changes().in_view
    acquisition.end()
    assert not acquisition.dataset.take_changes().in_view, "said twice, drawn once"


def test_a_notification_after_the_end_still_counts(acquisition):
    acquisition.end()
    assert acquisition.notify(0, 0, 0, CHANNELS[0]) is True
    assert notified(acquisition) == {(0, 0, 0, 0)}


def test_a_notification_after_the_dataset_was_closed_does_not_raise(acquisition):
    acquisition.dataset.close()
    assert acquisition.notify(0, 0, 0, CHANNELS[0]) is True
    assert acquisition.notify(0, 0, 0, "no such channel") is False
    acquisition.end()


def test_a_run_is_not_seen_through_the_one_that_follows():
    first, second = acquisition_of(per_fov()), acquisition_of(per_fov())
    first.notify(0, 0, 0, CHANNELS[0])
    assert notified(second) == set()
    for acquisition in (first, second):
        acquisition.dataset.close()


# ---- files that hosts name -------------------------------------------------------------------------


@pytest.fixture
def files_run():
    run = announce_files([*CHANNELS, "BF LED matrix full_RGB"], 5, 20, 30, ["A1:0", "A1:1", "B2:0"])
    acquisition = acquisition_of(run)
    yield acquisition
    acquisition.dataset.close()


def test_a_registered_image_is_a_plane_out_of_date(files_run):
    assert files_run.register(2, 1, 3, CHANNELS[1], "/exp/2/A1_1_3_Fluorescence_488_nm_Ex.tiff")
    assert notified(files_run) == {(2, 1, 1, 3)}


def test_an_image_in_colour_is_three_planes(files_run):
    assert [part.name for part in files_run.run.parts[2:]] == [f"BF LED matrix full_RGB ({c})" for c in "RGB"]
    for _ in range(3):  # Squid registers it once per colour
        assert files_run.register(0, 0, 0, "BF LED matrix full_RGB", "/exp/0/A1_0_0_BF_RGB.tiff")
    assert notified(files_run) == {(0, 0, c, 0) for c in (2, 3, 4)}


@pytest.mark.parametrize(
    "what",
    [
        (-1, 0, 0, CHANNELS[0], "a.tiff"),
        (0, 3, 0, CHANNELS[0], "a.tiff"),
        (0, 0, 5, CHANNELS[0], "a.tiff"),
        (0, 0, 0, "no such channel", "a.tiff"),
        (0, 0, 0, None, "a.tiff"),
        (0, 0, 0, CHANNELS[0], None),
        (0, 0, 0, CHANNELS[0], b"a.tiff"),
        (0, 0, 0, CHANNELS[0], "a.tiff", "1"),
        (10**9, 0, 0, CHANNELS[0], "a.tiff"),
    ],
    ids=repr,
)
def test_an_image_that_is_no_plane_of_the_run_is_counted_and_ignored(files_run, what):
    assert not files_run.register(*what)
    assert files_run.ignored == 1
    assert notified(files_run) == set()


def test_a_run_of_files_may_be_notified_of_as_well(files_run):
    assert files_run.notify(0, 2, 1, CHANNELS[0])
    assert notified(files_run) == {(0, 2, 0, 1)}
