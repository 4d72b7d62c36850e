"""What README and docs show works: their Python runs page by page, on real datasets, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import stores
from hdf5_files import write_nwb
from nd2_samples import TWO, P, T, Z, frame
from nd2_writer import write_nd2
from reference_files import ReferenceWriter

from tests.guide_screenshots import GUIDE, LARGEST_BYTES, PICTURES
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_PICTURE = re.compile(r"!\[[^\]]+\]\(([^)/]+)\.png\)")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_HOST = """
import time
import tensorstore as ts
import numpy as np

fov_paths = ["run/zarr/A1/fov_0.ome.zarr"]
channels, fov_labels, num_z, height, width = ["Fluorescence 488 nm Ex"], ["A1:0"], 1, 32, 32

def acquire(viewer):
    from qtpy.QtCore import QMetaObject, Qt
    from qtpy.QtWidgets import QApplication
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": fov_paths[0] + "/0"},
            "metadata": {"shape": [1, 1, 1, 32, 32], "data_type": "uint16", "dimension_names": list("tczyx")}}
    ts.open(spec, create=True).result()[...] = np.ones((1, 1, 1, 32, 32), np.uint16)
    viewer.notify_zarr_frame(0, 0, 0, channels[0])
    viewer.end_zarr_acquisition()
    QMetaObject.invokeMethod(QApplication.instance(), "quit", Qt.ConnectionType.QueuedConnection)

class Stream:  # what is used of a stream of ome-writers, which need not be installed
    output_path = "followed/run.ome.zarr"

    def append(self, pixels):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": self.output_path},
                "metadata": {"shape": pixels.shape, "data_type": "uint16", "dimension_names": list("tczyx")}}
        ts.open(spec, create=True).result()[...] = pixels

stream = Stream()

def run_sequence(stream):
    import __main__
    stream.append(np.full((1, 1, 1, 32, 32), 7, np.uint16))
    while __main__.viewer.dataset is None:  # the page would fail by its time limit
        time.sleep(0.01)
    from qtpy.QtCore import QMetaObject, Qt
    from qtpy.QtWidgets import QApplication
    QMetaObject.invokeMethod(QApplication.instance(), "quit", Qt.ConnectionType.QueuedConnection)
"""
# what a page takes for granted, by its path: the host's part, which no page can show
_GIVEN = {
    "README.md": """
        from microscope import channels, fov_labels, fov_paths, height, num_z, width
        from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget
        app = QApplication([])
        window = QWidget()
        layout = QVBoxLayout(window)
        t, fov_idx, z, channel = 0, 0, 0, channels[0]
    """,
    "docs/guide/servers.md": "server = {server!r}",
    "docs/guide/remote_scripts.md": "server = {server!r}",
}
_AFTER = {"README.md": "viewer.close()"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    (tmp_path / "served").mkdir()
    with RangeServer(tmp_path / "served") as server:
        yield server


def write_served(folder: Path, here: Path) -> None:
    """What the page about scripts and servers reads."""
    write_nd2(folder / "run.nd2", frame, [T, P, Z], TWO)
    (folder / "api/assets/1").mkdir(parents=True)
    frames = np.arange(4 * 24 * 20, dtype=np.uint16).reshape(4, 24, 20)
    asset = folder / "api/assets/1/download"
    write_nwb(asset, images={"data": frames, "rate": 10.0}, second={"data": frames[:2] + 1})
    for plants in (folder / "plants", here / "plants"):
        plants.mkdir()
        for name in ("barley_day0", "barley_day1", "maize_day0", "maize_day1"):
            PIL.Image.fromarray(np.full((20, 24, 3), len(name), np.uint8)).save(plants / f"{name}.png")
    writer = ReferenceWriter(folder)
    writer.group("acquisition/images", {"neurodata_type": "TwoPhotonSeries"})
    writer.add("acquisition/images/data", frames, (1, 24, 20))
    writer.write_lindi("session.lindi.json")


def given(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def with_python() -> list[Path]:
    return [page for page in PAGES if _BLOCK.search(page.read_text())]


def test_the_pages_with_examples_are_found() -> None:
    assert {"README.md", "docs/embedding.md", "docs/guide/scripts.md"} <= {
        given(page) for page in with_python()
    }


def marked(page: Path) -> Any:
    return pytest.param(
        page, id=given(page), marks=[pytest.mark.gl] * ("LightweightViewer" in page.read_text())
    )


@pytest.mark.parametrize("page", [marked(page) for page in with_python()])
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, server: RangeServer) -> None:
    stores.write_plate(tmp_path / "plate.ome.zarr", {"A/1": 2, "B/2": 1})
    stores.write_plate(server.folder / "plate.ome.zarr", {"A/1": 1})
    (tmp_path / "microscope.py").write_text(_HOST)
    if page.name == "remote_scripts.md":
        write_served(server.folder, tmp_path)
    (tmp_path / "run" / "0").mkdir(parents=True)
    address = repr(server.url("").rstrip("/"))
    before = textwrap.dedent(_GIVEN.get(given(page), "")).replace("{server!r}", address)
    blocks = [before, *_BLOCK.findall(page.read_text()), _AFTER.get(given(page), "")]
    done = run([sys.executable, "-c", "\n".join(blocks)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def commands() -> list[tuple[str, str]]:
    return [
        (given(page), line.removeprefix("$ "))
        for page in PAGES
        for block in _COMMAND.findall(page.read_text())
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.mark.parametrize(("page", "command"), commands())
def test_the_commands_of_a_page_run(page: str, command: str, tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "plate.ome.zarr", {"A/1": 1})
    program, *arguments = command.split()
    assert program == "ndviewer-light"
    done = run([sys.executable, "-m", "ndviewer_light", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_the_pictures_of_the_guide_are_those_that_its_command_takes() -> None:
    shown = [name for page in GUIDE.glob("*.md") for name in _PICTURE.findall(page.read_text())]
    files = {path.stem: path for path in GUIDE.glob("*.png")}
    assert sorted(shown) == sorted(files) == sorted(PICTURES)
    assert all(path.stat().st_size <= LARGEST_BYTES for path in files.values())


def test_what_proves_the_formats_is_there() -> None:
    """Every test and every file that docs/formats.md names; "…" stands for the rest of a name."""
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    tests = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").glob("test_*.py"))
    names = re.findall(r"`(test_\w+…?)`", text)
    assert len(names) > 25
    missing = [
        name for name in names if not re.search(rf"^def {name.replace('…', chr(92) + 'w*')}\(", tests, re.M)
    ]
    files = re.findall(r"`(tests/[\w./]+|[\w-]+/[\w*-]+\.zip)`", text)
    missing += [name for name in files if not any((*ROOT.glob(name), *(ROOT / "tests" / "data").rglob(name)))]
    assert not missing
