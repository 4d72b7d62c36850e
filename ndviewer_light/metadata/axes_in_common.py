"""Transformations between systems of different axes: what they do to the axes that both have. Pure functions.

An image of t, c, z, y and x lies in a scene of z, y and x where those lead.
Source: OME-NGFF 0.6, "coordinateTransformations" metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .ngff import listed
from .transformations import MAX_SEQUENCE_DEPTH, TransformationStep, finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..storage.limits import JsonObject


def is_of_others(transform: object, n: int, depth: int = 0) -> bool:
    """Whether a transformation is of more or fewer axes than `n`, by its vectors, indices and matrices."""
    if not isinstance(transform, dict) or depth > MAX_SEQUENCE_DEPTH:
        return False
    inner = [*listed(transform.get("transformations")), transform.get("forward")]
    if transform.get("type") == "byDimension":  # whose parts have their own
        inner = []
    if any(is_of_others(each, n, depth + 1) for each in inner):
        return True
    for kind in ("affine", "rotation"):
        rows = listed(transform.get(kind))
        widths = {len(listed(row)) for row in rows}
        if rows and (len(rows) != n or widths != {n + (kind == "affine")}):
            return True
    vectors = (listed(transform.get(kind)) for kind in ("scale", "translation", "mapAxis"))
    if any(vector and len(vector) != n for vector in vectors):
        return True
    indices = [*listed(transform.get("mapAxis"))]
    n_out = 0
    for part in listed(transform.get("transformations")):
        if isinstance(part, dict):
            indices += listed(part.get("inputAxes", part.get("input_axes")))
            outputs = listed(part.get("outputAxes", part.get("output_axes")))
            indices += outputs
            n_out += len(outputs)
    is_fewer = transform.get("type") == "byDimension" and len(indices) - n_out < n_out
    return is_fewer or any(isinstance(i, int) and i >= n for i in indices)


def roles_of_both(own: Sequence[str], others: Sequence[str]) -> list[str]:
    """The axes of an image, and those that only the system has into which it leads."""
    return [*own, *(role for role in others if role not in own)]


def way_of_axes(
    way: Sequence[TransformationStep], own: Sequence[str], others: Sequence[str]
) -> list[TransformationStep] | None:
    """The same way for an image whose axes have the roles `own` into a system whose axes have the `others`.

    It is along the axes of `roles_of_both`: one that the image has not got may be given a place.
    None if it is not one along axes that both have.
    """
    fitting = _Fitting(own, others)
    found: list[TransformationStep] = []
    for step in way:
        fitted = fitting.of_axes(step.transform)
        if fitted is None:
            return None
        found.append(TransformationStep(fitted, step.is_inverse))
    return found


class _Fitting:
    """Walks along transformations, the first of which are of the axes `own`, later ones of the `others`."""

    def __init__(self, own: Sequence[str], others: Sequence[str]) -> None:
        self._own, self._others, self._both = own, others, roles_of_both(own, others)
        self._is_across = False  # whether a step led from the ones to the others

    def of_axes(self, transform: object, depth: int = 0) -> JsonObject | None:
        if not isinstance(transform, dict) or depth > MAX_SEQUENCE_DEPTH:
            return None
        kind = str(transform.get("type"))
        if kind == "identity":
            return transform
        if kind in ("scale", "translation"):
            return self._vector(kind, transform)
        if kind == "sequence":
            inner = [self.of_axes(each, depth + 1) for each in listed(transform.get("transformations"))]
            return None if None in inner else {"type": "sequence", "transformations": inner}
        if kind == "bijection":
            return self.of_axes(transform.get("forward"), depth + 1)
        if kind == "mapAxis":
            return self._map(listed(transform.get(kind)))
        if kind in ("affine", "rotation"):
            return self._matrix(kind, transform)
        return self._parts(transform) if kind == "byDimension" else None

    def _vector(self, kind: str, transform: JsonObject) -> JsonObject | None:
        values = listed(transform.get(kind))
        is_own = len(values) == len(self._own)
        if not is_own and len(values) != len(self._others):
            return None
        self._is_across |= not is_own
        by_role = dict(zip(self._own if is_own else self._others, values, strict=True))
        return {"type": kind, kind: [by_role.get(role) for role in self._both]}  # null says nothing

    def _map(self, indices: Sequence[object]) -> JsonObject | None:
        def roles(of: Sequence[str]) -> list[str]:
            return [of[i] if isinstance(i, int) and 0 <= i < len(of) else "" for i in indices]

        self._is_across = True
        is_fit = roles(self._own) == list(self._others) or roles(self._others) == list(self._own)
        return {"type": "identity"} if is_fit else None

    def _matrix(self, kind: str, transform: JsonObject) -> JsonObject | None:
        """A matrix that leaves alone what only one of the systems has; None for another one."""
        rows = [[finite(value) for value in listed(row)] for row in listed(transform.get(kind))]
        widths = {len(row) for row in rows}
        if len(widths) != 1 or any(value is None for row in rows for value in row):
            return None
        n_in, n_out = widths.pop() - (kind == "affine"), len(rows)
        by_length = {len(self._own): self._own, len(self._others): self._others}
        inputs, outputs = by_length.get(n_in), by_length.get(n_out)
        if inputs is None or outputs is None or (inputs is outputs is self._others and not self._is_across):
            return None
        if inputs is outputs is self._own and self._both == list(self._own):
            return transform
        self._is_across |= inputs is not outputs or inputs is self._others
        n = len(self._both)
        found = np.eye(n, n + 1)
        numbers = np.array(rows, dtype=float)
        for row, role in zip(numbers, outputs, strict=True):
            strangers = [i for i, of in enumerate(inputs) if of not in outputs]
            into = found[self._both.index(role)]
            if role not in inputs:
                if row[:n_in].any():
                    return None
                into[n] = row[n_in] if kind == "affine" else 0.0
                continue
            if row[strangers].any():
                return None
            into[:] = 0.0
            for i, of in enumerate(inputs):
                if i not in strangers:
                    into[self._both.index(of)] = row[i]
            into[n] = row[n_in] if kind == "affine" else 0.0
        moved = [i for i, role in enumerate(self._both) if role in self._own or role in outputs]
        matrix = {"type": "affine", "affine": found[moved][:, [*moved, n]].tolist()}
        return self._along([(moved, matrix)])

    def _parts(self, transform: JsonObject) -> JsonObject | None:
        """A `byDimension` from axes of one system to those of the same roles of another, within the one."""
        parts = []
        for part in listed(transform.get("transformations")):
            said = part if isinstance(part, dict) else {}
            inputs = listed(said.get("inputAxes", said.get("input_axes")))
            outputs = listed(said.get("outputAxes", said.get("output_axes")))
            if not (_are_within(inputs, self._own) and _are_within(outputs, self._others)):
                return None
            roles = [self._others[i] for i in outputs]
            inner = said.get("transformation")
            if not inputs:
                inner = _put_at(inner)
            elif [self._own[i] for i in inputs] != roles:
                return None
            parts.append(([self._both.index(role) for role in roles], inner))
        self._is_across = True
        return self._along(parts)

    def _along(self, parts: Sequence[tuple[list[int], object]]) -> JsonObject:
        """Transformations of some of all axes each."""
        return {
            "type": "byDimension",
            "transformations": [
                {"inputAxes": axes, "outputAxes": axes, "transformation": each} for axes, each in parts
            ],
        }


def _put_at(transform: object) -> JsonObject:
    """The translation that puts axes where a transformation of none puts them."""
    said = transform if isinstance(transform, dict) else {}
    at = listed(said.get("translation")) or [row[-1:] for row in map(listed, listed(said.get("affine")))]
    return {
        "type": "translation",
        "translation": [each[0] if isinstance(each, list) else each for each in at],
    }


def _are_within(indices: Sequence[object], roles: Sequence[str]) -> bool:
    return all(isinstance(i, int) and 0 <= i < len(roles) for i in indices)
