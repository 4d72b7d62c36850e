"""The shapes on the picture: which there are, which is meant by a place on screen. Pure; no Qt.

Corners are places on the plane in pixels of level 0, so that shapes stay where they are in every view.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ...engine.shapes import Line, Spot

if TYPE_CHECKING:
    from collections.abc import Callable

    ToScreen = Callable[[Spot], tuple[float, float]]
    """Where a place is on screen: (x, y) in logical pixels."""

REACH_PX = 7.0
"""How near to a shape the mouse must be to take it, in screen pixels."""
MOST_SHAPES = 100


class ShapeKind(Enum):
    """What a shape measures; the value is what it is called."""

    PROFILE = "Line profile"
    DISTANCE = "Distance"
    BOX = "Rectangle"
    POINT = "Point"

    @property
    def is_line(self) -> bool:
        """Whether it is drawn as a line between two places."""
        return self in (ShapeKind.PROFILE, ShapeKind.DISTANCE)

    @property
    def is_plotted(self) -> bool:
        """Whether there is more to say of it than a number."""
        return self is not ShapeKind.DISTANCE


class DrawnShape(NamedTuple):
    """A shape between two places, which are the same of a point; `number` tells it from others."""

    number: int
    kind: ShapeKind
    a: Spot
    b: Spot

    @property
    def line(self) -> Line:
        """Its diagonal, or itself."""
        return Line(self.a, self.b)

    @property
    def handles(self) -> tuple[Spot, ...]:
        """Where it can be taken to change it: its ends or corners."""
        if self.kind is ShapeKind.POINT:
            return (self.a,)
        if self.kind.is_line:
            return self.a, self.b
        return self.a, self.b, Spot(self.a.y, self.b.x), Spot(self.b.y, self.a.x)

    def moved(self, handle: int | None, to: Spot, by: Spot) -> DrawnShape:
        """With one handle somewhere else; None moves all of it `by` so much."""
        a, b = self.a, self.b
        if handle is None or self.kind is ShapeKind.POINT:
            return self._replace(a=Spot(a.y + by.y, a.x + by.x), b=Spot(b.y + by.y, b.x + by.x))
        if handle == 0:
            return self._replace(a=to)
        if handle == 1:
            return self._replace(b=to)
        if handle == 2:
            return self._replace(a=Spot(to.y, a.x), b=Spot(b.y, to.x))
        return self._replace(a=Spot(a.y, to.x), b=Spot(to.y, b.x))


class Taken(NamedTuple):
    """A shape that the mouse has taken, at a handle or (None) as a whole."""

    number: int
    handle: int | None


class DrawnShapes:
    """All shapes of one picture, and the one selected."""

    def __init__(self) -> None:
        self._shapes: dict[int, DrawnShape] = {}
        self._last = 0
        self._selected: int | None = None

    def __iter__(self):  # type: ignore[no-untyped-def]  # Iterator[DrawnShape]
        return iter(list(self._shapes.values()))

    def __len__(self) -> int:
        return len(self._shapes)

    @property
    def selected(self) -> DrawnShape | None:
        """The shape whose values are shown."""
        return self._shapes.get(self._selected) if self._selected is not None else None

    def select(self, number: int | None) -> None:
        """Show the values of that shape."""
        self._selected = number if number in self._shapes else None

    def select_next(self) -> None:
        """Select the shape after the selected one, the first after the last."""
        numbers = list(self._shapes)
        if numbers:
            at = numbers.index(self._selected) if self._selected in self._shapes else -1
            self._selected = numbers[(at + 1) % len(numbers)]

    def add(self, kind: ShapeKind, a: Spot, b: Spot) -> DrawnShape:
        """A new shape, which is selected; the oldest of too many is dropped."""
        if len(self._shapes) >= MOST_SHAPES:
            del self._shapes[next(iter(self._shapes))]
        self._last += 1
        shape = self._shapes[self._last] = DrawnShape(self._last, kind, a, b)
        self._selected = shape.number
        return shape

    def of(self, number: int) -> DrawnShape | None:
        """The shape of that number."""
        return self._shapes.get(number)

    def replace(self, shape: DrawnShape) -> None:
        """A shape was changed."""
        if shape.number in self._shapes:
            self._shapes[shape.number] = shape

    def remove(self, number: int) -> None:
        """Drop a shape; if it was selected, the newest one is from now on."""
        self._shapes.pop(number, None)
        if self._selected == number:
            self._selected = max(self._shapes, default=None)

    def clear(self) -> None:
        """Drop all."""
        self._shapes.clear()
        self._selected = None

    def at(self, x: float, y: float, to_screen: ToScreen) -> Taken | None:
        """The shape at a point of the screen; handles before edges, the selected one first, then new ones."""
        ordered = sorted(self._shapes.values(), key=lambda each: (each.number == self._selected, each.number))
        for shape in reversed(ordered):
            for handle, spot in enumerate(shape.handles):
                if math.dist((x, y), to_screen(spot)) <= REACH_PX:
                    return Taken(shape.number, handle)
        for shape in reversed(ordered):
            if any(_distance((x, y), *edge) <= REACH_PX for edge in _edges(shape, to_screen)):
                return Taken(shape.number, None)
        return None


_Point = tuple[float, float]


def _edges(shape: DrawnShape, to_screen: ToScreen) -> list[tuple[_Point, _Point]]:
    ends = [to_screen(spot) for spot in shape.handles]
    if shape.kind is ShapeKind.POINT:
        return []
    if shape.kind.is_line:
        return [(ends[0], ends[1])]
    a, b, c, d = ends
    return [(a, c), (c, b), (b, d), (d, a)]


def _distance(point: _Point, a: _Point, b: _Point) -> float:
    """From a point to the line between two others."""
    length = math.dist(a, b)
    if length == 0:
        return math.dist(point, a)
    share = ((point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])) / length**2
    share = min(max(share, 0.0), 1.0)
    return math.dist(point, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
