"""Icons from the package's own folder, so that no button of ours or ndv's accesses the network.

ndv draws its buttons with superqt's ``QIconifyIcon``, which queries api.iconify.design with
a 2 s timeout each, some eighty times per viewer, without remembering failures: minutes on a
firewalled microscope. `use_bundled_icons` is the shim that prevents this.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QBuffer, QByteArray, QIODevice, QSize
from qtpy.QtGui import QColor, QGuiApplication, QIcon, QImage, QImageReader, QPixmap

if TYPE_CHECKING:
    from collections.abc import Callable

ICONS = Path(__file__).parent / "icons"
_SIZES_PX = (16, 24, 32, 48, 64, 96, 128)
_LARGEST_SHOWN = 32  # in pixels of Qt, of which a screen may have several to one
_SHIM_MARK = "_ndviewer_light_bundled"


BESIDE_TEXT = QSize(16, 12)
"""The size of an icon with the gap that styles without one leave out between it and a text."""


def icon(name: str, color: QColor | str, checked: str | None = None, *, beside_text: bool = False) -> QIcon:
    """The bundled icon `name` in `color`, and the icon `checked` while a button is down.

    `beside_text`: with a gap at its right side, for buttons whose icons are `BESIDE_TEXT` large.

    Empty if this Qt has no SVG plugin, so give the button a text as well.
    """
    result = QIcon()
    ratio = max((each.devicePixelRatio() for each in QGuiApplication.screens()), default=1.0)
    largest = math.ceil(_LARGEST_SHOWN * ratio)
    states = [(name, QIcon.State.Off)] + ([(checked, QIcon.State.On)] if checked else [])
    for drawing, state in states:
        for image in _drawn(drawing, QColor(color).name(), largest):
            if beside_text:
                gap = image.height() * BESIDE_TEXT.width() // BESIDE_TEXT.height() - image.width()
                image = image.copy(image.rect().adjusted(0, 0, gap, 0))  # what is added is transparent
            result.addPixmap(QPixmap.fromImage(image), QIcon.Mode.Normal, state)
    return result


@functools.lru_cache(maxsize=128)
def _drawn(name: str, color: str, largest: int) -> tuple[QImage, ...]:
    """An icon in each of the sizes that are needed; images, as pixmaps must not outlive the application."""
    svg, sizes = _colored(name, color), (size for size in _SIZES_PX if size <= largest)
    return tuple(image for size in sizes if not (image := _render(svg, size)).isNull())


def _colored(name: str, color: str) -> bytes:
    return (ICONS / f"{name}.svg").read_bytes().replace(b"currentColor", color.encode())


def _render(svg: bytes, size: int) -> QImage:
    data = QByteArray(svg)
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, b"svg")
    reader.setScaledSize(QSize(size, size))
    return reader.read()  # empty if this Qt has no SVG plugin


def use_bundled_icons() -> None:
    """Make superqt find ndv's icons in our folder. Call before creating the first ndv viewer.

    Replaces ``superqt.iconify.svg_path``, only once, with this behaviour:

    * a key we have, plain or coloured: our icon, whoever asks;
    * any other key requested by ndv (e.g. by a newer version): an empty icon. pyconify's cache is
      not used, because even a hit queries the network for the icon set's date first;
    * any other key, or a rotated or flipped icon, requested by the host: the original function.
    """
    import superqt.iconify as iconify

    if not hasattr(iconify.svg_path, _SHIM_MARK):
        iconify.svg_path = _local_first(iconify.svg_path)  # type: ignore[assignment]


def _local_first(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def svg_path(*key: str, color: str | None = None, **options: Any) -> Any:
        name = "--".join(":".join(key).split(":"))
        plain = not any(options.values())
        if plain and name in _bundled_names():
            return _file_for(name, color)
        if _asked_by_ndv():
            return _file_for("blank", None)
        return original(*key, color=color, **options)

    setattr(svg_path, _SHIM_MARK, True)
    return svg_path


@functools.lru_cache(maxsize=1)
def _bundled_names() -> frozenset[str]:
    return frozenset(path.stem for path in ICONS.glob("*--*.svg"))


def _asked_by_ndv() -> bool:
    """Whether the caller right behind superqt's own stack frames is ndv."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("superqt."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == "ndv"


@functools.lru_cache(maxsize=256)
def _file_for(name: str, color: str | None) -> Path:
    """A file QIcon can reread whenever it paints: the bundled one, or a coloured copy."""
    if color is None:
        return ICONS / f"{name}.svg"
    red, green, blue = QColor(color).getRgb()[:3]
    path = _folder_for_copies() / f"{name}-{red:02x}{green:02x}{blue:02x}.svg"
    path.write_bytes(_colored(name, QColor(color).name()))
    return path


@functools.lru_cache(maxsize=1)
def _folder_for_copies() -> Path:
    folder, owner = tempfile.mkdtemp(prefix="ndviewer_light_icons_"), os.getpid()

    @atexit.register
    def remove() -> None:
        if os.getpid() == owner:  # a forked child of the host must not delete its parent's icons
            shutil.rmtree(folder, ignore_errors=True)

    return Path(folder)
