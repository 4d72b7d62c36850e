"""The command line: what is said of the storage arrives where it is used."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from runs import REPO, small_run, write

from ndviewer_light.__main__ import main
from ndviewer_light.cli import info, measure, references, render
from ndviewer_light.cli.access_options import add_storage_options, storage_options
from ndviewer_light.gui.windows import display_server
from ndviewer_light.gui.windows.display_server import why_no_display


def told(*arguments: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    add_storage_options(parser)
    return storage_options(parser.parse_args(arguments))


def test_nothing_said_is_nothing_told():
    assert told() == {}


def test_options_of_the_storage_are_told_by_name(tmp_path):
    assert told("--storage-option", "endpoint=http://h:9000/?a=b", "--storage-option", "anonymous=yes") == {
        "endpoint": "http://h:9000/?a=b",
        "anonymous": "yes",
    }
    assert told("--cache-dir", str(tmp_path)) == {"cache_dir": str(tmp_path)}
    assert told("--no-disk-cache", "--pattern", "a{z}.png") == {"disk_cache": "no", "pattern": "a{z}.png"}


@pytest.mark.parametrize("option", ["endpoint", "=value", ""])
def test_what_is_no_option_of_the_storage_is_refused_in_words(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--storage-option", option, "/nowhere"])
    assert ended.value.code == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--canvas foo", "ndviewer-light: --canvas: invalid choice: 'foo'"),
        ("--format tiff info run", "ndviewer-light: info comes before all options: ndviewer-light info run"),
        ("-v watch run", "ndviewer-light: watch comes before all options: ndviewer-light watch run"),
        ("watch", "ndviewer-light watch: the following arguments are required: path"),
        ("info run --seconds -3", "ndviewer-light info: --seconds: must be above 0, not -3"),
        ("measure", "ndviewer-light measure: the following arguments are required: path"),
        ("references x -o", "ndviewer-light references: -o/--output: expected one argument"),
        ("render x -o a.png --t x", "ndviewer-light render: --t: expected a whole number, not 'x'"),
        ("render x -o a.png --turn nan", "ndviewer-light render: --turn: expected a number, not 'nan'"),
        ("render x -o a.png --label-opacity 3", "ndviewer-light render: --label-opacity: must be from 0"),
    ],
)
def test_what_is_wrong_with_arguments_is_said_in_one_line(arguments, said, capsys):
    command, *others = arguments.split()
    commands = {"info": info, "measure": measure, "references": references, "render": render}
    with pytest.raises(SystemExit) as ended:
        commands[command].main(others) if command in commands else main([command, *others])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said) and line.endswith("--help lists what there is)")


def program(*arguments: str | bytes, **more: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ndviewer_light", *arguments]
    return subprocess.run(command, cwd=REPO, stderr=subprocess.PIPE, timeout=60, check=False, **more)


# ---- what is printed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_stops_listening_is_left_alone(option, unbuffered):
    read, write_end = os.pipe()
    os.close(read)
    done = program(option, stdout=write_end, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error_in_one_line(option, unbuffered):
    with open("/dev/full", "wb") as full:
        done = program(option, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 1
    assert done.stderr == b"ndviewer-light: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("command", ["", "watch", "info", "render", "measure"])
def test_every_command_that_opens_datasets_has_the_same_access_options(command):
    from ndviewer_light.sources.registry import format_names

    said = " ".join(
        program(*filter(None, [command]), "--help", stdout=subprocess.PIPE).stdout.decode().split()
    )
    for option in (
        "--storage-option",
        "--format",
        "--pattern",
        "--follow-links",
        "--cache-dir",
        "--no-disk-cache",
    ):
        assert option in said
    for name in format_names():
        assert name in said.partition("name and first bytes mislead")[2]


# ---- the display -----------------------------------------------------------------------------------------

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 and Wayland")


def elsewhere(**environment: str) -> dict[str, str]:
    """The environment with no display but those named."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {**{k: v for k, v in os.environ.items() if k not in names}, **environment}


@linux
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DISPLAY": ":7765"}, "cannot connect to display ':7765'"),
        ({"DISPLAY": "127.0.0.1:7777"}, "cannot connect to display '127.0.0.1:7777'"),
        ({"DISPLAY": "nonsense"}, "cannot connect to display 'nonsense'"),
        ({"WAYLAND_DISPLAY": "wayland-9"}, "cannot connect to display 'wayland-9'"),
        ({"WAYLAND_DISPLAY": "wayland-9", "DISPLAY": ":7765"}, "display 'wayland-9' or ':7765'"),
        ({}, "no display available: DISPLAY and WAYLAND_DISPLAY are not set"),
        ({"DISPLAY": ""}, "no display available"),
        ({"DISPLAY": ":7765", "QT_QPA_PLATFORM": "xcb"}, "display ':7765'"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("/nowhere",)], ids=["launcher", "window"])
def test_a_display_that_does_not_answer_is_said_and_ends_the_program(environment, said, arguments):
    done = program(*arguments, stdout=subprocess.PIPE, env=elsewhere(**environment))
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert done.stderr.decode().count("\n") == 1
    assert b"Traceback" not in done.stderr


@linux
def test_platforms_without_a_display_are_left_to_qt():
    for platform in ("offscreen", "minimal", "vnc", "eglfs", "linuxfb:fb=/dev/fb0"):
        assert why_no_display({"QT_QPA_PLATFORM": platform}) == ""


@linux
def test_a_display_that_accepts_and_says_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(display_server, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if port < 6000:
            pytest.skip("no port of a display was free")
        assert "cannot connect" in why_no_display({"DISPLAY": f"127.0.0.1:{port - 6000}"})
    # its thread ends with the connection
    threads = [thread for thread in threading.enumerate() if thread.name == "ndviewer-display"]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@linux
@pytest.mark.gl
def test_the_display_we_are_on_answers():
    assert why_no_display() == ""


# ---- signals and paths, in the program -------------------------------------------------------------------

# the program as it is, that says when its windows are on screen and what stands in them
_LOOKED_AT = """
import sys
sys.path.insert(0, {repo!r})
from ndviewer_light.__main__ import choose_binding, main
choose_binding()
from qtpy.QtCore import QTimer
import ndviewer_light.gui.windows.application as a
make = a.application
def application():
    app = make()
    def look():
        for window in app.topLevelWidgets():
            if not window.isVisible() or not hasattr(window, "open_path"):
                continue
            viewer = getattr(window, "viewer", None)
            if viewer is None:
                print("launcher", flush=True)
            elif viewer.dataset is not None:
                print("shown", viewer.dataset._source.pid, flush=True)
                print(viewer._screen._row.warnings.text(), flush=True)
            elif viewer._screen.message.kind() == "error":
                print(ascii(viewer._screen.message.text()), flush=True)
    timer = QTimer(app); timer.timeout.connect(look); timer.start(50)
    return app
a.application = application
main(sys.argv[1:])
"""


def looked_at(*arguments: str | bytes) -> subprocess.Popen[str]:
    script = _LOOKED_AT.format(repo=str(REPO))
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.gl
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("what", ["launcher", "window"])
def test_ctrl_c_ends_the_program_and_its_reader(tmp_path, number, what):
    run = small_run(tmp_path / "run")
    write(run)
    with looked_at(*([str(run.folder)] if what == "window" else [])) as process:
        said = process.stdout.readline().split()
        assert said[:1] == ["shown" if what == "window" else "launcher"], process.stderr.read()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    if what == "window":
        reader = int(said[1])
        assert not psutil.pid_exists(reader) or psutil.Process(reader).status() == psutil.STATUS_ZOMBIE


@pytest.mark.gl
@pytest.mark.parametrize("verbose", [[], ["--verbose"]], ids=["usual", "verbose"])
def test_what_the_window_says_of_planes_is_not_printed_as_well_unless_that_is_wanted(tmp_path, verbose):
    tifffile.imwrite(tmp_path / "damaged.tif", np.ones((64, 64), "u2"))
    (tmp_path / "damaged.tif").write_bytes((tmp_path / "damaged.tif").read_bytes()[:-20])
    os.utime(tmp_path / "damaged.tif", (1e9, 1e9))
    with looked_at(*verbose, str(tmp_path / "damaged.tif")) as process:
        warned = process.stdout.readline()
        while warned and not warned.startswith("1 warning"):
            warned = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert warned
    assert ("is truncated" in errors) == bool(verbose)
    assert errors == "" or verbose


_ENDED_WHILE_PAINTING = """
import os, signal, sys
from qtpy.QtWidgets import QWidget
from ndviewer_light.gui.windows.application import application, end_on_signals

class Painted(QWidget):
    def paintEvent(self, event):
        os.kill(os.getpid(), signal.SIGINT)
        print("visible" if self.isVisible() else "closed", flush=True)

    def hideEvent(self, event):
        print("hidden", flush=True)

app, widget = application(), Painted()
widget.show()
with end_on_signals(app) as received:
    app.exec()
print(*received)
"""


@pytest.mark.gl
@pytest.mark.skipif(os.name == "nt", reason="no signals of this kind")
def test_no_window_is_closed_while_it_is_painted():
    command = [sys.executable, "-c", _ENDED_WHILE_PAINTING]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["visible", "hidden", f"{signal.SIGINT:d}"]
    assert "QBackingStore" not in done.stderr


_WINDOWS_AT_THE_END = """
from qtpy.QtCore import QTimer
from ndviewer_light import LightweightMainWindow
from ndviewer_light.gui.windows.application import application

app, window = application(), LightweightMainWindow()
window.destroyed.connect(lambda: print("deleted", flush=True))
window.show()
QTimer.singleShot(0, app.quit)
app.exec()
print("ended", flush=True)
"""


@pytest.mark.gl
def test_windows_are_deleted_before_the_application():
    command = [sys.executable, "-c", _WINDOWS_AT_THE_END]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["deleted", "ended"]
    assert not done.stderr


@pytest.mark.gl
@pytest.mark.skipif(os.name == "nt", reason="names there are text")
@pytest.mark.parametrize("exists", [True, False])
def test_a_path_that_is_not_utf_8_is_opened_or_said_to_be_missing(tmp_path, exists):
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    if exists:
        run = small_run(tmp_path / "run")
        write(run)
        os.rename(run.folder, path)
    with looked_at(path) as process:
        said = process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert said.startswith("shown") if exists else "could not be opened" in said
    assert "Traceback" not in errors


@pytest.mark.skipif(not hasattr(os, "nice"), reason="no priorities of this kind")
def test_the_program_lets_others_first_and_a_program_started_by_it_does_not_sink_further():
    code = "import os; from ndviewer_light.__main__ import let_others_first as f; f(); f(); print(os.nice(0))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) == max(10, os.nice(0))
