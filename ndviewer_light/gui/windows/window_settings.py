"""What our own windows remember from one start to the next: size, splitter, panels, recent datasets.

Never used inside a host. Every failure is a default: a window must open whatever the file contains.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtpy.QtCore import QByteArray, QSettings, QStandardPaths

from ...storage.bytes import is_url
from ...storage.presentable import presentable

if TYPE_CHECKING:
    from qtpy.QtWidgets import QMainWindow

MOST_RECENT = 12
_WANTED = 1200, 800
_SHARE_OF_SCREEN = 0.92


def _settings() -> QSettings:
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation)
    return QSettings(os.path.join(folder, "ndviewer_light", "window.ini"), QSettings.Format.IniFormat)


def place_window(window: QMainWindow) -> None:
    """Give a window the place it had last, or a size that fits the screen it is on."""
    kept = _settings().value("geometry")
    if isinstance(kept, QByteArray) and not kept.isEmpty() and window.restoreGeometry(kept):
        return
    screen = window.screen()
    if screen is None:
        window.resize(*_WANTED)
        return
    room = screen.availableGeometry()
    width, height = (
        min(wanted, int(there * _SHARE_OF_SCREEN))
        for wanted, there in zip(_WANTED, (room.width(), room.height()), strict=True)
    )
    left = room.left() + min(100, (room.width() - width) // 2)
    top = room.top() + min(100, (room.height() - height) // 2)
    window.setGeometry(left, top, width, height)


def keep_window(window: QMainWindow, widths: list[int] | None, *, panels: bool) -> None:
    """Remember the place of a window, how it is divided if panels are shown, and whether they are wanted."""
    settings = _settings()
    settings.setValue("geometry", window.saveGeometry())
    settings.setValue("panels", "yes" if panels else "no")
    if widths is not None:
        settings.setValue("widths", [str(width) for width in widths])


def are_panels_wanted() -> bool:
    """Whether panels were shown last; True at first."""
    return _settings().value("panels") != "no"


def kept_widths(n: int) -> list[int] | None:
    """The widths of the `n` parts of the window as they were last."""
    kept = _settings().value("widths")
    if not isinstance(kept, list) or len(kept) != n:
        return None
    try:
        widths = [int(width) for width in kept]
    except (TypeError, ValueError):
        return None
    return widths if all(0 <= width < 20_000 for width in widths) and widths[1] > 0 else None


def keep_written(text: str) -> None:
    """Remember what is written on pictures, see `Written.as_text`."""
    _settings().setValue("written", text)


def kept_written() -> str:
    """What was written on pictures last; empty at first."""
    kept = _settings().value("written")
    return kept if isinstance(kept, str) else ""


def keep_play_speed(text: str) -> None:
    """Remember how fast axes are played, see `PlaySpeed.as_text`."""
    _settings().setValue("playing", text)


def kept_play_speed() -> str:
    """How fast axes were played last; empty at first."""
    kept = _settings().value("playing")
    return kept if isinstance(kept, str) else ""


def note_opened(path: str) -> None:
    """Put a dataset at the front of the recent ones; addresses that hold a secret are not kept."""
    place = path if is_url(path) else os.path.abspath(path)
    if not path or presentable(place) != place:
        return
    kept = [place, *(each for each in recent_paths() if each != place)]
    _settings().setValue("recent", kept[:MOST_RECENT])


def recent_paths() -> list[str]:
    """The recent datasets, the last one first."""
    kept = _settings().value("recent")
    paths = kept if isinstance(kept, list) else [kept]
    return [path for path in paths if isinstance(path, str) and path][:MOST_RECENT]


def forget_recent() -> None:
    """Keep none of the datasets opened so far."""
    _settings().remove("recent")
