"""What the simulated host tells a viewer and when, and what goes wrong if asked for."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from simulations import EXPERIMENT_FILES, TWO_CHANNELS, files_below, read_json, saved_plane, small_run

from ndviewer_light.simulator.faults import mistaken_layout
from ndviewer_light.simulator.late import LateFiles
from ndviewer_light.simulator.tiff_writer import ImageWriter
from simulate_acquisition import (
    LAYOUTS,
    TIFF_LAYOUTS,
    ZARR_LAYOUTS,
    Faults,
    Host,
    Run,
    WrittenPlane,
    plane_pixels,
    write_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Recorder:
    """Takes every call a viewer gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.calls.append((name, arguments))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def told(run: Run, faults: Faults | None = None) -> Recorder:
    """All that a viewer is told of a whole run; nothing is written."""
    viewer = Recorder()
    host = Host(viewer, run, faults or Faults())
    host.announce()
    for plane in run.planes():
        host.pass_on(plane)
    host.end()
    return viewer


# ---- what is said ---------------------------------------------------------------------------

CHANNELS = list(TWO_CHANNELS)
LABELS = ["A1:0", "A1:1", "B2:0"]


@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_of_files_the_host_names_that_of_an_image_in_every_layout(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    (start, arguments), *planes, last = told(run).calls
    assert (start, arguments) == ("start_acquisition", (CHANNELS, 2, 128, 160, LABELS))
    name = f"{tmp_path}/experiment/1/B2_0_1_Fluorescence_488_nm_Ex.tiff"
    assert planes[-1] == ("register_image", (1, 2, 1, "Fluorescence 488 nm Ex", name))
    assert [call for call, _ in planes] == ["register_image"] * 24
    assert last == ("end_acquisition", ())


def test_of_stores_the_host_names_the_groups_before_and_the_planes_after_they_are_written(
    tmp_path: Path,
) -> None:
    run = small_run(tmp_path, layout="hcs")
    (start, arguments), *planes, end_zarr, end = told(run).calls
    assert start == "start_zarr_acquisition"
    plate = f"{tmp_path}/experiment/plate.ome.zarr"
    assert arguments[0] == [f"{plate}/A/1/0", f"{plate}/A/1/1", f"{plate}/B/2/0"]
    assert arguments[1:] == (CHANNELS, 2, LABELS, 128, 160)
    assert planes[-1] == ("notify_zarr_frame", (1, 2, 1, "Fluorescence 488 nm Ex"))
    assert [end_zarr[0], end[0]] == ["end_zarr_acquisition", "end_acquisition"]


def test_of_6d_stores_the_host_counts_within_the_region(tmp_path: Path) -> None:
    (start, arguments), *planes, _, _ = told(small_run(tmp_path, layout="6d")).calls
    assert start == "start_zarr_acquisition_6d"
    zarr = f"{tmp_path}/experiment/zarr"
    stores = [f"{zarr}/A1/acquisition.zarr", f"{zarr}/B2/acquisition.zarr"]
    assert arguments == (stores, CHANNELS, 2, [2, 1], 128, 160, ["A1", "B2"])
    assert planes[-1] == ("notify_zarr_frame", (1, 0, 1, "Fluorescence 488 nm Ex", 1))


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "6d"])
def test_a_region_without_fovs_is_announced_as_no_position(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout, regions=("A1", "A2", "B2"), fovs=(1, 0, 1))
    start = told(run).calls[0][1]
    assert ["A1:0", "B2:0"] in start


# ---- notifications that lag -----------------------------------------------------------------


def lagging(run: Run) -> tuple[list[list[str]], Recorder]:
    """What a viewer was told at each plane of a run whose notifications lag; the rest when it ended."""
    viewer, steps = Recorder(), []
    host = Host(viewer, run, Faults(lagging_notifications=True))
    for plane in run.planes():
        before = len(viewer.calls)
        host.pass_on(plane)
        steps.append(viewer.names[before:])
    host.end()
    return steps, viewer


@pytest.mark.parametrize("layout", ZARR_LAYOUTS)
def test_notifications_that_lag_come_one_a_field_of_view_and_all_others_at_the_end(
    tmp_path: Path, layout: str
) -> None:
    run = small_run(tmp_path, layout=layout)
    steps, viewer = lagging(run)
    moves = [bool(i) and i % 4 == 0 for i in range(24)]
    assert steps == [["notify_zarr_frame"] if move else [] for move in moves]
    assert viewer.calls == told(run).calls[1:]  # first in, first out, none lost
    assert viewer.names[-2:] == ["end_zarr_acquisition", "end_acquisition"]


def test_notifications_that_never_come_leave_the_start_and_the_end(tmp_path: Path) -> None:
    viewer = told(small_run(tmp_path), Faults(no_notifications=True))
    assert viewer.names == ["start_zarr_acquisition", "end_zarr_acquisition", "end_acquisition"]


# ---- what is announced and not so -----------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "regions", "announced"),
    [
        pytest.param("per_fov", ("R0", "R1"), "hcs", id="free points named like wells"),
        pytest.param("6d", ("R0", "R1"), "hcs", id="6-D, named like wells"),
        pytest.param("hcs", ("a1", "b2"), "per_fov", id="wells in lower case"),
        pytest.param("per_fov", ("left", "right"), "images", id="the format was changed"),
        pytest.param("6d", ("left", "right"), "per_fov", id="6-D was switched off"),
        pytest.param("images", ("left", "right"), "per_fov", id="images, and the format was changed"),
        pytest.param("ome_tiff", ("A1", "B2"), "hcs", id="OME-TIFF, and the format was changed"),
    ],
)
def test_what_squid_announces_by_mistake(
    tmp_path: Path, layout: str, regions: tuple[str, ...], announced: str
) -> None:
    assert mistaken_layout(small_run(tmp_path, layout=layout, regions=regions)) == announced


def test_a_plate_is_announced_where_none_is_written(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="per_fov", regions=("R0", "R1"))
    viewer = told(run, Faults(announced_layout="hcs"))
    plate = f"{tmp_path}/experiment/plate.ome.zarr"
    assert viewer.calls[0][1][0] == [f"{plate}/R/0/0", f"{plate}/R/0/1", f"{plate}/R/1/0"]
    assert viewer.names.count("notify_zarr_frame") == 24


@pytest.mark.parametrize("written", TIFF_LAYOUTS)
def test_who_announces_stores_and_writes_files_says_nothing_of_planes(tmp_path: Path, written: str) -> None:
    viewer = told(small_run(tmp_path, layout=written), Faults(announced_layout="per_fov"))
    assert viewer.names == ["start_zarr_acquisition", "end_zarr_acquisition", "end_acquisition"]


@pytest.mark.parametrize("written", ZARR_LAYOUTS)
def test_who_announces_files_and_writes_stores_names_files(tmp_path: Path, written: str) -> None:
    viewer = told(small_run(tmp_path, layout=written), Faults(announced_layout="images"))
    assert viewer.names == ["start_acquisition", *["register_image"] * 24, "end_acquisition"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_size_is_announced_than_is_written(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    start = told(run, Faults(announced_size=(20, 30))).calls[0][1]
    assert (20, 30) in pairwise(start)
    write_run(run, faults=Faults(announced_size=(20, 30)), stop_after=1)
    assert saved_plane(run, next(run.planes())).shape == (128, 160)


# ---- what is written, late or never ---------------------------------------------------------


@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_files_that_are_late_are_reported_before_they_are_there(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    reported: list[WrittenPlane] = []
    assert write_run(run, report=reported.append, faults=Faults(late_files=3600), stop_after=5) == 5
    assert reported == list(run.planes())[:5]
    assert not [name for name in files_below(run.folder) if name.endswith(".tiff")]


@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_the_run_ends_when_files_that_were_late_are_whole(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    write_run(run, faults=Faults(late_files=0.1))
    for plane in run.planes():
        expected = plane_pixels(run, plane.t, plane.fov, plane.z, plane.channel)
        np.testing.assert_array_equal(saved_plane(run, plane), expected)


def test_what_goes_wrong_with_a_late_file_is_told_at_the_end(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="images")
    late = LateFiles(ImageWriter(run), 0.01)
    plane = next(run.planes())
    late.save(plane, plane_pixels(run, 0, 0, 0, plane.channel))
    with pytest.raises(FileNotFoundError):  # nobody has made the folder
        late.end(killed=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_is_not_saved_is_reported_all_the_same(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout)
    reported: list[WrittenPlane] = []
    assert write_run(run, report=reported.append, faults=Faults(skip_saving=True)) == 24
    assert reported == list(run.planes())
    assert files_below(run.folder) == EXPERIMENT_FILES


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(), {"acquisition_complete": True}),
        (Faults(never_complete=True), {"acquisition_complete": False}),
        (Faults(aborted=True), {"acquisition_complete": False, "aborted": True}),
    ],
    ids=["complete", "never", "aborted"],
)
@pytest.mark.parametrize("layout", ["hcs", "6d"])
def test_what_stores_say_of_the_end(
    tmp_path: Path, layout: str, faults: Faults, said: dict[str, Any]
) -> None:
    run = small_run(tmp_path, layout=layout)
    write_run(run, faults=faults)
    path = (run.region_paths if layout == "6d" else run.fov_paths)[0]
    squid = read_json(run.folder / path / "zarr.json")["attributes"]["_squid"]
    assert {name: squid[name] for name in ("acquisition_complete", "aborted") if name in squid} == said
    assert (run.folder / ".done").exists() == said["acquisition_complete"]


def test_a_run_ends_before_it_is_marked_complete(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    done: list[bool] = []
    write_run(run, ended=lambda: done.append((run.folder / ".done").exists()))
    assert (done, (run.folder / ".done").exists()) == ([False], True)
