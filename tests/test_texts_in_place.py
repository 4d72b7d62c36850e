"""Numbers that change beside each other: nothing moves, and names can be told apart."""

from __future__ import annotations

import pytest
from qtpy.QtGui import QColor

from ndviewer_light.gui.look.icon_files import icon
from ndviewer_light.gui.measures.channel_values import ChannelValues
from ndviewer_light.gui.run_status.run_bar import RunBar
from ndviewer_light.gui.run_status.run_progress import RunNews, RunState
from ndviewer_light.gui.run_status.status_line import StatusLine
from ndviewer_light.gui.run_status.status_row import StatusRow
from ndviewer_light.gui.view_texts import Readout

pytestmark = pytest.mark.each_binding


def shown(qtbot, widget, width, height):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


def column_of(widget, color):
    """The first column in which a widget shows this colour; None if it does not."""
    image, wanted = widget.grab().toImage(), QColor(color)
    near = (
        x
        for x in range(image.width())
        for y in range(image.height())
        if max(abs(a - b) for a, b in zip(image.pixelColor(x, y).getRgb(), wanted.getRgb(), strict=True)) < 12
    )
    return next(near, None)


def test_values_under_the_mouse_stay_where_they_are_beside_the_colours_of_their_channels(qtbot):
    line = shown(qtbot, StatusLine(), 700, 24)

    def say(first, second):
        pieces = (("x 1  y 2", ""), (first, "#0000FF"), (second, "#00FF00"), ("stage 1.0, 2.0 µm", ""))
        line.say("pointer", f"x 1  y 2   {first} | {second}   stage 1.0, 2.0 µm", choices=[pieces])
        return column_of(line, "#0000FF"), column_of(line, "#00FF00")

    blue, green = say("DAPI 5", "GFP 7")
    assert 0 < blue < green
    same, further = say("DAPI 55555", "GFP 7")
    assert same == blue and further > green
    assert say("DAPI 5", "GFP 77") == (blue, further)
    line.say("pointer", "")  # the mouse has left, and comes back
    assert say("DAPI 5", "GFP 7") == (blue, green)
    line.resize(blue + 30, 24)
    assert column_of(line, "#00FF00") is None  # cut, and the beginning is there
    assert column_of(line, "#0000FF") == blue
    line.say("pointer", "")
    line.say("message", "Loaded: run")
    assert line.text() == "Loaded: run" and column_of(line, "#0000FF") is None


def test_where_room_is_short_the_same_is_said_shorter_until_the_mouse_leaves(qtbot):
    line = shown(qtbot, StatusLine(), 700, 24)
    names = tuple(f"Fluorescence {nm} nm Ex" for nm in (405, 488, 638))
    colors = ("#0000FF", "#00FF00", "#FF0000")

    def where_of(value):
        """Where the dot of each channel is."""
        readout = Readout("x 1  y 2", tuple((c, value) for c in range(3)), names=names)
        line.say("pointer", str(readout), choices=readout.choices(colors.__getitem__))
        return [column_of(line, color) for color in colors]

    wide = where_of("1")
    line.resize(480, 24)
    short = where_of("12")
    assert short[0] == wide[0] and wide[1] - wide[0] > short[1] - short[0] > 80  # "…405 nm Ex 12"
    line.resize(230, 24)
    shortest = where_of("123")
    assert shortest[2] - shortest[0] < 120  # all values are there, beside their colours
    line.resize(700, 24)
    assert where_of("124") == shortest  # it does not jump
    line.say("pointer", "")
    assert where_of("1") == wide


def test_names_of_channels_beside_their_values_can_be_told_apart(qtbot):
    row = shown(qtbot, ChannelValues(), 900, 24)
    row.show_values([(f"Fluorescence {nm} nm Ex", f"{nm}.5", "#FF0000") for nm in (405, 488, 638)])
    assert [text for text, _ in row.shown()] == [f"Fluorescence {nm} nm Ex {nm}.5" for nm in (405, 488, 638)]
    row.resize(440, 24)
    assert [text for text, _ in row.shown()] == [f"…{nm} nm Ex {nm}.5" for nm in (405, 488, 638)]
    row.resize(350, 24)
    assert [text[:4] for text, _ in row.shown()] == ["…405", "…488", "…638"]
    assert [text[-5:] for text, _ in row.shown()] == ["405.5", "488.5", "638.5"]  # never the values
    row.resize(200, 24)  # no room for a letter of a name
    assert [text for text, _ in row.shown()] == ["405.5", "488.5", "638.5"]
    assert row.accessibleDescription().startswith("Fluorescence 405 nm Ex: 405.5")


def test_nothing_of_a_run_moves_while_its_numbers_grow(qtbot):
    bar = shown(qtbot, RunBar(), 800, 24)

    def places(written, place, rate=212e6, *, is_quiet=False):
        news = RunNews(
            RunState.RECORDING, written, 5760, written * 2_000_000, rate, 900.0, 4.0, place, is_quiet
        )
        bar.show_news(news)
        bar.grab()
        texts, widths, width_of_bar = bar._placed()
        assert len(texts) == 5 and width_of_bar >= 60
        return widths

    before = places(4245, "B11", 97.3e6)
    assert places(4246, "B2") == before  # shorter texts
    assert places(999, "B2", 8.8e6) == before
    assert places(4245, "B11", is_quiet=True) != before  # something else is said
    bar.show_news(None)
    assert bar.needed(shortest=False) == 0


@pytest.mark.parametrize(
    ("state", "written", "said"),
    [
        (RunState.RECORDING, 4245, ["4,245/5,760"]),
        (RunState.STALLED, 4245, ["4,245/5,760"]),
        (RunState.FINISHED, 5500, ["5,500/5,760", "260 missing"]),
    ],
)
def test_a_narrow_window_keeps_the_state_of_a_run_and_its_planes(qtbot, state, written, said):
    """Beside buttons and "Loaded: …" it said "Recording" alone, and "Rec" beside a third button."""
    row = StatusRow()
    row.switch.setText("Following")
    row.switch.setIcon(icon("eye", "#808080"))
    row.line.say("message", "Loaded: 2026-12-01_plate_of_the_run_after_lunch")
    news = RunNews(state, written, 5760, written * 2_000_000, 97.3e6, 900.0, 34.0, "B11")
    row.run.show_news(news)
    row.follow.draw(row.colors)
    for button in (row.switch, row.follow, row.missing):
        button.show()
    shown(qtbot, row, 420, row.height())
    for width in (900, 600, 540, 420):
        row.resize(width, row.height())
        qtbot.waitUntil(lambda width=width: row.follow.parentWidget().geometry().right() == width - 1)
        texts, _ = row.run.shown()
        assert texts[0].startswith(state.value)
        assert [text.removesuffix(" planes") for text in texts[1 : 1 + len(said)]] == said
        assert row.line.width() >= 80 or width < 540
        assert row.run.grab() and row.minimumSizeHint().width() < 420
    assert row.switch.accessibleName() == "Following"
    assert not row.switch.text() or row.switch.icon().isNull()
    row.resize(900, row.height())
    qtbot.waitUntil(lambda: row.switch.text() == "Following")
    assert row.follow.text() == "Follow newest"


def test_what_is_said_again_is_painted_anew(qtbot):
    line = shown(qtbot, StatusLine(), 300, 24)
    line.say("message", "Saved a.png")
    painted = line.grab().toImage()
    line.say("message", "Saved a.png")
    assert line.text() == "Saved a.png"
    assert line.grab().toImage() != painted, "it is gone for a moment"
    qtbot.waitUntil(lambda: line.grab().toImage() == painted, timeout=20_000)


def test_what_a_key_has_done_is_seen_with_the_mouse_over_the_picture(qtbot):
    line = StatusLine()
    qtbot.addWidget(line)
    line.say("message", "Loaded: a")
    line.say("pointer", "x 1  y 2")
    assert line.text() == "x 1  y 2"
    line.say("message", "The picture is in the clipboard")
    line.say("pointer", "x 1  y 3")
    assert line.text() == "The picture is in the clipboard"

    def time_passes() -> None:
        line._fresh.stop()
        line._fresh.timeout.emit()

    time_passes()
    assert line.text() == "x 1  y 3"
    line.say("message", "Saving frame 1 of 9")
    time_passes()
    line.say("message", "Saving frame 2 of 9")
    assert line.text() == "x 1  y 3"
    line.say("message", "Saved a.mp4")
    assert line.text() == "Saved a.mp4"
    time_passes()
    assert line.text() == "x 1  y 3"
    line.say("message", "Saved a.mp4")  # once more
    assert line.text() == "Saved a.mp4"
    line.say("message", "")
    assert line.text() == "x 1  y 3"
