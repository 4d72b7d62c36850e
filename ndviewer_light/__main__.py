"""The command line: `ndviewer-light PATH…` opens datasets; without a path, the launcher.

``ndviewer-light watch PATH`` opens a dataset as soon as there is one, ``ndviewer-light info PATH`` describes
it, ``ndviewer-light render PATH -o FILE`` writes pictures and films of it without a display,
``ndviewer-light measure PATH -o FILE`` measures its planes and writes a table,
``ndviewer-light references PATH -o FILE`` writes its image files as one virtual Zarr store.
"""

from __future__ import annotations

import os
import sys


def _forget_working_directory() -> None:
    """Import nothing more from there: Python puts it first on `sys.path` for ``-m``, and data may lie in it.

    Where this package itself lies in it, as in a checkout, it is a folder of code and stays.
    """
    is_there = bool(sys.path) and not getattr(sys.flags, "safe_path", False)
    packages = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if is_there and os.path.realpath(sys.path[0]) != packages:
        del sys.path[0]


if __name__ == "__main__":  # before anything is imported that Python has not loaded by itself
    _forget_working_directory()

import contextlib  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import io  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from .cli.command_parser import CommandParser
    from .gui.run_status.latency import LatencyLog
    from .gui.windows.launcher import LauncherWindow
    from .gui.windows.window import LightweightMainWindow

_COMMANDS = {
    "info": ".cli.info",
    "measure": ".cli.measure",
    "references": ".cli.references",
    "render": ".cli.render",
}
"""Subcommands by name, and the modules whose `main` implements them."""

_BINDINGS = ("PyQt6", "PyQt5", "PySide6", "PySide2")
_PROGRAM_NICENESS = 10
"""The niceness of our own program: a writer on the same busy computer keeps its pace."""


def _parser(*, watch: bool = False) -> CommandParser:
    from . import __version__
    from .cli.access_options import add_storage_options
    from .cli.command_parser import CommandParser

    parser = CommandParser(
        prog="ndviewer-light watch" if watch else "ndviewer-light",
        description="Show a dataset as soon as there is one at the path, and follow it while it is written."
        if watch
        else "View n-dimensional microscopy data, while it is being acquired and afterwards.",
        epilog="Opens OME-Zarr (plates, wells, fields of view, 6-D stores, single images, plain arrays, "
        "zipped too), folders of TIFF (an image per plane, stacks, OME-TIFF), folders of images, Nikon ND2, "
        "HDF5, NWB, Imaris, BigDataViewer, MRC, references (kerchunk, LINDI); on disk or at https://, s3://, "
        "gs://, smb://. "
        "`ndviewer-light watch PATH` waits until there is a dataset at the path; "
        "`ndviewer-light info PATH` describes a dataset; `ndviewer-light render PATH -o FILE` writes "
        "pictures and films; `ndviewer-light measure PATH -o FILE` measures its planes and writes a table; "
        "`ndviewer-light references PATH -o FILE` writes "
        "image files as one virtual Zarr store.",
    )
    parser.add_argument(
        "path",
        nargs="+" if watch else "*",
        help="a folder, a file, FILE::/DATASET or a URL; each opens in a window of its own"
        f"{'' if watch else ' (default: the launcher)'}",
    )
    add_storage_options(parser)
    parser.add_argument(
        "--latency-log",
        metavar="FILE.jsonl",
        help="write how long each frame took from the disk to the screen, and percentiles at the end",
    )
    parser.add_argument(
        "--canvas",
        choices=("auto", "gl", "cpu"),
        help="draw pictures with OpenGL, or on the CPU (default: with OpenGL where a graphics card draws)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a dask cluster (tcp://host:8786) makes the thumbnails of the overview, of finished data "
        "that its workers reach under the same path",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print warnings and progress messages to the terminal"
    )
    if watch:
        return parser
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    shortcut = parser.add_mutually_exclusive_group()
    shortcut.add_argument(
        "--install-shortcut",
        action="store_true",
        help="install a menu and desktop shortcut to the viewer, and exit",
    )
    shortcut.add_argument("--uninstall-shortcut", action="store_true", help="remove the shortcut, and exit")
    return parser


def choose_binding() -> None:
    """Select PyQt6 unless a Qt binding is already loaded or chosen by the user. Call before importing Qt."""
    if not any(binding in sys.modules for binding in _BINDINGS):
        os.environ.setdefault("QT_API", "pyqt6")


def let_others_first() -> None:
    """Lower the priority of this process, and of what it starts: a program that acquires comes first.

    Before there are other threads, which keep the priority that they have. Where that is not allowed, or not
    known how, nothing happens.
    """
    with contextlib.suppress(OSError):
        if hasattr(os, "nice"):
            os.nice(max(0, _PROGRAM_NICENESS - os.nice(0)))


def _prestart_reader() -> None:
    from .isolation.spare import prestart

    prestart()


def change_shortcut(install: bool) -> int:
    """Install or remove the shortcut and print the files affected; returns the exit status."""
    from .cli import shortcut
    from .cli.terminal import complain, not_written, say

    try:
        paths = shortcut.install() if install else shortcut.uninstall()
    except OSError as error:
        complain("", f"the shortcut could not be changed: {not_written(error)}")
        return 1
    for path in paths:
        say(f"{'wrote' if install else 'removed'} {path}")
    if not paths:
        say("no shortcut is installed")
    return 0


def run(
    paths: Sequence[str],
    options: Mapping[str, str] | None = None,
    *,
    watch: bool = False,
    latency_log: str | None = None,
    canvas: str | None = None,
    scheduler: str | None = None,
) -> int:
    """Show a window per path, or the launcher, and run until the last one is closed.

    With `watch`, there need not be anything at the paths yet. `options` are the access options of the
    datasets, `latency_log`, `canvas` and `scheduler` are what those options say. Returns the exit status: 1
    where there is no display, 128 + the signal after Ctrl-C or a request to end.
    """
    from .gui.windows.display_server import why_no_display

    if reason := why_no_display():
        sys.stderr.write(f"ndviewer-light: {reason}\n")
        return 1
    let_others_first()
    choose_binding()
    if canvas is not None:
        from .gui.canvas.opengl import CANVAS_VARIABLE

        os.environ[CANVAS_VARIABLE] = canvas
    from .gui.run_status.latency import LatencyLog

    try:
        log = LatencyLog(latency_log) if latency_log else None
    except OSError as error:
        from .cli.terminal import complain, not_written

        complain("", f"--latency-log: {not_written(error)}")
        return 1
    pause = _CollectorPause()
    try:
        threading.Thread(target=_prestart_reader).start()  # the reader loads while Qt does
        from .gui.windows.application import application, call_when_started, end_on_signals

        app = application()
        windows = _shown(paths, options, watch=watch, log=log, scheduler=scheduler)  # noqa: F841  kept as long as they are open
        call_when_started(pause.end)
        with end_on_signals(app) as received:
            status = int(app.exec())
        return 128 + received[0] if received else status
    finally:
        pause.end()
        if log is not None:
            log.close()
        from .isolation.spare import discard_spare

        discard_spare()


class _CollectorPause:
    """The garbage collector rests during start-up: nothing is garbage yet, and its passes take 100 ms.

    What is there afterwards, mostly modules, stays: the collector does not look at it again.
    """

    def __init__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def end(self) -> None:
        """Idempotent."""
        if self._was_on:
            self._was_on = False
            gc.freeze()
            gc.enable()


def _shown(
    paths: Sequence[str],
    options: Mapping[str, str] | None,
    *,
    watch: bool,
    log: LatencyLog | None,
    scheduler: str | None,
) -> list[LightweightMainWindow | LauncherWindow]:
    from .gui.windows.window import LightweightMainWindow

    windows: list[LightweightMainWindow | LauncherWindow] = [
        LightweightMainWindow(path, options, watch=watch, latency_log=log, scheduler=scheduler)
        for path in paths
    ]
    if not windows:
        from .gui.windows.launcher import LauncherWindow

        windows.append(LauncherWindow(options, latency_log=log, scheduler=scheduler))
    for window in windows:
        window.show()
    return windows


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``ndviewer-light`` and ``python -m ndviewer_light``; ends the process."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    with _quiet_end_on_ctrl_c():
        from .cli.terminal import guarded, leave

        if arguments and arguments[0] in _COMMANDS:
            leave(importlib.import_module(_COMMANDS[arguments[0]], __package__).main(arguments[1:]))
        sys.exit(guarded("", lambda: _main(arguments)))


@contextlib.contextmanager
def _quiet_end_on_ctrl_c() -> Iterator[None]:
    """After Ctrl-C, whatever goes wrong because of it ends the program without a traceback.

    That is more than a `KeyboardInterrupt`: a library that is being imported makes an `ImportError` of it.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.default_int_handler(number, frame)

    is_ours = threading.current_thread() is threading.main_thread()
    is_ours = is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception:
        if not received:
            raise
        sys.exit(128 + received[0])
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _main(arguments: Sequence[str]) -> int:
    from .cli.access_options import storage_options
    from .cli.terminal import log_to_terminal, say

    watch = bool(arguments) and arguments[0] == "watch"
    parser = _parser(watch=watch)
    said = io.StringIO()  # argparse does not tell whether its help could be written
    try:
        with contextlib.redirect_stdout(said):
            options = parser.parse_args(arguments[1:] if watch else arguments)
    finally:
        if said.getvalue():
            say(said.getvalue().rstrip("\n"))
    try:
        storage = storage_options(options)
    except ValueError as error:
        parser.error(str(error))
    log_to_terminal(verbose=options.verbose)
    if not watch and (options.install_shortcut or options.uninstall_shortcut):
        return change_shortcut(options.install_shortcut)
    if not watch and (behind := {*_COMMANDS, "watch"}.intersection(options.path[:1])):
        (name,) = behind
        if len(options.path) > 1 and not os.path.lexists(name):
            parser.error(f"{name} comes before all options: ndviewer-light {name} {options.path[1]} …")
    return run(
        options.path,
        storage,
        watch=watch,
        latency_log=options.latency_log,
        canvas=options.canvas,
        scheduler=options.scheduler,
    )


if __name__ == "__main__":
    main()
