"""Another way to understand a dataset, where what its metadata say is not certain."""

from __future__ import annotations

from typing import NamedTuple


class Interpretation(NamedTuple):
    """What it would be in words ("12 time points, 5 z planes"), and the storage options to open it so."""

    text: str
    options: tuple[tuple[str, str], ...]
