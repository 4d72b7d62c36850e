"""``ndviewer-light measure PATH -o FILE``: statistics of every plane as a table, CSV or Parquet.

A row per expected plane: ``position``, ``region``, ``fov``, ``channel``, ``t``, ``z`` (indices from 0),
``time_s``, ``x_um``, ``y_um``, ``z_um`` (stage), then the columns of `engine.measured_table`.
"""

from __future__ import annotations

import importlib.util
import sys
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from ..errors import NDViewerError
from ..model import PlaneState, how_many
from ..opening import open_dataset
from ..storage.offered import ALONE
from ..storage.whole_files import whole_file
from .access_options import add_storage_options, storage_options
from .cluster import measuring_on
from .command_parser import CommandParser, index_slice, indices, is_index
from .linked_view import dataset_in
from .planes import ALL_THERE, INCOMPLETE
from .terminal import INTERRUPTED, complain, guarded, say, shown_progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

    from ..engine.dataset import Dataset
    from ..engine.measured_table import MeasuredTable
    from ..model import DatasetInfo

_TABLES = (".csv", ".parquet")
_NO_PYARROW = "writing Parquet needs pyarrow: pip install pyarrow, or choose a name that ends with .csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit status."""
    return guarded("measure", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.path, storage = dataset_in(options.path), storage_options(options)
    except ValueError as error:
        parser.error(str(error))
    if options.output is not None:
        parser.check_output(options.output, _TABLES, options.path)
        if _is_parquet(options.output) and importlib.util.find_spec("pyarrow") is None:
            parser.error(f"-o {options.output}: {_NO_PYARROW}")
    try:
        storage = {ALONE: "yes", **storage}
        with measuring_on(options.scheduler), open_dataset(options.path, storage_options=storage) as dataset:
            return _measure(dataset, options)
    except (NDViewerError, IndexError, KeyError, OSError, ValueError) as error:
        complain("measure", str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error))
        return 1


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="ndviewer-light measure",
        description="Measure every plane of a dataset: mean, percentiles (1, 50, 99.9), saturated fraction, "
        "focus (normalised variance), when it was acquired and written. Results are kept: after an "
        "interruption the same command goes on. Exit status 3: planes are missing or cannot be read.",
    )
    parser.add_argument("path", help="a folder, a file or a URL (https://, s3://, gs://, smb://)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="table to write: .csv, or .parquet with pyarrow (default: CSV to the terminal)",
    )
    parser.add_argument("--channels", metavar="NAMES", help="names or indices, separated by commas")
    parser.add_argument("--positions", metavar="LABELS", help="labels (B3:0) or indices, separated by commas")
    parser.add_argument(
        "--t", type=indices, metavar="INDICES", help="time points: 0,5 or 0:10 or ::2 (default: all)"
    )
    parser.add_argument("--z", type=indices, metavar="INDICES", help="z planes, likewise (default: all)")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let a dask cluster measure (tcp://…); its workers open the dataset at the same path",
    )
    add_storage_options(parser)
    return parser


def _measure(dataset: Dataset, options: argparse.Namespace) -> int:
    progress = [0, 0]
    wanted = _selected(dataset.look_at_all(), options)
    try:
        with shown_progress("measuring") as show:

            def note(done: int, expected: int) -> None:
                progress[:] = done, expected
                if show is not None:
                    show(done, expected)

            table = dataset.measured_table(**wanted, progress=note)
    except KeyboardInterrupt:
        complain(
            "measure",
            f"interrupted: {progress[0]:,} of {how_many(progress[1], 'plane')} measured and kept; "
            "the same command goes on from there"
            if progress[1]
            else "interrupted before any plane was measured",
        )
        return INTERRUPTED
    _write(table, options.output)
    return _said_of(table, options.output)


def _selected(info: DatasetInfo, options: argparse.Namespace) -> dict[str, Any]:
    """What the options select along each axis. Raises `ValueError` for a part of it in which nothing is."""
    channels = {channel.name for channel in info.channels}
    positions = {name for at in info.positions for name in (at.label, at.name, at.title)}
    wanted = {
        "channels": _named(options.channels, channels),
        "positions": _named(options.positions, positions),
        "t": options.t,
        "z": options.z,
    }
    sizes = (len(info.channels), len(info.positions), info.n_t, info.n_z)
    for (axis, part), size in zip(wanted.items(), sizes, strict=True):
        if isinstance(part, slice) and not range(size)[part]:
            first, end, step = ("" if each is None else each for each in (part.start, part.stop, part.step))
            said = f"{first}:{end}" + (f":{step}" if step != "" else "")
            raise ValueError(f"--{axis} {said} selects nothing: there are {size}, counted from 0")
    return wanted


def _named(text: str | None, names: Collection[str]) -> slice | list[int | str] | None:
    """``"0,3"``, ``"0:10"``, ``"DAPI,GFP"``; what is a name is one, whatever it looks like. None for all."""
    if text is None:
        return None
    try:
        part = None if text in names else index_slice(text.strip())
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from None
    if part is not None:
        return part
    each = [text] if text in names else [one.strip() for one in text.split(",")]
    return [int(one) if is_index(one) and one not in names else one for one in each]


def _is_parquet(output: str) -> bool:
    return output.lower().endswith(".parquet")


def _write(table: MeasuredTable, output: str | None) -> None:
    frame = table.to_frame()
    if output is None:
        say(frame.to_csv(None, index=False).rstrip("\n"))
        return
    with whole_file(output) as part:
        if _is_parquet(output):
            frame.to_parquet(part, index=False, engine="pyarrow")
        else:
            frame.to_csv(part, index=False)


def _said_of(table: MeasuredTable, output: str | None) -> int:
    missing, unreadable = table.count(PlaneState.ABSENT), table.count(PlaneState.UNREADABLE)
    pending = table.count(PlaneState.PENDING)
    if output is not None:
        say(output)
    counted = {"missing": missing, "not written yet": pending, "unreadable": unreadable}
    said = ", ".join(f"{n:,} {word}" for word, n in counted.items() if n)
    if said:
        complain(
            "measure", f"{how_many(len(table), 'plane')}, of which {said}: see the columns state and reason"
        )
    elif output is not None and sys.stderr is not None and sys.stderr.isatty():
        complain("measure", how_many(len(table), "plane"))
    return INCOMPLETE if missing or unreadable else ALL_THERE
