"""TIFFs of a run that a host has announced: files that come late, in pieces, elsewhere or never."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import tiffs

from ndviewer_light.errors import AcquisitionConfigError, PlaneNotStoredError, PlaneNotWrittenError
from ndviewer_light.model import AnnouncedRun, PlaneKey, Position
from ndviewer_light.sources.tiff.announced import AnnouncedTiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Announce = Callable[..., AnnouncedTiff]

REGIONS = {"A1": 2, "my_region": 1}
POSITIONS = tuple(Position(region, fov) for region, fov in tiffs.sites(REGIONS))
FORMS = ("images", "stacks", "ome")


@pytest.fixture
def announced(tmp_path: Path) -> Iterator[Announce]:
    """Announce runs in `tmp_path` that are closed when the test is over."""
    sources: list[AnnouncedTiff] = []

    def announce(form: str, channels: tuple[str, ...] = tiffs.CHANNELS, n_z: int = 2) -> AnnouncedTiff:
        run = AnnouncedRun(POSITIONS, (), (), channels, n_z, 100, 200)
        sources.append(AnnouncedTiff(run, str(tmp_path), form))
        return sources[-1]

    yield announce
    for source in sources:
        source.close()


def write_plane(folder: Path, form: str, key: PlaneKey, pixels: np.ndarray, padding: int = 0) -> Path:
    """One plane where Squid puts it in that form."""
    region, fov, *_ = POSITIONS[key.p]
    channel = tiffs.CHANNELS[key.c]
    if form == "images":
        return tiffs.write_image(
            tiffs.image_path(folder, key.t, region, fov, key.z, channel, padding=padding), pixels
        )
    if form == "stacks":
        path = tiffs.stack_path(folder, key.t, region, fov, padding)
        tiffs.append_to_stack(path, pixels, key.z, channel, key.c)
        return path
    path = tiffs.ome_path(folder, region, fov)
    if not path.exists():
        tiffs.create_ome(path, n_t=5)
    tiffs.write_ome_plane(path, key.t, key.z, key.c, pixels)
    return path


def all_keys(n_t: int = 2) -> Iterator[PlaneKey]:
    yield from itertools.starmap(PlaneKey, itertools.product(range(n_t), range(3), range(2), range(2)))


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_the_run_need_exist(tmp_path: Path, announced: Announce, form: str) -> None:
    source = announced(form)
    (tmp_path / "run").mkdir()
    info = source.info
    assert info.sizes == {"t": 1, "p": 3, "c": 2, "z": 2, "y": 100, "x": 200}
    assert info.dtype is None
    for key in (PlaneKey(), PlaneKey(7, 2, 1, 1)):
        assert not source.exists(key)
        assert source.plane_shape(key) is None
        with pytest.raises(PlaneNotStoredError) as said:
            source.read_plane(key)
        assert said.value.plane_shape is None
    assert source.refresh() is info


@pytest.mark.parametrize("form", FORMS)
def test_announcing_touches_no_disk(announced: Announce, form: str) -> None:
    touched: list[str] = []
    watching = True

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir"):
            touched.append(str(arguments[0]))

    sys.addaudithook(audit)
    source = announced(form)
    source.register(PlaneKey(), "/nowhere/0/A1_0_0_BF.tiff")
    watching = False
    assert touched == []


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("form", FORMS)
def test_every_plane_is_there_as_soon_as_it_is_written(
    tmp_path: Path, announced: Announce, form: str, padding: int
) -> None:
    source = announced(form)
    for key in all_keys():
        with pytest.raises(PlaneNotStoredError):
            source.read_plane(key)
        pixels = stores.plane(**key._asdict())
        write_plane(tmp_path, form, key, pixels, padding)
        np.testing.assert_array_equal(source.read_plane(key), pixels)
        assert source.exists(key)
    assert source.info.sizes["c"] == 2
    assert [channel.name for channel in source.info.channels] == list(tiffs.CHANNELS)


@pytest.mark.parametrize("form", FORMS)
def test_what_the_first_file_says_is_learnt_from_it(tmp_path: Path, announced: Announce, form: str) -> None:
    source = announced(form)
    tiffs.write_experiment(tmp_path)
    write_plane(tmp_path, form, PlaneKey(), stores.plane())
    before = source.info
    assert before.pixel_size_um is None
    source.read_plane(PlaneKey())
    info = source.info
    assert info is not before
    assert (info.height, info.width, info.dtype) == (stores.HEIGHT, stores.WIDTH, np.uint16)
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.325, 1.5, 2.5)
    assert info.n_t == (5 if form == "ome" else 1)
    source.read_plane(PlaneKey())
    assert source.info is info


def test_shape_is_learnt_without_reading_pixels(tmp_path: Path, announced: Announce) -> None:
    source = announced("images")
    write_plane(tmp_path, "images", PlaneKey(), stores.plane())
    assert source.plane_shape(PlaneKey()) == (stores.HEIGHT, stores.WIDTH)
    assert source.info.dtype == np.uint16


@pytest.mark.parametrize("form", ["images", "stacks"])
def test_time_counts_as_the_acquisition_does(tmp_path: Path, announced: Announce, form: str) -> None:
    source = announced(form)
    for t in (0, 3):
        write_plane(tmp_path, form, PlaneKey(t), stores.plane(t))
    source.read_plane(PlaneKey(3))
    assert source.info.n_t == 4
    (tmp_path / "9").mkdir()
    (tmp_path / "20260101").mkdir()  # a date is no time point
    assert source.refresh().n_t == 10
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(1))


def test_a_registered_path_comes_before_the_name_expected(tmp_path: Path, announced: Announce) -> None:
    source = announced("images")
    key = PlaneKey(0, 1, 1, 1)
    write_plane(tmp_path, "images", key, stores.plane())
    elsewhere = tmp_path / "elsewhere" / "any name.tif"
    source.register(key, str(elsewhere))
    np.testing.assert_array_equal(source.read_plane(key), stores.plane())
    tiffs.write_image(elsewhere, stores.plane(9))
    np.testing.assert_array_equal(source.read_plane(key), stores.plane(9))


def test_a_registered_page(tmp_path: Path, announced: Announce) -> None:
    source = announced("images")
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.stack([stores.plane(z=z) for z in range(3)]), photometric="minisblack")
    for z in range(2):
        source.register(PlaneKey(z=z), str(path), z + 1)
    source.register(PlaneKey(p=1), str(path), 9)
    for z in range(2):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), stores.plane(z=z + 1))
    with pytest.raises(PlaneNotWrittenError):
        source.read_plane(PlaneKey(p=1))


def test_a_registered_path_teaches_ending_and_padding(tmp_path: Path, announced: Announce) -> None:
    source = announced("images")
    source.register(PlaneKey(), str(tmp_path / "000" / "A1_000_000_BF_LED_matrix_full.TIF"))
    path = tmp_path / "002" / "my_region_000_001_Fluorescence_488_nm_Ex.TIF"
    tiffs.write_image(path, stores.plane(2))
    (tmp_path / "002").rename(tmp_path / "away")
    key = PlaneKey(2, 2, 1, 1)
    assert not source.exists(key)
    (tmp_path / "away").rename(tmp_path / "002")
    np.testing.assert_array_equal(source.read_plane(key), stores.plane(2))


def test_registrations_are_bounded(
    tmp_path: Path, announced: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ndviewer_light.sources.tiff.forms.MAX_REGISTERED", 100)
    source = announced("images")
    path = tiffs.write_image(tmp_path / "any.tif", stores.plane())
    for t in range(150):
        source.register(PlaneKey(t), str(path))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(149)), stores.plane())
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(49))


def test_colour_channels_are_three(tmp_path: Path, announced: Announce) -> None:
    source = announced("images", ("BF LED matrix full_RGB", "GFP"))
    assert [channel.name[-3:] for channel in source.info.channels] == ["(R)", "(G)", "(B)", "GFP"]
    pixels = np.stack([stores.plane(c=c, dtype="uint8") for c in range(3)], axis=-1)
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF LED matrix full_RGB", end=".bmp")
    tiffs.write_image(path, pixels)
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), pixels[..., c])
    assert source.info.channels[0].window == (0, 255)
    assert source.info.channels[3].window is None
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "GFP"), stores.plane())
    np.testing.assert_array_equal(source.read_plane(PlaneKey(c=3)), stores.plane())


@pytest.mark.parametrize("end", [".bmp", ".tiff"])
def test_colour_is_what_is_in_the_file_not_in_the_name(tmp_path: Path, announced: Announce, end: str) -> None:
    source = announced("images", ("BF LED matrix full", "GFP"))
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "GFP"), stores.plane(dtype="uint8"))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(c=1)), stores.plane(dtype="uint8"))
    assert [channel.name for channel in source.info.channels] == ["BF LED matrix full", "GFP"]
    pixels = np.stack([stores.plane(c=c, dtype="uint8") for c in range(3)], axis=-1)
    for z in range(2):
        path = tiffs.image_path(tmp_path, 0, "A1", 0, z, "BF LED matrix full", end=end)
        tiffs.write_image(path, pixels)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), pixels[..., 0])
    names = ["BF LED matrix full (R)", "GFP", "BF LED matrix full (G)", "BF LED matrix full (B)"]
    found = source.info.channels
    assert [channel.name for channel in found] == names
    assert [found[c].color for c in (0, 2, 3)] == ["#FF0000", "#00FF00", "#0000FF"]
    assert [found[c].window for c in range(4)] == [(0, 255), None, (0, 255), (0, 255)]
    for z in range(2):
        for c, sample in ((0, 0), (2, 1), (3, 2)):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c, z=z)), pixels[..., sample])
    np.testing.assert_array_equal(source.read_plane(PlaneKey(c=1)), stores.plane(dtype="uint8"))


def test_a_grey_file_of_a_channel_named_rgb_is_grey(tmp_path: Path, announced: Announce) -> None:
    source = announced("images", ("BF RGB",))
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF RGB")
    tiffs.write_image(path, stores.plane(dtype="uint8"))
    for c in range(3):  # red, green and blue alike
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), stores.plane(dtype="uint8"))


@pytest.mark.parametrize("form", ["stacks", "ome"])
def test_pages_are_matched_to_channels_by_name_else_by_index(
    tmp_path: Path, announced: Announce, form: str
) -> None:
    source = announced(form, ("GFP", "BF LED", "renamed"))
    stored = ("BF LED", "GFP", "as it was called")
    planes = {name: stores.plane(c=c) for c, name in enumerate(stored)}
    if form == "stacks":
        for c, name in enumerate(stored):
            tiffs.append_to_stack(tiffs.stack_path(tmp_path, 0, "A1", 0), planes[name], 0, name, c)
    else:
        path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A1", 0), channels=stored)
        for c, name in enumerate(stored):
            tiffs.write_ome_plane(path, 0, 0, c, planes[name])
    for c, name in enumerate(("GFP", "BF LED", "as it was called")):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), planes[name])


@pytest.mark.parametrize("inside", ["", "ome_tiff"])
def test_ome_files_of_one_time_point_each(tmp_path: Path, announced: Announce, inside: str) -> None:
    source = announced("ome")
    for t in range(3):
        path = tiffs.create_ome(tmp_path / str(t) / inside / "A1_0.ome.tiff", n_t=1)
        tiffs.write_ome_plane(path, 0, 1, 1, stores.plane(t))
    for t in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t, 0, 1, 1)), stores.plane(t))
    assert source.info.n_t == 3


def test_a_plane_that_nobody_wrote_yet_has_its_shape(tmp_path: Path, announced: Announce) -> None:
    source = announced("ome")
    write_plane(tmp_path, "ome", PlaneKey(), stores.plane())
    with pytest.raises(PlaneNotWrittenError) as said:
        source.read_plane(PlaneKey(4, 0, 1, 1))
    assert said.value.plane_shape == (stores.HEIGHT, stores.WIDTH)


@pytest.mark.parametrize("region", ["../outside", "a/b", "", ".."])
def test_names_that_lead_out_of_the_folder_are_not_looked_for(tmp_path: Path, region: str) -> None:
    folder = tmp_path / "run"
    tiffs.write_image(tmp_path / "outside_0_0_BF.tiff", stores.plane())
    tiffs.write_image(folder / "0" / "b_0_0_BF.tiff", stores.plane())
    for form in FORMS:
        run = AnnouncedRun((Position(region, 0),), (), (), ("BF",), 1, 8, 8)
        source = AnnouncedTiff(run, str(folder), form)
        assert not source.exists(PlaneKey())
        with pytest.raises(PlaneNotStoredError):
            source.read_plane(PlaneKey())
        source.close()


def test_a_form_there_is_not(tmp_path: Path) -> None:
    run = AnnouncedRun(POSITIONS, (), (), tiffs.CHANNELS, 2, 8, 8)
    with pytest.raises(AcquisitionConfigError, match="images, stacks, ome"):
        AnnouncedTiff(run, str(tmp_path), "jpeg")


def test_indices_that_no_run_has(announced: Announce) -> None:
    source = announced("images")
    for key in ((-1, 0, 0, 0), (0, 3, 0, 0), (0, 0, 2, 0), (0, 0, 0, -1)):
        with pytest.raises(IndexError):
            source.read_plane(PlaneKey(*key))


# ---- writers in other processes ---------------------------------------------------------------

_WRITER = """
import sys, itertools
from pathlib import Path
import stores, tiffs
folder, form = Path(sys.argv[1]), sys.argv[2]
large = (512, 640)
path = tiffs.ome_path(folder, "A1", 0)
if form == "ome":
    tiffs.create_ome(path, 4, shape=large)
print("ready", flush=True)
for t, z, (c, channel) in itertools.product(range(4), range(2), enumerate(tiffs.CHANNELS)):
    pixels = stores.plane(t, 0, c, z, shape=large)
    if form == "ome":
        tiffs.write_ome_plane(path, t, z, c, pixels)
    elif form == "stacks":
        tiffs.append_to_stack(tiffs.stack_path(folder, t, "A1", 0), pixels, z, channel, c)
    else:
        tiffs.write_image(tiffs.image_path(folder, t, "A1", 0, z, channel), pixels)
"""


@pytest.mark.parametrize("form", FORMS)
def test_while_another_process_writes_only_whole_planes_are_seen(
    tmp_path: Path, announced: Announce, form: str
) -> None:
    here = Path(__file__).parent
    source = announced(form)
    failed: list[str] = []
    over = threading.Event()

    def watch(c: int) -> None:
        keys = [PlaneKey(t, 0, c, z) for t, z in itertools.product(range(4), range(2))]
        while not over.is_set():
            for key in keys:
                try:
                    pixels = source.read_plane(key)
                except PlaneNotStoredError:
                    continue
                except Exception as error:  # noqa: BLE001  told by the test
                    failed.append(f"{key}: {error!r}")
                    continue
                if not np.array_equal(pixels, stores.plane(**key._asdict(), shape=(512, 640))):
                    failed.append(f"{key}: other pixels")

    threads = [threading.Thread(target=watch, args=(c,)) for c in (0, 1, 1)]
    command = [sys.executable, "-c", _WRITER, str(tmp_path), form]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, env=_path_of(here)) as writer:
        for thread in threads:
            thread.start()
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    over.set()
    for thread in threads:
        thread.join()
    assert not failed
    for t, c, z in itertools.product(range(4), range(2), range(2)):
        expected = stores.plane(t, 0, c, z, shape=(512, 640))
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t, 0, c, z)), expected)


def _path_of(here: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
