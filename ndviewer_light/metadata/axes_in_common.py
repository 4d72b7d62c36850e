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


def takes_more(transform: object, n: int, depth: int = 0) -> bool:
    """Whether a transformation is of more axes than `n`, by the indices and matrices that it names."""
    if not isinstance(transform, dict) or depth > MAX_SEQUENCE_DEPTH:
        return False
    inner = [*listed(transform.get("transformations")), transform.get("forward")]
    if any(takes_more(each, n, depth + 1) for each in inner):
        return True
    rows = listed(transform.get("affine"))
    if len(rows) > n or any(len(listed(row)) > n + 1 for row in rows):
        return True
    indices = [*listed(transform.get("mapAxis"))]
    for part in listed(transform.get("transformations")):
        if isinstance(part, dict):
            indices += listed(part.get("inputAxes", part.get("input_axes")))
    return any(isinstance(i, int) and i >= n for i in indices)


def way_of_axes(
    way: Sequence[TransformationStep], own: Sequence[str], others: Sequence[str]
) -> list[TransformationStep] | None:
    """The same way for an image whose axes have the roles `own` into a system whose axes have the `others`.

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
        self._own, self._others = own, others
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
        if len(values) == len(self._own):
            return transform
        if len(values) != len(self._others):
            return None
        self._is_across = True
        by_role = dict(zip(self._others, values, strict=True))
        return {"type": kind, kind: [by_role.get(role, float(kind == "scale")) for role in self._own]}

    def _map(self, indices: Sequence[object]) -> JsonObject | None:
        n = len(self._own)
        roles = [self._own[i] if isinstance(i, int) and 0 <= i < n else "" for i in indices]
        self._is_across = True
        return {"type": "identity"} if roles == list(self._others) else None

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
        if inputs is outputs is self._own:
            return transform
        self._is_across = True
        n = len(self._own)
        found = np.eye(n, n + 1)
        numbers = np.array(rows, dtype=float)
        for row, role in zip(numbers, outputs, strict=True):
            strangers = [i for i, of in enumerate(inputs) if of not in outputs or of not in self._own]
            if role not in self._own or role not in inputs:
                if row[:n_in].any():
                    return None
                continue
            if row[strangers].any():
                return None
            into = found[self._own.index(role)]
            into[:] = 0.0
            for i, of in enumerate(inputs):
                if i not in strangers:
                    into[self._own.index(of)] = row[i]
            into[n] = row[n_in] if kind == "affine" else 0.0
        return {"type": "affine", "affine": found.tolist()}

    def _parts(self, transform: JsonObject) -> JsonObject | None:
        """A `byDimension` from axes of one system to those of the same roles of another, within the one."""
        parts = []
        for part in listed(transform.get("transformations")):
            said = part if isinstance(part, dict) else {}
            inputs = listed(said.get("inputAxes", said.get("input_axes")))
            outputs = listed(said.get("outputAxes", said.get("output_axes")))
            if not (_are_within(inputs, self._own) and _are_within(outputs, self._others)):
                return None
            if [self._own[i] for i in inputs] != [self._others[i] for i in outputs]:
                return None
            parts.append({**said, "inputAxes": inputs, "outputAxes": inputs})
        self._is_across = True
        return {"type": "byDimension", "transformations": parts}


def _are_within(indices: Sequence[object], roles: Sequence[str]) -> bool:
    return all(isinstance(i, int) and 0 <= i < len(roles) for i in indices)
