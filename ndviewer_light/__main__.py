"""The command line: `ndviewer-light PATH…` opens datasets, without a path the launcher."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BINDINGS = ("PyQt6", "PyQt5", "PySide6", "PySide2")


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="ndviewer-light",
        description="See n-dimensional microscopy data, while it is being written and afterwards.",
        epilog="Opens OME-Zarr (plates, wells, fields of view, 6-D stores, single images, plain arrays), "
        "folders of TIFF (an image per plane, stacks, OME-TIFF), single TIFF, PNG and BMP files, Nikon ND2.",
    )
    parser.add_argument(
        "path",
        nargs="*",
        help="a dataset, a folder or a file; each opens in a window. Without one: the launcher",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say on the terminal what is going on")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    shortcut = parser.add_mutually_exclusive_group()
    shortcut.add_argument(
        "--install-shortcut",
        action="store_true",
        help="put the viewer among the applications and on the desktop, and end",
    )
    shortcut.add_argument("--uninstall-shortcut", action="store_true", help="take it away again, and end")
    return parser


def choose_binding() -> None:
    """Take PyQt6 unless a Qt binding is loaded already or the user has chosen one. Before any Qt import."""
    if not any(binding in sys.modules for binding in _BINDINGS):
        os.environ.setdefault("QT_API", "pyqt6")


def _no_display() -> bool:
    return (
        sys.platform.startswith("linux")
        and not os.environ.get("DISPLAY")
        and not os.environ.get("WAYLAND_DISPLAY")
        and os.environ.get("QT_QPA_PLATFORM", "xcb") in ("xcb", "wayland")
    )


def _prestart_reader() -> None:
    from .reader import prestart

    prestart()


def change_shortcut(install: bool) -> str | None:
    """Make or remove the shortcut and say which files that were; what went wrong, if something did."""
    from . import shortcut

    try:
        paths = shortcut.install() if install else shortcut.uninstall()
    except OSError as error:
        return f"ndviewer-light: {error}"
    for path in paths:
        sys.stdout.write(f"{'wrote' if install else 'removed'} {path}\n")
    if not paths:
        sys.stdout.write("there is no shortcut\n")
    return None


def run(paths: Sequence[str]) -> int:
    """Show a window per path, or the launcher, and run until the last one is closed."""
    choose_binding()
    threading.Thread(target=_prestart_reader).start()  # numpy and the reader load while Qt does
    from .gui.application import application
    from .gui.window import LauncherWindow, LightweightMainWindow

    app = application()
    windows: list[LightweightMainWindow | LauncherWindow] = [LightweightMainWindow(path) for path in paths]
    if not windows:
        windows.append(LauncherWindow())
    for window in windows:
        window.show()
    try:
        return int(app.exec())
    finally:
        from .reader import discard_spare

        discard_spare()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``ndviewer-light`` and ``python -m ndviewer_light``; ends the process."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    if options.install_shortcut or options.uninstall_shortcut:
        sys.exit(change_shortcut(options.install_shortcut))
    if _no_display():
        sys.exit("ndviewer-light: there is no display. Set DISPLAY, or run it under xvfb-run")
    sys.exit(run(options.path))


if __name__ == "__main__":
    main()
