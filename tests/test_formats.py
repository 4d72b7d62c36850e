"""Formats: which there are, in which order they are asked, and those that other packages bring."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import ndviewer_light
from ndviewer_light.errors import DatasetError, DatasetNotFoundError
from ndviewer_light.sources import Format, Source, open_source, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

_GOOD = """
import os
import numpy as np
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.model import Channel, DatasetInfo, Position
from ndviewer_light.sources import Format, Source

class GridSource(Source):
    def __init__(self, path):
        self._pixels = np.loadtxt(path, dtype=np.uint16, ndmin=2)
        height, width = self._pixels.shape
        self._info = DatasetInfo("grid", (Position("A1", 0, "A1:0"),), (Channel("text", "#FFFFFF"),),
                                 1, 1, height, width, np.dtype(np.uint16), name=os.path.basename(path))
    @property
    def info(self):
        return self._info
    def read_plane(self, key, level=0):
        return self._pixels
    def plane_shape(self, key, level=0):
        return self._pixels.shape
    def refresh(self):
        return self._info
    def close(self):
        pass

class GridFormat(Format):
    name = "grid"
    def recognises(self, path):
        return path.endswith(".grid") or os.path.exists(os.path.join(path, "grid.txt"))
    def open(self, path, options=None):
        if os.path.isdir(path):
            path = os.path.join(path, "grid.txt")
        if not os.path.getsize(path):
            raise DatasetNotFoundError(f"{path} is empty")
        return GridSource(path)
"""
_PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


def install(folder: Path, package: str, code: str, **entry_points: str) -> None:
    """Install a package of one module into `folder`, as pip would: the module, and what its metadata say."""
    (folder / f"{package}.py").write_text(textwrap.dedent(code))
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {package}:{place}" for name, place in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[ndviewer_light.sources]", *lines, ""]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` into which a test installs packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    registry.installed_formats.cache_clear()
    yield folder
    registry.installed_formats.cache_clear()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.grid"
    np.savetxt(path, _PIXELS, fmt="%d")
    return path


def format_of(path: Path) -> str:
    source = open_source(str(path))
    source.close()
    return source.info.format


# ---- the interfaces --------------------------------------------------------------------------------


def test_built_in_formats_are_asked_before_those_that_take_any_folder() -> None:
    names = list(registry.format_names())
    assert names[:5] == ["ome-zarr", "tiff", "nd2", "hdf5", "references"]
    assert names[-1] == "images"
    assert len(set(names)) == len(names)


def test_a_source_need_not_pretend_to_be_a_format() -> None:
    abstract = Source.__abstractmethods__
    assert abstract == {"info", "read_plane", "plane_shape", "refresh", "close"}
    assert Format.__abstractmethods__ == {"recognises", "open"}


def test_asking_every_format_imports_no_library_that_reads_any(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    code = """
        import sys
        from ndviewer_light.errors import DatasetNotFoundError
        from ndviewer_light.sources import open_source
        try:
            open_source(sys.argv[1])
        except DatasetNotFoundError:
            libraries = {"tensorstore", "tifffile", "h5py", "nd2", "PIL", "obstore", "fsspec", "imagecodecs"}
            print(sorted(libraries & sys.modules.keys()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stderr


# ---- of other packages -----------------------------------------------------------------------------


@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
def test_a_format_that_another_package_brings_is_opened(site: Path, grid: Path, isolate: bool) -> None:
    install(site, "grid_plugin", _GOOD, grid="GridFormat")
    with ndviewer_light.open_dataset(grid, isolate=isolate) as dataset:
        assert dataset.info.format == "grid"
        np.testing.assert_array_equal(dataset.plane(), _PIXELS)


def test_without_that_package_it_is_nothing_we_can_read(site: Path, grid: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"numbers\.grid is not a supported dataset"):
        open_source(str(grid))


def test_a_folder_of_images_belongs_to_the_package_that_knows_more_of_it(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    tifffile.imwrite(folder / "preview_1.tif", np.zeros((5, 5), np.uint8))
    np.savetxt(folder / "grid.txt", _PIXELS, fmt="%d")
    assert format_of(folder) != "grid"
    install(site, "grid_plugin", _GOOD, grid="GridFormat")
    registry.installed_formats.cache_clear()
    assert format_of(folder) == "grid"


def test_what_is_one_of_ours_is_not_taken_by_another_package(site: Path, tmp_path: Path) -> None:
    greedy = _GOOD.replace('return path.endswith(".grid")', 'return True or path.endswith(".grid")')
    install(site, "greedy_plugin", greedy, greedy="GridFormat")
    tifffile.imwrite(tmp_path / "a.tif", np.full((5, 5), 7, np.uint8))
    assert format_of(tmp_path / "a.tif") != "grid"


_BAD = """
class Bad:
    name = 'bad'
    def recognises(self, path):
        {}
    def open(self, path, options=None):
        {}
"""


@pytest.mark.parametrize(
    ("code", "named"),
    [
        pytest.param(_BAD.format("raise RuntimeError('no GPU')", "pass"), "no GPU", id="while asked"),
        pytest.param("import no_such_library", "no_such_library", id="while imported"),
        pytest.param(
            "class Bad:\n    def __init__(self): raise OSError('no licence')", "no licence", id="while made"
        ),
        pytest.param("Good = 1", "Bad", id="not there"),
        pytest.param("class Bad: pass", "recognises", id="no format"),
    ],
)
@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
def test_a_format_that_fails_costs_a_warning_and_nothing_else(
    site: Path, grid: Path, code: str, named: str, isolate: bool, caplog: pytest.LogCaptureFixture
) -> None:
    install(site, "a_bad_plugin", code, bad="Bad")  # asked first: "bad" comes before "grid"
    install(site, "grid_plugin", _GOOD, grid="GridFormat")
    with ndviewer_light.open_dataset(grid, isolate=isolate) as dataset:
        np.testing.assert_array_equal(dataset.plane(), _PIXELS)
    if not isolate:
        (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
        assert "a_bad_plugin" in record.getMessage() and named in record.getMessage()


@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
def test_where_nothing_is_recognised_the_message_names_the_format_that_failed(
    site: Path, grid: Path, isolate: bool
) -> None:
    install(site, "bad_plugin", _BAD.format("raise RuntimeError('no GPU')", "pass"), bad="Bad")
    with pytest.raises(DatasetNotFoundError, match=r"'bad' of the package bad_plugin .*no GPU"):
        ndviewer_light.open_dataset(grid, isolate=isolate)


_DIES = _BAD.format("return True", "raise ZeroDivisionError('by nought')")


@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        pytest.param(_DIES, DatasetError, "bad_plugin.*by nought", id="an error of Python"),
        pytest.param(
            _GOOD.replace("class GridFormat", "class Bad"), DatasetNotFoundError, "is empty", id="of its own"
        ),
    ],
)
def test_a_format_that_fails_to_open_is_a_dataset_error(
    site: Path, tmp_path: Path, code: str, kind: type[Exception], said: str, isolate: bool
) -> None:
    install(site, "bad_plugin", code, bad="Bad")
    (tmp_path / "empty.grid").touch()
    with pytest.raises(kind, match=said):
        ndviewer_light.open_dataset(tmp_path / "empty.grid", isolate=isolate)


def test_a_ready_made_format_may_be_named_as_well(site: Path, grid: Path) -> None:
    install(site, "grid_plugin", f"{_GOOD}\nmade = GridFormat()\n", grid="made")
    assert format_of(grid) == "grid"
