"""Whether there is a display to show windows on: asked before Qt, which ends the process if there is none."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_SECONDS = 10.0


def why_no_display(environment: Mapping[str, str] | None = None) -> str:
    """Say why no window can be shown, "" if one can or nobody can tell. Waits at most ten seconds.

    Linux only: X11 and Wayland, whichever Qt would take by `environment` (default: that of the process).
    """
    environment = os.environ if environment is None else environment
    platform = environment.get("QT_QPA_PLATFORM", "").partition(";")[0].partition(":")[0]
    if not sys.platform.startswith("linux") or platform.partition("-")[0] not in ("", "xcb", "wayland"):
        return ""
    x11, wayland = environment.get("DISPLAY", ""), environment.get("WAYLAND_DISPLAY", "")
    tried = []
    if wayland and platform != "xcb":
        if _wayland_answers(wayland, environment.get("XDG_RUNTIME_DIR", "")):
            return ""
        tried.append(wayland)
    if x11 and not platform.startswith("wayland"):
        if _x11_answers(x11):
            return ""
        tried.append(x11)
    if tried:
        return (
            f"cannot connect to display {' or '.join(map(repr, tried))}. Is it running, and do you have "
            "access? Over ssh, log in with ssh -X; without a screen, run it under xvfb-run"
        )
    return (
        "no display available: DISPLAY and WAYLAND_DISPLAY are not set. Over ssh, log in with ssh -X; "
        "without a screen, run it under xvfb-run"
    )


def _wayland_answers(name: str, folder: str) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(ANSWER_SECONDS)
        try:
            client.connect(os.path.join(folder, name))
        except OSError:
            return False
        return True


def _x11_answers(name: str) -> bool:
    """Whether the X server lets us in; asked by the library Qt uses, True where that cannot be loaded."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    answers: list[bool] = []

    def connect() -> None:
        connection = xcb.xcb_connect(os.fsencode(name), None)
        answers.append(xcb.xcb_connection_has_error(connection) == 0)
        xcb.xcb_disconnect(connection)

    # a server that hangs answers nothing, and libxcb waits for ever: its thread ends with the process
    asking = threading.Thread(target=connect, daemon=True, name="ndviewer-display")
    asking.start()
    asking.join(ANSWER_SECONDS)
    return bool(answers) and answers[0]
