"""The corner between the sections: where the cross-hair is, and what is there of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QWidget

from ...model import PlaneState, how_many
from ..look.theme import INK, PLOT_BACKGROUND, mix, plain_tooltip
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...engine.stack_beside import StackSeen
    from ...model import ImageInfo, Plane

_WORDS = {
    PlaneState.UNREADABLE: "unreadable",
    PlaneState.LOADING: "loading",
    PlaneState.PENDING: PlaneState.PENDING.value,
    PlaneState.ABSENT: PlaneState.ABSENT.value,
    PlaneState.FILLED: "fill value",
}
_READOUT_MARGIN = 8


class CrossReadout(QWidget):
    """Lines of text, wrapped, or at last shortened, to the room there is. GUI thread only."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[str, ...] = ()
        self.n_bright = 0
        self.setAccessibleName("Cross-hair")

    def say(self, place: Sequence[str], stack: Sequence[str], details: str) -> None:
        """Say where the cross-hair is, and what there is of the stack; `details` on hover."""
        lines = (*place, *stack)
        if (lines, len(place)) != (self.lines, self.n_bright):
            self.lines, self.n_bright = lines, len(place)
            self.setAccessibleDescription(" · ".join(lines))
            self.update()
        self.setToolTip(plain_tooltip(details) if details else "")

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), PLOT_BACKGROUND)
        metrics = painter.fontMetrics()
        room, top = self.width() - 2 * _READOUT_MARGIN, _READOUT_MARGIN
        for text, is_bright in self.shown():
            painter.setPen(INK if is_bright else mix(INK, PLOT_BACKGROUND, 0.36))
            painter.drawText(QRectF(_READOUT_MARGIN, top, room + 4, metrics.height()), text)
            top += metrics.height()
        painter.end()

    def shown(self) -> list[tuple[str, bool]]:
        """The lines that there is room for, broken between words, and whether each is bright."""
        metrics, room = self.fontMetrics(), self.width() - 2 * _READOUT_MARGIN
        found: list[tuple[str, bool]] = []
        for i, line in enumerate(self.lines):
            begun = ""
            for word in line.split(" "):
                longer = f"{begun} {word}" if begun else word
                if begun and metrics.horizontalAdvance(longer) > room:
                    found.append((begun, i < self.n_bright))
                    longer = word
                begun = longer
            found.append((begun, i < self.n_bright))
        most = max(0, (self.height() - _READOUT_MARGIN) // metrics.height())
        elided = Qt.TextElideMode.ElideRight
        return [(metrics.elidedText(text, elided, room), is_bright) for text, is_bright in found[:most]]


def place_lines(place: tuple[int, int, int], image: ImageInfo | None) -> list[str]:
    """Where a voxel (z, y, x) is: in µm from the first one where sizes are known, else its indices."""
    z, y, x = place
    pixel = image.pixel_size_um if image is not None else None
    step = image.z_step_um if image is not None else None
    um_y = (image.pixel_size_y_um if image is not None else None) or pixel
    return [
        f"x {x * pixel:.1f} µm" if pixel is not None else f"x {x} px",
        f"y {y * um_y:.1f} µm" if um_y is not None else f"y {y} px",
        f"z {z + 1}" if step is None else f"z {z * step:.1f} µm",
    ]


def stack_lines(seen: StackSeen) -> list[str]:
    """How many planes are there, the states of others, and at which resolution: "37 of 40 planes"."""
    counts = list(seen.counts.values())
    if not counts:
        return []
    is_alike = all(each == counts[0] for each in counts)
    total = counts[0] if is_alike else sum(counts[1:], counts[0])
    there = total[PlaneState.PRESENT] + total[PlaneState.FILLED]
    n = sum(total.values())
    lines = [f"{there} of {how_many(n, 'plane')}" if there < n else how_many(n, "plane")]
    lines += [f"{total[state]} {words}" for state, words in _WORDS.items() if total[state]]
    if not seen.grid.is_whole:
        _, height, width = seen.grid.shape
        lines.append(f"{width} × {height} px")
    return lines


def stack_details(seen: StackSeen, names: Sequence[str], said: Mapping[int, Plane]) -> str:
    """The same for each channel, and the reason that is most important."""
    lines = [f"Stack of {seen.grid} voxels"]
    for c, counts in seen.counts.items():
        parts = [f"{n} {_WORDS[state]}" for state, n in counts.items() if state in _WORDS and n]
        if parts:
            reason = said[c].reason if c in said else ""
            lines.append(f"{names[c]}: {', '.join(parts)}" + (f" ({reason})" if reason else ""))
    return "\n".join(lines)
