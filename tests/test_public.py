"""The package's doors: what importing costs, which names there are, under which names hosts find them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import stores

import ndviewer_light

ROOT = Path(__file__).parents[1]
HEAVY = {"PyQt5", "PyQt6", "qtpy", "ndv", "vispy", "superqt", "dask", "xarray", "tensorstore", "numpy"}
# what hosts import today
PUBLIC = {
    "FPATTERN",
    "FPATTERN_OME",
    "LightweightMainWindow",
    "LightweightViewer",
    "MAX_3D_TEXTURE_SIZE",
    "MemoryBoundedLRUCache",
    "__version__",
    "data_structure_changed",
    "detect_format",
    "discover_zarr_v3_fovs",
    "extract_ome_physical_sizes",
    "hex_to_colormap",
    "open_zarr_tensorstore",
    "parse_zarr_v3_metadata",
    "read_acquisition_parameters",
    "read_tiff_pixel_size",
    "wavelength_to_colormap",
}
NEEDS_QT = {"LightweightMainWindow", "LightweightViewer", "LauncherWindow"}


def in_fresh_python(code: str, *arguments: str, cwd: Path = ROOT) -> str:
    """What `code` prints in a Python that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str, *arguments: str, cwd: Path = ROOT) -> set[str]:
    """Which heavy libraries `code` makes a fresh Python load."""
    report = f"\nimport sys; print(*({HEAVY!r} & sys.modules.keys()))"
    return set(in_fresh_python(textwrap.dedent(code) + report, *arguments, cwd=cwd).split())


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.ome.zarr"
    stores.write_image(path)
    return path


@pytest.fixture
def host_folder(tmp_path):
    """A host's source tree with this checkout in it, as ``control/ndviewer_light``."""
    control = tmp_path / "software" / "control"
    control.mkdir(parents=True)
    (control / "__init__.py").touch()
    (control / "ndviewer_light").symlink_to(ROOT, target_is_directory=True)
    return control.parent


# ---- what importing costs --------------------------------------------------------------------------


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import ndviewer_light; ndviewer_light.__version__; dir(ndviewer_light)") == set()


def test_importing_the_checkout_as_a_host_does_loads_nothing_heavy(host_folder):
    assert loaded_by("from control import ndviewer_light", cwd=host_folder) == set()


def test_opening_a_dataset_and_reading_it_loads_no_gui_and_no_lazy_arrays(image):
    code = """
        import sys, ndviewer_light
        with ndviewer_light.open_dataset(sys.argv[1]) as dataset:
            assert dataset.plane().any()
    """
    assert loaded_by(code, str(image)) == {"numpy", "tensorstore"}


def test_reading_in_a_process_of_its_own_loads_nothing_that_opens_files(image):
    code = """
        import sys, ndviewer_light
        with ndviewer_light.open_dataset(sys.argv[1], isolate=True) as dataset:
            assert dataset.plane().any()
    """
    assert loaded_by(code, str(image)) == {"numpy"}


def test_a_window_does_not_wait_for_what_its_first_dataset_needs():
    pytest.importorskip("qtpy")
    late = {"cmap", "urllib.request", "_hashlib", "ndviewer_light.engine.dataset", "ndv", "tensorstore"}
    code = f"import ndviewer_light.gui.windows.window_contents, sys; print(*({late!r} & sys.modules.keys()))"
    assert in_fresh_python(code) == ""


@pytest.mark.parametrize(
    "name", ["hex_to_colormap", "wavelength_to_colormap", "MemoryBoundedLRUCache", "FPATTERN"]
)
def test_small_names_load_no_more_than_numpy(name):
    assert loaded_by(f"from ndviewer_light import {name}") <= {"numpy"}


# ---- names -----------------------------------------------------------------------------------------


def test_what_hosts_import_today_is_public():
    assert set(ndviewer_light.__all__) >= PUBLIC
    assert "open_dataset" in ndviewer_light.__all__


@pytest.mark.parametrize("name", sorted(set(ndviewer_light.__all__) - NEEDS_QT))
def test_every_public_name_is_there(name):
    assert getattr(ndviewer_light, name) is not None
    assert name in dir(ndviewer_light)


@pytest.mark.parametrize("name", sorted(NEEDS_QT))
def test_every_public_widget_is_there(name):
    pytest.importorskip("qtpy")
    assert isinstance(getattr(ndviewer_light, name), type)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ndviewer_light.no_such_name
    with pytest.raises(ImportError):
        exec("from ndviewer_light import no_such_name")


def test_public_names_have_docstrings():
    for name in set(ndviewer_light.__all__) - NEEDS_QT:
        value = getattr(ndviewer_light, name)
        if callable(value):
            assert value.__doc__, name


def test_the_version_is_written_once_and_known_without_metadata(host_folder):
    code = """
        import importlib.metadata
        def nothing(name): raise importlib.metadata.PackageNotFoundError(name)
        importlib.metadata.version = nothing
        from control import ndviewer_light
        print(ndviewer_light.__version__)
    """
    assert in_fresh_python(code, cwd=host_folder) == ndviewer_light.__version__
    metadata = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in metadata and 'path = "ndviewer_light/__init__.py"' in metadata
    changes = (ROOT / "docs" / "changelog.md").read_text()
    newest = re.search(r"^## (\S+) \(\d{4}-\d{2}-\d{2}\)$", changes, re.MULTILINE)
    assert newest is not None and newest[1] == ndviewer_light.__version__


def test_the_package_says_that_it_is_typed_and_what_napari_may_ask_it():
    package = files("ndviewer_light")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("napari.yaml").is_file()
    napari = '[project.entry-points."napari.manifest"]\nndviewer_light = "ndviewer_light:napari.yaml"\n'
    assert napari in (ROOT / "pyproject.toml").read_text()


def test_the_checkout_as_a_host_imports_it_has_the_same_names(host_folder):
    code = """
        import sys
        from control import ndviewer_light
        assert "ndviewer_light" not in sys.modules, "nothing may need the package under its own name"
        print(*ndviewer_light.__all__)
        for name in ndviewer_light.__all__:
            if name not in sys.argv[1:]:
                getattr(ndviewer_light, name)
        from control.ndviewer_light import MemoryBoundedLRUCache, hex_to_colormap
        home = "control.ndviewer_light.ndviewer_light.engine.memory_bounded_lru"
        assert MemoryBoundedLRUCache.__module__ == home
        assert "ndviewer_light" not in sys.modules
        assert hasattr(ndviewer_light, "core") or __import__("control.ndviewer_light.ndviewer_light.core")
    """
    assert in_fresh_python(code, *NEEDS_QT, cwd=host_folder).split() == ndviewer_light.__all__


def test_a_missing_name_in_the_checkout_is_an_import_error_as_hosts_expect(host_folder):
    code = """
        try:
            from control.ndviewer_light import no_such_name
        except ImportError as error:
            print("ImportError")
    """
    assert in_fresh_python(code, cwd=host_folder) == "ImportError"


def test_a_host_reads_a_dataset_through_the_checkout(host_folder, image):
    code = """
        import sys
        from control import ndviewer_light
        for isolate in (False, True):
            with ndviewer_light.open_dataset(sys.argv[1], isolate=isolate) as dataset:
                print(int(dataset.plane(1, 0, 1, 1).sum()))
        assert "ndviewer_light" not in sys.modules
    """
    expected = str(int(stores.plane(1, 0, 1, 1).sum()))
    assert in_fresh_python(code, str(image), cwd=host_folder).split() == [expected, expected]


# ---- open_dataset ----------------------------------------------------------------------------------


@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
@pytest.mark.parametrize("kind", [str, Path])
def test_open_dataset_reads_planes_as_they_were_written(image, isolate, kind):
    with ndviewer_light.open_dataset(kind(image), isolate=isolate) as dataset:
        assert dataset.info.sizes == {"t": 2, "p": 1, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
        np.testing.assert_array_equal(dataset.plane(t=1, p=0, c=1, z=0), stores.plane(1, 0, 1, 0))
        with pytest.raises(IndexError):
            dataset.plane(t=2)
        with pytest.raises(IndexError):
            dataset.plane(z=-1)


@pytest.mark.parametrize("isolate", [False, True], ids=["in this process", "in its own process"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(lambda path: None, FileNotFoundError, id="nothing there"),
        pytest.param(lambda path: path.mkdir(), FileNotFoundError, id="an empty folder"),
        pytest.param(lambda path: path.write_text("hello"), FileNotFoundError, id="some file"),
    ],
)
def test_open_dataset_says_what_it_expected_where_there_is_no_dataset(tmp_path, isolate, make, kind):
    path = tmp_path / "my data"
    make(path)
    with pytest.raises(kind, match="my data"):
        ndviewer_light.open_dataset(path, isolate=isolate)


def test_every_module_of_the_package_can_be_imported_alone():
    folder = ROOT / "ndviewer_light"
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(folder.rglob("*.py"))
        if "gui" not in file.parts and file.stem not in ("__init__", "__main__")
    ]
    assert "ndviewer_light.engine.dataset" in names
    for name in names:
        importlib.import_module(name)
    in_fresh_python(
        "import ndviewer_light.engine.to_xarray, ndviewer_light.live.acquisition\n"
        "import ndviewer_light.isolation.server"
    )
