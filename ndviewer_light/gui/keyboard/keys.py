"""The keys of the viewer: the one table that binds them, makes the sheet, and is repeated in the docs."""

from __future__ import annotations

from typing import Literal, NamedTuple

Place = Literal["viewer", "picture", "beside", "window"]
"""Where a key works: with the focus anywhere in the viewer, only in the picture, in it and beside it where
what has the focus does not take the key itself (Space presses a button), or in our own window."""


class Key(NamedTuple):
    """What some keys, or the mouse, do. `keys` are as Qt names them; several do the same."""

    action: str
    keys: tuple[str, ...]
    does: str
    place: Place = "viewer"

    @property
    def named(self) -> str:
        """The keys as they are written for people: "Shift R", "← →", "Alt ← →", "+ or ="."""
        held = {key.rpartition("+")[0] for key in self.keys}
        if len(self.keys) > 1 and all(key.isdecimal() for key in self.keys):
            return f"{self.keys[0]} … {self.keys[-1]}"
        if len(held) > 1 or "" in held:
            return " or ".join(_named(key) for key in self.keys)
        ends = (_named(key.rpartition("+")[2]) for key in self.keys)
        return " ".join((_named(held.pop()), *ends))  # what is held is said once


_SYMBOLS = {"Left": "←", "Right": "→", "Up": "↑", "Down": "↓", "PgUp": "Page Up", "PgDown": "Page Down"}


def _named(key: str) -> str:
    if key in ("+", "-"):
        return key
    return " ".join(_SYMBOLS.get(part, part) for part in key.split("+"))


KEY_GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    (
        "Picture",
        (
            Key("fit", ("R",), "fit the picture to the window"),
            Key("one_to_one", ("Shift+R",), "show one pixel of the data on one pixel of the screen"),
            Key("zoom_in", ("+", "="), "zoom in"),
            Key("zoom_out", ("-",), "zoom out"),
            Key(
                "pan",
                ("Alt+Left", "Alt+Right", "Alt+Up", "Alt+Down"),
                "pan the picture, or turn a volume",
                "picture",
            ),
            Key("saturated", ("Shift+S",), "mark saturated pixels, or stop marking them"),
            Key("written", ("T",), "what is written on the picture, in a menu: position, time, scale bar"),
            Key("scale_bar", ("Shift+B",), "a larger scale bar; then none; then as before"),
            Key("position_label", ("Shift+P",), "show or hide the position over the picture"),
            Key("time_stamp", ("Shift+T",), "show or hide the time over the picture"),
        ),
    ),
    (
        "Go to",
        (
            Key("previous_time", ("Left",), "previous time point", "picture"),
            Key("next_time", ("Right",), "next time point", "picture"),
            Key("next_z", ("Up",), "next z plane", "picture"),
            Key("previous_z", ("Down",), "previous z plane", "picture"),
            Key("previous_field", ("[",), "previous field of view"),
            Key("next_field", ("]",), "next field of view"),
            Key("previous_well", ("{",), "previous well"),
            Key("next_well", ("}",), "next well"),
            Key(
                "play", ("Space",), "play over time, or the axis that was played last; again: stop", "beside"
            ),
            Key(
                "go_to",
                ("Ctrl+G", "/"),
                "go to what is typed: D7:4, t12, z5, c3, or several of these; or a link to a view",
            ),
        ),
    ),
    (
        "Channels",
        (
            Key("solo_channel", tuple("123456789"), "show that channel alone; again: those shown before"),
            Key("previous_channel", (",",), "show the previous channel alone"),
            Key("next_channel", (".",), "show the next channel alone"),
            Key("gray", ("G",), "show a channel that is alone in gray, or in its colour again"),
            Key("split", ("C",), "show each channel in a pane of its own, or all together again"),
            Key(
                "split_gray", ("Shift+C",), "side by side: show single channels in gray, or in their colours"
            ),
        ),
    ),
    (
        "Views",
        (
            Key("overview", ("W",), "show all fields at their places, or the one in view again"),
            Key("orthogonal", ("V",), "show or hide sections along z (XZ, YZ) beside the picture"),
            Key(
                "projection",
                ("Z",),
                "project the stack along z (at first the maximum), or show one plane again",
            ),
            Key("volume", ("Shift+V",), "show the stack as a volume (3D), or one plane again"),
            Key("labels", ("O",), "show or hide labels (masks) over the picture"),
            Key("statistics", ("Q",), "plane statistics (brightness, focus …): on the maps, and in a plot"),
        ),
    ),
    (
        "Measures",
        (
            Key("measures", ("M",), "menu of what can be measured"),
            Key(
                "measure_line",
                ("I",),
                "draw a line, and plot the intensity along it; again: in the middle of the picture",
            ),
            Key("measure_distance", ("D",), "draw a line, and say how long it is"),
            Key("measure_box", ("B",), "draw a rectangle, and plot its mean intensity over time or z"),
            Key("measure_point", ("X",), "mark a point, and plot its intensity over time or z"),
            Key("measure_next", ("Shift+M",), "select the next shape"),
            Key(
                "measure_move",
                ("Ctrl+Left", "Ctrl+Right", "Ctrl+Up", "Ctrl+Down"),
                "move the selected shape",
                "picture",
            ),
            Key(
                "measure_resize",
                ("Ctrl+Shift+Left", "Ctrl+Shift+Right", "Ctrl+Shift+Up", "Ctrl+Shift+Down"),
                "move an end, or a corner, of the selected shape",
                "picture",
            ),
            Key("measure_remove", ("Del", "Backspace"), "remove the selected shape", "picture"),
        ),
    ),
    (
        "Save and send",
        (
            Key("save", ("Ctrl+S",), "save the picture as seen, or its planes as TIFF", "beside"),
            Key("copy", ("Ctrl+C",), "copy the picture as seen", "beside"),
            Key(
                "film",
                ("Ctrl+Shift+M",),
                "save a film over time, z, fields, or a turn of a volume",
                "beside",
            ),
            Key("copy_link", ("Ctrl+Shift+C",), "copy a link to this view", "beside"),
        ),
    ),
    (
        "Run",
        (
            Key("follow", ("F",), "follow the newest time point and position of a run again"),
            Key("next_missing", ("N",), "go to the next plane of which nothing is stored"),
            Key(
                "next_unreadable",
                ("Shift+N",),
                "go to the next plane that cannot be read; looks for it by reading",
            ),
            Key("warnings", ("Shift+W",), "list the warnings; Enter shows what the selected one is about"),
            Key("latency", ("L",), "show or hide the latency of frames, from the disk to the screen"),
        ),
    ),
    (
        "Window",
        (
            Key("open", ("Ctrl+O",), "open a folder, a file or an address", "window"),
            Key(
                "link",
                ("Shift+L",),
                "link this window: it moves together with other linked ones; again: unlink it",
                "window",
            ),
            Key("panels", ("P",), "show or hide the panels on the left"),
            Key(
                "cancel",
                ("Esc",),
                "cancel opening, a search, a film, or drawing a shape; back to the overview or the picture",
            ),
            Key("keys", ("?", "F1"), "show these keys"),
        ),
    ),
)
"""Every key that is bound, below what it is about, in the order of the sheet."""

KEYS = tuple(key for _, keys in KEY_GROUPS for key in keys)

MOUSE: tuple[tuple[str, str], ...] = (
    ("wheel", "zoom, at the mouse"),
    ("Ctrl and wheel", "next or previous z plane; with Shift, or without a stack, time point"),
    ("drag", "move the picture; in 3D turn it"),
    ("Shift and drag", "zoom to a rectangle"),
    ("drag with the right button", "zoom"),
    ("click, or drag a line of the cross-hair", "beside sections: move the cross-hair; in a section also z"),
    ("drag a shape, or one of its handles", "move the shape, or change it"),
    ("double click", "fit the picture to the window; in the overview: show that field"),
    ("wheel over a slider", "one step per notch"),
    ("Ctrl or Alt and a click on a channel's On", "show that channel alone; again: those shown before"),
)
"""What the mouse does, and what it is."""


def keys_of(action: str) -> str:
    """The keys of an action as written for people, for tooltips."""
    return next(key.named for key in KEYS if key.action == action)
