"""Tab goes through controls as one reads them: row by row, panel after panel."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Iterator


def arrange_tabs(root: QWidget) -> None:
    """Have Tab go through what is in `root` as it is on screen now. GUI thread only.

    Widgets come and go, and Qt knows in which order they were made only: call it whenever Tab is pressed
    (`focusNextPrevChild`). What is around `root` keeps its order.
    """
    order = list(_in_reading_order(root))
    if not order:
        return
    inside = frozenset(map(id, order))
    first: QWidget | None = root
    while first is not None and id(first) not in inside:
        first = first.nextInFocusChain()
    # what comes first takes the place of what did, so that what is around stays around all of it
    for before, after in pairwise([first, *order] if first is not order[0] else order):
        if before is not None and before.nextInFocusChain() is not after:
            QWidget.setTabOrder(before, after)


def _in_reading_order(parent: QWidget) -> Iterator[QWidget]:
    for child in _as_read(parent):
        if child.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield child
        yield from _in_reading_order(child)


def _as_read(parent: QWidget) -> list[QWidget]:
    """The children that are shown, by rows, each from left to right."""
    shown = [
        each
        for each in parent.children()
        if isinstance(each, QWidget) and not each.isWindow() and each.isVisibleTo(parent)
    ]
    from_right = parent.layoutDirection() == Qt.LayoutDirection.RightToLeft
    rows: list[list[QWidget]] = []
    for child in sorted(shown, key=lambda each: (each.y(), each.x())):
        if rows and _are_beside(rows[-1][0], child):
            rows[-1].append(child)
        else:
            rows.append([child])
    return [each for row in rows for each in sorted(row, key=QWidget.x, reverse=from_right)]


def _are_beside(one: QWidget, other: QWidget) -> bool:
    """Whether they overlap by half of the height of the smaller one."""
    a, b = one.geometry(), other.geometry()
    overlap = min(a.bottom(), b.bottom()) - max(a.top(), b.top()) + 1
    return 2 * overlap > min(a.height(), b.height())
