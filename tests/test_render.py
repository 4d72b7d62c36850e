"""``ndviewer-light render``: pictures, films and planes without a display, which look as on screen."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import stores
import tifffile
from PIL import Image
from qtpy.QtWidgets import QApplication
from rendered_pictures import picture_in, rendered
from runs import load
from screen import choose_limits, screen_pixels, settle

from ndviewer_light.cli.info import main as main_of_info
from ndviewer_light.cli.render import main
from ndviewer_light.engine.projections import PROJECTIONS, StackProjection, projected
from ndviewer_light.opening import open_dataset
from ndviewer_light.rendering.added_up import Layer, composite, drawn_composite
from ndviewer_light.rendering.annotations import add_scale_bar, add_text
from ndviewer_light.rendering.colormaps import chosen_colormap
from ndviewer_light.rendering.contrast import ContrastMode
from ndviewer_light.rendering.film_frames import Inscription, inscribed
from ndviewer_light.rendering.movies import write_movie
from ndviewer_light.rendering.scale_bar import NO_SCALE
from ndviewer_light.rendering.view_picture import ShownPlace, ViewPictures
from ndviewer_light.rendering.volume_look import VolumeLook
from ndviewer_light.rendering.volume_rays import VolumeSight
from ndviewer_light.storage.whole_files import NotWrittenError
from ndviewer_light.views.channel_choices import ChannelChoice
from ndviewer_light.views.saved_view import SavedView
from ndviewer_light.views.split_look import SplitLook
from ndviewer_light.views.view_link import link_to
from ndviewer_light.views.visible_area import VisibleArea

REPO = Path(__file__).parents[1]
SHAPE = (3, 2, 4, stores.HEIGHT, stores.WIDTH)  # t c z y x


@pytest.fixture
def written(tmp_path):
    """An image of two channels whose pixels follow from their indices; nothing of t=2 is stored."""
    path = tmp_path / "i.zarr"
    array = stores.create_array(path / "0", SHAPE)
    for t in range(2):
        for c in range(2):
            for z in range(4):
                array[t, c, z] = stores.plane(t, 0, c, z)
    stores.write_group(path, stores.image_attributes(channels=["DAPI", "GFP"], squid=False))
    stores.make_old(path)
    return path


# ---- how it looks ------------------------------------------------------------------------------


def test_channels_add_up_and_what_is_no_number_is_drawn_as_nothing():
    """As on the canvas: infinities are beyond the limits."""
    ramp = np.array([[0, 50, 100, 200]], "u2")
    red, green = chosen_colormap("#FF0000"), chosen_colormap("#00FF00_r")
    picture = composite([Layer(ramp, (0, 100), red), Layer(ramp, (0, 100), green)], 1, 4)
    assert picture.tolist() == [[[0, 255, 0], [128, 127, 0], [255, 0, 0], [255, 0, 0]]]
    strange = np.array([[np.nan, np.inf, -np.inf, 100.0]], "f4")
    assert composite([Layer(strange, (0, 100), green)], 1, 4)[0, :, 1].tolist() == [0, 0, 255, 0]
    assert composite([Layer(ramp, (0, 100), red, gamma=2.0)], 1, 4)[0, 1, 0] == 64


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("height", [4, 600])  # with a table of all values, and without
def test_a_picture_for_qt_has_the_same_colours_and_is_opaque(dtype, n, height):
    values = np.random.default_rng(n).integers(0, 256, (n, height, 80)).astype(dtype)
    colors = ("#FF0000", "#00FF80_r", "#FFFFFF")
    layers = [Layer(each, (3, 200), chosen_colormap(color), 0.7) for each, color in zip(values, colors)]  # noqa: B905
    picture = drawn_composite(layers, height, 80)
    assert picture.shape == (height, 80, 4) and picture.dtype == np.uint8 and (picture[..., 3] == 255).all()
    assert np.array_equal(picture[..., 2::-1], composite(layers, height, 80))


@pytest.mark.each_binding
@pytest.mark.gl
def test_a_picture_is_what_the_canvas_shows(qtbot, viewer, capsys, written, tmp_path):
    load(qtbot, viewer, written)
    limits = [np.percentile(stores.plane(0, 0, c, 0), (10, 90)).astype(int) for c in range(2)]
    for c, (low, high) in enumerate(limits):
        choose_limits(viewer, c, low, high)
    settle(qtbot, viewer)
    shown = screen_pixels(viewer).astype(int)
    (a, b), (c, d) = limits
    contrast = ("--contrast", f"DAPI={a}:{b}", "--contrast", f"GFP={d}:{c}")
    rendered(capsys, written, *contrast, "-o", tmp_path / "a.png")
    picture = picture_in(tmp_path / "a.png")
    assert picture.shape == shown.shape == (stores.HEIGHT, stores.WIDTH, 3)
    assert picture.max() > 200
    assert np.abs(picture - shown).max() <= 2
    viewer.stage.strips.strip(0).on.click()
    viewer.stage.strips.strip(1)._choose_color("imagej:fire")
    viewer.stage.go_to(t=1, z=2)
    settle(qtbot, viewer)
    shown = screen_pixels(viewer).astype(int)
    viewer._screen.copy_link()
    rendered(capsys, QApplication.clipboard().text(), "-o", tmp_path / "b.png")
    assert np.abs(picture_in(tmp_path / "b.png") - shown).max() <= 2


def test_the_colours_of_one_picture_have_limits_in_common(qtbot, viewer, capsys, tmp_path):
    grey = np.add.outer(np.arange(64), np.arange(64)).astype("u2") * 250
    pixels = np.stack([grey, grey // 2, grey // 4 + 100], -1)
    path, out = tmp_path / "p.tif", tmp_path / "p.png"
    tifffile.imwrite(path, pixels, photometric="rgb")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    stage = viewer.stage
    low, high = stage.canvas.limits(0)
    assert low < 500 and 30_000 < high <= grey.max()
    for c in range(3):
        assert stage.canvas.limits(c) == (low, high)
        assert stage.strips.window_of(c) == pytest.approx((low, high), abs=1)
    wanted = np.clip((pixels - low) / (high - low), 0, 1) * 255
    rendered(capsys, path, "-o", out)
    assert np.allclose(picture_in(out), wanted, atol=2)
    rendered(capsys, path, "--overview", "-o", out)
    picture = picture_in(out)
    shown = picture[picture[..., 0] > 150].astype(int)
    assert len(shown) and abs(shown[:, 1] - shown[:, 0] / 2).max() < 5


@pytest.mark.parametrize("how", PROJECTIONS)
def test_projections_are_those_of_numpy(how):
    stack = np.random.default_rng(0).integers(0, 60_000, (5, 6, 7), np.uint16)
    found = projected(iter(stack), how)
    expected = getattr(np, how)(stack, axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == {"mean": np.float32, "sum": np.uint64}.get(how, np.uint16)


def a_link(path, **said) -> str:
    """To a view in which GFP is on, in red."""
    choices = {
        ("DAPI", 0): ChannelChoice(visible=False),
        ("GFP", 0): ChannelChoice(visible=True, color="#FF0000"),
    }
    here = {"t": 1, "z": 2, "position": ""}
    nothing = {
        "subject": "",
        "followed": frozenset(),
        "pinned": frozenset(),
        "area": None,
        "channels": choices,
    }
    return link_to(str(path), SavedView(**{**nothing, **here, **said}))


def test_a_link_says_how_it_is_drawn_as_far_as_no_option_does(capsys, written, tmp_path):
    def drawn(*arguments):
        rendered(capsys, *arguments, "-o", tmp_path / "a.png")
        return picture_in(tmp_path / "a.png")

    link = a_link(written)
    red = drawn(link)
    assert red[..., 0].max() == 255 and not red[..., 1:].any()
    plain = drawn(written, "--t", 1, "--z", 2, "--channels", "GFP")
    np.testing.assert_allclose(red.max(axis=2), plain.max(axis=2), atol=8)
    np.testing.assert_array_equal(
        drawn(link, "--t", 0, "--z", "max", "--channels", "DAPI"),
        drawn(written, "--t", 0, "--z", "max", "--channels", "DAPI"),
    )
    # the part that is seen, without what is beyond the edges
    with open_dataset(written) as dataset:
        width, height = (n * dataset.info.image(0).pixel_size_um for n in (stores.WIDTH, stores.HEIGHT))
    area = VisibleArea((-5 * width, width / 2), (height / 4, height * 1e9))
    part = drawn(a_link(written, area=area))
    np.testing.assert_array_equal(part, red[stores.HEIGHT // 4 :, : stores.WIDTH // 2])
    # a projection, and limits, of which those of a sum are of no use for planes
    want = ("--t", 1, "--channels", "GFP")
    choices = {
        ("GFP", 0): ChannelChoice(True, ContrastMode.MANUAL, (1000.0, 9000.0), "uint16", color="#FF0000")
    }
    summed = a_link(written, projection=StackProjection("sum"), channels=choices)
    limited = drawn(written, *want, "--z", "sum", "--contrast", "1000:9000")
    np.testing.assert_allclose(drawn(summed).max(axis=2), limited.max(axis=2), atol=8)
    np.testing.assert_array_equal(drawn(summed, "--z", "2"), red)
    choices = {("GFP", 0): ChannelChoice(True, gamma=0.5, color="#FF0000")}
    assert drawn(a_link(written, channels=choices)).mean() > red.mean()
    # volumes, and channels side by side
    volume = a_link(
        written, volume=VolumeLook(True, "max", 1, 2), sight=VolumeSight(width=width, height=2 * height)
    )
    turned = drawn(written, *want, "--volume", "max:1-2", "--turn", 90)
    np.testing.assert_allclose(drawn(volume, "--turn", 90).max(axis=2), turned.max(axis=2), atol=8)
    seen = drawn(volume)
    assert seen.shape[1] / seen.shape[0] == pytest.approx(width / height / 2, rel=0.01)
    np.testing.assert_array_equal(drawn(volume, "--z", "2"), red)
    beside = drawn(a_link(written, split=SplitLook.GRAY))
    assert beside.shape == drawn(written, *want, "--side-by-side", "gray").shape
    rendered(capsys, volume, "-o", tmp_path / "planes.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "planes.tif"), stores.plane(1, 0, 1, 2))
    assert main_of_info([link]) == 0 and "DAPI" in capsys.readouterr().out


def test_a_link_that_is_damaged_is_refused_and_what_is_not_there_is_said(capsys, written, tmp_path):
    for broken in ("ndviewer:", "ndviewer:relative?t=1", f"ndviewer:{written}?t=0"):
        with pytest.raises(SystemExit):
            main([broken, "-o", str(tmp_path / "a.png")])
        assert "link" in capsys.readouterr().err
    assert (
        "there is no time point 8"
        in rendered(capsys, a_link(written, t=8), "-o", tmp_path / "a.png", status=1).err
    )
    assert not (tmp_path / "a.png").exists()


# ---- what is written ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_planes_are_written_as_they_are_with_scale_and_names(capsys, written, tmp_path, name):
    rendered(capsys, written, "--t", -2, "--z", "max", "-o", tmp_path / name)
    expected = [np.max([stores.plane(1, 0, c, z) for z in range(4)], axis=0) for c in range(2)]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / name), expected)
    with open_dataset(tmp_path / name) as dataset, open_dataset(written) as original:
        assert [channel.name for channel in dataset.info.channels] == ["DAPI", "GFP"]
        np.testing.assert_array_equal(dataset.plane(c="GFP"), expected[1])
        assert dataset.info.pixel_size_um == pytest.approx(original.info.pixel_size_um, rel=1e-4)


@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_a_film_has_a_frame_for_each_time_point_and_says_what_is_missing(capsys, written, tmp_path, ending):
    if ending == "mp4":
        av = pytest.importorskip("av")
    path = tmp_path / f"a.{ending}"
    what = ("--timestamp", "--label", "--scale-bar", "--channels", "GFP", "--contrast", "full", "--fps", 5)
    said = rendered(capsys, written, *what, "-o", path, status=3)
    assert said.out.strip() == str(path)
    assert "render: " in said.err
    if ending == "mp4":
        with av.open(str(path)) as film:
            assert len(list(film.decode(video=0))) == 3
            assert film.streams.video[0].average_rate == 5
        return
    with Image.open(path) as film:
        size = 11 * stores.WIDTH, 11 * stores.HEIGHT  # so that what is written does not cover it
        assert (film.n_frames, film.size, film.info["duration"]) == (3, size, 200)
    assert [each.name for each in tmp_path.glob("*.part*")] == []


def test_a_film_over_fields_of_several_shapes_distorts_none(capsys, tmp_path):
    stores.write_collection(tmp_path / "c.zarr", 1, sizes={"t": 1, "z": 1})
    stores.write_image(tmp_path / "c.zarr" / "1", sizes={"t": 1, "z": 1, "y": 60, "x": 20}, p=1)
    stores.write_group(tmp_path / "c.zarr" / "OME", {"series": ["0", "1"]})
    stores.make_old(tmp_path / "c.zarr")
    how = "--axis", "p", "--contrast", "0:1", "-o", tmp_path / "a.gif"
    rendered(capsys, tmp_path / "c.zarr", *how)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.size) == (2, (stores.WIDTH, stores.HEIGHT))
        film.seek(1)
        bright = np.asarray(film.convert("L")) > 40
    columns = np.flatnonzero(bright.any(axis=0))
    assert bright.all(axis=0).any() and len(columns) == round(stores.HEIGHT / 3), "as high, a third as wide"
    assert columns[0] == stores.WIDTH - 1 - columns[-1], "in the middle"


@pytest.mark.parametrize(("width", "height"), [(96, 64), (95, 63)])
def test_an_mp4_has_every_frame_in_its_order_and_colours(tmp_path, width, height):
    av = pytest.importorskip("av")
    frames = []
    for i in range(12):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[8:40, 6 * i : 6 * i + 20] = [(220, 40, 40), (40, 220, 40), (60, 60, 230)][i % 3]
        frames.append(Image.fromarray(pixels))
    path = tmp_path / "film.mp4"
    assert write_movie(str(path), iter(frames), 12.5) == len(frames)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 12.5)
        seen = [each.to_ndarray(format="rgb24").astype(int) for each in film.decode(stream)]
    assert [each.shape for each in seen] == [(64, 96, 3)] * len(frames)  # odd edges are repeated
    wanted = [np.asarray(each).astype(int) for each in frames]
    for i, picture in enumerate(seen):
        differences = [np.abs(picture[:height, :width] - each).mean() for each in wanted]
        assert int(np.argmin(differences)) == i
        assert differences[i] < 4


def test_what_cannot_be_written_leaves_no_file_and_names_the_film(tmp_path):
    frame = Image.new("RGB", (16, 16))
    with pytest.raises(NotWrittenError, match=r"there is no folder .*nowhere"):
        write_movie(str(tmp_path / "nowhere" / "a.gif"), iter([frame]), 5)
    (tmp_path / "a.gif").mkdir()
    with pytest.raises(NotWrittenError, match=r"a\.gif could not be written: there is a folder of this name"):
        write_movie(str(tmp_path / "a.gif"), iter([frame]), 5)
    assert [each.name for each in tmp_path.iterdir()] == ["a.gif"]


def test_a_size_is_the_longest_edge_and_the_scale_bar_goes_with_it(capsys, written, tmp_path):
    rendered(capsys, written, "--size", 20, "--scale-bar", "-o", tmp_path / "a.png")
    assert picture_in(tmp_path / "a.png").shape == (12, 20, 3)


def test_a_tiny_picture_is_enlarged_for_what_is_written_on_it(capsys, written, tmp_path):
    what = "--contrast", "0:90000", "-o", tmp_path / "a.png"
    rendered(capsys, written, *what)
    plain = picture_in(tmp_path / "a.png")
    rendered(capsys, written, "--scale-bar", "--scale-bar-color", "white", *what)
    seen, height = picture_in(tmp_path / "a.png"), stores.HEIGHT // 2
    enlarged = plain.repeat(11, axis=0).repeat(11, axis=1)
    assert seen.shape == enlarged.shape
    np.testing.assert_array_equal(seen[: 11 * height], enlarged[: 11 * height])
    bar = (seen == 255).all(axis=-1).sum(axis=1).max()
    with open_dataset(written) as dataset:
        um_per_px = dataset.info.pixel_size_um / 11
    assert bar * um_per_px == pytest.approx(2, rel=0.02), "2 µm fit into a quarter"


def test_where_the_size_of_pixels_is_unknown_it_is_said_that_there_is_no_scale_bar(capsys, tmp_path):
    for t in range(2):
        Image.new("L", (40, 30), 100).save(tmp_path / f"img_t{t}.png")
    for out, *more in (("a.png",), ("a.png", "--overview"), ("a.gif",), ("a.gif", "--overview")):
        said = [
            rendered(capsys, tmp_path, *more, *bar, "-o", tmp_path.parent / out).err
            for bar in (("--scale-bar",), ("--scale-bar", "--scale-bar-size", "none"), ())
        ]
        assert said == [f"ndviewer-light render: no scale bar: {NO_SCALE}\n", "", ""]


@pytest.mark.parametrize("more", [(), ("--overview",)], ids=["a field", "the overview"])
def test_the_scale_bar_is_of_the_size_and_colour_that_are_wanted(capsys, written, tmp_path, more):
    def picture(*options: str, limits: str = "0:90000") -> np.ndarray:
        out = tmp_path / "a.png"
        how = "--size", "400", "--contrast", limits
        rendered(capsys, written, *more, *how, *options, "-o", out)
        return picture_in(out)

    none, usual = picture("--scale-bar-size", "none"), picture("--scale-bar")
    assert (picture("--scale-bar-size", "small") == usual).all()

    def length(*options: str) -> int:
        """Of the bar: the lowest of what is drawn over the picture."""
        drawn = (picture(*options) != none).any(axis=-1).sum(axis=1)
        return int(drawn[np.flatnonzero(drawn)[-1]])

    white = "--scale-bar-color", "white"
    assert 0 < length("--scale-bar-size", "small", *white) < length("--scale-bar-size", "large", *white)
    black, bright = (
        picture("--scale-bar-color", "black", *size, limits="0:1")
        for size in ((), ("--scale-bar-size", "none"))
    )
    assert (black <= bright).all() and (black < bright).any()


def test_of_planes_that_are_too_large_a_level_is_written_and_said(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("ndviewer_light.rendering.view_picture.MOST_PIXELS", 500)
    path = tmp_path / "i.zarr"
    for level, step in enumerate((1, 2)):
        pixels = stores.plane(0, 0, 0, 0)[::step, ::step]
        stores.create_array(path / str(level), (1, 1, 1, *pixels.shape))[0, 0, 0] = pixels
    attributes = stores.image_attributes(paths=("0", "1"), channels=["DAPI"], squid=False)
    stores.write_group(path, attributes)
    said = rendered(capsys, path, "-o", tmp_path / "a.tif")
    assert said.err == "ndviewer-light render: level 1 of 24 × 40 pixels, which are too many\n"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), stores.plane(0, 0, 0, 0)[::2, ::2])


def test_of_planes_too_large_to_be_read_at_once_an_overview_is_written_and_said(capsys, tmp_path):
    path = tmp_path / "i.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("a", (2, 36_000, 32_400), "u1", chunks=(1, 4096, 4096), fillvalue=7)
        made[1, 4096:8192, 4096:8192] = 201
    for z, brightest in (("1", 201), ("max", 201), ("mean", 104)):
        rendered(capsys, path, "--z", z, "--contrast", "0:255", "--size", 500, "-o", tmp_path / "a.png")
        pixels = picture_in(tmp_path / "a.png")
        assert max(pixels.shape) == 500
        assert pixels.shape[0] / pixels.shape[1] == pytest.approx(100 / 90, rel=0.01)
        assert pixels[0, 0, 0] == 7
        assert pixels[85, 85, 0] == brightest  # at 6,120 of them
    said = rendered(capsys, path, "--z", 1, "-o", tmp_path / "a.tif")
    assert said.err == "ndviewer-light render: an overview of 36,000 × 32,400 pixels, which are too many\n"
    assert tifffile.imread(tmp_path / "a.tif").max() == 201


def test_a_small_picture_of_a_large_plane_takes_little_memory(capsys, tmp_path):
    path = tmp_path / "i.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("a", (9000, 9000), "u1", chunks=(1000, 1000))
        made[3000:6000] = np.linspace(50, 200, 9000)  # brighter from left to right
    tracemalloc.start()
    try:
        rendered(capsys, path, "--contrast", "0:255", "--size", 300, "-o", tmp_path / "a.png")
        assert tracemalloc.get_traced_memory()[1] < 3 * 81_000_000  # in colour
    finally:
        tracemalloc.stop()
    pixels = picture_in(tmp_path / "a.png")
    assert pixels.shape == (300, 300, 3)
    assert not pixels[:98].any()
    np.testing.assert_allclose(pixels[150, :, 0], np.linspace(50, 200, 300), atol=2)


def test_a_large_picture_has_every_row(capsys, tmp_path):
    every = np.random.default_rng(1).integers(0, 255, (2500, 4000), np.uint8)  # more than is added up at once
    tifffile.imwrite(tmp_path / "i.tif", every)
    rendered(capsys, tmp_path / "i.tif", "--contrast", "0:255", "-o", tmp_path / "a.png")
    np.testing.assert_allclose(picture_in(tmp_path / "a.png")[..., 1], every, atol=1)


def test_what_is_not_there_is_hatched_not_black(capsys, written, tmp_path):
    said = rendered(capsys, written, "--t", -1, "-o", tmp_path / "a.png", status=3)
    assert said.err.count("render: ") == 2  # one for each channel
    assert picture_in(tmp_path / "a.png")[0].max(axis=-1).min() > 40


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--t", 7), "there is no time point 7: there are 3"),
        (("--z", "median"), "z must be an index"),
        (("--z", "max:70-79"), "there is no z plane 70: there are "),
        (("--overview", "--z", "max:70-79"), "there is no z plane 70: there are "),
        (("--volume", "max:70-79"), "there is no z plane 70: there are "),
        (("--z=--1",), "z must be an index"),
        (("--position", "B9:0"), "B9:0"),
        (("--position", ""), "no position is named ''"),
        (("--position=--1",), "no position is named '--1'"),
        (("--channels", "Cy5"), "Cy5"),
        (("--contrast", "nan:inf"), "--contrast nan:inf: expected two different, finite numbers"),
        (("--contrast", "GFP=5:5"), "--contrast GFP=5:5: expected two different, finite numbers"),
        (("--contrast", "a:b"), "--contrast a:b: expected two numbers"),
        (("--contrast", "loud"), "--contrast loud: expected run, plane, full or LOW:HIGH"),
    ],
)
def test_what_cannot_be_had_is_a_sentence_and_no_file(capsys, written, tmp_path, arguments, reason):
    said = rendered(capsys, written, *arguments, "-o", tmp_path / "a.png", status=1)
    assert reason in said.err and len(said.err.splitlines()) == 1
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("output", "arguments", "reason"),
    [
        ("a.png", ("--axis", "z"), "--axis: only for films, whose names end with .gif or .mp4"),
        ("a.tif", ("--fps", "5"), "--fps: only for films"),
        ("a.gif", ("--fps", "1e-9"), "--fps: must be from 0.01 to 1000, not 1e-9"),
        ("a.tif", ("--contrast", "0:5"), "--contrast: planes are written as they are"),
        ("a.tif", ("--scale-bar",), "--scale-bar: planes are written as they are"),
        ("a.tif", ("--labels", "cells"), "--labels: planes are written as they are"),
        ("a.png", ("--label-opacity", "0"), "--label-opacity: only with --labels"),
        ("a.png", ("--overview", "--position", "0"), "leave out --position or --overview"),
        ("folder.png", (), "there is a folder of this name"),
    ],
)
def test_options_that_would_change_nothing_are_refused(capsys, written, tmp_path, output, arguments, reason):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit):
        main([str(written), *arguments, "-o", str(tmp_path / output)])
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert not (tmp_path / output).is_file()


def test_the_dataset_is_never_written_to_and_numbers_are_above_0(capsys, written, tmp_path):
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, np.zeros((8, 9), "u2"))
    (tmp_path / "link.tif").symlink_to(image)
    before = image.read_bytes()
    for path, *arguments in (
        (image, "-o", image),
        (image, "-o", tmp_path / "link.tif"),
        (written, "-o", written / "a.png"),
        (written, "--fps", 0, "-o", tmp_path / "a.gif"),
        (written, "--size", -4, "-o", tmp_path / "a.png"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(path), *map(str, arguments)])
        assert ended.value.code == 2
        assert ("within the dataset" if len(arguments) == 2 else "above 0") in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(written), "-o", str(tmp_path / "missing" / "a.png")])
    assert f"there is no folder {tmp_path / 'missing'}" in capsys.readouterr().err
    assert image.read_bytes() == before
    assert not [*written.glob("*.png"), *tmp_path.glob("a.[gp]*")]


def test_the_command_needs_no_display_and_imports_no_qt(written, tmp_path):
    code = (
        "import sys; from ndviewer_light.cli.render import main; "
        f"status = main([{str(written)!r}, '--z', 'max', '-o', {str(tmp_path / 'a.png')!r}]); "
        "assert status == 0 and not any('qt' in name.lower() for name in sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=REPO)
    assert picture_in(tmp_path / "a.png").shape == (stores.HEIGHT, stores.WIDTH, 3)


def test_options_that_a_film_would_ignore_are_refused_and_a_part_that_is_cut_is_said(
    capsys, written, tmp_path
):
    for more in (
        ("--axis", "z", "--z", "max"),
        ("--axis", "z", "--z", "1"),
        ("--axis", "p", "--position", "0"),
    ):
        with pytest.raises(SystemExit):
            main([str(written), *more, "-o", str(tmp_path / "a.gif")])
        assert f"leave out {more[2]} or --axis {more[1]}" in capsys.readouterr().err
    with open_dataset(written) as ds:
        n_z = ds.info.n_z
    for more in ((), ("--overview",)):
        said = rendered(capsys, written, *more, "--z", f"max:{n_z - 1}-79", "-o", tmp_path / "a.png")
        assert f"there are {n_z} planes, so it is max:{n_z - 1}-{n_z - 1}" in said.err
        whole = rendered(capsys, written, *more, "--z", f"max:0-{n_z - 1}", "-o", tmp_path / "b.png")
        assert "planes" not in whole.err


@pytest.mark.parametrize(
    ("z", "said"), [(0, "z 1"), (1, "z 2"), ("max", "max of z 1–2"), ("mean:1-1", "mean of z 2–2")]
)
def test_where_a_picture_is_is_written_as_in_the_window(written, z, said):
    """Of a film over z nothing told which plane it was: only the position was written."""
    with open_dataset(written) as dataset:
        pictures = ViewPictures(dataset, (0,), longest=400)
        at = ShownPlace(1, 0, z)
        plain, _ = pictures.picture(at)
        seen, _ = inscribed(dataset, pictures, at, Inscription(label=True))
        position = [] if dataset.info.is_lone(0) else [dataset.info.positions[0].title]
    add_text(plain, "  ·  ".join((*position, "t 2", said)))
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(plain))


def test_what_is_written_on_a_small_picture_is_not_cut():
    for width in (56, 80, 400):
        picture = Image.new("RGB", (width, width), (200, 0, 0))
        add_text(picture, "A1:0\n00:01:30")
        assert add_scale_bar(picture, 10.0)
        seen = np.asarray(picture)
        for edge in (seen[:, 0], seen[:, -1], seen[0], seen[-1]):  # plates end before the edges
            assert (edge == (200, 0, 0)).all()
        assert (seen != (200, 0, 0)).any(axis=-1).mean() > 0.01
