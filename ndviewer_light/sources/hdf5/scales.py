"""Dimension labels and scales: names, steps and texts along the axes of a dataset.

Source: "HDF5 Dimension Scales Specification": ``DIMENSION_LABELS`` (h5py's ``dims[i].label``) and scales
attached by ``DIMENSION_LIST``, as netCDF and xarray write them. Functions are called within
`HDF5File.reading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UnsupportedError, UntrustedReferenceError
from .array import facts, refuse_outside
from .axes import AxisNotes

if TYPE_CHECKING:
    import h5py

    from .file import HDF5File

_MOST_SCALE_NAMES = 1024
_LONGEST_SCALE_NAME = 256  # bytes of a fixed length, and characters shown


def dimension_notes(file: HDF5File, dataset: h5py.Dataset) -> AxisNotes:
    """The labels of the dimensions (or the names of the scales attached to them), and what scales say."""
    import h5py

    rank = len(dataset.shape)
    labels = [""] * rank
    steps: list[tuple[float, object] | None] = [None] * rank
    texts: list[tuple[str, ...]] = [()] * rank
    has_scales = h5py.h5a.exists(dataset.id, b"DIMENSION_LIST")
    if has_scales or h5py.h5a.exists(dataset.id, b"DIMENSION_LABELS"):
        for axis in range(rank):
            labels[axis] = h5py.h5ds.get_label(dataset.id, axis).decode("utf-8", "replace")
            if has_scales and h5py.h5ds.get_num_scales(dataset.id, axis):
                scale = dataset.dims[axis][0]
                labels[axis] = labels[axis] or (scale.name or "").rpartition("/")[2]
                steps[axis] = scale_step(file, scale, dataset.shape[axis])
                texts[axis] = _scale_texts(file, scale, dataset.shape[axis])
    return AxisNotes(tuple(labels), tuple(steps), tuple(texts), "dimension labels or scales")


def _scale_texts(file: HDF5File, scale: h5py.Dataset, n: int) -> tuple[str, ...]:
    """The texts that name the samples of an axis; () if there are none."""
    import h5py

    if scale.shape != (n,) or not 0 < n <= _MOST_SCALE_NAMES:
        return ()
    kind = scale.id.get_type()
    if kind.get_class() != h5py.h5t.STRING or kind.get_size() > _LONGEST_SCALE_NAME:
        return ()
    try:
        refuse_outside(file, scale, f"{file.name}::{scale.name}", virtual=False)
    except (UnsupportedError, UntrustedReferenceError):  # it is only metadata
        return ()
    texts = (value.decode("utf-8", "replace") if isinstance(value, bytes) else "" for value in scale[()])
    return tuple(" ".join(text.split())[:_LONGEST_SCALE_NAME] for text in texts)


def scale_step(
    file: HDF5File, scale: h5py.Dataset, n: int, *, shortest: int = 0
) -> tuple[float, object] | None:
    """The distance between samples, if constant, and its unit; within `HDF5File.reading`.

    `shortest`: a scale of only so many values is enough, as EMD allows.
    """
    if len(scale.shape or ()) == 1 and scale.shape[0] == shortest:
        n = shortest
    if scale.shape != (n,) or n < 2:
        return None
    try:
        refuse_outside(file, scale, f"{file.name}::{scale.name}", virtual=False)
        known = facts(file, scale.name or "", scale)
    except (UnsupportedError, UntrustedReferenceError):  # it is only metadata
        return None
    if known.dtype.kind not in "iuf":
        return None
    first, second, last = (float(scale[i]) for i in (0, 1, n - 1))
    step = (last - first) / (n - 1)
    if step <= 0 or abs(second - first - step) > 0.01 * step:
        return None
    return step, file.attribute(scale, "units")
