"""Volumes and channels side by side as pictures and films: by the command, and as a person asks for them."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, drag, framebuffer, settle

from ndviewer_light.cli.render import main
from ndviewer_light.gui.run_status.status_line import StatusLine
from ndviewer_light.rendering.volume_rays import Volume, VolumeSight

N_T, N_Z = 3, 6


def write_stacks(path, *, without=()):
    """Two channels of stacks in which one voxel is bright: where follows from time and channel."""
    array = stores.create_array(path / "0", (N_T, 2, N_Z, stores.HEIGHT, stores.WIDTH))
    for t in range(N_T):
        for c in range(2):
            for z in range(N_Z):
                if (t, c, z) not in without:
                    array[t, c, z] = bright_plane(t, c, z)
    stores.write_group(path, stores.image_attributes(channels=["DAPI", "GFP"], squid=False))
    stores.make_old(path)
    return path


def bright_plane(t, c, z):
    plane = np.full((stores.HEIGHT, stores.WIDTH), 10 + 8 * z, np.uint16)  # GIFs leave out equal frames
    if z == 1 + t:
        plane[4:8, 6 + 10 * t + 5 * c : 10 + 10 * t + 5 * c] = 1000
    return plane


def rendered(capsys, *arguments, status=0):
    assert main([str(each) for each in arguments]) == status
    return capsys.readouterr()


def frames_in(path):
    with Image.open(path) as film:
        found = []
        for i in range(film.n_frames):
            film.seek(i)
            found.append(np.asarray(film.convert("RGB")).astype(int))
    return found


def middle(picture, least=120):
    """Where it is bright (x, y), in shares of the picture."""
    rows, columns = np.nonzero(picture.max(axis=-1) > least)
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


# ---- the arithmetic ------------------------------------------------------------------------------------


def test_from_the_front_a_volume_is_its_maximum_along_z():
    voxels = np.random.default_rng(0).integers(0, 60_000, (5, 20, 31)).astype(np.uint16)
    seen = Volume(voxels, (2.0, 0.5, 0.5)).seen(VolumeSight(), 31, 20, 0.5, "max", (0, 60_000))
    np.testing.assert_array_equal(seen.values, voxels.max(axis=0))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("method", ["max", "attenuated", "surface"])
def test_a_voxel_is_seen_where_geometry_says_however_it_is_turned(dtype, method):
    spans, at = (1.7, 0.5, 0.6), (4, 30, 11)
    voxels = np.zeros((21, 41, 51), dtype)
    voxels[tuple(slice(i, i + 2) for i in at)] = 100
    place = np.array(
        [(i + 0.5 - (n - 1) / 2) * span for i, n, span in zip(at, voxels.shape, spans, strict=True)]
    )
    volume = Volume(voxels, spans)
    for tilt in (0, 20, -50, 80):
        for turn in range(0, 360, 37):
            sight = VolumeSight().tilted(tilt).turned(turn)
            values = volume.seen(sight, 400, 400, 0.1, method, (0, 100)).values
            rows, columns = np.nonzero(np.nan_to_num(values) > 0.5 * np.nanmax(values))
            expected = np.array([sight.right, sight.down]) @ place[::-1] / 0.1 + 200
            assert np.abs(np.array([columns.mean(), rows.mean()]) + 0.5 - expected).max() < 9, (tilt, turn)


@pytest.mark.parametrize("tilt", [0, 30, -90, 135, 180])
@pytest.mark.parametrize("turn", [0, -20, 90, 100, 180, -90])
@pytest.mark.parametrize("roll", [0, 45, -170])
def test_from_where_a_volume_is_seen_is_said_as_text(tilt, turn, roll):
    sight = VolumeSight(off_middle=(3.5, -7.25), width=60.0, height=40.0)
    sight = sight.tilted(tilt).turned(turn).rolled(roll)
    again = VolumeSight.of_text(str(sight))
    for what, was in zip(again, sight, strict=True):
        assert what == pytest.approx(was, abs=1e-6)
    if -90 < turn < 90 and abs(tilt) < 180:
        assert sight.angles == pytest.approx((tilt, turn, roll))


def test_what_lies_in_front_hides_a_surface_and_darkens_what_is_behind():
    voxels = np.zeros((20, 30, 30), np.uint16)
    voxels[4:6, 5:25, 5:25] = 500
    voxels[12:14, 5:25, 5:25] = 1000
    volume = Volume(voxels, (1.0, 1.0, 1.0))

    def at_middle(sight, method):
        return volume.seen(sight, 30, 30, 1.0, method, (0, 1000)).values[15, 15]

    front, back = VolumeSight(), VolumeSight().turned(180)
    assert at_middle(front, "max") == at_middle(back, "max") == 1000
    assert at_middle(front, "surface") in (500, 1000) and at_middle(back, "surface") == 1000
    assert at_middle(front, "attenuated") < at_middle(back, "attenuated")


def test_a_turned_volume_stays_within_its_picture():
    size = (12.0, 30.0, 7.0)
    for tilt in (0, 35):
        sight = VolumeSight().tilted(tilt)
        width, height = sight.edges(size, turns=True)
        for turn in range(0, 360, 15):
            across, along = sight.turned(turn).edges(size)
            assert across <= width * (1 + 1e-9) and along == pytest.approx(height)


# ---- the command ---------------------------------------------------------------------------------------


def test_a_film_of_volumes_over_time_has_what_is_written_of_them(capsys, tmp_path):
    path = write_stacks(tmp_path / "x.zarr", without={(2, c, z) for c in range(2) for z in range(N_Z)})
    film = tmp_path / "a.gif"
    what = ("--volume", "max", "--channels", "DAPI", "--contrast", "0:1000", "--size", 200, "-o", film)
    said = rendered(capsys, path, *what, status=3)
    assert "render: " in said.err, "it says what is missing"
    found = frames_in(film)
    assert len(found) == N_T and max(found[0].shape) == 200
    assert middle(found[0])[0] < middle(found[1])[0]
    assert np.median(found[2], axis=(0, 1)).min() > 40, "hatched, not black"


def test_a_volume_turns_once_about_the_vertical(capsys, tmp_path):
    path = write_stacks(tmp_path / "x.zarr")
    film = tmp_path / "a.gif"
    what = ("--axis", "turn", "--frames", 8, "--channels", "DAPI", "--contrast", "0:1000", "--size", 240)
    rendered(capsys, path, "--volume", "max", *what, "-o", film)
    places = [middle(frame, 180) for frame in frames_in(film)]
    assert len(places) == 8
    offs = [x - 0.5 for x, _ in places]
    assert offs[0] < -0.1 and offs[4] == pytest.approx(-offs[0], abs=0.03), "half a turn: the other side"
    assert np.ptp([y for _, y in places]) < 0.03, "the axis is vertical"
    picture = tmp_path / "a.png"
    rendered(capsys, path, "--volume", "max", "--turn", 180, *what[4:], "-o", picture)
    with Image.open(picture) as still:
        assert middle(np.asarray(still).astype(int), 180)[0] > 0.6


def test_channels_stand_side_by_side_and_at_last_all_together(capsys, tmp_path):
    path = write_stacks(tmp_path / "x.zarr")
    picture = tmp_path / "a.png"
    what = ("--z", "max", "--contrast", "0:1000", "--side-by-side", "gray", "-o", picture)
    rendered(capsys, path, *what)
    with Image.open(picture) as found:
        pixels = np.asarray(found).astype(int)
    height, width = 11 * stores.HEIGHT, 11 * stores.WIDTH  # room for the names
    assert pixels.shape == (2 * height + 4, 2 * width + 4, 3)
    whole = [pixels[:height, :width], pixels[:height, width + 4 :], pixels[height + 4 :, :width]]
    panes = [pane[::11, ::11] for pane in whole]
    for pane, column in zip(panes[:2], (6, 11), strict=True):
        assert (pane[4:7, column : column + 4] == 255).all(), "white"
    assert panes[2][5, 7].max() > 200 and panes[2][5, 12].max() > 200
    assert np.ptp(panes[2][5, 13]) > 100, "together in their colours"


def test_the_scale_bar_of_channels_side_by_side_is_in_the_last_pane_not_in_an_empty_place(capsys, tmp_path):
    path = write_stacks(tmp_path / "x.zarr")
    found = []
    for name, bar in (("a", ()), ("b", ("--scale-bar",))):
        picture = tmp_path / f"{name}.png"
        rendered(capsys, path, "--contrast", "0:1000", "--side-by-side", "colours", *bar, "-o", picture)
        with Image.open(picture) as each:
            found.append(np.asarray(each).astype(int))
    rows, columns = np.nonzero((found[0] != found[1]).any(axis=-1))
    height, width = 11 * stores.HEIGHT, 11 * stores.WIDTH
    assert rows.min() >= height + 4 and columns.max() < width, "two panes above, one and nothing below"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--turn", "10"), "only for --volume"),
        (("--axis", "turn"), "only for --volume"),
        (("--volume", "max", "--z", "3"), "--volume says which planes"),
        (("--volume", "max", "--frames", "3"), "only for --axis turn"),
        (("--volume", "max", "--overview"), "not for --overview"),
    ],
)
def test_options_of_volumes_that_mean_nothing_together_are_refused(capsys, tmp_path, options, why):
    path = write_stacks(tmp_path / "x.zarr")
    with pytest.raises(SystemExit):
        main([str(path), *options, "-o", str(tmp_path / "a.gif")])
    assert why in capsys.readouterr().err
    assert not (tmp_path / "a.gif").exists()


def test_an_unknown_way_to_draw_a_volume_is_a_sentence(capsys, tmp_path):
    path = write_stacks(tmp_path / "x.zarr")
    said = rendered(capsys, path, "--volume", "fog", "-o", tmp_path / "a.png", status=1)
    assert "expected one of max, attenuated, surface" in said.err


# ---- the window ----------------------------------------------------------------------------------------


def ask(qtbot, viewer, over):
    """Ask for a film by its key, and say over what."""
    films = viewer._screen.tools.films
    viewer.actions_by_name["film"]()
    dialog = films.dialog
    qtbot.waitUntil(dialog.isVisible, timeout=20_000)
    dialog.axis.setCurrentIndex(dialog.axis.findText(over, Qt.MatchFlag.MatchStartsWith))
    for box in (dialog.scale_bar, dialog.time, dialog.label):
        box.setChecked(False)
    return films, dialog


def box_colors(picture):
    """The colours where the box to tick of a row is."""
    ratio = picture.devicePixelRatio()
    side = range(round(20 * ratio))
    return [picture.pixelColor(x, y) for x in side for y in range(picture.height())]


def save(qtbot, films, dialog, folder, name):
    QTest.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    files = films.file_dialog
    qtbot.waitUntil(files.isVisible, timeout=20_000)
    files.setDirectory(str(folder))
    files.selectFile(name)
    with qtbot.waitSignal(films.ended, timeout=60_000):
        files.accept()
    said = films.parent().window().findChild(StatusLine).said("message")
    assert said.startswith(f"Saved {name}"), said
    return frames_in(folder / name)


@pytest.fixture
def volume(qtbot, viewer, tmp_path):
    """A viewer that shows stacks as volumes."""
    load(qtbot, viewer, write_stacks(tmp_path / "x.zarr"))
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 1000)
    QTest.mouseClick(viewer.stage.strips._volume, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    return viewer


@pytest.mark.gl
def test_a_film_of_a_volume_turns_it_as_it_is_seen(qtbot, volume, tmp_path):
    films, dialog = ask(qtbot, volume, "One turn (90 frames)")
    dialog.channels.item(1).setCheckState(Qt.CheckState.Unchecked)
    found = save(qtbot, films, dialog, tmp_path, "turn.gif")
    assert len(found) == 90
    assert volume.status_label.said("message").startswith("Saved turn.gif, 90 frames")
    offs = [middle(frame, 180)[0] - 0.5 for frame in (found[0], found[45])]
    assert offs[0] < -0.1 and offs[1] > 0.1
    dialog.close()


@pytest.mark.gl
@pytest.mark.each_binding
def test_a_film_of_volumes_over_time_is_seen_from_where_the_window_sees_it(qtbot, volume, tmp_path):
    films, dialog = ask(qtbot, volume, "Time (3 frames)")
    assert dialog.part.isHidden()
    plain = save(qtbot, films, dialog, tmp_path, "plain.gif")
    surface = volume.stage.canvas.surface
    middle_of = surface.rect().center()
    drag(surface, middle_of, middle_of + QPoint(60, 0), middle_of + QPoint(160, 0), pause_ms=15)
    films, dialog = ask(qtbot, volume, "Time (3 frames)")
    assert not dialog.part.isHidden(), "the volume was moved: its part in the window may be wanted"
    turned = save(qtbot, films, dialog, tmp_path, "turned.gif")
    assert len(plain) == len(turned) == 3
    assert plain[0].shape != turned[0].shape or np.abs(plain[0] - turned[0]).max() > 60
    films, dialog = ask(qtbot, volume, "Time (3 frames)")
    dialog.part.setChecked(True)
    seen = save(qtbot, films, dialog, tmp_path, "seen.gif")
    assert seen[0].shape[1] / seen[0].shape[0] == pytest.approx(surface.width() / surface.height(), rel=0.02)
    on_screen = middle(framebuffer(volume).astype(int), 200)
    assert middle(seen[0], 200) == pytest.approx(on_screen, abs=0.02), "as it is drawn there, but for the box"
    assert on_screen != pytest.approx(middle(plain[0], 200), abs=0.05), "it is turned"


@pytest.mark.gl
@pytest.mark.each_binding
def test_a_film_is_of_the_channels_that_are_chosen_side_by_side_if_they_are_seen_so(qtbot, viewer, tmp_path):
    load(qtbot, viewer, write_stacks(tmp_path / "x.zarr"))
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 1000)
    QTest.mouseClick(viewer.stage.strips.strip(1).on, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    films, dialog = ask(qtbot, viewer, "z (6 frames)")
    shown = [dialog.channels.item(c).checkState() == Qt.CheckState.Checked for c in range(2)]
    assert shown == [True, False], "as shown"
    dialog.channels.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.save_button.isEnabled(), "a film of nothing"
    dialog.channels.item(1).setCheckState(Qt.CheckState.Checked)
    assert not dialog.side_by_side.isEnabled()
    rows = [dialog.channels.visualItemRect(dialog.channels.item(c)) for c in range(2)]
    assert dialog.channels.viewport().height() == sum(row.height() for row in rows), "no empty strip below"
    ticked, empty = (dialog.channels.viewport().grab(row).toImage() for row in reversed(rows))
    accent = [max(box_colors(each), key=lambda color: color.saturation()).name() for each in (ticked, empty)]
    assert accent[0] != accent[1], "what is ticked is told by its colour, as of other boxes"
    assert max(color.lightness() for color in box_colors(empty)) > 100, "an empty box has an edge"
    one = save(qtbot, films, dialog, tmp_path, "one.gif")
    at = one[1].shape[0] / stores.HEIGHT
    row = round(6 * at)
    assert one[1][row, round(13 * at)].max() > 200 and one[1][row, round(8 * at)].max() < 60
    QTest.mouseClick(viewer.stage.strips.strip(1).on, Qt.MouseButton.LeftButton)
    viewer.actions_by_name["split"]()
    split = viewer._screen.tools.split
    qtbot.waitUntil(lambda: split.is_shown and split.panes.is_fitting, timeout=20_000)
    films, dialog = ask(qtbot, viewer, "z (6 frames)")
    assert dialog.side_by_side.isChecked(), "as shown"
    both = save(qtbot, films, dialog, tmp_path, "both.gif")
    assert len(both) == 6
    assert both[0].shape[1] / both[0].shape[0] == pytest.approx(stores.WIDTH / stores.HEIGHT, rel=0.05)
    quarter = both[1][: both[1].shape[0] // 2, both[1].shape[1] // 2 :]
    assert middle(quarter, 160)[0] == pytest.approx(13 / stores.WIDTH, abs=0.08), "the second channel alone"


@pytest.mark.gl
@pytest.mark.each_binding
def test_a_volume_is_turned_by_a_drag_of_which_one_move_is_heard(qtbot, volume):
    canvas = volume.stage.canvas
    surface, before = canvas.surface, canvas.volume_sight(of_part=True)
    middle_of = surface.rect().center()
    drag(surface, middle_of, middle_of + QPoint(90, 0), pause_ms=30)
    after = canvas.volume_sight(of_part=True)
    assert np.abs(np.subtract(after.into, before.into)).max() > 0.2
