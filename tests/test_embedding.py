"""What docs/embedding.md tells hosts is true: its example runs, its calls exist, its versions are ours."""

from __future__ import annotations

import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from qtpy.QtWidgets import QWidget
from runs import small_run, writer_command

from ndviewer_light.gui.viewer import LightweightViewer

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]

REPO = Path(__file__).parents[1]
PAGE = (REPO / "docs" / "embedding.md").read_text()
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]

# what the example takes from the host: a run that another process writes
_MICROSCOPE = """
import json, pickle, subprocess, sys
from simulate_acquisition import WrittenPlane

run = pickle.loads({run!r})
channels, num_z, height, width = list(run.channels), run.n_z, run.height, run.width
fov_paths, fov_labels = run.fov_paths, run.fov_labels

def acquire(viewer):
    with subprocess.Popen({command!r}, stdout=subprocess.PIPE, text=True) as writer:
        for line in writer.stdout:
            plane = WrittenPlane(**json.loads(line))
            viewer.notify_zarr_frame(plane.t, plane.fov, plane.z, plane.channel)
    viewer.end_zarr_acquisition()
"""

# runs the example, and looks at its screen where the example gives the control to Qt
_LOOKED_AT = """
import sys
sys.path[:0] = {paths!r}
from qtpy.QtWidgets import QApplication

def look(*_):
    from gl_host import Loop
    from screen import assert_shows, settle
    from runs import planes_of
    from microscope import run
    loop, viewer = Loop(), names["viewer"]
    loop.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.info.n_t == run.n_t)
    viewer.load_fov(2, 1, 1)
    settle(loop, viewer)
    loop.waitUntil(lambda: assert_shows(viewer, planes_of(run, 1, 2, 1)))
    loop.waitUntil(lambda: not viewer.dataset.live)
    settle(loop, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    print("shown", type(viewer).__module__)

QApplication.exec = look
names = {{}}
exec({example!r}, names)
assert names["viewer"].dataset is None
print("closed", flush=True)
import os
os._exit(0)
"""


def run_example(folder: Path, example: str, *paths: Path) -> str:
    run = small_run(folder / "run")
    command = writer_command(run, "--report")
    (folder / "microscope.py").write_text(_MICROSCOPE.format(run=pickle.dumps(run), command=command))
    every_path = [str(path) for path in (folder, *paths, REPO / "tests", REPO)]
    script = _LOOKED_AT.format(paths=every_path, example=example)
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_example_shows_a_run_while_it_is_written(tmp_path):
    assert run_example(tmp_path, EXAMPLE) == "shown ndviewer_light.gui.viewer\nclosed\n"


def test_the_example_runs_with_a_checkout_inside_a_host(tmp_path):
    control = tmp_path / "software" / "control"
    control.mkdir(parents=True)
    (control / "__init__.py").touch()
    (control / "ndviewer_light").symlink_to(REPO, target_is_directory=True)
    example = EXAMPLE.replace("from ndviewer_light import", "from control.ndviewer_light import")
    assert example != EXAMPLE
    said = run_example(tmp_path, example, control.parent)
    assert said == "shown control.ndviewer_light.ndviewer_light.gui.viewer\nclosed\n"


def test_the_example_is_as_short_as_it_says():
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10


CALLS = re.findall(r"^\| `(\w+)\((.*?)\)` \| (GUI|any) \|", PAGE, re.MULTILINE)


def test_every_call_a_host_makes_is_in_the_table():
    own = (name for name in vars(LightweightViewer) if not hasattr(QWidget, name))
    public = {name for name in own if not name.startswith("_") and name.islower()}
    properties = {name for name in public if isinstance(vars(LightweightViewer)[name], property)}
    signals = {"dataset_loaded", "dataset_failed"}
    assert {name for name, *_ in CALLS} - {"LightweightViewer", "close"} == public - properties - signals


@pytest.mark.parametrize(("name", "parameters"), [call[:2] for call in CALLS if call[0] != "close"])
def test_calls_take_what_the_table_says(name, parameters):
    function = LightweightViewer.__init__ if name == "LightweightViewer" else getattr(LightweightViewer, name)
    taken = list(inspect.signature(function).parameters.values())[1:]
    said = [parameter.partition("=") for parameter in parameters.split(", ") if parameter]
    if name == "LightweightViewer":
        defaults = [repr(parameter.default).replace("'", '"') for parameter in taken]
        assert defaults == [default for *_, default in said]
        return
    assert [parameter.name for parameter in taken] == [name for name, *_ in said]
    for parameter, (_, has_default, default) in zip(taken, said, strict=True):
        assert (parameter.default is not parameter.empty) == bool(has_default)
        assert not has_default or repr(parameter.default) == default


def test_the_versions_are_those_the_package_asks_for():
    project = (REPO / "pyproject.toml").read_text()
    asked = dict(re.findall(r'^    "([\w-]+)(?:\[\w+\])?([<>=][^"]*)"', project, re.MULTILINE))
    assert f'"ndv{asked["ndv"]}"' in PAGE
    assert f"`ndv{asked['ndv']}`" in PAGE
    assert f"vispy ≥ {asked['vispy'].removeprefix('>=')}" in PAGE
    assert f"PyQt6 ≥ {asked['PyQt6'].removeprefix('>=')}" in PAGE


def test_other_pages_that_are_named_exist():
    for name in re.findall(r"\]\((\w+\.md)\)", PAGE):
        assert (REPO / "docs" / name).is_file()


_OLD_NDV = """
import importlib.metadata, os, sys, time
sys.path.insert(0, {repo!r})
import ndv
of = importlib.metadata.version
importlib.metadata.version = lambda name: "0.4.1" if name == "ndv" else of(name)
ndv.__version__ = "0.4.1"
from qtpy.QtWidgets import QApplication
app = QApplication([])
import ndviewer_light
viewer = ndviewer_light.LightweightViewer()
viewer.show()

def said():
    return "0.4.1" in viewer.status_label.text()

def pump(until, seconds):
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.01)

pump(said, 20)
print("said", said(), "ndv>=0.5,<0.6" in viewer.status_label.text())
viewer.start_zarr_acquisition(["/nowhere/a"], ["c"], 1, ["A1:0"], 8, 8)
pump(lambda: False, 1)
button = viewer._screen._row.drawing
print("still said", button.isVisible() and "0.4.1" in button.toolTip(), viewer.ndv_viewer is not None)
viewer.close()
sys.stdout.flush()
os._exit(0)
"""


def test_an_ndv_that_is_too_old_is_named_in_the_widget_also_when_a_run_starts():
    script = _OLD_NDV.format(repo=str(REPO))
    env = {**os.environ, "NDVIEWER_CANVAS": "gl"}  # else it is not needed where a program draws
    result = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["said True True", "still said True True"]
