"""Modules of Qt that libraries want, imported before those libraries are imported in a thread."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FOR_WIDGETS = ("QtCore", "QtGui", "QtWidgets")
"""What the widget needs, beside what draws."""
FOR_VISPY = ("QtOpenGL", "QtOpenGLWidgets", "QtTest")
"""What vispy imports of Qt."""


def import_of_qt(names: Iterable[str]) -> None:
    """Import modules of Qt, about a millisecond each. GUI thread; those that are not installed are left out.

    Imported in a thread, they crash the process: to wrap an object, PyQt asks all modules that it has
    whether it is of theirs, also one whose types are still being made.
    """
    from qtpy import API_NAME

    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"{API_NAME}.{name}")
