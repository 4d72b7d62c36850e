"""A host that shares no OpenGL contexts, as Squid: wherever the viewer goes, its canvas is not black."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gl_host import MOVES
from runs import small_run, write

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = small_run(tmp_path_factory.mktemp("gl") / "run")
    write(run)
    return run


def move_in_a_host(run, move: str, canvas: str = "gl") -> subprocess.CompletedProcess[str]:
    """`canvas`: "gl", in a widget of OpenGL; "auto": painted as an image where a program draws."""
    program = Path(__file__).with_name("gl_host.py")
    command = [sys.executable, str(program), move, str(run.folder)]
    environment = {**os.environ, "NDVIEWER_CANVAS": canvas}
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)


@pytest.mark.parametrize("move", MOVES)
def test_the_canvas_shows_the_right_pixels_after_moving(written, move):
    result = move_in_a_host(written, move)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split("shown ")[1]) >= 4


@pytest.mark.parametrize("move", ["float_and_dock_again", "between_windows"])
def test_a_picture_painted_as_an_image_is_right_after_moving(written, move):
    result = move_in_a_host(written, move, "auto")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split("shown ")[1]) >= 4


@pytest.mark.parametrize("move", ["float_and_dock_again", "between_windows", "alone_and_back"])
def test_a_canvas_that_lost_its_context_writes_no_errors_into_the_hosts_log(written, move):
    result = move_in_a_host(written, move)
    assert "OpenGL got errors" not in result.stderr
    assert "Traceback" not in result.stderr
