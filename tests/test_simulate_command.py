"""The simulator as a command, and the window in which it shows what it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulations import read_json, saved_plane

import simulate_acquisition
from ndviewer_light.simulator.command import (
    _parser,
    faults_from,
    has_display,
    run_from,
)
from simulate_acquisition import LAYOUTS, Faults, Run, WrittenPlane, plane_pixels

SCRIPT = Path(simulate_acquisition.__file__).resolve()


# ---- as a command ---------------------------------------------------------------------------

SMALL = ["--size", "96", "128", "--fovs", "2", "1", "--n-t", "1", "--n-z", "2", "--rate", "0", "--no-view"]


def simulate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_command_reports_each_plane_from_any_directory(tmp_path: Path, layout: str) -> None:
    result = simulate("run", *SMALL, "--layout", layout, "--report", "--channels", "BF", "DAPI", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    reports = [WrittenPlane(**json.loads(line)) for line in result.stdout.splitlines()]
    run = Run(
        tmp_path / "run",
        layout,
        regions=("R0", "R1") if layout in ("per_fov", "6d") else ("A1", "A2"),
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
        np.testing.assert_array_equal(saved_plane(run, plane), expected)


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
        (["--wells", "left"], "region 'left' is not a well"),
        (["--size", "1", "2", "3"], "expected height and width"),
        (["--compression", "best", "--chunks", "512", "--size", "1000"], "multiples of 512 px"),
        (["--late-files", "1"], "late files: not possible in layout hcs"),
        (["--layout", "stacks", "--lagging-notifications"], "only lag or fail in Zarr layouts"),
        (["--complete-after", "1", "--never-complete"], "complete after a delay"),
        (["--layout", "per_fov", "--regions", "left lung", "--announce", "hcs"], "'left lung' is not a well"),
    ],
)
def test_the_command_explains_what_does_not_fit(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = simulate("run", "--no-view", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_whoever_reads_the_reports_learns_of_the_end_before_the_run_is_marked_complete(
    tmp_path: Path,
) -> None:
    options = ["run", *SMALL, "--report", "--complete-after", "3600"]
    command = [sys.executable, str(SCRIPT), *options]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert len(list(process.stdout)) == 3 * 2 * 4
        assert process.poll() is None
        store = read_json(tmp_path / "run" / "plate.ome.zarr" / "A" / "1" / "0" / "zarr.json")
        process.kill()
    assert store["attributes"]["_squid"]["acquisition_complete"] is False


def test_settings_of_files_reach_the_run(tmp_path: Path) -> None:
    arguments = [
        "--layout",
        "images",
        "--regions",
        "my_region",
        "other",
        "--fovs",
        "2",
        "0",
        "--dtype",
        "uint8",
    ]
    arguments += ["--padding", "4", "--format", "png", "--n-t", "5", "--skip-t", "0", "3"]
    run = run_from(_parser().parse_args([str(tmp_path / "run"), *arguments]))
    first = next(run.planes())
    assert run.fov_labels == ["my_region:0", "my_region:1"]
    assert run.image_path(first) == tmp_path / "run/0001/my_region_0000_0000_Fluorescence_405_nm_Ex.png"


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        (["--layout", "images", "--late-files", "2.5"], {"late_files": 2.5}),
        (
            ["--lagging-notifications", "--never-complete"],
            {"lagging_notifications": True, "never_complete": True},
        ),
        (["--no-notifications", "--complete-after", "3"], {"no_notifications": True, "complete_after": 3.0}),
        (["--skip-saving", "--wrong-size", "20", "30"], {"skip_saving": True, "announced_size": (20, 30)}),
        (["--layout", "per_fov", "--wrong-paths"], {"announced_layout": "hcs"}),
        (["--announce", "6d", "--wrong-paths", "--aborted"], {"announced_layout": "6d", "aborted": True}),
    ],
    ids=lambda values: " ".join(values) if isinstance(values, list) else "",
)
def test_faults_are_named_one_by_one(tmp_path: Path, arguments: list[str], faults: dict[str, Any]) -> None:
    options = _parser().parse_args([str(tmp_path / "run"), *arguments])
    assert faults_from(options, run_from(options)) == Faults(**faults)


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


SHOWN = [
    pytest.param([], id="hcs"),
    pytest.param(["--layout", "6d"], id="6d"),
    pytest.param(["--layout", "images", "--late-files", "0.5"], id="images, late"),
    pytest.param(["--layout", "ome_tiff"], id="OME-TIFF, which the host does not name"),
    pytest.param(["--layout", "per_fov", "--wrong-paths", "--lagging-notifications"], id="wrong and lagging"),
]


@needs_xvfb
@pytest.mark.parametrize("options", SHOWN)
def test_without_a_display_the_run_is_shown_on_a_virtual_one_and_photographed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, options: list[str]
) -> None:
    arguments = [*options, "--fovs", "1", "2", "--n-t", "2", "--size", "512", "--rate", "0"]
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
@pytest.mark.parametrize("layout", ["hcs", "ome_tiff"])
def test_the_process_that_shows_the_run_never_imports_what_it_is_written_with(
    tmp_path: Path, layout: str
) -> None:
    code = (
        "import sys, simulate_acquisition as s; status = s.main(sys.argv[1:]);"
        "is_shown = any(f'ndviewer_light.gui.canvas.{kind}_canvas' in sys.modules for kind in ('cpu', 'gl'));"
        "print(status, 'tensorstore' in sys.modules, 'tifffile' in sys.modules, is_shown)"
    )
    small = ["--fovs", "1", "--n-t", "1", "--size", "96", "--rate", "0", "--close-after", "0"]
    command = [sys.executable, "-c", code, str(tmp_path / "run"), "--layout", layout, *small]
    result = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, text=True, timeout=180)
    assert result.stdout.splitlines()[-1] == "0 False False True"
    assert (tmp_path / "run" / ".done").exists()
