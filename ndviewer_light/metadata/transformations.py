"""Coordinate transformations along the axes of an image; pure functions, no I/O.

Images are drawn upright, voxel by voxel, so what counts of a transformation is how far apart voxels are along
each axis, where the first one is, and which axis becomes which. Rotations and shears are not drawn, which a
warning says.
Sources: OME-NGFF 0.4 to 0.6, "coordinateTransformations" metadata: a point in the input goes to a point in
the output; those of a list, and of a `sequence`, are applied in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..model import how_many
from ..storage.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..storage.limits import JsonObject

MAX_SEQUENCE_DEPTH = 16
_MAX_STEPS = 256
_NOT_DRAWN = "is not drawn: the image is shown upright"


@dataclass
class AlongAxes:
    """What transformations do to each axis: output `i` is ``scale[i] * input[order[i]] + origin[i]``.

    None in scale or origin: nothing is said.
    """

    scale: list[float | None]
    origin: list[float | None]
    order: list[int]

    @classmethod
    def nothing(cls, n: int) -> AlongAxes:
        """Nothing is said of any of `n` axes."""
        return cls([None] * n, [None] * n, list(range(n)))

    @property
    def exchanges(self) -> bool:
        """Whether axes become others."""
        return self.order != sorted(self.order)

    def inverse(self) -> AlongAxes:
        """The way back."""
        back = AlongAxes.nothing(len(self.order))
        for i, (axis, scale, at) in enumerate(zip(self.order, self.scale, self.origin, strict=True)):
            back.order[axis] = i
            back.scale[axis] = None if scale is None else 1.0 / scale
            back.origin[axis] = None if at is None else -at / (scale if scale is not None else 1.0)
        return back

    def then(self, after: AlongAxes) -> AlongAxes:
        """Apply another one after it."""
        before = [(self.scale[i], self.origin[i], self.order[i]) for i in after.order]
        scale = [_product(was, by) for (was, _, _), by in zip(before, after.scale, strict=True)]
        moved = [
            None if at is None else _product(at, by)
            for (_, at, _), by in zip(before, after.scale, strict=True)
        ]
        origin = [_sum(at, by) for at, by in zip(moved, after.origin, strict=True)]
        return AlongAxes(scale, origin, [axis for _, _, axis in before])

    def by_input(self) -> AlongAxes:
        """Scale and origin in the order of the axes that come in."""
        back = AlongAxes.nothing(len(self.order))
        for i, axis in enumerate(self.order):
            back.scale[axis], back.origin[axis] = self.scale[i], self.origin[i]
        return back


class TransformationStep(NamedTuple):
    """One transformation on the way between two coordinate systems, and whether the way leads against it."""

    transform: JsonObject
    is_inverse: bool


def along_axes(
    transforms: Iterable[object], n: int, where: str, warnings: list[str], after: AlongAxes | None = None
) -> AlongAxes:
    """What a list of transformations does along each of `n` axes; adds to `warnings` what is left out.

    They are applied to what was there before, or `after` others.
    """
    walk = _TransformationWalk(n, where, warnings)
    if after is not None:
        walk.found = AlongAxes(list(after.scale), list(after.origin), list(after.order))
    walk.apply_all(transforms, list(range(n)), 0)
    return walk.found


class _TransformationWalk:
    """Applies transformations one after the other, to all axes or to some of them."""

    def __init__(self, n: int, where: str, warnings: list[str]) -> None:
        self.found = AlongAxes.nothing(n)
        self._where = where
        self._warnings = warnings
        self._steps = 0

    def apply_all(self, transforms: Iterable[object], axes: Sequence[int], depth: int) -> None:
        for transform in transforms:
            self._steps += 1
            if isinstance(transform, dict) and depth < MAX_SEQUENCE_DEPTH and self._steps < _MAX_STEPS:
                self._apply(transform, axes, depth)

    def _apply(self, transform: JsonObject, axes: Sequence[int], depth: int) -> None:
        kind = transform.get("type")
        if kind in ("scale", "translation"):
            self._apply_vector(str(kind), transform, axes)
        elif kind == "sequence":
            self.apply_all(_list(transform.get("transformations")), axes, depth + 1)
        elif kind == "bijection":
            self.apply_all([transform.get("forward")], axes, depth + 1)
        elif kind in ("affine", "rotation"):
            self._apply_matrix(str(kind), transform, axes)
        elif kind == "byDimension":
            self._apply_by_dimension(transform, axes, depth)
        elif kind == "mapAxis":
            self._apply_order(transform.get("mapAxis"), axes)
        elif kind != "identity":
            self._warn(f"ignored a coordinate transformation of type {brief(kind)}")

    def _apply_order(self, order: object, axes: Sequence[int]) -> None:
        found = _list(order)
        if len(found) == len(axes) and _are_indices(order, len(axes)):
            self._exchange(axes, [axes[i] for i in found])
        elif axes:
            self._warn(
                "ignored a coordinate transformation 'mapAxis' that is no order of "
                f"{how_many(len(axes), 'axis', 'axes')}"
            )

    def _exchange(self, outputs: Sequence[int], inputs: Sequence[int]) -> None:
        """Make each of the outputs what one of the inputs was."""
        was = self.found
        self.found = AlongAxes(list(was.scale), list(was.origin), list(was.order))
        for to, axis in zip(outputs, inputs, strict=True):
            self.found.scale[to], self.found.origin[to] = was.scale[axis], was.origin[axis]
            self.found.order[to] = was.order[axis]

    def _apply_vector(self, kind: str, transform: JsonObject, axes: Sequence[int]) -> None:
        vector = _list(transform.get(kind))
        if len(vector) != len(axes):
            if axes and "path" in transform:
                self._warn(f"ignored a {kind} that is stored in an array of its own")
            elif axes:
                n_axes = how_many(len(axes), "axis", "axes")
                self._warn(f"ignored a {kind} with {how_many(len(vector), 'value')} for {n_axes}")
            return
        scale, origin = self.found.scale, self.found.origin
        for axis, value in zip(axes, vector, strict=True):
            number = finite(value)
            if kind == "translation":
                origin[axis] = _sum(origin[axis], number)
            else:
                scale[axis] = _product(scale[axis], self._scale_value(value))
                origin[axis] = None if origin[axis] is None else _product(origin[axis], number)

    def _scale_value(self, value: object) -> float | None:
        number = finite(value)
        if value is not None and (number is None or number <= 0):
            self._warn(f"ignored an invalid scale {ascii(value)[:40]}")
            return None
        return number

    def _apply_matrix(self, kind: str, transform: JsonObject, axes: Sequence[int]) -> None:
        n, is_affine = len(axes), kind == "affine"
        rows = [[finite(value) for value in _list(row)] for row in _list(transform.get(kind))]
        numbers = [value for row in rows for value in row if value is not None]
        if not n or len(rows) != n or any(len(row) != n + is_affine for row in rows):
            self._warn(
                f"ignored {_with_article(kind)} that is not a matrix for {how_many(n, 'axis', 'axes')}"
            )
            return
        if len(numbers) != n * (n + is_affine):
            self._warn(f"ignored {_with_article(kind)} with values that are not numbers")
            return
        matrix = np.array(numbers).reshape(n, n + is_affine)
        turn, shift = matrix[:, :n], matrix[:, n] if is_affine else np.zeros(n)
        order = _order_of(turn)
        if order is not None:  # what is left scales
            self._exchange(axes, [axes[i] for i in order])
            turn = turn[:, order]
        steps = np.linalg.norm(turn, axis=0)
        if not _is_upright(turn):
            self._warn(f"the turn or shear of {_with_article(kind)} {_NOT_DRAWN}")
        if not (steps > 0).all():
            return
        before = np.array([self.found.origin[axis] or 0.0 for axis in axes])
        at = turn @ before + shift
        for i, axis in enumerate(axes):
            if is_affine and not math.isclose(steps[i], 1.0):
                self.found.scale[axis] = _product(self.found.scale[axis], float(steps[i]))
            if is_affine or self.found.origin[axis] is not None:
                self.found.origin[axis] = float(at[i])

    def _apply_by_dimension(self, transform: JsonObject, axes: Sequence[int], depth: int) -> None:
        parts, to, of = [], list[int](), list[int]()
        for part in _list(transform.get("transformations")):
            if not isinstance(part, dict):
                continue
            inputs = part.get("inputAxes", part.get("input_axes"))  # as drafts of 0.6 called them
            outputs = part.get("outputAxes", part.get("output_axes"))
            if not _are_indices(inputs, len(axes)) or not _are_indices(outputs, len(axes)):
                self._warn(
                    "ignored a part of a transformation 'byDimension' whose axes are not those there are"
                )
                continue
            if len(_list(inputs)) != len(_list(outputs)):
                self._warn(
                    "ignored a part of a transformation 'byDimension' with more axes than come out of it"
                )
                continue
            to += [axes[i] for i in _list(outputs)]
            of += [axes[i] for i in _list(inputs)]
            parts.append((part.get("transformation"), [axes[i] for i in _list(outputs)]))
        if sorted(to) != sorted(of) or len(set(to)) < len(to):
            self._warn("ignored a transformation 'byDimension' that takes an axis twice, or leaves one out")
            return
        self._exchange(to, of)
        for inside, outputs in parts:
            self.apply_all([inside], outputs, depth + 1)

    def _warn(self, what: str) -> None:
        self._warnings.append(f"{self._where}: {what}")


def _is_upright(turn: np.ndarray) -> bool:
    """Whether a matrix only scales."""
    steps = np.diag(turn)
    tolerance = 1e-9 * float(np.abs(turn).max(initial=0.0))
    return bool((steps > 0).all()) and np.allclose(turn, np.diag(steps), rtol=0, atol=tolerance)


def _order_of(turn: np.ndarray) -> list[int] | None:
    """Which input becomes each output, if a matrix only scales and exchanges axes, without turning any
    around; else None.
    """
    order = [int(i) for i in turn.argmax(axis=1)]
    return order if len(set(order)) == len(order) and _is_upright(turn[:, order]) else None


def _with_article(kind: str) -> str:
    return f"an {kind} transformation" if kind == "affine" else f"a {kind}"


def _are_indices(value: object, n: int) -> bool:
    found = _list(value)
    return bool(found) and all(type(i) is int and 0 <= i < n for i in found) and len(set(found)) == len(found)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def finite(value: object) -> float | None:
    """A finite number as a float; None for anything else."""
    if type(value) is float:  # mostly
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _product(before: float | None, value: float | None) -> float | None:
    if value is None:  # null means unspecified, so it changes nothing
        return before
    return value if before is None else before * value


def _sum(before: float | None, value: float | None) -> float | None:
    if value is None:
        return before
    return value if before is None else before + value
