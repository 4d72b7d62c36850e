"""Ends a widget's resources when Qt deletes it: with a parent, by a host, or as garbage."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import weakref
from abc import ABC, abstractmethod
from functools import partial

from qtpy import QT6
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer

from ..storage.program_end import call_before_threads_are_awaited

try:
    from qtpy import sip
except ImportError:  # bindings other than PyQt have none
    sip = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_owners: set[Owner] = set()
"""Owners of living widgets: the garbage collector, which may delete the widget, must not delete them first.

For the same reason `destroyed` is connected to a method, not a lambda: a lambda that is part of the
garbage is already cleared when Qt calls it, which would crash the process.
"""


_until_exit: weakref.WeakSet[QObject] = weakref.WeakSet()


def delete_at_exit(widget: QObject) -> None:
    """Have a widget deleted when the program ends, if it is still there. GUI thread.

    PyQt deletes what is left then while it goes through all objects there are. What runs in Python meanwhile,
    as when a context of OpenGL ends, may make more of them: nearly every second program that just showed a
    dataset and ended crashed in its last moment.
    """
    if not _until_exit:
        atexit.unregister(_delete_all)
        atexit.register(_delete_all)  # after PyQt's, so that it comes before
    _until_exit.add(widget)
    widget.destroyed.connect(_drop_deleted)


def leave_to_parent(widget: QObject) -> None:
    """Take `delete_at_exit` back, of what gets a parent: it must not be deleted before that. GUI thread."""
    _until_exit.discard(widget)


_garbage: set[QObject] = set()
"""Widgets that the collector found in another thread, until Qt has deleted them."""


def delete_garbage(widget: QObject) -> None:
    """Have Qt delete a widget that nobody refers to, before anything of it is taken apart.

    For `__del__` of what `delete_at_exit` has: the collector calls that first of all. Without it, it clears
    the attributes of all objects in the widget, one by one. Found in another thread, as where planes are
    read, the widget would go on with its slots and event filters until the event loop deletes it.
    """
    if sip is None or sip.isdeleted(widget) or QCoreApplication.instance() is None:
        return
    if QThread.currentThread() == widget.thread():
        sip.delete(widget)
        return
    _garbage.add(widget)  # kept, whole
    widget.deleteLater()


def _drop_deleted() -> None:
    found = list(_garbage)  # at once: the collector may find another one meanwhile, in any thread
    _garbage.difference_update(each for each in found if sip.isdeleted(each))


def _delete_all() -> None:
    if QCoreApplication.instance() is None:
        return
    for widget in [*_until_exit, *_garbage]:
        with contextlib.suppress(RuntimeError):  # it is deleted already
            widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def delete_later(widget: QObject) -> None:
    """`deleteLater`, also where a host closes its window while no event loop runs, as cells of notebooks do.

    What a close event deletes so is deleted by Qt 5 when the loop that delivered it goes on: never, then.
    """
    widget.deleteLater()
    if not QT6 and QThread.currentThread().loopLevel() == 0 and QCoreApplication.instance() is not None:
        QTimer.singleShot(0, partial(_delete_from_loop, widget))


def _delete_from_loop(widget: QObject) -> None:
    with contextlib.suppress(RuntimeError):  # it is deleted already
        QCoreApplication.removePostedEvents(
            widget, QEvent.Type.DeferredDelete
        )  # else it counts, not this one
        widget.deleteLater()


_ends_with_program: list[bool] = []
"""Empty as long as `_end_all` is not called when the program ends."""


def _end_with_program() -> None:
    """Have owners end with the main thread, where that is the one of the GUI."""
    if not _ends_with_program and threading.current_thread() is threading.main_thread():
        _ends_with_program.append(True)
        call_before_threads_are_awaited(_end_all)


def _end_all() -> None:
    for owner in list(_owners):
        owner.end_safely()


class Owner(ABC):
    """Owns a widget's resources. Has no reference to the widget, which would never be collected otherwise."""

    def end_with(self, widget: QObject) -> None:
        """Have `end` called when `widget` is deleted."""
        _end_with_program()
        _owners.add(self)
        widget.destroyed.connect(self._on_destroyed)

    @abstractmethod
    def end(self) -> None:
        """End everything. Idempotent; called while Qt deletes widgets, so it uses none and never waits."""
        _owners.discard(self)

    def end_safely(self) -> None:
        """`end`; what it raises is logged."""
        try:
            self.end()
        except Exception:  # the boundary to C++, as for slots
            logger.exception("cleaning up after a widget")

    def _on_destroyed(self) -> None:
        self.end_safely()
