"""``ndviewer-light render --overview``: all positions in one picture, and films of it."""

from __future__ import annotations

import json

import cmap
import numpy as np
import pytest
import stores
import tensorstore as ts
from PIL import Image
from rendered_pictures import picture_in, rendered

from ndviewer_light.cli.render import main
from ndviewer_light.engine.scene import scene_of
from ndviewer_light.opening import open_dataset
from ndviewer_light.rendering.field_statistics import color_table
from ndviewer_light.rendering.scene_overlays import TINT_ALPHA
from ndviewer_light.rendering.scene_picture import render_scene


def test_an_overview_shows_each_field_at_its_place_in_its_colour(tmp_path, capsys):
    plate, out = tmp_path / "p.ome.zarr", tmp_path / "o.png"
    stores.write_plate(
        plate, {"A/1": 1, "A/2": 1, "B/3": 2}, sizes={"t": 1, "c": 2, "z": 1, "y": 32, "x": 32}
    )
    for field, value in (("A/1/0", (100, 0)), ("A/2/0", (0, 100)), ("B/3/0", (50, 50)), ("B/3/1", None)):
        array = tensorstore_of(plate / field)
        if value is None:
            for chunk in stores.chunk_files(plate / field):
                chunk.unlink()
            continue
        for c in range(2):
            array[0, c, 0] = np.full((32, 32), value[c], "u2")
    stores.make_old(plate)
    limits = ["--contrast", "0:100", "--channels", "0,1", "--size", "400"]
    said = rendered(capsys, plate, "--overview", "-o", out, *limits, status=3)
    assert "B3:1" in said.err
    picture = picture_in(out)
    with open_dataset(plate) as ds:
        colors = [tuple(int(c.color[i : i + 2], 16) for i in (1, 3, 5)) for c in ds.info.channels]
        scene = scene_of(ds.info)
    viewport = scene.fitting(picture.shape[1], picture.shape[0], 24)
    viewport = viewport._replace(um_per_px=max(viewport.um_per_px, (scene.bounds[2] - scene.bounds[0]) / 352))

    def at(p):
        left, top, right, bottom = scene.edges[p]
        x, y = viewport.to_screen((left + right) / 2, (top + bottom) / 2)
        return picture[round(y), round(x)]

    assert abs(at(0) - colors[0]).max() <= 1 and abs(at(1) - colors[1]).max() <= 1
    half = np.minimum(np.add(*np.array(colors)) / 2, 255)
    assert abs(at(2) - half).max() <= 1
    assert abs(at(3) - (58, 58, 60)).max() <= 1  # nothing is stored: not black
    assert tuple(picture[2, 2]) == (16, 17, 20)  # beside the plate


def test_an_overview_has_the_channels_of_all_fields(tmp_path, capsys):
    plate, out = tmp_path / "p.ome.zarr", tmp_path / "o.png"
    stores.write_plate(plate, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 1, "y": 32, "x": 32})
    for field, (name, color) in {"A/1/0": ("DAPI", "0000FF"), "A/2/0": ("GFP", "00FF00")}.items():
        tensorstore_of(plate / field)[...] = np.full((1, 1, 1, 32, 32), 100, "u2")
        metadata = json.loads((plate / field / "zarr.json").read_text())
        metadata["attributes"]["ome"]["omero"] = {
            "channels": [{"label": name, "color": color, "active": True}]
        }
        (plate / field / "zarr.json").write_text(json.dumps(metadata))
    rendered(capsys, plate, "--overview", "-o", out, "--contrast", "0:100", "--size", "200")
    colors = {tuple(each) for each in picture_in(out).reshape(-1, 3).tolist()}
    assert {(0, 0, 255), (0, 255, 0)} <= colors


def test_an_overview_is_a_picture_of_what_can_be_placed(tmp_path, capsys):
    path, out = tmp_path / "i.zarr", tmp_path / "o.png"
    stores.write_image(path, sizes={"t": 1, "c": 1, "z": 1})
    with pytest.raises(SystemExit):
        main([str(path), "--overview", "-o", str(tmp_path / "o.tif")])
    with pytest.raises(SystemExit):
        main([str(path), "--scheduler", "tcp://127.0.0.1:9", "-o", str(out)])
    rendered(capsys, path, "--overview", "--scale-bar", "-o", out, "--size", "200", "--contrast", "0:100")
    assert picture_in(out).shape == (120, 200, 3)


def test_an_overview_of_projections_says_of_which_planes_there_are_none(tmp_path, capsys):
    plate, out = tmp_path / "p.ome.zarr", tmp_path / "o.png"
    stores.write_plate(plate, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 4, "y": 32, "x": 32})
    for field in ("A/1/0", "A/2/0"):
        for z, value in enumerate((10, 90, 50, 70)):
            tensorstore_of(plate / field)[0, 0, z] = np.full((32, 32), value, "u2")
    (chunk,) = [each for each in stores.chunk_files(plate / "A/2/0") if "c/0/0/1/0/0" in str(each)]
    chunk.write_bytes(b"\x02\x01\x21\x02" + b"\xff" * 60)
    stores.make_old(plate)
    more = ["--contrast", "0:100", "--size", "248"]
    said = rendered(capsys, plate, "--overview", "-o", out, "--z", "max:1-2", *more, status=3)
    assert "A2:0: not all planes of the stack" in said.err and "A1" not in said.err
    with open_dataset(plate) as ds:
        color = np.array([int(ds.info.channels[0].color[i : i + 2], 16) for i in (1, 3, 5)])
    picture = picture_in(out)
    for x, value in ((0.25, 90), (0.75, 50)):
        found = picture[picture.shape[0] // 2, round(24 + x * 200)]
        assert abs(found - color * value / 100).max() <= 1, (x, found)


def test_a_film_of_the_overview_has_a_frame_for_each_time_point(tmp_path, capsys):
    plate, out = tmp_path / "p.ome.zarr", tmp_path / "o.gif"
    stores.write_plate(plate, {"A/1": 1, "A/2": 1}, sizes={"t": 3, "c": 1, "z": 1, "y": 32, "x": 32})
    for i, field in enumerate(("A/1/0", "A/2/0")):
        for t in range(3):
            tensorstore_of(plate / field)[t, 0, 0] = np.full((32, 32), 10 + 20 * t + 40 * i, "u2")
    stores.make_old(plate)
    rendered(capsys, plate, "--overview", "-o", out, "--contrast", "0:100", "--size", "248", "--fps", "5")
    with open_dataset(plate) as ds:
        color = np.array([int(ds.info.channels[0].color[i : i + 2], 16) for i in (1, 3, 5)])
    with Image.open(out) as film:
        assert film.n_frames == 3
        for t in range(3):
            film.seek(t)
            frame = np.asarray(film.convert("RGB")).astype(int)
            for i, x in enumerate((0.25, 0.75)):
                found = frame[frame.shape[0] // 2, round(24 + x * 200)]
                assert abs(found - color * (10 + 20 * t + 40 * i) / 100).max() <= 12, (t, i)  # 256 colours
    with pytest.raises(SystemExit):
        main([str(plate), "--overview", "--axis", "z", "-o", str(out)])
    pictures = []
    for more in ((), ("--timestamp", "--scale-bar")):
        what = "--overview", "--contrast", "0:100", "--size", "248", *more, "-o", tmp_path / "o.png"
        rendered(capsys, plate, *what)
        pictures.append(picture_in(tmp_path / "o.png"))
    fields, below = pictures[0][:-24], pictures[1][len(pictures[0]) - 24 :]
    assert (pictures[1][: len(fields)] == fields).all(), "what is written covers no field"
    assert all((half != below[0, 0]).any() for half in np.array_split(below, 2, axis=1)), "time and scale bar"


NUMBERED = (("A/1/0", 100), ("A/2/0", 300), ("B/1/0", 200), ("B/2/0", None))


@pytest.fixture
def numbered(tmp_path):
    """A plate of four fields: each channel and time point has one value, of the last nothing is stored."""
    plate = tmp_path / "p.ome.zarr"
    wells = {"A/1": 1, "A/2": 1, "B/1": 1, "B/2": 1}
    stores.write_plate(plate, wells, sizes={"t": 2, "c": 2, "z": 2, "y": 32, "x": 32})
    for field, value in NUMBERED:
        for t, c, z in np.ndindex(2, 2, 2) if value else ():
            tensorstore_of(plate / field)[t, c, z] = np.full((32, 32), value + 400 * t + 50 * c + z, "u2")
        for chunk in stores.chunk_files(plate / field) if value is None else ():
            chunk.unlink()
    stores.make_old(plate)
    return plate


def tinted(share):
    """A field that is black, under the colour of a number."""
    return np.array(color_table()[round(share * 255)]) * TINT_ALPHA / 255


def assert_tinted(picture, shares, by=1.5):
    """The middles of fields have these colours; the margins are 24 pixels wide, there is a gap of 8 %."""
    for (name, _), share in zip(NUMBERED, shares, strict=True):
        x, y = (24 + 352 * at for at in (0.25 + 0.5 * (int(name[2]) - 1), 0.25 + 0.5 * "AB".index(name[0])))
        found = picture[round(y), round(x)]
        wanted = np.array((58, 58, 60)) * 105 / 255 + 8 if share is None else tinted(share)
        assert abs(found - wanted).max() <= (12 if share is None else by), (name, found, wanted)


@pytest.mark.parametrize(
    ("number", "more"),
    [
        ("mean", ()),
        ("Median", ("--t", 1)),
        ("1=p99_9", ("--z", 1)),
        ("lowest", ("--z", "max:1-1")),
    ],
)
def test_fields_of_an_overview_have_the_colours_of_their_numbers(
    numbered, tmp_path, capsys, monkeypatch, number, more
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "o.png"
    wanted = ("--contrast", "60000:65000", "--size", "400", "-o", out, "--statistic", number)
    said = rendered(capsys, numbered, "--overview", *wanted, *more, status=3)
    assert "B2:0" in said.err  # nothing is stored of it
    assert ("not of the projection" in said.err) == ("max:1-1" in more)
    assert_tinted(picture_in(out), (0.0, 1.0, 0.5, None))


def test_a_film_of_numbers_has_one_scale_and_the_legend_covers_no_field(
    numbered, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "o.gif"
    wanted = ("--contrast", "60000:65000", "--size", "400", "-o", out, "--statistic", "mean")
    rendered(capsys, numbered, "--overview", *wanted, status=3)
    with Image.open(out) as film:
        for t, shares in enumerate(((0.0, 2 / 6, 1 / 6, None), (4 / 6, 1.0, 5 / 6, None))):
            film.seek(t)
            frame = np.asarray(film.convert("RGB")).astype(int)
            assert_tinted(frame, shares, by=14)  # 256 colours
            below = frame[24 + 352 + 2 :]
            for color in (color_table()[0], color_table()[-1]):  # the ends of the legend
                assert abs(below - color).max(axis=2).min() <= 14
    with open_dataset(numbered) as ds:  # they were kept
        assert ds.recall_statistics() == 6


def test_what_is_no_statistic_is_said_with_what_there_is(numbered, tmp_path, capsys):
    out = tmp_path / "o.png"
    said = rendered(capsys, numbered, "--overview", "-o", out, "--statistic", "beauty", status=1)
    assert "there is no statistic 'beauty'" in said.err and "p99_9" in said.err and not out.exists()
    said = rendered(capsys, numbered, "--overview", "-o", out, "--statistic", "X=mean", status=1)
    assert "X" in said.err and not out.exists()
    with pytest.raises(SystemExit):
        main([str(numbered), "--statistic", "mean", "-o", str(out)])


def test_a_part_of_the_overview_is_drawn_as_large(tmp_path):
    plate = tmp_path / "p.ome.zarr"
    stores.write_plate(plate, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 1, "y": 32, "x": 32})
    pixels = np.arange(32 * 32, dtype="u2").reshape(32, 32)
    tensorstore_of(plate / "A/2/0")[0, 0, 0] = pixels
    stores.make_old(plate)
    with open_dataset(plate) as ds:
        left, top, _, _ = scene_of(ds.info).edges[1].tolist()
        area = left + 8 * 0.325, top + 4 * 0.325, left + 24 * 0.325, top + 12 * 0.325
        gray = cmap.Colormap(["#000000", "#FFFFFF"])
        found = render_scene(ds, [0], lambda c: (gray, (0, 1023)), size=64, area=area)
        plain, named = (
            np.asarray(render_scene(ds, [0], lambda c: (gray, (0, 1023)), area=scene, labels=names).picture)
            for scene in [scene_of(ds.info).bounds]
            for names in (None, True)
        )
    rows, columns = np.nonzero((plain != named).any(axis=-1))
    assert rows[columns > 24].max() < 40, "names of columns and wells, at their upper edges"
    assert (columns[rows > 40] <= 24).all(), "those of rows along the left"
    assert {at // (plain.shape[1] // 2) for at in columns} == {0, 1}, "of both wells"
    shown = np.asarray(found.picture)
    assert shown.shape == (32, 64, 3) and found.um_per_px == pytest.approx(0.325 / 4)
    assert abs(shown[2::4, 2::4, 0] - pixels[4:12, 8:24] / 1023 * 255).max() <= 1


def tensorstore_of(image):
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{image}/0/"}}).result()
