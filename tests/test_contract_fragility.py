"""Where the viewer before this one was fragile (contract §7.3, rows 36–41), and what is held here instead.

| row | what was fragile | held by |
| --- | --- | --- |
| 36 | superqt, vispy and ndv patched for the whole process | here: nothing of them is changed, but where superqt looks for icons (`gui/look/icon_files.py` says why) |
| 37 | private parts of ndv: each refresh builds the viewer again, indices cannot be set | here, `test_live_view::test_indices_set_by_a_host_are_clamped_and_unknown_dimensions_refused` |
| 38 | PyQt5 and tensorstore imported at once, `print` in place of errors | here, `test_public::test_importing_the_checkout_as_a_host_does_loads_nothing_heavy`, `test_host::test_the_constructor_never_raises_and_says_what_is_missing` |
| 39 | status not visible, labels cut off | here, `test_axis_sliders::test_the_value_is_never_cut_off` |
| 40 | two `__init__.py` confuse pytest; hosts collect our tests | here |
| 41 | OME names of one schema only, channels of all images in one list | `test_tiff_ome::test_any_namespace`, and here |
"""  # noqa: E501  a table

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from runs import CHANNELS, load, small_run, write
from screen import choose_limits, framebuffer, settle
from squid_host import go_to, squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import over, saved

from simulate_acquisition import plane_pixels

pytestmark = pytest.mark.gl

REPO = Path(__file__).parents[1]


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


def in_a_host(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    prologue = f"import os, sys\nsys.path[:0] = [{str(REPO)!r}, {str(REPO / 'tests')!r}]\n"
    end = "\nsys.stdout.flush()\nsys.stderr.flush()\nos._exit(0)\n"  # as Squid ends
    return subprocess.run(
        [sys.executable, "-c", prologue + script + end, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


_USED = """
from qtpy.QtWidgets import QApplication
app = QApplication([])
from gl_host import Loop
import ndviewer_light
loop = Loop()
def use():
    viewer = ndviewer_light.LightweightViewer(sys.argv[1])
    viewer.resize(700, 500)
    viewer.show()
    def shown():
        canvas = viewer.stage.canvas
        frame = canvas.frame if canvas is not None else None
        if frame is None or canvas.busy or frame.view != viewer.stage.view:
            return False
        return all(plane.state.name != "LOADING" for plane in frame.planes.values())
    loop.waitUntil(lambda: viewer.dataset is not None and shown())
    viewer.load_fov(1, 1, 1)
    loop.waitUntil(shown)
    viewer.stage.strips._volume.click()
    loop.waitUntil(shown)
    viewer.start_zarr_acquisition([sys.argv[1] + "/new"], ["c"], 2, ["A1:0"], 64, 64)
    loop.waitUntil(lambda: viewer.is_push_mode_active() and shown())
    viewer.close()
"""

_PATCHED = """
import importlib, pkgutil, types, json
import ndv, vispy, superqt, superqt.iconify
import ndv.views._vispy._array_canvas, ndv.controllers, vispy.scene, vispy.visuals

def everything():
    '''Every function and attribute of classes of these libraries that are loaded, by name.'''
    found = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in ("ndv", "vispy", "superqt") or module is None:
            continue
        for attribute, value in list(vars(module).items()):
            if not isinstance(value, type) and callable(value):
                found[f"{name}.{attribute}"] = value
            elif isinstance(value, type) and value.__module__ == name:
                for member, inner in list(vars(value).items()):
                    if isinstance(inner, (types.FunctionType, property, classmethod, staticmethod)):
                        found[f"{name}.{attribute}.{member}"] = inner
    return found

before = everything()
assert "vispy.visuals.volume.VolumeVisual.__init__" in before
assert any(name.startswith("superqt.sliders._labeled.QLabeledSlider.") for name in before)
assert any("add_volume" in name for name in before)
hooks = sys.excepthook, sys.displayhook, sys.unraisablehook
use()
after = everything()
changed = sorted(name for name in before if after.get(name) is not before[name])
assert hooks == (sys.excepthook, sys.displayhook, sys.unraisablehook)
print(json.dumps(changed))
"""


def test_36_nothing_of_the_libraries_shared_with_the_host_is_replaced_but_where_icons_are_found(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")  # else they are not used where a program draws
    run = small_run(tmp_path / "run")
    write(run)
    result = in_a_host(_USED + _PATCHED, run.folder)
    assert result.returncode == 0, result.stderr
    by_itself = {"vispy.gloo.wrappers.get_current_canvas"}  # it puts another in its place when first called
    assert set(json.loads(result.stdout.splitlines()[-1])) - by_itself == {"superqt.iconify.svg_path"}


def test_36_a_volume_of_the_host_has_its_own_scale_beside_ours(tmp_path):
    run = small_run(tmp_path / "run")  # 1.5 µm a plane, 0.325 µm a pixel
    write(run)
    script = """
import numpy as np
use()
import vispy.scene
volume = vispy.scene.visuals.Volume(np.zeros((4, 5, 6), np.float32), parent=vispy.scene.Node())
print(volume.bounds(0), volume.bounds(1), volume.bounds(2))
"""
    result = in_a_host(_USED + script, run.folder)
    assert result.returncode == 0, result.stderr
    bounds = result.stdout.splitlines()[-1].replace("np.float64", "").replace("(", "").replace(")", "")
    edges = [float(number) for number in bounds.replace(",", "").split()]
    assert [edges[i + 1] - edges[i] for i in (0, 2, 4)] == [6, 5, 4]


def centre(viewer) -> tuple[float, float]:
    """What lies in the middle of the canvas, whose height changes when a slider appears; in µm."""
    gl = viewer.stage.canvas.surface
    return viewer.stage.canvas.camera.canvas_to_world((gl.width() / 2, gl.height() / 2))[:2]


@pytest.mark.parametrize("layout", ["per_fov", "images"])
def test_37_planes_that_come_leave_the_canvas_its_zoom_and_its_contrast(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=8)
    saved(qtbot, acquisition, 8)
    wait_until_shown(qtbot, squid.viewer, run)
    stage = squid.viewer.stage
    choose_limits(squid.viewer, 0, 200.0, 2000.0)
    canvas = squid.viewer.ndv_viewer
    stage.canvas.camera.set_range(x=(2, 20), y=(3, 12), margin=1e-9)
    settle(qtbot, squid.viewer)
    place = centre(squid.viewer)
    over(qtbot, acquisition)
    squid.viewer.refresh()
    go_to(squid.viewer, 1, 1, 1)
    settle(qtbot, squid.viewer)
    assert squid.viewer.ndv_viewer is canvas, "the canvas was built again"
    assert centre(squid.viewer) == pytest.approx(place, rel=1e-3)
    assert stage.strips.window_of(0) == (200.0, 2000.0)
    assert stage.strips.contrast_mode(0).value == "Manual"
    assert framebuffer(squid.viewer).max() > 60


def test_38_the_binding_of_the_host_is_the_only_one_loaded(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    script = """
use()
print(sorted({"PyQt5", "PyQt6", "PySide2", "PySide6"} & sys.modules.keys()), "tensorstore" in sys.modules)
"""
    result = in_a_host(_USED + script, run.folder)
    assert result.returncode == 0, result.stderr
    binding = {"pyqt5": "PyQt5", "pyqt6": "PyQt6"}[os.environ["QT_API"]]
    assert result.stdout.splitlines()[-1] == f"['{binding}'] False"


def test_38_nothing_is_printed_and_errors_go_to_the_log(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    (run.folder / "zarr/A1/fov_0.ome.zarr/0/c/0/0/0/0/0").write_bytes(b"damaged")
    script = """
use()
viewer = ndviewer_light.LightweightViewer(sys.argv[1] + "/no such folder")
loop.waitUntil(lambda: "Failed" in viewer.status_label.text())
viewer.close()
"""
    result = in_a_host(_USED + script, run.folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "no such folder" in result.stderr
    assert "plane (0, 0, 0, 0)" in result.stderr
    assert "Traceback" not in result.stderr


def test_39_what_is_wrong_is_to_be_read_in_the_widget(qtbot, viewer, tmp_path):
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "no such folder"))
    assert viewer.status_label.isVisible()
    assert viewer.status_label.text() == "Failed to load dataset"
    assert "no such folder" in viewer._screen.message.detail.toPlainText()
    assert viewer._screen.message.detail.isVisible()


def test_39_labels_of_long_names_are_not_cut_off(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", regions=("manual0", "a region with a long name"), fovs=(13, 1))
    write(run)
    load(qtbot, viewer, run.folder)
    row = viewer.stage.sliders._rows["p"].value
    shown = set()
    for p in range(14):
        go_to(viewer, p=p)
        qtbot.wait(1)
        shown.add(row.text().split("   ")[0])
        assert row.width() >= row.fontMetrics().horizontalAdvance(row.text())
    assert shown >= {"manual0:0", "manual0:12", "a region with a long name:0"}


# ---- 40: a checkout inside a host -------------------------------------------------------------------------


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture
def host_tree(tmp_path):
    """A host's tree with a copy of this checkout in it, and a test of its own."""
    software = tmp_path / "software"
    (software / "control").mkdir(parents=True)
    (software / "control" / "__init__.py").touch()
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__")
    checkout = software / "control" / "ndviewer_light"
    shutil.copytree(REPO, checkout, ignore=ignored)
    for path in checkout.glob("tests/test_*.py"):
        if path.name not in ("test_cache.py", "test_public.py", "test_live_view.py"):
            path.unlink()  # collecting them all takes long
    (software / "tests").mkdir()
    (software / "tests" / "test_host_itself.py").write_text(
        "from control import ndviewer_light\n\n\ndef test_viewer():\n    assert ndviewer_light.__all__\n"
    )
    return software


def test_40_the_tests_of_a_host_that_holds_this_checkout_run(host_tree):
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=host_tree,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


def test_40_a_host_that_collects_everything_below_it_meets_no_error(host_tree):
    result = collect(host_tree)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "tests/test_host_itself.py::test_viewer" in result.stdout
    assert (
        "ndviewer_light/tests/test_live_view.py::test_a_plane_written_again_is_shown_again" in result.stdout
    )


def test_40_our_own_tests_are_collected_from_a_checkout_in_a_host(host_tree):
    result = collect(host_tree / "control" / "ndviewer_light", "tests/test_cache.py", "tests/test_public.py")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert "test_public.py::test_what_hosts_import_today_is_public" in result.stdout


# ---- 41: OME metadata -------------------------------------------------------------------------------------

_TWO_IMAGES = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/{schema}">
{images}
</OME>"""
_IMAGE = """<Image ID="Image:{i}" Name="{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" Type="uint16"
 SizeX="128" SizeY="96" SizeC="2" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">{channels}
 <TiffData/></Pixels></Image>"""


@pytest.mark.parametrize("schema", ["2016-06", "2015-01", "2013-06"])
def test_41_channels_are_those_of_the_image_shown_in_any_schema(qtbot, viewer, tmp_path, schema):
    names = [list(CHANNELS), ["another", "image"]]
    images = [
        _IMAGE.format(
            i=i,
            channels="".join(f'<Channel ID="Channel:{i}:{c}" Name="{name}"/>' for c, name in enumerate(of)),
        )
        for i, of in enumerate(names)
    ]
    run = small_run(tmp_path / "unused", "ome_tiff", n_t=1, n_z=1)
    folder = tmp_path / "run" / "ome_tiff"
    folder.mkdir(parents=True)
    xml = _TWO_IMAGES.format(schema=schema, images="\n".join(images))
    with tifffile.TiffWriter(folder / "A1_0.ome.tiff") as writer:
        for c, channel in enumerate(CHANNELS):
            pixels = plane_pixels(run, 0, 0, 0, channel)
            writer.write(pixels, description=xml if c == 0 else None, metadata=None, photometric="minisblack")
    load(qtbot, viewer, folder.parent)
    assert [channel.name for channel in viewer.dataset.info.channels] == list(CHANNELS)
    wait_for_states(qtbot, viewer, "PRESENT", "PRESENT")
    wait_until_shown(qtbot, viewer, run)
