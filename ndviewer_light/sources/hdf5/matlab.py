"""MATLAB's files (v7.3): arrays are stored column by column, so that HDF5 sees their axes in reverse order.

Source: MathWorks, "MAT-File Versions": v7.3 is HDF5, and each variable has the attribute "MATLAB_class". An
image of M rows and N columns is a dataset (N, M), M × N × 3 colours are (3, N, M).
"""

from __future__ import annotations

MATLAB_CLASS = "MATLAB_class"
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NUMBERS = frozenset(("double", "single", "logical", *_INTEGERS))


def is_array(matlab_class: object) -> bool:
    """Whether the value of the attribute says that a dataset is an array of numbers in MATLAB's order."""
    return matlab_class in _NUMBERS


def is_no_array(matlab_class: object) -> bool:
    """Whether it says that the numbers stored are something else: texts, cells, structures, functions."""
    return isinstance(matlab_class, str) and matlab_class not in _NUMBERS
