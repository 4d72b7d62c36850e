"""No code from the folder that data lies in, whatever the program is started as and wherever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import stores

from ndviewer_light.isolation import import_path

ROOT = Path(__file__).parents[1]

INSTALLED = ("PyQt6", "PyQt5", "h5py", "imagecodecs", "nd2", "ndv", "numcodecs", "numpy", "obstore", "PIL")
INSTALLED += ("psygnal", "qtpy", "superqt", "tensorstore", "tifffile", "vispy", "yaml")
EVIL = sorted({*sys.stdlib_module_names, *INSTALLED, "sitecustomize", "usercustomize"})
PACKAGES = ("numpy", "json", "tensorstore", "qtpy")  # as a folder; all others as a file

BITE = """
import os
with open(os.environ["EVIL_MARKER"], "a") as marker:
    marker.write(__name__ + "\\n")
raise SystemExit("code from the folder of a dataset ran")
"""

CONSOLE_SCRIPT = "import sys\nfrom ndviewer_light.__main__ import main\nsys.exit(main())\n"

WINDOW = """
import sys
from qtpy.QtCore import QTimer
import ndviewer_light.gui.windows.application as module
from ndviewer_light.__main__ import main

make = module.application

def application():
    app = make()

    def look():
        for window in app.topLevelWidgets():
            viewer = getattr(window, "viewer", None)
            canvas = viewer.stage.canvas if viewer is not None and viewer.stage is not None else None
            if canvas is not None and canvas.frame is not None:
                states = {plane.state.name for plane in canvas.frame.planes.values()}
                if "LOADING" not in states:
                    print(window.windowTitle(), *states, flush=True)
                    for each in app.topLevelWidgets():
                        each.close()
                    return

    timer = QTimer(app)
    timer.timeout.connect(look)
    timer.start(50)
    return app

module.application = application
main(["."])
"""

# imports what it needs itself while the folder is not on sys.path: what the host imports is the host's
HOST = """
import os, sys
first, evil = sys.path[0], sys.argv[1]
sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != os.path.realpath(evil)]
from ndviewer_light import PlaneKey, open_dataset

def look():
    with open_dataset(evil, isolate=True) as dataset:
        print(int(dataset.plane().sum()), flush=True)

look()
{before}
sys.path.insert(0, first)
look()
"""


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A dataset, and beside its pixels a module of every name that anybody may import."""
    folder = tmp_path / "evil.ome.zarr"
    stores.write_image(folder)
    for name in EVIL:
        if name in PACKAGES:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(BITE)
        else:
            (folder / f"{name}.py").write_text(BITE)
    (folder / "ndviewer_light.py").write_text(BITE)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def python(evil: Path, *arguments: str) -> str:
    """What Python, started in the evil folder, prints; nothing of the folder may have run."""
    marker = evil.with_name("marker")
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=evil,
        env={**os.environ, "PYTHONPATH": str(ROOT), "EVIL_MARKER": str(marker)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert not marker.exists(), f"{marker.read_text()} ran: {done.stderr}"
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(textwrap.dedent(text))
    return str(path)


# ---- the command line ------------------------------------------------------------------------------------


def test_the_command_takes_no_code_from_the_working_directory(evil, elsewhere):
    assert "ome-zarr image" in python(evil, script(elsewhere, CONSOLE_SCRIPT), "info", ".")


def test_the_module_run_as_a_program_takes_no_code_from_the_working_directory(evil):
    # Python has the working directory first on sys.path then, and imports these before it comes to us
    first = "import __future__, importlib, pkgutil, runpy, sys, typing; print(*sys.modules)"
    for name in subprocess.check_output([sys.executable, "-I", "-c", first], text=True).split():
        (evil / f"{name.partition('.')[0]}.py").unlink(missing_ok=True)
    (evil / "ndviewer_light.py").unlink()  # it would be this one that is run
    assert (evil / "argparse.py").exists()
    assert "ome-zarr image" in python(evil, "-m", "ndviewer_light", "info", ".")


def test_the_window_takes_no_code_from_the_working_directory(evil, elsewhere, qapp):
    assert "PRESENT" in python(evil, script(elsewhere, WINDOW))


# ---- the reader of a host --------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["a script elsewhere", "a script in the folder", "-c"])
def test_the_reader_takes_no_code_from_where_its_host_was_started(evil, elsewhere, start):
    text = HOST.replace("{before}", "")
    if start != "a script elsewhere":  # for -c, Python 3.13 itself imports it first
        (evil / "linecache.py").unlink(missing_ok=True)
    if start == "a script elsewhere":
        arguments = [script(elsewhere, text), str(evil)]
    elif start == "-c":  # puts "" on sys.path
        arguments = ["-c", text, str(evil)]
    else:  # as Python leaves it; what is imported before the first line of a script is not ours
        text = f"""
import os, sys
sys.path.insert(0, sys.argv[1])
sys.modules["__main__"].__file__ = os.path.join(sys.argv[1], "program.py")
os.chdir("/")
{text}"""
        arguments = ["-c", text, str(evil)]
    assert python(evil, *arguments).split() == [str(stores.plane().sum())] * 2


def test_the_reader_takes_no_code_from_a_folder_its_host_has_changed_to(evil, elsewhere):
    text = HOST.replace("{before}", "os.chdir('/'); os.chdir(evil); first = os.curdir")
    assert python(evil, script(elsewhere, text), str(evil)).split() == [str(stores.plane().sum())] * 2


# ---- the path --------------------------------------------------------------------------------------------


def test_the_working_directory_is_not_on_the_path_of_a_reader_however_it_is_written(tmp_path, monkeypatch):
    here, link, other = tmp_path / "here", tmp_path / "link", tmp_path / "other"
    here.mkdir(), other.mkdir()
    link.symlink_to(here, target_is_directory=True)
    monkeypatch.chdir(here)
    ways = ["", ".", str(here), f"{here}{os.sep}", str(link), here, os.path.join("..", "here")]
    monkeypatch.setattr(sys, "path", [*ways, str(other), *sys.path])
    path = import_path.reader_path()
    standard, *rest = [entry for entry in path if entry in (os.path.dirname(os.__file__), str(other))]
    assert standard == os.path.dirname(os.__file__), "a folder of checkouts may have one named like a module"
    assert rest == [str(other)]
    assert not {os.path.realpath(entry) for entry in path} & {str(here)}
    assert all(os.path.isabs(entry) for entry in path)


def test_the_folder_numpy_came_from_stays_on_the_path_of_a_reader(tmp_path, monkeypatch):
    import numpy as np

    packages = os.path.dirname(os.path.dirname(np.__file__))
    monkeypatch.chdir(packages)
    monkeypatch.setattr(sys, "path", ["", packages])
    assert import_path.reader_path() == [packages]


def test_a_working_directory_that_was_removed_costs_nothing(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    monkeypatch.setattr(sys, "path", ["", "relative", str(tmp_path)])
    assert import_path.reader_path() == [str(tmp_path)]


@pytest.mark.parametrize("flag", ["dont_write_bytecode", "utf8_mode"])
def test_a_reader_s_python_looks_at_no_environment_but_keeps_what_the_host_was_told(flag):
    option = {"dont_write_bytecode": "-B", "utf8_mode": "-Xutf8=1"}[flag]
    code = f"""
        import json, subprocess, sys
        sys.path.insert(0, {str(ROOT)!r})
        from ndviewer_light.isolation.import_path import interpreter_arguments
        code = "import sys; print(sys.flags.isolated, sys.flags.{flag})"
        subprocess.run([sys.executable, *interpreter_arguments(), "-c", code], check=True)
    """
    for options, expected in (([option], "1"), ([], "0")):
        command = [sys.executable, "-I", *options, "-c", textwrap.dedent(code)]
        said = subprocess.check_output(command, text=True, timeout=60).split()
        assert said == ["1", expected]
