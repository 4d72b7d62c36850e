"""The options of ``ndviewer-light render``, and which of them mean something together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..rendering.contrast import ContrastMode
from ..rendering.scale_bar import BAR_COLORS, BAR_SIZES, DEFAULT_BAR
from ..rendering.volume_look import TURN_FRAMES
from .access_options import add_storage_options
from .command_parser import CommandParser, fraction, frame_rate, number, whole_number
from .linked_view import take_link

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PICTURES = (".png", ".jpg", ".jpeg")
FILMS = (".gif", ".mp4")
TIFFS = (".tif", ".tiff")
MODES = {mode.value.lower(): mode for mode in ContrastMode if mode.is_automatic}


def parsed(arguments: Sequence[str] | None) -> tuple[CommandParser, argparse.Namespace, str]:
    """The parser, the options, and the ending of the file to write, in small letters.

    Ends the program where they mean nothing.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    ending = os.path.splitext(options.output)[1].lower()
    _check_fit(parser, options, ending)
    try:
        options.view = take_link(options, is_film=ending in FILMS, is_planes=ending in TIFFS)
    except ValueError as error:
        parser.error(str(error))
    parser.check_output(options.output, (*PICTURES, *TIFFS, *FILMS), options.path)
    if options.overview and ending not in (*PICTURES, *FILMS):
        parser.error(f"-o {options.output}: an overview is a picture or a film, not planes")
    if options.overview and ending in FILMS and options.axis != "t":
        parser.error(f"--axis {options.axis}: a film of the overview is over t")
    for name in ("scheduler", "statistic"):
        if getattr(options, name) and not options.overview:
            parser.error(f"--{name}: only for --overview")
    is_film = ending in FILMS
    for axis, name in (("z", "z"), ("p", "position")):
        if is_film and options.axis == axis and getattr(options, name) is not None:
            every = "plane" if axis == "z" else "position"
            parser.error(
                f"--{name}: a film over {axis} shows every {every}; leave out --{name} or --axis {axis}"
            )
    _check_volume(parser, options, is_film=is_film)
    for name in ("size", "frames"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} {value}: must be above 0")
    return parser, options, ending


_OF_PICTURES = (
    *("contrast", "scale_bar", "scale_bar_size", "scale_bar_color", "timestamp", "label", "labels"),
    *("label_style", "label_opacity"),
)
"""What is drawn: planes are written as they are."""


def _check_fit(parser: CommandParser, options: argparse.Namespace, ending: str) -> None:
    """Refuse options that would change nothing of what is written, and say what those not given are."""
    given = {name for name, value in vars(options).items() if not (value is None or value is False)}
    if ending in (*PICTURES, *TIFFS):
        for name in sorted(given & {"axis", "fps"}):
            parser.error(f"--{name}: only for films, whose names end with {' or '.join(FILMS)}")
    if ending in TIFFS:
        for name in _OF_PICTURES:
            if name in given and getattr(options, name) != []:
                parser.error(f"{_said(name)}: planes are written as they are; only for pictures and films")
    if "labels" not in given:
        for name in sorted(given & {"label_style", "label_opacity"}):
            parser.error(f"{_said(name)}: only with --labels, which says what is drawn so")
    if options.overview and "position" in given:
        parser.error("--position: an overview shows all positions; leave out --position or --overview")
    defaults = {"axis": "t", "fps": 10.0, "label_style": "fill", "label_opacity": 0.5}
    for name in defaults.keys() - given:
        if getattr(options, name) is None:
            setattr(options, name, defaults[name])


def _said(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_volume(parser: CommandParser, options: argparse.Namespace, *, is_film: bool) -> None:
    """Refuse options that mean nothing together."""
    for name in ("volume", "side_by_side"):
        if getattr(options, name) and options.overview:
            parser.error(f"{_said(name)}: not for --overview")
        if getattr(options, name) and options.output.lower().endswith(TIFFS):
            parser.error(f"-o {options.output}: a picture or a film, not planes, with {_said(name)}")
    if not options.volume:
        for name in ("turn", "tilt", "frames"):
            if getattr(options, name) is not None:
                parser.error(f"--{name}: only for --volume")
        if options.axis == "turn":
            parser.error("--axis turn: only for --volume")
        return
    if options.z is not None:
        parser.error("--z: --volume says which planes, as in max:2-11")
    if options.axis == "z":
        parser.error("--axis z: a volume shows all z; over t, p or turn")
    if options.frames is not None and options.axis != "turn":
        parser.error("--frames: only for --axis turn")
    if is_film and options.axis == "turn" and options.turn is not None:
        parser.error("--turn: a film over it shows a whole turn")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="ndviewer-light render",
        description="Write a picture (.png, .jpg), a film (.gif; .mp4 with PyAV) or the planes themselves "
        "(.tif, .ome.tif) of a dataset, also of one that is being written. Needs no display. Exit status 3: "
        "something of it is not stored.",
    )
    parser.add_argument(
        "path",
        help="a folder, a file, a URL (https://, s3://, gs://, smb://), or a link to a view as the window "
        "copies it, whose position, channels, limits, zoom, … count where no option says otherwise",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="what to write")
    parser.add_argument("--position", help="label (B3:0), name or index (default: the first)")
    parser.add_argument(
        "--t", type=whole_number, default=None, help="time point; negative: from the end (default: the first)"
    )
    parser.add_argument(
        "--z",
        help="plane, or max, min, mean or sum of the stack, or of some planes: max:2-11 (default: 0)",
    )
    parser.add_argument(
        "--channels",
        metavar="NAMES",
        help="names or indices, separated by commas (default: those visible at first)",
    )
    parser.add_argument(
        "--contrast",
        action="append",
        default=[],
        metavar="[CHANNEL=]HOW",
        help="run (from the frames of the film), plane, full, or LOW:HIGH; for one channel or for all. "
        "Repeat for several (default: what the dataset says, else run)",
    )
    parser.add_argument(
        "--axis",
        choices=("t", "z", "p", "turn"),
        help="axis of a film (default: t); turn: a volume turns once about the vertical",
    )
    parser.add_argument(
        "--fps", type=frame_rate, help="frames of a film per second, from 0.01 to 1000 (default: 10)"
    )
    parser.add_argument(
        "--size", type=whole_number, metavar="PIXELS", help="longest edge at most; reads a level that fits"
    )
    parser.add_argument(
        "--overview",
        action="store_true",
        help="draw all positions at their places: the wells of a plate, or fields by stage coordinates",
    )
    parser.add_argument(
        "--volume",
        metavar="HOW",
        help="draw the stack as a volume: max, attenuated or surface, or some planes of it: max:2-11",
    )
    parser.add_argument(
        "--turn", type=number, metavar="DEGREES", help="turn the volume about the vertical (default: 0)"
    )
    parser.add_argument(
        "--tilt", type=number, metavar="DEGREES", help="turn the volume about the horizontal (default: 0)"
    )
    parser.add_argument(
        "--frames",
        type=whole_number,
        metavar="N",
        help=f"frames of a film over one turn (default: {TURN_FRAMES})",
    )
    parser.add_argument(
        "--side-by-side",
        choices=("colours", "gray"),
        nargs="?",
        const="colours",
        help="each channel in a pane of its own, in its colours or in gray, and all together",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="with --overview: a dask cluster (tcp://host:8786) makes the thumbnails; its workers must reach "
        "the data under the same path",
    )
    parser.add_argument(
        "--statistic",
        metavar="[CHANNEL=]NAME",
        help="with --overview: colour fields by a statistic of their planes (mean, p50, p1, p99_9, low, "
        "high, saturated, focus, acquired_s), with a legend; what is not known yet is measured (default: of "
        "the first channel drawn)",
    )
    parser.add_argument("--scale-bar", action="store_true", help="draw a scale bar")
    parser.add_argument(
        "--scale-bar-size",
        choices=tuple(BAR_SIZES),
        help=f"draw one of this size (default: {DEFAULT_BAR.size}); none: no scale bar",
    )
    parser.add_argument(
        "--scale-bar-color",
        choices=tuple(BAR_COLORS),
        help="draw one in this colour; auto is white on a dark plate (default: auto)",
    )
    parser.add_argument(
        "--timestamp", action="store_true", help="write when it was acquired, or the number of the time point"
    )
    parser.add_argument(
        "--label",
        action="store_true",
        help="write position, time point and plane; on a part of the overview, names of wells",
    )
    parser.add_argument(
        "--labels", metavar="NAME", help="draw these labels over pictures and films (info lists them)"
    )
    parser.add_argument(
        "--label-style",
        choices=("fill", "outline"),
        help="how labels are drawn (default: fill); in volumes as surfaces",
    )
    parser.add_argument("--label-opacity", type=fraction, metavar="0…1", help="of labels (default: 0.5)")
    add_storage_options(parser)
    return parser
