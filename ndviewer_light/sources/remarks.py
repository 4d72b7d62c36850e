"""What the names of other files say of an image that was opened by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..model import DatasetInfo, Interpretation


class Remark(NamedTuple):
    """A warning, and other ways to open the dataset."""

    warning: str
    ways: tuple[Interpretation, ...]

    def added_to(self, info: DatasetInfo) -> DatasetInfo:
        """The information with it."""
        ways = (*info.interpretations, *self.ways)
        return replace(info, warnings=(*info.warnings, self.warning), interpretations=ways)


class TakesRemark(ABC):
    """A source of files of which each may be one of many."""

    @abstractmethod
    def take_remark(self, remark: Remark) -> None:
        """Say so in `info` from now on. Called once, right after it was opened."""
